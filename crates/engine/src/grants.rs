//! Grants: found, added and removed, each with the records that lead to it.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::{Key, key_arn};
use crate::record::{
    Constraints, GrantId, GrantPrincipal, GrantRecord, Place, Retiring, grant_count_fields, grant_count_of,
    pointer_fields, pointer_of,
};
use bulla_api::{
    AccountId, EncryptionContext, ErrorCode, GrantConstraints, GrantListEntry, GrantOperation, KeyId,
    PARTITION, Timestamp,
};
use bulla_policy::{self as policy, PrincipalArn, Reach};
use bulla_store::{Generation, Path, Stored};

/// Most grants of a key (AWS KMS developer guide, "Resource quotas").
const GRANTS_PER_KEY_MAX: u64 = 50_000;

/// Most grants on a page of a list (the API reference of `ListGrants`).
const PAGE_MAX: u32 = 100;

/// Most grants of one grantee and key that are kept in memory. Of those who have more, each request looks for one.
const GRANTS_KEPT_MAX: usize = 64;

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

    /// How it lets somebody retire it: whom it names for it, its grantee where it says so, and the accounts that own the key and
    /// made the grant. Source: AWS KMS developer guide, "Retiring and revoking grants".
    pub(crate) fn lets_retire(&self, principal: &policy::Principal<'_>) -> Option<Reach> {
        let of_account = |account: AccountId| {
            let is_its = principal.account == Some(account);
            is_its.then_some(match principal.kind {
                policy::PrincipalKind::Root => Reach::Caller,
                _ => Reach::Account,
            })
        };
        let may_as_grantee = self.record.operations.contains(&GrantOperation::RetireGrant);
        [
            of_account(self.place.account),
            of_account(self.record.issuing_account),
            self.record.names_to_retire(principal),
            self.record.names_grantee(principal).filter(|_| may_as_grantee),
        ]
        .into_iter()
        .flatten()
        .max()
    }

    /// As lists tell of it.
    pub(crate) fn entry(&self) -> GrantListEntry {
        let GrantRecord {
            name, created_ms, grantee, retiring, issuing_account, operations, constraints, ..
        } = &self.record;
        let text = |text: Option<&str>| text.map(ToOwned::to_owned);
        let retiring = retiring.as_ref();
        let is_constrained = *constraints != Constraints::default();
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

/// What a grant is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Use<'u> {
    pub(crate) operation: GrantOperation,
    pub(crate) context: Option<&'u EncryptionContext>,
    /// What CreateGrant is to make.
    pub(crate) new_grant: Option<NewGrant<'u>>,
}

/// A grant that is to be made, as far as the one that allows making it has a say in it.
#[derive(Clone, Copy)]
pub(crate) struct NewGrant<'n> {
    pub(crate) operations: &'n [GrantOperation],
    pub(crate) constraints: Option<&'n GrantConstraints>,
}

impl GrantRecord {
    /// Whether it allows this to whom it names. Constraints speak of the encryption context: names and values are compared
    /// to the byte. Source: AWS KMS developer guide, "Grants in AWS KMS", "Creating grants".
    pub(crate) fn allows(&self, asked: Use<'_>) -> bool {
        // Who acts for a resource of AWS would say so: a service, and none calls.
        if !self.operations.contains(&asked.operation) || self.constraints.source_arn.is_some() {
            return false;
        }
        match asked.operation {
            // These have no context, and the constraints don't apply to them.
            GrantOperation::DescribeKey | GrantOperation::RetireGrant => true,
            GrantOperation::CreateGrant => asked.new_grant.is_some_and(|new| new.is_within(self)),
            _ => self.constraints.hold(asked.context),
        }
    }
}

impl Constraints {
    fn hold(&self, context: Option<&EncryptionContext>) -> bool {
        let none = EncryptionContext::new();
        let context = context.unwrap_or(&none);
        self.context_equals.as_ref().is_none_or(|equals| equals == context)
            && self.context_subset.as_ref().is_none_or(|subset| includes(context, subset))
    }
}

impl NewGrant<'_> {
    /// Whether it gives no more than the grant that allows making it: its operations or some of them, under constraints that
    /// are as strict or stricter. Source: AWS KMS developer guide, "Granting CreateGrant permission".
    fn is_within(self, parent: &GrantRecord) -> bool {
        let equals = self.constraints.and_then(|new| new.encryption_context_equals.as_ref());
        let subset = self.constraints.and_then(|new| new.encryption_context_subset.as_ref());
        let Constraints { context_equals, context_subset, source_arn } = &parent.constraints;
        self.operations.iter().all(|operation| parent.operations.contains(operation))
            && context_equals.as_ref().is_none_or(|wanted| equals == Some(wanted))
            && context_subset
                .as_ref()
                .is_none_or(|wanted| [equals, subset].into_iter().flatten().any(|new| includes(new, wanted)))
            && source_arn.is_none()
    }
}

fn includes(context: &EncryptionContext, wanted: &EncryptionContext) -> bool {
    wanted.iter().all(|(name, value)| context.get(name) == Some(value))
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

    /// The first of a grantee's grants of a key that fits, if one does.
    pub(crate) async fn grant_to(
        &self,
        key: &Key,
        grantee: &str,
        fits: impl Fn(&Grant) -> bool,
    ) -> Result<Option<(Path, Generation)>, Fault> {
        let found = |grant: &Grant| (grant.path(), grant.generation);
        let cache_key = (key.place.account, key.place.region.clone(), key.id, grantee.to_owned());
        if let Some(grants) = self.grants.get(&cache_key) {
            return Ok(grants.iter().find(|grant| fits(grant)).map(found));
        }
        let epoch = self.epoch.now();
        let folder = key.place.grants_of_grantee(key.id, grantee);
        let mut after = None;
        loop {
            let page = self.vault.scan(folder.children(), after.clone(), GRANTS_KEPT_MAX).await?;
            let last = page.records.last().map(|(path, _)| path.clone());
            let grants = page.records.into_iter().map(|(path, stored)| Grant::of(&key.place, &path, stored));
            let grants: Vec<Grant> = grants.collect::<Result<_, _>>()?;
            let fitting = grants.iter().find(|grant| fits(grant)).map(found);
            if after.is_none() && !page.more {
                self.grants.keep(&self.epoch, epoch, cache_key, grants.into());
                return Ok(fitting);
            }
            if fitting.is_some() || !page.more {
                return Ok(fitting);
            }
            after = last;
        }
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
