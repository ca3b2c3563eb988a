//! Keys in external key stores: associated with an external key once, and asked for by it ever after.
//!
//! What such a key seals is sealed twice: with material of this service, and by the external key manager. See
//! [`bulla_crypto::blob::double`].

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::{KeyStore, Reach, not_connected};
use crate::keys::Key;
use crate::material::Material;
use crate::operations::invalid;
use crate::principal::Principal;
use crate::record::{CredentialFields, ExternalKey, KeyStoreRecord, Place, external_key_fields};
use crate::request::RequestId;
use crate::xks::{XksError, XksKeyMetadata, XksOrigin};
use bulla_api::{
    CreateKeyInput, EncryptionContext, ErrorCode, KeyId, KeySpec, OriginType, PARTITION, SecretBytes,
};
use bulla_crypto::blob::double::{self, Outer};
use bulla_crypto::blob::{BlobHeader, ParsedBlob};
use std::sync::Arc;

/// The specification's text for an inner layer that isn't the one that was sealed, or a context that isn't.
const NOT_AUTHENTIC: &str = "The ciphertext that the external key store proxy submitted for decryption, or the encryption \
                             context, is corrupted, missing, or otherwise invalid.";
/// What an external key must be.
const KEY_SPEC: &str = "AES_256";
const KEY_USAGES: [&str; 2] = ["ENCRYPT", "DECRYPT"];

/// On whose behalf something is done: what proxies are told.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) request_id: RequestId,
    pub(crate) operation: &'static str,
    pub(crate) principal: Arc<Principal>,
}

impl Origin {
    /// Spelled out.
    pub(crate) fn texts(&self) -> OriginTexts<'_> {
        OriginTexts {
            request_id: self.request_id.text(),
            operation: self.operation,
            principal_arn: self.principal.arn(),
        }
    }
}

/// An [`Origin`] in words.
pub(crate) struct OriginTexts<'o> {
    request_id: String,
    operation: &'static str,
    principal_arn: &'o str,
}

impl OriginTexts<'_> {
    /// For a health check, which names nobody.
    pub(crate) fn of_service(&self) -> XksOrigin<'_> {
        XksOrigin {
            request_id: &self.request_id,
            operation: self.operation,
            principal_arn: None,
            key_arn: None,
        }
    }

    /// For what is asked of a key: none while it is being made.
    fn of_key<'o>(&'o self, key_arn: Option<&'o str>) -> XksOrigin<'o> {
        XksOrigin { principal_arn: Some(self.principal_arn), key_arn, ..self.of_service() }
    }
}

/// A key in an external key store, on behalf of one request.
pub(crate) struct Outside<'k> {
    pub(crate) core: &'k Core,
    pub(crate) key: &'k Key,
    pub(crate) external: &'k ExternalKey,
    pub(crate) origin: &'k Origin,
}

impl Outside<'_> {
    /// Seals both layers.
    pub(crate) async fn seal(
        &self,
        material: &Material,
        header: &BlobHeader,
        context: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let (store, credential) = self.store().await?;
        let sealing =
            double::begin_seal(&material.key, PARTITION, header, context, plaintext, self.core.rng())?;
        let origin = self.origin.texts();
        let sealed = self
            .core
            .options
            .xks
            .encrypt(
                reach(&store, &credential).proxy(),
                &self.external.xks_key,
                origin.of_key(Some(&self.key.arn)),
                sealing.inner(),
                sealing.aad(),
            )
            .await
            .map_err(failed)?;
        let outer = Outer::new(&sealed.ciphertext, &sealed.iv, &sealed.tag, &sealed.metadata);
        outer.and_then(|outer| sealing.finish(&outer)).map_err(|_| failed(XksError::Malformed))
    }

    /// Opens both layers.
    pub(crate) async fn open(
        &self,
        material: &Material,
        blob: &ParsedBlob<'_>,
        context: &EncryptionContext,
    ) -> Result<SecretBytes, Fault> {
        let not_authentic = |_| Fault::answer(ErrorCode::KMSInvalidStateException, NOT_AUTHENTIC);
        let (store, credential) = self.store().await?;
        let opening = double::begin_open(&material.key, PARTITION, blob, context).map_err(not_authentic)?;
        let origin = self.origin.texts();
        let inner = self
            .core
            .options
            .xks
            .decrypt(
                reach(&store, &credential).proxy(),
                &self.external.xks_key,
                origin.of_key(Some(&self.key.arn)),
                *opening.outer(),
                opening.aad(),
            )
            .await
            .map_err(failed)?;
        opening.finish(&inner).map_err(not_authentic)
    }

    /// The store, connected, and what signs requests to its proxy.
    async fn store(&self) -> Result<(Arc<KeyStore>, CredentialFields), Fault> {
        let store = self.core.key_store(&self.key.place, &self.external.key_store).await?;
        let store = store.ok_or(Fault::Incomplete("a key in a custom key store"))?;
        if !store.is_connected() {
            return Err(not_connected());
        }
        let credential = self.core.credential_of(&store).await?;
        Ok((store, credential))
    }
}

fn reach<'r>(store: &'r KeyStore, credential: &'r CredentialFields) -> Reach<'r> {
    Reach {
        place: &store.place,
        uri_endpoint: &store.record.uri_endpoint,
        uri_path: &store.record.uri_path,
        credential,
    }
}

/// Whatever goes wrong in a cryptographic operation is one exception, and its text says what. Source: AWS KMS developer
/// guide, "Troubleshooting external key stores".
fn failed(error: XksError) -> Fault {
    Fault::answer(ErrorCode::KMSInvalidStateException, error.to_string())
}

/// What a key that is to live in a custom key store must say, and one that isn't must not.
pub(crate) fn check_key_store(input: &CreateKeyInput, spec: KeySpec) -> Result<(), Fault> {
    let origin = input.origin.unwrap_or_default();
    let elsewhere = matches!(origin, OriginType::AwsCloudhsm | OriginType::ExternalKeyStore);
    if elsewhere != input.custom_key_store_id.is_some() {
        return Err(invalid(
            "CustomKeyStoreId is required for an Origin of AWS_CLOUDHSM or EXTERNAL_KEY_STORE, and valid only for these.",
        ));
    }
    if (origin == OriginType::ExternalKeyStore) != input.xks_key_id.is_some() {
        return Err(invalid(
            "XksKeyId is required for an Origin of EXTERNAL_KEY_STORE, and valid only for that.",
        ));
    }
    if elsewhere && (spec != KeySpec::SymmetricDefault || input.multi_region == Some(true)) {
        return Err(Fault::answer(
            ErrorCode::UnsupportedOperationException,
            "Only symmetric encryption keys of a single Region can be created in a custom key store.",
        ));
    }
    Ok(())
}

impl Core {
    /// Associates a key that is being made with the external key that its input names, if it names one: which must be
    /// there, fit, and nobody else's.
    pub(crate) async fn associate(
        &self,
        input: &CreateKeyInput,
        place: &Place,
        id: KeyId,
        origin: &Origin,
        change: &mut Change,
    ) -> Result<Option<ExternalKey>, Fault> {
        let Some(store) = &input.custom_key_store_id else { return Ok(None) };
        let store = &*self.named_key_store(place, store).await?;
        let Some(xks_key) = &input.xks_key_id else {
            return Err(invalid(format!("{} is an external key store, which demands XksKeyId.", store.id)));
        };
        store.require_connected_to_create()?;
        let path = store.place.external_key(&store.id, xks_key);
        if self.vault.read(&path).await?.is_some() {
            return Err(Fault::answer(
                ErrorCode::XksKeyAlreadyInUseException,
                format!(
                    "The external key {xks_key} is already associated with another KMS key in the custom key store {}.",
                    store.id
                ),
            ));
        }
        let credential = self.credential_of(store).await?;
        let origin = origin.texts();
        let metadata = self
            .options
            .xks
            .key_metadata(reach(store, &credential).proxy(), xks_key, origin.of_key(None))
            .await
            .map_err(not_associated)?;
        require_fit(&metadata)?;
        change.expect_absent(path.clone()).put(path, external_key_fields(id));
        let record = KeyStoreRecord { keys: store.record.keys + 1, ..store.record.clone() };
        change.update_key_store(store, &record);
        Ok(Some(ExternalKey { key_store: store.id.clone(), xks_key: xks_key.clone() }))
    }

    /// Gives an external key back to its store: the KMS key that it was of is being deleted.
    pub(crate) async fn dissociate(
        &self,
        place: &Place,
        external: &ExternalKey,
        change: &mut Change,
    ) -> Result<(), Fault> {
        let store = self.key_store(place, &external.key_store).await?;
        let store = store.ok_or(Fault::Incomplete("a key in a custom key store"))?;
        change.delete(place.external_key(&external.key_store, &external.xks_key));
        let record = KeyStoreRecord { keys: store.record.keys.saturating_sub(1), ..store.record.clone() };
        change.update_key_store(&store, &record);
        Ok(())
    }
}

/// Source: AWS KMS developer guide, "CreateKey errors for the external key".
fn require_fit(key: &XksKeyMetadata) -> Result<(), Fault> {
    let unfit = |text: String| Err(Fault::answer(ErrorCode::XksKeyInvalidConfigurationException, text));
    if key.key_spec != KEY_SPEC {
        return unfit(format!(
            "The key spec of the external key must be {KEY_SPEC}. The key spec of specified external key is {}.",
            key.key_spec
        ));
    }
    if !key.enabled {
        return unfit(
            "The status of the external key must be ENABLED. The status of specified external key is DISABLED."
                .to_owned(),
        );
    }
    if KEY_USAGES.iter().any(|usage| !key.key_usage.iter().any(|has| has == usage)) {
        return unfit(format!(
            "The key usage of the external key must include ENCRYPT and DECRYPT. The key use of specified external key is \
             {}.",
            key.key_usage.join(", ")
        ));
    }
    Ok(())
}

/// What CreateKey says. Source: the specification's table of failure scenarios.
fn not_associated(error: XksError) -> Fault {
    let code = match error {
        XksError::KeyNotFound => ErrorCode::XksKeyNotFoundException,
        XksError::InvalidState | XksError::InvalidKeyUsage => ErrorCode::XksKeyInvalidConfigurationException,
        // The table has a KMSInvalidStateException for AccessDenied, which the API's model doesn't let CreateKey throw.
        _ => ErrorCode::CustomKeyStoreInvalidStateException,
    };
    Fault::answer(code, error.to_string())
}
