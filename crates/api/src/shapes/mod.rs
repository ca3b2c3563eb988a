//! Typed inputs and outputs, one pair an operation, with the members of AWS's published API model.
//!
//! A member that the model requires, or that this service always answers with, is plain; any other is
//! an `Option`, or for lists and maps empty when absent. `KeyId` members are kept as text: see
//! [`KeyRef`](crate::KeyRef) for reading them. What is secret has no `Debug` and no copies. Constraints are
//! checked when an input is decoded; an input that was made in this process has them checked by its own
//! types only.
//!
//! Those of AWS KMS stand here; those of IAM and STS, which have names in common with them, in modules of their own.

mod aliases;
mod cryptography;
mod custom_key_stores;
mod data_keys;
mod grants;
pub mod iam;
mod import;
mod keys;
mod multi_region;
mod policies;
mod rotation;
mod shared_secrets;
mod signatures;
pub mod sts;
mod tags;

pub use aliases::*;
pub use cryptography::*;
pub use custom_key_stores::*;
pub use data_keys::*;
pub use grants::*;
pub use import::*;
pub use keys::*;
pub use multi_region::*;
pub use policies::*;
pub use rotation::*;
pub use shared_secrets::*;
pub use signatures::*;
pub use sts::{GetCallerIdentityInput, GetCallerIdentityOutput};
pub use tags::*;

/// The output of an operation that has none: an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Empty;

/// Every structure of a service, to be compared with the model.
#[cfg(test)]
pub(crate) fn declared(of: crate::Service) -> impl Iterator<Item = &'static crate::wire::Declared> {
    let lists: &[&[crate::wire::Declared]] = match of {
        crate::Service::Kms => KMS,
        crate::Service::Iam => iam::IAM,
        crate::Service::Sts => &[sts::STS],
    };
    lists.iter().copied().flatten()
}

#[cfg(test)]
const KMS: &[&[crate::wire::Declared]] = &[
    aliases::ALIASES,
    cryptography::CRYPTOGRAPHY,
    custom_key_stores::CUSTOM_KEY_STORES,
    data_keys::DATA_KEYS,
    grants::GRANTS,
    import::IMPORT,
    keys::KEYS,
    multi_region::MULTI_REGION,
    policies::POLICIES,
    rotation::ROTATION,
    shared_secrets::SHARED_SECRETS,
    signatures::SIGNATURES,
    tags::TAGS,
];
