//! Turns the trimmed API models into static tables, so that nothing is parsed at run time.
//!
//! In: `model/kms.json`, `model/iam.json`, `model/sts.json` (made by `model/trim.py`), `model/observed.json` (where
//! the service itself answers otherwise than its published model says) and `model/ours.json` (what no service of AWS has).
//! Out: `model.rs` in `OUT_DIR`, included by `src/model.rs`, which has the types.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken model must stop the build"
)]
#![allow(clippy::print_stdout, reason = "so a build script speaks to cargo")]

mod pattern;

use serde_json::Value;
use std::fmt::Write as _;

fn main() {
    let corrections = Corrections { observed: read("observed"), ours: read("ours") };
    let mut out = String::new();
    for service in ["kms", "iam", "sts"] {
        let model = read(service);
        for (name, shape) in model["shapes"].as_object().unwrap() {
            if shape.get("exception").is_none() {
                write_shape(service, name, shape, &corrections, &mut out);
            }
        }
        write_operations(service, &model, &mut out);
        write_errors(service, &model, &mut out);
    }
    let directory = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{directory}/model.rs"), out).unwrap();
}

/// What the published models don't have.
struct Corrections {
    observed: Value,
    ours: Value,
}

fn read(name: &str) -> Value {
    let path = format!("model/{name}.json");
    println!("cargo::rerun-if-changed={path}");
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn write_shape(service: &str, name: &str, shape: &Value, corrections: &Corrections, out: &mut String) {
    let Corrections { observed, ours } = corrections;
    let kind = match shape["type"].as_str().unwrap() {
        "structure" => {
            let required = strings(&shape["required"]);
            let conditions = &observed["required_unless"][name];
            let mut members = String::new();
            let added = ours["members"][name].as_array().into_iter().flatten();
            for pair in shape["members"].as_array().unwrap().iter().chain(added) {
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
        pattern.map_or_else(|| "None".to_owned(), |text| format!("Some({})", pattern::compiled(text))),
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
        let errors: Vec<&str> = errors.iter().map(|error| code(error, &model["shapes"][*error])).collect();
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
    writeln!(out, "#[cfg(test)]\npub(super) static {}_ERRORS: &[(&str, u16)] = &[", service.to_uppercase())
        .unwrap();
    for (name, shape) in model["shapes"].as_object().unwrap() {
        if shape.get("exception").is_some() {
            // JSON services have only the two.
            let json = if shape["fault"] == true { 500 } else { 400 };
            let status = shape["status"].as_u64().unwrap_or(json);
            writeln!(out, "    ({:?}, {status}),", code(name, shape)).unwrap();
        }
    }
    writeln!(out, "];").unwrap();
}

/// What an error is called on the wire.
fn code<'m>(name: &'m str, shape: &'m Value) -> &'m str {
    shape["code"].as_str().unwrap_or(name)
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
