//! Imported key material.

use crate::enums::{AlgorithmSpec, ExpirationModelType, ImportType, WrappingKeySpec};
use crate::secret::SecretBytes;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    IMPORT;

    /// Input of `GetParametersForImport`.
    #[derive(Clone, PartialEq, Eq)]
    GetParametersForImportInput {
        key_id: String = "KeyId",
        wrapping_algorithm: AlgorithmSpec = "WrappingAlgorithm",
        wrapping_key_spec: WrappingKeySpec = "WrappingKeySpec",
    }

    /// Output of `GetParametersForImport`.
    #[derive(Default)]
    GetParametersForImportOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        import_token: Vec<u8> = "ImportToken",
        /// The wrapping key: DER of a SubjectPublicKeyInfo (RFC 5280). No secret, but the model's type for it is the one
        /// for plaintexts.
        public_key: SecretBytes = "PublicKey",
        /// 24 hours after the request.
        parameters_valid_to: Timestamp = "ParametersValidTo",
    }

    /// Input of `ImportKeyMaterial`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ImportKeyMaterialInput {
        key_id: String = "KeyId",
        import_token: Vec<u8> = "ImportToken",
        /// Wrapped as the token says.
        encrypted_key_material: Vec<u8> = "EncryptedKeyMaterial",
        /// Required for material that expires; refused for other.
        valid_to: Option<Timestamp> = "ValidTo",
        /// `KEY_MATERIAL_EXPIRES` when absent.
        expiration_model: Option<ExpirationModelType> = "ExpirationModel",
        import_type: Option<ImportType> = "ImportType",
        key_material_description: Option<String> = "KeyMaterialDescription",
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Output of `ImportKeyMaterial`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ImportKeyMaterialOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Input of `DeleteImportedKeyMaterial`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteImportedKeyMaterialInput {
        key_id: String = "KeyId",
        /// The current material when absent.
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Output of `DeleteImportedKeyMaterial`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteImportedKeyMaterialOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        key_material_id: Option<String> = "KeyMaterialId",
    }
}
