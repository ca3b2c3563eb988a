//! ConnectCustomKeyStore.

use super::Executes;
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::Reach;
use crate::pipeline::Executed;
use crate::record::KeyStoreRecord;
use bulla_api::{
    ConnectCustomKeyStore, ConnectCustomKeyStoreInput, ConnectCustomKeyStoreOutput, ConnectionStateType,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for ConnectCustomKeyStore {
    fn names(_input: &ConnectCustomKeyStoreInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ConnectCustomKeyStoreInput) -> Parameters {
        Parameters::new().text("customKeyStoreId", input.custom_key_store_id.as_str())
    }

    /// Succeeds also when the proxy can't be used: the store's state tells. At AWS, that takes minutes and an answer that
    /// comes before; here the answer comes after, as nothing has to be built.
    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place());
        let store = core.named_key_store(place, &input.custom_key_store_id).await?;
        store.require_state(&[
            ConnectionStateType::Disconnected,
            ConnectionStateType::Connecting,
            ConnectionStateType::Connected,
        ])?;
        if store.is_connected() {
            return Ok(request.done(ConnectCustomKeyStoreOutput {}));
        }
        let credential = core.credential_of(&store).await?;
        let reach = Reach {
            place,
            uri_endpoint: &store.record.uri_endpoint,
            uri_path: &store.record.uri_path,
            credential: &credential,
        };
        let origin = request.origin().texts();
        let (state, error) = match core.check_health(&reach, origin.of_service()).await {
            Ok(()) => (ConnectionStateType::Connected, None),
            Err(unfit) => (ConnectionStateType::Failed, Some(unfit.to_connection_error())),
        };
        let record = KeyStoreRecord { state, error, ..store.record.clone() };
        let mut change = Change::new();
        change.update_key_store(&store, &record);
        Ok(request.done(ConnectCustomKeyStoreOutput {}).changing(change))
    }
}
