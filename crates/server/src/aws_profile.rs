//! The aws configuration that points a client at a server: pure text, shared by `DIR/config` and
//! `bulla profile`.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints". A `[services …]` section for kms,
//! sts and iam, and never a global `endpoint_url`, which would send every other service's requests here too.

use std::fmt::Write as _;
use std::path::Path;

/// The services that a server answers, as a profile names them.
pub const SERVICES: [&str; 3] = ["kms", "sts", "iam"];

/// What a client must know of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerProfile<'a> {
    /// The profile's name. See [`is_valid_name`].
    pub name: &'a str,
    /// The region that requests are signed for.
    pub region: &'a str,
    /// Scheme, host and port, without a trailing slash.
    pub endpoint_url: &'a str,
    /// The certificates to trust, in PEM, when they aren't in the system's store.
    pub ca_bundle: Option<&'a Path>,
}

/// Renders the `[profile NAME]` and `[services NAME]` sections, ending with a newline.
#[must_use]
pub fn render_config(profile: &ServerProfile<'_>) -> String {
    let ServerProfile { name, region, endpoint_url, ca_bundle } = profile;
    let mut text = String::new();
    // `default` alone is written without the word `profile`.
    let section = if *name == "default" { (*name).to_owned() } else { format!("profile {name}") };
    // Writing to a string doesn't fail.
    let _ = write!(text, "[{section}]\nregion = {region}\nservices = {name}\n");
    if let Some(path) = ca_bundle {
        let _ = writeln!(text, "ca_bundle = {}", path.display());
    }
    let _ = write!(text, "\n[services {name}]\n");
    for service in SERVICES {
        let _ = write!(text, "{service} =\n  endpoint_url = {endpoint_url}\n");
    }
    text
}

/// Renders the `[NAME]` section of a shared credentials file, ending with a newline. The text is a secret.
#[must_use]
pub fn render_credentials(
    name: &str,
    access_key_id: &str,
    secret_access_key: &str,
) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(format!(
        "[{name}]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n"
    ))
}

/// Whether a profile's name can stand in a section header of both files without quoting.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_each_service_and_no_global_endpoint() {
        let text = render_config(&ServerProfile {
            name: "bulla",
            region: "us-east-1",
            endpoint_url: "https://127.0.0.1:4599",
            ca_bundle: Some(Path::new("/var/lib/bulla/ca.pem")),
        });
        assert_eq!(
            text,
            "[profile bulla]\nregion = us-east-1\nservices = bulla\nca_bundle = /var/lib/bulla/ca.pem\n\n\
             [services bulla]\nkms =\n  endpoint_url = https://127.0.0.1:4599\nsts =\n  endpoint_url = \
             https://127.0.0.1:4599\niam =\n  endpoint_url = https://127.0.0.1:4599\n"
        );
        assert!(!text.lines().any(|line| line.starts_with("endpoint_url")));
    }

    #[test]
    fn a_name_can_not_leave_its_section() {
        assert!(is_valid_name("my-profile"));
        for bad in ["", "a]\n[b", "a b", "profile\n"] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }
}
