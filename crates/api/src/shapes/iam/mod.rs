//! AWS IAM.

mod access_keys;
mod account;
mod attachments;
mod enums;
mod groups;
mod inline_policies;
mod managed_policies;
mod oidc_providers;
mod roles;
mod simulation;
mod users;

pub use access_keys::*;
pub use account::*;
pub use attachments::*;
pub use enums::*;
pub use groups::*;
pub use inline_policies::*;
pub use managed_policies::*;
pub use oidc_providers::*;
pub use roles::*;
pub use simulation::*;
pub use users::*;

/// Every structure here, to be compared with the model.
#[cfg(test)]
pub(super) const IAM: &[&[crate::wire::Declared]] = &[
    access_keys::ACCESS_KEYS,
    account::ACCOUNT,
    attachments::ATTACHMENTS,
    groups::GROUPS,
    inline_policies::INLINE_POLICIES,
    managed_policies::MANAGED_POLICIES,
    oidc_providers::OIDC_PROVIDERS,
    roles::ROLES,
    simulation::SIMULATION,
    users::USERS,
];

/// Every enum here.
#[cfg(test)]
pub(crate) use enums::IAM_ENUMS;
