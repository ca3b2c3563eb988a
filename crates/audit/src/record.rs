//! What is recorded of a request.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// The version of CloudTrail's record format that [`Record`] follows.
const EVENT_VERSION: &str = "1.11";

/// Most bytes of an encoded record. A longer one has its parameters left out, as CloudTrail does.
const ENTRY_BYTES_MAX: usize = 96 * 1024;

/// Most bytes of a text that the caller chose (user agent, error message) in a record.
const TEXT_BYTES_MAX: usize = 1024;

/// One event, with the members of a CloudTrail record. Source: AWS CloudTrail user guide, "Record contents".
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Who asked.
    pub user_identity: UserIdentity,
    /// When, as `2026-11-23T19:53:42.123Z`.
    pub event_time: String,
    /// `kms.amazonaws.com`.
    pub event_source: &'static str,
    /// The operation's name.
    pub event_name: String,
    /// The region asked.
    pub aws_region: String,
    /// The caller's address, or `admin-socket` or `embedded`.
    #[serde(rename = "sourceIPAddress")]
    pub source_ip_address: String,
    /// What the client says it is.
    pub user_agent: String,
    /// The error's code, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<&'static str>,
    /// The error's text, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What was asked: key, encryption context, spec; nothing secret.
    pub request_parameters: Option<Parameters>,
    /// What was changed; nothing secret.
    pub response_elements: Option<Parameters>,
    /// What CloudTrail has no place for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_event_data: Option<Parameters>,
    /// As the caller got it in `x-amzn-RequestId`.
    #[serde(rename = "requestID")]
    pub request_id: String,
    /// This record's own id, a UUID.
    #[serde(rename = "eventID")]
    pub event_id: String,
    /// Whether the operation changes nothing.
    pub read_only: bool,
    /// The keys that the request touched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
    /// `AwsApiCall`, or `AwsServiceEvent` for what the service did by itself.
    pub event_type: &'static str,
    /// Whose trail it belongs to; none before the caller is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_account_id: Option<String>,
    /// How the connection was protected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_details: Option<TlsDetails>,
}

/// Who asked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// `Root`, `IAMUser`, `AssumedRole`, `AWSService`, `Unknown`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The principal's unique id; the account id for its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    /// The principal's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The principal's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The access key that signed. Before authentication: what the request claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The service, for what it does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_by: Option<&'static str>,
}

/// A key that a request touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// The owner.
    pub account_id: String,
    /// `AWS::KMS::Key`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
}

/// How the connection was protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsDetails {
    /// `TLSv1.3`.
    pub tls_version: String,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
}

/// A value among [`Parameters`].
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// A truth value.
    Bool(bool),
    /// Names and texts, such as an encryption context.
    Pairs(Vec<(String, String)>),
    /// A list of such.
    List(Vec<Parameters>),
}

/// Names and values, in the order in which they were added. A name is added once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters(Vec<(&'static str, Parameter)>);

impl Parameters {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, Parameter::Text(value.into())));
        self
    }

    /// Adds a text if there is one.
    #[must_use]
    pub fn maybe_text(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds any value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Parameter) -> Self {
        self.0.push((name, value));
        self
    }

    /// Adds a number if there is one.
    #[must_use]
    pub fn maybe_number(self, name: &'static str, value: Option<impl Into<i64>>) -> Self {
        match value {
            Some(value) => self.with(name, Parameter::Number(value.into())),
            None => self,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Pairs(pairs) => serializer.collect_map(pairs.iter().map(|(name, value)| (name, value))),
            Self::List(items) => serializer.collect_seq(items),
        }
    }
}

/// An encoded record: one JSON object on one line, without what the chain adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// The JSON object.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// An entry that was encoded before and kept, as the store's outbox does.
    ///
    /// `None` when it is not one line with one JSON object.
    #[must_use]
    pub fn from_encoded(bytes: Vec<u8>) -> Option<Self> {
        let is_object = bytes.first() == Some(&b'{') && bytes.last() == Some(&b'}') && bytes.len() > 2;
        let is_line = !bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let fits = bytes.len() <= crate::chain::LINE_BYTES_MAX / 2;
        (is_object && is_line && fits).then_some(Self(bytes))
    }

    /// What a sink writes by itself: the text must be a JSON object.
    pub(crate) fn own(json: &str) -> Self {
        Self(json.as_bytes().to_vec())
    }
}

impl Record {
    /// The record as it is written. Texts of the caller are cut to 1 KiB, and parameters that would make the record
    /// longer than 96 KiB are left out and said to be so, as CloudTrail does.
    #[must_use]
    pub fn encode(mut self) -> Entry {
        cut(&mut self.user_agent);
        if let Some(message) = &mut self.error_message {
            cut(message);
        }
        let entry = self.write();
        if entry.0.len() <= ENTRY_BYTES_MAX {
            return entry;
        }
        let size = i64::try_from(entry.0.len()).unwrap_or(i64::MAX);
        let omitted = || {
            Parameters::new()
                .with("omitted", Parameter::Bool(true))
                .with("originalSize", Parameter::Number(size))
        };
        self.request_parameters = self.request_parameters.is_some().then(omitted);
        self.response_elements = self.response_elements.is_some().then(omitted);
        self.write()
    }

    fn write(&self) -> Entry {
        let mut bytes = Vec::with_capacity(1536);
        bytes.extend_from_slice(b"{\"eventVersion\":\"");
        bytes.extend_from_slice(EVENT_VERSION.as_bytes());
        bytes.extend_from_slice(b"\",\"eventCategory\":\"Management\",\"managementEvent\":true,");
        let head = bytes.len();
        // Nothing here can fail to serialise: names are texts, and writing to memory has no error. Were it otherwise,
        // an object that says so keeps the record.
        match serde_json::to_writer(&mut bytes, self) {
            Ok(()) => {
                // The object's own opening brace, for which the one above stands.
                bytes.remove(head);
            }
            Err(_) => {
                bytes.truncate(head);
                bytes.extend_from_slice(b"\"unencodable\":true}");
            }
        }
        Entry(bytes)
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
}
