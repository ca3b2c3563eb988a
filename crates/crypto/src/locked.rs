//! The locked arena: where key material rests.
//!
//! Slots of 64 bytes in slabs of 64 KiB. Each slab lies between two unmapped guard areas, so that reading or writing past
//! its ends faults instead of reaching keys. A slab is `memfd_secret` memory where the kernel has it: not in the kernel's
//! own map, so that neither another process, `/proc/PID/mem`, nor a fault in the kernel reads it, never swapped, and
//! hibernation is refused while it lives. Else it is anonymous memory with `mlock` and `MADV_DONTDUMP`. Either way
//! `MADV_DONTFORK` keeps a forked child from inheriting it (so `MADV_WIPEONFORK`, which only private memory has, is not
//! needed).
//!
//! Nothing is mapped before the first key, pages are made when first touched, and slabs are added up to the configured
//! capacity and never given back: what was the key of one tenant is wiped and becomes a slot again.
#![allow(
    unsafe_code,
    reason = "one of the two modules of this room that hold it; each block has its argument"
)]

use crate::Rng;
use rustix::mm::{Advice, MapFlags, MlockFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

/// A key in a slot of the locked arena, wiped when dropped. `N` is at most 64.
///
/// No `Debug`, `Display`, `Clone` or serialisation. Share it by reference or `Arc`.
pub struct LockedKey<const N: usize = 32> {
    slot: NonNull<u8>,
    index: u32,
}

/// The arena has as many keys as it may hold, or the kernel gives it no more memory.
///
/// A cache evicts and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no locked memory is left for another key")]
pub struct LockedMemoryFull;

// SAFETY: a slot belongs to one `LockedKey` alone, and its memory is never unmapped; nothing of it is bound to a thread.
unsafe impl<const N: usize> Send for LockedKey<N> {}
// SAFETY: through `&self` the slot is only read.
unsafe impl<const N: usize> Sync for LockedKey<N> {}

impl<const N: usize> LockedKey<N> {
    /// All zero: to be filled in place.
    fn zeroed() -> Result<Self, LockedMemoryFull> {
        const { assert!(N <= SLOT_BYTES, "a key must fit a slot") };
        let (slot, index) = lock_arena().take_slot()?;
        Ok(Self { slot, index })
    }

    /// A random key, made in its slot.
    ///
    /// # Errors
    /// [`LockedMemoryFull`].
    pub fn generate(rng: &dyn Rng) -> Result<Self, LockedMemoryFull> {
        let mut key = Self::zeroed()?;
        rng.fill(key.expose_mut());
        Ok(key)
    }

    /// Copies `source` into a slot and wipes `source`, also when there is no slot.
    ///
    /// # Errors
    /// [`LockedMemoryFull`].
    pub fn from_wiped(source: &mut [u8; N]) -> Result<Self, LockedMemoryFull> {
        let key = Self::zeroed().map(|mut key| {
            key.expose_mut().copy_from_slice(source);
            key
        });
        source.zeroize();
        key
    }

    /// Fills a new slot in place, so that no copy stays elsewhere. When `fill` fails, the slot is wiped and freed.
    ///
    /// # Errors
    /// [`LockedMemoryFull`], or what `fill` gave.
    pub fn try_fill<E: From<LockedMemoryFull>>(
        fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut key = Self::zeroed()?;
        fill(key.expose_mut())?;
        Ok(key)
    }

    /// The key. Named so that each use stands out in review.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        // SAFETY: the slot has 64 bytes, at least `N`, readable, initialised (mapped zero) and never unmapped; nobody
        // writes it while `&self` lives.
        unsafe { self.slot.cast().as_ref() }
    }

    fn expose_mut(&mut self) -> &mut [u8; N] {
        // SAFETY: as `expose`, writable, and exclusive by `&mut self`.
        unsafe { self.slot.cast().as_mut() }
    }
}

impl<const N: usize> Drop for LockedKey<N> {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        lock_arena().give_back(self.index);
    }
}

/// How the arena is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaOptions {
    /// Most keys at a time; rounded up to whole slabs of 1024.
    pub capacity_keys: u32,
    /// The kind of memory.
    pub backing: BackingChoice,
    /// Fail rather than keep keys in memory that the kernel may swap out.
    pub require_locked: bool,
}

impl Default for ArenaOptions {
    /// 32,768 keys (2 MiB, well within the usual limit of 8 MiB), the best memory there is, with a warning if it is unlocked.
    fn default() -> Self {
        Self { capacity_keys: 32_768, backing: BackingChoice::Auto, require_locked: false }
    }
}

/// Which memory to ask the kernel for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackingChoice {
    /// `memfd_secret`, else `mlock`.
    Auto,
    /// `mlock` only: for tests that scan memory, which `memfd_secret` hides even from them.
    MlockOnly,
}

/// Which memory the keys are in.
///
/// In the order of their strength: the greater, the weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backing {
    /// `memfd_secret`.
    SecretMemory,
    /// `mlock` and `MADV_DONTDUMP`.
    Mlock,
    /// `MADV_DONTDUMP` alone: the kernel refused to lock.
    Unlocked,
}

/// What the arena is and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaStatus {
    /// The weakest memory in use; `None` before the first key.
    pub backing: Option<Backing>,
    /// Whether no key is in memory that the kernel may swap out.
    pub locked: bool,
    /// Keys held.
    pub used: u32,
    /// Keys that it may hold.
    pub capacity: u32,
}

/// The arena can't be made as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArenaError {
    /// A key was made before.
    #[error("the locked memory is in use already and can't be configured anew")]
    AlreadyUsed,
    /// `require_locked`, but the kernel refuses.
    #[error(
        "memory for keys can't be locked: raise the limit of locked memory (`ulimit -l`, `LimitMEMLOCK=`) to at least 64 KiB"
    )]
    NotLockable,
}

/// Sets the options; before the first key. With `require_locked` the first slab is made here, so that a refusal shows at
/// the start and not at the first key.
///
/// # Errors
/// [`ArenaError`].
pub fn configure(options: ArenaOptions) -> Result<(), ArenaError> {
    let mut arena = lock_arena();
    if !arena.slabs.is_empty() {
        return Err(ArenaError::AlreadyUsed);
    }
    arena.options = Some(options);
    if options.require_locked {
        arena.grow().map_err(|LockedMemoryFull| ArenaError::NotLockable)?;
    }
    Ok(())
}

/// The state, for a metric and for `/readyz`.
#[must_use]
pub fn status() -> ArenaStatus {
    let arena = lock_arena();
    ArenaStatus {
        backing: arena.backing,
        locked: arena.backing != Some(Backing::Unlocked),
        used: arena.used,
        capacity: arena.capacity_slabs() * SLAB_SLOTS,
    }
}

/// Bytes of a slot, and most bytes of a key: a cache line, and enough for a SHA-512 key.
pub const SLOT_BYTES: usize = 64;
/// 64 KiB is a multiple of every page size of Linux (4, 16, 64 KiB).
const SLAB_BYTES: usize = 64 * 1024;
const GUARD_BYTES: usize = 64 * 1024;
const SLAB_SLOTS: u32 = (SLAB_BYTES / SLOT_BYTES) as u32;
/// 2^20 keys in 64 MiB: beyond it, kernel maps and locked memory limits are the wrong tools.
const SLABS_MAX: u32 = 1024;

static ARENA: Mutex<Arena> = Mutex::new(Arena {
    options: None,
    slabs: Vec::new(),
    free: Vec::new(),
    used: 0,
    backing: None,
    warned: false,
});

struct Arena {
    options: Option<ArenaOptions>,
    slabs: Vec<Slab>,
    /// Indices of free slots, with room for all slots of `slabs`, so that giving one back never allocates.
    free: Vec<u32>,
    used: u32,
    backing: Option<Backing>,
    warned: bool,
}

/// The first slot of a slab.
struct Slab(NonNull<u8>);

// SAFETY: a slab is memory of the whole process, reached only through the arena's lock or a `LockedKey`.
unsafe impl Send for Slab {}

/// Nothing under the lock can leave the arena half-changed, so a poisoned lock is as good as any.
fn lock_arena() -> MutexGuard<'static, Arena> {
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arena {
    fn options(&self) -> ArenaOptions {
        self.options.unwrap_or_default()
    }

    fn capacity_slabs(&self) -> u32 {
        self.options().capacity_keys.div_ceil(SLAB_SLOTS).clamp(1, SLABS_MAX)
    }

    fn take_slot(&mut self) -> Result<(NonNull<u8>, u32), LockedMemoryFull> {
        if self.free.is_empty() {
            self.grow()?;
        }
        let index = self.free.pop().ok_or(LockedMemoryFull)?;
        let slab = self.slabs.get((index / SLAB_SLOTS) as usize).ok_or(LockedMemoryFull)?;
        self.used += 1;
        // SAFETY: `index % SLAB_SLOTS` is below `SLAB_SLOTS`, so the slot lies within the slab.
        let slot = unsafe { slab.0.add((index % SLAB_SLOTS) as usize * SLOT_BYTES) };
        Ok((slot, index))
    }

    fn give_back(&mut self, index: u32) {
        self.free.push(index);
        self.used = self.used.saturating_sub(1);
    }

    fn grow(&mut self) -> Result<(), LockedMemoryFull> {
        let options = self.options();
        let count = self.slabs.len() as u32;
        if count >= self.capacity_slabs() {
            return Err(LockedMemoryFull);
        }
        let (slab, backing) = map_slab(ArenaOptions {
            // Refused once, refused for good: else each slab would leave a reservation behind.
            backing: if self.backing.max(Some(Backing::SecretMemory)) == Some(Backing::SecretMemory) {
                options.backing
            } else {
                BackingChoice::MlockOnly
            },
            ..options
        })?;
        if backing == Backing::Unlocked && !self.warned {
            self.warned = true;
            tracing::warn!(
                "memory for keys can't be locked and may be swapped out: raise the limit of locked memory \
                 (`ulimit -l`, `LimitMEMLOCK=`), or refuse with --require-locked-memory"
            );
        }
        self.backing = self.backing.max(Some(backing));
        self.slabs.push(slab);
        let first = count * SLAB_SLOTS;
        self.free.reserve((first + SLAB_SLOTS) as usize);
        // Reversed, so that low slots go out first and few pages are touched.
        self.free.extend((first..first + SLAB_SLOTS).rev());
        Ok(())
    }
}

fn map_slab(options: ArenaOptions) -> Result<(Slab, Backing), LockedMemoryFull> {
    if options.backing == BackingChoice::Auto {
        let base = reserve()?;
        if back_with_secret_memory(base) {
            return finish_slab(base, Backing::SecretMemory);
        }
        // The reservation is left as it is: older kernels may have unmapped its middle before they refused, another thread
        // may have mapped something there since, and so nothing may be done to it. It costs address space alone.
    }
    let base = reserve()?;
    // SAFETY: the middle of the area just reserved, in which nothing lives yet.
    unsafe { rustix::mm::mprotect(base, SLAB_BYTES, MprotectFlags::READ | MprotectFlags::WRITE) }
        .map_err(|_| LockedMemoryFull)?;
    // SAFETY: the slab is ours and mapped; locking changes none of its content. On first touch, so that a start doesn't pay
    // for 16 pages.
    let locked = unsafe { rustix::mm::mlock_with(base, SLAB_BYTES, MlockFlags::ONFAULT) }.is_ok();
    if !locked && options.require_locked {
        return Err(LockedMemoryFull);
    }
    finish_slab(base, if locked { Backing::Mlock } else { Backing::Unlocked })
}

/// Reserves a slab between two guard areas, all of it inaccessible, and gives where the slab begins.
fn reserve() -> Result<*mut c_void, LockedMemoryFull> {
    // SAFETY: a new mapping at a place of the kernel's choice touches nothing that exists; the offset lies within it.
    unsafe {
        rustix::mm::mmap_anonymous(
            ptr::null_mut(),
            GUARD_BYTES + SLAB_BYTES + GUARD_BYTES,
            ProtFlags::empty(),
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
        .map(|area| area.byte_add(GUARD_BYTES))
    }
    .map_err(|_| LockedMemoryFull)
}

fn finish_slab(base: *mut c_void, backing: Backing) -> Result<(Slab, Backing), LockedMemoryFull> {
    for advice in [Advice::LinuxDontDump, Advice::LinuxDontFork] {
        // SAFETY: the slab is ours and mapped; neither advice changes its content in this process. Best effort: a sandbox
        // may refuse, and the process isn't dumpable anyway.
        let _ = unsafe { rustix::mm::madvise(base, SLAB_BYTES, advice) };
    }
    NonNull::new(base.cast()).map(|base| (Slab(base), backing)).ok_or(LockedMemoryFull)
}

/// Maps `memfd_secret` memory over the slab. Counts against the limit of locked memory.
fn back_with_secret_memory(base: *mut c_void) -> bool {
    // SAFETY: `memfd_secret(2)` takes one flags argument and no pointers.
    let answer = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let Ok(fd @ 0..) = i32::try_from(answer) else { return false };
    // SAFETY: a descriptor just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if rustix::fs::ftruncate(&fd, SLAB_BYTES as u64).is_err() {
        return false;
    }
    // SAFETY: replaces the middle of the area that `reserve` gave, in which nothing lives yet. The mapping outlives the
    // descriptor, which nobody else has, so the file can't be shortened under it.
    unsafe {
        rustix::mm::mmap(
            base,
            SLAB_BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::FIXED,
            &fd,
            0,
        )
    }
    .is_ok()
}
