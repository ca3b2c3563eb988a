//! Root keys from each provider, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_crypto::barrier::RootKey;
use bulla_crypto::{SeededRng, SystemRng};
use bulla_store::{RootKeyError, RootKeySource, SimDisk, StoreParams, Vault, passphrase_params};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

fn key() -> RootKey {
    RootKey::generate(&SeededRng::new(1)).unwrap()
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn same(one: &RootKey, two: &RootKey) -> bool {
    one.to_line().expose() == two.to_line().expose()
}

#[test]
fn the_spellings_are_read_and_others_refused() {
    for text in
        ["file:/a/b", "env:NAME", "passphrase:tty", "passphrase:file:/a", "fd:3", "credential:bulla.root"]
    {
        assert_eq!(RootKeySource::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        "file",
        "file:",
        "env:",
        "env:A=B",
        "passphrase:",
        "passphrase:file:",
        "passphrase:secret",
        "fd:",
        "fd:-1",
        "fd:x",
        "credential:",
        "credential:../x",
        "credential:..",
        "tpm:0",
        "/path/to/key",
    ] {
        let error = RootKeySource::parse(text).unwrap_err();
        assert!(matches!(error, RootKeyError::UnknownProvider(_)), "{text}");
    }
    // A key pasted where its place belongs isn't repeated in the message.
    let line = key().to_line();
    let line = std::str::from_utf8(line.expose()).unwrap();
    let message = RootKeySource::parse(line).unwrap_err().to_string();
    assert!(!message.contains(&line[20..]), "{message}");
}

#[test]
fn a_key_file_is_made_once_private_and_never_again() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep/er/root.key");
    let source = RootKeySource::file(&path);
    // For a store that exists an absent key is an error and stays absent.
    assert!(matches!(source.obtain(None), Err(RootKeyError::Missing(_))));
    assert!(!path.exists());

    let made = source.create_new(&SystemRng).unwrap();
    assert!(made.made);
    let status = fs::metadata(&path).unwrap();
    assert_eq!(status.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("bulla-root-1:") && text.ends_with('\n') && text.lines().count() == 1);
    assert!(same(&source.obtain(None).unwrap(), &made.key));

    let again = source.create_new(&SystemRng).unwrap();
    assert!(!again.made && same(&again.key, &made.key), "a key that is there is used, not replaced");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn makers_at_once_agree_on_one_key() {
    let place = tempfile::tempdir().unwrap();
    let source = RootKeySource::file(&place.path().join("root.key"));
    let keys: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| source.create_new(&SystemRng).unwrap().key)).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let kept = source.obtain(None).unwrap();
    assert!(keys.iter().all(|key| same(key, &kept)));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("root.key");
    for mode in [0o640, 0o604, 0o660, 0o602] {
        write(&path, key().to_line().expose(), mode);
        for source in [RootKeySource::File(path.clone()), RootKeySource::PassphraseFile(path.clone())] {
            let params = bulla_store::PassphraseParams::generate(&SystemRng);
            let error = source.obtain(Some(&params)).err().unwrap();
            assert!(matches!(error, RootKeyError::TooOpen { mode: found, .. } if found == mode), "{error}");
        }
    }
    write(&path, key().to_line().expose(), 0o400);
    assert!(same(&RootKeySource::file(&path).obtain(None).unwrap(), &key()));
    let directory = RootKeySource::file(place.path());
    assert!(matches!(directory.obtain(None), Err(RootKeyError::NotAFile(_))));
}

#[test]
fn a_damaged_key_is_named_without_being_shown() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("root.key");
    let line = key().to_line().expose().to_vec();
    let mut mistyped = line.clone();
    mistyped[20] = if mistyped[20] == b'A' { b'B' } else { b'A' };
    for content in [&b""[..], b"\n", b"garbage", &line[..30], &mistyped, &[0xff; 200]] {
        write(&path, content, 0o600);
        let error = RootKeySource::file(&path).obtain(None).err().unwrap();
        assert!(matches!(error, RootKeyError::Text { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("root.key") && !message.contains("garbage"), "{message}");
    }
    write(&path, &[b'a'; 5000], 0o600);
    assert!(RootKeySource::file(&path).obtain(None).is_err());
}

#[test]
fn the_paper_form_is_taken_where_a_key_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("root.key");
    write(&path, key().to_paper().expose(), 0o600);
    assert!(same(&RootKeySource::file(&path).obtain(None).unwrap(), &key()));
}

/// `fd:N` with a descriptor that the process was started with.
fn given(file: &impl std::os::fd::AsFd) -> RootKeySource {
    let file = file.as_fd().try_clone_to_owned().unwrap();
    let source = RootKeySource::parse(&format!("fd:{}", file.as_raw_fd())).unwrap();
    source.with_descriptor(|_| Ok(file.into())).unwrap()
}

#[test]
fn a_descriptor_is_read_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("key");
    write(&path, key().to_line().expose(), 0o600);
    let file = fs::File::open(&path).unwrap();
    let source = given(&file);
    assert!(same(&source.obtain(None).unwrap(), &key()));
    assert!(same(&source.obtain(None).unwrap(), &key()), "a file can be read again");
    let nobodys = RootKeySource::parse("fd:0").unwrap();
    assert!(
        matches!(nobodys.obtain(None), Err(RootKeyError::NotInherited(0))),
        "the number alone is not enough"
    );
    let refused = nobodys.with_descriptor(|_| Err(std::io::Error::other("not open")));
    assert!(matches!(refused, Err(RootKeyError::NotInherited(0))));

    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, key().to_line().expose()).unwrap();
    drop(writer);
    let source = given(&reader);
    assert!(same(&source.obtain(None).unwrap(), &key()));
}

#[test]
fn what_is_not_set_is_missing() {
    for text in ["env:BULLA_TEST_NO_SUCH_VARIABLE", "credential:no-such-credential"] {
        let source = RootKeySource::parse(text).unwrap();
        let error = source.obtain(None).err().unwrap();
        assert!(matches!(error, RootKeyError::Missing(_)), "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(source.create_new(&SystemRng).is_err(), "only a file can be made");
    }
}

#[tokio::test]
async fn a_passphrase_opens_its_store_again_and_no_other_does() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("passphrase");
    write(&path, b"correct horse\n", 0o600);
    let source = RootKeySource::PassphraseFile(path.clone());
    let made = source.create_new(&SystemRng).unwrap();
    assert!(made.passphrase.is_some());
    let disk = SimDisk::new(1);
    let params = StoreParams {
        partition: "aws".to_owned(),
        account: "111122223333".to_owned(),
        regions: vec!["us-east-1".to_owned()],
        now_ms: 0,
        passphrase: made.passphrase,
    };
    Vault::create(Arc::new(disk.open()), &made.key, params, Arc::new(SystemRng)).await.unwrap();

    let params = passphrase_params(&disk.open()).await.unwrap();
    assert_eq!(params, made.passphrase);
    let again = source.obtain(params.as_ref()).unwrap();
    Vault::open(Arc::new(disk.open()), &again, Arc::new(SystemRng)).await.unwrap();
    assert!(matches!(source.obtain(None), Err(RootKeyError::NotByPassphrase)));

    write(&path, b"correct house\n", 0o600);
    let wrong = source.obtain(params.as_ref()).unwrap();
    let refused = Vault::open(Arc::new(disk.open()), &wrong, Arc::new(SystemRng)).await;
    assert!(matches!(refused.err(), Some(bulla_store::OpenError::WrongRootKey { .. })));
    for bad in [&b""[..], b"\n", &[b'x'; 1025]] {
        write(&path, bad, 0o600);
        assert!(matches!(source.obtain(params.as_ref()), Err(RootKeyError::PassphraseLength)));
    }
}

/// Runs one test of this binary again, in a process of its own that finds these variables.
fn again(test: &str, variables: &[(&str, &std::ffi::OsStr)]) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let (_program, module) = module_path!().split_once("::").unwrap();
    command.args(["--exact", &format!("{module}::{test}"), "--nocapture"]).stdin(std::process::Stdio::null());
    command.env("BULLA_TEST_AGAIN", "1").envs(variables.iter().copied());
    command
}

/// Whether it ran, and passed.
fn passes(mut again: std::process::Command) -> bool {
    let output = again.output().unwrap();
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed")
}

fn is_again() -> bool {
    let again = std::env::var_os("BULLA_TEST_AGAIN").is_some();
    if again {
        // Whoever waits for this process must not wait for ever.
        std::thread::spawn(|| {
            std::thread::sleep(std::time::Duration::from_secs(30));
            std::process::exit(9);
        });
    }
    again
}

#[test]
fn a_passphrase_without_a_terminal_fails_at_once() {
    if is_again() {
        // A session of its own has no terminal.
        rustix::process::setsid().unwrap();
        let error = RootKeySource::PassphraseTty.create_new(&SystemRng).err().unwrap();
        assert!(matches!(error, RootKeyError::NoTerminal), "{error}");
        return;
    }
    assert!(passes(again("a_passphrase_without_a_terminal_fails_at_once", &[])));
}

#[test]
fn keys_come_from_the_environment_and_from_credentials() {
    if is_again() {
        for text in ["env:BULLA_TEST_KEY", "credential:bulla.root"] {
            assert!(same(&RootKeySource::parse(text).unwrap().obtain(None).unwrap(), &key()), "{text}");
        }
        return;
    }
    let place = tempfile::tempdir().unwrap();
    write(&place.path().join("bulla.root"), key().to_line().expose(), 0o440);
    let line = key().to_line();
    let line = std::str::from_utf8(line.expose()).unwrap();
    let variables = [("BULLA_TEST_KEY", line.as_ref()), ("CREDENTIALS_DIRECTORY", place.path().as_os_str())];
    let passed = passes(again("keys_come_from_the_environment_and_from_credentials", &variables));
    assert!(passed);
}

#[test]
fn a_new_passphrase_is_asked_twice_on_the_terminal_and_not_shown() {
    if is_again() {
        rustix::process::setsid().unwrap();
        // The first terminal that a session's leader opens becomes its own.
        let terminal = std::env::var_os("BULLA_TEST_TERMINAL").unwrap();
        let _terminal = fs::OpenOptions::new().read(true).write(true).open(terminal).unwrap();
        let made = RootKeySource::PassphraseTty.create_new(&SystemRng);
        match std::env::var("BULLA_TEST_EXPECT").unwrap().as_str() {
            "made" => assert!(made.unwrap().passphrase.is_some()),
            "mismatch" => assert!(matches!(made.err(), Some(RootKeyError::Mismatch))),
            _ => assert!(matches!(made.err(), Some(RootKeyError::Cancelled))),
        }
        return;
    }
    for (first, second, expect) in [
        ("horse battery\n", "horse battery\n", "made"),
        ("horse battery\n", "horse butter\n", "mismatch"),
        ("horse\u{3}", "", "interrupted"),
        ("\u{4}", "", "cancelled"),
    ] {
        let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY);
        let master = master.unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let variables = [("BULLA_TEST_TERMINAL", name.as_ref()), ("BULLA_TEST_EXPECT", expect.as_ref())];
        let mut child = again("a_new_passphrase_is_asked_twice_on_the_terminal_and_not_shown", &variables)
            .spawn()
            .unwrap();
        let mut master = fs::File::from(master);
        let mut shown = String::new();
        let mut wait_for = |master: &mut fs::File, text: &str| {
            let mut byte = [0];
            while !shown.ends_with(text) {
                std::io::Read::read_exact(master, &mut byte).unwrap();
                shown.push(char::from(byte[0]));
            }
        };
        wait_for(&mut master, "root key: ");
        std::io::Write::write_all(&mut master, first.as_bytes()).unwrap();
        if !second.is_empty() {
            wait_for(&mut master, "again: ");
            std::io::Write::write_all(&mut master, second.as_bytes()).unwrap();
        }
        let status = child.wait().unwrap();
        if expect == "interrupted" {
            // As it ends where nothing is asked.
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
        } else {
            assert!(status.success(), "{expect}");
        }
        assert!(!shown.contains("horse"), "the terminal shows {shown:?}");
    }
}
