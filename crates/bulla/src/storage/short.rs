//! Short objects, which are read and written whole; and the start of long ones.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use super::client::attempt_timeout;
use super::failure::Tried;
use super::server::Kept;
use super::upload::{Condition, Upload};
use super::{ObjectName, Pinned, Storage};
use crate::exit::{Exit, Failure};

/// What a short object is to have beside its content: what another had.
pub(crate) struct Beside {
    /// What an owner writes about it.
    pub(crate) metadata: HashMap<String, String>,
    /// What the server keeps.
    pub(crate) kept: Kept,
}

impl Storage {
    /// The first bytes of an object, at most so many, and which version of it they are of; none where no object is.
    pub(crate) fn begin(
        self: &Arc<Self>,
        name: &ObjectName,
        most: u64,
    ) -> Result<Option<(Pinned, Vec<u8>)>, Failure> {
        let (this, name) = (Arc::clone(self), name.clone());
        self.wait_for(async move {
            let tried = Tried { doing: "read", what: &name, place: this.place() };
            let asked = this.server().get(&name, 0..most, None, this.pace(most));
            let mut answer = match asked.await {
                Ok(answer) => answer,
                Err(problem) if problem.is_absent() => return Ok(None),
                // An empty object has no first byte that could be asked for.
                Err(problem) if problem.status() == Some(416) => {
                    let object = this.head(&name).await?.filter(|object| object.bytes == 0);
                    return object.map(|object| Some((object, Vec::new()))).ok_or_else(|| tried.of(&problem));
                }
                Err(problem) => return Err(tried.of(&problem)),
            };
            let whole = answer.range.as_deref().and_then(|range| range.rsplit_once('/')?.1.parse().ok());
            let object =
                Pinned::of(&name, whole, answer.etag.as_deref(), std::mem::take(&mut answer.metadata));
            let object = object.ok_or_else(|| tried.not_storage())?;
            let wanted = object.bytes.min(most);
            let mut bytes = Vec::new();
            let until = tokio::time::Instant::now() + attempt_timeout(most);
            // What is slow, or breaks, is asked for again below.
            while let Ok(Some(Ok(more))) = tokio::time::timeout_at(until, answer.body.next()).await {
                if (bytes.len() as u64).saturating_add(more.len() as u64) > wanted {
                    let cause = "the server answers with more bytes than were asked for";
                    return Err(tried.failed(Exit::Failed, cause));
                }
                bytes.extend_from_slice(&more);
            }
            if (bytes.len() as u64) < wanted {
                bytes = this.read(&object, 0..wanted).await?;
            }
            Ok(Some((object, bytes)))
        })
    }

    /// Looks at an object that need not be there.
    pub(crate) fn look_for(self: &Arc<Self>, name: &ObjectName) -> Result<Option<Pinned>, Failure> {
        let (this, name) = (Arc::clone(self), name.clone());
        self.wait_for(async move { this.head(&name).await })
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<Pinned>, Failure> {
        let tried = Tried { doing: "read", what: name, place: self.place() };
        let found = match self.server().head(name, None, self.pace(0)).await {
            Ok(found) => found,
            Err(problem) if problem.is_absent() => return Ok(None),
            Err(problem) => return Err(tried.of(&problem)),
        };
        Pinned::found(name, found).map(Some).ok_or_else(|| tried.not_storage())
    }

    /// Whether an object is still the one that was looked at.
    pub(crate) fn is_still(self: &Arc<Self>, object: &Pinned) -> Result<bool, Failure> {
        Ok(self.look_for(&object.name)?.is_some_and(|now| now.etag() == object.etag()))
    }

    /// Makes a short object on a condition. Gives back whether it held.
    pub(crate) fn put(
        self: &Arc<Self>,
        name: &ObjectName,
        bytes: &[u8],
        condition: Condition,
        beside: Option<Beside>,
    ) -> Result<bool, Failure> {
        let mut upload = Upload::under(Arc::clone(self), name.clone(), condition);
        if let Some(Beside { metadata, kept }) = beside {
            upload.set_metadata(metadata);
            upload.keep(kept);
        }
        upload.write_all(bytes).map_err(|error| Failure::io("cannot write", name, &error))?;
        upload.finish_if()
    }

    /// Removes an object, if it is there.
    pub(crate) fn remove(self: &Arc<Self>, name: &ObjectName) -> Result<(), Failure> {
        let (this, name) = (Arc::clone(self), name.clone());
        self.wait_for(async move {
            let tried = Tried { doing: "remove", what: &name, place: this.place() };
            match this.server().remove(&name, this.pace(0)).await {
                Ok(()) => Ok(()),
                Err(problem) if problem.is_absent() => Ok(()),
                Err(problem) => Err(tried.of(&problem)),
            }
        })
    }
}
