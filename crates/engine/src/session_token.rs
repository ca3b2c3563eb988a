//! Temporary credentials: an access key whose record is its session token.
//!
//! Nothing of a session is stored. Its token holds all that there is to know, the secret of its access key too, sealed under
//! the barrier and bound to the access key's id: it tells nothing, can't be made, and belongs to no other access key. What a
//! token says is believed until it expires; whether there is still somebody of whom it is, is asked each time.

use crate::conditions::time_text;
use crate::core::Core;
use crate::credentials::{AccessKey, Credential};
use crate::fault::Fault;
use crate::principal::{Principal, Session};
use crate::record::EntityKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::{AccountId, SecretBytes};
use bulla_crypto::{Rng, hex, sha256};
use bulla_store::Fields;
use std::sync::Arc;

const LABEL: &str = "bulla/session-token/v1";

/// Most bytes of what a session has of policies and tags, so that its token fits into a header beside all others.
pub(crate) const PACKED_MAX_BYTES: usize = 3072;

/// What the id of temporary credentials begins with. Source: IAM user guide, "IAM identifiers".
const PREFIX: &str = "ASIA";

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Digits of an access key's id that tell the account: 40 bits are enough for any.
const ACCOUNT_DIGITS: usize = 8;

mod field {
    pub(super) const SECRET: u16 = 1;
    pub(super) const ACCOUNT: u16 = 2;
    /// The unique id of the user or the role; none of a root.
    pub(super) const IDENTITY: u16 = 3;
    pub(super) const NAME: u16 = 4;
    pub(super) const ISSUED_MS: u16 = 5;
    pub(super) const EXPIRES_MS: u16 = 6;
    /// Keys and values in turn.
    pub(super) const TAGS: u16 = 7;
    pub(super) const TRANSITIVE_TAG_KEYS: u16 = 8;
    pub(super) const SOURCE_IDENTITY: u16 = 9;
    pub(super) const POLICIES: u16 = 10;
    pub(super) const POLICY_ARNS: u16 = 11;
    pub(super) const CHAINED: u16 = 12;
    pub(super) const WEB_IDENTITY_PROVIDER: u16 = 13;
    /// The access key by which a root got it.
    pub(super) const ROOT_ACCESS_KEY_ID: u16 = 14;
    /// Names and values in turn.
    pub(super) const WEB_IDENTITY_CLAIMS: u16 = 15;
}

/// Of whom a session is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder<'h> {
    pub(crate) account: AccountId,
    /// The unique id of the user or the role; none of a root.
    pub(crate) identity: Option<&'h str>,
}

/// Temporary credentials, as they are given to their owner once. No `Debug`.
pub(crate) struct Temporary {
    pub(crate) access_key: AccessKey,
    pub(crate) token: String,
    /// How much of what policies and tags may take is taken, in hundredths; none where there is neither.
    pub(crate) packed_percent: Option<u32>,
}

/// Policies and tags take more than they may: so much, in hundredths.
pub(crate) struct TooLarge(pub(crate) u32);

/// What a token says.
struct Opened {
    fields: Fields,
}

impl Opened {
    fn secret(&self) -> Option<&[u8]> {
        self.fields.get_bytes(field::SECRET)
    }

    fn account(&self) -> Option<AccountId> {
        self.fields.get_str(field::ACCOUNT)?.parse().ok()
    }

    fn session(&self) -> Option<Session> {
        let fields = &self.fields;
        let list = |number| fields.get_list(number).unwrap_or_default();
        let text = |number| fields.get_str(number).map(ToOwned::to_owned);
        let pairs = |number| {
            let pair = |pair: &[String]| match pair {
                [name, value] => Some((name.clone(), value.clone())),
                _ => None,
            };
            list(number).chunks_exact(2).filter_map(pair).collect()
        };
        Some(Session {
            name: text(field::NAME),
            issued_ms: fields.get_i64(field::ISSUED_MS)?,
            expires_ms: fields.get_i64(field::EXPIRES_MS)?,
            tags: pairs(field::TAGS),
            transitive_tag_keys: list(field::TRANSITIVE_TAG_KEYS),
            source_identity: text(field::SOURCE_IDENTITY),
            policies: list(field::POLICIES),
            policy_arns: list(field::POLICY_ARNS),
            chained: fields.get_bool(field::CHAINED)?,
            web_identity_provider: text(field::WEB_IDENTITY_PROVIDER),
            web_identity_claims: pairs(field::WEB_IDENTITY_CLAIMS),
            root_access_key_id: text(field::ROOT_ACCESS_KEY_ID),
        })
    }
}

fn fields_of(holder: Holder<'_>, secret: &SecretBytes, session: &Session) -> Fields {
    let mut fields = Fields::new();
    fields.set_bytes(field::SECRET, secret.expose());
    fields.set_str(field::ACCOUNT, &holder.account.to_string());
    fields.set_i64(field::ISSUED_MS, session.issued_ms).set_i64(field::EXPIRES_MS, session.expires_ms);
    fields.set_bool(field::CHAINED, session.chained);
    let texts = [
        (field::IDENTITY, holder.identity),
        (field::NAME, session.name.as_deref()),
        (field::SOURCE_IDENTITY, session.source_identity.as_deref()),
        (field::WEB_IDENTITY_PROVIDER, session.web_identity_provider.as_deref()),
        (field::ROOT_ACCESS_KEY_ID, session.root_access_key_id.as_deref()),
    ];
    for (number, text) in texts {
        if let Some(text) = text {
            fields.set_str(number, text);
        }
    }
    let in_turn = |pairs: &[(String, String)]| -> Vec<String> {
        pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect()
    };
    let (tags, claims) = (in_turn(&session.tags), in_turn(&session.web_identity_claims));
    let lists: [(u16, Vec<&String>); 5] = [
        (field::TAGS, tags.iter().collect()),
        (field::WEB_IDENTITY_CLAIMS, claims.iter().collect()),
        (field::TRANSITIVE_TAG_KEYS, session.transitive_tag_keys.iter().collect()),
        (field::POLICIES, session.policies.iter().collect()),
        (field::POLICY_ARNS, session.policy_arns.iter().collect()),
    ];
    for (number, items) in lists.into_iter().filter(|(_, items)| !items.is_empty()) {
        fields.set_list(number, items);
    }
    fields
}

/// Bytes of the policies and tags of a session.
fn packed_bytes(session: &Session) -> usize {
    let tags = session.tags.iter().map(|(key, value)| key.len() + value.len());
    let texts = [&session.policies, &session.policy_arns, &session.transitive_tag_keys];
    tags.chain(texts.into_iter().flatten().map(String::len)).sum()
}

/// An access key's id, in which the account can be read, as in AWS's.
fn new_id(account: AccountId, rng: &dyn Rng) -> String {
    let number = account.to_string().parse::<u64>().unwrap_or_default();
    let of_account = (0..ACCOUNT_DIGITS).rev().map(|place| (number >> (5 * place)) & 31);
    let mut random = [0; 16 - ACCOUNT_DIGITS];
    rng.fill(&mut random);
    let digits = of_account.chain(random.iter().map(|byte| u64::from(byte % 32)));
    let digits = digits.filter_map(|digit| BASE32.get(usize::try_from(digit).ok()?));
    PREFIX.chars().chain(digits.map(|digit| char::from(*digit))).collect()
}

/// The account that the id of temporary credentials tells.
pub(crate) fn account_of_id(access_key_id: &str) -> Option<AccountId> {
    let digits = access_key_id.strip_prefix(PREFIX).filter(|digits| digits.len() == 16)?;
    let mut number = 0;
    for digit in digits.bytes().take(ACCOUNT_DIGITS) {
        number = number << 5 | BASE32.iter().position(|known| *known == digit)? as u64;
    }
    AccountId::from_number(number)
}

impl Core {
    /// Gives somebody temporary credentials.
    pub(crate) fn give_temporary(
        &self,
        holder: Holder<'_>,
        session: &Session,
    ) -> Result<Temporary, TooLarge> {
        let packed = packed_bytes(session);
        let percent = u32::try_from((packed * 100).div_ceil(PACKED_MAX_BYTES)).unwrap_or(u32::MAX);
        if packed > PACKED_MAX_BYTES {
            return Err(TooLarge(percent));
        }
        let mut access_key = AccessKey::generate(self.rng());
        access_key.access_key_id = new_id(holder.account, self.rng());
        let payload = fields_of(holder, &access_key.secret_access_key, session).encode();
        let bound_to = access_key.access_key_id.as_bytes();
        let token = self.vault.barrier().seal_token(LABEL, bound_to, &payload, self.rng());
        // Many short tags have much about them, which the limit of their bytes doesn't see.
        let token = STANDARD.encode(token.map_err(|_| TooLarge(percent.max(101)))?);
        Ok(Temporary { access_key, token, packed_percent: (packed > 0).then_some(percent) })
    }

    /// The credentials of a session token, if it is that of this access key, and of somebody who is there. They may have
    /// expired.
    pub(crate) async fn temporary_credential(
        &self,
        access_key_id: &str,
        token: &str,
    ) -> Result<Option<Arc<Credential>>, Fault> {
        if self.options.shared {
            self.refresh().await?;
        }
        // Under a name that no lasting access key has, so that none is found without its token.
        let digest = hex(&sha256(&[token.as_bytes()]));
        let cache_key = format!("{access_key_id} {}", String::from_utf8_lossy(&digest));
        if let Some(credential) = self.credentials.get(&cache_key) {
            return Ok(Some(credential));
        }
        let epoch = self.epoch.now();
        let Some(opened) = self.open_session_token(access_key_id, token) else { return Ok(None) };
        let Some(principal) = self.principal_of(access_key_id, &opened).await? else { return Ok(None) };
        let credential = Arc::new(Credential::temporary(access_key_id, principal));
        self.credentials.keep(&self.epoch, epoch, cache_key, Arc::clone(&credential));
        Ok(Some(credential))
    }

    /// The secret of temporary credentials.
    pub(crate) fn temporary_secret(&self, access_key_id: &str, token: &str) -> Result<SecretBytes, Fault> {
        let opened = self.open_session_token(access_key_id, token);
        let secret = opened.as_ref().and_then(Opened::secret).map(SecretBytes::copy_of);
        secret.ok_or(Fault::bug("a session token that was opened doesn't open"))
    }

    fn open_session_token(&self, access_key_id: &str, token: &str) -> Option<Opened> {
        let token = STANDARD.decode(token).ok()?;
        let payload = self.vault.barrier().open_token(LABEL, access_key_id.as_bytes(), &token).ok()?;
        Fields::decode(payload.expose()).ok().map(|fields| Opened { fields })
    }

    /// Who has a session, if they are there. A role or a user that was made anew under the same name is somebody else.
    async fn principal_of(&self, access_key_id: &str, opened: &Opened) -> Result<Option<Principal>, Fault> {
        let incomplete = || Fault::Incomplete("a session token");
        let account = opened.account().ok_or_else(incomplete)?;
        let session = opened.session().ok_or_else(incomplete)?;
        let issued = time_text(session.issued_ms);
        let id: Arc<str> = access_key_id.into();
        let Some(identity) = opened.fields.get_str(field::IDENTITY) else {
            // It ends with the access key by which it was got.
            let by = session.root_access_key_id.as_deref();
            if self.root_key_in_use(account).await?.as_deref() != Some(by.ok_or_else(incomplete)?) {
                return Ok(None);
            }
            let root = Principal::root(account, Some(Arc::clone(&id)));
            return Ok(Some(root.in_session(session, issued, id)));
        };
        let kind = EntityKind::of_id(identity).ok_or_else(incomplete)?;
        let Some(entity) = self.named(account, kind, identity).await? else { return Ok(None) };
        Ok(match kind {
            EntityKind::Role => Some(Principal::assumed_role(account, entity.named(), session, issued, id)),
            EntityKind::User => {
                let user = Principal::user(account, entity.named(), Some(Arc::clone(&id)));
                Some(user.in_session(session, issued, id))
            }
            EntityKind::Group | EntityKind::Policy => None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bulla_crypto::SystemRng;

    #[test]
    fn an_id_tells_its_account_and_no_more() {
        for account in ["000000000001", "111122223333", "999999999999"] {
            let account: AccountId = account.parse().unwrap();
            let (one, other) = (new_id(account, &SystemRng), new_id(account, &SystemRng));
            assert_eq!((one.len(), account_of_id(&one)), (20, Some(account)));
            assert_ne!(one, other);
        }
        for id in ["AKIAAAAAAAAAAAAAAAAA", "ASIA", "ASIA0000000000000000", "ASIA7777777777777777"] {
            assert_eq!(account_of_id(id), None, "{id}");
        }
    }

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let session = Session {
            name: Some("s".to_owned()),
            issued_ms: 1,
            expires_ms: 2,
            tags: vec![("a".to_owned(), String::new()), ("b".to_owned(), "c".to_owned())],
            transitive_tag_keys: vec!["a".to_owned()],
            source_identity: Some("who".to_owned()),
            policies: vec!["{}".to_owned()],
            policy_arns: vec!["arn".to_owned()],
            chained: true,
            web_identity_provider: Some("p".to_owned()),
            web_identity_claims: vec![("amr".to_owned(), "a".to_owned()), ("amr".to_owned(), "b".to_owned())],
            root_access_key_id: Some("AKIA".to_owned()),
        };
        let account: AccountId = "111122223333".parse().unwrap();
        let holder = Holder { account, identity: Some("AROAX") };
        for session in [session, Session::default()] {
            let fields = fields_of(holder, &SecretBytes::copy_of(b"secret"), &session);
            let opened = Opened { fields: Fields::decode(&fields.encode()).unwrap() };
            assert_eq!(opened.session().unwrap(), session);
            assert_eq!((opened.secret().unwrap(), opened.account()), (&b"secret"[..], Some(account)));
        }
    }
}
