//! What is sent: the bodies of the four calls, and the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::blob::double::Outer;
use bulla_engine::{XksError, XksOrigin, XksProxy};
use bulla_sigv4::{Credentials, Instant, sign};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use serde::Serialize;

/// In the scope of a signature.
const SERVICE: &str = "kms-xks-proxy";
const AGENT: &str = concat!("bulla/", env!("CARGO_PKG_VERSION"));
const ALGORITHM: &str = "AES_GCM";
/// Of the integrity value that is asked for.
const INTEGRITY: &str = "SHA_256";

/// One of the four calls, on its way.
pub(crate) struct Call {
    /// For the log.
    pub(crate) name: &'static str,
    /// Behind the proxy's path.
    path: String,
    body: Vec<u8>,
}

impl Call {
    pub(crate) fn health(origin: XksOrigin<'_>) -> Result<Self, XksError> {
        let body = Body { request_metadata: metadata(origin), input: Nothing {} };
        Self::new("GetHealthStatus", "/health".to_owned(), &body)
    }

    pub(crate) fn key_metadata(key: &str, origin: XksOrigin<'_>) -> Result<Self, XksError> {
        let body = Body { request_metadata: metadata(origin), input: Nothing {} };
        Self::new("GetKeyMetadata", of_key(key, "metadata"), &body)
    }

    pub(crate) fn encrypt(
        key: &str,
        origin: XksOrigin<'_>,
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<Self, XksError> {
        let input = Encrypt {
            additional_authenticated_data: STANDARD.encode(aad),
            plaintext: STANDARD.encode(plaintext),
            encryption_algorithm: ALGORITHM,
            ciphertext_data_integrity_value_algorithm: INTEGRITY,
        };
        let body = Body { request_metadata: metadata(origin), input };
        Self::new("Encrypt", of_key(key, "encrypt"), &body)
    }

    pub(crate) fn decrypt(
        key: &str,
        origin: XksOrigin<'_>,
        ciphertext: Outer<'_>,
        aad: &[u8],
    ) -> Result<Self, XksError> {
        let input = Decrypt {
            additional_authenticated_data: STANDARD.encode(aad),
            ciphertext: STANDARD.encode(ciphertext.ciphertext()),
            ciphertext_metadata: (!ciphertext.metadata().is_empty())
                .then(|| STANDARD.encode(ciphertext.metadata())),
            encryption_algorithm: ALGORITHM,
            initialization_vector: STANDARD.encode(ciphertext.iv()),
            authentication_tag: STANDARD.encode(ciphertext.tag()),
        };
        let body = Body { request_metadata: metadata(origin), input };
        Self::new("Decrypt", of_key(key, "decrypt"), &body)
    }

    fn new(name: &'static str, path: String, body: &impl Serialize) -> Result<Self, XksError> {
        // Text, numbers and structs: there is nothing that JSON doesn't have.
        let body = serde_json::to_vec(body).map_err(|_| XksError::Malformed)?;
        Ok(Self { name, path, body })
    }

    /// The request, signed. Only `host` and `x-amz-date` are, as the specification's appendix A has it.
    pub(crate) fn signed(
        self,
        proxy: &XksProxy<'_>,
        host: &str,
        now: Instant,
    ) -> Result<Request<Full<Bytes>>, XksError> {
        let path = format!("{}{}", proxy.uri_path, self.path);
        let secret = proxy.secret_access_key.expose();
        let credentials = Credentials {
            access_key_id: proxy.access_key_id,
            secret_access_key: std::str::from_utf8(secret).map_err(|_| XksError::AuthenticationFailed)?,
            session_token: None,
        };
        let request = bulla_sigv4::Request {
            method: "POST",
            path_and_query: &path,
            headers: &[("host", host.as_bytes())],
            body: &self.body,
        };
        let added = sign(&request, &credentials, proxy.region, SERVICE, now)
            .map_err(|_| XksError::AuthenticationFailed)?;
        let mut builder = Request::builder()
            .method(Method::POST)
            .uri(&path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT);
        for (name, value) in added {
            builder = builder.header(name, value);
        }
        builder.body(Full::new(Bytes::from(self.body))).map_err(|_| XksError::InvalidUriPath)
    }
}

fn of_key(key: &str, operation: &str) -> String {
    format!("/keys/{key}/{operation}")
}

fn metadata(origin: XksOrigin<'_>) -> Metadata<'_> {
    Metadata {
        aws_principal_arn: origin.principal_arn,
        kms_key_arn: origin.key_arn,
        kms_operation: origin.operation,
        kms_request_id: origin.request_id,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'b, T> {
    request_metadata: Metadata<'b>,
    #[serde(flatten)]
    input: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'b> {
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_principal_arn: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<&'b str>,
    kms_operation: &'b str,
    kms_request_id: &'b str,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Encrypt {
    additional_authenticated_data: String,
    plaintext: String,
    encryption_algorithm: &'static str,
    ciphertext_data_integrity_value_algorithm: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decrypt {
    additional_authenticated_data: String,
    ciphertext: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_metadata: Option<String>,
    encryption_algorithm: &'static str,
    initialization_vector: String,
    authentication_tag: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bulla_api::SecretBytes;
    use http_body_util::BodyExt;

    const ORIGIN: XksOrigin<'static> = XksOrigin {
        request_id: "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
        operation: "Encrypt",
        principal_arn: Some("arn:aws:iam::123456789012:user/Alice"),
        key_arn: Some("arn:aws:kms:us-east-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
    };

    fn body(call: Call) -> serde_json::Value {
        serde_json::from_slice(&call.body).unwrap()
    }

    /// The bodies are those of the specification's examples, less what this service has no use for.
    #[test]
    fn bodies_are_as_the_specification_has_them() {
        let aad = b"project=nile,department=marketing";
        assert_eq!(
            body(Call::encrypt("k", ORIGIN, b"Hello World!", aad).unwrap()),
            serde_json::json!({
                "requestMetadata": {
                    "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
                    "kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                    "kmsOperation": "Encrypt",
                    "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
                },
                "additionalAuthenticatedData": "cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n",
                "plaintext": "SGVsbG8gV29ybGQh",
                "encryptionAlgorithm": "AES_GCM",
                "ciphertextDataIntegrityValueAlgorithm": "SHA_256",
            })
        );
        let (iv, tag, ciphertext) = ([2; 12], [3; 16], [1; 28]);
        let outer = Outer::new(&ciphertext, &iv, &tag, b"key_version=1").unwrap();
        let decrypt = body(Call::decrypt("k", ORIGIN, outer, aad).unwrap());
        assert_eq!(decrypt["ciphertextMetadata"], "a2V5X3ZlcnNpb249MQ==");
        assert_eq!(decrypt["initializationVector"], "AgICAgICAgICAgIC");
        let bare = Outer::new(&ciphertext, &iv, &tag, b"").unwrap();
        assert_eq!(body(Call::decrypt("k", ORIGIN, bare, aad).unwrap()).get("ciphertextMetadata"), None);
        let health =
            XksOrigin { principal_arn: None, key_arn: None, operation: "CreateCustomKeyStore", ..ORIGIN };
        assert_eq!(
            body(Call::health(health).unwrap()),
            serde_json::json!({"requestMetadata": {
                "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
                "kmsOperation": "CreateCustomKeyStore",
            }})
        );
    }

    /// The signature is that of botocore 1.43.11's `SigV4Auth` for the same request, made at a fixed time.
    #[tokio::test]
    async fn a_request_is_signed_for_the_proxy() {
        let secret = SecretBytes::copy_of(b"FYtE5EFA5FT0mCc3DrGUe2sti527BitkQ0Zr9MO9fvE");
        let proxy = XksProxy {
            uri_endpoint: "https://xks.example.com",
            uri_path: "/example/prefix/kms/xks/v1",
            region: "us-west-2",
            access_key_id: "ABCDE98765432EXAMPLE",
            secret_access_key: &secret,
        };
        let health =
            XksOrigin { principal_arn: None, key_arn: None, operation: "CreateCustomKeyStore", ..ORIGIN };
        let call = Call::health(health).unwrap();
        let signed = call.signed(&proxy, "xks.example.com", Instant::from_seconds(1_800_000_000)).unwrap();
        assert_eq!(signed.uri(), "/example/prefix/kms/xks/v1/health");
        let header = |name: &str| signed.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("host"), "xks.example.com");
        assert_eq!(header("x-amz-date"), "20270115T080000Z");
        assert_eq!(
            header("authorization"),
            "AWS4-HMAC-SHA256 Credential=ABCDE98765432EXAMPLE/20270115/us-west-2/kms-xks-proxy/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=c7333c1c3386e881248386bd12aeab86ed1fd00cfab37ae01665988840c5486b"
        );
        assert!(!signed.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}
