"""The last use of a key, as boto3 reads it."""

import datetime
import re
import uuid

from conftest import Server, refused


def test_the_last_use_is_told(kms, key):
    answer = kms.get_key_last_usage(KeyId=key["KeyId"])
    assert (answer["KeyId"], answer["KeyLastUsage"]) == (key["Arn"], {})
    assert answer["TrackingStartDate"] == answer["KeyCreationDate"] == key["CreationDate"]
    used = kms.encrypt(KeyId=key["Arn"], Plaintext=b"x")
    last = kms.get_key_last_usage(KeyId=key["Arn"])["KeyLastUsage"]
    assert last["Operation"] == "Encrypt"
    assert last["KmsRequestId"] == used["ResponseMetadata"]["RequestId"]
    assert uuid.UUID(last["CloudTrailEventId"])
    assert abs(last["Timestamp"] - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=1)


def test_refusals(kms, alias_name, key):
    kms.create_alias(AliasName=alias_name, TargetKeyId=key["KeyId"])
    refused(kms.get_key_last_usage, "NotFoundException", KeyId=alias_name)
    refused(kms.get_key_last_usage, "NotFoundException", KeyId=str(uuid.uuid4()))
    refused(kms.get_key_last_usage, "ValidationException", re.compile("Value null at 'keyId'"))


def test_it_survives_a_restart(fresh_host, tmp_path):
    with Server(fresh_host, tmp_path / "data") as server:
        kms = server.client()
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        last = kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]
    with Server(fresh_host, tmp_path / "data") as server:
        assert server.client().get_key_last_usage(KeyId=key)["KeyLastUsage"] == last
