//! `bulla account`.

use bulla_api::{AccountId, Effect};
use bulla_engine::NewAccount;

use crate::app::App;
use crate::cli::Account;
use crate::exit::Failure;
use crate::kms::socket::AdminRequest;

/// Does what the command says.
pub(crate) async fn run(app: &App, command: &Account) -> Result<(), Failure> {
    match command {
        Account::Create { name } => create(app, name.clone()).await,
        Account::List => list(app).await,
    }
}

/// What a new account's owner is given, once.
struct Created {
    account: String,
    access_key_id: String,
    secret: zeroize::Zeroizing<String>,
}

async fn create(app: &App, name: Option<String>) -> Result<(), Failure> {
    let mut place = app.place()?;
    // Here `--account-id` is the new account's; nobody acts in it yet.
    let id: Option<AccountId> = place.account.take();
    let local = app.local_at(place)?;
    let input = serde_json::json!({ "AccountId": id.map(|id| id.to_string()), "Name": name });
    let created = local
        .administer(
            AdminRequest { name: "CreateAccount", effect: Effect::Changes, input },
            async |engine| {
                let (account, key) = engine.create_account(NewAccount { id, name: name.clone() }).await?;
                let secret = String::from_utf8_lossy(key.secret_access_key.expose()).into_owned();
                Ok(Created {
                    account: account.id.to_string(),
                    access_key_id: key.access_key_id,
                    secret: secret.into(),
                })
            },
            |answer| {
                let text = |member: &str| Some(answer.get(member)?.as_str()?.to_owned());
                Some(Created {
                    account: text("AccountId")?,
                    access_key_id: text("AccessKeyId")?,
                    secret: text("SecretAccessKey")?.into(),
                })
            },
        )
        .await?;
    let Created { account, access_key_id, secret } = created;
    // The form of a credentials file, ready to be put into one.
    let text =
        bulla_server::aws_profile::render_credentials(&format!("bulla-{account}"), &access_key_id, &secret);
    let json = serde_json::json!({
        "AccountId": account,
        "AccessKeyId": access_key_id,
        "SecretAccessKey": secret.as_str(),
    });
    app.say.note(&format!("bulla: made account {account}; its access key is shown this once"));
    let told = app.say.result(text.trim_end(), &json);
    told.map_err(|failure| {
        failure.although(&format!("account {account} was made, and its access key is not shown again"))
    })
}

async fn list(app: &App) -> Result<(), Failure> {
    let accounts = app
        .local()?
        .administer(
            AdminRequest::bare("ListAccounts", Effect::Reads),
            async |engine| {
                let accounts = engine.accounts().await?;
                Ok(accounts
                    .into_iter()
                    .map(|account| (account.id.to_string(), account.name, account.root_access_key_id))
                    .collect::<Vec<_>>())
            },
            |answer| {
                let entry = |account: &serde_json::Value| {
                    let text = |member: &str| Some(account.get(member)?.as_str()?.to_owned());
                    Some((text("AccountId")?, text("Name"), text("RootAccessKeyId")?))
                };
                answer.get("Accounts")?.as_array()?.iter().map(entry).collect()
            },
        )
        .await?;
    for (id, name, access_key_id) in accounts {
        let shown = name.clone().unwrap_or_default();
        let json = serde_json::json!({ "AccountId": id, "Name": name, "RootAccessKeyId": access_key_id });
        let text = crate::exit::one_line(&format!("{id}  {access_key_id}  {shown}"));
        app.say.result(text.trim_end(), &json)?;
    }
    Ok(())
}
