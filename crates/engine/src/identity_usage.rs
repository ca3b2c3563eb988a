//! When each access key and each role was last used, and for which service.
//!
//! A use is noted in memory when a signature was verified, and written beside the uses of keys: see `usage.rs`. As with
//! those, one that is hardly later than the written one isn't written, and no request waits for the store over it.

use crate::core::Core;
use crate::fault::Fault;
use crate::principal::{Principal, PrincipalKind};
use crate::record::EntityKind;
use crate::record::{
    IdentityUsageRecord, access_key_path, access_key_usage_path, entity_path, role_usage_path,
};
use bulla_api::{AccountId, Region, Service};
use bulla_store::{Path, VaultError};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Uses that are not written yet: beyond, new ones wait until some are.
const NOTED_MAX: usize = 10_000;

/// Uses that are written in one commit: each is a record, with a precondition of its own and of what was used.
const PER_COMMIT: usize = 33;

/// How often what was changed meanwhile is read again.
const ATTEMPTS_MAX: u32 = 5;

/// Within this time of a written use another one isn't written.
const GRANULARITY: Duration = Duration::from_secs(60 * 60);

/// What can be used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Used {
    AccessKey(String),
    Role(AccountId, String),
}

impl Used {
    /// Of what it is the use, and where it is kept.
    fn paths(&self) -> [Path; 2] {
        match self {
            Self::AccessKey(id) => [access_key_path(id), access_key_usage_path(id)],
            Self::Role(account, id) => {
                [entity_path(*account, EntityKind::Role, id), role_usage_path(*account, id)]
            }
        }
    }
}

/// The uses that are not written yet.
#[derive(Default)]
pub(crate) struct IdentityUsage(Mutex<HashMap<Used, IdentityUsageRecord>>);

impl IdentityUsage {
    fn noted(&self) -> MutexGuard<'_, HashMap<Used, IdentityUsageRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Notes that a principal was authenticated. Roots' access keys count too.
    pub(crate) fn note_identity_use(&self, principal: &Principal, region: &Region, service: Service) {
        let used =
            match (principal.kind(), principal.named_id(), principal.session(), principal.access_key_id()) {
                (PrincipalKind::AssumedRole, Some(role), ..) => {
                    Used::Role(principal.account(), role.to_owned())
                }
                // Credentials that are not kept have no record.
                (_, _, None, Some(key)) => Used::AccessKey(key.to_owned()),
                _ => return,
            };
        let at_ms = self.clock.wall_ms();
        let mut noted = self.identity_usage.noted();
        if noted.len() >= NOTED_MAX && !noted.contains_key(&used) {
            return;
        }
        let record = IdentityUsageRecord {
            at_ms,
            region: region.to_string(),
            service: service.scope_name().to_owned(),
        };
        noted.insert(used, record);
    }

    /// The last use of an access key: noted, or written.
    pub(crate) async fn access_key_used(&self, id: &str) -> Result<Option<IdentityUsageRecord>, Fault> {
        self.identity_used(&Used::AccessKey(id.to_owned())).await
    }

    /// The last use of a role: noted, or written.
    pub(crate) async fn role_used(
        &self,
        account: AccountId,
        id: &str,
    ) -> Result<Option<IdentityUsageRecord>, Fault> {
        self.identity_used(&Used::Role(account, id.to_owned())).await
    }

    async fn identity_used(&self, used: &Used) -> Result<Option<IdentityUsageRecord>, Fault> {
        let [_, path] = used.paths();
        let stored = self.vault.read(&path).await?;
        let written = stored.map(|stored| IdentityUsageRecord::of(&stored.fields)).transpose()?;
        let noted = self.identity_usage.noted().get(used).cloned();
        Ok(match (noted, written) {
            (Some(noted), Some(written)) if written.at_ms > noted.at_ms => Some(written),
            (noted, written) => noted.or(written),
        })
    }

    /// Writes what was noted.
    pub(crate) async fn write_identity_usage(&self) -> Result<(), Fault> {
        let noted: Vec<(Used, IdentityUsageRecord)> =
            self.identity_usage.noted().iter().map(|(used, last)| (used.clone(), last.clone())).collect();
        for some in noted.chunks(PER_COMMIT) {
            let mut attempt = 1;
            loop {
                match self.write_identity_usage_of(some).await {
                    Err(error) if error.is_conflict() && attempt < ATTEMPTS_MAX => attempt += 1,
                    Err(error) => return Err(error.into()),
                    Ok(()) => break,
                }
            }
            let mut left = self.identity_usage.noted();
            for (used, written) in some {
                if left.get(used) == Some(written) {
                    left.remove(used);
                }
            }
        }
        Ok(())
    }

    async fn write_identity_usage_of(&self, noted: &[(Used, IdentityUsageRecord)]) -> Result<(), VaultError> {
        let paths: Vec<Path> = noted.iter().flat_map(|(used, _)| used.paths()).collect();
        let stored = self.vault.read_many(&paths).await?;
        let granularity_ms = i64::try_from(GRANULARITY.as_millis()).unwrap_or(i64::MAX);
        let mut transaction = self.vault.transaction();
        for ((paths, stored), (_, last)) in paths.chunks(2).zip(stored.chunks(2)).zip(noted) {
            let ([of, path], [used, before]) = (paths, stored) else { continue };
            // Of what is gone, nothing is kept.
            let Some(used) = used else { continue };
            let is_due = before
                .as_ref()
                .and_then(|before| IdentityUsageRecord::of(&before.fields).ok())
                .is_none_or(|before| before.at_ms.saturating_add(granularity_ms) <= last.at_ms);
            if is_due {
                transaction.expect_at(of.clone(), used.generation);
                transaction.expect_as_read(path.clone(), before.as_ref());
                transaction.put(path.clone(), &last.to_fields())?;
            }
        }
        if !transaction.is_empty() {
            transaction.commit().await?;
        }
        Ok(())
    }
}
