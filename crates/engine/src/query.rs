//! The Query protocol of AWS IAM and STS: a form in, XML out. How either is written is the wire's affair; here it is
//! found what a form asks for, and what errors are called.

use crate::fault::Fault;
use crate::request::RequestId;
use bulla_api::wire::{Form, encode_error_xml};
use bulla_api::{ApiError, ErrorCode, Service, WipedBuffer};

/// The services that speak it.
const SERVICES: [Service; 2] = [Service::Iam, Service::Sts];

/// What a form asks for, before it is read as a whole.
pub(crate) struct Asked<'b> {
    /// Its `Action`, if it names one.
    pub(crate) action: Option<&'b str>,
    /// The service whose version it names; else the one that the signature is for, where that speaks the protocol.
    pub(crate) service: Service,
}

impl<'b> Asked<'b> {
    pub(crate) fn by(body: &'b [u8], signed: Option<Service>) -> Self {
        let version = parameter(body, "Version=");
        let named = SERVICES.into_iter().find(|service| Some(service.api_version()) == version);
        let signed = signed.filter(|service| SERVICES.contains(service));
        let is_name = |action: &&str| {
            (1..=64).contains(&action.len()) && action.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        Self {
            action: parameter(body, "Action=").filter(is_name),
            service: named.or(signed).unwrap_or(Service::Sts),
        }
    }
}

/// A parameter as it stands: what is looked for is letters, digits and dashes, so nothing needs decoding.
fn parameter<'b>(body: &'b [u8], name: &str) -> Option<&'b str> {
    std::str::from_utf8(body).ok()?.split('&').find_map(|pair| pair.strip_prefix(name))
}

/// The form, with the version that the service has. The body is wiped.
pub(crate) fn form(body: &mut [u8], asked: Service) -> Result<Form, Fault> {
    let form = Form::parse(body)?;
    let version = form.get("Version");
    if version == Some(asked.api_version()) {
        return Ok(form);
    }
    let action: String = form.get("Action").unwrap_or_default().chars().take(128).collect();
    let version: String = version.unwrap_or("NO_VERSION_SPECIFIED").chars().take(64).collect();
    Err(Fault::answer(
        ErrorCode::UnknownOperationException,
        format!("Could not find operation {action} for version {version}"),
    ))
}

/// An error's status: the Query protocol answers 403 to whom it doesn't know, unlike KMS.
pub(crate) fn status(error: &ApiError, otherwise: u16) -> u16 {
    match error.code {
        ErrorCode::InvalidSignatureException
        | ErrorCode::UnrecognizedClientException
        | ErrorCode::MissingAuthenticationTokenException
        | ErrorCode::AccessDeniedException => 403,
        _ => otherwise,
    }
}

/// An error's body. Some codes have other names than at KMS.
pub(crate) fn error(service: Service, error: &ApiError, request_id: RequestId) -> WipedBuffer {
    let code = match error.code {
        ErrorCode::InvalidSignatureException => "SignatureDoesNotMatch",
        ErrorCode::UnrecognizedClientException => "InvalidClientTokenId",
        ErrorCode::MissingAuthenticationTokenException => "MissingAuthenticationToken",
        ErrorCode::IncompleteSignatureException => "IncompleteSignature",
        ErrorCode::AccessDeniedException => "AccessDenied",
        ErrorCode::UnknownOperationException => "InvalidAction",
        ErrorCode::ValidationException => "ValidationError",
        ErrorCode::ThrottlingException => "Throttling",
        ErrorCode::KMSInternalException => "InternalFailure",
        other => other.name(),
    };
    let is_of_sender = error.code.status() < 500;
    encode_error_xml(service, code, is_of_sender, &error.message, &request_id.text())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_action_is_a_plain_name() {
        let action = |body: &'static [u8]| Asked::by(body, None).action;
        assert_eq!(action(b"Action=GetCallerIdentity&Version=2011-06-15"), Some("GetCallerIdentity"));
        assert_eq!(action(b"Version=2011-06-15&Action=X"), Some("X"));
        assert_eq!(action(b"{\"Action=\":1}"), None);
        assert_eq!(action(b"Action=a%20b"), None);
        assert_eq!(action(b""), None);
    }

    #[test]
    fn a_version_tells_the_service_and_else_the_signature_does() {
        let service = |body: &'static [u8], signed| Asked::by(body, signed).service;
        assert_eq!(service(b"Action=GetUser&Version=2010-05-08", None), Service::Iam);
        assert_eq!(service(b"Version=2011-06-15", Some(Service::Iam)), Service::Sts);
        assert_eq!(service(b"Version=2012-01-01", Some(Service::Iam)), Service::Iam);
        assert_eq!(service(b"Version=2014-11-01", Some(Service::Kms)), Service::Sts);
    }

    #[test]
    fn a_form_has_the_version_of_its_service() {
        assert!(form(&mut b"Action=GetUser&Version=2010-05-08".to_owned(), Service::Iam).is_ok());
        for (body, version) in
            [("Action=GetUser&Version=2011-06-15", "2011-06-15"), ("Action=GetUser", "NO_VERSION_SPECIFIED")]
        {
            let fault = form(&mut body.as_bytes().to_owned(), Service::Iam).err().unwrap();
            let expected = format!("Could not find operation GetUser for version {version}");
            assert_eq!(fault.to_answer(), ApiError::new(ErrorCode::UnknownOperationException, expected));
        }
    }

    #[test]
    fn an_error_has_the_name_and_the_status_of_its_protocol() {
        let id = RequestId::from_random([0; 16]);
        let xml = |code| error(Service::Iam, &ApiError::new(code, "x"), id);
        let invalid = xml(ErrorCode::ValidationException);
        let text = String::from_utf8_lossy(&invalid);
        assert!(text.contains("<Type>Sender</Type><Code>ValidationError</Code>"), "{text}");
        let internal = xml(ErrorCode::KMSInternalException);
        let text = String::from_utf8_lossy(&internal);
        assert!(text.contains("<Type>Receiver</Type><Code>InternalFailure</Code>"), "{text}");
        assert_eq!(status(&ApiError::new(ErrorCode::AccessDeniedException, ""), 400), 403);
        assert_eq!(status(&ApiError::new(ErrorCode::NoSuchEntity, ""), 404), 404);
    }
}
