//! Custom key stores as requests see them, and what is asked of their proxies on behalf of a request.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::record::{CredentialFields, KeyStoreRecord, Place, owner_fields};
use crate::xks::{XksError, XksOrigin, XksProxy};
use bulla_api::{
    ConnectionErrorCodeType, ConnectionStateType, CustomKeyStoreType, CustomKeyStoresListEntry, ErrorCode,
    SecretBytes, SecretText, Timestamp, XksProxyAuthenticationCredentialType, XksProxyConfigurationType,
    XksProxyConnectivityType,
};
use bulla_crypto::Rng;
use bulla_store::{Generation, Stored};
use std::sync::Arc;

/// What is said when all external key managers of a proxy are unavailable. Source: AWS KMS developer guide, "Troubleshooting
/// external key stores".
const UNHEALTHY: &str = "The external key store proxy is in an unhealthy state. If you see this message repeatedly, notify \
                         your external key store proxy administrator.";
/// The specification's text for a store that is not connected.
const NOT_CONNECTED: &str = "This KMS key is in a custom key store that is not connected to its external key store proxy. \
                             Connect the external key store and try the request again.";

/// A custom key store: its record and its place.
#[derive(Debug)]
pub(crate) struct KeyStore {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) record: KeyStoreRecord,
    pub(crate) generation: Generation,
}

/// A new id: `cks-` and 17 hex digits, as AWS's have.
pub(crate) fn new_id(rng: &dyn Rng) -> String {
    let mut random = [0; 9];
    rng.fill(&mut random);
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("cks-{}", digits.get(1..).unwrap_or_default())
}

impl KeyStore {
    pub(crate) fn of(place: &Place, id: String, stored: Stored) -> Result<Self, Fault> {
        let record = KeyStoreRecord::of(stored.fields)?;
        Ok(Self { place: place.clone(), id, record, generation: stored.generation })
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.record.state == ConnectionStateType::Connected
    }

    /// Fails when the store is in none of these states.
    pub(crate) fn require_state(&self, states: &[ConnectionStateType]) -> Result<(), Fault> {
        if states.contains(&self.record.state) {
            return Ok(());
        }
        let wanted: Vec<_> = states.iter().map(|state| state.as_str()).collect();
        Err(Fault::answer(
            ErrorCode::CustomKeyStoreInvalidStateException,
            format!(
                "The ConnectionState of the custom key store {} is {}. This operation is valid for {}.",
                self.id,
                self.record.state,
                wanted.join(" or ")
            ),
        ))
    }

    /// Fails when no key can be made here now.
    pub(crate) fn require_connected_to_create(&self) -> Result<(), Fault> {
        if self.is_connected() {
            return Ok(());
        }
        Err(Fault::answer(ErrorCode::CustomKeyStoreInvalidStateException, NOT_CONNECTED))
    }

    /// What DescribeCustomKeyStores tells.
    pub(crate) fn entry(&self) -> CustomKeyStoresListEntry {
        CustomKeyStoresListEntry {
            custom_key_store_id: self.id.clone(),
            custom_key_store_name: self.record.name.clone(),
            cloud_hsm_cluster_id: None,
            trust_anchor_certificate: None,
            connection_state: self.record.state,
            connection_error_code: self.record.error,
            creation_date: Timestamp::from_millis(self.record.created_ms),
            custom_key_store_type: CustomKeyStoreType::ExternalKeyStore,
            xks_proxy_configuration: Some(XksProxyConfigurationType {
                connectivity: Some(XksProxyConnectivityType::PublicEndpoint),
                access_key_id: SecretText::copy_of(&self.record.access_key_id),
                uri_endpoint: Some(self.record.uri_endpoint.clone()),
                uri_path: Some(self.record.uri_path.clone()),
                vpc_endpoint_service_name: None,
                vpc_endpoint_service_owner: None,
            }),
        }
    }
}

/// A store that is not there.
pub(crate) fn not_found(id_or_name: &str) -> Fault {
    Fault::answer(
        ErrorCode::CustomKeyStoreNotFoundException,
        format!("The custom key store {id_or_name} is not found."),
    )
}

/// There are no VPC endpoint services here, so that none is found.
pub(crate) fn vpc_service_not_found(name: Option<&str>) -> Fault {
    Fault::answer(
        ErrorCode::XksProxyVpcEndpointServiceNotFoundException,
        format!("The VPC endpoint service {} is not found.", name.unwrap_or_default()),
    )
}

/// A VPC endpoint service is named where one is used, and only there.
pub(crate) fn check_vpc_service(
    connectivity: Option<XksProxyConnectivityType>,
    service: Option<&str>,
) -> Result<(), Fault> {
    let text = match (connectivity, service) {
        (Some(XksProxyConnectivityType::VpcEndpointService), None) => {
            "XksProxyVpcEndpointServiceName is required for an XksProxyConnectivity of VPC_ENDPOINT_SERVICE."
        }
        (Some(XksProxyConnectivityType::PublicEndpoint), Some(_)) => {
            "XksProxyVpcEndpointServiceName is valid only for an XksProxyConnectivity of VPC_ENDPOINT_SERVICE."
        }
        _ => return Ok(()),
    };
    Err(Fault::answer(ErrorCode::ValidationException, text))
}

/// A credential as it was given.
pub(crate) fn credential(given: &XksProxyAuthenticationCredentialType) -> CredentialFields {
    CredentialFields {
        access_key_id: given.access_key_id.expose().to_owned(),
        secret_access_key: SecretBytes::copy_of(given.raw_secret_access_key.expose().as_bytes()),
    }
}

/// A cryptographic operation on a key whose store is not connected.
pub(crate) fn not_connected() -> Fault {
    Fault::answer(ErrorCode::KMSInvalidStateException, NOT_CONNECTED)
}

/// Where a proxy is, and with what requests to it are signed: as it is stored, or as it is about to be.
pub(crate) struct Reach<'r> {
    pub(crate) place: &'r Place,
    pub(crate) uri_endpoint: &'r str,
    pub(crate) uri_path: &'r str,
    pub(crate) credential: &'r CredentialFields,
}

impl Reach<'_> {
    pub(crate) fn proxy(&self) -> XksProxy<'_> {
        XksProxy {
            uri_endpoint: self.uri_endpoint,
            uri_path: self.uri_path,
            region: self.place.region.as_str(),
            access_key_id: &self.credential.access_key_id,
            secret_access_key: &self.credential.secret_access_key,
        }
    }
}

/// Why a proxy can't be used as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Failed(XksError),
    /// It answers, and none of its external key managers can serve.
    Unhealthy,
}

impl Unfit {
    /// What CreateCustomKeyStore and UpdateCustomKeyStore say. Source: the specification's table of failure scenarios.
    pub(crate) fn to_fault(self) -> Fault {
        use ErrorCode as Code;
        let Self::Failed(error) = self else {
            return Fault::answer(Code::XksProxyUriUnreachableException, UNHEALTHY);
        };
        let code = match error {
            XksError::AuthenticationFailed => Code::XksProxyIncorrectAuthenticationCredentialException,
            XksError::InvalidUriPath => Code::XksProxyInvalidConfigurationException,
            XksError::Unreachable
            | XksError::Tls
            | XksError::TimedOut
            | XksError::DependencyTimeout
            | XksError::Throttled => Code::XksProxyUriUnreachableException,
            XksError::Validation
            | XksError::InvalidState
            | XksError::InvalidCiphertext
            | XksError::InvalidKeyUsage
            | XksError::AccessDenied
            | XksError::KeyNotFound
            | XksError::UnsupportedOperation
            | XksError::Internal
            | XksError::Malformed => Code::XksProxyInvalidResponseException,
        };
        Fault::answer(code, error.to_string())
    }

    /// What a store is FAILED with. Source: AWS KMS developer guide, "Connection error codes for external key stores".
    pub(crate) const fn to_connection_error(self) -> ConnectionErrorCodeType {
        use ConnectionErrorCodeType as Code;
        let Self::Failed(error) = self else { return Code::XksProxyNotReachable };
        match error {
            XksError::AuthenticationFailed => Code::InvalidCredentials,
            XksError::AccessDenied => Code::XksProxyAccessDenied,
            XksError::InvalidUriPath => Code::XksProxyInvalidConfiguration,
            XksError::Tls => Code::XksProxyInvalidTlsConfiguration,
            XksError::TimedOut | XksError::DependencyTimeout => Code::XksProxyTimedOut,
            XksError::Unreachable | XksError::Throttled | XksError::Internal => Code::XksProxyNotReachable,
            XksError::Validation
            | XksError::InvalidState
            | XksError::InvalidCiphertext
            | XksError::InvalidKeyUsage
            | XksError::KeyNotFound
            | XksError::UnsupportedOperation
            | XksError::Malformed => Code::XksProxyInvalidResponse,
        }
    }
}

impl Core {
    /// The custom key store of this id, if there is one.
    pub(crate) async fn key_store(&self, place: &Place, id: &str) -> Result<Option<Arc<KeyStore>>, Fault> {
        let cache_key = (place.account, place.region.clone(), id.to_owned());
        if let Some(store) = self.key_stores.get(&cache_key) {
            return Ok(Some(store));
        }
        let epoch = self.epoch.now();
        let Some(stored) = self.vault.read(&place.key_store(id)).await? else { return Ok(None) };
        let store = Arc::new(KeyStore::of(place, id.to_owned(), stored)?);
        self.key_stores.keep(&self.epoch, epoch, cache_key, Arc::clone(&store));
        Ok(Some(store))
    }

    /// The custom key store that a request names by its id.
    pub(crate) async fn named_key_store(&self, place: &Place, id: &str) -> Result<Arc<KeyStore>, Fault> {
        self.key_store(place, id).await?.ok_or_else(|| not_found(id))
    }

    /// The credential of a store, read for one use and wiped after it.
    pub(crate) async fn credential_of(&self, store: &KeyStore) -> Result<CredentialFields, Fault> {
        match self.vault.read(&store.place.key_store_credential(&store.id)).await? {
            Some(stored) => CredentialFields::of(&stored.fields),
            // Deleted since it was looked up, perhaps.
            None => match self.key_store(&store.place, &store.id).await? {
                Some(_) => Err(Fault::Incomplete("a proxy's credential")),
                None => Err(not_found(&store.id)),
            },
        }
    }

    /// Takes a name for a store, which nobody else may have.
    pub(crate) async fn claim_name(
        &self,
        place: &Place,
        name: &str,
        id: &str,
        change: &mut Change,
    ) -> Result<(), Fault> {
        let path = place.key_store_name(name);
        if self.vault.read(&path).await?.is_some() {
            return Err(Fault::answer(
                ErrorCode::CustomKeyStoreNameInUseException,
                format!("The custom key store name {name} is already in use."),
            ));
        }
        change.expect_absent(path.clone()).put(path, owner_fields(id));
        Ok(())
    }

    /// Takes an endpoint with a path for a store, which nobody else may have.
    pub(crate) async fn claim_uri(
        &self,
        place: &Place,
        uri_endpoint: &str,
        uri_path: &str,
        id: &str,
        change: &mut Change,
    ) -> Result<(), Fault> {
        let path = place.key_store_uri(uri_endpoint, uri_path);
        if self.vault.read(&path).await?.is_some() {
            return Err(Fault::answer(
                ErrorCode::XksProxyUriInUseException,
                format!(
                    "The external key store proxy URI {uri_endpoint}{uri_path} is already associated with another external \
                     key store."
                ),
            ));
        }
        change.expect_absent(path.clone()).put(path, owner_fields(id));
        Ok(())
    }

    /// Whether a proxy can be used.
    pub(crate) async fn check_health(&self, reach: &Reach<'_>, origin: XksOrigin<'_>) -> Result<(), Unfit> {
        match self.options.xks.health(reach.proxy(), origin).await {
            Ok(health) if health.available => Ok(()),
            Ok(_) => Err(Unfit::Unhealthy),
            Err(error) => Err(Unfit::Failed(error)),
        }
    }
}
