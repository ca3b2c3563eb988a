//! Whoever comes with a token of a provider of identities instead of a signature: the first step of the pipeline for
//! AssumeRoleWithWebIdentity.
//!
//! Sources: RFC 7519 (JWT), RFC 8725 (its best current practices); OpenID Connect Core 1.0, section 3.1.3.7; AWS STS API
//! reference, AssumeRoleWithWebIdentity; IAM user guide, "Available keys for AWS web identity federation".

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
use serde::Deserialize;
use serde_json::{Map, Value};

/// What clocks may differ by, where a token is said to be good only from some time on. Seconds.
const CLOCKS_DIFFER: f64 = 60.0;

/// Longest subject (OpenID Connect Core 1.0, section 2).
const SUBJECT_MAX: usize = 255;

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

/// A token in its parts. Nothing that it says is believed yet.
struct Token<'t> {
    header: Header,
    claims: Map<String, Value>,
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

    /// A date: seconds since 1970.
    fn date(&self, claim: &str) -> Option<f64> {
        self.claims.get(claim)?.as_f64()
    }

    fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The claims, as policies ask for them: texts and truth values, and lists of texts.
    fn conditions(&self, provider: &str) -> Vec<(String, Vec<String>)> {
        let provider = provider.to_lowercase();
        let values = |value: &Value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Bool(truth) => Some(vec![truth.to_string()]),
            Value::Array(all) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let named = |(claim, value): (&String, &Value)| {
            Some((format!("{provider}:{}", claim.to_lowercase()), values(value)?))
        };
        self.claims.iter().filter_map(named).collect()
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
        let audiences = token.audiences();
        let trusted = |audience: &&&str| provider.clients.iter().any(|client| client == **audience);
        let audience =
            audiences.iter().find(trusted).ok_or_else(|| invalid_token("Incorrect token audience"))?;
        let subject = token.text("sub").filter(|subject| (1..=SUBJECT_MAX).contains(&subject.len()));
        let subject = subject.ok_or_else(|| invalid_token("Missing a required claim: sub"))?;
        if let Some(claim) = OF_SESSIONS.iter().find(|claim| token.claims.contains_key(**claim)) {
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
            claims: token.conditions(url),
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
        let expires = token.date("exp").ok_or_else(|| invalid_token("Missing a required claim: exp"))?;
        if expires <= now {
            return Err(Fault::answer(
                ErrorCode::ExpiredTokenException,
                format!(
                    "Token expired: current date/time {now_s} must be before the expiration date/time {expires}"
                ),
            ));
        }
        let from = ["nbf", "iat"].iter().filter_map(|claim| token.date(claim));
        if from.into_iter().any(|from| from > now + CLOCKS_DIFFER) {
            return Err(invalid_token("The ID Token is not valid yet."));
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
}
