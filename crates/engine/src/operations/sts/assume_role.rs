//! AssumeRole: credentials of a session of a role, for whoever the role trusts.

use super::{
    Executes, arns_of, assumed_role_user, check_policies, check_policies_are_there, credentials, give,
    lasting, refuse_mfa, refuse_token_size, role_seconds, told_credentials, told_user, with_policy_arns,
};
use crate::authorize::{Authorized, EntityName, Names};
use crate::conditions::{tag_keys, tagged};
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::{invalid, unsupported};
use crate::pipeline::Executed;
use crate::principal::{Principal, PrincipalKind, Session};
use crate::session_token::Holder;
use bulla_api::sts::{AssumeRoleInput, AssumeRoleOutput, Tag};
use bulla_api::{AssumeRole, ErrorCode, Role};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use std::borrow::Cow;
use std::sync::Arc;

impl Executes for AssumeRole {
    fn check(input: &AssumeRoleInput) -> Result<(), Fault> {
        if !input.provided_contexts.is_empty() {
            return Err(unsupported("ProvidedContexts"));
        }
        refuse_token_size(input.minimum_session_token_size)?;
        refuse_mfa(input.serial_number.as_ref(), input.token_code.as_ref())?;
        if input.source_identity.as_deref().is_some_and(is_reserved) {
            return Err(invalid("SourceIdentity can not begin with aws:."));
        }
        check_tags(&input.tags, &input.transitive_tag_keys)?;
        check_policies(input.policy.as_ref(), &input.policy_arns)
    }

    fn names(input: &AssumeRoleInput) -> Names<'_> {
        Names {
            entity: Some(EntityName::Arn(&input.role_arn)),
            tagged: !input.tags.is_empty(),
            sourced: input.source_identity.is_some(),
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i AssumeRoleInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "sts:externalid" => input.external_id.as_deref().map(Values::from),
            "sts:rolesessionname" => Some(input.role_session_name.as_str().into()),
            "sts:sourceidentity" => input.source_identity.as_deref().map(Values::from),
            "sts:transitivetagkeys" => {
                let keys = &input.transitive_tag_keys;
                (!keys.is_empty())
                    .then(|| Values::Many(keys.iter().map(|key| Cow::Borrowed(key.as_str())).collect()))
            }
            "aws:tagkeys" => tag_keys(input.tags.iter().map(|tag| tag.key.as_str())),
            _ => {
                let name = key.strip_prefix("aws:requesttag/")?;
                tagged(input.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())), name)
            }
        }
    }

    fn describe(input: &AssumeRoleInput) -> Parameters {
        let parameters = Parameters::new()
            .text("roleArn", input.role_arn.as_str())
            .text("roleSessionName", input.role_session_name.as_str())
            .maybe_text("policy", input.policy.as_deref())
            .maybe_number("durationSeconds", input.duration_seconds)
            .maybe_text("externalId", input.external_id.as_deref())
            .maybe_text("sourceIdentity", input.source_identity.as_deref());
        let parameters = with_policy_arns(parameters, &input.policy_arns);
        if input.tags.is_empty() {
            return parameters;
        }
        let tag =
            |tag: &Tag| Parameters::new().text("key", tag.key.as_str()).text("value", tag.value.as_str());
        parameters
            .with("tags", Parameter::List(input.tags.iter().map(tag).collect()))
            .with("transitiveTagKeys", Parameter::Texts(input.transitive_tag_keys.clone()))
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, principal) = (request.input(), request.caller().principal());
        let role = request.role_to_assume()?;
        if principal.kind() == PrincipalKind::Root {
            return Err(Fault::answer(
                ErrorCode::AccessDeniedException,
                "Roles may not be assumed by root accounts.",
            ));
        }
        let chained = principal.kind() == PrincipalKind::AssumedRole;
        let seconds = role_seconds(role, input.duration_seconds, chained)?;
        let policy_arns = arns_of(&input.policy_arns);
        check_policies_are_there(core, role, &policy_arns).await?;
        let session = Session {
            name: Some(input.role_session_name.clone()),
            tags: tags(principal, input)?,
            transitive_tag_keys: transitive(principal, input),
            source_identity: source_identity(principal, input)?,
            policies: input.policy.iter().cloned().collect(),
            policy_arns,
            chained,
            ..lasting(core, seconds)
        };
        let temporary = give(core, Holder { account: role.account, identity: Some(&role.id) }, &session)?;
        let user = assumed_role_user(role, &input.role_session_name);
        let told = Parameters::new()
            .with("credentials", told_credentials(&temporary, &session))
            .with("assumedRoleUser", told_user(&user))
            .maybe_number("packedPolicySize", temporary.packed_percent)
            .maybe_text("sourceIdentity", session.source_identity.as_deref());
        let output = AssumeRoleOutput {
            credentials: credentials(&temporary, &session)?,
            assumed_role_user: user,
            packed_policy_size: temporary.packed_percent,
            source_identity: session.source_identity,
            ..AssumeRoleOutput::default()
        };
        Ok(request.done(output).telling(told))
    }
}

/// What is AWS's own.
fn is_reserved(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

fn check_tags(tags: &[Tag], transitive: &[String]) -> Result<(), Fault> {
    for (index, tag) in tags.iter().enumerate() {
        if is_reserved(&tag.key) {
            return Err(invalid("Tag keys that begin with aws: are reserved for use by AWS."));
        }
        if tags.iter().take(index).any(|earlier| earlier.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
    }
    if transitive.iter().all(|key| tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(key))) {
        return Ok(());
    }
    Err(invalid("The specified transitive tag key must be included in the requested tags."))
}

/// Those that the calling session hands on.
fn inherited(principal: &Principal) -> impl Iterator<Item = &(String, String)> {
    principal.session().into_iter().flat_map(Session::transitive_tags)
}

/// The tags of the new session: what is handed on, which can't be changed, and what the request adds.
fn tags(principal: &Principal, input: &AssumeRoleInput) -> Result<Vec<(String, String)>, Fault> {
    let mut tags: Vec<(String, String)> = inherited(principal).cloned().collect();
    for tag in &input.tags {
        if tags.iter().any(|(key, _)| key.eq_ignore_ascii_case(&tag.key)) {
            return Err(invalid(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key \
                 from the calling session.",
            ));
        }
    }
    tags.extend(input.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
    Ok(tags)
}

fn transitive(principal: &Principal, input: &AssumeRoleInput) -> Vec<String> {
    inherited(principal).map(|(key, _)| key).chain(&input.transitive_tag_keys).cloned().collect()
}

/// Who is behind the new session. Once it is said, it stays.
fn source_identity(principal: &Principal, input: &AssumeRoleInput) -> Result<Option<String>, Fault> {
    let before = principal.session().and_then(|session| session.source_identity.as_ref());
    match (before, &input.source_identity) {
        (Some(before), Some(asked)) if before != asked => Err(Fault::answer(
            ErrorCode::AccessDeniedException,
            "The source identity of the calling session can not be changed.",
        )),
        (before, asked) => Ok(before.or(asked.as_ref()).cloned()),
    }
}
