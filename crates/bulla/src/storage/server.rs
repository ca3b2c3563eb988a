//! What is asked of object storage, whoever's it is. Which parts an object is made of, what is tried again, what an answer proves and
//! what is said of a failure is decided above; how it is asked, below.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;

use super::azure::Azure;
use super::failure::Problem;
use super::s3::S3;
use super::upload::Condition;
use super::{ObjectName, s3};

/// So long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The client of a server.
pub(super) enum Server {
    /// One that speaks the S3 API.
    S3(S3),
    /// Azure Blob Storage.
    Azure(Azure),
}

/// How long one request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Each attempt.
    pub(super) attempt: Duration,
    /// How long it is made again that fails.
    pub(super) wait: Duration,
}

impl Pace {
    /// The same for AWS's runtime.
    pub(super) fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.wait.saturating_add(self.attempt))
            .build()
    }
}

/// What an answer says of an object.
pub(super) struct Found {
    /// Its length in bytes.
    pub(super) bytes: Option<u64>,
    /// By which this version of it is known.
    pub(super) etag: Option<String>,
    /// What its owner has written about it.
    pub(super) metadata: HashMap<String, String>,
    /// What else stands beside it.
    pub(super) kept: Kept,
}

/// An answer with content.
pub(super) struct Content {
    /// `Content-Range`.
    pub(super) range: Option<String>,
    /// By which the version is known that it is of.
    pub(super) etag: Option<String>,
    /// What its owner has written about it.
    pub(super) metadata: HashMap<String, String>,
    /// The bytes.
    pub(super) body: ByteStream,
}

/// What the server keeps beside an object, for one that takes its place.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// Of S3.
    S3(Box<HeadObjectOutput>),
    /// Of Azure, as the headers that set it.
    Azure {
        /// Names and values.
        headers: Vec<(String, String)>,
        /// Tags that it has.
        tags: u64,
    },
}

impl Kept {
    /// Why it can't be kept, where that is so.
    pub(super) fn lost(&self) -> Option<&'static str> {
        match self {
            Self::S3(headers) if headers.expires_string().is_some() && s3::expires(headers).is_none() => {
                Some("its Expires header is no date, and would be lost; correct it")
            }
            Self::S3(_) | Self::Azure { .. } => None,
        }
    }

    /// Whether the object has tags, which are not among it.
    pub(super) fn has_tags(&self) -> bool {
        match self {
            Self::S3(headers) => headers.tag_count.unwrap_or(0) > 0,
            Self::Azure { tags, .. } => *tags > 0,
        }
    }
}

/// How an object is to appear.
#[derive(Clone)]
pub(super) struct Making {
    /// What stands beside it for its owner.
    pub(super) metadata: HashMap<String, String>,
    /// What stands beside it for the server.
    pub(super) kept: Option<Arc<Kept>>,
    /// What must be there before.
    pub(super) condition: Condition,
}

impl Making {
    /// The value of `If-None-Match`.
    pub(super) fn if_none_match(&self) -> Option<String> {
        (self.condition == Condition::Absent).then(|| "*".to_owned())
    }

    /// The value of `If-Match`.
    pub(super) fn if_match(&self) -> Option<String> {
        match &self.condition {
            Condition::Same(etag) => Some(etag.clone()),
            Condition::Absent | Condition::Any => None,
        }
    }
}

/// What an answer to the request that makes an object says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// That it is there.
    Made,
    /// What may say so, and may as well be of something else between here and the server.
    Perhaps,
    /// Nothing.
    Nothing,
}

/// A part that the server has.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Counted from 1.
    pub(super) number: u32,
    /// By which it is known, where it has such.
    pub(super) etag: Option<String>,
    /// What the server says of its content.
    pub(super) checksum: Option<String>,
}

/// Names of objects, each with whether it is empty, and where the list goes on.
pub(super) struct Page {
    /// Keys.
    pub(super) keys: Vec<(String, bool)>,
    /// None at the end.
    pub(super) next: Next,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Nowhere.
    Ended,
    /// Here.
    At(String),
    /// The server says that it does, and not where.
    Unknown,
}

macro_rules! at {
    ($self:expr, $server:ident => $request:expr) => {
        match $self {
            Server::S3($server) => $request.await,
            Server::Azure($server) => $request.await,
        }
    };
}

/// Each is one request, with its retries. None, and [`Told::Nothing`], is an answer that lacks what one about an object has.
impl Server {
    /// Looks at an object; with an ETag, at that version only.
    pub(super) async fn head(
        &self,
        name: &ObjectName,
        same: Option<&str>,
        pace: Pace,
    ) -> Result<Found, Problem> {
        at!(self, server => server.head(name, same, pace))
    }

    /// Some bytes of an object; with an ETag, of that version only.
    pub(super) async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
        same: Option<&str>,
        pace: Pace,
    ) -> Result<Content, Problem> {
        at!(self, server => server.get(name, range, same, pace))
    }

    /// Makes an object of these bytes.
    pub(super) async fn put(
        &self,
        name: &ObjectName,
        body: Bytes,
        making: Making,
        pace: Pace,
    ) -> Result<Told, Problem> {
        at!(self, server => server.put(name, body, making, pace))
    }

    /// Begins an upload in parts. Gives back its id.
    pub(super) async fn begin(
        &self,
        name: &ObjectName,
        making: Making,
        pace: Pace,
    ) -> Result<Option<String>, Problem> {
        at!(self, server => server.begin(name, making, pace))
    }

    /// Sends a part.
    pub(super) async fn send_part(
        &self,
        name: &ObjectName,
        id: &str,
        number: u32,
        body: Bytes,
        pace: Pace,
    ) -> Result<Option<Part>, Problem> {
        at!(self, server => server.send_part(name, id, number, body, pace))
    }

    /// Makes the object of the parts, in their order.
    pub(super) async fn complete(
        &self,
        name: &ObjectName,
        id: &str,
        parts: Vec<Part>,
        making: Making,
        pace: Pace,
    ) -> Result<Told, Problem> {
        at!(self, server => server.complete(name, id, parts, making, pace))
    }

    /// Takes back what was sent of an upload, as far as the server can.
    pub(super) async fn abort(&self, name: &ObjectName, id: &str, pace: Pace) -> Result<(), Problem> {
        at!(self, server => server.abort(name, id, pace))
    }

    /// Some of the objects whose keys begin so.
    pub(super) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        at: Option<String>,
        pace: Pace,
    ) -> Result<Option<Page>, Problem> {
        at!(self, server => server.list(bucket, prefix, at, pace))
    }

    /// Removes an object.
    pub(super) async fn remove(&self, name: &ObjectName, pace: Pace) -> Result<(), Problem> {
        at!(self, server => server.remove(name, pace))
    }

    /// What S3 alone can do.
    pub(super) const fn s3(&self) -> Option<&S3> {
        match self {
            Self::S3(server) => Some(server),
            Self::Azure(_) => None,
        }
    }
}
