//! One data key for many files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use bulla_envelope::{HeaderLimits, Input, inspect};
use common::{Home, noise};
use std::collections::HashSet;

/// A file's encrypted data key.
fn data_key_of(home: &Home, file: &str) -> Vec<u8> {
    let bytes = home.read(file);
    let inspected = inspect(Input::reader(bytes.as_slice()), HeaderLimits::default()).unwrap();
    inspected.header.encrypted_data_keys[0].ciphertext.clone()
}

/// Calls of an operation in the audit log.
fn calls(home: &Home, operation: &str) -> usize {
    let log = std::fs::read_to_string(home.data().join("audit.log")).unwrap();
    log.matches(&format!("\"eventName\":\"{operation}\"")).count()
}

#[test]
fn many_files_share_one_data_key_and_each_opens_by_itself() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    let names: Vec<String> = (0..20).map(|number| format!("f{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        home.write(name, noise(number * 1000 + 1));
    }
    let mut arguments = vec!["encrypt", "-k", "alias/k", "--reuse-data-key"];
    arguments.extend(names.iter().map(String::as_str));
    home.ok(&arguments);
    let sealed: Vec<String> = names.iter().map(|name| format!("{name}.sealed")).collect();
    let shared: HashSet<_> = sealed.iter().map(|file| data_key_of(&home, file)).collect();
    assert_eq!(shared.len(), 1);
    assert_eq!(calls(&home, "GenerateDataKey"), 1, "one call for all");
    for name in &names[..3] {
        let opened = home.ok(&["decrypt", "-o", "-", &format!("{name}.sealed")]);
        assert_eq!(opened.out, home.read(name));
        std::fs::remove_file(home.file(name)).unwrap();
    }
    let before = calls(&home, "Decrypt");
    let mut arguments = vec!["verify", "--reuse-data-key"];
    arguments.extend(sealed.iter().map(String::as_str));
    home.ok(&arguments);
    assert_eq!(calls(&home, "Decrypt") - before, 1, "one call for all");
    // Without the option each has its own.
    home.ok(&["encrypt", "--force", "-k", "alias/k", "f7", "f8"]);
    assert_ne!(data_key_of(&home, "f7.sealed"), data_key_of(&home, "f8.sealed"));
}

#[test]
fn suites_whose_data_keys_serve_once_are_refused_before_anything_is_read() {
    let home = Home::new();
    home.write("f", "content");
    for suite in ["0578", "0378", "0178", "0014"] {
        let policy = if suite.starts_with("05") {
            "require-encrypt-require-decrypt"
        } else {
            "forbid-encrypt-allow-decrypt"
        };
        let arguments = ["encrypt", "--reuse-data-key", "--suite", suite, "--commitment-policy", policy, "f"];
        if suite == "0178" {
            home.ok(&arguments);
            std::fs::remove_file(home.file("f.sealed")).unwrap();
        } else {
            home.fails(&arguments, 2, &["--reuse-data-key", suite, "0478"]);
        }
    }
    assert_eq!(home.visible(), ["f"]);
}
