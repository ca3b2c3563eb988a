//! An attestation document from anywhere: reading it never panics, and what verifies says what was signed.
#![no_main]

use std::sync::LazyLock;

use bulla_crypto::SeededRng;
use bulla_crypto::attestation::{Attester, Root, envelop, verify};
use libfuzzer_sys::fuzz_target;

/// The root of AWS, which signed one of the seeds, and that of the others (whose keys are gone).
static ROOTS: LazyLock<Vec<Root>> = LazyLock::new(|| {
    let texts = [
        &include_bytes!("../../crates/crypto/tests/vectors/aws-nitro-root-g1.pem")[..],
        include_bytes!("../attestation-root.pem"),
    ];
    texts.iter().flat_map(|text| Root::from_pem(text).expect("our own file")).collect()
});

/// When AWS's seed was valid, and the others are.
const NOW_MS: i64 = 1_731_627_990_000;

fuzz_target!(|data: &[u8]| {
    let Ok(attestation) = verify(data, &ROOTS, NOW_MS) else { return };
    // Nobody can sign anything new: what is changed and still verifies was changed where no signature reaches.
    match attestation.attester() {
        Attester::Enclave => {
            assert_eq!(attestation.module_id(), "i-0123456789abcdef0-enc0123456789abcdef");
            assert_eq!(attestation.pcrs().count(), 16);
        }
        Attester::NitroTpm => {
            assert_eq!(attestation.module_id(), "i-0123456789abcdef0-tpm0000000000000000");
            assert_eq!(attestation.pcrs().count(), 24);
        }
    }
    let answer = envelop(&attestation, &data[..data.len().min(64)], &SeededRng::new(1)).expect("short");
    assert!(answer.ends_with(&[0; 10]));
});
