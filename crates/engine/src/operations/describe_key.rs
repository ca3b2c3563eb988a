//! DescribeKey.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{DescribeKey, DescribeKeyInput, DescribeKeyOutput, Role};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DescribeKey {
    fn names(input: &DescribeKeyInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn describe(input: &DescribeKeyInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key_metadata = core.metadata_of(request.key(Role::Key)?).await?;
        Ok(request.done(DescribeKeyOutput { key_metadata }))
    }
}
