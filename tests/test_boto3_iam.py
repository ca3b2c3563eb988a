"""Users, groups, roles and their policies through boto3 and the `aws` command, and what they may then do with keys."""

import json
import time

import pytest
from conftest import audit_records, refused

UNKNOWN = "UnrecognizedClientException"


def document(action, resource="*", effect="Allow", **more):
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_count = iter(range(10**6))


@pytest.fixture
def iam(server):
    return server.client("iam")


@pytest.fixture
def name(request):
    """A name that no other test uses."""
    return f"n{next(_count)}-{request.node.name[:40]}".replace("[", "-").replace("]", "")


def make_user(server, iam, name):
    """A new user, and their credentials."""
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def test_a_user_may_what_an_inline_policy_says_and_no_more(server, iam, key, name, account):
    credentials = make_user(server, iam, name)
    kms = server.client(credentials=credentials)
    arn = f"arn:aws:iam::{account}:user/{name}"
    refusal = f"User: {arn} is not authorized to perform: kms:Encrypt on resource: {key['Arn']} because no " \
        "identity-based policy allows the kms:Encrypt action"
    refused(kms.encrypt, "AccessDeniedException", refusal, KeyId=key["Arn"], Plaintext=b"x")
    iam.put_user_policy(UserName=name, PolicyName="use", PolicyDocument=document("kms:Encrypt", key["Arn"]))
    sealed = kms.encrypt(KeyId=key["Arn"], Plaintext=b"x")["CiphertextBlob"]
    refused(kms.decrypt, "AccessDeniedException", CiphertextBlob=sealed)
    refused(kms.create_key, "AccessDeniedException")
    iam.put_user_policy(UserName=name, PolicyName="use", PolicyDocument=document("kms:*", key["Arn"]))
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    iam.put_user_policy(UserName=name, PolicyName="not", PolicyDocument=document("kms:Decrypt", effect="Deny"))
    refused(kms.decrypt, "AccessDeniedException", CiphertextBlob=sealed)
    iam.delete_user_policy(UserName=name, PolicyName="not")
    kms.decrypt(CiphertextBlob=sealed)
    iam.delete_user_policy(UserName=name, PolicyName="use")
    refused(kms.decrypt, "AccessDeniedException", CiphertextBlob=sealed)


def test_a_group_and_managed_policies_and_a_boundary_decide_too(server, iam, key, name):
    kms = server.client(credentials=make_user(server, iam, name))
    policy = iam.create_policy(PolicyName=name, PolicyDocument=document("kms:DescribeKey"))["Policy"]["Arn"]
    describe = dict(KeyId=key["KeyId"])
    iam.create_group(GroupName=name)
    iam.attach_group_policy(GroupName=name, PolicyArn=policy)
    refused(kms.describe_key, "AccessDeniedException", **describe)
    iam.add_user_to_group(GroupName=name, UserName=name)
    kms.describe_key(**describe)
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=document("kms:ListKeys"), SetAsDefault=True)
    refused(kms.describe_key, "AccessDeniedException", **describe)
    kms.list_keys()
    iam.set_default_policy_version(PolicyArn=policy, VersionId="v1")
    kms.describe_key(**describe)
    refused(kms.list_keys, "AccessDeniedException")
    iam.remove_user_from_group(GroupName=name, UserName=name)
    refused(kms.describe_key, "AccessDeniedException", **describe)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AWSKeyManagementServicePowerUser")
    kms.describe_key(**describe)
    kms.list_keys()
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=policy)
    kms.describe_key(**describe)
    refused(kms.list_keys, "AccessDeniedException")
    iam.delete_user_permissions_boundary(UserName=name)
    kms.list_keys()


def test_access_keys_stop_at_once(server, iam, name):
    credentials = make_user(server, iam, name)
    kms = server.client(credentials=credentials)
    refused(kms.list_keys, "AccessDeniedException")
    switch = dict(UserName=name, AccessKeyId=credentials[0])
    iam.update_access_key(**switch, Status="Inactive")
    refused(kms.list_keys, UNKNOWN)
    iam.update_access_key(**switch, Status="Active")
    refused(kms.list_keys, "AccessDeniedException")
    iam.delete_access_key(**switch)
    refused(kms.list_keys, UNKNOWN)
    iam.delete_user(UserName=name)
    iam.create_user(UserName=name)
    refused(kms.list_keys, UNKNOWN)
    refused(server.client("iam", credentials=credentials).get_user, "InvalidClientTokenId", status=403)


def test_a_user_may_change_their_own_access_keys_where_a_policy_says_so(server, iam, name, account):
    credentials = make_user(server, iam, name)
    own = server.client("iam", credentials=credentials)
    refused(own.get_user, "AccessDenied", status=403)
    resource = "arn:aws:iam::%s:user/${aws:username}" % account
    actions = ["iam:GetUser", "iam:*AccessKey*"]
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(actions, resource))
    assert own.get_user()["User"]["UserName"] == name
    second = own.create_access_key()["AccessKey"]
    assert second["UserName"] == name
    assert {key["AccessKeyId"] for key in own.list_access_keys()["AccessKeyMetadata"]} == {
        credentials[0], second["AccessKeyId"]}
    own.delete_access_key(AccessKeyId=credentials[0])
    refused(own.get_user, "InvalidClientTokenId", status=403)
    other = f"{name}-other"
    iam.create_user(UserName=other)
    now = server.client("iam", credentials=(second["AccessKeyId"], second["SecretAccessKey"]))
    refused(now.create_access_key, "AccessDenied", status=403, UserName=other)


def test_who_is_made_anew_is_not_who_a_key_policy_names(server, iam, key, name, account):
    kms, arn = server.client(), f"arn:aws:iam::{account}:user/{name}"
    root = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:PutKeyPolicy", "Resource": "*"}
    user = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "kms:DescribeKey", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [root, user]})
    put = dict(KeyId=key["KeyId"], Policy=policy)
    refused(kms.put_key_policy, "MalformedPolicyDocumentException",
            "Policy contains a statement with one or more invalid principals.", **put)
    credentials = make_user(server, iam, name)
    kms.put_key_policy(**put)
    server.client(credentials=credentials).describe_key(KeyId=key["KeyId"])
    iam.delete_access_key(UserName=name, AccessKeyId=credentials[0])
    iam.delete_user(UserName=name)
    again = server.client(credentials=make_user(server, iam, name))
    refused(again.describe_key, "AccessDeniedException", KeyId=key["KeyId"])


def test_the_aws_command_manages_users(server, fresh_host, name):
    fresh_host.run("profile", "mine", "--data-dir", server.dir)

    def iam(*args, check=0):
        done = fresh_host.aws("iam", *args, "--profile", "mine", "--output", "json",
                              "--endpoint-url", server.endpoint, check=check)
        return json.loads(done.stdout or b"null") if check == 0 else done

    assert iam("create-user", "--user-name", name, "--tags", "Key=team,Value=red")["User"]["UserName"] == name
    iam("put-user-policy", "--user-name", name, "--policy-name", "p", "--policy-document", document("kms:ListKeys"))
    found = iam("get-user-policy", "--user-name", name, "--policy-name", "p")
    assert found["PolicyDocument"] == json.loads(document("kms:ListKeys"))
    key = iam("create-access-key", "--user-name", name)["AccessKey"]
    env = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
           "AWS_DEFAULT_REGION": "us-east-1"}
    done = fresh_host.aws("kms", "list-keys", "--endpoint-url", server.endpoint, "--output", "json", env=env)
    assert "Keys" in json.loads(done.stdout)
    done = fresh_host.aws("kms", "create-key", "--endpoint-url", server.endpoint, env=env, check=None)
    assert b"AccessDeniedException" in done.stderr
    # In pages, as the command asks for them.
    names = [user["UserName"] for user in iam("list-users", "--page-size", "1")["Users"]]
    assert name in names and names == sorted(names, key=str.lower)
    assert b"NoSuchEntity" in iam("get-user", "--user-name", f"{name}-none", check=None).stderr


def test_secrets_of_access_keys_are_in_no_record_and_no_log(server, iam, name):
    credentials = make_user(server, iam, name)
    server.client("sts", credentials=credentials).get_caller_identity()
    deadline = time.monotonic() + 10
    while True:
        records = audit_records(server.dir)
        calls = [r for r in records if r.get("userIdentity", {}).get("accessKeyId") == credentials[0]]
        made = [r for r in records if r.get("eventName") == "CreateAccessKey"]
        if (calls and made) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert calls[-1]["userIdentity"]["type"] == "IAMUser" and calls[-1]["userIdentity"]["userName"] == name
    told = made[-1]["responseElements"]["accessKey"]
    assert told["accessKeyId"].startswith("AKIA") and "secretAccessKey" not in told
    for file in server.dir.rglob("*"):
        if file.is_file():
            assert credentials[1].encode() not in file.read_bytes(), file
    assert credentials[1] not in server.stderr()
