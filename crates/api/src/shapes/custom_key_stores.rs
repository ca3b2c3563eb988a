//! Custom key stores: key material that an HSM cluster or an external proxy holds.

use crate::enums::{
    ConnectionErrorCodeType, ConnectionStateType, CustomKeyStoreType, XksProxyConnectivityType,
};
use crate::secret::SecretText;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    CUSTOM_KEY_STORES;

    /// A key that lives in an external key store.
    #[derive(Clone, PartialEq, Eq, Default)]
    XksKeyConfigurationType {
        id: Option<String> = "Id",
    }

    /// With what requests to an external key store's proxy are signed.
    #[derive(Default)]
    XksProxyAuthenticationCredentialType {
        access_key_id: SecretText = "AccessKeyId",
        raw_secret_access_key: SecretText = "RawSecretAccessKey",
    }

    /// How an external key store's proxy is reached.
    #[derive(Default)]
    XksProxyConfigurationType {
        connectivity: Option<XksProxyConnectivityType> = "Connectivity",
        /// Sensitive in the model. Empty when absent.
        access_key_id: SecretText = "AccessKeyId",
        uri_endpoint: Option<String> = "UriEndpoint",
        uri_path: Option<String> = "UriPath",
        vpc_endpoint_service_name: Option<String> = "VpcEndpointServiceName",
        vpc_endpoint_service_owner: Option<String> = "VpcEndpointServiceOwner",
    }

    /// A custom key store as DescribeCustomKeyStores shows it.
    CustomKeyStoresListEntry {
        custom_key_store_id: String = "CustomKeyStoreId",
        custom_key_store_name: String = "CustomKeyStoreName",
        cloud_hsm_cluster_id: Option<String> = "CloudHsmClusterId",
        /// PEM.
        trust_anchor_certificate: Option<String> = "TrustAnchorCertificate",
        connection_state: ConnectionStateType = "ConnectionState",
        /// Only while the state is `FAILED`.
        connection_error_code: Option<ConnectionErrorCodeType> = "ConnectionErrorCode",
        creation_date: Timestamp = "CreationDate",
        custom_key_store_type: CustomKeyStoreType = "CustomKeyStoreType" or_default,
        xks_proxy_configuration: Option<XksProxyConfigurationType> = "XksProxyConfiguration",
    }

    /// Input of `CreateCustomKeyStore`.
    #[derive(Default)]
    CreateCustomKeyStoreInput {
        custom_key_store_name: String = "CustomKeyStoreName",
        cloud_hsm_cluster_id: Option<String> = "CloudHsmClusterId",
        /// PEM.
        trust_anchor_certificate: Option<String> = "TrustAnchorCertificate",
        /// Empty when absent: a password has 7 to 32 characters.
        key_store_password: SecretText = "KeyStorePassword",
        /// `AWS_CLOUDHSM` when absent.
        custom_key_store_type: Option<CustomKeyStoreType> = "CustomKeyStoreType",
        xks_proxy_uri_endpoint: Option<String> = "XksProxyUriEndpoint",
        xks_proxy_uri_path: Option<String> = "XksProxyUriPath",
        xks_proxy_vpc_endpoint_service_name: Option<String> = "XksProxyVpcEndpointServiceName",
        xks_proxy_vpc_endpoint_service_owner: Option<String> = "XksProxyVpcEndpointServiceOwner",
        xks_proxy_authentication_credential: Option<XksProxyAuthenticationCredentialType> = "XksProxyAuthenticationCredential",
        xks_proxy_connectivity: Option<XksProxyConnectivityType> = "XksProxyConnectivity",
    }

    /// Output of `CreateCustomKeyStore`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateCustomKeyStoreOutput {
        custom_key_store_id: String = "CustomKeyStoreId",
    }

    /// Input of `DescribeCustomKeyStores`. Either id or name, or neither for all.
    #[derive(Clone, PartialEq, Eq, Default)]
    DescribeCustomKeyStoresInput {
        custom_key_store_id: Option<String> = "CustomKeyStoreId",
        custom_key_store_name: Option<String> = "CustomKeyStoreName",
        /// 1 to 1000.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
    }

    /// Output of `DescribeCustomKeyStores`.
    #[derive(Default)]
    DescribeCustomKeyStoresOutput {
        custom_key_stores: Vec<CustomKeyStoresListEntry> = "CustomKeyStores" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }

    /// Input of `UpdateCustomKeyStore`.
    #[derive(Default)]
    UpdateCustomKeyStoreInput {
        custom_key_store_id: String = "CustomKeyStoreId",
        new_custom_key_store_name: Option<String> = "NewCustomKeyStoreName",
        /// Empty when absent: a password has 7 to 32 characters.
        key_store_password: SecretText = "KeyStorePassword",
        cloud_hsm_cluster_id: Option<String> = "CloudHsmClusterId",
        xks_proxy_uri_endpoint: Option<String> = "XksProxyUriEndpoint",
        xks_proxy_uri_path: Option<String> = "XksProxyUriPath",
        xks_proxy_vpc_endpoint_service_name: Option<String> = "XksProxyVpcEndpointServiceName",
        xks_proxy_vpc_endpoint_service_owner: Option<String> = "XksProxyVpcEndpointServiceOwner",
        xks_proxy_authentication_credential: Option<XksProxyAuthenticationCredentialType> = "XksProxyAuthenticationCredential",
        xks_proxy_connectivity: Option<XksProxyConnectivityType> = "XksProxyConnectivity",
    }

    /// Output of `UpdateCustomKeyStore`. A body without members, unlike [`Empty`](super::Empty).
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateCustomKeyStoreOutput {}

    /// Input of `ConnectCustomKeyStore`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ConnectCustomKeyStoreInput {
        custom_key_store_id: String = "CustomKeyStoreId",
    }

    /// Output of `ConnectCustomKeyStore`. A body without members, unlike [`Empty`](super::Empty).
    #[derive(Clone, PartialEq, Eq, Default)]
    ConnectCustomKeyStoreOutput {}

    /// Input of `DisconnectCustomKeyStore`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DisconnectCustomKeyStoreInput {
        custom_key_store_id: String = "CustomKeyStoreId",
    }

    /// Output of `DisconnectCustomKeyStore`. A body without members, unlike [`Empty`](super::Empty).
    #[derive(Clone, PartialEq, Eq, Default)]
    DisconnectCustomKeyStoreOutput {}

    /// Input of `DeleteCustomKeyStore`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteCustomKeyStoreInput {
        custom_key_store_id: String = "CustomKeyStoreId",
    }

    /// Output of `DeleteCustomKeyStore`. A body without members, unlike [`Empty`](super::Empty).
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteCustomKeyStoreOutput {}
}
