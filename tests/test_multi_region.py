"""Multi-Region keys between the regions of one server, with boto3."""

import json
import time

import pytest
from conftest import Host, Server, audit_records, refused

FIRST, SECOND, THIRD = "us-east-1", "eu-west-1", "ap-southeast-2"
REGIONS = (FIRST, SECOND, THIRD)


@pytest.fixture(scope="module")
def world(bulla, tmp_path_factory):
    directory = tmp_path_factory.mktemp("multi-region")
    with Server(Host(bulla, directory / "home"), directory / "data", "--region", ",".join(REGIONS)) as server:
        yield server


@pytest.fixture(scope="module")
def kms(world) -> dict:
    """A client for each region."""
    return {region: world.client(region=region) for region in REGIONS}


def primary(kms, **members) -> dict:
    return kms[FIRST].create_key(MultiRegion=True, **members)["KeyMetadata"]


def described(kms, region, key) -> dict:
    return kms[region].describe_key(KeyId=key["KeyId"])["KeyMetadata"]


def roles(kms, region, key) -> tuple:
    """The kind of the key, the primary's region, and the replicas'."""
    found = described(kms, region, key)["MultiRegionConfiguration"]
    for one in [found["PrimaryKey"], *found["ReplicaKeys"]]:
        assert one["Arn"] == key["Arn"].replace(FIRST, one["Region"])
    return found["MultiRegionKeyType"], found["PrimaryKey"]["Region"], [one["Region"] for one in found["ReplicaKeys"]]


@pytest.fixture
def key(kms) -> dict:
    """A primary key in the first region with a replica in the second."""
    made = primary(kms)
    kms[FIRST].replicate_key(KeyId=made["KeyId"], ReplicaRegion=SECOND)
    return made


def test_a_key_is_replicated(kms):
    made = primary(kms, Description="first", Tags=[{"TagKey": "a", "TagValue": "b"}])
    assert roles(kms, FIRST, made) == ("PRIMARY", FIRST, [])
    answer = kms[FIRST].replicate_key(
        KeyId=made["Arn"], ReplicaRegion=SECOND, Description="second", Tags=[{"TagKey": "c", "TagValue": "d"}],
    )
    replica = answer["ReplicaKeyMetadata"]
    assert replica["KeyId"] == made["KeyId"] and replica["Arn"] == made["Arn"].replace(FIRST, SECOND)
    assert replica["Description"] == "second" and replica["KeyState"] == "Enabled" and replica["Enabled"]
    assert replica["CurrentKeyMaterialId"] == made["CurrentKeyMaterialId"]
    assert answer["ReplicaTags"] == [{"TagKey": "c", "TagValue": "d"}]
    assert json.loads(answer["ReplicaPolicy"])["Id"] == "key-default-1"
    assert described(kms, SECOND, made) == replica
    assert roles(kms, FIRST, made) == ("PRIMARY", FIRST, [SECOND])
    assert roles(kms, SECOND, made) == ("REPLICA", FIRST, [SECOND])
    assert kms[SECOND].list_resource_tags(KeyId=made["KeyId"])["Tags"] == answer["ReplicaTags"]
    assert described(kms, FIRST, made)["Description"] == "first"
    assert made["KeyId"] in {one["KeyId"] for one in kms[SECOND].list_keys(Limit=1000)["Keys"]}


def test_ciphertexts_open_in_every_region_of_the_key(kms, key):
    for sealer in (FIRST, SECOND):
        blob = kms[sealer].encrypt(KeyId=key["KeyId"], Plaintext=b"hello", EncryptionContext={"a": "b"})["CiphertextBlob"]
        for opener in (FIRST, SECOND):
            opened = kms[opener].decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
            assert opened["Plaintext"] == b"hello"
            assert opened["KeyId"] == key["Arn"].replace(FIRST, opener)
        refused(kms[THIRD].decrypt, "AccessDeniedException", CiphertextBlob=blob, EncryptionContext={"a": "b"})
        refused(kms[SECOND].decrypt, "InvalidCiphertextException", CiphertextBlob=blob)
        single = kms[SECOND].create_key()["KeyMetadata"]
        moved = kms[SECOND].re_encrypt(CiphertextBlob=blob, SourceEncryptionContext={"a": "b"}, DestinationKeyId=single["KeyId"])
        assert kms[SECOND].decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"hello"


@pytest.mark.parametrize("spec,algorithm", [
    ("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P384", "ECDSA_SHA_384"), ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
    ("ML_DSA_44", "ML_DSA_SHAKE_256"),
])
def test_pairs_are_shared(kms, spec, algorithm):
    made = primary(kms, KeySpec=spec, KeyUsage="SIGN_VERIFY")
    kms[FIRST].replicate_key(KeyId=made["KeyId"], ReplicaRegion=SECOND)
    public = [kms[region].get_public_key(KeyId=made["KeyId"])["PublicKey"] for region in (FIRST, SECOND)]
    assert public[0] == public[1]
    members = {"KeyId": made["KeyId"], "Message": b"hello", "SigningAlgorithm": algorithm}
    for signer, verifier in ((FIRST, SECOND), (SECOND, FIRST)):
        signature = kms[signer].sign(**members)["Signature"]
        assert kms[verifier].verify(Signature=signature, **members)["SignatureValid"]


def test_hmac_keys_are_shared(kms):
    made = primary(kms, KeySpec="HMAC_512", KeyUsage="GENERATE_VERIFY_MAC")
    kms[FIRST].replicate_key(KeyId=made["KeyId"], ReplicaRegion=SECOND)
    members = {"KeyId": made["KeyId"], "Message": b"hello", "MacAlgorithm": "HMAC_SHA_512"}
    assert kms[FIRST].generate_mac(**members)["Mac"] == kms[SECOND].generate_mac(**members)["Mac"]


def test_what_can_not_be_replicated(kms, key):
    single = kms[FIRST].create_key()["KeyMetadata"]
    refused(kms[FIRST].replicate_key, "UnsupportedOperationException", f"{single['Arn']} is not a multi-region primary key.",
            KeyId=single["KeyId"], ReplicaRegion=SECOND)
    arn = key["Arn"].replace(FIRST, SECOND)
    refused(kms[SECOND].replicate_key, "UnsupportedOperationException", f"{arn} is not a multi-region primary key.",
            KeyId=key["KeyId"], ReplicaRegion=THIRD)
    refused(kms[FIRST].replicate_key, "AlreadyExistsException",
            "You can create only one replica of each primary key in each AWS Region.", KeyId=key["KeyId"], ReplicaRegion=SECOND)
    refused(kms[FIRST].replicate_key, "UnsupportedOperationException", KeyId=key["KeyId"], ReplicaRegion="eu-north-1")
    refused(kms[FIRST].replicate_key, "ValidationException", KeyId=key["KeyId"], ReplicaRegion="mars")
    kms[FIRST].disable_key(KeyId=key["KeyId"])
    refused(kms[FIRST].replicate_key, "DisabledException", f"{key['Arn']} is disabled.", KeyId=key["KeyId"], ReplicaRegion=THIRD)
    refused(kms[THIRD].describe_key, "NotFoundException", KeyId=key["KeyId"])


def test_a_key_is_disabled_in_one_region_alone(kms, key):
    kms[FIRST].disable_key(KeyId=key["KeyId"])
    refused(kms[FIRST].encrypt, "DisabledException", KeyId=key["KeyId"], Plaintext=b"x")
    blob = kms[SECOND].encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    refused(kms[FIRST].decrypt, "DisabledException", CiphertextBlob=blob)


def test_rotation_is_asked_of_the_primary_and_reaches_all(kms, key):
    blob = kms[SECOND].encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms[FIRST].enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=100)
    status = [kms[region].get_key_rotation_status(KeyId=key["KeyId"]) for region in (FIRST, SECOND)]
    assert status[0]["KeyRotationEnabled"] and status[0]["RotationPeriodInDays"] == 100
    assert status[0]["NextRotationDate"] == status[1]["NextRotationDate"]
    for call in (kms[SECOND].enable_key_rotation, kms[SECOND].disable_key_rotation, kms[SECOND].rotate_key_on_demand):
        refused(call, "UnsupportedOperationException", KeyId=key["KeyId"])
    kms[FIRST].rotate_key_on_demand(KeyId=key["KeyId"])
    kms[FIRST].replicate_key(KeyId=key["KeyId"], ReplicaRegion=THIRD)
    materials = {described(kms, region, key)["CurrentKeyMaterialId"] for region in REGIONS}
    assert len(materials) == 1 and materials != {key["CurrentKeyMaterialId"]}
    for region in REGIONS:
        assert kms[region].decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        assert len(kms[region].list_key_rotations(KeyId=key["KeyId"])["Rotations"]) == 1


def test_a_primary_key_waits_for_its_replicas(kms, key):
    answer = kms[FIRST].schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=9)
    answer.pop("ResponseMetadata")
    assert answer == {"KeyId": key["Arn"], "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 9}
    found = described(kms, FIRST, key)
    assert (found["KeyState"], found["PendingDeletionWindowInDays"]) == ("PendingReplicaDeletion", 9)
    assert "DeletionDate" not in found and not found["Enabled"]
    refused(kms[FIRST].encrypt, "KMSInvalidStateException", f"{key['Arn']} is pending replica deletion.",
            KeyId=key["KeyId"], Plaintext=b"x")
    kms[SECOND].encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    answer = kms[SECOND].schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert answer["KeyState"] == "PendingDeletion" and "DeletionDate" in answer
    kms[FIRST].cancel_key_deletion(KeyId=key["KeyId"])
    found = described(kms, FIRST, key)
    assert found["KeyState"] == "Disabled" and "PendingDeletionWindowInDays" not in found


def test_the_primary_region_is_updated(kms, key):
    kms[FIRST].replicate_key(KeyId=key["KeyId"], ReplicaRegion=THIRD)
    kms[FIRST].enable_key_rotation(KeyId=key["KeyId"])
    answer = kms[FIRST].update_primary_region(KeyId=key["KeyId"], PrimaryRegion=SECOND)
    assert set(answer) == {"ResponseMetadata"}
    for region in REGIONS:
        kind = "PRIMARY" if region == SECOND else "REPLICA"
        assert roles(kms, region, key) == (kind, SECOND, [THIRD, FIRST])
    refused(kms[FIRST].update_primary_region, "UnsupportedOperationException",
            f"{key['Arn']} is not a multi-region primary key.", KeyId=key["KeyId"], PrimaryRegion=THIRD)
    kms[SECOND].disable_key_rotation(KeyId=key["KeyId"])
    assert not kms[FIRST].get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    # The former primary is a replica like any other now.
    assert kms[FIRST].schedule_key_deletion(KeyId=key["KeyId"])["KeyState"] == "PendingDeletion"


def test_what_can_not_become_the_primary(kms, key):
    arn = key["Arn"].replace(FIRST, THIRD)
    refused(kms[FIRST].update_primary_region, "NotFoundException", f"Key '{arn}' does not exist", KeyId=key["KeyId"],
            PrimaryRegion=THIRD)
    refused(kms[FIRST].update_primary_region, "UnsupportedOperationException", KeyId=key["KeyId"], PrimaryRegion="eu-north-1")
    kms[SECOND].disable_key(KeyId=key["KeyId"])
    refused(kms[FIRST].update_primary_region, "DisabledException", f"{key['Arn'].replace(FIRST, SECOND)} is disabled.",
            KeyId=key["KeyId"], PrimaryRegion=SECOND)
    assert roles(kms, FIRST, key)[0] == "PRIMARY"


def test_another_account_has_no_part_in_it(world, kms, key):
    made = json.loads(world.host.run("account", "create", "--json", "--data-dir", world.dir).stdout)
    stranger = world.client(credentials=(made["AccessKeyId"], made["SecretAccessKey"]))
    for call, members in (
        (stranger.replicate_key, {"ReplicaRegion": THIRD}), (stranger.update_primary_region, {"PrimaryRegion": SECOND}),
    ):
        refused(call, "AccessDeniedException", KeyId=key["Arn"], **members)
        refused(call, "NotFoundException", KeyId=key["KeyId"], **members)


def test_both_regions_have_records(world, kms, key):
    kms[FIRST].update_primary_region(KeyId=key["KeyId"], PrimaryRegion=SECOND)
    wanted = {("ReplicateKey", FIRST), ("CreateKey", SECOND), ("UpdatePrimaryRegion", FIRST), ("UpdatePrimaryRegion", SECOND)}
    deadline = time.monotonic() + 5
    while True:
        of_key = [one for one in audit_records(world.dir) if key["KeyId"] in json.dumps(one)]
        if wanted <= {(one["eventName"], one["awsRegion"]) for one in of_key}:
            break
        assert time.monotonic() < deadline, of_key
        time.sleep(0.05)


def test_all_of_it_survives_a_restart(bulla, tmp_path):
    host = Host(bulla, tmp_path / "home")
    start = lambda: Server(host, tmp_path / "data", "--region", ",".join(REGIONS))  # noqa: E731
    clients = lambda server: {region: server.client(region=region) for region in REGIONS}  # noqa: E731
    with start() as server:
        kms = clients(server)
        key = primary(kms)
        kms[FIRST].replicate_key(KeyId=key["KeyId"], ReplicaRegion=SECOND)
        kms[FIRST].replicate_key(KeyId=key["KeyId"], ReplicaRegion=THIRD)
        blob = kms[THIRD].encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        kms[FIRST].update_primary_region(KeyId=key["KeyId"], PrimaryRegion=SECOND)
        kms[SECOND].schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=8)
    with start() as server:
        kms = clients(server)
        assert roles(kms, FIRST, key) == ("REPLICA", SECOND, [THIRD, FIRST])
        found = described(kms, SECOND, key)
        assert (found["KeyState"], found["PendingDeletionWindowInDays"]) == ("PendingReplicaDeletion", 8)
        assert kms[FIRST].decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    host.run("store", "check", "--data-dir", tmp_path / "data")
