//! The engine: what the server and the command line hold.

use crate::accounts::{Account, NewAccount};
use crate::authenticate::{AuthFailure, Authenticated, Via};
use crate::clock::Clock;
use crate::clock_watch::ClockState;
use crate::core::Core;
use crate::credentials::AccessKey;
use crate::embedded::EmbeddedKms;
use crate::explain::ExplainInput;
use crate::fault::Fault;
use crate::oidc::{IssuerKeys, NoOidcClient, OidcClient};
use crate::request::{Answer, RequestId, RequestMeta};
use crate::xks::{NoXksClient, XksClient};
use bulla_api::{AccountId, ApiError, KmsError, LocalFailure, Region};
use bulla_audit::AuditSink;
use bulla_crypto::attestation::Root;
use bulla_crypto::{Rng, RootKey};
use bulla_sigv4 as sigv4;
use bulla_store::{PassphraseParams, Store};
use std::sync::Arc;
use std::time::Duration;

/// The key management service over one store. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Core>);

/// What an engine is made of.
pub struct EngineParts {
    /// Where records are kept.
    pub store: Arc<dyn Store>,
    /// Opens the store. Used while opening only.
    pub root: RootKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness: key material, ids, nonces.
    pub rng: Arc<dyn Rng>,
    /// Where audit records go.
    pub audit: Arc<dyn AuditSink>,
    /// The rest.
    pub options: EngineOptions,
}

/// How an engine behaves.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Regions to serve, the default one first; those that the store has already remain behind them. Empty: as the store
    /// has them.
    pub regions: Vec<Region>,
    /// Whether other processes change the store too: then each request first looks for their changes.
    pub shared: bool,
    /// Most key records, and most aliases, kept in memory.
    pub cached_records_max: usize,
    /// Most backing keys kept in locked memory. The arena's capacity bounds it too.
    pub cached_materials_max: usize,
    /// A key's last use is written only when the one that is written is older than this. Zero: each minute's, and the last
    /// one when the engine is closed.
    pub usage_granularity: Duration,
    /// Whose attestation documents are believed when a request names a recipient. Empty: nobody's, and such a request is
    /// refused.
    pub attestation_roots: Vec<Root>,
    /// Asks the proxies of external key stores.
    pub xks: Arc<dyn XksClient>,
    /// Keys of issuers of web identities, by URL: of these, no others are believed.
    pub oidc_keys: Vec<(String, Arc<IssuerKeys>)>,
    /// Asks other issuers for theirs.
    pub oidc: Arc<dyn OidcClient>,
}

impl Default for EngineOptions {
    /// For a server that has its store to itself, without external key stores.
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            shared: false,
            cached_records_max: 100_000,
            cached_materials_max: 30_000,
            usage_granularity: Duration::ZERO,
            attestation_roots: Vec::new(),
            xks: Arc::new(NoXksClient),
            oidc_keys: Vec::new(),
            oidc: Arc::new(NoOidcClient),
        }
    }
}

/// What a new store is made with.
#[derive(Debug, Clone)]
pub struct NewStore {
    /// The first account; made at random when absent.
    pub account: Option<AccountId>,
    /// At least one; the first is the default of local calls.
    pub regions: Vec<Region>,
    /// How the root key follows from its passphrase, when it does.
    pub passphrase: Option<PassphraseParams>,
}

/// Why there is no engine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// The store can't be opened or made.
    #[error(transparent)]
    Store(#[from] bulla_store::OpenError),
    /// The store opened, but what it holds can't be used.
    #[error("{0}")]
    Records(LocalFailure),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Records(fault.to_local_failure().unwrap_or_else(|| LocalFailure {
            kind: bulla_api::LocalFailureKind::Failed,
            message: fault.to_string(),
        }))
    }
}

/// How an engine is doing, for health checks and metrics. Nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The store's id.
    pub store_id: String,
    /// Number of accounts.
    pub accounts: usize,
    /// The regions served, the default one first.
    pub regions: Vec<Region>,
    /// Whether a recovery key has been exported.
    pub recovery_exported: bool,
    /// Whether scheduled work may be done.
    pub clock: ClockState,
    /// Key records in memory.
    pub cached_keys: usize,
    /// Backing keys in locked memory.
    pub cached_materials: usize,
    /// Records of changes that wait for the audit log.
    pub outbox_pending: u64,
    /// Data key pairs made before anybody asked, of which each is given out once.
    pub pairs_in_stock: usize,
    /// Access keys of accounts' roots that are in use; none before they were counted, which a server does each minute.
    pub root_keys_in_use: Option<u64>,
}

impl Engine {
    /// Opens the store. A store whose making was interrupted is completed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(parts: EngineParts) -> Result<Self, OpenError> {
        let core = Core::open(parts).await?;
        Ok(Self(Arc::new(core)))
    }

    /// Makes a store with its first account, and opens it.
    ///
    /// # Errors
    /// [`OpenError`]; an existing store is never touched.
    pub async fn create(parts: EngineParts, new: NewStore) -> Result<Self, OpenError> {
        let core = Core::create(parts, new).await?;
        Ok(Self(Arc::new(core)))
    }

    /// A new request id.
    #[must_use]
    pub fn new_request_id(&self) -> RequestId {
        self.0.ids.next()
    }

    /// Verifies a signed request: its caller is the root, the user or the session that its access key belongs to.
    ///
    /// # Errors
    /// What is to be answered; hand it to [`Engine::dispatch`] so that it is recorded.
    pub async fn authenticate(&self, request: &sigv4::Request<'_>) -> Result<Authenticated, AuthFailure> {
        self.0.authenticate(request).await
    }

    /// The root of an account, for a caller of this host; of the store's first account and in its first region when
    /// nothing else is said.
    ///
    /// # Errors
    /// An account or region that the store doesn't have; a store that can't be read.
    pub async fn local_caller(
        &self,
        account: Option<AccountId>,
        region: Option<Region>,
        via: Via,
    ) -> Result<Authenticated, ApiError> {
        self.0.local_caller(account, region, via).await
    }

    /// Does a request and gives the recorded answer, whatever happens.
    ///
    /// `target` is `X-Amz-Target` (`TrentService.Decrypt`; `BullaAdmin.…` for local callers); an empty one means the Query
    /// protocol. `body` is the very bytes that were signed; it is used as scratch space.
    pub async fn dispatch(
        &self,
        caller: Result<Authenticated, AuthFailure>,
        meta: RequestMeta,
        target: &str,
        body: &mut [u8],
    ) -> Answer {
        self.0.dispatch(caller, meta, target, body).await
    }

    /// This engine as a [`Kms`](bulla_api::Kms) for one caller. `description` names it and the setting that chose it.
    #[must_use]
    pub fn kms(&self, caller: Authenticated, description: impl Into<String>) -> EmbeddedKms {
        EmbeddedKms::new(Arc::clone(&self.0), caller, description.into())
    }

    /// Scheduled work, the relay of audit records, the last seen time, the stock of data key pairs: until `shutdown` is ready.
    pub async fn background(&self, shutdown: impl Future<Output = ()> + Send) {
        crate::background::run(&self.0, shutdown).await;
    }

    /// One round of what [`Engine::background`] does each minute. [`Engine::close`] does one too, if the last is long ago.
    pub async fn tick(&self) {
        crate::background::tick(&self.0).await;
    }

    /// Carries out what is due, relays and syncs all audit records, then closes the store. A command calls this before it
    /// exits.
    ///
    /// # Errors
    /// Records that could not be written: they are kept in the store, and relayed by whoever opens it next.
    pub async fn close(&self) -> Result<(), LocalFailure> {
        self.0.close().await
    }

    /// Looks for others' changes of the store and drops what they made stale. With [`EngineOptions::shared`], each request
    /// does this by itself.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn refresh(&self) -> Result<(), KmsError> {
        self.0.refresh().await.map_err(|fault| self.local(&fault))
    }

    /// Makes an account with a root access key.
    ///
    /// # Errors
    /// The id is taken, or the store can't be written.
    pub async fn create_account(&self, new: NewAccount) -> Result<(Account, AccessKey), ApiError> {
        self.0.create_account(new).await.map_err(|fault| fault.answer_and_log())
    }

    /// All accounts, the first one first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, ApiError> {
        self.0.accounts().await.map_err(|fault| fault.answer_and_log())
    }

    /// The root access key of an account, for writing the credentials file of a new server.
    ///
    /// # Errors
    /// No such account, or the store can't be read.
    pub async fn root_access_key(&self, account: AccountId) -> Result<AccessKey, ApiError> {
        self.0.root_access_key(account).await.map_err(|fault| fault.answer_and_log())
    }

    /// Replaces the access key of an account's root. The old one is gone.
    ///
    /// # Errors
    /// No such account, or the store can't be written.
    pub async fn reset_root_access_key(&self, account: AccountId) -> Result<AccessKey, ApiError> {
        self.0.reset_root(account).await.map_err(|fault| fault.answer_and_log())
    }

    /// Takes the access key of an account's root out of use, until it is replaced. Gives its id.
    ///
    /// # Errors
    /// No such account, or the store can't be written.
    pub async fn disable_root_access_key(&self, account: AccountId) -> Result<String, ApiError> {
        self.0.disable_root(account).await.map_err(|fault| fault.answer_and_log())
    }

    /// Gives a key the default policy, whatever the one that it has says: the way out of one that lets nobody change it. Gives the
    /// key's ARN.
    ///
    /// # Errors
    /// No such key, or the store can't be written.
    pub async fn reset_key_policy(&self, caller: &Authenticated, key: &str) -> Result<String, ApiError> {
        self.0.reset_key_policy(caller, key).await.map_err(|fault| fault.answer_and_log())
    }

    /// Whether the access key of an account's root is in use.
    ///
    /// # Errors
    /// No such account, or the store can't be read.
    pub async fn root_access_key_is_enabled(&self, account: AccountId) -> Result<bool, ApiError> {
        self.0.root_is_enabled(account).await.map_err(|fault| fault.answer_and_log())
    }

    /// The store's first account.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn first_account(&self) -> Result<AccountId, ApiError> {
        let accounts = self.0.account_ids().await.map_err(|fault| fault.answer_and_log())?;
        accounts.first().copied().ok_or_else(ApiError::internal)
    }

    /// The regions served, the default one first.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.0.regions
    }

    /// Whether a recovery key has been exported.
    #[must_use]
    pub fn recovery_exported(&self) -> bool {
        self.0.vault.header().recovery_exported()
    }

    /// Remembers that a recovery key has been exported.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn record_recovery_exported(&self) -> Result<(), ApiError> {
        let done = self.0.record_recovery_exported().await;
        let recorded = match done {
            Ok(()) => self.0.record_operator("RecoveryKeyExported").await,
            Err(fault) => Err(fault),
        };
        recorded.map_err(|fault| fault.answer_and_log())
    }

    /// The operator says that the wall clock is right: scheduled work goes on.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn accept_clock(&self) -> Result<(), ApiError> {
        let done = self.0.accept_clock().await;
        let recorded = match done {
            Ok(()) => self.0.record_operator("AcceptClock").await,
            Err(fault) => Err(fault),
        };
        recorded.map_err(|fault| fault.answer_and_log())
    }

    /// Why a request would be allowed or denied: JSON, as `BullaAdmin.ExplainPolicy` answers. Keys are looked for by name in the
    /// caller's account and region.
    ///
    /// # Errors
    /// A principal or a key that isn't there; the store can't be read.
    pub async fn explain(
        &self,
        caller: &Authenticated,
        input: &ExplainInput,
    ) -> Result<serde_json::Value, ApiError> {
        let explained = self.0.explain(caller, input).await.map_err(|fault| fault.answer_and_log())?;
        serde_json::to_value(&explained).map_err(|_| ApiError::internal())
    }

    /// How the engine is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Whether requests can be answered: the store can be read, its files are where they were opened, and the audit log written to the disk.
    ///
    /// # Errors
    /// What is wrong, for a health check.
    pub async fn ready(&self) -> Result<(), String> {
        self.0.vault.store().ready().await.map_err(|error| error.to_string())?;
        self.0.audit.sync().await.map_err(|error| error.to_string())
    }

    fn local(&self, fault: &Fault) -> KmsError {
        match fault.to_local_failure() {
            Some(failure) => KmsError::Store(failure),
            None => KmsError::Answered { error: fault.to_answer(), kms: "the embedded KMS".to_owned() },
        }
    }
}
