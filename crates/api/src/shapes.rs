//! Typed inputs and outputs, one pair an operation, with the members of AWS's published API model.

use crate::SecretBytes;
use crate::context::EncryptionContext;

/// What a typed input is decoded from: see `crate::wire`.
pub trait DecodeInput: Sized {}
/// How a typed output is written: see `crate::wire`.
pub trait EncodeOutput: Sized {}
