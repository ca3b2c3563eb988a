//! From policies and a request to a verdict.
//!
//! Sources: IAM user guide, "Policy evaluation logic", "Cross-account policy evaluation logic", "Permissions boundaries for
//! IAM entities"; AWS KMS developer guide, "Key policies", "Grants", "Troubleshooting key access".

use crate::policy::{Asked, Kind, Policy, Says};
use crate::request::{PrincipalKind, Remembering, Request};
use std::fmt;
use std::sync::Arc;

/// All policies that have a say in a request.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'a> {
    /// Of the user and of its groups, or of the role.
    pub identity: &'a [Arc<Policy>],
    /// The permissions boundary of the user or role, if it has one.
    pub boundary: Option<&'a Policy>,
    /// What the session was made with. Empty: the session isn't limited.
    pub session: &'a [Arc<Policy>],
    /// What the resource says.
    pub resource: ResourcePolicy<'a>,
    /// How the grants that allow this operation, under these circumstances, name the caller: of several, the greatest.
    pub grant: Option<Reach>,
}

/// What a resource says of who may act on it.
#[derive(Debug, Clone, Copy)]
pub enum ResourcePolicy<'a> {
    /// Nothing, by its nature: an alias, no resource at all. Identity policies decide, within its own account.
    HasNone,
    /// It has the last word: a key, a role that is to be assumed. Without a policy it allows nobody.
    Decides(Option<&'a Policy>),
}

/// How a statement or a grant names the caller. The greater, the less else is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// By its account, whose own policies say whom of it.
    Account,
    /// By the role or user that its session was made from. What limits the session limits this.
    Identity,
    /// Itself: a user's or a session's ARN, a root by its account, or anybody.
    Caller,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Yes, or which no.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self.verdict == Verdict::Allowed
    }
}

/// Yes, or which no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// Everything that must allow it does, and nothing denies it.
    Allowed,
    /// A statement denies it.
    ExplicitlyDenied,
    /// Something that must allow it doesn't.
    ImplicitlyDenied,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Everything allows it that has to.
    Allowed,
    /// A statement of such a policy denies it.
    Denies(PolicyType),
    /// No policy of this type allows it, and one must.
    NoneAllows(PolicyType),
}

/// The types of policies, as AWS's messages tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyType {
    /// Of a user, a group, a role.
    Identity,
    /// Of a key.
    Resource,
    /// Of a role, saying who may assume it.
    RoleTrust,
    /// A permissions boundary.
    Boundary,
    /// Of a session.
    Session,
}

impl Reason {
    /// How AWS's access denied message goes on after the action and the resource: `because no identity-based policy allows the
    /// kms:Decrypt action`, or `with an explicit deny in a resource-based policy`. Empty when nothing is denied.
    ///
    /// Source: IAM user guide, "Troubleshoot access denied error messages".
    #[must_use]
    pub fn because(self, action: &str) -> String {
        match self {
            Self::Allowed => String::new(),
            Self::Denies(PolicyType::Identity) => {
                "with an explicit deny in an identity-based policy".to_owned()
            }
            Self::Denies(PolicyType::RoleTrust) => {
                "with an explicit deny in the role trust policy".to_owned()
            }
            Self::Denies(policy) => format!("with an explicit deny in a {policy}"),
            Self::NoneAllows(policy) => format!("because no {policy} allows the {action} action"),
        }
    }
}

impl fmt::Display for PolicyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity-based policy",
            Self::Resource => "resource-based policy",
            Self::RoleTrust => "role trust policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
        })
    }
}

/// Decides. No policy, no answer but no: nothing is allowed that isn't said.
#[must_use]
pub fn decide(request: &Request<'_>, policies: &Policies<'_>) -> Decision {
    let remembering = Remembering::new(request.context);
    let remembered = Request { context: &remembering, ..*request };
    let asked = Asked::of(&remembered, policies.boundary.is_some());
    let opinions = Opinions::of(&asked, policies);
    let reason = match opinions.denial(policies).map_or_else(|| opinions.lack(request, policies), Some) {
        Some(reason) => reason,
        None => Reason::Allowed,
    };
    let verdict = match reason {
        Reason::Allowed => Verdict::Allowed,
        Reason::Denies(_) => Verdict::ExplicitlyDenied,
        Reason::NoneAllows(_) => Verdict::ImplicitlyDenied,
    };
    Decision { verdict, reason }
}

/// What the policies of each type say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opinions {
    identity: Says,
    resource: Says,
    boundary: Option<Says>,
    session: Option<Says>,
}

impl Opinions {
    pub(crate) fn of(asked: &Asked<'_>, policies: &Policies<'_>) -> Self {
        let resource = match policies.resource {
            ResourcePolicy::Decides(Some(policy)) => policy.says(asked),
            ResourcePolicy::Decides(None) | ResourcePolicy::HasNone => Says::Nothing,
        };
        Self {
            identity: say(policies.identity, asked),
            resource,
            boundary: policies.boundary.map(|policy| policy.says(asked)),
            session: (!policies.session.is_empty()).then(|| say(policies.session, asked)),
        }
    }

    /// A denial, which nothing outweighs.
    fn denial(self, policies: &Policies<'_>) -> Option<Reason> {
        let types = [
            (Some(self.identity), PolicyType::Identity),
            (Some(self.resource), policies.resource.policy_type()),
            (self.boundary, PolicyType::Boundary),
            (self.session, PolicyType::Session),
        ];
        let denies = types.into_iter().find(|(says, _)| *says == Some(Says::Deny));
        denies.map(|(_, policy)| Reason::Denies(policy))
    }

    /// The first thing that is lacking; `None` when nothing is.
    fn lack(self, request: &Request<'_>, policies: &Policies<'_>) -> Option<Reason> {
        self.lacks(request, policies).next()
    }

    /// Everything that must allow it and doesn't.
    pub(crate) fn lacks(
        self,
        request: &Request<'_>,
        policies: &Policies<'_>,
    ) -> impl Iterator<Item = Reason> {
        let is_own = request.principal.account == Some(request.resource_account);
        let is_outside = request.principal.account.is_none();
        let reach = match self.resource {
            Says::Allow(reach) => Some(reach).max(policies.grant),
            Says::Nothing | Says::Deny => policies.grant,
        };
        // Which types of policies have a say, beside the resource's own.
        let (resource, identity, limits) = match (policies.resource, reach) {
            (ResourcePolicy::HasNone, _) => (is_own, true, true),
            (ResourcePolicy::Decides(_), None) => (false, !is_outside && !is_own, !is_outside && !is_own),
            // Within its own account, whoever is named needs nothing else, and nothing limits what it is given but a denial.
            (ResourcePolicy::Decides(_), Some(Reach::Caller)) if is_own || is_outside => (true, false, false),
            (ResourcePolicy::Decides(_), Some(Reach::Identity)) if is_own => (true, false, true),
            (ResourcePolicy::Decides(_), Some(_)) => (!is_outside, true, true),
        };
        // No policy limits a root.
        let is_root = request.principal.kind == PrincipalKind::Root;
        let allows = |says: Says| matches!(says, Says::Allow(_));
        let missing = [
            (!resource, policies.resource.policy_type()),
            (identity && !is_root && !allows(self.identity), PolicyType::Identity),
            (limits && self.boundary.is_some_and(|says| !allows(says)), PolicyType::Boundary),
            (limits && self.session.is_some_and(|says| !allows(says)), PolicyType::Session),
        ];
        missing.into_iter().filter(|(missing, _)| *missing).map(|(_, policy)| Reason::NoneAllows(policy))
    }
}

/// What several policies of one type say together.
fn say(policies: &[Arc<Policy>], asked: &Asked<'_>) -> Says {
    let mut says = Says::Nothing;
    for policy in policies {
        match policy.says(asked) {
            Says::Deny => return Says::Deny,
            Says::Allow(reach) => says = Says::Allow(reach),
            Says::Nothing => {}
        }
    }
    says
}

impl ResourcePolicy<'_> {
    /// How messages call it.
    pub(crate) fn policy_type(self) -> PolicyType {
        match self {
            Self::Decides(Some(policy)) if policy.kind() == Kind::Trust => PolicyType::RoleTrust,
            Self::Decides(_) | Self::HasNone => PolicyType::Resource,
        }
    }
}
