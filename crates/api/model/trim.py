#!/usr/bin/env python3
"""Trims AWS's published API model to what this project needs: operations, shapes, constraints, enums, errors.

Source: botocore (Apache-2.0), data/kms/2014-11-01, data/iam/2010-05-08 and data/sts/2011-06-15 service-2.json.gz.
The prose is left out. Of IAM and STS, shapes are kept for the operations named here, and names of all others.

    pip install botocore
    python3 trim.py            # writes kms.json, iam.json and sts.json beside itself
"""

import gzip
import json
import pathlib

import botocore

IAM = """
    CreateUser GetUser UpdateUser DeleteUser ListUsers TagUser UntagUser ListUserTags
    CreateGroup GetGroup UpdateGroup DeleteGroup ListGroups AddUserToGroup RemoveUserFromGroup ListGroupsForUser
    CreateRole GetRole UpdateRole UpdateRoleDescription DeleteRole ListRoles UpdateAssumeRolePolicy
    TagRole UntagRole ListRoleTags ListInstanceProfilesForRole
    CreateAccessKey UpdateAccessKey DeleteAccessKey ListAccessKeys GetAccessKeyLastUsed
    PutUserPolicy GetUserPolicy DeleteUserPolicy ListUserPolicies
    PutGroupPolicy GetGroupPolicy DeleteGroupPolicy ListGroupPolicies
    PutRolePolicy GetRolePolicy DeleteRolePolicy ListRolePolicies
    CreatePolicy GetPolicy DeletePolicy ListPolicies TagPolicy UntagPolicy ListPolicyTags
    CreatePolicyVersion GetPolicyVersion DeletePolicyVersion ListPolicyVersions SetDefaultPolicyVersion
    ListEntitiesForPolicy
    AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies
    AttachGroupPolicy DetachGroupPolicy ListAttachedGroupPolicies
    AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
    PutUserPermissionsBoundary DeleteUserPermissionsBoundary
    PutRolePermissionsBoundary DeleteRolePermissionsBoundary
    CreateOpenIDConnectProvider GetOpenIDConnectProvider DeleteOpenIDConnectProvider ListOpenIDConnectProviders
    AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider
    GetAccountSummary
    SimulatePrincipalPolicy SimulateCustomPolicy GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy
"""
STS = "AssumeRole AssumeRoleWithWebIdentity GetSessionToken GetAccessKeyInfo GetCallerIdentity"
SERVICES = {
    "kms": ("kms/2014-11-01", None),
    "iam": ("iam/2010-05-08", set(IAM.split())),
    "sts": ("sts/2011-06-15", set(STS.split())),
}
# Members that only answers have, of what this program has nothing of.
LEFT_OUT = {"TrustedIdentityPropagationContext"}
# What a shape keeps beside its type and parts.
CONSTRAINTS = ("enum", "min", "max", "pattern", "sensitive", "required", "fault")


def trim(version, kept):
    path = pathlib.Path(botocore.__path__[0]) / "data" / version / "service-2.json.gz"
    model = json.load(gzip.open(path))
    shapes = {}

    def keep(name):
        if name in shapes:
            return
        shape = model["shapes"][name]
        shapes[name] = trimmed = {"type": shape["type"]}
        for constraint in CONSTRAINTS:
            if constraint in shape:
                trimmed[constraint] = shape[constraint]
        if shape.get("exception"):
            trimmed["exception"] = True
            # The Query protocol has names and statuses of its own.
            if "error" in shape:
                trimmed["code"] = shape["error"]["code"]
                trimmed["status"] = shape["error"]["httpStatusCode"]
        if "members" in shape:
            # Pairs, since their order is the order of failures in an answer.
            trimmed["members"] = [
                [member, part["shape"]] for member, part in shape["members"].items() if member not in LEFT_OUT
            ]
        for part in ("member", "key", "value"):
            if part in shape:
                trimmed[part] = shape[part]["shape"]
        for part in [part for _, part in trimmed.get("members", [])] + [
            trimmed[part] for part in ("member", "key", "value") if part in trimmed
        ]:
            keep(part)

    operations = {}
    for name, operation in sorted(model["operations"].items()):
        operations[name] = trimmed = {}
        if kept is not None and name not in kept:
            continue
        for part in ("input", "output"):
            if part in operation:
                trimmed[part] = operation[part]["shape"]
                keep(trimmed[part])
        trimmed["errors"] = sorted(error["shape"] for error in operation.get("errors", []))
        for error in trimmed["errors"]:
            keep(error)
    return {
        "source": f"botocore {botocore.__version__}, data/{version}/service-2.json.gz, trimmed by trim.py",
        "api_version": model["metadata"]["apiVersion"],
        "target_prefix": model["metadata"].get("targetPrefix"),
        "operations": operations,
        "shapes": dict(sorted(shapes.items())),
    }


for service, (version, kept) in SERVICES.items():
    target = pathlib.Path(__file__).with_name(f"{service}.json")
    target.write_text(json.dumps(trim(version, kept), indent=1) + "\n")
