//! RSA pairs that are made before anybody asks, and what goes on while they are made.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::key_material::{KeyPair, PairSpec};
use bulla_engine::Engine;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{HELLO, World, text};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Far more than making a few pairs takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server's background, until told to stop.
struct Background(oneshot::Sender<()>, JoinHandle<()>);

impl Background {
    fn of(engine: &Engine) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = engine.clone();
        let task = tokio::spawn(async move {
            engine
                .background(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Self(stop, task)
    }

    async fn stop(self) {
        drop(self.0);
        self.1.await.unwrap();
    }
}

/// Waits for the background to make as many.
async fn wait_for_pairs(engine: &Engine, count: usize) {
    let start = Instant::now();
    while engine.status().pairs_in_stock < count {
        assert!(start.elapsed() < PATIENCE, "{:?}", engine.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn pair(world: &World, key: &str, spec: &str) -> Value {
    world.call("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": spec})).await.ok()
}

#[tokio::test]
async fn each_pair_is_given_out_once() {
    let world = Arc::new(World::new(1).await);
    let key = world.new_key().await;
    let background = Background::of(&world.engine);
    let mut pairs = vec![pair(&world, &key, "RSA_2048").await];
    wait_for_pairs(&world.engine, 4).await;
    background.stop().await;
    assert_eq!(world.engine.status().pairs_in_stock, 4);
    let askers = (0..6).map(|_| {
        let (world, key) = (Arc::clone(&world), key.clone());
        tokio::spawn(async move { pair(&world, &key, "RSA_2048").await })
    });
    for asker in askers.collect::<Vec<_>>() {
        pairs.push(asker.await.unwrap());
    }
    assert_eq!(world.engine.status().pairs_in_stock, 0);
    let publics: HashSet<String> = pairs.iter().map(|pair| text(&pair["PublicKey"])).collect();
    let privates: HashSet<String> = pairs.iter().map(|pair| text(&pair["PrivateKeyPlaintext"])).collect();
    assert_eq!((publics.len(), privates.len()), (7, 7));
    for pair in pairs {
        let private = STANDARD.decode(text(&pair["PrivateKeyPlaintext"])).unwrap();
        let opened = KeyPair::import_pkcs8(PairSpec::Rsa2048, &private).unwrap();
        assert_eq!(STANDARD.encode(opened.public_key_spki_der().unwrap()), text(&pair["PublicKey"]));
        let blob = json!({"CiphertextBlob": pair["PrivateKeyCiphertextBlob"]});
        assert_eq!(world.call("Decrypt", blob).await.ok()["Plaintext"], pair["PrivateKeyPlaintext"]);
    }
}

#[tokio::test]
async fn the_second_request_finds_a_pair_made_ahead() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let background = Background::of(&world.engine);
    pair(&world, &key, "RSA_2048").await;
    wait_for_pairs(&world.engine, 4).await;
    background.stop().await;
    // Other specs have no part in it, and of those asked for without a background none is made.
    pair(&world, &key, "RSA_3072").await;
    pair(&world, &key, "ECC_NIST_P256").await;
    assert_eq!(world.engine.status().pairs_in_stock, 4);
    let input = json!({"KeyId": key, "KeyPairSpec": "RSA_2048"});
    world.call("GenerateDataKeyPairWithoutPlaintext", input).await.ok();
    assert_eq!(world.engine.status().pairs_in_stock, 3);
    // A server makes up for it as soon as one is asked for again.
    let background = Background::of(&world.engine);
    pair(&world, &key, "RSA_2048").await;
    wait_for_pairs(&world.engine, 6).await;
    background.stop().await;
}

#[tokio::test]
async fn nothing_is_made_for_who_may_not_or_does_not_ask() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let background = Background::of(&world.engine);
    let dry = json!({"KeyId": key, "KeyPairSpec": "RSA_2048", "DryRun": true});
    assert_eq!(world.call("GenerateDataKeyPair", dry).await.error, Some("DryRunOperationException"));
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    let disabled = world.call("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": "RSA_4096"})).await;
    assert_eq!(disabled.error, Some("DisabledException"));
    world.call("EnableKey", json!({"KeyId": key})).await.ok();
    // What is made after this is of the one spec that was asked for.
    pair(&world, &key, "RSA_3072").await;
    wait_for_pairs(&world.engine, 2).await;
    background.stop().await;
    assert_eq!(world.engine.status().pairs_in_stock, 2);
    pair(&world, &key, "RSA_2048").await;
    assert_eq!(world.engine.status().pairs_in_stock, 2);
}

/// On one thread: whoever computes on it holds up everybody.
#[tokio::test(flavor = "current_thread")]
async fn others_are_answered_while_large_pairs_are_made() {
    let world = Arc::new(World::new(4).await);
    let key = world.new_key().await;
    let background = Background::of(&world.engine);
    let makers = (0..2).map(|_| {
        let (world, key) = (Arc::clone(&world), key.clone());
        tokio::spawn(async move { pair(&world, &key, "RSA_4096").await })
    });
    let makers: Vec<_> = makers.collect();
    let mut answered = 0;
    while !makers.iter().all(JoinHandle::is_finished) {
        world.call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await.ok();
        answered += 1;
        tokio::task::yield_now().await;
    }
    assert!(answered > 50, "{answered}");
    for maker in makers {
        maker.await.unwrap();
    }
    background.stop().await;
}

#[tokio::test]
async fn what_is_imported_is_wrapped_under_keys_made_ahead() {
    let world = World::new(6).await;
    let made = world.call("CreateKey", json!({"Origin": "EXTERNAL"})).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    let background = Background::of(&world.engine);
    world.wrapped(&key, &support::MATERIAL).await;
    wait_for_pairs(&world.engine, 4).await;
    background.stop().await;
    world.import(&key, &support::MATERIAL, json!({})).await.ok();
    assert_eq!(world.engine.status().pairs_in_stock, 3);
    world.call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await.ok();
}

#[tokio::test]
async fn nothing_is_left_after_closing() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let background = Background::of(&world.engine);
    pair(&world, &key, "RSA_2048").await;
    wait_for_pairs(&world.engine, 1).await;
    // While more are being made.
    world.engine.close().await.unwrap();
    assert_eq!(world.engine.status().pairs_in_stock, 0);
    background.stop().await;
    assert_eq!(world.engine.status().pairs_in_stock, 0);
}
