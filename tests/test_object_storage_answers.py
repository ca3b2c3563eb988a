"""What a server, or what stands before it, answers: 200 that means nothing, no end, another version. Success is told only of what is there."""

import os
import time

import pytest
from object_storage import PART, Answer, Endless, Proxy, Without, one_line

NOTHING_TOLD = {
    "empty": "", "page": "<html>please log in</html>", "no result": "<CompleteMultipartUploadResult/>",
    "cut short": "<CompleteMultipartUploadResult><Bucket>",
    "inner error": "<CompleteMultipartUploadResult><Error><Code>InternalError</Code></Error></CompleteMultipartUploadResult>",
    "error": "<Error><Code>InternalError</Code><Message>m</Message></Error>",
    "other object": "<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>other</Key><ETag>a</ETag></CompleteMultipartUploadResult>",
    "other bucket": "<CompleteMultipartUploadResult><Bucket>other</Bucket><Key>x</Key><ETag>a</ETag></CompleteMultipartUploadResult>",
}


def completes(method, query):
    return method == "POST" and "uploadId" in query


@pytest.mark.parametrize("body", NOTHING_TOLD.values(), ids=NOTHING_TOLD)
def test_an_answer_that_tells_of_no_object_is_no_success(storage, s3, bucket, body):
    body = body.format(bucket=bucket)
    args = ["--s3-wait", "0", "-o", f"s3://{bucket}/x"]
    with Proxy(s3, lambda method, _path, query, _: Answer(200, body) if completes(method, query) else None) as proxy:
        one_line(storage.seal(*args, input=bytes(PART), url=proxy.url, check=1))
    assert s3.keys(bucket) == [] and s3.uploads(bucket) == [], "it was aborted"
    # If it is there, that is told by its mark.
    with Proxy(s3, lambda method, _path, query, _: Answer(200, body, done=True) if completes(method, query) else None) as proxy:
        assert storage.seal(*args, input=bytes(PART), url=proxy.url).stderr == b""
    assert storage.open("-o", "-", f"s3://{bucket}/x").stdout == bytes(PART)


#: Of a web server that says yes to whatever it is sent.
PAGE = Answer(200, "<html>log in</html>", headers=(("ETag", '"2aa6-5e1f"'), ("Content-Type", "text/html")))


@pytest.mark.parametrize("answer", [Answer(200), Answer(200, "<html>log in</html>"), PAGE, Answer(204), Answer(503)], ids=str)
def test_the_same_of_a_short_object(storage, s3, bucket, answer):
    args = ["--s3-wait", "0", "-o", f"s3://{bucket}/x"]
    with Proxy(s3, lambda method, *_: answer if method == "PUT" else None) as proxy:
        one_line(storage.seal(*args, input=b"short", url=proxy.url, check=1))
    assert s3.keys(bucket) == []
    with Proxy(s3, lambda method, *_: answer._replace(done=True) if method == "PUT" else None) as proxy:
        storage.seal(*args, input=b"short", url=proxy.url)
    assert storage.open("-o", "-", f"s3://{bucket}/x").stdout == b"short"


def test_a_page_in_the_place_of_a_part_makes_no_object(storage, s3, bucket):
    with Proxy(s3, lambda method, _path, query, _: PAGE if query.get("partNumber") == ["1"] else None) as proxy:
        one_line(storage.seal("--s3-wait", "0", "-o", f"s3://{bucket}/x", input=bytes(PART), url=proxy.url, check=1))
    assert s3.keys(bucket) == [] and s3.uploads(bucket) == []


def test_a_server_that_says_no_checksum_is_asked_for_the_object(storage, s3, bucket):
    url = f"s3://{bucket}/x"
    for looks, done in ((Answer(403), True), (None, True), (Answer(403), False)):
        etag = (("ETag", '"0123"'),) if done else ()
        faults = {"PUT": Answer(200, done=done, headers=etag), "HEAD": looks}
        with Proxy(s3, lambda method, *_: faults.get(method)) as proxy:
            storage.seal("--force", "--s3-wait", "0", "-o", url, input=b"short", url=proxy.url, check=0 if done else 1)
        assert len([seen for seen in proxy.seen if seen[0] == "HEAD"]) >= 1
    with Proxy(s3, lambda *_: None) as proxy:
        storage.seal("--force", "-o", url, input=b"short", url=proxy.url)
    assert [seen[0] for seen in proxy.seen] == ["PUT"], "no more than one request where it says it"


@pytest.mark.parametrize("parts", [False, True], ids=["one request", "parts"])
def test_a_copy_of_which_nothing_is_told_is_not_made(storage, s3, bucket, other_key, parts):
    url = f"s3://{bucket}/x"
    env = {"BULLA_TEST_COPY_PART_BYTES": str(5 << 20)} if parts else {}
    storage.seal("--format", "s3ec", "-o", url, input=bytes(6 << 20))
    for body in ("", "<CopyObjectResult><ETag>"):
        with Proxy(s3, lambda method, *_: Answer(200, body) if method == "PUT" else None) as proxy:
            failed = storage.run("rewrap", "--s3-wait", "0", "-k", storage.key, "--to", other_key, url, url=proxy.url, env=env, check=1)
        one_line(failed)
        assert storage.opens(storage.key, url) == bytes(6 << 20) and s3.uploads(bucket) == []
    with Proxy(s3, lambda method, _path, query, _: Answer(200, done=True) if method == "PUT" and "partNumber" not in query else None) as proxy:
        storage.run("rewrap", "--s3-wait", "0", "-k", storage.key, "--to", other_key, url, url=proxy.url, env=env)
    assert storage.opens(other_key, url) == bytes(6 << 20)


def test_two_rewraps_at_once_do_not_both_succeed(storage, s3, bucket, other_key):
    """The content stays the same, and so does its ETag, on which conditions are put."""
    url = f"s3://{bucket}/x"
    for nth, word in ((1, "replaced meanwhile"), (2, "has replaced what was written")):
        storage.seal("--force", "--format", "s3ec", "-o", url, input=b"content")
        heads = iter(range(100))

        def theirs():
            beside = s3.client.head_object(Bucket=bucket, Key="x")["Metadata"] | {"x-amz-3": "theirs"}
            s3.client.copy_object(Bucket=bucket, Key="x", CopySource={"Bucket": bucket, "Key": "x"}, MetadataDirective="REPLACE",
                                  Metadata=beside)

        with Proxy(s3, lambda method, *_: theirs if method == "HEAD" and next(heads) == nth else None) as proxy:
            failed = storage.run("rewrap", "-k", storage.key, "--to", other_key, url, url=proxy.url, check=1)
        assert word in one_line(failed)
        assert s3.client.head_object(Bucket=bucket, Key="x")["Metadata"]["x-amz-3"] == "theirs"


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_end_is_not_read_to_its_end(storage, s3, bucket, status):
    def begins(method, query):
        return method == "POST" and "uploads" in query

    with Proxy(s3, lambda method, _path, query, _: Endless(status) if begins(method, query) else None) as proxy:
        before = time.monotonic()
        one_line(storage.seal("--s3-wait", "0", "-o", f"s3://{bucket}/x", input=bytes(PART), url=proxy.url, check=1))
        assert time.monotonic() - before < 20, "and not as long as a request may take"


@pytest.mark.parametrize("status, code, says", [
    (507, "InsufficientStorage", "no room"), (507, "XMinioStorageFull", "no room"),
    (403, "QuotaExceeded", "have the quota raised"), (400, "XMinioAdminBucketQuotaExceeded", "have the quota raised"),
], ids=lambda one: str(one))
def test_storage_that_is_full_is_told_as_such(storage, s3, bucket, status, code, says):
    with Proxy(s3, lambda method, *_: (status, code) if method == "PUT" else None) as proxy:
        told = one_line(storage.seal("-o", f"s3://{bucket}/x", input=b"short", url=proxy.url, check=1))
    assert code in told and says in told
    assert "--s3-wait" not in told and "credentials" not in told, "neither waiting nor another user helps"
    assert s3.keys(bucket) == []


def test_a_kms_that_answers_without_end_is_none(storage, s3):
    with Proxy(s3, lambda *_: Endless(200)) as proxy:
        before = time.monotonic()
        failed = storage.host.run("key", "list", "--endpoint-url", proxy.url, "--kms-wait", "0", check=None)
        assert failed.returncode not in (0, 101) and time.monotonic() - before < 15, failed.stderr


def test_a_version_that_was_not_asked_for_is_an_error(storage, s3, bucket):
    """A server that doesn't know If-Match."""
    storage.seal("-o", f"s3://{bucket}/x", input=os.urandom(3 * PART))
    other = s3.get(bucket, "x")[::-1]
    gets = iter(range(100))

    def fault(method, *_):
        if method != "GET":
            return None
        if next(gets) == 1:
            s3.client.put_object(Bucket=bucket, Key="x", Body=other)
        return Without("if-match")

    with Proxy(s3, fault) as proxy:
        failed = storage.open("-o", "back", f"s3://{bucket}/x", url=proxy.url, check=1)
    assert "replaced meanwhile" in one_line(failed) and not (storage.host.home / "back").exists()


def test_what_is_left_of_an_upload_is_told_in_the_one_line(storage, s3, bucket):
    def fails(abort):
        def fault(method, _path, query, _number):
            if completes(method, query):
                return (500, "InternalError")
            return abort if method == "DELETE" else None
        return fault

    args = ["--s3-wait", "0", "-o", f"s3://{bucket}/x"]
    for abort, left in ((None, False), ((404, "NoSuchUpload"), False), ((500, "InternalError"), True)):
        with Proxy(s3, fails(abort)) as proxy:
            failed = storage.seal(*args, input=bytes(PART), url=proxy.url, check=1)
        assert ("may be left" in one_line(failed)) == left, failed.stderr
    with Proxy(s3, lambda method, _path, query, _: "lost" if method == "POST" and "uploads" in query else None) as proxy:
        failed = storage.seal(*args, input=bytes(PART), url=proxy.url, check=1)
    assert "an upload without parts" in one_line(failed)


def test_what_cannot_stand_in_a_request_is_refused_before_one_is_made(storage, s3, bucket):
    args = ["-o", f"s3://{bucket}/x"]
    for url in (f"http://u:CANARY@127.0.0.1:{s3.port}", f"http://u:CANARY @127.0.0.1:{s3.port}"):
        assert "object storage" in one_line(storage.seal(*args, input=b"x", url=url, check=2))
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            failed = storage.host.run("encrypt", "-k", storage.key, *args, input=b"x", env={name: url}, check=2)
            assert b"CANARY" not in failed.stderr and "object storage" in one_line(failed)
    assert "no URL of object storage" in one_line(storage.seal(*args, input=b"x", url="ftp://host", check=2))
    assert "region" in one_line(storage.seal("--s3-region", "us\x1b[31m", *args, input=b"x", check=2))
    assert "region" in one_line(storage.seal(*args, input=b"x", env={"AWS_REGION": "us-east-1\nx"}, check=2))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        env = {"AWS_ACCESS_KEY_ID": "AKIDX", "AWS_SECRET_ACCESS_KEY": "CANARY", name: "CANARY\x1b[31m"}
        assert "control" in one_line(storage.seal(*args, input=b"x", env=env, check=4))
        at_kms = storage.host.run("key", "list", "--endpoint-url", s3.url, "--kms-wait", "0", env=env, check=4)
        assert "control" in one_line(at_kms) and b"CANARY" not in at_kms.stderr
    failed = storage.host.run("key", "list", "--endpoint-url", s3.url, "--region", "us\x1b[31m", check=2)
    assert "region" in one_line(failed)


def test_keys_of_this_host_follow_the_object_that_is_there(storage, s3, bucket, other_key):
    home, url = storage.host.home, f"s3://{bucket}/x"

    def seal(content, **more):
        return storage.seal("--s3-wait", "0", "--force", "--detached-keys", "--keys", "x.keys", "-o", url, input=content, **more)

    seal(b"first")
    # The object is there, and nobody can tell: its keys stay where they are found.
    made = []

    def fault(method, path, _query, _number):
        if method == "PUT":
            made.append(path)
            return Answer(500, done=True)
        return (500, "InternalError") if method == "HEAD" and made else None

    with Proxy(s3, fault) as proxy:
        failed = seal(b"second", url=proxy.url, check=1)
    assert "x.keys.new" in one_line(failed)
    stale = (home / "x.keys").read_bytes()
    assert storage.open("--keys", "x.keys", "-o", "-", url).stdout == b"second"
    refused = storage.run("rewrap", "-k", storage.key, "--to", other_key, "x.keys", check=1)
    assert "x.keys.new" in one_line(refused) and (home / "x.keys").read_bytes() == stale
    storage.run("rewrap", "-k", storage.key, "--to", other_key, "--keys", "x.keys", url)
    assert not (home / "x.keys.new").exists()
    assert storage.run("decrypt", "-k", other_key, "--keys", "x.keys", "-o", "-", url).stdout == b"second"
    # What the object doesn't tell is refused before the command is run.
    (home / "x.keys").rename(home / "x.keys.new")
    (home / "x.keys").write_bytes(stale)
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"theirs")
    refused = storage.seal("--force", "--detached-keys", "--keys", "x.keys", "-o", url, "--", "touch", "ran", check=1)
    assert "x.keys.new" in one_line(refused) and not (home / "ran").exists()
