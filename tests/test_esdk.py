"""AWS's own library and bulla read each other's files: every suite, frame sizes, raw keys, keys of `bulla serve`."""

import os

import aws_encryption_sdk
import boto3
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    AesWrappingAlg,
    CreateAwsKmsDiscoveryKeyringInput,
    CreateAwsKmsKeyringInput,
    CreateMultiKeyringInput,
    CreateRawAesKeyringInput,
    CreateRawRsaKeyringInput,
    DiscoveryFilter,
    PaddingScheme,
)
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.identifiers import Algorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MPL = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
CONTEXT = {"tenant": "a", "purpose": "backup", "ünï": "€"}
SUITES = sorted(Algorithm, key=lambda one: one.algorithm_id)
PYTHON_POLICY = {True: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, False: CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT}
RSA_PADDINGS = {
    "PKCS1": PaddingScheme.PKCS1,
    "OAEP_SHA1": PaddingScheme.OAEP_SHA1_MGF1,
    "OAEP_SHA256": PaddingScheme.OAEP_SHA256_MGF1,
    "OAEP_SHA384": PaddingScheme.OAEP_SHA384_MGF1,
    "OAEP_SHA512": PaddingScheme.OAEP_SHA512_MGF1,
}


def suite_id(suite) -> str:
    return f"{suite.algorithm_id:04x}"


def policy(suite) -> list[str]:
    return [] if suite.is_committing() else ["--commitment-policy", "forbid-encrypt-allow-decrypt"]


def python_seal(data, keyring, suite=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, frame_length=4096, context=None):
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=PYTHON_POLICY[suite.is_committing()])
    sealed, _ = client.encrypt(source=data, keyring=keyring, algorithm=suite, frame_length=frame_length,
                               encryption_context=CONTEXT if context is None else context)
    return sealed


def python_open(sealed, keyring, suite=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY):
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=PYTHON_POLICY[suite.is_committing()])
    data, header = client.decrypt(source=sealed, keyring=keyring)
    context = {name: value for name, value in header.encryption_context.items() if name != "aws-crypto-public-key"}
    return data, context, header


def c_flags(context=CONTEXT) -> list[str]:
    return [part for name, value in context.items() for part in ("-c", f"{name}={value}")]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Raw keys on both sides: the option for bulla and the keyring for Python."""
    directory = tmp_path_factory.mktemp("keys")

    class Keys:
        pass

    keys = Keys()
    keys.aes = {}
    for bits, algorithm in (
        (128, AesWrappingAlg.ALG_AES128_GCM_IV12_TAG16),
        (192, AesWrappingAlg.ALG_AES192_GCM_IV12_TAG16),
        (256, AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16),
    ):
        material = os.urandom(bits // 8)
        path = directory / f"aes-{bits}"
        path.write_bytes(material)
        path.chmod(0o600)
        keyring = MPL.create_raw_aes_keyring(
            input=CreateRawAesKeyringInput(key_namespace="ns", key_name=f"kn-{bits}", wrapping_key=material, wrapping_alg=algorithm)
        )
        keys.aes[bits] = (f"raw-aes:ns:kn-{bits}:{path}", keyring)
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private_pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (directory / "private.pem").write_bytes(private_pem)
    (directory / "private.pem").chmod(0o600)
    (directory / "public.pem").write_bytes(public_pem)
    keys.rsa = {}
    for name, padding in RSA_PADDINGS.items():
        keyring = MPL.create_raw_rsa_keyring(
            input=CreateRawRsaKeyringInput(
                key_namespace="ns", key_name="rsa", padding_scheme=padding, public_key=public_pem, private_key=private_pem
            )
        )
        keys.rsa[name] = (
            f"raw-rsa:ns:rsa:{name}:{directory / 'public.pem'}",
            f"raw-rsa:ns:rsa:{name}:{directory / 'private.pem'}",
            keyring,
        )
    return keys


def bulla_seal(host, data, *args):
    plain, sealed = host.home / "plain", host.home / "plain.sealed"
    plain.write_bytes(data)
    host.run("encrypt", "--force", *args, "-o", sealed, plain)
    return sealed.read_bytes()


def bulla_open(host, sealed, *args):
    path, out = host.home / "in.sealed", host.home / "out"
    path.write_bytes(sealed)
    host.run("decrypt", "--force", *args, "-o", out, path)
    return out.read_bytes()


@pytest.mark.parametrize("suite", SUITES, ids=suite_id)
@pytest.mark.parametrize("length", [0, 1, 128, 1000, 4096 * 3])
def test_every_suite_both_ways(fresh_host, keys, suite, length):
    key, keyring = keys.aes[256]
    data = os.urandom(length)
    sealed = bulla_seal(fresh_host, data, "-k", key, "--suite", suite_id(suite), "--frame-length", 128, *policy(suite), *c_flags())
    found, context, header = python_open(sealed, keyring, suite)
    assert (found, context, header.algorithm) == (data, CONTEXT, suite)
    for frame_length in (0, 128, 4096):
        sealed = python_seal(data, keyring, suite, frame_length)
        assert bulla_open(fresh_host, sealed, "-k", key, *policy(suite), *c_flags()) == data


@pytest.mark.parametrize("frame_length", [1, 100, 1000, 65536, 1 << 20, 16 << 20])
def test_frame_lengths_that_bulla_writes(fresh_host, keys, frame_length):
    key, keyring = keys.aes[256]
    for length in {0, 1, frame_length - 1, frame_length, frame_length + 1, 3 * min(frame_length, 1 << 20)}:
        data = os.urandom(length)
        sealed = bulla_seal(fresh_host, data, "-k", key, "--frame-length", frame_length)
        found, _, header = python_open(sealed, keyring)
        assert found == data and header.frame_length == frame_length


@pytest.mark.parametrize("frame_length", [128, 4096, 1 << 20, 32 << 20, 0x7FFFFF80])
def test_frame_lengths_that_python_writes(fresh_host, keys, frame_length):
    key, keyring = keys.aes[256]
    for length in (0, 127, 128, 129, 5000):
        data = os.urandom(length)
        assert bulla_open(fresh_host, python_seal(data, keyring, frame_length=frame_length), "-k", key) == data


def test_through_pipes(fresh_host, keys):
    key, keyring = keys.aes[256]
    data = os.urandom(3_000_000)
    sealed = fresh_host.run("encrypt", "-k", key, input=data).stdout
    assert python_open(sealed, keyring)[0] == data
    assert fresh_host.run("decrypt", "-k", key, input=python_seal(data, keyring)).stdout == data


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_raw_aes_wrapping_keys(fresh_host, keys, bits):
    key, keyring = keys.aes[bits]
    assert python_open(bulla_seal(fresh_host, b"data", "-k", key, *c_flags()), keyring)[0] == b"data"
    assert bulla_open(fresh_host, python_seal(b"data", keyring), "-k", key) == b"data"


@pytest.mark.parametrize("padding", RSA_PADDINGS)
def test_raw_rsa_wrapping_keys(fresh_host, keys, padding):
    public, private, keyring = keys.rsa[padding]
    assert python_open(bulla_seal(fresh_host, b"data", "-k", public, *c_flags()), keyring)[0] == b"data"
    assert bulla_open(fresh_host, python_seal(b"data", keyring), "-k", private) == b"data"


def test_several_keys_for_one_file(fresh_host, keys):
    aes, aes_keyring = keys.aes[128]
    public, private, rsa_keyring = keys.rsa["OAEP_SHA256"]
    sealed = bulla_seal(fresh_host, b"data", "-k", aes, "-k", public)
    for keyring in (aes_keyring, rsa_keyring):
        assert python_open(sealed, keyring)[0] == b"data"
    multi = MPL.create_multi_keyring(input=CreateMultiKeyringInput(generator=rsa_keyring, child_keyrings=[aes_keyring]))
    sealed = python_seal(b"data", multi)
    for key in (aes, private):
        assert bulla_open(fresh_host, sealed, "-k", key) == b"data"
    other, _ = keys.aes[256]
    path = fresh_host.home / "x.sealed"
    path.write_bytes(sealed)
    fresh_host.run("decrypt", "-k", other, path, check=3)
    assert not (fresh_host.home / "x").exists()


def test_a_signed_message_from_a_pipe_needs_consent(fresh_host, keys):
    key, keyring = keys.aes[256]
    data = os.urandom(10_000)
    sealed = python_seal(data, keyring, Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384)
    done = fresh_host.run("decrypt", "-k", key, input=sealed, check=None)
    assert done.returncode != 0 and done.stdout == b"" and b"--release-before-signature" in done.stderr
    assert fresh_host.run("decrypt", "-k", key, "--release-before-signature", input=sealed).stdout == data


def test_what_python_wrote_is_refused_once_changed(fresh_host, keys):
    """Bytes all over a signed and an unsigned message, truncation, and bytes after the end."""
    key, keyring = keys.aes[256]
    for suite in (Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384):
        sealed = python_seal(b"x" * 500, keyring, suite, frame_length=128)
        cases = []
        for at in range(0, len(sealed), max(1, len(sealed) // 25)):
            changed = bytearray(sealed)
            changed[at] ^= 0x10
            cases.append(bytes(changed))
        cases += [sealed[:-1], sealed[: len(sealed) // 2], sealed[:3], b"", sealed + b"\0"]
        for case in cases:
            path = fresh_host.home / "bad.sealed"
            path.write_bytes(case)
            done = fresh_host.run("decrypt", "-k", key, path, check=3)
            assert done.stdout == b"" and done.stderr.count(b"\n") == 1, done.stderr
            assert not (fresh_host.home / "bad").exists()


def test_the_commitment_policy(fresh_host, keys):
    key, keyring = keys.aes[256]
    suite = Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256
    sealed = python_seal(b"data", keyring, suite)
    path = fresh_host.home / "v1.sealed"
    path.write_bytes(sealed)
    done = fresh_host.run("decrypt", "-k", key, path, check=2)
    assert b"commit" in done.stderr
    for given in ("require-encrypt-allow-decrypt", "forbid-encrypt-allow-decrypt"):
        assert bulla_open(fresh_host, sealed, "-k", key, "--commitment-policy", given) == b"data"
    plain = fresh_host.home / "plain"
    plain.write_bytes(b"x")
    fresh_host.run("encrypt", "-k", key, "--suite", "0178", plain, check=2)
    fresh_host.run("encrypt", "-k", key, "--commitment-policy", "forbid-encrypt-allow-decrypt", "--suite", "0478", plain, check=2)
    assert not (fresh_host.home / "plain.sealed").exists()


class Remote:
    """A user of the server: bulla with its profile, and Python keyrings pointed at it."""

    def __init__(self, host, server, kms):
        self.host, self.server, self.kms = host, server, kms
        host.run("profile", "prod", "--data-dir", server.dir)
        self.args = ["--profile", "prod"]

    def keyring(self, arn):
        return MPL.create_aws_kms_keyring(input=CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=self.client()))

    def client(self):
        key_id, secret = self.server.credentials
        return boto3.client("kms", endpoint_url=self.server.endpoint, region_name="us-east-1",
                            aws_access_key_id=key_id, aws_secret_access_key=secret)

    def discovery(self, account):
        return MPL.create_aws_kms_discovery_keyring(
            input=CreateAwsKmsDiscoveryKeyringInput(
                kms_client=self.client(), discovery_filter=DiscoveryFilter(account_ids=[account], partition="aws")
            )
        )


@pytest.fixture
def remote(fresh_host, server, kms):
    return Remote(fresh_host, server, kms)


@pytest.mark.parametrize("suite", SUITES, ids=suite_id)
def test_keyring_pointed_at_serve(remote, key, suite):
    data = os.urandom(700)
    sealed = bulla_seal(remote.host, data, *remote.args, "-k", key["Arn"], "--suite", suite_id(suite), "--frame-length", 256,
                        *policy(suite), *c_flags())
    found, context, header = python_open(sealed, remote.keyring(key["Arn"]), suite)
    assert (found, context, header.algorithm) == (data, CONTEXT, suite)
    (edk,) = header.encrypted_data_keys
    assert (edk.key_provider.provider_id, edk.key_provider.key_info.decode()) == ("aws-kms", key["Arn"])
    sealed = python_seal(data, remote.keyring(key["Arn"]), suite, 256)
    assert bulla_open(remote.host, sealed, *remote.args, "-k", key["Arn"], *policy(suite)) == data


def test_discovery_both_ways(remote, key, account):
    sealed = bulla_seal(remote.host, b"data", *remote.args, "-k", key["KeyId"])
    assert python_open(sealed, remote.discovery(account))[0] == b"data"
    sealed = python_seal(b"data", remote.keyring(key["Arn"]))
    assert bulla_open(remote.host, sealed, *remote.args) == b"data"


def test_discovery_keeps_to_the_callers_account(remote, key):
    """A file that names a key of another account: no KMS is asked for it."""
    sealed = python_seal(b"data", remote.keyring(key["Arn"]))
    other = sealed.replace(key["AWSAccountId"].encode(), b"999999999999")
    assert other != sealed
    path = remote.host.home / "foreign.sealed"
    path.write_bytes(other)
    remote.host.run("decrypt", *remote.args, path, check=3)


def test_alias_when_sealing_arn_in_the_file(remote, kms, key, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    sealed = bulla_seal(remote.host, b"data", *remote.args, "-k", alias_name)
    assert key["Arn"].encode() in sealed and alias_name.encode() not in sealed
    assert python_open(sealed, remote.keyring(key["Arn"]))[0] == b"data"
    assert bulla_open(remote.host, sealed, *remote.args, "-k", alias_name) == b"data"


def test_multi_keyring_of_a_kms_key_and_a_raw_key(remote, keys, key):
    raw, raw_keyring = keys.aes[256]
    sealed = bulla_seal(remote.host, b"data", *remote.args, "-k", key["Arn"], "-k", raw)
    for keyring in (remote.keyring(key["Arn"]), raw_keyring):
        assert python_open(sealed, keyring)[0] == b"data"
    multi = MPL.create_multi_keyring(
        input=CreateMultiKeyringInput(generator=remote.keyring(key["Arn"]), child_keyrings=[raw_keyring])
    )
    sealed = python_seal(b"data", multi)
    assert bulla_open(remote.host, sealed, "-k", raw) == b"data"
    assert bulla_open(remote.host, sealed, *remote.args, "-k", key["Arn"]) == b"data"


def test_two_kms_keys(remote, kms, key):
    """The second key's encrypted data key is made with Encrypt; each opens by itself."""
    other = kms.create_key()["KeyMetadata"]
    sealed = bulla_seal(remote.host, b"data", *remote.args, "-k", key["Arn"], "-k", other["Arn"], *c_flags())
    for arn in (key["Arn"], other["Arn"]):
        assert python_open(sealed, remote.keyring(arn))[0] == b"data"
    kms.disable_key(KeyId=key["KeyId"])
    assert bulla_open(remote.host, sealed, *remote.args) == b"data"


def test_another_context_is_told_before_any_key_is_used(remote, kms, key):
    sealed = bulla_seal(remote.host, b"data", *remote.args, "-k", key["Arn"], "-c", "tenant=a")
    path = remote.host.home / "c.sealed"
    path.write_bytes(sealed)
    remote.host.run("decrypt", *remote.args, "-c", "tenant=b", path, check=3)
    remote.host.run("decrypt", *remote.args, "-c", "more=a", path, check=3)
    remote.host.run("decrypt", *remote.args, "-c", "tenant=a", path)
    assert (remote.host.home / "c").read_bytes() == b"data"


def test_key_states_are_exit_code_6(remote, kms, key):
    path = remote.host.home / "s.sealed"
    path.write_bytes(bulla_seal(remote.host, b"data", *remote.args, "-k", key["Arn"]))
    kms.disable_key(KeyId=key["KeyId"])
    done = remote.host.run("decrypt", *remote.args, path, check=6)
    assert b"disabled" in done.stderr and b"prod" in done.stderr
    done = remote.host.run("encrypt", "--force", *remote.args, "-k", "alias/no-such", remote.host.home / "plain", check=6)
    assert b"not found" in done.stderr


@pytest.mark.parametrize("suite", [one for one in SUITES if suite_id(one) in ("0478", "0578", "0178")], ids=suite_id)
def test_detached_keys_in_two_calls(remote, keys, kms, key, suite):
    """The one call gives the raw key for the other; afterwards another key does, and the file is the same."""
    raw, raw_keyring = keys.aes[128]
    data = os.urandom(5000)
    sealed = bulla_seal(remote.host, data, *remote.args, "-k", key["Arn"], "--detached-keys", "--suite", suite_id(suite),
                        "--frame-length", 1024, *policy(suite), *c_flags())
    path = remote.host.home / "plain.sealed.keys"

    def in_two_calls(keyring):
        file_key, context, _ = python_open(path.read_bytes(), keyring)
        own = context.pop("bulla-file-key")
        assert len(file_key) == 32 and context == CONTEXT
        file_keyring = MPL.create_raw_aes_keyring(
            input=CreateRawAesKeyringInput(
                key_namespace="bulla-file-key", key_name=own, wrapping_key=file_key,
                wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
            )
        )
        return python_open(sealed, file_keyring, suite)[:2]

    assert in_two_calls(remote.keyring(key["Arn"])) == (data, CONTEXT)
    remote.host.run("rewrap", *remote.args, *policy(suite), "--to", raw, remote.host.home / "plain.sealed")
    assert in_two_calls(raw_keyring) == (data, CONTEXT)
    with pytest.raises(Exception):
        in_two_calls(remote.keyring(key["Arn"]))
    assert (remote.host.home / "plain.sealed").read_bytes() == sealed


def test_python_makes_detached_keys_that_bulla_takes(fresh_host, keys):
    """The recipients of a file can be changed with AWS's library alone, too."""
    (one, _), (two, two_keyring) = keys.aes[128], keys.aes[256]
    data = os.urandom(1000)
    bulla_seal(fresh_host, data, "-k", one, "-k", two, "--detached-keys", *c_flags())
    path = fresh_host.home / "plain.sealed.keys"
    file_key, context, _ = python_open(path.read_bytes(), two_keyring)
    path.write_bytes(python_seal(file_key, two_keyring, context=context))
    opened = fresh_host.run("decrypt", "-o", "-", "-k", two, fresh_host.home / "plain.sealed").stdout
    assert opened == data
    fresh_host.run("decrypt", "-o", "-", "-k", one, fresh_host.home / "plain.sealed", check=3)
