//! DisconnectCustomKeyStore.

use super::Executes;
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyStoreRecord;
use bulla_api::{
    ConnectionStateType, DisconnectCustomKeyStore, DisconnectCustomKeyStoreInput,
    DisconnectCustomKeyStoreOutput,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DisconnectCustomKeyStore {
    fn names(_input: &DisconnectCustomKeyStoreInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &DisconnectCustomKeyStoreInput) -> Parameters {
        Parameters::new().text("customKeyStoreId", input.custom_key_store_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let store = core.named_key_store(request.place(), &request.input().custom_key_store_id).await?;
        store.require_state(&[
            ConnectionStateType::Connected,
            ConnectionStateType::Connecting,
            ConnectionStateType::Failed,
        ])?;
        let state = ConnectionStateType::Disconnected;
        let record = KeyStoreRecord { state, error: None, ..store.record.clone() };
        let mut change = Change::new();
        change.update_key_store(&store, &record);
        Ok(request.done(DisconnectCustomKeyStoreOutput {}).changing(change))
    }
}
