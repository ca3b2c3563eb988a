//! The key management service: accounts, keys, aliases, authorisation, operations. Knows nothing of HTTP.
//!
//! # The way of a request
//!
//! [`Engine::authenticate`] (or [`Engine::local_caller`]) gives an [`Authenticated`] caller; [`Engine::dispatch`] does the
//! rest and gives an [`Answer`]. Inside, each step is a type that only the step before can make:
//!
//! `Authenticated` → `Parsed<O>` (typed, constraints checked) → `Authorized<O>` (one handle for each demand of the
//! operation's row) → `Executed<O>` (with the changes it wants made, if any) → `Recorded` (committed, audited) → [`Answer`].
//!
//! A key's material is reached through the handle that the authorisation gave, and an answer is made from a record of the
//! audit only. Operations stand in `operations/`, one file each; they decide neither who may call them nor when their
//! changes are durable.

mod accounts;
mod admin;
mod audit_watch;
mod authenticate;
mod authorize;
mod aws_managed;
mod background;
#[cfg(feature = "bulk")]
mod bulk;
mod cache;
mod change;
mod clock;
mod clock_watch;
mod conditions;
mod core;
mod credentials;
mod deletion;
mod denial;
mod dispatch;
mod door;
mod embedded;
mod encryption;
mod engine;
mod explain;
mod external;
mod fault;
mod grant_token;
mod grants;
mod identities;
mod identity_policies;
mod identity_usage;
mod import;
mod imported;
mod key_policy;
mod key_stores;
mod keys;
mod kind;
mod marker;
mod material;
mod multi_region;
mod oidc;
mod operations;
mod outbox;
mod parse;
mod permission;
mod pipeline;
mod policy_principals;
mod policy_reset;
mod preauth;
mod principal;
mod query;
mod recipient;
mod record;
mod references;
mod request;
mod root_access;
mod rotation;
mod scheduled;
mod session_token;
mod slow;
mod stock;
mod tags;
mod trail;
mod trust_policy;
mod usage;
mod view;
mod web_identity;
mod xks;

pub use accounts::{Account, NewAccount, random_id as random_account_id};
pub use authenticate::{AuthFailure, Authenticated, Via};
#[cfg(feature = "bulk")]
pub use bulk::Bulk;
pub use bulla_audit::TlsDetails;
pub use bulla_sigv4::Request as SignedRequest;
pub use clock::{Clock, SimClock, SystemClock};
pub use clock_watch::ClockState;
pub use core::REGIONS_MAX;
pub use credentials::AccessKey;
pub use embedded::EmbeddedKms;
pub use engine::{Engine, EngineOptions, EngineParts, NewStore, OpenError, Status};
pub use explain::{ExplainConnection, ExplainInput};
pub use oidc::{IssuerKeys, KEY_SET_BYTES_MAX, KeySetRefused, NoOidcClient, OidcClient, OidcFuture};
pub use outbox::{RecordedChanges, recorded_changes};
pub use principal::{Named, Principal, PrincipalKind, Session, WebIdentity};
pub use references::{Finding, Through, check_references, look_through};
pub use request::{Answer, Protocol, RequestId, RequestMeta};
pub use xks::{
    NoXksClient, XksCiphertext, XksClient, XksError, XksFuture, XksHealth, XksKeyMetadata, XksOrigin,
    XksProxy,
};
