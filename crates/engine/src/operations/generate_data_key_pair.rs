//! GenerateDataKeyPair.

use super::{Executes, stop_dry_run, with_context, with_dry_run};
use crate::authorize::{Authorized, KeyHandle, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    AccountId, DataKeyPairSpec, EncryptionAlgorithmSpec, EncryptionContext, ErrorCode, GenerateDataKeyPair,
    GenerateDataKeyPairInput, GenerateDataKeyPairOutput, Operation as _, RecipientInfo, Role, SecretBytes,
};
use bulla_audit::Parameters;
use bulla_crypto::key_material::PairSpec;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GenerateDataKeyPair {
    fn check(input: &GenerateDataKeyPairInput) -> Result<(), Fault> {
        pair_spec(input.key_pair_spec).map(|_| ())
    }

    fn names(input: &GenerateDataKeyPairInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn encryption_context(input: &GenerateDataKeyPairInput, _role: Role) -> Option<&EncryptionContext> {
        Some(&input.encryption_context)
    }

    fn says<'i>(input: &'i GenerateDataKeyPairInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" => Some(EncryptionAlgorithmSpec::SymmetricDefault.as_str().into()),
            "kms:datakeypairspec" => Some(input.key_pair_spec.as_str().into()),
            _ => None,
        }
    }

    fn recipient(input: &GenerateDataKeyPairInput) -> Option<&RecipientInfo> {
        input.recipient.as_ref()
    }

    fn describe(input: &GenerateDataKeyPairInput) -> Parameters {
        describe(&input.key_id, input.key_pair_spec, &input.encryption_context, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_not_in_key_store()?;
        key.require_enabled()?;
        key.require_data_keys(Self::ROW.name)?;
        stop_dry_run(input.dry_run)?;
        let made =
            make(core, request.caller().account(), key, input.key_pair_spec, &input.encryption_context)
                .await?;
        let answered = request.recipient().answer(core, made.private_key)?;
        let output = GenerateDataKeyPairOutput {
            private_key_ciphertext_blob: made.sealed,
            private_key_plaintext: answered.plaintext,
            public_key: made.public_key,
            key_id: key.arn.clone(),
            key_pair_spec: input.key_pair_spec,
            ciphertext_for_recipient: answered.ciphertext_for_recipient,
            key_material_id: key.current_material_id.clone(),
        };
        Ok(request.done(output))
    }
}

/// A pair, and its private key sealed under the KMS key.
pub(super) struct Made {
    pub(super) private_key: SecretBytes,
    pub(super) public_key: Vec<u8>,
    pub(super) sealed: Vec<u8>,
}

pub(super) async fn make(
    core: &Core,
    account: AccountId,
    key: &KeyHandle,
    spec: DataKeyPairSpec,
    context: &EncryptionContext,
) -> Result<Made, Fault> {
    let (private_key, public_key) = core.fresh_pair(account, pair_spec(spec)?).await?;
    let sealed = key.seal(core, context, private_key.expose()).await?;
    Ok(Made { private_key, public_key, sealed })
}

/// SM2 pairs are made in AWS's regions in China only.
pub(super) fn pair_spec(spec: DataKeyPairSpec) -> Result<PairSpec, Fault> {
    let elsewhere = |_| {
        Fault::answer(
            ErrorCode::UnsupportedOperationException,
            format!("KeyPairSpec {spec} is not supported in this Region"),
        )
    };
    spec.as_str().parse().map_err(elsewhere)
}

pub(super) fn describe(
    key_id: &str,
    spec: DataKeyPairSpec,
    context: &EncryptionContext,
    dry_run: Option<bool>,
) -> Parameters {
    let parameters = Parameters::new().text("keyId", key_id).text("keyPairSpec", spec.as_str());
    with_dry_run(with_context(parameters, "encryptionContext", context), dry_run)
}
