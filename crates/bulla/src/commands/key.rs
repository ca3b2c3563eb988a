//! `bulla key`.

mod create;
mod import;
mod policy;
mod public_key;
mod rotation;
mod tags;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bulla_api as api;
use bulla_api::{KeyMetadata, Kms, KmsError};

use crate::app::{App, FoundKms};
use crate::cli::Key;
use crate::exit::Failure;
use crate::kms::choice::split_at;

/// Keys in one page of a list; the service allows 1000.
const PAGE: u32 = 100;

/// Does what the command says.
pub(crate) async fn run(app: &mut App, command: &Key) -> Result<(), Failure> {
    match command {
        Key::Create(command) => create::run(app, command).await,
        Key::List => list(app).await,
        Key::Describe { target } => {
            let (found, key) = find(app, target).await?;
            let metadata = describe(&*found.kms, key).await?;
            app.say.result(&described(&metadata), &as_json(&metadata))
        }
        Key::Public { target, output } => public_key::run(app, target, output.as_deref()).await,
        Key::Rotation(command) => rotation::run(app, command).await,
        Key::Import(command) => import::run(app, command).await,
        Key::Policy(command) => policy::run(app, command).await,
        Key::Tag { target, tags } => tags::tag(app, target, tags).await,
        Key::Untag { target, names } => tags::untag(app, target, names).await,
        Key::Tags { target } => tags::list(app, target).await,
        Key::Rotate { target } => {
            let (found, arn) = named(app, target).await?;
            found.kms.rotate_key_on_demand(api::RotateKeyOnDemandInput { key_id: arn.clone() }).await?;
            done(app, "key_rotated", "rotated", &arn)
        }
        Key::Enable { target } => {
            let (found, arn) = named(app, target).await?;
            found.kms.enable_key(api::EnableKeyInput { key_id: arn.clone() }).await?;
            done(app, "key_enabled", "enabled", &arn)
        }
        Key::Disable { target } => {
            let (found, arn) = named(app, target).await?;
            found.kms.disable_key(api::DisableKeyInput { key_id: arn.clone() }).await?;
            done(app, "key_disabled", "disabled", &arn)
        }
        Key::Delete { target, days } => delete(app, target, *days).await,
        Key::CancelDeletion { target } => {
            let (found, arn) = named(app, target).await?;
            found.kms.cancel_key_deletion(api::CancelKeyDeletionInput { key_id: arn.clone() }).await?;
            done(app, "deletion_canceled", "kept, and disabled now:", &arn)
        }
    }
}

async fn list(app: &mut App) -> Result<(), Failure> {
    let found = app.kms(None).await?;
    // Told after the store has been let go of: a terminal or a pipe may keep us waiting.
    let keys = match &found.local {
        Some(local) => local.at_once(async |kms| collect(kms).await).await?,
        None => collect(&*found.kms).await?,
    };
    for (metadata, aliases) in keys {
        let mut json = as_json(&metadata);
        json["Aliases"] = aliases.clone().into();
        let text = format!("{}  {}  {}", metadata.arn, metadata.key_state, aliases.join(" "));
        app.say.result(text.trim_end(), &json)?;
    }
    Ok(())
}

/// All keys with their aliases.
async fn collect(kms: &dyn Kms) -> Result<Vec<(KeyMetadata, Vec<String>)>, KmsError> {
    let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut marker = None;
    loop {
        let input = api::ListAliasesInput { limit: Some(PAGE), marker, ..api::ListAliasesInput::default() };
        let page = kms.list_aliases(input).await?;
        for alias in page.aliases {
            aliases.entry(alias.target_key_id.unwrap_or_default()).or_default().push(alias.alias_name);
        }
        marker = page.next_marker.filter(|_| page.truncated);
        if marker.is_none() {
            break;
        }
    }
    let mut keys = Vec::new();
    let mut marker = None;
    loop {
        let input = api::ListKeysInput { limit: Some(PAGE), marker, ..api::ListKeysInput::default() };
        let page = kms.list_keys(input).await?;
        for key in page.keys {
            match describe(kms, &key.key_id).await {
                Ok(metadata) => keys.push((metadata, aliases.remove(&key.key_id).unwrap_or_default())),
                // Deleted meanwhile.
                Err(KmsError::Answered { error, .. }) if error.code == api::ErrorCode::NotFoundException => {}
                Err(error) => return Err(error),
            }
        }
        marker = page.next_marker.filter(|_| page.truncated);
        if marker.is_none() {
            return Ok(keys);
        }
    }
}

async fn delete(app: &mut App, target: &str, days: Option<i32>) -> Result<(), Failure> {
    let window = match days {
        None => None,
        Some(days @ 7..=30) => u32::try_from(days).ok(),
        Some(days) => return Err(Failure::usage(format!("--days {days}: 7 to 30"))),
    };
    let (found, arn) = named(app, target).await?;
    let input = api::ScheduleKeyDeletionInput { key_id: arn.clone(), pending_window_in_days: window };
    let answer = found.kms.schedule_key_deletion(input).await?;
    let date = answer.deletion_date.map(date).unwrap_or_default();
    let text = format!("{arn} will be deleted after {date}; what it sealed can then never be opened");
    let event = serde_json::json!({ "event": "deletion_scheduled", "KeyId": arn, "DeletionDate": date });
    let told = app.say.result(&text, &event);
    told.map_err(|failure| failure.although(&text))
}

/// The KMS that a KEY names, and the key.
async fn find<'a>(app: &mut App, target: &'a str) -> Result<(FoundKms, &'a str), Failure> {
    let (key, at) = split_at(target);
    if key.starts_with("arn:aws:") || !key.starts_with("arn:") {
        key.parse::<api::KeyRef>().map_err(|_| {
            Failure::usage(format!(
                "`{key}` names no key; use a key id, a key ARN, alias/NAME or an alias ARN"
            ))
        })?;
    }
    let found = app.kms(at).await?;
    crate::keys::require_store(&found)?;
    Ok((found, key))
}

/// The same, with the key's ARN: management operations take no aliases.
async fn named(app: &mut App, target: &str) -> Result<(FoundKms, String), Failure> {
    let (found, key) = find(app, target).await?;
    let arn = describe(&*found.kms, key).await?.arn;
    Ok((found, arn))
}

async fn describe(kms: &dyn Kms, key: &str) -> Result<KeyMetadata, KmsError> {
    let input = api::DescribeKeyInput { key_id: key.to_owned(), ..api::DescribeKeyInput::default() };
    Ok(kms.describe_key(input).await?.key_metadata)
}

/// What was done with a key: the event's name for programs, and in words.
fn done(app: &App, event: &str, what: &str, arn: &str) -> Result<(), Failure> {
    let event = serde_json::json!({ "event": event, "KeyId": arn });
    app.say.done(&format!("{what} {arn}"), &event, false)
}

fn described(key: &KeyMetadata) -> String {
    let mut out = String::new();
    // Writing to a string doesn't fail.
    let _ = writeln!(out, "arn           {}", key.arn);
    let _ = writeln!(out, "state         {}", key.key_state);
    let _ = writeln!(out, "created       {}", date(key.creation_date));
    if let Some(at) = key.deletion_date {
        let _ = writeln!(out, "deleted after {}", date(at));
    }
    let _ = writeln!(out, "spec          {}", key.key_spec);
    let _ = writeln!(out, "usage         {}", key.key_usage);
    if key.origin != api::OriginType::AwsKms {
        let _ = writeln!(out, "origin        {}", key.origin);
    }
    if let Some(at) = key.valid_to {
        let _ = writeln!(out, "expires       {}", date(at));
    }
    if key.multi_region {
        let _ = writeln!(out, "multi-Region  yes");
    }
    if let Some(id) = &key.current_key_material_id {
        let _ = writeln!(out, "material      {id}");
    }
    if !key.description.is_empty() {
        let _ = writeln!(out, "description   {}", key.description.replace(char::is_control, " "));
    }
    out.truncate(out.trim_end().len());
    out
}

fn as_json(key: &KeyMetadata) -> serde_json::Value {
    serde_json::json!({
        "Arn": key.arn,
        "KeyId": key.key_id,
        "KeyState": key.key_state.as_str(),
        "CreationDate": date(key.creation_date),
        "DeletionDate": key.deletion_date.map(date),
        "Description": key.description,
        "KeySpec": key.key_spec.as_str(),
        "KeyUsage": key.key_usage.as_str(),
        "Origin": key.origin.as_str(),
        "ValidTo": key.valid_to.map(date),
        "MultiRegion": key.multi_region,
        "CurrentKeyMaterialId": key.current_key_material_id,
    })
}

fn date(at: api::Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).map(|at| at.to_string()).unwrap_or_default()
}
