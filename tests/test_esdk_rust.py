"""The AWS Encryption SDK for Rust and bulla read each other's files: every suite, frame sizes, raw keys, keys of `bulla serve`.

The program that holds it takes minutes to build: `./test esdk-rust` builds it and runs these tests, which are left out elsewhere.
"""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import clean_env
from test_esdk import CONTEXT, SUITES, bulla_open, bulla_seal, c_flags, keys, policy, remote, suite_id  # noqa: F401

PROGRAM = os.environ.get("BULLA_ESDK_RUST")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="BULLA_ESDK_RUST names no program: ./test esdk-rust builds it")


class Rust:
    """The SDK, a process for each call."""

    def __init__(self, home: Path, **env):
        self.home, self.env = home, clean_env(home, **env)

    def run(self, *args, check=True) -> subprocess.CompletedProcess:
        done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, env=self.env, timeout=60)
        if check:
            assert done.returncode == 0, done.stderr[-2000:]
        return done

    def file(self, data: bytes) -> Path:
        path = self.home / "in"
        path.write_bytes(data)
        return path

    def seal(self, data: bytes, key: str, *options) -> bytes:
        return self.run("seal", key, *options, self.file(data)).stdout

    def open(self, sealed: bytes, key: str) -> tuple[bytes, str, dict]:
        """The content, the suite and the encryption context."""
        done = self.run("open", key, self.file(sealed))
        lines = done.stderr.decode().splitlines()
        (suite,) = [line.removeprefix("suite ") for line in lines if line.startswith("suite ")]
        pairs = [line.removeprefix("context ").split("=", 1) for line in lines if line.startswith("context ")]
        return done.stdout, suite, dict(pairs)


@pytest.fixture
def rust(tmp_path):
    return Rust(tmp_path / "rust")


@pytest.fixture
def at_server(tmp_path, remote):
    """The same, with the server's credentials."""
    key_id, secret = remote.server.credentials
    return Rust(tmp_path / "rust", AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret, AWS_REGION="us-east-1",
                AWS_ENDPOINT_URL_KMS=remote.server.endpoint)


@pytest.mark.parametrize("suite", SUITES, ids=suite_id)
def test_every_suite_both_ways(fresh_host, keys, rust, suite):
    key, _ = keys.aes[256]
    for length in (0, 1, 128, 4096 * 3):
        data = os.urandom(length)
        sealed = bulla_seal(fresh_host, data, "-k", key, "--suite", suite_id(suite), "--frame-length", 128, *policy(suite), *c_flags())
        assert rust.open(sealed, key) == (data, suite_id(suite), CONTEXT)
        sealed = rust.seal(data, key, "--suite", suite_id(suite), "--frame-length", 128, *c_flags())
        assert bulla_open(fresh_host, sealed, "-k", key, *policy(suite), *c_flags()) == data


@pytest.mark.parametrize("frame_length", [1, 1000, 1 << 20, 16 << 20])
def test_frame_lengths_both_ways(fresh_host, keys, rust, frame_length):
    key, _ = keys.aes[256]
    for length in sorted({0, 1, frame_length - 1, frame_length, frame_length + 1, min(3 * frame_length, 3 << 20)}):
        data = os.urandom(length)
        sealed = bulla_seal(fresh_host, data, "-k", key, "--frame-length", frame_length)
        assert rust.open(sealed, key)[0] == data
        assert bulla_open(fresh_host, rust.seal(data, key, "--frame-length", frame_length), "-k", key) == data


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_raw_aes_wrapping_keys(fresh_host, keys, rust, bits):
    key, _ = keys.aes[bits]
    assert rust.open(bulla_seal(fresh_host, b"data", "-k", key, *c_flags()), key) == (b"data", "0478", CONTEXT)
    assert bulla_open(fresh_host, rust.seal(b"data", key), "-k", key) == b"data"


@pytest.mark.parametrize("suite", [one for one in SUITES if suite_id(one) in ("0178", "0478", "0578")], ids=suite_id)
def test_keys_of_serve_both_ways(remote, at_server, key, account, suite):
    data, arn = os.urandom(700), key["Arn"]
    options = ["--suite", suite_id(suite), "--frame-length", 256, *c_flags()]
    sealed = bulla_seal(remote.host, data, *remote.args, "-k", arn, *policy(suite), *options)
    for opener in (arn, f"discovery:{account}"):
        assert at_server.open(sealed, opener) == (data, suite_id(suite), CONTEXT)
    sealed = at_server.seal(data, arn, *options)
    assert arn.encode() in sealed
    for args in (["-k", arn], []):
        assert bulla_open(remote.host, sealed, *remote.args, *args, *policy(suite), *c_flags()) == data


def test_detached_keys_in_two_calls(fresh_host, keys, rust, tmp_path):
    key, _ = keys.aes[256]
    data = os.urandom(5000)
    sealed = bulla_seal(fresh_host, data, "-k", key, "--detached-keys", *c_flags())
    file_key, _, context = rust.open((fresh_host.home / "plain.sealed.keys").read_bytes(), key)
    path = tmp_path / "file-key"
    path.write_bytes(file_key)
    assert rust.open(sealed, f"raw-aes:bulla-file-key:{context['bulla-file-key']}:{path}") == (data, "0478", CONTEXT)


def test_what_was_changed_is_refused_both_ways(fresh_host, keys, rust):
    key, _ = keys.aes[256]
    for sealed in (bulla_seal(fresh_host, b"x" * 500, "-k", key, "--frame-length", 128),
                   rust.seal(b"x" * 500, key, "--frame-length", 128)):
        assert rust.open(sealed, key)[0] == b"x" * 500
        for at in (0, 40, len(sealed) // 2, len(sealed) - 1):
            changed = bytearray(sealed)
            changed[at] ^= 0x10
            done = rust.run("open", key, rust.file(bytes(changed)), check=False)
            assert done.returncode != 0 and done.stdout == b""
            path = fresh_host.home / "bad.sealed"
            path.write_bytes(changed)
            fresh_host.run("decrypt", "-k", key, path, check=3)
