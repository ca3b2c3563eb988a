//! Why a request is decided as it is: every statement, what of it fits and what doesn't, and what would change the verdict.

use crate::condition::Condition;
use crate::decision::{
    Decision, Opinions, Policies, PolicyType, Reach, Reason, ResourcePolicy, Verdict, decide,
};
use crate::policy::{Asked, Effect, Kind, Policy, Statement};
use crate::request::{PrincipalKind, Remembering, Request};
use serde::Serialize;
use std::fmt;

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Yes, or which no.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub because: String,
    /// Every statement of every policy, in their order.
    pub statements: Vec<StatementTold>,
    /// How the grants that allow it name the caller, if any do.
    pub granted: Option<&'static str>,
    /// The least that would have to change for a yes; empty where it is one.
    pub changes: Vec<String>,
}

/// A statement, and what of it fits the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementTold {
    /// The policy: its type, and its name in backticks where it has one.
    pub policy: String,
    /// From 1.
    pub number: usize,
    /// Its `Sid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// Whether it applies: all that follows fits.
    pub applies: bool,
    /// How it names the caller: `caller`, `identity` (the role or user of a session), `account`; `None`: it doesn't.
    pub principal: Option<&'static str>,
    /// Whether it is about the action.
    pub action: bool,
    /// Whether it is about the resource.
    pub resource: bool,
    /// Its conditions.
    pub conditions: Vec<ConditionTold>,
    /// Unique ids that it names: of users and roles by who they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principal_ids: Vec<String>,
    /// What its author may not have meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A condition, and what the request has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionTold {
    /// As written.
    pub operator: String,
    /// The condition key, as written.
    pub key: String,
    /// The policy's values.
    pub wanted: Vec<String>,
    /// The request's; `None`: it has no such key.
    pub present: Option<Vec<String>>,
    /// Whether the condition holds.
    pub holds: bool,
    /// Whether it can't hold, because it is to allow, the key has several values and the operator no quantifier.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_quantifier: bool,
}

/// Decides as [`decide`] does, and tells why.
#[must_use]
pub fn explain(request: &Request<'_>, policies: &Policies<'_>) -> Explanation {
    let remembering = Remembering::new(request.context);
    let remembered = Request { context: &remembering, ..*request };
    let asked = Asked::of(&remembered, policies.boundary.is_some());
    let Decision { verdict, reason } = decide(request, policies);
    let mut statements = Vec::new();
    for (policy, policy_type) in all(policies) {
        let told = (1..).zip(&policy.statements).map(|(number, statement)| {
            StatementTold::of(statement, number, &title(policy, policy_type), policy.kind(), &asked)
        });
        statements.extend(told);
    }
    let changes = match reason {
        Reason::Allowed => Vec::new(),
        Reason::Denies(_) => {
            let denials = statements.iter().filter(|told| told.applies && told.effect == "Deny");
            let mut changes: Vec<String> =
                denials.map(|told| format!("remove or narrow {}, which denies it", told.name())).collect();
            changes.extend(additions(request, policies, &asked, &statements));
            changes
        }
        Reason::NoneAllows(_) => additions(request, policies, &asked, &statements),
    };
    let because = match reason {
        Reason::Allowed => "every policy that has to allows it, and none denies it".to_owned(),
        reason => reason.because(request.action),
    };
    Explanation { verdict, because, statements, granted: policies.grant.map(name_of_reach), changes }
}

/// All policies that have a say.
fn all<'a>(policies: &'a Policies<'a>) -> impl Iterator<Item = (&'a Policy, PolicyType)> {
    let of = |policy_type| move |policy: &'a std::sync::Arc<Policy>| (policy.as_ref(), policy_type);
    let resource = match policies.resource {
        ResourcePolicy::Decides(policy) => policy,
        ResourcePolicy::HasNone => None,
    };
    let identity = policies.identity.iter().map(of(PolicyType::Identity));
    let session = policies.session.iter().map(of(PolicyType::Session));
    let resource = resource.map(|policy| (policy, policies.resource.policy_type()));
    let boundary = policies.boundary.map(|policy| (policy, PolicyType::Boundary));
    resource.into_iter().chain(identity).chain(boundary).chain(session)
}

fn title(policy: &Policy, policy_type: PolicyType) -> String {
    match policy.name() {
        "" => policy_type.to_string(),
        name => format!("{policy_type} `{name}`"),
    }
}

const fn name_of_reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Account => "account",
        Reach::Identity => "identity",
        Reach::Caller => "caller",
    }
}

/// What has to be said so that nothing is lacking any more.
fn additions(
    request: &Request<'_>,
    policies: &Policies<'_>,
    asked: &Asked<'_>,
    statements: &[StatementTold],
) -> Vec<String> {
    let lacks = Opinions::of(asked, policies).lacks(request, policies);
    let missing = lacks.filter_map(|reason| match reason {
        Reason::NoneAllows(policy) => Some(policy),
        Reason::Allowed | Reason::Denies(_) => None,
    });
    missing.flat_map(|policy| addition(policy, request, policies, statements)).collect()
}

fn addition(
    missing: PolicyType,
    request: &Request<'_>,
    policies: &Policies<'_>,
    statements: &[StatementTold],
) -> Vec<String> {
    // One that fails by its conditions alone was meant for such requests.
    let near = statements.iter().filter(|told| {
        told.policy.starts_with(&missing.to_string())
            && told.effect == "Allow"
            && told.action
            && told.resource
            && told.principal.is_some()
            && !told.applies
    });
    let mut changes: Vec<String> = (0..)
        .zip(near)
        .map(|(before, told): (usize, _)| {
            let unmet: Vec<_> = told.conditions.iter().filter(|condition| !condition.holds).collect();
            // No request meets those.
            let verb = match unmet.iter().any(|condition| condition.lacks_quantifier) {
                true => "mend",
                false => "make the request meet",
            };
            let unmet: Vec<_> = unmet.into_iter().map(ToString::to_string).collect();
            let or = if before == 0 { "" } else { "or " };
            format!("{or}{verb} the conditions of {}: {}", told.name(), unmet.join("; "))
        })
        .collect();
    let is_own = request.principal.account == Some(request.resource_account);
    let change = match (missing, policies.resource) {
        (PolicyType::Resource, ResourcePolicy::HasNone) => format!(
            "ask as a principal of account {}: no policy gives `{}` to another account",
            request.resource_account, request.resource
        ),
        (PolicyType::Resource | PolicyType::RoleTrust, _) => {
            format!("add to the {}: {}", missing, statement(request, missing, true))
        }
        (PolicyType::Identity, ResourcePolicy::Decides(_)) if is_own => format!(
            "add to an {missing} of the caller: {}; or name the caller itself in the {}",
            statement(request, missing, false),
            policies.resource.policy_type()
        ),
        (PolicyType::Identity, _) => {
            format!("add to an {missing} of the caller: {}", statement(request, missing, false))
        }
        (PolicyType::Boundary, _) => {
            format!("add to the caller's {missing}: {}", statement(request, missing, false))
        }
        (PolicyType::Session, _) => {
            format!("start the session with a {missing} that has: {}", statement(request, missing, false))
        }
    };
    changes.push(if changes.is_empty() { change } else { format!("or {change}") });
    changes
}

/// A statement that allows the request and nothing else.
fn statement(request: &Request<'_>, policy: PolicyType, with_principal: bool) -> String {
    let mut members = vec![r#""Effect": "Allow""#.to_owned()];
    if with_principal {
        let kind = match request.principal.kind {
            PrincipalKind::Federated => "Federated",
            PrincipalKind::Service => "Service",
            _ => "AWS",
        };
        let arn = match request.principal.kind {
            PrincipalKind::Anonymous => "*",
            _ => request.principal.arn,
        };
        members.push(format!(r#""Principal": {{"{kind}": {}}}"#, quoted(arn)));
    }
    members.push(format!(r#""Action": {}"#, quoted(request.action)));
    match policy {
        PolicyType::RoleTrust => {}
        // A key's policy is about its key.
        PolicyType::Resource => members.push(r#""Resource": "*""#.to_owned()),
        _ => members.push(format!(r#""Resource": {}"#, quoted(request.resource))),
    }
    format!("{{{}}}", members.join(", "))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl StatementTold {
    fn of(statement: &Statement, number: usize, policy: &str, kind: Kind, asked: &Asked<'_>) -> Self {
        let reach = statement.reach(asked);
        let action = statement.names_action(asked);
        let resource = statement.names_resource(asked, kind);
        let conditions: Vec<_> =
            statement.conditions.iter().map(|one| ConditionTold::of(one, asked, statement.effect)).collect();
        Self {
            policy: policy.to_owned(),
            number,
            sid: statement.sid.as_deref().map(ToOwned::to_owned),
            effect: match statement.effect {
                Effect::Allow => "Allow",
                Effect::Deny => "Deny",
            },
            applies: reach.is_some()
                && action
                && resource
                && conditions.iter().all(|condition| condition.holds),
            principal: reach.map(name_of_reach),
            action,
            resource,
            conditions,
            principal_ids: statement.principal_ids().map(ToOwned::to_owned).collect(),
            remarks: statement.remarks(),
        }
    }

    /// Which one.
    fn name(&self) -> String {
        match &self.sid {
            Some(sid) => format!("statement {} (`{sid}`) of the {}", self.number, self.policy),
            None => format!("statement {} of the {}", self.number, self.policy),
        }
    }
}

impl ConditionTold {
    fn of(condition: &Condition, asked: &Asked<'_>, effect: Effect) -> Self {
        let written = &condition.written;
        let present = asked.context.get(&written.key.to_ascii_lowercase());
        Self {
            operator: written.operator.to_string(),
            key: written.key.to_string(),
            wanted: written.values.iter().map(ToString::to_string).collect(),
            present: present.map(|values| values.all().iter().map(ToString::to_string).collect()),
            holds: condition.holds(asked.context, effect),
            lacks_quantifier: condition.lacks_quantifier(asked.context, effect),
        }
    }
}

impl fmt::Display for ConditionTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}, ", self.operator, self.key, self.wanted)?;
        match &self.present {
            Some(present) => write!(f, "the request has {present:?}")?,
            None => f.write_str("the request has none")?,
        }
        match self.lacks_quantifier {
            true => f.write_str(": the key has several values: use ForAnyValue: or ForAllValues:"),
            false => Ok(()),
        }
    }
}

impl fmt::Display for StatementTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.applies { "applies" } else { "doesn't apply" };
        write!(f, "{} {verb}, {}", self.effect, self.name())?;
        if self.applies {
            return match self.principal {
                Some("account") => f.write_str(": by the caller's account"),
                Some("identity") => f.write_str(": by the identity behind the session"),
                _ => Ok(()),
            };
        }
        let unfit =
            [("principal", self.principal.is_some()), ("action", self.action), ("resource", self.resource)];
        let unfit = unfit.into_iter().filter(|(_, fits)| !fits).map(|(what, _)| format!("another {what}"));
        let unmet = self.conditions.iter().filter(|condition| !condition.holds).map(ToString::to_string);
        let why: Vec<_> = unfit.chain(unmet).collect();
        write!(f, ": {}", why.join("; "))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.verdict, self.because)?;
        for told in &self.statements {
            writeln!(f, "  {told}")?;
            for remark in &told.remarks {
                writeln!(f, "    {remark}")?;
            }
        }
        if let Some(granted) = self.granted {
            writeln!(f, "  a grant allows it, by the {granted}")?;
        }
        // Alternatives to what stands before them begin with "or".
        if self.changes.iter().filter(|change| !change.starts_with("or ")).count() > 1 {
            writeln!(f, "  all of these are needed:")?;
        }
        for change in &self.changes {
            writeln!(f, "  to allow it: {change}")?;
        }
        Ok(())
    }
}
