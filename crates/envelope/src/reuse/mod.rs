//! Data keys that serve more than once, within bounds.
//!
//! A data key is asked for once and serves many messages; each derives a content key of its own from it and from its random
//! message id, so what is sealed is as separate as under data keys of its own. That holds for suites with key derivation and
//! without a signature, and only those are sealed this way: 0478, and 0178, 0146 and 0114 where they are allowed.
//!
//! A key that is kept lies in locked memory, and is wiped as soon as it has served as many messages or bytes as it may,
//! or its time is over, whichever is first: also when nobody asks any more. It serves again only what is the same in
//! everything that it is bound to: suite, commitment policy, keys and the whole encryption context.

mod cache;
mod keyrings;

use std::time::Duration;

pub(crate) use cache::{Cache, Entry};
pub use keyrings::CachingKeyrings;

/// How long, and for how much, one data key may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReuseLimits {
    /// Longest time that a key is kept, for sealing and for opening. What a KMS refuses from now on is refused here when
    /// this is over.
    pub max_age: Duration,
    /// Most messages, or records, sealed under one key.
    pub max_messages: u64,
    /// Most plaintext bytes sealed under one key.
    pub max_bytes: u64,
    /// Most keys that are kept at a time, for sealing and for opening each. The one that served longest ago goes first.
    pub max_keys: usize,
}

impl Default for ReuseLimits {
    /// Five minutes, 65,536 messages, 64 GiB; 1,000 keys.
    fn default() -> Self {
        Self { max_age: Duration::from_secs(300), max_messages: 1 << 16, max_bytes: 64 << 30, max_keys: 1000 }
    }
}

/// Most messages under one key, whatever is asked for: with so many message ids of 16 random bytes the chance that two are
/// the same is 2^-65.
pub const MAX_MESSAGES_PER_KEY: u64 = 1 << 32;
