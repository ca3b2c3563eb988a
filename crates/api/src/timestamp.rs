//! Dates as the API has them.

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. In JSON: seconds with a fraction; in the Query protocol:
/// ISO 8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// To the second: `2011-06-24T16:43:16Z`. Empty for a date that is further from now than any clock can be.
    #[must_use]
    pub fn to_iso8601(self) -> String {
        let second = jiff::Timestamp::from_second(self.0.div_euclid(1000));
        second.map(|second| second.to_string()).unwrap_or_default()
    }

    /// Reads `2011-06-24T16:43:16Z`, with or without a fraction, or with another offset.
    #[must_use]
    pub fn parse_iso8601(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_to_the_second_and_read_again() {
        let at = Timestamp::from_millis(1_308_933_796_500);
        assert_eq!(at.to_iso8601(), "2011-06-24T16:43:16Z");
        assert_eq!(
            Timestamp::parse_iso8601("2011-06-24T16:43:16Z"),
            Some(Timestamp::from_millis(1_308_933_796_000))
        );
        assert_eq!(Timestamp::parse_iso8601("2011-06-24T18:43:16.5+02:00"), Some(at));
        for text in ["", "2011-06-24", "2011-06-24T16:43:16", "1308933796", "2011-13-24T16:43:16Z"] {
            assert_eq!(Timestamp::parse_iso8601(text), None, "{text}");
        }
    }
}
