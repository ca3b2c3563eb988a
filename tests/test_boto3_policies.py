"""Key policies, as boto3 gives them and reads them back."""

import json
import re

import pytest
from conftest import refused

LOCKOUT = "The new key policy will not allow you to update the key policy in the future."


def allowing(principal, action="kms:*", **more):
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Id": "of a test", "Statement": [statement]}, indent=2)


def test_the_default_policy_gives_the_account(kms, key, account):
    answer = kms.get_key_policy(KeyId=key["KeyId"])
    assert answer["PolicyName"] == "default"
    assert json.loads(answer["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    answer = kms.list_key_policies(KeyId=key["Arn"], Limit=1)
    assert (answer["PolicyNames"], answer["Truncated"]) == (["default"], False)


def test_a_policy_is_read_back_as_it_was_put(kms, key, account):
    policy = allowing({"AWS": [f"arn:aws:iam::{account}:root", "444455556666"]}, ["kms:GetKeyPolicy", "kms:PutKeyPolicy"])
    kms.put_key_policy(KeyId=key["Arn"], PolicyName="default", Policy=policy)
    assert kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"] == policy
    made = kms.create_key(Policy=policy)["KeyMetadata"]
    assert kms.get_key_policy(KeyId=made["KeyId"])["Policy"] == policy


def test_nobody_locks_themselves_out_by_accident(server, kms, key, account):
    server.client("iam").create_user(UserName="somebody")
    before = kms.get_key_policy(KeyId=key["KeyId"])["Policy"]
    locking = allowing({"AWS": f"arn:aws:iam::{account}:user/somebody"})
    refused(kms.put_key_policy, "MalformedPolicyDocumentException", LOCKOUT, KeyId=key["KeyId"], Policy=locking)
    refused(kms.create_key, "MalformedPolicyDocumentException", LOCKOUT, Policy=locking)
    assert kms.get_key_policy(KeyId=key["KeyId"])["Policy"] == before
    kms.put_key_policy(KeyId=key["KeyId"], Policy=locking, BypassPolicyLockoutSafetyCheck=True)
    # From here on it decides, also who may read it.
    refused(kms.get_key_policy, "AccessDeniedException", KeyId=key["KeyId"])


@pytest.mark.parametrize("policy", ["{", "[]", '{"Version":"2012-10-17","Statement":[]}', '{"Statement":{"Effect":"Allow"}}'])
def test_what_is_no_policy_is_malformed(kms, key, policy):
    refused(kms.put_key_policy, "MalformedPolicyDocumentException", KeyId=key["KeyId"], Policy=policy)


def test_refusals(kms, key, account):
    invalid = re.compile(r"^Policy contains a statement with one or more invalid principals\.")
    for principal in (f"arn:aws:iam::{account}:group/admins", "AIDACKCEVSQ6C2EXAMPLE", "arn:aws:iam::1:root"):
        refused(kms.put_key_policy, "MalformedPolicyDocumentException", invalid, KeyId=key["KeyId"],
                Policy=allowing({"AWS": principal}))
    everybody = allowing("*")
    refused(kms.put_key_policy, "LimitExceededException", KeyId=key["KeyId"], Policy=everybody + " " * 32768)
    refused(kms.put_key_policy, "ValidationException", "The AWS_RAM policy can only be managed by the RAM service.",
            KeyId=key["KeyId"], PolicyName="AWS_RAM", Policy=everybody)
    refused(kms.get_key_policy, "NotFoundException", KeyId=key["KeyId"], PolicyName="AWS_RAM")
    refused(kms.get_key_policy, "ValidationException", re.compile(r"'policyName'.*pattern"), KeyId=key["KeyId"],
            PolicyName="not a name")
    refused(kms.put_key_policy, "ValidationException", re.compile("Value null at 'policy'"), KeyId=key["KeyId"])
