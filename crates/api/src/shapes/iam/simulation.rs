//! What policies would decide.

use super::{
    AttachmentType, ContextKeyTypeEnum, PolicyEvaluationDecisionType, PolicyIdentifierPolicyType,
    PolicySourceType,
};
use crate::wire::shapes;
use std::collections::BTreeMap;

shapes! {
    SIMULATION;

    /// A condition key with its values.
    #[derive(Clone, PartialEq, Eq, Default)]
    ContextEntry {
        context_key_name: Option<String> = "ContextKeyName",
        context_key_values: Vec<String> = "ContextKeyValues",
        context_key_type: Option<ContextKeyTypeEnum> = "ContextKeyType",
    }

    /// A place in a policy.
    #[derive(Clone, PartialEq, Eq, Default)]
    Position {
        line: u32 = "Line",
        column: u32 = "Column",
    }

    /// A statement that matched.
    #[derive(Clone, PartialEq, Eq, Default)]
    Statement {
        source_policy_id: Option<String> = "SourcePolicyId",
        source_policy_type: Option<PolicySourceType> = "SourcePolicyType",
        start_position: Option<Position> = "StartPosition",
        end_position: Option<Position> = "EndPosition",
    }

    /// What the organization says.
    #[derive(Clone, PartialEq, Eq, Default)]
    OrganizationsDecisionDetail {
        allowed_by_organizations: bool = "AllowedByOrganizations",
    }

    /// What the boundary says.
    #[derive(Clone, PartialEq, Eq, Default)]
    PermissionsBoundaryDecisionDetail {
        allowed_by_permissions_boundary: bool = "AllowedByPermissionsBoundary",
    }

    /// What came of one action on one resource.
    #[derive(Clone, PartialEq, Eq, Default)]
    ResourceSpecificResult {
        eval_resource_name: String = "EvalResourceName",
        eval_resource_decision: PolicyEvaluationDecisionType = "EvalResourceDecision",
        matched_statements: Vec<Statement> = "MatchedStatements",
        missing_context_values: Vec<String> = "MissingContextValues",
        eval_decision_details: BTreeMap<String, PolicyEvaluationDecisionType> = "EvalDecisionDetails",
        permissions_boundary_decision_detail: Option<PermissionsBoundaryDecisionDetail> = "PermissionsBoundaryDecisionDetail",
    }

    /// What came of one action.
    #[derive(Clone, PartialEq, Eq, Default)]
    EvaluationResult {
        eval_action_name: String = "EvalActionName",
        eval_resource_name: Option<String> = "EvalResourceName",
        eval_decision: PolicyEvaluationDecisionType = "EvalDecision",
        matched_statements: Vec<Statement> = "MatchedStatements",
        missing_context_values: Vec<String> = "MissingContextValues",
        organizations_decision_detail: Option<OrganizationsDecisionDetail> = "OrganizationsDecisionDetail",
        permissions_boundary_decision_detail: Option<PermissionsBoundaryDecisionDetail> = "PermissionsBoundaryDecisionDetail",
        eval_decision_details: BTreeMap<String, PolicyEvaluationDecisionType> = "EvalDecisionDetails",
        resource_specific_results: Vec<ResourceSpecificResult> = "ResourceSpecificResults",
    }

    /// An inline policy.
    #[derive(Clone, PartialEq, Eq, Default)]
    InlinePolicyIdentifierType {
        policy_name: String = "PolicyName",
        attachment_type: AttachmentType = "AttachmentType",
        attachment_name: String = "AttachmentName",
    }

    /// A policy that is left out of a simulation.
    #[derive(Clone, PartialEq, Eq, Default)]
    PolicyIdentifier {
        policy_type: Option<PolicyIdentifierPolicyType> = "PolicyType",
        policy_arn: Option<String> = "PolicyArn",
        inline_policy_identifier: Option<InlinePolicyIdentifierType> = "InlinePolicyIdentifier",
    }

    /// Policies of one level of an organization.
    #[derive(Clone, PartialEq, Eq, Default)]
    OrderedOrganizationPolicyType {
        service_control_policy_input_list: Vec<String> = "ServiceControlPolicyInputList",
    }

    /// Input of `SimulatePrincipalPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    SimulatePrincipalPolicyInput {
        policy_source_arn: String = "PolicySourceArn",
        policy_input_list: Vec<String> = "PolicyInputList",
        permissions_boundary_policy_input_list: Vec<String> = "PermissionsBoundaryPolicyInputList",
        policy_exclusion_list: Vec<PolicyIdentifier> = "PolicyExclusionList",
        action_names: Vec<String> = "ActionNames" always,
        resource_arns: Vec<String> = "ResourceArns",
        resource_policy: Option<String> = "ResourcePolicy",
        resource_owner: Option<String> = "ResourceOwner",
        caller_arn: Option<String> = "CallerArn",
        context_entries: Vec<ContextEntry> = "ContextEntries",
        resource_handling_option: Option<String> = "ResourceHandlingOption",
        max_items: Option<u32> = "MaxItems",
        marker: Option<String> = "Marker",
    }

    /// Output of `SimulateCustomPolicy` and `SimulatePrincipalPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    SimulatePolicyOutput {
        evaluation_results: Vec<EvaluationResult> = "EvaluationResults" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `SimulateCustomPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    SimulateCustomPolicyInput {
        policy_input_list: Vec<String> = "PolicyInputList" always,
        permissions_boundary_policy_input_list: Vec<String> = "PermissionsBoundaryPolicyInputList",
        ordered_organization_policy_input_list: Vec<OrderedOrganizationPolicyType> = "OrderedOrganizationPolicyInputList",
        action_names: Vec<String> = "ActionNames" always,
        resource_arns: Vec<String> = "ResourceArns",
        resource_policy: Option<String> = "ResourcePolicy",
        resource_owner: Option<String> = "ResourceOwner",
        caller_arn: Option<String> = "CallerArn",
        context_entries: Vec<ContextEntry> = "ContextEntries",
        resource_handling_option: Option<String> = "ResourceHandlingOption",
        max_items: Option<u32> = "MaxItems",
        marker: Option<String> = "Marker",
    }

    /// Input of `GetContextKeysForCustomPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetContextKeysForCustomPolicyInput {
        policy_input_list: Vec<String> = "PolicyInputList" always,
    }

    /// Output of `GetContextKeysForCustomPolicy` and `GetContextKeysForPrincipalPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetContextKeysForPolicyOutput {
        context_key_names: Vec<String> = "ContextKeyNames" always,
    }

    /// Input of `GetContextKeysForPrincipalPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetContextKeysForPrincipalPolicyInput {
        policy_source_arn: String = "PolicySourceArn",
        policy_input_list: Vec<String> = "PolicyInputList",
    }
}
