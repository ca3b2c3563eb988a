//! `bulla policy explain`, of a store: by the policies and grants that it has now.

mod told;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bulla_api::iam::GetUserInput;
use bulla_api::{AccountId, Effect, ErrorCode, KmsError, Region};
use bulla_engine::{ExplainConnection, ExplainInput, Via};
use bulla_store::names;
use serde_json::Value;

use crate::app::App;
use crate::exit::{Exit, Failure, one_line};
use crate::kms::socket::AdminRequest;

/// Longest line of an audit log that is looked at; the log's own bound is lower.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// What is to be explained.
pub(crate) enum Asked<'a> {
    /// A request that somebody could make.
    Supposed {
        principal: &'a str,
        action: &'a str,
        key: Option<&'a str>,
        context: &'a [String],
        /// Condition keys and their values.
        context_keys: &'a [String],
    },
    /// One that was made.
    Recorded { which: Which<'a>, log: Option<&'a PathBuf> },
}

/// A request of an audit log.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    /// The one with this id.
    Id(&'a str),
    /// The last one that policies denied.
    LastDenied,
}

impl Which<'_> {
    /// What the line of its record holds.
    fn mark(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::LastDenied => "\"accessDenied\"",
        }
    }

    fn is(self, record: &Value) -> bool {
        match self {
            Self::Id(id) => text(record, "requestID") == Some(id),
            Self::LastDenied => record.pointer("/additionalEventData/accessDenied").is_some(),
        }
    }
}

/// A request, and where it was made.
struct Question {
    input: ExplainInput,
    account: Option<AccountId>,
    region: Option<Region>,
}

/// Explains it.
pub(crate) async fn run(app: &App, asked: Asked<'_>) -> Result<(), Failure> {
    let mut made = None;
    let Question { input, account, region } = match asked {
        Asked::Supposed { principal, action, key, context, context_keys } => Question {
            input: ExplainInput {
                principal: arn_of(app, principal).await?,
                action: action_of(action)?,
                key: key.map(ToOwned::to_owned),
                encryption_context: pairs(context)?,
                context_keys: several(context_keys)?,
                ..ExplainInput::default()
            },
            account: None,
            region: None,
        },
        Asked::Recorded { which, log } => {
            let default = app.place()?.directory.join(names::AUDIT_LOG);
            let record = find(log.unwrap_or(&default), which)?;
            made = Some(Made::of(&record));
            question(&record)?
        }
    };
    let mut place = app.place()?.with_region(app.common.region.as_deref())?;
    place.account = account.or(place.account);
    place.region = region.or(place.region);
    let (account, region) = (place.account, place.region.clone());
    let body = serde_json::to_value(&input)
        .map_err(|error| Failure::usage(format!("the question can't be written: {error}")))?;
    let mut explained = app
        .local_at(place)?
        .administer(
            AdminRequest { name: "ExplainPolicy", effect: Effect::Reads, input: body },
            async |engine| {
                let caller = engine.local_caller(account, region.clone(), Via::Embedded).await?;
                engine.explain(&caller, &input).await
            },
            Some,
        )
        .await
        .map_err(|error| unanswerable(error, made.is_some()))?;
    let mut text = made.as_ref().map(told::made).unwrap_or_default();
    text.push_str(&told::explained(&explained, &input.encryption_context, &input.context_keys)?);
    if made.as_ref().is_some_and(|made| made.is_session) {
        text.push_str("\n\nThe session's own policies and tags are not in the log, and had no say here.");
    }
    if let Some(made) = &made {
        explained["Request"] = made.as_json();
    }
    app.say.result(&text, &explained)
}

/// What is said where there is no verdict. Of what was asked in a request, some may have gone since.
fn unanswerable(error: KmsError, was_made: bool) -> Failure {
    let KmsError::Answered { error: answer, .. } = &error else { return error.into() };
    let gone = |what: &str| answer.message.strip_prefix(what)?.split('\'').next();
    match answer.code {
        ErrorCode::ValidationException => Failure::usage(answer.message.clone()),
        ErrorCode::NotFoundException if was_made => match (gone("Principal '"), gone("Role '")) {
            (Some(arn), _) => Failure::usage(format!(
                "the principal of that request is no longer in this store: {}",
                one_line(arn)
            )),
            (_, Some(arn)) => {
                Failure::usage(format!("the role of that request is not in this store: {}", one_line(arn)))
            }
            _ => error.into(),
        },
        _ => error.into(),
    }
}

/// The ARN of a principal that may be named as a user of the account.
async fn arn_of(app: &App, principal: &str) -> Result<String, Failure> {
    if principal.starts_with("arn:") {
        return Ok(principal.to_owned());
    }
    let input = GetUserInput { user_name: Some(principal.to_owned()) };
    let found = app.local()?.as_caller(async |caller| caller.call::<bulla_api::GetUser>(&input).await).await;
    let found = found.map_err(|error: bulla_api::KmsError| {
        Failure::from(error).although("--principal takes an ARN, or the name of a user")
    })?;
    Ok(found.user.arn)
}

/// A request that was made.
struct Made {
    request_id: String,
    time: String,
    operation: String,
    /// Code and message.
    error: Option<(String, String)>,
    /// Whether temporary credentials made it.
    is_session: bool,
}

impl Made {
    fn of(record: &Value) -> Self {
        let of = |member: &str| text(record, member).unwrap_or_default().to_owned();
        let code = text(record, "errorCode");
        Self {
            request_id: of("requestID"),
            time: of("eventTime"),
            operation: of("eventName"),
            error: code.map(|code| (code.to_owned(), of("errorMessage"))),
            is_session: record.pointer("/userIdentity/sessionContext").is_some(),
        }
    }

    fn as_json(&self) -> Value {
        serde_json::json!({
            "RequestId": self.request_id,
            "EventTime": self.time,
            "EventName": self.operation,
            "ErrorCode": self.error.as_ref().map(|(code, _)| code),
            "ErrorMessage": self.error.as_ref().map(|(_, message)| message),
        })
    }
}

/// `Decrypt` is meant as `kms:Decrypt`.
/// An action, one of KMS where no service is named.
fn action_of(action: &str) -> Result<String, Failure> {
    let action = if action.contains(':') { action.to_owned() } else { format!("kms:{action}") };
    match bulla_policy::misnamed(&action) {
        Some(wrong) => Err(Failure::usage(format!("--action {}", one_line(&wrong)))),
        None => Ok(action),
    }
}

fn pairs(context: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for pair in context {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("-c {}: must be NAME=VALUE", one_line(pair))))?;
        if pairs.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("-c {}: given twice", one_line(name))));
        }
    }
    Ok(pairs)
}

/// Condition keys, each with all its values.
fn several(given: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut several: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in given {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "--context-key {}: must be KEY=VALUE, as aws:SourceIp=192.0.2.7",
                one_line(pair)
            ))
        })?;
        several.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    Ok(several)
}

/// The record of a request.
fn find(log: &Path, which: Which<'_>) -> Result<Value, Failure> {
    let shown = log.display().to_string();
    let unreadable = |error: std::io::Error| Failure::io("cannot read audit log", &shown, &error);
    let mut from = BufReader::new(std::fs::File::open(log).map_err(unreadable)?);
    let mut line = Vec::new();
    let mut found = None;
    while from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        let is_near = std::str::from_utf8(&line).is_ok_and(|line| line.contains(which.mark()));
        if let Some(record) = is_near.then(|| serde_json::from_slice::<Value>(&line).ok()).flatten()
            && which.is(&record)
        {
            found = Some(record);
            if matches!(which, Which::Id(_)) {
                break;
            }
        }
        line.clear();
    }
    let missing = match which {
        Which::Id(id) => format!("no request {}; check the id, or", one_line(id)),
        Which::LastDenied => "no request that policies denied;".to_owned(),
    };
    found.ok_or_else(|| {
        let message = format!("audit log `{shown}` has {missing} name another log with --audit-log");
        Failure::new(Exit::Failed, message)
    })
}

/// What a record says of the request.
fn question(record: &Value) -> Result<Question, Failure> {
    let lacks = |what: &str| Failure::usage(format!("the record has no {what}: policies were not asked"));
    let identity = record.get("userIdentity").unwrap_or(&Value::Null);
    let principal = text(identity, "arn").ok_or_else(|| lacks("known caller"))?;
    let denied = record.pointer("/additionalEventData/accessDenied");
    let service = text(record, "eventSource").and_then(|source| source.split('.').next()).unwrap_or("kms");
    let named = format!("{service}:{}", text(record, "eventName").unwrap_or_default());
    let action = denied.and_then(|denied| text(denied, "action")).unwrap_or(match named.as_str() {
        // Two actions; the other is asked by the same command with --action.
        "kms:ReEncrypt" => "kms:ReEncryptFrom",
        other => other,
    });
    let parameters = record.get("requestParameters").unwrap_or(&Value::Null);
    let touched = record.pointer("/resources/0/ARN").and_then(Value::as_str);
    let resource = denied.and_then(|denied| text(denied, "resource")).or(touched);
    let member = match action {
        "kms:ReEncryptFrom" => "sourceKeyId",
        "kms:ReEncryptTo" => "destinationKeyId",
        _ => "keyId",
    };
    // By an alias, where the request used one: policies can ask for it.
    let by_alias = text(parameters, member).filter(|key| key.contains("alias/"));
    let is_key = resource.is_some_and(|resource| resource.contains(":key/"));
    let source = text(record, "sourceIPAddress").unwrap_or_default();
    let is_local = matches!(source, "embedded" | "admin-socket");
    let input = ExplainInput {
        principal: principal.to_owned(),
        action: action.to_owned(),
        key: is_key.then(|| by_alias.or(resource).map(ToOwned::to_owned)).flatten(),
        resource: resource.filter(|_| !is_key).map(ToOwned::to_owned),
        encryption_context: context(parameters, action),
        parameters: said(parameters, action),
        context_keys: BTreeMap::new(),
        connection: Some(ExplainConnection {
            source_ip: (!is_local).then(|| source.to_owned()),
            user_agent: text(record, "userAgent").unwrap_or_default().to_owned(),
            secure: is_local || record.get("tlsDetails").is_some(),
        }),
        time_ms: text(record, "eventTime")
            .and_then(|time| time.parse::<jiff::Timestamp>().ok())
            .map(|time| time.as_millisecond()),
    };
    Ok(Question {
        input,
        account: text(identity, "accountId").and_then(|account| account.parse().ok()),
        region: text(record, "awsRegion").and_then(|region| region.parse().ok()),
    })
}

/// The encryption context that the demand saw: of a grant, that of its constraints.
fn context(parameters: &Value, action: &str) -> BTreeMap<String, String> {
    let places: &[&str] = match action {
        "kms:ReEncryptFrom" => &["/sourceEncryptionContext"],
        "kms:ReEncryptTo" => &["/destinationEncryptionContext"],
        "kms:CreateGrant" => {
            &["/constraints/encryptionContextEquals", "/constraints/encryptionContextSubset"]
        }
        _ => &["/encryptionContext"],
    };
    let found = places.iter().find_map(|place| parameters.pointer(place)?.as_object());
    let pairs = found.into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Members of the request as condition keys call them.
fn said(parameters: &Value, action: &str) -> BTreeMap<String, Vec<String>> {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let mut said = tags(parameters);
    for (name, value) in parameters.as_object().into_iter().flatten() {
        let values = match value {
            Value::Array(items) => items.iter().map(word).collect(),
            value => word(value).map(|value| vec![value]),
        };
        let name = match (action, name.as_str()) {
            ("kms:CreateGrant", "operations") => "grantOperations",
            ("kms:ReEncryptFrom", "sourceEncryptionAlgorithm")
            | ("kms:ReEncryptTo", "destinationEncryptionAlgorithm") => "encryptionAlgorithm",
            (_, "pendingWindowInDays") => "scheduleKeyDeletionPendingWindowInDays",
            (_, "keyPairSpec") => "dataKeyPairSpec",
            (_, name) => name,
        };
        if let Some(values) = values {
            said.insert(name.to_owned(), values);
        }
    }
    said
}

/// What condition keys say of tags: `aws:TagKeys` and `aws:RequestTag/…`.
fn tags(parameters: &Value) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let list = |member: &str| parameters.get(member).and_then(Value::as_array).into_iter().flatten();
    for tag in list("tags") {
        let either = |member: &str, other: &str| text(tag, member).or_else(|| text(tag, other));
        if let (Some(key), Some(value)) = (either("key", "tagKey"), either("value", "tagValue")) {
            said.entry("aws:TagKeys".to_owned()).or_default().push(key.to_owned());
            // Compared without case.
            let name = format!("aws:RequestTag/{}", key.to_lowercase());
            said.entry(name).or_default().push(value.to_owned());
        }
    }
    for key in list("tagKeys").filter_map(Value::as_str) {
        said.entry("aws:TagKeys".to_owned()).or_default().push(key.to_owned());
    }
    said
}

fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member)?.as_str()
}
