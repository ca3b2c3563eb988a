//! Detached keys in a file of this host, of an object elsewhere.
//!
//! They change places as those of a file do. But whether an object appeared isn't always known: only what is there in the end
//! tells, by the id in its header, which keys are right.

use std::path::Path;
use std::sync::Arc;

use bulla_envelope::{Header, HeaderLimits};

use super::{Turn, next_of, publish_next, read, take_name};
use crate::at::At;
use crate::exit::{Exit, Failure};
use crate::output::Fresh;
use crate::storage::{Look, ObjectName, Storage, Upload, is_object};

/// Ends what a command has begun whose file or object has this header: its keys take their name, if they still stand under the
/// other one. False if they stand nowhere. In a turn only.
pub(super) fn settle_by(header: &Header, keys: At<'_>, limits: HeaderLimits) -> Result<bool, Failure> {
    let belong =
        |at: At<'_>| matches!(read(at, limits), Ok(Some(found)) if found.check_belong_to(header).is_ok());
    // What is beside them was not put there by a command that was killed after the file had changed.
    if belong(keys) {
        return Ok(true);
    }
    let next = next_of(keys);
    let next = keys.beside(&next);
    if !belong(next) || !next.is_own_file() {
        return Ok(false);
    }
    take_name(keys)?;
    Ok(true)
}

/// The same for the keys of an object, before anything is changed in them.
pub(crate) fn settle_for(keys: &Path, header: &Header, limits: HeaderLimits) -> Result<(), Failure> {
    let at = At::path(keys);
    if is_object(keys) || !At::path(&next_of(at)).exists() {
        return Ok(());
    }
    let _turn = Turn::take(at)?;
    settle_by(header, at, limits).map(drop)
}

/// The same for the keys of an object that is about to be replaced: refused where it doesn't tell which keys are right. In a
/// turn only.
fn settle(
    storage: &Arc<Storage>,
    object: &ObjectName,
    keys: At<'_>,
    limits: HeaderLimits,
) -> Result<(), Failure> {
    let next = next_of(keys);
    if !At::path(&next).exists() {
        return Ok(());
    }
    let settled = match storage.look_for(object)? {
        Some(_) => match storage.look_into(object, limits)? {
            Look::Message(_, found) => settle_by(&found.header, keys, limits)?,
            Look::Object(_) | Look::Other => false,
        },
        None => false,
    };
    if settled {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        format!(
            "`{}` is there, and may be the keys of what another command wrote, as `{object}` doesn't tell; nothing was written; \
             move it away",
            next.display()
        ),
    ))
}

/// Before anything is sealed.
pub(super) fn check(
    storage: &Arc<Storage>,
    object: &ObjectName,
    keys: &Path,
    limits: HeaderLimits,
) -> Result<(), Failure> {
    let keys = At::path(keys);
    let _turn = Turn::take(keys)?;
    settle(storage, object, keys, limits)
}

/// Refuses to change keys of which nobody knows whether they are the right ones.
pub(crate) fn refuse_unsettled(keys: &Path) -> Result<(), Failure> {
    let next = next_of(At::path(keys));
    if !At::path(&next).exists() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        format!(
            "`{}` is there, and may be the keys that are right; nothing was changed; name what they open instead, as in bulla \
             rewrap --keys {} s3://BUCKET/KEY",
            next.display(),
            keys.display()
        ),
    ))
}

/// The keys of an object stay, whatever becomes of it: that a server says no more doesn't mean that it isn't there.
pub(super) fn publish(
    (path, keys): (&Path, Fresh<'_>),
    upload: Upload,
    limits: HeaderLimits,
) -> Result<(), Failure> {
    let at = At::path(path);
    let _turn = Turn::take(at)?;
    let stand_as = |path: &Path| {
        let path = path.display();
        format!("the keys of what was to be there stand as `{path}`, for the case that it is there after all")
    };
    if !at.exists() {
        keys.commit()?;
        return upload.finish().map_err(|failure| failure.although(&stand_as(path)));
    }
    settle(upload.storage(), upload.name(), at, limits)?;
    publish_next(keys, at, limits)?;
    upload.finish().map_err(|failure| failure.although(&stand_as(&next_of(at))))?;
    take_name(at)
}
