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

/// Wraps with AES-KWP (RFC 5649, SP 800-38F) under `key`, of 16, 24 or 32 bytes. Refuses an empty `material`.
pub(crate) fn wrap_key_padded(key: &[u8], material: &[u8]) -> Result<Vec<u8>, Refused> {
    let schedule = Schedule::for_wrapping(key)?;
    let mut wrapped = vec![0; material.len().next_multiple_of(HALF_BLOCK_BYTES) + HALF_BLOCK_BYTES];
    let mut length = 0;
    // SAFETY: the schedule is initialised; `wrapped` is valid for the bytes given as its room; `material` for its own.
    let answer = unsafe {
        lc::AES_wrap_key_padded(
            schedule.0.as_ptr(),
            wrapped.as_mut_ptr(),
            &mut length,
            wrapped.len(),
            material.as_ptr(),
            material.len(),
        )
    };
    if answer != 1 {
        return Err(Refused);
    }
    wrapped.truncate(length);
    Ok(wrapped)
}

/// A key schedule in one place of the heap, wiped when dropped.
struct Schedule(Box<MaybeUninit<lc::AES_KEY>>);

impl Schedule {
    fn for_unwrapping(key: &[u8]) -> Result<Self, Refused> {
        let bits = bits_of(key)?;
        let mut schedule = Self(Box::new(MaybeUninit::zeroed()));
        // SAFETY: `key` has the bytes that `bits` says; the target is valid for a schedule.
        let answer = unsafe { lc::AES_set_decrypt_key(key.as_ptr(), bits, schedule.0.as_mut_ptr()) };
        if answer == 0 { Ok(schedule) } else { Err(Refused) }
    }

    fn for_wrapping(key: &[u8]) -> Result<Self, Refused> {
        let bits = bits_of(key)?;
        let mut schedule = Self(Box::new(MaybeUninit::zeroed()));
        // SAFETY: `key` has the bytes that `bits` says; the target is valid for a schedule.
        let answer = unsafe { lc::AES_set_encrypt_key(key.as_ptr(), bits, schedule.0.as_mut_ptr()) };
        if answer == 0 { Ok(schedule) } else { Err(Refused) }
    }
}

fn bits_of(key: &[u8]) -> Result<u32, Refused> {
    match key.len() {
        16 => Ok(128),
        24 => Ok(192),
        32 => Ok(256),
        _ => Err(Refused),
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: the target is valid for the schedule's size; any bytes may stand there.
        unsafe { lc::OPENSSL_cleanse(self.0.as_mut_ptr().cast(), size_of::<lc::AES_KEY>()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 5649, section 6: 20 octets and 7 octets under the same key.
    #[test]
    fn wraps_and_unwraps_the_examples_of_the_rfc() {
        let key = bytes("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
        let examples = [
            (
                "c37b7e6492584340bed12207808941155068f738",
                "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
            ),
            ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
        ];
        for (material, wrapped) in examples {
            assert_eq!(wrap_key_padded(&key, &bytes(material)).unwrap(), bytes(wrapped));
            assert_eq!(unwrap_key_padded(&key, &bytes(wrapped)).unwrap().expose(), bytes(material));
        }
        assert_eq!(wrap_key_padded(&key, &[]), Err(Refused));
        assert_eq!(wrap_key_padded(&key[..23], &[1]), Err(Refused));
    }
}
