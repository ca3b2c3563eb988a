//! The circumstances of a request, as the conditions of policies ask for them.
//!
//! Each value comes from what the service knows by itself: the authenticated caller, the typed input, the key's record, the
//! connection, the clock. What callers merely claim is here in two keys, `aws:UserAgent` and `aws:Referer`, because AWS
//! defines them so. Values are made when a policy asks for them, and only then.
//!
//! Sources: IAM user guide, "AWS global condition context keys"; AWS KMS developer guide, "AWS KMS condition keys",
//! "Condition keys for Nitro Enclaves", "Condition keys for NitroTPM".

use crate::authenticate::Via;
use crate::keys::Key;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::principal::{Principal, PrincipalKind};
use crate::recipient::Recipient;
use crate::request::RequestMeta;
use bulla_api::{AccountId, AliasName, EncryptionContext, Region, Role, Tag};
use bulla_crypto::attestation::{Attestation, Attester};
use bulla_policy::{Context, Policy, Values};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

/// What a request's input says, as conditions and grants ask it.
pub(crate) trait Says: Sync {
    /// The value under a condition key, in lower case, that is of this operation alone, as the demand of `role` sees it.
    fn says(&self, role: Role, key: &str) -> Option<Values<'_>>;

    /// The encryption context, as the demand of `role` sees it.
    fn encryption_context(&self, role: Role) -> Option<&EncryptionContext>;

    /// Whom the answer is for, when it isn't for the caller.
    fn recipient(&self) -> Option<&Attestation>;
}

impl<O: Executes> Says for Parsed<O> {
    fn says(&self, role: Role, key: &str) -> Option<Values<'_>> {
        O::says(self.input(), role, key)
    }

    fn encryption_context(&self, role: Role) -> Option<&EncryptionContext> {
        O::encryption_context(self.input(), role)
    }

    fn recipient(&self) -> Option<&Attestation> {
        match self.recipient() {
            Recipient::Attested(attestation) => Some(attestation),
            Recipient::Caller => None,
        }
    }
}

/// The circumstances of one demand of a request.
pub(crate) struct Circumstances<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) region: &'a Region,
    pub(crate) connection: Connection<'a>,
    pub(crate) now_ms: i64,
    pub(crate) request: &'a dyn Says,
    pub(crate) role: Role,
    /// Whose the resource is.
    pub(crate) resource_account: AccountId,
    pub(crate) key: Option<&'a Key>,
    /// The resource's tags.
    pub(crate) tags: &'a [(String, String)],
    /// The ARN of what bounds the user or the role that the resource is, where that may be asked.
    pub(crate) boundary: Option<&'a str>,
    /// The alias by which the request names the key.
    pub(crate) request_alias: Option<&'a AliasName>,
    /// What takes a look into the store, once it was asked for.
    pub(crate) fetched: &'a Fetched,
    pub(crate) noted: Noted,
}

/// How a request came.
#[derive(Clone, Copy)]
pub(crate) enum Connection<'a> {
    /// As this says.
    Known { meta: &'a RequestMeta, via: Via },
    /// It didn't: it is asked about, not made, with these values under condition keys in lower case.
    Supposed(&'a BTreeMap<String, Vec<String>>),
}

/// What conditions may ask that isn't at hand.
#[derive(Default)]
pub(crate) struct Fetched {
    /// The names of the key's aliases.
    pub(crate) aliases: Option<Vec<AliasName>>,
    /// Whether ReEncrypt's two keys are one; `None` inside, of operations that have but one.
    pub(crate) on_same_key: Option<Option<bool>>,
}

/// What was noted while values were asked for.
#[derive(Default)]
pub(crate) struct Noted {
    wants_aliases: Cell<bool>,
    wants_same_key: Cell<bool>,
    is_ambiguous: Cell<bool>,
}

impl Noted {
    /// Whether the key's aliases were asked for, and aren't at hand.
    pub(crate) fn wants_aliases(&self) -> bool {
        self.wants_aliases.get()
    }

    /// Whether it was asked if both keys are one, and it isn't known.
    pub(crate) fn wants_same_key(&self) -> bool {
        self.wants_same_key.get()
    }

    /// Whether a key was asked for that must have one value, and whose name fits several that differ in case alone
    /// (`kms:EncryptionContext:App`, where the request has `App` and `app`). Whichever was taken for it, the caller could have
    /// meant the policy to see the one and what it protects the other: such a request must not be allowed.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous.get()
    }
}

/// Keys of which a request has one for each name that follows. Names are compared without case.
const NAMED: [&str; 5] = [
    "aws:principaltag/",
    "aws:resourcetag/",
    "iam:resourcetag/",
    "aws:requesttag/",
    "kms:encryptioncontext:",
];

/// A condition key of IAM that a policy asks for and no request ever answers, if there is one. A denial by it would hold
/// nobody, so that such a policy must not be taken.
pub(crate) fn unanswered(policy: &Policy) -> Option<&str> {
    policy.condition_keys().find(|key| {
        key.strip_prefix("iam:").is_some_and(|name| {
            !matches!(name, "policyarn" | "permissionsboundary") && !name.starts_with("resourcetag/")
        })
    })
}

/// What is said of such a policy.
pub(crate) fn never_answered(key: &str) -> String {
    format!("Policy asks for the condition key {key}, which this service never answers.")
}

impl Context for Circumstances<'_> {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        if let Some(supposed) = self.connection.supposed(key) {
            return Some(supposed);
        }
        let values = match key.split_once(':') {
            Some(("aws", name)) => self.global(name).or_else(|| self.request.says(self.role, key)),
            Some(("kms", name)) => self.kms(name).or_else(|| self.request.says(self.role, key)),
            Some(("iam", name)) if name.starts_with("resourcetag/") => {
                name.split_once('/').and_then(|(_, tag)| self.resource_tag(tag))
            }
            // What the request gives somebody, or what bounds whom it is about.
            Some(("iam", "permissionsboundary")) => {
                self.request.says(self.role, key).or_else(|| self.boundary.map(Values::from))
            }
            Some(_) => self.request.says(self.role, key).or_else(|| self.claim(key)),
            None => None,
        }?;
        if NAMED.iter().any(|prefix| key.starts_with(prefix)) && values.all().len() > 1 {
            self.noted.is_ambiguous.set(true);
        }
        Some(values)
    }
}

impl<'a> Circumstances<'a> {
    /// What a provider of identities says, or said, of whoever asks: under its own name.
    fn claim(&self, key: &str) -> Option<Values<'_>> {
        let values: Vec<&str> = match self.principal.web_identity() {
            Some(web_identity) => web_identity.says(key)?.iter().map(String::as_str).collect(),
            None => self.principal.session()?.claim(key),
        };
        match values.as_slice() {
            [] => None,
            // How somebody authenticated has several values, also where it has but one.
            [one] if !has_several(key) => Some(Values::from(*one)),
            several => Some(Values::Many(several.iter().map(|value| Cow::Borrowed(*value)).collect())),
        }
    }

    /// Keys that begin with `aws:`.
    fn global(&self, name: &str) -> Option<Values<'_>> {
        let principal = self.principal;
        if let Some((of, tag)) = name.split_once('/') {
            return match of {
                "principaltag" => principal.tag(tag).map(Values::from),
                "resourcetag" => self.resource_tag(tag),
                _ => None,
            };
        }
        match name {
            // Nobody of any account.
            "principalarn" | "principalaccount" | "principaltype" | "userid"
                if principal.kind() == PrincipalKind::WebIdentity =>
            {
                None
            }
            "principalarn" => Some(match principal.role_arn() {
                Some(role) => Values::from(role),
                None => Values::from(principal.arn()),
            }),
            "principalaccount" => Some(principal.account().to_string().into()),
            "principaltype" => Some(Values::from(match principal.kind() {
                PrincipalKind::Root => "Account",
                PrincipalKind::User => "User",
                PrincipalKind::AssumedRole => "AssumedRole",
                PrincipalKind::WebIdentity => return None,
            })),
            "userid" => Some(principal.unique_id().into()),
            "username" => principal.user_name().map(Values::from),
            // No service of AWS calls, nor anybody through one.
            "principalisawsservice" | "viaawsservice" => Some("false".into()),
            "multifactorauthpresent" => {
                let of_session = principal.session().is_some();
                of_session.then(|| truth(principal.has_mfa()))
            }
            "tokenissuetime" => principal.session().map(|session| time_text(session.issued_ms).into()),
            "sourceidentity" => principal.session()?.source_identity.as_deref().map(Values::from),
            "federatedprovider" => match principal.web_identity() {
                Some(web_identity) => Some(web_identity.provider_arn.as_str().into()),
                None => principal.session()?.web_identity_provider.as_deref().map(Values::from),
            },
            "resourceaccount" => Some(self.resource_account.to_string().into()),
            "requestedregion" => Some(self.region.as_str().into()),
            "currenttime" => Some(time_text(self.now_ms).into()),
            "epochtime" => Some(self.now_ms.div_euclid(1000).to_string().into()),
            "sourceip" | "securetransport" | "useragent" | "referer" => self.connection.says(name),
            _ => None,
        }
    }

    /// Keys that begin with `kms:`, and are of every operation, or of every one with a key.
    fn kms(&self, name: &str) -> Option<Values<'_>> {
        if let Some(pair) = name.strip_prefix("encryptioncontext:") {
            return tagged(self.request.encryption_context(self.role)?.iter(), pair);
        }
        if let Some(register) = name.strip_prefix("recipientattestation:") {
            return attested(self.request.recipient()?, register);
        }
        match name {
            "calleraccount" => return Some(self.principal.account().to_string().into()),
            "encryptioncontextkeys" => {
                let context = self.request.encryption_context(self.role).filter(|all| !all.is_empty())?;
                return Some(Values::Many(context.iter().map(|(name, _)| Cow::Borrowed(name)).collect()));
            }
            "requestalias" => return self.request_alias.map(|alias| alias.as_str().into()),
            "reencryptonsamekey" => return self.on_same_key(),
            _ => {}
        }
        let key = self.key?;
        match name {
            "keyspec" | "customermasterkeyspec" => Some(key.record.spec.as_str().into()),
            "keyusage" | "customermasterkeyusage" => Some(key.record.usage.as_str().into()),
            "keyorigin" => Some(key.record.origin.as_str().into()),
            "multiregion" => Some(truth(key.id.is_multi_region())),
            "multiregionkeytype" if key.id.is_multi_region() => {
                Some(if key.is_replica() { "REPLICA" } else { "PRIMARY" }.into())
            }
            "resourcealiases" => self.aliases(),
            _ => None,
        }
    }

    fn resource_tag(&self, name: &str) -> Option<Values<'_>> {
        tagged(self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())), name)
    }

    fn aliases(&self) -> Option<Values<'_>> {
        let Some(aliases) = &self.fetched.aliases else {
            self.noted.wants_aliases.set(true);
            return None;
        };
        let aliases = aliases.iter().map(|alias| Cow::Borrowed(alias.as_str()));
        (aliases.len() > 0).then(|| Values::Many(aliases.collect()))
    }

    fn on_same_key(&self) -> Option<Values<'_>> {
        let Some(on_same_key) = self.fetched.on_same_key else {
            self.noted.wants_same_key.set(true);
            return None;
        };
        on_same_key.map(truth)
    }
}

/// Condition keys that have several values, also where they have but one.
pub(crate) fn has_several(key: &str) -> bool {
    matches!(
        key,
        "aws:tagkeys"
            | "kms:encryptioncontextkeys"
            | "kms:grantoperations"
            | "kms:resourcealiases"
            | "sts:transitivetagkeys"
    ) || key.ends_with(":amr")
}

impl<'a> Connection<'a> {
    /// What is supposed to stand under a condition key.
    fn supposed(self, key: &str) -> Option<Values<'a>> {
        let Self::Supposed(given) = self else { return None };
        match given.get(key)?.as_slice() {
            [one] if !has_several(key) => Some(Values::from(one.as_str())),
            several => {
                Some(Values::Many(several.iter().map(|value| Cow::Borrowed(value.as_str())).collect()))
            }
        }
    }

    fn says(self, name: &str) -> Option<Values<'a>> {
        let Self::Known { meta, via } = self else { return None };
        let filled = |text: &'a str| (!text.is_empty()).then(|| text.into());
        match name {
            "sourceip" => meta.source_ip.map(|ip| ip.to_string().into()),
            // What comes through a socket of this host, or doesn't leave its process, crosses no network.
            "securetransport" => Some(truth(via != Via::Network || meta.tls.is_some())),
            "useragent" => filled(&meta.user_agent),
            "referer" => filled(&meta.referer),
            _ => None,
        }
    }
}

/// The values under a name, of pairs whose names are compared without case: several where names differ in case alone.
pub(crate) fn tagged<'p, N, V>(pairs: impl Iterator<Item = (N, V)>, name: &str) -> Option<Values<'p>>
where
    N: AsRef<str>,
    V: Into<Cow<'p, str>>,
{
    let mut found = pairs.filter(|(key, _)| is_same_name(key.as_ref(), name)).map(|(_, value)| value.into());
    let first = found.next()?;
    Some(match found.next() {
        None => Values::One(first),
        Some(second) => Values::Many([first, second].into_iter().chain(found).collect()),
    })
}

/// What a request says under `aws:RequestTag/…` and `aws:TagKeys`, of one that carries tags.
pub(crate) fn tags_say<'t>(tags: &'t [Tag], key: &str) -> Option<Values<'t>> {
    tag_pairs_say(tags.iter().map(|tag| (tag.tag_key.as_str(), tag.tag_value.as_str())), key)
}

/// The same, whatever shape the tags have.
pub(crate) fn tag_pairs_say<'t>(
    tags: impl Iterator<Item = (&'t str, &'t str)>,
    key: &str,
) -> Option<Values<'t>> {
    match key {
        "aws:tagkeys" => tag_keys(tags.map(|(name, _)| name)),
        _ => tagged(tags, key.strip_prefix("aws:requesttag/")?),
    }
}

/// `aws:TagKeys`, where there are any.
pub(crate) fn tag_keys<'t>(keys: impl Iterator<Item = &'t str>) -> Option<Values<'t>> {
    let keys: Vec<Cow<'t, str>> = keys.map(Cow::Borrowed).collect();
    (!keys.is_empty()).then_some(Values::Many(keys))
}

/// A truth value, as conditions write it.
pub(crate) fn truth(truth: bool) -> Values<'static> {
    if truth { "true" } else { "false" }.into()
}

/// `2026-11-23T19:53:42Z`.
pub(crate) fn time_text(wall_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(wall_ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        // Further from now than any clock can be: no date, so that no condition on dates holds.
        Err(_) => String::new(),
    }
}

/// As names of condition keys are compared.
fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && one.to_lowercase() == other.to_lowercase())
}

/// A register that was attested: `imagesha384` and `pcr3` of an enclave, `nitrotpmpcr4` of a NitroTPM.
fn attested(attestation: &Attestation, register: &str) -> Option<Values<'static>> {
    let number = |text: &str| text.parse().ok().filter(|number: &u8| number.to_string() == text);
    let number = match attestation.attester() {
        Attester::Enclave if register == "imagesha384" => 0,
        Attester::Enclave => number(register.strip_prefix("pcr")?)?,
        Attester::NitroTpm => number(register.strip_prefix("nitrotpmpcr")?)?,
    };
    let value: String = attestation.pcr(number)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(value.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_fits_whatever_its_case_and_two_that_fit_are_both_given() {
        let pairs = [("App", "a"), ("app", "b"), ("Other", "c")];
        let found = |name| tagged(pairs.into_iter(), name);
        assert_eq!(found("other"), Some(Values::from("c")));
        assert_eq!(found("app"), Some(Values::Many(vec!["a".into(), "b".into()])));
        assert_eq!(found("none"), None);
        assert_eq!(tagged([("Stra\u{df}e", "x"), ("\u{c9}", "y")].into_iter(), "\u{e9}"), Some("y".into()));
    }

    #[test]
    fn request_tags_are_asked_by_name_and_by_their_names() {
        let tag = |key: &str, value: &str| Tag { tag_key: key.to_owned(), tag_value: value.to_owned() };
        let tags = [tag("Team", "red"), tag("env", "prod")];
        assert_eq!(tags_say(&tags, "aws:requesttag/team"), Some("red".into()));
        assert_eq!(tags_say(&tags, "aws:tagkeys").unwrap().all(), ["Team", "env"]);
        assert_eq!(tags_say(&tags, "aws:requesttag/none"), None);
        assert_eq!(tags_say(&[], "aws:tagkeys"), None);
    }

    #[test]
    fn times_are_as_policies_write_them() {
        assert_eq!(time_text(1_795_435_200_123), "2026-11-23T12:00:00Z");
    }
}
