//! Listening sockets and the loop that accepts from them.

use crate::config::{Limits, ServerConfig};
use crate::connection::{Respond, serve};
use crate::error::ServerError;
use crate::metrics::Metrics;
use crate::newcomers::Source;
use crate::registry::{Place, Registry, Slots};
use crate::stream::Stream;
use crate::tls::Tls;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections that the kernel keeps for us while we are busy or full.
const BACKLOG: u32 = 1024;
/// Pause after an accept that failed for want of descriptors or memory: enough for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all listeners of a server share.
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Who is at the other end, as the connection itself shows it: never by a header.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) origin: Origin,
    pub(crate) tls: Option<TlsFacts>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    Network(SocketAddr),
    /// A process of this host, by the user id that the kernel vouches for.
    Local {
        uid: u32,
    },
}

/// What was negotiated, in the names that CloudTrail uses.
#[derive(Debug, Clone)]
pub(crate) struct TlsFacts {
    /// `TLSv1.3`.
    pub(crate) version: &'static str,
    /// `TLS_AES_256_GCM_SHA384`.
    pub(crate) cipher_suite: String,
}

/// The listeners that a configuration asks for, open.
#[derive(Debug)]
pub struct Listeners {
    /// In the order of the configuration.
    pub(crate) public: Vec<(TcpListener, SocketAddr)>,
    pub(crate) admin: Option<(TcpListener, SocketAddr)>,
}

impl Listeners {
    /// Opens them. Must be called in a tokio runtime, and answers nobody yet.
    ///
    /// # Errors
    /// [`ServerError::Listen`]; then none stays open.
    pub fn open(config: &ServerConfig) -> Result<Self, ServerError> {
        Ok(Self {
            public: config.listen.iter().map(|address| bind(*address)).collect::<Result<_, _>>()?,
            admin: config.admin_listen.map(bind).transpose()?,
        })
    }
}

/// Opens a TCP listener; the address may be in `TIME_WAIT` from a server before.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let open = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(|cause| ServerError::Listen { address, cause })
}

/// Accepts from the network until told to stop.
pub(crate) async fn accept_tcp<R: Respond>(
    listener: TcpListener,
    shared: Arc<Shared>,
    slots: Slots,
    tls: Option<Arc<Tls>>,
    responder: Arc<R>,
    mut stop: watch::Receiver<bool>,
) {
    while let Some(((stream, address), place)) = next(&listener, &shared, &slots, &mut stop).await {
        // Answers are written whole: there is nothing to gather further bytes for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            continue;
        }
        let origin = Origin::Network(address);
        let (shared, responder) = (Arc::clone(&shared), Arc::clone(&responder));
        match &tls {
            None => {
                let peer = Arc::new(Peer { origin, tls: None });
                tokio::spawn(serve(Stream::Tcp(stream), peer, place, responder, shared));
            }
            Some(tls) => {
                let acceptor = tls.acceptor().clone();
                tokio::spawn(greet(acceptor, stream, origin, place, responder, shared));
            }
        }
    }
}

/// Accepts from the admin socket until told to stop. Peers of other users are closed at once: the directory's
/// mode keeps them out already, and the kernel's word is the second lock.
pub(crate) async fn accept_local<R: Respond>(
    listener: UnixListener,
    shared: Arc<Shared>,
    slots: Slots,
    responder: Arc<R>,
    mut stop: watch::Receiver<bool>,
) {
    let own_uid = rustix::process::geteuid().as_raw();
    while let Some(((stream, _), place)) = next(&listener, &shared, &slots, &mut stop).await {
        match stream.peer_cred().map(|credentials| credentials.uid()) {
            Ok(uid) if may_administer(uid, own_uid) => {
                let peer = Arc::new(Peer { origin: Origin::Local { uid }, tls: None });
                tokio::spawn(serve(
                    Stream::Unix(stream),
                    peer,
                    place,
                    Arc::clone(&responder),
                    Arc::clone(&shared),
                ));
            }
            Ok(uid) => tracing::warn!(uid, "refused a process of another user at the admin socket"),
            Err(error) => tracing::warn!(%error, "refused a process of unknown user at the admin socket"),
        }
    }
}

/// Who may use the admin socket: the server's own user, and root, who could read its memory anyway.
const fn may_administer(peer_uid: u32, own_uid: u32) -> bool {
    peer_uid == own_uid || peer_uid == 0
}

/// The TLS handshake, within its time, then the requests.
async fn greet<R: Respond>(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    origin: Origin,
    place: Place,
    responder: Arc<R>,
    shared: Arc<Shared>,
) {
    let told = Arc::clone(&place.told);
    let handshake = timeout(shared.limits.handshake, acceptor.accept(stream));
    let greeted = tokio::select! {
        greeted = handshake => greeted,
        // Nothing is under way before the first request.
        () = told.end.notified() => return,
        () = told.leave.notified() => {
            shared.metrics.connection_displaced();
            return;
        }
    };
    let stream = match greeted {
        Ok(Ok(stream)) => stream,
        failed => {
            shared.metrics.handshake_failed();
            let error = failed.map_or_else(
                |_| "took too long".to_owned(),
                |failed| match failed {
                    Ok(_) => String::new(),
                    Err(error) => error.to_string(),
                },
            );
            tracing::debug!(error, "a TLS handshake failed");
            return;
        }
    };
    let tls = TlsFacts::of(stream.get_ref().1);
    let peer = Arc::new(Peer { origin, tls });
    serve(Stream::Tls(Box::new(stream)), peer, place, responder, shared).await;
}

impl TlsFacts {
    fn of(connection: &rustls::ServerConnection) -> Option<Self> {
        let version = match connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
            rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => return None,
        };
        let suite = connection.negotiated_cipher_suite()?.suite();
        // rustls writes `TLS13_AES_…` where the registry has `TLS_AES_…`.
        let cipher_suite = suite.as_str()?.replacen("TLS13_", "TLS_", 1);
        Some(Self { version, cipher_suite })
    }
}

/// A socket that connections are accepted from.
trait Socket {
    type Accepted;
    async fn accept(&self) -> io::Result<Self::Accepted>;
    /// Where a connection comes from; none where the kernel says who its peer is.
    fn source(accepted: &Self::Accepted) -> Option<Source>;
}

impl Socket for TcpListener {
    type Accepted = (TcpStream, SocketAddr);
    async fn accept(&self) -> io::Result<Self::Accepted> {
        Self::accept(self).await
    }
    fn source((_, address): &Self::Accepted) -> Option<Source> {
        Some(Source::of(address.ip()))
    }
}

impl Socket for UnixListener {
    type Accepted = (UnixStream, tokio::net::unix::SocketAddr);
    async fn accept(&self) -> io::Result<Self::Accepted> {
        Self::accept(self).await
    }
    fn source(_: &Self::Accepted) -> Option<Source> {
        None
    }
}

/// The next connection that there is room for; `None` when the server is to stop. A failing accept is waited out,
/// never fatal: what it lacks comes back as connections end.
async fn next<S: Socket>(
    socket: &S,
    shared: &Shared,
    slots: &Slots,
    stop: &mut watch::Receiver<bool>,
) -> Option<(S::Accepted, Place)> {
    let next = async {
        loop {
            match socket.accept().await {
                Ok(accepted) => {
                    let source = S::source(&accepted);
                    match slots.admit(source).await {
                        Some(slot) => return (accepted, shared.registry.enter(slots, slot, source)),
                        None => shared.metrics.connection_refused(),
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    shared.metrics.accept_failed();
                    tracing::warn!(%error, "can't accept connections for the moment");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        next = next => Some(next),
    }
}

/// Whether an accept's error is about the connection that was to be accepted, not about this process. Linux
/// passes pending network errors on: accept(2), "Error handling".
fn is_of_one_connection(error: &io::Error) -> bool {
    const OF_ONE: [Errno; 9] = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NOPROTOOPT,
    ];
    Errno::from_io_error(error).is_some_and(|errno| OF_ONE.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_user_and_root_may_administer() {
        assert!(may_administer(1000, 1000));
        assert!(may_administer(0, 1000));
        assert!(!may_administer(1001, 1000));
        assert!(!may_administer(1000, 0), "a server that runs as root is root's alone");
        assert!(!may_administer(u32::MAX, 1000), "the kernel's word for a user outside of the name space");
    }

    #[test]
    fn running_out_of_descriptors_is_waited_out() {
        for waits in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(!is_of_one_connection(&waits.into()), "{waits}");
        }
        assert!(is_of_one_connection(&Errno::CONNABORTED.into()));
    }
}
