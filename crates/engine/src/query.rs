//! The Query protocol of AWS STS: a form in, XML out.

use crate::fault::Fault;
use crate::request::RequestId;
use bulla_api::{ApiError, ErrorCode, GetCallerIdentityOutput, WipedBuffer};

/// The `Action` of a form, if it names one. Names are letters and digits, so nothing needs decoding.
pub(crate) fn action(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let action = text.split('&').find_map(|pair| pair.strip_prefix("Action="))?;
    let is_name = (1..=64).contains(&action.len()) && action.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name.then(|| action.to_owned())
}

/// Fails when a form names a parameter twice: readers differ in which of the two they believe.
pub(crate) fn refuse_repeated(body: &[u8]) -> Result<(), Fault> {
    let mut names: Vec<Vec<u8>> = body
        .split(|&byte| byte == b'&')
        .map(|pair| decoded(pair.split(|&byte| byte == b'=').next().unwrap_or_default()))
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    if names.is_sorted_by(|one, other| one < other) {
        Ok(())
    } else {
        Err(Fault::answer(ErrorCode::InvalidQueryParameter, "A parameter is given more than once."))
    }
}

/// A form's text: `%` and two hex digits, and `+` for a space.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                out.push(digit(high).unwrap_or_default() << 4 | digit(low).unwrap_or_default());
                rest = after;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*first),
        }
    }
    out
}

/// The answer of GetCallerIdentity.
pub(crate) fn caller_identity(identity: &GetCallerIdentityOutput, request_id: RequestId) -> WipedBuffer {
    // Ids and ARNs have no character that XML would need escaped; they are escaped all the same.
    let text = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        escaped(&identity.arn),
        escaped(&identity.user_id),
        escaped(&identity.account),
    );
    WipedBuffer::from(text.into_bytes())
}

/// An error's status: STS answers 403 to whom it doesn't know, unlike KMS.
pub(crate) fn status(error: &ApiError, otherwise: u16) -> u16 {
    match error.code {
        ErrorCode::InvalidSignatureException
        | ErrorCode::UnrecognizedClientException
        | ErrorCode::MissingAuthenticationTokenException
        | ErrorCode::AccessDeniedException => 403,
        _ => otherwise,
    }
}

/// An error's body. STS names some codes otherwise than KMS.
pub(crate) fn error(error: &ApiError, request_id: RequestId) -> WipedBuffer {
    let code = match error.code {
        ErrorCode::InvalidSignatureException => "SignatureDoesNotMatch",
        ErrorCode::UnrecognizedClientException => "InvalidClientTokenId",
        ErrorCode::MissingAuthenticationTokenException => "MissingAuthenticationToken",
        ErrorCode::IncompleteSignatureException => "IncompleteSignature",
        ErrorCode::AccessDeniedException => "AccessDenied",
        ErrorCode::UnknownOperationException => "InvalidAction",
        ErrorCode::KMSInternalException => "InternalFailure",
        other => other.name(),
    };
    let kind = if error.code.status() >= 500 { "Receiver" } else { "Sender" };
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{kind}</Type><Code>{code}</Code>\
         <Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escaped(&error.message)
    );
    WipedBuffer::from(text.into_bytes())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // XML has no way to write these.
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_action_is_a_plain_name() {
        assert_eq!(
            action(b"Action=GetCallerIdentity&Version=2011-06-15").as_deref(),
            Some("GetCallerIdentity")
        );
        assert_eq!(action(b"Version=2011-06-15&Action=X").as_deref(), Some("X"));
        assert_eq!(action(b"{\"Action=\":1}"), None);
        assert_eq!(action(b"Action=a%20b"), None);
        assert_eq!(action(b""), None);
    }

    #[test]
    fn a_parameter_stands_once() {
        for form in ["", "Action=A&Version=B", "Action=A&Action.1=B", "a=1&A=2", "a=1&&"] {
            refuse_repeated(form.as_bytes()).unwrap();
        }
        for form in
            ["Action=A&Version=1&Action=A", "a=&a", "Act%69on=A&Action=B", "a+b=1&a%20b=2", "%4=1&%4=2"]
        {
            refuse_repeated(form.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("<a b='&\">"), "&lt;a b=&apos;&amp;&quot;&gt;");
        assert_eq!(escaped("\u{1}"), "\u{fffd}");
    }
}
