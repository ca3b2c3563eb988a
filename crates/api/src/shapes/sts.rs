//! Sessions, and who calls (AWS STS).

use crate::secret::SecretText;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    STS;

    /// Credentials of a session.
    #[derive(Default)]
    Credentials {
        /// `ASIA` and 16 characters.
        access_key_id: String = "AccessKeyId",
        /// 40 characters.
        secret_access_key: SecretText = "SecretAccessKey",
        session_token: String = "SessionToken",
        expiration: Timestamp = "Expiration",
    }

    /// Who a session of a role is.
    #[derive(Clone, PartialEq, Eq, Default)]
    AssumedRoleUser {
        assumed_role_id: String = "AssumedRoleId",
        arn: String = "Arn",
    }

    /// A managed policy of a session.
    #[derive(Clone, PartialEq, Eq, Default)]
    PolicyDescriptorType {
        arn: Option<String> = "arn",
    }

    /// Context that another service vouches for.
    #[derive(Clone, PartialEq, Eq, Default)]
    ProvidedContext {
        provider_arn: Option<String> = "ProviderArn",
        context_assertion: Option<String> = "ContextAssertion",
    }

    /// A tag of a session.
    #[derive(Clone, PartialEq, Eq, Default)]
    Tag {
        key: String = "Key",
        value: String = "Value",
    }

    /// Input of `AssumeRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    AssumeRoleInput {
        role_arn: String = "RoleArn",
        role_session_name: String = "RoleSessionName",
        policy_arns: Vec<PolicyDescriptorType> = "PolicyArns",
        policy: Option<String> = "Policy",
        duration_seconds: Option<u32> = "DurationSeconds",
        tags: Vec<Tag> = "Tags",
        transitive_tag_keys: Vec<String> = "TransitiveTagKeys",
        external_id: Option<String> = "ExternalId",
        serial_number: Option<String> = "SerialNumber",
        token_code: Option<String> = "TokenCode",
        source_identity: Option<String> = "SourceIdentity",
        provided_contexts: Vec<ProvidedContext> = "ProvidedContexts",
        minimum_session_token_size: Option<u32> = "MinimumSessionTokenSize",
    }

    /// Output of `AssumeRole`.
    #[derive(Default)]
    AssumeRoleOutput {
        credentials: Credentials = "Credentials",
        assumed_role_user: AssumedRoleUser = "AssumedRoleUser",
        packed_policy_size: Option<u32> = "PackedPolicySize",
        source_identity: Option<String> = "SourceIdentity",
        session_token_utilization: Option<u32> = "SessionTokenUtilization",
        session_token_size: Option<u32> = "SessionTokenSize",
    }

    /// Input of `AssumeRoleWithWebIdentity`.
    #[derive(Default)]
    AssumeRoleWithWebIdentityInput {
        role_arn: String = "RoleArn",
        role_session_name: String = "RoleSessionName",
        web_identity_token: SecretText = "WebIdentityToken",
        provider_id: Option<String> = "ProviderId",
        policy_arns: Vec<PolicyDescriptorType> = "PolicyArns",
        policy: Option<String> = "Policy",
        duration_seconds: Option<u32> = "DurationSeconds",
        minimum_session_token_size: Option<u32> = "MinimumSessionTokenSize",
    }

    /// Output of `AssumeRoleWithWebIdentity`.
    #[derive(Default)]
    AssumeRoleWithWebIdentityOutput {
        credentials: Credentials = "Credentials",
        subject_from_web_identity_token: Option<String> = "SubjectFromWebIdentityToken",
        assumed_role_user: AssumedRoleUser = "AssumedRoleUser",
        packed_policy_size: Option<u32> = "PackedPolicySize",
        provider: Option<String> = "Provider",
        audience: Option<String> = "Audience",
        source_identity: Option<String> = "SourceIdentity",
        session_token_utilization: Option<u32> = "SessionTokenUtilization",
        session_token_size: Option<u32> = "SessionTokenSize",
    }

    /// Input of `GetSessionToken`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetSessionTokenInput {
        duration_seconds: Option<u32> = "DurationSeconds",
        serial_number: Option<String> = "SerialNumber",
        token_code: Option<String> = "TokenCode",
        minimum_session_token_size: Option<u32> = "MinimumSessionTokenSize",
    }

    /// Output of `GetSessionToken`.
    #[derive(Default)]
    GetSessionTokenOutput {
        credentials: Credentials = "Credentials",
        session_token_utilization: Option<u32> = "SessionTokenUtilization",
        session_token_size: Option<u32> = "SessionTokenSize",
    }

    /// Input of `GetAccessKeyInfo`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetAccessKeyInfoInput {
        access_key_id: String = "AccessKeyId",
    }

    /// Output of `GetAccessKeyInfo`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetAccessKeyInfoOutput {
        account: String = "Account",
    }

    /// Input of `GetCallerIdentity`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetCallerIdentityInput {}

    /// Output of `GetCallerIdentity`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetCallerIdentityOutput {
        user_id: String = "UserId",
        account: String = "Account",
        arn: String = "Arn",
    }
}
