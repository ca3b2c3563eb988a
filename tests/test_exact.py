"""`exact.py` notices what is wrong in an answer."""

import json

import exact
import pytest
from clients import MODELS

USER = "<Path>/</Path><UserName>ann</UserName><UserId>AIDA23456789ABCDEFGHI</UserId><Arn>arn:aws:iam::111122223333:user/ann</Arn>"
MADE = "<CreateDate>2026-11-26T09:00:00Z</CreateDate>"
ID = "<ResponseMetadata><RequestId>1-2</RequestId></ResponseMetadata>"
SPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def get_user(user: str, rest: str = ID, space: str = SPACE) -> list[str]:
    body = f'<GetUserResponse xmlns="{space}"><GetUserResult><User>{user}</User></GetUserResult>{rest}</GetUserResponse>'
    return exact.faults(MODELS["iam"].operation_model("GetUser"), body.encode())


def test_an_answer_as_the_model_has_it():
    tags = "<Tags><member><Key>a</Key><Value>b</Value></member></Tags>"
    assert get_user(USER + MADE + tags) == []


@pytest.mark.parametrize("user,fault", [
    (USER, "CreateDate is missing"),
    (USER + MADE + MADE, "twice"),
    (USER + MADE + "<Age>7</Age>", "Age is not in the model"),
    (USER + MADE.replace("Z", "+00:00"), "CreateDate is 2026"),
    (USER + "<CreateDate>1795435200</CreateDate>", "CreateDate is 1795"),
    (USER.replace("AIDA", "AROA") + MADE, "UserId is AROA"),
    (USER + MADE + "<Tags><item><Key>a</Key><Value>b</Value></item></Tags>", "Tags has item"),
    (USER + MADE + "<Tags><member><Key>a</Key></member></Tags>", "Value is missing"),
    (USER + MADE + "<PermissionsBoundary><PermissionsBoundaryType>x</PermissionsBoundaryType></PermissionsBoundary>",
     "PermissionsBoundaryType is x"),
])
def test_a_user_that_is_none(user, fault):
    found = get_user(user)
    assert any(fault in one for one in found), found


def test_another_envelope():
    assert get_user(USER + MADE, rest="") and get_user(USER + MADE, space="https://sts.amazonaws.com/doc/2011-06-15/")
    assert get_user(USER + MADE, rest="<ResponseMetadata/>") == ["there is no request id"]


def test_json():
    def faults(**metadata) -> list[str]:
        body = json.dumps({"KeyMetadata": {"KeyId": "k", **metadata}})
        return exact.faults(MODELS["kms"].operation_model("DescribeKey"), body.encode())

    assert faults(Enabled=True, CreationDate=1795435200.5, KeyState="Enabled") == []
    for wrong in ({"Enabled": "true"}, {"CreationDate": "2026"}, {"KeyState": "enabled"}, {"Nonsense": 1}):
        assert len(faults(**wrong)) == 1, wrong
