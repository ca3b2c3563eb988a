//! Who asks the proxies of external key stores, and issuers of web identities: the clients, as the options have them.

use std::sync::Arc;
use std::time::Duration;

use bulla_engine::{OidcClient, SystemClock, XksClient};
use bulla_xks::{DEFAULT_TIMEOUT, HttpsOidcClient, HttpsXksClient, Route, SettingsError, XksSettings};

use crate::cli::Common;
use crate::exit::{Exit, Failure};
use crate::small_file;

/// Many times what a system's bundle of authorities takes.
const AUTHORITIES_BYTES_MAX: usize = 4 << 20;

/// The client. Opens no connection.
pub(crate) fn client(common: &Common) -> Result<Arc<dyn XksClient>, Failure> {
    let client = HttpsXksClient::new(settings(common)?, Arc::new(SystemClock::new()));
    Ok(Arc::new(client.map_err(refused)?))
}

/// Who asks issuers of web identities for their keys: with the same authorities, and the same hosts that may be inside.
pub(crate) fn oidc_client(common: &Common) -> Result<Arc<dyn OidcClient>, Failure> {
    let client = HttpsOidcClient::new(settings(common)?, Arc::new(SystemClock::new()));
    Ok(Arc::new(client.map_err(refused)?))
}

fn settings(common: &Common) -> Result<XksSettings, Failure> {
    let mut routes = Vec::with_capacity(common.xks_connect.len());
    for text in &common.xks_connect {
        let route = text.parse::<Route>();
        let route = route.map_err(|error| Failure::usage(format!("--xks-connect: {error}")))?;
        routes.push(route);
    }
    let timeout = common.xks_timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    let mut authorities = Vec::new();
    if let Some(path) = &common.ca_file {
        let cannot = "cannot read certificate authorities";
        let pem = small_file::read(path, AUTHORITIES_BYTES_MAX)
            .map_err(|error| Failure::io(cannot, path.display(), &error))?;
        authorities.push(String::from_utf8_lossy(pem.expose()).into_owned());
    }
    Ok(XksSettings { timeout, authorities, routes })
}

fn refused(error: SettingsError) -> Failure {
    match error {
        SettingsError::Timeout => Failure::usage(format!("--xks-timeout: {error}")),
        SettingsError::RoutedTwice(_) => Failure::usage(format!("--xks-connect: {error}")),
        SettingsError::Authorities(_) => {
            Failure::new(Exit::Failed, format!("--ca-file: {error}; check the path"))
        }
    }
}
