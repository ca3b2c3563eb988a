//! The operations of AWS STS. What sessions have in common stands here.
//!
//! Sources: AWS STS API reference, AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken; IAM user guide, "Pass session tags in AWS STS", "Monitor and
//! control actions taken with assumed roles".

mod assume_role;
mod assume_role_with_web_identity;
mod get_access_key_info;
mod get_caller_identity;
mod get_session_token;

use super::{Executes, invalid, unsupported};
use crate::aws_managed;
use crate::conditions::time_text;
use crate::conditions::{never_answered, unanswered};
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::principal::Session;
use crate::record::EntityKind;
use crate::session_token::{Holder, Temporary, TooLarge};
use bulla_api::sts::{AssumedRoleUser, Credentials, PolicyDescriptorType};
use bulla_api::{ErrorCode, PARTITION, SecretText, Timestamp};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::{Kind, Policy};

/// How long a session of a role lasts that says nothing of it. Seconds.
const ROLE_SESSION_SECONDS: u32 = 3600;

/// Most managed policies that a session can have.
const POLICY_ARNS_MAX: usize = 10;

/// Most characters of an inline policy of a session.
const POLICY_CHARACTERS_MAX: usize = 2048;

/// What is new in larger tokens isn't in these.
fn refuse_token_size(size: Option<u32>) -> Result<(), Fault> {
    size.map_or(Ok(()), |_| Err(unsupported("MinimumSessionTokenSize")))
}

/// Nobody here has a device.
fn refuse_mfa(serial_number: Option<&String>, token_code: Option<&String>) -> Result<(), Fault> {
    match (serial_number, token_code) {
        (None, None) => Ok(()),
        (Some(_), Some(_)) => Err(Fault::answer(
            ErrorCode::AccessDeniedException,
            "MultiFactorAuthentication failed, unable to validate MFA code. Please verify your MFA serial number is valid \
             and associated with this user.",
        )),
        _ => Err(invalid("Please provide both MFA serial number and one time pass code.")),
    }
}

/// The policies of a session, as a request gives them.
fn check_policies(policy: Option<&String>, arns: &[PolicyDescriptorType]) -> Result<(), Fault> {
    if arns.len() > POLICY_ARNS_MAX {
        return Err(super::one_invalid(
            "''",
            "policyArns",
            &format!("Member must have length less than or equal to {POLICY_ARNS_MAX}"),
        ));
    }
    let Some(policy) = policy else { return Ok(()) };
    if policy.chars().count() > POLICY_CHARACTERS_MAX {
        return Err(super::one_invalid(
            "''",
            "policy",
            &format!("Member must have length less than or equal to {POLICY_CHARACTERS_MAX}"),
        ));
    }
    let policy =
        Policy::parse_for_storing(policy, Kind::Identity).map_err(|error| malformed(error.told()))?;
    unanswered(&policy).map_or(Ok(()), |key| Err(malformed(never_answered(key))))
}

fn malformed(text: impl Into<String>) -> Fault {
    Fault::answer(ErrorCode::MalformedPolicyDocument, text)
}

fn arns_of(arns: &[PolicyDescriptorType]) -> Vec<String> {
    arns.iter().filter_map(|descriptor| descriptor.arn.clone()).collect()
}

/// Fails when a session of a role is to have a managed policy that isn't there, in the role's account.
async fn check_policies_are_there(core: &Core, role: &Entity, arns: &[String]) -> Result<(), Fault> {
    for arn in arns {
        if aws_managed::by_arn(arn).is_some() {
            continue;
        }
        let found = core.entity_by_arn(arn).await?;
        let is_there =
            found.is_some_and(|entity| entity.kind == EntityKind::Policy && entity.account == role.account);
        if !is_there {
            return Err(malformed(format!("ARN {arn} does not exist or is not attachable.")));
        }
    }
    Ok(())
}

/// How long a session of a role lasts. Seconds.
fn role_seconds(role: &Entity, asked: Option<u32>, chained: bool) -> Result<u32, Fault> {
    let seconds = asked.unwrap_or(ROLE_SESSION_SECONDS);
    if u64::from(seconds) > role.record.max_session_seconds {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    if chained && seconds > ROLE_SESSION_SECONDS {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    Ok(seconds)
}

/// When a session begins and ends that lasts so long.
fn lasting(core: &Core, seconds: u32) -> Session {
    let issued_ms = core.clock.wall_ms();
    Session {
        issued_ms,
        expires_ms: issued_ms.saturating_add(i64::from(seconds) * 1000),
        ..Session::default()
    }
}

fn give(core: &Core, holder: Holder<'_>, session: &Session) -> Result<Temporary, Fault> {
    core.give_temporary(holder, session).map_err(|TooLarge(percent)| {
        Fault::answer(
            ErrorCode::PackedPolicyTooLarge,
            format!(
                "Packed policy consumes {percent}% of allotted space, please use smaller policy or fewer session tags."
            ),
        )
    })
}

fn credentials(temporary: &Temporary, session: &Session) -> Result<Credentials, Fault> {
    let key = &temporary.access_key;
    let secret = std::str::from_utf8(key.secret_access_key.expose());
    let secret = secret.map_err(|_| Fault::bug("a secret of this program is no text"))?;
    Ok(Credentials {
        access_key_id: key.access_key_id.clone(),
        secret_access_key: SecretText::copy_of(secret),
        session_token: temporary.token.clone(),
        expiration: Timestamp::from_millis(session.expires_ms),
    })
}

fn assumed_role_user(role: &Entity, session_name: &str) -> AssumedRoleUser {
    let (account, name) = (role.account, &role.record.name);
    AssumedRoleUser {
        assumed_role_id: format!("{}:{session_name}", role.id),
        arn: format!("arn:{PARTITION}:sts::{account}:assumed-role/{name}/{session_name}"),
    }
}

/// What the audit record tells of credentials: neither secret nor token.
fn told_credentials(temporary: &Temporary, session: &Session) -> Parameter {
    let told = Parameters::new()
        .text("accessKeyId", temporary.access_key.access_key_id.as_str())
        .text("expiration", time_text(session.expires_ms));
    Parameter::Object(told)
}

fn told_user(user: &AssumedRoleUser) -> Parameter {
    let told =
        Parameters::new().text("assumedRoleId", user.assumed_role_id.as_str()).text("arn", user.arn.as_str());
    Parameter::Object(told)
}

/// Managed policies of a session as audit records show them.
fn with_policy_arns(parameters: Parameters, arns: &[PolicyDescriptorType]) -> Parameters {
    if arns.is_empty() {
        return parameters;
    }
    let arn = |arn: String| Parameters::new().text("arn", arn);
    parameters.with("policyArns", Parameter::List(arns_of(arns).into_iter().map(arn).collect()))
}
