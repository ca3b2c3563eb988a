//! The wire vocabulary of the AWS KMS API: ids, shapes, errors, the operation table, `trait Kms`.

mod context;
mod error;
mod ids;
mod operation;
mod secret;
mod shapes;

pub use context::EncryptionContext;
pub use error::{ApiError, ErrorCode, KmsError, LocalFailure, LocalFailureKind};
pub use ids::{AccountId, AliasArn, AliasName, KeyArn, KeyId, KeyRef, Malformed, PARTITION, Region};
pub use operation::*;
pub use secret::{Redacted, SecretBytes};
pub use shapes::*;

/// What a call to a [`Kms`] gives.
pub type CallFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, KmsError>> + Send + 'a>>;
