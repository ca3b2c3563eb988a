//! An explanation, for whoever reads it on a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Made;
use crate::exit::{Exit, Failure, one_line};
use crate::page::Page;

/// What the engine tells.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Explained {
    principal: String,
    action: String,
    resource: String,
    verdict: String,
    because: String,
    statements: Vec<Statement>,
    grants: Vec<Grant>,
    changes: Vec<String>,
}

#[derive(Deserialize)]
struct Statement {
    policy: String,
    number: usize,
    #[serde(default)]
    sid: Option<String>,
    effect: String,
    applies: bool,
    principal: Option<String>,
    action: bool,
    resource: bool,
    conditions: Vec<Condition>,
    #[serde(default)]
    remarks: Vec<String>,
}

#[derive(Deserialize)]
struct Condition {
    operator: String,
    key: String,
    wanted: Vec<String>,
    present: Option<Vec<String>>,
    holds: bool,
    #[serde(default)]
    lacks_quantifier: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Grant {
    grant_id: String,
    operations: Vec<String>,
    allows: bool,
    #[serde(default)]
    lacks: Option<String>,
}

/// What was asked, and how it was answered then.
pub(super) fn made(made: &Made) -> String {
    let page = Page::new();
    let mut out = String::new();
    let what = match &made.error {
        Some((code, _)) => format!("{} was answered with {code}:", made.operation),
        None => format!("{} was allowed.", made.operation),
    };
    page.hanging(&mut out, "", &format!("At {} {what}", made.time));
    if let Some((_, message)) = &made.error {
        page.hanging(&mut out, "  ", message);
    }
    out.push_str("\nBy the policies and grants as they are now:\n\n");
    out
}

/// The verdict, what was asked, why, statement by statement, and what would change it.
pub(super) fn explained(
    explained: &Value,
    context: &BTreeMap<String, String>,
    context_keys: &BTreeMap<String, Vec<String>>,
) -> Result<String, Failure> {
    let explained = Explained::deserialize(explained).map_err(|_| {
        Failure::new(Exit::Unreachable, "the answer explains nothing; is the server of this version?")
    })?;
    let page = Page::new();
    let mut out = String::new();
    let verdict = match explained.verdict.as_str() {
        "Allowed" => page.coloured("ALLOWED", "1;32"),
        _ => page.coloured("DENIED", "1;31"),
    };
    // Writing to a string doesn't fail.
    let _ = writeln!(out, "{verdict} {}", page.bold(&one_line(&explained.action)));
    page.hanging(&mut out, "  who   ", &explained.principal);
    page.hanging(&mut out, "  on    ", &explained.resource);
    for (name, value) in context {
        page.hanging(&mut out, "  with  ", &format!("{name}={value}"));
    }
    for (key, values) in context_keys {
        page.hanging(&mut out, "  and   ", &format!("{key}={}", values.join(", ")));
    }
    out.push('\n');
    page.hanging(&mut out, "", &sentence(&explained.because));
    let mut policy = "";
    for told in &explained.statements {
        if told.policy != policy {
            policy = &told.policy;
            let _ = writeln!(out, "\n{}", page.bold(&heading(policy, &explained.resource)));
        }
        statement(&page, &mut out, told, &explained.action);
        for remark in &told.remarks {
            page.hanging(&mut out, "          ", remark);
        }
    }
    if !explained.grants.is_empty() {
        let _ = writeln!(out, "\n{}", page.bold("grants to this principal"));
    }
    for grant in &explained.grants {
        let says = match &grant.lacks {
            None => format!("{}: {}", grant.operations.join(", "), grant.grant_id),
            Some(lacks) => format!("{}, but {lacks}: {}", grant.operations.join(", "), grant.grant_id),
        };
        page.hanging(&mut out, &mark(&page, grant.allows, "Allow"), &says);
    }
    if !explained.changes.is_empty() {
        let _ = writeln!(out, "\n{}", page.bold("What would allow it"));
    }
    // Alternatives to what stands before them begin with "or".
    if explained.changes.iter().filter(|change| !change.starts_with("or ")).count() > 1 {
        out.push_str("all of these are needed\n");
    }
    for told in &explained.changes {
        change(&page, &mut out, told);
    }
    out.truncate(out.trim_end().len());
    Ok(out)
}

/// A sentence, from words of AWS's messages.
fn sentence(because: &str) -> String {
    let text = because.strip_prefix("because ").unwrap_or(because);
    let text = match text.strip_prefix("with an explicit deny in ") {
        Some(policy) => format!("a statement in {policy} denies it"),
        None => text.to_owned(),
    };
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

/// AWS's name for a policy, with what it is where that isn't the usual one.
fn heading(policy: &str, resource: &str) -> String {
    match policy {
        "resource-based policy" if resource.contains(":key/") => {
            "key policy (the resource-based policy)".to_owned()
        }
        policy => one_line(policy),
    }
}

/// What stands before a line: whether it counts.
fn mark(page: &Page, applies: bool, effect: &str) -> String {
    match (applies, effect) {
        (true, "Allow") => format!("  {}  ", page.coloured("yes", "32")),
        (true, _) => format!("  {}   ", page.coloured("NO", "1;31")),
        (false, _) => "   -   ".to_owned(),
    }
}

fn statement(page: &Page, out: &mut String, told: &Statement, action: &str) {
    let name = match &told.sid {
        Some(sid) => format!("{}. {sid}", told.number),
        None => format!("{}. statement", told.number),
    };
    let first = mark(page, told.applies, &told.effect);
    if told.applies {
        let says = match (told.effect.as_str(), told.principal.as_deref()) {
            ("Allow", Some("account")) if !told.policy.starts_with("identity") => {
                "allows it to the account: the caller's own policies have to allow it too"
            }
            ("Allow", Some("identity")) => "allows it to the identity behind the session",
            ("Allow", _) => "allows it",
            _ => "denies it, whatever else allows it",
        };
        page.hanging(out, &first, &format!("{name} {says}"));
        return;
    }
    let others = [
        (told.principal.is_none(), "names other principals".to_owned()),
        (!told.action, format!("is about other actions than {action}")),
        (!told.resource, "is about other resources".to_owned()),
    ];
    let others: Vec<_> = others.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect();
    let verb = if told.effect == "Allow" { "would allow" } else { "would deny" };
    if !others.is_empty() {
        page.hanging(out, &first, &format!("{name} ({}) {}", told.effect, others.join(", and ")));
        return;
    }
    page.hanging(out, &first, &format!("{name} {verb} it, but for"));
    for condition in told.conditions.iter().filter(|condition| !condition.holds) {
        page.hanging(out, "          ", &condition.told());
    }
}

/// A change: in words, with a statement as one would write it.
fn change(page: &Page, out: &mut String, told: &str) {
    let (before, statement, after) = parts(told);
    page.hanging(out, "  * ", before);
    if let Some(statement) = statement {
        let pretty = match Written::deserialize(&statement) {
            Ok(written) => serde_json::to_string_pretty(&written),
            Err(_) => serde_json::to_string_pretty(&statement),
        };
        for line in pretty.unwrap_or_default().lines() {
            let _ = writeln!(out, "      {line}");
        }
    }
    if !after.is_empty() {
        page.hanging(out, "    ", after);
    }
}

impl Condition {
    fn told(&self) -> String {
        let list = |values: &[String]| {
            values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ")
        };
        let present = match &self.present {
            None => "the request has none".to_owned(),
            Some(present) if present.is_empty() => "the request has it without a value".to_owned(),
            Some(present) => format!("the request has {}", list(present)),
        };
        let advice = match self.lacks_quantifier {
            true => ": the key has several values: use ForAnyValue: or ForAllValues:",
            false => "",
        };
        format!("{} {} {}: {present}{advice}", self.key, self.operator, list(&self.wanted))
    }
}

/// A statement, its members in the order in which one reads them.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Written {
    effect: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Value>,
    action: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Value>,
}

/// The words before a JSON object in a text, the object, and the words after it.
fn parts(text: &str) -> (&str, Option<Value>, &str) {
    let Some(at) = text.find('{') else { return (text, None, "") };
    let (before, rest) = text.split_at(at);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            let after = rest.get(values.byte_offset()..).unwrap_or_default();
            (before.trim_end(), Some(value), after.trim_start_matches([';', ' ']))
        }
        _ => (text, None, ""),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_statement_is_found_in_a_text() {
        let (before, statement, after) = parts(r#"add to it: {"a": "}"}; or not"#);
        assert_eq!((before, after), ("add to it:", "or not"));
        assert_eq!(statement.unwrap()["a"], "}");
        assert_eq!(parts("remove statement 1"), ("remove statement 1", None, ""));
        assert_eq!(parts("a { that begins nothing"), ("a { that begins nothing", None, ""));
    }

    #[test]
    fn reasons_are_sentences() {
        assert_eq!(
            sentence("because no identity-based policy allows the kms:Decrypt action"),
            "No identity-based policy allows the kms:Decrypt action."
        );
        assert_eq!(
            sentence("with an explicit deny in a resource-based policy"),
            "A statement in a resource-based policy denies it."
        );
    }
}
