//! The engine over the store in a data directory: in this process, or in the `bulla serve` that holds it.
//!
//! Each call opens the store and closes it again, under the two locks of [`bulla_store::DataDir`]: so commands run
//! side by side, notice each other's changes, and hold nothing while a body moves. Where one call follows another at
//! once, the second finds the store still open ([`LocalKms::acting`]).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bulla_api::{
    self as api, AccountId, ApiError, CallFuture, Effect, ErrorCode, KeyRef, Kms, KmsError, LocalFailure,
    LocalFailureKind, Operation, Region,
};
use bulla_crypto::RootKey;
use bulla_engine::{Authenticated, EmbeddedKms, Engine, EngineOptions, Via, XksClient};
use bulla_store::{CallLock, DataDir, DataDirError, Reach, RootKeySource, SharedServeLock};

use super::caller::Caller;
use super::socket::{AdminRequest, SocketClient};
use crate::opening;
use crate::place::Place;

/// Alias of the key that `encrypt` makes when none is named.
pub(crate) const DEFAULT_ALIAS: &str = "alias/default";
/// Region of a store for which none was named.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";
/// Key records, and backing keys, that one call can need.
const CACHED_MAX: usize = 64;
/// How exactly a key's last use is kept. To the minute it would be a commit more, and its syncs, for each small file. AWS
/// promises no exactness, and says not to judge by it alone whether a key may be deleted.
const USAGE_GRANULARITY: Duration = Duration::from_secs(60 * 60);
/// Servers that may end under one call before it gives up.
const HANG_UPS_MAX: u32 = 3;

/// How long a server's answer through the admin socket is waited for when no option says.
const SOCKET_WAIT: Duration = Duration::from_secs(10);

/// The engine over a data directory, called as the root of an account.
pub(crate) struct LocalKms {
    place: Place,
    xks: Arc<dyn XksClient>,
    /// How long a server's answer is waited for.
    wait: Duration,
    /// Obtained once, so that nobody is asked for a passphrase twice.
    root: OnceLock<RootKey>,
    /// Whether a recovery key of the store was exported, as the last call has shown.
    recovery_exported: Mutex<Option<bool>>,
    /// Left open for the next call.
    held: Mutex<Option<OpenStore>>,
}

/// What [`LocalKms::make_default_key`] made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// A store, with its root key.
    pub(crate) store: bool,
    /// The key behind [`DEFAULT_ALIAS`].
    pub(crate) key: bool,
}

/// Whether a store may be made where none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Fails,
    IsMade,
}

/// How the store is reached for one call.
enum Access {
    Open(OpenStore),
    Served(SocketClient),
}

/// The store, held for one call. The engine stands first, so that it is dropped before the locks are let go.
struct OpenStore {
    engine: Engine,
    made: bool,
    _call: CallLock,
    _serve: SharedServeLock,
}

impl LocalKms {
    /// Touches nothing. `wait` is how long a server that holds the store may take for one answer.
    pub(crate) fn new(place: Place, xks: Arc<dyn XksClient>, wait: Option<Duration>) -> Self {
        // None at all would have no server answer.
        let wait = wait.filter(|wait| !wait.is_zero()).unwrap_or(SOCKET_WAIT);
        Self {
            place,
            xks,
            wait,
            root: OnceLock::new(),
            recovery_exported: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// Where the store is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Makes the store where none is; gives back whether it did.
    pub(crate) async fn make_store(&self) -> Result<bool, KmsError> {
        match self.access(Absent::IsMade).await? {
            Access::Open(open) => {
                let made = open.made;
                open.close().await?;
                Ok(made)
            }
            Access::Served(_) => Ok(false),
        }
    }

    /// The partition and the account that calls act in. The store is left open for the next call, which closes it;
    /// [`LocalKms::release`] does when there is none, and must come before anything that takes long.
    pub(crate) async fn acting(&self) -> Result<(String, String), KmsError> {
        let open = match self.access(Absent::Fails).await? {
            Access::Open(open) => open,
            Access::Served(_) => {
                let caller = self.get_caller_identity(api::GetCallerIdentityInput::default()).await?;
                return Ok((super::partition_of(&caller.arn), caller.account));
            }
        };
        match self.acting_in(&open.engine, self.place.region.clone()).await {
            Ok(caller) => {
                let account = caller.account().to_string();
                *self.held() = Some(open);
                Ok((api::PARTITION.to_owned(), account))
            }
            Err(error) => {
                let _ = open.close().await;
                Err(error)
            }
        }
    }

    /// Closes the store if it was left open.
    pub(crate) async fn release(&self) -> Result<(), KmsError> {
        let held = self.held().take();
        match held {
            Some(open) => open.close().await,
            None => Ok(()),
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<OpenStore>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes several calls with the store opened once. `work` must not wait for anything but the KMS.
    pub(crate) async fn at_once<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Kms) -> Result<T, KmsError>,
    ) -> Result<T, KmsError> {
        match self.access(Absent::Fails).await? {
            Access::Open(open) => {
                let result = match self.caller(&open.engine, None).await {
                    Ok(kms) => work(&kms).await,
                    Err(error) => Err(error),
                };
                let closed = open.close().await;
                result.and_then(|value| closed.map(|()| value))
            }
            Access::Served(_) => work(self).await,
        }
    }

    /// The same with operations of every service.
    pub(crate) async fn as_caller<T, E: From<KmsError>>(
        &self,
        work: impl AsyncFnOnce(&Caller<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.access(Absent::Fails).await? {
            Access::Open(open) => {
                let result = match self.caller(&open.engine, None).await {
                    Ok(engine) => work(&Caller::Embedded(&engine)).await,
                    Err(error) => Err(error.into()),
                };
                let closed = open.close().await;
                result.and_then(|value| closed.map(|()| value).map_err(E::from))
            }
            Access::Served(_) => work(&Caller::Served(self)).await,
        }
    }

    /// Calls an operation of any service.
    pub(crate) async fn ask<O: Operation>(&self, input: &O::Input) -> Result<O::Output, KmsError> {
        match self.access(Absent::Fails).await? {
            Access::Open(open) => {
                let result = match self.caller(&open.engine, None).await {
                    Ok(engine) => engine.ask::<O>(input).await,
                    Err(error) => Err(error),
                };
                let closed = open.close().await;
                result.and_then(|value| closed.map(|()| value))
            }
            Access::Served(client) => client.call::<O>(input).await.map_err(KmsError::from),
        }
    }

    /// Makes [`DEFAULT_ALIAS`] with a key, and the store, where they are absent.
    pub(crate) async fn make_default_key(&self) -> Result<Made, KmsError> {
        match self.access(Absent::IsMade).await? {
            // Under the call lock, so that of many first commands one makes the key.
            Access::Open(open) => {
                let key = match self.caller(&open.engine, None).await {
                    Ok(kms) => make_alias(&kms).await,
                    Err(error) => Err(error),
                };
                let store = open.made;
                let closed = open.close().await;
                let made = Made { store, key: key? };
                closed.map(|()| made)
            }
            Access::Served(_) => Ok(Made { store: false, key: make_alias(self).await? }),
        }
    }

    /// Whether a recovery key of the store was exported.
    pub(crate) async fn recovery_exported(&self) -> Result<bool, KmsError> {
        let learned = *self.recovery_exported.lock().unwrap_or_else(PoisonError::into_inner);
        match learned {
            Some(exported) => Ok(exported),
            None => {
                self.administer(
                    AdminRequest::bare("Status", Effect::Reads),
                    async |engine| Ok(engine.recovery_exported()),
                    |status| status.get("RecoveryExported")?.as_bool(),
                )
                .await
            }
        }
    }

    /// Does something with the engine itself; when a server holds the store, asks it for `request` instead.
    pub(crate) async fn administer<T>(
        &self,
        request: AdminRequest,
        locally: impl AsyncFnOnce(&Engine) -> Result<T, ApiError>,
        remotely: impl FnOnce(serde_json::Value) -> Option<T>,
    ) -> Result<T, KmsError> {
        match self.access(Absent::Fails).await? {
            Access::Open(open) => {
                let result = locally(&open.engine).await;
                let closed = open.close().await;
                let value = result.map_err(|error| KmsError::Answered { error, kms: self.describe() })?;
                closed.map(|()| value)
            }
            Access::Served(client) => {
                let answer = client.admin(request).await?;
                remotely(answer).ok_or_else(|| KmsError::Unreachable {
                    cause: "the server's answer lacks what was asked for".to_owned(),
                    kms: self.describe(),
                })
            }
        }
    }

    /// The root key of the existing store.
    pub(crate) async fn root_key(&self) -> Result<RootKey, KmsError> {
        let directory = DataDir::open(&self.place.directory).map_err(failure_of)?;
        if !directory.has_store() {
            return Err(self.no_store());
        }
        self.obtain_root(&directory).await.map_err(KmsError::Store)
    }

    async fn access(&self, absent: Absent) -> Result<Access, KmsError> {
        if let Some(open) = self.held().take() {
            return Ok(Access::Open(open));
        }
        let directory = self.directory(absent)?;
        if directory.is_foreign() {
            return match directory.reach().map_err(failure_of)? {
                Reach::Served(stream) => Ok(Access::Served(self.client(stream))),
                Reach::Store(_) => Err(failure_of(DataDirError::Busy(self.place.directory.clone()))),
            };
        }
        // The root key comes before the locks: it may wait for a terminal. A server needs no root key of ours.
        let mut new_root = None;
        if matches!(self.place.root, RootKeySource::File(_)) {
            // Read or made below: neither waits.
        } else if directory.has_store() {
            if let Reach::Served(stream) = directory.reach().map_err(failure_of)? {
                return Ok(Access::Served(self.client(stream)));
            }
            self.obtain_root(&directory).await.map_err(KmsError::Store)?;
        } else if absent == Absent::IsMade {
            new_root = Some(opening::new_root(&directory, &self.place).map_err(KmsError::Store)?);
        }
        let serve = match directory.reach().map_err(failure_of)? {
            Reach::Served(stream) => return Ok(Access::Served(self.client(stream))),
            Reach::Store(lock) => lock,
        };
        if directory.has_store() {
            self.obtain_root(&directory).await.map_err(KmsError::Store)?;
        }
        let call = CallLock::take(&directory).map_err(failure_of)?;
        // Looked at again: of many first commands one has made the store while the others waited.
        let made = !directory.has_store();
        let root = match (made, absent) {
            (false, _) => self.obtain_root(&directory).await.map_err(KmsError::Store)?,
            (true, Absent::Fails) => return Err(self.no_store()),
            (true, Absent::IsMade) => self.make(&directory, new_root).await.map_err(KmsError::Store)?,
        };
        let options = EngineOptions {
            // The call lock keeps all others out until the store is closed again.
            shared: false,
            cached_records_max: CACHED_MAX,
            cached_materials_max: CACHED_MAX,
            usage_granularity: USAGE_GRANULARITY,
            xks: Arc::clone(&self.xks),
            ..EngineOptions::default()
        };
        let engine = opening::open_engine_for_calls(&directory, root, options)
            .await
            .map_err(|failure| KmsError::Store(opening::by_passphrase(&self.place.root, failure)))?;
        *self.recovery_exported.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(engine.recovery_exported());
        Ok(Access::Open(OpenStore { engine, made, _call: call, _serve: serve }))
    }

    /// Makes store and root key together.
    async fn make(
        &self,
        directory: &DataDir,
        root: Option<bulla_store::NewRootKey>,
    ) -> Result<RootKey, LocalFailure> {
        let root = match root {
            // What it was is looked at again, now that nobody else can make a store.
            Some(root) => opening::refuse_lost_store(directory, &self.place).map(|()| root)?,
            None => opening::new_root(directory, &self.place)?,
        };
        let region = match &self.place.region {
            Some(region) if !crate::place::has_form_of_region(region.as_str()) => {
                return Err(LocalFailure {
                    kind: LocalFailureKind::Misconfigured,
                    message: format!(
                        "--region {region}: a region's name ends with a number, as in us-east-1 or home-1; the store would \
                         keep this one for good"
                    ),
                });
            }
            Some(region) => region.clone(),
            None => DEFAULT_REGION.parse().map_err(|_| opening::failed("no region"))?,
        };
        opening::create_store(directory, &root.key, self.place.account, &[region], root.passphrase).await?;
        let kept = opening::copy_of(&root.key)?;
        let _ = self.root.set(kept);
        Ok(root.key)
    }

    async fn obtain_root(&self, directory: &DataDir) -> Result<RootKey, LocalFailure> {
        if let Some(root) = self.root.get() {
            return opening::copy_of(root);
        }
        let root = opening::obtain_root(&self.place.root, directory).await?;
        let kept = opening::copy_of(&root)?;
        // No other call of this process can have been faster: they come one after the other.
        let _ = self.root.set(kept);
        Ok(root)
    }

    fn directory(&self, absent: Absent) -> Result<DataDir, KmsError> {
        let path = &self.place.directory;
        let opened = match DataDir::open_to_reach(path) {
            Err(DataDirError::Missing(_) | DataDirError::TooOpen { .. }) if absent == Absent::IsMade => {
                DataDir::open_or_create(path)
            }
            opened => opened,
        };
        match opened {
            Ok(directory) if absent == Absent::Fails && !directory.has_store() => Err(self.no_store()),
            Ok(directory) => Ok(directory),
            Err(DataDirError::Missing(_)) => Err(self.no_store()),
            Err(error) => Err(failure_of(error)),
        }
    }

    /// What to say where there is no store; none where there is one, or something that can't be looked into.
    pub(crate) fn absence(&self) -> Option<String> {
        match DataDir::open_to_reach(&self.place.directory) {
            Ok(directory) if !directory.has_store() => Some(self.no_store_text()),
            Err(DataDirError::Missing(_)) => Some(self.no_store_text()),
            _ => None,
        }
    }

    fn no_store_text(&self) -> String {
        // Where one was, another would open nothing of what it sealed.
        let next = match self.place.directory.join(bulla_store::names::AUDIT_LOG).exists() {
            true => "put the one that was there back with `bulla store restore`",
            false => "make one with `bulla key create`, put one back with `bulla store restore`",
        };
        format!(
            "{} has no key store; {next}, or name another KMS with --profile, --kms or --endpoint-url",
            self.describe()
        )
    }

    fn no_store(&self) -> KmsError {
        let kind = LocalFailureKind::NoStore;
        KmsError::Store(LocalFailure { kind, message: self.no_store_text() })
    }

    fn client(&self, stream: std::os::unix::net::UnixStream) -> SocketClient {
        SocketClient {
            stream,
            account: self.place.account,
            region: self.place.region.clone(),
            wait: self.wait,
            described: format!(
                "the server of {} through its admin socket ({})",
                self.place.directory.display(),
                self.place.because
            ),
        }
    }

    /// The engine for one caller. `key` is the key or alias that the call names by an ARN, if it does: that one's region is
    /// asked, and a key that can't be in this store is not asked for at all.
    async fn caller(&self, engine: &Engine, key: Option<&Named>) -> Result<EmbeddedKms, KmsError> {
        let region = self.place.region.clone().or_else(|| key.map(|key| key.region.clone()));
        let mut caller = None;
        if key.is_none() || region.as_ref().is_none_or(|region| engine.regions().contains(region)) {
            caller = Some(self.acting_in(engine, region.clone()).await?);
        }
        let caller = match (caller, key) {
            (Some(caller), None) => caller,
            (Some(caller), Some(key))
                if caller.account() == key.account && region.as_ref() == Some(&key.region) =>
            {
                caller
            }
            (_, key) => return Err(self.elsewhere(key)),
        };
        Ok(engine.kms(caller, self.describe()))
    }

    async fn acting_in(&self, engine: &Engine, region: Option<Region>) -> Result<Authenticated, KmsError> {
        let caller = engine.local_caller(self.place.account, region, Via::Embedded).await;
        caller.map_err(|error| KmsError::Answered { error, kms: self.describe() })
    }

    /// A key that is not in this store, and was not asked for.
    fn elsewhere(&self, key: Option<&Named>) -> KmsError {
        let named = key.map(|key| key.arn.as_str()).unwrap_or_default();
        let message =
            format!("Key '{named}' is of another account or region than this KMS, which was not asked");
        KmsError::Answered {
            error: ApiError::new(ErrorCode::NotFoundException, message),
            kms: self.describe(),
        }
    }

    /// A client of the server, for a call that names `key`: a key that can't be in that store is not asked for.
    async fn client_for(
        &self,
        mut client: SocketClient,
        key: Option<&Named>,
    ) -> Result<SocketClient, KmsError> {
        let Some(key) = key else { return Ok(client) };
        if self.place.region.as_ref().is_some_and(|region| *region != key.region) {
            return Err(self.elsewhere(Some(key)));
        }
        client.region = Some(key.region.clone());
        let caller = client.call::<api::GetCallerIdentity>(&api::GetCallerIdentityInput::default()).await;
        match caller.map_err(KmsError::from) {
            Ok(caller) if caller.account == key.account.to_string() => {}
            Ok(_) => return Err(self.elsewhere(Some(key))),
            Err(KmsError::Answered { error, .. }) if error.code == ErrorCode::ValidationException => {
                return Err(self.elsewhere(Some(key)));
            }
            Err(error) => return Err(error),
        }
        // One connection carries one request.
        match self.directory(Absent::Fails)?.reach().map_err(failure_of)? {
            Reach::Served(stream) => {
                let mut client = self.client(stream);
                client.region = Some(key.region.clone());
                Ok(client)
            }
            Reach::Store(_) => Err(failure_of(DataDirError::Busy(self.place.directory.clone()))),
        }
    }
}

impl OpenStore {
    /// Syncs the audit records, closes the store, and only then lets go of the locks.
    async fn close(self) -> Result<(), KmsError> {
        self.engine.close().await.map_err(KmsError::Store)
    }
}

fn failure_of(error: DataDirError) -> KmsError {
    KmsError::Store(opening::directory_failure(&error))
}

/// Makes a key behind [`DEFAULT_ALIAS`] unless the alias is there; gives back whether it did.
async fn make_alias(kms: &dyn Kms) -> Result<bool, KmsError> {
    let alias = DEFAULT_ALIAS.to_owned();
    match kms.describe_key(api::DescribeKeyInput { key_id: alias.clone(), ..Default::default() }).await {
        Ok(_) => return Ok(false),
        Err(KmsError::Answered { error, .. }) if error.code == ErrorCode::NotFoundException => {}
        Err(error) => return Err(error),
    }
    let description = Some("made by bulla encrypt".to_owned());
    let made = kms.create_key(api::CreateKeyInput { description, ..Default::default() }).await?;
    let target_key_id = made.key_metadata.key_id;
    let input = api::CreateAliasInput { alias_name: alias, target_key_id: target_key_id.clone() };
    match kms.create_alias(input).await {
        Ok(_) => Ok(true),
        // Another command made it meanwhile, through the server: this key will serve nobody.
        Err(KmsError::Answered { error, .. }) if error.code == ErrorCode::AlreadyExistsException => {
            let spare =
                api::ScheduleKeyDeletionInput { key_id: target_key_id, pending_window_in_days: Some(7) };
            kms.schedule_key_deletion(spare).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The account and region of an ARN of a key or alias.
struct Named {
    account: AccountId,
    region: Region,
    arn: String,
}

/// What an input names in `KeyId`, if that is an ARN.
fn named_in<O: Operation>(input: &O::Input) -> Option<Named> {
    let arn = api::wire::member::<O>(input, "KeyId")?.to_owned();
    match arn.parse() {
        Ok(KeyRef::Arn(key)) => Some(Named { account: key.account, region: key.region, arn }),
        Ok(KeyRef::AliasArn(alias)) => Some(Named { account: alias.account, region: alias.region, arn }),
        _ => None,
    }
}

macro_rules! forwarded {
    ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
        impl Kms for LocalKms {
            $(
                fn $method<'a>(&'a self, input: api::$input) -> CallFuture<'a, api::$output> {
                    Box::pin(async move {
                        let key = named_in::<api::$name>(&input);
                        let mut hung_up = 0;
                        let open = loop {
                            let client = match self.access(Absent::Fails).await? {
                                Access::Open(open) => break open,
                                Access::Served(client) => client,
                            };
                            let client = self.client_for(client, key.as_ref()).await?;
                            match client.call::<api::$name>(&input).await {
                                // The server ended between taking the connection and answering: whoever holds the
                                // store now is asked. Not for a change, which may have been made.
                                Err(lost)
                                    if lost.hung_up
                                        && api::$name::ROW.effect == Effect::Reads
                                        && hung_up < HANG_UPS_MAX =>
                                {
                                    hung_up += 1;
                                }
                                answer => return answer.map_err(KmsError::from),
                            }
                        };
                        let result = match self.caller(&open.engine, key.as_ref()).await {
                            Ok(kms) => kms.$method(input).await,
                            Err(error) => Err(error),
                        };
                        // What the call failed of says more than that the store then did not close.
                        let closed = open.close().await;
                        result.and_then(|value| closed.map(|()| value))
                    })
                }
            )*

            fn describe(&self) -> String {
                self.place.describe()
            }
        }
    };
}

api::for_each_kms_operation!(forwarded);
