//! An explanation, for whoever reads it on a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Made;
use crate::exit::{Exit, Failure, one_line};

/// Where nobody says how wide the terminal is.
const COLUMNS: usize = 80;
/// Longer lines are hard to read, shorter ones no better than broken words.
const COLUMNS_MIN: usize = 60;
const COLUMNS_MAX: usize = 120;

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
}

#[derive(Deserialize)]
struct Condition {
    operator: String,
    key: String,
    wanted: Vec<String>,
    present: Option<Vec<String>>,
    holds: bool,
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
        None => format!("{} was allowed", made.operation),
    };
    page.paragraph(&mut out, "", &format!("At {} {what}", made.time));
    if let Some((_, message)) = &made.error {
        page.paragraph(&mut out, "  ", message);
    }
    out.push_str("\nBy the policies and grants as they are now:\n\n");
    out
}

/// The verdict, what was asked, why, statement by statement, and what would change it.
pub(super) fn explained(explained: &Value, context: &BTreeMap<String, String>) -> Result<String, Failure> {
    let explained = Explained::deserialize(explained).map_err(|_| {
        Failure::new(Exit::Unreachable, "the answer explains nothing; is the server of this version?")
    })?;
    let page = Page::new();
    let mut out = String::new();
    page.verdict(&mut out, &explained);
    page.field(&mut out, "who", &explained.principal);
    page.field(&mut out, "on", &explained.resource);
    for (name, value) in context {
        page.field(&mut out, "with", &format!("{name}={value}"));
    }
    out.push('\n');
    page.paragraph(&mut out, "", &sentence(&explained.because));
    let mut policy = "";
    for statement in &explained.statements {
        if statement.policy != policy {
            policy = &statement.policy;
            let _ = writeln!(out, "\n{}", page.bold(&one_line(policy)));
        }
        page.statement(&mut out, statement, &explained.action);
    }
    if !explained.grants.is_empty() {
        let _ = writeln!(out, "\n{}", page.bold("grants to this principal"));
    }
    for grant in &explained.grants {
        let mark = if grant.allows { "yes" } else { "no " };
        page.hanging(&mut out, &format!("  {mark}  "), &format!("{}: {}", grant.grant_id, grant.operations.join(", ")));
        if let Some(lacks) = &grant.lacks {
            page.hanging(&mut out, "       ", lacks);
        }
    }
    if !explained.changes.is_empty() {
        let _ = writeln!(out, "\n{}", page.bold("What would allow it"));
    }
    for change in &explained.changes {
        page.change(&mut out, change);
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

/// Where it is written to: how wide, and whether with colours.
struct Page {
    columns: usize,
    colours: bool,
}

impl Page {
    fn new() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let width = is_terminal.then(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok()).flatten();
        let columns = width.map_or(COLUMNS, |size| usize::from(size.ws_col));
        Self {
            columns: columns.clamp(COLUMNS_MIN, COLUMNS_MAX),
            // Source: no-color.org.
            colours: is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    fn coloured(&self, text: &str, code: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.coloured(text, "1")
    }

    fn verdict(&self, out: &mut String, explained: &Explained) {
        let (word, code) = match explained.verdict.as_str() {
            "Allowed" => ("ALLOWED", "1;32"),
            _ => ("DENIED", "1;31"),
        };
        let _ = writeln!(out, "{} {}", self.coloured(word, code), self.bold(&one_line(&explained.action)));
    }

    fn field(&self, out: &mut String, name: &str, value: &str) {
        self.hanging(out, &format!("  {name:<5} "), value);
    }

    fn statement(&self, out: &mut String, statement: &Statement, action: &str) {
        let name = statement.sid.as_deref().unwrap_or("(no Sid)");
        let mark = match (statement.applies, statement.effect.as_str()) {
            (true, "Allow") => self.coloured("yes", "32"),
            (true, _) => self.coloured("NO ", "31"),
            (false, _) => " - ".to_owned(),
        };
        let says = match (statement.applies, statement.effect.as_str(), statement.principal.as_deref()) {
            (true, "Allow", Some("account")) => "allows it, by the account: its own policies have to as well",
            (true, "Allow", Some("identity")) => "allows it, by the identity behind the session",
            (true, "Allow", _) => "allows it",
            (true, ..) => "denies it, whatever else allows it",
            (false, "Allow", _) => "would allow, and doesn't apply:",
            (false, ..) => "would deny, and doesn't apply:",
        };
        let _ = writeln!(out, "  {mark}  {}. {} {says}", statement.number, one_line(name));
        if statement.applies {
            return;
        }
        if statement.principal.is_none() {
            self.hanging(out, "         ", "it names other principals");
        }
        if !statement.action {
            self.hanging(out, "         ", &format!("it is about other actions than {action}"));
        }
        if !statement.resource {
            self.hanging(out, "         ", "it is about other resources");
        }
        for condition in statement.conditions.iter().filter(|condition| !condition.holds) {
            self.hanging(out, "         ", &condition.told());
        }
    }

    /// A change: in words, with a statement that is shown as one would write it.
    fn change(&self, out: &mut String, change: &str) {
        let (before, statement, after) = parts(change);
        self.hanging(out, "  * ", before);
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
            self.hanging(out, "    ", after);
        }
    }

    fn paragraph(&self, out: &mut String, indent: &str, text: &str) {
        self.hanging(out, indent, text);
    }

    /// Words, broken where the line ends; lines after the first are indented as far as the first one's text.
    fn hanging(&self, out: &mut String, first: &str, text: &str) {
        let indent = " ".repeat(first.chars().count());
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in one_line(text).split_whitespace() {
            let width = line.chars().count() + usize::from(!is_empty) + word.chars().count();
            if width > self.columns && !is_empty {
                let _ = writeln!(out, "{}", line.trim_end());
                line.clone_from(&indent);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        let _ = writeln!(out, "{}", line.trim_end());
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
        format!("{} {} {}: {present}", self.key, self.operator, list(&self.wanted))
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

    const PAGE: Page = Page { columns: 60, colours: false };

    #[test]
    fn words_are_broken_and_arns_are_not() {
        let mut out = String::new();
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        PAGE.hanging(&mut out, "  on  ", &format!("one two {arn} and {}", "many more words ".repeat(4)));
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], "  on  one two");
        assert_eq!(lines[1], format!("      {arn}"));
        assert_eq!(lines[2], "      and many more words many more words many more words");
        assert_eq!(lines[3], "      many more words");
    }

    #[test]
    fn a_statement_is_found_in_a_text() {
        let (before, statement, after) = parts(r#"add to it: {"a": "}"}; or not"#);
        assert_eq!((before, after), ("add to it:", "or not"));
        assert_eq!(statement.unwrap()["a"], "}");
        assert_eq!(parts("remove statement 1"), ("remove statement 1", None, ""));
        assert_eq!(parts("a { that begins nothing"), ("a { that begins nothing", None, ""));
    }

    #[test]
    fn what_a_policy_holds_can_not_drive_a_terminal() {
        let condition = Condition {
            operator: "StringEquals".to_owned(),
            key: "kms:EncryptionContext:a".to_owned(),
            wanted: vec!["\u{1b}[31mred\n".to_owned()],
            present: None,
            holds: false,
        };
        let mut out = String::new();
        PAGE.hanging(&mut out, "", &condition.told());
        assert!(!out.contains('\u{1b}'), "{out:?}");
        assert!(out.contains("the request has none"), "{out}");
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
