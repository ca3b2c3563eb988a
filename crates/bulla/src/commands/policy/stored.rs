//! `bulla policy explain` about what is stored: why a principal may or may not do something, or why a request was denied.

use bulla_api::iam::GetUserInput;
use bulla_api::{ApiError, Effect, ErrorCode, KmsError};
use bulla_engine::{ExplainInput, Via};
use serde_json::Value;

use super::recorded::{self, Recorded, Wanted};
use super::told;
use crate::app::App;
use crate::cli::ExplainStored;
use crate::exit::Failure;
use crate::kms::choice::split_at;
use crate::kms::socket::AdminRequest;

/// Explains a request that is only asked about.
pub(super) async fn supposed(app: &App, command: &ExplainStored) -> Result<(), Failure> {
    let context = crate::keys::context(&command.context)?;
    let (Some(principal), Some(action)) = (&command.principal, &command.action) else {
        return Err(Failure::usage(
            "give --principal and --action, --last-denied, --request-id ID, or --case FILE; see --help",
        ));
    };
    if let Some(key) = &command.key
        && split_at(key).1.is_some()
    {
        return Err(Failure::usage(format!(
            "--key {key}: policies are explained where they are stored, in --data-dir; leave out what follows the @"
        )));
    }
    let input = ExplainInput {
        principal: arn_of(app, principal).await?,
        action: if action.contains(':') { action.clone() } else { format!("kms:{action}") },
        key: command.key.clone(),
        encryption_context: context.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..ExplainInput::default()
    };
    let explained = ask(app, &input).await?;
    app.say.result(&told::explained(&explained, &input.encryption_context)?, &explained)
}

/// The ARN of a principal that may be named as a user.
async fn arn_of(app: &App, principal: &str) -> Result<String, Failure> {
    if principal.starts_with("arn:") {
        return Ok(principal.to_owned());
    }
    let input = GetUserInput { user_name: Some(principal.to_owned()) };
    let found = app
        .local()?
        .as_caller(async |caller| caller.call::<bulla_api::GetUser>(&input).await)
        .await
        .map_err(|error| {
            let failure = Failure::from(error);
            failure.although("--principal takes an ARN, or the name of a user")
        })?;
    Ok(found.user.arn)
}

/// Explains a request that is in the audit log, by what is stored now.
pub(super) async fn recorded(app: &App, wanted: Wanted<'_>) -> Result<(), Failure> {
    let path = app.place()?.directory.join(bulla_store::names::AUDIT_LOG);
    let Recorded { input, head, is_session } = recorded::find(&path, wanted)?;
    let mut explained = ask(app, &input).await?;
    let mut text = told::recorded(&head);
    text.push_str(&told::explained(&explained, &input.encryption_context)?);
    if is_session {
        text.push_str("\n\nThe session's own policies and tags are not in the log, and had no say here.");
    }
    explained["Request"] = head.as_json();
    app.say.result(&text, &explained)
}

async fn ask(app: &App, input: &ExplainInput) -> Result<Value, Failure> {
    let local = app.local()?;
    let (account, region) = (local.place().account, local.place().region.clone());
    let request = AdminRequest {
        name: "ExplainPolicy",
        effect: Effect::Reads,
        input: serde_json::to_value(input).unwrap_or_default(),
    };
    let answered = local
        .administer(
            request,
            async |engine| {
                let caller = engine.local_caller(account, region, Via::Embedded).await?;
                engine.explain(&caller, input).await
            },
            Some,
        )
        .await;
    answered.map_err(|error| match error {
        KmsError::Answered { error: ApiError { code: ErrorCode::NotFoundException, message, .. }, kms } => {
            Failure::new(
                crate::exit::Exit::KeyUnusable,
                format!("{message} (asked {kms}); see bulla access list and bulla key list"),
            )
        }
        error => error.into(),
    })
}
