//! `bulla access reset-root` and `disable-root`: the access key of an account's root, on the host of its store.

use bulla_api::{AccountId, Effect};
use bulla_store::{DataDir, names};
use serde_json::json;
use zeroize::Zeroizing;

use super::users;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::kms::local::LocalKms;
use crate::kms::socket::AdminRequest;
use crate::opening::directory_failure;
use crate::output::MODE_PRIVATE;

/// A root's access key, as it is given once.
struct Given {
    account: AccountId,
    /// Whether the account is the store's first.
    is_first: bool,
    access_key_id: String,
    secret: Zeroizing<String>,
}

pub(super) async fn reset(app: &App) -> Result<(), Failure> {
    let local = app.local()?;
    // Before anything is changed: whether the file can be written.
    let directory = DataDir::open(&local.place().directory).map_err(|error| directory_failure(&error))?;
    let (account, is_first) = account(&local).await?;
    let given = local
        .administer(
            AdminRequest {
                name: "ResetRootAccessKey",
                effect: Effect::Changes,
                input: json!({ "AccountId": account.to_string() }),
            },
            async |engine| {
                let key = engine.reset_root_access_key(account).await?;
                let secret = String::from_utf8_lossy(key.secret_access_key.expose()).into_owned();
                Ok(Given { account, is_first, access_key_id: key.access_key_id, secret: secret.into() })
            },
            |answer| {
                let text = |member: &str| Some(answer.get(member)?.as_str()?.to_owned());
                let (access_key_id, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
                Some(Given { account, is_first, access_key_id, secret: secret.into() })
            },
        )
        .await?;
    give(app, &directory, &given).map_err(|failure| {
        failure.although(&format!(
            "the access key of the root of account {account} was replaced, and the new one is not shown again: run this again"
        ))
    })
}

/// Where a server puts the first account's; another account's is shown.
fn give(app: &App, directory: &DataDir, given: &Given) -> Result<(), Failure> {
    let Given { account, is_first, access_key_id, secret } = given;
    let event = json!({ "event": "root_access_key_replaced", "AccountId": account.to_string(), "AccessKeyId": access_key_id });
    if !is_first {
        let profile = format!("bulla-{account}");
        let text = bulla_server::aws_profile::render_credentials(&profile, access_key_id, secret);
        let json = json!({
            "AccountId": account.to_string(),
            "AccessKeyId": access_key_id,
            "SecretAccessKey": secret.as_str(),
        });
        app.say
            .note(&format!("bulla: the new access key of the root of account {account} is shown this once"));
        return app.say.result(text.trim_end(), &json);
    }
    let text = bulla_server::aws_profile::render_credentials("bulla", access_key_id, secret);
    directory
        .write_file(names::CREDENTIALS, text.as_bytes(), MODE_PRIVATE)
        .map_err(|error| directory_failure(&error))?;
    let path = directory.file(names::CREDENTIALS);
    app.say.note(&format!(
        "bulla: the new access key of the root of account {account} is in {}; the old one opens nothing any more; profiles \
         that were made with it are made anew by bulla profile --force NAME",
        path.display()
    ));
    app.say.done(&format!("replaced the access key of the root of account {account}"), &event, false)
}

pub(super) async fn disable(app: &App) -> Result<(), Failure> {
    let local = app.local()?;
    let (account, is_first) = account(&local).await?;
    if !app.common.force && local.as_caller(async |caller| users::all(caller).await).await?.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "account {account} has no user, so that nobody could call its server any longer; nothing was changed; make one \
                 with bulla access add NAME, or say --force where roles are enough"
            ),
        ));
    }
    let access_key_id = local
        .administer(
            AdminRequest {
                name: "DisableRootAccessKey",
                effect: Effect::Changes,
                input: json!({ "AccountId": account.to_string() }),
            },
            async |engine| engine.disable_root_access_key(account).await,
            |answer| Some(answer.get("AccessKeyId")?.as_str()?.to_owned()),
        )
        .await?;
    // It is of no use to anybody.
    if is_first {
        let directory =
            DataDir::open_to_reach(&local.place().directory).map_err(|error| directory_failure(&error))?;
        directory.remove_file(names::CREDENTIALS).map_err(|error| directory_failure(&error))?;
    }
    let event = json!({ "event": "root_access_key_disabled", "AccountId": account.to_string(), "AccessKeyId": access_key_id });
    let told = format!("access key {access_key_id} of the root of account {account} is out of use");
    app.say.done(&told, &event, false).map_err(|failure| failure.although(&told))
}

/// The account that is meant, and whether it is the store's first.
async fn account(local: &LocalKms) -> Result<(AccountId, bool), Failure> {
    let accounts = local
        .administer(
            AdminRequest::bare("ListAccounts", Effect::Reads),
            async |engine| {
                Ok(engine.accounts().await?.into_iter().map(|account| account.id).collect::<Vec<_>>())
            },
            |answer| {
                let id = |account: &serde_json::Value| account.get("AccountId")?.as_str()?.parse().ok();
                answer.get("Accounts")?.as_array()?.iter().map(id).collect()
            },
        )
        .await?;
    let first = accounts.first().copied();
    match (local.place().account.or(first), first) {
        (Some(account), first) => Ok((account, first == Some(account))),
        (None, _) => Err(Failure::usage("the store has no account")),
    }
}
