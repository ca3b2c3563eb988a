//! Users and roles use keys as their own policies, their boundaries, their sessions and the key's policy allow together.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{Authenticated, Clock, SignedRequest};
use bulla_sigv4::{Credentials, Instant};
use serde_json::{Value, json};
use support::{ACCOUNT, HELLO, OTHER_ACCOUNT, REGION, Signer, World, key_arn, text};

const DENIED: Option<&str> = Some("AccessDeniedException");

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn document(statements: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn allow(action: Value, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

fn names(principal: &str, action: &str) -> Value {
    json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": "*"})
}

fn account_may() -> Value {
    names(&root(ACCOUNT), "kms:*")
}

/// Signs one request with these credentials, and gives whoever they are of.
async fn signed(world: &World, id: &str, secret: &str, token: Option<&str>) -> Option<Authenticated> {
    let headers = [
        ("host", b"localhost:4599".as_slice()),
        ("x-amz-target", b"TrentService.ListKeys"),
        ("content-type", b"application/x-amz-json-1.1"),
    ];
    let request = SignedRequest { method: "POST", path_and_query: "/", headers: &headers, body: b"{}" };
    let credentials = Credentials { access_key_id: id, secret_access_key: secret, session_token: token };
    let now = Instant::from_seconds(world.clock.wall_ms() / 1000);
    let added = bulla_sigv4::sign(&request, &credentials, REGION, "kms", now).unwrap();
    let added: Vec<(String, String)> =
        added.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let headers: Vec<(&str, &[u8])> = headers
        .into_iter()
        .chain(added.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
        .collect();
    let request = SignedRequest { method: "POST", path_and_query: "/", headers: &headers, body: b"{}" };
    world.engine.authenticate(&request).await.ok()
}

/// A new user, and it as a caller.
async fn user(world: &World, name: &str) -> Authenticated {
    world.call("CreateUser", json!({"UserName": name})).await.ok();
    let made = world.call("CreateAccessKey", json!({"UserName": name})).await.ok();
    let of = |member: &str| text(&made["AccessKey"][member]);
    signed(world, &of("AccessKeyId"), &of("SecretAccessKey"), None).await.unwrap()
}

async fn put_user_policy(world: &World, user: &str, statements: Value) {
    let input = json!({"UserName": user, "PolicyName": "p", "PolicyDocument": document(statements)});
    world.call("PutUserPolicy", input).await.ok();
}

async fn put_key_policy(world: &World, key: &str, statements: Value) {
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": document(statements)})).await.ok();
}

async fn encrypt(world: &World, caller: &Authenticated, key: &str) -> Option<&'static str> {
    world.call_as(caller, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await.error
}

#[tokio::test]
async fn a_user_may_what_its_policies_and_the_keys_allow_together() {
    let world = World::new(1).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let ann = user(&world, "ann").await;
    let refused = |action: &str, resource: &str, why: &str| {
        format!("User: {} is not authorized to perform: {action} on {resource} {why}", user_arn("ann"))
    };
    let answer = world.call_as(&ann, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    let why = "because no identity-based policy allows the kms:Encrypt action";
    answer.fails("AccessDeniedException", &refused("kms:Encrypt", &format!("resource: {arn}"), why));
    let why = "because no identity-based policy allows the kms:ListKeys action";
    let answer = world.call_as(&ann, "ListKeys", json!({})).await;
    answer.fails("AccessDeniedException", &refused("kms:ListKeys", "resource: *", why));
    let blob = world.sealed(&key).await;
    let why = "because no identity-based policy allows the kms:Decrypt action";
    let answer = world.call_as(&ann, "Decrypt", json!({"CiphertextBlob": blob})).await;
    let resource = "the resource associated with this ciphertext";
    answer.fails("AccessDeniedException", &refused("kms:Decrypt", resource, why));

    // Its own policy, which the key's lets decide.
    put_user_policy(&world, "ann", json!([allow(json!("kms:Encrypt"), &arn)])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    let other = world.new_key().await;
    assert_eq!(encrypt(&world, &ann, &other).await, DENIED);
    // A denial of its own.
    let deny = json!({"Effect": "Deny", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}});
    put_user_policy(&world, "ann", json!([allow(json!("kms:*"), "*"), deny])).await;
    let answer = world.call_as(&ann, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    let why = "with an explicit deny in an identity-based policy";
    answer.fails("AccessDeniedException", &refused("kms:Encrypt", &format!("resource: {arn}"), why));
    // The key's policy alone, by name.
    world.call("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await.ok();
    put_key_policy(&world, &key, json!([account_may(), names(&user_arn("ann"), "kms:Encrypt")])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    // A key's policy that lets nobody's own decide.
    put_user_policy(&world, "ann", json!([allow(json!("kms:*"), "*")])).await;
    let keeper = names(&root(ACCOUNT), "kms:PutKeyPolicy");
    put_key_policy(&world, &key, json!([keeper])).await;
    let answer = world.call_as(&ann, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    let why = "because no resource-based policy allows the kms:Encrypt action";
    answer.fails("AccessDeniedException", &refused("kms:Encrypt", &format!("resource: {arn}"), why));
    world.call_as(&ann, "ListKeys", json!({})).await.ok();
}

#[tokio::test]
async fn a_boundary_bounds_what_identity_policies_give() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let ann = user(&world, "ann").await;
    put_user_policy(&world, "ann", json!([allow(json!("kms:*"), "*")])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    let bound = document(json!([allow(json!("kms:Decrypt"), "*")]));
    let made = world.call("CreatePolicy", json!({"PolicyName": "bound", "PolicyDocument": bound})).await.ok();
    let boundary = json!({"UserName": "ann", "PermissionsBoundary": made["Policy"]["Arn"]});
    world.call("PutUserPermissionsBoundary", boundary).await.ok();
    let answer = world.call_as(&ann, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    answer.fails(
        "AccessDeniedException",
        &format!(
            "User: {} is not authorized to perform: kms:Encrypt on resource: {arn} because no permissions boundary allows \
             the kms:Encrypt action",
            user_arn("ann")
        ),
    );
    // Not what the key's policy gives to the user itself.
    put_key_policy(&world, &key, json!([account_may(), names(&user_arn("ann"), "kms:Encrypt")])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, None);
}

#[tokio::test]
async fn who_is_made_anew_under_a_name_is_somebody_else() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let ann = user(&world, "ann").await;
    put_key_policy(&world, &key, json!([account_may(), names(&user_arn("ann"), "kms:Encrypt")])).await;
    let grant = json!({"KeyId": key, "GranteePrincipal": user_arn("ann"), "Operations": ["DescribeKey"]});
    world.call("CreateGrant", grant.clone()).await.ok();
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    world.call_as(&ann, "DescribeKey", json!({"KeyId": key})).await.ok();
    let keys = world.call("ListAccessKeys", json!({"UserName": "ann"})).await.ok();
    let id = keys["AccessKeyMetadata"][0]["AccessKeyId"].clone();
    world.call("DeleteAccessKey", json!({"UserName": "ann", "AccessKeyId": id})).await.ok();
    world.call("DeleteUser", json!({"UserName": "ann"})).await.ok();
    let again = user(&world, "ann").await;
    assert_eq!(encrypt(&world, &again, &key).await, DENIED);
    assert_eq!(world.call_as(&again, "DescribeKey", json!({"KeyId": key})).await.error, DENIED);
    // Named anew, it is whom the policy and the grant name.
    put_key_policy(&world, &key, json!([account_may(), names(&user_arn("ann"), "kms:Encrypt")])).await;
    world.call("CreateGrant", grant).await.ok();
    assert_eq!(encrypt(&world, &again, &key).await, None);
    world.call_as(&again, "DescribeKey", json!({"KeyId": key})).await.ok();
}

#[tokio::test]
async fn across_accounts_both_sides_must_allow() {
    let world = World::with_two_accounts(4).await;
    let other_root = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let key = key_arn(OTHER_ACCOUNT, REGION, &world.new_key_as(&other_root).await);
    let ann = user(&world, "ann").await;
    let put = async |statements: Value| {
        let input = json!({"KeyId": key, "Policy": document(statements)});
        world.call_as(&other_root, "PutKeyPolicy", input).await.ok();
    };
    let owner = names(&root(OTHER_ACCOUNT), "kms:*");
    assert_eq!(encrypt(&world, &ann, &key).await, DENIED);
    put(json!([owner, names(&user_arn("ann"), "kms:Encrypt")])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, DENIED);
    put_user_policy(&world, "ann", json!([allow(json!("kms:Encrypt"), &key)])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    put(json!([owner, names(&root(ACCOUNT), "kms:Encrypt")])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    put(json!([owner])).await;
    assert_eq!(encrypt(&world, &ann, &key).await, DENIED);
    // The same by a grant.
    let grant = json!({"KeyId": key, "GranteePrincipal": user_arn("ann"), "Operations": ["Encrypt"]});
    world.call_as(&other_root, "CreateGrant", grant).await.ok();
    assert_eq!(encrypt(&world, &ann, &key).await, None);
    world.call("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await.ok();
    assert_eq!(encrypt(&world, &ann, &key).await, DENIED);
}

#[tokio::test]
async fn a_role_session_is_its_role_within_its_own_policy_until_the_role_is_gone() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let trust = document(
        json!([{"Effect": "Allow", "Principal": {"AWS": root(ACCOUNT)}, "Action": "sts:AssumeRole"}]),
    );
    let make = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust});
    world.call("CreateRole", make.clone()).await.ok();
    let role_policy = json!({
        "RoleName": "r", "PolicyName": "p", "PolicyDocument": document(json!([allow(json!(["kms:Encrypt", "kms:DescribeKey"]), "*")])),
    });
    world.call("PutRolePolicy", role_policy.clone()).await.ok();
    let ann = user(&world, "ann").await;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    put_user_policy(&world, "ann", json!([allow(json!("sts:AssumeRole"), &role)])).await;
    let session = async |more: Value| {
        let mut input = json!({"RoleArn": role, "RoleSessionName": "session"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let caller = signed_for_sts(&world, &ann).await;
        let made = world.call_as(&caller, "AssumeRole", input).await.ok();
        let of = |member: &str| text(&made["Credentials"][member]);
        (of("AccessKeyId"), of("SecretAccessKey"), of("SessionToken"))
    };
    let (id, secret, token) = session(json!({})).await;
    let caller = signed(&world, &id, &secret, Some(&token)).await.unwrap();
    assert_eq!(encrypt(&world, &caller, &key).await, None);
    let own = document(json!([allow(json!("kms:DescribeKey"), "*")]));
    let (less, its_secret, its_token) = session(json!({"Policy": own})).await;
    let limited = signed(&world, &less, &its_secret, Some(&its_token)).await.unwrap();
    world.call_as(&limited, "DescribeKey", json!({"KeyId": key})).await.ok();
    let answer = world.call_as(&limited, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    answer.fails(
        "AccessDeniedException",
        &format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/r/session is not authorized to perform: kms:Encrypt on resource: {arn} \
             because no session policy allows the kms:Encrypt action"
        ),
    );
    // What the key's policy gives to the role, and to the session itself.
    world.call("DeleteRolePolicy", json!({"RoleName": "r", "PolicyName": "p"})).await.ok();
    assert_eq!(encrypt(&world, &caller, &key).await, DENIED);
    put_key_policy(&world, &key, json!([account_may(), names(&role, "kms:Encrypt")])).await;
    assert_eq!(encrypt(&world, &caller, &key).await, None);
    assert_eq!(encrypt(&world, &limited, &key).await, DENIED);
    let session_arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/session");
    put_key_policy(&world, &key, json!([account_may(), names(&session_arn, "kms:Encrypt")])).await;
    assert_eq!(encrypt(&world, &limited, &key).await, None);
    // A grant to the role is for its sessions.
    put_key_policy(&world, &key, json!([account_may()])).await;
    assert_eq!(encrypt(&world, &caller, &key).await, DENIED);
    let grant = json!({"KeyId": key, "GranteePrincipal": role, "Operations": ["Encrypt"]});
    world.call("CreateGrant", grant).await.ok();
    assert_eq!(encrypt(&world, &caller, &key).await, None);
    // Deleted and made anew, the role is another one.
    put_key_policy(&world, &key, json!([account_may(), names(&role, "kms:Encrypt")])).await;
    world.call("DeleteRole", json!({"RoleName": "r"})).await.ok();
    assert!(signed(&world, &id, &secret, Some(&token)).await.is_none());
    world.call("CreateRole", make).await.ok();
    assert!(signed(&world, &id, &secret, Some(&token)).await.is_none());
    let (id, secret, token) = session(json!({})).await;
    let caller = signed(&world, &id, &secret, Some(&token)).await.unwrap();
    assert_eq!(encrypt(&world, &caller, &key).await, DENIED);
}

/// The same user, as a caller that may ask every service.
async fn signed_for_sts(world: &World, user: &Authenticated) -> Authenticated {
    let id = user.principal().access_key_id().unwrap().to_owned();
    let made = world.call("CreateAccessKey", json!({"UserName": "ann"})).await;
    let (id, secret) = match made.error {
        None => {
            let key = made.body["AccessKey"].clone();
            (text(&key["AccessKeyId"]), text(&key["SecretAccessKey"]))
        }
        Some(_) => unreachable!("{id} has two keys already"),
    };
    let signer = Signer { access_key_id: id.clone(), secret, region: REGION, service: "sts" };
    let caller =
        world.authenticate(&signer, "AWSSecurityTokenServiceV20110615.AssumeRole", b"{}", |_| ()).await;
    world.call("DeleteAccessKey", json!({"UserName": "ann", "AccessKeyId": id})).await.ok();
    caller.unwrap()
}

#[tokio::test]
async fn tags_and_variables_tie_callers_to_keys() {
    let world = World::new(6).await;
    let tagged = async |team: &str| {
        let tags = json!({"Tags": [{"TagKey": "team", "TagValue": team}]});
        text(&world.call("CreateKey", tags).await.ok()["KeyMetadata"]["KeyId"])
    };
    let (red, blue) = (tagged("red").await, tagged("blue").await);
    world.call("CreateUser", json!({"UserName": "x"})).await.ok();
    let ann = user(&world, "ann").await;
    drop(ann);
    world.call("TagUser", json!({"UserName": "ann", "Tags": [{"Key": "Team", "Value": "red"}]})).await.ok();
    let same = json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}});
    let mut statement = allow(json!("kms:Encrypt"), "*");
    statement["Condition"] = same;
    put_user_policy(&world, "ann", json!([statement])).await;
    let made = world.call("CreateAccessKey", json!({"UserName": "ann"})).await.ok();
    let of = |member: &str| text(&made["AccessKey"][member]);
    let ann = signed(&world, &of("AccessKeyId"), &of("SecretAccessKey"), None).await.unwrap();
    assert_eq!(encrypt(&world, &ann, &red).await, None);
    assert_eq!(encrypt(&world, &ann, &blue).await, DENIED);
    let mine = json!({"StringEquals": {"kms:EncryptionContext:user": "${aws:username}"}});
    let mut statement = allow(json!("kms:Encrypt"), "*");
    statement["Condition"] = mine;
    put_user_policy(&world, "ann", json!([statement])).await;
    let as_user = |name: &str| json!({"KeyId": red, "Plaintext": HELLO, "EncryptionContext": {"user": name}});
    world.call_as(&ann, "Encrypt", as_user("ann")).await.ok();
    // A value's own wildcards are literals.
    for name in ["bob", "*", "Ann", "${aws:username}"] {
        assert_eq!(world.call_as(&ann, "Encrypt", as_user(name)).await.error, DENIED, "{name}");
    }
}

#[tokio::test]
async fn an_alias_needs_its_own_permission_and_the_keys() {
    let world = World::new(7).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let alias = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine-*");
    let ann = user(&world, "ann").await;
    let create = |name: &str| json!({"AliasName": name, "TargetKeyId": key});
    for (statements, expected) in [
        (json!([allow(json!("kms:CreateAlias"), &arn)]), DENIED),
        (json!([allow(json!("kms:CreateAlias"), &alias)]), DENIED),
        (json!([allow(json!("kms:CreateAlias"), &arn), allow(json!("kms:CreateAlias"), &alias)]), None),
    ] {
        put_user_policy(&world, "ann", statements).await;
        assert_eq!(world.call_as(&ann, "CreateAlias", create("alias/mine-1")).await.error, expected);
    }
    assert_eq!(world.call_as(&ann, "CreateAlias", create("alias/yours")).await.error, DENIED);
    assert_eq!(world.call_as(&ann, "DeleteAlias", json!({"AliasName": "alias/mine-1"})).await.error, DENIED);
}

#[tokio::test]
async fn who_puts_a_policy_must_be_able_to_put_another() {
    let world = World::new(8).await;
    let key = world.new_key().await;
    let ann = user(&world, "ann").await;
    put_user_policy(&world, "ann", json!([allow(json!(["kms:PutKeyPolicy", "kms:CreateKey"]), "*")])).await;
    let put = |statements: Value| json!({"KeyId": key, "Policy": document(statements)});
    let lockout = "The new key policy will not allow you to update the key policy in the future.";
    let bob = user_arn("bob");
    world.call("CreateUser", json!({"UserName": "bob"})).await.ok();
    for statements in [
        json!([names(&bob, "kms:*")]),
        json!([names(&user_arn("ann"), "kms:Encrypt")]),
        json!([account_may(), {"Effect": "Deny", "Principal": {"AWS": user_arn("ann")}, "Action": "kms:Put*", "Resource": "*"}]),
    ] {
        let answer = world.call_as(&ann, "PutKeyPolicy", put(statements.clone())).await;
        answer.fails("MalformedPolicyDocumentException", lockout);
        let create = json!({"Policy": document(statements)});
        world.call_as(&ann, "CreateKey", create).await.fails("MalformedPolicyDocumentException", lockout);
    }
    world.call_as(&ann, "PutKeyPolicy", put(json!([account_may()]))).await.ok();
    // Without a policy of its own, being of the account isn't enough.
    put_user_policy(&world, "ann", json!([allow(json!("kms:CreateKey"), "*")])).await;
    let create = json!({"Policy": document(json!([account_may()]))});
    world.call_as(&ann, "CreateKey", create).await.fails("MalformedPolicyDocumentException", lockout);
    let create = json!({"Policy": document(json!([names(&user_arn("ann"), "kms:*")]))});
    world.call_as(&ann, "CreateKey", create).await.ok();
    world.call_as(&ann, "CreateKey", json!({})).await.ok();
}

/// A caller who may do everything of IAM but what these statements deny.
/// A user whose signature is for IAM.
async fn user_of_iam(world: &World, name: &str) -> Authenticated {
    world.call("CreateUser", json!({"UserName": name})).await.ok();
    let made = world.call("CreateAccessKey", json!({"UserName": name})).await.ok();
    let of = |member: &str| text(&made["AccessKey"][member]);
    let signer = Signer {
        access_key_id: of("AccessKeyId"),
        secret: of("SecretAccessKey"),
        region: REGION,
        service: "iam",
    };
    world.authenticate(&signer, "AWSIdentityManagement.ListUsers", b"{}", |_| ()).await.unwrap()
}

async fn nearly_admin(world: &World, name: &str, denied: Value) -> Authenticated {
    let caller = user_of_iam(world, name).await;
    put_user_policy(world, name, json!([allow(json!("iam:*"), "*"), denied])).await;
    caller
}

fn deny(action: Value, condition: Value) -> Value {
    json!({"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition})
}

async fn policy(world: &World, name: &str) -> String {
    let bound = document(json!([allow(json!("kms:*"), "*")]));
    let made = world.call("CreatePolicy", json!({"PolicyName": name, "PolicyDocument": bound})).await.ok();
    text(&made["Policy"]["Arn"])
}

#[tokio::test]
async fn whoever_may_attach_all_but_one_policy_does_not_get_that_one() {
    let world = World::new(20).await;
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    let attaching = json!(["iam:AttachUserPolicy", "iam:AttachGroupPolicy", "iam:AttachRolePolicy"]);
    let denied = deny(attaching, json!({"ArnEquals": {"iam:PolicyARN": admin}}));
    let ann = nearly_admin(&world, "ann", denied).await;
    world.call("CreateGroup", json!({"GroupName": "g"})).await.ok();
    let to_user = |arn: &str| json!({"UserName": "ann", "PolicyArn": arn});
    assert_eq!(world.call_as(&ann, "AttachUserPolicy", to_user(admin)).await.error, DENIED);
    let to_group = json!({"GroupName": "g", "PolicyArn": admin});
    assert_eq!(world.call_as(&ann, "AttachGroupPolicy", to_group).await.error, DENIED);
    let harmless = policy(&world, "harmless").await;
    world.call_as(&ann, "AttachUserPolicy", to_user(&harmless)).await.ok();
    world.call_as(&ann, "DetachUserPolicy", to_user(&harmless)).await.ok();
}

#[tokio::test]
async fn who_is_bound_by_a_policy_stays_bound_where_a_denial_says_so() {
    let world = World::new(21).await;
    let (bound, other) = (policy(&world, "bound").await, policy(&world, "other").await);
    let denied = deny(
        json!("iam:DeleteUserPermissionsBoundary"),
        json!({"StringEquals": {"iam:PermissionsBoundary": bound}}),
    );
    let ann = nearly_admin(&world, "ann", denied).await;
    for (name, boundary, outcome) in [("ben", &bound, DENIED), ("cat", &other, None)] {
        let input = json!({"UserName": name, "PermissionsBoundary": boundary});
        world.call_as(&ann, "CreateUser", input).await.ok();
        let answer = world.call_as(&ann, "DeleteUserPermissionsBoundary", json!({"UserName": name})).await;
        assert_eq!(answer.error, outcome, "{name}");
    }
}

#[tokio::test]
async fn tags_that_a_request_carries_and_that_its_target_has_can_be_denied() {
    let world = World::new(22).await;
    let denied = deny(json!("iam:*"), json!({"StringEquals": {"aws:RequestTag/team": "root"}}));
    let ann = nearly_admin(&world, "ann", denied).await;
    let tags = |value: &str| json!([{"Key": "Team", "Value": value}]);
    let made = |name: &str, value: &str| json!({"UserName": name, "Tags": tags(value)});
    assert_eq!(world.call_as(&ann, "CreateUser", made("ben", "root")).await.error, DENIED);
    world.call_as(&ann, "CreateUser", made("ben", "red")).await.ok();
    assert_eq!(world.call_as(&ann, "TagUser", made("ben", "root")).await.error, DENIED);

    let denied = deny(json!("iam:*"), json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "Team"}}));
    let cat = nearly_admin(&world, "cat", denied).await;
    let untag = |key: &str| json!({"UserName": "ben", "TagKeys": [key]});
    assert_eq!(world.call_as(&cat, "UntagUser", untag("Team")).await.error, DENIED);
    world.call_as(&cat, "UntagUser", untag("Other")).await.ok();

    for key in ["aws:ResourceTag/team", "iam:ResourceTag/team"] {
        let denied = deny(json!("iam:*"), json!({"StringEquals": {key: "red"}}));
        let dan = nearly_admin(&world, if key.starts_with("aws") { "dan" } else { "eve" }, denied).await;
        assert_eq!(world.call_as(&dan, "CreateAccessKey", json!({"UserName": "ben"})).await.error, DENIED);
        let renamed = json!({"UserName": "ben", "NewUserName": "bob"});
        assert_eq!(world.call_as(&dan, "UpdateUser", renamed).await.error, DENIED);
        world.call_as(&dan, "GetUser", json!({"UserName": "cat"})).await.ok();
    }
}

#[tokio::test]
async fn delegates_make_and_empower_only_whom_the_boundary_bounds() {
    let world = World::new(23).await;
    let (bound, other) = (policy(&world, "bound").await, policy(&world, "other").await);
    let ann = user_of_iam(&world, "ann").await;
    let delegated = json!({
        "Effect": "Allow",
        "Action": ["iam:CreateUser", "iam:AttachUserPolicy", "iam:DetachUserPolicy", "iam:PutUserPolicy",
            "iam:DeleteUserPolicy", "iam:PutUserPermissionsBoundary"],
        "Resource": "*",
        "Condition": {"StringEquals": {"iam:PermissionsBoundary": bound}},
    });
    put_user_policy(&world, "ann", json!([delegated])).await;
    let made = |name: &str, boundary: &str| json!({"UserName": name, "PermissionsBoundary": boundary});
    assert_eq!(world.call_as(&ann, "CreateUser", json!({"UserName": "ben"})).await.error, DENIED);
    assert_eq!(world.call_as(&ann, "CreateUser", made("ben", &other)).await.error, DENIED);
    world.call_as(&ann, "CreateUser", made("ben", &bound)).await.ok();
    let anything = document(json!([allow(json!("*"), "*")]));
    let put = |name: &str| json!({"UserName": name, "PolicyName": "q", "PolicyDocument": anything});
    let attached = |name: &str| json!({"UserName": name, "PolicyArn": other});
    world.call_as(&ann, "PutUserPolicy", put("ben")).await.ok();
    world.call_as(&ann, "AttachUserPolicy", attached("ben")).await.ok();
    world.call_as(&ann, "DetachUserPolicy", attached("ben")).await.ok();
    assert_eq!(world.call_as(&ann, "PutUserPolicy", put("ann")).await.error, DENIED);
    assert_eq!(world.call_as(&ann, "AttachUserPolicy", attached("ann")).await.error, DENIED);
    let answer = world.call_as(&ann, "PutUserPermissionsBoundary", made("ben", &other)).await;
    assert_eq!(answer.error, DENIED);
}

#[tokio::test]
async fn policies_that_ask_what_nobody_answers_are_not_taken() {
    let world = World::new(24).await;
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let asks = document(json!([deny(json!("iam:*"), json!({"StringEquals": {"iam:PassedToService": "x"}}))]));
    let why = "Policy asks for the condition key iam:passedtoservice, which this service never answers.";
    let input = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": asks});
    world.call("PutUserPolicy", input).await.fails("MalformedPolicyDocument", why);
    let input = json!({"PolicyName": "p", "PolicyDocument": asks});
    world.call("CreatePolicy", input).await.fails("MalformedPolicyDocument", why);
}
