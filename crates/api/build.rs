//! Turns the trimmed API models into static tables, so that nothing is parsed at run time.
//!
//! In: `model/kms.json`, `model/sts.json` (made by `model/trim.py`) and `model/observed.json` (where
//! the service itself answers otherwise than its published model says). Out: `model.rs` in `OUT_DIR`,
//! included by `src/model.rs`, which has the types.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken model must stop the build"
)]

use serde_json::Value;
use std::fmt::Write as _;

fn main() {
    let observed = read("observed");
    let mut out = String::new();
    for service in ["kms", "sts"] {
        let model = read(service);
        for (name, shape) in model["shapes"].as_object().unwrap() {
            if shape.get("exception").is_none() {
                write_shape(service, name, shape, &observed, &mut out);
            }
        }
        write_operations(service, &model, &mut out);
        write_errors(service, &model, &mut out);
    }
    let directory = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{directory}/model.rs"), out).unwrap();
}

fn read(name: &str) -> Value {
    let path = format!("model/{name}.json");
    println!("cargo::rerun-if-changed={path}");
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn write_shape(service: &str, name: &str, shape: &Value, observed: &Value, out: &mut String) {
    let kind = match shape["type"].as_str().unwrap() {
        "structure" => {
            let required = strings(&shape["required"]);
            let conditions = &observed["required_unless"][name];
            let mut members = String::new();
            for pair in shape["members"].as_array().unwrap() {
                let (member, target) = (pair[0].as_str().unwrap(), &pair[1]);
                let unless = conditions[member].as_str();
                let demand = match unless {
                    Some(other) => format!("Demand::Unless({other:?})"),
                    None if required.contains(&member) => "Demand::Required".to_owned(),
                    None => "Demand::Optional".to_owned(),
                };
                write!(
                    members,
                    "Member {{ name: {member:?}, path: {:?}, shape: &{}, demand: {demand} }}, ",
                    lower_camel(member),
                    constant(service, target.as_str().unwrap()),
                )
                .unwrap();
            }
            format!("Kind::Structure(&[{members}])")
        }
        "list" => format!("Kind::List(&{})", constant(service, shape["member"].as_str().unwrap())),
        "map" => format!("Kind::Map(&{})", constant(service, shape["value"].as_str().unwrap())),
        "string" => "Kind::Text".to_owned(),
        "blob" => "Kind::Blob".to_owned(),
        "integer" => "Kind::Integer".to_owned(),
        "boolean" => "Kind::Boolean".to_owned(),
        "timestamp" => "Kind::Timestamp".to_owned(),
        other => panic!("{name}: unknown type {other}"),
    };
    let pattern = observed["patterns"][name].as_str().or_else(|| shape["pattern"].as_str());
    writeln!(
        out,
        "static {}: Shape = Shape {{ name: {name:?}, kind: {kind}, sensitive: {}, min: {:?}, max: {:?}, \
         pattern: {}, values: &{:?}, values_shown: &{:?} }};",
        constant(service, name),
        shape["sensitive"].as_bool().unwrap_or_default(),
        shape["min"].as_i64(),
        shape["max"].as_i64(),
        pattern.map_or_else(|| "None".to_owned(), |text| format!("Some({})", pattern_of(text))),
        strings(&shape["enum"]),
        match strings(&observed["enums_shown"][name]) {
            shown if shown.is_empty() => strings(&shape["enum"]),
            shown => shown,
        },
    )
    .unwrap();
}

fn write_operations(service: &str, model: &Value, out: &mut String) {
    writeln!(out, "pub(super) static {}_OPERATIONS: &[OperationModel] = &[", service.to_uppercase()).unwrap();
    for (name, operation) in model["operations"].as_object().unwrap() {
        let part = |part: &str| match operation[part].as_str() {
            Some(shape) => format!("Some(&{})", constant(service, shape)),
            None => "None".to_owned(),
        };
        let errors = strings(&operation["errors"]);
        writeln!(
            out,
            "    OperationModel {{ name: {name:?}, input: {}, output: {}, errors: &{errors:?} }},",
            part("input"),
            part("output")
        )
        .unwrap();
    }
    writeln!(out, "];").unwrap();
}

fn write_errors(service: &str, model: &Value, out: &mut String) {
    writeln!(out, "#[cfg(test)]\npub(super) static {}_ERRORS: &[(&str, bool)] = &[", service.to_uppercase())
        .unwrap();
    for (name, shape) in model["shapes"].as_object().unwrap() {
        if shape.get("exception").is_some() {
            writeln!(out, "    ({name:?}, {}),", shape["fault"].as_bool().unwrap_or_default()).unwrap();
        }
    }
    writeln!(out, "];").unwrap();
}

/// A pattern as ranges of UTF-16 code units, where it is one class of characters, repeated; the few
/// others in the model belong to operations that this version doesn't have.
fn pattern_of(text: &str) -> String {
    let ranges = if text == r"^\p{ASCII}+$" {
        Some((vec![(0, 0x7f)], true))
    } else {
        let inner = text.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')).unwrap_or(text);
        let (class, some) = match (inner.strip_suffix("]+"), inner.strip_suffix("]*")) {
            (Some(class), _) => (class, true),
            (_, Some(class)) => (class, false),
            _ => ("", false),
        };
        class.strip_prefix('[').and_then(class_ranges).map(|ranges| (ranges, some))
    };
    match ranges {
        Some((ranges, some)) => {
            format!("Pattern {{ text: {text:?}, class: Some(&{ranges:?}), some: {some} }}")
        }
        None => format!("Pattern {{ text: {text:?}, class: None, some: false }}"),
    }
}

/// The inside of a class. `None` for one that has parts unknown here.
fn class_ranges(class: &str) -> Option<Vec<(u16, u16)>> {
    let mut units: Vec<(u16, bool)> = Vec::new(); // (character, whether it is a range's dash)
    let mut ranges = Vec::new();
    let mut rest = class;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\\' => {
                let kind = rest.chars().next()?;
                rest = &rest[kind.len_utf8()..];
                match kind {
                    'u' => {
                        units.push((u16::from_str_radix(rest.get(..4)?, 16).ok()?, false));
                        rest = &rest[4..];
                    }
                    'w' => ranges.extend([(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (b'_', b'_')].map(wide)),
                    's' => ranges.extend([(b'\t', b'\r'), (b' ', b' ')].map(wide)),
                    'd' => ranges.push(wide((b'0', b'9'))),
                    '/' | '-' | '.' => units.push((kind as u16, false)),
                    _ => return None,
                }
            }
            '[' | ']' | '&' | '^' => return None,
            _ => units.push((u16::try_from(u32::from(first)).ok()?, first == '-')),
        }
    }
    let mut at = 0;
    while at < units.len() {
        let (first, _) = units[at];
        match (units.get(at + 1), units.get(at + 2)) {
            // A dash after a range, or at the end, is a dash.
            (Some((_, true)), Some((last, false))) if first <= *last && !units[at].1 => {
                ranges.push((first, *last));
                at += 3;
            }
            _ => {
                ranges.push((first, first));
                at += 1;
            }
        }
    }
    Some(ranges)
}

fn wide((first, last): (u8, u8)) -> (u16, u16) {
    (first.into(), last.into())
}

/// `keySpec` of `KeySpec`.
fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// The name of a shape's static: `KMS_KEY_ID_TYPE` would need word splitting; names are unique as is.
fn constant(service: &str, shape: &str) -> String {
    format!("{}_{}", service.to_uppercase(), shape.to_uppercase())
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|all| all.iter().map(|text| text.as_str().unwrap()).collect()).unwrap_or_default()
}
