//! A request in the audit log, as one to ask about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use bulla_engine::{ExplainConnection, ExplainInput};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// No line of a log is longer.
const LINE_BYTES_MAX: u64 = 512 << 10;

/// A request that was made.
pub(super) struct Recorded {
    pub(super) input: ExplainInput,
    pub(super) head: Head,
    /// Whether temporary credentials made it.
    pub(super) is_session: bool,
}

/// What is told of it.
pub(super) struct Head {
    pub(super) request_id: String,
    pub(super) time: String,
    pub(super) operation: String,
    pub(super) error: Option<(String, String)>,
}

impl Head {
    pub(super) fn as_json(&self) -> Value {
        json!({
            "RequestId": self.request_id,
            "EventTime": self.time,
            "EventName": self.operation,
            "ErrorCode": self.error.as_ref().map(|(code, _)| code),
            "ErrorMessage": self.error.as_ref().map(|(_, message)| message),
        })
    }
}

/// Which request is meant.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'w> {
    /// The one with this id.
    Id(&'w str),
    /// The last one that policies denied.
    LastDenied,
}

impl Wanted<'_> {
    /// What a line has in it that may be the record, before it is read as JSON.
    fn needle(self) -> String {
        match self {
            Self::Id(id) => format!("\"requestID\":{}", Value::from(id)),
            Self::LastDenied => "\"accessDenied\":{".to_owned(),
        }
    }

    fn is(self, record: &Value) -> bool {
        match self {
            Self::Id(id) => record["requestID"] == id,
            Self::LastDenied => record["additionalEventData"]["accessDenied"].is_object(),
        }
    }
}

/// Finds the request in a log.
pub(super) fn find(path: &Path, wanted: Wanted<'_>) -> Result<Recorded, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Failure::io("cannot read audit log", &shown, &error);
    let needle = wanted.needle();
    let mut found = None;
    let mut log = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = log.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if !text.contains(&needle) {
            continue;
        }
        if let Ok(record) = serde_json::from_str::<Value>(&text)
            && wanted.is(&record)
        {
            found = Some(record);
            if matches!(wanted, Wanted::Id(_)) {
                break;
            }
        }
    }
    match (found, wanted) {
        (Some(record), _) => of(&record),
        (None, Wanted::Id(id)) => Err(Failure::new(
            Exit::Failed,
            format!(
                "there is no request {id} in audit log `{shown}`; its id is in the answer's x-amzn-RequestId, and in requestID \
                 of its record"
            ),
        )),
        (None, Wanted::LastDenied) => Err(Failure::new(
            Exit::Failed,
            format!("policies have denied no request that is in audit log `{shown}`"),
        )),
    }
}

fn of(record: &Value) -> Result<Recorded, Failure> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let request_id = text(&record["requestID"]).unwrap_or_default();
    let operation = text(&record["eventName"]).unwrap_or_default();
    let lacks = |what: &str| {
        Failure::new(
            Exit::Failed,
            format!("request {request_id} can't be explained by policies: its record has no {what}"),
        )
    };
    let principal = text(&record["userIdentity"]["arn"]).ok_or_else(|| lacks("caller who is known"))?;
    let denied = &record["additionalEventData"]["accessDenied"];
    let source = record["eventSource"].as_str().unwrap_or_default();
    let service = source.split('.').next().filter(|service| !service.is_empty());
    let service = service.ok_or_else(|| lacks("service"))?;
    let action = text(&denied["action"]).unwrap_or_else(|| format!("{service}:{operation}"));
    let parameters = &record["requestParameters"];
    let is_key = |arn: &String| arn.contains(":key/");
    let key = text(&denied["resource"])
        .filter(is_key)
        .or_else(|| text(&record["resources"][0]["ARN"]).filter(is_key))
        .or_else(|| text(&parameters["keyId"]));
    let resource = text(&denied["resource"]).filter(|resource| !is_key(resource) && resource != "*");
    // ReEncrypt has two.
    let context = match action.as_str() {
        "kms:ReEncryptFrom" => &parameters["sourceEncryptionContext"],
        "kms:ReEncryptTo" => &parameters["destinationEncryptionContext"],
        _ => &parameters["encryptionContext"],
    };
    let pairs = context.as_object().into_iter().flatten();
    let encryption_context: BTreeMap<_, _> =
        pairs.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
    let address = record["sourceIPAddress"].as_str().unwrap_or_default();
    let is_local = matches!(address, "admin-socket" | "embedded");
    let connection = ExplainConnection {
        source_ip: Some(address.to_owned()).filter(|_| !is_local),
        user_agent: text(&record["userAgent"]).unwrap_or_default(),
        secure: is_local || record["tlsDetails"].is_object(),
    };
    let time = text(&record["eventTime"]).unwrap_or_default();
    let time_ms = time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    let is_session = record["userIdentity"]["sessionContext"].is_object();
    let error = text(&record["errorCode"])
        .map(|code| (code, text(&record["errorMessage"]).unwrap_or_default()));
    let input = ExplainInput {
        principal,
        action,
        key,
        resource,
        encryption_context,
        parameters: parameters_of(parameters),
        connection: Some(connection),
        time_ms,
    };
    let head = Head { request_id, time, operation, error };
    Ok(Recorded { input, head, is_session })
}

/// What condition keys may ask of the request's members.
fn parameters_of(parameters: &Value) -> BTreeMap<String, Vec<String>> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    let values = |value: &Value| match value {
        Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>(),
        value => scalar(value).map(|one| vec![one]),
    };
    let members = parameters.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), values(value)?))).collect()
}
