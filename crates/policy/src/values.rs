//! What condition operators compare beside texts: numbers, moments, network addresses. A text that is none has no value.

use std::cmp::Ordering;
use std::net::IpAddr;

/// A decimal number, exactly as it was written.
///
/// Source: IAM user guide, "Numeric condition operators": an integer or a decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// The significant digits, without zeros at either end; none for zero.
    digits: Box<[u8]>,
    /// Where the decimal point stands: the number is 0.DIGITS times ten to this.
    exponent: i64,
}

/// Most characters of a number. Nothing that a request counts comes near.
const NUMBER_MAX: usize = 64;

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > NUMBER_MAX {
            return None;
        }
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power_of_ten(power)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let leading = all().take_while(|byte| *byte == b'0').count();
        let mut digits: Vec<u8> = all().skip(leading).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Self { negative: false, digits: Box::default(), exponent: 0 });
        }
        let exponent = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + power;
        Some(Self { negative, digits: digits.into(), exponent })
    }
}

fn power_of_ten(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.negative => by_size().reverse(),
            Ordering::Equal => by_size(),
            different => different,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A moment: seconds since 1970, and billionths of a second.
///
/// Source: IAM user guide, "Date condition operators": a form of <https://www.w3.org/TR/NOTE-datetime>, or seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    seconds: i64,
    nanos: u32,
}

/// Most characters of a moment: a date and a time with nine digits of a second and an offset have 35.
const MOMENT_MAX: usize = 48;

impl Moment {
    /// Four digits are a year, any other number is seconds. A time without an offset is in UTC.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MOMENT_MAX || !text.is_ascii() {
            return None;
        }
        match text.split_once('T') {
            Some((date, time)) if date.len() == 10 => Self::at(days_of(date)?, time),
            Some(_) => None,
            None if text.len() == 4 || text.contains('-') => {
                Some(Self { seconds: days_of(text)? * 86_400, nanos: 0 })
            }
            None => Some(Self { seconds: number(text, 1..=12)?, nanos: 0 }),
        }
    }

    fn at(days: i64, time: &str) -> Option<Self> {
        let (clock, offset) = match time.find(['Z', '+', '-']) {
            Some(at) => (time.get(..at)?, offset_of(time.get(at..)?)?),
            None => (time, 0),
        };
        let (clock, nanos) = match clock.split_once('.') {
            // A fraction is one of seconds.
            Some((clock, fraction)) if clock.len() == 8 => (clock, nanos_of(fraction)?),
            Some(_) => return None,
            None => (clock, 0),
        };
        let mut fields = clock.split(':');
        let hour = number(fields.next()?, 2..=2).filter(|hour| *hour < 24)?;
        let minute = number(fields.next()?, 2..=2).filter(|minute| *minute < 60)?;
        let second =
            fields.next().map_or(Some(0), |second| number(second, 2..=2).filter(|second| *second < 60))?;
        if fields.next().is_some() {
            return None;
        }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Some(Self { seconds, nanos })
    }
}

/// `2026`, `2026-11` or `2026-11-26`, in days since 1970.
fn days_of(date: &str) -> Option<i64> {
    let mut fields = date.split('-');
    let year = number(fields.next()?, 4..=4)?;
    let month =
        fields.next().map_or(Some(1), |month| number(month, 2..=2).filter(|m| (1..=12).contains(m)))?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = fields.next().map_or(Some(1), |day| number(day, 2..=2).filter(|d| (1..=length).contains(d)))?;
    if fields.next().is_some() {
        return None;
    }
    // Years begin in March here, so that the odd day is the last of one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_month = (153 * month + 2) / 5;
    // The first of March of the year 0 was this many days before 1970.
    Some(before_year + before_month + day - 1 - 719_468)
}

/// `Z`, `+01:00`, `-08:30`, in seconds.
fn offset_of(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'Z' => return (text == "Z").then_some(0),
        b'+' => 1,
        _ => -1,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let hours = number(hours, 2..=2).filter(|hours| *hours < 24)?;
    let minutes = number(minutes, 2..=2).filter(|minutes| *minutes < 60)?;
    Some(sign * (hours * 3600 + minutes * 60))
}

/// The digits after a second's point.
fn nanos_of(fraction: &str) -> Option<u32> {
    number(fraction, 1..=9)?;
    format!("{fraction:0<9}").parse().ok()
}

fn number(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let plain = length.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Addresses that begin alike: `203.0.113.0/24`, `2001:db8::/32`, or one address.
///
/// Source: IAM user guide, "IP address condition operators".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.len() > 1 && bits.starts_with('0') => return None,
            Some(bits) => u32::try_from(number(bits, 1..=3)?).ok().filter(|bits| *bits <= all)?,
            None => all,
        };
        // Addresses of version 4 in the dress of version 6 are what they are.
        match first.to_canonical() {
            canonical if canonical == first => Some(Self { first, bits }),
            canonical if bits >= 96 => Some(Self { first: canonical, bits: bits - 96 }),
            _ => Some(Self { first, bits }),
        }
    }

    pub(crate) fn has(self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        let order = |one, other| Number::parse(one).unwrap().cmp(&Number::parse(other).unwrap());
        for (one, other) in
            [("7", "7.0"), ("+7", "007"), ("0", "-0.00"), ("1e3", "1000"), ("0.5", ".5"), ("5.", "5")]
        {
            assert_eq!(order(one, other), Ordering::Equal, "{one} {other}");
        }
        for (less, more) in [
            ("9", "10"),
            ("-10", "-9"),
            ("-1", "0"),
            ("0", "0.001"),
            ("1.05", "1.5"),
            ("9007199254740992", "9007199254740993"),
            ("0.1", "1e-0"),
            ("99", "1E2"),
        ] {
            assert_eq!(order(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(order(more, less), Ordering::Greater, "{less} {more}");
        }
        for none in
            ["", "-", ".", "1,0", "0x10", " 1", "1 ", "e3", "1e", "1e99999", "ten", "--1", "NaN", "inf", "١"]
        {
            assert_eq!(Number::parse(none), None, "{none}");
        }
    }

    #[test]
    fn moments_have_the_forms_of_the_note() {
        let seconds = |text| Moment::parse(text).map(|moment| moment.seconds);
        for (text, wanted) in [
            ("1970", 0),
            ("1970-02", 2_678_400),
            ("2000-03-01", 951_868_800),
            ("1997-07-16T19:20+01:00", 869_077_200),
            ("1997-07-16T19:20:30+01:00", 869_077_230),
            ("1997-07-16T19:20:30.45+01:00", 869_077_230),
            ("2020-04-01T00:00:00Z", 1_585_699_200),
            ("2020-04-01T00:00:00", 1_585_699_200),
            ("2020-03-31T16:00:00-08:00", 1_585_699_200),
            ("1585699200", 1_585_699_200),
            ("0", 0),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        assert!(Moment::parse("2020-04-01T00:00:00.5Z") > Moment::parse("2020-04-01T00:00:00.49Z"));
        for none in [
            "",
            "T",
            "2020-13",
            "2021-02-29",
            "2020-4-1",
            "2020-04-01T",
            "2020-04-01T24:00Z",
            "2020-04-01T00Z",
            "-1",
            "2020-04-01T00:00:00.Z",
            "2020-04-01T00:00.5Z",
            "2020-04T00:00Z",
            "2020-04-01 00:00:00Z",
            "now",
            "1.5",
            "20-04-01",
            "2020-04-01T00:00:00+1:00",
            "2020-04-01T00:00:00Zx",
            "2020-04-01T00:00:61Z",
            "1e9",
            "*",
        ] {
            assert_eq!(Moment::parse(none), None, "{none}");
        }
    }

    #[test]
    fn addresses_are_in_their_networks() {
        let has = |network, address: &str| Network::parse(network).unwrap().has(address.parse().unwrap());
        for (network, address) in [
            ("203.0.113.0/24", "203.0.113.255"),
            ("203.0.113.77/24", "203.0.113.1"),
            ("203.0.113.7", "203.0.113.7"),
            ("0.0.0.0/0", "8.8.8.8"),
            ("::/0", "2001:db8::1"),
            ("2001:DB8:1234:5678::/64", "2001:db8:1234:5678:9::"),
            ("203.0.113.0/24", "::ffff:203.0.113.9"),
            ("::ffff:203.0.113.0/120", "203.0.113.9"),
        ] {
            assert!(has(network, address), "{network} {address}");
        }
        for (network, address) in [
            ("203.0.113.0/24", "203.0.112.255"),
            ("203.0.113.7/32", "203.0.113.6"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "8.8.8.8"),
            ("2001:db8::/32", "2001:db9::"),
        ] {
            assert!(!has(network, address), "{network} {address}");
        }
        for none in [
            "",
            "203.0.113.0/33",
            "203.0.113/24",
            "1.2.3.4/",
            "1.2.3.4/08",
            "1.2.3.4/+8",
            "::/129",
            "*",
            "01.2.3.4",
        ] {
            assert_eq!(Network::parse(none), None, "{none}");
        }
    }
}
