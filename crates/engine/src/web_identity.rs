//! Whoever comes with a token of a provider of identities instead of a signature: the first step of the pipeline for
//! AssumeRoleWithWebIdentity.
//!
//! Sources: RFC 7519 (JWT), RFC 8725 (its best current practices); OpenID Connect Core 1.0, section 3.1.3.7; AWS STS API
//! reference, AssumeRoleWithWebIdentity; IAM user guide, "Available keys for AWS OIDC federation".

use crate::authenticate::{AuthFailure, Authenticated};
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::parse_arn;
use crate::oidc::is_known;
use crate::principal::{Principal, WebIdentity};
use crate::record::EntityKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulla_api::wire::{self, Form};
use bulla_api::{AssumeRoleWithWebIdentity, ErrorCode, PARTITION};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// What clocks may differ by, where a token is said to be good only from some time on. Seconds.
const CLOCKS_DIFFER: f64 = 60.0;

/// Longest subject (OpenID Connect Core 1.0, section 2).
const SUBJECT_MAX: usize = 255;

/// Claims that policies may ask for as long as the session lasts; the others only the role's trust policy may. Source: IAM
/// user guide, "Available keys for AWS OIDC federation".
const LASTING: [&str; 3] = ["amr", "aud", "sub"];

/// Claims by which providers of AWS give tags and source identities to sessions.
const OF_SESSIONS: [&str; 2] = ["https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"];

/// A token's header (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood. Nothing is.
    crit: Option<Value>,
}

/// What a token says. No two members have names that differ in nothing or in case alone: condition keys, which are compared
/// without case, mean one of them and nobody could tell which.
struct Claims(Vec<(String, Value)>);

impl Claims {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
        let (mut claims, mut names) = (Vec::new(), HashSet::new());
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if !names.insert(name.to_lowercase()) {
                return Err(A::Error::custom("two claims of one name"));
            }
            claims.push((name, value));
        }
        Ok(Claims(claims))
    }
}

/// A token in its parts. Nothing that it says is believed yet.
struct Token<'t> {
    header: Header,
    claims: Claims,
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let header: Header = serde_json::from_slice(&part(header)?).ok()?;
        let claims = serde_json::from_slice(&part(payload)?).ok()?;
        Some(Self { header, claims, signed: signed.as_bytes(), signature: part(signature)? })
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A date: seconds since 1970. What is there must be one.
    fn date(&self, claim: &str) -> Result<Option<f64>, Fault> {
        let Some(value) = self.claims.get(claim) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| invalid_token(format!("The claim {claim} is not a number.")))
    }

    /// None of what isn't a list of texts.
    fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => {
                several.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The party that the token was given to, where it names one.
    fn party(&self) -> Result<Option<&str>, Fault> {
        match self.claims.get("azp") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(party)) => Ok(Some(party)),
            Some(_) => Err(invalid_token("The claim azp is not a text.")),
        }
    }

    /// The claims, as policies ask for them: texts, numbers and truth values, and lists of these. What was verified of `sub`,
    /// `azp` and `aud` is told by those who verified it. Objects are none that policies could ask for. `aud` is the party that the
    /// token was given to (`azp`), where it names one, and `oaud` whom it is for. Source: IAM user guide, "Available keys for
    /// AWS OIDC federation", "Default".
    fn conditions(
        &self,
        provider: &str,
        subject: &str,
        party: Option<&str>,
        audiences: &[&str],
    ) -> Result<Vec<(String, Vec<String>)>, Fault> {
        let provider = provider.to_lowercase();
        let texts: Vec<String> = audiences.iter().map(|&audience| audience.to_owned()).collect();
        let mut told = vec![
            (format!("{provider}:sub"), vec![subject.to_owned()]),
            (format!("{provider}:aud"), party.map_or_else(|| texts.clone(), |party| vec![party.to_owned()])),
            (format!("{provider}:oaud"), texts),
        ];
        for (claim, value) in &self.claims.0 {
            let claim = claim.to_lowercase();
            let values = match value {
                _ if matches!(claim.as_str(), "sub" | "aud" | "oaud") => continue,
                Value::Null | Value::Object(_) => continue,
                Value::Array(all) => all.iter().map(condition_text).collect(),
                one => condition_text(one).map(|text| vec![text]),
            };
            let refused = || invalid_token(format!("The claim {claim} is a list of more than texts."));
            let values = values.ok_or_else(refused)?;
            told.push((format!("{provider}:{claim}"), values));
        }
        Ok(told)
    }
}

fn condition_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Core {
    /// Verifies the token that a request comes with.
    pub(crate) async fn web_caller(&self, form: &Form) -> Result<Authenticated, AuthFailure> {
        let principal = self.web_identity(form).await.map_err(AuthFailure::of)?;
        let region = self.regions.first().cloned().ok_or(Fault::bug("no region is served"));
        let region = region.map_err(AuthFailure::of)?;
        Ok(Authenticated::by_web_identity(principal, region))
    }

    async fn web_identity(&self, form: &Form) -> Result<Principal, Fault> {
        let input = wire::decode_form_input::<AssumeRoleWithWebIdentity>(form)?;
        let Some((account, EntityKind::Role, _)) = parse_arn(&input.role_arn) else {
            return Err(Fault::answer(
                ErrorCode::ValidationException,
                format!("{} is invalid", input.role_arn),
            ));
        };
        if self.options.shared {
            self.refresh().await?;
        }
        let no_token = || {
            invalid_token(
                "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
            )
        };
        let token = Token::parse(input.web_identity_token.expose()).ok_or_else(no_token)?;
        if token.header.crit.is_some() || !is_known(&token.header.alg) {
            return Err(no_token());
        }
        let issuer = token.text("iss").ok_or_else(no_token)?;
        let missing =
            || invalid_token(format!("No OpenIDConnect provider found in your account for {issuer}"));
        // Only an issuer that the account trusts is ever asked for its keys.
        let url = issuer.strip_prefix("https://").map(|url| url.trim_end_matches('/')).ok_or_else(missing)?;
        let arn = format!("arn:{PARTITION}:iam::{account}:oidc-provider/{url}");
        let (_, provider, _) = self.oidc_provider(&arn).await?.ok_or_else(missing)?;
        self.check_signature(&token, issuer.trim_end_matches('/')).await?;
        self.check_dates(&token)?;
        let trusted = |audience: &&str| provider.clients.iter().any(|client| client == audience);
        let incorrect = || invalid_token("Incorrect token audience");
        // AWS refuses a token for a client that the provider has, given to one that it doesn't have (aws/aws-sdk-net, "Incorrect
        // token audience with two applications"). For whom it is counts here all the same: who gets a token from a client must
        // not be able to use it elsewhere.
        let party = token.party()?;
        if party.is_some_and(|party| !trusted(&party)) {
            return Err(incorrect());
        }
        let audiences: Vec<&str> = token.audiences().into_iter().filter(trusted).collect();
        let audience = audiences.first().ok_or_else(incorrect)?;
        let subject = token.text("sub").filter(|subject| (1..=SUBJECT_MAX).contains(&subject.len()));
        let subject = subject.ok_or_else(|| invalid_token("Missing a required claim: sub"))?;
        if let Some(claim) = OF_SESSIONS.iter().find(|claim| token.claims.get(claim).is_some()) {
            return Err(Fault::answer(
                ErrorCode::IDPRejectedClaim,
                format!("The claim {claim} is not supported by this version of the service."),
            ));
        }
        let identity = WebIdentity {
            provider_arn: arn,
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            audience: (*audience).to_owned(),
            claims: token.conditions(url, subject, party, &audiences)?,
        };
        Ok(Principal::of_web_identity(account, identity))
    }

    async fn check_signature(&self, token: &Token<'_>, issuer: &str) -> Result<(), Fault> {
        let (id, algorithm) = (token.header.kid.as_deref(), token.header.alg.as_str());
        let now = self.clock.monotonic();
        let keys = self.oidc.keys(issuer, id, algorithm, now).await.ok_or_else(|| {
            Fault::answer(
                ErrorCode::IDPCommunicationError,
                "The keys of the identity provider can not be had at the moment.",
            )
        })?;
        let unknown = || {
            invalid_token(
                "Couldn't retrieve verification key from your identity provider,  please reference \
                 AssumeRoleWithWebIdentity documentation for requirements",
            )
        };
        let key = keys.find(id, algorithm).ok_or_else(unknown)?;
        if key.verify(token.signed, &token.signature) {
            return Ok(());
        }
        Err(invalid_token("The signature of the ID Token does not hold."))
    }

    fn check_dates(&self, token: &Token<'_>) -> Result<(), Fault> {
        let now_s = self.clock.wall_ms().div_euclid(1000);
        #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
        let now = now_s as f64;
        let expires = token.date("exp")?.ok_or_else(|| invalid_token("Missing a required claim: exp"))?;
        if expires <= now {
            return Err(Fault::answer(
                ErrorCode::ExpiredTokenException,
                format!(
                    "Token expired: current date/time {now_s} must be before the expiration date/time {expires}"
                ),
            ));
        }
        for claim in ["nbf", "iat"] {
            if token.date(claim)?.is_some_and(|from| from > now + CLOCKS_DIFFER) {
                return Err(invalid_token("The ID Token is not valid yet."));
            }
        }
        Ok(())
    }
}

fn invalid_token(text: impl Into<String>) -> Fault {
    Fault::answer(ErrorCode::InvalidIdentityToken, text)
}

impl WebIdentity {
    /// What a claim says, by the condition key that is made of the provider's name and the claim's.
    pub(crate) fn says(&self, key: &str) -> Option<&[String]> {
        self.claims.iter().find(|(known, _)| known == key).map(|(_, values)| values.as_slice())
    }

    /// What a session of it keeps, by the claims' own names.
    pub(crate) fn lasting_claims(&self) -> Vec<(String, String)> {
        let provider =
            self.provider_arn.split_once(":oidc-provider/").map_or("", |(_, url)| url).to_lowercase();
        let values = |name: &'static str| {
            let values = self.says(&format!("{provider}:{name}")).unwrap_or_default();
            values.iter().map(move |value| (name.to_owned(), value.clone()))
        };
        LASTING.into_iter().flat_map(values).collect()
    }
}
