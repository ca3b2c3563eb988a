//! What Azure answers: errors and lists are XML.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use crate::storage::listing::decoded;
use crate::storage::server::{Next, Page};

/// An answer that doesn't refuse.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: SdkBody,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

/// An answer that refuses.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses")]
pub(super) struct Refusal(ErrorMetadata);

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Refusal {
    pub(super) fn of(answer: &HttpResponse) -> Self {
        let body = answer.body().bytes().unwrap_or_default();
        let (code, message) = error(body).ok().or_else(|| error_of_identity(body)).unwrap_or_default();
        // Answers to HEAD have no other place for it.
        let code = answer.headers().get("x-ms-error-code").map(str::to_owned).or(code);
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        if let Some(message) = message {
            meta = meta.message(message);
        }
        Self(meta.build())
    }
}

/// Azure's answers begin with a byte order mark.
fn text(body: &[u8]) -> Result<&str, XmlDecodeError> {
    let text = std::str::from_utf8(body).map_err(XmlDecodeError::unhandled)?;
    Ok(text.trim_start_matches('\u{feff}').trim_start())
}

/// The code of an error, and the first line of its message: the request's id and time follow.
fn error(body: &[u8]) -> Result<(Option<String>, Option<String>), XmlDecodeError> {
    let mut document = Document::new(text(body)?);
    let mut root = document.root_element()?;
    let (mut code, mut message) = (None, None);
    while let Some(mut tag) = root.next_tag() {
        if tag.start_el().matches("Code") {
            code = Some(try_data(&mut tag)?.into_owned());
        } else if tag.start_el().matches("Message") {
            let text = try_data(&mut tag)?;
            message = text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        }
    }
    Ok((code, message))
}

/// The same of an error that whoever gives tokens tells (RFC 6749, section 5.2).
fn error_of_identity(body: &[u8]) -> Option<(Option<String>, Option<String>)> {
    let said: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| Some(said.get(name)?.as_str()?.lines().next()?.trim().to_owned());
    Some((text("error"), text("error_description")))
}

/// A page of a list; none of what isn't one.
pub(super) fn page(body: &[u8]) -> Option<Page> {
    listed(body).ok().flatten()
}

fn listed(body: &[u8]) -> Result<Option<Page>, XmlDecodeError> {
    let mut document = Document::new(text(body)?);
    let mut root = document.root_element()?;
    if !root.start_el().matches("EnumerationResults") {
        return Ok(None);
    }
    let (mut keys, mut next) = (None, None);
    while let Some(mut tag) = root.next_tag() {
        if tag.start_el().matches("Blobs") {
            let Some(found) = blobs(&mut tag)? else { return Ok(None) };
            keys = Some(found);
        } else if tag.start_el().matches("NextMarker") {
            next = Some(try_data(&mut tag)?.into_owned());
        }
    }
    // Both stand in each list: one that was cut has no marker, or no end.
    let (Some(keys), Some(marker)) = (keys, next) else { return Ok(None) };
    let next = if marker.is_empty() { Next::Ended } else { Next::At(marker) };
    Ok(Some(Page { keys, next }))
}

fn blobs(list: &mut ScopedDecoder<'_, '_>) -> Result<Option<Vec<(String, bool)>>, XmlDecodeError> {
    let mut keys = Vec::new();
    while let Some(mut blob) = list.next_tag() {
        if !blob.start_el().matches("Blob") {
            continue;
        }
        let (mut key, mut empty) = (None, false);
        while let Some(mut tag) = blob.next_tag() {
            if tag.start_el().matches("Name") {
                // Names may have what XML can't hold.
                let encoded = tag.start_el().attr("Encoded") == Some("true");
                let text = try_data(&mut tag)?;
                // A plus sign means itself.
                key = if encoded { decoded(&text.replace('+', "%2B")) } else { Some(text.into_owned()) };
            } else if tag.start_el().matches("Properties") {
                while let Some(mut property) = tag.next_tag() {
                    if property.start_el().matches("Content-Length") {
                        empty = try_data(&mut property)?.trim() == "0";
                    }
                }
            }
        }
        let Some(key) = key else { return Ok(None) };
        keys.push((key, empty));
    }
    Ok(Some(keys))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const LIST: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a/\" \
        ContainerName=\"c\"><Prefix>a</Prefix><MaxResults>3</MaxResults><Blobs>\
        <Blob><Name>a&amp;b</Name><Properties><Content-Length>0</Content-Length><Etag>x</Etag></Properties></Blob>\
        <Blob><Name Encoded=\"true\">a%EF%BF%BE+c</Name><Properties><Content-Length>10</Content-Length></Properties></Blob>\
        </Blobs><NextMarker>2!more</NextMarker></EnumerationResults>";

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let found = page(LIST.as_bytes()).unwrap();
        assert_eq!(found.keys, [("a&b".to_owned(), true), ("a\u{fffe}+c".to_owned(), false)]);
        assert_eq!(found.next, Next::At("2!more".to_owned()));
        let last = LIST.replace("<NextMarker>2!more</NextMarker>", "<NextMarker />");
        assert_eq!(page(last.as_bytes()).unwrap().next, Next::Ended);
        for text in ["", "<html></html>", "<EnumerationResults/>", &LIST[..LIST.len() / 2], "\u{feff}"] {
            assert!(page(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn of_an_error_its_code_and_one_line_are_read() {
        let text = "\u{feff}<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code><Message>The specified blob does not exist.\n\
            RequestId:1\nTime:2</Message></Error>";
        let said = error(text.as_bytes()).unwrap();
        assert_eq!(said, (Some("BlobNotFound".into()), Some("The specified blob does not exist.".into())));
        assert!(error(b"").is_err());
        let text = br#"{"error": "invalid_client", "error_description": "AADSTS1: no.\r\nTrace ID: 1"}"#;
        assert!(error(text).is_err());
        assert_eq!(
            error_of_identity(text),
            Some((Some("invalid_client".into()), Some("AADSTS1: no.".into())))
        );
    }
}
