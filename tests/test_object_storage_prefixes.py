"""All objects behind a prefix: which key they need, whether they open, and other keys for them."""

import json
import os

import pytest
from object_storage import PAGE, Proxy, one_line


def events(done) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def filled(storage, s3, bucket, other_key):
    """Messages with and without detached keys, an object of the S3 Encryption Client, and what is not sealed."""
    for number in range(PAGE + 3):
        storage.seal("-o", f"s3://{bucket}/p/m {number:02}", input=b"message")
    storage.seal("-k", other_key, "-c", "db=main", "-o", f"s3://{bucket}/p/both", input=b"both")
    storage.seal("--detached-keys", "-o", f"s3://{bucket}/p/detached", input=b"detached")
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/p/s3ec", input=b"s3ec")
    s3.client.put_object(Bucket=bucket, Key="p/plain+ü", Body=os.urandom(100_000))
    s3.client.put_object(Bucket=bucket, Key="p/", Body=b"")
    storage.seal("-o", f"s3://{bucket}/elsewhere", input=b"message")
    return f"s3://{bucket}/p/"


def test_inspect_says_which_objects_need_which_key(storage, s3, bucket, filled):
    with Proxy(s3, lambda *_: None) as proxy:
        told = events(storage.run("inspect", "--json", filled, url=proxy.url))
    lists = [headers for method, _, query, headers in proxy.seen if "list-type" in query]
    assert len(lists) == 2, "two pages"
    ends = {int(headers["range"].rpartition("-")[2]) for _, path, _, headers in proxy.seen if "range" in headers and not path.endswith(".keys")}
    assert ends == {8191} and proxy.count("HEAD") == 0, "of each the start"
    shown = {event["input"]: event for event in told if event["event"] == "inspected"}
    names = ["both", "detached", *(f"m {number:02}" for number in range(PAGE + 3)), "s3ec"]
    assert list(shown) == [filled + name for name in names], "in the order of the bucket"
    assert shown[filled + "detached"]["keys_file"] == filled + "detached.keys"
    assert shown[filled + "both"]["context"] == {"db": "main"}
    assert "format" in shown[filled + "s3ec"]
    summary = told[-1]
    assert summary["event"] == "summary" and summary["input"] == filled
    counts = {name: summary[name] for name in ("sealed", "key_not_named", "not_sealed", "failed")}
    assert counts == {"sealed": PAGE + 6, "key_not_named": 1, "not_sealed": 2, "failed": 0}
    uses = {key["name"]: (key["files"], key["alone"]) for key in summary["keys"]}
    assert uses == {"test:key": (PAGE + 5, PAGE + 4), "test:other": (1, 0)}
    text = storage.run("inspect", filled).stdout.decode()
    assert f"{PAGE + 6} sealed, 2 not sealed, 0 failed" in text and f"{filled}detached: test:key" in text
    # The whole bucket, and what is missing in it.
    s3.client.delete_object(Bucket=bucket, Key="p/detached.keys")
    done = storage.run("inspect", "--json", f"s3://{bucket}/", check=3)
    assert events(done)[-1]["sealed"] == PAGE + 7 and events(done)[-1]["failed"] == 1
    assert "detached.keys` is not there" in one_line(done)


def test_keys_whose_object_is_gone_are_told_of(storage, s3, bucket):
    storage.seal("--detached-keys", "-o", f"s3://{bucket}/p/x", input=b"x")
    s3.client.delete_object(Bucket=bucket, Key="p/x")
    told = events(storage.run("inspect", "--json", f"s3://{bucket}/p/"))
    assert [event["input"] for event in told] == [f"s3://{bucket}/p/x.keys", f"s3://{bucket}/p/"]


def test_an_object_that_is_damaged_or_denied_is_told_and_the_rest_goes_on(storage, s3, bucket, filled):
    s3.client.put_object(Bucket=bucket, Key="p/m 00", Body=s3.get(bucket, "p/m 00")[:50])

    def fault(method, path, *_):
        return (403, "AccessDenied") if method == "GET" and path.endswith("m%2001") else None

    with Proxy(s3, fault) as proxy:
        done = storage.run("inspect", "--json", filled, url=proxy.url, check=4)
    assert events(done)[-1]["failed"] == 2 and events(done)[-1]["sealed"] == PAGE + 4
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2 and "AccessDenied" in lines[1] and "m 00" in lines[0], lines
    # A list that fails is not the end of a list.
    with Proxy(s3, lambda _m, _p, query, _n: (403, "AccessDenied") if "continuation-token" in query else None) as proxy:
        done = storage.run("inspect", "--json", filled, url=proxy.url, check=4)
    assert events(done) and all(event["event"] != "summary" for event in events(done))
    assert "cannot list" in done.stderr.decode()


def test_all_that_is_sealed_is_verified_and_rewrapped(storage, s3, bucket, filled, other_key):
    storage.run("verify", "-k", storage.key, filled)
    dry = storage.run("rewrap", "-v", "-k", storage.key, "--to", other_key, "--dry-run", filled)
    assert len(dry.stdout.splitlines()) == PAGE + 6
    done = storage.run("rewrap", "--json", "-q", "-k", storage.key, "--to", other_key, filled)
    summary = events(done)[-1]
    assert {name: summary[name] for name in ("changed", "unchanged", "others", "failed")} == {
        "changed": PAGE + 6, "unchanged": 0, "others": 3, "failed": 0}
    storage.run("verify", "-k", other_key, filled)
    assert storage.opens(storage.key, f"s3://{bucket}/elsewhere") == b"message"
    again = events(storage.run("rewrap", "--json", "-k", other_key, "--to", other_key, filled))
    assert again[-1]["changed"] == 0 and again[-1]["unchanged"] == PAGE + 6
    s3.client.put_object(Bucket=bucket, Key="p/m 02", Body=s3.get(bucket, "p/m 02")[:-1])
    storage.run("verify", "-k", other_key, filled, check=3)


def test_a_prefix_is_no_place_to_write_to_or_to_read_from(storage, bucket):
    refused = storage.run("inspect", "--keys", "x", f"s3://{bucket}/p/", check=2)
    assert "--keys" in one_line(refused)
    assert "names no object" in one_line(storage.open("-o", "-", f"s3://{bucket}/", check=2))
    for command in (["inspect"], ["verify"], ["rewrap", "--add", storage.key]):
        assert f"names no object; write s3://{bucket}/KEY, or s3://{bucket}/ for all objects" in one_line(storage.run(*command, f"s3://{bucket}", check=2))
    refused = "what is behind a prefix is not taken here"
    storage.seal("-o", f"s3://{bucket}/behind/x", input=b"x")
    assert refused in one_line(storage.open("-o", "-", f"s3://{bucket}/behind/", check=2))
    assert refused in one_line(storage.seal("-o", "x", f"s3://{bucket}/behind/", check=2))
    # A key is no path: an object may be called so.
    storage.seal("-o", f"s3://{bucket}/behind/", input=b"y")
    assert storage.open("-o", "-", f"s3://{bucket}/behind/").stdout == b"y"
    assert "NoSuchBucket" in one_line(storage.run("inspect", "s3://no-such-bucket-anywhere/", check=1))
