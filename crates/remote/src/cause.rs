//! Why a request by AWS's client failed, in few words.

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
