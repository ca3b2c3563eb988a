//! `bulla key list`.

use std::collections::BTreeMap;

use bulla_api as api;
use bulla_api::{ErrorCode, KeyListEntry, KeyMetadata, Kms, KmsError};

use super::{PAGE, as_json, describe};
use crate::app::App;
use crate::exit::Failure;
use crate::say::counted;

/// What is told of each key beside its names.
const MEMBERS: [&str; 14] = [
    "KeyState",
    "CreationDate",
    "DeletionDate",
    "Description",
    "KeySpec",
    "KeyUsage",
    "Origin",
    "ValidTo",
    "MultiRegion",
    "MultiRegionKeyType",
    "PrimaryRegion",
    "ReplicaRegions",
    "PendingDeletionWindowInDays",
    "CurrentKeyMaterialId",
];

/// A key and its aliases.
struct Listed {
    names: KeyListEntry,
    /// `None` of a key that the caller may not look at.
    metadata: Option<KeyMetadata>,
    aliases: Vec<String>,
}

pub(super) async fn run(app: &mut App) -> Result<(), Failure> {
    let found = app.kms(None).await?;
    // Told after the store has been let go of: a terminal or a pipe may keep us waiting.
    let keys = match &found.local {
        Some(local) => local.at_once(async |kms| collect(kms).await).await?,
        None => collect(&*found.kms).await?,
    };
    let mut denied = 0;
    for Listed { names, metadata, aliases } in keys {
        denied += u64::from(metadata.is_none());
        let mut json = match &metadata {
            Some(metadata) => as_json(metadata),
            None => untold(&names),
        };
        json["Aliases"] = aliases.clone().into();
        let state = metadata.map_or("?", |metadata| metadata.key_state.as_str());
        let text = format!("{}  {state}  {}", names.key_arn, aliases.join(" "));
        app.say.result(text.trim_end(), &json)?;
    }
    if denied > 0 {
        app.say.note(&format!(
            "bulla: {} told by name alone: these credentials have no permission kms:DescribeKey there",
            counted(denied, "key")
        ));
    }
    Ok(())
}

/// All keys with their aliases.
async fn collect(kms: &dyn Kms) -> Result<Vec<Listed>, KmsError> {
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
        for names in page.keys {
            let metadata = match describe(kms, &names.key_id).await {
                Ok(metadata) => Some(metadata),
                // Deleted meanwhile.
                Err(error) if is(&error, ErrorCode::NotFoundException) => continue,
                // Its policy is its own affair: the others can be told of.
                Err(error) if is(&error, ErrorCode::AccessDeniedException) => None,
                Err(error) => return Err(error),
            };
            let aliases = aliases.remove(&names.key_id).unwrap_or_default();
            keys.push(Listed { names, metadata, aliases });
        }
        marker = page.next_marker.filter(|_| page.truncated);
        if marker.is_none() {
            return Ok(keys);
        }
    }
}

fn is(error: &KmsError, code: ErrorCode) -> bool {
    matches!(error, KmsError::Answered { error, .. } if error.code == code)
}

/// The same members as of other keys.
fn untold(names: &KeyListEntry) -> serde_json::Value {
    let mut json = serde_json::json!({ "Arn": names.key_arn, "KeyId": names.key_id });
    for member in MEMBERS {
        json[member] = serde_json::Value::Null;
    }
    json
}
