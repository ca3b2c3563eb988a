"""Tags of keys, as boto3 gives them and reads them back."""

import re

from conftest import refused


def tags(**pairs):
    return [{"TagKey": key, "TagValue": value} for key, value in pairs.items()]


def listed(kms, key):
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key["KeyId"])
    return [tag for page in pages for tag in page["Tags"]]


def test_tags_are_added_replaced_and_removed(kms, key):
    assert kms.list_resource_tags(KeyId=key["Arn"])["Tags"] == []
    kms.tag_resource(KeyId=key["KeyId"], Tags=tags(tag1="value1", tag2="value2", tag3="value3"))
    assert listed(kms, key) == tags(tag1="value1", tag2="value2", tag3="value3")
    kms.tag_resource(KeyId=key["Arn"], Tags=tags(tag4="value4", tag2="updated_value2", tag5=""))
    assert listed(kms, key) == tags(tag1="value1", tag2="updated_value2", tag3="value3", tag4="value4", tag5="")
    kms.untag_resource(KeyId=key["KeyId"], TagKeys=["tag2", "tag5", "absent"])
    assert listed(kms, key) == tags(tag1="value1", tag3="value3", tag4="value4")


def test_tags_given_to_create_key_are_listed(kms):
    key = kms.create_key(Tags=tags(team="t"))["KeyMetadata"]
    assert listed(kms, key) == tags(team="t")


def test_pages(kms, key):
    kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": f"k{n}", "TagValue": str(n)} for n in range(7)])
    seen, members = [], {"KeyId": key["KeyId"], "Limit": 3}
    for expected in (3, 3, 1):
        page = kms.list_resource_tags(**members)
        assert (len(page["Tags"]), page["Truncated"]) == (expected, expected == 3)
        seen += page["Tags"]
        members["Marker"] = page.get("NextMarker")
    assert seen == [{"TagKey": f"k{n}", "TagValue": str(n)} for n in range(7)]
    refused(kms.list_resource_tags, "InvalidMarkerException", KeyId=key["KeyId"], Marker="x")


def test_refusals(kms, key):
    tag = {"KeyId": key["KeyId"]}
    refused(kms.tag_resource, "TagException", "Duplicate tag keys", **tag, Tags=tags(a="1") + tags(a="2"))
    refused(kms.tag_resource, "TagException", "Tags beginning with aws: are reserved", **tag,
            Tags=[{"TagKey": "aws:key1", "TagValue": "value1"}])
    refused(kms.tag_resource, "TagException", "Too many tags", **tag,
            Tags=[{"TagKey": f"key{n}", "TagValue": "v"} for n in range(51)])
    long = "v" * 257
    refused(kms.tag_resource, "ValidationException",
            f"1 validation error detected: Value '{long}' at 'tags.1.member.tagValue' failed to satisfy constraint: "
            "Member must have length less than or equal to 256", **tag, Tags=tags(tag1=long))
    refused(kms.tag_resource, "ValidationException", re.compile("Value null at 'tags'"), **tag)
    refused(kms.untag_resource, "ValidationException", re.compile("Value null at 'tagKeys'"), **tag)
    assert listed(kms, key) == []


def test_a_key_pending_deletion_keeps_its_tags(kms, key):
    kms.tag_resource(KeyId=key["KeyId"], Tags=tags(a="1"))
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    text = f"{key['Arn']} is pending deletion."
    refused(kms.tag_resource, "KMSInvalidStateException", text, KeyId=key["KeyId"], Tags=tags(a="2"))
    refused(kms.untag_resource, "KMSInvalidStateException", text, KeyId=key["KeyId"], TagKeys=["a"])
    assert listed(kms, key) == tags(a="1")
