//! SimulateCustomPolicy, SimulatePrincipalPolicy, GetContextKeysForCustomPolicy, GetContextKeysForPrincipalPolicy: what
//! policies would decide, by the very evaluator that decides. Source: IAM API reference; IAM user guide, "IAM policy testing
//! with the IAM policy simulator".

use super::{Pages, by_arn, invalid_input, no_such_entity};
use crate::authenticate::Authenticated;
use crate::authorize::{Authorized, Names};
use crate::conditions::has_several;
use crate::core::Core;
use crate::fault::Fault;
use crate::identity_policies::IdentityPolicies;
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::principal::entity_arn;
use crate::record::{EntityKind, Place};
use bulla_api::iam::*;
use bulla_api::{
    AccountId, ErrorCode, GetContextKeysForCustomPolicy, GetContextKeysForPrincipalPolicy,
    SimulateCustomPolicy, SimulatePrincipalPolicy,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::{
    self as policy, Context, Explanation, Kind, Policies, Policy, PrincipalArn, PrincipalKind,
    ResourcePolicy, Values, Verdict,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What both simulations have in common.
struct Simulation<'i> {
    operation: &'static str,
    actions: &'i [String],
    resources: &'i [String],
    resource_policy: Option<&'i String>,
    resource_owner: Option<&'i String>,
    caller_arn: Option<&'i String>,
    context: &'i [ContextEntry],
    max_items: Option<u32>,
    marker: Option<&'i String>,
}

/// Whose policies are simulated.
struct Simulated {
    arn: String,
    unique_id: Option<String>,
    policies: Arc<IdentityPolicies>,
}

/// The condition keys that a simulation gives, by their names in lower case.
struct Given(BTreeMap<String, Vec<String>>);

impl Context for Given {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        match self.0.get(key)?.as_slice() {
            [one] if !has_several(key) => Some(one.as_str().into()),
            many => Some(Values::Many(many.iter().map(|value| Cow::Borrowed(value.as_str())).collect())),
        }
    }
}

impl Executes for SimulateCustomPolicy {
    fn check(input: &SimulateCustomPolicyInput) -> Result<(), Fault> {
        if !input.ordered_organization_policy_input_list.is_empty() {
            return Err(unsupported("OrderedOrganizationPolicyInputList"));
        }
        refuse_scenario(input.resource_handling_option.as_deref())
    }

    fn names(_input: &SimulateCustomPolicyInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &SimulateCustomPolicyInput) -> Parameters {
        describe(&input.action_names, &input.resource_arns)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let policies = IdentityPolicies {
            identity: given_policies(&input.policy_input_list)?,
            boundary: given_boundary(&input.permissions_boundary_policy_input_list)?,
        };
        // Nobody's: of a user of the account, unless the request says whose.
        let arn = entity_arn(request.place().account, "user", "/", "simulated");
        let simulated = Simulated { arn, unique_id: None, policies: Arc::new(policies) };
        let simulation = Simulation {
            operation: "SimulateCustomPolicy",
            actions: &input.action_names,
            resources: &input.resource_arns,
            resource_policy: input.resource_policy.as_ref(),
            resource_owner: input.resource_owner.as_ref(),
            caller_arn: input.caller_arn.as_ref(),
            context: &input.context_entries,
            max_items: input.max_items,
            marker: input.marker.as_ref(),
        };
        let output = simulation.run(core, request.caller(), request.place(), &simulated).await?;
        Ok(request.done(output))
    }
}

impl Executes for SimulatePrincipalPolicy {
    fn check(input: &SimulatePrincipalPolicyInput) -> Result<(), Fault> {
        if !input.policy_exclusion_list.is_empty() {
            return Err(unsupported("PolicyExclusionList"));
        }
        refuse_scenario(input.resource_handling_option.as_deref())
    }

    fn names(input: &SimulatePrincipalPolicyInput) -> Names<'_> {
        by_arn(&input.policy_source_arn)
    }

    fn describe(input: &SimulatePrincipalPolicyInput) -> Parameters {
        let described = describe(&input.action_names, &input.resource_arns);
        Parameters::new().text("policySourceArn", input.policy_source_arn.as_str()).and(described)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let source = source(core, request.place(), &input.policy_source_arn).await?;
        let mut policies = IdentityPolicies {
            identity: source.policies.identity.clone(),
            boundary: source.policies.boundary.clone(),
        };
        policies.identity.extend(given_policies(&input.policy_input_list)?);
        if let Some(boundary) = given_boundary(&input.permissions_boundary_policy_input_list)? {
            policies.boundary = Some(boundary);
        }
        let simulated = Simulated { policies: Arc::new(policies), ..source };
        let simulation = Simulation {
            operation: "SimulatePrincipalPolicy",
            actions: &input.action_names,
            resources: &input.resource_arns,
            resource_policy: input.resource_policy.as_ref(),
            resource_owner: input.resource_owner.as_ref(),
            caller_arn: input.caller_arn.as_ref(),
            context: &input.context_entries,
            max_items: input.max_items,
            marker: input.marker.as_ref(),
        };
        let output = simulation.run(core, request.caller(), request.place(), &simulated).await?;
        Ok(request.done(output))
    }
}

impl Executes for GetContextKeysForCustomPolicy {
    fn names(_input: &GetContextKeysForCustomPolicyInput) -> Names<'_> {
        Names::default()
    }

    fn describe(_input: &GetContextKeysForCustomPolicyInput) -> Parameters {
        Parameters::new()
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let context_key_names = keys(&given_policies(&request.input().policy_input_list)?);
        Ok(request.done(GetContextKeysForPolicyOutput { context_key_names }))
    }
}

impl Executes for GetContextKeysForPrincipalPolicy {
    fn names(input: &GetContextKeysForPrincipalPolicyInput) -> Names<'_> {
        by_arn(&input.policy_source_arn)
    }

    fn describe(input: &GetContextKeysForPrincipalPolicyInput) -> Parameters {
        Parameters::new().text("policySourceArn", input.policy_source_arn.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let source = source(core, request.place(), &input.policy_source_arn).await?;
        let mut policies = source.policies.identity.clone();
        policies.extend(source.policies.boundary.clone());
        policies.extend(given_policies(&input.policy_input_list)?);
        Ok(request.done(GetContextKeysForPolicyOutput { context_key_names: keys(&policies) }))
    }
}

impl Simulation<'_> {
    async fn run(
        &self,
        core: &Core,
        caller: &Authenticated,
        place: &Place,
        simulated: &Simulated,
    ) -> Result<SimulatePolicyOutput, Fault> {
        let everything = ["*".to_owned()];
        let resources = if self.resources.is_empty() { &everything[..] } else { self.resources };
        let resource_policy = match self.resource_policy {
            Some(text) => Some(read(text, Kind::Key, "ResourcePolicy")?),
            None => None,
        };
        let (asks, asks_id) = match self.caller_arn {
            // Whether others are there isn't looked up: whoever may simulate need not know it.
            Some(arn) if *arn != simulated.arn => (other_caller(arn)?, None),
            _ => (simulated.arn.clone(), simulated.unique_id.clone()),
        };
        let account = PrincipalArn::parse(&asks).map_or(place.account, |arn| arn.account);
        let owner = self.owner(account)?;
        let given = given(self.context)?;

        let filter = format!("{} {}", self.actions.join(" "), resources.join(" "));
        let listing = Listing { caller, place, operation: self.operation, filter: &filter };
        let pages = Pages::of(core, listing, self.marker, self.max_items)?;
        let begin = pages.after.as_deref().and_then(|at| at.parse().ok()).unwrap_or(0_usize);
        let pairs = self.actions.len().saturating_mul(resources.len());
        let end = begin.saturating_add(pages.limit).min(pairs);
        let role = crate::identities::parse_arn(&asks).filter(|(_, kind, _)| *kind == EntityKind::Role);
        let mut evaluation_results = Vec::with_capacity(end.saturating_sub(begin));
        for pair in begin..end {
            let action = self.actions.get(pair / resources.len().max(1));
            let resource = resources.get(pair % resources.len().max(1));
            let (Some(action), Some(resource)) = (action, resource) else { break };
            // A thousand actions on a thousand statements take their time, and others want theirs.
            tokio::task::yield_now().await;
            let request = policy::Request {
                principal: policy::Principal {
                    account: Some(account),
                    arn: &asks,
                    kind: match role {
                        Some(_) => PrincipalKind::AssumedRole { role_arn: &asks },
                        None if asks.ends_with(":root") => PrincipalKind::Root,
                        None => PrincipalKind::User,
                    },
                    unique_id: asks_id.as_deref(),
                },
                action,
                resource,
                resource_account: owner,
                context: &given,
            };
            let policies = Policies {
                identity: &simulated.policies.identity,
                boundary: simulated.policies.boundary.as_deref(),
                session: &[],
                resource: match &resource_policy {
                    Some(policy) => ResourcePolicy::Decides(Some(policy)),
                    None => ResourcePolicy::HasNone,
                },
                grant: None,
            };
            let explanation = policy::explain(&request, &policies);
            let missing = missing(&policies, &given);
            evaluation_results.push(result(action, resource, &explanation, missing, policies.boundary));
        }
        let marker = pages.marker(core, (end < pairs).then(|| end.to_string()).as_deref())?;
        Ok(SimulatePolicyOutput { evaluation_results, is_truncated: marker.is_some(), marker })
    }

    /// Whose the resources are.
    fn owner(&self, account: AccountId) -> Result<AccountId, Fault> {
        let Some(owner) = self.resource_owner else { return Ok(account) };
        let invalid = || invalid_input("Invalid resource owner.");
        owner.split(':').nth(4).unwrap_or(owner).parse().map_err(|_| invalid())
    }
}

fn result(
    action: &str,
    resource: &str,
    explanation: &Explanation,
    missing: Vec<String>,
    boundary: Option<&Policy>,
) -> EvaluationResult {
    let applying = explanation.statements.iter().filter(|told| told.applies);
    // What decides: denials where there is one.
    let wanted = if explanation.verdict == Verdict::ExplicitlyDenied { "Deny" } else { "Allow" };
    let matched = applying.clone().filter(|told| told.effect == wanted).map(|told| Statement {
        source_policy_id: told.policy.split('`').nth(1).map(ToOwned::to_owned),
        ..Statement::default()
    });
    let of_boundary = |told: &&policy::StatementTold| told.policy.starts_with("permissions boundary");
    let allowed_by_permissions_boundary =
        applying.clone().filter(of_boundary).any(|told| told.effect == "Allow")
            && !applying.clone().filter(of_boundary).any(|told| told.effect == "Deny");
    EvaluationResult {
        eval_action_name: action.to_owned(),
        eval_resource_name: Some(resource.to_owned()),
        eval_decision: match explanation.verdict {
            Verdict::Allowed => PolicyEvaluationDecisionType::Allowed,
            Verdict::ExplicitlyDenied => PolicyEvaluationDecisionType::ExplicitDeny,
            Verdict::ImplicitlyDenied => PolicyEvaluationDecisionType::ImplicitDeny,
        },
        matched_statements: matched.collect(),
        missing_context_values: missing,
        permissions_boundary_decision_detail: boundary
            .map(|_| PermissionsBoundaryDecisionDetail { allowed_by_permissions_boundary }),
        ..EvaluationResult::default()
    }
}

/// Condition keys that the policies ask for and the simulation doesn't give.
fn missing(policies: &Policies<'_>, given: &Given) -> Vec<String> {
    let resource = match policies.resource {
        ResourcePolicy::Decides(policy) => policy,
        ResourcePolicy::HasNone => None,
    };
    let identity = policies.identity.iter().map(AsRef::as_ref);
    let mut missing = written_keys(identity.chain(policies.boundary).chain(resource));
    missing.retain(|key| !given.0.contains_key(&key.to_ascii_lowercase()));
    missing
}

fn keys(policies: &[Arc<Policy>]) -> Vec<String> {
    written_keys(policies.iter().map(AsRef::as_ref))
}

/// The condition keys of policies as they are written, each once though it be written in several ways.
fn written_keys<'p>(policies: impl Iterator<Item = &'p Policy>) -> Vec<String> {
    let mut keys: BTreeMap<String, &str> = BTreeMap::new();
    for key in policies.flat_map(Policy::written_condition_keys) {
        keys.entry(key.to_ascii_lowercase()).or_insert(key);
    }
    keys.into_values().map(ToOwned::to_owned).collect()
}

/// Who would ask: a user, a role or a root. Sessions can't be asked about.
fn other_caller(arn: &str) -> Result<String, Fault> {
    let is_session = arn.split(':').nth(2) == Some("sts");
    let known = PrincipalArn::parse(arn).filter(|_| !is_session);
    known.map(|_| arn.to_owned()).ok_or_else(|| invalid_input("Invalid caller ARN."))
}

/// The user, group or role whose policies are asked about.
async fn source(core: &Core, place: &Place, arn: &str) -> Result<Simulated, Fault> {
    let missing = || no_such_entity(format!("Entity {arn} does not exist."));
    let entity = core.entity_by_arn(arn).await?.ok_or_else(missing)?;
    if entity.account != place.account || entity.kind == EntityKind::Policy {
        return Err(missing());
    }
    let policies = core.policies_of(entity.account, &entity.id).await?;
    Ok(Simulated { arn: arn.to_owned(), unique_id: Some(entity.id), policies })
}

/// Policies of the request, named as AWS names them in what it answers.
fn given_policies(documents: &[String]) -> Result<Vec<Arc<Policy>>, Fault> {
    named_policies("PolicyInputList", documents)
}

/// The boundary of the request.
fn given_boundary(documents: &[String]) -> Result<Option<Arc<Policy>>, Fault> {
    if documents.len() > 1 {
        return Err(invalid_input("Only one permissions boundary can be given."));
    }
    Ok(named_policies("PermissionsBoundaryPolicyInputList", documents)?.into_iter().next())
}

fn named_policies(list: &str, documents: &[String]) -> Result<Vec<Arc<Policy>>, Fault> {
    let numbered = (1..).zip(documents);
    numbered
        .map(|(number, text)| read(text, Kind::Identity, &format!("{list}.{number}")).map(Arc::new))
        .collect()
}

fn read(text: &str, kind: Kind, name: &str) -> Result<Policy, Fault> {
    let policy = Policy::parse_for_storing(text, kind).map_err(|error| invalid_input(error.told()))?;
    Ok(policy.named(name))
}

fn given(entries: &[ContextEntry]) -> Result<Given, Fault> {
    let mut given = BTreeMap::new();
    for entry in entries {
        let name = entry.context_key_name.as_deref().unwrap_or_default().to_lowercase();
        if name.is_empty() || given.insert(name, entry.context_key_values.clone()).is_some() {
            return Err(invalid_input("Each context entry must have a name, and each name can occur once."));
        }
    }
    Ok(Given(given))
}

fn unsupported(member: &str) -> Fault {
    Fault::answer(
        ErrorCode::UnsupportedOperationException,
        format!("{member} is not supported by this version of the service."),
    )
}

/// They are of EC2.
fn refuse_scenario(scenario: Option<&str>) -> Result<(), Fault> {
    if scenario.is_some() { Err(unsupported("ResourceHandlingOption")) } else { Ok(()) }
}

fn describe(actions: &[String], resources: &[String]) -> Parameters {
    let parameters = Parameters::new().with("actionNames", Parameter::Texts(actions.to_vec()));
    if resources.is_empty() {
        return parameters;
    }
    parameters.with("resourceArns", Parameter::Texts(resources.to_vec()))
}
