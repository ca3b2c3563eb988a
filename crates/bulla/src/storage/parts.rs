//! How large the parts of an upload are.
//!
//! S3 takes at most 10,000 parts, each but the last of 5 MiB to 5 GiB, and objects of at most 5 TiB (Amazon S3 User Guide, "Amazon S3
//! multipart upload limits"). Azure takes 50,000 of up to 4000 MiB (Microsoft, "Scalability and performance targets for Blob storage").

/// Most parts of an upload.
pub(crate) const PARTS_MAX: u32 = 10_000;
/// Largest object, in bytes.
pub(crate) const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// The first parts, in bytes. What is not longer is sent as one object, without an upload in parts.
const FIRST_BYTES: u64 = 8 << 20;
/// Of a stream whose length isn't known, part `n`, counted from 0, is longer than the first by this many bytes times `n` squared:
/// parts stay small as long as the stream is (16 MiB after 10 GiB, 100 MiB after 100 GiB), and 10,000 of them hold 5 TiB.
const GROWTH_BYTES: u64 = 17;
/// Parts of a stream whose length is known are whole multiples of this.
const STEP_BYTES: u64 = 1 << 20;

/// The sizes of an upload's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartSizes {
    /// Of a stream whose length isn't known.
    Growing,
    /// All the same.
    Even(u64),
}

impl PartSizes {
    /// For a stream of at most so many bytes.
    pub(crate) fn for_length(bytes: Option<u64>) -> Self {
        match bytes {
            None => Self::Growing,
            Some(bytes) => {
                let least = bytes.div_ceil(u64::from(PARTS_MAX)).next_multiple_of(STEP_BYTES);
                Self::Even(least.max(FIRST_BYTES))
            }
        }
    }

    /// Bytes of part `number`, counted from 0.
    pub(crate) fn of(self, number: u32) -> u64 {
        match self {
            Self::Growing => {
                let number = u64::from(number);
                FIRST_BYTES.saturating_add(GROWTH_BYTES.saturating_mul(number.saturating_mul(number)))
            }
            Self::Even(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART_BYTES: std::ops::RangeInclusive<u64> = 5 << 20..=5 << 30;

    fn whole(sizes: PartSizes) -> u64 {
        (0..PARTS_MAX)
            .map(|number| {
                let bytes = sizes.of(number);
                assert!(PART_BYTES.contains(&bytes), "{sizes:?}: part {number} has {bytes} bytes");
                bytes
            })
            .sum()
    }

    #[test]
    fn every_object_that_s3_takes_has_parts_that_s3_takes() {
        assert!(whole(PartSizes::Growing) >= OBJECT_BYTES_MAX);
        for length in [0, 1, FIRST_BYTES, 80_000 << 20, (80_000 << 20) + 1, 1 << 40, OBJECT_BYTES_MAX] {
            assert!(whole(PartSizes::for_length(Some(length))) >= length, "{length}");
        }
    }

    #[test]
    fn parts_of_short_streams_stay_short() {
        let (mut before, mut number) = (0, 0);
        while before < 10 << 30 {
            before += PartSizes::Growing.of(number);
            number += 1;
        }
        assert!(PartSizes::Growing.of(number) < 24 << 20, "after 10 GiB");
        assert_eq!(PartSizes::for_length(Some(50 << 30)), PartSizes::Even(8 << 20));
    }
}
