//! AES-GCM with 96-bit nonces and 128-bit tags, for keys of 128, 192 and 256 bits. Source: NIST SP 800-38D.
//!
//! Under one key, no nonce may seal two different messages: it would give the authentication key away. Callers derive a
//! key for each message, or number the pieces of one.

use crate::ffi::{Direction, GcmContext, RingGcm};
use crate::{NotAuthentic, WrongLength};
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// Which code computes AES-GCM. The results are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// aws-lc: the fastest with AVX-512, and the one for everything short.
    AwsLc,
    /// ring, for keys of 128 and 256 bits: twice as fast where a processor has vectors of 256 bits for AES (VAES with AVX2) and
    /// none of 512, which aws-lc makes no use of.
    Ring,
}

impl Implementation {
    /// The faster one for long pieces on this processor.
    #[must_use]
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let wide = has!("vaes") && has!("vpclmulqdq") && has!("avx2") && has!("bmi2");
            // What aws-lc asks of a processor before it uses vectors of 512 bits.
            let wider = has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl");
            if wide && !wider {
                return Self::Ring;
            }
        }
        Self::AwsLc
    }
}

/// A key ready to seal and open whole pieces, from several threads at once.
///
/// The key schedule lies in one place on the heap, which is wiped when it is dropped. No `Debug`, no `Clone`.
pub struct AesGcm(Cipher);

enum Cipher {
    AwsLc(LessSafeKey),
    Ring(RingGcm),
}

impl AesGcm {
    /// From a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`WrongLength`] for any other length.
    pub fn new(key: &[u8]) -> Result<Self, WrongLength> {
        Self::by(Implementation::AwsLc, key)
    }

    /// From a key of 16, 24 or 32 bytes, for many or long pieces: by the implementation that is fastest for them here.
    ///
    /// # Errors
    /// [`WrongLength`] for any other length.
    pub fn for_bulk(key: &[u8]) -> Result<Self, WrongLength> {
        Self::by(Implementation::fastest(), key)
    }

    /// From a key of 16, 24 or 32 bytes, by a chosen implementation. (Keys of 24 bytes are aws-lc's.)
    ///
    /// # Errors
    /// [`WrongLength`] for any other length.
    pub fn by(implementation: Implementation, key: &[u8]) -> Result<Self, WrongLength> {
        let refused = WrongLength { what: "the AES key" };
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            _ => return Err(refused),
        };
        if implementation == Implementation::Ring
            && let Some(key) = RingGcm::new(key)
        {
            return Ok(Self(Cipher::Ring(key)));
        }
        let key = UnboundKey::new(algorithm, key).map_err(|_| refused)?;
        Ok(Self(Cipher::AwsLc(LessSafeKey::new(key))))
    }

    /// Seals in place and gives the tag.
    ///
    /// # Errors
    /// [`WrongLength`] for 64 GiB and more, of which nothing is then sealed.
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<[u8; 16], WrongLength> {
        let mut tag = [0; TAG_BYTES];
        let sealed = match &self.0 {
            Cipher::AwsLc(key) => {
                key.seal_in_place_scatter(nonce_of(nonce), Aad::from(aad), in_out, &[], &mut tag).is_ok()
            }
            Cipher::Ring(key) => key.seal(nonce, aad, in_out, &mut tag),
        };
        if sealed { Ok(tag) } else { Err(WrongLength { what: "the AES-GCM message" }) }
    }

    /// Opens in place.
    ///
    /// # Errors
    /// [`NotAuthentic`] when the tag doesn't hold; `in_out` is then zeroed.
    pub fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        in_out: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), NotAuthentic> {
        let opened = match &self.0 {
            Cipher::AwsLc(key) => {
                key.open_in_place_separate_tag(nonce_of(nonce), Aad::from(aad), tag, in_out).is_ok()
            }
            Cipher::Ring(key) => key.open(nonce, aad, in_out, tag),
        };
        if opened { Ok(()) } else { refuse(in_out) }
    }

    /// Seals from one place to another, and gives the tag.
    ///
    /// # Errors
    /// [`WrongLength`] when `out` is not as long as `plaintext`, or for 64 GiB and more; `out` is then worth nothing.
    pub fn seal_from(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; 16], WrongLength> {
        let mut tag = [0; TAG_BYTES];
        let sealed = match &self.0 {
            Cipher::AwsLc(key) => key
                .seal_out_of_place_scatter(nonce_of(nonce), Aad::from(aad), plaintext, out, &[], &mut tag)
                .is_ok(),
            Cipher::Ring(key) => copy(plaintext, out) && key.seal(nonce, aad, out, &mut tag),
        };
        if sealed { Ok(tag) } else { Err(WrongLength { what: "the output" }) }
    }

    /// Opens from one place to another.
    ///
    /// # Errors
    /// [`NotAuthentic`] when the tag doesn't hold, or `out` is not as long as `ciphertext`; `out` is then zeroed.
    pub fn open_from(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; 16],
        out: &mut [u8],
    ) -> Result<(), NotAuthentic> {
        let opened = match &self.0 {
            Cipher::AwsLc(key) => {
                key.open_separate_gather(nonce_of(nonce), Aad::from(aad), ciphertext, tag, out).is_ok()
            }
            Cipher::Ring(key) => copy(ciphertext, out) && key.open(nonce, aad, out, tag),
        };
        if opened { Ok(()) } else { refuse(out) }
    }
}

/// What doesn't hold gives nothing.
fn refuse(out: &mut [u8]) -> Result<(), NotAuthentic> {
    out.fill(0);
    Err(NotAuthentic)
}

/// False, and nothing copied, when the lengths differ.
fn copy(from: &[u8], to: &mut [u8]) -> bool {
    let same = from.len() == to.len();
    if same {
        to.copy_from_slice(from);
    }
    same
}

/// The caller answers for uniqueness, as the module's page says.
fn nonce_of(nonce: &[u8; 12]) -> Nonce {
    Nonce::assume_unique_for_key(*nonce)
}

/// One message being sealed piece by piece: for messages larger than memory. The context is wiped when dropped.
pub struct SealStream(GcmContext);

impl SealStream {
    /// Begins a message under a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`WrongLength`] for any other key length.
    pub fn new(key: &[u8], nonce: &[u8; 12], aad: &[u8]) -> Result<Self, WrongLength> {
        GcmContext::new(key, nonce, aad, Direction::Seal).map(Self)
    }

    /// Seals the next piece, in place.
    ///
    /// # Errors
    /// [`WrongLength`] when the message would pass 64 GiB less 32 bytes.
    pub fn update(&mut self, in_out: &mut [u8]) -> Result<(), WrongLength> {
        self.0.update(in_out)
    }

    /// Seals the next piece, from one place to another of the same length.
    ///
    /// # Errors
    /// [`WrongLength`] as [`Self::update`], or when the lengths differ.
    pub fn update_from(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<(), WrongLength> {
        self.0.update_from(plaintext, out)
    }

    /// Ends the message and gives its tag.
    #[must_use]
    pub fn finish(self) -> [u8; 16] {
        self.0.finish_seal()
    }
}

/// One message being opened piece by piece. The context is wiped when dropped.
///
/// What [`Self::update`] gives is **not yet authentic**: it must go nowhere but where [`Self::finish`]'s refusal takes it
/// back, such as an unnamed file or memory that is wiped.
pub struct OpenStream(GcmContext);

impl OpenStream {
    /// Begins a message under a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`WrongLength`] for any other key length.
    pub fn new(key: &[u8], nonce: &[u8; 12], aad: &[u8]) -> Result<Self, WrongLength> {
        GcmContext::new(key, nonce, aad, Direction::Open).map(Self)
    }

    /// Decrypts the next piece, in place.
    ///
    /// # Errors
    /// [`WrongLength`] when the message would pass 64 GiB less 32 bytes.
    pub fn update(&mut self, in_out: &mut [u8]) -> Result<(), WrongLength> {
        self.0.update(in_out)
    }

    /// Decrypts the next piece, from one place to another of the same length.
    ///
    /// # Errors
    /// [`WrongLength`] as [`Self::update`], or when the lengths differ.
    pub fn update_from(&mut self, ciphertext: &[u8], out: &mut [u8]) -> Result<(), WrongLength> {
        self.0.update_from(ciphertext, out)
    }

    /// Ends the message: only now is all that came out of it authentic.
    ///
    /// # Errors
    /// [`NotAuthentic`] when the tag doesn't hold. The caller then wipes or drops what it was given.
    pub fn finish(self, tag: &[u8; 16]) -> Result<(), NotAuthentic> {
        self.0.finish_open(tag)
    }
}
