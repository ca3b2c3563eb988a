//! ListKeyPolicies.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::key_policy::DEFAULT_NAME;
use crate::pipeline::Executed;
use bulla_api::{ErrorCode, ListKeyPolicies, ListKeyPoliciesInput, ListKeyPoliciesOutput, Role};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for ListKeyPolicies {
    fn names(input: &ListKeyPoliciesInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &ListKeyPoliciesInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str()).maybe_number("limit", input.limit)
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        request.key(Role::Key)?;
        if request.input().marker.is_some() {
            // A key has one policy, so that no list of them was ever cut.
            return Err(Fault::answer(ErrorCode::InvalidMarkerException, "Invalid marker."));
        }
        let policy_names = vec![DEFAULT_NAME.to_owned()];
        Ok(request.done(ListKeyPoliciesOutput { policy_names, next_marker: None, truncated: false }))
    }
}
