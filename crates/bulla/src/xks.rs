//! Who asks the proxies of external key stores: the client, as the options have it.

use std::sync::Arc;
use std::time::Duration;

use bulla_engine::{SystemClock, XksClient};
use bulla_xks::{DEFAULT_TIMEOUT, HttpsXksClient, Route, SettingsError, XksSettings};

use crate::cli::Common;
use crate::exit::{Exit, Failure};
use crate::small_file;

/// Many times what a system's bundle of authorities takes.
const AUTHORITIES_BYTES_MAX: usize = 4 << 20;

/// The client. Opens no connection.
pub(crate) fn client(common: &Common) -> Result<Arc<dyn XksClient>, Failure> {
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
    let settings = XksSettings { timeout, authorities, routes };
    match HttpsXksClient::new(settings, Arc::new(SystemClock::new())) {
        Ok(client) => Ok(Arc::new(client)),
        Err(error @ SettingsError::Timeout) => Err(Failure::usage(format!("--xks-timeout: {error}"))),
        Err(error @ SettingsError::RoutedTwice(_)) => Err(Failure::usage(format!("--xks-connect: {error}"))),
        Err(error @ SettingsError::Authorities(_)) => {
            Err(Failure::new(Exit::Failed, format!("--ca-file: {error}; check the path")))
        }
    }
}
