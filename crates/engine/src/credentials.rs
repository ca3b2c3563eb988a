//! Access keys: made, kept sealed, looked up, and the signing keys that follow from them.

use crate::core::Core;
use crate::fault::Fault;
use crate::principal::Principal;
use crate::record::{EntityKind, access_key_path};
use bulla_api::{AccountId, SecretBytes};
use bulla_crypto::Rng;
use bulla_sigv4::{Scope, SigningKey};
use bulla_store::{Fields, Generation};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// An access key with its secret, as it is given to its owner once. No `Debug`.
pub struct AccessKey {
    /// `AKIA` and 16 characters.
    pub access_key_id: String,
    /// 40 characters.
    pub secret_access_key: SecretBytes,
}

/// What is kept in memory of an access key: not its secret.
pub(crate) struct Credential {
    access_key_id: String,
    pub(crate) principal: Arc<Principal>,
    active: bool,
    /// Signing keys of the last few days, regions and services. They go with this value, which goes when the access key's
    /// record changes: so they are keyed by access key and its version too.
    signing_keys: RwLock<Vec<KnownSigningKey>>,
    /// When a use of it was last noted.
    used_ms: AtomicI64,
}

/// A signing key, and what it signs for.
struct KnownSigningKey {
    date: String,
    region: String,
    service: String,
    key: Arc<SigningKey>,
}

impl KnownSigningKey {
    fn is_for(&self, scope: &Scope<'_>) -> bool {
        (self.date.as_str(), self.region.as_str(), self.service.as_str())
            == (scope.date, scope.region, scope.service)
    }
}

/// Most signing keys kept for one access key: a few regions and services, around midnight twice.
const SIGNING_KEYS_MAX: usize = 16;

mod field {
    pub(super) const ACCOUNT: u16 = 1;
    pub(super) const SECRET: u16 = 2;
    pub(super) const ACTIVE: u16 = 3;
    pub(super) const CREATED_MS: u16 = 4;
    /// The unique id of the user that it is of; none of the account's root.
    pub(super) const PRINCIPAL: u16 = 5;
}

impl Credential {
    /// Of a session.
    pub(crate) fn temporary(access_key_id: &str, principal: Principal) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            principal: Arc::new(principal),
            active: true,
            signing_keys: RwLock::default(),
            used_ms: AtomicI64::new(0),
        }
    }

    /// Whether they are of a session that is over.
    pub(crate) fn has_expired(&self, now_ms: i64) -> bool {
        self.principal.session().is_some_and(|session| session.expires_ms <= now_ms)
    }

    /// Whether they are of a session of a root that got it by this access key.
    pub(crate) fn ends_with_key(&self, access_key_id: &str) -> bool {
        let session = self.principal.session();
        session.is_some_and(|session| session.root_access_key_id.as_deref() == Some(access_key_id))
    }

    /// Whether it is used anew: within a second of a use that was noted, none is, for that would be a lock in each request.
    pub(crate) fn is_used_anew(&self, now_ms: i64) -> bool {
        let noted_ms = self.used_ms.load(Ordering::Relaxed);
        if (0..1000).contains(&now_ms.saturating_sub(noted_ms)) {
            return false;
        }
        self.used_ms.store(now_ms, Ordering::Relaxed);
        true
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    fn known_signing_key(&self, scope: &Scope<'_>) -> Option<Arc<SigningKey>> {
        let keys = self.signing_keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|known| known.is_for(scope)).map(|known| Arc::clone(&known.key))
    }

    /// Keeps a signing key that a signature has proven to be asked for.
    pub(crate) fn keep_signing_key(&self, scope: &Scope<'_>, key: &Arc<SigningKey>) {
        let mut keys = self.signing_keys.write().unwrap_or_else(PoisonError::into_inner);
        if !keys.iter().any(|known| known.is_for(scope)) {
            if keys.len() >= SIGNING_KEYS_MAX {
                keys.remove(0);
            }
            keys.push(KnownSigningKey {
                date: scope.date.to_owned(),
                region: scope.region.to_owned(),
                service: scope.service.to_owned(),
                key: Arc::clone(key),
            });
        }
    }
}

impl AccessKey {
    /// A new one: 80 random bits in the id, 240 in the secret.
    pub(crate) fn generate(rng: &dyn Rng) -> Self {
        const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut id = String::from("AKIA");
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        id.extend(bytes.iter().map(|byte| char::from(BASE32[usize::from(byte % 32)])));
        let mut secret = SecretBytes::zeroed(40);
        // Each random byte becomes, in its place, one of 64 characters: 256 is a multiple of 64, so all are as likely.
        rng.fill(secret.expose_mut());
        for byte in secret.expose_mut() {
            *byte = BASE64[usize::from(*byte % 64)];
        }
        Self { access_key_id: id, secret_access_key: secret }
    }

    /// The record that keeps it, as one of the account's root. It is wiped when dropped, and only ever written sealed.
    pub(crate) fn to_fields(&self, account: AccountId, now_ms: i64) -> Fields {
        let mut fields = Fields::new();
        fields.set_str(field::ACCOUNT, &account.to_string());
        fields.set_bytes(field::SECRET, self.secret_access_key.expose());
        fields.set_bool(field::ACTIVE, true);
        fields.set_i64(field::CREATED_MS, now_ms);
        fields
    }
}

impl AccessKey {
    /// The same, as one of a user.
    pub(crate) fn fields_of_user(&self, account: AccountId, user: &str, now_ms: i64) -> Fields {
        let mut fields = self.to_fields(account, now_ms);
        fields.set_str(field::PRINCIPAL, user);
        fields
    }
}

/// What is told of an access key, by its record: not its secret.
pub(crate) struct KnownKey {
    pub(crate) account: AccountId,
    /// None of a root.
    pub(crate) user: Option<String>,
    pub(crate) active: bool,
    pub(crate) created_ms: i64,
    pub(crate) generation: Generation,
    fields: Fields,
}

impl KnownKey {
    /// The record, with the key in use or not.
    pub(crate) fn with_active(mut self, active: bool) -> Fields {
        self.fields.set_bool(field::ACTIVE, active);
        self.fields
    }
}

/// Longest access key id that is looked up; AWS's are 16 to 128 characters.
const ACCESS_KEY_ID_MAX: usize = 128;

/// Whether a text can be the id of an access key.
pub(crate) fn is_access_key_id(text: &str) -> bool {
    (1..=ACCESS_KEY_ID_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The account that an access key's record names.
pub(crate) fn owner(fields: &Fields) -> Option<AccountId> {
    fields.get_str(field::ACCOUNT)?.parse().ok()
}

/// The user whom an access key's record names; none of a root's.
pub(crate) fn user_of(fields: &Fields) -> Option<&str> {
    fields.get_str(field::PRINCIPAL)
}

impl Core {
    /// The access key of this id, if there is one.
    pub(crate) async fn credential(&self, access_key_id: &str) -> Result<Option<Arc<Credential>>, Fault> {
        if self.options.shared {
            self.refresh().await?;
        }
        let cache_key = access_key_id.to_owned();
        if let Some(credential) = self.credentials.get(&cache_key) {
            return Ok(Some(credential));
        }
        let epoch = self.epoch.now();
        let Some(stored) = self.vault.read(&access_key_path(access_key_id)).await? else { return Ok(None) };
        let account = owner(&stored.fields).ok_or(Fault::Incomplete("an access key"))?;
        let id: Arc<str> = access_key_id.into();
        let principal = match stored.fields.get_str(field::PRINCIPAL) {
            None => Principal::root(account, Some(id)),
            Some(user) => match self.named(account, EntityKind::User, user).await? {
                Some(user) => Principal::user(account, user.named(), Some(id)),
                // Of nobody who is there any more.
                None => return Ok(None),
            },
        };
        let credential = Arc::new(Credential {
            access_key_id: cache_key.clone(),
            principal: Arc::new(principal),
            active: stored.fields.get_bool(field::ACTIVE).unwrap_or(false),
            signing_keys: RwLock::default(),
            used_ms: AtomicI64::new(0),
        });
        self.credentials.keep(&self.epoch, epoch, cache_key, Arc::clone(&credential));
        Ok(Some(credential))
    }

    /// What an access key's record says, if there is one.
    pub(crate) async fn known_key(&self, access_key_id: &str) -> Result<Option<KnownKey>, Fault> {
        if !is_access_key_id(access_key_id) {
            return Ok(None);
        }
        let Some(stored) = self.vault.read(&access_key_path(access_key_id)).await? else { return Ok(None) };
        let (fields, missing) = (stored.fields, || Fault::Incomplete("an access key"));
        Ok(Some(KnownKey {
            account: owner(&fields).ok_or_else(missing)?,
            user: fields.get_str(field::PRINCIPAL).map(ToOwned::to_owned),
            active: fields.get_bool(field::ACTIVE).unwrap_or(false),
            created_ms: fields.get_i64(field::CREATED_MS).ok_or_else(missing)?,
            generation: stored.generation,
            fields,
        }))
    }

    /// The signing key for a scope, from memory or derived from the secret, which is read for it and wiped: from the
    /// access key's record, or of temporary credentials from their token.
    pub(crate) async fn signing_key(
        &self,
        credential: &Credential,
        token: Option<&str>,
        scope: &Scope<'_>,
    ) -> Result<Arc<SigningKey>, Fault> {
        if let Some(key) = credential.known_signing_key(scope) {
            return Ok(key);
        }
        let secret = match token {
            None => self.secret_of(&credential.access_key_id).await?,
            Some(token) => self.temporary_secret(&credential.access_key_id, token)?,
        };
        Ok(Arc::new(SigningKey::derive(secret.expose(), scope.date, scope.region, scope.service)))
    }

    /// The secret of an access key.
    pub(crate) async fn secret_of(&self, access_key_id: &str) -> Result<SecretBytes, Fault> {
        let stored = self.vault.read(&access_key_path(access_key_id)).await?;
        let stored = stored.ok_or(Fault::Incomplete("an access key"))?;
        let secret = stored.fields.get_bytes(field::SECRET).ok_or(Fault::Incomplete("an access key"))?;
        Ok(SecretBytes::copy_of(secret))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bulla_crypto::SystemRng;

    #[test]
    fn access_keys_look_like_aws_ones_and_differ() {
        let (a, b) = (AccessKey::generate(&SystemRng), AccessKey::generate(&SystemRng));
        assert_eq!(a.access_key_id.len(), 20);
        assert!(a.access_key_id.starts_with("AKIA"));
        let secret = std::str::from_utf8(a.secret_access_key.expose()).unwrap();
        assert_eq!(secret.len(), 40);
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)));
        assert_ne!(a.access_key_id, b.access_key_id);
        assert_ne!(a.secret_access_key.expose(), b.secret_access_key.expose());
    }
}
