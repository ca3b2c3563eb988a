//! The way out of a key policy that lets nobody change it again: the operator of the host puts the default one in its place.

use crate::authenticate::Authenticated;
use crate::authorize::KeyName;
use crate::change::{Change, ChangeRecord, Committed};
use crate::core::Core;
use crate::fault::Fault;
use crate::record::{Place, policy_fields};
use crate::trail::service_record;
use bulla_api::ErrorCode;
use bulla_audit::Parameters;
use bulla_policy::default_key_policy;
use std::sync::Arc;

/// How often a commit is tried again.
const ATTEMPTS_MAX: u32 = 16;

impl Core {
    /// Gives a key the default policy, recorded as done by the operator of this host. Gives the key's ARN.
    pub(crate) async fn reset_key_policy(
        self: &Arc<Self>,
        caller: &Authenticated,
        key: &str,
    ) -> Result<String, Fault> {
        let record = |arn: &str| {
            let mut event = self.operator_event("ResetKeyPolicy");
            event.account = arn.split(':').nth(4).map(ToOwned::to_owned);
            event.key_arn = Some(arn.to_owned());
            event.data = Some(Parameters::new().text("keyId", arn));
            service_record(self, event)
        };
        Ok(self.reset_key_policy_recorded(caller, key, record).await?.0)
    }

    /// The same; `record` gives the record that is committed with it. No policy is asked: that is what it is for.
    pub(crate) async fn reset_key_policy_recorded(
        self: &Arc<Self>,
        caller: &Authenticated,
        name: &str,
        mut record: impl FnMut(&str) -> ChangeRecord,
    ) -> Result<(String, Committed), Fault> {
        let place = Place { account: caller.account(), region: caller.region().clone() };
        for _ in 0..ATTEMPTS_MAX {
            let (owner, _, id) = self.find_named(&place, KeyName::any(name)).await?;
            let key = match id {
                Some(id) => self.key(&owner, id).await?,
                None => None,
            };
            let missing =
                || Fault::answer(ErrorCode::NotFoundException, format!("Key '{name}' is not in this store."));
            let key = key.ok_or_else(missing)?;
            let (_, generation) = self.key_policy(&key).await?;
            let path = key.place.key_policy(key.id);
            let mut change = Change::new();
            change.expect_key(&key).expect_at(path.clone(), generation);
            change.put(path, policy_fields(&default_key_policy(key.place.account)));
            match self.commit(change, record(&key.arn)).await {
                Err(Fault::Vault(error)) if error.is_conflict() => {}
                Err(fault) => return Err(fault),
                Ok(committed) => return Ok((key.arn.clone(), committed)),
            }
        }
        Err(Fault::bug("a key's policy could not be replaced in many attempts"))
    }
}
