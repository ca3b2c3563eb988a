"""Encryption with RSA keys, checked by an implementation of its own: Python's `cryptography`."""

import re

import pytest
from conftest import refused
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

ALGORITHMS = {"RSAES_OAEP_SHA_1": hashes.SHA1, "RSAES_OAEP_SHA_256": hashes.SHA256}
ROOM = {
    ("RSA_2048", "RSAES_OAEP_SHA_1"): 214, ("RSA_2048", "RSAES_OAEP_SHA_256"): 190,
    ("RSA_3072", "RSAES_OAEP_SHA_1"): 342, ("RSA_3072", "RSAES_OAEP_SHA_256"): 318,
    ("RSA_4096", "RSAES_OAEP_SHA_1"): 470, ("RSA_4096", "RSAES_OAEP_SHA_256"): 446,
}  # fmt: skip
PLAINTEXT = b"a secret for one key"


def made(kms, spec="RSA_2048", usage="ENCRYPT_DECRYPT"):
    return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]


def oaep(algorithm):
    digest = ALGORITHMS[algorithm]
    return padding.OAEP(mgf=padding.MGF1(digest()), algorithm=digest(), label=None)


def sealed_elsewhere(kms, key, algorithm, plaintext=PLAINTEXT):
    """A ciphertext that the service never saw: made with the public key alone."""
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    return public.encrypt(plaintext, oaep(algorithm))


@pytest.mark.parametrize("spec,algorithm", ROOM)
def test_what_the_public_key_sealed_elsewhere_is_decrypted(kms, spec, algorithm):
    key = made(kms, spec)
    told = kms.get_public_key(KeyId=key["KeyId"])
    assert told["EncryptionAlgorithms"] == key["EncryptionAlgorithms"] == list(ALGORITHMS)
    assert told["KeyUsage"] == "ENCRYPT_DECRYPT" and "SigningAlgorithms" not in told
    public = serialization.load_der_public_key(told["PublicKey"])
    assert public.key_size == int(spec[4:]) and public.public_numbers().e == 65537
    longest = bytes(range(256)) * 2
    for plaintext in [b"x", PLAINTEXT, longest[: ROOM[spec, algorithm]]]:
        ciphertext = public.encrypt(plaintext, oaep(algorithm))
        answer = kms.decrypt(KeyId=key["KeyId"], CiphertextBlob=ciphertext, EncryptionAlgorithm=algorithm)
        assert answer["Plaintext"] == plaintext
        assert answer["KeyId"] == key["Arn"] and answer["EncryptionAlgorithm"] == algorithm
        assert "KeyMaterialId" not in answer
    # And as long as the modulus when it is made here.
    answer = kms.encrypt(KeyId=key["Arn"], Plaintext=PLAINTEXT, EncryptionAlgorithm=algorithm)
    assert len(answer["CiphertextBlob"]) == public.key_size // 8
    assert answer["KeyId"] == key["Arn"] and answer["EncryptionAlgorithm"] == algorithm
    opened = kms.decrypt(KeyId=key["Arn"], CiphertextBlob=answer["CiphertextBlob"], EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == PLAINTEXT
    refused(
        kms.encrypt, "ValidationException",
        f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {ROOM[spec, algorithm]} bytes.",
        KeyId=key["Arn"], Plaintext=longest[: ROOM[spec, algorithm] + 1], EncryptionAlgorithm=algorithm,
    )  # fmt: skip


def test_what_does_not_open_says_nothing(kms):
    key, other = made(kms)["KeyId"], made(kms)["KeyId"]
    good = sealed_elsewhere(kms, key, "RSAES_OAEP_SHA_256")
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    for of, ciphertext in [
        (other, good),
        (key, good[:-1]),
        (key, good + b"\0"),
        (key, good[:-1] + bytes([good[-1] ^ 1])),
        (key, public.encrypt(PLAINTEXT, oaep("RSAES_OAEP_SHA_1"))),
        (key, public.encrypt(PLAINTEXT, padding.PKCS1v15())),
        (key, public.encrypt(PLAINTEXT, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA256(), None))),
        (key, public.encrypt(PLAINTEXT, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"label"))),
    ]:
        refused(kms.decrypt, "InvalidCiphertextException", "", KeyId=of, CiphertextBlob=ciphertext,
                EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    # Without the algorithm it would be a blob.
    refused(kms.decrypt, "InvalidCiphertextException", "", KeyId=key, CiphertextBlob=good)


def test_key_and_algorithm_must_be_named_and_fit(kms, key):
    rsa, signing = made(kms)["KeyId"], made(kms, usage="SIGN_VERIFY")
    ciphertext = sealed_elsewhere(kms, rsa, "RSAES_OAEP_SHA_256")
    refused(kms.decrypt, "ValidationException", re.compile("Value null at 'keyId'"), CiphertextBlob=ciphertext,
            EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    refused(kms.encrypt, "InvalidKeyUsageException",
            "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.", KeyId=rsa, Plaintext=PLAINTEXT)
    refused(kms.encrypt, "InvalidKeyUsageException",
            "Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec SYMMETRIC_DEFAULT.",
            KeyId=key["KeyId"], Plaintext=PLAINTEXT, EncryptionAlgorithm="RSAES_OAEP_SHA_1")
    refused(kms.encrypt, "InvalidKeyUsageException",
            f"{signing['Arn']} key usage is SIGN_VERIFY which is not valid for Encrypt.",
            KeyId=signing["KeyId"], Plaintext=PLAINTEXT, EncryptionAlgorithm="RSAES_OAEP_SHA_1")
    refused(kms.encrypt, "ValidationException",
            "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.", KeyId=rsa,
            Plaintext=PLAINTEXT, EncryptionAlgorithm="RSAES_OAEP_SHA_1", EncryptionContext={"a": "b"})
    for operation in [kms.generate_data_key, kms.generate_data_key_without_plaintext]:
        refused(operation, "InvalidKeyUsageException", KeyId=rsa, KeySpec="AES_256")


def test_ciphertexts_move_between_kinds_of_keys(kms, key):
    rsa, context = made(kms), {"a": "b"}
    from_outside = kms.re_encrypt(
        CiphertextBlob=sealed_elsewhere(kms, rsa["KeyId"], "RSAES_OAEP_SHA_1"), SourceKeyId=rsa["KeyId"],
        SourceEncryptionAlgorithm="RSAES_OAEP_SHA_1", DestinationKeyId=key["KeyId"],
        DestinationEncryptionContext=context,
    )  # fmt: skip
    assert (from_outside["SourceKeyId"], from_outside["KeyId"]) == (rsa["Arn"], key["Arn"])
    assert from_outside["SourceEncryptionAlgorithm"] == "RSAES_OAEP_SHA_1"
    assert from_outside["DestinationEncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert "SourceKeyMaterialId" not in from_outside
    assert from_outside["DestinationKeyMaterialId"] == key["CurrentKeyMaterialId"]
    blob = from_outside["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == PLAINTEXT
    back = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=rsa["KeyId"],
                          DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert "DestinationKeyMaterialId" not in back
    opened = kms.decrypt(KeyId=rsa["KeyId"], CiphertextBlob=back["CiphertextBlob"],
                         EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert opened["Plaintext"] == PLAINTEXT
    last = kms.get_key_last_usage(KeyId=rsa["KeyId"])["KeyLastUsage"]
    assert last["Operation"] == "Decrypt" and last["KmsRequestId"] == opened["ResponseMetadata"]["RequestId"]
