//! A directory in one stream: a tar archive, as every tar reads it.

mod pack;
mod unpack;

pub(crate) use pack::Packing;
pub(crate) use unpack::unpack;

use std::path::{Component, Path};

/// Whether a symbolic link at `at`, a path below the archive's directory, leads to something below that too.
fn stays_inside(at: &Path, target: &Path) -> bool {
    let mut depth = at.components().count().saturating_sub(1);
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}
