//! Whether a store holds every record that its other records speak of.
//!
//! A record's seal proves the record, not that there are others: who removes records from the file leaves a store in
//! which all that is there is authentic. What belongs together is known here.

mod identities;

use self::identities::{Numbers, WHAT};
use crate::accounts::root_access_key_id;
use crate::credentials::{owner, user_of};
use crate::deletion::is_gone;
use crate::grants::Grant;
use crate::keys::key_arn;
use crate::outbox::next_of;
use crate::record::{
    AliasRecord, Counts, EntityKind, ExternalKey, GrantId, KIND_ACCESS_KEY, KIND_ALIAS, KIND_EXTERNAL_KEY,
    KIND_GRANT, KIND_GRANT_COUNT, KIND_GRANT_ID, KIND_GRANT_PROPERTIES, KIND_KEY, KIND_KEY_POLICY,
    KIND_KEY_REMAINS, KIND_KEY_STORE, KIND_KEY_STORE_CREDENTIAL, KIND_KEY_STORE_NAME, KIND_KEY_STORE_URI,
    KIND_KEY_USAGE, KIND_MATERIAL, KIND_MATERIAL_ENTRY, KIND_RETIRABLE_GRANT, KIND_SCHEDULED, KeyRecord,
    KeyStoreRecord, MaterialEntry, Place, Scheduled, access_key_path, account_path, entity_path,
    grant_count_of, key_of_external, owner_of, pointer_of,
};
use bulla_api::{AccountId, AliasName, KeyId};
use bulla_crypto::blob::KeyMaterialId;
use bulla_store::{GET_PATHS_MAX, Path, Prefix, Stored, Vault, VaultError};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One thing that doesn't fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Finding {
    /// A record that another one speaks of.
    #[error("the store lacks {what} of {of}")]
    Missing {
        /// What kind of record.
        what: &'static str,
        /// Whose.
        of: String,
    },
    /// There are more or fewer than were counted when they were made.
    #[error("the store has {found} {what} of {of}, but {recorded} by its own count")]
    Count {
        /// What kind of record.
        what: &'static str,
        /// Whose.
        of: String,
        /// How many there should be.
        recorded: u64,
        /// How many there are.
        found: u64,
    },
    /// A replica of a multi-Region key has the history of its primary key, as far as it goes.
    #[error("the materials of {of} are not those of its primary key")]
    NotOfPrimary {
        /// The replica.
        of: String,
    },
    /// An authentic record that says nothing this program understands.
    #[error("the record at {0} can't be understood")]
    Unreadable(String),
}

/// Records read at a time.
const PAGE: usize = 100;

/// How often a store that is changed meanwhile is looked through anew.
const PASSES_MAX: u32 = 5;

/// Looks for records that are missing: each is read, and each that it speaks of must be there. Only reads, and so also
/// beside a server: of a store that changes meanwhile, what is found again and again is told.
///
/// # Errors
/// [`VaultError`]; one record that is not authentic too.
pub async fn check_references(vault: &Vault) -> Result<Vec<Finding>, VaultError> {
    look_through(vault).await.map(|through| through.findings)
}

/// What a look through a store came to, in which every record was authentic.
#[derive(Debug, Clone, Default)]
pub struct Through {
    /// How many records there are, but for those that the others are opened with.
    pub records: u64,
    /// What doesn't fit.
    pub findings: Vec<Finding>,
}

/// The same, with the number of records, each of which was opened: a check of them all takes no look of its own.
///
/// # Errors
/// As [`check_references`].
pub async fn look_through(vault: &Vault) -> Result<Through, VaultError> {
    let mut found: Option<BTreeSet<Finding>> = None;
    let mut records = 0;
    for _ in 0..PASSES_MAX {
        let before = vault.store().revision().await?;
        let seen = Seen::read(vault).await?;
        records = seen.records;
        let now = seen.findings();
        let quiet = vault.store().revision().await? == before;
        let both: BTreeSet<Finding> = match found {
            Some(earlier) if !quiet => earlier.intersection(&now).cloned().collect(),
            _ => now,
        };
        if quiet || both.is_empty() {
            return Ok(Through { records, findings: both.into_iter().collect() });
        }
        found = Some(both);
    }
    Ok(Through { records, findings: found.unwrap_or_default().into_iter().collect() })
}

/// What one look through the store saw. Nothing is remembered for each record, and nothing for each key but while the look
/// goes through its account and region: there may be millions.
#[derive(Default)]
struct Seen {
    records: u64,
    /// Where the look is, and what it counted there.
    here: Option<(Place, Counted)>,
    /// What the last records speak of, and was not looked for yet.
    needs: Vec<Need>,
    /// What was looked for and is not there.
    missing: Vec<Need>,
    findings: BTreeSet<Finding>,
    /// Those that count only while the key is not going.
    findings_of_keys: Vec<(KeyId, Finding)>,
    /// Keys that are gone and whose other records are going.
    going: HashSet<KeyId>,
    /// The same, with where they were.
    going_from: HashSet<(Place, KeyId)>,
    /// Where multi-Region keys are marked to be so.
    remains: HashSet<(Place, KeyId)>,
    multi_region: HashMap<(AccountId, KeyId), MultiRegion>,
    /// Users, groups and so on of each account, counted here.
    identities_found: HashMap<AccountId, Numbers>,
    /// The same, as the store counts them.
    identity_counts: HashMap<AccountId, Numbers>,
    /// Characters of the inline policies of each user, group and role, counted here.
    inline_found: HashMap<String, u64>,
    /// The same, as its record counts them.
    inline_counts: HashMap<String, u64>,
    /// Whether any account and region has records.
    has_places: bool,
    accounts: HashSet<AccountId>,
    outbox: Vec<u64>,
    outbox_next: Option<u64>,
}

/// What is counted in one account and region, and what its own counts say.
#[derive(Default)]
struct Counted {
    /// Keys, aliases and custom key stores.
    found: [u64; 3],
    recorded: [u64; 3],
    /// Keys of each custom key store.
    store_keys: HashMap<String, Both>,
    /// Aliases of each key.
    aliases: HashMap<KeyId, Both>,
    /// Grants of each key.
    grants: HashMap<KeyId, Both>,
}

/// How many were found, and how many there should be; none of what has no count.
#[derive(Default)]
struct Both {
    found: u64,
    recorded: Option<u64>,
}

/// What the regions of one multi-Region key say of it.
#[derive(Default)]
struct MultiRegion {
    regions: HashMap<Place, OneRegion>,
}

#[derive(Default)]
struct OneRegion {
    /// None while no key was seen.
    is_replica: Option<bool>,
    /// Of its materials, where each region has its own.
    history: BTreeMap<u64, KeyMaterialId>,
}

/// A record that must be there.
struct Need {
    path: Path,
    what: &'static str,
    of: String,
    /// Unless this key is going.
    key: Option<KeyId>,
}

impl Seen {
    async fn read(vault: &Vault) -> Result<Self, VaultError> {
        let mut seen = Self::default();
        let mut after = None;
        loop {
            let page = vault.scan(Prefix::everything(), after, PAGE).await?;
            for (path, stored) in &page.records {
                seen.records += 1;
                if seen.look(path, stored).is_none() {
                    seen.findings.insert(Finding::Unreadable(path.to_string()));
                }
            }
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more {
                break;
            }
            seen.look_for_needs(vault).await?;
        }
        seen.leave();
        seen.look_at_accounts(&vault.reload_header().await?.accounts());
        seen.look_for_needs(vault).await?;
        Ok(seen)
    }

    fn need(&mut self, path: Path, what: &'static str, of: impl Into<String>) {
        self.needs.push(Need { path, what, of: of.into(), key: None });
    }

    /// A record that must be there while the key is not going.
    fn need_of_key(&mut self, key: KeyId, path: Path, what: &'static str, of: impl Into<String>) {
        self.needs.push(Need { path, what, of: of.into(), key: Some(key) });
    }

    /// Notes what a record speaks of. `None` when it can't be understood; kinds that aren't known are passed over.
    fn look(&mut self, path: &Path, stored: &Stored) -> Option<()> {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let place = || Some(Place { account: text(1)?.parse().ok()?, region: text(2)?.parse().ok()? });
        let key_id = || text(4)?.parse::<KeyId>().ok();
        let fields = &stored.fields;
        self.enter(place());
        match text(3)? {
            KIND_KEY => self.look_at_key(place()?, key_id()?, &KeyRecord::of(fields.clone()).ok()?),
            kind @ (KIND_KEY_POLICY | KIND_MATERIAL | KIND_MATERIAL_ENTRY | KIND_KEY_USAGE) => {
                let id = key_id()?;
                // What all regions share belongs to no place.
                if let Some(place) = place() {
                    let of = format!("the {} of {}", kind, key_arn(&place, id));
                    self.need_of_key(id, place.key(id), "the key", of);
                }
                if kind == KIND_MATERIAL_ENTRY {
                    let entry = MaterialEntry::of(fields.clone()).ok()?;
                    let backing = entry.material_id.backing_key_id();
                    let materials = Path::in_region(text(1)?, text(2)?, KIND_MATERIAL).join(text(4)?);
                    let of = place().map_or_else(|| format!("key {id}"), |place| key_arn(&place, id));
                    if entry.has_material() {
                        self.need_of_key(id, materials.join(backing.to_string()), "key material", of.clone());
                    }
                    if let Some(expiry) = place().and_then(|place| entry.expiry(&place, id)) {
                        self.need_of_key(id, expiry.path(), "the scheduled work", of);
                    }
                    if let Some(place) = place().filter(|_| id.is_multi_region()) {
                        let number = text(5)?.parse().ok()?;
                        self.multi_region(place, id).history.insert(number, entry.material_id);
                    }
                }
            }
            KIND_ALIAS => {
                let (place, name) = (place()?, text(4)?.parse::<AliasName>().ok()?);
                let target = AliasRecord::of(fields.clone()).ok()?.target;
                self.need_of_key(target, place.key(target), "the key", name.as_str());
                self.need(place.alias_of_key(target, &name), "the index record", name.as_str());
                let counted = self.counted(place);
                counted.found[1] += 1;
                counted.aliases.entry(target).or_default().found += 1;
            }
            "alias-of-key" => {
                let (place, id, name) = (place()?, key_id()?, text(5)?.parse::<AliasName>().ok()?);
                self.need(place.alias(&name), "an alias", key_arn(&place, id));
            }
            "counts" => {
                let counts = Counts::of(fields.clone());
                self.counted(place()?).recorded = [counts.keys, counts.aliases, counts.key_stores];
            }
            KIND_KEY_STORE => {
                self.look_at_key_store(place()?, text(4)?, &KeyStoreRecord::of(fields.clone()).ok()?);
            }
            KIND_KEY_STORE_CREDENTIAL => {
                let (place, id) = (place()?, text(4)?);
                self.need(place.key_store(id), "the custom key store", format!("the credential of {id}"));
            }
            KIND_KEY_STORE_NAME | KIND_KEY_STORE_URI => {
                let id = owner_of(fields).ok()?;
                let of = format!("the name or address of {id}");
                self.need(place()?.key_store(&id), "the custom key store", of);
            }
            KIND_EXTERNAL_KEY => {
                let (place, key) = (place()?, key_of_external(fields)?);
                self.need(place.key(key), "the key", format!("external key {} of {}", text(5)?, text(4)?));
            }
            KIND_KEY_REMAINS => {
                self.remains.insert((place()?, key_id()?));
            }
            "account" => {
                let account: AccountId = text(4)?.parse().ok()?;
                self.accounts.insert(account);
                let id = root_access_key_id(fields)?;
                self.need(access_key_path(id), "the root access key", format!("account {account}"));
            }
            KIND_ACCESS_KEY => {
                let account = owner(fields)?;
                let of = format!("access key {}", text(4)?);
                self.need(account_path(account), "the account", of.clone());
                if let Some(user) = user_of(fields) {
                    self.need(entity_path(account, EntityKind::User, user), "the user", of);
                }
            }
            KIND_SCHEDULED => {
                let Scheduled { place, id, work, .. } = Scheduled::read(path)?;
                if is_gone(fields) {
                    self.going.insert(id);
                    if id.is_multi_region() {
                        self.need(place.key_remains(id), "the mark of what remains", key_arn(&place, id));
                    }
                    self.going_from.insert((place, id));
                } else {
                    self.need_of_key(id, place.key(id), "the key", format!("scheduled work ({work})"));
                }
            }
            "outbox" => self.outbox.push(text(4)?.parse().ok()?),
            "outbox-head" => self.outbox_next = Some(next_of(fields)?),
            kind @ (KIND_GRANT
            | KIND_GRANT_COUNT
            | KIND_GRANT_ID
            | KIND_GRANT_PROPERTIES
            | KIND_RETIRABLE_GRANT) => self.look_at_grants(kind, place()?, path, stored)?,
            _ => self.look_at_identities(path, fields)?,
        }
        Some(())
    }

    /// The same for the records of grants.
    fn look_at_grants(&mut self, kind: &str, place: Place, path: &Path, stored: &Stored) -> Option<()> {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let key = text(4)?.parse::<KeyId>().ok();
        match kind {
            KIND_GRANT => {
                let grant =
                    Grant::of(&place, path, stored.clone()).ok().filter(|grant| grant.path() == *path)?;
                let of = format!("grant {} of {}", grant.id, grant.key_arn());
                for path in grant.led_to_by() {
                    self.need_of_key(grant.key, path, "an index record", of.clone());
                }
                self.counted(place).grants.entry(grant.key).or_default().found += 1;
            }
            KIND_GRANT_COUNT => {
                let recorded = grant_count_of(&stored.fields).ok()?;
                self.counted(place).grants.entry(key?).or_default().recorded = Some(recorded);
            }
            KIND_GRANT_ID => {
                let (key, id) = (key?, GrantId::parse(text(5)?)?);
                let grant = place.grant(key, pointer_of(&stored.fields).ok()?, id);
                self.need_of_key(key, grant, "a grant", key_arn(&place, key));
            }
            KIND_GRANT_PROPERTIES => {
                let (key, id) = (key?, GrantId::parse(pointer_of(&stored.fields).ok()?)?);
                self.need_of_key(key, place.grant_id(key, id), "a grant", key_arn(&place, key));
            }
            // Of a key in whichever account.
            _ => {
                let owner = Place { account: text(5)?.parse().ok()?, region: place.region };
                let (key, id) = (text(6)?.parse().ok()?, GrantId::parse(text(7)?)?);
                let grant = owner.grant(key, pointer_of(&stored.fields).ok()?, id);
                self.need_of_key(key, grant, "a grant", key_arn(&owner, key));
            }
        }
        Some(())
    }

    /// Looks for what the last records speak of, and remembers what isn't there.
    async fn look_for_needs(&mut self, vault: &Vault) -> Result<(), VaultError> {
        // Many speak of the same, such as their account.
        let mut needs: BTreeMap<Path, Vec<Need>> = BTreeMap::new();
        for need in std::mem::take(&mut self.needs) {
            needs.entry(need.path.clone()).or_default().push(need);
        }
        let paths: Vec<Path> = needs.keys().cloned().collect();
        for some in paths.chunks(GET_PATHS_MAX) {
            let found = vault.store().get_many(some).await?;
            for (path, _) in some.iter().zip(found).filter(|(_, record)| record.is_none()) {
                self.missing.extend(needs.remove(path).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// What is counted in this place, which the look is in.
    fn counted(&mut self, place: Place) -> &mut Counted {
        self.enter(Some(place.clone()));
        &mut self.here.get_or_insert_with(|| (place, Counted::default())).1
    }

    /// The look goes on here. The records of an account and region stand together.
    fn enter(&mut self, place: Option<Place>) {
        if self.here.as_ref().map(|(place, _)| place) != place.as_ref() {
            self.leave();
            self.here = place.map(|place| (place, Counted::default()));
        }
    }

    /// The look leaves an account and region: all that is counted there has been seen.
    fn leave(&mut self) {
        let Some((place, counted)) = self.here.take() else { return };
        self.has_places = true;
        let of = format!("account {} in {}", place.account, place.region);
        for (what, (recorded, found)) in ["keys", "aliases", "custom key stores"]
            .into_iter()
            .zip(counted.recorded.into_iter().zip(counted.found))
        {
            self.findings.extend(differs(what, of.clone(), recorded, found));
        }
        for (id, Both { found, recorded }) in counted.store_keys {
            let of = format!("custom key store {id}");
            self.findings.extend(recorded.and_then(|recorded| differs("keys", of, recorded, found)));
        }
        for (id, Both { found, recorded }) in counted.aliases {
            let arn = key_arn(&place, id);
            self.findings.extend(recorded.and_then(|recorded| differs("aliases", arn, recorded, found)));
        }
        for (id, Both { found, recorded }) in counted.grants {
            let arn = key_arn(&place, id);
            let finding = differs("grants", arn.clone(), recorded.unwrap_or_default(), found);
            self.findings_of_keys.extend(finding.map(|finding| (id, finding)));
            self.need_of_key(id, place.key(id), "the key", format!("grants of {arn}"));
        }
    }

    fn multi_region(&mut self, place: Place, id: KeyId) -> &mut OneRegion {
        let key = self.multi_region.entry((place.account, id)).or_default();
        key.regions.entry(place).or_default()
    }

    fn look_at_key(&mut self, place: Place, id: KeyId, record: &KeyRecord) {
        let arn = key_arn(&place, id);
        self.need(account_path(place.account), "the account", arn.clone());
        self.need(place.key_policy(id), "the policy", arn.clone());
        for number in 0..record.materials + u64::from(record.pending.is_some()) {
            self.need(record.entry(&place, id, number), "the history of a material", arn.clone());
        }
        for scheduled in record.scheduled(&place, id) {
            self.need(scheduled.path(), "the scheduled work", arn.clone());
        }
        if let Some(ExternalKey { key_store, xks_key }) = &record.external {
            self.need(place.key_store(key_store), "the custom key store", arn.clone());
            self.need(place.external_key(key_store, xks_key), "the external key", arn.clone());
            self.counted(place.clone()).store_keys.entry(key_store.clone()).or_default().found += 1;
        }
        if id.is_multi_region() {
            self.multi_region(place.clone(), id).is_replica = Some(record.primary.is_some());
        }
        if let Some(primary) = &record.primary {
            self.need(place.elsewhere(primary).key(id), "the primary key", arn);
        }
        let counted = self.counted(place);
        counted.found[0] += 1;
        counted.aliases.entry(id).or_default().recorded = Some(record.aliases);
    }

    fn look_at_key_store(&mut self, place: Place, id: &str, record: &KeyStoreRecord) {
        self.need(place.key_store_credential(id), "the credential", id);
        self.need(place.key_store_name(&record.name), "the record of the name", id);
        self.need(
            place.key_store_uri(&record.uri_endpoint, &record.uri_path),
            "the record of the address",
            id,
        );
        let counted = self.counted(place);
        counted.found[2] += 1;
        counted.store_keys.entry(id.to_owned()).or_default().recorded = Some(record.keys);
    }

    fn look_at_accounts(&mut self, named: &[String]) {
        // A store whose making was interrupted has but the first one's name; the next opening completes it.
        let is_begun = self.accounts.is_empty() && !self.has_places && named.len() == 1;
        for text in named.iter().filter(|_| !is_begun) {
            match text.parse() {
                Ok(account) => self.need(account_path(account), "the record", format!("account {account}")),
                Err(_) => {
                    self.findings.insert(Finding::Unreadable("the header".to_owned()));
                }
            }
        }
        for account in &self.accounts {
            let text = account.to_string();
            if !named.contains(&text) {
                let of = format!("account {text}");
                self.findings.insert(Finding::Missing { what: "the header's mention", of });
            }
        }
    }

    fn findings(self) -> BTreeSet<Finding> {
        let mut findings = self.findings;
        let is_going = |key: KeyId| self.going.contains(&key);
        let of_keys = self.findings_of_keys.into_iter().filter(|(key, _)| !is_going(*key));
        findings.extend(of_keys.map(|(_, finding)| finding));
        let missing = self.missing.into_iter().filter(|need| !need.key.is_some_and(is_going));
        findings.extend(missing.map(|Need { what, of, .. }| Finding::Missing { what, of }));
        for (place, id) in self.remains.difference(&self.going_from) {
            findings.insert(Finding::Missing { what: "the deletion", of: key_arn(place, *id) });
        }
        for ((account, id), key) in self.multi_region {
            let roles = key.regions.values().filter_map(|region| region.is_replica);
            let primaries = roles.clone().filter(|is_replica| !is_replica).count() as u64;
            if roles.count() > 0 {
                let of = format!("multi-Region key {id} of account {account}");
                findings.extend(differs("primary keys", of, 1, primaries));
            }
            findings.extend(key.strays(id));
        }
        for (of, recorded) in self.inline_counts {
            let found = self.inline_found.get(&of).copied().unwrap_or_default();
            findings.extend(differs("characters of inline policies", of, recorded, found));
        }
        let accounts: HashSet<AccountId> =
            self.identities_found.keys().chain(self.identity_counts.keys()).copied().collect();
        for account in accounts {
            let recorded = self.identity_counts.get(&account).copied().unwrap_or_default();
            let found = self.identities_found.get(&account).copied().unwrap_or_default();
            for (what, (recorded, found)) in WHAT.into_iter().zip(recorded.into_iter().zip(found)) {
                findings.extend(differs(what, format!("account {account}"), recorded, found));
            }
        }
        // Whatever is recorded came with a change, which was numbered.
        if self.outbox_next.is_none() && (self.has_places || !self.accounts.is_empty()) {
            findings
                .insert(Finding::Missing { what: "the number", of: "the changes that were made".to_owned() });
        }
        // Records that wait for the audit log are removed from the front only.
        if let Some(first) = self.outbox.iter().min() {
            let recorded = self.outbox_next.unwrap_or_default().saturating_sub(*first);
            findings.extend(differs(
                "waiting audit records",
                "its changes".to_owned(),
                recorded,
                self.outbox.len() as u64,
            ));
        }
        findings
    }
}

impl MultiRegion {
    /// Replicas with materials that are not their primary key's. Where each region imports its own, that is the same
    /// material.
    fn strays(self, id: KeyId) -> impl Iterator<Item = Finding> {
        let of_primary = self.regions.values().find(|region| region.is_replica == Some(false));
        let of_primary = of_primary.map(|region| region.history.clone()).unwrap_or_default();
        let strays = self.regions.into_iter().filter(move |(_, region)| {
            region.is_replica == Some(true)
                && region.history.iter().any(|(number, id)| of_primary.get(number) != Some(id))
        });
        strays.map(move |(place, _)| Finding::NotOfPrimary { of: key_arn(&place, id) })
    }
}

fn differs(what: &'static str, of: String, recorded: u64, found: u64) -> Option<Finding> {
    (recorded != found).then_some(Finding::Count { what, of, recorded, found })
}
