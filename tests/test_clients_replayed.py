"""The clients of `docs/clients.md` that no registry has: their documented requests, in their order, and of the answers what they read.

The sequences are taken from the clients' sources, which the page names. Requests are signed by the tests' own Signature Version 4.
"""

import base64
import hashlib
import json
import os
from types import SimpleNamespace

import pytest
import signing
from client_page import SET_UP, Account
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SEEN_RUNNING = 5  # So often Terraform wants to see a change before it believes it.


class Client:
    """A client with the policy of its section of the page, that sends JSON and reads JSON."""

    def __init__(self, server, section, which=0, **key):
        self.account = Account(server, (section, which), **key)
        self.key = self.account.key

    def send(self, operation, **members) -> signing.Answer:
        return signing.call(self.account.server, operation, members, credentials=self.account.credentials)

    def __call__(self, operation, **members) -> dict:
        answer = self.send(operation, **members)
        assert answer.status == 200, (operation, members, answer)
        return answer.json if answer.body else {}

    def refused(self, operation, code, **members) -> str:
        """The text of a refusal, whose code stands where each generation of SDKs looks for it."""
        answer = self.send(operation, **members)
        assert (answer.status, answer.code) == (400, code), (operation, members, answer)
        assert answer.headers["x-amzn-errortype"].split(":")[0] == code
        return answer.message

    def root(self, operation, **members):
        """What somebody else does meanwhile, who owns the account."""
        return getattr(self.account.root, operation)(**members)


@pytest.fixture
def client(server):
    return lambda *args, **key: Client(server, *args, **key)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class TestTerraform:
    """aws_kms_key, aws_kms_alias and aws_kms_ciphertext of the AWS provider."""

    TAGS = [{"TagKey": "team", "TagValue": "storage"}, {"TagKey": "made-by", "TagValue": "terraform"}]

    @pytest.fixture
    def apply(self, client):
        return client("Terraform and OpenTofu")

    def create(self, apply) -> str:
        key = apply("CreateKey", Description="data of app", KeySpec="SYMMETRIC_DEFAULT", KeyUsage="ENCRYPT_DECRYPT", Tags=self.TAGS)
        return key["KeyMetadata"]["KeyId"]

    def seen_running(self, see) -> None:
        """A waiter of the provider: the same true answer so many times on end."""
        for _ in range(SEEN_RUNNING):
            assert see()

    def tags_are(self, apply, key, wanted) -> bool:
        answer = apply("ListResourceTags", KeyId=key)
        assert answer["Truncated"] is False
        return {one["TagKey"]: one["TagValue"] for one in answer["Tags"]} == {one["TagKey"]: one["TagValue"] for one in wanted}

    def rotation_is(self, apply, key, enabled, days=None) -> bool:
        answer = apply("GetKeyRotationStatus", KeyId=key)
        return answer["KeyRotationEnabled"] is enabled and (days is None or answer["RotationPeriodInDays"] == days)

    def read(self, apply, key) -> SimpleNamespace:
        """What a refresh reads."""
        metadata = apply("DescribeKey", KeyId=key)["KeyMetadata"]
        policy = json.loads(apply("GetKeyPolicy", KeyId=key, PolicyName="default")["Policy"])
        assert metadata["Origin"] == "AWS_KMS"
        rotation = apply("GetKeyRotationStatus", KeyId=key)
        tags = apply("ListResourceTags", KeyId=key)["Tags"]
        return SimpleNamespace(metadata=metadata, policy=policy, rotation=rotation, tags=tags)

    def alias(self, apply, name) -> dict | None:
        """The provider lists all aliases and looks for the name."""
        marker = {}
        while True:
            page = apply("ListAliases", **marker)
            for one in page["Aliases"]:
                if one["AliasName"] == name:
                    return one
            if not page["Truncated"]:
                return None
            marker = {"Marker": page["NextMarker"]}

    def test_from_plan_to_destroy(self, apply):
        account = apply.account
        # The provider's set-up: who is this?
        assert account.client("sts").get_caller_identity()["Account"] == account.id
        key = self.create(apply)
        apply("EnableKeyRotation", KeyId=key, RotationPeriodInDays=180)
        self.seen_running(lambda: self.rotation_is(apply, key, True, 180))
        self.seen_running(lambda: self.tags_are(apply, key, self.TAGS))
        found = self.read(apply, key)
        assert found.metadata["Arn"] == f"arn:aws:kms:us-east-1:{account.id}:key/{key}"
        assert {name: found.metadata.get(name) for name in (
            "KeyId", "Description", "Enabled", "KeySpec", "KeyUsage", "MultiRegion", "CustomKeyStoreId", "XksKeyConfiguration",
        )} == {
            "KeyId": key, "Description": "data of app", "Enabled": True, "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": False, "CustomKeyStoreId": None, "XksKeyConfiguration": None,
        }
        apply("CreateAlias", AliasName="alias/terraform", TargetKeyId=key)
        entry = self.alias(apply, "alias/terraform")
        assert (entry["AliasArn"], entry["TargetKeyId"]) == (f"arn:aws:kms:us-east-1:{account.id}:alias/terraform", key)
        apply("Encrypt", KeyId=key, Plaintext=text(b"password"), EncryptionContext={"app": "payments"})

        # A second apply, with everything changed.
        apply("EnableKeyRotation", KeyId=key, RotationPeriodInDays=365)
        self.seen_running(lambda: self.rotation_is(apply, key, True, 365))
        apply("DisableKeyRotation", KeyId=key)
        self.seen_running(lambda: self.rotation_is(apply, key, False))
        apply("UpdateKeyDescription", KeyId=key, Description="data of apps")
        self.seen_running(lambda: apply("DescribeKey", KeyId=key)["KeyMetadata"]["Description"] == "data of apps")
        policy = json.dumps({**found.policy, "Id": "of terraform"}, separators=(",", ":"))
        apply("PutKeyPolicy", KeyId=key, Policy=policy, PolicyName="default")
        self.seen_running(lambda: apply("GetKeyPolicy", KeyId=key, PolicyName="default")["Policy"] == policy)
        apply("UntagResource", KeyId=key, TagKeys=["made-by"])
        apply("TagResource", KeyId=key, Tags=[{"TagKey": "team", "TagValue": "payments"}])
        self.seen_running(lambda: self.tags_are(apply, key, [{"TagKey": "team", "TagValue": "payments"}]))
        apply("DisableKey", KeyId=key)
        self.seen_running(lambda: apply("DescribeKey", KeyId=key)["KeyMetadata"]["Enabled"] is False)
        # A disabled key is refreshed like any other.
        assert self.read(apply, key).rotation["KeyRotationEnabled"] is False
        apply("EnableKey", KeyId=key)
        self.seen_running(lambda: apply("DescribeKey", KeyId=key)["KeyMetadata"]["Enabled"] is True)
        other = self.create(apply)
        apply("UpdateAlias", AliasName="alias/terraform", TargetKeyId=other)
        assert self.alias(apply, "alias/terraform")["TargetKeyId"] == other

        # Destroy.
        apply("DeleteAlias", AliasName="alias/terraform")
        assert self.alias(apply, "alias/terraform") is None
        apply("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=30)
        assert apply("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
        account.demands_exactly_its_policy()

    def test_what_the_provider_takes_for_gone(self, apply):
        """These words and codes end a destroy well; any other would end it with an error."""
        key = self.create(apply)
        apply("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        assert "is pending deletion" in apply.refused("ScheduleKeyDeletion", "KMSInvalidStateException", KeyId=key)
        unknown = "00000000-0000-4000-8000-000000000000"
        for operation in ("DescribeKey", "GetKeyPolicy", "ListResourceTags", "ScheduleKeyDeletion"):
            apply.refused(operation, "NotFoundException", KeyId=unknown)
        apply.refused("DeleteAlias", "NotFoundException", AliasName="alias/terraform-never-made")

    def test_what_the_provider_tries_again(self, apply):
        """It waits for principals to appear in KMS, and for a key that was just enabled."""
        key = self.create(apply)
        apply.refused("PutKeyPolicy", "MalformedPolicyDocumentException", KeyId=key, PolicyName="default",
                      Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
        apply("DisableKey", KeyId=key)
        apply.refused("EnableKeyRotation", "DisabledException", KeyId=key)


class TestVault:
    """The seal `awskms` of Vault and OpenBao."""

    @pytest.fixture
    def seal(self, client):
        return client("Vault and OpenBao")

    def test_unsealing(self, seal):
        arn = seal.key["Arn"]
        metadata = seal("DescribeKey", KeyId=arn)["KeyMetadata"]
        assert (metadata["Arn"], metadata["KeyId"]) == (arn, seal.key["KeyId"])
        data_key = os.urandom(32)
        wrapped = seal("Encrypt", KeyId=arn, Plaintext=text(data_key))
        # Kept beside the ciphertext, to tell later with which key it was wrapped.
        assert wrapped["KeyId"] == arn
        assert seal("Decrypt", CiphertextBlob=wrapped["CiphertextBlob"])["Plaintext"] == text(data_key)
        # The key is rotated in the years between two unsealings.
        seal.root("rotate_key_on_demand", KeyId=arn)
        assert seal("Decrypt", CiphertextBlob=wrapped["CiphertextBlob"])["Plaintext"] == text(data_key)
        seal.account.demands_exactly_its_policy()

    def test_a_seal_by_alias_notices_another_key(self, seal):
        """The seal compares the KeyId of Encrypt with that of before, and rewraps."""
        assert seal("DescribeKey", KeyId="alias/app")["KeyMetadata"]["KeyId"] == seal.key["KeyId"]
        wrapped = seal("Encrypt", KeyId="alias/app", Plaintext=text(b"k" * 32))
        assert wrapped["KeyId"] == seal.key["Arn"]

    def test_a_start_that_fails_says_why(self, seal):
        seal.root("disable_key", KeyId=seal.key["KeyId"])
        assert seal("DescribeKey", KeyId=seal.key["Arn"])["KeyMetadata"]["KeyState"] == "Disabled"
        assert "is disabled" in seal.refused("Encrypt", "DisabledException", KeyId=seal.key["Arn"], Plaintext=text(b"k"))


class TestKubernetes:
    """aws-encryption-provider, version 2 of the API server's KMS plugins."""

    CONTEXT = {"cluster": "prod"}
    ENCRYPTED_BYTES_MAX = 1024 - 1  # KMS v2's limit, less the provider's own version byte.
    KEY_ID_BYTES_MAX = 1024

    @pytest.fixture
    def provider(self, client):
        return client("Kubernetes")

    def encrypt(self, provider, data: bytes) -> str:
        return provider("Encrypt", KeyId=provider.key["Arn"], Plaintext=text(data), EncryptionContext=self.CONTEXT)["CiphertextBlob"]

    def test_health_check_and_data_key(self, provider):
        blob = self.encrypt(provider, b"foo")
        assert provider("Decrypt", CiphertextBlob=blob, EncryptionContext=self.CONTEXT)["Plaintext"] == text(b"foo")
        seed = os.urandom(32)
        blob = self.encrypt(provider, seed)
        assert len(base64.b64decode(blob)) <= self.ENCRYPTED_BYTES_MAX
        assert len(provider.key["Arn"]) <= self.KEY_ID_BYTES_MAX
        assert provider("Decrypt", CiphertextBlob=blob, EncryptionContext=self.CONTEXT)["Plaintext"] == text(seed)
        provider.account.demands_exactly_its_policy()

    def test_what_the_owner_did_keeps_the_provider_alive(self, provider):
        """`/livez` stays well for codes and words of these kinds ("user-induced"), so that restarts don't loop."""
        blob, arn = self.encrypt(provider, b"foo"), provider.key["Arn"]
        both = (("Encrypt", {"KeyId": arn, "Plaintext": text(b"foo")}), ("Decrypt", {"CiphertextBlob": blob}))
        provider.root("disable_key", KeyId=arn)
        for operation, members in both:
            provider.refused(operation, "DisabledException", **members, EncryptionContext=self.CONTEXT)
        provider.root("schedule_key_deletion", KeyId=arn)
        for operation, members in both:
            provider.refused(operation, "KMSInvalidStateException", **members, EncryptionContext=self.CONTEXT)

    def test_a_key_of_another_account(self, provider, client):
        foreign = self.encrypt(client("Kubernetes"), b"foo")
        message = provider.refused("Decrypt", "AccessDeniedException", CiphertextBlob=foreign, EncryptionContext=self.CONTEXT)
        assert "does not exist" in message

    @pytest.mark.parametrize("damage", ["blob", "context"])
    def test_corruption_is_told_apart(self, provider, damage):
        """It is counted by itself, and doesn't make the provider unhealthy."""
        blob = bytearray(base64.b64decode(self.encrypt(provider, b"foo")))
        if damage == "blob":
            blob[-1] ^= 1
        context = {"cluster": "test"} if damage == "context" else self.CONTEXT
        provider.refused("Decrypt", "InvalidCiphertextException", CiphertextBlob=text(bytes(blob)), EncryptionContext=context)


class TestCosign:
    """cosign, by the KMS package of sigstore."""

    DIGEST = hashlib.sha256(b"a manifest").digest()
    MAKING, SIGNING = 0, 1  # The page's two policies.

    def load(self, cosign, key) -> tuple:
        """What is fetched before anything else: the public key, then the metadata."""
        public = serialization.load_der_public_key(base64.b64decode(cosign("GetPublicKey", KeyId=key)["PublicKey"]))
        return public, cosign("DescribeKey", KeyId=key)["KeyMetadata"]

    def test_making_a_key(self, client):
        cosign = client("cosign", self.MAKING)
        cosign.refused("GetPublicKey", "NotFoundException", KeyId="alias/release")
        # By the old name of the parameter.
        made = cosign("CreateKey", CustomerMasterKeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Description="Created by Sigstore")
        cosign("CreateAlias", AliasName="alias/release", TargetKeyId=made["KeyMetadata"]["KeyId"])
        public, metadata = self.load(cosign, "alias/release")
        assert isinstance(public.curve, ec.SECP256R1)
        assert metadata["Arn"] == made["KeyMetadata"]["Arn"]
        cosign.account.demands_exactly_its_policy()

    @pytest.mark.parametrize("spec,first,prehashed", [
        ("ECC_NIST_P256", "ECDSA_SHA_256", hashes.SHA256()),
        ("ECC_NIST_P384", "ECDSA_SHA_384", hashes.SHA384()),
    ])
    def test_signing(self, client, spec, first, prehashed):
        cosign = client("cosign", self.SIGNING, KeySpec=spec, KeyUsage="SIGN_VERIFY")
        public, metadata = self.load(cosign, "alias/app")
        # The first algorithm decides about the digest.
        algorithm = metadata["SigningAlgorithms"][0]
        assert algorithm == first
        hasher = hashes.Hash(prehashed)
        hasher.update(b"a manifest")
        answer = cosign("Sign", KeyId="alias/app", Message=text(hasher.finalize()), MessageType="DIGEST", SigningAlgorithm=algorithm)
        # Verified without the KMS, as with `cosign.pub`.
        public.verify(base64.b64decode(answer["Signature"]), b"a manifest", ec.ECDSA(prehashed))
        cosign.account.demands_exactly_its_policy()

    def test_remote_verification(self, client):
        """For programs that ask for it; by the owner, since the page's policy doesn't have it."""
        cosign = client("cosign", self.SIGNING, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        signed = {"KeyId": "alias/app", "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        signature = cosign("Sign", Message=text(self.DIGEST), **signed)["Signature"]
        kms = cosign.account.client("kms", SET_UP, cosign.account.root_credentials)
        assert kms.verify(Message=self.DIGEST, Signature=base64.b64decode(signature), **signed)["SignatureValid"] is True
        with pytest.raises(kms.exceptions.KMSInvalidSignatureException):
            kms.verify(Message=hashlib.sha256(b"another").digest(), Signature=base64.b64decode(signature), **signed)


@pytest.mark.parametrize("content_algorithm", ["AES/GCM/NoPadding", "115"])
def test_s3_encryption_client(client, content_algorithm):
    """Objects without key commitment and with it: a data key under a context that names the content's algorithm."""
    objects = client("S3 Encryption Client")
    context = {"app": "payments", "aws:x-amz-cek-alg": content_algorithm}
    made = objects("GenerateDataKey", KeyId=objects.key["Arn"], KeySpec="AES_256", EncryptionContext=context)
    assert len(base64.b64decode(made["Plaintext"])) == 32
    stored = {"KeyId": objects.key["Arn"], "CiphertextBlob": made["CiphertextBlob"]}
    opened = objects("Decrypt", **stored, EncryptionContext=context)
    assert opened["Plaintext"] == made["Plaintext"]
    # An object whose metadata were changed to claim the other algorithm.
    other = {**context, "aws:x-amz-cek-alg": "AES/CBC/PKCS5Padding"}
    objects.refused("Decrypt", "InvalidCiphertextException", **stored, EncryptionContext=other)
    objects.account.demands_exactly_its_policy()
