//! `bulla policy`. Cases hold all there is, and need no store; what a store would decide, it explains itself.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use bulla_policy::{Case, Unreadable, Verdict};
use serde_json::{Value, json};

use crate::app::{App, shown};
use crate::cli::{ExplainPolicy, Policy};
use crate::commands::explain::{Asked, Which};
use crate::exit::{Exit, Failure, one_line};
use crate::output::{Source, standard_output};
use crate::say::Say;
use crate::work;

/// Most bytes of a line. A dozen policies of the greatest length fit.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Most bytes of a file of cases that is not read line by line.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Does what the command says.
pub(crate) async fn run(app: &App, command: &Policy) -> Result<(), Failure> {
    let say = app.say;
    match command {
        Policy::Test { input } => work::each(input, async |file: &PathBuf| test(say, file)).await,
        Policy::Explain(ExplainPolicy { case: Some(case), .. }) => explain(say, case),
        Policy::Explain(asked) => online(app, asked).await,
        Policy::Evaluate { jsonl: true, input } => converse(input),
        Policy::Evaluate { jsonl: false, input } => evaluate(say, input),
    }
}

/// Explains what the store would decide, or did.
async fn online(app: &App, asked: &ExplainPolicy) -> Result<(), Failure> {
    let ExplainPolicy { principal, action, key, context, context_key, .. } = asked;
    let ExplainPolicy { request_id, last_denied, audit_log, .. } = asked;
    let asked = match (principal, action, request_id) {
        (Some(principal), Some(action), _) => {
            Asked::Supposed { principal, action, key: key.as_deref(), context, context_keys: context_key }
        }
        (_, _, Some(id)) => Asked::Recorded { which: Which::Id(id), log: audit_log.as_ref() },
        _ if *last_denied => Asked::Recorded { which: Which::LastDenied, log: audit_log.as_ref() },
        _ => {
            return Err(Failure::usage(
                "nothing to explain is named; give --principal with --action, --request-id or --case",
            ));
        }
    };
    super::explain::run(app, asked).await
}

/// Decides every case of a file, and tells of those that come to something else than expected.
fn test(say: Say, file: &Path) -> Result<(), Failure> {
    let name = one_line(&shown(file, "standard input"));
    let (mut passed, mut failed, mut unreadable) = (0_usize, 0_usize, 0_usize);
    for (number, case) in read_cases(file)? {
        let case = case.and_then(|case| match case.expected {
            Some(expected) => Ok((case, expected)),
            None => Err(Unreadable { id: case.id, error: "it has no `expected` decision".to_owned() }),
        });
        match case {
            Err(error) => {
                unreadable += 1;
                tell_unreadable(say, &name, number, &error)?;
            }
            Ok((case, expected)) if case.decide().verdict == expected => passed += 1,
            Ok((case, expected)) => {
                failed += 1;
                tell_failed(say, &name, number, &case, expected)?;
            }
        }
    }
    let count = passed + failed + unreadable;
    if !say.quiet {
        let text = format!(
            "{name}: {count} cases, {passed} as expected, {failed} otherwise, {unreadable} unreadable"
        );
        say.result(
            &text,
            &json!({"event": "tested", "file": name, "cases": count, "passed": passed, "failed": failed, "unreadable": unreadable}),
        )?;
    }
    match (count, failed, unreadable) {
        (0, ..) => Err(Failure::usage(format!("`{name}` has no case; check the path"))),
        (_, 0, 0) => Ok(()),
        (_, failed, 0) => Err(Failure::new(
            Exit::Failed,
            format!(
                "`{name}`: {failed} of {count} cases are decided otherwise than expected; see above, or change them"
            ),
        )),
        (_, _, unreadable) => Err(Failure::usage(format!(
            "`{name}`: {unreadable} of {count} cases can't be read; see above, and docs/policy-tests.md"
        ))),
    }
}

fn tell_failed(say: Say, file: &str, line: usize, case: &Case, expected: Verdict) -> Result<(), Failure> {
    let explanation = case.explain();
    let title = format!("{file}:{line}: {} expected {expected:?}", called(&case.id));
    let text = format!("{}\n{}", one_line(&title), indented(&explanation.to_string()));
    say.result(
        text.trim_end(),
        &json!({"event": "failed", "file": file, "line": line, "id": case.id, "expected": expected, "explanation": explanation}),
    )
}

fn tell_unreadable(say: Say, file: &str, line: usize, unreadable: &Unreadable) -> Result<(), Failure> {
    let Unreadable { id, error } = unreadable;
    say.result(
        &one_line(&format!("{file}:{line}: {} {error}", called(id))),
        &json!({"event": "unreadable", "file": file, "line": line, "id": id, "error": error}),
    )
}

/// Tells of every case of a file how it is decided.
fn explain(say: Say, file: &Path) -> Result<(), Failure> {
    for case in read_readable(file)? {
        let explanation = case.explain();
        let text = format!("{}\n{}", one_line(&called(&case.id)), indented(&explanation.to_string()));
        say.result(text.trim_end(), &json!({"id": case.id, "explanation": explanation}))?;
    }
    Ok(())
}

/// Decides every case of a file.
fn evaluate(say: Say, file: &Path) -> Result<(), Failure> {
    for case in read_readable(file)? {
        let answer = case.answer();
        let mut text = format!("{} {:?}", called(answer.id), answer.decision);
        if !answer.reason.is_empty() {
            // Writing to a string doesn't fail.
            let _ = write!(text, " {}", answer.reason);
        }
        say.result(&one_line(&text), &json!(answer))?;
    }
    Ok(())
}

/// Answers each line before it reads the next.
fn converse(file: &Path) -> Result<(), Failure> {
    let source = Source::open(file)?;
    let mut lines = Lines { from: BufReader::new(source.file), line: Vec::new() };
    let mut out = standard_output()?;
    while let Some(line) = lines.next().map_err(|error| Failure::io("cannot read", &source.shown, &error))? {
        let mut answer = match line.and_then(Case::read) {
            Ok(case) => json!(case.answer()),
            Err(Unreadable { id, error }) => json!({"id": id, "error": error}),
        }
        .to_string();
        answer.push('\n');
        // One call, into no buffer: whoever waits for the answer gets it now.
        out.write_all(answer.as_bytes())
            .map_err(|error| Failure::io("cannot write", "standard output", &error))?;
    }
    Ok(())
}

/// Lines that are never longer than they may be.
struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The next line without its end; `None` after the last.
    fn next(&mut self) -> std::io::Result<Option<Result<&str, Unreadable>>> {
        self.line.clear();
        let max = LINE_BYTES_MAX as u64 + 1;
        if self.from.by_ref().take(max).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > LINE_BYTES_MAX {
            self.from.skip_until(b'\n')?;
            return Ok(Some(Err(unread(format!("the line is longer than {LINE_BYTES_MAX} bytes")))));
        }
        let text = std::str::from_utf8(&self.line);
        Ok(Some(text.map_err(|_| unread("the line is not UTF-8".to_owned()))))
    }
}

fn unread(error: String) -> Unreadable {
    Unreadable { id: Value::Null, error }
}

/// A case, or a line that is none, with its number in the file.
type Numbered = (usize, Result<Case, Unreadable>);

/// The cases of a file with the numbers of their lines: one a line, or the whole file is one.
fn read_cases(file: &Path) -> Result<Vec<Numbered>, Failure> {
    let source = Source::open(file)?;
    let mut text = String::new();
    let read = source.file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::io("cannot read", &source.shown, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "`{}` is longer than {FILE_BYTES_MAX} bytes; split it, or give it to policy evaluate --jsonl",
            source.shown
        )));
    }
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).peekable();
    let is_whole = |line: &str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    let several = lines.peek().is_some_and(|(_, first)| is_whole(first)) || !is_whole(&text);
    Ok(match lines.peek() {
        None => Vec::new(),
        Some((first, _)) if !several => vec![(*first, Case::read(&text))],
        Some(_) => lines.map(|(number, line)| (number, Case::read(line))).collect(),
    })
}

/// The same, where one that can't be read is an error.
fn read_readable(file: &Path) -> Result<Vec<Case>, Failure> {
    let name = shown(file, "standard input");
    let cases = read_cases(file)?.into_iter().map(|(number, case)| {
        case.map_err(|Unreadable { error, .. }| Failure::usage(format!("`{name}`, line {number}: {error}")))
    });
    let cases = cases.collect::<Result<Vec<_>, _>>()?;
    match cases.is_empty() {
        true => Err(Failure::usage(format!("`{name}` has no case; check the path"))),
        false => Ok(cases),
    }
}

/// A case's id before what is said of it.
fn called(id: &Value) -> String {
    match id {
        Value::Null => "a case without an id:".to_owned(),
        Value::String(id) => format!("{id}:"),
        id => format!("{id}:"),
    }
}

/// Lines that can't drive a terminal, a bit to the right.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}\n", one_line(line))).collect()
}
