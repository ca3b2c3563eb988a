//! Answers as HTTP has them: status, headers, body.

use crate::connection::HttpAnswer;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// An answer with everything that each answer must have.
pub(crate) fn answer(
    status: u16,
    request_id: &str,
    content_type: &'static str,
    error_type: Option<&str>,
    body: Bytes,
) -> HttpAnswer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(Ok(value)) = error_type.map(HeaderValue::from_str) {
        headers.insert(ERROR_TYPE, value);
    }
    response
}

/// Has the connection end with this answer.
pub(crate) fn closing(mut answer: HttpAnswer) -> HttpAnswer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
