//! Which room may know which: in manifests, and in what sources name.

use super::Finding;
use super::tree::{Tree, lines_with};

/// A room, what it may depend on, and what its tests may use besides.
struct Arrows {
    room: &'static str,
    may: &'static [&'static str],
    tests_too: &'static [&'static str],
}

/// The only place of the arrows; `ARCHITECTURE.md` draws them. Lowest room first.
const ARROWS: &[Arrows] = &[
    Arrows { room: "api", may: &[], tests_too: &[] },
    Arrows { room: "crypto", may: &["api"], tests_too: &[] },
    Arrows { room: "sigv4", may: &["crypto", "api"], tests_too: &[] },
    Arrows { room: "policy", may: &["api"], tests_too: &[] },
    Arrows { room: "store", may: &["crypto", "api"], tests_too: &[] },
    Arrows { room: "audit", may: &["api", "crypto"], tests_too: &[] },
    Arrows { room: "engine", may: &["api", "crypto", "policy", "sigv4", "store", "audit"], tests_too: &[] },
    Arrows { room: "xks", may: &["api", "crypto", "sigv4", "engine"], tests_too: &[] },
    Arrows {
        room: "server",
        may: &["api", "engine", "sigv4", "audit"],
        tests_too: &["crypto", "store", "policy"],
    },
    Arrows { room: "remote", may: &["api"], tests_too: &[] },
    Arrows { room: "envelope", may: &["api", "crypto"], tests_too: &[] },
    Arrows {
        room: "bulla",
        may: &[
            "api", "crypto", "sigv4", "policy", "store", "audit", "engine", "xks", "server", "remote",
            "envelope",
        ],
        tests_too: &[],
    },
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts("Cargo.toml") {
        let Some(room) = path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        let Some(arrows) = ARROWS.iter().find(|arrows| arrows.room == room) else {
            findings.push(Finding::new(
                path,
                0,
                format!("`{room}` is a new room: draw its arrows in xtask/src/tidy/arrows.rs"),
            ));
            continue;
        };
        let manifest: toml::Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(path, 0, error.to_string()));
                continue;
            }
        };
        for (kind, dependency) in dependencies(&manifest) {
            let Some(other) = dependency.strip_prefix("bulla-") else { continue };
            let allowed = arrows.may.contains(&other)
                || kind == "dev-dependencies" && arrows.tests_too.contains(&other);
            if !allowed {
                findings.push(Finding::new(
                    path,
                    0,
                    format!("`{room}` may not depend on `{other}`, which stands above or beside it"),
                ));
            }
        }
    }
    for source in tree.sources() {
        let Some(arrows) = source.room().and_then(|room| ARROWS.iter().find(|arrows| arrows.room == room))
        else {
            continue;
        };
        for other in ARROWS.iter().map(|arrows| arrows.room).filter(|&other| other != arrows.room) {
            let name = format!("bulla_{other}");
            if arrows.may.contains(&other) {
                continue;
            }
            let searched = if arrows.tests_too.contains(&other) { &source.product } else { &source.code };
            for line in lines_with(searched, &name) {
                findings.push(Finding::new(
                    source.path,
                    line,
                    format!("`{}` may not know `{other}`", arrows.room),
                ));
            }
        }
    }
    findings
}

/// Every dependency of a manifest with the table that names it, those for one target included.
fn dependencies(manifest: &toml::Table) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(manifest)
        .chain(targets.into_iter().flat_map(|t| t.values()).filter_map(toml::Value::as_table));
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names =
                table.get(kind).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            found.extend(names.map(|name| (kind, name.clone())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_upwards_is_found_in_manifests_and_sources() {
        let manifest = "[package]\nname = \"bulla-crypto\"\n[dependencies]\nbulla-engine.workspace = true\n";
        let tree = Tree::sample(&[("crates/crypto/Cargo.toml", manifest)]);
        assert_eq!(check(&tree).len(), 1);
        let manifest = "[target.'cfg(unix)'.dependencies]\nbulla-store = { path = \"x\" }\n";
        assert_eq!(check(&Tree::sample(&[("crates/envelope/Cargo.toml", manifest)])).len(), 1);
        let tree = Tree::sample(&[("crates/api/src/lib.rs", "use bulla_crypto::Rng;\n")]);
        assert_eq!(check(&tree), [Finding::new("crates/api/src/lib.rs", 1, "`api` may not know `crypto`")]);
    }

    #[test]
    fn a_room_without_arrows_is_found() {
        assert_eq!(check(&Tree::sample(&[("crates/attic/Cargo.toml", "")])).len(), 1);
    }

    #[test]
    fn tests_may_look_further_where_the_table_says_so() {
        let manifest = "[dev-dependencies]\nbulla-store.workspace = true\n";
        assert!(check(&Tree::sample(&[("crates/server/Cargo.toml", manifest)])).is_empty());
        let manifest = "[dependencies]\nbulla-store.workspace = true\n";
        assert_eq!(check(&Tree::sample(&[("crates/server/Cargo.toml", manifest)])).len(), 1);
    }

    #[test]
    fn arrows_form_no_circle() {
        for (at, arrows) in ARROWS.iter().enumerate() {
            for other in arrows.may {
                assert!(ARROWS[..at].iter().any(|below| below.room == *other), "{} → {other}", arrows.room);
            }
        }
    }
}
