//! The requests of Azure Blob Storage (Microsoft, "Blob Storage REST API"). There is no upload to begin or to abort: blocks are sent
//! under ids of this upload's own, nobody sees them, and a list of them makes the blob. Azure forgets those that stand in no list.

mod account;
mod answers;
mod identity;
mod send;

use std::ops::Range;

use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};

use self::account::Account;
use self::answers::Reply;
use self::send::Request;
use super::ObjectName;
use super::failure::Problem;
use super::s3::is_etag;
use super::server::{Content, Found, Kept, Making, Pace, Page, Part, Told};
use super::upload::{MARK, random_mark};
use crate::exit::Failure;
use crate::storage::StorageOptions;
use crate::storage::client::Stack;

/// What the name of metadata begins with, in a header.
const METADATA: &str = "x-ms-meta-";
/// The name of the mark in metadata, where names are identifiers of C# (Microsoft, "Naming and referencing containers, blobs, and
/// metadata").
const MARK_HERE: &str = "bulla_upload";
/// Headers of an answer that stand beside a blob, and those that set them.
const KEPT: [(&str, &str); 10] = [
    ("content-type", "x-ms-blob-content-type"),
    ("content-encoding", "x-ms-blob-content-encoding"),
    ("content-language", "x-ms-blob-content-language"),
    ("content-disposition", "x-ms-blob-content-disposition"),
    ("cache-control", "x-ms-blob-cache-control"),
    ("x-ms-access-tier", "x-ms-access-tier"),
    ("x-ms-encryption-scope", "x-ms-encryption-scope"),
    ("x-ms-immutability-policy-until-date", "x-ms-immutability-policy-until-date"),
    ("x-ms-immutability-policy-mode", "x-ms-immutability-policy-mode"),
    ("x-ms-legal-hold", "x-ms-legal-hold"),
];
/// Objects on a page of a list: their names and what stands beside them are shorter than the longest answer that is read.
const PAGE: &str = "1000";

/// An account of Azure Blob Storage, or a server like it.
pub(super) struct Azure {
    account: std::sync::Arc<Account>,
    http: SharedHttpClient,
    retries: RetryConfig,
    partition: RetryPartition,
    allow_http: bool,
}

impl Azure {
    /// Reads options and environment. Makes no request. Gives back the server's name for messages, too.
    pub(super) fn connect(options: &StorageOptions, stack: Stack) -> Result<(Self, String), Failure> {
        let (account, place) = Account::configured(options)?;
        let Stack { http, retries, partition } = stack;
        let allow_http = options.s3_allow_http;
        Ok((Self { account: account.into(), http, retries, partition, allow_http }, place))
    }

    pub(super) async fn head(
        &self,
        name: &ObjectName,
        same: Option<&str>,
        pace: Pace,
    ) -> Result<Found, Problem> {
        let reply = self.send(Request::new("HEAD", name).condition("if-match", same), pace).await?;
        let is_set = |answer: &str| match answer {
            // One that follows from the account's, or from rules, is none that was set.
            "x-ms-access-tier" => reply.header("x-ms-access-tier-inferred") != Some("true"),
            _ => true,
        };
        let kept = KEPT.iter().filter(|(answer, _)| is_set(answer)).filter_map(|(answer, request)| {
            reply.header(answer).map(|value| ((*request).to_owned(), value.to_owned()))
        });
        Ok(Found {
            bytes: reply.header("content-length").and_then(|bytes| bytes.parse().ok()),
            etag: reply.header("etag").map(str::to_owned),
            metadata: metadata_of(&reply),
            kept: Kept::Azure {
                headers: kept.collect(),
                tags: reply.header("x-ms-tag-count").and_then(|tags| tags.parse().ok()).unwrap_or(0),
            },
        })
    }

    pub(super) async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
        same: Option<&str>,
        pace: Pace,
    ) -> Result<Content, Problem> {
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let request = Request::new("GET", name).condition("if-match", same).for_content(bytes);
        let reply = self.send(request, pace).await?;
        Ok(Content {
            range: reply.header("content-range").map(str::to_owned),
            etag: reply.header("etag").map(str::to_owned),
            metadata: metadata_of(&reply),
            body: ByteStream::new(reply.body),
        })
    }

    pub(super) async fn put(
        &self,
        name: &ObjectName,
        body: Bytes,
        making: Making,
        pace: Pace,
    ) -> Result<Told, Problem> {
        let request = Request::new("PUT", name).header("x-ms-blob-type", "BlockBlob");
        let request =
            with_beside(request, &making).header("content-md5", digest(&body).await).with_body(body);
        let reply = self.send(request, pace).await?;
        Ok(told(&reply))
    }

    /// Only chooses a name for its blocks.
    #[expect(clippy::unused_async, reason = "the same for all servers")]
    pub(super) async fn begin(&self, _: &ObjectName, _: Making, _: Pace) -> Result<Option<String>, Problem> {
        Ok(Some(random_mark()))
    }

    pub(super) async fn send_part(
        &self,
        name: &ObjectName,
        id: &str,
        number: u32,
        body: Bytes,
        pace: Pace,
    ) -> Result<Option<Part>, Problem> {
        let digest = digest(&body).await;
        let request = Request::new("PUT", name)
            .query("comp", "block")
            .query("blockid", block_id(id, number))
            .header("content-md5", digest.clone())
            .with_body(body);
        let reply = self.send(request, pace).await?;
        let there = reply.status == 201
            && reply.header("x-ms-request-id").is_some_and(|id| !id.is_empty())
            && reply.header("content-md5").is_none_or(|said| said == digest);
        Ok(there.then_some(Part { number, etag: None, checksum: None }))
    }

    pub(super) async fn complete(
        &self,
        name: &ObjectName,
        id: &str,
        parts: Vec<Part>,
        making: Making,
        pace: Pace,
    ) -> Result<Told, Problem> {
        let mut list = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for part in parts {
            // What base64 has needs no escapes.
            list.push_str(&format!("<Uncommitted>{}</Uncommitted>", block_id(id, part.number)));
        }
        list.push_str("</BlockList>");
        let body = Bytes::from(list);
        let request = Request::new("PUT", name).query("comp", "blocklist");
        let request = with_beside(request, &making)
            .header("content-type", "application/xml")
            .header("content-md5", digest(&body).await)
            .with_body(body);
        let reply = self.send(request, pace).await?;
        Ok(told(&reply))
    }

    /// Blocks can't be taken back: Azure removes those that no list names, a week after the last one.
    #[expect(clippy::unused_async, reason = "the same for all servers")]
    pub(super) async fn abort(&self, _: &ObjectName, _: &str, _: Pace) -> Result<(), Problem> {
        Ok(())
    }

    pub(super) async fn list(
        &self,
        container: &str,
        prefix: &str,
        at: Option<String>,
        pace: Pace,
    ) -> Result<Option<Page>, Problem> {
        let request = Request::of_container("GET", container)
            .query("restype", "container")
            .query("comp", "list")
            .query("maxresults", PAGE)
            .query("prefix", prefix);
        let request = match at {
            Some(marker) => request.query("marker", marker),
            None => request,
        };
        let reply = self.send(request, pace).await?;
        Ok(reply.body.bytes().and_then(answers::page))
    }

    pub(super) async fn remove(&self, name: &ObjectName, pace: Pace) -> Result<(), Problem> {
        self.send(Request::new("DELETE", name), pace).await.map(drop)
    }
}

/// What stands beside a blob, and when it may appear.
fn with_beside(mut request: Request, making: &Making) -> Request {
    for (name, value) in &making.metadata {
        let name = if name == MARK { MARK_HERE } else { name };
        request = request.header(format!("{METADATA}{name}"), value.as_str());
    }
    if let Some(Kept::Azure { headers, .. }) = making.kept.as_deref() {
        for (name, value) in headers {
            request = request.header(name.clone(), value.as_str());
        }
    }
    request
        .condition("if-none-match", making.if_none_match().as_deref())
        .condition("if-match", making.if_match().as_deref())
}

fn metadata_of(reply: &Reply) -> std::collections::HashMap<String, String> {
    let names = reply.headers.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(METADATA)?;
        let name = if name == MARK_HERE { MARK } else { name };
        Some((name.to_owned(), value.to_owned()))
    });
    names.collect()
}

/// Whether an answer is one to the request that makes a blob: 200 is said by much that stands between here and a server.
fn told(reply: &Reply) -> Told {
    if reply.status == 201 && is_etag(reply.header("etag")) { Told::Made } else { Told::Nothing }
}

/// All of a blob have the same length, as they must.
fn block_id(upload: &str, number: u32) -> String {
    STANDARD.encode(format!("{upload}{number:08}"))
}

/// `Content-MD5`, by which the server sees whether all has come as it was sent. It guards against accidents alone.
async fn digest(body: &Bytes) -> String {
    let body = body.clone();
    // Of a large part it takes seconds, in which others must go on.
    let digest = tokio::task::spawn_blocking(move || STANDARD.encode(Md5::digest(&body))).await;
    // A wrong one is refused.
    digest.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_an_upload_have_names_of_one_length() {
        let names: Vec<String> =
            [1, 99, 10_000].iter().map(|number| block_id("0123456789abcdef", *number)).collect();
        assert!(names.iter().all(|name| name.len() == 32), "{names:?}");
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair.first() != pair.last()), "{names:?}");
    }
}
