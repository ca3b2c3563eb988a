//! Key policies.

use crate::wire::shapes;

shapes! {
    POLICIES;

    /// Input of `GetKeyPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetKeyPolicyInput {
        key_id: String = "KeyId",
        /// `default` when absent.
        policy_name: Option<String> = "PolicyName",
    }

    /// Output of `GetKeyPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetKeyPolicyOutput {
        policy: String = "Policy",
        policy_name: String = "PolicyName" or_default,
    }

    /// Input of `ListKeyPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListKeyPoliciesInput {
        key_id: String = "KeyId",
        /// 1 to 1000; 100 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
    }

    /// Output of `ListKeyPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListKeyPoliciesOutput {
        policy_names: Vec<String> = "PolicyNames" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }

    /// Input of `PutKeyPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    PutKeyPolicyInput {
        key_id: String = "KeyId",
        /// `default` when absent.
        policy_name: Option<String> = "PolicyName",
        policy: String = "Policy",
        bypass_policy_lockout_safety_check: Option<bool> = "BypassPolicyLockoutSafetyCheck",
    }
}
