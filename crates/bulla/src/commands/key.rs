//! `bulla key`.

mod create;
mod deletion;
mod import;
mod list;
mod policy;
mod public_key;
mod rotation;
mod tags;

use std::fmt::Write as _;

use bulla_api as api;
use bulla_api::{KeyMetadata, Kms, KmsError, MultiRegionKeyType};

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
        Key::List => list::run(app).await,
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
        Key::Delete { target, days } => deletion::schedule(app, target, *days).await,
        Key::CancelDeletion { target } => deletion::cancel(app, target).await,
    }
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
    if let Some(days) = key.pending_deletion_window_in_days {
        let _ = writeln!(out, "deleted after its replicas, and {days} days more");
    }
    if key.multi_region {
        let _ = writeln!(out, "multi-Region  {}", relatives(key));
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

/// Which of its multi-Region key's it is, and where the others are.
fn relatives(key: &KeyMetadata) -> String {
    let Some(configuration) = &key.multi_region_configuration else { return "yes".to_owned() };
    let mut told = match configuration.multi_region_key_type {
        Some(MultiRegionKeyType::Primary) => "primary".to_owned(),
        Some(MultiRegionKeyType::Replica) => match primary_region(key) {
            Some(region) => format!("replica of the one in {region}"),
            None => "replica".to_owned(),
        },
        None => "yes".to_owned(),
    };
    let replicas: Vec<&str> = configuration
        .replica_keys
        .iter()
        .filter(|replica| replica.arn.as_deref() != Some(key.arn.as_str()))
        .filter_map(|replica| replica.region.as_deref())
        .collect();
    if !replicas.is_empty() {
        let _ = write!(told, ", replicas in {}", replicas.join(" "));
    }
    told
}

fn primary_region(key: &KeyMetadata) -> Option<&str> {
    key.multi_region_configuration.as_ref()?.primary_key.as_ref()?.region.as_deref()
}

fn as_json(key: &KeyMetadata) -> serde_json::Value {
    let multi_region = key.multi_region_configuration.as_ref();
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
        "MultiRegionKeyType": multi_region
            .and_then(|configuration| configuration.multi_region_key_type)
            .map(|kind| kind.as_str()),
        "PrimaryRegion": primary_region(key),
        "ReplicaRegions": multi_region.map(|configuration| {
            configuration.replica_keys.iter().map(|replica| replica.region.as_deref()).collect::<Vec<_>>()
        }),
        "PendingDeletionWindowInDays": key.pending_deletion_window_in_days,
        "CurrentKeyMaterialId": key.current_key_material_id,
    })
}

fn date(at: api::Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).map(|at| at.to_string()).unwrap_or_default()
}
