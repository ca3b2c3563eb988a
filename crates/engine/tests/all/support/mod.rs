//! A world for scenarios: simulated disk, clock and randomness, records in memory, and callers who sign.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

pub mod iam;
pub mod proxy;
pub mod sts;
pub mod watched;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::{AccountId, EncryptionAlgorithmSpec, Service, TABLE};
use bulla_audit::MemorySink;
use bulla_crypto::key_material::{PairSpec, PublicKey};
use bulla_crypto::{RootKey, SeededRng};
use bulla_engine::{
    Answer, AuthFailure, Authenticated, Engine, EngineOptions, EngineParts, NewAccount, NewStore, OpenError,
    RequestMeta, SignedRequest, SimClock, Via, check_references,
};
use bulla_sigv4::{Credentials, Instant};
use bulla_store::{SimDisk, Vault};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub const REGION: &str = "us-east-1";
pub const OTHER_REGION: &str = "eu-west-1";
pub const ACCOUNT: &str = "111122223333";
pub const OTHER_ACCOUNT: &str = "444455556666";
pub const UNKNOWN_KEY: &str = "00000000-0000-4000-8000-000000000000";
pub const CIPHERTEXT_REFUSED: &str = "The ciphertext refers to a customer master key that does not exist, does not \
                                      exist in this region, or you are not allowed to access.";

/// 2026-11-23T12:00:00Z.
pub const START_MS: u64 = 1_795_435_200_000;

pub struct World {
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub sink: Arc<MemorySink>,
    pub engine: Engine,
    options: EngineOptions,
    seed: AtomicU64,
    /// Whether users and roles that a request names are made first, so that tests of grants needn't.
    pub makes_principals: AtomicBool,
}

/// An access key, to sign with.
pub struct Signer {
    pub access_key_id: String,
    pub secret: String,
    pub region: &'static str,
    pub service: &'static str,
}

/// An answer, read.
#[derive(Debug)]
pub struct Read {
    pub status: u16,
    pub error: Option<&'static str>,
    pub body: Value,
}

impl Read {
    pub fn of(answer: Answer) -> Self {
        let (status, error) = (answer.status(), answer.error_type());
        let bytes = answer.into_body();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Self { status, error, body }
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!((self.status, self.error), (200, None), "{}", self.body);
        self.body
    }

    #[track_caller]
    pub fn fails(self, code: &str, message: &str) {
        let said =
            self.body.get("message").or(self.body.get("Message")).and_then(Value::as_str).unwrap_or("");
        assert_eq!((self.error, said), (Some(code), message), "{}", self.body);
    }
}

pub fn root_key() -> RootKey {
    RootKey::generate(&SeededRng::new(7)).unwrap()
}

impl World {
    pub async fn new(seed: u64) -> Self {
        Self::with_options(seed, EngineOptions::default()).await
    }

    /// With somebody behind the seam to external key stores.
    pub async fn with_proxy(seed: u64) -> (Self, Arc<proxy::FakeProxy>) {
        let proxy = Arc::new(proxy::FakeProxy::default());
        let options = EngineOptions { xks: Arc::clone(&proxy) as _, ..EngineOptions::default() };
        (Self::with_options(seed, options).await, proxy)
    }

    pub async fn with_options(seed: u64, options: EngineOptions) -> Self {
        let disk = SimDisk::new(seed);
        let clock = Arc::new(SimClock::at(START_MS));
        let sink = Arc::new(MemorySink::new());
        let parts = parts(&disk, &clock, &sink, seed, options.clone());
        let new = NewStore {
            account: Some(ACCOUNT.parse().unwrap()),
            regions: vec![REGION.parse().unwrap(), OTHER_REGION.parse().unwrap()],
            passphrase: None,
        };
        let engine = Engine::create(parts, new).await.unwrap();
        Self {
            disk,
            clock,
            sink,
            engine,
            options,
            seed: AtomicU64::new(seed + 1000),
            makes_principals: AtomicBool::new(true),
        }
    }

    /// With a second account.
    pub async fn with_two_accounts(seed: u64) -> Self {
        let world = Self::new(seed).await;
        world.add_account().await;
        world
    }

    /// The second account.
    pub async fn add_account(&self) {
        let new = NewAccount { id: Some(OTHER_ACCOUNT.parse().unwrap()), name: Some("other".to_owned()) };
        self.engine.create_account(new).await.unwrap();
    }

    pub async fn open_with(&self, options: EngineOptions) -> Result<Engine, OpenError> {
        let seed = self.seed.fetch_add(1, Ordering::SeqCst);
        Engine::open(parts(&self.disk, &self.clock, &self.sink, seed, options)).await
    }

    /// The machine goes down and comes up again.
    pub async fn restart(&mut self) {
        self.disk.crash();
        self.engine = self.open_with(self.options.clone()).await.unwrap();
    }

    pub async fn caller(&self) -> Authenticated {
        self.caller_of(ACCOUNT, REGION).await
    }

    pub async fn caller_of(&self, account: &str, region: &str) -> Authenticated {
        let (account, region) = (account.parse().unwrap(), region.parse().unwrap());
        self.engine.local_caller(Some(account), Some(region), Via::Embedded).await.unwrap()
    }

    /// Time passes for a running server, which then looks at its queue once.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.engine.tick().await;
    }

    /// What a check of the store finds: nothing, at any time.
    pub async fn assert_whole(&self) {
        let store = Arc::new(self.disk.open());
        let vault = Vault::open(store, &root_key(), Arc::new(SeededRng::new(9))).await.unwrap();
        assert_eq!(check_references(&vault).await.unwrap(), []);
    }

    pub fn meta(&self) -> RequestMeta {
        RequestMeta::local(self.engine.new_request_id(), "test")
    }

    /// Calls as the root of the first account in the first region.
    pub async fn call(&self, operation: &str, input: Value) -> Read {
        self.call_as(&self.caller().await, operation, input).await
    }

    pub async fn call_as(&self, caller: &Authenticated, operation: &str, input: Value) -> Read {
        if self.makes_principals.load(Ordering::SeqCst) && operation == "CreateGrant" {
            for member in ["GranteePrincipal", "RetiringPrincipal"] {
                self.make_principal(input[member].as_str().unwrap_or_default()).await;
            }
        }
        self.ask(caller, operation, input).await
    }

    async fn ask(&self, caller: &Authenticated, operation: &str, input: Value) -> Read {
        let mut body = serde_json::to_vec(&input).unwrap();
        let service = TABLE.iter().find(|row| row.name == operation).map_or(Service::Kms, |row| row.service);
        let target = format!("{}{operation}", service.target_prefix());
        Read::of(self.engine.dispatch(Ok(caller.clone()), self.meta(), &target, &mut body).await)
    }

    /// Makes the user or the role that an ARN names, where there is none.
    pub async fn make_principal(&self, arn: &str) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, "iam", _, account, resource] = parts[..] else { return };
        let Some((kind @ ("user" | "role"), name)) = resource.split_once('/') else { return };
        let (path, name) =
            name.rsplit_once('/').map_or(("/".to_owned(), name), |(path, name)| (format!("/{path}/"), name));
        let Ok(account) = account.parse() else { return };
        let region = REGION.parse().unwrap();
        let Ok(root) = self.engine.local_caller(Some(account), Some(region), Via::Embedded).await else {
            return;
        };
        let input = match kind {
            "user" => json!({"UserName": name, "Path": path}),
            _ => json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": iam::TRUST}),
        };
        let operation = if kind == "user" { "CreateUser" } else { "CreateRole" };
        let made = self.ask(&root, operation, input).await;
        assert!(matches!(made.error, None | Some("EntityAlreadyExists" | "ValidationException")), "{made:?}");
    }

    /// Calls as whoever the signature says.
    pub async fn call_signed(&self, signer: &Signer, target: &str, body: &[u8]) -> Answer {
        let caller = self.authenticate(signer, target, body, |_| ()).await;
        self.engine.dispatch(caller, self.meta(), target, &mut body.to_vec()).await
    }

    pub async fn authenticate(
        &self,
        signer: &Signer,
        target: &str,
        body: &[u8],
        tamper: impl Fn(&mut Vec<(String, String)>),
    ) -> Result<Authenticated, AuthFailure> {
        self.authenticate_with(signer, None, target, body, tamper).await
    }

    /// The same with a session token.
    pub async fn authenticate_with(
        &self,
        signer: &Signer,
        session_token: Option<&str>,
        target: &str,
        body: &[u8],
        tamper: impl Fn(&mut Vec<(String, String)>),
    ) -> Result<Authenticated, AuthFailure> {
        let mut headers = vec![("host".to_owned(), "localhost:4599".to_owned())];
        if target.is_empty() {
            headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        } else {
            headers.push(("x-amz-target".to_owned(), target.to_owned()));
            headers.push(("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()));
        }
        let now_s = {
            use bulla_engine::Clock;
            self.clock.wall_ms() / 1000
        };
        let added = {
            let borrowed: Vec<(&str, &[u8])> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            let request = SignedRequest { method: "POST", path_and_query: "/", headers: &borrowed, body };
            let credentials = Credentials {
                access_key_id: &signer.access_key_id,
                secret_access_key: &signer.secret,
                session_token,
            };
            let now = Instant::from_seconds(now_s);
            bulla_sigv4::sign(&request, &credentials, signer.region, signer.service, now).unwrap()
        };
        headers.extend(added.into_iter().map(|(name, value)| (name.to_owned(), value)));
        tamper(&mut headers);
        let borrowed: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = SignedRequest { method: "POST", path_and_query: "/", headers: &borrowed, body };
        self.engine.authenticate(&request).await
    }

    pub async fn signer(&self, account: &str) -> Signer {
        let account: AccountId = account.parse().unwrap();
        let key = self.engine.root_access_key(account).await.unwrap();
        let secret = String::from_utf8(key.secret_access_key.expose().to_vec()).unwrap();
        Signer { access_key_id: key.access_key_id, secret, region: REGION, service: "kms" }
    }

    /// A new key's id.
    pub async fn new_key(&self) -> String {
        self.new_key_as(&self.caller().await).await
    }

    pub async fn new_key_as(&self, caller: &Authenticated) -> String {
        let made = self.call_as(caller, "CreateKey", json!({})).await.ok();
        text(&made["KeyMetadata"]["KeyId"])
    }

    /// Whether an operation wants a key that is not symmetric, or not of one region.
    pub fn wants_another(&self, operation: &str) -> bool {
        !matches!(self.kind_for(operation), Value::Null)
    }

    pub fn wants_multi_region(&self, operation: &str) -> bool {
        matches!(operation, "ReplicateKey" | "UpdatePrimaryRegion")
    }

    /// What CreateKey is asked for a key that is not symmetric, or not of one region, where an operation wants one.
    pub fn kind_for(&self, operation: &str) -> Value {
        match operation {
            "Sign" | "Verify" | "GetPublicKey" => {
                json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"})
            }
            "GenerateMac" | "VerifyMac" => json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}),
            "ReplicateKey" | "UpdatePrimaryRegion" => json!({"MultiRegion": true}),
            "DeriveSharedSecret" => json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}),
            "Encapsulate" | "Decapsulate" => {
                json!({"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"})
            }
            _ if is_of_import(operation) => json!({"Origin": "EXTERNAL"}),
            _ => Value::Null,
        }
    }

    /// A new key of the kind that an operation wants.
    pub async fn new_key_for(&self, operation: &str) -> String {
        let kind = match self.kind_for(operation) {
            Value::Null => json!({}),
            kind => kind,
        };
        let key = text(&self.call("CreateKey", kind).await.ok()["KeyMetadata"]["KeyId"]);
        if operation == "UpdatePrimaryRegion" {
            self.call("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await.ok();
        }
        if is_of_import(operation) {
            self.import(&key, &MATERIAL, json!({})).await.ok();
        }
        key
    }

    /// What GetParametersForImport gives, and the material wrapped as it says.
    pub async fn wrapped(&self, key: &str, material: &[u8]) -> Value {
        let input =
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
        wrap(&self.call("GetParametersForImport", input).await.ok(), key, material)
    }

    /// Imports material that doesn't expire, unless `more` says something else.
    pub async fn import(&self, key: &str, material: &[u8], more: Value) -> Read {
        let mut input = self.wrapped(key, material).await;
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("ImportKeyMaterial", input).await
    }

    /// Puts what is to be verified, or opened, into an input of Verify, VerifyMac, Decapsulate or ImportKeyMaterial.
    pub async fn prove(&self, operation: &str, input: &mut Value) {
        if operation == "ImportKeyMaterial" {
            *input = self.wrapped(&text(&input["KeyId"]), &MATERIAL).await;
            return;
        }
        let (by, proof) = match operation {
            "Verify" => ("Sign", "Signature"),
            "VerifyMac" => ("GenerateMac", "Mac"),
            "Decapsulate" => ("Encapsulate", "SharedSecretCiphertextBlob"),
            _ => return,
        };
        input[proof] = self.call(by, input.clone()).await.ok()[proof].clone();
    }

    /// A ciphertext blob of `hello`, base64.
    pub async fn sealed(&self, key: &str) -> String {
        self.sealed_as(&self.caller().await, key).await
    }

    pub async fn sealed_as(&self, caller: &Authenticated, key: &str) -> String {
        let input = json!({"KeyId": key, "Plaintext": HELLO});
        text(&self.call_as(caller, "Encrypt", input).await.ok()["CiphertextBlob"])
    }

    /// The audit records so far, changes included, oldest first; the sink is empty afterwards.
    pub async fn records(&self) -> Vec<Value> {
        self.engine.tick().await;
        self.sink.take().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Material wrapped as GetParametersForImport says, as ImportKeyMaterial takes it.
pub fn wrap(parameters: &Value, key: &str, material: &[u8]) -> Value {
    let public = STANDARD.decode(text(&parameters["PublicKey"])).unwrap();
    let public = PublicKey::from_spki_der(PairSpec::Rsa2048, &public).unwrap();
    let wrapped = public.encrypt(EncryptionAlgorithmSpec::RsaesOaepSha256, material).unwrap();
    json!({
        "KeyId": key, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    })
}

/// The material of keys that are made for operations on imported material.
pub const MATERIAL: [u8; 32] = [7; 32];

/// Whether an operation is about imported material.
pub fn is_of_import(operation: &str) -> bool {
    matches!(operation, "GetParametersForImport" | "ImportKeyMaterial" | "DeleteImportedKeyMaterial")
}

/// A key policy that allows everybody everything.
pub const OPEN_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}"#;

/// A public key on P-256: the curve's generator (SEC 2, section 2.4.2), whose private key is 1.
pub const P256_GENERATOR: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";

/// `hello`, base64.
pub const HELLO: &str = "aGVsbG8=";

fn parts(
    disk: &SimDisk,
    clock: &Arc<SimClock>,
    sink: &Arc<MemorySink>,
    seed: u64,
    options: EngineOptions,
) -> EngineParts {
    EngineParts {
        store: Arc::new(disk.open()),
        root: root_key(),
        clock: Arc::clone(clock) as _,
        rng: Arc::new(SeededRng::new(seed)),
        audit: Arc::clone(sink) as _,
        options,
    }
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

pub fn key_arn(account: &str, region: &str, key: &str) -> String {
    format!("arn:aws:kms:{region}:{account}:key/{key}")
}
