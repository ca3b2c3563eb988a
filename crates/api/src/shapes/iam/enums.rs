//! Enums of AWS IAM, with all values, also those that this version doesn't act on.

use crate::enums::enums;

enums! {
    IAM_ENUMS;

    /// What an inline policy belongs to.
    #[derive(Default)]
    AttachmentType {
        #[default]
        User = "user",
        Group = "group",
        Role = "role",
    }
    /// The type of a condition key's values.
    ContextKeyTypeEnum {
        String = "string",
        StringList = "stringList",
        Numeric = "numeric",
        NumericList = "numericList",
        Boolean = "boolean",
        BooleanList = "booleanList",
        Ip = "ip",
        IpList = "ipList",
        Binary = "binary",
        BinaryList = "binaryList",
        Date = "date",
        DateList = "dateList",
    }
    /// What a managed policy can be attached to, and which policies.
    EntityType {
        User = "User",
        Role = "Role",
        Group = "Group",
        LocalManagedPolicy = "LocalManagedPolicy",
        AWSManagedPolicy = "AWSManagedPolicy",
    }
    /// What a permissions boundary is.
    #[derive(Default)]
    PermissionsBoundaryAttachmentType {
        #[default]
        PermissionsBoundaryPolicy = "PermissionsBoundaryPolicy",
    }
    /// What a simulation decides.
    #[derive(Default)]
    PolicyEvaluationDecisionType {
        Allowed = "allowed",
        ExplicitDeny = "explicitDeny",
        #[default]
        ImplicitDeny = "implicitDeny",
    }
    /// A kind of policy.
    PolicyIdentifierPolicyType {
        Inline = "inline",
        AwsManaged = "aws-managed",
        UserManaged = "user-managed",
        PermissionBoundary = "permission-boundary",
        Scp = "scp",
        Rcp = "rcp",
    }
    /// Whose managed policies.
    #[derive(Default)]
    PolicyScopeType {
        #[default]
        All = "All",
        AWS = "AWS",
        Local = "Local",
    }
    /// Where a policy that matched stands.
    PolicySourceType {
        User = "user",
        Group = "group",
        Role = "role",
        AwsManaged = "aws-managed",
        UserManaged = "user-managed",
        Resource = "resource",
        None = "none",
    }
    /// What a managed policy is used for.
    PolicyUsageType {
        PermissionsPolicy = "PermissionsPolicy",
        PermissionsBoundary = "PermissionsBoundary",
    }
    /// Whether an access key can be used.
    #[derive(Default)]
    StatusType {
        #[default]
        Active = "Active",
        Inactive = "Inactive",
        Expired = "Expired",
    }
}
