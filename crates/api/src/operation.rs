//! The operation table: every operation's name, what it demands, and its typed input and output.
//!
//! Dispatch, action names, audit event names, metric labels and the denial tests come from these rows.

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
    /// The user that UpdateUser makes of one, by another name or in another path; the same again where it is neither.
    RenamedUser,
    /// The same of UpdateGroup and a group.
    RenamedGroup,
    /// The user, group or role that `PolicySourceArn` names.
    PolicySource,
    /// The IAM role that `RoleArn` names, of whichever account: its trust policy decides who may assume it.
    RoleToAssume,
}

/// When a demand applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Always.
    Always,
    /// Only when the request carries tags.
    Tagged,
    /// Only when the request carries a source identity, or comes of a session that has one.
    Sourced,
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
    CreateUser, create_user, CreateUserInput, CreateUserOutput, Iam, Changes,
        ["iam:CreateUser" User Always, "iam:TagUser" User Tagged];
    GetUser, get_user, GetUserInput, GetUserOutput, Iam, Reads,
        ["iam:GetUser" User Always];
    UpdateUser, update_user, UpdateUserInput, Empty, Iam, Changes,
        ["iam:UpdateUser" User Always, "iam:UpdateUser" RenamedUser Always];
    DeleteUser, delete_user, DeleteUserInput, Empty, Iam, Changes,
        ["iam:DeleteUser" User Always];
    ListUsers, list_users, ListUsersInput, ListUsersOutput, Iam, Reads,
        ["iam:ListUsers" Account Always];
    TagUser, tag_user, TagUserInput, Empty, Iam, Changes,
        ["iam:TagUser" User Always];
    UntagUser, untag_user, UntagUserInput, Empty, Iam, Changes,
        ["iam:UntagUser" User Always];
    ListUserTags, list_user_tags, ListUserTagsInput, ListUserTagsOutput, Iam, Reads,
        ["iam:ListUserTags" User Always];
    CreateGroup, create_group, CreateGroupInput, CreateGroupOutput, Iam, Changes,
        ["iam:CreateGroup" Group Always];
    GetGroup, get_group, GetGroupInput, GetGroupOutput, Iam, Reads,
        ["iam:GetGroup" Group Always];
    UpdateGroup, update_group, UpdateGroupInput, Empty, Iam, Changes,
        ["iam:UpdateGroup" Group Always, "iam:UpdateGroup" RenamedGroup Always];
    DeleteGroup, delete_group, DeleteGroupInput, Empty, Iam, Changes,
        ["iam:DeleteGroup" Group Always];
    ListGroups, list_groups, ListGroupsInput, ListGroupsOutput, Iam, Reads,
        ["iam:ListGroups" Account Always];
    AddUserToGroup, add_user_to_group, AddUserToGroupInput, Empty, Iam, Changes,
        ["iam:AddUserToGroup" Group Always];
    RemoveUserFromGroup, remove_user_from_group, RemoveUserFromGroupInput, Empty, Iam, Changes,
        ["iam:RemoveUserFromGroup" Group Always];
    ListGroupsForUser, list_groups_for_user, ListGroupsForUserInput, ListGroupsForUserOutput, Iam, Reads,
        ["iam:ListGroupsForUser" User Always];
    CreateRole, create_role, CreateRoleInput, CreateRoleOutput, Iam, Changes,
        ["iam:CreateRole" IamRole Always, "iam:TagRole" IamRole Tagged];
    GetRole, get_role, GetRoleInput, GetRoleOutput, Iam, Reads,
        ["iam:GetRole" IamRole Always];
    UpdateRole, update_role, UpdateRoleInput, UpdateRoleOutput, Iam, Changes,
        ["iam:UpdateRole" IamRole Always];
    UpdateRoleDescription, update_role_description,
        UpdateRoleDescriptionInput, UpdateRoleDescriptionOutput, Iam, Changes,
        ["iam:UpdateRoleDescription" IamRole Always];
    DeleteRole, delete_role, DeleteRoleInput, Empty, Iam, Changes,
        ["iam:DeleteRole" IamRole Always];
    ListRoles, list_roles, ListRolesInput, ListRolesOutput, Iam, Reads,
        ["iam:ListRoles" Account Always];
    UpdateAssumeRolePolicy, update_assume_role_policy, UpdateAssumeRolePolicyInput, Empty, Iam, Changes,
        ["iam:UpdateAssumeRolePolicy" IamRole Always];
    TagRole, tag_role, TagRoleInput, Empty, Iam, Changes,
        ["iam:TagRole" IamRole Always];
    UntagRole, untag_role, UntagRoleInput, Empty, Iam, Changes,
        ["iam:UntagRole" IamRole Always];
    ListRoleTags, list_role_tags, ListRoleTagsInput, ListRoleTagsOutput, Iam, Reads,
        ["iam:ListRoleTags" IamRole Always];
    ListInstanceProfilesForRole, list_instance_profiles_for_role,
        ListInstanceProfilesForRoleInput, ListInstanceProfilesForRoleOutput, Iam, Reads,
        ["iam:ListInstanceProfilesForRole" IamRole Always];
    CreateAccessKey, create_access_key, CreateAccessKeyInput, CreateAccessKeyOutput, Iam, Changes,
        ["iam:CreateAccessKey" User Always];
    UpdateAccessKey, update_access_key, UpdateAccessKeyInput, Empty, Iam, Changes,
        ["iam:UpdateAccessKey" User Always];
    DeleteAccessKey, delete_access_key, DeleteAccessKeyInput, Empty, Iam, Changes,
        ["iam:DeleteAccessKey" User Always];
    ListAccessKeys, list_access_keys, ListAccessKeysInput, ListAccessKeysOutput, Iam, Reads,
        ["iam:ListAccessKeys" User Always];
    GetAccessKeyLastUsed, get_access_key_last_used, GetAccessKeyLastUsedInput, GetAccessKeyLastUsedOutput, Iam, Reads,
        ["iam:GetAccessKeyLastUsed" Account Always];
    PutUserPolicy, put_user_policy, PutUserPolicyInput, Empty, Iam, Changes,
        ["iam:PutUserPolicy" User Always];
    GetUserPolicy, get_user_policy, GetUserPolicyInput, GetUserPolicyOutput, Iam, Reads,
        ["iam:GetUserPolicy" User Always];
    DeleteUserPolicy, delete_user_policy, DeleteUserPolicyInput, Empty, Iam, Changes,
        ["iam:DeleteUserPolicy" User Always];
    ListUserPolicies, list_user_policies, ListUserPoliciesInput, ListUserPoliciesOutput, Iam, Reads,
        ["iam:ListUserPolicies" User Always];
    PutGroupPolicy, put_group_policy, PutGroupPolicyInput, Empty, Iam, Changes,
        ["iam:PutGroupPolicy" Group Always];
    GetGroupPolicy, get_group_policy, GetGroupPolicyInput, GetGroupPolicyOutput, Iam, Reads,
        ["iam:GetGroupPolicy" Group Always];
    DeleteGroupPolicy, delete_group_policy, DeleteGroupPolicyInput, Empty, Iam, Changes,
        ["iam:DeleteGroupPolicy" Group Always];
    ListGroupPolicies, list_group_policies, ListGroupPoliciesInput, ListGroupPoliciesOutput, Iam, Reads,
        ["iam:ListGroupPolicies" Group Always];
    PutRolePolicy, put_role_policy, PutRolePolicyInput, Empty, Iam, Changes,
        ["iam:PutRolePolicy" IamRole Always];
    GetRolePolicy, get_role_policy, GetRolePolicyInput, GetRolePolicyOutput, Iam, Reads,
        ["iam:GetRolePolicy" IamRole Always];
    DeleteRolePolicy, delete_role_policy, DeleteRolePolicyInput, Empty, Iam, Changes,
        ["iam:DeleteRolePolicy" IamRole Always];
    ListRolePolicies, list_role_policies, ListRolePoliciesInput, ListRolePoliciesOutput, Iam, Reads,
        ["iam:ListRolePolicies" IamRole Always];
    CreatePolicy, create_policy, CreatePolicyInput, CreatePolicyOutput, Iam, Changes,
        ["iam:CreatePolicy" ManagedPolicy Always, "iam:TagPolicy" ManagedPolicy Tagged];
    GetPolicy, get_policy, GetPolicyInput, GetPolicyOutput, Iam, Reads,
        ["iam:GetPolicy" ManagedPolicy Always];
    DeletePolicy, delete_policy, DeletePolicyInput, Empty, Iam, Changes,
        ["iam:DeletePolicy" ManagedPolicy Always];
    ListPolicies, list_policies, ListPoliciesInput, ListPoliciesOutput, Iam, Reads,
        ["iam:ListPolicies" Account Always];
    CreatePolicyVersion, create_policy_version, CreatePolicyVersionInput, CreatePolicyVersionOutput, Iam, Changes,
        ["iam:CreatePolicyVersion" ManagedPolicy Always];
    GetPolicyVersion, get_policy_version, GetPolicyVersionInput, GetPolicyVersionOutput, Iam, Reads,
        ["iam:GetPolicyVersion" ManagedPolicy Always];
    DeletePolicyVersion, delete_policy_version, DeletePolicyVersionInput, Empty, Iam, Changes,
        ["iam:DeletePolicyVersion" ManagedPolicy Always];
    ListPolicyVersions, list_policy_versions, ListPolicyVersionsInput, ListPolicyVersionsOutput, Iam, Reads,
        ["iam:ListPolicyVersions" ManagedPolicy Always];
    SetDefaultPolicyVersion, set_default_policy_version, SetDefaultPolicyVersionInput, Empty, Iam, Changes,
        ["iam:SetDefaultPolicyVersion" ManagedPolicy Always];
    ListEntitiesForPolicy, list_entities_for_policy,
        ListEntitiesForPolicyInput, ListEntitiesForPolicyOutput, Iam, Reads,
        ["iam:ListEntitiesForPolicy" ManagedPolicy Always];
    TagPolicy, tag_policy, TagPolicyInput, Empty, Iam, Changes,
        ["iam:TagPolicy" ManagedPolicy Always];
    UntagPolicy, untag_policy, UntagPolicyInput, Empty, Iam, Changes,
        ["iam:UntagPolicy" ManagedPolicy Always];
    ListPolicyTags, list_policy_tags, ListPolicyTagsInput, ListPolicyTagsOutput, Iam, Reads,
        ["iam:ListPolicyTags" ManagedPolicy Always];
    AttachUserPolicy, attach_user_policy, AttachUserPolicyInput, Empty, Iam, Changes,
        ["iam:AttachUserPolicy" User Always];
    DetachUserPolicy, detach_user_policy, DetachUserPolicyInput, Empty, Iam, Changes,
        ["iam:DetachUserPolicy" User Always];
    ListAttachedUserPolicies, list_attached_user_policies,
        ListAttachedUserPoliciesInput, ListAttachedUserPoliciesOutput, Iam, Reads,
        ["iam:ListAttachedUserPolicies" User Always];
    AttachGroupPolicy, attach_group_policy, AttachGroupPolicyInput, Empty, Iam, Changes,
        ["iam:AttachGroupPolicy" Group Always];
    DetachGroupPolicy, detach_group_policy, DetachGroupPolicyInput, Empty, Iam, Changes,
        ["iam:DetachGroupPolicy" Group Always];
    ListAttachedGroupPolicies, list_attached_group_policies,
        ListAttachedGroupPoliciesInput, ListAttachedGroupPoliciesOutput, Iam, Reads,
        ["iam:ListAttachedGroupPolicies" Group Always];
    AttachRolePolicy, attach_role_policy, AttachRolePolicyInput, Empty, Iam, Changes,
        ["iam:AttachRolePolicy" IamRole Always];
    DetachRolePolicy, detach_role_policy, DetachRolePolicyInput, Empty, Iam, Changes,
        ["iam:DetachRolePolicy" IamRole Always];
    ListAttachedRolePolicies, list_attached_role_policies,
        ListAttachedRolePoliciesInput, ListAttachedRolePoliciesOutput, Iam, Reads,
        ["iam:ListAttachedRolePolicies" IamRole Always];
    PutUserPermissionsBoundary, put_user_permissions_boundary, PutUserPermissionsBoundaryInput, Empty, Iam, Changes,
        ["iam:PutUserPermissionsBoundary" User Always];
    DeleteUserPermissionsBoundary, delete_user_permissions_boundary,
        DeleteUserPermissionsBoundaryInput, Empty, Iam, Changes,
        ["iam:DeleteUserPermissionsBoundary" User Always];
    PutRolePermissionsBoundary, put_role_permissions_boundary, PutRolePermissionsBoundaryInput, Empty, Iam, Changes,
        ["iam:PutRolePermissionsBoundary" IamRole Always];
    DeleteRolePermissionsBoundary, delete_role_permissions_boundary,
        DeleteRolePermissionsBoundaryInput, Empty, Iam, Changes,
        ["iam:DeleteRolePermissionsBoundary" IamRole Always];
    CreateOpenIDConnectProvider, create_open_id_connect_provider,
        CreateOpenIDConnectProviderInput, CreateOpenIDConnectProviderOutput, Iam, Changes,
        ["iam:CreateOpenIDConnectProvider" OidcProvider Always, "iam:TagOpenIDConnectProvider" OidcProvider Tagged];
    GetOpenIDConnectProvider, get_open_id_connect_provider,
        GetOpenIDConnectProviderInput, GetOpenIDConnectProviderOutput, Iam, Reads,
        ["iam:GetOpenIDConnectProvider" OidcProvider Always];
    DeleteOpenIDConnectProvider, delete_open_id_connect_provider,
        DeleteOpenIDConnectProviderInput, Empty, Iam, Changes,
        ["iam:DeleteOpenIDConnectProvider" OidcProvider Always];
    ListOpenIDConnectProviders, list_open_id_connect_providers,
        ListOpenIDConnectProvidersInput, ListOpenIDConnectProvidersOutput, Iam, Reads,
        ["iam:ListOpenIDConnectProviders" Account Always];
    AddClientIDToOpenIDConnectProvider, add_client_id_to_open_id_connect_provider,
        AddClientIDToOpenIDConnectProviderInput, Empty, Iam, Changes,
        ["iam:AddClientIDToOpenIDConnectProvider" OidcProvider Always];
    RemoveClientIDFromOpenIDConnectProvider, remove_client_id_from_open_id_connect_provider,
        RemoveClientIDFromOpenIDConnectProviderInput, Empty, Iam, Changes,
        ["iam:RemoveClientIDFromOpenIDConnectProvider" OidcProvider Always];
    SimulateCustomPolicy, simulate_custom_policy, SimulateCustomPolicyInput, SimulatePolicyOutput, Iam, Reads,
        ["iam:SimulateCustomPolicy" Account Always];
    SimulatePrincipalPolicy, simulate_principal_policy, SimulatePrincipalPolicyInput, SimulatePolicyOutput, Iam, Reads,
        ["iam:SimulatePrincipalPolicy" PolicySource Always];
    GetContextKeysForCustomPolicy, get_context_keys_for_custom_policy,
        GetContextKeysForCustomPolicyInput, GetContextKeysForPolicyOutput, Iam, Reads,
        ["iam:GetContextKeysForCustomPolicy" Account Always];
    GetContextKeysForPrincipalPolicy, get_context_keys_for_principal_policy,
        GetContextKeysForPrincipalPolicyInput, GetContextKeysForPolicyOutput, Iam, Reads,
        ["iam:GetContextKeysForPrincipalPolicy" PolicySource Always];
    GetAccountSummary, get_account_summary, Empty, GetAccountSummaryOutput, Iam, Reads,
        ["iam:GetAccountSummary" Account Always];
    AssumeRole, assume_role, AssumeRoleInput, AssumeRoleOutput, Sts, Reads,
        ["sts:AssumeRole" RoleToAssume Always, "sts:TagSession" RoleToAssume Tagged,
         "sts:SetSourceIdentity" RoleToAssume Sourced];
    AssumeRoleWithWebIdentity, assume_role_with_web_identity,
        AssumeRoleWithWebIdentityInput, AssumeRoleWithWebIdentityOutput, Sts, Reads,
        ["sts:AssumeRoleWithWebIdentity" RoleToAssume Always];
    GetSessionToken, get_session_token, GetSessionTokenInput, GetSessionTokenOutput, Sts, Reads,
        [];
    GetAccessKeyInfo, get_access_key_info, GetAccessKeyInfoInput, GetAccessKeyInfoOutput, Sts, Reads,
        ["sts:GetAccessKeyInfo" Account Always];
    }
}
