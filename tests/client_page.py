"""`docs/clients.md` as the tests use it: its stanzas, with a server of the tests in the place of its examples, and the policies
that it gives each client."""

import functools
import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import TOP, Server, audit_records, clean_env

PAGE = (TOP / "docs" / "clients.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", PAGE, re.MULTILINE))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
USER = "app"  # In the page's key policy.
RECORDED_S = 10
SET_UP = "a test's set-up"  # How the user agent begins of calls that are no client's.


def stanzas(section: str, language: str) -> list[str]:
    """The blocks of a section in one language, as they stand there."""
    found = [text for name, text in FENCE.findall(SECTIONS[section]) if name == language]
    assert found, f"docs/clients.md has no {language} under {section}"
    return found


def actions(policy: dict) -> set[str]:
    """What a policy of the page allows."""
    listed = [statement["Action"] for statement in policy["Statement"]]
    return {action for one in listed for action in ([one] if isinstance(one, str) else one)}


class Account:
    """An account of its own, with a key under `alias/app`, and an access key of somebody who may do what the page says.

    That is a user with the page's policy, or the account's root while the server has no users.
    """

    def __init__(self, server: Server, policy: tuple[str, int] | None, ca: Path | None = None, **key):
        self.server = server
        self.ca = ca
        made = json.loads(server.host.run("account", "create", "--json", "--data-dir", server.dir).stdout)
        self.id = made["AccountId"]
        self.root_credentials = self.credentials = (made["AccessKeyId"], made["SecretAccessKey"])
        self.root = self.client("kms", SET_UP, self.root_credentials)
        self.key = self.root.create_key(**key)["KeyMetadata"]
        self.root.create_alias(AliasName="alias/app", TargetKeyId=self.key["KeyId"])
        self.policy = json.loads(self.filled(stanzas(policy[0], "json")[policy[1]])) if policy else None
        if users_are_served(server, ca):
            iam = self.client("iam", SET_UP, self.root_credentials)
            iam.create_user(UserName=USER)
            if self.policy:
                iam.put_user_policy(UserName=USER, PolicyName="of-the-page", PolicyDocument=json.dumps(self.policy))
            made = iam.create_access_key(UserName=USER)["AccessKey"]
            self.credentials = (made["AccessKeyId"], made["SecretAccessKey"])

    def client(self, service="kms", user_agent=None, credentials=None):
        """A boto3 client, of the one who may do what the page says unless other credentials are given."""
        config = Config(user_agent=user_agent, parameter_validation=False, retries={"total_max_attempts": 1})
        return boto3.session.Session(*(credentials or self.credentials)).client(
            service, region_name="us-east-1", endpoint_url=self.server.endpoint, config=config,
            verify=str(self.ca) if self.ca else None,
        )

    def filled(self, text: str) -> str:
        """A stanza with this account, its key and its server in it."""
        for example, real in (
            ("https://kms.example.com:4599", self.server.endpoint),
            ("kms.example.com:4599", urlsplit(self.server.endpoint).netloc),
            ("/etc/bulla/ca.pem", str(self.ca)),
            (KEY_ID, self.key["KeyId"]),
            ("111122223333", self.id),
            ("AKIAIOSFODNN7EXAMPLE", self.credentials[0]),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", self.credentials[1]),
        ):
            text = text.replace(example, real)
        return text

    def environment(self, home: Path, **more) -> dict:
        """The page's environment, and nothing of the caller's."""
        (block,) = stanzas("Endpoint, CA, credentials", "sh")
        return clean_env(home, **dict(re.findall(r"^export (\w+)=(.*)$", self.filled(block), re.MULTILINE)), **more)

    def called(self) -> set[str]:
        """The actions of the KMS that were asked for in this account, but for the set-up's, by the audit log."""
        return {
            f"kms:{record['eventName']}"
            for record in audit_records(self.server.dir)
            if record.get("recipientAccountId") == self.id
            and record["eventSource"] == "kms.amazonaws.com"
            and record["eventType"] == "AwsApiCall"
            and not record["userAgent"].startswith(SET_UP)
        }

    def demands_exactly_its_policy(self) -> None:
        """What was called is what the page's policy allows: nothing is missing from it, and nothing in it is idle."""
        allowed = actions(self.policy)
        # The record of a change is appended right after the answer.
        deadline = time.monotonic() + RECORDED_S
        while not allowed <= (called := self.called()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert called == allowed, f"missing: {called - allowed}, idle: {allowed - called}"


@functools.cache
def users_are_served(server: Server, ca: Path | None) -> bool:
    """Whether the server has users, to whom policies are given."""
    try:
        server.client("iam", **({"verify": str(ca)} if ca else {})).list_users()
    except ClientError as error:
        # What a server without IAM says to a signature for it.
        assert error.response["Error"]["Code"] == "SignatureDoesNotMatch", error
        return False
    return True
