//! `bulla serve`.

use std::path::Path;
use std::sync::Arc;

use bulla_api::{AccountId, Region};
use bulla_audit::SyncPolicy;
use bulla_crypto::attestation;
use bulla_crypto::{RootKey, SystemRng};
use bulla_engine::{Engine, EngineOptions, IssuerKeys, KEY_SET_BYTES_MAX, REGIONS_MAX};
use bulla_server::{
    DEFAULT_ADMIN_LISTEN, DEFAULT_LISTEN, Listeners, Server, ServerConfig, ServerError, TlsSource, logging,
    parse_listen,
};
use bulla_store::{DataDir, DataDirError, RootKeySource, ServeLock, Vault, names};

use crate::app::App;
use crate::cli::{self, AuditSync, LogFormat, LogLevel};
use crate::exit::{Exit, Failure};
use crate::kms::local::DEFAULT_REGION;
use crate::opening;
use crate::place::{Place, has_form_of_region};
use crate::small_file;

/// Serves until a signal ends it, or checks what it would serve with.
pub(crate) fn run(app: &App, command: &cli::Serve) -> Result<(), Failure> {
    start_log(app, command)?;
    let place = app.place()?;
    let regions = regions(app.common.region.as_deref())?;
    refuse_other_stores(command.store.as_deref(), &place.directory)?;
    let mut config = server_config(app, command, &place)?;
    config.json = logs_json(command, app.say.json);
    config.quiet = app.say.quiet && log_level(app, command)? == LogLevel::Error;
    let attestation_roots = attestation_roots(command.attestation_root.as_deref())?;
    let oidc_keys = oidc_keys(&command.oidc_keys)?;
    let xks = app.xks()?;
    let oidc = crate::xks::oidc_client(&app.common)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    if command.check_config {
        config.check().map_err(|error| refused(&error))?;
        can_be_listened_at(&config)?;
        return runtime.block_on(check(&place, &regions));
    }
    // Before the store is made: a server that can't start leaves nothing behind.
    config.check().map_err(|error| refused(&error))?;
    // Where a store is, its server is found first: that is what most often has the port.
    if !DataDir::open(&place.directory).is_ok_and(|directory| directory.has_store()) {
        let opened = runtime.block_on(async { Listeners::open(&config) });
        config.listeners = Some(opened.map_err(|error| refused(&error))?);
    }
    let directory = DataDir::open_or_create(&place.directory).map_err(directory_failure)?;
    let lock = directory.lock_for_serving().map_err(directory_failure)?;
    let sync = match command.audit_sync {
        Some(AuditSync::Always) => SyncPolicy::Always,
        Some(AuditSync::Second) | None => SyncPolicy::WithinASecond,
    };
    config.admin_socket = Some(directory.bind_admin_socket(&lock).map_err(directory_failure)?);
    let served = runtime.block_on(async {
        let options = EngineOptions {
            regions: regions.clone(),
            attestation_roots,
            xks,
            oidc_keys,
            oidc,
            ..EngineOptions::default()
        };
        let engine = open(app, &place, &directory, &lock, options, sync).await?;
        write_credentials(&directory, &engine).await?;
        warn_of_roots(&directory, &engine).await?;
        tell_start(&engine).await?;
        config.default_region = engine.regions().first().map(ToString::to_string).unwrap_or_default();
        let served = serve(config, engine).await;
        if served.is_ok() {
            tracing::info!("stopped");
        }
        served
    });
    // While the lock is held: nobody else's socket can have the name yet. One left behind is removed at the next start.
    let _ = directory.remove_file(names::ADMIN_SOCKET);
    drop(lock);
    served
}

async fn serve(config: ServerConfig, engine: Engine) -> Result<(), Failure> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let background = {
        let engine = engine.clone();
        tokio::spawn(async move {
            engine
                .background(async {
                    // Told, or left alone: both are the end.
                    let _ = stopped.await;
                })
                .await;
        })
    };
    let served = match Server::start(config, Arc::new(engine.clone())).await {
        Ok(server) => server.serve_until_signal().await,
        Err(error) => Err(error),
    };
    drop(stop);
    let ended = background.await;
    let closed = engine.close().await;
    served.map_err(|error| refused(&error))?;
    closed?;
    ended.map_err(|_| Failure::new(Exit::Failed, "scheduled work broke off; see the log"))
}

/// Opens the store, or makes it together with its root key.
async fn open(
    app: &App,
    place: &Place,
    directory: &DataDir,
    _held: &ServeLock,
    options: EngineOptions,
    sync: SyncPolicy,
) -> Result<Engine, Failure> {
    let regions = options.regions.as_slice();
    let root = if directory.has_store() {
        opening::obtain_root(&place.root, directory).await?
    } else {
        let root = opening::new_root(directory, place)?;
        let default = [DEFAULT_REGION.parse().map_err(|_| Failure::usage("no region"))?];
        let regions = if regions.is_empty() { &default } else { regions };
        refuse_odd_regions(regions, &[])?;
        opening::create_store(directory, &root.key, place.account, regions, root.passphrase).await?;
        if let Some(warning) = place.key_beside_store() {
            app.say.note(&format!("bulla: {warning}"));
        }
        root.key
    };
    fits_store(place, directory, &root, regions).await?;
    Ok(opening::open_engine(directory, root, options, sync).await?)
}

/// Refuses an account or regions that are not the store's: both are fixed when it is made.
async fn fits_store(
    place: &Place,
    directory: &DataDir,
    root: &RootKey,
    regions: &[Region],
) -> Result<(), Failure> {
    let store =
        bulla_store::open_store(directory).map_err(|error| opening::upkeep_failure(error, directory))?;
    let vault = Vault::open(store, root, Arc::new(SystemRng)).await.map_err(|error| {
        opening::by_passphrase(&place.root, opening::upkeep_failure(error.into(), directory))
    })?;
    let (accounts, known) = (vault.header().accounts(), vault.header().regions());
    vault.store().close().await.map_err(|error| opening::store_failure(&error, directory))?;
    let shown = directory.path().display();
    let first = accounts.first().cloned().unwrap_or_default();
    if let Some(account) = place.account
        && account.to_string() != first
    {
        return Err(Failure::usage(format!(
            "--account-id {account}: the store in {shown} was made for account {first}, which can't be changed"
        )));
    }
    let named: Vec<_> = regions.iter().map(ToString::to_string).collect();
    if !named.is_empty() && !named.iter().any(|name| known.contains(name)) {
        return Err(Failure::usage(format!(
            "--region {}: the store in {shown} is of {}; name one of these, and others after it",
            named.join(","),
            known.join(",")
        )));
    }
    refuse_odd_regions(regions, &known)
}

/// Refuses a region that looks like a typing error: a store keeps a region that was served once.
fn refuse_odd_regions(regions: &[Region], known: &[String]) -> Result<(), Failure> {
    let odd = |region: &&Region| !known.contains(&region.to_string()) && !has_form_of_region(region.as_str());
    match regions.iter().find(odd) {
        Some(region) => Err(Failure::usage(format!(
            "--region {region}: a region's name ends with a number, as in us-east-1 or home-1; the store would keep this one \
             for good"
        ))),
        None => Ok(()),
    }
}

/// Looks at root key and store without changing anything.
async fn check(place: &Place, regions: &[Region]) -> Result<(), Failure> {
    let directory = match DataDir::open(&place.directory) {
        Ok(directory) => directory,
        // It will be made.
        Err(DataDirError::Missing(_)) => {
            can_be_made(&place.directory)?;
            return check_new(place, regions);
        }
        Err(error) => return Err(directory_failure(error)),
    };
    if !directory.has_store() {
        opening::refuse_lost_store(&directory, place)?;
        return check_new(place, regions);
    }
    let root = opening::obtain_root(&place.root, &directory).await?;
    fits_store(place, &directory, &root, regions).await
}

/// Looks at what a new store would be made with.
fn check_new(place: &Place, regions: &[Region]) -> Result<(), Failure> {
    place.root.check_for_new().map_err(|error| opening::root_failure(&error))?;
    if let RootKeySource::File(path) = &place.root
        && !path.exists()
    {
        can_be_made(path)?;
    }
    refuse_odd_regions(regions, &[])
}

/// Whether a directory, or a file, can be made: the nearest directory above must be one that may be written to.
fn can_be_made(directory: &Path) -> Result<(), Failure> {
    let there = directory.ancestors().skip(1).map(|path| match path {
        path if path.as_os_str().is_empty() => Path::new("."),
        path => path,
    });
    for path in there {
        match rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
            Ok(()) if path.is_dir() => return Ok(()),
            Ok(()) => {
                return Err(Failure::io(
                    "cannot make a directory in",
                    path.display(),
                    &rustix::io::Errno::NOTDIR.into(),
                ));
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => {
                return Err(Failure::io("cannot make a directory in", path.display(), &errno.into()));
            }
        }
    }
    Ok(())
}

/// Whether the addresses are of this host. Their ports may be those of the server that is to be restarted.
fn can_be_listened_at(config: &ServerConfig) -> Result<(), Failure> {
    for address in config.listen.iter().chain(&config.admin_listen) {
        std::net::TcpListener::bind((address.ip(), 0))
            .map_err(|error| Failure::io("cannot listen at", address.ip(), &error))?;
    }
    Ok(())
}

/// Puts the root user's access key into the data directory, before anything says that the server is there.
async fn write_credentials(directory: &DataDir, engine: &Engine) -> Result<(), Failure> {
    if directory.has(names::CREDENTIALS) {
        return Ok(());
    }
    let failed = |error: bulla_api::ApiError| {
        Failure::new(Exit::Failed, format!("cannot read the root user's access key: {error}"))
    };
    let account = engine.first_account().await.map_err(failed)?;
    // One that is out of use is of none to anybody.
    if !engine.root_access_key_is_enabled(account).await.map_err(failed)? {
        return Ok(());
    }
    let key = engine.root_access_key(account).await.map_err(failed)?;
    let secret = std::str::from_utf8(key.secret_access_key.expose())
        .map_err(|_| Failure::new(Exit::NotIntact, "the root user's secret access key is not text"))?;
    let text = bulla_server::aws_profile::render_credentials("bulla", &key.access_key_id, secret);
    directory
        .write_file(names::CREDENTIALS, text.as_bytes(), crate::output::MODE_PRIVATE)
        .map_err(directory_failure)
}

/// Logs what serves whom, for whoever reads the log later.
async fn tell_start(engine: &Engine) -> Result<(), Failure> {
    let accounts = engine
        .accounts()
        .await
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot read the accounts: {error}")))?;
    let listed = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(",");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        accounts = listed(&mut accounts.iter().take(ACCOUNTS_TOLD_MAX).map(|account| account.id.to_string())),
        accounts_in_all = accounts.len(),
        regions = listed(&mut engine.regions().iter().map(ToString::to_string)),
        "starting"
    );
    Ok(())
}

/// How many accounts the log of a start names.
const ACCOUNTS_TOLD_MAX: usize = 20;

/// Of how many accounts' roots the command is told that takes their access key out of use.
const COMMANDS_TOLD_MAX: usize = 8;

/// Says, once a start, that there are access keys that may do everything, and what to have instead.
async fn warn_of_roots(directory: &DataDir, engine: &Engine) -> Result<(), Failure> {
    let failed = |error: bulla_api::ApiError| {
        Failure::new(Exit::Failed, format!("cannot read the accounts' root access keys: {error}"))
    };
    let first = engine.first_account().await.map_err(failed)?;
    let mut enabled = Vec::new();
    for account in engine.accounts().await.map_err(failed)? {
        if engine.root_access_key_is_enabled(account.id).await.map_err(failed)? {
            enabled.push(account.id);
        }
    }
    let dir = directory.path().display();
    let of = |account: &AccountId| match *account == first {
        true => format!("--data-dir {dir}"),
        false => format!("--account-id {account} --data-dir {dir}"),
    };
    let disable = |account: &AccountId| format!("bulla access disable-root {}", of(account));
    let mut commands: Vec<_> = enabled.iter().take(COMMANDS_TOLD_MAX).map(disable).collect();
    if enabled.len() > COMMANDS_TOLD_MAX {
        commands.push("and so on with --account-id".to_owned());
    }
    if let Some(one) = enabled.first() {
        tracing::warn!(
            accounts = enabled.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            "the access key of the root user may do everything: give each host and person a user (bulla access add NAME --can \
             … -k KEY {of}), then take it out of use ({commands})",
            of = of(one),
            commands = commands.join("; ")
        );
    }
    Ok(())
}

fn server_config(app: &App, command: &cli::Serve, place: &Place) -> Result<ServerConfig, Failure> {
    let address = |text: &Option<String>, default| match text {
        None => Ok(default),
        Some(text) => parse_listen(text).map_err(|error| Failure::usage(error.to_string())),
    };
    let mut config = ServerConfig::new(place.directory.clone(), String::new());
    config.listen = vec![address(&command.listen, DEFAULT_LISTEN)?];
    config.admin_listen = Some(address(&command.admin_listen, DEFAULT_ADMIN_LISTEN)?);
    config.insecure_http = command.insecure_http;
    match command.connections_per_source {
        Some(0) => {
            return Err(Failure::usage("--connections-per-source 0 would let nobody in; give at least 1"));
        }
        Some(connections) => config.limits.connections_per_source = connections,
        None => {}
    }
    // Of two ways that contradict each other, the one that was said nearer to the command line.
    let auto_is_nearer = app.rank("tls_auto") > app.rank("tls_cert");
    config.tls = match (&command.tls_cert, &command.tls_key, command.tls_auto.as_slice()) {
        (Some(certificate), Some(key), names) if names.is_empty() || !auto_is_nearer => {
            Some(TlsSource::Files { certificate: certificate.clone(), key: key.clone() })
        }
        (_, _, []) => None,
        (_, _, names) => Some(TlsSource::Auto { names: names.to_vec() }),
    };
    Ok(config)
}

fn regions(text: Option<&str>) -> Result<Vec<Region>, Failure> {
    let mut regions = Vec::new();
    for name in text.into_iter().flat_map(|text| text.split(',')) {
        let region: Region =
            name.parse().map_err(|error| Failure::usage(format!("--region {name}: {error}")))?;
        if regions.contains(&region) {
            return Err(Failure::usage(format!("--region names {region} twice")));
        }
        regions.push(region);
    }
    if regions.len() > REGIONS_MAX {
        return Err(Failure::usage(format!(
            "--region names {} regions; a store has at most {REGIONS_MAX}",
            regions.len()
        )));
    }
    Ok(regions)
}

/// Longest file of attestation roots.
const ATTESTATION_ROOTS_MAX_BYTES: usize = 64 * 1024;

/// Whose attestation documents are believed; nobody's when no file is named.
fn attestation_roots(path: Option<&Path>) -> Result<Vec<attestation::Root>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let shown = path.display();
    let text = small_file::read(path, ATTESTATION_ROOTS_MAX_BYTES)
        .map_err(|error| Failure::io("cannot read attestation roots", &shown, &error))?;
    attestation::Root::from_pem(text.expose()).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot use attestation roots `{shown}`: {error}"))
    })
}

/// The keys of issuers of web identities that are given, by the issuers' URLs.
fn oidc_keys(given: &[String]) -> Result<Vec<(String, Arc<IssuerKeys>)>, Failure> {
    let mut all: Vec<(String, Arc<IssuerKeys>)> = Vec::with_capacity(given.len());
    for text in given {
        let (issuer, path) = text.split_once('=').unwrap_or((text, ""));
        let issuer = issuer.trim_end_matches('/');
        if !issuer.starts_with("https://") || path.is_empty() {
            return Err(Failure::usage(format!(
                "--oidc-keys {text}: name the issuer's URL and a file, https://issuer.example=FILE"
            )));
        }
        if all.iter().any(|(known, _)| known == issuer) {
            return Err(Failure::usage(format!("--oidc-keys: {issuer} is named twice")));
        }
        let json = small_file::read(Path::new(path), KEY_SET_BYTES_MAX)
            .map_err(|error| Failure::io("cannot read keys of an issuer", path, &error))?;
        let keys = IssuerKeys::parse(json.expose())
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot use keys `{path}`: {error}")))?;
        all.push((issuer.to_owned(), Arc::new(keys)));
    }
    Ok(all)
}

/// One engine keeps records in this version, and it keeps them in the data directory.
fn refuse_other_stores(url: Option<&str>, directory: &Path) -> Result<(), Failure> {
    let Some(url) = url else { return Ok(()) };
    match url.split_once(':') {
        Some(("sqlite", path)) if Path::new(path) == directory.join(names::STORE) => Ok(()),
        Some(("sqlite", _)) => Err(Failure::usage(format!(
            "--store {url}: the SQLite store is `{}`; name its directory with --data-dir",
            directory.join(names::STORE).display()
        ))),
        _ => Err(Failure::usage("--store: this version keeps records in SQLite only; leave out --store")),
    }
}

/// Whether what is logged is JSON.
fn logs_json(command: &cli::Serve, json: bool) -> bool {
    command.log_format.map_or(json, |format| format == LogFormat::Json)
}

fn start_log(app: &App, command: &cli::Serve) -> Result<(), Failure> {
    let format = match logs_json(command, app.say.json) {
        true => logging::LogFormat::Json,
        false => logging::LogFormat::Text,
    };
    let level = match log_level(app, command)? {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    logging::init(format, level).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

/// The level of the log. Who wants to be told nothing but errors gets these; of that and another level what was said nearer to
/// the command line.
fn log_level(app: &App, command: &cli::Serve) -> Result<LogLevel, Failure> {
    use std::cmp::Ordering;
    match command.log_level {
        level if !app.say.quiet => Ok(level.unwrap_or(LogLevel::Info)),
        None | Some(LogLevel::Error) => Ok(LogLevel::Error),
        Some(level) => match app.rank("log_level").cmp(&app.rank("quiet")) {
            Ordering::Greater => Ok(level),
            Ordering::Less => Ok(LogLevel::Error),
            Ordering::Equal => Err(Failure::usage(
                "--quiet and --log-level contradict each other: -q logs errors only; give one of them",
            )),
        },
    }
}

fn refused(error: &ServerError) -> Failure {
    let exit = match error {
        ServerError::Address { .. }
        | ServerError::NoAddress
        | ServerError::Exposed { .. }
        | ServerError::Name { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}

fn directory_failure(error: DataDirError) -> Failure {
    opening::directory_failure(&error).into()
}
