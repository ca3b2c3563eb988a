//! The engine behind the server under test: in memory, with one account.

use bulla_audit::MemorySink;
use bulla_crypto::{RootKey, SystemRng};
use bulla_engine::{Clock, Engine, EngineOptions, EngineParts, NewStore, SystemClock};
use bulla_store::SimDisk;
use std::sync::Arc;

/// An engine, what it records, and its root user's access key.
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) audit: Arc<MemorySink>,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    clock: Arc<SystemClock>,
}

impl Service {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(SystemClock::new());
        let audit = Arc::new(MemorySink::new());
        let parts = EngineParts {
            store: Arc::new(SimDisk::new(1).open()),
            root: RootKey::generate(&SystemRng).unwrap(),
            clock: clock.clone(),
            rng: Arc::new(SystemRng),
            audit: audit.clone(),
            options: EngineOptions::default(),
        };
        let regions = vec!["us-east-1".parse().unwrap(), "eu-central-1".parse().unwrap()];
        let new = NewStore { account: Some("111122223333".parse().unwrap()), regions, passphrase: None };
        let engine = Engine::create(parts, new).await.unwrap();
        let account = engine.first_account().await.unwrap();
        let key = engine.root_access_key(account).await.unwrap();
        Self {
            engine: Arc::new(engine),
            audit,
            access_key_id: key.access_key_id.clone(),
            secret_access_key: String::from_utf8(key.secret_access_key.expose().to_vec()).unwrap(),
            clock,
        }
    }

    pub(crate) fn now_seconds(&self) -> i64 {
        self.clock.wall_ms() / 1000
    }
}
