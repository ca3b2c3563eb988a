//! This program's own calls, `BullaAdmin.…`, for callers of this host alone: JSON in and out.
//!
//! | call | in | out |
//! |---|---|---|
//! | `CreateAccount` | `{"AccountId"?, "Name"?}` | `{"AccountId", "AccessKeyId", "SecretAccessKey"}` |
//! | `ListAccounts` | `{}` | `{"Accounts": [{"AccountId", "Name"?, "CreationDate", "RootAccessKeyId"}]}` |
//! | `ResetRootAccessKey` | `{"AccountId"?}` | `{"AccountId", "AccessKeyId", "SecretAccessKey"}` |
//! | `DisableRootAccessKey` | `{"AccountId"?}` | `{"AccountId", "AccessKeyId"}` |
//! | `ResetKeyPolicy` | `{"KeyId"}` | `{"KeyId"}`, the ARN |
//! | `RecoveryKeyExported` | `{}` | `{}` |
//! | `AcceptClock` | `{}` | `{}` |
//! | `ExplainPolicy` | see [`ExplainInput`] | `{"Verdict", "Because", "Statements", "Grants", "Changes", …}` |
//! | `Status` | `{}` | `{"StoreId", "Accounts", "Regions", "RecoveryExported", "ClockAheadObserveMs", …}` |

use crate::accounts::{Account, NewAccount};
use crate::authenticate::Authenticated;
use crate::clock_watch::ClockState;
use crate::core::Core;
use crate::credentials::AccessKey;
use crate::explain::ExplainInput;
use crate::fault::Fault;
use crate::pipeline::Recorded;
use crate::trail::Trail;
use bulla_api::{AccountId, ErrorCode, WipedBuffer};
use bulla_audit::Parameters;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether this call changes anything.
pub(crate) fn changes(name: &str) -> bool {
    matches!(
        name,
        "CreateAccount"
            | "ResetRootAccessKey"
            | "DisableRootAccessKey"
            | "ResetKeyPolicy"
            | "RecoveryKeyExported"
            | "AcceptClock"
    )
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct CreateAccountInput {
    account_id: Option<String>,
    name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateAccountOutput<'a> {
    account_id: String,
    access_key_id: &'a str,
    secret_access_key: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct AccountInput {
    account_id: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct KeyInput {
    key_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DisableRootOutput {
    account_id: String,
    access_key_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListAccountsOutput {
    accounts: Vec<AccountEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountEntry {
    account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    creation_date: f64,
    root_access_key_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatusOutput {
    store_id: String,
    accounts: usize,
    regions: Vec<String>,
    recovery_exported: bool,
    clock_ahead_observe_ms: i64,
    cached_keys: usize,
    cached_materials: usize,
    outbox_pending: u64,
}

impl Core {
    /// Does a call for a caller of this host, and records it.
    pub(crate) async fn admin(
        self: &Arc<Self>,
        caller: Authenticated,
        trail: Trail<'_>,
        name: &str,
        body: &[u8],
    ) -> Recorded<WipedBuffer> {
        let outcome = match name {
            "CreateAccount" => return self.admin_create_account(trail, body).await,
            "ResetRootAccessKey" => return self.admin_reset_root(trail, body).await,
            "ResetKeyPolicy" => return self.admin_reset_key_policy(&caller, trail, body).await,
            "DisableRootAccessKey" => return self.admin_disable_root(trail, body).await,
            "ListAccounts" => self.admin_list_accounts().await,
            "RecoveryKeyExported" => self.record_recovery_exported().await.and_then(|()| nothing()),
            "AcceptClock" => self.accept_clock().await.and_then(|()| nothing()),
            "ExplainPolicy" => self.admin_explain(&caller, body).await,
            "Status" => self.admin_status(),
            _ => Err(Fault::answer(ErrorCode::UnknownOperationException, "")),
        };
        trail.record(self, outcome).await
    }

    async fn admin_create_account(
        self: &Arc<Self>,
        mut trail: Trail<'_>,
        body: &[u8],
    ) -> Recorded<WipedBuffer> {
        let new = match read_new_account(body) {
            Ok(new) => new,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        let id = new.id.map(|id| id.to_string());
        trail.parameters(
            Parameters::new().maybe_text("accountId", id).maybe_text("name", new.name.as_deref()),
        );
        let record = |account: &Account| {
            trail.response(Some(
                Parameters::new()
                    .text("accountId", account.id.to_string())
                    .text("accessKeyId", account.root_access_key_id.as_str()),
            ));
            trail.change_record(self)
        };
        let made = self.create_account_recorded(new, record).await;
        let (account, key, committed) = match made {
            Ok(made) => made,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        let secret = std::str::from_utf8(key.secret_access_key.expose()).unwrap_or_default();
        let output = CreateAccountOutput {
            account_id: account.id.to_string(),
            access_key_id: &key.access_key_id,
            secret_access_key: secret,
        };
        match write(&output) {
            Ok(buffer) => Recorded::committed(buffer, committed),
            Err(fault) => Recorded::refused(fault),
        }
    }

    async fn admin_reset_root(self: &Arc<Self>, mut trail: Trail<'_>, body: &[u8]) -> Recorded<WipedBuffer> {
        let account = match self.account_of(body).await {
            Ok(account) => account,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        trail.parameters(Parameters::new().text("accountId", account.to_string()));
        let record = |key: &AccessKey| {
            trail.response(Some(Parameters::new().text("accessKeyId", key.access_key_id.as_str())));
            trail.change_record(self)
        };
        let (key, committed) = match self.reset_root_recorded(account, record).await {
            Ok(made) => made,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        let secret = std::str::from_utf8(key.secret_access_key.expose()).unwrap_or_default();
        let output = CreateAccountOutput {
            account_id: account.to_string(),
            access_key_id: &key.access_key_id,
            secret_access_key: secret,
        };
        match write(&output) {
            Ok(buffer) => Recorded::committed(buffer, committed),
            Err(fault) => Recorded::refused(fault),
        }
    }

    async fn admin_disable_root(
        self: &Arc<Self>,
        mut trail: Trail<'_>,
        body: &[u8],
    ) -> Recorded<WipedBuffer> {
        let account = match self.account_of(body).await {
            Ok(account) => account,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        trail.parameters(Parameters::new().text("accountId", account.to_string()));
        let record = |access_key_id: &str| {
            trail.response(Some(Parameters::new().text("accessKeyId", access_key_id)));
            trail.change_record(self)
        };
        let (access_key_id, committed) = match self.disable_root_recorded(account, record).await {
            Ok(done) => done,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        match write(&DisableRootOutput { account_id: account.to_string(), access_key_id }) {
            Ok(buffer) => Recorded::committed(buffer, committed),
            Err(fault) => Recorded::refused(fault),
        }
    }

    async fn admin_reset_key_policy(
        self: &Arc<Self>,
        caller: &Authenticated,
        mut trail: Trail<'_>,
        body: &[u8],
    ) -> Recorded<WipedBuffer> {
        let key_id = match read::<KeyInput>(body) {
            Ok(input) => input.key_id,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        trail.parameters(Parameters::new().text("keyId", key_id.as_str()));
        let record = |arn: &str| {
            trail.touch(arn);
            trail.change_record(self)
        };
        let (key_id, committed) = match self.reset_key_policy_recorded(caller, &key_id, record).await {
            Ok(done) => done,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        match write(&KeyInput { key_id }) {
            Ok(buffer) => Recorded::committed(buffer, committed),
            Err(fault) => Recorded::refused(fault),
        }
    }

    /// The account that an input names; the first one when it names none.
    async fn account_of(&self, body: &[u8]) -> Result<AccountId, Fault> {
        match read::<AccountInput>(body)?.account_id {
            Some(text) => account_id(&text),
            None => {
                self.account_ids().await?.first().copied().ok_or(Fault::Incomplete("the store's accounts"))
            }
        }
    }

    async fn admin_list_accounts(&self) -> Result<WipedBuffer, Fault> {
        let entry = |account: Account| AccountEntry {
            account_id: account.id.to_string(),
            name: account.name,
            #[expect(
                clippy::cast_precision_loss,
                reason = "milliseconds since 1970 fit 53 bits for 285,000 years"
            )]
            creation_date: account.created.millis() as f64 / 1000.0,
            root_access_key_id: account.root_access_key_id,
        };
        write(&ListAccountsOutput { accounts: self.accounts().await?.into_iter().map(entry).collect() })
    }

    async fn admin_explain(&self, caller: &Authenticated, body: &[u8]) -> Result<WipedBuffer, Fault> {
        let input: ExplainInput = read(body)?;
        write(&self.explain(caller, &input).await?)
    }

    fn admin_status(&self) -> Result<WipedBuffer, Fault> {
        let status = self.status();
        write(&StatusOutput {
            store_id: status.store_id,
            accounts: status.accounts,
            regions: status.regions.iter().map(ToString::to_string).collect(),
            recovery_exported: status.recovery_exported,
            clock_ahead_observe_ms: match status.clock {
                ClockState::Trusted => 0,
                ClockState::Ahead { observe_ms } => observe_ms,
            },
            cached_keys: status.cached_keys,
            cached_materials: status.cached_materials,
            outbox_pending: status.outbox_pending,
        })
    }

    /// Remembers that a recovery key has been exported.
    pub(crate) async fn record_recovery_exported(&self) -> Result<(), Fault> {
        self.vault.update_header(|header| header.set_recovery_exported()).await?;
        Ok(())
    }
}

fn read_new_account(body: &[u8]) -> Result<NewAccount, Fault> {
    let input: CreateAccountInput = read(body)?;
    let id = input.account_id.as_deref().map(account_id).transpose()?;
    Ok(NewAccount { id, name: input.name })
}

fn account_id(text: &str) -> Result<AccountId, Fault> {
    text.parse()
        .map_err(|error| Fault::answer(ErrorCode::ValidationException, format!("AccountId is {error}.")))
}

fn read<'b, T: Deserialize<'b> + Default>(body: &'b [u8]) -> Result<T, Fault> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|_| Fault::answer(ErrorCode::SerializationException, ""))
}

fn write(output: &impl Serialize) -> Result<WipedBuffer, Fault> {
    let mut buffer = WipedBuffer::new();
    serde_json::to_writer(&mut buffer, output).map_err(|_| Fault::bug("an answer can't be written"))?;
    Ok(buffer)
}

fn nothing() -> Result<WipedBuffer, Fault> {
    Ok(WipedBuffer::from(b"{}".to_vec()))
}
