//! The wire vocabulary of the AWS KMS API: ids, shapes, errors, the operation table, `trait Kms`.

mod context;
mod enums;
mod error;
mod ids;
pub mod model;
mod operation;
mod printable;
mod secret;
mod shapes;
mod timestamp;
pub mod wire;

pub use context::EncryptionContext;
pub use enums::*;
pub use error::{ApiError, ErrorCode, KmsError, LocalFailure, LocalFailureKind};
pub use ids::{AccountId, AliasArn, AliasName, KeyArn, KeyId, KeyRef, Malformed, PARTITION, Region};
pub use operation::*;
pub use printable::{is_unprintable, json_in_print};
pub use secret::{Redacted, SecretBytes, SecretText};
pub use shapes::*;
pub use timestamp::Timestamp;
pub use wire::WipedBuffer;

/// What a call to a [`Kms`] gives.
pub type CallFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, KmsError>> + Send + 'a>>;
