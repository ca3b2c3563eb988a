//! Outputs and errors as the Query protocol's XML.

use super::decode::decode;
use super::{Node, WipedBuffer, encode_output};
use crate::error::ApiError;
use crate::model::{self, Kind, Shape};
use crate::{Operation, Service};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Writes the answer of an operation: what it answers as JSON, in XML.
///
/// # Errors
/// An internal error, where the output isn't what the model says.
pub fn encode_output_xml<O: Operation>(
    output: &O::Output,
    request_id: &str,
) -> Result<WipedBuffer, ApiError> {
    let row = O::ROW;
    let mut xml = Xml::default();
    xml.open_in(&format!("{}Response", row.name), row.service);
    let model = model::operation(row.service, row.name).ok_or_else(ApiError::internal)?;
    if let Some(shape) = model.output {
        let node = decode(&encode_output::<O>(output), shape).map_err(|_| ApiError::internal())?;
        xml.element(&format!("{}Result", row.name), &node, shape);
    }
    xml.open("ResponseMetadata");
    xml.text_element("RequestId", request_id);
    xml.close("ResponseMetadata");
    xml.close(&format!("{}Response", row.name));
    Ok(xml.0)
}

/// Writes an error, under the name and with the fault that the service has for it.
#[must_use]
pub fn encode_error_xml(
    service: Service,
    code: &str,
    is_of_sender: bool,
    message: &str,
    request_id: &str,
) -> WipedBuffer {
    let mut xml = Xml::default();
    xml.open_in("ErrorResponse", service);
    xml.open("Error");
    xml.text_element("Type", if is_of_sender { "Sender" } else { "Receiver" });
    xml.text_element("Code", code);
    xml.text_element("Message", message);
    xml.close("Error");
    xml.text_element("RequestId", request_id);
    xml.close("ErrorResponse");
    xml.0
}

#[derive(Default)]
struct Xml(WipedBuffer);

impl Xml {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn open(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
    }

    /// Opens an answer's outermost element.
    fn open_in(&mut self, name: &str, service: Service) {
        let (service, version) = (service.scope_name(), service.api_version());
        self.raw(&format!("<{name} xmlns=\"https://{service}.amazonaws.com/doc/{version}/\">"));
    }

    fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    fn text_element(&mut self, name: &str, text: &str) {
        self.open(name);
        self.text(text);
        self.close(name);
    }

    fn text(&mut self, text: &str) {
        let mut unwritten = text;
        while let Some((at, found)) = unwritten.char_indices().find_map(|(at, c)| Some((at, instead(c)?))) {
            let (plain, rest) = unwritten.split_at(at);
            self.raw(plain);
            self.raw(found);
            let mut rest = rest.chars();
            rest.next();
            unwritten = rest.as_str();
        }
        self.raw(unwritten);
    }

    fn element(&mut self, name: &str, node: &Node, shape: &'static Shape) {
        self.open(name);
        self.content(node, shape);
        self.close(name);
    }

    fn content(&mut self, node: &Node, shape: &'static Shape) {
        match (node, &shape.kind) {
            (Node::Structure(present), Kind::Structure(members)) => {
                for member in *members {
                    let found = present.iter().find(|(name, _)| *name == member.name);
                    if let Some((_, node)) = found {
                        self.element(member.name, node, member.shape);
                    }
                }
            }
            (Node::List(elements), Kind::List(of)) => {
                elements.iter().for_each(|element| self.element("member", element, of));
            }
            (Node::Map(pairs), Kind::Map(of)) => {
                for (key, value) in pairs {
                    self.open("entry");
                    self.text_element("key", key);
                    self.element("value", value, of);
                    self.close("entry");
                }
            }
            (Node::Text(text), _) => self.text(text),
            (Node::SecretText(text), _) => self.text(text.expose()),
            (Node::Bool(value), _) => self.raw(if *value { "true" } else { "false" }),
            (Node::Integer(value), _) => self.raw(&value.to_string()),
            (Node::Timestamp(value), _) => self.raw(&value.to_iso8601()),
            (Node::Blob(bytes), _) => self.base64(bytes),
            (Node::Secret(bytes), _) => self.base64(bytes.expose()),
            // What a decoder guided by the same shape gives is of that shape.
            (Node::Null | Node::Structure(_) | Node::List(_) | Node::Map(_), _) => {}
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        // Four characters for each three bytes begun: exactly as long as it must be.
        let place = self.0.grow_by(bytes.len().div_ceil(3) * 4);
        let _ = BASE64.encode_slice(bytes, place);
    }
}

/// What stands in XML for a character that can't stand there itself.
fn instead(character: char) -> Option<&'static str> {
    Some(match character {
        '<' => "&lt;",
        '>' => "&gt;",
        '&' => "&amp;",
        '"' => "&quot;",
        '\'' => "&apos;",
        // Readers make another end of a line of it.
        '\r' => "&#xD;",
        '\t' | '\n' => return None,
        // XML has no way to write these.
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{GetCallerIdentity, GetCallerIdentityOutput};

    fn content(service: Service, operation: &str, json: &str) -> String {
        let shape = model::operation(service, operation).unwrap().output.unwrap();
        let mut xml = Xml::default();
        xml.content(&decode(json.as_bytes(), shape).unwrap(), shape);
        String::from_utf8(xml.0.to_vec()).unwrap()
    }

    #[test]
    fn an_output_stands_in_its_wrapper() {
        let output = GetCallerIdentityOutput { user_id: "1".into(), account: "2".into(), arn: "<3>".into() };
        let xml = encode_output_xml::<GetCallerIdentity>(&output, "id").unwrap();
        assert_eq!(
            String::from_utf8_lossy(&xml),
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <UserId>1</UserId><Account>2</Account><Arn>&lt;3&gt;</Arn></GetCallerIdentityResult><ResponseMetadata>\
             <RequestId>id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
        );
    }

    #[test]
    fn lists_maps_dates_and_booleans_are_written_as_iam_writes_them() {
        let users = r#"{"IsTruncated":false,"Users":[{"UserName":"a","CreateDate":1308933796.5}]}"#;
        assert_eq!(
            content(Service::Iam, "ListUsers", users),
            "<Users><member><UserName>a</UserName><CreateDate>2011-06-24T16:43:16Z</CreateDate></member></Users>\
             <IsTruncated>false</IsTruncated>"
        );
        assert_eq!(content(Service::Iam, "ListUsers", r#"{"Users":[]}"#), "<Users></Users>");
        assert_eq!(
            content(Service::Iam, "GetAccountSummary", r#"{"SummaryMap":{"Users":27}}"#),
            "<SummaryMap><entry><key>Users</key><value>27</value></entry></SummaryMap>"
        );
        assert_eq!(
            content(Service::Iam, "CreateAccessKey", r#"{"AccessKey":{"SecretAccessKey":"a/+"}}"#),
            "<AccessKey><SecretAccessKey>a/+</SecretAccessKey></AccessKey>"
        );
    }

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let xml = encode_error_xml(Service::Iam, "NoSuchEntity", true, "a & b", "id");
        assert_eq!(
            String::from_utf8_lossy(&xml),
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>NoSuchEntity</Code><Message>a &amp; b</Message></Error><RequestId>id</RequestId></ErrorResponse>"
        );
        let xml = encode_error_xml(Service::Sts, "InternalFailure", false, "", "id");
        assert!(
            String::from_utf8_lossy(&xml)
                .contains("sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Receiver<")
        );
    }

    #[test]
    fn texts_are_escaped() {
        let escaped = |text: &str| {
            let mut xml = Xml::default();
            xml.text(text);
            String::from_utf8(xml.0.to_vec()).unwrap()
        };
        assert_eq!(escaped("<a b='&\">é"), "&lt;a b=&apos;&amp;&quot;&gt;é");
        assert_eq!(escaped("a\r\n\tb\u{1}"), "a&#xD;\n\tb\u{fffd}");
        assert_eq!(escaped(""), "");
    }
}
