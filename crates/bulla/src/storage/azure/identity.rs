//! Tokens of Microsoft Entra ID, for an application or a machine instead of an account's key (Microsoft, "Microsoft identity platform and
//! the OAuth 2.0 client credentials flow"; "How to use managed identities for Azure resources on an Azure VM to acquire an access token").

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::Azure;
use super::account::variable;
use super::send::{Request, encode};
use crate::exit::Failure;
use crate::storage::StorageOptions;
use crate::storage::buffer::WipedBytes;
use crate::storage::client::check_endpoint;
use crate::storage::failure::Problem;
use crate::storage::server::Pace;

/// Where applications get tokens.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Where a machine at Azure gets its own: an address that no other network has.
pub(super) const MACHINE: &str = "http://169.254.169.254";
/// What tokens are for.
const RESOURCE: &str = "https://storage.azure.com/";
/// A token is not used in its last moments.
const MARGIN: Duration = Duration::from_secs(300);
/// So long an answer may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Longest token of a cluster, in bytes.
const ASSERTION_BYTES_MAX: u64 = 64 << 10;

/// Who asks for tokens, and the last one.
pub(super) struct Identity {
    kind: Kind,
    last: Mutex<Option<(Zeroizing<String>, Instant)>>,
}

enum Kind {
    /// An application, which proves itself.
    Application { authority: String, tenant: String, client: String, proof: Proof },
    /// The machine; one of its identities where it has several.
    Machine { host: String, client: Option<String> },
}

enum Proof {
    /// A token that the cluster puts in a file, and puts anew.
    File(PathBuf),
    /// A password.
    Secret(Zeroizing<String>),
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// Seconds: a number, or its digits.
    expires_in: serde_json::Value,
}

impl Identity {
    /// As options and environment say; none where they say nothing.
    pub(super) fn configured(options: &StorageOptions) -> Result<Option<Self>, Failure> {
        let plain = |name: &str| Ok::<_, Failure>(variable(name)?.map(|text| text.trim().to_owned()));
        let client = plain("AZURE_CLIENT_ID")?;
        let kind = if options.az_managed_identity {
            let host = plain("AZURE_POD_IDENTITY_AUTHORITY_HOST")?;
            if let Some(url) = &host {
                check_endpoint(url, "AZURE_POD_IDENTITY_AUTHORITY_HOST")?;
            }
            Kind::Machine { host: host.unwrap_or_else(|| MACHINE.to_owned()), client }
        } else {
            let proof = match (plain("AZURE_FEDERATED_TOKEN_FILE")?, variable("AZURE_CLIENT_SECRET")?) {
                (Some(file), _) => Proof::File(file.into()),
                (None, Some(secret)) => Proof::Secret(secret),
                (None, None) => return Ok(None),
            };
            let (Some(tenant), Some(client)) = (plain("AZURE_TENANT_ID")?, client) else {
                return Err(Failure::usage(
                    "az://: an application is named by AZURE_TENANT_ID and AZURE_CLIENT_ID; set both",
                ));
            };
            let authority = plain("AZURE_AUTHORITY_HOST")?.unwrap_or_else(|| AUTHORITY.to_owned());
            check_endpoint(&authority, "AZURE_AUTHORITY_HOST")?;
            Kind::Application { authority, tenant, client, proof }
        };
        Ok(Some(Self { kind, last: Mutex::new(None) }))
    }

    fn asked(&self) -> &str {
        match &self.kind {
            Kind::Application { authority, .. } => authority,
            Kind::Machine { .. } => "the machine's identity",
        }
    }

    fn request(&self) -> Result<(&str, Request), String> {
        match &self.kind {
            Kind::Machine { host, client } => {
                let request = Request::to("GET", "/metadata/identity/oauth2/token")
                    .header("metadata", "true")
                    .query("api-version", "2018-02-01")
                    .query("resource", RESOURCE);
                let request = match client {
                    Some(client) => request.query("client_id", client.as_str()),
                    None => request,
                };
                Ok((host, request))
            }
            Kind::Application { authority, tenant, client, proof } => {
                let mut path = String::from("/");
                encode(tenant, false, &mut path);
                path.push_str("/oauth2/v2.0/token");
                let mut form = Zeroizing::new(String::from("grant_type=client_credentials&scope="));
                encode(&format!("{RESOURCE}.default"), false, &mut form);
                form.push_str("&client_id=");
                encode(client, false, &mut form);
                match proof {
                    Proof::Secret(secret) => {
                        form.push_str("&client_secret=");
                        encode(secret, false, &mut form);
                    }
                    Proof::File(file) => {
                        form.push_str("&client_assertion_type=");
                        encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer", false, &mut form);
                        form.push_str("&client_assertion=");
                        encode(read(file)?.trim(), false, &mut form);
                    }
                }
                let body = WipedBytes::from(form.as_bytes().to_vec()).into_bytes();
                let request = Request::to("POST", path)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .with_body(body);
                Ok((authority, request))
            }
        }
    }
}

impl Azure {
    /// A token that is good for a while.
    pub(super) async fn bearer(&self, identity: &Identity, pace: Pace) -> Result<Zeroizing<String>, Problem> {
        let mut last = identity.last.lock().await;
        if let Some((token, until)) = last.as_ref()
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let failed =
            |cause: &str| Problem::Credentials(format!("{} gives no token: {cause}", identity.asked()));
        let (endpoint, request) = identity.request().map_err(|cause| failed(&cause))?;
        let pace = Pace { attempt: ATTEMPT, wait: pace.wait };
        let reply = self.transmit(endpoint, request, None, pace).await;
        let reply = reply.map_err(|problem| failed(&problem.cause()))?;
        let found = reply.body.bytes().and_then(token_in);
        let (token, lasts) = found.ok_or_else(|| failed("the answer holds none"))?;
        let until = Instant::now().checked_add(lasts.saturating_sub(MARGIN));
        *last = until.map(|until| (token.clone(), until));
        Ok(token)
    }
}

/// A token and how long it lasts.
fn token_in(answer: &[u8]) -> Option<(Zeroizing<String>, Duration)> {
    let Token { access_token, expires_in } = serde_json::from_slice(answer).ok()?;
    let text = Zeroizing::new(access_token);
    let seconds = expires_in.as_u64().or_else(|| expires_in.as_str()?.parse().ok())?;
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some((text, Duration::from_secs(seconds)))
}

fn read(file: &std::path::Path) -> Result<Zeroizing<String>, String> {
    use std::io::Read as _;
    let failed = |what: &dyn std::fmt::Display| {
        format!("AZURE_FEDERATED_TOKEN_FILE `{}` can't be read: {what}", file.display())
    };
    let opened = std::fs::File::open(file).map_err(|error| failed(&bulla_remote::innermost(&error)))?;
    let mut text = Zeroizing::new(String::new());
    let read = opened.take(ASSERTION_BYTES_MAX + 1).read_to_string(&mut text);
    let read = read.map_err(|error| failed(&bulla_remote::innermost(&error)))?;
    if read as u64 > ASSERTION_BYTES_MAX {
        return Err(failed(&"it is longer than any token"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_where_there_is_one() {
        for text in [
            r#"{"access_token": "a.b", "expires_in": 3599}"#,
            r#"{"access_token": "a.b", "expires_in": "3599", "x": 1}"#,
        ] {
            let found = token_in(text.as_bytes()).map(|(token, lasts)| (token.to_string(), lasts.as_secs()));
            assert_eq!(found, Some(("a.b".to_owned(), 3599)), "{text}");
        }
        for text in [
            "",
            "{}",
            r#"{"access_token": "", "expires_in": 1}"#,
            r#"{"access_token": "a\nb", "expires_in": 1}"#,
            r#"{"access_token": "a", "expires_in": "soon"}"#,
        ] {
            assert!(token_in(text.as_bytes()).is_none(), "{text}");
        }
    }
}
