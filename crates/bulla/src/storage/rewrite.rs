//! Other metadata beside an object whose content stays: the server copies it onto itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::failure::Tried;
use super::server::{Found, Kept};
use super::upload::{Condition, MARK, Upload};
use super::{Pinned, Storage};
use crate::exit::{Exit, Failure};

/// Longest object that one request copies, in bytes (Amazon S3 User Guide, "Copying, moving, and renaming objects").
const COPY_BYTES_MAX: u64 = 5_000_000_000;
/// Parts of longer ones, in bytes: the server copies several at a time.
const PART_BYTES: u64 = 1 << 30;
/// Set by tests, so that parts of so many bytes are copied of objects that are longer than one.
const TEST_PART_BYTES: &str = "BULLA_TEST_COPY_PART_BYTES";

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
        let Found { metadata: before, kept, .. } = self.beside(object)?;
        let tried = Tried { doing: "write", what: &object.name, place: self.place() };
        // The content's ETag is no other when another command has changed the metadata.
        if before != object.metadata {
            return Err(tried.failed(Exit::Failed, "its metadata was replaced meanwhile; try again"));
        }
        self.rewrite(object, metadata.clone(), kept)?;
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
        kept: Kept,
    ) -> Result<(), Failure> {
        let test = std::env::var(TEST_PART_BYTES).ok().and_then(|bytes| bytes.parse().ok());
        if object.bytes <= test.unwrap_or(COPY_BYTES_MAX) {
            return self.copy_onto_itself(object, metadata, kept);
        }
        self.refuse_tags(object, &kept, "an object of over 5 GB")?;
        let condition = Condition::Same(object.etag().to_owned());
        let upload = Upload::under(Arc::clone(self), object.name.clone(), condition);
        upload.set_metadata(metadata);
        upload.keep(kept);
        upload.copy(&Arc::new(object.clone()), test.unwrap_or(PART_BYTES))
    }

    /// What stands beside an object, for another that takes its place.
    pub(crate) fn to_keep(self: &Arc<Self>, object: &Pinned) -> Result<Kept, Failure> {
        let Found { kept, .. } = self.beside(object)?;
        self.refuse_tags(object, &kept, "it")?;
        Ok(kept)
    }

    fn refuse_tags(&self, object: &Pinned, kept: &Kept, loser: &str) -> Result<(), Failure> {
        if !kept.has_tags() {
            return Ok(());
        }
        let tried = Tried { doing: "write", what: &object.name, place: self.place() };
        let cause = format!("it has tags, which {loser} would lose; remove them for the while");
        Err(tried.failed(Exit::Failed, cause))
    }

    fn beside(self: &Arc<Self>, object: &Pinned) -> Result<Found, Failure> {
        let (this, object) = (Arc::clone(self), object.clone());
        self.wait_for(async move {
            let tried = Tried { doing: "read", what: &object.name, place: this.place() };
            let found = this.server().head(&object.name, Some(object.etag()), this.pace(0)).await;
            let found = found.map_err(|problem| tried.of(&problem))?;
            match found.kept.lost() {
                Some(cause) => Err(tried.failed(Exit::Failed, cause)),
                None => Ok(found),
            }
        })
    }

    fn copy_onto_itself(
        self: &Arc<Self>,
        object: &Pinned,
        metadata: HashMap<String, String>,
        kept: Kept,
    ) -> Result<(), Failure> {
        let (this, object) = (Arc::clone(self), object.clone());
        self.wait_for(async move {
            let tried = Tried { doing: "write", what: &object.name, place: this.place() };
            let Some(server) = this.server().s3() else { return Err(only_at_s3(tried)) };
            let pace = this.pace(copying(object.bytes));
            match server.copy_onto_itself(&object, metadata.clone(), &kept, pace).await {
                Ok(true) => Ok(()),
                Err(problem) if !problem.may_be_done() => Err(tried.of(&problem)),
                // Whatever is answered, it may be done: by this request, or by the one whose answer was lost.
                _ if this.has(&object.name, &metadata).await => Ok(()),
                Err(problem) => Err(tried.of(&problem)),
                Ok(false) => Err(tried.not_storage()),
            }
        })
    }
}

/// Copying is for objects of the S3 Encryption Client.
pub(super) fn only_at_s3(tried: Tried<'_>) -> Failure {
    tried.failed(Exit::Usage, "objects are copied within s3:// only")
}
