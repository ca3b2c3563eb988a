//! The seam for randomness.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroize;

/// A source of random bytes. A seam, so that a simulation can replay a run from its seed.
pub trait Rng: Send + Sync {
    /// Fills all of `out`. There is no error: a source that can't fill must not return.
    fn fill(&self, out: &mut [u8]);
}

/// The kernel's generator, by `getrandom(2)`; it waits, at most once after boot, until the kernel is seeded.
///
/// Not aws-lc's: that one collects timing jitter for about 50 ms when a process first asks, and some of it again for each
/// thread, which a short command would pay for each file; and the kernel's leaves no generator state in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, out: &mut [u8]) {
        let mut rest = out;
        while !rest.is_empty() {
            match getrandom(&mut *rest, GetRandomFlags::empty()) {
                Ok(filled) => rest = rest.get_mut(filled..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // Going on with predictable keys would be worse than stopping, and no caller could do better.
                Err(_) => std::process::abort(),
            }
        }
    }
}

/// Bytes that follow from a seed: for simulations and golden files, never for keys that matter.
///
/// Block `i` of the stream is SHA-256 of a label, the seed and `i`. Each `fill` begins a new block, so that the bytes
/// depend on the order and lengths of the calls alone.
#[derive(Debug)]
pub struct SeededRng {
    seed: u64,
    next_block: AtomicU64,
}

impl SeededRng {
    /// The stream of `seed`, from its start.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, next_block: AtomicU64::new(0) }
    }
}

impl Rng for SeededRng {
    fn fill(&self, out: &mut [u8]) {
        let blocks = out.len().div_ceil(32) as u64;
        let first = self.next_block.fetch_add(blocks, Ordering::Relaxed);
        for (chunk, block) in out.chunks_mut(32).zip(first..) {
            let mut digest = crate::digest::sha256(&[
                b"bulla simulated randomness",
                &self.seed.to_be_bytes(),
                &block.to_be_bytes(),
            ]);
            for (to, from) in chunk.iter_mut().zip(&digest) {
                *to = *from;
            }
            digest.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_another_differs() {
        let draw = |seed| {
            let rng = SeededRng::new(seed);
            let (mut a, mut b) = ([0; 40], [0; 3]);
            rng.fill(&mut a);
            rng.fill(&mut b);
            (a, b)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1).0[..3], draw(1).1);
    }

    #[test]
    fn the_system_fills_every_byte() {
        SystemRng.fill(&mut []);
        // 64 draws of one byte's place all zero: 2^-512. More than 256 bytes may come in pieces.
        let mut seen = [0u8; 1000];
        for _ in 0..64 {
            let mut out = [0; 1000];
            SystemRng.fill(&mut out);
            for (s, o) in seen.iter_mut().zip(out) {
                *s |= o;
            }
        }
        assert!(seen.iter().all(|b| *b != 0));
    }
}
