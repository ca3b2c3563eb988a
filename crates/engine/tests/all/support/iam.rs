//! A scene with users, groups, roles and policies, and an input of each operation of IAM for it.

use super::{ACCOUNT, World, text};
use serde_json::{Value, json};

pub const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}"#;
pub const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}"#;
pub const AWS_MANAGED: &str = "arn:aws:iam::aws:policy/AWSKeyManagementServicePowerUser";
pub const PROVIDER_URL: &str = "https://issuer.example/path";

/// Who and what is there: user `ann` with an access key, in group `admins`; `empty` of each kind, which can be deleted;
/// role `deployer`; each of the first with an inline policy, an attached one and, where it can have one, a boundary.
pub struct Identities {
    pub access_key_id: String,
    pub secret: String,
}

pub fn policy_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

pub fn provider_arn() -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/path")
}

impl Identities {
    pub async fn make(world: &World) -> Self {
        let call = async |operation: &str, input: Value| world.call(operation, input).await.ok();
        let arn = policy_arn("reading");
        for name in ["reading", "unused"] {
            call("CreatePolicy", json!({"PolicyName": name, "PolicyDocument": DOCUMENT})).await;
        }
        call("CreatePolicyVersion", json!({"PolicyArn": arn, "PolicyDocument": DOCUMENT})).await;
        for name in ["ann", "empty"] {
            call("CreateUser", json!({"UserName": name, "Path": "/eng/"})).await;
            call("CreateGroup", json!({"GroupName": name_of_group(name)})).await;
            call("CreateRole", json!({"RoleName": name_of_role(name), "AssumeRolePolicyDocument": TRUST}))
                .await;
        }
        let tags = json!([{"Key": "team", "Value": "red"}]);
        for (kind, name) in [("User", "ann"), ("Group", "admins"), ("Role", "deployer")] {
            let named = |more: Value| {
                let mut input = json!({});
                input[format!("{kind}Name")] = name.into();
                input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                input
            };
            let inline = json!({"PolicyName": "inline", "PolicyDocument": DOCUMENT});
            call(&format!("Put{kind}Policy"), named(inline)).await;
            call(&format!("Attach{kind}Policy"), named(json!({"PolicyArn": arn}))).await;
            if kind != "Group" {
                let boundary =
                    json!({"PermissionsBoundary": if kind == "User" { &arn } else { AWS_MANAGED }});
                call(&format!("Put{kind}PermissionsBoundary"), named(boundary)).await;
                call(&format!("Tag{kind}"), named(json!({"Tags": tags}))).await;
            }
        }
        call("AddUserToGroup", json!({"UserName": "ann", "GroupName": "admins"})).await;
        let provider = json!({"Url": PROVIDER_URL, "ClientIDList": ["client"]});
        call("CreateOpenIDConnectProvider", provider).await;
        let made = call("CreateAccessKey", json!({"UserName": "ann"})).await;
        Self {
            access_key_id: text(&made["AccessKey"]["AccessKeyId"]),
            secret: text(&made["AccessKey"]["SecretAccessKey"]),
        }
    }

    /// An input that succeeds in this scene, and one that fails.
    pub fn inputs(&self, operation: &str) -> (Value, Value) {
        let (arn, none) = (policy_arn("reading"), policy_arn("none"));
        let (user, no_user) = (json!({"UserName": "ann"}), json!({"UserName": "nobody"}));
        let (group, no_group) = (json!({"GroupName": "admins"}), json!({"GroupName": "nobody"}));
        let (role, no_role) = (json!({"RoleName": "deployer"}), json!({"RoleName": "nobody"}));
        let no_page = json!({"MaxItems": 0});
        let with = |input: &Value, more: Value| {
            let mut input = input.clone();
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let both = |right: &Value, wrong: &Value, more: Value| (with(right, more.clone()), with(wrong, more));
        let inline = json!({"PolicyName": "inline"});
        let document = json!({"PolicyName": "other", "PolicyDocument": DOCUMENT});
        let tags = json!({"Tags": [{"Key": "a", "Value": "b"}]});
        let keys = json!({"TagKeys": ["team"]});
        let boundary = json!({"PermissionsBoundary": AWS_MANAGED});
        let attach = json!({"PolicyArn": policy_arn("unused")});
        let attached = json!({"PolicyArn": arn});
        let key = json!({"AccessKeyId": self.access_key_id});
        let policy = |more: Value| both(&json!({"PolicyArn": arn}), &json!({"PolicyArn": none}), more);
        let provider = |more: Value| {
            let none = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/none.example");
            both(
                &json!({"OpenIDConnectProviderArn": provider_arn()}),
                &json!({"OpenIDConnectProviderArn": none}),
                more,
            )
        };
        match operation {
            "CreateUser" => (json!({"UserName": "bob"}), json!({"UserName": "ANN"})),
            "GetUser"
            | "ListUserTags"
            | "ListGroupsForUser"
            | "ListAccessKeys"
            | "ListUserPolicies"
            | "ListAttachedUserPolicies"
            | "CreateAccessKey"
            | "DeleteUserPermissionsBoundary" => (user, no_user),
            "UpdateUser" => both(&user, &no_user, json!({"NewUserName": "anna"})),
            "DeleteUser" => (json!({"UserName": "empty"}), user),
            "ListUsers" | "ListGroups" | "ListRoles" | "ListPolicies" => (json!({}), no_page),
            "TagUser" => both(&user, &no_user, tags),
            "UntagUser" => both(&user, &no_user, keys),
            "CreateGroup" => (json!({"GroupName": "bobs"}), json!({"GroupName": "Admins"})),
            "GetGroup" | "ListGroupPolicies" | "ListAttachedGroupPolicies" => (group, no_group),
            "UpdateGroup" => both(&group, &no_group, json!({"NewGroupName": "others"})),
            "DeleteGroup" => (json!({"GroupName": "empties"}), group),
            "AddUserToGroup" => (
                json!({"UserName": "ann", "GroupName": "empties"}),
                with(&no_group, json!({"UserName": "ann"})),
            ),
            "RemoveUserFromGroup" => both(&group, &no_group, json!({"UserName": "ann"})),
            "CreateRole" => {
                let trust = json!({"AssumeRolePolicyDocument": TRUST});
                both(&json!({"RoleName": "bob"}), &json!({"RoleName": "deployer"}), trust)
            }
            "GetRole"
            | "ListRoleTags"
            | "ListInstanceProfilesForRole"
            | "ListRolePolicies"
            | "ListAttachedRolePolicies"
            | "DeleteRolePermissionsBoundary" => (role, no_role),
            "UpdateRole" | "UpdateRoleDescription" => both(&role, &no_role, json!({"Description": "d"})),
            "DeleteRole" => (json!({"RoleName": "idle"}), role),
            "UpdateAssumeRolePolicy" => both(&role, &no_role, json!({"PolicyDocument": TRUST})),
            "TagRole" => both(&role, &no_role, tags),
            "UntagRole" => both(&role, &no_role, keys),
            "UpdateAccessKey" => both(&user, &no_user, with(&key, json!({"Status": "Inactive"}))),
            "DeleteAccessKey" => both(&user, &no_user, key),
            "GetAccessKeyLastUsed" => (key, json!({"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"})),
            "PutUserPolicy" => both(&user, &no_user, document),
            "GetUserPolicy" | "DeleteUserPolicy" => both(&user, &no_user, inline),
            "PutGroupPolicy" => both(&group, &no_group, document),
            "GetGroupPolicy" | "DeleteGroupPolicy" => both(&group, &no_group, inline),
            "PutRolePolicy" => both(&role, &no_role, document),
            "GetRolePolicy" | "DeleteRolePolicy" => both(&role, &no_role, inline),
            "CreatePolicy" => {
                let document = json!({"PolicyDocument": DOCUMENT});
                both(&json!({"PolicyName": "new"}), &json!({"PolicyName": "READING"}), document)
            }
            "GetPolicy" | "ListPolicyVersions" | "ListEntitiesForPolicy" | "ListPolicyTags" => {
                policy(json!({}))
            }
            "DeletePolicy" => (json!({"PolicyArn": policy_arn("unused")}), json!({"PolicyArn": arn})),
            "CreatePolicyVersion" => policy(json!({"PolicyDocument": DOCUMENT})),
            "GetPolicyVersion" | "SetDefaultPolicyVersion" | "DeletePolicyVersion" => {
                policy(json!({"VersionId": "v2"}))
            }
            "TagPolicy" => policy(tags),
            "UntagPolicy" => policy(keys),
            "AttachUserPolicy" => both(&user, &no_user, attach),
            "DetachUserPolicy" => both(&user, &no_user, attached),
            "AttachGroupPolicy" => both(&group, &no_group, attach),
            "DetachGroupPolicy" => both(&group, &no_group, attached),
            "AttachRolePolicy" => both(&role, &no_role, attach),
            "DetachRolePolicy" => both(&role, &no_role, attached),
            "PutUserPermissionsBoundary" => both(&user, &no_user, boundary),
            "PutRolePermissionsBoundary" => both(&role, &no_role, boundary),
            "CreateOpenIDConnectProvider" => {
                (json!({"Url": "https://other.example"}), json!({"Url": PROVIDER_URL}))
            }
            "GetOpenIDConnectProvider" | "DeleteOpenIDConnectProvider" => provider(json!({})),
            "AddClientIDToOpenIDConnectProvider" => provider(json!({"ClientID": "another"})),
            "RemoveClientIDFromOpenIDConnectProvider" => provider(json!({"ClientID": "client"})),
            "ListOpenIDConnectProviders" => (json!({}), json!([])),
            // Without members, there is nothing to ask wrongly.
            "GetAccountSummary" => (json!({}), Value::Null),
            "SimulateCustomPolicy" => both(
                &json!({"PolicyInputList": [SIMULATED]}),
                &json!({"PolicyInputList": ["{"]}),
                json!({"ActionNames": ["kms:Decrypt"]}),
            ),
            "SimulatePrincipalPolicy" => both(
                &json!({"PolicySourceArn": format!("arn:aws:iam::{ACCOUNT}:user/eng/ann")}),
                &json!({"PolicySourceArn": format!("arn:aws:iam::{ACCOUNT}:user/none")}),
                json!({"ActionNames": ["kms:Decrypt"]}),
            ),
            "GetContextKeysForCustomPolicy" => {
                (json!({"PolicyInputList": [SIMULATED]}), json!({"PolicyInputList": ["{"]}))
            }
            "GetContextKeysForPrincipalPolicy" => (
                json!({"PolicySourceArn": format!("arn:aws:iam::{ACCOUNT}:user/eng/ann")}),
                json!({"PolicySourceArn": format!("arn:aws:iam::{ACCOUNT}:user/none")}),
            ),
            other => unreachable!("{other} has no input here"),
        }
    }
}

/// A policy to simulate.
const SIMULATED: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;

fn name_of_group(user: &str) -> &'static str {
    if user == "ann" { "admins" } else { "empties" }
}

fn name_of_role(user: &str) -> &'static str {
    if user == "ann" { "deployer" } else { "idle" }
}
