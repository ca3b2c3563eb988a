//! Reading a request's body into one wiped buffer, bounded in size, time, and number of large ones.

use crate::config::Limits;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Bodies up to here are held for every connection; larger ones share [`Limits::large_bodies`]. All requests
/// but those with large policies are smaller.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// More than [`Limits::body_bytes`], declared or sent.
    TooLarge,
    /// It did not come in time, or there was no room for it in time.
    TooSlow,
    /// The peer broke off, or its framing is wrong.
    Broken,
}

/// A body, whole, wiped when dropped, and its share of [`Limits::large_bodies`] if it is large.
pub(crate) struct Collected {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Collects a body. What is declared too large is refused before a byte of it is read.
pub(crate) async fn collect(
    body: Incoming,
    limits: &Limits,
    large: &Arc<Semaphore>,
) -> Result<Collected, BodyError> {
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(BodyError::TooLarge);
    }
    timeout(limits.body, read_all(body, limits.body_bytes, large)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn read_all(
    mut body: Incoming,
    bytes_max: usize,
    large: &Arc<Semaphore>,
) -> Result<Collected, BodyError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    // No more than a small body on a mere declaration.
    let mut bytes = Zeroizing::new(Vec::with_capacity(declared.min(SMALL_BYTES_MAX)));
    let mut room = None;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let length = bytes.len() + piece.len();
        if length > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if length > SMALL_BYTES_MAX && room.is_none() {
            room = Some(Arc::clone(large).acquire_owned().await.map_err(|_| BodyError::TooSlow)?);
        }
        if length > bytes.capacity() {
            let doubled = 2 * bytes.capacity();
            grow(&mut bytes, length.max(doubled).min(bytes_max));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Collected { bytes, _room: room })
}

/// Moves the content to a larger allocation and wipes the old one: a vector that grows by itself leaves its
/// content behind.
fn grow(bytes: &mut Zeroizing<Vec<u8>>, capacity: usize) {
    let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
    larger.extend_from_slice(bytes);
    // The old allocation is wiped as it is dropped.
    *bytes = larger;
}
