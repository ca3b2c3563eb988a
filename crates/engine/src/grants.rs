//! Grants: found, added and removed, each with the records that lead to it.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::key_arn;
use crate::principal::Principal;
use crate::record::{
    GrantId, GrantPrincipal, GrantRecord, Place, Retiring, grant_count_fields, grant_count_of,
    pointer_fields, pointer_of,
};
use bulla_api::{ErrorCode, GrantConstraints, GrantListEntry, GrantOperation, KeyId, PARTITION, Timestamp};
use bulla_policy::PrincipalArn;
use bulla_store::{Generation, Path, Stored};

/// Most grants of a key (AWS KMS developer guide, "Resource quotas").
const GRANTS_PER_KEY_MAX: u64 = 50_000;

/// Most grants on a page of a list (the API reference of `ListGrants`).
const PAGE_MAX: u32 = 100;

/// Grants on a page when nothing is said.
const PAGE_DEFAULT: u32 = 50;

/// A grant: its record and its place.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) place: Place,
    pub(crate) key: KeyId,
    pub(crate) id: GrantId,
    pub(crate) record: GrantRecord,
    pub(crate) generation: Generation,
}

impl Grant {
    /// A grant of this place, as its record was read from this path.
    pub(crate) fn of(place: &Place, path: &Path, stored: Stored) -> Result<Self, Fault> {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let key = text(4).and_then(|text| text.parse().ok());
        let id = text(6).and_then(GrantId::parse);
        let (Some(key), Some(id)) = (key, id) else { return Err(Fault::Incomplete("a grant")) };
        let record = GrantRecord::of(stored.fields)?;
        Ok(Self { place: place.clone(), key, id, record, generation: stored.generation })
    }

    pub(crate) fn path(&self) -> Path {
        self.place.grant(self.key, self.record.grantee.as_str(), self.id)
    }

    pub(crate) fn key_arn(&self) -> String {
        key_arn(&self.place, self.key)
    }

    /// All records that lead to it.
    pub(crate) fn led_to_by(&self) -> Vec<Path> {
        let pointers = pointers(&self.place, self.key, self.id, &self.record);
        pointers.into_iter().map(|(path, _)| path).collect()
    }

    /// Whether somebody may retire it. The grant decides, and no policy: whom it names for it, its grantee where it says
    /// so, and the accounts that own the key and made the grant. Source: AWS KMS developer guide, "Retiring and revoking
    /// grants".
    pub(crate) fn may_be_retired_by(&self, principal: &Principal) -> bool {
        principal.is_root_of(self.place.account)
            || principal.is_root_of(self.record.issuing_account)
            || self.record.is_retiring(principal)
            || (self.record.is_grantee(principal)
                && self.record.operations.contains(&GrantOperation::RetireGrant))
    }

    /// As lists tell of it.
    pub(crate) fn entry(&self) -> GrantListEntry {
        let GrantRecord {
            name, created_ms, grantee, retiring, issuing_account, operations, constraints, ..
        } = &self.record;
        let text = |text: Option<&str>| text.map(ToOwned::to_owned);
        let retiring = retiring.as_ref();
        let is_constrained = *constraints != crate::record::Constraints::default();
        GrantListEntry {
            key_id: self.key_arn(),
            grant_id: self.id.to_string(),
            // Of a grant without a name AWS shows an empty one.
            name: Some(name.clone().unwrap_or_default()),
            creation_date: Timestamp::from_millis(*created_ms),
            grantee_principal: text(grantee.identity()),
            retiring_principal: text(retiring.and_then(GrantPrincipal::identity)),
            issuing_account: format!("arn:{PARTITION}:iam::{issuing_account}:root"),
            operations: operations.clone(),
            constraints: is_constrained.then(|| GrantConstraints {
                encryption_context_subset: constraints.context_subset.clone(),
                encryption_context_equals: constraints.context_equals.clone(),
                source_arn: constraints.source_arn.clone(),
            }),
            grantee_service_principal: text(grantee.service()),
            retiring_service_principal: text(retiring.and_then(GrantPrincipal::service)),
        }
    }
}

/// What leads to a grant, and what each says.
fn pointers(place: &Place, key: KeyId, id: GrantId, record: &GrantRecord) -> Vec<(Path, String)> {
    let grantee = record.grantee.as_str();
    let mut pointers = vec![(place.grant_id(key, id), grantee.to_owned())];
    if let Some(arn) = record.retiring.as_ref().and_then(GrantPrincipal::identity)
        && let Ok(retiring) = parse_identity(arn)
    {
        pointers.push((place.retirable_grant(&retiring, key, id), grantee.to_owned()));
    }
    if let Some(properties) = record.properties() {
        pointers.push((place.grant_properties(key, &properties), id.to_string()));
    }
    pointers
}

/// An identity that a request or a grant names. Fails as AWS does with everything else; whether the identity exists is not
/// asked.
pub(crate) fn parse_identity(arn: &str) -> Result<Retiring<'_>, Fault> {
    let PrincipalArn { account, .. } = PrincipalArn::parse(arn).ok_or_else(|| no_principal(arn))?;
    Ok(Retiring { account, arn })
}

/// What is said of an ARN of nobody.
pub(crate) fn no_principal(arn: &str) -> Fault {
    Fault::answer(ErrorCode::InvalidArnException, format!("ARN does not refer to a valid principal: {arn}"))
}

/// Grants on a page.
pub(crate) fn page_limit(limit: Option<u32>) -> usize {
    limit.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX) as usize
}

/// What is said of a grant that isn't there.
pub(crate) fn no_such_grant(id: GrantId) -> Fault {
    Fault::answer(ErrorCode::NotFoundException, format!("Grant ID {id} not found"))
}

/// A grant's id as a request gives it.
pub(crate) fn parse_grant_id(text: &str) -> Result<GrantId, Fault> {
    GrantId::parse(text)
        .ok_or_else(|| Fault::answer(ErrorCode::InvalidGrantIdException, format!("Invalid grant ID {text}")))
}

impl Change {
    /// Adds a grant, with what leads to it. One more has to be counted.
    pub(crate) fn add_grant(&mut self, place: &Place, key: KeyId, id: GrantId, record: &GrantRecord) {
        let path = place.grant(key, record.grantee.as_str(), id);
        self.expect_absent(path.clone()).put(path, record.to_fields());
        for (path, to) in pointers(place, key, id, record) {
            self.expect_absent(path.clone()).put(path, pointer_fields(&to));
        }
    }

    /// Removes a grant, with what leads to it. One less has to be counted.
    pub(crate) fn remove_grant(&mut self, grant: &Grant) {
        let path = grant.path();
        self.expect_at(path.clone(), grant.generation).delete(path);
        for path in grant.led_to_by() {
            self.delete(path);
        }
    }
}

impl Core {
    /// The grant of a key with this id, if there is one.
    pub(crate) async fn grant(&self, place: &Place, key: KeyId, id: GrantId) -> Result<Option<Grant>, Fault> {
        let Some(pointer) = self.vault.read(&place.grant_id(key, id)).await? else { return Ok(None) };
        let path = place.grant(key, pointer_of(&pointer.fields)?, id);
        // Both were there or neither, but the grant may have been removed between the two readings.
        let stored = self.vault.read(&path).await?;
        stored.map(|stored| Grant::of(place, &path, stored)).transpose()
    }

    /// Counts one more grant of a key.
    pub(crate) async fn count_grant(
        &self,
        place: &Place,
        key: KeyId,
        change: &mut Change,
    ) -> Result<(), Fault> {
        let count = self.grant_count(place, key, change).await?;
        if count >= GRANTS_PER_KEY_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                format!("The key has as many grants as it can: {GRANTS_PER_KEY_MAX}."),
            ));
        }
        change.put(place.grant_count(key), grant_count_fields(count + 1));
        Ok(())
    }

    /// Counts a grant of a key less.
    pub(crate) async fn uncount_grant(
        &self,
        place: &Place,
        key: KeyId,
        change: &mut Change,
    ) -> Result<(), Fault> {
        let path = place.grant_count(key);
        match self.grant_count(place, key, change).await? {
            0 | 1 => change.delete(path),
            count => change.put(path, grant_count_fields(count - 1)),
        };
        Ok(())
    }

    /// How many grants a key has, and the precondition that it stays so.
    async fn grant_count(&self, place: &Place, key: KeyId, change: &mut Change) -> Result<u64, Fault> {
        change.take_turn(self).await;
        let path = place.grant_count(key);
        match self.vault.read(&path).await? {
            Some(stored) => {
                change.expect_at(path, stored.generation);
                grant_count_of(&stored.fields)
            }
            None => {
                change.expect_absent(path);
                Ok(0)
            }
        }
    }
}
