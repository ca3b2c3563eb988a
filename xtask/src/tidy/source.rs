//! Rules over Rust sources: unsafe code, aws-lc, clocks, exceptions, length, secrets.

use super::Finding;
use super::tree::{Source, Tree, lines_with};

/// Where `unsafe` may stand in the product. A path that ends with `/` names everything below it.
const UNSAFE: &[&str] =
    &["crates/crypto/src/locked.rs", "crates/crypto/src/ffi/", "crates/envelope/src/platform/"];

/// Where the system's clocks are read: the seam. For showing progress, a monotonic clock is enough.
const WALL_CLOCK: &[&str] = &["crates/engine/src/clock.rs", "xtask/"];
const MONOTONIC_CLOCK: &[&str] =
    &["crates/engine/src/clock.rs", "crates/bulla/src/", "crates/envelope/src/", "xtask/"];

/// Lines of a file from which it is named, and from which it is refused.
const LONG_LINES: usize = 800;
const TOO_LONG_LINES: usize = 1000;

/// Types that hold key material or plaintext.
const SECRETS: &[&str] = &[
    "LockedKey",
    "RootKey",
    "BarrierKey",
    "BarrierKeys",
    "SecretBytes",
    "SecretText",
    "WipedBuffer",
    "SigningKey",
    "PrivateKey",
    "AesGcm",
    "HmacSha256Key",
    "KeyPair",
    "MacKey",
    "Pkey",
    "WrappingKey",
];

fn within(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == *place })
}

pub(super) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        let lines = lines_with(&source.code, "unsafe");
        if within(source.path, UNSAFE) {
            findings.extend(unargued(&source, &lines));
            continue;
        }
        // Tests may need it (a file system that loses writes); the attribute that permits it says why, in the file or
        // in the root of its test.
        let permitted = source.is_test
            && tree.sources().filter(|other| other.is_test && roots(other.path, source.path)).any(|root| {
                permissions(&root.code).iter().any(|one| one.text.contains("unsafe_code") && one.reasoned)
            });
        if permitted {
            continue;
        }
        // One finding a file says enough.
        if let Some(&line) = lines.first() {
            findings.push(Finding::new(
                source.path,
                line,
                "`unsafe` may not stand here: see the list in xtask/src/tidy/source.rs",
            ));
        }
        for permission in permissions(&source.code).iter().filter(|one| one.text.contains("unsafe_code")) {
            findings.push(Finding::new(
                source.path,
                permission.line,
                "permits `unsafe` where it may not stand",
            ));
        }
    }
    findings
}

/// Whether `root` is `path` itself, or the `main.rs` of a test of several files that `path` belongs to.
fn roots(root: &str, path: &str) -> bool {
    root == path || root.strip_suffix("main.rs").is_some_and(|directory| path.starts_with(directory))
}

/// Unsafe blocks and impls with no `SAFETY` argument right above them.
fn unargued(source: &Source<'_>, lines: &[usize]) -> Vec<Finding> {
    let code: Vec<&str> = source.code.lines().collect();
    let text: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for &line in lines {
        let at = line - 1;
        let here = code.get(at).copied().unwrap_or_default();
        let is_block =
            here.contains("unsafe {") || here.contains("unsafe impl") || here.trim_end().ends_with("unsafe");
        // The argument stands in the lines above, up to the nearest earlier statement's end, eight at most.
        let argued =
            text.iter().skip(at.saturating_sub(8)).take(9.min(at + 1)).any(|line| line.contains("SAFETY"));
        if is_block && !argued {
            findings.push(Finding::new(
                source.path,
                line,
                "`unsafe` without a `// SAFETY:` argument above it",
            ));
        }
    }
    findings
}

pub(super) fn aws_lc(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts("Cargo.toml") {
        if path == "Cargo.toml" || path.starts_with("crates/crypto/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.starts_with("aws-lc-") || line.starts_with("ring.") || line.starts_with("ring ") {
                findings.push(Finding::new(path, number + 1, "aws-lc and ring are called by `crypto` alone"));
            }
        }
    }
    for source in tree.sources().filter(|source| source.room() != Some("crypto")) {
        for name in ["aws_lc_rs", "aws_lc_sys"] {
            for line in lines_with(&source.code, name) {
                let text = source.code.lines().nth(line - 1).unwrap_or_default();
                // rustls's provider for TLS carries the same name.
                if !text.contains("rustls::crypto::") && !text.contains("crypto::aws_lc_rs") {
                    findings.push(Finding::new(source.path, line, "aws-lc is called by `crypto` alone"));
                }
            }
        }
    }
    findings
}

pub(super) fn clocks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let reads = [
        ("SystemTime::now", WALL_CLOCK),
        ("Timestamp::now", WALL_CLOCK),
        ("Zoned::now", WALL_CLOCK),
        ("UNIX_EPOCH.elapsed", WALL_CLOCK),
        ("Instant::now", MONOTONIC_CLOCK),
    ];
    for source in tree.sources() {
        for (read, places) in reads {
            if within(source.path, places) {
                continue;
            }
            for line in lines_with(&source.product, read) {
                findings.push(Finding::new(source.path, line, format!("`{read}` passes by the `Clock`")));
            }
        }
    }
    findings
}

/// An `allow` or `expect` attribute.
struct Permission {
    line: usize,
    text: String,
    reasoned: bool,
}

fn permissions(code: &str) -> Vec<Permission> {
    let mut found = Vec::new();
    for opening in ["[allow(", "[expect("] {
        for (at, _) in code.match_indices(opening) {
            let text: String = code[at..].chars().take_while(|&c| c != ']').collect();
            let line = code[..at].matches('\n').count() + 1;
            found.push(Permission { line, reasoned: text.contains("reason"), text });
        }
    }
    found
}

pub(super) fn reasons(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        for permission in permissions(&source.product).iter().filter(|permission| !permission.reasoned) {
            let lints = permission.text.trim_start_matches('[');
            findings.push(Finding::new(
                source.path,
                permission.line,
                format!("`{lints}` gives no `reason = …`"),
            ));
        }
    }
    findings
}

/// Files long enough to be asked whether they hold one concept.
pub(super) fn long(tree: &Tree) -> Vec<(&str, usize)> {
    tree.texts(".rs")
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONG_LINES)
        .collect()
}

pub(super) fn length(tree: &Tree) -> Vec<Finding> {
    let product = tree.sources().filter(|source| !source.is_test);
    let counted = product.map(|source| (source.path, source.text.lines().count()));
    let too_long = counted.filter(|(_, lines)| *lines > TOO_LONG_LINES);
    too_long.map(|(path, lines)| Finding::new(path, 0, format!("{lines} lines: split it"))).collect()
}

pub(super) fn secrets(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        let lines: Vec<&str> = source.product.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = declared(line) else { continue };
            if !SECRETS.contains(&name) {
                continue;
            }
            let attributes = lines[..at].iter().rev().take_while(|line| {
                let line = line.trim();
                line.is_empty() || line.starts_with('#')
            });
            for attribute in attributes.filter(|line| line.trim().starts_with("#[derive(")) {
                for derived in ["Debug", "Clone", "Copy", "Serialize", "Display"] {
                    if !lines_with(attribute, derived).is_empty() {
                        findings.push(Finding::new(
                            source.path,
                            at + 1,
                            format!("`{name}` holds a secret and derives `{derived}`"),
                        ));
                    }
                }
            }
            for shown in ["Debug", "Display", "Serialize", "Clone"] {
                let implemented = lines.iter().position(|line| {
                    line.trim_start().starts_with("impl")
                        && !lines_with(line, &format!("{shown} for {name}")).is_empty()
                });
                let Some(implemented) = implemented else { continue };
                // A `Debug` that shows a length, or says `redacted`, is what keeps structs around it printable.
                let body: Vec<&str> = source.text.lines().skip(implemented).take(8).collect();
                let harmless = shown == "Debug"
                    && body.iter().any(|line| line.contains("len()") || line.contains("redacted"));
                if !harmless {
                    findings.push(Finding::new(
                        source.path,
                        implemented + 1,
                        format!("`{name}` holds a secret and implements `{shown}`"),
                    ));
                }
            }
        }
    }
    findings
}

/// The name in a line that declares a struct or enum.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    let name = line.strip_prefix("struct ").or_else(|| line.strip_prefix("enum "))?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(path: &str, text: &str) -> Tree {
        Tree::sample(&[(path, text)])
    }

    #[test]
    fn unsafe_outside_the_list_is_found() {
        let text = "fn f() { unsafe { g() } }\n";
        assert_eq!(unsafe_code(&sample("crates/engine/src/a.rs", text)).len(), 1);
        assert_eq!(
            unsafe_code(&sample("crates/engine/src/a.rs", "#![allow(unsafe_code, reason = \"x\")]\n")).len(),
            1
        );
        assert!(unsafe_code(&sample("crates/engine/src/a.rs", "// unsafe\n")).is_empty());
    }

    #[test]
    fn unsafe_in_a_listed_module_needs_its_argument() {
        let path = "crates/envelope/src/platform/pipe.rs";
        assert_eq!(unsafe_code(&sample(path, "fn f() {\n    unsafe { g() }\n}\n")).len(), 1);
        assert!(
            unsafe_code(&sample(path, "fn f() {\n    // SAFETY: g has no demands.\n    unsafe { g() }\n}\n"))
                .is_empty()
        );
    }

    #[test]
    fn unsafe_in_tests_needs_a_reason() {
        let path = "crates/store/tests/vfs.rs";
        assert_eq!(
            unsafe_code(&sample(path, "#![allow(unsafe_code)]\nfn f() { unsafe { g() } }\n")).len(),
            2
        );
        assert!(
            unsafe_code(&sample(
                path,
                "#![allow(unsafe_code, reason = \"a VFS\")]\nfn f() { unsafe { g() } }\n"
            ))
            .is_empty()
        );
    }

    #[test]
    fn aws_lc_outside_crypto_is_found() {
        assert_eq!(aws_lc(&sample("crates/engine/src/a.rs", "use aws_lc_rs::aead;\n")).len(), 1);
        assert_eq!(aws_lc(&sample("crates/engine/Cargo.toml", "aws-lc-rs.workspace = true\n")).len(), 1);
        assert_eq!(aws_lc(&sample("crates/engine/Cargo.toml", "ring.workspace = true\n")).len(), 1);
        assert!(aws_lc(&sample("crates/crypto/src/a.rs", "use aws_lc_rs::aead;\n")).is_empty());
        assert!(
            aws_lc(&sample("crates/server/src/a.rs", "rustls::crypto::aws_lc_rs::default_provider();\n"))
                .is_empty()
        );
    }

    #[test]
    fn clocks_outside_the_seam_are_found() {
        for read in ["SystemTime::now()", "Instant::now()", "jiff::Timestamp::now()"] {
            let text = format!("fn f() {{ {read}; }}\n");
            assert_eq!(clocks(&sample("crates/server/src/a.rs", &text)).len(), 1, "{read}");
            assert!(clocks(&sample("crates/engine/src/clock.rs", &text)).is_empty(), "{read}");
            assert!(clocks(&sample("crates/server/tests/a.rs", &text)).is_empty(), "{read}");
        }
        assert!(clocks(&sample("crates/bulla/src/progress.rs", "Instant::now();\n")).is_empty());
        assert_eq!(clocks(&sample("crates/bulla/src/progress.rs", "SystemTime::now();\n")).len(), 1);
    }

    #[test]
    fn exceptions_without_a_reason_are_found() {
        let path = "crates/api/src/a.rs";
        assert_eq!(reasons(&sample(path, "#[allow(clippy::unwrap_used)]\nfn f() {}\n")).len(), 1);
        assert_eq!(reasons(&sample(path, "#![expect(\n    clippy::panic\n)]\n")).len(), 1);
        assert!(reasons(&sample(path, "#[expect(clippy::panic, reason = \"why\")]\n")).is_empty());
        assert!(
            reasons(&sample(path, "#[cfg(test)]\nmod tests {\n    #![allow(clippy::panic)]\n}\n")).is_empty()
        );
    }

    #[test]
    fn files_past_the_limit_are_found() {
        let text = "//\n".repeat(TOO_LONG_LINES + 1);
        assert_eq!(length(&sample("crates/api/src/a.rs", &text)).len(), 1);
        assert!(length(&sample("crates/api/tests/a.rs", &text)).is_empty());
        assert_eq!(long(&sample("crates/api/src/a.rs", &"//\n".repeat(LONG_LINES + 1))).len(), 1);
    }

    #[test]
    fn secrets_that_show_or_copy_themselves_are_found() {
        let path = "crates/crypto/src/a.rs";
        assert_eq!(
            secrets(&sample(path, "#[derive(Debug)]\npub struct LockedKey<const N: usize>([u8; N]);\n"))
                .len(),
            1
        );
        assert_eq!(
            secrets(&sample(path, "pub struct RootKey(A);\nimpl fmt::Display for RootKey {}\n")).len(),
            1
        );
        assert!(secrets(&sample(path, "#[derive(Debug)]\npub struct LockedKeyError;\n")).is_empty());
        let shows =
            "pub struct RootKey(A);\nimpl fmt::Debug for RootKey {\n    fn fmt() { f.write(self.0) }\n}\n";
        assert_eq!(secrets(&sample(path, shows)).len(), 1);
        assert!(secrets(&sample(path, &shows.replace("self.0", "\"redacted\""))).is_empty());
        assert!(secrets(&sample(path, &shows.replace("for RootKey ", "for RootKeyFingerprint "))).is_empty());
    }
}
