//! What the store's records say, and where they stand.
//!
//! Field numbers and paths are a format: they never change their meaning, and a number is never used again.

mod alias;
mod counts;
mod grant;
mod identity;
mod key;
mod key_store;
mod material;
mod scheduled;
mod usage;

pub(crate) use alias::AliasRecord;
pub(crate) use counts::Counts;
pub(crate) use grant::{
    Constraints, GrantId, GrantPrincipal, GrantRecord, KIND_GRANT, KIND_GRANT_COUNT, KIND_GRANT_ID,
    KIND_GRANT_PROPERTIES, KIND_RETIRABLE_GRANT, Retiring, grant_count_fields, grant_count_of,
    pointer_fields, pointer_of, retirable_grants,
};
pub(crate) use identity::{
    DocumentRecord, EntityKind, EntityRecord, IdentityCounts, IdentityUsageRecord, KIND_ACCESS_KEY_USAGE,
    KIND_ATTACHED_TO, KIND_BOUND_BY, KIND_GROUP, KIND_GROUP_MEMBER, KIND_IDENTITY_OWNER, KIND_INLINE_POLICY,
    KIND_MANAGED_POLICY, KIND_OIDC_PROVIDER, KIND_POLICY_VERSION, KIND_ROLE, KIND_ROLE_USAGE, KIND_USER,
    OidcProviderRecord, access_key_usage_path, attached_to_path, bound_by_path, entity_path,
    identity_counts_path, identity_owner_path, inline_policies_path, members_path, name_path, names_path,
    oidc_provider_path, oidc_providers_path, policy_version_path, role_usage_path,
};
pub(crate) use key::{ExternalKey, KeyRecord, Kind, Rotation};
pub(crate) use key_store::{
    CredentialFields, KeyStoreRecord, external_key_fields, key_of_external, owner_fields, owner_of,
};
pub(crate) use material::{Imported, MaterialEntry, MaterialFields, Validity};
pub(crate) use scheduled::{KIND_SCHEDULED, Scheduled, Work, backing_key_id, scheduled_path};
pub(crate) use usage::{KIND_KEY_USAGE, UsageRecord};

use crate::fault::Fault;
use bulla_api::{AccountId, AliasName, KeyId, Region};
use bulla_store::{Fields, Path};

/// Which account's records, in which region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
}

impl Place {
    /// The same account in another region.
    pub(crate) fn elsewhere(&self, region: &Region) -> Self {
        Self { account: self.account, region: region.clone() }
    }

    fn of_kind(&self, kind: &str) -> Path {
        Path::in_region(&self.account.to_string(), self.region.as_str(), kind)
    }

    pub(crate) fn key(&self, key: KeyId) -> Path {
        self.keys().join(key.to_string())
    }

    pub(crate) fn keys(&self) -> Path {
        self.of_kind(KIND_KEY)
    }

    /// Marks that a multi-Region key is gone from here, and what belonged to it is still going: its id can come back, and
    /// must not find what its predecessor left.
    pub(crate) fn key_remains(&self, key: KeyId) -> Path {
        self.of_kind(KIND_KEY_REMAINS).join(key.to_string())
    }

    pub(crate) fn key_policy(&self, key: KeyId) -> Path {
        self.of_kind(KIND_KEY_POLICY).join(key.to_string())
    }

    /// See [`KeyRecord::materials_path`].
    pub(crate) fn materials(&self, key: KeyId, shared: bool) -> Path {
        self.shared_or_not(KIND_MATERIAL, shared).join(key.to_string())
    }

    /// See [`KeyRecord::entries_path`].
    pub(crate) fn material_entries(&self, key: KeyId, shared: bool) -> Path {
        self.shared_or_not(KIND_MATERIAL_ENTRY, shared).join(key.to_string())
    }

    fn shared_or_not(&self, kind: &str, shared: bool) -> Path {
        if shared { Path::in_account(&self.account.to_string(), kind) } else { self.of_kind(kind) }
    }

    pub(crate) fn alias(&self, name: &AliasName) -> Path {
        self.aliases().join(name.as_str())
    }

    pub(crate) fn aliases(&self) -> Path {
        self.of_kind(KIND_ALIAS)
    }

    pub(crate) fn alias_of_key(&self, key: KeyId, name: &AliasName) -> Path {
        self.aliases_of_key(key).join(name.as_str())
    }

    pub(crate) fn aliases_of_key(&self, key: KeyId) -> Path {
        self.of_kind("alias-of-key").join(key.to_string())
    }

    pub(crate) fn key_store(&self, id: &str) -> Path {
        self.key_stores().join(id)
    }

    pub(crate) fn key_stores(&self) -> Path {
        self.of_kind(KIND_KEY_STORE)
    }

    /// What signs the requests to the store's proxy.
    pub(crate) fn key_store_credential(&self, id: &str) -> Path {
        self.of_kind(KIND_KEY_STORE_CREDENTIAL).join(id)
    }

    /// Which store has this name. A name is longer than a path may be.
    pub(crate) fn key_store_name(&self, name: &str) -> Path {
        let digest = bulla_crypto::sha256(&[name.as_bytes()]);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.of_kind(KIND_KEY_STORE_NAME).join(digest)
    }

    /// Which store asks at this address. The case of a host's name doesn't matter.
    pub(crate) fn key_store_uri(&self, endpoint: &str, path: &str) -> Path {
        self.of_kind(KIND_KEY_STORE_URI).join(endpoint.to_ascii_lowercase() + path)
    }

    /// Which KMS key of a store an external key is of.
    pub(crate) fn external_key(&self, store: &str, xks_key: &str) -> Path {
        self.external_keys(store).join(xks_key)
    }

    pub(crate) fn external_keys(&self, store: &str) -> Path {
        self.of_kind(KIND_EXTERNAL_KEY).join(store)
    }

    /// Counts that limits are checked against.
    pub(crate) fn counts(&self) -> Path {
        self.of_kind("counts")
    }
}

pub(crate) const KIND_KEY: &str = "key";
pub(crate) const KIND_KEY_POLICY: &str = "key-policy";
pub(crate) const KIND_KEY_REMAINS: &str = "key-remains";
pub(crate) const KIND_ALIAS: &str = "alias";
pub(crate) const KIND_ACCESS_KEY: &str = "access-key";
pub(crate) const KIND_MATERIAL: &str = "material";
pub(crate) const KIND_MATERIAL_ENTRY: &str = "material-entry";
pub(crate) const KIND_KEY_STORE: &str = "key-store";
pub(crate) const KIND_KEY_STORE_CREDENTIAL: &str = "key-store-credential";
pub(crate) const KIND_KEY_STORE_NAME: &str = "key-store-name";
pub(crate) const KIND_KEY_STORE_URI: &str = "key-store-uri";
pub(crate) const KIND_EXTERNAL_KEY: &str = "external-key";

pub(crate) fn account_path(account: AccountId) -> Path {
    Path::of_store("account").join(account.to_string())
}

/// Access keys are looked up before the account is known.
pub(crate) fn access_key_path(access_key_id: &str) -> Path {
    Path::of_store(KIND_ACCESS_KEY).join(access_key_id)
}

pub(crate) fn outbox_head_path() -> Path {
    Path::of_store("outbox-head")
}

pub(crate) fn outbox_path() -> Path {
    Path::of_store("outbox")
}

pub(crate) fn outbox_entry_path(sequence: u64) -> Path {
    outbox_path().join(format!("{sequence:020}"))
}

pub(crate) fn clock_path() -> Path {
    Path::of_store("clock")
}

/// A key's policy document, as it was given.
pub(crate) fn policy_fields(document: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set_str(1, document);
    fields
}

/// A key's policy document, in its record.
pub(crate) fn policy_of(fields: &Fields) -> Result<&str, Fault> {
    fields.get_str(1).ok_or(Fault::Incomplete("a key policy"))
}

/// A record that is there or not, and says nothing more.
pub(crate) fn marker_fields() -> Fields {
    Fields::new()
}
