//! The queue of scheduled work: a record for each thing that is to be done at a date, in the order of dates.

use super::Place;
use bulla_api::KeyId;
use bulla_crypto::blob::BackingKeyId;
use bulla_store::{Fields, Path};
use std::fmt;

/// What is to be done to a key at a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheduled {
    /// Not before this wall time.
    pub(crate) due_ms: i64,
    pub(crate) place: Place,
    pub(crate) id: KeyId,
    pub(crate) work: Work,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The key is deleted at the end of its waiting period.
    Delete,
    /// The key gets new material.
    Rotate,
    /// Imported material is deleted at the end of its validity.
    Expire(BackingKeyId),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete => f.write_str("delete"),
            Self::Rotate => f.write_str("rotate"),
            Self::Expire(backing) => write!(f, "expire-{backing}"),
        }
    }
}

impl Work {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "delete" => Some(Self::Delete),
            "rotate" => Some(Self::Rotate),
            _ => backing_key_id(text.strip_prefix("expire-")?).map(Self::Expire),
        }
    }
}

/// A backing key's id, as paths have it.
pub(crate) fn backing_key_id(text: &str) -> Option<BackingKeyId> {
    u128::from_str_radix(text, 16).ok().map(|id| BackingKeyId(id.to_be_bytes()))
}

impl Scheduled {
    /// Where its record stands. The path says everything.
    pub(crate) fn path(&self) -> Path {
        // 20 digits hold every date, and order as text as they do as numbers.
        scheduled_path()
            .join(format!("{:020}", self.due_ms.max(0)))
            .join(self.place.account.to_string())
            .join(self.place.region.as_str())
            .join(self.id.to_string())
            .join(self.work.to_string())
    }

    /// What is to be done, from where the record stands.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let scheduled = Self {
            due_ms: text(4)?.parse().ok()?,
            place: Place { account: text(5)?.parse().ok()?, region: text(6)?.parse().ok()? },
            id: text(7)?.parse().ok()?,
            work: Work::parse(text(8)?)?,
        };
        (scheduled.path() == *path).then_some(scheduled)
    }

    /// The record of what nobody has begun yet.
    pub(crate) fn fields() -> Fields {
        Fields::new()
    }
}

pub(crate) const KIND_SCHEDULED: &str = "scheduled";

/// All that is scheduled, in all accounts and regions: scanned up to now.
pub(crate) fn scheduled_path() -> Path {
    Path::of_store(KIND_SCHEDULED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_say_everything_and_order_by_date() {
        let place = Place { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        let id = KeyId::from_random([7; 16]);
        let mut before: Option<Path> = None;
        for (due_ms, work) in [
            (9, Work::Delete),
            (10, Work::Expire(BackingKeyId([0; 16]))),
            (10, Work::Expire(BackingKeyId([0xfe; 16]))),
            (10, Work::Rotate),
            (i64::MAX, Work::Rotate),
        ] {
            let scheduled = Scheduled { due_ms, place: place.clone(), id, work };
            let path = scheduled.path();
            assert_eq!(Scheduled::read(&path), Some(scheduled));
            assert!(before.is_none_or(|before| before < path));
            before = Some(path);
        }
    }

    #[test]
    fn what_is_written_otherwise_is_not_read() {
        let good = "v1/-/-/scheduled/00000000000000000009/111122223333/us-east-1/07070707-0707-4707-8707-070707070707/delete";
        assert!(Scheduled::read(&Path::from_stored(good.into())).is_some());
        for bad in [
            good.replace("delete", "destroy"),
            good.replace("delete", "expire-+7070707070707070707070707070707"),
            good.replace("00000000000000000009", "9"),
            good.replace("us-east-1", ""),
            good.replace("/delete", ""),
            format!("{good}/x"),
        ] {
            assert_eq!(Scheduled::read(&Path::from_stored(bad.clone().into_bytes())), None, "{bad}");
        }
    }
}
