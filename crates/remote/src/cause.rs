//! Why a request by AWS's client failed, in few words.

use aws_credential_types::provider::error::CredentialsError;

/// What is wrong with the endpoint's scheme or certificate, when that is why there is no answer.
#[must_use]
pub fn misconfigured(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        let tls = carried(error).downcast_ref::<rustls::Error>();
        match tls {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
                return Some(
                    "the server's certificate is of an authority that is not trusted; if it should be, name its file with \
                     --ca-file"
                        .to_owned(),
                );
            }
            Some(error @ rustls::Error::InvalidCertificate(_)) => {
                return Some(format!(
                    "the server's certificate is not for this: {error}; check the endpoint's name"
                ));
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                return Some(
                    "the server does not speak TLS there; is it http:// rather than https://?".to_owned(),
                );
            }
            _ => {}
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return Some(
                "the server does not speak HTTP there; is it https:// rather than http://?".to_owned(),
            );
        }
        at = error.source();
    }
    None
}

/// What is wrong with the credentials, when that is why a request was not made. `profile` is the option that names a profile
/// for them.
#[must_use]
pub fn credentials_cause(error: &(dyn std::error::Error + 'static), profile: &str) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<CredentialsError>() {
            let next =
                format!("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile with {profile}");
            let causes = whole(found);
            return Some(match found {
                CredentialsError::CredentialsNotLoaded(_) => format!("no credentials are configured: {next}"),
                // An instance's metadata service, which is asked last: nothing else was there.
                _ if causes.contains("IMDS") => {
                    format!("no credentials are configured, and no instance gives any ({causes}): {next}")
                }
                _ if causes.contains("SSO token") => {
                    format!("the credentials can't be used: {causes}; sign in with aws sso login")
                }
                _ => format!("the credentials can't be used: {causes}"),
            });
        }
        at = error.source();
    }
    None
}

/// The cause at the end of the chain, which says most in the fewest words.
#[must_use]
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    without_number(&at.to_string())
}

/// All causes, the outermost first, each once.
#[must_use]
pub fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut at = Some(error);
    while let Some(error) = at {
        let cause = without_number(&error.to_string());
        if causes.last().is_none_or(|last| !last.contains(&cause)) {
            causes.push(cause);
        }
        at = error.source();
    }
    causes.join(": ")
}

/// What an I/O error carries, which is not its source: that is the carried one's.
fn carried<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    while let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        error = inner;
    }
    error
}

/// Without Rust's `(os error N)`.
fn without_number(text: &str) -> String {
    text.find(" (os error").and_then(|end| text.get(..end)).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_about_credentials_names_the_option_of_whoever_asked() {
        let cause = |error: CredentialsError| credentials_cause(&error, "--s3-profile");
        let said = |error, words: &[&str]| {
            let cause = cause(error).unwrap_or_default();
            assert!(words.iter().all(|word| cause.contains(word)), "{cause}");
        };
        said(CredentialsError::not_loaded("nothing"), &["no credentials are configured", "--s3-profile"]);
        said(
            CredentialsError::provider_error("failed to load IMDS session token"),
            &["no instance", "--s3-profile"],
        );
        said(CredentialsError::provider_error("the SSO token has expired"), &["aws sso login"]);
        assert_eq!(credentials_cause(&std::io::Error::other("x"), "--profile"), None);
    }
}
