//! One connection from its first byte to its last.

use crate::listener::{Peer, Shared};
use crate::pace::{Pace, Phase, Watch};
use crate::registry::Place;
use crate::stream::{Paced, Stream};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a peer that is still sending may go on after its answer, so that it reads the answer instead of
/// an error of its own sending.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// How much it may send in that time.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An answer on its way, to be written from its own buffer.
pub(crate) type HttpAnswer = Response<Full<Bytes>>;
/// One request's answering.
pub(crate) type Answering = Pin<Box<dyn Future<Output = HttpAnswer> + Send>>;

/// What answers the requests of one connection.
pub(crate) trait Respond: Send + Sync + 'static {
    /// Answers a request. Enters the phases `Work` and `Answer` by itself.
    fn respond(self: Arc<Self>, peer: Arc<Peer>, request: Request<Incoming>, pace: Arc<Pace>) -> Answering;

    /// Answers what was no readable request; `status` is 400, 414 or 431.
    fn refuse(self: Arc<Self>, peer: Arc<Peer>, status: u16) -> Answering;
}

/// Serves a connection to its end.
pub(crate) async fn serve<R: Respond>(
    stream: Stream,
    peer: Arc<Peer>,
    place: Place,
    responder: Arc<R>,
    shared: Arc<Shared>,
) {
    let (limits, metrics) = (&shared.limits, &shared.metrics);
    let told = Arc::clone(&place.told);
    let io = TokioIo::new(Paced::new(stream, Arc::clone(&told.pace)));
    let service =
        Service { responder: Arc::clone(&responder), peer: Arc::clone(&peer), pace: Arc::clone(&told.pace) };
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .writev(true)
        .max_buf_size(limits.head_bytes.max(8192))
        .max_headers(limits.head_fields)
        .max_header_size(limits.head_bytes)
        // Work goes on when the peer hangs up, so nothing is gained by reading, into a new buffer, while it lasts.
        .half_close(true)
        // The pace has its own limit for heads, which needs no timer a request.
        .header_read_timeout(None)
        .serve_connection(io, service);

    let mut watch = Watch::new();
    let mut tick = interval(limits.tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = false;
    let result = {
        let (end, cut) = (told.end.notified(), told.cut.notified());
        tokio::pin!(end, cut);
        loop {
            tokio::select! {
                biased;
                result = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break result,
                () = &mut end, if !ending => {
                    ending = true;
                    if told.pace.is_between_requests() {
                        break Ok(());
                    }
                    Pin::new(&mut connection).graceful_shutdown();
                }
                () = &mut cut => return,
                _ = tick.tick() => {
                    if watch.overdue(&told.pace, limits, place.is_crowded()) {
                        metrics.timed_out();
                        return;
                    }
                }
            }
        }
    };
    let mut stream = connection.into_parts().io.into_inner().into_stream();
    let closing = async {
        if let Err(error) = result {
            // hyper refuses HTTP/2's preface without a word, everything else unreadable with a status.
            let unreadable = error.is_parse() && told.pace.is_between_requests();
            let Some(status) = told.pace.refused().or(unreadable.then_some(400)) else {
                // The peer went away, or the stream failed: there is nobody to say goodbye to.
                return Ok(());
            };
            metrics.unreadable();
            tracing::debug!(%error, status, "refused what was no readable request");
            write_raw(&mut stream, responder.refuse(peer, status).await).await?;
        }
        stream.shutdown().await?;
        if ending { Ok(()) } else { linger(&mut stream).await }
    };
    tokio::select! {
        () = told.cut.notified() => {}
        // An error here is the peer's going away, which is what this is about.
        _ = timeout(limits.answer, closing) => {}
    }
}

/// Reads what a peer still sends, so that it gets to read its answer before the connection is reset.
async fn linger(stream: &mut Stream) -> io::Result<()> {
    let discard = async {
        let (mut left, mut sink) = (LINGER_BYTES_MAX, [0; 4096]);
        while left > 0 {
            match stream.read(&mut sink).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok(())
    };
    timeout(LINGER_MAX, discard).await.unwrap_or(Ok(()))
}

/// Writes an answer outside of hyper. Only for answers without secrets.
async fn write_raw(stream: &mut Stream, answer: HttpAnswer) -> io::Result<()> {
    let (mut head, body) = answer.into_parts();
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    head.headers.insert(CONTENT_LENGTH, body.size_hint().lower().into());
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let reason = head.status.canonical_reason().unwrap_or("");
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_u16()).into_bytes();
    for (name, value) in &head.headers {
        text.extend_from_slice(title_case(name.as_str()).as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(&body);
    stream.write_all(&text).await?;
    stream.flush().await
}

fn title_case(name: &str) -> String {
    let mut start = true;
    let upper_at_start = |letter: char| {
        let cased = if start { letter.to_ascii_uppercase() } else { letter };
        start = letter == '-';
        cased
    };
    name.chars().map(upper_at_start).collect()
}

struct Service<R> {
    responder: Arc<R>,
    peer: Arc<Peer>,
    pace: Arc<Pace>,
}

impl<R: Respond> hyper::service::Service<Request<Incoming>> for Service<R> {
    type Response = HttpAnswer;
    type Error = Infallible;
    type Future = Infallibly;

    fn call(&self, request: Request<Incoming>) -> Infallibly {
        self.pace.enter(Phase::Body);
        let (responder, peer) = (Arc::clone(&self.responder), Arc::clone(&self.peer));
        Infallibly(responder.respond(peer, request, Arc::clone(&self.pace)))
    }
}

/// An answering, as hyper wants it.
struct Infallibly(Answering);

impl Future for Infallibly {
    type Output = Result<HttpAnswer, Infallible>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cased_as_hyper_cases_them() {
        assert_eq!(title_case("x-amzn-requestid"), "X-Amzn-Requestid");
        assert_eq!(title_case("date"), "Date");
    }
}
