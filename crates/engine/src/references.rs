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
use bulla_store::{GET_PATHS_MAX, Path, Prefix, Stored, Vault, VaultError};
use std::collections::{BTreeSet, HashMap, HashSet};

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
    /// An authentic record that says nothing this program understands.
    #[error("the record at {0} can't be understood")]
    Unreadable(String),
}

/// Records read at a time.
const PAGE: usize = 100;

/// The kinds of records that grants have.
const KINDS_OF_GRANTS: [&str; 5] =
    [KIND_GRANT, KIND_GRANT_COUNT, KIND_GRANT_ID, KIND_GRANT_PROPERTIES, KIND_RETIRABLE_GRANT];

/// How often a store that is changed meanwhile is looked through anew.
const PASSES_MAX: u32 = 5;

/// Looks for records that are missing: each is read, and each that it speaks of must be there. Only reads, and so also
/// beside a server: of a store that changes meanwhile, what is found again and again is told.
///
/// # Errors
/// [`VaultError`]; one record that is not authentic too.
pub async fn check_references(vault: &Vault) -> Result<Vec<Finding>, VaultError> {
    let mut found: Option<BTreeSet<Finding>> = None;
    for _ in 0..PASSES_MAX {
        let before = vault.store().revision().await?;
        let now = Seen::read(vault).await?.findings();
        let quiet = vault.store().revision().await? == before;
        if quiet {
            return Ok(now.into_iter().collect());
        }
        let both: BTreeSet<Finding> = match found {
            Some(earlier) => earlier.intersection(&now).cloned().collect(),
            None => now,
        };
        if both.is_empty() {
            return Ok(Vec::new());
        }
        found = Some(both);
    }
    Ok(found.unwrap_or_default().into_iter().collect())
}

/// What one look through the store saw.
#[derive(Default)]
struct Seen {
    paths: HashSet<Path>,
    needs: Vec<Need>,
    findings: BTreeSet<Finding>,
    /// In each place: keys, aliases and custom key stores, counted here.
    found: HashMap<Place, [u64; 3]>,
    /// The same, as the store counts them.
    counts: HashMap<Place, [u64; 3]>,
    /// Keys of each custom key store, counted here.
    store_keys: HashMap<(Place, String), u64>,
    /// Keys of each custom key store, as its record counts them.
    store_counts: HashMap<(Place, String), u64>,
    /// Aliases of each key, counted here.
    aliases: HashMap<(Place, KeyId), u64>,
    /// Aliases of each key, as its record counts them.
    key_counts: HashMap<(Place, KeyId), u64>,
    /// Grants of each key, counted here. Of their records nothing else is remembered: there may be millions.
    grants: HashMap<(Place, KeyId), u64>,
    /// The same, as the store counts them.
    grant_counts: HashMap<(Place, KeyId), u64>,
    /// Keys that are gone and whose other records are going.
    going: HashSet<KeyId>,
    /// The same, with where they were.
    going_from: HashSet<(Place, KeyId)>,
    /// Where multi-Region keys are marked to be so.
    remains: HashSet<(Place, KeyId)>,
    /// Primary keys of each multi-Region key, counted here.
    primaries: HashMap<(AccountId, KeyId), u64>,
    /// Users, groups and so on of each account, counted here.
    identities_found: HashMap<AccountId, Numbers>,
    /// The same, as the store counts them.
    identity_counts: HashMap<AccountId, Numbers>,
    /// Characters of the inline policies of each user, group and role, counted here.
    inline_found: HashMap<String, u64>,
    /// The same, as its record counts them.
    inline_counts: HashMap<String, u64>,
    accounts: HashSet<AccountId>,
    outbox: Vec<u64>,
    outbox_next: Option<u64>,
}

/// A record that can't be understood.
struct Unreadable;

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
            let mut of_grants = Vec::new();
            for (path, stored) in &page.records {
                match seen.look_at_grants(path, stored) {
                    Some(Ok(needs)) => of_grants.extend(needs),
                    Some(Err(Unreadable)) => {
                        seen.findings.insert(Finding::Unreadable(path.to_string()));
                    }
                    None => {
                        if seen.look(path, stored).is_none() {
                            seen.findings.insert(Finding::Unreadable(path.to_string()));
                        }
                        seen.paths.insert(path.clone());
                    }
                }
            }
            seen.look_for(vault, of_grants).await?;
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more {
                break;
            }
        }
        seen.look_at_accounts(&vault.reload_header().await?.accounts());
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
                }
            }
            KIND_ALIAS => {
                let (place, name) = (place()?, text(4)?.parse::<AliasName>().ok()?);
                let target = AliasRecord::of(fields.clone()).ok()?.target;
                self.need_of_key(target, place.key(target), "the key", name.as_str());
                self.need(place.alias_of_key(target, &name), "the index record", name.as_str());
                self.found.entry(place.clone()).or_default()[1] += 1;
                *self.aliases.entry((place, target)).or_default() += 1;
            }
            "alias-of-key" => {
                let (place, id, name) = (place()?, key_id()?, text(5)?.parse::<AliasName>().ok()?);
                self.need(place.alias(&name), "an alias", key_arn(&place, id));
            }
            "counts" => {
                let counts = Counts::of(fields.clone());
                self.counts.insert(place()?, [counts.keys, counts.aliases, counts.key_stores]);
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
            _ => self.look_at_identities(path, fields)?,
        }
        Some(())
    }

    /// The same for the records of grants, which is a kind of its own: what they speak of is to be looked for at once.
    /// `None` of all other records.
    fn look_at_grants(&mut self, path: &Path, stored: &Stored) -> Option<Result<Vec<Need>, Unreadable>> {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let kind = text(3)?;
        if !KINDS_OF_GRANTS.contains(&kind) {
            return None;
        }
        let place = || Some(Place { account: text(1)?.parse().ok()?, region: text(2)?.parse().ok()? });
        let mut read = || {
            let (place, key) = (place()?, text(4)?.parse::<KeyId>().ok());
            let need = |key: KeyId, path: Path, what: &'static str, of: String| {
                vec![Need { path, what, of, key: Some(key) }]
            };
            match kind {
                KIND_GRANT => {
                    let grant = Grant::of(&place, path, stored.clone()).ok()?;
                    *self.grants.entry((place, grant.key)).or_default() += 1;
                    let of = format!("grant {} of {}", grant.id, grant.key_arn());
                    let led_to = grant.led_to_by().into_iter();
                    let needs = led_to.flat_map(|path| need(grant.key, path, "an index record", of.clone()));
                    (grant.path() == *path).then(|| needs.collect())
                }
                KIND_GRANT_COUNT => {
                    self.grant_counts.insert((place, key?), grant_count_of(&stored.fields).ok()?);
                    Some(Vec::new())
                }
                KIND_GRANT_ID => {
                    let (key, id) = (key?, GrantId::parse(text(5)?)?);
                    let grant = place.grant(key, pointer_of(&stored.fields).ok()?, id);
                    Some(need(key, grant, "a grant", key_arn(&place, key)))
                }
                KIND_GRANT_PROPERTIES => {
                    let (key, id) = (key?, GrantId::parse(pointer_of(&stored.fields).ok()?)?);
                    Some(need(key, place.grant_id(key, id), "a grant", key_arn(&place, key)))
                }
                // Of a key in whichever account.
                _ => {
                    let owner = Place { account: text(5)?.parse().ok()?, region: place.region };
                    let (key, id) = (text(6)?.parse().ok()?, GrantId::parse(text(7)?)?);
                    let grant = owner.grant(key, pointer_of(&stored.fields).ok()?, id);
                    Some(need(key, grant, "a grant", key_arn(&owner, key)))
                }
            }
        };
        Some(read().ok_or(Unreadable))
    }

    /// Looks for records at once, and remembers those that aren't there.
    async fn look_for(&mut self, vault: &Vault, needs: Vec<Need>) -> Result<(), VaultError> {
        let mut needs = needs.into_iter().peekable();
        while needs.peek().is_some() {
            let some: Vec<Need> = needs.by_ref().take(GET_PATHS_MAX).collect();
            let paths: Vec<Path> = some.iter().map(|need| need.path.clone()).collect();
            let found = vault.store().get_many(&paths).await?;
            let missing = some.into_iter().zip(found).filter(|(_, record)| record.is_none());
            self.needs.extend(missing.map(|(need, _)| need));
        }
        Ok(())
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
            *self.store_keys.entry((place.clone(), key_store.clone())).or_default() += 1;
        }
        if id.is_multi_region() {
            *self.primaries.entry((place.account, id)).or_default() += u64::from(record.primary.is_none());
        }
        if let Some(primary) = &record.primary {
            self.need(place.elsewhere(primary).key(id), "the primary key", arn);
        }
        self.found.entry(place.clone()).or_default()[0] += 1;
        self.key_counts.insert((place, id), record.aliases);
    }

    fn look_at_key_store(&mut self, place: Place, id: &str, record: &KeyStoreRecord) {
        self.need(place.key_store_credential(id), "the credential", id);
        self.need(place.key_store_name(&record.name), "the record of the name", id);
        self.need(
            place.key_store_uri(&record.uri_endpoint, &record.uri_path),
            "the record of the address",
            id,
        );
        self.found.entry(place.clone()).or_default()[2] += 1;
        self.store_counts.insert((place, id.to_owned()), record.keys);
    }

    fn look_at_accounts(&mut self, named: &[String]) {
        // A store whose making was interrupted has but the first one's name; the next opening completes it.
        let is_begun = self.accounts.is_empty() && self.found.is_empty() && named.len() == 1;
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

    fn findings(mut self) -> BTreeSet<Finding> {
        let with_grants: HashSet<(Place, KeyId)> =
            self.grants.keys().chain(self.grant_counts.keys()).cloned().collect();
        for (place, key) in &with_grants {
            let of = format!("grants of {}", key_arn(place, *key));
            self.need_of_key(*key, place.key(*key), "the key", of);
        }
        let mut findings = self.findings;
        for Need { path, what, of, key } in self.needs {
            if !self.paths.contains(&path) && !key.is_some_and(|key| self.going.contains(&key)) {
                findings.insert(Finding::Missing { what, of });
            }
        }
        for (place, id) in self.remains.difference(&self.going_from) {
            findings.insert(Finding::Missing { what: "the deletion", of: key_arn(place, *id) });
        }
        let mut compare = |what: &'static str, of: String, recorded: u64, found: u64| {
            if recorded != found {
                findings.insert(Finding::Count { what, of, recorded, found });
            }
        };
        let places: HashSet<&Place> = self.found.keys().chain(self.counts.keys()).collect();
        for place in places {
            let recorded = self.counts.get(place).copied().unwrap_or_default();
            let found = self.found.get(place).copied().unwrap_or_default();
            let of = format!("account {} in {}", place.account, place.region);
            for (what, (recorded, found)) in
                ["keys", "aliases", "custom key stores"].into_iter().zip(recorded.into_iter().zip(found))
            {
                compare(what, of.clone(), recorded, found);
            }
        }
        for (of, recorded) in self.inline_counts {
            let found = self.inline_found.get(&of).copied().unwrap_or_default();
            compare("characters of inline policies", of, recorded, found);
        }
        let accounts: HashSet<AccountId> =
            self.identities_found.keys().chain(self.identity_counts.keys()).copied().collect();
        for account in accounts {
            let recorded = self.identity_counts.get(&account).copied().unwrap_or_default();
            let found = self.identities_found.get(&account).copied().unwrap_or_default();
            for (what, (recorded, found)) in WHAT.into_iter().zip(recorded.into_iter().zip(found)) {
                compare(what, format!("account {account}"), recorded, found);
            }
        }
        for ((place, id), recorded) in self.store_counts {
            let found = self.store_keys.get(&(place, id.clone())).copied().unwrap_or_default();
            compare("keys", format!("custom key store {id}"), recorded, found);
        }
        for ((account, id), found) in self.primaries {
            compare("primary keys", format!("multi-Region key {id} of account {account}"), 1, found);
        }
        for ((place, id), recorded) in self.key_counts {
            let arn = key_arn(&place, id);
            let found = self.aliases.get(&(place, id)).copied().unwrap_or_default();
            compare("aliases", arn, recorded, found);
        }
        for of_key in with_grants.into_iter().filter(|(_, key)| !self.going.contains(key)) {
            let recorded = self.grant_counts.get(&of_key).copied().unwrap_or_default();
            let found = self.grants.get(&of_key).copied().unwrap_or_default();
            compare("grants", key_arn(&of_key.0, of_key.1), recorded, found);
        }
        // Records that wait for the audit log are removed from the front only.
        if let Some(first) = self.outbox.iter().min() {
            let recorded = self.outbox_next.unwrap_or_default().saturating_sub(*first);
            compare("waiting audit records", "its changes".to_owned(), recorded, self.outbox.len() as u64);
        }
        findings
    }
}
