"""What `bulla access` hands out, used by AWS's own clients with nothing else set."""

import json

import boto3
import pytest
from conftest import refused


@pytest.fixture
def key(host, server, alias_name):
    arn = host.run("key", "create", alias_name, "--data-dir", server.dir).stdout.decode().strip()
    return alias_name, arn


def give(host, server, tmp_path, name, *args):
    """The path of the user's profile."""
    file = tmp_path / f"{name}.profile"
    host.run("access", "add", name, *args, "-o", file, "-q", "--data-dir", server.dir)
    return file


def session(file, name, monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    return boto3.Session(profile_name=name)


def test_a_writer_makes_data_keys_and_opens_none(host, server, key, tmp_path, monkeypatch):
    alias, arn = key
    file = give(host, server, tmp_path, "boto-writer", "--can", "encrypt", "-k", alias)
    kms = session(file, "boto-writer", monkeypatch).client("kms")
    made = kms.generate_data_key(KeyId=arn, KeySpec="AES_256", EncryptionContext={"db": "main"})
    kms.encrypt(KeyId=arn, Plaintext=b"x")
    kms.describe_key(KeyId=alias)
    denied = refused(kms.decrypt, "AccessDeniedException", CiphertextBlob=made["CiphertextBlob"],
                     EncryptionContext={"db": "main"})
    assert denied.message.endswith("because no identity-based policy allows the kms:Decrypt action"), denied
    refused(kms.generate_random, "AccessDeniedException", NumberOfBytes=8)
    refused(kms.get_key_policy, "AccessDeniedException", KeyId=arn)


def test_a_reader_opens_only_its_own_context(host, server, kms, key, tmp_path, monkeypatch):
    alias, arn = key
    file = give(host, server, tmp_path, "boto-reader", "--can", "decrypt", "-k", alias, "-c", "db=main$")
    theirs = session(file, "boto-reader", monkeypatch).client("kms")

    def sealed(context):
        return kms.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]

    for context in ({"db": "main$"}, {"db": "main$", "part": "1"}):
        assert theirs.decrypt(CiphertextBlob=sealed(context), EncryptionContext=context)["Plaintext"] == b"x"
    for context in ({"db": "test"}, {"db": "Main$"}, {"part": "1"}, {}):
        refused(theirs.decrypt, "AccessDeniedException", CiphertextBlob=sealed(context), EncryptionContext=context)
    refused(theirs.encrypt, "AccessDeniedException", KeyId=arn, Plaintext=b"x")


def test_an_administrator_manages_the_key_and_uses_it_for_nothing(host, server, key, tmp_path, monkeypatch):
    alias, arn = key
    file = give(host, server, tmp_path, "boto-admin", "--can", "admin", "-k", alias)
    theirs = session(file, "boto-admin", monkeypatch).client("kms")
    theirs.create_alias(AliasName=alias + "-too", TargetKeyId=arn)
    theirs.delete_alias(AliasName=alias + "-too")
    theirs.enable_key_rotation(KeyId=arn)
    theirs.tag_resource(KeyId=arn, Tags=[{"TagKey": "a", "TagValue": "b"}])
    policy = theirs.get_key_policy(KeyId=arn)["Policy"]
    theirs.put_key_policy(KeyId=arn, Policy=policy)
    for call, members in (
        (theirs.encrypt, {"Plaintext": b"x"}),
        (theirs.generate_data_key, {"KeySpec": "AES_256"}),
    ):
        refused(call, "AccessDeniedException", KeyId=arn, **members)
    refused(theirs.create_key, "AccessDeniedException")


def test_the_profile_drives_the_aws_command(host, server, key, tmp_path):
    alias, arn = key
    file = give(host, server, tmp_path, "cli-writer", "--can", "encrypt", "-k", alias)
    env = {"AWS_CONFIG_FILE": file, "AWS_PROFILE": "cli-writer"}
    who = json.loads(host.aws("sts", "get-caller-identity", "--output", "json", env=env).stdout)
    assert who["Arn"].endswith(":user/cli-writer")
    host.aws("kms", "generate-data-key", "--key-id", alias, "--key-spec", "AES_256", env=env)
    denied = host.aws("kms", "schedule-key-deletion", "--key-id", arn, env=env, check=None)
    assert denied.returncode != 0 and b"AccessDenied" in denied.stderr


def test_a_list_hides_neither_boundaries_nor_what_others_may_allow(host, server):
    iam = server.client("iam")
    policy = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}'
    boundary = iam.create_policy(PolicyName="listed-limits", PolicyDocument=policy)["Policy"]["Arn"]
    iam.create_user(UserName="listed-bare", PermissionsBoundary=boundary)
    told = host.run("access", "list", "--data-dir", server.dir).stdout.decode()
    lines = told[told.index("listed-bare\n"):].split("\n")
    assert lines[1:4] == [
        "  no access key",
        "  no policy of its own; key policies and grants may still allow it",
        f"  within permissions boundary {boundary}",
    ], told
    listed = host.run("access", "list", "--json", "--data-dir", server.dir).stdout.decode().splitlines()
    found = {user["UserName"]: user["PermissionsBoundary"] for user in map(json.loads, listed)}
    assert found["listed-bare"] == boundary


def test_users_are_listed_by_whoever_may_list_them_and_look_at_none(host, server, key, tmp_path):
    alias, _ = key
    file = give(host, server, tmp_path, "lister", "--can", "encrypt", "-k", alias)
    statement = {"Effect": "Allow", "Action": ["iam:List*", "iam:GetUserPolicy", "iam:GetAccessKeyLastUsed"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    server.client("iam").put_user_policy(UserName="lister", PolicyName="list", PolicyDocument=document)
    env = {"AWS_CONFIG_FILE": file, "AWS_PROFILE": "lister"}
    listed = host.run("access", "list", "--json", env=env).stdout.decode().splitlines()
    found = {user["UserName"]: user for user in map(json.loads, listed)}
    assert found["lister"]["PermissionsBoundaryKnown"] is False
    assert found["lister"]["Policies"] == ["list"]
    told = host.run("access", "list", env=env).stdout.decode()
    assert "whether within a permissions boundary is not known: iam:GetUser is denied" in told
