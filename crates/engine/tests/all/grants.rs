//! Grants: made, found, listed, retired and revoked.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{ACCOUNT, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, Read, UNKNOWN_KEY, World, key_arn, text};

const UNKNOWN_GRANT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn user(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// A grant for a grantee, with more members.
fn grant(key: &str, grantee: &str, more: Value) -> Value {
    let mut input = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["Decrypt"]});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

async fn made(world: &World, input: Value) -> (String, String) {
    let made = world.call("CreateGrant", input).await.ok();
    (text(&made["GrantId"]), text(&made["GrantToken"]))
}

async fn listed(world: &World, input: Value) -> Vec<Value> {
    let page = world.call("ListGrants", input).await.ok();
    assert_eq!(page["Truncated"], false);
    page["Grants"].as_array().unwrap().clone()
}

fn ids(grants: &[Value]) -> BTreeSet<String> {
    grants.iter().map(|grant| text(&grant["GrantId"])).collect()
}

#[tokio::test]
async fn a_grant_is_listed_as_it_was_made_until_it_is_revoked() {
    let mut world = World::new(1).await;
    let key = world.new_key().await;
    assert!(listed(&world, json!({"KeyId": key})).await.is_empty());
    let input = json!({
        "KeyId": key,
        "GranteePrincipal": user("ann"),
        "RetiringPrincipal": user("path/to/bob"),
        "Operations": ["Decrypt", "Encrypt", "Decrypt", "RetireGrant"],
        "Constraints": {
            "EncryptionContextSubset": {"Department": "IT"},
            "EncryptionContextEquals": {},
            "SourceArn": format!("arn:aws:s3:us-east-1:{ACCOUNT}:bucket"),
        },
        "Name": "a/name",
    });
    let (id, token) = made(&world, input.clone()).await;
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert!(!token.is_empty() && token.len() <= 8192);
    let expected = json!({
        "KeyId": key_arn(ACCOUNT, REGION, &key),
        "GrantId": id,
        "Name": "a/name",
        "CreationDate": support::START_MS / 1000,
        "GranteePrincipal": user("ann"),
        "RetiringPrincipal": user("path/to/bob"),
        "IssuingAccount": root(ACCOUNT),
        "Operations": ["Decrypt", "Encrypt", "RetireGrant"],
        "Constraints": input["Constraints"],
    });
    let mut found = listed(&world, json!({"KeyId": key})).await;
    found[0]["CreationDate"] = json!(found[0]["CreationDate"].as_f64().unwrap() as u64);
    assert_eq!(found, std::slice::from_ref(&expected));
    world.restart().await;
    let mut found = listed(&world, json!({"KeyId": key_arn(ACCOUNT, REGION, &key), "GrantId": id})).await;
    found[0]["CreationDate"] = json!(found[0]["CreationDate"].as_f64().unwrap() as u64);
    assert_eq!(found, [expected]);

    let revoke = json!({"KeyId": key, "GrantId": id});
    assert_eq!(world.call("RevokeGrant", revoke.clone()).await.ok(), Value::Null);
    assert!(listed(&world, json!({"KeyId": key})).await.is_empty());
    assert!(listed(&world, json!({"KeyId": key, "GrantId": id})).await.is_empty());
    world.call("RevokeGrant", revoke).await.fails("NotFoundException", &format!("Grant ID {id} not found"));
}

#[tokio::test]
async fn a_grant_without_a_name_and_constraints_shows_none() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    made(&world, grant(&key, &root(OTHER_ACCOUNT), json!({"Constraints": {}}))).await;
    let found = listed(&world, json!({"KeyId": key})).await;
    assert_eq!(found[0]["Name"], "");
    assert_eq!(found[0]["GranteePrincipal"], root(OTHER_ACCOUNT));
    for member in ["Constraints", "RetiringPrincipal", "GranteeServicePrincipal", "RetiringServicePrincipal"]
    {
        assert!(found[0].get(member).is_none(), "{member}");
    }
}

#[tokio::test]
async fn a_named_request_that_is_repeated_finds_its_grant() {
    let mut world = World::new(3).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    let context = json!({"EncryptionContextEquals": {"a": "1", "b": "2"}});
    let named = json!({"Name": "n", "Operations": ["Encrypt", "Decrypt"], "Constraints": context});
    let input = grant(&key, &user("ann"), named.clone());
    let (id, token) = made(&world, input.clone()).await;
    world.clock.advance(Duration::from_secs(100));
    world.restart().await;
    let (again, another_token) = made(&world, input.clone()).await;
    assert_eq!(again, id);
    assert_ne!(another_token, token);
    // The order of operations and pairs says nothing.
    let mut turned = input.clone();
    turned["Operations"] = json!(["Decrypt", "Encrypt", "Encrypt"]);
    assert_eq!(made(&world, turned).await.0, id);
    assert_eq!(listed(&world, json!({"KeyId": key})).await.len(), 1);

    // Whatever differs makes another one.
    let mut seen = BTreeSet::from([id.clone()]);
    for (member, value) in [
        ("Name", json!("m")),
        ("Operations", json!(["Encrypt"])),
        ("GranteePrincipal", json!(user("bob"))),
        ("RetiringPrincipal", json!(user("ann"))),
        ("Constraints", json!({"EncryptionContextSubset": {"a": "1", "b": "2"}})),
        ("Constraints", json!({"EncryptionContextEquals": {"a": "1"}})),
        ("Constraints", json!({"EncryptionContextEquals": {"a": "1b", "": "2"}})),
        ("Constraints", json!({})),
        ("KeyId", json!(other)),
    ] {
        let mut different = input.clone();
        different[member] = value;
        assert!(seen.insert(made(&world, different).await.0), "{member}");
    }
    // And so does no name.
    let nameless = grant(&key, &user("ann"), json!({}));
    assert!(seen.insert(made(&world, nameless.clone()).await.0));
    assert!(seen.insert(made(&world, nameless).await.0));

    // Once it is revoked, it is made anew; either token names nothing then.
    world.call("RevokeGrant", json!({"KeyId": key, "GrantId": id})).await.ok();
    assert!(seen.insert(made(&world, input).await.0));
    for token in [token, another_token] {
        let answer = world.call("RetireGrant", json!({"GrantToken": token})).await;
        answer.fails("NotFoundException", &format!("Grant ID {id} not found"));
    }
}

#[tokio::test]
async fn principals_must_be_principals() {
    let world = World::new(4).await;
    let key = world.new_key().await;
    for wrong in [
        "alice",
        "sns.amazonaws.com",
        "111122223333",
        &format!("arn:aws:iam::{ACCOUNT}:group/admins"),
        &format!("arn:aws:iam::{ACCOUNT}:user/"),
        "arn:aws:iam::1:root",
        &key_arn(ACCOUNT, REGION, &key),
    ] {
        let message = format!("ARN does not refer to a valid principal: {wrong}");
        let answer = world.call("CreateGrant", grant(&key, wrong, json!({}))).await;
        answer.fails("InvalidArnException", &message);
        let retiring = grant(&key, &user("ann"), json!({"RetiringPrincipal": wrong}));
        world.call("CreateGrant", retiring).await.fails("InvalidArnException", &message);
        let answer = world.call("ListRetirableGrants", json!({"RetiringPrincipal": wrong})).await;
        answer.fails("InvalidArnException", &message);
    }
    for right in [
        root(ACCOUNT),
        user("a"),
        format!("arn:aws:iam::{ACCOUNT}:role/service-role/r"),
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s"),
        format!("arn:aws:sts::{ACCOUNT}:federated-user/f"),
        root("999988887777"),
    ] {
        made(&world, grant(&key, &right, json!({"RetiringPrincipal": right}))).await;
    }
    let service = "dynamodb.us-east-1.amazonaws.com";
    let refused = async |more: Value| {
        let mut input = json!({"KeyId": key, "Operations": ["Decrypt"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(world.call("CreateGrant", input).await.error, Some("ValidationException"), "{more}");
    };
    let source = json!({"SourceArn": format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t")});
    refused(json!({})).await;
    refused(
        json!({"GranteePrincipal": user("a"), "GranteeServicePrincipal": service, "Constraints": source}),
    )
    .await;
    refused(json!({"GranteePrincipal": user("a"), "RetiringPrincipal": user("b"), "RetiringServicePrincipal": service}))
        .await;
    refused(json!({"GranteeServicePrincipal": service, "RetiringServicePrincipal": service})).await;
    refused(json!({"GranteeServicePrincipal": service, "Constraints": source})).await;
    let of_service = json!({
        "KeyId": key,
        "Operations": ["Decrypt"],
        "GranteeServicePrincipal": service,
        "RetiringServicePrincipal": service,
        "Constraints": source,
    });
    let (id, _) = made(&world, of_service).await;
    let found = listed(&world, json!({"KeyId": key, "GrantId": id})).await;
    assert_eq!(found[0]["GranteeServicePrincipal"], service);
    assert_eq!(found[0]["RetiringServicePrincipal"], service);
    assert_eq!(found[0]["Constraints"], source);
    assert!(found[0].get("GranteePrincipal").is_none());
}

#[tokio::test]
async fn a_grant_allows_what_its_key_can_do() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    for operation in
        ["Sign", "Verify", "GenerateMac", "VerifyMac", "GetPublicKey", "DeriveSharedSecret", "Encapsulate"]
    {
        let input = grant(&key, &user("a"), json!({"Operations": ["Decrypt", operation]}));
        assert_eq!(world.call("CreateGrant", input).await.error, Some("ValidationException"), "{operation}");
    }
    let all = json!([
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
        "CreateGrant",
        "RetireGrant",
        "DescribeKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
    ]);
    made(&world, grant(&key, &user("a"), json!({"Operations": all}))).await;
    let none = grant(&key, &user("a"), json!({"Operations": []}));
    assert_eq!(world.call("CreateGrant", none).await.error, Some("ValidationException"));
    let unknown = grant(&key, &user("a"), json!({"Operations": ["ScheduleKeyDeletion"]}));
    assert_eq!(world.call("CreateGrant", unknown).await.error, Some("ValidationException"));
}

#[tokio::test]
async fn constraints_are_bounded() {
    let world = World::new(6).await;
    let key = world.new_key().await;
    let with = |context: Value| {
        grant(&key, &user("a"), json!({"Constraints": {"EncryptionContextSubset": context}}))
    };
    let pairs = |count: usize| -> Value {
        (0..count).map(|n| (n.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>().into()
    };
    made(&world, with(pairs(8))).await;
    assert_eq!(world.call("CreateGrant", with(pairs(9))).await.error, Some("LimitExceededException"));
    made(&world, with(json!({"k": "v".repeat(383)}))).await;
    let long = with(json!({"k": "v".repeat(384)}));
    assert_eq!(world.call("CreateGrant", long).await.error, Some("LimitExceededException"));
}

#[tokio::test]
async fn lists_come_in_pages_and_by_grantee() {
    let world = World::with_two_accounts(7).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    let mut all = BTreeSet::new();
    let mut of_ann = BTreeSet::new();
    for n in 0..11 {
        let grantee = if n % 2 == 0 { user("ann") } else { user(&format!("ann/{n}")) };
        let id = made(&world, grant(&key, &grantee, json!({}))).await.0;
        all.insert(id.clone());
        if n % 2 == 0 {
            of_ann.insert(id);
        }
    }
    made(&world, grant(&other, &user("ann"), json!({}))).await;
    let pages = async |filter: Value, limit: usize| {
        let (mut seen, mut input) = (Vec::new(), filter.clone());
        input["Limit"] = json!(limit);
        loop {
            let page = world.call("ListGrants", input.clone()).await.ok();
            let grants = page["Grants"].as_array().unwrap().clone();
            assert!(grants.len() <= limit);
            seen.extend(grants);
            assert_eq!(page["Truncated"], json!(page.get("NextMarker").is_some()));
            let Some(marker) = page.get("NextMarker") else { break };
            assert!(text(marker).len() <= 1024);
            input["Marker"] = marker.clone();
        }
        assert_eq!(ids(&seen).len(), seen.len());
        ids(&seen)
    };
    assert_eq!(pages(json!({"KeyId": key}), 3).await, all);
    assert_eq!(pages(json!({"KeyId": key}), 11).await, all);
    assert_eq!(pages(json!({"KeyId": key, "GranteePrincipal": user("ann")}), 2).await, of_ann);
    assert!(pages(json!({"KeyId": key, "GranteePrincipal": user("an")}), 2).await.is_empty());
    let one = of_ann.first().unwrap();
    let both = json!({"KeyId": key, "GrantId": one, "GranteePrincipal": user("ann")});
    assert_eq!(ids(&listed(&world, both).await), BTreeSet::from([one.clone()]));
    let neither = json!({"KeyId": key, "GrantId": one, "GranteePrincipal": user("bob")});
    assert!(listed(&world, neither).await.is_empty());
    assert!(listed(&world, json!({"KeyId": other, "GrantId": one})).await.is_empty());

    // A marker is of one key and one filter.
    let first = world.call("ListGrants", json!({"KeyId": key, "Limit": 1})).await.ok();
    for wrong in [
        json!({"KeyId": other, "Marker": first["NextMarker"]}),
        json!({"KeyId": key, "GranteePrincipal": user("ann"), "Marker": first["NextMarker"]}),
        json!({"KeyId": key, "Marker": "made up"}),
    ] {
        assert_eq!(world.call("ListGrants", wrong).await.error, Some("InvalidMarkerException"));
    }
    // A page goes on after a grant that is gone by then.
    let last = text(&first["Grants"][0]["GrantId"]);
    world.call("RevokeGrant", json!({"KeyId": key, "GrantId": last})).await.ok();
    let rest = listed(&world, json!({"KeyId": key, "Marker": first["NextMarker"]})).await;
    all.remove(&last);
    assert_eq!(ids(&rest), all);

    let malformed = world.call("ListGrants", json!({"KeyId": key, "GrantId": "abc"})).await;
    assert_eq!(malformed.error, Some("InvalidGrantIdException"));
    let service = json!({"KeyId": key, "GranteeServicePrincipal": "sns.us-east-1.amazonaws.com"});
    assert_eq!(world.call("ListGrants", service).await.error, Some("ValidationException"));
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_grants() {
    let world = World::new(8).await;
    let key = world.new_key().await;
    for n in 0..101 {
        let more = json!({"RetiringPrincipal": user("bob")});
        made(&world, grant(&key, &user(&format!("{n}")), more)).await;
    }
    for (operation, filter) in [
        ("ListGrants", json!({"KeyId": key})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": user("bob")})),
    ] {
        for (limit, expected) in [(None, 50), (Some(100), 100), (Some(1000), 100)] {
            let mut input = filter.clone();
            if let Some(limit) = limit {
                input["Limit"] = json!(limit);
            }
            let page = world.call(operation, input).await.ok();
            assert_eq!(page["Grants"].as_array().unwrap().len(), expected, "{operation}");
            assert_eq!(page["Truncated"], true);
        }
    }
}

/// A grant of the first account's key, with its token.
struct Granted {
    key: String,
    id: String,
    token: String,
}

async fn granted(world: &World, more: Value) -> Granted {
    let key = world.new_key().await;
    let (id, token) = made(world, grant(&key, &user("ann"), more)).await;
    Granted { key, id, token }
}

async fn retired_by_the_other(world: &World, Granted { key, id, token }: &Granted, by_token: bool) -> Read {
    let other = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let input = if by_token {
        json!({"GrantToken": token})
    } else {
        json!({"KeyId": key_arn(ACCOUNT, REGION, key), "GrantId": id})
    };
    world.call_as(&other, "RetireGrant", input).await
}

fn denied(key: &str) -> String {
    format!(
        "User: {} is not authorized to perform: kms:RetireGrant on resource: {} because no resource-based policy \
         allows the kms:RetireGrant action",
        root(OTHER_ACCOUNT),
        key_arn(ACCOUNT, REGION, key)
    )
}

#[tokio::test]
async fn the_grant_says_who_may_retire_it() {
    let world = World::with_two_accounts(9).await;
    let other = root(OTHER_ACCOUNT);
    for by_token in [true, false] {
        let may = [
            json!({"RetiringPrincipal": other}),
            json!({"GranteePrincipal": other, "Operations": ["Decrypt", "RetireGrant"]}),
        ];
        for more in may {
            let grant = granted(&world, more).await;
            retired_by_the_other(&world, &grant, by_token).await.ok();
            assert!(listed(&world, json!({"KeyId": grant.key})).await.is_empty());
        }
        let may_not = [
            json!({}),
            json!({"RetiringPrincipal": format!("arn:aws:iam::{OTHER_ACCOUNT}:user/bob")}),
            json!({"GranteePrincipal": other}),
        ];
        for more in may_not {
            let grant = granted(&world, more).await;
            let answer = retired_by_the_other(&world, &grant, by_token).await;
            answer.fails("AccessDeniedException", &denied(&grant.key));
            assert_eq!(listed(&world, json!({"KeyId": grant.key})).await.len(), 1);
        }
        // The account itself always may.
        let Granted { key, id, token } = granted(&world, json!({"RetiringPrincipal": other})).await;
        let input =
            if by_token { json!({"GrantToken": token}) } else { json!({"KeyId": key, "GrantId": id}) };
        world.call("RetireGrant", input).await.ok();
        assert!(listed(&world, json!({"KeyId": key})).await.is_empty());
    }
}

#[tokio::test]
async fn to_a_stranger_no_grant_is_as_one_that_is_not_theirs() {
    let world = World::with_two_accounts(10).await;
    let there = granted(&world, json!({})).await;
    let gone = granted(&world, json!({"RetiringPrincipal": root(OTHER_ACCOUNT)})).await;
    world.call("RevokeGrant", json!({"KeyId": gone.key, "GrantId": gone.id})).await.ok();
    for by_token in [true, false] {
        let answer = retired_by_the_other(&world, &there, by_token).await;
        answer.fails("AccessDeniedException", &denied(&there.key));
        let answer = retired_by_the_other(&world, &gone, by_token).await;
        answer.fails("AccessDeniedException", &denied(&gone.key));
    }
    let nowhere = Granted { key: UNKNOWN_KEY.to_owned(), id: UNKNOWN_GRANT.to_owned(), token: String::new() };
    let answer = retired_by_the_other(&world, &nowhere, false).await;
    answer.fails("AccessDeniedException", &denied(UNKNOWN_KEY));
    // The account itself is told.
    let input = json!({"KeyId": there.key, "GrantId": UNKNOWN_GRANT});
    let answer = world.call("RetireGrant", input).await;
    answer.fails("NotFoundException", &format!("Grant ID {UNKNOWN_GRANT} not found"));
    let input = json!({"KeyId": UNKNOWN_KEY, "GrantId": UNKNOWN_GRANT});
    let gone = format!("Key '{}' does not exist", key_arn(ACCOUNT, REGION, UNKNOWN_KEY));
    world.call("RetireGrant", input).await.fails("NotFoundException", &gone);
}

#[tokio::test]
async fn a_grant_is_named_in_one_way_or_the_other() {
    let world = World::new(11).await;
    let Granted { key, id, token } = granted(&world, json!({})).await;
    let refused = async |input: Value, code: &str| {
        assert_eq!(world.call("RetireGrant", input.clone()).await.error, Some(code), "{input}");
    };
    refused(json!({}), "ValidationException").await;
    refused(json!({"KeyId": key}), "ValidationException").await;
    refused(json!({"GrantId": id}), "ValidationException").await;
    refused(json!({"GrantToken": token, "KeyId": key, "GrantId": id}), "ValidationException").await;
    refused(json!({"KeyId": key, "GrantId": "abc"}), "InvalidGrantIdException").await;
    refused(json!({"KeyId": key, "GrantId": id.to_uppercase()}), "InvalidGrantIdException").await;
    refused(json!({"KeyId": "alias/a", "GrantId": id}), "NotFoundException").await;
    let alias = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/a");
    refused(json!({"KeyId": alias, "GrantId": id}), "InvalidArnException").await;
    refused(json!({"KeyId": key_arn(ACCOUNT, OTHER_REGION, &key), "GrantId": id}), "NotFoundException").await;
    refused(json!({"GrantToken": "made up"}), "InvalidGrantTokenException").await;
    let revoke = json!({"KeyId": key, "GrantId": "abc"});
    assert_eq!(world.call("RevokeGrant", revoke).await.error, Some("InvalidGrantIdException"));
    assert_eq!(listed(&world, json!({"KeyId": key})).await.len(), 1);
}

#[tokio::test]
async fn a_token_names_a_grant_and_nothing_else_is_taken_for_one() {
    let mut world = World::new(12).await;
    let Granted { key, token, .. } = granted(&world, json!({})).await;
    let encrypt = |tokens: Value| json!({"KeyId": key, "Plaintext": HELLO, "GrantTokens": tokens});
    world.call("Encrypt", encrypt(json!([token, token]))).await.ok();
    world.call("DescribeKey", json!({"KeyId": key, "GrantTokens": [token]})).await.ok();
    world.call("CreateGrant", grant(&key, &user("b"), json!({"GrantTokens": [token]}))).await.ok();
    world.restart().await;
    world.call("Encrypt", encrypt(json!([token]))).await.ok();

    let marker = text(&world.call("ListGrants", json!({"KeyId": key, "Limit": 1})).await.ok()["NextMarker"]);
    let mut changed = token.clone().into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for wrong in ["x", "AAAA", &marker, &changed, &token[..token.len() - 4], &format!("{token}AAAA")] {
        world.call("Encrypt", encrypt(json!([token, wrong]))).await.fails("InvalidGrantTokenException", "");
        let answer = world.call("RetireGrant", json!({"GrantToken": wrong})).await;
        answer.fails("InvalidGrantTokenException", "");
    }
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let answer = world.call_as(&elsewhere, "RetireGrant", json!({"GrantToken": token})).await;
    answer.fails("InvalidGrantTokenException", "");
    assert_eq!(listed(&world, json!({"KeyId": key})).await.len(), 2);
}

#[tokio::test]
async fn retirable_grants_are_of_all_keys_and_accounts() {
    let world = World::with_two_accounts(13).await;
    let other = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let keys = [world.new_key().await, world.new_key().await, world.new_key_as(&other).await];
    let mut expected = BTreeSet::new();
    for (index, key) in keys.iter().enumerate() {
        for retiring in [user("bob"), root(OTHER_ACCOUNT), root(ACCOUNT)] {
            let input = grant(key, &user(&format!("ann{index}")), json!({"RetiringPrincipal": retiring}));
            let made = match index {
                2 => world.call_as(&other, "CreateGrant", input).await.ok(),
                _ => world.call("CreateGrant", input).await.ok(),
            };
            if retiring == user("bob") {
                expected.insert(text(&made["GrantId"]));
            }
        }
    }
    let (mut seen, mut input) = (Vec::new(), json!({"RetiringPrincipal": user("bob"), "Limit": 2}));
    loop {
        let page = world.call("ListRetirableGrants", input.clone()).await.ok();
        seen.extend(page["Grants"].as_array().unwrap().clone());
        let Some(marker) = page.get("NextMarker") else { break };
        input["Marker"] = marker.clone();
    }
    assert_eq!(ids(&seen), expected);
    assert_eq!(seen.len(), 3);
    let owners: BTreeSet<String> = seen.iter().map(|grant| text(&grant["KeyId"])).collect();
    assert!(owners.contains(&key_arn(OTHER_ACCOUNT, REGION, &keys[2])));
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let page = world
        .call_as(&elsewhere, "ListRetirableGrants", json!({"RetiringPrincipal": user("bob")}))
        .await
        .ok();
    assert_eq!(page["Grants"], json!([]));

    // One may ask for one's own account only.
    let asked = json!({"RetiringPrincipal": user("bob")});
    world.call_as(&other, "ListRetirableGrants", asked).await.fails(
        "AccessDeniedException",
        &format!(
            "User: {} is not authorized to perform: kms:ListRetirableGrants on resource: {} because no \
             resource-based policy allows the kms:ListRetirableGrants action",
            root(OTHER_ACCOUNT),
            user("bob")
        ),
    );
    for wrong in [json!({}), json!({"RetiringServicePrincipal": "sns.us-east-1.amazonaws.com"})] {
        assert_eq!(world.call("ListRetirableGrants", wrong).await.error, Some("ValidationException"));
    }
}

#[tokio::test]
async fn dry_runs_change_nothing() {
    let world = World::with_two_accounts(14).await;
    let Granted { key, id, token } = granted(&world, json!({"Name": "n"})).await;
    let dry = |mut input: Value| {
        input["DryRun"] = json!(true);
        input
    };
    let would = "The request would have succeeded, but the DryRun option is set.";
    for (operation, input) in [
        ("CreateGrant", grant(&key, &user("bob"), json!({}))),
        ("CreateGrant", grant(&key, &user("ann"), json!({"Name": "n"}))),
        ("RevokeGrant", json!({"KeyId": key, "GrantId": id})),
        ("RetireGrant", json!({"KeyId": key, "GrantId": id})),
        ("RetireGrant", json!({"GrantToken": token})),
    ] {
        world.call(operation, dry(input)).await.fails("DryRunOperationException", would);
    }
    assert_eq!(listed(&world, json!({"KeyId": key})).await.len(), 1);
    // What would have failed fails as it would have.
    for (operation, input, code) in [
        ("CreateGrant", grant(&key, "bob", json!({})), "InvalidArnException"),
        ("CreateGrant", grant(UNKNOWN_KEY, &user("bob"), json!({})), "NotFoundException"),
        ("CreateGrant", grant(&key, &user("bob"), json!({"Operations": ["Sign"]})), "ValidationException"),
        ("RevokeGrant", json!({"KeyId": key, "GrantId": UNKNOWN_GRANT}), "NotFoundException"),
        ("RetireGrant", json!({"KeyId": key, "GrantId": UNKNOWN_GRANT}), "NotFoundException"),
    ] {
        assert_eq!(world.call(operation, dry(input)).await.error, Some(code), "{operation}");
    }
    let other = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let answer = world.call_as(&other, "RetireGrant", dry(json!({"GrantToken": token}))).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    let answer = world.call("CreateGrant", dry(grant(&key, &user("bob"), json!({})))).await;
    assert_eq!(answer.error, Some("DisabledException"));
}

#[tokio::test]
async fn grants_go_with_their_key_and_no_sooner() {
    let world = World::new(15).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    for n in 0..60 {
        let more = json!({"RetiringPrincipal": user("bob"), "Name": n.to_string()});
        made(&world, grant(&key, &user("ann"), more)).await;
    }
    let stays = made(&world, grant(&other, &user("ann"), json!({"RetiringPrincipal": user("bob")}))).await.0;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    // Until the key is gone, its grants can be listed and removed, and none is added.
    let page = world.call("ListGrants", json!({"KeyId": key, "Limit": 1})).await.ok();
    let id = text(&page["Grants"][0]["GrantId"]);
    world.call("RevokeGrant", json!({"KeyId": key, "GrantId": id})).await.ok();
    let answer = world.call("CreateGrant", grant(&key, &user("carl"), json!({}))).await;
    answer.fails(
        "KMSInvalidStateException",
        &format!("{} is pending deletion.", key_arn(ACCOUNT, REGION, &key)),
    );
    world.clock.advance(Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    let answer = world.call("ListGrants", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
    let page = world.call("ListRetirableGrants", json!({"RetiringPrincipal": user("bob")})).await.ok();
    assert_eq!(ids(page["Grants"].as_array().unwrap()), BTreeSet::from([stays]));
    let left = std::cell::Cell::new(0);
    world.disk.remove(|path| {
        let text = path.to_string();
        left.set(left.get() + usize::from(text.contains("grant") && text.contains(&key)));
        false
    });
    assert_eq!(left.get(), 0, "records of grants outlive their key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_at_once_are_all_made() {
    let world = std::sync::Arc::new(World::new(16).await);
    let key = world.new_key().await;
    // Many more than a change is decided anew.
    let makers = (0..200).map(|n| {
        let (world, key) = (std::sync::Arc::clone(&world), key.clone());
        tokio::spawn(async move {
            let name = if n % 2 == 0 { json!({"Name": "same"}) } else { json!({}) };
            text(&world.call("CreateGrant", grant(&key, &user("ann"), name)).await.ok()["GrantId"])
        })
    });
    let mut made = BTreeSet::new();
    for maker in makers.collect::<Vec<_>>() {
        made.insert(maker.await.unwrap());
    }
    assert_eq!(made.len(), 101);
    let first = world.call("ListGrants", json!({"KeyId": key, "Limit": 100})).await.ok();
    let rest = listed(&world, json!({"KeyId": key, "Marker": first["NextMarker"]})).await;
    assert_eq!(rest.len(), 1);
}

#[tokio::test]
async fn records_tell_of_grants_as_cloudtrail_does() {
    let world = World::new(17).await;
    let key = world.new_key().await;
    let _ = world.records().await;
    let constraints = json!({"EncryptionContextSubset": {"Department": "IT"}, "EncryptionContextEquals": {}});
    let more = json!({"RetiringPrincipal": user("bob"), "Constraints": constraints, "Name": "n"});
    let (id, token) = made(&world, grant(&key, &user("ann"), more)).await;
    world.call("RetireGrant", json!({"GrantToken": token})).await.ok();
    let arn = key_arn(ACCOUNT, REGION, &key);
    let mut records = world.records().await;
    records.retain(|record| record["eventSource"] == "kms.amazonaws.com");
    assert_eq!(
        records[0]["requestParameters"],
        json!({
            "keyId": key,
            "granteePrincipal": user("ann"),
            "retiringPrincipal": user("bob"),
            "operations": ["Decrypt"],
            "constraints": {"encryptionContextSubset": {"Department": "IT"}, "encryptionContextEquals": {}},
            "name": "n",
        })
    );
    assert_eq!(records[0]["responseElements"], json!({"grantId": id, "keyId": arn}));
    assert_eq!(records[1]["eventName"], "RetireGrant");
    assert_eq!(records[1]["requestParameters"], Value::Null);
    assert_eq!(records[1]["additionalEventData"], json!({"grantId": id}));
    for record in &records {
        assert_eq!(record["resources"][0]["ARN"], arn);
        assert!(!record.to_string().contains(&token));
    }
}
