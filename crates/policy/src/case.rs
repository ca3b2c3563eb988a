//! Cases: a request with all policies that have a say, as one JSON object. What tests of policies are written in.
//!
//! Such a case says all there is: a condition key that it doesn't have is missing from the request. What it holds is listed by
//! [`Case`]'s members; one that it doesn't know is an error, so that no test passes for a misspelt reason.

use crate::decision::{Decision, Policies, Reach, ResourcePolicy, Verdict, decide};
use crate::explain::{Explanation, explain};
use crate::json::Document;
use crate::policy::{Kind, Policy};
use crate::principal::PrincipalArn;
use crate::request::{Context, Principal, PrincipalKind, Request, Values};
use bulla_api::{AccountId, GrantOperation};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The condition keys of an encryption context: this and a name. Case matters in the name, to grants.
const ENCRYPTION_CONTEXT: &str = "kms:encryptioncontext:";

/// A case.
#[derive(Debug)]
pub struct Case {
    /// How it is called.
    pub id: Value,
    /// What it should come to.
    pub expected: Option<Verdict>,
    asked: AskedOf,
    identity: Vec<Arc<Policy>>,
    session: Vec<Arc<Policy>>,
    boundary: Option<Policy>,
    key: Option<Policy>,
    grants: Vec<Grant>,
}

/// A line that is no case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// How it calls itself, if that can be read.
    pub id: Value,
    /// What is wrong.
    pub error: String,
}

/// What a case comes to, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer<'a> {
    /// The case.
    pub id: &'a Value,
    /// Yes, or which no.
    pub decision: Verdict,
    /// Why not, in AWS's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Case {
    /// Reads a case: one JSON object, no member twice.
    ///
    /// # Errors
    /// What is wrong with it, and with which policy.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let unreadable = |error: String| {
            let id = serde_json::from_str::<OnlyId>(text).map(|only| only.id).unwrap_or_default();
            Unreadable { id: told(id), error }
        };
        let written: Written = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        Self::of(written).map_err(unreadable)
    }

    /// Decides it.
    #[must_use]
    pub fn decide(&self) -> Decision {
        self.with(self.resource_policy(), decide)
    }

    /// Decides it, and tells why.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        self.with(self.resource_policy(), explain)
    }

    /// The decision as it is told.
    #[must_use]
    pub fn answer(&self) -> Answer<'_> {
        let Decision { verdict, reason } = self.decide();
        Answer { id: &self.id, decision: verdict, reason: reason.because(&self.asked.action) }
    }

    fn with<T>(
        &self,
        resource_policy: ResourcePolicy<'_>,
        then: impl FnOnce(&Request<'_>, &Policies<'_>) -> T,
    ) -> T {
        let AskedOf { principal, action, resource, resource_account, context } = &self.asked;
        let principal = principal.view();
        let request = Request { principal, action, resource, resource_account: *resource_account, context };
        let grants = self.grants.iter().filter(|_| is_key(resource));
        let policies = Policies {
            identity: &self.identity,
            boundary: self.boundary.as_ref(),
            session: &self.session,
            resource: resource_policy,
            grant: grants.filter_map(|grant| grant.reach(&request, context)).max(),
        };
        then(&request, &policies)
    }

    /// What the resource says. Where there is no key, its policy allows nothing; but if it denies, it denies.
    fn resource_policy(&self) -> ResourcePolicy<'_> {
        let policy = ResourcePolicy::Decides(self.key.as_ref());
        if is_key(&self.asked.resource) {
            return policy;
        }
        match self.with(policy, decide).verdict {
            Verdict::ExplicitlyDenied => policy,
            Verdict::Allowed | Verdict::ImplicitlyDenied => ResourcePolicy::HasNone,
        }
    }

    fn of(written: Written) -> Result<Self, String> {
        let Written {
            id,
            request,
            identity_policies,
            session_policies,
            grants,
            permission_boundary,
            key_policy,
            expected,
        } = written;
        if !matches!(id, Value::Null | Value::String(_) | Value::Number(_)) {
            return Err("`id` is not a text".to_owned());
        }
        let compile = |what: &str, name: &str, document: &Document, kind| {
            let policy =
                Policy::compile(document, kind).map_err(|error| format!("{what}: {}", error.told()))?;
            Ok::<_, String>(policy.named(name))
        };
        let mut identity = Vec::new();
        for (index, IdentityPolicy { name, document, .. }) in (1..).zip(&identity_policies) {
            let what = match name.as_str() {
                "" => format!("identity policy {index}"),
                name => format!("identity policy `{name}`"),
            };
            identity.push(Arc::new(compile(&what, name, document, Kind::Identity)?));
        }
        let mut session = Vec::new();
        for (index, document) in (1..).zip(&session_policies) {
            session.push(Arc::new(compile(
                &format!("session policy {index}"),
                "",
                document,
                Kind::Identity,
            )?));
        }
        let one = |what, document: Option<Document>, kind| {
            document.map(|document| compile(what, "", &document, kind)).transpose()
        };
        Ok(Self {
            id,
            expected,
            asked: AskedOf::of(request)?,
            identity,
            session,
            boundary: one("permission boundary", permission_boundary, Kind::Identity)?,
            key: one("key policy", key_policy, Kind::Key)?,
            grants: grants.into_iter().map(Grant::of).collect::<Result<_, _>>()?,
        })
    }
}

/// Whether an ARN is a key's: what has no policy of its own is not asked for one.
fn is_key(resource: &str) -> bool {
    resource.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with("key/"))
}

/// An id as it is repeated.
fn told(id: Value) -> Value {
    match id {
        Value::String(_) | Value::Number(_) => id,
        _ => Value::Null,
    }
}

/// The request of a case.
#[derive(Debug)]
struct AskedOf {
    principal: Asker,
    action: String,
    resource: String,
    resource_account: AccountId,
    context: GivenContext,
}

#[derive(Debug)]
struct Asker {
    account: AccountId,
    arn: String,
    kind: AskerKind,
    /// Of a session.
    role_arn: Option<String>,
}

impl AskedOf {
    fn of(written: WrittenRequest) -> Result<Self, String> {
        let WrittenRequest { principal, action, resource, resource_account, context } = written;
        let account: AccountId =
            principal.account.parse().map_err(|_| "the principal's `account` is not 12 digits".to_owned())?;
        if action.is_empty() || resource.is_empty() {
            return Err("`action` or `resource` is empty".to_owned());
        }
        let resource_account = match &resource_account {
            Some(account) => account.parse().map_err(|_| "`resource_account` is not 12 digits".to_owned())?,
            None => resource.split(':').nth(4).and_then(|account| account.parse().ok()).unwrap_or(account),
        };
        let principal = Asker::of(principal, account)?;
        Ok(Self { principal, action, resource, resource_account, context })
    }
}

impl Asker {
    fn of(written: WrittenPrincipal, account: AccountId) -> Result<Self, String> {
        let WrittenPrincipal { kind, arn, role_arn, .. } = written;
        let parsed = PrincipalArn::parse(&arn).ok_or("the principal's `arn` is not one of a principal")?;
        if parsed.account != account {
            return Err("the principal's `arn` is of another account".to_owned());
        }
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let fits = match kind {
            AskerKind::Root => parsed.is_root,
            AskerKind::User => resource.starts_with("user/"),
            AskerKind::AssumedRole => resource.starts_with("assumed-role/"),
        };
        if !fits {
            return Err("the principal's `arn` is not of its `type`".to_owned());
        }
        let role_arn = match (kind, role_arn) {
            (AskerKind::AssumedRole, None) => return Err("an assumed-role has no `role_arn`".to_owned()),
            (AskerKind::AssumedRole, role_arn) => role_arn,
            (_, None) => None,
            (_, Some(_)) => return Err("only an assumed-role has a `role_arn`".to_owned()),
        };
        Ok(Self { account, arn, kind, role_arn })
    }

    fn view(&self) -> Principal<'_> {
        let kind = match (self.kind, &self.role_arn) {
            (AskerKind::Root, _) => PrincipalKind::Root,
            (AskerKind::AssumedRole, Some(role_arn)) => PrincipalKind::AssumedRole { role_arn },
            (AskerKind::User | AskerKind::AssumedRole, _) => PrincipalKind::User,
        };
        Principal { account: Some(self.account), arn: &self.arn, kind, unique_id: None }
    }
}

/// The condition keys of a case, by their names in lower case.
#[derive(Debug, Default)]
struct GivenContext {
    keys: BTreeMap<String, Given>,
    /// The encryption context, names as they are.
    encryption_context: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Given {
    One(String),
    Many(Vec<String>),
}

impl Context for GivenContext {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        Some(match self.keys.get(key)? {
            Given::One(value) => Values::One(Cow::Borrowed(value)),
            Given::Many(values) => {
                Values::Many(values.iter().map(|value| Cow::Borrowed(value.as_str())).collect())
            }
        })
    }
}

/// A grant on the key of a case.
#[derive(Debug)]
struct Grant {
    grantee: String,
    /// As actions, in lower case.
    actions: Vec<String>,
    equals: Option<BTreeMap<String, String>>,
    subset: Option<BTreeMap<String, String>>,
}

/// The operations with an encryption context. Others are not constrained by one (the API reference of `CreateGrant`).
const CONSTRAINED: [GrantOperation; 8] = [
    GrantOperation::Decrypt,
    GrantOperation::Encrypt,
    GrantOperation::GenerateDataKey,
    GrantOperation::GenerateDataKeyWithoutPlaintext,
    GrantOperation::GenerateDataKeyPair,
    GrantOperation::GenerateDataKeyPairWithoutPlaintext,
    GrantOperation::ReEncryptFrom,
    GrantOperation::ReEncryptTo,
];

fn action_of(operation: GrantOperation) -> String {
    format!("kms:{}", operation.as_str()).to_ascii_lowercase()
}

impl Grant {
    fn of(written: WrittenGrant) -> Result<Self, String> {
        let WrittenGrant { grantee, operations, constraints } = written;
        if PrincipalArn::parse(&grantee).is_none() {
            return Err("a grant's `grantee` is not the ARN of a principal".to_owned());
        }
        let action = |operation: &String| {
            let known = operation
                .parse::<GrantOperation>()
                .map_err(|_| "a grant has an unknown operation".to_owned());
            known.map(action_of)
        };
        let actions = operations.iter().map(action).collect::<Result<_, _>>()?;
        let Constraints { equals, subset } = constraints.unwrap_or_default();
        Ok(Self { grantee, actions, equals, subset })
    }

    /// How it names the caller, if it allows the request.
    fn reach(&self, request: &Request<'_>, context: &GivenContext) -> Option<Reach> {
        let action = request.action.to_ascii_lowercase();
        let given = &context.encryption_context;
        let is_constrained = CONSTRAINED.into_iter().any(|operation| action_of(operation) == action);
        let met = !is_constrained
            || self.equals.as_ref().is_none_or(|wanted| wanted == given)
                && self.subset.as_ref().is_none_or(|wanted| {
                    wanted.iter().all(|(name, value)| given.get(name).is_some_and(|given| given == value))
                });
        (met && self.actions.contains(&action)).then(|| request.principal.named_by(&self.grantee)).flatten()
    }
}

// What is written.

#[derive(Deserialize)]
struct OnlyId {
    #[serde(default)]
    id: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    id: Value,
    request: WrittenRequest,
    #[serde(default)]
    identity_policies: Vec<IdentityPolicy>,
    #[serde(default)]
    session_policies: Vec<Document>,
    #[serde(default)]
    grants: Vec<WrittenGrant>,
    #[serde(default)]
    permission_boundary: Option<Document>,
    #[serde(default)]
    key_policy: Option<Document>,
    #[serde(default)]
    expected: Option<Verdict>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequest {
    principal: WrittenPrincipal,
    action: String,
    resource: String,
    #[serde(default)]
    resource_account: Option<String>,
    #[serde(default)]
    context: GivenContext,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrincipal {
    #[serde(rename = "type")]
    kind: AskerKind,
    account: String,
    arn: String,
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    role_arn: Option<String>,
    #[serde(default, rename = "session")]
    _session: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AskerKind {
    Root,
    User,
    AssumedRole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityPolicy {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "kind")]
    _kind: Option<IdentityPolicyKind>,
    document: Document,
}

/// Where it comes from decides nothing.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum IdentityPolicyKind {
    Inline,
    Managed,
    Group,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGrant {
    grantee: String,
    operations: Vec<String>,
    #[serde(default)]
    constraints: Option<Constraints>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraints {
    #[serde(default, rename = "EncryptionContextEquals", deserialize_with = "pairs")]
    equals: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "EncryptionContextSubset", deserialize_with = "pairs")]
    subset: Option<BTreeMap<String, String>>,
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = BTreeMap<String, String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("names and values, no name twice")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut pairs = BTreeMap::new();
            while let Some((name, value)) = access.next_entry()? {
                if pairs.insert(name, value).is_some() {
                    return Err(de::Error::custom("a name stands twice"));
                }
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(Pairs).map(Some)
}

impl<'de> Deserialize<'de> for GivenContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = GivenContext;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("condition keys and their values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<GivenContext, A::Error> {
                let mut context = GivenContext::default();
                while let Some((key, value)) = access.next_entry::<String, Value>()? {
                    let given = given(value).ok_or_else(|| {
                        de::Error::custom("a condition key's value is no text and no list of texts")
                    })?;
                    context.add(key, given).map_err(de::Error::custom)?;
                }
                Ok(context)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl GivenContext {
    fn add(&mut self, key: String, given: Given) -> Result<(), &'static str> {
        let name = key.to_ascii_lowercase();
        let of_encryption =
            name.strip_prefix(ENCRYPTION_CONTEXT).and_then(|rest| key.get(key.len() - rest.len()..));
        if let (Some(pair), Given::One(value)) = (of_encryption, &given)
            && self.encryption_context.insert(pair.to_owned(), value.clone()).is_some()
        {
            return Err("a condition key stands twice");
        }
        // Names of an encryption context tell case apart, condition keys don't: one key then has both values.
        match (self.keys.remove(&name), given) {
            (None, given) => self.keys.insert(name, given),
            (Some(before), given) if of_encryption.is_some() => {
                self.keys.insert(name, Given::Many(before.all().into_iter().chain(given.all()).collect()))
            }
            (Some(_), _) => return Err("a condition key stands twice"),
        };
        Ok(())
    }
}

impl Given {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }
}

fn given(value: Value) -> Option<Given> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.into_iter().map(text).collect::<Option<_>>().map(Given::Many),
        value => text(value).map(Given::One),
    }
}
