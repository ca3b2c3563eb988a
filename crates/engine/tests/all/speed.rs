//! What a request costs in the engine. Measurements, not run by default: `cargo test --release -p bulla-engine --test all speed
//! -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use crate::support;

use bulla_audit::{AuditError, AuditSink, Entry, FileSink, Recorded, RelayMark, SyncPolicy};
use bulla_crypto::SystemRng;
use bulla_engine::{Engine, EngineOptions, EngineParts, NewStore, RequestMeta, SystemClock};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use support::{REGION, Read, World, text};

const ROUNDS: u32 = 20_000;

/// Time on a processor of this thread: others' load doesn't count. Nanoseconds.
fn thread_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn micros_each(start_ns: u64) -> f64 {
    (thread_ns() - start_ns) as f64 / 1000.0 / f64::from(ROUNDS)
}

/// Takes records and forgets them.
struct NoSink;

impl AuditSink for NoSink {
    fn record(&self, entry: Entry) -> Recorded<'_> {
        drop(entry);
        Box::pin(std::future::ready(Ok::<(), AuditError>(())))
    }

    fn relay(&self, _entries: Vec<(RelayMark, Entry)>) -> Recorded<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn sync(&self) -> Recorded<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn engine(audit: Arc<dyn AuditSink>) -> Engine {
    let disk = bulla_store::SimDisk::new(1);
    disk.set_yields_max(0);
    let parts = EngineParts {
        store: Arc::new(disk.open()),
        root: support::root_key(),
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(SystemRng),
        audit,
        options: EngineOptions::default(),
    };
    let new = NewStore { account: None, regions: vec![REGION.parse().unwrap()], passphrase: None };
    Engine::create(parts, new).await.unwrap()
}

async fn measure(name: &str, engine: &Engine) {
    let caller = engine.local_caller(None, None, bulla_engine::Via::Embedded).await.unwrap();
    let call = |target: &'static str, body: Vec<u8>| {
        let (engine, caller) = (engine.clone(), caller.clone());
        async move {
            let mut body = body;
            let meta = RequestMeta::local(engine.new_request_id(), "aws-cli/2.0");
            engine.dispatch(Ok(caller), meta, target, &mut body).await
        }
    };
    let made = Read::of(call("TrentService.CreateKey", b"{}".to_vec()).await).ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    let generate = serde_json::to_vec(&json!({
        "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"app": "backup"},
    }))
    .unwrap();
    let generated = Read::of(call("TrentService.GenerateDataKey", generate.clone()).await).ok();
    let decrypt = serde_json::to_vec(&json!({
        "CiphertextBlob": generated["CiphertextBlob"], "EncryptionContext": {"app": "backup"},
    }))
    .unwrap();
    for (target, body) in [("TrentService.GenerateDataKey", generate), ("TrentService.Decrypt", decrypt)] {
        let start = thread_ns();
        for _ in 0..ROUNDS {
            assert_eq!(call(target, body.clone()).await.status(), 200);
        }
        println!("{name} {target}: {:.2} us", micros_each(start));
    }
    let mut tasks = Vec::new();
    let start = Instant::now();
    for _ in 0..64 {
        let (engine, caller, key) = (engine.clone(), caller.clone(), key.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..ROUNDS / 16 {
                let mut body = serde_json::to_vec(&json!({"KeyId": key, "KeySpec": "AES_256"})).unwrap();
                let meta = RequestMeta::local(engine.new_request_id(), "aws-cli/2.0");
                let answer = engine
                    .dispatch(Ok(caller.clone()), meta, "TrentService.GenerateDataKey", &mut body)
                    .await;
                assert_eq!(answer.status(), 200);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let rate = f64::from(ROUNDS * 4) / start.elapsed().as_secs_f64();
    println!("{name} 64 at once: {rate:.0} requests/s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn dispatch() {
    measure("no sink", &engine(Arc::new(NoSink)).await).await;
    let directory = tempfile::tempdir().unwrap();
    let sink = FileSink::open(&directory.path().join("audit.log"), SyncPolicy::WithinASecond).unwrap();
    measure("file sink", &engine(Arc::new(sink)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn authenticate() {
    let world = World::new(1).await;
    let signer = world.signer(support::ACCOUNT).await;
    let body = b"{\"KeyId\":\"alias/backup\",\"KeySpec\":\"AES_256\"}";
    let kept = std::sync::Mutex::new(Vec::new());
    let target = "TrentService.GenerateDataKey";
    world
        .authenticate(&signer, target, body, |headers| *kept.lock().unwrap() = headers.clone())
        .await
        .unwrap();
    let kept = kept.into_inner().unwrap();
    let headers: Vec<(&str, &[u8])> =
        kept.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request =
        bulla_engine::SignedRequest { method: "POST", path_and_query: "/", headers: &headers, body };
    let start = thread_ns();
    for _ in 0..ROUNDS {
        world.engine.authenticate(&request).await.unwrap();
    }
    println!("authenticate: {:.2} us", micros_each(start));
}

/// Dry runs end where they are allowed: what they cost more than a call that asks for nothing is parsing and the decision, by
/// the key's policy for a root, and by an identity's two statements beside it for a user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn authorize() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let arn = support::key_arn(support::ACCOUNT, REGION, &key);
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Encrypt", "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Encrypt"], "Resource": [arn],
         "Condition": {"StringEquals": {"kms:EncryptionContext:app": "backup"}}},
        {"Sid": "Describe", "Effect": "Allow", "Action": ["kms:DescribeKey"], "Resource": [arn]},
    ]});
    world.call("CreateUser", json!({"UserName": "host"})).await.ok();
    let put = json!({"UserName": "host", "PolicyName": "bulla-access", "PolicyDocument": policy.to_string()});
    world.call("PutUserPolicy", put).await.ok();
    let made = world.call("CreateAccessKey", json!({"UserName": "host"})).await.ok();
    let signer = support::Signer {
        access_key_id: text(&made["AccessKey"]["AccessKeyId"]),
        secret: text(&made["AccessKey"]["SecretAccessKey"]),
        region: REGION,
        service: "kms",
    };
    let user = world.authenticate(&signer, "", b"", |_| ()).await.unwrap();
    let dry_run = json!({
        "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"app": "backup"}, "DryRun": true,
    });
    let dry_run = serde_json::to_vec(&dry_run).unwrap();
    let identity = "AWSSecurityTokenServiceV20110615.GetCallerIdentity";
    for (what, caller, target, body, status) in [
        ("nothing, root", &world.caller().await, identity, b"{}".to_vec(), 200),
        ("a dry run, root", &world.caller().await, "TrentService.GenerateDataKey", dry_run.clone(), 400),
        ("a dry run, user", &user, "TrentService.GenerateDataKey", dry_run, 400),
    ] {
        let start = thread_ns();
        for _ in 0..ROUNDS {
            let mut body = body.clone();
            let answer = world.engine.dispatch(Ok(caller.clone()), world.meta(), target, &mut body).await;
            assert_eq!(answer.status(), status);
        }
        println!("{what}: {:.2} us", micros_each(start));
        drop(world.sink.take());
    }
}
