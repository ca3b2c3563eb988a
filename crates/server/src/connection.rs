//! One connection from its first byte to its last.

use crate::framing::FIELDS_MAX;
use crate::http_answer::closing;
use crate::listener::{Peer, Shared};
use crate::metrics::Metrics;
use crate::pace::{Phase, Watch};
use crate::registry::{Place, Told};
use crate::stream::{Paced, Stream};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
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
    /// Answers a request. Enters the phases `Work` and `Answer` by itself, and tells whether the caller is known.
    fn respond(self: Arc<Self>, peer: Arc<Peer>, request: Request<Incoming>, told: Arc<Told>) -> Answering;

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
    let io = TokioIo::new(Paced::new(stream, Arc::clone(&told.pace), limits.head_bytes));
    let service = Service {
        responder: Arc::clone(&responder),
        peer: Arc::clone(&peer),
        told: Arc::clone(&told),
        metrics: Arc::clone(metrics),
    };
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .writev(true)
        .max_buf_size(limits.head_bytes.max(8192))
        .max_headers(FIELDS_MAX)
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
        let (end, leave, cut) = (told.end.notified(), told.leave.notified(), told.cut.notified());
        tokio::pin!(end, leave, cut);
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
                () = &mut leave, if !ending => {
                    ending = true;
                    metrics.connection_displaced();
                    // A request that came whole meanwhile is answered.
                    if told.pace.phase() != Phase::Work {
                        return;
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
        () = told.leave.notified() => {}
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
    told: Arc<Told>,
    metrics: Arc<Metrics>,
}

impl<R: Respond> hyper::service::Service<Request<Incoming>> for Service<R> {
    type Response = HttpAnswer;
    type Error = Infallible;
    type Future = Infallibly;

    fn call(&self, request: Request<Incoming>) -> Infallibly {
        self.told.pace.enter(Phase::Body);
        let (responder, peer, told) =
            (Arc::clone(&self.responder), Arc::clone(&self.peer), Arc::clone(&self.told));
        if !told.pace.is_next_plain() || !names_one_host(&request) {
            self.metrics.unreadable();
            return Infallibly(Box::pin(async move {
                told.pace.enter(Phase::Work);
                let answer = responder.refuse(peer, 400).await;
                told.pace.enter(Phase::Answer);
                closing(answer)
            }));
        }
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let answering = responder.respond(peer, request, told);
        // Requests are not followed beyond chunks, so no other may come after them.
        Infallibly(if chunked { Box::pin(async move { closing(answering.await) }) } else { answering })
    }
}

/// Whether a request target that names a host names the one of the `Host` field: one of them is signed, and a proxy may
/// have gone by the other (RFC 9112, 3.2.2).
fn names_one_host<B>(request: &Request<B>) -> bool {
    let Some(authority) = request.uri().authority() else { return true };
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes).unwrap_or_default();
    hosts.next().is_none() && authority.as_str().as_bytes().eq_ignore_ascii_case(host)
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_target_with_a_host_must_name_that_of_the_field() {
        let names_one_host = |target: &str, hosts: &[&str]| {
            let request =
                hosts.iter().fold(Request::get(target), |request, host| request.header(HOST, *host));
            names_one_host(&request.body(()).unwrap())
        };
        assert!(names_one_host("/", &["a:80"]) && names_one_host("*", &[]));
        assert!(names_one_host("http://kms.example.org:4599/", &["KMS.example.org:4599"]));
        for hosts in [&["b:80"][..], &["a"], &["a:80", "a:80"], &["a:80", "b"], &[""], &[]] {
            assert!(!names_one_host("http://a:80/", hosts), "{hosts:?}");
        }
        assert!(!names_one_host("http://x@a:80/", &["a:80"]));
    }

    #[test]
    fn names_are_cased_as_hyper_cases_them() {
        assert_eq!(title_case("x-amzn-requestid"), "X-Amzn-Requestid");
        assert_eq!(title_case("date"), "Date");
    }
}
