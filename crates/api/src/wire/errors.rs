//! Errors on the wire.

use crate::error::{ApiError, ErrorCode};
use serde::Deserialize;

/// Writes an error's body: `{"__type":"NotFoundException","message":"…"}`. An empty message is left out,
/// as AWS does (InvalidCiphertextException has none).
#[must_use]
pub fn encode_error(error: &ApiError) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        #[serde(rename = "__type")]
        code: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        message: &'a str,
    }
    let body = Body { code: error.code.name(), message: &error.message };
    // Two texts can always be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Reads an error, for a client: the code from the body's `__type`, else from `header`, the value of
/// `x-amzn-ErrorType`. What cannot be read is [`ErrorCode::Other`] with an empty message.
#[must_use]
pub fn decode_error(body: &[u8], header: Option<&str>) -> ApiError {
    #[derive(Deserialize, Default)]
    struct Body {
        #[serde(rename = "__type")]
        code: Option<String>,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let code = body.code.as_deref().or(header).unwrap_or_default();
    // `aws.kms#NotFoundException`, or `NotFoundException:http://…` in the header.
    let name = code.split(':').next().unwrap_or_default();
    ApiError::new(ErrorCode::from_name(name), body.message.unwrap_or_default())
}
