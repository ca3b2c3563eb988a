//! What all parts of the engine share: the store's records, what is kept of them in memory, and the seams.

use crate::accounts;
use crate::audit_watch::AuditWatch;
use crate::background;
use crate::cache::{Cache, Epoch};
use crate::clock::Clock;
use crate::clock_watch::ClockWatch;
use crate::credentials::Credential;
use crate::engine::{EngineOptions, EngineParts, NewStore, OpenError, Status};
use crate::fault::Fault;
use crate::grants::Grant;
use crate::identities::Entity;
use crate::identity_policies::IdentityPolicies;
use crate::identity_usage::IdentityUsage;
use crate::key_policy::CompiledKeyPolicy;
use crate::key_stores::KeyStore;
use crate::keys::{Alias, Key};
use crate::material::{Material, MaterialKey};
use crate::oidc::Keyring;
use crate::outbox::OutboxHead;
use crate::preauth::PreAuth;
use crate::request::IdSource;
use crate::slow::Slow;
use crate::stock::Stock;
use crate::trust_policy::CompiledTrustPolicy;
use crate::usage::Usage;
use bulla_api::{AccountId, AliasName, KeyId, LocalFailure, LocalFailureKind, PARTITION, Region};
use bulla_crypto::Rng;
use bulla_policy::Policy;
use bulla_store::{Feed, StoreParams, Vault};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, Notify};

/// The engine's inside.
pub(crate) struct Core {
    pub(crate) vault: Vault,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) ids: IdSource,
    pub(crate) audit: AuditWatch,
    pub(crate) options: EngineOptions,
    /// Those served, the default one first.
    pub(crate) regions: Vec<Region>,
    pub(crate) epoch: Epoch,
    pub(crate) keys: Cache<(AccountId, Region, KeyId), Arc<Key>>,
    pub(crate) key_policies: Cache<(AccountId, Region, KeyId), Arc<CompiledKeyPolicy>>,
    /// Of whom has few of a key.
    pub(crate) grants: Cache<(AccountId, Region, KeyId, String), Arc<[Grant]>>,
    pub(crate) aliases: Cache<(AccountId, Region, AliasName), Arc<Alias>>,
    pub(crate) key_stores: Cache<(AccountId, Region, String), Arc<KeyStore>>,
    pub(crate) materials: Cache<MaterialKey, Arc<Material>>,
    pub(crate) credentials: Cache<String, Arc<Credential>>,
    /// Users and roles, as principals have them.
    pub(crate) identities: Cache<(AccountId, String), Arc<Entity>>,
    pub(crate) identity_policies: Cache<(AccountId, String), Arc<IdentityPolicies>>,
    /// Of roles that were to be assumed.
    pub(crate) trust_policies: Cache<(AccountId, String), Arc<CompiledTrustPolicy>>,
    /// Policies that sessions carry, by their text.
    pub(crate) session_policies: Cache<String, Arc<Policy>>,
    pub(crate) oidc: Keyring,
    pub(crate) preauth: PreAuth,
    pub(crate) clock_watch: ClockWatch,
    /// Held around each commit, so that changes of this process queue up instead of conflicting.
    pub(crate) outbox: Mutex<Option<OutboxHead>>,
    /// See [`Change::take_turn`](crate::change::Change::take_turn).
    pub(crate) counting: Arc<Mutex<()>>,
    pub(crate) outbox_pending: AtomicU64,
    pub(crate) outbox_filled: Notify,
    pub(crate) relaying: Mutex<()>,
    /// Uses of keys that are not written yet.
    pub(crate) usage: Usage,
    /// Uses of access keys and roles that are not written yet.
    pub(crate) identity_usage: IdentityUsage,
    /// Deleted material may still stand in the store's files.
    pub(crate) purge_wanted: AtomicBool,
    /// Access keys of roots that are in use, as they were counted last; [`NOT_COUNTED`] before.
    pub(crate) root_keys_in_use: AtomicU64,
    /// Places for work that takes long.
    pub(crate) slow: Slow,
    /// Data key pairs made before anybody asked.
    pub(crate) stock: Stock,
    seen_revision: AtomicU64,
}

/// What no count comes to.
const NOT_COUNTED: u64 = u64::MAX;

/// Access keys kept in memory.
const CREDENTIALS_MAX: usize = 10_000;
/// Users and roles kept in memory, and their policies.
const IDENTITIES_MAX: usize = 10_000;
/// Policies of sessions kept in memory. Each has a few thousand characters at most.
const SESSION_POLICIES_MAX: usize = 1_000;
/// Custom key stores kept in memory.
const KEY_STORES_MAX: usize = 10_000;

/// Most regions of a store: what is done to a multi-Region key and all its replicas is one commit.
pub const REGIONS_MAX: usize = 30;

impl Core {
    pub(crate) async fn create(parts: EngineParts, new: NewStore) -> Result<Self, OpenError> {
        refuse_too_many(new.regions.len())?;
        let account = new.account.unwrap_or_else(|| accounts::random_id(&*parts.rng));
        let params = StoreParams {
            partition: PARTITION.to_owned(),
            account: account.to_string(),
            regions: new.regions.iter().map(ToString::to_string).collect(),
            now_ms: parts.clock.wall_ms(),
            passphrase: new.passphrase,
        };
        Vault::create(Arc::clone(&parts.store), &parts.root, params, Arc::clone(&parts.rng)).await?;
        Self::open(parts).await
    }

    pub(crate) async fn open(parts: EngineParts) -> Result<Self, OpenError> {
        let EngineParts { store, root, clock, rng, audit, options } = parts;
        // Before anything is read: a change between reading and this is then seen by the first refresh.
        let revision = store.revision().await.map_err(bulla_store::OpenError::from)?;
        let vault = Vault::open(store, &root, Arc::clone(&rng)).await?;
        let named: Vec<String> = options.regions.iter().map(ToString::to_string).collect();
        let known = vault.header().regions();
        let in_order =
            named.iter().zip(&known).all(|(named, known)| named == known) && named.len() <= known.len();
        if !in_order {
            let new = named.iter().filter(|region| !known.contains(region)).count();
            if new > 0 {
                refuse_too_many(known.len() + new)?;
            }
            vault.update_header(|header| header.set_regions(&named)).await.map_err(Fault::from)?;
        }
        let regions = vault
            .header()
            .regions()
            .iter()
            .map(|region| region.parse())
            .collect::<Result<Vec<Region>, _>>()
            .map_err(|_| Fault::Incomplete("the store's regions"))?;
        let core = Self {
            clock_watch: ClockWatch::new(&*clock),
            ids: IdSource::new(Arc::clone(&rng)),
            clock,
            rng,
            audit: AuditWatch::new(audit),
            regions,
            epoch: Epoch::default(),
            keys: Cache::new(options.cached_records_max),
            key_policies: Cache::new(options.cached_records_max),
            grants: Cache::new(options.cached_records_max),
            aliases: Cache::new(options.cached_records_max),
            key_stores: Cache::new(KEY_STORES_MAX),
            materials: Cache::new(options.cached_materials_max),
            credentials: Cache::new(CREDENTIALS_MAX),
            identities: Cache::new(IDENTITIES_MAX),
            identity_policies: Cache::new(IDENTITIES_MAX),
            trust_policies: Cache::new(IDENTITIES_MAX),
            session_policies: Cache::new(SESSION_POLICIES_MAX),
            oidc: Keyring::new(&options.oidc_keys, Arc::clone(&options.oidc)),
            preauth: PreAuth::default(),
            outbox: Mutex::default(),
            counting: Arc::default(),
            outbox_pending: AtomicU64::new(0),
            outbox_filled: Notify::new(),
            relaying: Mutex::default(),
            usage: Usage::default(),
            identity_usage: IdentityUsage::default(),
            purge_wanted: AtomicBool::new(false),
            slow: Slow::default(),
            root_keys_in_use: AtomicU64::new(NOT_COUNTED),
            stock: Stock::default(),
            seen_revision: AtomicU64::new(revision),
            vault,
            options,
        };
        let core = Arc::new(core);
        core.complete_first_account().await?;
        core.read_clock_watch().await?;
        core.count_outbox().await?;
        Arc::try_unwrap(core).map_err(|_| Fault::bug("an engine that is being opened is in use").into())
    }

    /// Looks for others' changes and drops from memory what they made stale.
    pub(crate) async fn refresh(&self) -> Result<(), Fault> {
        let store = self.vault.store();
        let revision = store.revision().await.map_err(bulla_store::VaultError::from)?;
        loop {
            let seen = self.seen_revision.load(Ordering::SeqCst);
            if seen >= revision {
                return Ok(());
            }
            let feed = store.feed(seen).await.map_err(bulla_store::VaultError::from)?;
            self.epoch.advance();
            let next = match feed {
                Feed::Changes { changes, next } => {
                    changes.iter().for_each(|change| self.forget(&change.path));
                    next
                }
                Feed::Lost { next } => {
                    self.forget_all();
                    next
                }
            };
            self.vault.reload_header().await?;
            self.seen_revision.fetch_max(next.max(seen + 1), Ordering::SeqCst);
        }
    }

    pub(crate) fn status(&self) -> Status {
        let header = self.vault.header();
        Status {
            store_id: header.store_id().to_owned(),
            accounts: header.accounts().len(),
            regions: self.regions.clone(),
            recovery_exported: header.recovery_exported(),
            clock: self.clock_watch.state(),
            cached_keys: self.keys.len(),
            cached_materials: self.materials.len(),
            outbox_pending: self.outbox_pending.load(Ordering::SeqCst),
            pairs_in_stock: self.stock.len(),
            root_keys_in_use: Some(self.root_keys_in_use.load(Ordering::SeqCst))
                .filter(|count| *count != NOT_COUNTED),
        }
    }

    pub(crate) async fn close(self: &Arc<Self>) -> Result<(), LocalFailure> {
        self.stock.close();
        background::flush_refusals(self).await;
        background::tick_if_due(self).await;
        background::write_usage(self).await;
        let relayed = self.relay().await;
        let synced = self.audit.sync().await;
        background::purge_if_wanted(self).await;
        let closed = self.vault.store().close().await;
        let failed = |message: String| LocalFailure { kind: LocalFailureKind::Failed, message };
        relayed.map_err(|fault| fault.to_local_failure().unwrap_or_else(|| failed(fault.to_string())))?;
        synced.map_err(|error| failed(error.to_string()))?;
        closed.map_err(|error| failed(error.to_string()))
    }
}

fn refuse_too_many(regions: usize) -> Result<(), OpenError> {
    if regions <= REGIONS_MAX {
        return Ok(());
    }
    let message =
        format!("a store has at most {REGIONS_MAX} regions, and these would be {regions}; name fewer");
    Err(OpenError::Records(LocalFailure { kind: LocalFailureKind::Failed, message }))
}
