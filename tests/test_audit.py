"""Every call is on record, the chain verifies, and nothing secret is written anywhere."""

import base64
import json
import time

import pytest
from conftest import Server, audit_records, refused
from signing import call


@pytest.fixture
def own(fresh_host, tmp_path):
    with Server(fresh_host, tmp_path / "data", "--log-level", "debug") as server:
        yield server


def last(server, event, wait_s=0.0):
    """The newest record of an event. A change is recorded in its own transaction, and appended to the log soon after."""
    deadline = time.monotonic() + wait_s
    while True:
        found = [one for one in audit_records(server.dir) if one.get("eventName") == event]
        if found:
            return found[-1]
        assert time.monotonic() < deadline, f"no record of {event}"
        time.sleep(0.02)


CHANGES = {
    "EnableKey", "DisableKey", "UpdateKeyDescription", "RotateKeyOnDemand", "CreateAlias", "UpdateAlias", "DeleteAlias",
    "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKeyRotation", "DisableKeyRotation",
}


def test_every_operation_leaves_a_record(own):
    """Of a call that changes nothing, before its answer leaves."""
    kms = own.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert last(own, "CreateKey", wait_s=3.0)["responseElements"]["keyId"] == key

    def step(name, method, **members):
        answer = method(**members)
        record = last(own, name, wait_s=3.0 if name in CHANGES else 0.0)
        assert record["requestID"] == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"], name
        assert record["eventSource"] == "kms.amazonaws.com"
        assert "errorCode" not in record or record["errorCode"] is None
        return answer

    step("DescribeKey", kms.describe_key, KeyId=key)
    step("ListKeys", kms.list_keys)
    step("DisableKey", kms.disable_key, KeyId=key)
    step("EnableKey", kms.enable_key, KeyId=key)
    step("UpdateKeyDescription", kms.update_key_description, KeyId=key, Description="d")
    step("RotateKeyOnDemand", kms.rotate_key_on_demand, KeyId=key)
    assert last(own, "RotateKey", wait_s=3.0)["eventType"] == "AwsServiceEvent"
    step("EnableKeyRotation", kms.enable_key_rotation, KeyId=key)
    step("GetKeyRotationStatus", kms.get_key_rotation_status, KeyId=key)
    step("ListKeyRotations", kms.list_key_rotations, KeyId=key)
    step("DisableKeyRotation", kms.disable_key_rotation, KeyId=key)
    step("CreateAlias", kms.create_alias, AliasName="alias/a", TargetKeyId=key)
    step("UpdateAlias", kms.update_alias, AliasName="alias/a", TargetKeyId=key)
    step("ListAliases", kms.list_aliases)
    step("DeleteAlias", kms.delete_alias, AliasName="alias/a")
    step("GenerateDataKey", kms.generate_data_key, KeyId=key, KeySpec="AES_256")
    step("GenerateDataKeyWithoutPlaintext", kms.generate_data_key_without_plaintext, KeyId=key, KeySpec="AES_256")
    blob = step("Encrypt", kms.encrypt, KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    step("Decrypt", kms.decrypt, CiphertextBlob=blob)
    step("ReEncrypt", kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=key)
    step("GenerateRandom", kms.generate_random, NumberOfBytes=8)
    step("ScheduleKeyDeletion", kms.schedule_key_deletion, KeyId=key)
    step("CancelKeyDeletion", kms.cancel_key_deletion, KeyId=key)
    identity = own.client("sts").get_caller_identity()
    assert last(own, "GetCallerIdentity")["recipientAccountId"] == identity["Account"]


def test_a_record_says_who_what_and_where_from(own):
    kms = own.client()
    key = kms.create_key()["KeyMetadata"]
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"tenant": "a"})
    record = last(own, "Encrypt")
    identity = record["userIdentity"]
    assert identity["type"] == "Root" and identity["accountId"] == key["AWSAccountId"]
    assert identity["accessKeyId"] == own.credentials[0]
    assert record["awsRegion"] == "us-east-1" and record["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in record["userAgent"] and record["eventTime"].endswith("Z")
    assert record["requestParameters"]["encryptionContext"] == {"tenant": "a"}
    assert key["Arn"] in json.dumps(record["resources"])


def test_refusals_are_on_record(own):
    kms = own.client()
    refused(kms.describe_key, "NotFoundException", KeyId="alias/none")
    assert last(own, "DescribeKey")["errorCode"] == "NotFoundException"
    refused(kms.generate_random, "ValidationException", NumberOfBytes=0)
    assert last(own, "GenerateRandom")["errorCode"] == "ValidationException"


def test_calls_that_fail_before_authentication_are_on_record(own):
    answer = call(own, "GenerateRandom", {"NumberOfBytes": 8}, credentials=("AKIAIOSFODNN7EXAMPLE", "x" * 40))
    request_id = answer.headers["x-amzn-requestid"]
    found = [one for one in audit_records(own.dir) if one.get("requestID") == request_id]
    assert found and found[0]["errorCode"] == "UnrecognizedClientException"


def test_nothing_secret_is_written_anywhere(own):
    """Canaries in every place where a secret passes; then a grep over all that the server wrote."""
    kms = own.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    canary = b"CANARY-plaintext-5d1f"
    secrets = [canary, own.credentials[1].encode()]
    blob = kms.encrypt(KeyId=key, Plaintext=canary)["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=blob)
    kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
    for _ in range(5):
        secrets.append(kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"])
        secrets.append(kms.generate_random(NumberOfBytes=32)["Plaintext"])
    # Where things go wrong, too.
    refused(kms.encrypt, "ValidationException", KeyId=key, Plaintext=canary * 300)
    call(own, "Encrypt", b'{"KeyId":"' + key.encode() + b'","Plaintext":"' + base64.b64encode(canary) + b'"')
    call(own, "Encrypt", {"KeyId": key, "Plaintext": [canary.decode()]})
    call(own, "Encrypt", {"KeyId": key, "Plaintext": canary.decode()})
    kms.disable_key(KeyId=key)
    refused(kms.encrypt, "DisabledException", KeyId=key, Plaintext=canary)
    call(own, canary.decode(), {"Plaintext": canary.decode()}, credentials=(own.credentials[0], "x" * 40))
    root_key = (own.dir / "root.key").read_text().strip()
    secrets += [root_key.encode(), base64.b64decode(root_key.removeprefix("bulla-root-1:"))[:32]]
    own.stop()
    needles = []
    for secret in secrets:
        needles += [secret, base64.b64encode(secret), base64.b64encode(secret).rstrip(b"="), secret.hex().encode(),
                    secret.hex().upper().encode()]
    places = [own.log, *[path for path in own.dir.rglob("*") if path.is_file()]]
    # The places that hold secrets by design, each with what may be there.
    allowed = {"root.key": root_key.encode(), "credentials": own.credentials[1].encode() if (own.dir / "credentials").exists() else b""}
    for path in places:
        data = path.read_bytes()
        for needle in needles:
            if path.name in allowed and (needle in allowed[path.name] or allowed[path.name] in needle):
                continue
            # The unknown operation's name was itself a canary, said by the caller in the clear, not a secret.
            if needle == canary and path.name.startswith("audit"):
                data = data.replace(b"TrentService." + canary, b"").replace(b'"eventName":"' + canary + b'"', b"")
            assert needle not in data, f"{path.name} holds a secret ({needle[:8]!r}…)"


def test_the_chain_verifies_and_notices_a_change(own, fresh_host):
    kms = own.client()
    for _ in range(5):
        kms.generate_random(NumberOfBytes=8)
    own.stop()
    files = [path for path in own.dir.rglob("audit*") if path.is_file()]
    assert files
    fresh_host.run("audit", "verify", "--data-dir", own.dir)
    target = next(path for path in files if b"GenerateRandom" in path.read_bytes())
    data = target.read_bytes()
    target.write_bytes(data.replace(b"GenerateRandom", b"GenerateRandon", 1))
    done = fresh_host.run("audit", "verify", "--data-dir", own.dir, check=None)
    assert done.returncode == 3, done
    lines = data.splitlines(keepends=True)
    target.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert fresh_host.run("audit", "verify", "--data-dir", own.dir, check=None).returncode == 3


def test_health_and_metrics_are_not_audited(own):
    import urllib.request

    endpoint = (own.dir / "admin-endpoint").read_text().strip()
    before = len(audit_records(own.dir))
    for path in ("/livez", "/readyz", "/metrics"):
        with urllib.request.urlopen(endpoint + path, timeout=10) as answer:
            assert answer.status == 200
            text = answer.read().decode()
    assert "bulla_" in text
    assert len(audit_records(own.dir)) == before


def test_every_log_line_of_a_request_has_its_id(fresh_host, tmp_path):
    with Server(fresh_host, tmp_path / "data", "--log-format", "json", "--log-level", "debug") as server:
        answer = call(server, "GenerateRandom", {"NumberOfBytes": 8})
        server.stop()
        lines = [json.loads(line) for line in server.stderr().splitlines() if line.startswith("{")]
        assert any(answer.headers["x-amzn-requestid"] in json.dumps(line) for line in lines), lines[-5:]
