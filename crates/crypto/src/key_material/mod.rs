//! The material of KMS keys that are not symmetric: key pairs and HMAC keys.
//!
//! | module | concern |
//! |---|---|
//! | [`MaterialSpec`], [`PairSpec`], [`MacSpec`] | which specs there are, and what each can do |
//! | [`seal`], [`open`] | how such material rests: under a key of its own |
//! | [`KeyPair`], [`PublicKey`] | pairs: made, imported, exported |
//! | [`RestingPair`] | pairs made before anybody asked |
//! | [`Message`] | signing and verifying |
//! | [`PairSpec::plaintext_max_bytes`], [`PublicKey::encrypt`] | encrypting with RSA |
//! | [`KeyPair::derive_shared_secret`], [`PublicKey::encapsulate`] | agreeing on secrets |
//! | [`MacKey`] | HMAC keys |
//! | [`WrappingKey`] | key material from outside |
//! | [`wrap_material`] | key material to the outside: wrapped for a KMS |
//!
//! Each such KMS key has a random *material key* of 32 bytes, which rests in locked memory like a symmetric key. The secret
//! itself (a private key, an HMAC key) is kept sealed under it, in memory too, and is opened for one request into memory
//! of aws-lc, which wipes what it frees. In between it stands in [`SecretBytes`](bulla_api::SecretBytes), wiped by their
//! owner.
//!
//! Every function is synchronous. Making an RSA key takes long (4096 bits: about half a second), every other takes
//! milliseconds or less.

mod agree;
mod encrypt;
mod import;
mod mac;
mod pair;
mod resting;
mod sealed;
mod sign;
mod spec;
mod wrap;

pub use agree::{
    AgreementError, DecapsulationError, ENCAPSULATED_SECRET_BYTES, EncapsulationError, OtherUse,
};
pub use encrypt::{DecryptError, EncryptError, EncryptionRefused};
pub use import::{
    SymmetricRefused, WRAPPED_MAX_BYTES, WrappingAlgorithm, WrappingKey, WrappingKeyError, WrappingRefused,
    import_symmetric,
};
pub use mac::{MacKey, MacRefused, VerifyMacError};
pub use pair::{KeyPair, KeyRefused, NotMade, PublicKey};
pub use resting::{NotRested, RestingPair};
pub use sealed::{SECRET_MAX_BYTES, open, seal};
pub use sign::{MESSAGE_MAX_BYTES, Message, MessageRefused, SignError, VerifyError};
pub use spec::{MacSpec, MaterialSpec, OtherSpec, PairSpec};
pub use wrap::{NoPkcs8, NotWrapped, pkcs8_of_pem, wrap_material};
