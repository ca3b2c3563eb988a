//! Attestation documents: what verifies, what is refused and why, and what an answer for their key looks like.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::documents;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::attestation::{Attestation, AttestationError, Attester, Root, RootError, envelop, verify};
use bulla_crypto::rsa_wrap::{PrivateKey, RsaPadding};
use bulla_crypto::{SeededRng, SystemRng, sha256};
use documents::{
    CBOR_NULL, DAY_MS, Document, NOW_MS, Pki, Place, RecipientKey, cbor_bytes, cbor_head, cbor_registers,
    cbor_text, register,
};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, date_time_ymd,
};
use std::sync::LazyLock;

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);
static RECIPIENT: LazyLock<RecipientKey> = LazyLock::new(RecipientKey::new);

fn roots(pki: &Pki) -> Vec<Root> {
    Root::from_pem(pki.root_pem.as_bytes()).unwrap()
}

#[track_caller]
fn verified(document: &[u8], pki: &Pki) -> Attestation {
    match verify(document, &roots(pki), NOW_MS) {
        Ok(attestation) => attestation,
        Err(error) => panic!("refused: {error}"),
    }
}

fn refusal(document: &[u8], pki: &Pki) -> AttestationError {
    refusal_at(document, pki, NOW_MS)
}

#[track_caller]
fn refusal_at(document: &[u8], pki: &Pki, now_ms: i64) -> AttestationError {
    match verify(document, &roots(pki), now_ms) {
        Ok(_) => panic!("it verified"),
        Err(error) => error,
    }
}

/// Of a chain that differs in one thing.
fn refusal_of_chain(change: impl Fn(Place, &mut rcgen::CertificateParams)) -> AttestationError {
    let pki = Pki::with(change);
    refusal(&pki.document(&RECIPIENT).sign(&pki), &pki)
}

/// Of a document that differs in one field.
#[track_caller]
fn refusal_of_field(name: &str, value: Vec<u8>) -> AttestationError {
    let mut document = PKI.document(&RECIPIENT);
    document.set(name, value);
    refusal(&document.sign(&PKI), &PKI)
}

#[test]
fn a_document_of_an_enclave_says_what_it_was_made_with() {
    let mut document = PKI.document(&RECIPIENT);
    for indefinite in [true, false] {
        document.indefinite = indefinite;
        let signed = document.sign(&PKI);
        // With the tag of COSE_Sign1, too.
        for bytes in [signed.clone(), [vec![0xd2], signed].concat()] {
            let attestation = verified(&bytes, &PKI);
            assert_eq!(attestation.attester(), Attester::Enclave);
            assert_eq!(attestation.module_id(), "i-0123456789abcdef0-enc0123456789abcdef");
            assert_eq!(i64::try_from(attestation.timestamp_ms()).unwrap(), NOW_MS - 1000);
            assert_eq!(attestation.pcrs().count(), 16);
            assert_eq!(attestation.pcr(3), Some(register(3).as_slice()));
            assert_eq!(attestation.pcr(16), None);
        }
    }
}

#[test]
fn a_document_of_a_tpm_is_told_apart() {
    let document = PKI.document(&RECIPIENT).of_a_tpm();
    let attestation = verified(&document.sign(&PKI), &PKI);
    assert_eq!(attestation.attester(), Attester::NitroTpm);
    assert_eq!(attestation.pcr(23), Some(register(23).as_slice()));
    let mut both = document;
    both.fields.extend(PKI.document(&RECIPIENT).fields.into_iter().filter(|(name, _)| name == "pcrs"));
    assert!(matches!(refusal(&both.sign(&PKI), &PKI), AttestationError::Malformed(_)));
}

/// A document that AWS's own hypervisor signed. It has no public key, which is said only once all else holds.
#[test]
fn a_real_document_verifies_up_to_its_missing_key() {
    let text: String = include_str!("../vectors/nitro-enclave-document.b64").split_whitespace().collect();
    let document = STANDARD.decode(text).unwrap();
    let roots = Root::from_pem(include_bytes!("../vectors/aws-nitro-root-g1.pem")).unwrap();
    // Two seconds before its own time: clocks differ.
    let now_ms = 1_731_627_987_382;
    let outcome = |document: &[u8], now_ms| verify(document, &roots, now_ms).err();
    assert_eq!(outcome(&document, now_ms), Some(AttestationError::NoPublicKey));
    assert_eq!(outcome(&document, now_ms + DAY_MS), Some(AttestationError::Expired));
    assert_eq!(outcome(&document, now_ms - DAY_MS), Some(AttestationError::NotYetValid));
    let mut changed = document.clone();
    // In PCR 3.
    changed[300] ^= 1;
    assert_eq!(outcome(&changed, now_ms), Some(AttestationError::Signature));
    assert_eq!(
        verify(&document, &self::roots(&PKI), now_ms).err(),
        Some(AttestationError::Untrusted),
        "another root"
    );
}

#[test]
fn another_root_is_not_trusted_whatever_its_name() {
    let others = Pki::new();
    let document = others.document(&RECIPIENT).sign(&others);
    assert_eq!(refusal(&document, &PKI), AttestationError::Untrusted);
    let named = Pki::with(|place, params| {
        if place == Place::Root {
            params.distinguished_name.push(rcgen::DnType::CommonName, "another");
        }
    });
    assert_eq!(refusal(&named.document(&RECIPIENT).sign(&named), &PKI), AttestationError::Untrusted);
    assert_eq!(verify(&document, &[], NOW_MS).err(), Some(AttestationError::Untrusted));
    // Of several roots, one is enough.
    let both = [PKI.root_pem.as_bytes(), b"\n", others.root_pem.as_bytes()].concat();
    let both = Root::from_pem(&both).unwrap();
    assert!(verify(&document, &both, NOW_MS).is_ok());
}

#[test]
fn every_certificate_must_be_valid_now_and_at_the_documents_time() {
    let document = PKI.document(&RECIPIENT).sign(&PKI);
    // The leaf ends with the 23rd, the zone with the 25th, the region with the 29th.
    for days in [1, 3, 7, 1000, 10_000] {
        let now_ms = NOW_MS + days * DAY_MS;
        assert_eq!(refusal_at(&document, &PKI, now_ms), AttestationError::Expired, "{days} days later");
    }
    assert_eq!(refusal_at(&document, &PKI, NOW_MS - DAY_MS), AttestationError::NotYetValid);
    assert_eq!(refusal_at(&document, &PKI, i64::MIN), AttestationError::NotYetValid);
    for place in [Place::Root, Place::Region, Place::Zone, Place::Leaf] {
        let ended = refusal_of_chain(|at, params| {
            if at == place {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2026, 11, 23);
            }
        });
        assert_eq!(ended, AttestationError::Expired, "{place:?}");
    }

    let of_time = |time_ms: i64| refusal_of_field("timestamp", cbor_head(0, u64::try_from(time_ms).unwrap()));
    assert_eq!(of_time(NOW_MS - DAY_MS), AttestationError::NotYetValid, "before its certificate");
    assert_eq!(of_time(NOW_MS + 5 * 60 * 1000 + 1), AttestationError::NotYetValid, "of the future");
    let mut ahead = PKI.document(&RECIPIENT);
    ahead.set("timestamp", cbor_head(0, u64::try_from(NOW_MS).unwrap() + 4 * 60 * 1000));
    verified(&ahead.sign(&PKI), &PKI);
}

#[test]
fn certificates_must_be_what_they_are_used_as() {
    let with_usage = |place: Place, usage: Vec<KeyUsagePurpose>| {
        refusal_of_chain(move |at, params| {
            if at == place {
                params.key_usages.clone_from(&usage);
            }
        })
    };
    for place in [Place::Region, Place::Zone, Place::Leaf] {
        let wrong = if place == Place::Leaf {
            KeyUsagePurpose::KeyEncipherment
        } else {
            KeyUsagePurpose::DigitalSignature
        };
        assert!(matches!(with_usage(place, vec![wrong]), AttestationError::Chain(_)), "{place:?}");
        assert!(matches!(with_usage(place, vec![]), AttestationError::Chain(_)), "{place:?} without");
    }
    let chain = |change: fn(Place, &mut rcgen::CertificateParams)| {
        let error = refusal_of_chain(change);
        assert!(matches!(error, AttestationError::Chain(_)), "{error:?}");
    };
    // A leaf that signs certificates, and an authority that may not.
    chain(|at, params| {
        if at == Place::Leaf {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
    });
    chain(|at, params| {
        if at == Place::Zone {
            params.is_ca = IsCa::ExplicitNoCa;
        }
    });
    // Path lengths: of an authority, and of the root, which RFC 5280 would let one ignore.
    chain(|at, params| {
        if at == Place::Region {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }
    });
    chain(|at, params| {
        if at == Place::Root {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        }
    });
    // For other purposes, or with a condition that nobody here understands.
    chain(|at, params| {
        if at == Place::Leaf {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
    });
    chain(|at, params| {
        if at == Place::Leaf {
            let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            unknown.set_criticality(true);
            params.custom_extensions = vec![unknown];
        }
    });
}

#[test]
fn a_bundle_has_one_order_and_no_namesakes() {
    let of_bundle = |bundle: Vec<Vec<u8>>| {
        let items: Vec<u8> = bundle.iter().flat_map(|der| cbor_bytes(der)).collect();
        refusal_of_field("cabundle", [cbor_head(4, bundle.len() as u64), items].concat())
    };
    let [root, region, zone] = [0, 1, 2].map(|at| PKI.bundle[at].clone());
    let unordered = AttestationError::Chain("its certificates are not in their order");
    for bundle in [
        vec![zone.clone(), region.clone(), root.clone()],
        vec![region.clone(), root.clone(), zone.clone()],
        vec![root.clone(), region.clone()],
        vec![root.clone(), root.clone(), region.clone(), zone.clone()],
    ] {
        assert_eq!(of_bundle(bundle), unordered);
    }
    // Authorities that could each have issued all others.
    let of_one_name = || Pki::with(|_, params| params.distinguished_name = rcgen::DistinguishedName::new());
    let pki = of_one_name();
    let namesakes: Vec<u8> = (0..8).flat_map(|_| cbor_bytes(&of_one_name().bundle[1])).collect();
    let mut document = pki.document(&RECIPIENT);
    document.set("cabundle", [vec![0x88], namesakes].concat());
    assert_eq!(refusal(&document.sign(&pki), &PKI), unordered);
    // The root itself may be left out, for it is known.
    let mut document = PKI.document(&RECIPIENT);
    document.set("cabundle", [cbor_head(4, 2), cbor_bytes(&region), cbor_bytes(&zone)].concat());
    verified(&document.sign(&PKI), &PKI);
}

#[test]
fn only_p384_with_sha384_signs() {
    for place in [Place::Root, Place::Region, Place::Zone] {
        let pki = Pki::with_keys(
            |_, _| (),
            |at| {
                let algorithm = if at == place { &PKCS_ECDSA_P256_SHA256 } else { &PKCS_ECDSA_P384_SHA384 };
                KeyPair::generate_for(algorithm).unwrap()
            },
        );
        let document = pki.document(&RECIPIENT).sign(&pki);
        assert!(matches!(refusal(&document, &pki), AttestationError::Chain(_)), "{place:?}");
    }
    // The document itself: another algorithm in the header, and a key of another curve.
    let mut document = PKI.document(&RECIPIENT);
    for protected in [&[0xa1, 0x01, 0x26][..], &[0xa1, 0x01, 0x38, 0x23], &[0xa0], &[]] {
        document.protected = protected.to_vec();
        assert!(matches!(refusal(&document.sign(&PKI), &PKI), AttestationError::Malformed(_)));
    }
    let of_a_small_curve = Pki::with_keys(
        |_, _| (),
        |at| {
            let algorithm = if at == Place::Leaf { &PKCS_ECDSA_P256_SHA256 } else { &PKCS_ECDSA_P384_SHA384 };
            KeyPair::generate_for(algorithm).unwrap()
        },
    );
    let document = of_a_small_curve.document(&RECIPIENT).sign(&of_a_small_curve);
    assert_eq!(refusal(&document, &of_a_small_curve), AttestationError::Signature);
}

#[test]
fn another_signer_a_changed_payload_and_a_changed_signature_do_not_hold() {
    let document = PKI.document(&RECIPIENT);
    let stranger = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(refusal(&document.sign_with(&stranger), &PKI), AttestationError::Signature);

    let signed = document.sign(&PKI);
    let (payload, signature) = (document.payload(), signed[signed.len() - 96..].to_vec());
    for at in [0, 47, 48, 95] {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        assert_eq!(refusal(&document.enclose(&payload, &changed), &PKI), AttestationError::Signature);
    }
    for wrong in [vec![0; 96], vec![0xff; 96]] {
        assert_eq!(refusal(&document.enclose(&payload, &wrong), &PKI), AttestationError::Signature);
    }
    for length in [0, 32, 95, 97] {
        let error = refusal(&document.enclose(&payload, &vec![1; length]), &PKI);
        assert!(matches!(error, AttestationError::Malformed(_)));
    }
    let mut others = document.clone();
    others.set("pcrs", cbor_registers(&[(0, vec![0; 48])]));
    assert_eq!(refusal(&others.enclose(&others.payload(), &signature), &PKI), AttestationError::Signature);
}

#[test]
fn fields_keep_their_types_sizes_and_numbers() {
    let register = |number, length| cbor_registers(&[(number, vec![1; length])]);
    let long = |length: usize| cbor_bytes(&vec![1; length]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("module_id", cbor_text("")),
        ("module_id", cbor_text(&"x".repeat(257))),
        ("module_id", cbor_bytes(b"i-1")),
        ("module_id", CBOR_NULL.to_vec()),
        ("digest", cbor_text("SHA256")),
        ("timestamp", cbor_head(0, 0)),
        ("timestamp", cbor_head(1, 5)),
        ("timestamp", vec![0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("pcrs", cbor_registers(&[])),
        ("pcrs", register(32, 48)),
        ("pcrs", register(u64::MAX, 48)),
        ("pcrs", register(0, 47)),
        ("pcrs", register(0, 20)),
        ("pcrs", cbor_registers(&[(1, vec![1; 48]), (1, vec![2; 48])])),
        ("certificate", cbor_bytes(b"")),
        ("certificate", long(1025)),
        ("cabundle", vec![0x80]),
        ("cabundle", [vec![0x81], long(0)].concat()),
        ("cabundle", [vec![0x89], long(1).repeat(9)].concat()),
        ("public_key", cbor_bytes(b"")),
        ("public_key", long(1025)),
        ("user_data", long(1025)),
        ("user_data", cbor_text("text")),
        ("nonce", vec![0xf5]),
        ("more", cbor_bytes(b"unknown")),
        // Deeper than anything that is read: arrays in arrays.
        ("user_data", [vec![0x81; 900], vec![0x80]].concat()),
        ("pcrs", [vec![0xa1; 900], vec![0x80]].concat()),
        ("cabundle", vec![0x9f; 900]),
    ];
    for (name, value) in cases {
        let error = refusal_of_field(name, value.clone());
        assert!(matches!(error, AttestationError::Malformed(_)), "{name} {value:x?}: {error:?}");
    }
    for name in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        let mut without = PKI.document(&RECIPIENT);
        without.remove(name);
        let error = refusal(&without.sign(&PKI), &PKI);
        assert!(matches!(error, AttestationError::Malformed(_)), "{name}: {error:?}");
        let mut twice = PKI.document(&RECIPIENT);
        let again = twice.fields.iter().find(|(known, _)| known == name).unwrap().clone();
        twice.fields.push(again);
        assert_eq!(refusal(&twice.sign(&PKI), &PKI), AttestationError::Malformed(name_of(name)));
    }
    for name in ["user_data", "nonce"] {
        let mut without = PKI.document(&RECIPIENT);
        without.remove(name);
        verified(&without.sign(&PKI), &PKI);
        verified(&PKI.document(&RECIPIENT).set(name, long(1024)).sign(&PKI), &PKI);
    }
}

fn name_of(name: &str) -> &'static str {
    ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap()
}

#[test]
fn what_is_no_document_or_too_long_is_malformed() {
    let document = PKI.document(&RECIPIENT).sign(&PKI);
    let mut header = PKI.document(&RECIPIENT);
    header.unprotected = vec![0xa1, 0x04, 0x41, 0x00];
    let cases = [
        vec![],
        b"not CBOR at all".to_vec(),
        vec![0xf6],
        vec![0x84],
        [document.as_slice(), &[0]].concat(),
        [&[0xd2, 0xd2][..], &document].concat(),
        [&[0x85][..], &document[1..], &[0xf6]].concat(),
        [&[0x83][..], &document[1..]].concat(),
        vec![0x9f; 16_000],
        [document.as_slice(), &vec![0; 20_000]].concat(),
        PKI.document(&RECIPIENT).enclose(&vec![0xa0; 16_385], &[1; 96]),
        PKI.document(&RECIPIENT).enclose(&[0xa0], &[1; 96]),
        header.sign(&PKI),
    ];
    for bytes in cases {
        let error = refusal(&bytes, &PKI);
        assert!(matches!(error, AttestationError::Malformed(_)), "{:x?}", &bytes[..bytes.len().min(20)]);
    }
    for cut in (0..document.len()).step_by(37) {
        assert!(matches!(refusal(&document[..cut], &PKI), AttestationError::Malformed(_)), "{cut}");
    }
}

#[test]
fn without_an_rsa_key_there_is_nobody_to_answer() {
    let without = Document::new(&PKI, None);
    assert_eq!(refusal(&without.sign(&PKI), &PKI), AttestationError::NoPublicKey);
    let mut left_out = without;
    left_out.remove("public_key");
    assert_eq!(refusal(&left_out.sign(&PKI), &PKI), AttestationError::NoPublicKey);

    let spki = RECIPIENT.spki();
    let of_a_curve = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let small: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    for key in [
        rcgen::PublicKeyData::subject_public_key_info(&of_a_curve),
        b"dummy".to_vec(),
        // The key alone, without its algorithm; with bytes behind it; cut off.
        spki[24..].to_vec(),
        [spki.as_slice(), &[0]].concat(),
        spki[..spki.len() - 1].to_vec(),
        small.to_vec(),
    ] {
        assert_eq!(refusal_of_field("public_key", cbor_bytes(&key)), AttestationError::NotRsa);
    }
}

#[test]
fn roots_are_certificates_of_authorities() {
    let refused = |text: &[u8]| Root::from_pem(text).err().unwrap();
    assert_eq!(refused(b""), RootError::NotPem);
    assert_eq!(refused(RECIPIENT.private_pem().as_bytes()), RootError::NotPem);
    assert_eq!(refused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), RootError::NotPem);
    assert_eq!(refused(PKI.root_pem.repeat(17).as_bytes()), RootError::TooMany);
    assert_eq!(refused(&vec![b'\n'; 64 * 1024 + 1]), RootError::TooMany);
    let not_an_authority = Pki::with(|place, params| {
        if place == Place::Root {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        }
    });
    assert_eq!(refused(not_an_authority.root_pem.as_bytes()), RootError::NotAnAuthority);
    let leaf = STANDARD.encode(&PKI.leaf);
    let leaf = format!("-----BEGIN CERTIFICATE-----\n{leaf}\n-----END CERTIFICATE-----\n");
    assert_eq!(refused(leaf.as_bytes()), RootError::NotAnAuthority);
}

#[test]
fn an_answer_opens_for_the_attested_key_alone() {
    let attestation = verified(&PKI.document(&RECIPIENT).sign(&PKI), &PKI);
    for length in [0, 1, 15, 16, 17, 32, 1024, 4096] {
        let plaintext: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let answer = envelop(&attestation, &plaintext, &SystemRng).unwrap();
        assert_eq!(open(&answer, &RECIPIENT).unwrap(), plaintext);
        assert!(length < 16 || !answer.windows(16).any(|window| window == &plaintext[..16]));
        assert_eq!(open(&answer, &RecipientKey::new()), None);
    }
    let one = envelop(&attestation, b"same", &SystemRng).unwrap();
    let other = envelop(&attestation, b"same", &SystemRng).unwrap();
    assert_ne!(one, other);
}

/// The answer of the real service that github.com/aws/aws-nitro-enclaves-sdk-c keeps in `tests/cms_test.c`, without its
/// variable parts: the key's name, the encrypted key, the IV, the content.
#[test]
fn an_answer_is_laid_out_as_that_of_the_real_service() {
    let attestation = verified(&PKI.document(&RECIPIENT).sign(&PKI), &PKI);
    let answer = envelop(&attestation, &[7; 32], &SeededRng::new(1)).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let head = "308006092a864886f70d010703a080308002010231 82016b308201670201028020".replace(' ', "");
    let algorithm = "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d\
                     0609608648016503040201050004820100";
    let content = "308006092a864886f70d010701301d060960864801650304012a0410";
    let mut at = 0;
    for (expected, variable) in
        [(head.as_str(), 32), (algorithm, 256), (content, 16), ("a0800430", 48), ("00000000000000000000", 0)]
    {
        let length = expected.len() / 2;
        assert_eq!(hex(&answer[at..at + length]), expected);
        at += length + variable;
    }
    assert_eq!(at, answer.len());
    let named = head.len() / 2;
    assert_eq!(answer[named..named + 32], sha256(&[&RECIPIENT.spki()]));
}

/// Reads the answer by position, as that layout has it, and opens it.
fn open(answer: &[u8], recipient: &RecipientKey) -> Option<Vec<u8>> {
    let at_key = 33 + 32 + 62 + 4;
    let key = PrivateKey::from_pem(recipient.private_pem().as_bytes()).unwrap();
    let key = key.decrypt(RsaPadding::OaepSha256, &answer[at_key..at_key + 256]).ok()?;
    let at_iv = at_key + 256 + 28;
    let iv: &[u8; 16] = answer[at_iv..at_iv + 16].try_into().unwrap();
    let content = &answer[at_iv + 16 + 3..answer.len() - 10];
    // The length of the octet string, in its short or a long form.
    let content = match content[0] {
        short @ ..0x80 => &content[1..][..usize::from(short)],
        long => &content[1 + usize::from(long & 0x7f)..],
    };
    let mut content = content.to_vec();
    let cipher =
        PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key.expose()).unwrap()).unwrap();
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    Some(cipher.decrypt(&mut content, context).unwrap().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is changed anywhere in a document, it says the same or nothing.
    #[test]
    fn a_changed_document_never_says_something_else(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| PKI.document(&RECIPIENT).sign(&PKI));
        let mut changed = DOCUMENT.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(verify(&changed, &roots(&PKI), NOW_MS).is_err(), "byte {}", at);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let document = PKI.document(&RECIPIENT);
        prop_assert!(verify(&bytes, &roots(&PKI), NOW_MS).is_err());
        prop_assert!(verify(&document.enclose(&bytes, &[1; 96]), &roots(&PKI), NOW_MS).is_err());
    }
}
