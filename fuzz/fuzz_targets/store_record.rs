//! A record of a store that someone else wrote to: nothing opens but what was sealed for its path and generation, and
//! the fields of a payload have one encoding.
#![no_main]

use std::sync::{Arc, LazyLock};

use bulla_crypto::{BarrierKeys, RootKey, Sealed, SeededRng};
use bulla_store::{
    Fields, Generation, OpenError, Path, Record, SealedValue, SimDisk, Vault, passphrase_params,
};
use libfuzzer_sys::fuzz_target;

static BARRIER: LazyLock<BarrierKeys> = LazyLock::new(|| {
    let rng = SeededRng::new(1);
    let root = RootKey::generate(&rng).expect("a slot");
    BarrierKeys::create(&root, &rng).expect("slots").0
});

const PATH: &[u8] = b"v1/111122223333/us-east-1/key/x";
const GENERATION: &[u8] = &[7; 16];

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));

/// A store whose bootstrap record is the input: it is read before any key is there, and opens nothing.
fn open_forged(data: &[u8]) {
    let disk = SimDisk::new(1);
    disk.set_yields_max(0);
    let value = SealedValue::from_stored([b"bulla store\n", data].concat());
    disk.plant(&Path::of_store("barrier"), &Record { generation: Generation::first(1), value });
    RUNTIME.block_on(async {
        let _ = passphrase_params(&disk.open()).await;
        let root = RootKey::generate(&SeededRng::new(1)).expect("a slot");
        let opened = Vault::open(Arc::new(disk.open()), &root, Arc::new(SeededRng::new(2))).await;
        assert!(!matches!(opened.err(), None | Some(OpenError::NotAStore)), "a forged store opened");
    });
}

fuzz_target!(|data: &[u8]| {
    open_forged(data);
    if let Ok(fields) = Fields::decode(data) {
        assert_eq!(fields.encode().as_slice(), data, "fields have one encoding");
    }
    if let Ok(sealed) = Sealed::from_stored(data.to_vec()) {
        let schema = sealed.schema_version();
        assert!(BARRIER.open_record(PATH, schema, GENERATION, &sealed).is_err(), "a forged record opened");
        assert!(
            BARRIER.open_key_record(PATH, schema, GENERATION, &sealed).is_err(),
            "a forged key record opened"
        );
    }
    // What was sealed opens, and not once a byte of it is changed.
    let payload = &data[..data.len().min(256)];
    let rng = SeededRng::new(data.len() as u64);
    let sealed = BARRIER.seal_record(PATH, 1, GENERATION, payload, &rng).expect("short");
    let opened = BARRIER.open_record(PATH, 1, GENERATION, &sealed).expect("our own record");
    assert_eq!(opened.expose(), payload);
    let mut bytes = sealed.into_bytes();
    let at = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
        % bytes.len();
    bytes[at] ^= 1 << (data.len() % 8);
    if let Ok(changed) = Sealed::from_stored(bytes) {
        assert!(BARRIER.open_record(PATH, 1, GENERATION, &changed).is_err(), "byte {at} is not authentic");
    }
});
