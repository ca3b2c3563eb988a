"""Two accounts and two regions in one process, each blind to the other."""

import json
import re
import uuid

import pytest
from conftest import Server, audit_records, read_credentials, refused

NO_SUCH_CIPHERTEXT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
    "not allowed to access."
)


@pytest.fixture(scope="module")
def two(bulla, tmp_path_factory):
    """A server with two regions and a second account."""
    from conftest import Host

    directory = tmp_path_factory.mktemp("two")
    host = Host(bulla, directory / "home")
    with Server(host, directory / "data", "--region", "us-east-1,eu-central-1") as server:
        done = host.run("account", "create", "--json", "--data-dir", server.dir)
        made = json.loads(done.stdout)
        server.second_account = made["AccountId"]
        server.second = (made["AccessKeyId"], made["SecretAccessKey"])
        yield server


def test_the_second_account_is_its_own(two):
    first = two.client("sts").get_caller_identity()["Account"]
    second = two.client("sts", credentials=two.second).get_caller_identity()["Account"]
    assert second == two.second_account != first
    assert re.fullmatch(r"\d{12}", second)


def test_accounts_do_not_see_each_others_keys(two):
    first, second = two.client(), two.client(credentials=two.second)
    mine = first.create_key()["KeyMetadata"]
    first.create_alias(AliasName="alias/shared-name", TargetKeyId=mine["KeyId"])
    theirs = second.create_key()["KeyMetadata"]
    # The same alias name is free in the other account.
    second.create_alias(AliasName="alias/shared-name", TargetKeyId=theirs["KeyId"])
    assert second.describe_key(KeyId="alias/shared-name")["KeyMetadata"]["Arn"] == theirs["Arn"]
    assert mine["KeyId"] not in {one["KeyId"] for one in second.list_keys()["Keys"]}
    assert theirs["KeyId"] not in {one["KeyId"] for one in first.list_keys()["Keys"]}
    assert {one["TargetKeyId"] for one in second.list_aliases()["Aliases"]} == {theirs["KeyId"]}
    # By id, a key of the other account is looked for in one's own.
    refused(second.describe_key, "NotFoundException",
            f"Key 'arn:aws:kms:us-east-1:{two.second_account}:key/{mine['KeyId']}' does not exist", KeyId=mine["KeyId"])


@pytest.mark.parametrize("operation,members", [
    ("describe_key", {}), ("disable_key", {}), ("encrypt", {"Plaintext": b"x"}), ("generate_data_key", {"KeySpec": "AES_256"}),
    ("schedule_key_deletion", {}), ("rotate_key_on_demand", {}),
])
def test_an_arn_of_the_other_account(two, operation, members):
    """Known or unknown, it is refused in the same words."""
    mine = two.client().create_key()["KeyMetadata"]
    second = two.client(credentials=two.second)
    unknown = mine["Arn"].rsplit("/", 1)[0] + "/" + str(uuid.uuid4())
    said = []
    for arn in (mine["Arn"], unknown):
        try:
            getattr(second, operation)(KeyId=arn, **members)
        except second.exceptions.ClientError as error:
            found = error.response["Error"]
            assert found["Code"] in ("AccessDeniedException", "NotFoundException"), found
            said.append((found["Code"], found["Message"].replace(arn, "ARN")))
        else:
            raise AssertionError(f"{operation} on another account's key was answered")
    assert said[0] == said[1]
    assert two.client().describe_key(KeyId=mine["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"


def test_the_other_accounts_ciphertext(two):
    """Unknown, foreign: one and the same answer."""
    first, second = two.client(), two.client(credentials=two.second)
    key = first.create_key()["KeyMetadata"]
    blob = first.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    refused(second.decrypt, "AccessDeniedException", NO_SUCH_CIPHERTEXT, CiphertextBlob=blob)
    # The key id stands after version, suite, flags, account (6), and the region with its length.
    at = 3 + 6 + 1 + len("us-east-1")
    unknown = blob[:at] + uuid.uuid4().bytes + blob[at + 16 :]
    refused(second.decrypt, "AccessDeniedException", NO_SUCH_CIPHERTEXT, CiphertextBlob=unknown)
    mine = second.create_key()["KeyMetadata"]
    refused(second.re_encrypt, "AccessDeniedException", NO_SUCH_CIPHERTEXT, CiphertextBlob=blob, DestinationKeyId=mine["KeyId"])


def test_regions_do_not_see_each_others_keys(two):
    here, there = two.client(region="us-east-1"), two.client(region="eu-central-1")
    key = here.create_key()["KeyMetadata"]
    there_key = there.create_key()["KeyMetadata"]
    assert ":eu-central-1:" in there_key["Arn"] and ":us-east-1:" in key["Arn"]
    assert key["KeyId"] not in {one["KeyId"] for one in there.list_keys()["Keys"]}
    account = key["AWSAccountId"]
    refused(there.describe_key, "NotFoundException", f"Key 'arn:aws:kms:eu-central-1:{account}:key/{key['KeyId']}' does not exist",
            KeyId=key["KeyId"])
    refused(there.describe_key, "NotFoundException", "Invalid arn us-east-1", KeyId=key["Arn"])
    blob = here.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    with pytest.raises(there.exceptions.ClientError) as caught:
        there.decrypt(CiphertextBlob=blob)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    here.create_alias(AliasName="alias/regional", TargetKeyId=key["KeyId"])
    refused(there.describe_key, "NotFoundException", f"Alias arn:aws:kms:eu-central-1:{account}:alias/regional is not found.",
            KeyId="alias/regional")


def test_a_marker_of_another_account_or_region(two):
    first, second = two.client(), two.client(credentials=two.second)
    for client in (first, second, two.client(region="eu-central-1")):
        for _ in range(2):
            client.create_key()
    marker = first.list_keys(Limit=1)["NextMarker"]
    assert first.list_keys(Limit=1, Marker=marker)["Keys"]
    refused(second.list_keys, "InvalidMarkerException", Marker=marker)
    refused(two.client(region="eu-central-1").list_keys, "InvalidMarkerException", Marker=marker)


def test_the_first_region_is_the_profiles(two, tmp_path):
    assert "region = us-east-1" in (two.dir / "config").read_text().replace("region=", "region = ")


def test_audit_names_account_and_region(two):
    two.client(credentials=two.second, region="eu-central-1").generate_random(NumberOfBytes=8)
    found = [one for one in audit_records(two.dir)
             if one.get("eventName") == "GenerateRandom" and one.get("awsRegion") == "eu-central-1"]
    assert found and found[-1]["recipientAccountId"] == two.second_account
    assert found[-1]["userIdentity"]["accountId"] == two.second_account


def test_accounts_are_listed(two):
    done = two.host.run("account", "list", "--data-dir", two.dir)
    text = done.stdout.decode()
    assert two.second_account in text
    assert two.second[1] not in text


def test_the_servers_credentials_are_of_the_first_account(two):
    key_id, secret = read_credentials(two.dir / "credentials", "bulla")
    assert two.client("sts", credentials=(key_id, secret)).get_caller_identity()["Account"] != two.second_account


def test_regions_and_account_stay_as_they_were_made(fresh_host, tmp_path):
    """Others given later are refused; fewer regions may be named and the rest remains."""
    with Server(fresh_host, tmp_path / "data", "--account-id", "123456789012", "--region", "us-east-1,eu-central-1") as server:
        key = server.client(region="eu-central-1").create_key()["KeyMetadata"]
        assert key["Arn"].startswith("arn:aws:kms:eu-central-1:123456789012:key/")
    for wrong in (["--account-id", "210987654321"], ["--region", "ap-south-1"]):
        done = fresh_host.run("serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", *wrong, check=None, timeout=30)
        assert done.returncode not in (0, 101), done
        assert done.stderr.count(b"\n") >= 1
    with Server(fresh_host, tmp_path / "data", "--region", "us-east-1") as server:
        assert server.client(region="eu-central-1").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Arn"] == key["Arn"]
