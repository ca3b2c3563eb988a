//! An external key store proxy that stands in the place of one: with keys of its own, and failures that a test chooses.

use bulla_crypto::blob::double::Outer;
use bulla_crypto::sha256;
use bulla_engine::{
    XksCiphertext, XksClient, XksError, XksFuture, XksHealth, XksKeyMetadata, XksOrigin, XksProxy,
};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

pub const ENDPOINT: &str = "https://xks.example.test";
pub const PATH: &str = "/kms/xks/v1";
pub const ACCESS_KEY_ID: &str = "ABCDE234567XKSEXAMPLE";
pub const SECRET: &str = "FYtE5EFA5FT0mCc3DrGUe2sti527BitkQ0Zr9MO9fvE";

/// Every key is there, unless its name begins with `no`.
#[derive(Debug, Default)]
pub struct FakeProxy {
    failure: Mutex<Option<XksError>>,
    unhealthy: AtomicBool,
    lies: AtomicBool,
    silent: AtomicBool,
    asked: Mutex<Vec<Asked>>,
}

/// What the proxy was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub call: &'static str,
    pub key: Option<String>,
    pub operation: String,
    pub region: String,
    pub principal_arn: Option<String>,
    pub key_arn: Option<String>,
}

impl FakeProxy {
    /// From now on every call fails so, or none.
    pub fn fails(&self, failure: Option<XksError>) {
        *self.failure.lock().unwrap() = failure;
    }

    pub fn is_unhealthy(&self, unhealthy: bool) {
        self.unhealthy.store(unhealthy, Ordering::SeqCst);
    }

    /// Decryptions give something of the right length.
    pub fn lies(&self, lies: bool) {
        self.lies.store(lies, Ordering::SeqCst);
    }

    /// From now on nothing is answered at all.
    pub fn is_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        call: &'static str,
        proxy: XksProxy<'a>,
        key: Option<&'a str>,
        origin: XksOrigin<'a>,
        answer: impl FnOnce() -> Result<T, XksError> + Send + 'a,
    ) -> XksFuture<'a, T> {
        self.asked.lock().unwrap().push(Asked {
            call,
            key: key.map(str::to_owned),
            operation: origin.operation.to_owned(),
            region: proxy.region.to_owned(),
            principal_arn: origin.principal_arn.map(str::to_owned),
            key_arn: origin.key_arn.map(str::to_owned),
        });
        let failure = *self.failure.lock().unwrap();
        let silent = self.silent.load(Ordering::SeqCst);
        let is_known = proxy.secret_access_key.expose() == SECRET.as_bytes();
        let there = key.is_none_or(|key| !key.starts_with("no"));
        Box::pin(async move {
            // A network lies between.
            tokio::task::yield_now().await;
            if silent {
                std::future::pending::<()>().await;
            }
            match failure {
                Some(failure) => Err(failure),
                None if !is_known => Err(XksError::AuthenticationFailed),
                None if !there => Err(XksError::KeyNotFound),
                None => answer(),
            }
        })
    }
}

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

fn tag(key: &str, aad: &[u8], ciphertext: &[u8]) -> [u8; 16] {
    *sha256(&[key.as_bytes(), aad, ciphertext]).first_chunk().unwrap()
}

impl XksClient for FakeProxy {
    fn health<'a>(&'a self, proxy: XksProxy<'a>, origin: XksOrigin<'a>) -> XksFuture<'a, XksHealth> {
        let available = !self.unhealthy.load(Ordering::SeqCst);
        self.answer("health", proxy, None, origin, move || Ok(XksHealth { available }))
    }

    fn key_metadata<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
    ) -> XksFuture<'a, XksKeyMetadata> {
        self.answer("metadata", proxy, Some(key), origin, || {
            let key_usage = vec!["ENCRYPT".to_owned(), "DECRYPT".to_owned()];
            Ok(XksKeyMetadata { key_spec: "AES_256".to_owned(), key_usage, enabled: true })
        })
    }

    fn encrypt<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> XksFuture<'a, XksCiphertext> {
        self.answer("encrypt", proxy, Some(key), origin, move || {
            let ciphertext = turned(plaintext);
            let tag = tag(key, aad, &ciphertext);
            Ok(XksCiphertext { ciphertext, iv: vec![7; 12], tag, metadata: b"v1".to_vec() })
        })
    }

    fn decrypt<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
        outer: Outer<'a>,
        aad: &'a [u8],
    ) -> XksFuture<'a, Vec<u8>> {
        let lies = self.lies.load(Ordering::SeqCst);
        self.answer("decrypt", proxy, Some(key), origin, move || {
            if lies {
                return Ok(vec![0; outer.ciphertext().len()]);
            }
            if *outer.tag() != tag(key, aad, outer.ciphertext()) || outer.metadata() != b"v1" {
                return Err(XksError::InvalidCiphertext);
            }
            Ok(turned(outer.ciphertext()))
        })
    }
}

/// An input of CreateCustomKeyStore.
pub fn new_store(name: &str, path: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": ENDPOINT,
        "XksProxyUriPath": path,
        "XksProxyAuthenticationCredential": {"AccessKeyId": ACCESS_KEY_ID, "RawSecretAccessKey": SECRET},
    })
}

/// An input of CreateKey.
pub fn new_external_key(store: &str, xks_key: &str) -> Value {
    json!({"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": xks_key})
}
