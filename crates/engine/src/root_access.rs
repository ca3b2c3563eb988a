//! The access key of an account's root: the operator's of this host alone. It is replaced when it was lost, and taken out of
//! use once there are users.

use crate::change::{Change, ChangeRecord, Committed};
use crate::core::Core;
use crate::credentials::AccessKey;
use crate::fault::Fault;
use crate::record::{access_key_path, access_key_usage_path, account_path};
use crate::trail::{ServiceEvent, service_record};
use bulla_api::{AccountId, ErrorCode};
use bulla_audit::Parameters;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a commit is tried again.
const ATTEMPTS_MAX: u32 = 16;

impl Core {
    /// Replaces the access key of an account's root, recorded as done by the operator of this host.
    pub(crate) async fn reset_root(self: &Arc<Self>, id: AccountId) -> Result<AccessKey, Fault> {
        let record = |key: &AccessKey| {
            let event = self.root_event("ResetRootAccessKey", id, &key.access_key_id);
            service_record(self, event)
        };
        Ok(self.reset_root_recorded(id, record).await?.0)
    }

    /// The same; `record` gives the record that is committed with it.
    pub(crate) async fn reset_root_recorded(
        self: &Arc<Self>,
        id: AccountId,
        mut record: impl FnMut(&AccessKey) -> ChangeRecord,
    ) -> Result<(AccessKey, Committed), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let account = self.vault.read(&account_path(id)).await?.ok_or_else(|| unknown(id))?;
            let before = self.root_access_key_id(id).await?;
            let (key, now_ms) = (AccessKey::generate(self.rng()), self.clock.wall_ms());
            let mut change = Change::new();
            let mut fields = account.fields;
            crate::accounts::set_root_access_key_id(&mut fields, &key.access_key_id);
            change.expect_at(account_path(id), account.generation).put(account_path(id), fields);
            let path = access_key_path(&key.access_key_id);
            change.expect_absent(path.clone()).put(path, key.to_fields(id, now_ms));
            // The old one is of no use to anybody from here on.
            change.delete_material(access_key_path(&before)).delete(access_key_usage_path(&before));
            match self.commit(change, record(&key)).await {
                Err(Fault::Vault(error)) if error.is_conflict() => {}
                Err(fault) => return Err(fault),
                Ok(committed) => return Ok((key, committed)),
            }
        }
        Err(Fault::bug("no access key could be made in many attempts"))
    }

    /// Takes the access key of an account's root out of use, recorded as done by the operator of this host.
    pub(crate) async fn disable_root(self: &Arc<Self>, id: AccountId) -> Result<String, Fault> {
        let record = |key: &str| {
            let event = self.root_event("DisableRootAccessKey", id, key);
            service_record(self, event)
        };
        Ok(self.disable_root_recorded(id, record).await?.0)
    }

    /// The same; `record` gives the record that is committed with it.
    pub(crate) async fn disable_root_recorded(
        self: &Arc<Self>,
        id: AccountId,
        mut record: impl FnMut(&str) -> ChangeRecord,
    ) -> Result<(String, Committed), Fault> {
        for _ in 0..ATTEMPTS_MAX {
            self.vault.read(&account_path(id)).await?.ok_or_else(|| unknown(id))?;
            let access_key_id = self.root_access_key_id(id).await?;
            let known = self.known_key(&access_key_id).await?.ok_or(Fault::Incomplete("an account"))?;
            let path = access_key_path(&access_key_id);
            let mut change = Change::new();
            change.expect_at(path.clone(), known.generation).put(path, known.with_active(false));
            match self.commit(change, record(&access_key_id)).await {
                Err(Fault::Vault(error)) if error.is_conflict() => {}
                Err(fault) => return Err(fault),
                Ok(committed) => return Ok((access_key_id, committed)),
            }
        }
        Err(Fault::bug("an access key could not be changed in many attempts"))
    }

    /// Whether the access key of an account's root is in use.
    pub(crate) async fn root_is_enabled(&self, id: AccountId) -> Result<bool, Fault> {
        let access_key_id = self.root_access_key_id(id).await?;
        let known = self.known_key(&access_key_id).await?.ok_or(Fault::Incomplete("an account"))?;
        Ok(known.active)
    }

    /// The access key of an account's root, if it is in use.
    pub(crate) async fn root_key_in_use(&self, id: AccountId) -> Result<Option<String>, Fault> {
        let access_key_id = self.root_access_key_id(id).await?;
        let known = self.known_key(&access_key_id).await?;
        Ok(known.is_some_and(|known| known.active).then_some(access_key_id))
    }

    /// Counts the access keys of roots that are in use, for whoever watches that none is.
    pub(crate) async fn count_root_keys(&self) -> Result<(), Fault> {
        let mut in_use = 0;
        for id in self.account_ids().await? {
            in_use += u64::from(self.root_key_in_use(id).await?.is_some());
        }
        self.root_keys_in_use.store(in_use, Ordering::SeqCst);
        Ok(())
    }

    fn root_event(&self, name: &'static str, account: AccountId, access_key_id: &str) -> ServiceEvent {
        let data =
            Parameters::new().text("accountId", account.to_string()).text("accessKeyId", access_key_id);
        ServiceEvent { account: Some(account.to_string()), data: Some(data), ..self.operator_event(name) }
    }
}

fn unknown(id: AccountId) -> Fault {
    Fault::answer(ErrorCode::NotFoundException, format!("Account {id} is not in this store."))
}
