//! Rotation, by schedule and on demand.

use crate::enums::{ExpirationModelType, ImportState, IncludeKeyMaterial, KeyMaterialState, RotationType};
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    ROTATION;

    /// One of a key's materials, and the rotation that made it the current one.
    #[derive(Clone, PartialEq, Eq, Default)]
    RotationsListEntry {
        key_id: String = "KeyId",
        /// 64 hex digits.
        key_material_id: Option<String> = "KeyMaterialId",
        /// Only for imported material, as `import_state`, `expiration_model` and `valid_to` are.
        key_material_description: Option<String> = "KeyMaterialDescription",
        import_state: Option<ImportState> = "ImportState",
        key_material_state: Option<KeyMaterialState> = "KeyMaterialState",
        expiration_model: Option<ExpirationModelType> = "ExpirationModel",
        valid_to: Option<Timestamp> = "ValidTo",
        /// Absent for the first material, and for one that waits for its rotation.
        rotation_date: Option<Timestamp> = "RotationDate",
        rotation_type: Option<RotationType> = "RotationType",
    }

    /// Input of `EnableKeyRotation`.
    #[derive(Clone, PartialEq, Eq, Default)]
    EnableKeyRotationInput {
        key_id: String = "KeyId",
        /// 90 to 2560; 365 when absent.
        rotation_period_in_days: Option<u32> = "RotationPeriodInDays",
    }

    /// Input of `DisableKeyRotation`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DisableKeyRotationInput {
        key_id: String = "KeyId",
    }

    /// Input of `GetKeyRotationStatus`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetKeyRotationStatusInput {
        key_id: String = "KeyId",
    }

    /// Output of `GetKeyRotationStatus`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetKeyRotationStatusOutput {
        key_rotation_enabled: bool = "KeyRotationEnabled",
        /// The key's ARN.
        key_id: String = "KeyId",
        rotation_period_in_days: Option<u32> = "RotationPeriodInDays",
        next_rotation_date: Option<Timestamp> = "NextRotationDate",
        /// Only while an on-demand rotation is in progress.
        on_demand_rotation_start_date: Option<Timestamp> = "OnDemandRotationStartDate",
    }

    /// Input of `ListKeyRotations`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListKeyRotationsInput {
        key_id: String = "KeyId",
        /// `ROTATIONS_ONLY` when absent.
        include_key_material: Option<IncludeKeyMaterial> = "IncludeKeyMaterial",
        /// 1 to 1000; 100 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
    }

    /// Output of `ListKeyRotations`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListKeyRotationsOutput {
        rotations: Vec<RotationsListEntry> = "Rotations" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }

    /// Input of `RotateKeyOnDemand`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RotateKeyOnDemandInput {
        key_id: String = "KeyId",
    }

    /// Output of `RotateKeyOnDemand`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RotateKeyOnDemandOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
    }
}
