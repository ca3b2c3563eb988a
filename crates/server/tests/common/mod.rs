//! A server over a real engine, and clients that speak to it in bytes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod service;

use bulla_server::{Limits, RunningServer, Server, ServerConfig};
use bulla_sigv4::{Credentials, Request, sign};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

/// Longest that any step of a test may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server and what a client needs.
pub(crate) struct Fixture {
    pub(crate) server: RunningServer,
    pub(crate) directory: TempDir,
    pub(crate) service: service::Service,
}

impl Fixture {
    /// Plain HTTP on loopback.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With a configuration of one's own.
    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let service = service::Service::new().await;
        let mut config = ServerConfig::new(directory.path().to_owned(), "us-east-1".to_owned());
        config.listen = vec!["127.0.0.1:0".parse().unwrap()];
        change(&mut config);
        let server = Server::start(config, Arc::clone(&service.engine)).await.unwrap();
        Self { server, directory, service }
    }

    /// With limits that a test can wait for.
    pub(crate) async fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        Self::with(|config| {
            config.limits.tick = Duration::from_millis(20);
            change(&mut config.limits);
        })
        .await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address()).await.unwrap())
    }

    /// From another address of this host.
    pub(crate) async fn connect_from(&self, source: [u8; 4]) -> Client<TcpStream> {
        Client::new(connect_from(source, self.address()).await.unwrap())
    }

    /// A signed request for `TrentService.OPERATION`, as bytes.
    pub(crate) fn signed(&self, operation: &str, body: &str) -> Vec<u8> {
        let target = format!("TrentService.{operation}");
        self.signed_with(&Unsigned::json(&target, body), 0, |_| {})
    }

    /// Signs, `seconds` away from the server's time, and lets the test spoil the headers.
    pub(crate) fn signed_with(
        &self,
        unsigned: &Unsigned<'_>,
        seconds: i64,
        spoil: impl FnOnce(&mut Vec<(String, String)>),
    ) -> Vec<u8> {
        let host = self.address().to_string();
        let mut headers = vec![("host".to_owned(), host)];
        headers
            .extend(unsigned.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let view: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request {
            method: unsigned.method,
            path_and_query: unsigned.path_and_query,
            headers: &view,
            body: unsigned.body.as_bytes(),
        };
        let credentials = Credentials {
            access_key_id: &self.service.access_key_id,
            secret_access_key: &self.service.secret_access_key,
            session_token: None,
        };
        let now = bulla_sigv4::Instant::from_seconds(self.service.now_seconds() + seconds);
        let added = sign(&request, &credentials, "us-east-1", unsigned.service, now).unwrap();
        headers.extend(added.into_iter().map(|(name, value)| (name.to_owned(), value)));
        spoil(&mut headers);
        let mut bytes = format!("{} {} HTTP/1.1\r\n", unsigned.method, unsigned.path_and_query);
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str(&format!("content-length: {}\r\n\r\n{}", unsigned.body.len(), unsigned.body));
        bytes.into_bytes()
    }
}

pub(crate) async fn connect_from(source: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(to).await
}

/// A request before it is signed.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    pub(crate) path_and_query: &'a str,
    pub(crate) service: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
}

impl<'a> Unsigned<'a> {
    pub(crate) fn json(target: &'a str, body: &'a str) -> Self {
        let headers = vec![("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        Self { method: "POST", path_and_query: "/", service: "kms", headers, body }
    }

    pub(crate) fn form(body: &'a str) -> Self {
        let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        Self { method: "POST", path_and_query: "/", service: "sts", headers, body }
    }
}

/// An answer, as it stood on the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The value of a header whose name stands exactly so on the wire.
    pub(crate) fn header(&self, exact_name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(exact_name)?.strip_prefix(": "))
    }

    pub(crate) fn error_type(&self) -> &str {
        self.header("X-Amzn-Errortype").unwrap_or("")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// What every answer has, whatever went wrong.
    pub(crate) fn check_invariants(&self) {
        let id = self.header("X-Amzn-Requestid").unwrap_or_else(|| panic!("no request id: {self:?}"));
        assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id}");
        assert!(self.header("Content-Type").is_some(), "{self:?}");
        assert!(self.head.starts_with("HTTP/1."), "{self:?}");
        if self.status() >= 400 && self.header("Content-Type") == Some("application/x-amz-json-1.1") {
            assert_eq!(self.json()["__type"], self.error_type(), "{self:?}");
        }
    }
}

/// A connection that is spoken to in bytes.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends as far as the server takes it.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn call(&mut self, bytes: &[u8]) -> Reply {
        self.send(bytes).await;
        self.reply().await
    }

    /// The next answer, checked for what every answer has.
    pub(crate) async fn reply(&mut self) -> Reply {
        let reply =
            timeout(PATIENCE, self.read_reply()).await.expect("no answer in time").expect("no answer");
        reply.check_invariants();
        reply
    }

    async fn read_reply(&mut self) -> Option<Reply> {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..head_end).collect()).unwrap();
        let mut reply = Reply { head, body: Vec::new() };
        if reply.status() == 100 {
            return Some(reply);
        }
        let length: usize = reply.header("Content-Length").expect("no Content-Length").parse().unwrap();
        while self.read.len() < length {
            assert!(self.read_more().await, "the answer ended early");
        }
        reply.body = self.read.drain(..length).collect();
        Some(reply)
    }

    /// A `100 Continue`, which has neither headers nor body.
    pub(crate) async fn interim(&mut self) -> Reply {
        timeout(PATIENCE, self.read_reply()).await.expect("no answer in time").expect("no answer")
    }

    async fn read_more(&mut self) -> bool {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.read.extend_from_slice(&buffer[..read]);
                true
            }
        }
    }

    /// Waits until the server closes, and gives what it still sent.
    pub(crate) async fn closed(mut self) -> Vec<u8> {
        timeout(PATIENCE, async { while self.read_more().await {} })
            .await
            .expect("the connection stays open");
        self.read
    }
}

/// An admin socket in a directory, and a client of it.
pub(crate) fn admin_socket(directory: &Path) -> std::os::unix::net::UnixListener {
    let listener = UnixListener::bind(directory.join("admin.sock")).unwrap();
    listener.into_std().unwrap()
}

pub(crate) async fn connect_admin(directory: &Path) -> Client<UnixStream> {
    Client::new(UnixStream::connect(directory.join("admin.sock")).await.unwrap())
}

/// An unsigned request for the admin socket.
pub(crate) fn unsigned(target: &str, extra_headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nhost: local\r\nx-amz-target: {target}\r\n{extra_headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
