"""Grants, as boto3 makes, lists, retires and revokes them."""

import datetime
import json
import re

import pytest
from conftest import refused

HEX64 = re.compile(r"^[0-9a-f]{64}$")
UNKNOWN = "0123456789abcdef" * 4
WOULD_SUCCEED = "The request would have succeeded, but the DryRun option is set."


@pytest.fixture
def user(server, account):
    """The ARN of a user, who is there."""
    iam = server.client("iam")

    def arn(name: str) -> str:
        path, _, own = f"/{name}".rpartition("/")
        try:
            iam.create_user(UserName=own, Path=f"{path}/")
        except iam.exceptions.EntityAlreadyExistsException:
            pass
        return f"arn:aws:iam::{account}:user/{name}"

    return arn


@pytest.fixture
def retirer(server, account):
    """The ARN of a role, which is there."""
    iam = server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    try:
        iam.create_role(RoleName="retirer", Path="/service-role/",
                        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    return f"arn:aws:iam::{account}:role/service-role/retirer"


def listed(kms, key, **filters):
    pages = kms.get_paginator("list_grants").paginate(KeyId=key["KeyId"], **filters)
    return [grant for page in pages for grant in page["Grants"]]


def test_a_grant_is_listed_as_it_was_made(kms, key, account, user, retirer):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    made = kms.create_grant(
        KeyId=key["Arn"],
        GranteePrincipal=user("ann"),
        RetiringPrincipal=retirer,
        Operations=["Decrypt", "DescribeKey"],
        Constraints={"EncryptionContextSubset": {"Department": "IT"}, "EncryptionContextEquals": {}},
        Name="of-the_test",
    )
    assert HEX64.match(made["GrantId"]) and made["GrantToken"]
    grant = listed(kms, key)[0]
    assert before < grant.pop("CreationDate") <= datetime.datetime.now(datetime.timezone.utc)
    assert grant == {
        "KeyId": key["Arn"],
        "GrantId": made["GrantId"],
        "Name": "of-the_test",
        "GranteePrincipal": user("ann"),
        "RetiringPrincipal": retirer,
        "IssuingAccount": f"arn:aws:iam::{account}:root",
        "Operations": ["Decrypt", "DescribeKey"],
        "Constraints": {"EncryptionContextSubset": {"Department": "IT"}, "EncryptionContextEquals": {}},
    }
    kms.revoke_grant(KeyId=key["KeyId"], GrantId=made["GrantId"])
    assert listed(kms, key) == []
    refused(kms.revoke_grant, "NotFoundException", f"Grant ID {made['GrantId']} not found",
            KeyId=key["KeyId"], GrantId=made["GrantId"])


def test_the_same_name_on_two_keys_makes_two_grants(kms, user):
    keys = [kms.create_key()["KeyMetadata"] for _ in range(2)]
    grants = [
        kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=user("ann"), Name="same", Operations=["Decrypt", "Encrypt"])
        for key in keys
    ]
    assert grants[0]["GrantId"] != grants[1]["GrantId"]
    assert [len(listed(kms, key)) for key in keys] == [1, 1]


def test_a_named_request_that_is_repeated_finds_its_grant(kms, key, user):
    members = {"KeyId": key["KeyId"], "GranteePrincipal": user("ann"), "Name": "n", "Operations": ["Decrypt"]}
    first, second = kms.create_grant(**members), kms.create_grant(**members)
    assert first["GrantId"] == second["GrantId"] and first["GrantToken"] != second["GrantToken"]
    assert kms.create_grant(**members | {"Operations": ["Encrypt"]})["GrantId"] != first["GrantId"]
    members.pop("Name")
    assert kms.create_grant(**members)["GrantId"] != kms.create_grant(**members)["GrantId"]
    assert len(listed(kms, key)) == 4
    kms.retire_grant(GrantToken=second["GrantToken"])
    assert len(listed(kms, key)) == 3
    refused(kms.retire_grant, "NotFoundException", GrantToken=first["GrantToken"])


def test_lists_and_filters(kms, key, user):
    ids = [
        kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=user(name), RetiringPrincipal=user("bob" + key["KeyId"]),
                         Operations=["Decrypt"])["GrantId"]
        for name in ("ann", "ann", "carl", "ann", "carl/x")
    ]
    everything = listed(kms, key, PaginationConfig={"PageSize": 2})
    assert sorted(grant["GrantId"] for grant in everything) == sorted(ids)
    assert {grant["GrantId"] for grant in listed(kms, key, GranteePrincipal=user("ann"))} == {ids[0], ids[1], ids[3]}
    assert [grant["GrantId"] for grant in listed(kms, key, GrantId=ids[2])] == [ids[2]]
    assert listed(kms, key, GrantId=UNKNOWN) == []
    pages = kms.get_paginator("list_retirable_grants").paginate(
        RetiringPrincipal=user("bob" + key["KeyId"]), PaginationConfig={"PageSize": 2}
    )
    assert sorted(grant["GrantId"] for page in pages for grant in page["Grants"]) == sorted(ids)
    refused(kms.list_grants, "InvalidMarkerException", KeyId=key["KeyId"], Marker="x")
    refused(kms.list_grants, "InvalidGrantIdException", KeyId=key["KeyId"], GrantId="x")
    refused(kms.list_retirable_grants, "ValidationException")
    refused(kms.list_retirable_grants, "AccessDeniedException", RetiringPrincipal="arn:aws:iam::000000000001:root")


def test_retire_by_id(kms, key, user):
    grant = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=user("ann"), Operations=["Decrypt"])
    refused(kms.retire_grant, "NotFoundException", f"Grant ID {UNKNOWN} not found", KeyId=key["Arn"], GrantId=UNKNOWN)
    refused(kms.retire_grant, "InvalidGrantIdException", KeyId=key["Arn"], GrantId="x")
    refused(kms.retire_grant, "InvalidGrantTokenException", GrantToken=grant["GrantToken"][:-1])
    refused(kms.retire_grant, "ValidationException", KeyId=key["Arn"])
    kms.retire_grant(KeyId=key["Arn"], GrantId=grant["GrantId"])
    assert listed(kms, key) == []


def test_tokens_are_taken_where_the_api_has_them(kms, key, user):
    token = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=user("ann"), Operations=["Decrypt"])["GrantToken"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", GrantTokens=[token])["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, GrantTokens=[token] * 10)["Plaintext"] == b"x"
    refused(kms.decrypt, "InvalidGrantTokenException", CiphertextBlob=blob, GrantTokens=[token, "x"])
    refused(kms.decrypt, "ValidationException", re.compile("'grantTokens'.*less than or equal to 10"), CiphertextBlob=blob,
            GrantTokens=[token] * 11)


def test_refusals(kms, key, user, account, alias_name):
    grant = {"KeyId": key["KeyId"], "GranteePrincipal": user("ann"), "Operations": ["Decrypt"]}
    for wrong in ("sns.amazonaws.com", account, f"arn:aws:iam::{account}:group/g"):
        refused(kms.create_grant, "InvalidArnException", f"ARN does not refer to a valid principal: {wrong}",
                **grant | {"GranteePrincipal": wrong})
        refused(kms.create_grant, "InvalidArnException", f"ARN does not refer to a valid principal: {wrong}",
                **grant | {"RetiringPrincipal": wrong})
    refused(kms.create_grant, "ValidationException", **grant | {"Operations": ["Sign"]})
    refused(kms.create_grant, "ValidationException", re.compile("'operations'"), **grant | {"Operations": []})
    refused(kms.create_grant, "ValidationException", re.compile("enum value set"), **grant | {"Operations": ["DECRYPT"]})
    refused(kms.create_grant, "ValidationException", re.compile("'name'.*pattern"), **grant | {"Name": "a b"})
    refused(kms.create_grant, "ValidationException", KeyId=key["KeyId"], Operations=["Decrypt"])
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    alias_arn = f"arn:aws:kms:us-east-1:{account}:{alias_name}"
    refused(kms.create_grant, "InvalidArnException", **grant | {"KeyId": alias_arn})
    assert listed(kms, key) == []


def test_dry_runs(kms, key, user):
    grant = {"KeyId": key["KeyId"], "GranteePrincipal": user("ann"), "Operations": ["Decrypt"]}
    refused(kms.create_grant, "DryRunOperationException", WOULD_SUCCEED, **grant, DryRun=True)
    assert listed(kms, key) == []
    made = kms.create_grant(**grant, DryRun=False)
    refused(kms.revoke_grant, "DryRunOperationException", WOULD_SUCCEED, KeyId=key["KeyId"], GrantId=made["GrantId"], DryRun=True)
    refused(kms.retire_grant, "DryRunOperationException", WOULD_SUCCEED, GrantToken=made["GrantToken"], DryRun=True)
    assert len(listed(kms, key)) == 1


def test_states(kms, key, user):
    grant = {"KeyId": key["KeyId"], "GranteePrincipal": user("ann"), "Operations": ["Decrypt"]}
    made = [kms.create_grant(**grant) for _ in range(2)]
    kms.disable_key(KeyId=key["KeyId"])
    refused(kms.create_grant, "DisabledException", f"{key['Arn']} is disabled.", **grant)
    kms.revoke_grant(KeyId=key["KeyId"], GrantId=made[0]["GrantId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    refused(kms.create_grant, "KMSInvalidStateException", f"{key['Arn']} is pending deletion.", **grant)
    assert len(listed(kms, key)) == 1
    kms.retire_grant(GrantToken=made[1]["GrantToken"])
    assert listed(kms, key) == []
