//! A file system for SQLite that lives in memory and loses and tears at a power loss what was not synced.
//!
//! What a disk promises is all that it keeps: the content of a file as of its last sync; names as of the last sync
//! of their directory (which, as SQLite's own VFS for Unix does, comes with the first sync of a new log). Of what
//! was written since, any part may have reached the disk, in any order, each write cut anywhere into pieces of
//! which some are missing.

use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A machine whose disk and power a test controls. Lives as long as the process, as SQLite keeps a pointer to it.
pub(crate) struct Machine {
    state: Mutex<State>,
    name: CString,
}

struct State {
    random: u64,
    inodes: Vec<Inode>,
    /// Names as programs see them.
    names: BTreeMap<String, usize>,
    /// Names as the disk has them.
    durable_names: BTreeMap<String, usize>,
    /// Writes, syncs and changes of names until the power fails.
    power: Option<u64>,
    off: bool,
    /// No file grows any more.
    full: bool,
    /// Syncs fail, as they do once on a disk that could not write.
    syncs_fail: bool,
    syncs: u64,
    lost: u64,
}

#[derive(Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    shared: usize,
    reserved: bool,
    pending_lock: bool,
    exclusive: bool,
    /// Shared memory, by region. Raw, since SQLite reads and writes it on its own.
    regions: Vec<*mut u8>,
    slots: [Slot; SLOTS],
}

#[derive(Default, Clone, Copy)]
struct Slot {
    shared: usize,
    exclusive: bool,
}

enum Pending {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

/// What SQLite holds of an open file.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    machine: *const Machine,
    inode: usize,
    level: c_int,
    shared_slots: [bool; SLOTS],
    exclusive_slots: [bool; SLOTS],
    delete_on_close: bool,
}

const SLOTS: usize = 8;

// SAFETY: the raw pointers are to leaked memory, which SQLite shares between threads by its own locking protocol.
unsafe impl Send for State {}

impl Machine {
    /// A machine under a VFS name that is unused so far.
    pub(crate) fn start(name: &str, seed: u64) -> &'static Self {
        let state = State {
            random: seed | 1,
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            power: None,
            off: false,
            full: false,
            syncs_fail: false,
            syncs: 0,
            lost: 0,
        };
        let machine: &'static Self =
            Box::leak(Box::new(Self { state: Mutex::new(state), name: CString::new(name).unwrap() }));
        let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 1,
            szOsFile: c_int::try_from(size_of::<Handle>()).unwrap(),
            mxPathname: 512,
            pNext: std::ptr::null_mut(),
            zName: machine.name.as_ptr(),
            pAppData: std::ptr::from_ref(machine).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: the structure is complete and is never freed.
        assert_eq!(unsafe { ffi::sqlite3_vfs_register(vfs, 0) }, ffi::SQLITE_OK);
        machine
    }

    /// Makes what is on the disk durable: the state that a test begins with.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        for inode in &mut state.inodes {
            inode.sync();
        }
        state.durable_names = state.names.clone();
    }

    /// Lets the power fail after so many more writes, syncs and changes of names.
    pub(crate) fn fail_power_after(&self, operations: u64) {
        self.lock().power = Some(operations);
    }

    /// Fills the disk, or frees it.
    pub(crate) fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Makes syncs fail, or not any more.
    pub(crate) fn set_syncs_fail(&self, fail: bool) {
        self.lock().syncs_fail = fail;
    }

    pub(crate) fn has_power(&self) -> bool {
        !self.lock().off
    }

    /// Cuts the power now.
    pub(crate) fn cut_power(&self) {
        self.lock().off = true;
    }

    /// Starts again with what the disk kept. No file may be open.
    pub(crate) fn reboot(&self) {
        let mut state = self.lock();
        let mut random = state.random;
        let mut lost = 0;
        for inode in &mut state.inodes {
            lost += inode.crash(&mut random);
        }
        // A name whose making or removal was not synced may be there or not.
        let all: Vec<String> = state.names.keys().chain(state.durable_names.keys()).cloned().collect();
        for name in all {
            let (now, durable) = (state.names.get(&name).copied(), state.durable_names.get(&name).copied());
            let kept = if draw(&mut random, 2) == 0 { now } else { durable };
            match kept {
                Some(inode) => state.durable_names.insert(name, inode),
                None => state.durable_names.remove(&name),
            };
        }
        state.names = state.durable_names.clone();
        state.random = random;
        state.lost += lost;
        state.power = None;
        state.off = false;
    }

    /// Syncs so far, and writes that a power loss dropped or tore.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.syncs, state.lost)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation that changes the disk. False once the power is off.
    fn powered(&mut self) -> bool {
        if let Some(left) = &mut self.power {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => self.off = true,
            }
        }
        !self.off
    }
}

impl Inode {
    fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        self.pending.clear();
    }

    /// Keeps the durable content and a random part of what was written since. Gives how many writes suffered.
    fn crash(&mut self, random: &mut u64) -> u64 {
        let mut content = std::mem::take(&mut self.durable);
        let mut lost = 0;
        // All of it, none of it, or each by chance: disks do all three.
        let mood = draw(random, 4);
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Cut(length) if mood == 0 || draw(random, 2) == 0 => content.truncate(length),
                Pending::Cut(_) => lost += 1,
                Pending::Write { at, bytes } => {
                    let mut start = 0;
                    let mut whole = true;
                    while start < bytes.len() {
                        let longest = 1 + draw(random, 1024);
                        let end = bytes.len().min(start + usize::try_from(longest).unwrap());
                        let kept = match mood {
                            0 => true,
                            1 => false,
                            _ => draw(random, 2) == 0,
                        };
                        if kept {
                            write_at(&mut content, at + start, &bytes[start..end]);
                        }
                        whole &= kept;
                        start = end;
                    }
                    lost += u64::from(!whole);
                }
            }
        }
        *self = Self { now: content.clone(), durable: content, ..Self::default() };
        lost
    }
}

fn write_at(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// A number below `bound` (xorshift64*).
fn draw(random: &mut u64, bound: u64) -> u64 {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

// SAFETY (of every function below): SQLite calls them with the VFS that `Machine::start` registered, whose application
// data is the machine, and with files that `open` filled in and that it uses from one thread at a time. Lengths and
// offsets are those of buffers that SQLite owns for the time of the call.

unsafe fn machine_of<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Machine {
    unsafe { &*(*vfs).pAppData.cast::<Machine>() }
}

unsafe fn parts_of<'a>(file: *mut ffi::sqlite3_file) -> (&'a mut Handle, MutexGuard<'a, State>) {
    let handle = unsafe { &mut *file.cast::<Handle>() };
    let machine = unsafe { &*handle.machine };
    (handle, machine.lock())
}

unsafe fn name_of(name: *const c_char) -> String {
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let machine = unsafe { machine_of(vfs) };
    unsafe { (*file).pMethods = std::ptr::null() };
    let name = (!name.is_null()).then(|| unsafe { name_of(name) });
    let mut state = machine.lock();
    let found = name.as_ref().and_then(|name| state.names.get(name).copied());
    let inode = match found {
        Some(inode) => inode,
        None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
        None => {
            if !state.powered() {
                return ffi::SQLITE_CANTOPEN;
            }
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            if let Some(name) = name {
                state.names.insert(name, inode);
            }
            inode
        }
    };
    let handle = Handle {
        base: ffi::sqlite3_file { pMethods: &raw const METHODS },
        machine,
        inode,
        level: ffi::SQLITE_LOCK_NONE,
        shared_slots: [false; SLOTS],
        exclusive_slots: [false; SLOTS],
        delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
    };
    unsafe { file.cast::<Handle>().write(handle) };
    if !out_flags.is_null() {
        unsafe { *out_flags = flags };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        unlock(file, ffi::SQLITE_LOCK_NONE);
        shm_unmap(file, 0);
    }
    let (handle, mut state) = unsafe { parts_of(file) };
    if handle.delete_on_close {
        let inode = handle.inode;
        state.names.retain(|_, named| *named != inode);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, length: c_int, at: i64) -> c_int {
    let (handle, state) = unsafe { parts_of(file) };
    if state.off {
        return ffi::SQLITE_IOERR;
    }
    let length = usize::try_from(length).unwrap();
    let at = usize::try_from(at).unwrap();
    let out = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), length) };
    out.fill(0);
    let content = &state.inodes[handle.inode].now;
    let available = content.get(at..).unwrap_or_default();
    let count = available.len().min(length);
    out[..count].copy_from_slice(&available[..count]);
    if count == length { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    if state.off {
        return ffi::SQLITE_IOERR;
    }
    let powered = state.powered();
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(length).unwrap()) };
    let at = usize::try_from(at).unwrap();
    let full = state.full;
    let inode = &mut state.inodes[handle.inode];
    if full && at + bytes.len() > inode.now.len() {
        return ffi::SQLITE_FULL;
    }
    // The write under which the power fails may be on the disk, or half of it.
    inode.pending.push(Pending::Write { at, bytes: bytes.to_vec() });
    write_at(&mut inode.now, at, bytes);
    if powered { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    if !state.powered() {
        return ffi::SQLITE_IOERR;
    }
    let size = usize::try_from(size).unwrap();
    let inode = &mut state.inodes[handle.inode];
    inode.now.truncate(size);
    inode.pending.push(Pending::Cut(size));
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    // The sync under which the power fails has done nothing, or by chance a part: what `reboot` decides anyway.
    if !state.powered() {
        return ffi::SQLITE_IOERR;
    }
    if state.syncs_fail {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    state.syncs += 1;
    let inode = handle.inode;
    state.inodes[inode].sync();
    let named = state.names.iter().find(|(_, named)| **named == inode).map(|(name, _)| name.clone());
    if let Some(name) = named {
        state.durable_names.insert(name, inode);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    let (handle, state) = unsafe { parts_of(file) };
    unsafe { *size = i64::try_from(state.inodes[handle.inode].now.len()).unwrap() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    let inode = &mut state.inodes[handle.inode];
    if handle.level >= level {
        return ffi::SQLITE_OK;
    }
    match level {
        ffi::SQLITE_LOCK_SHARED => {
            if inode.pending_lock || inode.exclusive {
                return ffi::SQLITE_BUSY;
            }
            inode.shared += 1;
        }
        ffi::SQLITE_LOCK_RESERVED => {
            if inode.reserved || inode.exclusive {
                return ffi::SQLITE_BUSY;
            }
            inode.reserved = true;
        }
        _ => {
            let mine_pending = handle.level == ffi::SQLITE_LOCK_PENDING;
            let other_reserved = inode.reserved && handle.level < ffi::SQLITE_LOCK_RESERVED;
            if (inode.pending_lock && !mine_pending) || inode.exclusive || other_reserved {
                return ffi::SQLITE_BUSY;
            }
            inode.pending_lock = true;
            inode.reserved = true;
            handle.level = ffi::SQLITE_LOCK_PENDING;
            if inode.shared > 1 {
                return ffi::SQLITE_BUSY;
            }
            inode.exclusive = true;
        }
    }
    handle.level = level;
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    let inode = &mut state.inodes[handle.inode];
    if handle.level <= level {
        return ffi::SQLITE_OK;
    }
    if handle.level >= ffi::SQLITE_LOCK_EXCLUSIVE {
        inode.exclusive = false;
    }
    if handle.level >= ffi::SQLITE_LOCK_PENDING {
        inode.pending_lock = false;
    }
    if handle.level >= ffi::SQLITE_LOCK_RESERVED {
        inode.reserved = false;
    }
    if level == ffi::SQLITE_LOCK_NONE {
        inode.shared -= 1;
    }
    handle.level = level;
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    let (handle, state) = unsafe { parts_of(file) };
    unsafe { *out = c_int::from(state.inodes[handle.inode].reserved) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    512
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    // As SQLite's own VFS for Unix says; the tearing above stays within the bytes of a write.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    let inode = &mut state.inodes[handle.inode];
    let region = usize::try_from(region).unwrap();
    unsafe { *out = std::ptr::null_mut() };
    while inode.regions.len() <= region {
        if extend == 0 {
            return ffi::SQLITE_OK;
        }
        let fresh = vec![0u64; usize::try_from(size).unwrap().div_ceil(8)].leak();
        inode.regions.push(fresh.as_mut_ptr().cast());
    }
    unsafe { *out = inode.regions[region].cast() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let (handle, mut state) = unsafe { parts_of(file) };
    let first = usize::try_from(first).unwrap();
    let range = first..first + usize::try_from(count).unwrap();
    let inode = &mut state.inodes[handle.inode];
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        for slot in range {
            if std::mem::take(&mut handle.shared_slots[slot]) {
                inode.slots[slot].shared -= 1;
            }
            if std::mem::take(&mut handle.exclusive_slots[slot]) {
                inode.slots[slot].exclusive = false;
            }
        }
        return ffi::SQLITE_OK;
    }
    let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    for slot in range.clone() {
        let others = inode.slots[slot].shared - usize::from(handle.shared_slots[slot]);
        let taken = inode.slots[slot].exclusive && !handle.exclusive_slots[slot];
        if taken || (exclusive && others > 0) {
            return ffi::SQLITE_BUSY;
        }
    }
    for slot in range {
        if exclusive {
            inode.slots[slot].exclusive = true;
            handle.exclusive_slots[slot] = true;
        } else if !std::mem::replace(&mut handle.shared_slots[slot], true) {
            inode.slots[slot].shared += 1;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    let all = c_int::try_from(SLOTS).unwrap();
    unsafe { shm_lock(file, 0, all, ffi::SQLITE_SHM_UNLOCK) };
    let (handle, mut state) = unsafe { parts_of(file) };
    if delete != 0 {
        state.inodes[handle.inode].regions.clear();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    let mut state = unsafe { machine_of(vfs) }.lock();
    let name = unsafe { name_of(name) };
    if !state.powered() {
        return ffi::SQLITE_IOERR;
    }
    if state.names.remove(&name).is_none() {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    if sync_directory != 0 {
        state.durable_names = state.names.clone();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    let state = unsafe { machine_of(vfs) }.lock();
    let name = unsafe { name_of(name) };
    unsafe { *out = c_int::from(state.names.contains_key(&name)) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if name.len() > usize::try_from(size).unwrap() {
        return ffi::SQLITE_CANTOPEN;
    }
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr().cast(), out, name.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    let mut state = unsafe { machine_of(vfs) }.lock();
    let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), usize::try_from(length).unwrap()) };
    for byte in out {
        *byte = u8::try_from(draw(&mut state.random, 256)).unwrap();
    }
    length
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    std::thread::sleep(std::time::Duration::from_micros(u64::try_from(microseconds).unwrap()));
    microseconds
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // A Julian day; nothing in the store depends on it.
    unsafe { *out = 2_460_000.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}
