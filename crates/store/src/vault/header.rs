//! The header record: what the store says of itself.

use crate::fields::Fields;
use crate::path::Path;

/// What the store says of itself. Fields that this program doesn't know are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Header(Fields);

const STORE_ID: u16 = 1;
const PARTITION: u16 = 2;
const ACCOUNTS: u16 = 3;
const REGIONS: u16 = 4;
const LAST_SEEN_MS: u16 = 5;
const RECOVERY_EXPORTED: u16 = 6;
const CREATED_MS: u16 = 7;
/// Format and least reader stand in the bootstrap record too, where they can be read without a key; here they
/// are authentic.
const FORMAT: u16 = 8;
const MIN_READER: u16 = 9;

pub(super) fn path() -> Path {
    Path::of_store("header")
}

impl Header {
    pub(super) fn of(fields: Fields) -> Option<Self> {
        let complete = fields.get_str(STORE_ID).is_some()
            && fields.get_str(PARTITION).is_some()
            && fields.get_list(ACCOUNTS).is_some_and(|accounts| !accounts.is_empty())
            && fields.get_list(REGIONS).is_some_and(|regions| !regions.is_empty())
            && fields.get_i64(LAST_SEEN_MS).is_some()
            && fields.get_u64(MIN_READER).is_some_and(|least| least <= super::open::FORMAT);
        complete.then_some(Self(fields))
    }

    pub(super) fn new(store_id: [u8; 16], params: &super::StoreParams) -> Self {
        let mut fields = Fields::new();
        let id: String = store_id.iter().map(|byte| format!("{byte:02x}")).collect();
        fields.set_str(STORE_ID, &id).set_str(PARTITION, &params.partition);
        fields.set_list(ACCOUNTS, [&params.account]).set_list(REGIONS, &params.regions);
        fields.set_i64(LAST_SEEN_MS, params.now_ms).set_i64(CREATED_MS, params.now_ms);
        fields.set_u64(FORMAT, super::open::FORMAT).set_u64(MIN_READER, super::open::MIN_READER);
        fields.set_bool(RECOVERY_EXPORTED, false);
        Self(fields)
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.0
    }

    /// The store's id: 32 hex digits, made at random with it.
    #[must_use]
    pub fn store_id(&self) -> &str {
        self.0.get_str(STORE_ID).unwrap_or_default()
    }

    /// The ARN partition, `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.0.get_str(PARTITION).unwrap_or_default()
    }

    /// The accounts, in the order of their making; the first is the one of embedded calls.
    #[must_use]
    pub fn accounts(&self) -> Vec<String> {
        self.0.get_list(ACCOUNTS).unwrap_or_default()
    }

    /// The regions, in the order of their naming; the first is the one of embedded calls.
    #[must_use]
    pub fn regions(&self) -> Vec<String> {
        self.0.get_list(REGIONS).unwrap_or_default()
    }

    /// The wall time that was last seen, in milliseconds since the epoch.
    #[must_use]
    pub fn last_seen_ms(&self) -> i64 {
        self.0.get_i64(LAST_SEEN_MS).unwrap_or_default()
    }

    /// The wall time at which the store was made, in milliseconds since the epoch.
    #[must_use]
    pub fn created_ms(&self) -> i64 {
        self.0.get_i64(CREATED_MS).unwrap_or_default()
    }

    /// Whether a recovery key has been exported, so that the store isn't the only thing that holds the root key.
    #[must_use]
    pub fn recovery_exported(&self) -> bool {
        self.0.get_bool(RECOVERY_EXPORTED).unwrap_or(false)
    }

    /// Adds an account; one that is there stays where it is.
    pub fn add_account(&mut self, account: &str) {
        let mut accounts = self.accounts();
        if accounts.iter().all(|known| known != account) {
            accounts.push(account.to_owned());
            self.0.set_list(ACCOUNTS, accounts);
        }
    }

    /// Names the regions in this order; those known before and not named stay, behind them.
    pub fn set_regions(&mut self, named: &[String]) {
        let mut regions: Vec<String> = Vec::new();
        for region in named.iter().cloned().chain(self.regions()) {
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        self.0.set_list(REGIONS, regions);
    }

    /// Remembers the wall time, in milliseconds since the epoch.
    pub fn set_last_seen_ms(&mut self, now_ms: i64) {
        self.0.set_i64(LAST_SEEN_MS, now_ms);
    }

    /// Remembers that a recovery key has been exported.
    pub fn set_recovery_exported(&mut self) {
        self.0.set_bool(RECOVERY_EXPORTED, true);
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("store_id", &self.store_id())
            .field("accounts", &self.accounts())
            .field("regions", &self.regions())
            .finish_non_exhaustive()
    }
}
