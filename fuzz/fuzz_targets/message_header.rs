//! A sealed message from anywhere: its header parses or gives a typed error and never more than was read; opened with
//! the key of the seeds, only the seeds' own plaintext ever comes out.
#![no_main]

use std::sync::LazyLock;

use bulla_api::SecretBytes;
use bulla_envelope::format::{HeaderLimits, parse_header};
use bulla_envelope::{CommitmentPolicy, Keyring, OpenOptions, RawAesKey};
use libfuzzer_sys::fuzz_target;

/// The key of the seeds: namespace `ns`, name `kn`, 32 times 07.
static KEYS: LazyLock<[Keyring; 1]> = LazyLock::new(|| {
    let key = RawAesKey::new("ns", "kn", SecretBytes::copy_of(&[7; 32])).expect("a key of 32 bytes");
    [Keyring::from(key)]
});

/// What every seed holds. Frames are authentic one by one, so no other plaintext can come out of any change.
const PLAINTEXT: &[u8] = b"hello";

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    if let Ok(parsed) = parse_header(&mut rest, HeaderLimits::default()) {
        assert_eq!(parsed.message_bytes(), data.len() - rest.len(), "read to its last byte and no further");
        let mut again = &data[..parsed.message_bytes()];
        assert_eq!(parse_header(&mut again, HeaderLimits::default()).ok(), Some(parsed));
    }
    let options = OpenOptions::new().commitment_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    if let Ok(opened) = runtime.block_on(bulla_envelope::open(&*KEYS, &options, data)) {
        assert_eq!(opened.plaintext.expose(), PLAINTEXT, "a forged message opened");
    }
});
