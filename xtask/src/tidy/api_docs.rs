//! `docs/api.md`: every operation that AWS KMS has, and those of IAM and STS that there are, put together from the operation
//! table, AWS's API model, and what `support.toml` says beside them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use toml::Table;

use super::Finding;
use super::table::{self, Row};
use super::tree::Tree;

const PAGE: &str = "docs/api.md";
const MODEL: &str = "crates/api/model/kms.json";
const IAM_MODEL: &str = "crates/api/model/iam.json";
const STS_MODEL: &str = "crates/api/model/sts.json";
const SUPPORT: &str = "crates/api/model/support.toml";

/// The entry of `support.toml` that is of no one operation.
const EVERYWHERE: &str = "everywhere";

/// Shapes whose bounds are those of a name, or of what this service gave out: nobody plans with them.
const NAMES: &[&str] = &[
    "AccountIdType",
    "BackingKeyIdType",
    "CloudHsmClusterIdType",
    "CustomKeyStoreIdType",
    "GrantIdType",
    "GrantTokenType",
    "KeyIdType",
    "MarkerType",
    "PolicyNameType",
    "PrincipalIdType",
    "RegionType",
    "ResourceOwnersList",
    "ServicePrincipalType",
];

/// Shapes whose bounds the page tells once, with the members that have them.
const ONCE: &[(&str, &str)] = &[("GrantTokens", "GrantTokenList"), ("Limit", "LimitType")];

const HEAD: &str = "\
# The API

<!-- Made by `cargo xtask api-docs` from the operation table (crates/api/src/operation.rs), AWS's API model
     (crates/api/model/) and crates/api/model/support.toml. Change those. -->

The AWS KMS API, version 2014-11-01, over HTTP as AWS speaks it: JSON 1.1, `X-Amz-Target: TrentService.OPERATION`, Signature Version 4.
An operation that is not there yet, and a parameter that is not, is UnsupportedOperationException, never ignored. What a call did
and what it says is meant to be what AWS KMS does and says, errors included; where it isn't, this page says so, or it is a fault.
[errors.md](errors.md) has the errors that puzzle people.
";

/// Whether the page is what it would be made to be now.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    match render(tree) {
        Err(findings) => findings,
        Ok(page) if tree.text(PAGE) == Some(&page) => Vec::new(),
        Ok(_) => vec![Finding::new(PAGE, 0, "is not what the table and the model say: cargo xtask api-docs")],
    }
}

/// Makes the page anew.
pub(super) fn write(tree: &Tree, top: &Path) -> ExitCode {
    let page = match render(tree) {
        Ok(page) => page,
        Err(findings) => {
            for Finding { path, what, .. } in findings {
                eprintln!("{path}: {what}");
            }
            return ExitCode::FAILURE;
        }
    };
    match std::fs::write(top.join(PAGE), page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{PAGE}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn render(tree: &Tree) -> Result<String, Vec<Finding>> {
    let one = |finding| vec![finding];
    let rows = table::rows(tree).map_err(one)?;
    let model = json(tree, MODEL).map_err(one)?;
    let (iam, sts) = (json(tree, IAM_MODEL).map_err(one)?, json(tree, STS_MODEL).map_err(one)?);
    let support = Support::read(tree).map_err(one)?;
    let findings = support.unfit(&[&model, &iam, &sts]);
    if !findings.is_empty() {
        return Err(findings);
    }
    let served: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    let here = names(&model);
    let count = here.iter().filter(|name| served.contains(*name)).count();

    let mut page = format!("{HEAD}\n## Everywhere\n\n");
    for limit in once(&model).chain(support.texts(EVERYWHERE, "limits")) {
        page.push_str(&format!("- Limit: {limit}.\n"));
    }
    for difference in support.texts(EVERYWHERE, "differs") {
        page.push_str(&format!("- Differs: {difference}\n"));
    }
    page.push_str(&format!("\n## Operations\n\n{count} of {}.\n\n", here.len()));
    page.push_str("| operation | support | limits | where it differs from AWS |\n|---|---|---|---|\n");
    for name in here {
        let cells = if served.contains(name) {
            let limits: Vec<String> =
                bounds(&model, &support, name).chain(support.texts(name, "limits")).collect();
            format!(
                "yes | {} | {}",
                limits.join("; "),
                support.texts(name, "differs").collect::<Vec<_>>().join(" ")
            )
        } else {
            "not yet |  | ".to_owned()
        };
        page.push_str(&format!("| {name} | {cells} |\n"));
    }
    for (title, service, model) in [("AWS IAM", "Iam", &iam), ("AWS STS", "Sts", &sts)] {
        let (all, version) = (names(model), model["api_version"].as_str().unwrap_or_default());
        let rows: Vec<&Row<'_>> = rows.iter().filter(|row| row.service == service).collect();
        page.push_str(&format!(
            "\n## {title}\n\nVersion {version}, the Query protocol. {} of {} operations; the others are refused.\n\n",
            rows.len(),
            all.len()
        ));
        page.push_str("| operation | limits | where it differs from AWS |\n|---|---|---|\n");
        for Row { name, .. } in rows {
            let texts = |kind| support.texts(name, kind).collect::<Vec<_>>();
            let cells = format!("{} | {}", texts("limits").join("; "), texts("differs").join(" "));
            page.push_str(&format!("| {name} | {cells} |\n"));
        }
    }
    Ok(page)
}

fn json(tree: &Tree, path: &str) -> Result<Value, Finding> {
    let text = tree.text(path).ok_or_else(|| Finding::new(path, 0, "is not there"))?;
    serde_json::from_str(text).map_err(|error| Finding::new(path, error.line(), error.to_string()))
}

fn names(model: &Value) -> Vec<&str> {
    model["operations"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// Bounds of members that many operations have.
fn once(model: &Value) -> impl Iterator<Item = String> {
    ONCE.iter()
        .filter_map(|(member, shape)| Some(format!("`{member}`: {}", bound(&model["shapes"][*shape])?)))
}

/// Bounds of an operation's own members, as the model or, where that is wider, `support.toml` has them.
fn bounds(model: &Value, support: &Support, operation: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    if let Some(input) = model["operations"][operation]["input"].as_str() {
        walk(model, input, "", &mut found);
    }
    found.into_iter().map(move |(member, bound)| {
        let narrower =
            support.0.get(operation).and_then(|entry| entry.get("members")?.get(&member)?.as_str());
        format!("`{member}` {}", narrower.unwrap_or(&bound))
    })
}

fn walk(model: &Value, shape: &str, path: &str, found: &mut Vec<(String, String)>) {
    let told_elsewhere = |shape: &str| NAMES.contains(&shape) || ONCE.iter().any(|(_, once)| *once == shape);
    for pair in model["shapes"][shape]["members"].as_array().into_iter().flatten() {
        let (Some(member), Some(name)) = (pair[0].as_str(), pair[1].as_str()) else { continue };
        if told_elsewhere(name) {
            continue;
        }
        let path = format!("{path}{member}");
        let shape = &model["shapes"][name];
        match (shape["type"].as_str(), shape["member"].as_str()) {
            (Some("structure"), _) => walk(model, name, &format!("{path}."), found),
            (Some("list"), Some(of)) if model["shapes"][of]["type"] == "structure" => {
                walk(model, of, &format!("{path}."), found);
            }
            (Some("list"), Some(of)) if !told_elsewhere(of) => {
                found.extend(bound(&model["shapes"][of]).map(|bound| (path, format!("{bound} each"))));
            }
            _ => found.extend(bound(shape).map(|bound| (path, bound))),
        }
    }
}

/// What a shape with a greatest value or length may be.
fn bound(shape: &Value) -> Option<String> {
    let max = shape["max"].as_i64()?;
    let unit = match shape["type"].as_str()? {
        "string" => " characters",
        "blob" => " bytes",
        "list" => " entries",
        _ => "",
    };
    Some(match shape["min"].as_i64().unwrap_or(0) {
        0 => format!("at most {max}{unit}"),
        min if min == max => format!("{max}{unit}"),
        min => format!("{min} to {max}{unit}"),
    })
}

/// What `support.toml` says.
struct Support(Table);

impl Support {
    fn read(tree: &Tree) -> Result<Self, Finding> {
        let text = tree.text(SUPPORT).ok_or_else(|| Finding::new(SUPPORT, 0, "is not there"))?;
        text.parse().map(Self).map_err(|error: toml::de::Error| Finding::new(SUPPORT, 0, error.to_string()))
    }

    /// What it says of nothing that there is.
    fn unfit(&self, models: &[&Value]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut unfit = |what: String| findings.push(Finding::new(SUPPORT, 0, what));
        for (name, entry) in &self.0 {
            let model = models.iter().find(|model| names(model).contains(&name.as_str()));
            if name != EVERYWHERE && model.is_none() {
                unfit(format!("neither AWS KMS nor IAM nor STS has an operation {name}"));
            }
            let entry = entry.as_table();
            let kinds = ["limits", "members", "differs"];
            for kind in entry
                .into_iter()
                .flatten()
                .map(|(kind, _)| kind)
                .filter(|kind| !kinds.contains(&kind.as_str()))
            {
                unfit(format!("{name} has `{kind}`, which is not one of {}", kinds.join(", ")));
            }
            let part = |kind| entry.and_then(|entry| entry.get(kind)?.as_table()).into_iter().flatten();
            let mut bounded = Vec::new();
            if let Some(model) = model {
                let input = model["operations"][name.as_str()]["input"].as_str().unwrap_or_default();
                walk(model, input, "", &mut bounded);
            }
            for (member, _) in
                part("members").filter(|(member, _)| !bounded.iter().any(|(one, _)| one == *member))
            {
                unfit(format!("{name} has no member {member} with bounds"));
            }
        }
        findings
    }

    fn texts(&self, name: &str, kind: &str) -> impl Iterator<Item = String> {
        let entry = self.0.get(name).and_then(|entry| entry.get(kind)?.as_array()).into_iter().flatten();
        entry.filter_map(|text| text.as_str().map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: &str = r#"{"operations": {
        "Encrypt": {"input": "EncryptRequest"}, "Sign": {"input": "SignRequest"}, "Verify": {}
    }, "shapes": {
        "EncryptRequest": {"type": "structure", "members": [
            ["KeyId", "KeyIdType"], ["Plaintext", "PlaintextType"], ["Tags", "TagList"], ["Days", "DaysType"]
        ]},
        "SignRequest": {"type": "structure", "members": []},
        "KeyIdType": {"type": "string", "min": 1, "max": 2048},
        "PlaintextType": {"type": "blob", "min": 1, "max": 4096},
        "TagList": {"type": "list", "member": "Tag"},
        "Tag": {"type": "structure", "members": [["TagKey", "TagKeyType"]]},
        "TagKeyType": {"type": "string", "max": 256},
        "DaysType": {"type": "integer", "min": 1, "max": 365}
    }}"#;
    const IAM: &str = r#"{"operations": {"GetUser": {}}}"#;
    const STS: &str = r#"{"operations": {"AssumeRole": {}}}"#;
    const SAYS: &str = "[everywhere]\ndiffers = [\"Ours.\"]\n[Encrypt]\nlimits = [\"5 a day\"]\nmembers.Days = \"7 to 30\"\n\
                        differs = [\"No signature.\"]\n[Verify]\ndiffers = [\"Never shown.\"]\n";

    fn page(rows: &[(&str, &str)], support: &str) -> Result<String, Vec<Finding>> {
        let (path, table) = table::sample(rows);
        let models = [(MODEL, SHAPES), (IAM_MODEL, IAM), (STS_MODEL, STS)];
        let files: Vec<_> = models.into_iter().chain([(path, table.as_str()), (SUPPORT, support)]).collect();
        render(&Tree::sample(&files))
    }

    #[test]
    fn an_operation_is_told_with_its_bounds_and_differences() {
        let found = page(&[("Encrypt", "encrypt")], SAYS).unwrap_or_default();
        let row = "| Encrypt | yes | `Plaintext` 1 to 4096 bytes; `Tags.TagKey` at most 256 characters; `Days` 7 to 30; \
                   5 a day | No signature. |\n";
        assert!(found.contains(row), "{found}");
        assert!(found.contains("| Verify | not yet |  |  |\n") && !found.contains("Never shown"), "{found}");
        assert!(
            found.contains("1 of 3.") && found.contains("- Differs: Ours.") && found.contains("## AWS STS")
        );
    }

    #[test]
    fn a_page_that_is_old_is_found() {
        let (path, table) = table::sample(&[("Encrypt", "encrypt")]);
        let new = page(&[("Encrypt", "encrypt")], SAYS).unwrap_or_default();
        let files = |page| {
            let models = [(MODEL, SHAPES), (IAM_MODEL, IAM), (STS_MODEL, STS)];
            models
                .into_iter()
                .chain([(path, table.as_str()), (SUPPORT, SAYS), (PAGE, page)])
                .collect::<Vec<_>>()
        };
        assert!(check(&Tree::sample(&files(&new))).is_empty());
        assert_eq!(check(&Tree::sample(&files("old"))).len(), 1);
    }

    #[test]
    fn what_is_said_of_nothing_is_found() {
        for wrong in [
            "[Encript]\nlimits = []\n",
            "[Encrypt]\nlimit = []\n",
            "[Encrypt]\nmembers.Day = \"7\"\n",
            "[Encrypt",
        ] {
            assert_eq!(
                page(&[("Encrypt", "encrypt")], wrong).map_err(|found| found.len()),
                Err(1),
                "{wrong}"
            );
        }
    }
}
