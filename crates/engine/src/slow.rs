//! What takes long (making an RSA key of 4096 bits takes half a second) runs apart from the threads that answer requests.

use crate::core::Core;
use crate::fault::Fault;
use tokio::runtime::Handle;

/// Most such pieces of work at a time: with all cores taken, requests on other keys would wait after all.
pub(crate) const SLOW_MAX: usize = 2;

impl Core {
    /// Does `work` on a thread of its own, when a place is free. Without a runtime there is nobody to hold up, and it is
    /// done here.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let Ok(runtime) = Handle::try_current() else { return Ok(work()) };
        let stopped = |_| Fault::bug("the places for slow work are closed");
        let _place = self.slow.acquire().await.map_err(stopped)?;
        runtime.spawn_blocking(work).await.map_err(|_| Fault::bug("slow work was cancelled or panicked"))
    }
}
