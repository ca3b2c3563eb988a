//! Answers that only an attested recipient can read: a Nitro enclave, or an instance with NitroTPM, which the caller's
//! `Recipient` member proves with an attestation document. Source: AWS KMS developer guide, "Cryptographic attestation
//! support in AWS KMS".
//!
//! The document is verified while the request is parsed, so that policies can ask about it, and a bad one is a
//! ValidationException whatever they would say, as at AWS. AWS publishes that code, but not the texts that come with it:
//! those here are ours.
//!
//! An operation names its member in [`Executes::recipient`](crate::operations::Executes::recipient), and passes every
//! plaintext that it would answer with through [`Recipient::answer`].

use crate::core::Core;
use crate::fault::Fault;
use crate::operations::{invalid, one_invalid};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::{ErrorCode, KeyEncryptionMechanism, RecipientInfo, SecretBytes};
use bulla_audit::Parameter;
use bulla_crypto::attestation::{self, Attestation, Attester};

/// For whose eyes the plaintext of an answer is.
pub(crate) enum Recipient {
    /// The caller's.
    Caller,
    /// Those of whoever holds the attested key, and not the caller's.
    Attested(Box<Attestation>),
}

/// What an answer says of a plaintext: the members `Plaintext`, empty where nobody but the recipient may see it, and
/// `CiphertextForRecipient`.
pub(crate) struct Answered {
    pub(crate) plaintext: SecretBytes,
    pub(crate) ciphertext_for_recipient: Option<Vec<u8>>,
}

/// Registers that CloudTrail tells ("Monitoring requests for Nitro enclaves" and "… for NitroTPM" in the developer guide);
/// PCR 0 of an enclave has a name of its own.
const ENCLAVE_PCRS: [u8; 5] = [1, 2, 3, 4, 8];
const NITRO_TPM_PCRS: [u8; 6] = [4, 7, 8, 9, 16, 23];

impl Recipient {
    /// Verifies what a request says of its recipient, if it says anything.
    pub(crate) fn of(core: &Core, asked: Option<&RecipientInfo>) -> Result<Self, Fault> {
        let Some(asked) = asked else { return Ok(Self::Caller) };
        let missing = |member| one_invalid("null", member, "Member must not be null");
        match asked.key_encryption_algorithm {
            Some(KeyEncryptionMechanism::RsaesOaepSha256) => {}
            None => return Err(missing("recipient.keyEncryptionAlgorithm")),
        }
        let document =
            asked.attestation_document.as_ref().ok_or_else(|| missing("recipient.attestationDocument"))?;
        let roots = &core.options.attestation_roots;
        if roots.is_empty() {
            return Err(Fault::answer(
                ErrorCode::UnsupportedOperationException,
                "Recipient is not supported: this service is configured without an attestation root.",
            ));
        }
        match attestation::verify(document, roots, core.clock.wall_ms()) {
            Ok(attestation) => Ok(Self::Attested(Box::new(attestation))),
            Err(error) => Err(invalid(format!("The attestation document is not valid: {error}."))),
        }
    }

    /// What the answer says of a plaintext.
    pub(crate) fn answer(&self, core: &Core, plaintext: SecretBytes) -> Result<Answered, Fault> {
        let Self::Attested(attestation) = self else {
            return Ok(Answered { plaintext, ciphertext_for_recipient: None });
        };
        let ciphertext = attestation::envelop(attestation, plaintext.expose(), core.rng())
            .map_err(|_| Fault::bug("an answer can't be encrypted for its recipient"))?;
        Ok(Answered { plaintext: SecretBytes::default(), ciphertext_for_recipient: Some(ciphertext) })
    }

    /// What the audit record tells of the recipient: `additionalEventData.recipient`, with CloudTrail's members. Registers
    /// are base64, as in the records of the real service.
    pub(crate) fn describe(&self) -> Option<Parameter> {
        let Self::Attested(attestation) = self else { return None };
        let mut told = vec![("attestationDocumentModuleId".to_owned(), attestation.module_id().to_owned())];
        let mut tell = |name: String, number| {
            if let Some(value) = attestation.pcr(number) {
                told.push((name, STANDARD.encode(value)));
            }
        };
        match attestation.attester() {
            Attester::Enclave => {
                tell("attestationDocumentEnclaveImageDigest".to_owned(), 0);
                for number in ENCLAVE_PCRS {
                    tell(format!("attestationDocumentEnclavePCR{number}"), number);
                }
            }
            Attester::NitroTpm => {
                for number in NITRO_TPM_PCRS {
                    tell(format!("attestationDocumentNitroTPMPCR{number}"), number);
                }
            }
        }
        Some(Parameter::Pairs(told))
    }
}
