//! Crates that are out, and versions below which a published fault is known.

use super::Finding;
use super::tree::Tree;

const LOCK: &str = "Cargo.lock";

/// Each with why it may not come in. `deny.toml` says the same to cargo-deny.
const OUT: &[(&str, &str)] = &[
    ("rsa", "decryption tells by time (RUSTSEC-2023-0071)"),
    ("sharks", "biased shares (RUSTSEC-2024-0398)"),
    ("pkcs11", "unmaintained"),
    ("rustls-pemfile", "unmaintained"),
    ("bincode", "unmaintained"),
    ("serde_yml", "unsound, unmaintained"),
    ("yaml-rust", "unmaintained"),
    ("paste", "unmaintained"),
    ("backoff", "unmaintained"),
    ("instant", "unmaintained"),
    ("fxhash", "unmaintained"),
    ("humantime", "unmaintained"),
    ("atty", "unsound, unmaintained"),
    ("derivative", "unmaintained"),
    ("structopt", "superseded by clap"),
    ("proc-macro-error", "unmaintained"),
    ("async-std", "unmaintained"),
    ("madsim", "quiet"),
    ("openssl", "one implementation of cryptography: aws-lc"),
    ("openssl-sys", "one implementation of cryptography: aws-lc"),
];

const AT_LEAST: &[(&str, [u64; 3])] =
    &[("tokio-postgres", [0, 7, 18]), ("h2", [0, 4, 16]), ("time", [0, 3, 47])];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(LOCK) else { return vec![Finding::new(LOCK, 0, "it is not there")] };
    let lock: toml::Table = match text.parse() {
        Ok(lock) => lock,
        Err(error) => return vec![Finding::new(LOCK, 0, error.to_string())],
    };
    let mut findings = Vec::new();
    for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        let field = |name| package.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        let (name, version) = (field("name"), field("version"));
        if let Some((_, why)) = OUT.iter().find(|(out, _)| *out == name) {
            findings.push(Finding::new(LOCK, 0, format!("`{name}` is out: {why} (cargo tree -i {name})")));
        }
        if let Some((_, least)) = AT_LEAST.iter().find(|(of, _)| *of == name)
            && numbers(version) < *least
        {
            let [major, minor, patch] = least;
            findings.push(Finding::new(
                LOCK,
                0,
                format!("`{name}` {version} has a published fault: {major}.{minor}.{patch} at least"),
            ));
        }
    }
    findings
}

fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(name: &str, version: &str) -> Tree {
        Tree::sample(&[(LOCK, &format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"))])
    }

    #[test]
    fn crates_that_are_out_and_old_versions_are_found() {
        assert_eq!(check(&lock("rsa", "0.9.6")).len(), 1);
        assert_eq!(check(&lock("h2", "0.4.15")).len(), 1);
        assert!(check(&lock("h2", "0.4.16")).is_empty());
        assert!(check(&lock("h2", "1.0.0")).is_empty());
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
