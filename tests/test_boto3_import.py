"""Imported key material, wrapped by an implementation of its own: Python's `cryptography`."""

import datetime
import hashlib
import hmac
import os
import re

import pytest
from conftest import Server, audit_records, refused
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa

HASHES = {"1": hashes.SHA1, "256": hashes.SHA256}
OAEP = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
BY_AES = ["RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
SPECS = ["RSA_2048", "RSA_3072", "RSA_4096"]
FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
MESSAGE = b"a message"


def made(kms, spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT"):
    return kms.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]


def wrap(public_der, algorithm, material):
    public = serialization.load_der_public_key(public_der)
    digest = HASHES[algorithm.rsplit("_", 1)[1]]
    oaep = padding.OAEP(mgf=padding.MGF1(digest()), algorithm=digest(), label=None)
    if algorithm in OAEP:
        return public.encrypt(material, oaep)
    aes = os.urandom(32)
    return public.encrypt(aes, oaep) + keywrap.aes_key_wrap_with_padding(aes, material)


def bring(kms, key, material, algorithm="RSAES_OAEP_SHA_256", spec="RSA_2048", **more):
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    wrapped = wrap(parameters["PublicKey"], algorithm, material)
    return kms.import_key_material(
        KeyId=key, ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped, **{**FOREVER, **more}
    )


def pkcs8(private):
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def spki(private):
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("algorithm", OAEP)
@pytest.mark.parametrize("spec", SPECS)
def test_a_symmetric_key(kms, algorithm, spec):
    key = made(kms)
    assert key["KeyState"] == "PendingImport" and key["Origin"] == "EXTERNAL" and key["Enabled"] is False
    refused(kms.encrypt, "KMSInvalidStateException", f"{key['Arn']} is pending import.", KeyId=key["KeyId"], Plaintext=b"x")
    parameters = kms.get_parameters_for_import(KeyId=key["Arn"], WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    assert parameters["KeyId"] == key["Arn"]
    in_a_day = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    assert abs(parameters["ParametersValidTo"] - in_a_day) < datetime.timedelta(minutes=1)
    public = serialization.load_der_public_key(parameters["PublicKey"])
    assert public.key_size == int(spec[4:])
    material = os.urandom(32)
    answer = bring(kms, key["KeyId"], material, algorithm, spec)
    assert answer["KeyId"] == key["Arn"] and re.fullmatch("[0-9a-f]{64}", answer["KeyMaterialId"])
    told = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert told["KeyState"] == "Enabled" and told["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert told["CurrentKeyMaterialId"] == answer["KeyMaterialId"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == answer["KeyMaterialId"]
    assert kms.delete_imported_key_material(KeyId=key["KeyId"])["KeyMaterialId"] == answer["KeyMaterialId"]
    refused(kms.decrypt, "KMSInvalidStateException", f"{key['Arn']} is pending import.", CiphertextBlob=blob)
    refused(bring, "IncorrectKeyMaterialException", "", kms=kms, key=key["KeyId"], material=os.urandom(32))
    bring(kms, key["KeyId"], material)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_an_hmac_key(kms, bits):
    key, material = made(kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC")["KeyId"], os.urandom(bits // 8)
    assert "KeyMaterialId" not in bring(kms, key, material)
    mac = kms.generate_mac(KeyId=key, Message=MESSAGE, MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
    assert mac == hmac.digest(material, MESSAGE, f"sha{bits}")
    refused(bring, "IncorrectKeyMaterialException", "", kms=kms, key=made(kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC")["KeyId"],
            material=material + b"x")


@pytest.mark.parametrize("algorithm", BY_AES)
@pytest.mark.parametrize("wrapping", SPECS)
def test_an_rsa_key(kms, algorithm, wrapping):
    private = rsa.generate_private_key(65537, 2048)
    key = made(kms, "RSA_2048")["KeyId"]
    bring(kms, key, pkcs8(private), algorithm, wrapping)
    assert kms.get_public_key(KeyId=key)["PublicKey"] == spki(private)
    sha = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    ciphertext = private.public_key().encrypt(MESSAGE, sha)
    opened = kms.decrypt(KeyId=key, CiphertextBlob=ciphertext, EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert opened["Plaintext"] == MESSAGE
    sealed = kms.encrypt(KeyId=key, Plaintext=MESSAGE, EncryptionAlgorithm="RSAES_OAEP_SHA_256")["CiphertextBlob"]
    assert private.decrypt(sealed, sha) == MESSAGE
    # The same key is the same however it is written; another is not.
    kms.delete_imported_key_material(KeyId=key)
    refused(bring, "IncorrectKeyMaterialException", "", kms=kms, key=key, algorithm=algorithm,
            material=pkcs8(rsa.generate_private_key(65537, 2048)))
    bring(kms, key, pkcs8(private), algorithm)


@pytest.mark.parametrize("size,spec", [(3072, "RSA_3072"), (4096, "RSA_4096")])
def test_longer_rsa_keys(kms, size, spec):
    private = rsa.generate_private_key(65537, size)
    key = made(kms, spec, "SIGN_VERIFY")["KeyId"]
    refused(bring, "IncorrectKeyMaterialException", "", kms=kms, key=key, algorithm=BY_AES[1],
            material=pkcs8(rsa.generate_private_key(65537, 2048)))
    bring(kms, key, pkcs8(private), BY_AES[1], "RSA_4096")
    signed = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="RSASSA_PSS_SHA_512")["Signature"]
    private.public_key().verify(signed, MESSAGE, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())


@pytest.mark.parametrize("algorithm,wrapping", [*((one, "RSA_4096") for one in OAEP), *((one, "RSA_2048") for one in BY_AES)])
@pytest.mark.parametrize("spec,curve,digest", [
    ("ECC_NIST_P256", ec.SECP256R1, hashes.SHA256), ("ECC_NIST_P384", ec.SECP384R1, hashes.SHA384),
    ("ECC_NIST_P521", ec.SECP521R1, hashes.SHA512), ("ECC_SECG_P256K1", ec.SECP256K1, hashes.SHA256),
])  # fmt: skip
def test_an_elliptic_curve_key(kms, algorithm, wrapping, spec, curve, digest):
    private = ec.generate_private_key(curve())
    key = made(kms, spec, "SIGN_VERIFY")["KeyId"]
    bring(kms, key, pkcs8(private), algorithm, wrapping)
    assert kms.get_public_key(KeyId=key)["PublicKey"] == spki(private)
    signing = kms.describe_key(KeyId=key)["KeyMetadata"]["SigningAlgorithms"][0]
    signed = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm=signing)["Signature"]
    private.public_key().verify(signed, MESSAGE, ec.ECDSA(digest()))


def test_keys_of_other_kinds(kms):
    private = ec.generate_private_key(ec.SECP384R1())
    key = made(kms, "ECC_NIST_P384", "KEY_AGREEMENT")["KeyId"]
    bring(kms, key, pkcs8(private))
    peer = ec.generate_private_key(ec.SECP384R1())
    derived = kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=spki(peer))
    assert derived["SharedSecret"] == private.exchange(ec.ECDH(), peer.public_key())
    assert derived["KeyOrigin"] == "EXTERNAL"

    private = ed25519.Ed25519PrivateKey.generate()
    key = made(kms, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")["KeyId"]
    bring(kms, key, pkcs8(private), "RSA_AES_KEY_WRAP_SHA_256")
    signed = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ED25519_SHA_512")["Signature"]
    assert signed == private.sign(MESSAGE)

    private = mldsa.MLDSA65PrivateKey.generate()
    key = made(kms, "ML_DSA_65", "SIGN_VERIFY")["KeyId"]
    bring(kms, key, pkcs8(private))
    signed = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ML_DSA_SHAKE_256")["Signature"]
    private.public_key().verify(signed, MESSAGE)

    # With the private key elsewhere too, what is encapsulated here can be checked.
    private = mlkem.MLKEM768PrivateKey.generate()
    key = made(kms, "ML_KEM_768", "ENCAPSULATE_DECAPSULATE")["KeyId"]
    bring(kms, key, pkcs8(private), spec="RSA_4096")
    here = kms.encapsulate(KeyId=key, EncapsulationAlgorithm="ML_KEM")
    assert private.decapsulate(here["SharedSecretCiphertextBlob"]) == here["SharedSecret"]


def test_tokens_and_wrapped_material_belong_together(kms):
    key, other = made(kms)["KeyId"], made(kms)["KeyId"]
    how = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    first, second = (kms.get_parameters_for_import(KeyId=key, **how) for _ in range(2))
    wrapped = wrap(first["PublicKey"], "RSAES_OAEP_SHA_256", os.urandom(32))
    token = first["ImportToken"]
    right = {"KeyId": key, "ImportToken": token, "EncryptedKeyMaterial": wrapped, **FOREVER}
    for code, change in [
        ("InvalidImportTokenException", {"KeyId": other}),
        ("InvalidImportTokenException", {"ImportToken": token[:-1] + bytes([token[-1] ^ 1])}),
        ("InvalidImportTokenException", {"ImportToken": token[:-1]}),
        ("InvalidImportTokenException", {"ImportToken": b"x"}),
        ("InvalidCiphertextException", {"ImportToken": second["ImportToken"]}),
        ("InvalidCiphertextException", {"EncryptedKeyMaterial": wrapped[:-1] + bytes([wrapped[-1] ^ 1])}),
        ("InvalidCiphertextException", {"EncryptedKeyMaterial": wrap(first["PublicKey"], "RSAES_OAEP_SHA_1", b"x" * 32)}),
        ("ValidationException", {"EncryptedKeyMaterial": wrapped + b"x"}),
        ("ValidationException", {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}),
    ]:
        refused(kms.import_key_material, code, **{**right, **change})
    kms.import_key_material(**right)
    for algorithm, spec in [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "SM2")]:
        refused(kms.get_parameters_for_import, "UnsupportedOperationException", KeyId=key, WrappingAlgorithm=algorithm,
                WrappingKeySpec=spec)


def test_rotation_on_demand(kms):
    key, first, second = made(kms), os.urandom(32), os.urandom(32)
    one = bring(kms, key["KeyId"], first, KeyMaterialDescription="first")["KeyMaterialId"]
    old = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"old")["CiphertextBlob"]
    refused(kms.rotate_key_on_demand, "KMSInvalidStateException",
            f"No available key material pending rotation for the key: {key['Arn']}.", KeyId=key["KeyId"])
    two = bring(kms, key["KeyId"], second, ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]

    def listed():
        entries = kms.list_key_rotations(KeyId=key["KeyId"], IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
        return [(entry["KeyMaterialId"], entry["KeyMaterialState"], entry["ImportState"]) for entry in entries]

    assert listed() == [(one, "CURRENT", "IMPORTED"), (two, "PENDING_ROTATION", "IMPORTED")]
    refused(bring, "KMSInvalidStateException", re.compile(f"\\(id: {two}\\) is pending rotation\\.$"), kms=kms,
            key=key["KeyId"], material=os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    assert listed() == [(one, "NON_CURRENT", "IMPORTED"), (two, "CURRENT", "IMPORTED")]
    assert kms.decrypt(CiphertextBlob=old)["KeyMaterialId"] == one
    new = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"new")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=new)["KeyMaterialId"] == two
    kms.delete_imported_key_material(KeyId=key["KeyId"], KeyMaterialId=one)
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingImport"
    refused(kms.decrypt, "KMSInvalidStateException", CiphertextBlob=new)
    bring(kms, key["KeyId"], first, KeyMaterialId=one)
    assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"
    rotations = kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"]
    assert [(entry["KeyMaterialId"], entry["RotationType"]) for entry in rotations] == [(two, "ON_DEMAND")]


def test_a_date_is_kept_to_and_material_survives_restarts(fresh_host, tmp_path):
    """The real clock: material that ends in three seconds."""
    with Server(fresh_host, tmp_path / "data") as server:
        kms = server.client()
        lasting, ending = made(kms)["KeyId"], made(kms)
        bring(kms, lasting, os.urandom(32))
        parameters = kms.get_parameters_for_import(
            KeyId=ending["KeyId"], WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        material = os.urandom(32)
        wrapped = wrap(parameters["PublicKey"], "RSAES_OAEP_SHA_256", material)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        kms.import_key_material(KeyId=ending["KeyId"], ImportToken=parameters["ImportToken"],
                                EncryptedKeyMaterial=wrapped, ValidTo=end)
        told = kms.describe_key(KeyId=ending["KeyId"])["KeyMetadata"]
        assert told["ExpirationModel"] == "KEY_MATERIAL_EXPIRES" and abs(told["ValidTo"] - end) < datetime.timedelta(seconds=1)
        blobs = {key: kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"] for key in (lasting, ending["KeyId"])}
    with Server(fresh_host, tmp_path / "data") as server:
        kms = server.client()
        assert kms.decrypt(CiphertextBlob=blobs[lasting])["Plaintext"] == b"x"
        deadline = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)
        while kms.describe_key(KeyId=ending["KeyId"])["KeyMetadata"]["KeyState"] != "PendingImport":
            assert datetime.datetime.now(datetime.timezone.utc) < deadline
        assert datetime.datetime.now(datetime.timezone.utc) >= end - datetime.timedelta(seconds=1)
        refused(kms.decrypt, "KMSInvalidStateException", f"{ending['Arn']} is pending import.",
                CiphertextBlob=blobs[ending["KeyId"]])
        # A token made before the restart still opens, for its day.
        kms.import_key_material(KeyId=ending["KeyId"], ImportToken=parameters["ImportToken"],
                                EncryptedKeyMaterial=wrapped, **FOREVER)
        assert kms.decrypt(CiphertextBlob=blobs[ending["KeyId"]])["Plaintext"] == b"x"
    text = str(audit_records(tmp_path / "data"))
    assert "ImportKeyMaterial" in text and "GetParametersForImport" in text
    assert hashlib.sha256(material).hexdigest() not in text and material.hex() not in text
