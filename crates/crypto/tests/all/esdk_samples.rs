//! The sample values of the AWS Encryption SDK's key derivation, made with aws-encryption-sdk 4.0.7 (Python): data key
//! `000102..1f` (its start for shorter suites), message ids `000102..0f` (v1) and `202122..3f` (v2).
#![allow(clippy::unwrap_used)]

use bulla_crypto::hkdf::{self, Hash};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn data_key() -> Vec<u8> {
    (0..32).collect()
}

#[test]
fn version_1_content_keys() {
    let message_id: Vec<u8> = (0..16).collect();
    for (suite, hash, length, expected) in [
        (0x0178u16, Hash::Sha256, 32, "1d52c17851559636abef7b8250d7875b964c28790611ad4a3e7d314c49547b9e"),
        (0x0378, Hash::Sha384, 32, "e3220b2746d755203b338e69d391531ece5bd610d652cc1b5ba6763edfe90436"),
        (0x0114, Hash::Sha256, 16, "fdb84d5c5d3e9968cabf9ed73ddab9e6"),
        (0x0346, Hash::Sha384, 24, "39b2f4e1c4abaea1c70934a667de74092f4350de654acf4a"),
    ] {
        let mut key = vec![0; length];
        hkdf::extract(hash, &[], &data_key()[..length])
            .expand(&[&suite.to_be_bytes(), &message_id], &mut key)
            .unwrap();
        assert_eq!(hex(&key), expected, "{suite:04x}");
    }
}

#[test]
fn version_2_content_keys_and_commitment_from_one_extract() {
    let message_id: Vec<u8> = (0x20..0x40).collect();
    let prk = hkdf::extract(Hash::Sha512, &message_id, &data_key());
    for (suite, expected) in [
        (0x0478u16, "30f891fcd92a8abe67342e11f1cfacffa92994861fca7075fb36a21f9edbf6ae"),
        (0x0578, "f1c9314c892f401f26fb2fff1e52805b875f89c19258972b0170ceeb9e6e1dd3"),
    ] {
        let mut key = [0; 32];
        prk.expand(&[&suite.to_be_bytes(), b"DERIVEKEY"], &mut key).unwrap();
        assert_eq!(hex(&key), expected);
    }
    let mut commitment = [0; 32];
    prk.expand(&[b"COMMITKEY"], &mut commitment).unwrap();
    assert_eq!(hex(&commitment), "16bbdf5f77e52a6d45b8cad7f30e0bbf69b304b0d51de9d153b822934fd32d47");
}
