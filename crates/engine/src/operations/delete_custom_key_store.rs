//! DeleteCustomKeyStore.

use super::Executes;
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::Counts;
use bulla_api::{
    ConnectionStateType, DeleteCustomKeyStore, DeleteCustomKeyStoreInput, DeleteCustomKeyStoreOutput,
    ErrorCode,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DeleteCustomKeyStore {
    fn names(_input: &DeleteCustomKeyStoreInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &DeleteCustomKeyStoreInput) -> Parameters {
        Parameters::new().text("customKeyStoreId", input.custom_key_store_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let place = request.place();
        let store = core.named_key_store(place, &request.input().custom_key_store_id).await?;
        if store.record.keys > 0 {
            return Err(Fault::answer(
                ErrorCode::CustomKeyStoreHasCMKsException,
                format!("The custom key store {} contains KMS keys.", store.id),
            ));
        }
        store.require_state(&[ConnectionStateType::Disconnected])?;
        let mut change = Change::new();
        change.expect_key_store(&store).delete(place.key_store(&store.id));
        change.delete_material(place.key_store_credential(&store.id));
        change.delete(place.key_store_name(&store.record.name));
        change.delete(place.key_store_uri(&store.record.uri_endpoint, &store.record.uri_path));
        let counts = core.counts(place, &mut change).await?;
        let key_stores = counts.key_stores.saturating_sub(1);
        change.put(place.counts(), Counts { key_stores, ..counts }.to_fields());
        Ok(request.done(DeleteCustomKeyStoreOutput {}).changing(change))
    }
}
