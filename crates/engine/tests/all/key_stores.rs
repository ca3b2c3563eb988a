//! Custom key stores and the keys in them: what they go through, what survives, and what a proxy is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_engine::{EngineOptions, Finding, XksError, check_references};
use bulla_store::Vault;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::proxy::{ACCESS_KEY_ID, FakeProxy, PATH, SECRET, new_external_key, new_store};
use support::{ACCOUNT, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, World, key_arn, root_key, text};

/// A world with a connected store, and its id.
async fn connected(seed: u64) -> (World, Arc<FakeProxy>, String) {
    let (world, proxy) = World::with_proxy(seed).await;
    let store = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await.ok();
    let store = text(&store["CustomKeyStoreId"]);
    world.call("ConnectCustomKeyStore", of(&store)).await.ok();
    proxy.asked();
    (world, proxy, store)
}

fn of(store: &str) -> Value {
    json!({"CustomKeyStoreId": store})
}

async fn new_key(world: &World, store: &str, xks_key: &str) -> String {
    let made = world.call("CreateKey", new_external_key(store, xks_key)).await.ok();
    text(&made["KeyMetadata"]["KeyId"])
}

async fn entry(world: &World, store: &str) -> Value {
    world.call("DescribeCustomKeyStores", of(store)).await.ok()["CustomKeyStores"][0].clone()
}

async fn key_state(world: &World, key: &str) -> String {
    text(&world.call("DescribeKey", json!({"KeyId": key})).await.ok()["KeyMetadata"]["KeyState"])
}

async fn findings(world: &World) -> Vec<Finding> {
    let store = Arc::new(world.disk.open());
    let vault = Vault::open(store, &root_key(), Arc::new(bulla_crypto::SeededRng::new(9))).await.unwrap();
    check_references(&vault).await.unwrap()
}

#[tokio::test]
async fn a_store_from_its_making_to_its_end() {
    let (world, proxy, store) = connected(1).await;
    assert_eq!(findings(&world).await, []);
    let key = new_key(&world, &store, "external").await;
    assert_eq!(findings(&world).await, []);
    let blob = world.sealed(&key).await;
    let opened = world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
    assert_eq!(opened["Plaintext"], HELLO);
    world
        .call("DeleteCustomKeyStore", of(&store))
        .await
        .fails("CustomKeyStoreHasCMKsException", &format!("The custom key store {store} contains KMS keys."));
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    world.call("DisconnectCustomKeyStore", of(&store)).await.ok();
    assert_eq!(key_state(&world, &key).await, "PendingDeletion");
    // The key is gone when its time comes, though its store is not connected.
    world.clock.advance(Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    assert_eq!(findings(&world).await, []);
    // The external key is free again, and so is the store.
    world.call("ConnectCustomKeyStore", of(&store)).await.ok();
    let again = new_key(&world, &store, "external").await;
    assert!(again != key, "and it opens nothing of the other one's");
    let answer = world.call("Decrypt", json!({"CiphertextBlob": blob, "KeyId": again})).await;
    assert_eq!(answer.error, Some("IncorrectKeyException"));
    world.call("ScheduleKeyDeletion", json!({"KeyId": again, "PendingWindowInDays": 7})).await.ok();
    world.clock.advance(Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    world.call("DisconnectCustomKeyStore", of(&store)).await.ok();
    world.call("DeleteCustomKeyStore", of(&store)).await.ok();
    assert_eq!(findings(&world).await, []);
    let listed = world.call("DescribeCustomKeyStores", json!({})).await.ok();
    assert_eq!(listed["CustomKeyStores"], json!([]));
    assert!(proxy.asked().iter().all(|asked| asked.region == REGION));
}

#[tokio::test]
async fn states_survive_the_machine_going_down() {
    let (mut world, proxy, store) = connected(2).await;
    let key = new_key(&world, &store, "external").await;
    let blob = world.sealed(&key).await;
    world.restart().await;
    assert_eq!(entry(&world, &store).await["ConnectionState"], "CONNECTED");
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
    world.call("DisconnectCustomKeyStore", of(&store)).await.ok();
    proxy.fails(Some(XksError::TimedOut));
    world.call("ConnectCustomKeyStore", of(&store)).await.ok();
    world.restart().await;
    let found = entry(&world, &store).await;
    assert_eq!(found["ConnectionState"], "FAILED");
    assert_eq!(found["ConnectionErrorCode"], "XKS_PROXY_TIMED_OUT");
    assert_eq!(key_state(&world, &key).await, "Unavailable");
    proxy.fails(None);
    world.call("DisconnectCustomKeyStore", of(&store)).await.ok();
    world.call("ConnectCustomKeyStore", of(&store)).await.ok();
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
}

#[tokio::test]
async fn what_a_proxy_is_told() {
    let (world, proxy, store) = connected(3).await;
    let key = new_key(&world, &store, "external").await;
    let blob = world.sealed(&key).await;
    world.call("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})).await.ok();
    let arn = key_arn(ACCOUNT, REGION, &key);
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let told: Vec<_> = proxy
        .asked()
        .into_iter()
        .map(|asked| (asked.call, asked.operation, asked.key, asked.principal_arn, asked.key_arn))
        .collect();
    let external = || Some("external".to_owned());
    let line = |call, operation: &str, arn: Option<&String>| {
        (call, operation.to_owned(), external(), Some(root.clone()), arn.cloned())
    };
    assert_eq!(
        told,
        [
            line("metadata", "CreateKey", None),
            line("encrypt", "Encrypt", Some(&arn)),
            line("decrypt", "ReEncrypt", Some(&arn)),
            line("encrypt", "ReEncrypt", Some(&arn)),
        ]
    );
}

#[tokio::test]
async fn nobody_elses_store_is_found() {
    let (world, _, store) = connected(4).await;
    world.add_account().await;
    for stranger in
        [world.caller_of(OTHER_ACCOUNT, REGION).await, world.caller_of(ACCOUNT, OTHER_REGION).await]
    {
        for operation in [
            "DescribeCustomKeyStores",
            "UpdateCustomKeyStore",
            "ConnectCustomKeyStore",
            "DisconnectCustomKeyStore",
            "DeleteCustomKeyStore",
        ] {
            let answer = world.call_as(&stranger, operation, of(&store)).await;
            assert_eq!(answer.error, Some("CustomKeyStoreNotFoundException"), "{operation}");
        }
        let answer = world.call_as(&stranger, "CreateKey", new_external_key(&store, "external")).await;
        assert_eq!(answer.error, Some("CustomKeyStoreNotFoundException"));
        // Names and addresses are free there.
        world.call_as(&stranger, "CreateCustomKeyStore", new_store("outside", PATH)).await.ok();
    }
    assert_eq!(entry(&world, &store).await["ConnectionState"], "CONNECTED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_gets_it() {
    let (world, proxy) = World::with_proxy(5).await;
    let world = Arc::new(world);
    let race = async |operation: &'static str, input: Value, lost: &[&str]| {
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let (world, input) = (Arc::clone(&world), input.clone());
            racers.spawn(async move { world.call(operation, input).await });
        }
        let (mut won, mut body) = (0, Value::Null);
        while let Some(answer) = racers.join_next().await {
            let answer = answer.unwrap();
            match answer.error {
                None => (won, body) = (won + 1, answer.body),
                Some(code) => assert!(lost.contains(&code), "{code}"),
            }
        }
        assert_eq!(won, 1, "{operation}");
        body
    };
    let taken = ["CustomKeyStoreNameInUseException", "XksProxyUriInUseException"];
    let made = race("CreateCustomKeyStore", new_store("outside", PATH), &taken).await;
    let store = text(&made["CustomKeyStoreId"]);
    world.call("ConnectCustomKeyStore", of(&store)).await.ok();
    race("CreateKey", new_external_key(&store, "external"), &["XksKeyAlreadyInUseException"]).await;
    race("DisconnectCustomKeyStore", of(&store), &["CustomKeyStoreInvalidStateException"]).await;
    assert_eq!(findings(&world).await, []);
    drop(proxy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_never_made_in_a_store_that_is_being_deleted() {
    for seed in 0..8 {
        let (world, _, store) = connected(50 + seed).await;
        let world = Arc::new(world);
        let making = {
            let (world, input) = (Arc::clone(&world), new_external_key(&store, "external"));
            tokio::spawn(async move { world.call("CreateKey", input).await.error })
        };
        world.call("DisconnectCustomKeyStore", of(&store)).await.ok();
        let deleted = world.call("DeleteCustomKeyStore", of(&store)).await.error;
        match (making.await.unwrap(), deleted) {
            (None, Some("CustomKeyStoreHasCMKsException")) => {}
            (Some("CustomKeyStoreInvalidStateException" | "CustomKeyStoreNotFoundException"), None) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(findings(&world).await, []);
    }
}

#[tokio::test]
async fn another_process_sees_at_once_that_a_store_was_disconnected() {
    let (world, proxy, store) = connected(6).await;
    let key = new_key(&world, &store, "external").await;
    let blob = world.sealed(&key).await;
    let options = EngineOptions { shared: true, xks: Arc::clone(&proxy) as _, ..EngineOptions::default() };
    let mut other = World::new(7).await;
    other.engine = world.open_with(options).await.unwrap();
    other.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
    world.call("DisconnectCustomKeyStore", of(&store)).await.ok();
    proxy.asked();
    let answer = other.call("Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(answer.error, Some("KMSInvalidStateException"));
    assert_eq!(proxy.asked(), []);
}

#[tokio::test]
async fn every_failure_of_a_proxy_is_an_exception_that_the_api_has() {
    let (world, proxy, store) = connected(8).await;
    let key = new_key(&world, &store, "external").await;
    let blob = world.sealed(&key).await;
    for failure in XksError::ALL {
        proxy.fails(Some(*failure));
        let calls = [
            ("CreateCustomKeyStore", new_store("second", "/second/kms/xks/v1")),
            ("UpdateCustomKeyStore", json!({"CustomKeyStoreId": store, "XksProxyUriPath": "/b/kms/xks/v1"})),
            ("CreateKey", new_external_key(&store, "second")),
            ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})),
            ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
            ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
            ("Decrypt", json!({"CiphertextBlob": blob})),
            ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
        ];
        for (operation, input) in calls {
            let answer = world.call(operation, input).await;
            let code = answer.error.unwrap_or_else(|| panic!("{operation} succeeds with {failure:?}"));
            let model = bulla_api::model::operation(bulla_api::Service::Kms, operation).unwrap();
            assert!(model.errors.contains(&code), "{operation} fails with {code} for {failure:?}");
            answer.fails(code, &failure.to_string());
        }
    }
    proxy.fails(None);
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn a_proxy_that_lies_is_noticed() {
    let (world, proxy, store) = connected(9).await;
    let key = new_key(&world, &store, "external").await;
    let blob = world.sealed(&key).await;
    proxy.lies(true);
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.fails(
        "KMSInvalidStateException",
        "The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, \
         missing, or otherwise invalid.",
    );
}

#[tokio::test]
async fn unhealthy_proxies_connect_nothing() {
    let (world, proxy) = World::with_proxy(10).await;
    proxy.is_unhealthy(true);
    let answer = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await;
    assert_eq!(answer.error, Some("XksProxyUriUnreachableException"));
    proxy.is_unhealthy(false);
    let made = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await.ok();
    let store = text(&made["CustomKeyStoreId"]);
    proxy.is_unhealthy(true);
    world.call("ConnectCustomKeyStore", of(&store)).await.ok();
    assert_eq!(entry(&world, &store).await["ConnectionErrorCode"], "XKS_PROXY_NOT_REACHABLE");
}

#[tokio::test]
async fn nobody_waits_for_a_proxy_that_another_named() {
    let (world, proxy) = World::with_proxy(14).await;
    let existing = world.new_key().await;
    proxy.is_silent(true);
    let waiting = world.call("CreateCustomKeyStore", new_store("outside", PATH));
    tokio::pin!(waiting);
    let asked = async {
        while proxy.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut waiting => panic!("a silent proxy was not waited for"),
        () = asked => {}
    }
    let others = async {
        let key = world.new_key().await;
        world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
        world.call("CreateGrant", json!({"KeyId": existing, "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:root"), "Operations": ["Encrypt"]})).await.ok();
    };
    tokio::select! {
        _ = &mut waiting => panic!("a silent proxy was not waited for"),
        done = tokio::time::timeout(Duration::from_secs(10), others) => done.expect("they wait for the proxy too"),
    }
}

#[tokio::test]
async fn the_secret_is_told_to_nobody() {
    let (world, _, store) = connected(11).await;
    let wrong = json!({"AccessKeyId": ACCESS_KEY_ID, "RawSecretAccessKey": SECRET.replace('F', "G")});
    let answer = world
        .call(
            "UpdateCustomKeyStore",
            json!({"CustomKeyStoreId": store, "XksProxyAuthenticationCredential": wrong}),
        )
        .await;
    assert_eq!(answer.error, Some("XksProxyIncorrectAuthenticationCredentialException"));
    let described = entry(&world, &store).await;
    assert_eq!(described["XksProxyConfiguration"]["AccessKeyId"], ACCESS_KEY_ID);
    let told = format!("{described}{:?}{:?}", world.records().await, answer.body);
    assert!(told.contains("CreateCustomKeyStore") && !told.contains(&SECRET[5..20]));
}

#[tokio::test]
async fn without_a_client_nothing_outside_is_reached() {
    let world = World::new(12).await;
    let answer = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await;
    assert_eq!(answer.error, Some("XksProxyUriUnreachableException"));
}
