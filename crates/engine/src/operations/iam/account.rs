//! GetAccountSummary.

use super::quota;
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::Executes;
use crate::pipeline::Executed;
use bulla_api::iam::GetAccountSummaryOutput;
use bulla_api::{Empty, GetAccountSummary};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GetAccountSummary {
    fn names(_input: &Empty) -> Names<'_> {
        Names::default()
    }

    fn describe(_input: &Empty) -> Parameters {
        Parameters::new()
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let counts = core.identity_counts(request.place().account, &mut Change::new()).await?;
        let numbers = [
            ("Users", counts.users),
            ("UsersQuota", quota::USERS),
            ("Groups", counts.groups),
            ("GroupsQuota", quota::GROUPS),
            ("Roles", counts.roles),
            ("RolesQuota", quota::ROLES),
            ("Policies", counts.policies),
            ("PoliciesQuota", quota::POLICIES),
            ("Providers", counts.providers),
            ("AccessKeysPerUserQuota", quota::ACCESS_KEYS_PER_USER as u64),
            ("GroupsPerUserQuota", quota::GROUPS_PER_USER as u64),
            ("AttachedPoliciesPerUserQuota", quota::ATTACHED as u64),
            ("AttachedPoliciesPerGroupQuota", quota::ATTACHED as u64),
            ("AttachedPoliciesPerRoleQuota", quota::ATTACHED as u64),
            ("VersionsPerPolicyQuota", quota::VERSIONS as u64),
            ("UserPolicySizeQuota", quota::USER_POLICY_CHARACTERS),
            ("GroupPolicySizeQuota", quota::GROUP_POLICY_CHARACTERS),
            ("RolePolicySizeQuota", quota::ROLE_POLICY_CHARACTERS),
            ("PolicySizeQuota", quota::POLICY_CHARACTERS),
            ("AssumeRolePolicySizeQuota", quota::TRUST_POLICY_CHARACTERS),
            ("AccountAccessKeysPresent", 1),
            ("AccountMFAEnabled", 0),
            ("MFADevices", 0),
            ("MFADevicesInUse", 0),
        ];
        let number =
            |(name, number): (&str, u64)| (name.to_owned(), u32::try_from(number).unwrap_or(u32::MAX));
        let summary_map = numbers.into_iter().map(number).collect();
        Ok(request.done(GetAccountSummaryOutput { summary_map }))
    }
}
