//! Key material and what is done with it: locked memory, blobs, derivation, wrapping. The only caller of aws-lc.
//!
//! | module | concern |
//! |---|---|
//! | [`arena`], [`LockedKey`] | keys at rest in memory that is never swapped, dumped or inherited |
//! | [`harden_process`] | no core dumps, no debuggers |
//! | [`Rng`] | the seam for randomness |
//! | [`aead`] | AES-GCM, whole pieces and streams |
//! | [`digest`], [`hmac`], [`kdf`], [`hkdf`], [`passphrase`] | hashes and derivation |
//! | [`ecdsa`], [`rsa_wrap`] | what AWS Encryption SDK messages need of public keys |
//! | [`blob`] | the ciphertext of symmetric KMS keys |
//! | [`key_material`] | key pairs and HMAC keys: made, sealed, used |
//! | [`attestation`] | documents of Nitro enclaves and NitroTPM, and answers for their keys |
//! | [`barrier`] | root key, barrier keys, sealed records and tokens |
//! | [`recovery`] | the root key on paper's other road: sealed to a public key or a passphrase |
//!
//! Nothing here does I/O or knows an operation. Every function takes its randomness from an [`Rng`] it is given,
//! except where aws-lc draws its own (RSA and EC keys, ECDSA nonces, RSA padding), which the function's page says.

pub mod aead;
mod at_rest;
pub mod attestation;
pub mod barrier;
pub mod blob;
pub mod digest;
pub mod ecdsa;
mod error;
mod ffi;
pub mod hkdf;
pub mod hmac;
pub mod jws;
pub mod kdf;
pub mod key_material;
mod locked;
pub mod passphrase;
mod pem;
mod process;
pub mod recovery;
mod rng;
pub mod rsa_wrap;

/// The locked memory in which key material rests: its options and its state. See [`LockedKey`].
pub mod arena {
    pub use crate::locked::{
        ArenaError, ArenaOptions, ArenaStatus, Backing, BackingChoice, SLOT_BYTES, configure, status,
    };
}

pub use aead::{AesGcm, Implementation, OpenStream, SealStream};
pub use barrier::{BarrierKeys, RootKey, Sealed};
pub use digest::{Sha256, Sha384, Sha512, constant_time_eq, hex, sha256, sha384, sha512};
pub use error::{NotAuthentic, WrongLength};
pub use hmac::{HmacSha256Key, hmac_sha256};
pub use kdf::kbkdf_hmac_sha256;
pub use locked::{LockedKey, LockedMemoryFull};
pub use process::{HardenError, harden_process};
pub use rng::{Rng, SeededRng, SystemRng};
