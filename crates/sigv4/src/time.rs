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
        self.text().chars().take(8).collect()
    }

    /// Whether `day` is this instant's day, as it stands in a credential's scope.
    pub(crate) fn is_on(self, day: &str) -> bool {
        self.text().get(..8) == Some(day)
    }

    /// The 16 characters, without a formatter between: a server writes some for each request.
    pub(crate) fn text(self) -> Text {
        let mut out = *b"00000000T000000Z";
        // Further from now than any clock can be: the zeros stay.
        if let Ok(timestamp) = jiff::Timestamp::from_second(self.0) {
            let date = jiff::tz::TimeZone::UTC.to_datetime(timestamp);
            let year = date.year().unsigned_abs();
            let pairs = [
                (0, year / 100),
                (2, year % 100),
                (4, u16::from(date.month().unsigned_abs())),
                (6, u16::from(date.day().unsigned_abs())),
                (9, u16::from(date.hour().unsigned_abs())),
                (11, u16::from(date.minute().unsigned_abs())),
                (13, u16::from(date.second().unsigned_abs())),
            ];
            for (at, value) in pairs {
                if let Some([tens, ones]) = out.get_mut(at..at + 2) {
                    // Below 100, each.
                    *tens = b'0' + (value / 10 % 10) as u8;
                    *ones = b'0' + (value % 10) as u8;
                }
            }
        }
        Text(out)
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

/// An instant's 16 characters.
pub(crate) struct Text([u8; 16]);

impl std::ops::Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        // ASCII, as it was made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
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
