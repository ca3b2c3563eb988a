//! The keys with which providers of identities (OpenID Connect) sign, and where they come from.
//!
//! Keys that the server was given for an issuer are the only ones of that issuer. Others are asked of the issuer, through
//! [`OidcClient`], and kept for a while: anew when they are old, or when a token names a key that isn't among them, but not
//! more often than twice a minute.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulla_crypto::jws::{JwsAlgorithm, JwsKey};
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most bytes of a set of keys.
pub const KEY_SET_BYTES_MAX: usize = 64 * 1024;

/// Most keys of an issuer.
const KEYS_MAX: usize = 64;

/// How long keys are believed that were asked for.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// How soon an issuer is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// Most issuers whose keys are kept.
const ISSUERS_MAX: usize = 1000;

/// What asking an issuer gives: its set of keys (RFC 7517), or why there is none, for the log.
pub type OidcFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// Asks issuers for their keys. Implementations bound how long that takes, how much is read, and whom they connect to.
pub trait OidcClient: fmt::Debug + Send + Sync {
    /// The set of keys of an issuer, an `https` URL.
    fn key_set<'a>(&'a self, issuer: &'a str) -> OidcFuture<'a>;
}

/// Asks nobody: for an engine that stands alone.
#[derive(Debug, Clone, Copy)]
pub struct NoOidcClient;

impl OidcClient for NoOidcClient {
    fn key_set<'a>(&'a self, _: &'a str) -> OidcFuture<'a> {
        Box::pin(std::future::ready(Err("no issuer is asked".to_owned())))
    }
}

/// The keys of an issuer.
#[derive(Debug)]
pub struct IssuerKeys(Vec<NamedKey>);

#[derive(Debug)]
struct NamedKey {
    id: Option<String>,
    key: JwsKey,
}

/// Why a set of keys can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetRefused {
    /// Longer than [`KEY_SET_BYTES_MAX`].
    #[error("it is longer than {KEY_SET_BYTES_MAX} bytes")]
    TooLong,
    /// No set of keys in JSON.
    #[error("it is not a JSON Web Key Set")]
    NotASet,
    /// None that signs with RS256 or ES256.
    #[error("it has no key for RS256 or ES256")]
    NoKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// A key as the set has it (RFC 7517, section 4; RFC 7518, section 6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    /// The key, if it is one for signatures that are taken here.
    fn key(&self) -> Option<JwsKey> {
        if self.r#use.as_deref().is_some_and(|used| used != "sig") {
            return None;
        }
        let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => JwsKey::rsa(&number(&self.n)?, &number(&self.e)?).ok()?,
            ("EC", Some("P-256")) => JwsKey::p256(&number(&self.x)?, &number(&self.y)?).ok()?,
            _ => return None,
        };
        let is_for = |algorithm: &String| algorithm == key.algorithm().name();
        self.alg.as_ref().is_none_or(is_for).then_some(key)
    }
}

impl IssuerKeys {
    /// Reads a JSON Web Key Set. Keys that are for something else, or of other kinds, are left out.
    ///
    /// # Errors
    /// [`KeySetRefused`].
    pub fn parse(json: &[u8]) -> Result<Self, KeySetRefused> {
        if json.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetRefused::TooLong);
        }
        let set: KeySet = serde_json::from_slice(json).map_err(|_| KeySetRefused::NotASet)?;
        let named = |value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            Some(NamedKey { key: jwk.key()?, id: jwk.kid })
        };
        let keys: Vec<NamedKey> = set.keys.into_iter().take(KEYS_MAX).filter_map(named).collect();
        if keys.is_empty() { Err(KeySetRefused::NoKey) } else { Ok(Self(keys)) }
    }

    /// The key that a token's header means: by its name, or where it names none, the only one of the algorithm.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: &str) -> Option<&JwsKey> {
        let fits = |named: &&NamedKey| {
            named.key.algorithm().name() == algorithm && (id.is_none() || named.id.as_deref() == id)
        };
        let mut found = self.0.iter().filter(fits);
        let first = found.next()?;
        // Of several, which is meant is not said.
        found.next().is_none().then_some(&first.key)
    }
}

/// Whether an algorithm is one of those that are taken.
pub(crate) fn is_known(algorithm: &str) -> bool {
    [JwsAlgorithm::Rs256, JwsAlgorithm::Es256].iter().any(|known| known.name() == algorithm)
}

/// The keys that an issuer gave last, and when it was asked.
struct Asked {
    known: Option<Known>,
    at: Duration,
}

struct Known {
    keys: Arc<IssuerKeys>,
    /// When they were given: asking in vain makes them no younger.
    at: Duration,
}

impl Asked {
    /// The keys, as long as they are believed.
    fn believed(&self, now: Duration) -> Option<&Arc<IssuerKeys>> {
        let known = self.known.as_ref().filter(|known| now.saturating_sub(known.at) < KEPT)?;
        Some(&known.keys)
    }
}

/// Where an issuer's keys are found.
pub(crate) struct Keyring {
    given: HashMap<String, Arc<IssuerKeys>>,
    client: Arc<dyn OidcClient>,
    /// Of each issuer what it said: whoever asks it anew, others wait for, but only those who want to know the same.
    asked: Mutex<HashMap<String, Turn>>,
}

type Turn = Arc<tokio::sync::Mutex<Option<Asked>>>;

impl Keyring {
    pub(crate) fn new(given: &[(String, Arc<IssuerKeys>)], client: Arc<dyn OidcClient>) -> Self {
        Self { given: given.iter().cloned().collect(), client, asked: Mutex::default() }
    }

    /// The keys of an issuer among which should be the one that a token names; those without it, if it has none of that
    /// name; `None` if there is no telling.
    pub(crate) async fn keys(
        &self,
        issuer: &str,
        id: Option<&str>,
        algorithm: &str,
        now: Duration,
    ) -> Option<Arc<IssuerKeys>> {
        if let Some(keys) = self.given.get(issuer) {
            return Some(Arc::clone(keys));
        }
        let turn = self.turn(issuer);
        let mut asked = turn.lock().await;
        if let Some(before) = &*asked {
            let believed = before.believed(now);
            let fits = believed.is_some_and(|keys| keys.find(id, algorithm).is_some());
            if fits || now.saturating_sub(before.at) < ASKED_AGAIN {
                return believed.cloned();
            }
        }
        let given = match self.client.key_set(issuer).await {
            Ok(json) => IssuerKeys::parse(&json),
            Err(cause) => {
                tracing::warn!(issuer, cause, "an issuer of web identities gave no keys");
                return Self::without_answer(&mut asked, now);
            }
        };
        let known = match given {
            Ok(keys) => Some(Known { keys: Arc::new(keys), at: now }),
            Err(refused) => {
                tracing::warn!(issuer, cause = %refused, "an issuer of web identities gave no keys");
                // That it has none any more is an answer, too.
                if refused != KeySetRefused::NoKey {
                    return Self::without_answer(&mut asked, now);
                }
                None
            }
        };
        let keys = known.as_ref().map(|known| Arc::clone(&known.keys));
        *asked = Some(Asked { known, at: now });
        keys
    }

    /// Notes that an issuer was asked in vain. What it gave before is believed for as long as it would have been.
    fn without_answer(asked: &mut Option<Asked>, now: Duration) -> Option<Arc<IssuerKeys>> {
        let known = asked.take().and_then(|before| before.known);
        asked.insert(Asked { known, at: now }).believed(now).cloned()
    }

    fn turn(&self, issuer: &str) -> Turn {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= ISSUERS_MAX && !asked.contains_key(issuer) {
            // Any will do whom nobody waits for: it is asked anew when it is needed.
            let idle = asked.iter().find(|(_, turn)| Arc::strong_count(turn) == 1);
            if let Some(idle) = idle.map(|(issuer, _)| issuer.clone()) {
                asked.remove(&idle);
            }
        }
        Arc::clone(asked.entry(issuer.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// RFC 7515, appendix A.3.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn key(more: &str) -> String {
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"{more}}}"#)
    }

    fn set(keys: &[String]) -> Vec<u8> {
        format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into_bytes()
    }

    #[test]
    fn keys_are_found_by_name_or_when_there_is_but_one() {
        let keys =
            IssuerKeys::parse(&set(&[key(r#","kid":"a""#), key(r#","kid":"b","alg":"ES256""#)])).unwrap();
        assert!(keys.find(Some("a"), "ES256").is_some());
        assert!(keys.find(Some("c"), "ES256").is_none());
        assert!(keys.find(Some("a"), "RS256").is_none());
        assert!(keys.find(Some("a"), "none").is_none());
        assert!(keys.find(None, "ES256").is_none(), "which of the two is not said");
        let one = IssuerKeys::parse(&set(&[key("")])).unwrap();
        assert!(one.find(None, "ES256").is_some());
        assert!(one.find(Some("a"), "ES256").is_none());
    }

    #[test]
    fn what_is_for_something_else_is_left_out() {
        for more in [r#","use":"enc""#, r#","alg":"RS256""#, r#","alg":"HS256""#] {
            assert_eq!(IssuerKeys::parse(&set(&[key(more)])).unwrap_err(), KeySetRefused::NoKey, "{more}");
        }
        let secret = r#"{"kty":"oct","k":"AAAA"}"#.to_owned();
        assert_eq!(IssuerKeys::parse(&set(&[secret])).unwrap_err(), KeySetRefused::NoKey);
        assert_eq!(IssuerKeys::parse(b"[]").unwrap_err(), KeySetRefused::NotASet);
        assert_eq!(
            IssuerKeys::parse(&vec![b' '; KEY_SET_BYTES_MAX + 1]).unwrap_err(),
            KeySetRefused::TooLong
        );
    }

    #[derive(Debug, Default)]
    struct Issuer {
        asked: AtomicUsize,
        rotated: AtomicUsize,
        /// What it says instead, if it is anything.
        instead: Mutex<Option<Result<Vec<u8>, String>>>,
    }

    impl OidcClient for Issuer {
        fn key_set<'a>(&'a self, _: &'a str) -> OidcFuture<'a> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if let Some(instead) = self.instead.lock().unwrap().clone() {
                return Box::pin(std::future::ready(instead));
            }
            let id = format!(r#","kid":"k{}""#, self.rotated.load(Ordering::SeqCst));
            Box::pin(std::future::ready(Ok(set(&[key(&id)]))))
        }
    }

    #[tokio::test]
    async fn an_issuer_is_asked_anew_for_a_key_that_is_not_known_and_not_too_often() {
        let issuer = Arc::new(Issuer::default());
        let keyring = Keyring::new(&[], Arc::clone(&issuer) as _);
        let found = async |id: &'static str, second: u64| {
            let keys = keyring.keys("https://i", Some(id), "ES256", Duration::from_secs(second)).await;
            keys.unwrap().find(Some(id), "ES256").is_some()
        };
        assert!(found("k0", 0).await && found("k0", 1).await);
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
        issuer.rotated.store(1, Ordering::SeqCst);
        assert!(!found("k1", 2).await, "asked a moment ago");
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
        assert!(found("k1", 40).await);
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
        assert!(found("k1", 3000).await);
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
        assert!(found("k1", 4000).await);
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 3, "old keys are not believed for ever");
    }

    #[tokio::test]
    async fn whoever_asks_in_vain_takes_nothing_from_others() {
        for instead in [Err("gone".to_owned()), Ok(b"<html>".to_vec())] {
            let issuer = Arc::new(Issuer::default());
            let keyring = Keyring::new(&[], Arc::clone(&issuer) as _);
            let found = async |id: &'static str, second: u64| {
                let keys = keyring.keys("https://i", Some(id), "ES256", Duration::from_secs(second)).await;
                keys.map(|keys| keys.find(Some(id), "ES256").is_some())
            };
            assert_eq!(found("k0", 0).await, Some(true));
            *issuer.instead.lock().unwrap() = Some(instead);
            assert_eq!(found("unknown", 40).await, Some(false));
            assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
            assert_eq!(found("k0", 41).await, Some(true));
            assert_eq!(found("unknown", 42).await, Some(false), "asked a moment ago");
            assert_eq!(found("unknown", 3590).await, Some(false));
            assert_eq!(found("k0", 3599).await, Some(true));
            assert_eq!(issuer.asked.load(Ordering::SeqCst), 3);
            assert_eq!(found("k0", 3600).await, None, "asking in vain makes keys no younger");
            assert_eq!(found("k0", 3640).await, None);
            assert_eq!(issuer.asked.load(Ordering::SeqCst), 4);
        }
    }

    #[tokio::test]
    async fn an_issuer_that_has_no_keys_any_more_is_believed() {
        let issuer = Arc::new(Issuer::default());
        let keyring = Keyring::new(&[], Arc::clone(&issuer) as _);
        let keys = async |id: &'static str, second: u64| {
            keyring.keys("https://i", Some(id), "ES256", Duration::from_secs(second)).await
        };
        assert!(keys("k0", 0).await.is_some());
        *issuer.instead.lock().unwrap() = Some(Ok(set(&[])));
        assert!(keys("unknown", 40).await.is_none());
        assert!(keys("k0", 41).await.is_none());
    }

    #[tokio::test]
    async fn given_keys_are_the_only_ones() {
        let issuer = Arc::new(Issuer::default());
        let given = Arc::new(IssuerKeys::parse(&set(&[key("")])).unwrap());
        let keyring = Keyring::new(&[("https://i".to_owned(), given)], Arc::clone(&issuer) as _);
        let keys = keyring.keys("https://i", Some("k0"), "ES256", Duration::ZERO).await.unwrap();
        assert!(keys.find(Some("k0"), "ES256").is_none());
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 0);
    }
}
