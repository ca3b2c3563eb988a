//! Detached keys that are an object beside the one that they open.
//!
//! `K` goes with `K.keys`. Objects can't be renamed, and nobody can lock them; but one can be written on the condition that
//! another stands there, or none. Where nothing may be replaced, the keys are written if nothing is there, then `K` appears
//! if nothing is there. Otherwise the new keys first stand as `K.keys.ID`, ID being that of their file key, which no other writer
//! has; then the new `K` appears, in whose header ID stands; then the keys take the place of what is in `K.keys`, if that
//! is still what it was before `K` was seen to be this writer's; then `K.keys.ID` is removed.
//!
//! Whoever opens `K` looks in both places for the keys with the ID of its header. So what stands in `K` can be opened at each
//! moment, whenever a writer is killed, and however many there are:
//! `K.keys.ID` is removed only once its keys are in `K.keys` or `K` is another's for good, and keys in `K.keys` are replaced
//! only by those of a `K` that came later.

use std::sync::Arc;

use bulla_envelope::{DETACHED_KEYS_BYTES_MAX, DetachedKeys, Header, HeaderLimits};

use super::{Found, SUFFIX, Where, not_found, of_another};
use crate::exit::{Exit, Failure};
use crate::storage::{Beside, Condition, Look, ObjectName, Pinned, Storage, Upload};

/// Hexadecimal digits in the id of a file key.
const ID_DIGITS: usize = 32;
/// How often others may be faster before a writer gives up.
const ATTEMPTS: u32 = 8;

/// Where keys stand while others may be in their place.
fn next_of(keys: &ObjectName, id: &str) -> ObjectName {
    keys.with_suffix(&format!(".{id}"))
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The object that keys of this name belong to, by their name.
pub(crate) fn object_of(keys: &ObjectName) -> Option<ObjectName> {
    let key = match keys.key.rsplit_once('.') {
        Some((before, id)) if is_id(id) => before,
        _ => &keys.key,
    };
    let key = key.strip_suffix(SUFFIX).filter(|key| !key.is_empty())?;
    Some(ObjectName { key: key.to_owned(), ..keys.clone() })
}

/// Whether a sealed message is there that keys of this name belong to, by their name.
pub(crate) fn is_beside_a_message(
    storage: &Arc<Storage>,
    keys: &ObjectName,
    limits: HeaderLimits,
) -> Result<bool, Failure> {
    let Some(name) = object_of(keys) else { return Ok(false) };
    if storage.look_for(&name)?.is_none() {
        return Ok(false);
    }
    Ok(matches!(storage.look_into(&name, limits), Ok(Look::Message(..))))
}

/// An object with keys, as it was read.
pub(crate) struct KeysObject {
    storage: Arc<Storage>,
    /// The version that was read.
    object: Pinned,
    /// The name that the keys have in the end: that of the object, or what comes before its id.
    name: ObjectName,
    /// The object that they open, as it was looked at.
    opens: Option<Pinned>,
}

impl KeysObject {
    /// Where they were found.
    pub(super) const fn name(&self) -> &ObjectName {
        &self.object.name
    }

    /// Puts other keys in the place of these. False if they are not the same any longer.
    pub(crate) fn replace(
        &self,
        keys: &DetachedKeys,
        bytes: &[u8],
        limits: HeaderLimits,
    ) -> Result<bool, Failure> {
        let storage = &self.storage;
        let next = next_of(&self.name, keys.id());
        let beside = || {
            let kept = storage.to_keep(&self.object)?;
            Ok::<_, Failure>(Beside { metadata: self.object.metadata.clone(), kept })
        };
        if self.object.name == next {
            let condition = match whole(storage, &self.name, limits)? {
                None => Condition::Absent,
                Some((_, Some(there))) if there.id() == keys.id() => return Ok(false),
                Some((object, Some(_))) => Condition::Same(object.etag().to_owned()),
                Some((_, None)) => return Err(in_the_way(&self.name)),
            };
            // Only now: see above.
            let still = self.opens.as_ref().map_or(Ok(true), |object| storage.is_still(object))?;
            if !still || !storage.put(&self.name, bytes, condition, Some(beside()?))? {
                return Ok(false);
            }
        } else {
            let condition = Condition::Same(self.object.etag().to_owned());
            if !storage.put(&self.object.name, bytes, condition, Some(beside()?))? {
                return Ok(false);
            }
        }
        // Whom they have no longer could open what a killed command has left there.
        let left = storage.look_for(&next);
        let removed = match left {
            Ok(None) => Ok(()),
            Ok(Some(_)) => storage.remove(&next),
            // To whom may not list, what isn't there is forbidden.
            Err(failure) if failure.exit == Exit::Denied => Ok(()),
            Err(failure) => Err(failure),
        };
        removed.map_err(|failure| {
            failure.although(&format!(
                "`{}` has the new keys, and if `{next}` is there, it has earlier ones, which open the object too: remove it",
                self.name
            ))
        })?;
        Ok(true)
    }
}

fn in_the_way(name: &ObjectName) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{name}` holds no keys, and its name is needed for them; move it away"),
    )
}

/// Keys in an object, if they are there. What is there and holds no keys is an error.
pub(crate) fn read(
    storage: &Arc<Storage>,
    name: &ObjectName,
    limits: HeaderLimits,
) -> Result<Option<Found>, Failure> {
    let Some((object, bytes)) = storage.begin(name, DETACHED_KEYS_BYTES_MAX as u64)? else { return Ok(None) };
    if object.bytes > bytes.len() as u64 {
        return Err(Failure::new(
            Exit::NotIntact,
            format!("`{name}` has {} bytes, which no keys have; check what it is", object.bytes),
        ));
    }
    let keys = DetachedKeys::read(bytes, limits);
    let keys = keys.map_err(|error| Failure::envelope(&error, &name.to_string(), "nothing"))?;
    let (storage, name) = (Arc::clone(storage), name.clone());
    let place = Where::Object(Box::new(KeysObject { storage, object, name, opens: None }));
    Ok(Some(Found { keys, place }))
}

/// What is in an object, and the keys in it if it holds some.
fn whole(
    storage: &Arc<Storage>,
    name: &ObjectName,
    limits: HeaderLimits,
) -> Result<Option<(Pinned, Option<DetachedKeys>)>, Failure> {
    let begun = storage.begin(name, DETACHED_KEYS_BYTES_MAX as u64)?;
    Ok(begun.map(|(object, bytes)| (object, DetachedKeys::read(bytes, limits).ok())))
}

/// Looks for the keys of what has this header, under their name and under that which they may have for a while.
pub(super) fn find(
    storage: &Arc<Storage>,
    name: &ObjectName,
    shown: &str,
    opens: Option<&Pinned>,
    header: &Header,
    limits: HeaderLimits,
) -> Result<Found, Failure> {
    let next = header.file_key_id().filter(|id| is_id(id)).map(|id| next_of(name, &id));
    let mut failed: Option<Failure> = None;
    // In the end again: they may have gone from the one to the other meanwhile.
    for place in [Some(name), next.as_ref(), Some(name)].into_iter().flatten() {
        let found = match read(storage, place, limits) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(failure) => {
                failed.get_or_insert(failure);
                continue;
            }
        };
        match found.keys.check_belong_to(header) {
            Ok(()) => return Ok(found.beside(name, opens)),
            Err(error) => {
                failed.get_or_insert(of_another(&place.to_string(), &error, shown));
            }
        }
    }
    if let Some(object) = opens
        && !storage.is_still(object)?
    {
        return Err(Failure::new(Exit::Failed, format!("`{shown}` was replaced meanwhile; try again")));
    }
    Err(failed.unwrap_or_else(|| not_found(shown, &name.to_string())))
}

/// The same beside an object.
pub(crate) fn find_beside(
    storage: &Arc<Storage>,
    object: &Pinned,
    header: &Header,
    limits: HeaderLimits,
) -> Result<Found, Failure> {
    let name = object.name.with_suffix(SUFFIX);
    find(storage, &name, &object.name.to_string(), Some(object), header, limits)
}

impl Found {
    /// The same, when it is known whose they are.
    fn beside(mut self, name: &ObjectName, opens: Option<&Pinned>) -> Self {
        if let Where::Object(object) = &mut self.place {
            object.name = name.clone();
            object.opens = opens.cloned();
        }
        self
    }
}

/// A place for the keys of an object that is about to be sealed.
pub(crate) struct Place {
    storage: Arc<Storage>,
    name: ObjectName,
    force: bool,
}

impl Place {
    /// Refuses what is there already and may not be replaced, or can't be.
    pub(super) fn open(storage: Arc<Storage>, name: ObjectName, force: bool) -> Result<Self, Failure> {
        if force {
            // Whoever replaces keys must be able to see them. The longest name is not too long.
            ObjectName::of(next_of(&name, &"0".repeat(ID_DIGITS)).to_string().as_ref())?;
            storage.look_for(&name).map_err(|failure| match failure.exit {
                Exit::Denied => failure.although(
                    "to replace an object with detached keys takes the permissions to read, list and delete (s3:GetObject, s3:ListBucket and \
                     s3:DeleteObject)",
                ),
                _ => failure,
            })?;
        } else {
            ObjectName::of(name.to_string().as_ref())?;
            Upload::new(Arc::clone(&storage), name.clone(), false).check_absent()?;
        }
        Ok(Self { storage, name, force })
    }

    /// Where sealed keys will be.
    pub(super) const fn name(&self) -> &ObjectName {
        &self.name
    }

    /// Makes the object that was uploaded visible, its keys first.
    pub(super) fn publish(
        self,
        keys: &DetachedKeys,
        limits: HeaderLimits,
        upload: Upload,
    ) -> Result<(), Failure> {
        let Self { storage, name, force } = self;
        let output = upload.name().clone();
        if !force {
            let made = Upload::new(Arc::clone(&storage), name.clone(), false);
            made.finish_with(keys.bytes())?;
            return upload.finish().map_err(|failure| {
                failure.although(&format!(
                    "the keys of what was to be there stand as `{name}`: unless it is there after all, remove them before you try again"
                ))
            });
        }
        let next = next_of(&name, keys.id());
        let made = Upload::new(Arc::clone(&storage), next.clone(), false);
        made.finish_with(keys.bytes())?;
        let mark = upload.mark();
        upload.finish().map_err(|failure| {
            failure.although(&format!(
                "the keys of what was to be there stand as `{next}`: unless it is there after all, they may be removed"
            ))
        })?;
        let settled = settle(&storage, &name, &next, keys, limits, || {
            let now = storage.look_for(&output)?;
            Ok(now.is_some_and(|now| now.metadata.get(mark.0) == Some(&mark.1)))
        });
        settled
            .map_err(|failure| failure.although(&format!("`{output}` is there, and is opened by `{next}`")))
    }
}

/// Gives keys that have stood as `next` their name, unless what they open is another's by now.
fn settle(
    storage: &Arc<Storage>,
    name: &ObjectName,
    next: &ObjectName,
    keys: &DetachedKeys,
    limits: HeaderLimits,
    is_ours: impl Fn() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        let condition = match whole(storage, name, limits)? {
            // Another command has done it, and may have changed them since.
            Some((_, Some(there))) if there.id() == keys.id() => return storage.remove(next),
            Some((object, _)) => Condition::Same(object.etag().to_owned()),
            None => Condition::Absent,
        };
        // Only now: see above.
        if !is_ours()? || storage.put(name, keys.bytes(), condition, None)? {
            return storage.remove(next);
        }
    }
    Err(Failure::new(Exit::Failed, format!("`{name}` is being replaced by other commands again and again")))
}
