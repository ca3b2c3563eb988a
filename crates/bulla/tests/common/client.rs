//! A client of `bulla serve` that signs its requests and keeps nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use bulla_crypto::{hmac_sha256, sha256};

use super::Home;

/// A connection, as the root user of the server's first account.
pub(crate) struct Client {
    stream: TcpStream,
    host: String,
    access_key_id: String,
    secret_access_key: String,
}

/// Why a call gave no output.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The server hung up.
    Gone,
    /// It answered with an error.
    Refused(String),
}

impl Client {
    /// Connects; none when nobody listens.
    pub(crate) fn of(home: &Home, url: &str) -> Option<Self> {
        let host = url.strip_prefix("http://").unwrap().to_owned();
        let credentials = std::fs::read_to_string(home.data().join("credentials")).unwrap();
        let value = |name: &str| {
            let line = credentials.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(" = ").to_owned()
        };
        Some(Self {
            stream: TcpStream::connect(&host).ok()?,
            host,
            access_key_id: value("aws_access_key_id"),
            secret_access_key: value("aws_secret_access_key"),
        })
    }

    /// Calls an operation of the KMS in us-east-1.
    pub(crate) fn call(
        &mut self,
        operation: &str,
        input: &serde_json::Value,
    ) -> Result<serde_json::Value, Failed> {
        self.exchange("kms", &format!("TrentService.{operation}"), input)
    }

    /// Calls an operation of IAM.
    pub(crate) fn call_iam(
        &mut self,
        operation: &str,
        input: &serde_json::Value,
    ) -> Result<serde_json::Value, Failed> {
        self.exchange("iam", &format!("AWSIdentityManagementV20100508.{operation}"), input)
    }

    fn exchange(
        &mut self,
        service: &str,
        target: &str,
        input: &serde_json::Value,
    ) -> Result<serde_json::Value, Failed> {
        let request = self.signed(service, target, &input.to_string());
        self.stream.write_all(request.as_bytes()).map_err(|_| Failed::Gone)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = self.stream.read(&mut buffer).map_err(|_| Failed::Gone)?;
            if count == 0 {
                return Err(Failed::Gone);
            }
            answer.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                if !head.starts_with("HTTP/1.1 200") {
                    return Err(Failed::Refused(text.into_owned()));
                }
                let body = if body.is_empty() { "null" } else { body };
                return Ok(serde_json::from_str(body).unwrap());
            }
        }
    }

    /// A request with Signature Version 4.
    fn signed(&self, service: &str, target: &str, body: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &now[..8];
        let headers = format!("host:{}\nx-amz-date:{now}\nx-amz-target:{target}\n", self.host);
        let names = "host;x-amz-date;x-amz-target";
        let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hex(&sha256(&[body.as_bytes()])));
        let scope = format!("{day}/us-east-1/{service}/aws4_request");
        let to_sign = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(&sha256(&[canonical.as_bytes()])));
        let mut key = hmac_sha256(format!("AWS4{}", self.secret_access_key).as_bytes(), &[day.as_bytes()]);
        for part in ["us-east-1", service, "aws4_request"] {
            key = hmac_sha256(&key, &[part.as_bytes()]);
        }
        let signature = hex(&hmac_sha256(&key, &[to_sign.as_bytes()]));
        format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Date: {now}\r\nX-Amz-Target: {target}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}\r\n\r\n{body}",
            self.host,
            body.len(),
            self.access_key_id,
        )
    }
}
