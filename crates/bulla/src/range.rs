//! `--range FIRST-LAST`: a part of what a file holds.

use std::ops::RangeInclusive;

use crate::exit::Failure;
use crate::storage::Access;

/// The first and the last byte that are wanted, counted from 0.
pub(crate) type Range = RangeInclusive<u64>;

/// From `FIRST-LAST`, or `FIRST-` for all from there on.
pub(crate) fn parse(text: &str) -> Result<Range, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--range {text}: {why}"));
    let number = |digits: &str| {
        // `u64` takes a sign.
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)
    };
    let form = "FIRST-LAST or FIRST-, each a number of bytes, counted from 0";
    let (first, last) = text.split_once('-').ok_or_else(|| wrong(form))?;
    let first = number(first).ok_or_else(|| wrong(form))?;
    let last = match last {
        "" => u64::MAX,
        last => number(last).ok_or_else(|| wrong(form))?,
    };
    if last < first {
        return Err(wrong("it ends before it begins"));
    }
    Ok(first..=last)
}

/// Longer ones, in bytes, are worth reading ahead.
const LONG_BYTES: u64 = 32 << 20;

/// How an object is read of which this is wanted.
pub(crate) fn access(range: Option<&Range>) -> Access {
    match range {
        Some(range) if range.end().saturating_sub(*range.start()) < LONG_BYTES => Access::Parts,
        _ => Access::Whole,
    }
}

/// Most bytes that come of an input of so many.
pub(crate) fn length(range: Option<&Range>, whole: Option<u64>) -> Option<u64> {
    match range {
        Some(range) => {
            whole.map(|whole| range.end().saturating_sub(*range.start()).saturating_add(1).min(whole))
        }
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn ranges_are_two_numbers_or_one() {
        assert_eq!(parse("0-0").unwrap(), 0..=0);
        assert_eq!(parse("5-18446744073709551615").unwrap(), 5..=u64::MAX);
        assert_eq!(parse("7-").unwrap(), 7..=u64::MAX);
        for wrong in
            ["", "-", "-5", "5", "2-1", "a-b", "+1-2", "1-+2", "1-2-3", "0x1-2", "1-18446744073709551616"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
