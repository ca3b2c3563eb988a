//! CreateCustomKeyStore.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::{Reach, check_vpc_service, credential, new_id, vpc_service_not_found};
use crate::pipeline::Executed;
use crate::record::{Counts, KeyStoreRecord};
use bulla_api::{
    ConnectionStateType, CreateCustomKeyStore, CreateCustomKeyStoreInput, CreateCustomKeyStoreOutput,
    CustomKeyStoreType, ErrorCode, XksProxyConnectivityType,
};
use bulla_audit::Parameters;
use bulla_store::Fields;
use std::sync::Arc;

/// Custom key stores in one account and region (AWS KMS developer guide, "Resource quotas").
const KEY_STORES_MAX: u64 = 10;

impl Executes for CreateCustomKeyStore {
    fn check(input: &CreateCustomKeyStoreInput) -> Result<(), Fault> {
        match input.custom_key_store_type.unwrap_or_default() {
            CustomKeyStoreType::AwsCloudhsm => check_cluster(input),
            CustomKeyStoreType::ExternalKeyStore => check_external(input),
        }
    }

    fn names(_input: &CreateCustomKeyStoreInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &CreateCustomKeyStoreInput) -> Parameters {
        Parameters::new()
            .text("customKeyStoreName", input.custom_key_store_name.as_str())
            .maybe_text("clusterId", input.cloud_hsm_cluster_id.as_deref())
            .maybe_text("customKeyStoreType", input.custom_key_store_type.map(CustomKeyStoreType::as_str))
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
        let (input, place) = (request.input(), request.place().clone());
        if input.custom_key_store_type.unwrap_or_default() == CustomKeyStoreType::AwsCloudhsm {
            return Err(cluster_not_found(input));
        }
        if input.xks_proxy_connectivity == Some(XksProxyConnectivityType::VpcEndpointService) {
            return Err(vpc_service_not_found(input.xks_proxy_vpc_endpoint_service_name.as_deref()));
        }
        // `check` has seen that these are there.
        let (Some(uri_endpoint), Some(uri_path), Some(given)) = (
            &input.xks_proxy_uri_endpoint,
            &input.xks_proxy_uri_path,
            &input.xks_proxy_authentication_credential,
        ) else {
            return Err(Fault::bug("an external key store without its proxy was admitted"));
        };
        let id = new_id(core.rng());
        let mut change = Change::new();
        core.claim_name(&place, &input.custom_key_store_name, &id, &mut change).await?;
        core.claim_uri(&place, uri_endpoint, uri_path, &id, &mut change).await?;

        // Before the counts, which one change at a time may look at: nobody waits for a stranger's proxy but its caller.
        let credential = credential(given);
        let reach = Reach { place: &place, uri_endpoint, uri_path, credential: &credential };
        let origin = request.origin().texts();
        core.check_health(&reach, origin.of_service()).await.map_err(|unfit| unfit.to_fault())?;

        let counts = core.counts(&place, &mut change).await?;
        if counts.key_stores >= KEY_STORES_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                "The account has as many custom key stores as it can.",
            ));
        }
        change.put(place.counts(), Counts { key_stores: counts.key_stores + 1, ..counts }.to_fields());

        let record = KeyStoreRecord {
            name: input.custom_key_store_name.clone(),
            created_ms: core.clock.wall_ms(),
            state: ConnectionStateType::Disconnected,
            error: None,
            uri_endpoint: uri_endpoint.clone(),
            uri_path: uri_path.clone(),
            access_key_id: credential.access_key_id.clone(),
            keys: 0,
            fields: Fields::new(),
        };
        change.expect_absent(place.key_store(&id)).put(place.key_store(&id), record.to_fields());
        change.put(place.key_store_credential(&id), credential.to_fields());
        let response = Parameters::new().text("customKeyStoreId", id.as_str());
        let executed = request.done(CreateCustomKeyStoreOutput { custom_key_store_id: id });
        Ok(executed.changing(change).telling(response))
    }
}

/// A CloudHSM key store names its cluster, and what opens it.
fn check_cluster(input: &CreateCustomKeyStoreInput) -> Result<(), Fault> {
    if has_proxy(input) {
        return Err(invalid(
            "The parameters of an external key store proxy are valid only for a CustomKeyStoreType of EXTERNAL_KEY_STORE.",
        ));
    }
    if input.cloud_hsm_cluster_id.is_none()
        || input.trust_anchor_certificate.is_none()
        || input.key_store_password.is_empty()
    {
        return Err(invalid(
            "CloudHsmClusterId, TrustAnchorCertificate and KeyStorePassword are required for a CustomKeyStoreType of \
             AWS_CLOUDHSM.",
        ));
    }
    Ok(())
}

/// An external key store names its proxy, and what signs requests to it.
fn check_external(input: &CreateCustomKeyStoreInput) -> Result<(), Fault> {
    if input.cloud_hsm_cluster_id.is_some()
        || input.trust_anchor_certificate.is_some()
        || !input.key_store_password.is_empty()
    {
        return Err(invalid(
            "CloudHsmClusterId, TrustAnchorCertificate and KeyStorePassword are valid only for a CustomKeyStoreType of \
             AWS_CLOUDHSM.",
        ));
    }
    if input.xks_proxy_connectivity.is_none()
        || input.xks_proxy_authentication_credential.is_none()
        || input.xks_proxy_uri_endpoint.is_none()
        || input.xks_proxy_uri_path.is_none()
    {
        return Err(invalid(
            "XksProxyConnectivity, XksProxyAuthenticationCredential, XksProxyUriEndpoint and XksProxyUriPath are required \
             for a CustomKeyStoreType of EXTERNAL_KEY_STORE.",
        ));
    }
    check_vpc_service(input.xks_proxy_connectivity, input.xks_proxy_vpc_endpoint_service_name.as_deref())
}

fn has_proxy(input: &CreateCustomKeyStoreInput) -> bool {
    input.xks_proxy_connectivity.is_some()
        || input.xks_proxy_authentication_credential.is_some()
        || input.xks_proxy_uri_endpoint.is_some()
        || input.xks_proxy_uri_path.is_some()
        || input.xks_proxy_vpc_endpoint_service_name.is_some()
        || input.xks_proxy_vpc_endpoint_service_owner.is_some()
}

/// There are no CloudHSM clusters here, so that none is found.
fn cluster_not_found(input: &CreateCustomKeyStoreInput) -> Fault {
    Fault::answer(
        ErrorCode::CloudHsmClusterNotFoundException,
        format!(
            "The CloudHSM cluster {} is not found.",
            input.cloud_hsm_cluster_id.as_deref().unwrap_or_default()
        ),
    )
}
