//! Writing an object: in parts that nobody sees before all of them are there and what they hold is authentic.
//!
//! What fits the first part is sent as one object. Otherwise parts are sent while the next one is filled; when the work fails, or a
//! signal ends the process, the upload is aborted and nothing is left. The object appears with the last request.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulla_crypto::{Rng as _, SystemRng};
use bytes::Bytes;
use tokio::task::AbortHandle;

use super::buffer::WipedBytes;
use super::failure::{Problem, Tried};
use super::parts::{OBJECT_BYTES_MAX, PARTS_MAX, PartSizes};
use super::rewrite::{copying, only_at_s3};
use super::server::{Kept, Making, Part, Told};
use super::{ObjectName, Pinned, Storage};
use crate::exit::{Exit, Failure};
use crate::signals::{Undo, Watched, undo_on_signal};

/// Parts in flight hold at most this together, in bytes, unless a single one is longer.
const IN_FLIGHT_BYTES_MAX: u64 = 256 << 20;
/// A buffer begins with this, so that a short object takes little memory.
const BUFFER_BYTES: usize = 1 << 20;
/// Aborting must not keep a process from ending.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the mark in an object's metadata.
pub(super) const MARK: &str = "bulla-upload";
/// Its length, in bytes.
const MARK_BYTES: usize = 12;

/// An object that is being written.
pub(crate) struct Upload {
    shared: Arc<Shared>,
    sizes: PartSizes,
    buffer: WipedBytes,
    /// Parts sent so far, and their bytes.
    parts: u32,
    bytes: u64,
    /// From the first part on.
    watched: Option<Watched>,
}

struct Shared {
    storage: Arc<Storage>,
    name: ObjectName,
    metadata: Mutex<HashMap<String, String>>,
    condition: Condition,
    /// Random, beside the object from its first moment: who finds it there knows whose object that is.
    mark: String,
    kept: Mutex<Option<Arc<Kept>>>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What came of the request that makes an object.
enum Made {
    /// It is there.
    Yes,
    /// It is not, as the condition doesn't hold.
    Unmet(Failure),
}

impl Made {
    fn or_failure(self) -> Result<(), Failure> {
        match self {
            Self::Yes => Ok(()),
            Self::Unmet(failure) => Err(failure),
        }
    }
}

/// What must be there when the object appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    Absent,
    /// The object with this ETag.
    Same(String),
    /// Whatever it is, it is replaced.
    Any,
}

/// Bytes of a part, and where they are.
enum Piece {
    Here(WipedBytes),
    /// In another object of the same server.
    There(Arc<Pinned>, Range<u64>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::There(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// Bytes of this process's memory.
    fn held(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::There(..) => 0,
        }
    }
}

#[derive(Default)]
struct State {
    stage: Stage,
    in_flight: usize,
    in_flight_bytes: u64,
    sent: Vec<Part>,
    running: Vec<AbortHandle>,
    failed: Option<Failure>,
}

#[derive(Default, Clone, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    #[default]
    Empty,
    /// The upload was asked for; its id isn't known yet.
    Beginning,
    /// Parts may be sent under this id.
    Open(String),
    /// The object is there, or nothing is left of it.
    Over,
    /// A signal has ended it: this process is about to end.
    Signalled,
}

impl Upload {
    /// For an object that must not be there unless `force`. Makes no request.
    pub(crate) fn new(storage: Arc<Storage>, name: ObjectName, force: bool) -> Self {
        Self::under(storage, name, if force { Condition::Any } else { Condition::Absent })
    }

    /// For an object that appears on a condition only. Makes no request.
    pub(crate) fn under(storage: Arc<Storage>, name: ObjectName, condition: Condition) -> Self {
        let shared = Shared {
            storage,
            name,
            metadata: Mutex::default(),
            condition,
            mark: random_mark(),
            kept: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let (shared, buffer) = (Arc::new(shared), WipedBytes::default());
        Self { shared, sizes: PartSizes::Growing, buffer, parts: 0, bytes: 0, watched: None }
    }

    /// Refuses an object that is there already, before the work: it is refused again at the end.
    pub(crate) fn check_absent(&self) -> Result<(), Failure> {
        let shared = &self.shared;
        if shared.condition != Condition::Absent {
            return Ok(());
        }
        let this = Arc::clone(shared);
        let there = shared.storage.wait_for(async move {
            let found = this.storage.server().head(&this.name, None, this.storage.pace(0)).await;
            match found {
                Ok(_) => Ok(true),
                // Who may write but not look is told at the end.
                Err(problem) if problem.is_refusal() => Ok(false),
                Err(problem) => Err(this.tried().of(&problem)),
            }
        })?;
        if there { Err(self.shared.exists()) } else { Ok(()) }
    }

    /// What stands beside the object, in its metadata, from its first moment, and beside no other.
    pub(crate) fn mark(&self) -> (&'static str, String) {
        (MARK, self.shared.mark.clone())
    }

    /// Where it will be.
    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.shared.storage
    }

    /// What it will be.
    pub(crate) fn name(&self) -> &ObjectName {
        &self.shared.name
    }

    /// For messages.
    pub(crate) fn shown(&self) -> String {
        self.shared.name.to_string()
    }

    /// Most bytes that will come, when that is known.
    pub(crate) fn expect(&mut self, bytes: Option<u64>) {
        self.sizes = PartSizes::for_length(bytes);
    }

    /// What is to stand beside the object. Before the first byte.
    pub(crate) fn set_metadata(&self, metadata: HashMap<String, String>) {
        *self.shared.metadata.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }

    /// Has the object keep what stands beside another: content type, encryption, storage class.
    pub(crate) fn keep(&self, of: Kept) {
        *self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(of));
    }

    /// Has the server make the object from the content of another, in parts of so many bytes.
    pub(super) fn copy(mut self, source: &Arc<Pinned>, part_bytes: u64) -> Result<(), Failure> {
        let made = self.copied(source, part_bytes);
        self.or_given_up(made)?.or_failure()
    }

    fn copied(&mut self, source: &Arc<Pinned>, part_bytes: u64) -> Result<Made, Failure> {
        let mut at = 0;
        while at < source.bytes {
            let end = at.saturating_add(part_bytes.max(1)).min(source.bytes);
            self.send(Piece::There(Arc::clone(source), at..end))?;
            at = end;
        }
        self.shared.complete()
    }

    /// Ends it, and gives the failure back that it ends for, with what is left of it.
    pub(crate) fn given_up(&self, failure: Failure) -> Failure {
        let shared = &self.shared;
        drop(shared.park_if_signalled(shared.lock()));
        match shared.abort(Stage::Over) {
            Some(left) => failure.although(&left),
            None => failure,
        }
    }

    fn or_given_up(&self, made: Result<Made, Failure>) -> Result<Made, Failure> {
        match made {
            Ok(Made::Yes) => Ok(Made::Yes),
            Ok(Made::Unmet(failure)) => Ok(Made::Unmet(self.given_up(failure))),
            Err(failure) => Err(self.given_up(failure)),
        }
    }

    /// Makes the object of what was written.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.make()?.or_failure()
    }

    /// The same, where it is no failure that the condition doesn't hold: gives back whether it did.
    pub(crate) fn finish_if(self) -> Result<bool, Failure> {
        Ok(matches!(self.make()?, Made::Yes))
    }

    /// The same of all that it is to hold.
    pub(crate) fn finish_with(mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.add(bytes)?;
        self.finish()
    }

    fn make(mut self) -> Result<Made, Failure> {
        let made = self.made();
        self.or_given_up(made)
    }

    fn made(&mut self) -> Result<Made, Failure> {
        let buffer = std::mem::take(&mut self.buffer);
        if self.parts == 0 {
            return self.shared.put(buffer.into_bytes());
        }
        if buffer.len() > 0 {
            self.send(Piece::Here(buffer))?;
        }
        self.shared.complete()
    }

    fn add(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let size = usize::try_from(self.sizes.of(self.parts)).unwrap_or(usize::MAX);
            if self.buffer.len() >= size {
                let full = std::mem::take(&mut self.buffer);
                self.send(Piece::Here(full))?;
                continue;
            }
            let (now, later) = bytes.split_at(size.saturating_sub(self.buffer.len()).min(bytes.len()));
            let needed = self.buffer.len().saturating_add(now.len());
            if needed > self.buffer.capacity() {
                // Doubled while it may be a short object; from the second part on whole, so that one's memory serves the next.
                let doubled =
                    self.buffer.capacity().saturating_mul(2).max(BUFFER_BYTES).max(needed).min(size);
                let room = if self.parts == 0 { doubled } else { size };
                self.buffer.extend(now, room);
            } else {
                self.buffer.extend(now, 0);
            }
            bytes = later;
        }
        Ok(())
    }

    /// Sends a part as soon as there is room for one more in flight.
    fn send(&mut self, piece: Piece) -> Result<(), Failure> {
        let shared = &self.shared;
        let held = piece.held();
        self.bytes = self.bytes.saturating_add(piece.length());
        if self.parts >= PARTS_MAX || self.bytes > OBJECT_BYTES_MAX {
            return Err(shared
                .tried()
                .failed(Exit::Failed, "it would be larger than 5 TiB, the most that is uploaded"));
        }
        if self.parts == 0 {
            let aborting = Arc::clone(shared);
            let undo = Undo::Elsewhere(Box::new(move || tell(aborting.abort(Stage::Signalled))));
            self.watched = Some(undo_on_signal(undo));
            shared.begin()?;
        }
        self.parts = self.parts.saturating_add(1);
        let number = self.parts;
        let mut state = shared.lock();
        let id = loop {
            state = shared.park_if_signalled(state);
            if let Some(failure) = &state.failed {
                return Err(failure.clone());
            }
            let full = state.in_flight >= shared.storage.concurrency()
                || (state.in_flight > 0 && state.in_flight_bytes.saturating_add(held) > IN_FLIGHT_BYTES_MAX);
            match &state.stage {
                Stage::Open(id) if !full => break id.clone(),
                Stage::Open(_) => state = shared.wait(state),
                _ => return Err(shared.tried().failed(Exit::Failed, "the upload was aborted")),
            }
        };
        state.in_flight = state.in_flight.saturating_add(1);
        state.in_flight_bytes = state.in_flight_bytes.saturating_add(held);
        let task = Arc::clone(shared);
        let running = shared.storage.spawn(async move {
            let sent = match piece {
                Piece::Here(bytes) => task.send_part(id, number, bytes.into_bytes()).await,
                Piece::There(source, range) => task.copy_part(id, number, &source, range).await,
            };
            let mut state = task.lock();
            state.in_flight = state.in_flight.saturating_sub(1);
            state.in_flight_bytes = state.in_flight_bytes.saturating_sub(held);
            match sent {
                Ok(part) => state.sent.push(part),
                Err(failure) => state.failed = state.failed.take().or(Some(failure)),
            }
            drop(state);
            task.changed.notify_all();
        });
        state.running.retain(|task| !task.is_finished());
        state.running.push(running);
        Ok(())
    }
}

pub(super) fn random_mark() -> String {
    let mut mark = [0; MARK_BYTES];
    SystemRng.fill(&mut mark);
    URL_SAFE_NO_PAD.encode(mark)
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Nothing is seen before the end, whatever is flushed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        tell(self.shared.abort(Stage::Over));
    }
}

/// Says what is left of an upload that ends without another word.
fn tell(left: Option<String>) {
    if let Some(left) = left {
        crate::say::error_line(&format!("bulla: {left}"));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Once a signal has ended the upload, the process ends by it, and not by an error that follows from it.
    fn park_if_signalled<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while state.stage == Stage::Signalled {
            state = self.wait(state);
        }
        state
    }

    fn tried(&self) -> Tried<'_> {
        Tried { doing: "write", what: &self.name, place: self.storage.place() }
    }

    fn exists(&self) -> Failure {
        Failure::new(
            Exit::Failed,
            format!("`{}` exists; nothing was written; replace it with --force or name another", self.name),
        )
    }

    fn making(&self) -> Making {
        let mut metadata = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone();
        metadata.insert(MARK.to_owned(), self.mark.clone());
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Making { metadata, kept, condition: self.condition.clone() }
    }

    /// What came of the request that makes the object. Whatever is answered, or nothing, it may be done, by this request or by
    /// the one whose answer was lost: then the object is there, with this upload's mark.
    async fn made(&self, answer: Result<Told, Problem>) -> Result<Made, Failure> {
        let unclear = match &answer {
            Ok(Told::Made) => return Ok(Made::Yes),
            Ok(Told::Perhaps | Told::Nothing) => true,
            Err(problem) => problem.may_be_done(),
        };
        let mark = HashMap::from([(MARK.to_owned(), self.mark.clone())]);
        if unclear && self.storage.has(&self.name, &mark).await {
            return Ok(Made::Yes);
        }
        let problem = match answer {
            Err(problem) => problem,
            // Who may write but not look has no more to go by.
            Ok(Told::Perhaps) if self.storage.hides(&self.name).await => return Ok(Made::Yes),
            Ok(_) => return Err(self.tried().not_storage()),
        };
        if self.condition == Condition::Absent && problem.is_presence() {
            return Ok(Made::Unmet(self.exists()));
        }
        let failure = self.tried().of(&problem);
        let unmet = match self.condition {
            Condition::Any => false,
            Condition::Absent => problem.is_conflict(),
            // What is gone is not the same either.
            Condition::Same(_) => problem.is_precondition() || problem.is_conflict() || problem.is_absent(),
        };
        if unmet { Ok(Made::Unmet(failure)) } else { Err(failure) }
    }

    /// A short object, in one request.
    fn put(self: &Arc<Self>, body: Bytes) -> Result<Made, Failure> {
        let this = Arc::clone(self);
        self.storage.wait_for(async move {
            let pace = this.storage.pace(body.len() as u64);
            this.made(this.storage.server().put(&this.name, body, this.making(), pace).await).await
        })
    }

    /// Asks for an upload in parts.
    fn begin(self: &Arc<Self>) -> Result<(), Failure> {
        self.park_if_signalled(self.lock()).stage = Stage::Beginning;
        let this = Arc::clone(self);
        let begun = self.storage.wait_for(async move {
            let begun = this.storage.server().begin(&this.name, this.making(), this.storage.pace(0)).await;
            let begun = begun.map_err(|problem| {
                let failure = this.tried().of(&problem);
                match problem.may_be_done() && !problem.is_refusal() {
                    true => failure.although(&this.left("an upload without parts")),
                    false => failure,
                }
            })?;
            begun.ok_or_else(|| this.tried().not_storage())
        });
        let mut state = self.lock();
        let result = match begun {
            Ok(id) => {
                state.stage = Stage::Open(id);
                Ok(())
            }
            Err(failure) => {
                state.stage = Stage::Over;
                Err(failure)
            }
        };
        drop(state);
        self.changed.notify_all();
        result
    }

    async fn send_part(&self, id: String, number: u32, body: Bytes) -> Result<Part, Failure> {
        let pace = self.storage.pace(body.len() as u64);
        let sent = self.storage.server().send_part(&self.name, &id, number, body, pace).await;
        sent.map_err(|problem| self.tried().of(&problem))?.ok_or_else(|| self.tried().not_storage())
    }

    async fn copy_part(
        &self,
        id: String,
        number: u32,
        source: &Pinned,
        range: Range<u64>,
    ) -> Result<Part, Failure> {
        let Some(server) = self.storage.server().s3() else { return Err(only_at_s3(self.tried())) };
        let pace = self.storage.pace(copying(range.end.saturating_sub(range.start)));
        let sent = server.copy_part(&self.name, &id, number, (source, range), pace).await;
        sent.map_err(|problem| self.tried().of(&problem))?.ok_or_else(|| self.tried().not_storage())
    }

    /// Waits for all parts, and makes them the object.
    fn complete(self: &Arc<Self>) -> Result<Made, Failure> {
        let mut state = self.lock();
        loop {
            state = self.park_if_signalled(state);
            if let Some(failure) = &state.failed {
                return Err(failure.clone());
            }
            if state.in_flight == 0 {
                break;
            }
            state = self.wait(state);
        }
        let Stage::Open(id) = state.stage.clone() else {
            return Err(self.tried().failed(Exit::Failed, "the upload was aborted"));
        };
        let mut parts = std::mem::take(&mut state.sent);
        drop(state);
        parts.sort_by_key(|part| part.number);
        let this = Arc::clone(self);
        let completed = self.storage.wait_for(async move {
            // Putting many parts together takes the server a while.
            let pace = this.storage.pace(64 << 20);
            let server = this.storage.server();
            this.made(server.complete(&this.name, &id, parts, this.making(), pace).await).await
        });
        let mut state = self.park_if_signalled(self.lock());
        if matches!(completed, Ok(Made::Yes)) {
            state.stage = Stage::Over;
        }
        completed
    }

    /// That something is left, and what to do about it.
    fn left(&self, what: &str) -> String {
        format!(
            "{what} of `{}` may be left at {}; a lifecycle rule that aborts incomplete uploads removes it",
            self.name,
            self.storage.place()
        )
    }

    /// Takes back what was sent, if anything was, and waits for that a while. Gives back what may be left.
    fn abort(self: &Arc<Self>, then: Stage) -> Option<String> {
        let mut state = self.lock();
        let until = std::time::Instant::now() + ABORT_TIMEOUT;
        while state.stage == Stage::Beginning {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let stage = std::mem::replace(&mut state.stage, then);
        let running = std::mem::take(&mut state.running);
        drop(state);
        self.changed.notify_all();
        let id = match stage {
            Stage::Open(id) => id,
            Stage::Beginning => return Some(self.left("an upload without parts")),
            Stage::Empty | Stage::Over | Stage::Signalled => return None,
        };
        for task in running {
            task.abort();
        }
        let this = Arc::clone(self);
        let told = self.storage.wait_for(async move {
            let asked = this.storage.server().abort(&this.name, &id, this.storage.pace(0));
            let told = tokio::time::timeout(ABORT_TIMEOUT, asked).await;
            // What the server doesn't know of is gone, too.
            Ok(told.is_ok_and(|told| told.map_or_else(|problem| problem.status() == Some(404), |()| true)))
        });
        (!matches!(told, Ok(true))).then(|| self.left("an upload"))
    }
}
