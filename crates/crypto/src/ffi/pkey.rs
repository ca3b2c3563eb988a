//! Asymmetric keys of every kind, as aws-lc's `EVP_PKEY`.
//!
//! One type for all of them, since aws-lc-rs has no Ed25519ph, takes no external mu and no seed of ML-KEM, keeps a type for
//! each use of the same key, and leaves copies of private keys behind when it encodes them. Here a private key goes
//! from the caller's memory into aws-lc's and back, with nothing between; aws-lc wipes what it frees.

use super::Md;
use aws_lc_sys as lc;
use bulla_api::SecretBytes;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use zeroize::Zeroizing;

/// aws-lc answered "no": to a key, a signature or a ciphertext that doesn't hold, or to a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

fn yes(answer: c_int) -> Result<(), Refused> {
    if answer == 1 { Ok(()) } else { Err(Refused) }
}

/// What a key is for aws-lc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RSA with a modulus of exactly so many bits, for all paddings (not restricted to PSS).
    Rsa { bits: c_int },
    /// A point on a named curve.
    Ec(Curve),
    /// Ed25519, also for Ed25519ph.
    Ed25519,
    /// ML-DSA, by the number that aws-lc gives to the parameter set.
    MlDsa { nid: c_int },
    /// ML-KEM, likewise.
    MlKem { nid: c_int },
}

/// A named curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

impl Curve {
    const fn nid(self) -> c_int {
        match self {
            Self::P256 => lc::NID_X9_62_prime256v1,
            Self::P384 => lc::NID_secp384r1,
            Self::P521 => lc::NID_secp521r1,
            Self::Secp256k1 => lc::NID_secp256k1,
        }
    }

    /// Bytes of a coordinate.
    pub(crate) const fn field_bytes(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

pub(crate) const ML_DSA_44: Kind = Kind::MlDsa { nid: lc::NID_MLDSA44 };
pub(crate) const ML_DSA_65: Kind = Kind::MlDsa { nid: lc::NID_MLDSA65 };
pub(crate) const ML_DSA_87: Kind = Kind::MlDsa { nid: lc::NID_MLDSA87 };
pub(crate) const ML_KEM_512: Kind = Kind::MlKem { nid: lc::NID_MLKEM512 };
pub(crate) const ML_KEM_768: Kind = Kind::MlKem { nid: lc::NID_MLKEM768 };
pub(crate) const ML_KEM_1024: Kind = Kind::MlKem { nid: lc::NID_MLKEM1024 };

/// How a digest becomes a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1(Md),
    /// RSASSA-PSS, MGF1 with the same hash, a salt as long as the digest.
    Pss(Md),
    /// As the key has it: ECDSA over a digest, ML-DSA over mu.
    Plain,
}

/// A private or a public key. aws-lc keeps it and wipes it when it is dropped. No `Debug`, no `Clone`.
pub(crate) struct Pkey(NonNull<lc::EVP_PKEY>);

// SAFETY: the key is plain memory owned by this struct alone; nothing of it is bound to a thread.
unsafe impl Send for Pkey {}
// SAFETY: what takes `&self` only reads the key; its reference count and what RSA computes ahead at first use are guarded by
// aws-lc itself (openssl/evp.h, openssl/rsa.h: a key may be used by several threads as long as none changes it).
unsafe impl Sync for Pkey {}

impl Drop for Pkey {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once.
        unsafe { lc::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

impl Pkey {
    /// Takes over a key that aws-lc made; null is its "no".
    fn owned(key: *mut lc::EVP_PKEY) -> Result<Self, Refused> {
        NonNull::new(key).map(Self).ok_or(Refused)
    }

    /// From PKCS#8 (RFC 5208, RFC 5958) and nothing after it. aws-lc checks that the parts of the key fit each other.
    pub(crate) fn parse_private(pkcs8: &[u8]) -> Result<Self, Refused> {
        let mut cbs = lc::CBS { data: pkcs8.as_ptr(), len: pkcs8.len() };
        // SAFETY: `cbs` spans `pkcs8`, which outlives the call; aws-lc copies what it keeps.
        let key = Self::owned(unsafe { lc::EVP_parse_private_key(&mut cbs) })?;
        if cbs.len == 0 { Ok(key) } else { Err(Refused) }
    }

    /// From a DER SubjectPublicKeyInfo (RFC 5280) and nothing after it. aws-lc checks that a point lies on its curve.
    pub(crate) fn parse_public(spki: &[u8]) -> Result<Self, Refused> {
        let mut cbs = lc::CBS { data: spki.as_ptr(), len: spki.len() };
        // SAFETY: as in `parse_private`.
        let key = Self::owned(unsafe { lc::EVP_parse_public_key(&mut cbs) })?;
        if cbs.len == 0 { Ok(key) } else { Err(Refused) }
    }

    /// A fresh RSA key with the public exponent 65537, from aws-lc's own randomness.
    pub(crate) fn generate_rsa(bits: c_int) -> Result<Self, Refused> {
        // SAFETY: the context is one for generating RSA keys.
        Self::generate(lc::EVP_PKEY_RSA, |context| unsafe {
            lc::EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits)
        })
    }

    /// A fresh key on the curve, from aws-lc's own randomness.
    pub(crate) fn generate_ec(curve: Curve) -> Result<Self, Refused> {
        // SAFETY: the context is one for generating EC keys.
        Self::generate(lc::EVP_PKEY_EC, |context| unsafe {
            lc::EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, curve.nid())
        })
    }

    fn generate(id: c_int, choose: impl FnOnce(*mut lc::EVP_PKEY_CTX) -> c_int) -> Result<Self, Refused> {
        // SAFETY: gives an initialised context or null; no engine.
        let context = Context::owned(unsafe { lc::EVP_PKEY_CTX_new_id(id, ptr::null_mut()) })?;
        // SAFETY: the context is valid.
        yes(unsafe { lc::EVP_PKEY_keygen_init(context.0.as_ptr()) })?;
        yes(choose(context.0.as_ptr()))?;
        let mut key = ptr::null_mut();
        // SAFETY: the context is valid and set up; a null target has aws-lc make the key, which is then ours.
        yes(unsafe { lc::EVP_PKEY_keygen(context.0.as_ptr(), &mut key) })?;
        Self::owned(key)
    }

    /// Whether it is a key of this kind. An EC key whose curve was spelled out instead of named is of none (RFC 5480,
    /// section 2.1.1).
    pub(crate) fn is(&self, kind: Kind) -> bool {
        let key = self.0.as_ptr();
        // SAFETY: the key is valid.
        let id = unsafe { lc::EVP_PKEY_id(key) };
        match kind {
            // SAFETY: the key is valid and RSA.
            Kind::Rsa { bits } => id == lc::EVP_PKEY_RSA && unsafe { lc::EVP_PKEY_bits(key) } == bits,
            Kind::Ec(curve) => id == lc::EVP_PKEY_EC && self.curve_nid() == Some(curve.nid()),
            Kind::Ed25519 => id == lc::EVP_PKEY_ED25519,
            // SAFETY: the key is valid; aws-lc checks the type.
            Kind::MlDsa { nid } => {
                id == lc::EVP_PKEY_PQDSA && unsafe { lc::EVP_PKEY_pqdsa_get_type(key) } == nid
            }
            // SAFETY: likewise.
            Kind::MlKem { nid } => id == lc::EVP_PKEY_KEM && unsafe { lc::EVP_PKEY_kem_get_type(key) } == nid,
        }
    }

    fn curve_nid(&self) -> Option<c_int> {
        // SAFETY: the key is valid; null when it isn't EC, and else borrowed from it.
        let ec = unsafe { lc::EVP_PKEY_get0_EC_KEY(self.0.as_ptr()) };
        // SAFETY: all three only read a key that lives as long as `self`; a key of an EC type has a group.
        unsafe {
            if ec.is_null() || lc::EC_KEY_decoded_from_explicit_params(ec) != 0 {
                return None;
            }
            Some(lc::EC_GROUP_get_curve_name(lc::EC_KEY_get0_group(ec)))
        }
    }

    /// What is asked of a private key from outside beyond what parsing checks, and makes it encode like one made here:
    /// with an RSA key's primes, whose signature must hold, and FIPS 186-5's bounds for its exponent; an EC key with its
    /// public point, uncompressed; an ML-KEM key that opens what it encapsulates.
    pub(crate) fn check_private(&mut self) -> Result<(), Refused> {
        let key = self.0.as_ptr();
        // SAFETY: the key is valid.
        match unsafe { lc::EVP_PKEY_id(key) } {
            lc::EVP_PKEY_RSA => {
                let (mut p, mut q) = (ptr::null(), ptr::null());
                // SAFETY: the key is valid and RSA, so its RSA key is there, borrowed; both targets are valid.
                let answer = unsafe {
                    let rsa = lc::EVP_PKEY_get0_RSA(key);
                    lc::RSA_get0_factors(rsa, &mut p, &mut q);
                    lc::RSA_check_fips(rsa)
                };
                if p.is_null() || q.is_null() { Err(Refused) } else { yes(answer) }
            }
            lc::EVP_PKEY_EC => {
                // SAFETY: the key is valid and EC, so its EC key is there, borrowed, and `&mut self` lets it be changed;
                // what is changed is how it is encoded.
                yes(unsafe {
                    let ec = lc::EVP_PKEY_get0_EC_KEY(key);
                    lc::EC_KEY_set_enc_flags(ec, 0);
                    lc::EC_KEY_set_conv_form(ec, lc::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED);
                    lc::EC_KEY_check_key(ec)
                })
            }
            // SAFETY: the key is valid.
            lc::EVP_PKEY_KEM => yes(unsafe { lc::EVP_PKEY_kem_check_key(key) }),
            _ => Ok(()),
        }
    }

    /// Its PKCS#8, for keys that were generated or have passed [`Self::check_private`] one and the same for one key.
    pub(crate) fn private_der(&self) -> Result<SecretBytes, Refused> {
        let mut der = SecretBytes::zeroed(PRIVATE_DER_MAX_BYTES);
        // SAFETY: the builder and the key are valid.
        let length =
            encode(der.expose_mut(), |cbb| unsafe { lc::EVP_marshal_private_key(cbb, self.0.as_ptr()) })?;
        der.truncate(length);
        Ok(der)
    }

    /// The private key as its standard has it, for ML-KEM: the expanded decapsulation key (FIPS 203, section 7.1).
    pub(crate) fn raw_private(&self, bytes: usize) -> Result<SecretBytes, Refused> {
        let mut raw = SecretBytes::zeroed(bytes);
        let mut length = bytes;
        // SAFETY: `raw` is valid for `length` bytes, which aws-lc checks.
        yes(unsafe {
            lc::EVP_PKEY_get_raw_private_key(self.0.as_ptr(), raw.expose_mut().as_mut_ptr(), &mut length)
        })?;
        if length == bytes { Ok(raw) } else { Err(Refused) }
    }

    /// Its public half as a DER SubjectPublicKeyInfo.
    pub(crate) fn public_der(&self) -> Result<Vec<u8>, Refused> {
        let mut der = vec![0; PUBLIC_DER_MAX_BYTES];
        // SAFETY: the builder and the key are valid.
        let length = encode(&mut der, |cbb| unsafe { lc::EVP_marshal_public_key(cbb, self.0.as_ptr()) })?;
        der.truncate(length);
        Ok(der)
    }

    /// Signs a digest that the caller has made, of the scheme's length.
    pub(crate) fn sign_digest(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        let context = self.context()?;
        // SAFETY: the context is valid.
        yes(unsafe { lc::EVP_PKEY_sign_init(context.0.as_ptr()) })?;
        context.set_scheme(scheme)?;
        let mut signature = vec![0; self.signature_max_bytes()];
        let mut length = signature.len();
        // SAFETY: `signature` is valid for `length` bytes, which aws-lc checks and shortens; `digest` for its own.
        yes(unsafe {
            lc::EVP_PKEY_sign(
                context.0.as_ptr(),
                signature.as_mut_ptr(),
                &mut length,
                digest.as_ptr(),
                digest.len(),
            )
        })?;
        signature.truncate(length);
        Ok(signature)
    }

    /// Whether `signature` is that of a digest.
    pub(crate) fn verify_digest(
        &self,
        scheme: Scheme,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        let context = self.context()?;
        // SAFETY: the context is valid.
        yes(unsafe { lc::EVP_PKEY_verify_init(context.0.as_ptr()) })?;
        context.set_scheme(scheme)?;
        // SAFETY: both slices are valid for their lengths and only read.
        yes(unsafe {
            lc::EVP_PKEY_verify(
                context.0.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                digest.as_ptr(),
                digest.len(),
            )
        })
    }

    /// Signs a whole message with a key that hashes by itself: pure Ed25519, pure ML-DSA without a context.
    pub(crate) fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let context = MessageContext::new()?;
        // SAFETY: the context and the key are valid; no hash, as these keys demand, and no engine.
        yes(unsafe {
            lc::EVP_DigestSignInit(
                context.0.as_ptr(),
                ptr::null_mut(),
                ptr::null(),
                ptr::null_mut(),
                self.0.as_ptr(),
            )
        })?;
        let mut signature = vec![0; self.signature_max_bytes()];
        let mut length = signature.len();
        // SAFETY: as in `sign_digest`.
        yes(unsafe {
            lc::EVP_DigestSign(
                context.0.as_ptr(),
                signature.as_mut_ptr(),
                &mut length,
                message.as_ptr(),
                message.len(),
            )
        })?;
        signature.truncate(length);
        Ok(signature)
    }

    /// Whether `signature` is that of a whole message.
    pub(crate) fn verify_message(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let context = MessageContext::new()?;
        // SAFETY: as in `sign_message`.
        yes(unsafe {
            lc::EVP_DigestVerifyInit(
                context.0.as_ptr(),
                ptr::null_mut(),
                ptr::null(),
                ptr::null_mut(),
                self.0.as_ptr(),
            )
        })?;
        // SAFETY: both slices are valid for their lengths and only read.
        yes(unsafe {
            lc::EVP_DigestVerify(
                context.0.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                message.as_ptr(),
                message.len(),
            )
        })
    }

    /// Signs a message with Ed25519ph (RFC 8032, section 5.1), the empty context, by an Ed25519 key.
    pub(crate) fn sign_ed25519ph(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut private = Zeroizing::new([0; ED25519_SEED_BYTES + ED25519_PUBLIC_BYTES]);
        let (seed, public) = private.split_at_mut(ED25519_SEED_BYTES);
        let mut length = seed.len();
        // SAFETY: `seed` is valid for `length` bytes, which aws-lc checks; it refuses keys without a raw private half.
        yes(unsafe { lc::EVP_PKEY_get_raw_private_key(self.0.as_ptr(), seed.as_mut_ptr(), &mut length) })?;
        public.copy_from_slice(&self.ed25519_public()?);
        if length != ED25519_SEED_BYTES {
            return Err(Refused);
        }
        let mut signature = vec![0; ED25519_SIGNATURE_BYTES];
        // SAFETY: the signature has the 64 bytes that are written, the private key is seed and public key, 64 bytes;
        // `message` is valid for its length; an empty slice's pointer is valid for no bytes.
        yes(unsafe {
            lc::ED25519ph_sign(
                signature.as_mut_ptr(),
                message.as_ptr(),
                message.len(),
                private.as_ptr(),
                [].as_ptr(),
                0,
            )
        })?;
        Ok(signature)
    }

    /// Whether `signature` is that of a message with Ed25519ph, the empty context.
    pub(crate) fn verify_ed25519ph(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let public = self.ed25519_public()?;
        if signature.len() != ED25519_SIGNATURE_BYTES {
            return Err(Refused);
        }
        // SAFETY: signature and public key have the 64 and 32 bytes that are read; the rest as in `sign_ed25519ph`.
        yes(unsafe {
            lc::ED25519ph_verify(
                message.as_ptr(),
                message.len(),
                signature.as_ptr(),
                public.as_ptr(),
                [].as_ptr(),
                0,
            )
        })
    }

    /// RSAES-OAEP with MGF1 of the same hash and an empty label. The randomness is aws-lc's own.
    pub(crate) fn encrypt_oaep(&self, md: Md, plaintext: &[u8]) -> Result<Vec<u8>, Refused> {
        let context = self.context()?;
        // SAFETY: the context is valid.
        yes(unsafe { lc::EVP_PKEY_encrypt_init(context.0.as_ptr()) })?;
        context.set_oaep(md)?;
        let mut ciphertext = vec![0; self.signature_max_bytes()];
        let mut length = ciphertext.len();
        // SAFETY: `ciphertext` is valid for `length` bytes, which aws-lc checks and shortens; `plaintext` for its own.
        yes(unsafe {
            lc::EVP_PKEY_encrypt(
                context.0.as_ptr(),
                ciphertext.as_mut_ptr(),
                &mut length,
                plaintext.as_ptr(),
                plaintext.len(),
            )
        })?;
        ciphertext.truncate(length);
        Ok(ciphertext)
    }

    /// The way back. Whatever is wrong with the padding, aws-lc takes the same time over it.
    pub(crate) fn decrypt_oaep(&self, md: Md, ciphertext: &[u8]) -> Result<SecretBytes, Refused> {
        let context = self.context()?;
        // SAFETY: the context is valid.
        yes(unsafe { lc::EVP_PKEY_decrypt_init(context.0.as_ptr()) })?;
        context.set_oaep(md)?;
        let mut plaintext = SecretBytes::zeroed(self.signature_max_bytes());
        let mut length = plaintext.len();
        // SAFETY: as in `encrypt_oaep`; aws-lc writes no more than the modulus has, which `plaintext` is long.
        yes(unsafe {
            lc::EVP_PKEY_decrypt(
                context.0.as_ptr(),
                plaintext.expose_mut().as_mut_ptr(),
                &mut length,
                ciphertext.as_ptr(),
                ciphertext.len(),
            )
        })?;
        plaintext.truncate(length);
        Ok(plaintext)
    }

    /// The x coordinate of the point that this private key and another's public one agree on, `field_bytes` of it: all
    /// that the curve has. aws-lc refuses a peer on another curve.
    pub(crate) fn derive(&self, peer: &Self, field_bytes: usize) -> Result<SecretBytes, Refused> {
        let context = self.context()?;
        // SAFETY: the context is valid.
        yes(unsafe { lc::EVP_PKEY_derive_init(context.0.as_ptr()) })?;
        // SAFETY: the context and the peer are valid; the context counts a reference to the peer and doesn't change it.
        yes(unsafe { lc::EVP_PKEY_derive_set_peer(context.0.as_ptr(), peer.0.as_ptr()) })?;
        let mut secret = SecretBytes::zeroed(field_bytes);
        let mut length = secret.len();
        // SAFETY: `secret` is valid for `length` bytes; aws-lc writes no more.
        yes(unsafe {
            lc::EVP_PKEY_derive(context.0.as_ptr(), secret.expose_mut().as_mut_ptr(), &mut length)
        })?;
        if length == field_bytes { Ok(secret) } else { Err(Refused) }
    }

    /// A fresh secret and its ciphertext under this public key, of the lengths that the parameter set has. The randomness
    /// is aws-lc's own.
    pub(crate) fn encapsulate(
        &self,
        ciphertext_bytes: usize,
        secret_bytes: usize,
    ) -> Result<(Vec<u8>, SecretBytes), Refused> {
        let context = self.context()?;
        let mut ciphertext = vec![0; ciphertext_bytes];
        let mut secret = SecretBytes::zeroed(secret_bytes);
        let (mut ciphertext_length, mut secret_length) = (ciphertext_bytes, secret_bytes);
        // SAFETY: both targets are valid for their lengths, which aws-lc checks.
        yes(unsafe {
            lc::EVP_PKEY_encapsulate(
                context.0.as_ptr(),
                ciphertext.as_mut_ptr(),
                &mut ciphertext_length,
                secret.expose_mut().as_mut_ptr(),
                &mut secret_length,
            )
        })?;
        if (ciphertext_length, secret_length) == (ciphertext_bytes, secret_bytes) {
            Ok((ciphertext, secret))
        } else {
            Err(Refused)
        }
    }

    /// The secret of a ciphertext.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8], secret_bytes: usize) -> Result<SecretBytes, Refused> {
        let context = self.context()?;
        let mut secret = SecretBytes::zeroed(secret_bytes);
        let mut length = secret_bytes;
        // SAFETY: `secret` is valid for `length` bytes, which aws-lc checks; `ciphertext` for its own.
        yes(unsafe {
            lc::EVP_PKEY_decapsulate(
                context.0.as_ptr(),
                secret.expose_mut().as_mut_ptr(),
                &mut length,
                ciphertext.as_ptr(),
                ciphertext.len(),
            )
        })?;
        if length == secret_bytes { Ok(secret) } else { Err(Refused) }
    }

    fn ed25519_public(&self) -> Result<[u8; ED25519_PUBLIC_BYTES], Refused> {
        if !self.is(Kind::Ed25519) {
            return Err(Refused);
        }
        let mut public = [0; ED25519_PUBLIC_BYTES];
        let mut length = public.len();
        // SAFETY: `public` is valid for `length` bytes, which aws-lc checks.
        yes(unsafe { lc::EVP_PKEY_get_raw_public_key(self.0.as_ptr(), public.as_mut_ptr(), &mut length) })?;
        Ok(public)
    }

    /// Bytes of the longest signature, and of an RSA key's ciphertexts.
    fn signature_max_bytes(&self) -> usize {
        // SAFETY: the key is valid.
        usize::try_from(unsafe { lc::EVP_PKEY_size(self.0.as_ptr()) }).unwrap_or(0)
    }

    fn context(&self) -> Result<Context, Refused> {
        // SAFETY: the key is valid; the context counts a reference to it and doesn't change it; no engine.
        Context::owned(unsafe { lc::EVP_PKEY_CTX_new(self.0.as_ptr(), ptr::null_mut()) })
    }
}

const ED25519_SEED_BYTES: usize = 32;
const ED25519_PUBLIC_BYTES: usize = 32;
const ED25519_SIGNATURE_BYTES: usize = 64;

/// More than any PKCS#8 here: RSA with 4096 bits has 2375 or a few less.
const PRIVATE_DER_MAX_BYTES: usize = 4096;
/// More than any SubjectPublicKeyInfo here: that of ML-DSA-87 has 2614.
const PUBLIC_DER_MAX_BYTES: usize = 4096;

/// Has aws-lc encode straight into `out`, and gives how much it wrote.
fn encode(out: &mut [u8], write: impl FnOnce(*mut lc::CBB) -> c_int) -> Result<usize, Refused> {
    let mut cbb = MaybeUninit::uninit();
    // SAFETY: initialises all of `cbb` over `out`, which outlives it; it doesn't grow beyond.
    yes(unsafe { lc::CBB_init_fixed(cbb.as_mut_ptr(), out.as_mut_ptr(), out.len()) })?;
    let mut length = 0;
    // SAFETY: `cbb` is initialised; over a fixed buffer no pointer to the data is asked for.
    let answer = yes(write(cbb.as_mut_ptr()))
        .and_then(|()| yes(unsafe { lc::CBB_finish(cbb.as_mut_ptr(), ptr::null_mut(), &mut length) }));
    // SAFETY: `cbb` is initialised, and cleaning up after finishing is allowed.
    unsafe { lc::CBB_cleanup(cbb.as_mut_ptr()) };
    answer.map(|()| length)
}

/// An `EVP_PKEY_CTX`: one operation with a key.
struct Context(NonNull<lc::EVP_PKEY_CTX>);

impl Context {
    fn owned(context: *mut lc::EVP_PKEY_CTX) -> Result<Self, Refused> {
        NonNull::new(context).map(Self).ok_or(Refused)
    }

    /// OAEP of an RSA key; aws-lc refuses it for any other.
    fn set_oaep(&self, md: Md) -> Result<(), Refused> {
        let context = self.0.as_ptr();
        // SAFETY: the context is valid and initialised for encrypting or decrypting; hashes are static tables.
        yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_padding(context, lc::RSA_PKCS1_OAEP_PADDING) })?;
        // SAFETY: likewise.
        yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_oaep_md(context, md.table()) })?;
        // SAFETY: likewise.
        yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_mgf1_md(context, md.table()) })
    }

    /// The padding of an RSA key; aws-lc refuses it for any other.
    fn set_scheme(&self, scheme: Scheme) -> Result<(), Refused> {
        let context = self.0.as_ptr();
        match scheme {
            Scheme::Plain => Ok(()),
            Scheme::Pkcs1(md) => {
                // SAFETY: the context is valid and initialised for signing or verifying; hashes are static tables.
                yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_padding(context, lc::RSA_PKCS1_PADDING) })?;
                // SAFETY: likewise.
                yes(unsafe { lc::EVP_PKEY_CTX_set_signature_md(context, md.table()) })
            }
            Scheme::Pss(md) => {
                // SAFETY: as above.
                yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_padding(context, lc::RSA_PKCS1_PSS_PADDING) })?;
                // SAFETY: likewise.
                yes(unsafe { lc::EVP_PKEY_CTX_set_signature_md(context, md.table()) })?;
                // SAFETY: likewise.
                yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_mgf1_md(context, md.table()) })?;
                // SAFETY: likewise.
                yes(unsafe { lc::EVP_PKEY_CTX_set_rsa_pss_saltlen(context, lc::RSA_PSS_SALTLEN_DIGEST) })
            }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once.
        unsafe { lc::EVP_PKEY_CTX_free(self.0.as_ptr()) }
    }
}

/// An `EVP_MD_CTX`: one signature over a message.
struct MessageContext(NonNull<lc::EVP_MD_CTX>);

impl MessageContext {
    fn new() -> Result<Self, Refused> {
        // SAFETY: gives an initialised context or null.
        NonNull::new(unsafe { lc::EVP_MD_CTX_new() }).map(Self).ok_or(Refused)
    }
}

impl Drop for MessageContext {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once.
        unsafe { lc::EVP_MD_CTX_free(self.0.as_ptr()) }
    }
}
