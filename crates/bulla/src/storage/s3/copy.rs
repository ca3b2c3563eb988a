//! Objects that the server makes of others: onto themselves, when only their metadata changes.

use std::collections::HashMap;
use std::ops::Range;

use aws_sdk_s3::types::MetadataDirective;

use super::answers::TellsOf;
use super::{S3, config, is_etag, keeping};
use crate::storage::failure::Problem;
use crate::storage::server::{Kept, Pace, Part};
use crate::storage::{ObjectName, Pinned};

impl S3 {
    /// Has the server make a part of some bytes of another object.
    pub(in crate::storage) async fn copy_part(
        &self,
        name: &ObjectName,
        id: &str,
        number: u32,
        (source, range): (&Pinned, Range<u64>),
        pace: Pace,
    ) -> Result<Option<Part>, Problem> {
        let request = self
            .client
            .upload_part_copy()
            .bucket(&name.bucket)
            .key(&name.key)
            .upload_id(id)
            .part_number(super::as_number(number))
            .copy_source(source.name.as_copy_source())
            .copy_source_if_match(source.etag())
            .copy_source_range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
            .customize()
            .config_override(config(pace));
        let sent = request.send().await?.copy_part_result.filter(|part| is_etag(part.e_tag()));
        Ok(sent.map(|sent| Part { number, etag: sent.e_tag, checksum: sent.checksum_crc32_c }))
    }

    /// Gives an object other metadata, and what it had beside that. False where the answer doesn't tell of it.
    pub(in crate::storage) async fn copy_onto_itself(
        &self,
        object: &Pinned,
        metadata: HashMap<String, String>,
        kept: &Kept,
        pace: Pace,
    ) -> Result<bool, Problem> {
        let mut request = self
            .client
            .copy_object()
            .bucket(&object.name.bucket)
            .key(&object.name.key)
            .copy_source(object.name.as_copy_source())
            .copy_source_if_match(object.etag())
            .if_match(object.etag())
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(metadata));
        if let Kept::S3(headers) = kept {
            request = keeping!(request, headers);
        }
        let copied = request.customize().config_override(config(pace)).send().await?;
        Ok(copied.tells_of(&object.name))
    }
}
