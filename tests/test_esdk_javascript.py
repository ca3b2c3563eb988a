"""The AWS Encryption SDK for JavaScript and bulla read each other's files: every suite that it has, raw keys, keys of `bulla serve`."""

import base64
import os
from pathlib import Path

import pytest
from aws_encryption_sdk.identifiers import Algorithm
from clients import Conversation
from conftest import clean_env
from test_esdk import CONTEXT, RSA_PADDINGS, SUITES, bulla_open, bulla_seal, c_flags, keys, policy, suite_id  # noqa: F401

DEFAULT = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY


class JavaScript(Conversation):
    """The SDK in a process of its own."""

    def seal(self, data: bytes, keyring: dict, suite=DEFAULT, frame_length=256) -> bytes:
        return base64.b64decode(self.make("encrypt", data, keyring, suite, context=CONTEXT, frame_length=frame_length)["data"])

    def open(self, sealed: bytes, keyring: dict, suite=DEFAULT) -> tuple[bytes, dict]:
        done = self.make("decrypt", sealed, keyring, suite)
        assert done["suite"] == suite.algorithm_id
        return base64.b64decode(done["data"]), done["context"]

    def make(self, what: str, data: bytes, keyring: dict, suite, **more) -> dict:
        done = self.ask({
            "do": what, "keyring": keyring, "data": base64.b64encode(data).decode(), "suite": suite.algorithm_id,
            "commits": suite.is_committing(), **more,
        })
        assert "error" not in done, done
        return done


@pytest.fixture(scope="module")
def javascript(tmp_path_factory):
    modules = os.environ.get("BULLA_NODE_MODULES")
    assert modules, "BULLA_NODE_MODULES doesn't say where `npm ci` installed tests/javascript: ./test does both"
    program = Path(__file__).with_name("javascript") / "esdk.cjs"
    running = JavaScript(["node", program], clean_env(tmp_path_factory.mktemp("javascript"), NODE_PATH=modules))
    yield running
    running.close()


def aes(keys, bits: int) -> tuple[str, dict]:
    """A raw AES key, as the option has it and as the SDK takes it."""
    option, _ = keys.aes[bits]
    _, namespace, name, path = option.split(":")
    key = base64.b64encode(Path(path).read_bytes()).decode()
    return option, {"kind": "aes", "namespace": namespace, "name": name, "key": key}


def test_it_has_every_suite(javascript):
    assert set(javascript.hello["suites"]) == {suite.algorithm_id for suite in SUITES}


@pytest.mark.parametrize("suite", SUITES, ids=suite_id)
def test_every_suite_both_ways(fresh_host, keys, javascript, suite):
    option, keyring = aes(keys, 256)
    for length in (0, 256, 1000):
        data = os.urandom(length)
        sealed = bulla_seal(fresh_host, data, "-k", option, "--suite", suite_id(suite), "--frame-length", 256, *policy(suite), *c_flags())
        assert javascript.open(sealed, keyring, suite) == (data, CONTEXT)
        sealed = javascript.seal(data, keyring, suite)
        assert bulla_open(fresh_host, sealed, "-k", option, *policy(suite), *c_flags()) == data


@pytest.mark.parametrize("bits", [128, 192])
def test_raw_aes_keys(fresh_host, keys, javascript, bits):
    option, keyring = aes(keys, bits)
    assert javascript.open(bulla_seal(fresh_host, b"data", "-k", option, *c_flags()), keyring) == (b"data", CONTEXT)
    assert bulla_open(fresh_host, javascript.seal(b"data", keyring), "-k", option) == b"data"


@pytest.mark.parametrize("padding", RSA_PADDINGS)
def test_raw_rsa_keys(fresh_host, keys, javascript, padding):
    public, private, _ = keys.rsa[padding]
    keyring = {
        "kind": "rsa", "namespace": "ns", "name": "rsa", "hash": padding.removeprefix("OAEP_").lower() if padding != "PKCS1" else None,
        "public": Path(public.split(":")[-1]).read_text(), "private": Path(private.split(":")[-1]).read_text(),
    }
    assert bulla_open(fresh_host, javascript.seal(b"data", keyring), "-k", private) == b"data"
    sealed = bulla_seal(fresh_host, b"data", "-k", public, *c_flags())
    if padding == "PKCS1" and not javascript.hello["opens_pkcs1"]:
        with pytest.raises(AssertionError, match="unencryptedDataKey"):
            javascript.open(sealed, keyring)
    else:
        assert javascript.open(sealed, keyring) == (b"data", CONTEXT)


@pytest.mark.parametrize("suite", SUITES, ids=suite_id)
def test_keys_of_serve(fresh_host, server, key, javascript, suite):
    fresh_host.run("profile", "prod", "--data-dir", server.dir)
    key_id, secret = server.credentials
    at = {"kind": "kms", "endpoint": server.endpoint, "credentials": {"accessKeyId": key_id, "secretAccessKey": secret}}
    keyring = {**at, "arn": key["Arn"]}
    args = ["--profile", "prod", *policy(suite)]
    sealed = bulla_seal(fresh_host, b"data", *args, "-k", key["Arn"], "--suite", suite_id(suite), *c_flags())
    assert javascript.open(sealed, keyring, suite) == (b"data", CONTEXT)
    assert javascript.open(sealed, {**at, "discovery": True}, suite) == (b"data", CONTEXT)
    assert bulla_open(fresh_host, javascript.seal(b"data", keyring, suite), *args) == b"data"


def test_detached_keys_in_two_calls(fresh_host, keys, javascript):
    option, keyring = aes(keys, 256)
    plain, sealed = fresh_host.home / "plain", fresh_host.home / "plain.sealed"
    plain.write_bytes(b"x" * 3000)
    fresh_host.run("encrypt", "--detached-keys", "-k", option, *c_flags(), plain)
    file_key, context = javascript.open(Path(f"{sealed}.keys").read_bytes(), keyring)
    file_keyring = {
        "kind": "aes", "namespace": "bulla-file-key", "name": context["bulla-file-key"], "key": base64.b64encode(file_key).decode(),
    }
    assert javascript.open(sealed.read_bytes(), file_keyring) == (b"x" * 3000, CONTEXT)
