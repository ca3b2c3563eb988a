//! `bulla key rotation`.

use std::fmt::Write as _;

use bulla_api as api;
use bulla_api::{ErrorCode, IncludeKeyMaterial, Kms, KmsError, RotationsListEntry};

use super::{PAGE, date, done, named};
use crate::app::App;
use crate::cli::KeyRotation;
use crate::exit::Failure;

pub(super) async fn run(app: &mut App, command: &KeyRotation) -> Result<(), Failure> {
    let (found, arn) = named(app, &command.target).await?;
    if command.enable {
        let input =
            api::EnableKeyRotationInput { key_id: arn.clone(), rotation_period_in_days: command.period_days };
        found.kms.enable_key_rotation(input).await?;
        return done(app, "rotation_enabled", "enabled the rotation of", &arn);
    }
    if command.disable {
        found.kms.disable_key_rotation(api::DisableKeyRotationInput { key_id: arn.clone() }).await?;
        return done(app, "rotation_disabled", "disabled the rotation of", &arn);
    }
    let asked = api::GetKeyRotationStatusInput { key_id: arn.clone() };
    let status = match found.kms.get_key_rotation_status(asked).await {
        Ok(status) => status,
        // A key with imported material has no schedule. What it has had can be told.
        Err(KmsError::Answered { error, .. }) if error.code == ErrorCode::UnsupportedOperationException => {
            api::GetKeyRotationStatusOutput::default()
        }
        Err(error) => return Err(error.into()),
    };
    let materials = materials(&*found.kms, &arn).await?;
    let json = serde_json::json!({
        "KeyId": arn,
        "KeyRotationEnabled": status.key_rotation_enabled,
        "RotationPeriodInDays": status.rotation_period_in_days,
        "NextRotationDate": status.next_rotation_date.map(date),
        "OnDemandRotationStartDate": status.on_demand_rotation_start_date.map(date),
        "Rotations": materials.iter().map(as_json).collect::<Vec<_>>(),
    });
    app.say.result(&told(&arn, &status, &materials), &json)
}

/// All that the key has had, and what waits to be rotated to.
async fn materials(kms: &dyn Kms, arn: &str) -> Result<Vec<RotationsListEntry>, KmsError> {
    let mut materials = Vec::new();
    let mut marker = None;
    loop {
        let input = api::ListKeyRotationsInput {
            key_id: arn.to_owned(),
            include_key_material: Some(IncludeKeyMaterial::AllKeyMaterial),
            limit: Some(PAGE),
            marker,
        };
        let page = kms.list_key_rotations(input).await?;
        materials.extend(page.rotations);
        marker = page.next_marker.filter(|_| page.truncated);
        if marker.is_none() {
            return Ok(materials);
        }
    }
}

fn told(arn: &str, status: &api::GetKeyRotationStatusOutput, materials: &[RotationsListEntry]) -> String {
    // Writing to a string doesn't fail.
    let mut out = String::new();
    let _ = writeln!(out, "arn           {arn}");
    let _ = write!(out, "rotation      {}", if status.key_rotation_enabled { "enabled" } else { "disabled" });
    if status.key_rotation_enabled {
        if let Some(days) = status.rotation_period_in_days {
            let _ = write!(out, ", every {days} days");
        }
        if let Some(at) = status.next_rotation_date {
            let _ = write!(out, ", next at {}", date(at));
        }
    }
    if let Some(at) = status.on_demand_rotation_start_date {
        let _ = write!(out, "\non demand     under way since {}", date(at));
    }
    for material in materials {
        let _ = write!(out, "\nmaterial      {}", material.key_material_id.as_deref().unwrap_or("-"));
        if let Some(state) = material.key_material_state {
            let _ = write!(out, "  {state}");
        }
        if let (Some(at), Some(kind)) = (material.rotation_date, material.rotation_type) {
            let _ = write!(out, "  {kind} at {}", date(at));
        }
        if let Some(state) = material.import_state {
            let _ = write!(out, "  {state}");
        }
        if let Some(at) = material.valid_to {
            let _ = write!(out, "  until {}", date(at));
        }
        if let Some(text) = &material.key_material_description {
            let _ = write!(out, "  {}", text.replace(char::is_control, " "));
        }
    }
    out
}

fn as_json(material: &RotationsListEntry) -> serde_json::Value {
    serde_json::json!({
        "KeyMaterialId": material.key_material_id,
        "KeyMaterialState": material.key_material_state.map(|state| state.as_str()),
        "RotationDate": material.rotation_date.map(date),
        "RotationType": material.rotation_type.map(|kind| kind.as_str()),
        "ImportState": material.import_state.map(|state| state.as_str()),
        "ExpirationModel": material.expiration_model.map(|model| model.as_str()),
        "ValidTo": material.valid_to.map(date),
        "KeyMaterialDescription": material.key_material_description,
    })
}
