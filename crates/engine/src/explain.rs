//! Why a request would be decided as it would be, or was: for the operator of this host, by the policies and grants that
//! are stored now.

use crate::authenticate::{Authenticated, Via};
use crate::authorize::{KeyName, Names};
use crate::conditions::{Connection, Fetched, Says, has_several};
use crate::core::Core;
use crate::fault::Fault;
use crate::grants::Grant;
use crate::identities::Entity;
use crate::keys::Key;
use crate::permission::{Asking, Outcome, Target, Weights};
use crate::policy_principals::is_nobody;
use crate::principal::{Principal, PrincipalKind, Session, root_arn};
use crate::record::{EntityKind, Place};
use crate::request::{RequestId, RequestMeta};
use bulla_api::{AccountId, AliasName, EncryptionContext, ErrorCode, PARTITION, Role};
use bulla_crypto::attestation::Attestation;
use bulla_policy::{self as policy, Explanation, Policy, PrincipalArn, ResourcePolicy, Values, Verdict};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is asked about.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct ExplainInput {
    /// Who would ask: the ARN of a root, a user, a role or a session of one.
    pub principal: String,
    /// `kms:Decrypt`.
    pub action: String,
    /// By id, ARN, alias or alias ARN; none for an operation without a key.
    pub key: Option<String>,
    /// What else is acted on, when it isn't a key: an alias's ARN, say, or that of a role that is to be assumed.
    pub resource: Option<String>,
    /// As the request would have it.
    pub encryption_context: BTreeMap<String, String>,
    /// Other members of the request, by their names in audit records, which condition keys speak of; what keys that begin
    /// with `aws:` speak of, by those.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// What else stands under condition keys, by their names: goes before all that is known.
    pub context_keys: BTreeMap<String, Vec<String>>,
    /// How it came, where that is known.
    pub connection: Option<ExplainConnection>,
    /// When, in milliseconds since 1970: now, where nothing is said.
    pub time_ms: Option<i64>,
}

/// How a request came.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct ExplainConnection {
    /// The peer's address.
    pub source_ip: Option<String>,
    /// What the client called itself.
    pub user_agent: String,
    /// Whether it came over TLS, or through no network.
    pub secure: bool,
}

/// What is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Explained {
    principal: String,
    action: String,
    resource: String,
    verdict: Verdict,
    because: String,
    statements: Vec<policy::StatementTold>,
    grants: Vec<GrantTold>,
    changes: Vec<String>,
    /// The same, for people.
    text: String,
}

/// A grant of the key that names the principal, and whether it allows the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GrantTold {
    grant_id: String,
    grantee: String,
    operations: Vec<String>,
    allows: bool,
    /// Why it doesn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<&'static str>,
}

/// Most grants that are told of.
const GRANTS_TOLD_MAX: usize = 100;

/// The name of a session of a role, when the role itself is asked about.
const SESSION_NAME: &str = "explained";

/// What is done with a role, and allowed by its trust policy.
const OF_ROLES: [&str; 4] =
    ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity", "sts:TagSession"];

/// A request that is asked about and not made.
struct Supposed<'s> {
    input: &'s ExplainInput,
    context: EncryptionContext,
}

impl Says for Supposed<'_> {
    fn says(&self, _: Role, key: &str) -> Option<Values<'_>> {
        let name = match key.split_once(':')? {
            ("kms" | "sts", name) => name,
            ("aws", _) => key,
            _ => return None,
        };
        let found = self.input.parameters.iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
        match found?.1.as_slice() {
            [] => None,
            [one] if !has_several(key) => Some(one.as_str().into()),
            many => Some(Values::Many(many.iter().map(|value| Cow::Borrowed(value.as_str())).collect())),
        }
    }

    fn encryption_context(&self, _: Role) -> Option<&EncryptionContext> {
        (!self.context.is_empty()).then_some(&self.context)
    }

    fn recipient(&self) -> Option<&Attestation> {
        None
    }
}

impl Core {
    /// Explains a request. The caller's account and region are where keys and aliases are looked for by name.
    pub(crate) async fn explain(
        &self,
        caller: &Authenticated,
        input: &ExplainInput,
    ) -> Result<Explained, Fault> {
        let role = self.role_to_explain(input).await?;
        let trust = role.as_ref().map(|role| self.trust_policy(role)).transpose()?;
        let principal = self.principal_by_arn(&input.principal).await?;
        let place = Place { account: caller.account(), region: caller.region().clone() };
        let context = input.encryption_context.iter().map(|(name, value)| (name.clone(), value.clone()));
        let supposed = Supposed { input, context: context.collect() };
        let names = Names::default();
        let known = input.connection.as_ref().map(meta);
        let given = context_keys(input)?;
        let connection = match &known {
            Some((meta, via)) => Connection::Known { meta, via: *via },
            None => Connection::Supposed(&given),
        };
        let mut asking = self.asking_as(&principal, connection, &supposed, &names, false).await?;
        if let Some(time_ms) = input.time_ms {
            asking.now_ms = time_ms;
        }
        let (key, alias) = match &input.key {
            Some(text) => {
                let (key, alias) = self.key_to_explain(&place, text).await?;
                (Some(key), alias)
            }
            None => (None, None),
        };
        let resource = match (&key, &input.resource) {
            (Some(key), _) => key.arn.as_str(),
            (None, Some(resource)) => resource,
            (None, None) => "*",
        };
        let account_of = |arn: &str| arn.split(':').nth(4).and_then(|account| account.parse().ok());
        let owner: AccountId = match (&key, &role) {
            (Some(key), _) => key.place.account,
            (None, Some(role)) => role.account,
            (None, None) => account_of(resource).unwrap_or_else(|| principal.account()),
        };
        let tags = match (&key, &role) {
            (Some(key), _) => &key.record.tags[..],
            (None, Some(role)) => &role.record.tags,
            (None, None) => &[],
        };
        let target = Target {
            action: &input.action,
            role: if role.is_some() { Role::RoleToAssume } else { Role::Key },
            resource,
            account: owner,
            region: key.as_ref().map_or(&place.region, |key| &key.place.region),
            key: key.as_deref(),
            alias: alias.as_ref(),
            tags,
            boundary: None,
        };
        let mut explanation =
            self.explained(&asking, &target, trust.as_ref().map(|trust| &trust.policy)).await?;
        self.remark_on_the_gone(&mut explanation.statements).await?;
        let grants = match &key {
            Some(key) => self.grants_told(&asking, key, &target).await?,
            None => Vec::new(),
        };
        let mut text = explanation.to_string();
        for grant in &grants {
            let says = grant.lacks.unwrap_or("it allows this");
            let operations = grant.operations.join(", ");
            text = format!(
                "{}\ngrant {} to {} ({operations}): {says}",
                text.trim_end(),
                grant.grant_id,
                grant.grantee
            );
        }
        Ok(Explained {
            principal: input.principal.clone(),
            action: input.action.clone(),
            resource: resource.to_owned(),
            verdict: explanation.verdict,
            because: explanation.because,
            statements: explanation.statements,
            changes: explanation.changes,
            text,
            grants,
        })
    }

    /// Decides as the door does, and tells why. `trust` is the policy of a role that is to be assumed.
    async fn explained(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
        trust: Option<&Policy>,
    ) -> Result<Explanation, Fault> {
        let mut fetched = Fetched { on_same_key: Some(None), ..Fetched::default() };
        let compiled = match target.key {
            Some(key) => {
                fetched.aliases = Some(self.alias_names(key).await?);
                Some(self.compiled_key_policy(key).await?)
            }
            None => None,
        };
        let resource = match (&compiled, trust) {
            (Some(compiled), _) => ResourcePolicy::Decides(compiled.policy.as_ref()),
            (None, Some(trust)) => ResourcePolicy::Decides(Some(trust)),
            (None, None) => ResourcePolicy::HasNone,
        };
        let grant = match (target.key, asking.grant_use(target)) {
            (Some(key), Some(asked)) => self.greatest_grant(asking, key, asked).await?,
            _ => None,
        };
        let weights = Weights { resource, grant: grant.map(|(reach, _)| reach) };
        // In a block of their own: circumstances can't be kept while something is waited for.
        let (mut explanation, is_ambiguous) = {
            let circumstances = asking.circumstances(target, &fetched);
            let request = policy::Request {
                principal: asking.view(),
                action: target.action,
                resource: target.resource,
                resource_account: target.account,
                context: &circumstances,
            };
            let explanation = policy::explain(&request, &asking.policies(weights));
            (explanation, circumstances.noted.is_ambiguous())
        };
        // The door has the last word.
        let outcome = match trust {
            Some(trust) => self.may_by(asking, target, trust).await?,
            None => self.may(asking, target).await?,
        };
        let overruled = match outcome {
            _ if trust.is_some() && asking.principal.kind() == PrincipalKind::Root => {
                Some("roles may not be assumed by root accounts: ask as a user or in a session of a role")
            }
            Outcome::Ambiguous if is_ambiguous => Some(
                "names in the request differ only in case, and a policy asks for one of them: give each name once",
            ),
            Outcome::AcrossAccounts => {
                Some("the operation is for the key's own account: ask as a principal of that")
            }
            _ => None,
        };
        if let Some(overruled) = overruled {
            explanation.verdict = Verdict::ImplicitlyDenied;
            overruled.clone_into(&mut explanation.because);
            explanation.changes.clear();
        }
        if compiled.is_some_and(|compiled| compiled.policy.is_none()) {
            "the key's policy can't be understood, and allows nothing: put another one in its place"
                .clone_into(&mut explanation.because);
        }
        Ok(explanation)
    }

    /// Says of statements that they name somebody who isn't there any more.
    async fn remark_on_the_gone(&self, statements: &mut [policy::StatementTold]) -> Result<(), Fault> {
        for told in statements {
            for id in &told.principal_ids {
                if self.is_there(id).await? {
                    continue;
                }
                told.remarks.push(match is_nobody(id) {
                    true => "it names somebody who was never in this store".to_owned(),
                    false => format!(
                        "`{id}` is a user or role that was deleted: one that is made anew under its name is somebody else"
                    ),
                });
            }
        }
        Ok(())
    }

    async fn grants_told(
        &self,
        asking: &Asking<'_>,
        key: &Key,
        target: &Target<'_>,
    ) -> Result<Vec<GrantTold>, Fault> {
        let view = asking.view();
        let account = root_arn(asking.principal.account());
        let role = asking.principal.role_arn();
        let grantees = [Some(asking.principal.arn()), role.as_deref(), Some(account.as_str())];
        let former = asking.former_arns().iter().map(String::as_str);
        let mut told: Vec<GrantTold> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for grantee in grantees.into_iter().flatten().chain(former) {
            if seen.contains(&grantee) {
                continue;
            }
            seen.push(grantee);
            let folder = key.place.grants_of_grantee(key.id, grantee);
            let left = GRANTS_TOLD_MAX.saturating_sub(told.len());
            if left == 0 {
                break;
            }
            let page = self.vault.scan(folder.children(), None, left).await?;
            for (path, stored) in page.records {
                let grant = Grant::of(&key.place, &path, stored)?;
                let asked = asking.grant_use(target);
                let is_named = grant.record.names_grantee(&view).is_some();
                let has_operation =
                    asked.is_some_and(|asked| grant.record.operations.contains(&asked.operation));
                let allows = is_named && asked.is_some_and(|asked| grant.record.allows(asked));
                told.push(GrantTold {
                    grant_id: grant.id.to_string(),
                    grantee: grantee.to_owned(),
                    operations: grant.record.operations.iter().map(ToString::to_string).collect(),
                    allows,
                    lacks: match (allows, is_named, has_operation) {
                        (true, ..) => None,
                        (_, false, _) => Some("it was made for somebody else of this name, who is gone"),
                        (_, _, false) => Some("it has not this operation"),
                        (_, _, true) => Some("its constraints don't hold for this encryption context"),
                    },
                });
            }
        }
        Ok(told)
    }

    /// The role that is to be assumed, where an action is about one. Where none is named, or it is about claims, which nobody
    /// keeps, there is no verdict.
    async fn role_to_explain(&self, input: &ExplainInput) -> Result<Option<Entity>, Fault> {
        let action = &input.action;
        if !OF_ROLES.iter().any(|of_roles| of_roles.eq_ignore_ascii_case(action)) {
            return Ok(None);
        }
        let arn = input
            .resource
            .as_deref()
            .filter(|_| input.key.is_none() && !action.eq_ignore_ascii_case("sts:AssumeRoleWithWebIdentity"));
        let arn = arn.ok_or_else(|| {
            Fault::answer(
                ErrorCode::ValidationException,
                format!(
                    "the trust policy of the role decides this, and no verdict can be given: see it with `aws iam get-role \
                     --role-name {} --query Role.AssumeRolePolicyDocument`",
                    input.resource.as_deref().and_then(|arn| arn.rsplit('/').next()).unwrap_or("R")
                ),
            )
        })?;
        let role = self.entity_by_arn(arn).await?.filter(|entity| entity.kind == EntityKind::Role);
        role.map(Some).ok_or_else(|| {
            Fault::answer(ErrorCode::NotFoundException, format!("Role '{arn}' is not in this store."))
        })
    }

    async fn key_to_explain(
        &self,
        place: &Place,
        text: &str,
    ) -> Result<(std::sync::Arc<Key>, Option<AliasName>), Fault> {
        let (owner, alias, id) = self.find_named(place, KeyName::any(text)).await?;
        let missing =
            || Fault::answer(ErrorCode::NotFoundException, format!("Key '{text}' is not in this store."));
        let key = match id {
            Some(id) => self.key(&owner, id).await?,
            None => None,
        };
        Ok((key.ok_or_else(missing)?, alias))
    }

    /// Whoever has this ARN, as if it called. A role calls in a session.
    pub(crate) async fn principal_by_arn(&self, arn: &str) -> Result<Principal, Fault> {
        let unknown = || {
            Fault::answer(ErrorCode::NotFoundException, format!("Principal '{arn}' is not in this store."))
        };
        let PrincipalArn { account, is_root } = PrincipalArn::parse(arn).ok_or_else(unknown)?;
        if !self.account_ids().await?.contains(&account) {
            return Err(unknown());
        }
        if is_root {
            return Ok(Principal::root(account, None));
        }
        let session_of = |role: &str, session: &str| (role.to_owned(), session.to_owned());
        let assumed = arn
            .strip_prefix(&format!("arn:{PARTITION}:sts::{account}:assumed-role/"))
            .and_then(|rest| rest.split_once('/'))
            .map(|(role, session)| session_of(role, session));
        let entity = match &assumed {
            Some((role, _)) => {
                let found = self.entity_by_name(account, EntityKind::Role, role).await?;
                found.filter(|entity| entity.record.name == *role)
            }
            None => self.entity_by_arn(arn).await?,
        };
        let entity = entity.ok_or_else(unknown)?;
        match entity.kind {
            EntityKind::User => Ok(Principal::user(account, entity.named(), None)),
            EntityKind::Role => {
                let name = assumed.map_or_else(|| SESSION_NAME.to_owned(), |(_, session)| session);
                let session =
                    Session { name: Some(name), issued_ms: self.clock.wall_ms(), ..Session::default() };
                let issued = crate::conditions::time_text(session.issued_ms);
                Ok(Principal::assumed_role(account, entity.named(), session, issued, "".into()))
            }
            EntityKind::Group | EntityKind::Policy => Err(unknown()),
        }
    }
}

/// What is supposed under condition keys. The encryption context is asked by grants too, and has a member of its own.
fn context_keys(input: &ExplainInput) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let invalid = |text: String| Fault::answer(ErrorCode::ValidationException, text);
    let mut given = BTreeMap::new();
    for (key, values) in &input.context_keys {
        let name = key.to_ascii_lowercase();
        if name.starts_with("kms:encryptioncontext") {
            return Err(invalid(format!("{key} follows from the encryption context; give that instead")));
        }
        if !name.contains(':') || given.insert(name, values.clone()).is_some() {
            return Err(invalid(format!(
                "`{key}` must be a condition key, such as aws:SourceIp, and stand there once"
            )));
        }
    }
    if input.connection.is_some() && !given.is_empty() {
        return Err(invalid("of a request that was made, nothing is supposed".to_owned()));
    }
    Ok(given)
}

fn meta(known: &ExplainConnection) -> (RequestMeta, Via) {
    let meta = RequestMeta {
        source_ip: known.source_ip.as_deref().and_then(|ip| ip.parse().ok()),
        ..RequestMeta::local(RequestId::from_random([0; 16]), known.user_agent.as_str())
    };
    (meta, if known.secure { Via::Embedded } else { Via::Network })
}
