//! ImportKeyMaterial.

use super::{Executes, invalid};
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions;
use crate::core::Core;
use crate::fault::Fault;
use crate::imported::Materials;
use crate::keys::Key;
use crate::pipeline::Executed;
use crate::record::{Imported, Validity};
use crate::trail::time_text;
use bulla_api::{
    ErrorCode, ExpirationModelType, ImportKeyMaterial, ImportKeyMaterialInput, ImportKeyMaterialOutput,
    ImportType, KeySpec, OriginType, Role,
};
use bulla_audit::Parameters;
use bulla_crypto::blob::KeyMaterialId;
use bulla_policy::Values;
use std::sync::Arc;

/// Longest validity of material that expires: 365 days (AWS KMS API reference, ImportKeyMaterial).
const VALID_MAX_MS: i64 = 365 * 24 * 60 * 60 * 1000;

impl Executes for ImportKeyMaterial {
    fn check(input: &ImportKeyMaterialInput) -> Result<(), Fault> {
        match (model(input), input.valid_to) {
            (ExpirationModelType::KeyMaterialExpires, None) => {
                Err(invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"))
            }
            (ExpirationModelType::KeyMaterialDoesNotExpire, Some(_)) => Err(invalid(
                "The parameter ValidTo cannot be specified for a key with an expiration model of \
                 KEY_MATERIAL_DOES_NOT_EXPIRE",
            )),
            _ => Ok(()),
        }?;
        if input.import_type == Some(ImportType::NewKeyMaterial) && input.key_material_id.is_some() {
            return Err(invalid("KeyMaterialId cannot be specified with an ImportType of NEW_KEY_MATERIAL."));
        }
        Ok(())
    }

    fn names(input: &ImportKeyMaterialInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i ImportKeyMaterialInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            // What is left out is as good as said.
            "kms:expirationmodel" => Some(model(input).as_str().into()),
            "kms:validto" => input.valid_to.map(|date| conditions::time_text(date.millis()).into()),
            _ => None,
        }
    }

    fn describe(input: &ImportKeyMaterialInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_text("validTo", input.valid_to.map(|date| time_text(date.millis())))
            .text("expirationModel", model(input).as_str())
            .maybe_text("importType", input.import_type.map(ImportType::as_str))
            .maybe_text("keyMaterialDescription", input.key_material_description.as_deref())
            .maybe_text("keyMaterialId", input.key_material_id.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_origin(OriginType::External)?;
        key.require_not_pending_deletion()?;
        let is_symmetric = key.record.spec == KeySpec::SymmetricDefault;
        if !is_symmetric {
            refuse_members_of_symmetric_keys(input)?;
        }
        if input.import_type == Some(ImportType::NewKeyMaterial) {
            // New material comes in through the primary key.
            key.require_not_replica()?;
        }
        let now_ms = core.clock.wall_ms();
        let validity = validity(input, now_ms)?;
        let (account, wrapped) = (request.caller().account(), input.encrypted_key_material.clone());
        let secret = core.unwrap_material(account, key, &input.import_token, wrapped).await?;
        let new = core.read_material(account, key, secret).await?;
        let material_id = new.id;
        let mut materials = core.imported(key).await?;
        let imported = Imported {
            description: input.key_material_description.clone(),
            validity: Some(validity),
            seed_id: new.seed_id,
        };
        let mut also = Change::new();
        match place_of(key, input, &materials, material_id)? {
            Some(index) if !materials.has_same_seed(index, &new) => return Err(incorrect()),
            Some(index) => materials.admit(index, new, imported),
            None => {
                also = core.clear_lapsed(&mut materials).await?;
                materials.add(new, imported, now_ms);
            }
        }
        let shown = is_symmetric.then(|| material_id.to_string());
        let response =
            Parameters::new().text("keyId", key.arn.as_str()).maybe_text("keyMaterialId", shown.as_deref());
        let output = ImportKeyMaterialOutput { key_id: key.arn.clone(), key_material_id: shown };
        let mut change = materials.finish();
        change.and(also);
        Ok(request.done(output).changing(change).telling(response))
    }
}

fn model(input: &ImportKeyMaterialInput) -> ExpirationModelType {
    input.expiration_model.unwrap_or(ExpirationModelType::KeyMaterialExpires)
}

fn validity(input: &ImportKeyMaterialInput, now_ms: i64) -> Result<Validity, Fault> {
    match input.valid_to.map(|date| date.millis()) {
        None => Ok(Validity::Unlimited),
        Some(until_ms) if until_ms <= now_ms => Err(invalid("ValidTo must be in the future")),
        Some(until_ms) if until_ms > now_ms.saturating_add(VALID_MAX_MS) => {
            Err(invalid("ValidTo must be within 365 days"))
        }
        Some(until_ms) => Ok(Validity::Until(until_ms)),
    }
}

/// Keys of other kinds have one material ever, and no name for it.
fn refuse_members_of_symmetric_keys(input: &ImportKeyMaterialInput) -> Result<(), Fault> {
    let given = [
        ("ImportType", input.import_type.is_some()),
        ("KeyMaterialDescription", input.key_material_description.is_some()),
        ("KeyMaterialId", input.key_material_id.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((member, _)) => Err(invalid(format!("{member} is for symmetric encryption keys only."))),
        None => Ok(()),
    }
}

fn incorrect() -> Fault {
    Fault::answer(ErrorCode::IncorrectKeyMaterialException, "")
}

/// Which of the key's materials this is; `None` for one that it never had, and may get.
fn place_of(
    key: &Key,
    input: &ImportKeyMaterialInput,
    materials: &Materials<'_>,
    material_id: KeyMaterialId,
) -> Result<Option<usize>, Fault> {
    if input.key_material_id.as_ref().is_some_and(|stated| *stated != material_id.to_string()) {
        return Err(incorrect());
    }
    let is_new = match input.import_type {
        Some(import_type) => import_type == ImportType::NewKeyMaterial,
        None => materials.entries().is_empty() && input.key_material_id.is_none() && !key.is_replica(),
    };
    match materials.position(material_id) {
        Some(index) if !is_new || materials.is_pending(index) => Ok(Some(index)),
        // Expected to be new, and it is the key's already.
        Some(_) => Err(incorrect()),
        None if !is_new => Err(incorrect()),
        None => match materials.pending() {
            Some(pending) => Err(Fault::answer(
                ErrorCode::KMSInvalidStateException,
                format!(
                    "New key material (id: {material_id}) cannot be imported into KMS key {}, because another key \
                     material (id: {}) is pending rotation.",
                    key.arn, pending.material_id
                ),
            )),
            // The same again, after its time was over and before it was deleted.
            None => Ok(materials.lapsed(material_id)),
        },
    }
}
