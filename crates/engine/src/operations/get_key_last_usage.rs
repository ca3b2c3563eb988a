//! GetKeyLastUsage.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    GetKeyLastUsage, GetKeyLastUsageInput, GetKeyLastUsageOutput, KeyLastUsageData, Role, Timestamp,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GetKeyLastUsage {
    fn names(input: &GetKeyLastUsageInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &GetKeyLastUsageInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        let key_last_usage = match core.last_use(key).await? {
            Some(last) => KeyLastUsageData {
                operation: Some(last.operation),
                timestamp: Some(Timestamp::from_millis(last.at_ms)),
                cloud_trail_event_id: Some(last.event_id),
                kms_request_id: Some(last.request_id),
            },
            None => KeyLastUsageData::default(),
        };
        let created = Timestamp::from_millis(key.record.created_ms);
        let output = GetKeyLastUsageOutput {
            key_id: key.arn.clone(),
            key_last_usage,
            // The uses of every key are noted from its making on.
            tracking_start_date: created,
            key_creation_date: created,
        };
        Ok(request.done(output))
    }
}
