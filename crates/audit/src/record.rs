//! What is recorded of a request.

use crate::json::Object;
use std::borrow::Cow;
use std::sync::Arc;

/// The version of CloudTrail's record format that [`Record`] follows.
const EVENT_VERSION: &str = "1.11";

/// Most bytes of an encoded record. A longer one has its parameters left out, as CloudTrail does.
const ENTRY_BYTES_MAX: usize = 96 * 1024;

/// Most bytes of a text that the caller chose (user agent, error message) in a record.
const TEXT_BYTES_MAX: usize = 1024;

/// One event, with the members of a CloudTrail record. Source: AWS CloudTrail user guide, "Record contents".
#[derive(Debug, Clone)]
pub struct Record {
    /// Who asked.
    pub user_identity: UserIdentity,
    /// When, as `2026-11-23T19:53:42.123Z`.
    pub event_time: String,
    /// `kms.amazonaws.com`.
    pub event_source: &'static str,
    /// The operation's name.
    pub event_name: Cow<'static, str>,
    /// The region asked.
    pub aws_region: Arc<str>,
    /// The caller's address, or `admin-socket` or `embedded`.
    pub source_ip_address: String,
    /// What the client says it is.
    pub user_agent: String,
    /// The error's code, when it failed.
    pub error_code: Option<&'static str>,
    /// The error's text, when it failed.
    pub error_message: Option<String>,
    /// What was asked: key, encryption context, spec; nothing secret.
    pub request_parameters: Option<Parameters>,
    /// What was changed; nothing secret.
    pub response_elements: Option<Parameters>,
    /// What CloudTrail has no place for.
    pub additional_event_data: Option<Parameters>,
    /// As the caller got it in `x-amzn-RequestId`.
    pub request_id: String,
    /// This record's own id, a UUID.
    pub event_id: String,
    /// Whether the operation changes nothing.
    pub read_only: bool,
    /// The keys that the request touched.
    pub resources: Vec<Resource>,
    /// `AwsApiCall`, or `AwsServiceEvent` for what the service did by itself.
    pub event_type: &'static str,
    /// Whose trail it belongs to; none before the caller is known.
    pub recipient_account_id: Option<Arc<str>>,
    /// What the service did by itself, in its own words.
    pub service_event_details: Option<Parameters>,
    /// How the connection was protected.
    pub tls_details: Option<TlsDetails>,
}

/// Who asked. Source: AWS CloudTrail user guide, "CloudTrail userIdentity element".
#[derive(Debug, Clone, Default)]
pub struct UserIdentity {
    /// `Root`, `IAMUser`, `AssumedRole`, `AWSService`, `Unknown`.
    pub kind: &'static str,
    /// The principal's unique id; the account id for its root.
    pub principal_id: Option<Arc<str>>,
    /// The principal's ARN.
    pub arn: Option<Arc<str>>,
    /// The principal's account.
    pub account_id: Option<Arc<str>>,
    /// The access key that signed. Before authentication: what the request claims.
    pub access_key_id: Option<Arc<str>>,
    /// The name of a user.
    pub user_name: Option<Arc<str>>,
    /// Of temporary credentials.
    pub session_context: Option<Arc<SessionContext>>,
    /// The service, for what it does by itself.
    pub invoked_by: Option<&'static str>,
}

/// What is told of temporary credentials.
#[derive(Debug, Clone, Default)]
pub struct SessionContext {
    /// Whom they are of, if that isn't the identity itself.
    pub issuer: Option<SessionIssuer>,
    /// When they were given, as `2026-11-23T19:53:42Z`.
    pub created: String,
    /// Whether a second factor was presented.
    pub mfa_authenticated: bool,
    /// Who is behind them.
    pub source_identity: Option<String>,
    /// The provider of a web identity.
    pub web_identity_provider: Option<String>,
}

/// The role of a session.
#[derive(Debug, Clone)]
pub struct SessionIssuer {
    /// `Role`.
    pub kind: &'static str,
    /// `AROA…`.
    pub principal_id: Arc<str>,
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its account.
    pub account_id: Arc<str>,
    /// Its name.
    pub user_name: Arc<str>,
}

/// A key that a request touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The owner.
    pub account_id: Arc<str>,
    /// `AWS::KMS::Key`.
    pub kind: &'static str,
    /// Its ARN.
    pub arn: String,
}

/// How the connection was protected.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A list of texts.
    Texts(Vec<String>),
    /// An object.
    Object(Parameters),
    /// A list of objects.
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

    /// Adds others behind.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Parameters {
    fn write(&self, object: &mut Object<'_>) {
        for (name, value) in &self.0 {
            match value {
                Parameter::Text(text) => object.text(name, text),
                Parameter::Number(number) => object.number(name, *number),
                Parameter::Bool(truth) => object.truth(name, *truth),
                Parameter::Pairs(pairs) => object.object(name, |object| {
                    pairs.iter().for_each(|(name, value)| object.text_at(name, value));
                }),
                Parameter::Texts(texts) => object.texts(name, texts),
                Parameter::Object(parameters) => object.object(name, |object| parameters.write(object)),
                Parameter::List(items) => {
                    object.list(name, items, |item, object| item.write(object));
                }
            }
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
        let mut bytes = Vec::with_capacity(2048);
        let mut object = Object::begin(&mut bytes);
        object.text("eventVersion", EVENT_VERSION);
        object.text("eventCategory", "Management");
        object.truth("managementEvent", true);
        object.object("userIdentity", |object| self.user_identity.write(object));
        object.text("eventTime", &self.event_time);
        object.text("eventSource", self.event_source);
        object.text("eventName", &self.event_name);
        object.text("awsRegion", &self.aws_region);
        object.text("sourceIPAddress", &self.source_ip_address);
        object.text("userAgent", &self.user_agent);
        object.maybe_text("errorCode", self.error_code);
        object.maybe_text("errorMessage", self.error_message.as_deref());
        for (name, parameters) in
            [("requestParameters", &self.request_parameters), ("responseElements", &self.response_elements)]
        {
            match parameters {
                Some(parameters) => object.object(name, |object| parameters.write(object)),
                None => object.null(name),
            }
        }
        if let Some(data) = &self.additional_event_data {
            object.object("additionalEventData", |object| data.write(object));
        }
        object.text("requestID", &self.request_id);
        object.text("eventID", &self.event_id);
        object.truth("readOnly", self.read_only);
        if !self.resources.is_empty() {
            object.list("resources", &self.resources, |resource, object| {
                object.text("accountId", &resource.account_id);
                object.text("type", resource.kind);
                object.text("ARN", &resource.arn);
            });
        }
        object.text("eventType", self.event_type);
        object.maybe_text("recipientAccountId", self.recipient_account_id.as_deref());
        if let Some(details) = &self.service_event_details {
            object.object("serviceEventDetails", |object| details.write(object));
        }
        if let Some(tls) = &self.tls_details {
            object.object("tlsDetails", |object| {
                object.text("tlsVersion", &tls.tls_version);
                object.text("cipherSuite", &tls.cipher_suite);
            });
        }
        object.end();
        Entry(bytes)
    }
}

impl UserIdentity {
    fn write(&self, object: &mut Object<'_>) {
        object.text("type", self.kind);
        object.maybe_text("principalId", self.principal_id.as_deref());
        object.maybe_text("arn", self.arn.as_deref());
        object.maybe_text("accountId", self.account_id.as_deref());
        object.maybe_text("accessKeyId", self.access_key_id.as_deref());
        object.maybe_text("userName", self.user_name.as_deref());
        if let Some(context) = &self.session_context {
            object.object("sessionContext", |object| context.write(object));
        }
        object.maybe_text("invokedBy", self.invoked_by);
    }
}

impl SessionContext {
    fn write(&self, object: &mut Object<'_>) {
        if let Some(issuer) = &self.issuer {
            object.object("sessionIssuer", |object| {
                object.text("type", issuer.kind);
                object.text("principalId", &issuer.principal_id);
                object.text("arn", &issuer.arn);
                object.text("accountId", &issuer.account_id);
                object.text("userName", &issuer.user_name);
            });
        }
        if let Some(provider) = &self.web_identity_provider {
            object.object("webIdFederationData", |object| object.text("federatedProvider", provider));
        }
        object.maybe_text("sourceIdentity", self.source_identity.as_deref());
        object.object("attributes", |object| {
            object.text("creationDate", &self.created);
            // CloudTrail writes this one as a text.
            object.text("mfaAuthenticated", if self.mfa_authenticated { "true" } else { "false" });
        });
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    }
}
