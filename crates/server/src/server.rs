//! Starting, reloading and stopping.

use crate::aws_profile::{ServerProfile, render_config};
use crate::config::ServerConfig;
use crate::endpoint_file::{
    ADMIN_ENDPOINT_FILE, CONFIG_FILE, ENDPOINT_FILE, EndpointFile, url, write_by_rename,
};
use crate::error::ServerError;
use crate::front::{AdminFront, Front, PublicFront};
use crate::health::Health;
use crate::listener::{Listeners, Shared, accept_local, accept_tcp};
use crate::metrics::Metrics;
use crate::notify::{State, notify};
use crate::registry::{Registry, Slots};
use crate::tls::{Tls, WallClock};
use bulla_engine::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// The service over an engine.
#[derive(Debug)]
pub struct Server;

/// A server that serves. Dropping it closes its listeners; [`RunningServer::shutdown`] also waits for requests
/// under way.
pub struct RunningServer {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    endpoint_url: String,
    shared: Arc<Shared>,
    tls: Option<Arc<Tls>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    signals: Signals,
    files: Vec<EndpointFile>,
}

impl Server {
    /// Opens all listeners, then writes `DIR/config`, `DIR/admin-endpoint` and, last, `DIR/endpoint`, prints the
    /// endpoint on standard error and tells the service supervisor. The engine's background work is the caller's to run.
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Whatever keeps it from serving; nothing stays open or written then.
    pub async fn start(mut config: ServerConfig, engine: Arc<Engine>) -> Result<RunningServer, ServerError> {
        config.check()?;
        let metrics = Arc::new(Metrics::new());
        let slots =
            Slots::new(connections_max(config.limits.connections), config.limits.connections_per_source);
        let admin_slots = Slots::new(ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_MAX);
        let shared = Arc::new(Shared {
            registry: Arc::new(Registry::new(Arc::clone(&metrics))),
            limits: Arc::new(config.limits.clone()),
            metrics: Arc::clone(&metrics),
        });
        let (stop, stopped) = watch::channel(false);

        let opened = match config.listeners.take() {
            Some(opened) => opened,
            None => Listeners::open(&config)?,
        };
        let Listeners { public: listeners, admin: admin_listener } = opened;
        let addresses: Vec<_> = listeners.iter().map(|(_, address)| *address).collect();
        let admin_address = admin_listener.as_ref().map(|(_, address)| *address);
        let tls = match &config.tls {
            None => None,
            Some(source) => {
                let named: Vec<_> = addresses.iter().chain(&admin_address).copied().collect();
                let tls =
                    Tls::new(source, &config.data_dir, &named, wall_clock(&engine), Arc::clone(&metrics))?;
                Some(Arc::new(tls))
            }
        };

        let front = Arc::new(Front::new(Arc::clone(&engine), Arc::clone(&shared)));
        let mut tasks = Vec::new();
        if let Some(socket) = config.admin_socket.take() {
            socket.set_nonblocking(true).map_err(ServerError::Start)?;
            let socket = UnixListener::from_std(socket).map_err(ServerError::Start)?;
            let responder = Arc::new(AdminFront(Arc::clone(&front)));
            tasks.push(tokio::spawn(accept_local(
                socket,
                Arc::clone(&shared),
                admin_slots.clone(),
                responder,
                stopped.clone(),
            )));
        }
        if let Some((listener, _)) = admin_listener {
            let health = Arc::new(Health::new(Arc::clone(&engine), Arc::clone(&metrics)));
            let (shared, tls) = (Arc::clone(&shared), tls.clone());
            tasks.push(tokio::spawn(accept_tcp(listener, shared, admin_slots, tls, health, stopped.clone())));
        }
        let responder = Arc::new(PublicFront(front));
        for (listener, _) in listeners {
            let (shared, tls, responder) = (Arc::clone(&shared), tls.clone(), Arc::clone(&responder));
            tasks.push(tokio::spawn(accept_tcp(
                listener,
                shared,
                slots.clone(),
                tls,
                responder,
                stopped.clone(),
            )));
        }
        if let Some(tls) = &tls {
            tasks.push(tokio::spawn(watch_certificates(Arc::clone(tls), Arc::clone(&shared), stopped)));
        }

        // Whoever reads the endpoint may end the server at once.
        let signals = Signals::install().map_err(ServerError::Start)?;
        let endpoint_url = addresses.first().map_or_else(String::new, |address| url(*address, tls.is_some()));
        let files = match announce(&config, &endpoint_url, admin_address) {
            Ok(files) => files,
            Err(error) => {
                stop.send_replace(true);
                return Err(error);
            }
        };
        if !config.quiet {
            let mut line = format!("listening on {endpoint_url}");
            if config.json {
                line = serde_json::json!({ "event": "listening", "message": line, "endpoint_url": endpoint_url })
                    .to_string();
            }
            // Standard error may be a full disk, or a pipe that nobody reads: no reason not to serve.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        notify(State::Ready);
        Ok(RunningServer { addresses, admin_address, endpoint_url, shared, tls, stop, tasks, signals, files })
    }
}

impl RunningServer {
    /// The addresses of the listeners, in the order of the configuration, with the ports that were picked.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the health and metrics listener.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What `DIR/endpoint` holds.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// Reads certificate and key again, as SIGHUP does. Connections that stand keep theirs; `false` when the new
    /// ones can't be used and the old ones stay.
    pub fn reload(&self) -> bool {
        notify(State::Reloading);
        let reloaded = self.tls.as_ref().is_none_or(|tls| tls.reload());
        notify(State::Ready);
        reloaded
    }

    /// Serves until SIGTERM or SIGINT, which are caught from the start on; reloads on SIGHUP. Then shuts down.
    ///
    /// # Errors
    /// None so far: what fails after the start is logged, and doesn't end the server.
    pub async fn serve_until_signal(mut self) -> Result<(), ServerError> {
        loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                _ = self.signals.hangup.recv() => {
                    self.reload();
                }
            }
        }
        self.shutdown().await;
        Ok(())
    }

    /// Stops: removes the endpoint files, closes the listeners and the idle connections at once, gives requests
    /// under way [`crate::Limits::drain`], and then closes what is left. The engine is the caller's to close.
    pub async fn shutdown(self) {
        notify(State::Stopping);
        drop(self.files);
        self.stop.send_replace(true);
        for task in self.tasks {
            // A listener's task that has panicked has closed its socket too.
            let _ = task.await;
        }
        self.shared.registry.end_all();
        if timeout(self.shared.limits.drain, self.shared.registry.emptied()).await.is_err() {
            let connections = self.shared.registry.cut_all();
            tracing::warn!(connections, "requests were still under way when the time for them was over");
            // Their tasks end as soon as they run.
            let _ = timeout(CUT_WITHIN, self.shared.registry.emptied()).await;
        }
    }
}

/// Connections of the admin socket and the admin listener together.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long connections that are cut take to notice.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// The signals that a server knows, caught from its start on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Writes the files that say where the server is, the one that scripts wait for last.
fn announce(
    config: &ServerConfig,
    endpoint_url: &str,
    admin_address: Option<SocketAddr>,
) -> Result<Vec<EndpointFile>, ServerError> {
    let directory = &config.data_dir;
    let ca_bundle = config.tls.as_ref().and_then(|source| source.ca_bundle(directory));
    let ca_bundle = ca_bundle.map(|path| std::path::absolute(&path).unwrap_or(path));
    let profile = render_config(&ServerProfile {
        name: "bulla",
        region: &config.default_region,
        endpoint_url,
        ca_bundle: ca_bundle.as_deref(),
    });
    write_by_rename(&directory.join(CONFIG_FILE), profile.as_bytes(), 0o644)?;
    let mut files = Vec::new();
    if let Some(address) = admin_address {
        let admin_url = url(address, config.tls.is_some());
        files.push(EndpointFile::write(directory.join(ADMIN_ENDPOINT_FILE), &admin_url)?);
    }
    files.push(EndpointFile::write(directory.join(ENDPOINT_FILE), endpoint_url)?);
    Ok(files)
}

/// Looks at the certificates every few seconds until told to stop.
async fn watch_certificates(tls: Arc<Tls>, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut look = interval(shared.limits.reload_poll);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = look.tick() => tls.reload_if_due(),
        }
    }
}

/// As many connections as configured, but at most half of the descriptors that the process may have, after
/// asking for as many as it is allowed to. The store and the audit file need theirs too.
fn connections_max(configured: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::debug!(%error, "can't raise the limit of open files");
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    configured.min(usize::try_from(descriptors / 2).unwrap_or(usize::MAX)).max(1)
}

fn wall_clock(engine: &Arc<Engine>) -> WallClock {
    let engine = Arc::clone(engine);
    Arc::new(move || engine.clock().wall_ms())
}
