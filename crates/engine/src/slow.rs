//! What takes long (making an RSA key of 4096 bits takes half a second) runs apart from the threads that answer requests.

use crate::core::Core;
use crate::fault::Fault;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Most such pieces of work at a time: with all cores taken, requests on other keys would wait after all.
const SLOW_MAX: usize = 2;

/// The places for such work.
pub(crate) struct Slow {
    free: Arc<Semaphore>,
    /// Told whenever a place has become free.
    freed: Arc<Notify>,
}

impl Default for Slow {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(SLOW_MAX)), freed: Arc::default() }
    }
}

impl Slow {
    /// Does `work` on a thread of its own, when a place is free. Without a runtime there is nobody to hold up, and it is
    /// done here.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let Ok(runtime) = Handle::try_current() else { return Ok(work()) };
        let stopped = |_| Fault::bug("the places for slow work are closed");
        let place = self.place(Arc::clone(&self.free).acquire_owned().await.map_err(stopped)?);
        place.run(&runtime, work).await
    }

    /// As [`Self::run`], for what nobody waits for: begins when no other such work is done or waits.
    async fn run_idle<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let place = loop {
            // With somebody waiting, no place is free.
            if self.free.available_permits() == SLOW_MAX
                && let Ok(permit) = Arc::clone(&self.free).try_acquire_owned()
            {
                break self.place(permit);
            }
            self.freed.notified().await;
        };
        let runtime = Handle::try_current().map_err(|_| Fault::bug("there is no runtime"))?;
        place.run(&runtime, work).await
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        Place { _permit: permit, _tell: Tell(Arc::clone(&self.freed)) }
    }
}

/// A place that is taken. Goes with the work: who asked for it may be gone before it ends.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Dropped after the permit.
    _tell: Tell,
}

struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Place {
    async fn run<T: Send + 'static>(
        self,
        runtime: &Handle,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let work = move || {
            let _place = self;
            work()
        };
        runtime.spawn_blocking(work).await.map_err(|_| Fault::bug("slow work was cancelled or panicked"))
    }
}

impl Core {
    /// Does `work` that takes long, and that a request waits for.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.slow.run(work).await
    }

    /// Does `work` that takes long, and that nobody waits for.
    pub(crate) async fn apart_idle<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.slow.run_idle(work).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc;
    use std::task::Poll;

    /// Begins it, as far as it goes by itself.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready()))
            .await
    }

    #[tokio::test]
    async fn work_whose_requests_went_away_keeps_its_places() {
        let slow = Slow::default();
        let (said, begun) = mpsc::channel();
        let (ends, may_end) = mpsc::channel::<()>();
        let may_end = Arc::new(std::sync::Mutex::new(may_end));
        for _ in 0..SLOW_MAX + 3 {
            let (said, may_end) = (said.clone(), Arc::clone(&may_end));
            let mut work = Box::pin(slow.run(move || {
                said.send(()).unwrap();
                may_end.lock().unwrap().recv().unwrap();
            }));
            assert!(!poll_once(&mut work).await);
        }
        for _ in 0..SLOW_MAX {
            begun.recv().unwrap();
        }
        assert_eq!(slow.free.available_permits(), 0);
        assert!(begun.try_recv().is_err());
        for _ in 0..SLOW_MAX {
            ends.send(()).unwrap();
        }
        slow.run(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn what_nobody_waits_for_comes_last() {
        let slow = Slow::default();
        let (ends, may_end) = mpsc::channel::<()>();
        let mut first = Box::pin(slow.run(move || may_end.recv().unwrap()));
        assert!(!poll_once(&mut first).await);
        let mut idle = Box::pin(slow.run_idle(|| ()));
        assert!(!poll_once(&mut idle).await);
        // The other place is free, and for a request.
        assert_eq!(slow.free.available_permits(), SLOW_MAX - 1);
        slow.run(|| ()).await.unwrap();
        assert!(!poll_once(&mut idle).await);
        ends.send(()).unwrap();
        first.await.unwrap();
        idle.await.unwrap();
    }
}
