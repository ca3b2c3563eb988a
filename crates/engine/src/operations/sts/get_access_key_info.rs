//! GetAccessKeyInfo: the account of an access key.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::session_token::account_of_id;
use bulla_api::GetAccessKeyInfo;
use bulla_api::sts::{GetAccessKeyInfoInput, GetAccessKeyInfoOutput};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GetAccessKeyInfo {
    fn names(_input: &GetAccessKeyInfoInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &GetAccessKeyInfoInput) -> Parameters {
        Parameters::new().text("accessKeyId", input.access_key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let id = &request.input().access_key_id;
        let account = match core.known_key(id).await? {
            Some(known) => Some(known.account),
            // Temporary ones have no record; their ids say whose they are.
            None => {
                let accounts = core.account_ids().await?;
                account_of_id(id).filter(|account| accounts.contains(account))
            }
        };
        let account = account.ok_or_else(|| invalid(format!("The access key ID {id} is not known.")))?;
        Ok(request.done(GetAccessKeyInfoOutput { account: account.to_string() }))
    }
}
