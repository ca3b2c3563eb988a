//! What aws-lc has and aws-lc-rs lacks, behind safe functions.
//!
//! - Incremental AES-GCM (`EVP_CIPHER`), for pieces larger than memory and for records opened straight into locked
//!   memory.
//! - HMAC whose state never moves. aws-lc-rs moves the hash states, which are as good as the key, by value, and wipes
//!   only their last place.
//! - HKDF whose pseudorandom key never moves, for the same reason, and one extract for two expands.
//! - scrypt.
//! - AES-GCM of ring, whose key is wiped here since ring doesn't ([`RingGcm`]).
//! - Asymmetric keys of every kind ([`pkey`]), and AES key wrap whose key schedule is wiped.
//!
//! aws-lc wipes what it frees (`OPENSSL_free`) and its own stack intermediates.
#![allow(
    unsafe_code,
    reason = "one of the two modules of this room that hold it; each block has its argument"
)]

use crate::hkdf::Hash;
use crate::{NotAuthentic, WrongLength};
use aws_lc_sys as lc;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

mod key_wrap;
pub(crate) mod pkey;
mod ring_gcm;

pub(crate) use key_wrap::{unwrap_key_padded, wrap_key_padded};
pub(crate) use ring_gcm::RingGcm;

/// aws-lc answered "no" where, with the arguments given, it only can when the process is broken (out of memory inside a
/// primitive). There is no right answer to give, and a wrong one would be a key.
fn must(answer: c_int) {
    if answer != 1 {
        std::process::abort();
    }
}

/// An `HMAC_CTX` for SHA-256 that has absorbed its key.
pub(crate) struct HmacState(NonNull<lc::HMAC_CTX>);

// SAFETY: the context is plain memory owned by this struct alone; nothing of it is bound to a thread.
unsafe impl Send for HmacState {}
// SAFETY: through `&self` the context is only read (`HMAC_CTX_copy_ex` takes its source as const and doesn't write it).
unsafe impl Sync for HmacState {}

impl HmacState {
    pub(crate) fn new(key: &[u8]) -> Self {
        // SAFETY: `HMAC_CTX_new` gives an initialised context or null.
        let Some(context) = NonNull::new(unsafe { lc::HMAC_CTX_new() }) else { std::process::abort() };
        // SAFETY: the context is valid; `key` is valid for its length, and a Rust slice's pointer is never null, which
        // `HMAC_Init_ex` would take for "the key of before"; `EVP_sha256` is a static table; no engine.
        must(unsafe {
            lc::HMAC_Init_ex(
                context.as_ptr(),
                key.as_ptr().cast(),
                key.len(),
                lc::EVP_sha256(),
                ptr::null_mut(),
            )
        });
        Self(context)
    }

    pub(crate) fn sign<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>, tag: &mut [u8; 32]) {
        let mut place = MaybeUninit::uninit();
        let working = HmacCopy::of(self, &mut place);
        for part in parts {
            // SAFETY: `part` is valid for its length; the context is ours alone.
            must(unsafe { lc::HMAC_Update(working.0, part.as_ptr(), part.len()) });
        }
        // SAFETY: SHA-256 writes exactly the 32 bytes that `tag` has; a null length pointer is allowed.
        must(unsafe { lc::HMAC_Final(working.0, tag.as_mut_ptr(), ptr::null_mut()) });
    }
}

/// A copy of an [`HmacState`] that stands on the stack of the one call that uses it up, and is wiped there.
struct HmacCopy<'p>(&'p mut lc::HMAC_CTX);

impl<'p> HmacCopy<'p> {
    fn of(state: &HmacState, place: &'p mut MaybeUninit<lc::HMAC_CTX>) -> Self {
        // SAFETY: `HMAC_CTX_init` makes a valid, empty context of any memory of its size, and no other pointer to it is
        // kept: contexts of aws-lc hold no pointers into themselves.
        let copy = unsafe {
            lc::HMAC_CTX_init(place.as_mut_ptr());
            Self(place.assume_init_mut())
        };
        // SAFETY: both are valid contexts; the source is only read.
        must(unsafe { lc::HMAC_CTX_copy_ex(copy.0, state.0.as_ptr()) });
        copy
    }
}

impl Drop for HmacCopy<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is valid, and not used again; this wipes all of it.
        unsafe { lc::HMAC_CTX_cleanup(self.0) }
    }
}

impl Drop for HmacState {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `HMAC_CTX_new` and is freed once; `HMAC_CTX_free` wipes it first.
        unsafe { lc::HMAC_CTX_free(self.0.as_ptr()) }
    }
}

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Md {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Md {
    pub(crate) const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn table(self) -> *const lc::EVP_MD {
        // SAFETY: these take nothing and give static tables.
        unsafe {
            match self {
                Self::Sha1 => lc::EVP_sha1(),
                Self::Sha224 => lc::EVP_sha224(),
                Self::Sha256 => lc::EVP_sha256(),
                Self::Sha384 => lc::EVP_sha384(),
                Self::Sha512 => lc::EVP_sha512(),
            }
        }
    }
}

impl From<Hash> for Md {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256,
            Hash::Sha384 => Self::Sha384,
            Hash::Sha512 => Self::Sha512,
        }
    }
}

/// HMAC of one message under a key that is used once.
pub(crate) fn hmac(md: Md, key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut tag = vec![0; md.digest_bytes()];
    // SAFETY: `tag` has the bytes that the hash gives; key and message are valid for their lengths, and a Rust slice's
    // pointer is never null; a null length pointer is allowed. The state stays on aws-lc's stack, which it wipes.
    let answer = unsafe {
        lc::HMAC(
            md.table(),
            key.as_ptr().cast(),
            key.len(),
            message.as_ptr(),
            message.len(),
            tag.as_mut_ptr(),
            ptr::null_mut(),
        )
    };
    must(c_int::from(!answer.is_null()));
    tag
}

/// HKDF-Extract; the pseudorandom key fills the first `hash.digest_bytes()` bytes of `prk`.
pub(crate) fn hkdf_extract(hash: Hash, salt: &[u8], ikm: &[u8], prk: &mut [u8; 64]) {
    let mut written = 0;
    // SAFETY: the largest digest has the 64 bytes of `prk`; the slices are valid for their lengths; aws-lc documents a
    // zero-length salt as "none".
    must(unsafe {
        lc::HKDF_extract(
            prk.as_mut_ptr(),
            &mut written,
            Md::from(hash).table(),
            ikm.as_ptr(),
            ikm.len(),
            salt.as_ptr(),
            salt.len(),
        )
    });
    debug_assert_eq!(written, hash.digest_bytes());
}

/// HKDF-Expand.
pub(crate) fn hkdf_expand(hash: Hash, prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), WrongLength> {
    // SAFETY: all slices are valid for their lengths, and `out` doesn't alias the others, being `&mut`.
    let answer = unsafe {
        lc::HKDF_expand(
            out.as_mut_ptr(),
            out.len(),
            Md::from(hash).table(),
            prk.as_ptr(),
            prk.len(),
            info.as_ptr(),
            info.len(),
        )
    };
    if answer == 1 { Ok(()) } else { Err(WrongLength { what: "the derived key" }) }
}

/// scrypt (RFC 7914) with `2^log_n` rounds, block size `r`, parallelism `p`.
pub(crate) fn scrypt(
    passphrase: &[u8],
    salt: &[u8],
    log_n: u8,
    r: u32,
    p: u32,
    memory_max_bytes: usize,
    out: &mut [u8],
) -> Result<(), WrongLength> {
    let refused = WrongLength { what: "a scrypt parameter" };
    let n = 1u64.checked_shl(log_n.into()).ok_or(refused)?;
    // SAFETY: all slices are valid for their lengths; aws-lc checks the parameters and refuses those that would need
    // more than `memory_max_bytes`.
    let answer = unsafe {
        lc::EVP_PBE_scrypt(
            passphrase.as_ptr().cast(),
            passphrase.len(),
            salt.as_ptr(),
            salt.len(),
            n,
            r.into(),
            p.into(),
            memory_max_bytes,
            out.as_mut_ptr(),
            out.len(),
        )
    };
    if answer == 1 { Ok(()) } else { Err(refused) }
}

/// Which way an AES-GCM stream runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Plaintext to ciphertext.
    Seal,
    /// Ciphertext to plaintext.
    Open,
}

/// An `EVP_CIPHER_CTX` in the middle of one AES-GCM message.
pub(crate) struct GcmContext {
    context: NonNull<lc::EVP_CIPHER_CTX>,
    /// How much may still come: SP 800-38D ends a message at 2^39-256 bits.
    room_bytes: u64,
}

// SAFETY: the context is plain memory owned by this struct alone; nothing of it is bound to a thread. Not `Sync`: every
// use takes `&mut self`.
unsafe impl Send for GcmContext {}

/// SP 800-38D, section 5.2.1.1: a plaintext has at most 2^39-256 bits.
pub(crate) const GCM_MESSAGE_MAX_BYTES: u64 = (1 << 36) - 32;

/// One call of `EVP_CipherUpdate` takes an `int`; a multiple of the block size below that.
const UPDATE_MAX_BYTES: usize = 1 << 30;

impl GcmContext {
    pub(crate) fn new(
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        direction: Direction,
    ) -> Result<Self, WrongLength> {
        // SAFETY: these take nothing and give static tables.
        let cipher = unsafe {
            match key.len() {
                16 => lc::EVP_aes_128_gcm(),
                24 => lc::EVP_aes_192_gcm(),
                32 => lc::EVP_aes_256_gcm(),
                _ => return Err(WrongLength { what: "the AES key" }),
            }
        };
        // SAFETY: gives an initialised context or null.
        let Some(context) = NonNull::new(unsafe { lc::EVP_CIPHER_CTX_new() }) else { std::process::abort() };
        let this = Self { context, room_bytes: GCM_MESSAGE_MAX_BYTES };
        // SAFETY: the context is fresh; `key` has the length that `cipher` reads, as matched above; 12 bytes are GCM's
        // default nonce length; aws-lc copies both.
        must(unsafe {
            lc::EVP_CipherInit_ex(
                context.as_ptr(),
                cipher,
                ptr::null_mut(),
                key.as_ptr(),
                nonce.as_ptr(),
                c_int::from(direction == Direction::Seal),
            )
        });
        for piece in aad.chunks(UPDATE_MAX_BYTES) {
            let mut written: c_int = 0;
            // SAFETY: a null output means associated data; `piece` is valid for its length, which fits an int.
            must(unsafe {
                lc::EVP_CipherUpdate(
                    context.as_ptr(),
                    ptr::null_mut(),
                    &mut written,
                    piece.as_ptr(),
                    piece.len() as c_int,
                )
            });
        }
        Ok(this)
    }

    fn take_room(&mut self, length: usize) -> Result<(), WrongLength> {
        self.room_bytes =
            self.room_bytes.checked_sub(length as u64).ok_or(WrongLength { what: "the AES-GCM message" })?;
        Ok(())
    }

    /// The next piece, in place.
    pub(crate) fn update(&mut self, in_out: &mut [u8]) -> Result<(), WrongLength> {
        self.take_room(in_out.len())?;
        for piece in in_out.chunks_mut(UPDATE_MAX_BYTES) {
            // SAFETY: source and target are the same memory, valid for the length, which aws-lc allows for stream modes.
            unsafe { self.update_raw(piece.as_ptr(), piece.as_mut_ptr(), piece.len()) };
        }
        Ok(())
    }

    /// The next piece, from one place to another of the same length.
    pub(crate) fn update_from(&mut self, source: &[u8], target: &mut [u8]) -> Result<(), WrongLength> {
        if source.len() != target.len() {
            return Err(WrongLength { what: "the output" });
        }
        self.take_room(source.len())?;
        for (from, to) in source.chunks(UPDATE_MAX_BYTES).zip(target.chunks_mut(UPDATE_MAX_BYTES)) {
            // SAFETY: both are valid for the same length and don't overlap, `target` being `&mut`.
            unsafe { self.update_raw(from.as_ptr(), to.as_mut_ptr(), from.len()) };
        }
        Ok(())
    }

    /// # Safety
    /// `source` must be valid for reads and `target` for writes of `length` bytes, at most `UPDATE_MAX_BYTES`; they are
    /// the same or don't overlap.
    unsafe fn update_raw(&mut self, source: *const u8, target: *mut u8, length: usize) {
        let mut written: c_int = 0;
        // SAFETY: the caller's promise; GCM is a stream mode, so it writes exactly `length` bytes.
        must(unsafe {
            lc::EVP_CipherUpdate(self.context.as_ptr(), target, &mut written, source, length as c_int)
        });
        debug_assert_eq!(written as usize, length);
    }

    /// Ends a message that is being sealed.
    pub(crate) fn finish_seal(self) -> [u8; 16] {
        let mut tag = [0; 16];
        must(self.finish());
        // SAFETY: the message is finished, and `tag` has the 16 bytes asked for.
        must(unsafe {
            lc::EVP_CIPHER_CTX_ctrl(
                self.context.as_ptr(),
                lc::EVP_CTRL_AEAD_GET_TAG,
                16,
                tag.as_mut_ptr().cast(),
            )
        });
        tag
    }

    /// Ends a message that is being opened.
    pub(crate) fn finish_open(self, tag: &[u8; 16]) -> Result<(), NotAuthentic> {
        let mut tag = *tag;
        // SAFETY: aws-lc copies 16 bytes from `tag`; the pointer is mutable by the signature only.
        must(unsafe {
            lc::EVP_CIPHER_CTX_ctrl(
                self.context.as_ptr(),
                lc::EVP_CTRL_AEAD_SET_TAG,
                16,
                tag.as_mut_ptr().cast(),
            )
        });
        if self.finish() == 1 { Ok(()) } else { Err(NotAuthentic) }
    }

    fn finish(&self) -> c_int {
        // GCM writes nothing here, but aws-lc wants a place of a block's size.
        let mut nothing = [0u8; 16];
        let mut written: c_int = 0;
        // SAFETY: the context is valid and the output has a block's size. For opening, the tag is compared in constant time.
        unsafe { lc::EVP_CipherFinal_ex(self.context.as_ptr(), nothing.as_mut_ptr(), &mut written) }
    }
}

impl Drop for GcmContext {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `EVP_CIPHER_CTX_new` and is freed once; aws-lc wipes the key schedule.
        unsafe { lc::EVP_CIPHER_CTX_free(self.context.as_ptr()) }
    }
}
