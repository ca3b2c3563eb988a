//! Sign.

use super::{Executes, invalid, with_dry_run};
use crate::authorize::{Authorized, KeyHandle, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    KeyUsageType, MessageType, Operation as _, Role, Sign, SignInput, SignOutput, SigningAlgorithmSpec,
};
use bulla_audit::Parameters;
use bulla_crypto::key_material::{Message, MessageRefused, PairSpec, SignError};
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for Sign {
    fn names(input: &SignInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i SignInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:signingalgorithm" => Some(input.signing_algorithm.as_str().into()),
            "kms:messagetype" => Some(input.message_type.unwrap_or_default().as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &SignInput) -> Parameters {
        describe(&input.key_id, input.message_type, input.signing_algorithm, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::SignVerify, Self::ROW.name)?;
        require_algorithm(key, input.signing_algorithm)?;
        let message = message(input.message_type, input.message.expose());
        stop_dry_run(key, input.message_type, input.signing_algorithm, message, input.dry_run)?;
        let signature = key.pair(core).await?.sign(input.signing_algorithm, message);
        let signature = signature.map_err(|error| match error {
            SignError::Refused(refused) => self::refused(key, input.message_type, refused),
            SignError::NotMade => Fault::bug("the cryptographic library made no signature"),
        })?;
        let signing_algorithm = input.signing_algorithm;
        let output = SignOutput { key_id: key.arn.clone(), signature, signing_algorithm };
        Ok(request.done(output))
    }
}

pub(super) fn describe(
    key_id: &str,
    message_type: Option<MessageType>,
    algorithm: SigningAlgorithmSpec,
    dry_run: Option<bool>,
) -> Parameters {
    let parameters = Parameters::new()
        .text("keyId", key_id)
        .text("messageType", message_type.unwrap_or(MessageType::Raw).as_str())
        .text("signingAlgorithm", algorithm.as_str());
    with_dry_run(parameters, dry_run)
}

/// Before anything is made of the message.
pub(super) fn require_algorithm(key: &KeyHandle, algorithm: SigningAlgorithmSpec) -> Result<(), Fault> {
    if key.metadata().signing_algorithms.contains(&algorithm) {
        return Ok(());
    }
    Err(key.incompatible_with(algorithm.as_str()))
}

/// A dry run fails for a message that can't be signed, as the request itself would.
pub(super) fn stop_dry_run(
    key: &KeyHandle,
    message_type: Option<MessageType>,
    algorithm: SigningAlgorithmSpec,
    message: Message<'_>,
    dry_run: Option<bool>,
) -> Result<(), Fault> {
    if dry_run == Some(true) {
        let other_use = |_| key.incompatible_with(algorithm.as_str());
        let spec = PairSpec::try_from(key.record.spec).map_err(other_use)?;
        message.check(spec, algorithm).map_err(|error| refused(key, message_type, error))?;
    }
    super::stop_dry_run(dry_run)
}

pub(super) const fn message(message_type: Option<MessageType>, bytes: &[u8]) -> Message<'_> {
    match message_type {
        None | Some(MessageType::Raw) => Message::Raw(bytes),
        Some(MessageType::Digest) => Message::Digest(bytes),
        Some(MessageType::ExternalMu) => Message::ExternalMu(bytes),
    }
}

pub(super) fn refused(key: &KeyHandle, message_type: Option<MessageType>, refused: MessageRefused) -> Fault {
    match refused {
        MessageRefused::Algorithm { algorithm, .. } => key.incompatible_with(algorithm.as_str()),
        MessageRefused::DigestLength { algorithm } => {
            let what = if message_type == Some(MessageType::ExternalMu) { "External Mu" } else { "Digest" };
            invalid(format!("{what} is invalid length for algorithm {algorithm}."))
        }
        MessageRefused::MessageType { algorithm } => {
            let message_type = message_type.unwrap_or(MessageType::Raw);
            let by = match algorithm {
                SigningAlgorithmSpec::Ed25519Sha512 | SigningAlgorithmSpec::Ed25519PhSha512 => {
                    format!("algorithm {algorithm}")
                }
                _ => format!("key spec {}", key.record.spec),
            };
            invalid(format!("Message type {message_type} is incompatible with {by}."))
        }
        MessageRefused::TooLong => invalid("The message is longer than 4096 bytes."),
    }
}
