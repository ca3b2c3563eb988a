"""Aliases: made, moved, listed, deleted, and what each refuses."""

import re
import uuid

import pytest
from conftest import refused

PREFIX = (
    'Alias must start with the prefix "alias/". Please see '
    "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
)


def arn(account, name):
    return f"arn:aws:kms:us-east-1:{account}:{name}"


def test_an_alias_addresses_its_key_and_answers_name_the_key(kms, key, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["Arn"])
    sealed = kms.encrypt(KeyId=alias_name, Plaintext=b"x")
    assert sealed["KeyId"] == key["Arn"]
    assert kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], KeyId=alias_name)["KeyId"] == key["Arn"]


def test_create_alias_refuses(kms, key, account, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    refused(kms.create_alias, "AlreadyExistsException", f"An alias with the name {arn(account, alias_name)} already exists",
            AliasName=alias_name, TargetKeyId=key["KeyId"])
    refused(kms.create_alias, "ValidationException", PREFIX, AliasName="my-key", TargetKeyId=key["KeyId"])
    refused(kms.create_alias, "ValidationException",
            re.compile(r"^1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: "
                       r"Member must satisfy regular expression pattern: "),
            AliasName="alias/a b", TargetKeyId=key["KeyId"])
    refused(kms.create_alias, "ValidationException", re.compile("at 'aliasName'.*less than or equal to 256$"),
            AliasName="alias/" + "x" * 251, TargetKeyId=key["KeyId"])
    unknown = str(uuid.uuid4())
    refused(kms.create_alias, "NotFoundException", f"Key 'arn:aws:kms:us-east-1:{account}:key/{unknown}' does not exist",
            AliasName=f"{alias_name}-x", TargetKeyId=unknown)


@pytest.mark.parametrize("name", ["alias/aws/mine", "alias/aws/"])
def test_the_prefix_alias_aws_is_reserved(kms, key, name):
    with pytest.raises(kms.exceptions.ClientError):
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    assert name not in {one["AliasName"] for one in kms.list_aliases()["Aliases"]}


def test_an_alias_cannot_target_an_alias(kms, key, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    with pytest.raises(kms.exceptions.ClientError):
        kms.create_alias(AliasName=f"{alias_name}-2", TargetKeyId=alias_name)


def test_an_alias_moves(kms, key, account, alias_name):
    other = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    first = kms.encrypt(KeyId=alias_name, Plaintext=b"x")
    kms.update_alias(AliasName=alias_name, TargetKeyId=other["KeyId"])
    second = kms.encrypt(KeyId=alias_name, Plaintext=b"x")
    assert (first["KeyId"], second["KeyId"]) == (key["Arn"], other["Arn"])
    # What was sealed before opens without naming a key, but not under the alias, which names another now.
    assert kms.decrypt(CiphertextBlob=first["CiphertextBlob"])["KeyId"] == key["Arn"]
    refused(kms.decrypt, "IncorrectKeyException", CiphertextBlob=first["CiphertextBlob"], KeyId=alias_name)
    refused(kms.update_alias, "NotFoundException", f"Alias {arn(account, alias_name)}-none is not found.",
            AliasName=f"{alias_name}-none", TargetKeyId=other["KeyId"])


def test_delete_alias(kms, key, account, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    kms.delete_alias(AliasName=alias_name)
    text = f"Alias {arn(account, alias_name)} is not found."
    refused(kms.describe_key, "NotFoundException", text, KeyId=alias_name)
    refused(kms.encrypt, "NotFoundException", text, KeyId=alias_name, Plaintext=b"x")
    refused(kms.delete_alias, "NotFoundException", text, AliasName=alias_name)
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])


def test_aliases_and_a_key_pending_deletion(kms, key, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    text = f"{key['Arn']} is pending deletion."
    refused(kms.create_alias, "KMSInvalidStateException", text, AliasName=f"{alias_name}-2", TargetKeyId=key["KeyId"])
    refused(kms.update_alias, "KMSInvalidStateException", text, AliasName=alias_name, TargetKeyId=key["KeyId"])
    kms.delete_alias(AliasName=alias_name)


def test_list_aliases(kms, key, account, alias_name):
    names = {f"{alias_name}/{n}" for n in range(5)}
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
    seen, members = [], {"KeyId": key["KeyId"], "Limit": 2}
    while True:
        page = kms.list_aliases(**members)
        assert len(page["Aliases"]) <= 2
        seen += page["Aliases"]
        if not page["Truncated"]:
            break
        members["Marker"] = page["NextMarker"]
    assert {one["AliasName"] for one in seen} == names and len(seen) == 5
    for one in seen:
        assert one["TargetKeyId"] == key["KeyId"]
        assert one["AliasArn"] == arn(account, one["AliasName"])
        assert one["CreationDate"] and one["LastUpdatedDate"]
    everything = [one["AliasName"] for page in kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 3})
                  for one in page["Aliases"]]
    assert names <= set(everything) and len(everything) == len(set(everything))


def test_list_aliases_refuses(kms, account):
    unknown = str(uuid.uuid4())
    refused(kms.list_aliases, "NotFoundException", f"Key 'arn:aws:kms:us-east-1:{account}:key/{unknown}' does not exist",
            KeyId=unknown)
    refused(kms.list_aliases, "ValidationException", Limit=1001)
    refused(kms.list_aliases, "InvalidMarkerException", Marker="x")


def test_unknown_aliases_everywhere(kms, account):
    text = f"Alias {arn(account, 'alias/no-such')} is not found."
    for name in ("alias/no-such", arn(account, "alias/no-such")):
        refused(kms.describe_key, "NotFoundException", text, KeyId=name)
        refused(kms.generate_data_key, "NotFoundException", text, KeyId=name, KeySpec="AES_256")
