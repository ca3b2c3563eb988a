//! What takes long (making an RSA key of 4096 bits takes half a second) runs apart from the threads that answer requests.
//!
//! There are few places for such work. Who finds none free waits in the queue of its account, and accounts take turns: one
//! that asks for very much waits for itself, and another waits for what is being done and one turn.

use crate::core::Core;
use crate::fault::Fault;
use bulla_api::{AccountId, ErrorCode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// Most such pieces of work at a time: with all cores taken, requests on other keys would wait after all.
const SLOW_MAX: usize = 2;

/// Most that wait, of one account: some ten seconds of work. Whoever comes then is told to come again.
const WAITING_PER_ACCOUNT_MAX: usize = 32;

/// Most that wait, of all accounts.
const WAITING_MAX: usize = 1024;

/// The places for such work.
pub(crate) struct Slow(Arc<Places>);

struct Places {
    state: Mutex<State>,
    /// Told whenever a place has become free.
    freed: Notify,
}

struct State {
    free: usize,
    /// Those who wait, by account; the account whose turn is next comes first. None is empty.
    queues: VecDeque<(AccountId, VecDeque<oneshot::Sender<Place>>)>,
}

impl Default for Slow {
    fn default() -> Self {
        let state = State { free: SLOW_MAX, queues: VecDeque::new() };
        Self(Arc::new(Places { state: Mutex::new(state), freed: Notify::new() }))
    }
}

/// How somebody comes to a place.
enum Turn {
    Now(Place),
    Later(oneshot::Receiver<Place>),
}

impl Slow {
    /// Does `work` on a thread of its own, when it is the account's turn. Without a runtime there is nobody to hold up, and
    /// it is done here.
    async fn run<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let Ok(runtime) = Handle::try_current() else { return Ok(work()) };
        let place = match self.turn(account)? {
            Turn::Now(place) => place,
            Turn::Later(place) => place.await.map_err(|_| Fault::bug("the places for slow work are gone"))?,
        };
        place.run(&runtime, work).await
    }

    /// As [`Self::run`], for what nobody waits for: begins when no other such work is done or waits.
    async fn run_idle<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let place = loop {
            if let Some(place) = self.idle_place() {
                break place;
            }
            self.0.freed.notified().await;
        };
        let runtime = Handle::try_current().map_err(|_| Fault::bug("there is no runtime"))?;
        place.run(&runtime, work).await
    }

    /// A place, or one to come. Fails as AWS does when somebody asks for too much at once.
    fn turn(&self, account: AccountId) -> Result<Turn, Fault> {
        let mut state = self.0.lock();
        // With somebody waiting, no place is free.
        if let Some(free) = state.free.checked_sub(1) {
            state.free = free;
            return Ok(Turn::Now(self.place()));
        }
        // Whoever went away waits no more.
        state.queues.retain_mut(|(_, queue)| {
            queue.retain(|waiting| !waiting.is_closed());
            !queue.is_empty()
        });
        let waiting: usize = state.queues.iter().map(|(_, queue)| queue.len()).sum();
        let (place, later) = oneshot::channel();
        let own = state.queues.iter_mut().find(|(of, _)| *of == account);
        match own {
            Some((_, queue)) if queue.len() >= WAITING_PER_ACCOUNT_MAX => return Err(too_much()),
            _ if waiting >= WAITING_MAX => return Err(too_much()),
            Some((_, queue)) => queue.push_back(place),
            None => state.queues.push_back((account, VecDeque::from([place]))),
        }
        Ok(Turn::Later(later))
    }

    fn idle_place(&self) -> Option<Place> {
        let mut state = self.0.lock();
        if state.free < SLOW_MAX {
            return None;
        }
        state.free -= 1;
        Some(self.place())
    }

    fn place(&self) -> Place {
        Place(Some(Arc::clone(&self.0)))
    }
}

/// What is said to an account that has very much slow work waiting. AWS's own text (AWS KMS developer guide, "Throttling
/// AWS KMS requests"); its clients wait, and try again.
fn too_much() -> Fault {
    Fault::answer(
        ErrorCode::ThrottlingException,
        "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
    )
}

impl Places {
    /// Nothing under the lock can leave it half-changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place is left. Gives whose turn it is; with nobody waiting, the place is free.
    fn next(&self) -> Option<oneshot::Sender<Place>> {
        let mut state = self.lock();
        let Some((account, mut queue)) = state.queues.pop_front() else {
            state.free += 1;
            return None;
        };
        let next = queue.pop_front();
        if !queue.is_empty() {
            state.queues.push_back((account, queue));
        }
        next
    }
}

/// A place that is taken. Goes with the work: who asked for it may be gone before it ends.
struct Place(Option<Arc<Places>>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(places) = self.0.take() else { return };
        while let Some(next) = places.next() {
            match next.send(Self(Some(Arc::clone(&places)))) {
                Ok(()) => return,
                // Whoever waited is gone: the place is the next one's.
                Err(mut unwanted) => drop(unwanted.0.take()),
            }
        }
        places.freed.notify_one();
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
    /// Does `work` that takes long, and that a request of this account waits for.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.slow.run(account, work).await
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

    fn account(number: u64) -> AccountId {
        AccountId::from_number(number).unwrap()
    }

    const ONE: u64 = 111_122_223_333;
    const OTHER: u64 = 444_455_556_666;

    /// Work that tells when it begins, and ends when it may.
    struct Work {
        said: mpsc::Sender<u64>,
        begun: mpsc::Receiver<u64>,
        ends: mpsc::Sender<()>,
        may_end: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl Work {
        fn new() -> Self {
            let (said, begun) = mpsc::channel();
            let (ends, may_end) = mpsc::channel();
            Self { said, begun, ends, may_end: Arc::new(Mutex::new(may_end)) }
        }

        fn of(&self, account: u64) -> impl FnOnce() + Send + 'static {
            let (said, may_end) = (self.said.clone(), Arc::clone(&self.may_end));
            move || {
                said.send(account).unwrap();
                may_end.lock().unwrap().recv().unwrap();
            }
        }

        fn begins(&self) -> u64 {
            self.begun.recv().unwrap()
        }

        fn ends(&self) {
            self.ends.send(()).unwrap();
        }
    }

    #[tokio::test]
    async fn work_whose_requests_went_away_keeps_its_places() {
        let (slow, work) = (Slow::default(), Work::new());
        for _ in 0..SLOW_MAX + 3 {
            let mut begun = Box::pin(slow.run(account(ONE), work.of(ONE)));
            assert!(!poll_once(&mut begun).await);
        }
        for _ in 0..SLOW_MAX {
            work.begins();
        }
        assert_eq!(slow.0.lock().free, 0);
        assert!(work.begun.try_recv().is_err());
        for _ in 0..SLOW_MAX {
            work.ends();
        }
        slow.run(account(ONE), || ()).await.unwrap();
    }

    #[tokio::test]
    async fn what_nobody_waits_for_comes_last() {
        let slow = Slow::default();
        let (ends, may_end) = mpsc::channel::<()>();
        let mut first = Box::pin(slow.run(account(ONE), move || may_end.recv().unwrap()));
        assert!(!poll_once(&mut first).await);
        let mut idle = Box::pin(slow.run_idle(|| ()));
        assert!(!poll_once(&mut idle).await);
        // The other place is free, and for a request.
        assert_eq!(slow.0.lock().free, SLOW_MAX - 1);
        slow.run(account(ONE), || ()).await.unwrap();
        assert!(!poll_once(&mut idle).await);
        ends.send(()).unwrap();
        first.await.unwrap();
        idle.await.unwrap();
    }

    #[tokio::test]
    async fn accounts_take_turns() {
        let (slow, work) = (Arc::new(Slow::default()), Work::new());
        let mut waiting = Vec::new();
        for of in std::iter::repeat_n(ONE, SLOW_MAX + 5).chain([OTHER, OTHER]) {
            let (slow, work) = (Arc::clone(&slow), work.of(of));
            let mut begun = Box::pin(async move { slow.run(account(of), work).await });
            assert!(!poll_once(&mut begun).await);
            waiting.push(tokio::spawn(begun));
        }
        let turns = tokio::task::spawn_blocking(move || {
            let begun: Vec<u64> = (0..SLOW_MAX).map(|_| work.begins()).collect();
            let next = (0..5 + 2).map(|_| {
                work.ends();
                work.begins()
            });
            let turns: Vec<u64> = begun.into_iter().chain(next).collect();
            (0..SLOW_MAX).for_each(|_| work.ends());
            turns
        });
        assert_eq!(turns.await.unwrap(), [ONE, ONE, ONE, OTHER, ONE, OTHER, ONE, ONE, ONE]);
        for begun in waiting {
            begun.await.unwrap().unwrap();
        }
        assert_eq!(slow.0.lock().free, SLOW_MAX);
    }

    #[tokio::test]
    async fn an_account_that_asks_for_too_much_at_once_is_told_so_and_no_other_is() {
        let (slow, work) = (Slow::default(), Work::new());
        let mut waiting = Vec::new();
        for _ in 0..SLOW_MAX + WAITING_PER_ACCOUNT_MAX {
            let mut begun = Box::pin(slow.run(account(ONE), work.of(ONE)));
            assert!(!poll_once(&mut begun).await);
            waiting.push(begun);
        }
        let refused = slow.run(account(ONE), || ()).await.unwrap_err();
        assert!(matches!(refused, Fault::Answer(error) if error.code == ErrorCode::ThrottlingException));
        let mut other = Box::pin(slow.run(account(OTHER), || ()));
        assert!(!poll_once(&mut other).await);
        // One that waits goes away, and there is room for another.
        drop(waiting.pop());
        let mut again = Box::pin(slow.run(account(ONE), work.of(ONE)));
        assert!(!poll_once(&mut again).await);
        drop((waiting, again));
        (0..SLOW_MAX).for_each(|_| work.ends());
        other.await.unwrap();
    }
}
