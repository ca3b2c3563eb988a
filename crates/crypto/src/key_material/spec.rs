//! The specs of key pairs and HMAC keys. Source: AWS KMS developer guide, key spec reference.

use crate::ffi::pkey::{Curve, Kind, ML_DSA_44, ML_DSA_65, ML_DSA_87, ML_KEM_512, ML_KEM_768, ML_KEM_1024};
use bulla_api::{DataKeyPairSpec, EncryptionAlgorithmSpec, KeySpec, SigningAlgorithmSpec, WrappingKeySpec};
use std::fmt;
use std::str::FromStr;

/// Not a spec of a key pair or an HMAC key that is supported here: symmetric, SM2, or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the spec of a key pair or an HMAC key that is supported")]
pub struct OtherSpec;

macro_rules! specs {
    ($($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal,)* })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that the API gives it (`KeySpec`, `KeyPairSpec`).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for $name {
            type Err = OtherSpec;
            fn from_str(text: &str) -> Result<Self, OtherSpec> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(OtherSpec),
                }
            }
        }

        impl TryFrom<KeySpec> for $name {
            type Error = OtherSpec;
            fn try_from(spec: KeySpec) -> Result<Self, OtherSpec> {
                spec.as_str().parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )* };
}

specs! {
    /// The spec of a key pair. SM2, which only the regions in China have, is not among them.
    PairSpec {
        Rsa2048 = "RSA_2048",
        Rsa3072 = "RSA_3072",
        Rsa4096 = "RSA_4096",
        EccNistP256 = "ECC_NIST_P256",
        EccNistP384 = "ECC_NIST_P384",
        EccNistP521 = "ECC_NIST_P521",
        EccSecgP256k1 = "ECC_SECG_P256K1",
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
        MlDsa44 = "ML_DSA_44",
        MlDsa65 = "ML_DSA_65",
        MlDsa87 = "ML_DSA_87",
        MlKem512 = "ML_KEM_512",
        MlKem768 = "ML_KEM_768",
        MlKem1024 = "ML_KEM_1024",
    }
    /// The spec of an HMAC key.
    MacSpec {
        Hmac224 = "HMAC_224",
        Hmac256 = "HMAC_256",
        Hmac384 = "HMAC_384",
        Hmac512 = "HMAC_512",
    }
}

impl TryFrom<DataKeyPairSpec> for PairSpec {
    type Error = OtherSpec;
    fn try_from(spec: DataKeyPairSpec) -> Result<Self, OtherSpec> {
        spec.as_str().parse()
    }
}

impl TryFrom<WrappingKeySpec> for PairSpec {
    type Error = OtherSpec;
    fn try_from(spec: WrappingKeySpec) -> Result<Self, OtherSpec> {
        spec.as_str().parse()
    }
}

/// The spec of material that is sealed under a material key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MaterialSpec {
    /// A key pair, of which the private key is sealed.
    Pair(PairSpec),
    /// An HMAC key.
    Mac(MacSpec),
}

impl MaterialSpec {
    /// The name that the API gives it (`KeySpec`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pair(spec) => spec.as_str(),
            Self::Mac(spec) => spec.as_str(),
        }
    }
}

impl From<PairSpec> for MaterialSpec {
    fn from(spec: PairSpec) -> Self {
        Self::Pair(spec)
    }
}

impl From<MacSpec> for MaterialSpec {
    fn from(spec: MacSpec) -> Self {
        Self::Mac(spec)
    }
}

impl TryFrom<KeySpec> for MaterialSpec {
    type Error = OtherSpec;
    fn try_from(spec: KeySpec) -> Result<Self, OtherSpec> {
        PairSpec::try_from(spec).map(Self::Pair).or_else(|OtherSpec| MacSpec::try_from(spec).map(Self::Mac))
    }
}

impl PairSpec {
    /// The algorithms that such a key signs with, in the order in which AWS lists them; none for ML-KEM.
    #[must_use]
    pub const fn signing_algorithms(self) -> &'static [SigningAlgorithmSpec] {
        use SigningAlgorithmSpec as S;
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[
                S::RsassaPkcs1V15Sha256,
                S::RsassaPkcs1V15Sha384,
                S::RsassaPkcs1V15Sha512,
                S::RsassaPssSha256,
                S::RsassaPssSha384,
                S::RsassaPssSha512,
            ],
            Self::EccNistP256 | Self::EccSecgP256k1 => &[S::EcdsaSha256],
            Self::EccNistP384 => &[S::EcdsaSha384],
            Self::EccNistP521 => &[S::EcdsaSha512],
            Self::EccNistEdwards25519 => &[S::Ed25519Sha512, S::Ed25519PhSha512],
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => &[S::MlDsaShake256],
            Self::MlKem512 | Self::MlKem768 | Self::MlKem1024 => &[],
        }
    }

    /// The algorithms that such a key encrypts with, in the order in which AWS lists them: RSA alone has some.
    #[must_use]
    pub const fn encryption_algorithms(self) -> &'static [EncryptionAlgorithmSpec] {
        use EncryptionAlgorithmSpec as E;
        match self.rsa_bits() {
            Some(_) => &[E::RsaesOaepSha1, E::RsaesOaepSha256],
            None => &[],
        }
    }

    /// Whether two such keys agree on a secret by ECDH: the NIST curves.
    #[must_use]
    pub const fn agrees(self) -> bool {
        matches!(self, Self::EccNistP256 | Self::EccNistP384 | Self::EccNistP521)
    }

    /// Whether such a key encapsulates: ML-KEM.
    #[must_use]
    pub const fn encapsulates(self) -> bool {
        matches!(self, Self::MlKem512 | Self::MlKem768 | Self::MlKem1024)
    }

    /// Size of an RSA modulus; `None` for other keys.
    pub(crate) const fn rsa_bits(self) -> Option<u16> {
        match self {
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            _ => None,
        }
    }

    /// What aws-lc calls such a key.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Rsa2048 => Kind::Rsa { bits: 2048 },
            Self::Rsa3072 => Kind::Rsa { bits: 3072 },
            Self::Rsa4096 => Kind::Rsa { bits: 4096 },
            Self::EccNistP256 => Kind::Ec(Curve::P256),
            Self::EccNistP384 => Kind::Ec(Curve::P384),
            Self::EccNistP521 => Kind::Ec(Curve::P521),
            Self::EccSecgP256k1 => Kind::Ec(Curve::Secp256k1),
            Self::EccNistEdwards25519 => Kind::Ed25519,
            Self::MlDsa44 => ML_DSA_44,
            Self::MlDsa65 => ML_DSA_65,
            Self::MlDsa87 => ML_DSA_87,
            Self::MlKem512 => ML_KEM_512,
            Self::MlKem768 => ML_KEM_768,
            Self::MlKem1024 => ML_KEM_1024,
        }
    }
}
