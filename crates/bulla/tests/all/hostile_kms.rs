//! A KMS that is slow, down, broken, or answers for another key or with another data key: nothing is opened or sealed by
//! it, and the exit code says whether trying again helps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::Home;
use common::stub::{Does, Stub};
use std::time::{Duration, Instant};

const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000";
/// Data keys: 32 bytes of 0, 32 bytes of 1, 16 bytes of 0.
macro_rules! answer {
    ($key:literal, $plaintext:literal) => {
        Does::Answers(
            200,
            "",
            concat!(
                "{\"CiphertextBlob\":\"AAAA\",\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\",\"KeyId\":\
                 \"arn:aws:kms:us-east-1:111122223333:",
                $key,
                "\",\"Plaintext\":\"",
                $plaintext,
                "\"}"
            ),
        )
    };
}
const RIGHT: Does =
    answer!("key/00000000-0000-4000-8000-000000000000", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
const ANOTHER_KEY: Does =
    answer!("key/00000000-0000-4000-8000-000000000001", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
const ALIAS: Does = answer!("alias/x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
const ANOTHER_DATA_KEY: Does =
    answer!("key/00000000-0000-4000-8000-000000000000", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
const SHORT: Does = answer!("key/00000000-0000-4000-8000-000000000000", "AAAAAAAAAAAAAAAAAAAAAA==");
const NOT_WRAPPED: Does = Does::Answers(
    200,
    "",
    "{\"CiphertextBlob\":\"\",\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\",\"KeyId\":\
     \"arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000\",\"Plaintext\":\
     \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
);
const EMPTY: Does = Does::Answers(200, "", "{}");
const NO_JSON: Does = Does::Answers(200, "", "<html>proxy</html>");
const NO_PAGE: Does = Does::Answers(404, "", "<html>not found</html>");
const EXPIRED: Does = Does::Answers(400, "ExpiredTokenException", "{\"message\":\"The token is expired.\"}");
const FAILING: Does = Does::Answers(500, "KMSInternalException", "{\"message\":\"internal\"}");
const THROTTLING: Does = Does::Answers(400, "ThrottlingException", "{\"message\":\"Rate exceeded\"}");
const DENYING: Does = Does::Answers(400, "AccessDeniedException", "{\"message\":\"no\"}");
const DISABLED: Does = Does::Answers(400, "DisabledException", "{\"message\":\"disabled\"}");
const DAMAGED: Does = Does::Answers(400, "InvalidCiphertextException", "{}");
const IDENTITY: Does = Does::Answers(
    200,
    "",
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
     <Arn>arn:aws:iam::111122223333:root</Arn><UserId>111122223333</UserId><Account>111122223333</Account>\
     </GetCallerIdentityResult></GetCallerIdentityResponse>",
);

/// A home with a file that was sealed as it is, and one with detached keys, by a KMS that was as it should be.
fn home() -> Home {
    let home = Home::new();
    home.write("f", "content");
    home.write("g", "content");
    let kms = Stub::new(&[RIGHT]);
    for arguments in [&["encrypt", "-k", ARN, "f"][..], &["encrypt", "--detached-keys", "-k", ARN, "g"]] {
        let sealed = kms.run(&home, arguments);
        assert_eq!(sealed.code, 0, "{}", sealed.err);
    }
    assert_eq!(kms.asked(), ["generatedatakey", "generatedatakey"]);
    std::fs::remove_file(home.file("f")).unwrap();
    std::fs::remove_file(home.file("g")).unwrap();
    home
}

const FILES: [&str; 3] = ["f.sealed", "g.sealed", "g.sealed.keys"];

/// Opening and rewrapping fail with this code, with these words, and nothing is written.
fn opens_nothing(script: &'static [Does], code: i32, says: &[&str]) {
    let home = home();
    let before = FILES.map(|file| home.read(file));
    let kms = Stub::new(script);
    for arguments in [
        &["decrypt", "-k", ARN, "--kms-wait", "1", "f.sealed"][..],
        &["decrypt", "-k", ARN, "--kms-wait", "1", "g.sealed"],
        &["rewrap", "-k", ARN, "--kms-wait", "1", "--add", &ARN.replace("-4000-", "-4001-"), "g.sealed"],
    ] {
        let ended = kms.run(&home, &[arguments, &["-q"]].concat());
        ended.is_failure(code, says);
        assert_eq!(home.visible(), FILES, "{arguments:?}");
    }
    assert_eq!(FILES.map(|file| home.read(file)), before);
    assert!(kms.asked().iter().all(|operation| operation == "decrypt"), "{:?}", kms.asked());
}

/// And so does sealing.
fn seals_nothing(script: &'static [Does], code: i32, says: &[&str]) {
    let home = Home::new();
    home.write("f", "content");
    let kms = Stub::new(script);
    for detached in [&[][..], &["--detached-keys"]] {
        let ended = kms.run(&home, &[&["encrypt", "-k", ARN, "--kms-wait", "1", "f"], detached].concat());
        ended.is_failure(code, says);
        assert_eq!(home.visible(), ["f"]);
    }
}

#[test]
fn one_that_is_as_it_should_be_opens() {
    let home = home();
    let kms = Stub::new(&[RIGHT]);
    for file in ["f.sealed", "g.sealed"] {
        assert_eq!(kms.run(&home, &["decrypt", "-k", ARN, "-o", "-", file]).out, b"content");
    }
}

#[test]
fn one_that_answers_for_another_key() {
    opens_nothing(&[ANOTHER_KEY], 3, &["answered for another key", ARN]);
    opens_nothing(&[ALIAS], 3, &["answered for another key", ARN]);
    seals_nothing(&[ALIAS], 1, &["answered for another key", ARN]);
    seals_nothing(&[ANOTHER_KEY], 1, &["answered for another key", ARN]);
}

/// Or without what would be needed to open again: what was sealed so would be lost.
#[test]
fn one_that_gives_no_wrapped_data_key() {
    seals_nothing(&[NOT_WRAPPED], 1, &["no wrapped data key", ARN]);
    let home = home();
    let before = FILES.map(|file| home.read(file));
    for to in [ARN.replace("-4000-", "-4001-"), "alias/x".to_owned()] {
        let kms = Stub::new(&[RIGHT, NOT_WRAPPED]);
        let ended = kms.run(&home, &["rewrap", "-q", "-k", ARN, "--kms-wait", "1", "--to", &to, "g.sealed"]);
        assert_ne!(ended.code, 0, "{}", ended.err);
        assert_eq!(FILES.map(|file| home.read(file)), before, "{}", ended.err);
    }
}

#[test]
fn one_that_answers_with_another_data_key() {
    opens_nothing(&[ANOTHER_DATA_KEY], 3, &["the key commitment does not hold"]);
    opens_nothing(&[SHORT], 3, &["wrong length", ARN]);
    seals_nothing(&[SHORT], 1, &["wrong length", ARN]);
}

#[test]
fn one_that_answers_with_something_else() {
    opens_nothing(&[NO_JSON], 5, &["http://127.0.0.1", "is a KMS at that URL"]);
    seals_nothing(&[NO_PAGE], 5, &["http://127.0.0.1", "HTTP 404", "is a KMS at that URL"]);
    opens_nothing(&[EMPTY], 5, &["http://127.0.0.1"]);
    seals_nothing(&[NO_JSON], 5, &["http://127.0.0.1"]);
}

#[test]
fn one_that_denies_or_has_the_key_no_more() {
    opens_nothing(&[DENYING], 4, &["AccessDeniedException"]);
    seals_nothing(&[EXPIRED], 4, &["ExpiredTokenException"]);
    seals_nothing(&[THROTTLING], 5, &["no other answer in time than HTTP 400", "ThrottlingException"]);
    opens_nothing(&[DISABLED], 6, &["DisabledException"]);
    opens_nothing(&[DAMAGED], 3, &["InvalidCiphertextException"]);
}

#[test]
fn one_that_is_down_fails_or_never_answers() {
    let started = Instant::now();
    for script in [&[FAILING], &[THROTTLING], &[Does::HangsUp], &[Does::Hangs]] {
        opens_nothing(script, 5, &["http://127.0.0.1"]);
    }
    seals_nothing(&[Does::Hangs], 5, &["http://127.0.0.1"]);
    seals_nothing(&[Does::HangsUp], 5, &["http://127.0.0.1"]);
    // Sixteen commands that each wait for a second.
    assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
}

#[test]
fn one_that_is_down_only_for_a_moment_is_asked_again() {
    let home = home();
    let kms = Stub::new(&[FAILING, THROTTLING, RIGHT]);
    let opened = kms.run(&home, &["decrypt", "-k", ARN, "-o", "-", "g.sealed"]);
    assert_eq!((opened.code, opened.out.as_slice()), (0, b"content".as_slice()), "{}", opened.err);
}

#[test]
fn one_that_gives_no_answer_leaves_the_next_that_is_named() {
    let home = home();
    let (down, up) = (Stub::new(&[Does::HangsUp]), Stub::new(&[RIGHT]));
    std::fs::create_dir(home.file(".aws")).unwrap();
    let config = format!(
        "[profile down]\nendpoint_url = {}\nregion = us-east-1\n[profile up]\nendpoint_url = {}\nregion = us-east-1\n",
        down.url, up.url
    );
    home.write(".aws/config", config);
    let credentials = |name: &str| {
        format!("[{name}]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n")
    };
    home.write(".aws/credentials", credentials("down") + &credentials("up"));
    let (first, second) = (format!("{ARN}@down"), format!("{ARN}@up"));
    for file in ["f.sealed", "g.sealed"] {
        let keys = ["-k", &first, "-k", &second];
        let opened = home.run(&[&["decrypt", "--kms-wait", "1", "-o", "-", file][..], &keys].concat());
        assert_eq!((opened.code, opened.out.as_slice()), (0, b"content".as_slice()), "{}", opened.err);
    }
    assert!(down.asked().iter().all(|one| one == "decrypt") && down.asked().len() >= 2);
    assert_eq!(up.asked(), ["decrypt", "decrypt"]);
}

#[test]
fn one_that_knows_its_caller_and_then_gives_no_answer_leaves_the_store_of_this_host() {
    let home = Home::new();
    for file in ["f", "g"] {
        home.write(file, "content");
    }
    home.ok(&["encrypt", "-q", "f"]);
    home.ok(&["encrypt", "-q", "--detached-keys", "g"]);
    let shown: serde_json::Value =
        serde_json::from_str(home.ok(&["inspect", "--json", "f.sealed"]).text()).unwrap();
    let account = shown["keys"][0]["name"].as_str().unwrap().split(':').nth(4).unwrap().to_owned();
    let decrypt = |kms: &Stub, files: &[&str]| {
        let arguments = ["verify", "--kms-wait", "1", "--discovery-account", &account];
        kms.run(&home, &[&arguments[..], files].concat())
    };
    let calls = |kms: &Stub, name: &str| kms.asked().iter().filter(|one| *one == name).count();
    for script in [&[IDENTITY, Does::HangsUp], &[IDENTITY, FAILING]] {
        for file in ["f.sealed", "g.sealed"] {
            let kms = Stub::new(script);
            let opened = decrypt(&kms, &[file]);
            assert_eq!(opened.code, 0, "{file}: {}", opened.err);
            assert!(
                calls(&kms, "getcalleridentity") == 1 && calls(&kms, "decrypt") >= 1,
                "{:?}",
                kms.asked()
            );
        }
    }
    // The next file doesn't wait for it.
    let kms = Stub::new(&[IDENTITY, Does::HangsUp]);
    let (begun, opened) = (Instant::now(), decrypt(&kms, &["f.sealed", "g.sealed", "f.sealed", "g.sealed"]));
    assert_eq!(opened.code, 0, "{}", opened.err);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // An answer is one, whichever it is: nothing is asked behind its back.
    let records = || std::fs::read(home.data().join("audit.log")).unwrap();
    let before = records();
    decrypt(&Stub::new(&[IDENTITY, DENYING]), &["f.sealed"]).is_failure(4, &["AccessDeniedException"]);
    decrypt(&Stub::new(&[IDENTITY, DISABLED]), &["f.sealed"]).is_failure(6, &["DisabledException"]);
    assert_eq!(records(), before);
    // Nor does a store that isn't there help.
    std::fs::remove_dir_all(home.file(".local")).unwrap();
    decrypt(&Stub::new(&[IDENTITY, Does::HangsUp]), &["f.sealed"]).is_failure(5, &["http://127.0.0.1"]);
    assert!(!home.file(".local").exists());
}
