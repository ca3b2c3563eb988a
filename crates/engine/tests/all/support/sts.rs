//! Sessions: roles to assume, tokens of a provider of identities, and an input of each operation.

use super::{ACCOUNT, Read, Signer, World, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulla_api::SigningAlgorithmSpec;
use bulla_crypto::SystemRng;
use bulla_crypto::key_material::{KeyPair, Message, PairSpec};
use bulla_engine::{Answer, Authenticated, EngineOptions, IssuerKeys, SignedRequest};
use serde_json::{Value, json};
use std::sync::Arc;

pub const ISSUER: &str = "https://issuer.example/path";

/// Temporary credentials.
#[derive(Debug)]
pub struct Temporary {
    pub id: String,
    pub secret: String,
    pub token: String,
}

impl Temporary {
    pub fn of(answer: &Value) -> Self {
        let part = |name: &str| text(&answer["Credentials"][name]);
        Self { id: part("AccessKeyId"), secret: part("SecretAccessKey"), token: part("SessionToken") }
    }

    pub fn signer(&self, service: &'static str) -> Signer {
        Signer { access_key_id: self.id.clone(), secret: self.secret.clone(), region: super::REGION, service }
    }
}

/// Whether an operation gives sessions, or tells of them.
pub fn is_of_sessions(operation: &str) -> bool {
    matches!(operation, "AssumeRole" | "AssumeRoleWithWebIdentity" | "GetSessionToken" | "GetAccessKeyInfo")
}

/// An input that succeeds, and one that fails, for user `ann` of [`super::iam::Identities`].
pub fn inputs(operation: &str, access_key_id: &str, token: &str) -> (Value, Value) {
    let role = |name: &str| json!({"RoleArn": role_arn(name), "RoleSessionName": "s1"});
    let with_token = |name: &str| {
        let mut input = role(name);
        input["WebIdentityToken"] = token.into();
        input
    };
    match operation {
        "AssumeRole" => (role("deployer"), role("nobody")),
        "AssumeRoleWithWebIdentity" => (with_token("web"), with_token("deployer")),
        "GetSessionToken" => (json!({}), json!({"TokenCode": "123456"})),
        "GetAccessKeyInfo" => {
            (json!({"AccessKeyId": access_key_id}), json!({"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"}))
        }
        other => unreachable!("{other} has no input here"),
    }
}

pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// A provider of identities.
pub struct Provider(KeyPair);

impl Provider {
    /// With a world whose server was given its keys.
    pub async fn with_world(seed: u64) -> (World, Self) {
        let pair = KeyPair::generate(PairSpec::EccNistP256, &SystemRng).unwrap();
        let spki = pair.public_key_spki_der().unwrap();
        // The point ends it: 32 bytes of each coordinate.
        let (rest, y) = spki.split_at(spki.len() - 32);
        let x = &rest[rest.len() - 32..];
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let set = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "sig", "kid": "k1", "x": number(x), "y": number(y)}
        ]});
        let keys = Arc::new(IssuerKeys::parse(set.to_string().as_bytes()).unwrap());
        let options =
            EngineOptions { oidc_keys: vec![(ISSUER.to_owned(), keys)], ..EngineOptions::default() };
        (World::with_options(seed, options).await, Self(pair))
    }

    /// A token with these claims, and the header's.
    pub fn signed(&self, header: &Value, claims: &Value) -> String {
        self.signed_text(header, &claims.to_string())
    }

    /// A token with claims as they are written.
    pub fn signed_text(&self, header: &Value, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(&header.to_string()), part(claims));
        let signature =
            self.0.sign(SigningAlgorithmSpec::EcdsaSha256, Message::Raw(signed.as_bytes())).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&signature)))
    }

    /// A token that is good for a minute in a new world, with other claims in it.
    pub fn token(&self, others: Value) -> String {
        let now_s = super::START_MS / 1000;
        let mut claims =
            json!({"iss": ISSUER, "sub": "repo:x", "aud": "client", "iat": now_s, "exp": now_s + 60});
        claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.signed(&json!({"alg": "ES256", "kid": "k1", "typ": "JWT"}), &claims)
    }
}

/// A signature in DER as JWS has it: both numbers, 32 bytes each.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &der[2..];
    while let [0x02, length, after @ ..] = rest {
        let (number, next) = after.split_at(usize::from(*length));
        let number = if number.len() > 32 { &number[number.len() - 32..] } else { number };
        out.extend(vec![0; 32 - number.len()]);
        out.extend_from_slice(number);
        rest = next;
    }
    out
}

/// An answer of the Query protocol: its error's code and message, or nothing, and its text.
pub struct Xml {
    pub status: u16,
    pub text: String,
}

impl Xml {
    pub fn of(answer: Answer) -> Self {
        assert_eq!(answer.content_type(), "text/xml");
        let status = answer.status();
        Self { status, text: String::from_utf8(answer.into_body().to_vec()).unwrap() }
    }

    /// What stands in an element.
    pub fn part(&self, name: &str) -> Option<String> {
        let (_, rest) = self.text.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(content, _)| content.to_owned())
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.part("Code").as_deref()), (status, Some(code)), "{}", self.text);
        self.part("Message").unwrap_or_default()
    }

    pub fn credentials(&self) -> Temporary {
        let part = |name| self.part(name).unwrap();
        Temporary { id: part("AccessKeyId"), secret: part("SecretAccessKey"), token: part("SessionToken") }
    }
}

pub fn form(operation: &str, version: &str, members: &Value) -> String {
    let mut form = format!("Action={operation}&Version={version}");
    for (name, value) in members.as_object().unwrap() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        form.push_str(&format!("&{name}={text}"));
    }
    form
}

impl World {
    /// Who these credentials are of.
    pub async fn known(&self, temporary: &Temporary, service: &'static str) -> Result<Authenticated, String> {
        let signer = temporary.signer(service);
        let target = "TrentService.ListKeys";
        let found = self.authenticate_with(&signer, Some(&temporary.token), target, b"{}", |_| ()).await;
        found.map_err(|failure| failure.error().code.name().to_owned())
    }

    /// Calls with temporary credentials, over the network.
    pub async fn call_with(&self, temporary: &Temporary, operation: &str, input: Value) -> Read {
        let row = bulla_api::TABLE.iter().find(|row| row.name == operation).unwrap();
        let target = format!("{}{operation}", row.service.target_prefix());
        let body = input.to_string().into_bytes();
        let signer = temporary.signer(row.service.scope_name());
        let caller = self.authenticate_with(&signer, Some(&temporary.token), &target, &body, |_| ()).await;
        Read::of(self.engine.dispatch(caller, self.meta(), &target, &mut body.clone()).await)
    }

    /// Calls with a lasting access key, over the network.
    pub async fn call_by(&self, signer: &Signer, operation: &str, input: Value) -> Read {
        let row = bulla_api::TABLE.iter().find(|row| row.name == operation).unwrap();
        let target = format!("{}{operation}", row.service.target_prefix());
        let signer = Signer {
            access_key_id: signer.access_key_id.clone(),
            secret: signer.secret.clone(),
            region: signer.region,
            service: row.service.scope_name(),
        };
        Read::of(self.call_signed(&signer, &target, input.to_string().as_bytes()).await)
    }

    /// Calls without a signature, in the Query protocol.
    pub async fn call_unsigned(&self, operation: &str, members: &Value) -> Xml {
        let body = form(operation, "2011-06-15", members);
        let headers: [(&str, &[u8]); 1] = [("host", b"localhost")];
        let request =
            SignedRequest { method: "POST", path_and_query: "/", headers: &headers, body: body.as_bytes() };
        let caller = self.engine.authenticate(&request).await;
        Xml::of(self.engine.dispatch(caller, self.meta(), "", &mut body.clone().into_bytes()).await)
    }
}
