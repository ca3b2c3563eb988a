//! The requests of the S3 API, by AWS's own client.

mod answers;
mod connect;
mod copy;

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, EncodingType};
use bytes::Bytes;

use self::answers::TellsOf;
use super::ObjectName;
use super::failure::Problem;
use super::listing::decoded;
use super::retries::Deadline;
use super::server::{Content, Found, Kept, Making, Next, Pace, Page, Part, Told};

pub(super) use answers::is_etag;

/// A server that speaks the S3 API.
pub(super) struct S3 {
    client: Client,
}

/// Has a request that makes an object set what another one has beside its metadata.
macro_rules! keeping {
    ($request:expr, $headers:expr) => {
        $request
            .set_content_type($headers.content_type.clone())
            .set_cache_control($headers.cache_control.clone())
            .set_content_disposition($headers.content_disposition.clone())
            .set_content_encoding($headers.content_encoding.clone())
            .set_expires($crate::storage::s3::expires(&$headers))
            .set_content_language($headers.content_language.clone())
            .set_website_redirect_location($headers.website_redirect_location.clone())
            .set_storage_class($headers.storage_class.clone())
            .set_server_side_encryption($headers.server_side_encryption.clone())
            .set_ssekms_key_id($headers.ssekms_key_id.clone())
            .set_bucket_key_enabled($headers.bucket_key_enabled)
            .set_object_lock_mode($headers.object_lock_mode.clone())
            .set_object_lock_retain_until_date($headers.object_lock_retain_until_date)
            .set_object_lock_legal_hold_status($headers.object_lock_legal_hold_status.clone())
    };
}
use keeping;

/// The date that a server is to tell as the one after which its object is stale.
pub(super) fn expires(headers: &HeadObjectOutput) -> Option<DateTime> {
    headers.expires_string().and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok())
}

fn config(pace: Pace) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new()
        .timeout_config(pace.timeouts())
        .retry_classifier(Deadline::after(pace.wait))
}

/// What is kept of another object of S3.
fn kept(making: &Making) -> Option<&HeadObjectOutput> {
    match making.kept.as_deref() {
        Some(Kept::S3(headers)) => Some(headers),
        _ => None,
    }
}

impl S3 {
    pub(super) async fn head(
        &self,
        name: &ObjectName,
        same: Option<&str>,
        pace: Pace,
    ) -> Result<Found, Problem> {
        let request = self.client.head_object().bucket(&name.bucket).key(&name.key);
        let request = request.set_if_match(same.map(str::to_owned)).customize();
        let found = request.config_override(config(pace)).send().await?;
        Ok(Found {
            bytes: found.content_length().and_then(|bytes| u64::try_from(bytes).ok()),
            etag: found.e_tag().map(str::to_owned),
            metadata: found.metadata().cloned().unwrap_or_default(),
            kept: Kept::S3(Box::new(found)),
        })
    }

    pub(super) async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
        same: Option<&str>,
        pace: Pace,
    ) -> Result<Content, Problem> {
        let request = self
            .client
            .get_object()
            .bucket(&name.bucket)
            .key(&name.key)
            .set_if_match(same.map(str::to_owned))
            .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
            .customize()
            .config_override(config(pace));
        let answer = request.send().await?;
        Ok(Content {
            range: answer.content_range,
            etag: answer.e_tag,
            metadata: answer.metadata.unwrap_or_default(),
            body: answer.body,
        })
    }

    pub(super) async fn put(
        &self,
        name: &ObjectName,
        body: Bytes,
        making: Making,
        pace: Pace,
    ) -> Result<Told, Problem> {
        let mut request = self
            .client
            .put_object()
            .bucket(&name.bucket)
            .key(&name.key)
            .set_metadata(Some(making.metadata.clone()))
            .set_if_none_match(making.if_none_match())
            .set_if_match(making.if_match())
            .checksum_algorithm(ChecksumAlgorithm::Crc32C)
            .body(ByteStream::new(SdkBody::from(body)));
        if let Some(headers) = kept(&making) {
            request = keeping!(request, headers);
        }
        let made = request.customize().config_override(config(pace)).send().await?;
        Ok(made.told(name))
    }

    pub(super) async fn begin(
        &self,
        name: &ObjectName,
        making: Making,
        pace: Pace,
    ) -> Result<Option<String>, Problem> {
        let mut request = self
            .client
            .create_multipart_upload()
            .bucket(&name.bucket)
            .key(&name.key)
            .set_metadata(Some(making.metadata.clone()))
            .checksum_algorithm(ChecksumAlgorithm::Crc32C);
        if let Some(headers) = kept(&making) {
            request = keeping!(request, headers);
        }
        let begun = request.customize().config_override(config(pace)).send().await?;
        Ok(begun.upload_id.filter(|id| !id.is_empty()))
    }

    pub(super) async fn send_part(
        &self,
        name: &ObjectName,
        id: &str,
        number: u32,
        body: Bytes,
        pace: Pace,
    ) -> Result<Option<Part>, Problem> {
        let request = self
            .client
            .upload_part()
            .bucket(&name.bucket)
            .key(&name.key)
            .upload_id(id)
            .part_number(as_number(number))
            .checksum_algorithm(ChecksumAlgorithm::Crc32C)
            .body(ByteStream::new(SdkBody::from(body)))
            .customize()
            .config_override(config(pace));
        let sent = request.send().await?;
        let there = is_etag(sent.e_tag());
        Ok(there.then_some(Part { number, etag: sent.e_tag, checksum: sent.checksum_crc32_c }))
    }

    pub(super) async fn complete(
        &self,
        name: &ObjectName,
        id: &str,
        parts: Vec<Part>,
        making: Making,
        pace: Pace,
    ) -> Result<Told, Problem> {
        let parts = parts.into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(as_number(part.number))
                .set_e_tag(part.etag)
                .set_checksum_crc32_c(part.checksum)
                .build()
        });
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&name.bucket)
            .key(&name.key)
            .upload_id(id)
            .multipart_upload(upload)
            .set_if_none_match(making.if_none_match())
            .set_if_match(making.if_match())
            .customize()
            .config_override(config(pace));
        Ok(request.send().await?.told(name))
    }

    pub(super) async fn abort(&self, name: &ObjectName, id: &str, pace: Pace) -> Result<(), Problem> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&name.bucket)
            .key(&name.key)
            .upload_id(id)
            .customize()
            .config_override(config(pace));
        request.send().await.map(drop).map_err(Problem::from)
    }

    pub(super) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        at: Option<String>,
        pace: Pace,
    ) -> Result<Option<Page>, Problem> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            // Keys may have what XML can't hold.
            .encoding_type(EncodingType::Url)
            .set_continuation_token(at)
            .customize()
            .config_override(config(pace));
        let answer = request.send().await?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let keys = answer.contents().iter().map(|object| {
            let key = object.key().unwrap_or_default();
            let key = if encoded { decoded(key) } else { Some(key.to_owned()) };
            key.map(|key| (key, object.size() == Some(0)))
        });
        let Some(keys) = keys.collect() else { return Ok(None) };
        let next = match (answer.is_truncated().unwrap_or(false), answer.next_continuation_token()) {
            (false, _) => Next::Ended,
            (true, Some(token)) => Next::At(token.to_owned()),
            (true, None) => Next::Unknown,
        };
        Ok(Some(Page { keys, next }))
    }

    pub(super) async fn remove(&self, name: &ObjectName, pace: Pace) -> Result<(), Problem> {
        let request = self.client.delete_object().bucket(&name.bucket).key(&name.key).customize();
        request.config_override(config(pace)).send().await.map(drop).map_err(Problem::from)
    }
}

fn as_number(part: u32) -> i32 {
    i32::try_from(part).unwrap_or(i32::MAX)
}
