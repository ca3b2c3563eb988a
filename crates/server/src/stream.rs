//! The three kinds of byte stream that requests come over, under one type, and the seam where a connection's
//! pace is read off its reads and writes.
//!
//! Answers with plaintext keys pass through here without being copied into anything that isn't wiped: hyper
//! queues the body's own buffer (which wipes itself) and hands it over by `poll_write_vectored`, as
//! `is_write_vectored` says true for all three kinds. On TCP and Unix sockets that is one `writev` from that
//! buffer. Under TLS, rustls gathers the pieces into a record and encrypts it in place; it would queue
//! plaintext only before the handshake is done, and nothing is written then.

use crate::framing::Framing;
use crate::pace::{Pace, Phase};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// An accepted connection.
pub(crate) enum Stream {
    /// Plain HTTP.
    Tcp(TcpStream),
    /// HTTP under TLS, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
    /// The admin socket.
    Unix(UnixStream),
}

macro_rules! forward {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($inner) => $call,
            Stream::Tls($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

/// A stream that keeps its connection's [`Pace`], follows the framing of its requests, and holds back what hyper writes
/// of its own accord.
///
/// Between requests only hyper's own refusal of an unreadable head can be written. It has neither request id
/// nor body, so it is swallowed here; the connection's task answers in its stead.
pub(crate) struct Paced {
    stream: Stream,
    pace: Arc<Pace>,
    framing: Framing,
}

impl Paced {
    pub(crate) const fn new(stream: Stream, pace: Arc<Pace>, head_bytes_max: usize) -> Self {
        Self { stream, pace, framing: Framing::new(head_bytes_max) }
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    fn swallow(&self, first: &[u8]) {
        // `HTTP/1.1 431 …`: nine bytes, then the status.
        let status = first.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.pace.refuse(status.unwrap_or(400));
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let sent = buf.filled().get(before..).unwrap_or_default();
        if !sent.is_empty() {
            if self.pace.phase() == Phase::Idle {
                self.pace.enter(Phase::Head);
            }
            self.framing.follow(sent);
            self.pace.heads_are_plain(self.framing.plain_heads());
        }
        polled
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.pace.is_between_requests() {
            self.swallow(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pace.is_between_requests() {
            self.swallow(bufs.first().map_or(&[], |first| first));
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        // hyper flushes the stream only when it has nothing left to write.
        if matches!(polled, Poll::Ready(Ok(()))) && self.pace.phase() == Phase::Answer {
            self.pace.enter(Phase::Idle);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
