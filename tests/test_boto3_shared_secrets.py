"""Key agreement and key encapsulation, checked by an implementation of its own: Python's `cryptography`."""

import pytest
from conftest import refused
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519

CURVES = {"ECC_NIST_P256": ec.SECP256R1, "ECC_NIST_P384": ec.SECP384R1, "ECC_NIST_P521": ec.SECP521R1}
KEMS = {"ML_KEM_768": mlkem.MLKEM768PublicKey, "ML_KEM_1024": mlkem.MLKEM1024PublicKey}


def made(kms, spec, usage):
    return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]


def der(key, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def derive(kms, key, public):
    return kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)


@pytest.mark.parametrize("spec", CURVES)
def test_both_sides_derive_one_secret(kms, spec):
    key = made(kms, spec, "KEY_AGREEMENT")
    told = kms.get_public_key(KeyId=key["KeyId"])
    assert told["KeyAgreementAlgorithms"] == key["KeyAgreementAlgorithms"] == ["ECDH"]
    assert "SigningAlgorithms" not in told and told["KeyUsage"] == "KEY_AGREEMENT"
    mine = ec.generate_private_key(CURVES[spec]())
    answer = derive(kms, key["KeyId"], der(mine))
    assert answer["SharedSecret"] == mine.exchange(ec.ECDH(), serialization.load_der_public_key(told["PublicKey"]))
    assert (answer["KeyId"], answer["KeyAgreementAlgorithm"]) == (key["Arn"], "ECDH")
    assert answer["KeyOrigin"] == "AWS_KMS" and "CiphertextForRecipient" not in answer
    last = kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"]
    assert last["Operation"] == "DeriveSharedSecret"


def test_a_peers_key_is_looked_at(kms):
    key = made(kms, "ECC_NIST_P256", "KEY_AGREEMENT")["KeyId"]
    mine = ec.generate_private_key(ec.SECP256R1())
    good = der(mine)
    for wrong in [
        der(ec.generate_private_key(ec.SECP384R1())),
        der(ec.generate_private_key(ec.SECP256K1())),
        der(x25519.X25519PrivateKey.generate()),
        mine.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
        mine.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        good[:-1] + bytes([good[-1] ^ 1]),
        good + b"\0",
    ]:
        refused(derive, "ValidationException", "", kms=kms, key=key, public=wrong)
    signing = made(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    refused(derive, "InvalidKeyUsageException",
            f"{signing['Arn']} key usage is SIGN_VERIFY which is not valid for DeriveSharedSecret.",
            kms=kms, key=signing["KeyId"], public=good)


@pytest.mark.parametrize("spec", KEMS)
def test_what_is_encapsulated_elsewhere_is_decapsulated(kms, spec):
    key = made(kms, spec, "ENCAPSULATE_DECAPSULATE")
    told = kms.get_public_key(KeyId=key["KeyId"])
    assert told["EncapsulationAlgorithms"] == key["EncapsulationAlgorithms"] == ["ML_KEM"]
    public = serialization.load_der_public_key(told["PublicKey"])
    assert isinstance(public, KEMS[spec])
    secret, ciphertext = public.encapsulate()
    how = {"KeyId": key["KeyId"], "EncapsulationAlgorithm": "ML_KEM"}
    answer = kms.decapsulate(SharedSecretCiphertextBlob=ciphertext, **how)
    assert answer["SharedSecret"] == secret
    assert (answer["KeyId"], answer["EncapsulationAlgorithm"]) == (key["Arn"], "ML_KEM")
    changed = kms.decapsulate(SharedSecretCiphertextBlob=bytes([ciphertext[0] ^ 1]) + ciphertext[1:], **how)
    assert len(changed["SharedSecret"]) == 32 and changed["SharedSecret"] != secret
    refused(kms.decapsulate, "InvalidCiphertextException", "", SharedSecretCiphertextBlob=ciphertext[1:], **how)


@pytest.mark.parametrize("spec", KEMS)
def test_an_encapsulated_secret_is_for_one_key(kms, key, spec):
    pair = kms.generate_data_key_pair(KeyId=key["KeyId"], KeyPairSpec=spec)
    private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], password=None)
    assert der(private) == pair["PublicKey"]
    here = made(kms, spec, "ENCAPSULATE_DECAPSULATE")["KeyId"]
    made_here = kms.encapsulate(KeyId=here, EncapsulationAlgorithm="ML_KEM")
    assert len(made_here["SharedSecret"]) == 32
    opened = kms.decapsulate(KeyId=here, EncapsulationAlgorithm="ML_KEM",
                             SharedSecretCiphertextBlob=made_here["SharedSecretCiphertextBlob"])
    assert opened["SharedSecret"] == made_here["SharedSecret"]
    # Of another key, it is a secret that nobody has.
    other = private.decapsulate(made_here["SharedSecretCiphertextBlob"])
    assert len(other) == 32 and other != made_here["SharedSecret"]


def test_the_smallest_parameter_set_too(kms):
    key = made(kms, "ML_KEM_512", "ENCAPSULATE_DECAPSULATE")
    answer = kms.encapsulate(KeyId=key["KeyId"], EncapsulationAlgorithm="ML_KEM")
    assert len(answer["SharedSecretCiphertextBlob"]) == 768
    opened = kms.decapsulate(KeyId=key["Arn"], EncapsulationAlgorithm="ML_KEM",
                             SharedSecretCiphertextBlob=answer["SharedSecretCiphertextBlob"])
    assert opened["SharedSecret"] == answer["SharedSecret"]


def test_other_keys_encapsulate_nothing(kms, key):
    refused(kms.encapsulate, "InvalidKeyUsageException",
            f"{key['Arn']} key usage is ENCRYPT_DECRYPT which is not valid for Encapsulate.", KeyId=key["KeyId"],
            EncapsulationAlgorithm="ML_KEM")
    refused(kms.create_key, "ValidationException", "KeyUsage KEY_AGREEMENT is not compatible with KeySpec ML_KEM_768",
            KeySpec="ML_KEM_768", KeyUsage="KEY_AGREEMENT")
    refused(kms.create_key, "UnsupportedOperationException", "KeySpec SM2 is not supported in this Region",
            KeySpec="SM2", KeyUsage="KEY_AGREEMENT")
