//! Work that ends even when nobody waits for it any more.

use crate::logging::InRequest;
use bulla_engine::RequestId;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// The work for a request. Dropped before its end, it goes on in a task of its own: a caller who hangs up in the middle of
/// a change leaves neither the change nor its record half-done. Costs a box, and a task only when dropped.
pub(crate) struct Completing<T: Send + 'static>(Option<InRequest<T>>);

impl<T: Send + 'static> Completing<T> {
    /// `id` is the request's, for log lines.
    pub(crate) fn new(id: RequestId, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(InRequest::new(id, work)))
    }
}

impl<T: Send + 'static> Future for Completing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = Pin::new(work).poll(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Completing<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_ends_after_its_caller_is_gone() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let mut work = Completing::new(RequestId::from_random([7; 16]), async move {
            gone.await.unwrap();
            done.send(()).unwrap();
        });
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut work).poll(&mut cx).is_pending());
        drop(work);
        go.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), finished).await.unwrap().unwrap();
    }
}
