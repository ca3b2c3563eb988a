"""Keys: made, described, listed, switched, rotated, deleted; each operation's success and its refusals."""

import datetime
import re
import uuid

import pytest
from conftest import refused

HEX64 = re.compile(r"^[0-9a-f]{64}$")


def absent(account, key_id, region="us-east-1"):
    return f"Key 'arn:aws:kms:{region}:{account}:key/{key_id}' does not exist"


def test_create_key_says_what_it_made(kms, account):
    metadata = kms.create_key(Description="for the tests", Tags=[{"TagKey": "team", "TagValue": "t"}])["KeyMetadata"]
    key_id = metadata["KeyId"]
    assert uuid.UUID(key_id) and key_id == key_id.lower()
    assert metadata["Arn"] == f"arn:aws:kms:us-east-1:{account}:key/{key_id}"
    assert re.fullmatch(r"\d{12}", account)
    created = metadata.pop("CreationDate")
    assert abs(created - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=1)
    assert HEX64.match(metadata.pop("CurrentKeyMaterialId"))
    assert metadata == {
        "AWSAccountId": account,
        "KeyId": key_id,
        "Arn": metadata["Arn"],
        "Enabled": True,
        "Description": "for the tests",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }


def test_describe_key_by_id_arn_alias_and_alias_arn(kms, key, account, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    alias_arn = f"arn:aws:kms:us-east-1:{account}:{alias_name}"
    for name in (key["KeyId"], key["Arn"], alias_name, alias_arn):
        assert kms.describe_key(KeyId=name)["KeyMetadata"] == key


@pytest.mark.parametrize(
    "members,code,message",
    [
        ({"KeySpec": "RSA_2048"}, "ValidationException",
         "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."),
        ({"KeySpec": "AES_256"}, "ValidationException",
         re.compile(r"^1 validation error detected: Value 'AES_256' at 'keySpec' failed to satisfy constraint: "
                    r"Member must satisfy enum value set: \[.*SYMMETRIC_DEFAULT.*\]$")),
        ({"KeyUsage": "READ"}, "ValidationException",
         re.compile(r"^1 validation error detected: Value 'READ' at 'keyUsage' failed to satisfy constraint: ")),
        ({"Description": "x" * 8193}, "ValidationException",
         re.compile(r"at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192$")),
        ({"Tags": [{"TagKey": "", "TagValue": "v"}]}, "ValidationException",
         re.compile(r"at 'tags\.1\.member\.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1$")),
        ({"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]}, "TagException", "Duplicate tag keys"),
        ({"Tags": [{"TagKey": f"k{n}", "TagValue": "v"} for n in range(51)]}, "TagException", "Too many tags"),
        ({"Tags": [{"TagKey": "aws:x", "TagValue": "v"}]}, "TagException", "Tags beginning with aws: are reserved"),
        ({"Tags": [{"TagKey": "AwS:x", "TagValue": "v"}]}, "TagException", "Tags beginning with aws: are reserved"),
        ({"Origin": "AWS_CLOUDHSM"}, "ValidationException", None),
        ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException", "KeySpec SM2 is not supported in this Region"),
        ({"Policy": "{"}, "MalformedPolicyDocumentException", None),
        ({"Policy": '{"Version":"2012-10-17","Statement":[]}'}, "MalformedPolicyDocumentException", None),
    ],
)
def test_create_key_refuses(kms, members, code, message):
    refused(kms.create_key, code, message, **members)


def test_unknown_keys(kms, account):
    unknown = str(uuid.uuid4())
    for call in (kms.describe_key, kms.enable_key, kms.disable_key, kms.schedule_key_deletion, kms.cancel_key_deletion,
                 kms.rotate_key_on_demand):
        refused(call, "NotFoundException", absent(account, unknown), KeyId=unknown)
        refused(call, "NotFoundException", absent(account, unknown), KeyId=f"arn:aws:kms:us-east-1:{account}:key/{unknown}")


@pytest.mark.parametrize("malformed", ["x", "nonsense", "0" * 32, "1234abcd-12ab-34cd-56ef-1234567890abc", "mrk-1", " "])
def test_malformed_key_ids(kms, malformed):
    refused(kms.describe_key, "NotFoundException", f"Invalid keyId '{malformed}'", KeyId=malformed)


def test_arn_of_another_region(kms, account):
    arn = f"arn:aws:kms:eu-west-1:{account}:key/{uuid.uuid4()}"
    refused(kms.describe_key, "NotFoundException", "Invalid arn eu-west-1", KeyId=arn)


def test_missing_key_id(kms):
    refused(kms.describe_key, "ValidationException",
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null")


def test_key_id_too_long(kms):
    refused(kms.describe_key, "ValidationException",
            re.compile(r"at 'keyId' failed to satisfy constraint: Member must have length less than or equal to 2048$"),
            KeyId="x" * 2049)


def test_two_failures_are_both_told(kms):
    found = refused(kms.schedule_key_deletion, "ValidationException", KeyId="x" * 2049, PendingWindowInDays=0)
    assert found.message.startswith("2 validation errors detected: "), found
    assert "; " in found.message and "'keyId'" in found.message and "'pendingWindowInDays'" in found.message


def test_list_keys_pages(kms):
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    seen, members = [], {"Limit": 2}
    while True:
        page = kms.list_keys(**members)
        assert len(page["Keys"]) <= 2
        seen += page["Keys"]
        if not page["Truncated"]:
            assert "NextMarker" not in page
            break
        members["Marker"] = page["NextMarker"]
    ids = [one["KeyId"] for one in seen]
    assert len(ids) == len(set(ids)) and made <= set(ids)
    assert all(one["KeyArn"].endswith(f"key/{one['KeyId']}") for one in seen)


def test_list_keys_refuses(kms):
    for marker in ("nonsense", "AAAA", "x" * 300):
        refused(kms.list_keys, "InvalidMarkerException", Marker=marker)
    refused(kms.list_keys, "ValidationException", re.compile("at 'limit'.*greater than or equal to 1$"), Limit=0)
    refused(kms.list_keys, "ValidationException", re.compile("at 'limit'.*less than or equal to 1000$"), Limit=1001)


def test_a_marker_serves_only_the_list_it_was_made_for(kms, key, alias_name):
    kms.create_key()
    for n in range(2):
        kms.create_alias(AliasName=f"{alias_name}-{n}", TargetKeyId=key["KeyId"])
    marker = kms.list_keys(Limit=1)["NextMarker"]
    refused(kms.list_aliases, "InvalidMarkerException", Marker=marker)
    changed = marker[:-4] + ("AAAA" if marker[-4:] != "AAAA" else "BBBB")
    refused(kms.list_keys, "InvalidMarkerException", Marker=changed)


def test_disable_and_enable(kms, key):
    blob = kms.encrypt(KeyId=key["Arn"], Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key["KeyId"])
    metadata = kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]
    assert (metadata["Enabled"], metadata["KeyState"]) == (False, "Disabled")
    text = f"{key['Arn']} is disabled."
    refused(kms.encrypt, "DisabledException", text, KeyId=key["KeyId"], Plaintext=b"x")
    refused(kms.decrypt, "DisabledException", text, CiphertextBlob=blob)
    refused(kms.generate_data_key, "DisabledException", text, KeyId=key["KeyId"], KeySpec="AES_256")
    refused(kms.generate_data_key_without_plaintext, "DisabledException", text, KeyId=key["KeyId"], KeySpec="AES_256")
    refused(kms.re_encrypt, "DisabledException", text, CiphertextBlob=blob, DestinationKeyId=key["KeyId"])
    refused(kms.rotate_key_on_demand, "DisabledException", text, KeyId=key["KeyId"])
    kms.disable_key(KeyId=key["KeyId"])
    kms.enable_key(KeyId=key["Arn"])
    kms.enable_key(KeyId=key["Arn"])
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_management_refuses_aliases(kms, key, alias_name):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    for call in (kms.enable_key, kms.disable_key, kms.schedule_key_deletion, kms.rotate_key_on_demand):
        for name in (alias_name, f"{key['Arn'].rsplit(':', 1)[0]}:{alias_name}"):
            try:
                call(KeyId=name)
            except kms.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] in ("NotFoundException", "InvalidArnException", "ValidationException"), error
            else:
                raise AssertionError(f"{call} took the alias {name}")
    assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["KeyState"] == "Enabled"


def test_update_key_description(kms, key):
    kms.update_key_description(KeyId=key["KeyId"], Description="new “words” \U0001f511")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "new “words” \U0001f511"
    kms.update_key_description(KeyId=key["KeyId"], Description="")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == ""
    refused(kms.update_key_description, "ValidationException", re.compile("'description'"), KeyId=key["KeyId"])


def test_schedule_and_cancel_deletion(kms, key):
    blob = kms.encrypt(KeyId=key["Arn"], Plaintext=b"x")["CiphertextBlob"]
    answer = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (key["Arn"], "PendingDeletion", 7)
    ahead = answer["DeletionDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=6, hours=23) < ahead <= datetime.timedelta(days=8)
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert metadata["KeyState"] == "PendingDeletion" and metadata["Enabled"] is False
    assert metadata["DeletionDate"] == answer["DeletionDate"]
    text = f"{key['Arn']} is pending deletion."
    for call, members in (
        (kms.encrypt, {"KeyId": key["KeyId"], "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.generate_data_key, {"KeyId": key["KeyId"], "KeySpec": "AES_256"}),
        (kms.enable_key, {"KeyId": key["KeyId"]}),
        (kms.disable_key, {"KeyId": key["KeyId"]}),
        (kms.update_key_description, {"KeyId": key["KeyId"], "Description": "x"}),
        (kms.rotate_key_on_demand, {"KeyId": key["KeyId"]}),
        (kms.schedule_key_deletion, {"KeyId": key["KeyId"]}),
    ):
        refused(call, "KMSInvalidStateException", text, **members)
    assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert metadata["KeyState"] == "Disabled" and "DeletionDate" not in metadata
    kms.enable_key(KeyId=key["KeyId"])
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_deletion_waits_thirty_days_unless_told(kms, key):
    answer = kms.schedule_key_deletion(KeyId=key["KeyId"])
    assert answer["PendingWindowInDays"] == 30


@pytest.mark.parametrize("days", [6, 31])
def test_the_waiting_period_has_bounds(kms, key, days):
    """The model allows 1 to 365; the service 7 to 30."""
    refused(kms.schedule_key_deletion, "ValidationException", KeyId=key["KeyId"], PendingWindowInDays=days)


def test_cancel_what_is_not_pending(kms, key):
    refused(kms.cancel_key_deletion, "KMSInvalidStateException", re.compile(f"^{key['Arn']} is not pending deletion"),
            KeyId=key["KeyId"])


def test_rotation_keeps_what_was_sealed_before(kms, key):
    before = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    assert before["KeyMaterialId"] == key["CurrentKeyMaterialId"]
    assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] in (key["Arn"], key["KeyId"])
    after = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    assert HEX64.match(after["KeyMaterialId"]) and after["KeyMaterialId"] != before["KeyMaterialId"]
    current = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
    assert current == after["KeyMaterialId"]
    for data_key in (before, after):
        opened = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])
        assert opened["Plaintext"] == data_key["Plaintext"]
        assert opened["KeyMaterialId"] == data_key["KeyMaterialId"]


def test_a_key_is_rotated_at_most_25_times(kms, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"first")["CiphertextBlob"]
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
    refused(
        kms.rotate_key_on_demand,
        "LimitExceededException",
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be "
        f"performed for this key: {key['Arn']}",
        KeyId=key["KeyId"],
    )
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"first"


def test_a_multi_region_key_is_a_primary(kms):
    """It can't be replicated yet; its blobs name no region, so that they will open where it is."""
    metadata = kms.create_key(MultiRegion=True)["KeyMetadata"]
    assert re.fullmatch(r"mrk-[0-9a-f]{32}", metadata["KeyId"]) and metadata["MultiRegion"] is True
    assert metadata["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert metadata["MultiRegionConfiguration"]["PrimaryKey"] == {"Arn": metadata["Arn"], "Region": "us-east-1"}
    blob = kms.encrypt(KeyId=metadata["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert b"us-east-1" not in blob
    assert kms.decrypt(CiphertextBlob=blob)["KeyId"] == metadata["Arn"]


def test_sts_says_who_calls(server):
    answer = server.client("sts").get_caller_identity()
    assert re.fullmatch(r"\d{12}", answer["Account"])
    assert answer["Arn"] == f"arn:aws:iam::{answer['Account']}:root"
    assert answer["UserId"] == answer["Account"]


def test_sts_answers_with_us_east_1_whatever_is_configured(fresh_host, tmp_path):
    from conftest import Server

    with Server(fresh_host, tmp_path / "data", "--region", "eu-central-1") as server:
        for region in ("us-east-1", "eu-central-1"):
            assert server.client("sts", region=region).get_caller_identity()["Account"]
