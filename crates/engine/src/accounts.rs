//! Accounts: each with a root user, blind to the others.

use crate::change::{Change, ChangeRecord, Committed};
use crate::core::Core;
use crate::credentials::AccessKey;
use crate::fault::Fault;
use crate::record::{access_key_path, account_path};
use crate::trail::{ServiceEvent, service_record};
use bulla_api::{AccountId, ErrorCode, Timestamp};
use bulla_audit::Parameters;
use bulla_crypto::Rng;
use bulla_store::{Fields, VaultError};
use std::sync::Arc;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What its operator calls it.
    pub name: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The access key id of its root user.
    pub root_access_key_id: String,
}

/// What a new account is made with.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Its id; made at random when absent.
    pub id: Option<AccountId>,
    /// What its operator calls it: at most 128 characters, none of them a control character.
    pub name: Option<String>,
}

mod field {
    pub(super) const NAME: u16 = 1;
    pub(super) const CREATED_MS: u16 = 2;
    pub(super) const ROOT_ACCESS_KEY_ID: u16 = 3;
}

const NAME_CHARACTERS_MAX: usize = 128;

/// Most accounts: the header's list of them must stay a small record.
const ACCOUNTS_MAX: usize = 10_000;

/// How often a random id is drawn anew, or a commit tried again.
const ATTEMPTS_MAX: u32 = 16;

/// A random account id: 12 digits, the first not 0, so that no tool takes it for a shorter number.
#[must_use]
pub fn random_id(rng: &dyn Rng) -> AccountId {
    const LOWEST: u64 = 100_000_000_000;
    const COUNT: u64 = 900_000_000_000;
    loop {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        // 40 bits: a little over 2^40 - 9*10^11 values are drawn anew, so that all are as likely.
        let drawn = u64::from_be_bytes(bytes) >> 24;
        if drawn < COUNT
            && let Some(account) = AccountId::from_number(LOWEST + drawn)
        {
            return account;
        }
    }
}

impl Core {
    /// Ids of all accounts, the first one first.
    pub(crate) async fn account_ids(&self) -> Result<Vec<AccountId>, Fault> {
        if self.options.shared {
            self.refresh().await?;
        }
        let texts = self.vault.header().accounts();
        let parsed: Result<Vec<AccountId>, _> = texts.iter().map(|text| text.parse()).collect();
        parsed.map_err(|_| Fault::Incomplete("the store's accounts"))
    }

    /// All accounts, the first one first.
    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, Fault> {
        let mut accounts = Vec::new();
        for id in self.account_ids().await? {
            accounts.push(self.account(id).await?.ok_or(Fault::Incomplete("an account"))?);
        }
        Ok(accounts)
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, Fault> {
        let Some(stored) = self.vault.read(&account_path(id)).await? else { return Ok(None) };
        let fields = &stored.fields;
        let missing = || Fault::Incomplete("an account");
        Ok(Some(Account {
            id,
            name: fields.get_str(field::NAME).map(ToOwned::to_owned),
            created: Timestamp::from_millis(fields.get_i64(field::CREATED_MS).ok_or_else(missing)?),
            root_access_key_id: fields.get_str(field::ROOT_ACCESS_KEY_ID).ok_or_else(missing)?.to_owned(),
        }))
    }

    /// When an account was made.
    pub(crate) async fn account_created_ms(&self, id: AccountId) -> Result<i64, Fault> {
        let account = self.account(id).await?.ok_or(Fault::Incomplete("an account"))?;
        Ok(account.created.millis())
    }

    /// The id of the access key of an account's root user.
    pub(crate) async fn root_access_key_id(&self, id: AccountId) -> Result<String, Fault> {
        Ok(self.account(id).await?.ok_or(Fault::Incomplete("an account"))?.root_access_key_id)
    }

    /// The access key of an account's root user.
    pub(crate) async fn root_access_key(&self, id: AccountId) -> Result<AccessKey, Fault> {
        let unknown =
            || Fault::answer(ErrorCode::NotFoundException, format!("Account {id} is not in this store."));
        let access_key_id = self.account(id).await?.ok_or_else(unknown)?.root_access_key_id;
        let secret_access_key = self.secret_of(&access_key_id).await?;
        Ok(AccessKey { access_key_id, secret_access_key })
    }

    /// Makes an account, recorded as done by the operator of this host.
    pub(crate) async fn create_account(
        self: &Arc<Self>,
        new: NewAccount,
    ) -> Result<(Account, AccessKey), Fault> {
        let record = |account: &Account| service_record(self, made(self, account.id));
        let (account, key, _) = self.create_account_recorded(new, record).await?;
        Ok((account, key))
    }

    /// Makes an account; `record` gives the record that is committed with it.
    pub(crate) async fn create_account_recorded(
        self: &Arc<Self>,
        new: NewAccount,
        mut record: impl FnMut(&Account) -> ChangeRecord,
    ) -> Result<(Account, AccessKey, Committed), Fault> {
        let invalid = |text: &str| Fault::answer(ErrorCode::ValidationException, text);
        if new.name.as_ref().is_some_and(|name| {
            name.trim().is_empty()
                || name.chars().count() > NAME_CHARACTERS_MAX
                || name.chars().any(char::is_control)
        }) {
            return Err(invalid(
                "The name of an account has 1 to 128 characters, not only spaces, and no control characters.",
            ));
        }
        // For people, who could not tell the two apart. Names are not unique by a record of their own: of two that are made
        // at the same moment by two processes both stay.
        if let Some(name) = &new.name
            && let Some(taken) =
                self.accounts().await?.into_iter().find(|account| account.name.as_ref() == Some(name))
        {
            return Err(Fault::answer(
                ErrorCode::AlreadyExistsException,
                format!("Account {} has the name {name} already.", taken.id),
            ));
        }
        for _ in 0..ATTEMPTS_MAX {
            let known = self.account_ids().await?;
            if known.len() >= ACCOUNTS_MAX {
                return Err(Fault::answer(
                    ErrorCode::LimitExceededException,
                    "The store has as many accounts as it can.",
                ));
            }
            let id = new.id.unwrap_or_else(|| random_id(self.rng()));
            if known.contains(&id) || self.vault.read(&account_path(id)).await?.is_some() {
                if new.id.is_some() {
                    return Err(Fault::answer(
                        ErrorCode::AlreadyExistsException,
                        format!("Account {id} is in this store already."),
                    ));
                }
                continue;
            }
            let (account, key, change) = self.new_account(id, new.name.clone(), true);
            match self.commit(change, record(&account)).await {
                Err(Fault::Vault(error)) if error.is_conflict() => {}
                Err(fault) => return Err(fault),
                Ok(committed) => {
                    self.vault.reload_header().await?;
                    return Ok((account, key, committed));
                }
            }
        }
        Err(Fault::bug("no account could be made in many attempts"))
    }

    /// A store is made with the name of its first account; the account itself follows here, also when the program died in
    /// between.
    pub(crate) async fn complete_first_account(self: &Arc<Self>) -> Result<(), Fault> {
        let first =
            self.account_ids().await?.first().copied().ok_or(Fault::Incomplete("the store's accounts"))?;
        if self.vault.read(&account_path(first)).await?.is_some() {
            return Ok(());
        }
        let (_, _, change) = self.new_account(first, None, false);
        match self.commit(change, service_record(self, made(self, first))).await {
            // Another process was faster.
            Err(Fault::Vault(error @ VaultError::Store(_))) if error.is_conflict() => Ok(()),
            Err(fault) => Err(fault),
            Ok(_) => Ok(()),
        }
    }

    fn new_account(
        &self,
        id: AccountId,
        name: Option<String>,
        in_header: bool,
    ) -> (Account, AccessKey, Change) {
        let key = AccessKey::generate(self.rng());
        let now_ms = self.clock.wall_ms();
        let mut fields = Fields::new();
        if let Some(name) = &name {
            fields.set_str(field::NAME, name);
        }
        fields.set_i64(field::CREATED_MS, now_ms);
        fields.set_str(field::ROOT_ACCESS_KEY_ID, &key.access_key_id);
        let mut change = Change::new();
        change.expect_absent(account_path(id)).put(account_path(id), fields);
        let path = access_key_path(&key.access_key_id);
        change.expect_absent(path.clone()).put(path, key.to_fields(id, now_ms));
        if in_header {
            change.header(|header, account| header.add_account(account), id.to_string());
        }
        let account = Account {
            id,
            name,
            created: Timestamp::from_millis(now_ms),
            root_access_key_id: key.access_key_id.clone(),
        };
        (account, key, change)
    }
}

/// Has an account's record name another one.
pub(crate) fn set_root_access_key_id(fields: &mut Fields, access_key_id: &str) {
    fields.set_str(field::ROOT_ACCESS_KEY_ID, access_key_id);
}

/// What an account's record names.
pub(crate) fn root_access_key_id(fields: &Fields) -> Option<&str> {
    fields.get_str(field::ROOT_ACCESS_KEY_ID)
}

fn made(core: &Core, account: AccountId) -> ServiceEvent {
    let data = Parameters::new().text("accountId", account.to_string());
    ServiceEvent {
        account: Some(account.to_string()),
        data: Some(data),
        ..core.operator_event("CreateAccount")
    }
}
