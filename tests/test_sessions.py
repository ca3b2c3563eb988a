"""Temporary credentials: AWS's own clients assume roles, by name, by profile and by a token of a provider of identities."""

import base64
import contextlib
import json
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import Server
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "https://issuer.example"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Provider:
    """A provider of identities, which signs with RS256."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": number(public.n), "e": number(public.e)}
        self.key_set = json.dumps({"keys": [key]})

    def token(self, **claims) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "client", "sub": "job:1", "iat": now, "exp": now + 300, **claims}
        parts = ({"alg": "RS256", "kid": "k1", "typ": "JWT"}, claims)
        signed = ".".join(b64url(json.dumps(part).encode()) for part in parts)
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64url(signature)}"


@contextlib.contextmanager
def refuses(code: str):
    with pytest.raises(ClientError) as error:
        yield
    assert error.value.response["Error"]["Code"] == code, error.value


def policy(effect="Allow", **members) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, **members}]})


@pytest.fixture(scope="module")
def provider():
    return Provider()


@pytest.fixture(scope="module")
def server(host, provider, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sessions")
    keys = directory / "keys.json"
    keys.write_text(provider.key_set)
    with Server(host, directory / "data", "--oidc-keys", f"{ISSUER}={keys}") as server:
        yield server


@pytest.fixture(scope="module")
def account(server):
    return server.client("sts").get_caller_identity()["Account"]


@pytest.fixture(scope="module")
def ann(server, account):
    """Credentials of a user who may assume roles, and nothing else."""
    iam = server.client("iam")
    iam.create_user(UserName="ann")
    document = policy(Action=["sts:AssumeRole", "sts:TagSession"], Resource="*")
    iam.put_user_policy(UserName="ann", PolicyName="assumes", PolicyDocument=document)
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@pytest.fixture(scope="module")
def role(server, account):
    """The ARN of a role that lists keys, for whoever the account lets."""
    iam = server.client("iam")
    trust = policy(Principal={"AWS": account}, Action=["sts:AssumeRole", "sts:TagSession"])
    made = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=trust)["Role"]
    document = policy(Action="kms:ListKeys", Resource="*")
    iam.put_role_policy(RoleName="deployer", PolicyName="lists", PolicyDocument=document)
    return made["Arn"]


def in_session(server, credentials, service="kms"):
    key = (credentials["AccessKeyId"], credentials["SecretAccessKey"])
    return server.client(service, credentials=key, aws_session_token=credentials["SessionToken"])


def test_boto3_assumes_a_role(server, account, ann, role):
    answer = server.client("sts", credentials=ann).assume_role(RoleArn=role, RoleSessionName="s1")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/deployer/s1"
    credentials = answer["Credentials"]
    assert 3590 < credentials["Expiration"].timestamp() - time.time() < 3610
    identity = in_session(server, credentials, "sts").get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    kms = in_session(server, credentials)
    assert "Keys" in kms.list_keys()
    with refuses("AccessDeniedException"):
        kms.create_key()
    with refuses("AccessDeniedException"):
        server.client("kms", credentials=ann).list_keys()
    with refuses("UnrecognizedClientException"):
        in_session(server, {**credentials, "SessionToken": credentials["SessionToken"][:-4] + "AAAA"}).list_keys()
    with refuses("UnrecognizedClientException"):
        server.client("kms", credentials=(credentials["AccessKeyId"], credentials["SecretAccessKey"])).list_keys()


def test_a_session_policy_restricts_the_session(server, ann, role):
    sts = server.client("sts", credentials=ann)
    document = policy("Deny", Action="kms:ListKeys", Resource="*")
    credentials = sts.assume_role(RoleArn=role, RoleSessionName="s1", Policy=document)["Credentials"]
    with refuses("AccessDeniedException"):
        in_session(server, credentials).list_keys()


def test_errors_of_the_query_protocol_are_those_of_sts(server, account, ann, role):
    sts = server.client("sts", credentials=ann)
    for members, code, status in [
        ({"RoleArn": role + "x", "RoleSessionName": "s1"}, "AccessDenied", 403),
        ({"RoleArn": role, "RoleSessionName": "a b"}, "ValidationError", 400),
        ({"RoleArn": role, "RoleSessionName": "s1", "DurationSeconds": 7200}, "ValidationError", 400),
        ({"RoleArn": role, "RoleSessionName": "s1", "Policy": "{}"}, "MalformedPolicyDocument", 400),
    ]:
        with pytest.raises(ClientError) as error:
            sts.assume_role(**members)
        answer = error.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    with refuses("InvalidClientTokenId"):
        server.client("sts", credentials=("AKIAAAAAAAAAAAAAAAAA", "x")).get_caller_identity()
    with refuses("SignatureDoesNotMatch"):
        server.client("sts", credentials=(ann[0], "x")).get_caller_identity()


def test_the_aws_command_assumes_a_role(server, account, ann, role):
    env = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ann))
    env |= {"AWS_ENDPOINT_URL": server.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    arguments = ("--role-arn", role, "--role-session-name", "cli", "--tags", "Key=team,Value=red")
    done = server.host.aws("sts", "assume-role", *arguments, env=env)
    credentials = json.loads(done.stdout)["Credentials"]
    env |= {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
    identity = json.loads(server.host.aws("sts", "get-caller-identity", env=env).stdout)
    assert identity["Arn"] == f"arn:aws:sts::{account}:assumed-role/deployer/cli"
    assert "Keys" in json.loads(server.host.aws("kms", "list-keys", env=env).stdout)


def test_a_profile_with_a_role_works_with_the_aws_command(server, ann, role, tmp_path):
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text(
        f"[profile deploy]\nrole_arn = {role}\nsource_profile = ann\nrole_session_name = by-profile\nregion = us-east-1\n"
    )
    credentials.write_text(f"[ann]\naws_access_key_id = {ann[0]}\naws_secret_access_key = {ann[1]}\n")
    env = {
        "AWS_CONFIG_FILE": config,
        "AWS_SHARED_CREDENTIALS_FILE": credentials,
        "AWS_ENDPOINT_URL": server.endpoint,
    }
    env = {name: str(value) for name, value in env.items()}
    done = server.host.aws("--profile", "deploy", "kms", "list-keys", env=env)
    assert "Keys" in json.loads(done.stdout)
    done = server.host.aws("--profile", "deploy", "kms", "create-key", env=env, check=None)
    assert done.returncode != 0 and b"AccessDeniedException" in done.stderr
    assert b"assumed-role/deployer/by-profile is not authorized to perform: kms:CreateKey" in done.stderr


@pytest.fixture(scope="module")
def web_role(server, account):
    iam = server.client("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["client"])
    trust = policy(
        Principal={"Federated": f"arn:aws:iam::{account}:oidc-provider/issuer.example"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringLike": {"issuer.example:sub": "job:*"}},
    )
    made = iam.create_role(RoleName="web", AssumeRolePolicyDocument=trust)["Role"]
    document = policy(Action="kms:ListKeys", Resource="*")
    iam.put_role_policy(RoleName="web", PolicyName="lists", PolicyDocument=document)
    return made["Arn"]


def test_boto3_assumes_a_role_with_a_web_identity(server, provider, web_role):
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    sts = boto3.session.Session().client("sts", endpoint_url=server.endpoint, region_name="us-east-1", config=config)

    def assume(token):
        return sts.assume_role_with_web_identity(RoleArn=web_role, RoleSessionName="web-1", WebIdentityToken=token)

    answer = assume(provider.token())
    assert (answer["SubjectFromWebIdentityToken"], answer["Audience"]) == ("job:1", "client")
    assert "Keys" in in_session(server, answer["Credentials"]).list_keys()
    head, payload, signature = provider.token().split(".")
    none = b64url(b'{"alg":"none"}')
    for token, code in [
        (provider.token(sub="other"), "AccessDenied"),
        (provider.token(aud="another"), "InvalidIdentityToken"),
        (provider.token(exp=int(time.time()) - 1), "ExpiredTokenException"),
        (Provider().token(), "InvalidIdentityToken"),
        (f"{none}.{payload}.", "InvalidIdentityToken"),
        (f"{head}.{payload}.{signature[::-1]}", "InvalidIdentityToken"),
    ]:
        with refuses(code):
            assume(token)


def test_a_profile_with_a_token_file_works_with_the_aws_command(server, provider, web_role, tmp_path):
    token, config = tmp_path / "token", tmp_path / "config"
    token.write_text(provider.token())
    config.write_text(
        f"[profile web]\nrole_arn = {web_role}\nweb_identity_token_file = {token}\nrole_session_name = web-1\nregion = us-east-1\n"
    )
    env = {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": server.endpoint}
    done = server.host.aws("--profile", "web", "kms", "list-keys", env=env)
    assert "Keys" in json.loads(done.stdout)
    # Neither tokens nor secrets are in the audit log.
    log = (server.dir / "audit.log").read_text()
    assert "AssumeRoleWithWebIdentity" in log and token.read_text() not in log
