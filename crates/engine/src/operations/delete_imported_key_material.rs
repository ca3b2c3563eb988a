//! DeleteImportedKeyMaterial.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    DeleteImportedKeyMaterial, DeleteImportedKeyMaterialInput, DeleteImportedKeyMaterialOutput, ErrorCode,
    KeySpec, KeyState, OriginType, Role,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DeleteImportedKeyMaterial {
    fn names(input: &DeleteImportedKeyMaterialInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &DeleteImportedKeyMaterialInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_text("keyMaterialId", input.key_material_id.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_origin(OriginType::External)?;
        if matches!(key.state(), KeyState::Creating | KeyState::Updating) {
            return Err(key.wrong_state());
        }
        let materials = core.imported(key).await?;
        let index = match (&input.key_material_id, materials.current()) {
            (Some(stated), _) => Some(materials.named(stated).ok_or_else(|| {
                Fault::answer(
                    ErrorCode::NotFoundException,
                    format!("Key material '{stated}' of key '{}' does not exist", key.arn),
                )
            })?),
            (None, Some(current)) => materials.position(current),
            // Nothing was ever imported: there is nothing to do, which is no error.
            (None, None) => None,
        };
        let is_symmetric = key.record.spec == KeySpec::SymmetricDefault;
        let entry = index.and_then(|index| materials.entries().get(index));
        let shown = entry.filter(|_| is_symmetric).map(|entry| entry.material_id.to_string());
        let response =
            Parameters::new().text("keyId", key.arn.as_str()).maybe_text("keyMaterialId", shown.as_deref());
        let output = DeleteImportedKeyMaterialOutput { key_id: key.arn.clone(), key_material_id: shown };
        match index.filter(|index| materials.has_material(*index)) {
            Some(index) => {
                let (change, _) = core.delete_imported(materials, index).await?;
                Ok(request.done(output).changing(change).telling(response))
            }
            None => Ok(request.done(output).telling(response)),
        }
    }
}
