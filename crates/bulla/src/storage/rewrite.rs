//! Other metadata beside an object whose content stays: the server copies it onto itself.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::MetadataDirective;

use super::failure::{Tried, is_refusal};
use super::upload::{Condition, Upload};
use super::{Pinned, Storage};
use crate::exit::Failure;

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
        Err(tried.failed(crate::exit::Exit::Failed, cause))
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
            request.send().await.map_err(|error| tried.of_request(&error))
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
                Ok(_) => Ok(()),
                // The second of two requests, when the first one's answer was lost.
                Err(error) if is_refusal(&error) && this.has(&object.name, &metadata).await => Ok(()),
                Err(error) => Err(tried.of_request(&error)),
            }
        })
    }
}
