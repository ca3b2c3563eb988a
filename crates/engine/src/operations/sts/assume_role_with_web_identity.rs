//! AssumeRoleWithWebIdentity: credentials of a session of a role, for whoever a provider of identities vouches for. Its
//! callers are known by a token in the request, which was verified before: see `web_identity.rs`.

use super::{
    Executes, arns_of, assumed_role_user, check_policies, check_policies_are_there, credentials, give,
    lasting, refuse_token_size, role_seconds, told_credentials, told_user, with_policy_arns,
};
use crate::authorize::{Authorized, EntityName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::unsupported;
use crate::pipeline::Executed;
use crate::principal::Session;
use crate::session_token::Holder;
use bulla_api::sts::{AssumeRoleWithWebIdentityInput, AssumeRoleWithWebIdentityOutput};
use bulla_api::{AssumeRoleWithWebIdentity, ErrorCode, Role};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for AssumeRoleWithWebIdentity {
    fn check(input: &AssumeRoleWithWebIdentityInput) -> Result<(), Fault> {
        if input.provider_id.is_some() {
            return Err(unsupported("ProviderId"));
        }
        refuse_token_size(input.minimum_session_token_size)?;
        check_policies(input.policy.as_ref(), &input.policy_arns)
    }

    fn names(input: &AssumeRoleWithWebIdentityInput) -> Names<'_> {
        Names { entity: Some(EntityName::Arn(&input.role_arn)), ..Names::default() }
    }

    fn says<'i>(input: &'i AssumeRoleWithWebIdentityInput, _role: Role, key: &str) -> Option<Values<'i>> {
        (key == "sts:rolesessionname").then(|| input.role_session_name.as_str().into())
    }

    fn describe(input: &AssumeRoleWithWebIdentityInput) -> Parameters {
        let parameters = Parameters::new()
            .text("roleArn", input.role_arn.as_str())
            .text("roleSessionName", input.role_session_name.as_str())
            .maybe_text("policy", input.policy.as_deref())
            .maybe_number("durationSeconds", input.duration_seconds);
        with_policy_arns(parameters, &input.policy_arns)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, role) = (request.input(), request.role_to_assume()?);
        // Whoever came another way brought a token that nobody looked at.
        let web_identity = request.caller().principal().web_identity().ok_or_else(|| {
            Fault::answer(
                ErrorCode::AccessDeniedException,
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            )
        })?;
        let seconds = role_seconds(role, input.duration_seconds, false)?;
        let policy_arns = arns_of(&input.policy_arns);
        check_policies_are_there(core, role, &policy_arns).await?;
        let session = Session {
            name: Some(input.role_session_name.clone()),
            policies: input.policy.iter().cloned().collect(),
            policy_arns,
            web_identity_provider: Some(web_identity.provider_arn.clone()),
            web_identity_claims: web_identity.lasting_claims(),
            ..lasting(core, seconds)
        };
        let temporary = give(core, Holder { account: role.account, identity: Some(&role.id) }, &session)?;
        let user = assumed_role_user(role, &input.role_session_name);
        let told = Parameters::new()
            .with("credentials", told_credentials(&temporary, &session))
            .with("assumedRoleUser", told_user(&user))
            .maybe_number("packedPolicySize", temporary.packed_percent)
            .text("subjectFromWebIdentityToken", web_identity.subject.as_str())
            .text("provider", web_identity.provider_arn.as_str())
            .text("audience", web_identity.audience.as_str());
        let output = AssumeRoleWithWebIdentityOutput {
            credentials: credentials(&temporary, &session)?,
            assumed_role_user: user,
            subject_from_web_identity_token: Some(web_identity.subject.clone()),
            provider: Some(web_identity.issuer.clone()),
            audience: Some(web_identity.audience.clone()),
            packed_policy_size: temporary.packed_percent,
            ..AssumeRoleWithWebIdentityOutput::default()
        };
        Ok(request.done(output).telling(told))
    }
}
