"""Blobs of Azure as inputs and outputs, against Microsoft's emulator and beside Microsoft's own client: whole or not at all, through
failures of the network and of the process."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from azure_storage import ACCOUNT, Tokens, azurite, container, storage  # noqa: F401
from object_storage import PART, TIMED, Answer, Endless, Instead, Proxy, one_line


def is_block(query):
    return query.get("comp") == ["block"]


def makes_it(method, query):
    """The request by which an object appears."""
    return method == "PUT" and not is_block(query)


def test_files_streams_and_objects_become_objects_and_come_back(storage, azurite, container):
    home, content = storage.host.home, os.urandom(2 * PART + 12345)
    (home / "plain").write_bytes(content)
    storage.seal("-o", f"az://{container}/from-file", "plain")
    storage.seal("-o", f"az://{container}/from-stream", input=content)
    storage.seal("-o", f"az://{container}/short", input=b"short")
    azurite.put(container, "plain", content)
    storage.seal(f"az://{container}/plain")
    assert azurite.keys(container) == ["from-file", "from-stream", "plain", "plain.sealed", "short"]
    assert azurite.begun(container) == []
    assert azurite.get(container, "plain") == content
    for key, expected in (("from-file", content), ("from-stream", content), ("plain.sealed", content), ("short", b"short")):
        assert storage.open("-o", "-", f"az://{container}/{key}").stdout == expected, key
        storage.run("verify", "-k", storage.key, f"az://{container}/{key}")
    # An ordinary message: what opens files opens it.
    (home / "message").write_bytes(azurite.get(container, "from-stream"))
    assert storage.open("-o", "-", "message").stdout == content
    # Plaintext goes into the container only if that is asked for.
    refused = storage.open(f"az://{container}/plain.sealed", check=2)
    assert "name the output with -o" in one_line(refused)
    storage.open("-o", f"az://{container}/opened", f"az://{container}/from-file")
    assert azurite.get(container, "opened") == content
    assert "plaintext     16789561 bytes" in storage.run("inspect", f"az://{container}/from-file").stdout.decode()
    for text in (f"az://{container}/nothing", "az://no-such-container/x"):
        failed = storage.open("-o", "-", text, check=1)
        assert text in one_line(failed) and azurite.url in one_line(failed)


def test_each_part_has_a_digest_that_the_server_checks(storage, azurite, container):
    with Proxy(azurite, lambda *_: None) as proxy:
        storage.seal("-o", f"az://{container}/x", input=bytes(PART), url=proxy.url)
        storage.seal("-o", f"az://{container}/y", input=b"y", url=proxy.url)
    writes = [(query, headers) for method, _, query, headers in proxy.seen if method == "PUT"]
    assert len(writes) == 4 and all("content-md5" in headers for _, headers in writes)
    assert len([query for query, _ in writes if "comp=block&" in query]) == 2


def test_objects_go_from_one_storage_to_another(storage, azurite, container, s3, bucket):
    content = os.urandom(PART + 5)
    both = ("--s3-endpoint-url", s3.url)
    storage.seal(*both, "-o", f"s3://{bucket}/x", input=content)
    storage.open(*both, "-o", f"az://{container}/opened", f"s3://{bucket}/x")
    assert azurite.get(container, "opened") == content
    storage.seal(*both, "-o", f"s3://{bucket}/again", f"az://{container}/opened")
    assert storage.open(*both, "-o", "-", f"s3://{bucket}/again").stdout == content
    refused = storage.seal(*both, "--detached-keys", "--keys", f"s3://{bucket}/k", "-o", f"az://{container}/k", input=b"x", check=2)
    assert "in the same storage" in one_line(refused)


def test_an_object_that_is_there_is_not_replaced_without_force(storage, azurite, container):
    azurite.put(container, "x", b"theirs")
    refused = storage.seal("-o", f"az://{container}/x", input=b"mine", check=1)
    assert "exists" in one_line(refused) and f"az://{container}/x" in one_line(refused)
    for size in (1, PART + 1):
        storage.seal("--force", "-o", f"az://{container}/x", input=bytes(size))
        assert storage.open("-o", "-", f"az://{container}/x").stdout == bytes(size)
    # Nor one that appears meanwhile, whether it comes in parts or not.
    for size in (1, PART + 1):
        process = storage.start("-o", f"az://{container}/late-{size}")
        process.stdin.write(bytes(size))
        process.stdin.flush()
        time.sleep(1)
        azurite.put(container, f"late-{size}", b"theirs")
        _, stderr = process.communicate()
        assert process.returncode == 1, stderr
        assert f"late-{size}" in one_line(stderr.decode())
        assert azurite.get(container, f"late-{size}") == b"theirs"


@pytest.mark.parametrize("key", ["a b", "100%25", "a?b=c&d", "a#b", "a+b", "/leading", "a//b", "schlüssel/€", "a:b@c", "~'()*!", "..a/.b"])
def test_keys_are_taken_to_the_letter(storage, azurite, container, key):
    storage.seal("-o", f"az://{container}/{key}", input=key.encode())
    assert azurite.keys(container) == [key]
    assert storage.open("-o", "-", f"az://{container}/{key}").stdout == key.encode()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_nothing_appears_when_a_signal_or_the_work_ends_it(storage, azurite, container, name):
    process = storage.start("-o", f"az://{container}/x")
    process.stdin.write(bytes(2 * PART))
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not azurite.begun(container):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    number = getattr(signal, f"SIG{name}")
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert azurite.keys(container) == []
    # What is left of it is in nobody's way.
    storage.seal("-o", f"az://{container}/x", input=bytes(PART))
    failed = storage.seal("--force", "-o", f"az://{container}/x", "--", "sh", "-c", f"head -c {PART + 1} /dev/zero; exit 3", check=7)
    assert "not published" in one_line(failed)
    assert storage.open("-o", "-", f"az://{container}/x").stdout == bytes(PART)
    (storage.host.home / "damaged").write_bytes(azurite.get(container, "x")[:-1])
    storage.open("-o", f"az://{container}/opened", "damaged", check=3)
    assert azurite.keys(container) == ["x"]


def test_an_object_that_is_replaced_midway_is_an_error_and_no_mixture(storage, azurite, container):
    storage.seal("-o", f"az://{container}/x", input=os.urandom(3 * PART))
    other = azurite.get(container, "x")[::-1]
    gets = iter(range(100))

    def fault(method, *_):
        if method == "GET" and next(gets) == 1:
            return lambda: azurite.put(container, "x", other)

    with Proxy(azurite, fault) as proxy:
        failed = storage.open("-o", "back", f"az://{container}/x", url=proxy.url, check=1)
    assert "replaced meanwhile" in one_line(failed)
    assert not (storage.host.home / "back").exists()


def test_a_connection_that_breaks_is_made_anew_where_it_broke(storage, azurite, container):
    content = os.urandom(2 * PART)
    storage.seal("-o", f"az://{container}/x", input=content)
    cuts = iter(range(100))
    with Proxy(azurite, lambda method, *_: "cut" if method == "GET" and next(cuts) % 2 == 0 else None) as proxy:
        assert storage.open("-o", "-", f"az://{container}/x", url=proxy.url).stdout == content
    ranges = [headers["x-ms-range"] for method, _, _, headers in proxy.seen if method == "GET"]
    assert ranges[:2] == ["bytes=0-4194303", "bytes=2097152-4194303"], "what had come was kept"


def test_requests_that_fail_once_are_made_again_and_not_for_ever(storage, azurite, container):
    content, failed = os.urandom(3 * PART), set()

    def fault(_method, _path, query, _number):
        block = query.get("blockid", [None])[0]
        if block and block not in failed:
            failed.add(block)
            return (503, "ServerBusy")

    with Proxy(azurite, fault) as proxy:
        storage.seal("-o", f"az://{container}/x", input=content, url=proxy.url)
    assert len(failed) == 4 and proxy.count("PUT", "comp=block&") == 8
    assert storage.open("-o", "-", f"az://{container}/x").stdout == content
    with Proxy(azurite, lambda _m, _p, query, _n: (500, "InternalError") if is_block(query) else None) as proxy:
        before = time.monotonic()
        refused = storage.seal("--s3-wait", "3", "-o", f"az://{container}/y", input=content, url=proxy.url, check=1)
        assert 3 < time.monotonic() - before < 30 and "InternalError" in one_line(refused)
    refused = storage.open("--s3-wait", "1", "-o", "back", f"az://{container}/x", url=proxy.url, check=1)
    assert proxy.url in one_line(refused) and "--s3-wait" in one_line(refused)
    assert azurite.keys(container) == ["x"]


@pytest.mark.parametrize("size", [1, PART + 1], ids=["one request", "parts"])
def test_an_object_whose_last_answer_is_lost_is_there_and_is_ours(storage, azurite, container, size):
    made = iter(range(100))
    with Proxy(azurite, lambda method, _p, query, _n: "lost" if makes_it(method, query) and next(made) == 0 else None) as proxy:
        done = storage.seal("-o", f"az://{container}/x", input=bytes(size), url=proxy.url)
    assert done.stderr == b"" and next(made) == 2, "it was asked for twice"
    assert storage.open("-o", "-", f"az://{container}/x").stdout == bytes(size)
    # That of another is another's.
    made = iter(range(100))

    def fault(method, _path, query, _number):
        if makes_it(method, query) and next(made) == 0:
            return lambda: azurite.put(container, "y", b"theirs")

    with Proxy(azurite, fault) as proxy:
        failed = storage.seal("-o", f"az://{container}/y", input=bytes(size), url=proxy.url, check=1)
    assert f"az://{container}/y" in one_line(failed) and azurite.get(container, "y") == b"theirs"


@pytest.mark.parametrize("size", [1, PART + 1], ids=["one request", "parts"])
def test_an_answer_that_says_nothing_of_the_object_is_no_success(storage, azurite, container, size):
    """What stands between says 200 or 201 to what never arrived, or arrived all the same."""
    for status in (200, 201):
        for done in (False, True):
            lie = Answer(status, "", done)
            with Proxy(azurite, lambda method, _p, query, _n: lie if makes_it(method, query) else None) as proxy:
                ended = storage.seal("--force", "-o", f"az://{container}/x", input=bytes(size), url=proxy.url, check=0 if done else 1)
            assert done or "not one of object storage" in one_line(ended)
            assert azurite.keys(container) == (["x"] if done else [])
            if done:
                azurite.remove(container, "x")
    if size > 1:
        with Proxy(azurite, lambda _m, _p, query, _n: Answer(201) if is_block(query) else None) as proxy:
            assert "not one of object storage" in one_line(
                storage.seal("-o", f"az://{container}/x", input=bytes(size), url=proxy.url, check=1))


def test_answers_have_an_end(storage, azurite, container):
    storage.seal("-o", f"az://{container}/x", input=b"x")
    for method in ("GET", "PUT"):
        with Proxy(azurite, lambda verb, *_: Endless(403) if verb == method else None) as proxy:
            failed = storage.run(*(["verify", "-k", storage.key] if method == "GET" else ["encrypt", "-k", storage.key, "--force", "-o"]),
                                 f"az://{container}/x", "--s3-wait", "0", url=proxy.url, input=b"", check=None)
            assert failed.returncode in (1, 4), one_line(failed)


def test_who_may_do_what_is_said_by_key_token_or_connection_string(storage, azurite, container):
    storage.seal("-o", f"az://{container}/x", input=b"content")
    without = {"AZURE_STORAGE_KEY": "", "AZURE_STORAGE_ACCOUNT": ""}
    read = azurite.token(container, "r")
    for env in ({"AZURE_STORAGE_SAS_TOKEN": read}, {"AZURE_STORAGE_SAS_TOKEN": "?" + read},
                {"AZURE_STORAGE_CONNECTION_STRING": f"BlobEndpoint=http://127.0.0.1:1/x;SharedAccessSignature={read}"},
                {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName={ACCOUNT};AccountKey={azurite.key}"}):
        assert storage.open("-o", "-", f"az://{container}/x", env=without | env).stdout == b"content"
    denied = storage.seal("--force", "-o", f"az://{container}/x", input=bytes(PART), env=without | {"AZURE_STORAGE_SAS_TOKEN": read}, check=4)
    assert "sig=" not in one_line(denied)
    # The permissions that the page on object storage names.
    def may(permissions):
        return without | {"AZURE_STORAGE_SAS_TOKEN": azurite.token(container, permissions)}
    for size in (1, PART + 1):
        storage.seal("-o", f"az://{container}/p/{size}", input=bytes(size), env=may("w"))
        refused = storage.seal("-o", f"az://{container}/p/{size}", input=bytes(size), env=may("w"), check=1)
        assert "exists" in one_line(refused)
        storage.seal("--detached-keys", "--force", "-o", f"az://{container}/p/{size}", input=bytes(size), env=may("rwd"))
    storage.run("verify", "-k", storage.key, f"az://{container}/p/", env=may("rl"))
    storage.run("verify", "-k", storage.key, f"az://{container}/p/", env=may("r"), check=4)
    assert "no credentials" in one_line(storage.open("-o", "-", f"az://{container}/x", env=without, check=4))
    wrong = {"AZURE_STORAGE_KEY": "Q0FOQVJZ"}
    assert "check the account" in one_line(storage.open("-o", "-", f"az://{container}/x", env=wrong, check=4))
    for env, words in (({"AZURE_STORAGE_KEY": "CANARY!"}, "not base64"), ({"AZURE_STORAGE_ACCOUNT": "a/CANARY"}, "no name of one"),
                       (without | {"AZURE_STORAGE_SAS_TOKEN": "CANARY"}, "is none"), (without | {"AZURE_STORAGE_KEY": "AAAA"}, "name that")):
        assert words in one_line(storage.open("-o", "-", f"az://{container}/x", env=env, check=2)), env
    # Where nothing names a server, it is Azure's own, by TLS.
    nowhere = storage.host.run("verify", "-k", storage.key, "--s3-wait", "0", f"az://{container}/x", check=None,
                               env=without | {"AZURE_STORAGE_CONNECTION_STRING":
                                              f"AccountName=a;AccountKey=AAAA;DefaultEndpointsProtocol=http;EndpointSuffix=invalid"})
    assert nowhere.returncode == 2 and "plain HTTP" in one_line(nowhere)


@pytest.mark.parametrize("who", ["machine", "cluster", "password"])
def test_applications_and_machines_get_tokens(storage, azurite, container, who):
    home, token = storage.host.home, azurite.token(container, "rwl")
    (home / "assertion").write_text("CANARY.ASSERTION\n")

    def run(tokens, check=0):
        application = {"AZURE_TENANT_ID": "our/tenant", "AZURE_CLIENT_ID": "our-client", "AZURE_AUTHORITY_HOST": tokens.url + "/"}
        options, env = {
            "machine": (["--az-managed-identity"], {"AZURE_CLIENT_ID": "our-client", "AZURE_POD_IDENTITY_AUTHORITY_HOST": tokens.url}),
            "cluster": ([], application | {"AZURE_FEDERATED_TOKEN_FILE": str(home / "assertion"), "AZURE_STORAGE_KEY": ""}),
            "password": ([], application | {"AZURE_CLIENT_SECRET": "CANARY&=", "AZURE_STORAGE_KEY": ""}),
        }[who]
        with Proxy(azurite, lambda *_: Instead(token)) as proxy:
            done = storage.seal(*options, "--force", "-o", f"az://{container}/x", input=bytes(PART + 1), url=proxy.url, env=env, check=check)
        assert all(headers["authorization"] == "Bearer CANARY.TOKEN" for *_, headers in proxy.seen)
        return done, len(proxy.seen)

    with Tokens((200, {"access_token": "CANARY.TOKEN", "expires_in": "3599" if who == "machine" else 3599})) as tokens:
        _, requests = run(tokens)
    assert storage.open("-o", "-", f"az://{container}/x").stdout == bytes(PART + 1)
    assert requests > 2 and len(tokens.seen) == 1, "one token for all requests"
    method, path, said, headers = tokens.seen[0]
    if who == "machine":
        assert (method, path, headers["metadata"]) == ("GET", "/metadata/identity/oauth2/token", "true")
        assert said == {"api-version": "2018-02-01", "resource": "https://storage.azure.com/", "client_id": "our-client"}
    else:
        assert (method, path) == ("POST", "/our%2Ftenant/oauth2/v2.0/token")
        proof = {"client_secret": "CANARY&="} if who == "password" else {
            "client_assertion": "CANARY.ASSERTION", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
        assert said == proof | {"grant_type": "client_credentials", "client_id": "our-client", "scope": "https://storage.azure.com/.default"}
    for answer, word in (((401, {"error": "invalid_client", "error_description": "AADSTS7000215: no.\r\nTrace"}), "AADSTS7000215: no"),
                         ((200, {"access_token": "a b", "expires_in": 9}), "holds none")):
        with Tokens(answer) as tokens:
            failed, requests = run(tokens, check=4)
        assert requests == 0 and "gives no token" in one_line(failed) and word in one_line(failed)


def test_what_is_no_place_is_refused(storage, container):
    for text, word in (
        ("az://Container/x", "no name of a container"), ("az://abc", "names no object"), ("az://abc/a/../b", "ends with a dot"),
        ("az://abc/x?sv=2021&sig=CANARY", "SAS token"), ("az://me:CANARY@abc/x", "no credentials"), ("gs://abc/x", "gs://"),
        ("abfss://abc/x", "abfss://"),
    ):
        assert word in one_line(storage.open("-o", "-", text, check=2)), text
        assert word in one_line(storage.seal("-o", text, input=b"x", check=2)), text
    for refused in (storage.seal("--format", "s3ec", "-o", f"az://{container}/x", input=b"x", check=2),
                    storage.seal("-o", f"az://{container}/x", input=b"x") and
                    storage.open("--format", "s3ec", "-o", "-", f"az://{container}/x", check=2)):
        assert "s3ec" in one_line(refused)


def test_a_range_and_a_command_take_what_they_need(storage, azurite, container):
    content = os.urandom(5 << 20)
    storage.seal("--frame-length", "4096", "-o", f"az://{container}/x", input=content)
    for first, last in ((0, 0), (4095, 4096), (3_000_000, 3_100_000), (len(content) - 1, len(content) + 5)):
        with Proxy(azurite, lambda *_: None) as proxy:
            got = storage.open("--range", f"{first}-{last}", "-o", "-", f"az://{container}/x", url=proxy.url).stdout
        assert got == content[first:last + 1], (first, last)
        asked = [headers["x-ms-range"].removeprefix("bytes=").split("-") for method, *_, headers in proxy.seen if method == "GET"]
        assert sum(int(to) - int(start) + 1 for start, to in asked) < 600_000
    storage.seal("-o", f"az://{container}/good", "--", "head", "-c", str(PART + 5), "/dev/zero")
    storage.open(f"az://{container}/good", "--", "sh", "-c", "cat > got")
    assert (storage.host.home / "got").read_bytes() == bytes(PART + 5)
    storage.seal("-o", f"az://{container}/bad", "--", "sh", "-c", "echo content; exit 3", check=7)
    assert azurite.keys(container) == ["good", "x"]


def events(done) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_all_objects_behind_a_prefix_are_inspected_verified_and_rewrapped(storage, azurite, container, other_key):
    prefix = f"az://{container}/p ü/"
    for number in range(3):
        storage.seal("-o", f"{prefix}m {number}", input=b"message")
    storage.seal("--detached-keys", "-o", f"{prefix}detached", input=b"detached")
    azurite.put(container, "p ü/plain&<", os.urandom(1000))
    azurite.put(container, "p ü/empty", b"")
    storage.seal("-o", f"az://{container}/q", input=b"elsewhere")
    told = events(storage.run("inspect", "--json", prefix))
    shown = [event["input"] for event in told if event["event"] == "inspected"]
    assert shown == [prefix + name for name in ("detached", "m 0", "m 1", "m 2")]
    assert {name: told[-1][name] for name in ("sealed", "not_sealed", "failed")} == {"sealed": 4, "not_sealed": 2, "failed": 0}
    storage.run("verify", "-k", storage.key, prefix)
    done = events(storage.run("rewrap", "--json", "-q", "-k", storage.key, "--to", other_key, prefix))
    assert done[-1]["changed"] == 4 and done[-1]["failed"] == 0
    storage.run("verify", "-k", other_key, prefix)
    assert storage.opens(storage.key, f"az://{container}/q") == b"elsewhere"
    assert "ContainerNotFound" in one_line(storage.run("inspect", "az://no-such-container/", check=1))


def test_a_drill_opens_objects(storage, azurite, container):
    storage.host.run("key", "create", "alias/backup")
    storage.run("encrypt", "-k", "alias/backup", "-o", f"az://{container}/message", input=b"content")
    storage.run("encrypt", "-k", "alias/backup", "--detached-keys", "-o", f"az://{container}/detached", input=b"content")
    storage.host.run("store", "backup", "keys.bak")
    root = f"file:{storage.host.home}/.config/bulla/root.key"
    done = storage.run("drill", "--json", "--store-backup", "keys.bak", "--root-key", root, f"az://{container}/")
    assert [event["input"] for event in events(done) if event["event"] == "rehearsed"] == [
        f"az://{container}/{name}" for name in ("detached", "message")]


def test_a_list_has_pages_and_an_end(storage, azurite, container):
    for name in ("a", "b"):
        storage.seal("-o", f"az://{container}/p/{name}", input=b"message")

    def page(name, marker):
        return Answer(200, f"<EnumerationResults><Blobs><Blob><Name>p/{name}</Name><Properties><Content-Length>9</Content-Length>"
                           f"</Properties></Blob></Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>")

    def listed(answers):
        def fault(_method, _path, query, _number):
            return answers(query.get("marker", [""])[0]) if query.get("comp") == ["list"] else None
        with Proxy(azurite, fault) as proxy:
            return storage.run("inspect", "--json", f"az://{container}/p/", url=proxy.url, check=None)

    told = listed(lambda marker: page("b", "") if marker == "m/1+" else page("a", "m/1+"))
    assert told.returncode == 0 and events(told)[-1]["sealed"] == 2
    for answers, word in ((lambda _: page("a", "same"), "goes on and on"), (lambda _: Answer(200, "<html/>"), "not one of object storage"),
                          (lambda marker: (403, "AuthorizationFailure") if marker else page("a", "m"), "cannot list"),
                          (lambda _: Answer(200, page("a", "")[1].replace("p/a", "elsewhere")), "not one of object storage")):
        told = listed(answers)
        assert told.returncode in (1, 4) and word in told.stderr.decode(), told.stderr
        assert all(event["event"] != "summary" for event in events(told))


def test_detached_keys_stand_beside_their_object_and_are_changed_alone(storage, azurite, container, other_key):
    url = f"az://{container}/dir/a b"
    for size in (7, PART + 7):
        content = os.urandom(size)
        storage.seal("--detached-keys", "--force", "-o", url, input=content)
        assert azurite.keys(container) == ["dir/a b", "dir/a b.keys"], "and nothing else is left"
        assert storage.open("-o", "-", url).stdout == content
    before = azurite.get(container, "dir/a b")
    storage.run("rewrap", "-k", storage.key, "--to", other_key, url)
    assert azurite.get(container, "dir/a b") == before
    assert storage.opens(storage.key, url) is None and storage.opens(other_key, url) == content
    assert "exists" in one_line(storage.seal("--detached-keys", "-o", url, input=b"x", check=1))
    azurite.remove(container, "dir/a b.keys")
    assert "dir/a b.keys` is not there" in one_line(storage.open("-o", "-", url, check=3))


def test_an_object_that_is_sealed_anew_keeps_what_stands_beside_it(storage, azurite, container, other_key):
    from azure.storage.blob import ContentSettings, StandardBlobTier
    url = f"az://{container}/x"
    storage.seal("-o", url, input=bytes(PART + 1))
    blob = azurite.client.get_blob_client(container, "x")
    blob.set_http_headers(ContentSettings(content_type="application/x-sealed", cache_control="no-store", content_language="de"))
    blob.set_blob_metadata(blob.get_blob_properties().metadata | {"owner_1": "me"})
    blob.set_standard_blob_tier(StandardBlobTier.COOL)
    replaced = iter(range(9))

    def fault(method, _path, query, _number):
        if makes_it(method, query) and next(replaced) == 0:
            return lambda: blob.set_blob_metadata({"owner_1": "other"})

    with Proxy(azurite, fault) as proxy:
        failed = storage.run("rewrap", "-q", "-k", storage.key, "--to", other_key, url, url=proxy.url, check=1)
    assert "replaced meanwhile" in one_line(failed) and storage.opens(storage.key, url) == bytes(PART + 1)
    storage.run("rewrap", "-k", storage.key, "--to", other_key, url)
    assert storage.opens(other_key, url) == bytes(PART + 1) and storage.opens(storage.key, url) is None
    now = azurite.properties(container, "x")
    settings = now.content_settings
    assert (settings.content_type, settings.cache_control, settings.content_language) == ("application/x-sealed", "no-store", "de")
    assert now.metadata["owner_1"] == "other" and now.blob_tier == "Cool"
    blob.set_blob_tags({"a": "b"})
    assert "it has tags" in one_line(storage.run("rewrap", "-q", "-k", other_key, "--to", storage.key, url, check=1))


def test_memory_stays_bounded_and_the_disk_is_not_used(storage, azurite, container):
    """A stream of 96 MiB into parts, and back, with a temporary directory that takes nothing."""
    env = storage.host.env | {"TMPDIR": "/nonexistent"}
    before = set(storage.host.home.iterdir())
    limit = 64 + 5 * 9 + 24  # MiB: and the parts in flight, with the one that is filled; and what a debug build has more.

    def peak(*command, **more):
        timed = ["/usr/bin/env", "python3", "-c", TIMED, str(storage.host.binary), *command]
        done = subprocess.run(timed, env=env, cwd=storage.host.home, capture_output=True, timeout=170, **more)
        assert done.returncode == 0, done.stderr
        return int(re.search(rb"peak (\d+)", done.stderr)[1]) >> 10

    common = ["-k", storage.key, "--az-endpoint-url", f"{azurite.url}/{ACCOUNT}"]
    with open("/dev/zero", "rb") as zero:
        head = subprocess.Popen(["head", "-c", str(96 << 20)], stdin=zero, stdout=subprocess.PIPE)
        used = peak("encrypt", *common, "-o", f"az://{container}/x", stdin=head.stdout)
    assert used < limit, f"{used} MiB to seal"
    used = peak("verify", *common, f"az://{container}/x")
    assert used < limit, f"{used} MiB to open"
    assert set(storage.host.home.iterdir()) == before
