"""Data keys, encryption, decryption, re-encryption, random bytes: what they give, and what they refuse."""

import base64
import re
import uuid

import pytest
from conftest import refused
from signing import call

CONTEXT = {"tenant": "a", "Purpose": "backup", "ünï": "€"}
INCORRECT_KEY = "The key ID in the request does not identify a CMK that can perform this operation."


@pytest.mark.parametrize("members,length", [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16),
                                            ({"NumberOfBytes": 1}, 1), ({"NumberOfBytes": 1024}, 1024)])
def test_a_data_key_and_its_blob(kms, key, members, length):
    answer = kms.generate_data_key(KeyId=key["KeyId"], EncryptionContext=CONTEXT, **members)
    assert answer["KeyId"] == key["Arn"] and len(answer["Plaintext"]) == length
    assert answer["KeyMaterialId"] == key["CurrentKeyMaterialId"]
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == answer["Plaintext"]
    assert opened["KeyId"] == key["Arn"] and opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    again = kms.generate_data_key(KeyId=key["KeyId"], EncryptionContext=CONTEXT, **members)
    assert again["CiphertextBlob"] != answer["CiphertextBlob"]
    if length >= 16:
        assert again["Plaintext"] != answer["Plaintext"]


def test_a_data_key_without_plaintext(kms, key):
    answer = kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], NumberOfBytes=33, EncryptionContext=CONTEXT)
    assert "Plaintext" not in answer and answer["KeyId"] == key["Arn"]
    assert answer["KeyMaterialId"] == key["CurrentKeyMaterialId"]
    assert len(kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"]) == 33


@pytest.mark.parametrize("operation", ["generate_data_key", "generate_data_key_without_plaintext"])
def test_data_key_refusals(kms, key, operation):
    method = getattr(kms, operation)
    refused(method, "ValidationException", KeyId=key["KeyId"])
    refused(method, "ValidationException", KeyId=key["KeyId"], KeySpec="AES_256", NumberOfBytes=32)
    refused(method, "ValidationException",
            re.compile(r"^1 validation error detected: Value 'AES_512' at 'keySpec' failed to satisfy constraint: "
                       r"Member must satisfy enum value set: \[.+\]$"),
            KeyId=key["KeyId"], KeySpec="AES_512")
    refused(method, "ValidationException",
            "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
            KeyId=key["KeyId"], NumberOfBytes=0)
    refused(method, "ValidationException",
            "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: "
            "Member must have value less than or equal to 1024",
            KeyId=key["KeyId"], NumberOfBytes=1025)


@pytest.mark.parametrize("length", [1, 16, 4095, 4096])
def test_encrypt_and_decrypt(kms, key, length):
    plaintext = bytes(n % 256 for n in range(length))
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=plaintext, EncryptionContext=CONTEXT)
    assert sealed["KeyId"] == key["Arn"] and sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert plaintext not in sealed["CiphertextBlob"] or length == 1
    for more in ({}, {"KeyId": key["Arn"]}, {"KeyId": key["KeyId"]}, {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}):
        opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT, **more)
        assert (opened["Plaintext"], opened["KeyId"]) == (plaintext, key["Arn"])


def test_encrypt_refuses_and_echoes_no_plaintext(server, kms, key):
    refused(kms.encrypt, "ValidationException",
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            "Member must have length less than or equal to 4096",
            KeyId=key["KeyId"], Plaintext=b"s" * 4097)
    refused(kms.encrypt, "ValidationException",
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
            KeyId=key["KeyId"], Plaintext=b"")
    refused(kms.encrypt, "ValidationException", re.compile("at 'plaintext' failed to satisfy constraint: Member must not be null$"),
            KeyId=key["KeyId"])
    found = call(server, "Encrypt", {"KeyId": key["KeyId"], "Plaintext": "not base64 at all!"})
    assert (found.status, found.code) == (400, "SerializationException"), found
    assert "not base64 at all" not in found.body.decode()


@pytest.mark.parametrize("operation,members", [
    ("encrypt", {"Plaintext": b"x", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
])
def test_a_wrong_algorithm_for_the_key(kms, key, operation, members):
    refused(getattr(kms, operation), "InvalidKeyUsageException", KeyId=key["KeyId"], **members)


@pytest.mark.parametrize(
    "other",
    [None, {}, {"tenant": "a"}, {**CONTEXT, "more": "x"}, {**CONTEXT, "tenant": "b"}, {**CONTEXT, "tenant": "A"},
     {"Tenant": "a", "Purpose": "backup", "ünï": "€"}],
)
def test_another_context_does_not_open(kms, key, other):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    members = {} if other is None else {"EncryptionContext": other}
    refused(kms.decrypt, "InvalidCiphertextException", "", CiphertextBlob=blob, **members)
    refused(kms.re_encrypt, "InvalidCiphertextException", "", CiphertextBlob=blob, DestinationKeyId=key["KeyId"],
            **({} if other is None else {"SourceEncryptionContext": other}))


def test_the_order_of_the_context_does_not_matter(kms, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    turned = dict(reversed(list(CONTEXT.items())))
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=turned)["Plaintext"] == b"x"


def test_a_changed_blob_never_opens(kms, key):
    """Whatever bit is changed: either the blob names no key of ours, or it is not authentic; never a 5xx."""
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    for at in range(len(blob)):
        changed = bytearray(blob)
        changed[at] ^= 1 << (at % 8)
        try:
            kms.decrypt(CiphertextBlob=bytes(changed))
        except kms.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ("InvalidCiphertextException", "AccessDeniedException"), (at, error)
        else:
            raise AssertionError(f"opened with byte {at} changed")
    for cut in (1, 2, 15, 16, 17, len(blob) // 2, len(blob) - 1):
        with pytest.raises(kms.exceptions.ClientError) as caught:
            kms.decrypt(CiphertextBlob=blob[:cut])
        assert caught.value.response["Error"]["Code"] in ("InvalidCiphertextException", "AccessDeniedException")
    for more in (b"\0", b"x" * 100):
        with pytest.raises(kms.exceptions.ClientError):
            kms.decrypt(CiphertextBlob=blob + more)


def test_tag_and_commitment_failures_look_the_same(kms, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"some plaintext")["CiphertextBlob"]
    in_tag, in_commitment = bytearray(blob), bytearray(blob)
    in_tag[-1] ^= 1
    in_commitment[-(16 + 14 + 1)] ^= 1
    for changed in (in_tag, in_commitment):
        refused(kms.decrypt, "InvalidCiphertextException", "", CiphertextBlob=bytes(changed))


def test_blob_lengths(kms):
    refused(kms.decrypt, "ValidationException", re.compile("at 'ciphertextBlob'.*greater than or equal to 1$"), CiphertextBlob=b"")
    refused(kms.decrypt, "ValidationException", re.compile("at 'ciphertextBlob'.*less than or equal to 6144$"),
            CiphertextBlob=b"x" * 6145)
    for garbage in (b"x", b"garbage" * 20, b"\1" * 6144):
        with pytest.raises(kms.exceptions.ClientError) as caught:
            kms.decrypt(CiphertextBlob=garbage)
        assert caught.value.response["Error"]["Code"] in ("InvalidCiphertextException", "AccessDeniedException")


def test_decrypt_with_another_key_id(kms, key, account):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    other = kms.create_key()["KeyMetadata"]
    for name in (other["KeyId"], other["Arn"]):
        refused(kms.decrypt, "IncorrectKeyException", INCORRECT_KEY, CiphertextBlob=blob, KeyId=name)
    unknown = str(uuid.uuid4())
    refused(kms.decrypt, "NotFoundException", f"Key 'arn:aws:kms:us-east-1:{account}:key/{unknown}' does not exist",
            CiphertextBlob=blob, KeyId=unknown)


def test_re_encrypt(kms, key):
    other = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"moved", EncryptionContext=CONTEXT)["CiphertextBlob"]
    answer = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=CONTEXT, DestinationKeyId=other["KeyId"],
                            DestinationEncryptionContext={"now": "here"})
    assert answer["SourceKeyId"] == key["Arn"] and answer["KeyId"] == other["Arn"]
    assert answer["SourceEncryptionAlgorithm"] == answer["DestinationEncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert answer["SourceKeyMaterialId"] == key["CurrentKeyMaterialId"]
    assert answer["DestinationKeyMaterialId"] == other["CurrentKeyMaterialId"]
    opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"now": "here"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"moved", other["Arn"])
    refused(kms.re_encrypt, "IncorrectKeyException", INCORRECT_KEY, CiphertextBlob=blob, SourceEncryptionContext=CONTEXT,
            SourceKeyId=other["KeyId"], DestinationKeyId=other["KeyId"])


@pytest.mark.parametrize("length", [1, 32, 1024])
def test_generate_random(kms, length):
    assert len(kms.generate_random(NumberOfBytes=length)["Plaintext"]) == length


def test_generate_random_refuses(kms):
    refused(kms.generate_random, "ValidationException", "NumberOfBytes is required.")
    refused(kms.generate_random, "ValidationException", re.compile("at 'numberOfBytes'.*less than or equal to 1024$"),
            NumberOfBytes=1025)
    refused(kms.generate_random, "CustomKeyStoreNotFoundException", NumberOfBytes=1, CustomKeyStoreId="cks-1")


def test_dry_run_says_whether_it_would_have_succeeded(kms, key):
    text = "The request would have succeeded, but the DryRun option is set."
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    for method, members in (
        (kms.encrypt, {"KeyId": key["KeyId"], "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.re_encrypt, {"CiphertextBlob": blob, "DestinationKeyId": key["KeyId"]}),
        (kms.generate_data_key, {"KeyId": key["KeyId"], "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key["KeyId"], "KeySpec": "AES_256"}),
    ):
        refused(method, "DryRunOperationException", text, DryRun=True, **members)
        assert method(DryRun=False, **members)
    kms.disable_key(KeyId=key["KeyId"])
    refused(kms.encrypt, "DisabledException", KeyId=key["KeyId"], Plaintext=b"x", DryRun=True)


def test_a_recipient_is_refused_and_never_ignored(kms, key):
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"x"}
    refused(kms.generate_data_key, "UnsupportedOperationException", KeyId=key["KeyId"], KeySpec="AES_256", Recipient=recipient)
    refused(kms.generate_random, "UnsupportedOperationException", NumberOfBytes=16, Recipient=recipient)


def test_the_blob_shows_no_plaintext(kms, key):
    answer = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    blob, plaintext = answer["CiphertextBlob"], answer["Plaintext"]
    assert plaintext not in blob and base64.b64encode(plaintext) not in blob and len(blob) < 250
