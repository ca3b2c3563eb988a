"""Objects as inputs and outputs, against a real S3 server: whole or not at all, through failures of the network and of the process."""

import os
import re
import signal
import subprocess
import time

import pytest
from object_storage import PART, TIMED, Proxy, one_line


def test_files_streams_and_objects_become_objects_and_come_back(storage, s3, bucket):
    home, content = storage.host.home, os.urandom(2 * PART + 12345)
    (home / "plain").write_bytes(content)
    storage.seal("-o", f"s3://{bucket}/from-file", "plain")
    storage.seal("-o", f"s3://{bucket}/from-stream", input=content)
    storage.seal("-o", f"s3://{bucket}/short", input=b"short")
    s3.client.put_object(Bucket=bucket, Key="plain", Body=content)
    storage.seal(f"s3://{bucket}/plain")
    assert sorted(s3.keys(bucket)) == ["from-file", "from-stream", "plain", "plain.sealed", "short"]
    assert not s3.uploads(bucket)
    assert s3.get(bucket, "plain") == content
    for key, expected in (("from-file", content), ("from-stream", content), ("plain.sealed", content), ("short", b"short")):
        assert storage.open("-o", "-", f"s3://{bucket}/{key}").stdout == expected, key
        storage.open("--force", "-o", "back", f"s3://{bucket}/{key}")
        assert (home / "back").read_bytes() == expected, key
        storage.run("verify", "-k", storage.key, f"s3://{bucket}/{key}")
    assert (home / "back").stat().st_mode & 0o777 == 0o600, "what comes from elsewhere is private"
    # An ordinary message: what opens files opens it.
    (home / "message").write_bytes(s3.get(bucket, "from-stream"))
    assert storage.open("-o", "-", "message").stdout == content
    # Plaintext goes into the bucket only if that is asked for.
    refused = storage.open(f"s3://{bucket}/plain.sealed", check=2)
    assert "name the output with -o" in one_line(refused)
    # From object to object.
    storage.open("-o", f"s3://{bucket}/opened", f"s3://{bucket}/from-file")
    assert s3.get(bucket, "opened") == content
    assert "plaintext     16789561 bytes" in storage.run("inspect", f"s3://{bucket}/from-file").stdout.decode()


def test_each_part_has_a_checksum_that_the_server_checks(storage, s3, bucket):
    with Proxy(s3, lambda *_: None) as proxy:
        storage.seal("-o", f"s3://{bucket}/x", input=bytes(PART), url=proxy.url)
    parts = [headers for method, _, query, headers in proxy.seen if method == "PUT" and "partNumber" in query]
    assert len(parts) == 2 and all("x-amz-checksum-crc32c" in part for part in parts)


def test_an_object_that_is_there_is_not_replaced_without_force(storage, s3, bucket):
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"theirs")
    refused = storage.seal("-o", f"s3://{bucket}/x", input=b"mine", check=1)
    assert "exists" in one_line(refused) and f"s3://{bucket}/x" in one_line(refused)
    storage.seal("--force", "-o", f"s3://{bucket}/x", input=b"mine")
    assert storage.open("-o", "-", f"s3://{bucket}/x").stdout == b"mine"
    # Nor one that appears meanwhile, whether it comes in parts or not.
    for size in (1, PART + 1):
        process = storage.start("-o", f"s3://{bucket}/late-{size}")
        process.stdin.write(bytes(size))
        process.stdin.flush()
        time.sleep(1)
        s3.client.put_object(Bucket=bucket, Key=f"late-{size}", Body=b"theirs")
        _, stderr = process.communicate()
        assert process.returncode == 1 and "exists" in one_line(stderr.decode()), stderr
        assert s3.get(bucket, f"late-{size}") == b"theirs"
    assert not s3.uploads(bucket)
    refused = storage.seal("--force", "-o", f"s3://{bucket}/x", f"s3://{bucket}/x", check=2)
    assert "the input is the output" in one_line(refused)


@pytest.mark.parametrize("key", ["a b", "100%25", "a?b=c&d", "a#b", "a+b", "/leading", "a//b", "tr/", "schlüssel/€", "a:b@c", "~'()*!"])
def test_keys_are_taken_to_the_letter(storage, s3, bucket, key):
    storage.seal("-o", f"s3://{bucket}/{key}", input=key.encode())
    assert s3.keys(bucket) == [key]
    assert storage.open("-o", "-", f"s3://{bucket}/{key}").stdout == key.encode()


def test_nothing_is_left_when_the_work_fails(storage, s3, bucket):
    """A message that is damaged at its end is opened into an object: many parts were sent by then."""
    home = storage.host.home
    (home / "plain").write_bytes(os.urandom(3 * PART))
    storage.seal("-o", "sealed", "plain")
    damaged = bytearray((home / "sealed").read_bytes())
    damaged[-1] ^= 1
    (home / "sealed").write_bytes(damaged)
    storage.open("-o", f"s3://{bucket}/x", "sealed", check=3)
    assert s3.keys(bucket) == [] and s3.uploads(bucket) == []


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_aborts_the_upload(storage, s3, bucket, name):
    process = storage.start("-o", f"s3://{bucket}/x")
    process.stdin.write(bytes(2 * PART))
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not s3.uploads(bucket):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    number = getattr(signal, f"SIG{name}")
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert s3.keys(bucket) == [] and s3.uploads(bucket) == []


def test_an_object_that_is_replaced_midway_is_an_error_and_no_mixture(storage, s3, bucket):
    storage.seal("-o", f"s3://{bucket}/x", input=os.urandom(3 * PART))
    other = s3.get(bucket, "x")[::-1]
    gets = iter(range(100))

    def fault(method, *_):
        if method == "GET" and next(gets) == 1:
            return lambda: s3.client.put_object(Bucket=bucket, Key="x", Body=other)

    with Proxy(s3, fault) as proxy:
        failed = storage.open("-o", "back", f"s3://{bucket}/x", url=proxy.url, check=1)
    assert "replaced meanwhile" in one_line(failed)
    assert not (storage.host.home / "back").exists()


def test_a_connection_that_breaks_is_made_anew_where_it_broke(storage, s3, bucket):
    content = os.urandom(2 * PART)
    storage.seal("-o", f"s3://{bucket}/x", input=content)
    cuts = iter(range(100))
    with Proxy(s3, lambda method, *_: "cut" if method == "GET" and next(cuts) % 2 == 0 else None) as proxy:
        assert storage.open("-o", "-", f"s3://{bucket}/x", url=proxy.url).stdout == content
    ranges = [headers["range"] for method, _, _, headers in proxy.seen if method == "GET"]
    assert ranges[:2] == ["bytes=0-4194303", "bytes=2097152-4194303"], "what had come was kept"


def test_a_network_that_stays_away_is_an_error_that_names_everything(storage, s3, bucket):
    storage.seal("-o", f"s3://{bucket}/x", input=bytes(PART))
    with Proxy(s3, lambda method, *_: (503, "SlowDown") if method == "GET" else None) as proxy:
        failed = storage.open("--s3-wait", "1", "-o", "back", f"s3://{bucket}/x", url=proxy.url, check=1)
        assert f"s3://{bucket}/x" in one_line(failed) and proxy.url in one_line(failed) and "--s3-wait" in one_line(failed)
        assert proxy.count("GET") > 1, "it was tried again"
    failed = storage.open("--s3-wait", "1", "-o", "back", f"s3://{bucket}/x", url=proxy.url, check=1)
    assert proxy.url in one_line(failed)
    assert not (storage.host.home / "back").exists()


@pytest.mark.parametrize("status, code", [(500, "InternalError"), (503, "SlowDown")])
def test_a_part_that_fails_once_is_sent_again(storage, s3, bucket, status, code):
    content = os.urandom(3 * PART)
    failed = set()

    def fault(method, _path, query, _number):
        number = query.get("partNumber", [None])[0]
        if method == "PUT" and number and number not in failed:
            failed.add(number)
            return (status, code)

    with Proxy(s3, fault) as proxy:
        storage.seal("-o", f"s3://{bucket}/x", input=content, url=proxy.url)
    assert proxy.count("PUT", "partNumber") == 2 * len(failed) and len(failed) == 4
    assert storage.open("-o", "-", f"s3://{bucket}/x").stdout == content


@pytest.mark.parametrize("size", [1, PART + 1], ids=["one request", "parts"])
def test_an_object_whose_last_answer_is_lost_is_there_and_is_ours(storage, s3, bucket, size):
    def makes_it(method, query):
        return method == ("PUT" if size == 1 else "POST") and (size == 1 or "uploadId" in query)

    made = iter(range(100))
    with Proxy(s3, lambda method, _path, query, _: "lost" if makes_it(method, query) and next(made) == 0 else None) as proxy:
        done = storage.seal("-o", f"s3://{bucket}/x", input=bytes(size), url=proxy.url)
    assert done.stderr == b"" and next(made) == 2, "it was asked for twice"
    assert storage.open("-o", "-", f"s3://{bucket}/x").stdout == bytes(size)
    # That of another is another's, whether its answer was lost or not.
    made = iter(range(100))

    def fault(method, _path, query, _number):
        if makes_it(method, query) and next(made) == 0:
            return lambda: s3.client.put_object(Bucket=bucket, Key="y", Body=b"theirs")

    with Proxy(s3, fault) as proxy:
        failed = storage.seal("-o", f"s3://{bucket}/y", input=bytes(size), url=proxy.url, check=1)
    assert "exists" in one_line(failed) and s3.get(bucket, "y") == b"theirs" and s3.uploads(bucket) == []


def test_a_part_that_keeps_failing_ends_the_upload(storage, s3, bucket):
    def fault(method, _path, query, _number):
        return (500, "InternalError") if method == "PUT" and query.get("partNumber") == ["2"] else None

    with Proxy(s3, fault) as proxy:
        before = time.monotonic()
        failed = storage.seal("--s3-wait", "3", "-o", f"s3://{bucket}/x", input=bytes(3 * PART), url=proxy.url, check=1)
        took = time.monotonic() - before
    assert "InternalError" in one_line(failed)
    assert 3 < took < 30, f"{took} s: as long as --s3-wait says, however long a part may take"
    assert s3.keys(bucket) == [] and s3.uploads(bucket) == []


@pytest.mark.parametrize("status, code", [(403, "AccessDenied"), (400, "ExpiredToken"), (403, "InvalidAccessKeyId"),
                                          (403, "SignatureDoesNotMatch")])
def test_denied_and_expired_credentials_have_an_exit_code_of_their_own(storage, s3, bucket, status, code):
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"x")
    with Proxy(s3, lambda *_: (status, code)) as proxy:
        failed = storage.seal("-o", f"s3://{bucket}/y", input=b"x", url=proxy.url, check=4)
        assert code in one_line(failed)
    with Proxy(s3, lambda *_: (403, code)) as proxy:
        storage.open("-o", "-", f"s3://{bucket}/x", url=proxy.url, check=4)
    without = {"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    assert "no credentials" in one_line(storage.open("-o", "-", f"s3://{bucket}/x", env=without, check=4))


def test_what_is_not_there_is_named(storage, s3, bucket):
    for text in (f"s3://{bucket}/nothing", "s3://no-such-bucket-anywhere/x"):
        failed = storage.open("-o", "-", text, check=1)
        assert text in one_line(failed) and s3.url in one_line(failed)


def test_what_is_no_place_is_refused(storage, s3):
    for text, word in (
        ("gs://bucket/x", "gs://"), ("azure://container/x", "azure://"), ("s3a://bucket/x", "s3a://"),
        ("https://bucket.s3.amazonaws.com/x?X-Amz-Signature=CANARY", "presigned"),
        ("s3://bucket/x?X-Amz-Credential=CANARY&X-Amz-Signature=CANARY", "presigned"),
        ("s3://AKID:CANARY@bucket/x", "no credentials"), ("s3://bucket", "names no object"), ("file://elsewhere/x", "file://"),
    ):
        assert word in one_line(storage.open("-o", "-", text, check=2)), text
        assert word in one_line(storage.seal("-o", text, input=b"x", check=2)), text
    failed = storage.seal("-o", "s3://bucket/x", input=b"x", url="http://192.0.2.1:9000", check=2)
    assert "--s3-allow-http" in one_line(failed)
    assert "no profile `nobody`" in one_line(storage.seal("--s3-profile", "nobody", "-o", "s3://b-1/x", input=b"x", check=2))


def test_storage_has_a_profile_of_its_own(storage, s3, bucket):
    config = f"[profile store]\nregion = us-east-1\nservices = s\n[services s]\ns3 =\n  endpoint_url = {s3.url}\n"
    storage.aws({"store": ("AKIDOFPROFILE", "CANARY")}, config)
    # What is named goes before what is only there.
    other = {"AWS_ACCESS_KEY_ID": "AKIDOFTHEENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "CANARY"}
    with Proxy(s3, lambda *_: None) as proxy:
        storage.seal("--s3-profile", "store", "-o", f"s3://{bucket}/x", input=b"x", env=other, url=proxy.url)
    assert all("AKIDOFPROFILE" in headers["authorization"] for *_, headers in proxy.seen)
    storage.host.run("encrypt", "-k", storage.key, "--s3-profile", "store", "-o", f"s3://{bucket}/y", input=b"x")
    assert s3.keys(bucket) == ["x", "y"]


def test_file_urls_are_paths(storage):
    home = storage.host.home
    (home / "a b").write_bytes(b"content")
    url = f"file://{home}/a%20b"
    storage.seal(url)
    assert (home / "a b.sealed").exists()
    storage.open("-o", f"file://localhost{home}/c", url + ".sealed")
    assert (home / "c").read_bytes() == b"content"


def test_memory_stays_bounded_and_the_disk_is_not_used(storage, s3, bucket):
    """A stream of 160 MiB into parts, and back, with a temporary directory that takes nothing."""
    env = storage.host.env | {"TMPDIR": "/nonexistent"}
    size = 160 << 20
    before = set(storage.host.home.iterdir())
    limit = 64 + 5 * 9 + 24  # MiB: and the parts in flight, with the one that is filled; and what a debug build has more.

    def peak(*command, **more):
        timed = ["/usr/bin/env", "python3", "-c", TIMED, str(storage.host.binary), *command]
        done = subprocess.run(timed, env=env, cwd=storage.host.home, capture_output=True, timeout=170, **more)
        assert done.returncode == 0, done.stderr
        return int(re.search(rb"peak (\d+)", done.stderr)[1]) >> 10, done

    common = ["-k", storage.key, "--s3-endpoint-url", s3.url]
    with open("/dev/zero", "rb") as zero:
        head = subprocess.Popen(["head", "-c", str(size)], stdin=zero, stdout=subprocess.PIPE)
        used, _ = peak("encrypt", *common, "-o", f"s3://{bucket}/x", stdin=head.stdout)
    assert used < limit, f"{used} MiB to seal"
    used, done = peak("verify", *common, f"s3://{bucket}/x")
    assert used < limit, f"{used} MiB to open"
    assert set(storage.host.home.iterdir()) == before
