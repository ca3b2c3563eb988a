//! Policies of every kind: from a document to statements, compiled once and asked often.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language"; AWS KMS developer guide, "Key policies"; the API
//! reference of `PutKeyPolicy`.

use crate::condition::Condition;
use crate::decision::Reach;
use crate::json::{Document, Json};
use crate::malformed::{Malformed, Place, shortened};
use crate::pattern::{Letters, Pattern, Syntax};
use crate::principal::Named;
use crate::request::{Context, Principal, PrincipalKind, Request};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes of any policy's text. What each kind may have is the affair of the operations that store them.
pub const DOCUMENT_BYTES_MAX: usize = 128 * 1024;

/// Most bytes of a key policy (AWS KMS developer guide, "Resource quotas").
pub const POLICY_BYTES_MAX: usize = 32 * 1024;

/// Deepest nesting. A condition's values lie six deep; nothing legitimate goes further.
const DEPTH_MAX: usize = 16;

/// Most statements.
const STATEMENTS_MAX: usize = 1000;

/// What a policy is for. It decides which elements its statements must and must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a key: statements name principals.
    Key,
    /// Of a user, group or role; also a permissions boundary and a session policy: statements name no principals.
    Identity,
    /// Of a role, saying who may assume it: statements name principals and no resource.
    Trust,
}

/// A policy, compiled.
#[derive(Debug, Clone)]
pub struct Policy {
    kind: Kind,
    name: Arc<str>,
    /// In the order of the document.
    pub(crate) statements: Box<[Statement]>,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    /// `None` in identity policies: whoever has the policy.
    pub(crate) principals: Option<OneOf<Named>>,
    /// A statement without one has no effect.
    pub(crate) actions: Option<OneOf<Matcher>>,
    /// As with the actions; but a trust policy is about its role.
    pub(crate) resources: Option<OneOf<Matcher>>,
    /// All must hold.
    pub(crate) conditions: Box<[Condition]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OneOf<T> {
    These(Box<[T]>),
    AllBut(Box<[T]>),
}

impl<T> OneOf<T> {
    pub(crate) fn has(&self, is: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::These(items) => items.iter().any(is),
            Self::AllBut(items) => !items.iter().any(is),
        }
    }

    pub(crate) fn items(&self) -> &[T] {
        match self {
            Self::These(items) | Self::AllBut(items) => items,
        }
    }
}

/// An action or a resource of a statement, as it is written and as it is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) written: Box<str>,
    pub(crate) pattern: Pattern,
}

impl Policy {
    /// Reads a policy: one JSON object, no member twice, known members only, each of the right kind, and operators that exist.
    /// Whether principals exist is not asked, and what can be decided although AWS would not store it is taken; see
    /// [`Policy::check_for_storing`].
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(Malformed::new(format!("The policy is longer than {DOCUMENT_BYTES_MAX} bytes.")));
        }
        Self::of(&Json::parse(text)?, kind)
    }

    /// The same, of a policy that stands in a larger document.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn compile(document: &Document, kind: Kind) -> Result<Self, Malformed> {
        Self::of(&document.0, kind)
    }

    /// With a name, which explanations give.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name; empty where it was given none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ARNs of users, roles and sessions that its statements name, as they are written, some more than once.
    pub fn principal_arns(&self) -> impl Iterator<Item = &str> {
        self.named_principals().filter_map(|named| match named {
            Named::Arn(arn) => Some(arn.as_ref()),
            _ => None,
        })
    }

    /// The same policy with unique ids in the places of ARNs: a user or role that is made again under the name of another is
    /// not that other. `id_of` answers for an ARN, `None` to leave it as it is.
    #[must_use]
    pub fn with_unique_ids(mut self, id_of: impl Fn(&str) -> Option<Box<str>>) -> Self {
        for statement in &mut self.statements {
            if let Some(OneOf::These(principals) | OneOf::AllBut(principals)) = &mut statement.principals {
                for principal in principals {
                    if let Named::Arn(arn) = principal
                        && let Some(id) = id_of(arn)
                    {
                        *principal = Named::Id(id);
                    }
                }
            }
        }
        self
    }

    /// The names of all condition keys that it asks about, in lower case, some more than once.
    pub fn condition_keys(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|statement| {
            let resources = statement.resources.iter().flat_map(|resources| resources.items());
            let conditions = statement.conditions.iter().flat_map(Condition::keys);
            resources.flat_map(|resource| resource.pattern.keys()).chain(conditions)
        })
    }

    /// The same, as the policy writes them.
    pub fn written_condition_keys(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|statement| {
            let resources = statement.resources.iter().flat_map(|resources| resources.items());
            let conditions = statement.conditions.iter().flat_map(Condition::written_keys);
            resources.flat_map(|resource| resource.pattern.written_keys()).chain(conditions)
        })
    }

    fn named_principals(&self) -> impl Iterator<Item = &Named> {
        self.statements.iter().filter_map(|statement| statement.principals.as_ref()).flat_map(OneOf::items)
    }

    /// [`Policy::parse`] and [`Policy::check_for_storing`].
    ///
    /// # Errors
    /// What AWS says is wrong, and where.
    pub fn parse_for_storing(text: &str, kind: Kind) -> Result<Self, Malformed> {
        let policy = Self::parse(text, kind)?;
        policy.check_for_storing()?;
        Ok(policy)
    }

    /// Whether AWS would store it: statements, and in each actions of a service, resources by ARN, and where it is no key policy
    /// plain `Sid`s that differ. Nothing of it matters to a decision.
    ///
    /// # Errors
    /// What AWS says is wrong, and where.
    pub fn check_for_storing(&self) -> Result<(), Malformed> {
        if self.statements.is_empty() {
            return Err(Malformed::new("Syntax errors in policy."));
        }
        let is_key = self.kind == Kind::Key;
        let mut sids = BTreeMap::new();
        for (number, statement) in (1..).zip(&self.statements) {
            statement.check(self.kind).map_err(|error| error.at(statement.place(number)))?;
            // An empty one is as good as none.
            let sid = statement.sid.as_deref().filter(|sid| !is_key && !sid.is_empty());
            if sid.is_some_and(|sid| sids.insert(sid, ()).is_some()) {
                let twice = "Statement IDs (SID) in a single policy must be unique.";
                return Err(Malformed::new(twice).at(statement.place(number)));
            }
        }
        Ok(())
    }

    fn of(document: &Json, kind: Kind) -> Result<Self, Malformed> {
        if document.depth() > DEPTH_MAX {
            return Err(Malformed::new("The policy is nested too deep."));
        }
        let Json::Object(members) = document else {
            return Err(Malformed::new("Syntax errors in policy."));
        };
        let mut variables = false;
        for (name, value) in members {
            match (name.as_str(), value) {
                ("Version", Json::Text(version)) if version == "2012-10-17" => variables = true,
                ("Version", Json::Text(version)) if version == "2008-10-17" => {}
                ("Version", _) => {
                    return Err(Malformed::new("Policy document version must be 2012-10-17 or 2008-10-17."));
                }
                ("Id", Json::Text(_)) | ("Statement", Json::List(_) | Json::Object(_)) => {}
                ("Id" | "Statement", _) => return Err(Malformed::new("Syntax errors in policy.")),
                _ => {
                    return Err(Malformed::new(format!(
                        "The policy has an unknown member `{}`.",
                        shortened(name)
                    )));
                }
            }
        }
        let statements = match members.get("Statement") {
            Some(Json::List(statements)) => statements.as_slice(),
            Some(statement) => std::slice::from_ref(statement),
            None => return Err(Malformed::new("The policy has no member `Statement`.")),
        };
        if statements.len() > STATEMENTS_MAX {
            return Err(Malformed::new(format!("The policy has more than {STATEMENTS_MAX} statements.")));
        }
        let numbered = (1..).zip(statements);
        let statements =
            numbered.map(|(number, statement)| Statement::of(statement, number, kind, variables));
        Ok(Self { kind, name: "".into(), statements: statements.collect::<Result<_, _>>()? })
    }
}

/// A request as statements are asked about it.
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a Principal<'a>,
    /// Those with a boundary can't be left out of a denial.
    pub(crate) has_boundary: bool,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) context: &'a dyn Context,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(request: &'a Request<'a>, has_boundary: bool) -> Self {
        let Request { principal, action, resource, context, .. } = request;
        Self { principal, has_boundary, action, resource, context: *context }
    }
}

/// What one policy says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    Allow(Reach),
    Deny,
}

impl Policy {
    /// Of several statements that allow, the one that reaches furthest counts; one that denies settles it.
    pub(crate) fn says(&self, asked: &Asked<'_>) -> Says {
        let mut says = Says::Nothing;
        for statement in &self.statements {
            // One that could add nothing isn't asked.
            let best = says == Says::Allow(Reach::Caller);
            if best && statement.effect == Effect::Allow {
                continue;
            }
            match (statement.applies(asked, self.kind), statement.effect, says) {
                (None, ..) => {}
                (Some(_), Effect::Deny, _) => return Says::Deny,
                (Some(reach), Effect::Allow, Says::Allow(before)) => says = Says::Allow(reach.max(before)),
                (Some(reach), Effect::Allow, _) => says = Says::Allow(reach),
            }
        }
        says
    }
}

/// Whether a denial to all but these spares the caller. Those who mean one user or session name its role and account beside
/// it, as AWS demands; the others of that role and account are not spared by it.
fn is_spared(named: &[Named], caller: &Principal<'_>) -> bool {
    named.iter().any(|one| match one.reach(caller) {
        None => false,
        Some(Reach::Caller) => true,
        Some(Reach::Identity) => !named.iter().any(|other| other.is_session_of_role_of(caller)),
        Some(Reach::Account) => !named.iter().any(|other| other.is_of_account_of(caller)),
    })
}

impl Statement {
    /// How it reaches the caller, if it applies.
    fn applies(&self, asked: &Asked<'_>, kind: Kind) -> Option<Reach> {
        let applies = self.names_action(asked) && self.names_resource(asked, kind);
        let reach = applies.then(|| self.reach(asked)).flatten()?;
        let holds = |condition: &Condition| condition.holds(asked.context, self.effect);
        self.conditions.iter().all(holds).then_some(reach)
    }

    pub(crate) fn names_action(&self, asked: &Asked<'_>) -> bool {
        let is_action = |action: &Matcher| action.pattern.matches(asked.action, asked.context);
        self.actions.as_ref().is_some_and(|actions| actions.has(is_action))
    }

    pub(crate) fn names_resource(&self, asked: &Asked<'_>, kind: Kind) -> bool {
        let is_resource = |resource: &Matcher| resource.pattern.matches(asked.resource, asked.context);
        self.resources.as_ref().map_or(kind == Kind::Trust, |resources| resources.has(is_resource))
    }

    /// How it names the caller, whatever it says to it.
    pub(crate) fn reach(&self, asked: &Asked<'_>) -> Option<Reach> {
        match &self.principals {
            None => Some(Reach::Caller),
            // Who comes with a provider's word is trusted where the provider is named, never as anybody.
            Some(OneOf::These(named))
                if self.effect == Effect::Allow && asked.principal.kind == PrincipalKind::Federated =>
            {
                let named = named.iter().filter(|named| **named != Named::Anyone);
                named.filter_map(|named| named.reach(asked.principal)).max()
            }
            Some(OneOf::These(named)) => named.iter().filter_map(|named| named.reach(asked.principal)).max(),
            // A denial to all but some is one to whoever has a boundary, named or not: IAM user guide, "AWS JSON policy
            // elements: NotPrincipal".
            Some(OneOf::AllBut(named)) => {
                let left_out = match self.effect {
                    Effect::Allow => named.iter().any(|named| named.reach(asked.principal).is_some()),
                    Effect::Deny => !asked.has_boundary && is_spared(named, asked.principal),
                };
                (!left_out).then_some(Reach::Caller)
            }
        }
    }

    fn of(statement: &Json, number: usize, kind: Kind, variables: bool) -> Result<Self, Malformed> {
        let Json::Object(members) = statement else {
            return Err(Malformed::new("Syntax errors in policy.").at(Place::Statement { number, sid: None }));
        };
        let sid = match members.get("Sid") {
            Some(Json::Text(sid)) => Some(sid.as_str().into()),
            _ => None,
        };
        let place = Place::Statement { number, sid: sid.clone() };
        Self::of_members(members, sid, kind, variables).map_err(|error| error.at(place))
    }

    fn of_members(
        members: &BTreeMap<String, Json>,
        sid: Option<Box<str>>,
        kind: Kind,
        variables: bool,
    ) -> Result<Self, Malformed> {
        for name in members.keys() {
            match name.as_str() {
                "Principal" | "NotPrincipal" if kind == Kind::Identity => {
                    return Err(Malformed::new("Policy document should not specify a principal."));
                }
                // IAM user guide, "AWS JSON policy elements: NotPrincipal": not in a role trust policy.
                "NotPrincipal" | "Resource" | "NotResource" if kind == Kind::Trust => {
                    return Err(Malformed::new(format!("Has prohibited field {name}")));
                }
                "Sid" | "Effect" | "Principal" | "NotPrincipal" | "Action" | "NotAction" | "Resource"
                | "NotResource" | "Condition" => {}
                _ => {
                    return Err(Malformed::new(format!(
                        "A statement has an unknown member `{}`.",
                        shortened(name)
                    )));
                }
            }
        }
        if sid.is_none() && members.contains_key("Sid") {
            return Err(Malformed::new("A statement's Sid must be a text."));
        }
        let effect = match members.get("Effect") {
            Some(Json::Text(effect)) if effect == "Allow" => Effect::Allow,
            Some(Json::Text(effect)) if effect == "Deny" => Effect::Deny,
            Some(_) => return Err(Malformed::new("A statement's Effect must be Allow or Deny.")),
            None => return Err(Malformed::new("Missing required field Effect")),
        };
        let principals = one_of(members, "Principal", "NotPrincipal", principals)?;
        if principals.is_none() && kind != Kind::Identity {
            return Err(Malformed::new("Missing required field Principal"));
        }
        let matchers = |syntax, letters| {
            move |value: &Json| -> Result<Vec<Matcher>, Malformed> {
                let texts = value.texts().ok_or_else(|| Malformed::new("Syntax errors in policy."))?;
                let matcher = |text: &str| Matcher {
                    written: text.into(),
                    pattern: Pattern::new(text, syntax, letters),
                };
                Ok(texts.into_iter().map(matcher).collect())
            }
        };
        let in_actions = Syntax { wildcards: true, variables: false };
        let in_resources = Syntax { wildcards: true, variables };
        Ok(Self {
            sid,
            effect,
            principals,
            actions: one_of(members, "Action", "NotAction", matchers(in_actions, Letters::EitherCase))?,
            resources: one_of(members, "Resource", "NotResource", matchers(in_resources, Letters::Exact))?,
            conditions: members
                .get("Condition")
                .map_or(Ok(Box::default()), |value| conditions(value, variables))?,
        })
    }

    /// Unique ids that it names.
    pub(crate) fn principal_ids(&self) -> impl Iterator<Item = &str> {
        self.principals.iter().flat_map(OneOf::items).filter_map(|named| match named {
            Named::Id(id) => Some(id.as_ref()),
            _ => None,
        })
    }

    /// What its author may not have meant.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let remark = |action: &Matcher| {
            crate::actions::remark(&action.written, |known| action.pattern.matches(known, &crate::NoContext))
        };
        self.actions.iter().flat_map(OneOf::items).filter_map(remark).collect()
    }

    fn check(&self, kind: Kind) -> Result<(), Malformed> {
        let is_key = kind == Kind::Key;
        // IAM user guide, "AWS JSON policy elements: NotPrincipal".
        if self.effect == Effect::Allow && matches!(self.principals, Some(OneOf::AllBut(_))) {
            return Err(Malformed::new("NotPrincipal is not supported with Effect Allow."));
        }
        if self.actions.is_none() && !is_key {
            return Err(Malformed::new("Policy statement must contain actions."));
        }
        if self.resources.is_none() && kind == Kind::Identity {
            return Err(Malformed::new("Policy statement must contain resources."));
        }
        for action in self.actions.iter().flat_map(OneOf::items) {
            let Some((vendor, name)) = action.written.split_once(':') else {
                if &*action.written == "*" {
                    continue;
                }
                let prefixed = "Actions/Conditions must be prefixed by a vendor, e.g., iam, sdb, ec2, etc.";
                return Err(Malformed::new(prefixed));
            };
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-_".contains(&byte);
            if vendor.is_empty() || name.is_empty() || !vendor.bytes().chain(name.bytes()).all(is_name) {
                return Err(Malformed::new(format!("Invalid Action: {}", shortened(&action.written))));
            }
            if kind == Kind::Trust && !vendor.eq_ignore_ascii_case("sts") {
                return Err(Malformed::new("AssumeRole policy may only specify STS AssumeRole actions."));
            }
        }
        for resource in self.resources.iter().flat_map(OneOf::items).filter(|_| !is_key) {
            if !resource.written.starts_with("arn:") && &*resource.written != "*" {
                let resource = shortened(&resource.written);
                return Err(Malformed::new(format!("Resource {resource} must be in ARN format or \"*\".")));
            }
        }
        let is_plain = |sid: &str| sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some(sid) = self.sid.as_deref().filter(|sid| kind == Kind::Identity && !is_plain(sid)) {
            let sid = shortened(sid);
            return Err(Malformed::new(format!(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*: {sid}"
            )));
        }
        Ok(())
    }

    fn place(&self, number: usize) -> Place {
        Place::Statement { number, sid: self.sid.clone() }
    }
}

/// One of two members that exclude each other.
fn one_of<T>(
    members: &BTreeMap<String, Json>,
    name: &str,
    negated: &str,
    read: impl Fn(&Json) -> Result<Vec<T>, Malformed>,
) -> Result<Option<OneOf<T>>, Malformed> {
    match (members.get(name), members.get(negated)) {
        (Some(value), None) => Ok(Some(OneOf::These(read(value)?.into()))),
        (None, Some(value)) => Ok(Some(OneOf::AllBut(read(value)?.into()))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Malformed::new(format!("A statement has both {name} and {negated}."))),
    }
}

fn principals(value: &Json) -> Result<Vec<Named>, Malformed> {
    let syntax = || Malformed::new("Syntax errors in policy.");
    match value {
        Json::Text(text) if text == "*" => Ok(vec![Named::Anyone]),
        Json::Object(kinds) if !kinds.is_empty() => {
            let mut principals = Vec::new();
            for (kind, value) in kinds {
                for text in value.texts().ok_or_else(syntax)? {
                    principals.push(Named::parse(kind, text)?);
                }
            }
            Ok(principals)
        }
        _ => Err(syntax()),
    }
}

fn conditions(value: &Json, variables: bool) -> Result<Box<[Condition]>, Malformed> {
    let syntax = || Malformed::new("Syntax errors in policy.");
    let Json::Object(operators) = value else { return Err(syntax()) };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else { return Err(syntax()) };
        for (key, values) in keys {
            let values = values.values().ok_or_else(syntax)?;
            let condition = Condition::new(operator, key, &values, variables).ok_or_else(|| {
                Malformed::new(format!("Invalid Condition type : {}.", shortened(operator)))
            })?;
            conditions.push(condition);
        }
        // An operator without keys must exist too.
        if keys.is_empty() && Condition::new(operator, "", &[], variables).is_none() {
            return Err(Malformed::new(format!("Invalid Condition type : {}.", shortened(operator))));
        }
    }
    Ok(conditions.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
    }

    const OF_KEY: &str = r#"{"Sid":"a b","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#;
    const OF_IDENTITY: &str = r#"{"Sid":"ab","Effect":"Allow","Action":"kms:*","Resource":"*"}"#;
    const OF_ROLE: &str =
        r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}"#;

    #[test]
    fn real_policies_pass() {
        for (kind, statement) in [
            (Kind::Key, OF_KEY),
            (Kind::Identity, OF_IDENTITY),
            (Kind::Trust, OF_ROLE),
            (
                Kind::Key,
                r#"{"Effect":"Deny","NotPrincipal":{"AWS":["111122223333"]},"NotAction":["kms:Decrypt"],"Resource":["*"]}"#,
            ),
            (
                Kind::Key,
                r#"{"Effect":"Allow","Principal":{"Service":"x.amazonaws.com"},"Action":"kms:*","Resource":"*",
                    "Condition":{"Bool":{"kms:GrantIsForAWSResource":true},"NumericEquals":{"kms:X":[1,"2"]}}}"#,
            ),
            (
                Kind::Key,
                r#"{"Effect":"Allow","Principal":{"AWS":"AROACKCEVSQ6C2EXAMPLE"},"Action":"*","Resource":"*"}"#,
            ),
            // Without an action or a resource a statement has no effect, and AWS lets it pass.
            (Kind::Key, r#"{"Effect":"Allow","Principal":"*","Action":"kms:*"}"#),
            (Kind::Key, r#"{"Effect":"Allow","Principal":"*","Resource":"*"}"#),
            (
                Kind::Identity,
                r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:kms:*","Condition":{}}"#,
            ),
            (
                Kind::Trust,
                r#"{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRoleWithWebIdentity",
                    "Condition":{"StringEquals":{}}}"#,
            ),
        ] {
            Policy::parse(&with(statement), kind).unwrap().check_for_storing().unwrap();
            Policy::parse(&format!(r#"{{"Statement":{statement},"Id":"x"}}"#), kind).unwrap();
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            with("null"),
            with(OF_KEY) + "x",
            with(&OF_KEY.replace("Allow", "allow")),
            with(&OF_KEY.replace(r#""Effect":"Allow","#, "")),
            with(&OF_KEY.replace(r#""Resource":"*""#, r#""Resource":[]"#)),
            with(&OF_KEY.replace(r#""Principal":"*","#, "")),
            with(&OF_KEY.replace(r#""Principal":"*""#, r#""Principal":"me""#)),
            with(&OF_KEY.replace(r#""Principal":"*""#, r#""Principal":{"AWS":"me"}"#)),
            with(&OF_KEY.replace(r#""Principal":"*""#, r#""Principal":{"AWS":[]}"#)),
            with(&OF_KEY.replace(r#""Principal":"*""#, r#""Principal":{}"#)),
            with(&OF_KEY.replace(r#""Action":"kms:*""#, r#""Action":"kms:*","NotAction":"kms:*""#)),
            with(&OF_KEY.replace(r#""Action":"kms:*""#, r#""Action":7"#)),
            with(&OF_KEY.replace("Resource", "Resources")),
            with(&OF_KEY.replace("\"a b\"", "7")),
            with(&OF_KEY.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Effect":"Deny""#)),
            with(&OF_KEY.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Condition":[]"#)),
            with(&OF_KEY.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Condition":{"Bool":{"a":{}}}"#)),
            with(
                &OF_KEY
                    .replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Condition":{"Bool":{"a":[null]}}"#),
            ),
            with(
                &OF_KEY.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Condition":{"Like":{"a":"b"}}"#),
            ),
            with(&OF_KEY.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Condition":{"Like":{}}"#)),
            with(OF_KEY).replace("2012-10-17", "2012-10-18"),
            with(OF_KEY).replace("\"Version\"", "\"version\""),
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            " ".repeat(DOCUMENT_BYTES_MAX) + &with(OF_KEY),
            with(&vec![OF_KEY; 1001].join(",")),
        ];
        for case in cases {
            let short = case.chars().take(200).collect::<String>();
            assert!(Policy::parse(&case, Kind::Key).is_err(), "{short}");
        }
        for (kind, statement) in [
            (Kind::Identity, OF_KEY),
            (Kind::Identity, r#"{"Effect":"Deny","NotPrincipal":"*","Action":"kms:*","Resource":"*"}"#),
            (Kind::Key, OF_IDENTITY),
            (Kind::Trust, OF_KEY),
            (Kind::Trust, r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#),
            (Kind::Trust, r#"{"Effect":"Deny","NotPrincipal":"*","Action":"sts:AssumeRole"}"#),
        ] {
            assert!(Policy::parse(&with(statement), kind).is_err(), "{kind:?} {statement}");
        }
    }

    #[test]
    fn what_aws_would_not_store_is_told_apart() {
        for (kind, statements) in [
            (Kind::Key, String::new()),
            (Kind::Key, OF_KEY.replace("kms:*", "Decrypt")),
            (Kind::Key, OF_KEY.replace("kms:*", "kms:De crypt")),
            (Kind::Identity, OF_IDENTITY.replace("kms:*", ":x")),
            (Kind::Identity, OF_IDENTITY.replace(r#","Resource":"*""#, "")),
            (Kind::Identity, OF_IDENTITY.replace(r#""Action":"kms:*","#, "")),
            (Kind::Identity, OF_IDENTITY.replace(r#""Resource":"*""#, r#""Resource":"key""#)),
            (Kind::Identity, OF_IDENTITY.replace("ab", "a b")),
            (Kind::Identity, format!("{OF_IDENTITY},{OF_IDENTITY}")),
            (Kind::Trust, OF_ROLE.replace("sts:AssumeRole", "kms:Decrypt")),
        ] {
            let policy = Policy::parse(&with(&statements), kind).unwrap();
            assert!(policy.check_for_storing().is_err(), "{kind:?} {statements}");
        }
        Policy::parse(&with(&format!("{OF_KEY},{OF_KEY}")), Kind::Key).unwrap().check_for_storing().unwrap();
    }

    #[test]
    fn errors_say_where() {
        let told = |text: &str| Policy::parse(text, Kind::Key).unwrap_err().told();
        assert_eq!(told("{\n  \"Version\": x}"), "Syntax errors in policy. (line 2, column 14)");
        let wrong = OF_KEY.replace("Allow", "Maybe");
        assert_eq!(
            told(&with(&format!("{OF_KEY},{wrong}"))),
            "A statement's Effect must be Allow or Deny. (statement 2, `a b`)"
        );
        let long = OF_KEY.replace("Resource", &"x\\u0007".repeat(1000));
        assert!(told(&with(&long)).chars().count() < 200 && !told(&with(&long)).contains('\u{7}'));
    }

    #[test]
    fn whom_a_provider_vouches_for_is_allowed_by_its_name_alone_and_denied_as_anybody() {
        let provider = "arn:aws:iam::111122223333:oidc-provider/issuer.example";
        let says = |effect: &str, principal: &str| {
            let statement = format!(
                r#"{{"Effect":"{effect}","Principal":{principal},"Action":"sts:AssumeRoleWithWebIdentity"}}"#
            );
            let policy = Policy::parse(&with(&statement), Kind::Trust).unwrap();
            let kind = PrincipalKind::Federated;
            let principal = Principal { account: None, arn: provider, kind, unique_id: None };
            let (action, resource) = ("sts:AssumeRoleWithWebIdentity", "arn:aws:iam::111122223333:role/r");
            let context = &crate::NoContext;
            policy.says(&Asked { principal: &principal, has_boundary: false, action, resource, context })
        };
        assert_eq!(says("Allow", &format!(r#"{{"Federated":"{provider}"}}"#)), Says::Allow(Reach::Caller));
        for anybody in [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":"111122223333"}"#] {
            assert_eq!(says("Allow", anybody), Says::Nothing, "{anybody}");
        }
        assert_eq!(says("Deny", r#""*""#), Says::Deny);
    }

    #[test]
    fn unique_ids_take_the_places_of_arns() {
        let (alice, bob) = ("arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob");
        let statement =
            OF_KEY.replace(r#""*","Action""#, &format!(r#"{{"AWS":["{alice}","{bob}"]}},"Action""#));
        let policy = Policy::parse(&with(&statement), Kind::Key).unwrap();
        assert_eq!(policy.principal_arns().collect::<Vec<_>>(), [alice, bob]);
        let bound = policy.with_unique_ids(|arn| (arn == alice).then(|| "AIDAALICEALICEALICE1".into()));
        assert_eq!(bound.principal_arns().collect::<Vec<_>>(), [bob]);
        let allowed = |arn, unique_id| {
            let kind = crate::PrincipalKind::User;
            let principal = Principal { account: "111122223333".parse().ok(), arn, kind, unique_id };
            let context = &crate::NoContext;
            let (action, resource) = ("kms:Encrypt", "arn:aws:kms:us-east-1:111122223333:key/k");
            let asked = Asked { principal: &principal, has_boundary: false, action, resource, context };
            bound.says(&asked) == Says::Allow(Reach::Caller)
        };
        assert!(allowed(alice, Some("AIDAALICEALICEALICE1")));
        assert!(!allowed(alice, Some("AIDAALICEALICEALICE2")) && !allowed(alice, None));
        assert!(allowed(bob, Some("AIDABOBBOBBOBBOBBOB1")));
    }

    #[test]
    fn the_keys_that_a_policy_asks_for_are_known() {
        let statement =
            OF_IDENTITY.replace(r#""*"}"#, r#""arn:${aws:A}","Condition":{"Null":{"kms:B":"true"}}}"#);
        let policy = Policy::parse(&with(&statement), Kind::Identity).unwrap();
        assert_eq!(policy.condition_keys().collect::<Vec<_>>(), ["aws:a", "kms:b"]);
        assert_eq!(policy.written_condition_keys().collect::<Vec<_>>(), ["aws:A", "kms:B"]);
        let old = with(&statement).replace("2012", "2008");
        let old = Policy::parse(&old, Kind::Identity).unwrap();
        assert_eq!(old.condition_keys().collect::<Vec<_>>(), ["kms:b"]);
    }
}
