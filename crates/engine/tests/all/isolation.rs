//! Two accounts and two regions in one process, each blind to the other.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::json;
use support::{
    ACCOUNT, CIPHERTEXT_REFUSED, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, UNKNOWN_KEY, World, key_arn,
};

const PLACES: [(&str, &str); 4] =
    [(ACCOUNT, REGION), (ACCOUNT, OTHER_REGION), (OTHER_ACCOUNT, REGION), (OTHER_ACCOUNT, OTHER_REGION)];

#[tokio::test]
async fn each_place_sees_its_own_keys_and_aliases_alone() {
    let world = World::with_two_accounts(1).await;
    let mut keys = Vec::new();
    for (account, region) in PLACES {
        let caller = world.caller_of(account, region).await;
        let key = world.new_key_as(&caller).await;
        // The same name everywhere.
        let alias = json!({"AliasName": "alias/app", "TargetKeyId": key});
        world.call_as(&caller, "CreateAlias", alias).await.ok();
        let blob = world.sealed_as(&caller, "alias/app").await;
        keys.push((account, region, key, blob));
    }
    for (account, region, key, blob) in &keys {
        let caller = world.caller_of(account, region).await;
        let listed = world.call_as(&caller, "ListKeys", json!({})).await.ok();
        assert_eq!(listed["Keys"].as_array().unwrap().len(), 1);
        assert_eq!(listed["Keys"][0]["KeyArn"], key_arn(account, region, key));
        let aliases = world.call_as(&caller, "ListAliases", json!({})).await.ok();
        assert_eq!(aliases["Aliases"].as_array().unwrap().len(), 1);
        assert_eq!(aliases["Aliases"][0]["TargetKeyId"], key.as_str());
        let opened = world.call_as(&caller, "Decrypt", json!({"CiphertextBlob": blob})).await.ok();
        assert_eq!(opened["Plaintext"], HELLO);
        for (other_account, other_region, other_key, other_blob) in &keys {
            if other_key == key {
                continue;
            }
            let refused = world.call_as(&caller, "Decrypt", json!({"CiphertextBlob": other_blob})).await;
            refused.fails("AccessDeniedException", CIPHERTEXT_REFUSED);
            let by_id = world.call_as(&caller, "DescribeKey", json!({"KeyId": other_key})).await;
            by_id.fails(
                "NotFoundException",
                &format!("Key '{}' does not exist", key_arn(account, region, other_key)),
            );
            let arn = key_arn(other_account, other_region, other_key);
            let by_arn = world.call_as(&caller, "DescribeKey", json!({"KeyId": arn})).await;
            if other_region == region {
                assert_eq!(by_arn.error, Some("AccessDeniedException"));
            } else {
                by_arn.fails("NotFoundException", &format!("Invalid arn {other_region}"));
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_key_that_exists_looks_like_one_that_does_not() {
    let world = World::with_two_accounts(2).await;
    let key = world.new_key().await;
    world.call("CreateAlias", json!({"AliasName": "alias/real", "TargetKeyId": key})).await.ok();
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let answers = |name: String| {
        let (world, stranger) = (&world, &stranger);
        async move {
            let answer = world.call_as(stranger, "DescribeKey", json!({"KeyId": name})).await;
            (answer.status, answer.error, answer.body.to_string().replace(&name, "NAME"))
        }
    };
    let real = answers(key_arn(ACCOUNT, REGION, &key)).await;
    let unknown = answers(key_arn(ACCOUNT, REGION, UNKNOWN_KEY)).await;
    let nobody = answers(key_arn("999999999999", REGION, UNKNOWN_KEY)).await;
    assert_eq!(real, unknown);
    assert_eq!(real, nobody);
    let real = answers(format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/real")).await;
    let unknown = answers(format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/unreal")).await;
    assert_eq!(real, unknown);
    assert_eq!(real.1, Some("AccessDeniedException"));
}

#[tokio::test]
async fn ciphertexts_that_are_foreign_unknown_or_of_a_deleted_key_get_one_answer() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let world = World::with_two_accounts(3).await;
    let key = world.new_key().await;
    let blob = base64.decode(world.sealed(&key).await).unwrap();
    let disabled = world.new_key().await;
    let disabled_blob = world.sealed(&disabled).await;
    world.call("DisableKey", json!({"KeyId": disabled})).await.ok();
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    // The key id stands behind version, suite, flags, account and region.
    let mut unknown = blob.clone();
    unknown[3 + 6 + 1 + REGION.len()] ^= 0x55;
    for foreign in [base64.encode(&blob), base64.encode(&unknown), disabled_blob] {
        let answer = world.call_as(&stranger, "Decrypt", json!({"CiphertextBlob": foreign})).await;
        answer.fails("AccessDeniedException", CIPHERTEXT_REFUSED);
        let input = json!({"CiphertextBlob": foreign, "DestinationKeyId": key});
        let answer = world.call_as(&stranger, "ReEncrypt", input).await;
        answer.fails("AccessDeniedException", CIPHERTEXT_REFUSED);
    }
}

#[tokio::test]
async fn accounts_are_made_once() {
    let world = World::with_two_accounts(4).await;
    let again = bulla_engine::NewAccount { id: Some(OTHER_ACCOUNT.parse().unwrap()), name: None };
    let error = world.engine.create_account(again).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code.name(), "AlreadyExistsException");
    let (random, key) = world.engine.create_account(bulla_engine::NewAccount::default()).await.unwrap();
    assert_eq!(random.root_access_key_id, key.access_key_id);
    let accounts = world.engine.accounts().await.unwrap();
    let ids: Vec<String> = accounts.iter().map(|account| account.id.to_string()).collect();
    assert_eq!(ids, [ACCOUNT.to_owned(), OTHER_ACCOUNT.to_owned(), random.id.to_string()]);
    assert_eq!(accounts[1].name.as_deref(), Some("other"));
    let nobody =
        world.engine.local_caller(Some("999999999999".parse().unwrap()), None, bulla_engine::Via::Embedded);
    assert_eq!(nobody.await.unwrap_err().code.name(), "ValidationException");
}
