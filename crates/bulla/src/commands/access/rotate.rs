//! `bulla access rotate`: a second access key beside the first, and then without it.

use bulla_api as api;
use bulla_api::iam::{CreateAccessKeyInput, DeleteAccessKeyInput};
use serde_json::json;

use super::handout::Prepared;
use super::list::date;
use super::users::Key;
use super::{service, users};
use crate::app::{App, FoundKms};
use crate::cli::RotateAccess;
use crate::exit::{Exit, Failure};
use crate::kms::caller::Caller;

pub(super) async fn run(app: &mut App, command: &RotateAccess) -> Result<(), Failure> {
    let found = service(app, None).await?;
    let user = command.user.as_str();
    if command.finish {
        return finish(app, &found, user).await;
    }
    let mut keys = found.as_caller(async |caller| keys(caller, user).await).await?;
    let replaced = match keys.as_slice() {
        [_, newer] if newer.used.is_none() && app.common.force => keys.pop(),
        [older, newer] => {
            let (older, newer_id) = (&older.metadata.access_key_id, &newer.metadata.access_key_id);
            let unless = match newer.used {
                Some(_) => "",
                None => {
                    "; if the newer one, which was never used, reached nobody, --force makes another in its place"
                }
            };
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "user `{user}` has two access keys, {older} and, newer, {newer_id}; take the older one away with bulla access \
                     rotate {user} --finish{unless}"
                ),
            ));
        }
        _ => None,
    };
    let prepared = Prepared::of(app, &found, &command.handout, super::handout::user_name(user)?)?;
    let input = CreateAccessKeyInput { user_name: Some(user.to_owned()) };
    let key = found
        .as_caller(async |caller| {
            if let Some(replaced) = replaced {
                delete(caller, user, replaced.metadata.access_key_id).await?;
            }
            Ok(caller.call::<api::CreateAccessKey>(&input).await?.access_key)
        })
        .await?;
    let (shown, usage, is_stdout) = (prepared.shown(), prepared.usage(), prepared.is_stdout());
    prepared.give(&found, &key).await?;
    app.say.note(&format!("bulla: the new access key of user {user} is in {shown}, this once: {usage}"));
    let next = format!("bulla access rotate {user} --finish");
    if let Some(older) = keys.first() {
        app.say.note(&format!(
            "bulla: {} works as before; when the new one is in use everywhere, take it away: {next}",
            older.metadata.access_key_id
        ));
    }
    let event = json!({
        "event": "access_key_made",
        "User": user,
        "AccessKeyId": key.access_key_id,
        "Older": keys.first().map(|older| older.metadata.access_key_id.as_str()),
    });
    app.say.done(&format!("made access key {} for user {user}", key.access_key_id), &event, is_stdout)
}

async fn keys(caller: &Caller<'_>, user: &str) -> Result<Vec<Key>, Failure> {
    users::must_find(caller, user).await?;
    Ok(users::keys(caller, user).await?)
}

async fn delete(caller: &Caller<'_>, user: &str, access_key_id: String) -> Result<(), Failure> {
    let input = DeleteAccessKeyInput { user_name: Some(user.to_owned()), access_key_id };
    users::unless_gone(caller.call::<api::DeleteAccessKey>(&input).await)?;
    Ok(())
}

/// Takes the older of two away, once the newer one has been used.
async fn finish(app: &App, found: &FoundKms, user: &str) -> Result<(), Failure> {
    let force = app.common.force;
    let older = found.as_caller(async |caller| finished(caller, user, force).await).await?;
    let access_key_id = older.metadata.access_key_id;
    let last =
        older.used.as_ref().map_or("never used".to_owned(), |(at, _)| format!("last used {}", date(*at)));
    let event = json!({ "event": "access_key_deleted", "User": user, "AccessKeyId": access_key_id });
    let told = format!("deleted access key {access_key_id} of user {user}, {last}");
    app.say.done(&told, &event, false).map_err(|failure| failure.although(&told))
}

/// Looks and takes away in one go, so that no other command comes between the two on this host. The key that is gone.
async fn finished(caller: &Caller<'_>, user: &str, force: bool) -> Result<Key, Failure> {
    let Ok([older, newer]) = <[Key; 2]>::try_from(keys(caller, user).await?) else {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "user `{user}` has no older access key to take away; make a new one first, with bulla access rotate {user}"
            ),
        ));
    };
    if newer.used.is_none() && !force {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "the newer access key {} was never used, so that somebody may still have the older one only; nothing was done; \
                 --force takes it away all the same",
                newer.metadata.access_key_id
            ),
        ));
    }
    delete(caller, user, older.metadata.access_key_id.clone()).await?;
    Ok(older)
}
