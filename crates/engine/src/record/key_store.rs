//! The records of custom key stores.

use crate::fault::Fault;
use bulla_api::{ConnectionErrorCodeType, ConnectionStateType, KeyId, SecretBytes};
use bulla_store::Fields;

/// A custom key store: an external one, which is the only type that this version has, at a public endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyStoreRecord {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) state: ConnectionStateType,
    /// While the state is FAILED.
    pub(crate) error: Option<ConnectionErrorCodeType>,
    pub(crate) uri_endpoint: String,
    pub(crate) uri_path: String,
    /// For those who look. What signs requests stands in [`CredentialFields`].
    pub(crate) access_key_id: String,
    /// KMS keys in it, those that are pending deletion too.
    pub(crate) keys: u64,
    /// As read, so that fields of newer versions are kept.
    pub(crate) fields: Fields,
}

mod field {
    pub(super) const NAME: u16 = 1;
    pub(super) const CREATED_MS: u16 = 2;
    pub(super) const TYPE: u16 = 3;
    pub(super) const CONNECTIVITY: u16 = 4;
    pub(super) const STATE: u16 = 5;
    pub(super) const ERROR: u16 = 6;
    pub(super) const URI_ENDPOINT: u16 = 7;
    pub(super) const URI_PATH: u16 = 8;
    pub(super) const ACCESS_KEY_ID: u16 = 9;
    pub(super) const KEYS: u16 = 10;
}

const EXTERNAL: &str = "EXTERNAL_KEY_STORE";
const PUBLIC: &str = "PUBLIC_ENDPOINT";

impl KeyStoreRecord {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_str(field::NAME, &self.name);
        fields.set_i64(field::CREATED_MS, self.created_ms);
        fields.set_str(field::TYPE, EXTERNAL);
        fields.set_str(field::CONNECTIVITY, PUBLIC);
        fields.set_str(field::STATE, self.state.as_str());
        match self.error {
            Some(error) => fields.set_str(field::ERROR, error.as_str()),
            None => fields.remove(field::ERROR),
        };
        fields.set_str(field::URI_ENDPOINT, &self.uri_endpoint);
        fields.set_str(field::URI_PATH, &self.uri_path);
        fields.set_str(field::ACCESS_KEY_ID, &self.access_key_id);
        fields.set_u64(field::KEYS, self.keys);
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        let read = Self::read(&fields);
        read.map(|record| Self { fields, ..record }).ok_or(Fault::Incomplete("a custom key store"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        // Another kind of store must not be asked as if it were one of these.
        if fields.get_str(field::TYPE)? != EXTERNAL || fields.get_str(field::CONNECTIVITY)? != PUBLIC {
            return None;
        }
        let error = match fields.get_str(field::ERROR) {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some(Self {
            name: fields.get_str(field::NAME)?.to_owned(),
            created_ms: fields.get_i64(field::CREATED_MS)?,
            state: fields.get_str(field::STATE)?.parse().ok()?,
            error,
            uri_endpoint: fields.get_str(field::URI_ENDPOINT)?.to_owned(),
            uri_path: fields.get_str(field::URI_PATH)?.to_owned(),
            access_key_id: fields.get_str(field::ACCESS_KEY_ID)?.to_owned(),
            keys: fields.get_u64(field::KEYS)?,
            fields: Fields::new(),
        })
    }
}

/// What signs the requests to a proxy: both halves in one record, so that they always belong together. No `Debug`.
pub(crate) struct CredentialFields {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: SecretBytes,
}

impl CredentialFields {
    const ACCESS_KEY_ID: u16 = 1;
    const SECRET_ACCESS_KEY: u16 = 2;

    /// The record is wiped when dropped, and only ever written sealed.
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set_str(Self::ACCESS_KEY_ID, &self.access_key_id);
        fields.set_bytes(Self::SECRET_ACCESS_KEY, self.secret_access_key.expose());
        fields
    }

    pub(crate) fn of(fields: &Fields) -> Result<Self, Fault> {
        match (fields.get_str(Self::ACCESS_KEY_ID), fields.get_bytes(Self::SECRET_ACCESS_KEY)) {
            (Some(id), Some(secret)) => {
                Ok(Self { access_key_id: id.to_owned(), secret_access_key: SecretBytes::copy_of(secret) })
            }
            _ => Err(Fault::Incomplete("a proxy's credential")),
        }
    }
}

/// A record that says to which custom key store something belongs: a name, an endpoint with its path.
pub(crate) fn owner_fields(store: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set_str(1, store);
    fields
}

/// The custom key store that such a record names.
pub(crate) fn owner_of(fields: &Fields) -> Result<String, Fault> {
    fields.get_str(1).map(str::to_owned).ok_or(Fault::Incomplete("a custom key store's name"))
}

/// A record that says to which KMS key an external key belongs.
pub(crate) fn external_key_fields(key: KeyId) -> Fields {
    let mut fields = Fields::new();
    fields.set_str(1, &key.to_string());
    fields
}

/// The KMS key that such a record names.
pub(crate) fn key_of_external(fields: &Fields) -> Option<KeyId> {
    fields.get_str(1)?.parse().ok()
}
