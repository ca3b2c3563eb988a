//! `bulla key delete` and `bulla key cancel-deletion`.

use bulla_api as api;
use bulla_api::KeyState;

use super::{date, describe, named};
use crate::app::App;
use crate::exit::Failure;
use crate::say::counted;

pub(super) async fn schedule(app: &mut App, target: &str, days: Option<i32>) -> Result<(), Failure> {
    let window = match days {
        None => None,
        Some(days @ 7..=30) => u32::try_from(days).ok(),
        Some(days) => return Err(Failure::usage(format!("--days {days}: 7 to 30"))),
    };
    let (found, arn) = named(app, target).await?;
    let input = api::ScheduleKeyDeletionInput { key_id: arn.clone(), pending_window_in_days: window };
    let answer = found.kms.schedule_key_deletion(input).await?;
    let date = answer.deletion_date.map(date);
    let when = match (&date, answer.pending_window_in_days) {
        (Some(date), _) => format!("after {date}"),
        // A primary key waits for its replicas, and its own waiting period begins then.
        (None, Some(days)) => {
            format!("{} after the last of its replicas is", counted(days.into(), "day"))
        }
        (None, None) => "some time after the last of its replicas is".to_owned(),
    };
    let text = format!("{arn} will be deleted {when}; what it sealed can then never be opened");
    let event = serde_json::json!({
        "event": "deletion_scheduled",
        "KeyId": arn,
        "KeyState": answer.key_state.map(|state| state.as_str()),
        "DeletionDate": date,
        "PendingWindowInDays": answer.pending_window_in_days,
    });
    let told = app.say.result(&text, &event);
    told.map_err(|failure| failure.although(&text))
}

pub(super) async fn cancel(app: &mut App, target: &str) -> Result<(), Failure> {
    let (found, arn) = named(app, target).await?;
    found.kms.cancel_key_deletion(api::CancelKeyDeletionInput { key_id: arn.clone() }).await?;
    // It is done: that it can't be looked at any more is no failure.
    let state = describe(&*found.kms, &arn).await.ok().map(|metadata| metadata.key_state);
    let what = match state {
        Some(KeyState::Disabled) => "kept, and disabled now:",
        Some(KeyState::PendingImport) => "kept, and waiting for its material now:",
        _ => "kept:",
    };
    let event = serde_json::json!({
        "event": "deletion_canceled",
        "KeyId": arn,
        "KeyState": state.map(|state| state.as_str()),
    });
    app.say.done(&format!("{what} {arn}"), &event, false)
}
