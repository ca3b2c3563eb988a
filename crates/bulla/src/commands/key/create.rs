//! `bulla key create`.

use bulla_api as api;
use bulla_api::KmsError;

use super::{as_json, describe, policy, tags};
use crate::app::App;
use crate::cli::CreateKey;
use crate::exit::{Exit, Failure};
use crate::kms::choice::split_at;

pub(super) async fn run(app: &mut App, command: &CreateKey) -> Result<(), Failure> {
    let (alias, at) = match command.alias.as_deref().map(split_at) {
        Some((alias, at)) => (Some(alias), at),
        None => (None, None),
    };
    if let Some(alias) = alias {
        let name = alias
            .parse::<api::AliasName>()
            .map_err(|_| Failure::usage(format!("`{alias}` is no alias; one is alias/NAME")))?;
        // Refused by every KMS, but only after the key was made.
        if name.is_reserved() {
            return Err(Failure::usage(format!(
                "`{alias}` is reserved: names under alias/aws/ are AWS's own; choose another, such as alias/NAME"
            )));
        }
    }
    let input = input_of(command)?;
    let found = app.kms(at).await?;
    if let Some(local) = &found.local
        && local.make_store().await?
    {
        app.announce_store(local);
    }
    // Looked at first, so that a taken alias leaves no key behind that nobody wants.
    if let Some(alias) = alias {
        match describe(&*found.kms, alias).await {
            Ok(taken) => {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("{alias} is there already, for {}; choose another name", taken.arn),
                ));
            }
            Err(KmsError::Answered { error, .. }) if error.code == api::ErrorCode::NotFoundException => {}
            Err(error) => return Err(error.into()),
        }
    }
    let metadata = found.kms.create_key(input).await?.key_metadata;
    if let Some(alias) = alias {
        let input =
            api::CreateAliasInput { alias_name: alias.to_owned(), target_key_id: metadata.key_id.clone() };
        found.kms.create_alias(input).await.map_err(|error| {
            let known = match &error {
                KmsError::Unanswered { .. } => "",
                _ => ", and has no alias",
            };
            Failure::from(error).although(&format!("the key {} was made{known}", metadata.arn))
        })?;
    }
    let told = app.say.result(&metadata.arn, &as_json(&metadata));
    told.map_err(|failure| failure.although(&format!("the key {} was made", metadata.arn)))
}

/// What is asked for; all else is left to the KMS.
fn input_of(command: &CreateKey) -> Result<api::CreateKeyInput, Failure> {
    Ok(api::CreateKeyInput {
        policy: command.policy.as_deref().map(policy::read).transpose()?,
        bypass_policy_lockout_safety_check: command.bypass_lockout_check.then_some(true),
        description: command.description.clone(),
        key_spec: command.spec,
        key_usage: command.usage,
        origin: command.origin,
        multi_region: command.multi_region.then_some(true),
        tags: tags::parse(&command.tag)?,
        ..api::CreateKeyInput::default()
    })
}
