//! CancelKeyDeletion.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use bulla_api::{
    CancelKeyDeletion, CancelKeyDeletionInput, CancelKeyDeletionOutput, ErrorCode, KeyState, OriginType, Role,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for CancelKeyDeletion {
    fn names(input: &CancelKeyDeletionInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &CancelKeyDeletionInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        if !key.is_pending_deletion() {
            return Err(Fault::answer(
                ErrorCode::KMSInvalidStateException,
                format!("{} is not pending deletion.", key.arn),
            ));
        };
        // An imported key that lacks material waits for it again.
        let lacks_material = key.record.origin == OriginType::External && key.record.validity.is_none();
        let state = if lacks_material { KeyState::PendingImport } else { KeyState::Disabled };
        let record = KeyRecord { state, deletion_ms: None, pending_window_days: None, ..key.record.clone() };
        let mut change = Change::new();
        change.update_key(key, &record);
        let output = CancelKeyDeletionOutput { key_id: key.arn.clone() };
        let response = Parameters::new().text("keyId", key.arn.as_str());
        Ok(request.done(output).changing(change).telling(response))
    }
}
