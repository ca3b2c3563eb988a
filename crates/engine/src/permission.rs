//! Whether policies and grants allow what a request demands: all that has a say, brought together for one decision.

use crate::authenticate::Authenticated;
use crate::authorize::Names;
use crate::aws_managed;
use crate::conditions::{Circumstances, Connection, Fetched, Noted, Says};
use crate::core::Core;
use crate::fault::Fault;
use crate::grant_token::NamedGrant;
use crate::grants::{Grant, Use};
use crate::identity_policies::IdentityPolicies;
use crate::keys::Key;
use crate::principal::{Principal, PrincipalKind, root_arn};
use bulla_api::{AccountId, AliasName, GrantOperation, Region, Role};
use bulla_policy::{
    self as policy, Decision, Kind, Policies, Policy, Reach, Reason, ResourcePolicy, Verdict,
};
use bulla_store::{Generation, PAGE_RECORDS_MAX, Path};
use std::sync::Arc;

/// Who asks, in one request, and under which policies.
pub(crate) struct Asking<'a> {
    pub(crate) principal: &'a Principal,
    /// Of a session of a role.
    role_arn: Option<String>,
    pub(crate) connection: Connection<'a>,
    pub(crate) now_ms: i64,
    pub(crate) request: &'a dyn Says,
    pub(crate) names: &'a Names<'a>,
    /// Whether something is changed, which then rests on what allowed it.
    changes: bool,
    policies: Option<Arc<IdentityPolicies>>,
    session: Vec<Arc<Policy>>,
}

/// What is asked for: one demand, on what was found for it.
#[derive(Clone, Copy)]
pub(crate) struct Target<'t> {
    pub(crate) action: &'t str,
    pub(crate) role: Role,
    /// An ARN, or `*`.
    pub(crate) resource: &'t str,
    pub(crate) account: AccountId,
    pub(crate) region: &'t Region,
    /// The key that the resource is.
    pub(crate) key: Option<&'t Key>,
    /// The alias by which the request names it.
    pub(crate) alias: Option<&'t AliasName>,
    /// Of the resource.
    pub(crate) tags: &'t [(String, String)],
    /// The ARN of the policy that bounds the user or the role that the resource is.
    pub(crate) boundary: Option<&'t str>,
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Yes, as long as this is as it was seen. Nothing where nothing is to be changed.
    Allowed(Vec<(Path, Generation)>),
    Denied(Reason),
    /// No: what a policy asks for is there more than once. See [`Noted::is_ambiguous`].
    Ambiguous,
    /// No: the operation is for the key's own account.
    AcrossAccounts,
}

/// What a decision rests on, besides the policies of whoever asks.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'w> {
    pub(crate) resource: ResourcePolicy<'w>,
    pub(crate) grant: Option<Reach>,
}

impl<'a> Asking<'a> {
    /// As policies see whoever asks.
    pub(crate) fn view(&self) -> policy::Principal<'_> {
        let principal = self.principal;
        policy::Principal {
            account: (principal.kind() != PrincipalKind::WebIdentity).then(|| principal.account()),
            arn: principal.arn(),
            kind: match (principal.kind(), self.role_arn.as_deref()) {
                (PrincipalKind::WebIdentity, _) => policy::PrincipalKind::Federated,
                (PrincipalKind::Root, _) => policy::PrincipalKind::Root,
                (PrincipalKind::AssumedRole, Some(role_arn)) => {
                    policy::PrincipalKind::AssumedRole { role_arn }
                }
                (PrincipalKind::User, _) => policy::PrincipalKind::User,
                // A session of no role would be nobody.
                (PrincipalKind::AssumedRole, None) => policy::PrincipalKind::Anonymous,
            },
            unique_id: principal.named_id(),
        }
    }

    /// What a user that asks was called before.
    pub(crate) fn former_arns(&self) -> &[String] {
        let named = self.principal.named().filter(|_| self.principal.kind() == PrincipalKind::User);
        named.map_or(&[], |named| &named.former_arns)
    }

    /// The policies of whoever asks, and those of what is asked for.
    pub(crate) fn policies<'p>(&'p self, weights: Weights<'p>) -> Policies<'p> {
        let policies = self.policies.as_deref();
        Policies {
            identity: policies.map_or(&[], |policies| &policies.identity),
            boundary: policies.and_then(|policies| policies.boundary.as_deref()),
            session: &self.session,
            resource: weights.resource,
            grant: weights.grant,
        }
    }

    /// The circumstances of a demand.
    pub(crate) fn circumstances<'c>(
        &'c self,
        target: &Target<'c>,
        fetched: &'c Fetched,
    ) -> Circumstances<'c> {
        Circumstances {
            principal: self.principal,
            region: target.region,
            connection: self.connection,
            now_ms: self.now_ms,
            request: self.request,
            role: target.role,
            resource_account: target.account,
            key: target.key,
            request_alias: target.alias,
            tags: target.tags,
            boundary: target.boundary.filter(|_| asks_of_boundary(target.action)),
            fetched,
            noted: Noted::default(),
        }
    }

    /// The decision, and what was noted on the way.
    fn decide(&self, target: &Target<'_>, weights: Weights<'_>, fetched: &Fetched) -> (Decision, Noted) {
        let circumstances = self.circumstances(target, fetched);
        let request = policy::Request {
            principal: self.view(),
            action: target.action,
            resource: target.resource,
            resource_account: target.account,
            context: &circumstances,
        };
        let decision = policy::decide(&request, &self.policies(weights));
        (decision, circumstances.noted)
    }

    /// What a grant is asked for.
    pub(crate) fn grant_use(&self, target: &Target<'_>) -> Option<Use<'_>> {
        let operation = grant_operation(target.action)?;
        let context = self.request.encryption_context(target.role);
        Some(Use { operation, context, new_grant: self.names.new_grant })
    }
}

/// The operation of grants that an action is, if it is one.
fn grant_operation(action: &str) -> Option<GrantOperation> {
    action.strip_prefix("kms:")?.parse().ok()
}

/// Whether `iam:PermissionsBoundary` is a condition key of an action that is about somebody who is there. Source: service
/// authorization reference, "Actions, resources, and condition keys for AWS Identity and Access Management (IAM)".
fn asks_of_boundary(action: &str) -> bool {
    matches!(
        action.strip_prefix("iam:"),
        Some(
            "AttachUserPolicy"
                | "AttachRolePolicy"
                | "DetachUserPolicy"
                | "DetachRolePolicy"
                | "PutUserPolicy"
                | "PutRolePolicy"
                | "DeleteUserPolicy"
                | "DeleteRolePolicy"
                | "DeleteUserPermissionsBoundary"
                | "DeleteRolePermissionsBoundary"
        )
    )
}

/// Whether an operation is for keys of other accounts too: those that grants can allow, and three more. Source: AWS KMS API
/// reference, "Cross-account use" of each operation.
fn crosses_accounts(action: &str) -> bool {
    grant_operation(action).is_some()
        || matches!(action, "kms:ListGrants" | "kms:RevokeGrant" | "kms:GetKeyRotationStatus")
}

impl Core {
    /// Gathers the policies of whoever asks.
    pub(crate) async fn asking<'a>(
        &self,
        caller: &'a Authenticated,
        connection: Connection<'a>,
        request: &'a dyn Says,
        names: &'a Names<'a>,
        changes: bool,
    ) -> Result<Asking<'a>, Fault> {
        self.asking_as(caller.principal(), connection, request, names, changes).await
    }

    /// The same of whoever a principal is.
    pub(crate) async fn asking_as<'a>(
        &self,
        principal: &'a Principal,
        connection: Connection<'a>,
        request: &'a dyn Says,
        names: &'a Names<'a>,
        changes: bool,
    ) -> Result<Asking<'a>, Fault> {
        // A root has none, and its requests needn't look for them.
        let policies = match principal.named_id() {
            Some(_) => Some(self.identity_policies(principal).await?),
            None => None,
        };
        Ok(Asking {
            principal,
            role_arn: principal.role_arn(),
            connection,
            now_ms: self.clock.wall_ms(),
            request,
            names,
            changes,
            policies,
            session: self.session_policies(principal).await?,
        })
    }

    /// What limits a session, compiled. A policy that is gone, or can't be understood, denies everything: without it the
    /// session would be less limited than it was meant to be.
    async fn session_policies(&self, principal: &Principal) -> Result<Vec<Arc<Policy>>, Fault> {
        let Some(session) = principal.session() else { return Ok(Vec::new()) };
        let mut policies = Vec::with_capacity(session.policies.len() + session.policy_arns.len());
        for document in &session.policies {
            policies.push(self.session_policy(document)?);
        }
        for arn in &session.policy_arns {
            policies.push(self.managed_policy_by_arn(arn).await?);
        }
        Ok(policies)
    }

    /// A policy that sessions carry as a text, compiled once for all their requests.
    fn session_policy(&self, document: &str) -> Result<Arc<Policy>, Fault> {
        let key = document.to_owned();
        if let Some(policy) = self.session_policies.get(&key) {
            return Ok(policy);
        }
        let policy = Arc::new(Policy::parse(document, Kind::Identity).or_else(|_| nothing())?);
        // A text means the same whatever changes meanwhile.
        self.session_policies.keep(&self.epoch, self.epoch.now(), key, Arc::clone(&policy));
        Ok(policy)
    }

    async fn managed_policy_by_arn(&self, arn: &str) -> Result<Arc<Policy>, Fault> {
        if let Some(managed) = aws_managed::by_arn(arn) {
            return self.session_policy(managed.document);
        }
        match self.entity_by_arn(arn).await? {
            Some(entity) => self.managed_policy(entity.account, &entity.id).await,
            None => Ok(Arc::new(nothing()?)),
        }
    }

    /// Decides one demand.
    pub(crate) async fn may(&self, asking: &Asking<'_>, target: &Target<'_>) -> Result<Outcome, Fault> {
        let Some(key) = target.key else {
            return self.weigh(asking, target, ResourcePolicy::HasNone).await;
        };
        if asking.principal.account() != key.place.account && !crosses_accounts(target.action) {
            return Ok(Outcome::AcrossAccounts);
        }
        let compiled = self.compiled_key_policy(key).await?;
        let seen = |mut rests_on: Vec<(Path, Generation)>| {
            if asking.changes {
                rests_on.push((key.place.key_policy(key.id), compiled.generation));
            }
            rests_on
        };
        let Some(policy) = &compiled.policy else {
            // Nobody is allowed anything by what can't be understood, but the account can put another one in its place.
            let repairs = matches!(target.action, "kms:GetKeyPolicy" | "kms:PutKeyPolicy")
                && asking.principal.is_root_of(key.place.account);
            return Ok(match repairs {
                true => Outcome::Allowed(seen(Vec::new())),
                false => Outcome::Denied(Reason::NoneAllows(policy::PolicyType::Resource)),
            });
        };
        Ok(match self.weigh(asking, target, ResourcePolicy::Decides(Some(policy))).await? {
            Outcome::Allowed(rests_on) => Outcome::Allowed(seen(rests_on)),
            denied => denied,
        })
    }

    /// Decides one demand of what has no key, and a policy of its own that has the last word: a role that is to be assumed.
    pub(crate) async fn may_by(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
        policy: &Policy,
    ) -> Result<Outcome, Fault> {
        self.weigh(asking, target, ResourcePolicy::Decides(Some(policy))).await
    }

    /// Decides whether somebody may retire a grant, whom it lets as `reach` says. The grant allows it, and no policy of the
    /// key; but one can deny it. Source: AWS KMS developer guide, "Retiring and revoking grants", "AWS KMS permissions".
    pub(crate) async fn may_retire(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
        reach: Option<Reach>,
    ) -> Result<Outcome, Fault> {
        let compiled = match target.key {
            Some(key) => Some(self.compiled_key_policy(key).await?),
            None => None,
        };
        let resource =
            ResourcePolicy::Decides(compiled.as_ref().and_then(|compiled| compiled.policy.as_ref()));
        let mut fetched = Fetched::default();
        let denied = self.decide(asking, target, Weights { resource, grant: None }, &mut fetched).await?;
        if let Some((Decision { verdict: Verdict::ExplicitlyDenied, reason }, _)) = denied.as_denied() {
            return Ok(Outcome::Denied(reason));
        }
        let weights = Weights { resource: ResourcePolicy::Decides(None), grant: reach };
        Ok(self.decide(asking, target, weights, &mut fetched).await?.into_outcome(Vec::new()))
    }

    /// Whether another policy of the key would allow it.
    pub(crate) async fn would_allow(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
        policy: &Policy,
    ) -> Result<bool, Fault> {
        let weights = Weights { resource: ResourcePolicy::Decides(Some(policy)), grant: None };
        let decided = self.decide(asking, target, weights, &mut Fetched::default()).await?;
        Ok(matches!(decided.into_outcome(Vec::new()), Outcome::Allowed(_)))
    }

    /// Decides by policies, and where they don't allow it, though nothing denies it, by grants.
    async fn weigh(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
        resource: ResourcePolicy<'_>,
    ) -> Result<Outcome, Fault> {
        let mut fetched = Fetched::default();
        let decided = self.decide(asking, target, Weights { resource, grant: None }, &mut fetched).await?;
        let Some((Decision { verdict: Verdict::ImplicitlyDenied, .. }, false)) = decided.as_denied() else {
            return Ok(decided.into_outcome(Vec::new()));
        };
        let (Some(key), Some(asked)) = (target.key, asking.grant_use(target)) else {
            return Ok(decided.into_outcome(Vec::new()));
        };
        let Some((reach, seen)) = self.greatest_grant(asking, key, asked).await? else {
            return Ok(decided.into_outcome(Vec::new()));
        };
        let weights = Weights { resource, grant: Some(reach) };
        let rests_on = if asking.changes { vec![seen] } else { Vec::new() };
        Ok(self.decide(asking, target, weights, &mut fetched).await?.into_outcome(rests_on))
    }

    /// The grant that allows this to whoever asks, and how it names them: of several, the one that needs least beside it.
    pub(crate) async fn greatest_grant(
        &self,
        asking: &Asking<'_>,
        key: &Key,
        asked: Use<'_>,
    ) -> Result<Option<(Reach, (Path, Generation))>, Fault> {
        let principal = asking.view();
        let mut greatest: Option<(Reach, (Path, Generation))> = None;
        // A token only says where to look.
        for token in asking.names.grant_tokens {
            let named = NamedGrant::of_token(self, token)?;
            if named.place != key.place || named.key != key.id {
                continue;
            }
            let Some(grant) = self.grant(&named.place, named.key, named.id).await? else { continue };
            let reach = grant.record.names_grantee(&principal);
            if let Some(reach) = reach.filter(|_| grant.record.allows(asked))
                && greatest.as_ref().is_none_or(|(greatest, _)| reach > *greatest)
            {
                greatest = Some((reach, (grant.path(), grant.generation)));
            }
        }
        let account = root_arn(asking.principal.account());
        let named = |arn| Some((arn, principal.named_by(arn)?));
        // Under what a user was called before, its grants name it as itself.
        let former = asking.former_arns().iter().map(|arn| (arn.as_str(), Reach::Caller));
        let names = named(asking.principal.arn())
            .into_iter()
            .chain(former)
            .chain(asking.role_arn.as_deref().and_then(named))
            .chain(named(account.as_str()));
        for (grantee, reach) in names {
            if greatest.as_ref().is_some_and(|(greatest, _)| *greatest >= reach) {
                break;
            }
            let fits = |grant: &Grant| {
                grant.record.names_grantee(&principal) == Some(reach) && grant.record.allows(asked)
            };
            if let Some(seen) = self.grant_to(key, grantee, fits).await? {
                greatest = Some((reach, seen));
            }
        }
        Ok(greatest)
    }

    /// Decides, and fetches what conditions ask for and isn't at hand.
    async fn decide(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
        weights: Weights<'_>,
        fetched: &mut Fetched,
    ) -> Result<Decided, Fault> {
        loop {
            let (decision, wants_aliases, wants_same_key, is_ambiguous) = {
                let (decision, noted) = asking.decide(target, weights, fetched);
                (decision, noted.wants_aliases(), noted.wants_same_key(), noted.is_ambiguous())
            };
            if let (true, Some(key)) = (wants_aliases, target.key) {
                fetched.aliases = Some(self.alias_names(key).await?);
            } else if wants_same_key {
                fetched.on_same_key = Some(self.is_on_same_key(asking, target).await?);
            } else {
                return Ok(Decided { decision, is_ambiguous });
            }
        }
    }

    /// The names of a key's aliases.
    pub(crate) async fn alias_names(&self, key: &Key) -> Result<Vec<AliasName>, Fault> {
        let folder = key.place.aliases_of_key(key.id);
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = self.vault.scan(folder.children(), after, PAGE_RECORDS_MAX).await?;
            for (path, _) in &page.records {
                let name = String::from_utf8(path.last()).ok().and_then(|name| name.parse().ok());
                names.push(name.ok_or(Fault::Incomplete("an alias"))?);
            }
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more {
                return Ok(names);
            }
        }
    }
}

/// A decision, and whether it may stand.
struct Decided {
    decision: Decision,
    is_ambiguous: bool,
}

impl Decided {
    fn as_denied(&self) -> Option<(Decision, bool)> {
        (!self.decision.is_allowed()).then_some((self.decision, self.is_ambiguous))
    }

    fn into_outcome(self, rests_on: Vec<(Path, Generation)>) -> Outcome {
        match self.decision {
            Decision { verdict: Verdict::ExplicitlyDenied, reason } => Outcome::Denied(reason),
            _ if self.is_ambiguous => Outcome::Ambiguous,
            Decision { verdict: Verdict::Allowed, .. } => Outcome::Allowed(rests_on),
            Decision { reason, .. } => Outcome::Denied(reason),
        }
    }
}

/// A policy that denies everything.
fn nothing() -> Result<Policy, Fault> {
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    Policy::parse(document, Kind::Identity).map_err(|_| Fault::bug("a policy of this program is none"))
}
