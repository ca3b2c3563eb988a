//! Writes messages as the format's description says, one field after the other, in every form that readers must
//! take: also those that this crate never writes (non-framed, full final frames, huge frames).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::ecdsa::{Curve, MessageHash, SigningKey};
use bulla_crypto::{AesGcm, hkdf};
use bulla_envelope::SuiteId;
use bulla_envelope::format::{Kdf, Signature};

/// What is written.
#[derive(Debug, Clone)]
pub struct Form {
    pub suite: SuiteId,
    /// `None` is non-framed.
    pub frame_length: Option<u32>,
    /// An exact multiple ends with a full final frame instead of an empty one.
    pub full_final_frame: bool,
    /// Name to value, in the order in which they are written.
    pub context: Vec<(String, String)>,
    /// Where data key and message id begin to count: another number gives another message.
    pub seed: u8,
}

impl Form {
    pub fn of(suite: SuiteId, frame_length: Option<u32>) -> Self {
        Self { suite, frame_length, full_final_frame: false, context: Vec::new(), seed: 0 }
    }
}

/// A message for the tests' raw key, in parts that can be rearranged.
pub struct Written {
    pub header: Vec<u8>,
    pub pieces: Vec<Vec<u8>>,
    pub footer: Vec<u8>,
}

impl Written {
    pub fn bytes(&self) -> Vec<u8> {
        [self.header.clone(), self.pieces.concat(), self.footer.clone()].concat()
    }
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

pub fn write(form: &Form, plaintext: &[u8]) -> Written {
    let suite = form.suite;
    let curve = suite.signature().map(|signature| match signature {
        Signature::EcdsaP256Sha256 => Curve::P256Sha256,
        Signature::EcdsaP384Sha384 => Curve::P384Sha384,
    });
    let signing = curve.map(|curve| SigningKey::generate(curve).unwrap());
    let mut context = form.context.clone();
    if let Some(signing) = &signing {
        let text = STANDARD.encode(signing.public_compressed().unwrap());
        context.push(("aws-crypto-public-key".to_owned(), text));
        context.sort();
    }
    let context_bytes = if context.is_empty() {
        Vec::new()
    } else {
        let mut bytes = (context.len() as u16).to_be_bytes().to_vec();
        for (name, value) in &context {
            bytes.extend(counted(name.as_bytes()));
            bytes.extend(counted(value.as_bytes()));
        }
        bytes
    };

    let data_key: Vec<u8> = (form.seed..).take(suite.key_bytes()).collect();
    let v2 = suite.commits();
    let message_id: Vec<u8> =
        if v2 { (0x20 + form.seed..).take(32).collect() } else { (form.seed..).take(16).collect() };
    let id = suite.id().to_be_bytes();
    let mut key = vec![0; suite.key_bytes()];
    let mut commitment = [0; 32];
    match suite.kdf() {
        Kdf::None => key.copy_from_slice(&data_key),
        Kdf::HkdfSha256 => hkdf::sha256(&[], &data_key, &[&id, &message_id], &mut key).unwrap(),
        Kdf::HkdfSha384 => hkdf::sha384(&[], &data_key, &[&id, &message_id], &mut key).unwrap(),
        Kdf::HkdfSha512Commit => {
            hkdf::sha512(&message_id, &data_key, &[&id, b"DERIVEKEY"], &mut key).unwrap();
            hkdf::sha512(&message_id, &data_key, &[b"COMMITKEY"], &mut commitment).unwrap();
        }
    }
    let cipher = AesGcm::new(&key).unwrap();

    let wrapping = AesGcm::new(&[7; 32]).unwrap();
    let mut wrapped = data_key.clone();
    let tag = wrapping.seal(&[0; 12], &context_bytes, &mut wrapped).unwrap();
    wrapped.extend(tag);
    let info = [b"kn".as_slice(), &128u32.to_be_bytes(), &12u32.to_be_bytes(), &[0; 12]].concat();

    let mut header = if v2 { vec![2] } else { vec![1, 0x80] };
    header.extend(id);
    header.extend(&message_id);
    header.extend(counted(&context_bytes));
    header.extend(1u16.to_be_bytes());
    header.extend(counted(b"ns"));
    header.extend(counted(&info));
    header.extend(counted(&wrapped));
    header.push(if form.frame_length.is_some() { 2 } else { 1 });
    if !v2 {
        header.extend([0, 0, 0, 0, 12]);
    }
    header.extend(form.frame_length.unwrap_or(0).to_be_bytes());
    if v2 {
        header.extend(commitment);
    }
    let tag = cipher.seal(&[0; 12], &header, &mut []).unwrap();
    if !v2 {
        header.extend([0; 12]);
    }
    header.extend(tag);

    let piece = |label: &str, sequence: u32, content: &[u8]| {
        let iv: [u8; 12] = [&[0; 8][..], &sequence.to_be_bytes()].concat().try_into().unwrap();
        let length = (content.len() as u64).to_be_bytes();
        let aad = [&message_id, label.as_bytes(), &sequence.to_be_bytes(), &length].concat();
        let mut content = content.to_vec();
        let tag = cipher.seal(&iv, &aad, &mut content).unwrap();
        (iv, [content, tag.to_vec()].concat())
    };
    let mut pieces = Vec::new();
    if let Some(length) = form.frame_length {
        let mut rest = plaintext;
        let mut sequence = 1u32;
        let ends = |rest: &[u8]| {
            rest.len() < length as usize || (form.full_final_frame && rest.len() == length as usize)
        };
        while !ends(rest) {
            let (frame, after) = rest.split_at(length as usize);
            let (iv, sealed) = piece("AWSKMSEncryptionClient Frame", sequence, frame);
            pieces.push([&sequence.to_be_bytes()[..], &iv, &sealed].concat());
            rest = after;
            sequence += 1;
        }
        let (iv, sealed) = piece("AWSKMSEncryptionClient Final Frame", sequence, rest);
        let bytes = (rest.len() as u32).to_be_bytes();
        pieces.push([&[0xff; 4][..], &sequence.to_be_bytes(), &iv, &bytes, &sealed].concat());
    } else {
        let (iv, sealed) = piece("AWSKMSEncryptionClient Single Block", 1, plaintext);
        pieces.push([&iv[..], &(plaintext.len() as u64).to_be_bytes(), &sealed].concat());
    }

    let footer = match (curve, signing) {
        (Some(curve), Some(signing)) => {
            let mut hash = MessageHash::new(curve);
            hash.update(&header);
            hash.update(&pieces.concat());
            counted(&signing.sign(&hash.finish()).unwrap())
        }
        _ => Vec::new(),
    };
    Written { header, pieces, footer }
}
