//! Which account, where it is, and by what requests are allowed: as options, variables and connection strings say it to Microsoft's own
//! tools (Microsoft, "Configure Azure Storage connection strings"; Azure CLI, `az storage`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::hmac_sha256;
use zeroize::Zeroizing;

use super::identity::Identity;
use crate::exit::{Exit, Failure};
use crate::storage::StorageOptions;
use crate::storage::client::check_endpoint;

const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
const KEY: &str = "AZURE_STORAGE_KEY";
const TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";
const ACCOUNT: [&str; 2] = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];
const ENDPOINT: &str = "AZURE_STORAGE_ENDPOINT";
/// Where accounts are at Azure itself.
const SUFFIX: &str = "core.windows.net";

/// A storage account.
pub(super) struct Account {
    /// May be empty where nothing is signed.
    name: String,
    /// Without a slash at its end.
    endpoint: String,
    credential: Credential,
}

enum Credential {
    /// The account's key.
    Key(Zeroizing<Vec<u8>>),
    /// A shared access signature: what stands in the query of each request.
    Token(Zeroizing<String>),
    /// Tokens of Microsoft Entra ID, one after another.
    Identity(Identity),
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Account {
    /// As options and environment say. Gives back how messages name it, too.
    pub(super) fn configured(options: &StorageOptions) -> Result<(Self, String), Failure> {
        let connection = variable(CONNECTION)?.map(|text| Connection::read(&text)).transpose()?;
        let connection = connection.unwrap_or_default();
        if let (Some(asked), Some(name)) = (&options.az_account, &connection.account)
            && asked != name
        {
            return Err(Failure::usage(format!(
                "--az-account {asked}: {CONNECTION} is of another account; leave one of them out"
            )));
        }
        let name = match options.az_account.clone().or(connection.account) {
            Some(name) => Some(name),
            None => first_of(&ACCOUNT)?,
        };
        if let Some(name) = &name {
            check_name(name)?;
        }
        let credential = match (connection.key, connection.token) {
            // What is asked for goes before what is only there.
            _ if options.az_managed_identity => Identity::configured(options)?.map(Credential::Identity),
            (Some(key), _) => Some(Credential::key(&key, &name, CONNECTION)?),
            (None, Some(token)) => Some(Credential::token(&token, CONNECTION)?),
            (None, None) => match (variable(KEY)?, variable(TOKEN)?) {
                (Some(key), _) => Some(Credential::key(&key, &name, KEY)?),
                (None, Some(token)) => Some(Credential::token(&token, TOKEN)?),
                (None, None) => Identity::configured(options)?.map(Credential::Identity),
            },
        };
        let named = match (&options.az_endpoint_url, connection.endpoint) {
            (Some(url), _) => Some((url.clone(), "--az-endpoint-url")),
            (None, Some(url)) => Some((url, CONNECTION)),
            (None, None) => variable(ENDPOINT)?.map(|url| (url.to_string(), ENDPOINT)),
        };
        let (endpoint, place) = match (named, &name) {
            (Some((url, because)), _) => {
                check_endpoint(&url, because)?;
                let url = url.trim_end_matches('/').to_owned();
                (url.clone(), url)
            }
            (None, Some(name)) => {
                let scheme = connection.protocol.as_deref().unwrap_or("https");
                let suffix = connection.suffix.as_deref().unwrap_or(SUFFIX);
                let url = format!("{scheme}://{name}.blob.{suffix}");
                check_endpoint(&url, CONNECTION)?;
                (url, format!("account {name} of Azure Blob Storage"))
            }
            (None, None) => {
                return Err(Failure::usage(
                    "no account is configured for az://: name one with --az-account, AZURE_STORAGE_ACCOUNT or \
                     AZURE_STORAGE_CONNECTION_STRING",
                ));
            }
        };
        let Some(credential) = credential else {
            return Err(Failure::new(
                Exit::Denied,
                format!(
                    "no credentials are configured for az://: set {KEY}, {TOKEN} or {CONNECTION}, an application's variables, or \
                     --az-managed-identity"
                ),
            ));
        };
        Ok((Self { name: name.unwrap_or_default(), endpoint, credential }, place))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What stands before the container in the path of each request: nothing at Azure, the account's name at many other servers.
    pub(super) fn path(&self) -> &str {
        let after = self.endpoint.split_once("://").map_or("", |(_, after)| after);
        after.find('/').and_then(|at| after.get(at..)).unwrap_or_default()
    }

    /// What stands in the query of each request.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.credential {
            Credential::Token(token) => Some(token),
            Credential::Key(_) | Credential::Identity(_) => None,
        }
    }

    /// Who gets tokens that stand in a header of each request.
    pub(super) const fn identity(&self) -> Option<&Identity> {
        match &self.credential {
            Credential::Identity(identity) => Some(identity),
            Credential::Key(_) | Credential::Token(_) => None,
        }
    }

    /// `Authorization` of a request that is to be signed.
    pub(super) fn authorization(&self, text: &str) -> Option<String> {
        match &self.credential {
            Credential::Key(key) => {
                let signature = STANDARD.encode(hmac_sha256(key, &[text.as_bytes()]));
                Some(format!("SharedKey {}:{signature}", self.name))
            }
            Credential::Token(_) | Credential::Identity(_) => None,
        }
    }
}

#[cfg(test)]
impl Account {
    pub(super) fn with_token(endpoint: &str, token: &str) -> Self {
        let credential = Credential::Token(token.to_owned().into());
        Self { name: String::new(), endpoint: endpoint.to_owned(), credential }
    }

    pub(super) fn with_key(endpoint: &str, name: &str, key: &[u8]) -> Self {
        let credential = Credential::Key(key.to_vec().into());
        Self { name: name.to_owned(), endpoint: endpoint.to_owned(), credential }
    }
}

impl Credential {
    fn key(text: &str, account: &Option<String>, because: &str) -> Result<Self, Failure> {
        if account.is_none() {
            return Err(Failure::usage(format!(
                "{because}: the key is an account's; name that with --az-account or AZURE_STORAGE_ACCOUNT"
            )));
        }
        let key = STANDARD.decode(text.trim()).ok().map(Zeroizing::new).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| {
            Failure::usage(format!("{because}: the account's key is not base64; check how it was copied"))
        })?;
        Ok(Self::Key(key))
    }

    fn token(text: &str, because: &str) -> Result<Self, Failure> {
        let token = text.trim().trim_start_matches('?');
        let fits = token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
            && token.split('&').any(|pair| pair.starts_with("sig="));
        if !fits {
            return Err(Failure::usage(format!(
                "{because}: the shared access signature is none, as sv=…&sig=…; check how it was copied"
            )));
        }
        Ok(Self::Token(token.to_owned().into()))
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits {
        return Ok(());
    }
    Err(Failure::usage(
        "the configured storage account is no name of one: lower-case letters and digits; check --az-account and \
         AZURE_STORAGE_ACCOUNT",
    ))
}

/// A variable that is set and not empty.
pub(super) fn variable(name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value.into())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{name} is not UTF-8; check where it is set")))
        }
    }
}

fn first_of(names: &[&str]) -> Result<Option<String>, Failure> {
    for name in names {
        if let Some(value) = variable(name)? {
            return Ok(Some(value.trim().to_owned()));
        }
    }
    Ok(None)
}

/// A connection string.
#[derive(Default)]
struct Connection {
    account: Option<String>,
    key: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    endpoint: Option<String>,
    suffix: Option<String>,
    protocol: Option<String>,
}

impl Connection {
    /// None of it is repeated: it holds a secret.
    fn read(text: &str) -> Result<Self, Failure> {
        let mut all = Self::default();
        for pair in text.trim().split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Failure::usage(format!("{CONNECTION}: it is no list of NAME=VALUE; with `;` between them"))
            })?;
            let value = Some(value.to_owned());
            match name {
                "AccountName" => all.account = value,
                "AccountKey" => all.key = value.map(Zeroizing::new),
                "SharedAccessSignature" => all.token = value.map(Zeroizing::new),
                "BlobEndpoint" => all.endpoint = value,
                "EndpointSuffix" => all.suffix = value,
                "DefaultEndpointsProtocol" => all.protocol = value,
                "UseDevelopmentStorage" | "DevelopmentStorageProxyUri" => {
                    return Err(Failure::usage(format!(
                        "{CONNECTION}: an emulator is named by its account, key and BlobEndpoint here"
                    )));
                }
                // Of other services.
                _ => {}
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_connection_string_is_read_and_never_repeated() {
        let text = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=AA==;EndpointSuffix=core.chinacloudapi.cn;\
            QueueEndpoint=x;";
        let found = Connection::read(text).unwrap();
        assert_eq!(found.account.as_deref(), Some("acc"));
        assert_eq!(found.key.as_deref().map(String::as_str), Some("AA=="));
        assert_eq!(found.suffix.as_deref(), Some("core.chinacloudapi.cn"));
        let found = Connection::read("BlobEndpoint=https://a/;SharedAccessSignature=sv=1&sig=a%3D").unwrap();
        assert_eq!(found.token.as_deref().map(String::as_str), Some("sv=1&sig=a%3D"));
        for text in ["SECRET", "AccountKey=SECRET;x", "UseDevelopmentStorage=true;AccountKey=SECRET"] {
            let failure = Connection::read(text).err().unwrap();
            assert!(!failure.message.contains("SECRET"), "{failure}");
        }
    }

    #[test]
    fn what_is_no_key_or_token_is_refused_without_being_told() {
        let name = Some("acc".to_owned());
        assert!(Credential::key("AAAA", &name, KEY).is_ok());
        assert!(Credential::key("AAAA", &None, KEY).is_err());
        for text in ["SECRET!", "", " "] {
            let failure = Credential::key(text, &name, KEY).err().unwrap();
            assert!(!failure.message.contains("SECRET"), "{failure}");
        }
        assert!(Credential::token("?sv=1&sig=a%2Fb", TOKEN).is_ok());
        for text in ["SECRET", "sv=1&sig=SEC RET", "sig=SECRET#x"] {
            let failure = Credential::token(text, TOKEN).err().unwrap();
            assert!(!failure.message.contains("SEC"), "{failure}");
        }
        for name in ["a.evil.example/", "UPPER", "", "a@b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_path_of_a_server_is_part_of_what_is_signed() {
        for (endpoint, path) in [
            ("https://a.blob.core.windows.net", ""),
            ("http://127.0.0.1:10000/devstoreaccount1", "/devstoreaccount1"),
        ] {
            assert_eq!(Account::with_token(endpoint, "").path(), path);
        }
    }
}
