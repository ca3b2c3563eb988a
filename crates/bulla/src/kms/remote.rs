//! A KMS across the network, as the settings name it.

use std::path::PathBuf;
use std::time::Duration;

use bulla_api::KmsError;
pub(crate) use bulla_remote::RemoteKms;
use bulla_remote::{Authorities, RemoteOptions};

use super::choice::Remote;
use crate::opening::failed;

/// Many times what a system's bundle of authorities takes.
const BUNDLE_BYTES_MAX: usize = 4 << 20;

/// Reads aws's configuration and the files of authorities. Makes no request. `wait` bounds a call with all its retries.
pub(crate) async fn reach(to: &Remote, wait: Duration) -> Result<RemoteKms, KmsError> {
    let options = RemoteOptions {
        endpoint: to.endpoint.clone(),
        sts_endpoint: to.sts_endpoint.clone(),
        profile: to.profile.clone(),
        region: to.region.clone(),
        authorities: authorities(&to.ca_files)?,
        because: to.because.clone(),
    };
    // Of many files none waits again for a KMS that the first has waited for.
    Ok(RemoteKms::new(&options, wait).await?.waiting_once())
}

/// The authorities of files, each with the setting that named it.
pub(crate) fn authorities(files: &[(PathBuf, String)]) -> Result<Vec<Authorities>, KmsError> {
    let mut all = Vec::new();
    for (path, because) in files {
        let from = format!("`{}` ({because})", path.display());
        let pem = crate::small_file::read(path, BUNDLE_BYTES_MAX).map_err(|error| {
            let cause = crate::exit::cause(&error);
            KmsError::Store(failed(format!("certificate authorities {from}: {cause}; check the path")))
        })?;
        all.push(Authorities { from, pem: pem.expose().to_vec() });
    }
    Ok(all)
}
