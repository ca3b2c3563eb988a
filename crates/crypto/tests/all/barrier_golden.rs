//! Golden: `golden/barrier-v1.txt` was written by the first release: a root key in its texts, barrier keys, records and a
//! token. Every later release must read them. Never change it.
#![allow(clippy::unwrap_used)]

use bulla_crypto::recovery::{open_with_passphrase, open_with_private_key};
use bulla_crypto::{BarrierKeys, LockedKey, RootKey, Sealed, SeededRng};

const PATH: &[u8] = b"v1/123456789012/eu-central-1/key/golden";
const GENERATION: [u8; 16] = [5; 16];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The value after `name: `.
fn golden(name: &str) -> String {
    include_str!("../golden/barrier-v1.txt")
        .lines()
        .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")))
        .unwrap()
        .to_owned()
}

#[test]
fn everything_golden_opens() {
    let root = RootKey::from_text(golden("line").as_bytes()).unwrap();
    let paper = RootKey::from_text(golden("paper").as_bytes()).unwrap();
    assert_eq!(root.fingerprint().to_string(), golden("fingerprint"));
    assert_eq!(paper.fingerprint(), root.fingerprint());

    let keys = BarrierKeys::open(&root, &bytes(&golden("barrier keys"))).unwrap();
    assert_eq!((keys.ids().collect::<Vec<_>>(), keys.active_id()), (vec![1, 2], 2));
    let record = Sealed::from_stored(bytes(&golden("record"))).unwrap();
    assert_eq!(record.barrier_key_id(), 1);
    assert_eq!(keys.open_record(PATH, 7, &GENERATION, &record).unwrap().expose(), b"golden fields");
    let record = Sealed::from_stored(bytes(&golden("key record"))).unwrap();
    let opened = keys.open_key_record(PATH, 8, &GENERATION, &record).unwrap();
    assert_eq!(opened.key.expose(), &[0x6b; 32]);
    assert_eq!(opened.payload.expose(), b"fields beside it");
    let token = keys.open_token("ListKeys", b"bound", &bytes(&golden("token"))).unwrap();
    assert_eq!(token.expose(), b"marker");
}

#[test]
fn the_same_is_still_written() {
    let rng = SeededRng::new(1);
    let root = RootKey::generate(&rng).unwrap();
    let (mut keys, _) = BarrierKeys::create(&root, &rng).unwrap();
    let record = keys.seal_record(PATH, 7, &GENERATION, b"golden fields", &rng).unwrap();
    let list = keys.rotate(&root, &rng).unwrap();
    let key = LockedKey::from_wiped(&mut [0x6b; 32]).unwrap();
    let key_record = keys.seal_key_record(PATH, 8, &GENERATION, &key, b"fields beside it", &rng).unwrap();
    let token = keys.seal_token("ListKeys", b"bound", b"marker", &rng).unwrap();
    let text = |secret: bulla_api::SecretBytes| String::from_utf8(secret.expose().to_vec()).unwrap();
    let written = format!(
        "line: {}\npaper: {}\nfingerprint: {}\nbarrier keys: {}\nrecord: {}\nkey record: {}\ntoken: {}\n",
        text(root.to_line()),
        text(root.to_paper()).replace('\n', " "),
        root.fingerprint(),
        hex(&list),
        hex(record.as_bytes()),
        hex(key_record.as_bytes()),
        hex(&token),
    );
    let stored: String = include_str!("../golden/barrier-v1.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(written, stored);
}

#[test]
fn golden_sealed_root_keys_open() {
    let file = include_str!("../golden/recovery-v1.txt");
    let line = |name: &str| file.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let by_passphrase = open_with_passphrase(line("passphrase:").as_bytes(), b"golden passphrase").unwrap();
    let by_key = open_with_private_key(line("ec:").as_bytes(), file.as_bytes()).unwrap();
    assert_eq!(by_passphrase.fingerprint().to_string(), line("fingerprint:"));
    assert_eq!(by_key.fingerprint().to_string(), line("fingerprint:"));
}
