//! GetCallerIdentity. It demands nothing: whoever is authenticated may know who they are.

use super::Executes;
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{GetCallerIdentity, GetCallerIdentityInput, GetCallerIdentityOutput};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GetCallerIdentity {
    fn names(_input: &GetCallerIdentityInput) -> Names<'_> {
        Names::default()
    }

    fn describe(_input: &GetCallerIdentityInput) -> Parameters {
        Parameters::new()
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let principal = request.caller().principal();
        let output = GetCallerIdentityOutput {
            user_id: principal.unique_id().to_owned(),
            account: principal.account().to_string(),
            arn: principal.arn().to_owned(),
        };
        Ok(request.done(output))
    }
}
