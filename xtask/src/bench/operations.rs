//! Requests a second by operation, in a store with ten keys and in a very large one.

use serde_json::{Value, json};

use super::Failure;
use super::load;
use super::report::{Cell, Table, median};
use super::service::Server;

const CONNECTIONS: usize = 16;

/// What is signed, authenticated or encrypted: 32 bytes, in base64.
const MESSAGE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const SYMMETRIC: Spec = Spec { spec: "SYMMETRIC_DEFAULT", usage: "ENCRYPT_DECRYPT", algorithm: "" };
const HMAC: Spec = Spec { spec: "HMAC_256", usage: "GENERATE_VERIFY_MAC", algorithm: "HMAC_SHA_256" };
const P256: Spec = Spec { spec: "ECC_NIST_P256", usage: "SIGN_VERIFY", algorithm: "ECDSA_SHA_256" };
const ED25519: Spec =
    Spec { spec: "ECC_NIST_EDWARDS25519", usage: "SIGN_VERIFY", algorithm: "ED25519_SHA_512" };
const ML_DSA: Spec = Spec { spec: "ML_DSA_65", usage: "SIGN_VERIFY", algorithm: "ML_DSA_SHAKE_256" };
const RSA_PSS: Spec = Spec { spec: "RSA_2048", usage: "SIGN_VERIFY", algorithm: "RSASSA_PSS_SHA_256" };
const RSA_OAEP: Spec = Spec { spec: "RSA_2048", usage: "ENCRYPT_DECRYPT", algorithm: "RSAES_OAEP_SHA_256" };
const ECDH: Spec = Spec { spec: "ECC_NIST_P256", usage: "KEY_AGREEMENT", algorithm: "ECDH" };

/// What keys are made for an operation, and how it is asked for.
#[derive(Clone, Copy)]
struct Spec {
    spec: &'static str,
    usage: &'static str,
    algorithm: &'static str,
}

/// An operation, the key it is about, and what it needs of an earlier answer.
struct Measured {
    operation: &'static str,
    spec: Spec,
    /// The operation that gives what this one takes back, and the member that has it.
    takes: Option<(&'static str, &'static str)>,
}

const fn of(operation: &'static str, spec: Spec) -> Measured {
    Measured { operation, spec, takes: None }
}

const fn back(operation: &'static str, spec: Spec, giver: &'static str, member: &'static str) -> Measured {
    Measured { operation, spec, takes: Some((giver, member)) }
}

/// All that use a key's material, all that read, and of those that change something what can be said again and again.
const MEASURED: &[Measured] = &[
    of("Encrypt", SYMMETRIC),
    back("Decrypt", SYMMETRIC, "Encrypt", "CiphertextBlob"),
    back("ReEncrypt", SYMMETRIC, "Encrypt", "CiphertextBlob"),
    of("GenerateDataKey", SYMMETRIC),
    of("GenerateDataKeyWithoutPlaintext", SYMMETRIC),
    of("GenerateDataKeyPair", SYMMETRIC),
    of("GenerateDataKeyPairWithoutPlaintext", SYMMETRIC),
    of("GenerateRandom", SYMMETRIC),
    of("GenerateMac", HMAC),
    back("VerifyMac", HMAC, "GenerateMac", "Mac"),
    of("Sign", P256),
    back("Verify", P256, "Sign", "Signature"),
    of("Sign", ED25519),
    back("Verify", ED25519, "Sign", "Signature"),
    of("Sign", ML_DSA),
    back("Verify", ML_DSA, "Sign", "Signature"),
    of("Sign", RSA_PSS),
    back("Verify", RSA_PSS, "Sign", "Signature"),
    of("Encrypt", RSA_OAEP),
    back("Decrypt", RSA_OAEP, "Encrypt", "CiphertextBlob"),
    back("DeriveSharedSecret", ECDH, "GetPublicKey", "PublicKey"),
    of("GetPublicKey", P256),
    of("DescribeKey", SYMMETRIC),
    of("GetKeyPolicy", SYMMETRIC),
    of("GetKeyRotationStatus", SYMMETRIC),
    of("ListResourceTags", SYMMETRIC),
    of("ListKeyPolicies", SYMMETRIC),
    of("ListGrants", SYMMETRIC),
    of("CreateKey", SYMMETRIC),
    of("UpdateKeyDescription", SYMMETRIC),
    of("EnableKeyRotation", SYMMETRIC),
];

/// A server, and a region of it.
pub(super) struct Place<'s> {
    pub(super) server: &'s Server,
    pub(super) region: &'s str,
}

impl Place<'_> {
    fn ask(&self, operation: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.server.request(operation, self.region, &body.to_string())?;
        Ok(serde_json::from_slice(&load::once(self.server.address, &request)?)?)
    }

    /// The request, about a key that is made for it.
    fn request(&self, measured: &Measured) -> Result<Vec<u8>, Failure> {
        let Spec { spec, usage, .. } = measured.spec;
        let made = self.ask("CreateKey", &json!({"KeySpec": spec, "KeyUsage": usage}))?;
        let id = member(&made, "/KeyMetadata/KeyId")?;
        let taken = match measured.takes {
            Some((giver, name)) => {
                let answer = self.ask(giver, &body(giver, measured.spec, id, ""))?;
                member(&answer, &format!("/{name}"))?.to_owned()
            }
            None => String::new(),
        };
        let body = body(measured.operation, measured.spec, id, &taken);
        self.server.request(measured.operation, self.region, &body.to_string())
    }
}

fn member<'v>(answer: &'v Value, pointer: &str) -> Result<&'v str, Failure> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("an answer without {pointer}").into())
}

fn body(operation: &str, spec: Spec, id: &str, taken: &str) -> Value {
    let Spec { algorithm, .. } = spec;
    let asymmetric = spec.spec != SYMMETRIC.spec;
    match operation {
        "Encrypt" if asymmetric => {
            json!({"KeyId": id, "Plaintext": MESSAGE, "EncryptionAlgorithm": algorithm})
        }
        "Decrypt" if asymmetric => {
            json!({"KeyId": id, "CiphertextBlob": taken, "EncryptionAlgorithm": algorithm})
        }
        "Encrypt" => json!({"KeyId": id, "Plaintext": MESSAGE}),
        "Decrypt" => json!({"CiphertextBlob": taken}),
        "ReEncrypt" => json!({"CiphertextBlob": taken, "DestinationKeyId": id}),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => json!({"KeyId": id, "KeySpec": "AES_256"}),
        "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => {
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"})
        }
        "GenerateRandom" => json!({"NumberOfBytes": 32}),
        "GenerateMac" => json!({"KeyId": id, "Message": MESSAGE, "MacAlgorithm": algorithm}),
        "VerifyMac" => json!({"KeyId": id, "Message": MESSAGE, "MacAlgorithm": algorithm, "Mac": taken}),
        "Sign" => json!({"KeyId": id, "Message": MESSAGE, "SigningAlgorithm": algorithm}),
        "Verify" => {
            json!({"KeyId": id, "Message": MESSAGE, "SigningAlgorithm": algorithm, "Signature": taken})
        }
        "DeriveSharedSecret" => {
            json!({"KeyId": id, "KeyAgreementAlgorithm": algorithm, "PublicKey": taken})
        }
        "CreateKey" => json!({}),
        "UpdateKeyDescription" => json!({"KeyId": id, "Description": "measured"}),
        _ => json!({"KeyId": id}),
    }
}

/// A row for each operation: how many requests a second the small and the large store's servers answer.
pub(super) fn measure(
    [small, large]: [Place<'_>; 2],
    title: String,
    seconds: f64,
    rounds: usize,
) -> Result<Table, Failure> {
    let mut table = Table {
        title,
        columns: vec!["operation", "key", "10 keys", "many", "many, of 10 keys"],
        rows: Vec::new(),
    };
    for measured in MEASURED {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (rates, place) in rates.iter_mut().zip([&small, &large]) {
                let request = place.request(measured)?;
                rates.push(load::run(place.server.address, &request, CONNECTIONS, seconds)?.requests_per_s);
            }
        }
        let [few, many] = rates.map(|rates| median(&rates));
        table.rows.push(vec![
            Cell::text(measured.operation),
            Cell::text(measured.spec.spec),
            Cell::Number(few, 0),
            Cell::Number(many, 0),
            Cell::Number(many / few, 2),
        ]);
    }
    Ok(table)
}
