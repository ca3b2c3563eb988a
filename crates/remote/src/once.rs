//! A change is sent once: when its answer is lost, it may have been made, and a second sending could make it twice.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
    InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Watches one call that changes something: whether the KMS may have it, with no answer that says that it refused.
///
/// An attempt that never reached the KMS, and one that the KMS refused (HTTP 4xx: throttled, say), is made again as
/// for any call.
#[derive(Clone)]
pub(crate) struct Once {
    /// What is sent. Wiped when the last reference to it goes.
    body: Bytes,
    open: Arc<AtomicBool>,
}

impl std::fmt::Debug for Once {
    /// Without what is sent: it may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Once {
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body, open: Arc::default() }
    }

    /// Whether the change may have been made although no answer says so.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }
}

/// Whether the KMS says in its answer that it did nothing.
fn refuses(answer: Option<&HttpResponse>) -> bool {
    answer.is_some_and(|answer| answer.status().is_client_error())
}

#[dyn_dispatch_hint]
impl Intercept for Once {
    fn name(&self) -> &'static str {
        "Once"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.open.store(false, Ordering::SeqCst);
        Ok(())
    }

    // After signing, which reads the body as a whole.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let watched = Watched { bytes: Some(self.body.clone()), taken: Arc::clone(&self.open) };
        *context.request_mut().body_mut() = SdkBody::from_body_1_x(watched);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if refuses(context.response()) {
            self.open.store(false, Ordering::SeqCst);
        }
        Ok(())
    }
}

impl ClassifyRetry for Once {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(_)) if self.is_open() && !refuses(context.response()) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Once"
    }
}

/// A request's body that notes when it is taken to be sent, which is after the connection is there.
struct Watched {
    bytes: Option<Bytes>,
    taken: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.taken.store(true, Ordering::SeqCst);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
