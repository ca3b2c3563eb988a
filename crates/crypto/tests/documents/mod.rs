//! Attestation documents as Nitro makes them, and as it never would: certificates by rcgen, CBOR and COSE written here.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SigningKey, date_time_ymd,
};

/// 2026-11-23T12:00:00Z: within the day in which the leaf is valid.
pub const NOW_MS: i64 = 1_795_435_200_000;
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a certificate is in its chain, from the top.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Root,
    Region,
    Zone,
    Leaf,
}

/// A chain like AWS's, with a key of its own for each certificate.
pub struct Pki {
    pub root_pem: String,
    /// Root, region, zone.
    pub bundle: Vec<Vec<u8>>,
    pub leaf: Vec<u8>,
    pub leaf_key: KeyPair,
}

impl Pki {
    pub fn new() -> Self {
        Self::with(|_, _| ())
    }

    /// With certificates that differ from what Nitro makes.
    pub fn with(change: impl Fn(Place, &mut CertificateParams)) -> Self {
        Self::with_keys(change, |_| KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap())
    }

    pub fn with_keys(change: impl Fn(Place, &mut CertificateParams), key: impl Fn(Place) -> KeyPair) -> Self {
        let params = |place| {
            let mut params = params(place);
            change(place, &mut params);
            params
        };
        let root = params(Place::Root);
        let root_key = key(Place::Root);
        let certificate = root.self_signed(&root_key).unwrap();
        let (root_pem, mut bundle) = (certificate.pem(), vec![certificate.der().to_vec()]);
        let mut issuer = Issuer::new(root, root_key);
        for place in [Place::Region, Place::Zone] {
            let (params, key) = (params(place), key(place));
            bundle.push(params.signed_by(&key, &issuer).unwrap().der().to_vec());
            issuer = Issuer::new(params, key);
        }
        let leaf_key = key(Place::Leaf);
        let leaf = params(Place::Leaf).signed_by(&leaf_key, &issuer).unwrap().der().to_vec();
        Self { root_pem, bundle, leaf, leaf_key }
    }

    /// A document with everything right.
    pub fn document(&self, recipient: &RecipientKey) -> Document {
        Document::new(self, Some(recipient.spki()))
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

fn params(place: Place) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, format!("{place:?}.nitro-enclaves"));
    let authority = |length: Option<u8>| {
        IsCa::Ca(length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained))
    };
    let (from, to, is_ca, usage) = match place {
        Place::Root => ((2019, 10, 28), (2049, 10, 28), authority(None), KeyUsagePurpose::KeyCertSign),
        Place::Region => ((2026, 11, 10), (2026, 11, 30), authority(Some(1)), KeyUsagePurpose::KeyCertSign),
        Place::Zone => ((2026, 11, 20), (2026, 11, 26), authority(Some(0)), KeyUsagePurpose::KeyCertSign),
        Place::Leaf => {
            ((2026, 11, 23), (2026, 11, 24), IsCa::ExplicitNoCa, KeyUsagePurpose::DigitalSignature)
        }
    };
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
    params.is_ca = is_ca;
    params.key_usages = vec![usage];
    params
}

/// An RSA key whose holder gets the answer.
pub struct RecipientKey(KeyPair);

impl RecipientKey {
    pub fn new() -> Self {
        Self(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    }

    pub fn spki(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    pub fn private_pem(&self) -> String {
        self.0.serialize_pem()
    }
}

impl Default for RecipientKey {
    fn default() -> Self {
        Self::new()
    }
}

/// A document before it is signed: fields in their order, values in CBOR.
#[derive(Clone)]
pub struct Document {
    pub fields: Vec<(String, Vec<u8>)>,
    /// As Nitro writes it of late.
    pub indefinite: bool,
    pub protected: Vec<u8>,
    pub unprotected: Vec<u8>,
}

impl Document {
    pub fn new(pki: &Pki, public_key: Option<Vec<u8>>) -> Self {
        let bundle: Vec<Vec<u8>> = pki.bundle.iter().map(|der| cbor_bytes(der)).collect();
        let registers: Vec<(u64, Vec<u8>)> = (0..16).map(|number| (number, register(number))).collect();
        let fields = [
            ("module_id", cbor_text("i-0123456789abcdef0-enc0123456789abcdef")),
            ("digest", cbor_text("SHA384")),
            ("timestamp", cbor_head(0, u64::try_from(NOW_MS).unwrap() - 1000)),
            ("pcrs", cbor_registers(&registers)),
            ("certificate", cbor_bytes(&pki.leaf)),
            ("cabundle", [cbor_head(4, bundle.len() as u64), bundle.concat()].concat()),
            ("public_key", public_key.map_or(CBOR_NULL.to_vec(), |key| cbor_bytes(&key))),
            ("user_data", cbor_bytes(b"any")),
            ("nonce", CBOR_NULL.to_vec()),
        ];
        Self {
            fields: fields.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            indefinite: true,
            protected: vec![0xa1, 0x01, 0x38, 0x22],
            unprotected: vec![0xa0],
        }
    }

    /// As NitroTPM names its registers: all 24 of them.
    pub fn of_a_tpm(mut self) -> Self {
        let registers: Vec<(u64, Vec<u8>)> = (0..24).map(|number| (number, register(number))).collect();
        self.remove("pcrs");
        self.set("module_id", cbor_text("i-0123456789abcdef0-tpm0000000000000000"));
        self.fields.push(("nitrotpm_pcrs".to_owned(), cbor_registers(&registers)));
        self
    }

    pub fn set(&mut self, name: &str, value: Vec<u8>) -> &mut Self {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    pub fn payload(&self) -> Vec<u8> {
        let fields = self.fields.iter().flat_map(|(name, value)| [cbor_text(name), value.clone()].concat());
        let fields: Vec<u8> = fields.collect();
        if self.indefinite {
            [&[0xbf][..], &fields, &[0xff]].concat()
        } else {
            [cbor_head(5, self.fields.len() as u64), fields].concat()
        }
    }

    /// Signed with the key of the chain's leaf.
    pub fn sign(&self, pki: &Pki) -> Vec<u8> {
        self.sign_with(&pki.leaf_key)
    }

    pub fn sign_with(&self, key: &KeyPair) -> Vec<u8> {
        let payload = self.payload();
        let signed = [
            vec![0x84],
            cbor_text("Signature1"),
            cbor_bytes(&self.protected),
            cbor_bytes(b""),
            cbor_bytes(&payload),
        ]
        .concat();
        let signature = fixed_signature(&key.sign(&signed).unwrap());
        self.enclose(&payload, &signature)
    }

    /// Any payload with any signature.
    pub fn enclose(&self, payload: &[u8], signature: &[u8]) -> Vec<u8> {
        let headers = [cbor_bytes(&self.protected), self.unprotected.clone()].concat();
        [vec![0x84], headers, cbor_bytes(payload), cbor_bytes(signature)].concat()
    }
}

/// What the maker puts into a register.
pub fn register(number: u64) -> Vec<u8> {
    vec![0xa0 | u8::try_from(number).unwrap() & 0x0f; 48]
}

pub const CBOR_NULL: [u8; 1] = [0xf6];

pub fn cbor_head(major: u8, value: u64) -> Vec<u8> {
    let major = major << 5;
    let bytes = value.to_be_bytes();
    match value {
        0..24 => vec![major | bytes[7]],
        24..0x100 => vec![major | 24, bytes[7]],
        0x100..0x1_0000 => [&[major | 25][..], &bytes[6..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[major | 26][..], &bytes[4..]].concat(),
        _ => [&[major | 27][..], &bytes].concat(),
    }
}

pub fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    [cbor_head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

pub fn cbor_text(text: &str) -> Vec<u8> {
    [cbor_head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
}

pub fn cbor_registers(registers: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let entries =
        registers.iter().flat_map(|(number, value)| [cbor_head(0, *number), cbor_bytes(value)].concat());
    [cbor_head(5, registers.len() as u64), entries.collect()].concat()
}

/// From `SEQUENCE { INTEGER r, INTEGER s }` to two numbers of 48 bytes.
fn fixed_signature(der: &[u8]) -> Vec<u8> {
    // P-384 signatures have less than 128 bytes.
    let mut rest = &der[2..];
    let mut fixed = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        fixed.extend(std::iter::repeat_n(0, 48 - number.len()));
        fixed.extend_from_slice(number);
        rest = after;
    }
    fixed
}
