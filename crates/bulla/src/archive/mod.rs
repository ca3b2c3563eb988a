//! A directory in one stream: a tar archive, as every tar reads it.

mod growing;
mod links;
mod metered;
mod pack;
mod unpack;

pub(crate) use pack::{Packed, Packing};
pub(crate) use unpack::unpack;

/// Directories and symbolic links in one archive: they are held to the end.
const HELD_MAX: usize = 4_000_000;
/// Their names, in bytes.
const HELD_BYTES_MAX: usize = 1 << 30;
