//! UpdateCustomKeyStore.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::{Reach, check_vpc_service, credential, vpc_service_not_found};
use crate::pipeline::Executed;
use crate::record::KeyStoreRecord;
use bulla_api::{
    ConnectionStateType, UpdateCustomKeyStore, UpdateCustomKeyStoreInput, UpdateCustomKeyStoreOutput,
    XksProxyConnectivityType,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for UpdateCustomKeyStore {
    fn check(input: &UpdateCustomKeyStoreInput) -> Result<(), Fault> {
        check_vpc_service(
            input.xks_proxy_connectivity,
            input.xks_proxy_vpc_endpoint_service_name.as_deref(),
        )?;
        if input.xks_proxy_connectivity.is_some() && input.xks_proxy_uri_endpoint.is_none() {
            return Err(invalid("XksProxyUriEndpoint is required when XksProxyConnectivity changes."));
        }
        Ok(())
    }

    fn names(_input: &UpdateCustomKeyStoreInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &UpdateCustomKeyStoreInput) -> Parameters {
        Parameters::new()
            .text("customKeyStoreId", input.custom_key_store_id.as_str())
            .maybe_text("newCustomKeyStoreName", input.new_custom_key_store_name.as_deref())
            .maybe_text("clusterId", input.cloud_hsm_cluster_id.as_deref())
            .maybe_text("xksProxyUriEndpoint", input.xks_proxy_uri_endpoint.as_deref())
            .maybe_text("xksProxyUriPath", input.xks_proxy_uri_path.as_deref())
            .maybe_text(
                "xksProxyConnectivity",
                input.xks_proxy_connectivity.map(XksProxyConnectivityType::as_str),
            )
            .maybe_text(
                "xksProxyVpcEndpointServiceName",
                input.xks_proxy_vpc_endpoint_service_name.as_deref(),
            )
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place());
        let store = core.named_key_store(place, &input.custom_key_store_id).await?;
        if input.cloud_hsm_cluster_id.is_some() || !input.key_store_password.is_empty() {
            return Err(invalid(
                "CloudHsmClusterId and KeyStorePassword are valid only for a CustomKeyStoreType of AWS_CLOUDHSM.",
            ));
        }
        // Where the proxy is changes only while nobody asks it; how it is called there, also when it is connected.
        let elsewhere = input.xks_proxy_uri_endpoint.is_some()
            || input.xks_proxy_connectivity.is_some()
            || input.xks_proxy_vpc_endpoint_service_name.is_some()
            || input.xks_proxy_vpc_endpoint_service_owner.is_some();
        store.require_state(match elsewhere {
            true => &[ConnectionStateType::Disconnected],
            false => &[ConnectionStateType::Disconnected, ConnectionStateType::Connected],
        })?;
        let service = input.xks_proxy_vpc_endpoint_service_name.as_deref();
        if service.is_some() || input.xks_proxy_vpc_endpoint_service_owner.is_some() {
            return Err(vpc_service_not_found(service));
        }

        let mut change = Change::new();
        let mut record = KeyStoreRecord::clone(&store.record);
        if let Some(name) = input.new_custom_key_store_name.as_ref().filter(|name| **name != record.name) {
            core.claim_name(place, name, &store.id, &mut change).await?;
            change.delete(place.key_store_name(&record.name));
            record.name.clone_from(name);
        }
        if let Some(endpoint) = &input.xks_proxy_uri_endpoint {
            record.uri_endpoint.clone_from(endpoint);
        }
        if let Some(path) = &input.xks_proxy_uri_path {
            record.uri_path.clone_from(path);
        }
        let (old, new) = (&store.record, &record);
        let old_uri = place.key_store_uri(&old.uri_endpoint, &old.uri_path);
        if old_uri != place.key_store_uri(&new.uri_endpoint, &new.uri_path) {
            core.claim_uri(place, &new.uri_endpoint, &new.uri_path, &store.id, &mut change).await?;
            change.delete(old_uri);
        }
        let given = input.xks_proxy_authentication_credential.as_ref().map(credential);
        if let Some(credential) = &given {
            record.access_key_id.clone_from(&credential.access_key_id);
            let path = place.key_store_credential(&store.id);
            change.put(path, credential.to_fields());
        }
        if elsewhere || input.xks_proxy_uri_path.is_some() || given.is_some() {
            let credential = match given {
                Some(credential) => credential,
                None => core.credential_of(&store).await?,
            };
            let reach = Reach {
                place,
                uri_endpoint: &record.uri_endpoint,
                uri_path: &record.uri_path,
                credential: &credential,
            };
            let origin = request.origin().texts();
            core.check_health(&reach, origin.of_service()).await.map_err(|unfit| unfit.to_fault())?;
        }
        change.update_key_store(&store, &record);
        Ok(request.done(UpdateCustomKeyStoreOutput {}).changing(change))
    }
}
