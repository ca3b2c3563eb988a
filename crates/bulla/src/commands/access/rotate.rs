//! `bulla access rotate`: a second access key beside the first, and then without it.

use bulla_api as api;
use bulla_api::iam::{CreateAccessKeyInput, DeleteAccessKeyInput};
use serde_json::json;

use super::handout::Prepared;
use super::list::date;
use super::users::Key;
use super::{service, users};
use crate::app::App;
use crate::cli::RotateAccess;
use crate::exit::{Exit, Failure};

pub(super) async fn run(app: &mut App, command: &RotateAccess) -> Result<(), Failure> {
    let found = service(app, None).await?;
    let user = command.user.as_str();
    let keys = found
        .as_caller(async |caller| {
            users::must_find(caller, user).await?;
            Ok(users::keys(caller, user).await?)
        })
        .await?;
    if command.finish {
        return finish(app, user, &keys).await;
    }
    if let [older, newer] = keys.as_slice() {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "user `{user}` has two access keys, {} and, newer, {}; take the older one away with bulla access rotate {user} \
                 --finish",
                older.metadata.access_key_id, newer.metadata.access_key_id
            ),
        ));
    }
    let prepared = Prepared::of(app, &found, &command.handout, super::handout::user_name(user)?)?;
    let input = CreateAccessKeyInput { user_name: Some(user.to_owned()) };
    let key = found
        .as_caller(async |caller| Ok(caller.call::<api::CreateAccessKey>(&input).await?.access_key))
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

/// Takes the older of two away, once the newer one has been used.
async fn finish(app: &mut App, user: &str, keys: &[Key]) -> Result<(), Failure> {
    let [older, newer] = keys else {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "user `{user}` has no older access key to take away; make a new one first, with bulla access rotate {user}"
            ),
        ));
    };
    if newer.used.is_none() && !app.common.force {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "the newer access key {} was never used, so that somebody may still have the older one only; nothing was done; \
                 --force takes it away all the same",
                newer.metadata.access_key_id
            ),
        ));
    }
    let access_key_id = older.metadata.access_key_id.clone();
    let last =
        older.used.as_ref().map_or("never used".to_owned(), |(at, _)| format!("last used {}", date(*at)));
    let input =
        DeleteAccessKeyInput { user_name: Some(user.to_owned()), access_key_id: access_key_id.clone() };
    let found = service(app, None).await?;
    found.as_caller(async |caller| Ok(caller.call::<api::DeleteAccessKey>(&input).await?)).await?;
    let event = json!({ "event": "access_key_deleted", "User": user, "AccessKeyId": access_key_id });
    let told = format!("deleted access key {access_key_id} of user {user}, {last}");
    app.say.done(&told, &event, false).map_err(|failure| failure.although(&told))
}
