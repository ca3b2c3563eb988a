//! Temporary credentials: who gets them, what they can do, and when they end.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::EngineOptions;
use serde_json::{Value, json};
use std::time::Duration;
use support::iam::Identities;
use support::sts::{ISSUER, Provider, Temporary, inputs, role_arn};
use support::{ACCOUNT, OTHER_ACCOUNT, REGION, Read, Signer, World, text};

const UNKNOWN: &str = "UnrecognizedClientException";

fn allow(action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
        .to_string()
}

fn trusting(principal: Value, action: Value, condition: Value) -> String {
    let mut statement = json!({"Effect": "Allow", "Principal": principal, "Action": action});
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

async fn user(world: &World, name: &str, may: &str) -> Signer {
    world.call("CreateUser", json!({"UserName": name})).await.ok();
    let policy = json!({"UserName": name, "PolicyName": "p", "PolicyDocument": allow(may)});
    world.call("PutUserPolicy", policy).await.ok();
    let made = world.call("CreateAccessKey", json!({"UserName": name})).await.ok()["AccessKey"].clone();
    Signer {
        access_key_id: text(&made["AccessKeyId"]),
        secret: text(&made["SecretAccessKey"]),
        region: REGION,
        service: "sts",
    }
}

async fn role(world: &World, name: &str, trust: String, may: &str, more: Value) -> String {
    let mut input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.call("CreateRole", input).await.ok();
    let policy = json!({"RoleName": name, "PolicyName": "p", "PolicyDocument": allow(may)});
    world.call("PutRolePolicy", policy).await.ok();
    text(&made["Role"]["RoleId"])
}

fn account_trust() -> String {
    trusting(
        json!({"AWS": ACCOUNT}),
        json!(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]),
        Value::Null,
    )
}

fn assuming(name: &str, more: Value) -> Value {
    let mut input = json!({"RoleArn": role_arn(name), "RoleSessionName": "s1"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

async fn assumed(world: &World, by: &Signer, name: &str, more: Value) -> Temporary {
    Temporary::of(&world.call_by(by, "AssumeRole", assuming(name, more)).await.ok())
}

/// What a denied AssumeRole says, whatever the reason.
fn denied(arn: &str, action: &str, role: &str) -> String {
    format!("User: {arn} is not authorized to perform: {action} on resource: {}", role_arn(role))
}

#[tokio::test]
async fn a_session_is_the_role_and_can_do_what_the_role_can() {
    let world = World::new(1).await;
    let ann = user(&world, "ann", "sts:*").await;
    let id = role(&world, "deployer", account_trust(), "kms:ListKeys", json!({})).await;
    let answer = world.call_by(&ann, "AssumeRole", assuming("deployer", json!({}))).await.ok();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/deployer/s1");
    assert_eq!(answer["AssumedRoleUser"], json!({"AssumedRoleId": format!("{id}:s1"), "Arn": arn}));
    assert_eq!(answer["Credentials"]["Expiration"], 1_795_438_800.0);
    assert_eq!(answer["PackedPolicySize"], Value::Null);
    let session = Temporary::of(&answer);
    assert!(session.id.starts_with("ASIA") && session.id.len() == 20, "{}", session.id);
    let identity = world.call_with(&session, "GetCallerIdentity", json!({})).await.ok();
    assert_eq!(identity, json!({"UserId": format!("{id}:s1"), "Account": ACCOUNT, "Arn": arn}));
    let _ = world.records().await;
    world.call_with(&session, "ListKeys", json!({})).await.ok();
    let record = world.records().await.pop().unwrap();
    assert_eq!(record["userIdentity"]["type"], "AssumedRole");
    assert_eq!(record["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"], "deployer");
    assert_eq!(record["userIdentity"]["accessKeyId"], session.id.as_str());
    let refused = world.call_with(&session, "ListAliases", json!({})).await;
    assert_eq!(refused.error, Some("AccessDeniedException"));
    // Whose it is can be asked, of the lasting key too.
    for id in [&session.id, &ann.access_key_id] {
        let info = world.call("GetAccessKeyInfo", json!({"AccessKeyId": id})).await.ok();
        assert_eq!(info, json!({"Account": ACCOUNT}));
    }
}

#[tokio::test]
async fn whoever_is_not_trusted_learns_nothing() {
    let world = World::with_two_accounts(2).await;
    let ann = user(&world, "ann", "sts:*").await;
    let bob = user(&world, "bob", "kms:*").await;
    let of_bob = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:user/bob")});
    role(&world, "bobs", trusting(of_bob, json!("sts:AssumeRole"), Value::Null), "kms:*", json!({})).await;
    role(&world, "open", account_trust(), "kms:*", json!({})).await;
    let external = json!({"StringEquals": {"sts:ExternalId": "x-1"}});
    let trust = trusting(json!({"AWS": ACCOUNT}), json!("sts:AssumeRole"), external);
    role(&world, "external", trust, "kms:*", json!({})).await;
    let arn = |name: &str| format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    let refused = async |by: &Signer, name: &str, role: &str, more: Value| {
        let answer = world.call_by(by, "AssumeRole", assuming(role, more)).await;
        answer.fails("AccessDeniedException", &denied(&arn(name), "sts:AssumeRole", role));
    };
    refused(&ann, "ann", "bobs", json!({})).await;
    refused(&ann, "ann", "nobody", json!({})).await;
    // The account is trusted, and its own policies say whom of it.
    refused(&bob, "bob", "open", json!({})).await;
    assumed(&world, &bob, "bobs", json!({})).await;
    refused(&ann, "ann", "external", json!({})).await;
    refused(&ann, "ann", "external", json!({"ExternalId": "X-1"})).await;
    assumed(&world, &ann, "external", json!({"ExternalId": "x-1"})).await;
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let root = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let answer = world.call_as(&stranger, "AssumeRole", assuming("open", json!({}))).await;
    answer.fails("AccessDeniedException", &denied(&root, "sts:AssumeRole", "open"));
    let answer = world.call("AssumeRole", assuming("open", json!({}))).await;
    answer.fails("AccessDeniedException", "Roles may not be assumed by root accounts.");
    // A user that is made anew is somebody else.
    world.call("DeleteAccessKey", json!({"UserName": "bob", "AccessKeyId": bob.access_key_id})).await.ok();
    world.call("DeleteUserPolicy", json!({"UserName": "bob", "PolicyName": "p"})).await.ok();
    world.call("DeleteUser", json!({"UserName": "bob"})).await.ok();
    let bob = user(&world, "bob", "sts:*").await;
    refused(&bob, "bob", "bobs", json!({})).await;
}

#[tokio::test]
async fn a_session_ends_and_lasts_no_longer_than_its_role_lets_it() {
    let world = World::new(3).await;
    let ann = user(&world, "ann", "sts:*").await;
    role(&world, "deployer", account_trust(), "*", json!({"MaxSessionDuration": 7200})).await;
    let long =
        world.call_by(&ann, "AssumeRole", assuming("deployer", json!({"DurationSeconds": 7201}))).await;
    long.fails(
        "ValidationException",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    );
    let session = assumed(&world, &ann, "deployer", json!({"DurationSeconds": 7200})).await;
    let chained =
        world.call_with(&session, "AssumeRole", assuming("deployer", json!({"DurationSeconds": 3601}))).await;
    chained.fails(
        "ValidationException",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    );
    Temporary::of(&world.call_with(&session, "AssumeRole", assuming("deployer", json!({}))).await.ok());
    world.clock.advance(Duration::from_secs(7199));
    world.known(&session, "kms").await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.known(&session, "kms").await.unwrap_err(), "ExpiredTokenException");
    assert_eq!(world.known(&session, "sts").await.unwrap_err(), "ExpiredToken");
    let expired = world.call_with(&session, "ListKeys", json!({})).await;
    expired.fails("ExpiredTokenException", "The security token included in the request is expired");
}

#[tokio::test]
async fn a_token_belongs_to_one_access_key_and_can_not_be_made() {
    let mut world = World::new(4).await;
    let ann = user(&world, "ann", "sts:*").await;
    role(&world, "deployer", account_trust(), "*", json!({})).await;
    let (one, other) = (
        assumed(&world, &ann, "deployer", json!({})).await,
        assumed(&world, &ann, "deployer", json!({})).await,
    );
    world.known(&one, "kms").await.unwrap();
    let with = |id: &str, secret: &str, token: &str| Temporary {
        id: id.to_owned(),
        secret: secret.to_owned(),
        token: token.to_owned(),
    };
    let mut tampered = one.token.clone();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.push(last);
    for wrong in [
        with(&one.id, &one.secret, &other.token),
        with(&other.id, &one.secret, &one.token),
        with(&ann.access_key_id, &ann.secret, &one.token),
        with(&one.id, &one.secret, &tampered),
        with(&one.id, &one.secret, ""),
        with(&one.id, &one.secret, "AAAA"),
    ] {
        assert_eq!(world.known(&wrong, "kms").await.unwrap_err(), UNKNOWN);
    }
    let wrong_secret = with(&one.id, &other.secret, &one.token);
    assert_eq!(world.known(&wrong_secret, "kms").await.unwrap_err(), "InvalidSignatureException");
    // Without its token an access key is nobody's.
    let alone = world.authenticate(&one.signer("kms"), "TrentService.ListKeys", b"{}", |_| ()).await;
    assert_eq!(alone.unwrap_err().error().code.name(), UNKNOWN);
    // Nothing is stored, and nothing is lost.
    world.restart().await;
    world.known(&one, "kms").await.unwrap();
}

#[tokio::test]
async fn a_session_ends_with_its_role() {
    let world = World::new(5).await;
    let ann = user(&world, "ann", "sts:*").await;
    role(&world, "deployer", account_trust(), "kms:*", json!({})).await;
    let session = assumed(&world, &ann, "deployer", json!({})).await;
    world.call_with(&session, "ListKeys", json!({})).await.ok();
    // What the role may no longer do, its sessions may not.
    world.call("DeleteRolePolicy", json!({"RoleName": "deployer", "PolicyName": "p"})).await.ok();
    assert_eq!(world.call_with(&session, "ListKeys", json!({})).await.error, Some("AccessDeniedException"));
    world.call("DeleteRole", json!({"RoleName": "deployer"})).await.ok();
    assert_eq!(world.known(&session, "kms").await.unwrap_err(), UNKNOWN);
    role(&world, "deployer", account_trust(), "kms:*", json!({})).await;
    assert_eq!(world.known(&session, "kms").await.unwrap_err(), UNKNOWN);
}

#[tokio::test]
async fn whom_a_role_trusts_counts_as_it_is_now() {
    let shared = || EngineOptions { shared: true, ..EngineOptions::default() };
    let mut world = World::with_options(21, shared()).await;
    let mut other = world.open_with(shared()).await.unwrap();
    let ann = user(&world, "ann", "sts:*").await;
    role(&world, "deployer", account_trust(), "kms:*", json!({})).await;
    let by_name = |name: &str| {
        let condition = json!({"StringEquals": {"sts:RoleSessionName": name}});
        let trust = trusting(json!({"AWS": ACCOUNT}), json!("sts:AssumeRole"), condition);
        json!({"RoleName": "deployer", "PolicyDocument": trust})
    };
    for round in 0..4 {
        assumed(&world, &ann, "deployer", json!({})).await;
        // Changed by another process, or by this one.
        if round % 2 == 0 {
            std::mem::swap(&mut world.engine, &mut other);
        }
        world.call("UpdateAssumeRolePolicy", by_name("s2")).await.ok();
        if round % 2 == 0 {
            std::mem::swap(&mut world.engine, &mut other);
        }
        let refused = world.call_by(&ann, "AssumeRole", assuming("deployer", json!({}))).await;
        assert_eq!(refused.error, Some("AccessDeniedException"), "{round}");
        assumed(&world, &ann, "deployer", json!({"RoleSessionName": "s2"})).await;
        world.call("UpdateAssumeRolePolicy", by_name("s1")).await.ok();
    }
}

#[tokio::test]
async fn policies_of_a_session_restrict_it() {
    let world = World::new(6).await;
    let ann = user(&world, "ann", "sts:*").await;
    role(&world, "deployer", account_trust(), "kms:*", json!({})).await;
    let answer = world
        .call_by(&ann, "AssumeRole", assuming("deployer", json!({"Policy": allow("kms:ListKeys")})))
        .await
        .ok();
    assert!(answer["PackedPolicySize"].as_u64().unwrap() > 0);
    let session = Temporary::of(&answer);
    world.call_with(&session, "ListKeys", json!({})).await.ok();
    assert_eq!(
        world.call_with(&session, "ListAliases", json!({})).await.error,
        Some("AccessDeniedException")
    );
    // More than the role can do, it can't.
    let session = assumed(&world, &ann, "deployer", json!({"Policy": allow("*")})).await;
    assert_eq!(world.call_with(&session, "ListUsers", json!({})).await.error, Some("AccessDeniedException"));
    world
        .call("CreatePolicy", json!({"PolicyName": "m", "PolicyDocument": allow("kms:ListAliases")}))
        .await
        .ok();
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/m");
    let session = assumed(&world, &ann, "deployer", json!({"PolicyArns": [{"arn": arn}]})).await;
    world.call_with(&session, "ListAliases", json!({})).await.ok();
    assert_eq!(world.call_with(&session, "ListKeys", json!({})).await.error, Some("AccessDeniedException"));
    let none = format!("arn:aws:iam::{ACCOUNT}:policy/none");
    for wrong in [json!({"PolicyArns": [{"arn": none}]}), json!({"Policy": "{}"}), json!({"Policy": "x"})] {
        let answer = world.call_by(&ann, "AssumeRole", assuming("deployer", wrong)).await;
        assert_eq!(answer.error, Some("MalformedPolicyDocument"));
    }
    let many: Vec<Value> =
        (0..50).map(|n| json!({"Key": format!("{n:0>60}"), "Value": "v".repeat(60)})).collect();
    let answer = world.call_by(&ann, "AssumeRole", assuming("deployer", json!({"Tags": many}))).await;
    assert_eq!(answer.error, Some("PackedPolicyTooLarge"));
}

#[tokio::test]
async fn tags_and_source_identities_go_from_session_to_session() {
    let world = World::new(7).await;
    let ann = user(&world, "ann", "sts:*").await;
    for name in ["one", "two"] {
        role(&world, name, account_trust(), "sts:*", json!({})).await;
    }
    let red = json!({
        "RoleName": "two", "PolicyName": "q",
        "PolicyDocument": json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "ann"}},
        }]}).to_string(),
    });
    world.call("PutRolePolicy", red).await.ok();
    let tags = json!({
        "Tags": [{"Key": "team", "Value": "red"}, {"Key": "stays", "Value": "here"}], "TransitiveTagKeys": ["Team"],
        "SourceIdentity": "ann",
    });
    let first = assumed(&world, &ann, "one", tags).await;
    let second = world.call_with(&first, "AssumeRole", assuming("two", json!({}))).await.ok();
    assert_eq!(second["SourceIdentity"], "ann");
    let second = Temporary::of(&second);
    let _ = world.records().await;
    world.call_with(&second, "ListKeys", json!({})).await.ok();
    let record = world.records().await.pop().unwrap();
    assert_eq!(record["userIdentity"]["sessionContext"]["sourceIdentity"], "ann");
    let direct = assumed(&world, &ann, "two", json!({})).await;
    assert_eq!(world.call_with(&direct, "ListKeys", json!({})).await.error, Some("AccessDeniedException"));
    let answer =
        world.call_with(&first, "AssumeRole", assuming("two", json!({"SourceIdentity": "bob"}))).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
    let answer = world
        .call_with(&first, "AssumeRole", assuming("two", json!({"Tags": [{"Key": "TEAM", "Value": "blue"}]})))
        .await;
    assert_eq!(answer.error, Some("ValidationException"));
    // A role that doesn't let its sessions be tagged, or say who is behind them.
    let plain = trusting(json!({"AWS": ACCOUNT}), json!("sts:AssumeRole"), Value::Null);
    role(&world, "plain", plain, "kms:*", json!({})).await;
    let user_arn = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    assumed(&world, &ann, "plain", json!({})).await;
    let tagged = json!({"Tags": [{"Key": "a", "Value": "b"}]});
    let answer = world.call_by(&ann, "AssumeRole", assuming("plain", tagged)).await;
    // The caller's own policy allows it, and the role's own account trusts the caller's: but not in this.
    answer.fails("AccessDeniedException", &denied(&user_arn, "sts:TagSession", "plain"));
    let sourced = assumed(&world, &ann, "one", json!({"SourceIdentity": "ann"})).await;
    let answer = world.call_with(&sourced, "AssumeRole", assuming("plain", json!({}))).await;
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/one/s1");
    answer.fails("AccessDeniedException", &denied(&session, "sts:SetSourceIdentity", "plain"));
    for wrong in [
        json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}),
        json!({"Tags": [{"Key": "aws:a", "Value": "1"}]}),
        json!({"TransitiveTagKeys": ["a"]}),
        json!({"SourceIdentity": "aws:x"}),
    ] {
        let answer = world.call_by(&ann, "AssumeRole", assuming("one", wrong)).await;
        assert_eq!(answer.error, Some("ValidationException"), "{}", answer.body);
    }
}

#[tokio::test]
async fn tags_that_go_on_are_let_in_by_the_next_role_or_not_at_all() {
    let world = World::new(13).await;
    let ann = user(&world, "ann", "sts:*").await;
    role(&world, "one", account_trust(), "sts:*", json!({})).await;
    let plain = trusting(json!({"AWS": ACCOUNT}), json!("sts:AssumeRole"), Value::Null);
    role(&world, "plain", plain, "kms:*", json!({})).await;
    role(&world, "tagged", account_trust(), "kms:*", json!({})).await;
    let tags = json!([{"Key": "team", "Value": "red"}]);
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/one/s1");
    let first = assumed(&world, &ann, "one", json!({"Tags": tags, "TransitiveTagKeys": ["Team"]})).await;
    let answer = world.call_with(&first, "AssumeRole", assuming("plain", json!({}))).await;
    answer.fails("AccessDeniedException", &denied(&session, "sts:TagSession", "plain"));
    world.call_with(&first, "AssumeRole", assuming("tagged", json!({}))).await.ok();
    // Those that stay behind are nothing to the next role.
    let first = assumed(&world, &ann, "one", json!({"Tags": tags})).await;
    world.call_with(&first, "AssumeRole", assuming("plain", json!({}))).await.ok();
}

#[tokio::test]
async fn credentials_of_get_session_token_are_the_caller_and_can_do_less() {
    let world = World::new(8).await;
    let ann = user(&world, "ann", "*").await;
    role(&world, "deployer", account_trust(), "kms:*", json!({})).await;
    let answer = world.call_by(&ann, "GetSessionToken", json!({})).await.ok();
    assert_eq!(answer["Credentials"]["Expiration"], 1_795_435_200.0 + 43_200.0);
    let session = Temporary::of(&answer);
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    assert_eq!(world.call_with(&session, "GetCallerIdentity", json!({})).await.ok()["Arn"], arn.as_str());
    world.call_with(&session, "ListKeys", json!({})).await.ok();
    world.call_with(&session, "AssumeRole", assuming("deployer", json!({}))).await.ok();
    let refused = world.call_with(&session, "ListUsers", json!({})).await;
    refused.fails(UNKNOWN, "The security token included in the request is invalid.");
    let again = world.call_with(&session, "GetSessionToken", json!({})).await;
    again.fails("AccessDeniedException", "Cannot call GetSessionToken with session credentials");
    let mfa = json!({"SerialNumber": format!("arn:aws:iam::{ACCOUNT}:mfa/ann"), "TokenCode": "123456"});
    let refused = world.call_by(&ann, "GetSessionToken", mfa).await;
    assert_eq!(refused.error, Some("AccessDeniedException"));
    // The user's end is its sessions'.
    world.call("DeleteAccessKey", json!({"UserName": "ann", "AccessKeyId": ann.access_key_id})).await.ok();
    world.call("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await.ok();
    world.call("DeleteUser", json!({"UserName": "ann"})).await.ok();
    assert_eq!(world.known(&session, "kms").await.unwrap_err(), UNKNOWN);
    // A root's lasts an hour, whatever is asked.
    let root = world.signer(ACCOUNT).await;
    let answer = world.call_by(&root, "GetSessionToken", json!({"DurationSeconds": 43_200})).await.ok();
    assert_eq!(answer["Credentials"]["Expiration"], 1_795_435_200.0 + 3600.0);
}

#[tokio::test]
async fn a_session_of_a_root_ends_with_its_access_key() {
    let world = World::new(14).await;
    let account = ACCOUNT.parse().unwrap();
    let session = async || {
        let root = world.signer(ACCOUNT).await;
        let session = Temporary::of(&world.call_by(&root, "GetSessionToken", json!({})).await.ok());
        world.call_with(&session, "ListKeys", json!({})).await.ok();
        session
    };
    let first = session().await;
    world.engine.reset_root_access_key(account).await.unwrap();
    assert_eq!(world.known(&first, "kms").await.unwrap_err(), UNKNOWN);
    let second = session().await;
    world.engine.disable_root_access_key(account).await.unwrap();
    for ended in [&first, &second] {
        assert_eq!(world.known(ended, "kms").await.unwrap_err(), UNKNOWN);
    }
    // Nor are there new ones, for callers of this host.
    let answer = world.call("GetSessionToken", json!({})).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
}

/// A role for whom the provider vouches, and the provider.
async fn web(world: &World, condition: Value) {
    let provider = json!({"Url": ISSUER, "ClientIDList": ["client"]});
    world.call("CreateOpenIDConnectProvider", provider).await.ok();
    let principal = json!({"Federated": support::iam::provider_arn()});
    let trust = trusting(principal, json!("sts:AssumeRoleWithWebIdentity"), condition);
    role(world, "web", trust, "kms:ListKeys", json!({})).await;
}

fn with_token(name: &str, token: &str) -> Value {
    json!({"RoleArn": role_arn(name), "RoleSessionName": "s1", "WebIdentityToken": token})
}

const WEB: &str = "AssumeRoleWithWebIdentity";

#[tokio::test]
async fn a_web_identity_is_enough_for_a_role_that_trusts_its_provider() {
    let (world, provider) = Provider::with_world(9).await;
    let condition =
        json!({"StringLike": {"issuer.example/path:sub": "repo:*", "issuer.example/path:aud": "client"}});
    web(&world, condition).await;
    let token = provider.token(json!({}));
    let _ = world.records().await;
    let answer = world.call_unsigned(WEB, &with_token("web", &token)).await.ok();
    assert_eq!(answer.part("SubjectFromWebIdentityToken").as_deref(), Some("repo:x"));
    assert_eq!(answer.part("Audience").as_deref(), Some("client"));
    assert_eq!(answer.part("Provider").as_deref(), Some(ISSUER));
    let record = world.records().await.pop().unwrap();
    assert_eq!(record["userIdentity"]["type"], "WebIdentityUser");
    assert_eq!(record["userIdentity"]["userName"], "repo:x");
    assert!(!record.to_string().contains(token.rsplit('.').next().unwrap()), "{record}");
    let session = answer.credentials();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/web/s1");
    assert_eq!(world.call_with(&session, "GetCallerIdentity", json!({})).await.ok()["Arn"], arn.as_str());
    world.call_with(&session, "ListKeys", json!({})).await.ok();
    // Another subject, and another role.
    let other = provider.token(json!({"sub": "other:x"}));
    let message = world.call_unsigned(WEB, &with_token("web", &other)).await.fails(403, "AccessDenied");
    assert!(message.contains("sts:AssumeRoleWithWebIdentity"), "{message}");
    role(&world, "closed", account_trust(), "*", json!({})).await;
    world.call_unsigned(WEB, &with_token("closed", &token)).await.fails(403, "AccessDenied");
    world.call_unsigned(WEB, &with_token("nobody", &token)).await.fails(403, "AccessDenied");
    // No other operation is to be had like this.
    world
        .call_unsigned("AssumeRole", &with_token("web", &token))
        .await
        .fails(403, "MissingAuthenticationToken");
    // Nor is a token that nobody looked at.
    let answer: Read = world.call(WEB, with_token("web", &token)).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused() {
    let (world, provider) = Provider::with_world(10).await;
    web(&world, Value::Null).await;
    let refused = async |token: &str, status: u16, code: &str| {
        world.call_unsigned(WEB, &with_token("web", token)).await.fails(status, code)
    };
    let good = provider.token(json!({}));
    world.call_unsigned(WEB, &with_token("web", &good)).await.ok();
    let (head, payload) = good.rsplit_once('.').unwrap().0.split_once('.').unwrap();
    let encode = |value: Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let signature = good.rsplit('.').next().unwrap();
    for token in [
        format!("{}.{payload}.", encode(json!({"alg": "none"}))),
        format!("{}.{payload}.{signature}", encode(json!({"alg": "HS256", "kid": "k1"}))),
        format!("{}.{payload}.{signature}", encode(json!({"alg": "RS256", "kid": "k1"}))),
        format!("{}.{payload}.{signature}", encode(json!({"alg": "ES256", "kid": "k2"}))),
        format!("{}.{payload}.{signature}", encode(json!({"alg": "ES256", "kid": "k1", "crit": ["b64"]}))),
        format!("{head}.{payload}."),
        format!("{head}.{payload}.{}", "A".repeat(86)),
        format!("{head}.{payload}"),
        format!("{head}.{payload}.{signature}.x"),
        "x.y.z".to_owned(),
        provider.token(json!({"aud": "another"})),
        provider.token(json!({"aud": null})),
        // To whom it was given counts as well as for whom it is.
        provider.token(json!({"azp": "another"})),
        provider.token(json!({"aud": "another", "azp": "client"})),
        provider.token(json!({"azp": ["client"]})),
        provider.token(json!({"sub": null})),
        provider.token(json!({"exp": null})),
        provider.token(json!({"iss": "https://another.example"})),
        provider.token(json!({"iss": "http://issuer.example/path"})),
        provider.token(json!({"nbf": support::START_MS / 1000 + 3600})),
    ] {
        refused(&token, 400, "InvalidIdentityToken").await;
    }
    world.call_unsigned(WEB, &with_token("web", &provider.token(json!({"aud": ["b", "client"]})))).await.ok();
    let tags = provider.token(json!({"https://aws.amazon.com/tags": {"principal_tags": {"a": ["b"]}}}));
    refused(&tags, 403, "IDPRejectedClaim").await;
    world.clock.advance(Duration::from_secs(60));
    let message = refused(&good, 400, "ExpiredTokenException").await;
    assert!(message.starts_with("Token expired: current date/time 1795435260 must be before"), "{message}");
}

/// Which claim is under which key, and how long: IAM user guide, "Available keys for AWS OIDC federation", "Default": `amr`,
/// `aud` (of `azp`, or where there is none of `aud`) and `sub` are in sessions, `email` and `oaud` (of `aud`) are not.
#[tokio::test]
async fn a_session_keeps_the_claims_that_its_policies_may_ask_for() {
    let (world, provider) = Provider::with_world(15).await;
    web(&world, Value::Null).await;
    let party = json!({"OpenIDConnectProviderArn": support::iam::provider_arn(), "ClientID": "party"});
    world.call("AddClientIDToOpenIDConnectProvider", party).await.ok();
    let may = |condition: Value| json!({"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*", "Condition": condition});
    let put = async |condition: Value| {
        let document = json!({"Version": "2012-10-17", "Statement": may(condition)}).to_string();
        let input = json!({"RoleName": "web", "PolicyName": "p", "PolicyDocument": document});
        world.call("PutRolePolicy", input).await.ok();
    };
    let token = provider
        .token(json!({"amr": ["mfa", "pwd"], "azp": "party", "ref": "main", "email": "x@example.com"}));
    let answer = world.call_unsigned(WEB, &with_token("web", &token)).await.ok();
    let session = answer.credentials();
    let allowed = async || world.call_with(&session, "ListKeys", json!({})).await.error.is_none();
    let key = |claim: &str| format!("issuer.example/path:{claim}");
    for (operator, claim, value, expected) in [
        ("StringEquals", "sub", "repo:x", true),
        ("StringEquals", "sub", "repo:y", false),
        // Whom the token was given to, where it says so.
        ("StringEquals", "aud", "party", true),
        ("StringEquals", "aud", "client", false),
        ("ForAnyValue:StringEquals", "amr", "pwd", true),
        ("ForAllValues:StringEquals", "amr", "pwd", false),
        // Those are for the trust policy alone.
        ("StringEquals", "oaud", "client", false),
        ("StringEquals", "ref", "main", false),
        ("StringEquals", "azp", "party", false),
        ("StringEquals", "email", "x@example.com", false),
    ] {
        put(json!({operator: {key(claim): value}})).await;
        assert_eq!(allowed().await, expected, "{operator} {claim} {value}");
    }
    // They are no other session's.
    put(json!({"StringEquals": {key("sub"): "repo:x"}})).await;
    let other = provider.token(json!({"sub": "repo:y"}));
    let other = world.call_unsigned(WEB, &with_token("web", &other)).await.ok().credentials();
    assert_eq!(world.call_with(&other, "ListKeys", json!({})).await.error, Some("AccessDeniedException"));
    // The trust policy may ask for all.
    for (claim, value, expected) in [
        ("aud", "party", true),
        ("aud", "client", false),
        ("oaud", "client", true),
        ("azp", "party", true),
        ("email", "x@example.com", true),
        ("ref", "main", true),
    ] {
        let principal = json!({"Federated": support::iam::provider_arn()});
        let condition = json!({"StringEquals": {key(claim): value}});
        let trust = trusting(principal, json!("sts:AssumeRoleWithWebIdentity"), condition);
        let input = json!({"RoleName": "web", "PolicyDocument": trust});
        world.call("UpdateAssumeRolePolicy", input).await.ok();
        let answer = world.call_unsigned(WEB, &with_token("web", &token)).await;
        assert_eq!(answer.status == 200, expected, "{claim} {value}: {}", answer.text);
    }
}

#[tokio::test]
async fn nobody_with_a_token_is_trusted_as_anybody() {
    let (world, provider) = Provider::with_world(16).await;
    web(&world, Value::Null).await;
    let token = provider.token(json!({}));
    for (principal, action) in [
        (json!("*"), json!("sts:AssumeRoleWithWebIdentity")),
        (json!({"AWS": "*"}), json!("sts:*")),
        (json!({"AWS": ACCOUNT}), json!("sts:*")),
    ] {
        let trust = trusting(principal.clone(), action, Value::Null);
        let input = json!({"RoleName": "web", "PolicyDocument": trust});
        world.call("UpdateAssumeRolePolicy", input).await.ok();
        let answer = world.call_unsigned(WEB, &with_token("web", &token)).await;
        assert_eq!(answer.part("Code").as_deref(), Some("AccessDenied"), "{principal}");
    }
}

#[tokio::test]
async fn tags_of_a_provider_are_asked_by_what_is_done_with_it() {
    let world = World::new(17).await;
    let input = json!({
        "Url": ISSUER, "ClientIDList": ["client"], "Tags": [{"Key": "Team", "Value": "red"}],
    });
    world.call("CreateOpenIDConnectProvider", input).await.ok();
    let ann = user(&world, "ann", "kms:ListKeys").await;
    let arn = json!({"OpenIDConnectProviderArn": support::iam::provider_arn()});
    for (team, expected) in [("blue", Some("AccessDeniedException")), ("red", None)] {
        let document = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "iam:*", "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": team}},
        }});
        let input = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": document.to_string()});
        world.call("PutUserPolicy", input).await.ok();
        let answer = world.call_by(&ann, "GetOpenIDConnectProvider", arn.clone()).await;
        assert_eq!(answer.error, expected, "{team}: {}", answer.body);
        let more = json!({"OpenIDConnectProviderArn": support::iam::provider_arn(), "ClientID": team});
        let answer = world.call_by(&ann, "AddClientIDToOpenIDConnectProvider", more).await;
        assert_eq!(answer.error, expected, "{team}: {}", answer.body);
    }
}

#[tokio::test]
async fn claims_are_told_once_and_none_is_lost() {
    let (world, provider) = Provider::with_world(15).await;
    let key = |claim: &str| format!("issuer.example/path:{claim}");
    let condition = json!({
        "StringEquals": {key("sub"): "repo:x", key("aud"): "client"},
        "ForAllValues:StringEquals": {key("groups"): ["a", "7", "true"]},
        "NumericEquals": {key("level"): "3"},
        "Null": {key("groups"): "false"},
    });
    web(&world, condition).await;
    let header = json!({"alg": "ES256", "kid": "k1"});
    let now_s = support::START_MS / 1000;
    let token = |more: &str| {
        let text = format!(
            r#"{{"iss":"{ISSUER}","sub":"repo:x","aud":"client","exp":{},"level":3{more}}}"#,
            now_s + 60
        );
        provider.signed_text(&header, &text)
    };
    let call = async |more: &str| world.call_unsigned(WEB, &with_token("web", &token(more))).await;
    call(r#","groups":["a",7,true]"#).await.ok();
    call(r#","groups":["a",8]"#).await.fails(403, "AccessDenied");
    call("").await.fails(403, "AccessDenied");
    for more in [
        r#","SUB":"other""#,
        r#","sub":"repo:x""#,
        r#","Aud":["client"]"#,
        r#","Groups":["b"],"groups":["a"]"#,
        r#","groups":["a",{}]"#,
        r#","groups":["a",null]"#,
        r#","groups":["a"],"nbf":"1""#,
        r#","groups":["a"],"iat":"9999999999""#,
    ] {
        call(more).await.fails(400, "InvalidIdentityToken");
    }
    for wrong in [json!({"sub": 1}), json!({"aud": ["client", 1]})] {
        let refused = world.call_unsigned(WEB, &with_token("web", &provider.token(wrong))).await;
        refused.fails(400, "InvalidIdentityToken");
    }
}

#[tokio::test]
async fn each_success_and_each_failure_leaves_one_record_that_tells_no_secret() {
    for operation in ["AssumeRole", WEB, "GetSessionToken", "GetAccessKeyInfo"] {
        let (world, provider) = Provider::with_world(11).await;
        let identities = Identities::make(&world).await;
        let principal = json!({"Federated": support::iam::provider_arn()});
        role(&world, "web", trusting(principal, json!(format!("sts:{WEB}")), Value::Null), "*", json!({}))
            .await;
        let may = json!({"UserName": "ann", "PolicyName": "sts", "PolicyDocument": allow("sts:*")});
        world.call("PutUserPolicy", may).await.ok();
        world.call("DeleteUserPermissionsBoundary", json!({"UserName": "ann"})).await.ok();
        let ann = Signer {
            access_key_id: identities.access_key_id.clone(),
            secret: identities.secret.clone(),
            region: REGION,
            service: "sts",
        };
        let (right, wrong) = inputs(operation, &ann.access_key_id, &provider.token(json!({})));
        let _ = world.records().await;
        let secrets = if operation == WEB {
            let credentials = world.call_unsigned(WEB, &right).await.ok().credentials();
            vec![credentials.secret, credentials.token]
        } else {
            let answer = world.call_by(&ann, operation, right.clone()).await.ok();
            let part = |name: &str| answer["Credentials"][name].as_str().unwrap_or("none at all").to_owned();
            vec![part("SecretAccessKey"), part("SessionToken")]
        };
        let records = world.records().await;
        assert_eq!(records.len(), 1, "{operation}: {records:?}");
        let record = records[0].to_string();
        assert_eq!(records[0]["eventName"], operation);
        assert_eq!(records[0]["eventSource"], "sts.amazonaws.com");
        assert_eq!(records[0]["readOnly"], true);
        assert_eq!(records[0]["errorCode"], Value::Null);
        for secret in &secrets {
            assert!(!record.contains(secret.as_str()), "{operation}");
        }
        let status = match operation {
            WEB => world.call_unsigned(WEB, &wrong).await.status,
            _ => world.call_by(&ann, operation, wrong).await.status,
        };
        assert_ne!(status, 200, "{operation}");
        let records = world.records().await;
        assert_eq!(records.len(), 1, "{operation}: {records:?}");
        assert_ne!(records[0]["errorCode"], Value::Null, "{operation}");
    }
}

#[tokio::test]
async fn access_keys_of_roots_that_are_in_use_are_counted() {
    let world = World::with_two_accounts(18).await;
    assert_eq!(world.engine.status().root_keys_in_use, None);
    for expected in [2, 1, 0] {
        world.engine.tick().await;
        assert_eq!(world.engine.status().root_keys_in_use, Some(expected));
        let account = if expected == 2 { ACCOUNT } else { support::OTHER_ACCOUNT };
        world.engine.disable_root_access_key(account.parse().unwrap()).await.unwrap();
    }
}
