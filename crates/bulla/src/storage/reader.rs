//! An object as an input that is read by position.
//!
//! Bodies are read nearly in order, by several threads. Blocks are fetched ahead of them, a few at once: how many says
//! [`Access`], and so how much memory they take. What is far from there is fetched by itself.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bulla_envelope::ReadAt;

use super::buffer::WipedBytes;
use super::{Pinned, Storage};
use crate::exit::Failure;

/// How an object will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// From its start to its end: up to six blocks of 4 MiB come ahead, and two stay behind.
    Whole,
    /// Here and there: nothing comes ahead, and large reads are as large as they are.
    Parts,
    /// What stands at its start.
    Start,
}

impl Access {
    const fn block_bytes(self) -> u64 {
        match self {
            Self::Whole => 4 << 20,
            Self::Parts => 64 << 10,
            Self::Start => START_BYTES,
        }
    }

    const fn ahead(self) -> u64 {
        match self {
            Self::Whole => 6,
            Self::Parts | Self::Start => 0,
        }
    }
}

/// As much is read of an object of which only the start is looked at, in bytes: few headers are longer.
pub(crate) const START_BYTES: u64 = 8 << 10;
/// Shorter reads than this, in bytes, don't move the front.
const PROBE_BYTES: u64 = 64;
/// Blocks that stay for threads that are behind the foremost.
const BEHIND: u64 = 2;

/// An object that is read by position.
pub(crate) struct ObjectReader {
    shared: Arc<Shared>,
}

struct Shared {
    storage: Arc<Storage>,
    object: Pinned,
    access: Access,
    blocks: Mutex<Blocks>,
    arrived: Condvar,
}

struct Blocks {
    slots: BTreeMap<u64, Slot>,
    /// The foremost block that was asked for.
    front: u64,
    /// Blocks to fetch ahead: grows while reading goes on.
    ahead: u64,
    /// Where the last read far from the front ended.
    far_end: u64,
}

#[derive(Clone)]
enum Slot {
    Coming,
    Here(Arc<WipedBytes>),
    Failed(Failure),
}

impl ObjectReader {
    pub(crate) fn new(storage: Arc<Storage>, object: Pinned, access: Access) -> Self {
        let blocks = Blocks { slots: BTreeMap::new(), front: 0, ahead: 0, far_end: 0 };
        let blocks = Mutex::new(blocks);
        Self { shared: Arc::new(Shared { storage, object, access, blocks, arrived: Condvar::new() }) }
    }

    /// The same, of an object whose first block is there already. (It is one of [`Access::Start`].)
    pub(crate) fn begun(storage: Arc<Storage>, object: Pinned, first: Vec<u8>) -> Self {
        let reader = Self::new(storage, object, Access::Start);
        let mut blocks = reader.shared.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.slots.insert(0, Slot::Here(Arc::new(WipedBytes::from(first))));
        drop(blocks);
        reader
    }

    /// A block, when it is near the front; none when it is to be fetched by itself.
    fn block(&self, index: u64, offset: u64, end: u64) -> Result<Option<Arc<WipedBytes>>, Failure> {
        let shared = &self.shared;
        let mut blocks = shared.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let here = blocks.slots.contains_key(&index);
        // A look at what stands elsewhere, such as the final frame, is no sign of reading there.
        if !here && end.saturating_sub(offset) <= PROBE_BYTES && index > blocks.front.saturating_add(1) {
            return Ok(None);
        }
        let near = index.saturating_add(BEHIND) >= blocks.front
            && index <= blocks.front.saturating_add(shared.access.ahead()).saturating_add(1);
        if !near && !here {
            // Reading in order has begun anew elsewhere.
            let goes_on = shared.access == Access::Whole && offset == blocks.far_end;
            blocks.far_end = end;
            if !goes_on {
                return Ok(None);
            }
            blocks.slots.retain(|_, slot| matches!(slot, Slot::Coming));
            blocks.front = index;
            blocks.ahead = 0;
        }
        if index > blocks.front {
            blocks.front = index;
            blocks.ahead = (blocks.ahead * 2).clamp(2, 64).min(shared.access.ahead());
            let keep = index.saturating_sub(BEHIND);
            blocks.slots.retain(|at, slot| *at >= keep || matches!(slot, Slot::Coming));
        }
        let last = shared.object.bytes.saturating_sub(1) / shared.access.block_bytes();
        for wanted in index..=index.max(blocks.front.saturating_add(blocks.ahead)).min(last) {
            if let std::collections::btree_map::Entry::Vacant(slot) = blocks.slots.entry(wanted) {
                slot.insert(Slot::Coming);
                self.fetch(wanted);
            }
        }
        loop {
            match blocks.slots.get(&index) {
                Some(Slot::Here(bytes)) => return Ok(Some(Arc::clone(bytes))),
                Some(Slot::Failed(failure)) => return Err(failure.clone()),
                Some(Slot::Coming) => {
                    blocks = shared.arrived.wait(blocks).unwrap_or_else(PoisonError::into_inner);
                }
                // Others have gone on meanwhile.
                None => return Ok(None),
            }
        }
    }

    fn fetch(&self, index: u64) {
        let shared = Arc::clone(&self.shared);
        self.shared.storage.spawn(async move {
            let start = index.saturating_mul(shared.access.block_bytes());
            let end = start.saturating_add(shared.access.block_bytes()).min(shared.object.bytes);
            let read = shared.storage.read(&shared.object, start..end).await;
            let slot = match read {
                // It may be plaintext that is to be sealed.
                Ok(bytes) => Slot::Here(Arc::new(WipedBytes::from(bytes))),
                Err(failure) => Slot::Failed(failure),
            };
            let mut blocks = shared.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            if index.saturating_add(BEHIND) >= blocks.front {
                blocks.slots.insert(index, slot);
            } else {
                blocks.slots.remove(&index);
            }
            drop(blocks);
            shared.arrived.notify_all();
        });
    }

    fn fill(&self, target: &mut [u8], offset: u64) -> Result<(), Failure> {
        let block_bytes = self.shared.access.block_bytes();
        let end = offset.saturating_add(target.len() as u64);
        let (mut rest, mut at) = (target, offset);
        while !rest.is_empty() {
            let large = self.shared.access != Access::Whole && rest.len() as u64 > block_bytes;
            let index = at / block_bytes;
            let block = if large { None } else { self.block(index, at, end)? };
            let Some(block) = block else {
                let (shared, to) = (Arc::clone(&self.shared), at.saturating_add(rest.len() as u64));
                let bytes = self
                    .shared
                    .storage
                    .wait_for(async move { shared.storage.read(&shared.object, at..to).await })?;
                // As many as were asked for: `read` gives no others.
                rest.copy_from_slice(WipedBytes::from(bytes).as_ref());
                return Ok(());
            };
            let from = usize::try_from(at % block_bytes).unwrap_or(usize::MAX);
            let piece = block.as_ref().as_ref().get(from..).unwrap_or_default();
            let count = piece.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(piece.get(..count).unwrap_or_default());
            rest = later;
            at = at.saturating_add(count as u64);
        }
        Ok(())
    }
}

impl ReadAt for ObjectReader {
    fn read_exact_at(&self, target: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(target.len() as u64);
        if end > self.shared.object.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.fill(target, offset).map_err(io::Error::other)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.shared.object.bytes)
    }
}
