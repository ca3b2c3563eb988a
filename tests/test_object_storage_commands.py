"""What commands do beside sealing and opening whole files works with objects, or is refused in one line."""

import datetime
import json
import os
import time

import pytest
from object_storage import PART, Proxy, one_line

FRAME = 4096


def test_what_a_command_writes_becomes_an_object_only_if_it_succeeds(storage, s3, bucket):
    for size in (5, PART + 5):
        storage.seal("-o", f"s3://{bucket}/good-{size}", "--", "sh", "-c", f"head -c {size} /dev/zero")
        assert storage.open("-o", "-", f"s3://{bucket}/good-{size}").stdout == bytes(size)
        # Parts are sent by the time that the command fails.
        failed = storage.seal("-o", f"s3://{bucket}/bad-{size}", "--", "sh", "-c", f"head -c {size} /dev/zero; exit 3", check=7)
        assert "exit status 3" in one_line(failed) and "not published" in one_line(failed)
    absent = storage.seal("-o", f"s3://{bucket}/bad", "--", "/nonexistent", check=7)
    assert "nothing was written" in one_line(absent)
    assert s3.keys(bucket) == [f"good-{size}" for size in (5, PART + 5)]
    assert s3.uploads(bucket) == []
    # What was there stays, whatever --force says.
    before = s3.get(bucket, "good-5")
    storage.seal("--force", "-o", f"s3://{bucket}/good-5", "--", "sh", "-c", "echo new; exit 1", check=7)
    assert s3.get(bucket, "good-5") == before


def test_a_command_is_fed_from_an_object(storage, bucket):
    storage.seal("-o", f"s3://{bucket}/x", input=b"content")
    storage.open(f"s3://{bucket}/x", "--", "sh", "-c", "cat > got")
    assert (storage.host.home / "got").read_bytes() == b"content"
    storage.open("--range", "1-3", f"s3://{bucket}/x", "--", "sh", "-c", "cat > got")
    assert (storage.host.home / "got").read_bytes() == b"ont"


def test_the_objects_of_the_s3_encryption_client_take_the_same_ways(storage, s3, bucket):
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/x", "--", "echo", "content")
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/bad", "--", "sh", "-c", "echo content; exit 1", check=7)
    assert s3.keys(bucket) == ["x"]
    storage.open(f"s3://{bucket}/x", "--", "sh", "-c", "cat > got")
    assert (storage.host.home / "got").read_bytes() == b"content\n"
    whole = storage.open("--range", "1-3", "-o", "-", f"s3://{bucket}/x", check=2)
    assert "opened whole" in one_line(whole)


def test_a_directory_becomes_one_object_and_a_directory_again(storage, s3, bucket):
    home = storage.host.home
    (home / "tree" / "deep").mkdir(parents=True)
    (home / "tree" / "deep" / "file").write_bytes(b"content")
    storage.seal("--archive", "-o", f"s3://{bucket}/tree.tar.sealed", "tree")
    storage.open("--archive", "-o", "back", f"s3://{bucket}/tree.tar.sealed")
    assert (home / "back" / "deep" / "file").read_bytes() == b"content"
    for refused, word in (
        (storage.seal("-o", f"s3://{bucket}/tree", "tree", check=2), "--archive"),
        (storage.open("--archive", f"s3://{bucket}/tree.tar.sealed", check=2), "name it with -o"),
        (storage.open("--archive", "-o", f"s3://{bucket}/x", f"s3://{bucket}/tree.tar.sealed", check=2), "of this host"),
        (storage.seal("--archive", f"s3://{bucket}/tree.tar.sealed", check=2), "is no directory"),
    ):
        assert word in one_line(refused)
    storage.host.run("encrypt", "-k", storage.key, "tree")
    assert "--archive" in one_line(storage.open("-o", f"s3://{bucket}/tree", "tree.sealed", check=2))
    assert s3.keys(bucket) == ["tree.tar.sealed"]


def test_a_range_is_read_without_the_rest(storage, s3, bucket):
    content = os.urandom(5 << 20)
    storage.seal("--frame-length", FRAME, "-o", f"s3://{bucket}/x", input=content)
    for first, last in ((0, 0), (FRAME - 1, FRAME), (3_000_000, 3_100_000), (len(content) - 1, len(content) + 5)):
        with Proxy(s3, lambda *_: None) as proxy:
            got = storage.open("--range", f"{first}-{last}", "-o", "-", f"s3://{bucket}/x", url=proxy.url).stdout
        assert got == content[first:last + 1], (first, last)
        asked = [headers["range"].removeprefix("bytes=").split("-") for method, *_, headers in proxy.seen if method == "GET"]
        read = sum(int(to) - int(start) + 1 for start, to in asked)
        assert read < 600_000, f"{read} bytes for {last - first + 1}"
    got = storage.open("--range", "1000000-", "-o", "-", f"s3://{bucket}/x").stdout
    assert got == content[1000000:]


def test_keys_of_an_object_may_be_in_a_file_here(storage, s3, bucket):
    home = storage.host.home
    url = f"s3://{bucket}/x"
    for size in (3, PART + 3):
        storage.seal("--force", "--detached-keys", "--keys", "x.keys", "-o", url, input=bytes(size))
        assert storage.open("--keys", "x.keys", "-o", "-", url).stdout == bytes(size)
        storage.run("verify", "-k", storage.key, "--keys", "x.keys", url)
    assert sorted(path.name for path in home.iterdir() if "keys" in path.name) == ["x.keys"]
    assert json.loads(storage.run("inspect", "--json", "--keys", "x.keys", url).stdout)["keys_file"] == "x.keys"
    assert "--keys" in one_line(storage.open("-o", "-", url, check=3))
    refused = storage.seal("--detached-keys", "--keys", "file:///y.keys", "-o", f"s3://{bucket}/y", input=b"x", check=2)
    assert "give its path" in one_line(refused)
    # An object that doesn't appear leaves the keys of the one that is there as they are.
    def fault(method, _path, query, _number):
        return (500, "InternalError") if method == "POST" and "uploadId" in query else None

    with Proxy(s3, fault) as proxy:
        storage.seal("--force", "--s3-wait", "0", "--detached-keys", "--keys", "x.keys", "-o", url, input=bytes(PART + 1),
                     url=proxy.url, check=1)
    assert storage.open("--keys", "x.keys", "-o", "-", url).stdout == bytes(PART + 3)
    # Nor do its keys, which it has left, stand in the way of the next.
    assert (home / "x.keys.new").exists()
    storage.seal("--force", "--detached-keys", "--keys", "x.keys", "-o", url, input=b"x")
    assert storage.open("--keys", "x.keys", "-o", "-", url).stdout == b"x" and not (home / "x.keys.new").exists()


def test_one_data_key_is_for_many_objects(storage, s3, bucket):
    home = storage.host.home
    inputs = [f"s3://{bucket}/{name}" for name in "ab"]
    for name in "ab":
        s3.client.put_object(Bucket=bucket, Key=name, Body=name.encode())
    storage.seal("--reuse-data-key", *inputs)
    for name in "ab":
        assert storage.open("--reuse-data-key", "-o", "-", f"s3://{bucket}/{name}.sealed").stdout == name.encode()
    # Behind the key's namespace: its name with lengths and IV (25 bytes), and 48 bytes behind their length.
    edks = {s3.get(bucket, f"{name}.sealed").split(b"test", 1)[1][:75] for name in "ab"}
    assert len(edks) == 1, "the encrypted data key is the same"
    assert not list(home.glob("*.sealed"))


def test_progress_and_results_are_told_as_of_files(storage, s3, bucket):
    with Proxy(s3, lambda method, _path, query, _: (lambda: time.sleep(2)) if "partNumber" in query else None) as proxy:
        done = storage.seal("--json", "-o", f"s3://{bucket}/x", "--", "head", "-c", str(PART + 1), "/dev/zero", url=proxy.url)
    events = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert {"progress", "command", "sealed"} <= {event["event"] for event in events}
    sealed = next(event for event in events if event["event"] == "sealed")
    assert sealed["output"] == f"s3://{bucket}/x" and sealed["plaintext_bytes"] == PART + 1
    inspected = json.loads(storage.run("inspect", "--json", f"s3://{bucket}/x").stdout)
    assert inspected["event"] == "inspected" and inspected["plaintext_bytes"] == PART + 1


def test_a_drill_opens_objects(fresh_host, storage, s3, bucket):
    host = storage.host
    host.run("key", "create", "alias/backup")
    storage.run("encrypt", "-k", "alias/backup", "-o", f"s3://{bucket}/message", input=b"content")
    storage.run("encrypt", "-k", "alias/backup", "--format", "s3ec", "-o", f"s3://{bucket}/object", input=b"content")
    storage.run("encrypt", "-k", "alias/backup", "--detached-keys", "-o", f"s3://{bucket}/detached", input=b"content")
    s3.client.put_object(Bucket=bucket, Key="plain", Body=b"content")
    host.run("store", "backup", "keys.bak")
    root = f"file:{host.home}/.config/bulla/root.key"
    done = storage.run("drill", "--store-backup", "keys.bak", "--root-key", root,
                       f"s3://{bucket}/message", f"s3://{bucket}/object")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2 and all("7 bytes" in line and ":key/" in line for line in lines), lines
    done = storage.run("drill", "--json", "--store-backup", "keys.bak", "--root-key", root, f"s3://{bucket}/")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["input"] for event in events if event["event"] == "rehearsed"] == [
        f"s3://{bucket}/{name}" for name in ("detached", "message", "object")]
    nothing = storage.run("drill", "--store-backup", "keys.bak", "--root-key", root, f"s3://{bucket}/none/", check=1)
    assert "no sealed object" in one_line(nothing)


def beside(found):
    return {name: found[name] for name in ("ContentType", "CacheControl", "ContentDisposition", "Expires") if name in found}


@pytest.mark.parametrize("parts", [False, True], ids=["one request", "parts"])
def test_rewrap_gives_an_object_of_the_s3_encryption_client_another_key(storage, s3, bucket, other_key, parts):
    content = os.urandom(12 << 20 if parts else 100)
    env = {"BULLA_TEST_COPY_PART_BYTES": str(5 << 20)} if parts else {}
    url = f"s3://{bucket}/a key with = and ü"
    key = url.removeprefix(f"s3://{bucket}/")
    storage.seal("--format", "s3ec", "-o", url, input=content)
    found = s3.client.get_object(Bucket=bucket, Key=key)
    s3.client.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE",
                          Metadata=found["Metadata"] | {"theirs": "kept"}, ContentType="application/x-tar", CacheControl="no-store",
                          ContentDisposition="attachment", Expires=datetime.datetime(2031, 1, 2, tzinfo=datetime.UTC))
    before, body = s3.client.head_object(Bucket=bucket, Key=key), s3.get(bucket, key)
    dry = storage.run("rewrap", "-k", storage.key, "--to", other_key, "--dry-run", url)
    assert b"test:other" in dry.stdout and s3.client.head_object(Bucket=bucket, Key=key)["Metadata"] == before["Metadata"]
    with Proxy(s3, lambda *_: None) as proxy:
        storage.run("rewrap", "-k", storage.key, "--to", other_key, url, url=proxy.url, env=env)
    assert proxy.count("GET") == 0, "the content stays at the server"
    assert proxy.count("PUT", "partNumber") == (3 if parts else 0)
    after = s3.client.head_object(Bucket=bucket, Key=key)
    assert beside(after) == beside(before) and after["Metadata"]["theirs"] == "kept"
    changed = {name for name in before["Metadata"] if before["Metadata"][name] != after["Metadata"].get(name)}
    assert changed - {"bulla-upload"} == {"x-amz-3"} and s3.get(bucket, key) == body
    assert not s3.uploads(bucket)
    assert storage.run("decrypt", "-k", other_key, "-o", "-", url).stdout == content
    storage.open("-o", "-", url, check=3)
    again = json.loads(storage.run("rewrap", "--json", "-k", other_key, "--to", other_key, url).stdout)
    assert again["event"] == "unchanged"


def test_rewrap_whose_answer_is_lost_is_done(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/x"
    storage.seal("--format", "s3ec", "-o", url, input=b"content")
    puts = iter(range(100))
    with Proxy(s3, lambda method, *_: "lost" if method == "PUT" and next(puts) == 0 else None) as proxy:
        storage.run("rewrap", "-k", storage.key, "--to", other_key, url, url=proxy.url)
    assert proxy.count("PUT") == 2
    assert storage.run("decrypt", "-k", other_key, "-o", "-", url).stdout == b"content"


def test_rewrap_replaces_nothing_that_another_has_written_meanwhile(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/x"
    for size, env in ((10, {}), (11 << 20, {"BULLA_TEST_COPY_PART_BYTES": str(5 << 20)})):
        storage.seal("--force", "--format", "s3ec", "-o", url, input=bytes(size))
        heads = iter(range(100))

        def fault(method, *_):
            if method == "HEAD" and next(heads) == 1:
                return lambda: s3.client.put_object(Bucket=bucket, Key="x", Body=b"theirs")

        with Proxy(s3, fault) as proxy:
            failed = storage.run("rewrap", "-k", storage.key, "--to", other_key, url, url=proxy.url, env=env, check=1)
        assert "replaced meanwhile" in one_line(failed)
        assert s3.get(bucket, "x") == b"theirs" and s3.uploads(bucket) == []


def test_what_rewrap_does_not_do_with_objects_is_refused(storage, s3, bucket, other_key):
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/object", input=b"x")
    found = s3.client.get_object(Bucket=bucket, Key="object")
    body, metadata = found["Body"].read(), found["Metadata"]
    kept = {name: metadata[name] for name in ("x-amz-c", "x-amz-d", "x-amz-i")}
    s3.client.put_object(Bucket=bucket, Key="apart", Body=body, Metadata=kept)
    moved = {name: value for name, value in metadata.items() if name not in kept}
    s3.client.put_object(Bucket=bucket, Key="apart.instruction", Body=json.dumps(moved))
    for key, options, word in (
        ("object", ["--add", other_key], "one key"),
        ("object", ["--to", other_key, "--to", storage.key], "one key"), ("apart", ["--to", other_key], "instruction file"),
    ):
        refused = storage.run("rewrap", "-k", storage.key, *options, f"s3://{bucket}/{key}", check=2)
        assert word in one_line(refused), refused.stderr
    storage.run("rewrap", "-k", other_key, "--to", other_key, f"s3://{bucket}/object", check=3)
    assert s3.client.head_object(Bucket=bucket, Key="object")["Metadata"] == metadata
