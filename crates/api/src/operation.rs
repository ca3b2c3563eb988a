//! The operation table: every operation's name, what it demands, and its typed input and output.
//!
//! Dispatch, action names, audit event names, metric labels and the denial tests come from these rows.

#[allow(unused_imports, reason = "no row of IAM is there yet")]
use crate::shapes::iam::*;
use crate::shapes::sts::*;
use crate::shapes::*;
use crate::wire::Shape;

/// The service that an operation belongs to; it decides protocol and credential scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// AWS KMS, JSON 1.1, `TrentService.` targets.
    Kms,
    /// AWS IAM, Query protocol.
    Iam,
    /// AWS STS, Query protocol.
    Sts,
}

impl Service {
    /// The name in a credential scope.
    #[must_use]
    pub const fn scope_name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }

    /// The `eventSource` of audit records.
    #[must_use]
    pub const fn event_source(self) -> &'static str {
        match self {
            Self::Kms => "kms.amazonaws.com",
            Self::Iam => "iam.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
        }
    }

    /// What a target (`X-Amz-Target`) begins with. At AWS only KMS has targets; here callers on this host speak JSON to
    /// every service.
    #[must_use]
    pub const fn target_prefix(self) -> &'static str {
        match self {
            Self::Kms => "TrentService.",
            Self::Iam => "AWSIdentityManagementV20100508.",
            Self::Sts => "AWSSecurityTokenServiceV20110615.",
        }
    }

    /// The version that a request of the Query protocol names.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Kms => "2014-11-01",
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
        }
    }

    /// All of them.
    pub const ALL: &[Self] = &[Self::Kms, Self::Iam, Self::Sts];
}

/// What an operation acts on, as one demand sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// No key: the account itself, resource `*`.
    Account,
    /// The same in the region that ReplicateKey's `ReplicaRegion` names, where a key is to be made.
    ReplicaAccount,
    /// The key that `KeyId` (or, for aliases, `TargetKeyId`) names.
    Key,
    /// The relative of a multi-Region key in the region that UpdatePrimaryRegion's `PrimaryRegion` names.
    RelatedKey,
    /// The key that a ciphertext blob's header names.
    CiphertextKey,
    /// ReEncrypt's `DestinationKeyId`.
    DestinationKey,
    /// The alias that `AliasName` names.
    Alias,
    /// The key to which an alias points now (UpdateAlias, DeleteAlias).
    AliasTarget,
    /// The grant that a token, or a key and an id, name. It decides itself who may retire it.
    Grant,
    /// The identity that `RetiringPrincipal` names.
    RetiringPrincipal,
    /// The user that `UserName` names; where it may be left out, the caller.
    User,
    /// The group that `GroupName` names.
    Group,
    /// The IAM role that `RoleName` or `RoleArn` names.
    IamRole,
    /// The managed policy that `PolicyArn` names, or that is made under `PolicyName`.
    ManagedPolicy,
    /// The provider that `OpenIDConnectProviderArn` names, or that is made for `Url`.
    OidcProvider,
    /// The user, group or role that `PolicySourceArn` names.
    PolicySource,
}

/// When a demand applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Always.
    Always,
    /// Only when the request carries tags.
    Tagged,
}

/// One (action, resource role) pair that must be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Demand {
    /// The IAM action, `kms:Decrypt`.
    pub action: &'static str,
    /// What it acts on.
    pub role: Role,
    /// When it applies.
    pub when: When,
}

/// Whether an operation changes state, which decides how its audit record becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Changes nothing in the store.
    Reads,
    /// Changes records; its audit record is written in the same transaction.
    Changes,
}

/// A row of the operation table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The operation's name: `Decrypt`.
    pub name: &'static str,
    /// Its service.
    pub service: Service,
    /// Everything that must be allowed.
    pub demands: &'static [Demand],
    /// Whether it changes state.
    pub effect: Effect,
}

/// An operation as a type, so that requests of different operations can't be mixed up.
pub trait Operation: Send + Sync + 'static {
    /// Its row of the table.
    const ROW: &'static Row;
    /// The typed input, constraints checked.
    type Input: Shape + Send + Sync + 'static;
    /// The typed output.
    type Output: Shape + Send + Sync + 'static;
}

/// The row of this operation, or `None` where this version doesn't have it: see [`crate::model`] for
/// telling an operation that AWS has from one that nobody has.
#[must_use]
pub fn row(service: Service, name: &str) -> Option<&'static Row> {
    TABLE.iter().copied().find(|row| row.service == service && row.name == name)
}

// The first argument is a dollar sign: `for_each_operation` is a macro made by a macro, and its own
// variables can't be written otherwise.
macro_rules! operations {
    ($dollar:tt; kms { $($kms_row:tt)* } others { $($other_row:tt)* }) => {
        operations! { @rows $dollar; $($kms_row)* $($other_row)* }
        operations! { @kms $dollar; $($kms_row)* }
    };
    (@rows $dollar:tt; $($name:ident, $method:ident, $input:ident, $output:ident, $service:ident, $effect:ident,
       [$($action:literal $role:ident $when:ident),*];)*) => {
        $(
            #[doc = concat!("The operation `", stringify!($name), "`.")]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Operation for $name {
                const ROW: &'static Row = &Row {
                    name: stringify!($name),
                    service: Service::$service,
                    demands: &[$(Demand { action: $action, role: Role::$role, when: When::$when }),*],
                    effect: Effect::$effect,
                };
                type Input = $input;
                type Output = $output;
            }
        )*

        /// Every operation, in the order of the table.
        pub const TABLE: &[&Row] = &[$($name::ROW),*];

        /// Calls the macro `visit` once with the whole table, `Name, method, Input, Output;` for each
        /// operation, to build dispatch from it: `for_each_operation!(visit)` expands to
        /// `visit! { CreateKey, create_key, CreateKeyInput, CreateKeyOutput; … }`. Tokens after the
        /// macro's name, `for_each_operation!(visit a b)`, are handed on in front: `visit! { (a b) … }`.
        #[macro_export]
        macro_rules! for_each_operation {
            ($dollar visit:ident) => {
                $dollar visit! { $($name, $method, $input, $output;)* }
            };
            ($dollar visit:ident $dollar ($dollar before:tt)+) => {
                $dollar visit! { ($dollar ($dollar before)+) $($name, $method, $input, $output;)* }
            };
        }
    };
    (@kms $dollar:tt; $($name:ident, $method:ident, $input:ident, $output:ident, $service:ident, $effect:ident,
       $demands:tt;)*) => {
        /// The same as `for_each_operation`, with the operations of [`Kms`] alone.
        #[macro_export]
        macro_rules! for_each_kms_operation {
            ($dollar visit:ident) => {
                $dollar visit! { $($name, $method, $input, $output;)* }
            };
            ($dollar visit:ident $dollar ($dollar before:tt)+) => {
                $dollar visit! { ($dollar ($dollar before)+) $($name, $method, $input, $output;)* }
            };
        }

        /// A key management service: the engine in this process, one behind its admin socket, or one
        /// across the network. All calls are made as the caller that the value was made for.
        pub trait Kms: Send + Sync {
            $(
                #[doc = concat!("Calls `", stringify!($name), "`.")]
                fn $method<'a>(&'a self, input: $input) -> $crate::CallFuture<'a, $output>;
            )*

            /// Which KMS this is and which setting chose it, for messages:
            /// `the embedded KMS in /x (--data-dir)`.
            fn describe(&self) -> String;
        }
    };
}

operations! {
    $;
    kms {
    CreateKey, create_key, CreateKeyInput, CreateKeyOutput, Kms, Changes,
        ["kms:CreateKey" Account Always, "kms:TagResource" Account Tagged];
    DescribeKey, describe_key, DescribeKeyInput, DescribeKeyOutput, Kms, Reads,
        ["kms:DescribeKey" Key Always];
    ListKeys, list_keys, ListKeysInput, ListKeysOutput, Kms, Reads,
        ["kms:ListKeys" Account Always];
    EnableKey, enable_key, EnableKeyInput, Empty, Kms, Changes,
        ["kms:EnableKey" Key Always];
    DisableKey, disable_key, DisableKeyInput, Empty, Kms, Changes,
        ["kms:DisableKey" Key Always];
    UpdateKeyDescription, update_key_description, UpdateKeyDescriptionInput, Empty, Kms, Changes,
        ["kms:UpdateKeyDescription" Key Always];
    ScheduleKeyDeletion, schedule_key_deletion, ScheduleKeyDeletionInput, ScheduleKeyDeletionOutput, Kms, Changes,
        ["kms:ScheduleKeyDeletion" Key Always];
    CancelKeyDeletion, cancel_key_deletion, CancelKeyDeletionInput, CancelKeyDeletionOutput, Kms, Changes,
        ["kms:CancelKeyDeletion" Key Always];
    EnableKeyRotation, enable_key_rotation, EnableKeyRotationInput, Empty, Kms, Changes,
        ["kms:EnableKeyRotation" Key Always];
    DisableKeyRotation, disable_key_rotation, DisableKeyRotationInput, Empty, Kms, Changes,
        ["kms:DisableKeyRotation" Key Always];
    GetKeyRotationStatus, get_key_rotation_status, GetKeyRotationStatusInput, GetKeyRotationStatusOutput, Kms, Reads,
        ["kms:GetKeyRotationStatus" Key Always];
    ListKeyRotations, list_key_rotations, ListKeyRotationsInput, ListKeyRotationsOutput, Kms, Reads,
        ["kms:ListKeyRotations" Key Always];
    RotateKeyOnDemand, rotate_key_on_demand, RotateKeyOnDemandInput, RotateKeyOnDemandOutput, Kms, Changes,
        ["kms:RotateKeyOnDemand" Key Always];
    GetParametersForImport, get_parameters_for_import,
        GetParametersForImportInput, GetParametersForImportOutput, Kms, Reads,
        ["kms:GetParametersForImport" Key Always];
    ImportKeyMaterial, import_key_material, ImportKeyMaterialInput, ImportKeyMaterialOutput, Kms, Changes,
        ["kms:ImportKeyMaterial" Key Always];
    DeleteImportedKeyMaterial, delete_imported_key_material,
        DeleteImportedKeyMaterialInput, DeleteImportedKeyMaterialOutput, Kms, Changes,
        ["kms:DeleteImportedKeyMaterial" Key Always];
    CreateAlias, create_alias, CreateAliasInput, Empty, Kms, Changes,
        ["kms:CreateAlias" Alias Always, "kms:CreateAlias" Key Always];
    UpdateAlias, update_alias, UpdateAliasInput, Empty, Kms, Changes,
        ["kms:UpdateAlias" Alias Always, "kms:UpdateAlias" AliasTarget Always, "kms:UpdateAlias" Key Always];
    DeleteAlias, delete_alias, DeleteAliasInput, Empty, Kms, Changes,
        ["kms:DeleteAlias" Alias Always, "kms:DeleteAlias" AliasTarget Always];
    ListAliases, list_aliases, ListAliasesInput, ListAliasesOutput, Kms, Reads,
        ["kms:ListAliases" Account Always];
    GenerateDataKey, generate_data_key, GenerateDataKeyInput, GenerateDataKeyOutput, Kms, Reads,
        ["kms:GenerateDataKey" Key Always];
    GenerateDataKeyWithoutPlaintext, generate_data_key_without_plaintext,
        GenerateDataKeyWithoutPlaintextInput, GenerateDataKeyWithoutPlaintextOutput, Kms, Reads,
        ["kms:GenerateDataKeyWithoutPlaintext" Key Always];
    Encrypt, encrypt, EncryptInput, EncryptOutput, Kms, Reads,
        ["kms:Encrypt" Key Always];
    Decrypt, decrypt, DecryptInput, DecryptOutput, Kms, Reads,
        ["kms:Decrypt" CiphertextKey Always];
    ReEncrypt, re_encrypt, ReEncryptInput, ReEncryptOutput, Kms, Reads,
        ["kms:ReEncryptFrom" CiphertextKey Always, "kms:ReEncryptTo" DestinationKey Always];
    GenerateDataKeyPair, generate_data_key_pair, GenerateDataKeyPairInput, GenerateDataKeyPairOutput, Kms, Reads,
        ["kms:GenerateDataKeyPair" Key Always];
    GenerateDataKeyPairWithoutPlaintext, generate_data_key_pair_without_plaintext,
        GenerateDataKeyPairWithoutPlaintextInput, GenerateDataKeyPairWithoutPlaintextOutput, Kms, Reads,
        ["kms:GenerateDataKeyPairWithoutPlaintext" Key Always];
    GetPublicKey, get_public_key, GetPublicKeyInput, GetPublicKeyOutput, Kms, Reads,
        ["kms:GetPublicKey" Key Always];
    Sign, sign, SignInput, SignOutput, Kms, Reads,
        ["kms:Sign" Key Always];
    Verify, verify, VerifyInput, VerifyOutput, Kms, Reads,
        ["kms:Verify" Key Always];
    GenerateMac, generate_mac, GenerateMacInput, GenerateMacOutput, Kms, Reads,
        ["kms:GenerateMac" Key Always];
    VerifyMac, verify_mac, VerifyMacInput, VerifyMacOutput, Kms, Reads,
        ["kms:VerifyMac" Key Always];
    DeriveSharedSecret, derive_shared_secret, DeriveSharedSecretInput, DeriveSharedSecretOutput, Kms, Reads,
        ["kms:DeriveSharedSecret" Key Always];
    Encapsulate, encapsulate, EncapsulateInput, EncapsulateOutput, Kms, Reads,
        ["kms:Encapsulate" Key Always];
    Decapsulate, decapsulate, DecapsulateInput, DecapsulateOutput, Kms, Reads,
        ["kms:Decapsulate" Key Always];
    GenerateRandom, generate_random, GenerateRandomInput, GenerateRandomOutput, Kms, Reads,
        ["kms:GenerateRandom" Account Always];
    TagResource, tag_resource, TagResourceInput, Empty, Kms, Changes,
        ["kms:TagResource" Key Always];
    UntagResource, untag_resource, UntagResourceInput, Empty, Kms, Changes,
        ["kms:UntagResource" Key Always];
    ListResourceTags, list_resource_tags, ListResourceTagsInput, ListResourceTagsOutput, Kms, Reads,
        ["kms:ListResourceTags" Key Always];
    GetKeyPolicy, get_key_policy, GetKeyPolicyInput, GetKeyPolicyOutput, Kms, Reads,
        ["kms:GetKeyPolicy" Key Always];
    PutKeyPolicy, put_key_policy, PutKeyPolicyInput, Empty, Kms, Changes,
        ["kms:PutKeyPolicy" Key Always];
    ListKeyPolicies, list_key_policies, ListKeyPoliciesInput, ListKeyPoliciesOutput, Kms, Reads,
        ["kms:ListKeyPolicies" Key Always];
    CreateGrant, create_grant, CreateGrantInput, CreateGrantOutput, Kms, Changes,
        ["kms:CreateGrant" Key Always];
    ListGrants, list_grants, ListGrantsInput, ListGrantsOutput, Kms, Reads,
        ["kms:ListGrants" Key Always];
    ListRetirableGrants, list_retirable_grants, ListRetirableGrantsInput, ListGrantsOutput, Kms, Reads,
        ["kms:ListRetirableGrants" RetiringPrincipal Always];
    RetireGrant, retire_grant, RetireGrantInput, Empty, Kms, Changes,
        ["kms:RetireGrant" Grant Always];
    RevokeGrant, revoke_grant, RevokeGrantInput, Empty, Kms, Changes,
        ["kms:RevokeGrant" Key Always];
    GetKeyLastUsage, get_key_last_usage, GetKeyLastUsageInput, GetKeyLastUsageOutput, Kms, Reads,
        ["kms:GetKeyLastUsage" Key Always];
    ReplicateKey, replicate_key, ReplicateKeyInput, ReplicateKeyOutput, Kms, Changes,
        ["kms:ReplicateKey" Key Always, "kms:CreateKey" ReplicaAccount Always, "kms:TagResource" ReplicaAccount Tagged];
    UpdatePrimaryRegion, update_primary_region, UpdatePrimaryRegionInput, Empty, Kms, Changes,
        ["kms:UpdatePrimaryRegion" Key Always, "kms:UpdatePrimaryRegion" RelatedKey Always];
    CreateCustomKeyStore, create_custom_key_store, CreateCustomKeyStoreInput, CreateCustomKeyStoreOutput, Kms, Changes,
        ["kms:CreateCustomKeyStore" Account Always];
    DescribeCustomKeyStores, describe_custom_key_stores, DescribeCustomKeyStoresInput, DescribeCustomKeyStoresOutput,
        Kms, Reads,
        ["kms:DescribeCustomKeyStores" Account Always];
    UpdateCustomKeyStore, update_custom_key_store, UpdateCustomKeyStoreInput, UpdateCustomKeyStoreOutput, Kms, Changes,
        ["kms:UpdateCustomKeyStore" Account Always];
    ConnectCustomKeyStore, connect_custom_key_store, ConnectCustomKeyStoreInput, ConnectCustomKeyStoreOutput, Kms,
        Changes,
        ["kms:ConnectCustomKeyStore" Account Always];
    DisconnectCustomKeyStore, disconnect_custom_key_store, DisconnectCustomKeyStoreInput,
        DisconnectCustomKeyStoreOutput, Kms, Changes,
        ["kms:DisconnectCustomKeyStore" Account Always];
    DeleteCustomKeyStore, delete_custom_key_store, DeleteCustomKeyStoreInput, DeleteCustomKeyStoreOutput, Kms, Changes,
        ["kms:DeleteCustomKeyStore" Account Always];
    GetCallerIdentity, get_caller_identity, GetCallerIdentityInput, GetCallerIdentityOutput, Sts, Reads,
        [];
    }
    others {
    }
}
