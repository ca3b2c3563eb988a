"""AWS's S3 Encryption Client and bulla read each other's objects, with keys of `bulla serve`; and what neither may read is refused."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from object_storage import Storage, one_line, s3_python

CLIENT = Path(__file__).parent / "s3" / "s3ec_client.py"
V2, V3 = "ALG_AES_256_GCM_IV12_TAG16_NO_KDF", "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY"
ALLOW = ["--commitment-policy", "require-encrypt-allow-decrypt"]
CONTEXT = {"tenant": "a", "purpose": 'quoted "b"'}
SIZES = [0, 1, 5000, (9 << 20) + 1]


@pytest.fixture
def storage(fresh_host, s3, server):
    """With a KMS of its own profile: storage and KMS have different credentials."""
    storage = Storage(fresh_host, s3)
    key_id, secret = server.credentials
    storage.aws({"default": ("AKIDEXAMPLE", "CANARY-OF-A-SECRET"), "kms": (key_id, secret)},
                f"[profile kms]\nregion = us-east-1\nservices = k\n[services k]\nkms =\n  endpoint_url = {server.endpoint}\n"
                f"sts =\n  endpoint_url = {server.endpoint}\n")
    storage.kms_env = {"KMS_URL": server.endpoint, "KMS_KEY_ID": key_id, "KMS_SECRET": secret, "S3_URL": s3.url}
    return storage


def theirs(storage, what, bucket, key, kms_key, algorithm=V3, policy="REQUIRE_ENCRYPT_REQUIRE_DECRYPT", context=CONTEXT, input=b""):
    done = subprocess.run(
        [s3_python(), CLIENT, what, algorithm, policy, bucket, key, kms_key, json.dumps(context)],
        input=input, capture_output=True, env=storage.host.env | storage.kms_env, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def c_flags(context=CONTEXT):
    return [part for name, value in context.items() for part in ("-c", f"{name}={value}")]


def test_what_bulla_writes_the_s3_encryption_client_reads(storage, s3, bucket, key):
    for size in SIZES:
        content = os.urandom(size)
        storage.run("encrypt", "--format", "s3ec", "-k", f"{key['Arn']}@kms", *c_flags(), "-o", f"s3://{bucket}/{size}", input=content)
        assert theirs(storage, "get", bucket, str(size), key["KeyId"]) == content, size
        assert storage.run("decrypt", "--profile", "kms", "-o", "-", f"s3://{bucket}/{size}").stdout == content, "discovery"
        storage.run("decrypt", "-k", f"{key['Arn']}@kms", *c_flags(), "--force", "-o", "back", f"s3://{bucket}/{size}")
        assert (storage.host.home / "back").read_bytes() == content
    assert not s3.uploads(bucket)
    metadata = s3.client.head_object(Bucket=bucket, Key="1")["Metadata"]
    assert set(metadata) - {"bulla-upload"} == {"x-amz-c", "x-amz-3", "x-amz-w", "x-amz-d", "x-amz-i", "x-amz-t"}
    shown = storage.run("inspect", f"s3://{bucket}/1").stdout.decode()
    assert "V3" in shown and "tenant=a" in shown and "aws:x-amz-cek-alg" not in shown


@pytest.mark.parametrize("algorithm, policy, flags", [
    (V3, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT", []), (V2, "FORBID_ENCRYPT_ALLOW_DECRYPT", ALLOW)], ids=["V3", "V2"])
def test_what_the_s3_encryption_client_writes_bulla_reads(storage, s3, bucket, key, algorithm, policy, flags):
    for size in SIZES:
        content = os.urandom(size)
        theirs(storage, "put", bucket, str(size), key["Arn"], algorithm, policy, input=content)
        opened = storage.run("decrypt", "-k", f"{key['Arn']}@kms", *flags, *c_flags(), "-o", "-", f"s3://{bucket}/{size}")
        assert opened.stdout == content, size
        storage.run("verify", "-k", f"{key['Arn']}@kms", *flags, f"s3://{bucket}/{size}")
    wrong = storage.run("decrypt", "-k", f"{key['Arn']}@kms", *flags, "-c", "tenant=b", "-o", "-", f"s3://{bucket}/1", check=3)
    assert "another value for `tenant`" in one_line(wrong)
    if algorithm == V2:
        refused = storage.run("decrypt", "-k", f"{key['Arn']}@kms", "-o", "-", f"s3://{bucket}/1", check=2)
        assert "--commitment-policy" in one_line(refused)


def test_raw_keys_wrap_as_the_format_says(storage, s3, bucket):
    """Made and opened here by hand: no client for Python has these keyrings."""
    home = storage.host.home
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/aes", input=b"content")
    metadata = s3.client.head_object(Bucket=bucket, Key="aes")["Metadata"]
    assert metadata["x-amz-w"] == "02" and json.loads(metadata["x-amz-m"]) == {} and "x-amz-t" not in metadata
    wrapped = base64.b64decode(metadata["x-amz-3"])
    assert len(AESGCM((home / "key").read_bytes()).decrypt(wrapped[:12], wrapped[12:], b"115")) == 32
    assert storage.open("-o", "-", f"s3://{bucket}/aes").stdout == b"content"
    private = rsa.generate_private_key(65537, 2048)
    (home / "rsa").touch(0o600)
    (home / "rsa").write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                     serialization.NoEncryption()))
    oaep = f"raw-rsa:test:rsa:OAEP_SHA1:{home}/rsa"
    storage.run("encrypt", "--format", "s3ec", "-k", oaep, "-o", f"s3://{bucket}/rsa", input=b"content")
    metadata = s3.client.head_object(Bucket=bucket, Key="rsa")["Metadata"]
    opened = private.decrypt(base64.b64decode(metadata["x-amz-3"]), padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    assert opened[0] == 32 and opened[33:] == b"115" and metadata["x-amz-w"] == "22"
    assert storage.run("decrypt", "-k", oaep, "-o", "-", f"s3://{bucket}/rsa").stdout == b"content"
    # V2, from scratch.
    data_key, iv, other_iv = os.urandom(32), os.urandom(12), os.urandom(12)
    b64 = lambda data: base64.b64encode(data).decode()
    s3.client.put_object(Bucket=bucket, Key="v2", Body=AESGCM(data_key).encrypt(iv, b"content", None), Metadata={
        "x-amz-key-v2": b64(other_iv + AESGCM((home / "key").read_bytes()).encrypt(other_iv, data_key, b"AES/GCM/NoPadding")),
        "x-amz-iv": b64(iv), "x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-tag-len": "128", "x-amz-wrap-alg": "AES/GCM",
        "x-amz-matdesc": "{}"})
    assert storage.open(*ALLOW, "-o", "-", f"s3://{bucket}/v2").stdout == b"content"


def test_a_context_that_nothing_binds_is_refused(storage, s3, bucket, key):
    """Under a raw key it stands in the metadata only, for whoever writes that to change."""
    raw, bound = f"s3://{bucket}/raw", f"s3://{bucket}/bound"
    refused = storage.seal("--format", "s3ec", "-c", "tenant=a", "-o", raw, input=b"x", check=2)
    assert "nothing binds" in one_line(refused) and s3.keys(bucket) == []
    storage.seal("--format", "s3ec", "-o", raw, input=b"content")
    found = s3.client.get_object(Bucket=bucket, Key="raw")
    theirs_said = found["Metadata"] | {"x-amz-m": json.dumps({"tenant": "a"})}
    s3.client.put_object(Bucket=bucket, Key="raw", Body=found["Body"].read(), Metadata=theirs_said)
    assert storage.open("-o", "-", raw).stdout == b"content", "what another program wrote there is no error"
    for command in (["decrypt", "-o", "-"], ["verify"], ["rewrap", "--to", f"{key['Arn']}@kms"]):
        assert "nothing binds" in one_line(storage.run(*command, "-k", storage.key, "-c", "tenant=a", raw, check=2)), command
    refused = storage.run("rewrap", "-k", storage.key, "--to", f"{key['Arn']}@kms", raw, check=2)
    assert "seal it anew" in one_line(refused)
    storage.run("encrypt", "--format", "s3ec", "-k", f"{key['Arn']}@kms", "-c", "tenant=a", "-o", bound, input=b"content")
    refused = storage.run("rewrap", "-k", f"{key['Arn']}@kms", "--to", storage.key, bound, check=2)
    assert "seal it anew" in one_line(refused)
    assert storage.run("decrypt", "-k", f"{key['Arn']}@kms", "-c", "tenant=a", "-o", "-", bound).stdout == b"content"


def test_instruction_files_hold_the_key_and_nothing_of_the_content(storage, s3, bucket):
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/x", input=b"content")
    found = s3.client.get_object(Bucket=bucket, Key="x")
    body, metadata = found["Body"].read(), found["Metadata"]
    kept = {name: metadata[name] for name in ("x-amz-c", "x-amz-d", "x-amz-i")}
    moved = {name: value for name, value in metadata.items() if name not in kept}
    s3.client.put_object(Bucket=bucket, Key="y", Body=body, Metadata=kept)
    s3.client.put_object(Bucket=bucket, Key="y.instruction", Body=json.dumps(moved))
    assert storage.open("-o", "-", f"s3://{bucket}/y").stdout == b"content"
    for file in (moved | {"x-amz-d": kept["x-amz-d"]}, {}, [1]):
        s3.client.put_object(Bucket=bucket, Key="y.instruction", Body=json.dumps(file))
        storage.open("-o", "-", f"s3://{bucket}/y", check=3)
    s3.client.put_object(Bucket=bucket, Key="z", Body=body, Metadata=kept)
    assert f"s3://{bucket}/z.instruction" in one_line(storage.open("-o", "-", f"s3://{bucket}/z", check=1))


def test_what_was_changed_or_mixed_is_refused(storage, s3, bucket):
    storage.seal("--format", "s3ec", "-o", f"s3://{bucket}/x", input=os.urandom(100))
    found = s3.client.get_object(Bucket=bucket, Key="x")
    body, metadata = found["Body"].read(), found["Metadata"]

    def changed(name):
        data = bytearray(base64.b64decode(metadata[name]))
        data[-1] ^= 1
        return metadata | {name: base64.b64encode(data).decode()}

    flipped = bytes([body[0] ^ 1]) + body[1:]
    for content, beside, word in (
        (flipped, metadata, "not authentic"), (body[:-1], metadata, "not authentic"), (body[:15], metadata, "cut short"),
        (body, changed("x-amz-d"), "commitment"), (body, changed("x-amz-i"), "commitment"), (body, changed("x-amz-3"), "no key opens"),
        (body, metadata | {"x-amz-key-v2": "AAAA", "x-amz-iv": "AAAA"}, "several versions"),
        (body, metadata | {"x-amz-c": "116"}, "116"), (body, metadata | {"x-amz-w": "99"}, "99"),
        (body, {"x-amz-key": "AAAA", "x-amz-iv": "AAAA"}, "version 1"),
        (body, {"x-amz-key-v2": "AAAA", "x-amz-iv": "AAAA", "x-amz-cek-alg": "AES/CBC/PKCS5Padding"}, "CBC"),
    ):
        s3.client.put_object(Bucket=bucket, Key="y", Body=content, Metadata=beside)
        failed = storage.open(*ALLOW, "-o", f"s3://{bucket}/out", f"s3://{bucket}/y", check=3)
        assert word in one_line(failed), failed.stderr
        assert sorted(s3.keys(bucket)) == ["x", "y"]


def test_what_the_format_has_no_room_for_is_refused(storage, bucket):
    out = ["-o", f"s3://{bucket}/x"]
    other = storage.host.home / "other"
    other.write_bytes(bytes(32))
    other.chmod(0o600)
    for args, word in (
        (["-o", "local"], "s3://"), ([*out, "--suite", "0478"], "--suite"), ([*out, "--frame-length", "5"], "--frame-length"),
        ([*out, "-k", f"raw-aes:test:other:{other}"], "one key"), ([*out, "-c", "aws:x-amz-cek-alg=115"], "reserved"),
        ([*out, "-c", "a=" + "x" * 2000], "metadata"), ([*out, "--commitment-policy", "forbid-encrypt-allow-decrypt"], "forbids"),
    ):
        assert word in one_line(storage.seal("--format", "s3ec", *args, input=b"x", check=2)), args
    (storage.host.home / "long").touch()
    os.truncate(storage.host.home / "long", (1 << 36) - 31)
    failed = storage.seal("--format", "s3ec", *out, "long", check=1)
    assert str((1 << 36) - 32) in one_line(failed)
