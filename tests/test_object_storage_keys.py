"""Detached keys as an object beside the one that they open: whatever happens to the writers, what is there opens."""

import itertools
import json
import os
import time

import pytest
from object_storage import PART, Proxy, one_line


def new(storage, output, content, *args, **more):
    return storage.seal("--detached-keys", *args, "-o", output, input=content, **more)


def test_keys_stand_beside_their_object_and_are_found(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/dir/a b"
    for size in (7, PART + 7):
        content = os.urandom(size)
        with Proxy(s3, lambda *_: None) as proxy:
            new(storage, url, content, *(["--force"] if size > 7 else []), url=proxy.url)
        assert s3.keys(bucket) == ["dir/a b", "dir/a b.keys"], "and nothing else is left"
        writes = [path.rpartition("/")[2] for method, path, query, _ in proxy.seen
                  if method == "PUT" and "partNumber" not in query or method == "POST" and "uploadId" in query]
        first, second = writes[:2]
        assert first.startswith("a%20b.keys") and second == "a%20b", "the keys are there first"
        assert storage.open("-o", "-", url).stdout == content
        assert storage.open("--range", "2-4", "-o", "-", url).stdout == content[2:5]
        storage.run("verify", "-k", storage.key, url)
        assert storage.opens(other_key, url) is None
    shown = json.loads(storage.run("inspect", "--json", url).stdout)
    assert shown["keys_file"] == url + ".keys" and [key["name"] for key in shown["keys"]] == ["test:key"]
    # Without --force neither is replaced, nor keys whose object is gone.
    assert "exists" in one_line(new(storage, url, b"x", check=1))
    s3.client.delete_object(Bucket=bucket, Key="dir/a b")
    assert f"`{url}.keys` exists" in one_line(new(storage, url, b"x", check=1))
    assert s3.keys(bucket) == ["dir/a b.keys"]


def test_keys_may_be_an_object_of_another_name(storage, s3, bucket):
    url, keys = f"s3://{bucket}/x", f"s3://{bucket}/elsewhere"
    new(storage, url, b"content", "--keys", keys)
    new(storage, url, b"again", "--force", "--keys", keys)
    assert s3.keys(bucket) == ["elsewhere", "x"]
    assert storage.open("--keys", keys, "-o", "-", url).stdout == b"again"
    assert f"{url}.keys` is not there" in one_line(storage.open("-o", "-", url, check=3))
    # Those of a file here, too, but a file here is not sealed so.
    (storage.host.home / "f").write_bytes(b"file")
    storage.host.run("encrypt", "-k", storage.key, "--detached-keys", "f")
    s3.client.put_object(Bucket=bucket, Key="f.keys", Body=(storage.host.home / "f.sealed.keys").read_bytes())
    (storage.host.home / "f.sealed.keys").unlink()
    assert storage.open("--keys", f"s3://{bucket}/f.keys", "-o", "-", "f.sealed").stdout == b"file"
    refused = storage.seal("--detached-keys", "--keys", f"s3://{bucket}/g.keys", "-o", "g", input=b"x", check=2)
    assert "those of an object" in one_line(refused)
    refused = storage.seal("--detached-keys", "--keys", f"s3://{bucket}/z", "-o", f"s3://{bucket}/z", input=b"x", check=2)
    assert "a file of their own" in one_line(refused)


def test_keys_that_are_missing_or_anothers_are_told_as_those_of_files(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/x"
    new(storage, url, b"content")
    new(storage, f"s3://{bucket}/y", b"other")
    s3.client.delete_object(Bucket=bucket, Key="x.keys")
    for command in (["decrypt", "-o", "-"], ["verify"], ["inspect"], ["rewrap", "--add", other_key]):
        failed = storage.run(*command, url, check=3)
        assert f"`{url}` was sealed with detached keys, and `{url}.keys` is not there" in one_line(failed)
    s3.client.copy_object(Bucket=bucket, Key="x.keys", CopySource={"Bucket": bucket, "Key": "y.keys"})
    assert "the keys of another file" in one_line(storage.open("-o", "-", url, check=3))
    s3.client.put_object(Bucket=bucket, Key="x.keys", Body=b"no keys")
    assert "not a sealed message" in one_line(storage.open("-o", "-", url, check=3))
    assert s3.get(bucket, "x.keys") == b"no keys"


@pytest.mark.parametrize("forwarded", [False, True], ids=["before a request", "after a request"])
def test_whenever_a_writer_is_killed_what_is_there_opens(storage, s3, bucket, forwarded):
    url, held = f"s3://{bucket}/x", {}
    new(storage, url, b"0")
    present = b"0"
    for number in itertools.count(1):
        held.clear()

        def fault(_method, _path, _query, seen):
            if seen != number:
                return None
            while "process" not in held:
                time.sleep(0.01)
            held["process"].kill()
            held["process"].wait()
            return None if forwarded else (500, "InternalError")

        with Proxy(s3, fault) as proxy:
            process = held["process"] = storage.start("--force", "--detached-keys", "-o", url, url=proxy.url)
            process.communicate(str(number).encode())
            time.sleep(0.2)
        found = storage.opens(storage.key, url)
        assert found in (present, str(number).encode()), number
        present = found
        if process.returncode == 0:
            break
        assert process.returncode == -9
    assert number > 6 and present == str(number).encode()


def test_of_two_writers_at_once_the_later_object_opens_and_nothing_is_left(storage, s3, bucket):
    url = f"s3://{bucket}/x"
    new(storage, url, b"old")
    for number in itertools.count(1):
        theirs, mine = f"theirs-{number}".encode(), f"mine-{number}".encode()

        def fault(_method, _path, _query, seen):
            if seen == number:
                return lambda: new(storage, url, theirs, "--force")

        with Proxy(s3, fault) as proxy:
            new(storage, url, mine, "--force", url=proxy.url)
        if len(proxy.seen) < number:
            break
        assert storage.opens(storage.key, url) in (mine, theirs), number
        assert s3.keys(bucket) == ["x", "x.keys"], number
    assert number > 6 and storage.opens(storage.key, url) == mine


def test_recipients_that_change_while_a_writer_is_at_work_stay_changed(storage, s3, bucket, other_key):
    """The writer has its object there, and has yet to give the keys their name."""
    url = f"s3://{bucket}/x"
    new(storage, url, b"old")
    for method in ("GET", "HEAD", "PUT"):
        done = []

        def fault(asked, path, *_):
            # From when the object is there.
            if asked == "PUT" and path.endswith("/x"):
                done.append("object")
            elif done == ["object"] and asked == method:
                done.append("rewrapped")
                return lambda: storage.run("rewrap", "-k", storage.key, "--to", other_key, url)

        with Proxy(s3, fault) as proxy:
            new(storage, url, method.encode(), "--force", url=proxy.url)
        assert done == ["object", "rewrapped"]
        assert storage.opens(other_key, url) == method.encode() and storage.opens(storage.key, url) is None
        assert s3.keys(bucket) == ["x", "x.keys"]


def test_an_object_that_does_not_appear_leaves_what_is_there_as_it_was(storage, s3, bucket):
    url = f"s3://{bucket}/x"

    def fault(method, path, *_):
        return (500, "InternalError") if method == "PUT" and path.endswith("/x") else None

    with Proxy(s3, fault) as proxy:
        failed = new(storage, url, b"content", "--s3-wait", "0", url=proxy.url, check=1)
        assert f"stand as `{url}.keys`" in one_line(failed)
        new(storage, url, b"old", "--force")
        new(storage, url, b"new", "--force", "--s3-wait", "0", url=proxy.url, check=1)
    assert storage.opens(storage.key, url) == b"old"
    new(storage, url, b"new", "--force")
    assert storage.opens(storage.key, url) == b"new"
    # What fails before has written no keys.
    storage.seal("--detached-keys", "-o", f"s3://{bucket}/y", "--", "sh", "-c", "echo x; exit 1", check=7)
    assert not [key for key in s3.keys(bucket) if key.startswith("y")]


def test_recipients_change_and_the_object_does_not(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/x"
    content = os.urandom(1000)
    new(storage, url, content)
    before = s3.client.head_object(Bucket=bucket, Key="x")
    s3.client.copy_object(Bucket=bucket, Key="x.keys", CopySource={"Bucket": bucket, "Key": "x.keys"},
                          MetadataDirective="REPLACE", Metadata={"theirs": "kept"}, ContentType="application/x-keys")
    dry = storage.run("rewrap", "-k", storage.key, "--add", other_key, "--dry-run", url)
    assert b"also for test:other" in dry.stdout and storage.opens(other_key, url) is None
    storage.run("rewrap", "-k", storage.key, "--add", other_key, url)
    assert storage.opens(other_key, url) == content == storage.opens(storage.key, url)
    # By the name of the keys, too.
    storage.run("rewrap", "-k", other_key, "--remove", "test:key", url + ".keys")
    assert storage.opens(other_key, url) == content and storage.opens(storage.key, url) is None
    after = s3.client.head_object(Bucket=bucket, Key="x")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    keys = s3.client.head_object(Bucket=bucket, Key="x.keys")
    assert keys["ContentType"] == "application/x-keys" and keys["Metadata"]["theirs"] == "kept"
    assert s3.keys(bucket) == ["x", "x.keys"]
    again = json.loads(storage.run("rewrap", "--json", "-k", other_key, "--to", other_key, url).stdout)
    assert again["event"] == "unchanged"
    # Where only the keys are.
    s3.client.delete_object(Bucket=bucket, Key="x")
    storage.run("rewrap", "-k", other_key, "--to", storage.key, url + ".keys")
    shown = json.loads(storage.run("inspect", "--json", url + ".keys").stdout)
    assert [key["name"] for key in shown["keys"]] == ["test:key"]


def test_of_two_rewraps_at_once_the_later_is_told_and_loses_nothing(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/x"
    new(storage, url, b"content")
    third = storage.host.home / "third"
    third.touch(0o600)
    third.write_bytes(os.urandom(32))
    third = f"raw-aes:test:third:{third}"
    puts = iter(range(100))

    def fault(method, *_):
        if method == "PUT" and next(puts) == 0:
            return lambda: storage.run("rewrap", "-k", storage.key, "--add", third, url)

    with Proxy(s3, fault) as proxy:
        failed = storage.run("rewrap", "-k", storage.key, "--add", other_key, url, url=proxy.url, check=1)
    assert "changed meanwhile" in one_line(failed) and f"{url}.keys" in one_line(failed)
    assert storage.opens(third, url) == b"content" and storage.opens(other_key, url) is None
    puts = iter(range(100))
    with Proxy(s3, lambda method, *_: "lost" if method == "PUT" and next(puts) == 0 else None) as proxy:
        storage.run("rewrap", "-k", storage.key, "--add", other_key, url, url=proxy.url)
    assert proxy.count("PUT") == 2, "the answer was lost, and the second one refused"
    assert storage.opens(third, url) == storage.opens(other_key, url) == storage.opens(storage.key, url) == b"content"


def test_rewrap_ends_what_a_killed_writer_has_begun(storage, s3, bucket, other_key):
    url, held = f"s3://{bucket}/x", {}
    new(storage, url, b"old")

    def fault(method, path, *_):
        if method == "PUT" and path.endswith("/x.keys"):
            held["process"].kill()
            held["process"].wait()
            return (500, "InternalError")

    with Proxy(s3, fault) as proxy:
        process = held["process"] = storage.start("--force", "--detached-keys", "-o", url, url=proxy.url)
        process.communicate(b"new")
    keys = s3.keys(bucket)
    assert len(keys) == 3 and keys[2].startswith("x.keys.")
    shown = json.loads(storage.run("inspect", "--json", url).stdout)
    assert shown["keys_file"] == f"s3://{bucket}/{keys[2]}"
    storage.run("rewrap", "-k", storage.key, "--to", other_key, url)
    assert storage.opens(other_key, url) == b"new" and storage.opens(storage.key, url) is None
    assert s3.keys(bucket) == ["x", "x.keys"]


@pytest.mark.parametrize("size", [9, PART + 9], ids=["one request", "parts"])
def test_an_object_without_detached_keys_is_sealed_anew(storage, s3, bucket, other_key, size):
    url, content = f"s3://{bucket}/x", os.urandom(size)
    storage.seal("-c", "tenant=a", "--frame-length", "4096", "-o", url, input=content)
    s3.client.copy_object(Bucket=bucket, Key="x", CopySource={"Bucket": bucket, "Key": "x"}, MetadataDirective="REPLACE",
                          Metadata={"theirs": "kept"}, ContentType="application/x-tar")
    old = s3.get(bucket, "x")
    dry = storage.run("rewrap", "-k", storage.key, "--add", other_key, "--dry-run", url)
    assert f"{len(old)} bytes" in dry.stdout.decode() and s3.get(bucket, "x") == old
    done = storage.run("rewrap", "-k", storage.key, "--to", other_key, url)
    assert "sealed anew in full" in one_line(done)
    assert storage.opens(other_key, url, "-c", "tenant=a") == content and storage.opens(storage.key, url) is None
    assert s3.get(bucket, "x")[-20:] != old[-20:]
    shown = json.loads(storage.run("inspect", "--json", url).stdout)
    assert shown["frame_length"] == 4096
    found = s3.client.head_object(Bucket=bucket, Key="x")
    assert found["ContentType"] == "application/x-tar" and found["Metadata"]["theirs"] == "kept"
    assert s3.keys(bucket) == ["x"] and not s3.uploads(bucket)


def test_what_is_sealed_anew_replaces_nothing_that_another_has_written_meanwhile(storage, s3, bucket, other_key):
    url = f"s3://{bucket}/x"
    storage.seal("-o", url, input=b"content")
    puts = iter(range(100))

    def fault(method, *_):
        if method == "PUT" and next(puts) == 0:
            return lambda: s3.client.put_object(Bucket=bucket, Key="x", Body=b"theirs")

    with Proxy(s3, fault) as proxy:
        failed = storage.run("rewrap", "-q", "-k", storage.key, "--to", other_key, url, url=proxy.url, check=1)
    assert "replaced meanwhile" in one_line(failed) and s3.get(bucket, "x") == b"theirs"
    storage.seal("--force", "-o", url, input=b"content")
    s3.client.put_object_tagging(Bucket=bucket, Key="x", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    failed = storage.run("rewrap", "-q", "-k", storage.key, "--to", other_key, url, check=1)
    assert "it has tags" in one_line(failed) and storage.opens(storage.key, url) == b"content"
