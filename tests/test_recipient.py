"""Answers for enclaves: documents made by other code, answers opened by `openssl cms`, as AWS's documentation does it."""

import datetime
import re
import shutil
import subprocess

import cbor2
import pytest
from attestation import HOUR, PEM, Pki, now, private_pem, recipient_key
from conftest import Server, audit_records, refused
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def enclave():
    """The key whose holder gets the answers."""
    return recipient_key()


@pytest.fixture(scope="module")
def attested(host, pki, tmp_path_factory):
    """A server that believes documents of `pki`."""
    directory = tmp_path_factory.mktemp("attested")
    (directory / "root.pem").write_bytes(pki.root_pem)
    with Server(host, directory / "data", "--attestation-root", directory / "root.pem") as running:
        yield running


@pytest.fixture(scope="module")
def kms(attested):
    return attested.client()


def recipient(document: bytes) -> dict:
    return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}


def opened(answer: dict, key, tmp_path) -> bytes:
    """What `openssl cms` makes of an answer that has no plaintext."""
    assert not answer.get("Plaintext"), "the caller sees the plaintext"
    assert OPENSSL, "openssl is missing: install the Debian package openssl"
    key_file = tmp_path / "enclave.pem"
    key_file.write_bytes(private_pem(key))
    done = subprocess.run(
        [OPENSSL, "cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", key_file],
        input=answer["CiphertextForRecipient"],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("length", [1, 16, 4096])
def test_decrypt(kms, pki, enclave, tmp_path, length):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    plaintext = bytes(n % 251 for n in range(length))
    blob = kms.encrypt(KeyId=key, Plaintext=plaintext)["CiphertextBlob"]
    answer = kms.decrypt(CiphertextBlob=blob, Recipient=recipient(pki.document(enclave.public_key())))
    assert answer["KeyId"].endswith(key) and answer["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert opened(answer, enclave, tmp_path) == plaintext


def test_a_data_key(kms, pki, enclave, tmp_path):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    document = pki.document(enclave.public_key())
    answer = kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=recipient(document))
    data_key = opened(answer, enclave, tmp_path)
    assert len(data_key) == 32
    assert kms.decrypt(CiphertextBlob=answer["CiphertextBlob"])["Plaintext"] == data_key


def test_a_shared_secret(kms, pki, enclave, tmp_path):
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
    peer = ec.generate_private_key(ec.SECP256R1())
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    answer = kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=peer.public_key().public_bytes(*der),
                                      Recipient=recipient(pki.document(enclave.public_key())))
    assert not answer.get("SharedSecret"), "the caller sees the secret"
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert opened(answer, enclave, tmp_path) == peer.exchange(ec.ECDH(), public)


@pytest.mark.parametrize("length", [1, 32, 1024])
def test_random_bytes(kms, pki, enclave, tmp_path, length):
    answer = kms.generate_random(NumberOfBytes=length, Recipient=recipient(pki.document(enclave.public_key())))
    assert len(opened(answer, enclave, tmp_path)) == length


def test_a_key_of_another_size_and_nitrotpm(attested, kms, pki, tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    registers = {number: bytes([number]) * 48 for number in range(24)}
    document = pki.document(
        key.public_key(), module_id="i-0123456789abcdef0-tpm0000000000000000", pcrs=None, nitrotpm_pcrs=registers
    )
    answer = kms.generate_random(NumberOfBytes=20, Recipient=recipient(document))
    assert len(opened(answer, key, tmp_path)) == 20
    told = audit_records(attested.dir)[-1]["additionalEventData"]["recipient"]
    assert told["attestationDocumentModuleId"] == "i-0123456789abcdef0-tpm0000000000000000"
    assert "attestationDocumentNitroTPMPCR23" in told and "attestationDocumentEnclaveImageDigest" not in told


def test_the_form_that_nitro_writes_today(kms, pki, enclave, tmp_path):
    """A map of indefinite length, and null for what is absent."""
    fields = pki.payload(enclave.public_key())
    fields["user_data"] = fields["nonce"] = None
    entries = b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in fields.items())
    document = pki.sign(b"\xbf" + entries + b"\xff")
    answer = kms.generate_random(NumberOfBytes=5, Recipient=recipient(document))
    assert len(opened(answer, enclave, tmp_path)) == 5


def test_what_is_refused(kms, pki, enclave):
    public = enclave.public_key()
    good = pki.document(public)
    parts = cbor2.loads(good)
    tampered = cbor2.loads(parts[2])
    tampered["pcrs"][0] = b"\xff" * 48
    stranger = Pki()
    with_old_key = Pki(at=now() - 5 * HOUR)
    for document, reason in [
        (b"x", "it is malformed (it is no COSE_Sign1 with ES384)"),
        (good + b"\0", "it is malformed (it is no COSE_Sign1 with ES384)"),
        (cbor2.dumps([cbor2.dumps({1: -7}), *parts[1:]]), "it is malformed (it is no COSE_Sign1 with ES384)"),
        (cbor2.dumps([*parts[:2], cbor2.dumps(tampered), parts[3]]), "its signature does not hold"),
        (cbor2.dumps([*parts[:3], bytes([parts[3][0] ^ 1]) + parts[3][1:]]), "its signature does not hold"),
        (stranger.document(public), "its certificates don't lead to a trusted root"),
        (pki.document(public, certificate=stranger.payload(public)["certificate"]), None),
        (pki.document(public, cabundle=stranger.payload(public)["cabundle"]), None),
        (pki.document(public, public_key=None), "it has no public key"),
        (
            pki.document(ec.generate_private_key(ec.SECP384R1()).public_key()),
            "its public key is not an RSA key of at least 2048 bits, as DER SubjectPublicKeyInfo",
        ),
        (pki.document(public, pcrs=None), "it is malformed (it needs one of pcrs and nitrotpm_pcrs)"),
        (pki.document(public, pcrs={0: b"\0" * 20}), "it is malformed (pcrs)"),
        (pki.document(public, digest="SHA256"), "it is malformed (digest)"),
        (pki.document(public, timestamp=int(now().timestamp() * 1000) + 3_600_000), "it is not valid yet"),
        (pki.document(public, user_data=b"x" * 20_000), "it is malformed (it is longer than such documents are)"),
    ]:
        message = reason and f"The attestation document is not valid: {reason}."
        refused(kms.generate_random, "ValidationException", message, NumberOfBytes=1, Recipient=recipient(document))
    # Of another root, it is the root that is told first, whatever its age.
    refused(kms.generate_random, "ValidationException", NumberOfBytes=1, Recipient=recipient(with_old_key.document(public)))


def test_an_expired_document_and_an_expired_root(host, enclave, tmp_path):
    past = Pki(at=now() - 5 * HOUR)
    dead = Pki(at=now() - datetime.timedelta(days=400), root_years=1)
    (tmp_path / "roots.pem").write_bytes(past.root_pem + dead.root_pem)
    with Server(host, tmp_path / "data", env={"BULLA_ATTESTATION_ROOT": str(tmp_path / "roots.pem")}) as server:
        kms = server.client()
        for pki in (past, dead):
            document = recipient(pki.document(enclave.public_key()))
            refused(kms.generate_random, "ValidationException",
                    "The attestation document is not valid: it has expired.", NumberOfBytes=1, Recipient=document)


def test_without_a_root_no_recipient_is_answered(host, pki, enclave, tmp_path):
    with Server(host, tmp_path / "data") as server:
        refused(server.client().generate_random, "UnsupportedOperationException",
                "Recipient is not supported: this service is configured without an attestation root.",
                NumberOfBytes=1, Recipient=recipient(pki.document(enclave.public_key())))


def test_a_file_that_holds_no_root_keeps_the_server_from_starting(host, pki, tmp_path):
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "leaf.pem").write_bytes(pki.certificates[-1].public_bytes(PEM))
    for name, why in [("none.pem", rb"none\.pem.*check the path"), ("empty.pem", b"no PEM block of a certificate"),
                      ("leaf.pem", b"not of a certificate authority")]:
        config = tmp_path / f"{name}.toml"
        config.write_text(f'[serve]\nattestation-root = "{tmp_path / name}"\n')
        done = host.run("serve", "--data-dir", tmp_path / "data", "--config", config, "--check-config", check=1)
        assert re.search(why, done.stderr), done.stderr
    assert not (tmp_path / "data").exists()


def test_the_audit_record_tells_who_was_attested(attested, kms, pki, enclave):
    kms.generate_random(NumberOfBytes=16, Recipient=recipient(pki.document(enclave.public_key())))
    record = audit_records(attested.dir)[-1]
    assert record["eventName"] == "GenerateRandom"
    told = record["additionalEventData"]["recipient"]
    assert told["attestationDocumentModuleId"] == "i-0123456789abcdef0-enc0123456789abcdef"
    assert sorted(told) == ["attestationDocumentEnclaveImageDigest", "attestationDocumentEnclavePCR1",
                            "attestationDocumentEnclavePCR2", "attestationDocumentEnclavePCR3",
                            "attestationDocumentEnclavePCR4", "attestationDocumentEnclavePCR8",
                            "attestationDocumentModuleId"]
    refused(kms.generate_random, "ValidationException", NumberOfBytes=16, Recipient=recipient(b"x"))
    assert "additionalEventData" not in audit_records(attested.dir)[-1]
