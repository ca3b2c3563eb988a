"""Rotation, on demand and by schedule, as boto3 sees it. What time does is tested in the engine, where time can pass."""

import datetime
import re

import pytest
from conftest import refused

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def without_metadata(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_status_through_the_life_of_a_schedule(kms, key):
    status = without_metadata(kms.get_key_rotation_status(KeyId=key["KeyId"]))
    assert status == {"KeyRotationEnabled": False, "KeyId": key["Arn"]}
    for members, days in (({}, 365), ({"RotationPeriodInDays": 90}, 90), ({"RotationPeriodInDays": 2560}, 2560)):
        kms.enable_key_rotation(KeyId=key["KeyId"], **members)
        status = without_metadata(kms.get_key_rotation_status(KeyId=key["Arn"]))
        date = status.pop("NextRotationDate")
        assert status == {"KeyRotationEnabled": True, "KeyId": key["Arn"], "RotationPeriodInDays": days}
        assert abs(date - now() - days * DAY) < datetime.timedelta(minutes=1)
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["NextRotationDate"] == date
    kms.disable_key_rotation(KeyId=key["KeyId"])
    assert without_metadata(kms.get_key_rotation_status(KeyId=key["KeyId"])) == {
        "KeyRotationEnabled": False, "KeyId": key["Arn"],
    }


@pytest.mark.parametrize("days,bound", [(89, "greater than or equal to 90"), (2561, "less than or equal to 2560")])
def test_the_period_is_bounded(kms, key, days, bound):
    refused(
        kms.enable_key_rotation,
        "ValidationException",
        f"1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: "
        f"Member must have value {bound}",
        KeyId=key["KeyId"],
        RotationPeriodInDays=days,
    )


def test_rotations_are_listed_with_a_paginator(kms, key):
    materials = [key["CurrentKeyMaterialId"]]
    for _ in range(5):
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
        materials.append(kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"])
    assert len(set(materials)) == 6
    pages = kms.get_paginator("list_key_rotations")

    def listed(**members):
        found = pages.paginate(KeyId=key["KeyId"], PaginationConfig={"PageSize": 2}, **members)
        return [entry for page in found for entry in page["Rotations"]]

    rotations = listed()
    assert [entry["KeyMaterialId"] for entry in rotations] == materials[1:]
    for entry in rotations:
        assert abs(entry.pop("RotationDate") - now()) < datetime.timedelta(minutes=1)
        current = entry["KeyMaterialId"] == materials[-1]
        assert entry == {
            "KeyId": key["KeyId"],
            "KeyMaterialId": entry["KeyMaterialId"],
            "KeyMaterialState": "CURRENT" if current else "NON_CURRENT",
            "RotationType": "ON_DEMAND",
        }
    everything = listed(IncludeKeyMaterial="ALL_KEY_MATERIAL")
    assert [entry["KeyMaterialId"] for entry in everything] == materials
    assert everything[0] == {
        "KeyId": key["KeyId"], "KeyMaterialId": materials[0], "KeyMaterialState": "NON_CURRENT",
    }
    assert [entry["KeyMaterialId"] for entry in listed(IncludeKeyMaterial="ROTATIONS_ONLY")] == materials[1:]


def test_what_is_asked_of_a_list_is_checked(kms, key):
    refused(kms.list_key_rotations, "InvalidMarkerException", KeyId=key["KeyId"], Marker="nonsense")
    refused(kms.list_key_rotations, "ValidationException",
            re.compile(r"at 'includeKeyMaterial' failed to satisfy constraint: Member must satisfy enum value set: "),
            KeyId=key["KeyId"], IncludeKeyMaterial="SOME")
    refused(kms.list_key_rotations, "ValidationException",
            re.compile(r"at 'limit' failed to satisfy constraint: "), KeyId=key["KeyId"], Limit=1001)


def test_what_was_sealed_before_a_rotation_tells_its_material(kms, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"before")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    opened = kms.decrypt(CiphertextBlob=blob)
    assert opened["Plaintext"] == b"before" and opened["KeyMaterialId"] == key["CurrentKeyMaterialId"]
    moved = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key["KeyId"])
    assert moved["SourceKeyMaterialId"] == key["CurrentKeyMaterialId"]
    current = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
    assert moved["DestinationKeyMaterialId"] == current != key["CurrentKeyMaterialId"]


def test_rotation_in_the_states_of_a_key(kms, key):
    kms.enable_key_rotation(KeyId=key["KeyId"])
    calls = (kms.enable_key_rotation, kms.disable_key_rotation, kms.rotate_key_on_demand)
    kms.disable_key(KeyId=key["KeyId"])
    for call in calls:
        refused(call, "DisabledException", f"{key['Arn']} is disabled.", KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    for call in calls:
        refused(call, "KMSInvalidStateException", f"{key['Arn']} is pending deletion.", KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    assert kms.list_key_rotations(KeyId=key["KeyId"])["Rotations"] == []
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
