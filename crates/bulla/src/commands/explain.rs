//! `bulla policy explain`, of a store: by the policies and grants that it has now.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bulla_api::{AccountId, Region};
use bulla_engine::{ExplainConnection, ExplainInput, Via};
use bulla_store::names;
use serde_json::Value;

use crate::app::App;
use crate::exit::{Exit, Failure, one_line};

/// Longest line of an audit log that is looked at; the log's own bound is lower.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// What is to be explained.
pub(crate) enum Asked<'a> {
    /// A request that somebody could make.
    Supposed { principal: &'a str, action: &'a str, key: Option<&'a str>, context: &'a [String] },
    /// One that was made, by its id in the audit log.
    Recorded { request_id: &'a str, log: Option<&'a PathBuf> },
}

/// A request, and where it was made.
struct Question {
    input: ExplainInput,
    account: Option<AccountId>,
    region: Option<Region>,
}

/// Explains it.
pub(crate) async fn run(app: &App, asked: Asked<'_>) -> Result<(), Failure> {
    let Question { input, account, region } = match asked {
        Asked::Supposed { principal, action, key, context } => Question {
            input: ExplainInput {
                principal: principal.to_owned(),
                action: with_service(action),
                key: key.map(ToOwned::to_owned),
                encryption_context: pairs(context)?,
                ..ExplainInput::default()
            },
            account: None,
            region: None,
        },
        Asked::Recorded { request_id, log } => {
            let default = app.place()?.directory.join(names::AUDIT_LOG);
            let log = log.unwrap_or(&default);
            question(&find(log, request_id)?)?
        }
    };
    let mut place = app.place()?.with_region(app.common.region.as_deref())?;
    place.account = account.or(place.account);
    place.region = region.or(place.region);
    let (account, region) = (place.account, place.region.clone());
    let body = serde_json::to_value(&input)
        .map_err(|error| Failure::usage(format!("the question can't be written: {error}")))?;
    let explained = app
        .local_at(place)?
        .administer(
            ("ExplainPolicy", body),
            async |engine| {
                let caller = engine.local_caller(account, region.clone(), Via::Embedded).await?;
                engine.explain(&caller, &input).await
            },
            Some,
        )
        .await?;
    let of = |member: &str| explained.get(member).and_then(Value::as_str).unwrap_or_default();
    let title = format!("{} asks {} on {}", of("Principal"), of("Action"), of("Resource"));
    let lines: Vec<String> = of("Text").lines().map(|line| format!("  {}", one_line(line))).collect();
    app.say.result(&format!("{}\n{}", one_line(&title), lines.join("\n")), &explained)
}

/// `Decrypt` is meant as `kms:Decrypt`.
fn with_service(action: &str) -> String {
    if action.contains(':') { action.to_owned() } else { format!("kms:{action}") }
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

/// The record of a request.
fn find(log: &Path, request_id: &str) -> Result<Value, Failure> {
    let shown = log.display().to_string();
    let unreadable = |error: std::io::Error| Failure::io("cannot read audit log", &shown, &error);
    let mut from = BufReader::new(std::fs::File::open(log).map_err(unreadable)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "audit log `{shown}` has no request {}; check the id, or name another log with --audit-log",
                    one_line(request_id)
                ),
            ));
        }
        let is_near = std::str::from_utf8(&line).is_ok_and(|line| line.contains(request_id));
        if let Some(record) = is_near.then(|| serde_json::from_slice::<Value>(&line).ok()).flatten()
            && text(&record, "requestID") == Some(request_id)
        {
            return Ok(record);
        }
    }
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
    let mut said = BTreeMap::new();
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

fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member)?.as_str()
}
