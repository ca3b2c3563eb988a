//! Dates in ISO 8601 basic format, as signatures carry them.

use std::fmt;

/// A second: `20150830T123600Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// From seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The day, as it stands in a credential's scope: `20150830`.
    #[must_use]
    pub fn day(self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// Strictly `YYYYMMDDTHHMMSSZ`, and a date that exists; no leap seconds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
        let [y0, y1, y2, y3, mo0, mo1, d0, d1, b'T', h0, h1, mi0, mi1, s0, s1, b'Z'] = bytes else {
            return None;
        };
        let number = |digits: &[&u8]| {
            digits.iter().try_fold(0_i16, |sum, digit| {
                digit.is_ascii_digit().then(|| sum * 10 + i16::from(**digit - b'0'))
            })
        };
        let small = |tens: &u8, ones: &u8| number(&[tens, ones]).and_then(|value| i8::try_from(value).ok());
        let date = jiff::civil::DateTime::new(
            number(&[y0, y1, y2, y3])?,
            small(mo0, mo1)?,
            small(d0, d1)?,
            small(h0, h1)?,
            small(mi0, mi1)?,
            small(s0, s1)?,
            0,
        );
        let timestamp = jiff::tz::TimeZone::UTC.to_timestamp(date.ok()?).ok()?;
        Some(Self(timestamp.as_second()))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(timestamp) => {
                let date = jiff::tz::TimeZone::UTC.to_datetime(timestamp);
                write!(
                    f,
                    "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
                    date.year(),
                    date.month(),
                    date.day(),
                    date.hour(),
                    date.minute(),
                    date.second()
                )
            }
            // Further from now than any clock can be.
            Err(_) => f.write_str("00000000T000000Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_and_writes_the_basic_format() {
        let instant = Instant::parse("20150830T123600Z").unwrap();
        assert_eq!(instant.seconds(), 1_440_938_160);
        assert_eq!(instant.to_string(), "20150830T123600Z");
        assert_eq!(instant.day(), "20150830");
    }

    #[test]
    fn refuses_every_other_format() {
        for text in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20150830T123600",
            "20150830T123600Z ",
            "20150830t123600z",
            "20151330T123600Z",
            "20150230T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "+0150830T123600Z",
            "2015083OT123600Z",
            "Sun, 30 Aug 2015 12:36:00 GMT",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }
}
