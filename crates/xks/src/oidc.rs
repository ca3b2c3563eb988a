//! The keys of issuers of web identities: two documents that anybody can read, over the same connections as proxies of
//! external key stores, with the same limits. Source: OpenID Connect Discovery 1.0, sections 3 and 4.

use crate::answer::Refusal;
use crate::connect::{Connector, NoAnswer};
use crate::settings::{SettingsError, XksSettings, is_host};
use bulla_engine::{Clock, OidcClient, OidcFuture};
use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long both documents may take together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where an issuer describes itself.
const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// Longest path of a document.
const PATH_MAX: usize = 1024;

/// Asks issuers of web identities for their keys, over HTTPS.
pub struct HttpsOidcClient(Connector);

impl fmt::Debug for HttpsOidcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsOidcClient").finish_non_exhaustive()
    }
}

/// How an issuer describes itself, as far as it matters.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl HttpsOidcClient {
    /// Opens no connection and reads no file: both happen at the first call. Of the settings, authorities and routes count.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: XksSettings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        Connector::new(settings, clock).map(Self)
    }

    async fn ask(&self, issuer: &str) -> Result<Vec<u8>, String> {
        let described = self.document(&format!("{issuer}{CONFIGURATION}")).await?;
        let described: Configuration = serde_json::from_slice(&described)
            .map_err(|_| "its configuration is not that of an OpenID Connect provider".to_owned())?;
        if described.issuer.trim_end_matches('/') != issuer {
            return Err("its configuration is that of another issuer".to_owned());
        }
        self.document(&described.jwks_uri).await.map(|keys| keys.to_vec())
    }

    async fn document(&self, url: &str) -> Result<Bytes, String> {
        let (host, path) = split(url).ok_or("not https:// and the name of a host")?;
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(HOST, &host)
            .header(ACCEPT, "application/json")
            .body(Full::new(Bytes::new()))
            .map_err(|error| error.to_string())?;
        let connected = self.0.connect(&host).await;
        let mut connection = connected.map_err(|Refusal { because, .. }| because)?;
        match connection.ask(request).await {
            Ok((StatusCode::OK, document)) => Ok(document),
            Ok((status, _)) => Err(format!("{host} answered HTTP {status}")),
            Err(NoAnswer::Lost(because) | NoAnswer::Wrong(because)) => Err(because),
        }
    }
}

impl OidcClient for HttpsOidcClient {
    fn key_set<'a>(&'a self, issuer: &'a str) -> OidcFuture<'a> {
        Box::pin(async move {
            match tokio::time::timeout(TIMEOUT, self.ask(issuer)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer in {TIMEOUT:?}")),
            }
        })
    }
}

/// Host and path of a URL. An address is no host: certificates, and addresses that may be asked, go by names.
fn split(url: &str) -> Option<(String, &str)> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let is_path = path.len() <= PATH_MAX && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (is_host(host) && is_path).then(|| (host.to_ascii_lowercase(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_hosts_are_asked() {
        assert_eq!(split("https://Issuer.example/a/b?c"), Some(("issuer.example".to_owned(), "/a/b?c")));
        for url in [
            "http://issuer.example/",
            "https://issuer.example",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://issuer.example:444/",
            "https://user@issuer.example/",
            "https://issuer.example/a b",
            "https://issuer.example/\r\nx",
            "https:///x",
        ] {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
