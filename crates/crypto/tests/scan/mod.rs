//! A scan of all writable memory of this process for secrets that should be gone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use zeroize::Zeroize;

/// 16 bytes to look for, kept inverted, so that the scan doesn't find what it looks for in itself.
pub(crate) struct Needle([u8; 16]);

impl Needle {
    /// Of the first 16 bytes of a secret.
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(std::array::from_fn(|i| !secret[i]))
    }

    fn is_at(&self, window: &[u8]) -> bool {
        window.iter().zip(&self.0).all(|(byte, inverted)| *byte == !inverted)
    }
}

/// The addresses in writable memory at which a needle stands.
pub(crate) fn scan(needles: &[Needle]) -> Vec<u64> {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; 1 << 20];
    let own = buffer.as_ptr().addr() as u64..(buffer.as_ptr().addr() + buffer.len()) as u64;
    let mut found = Vec::new();
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut fields = line.split(' ');
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (mut at, end) = (number(start), number(end));
        if !fields.next().unwrap().starts_with("rw") {
            continue;
        }
        while at < end {
            let length = buffer.len().min((end - at) as usize);
            if memory.read_exact_at(&mut buffer[..length], at).is_err() {
                break;
            }
            for (offset, window) in buffer[..length].windows(16).enumerate() {
                let address = at + offset as u64;
                if !own.contains(&address) && needles.iter().any(|needle| needle.is_at(window)) {
                    found.push(address);
                }
            }
            buffer[..length].zeroize();
            // Overlapping, so that a needle on the border is seen; and always forward.
            at += if at + length as u64 == end { length } else { length - 15 } as u64;
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
