//! OpenID Connect providers.

use super::Tag;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    OIDC_PROVIDERS;

    /// One piece of context.
    #[derive(Clone, PartialEq, Eq, Default)]
    ContextProviderKeyDefinition {
        source_key: String = "SourceKey",
        target_key: Option<String> = "TargetKey",
    }

    /// Where a provider has more of a session's context from.
    #[derive(Clone, PartialEq, Eq, Default)]
    ContextProvider {
        key_definition_list: Vec<ContextProviderKeyDefinition> = "KeyDefinitionList",
        subject_source_key: String = "SubjectSourceKey",
        subject_type_value: Option<String> = "SubjectTypeValue",
        subject_type_source_key: Option<String> = "SubjectTypeSourceKey",
    }

    /// A provider as ListOpenIDConnectProviders names it.
    #[derive(Clone, PartialEq, Eq, Default)]
    OpenIDConnectProviderListEntry {
        arn: String = "Arn",
        is_trusted_identity_propagation_enabled: Option<bool> = "IsTrustedIdentityPropagationEnabled",
    }

    /// Input of `CreateOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateOpenIDConnectProviderInput {
        url: String = "Url",
        client_id_list: Vec<String> = "ClientIDList",
        thumbprint_list: Vec<String> = "ThumbprintList",
        tags: Vec<Tag> = "Tags",
        context_provider: Option<ContextProvider> = "ContextProvider",
        identity_center_instance_arn: Option<String> = "IdentityCenterInstanceArn",
    }

    /// Output of `CreateOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateOpenIDConnectProviderOutput {
        open_id_connect_provider_arn: String = "OpenIDConnectProviderArn",
        tags: Vec<Tag> = "Tags",
    }

    /// Input of `GetOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetOpenIDConnectProviderInput {
        open_id_connect_provider_arn: String = "OpenIDConnectProviderArn",
    }

    /// Output of `GetOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetOpenIDConnectProviderOutput {
        url: String = "Url",
        client_id_list: Vec<String> = "ClientIDList" always,
        thumbprint_list: Vec<String> = "ThumbprintList" always,
        create_date: Timestamp = "CreateDate",
        tags: Vec<Tag> = "Tags",
        context_provider: Option<ContextProvider> = "ContextProvider",
        identity_center_instance_arn: Option<String> = "IdentityCenterInstanceArn",
        identity_store_arn: Option<String> = "IdentityStoreArn",
    }

    /// Input of `DeleteOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteOpenIDConnectProviderInput {
        open_id_connect_provider_arn: String = "OpenIDConnectProviderArn",
    }

    /// Input of `ListOpenIDConnectProviders`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListOpenIDConnectProvidersInput {}

    /// Output of `ListOpenIDConnectProviders`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListOpenIDConnectProvidersOutput {
        open_id_connect_provider_list: Vec<OpenIDConnectProviderListEntry> = "OpenIDConnectProviderList" always,
    }

    /// Input of `AddClientIDToOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    AddClientIDToOpenIDConnectProviderInput {
        open_id_connect_provider_arn: String = "OpenIDConnectProviderArn",
        client_id: String = "ClientID",
    }

    /// Input of `RemoveClientIDFromOpenIDConnectProvider`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RemoveClientIDFromOpenIDConnectProviderInput {
        open_id_connect_provider_arn: String = "OpenIDConnectProviderArn",
        client_id: String = "ClientID",
    }
}
