//! Other metadata beside an object whose content stays: the server copies it onto itself.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::MetadataDirective;

use super::answers::TellsOf;
use super::failure::{Tried, may_be_done};
use super::upload::{Condition, MARK, Upload};
use super::{Pinned, Storage};
use crate::exit::{Exit, Failure};

/// Longest object that one request copies, in bytes (Amazon S3 User Guide, "Copying, moving, and renaming objects").
const COPY_BYTES_MAX: u64 = 5_000_000_000;
/// Parts of longer ones, in bytes: the server copies several at a time.
const PART_BYTES: u64 = 1 << 30;
/// Set by tests, so that parts of so many bytes are copied of objects that are longer than one.
const TEST_PART_BYTES: &str = "BULLA_TEST_COPY_PART_BYTES";

/// Has a request that makes an object set what another one has beside its metadata.
macro_rules! keeping {
    ($request:expr, $headers:expr) => {
        $request
            .set_content_type($headers.content_type.clone())
            .set_cache_control($headers.cache_control.clone())
            .set_content_disposition($headers.content_disposition.clone())
            .set_content_encoding($headers.content_encoding.clone())
            .set_expires($crate::storage::rewrite::expires(&$headers))
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
pub(super) use keeping;

/// The date that a server is to tell as the one after which its object is stale.
pub(super) fn expires(headers: &HeadObjectOutput) -> Option<DateTime> {
    headers.expires_string().and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok())
}

/// The bytes by which the time for copying so many is reckoned: a server copies faster than a network moves.
pub(super) const fn copying(bytes: u64) -> u64 {
    bytes / 16
}

impl Storage {
    /// Gives an object other metadata. It is an error if it is another object by now.
    pub(crate) fn replace_metadata(
        self: &Arc<Self>,
        object: &Pinned,
        metadata: HashMap<String, String>,
    ) -> Result<(), Failure> {
        let headers = self.headers(object)?;
        let tried = Tried { doing: "write", what: &object.name, place: self.place() };
        // The content's ETag is no other when another command has changed the metadata.
        if headers.metadata.clone().unwrap_or_default() != object.metadata {
            return Err(tried.failed(Exit::Failed, "its metadata was replaced meanwhile; try again"));
        }
        self.rewrite(object, metadata.clone(), headers)?;
        let now = self.look_for(&object.name).map_err(|failure| {
            failure
                .although("its metadata was written, and another command's may have come after it; try again")
        })?;
        let is_there = now.is_some_and(|now| {
            metadata.iter().all(|(name, value)| name == MARK || now.metadata.get(name) == Some(value))
        });
        if is_there {
            return Ok(());
        }
        Err(tried.failed(Exit::Failed, "another command has replaced what was written; try again"))
    }

    fn rewrite(
        self: &Arc<Self>,
        object: &Pinned,
        metadata: HashMap<String, String>,
        headers: HeadObjectOutput,
    ) -> Result<(), Failure> {
        let test = std::env::var(TEST_PART_BYTES).ok().and_then(|bytes| bytes.parse().ok());
        if object.bytes <= test.unwrap_or(COPY_BYTES_MAX) {
            return self.copy_onto_itself(object, metadata, headers);
        }
        self.refuse_tags(object, &headers, "an object of over 5 GB")?;
        let condition = Condition::Same(object.etag().to_owned());
        let upload = Upload::under(Arc::clone(self), object.name.clone(), condition);
        upload.set_metadata(metadata);
        upload.keep_headers(headers);
        upload.copy(&Arc::new(object.clone()), test.unwrap_or(PART_BYTES))
    }

    /// What stands beside an object, for another that takes its place.
    pub(crate) fn headers_to_keep(self: &Arc<Self>, object: &Pinned) -> Result<HeadObjectOutput, Failure> {
        let headers = self.headers(object)?;
        self.refuse_tags(object, &headers, "it")?;
        Ok(headers)
    }

    fn refuse_tags(&self, object: &Pinned, headers: &HeadObjectOutput, loser: &str) -> Result<(), Failure> {
        if headers.tag_count.unwrap_or(0) <= 0 {
            return Ok(());
        }
        let tried = Tried { doing: "write", what: &object.name, place: self.place() };
        let cause = format!("it has tags, which {loser} would lose; remove them for the while");
        Err(tried.failed(Exit::Failed, cause))
    }

    fn headers(self: &Arc<Self>, object: &Pinned) -> Result<HeadObjectOutput, Failure> {
        let (this, object) = (Arc::clone(self), object.clone());
        self.wait_for(async move {
            let tried = Tried { doing: "read", what: &object.name, place: this.place() };
            let request = this
                .client()
                .head_object()
                .bucket(&object.name.bucket)
                .key(&object.name.key)
                .if_match(object.etag())
                .customize()
                .config_override(this.config_for(0));
            let headers = request.send().await.map_err(|error| tried.of_request(&error))?;
            if headers.expires_string().is_some() && expires(&headers).is_none() {
                let cause = "its Expires header is no date, and would be lost; correct it";
                return Err(tried.failed(Exit::Failed, cause));
            }
            Ok(headers)
        })
    }

    fn copy_onto_itself(
        self: &Arc<Self>,
        object: &Pinned,
        metadata: HashMap<String, String>,
        headers: HeadObjectOutput,
    ) -> Result<(), Failure> {
        let (this, object) = (Arc::clone(self), object.clone());
        self.wait_for(async move {
            let tried = Tried { doing: "write", what: &object.name, place: this.place() };
            let request = this
                .client()
                .copy_object()
                .bucket(&object.name.bucket)
                .key(&object.name.key)
                .copy_source(object.name.as_copy_source())
                .copy_source_if_match(object.etag())
                .if_match(object.etag())
                .metadata_directive(MetadataDirective::Replace)
                .set_metadata(Some(metadata.clone()));
            let request = keeping!(request, headers)
                .customize()
                .config_override(this.config_for(copying(object.bytes)));
            match request.send().await {
                Ok(answer) if answer.tells_of(&object.name) => Ok(()),
                // Whatever is answered, it may be done: by this request, or by the one whose answer was lost.
                answer => match answer.err() {
                    Some(error) if !may_be_done(&error) => Err(tried.of_request(&error)),
                    _ if this.has(&object.name, &metadata).await => Ok(()),
                    Some(error) => Err(tried.of_request(&error)),
                    None => Err(tried.not_storage()),
                },
            }
        })
    }
}
