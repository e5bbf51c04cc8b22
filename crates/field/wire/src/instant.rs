//! When a device says that it measured.
//!
//! RFC 3339 and microseconds since 1970 are what is documented. Seconds, milliseconds and nanoseconds
//! are told apart by their size, other spellings of a date are read where they can mean one time only,
//! and a time without a zone is taken for UTC.

use fieldledger_attest::NUMBERS_END;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::number::{is_number, scaled, whole};
use crate::text::trimmed_text;

/// Numbers below this are seconds (until the year 5138), those below a thousand times as much are
/// milliseconds, and so on. All of them from March 1973 on are told apart by this.
const SECONDS_END: f64 = 1e11;

/// The longest text that is looked at, in bytes.
const MAX_TIME_BYTES: usize = 64;

/// A time, as microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) micros: u64,
    /// No zone was named, and UTC is taken.
    pub(crate) without_zone: bool,
}

/// Reads a time. `signed` numbers are microseconds whatever their size: that is what was signed.
pub(crate) fn instant(text: &str, signed: bool) -> Option<Instant> {
    let text = trimmed_text(text);
    if text.len() > MAX_TIME_BYTES {
        return None;
    }
    let found = match (is_number(text), signed) {
        (true, true) => Some((whole(text)?, false)),
        (true, false) => Some((since_1970(text)?, false)),
        (false, _) => written(text),
    };
    let (micros, without_zone) = found?;
    (micros < NUMBERS_END).then_some(Instant {
        micros,
        without_zone,
    })
}

/// A number since 1970, in the unit that its size says.
fn since_1970(text: &str) -> Option<u64> {
    let size: f64 = text.parse().ok()?;
    let places = if size < SECONDS_END {
        6
    } else if size < SECONDS_END * 1e3 {
        3
    } else if size < SECONDS_END * 1e6 {
        0
    } else {
        -3
    };
    scaled(text, places, true)
}

/// A date and a time of day.
fn written(text: &str) -> Option<(u64, bool)> {
    let micros = |time: Timestamp| u64::try_from(time.as_microsecond()).ok();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some((micros(time)?, false));
    }
    if let Ok(time) = rfc2822::parse(text) {
        return Some((micros(time.timestamp())?, false));
    }
    // A day alone is no time.
    let time: DateTime = text.parse().ok().filter(|_| text.contains(':'))?;
    let time = time.to_zoned(TimeZone::UTC).ok()?;
    Some((micros(time.timestamp())?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: u64 = 1_767_323_045_000_000;

    #[test]
    fn one_time_in_many_spellings() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02t03:04:05z",
            "2026-01-02 03:04:05Z",
            "2026-01-02T04:04:05+01:00",
            "2026-01-02T04:04:05+0100",
            "2026-01-02T03:04:05.000000000Z",
            "20260102T030405Z",
            "Fri, 02 Jan 2026 03:04:05 GMT",
            "1767323045",
            "1767323045.0",
            "1767323045000",
            "1767323045000000",
            "1767323045000000000",
            "1.767323045e9",
            " 1767323045 ",
        ] {
            let expected = Instant {
                micros: TIME,
                without_zone: false,
            };
            assert_eq!(instant(text, false), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc_and_says_so() {
        for text in [
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05.0",
            "20260102T030405",
        ] {
            let expected = Instant {
                micros: TIME,
                without_zone: true,
            };
            let found = instant(text, false);
            if text.contains(':') {
                assert_eq!(found, Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-01-02",
            "-1",
            "1960-01-01T00:00:00Z",
            "03:04:05",
            "02.01.2026 03:04",
            "1e300",
            "NaN",
        ] {
            assert_eq!(instant(text, false), None, "{text}");
        }
    }

    #[test]
    fn what_is_signed_is_microseconds() {
        let found = instant("1767323045", true);
        assert_eq!(found.map(|found| found.micros), Some(1_767_323_045));
        assert_eq!(instant("1.5", true), None);
    }
}
