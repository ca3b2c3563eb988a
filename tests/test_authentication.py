"""Who calls is checked before what is asked, and each way to fail has AWS's own code and text."""

import json
import re
from urllib.parse import urlsplit

import pytest
from conftest import UUID
from signing import amz_date, call, send, sign

RANDOM = "TrentService.GenerateRandom"
BODY = b'{"NumberOfBytes":16}'


def netloc(server):
    return urlsplit(server.endpoint).netloc


def refused(answer, code, message=None):
    assert answer.status == 400, answer
    assert answer.code == code, answer
    assert answer.headers["x-amzn-errortype"].split(":")[0].rsplit("#", 1)[-1] == code
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert UUID.match(answer.headers["x-amzn-requestid"])
    if isinstance(message, re.Pattern):
        assert message.search(answer.message), answer
    elif message is not None:
        assert answer.message == message, answer


def test_a_signed_request_is_answered(server):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16})
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert UUID.match(answer.headers["x-amzn-requestid"])
    assert "Plaintext" in answer.json


def test_header_names_are_title_cased(server):
    """MongoDB's drivers match `Content-Length` by exact case."""
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16})
    assert "Content-Length" in answer.header_names, answer.header_names
    assert "Content-Type" in answer.header_names, answer.header_names


def test_request_ids_differ(server):
    seen = {call(server, "ListKeys", {}).headers["x-amzn-requestid"] for _ in range(5)}
    assert len(seen) == 5


def test_without_signature(server):
    headers = {"host": netloc(server), "x-amz-target": RANDOM, "content-type": "application/x-amz-json-1.1"}
    refused(send(server.endpoint, headers, BODY), "MissingAuthenticationTokenException", "Missing Authentication Token")


def test_unknown_access_key(server):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, credentials=("AKIAIOSFODNN7EXAMPLE", "x" * 40))
    refused(answer, "UnrecognizedClientException", "The security token included in the request is invalid.")


def test_wrong_secret(server):
    key_id, _ = server.credentials
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, credentials=(key_id, "x" * 40))
    refused(
        answer,
        "InvalidSignatureException",
        re.compile("^The request signature we calculated does not match the signature you provided\\. "),
    )


def test_the_expected_signature_is_never_told(server):
    """Nor the canonical string, which some services echo."""
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    right = headers["authorization"].rsplit("=", 1)[1]
    wrong = ("0" if right[0] != "0" else "1") + right[1:]
    headers["authorization"] = headers["authorization"].replace(right, wrong)
    answer = send(server.endpoint, headers, BODY)
    refused(answer, "InvalidSignatureException")
    assert right not in answer.body.decode()
    assert right not in server.stderr()


def test_expired(server):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, date=amz_date(-6 * 60))
    refused(
        answer,
        "InvalidSignatureException",
        re.compile(r"^Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)$"),
    )


def test_from_the_future(server):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, date=amz_date(6 * 60))
    refused(
        answer,
        "InvalidSignatureException",
        re.compile(r"^Signature not yet current: \d{8}T\d{6}Z is still later than \d{8}T\d{6}Z \(\d{8}T\d{6}Z \+ 5 min\.\)$"),
    )


@pytest.mark.parametrize("offset_s", [-4 * 60, 4 * 60])
def test_a_clock_off_by_less_than_five_minutes_is_fine(server, offset_s):
    assert call(server, "GenerateRandom", {"NumberOfBytes": 16}, date=amz_date(offset_s)).status == 200


@pytest.mark.parametrize("change", ["body", "target", "date", "host", "content-type", "method", "path"])
def test_a_changed_signed_part(server, change):
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    body, method, path = BODY, "POST", "/"
    if change == "body":
        body = BODY.replace(b"16", b"17")
    elif change == "target":
        headers["x-amz-target"] = "TrentService.ListKeys"
    elif change == "date":
        headers["x-amz-date"] = amz_date(-1)
    elif change == "host":
        headers["host"] = "localhost:1"
    elif change == "content-type":
        headers["content-type"] = "application/x-amz-json-1.0"
    elif change == "method":
        method = "PUT"
    elif change == "path":
        path = "/x"
    answer = send(server.endpoint, headers, body, method=method, path=path)
    assert answer.status in (400, 403, 404, 405), answer
    if change in ("body", "target", "date", "host", "content-type"):
        refused(answer, "InvalidSignatureException")


@pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature"])
def test_an_incomplete_authorization_header(server, part):
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    headers["authorization"] = re.sub(rf"{part}=[^,]*(, )?", "", headers["authorization"]).rstrip(", ")
    refused(send(server.endpoint, headers, BODY), "IncompleteSignatureException")


def test_without_a_date(server):
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    del headers["x-amz-date"]
    answer = send(server.endpoint, headers, BODY)
    assert answer.status == 400 and answer.code in ("IncompleteSignatureException", "InvalidSignatureException"), answer


@pytest.mark.parametrize("header", ["x-amz-target", "x-amz-security-token", "x-amz-meta", "host"])
def test_headers_that_must_be_signed(server, header):
    extra = {} if header in ("x-amz-target", "host") else {header: "v"}
    headers = sign(netloc(server), server.credentials, RANDOM, BODY, extra=extra, unsigned=[header])
    answer = send(server.endpoint, headers, BODY)
    assert answer.status == 400, answer
    assert answer.code in (
        "InvalidSignatureException",
        "IncompleteSignatureException",
        "UnrecognizedClientException",
    ), answer


@pytest.mark.parametrize("header", ["x-amz-target", "x-amz-date", "host", "authorization", "content-type"])
def test_a_header_given_twice(server, header):
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    headers[header] = [headers[header], headers[header]]
    answer = send(server.endpoint, headers, BODY)
    assert answer.status == 400, answer


def test_unsigned_payload_is_never_accepted(server):
    host = netloc(server)
    headers = sign(host, server.credentials, RANDOM, b"", extra={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    answer = send(server.endpoint, headers, BODY)
    refused(answer, "InvalidSignatureException")


def test_header_and_query_authentication_together(server):
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    query = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=y"
    answer = send(server.endpoint, headers, BODY, path=query)
    assert answer.status == 400, answer
    assert answer.code in ("InvalidSignatureException", "IncompleteSignatureException", "MissingAuthenticationTokenException"), answer


@pytest.mark.parametrize("region", ["eu-west-9", "us-west-2", ""])
def test_a_scope_of_a_region_that_is_not_served(server, region):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, region=region)
    assert answer.status == 400, answer
    assert answer.code in ("InvalidSignatureException", "IncompleteSignatureException"), answer


@pytest.mark.parametrize("service", ["s3", "iamx", ""])
def test_a_scope_of_another_service(server, service):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, service=service)
    assert answer.status == 400, answer
    assert answer.code in ("InvalidSignatureException", "IncompleteSignatureException"), answer


def test_an_sts_signature_calls_no_kms_operation(server):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16}, service="sts")
    assert answer.status in (400, 403, 404), answer
    assert b"Plaintext" not in answer.body


def test_a_kms_signature_calls_no_sts_action(server):
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    headers = sign(netloc(server), server.credentials, None, body, content_type="application/x-www-form-urlencoded")
    answer = send(server.endpoint, headers, body)
    assert answer.status in (400, 403, 404), answer
    assert b"<Account>" not in answer.body


def test_the_same_request_twice_in_a_second_is_legitimate(server):
    headers = sign(netloc(server), server.credentials, RANDOM, BODY)
    first, second = (send(server.endpoint, headers, BODY) for _ in range(2))
    assert first.status == second.status == 200
    assert first.json["Plaintext"] != second.json["Plaintext"]


def test_authentication_comes_before_validation(server):
    key_id, _ = server.credentials
    for body in ({"NumberOfBytes": -1}, b"no json", b"[" * 10000):
        refused(call(server, "GenerateRandom", body, credentials=(key_id, "x" * 40)), "InvalidSignatureException")


def test_an_unknown_operation(server):
    refused(call(server, "LeakEverything", {}), "UnknownOperationException")


@pytest.mark.parametrize("target", ["TrentService", "GenerateRandom", "Other.GenerateRandom", "", "TrentService.generaterandom"])
def test_an_unknown_target(server, target):
    headers = sign(netloc(server), server.credentials, target, BODY)
    answer = send(server.endpoint, headers, BODY)
    refused(answer, "UnknownOperationException")


def test_admin_targets_are_not_served_over_the_network(server):
    for target in ("BullaAdmin.CreateAccount", "BullaAdmin.Status", "BullaAdmin.ListAccounts"):
        headers = sign(netloc(server), server.credentials, target, b"{}")
        refused(send(server.endpoint, headers, b"{}"), "UnknownOperationException")


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b'"x"', b"1", b"null", b"{", b'{"NumberOfBytes":"16"}', b'{"NumberOfBytes":[16]}', b"\xff\xfe",
     b'{"NumberOfBytes":16}x', b'{"NumberOfBytes":1e400}'],
)
def test_a_body_that_is_not_the_operations(server, body):
    answer = call(server, "GenerateRandom", body)
    assert answer.status == 400, answer
    assert answer.code in ("SerializationException", "ValidationException"), answer


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"NumberOfBytes":"16"}', b'{"NumberOfBytes":{}}'])
def test_serialization_exception(server, body):
    refused(call(server, "GenerateRandom", body), "SerializationException")


def test_unknown_members_are_ignored_and_null_members_absent(server):
    answer = call(server, "GenerateRandom", {"NumberOfBytes": 16, "Surprise": {"a": [1]}, "CustomKeyStoreId": None})
    assert answer.status == 200, answer


def test_operations_without_output_send_no_body(server, key):
    answer = call(server, "DisableKey", {"KeyId": key["KeyId"]})
    assert answer.status == 200 and answer.body == b"", answer


def test_dates_are_numbers(server, key):
    answer = call(server, "DescribeKey", {"KeyId": key["KeyId"]})
    assert isinstance(json.loads(answer.body)["KeyMetadata"]["CreationDate"], (int, float))
