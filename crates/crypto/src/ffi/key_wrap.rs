//! AES key wrap with padding. aws-lc-rs has it, but leaves the key schedule, which begins with the key, on the stack.

use super::pkey::Refused;
use aws_lc_sys as lc;
use bulla_api::SecretBytes;
use std::mem::MaybeUninit;

/// RFC 5649, section 3: a wrapped key is whole half-blocks, two at least.
const HALF_BLOCK_BYTES: usize = 8;

/// Unwraps what AES-KWP (RFC 5649, SP 800-38F) wrapped under `key`, of 16, 24 or 32 bytes.
pub(crate) fn unwrap_key_padded(key: &[u8], wrapped: &[u8]) -> Result<SecretBytes, Refused> {
    if wrapped.len() < 2 * HALF_BLOCK_BYTES || !wrapped.len().is_multiple_of(HALF_BLOCK_BYTES) {
        return Err(Refused);
    }
    let schedule = Schedule::for_unwrapping(key)?;
    let mut unwrapped = SecretBytes::zeroed(wrapped.len() - HALF_BLOCK_BYTES);
    let mut length = 0;
    // SAFETY: the schedule is initialised; `unwrapped` is valid for the bytes given as its room, which is what aws-lc asks
    // for; `wrapped` for its own.
    let answer = unsafe {
        lc::AES_unwrap_key_padded(
            schedule.0.as_ptr(),
            unwrapped.expose_mut().as_mut_ptr(),
            &mut length,
            wrapped.len() - HALF_BLOCK_BYTES,
            wrapped.as_ptr(),
            wrapped.len(),
        )
    };
    if answer != 1 {
        return Err(Refused);
    }
    unwrapped.truncate(length);
    Ok(unwrapped)
}

/// A key schedule in one place of the heap, wiped when dropped.
struct Schedule(Box<MaybeUninit<lc::AES_KEY>>);

impl Schedule {
    fn for_unwrapping(key: &[u8]) -> Result<Self, Refused> {
        let bits = match key.len() {
            16 => 128,
            24 => 192,
            32 => 256,
            _ => return Err(Refused),
        };
        let mut schedule = Self(Box::new(MaybeUninit::zeroed()));
        // SAFETY: `key` has the bytes that `bits` says; the target is valid for a schedule.
        let answer = unsafe { lc::AES_set_decrypt_key(key.as_ptr(), bits, schedule.0.as_mut_ptr()) };
        if answer == 0 { Ok(schedule) } else { Err(Refused) }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: the target is valid for the schedule's size; any bytes may stand there.
        unsafe { lc::OPENSSL_cleanse(self.0.as_mut_ptr().cast(), size_of::<lc::AES_KEY>()) }
    }
}
