//! `timestamp` and `timestamptz`.
//!
//! In: a date as [`super::date`] reads it, then optionally a space or `T` and a time as
//! [`super::time`] reads it, then for `timestamptz` the offset (`Z`, `+HH`, `+HH:MM`, `+HHMM`,
//! `+HH:MM:SS`), then optionally ` BC`; `infinity`, `-infinity`.
//! Out: microseconds since 2000-01-01 00:00, in UTC for `timestamptz`, 8 bytes.
//!
//! A `timestamptz` without an offset would depend on the session: it needs a declared zone. A
//! `timestamp` with an offset would lose it silently: it is refused.

use super::date::{FIRST_DAY, infinity, strip_bc, take_date, two_digits};
use super::fault::{Fault, Wanted};
use super::integer::trim;
use super::time::{DAY, HOUR, MAX_BYTES, MINUTE, SECOND, put_micros, starts_offset, take_time};

/// The server's first timestamp, and the first after its last, in microseconds.
const FIRST: i64 = FIRST_DAY * DAY;
const END: i64 = 9_223_371_331_200_000_000;

/// The server knows offsets of less than 16 hours.
const MAX_OFFSET_HOURS: i64 = 15;

/// Appends `text` as a `timestamp` with `precision` digits of fractional seconds.
///
/// # Errors
/// Another form, a day or time that does not exist, out of range, an offset, or more digits of
/// fractional seconds.
pub(super) fn put_timestamp(text: &[u8], precision: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    let micros = match parse(text, precision, Wanted::Timestamp)? {
        Parsed::Infinite(positive) => infinite(positive),
        Parsed::Finite { local, rest: [] } => in_range(local, Wanted::Timestamp)?,
        Parsed::Finite { rest, .. } if starts_offset(rest) => {
            return Err(Fault::OffsetPresent(Wanted::Timestamp));
        }
        Parsed::Finite { .. } => return Err(Fault::Syntax(Wanted::Timestamp)),
    };
    put_micros(micros, out);
    Ok(())
}

/// Appends `text` as a `timestamptz`; `zone` is the offset east of UTC, in seconds, of texts
/// that do not say theirs.
///
/// # Errors
/// Another form, a day or time that does not exist, out of range, no offset, or more digits of
/// fractional seconds.
pub(super) fn put_timestamptz(
    text: &[u8],
    precision: u8,
    zone: Option<i32>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let micros = match parse(text, precision, Wanted::Timestamptz)? {
        Parsed::Infinite(positive) => infinite(positive),
        Parsed::Finite { local, rest } => {
            let offset_seconds = match rest {
                [] => zone.map(i64::from).ok_or(Fault::OffsetMissing)?,
                _ => parse_offset(rest)?,
            };
            in_range(
                local - i128::from(offset_seconds * SECOND),
                Wanted::Timestamptz,
            )?
        }
    };
    put_micros(micros, out);
    Ok(())
}

enum Parsed<'a> {
    Infinite(bool),
    /// Microseconds as the text's own clock shows them, and what follows the time.
    Finite {
        local: i128,
        rest: &'a [u8],
    },
}

fn infinite(positive: bool) -> i64 {
    if positive { i64::MAX } else { i64::MIN }
}

fn in_range(micros: i128, wanted: Wanted) -> Result<i64, Fault> {
    i64::try_from(micros)
        .ok()
        .filter(|micros| (FIRST..END).contains(micros))
        .ok_or(Fault::Range(wanted))
}

fn parse(text: &[u8], precision: u8, wanted: Wanted) -> Result<Parsed<'_>, Fault> {
    let text = trim(text);
    if let Some(positive) = infinity(text) {
        return Ok(Parsed::Infinite(positive));
    }
    if text.len() > MAX_BYTES {
        return Err(Fault::Syntax(wanted));
    }
    let (text, bc) = strip_bc(text);
    let (days, rest) = take_date(text, bc, wanted)?;
    let (micros, rest) = match rest {
        [] => (0, rest),
        [b' ' | b'T', time @ ..] => take_time(time, precision, wanted)?,
        _ => return Err(Fault::Syntax(wanted)),
    };
    Ok(Parsed::Finite {
        local: i128::from(days) * i128::from(DAY) + i128::from(micros),
        rest,
    })
}

/// Seconds east of UTC of what follows a time.
fn parse_offset(text: &[u8]) -> Result<i64, Fault> {
    const SYNTAX: Fault = Fault::Syntax(Wanted::Timestamptz);
    let text = match text {
        [b' ', rest @ ..] => rest,
        _ => text,
    };
    let (negative, digits) = match text {
        [b'Z' | b'z'] => return Ok(0),
        [b'+', rest @ ..] => (false, rest),
        [b'-', rest @ ..] => (true, rest),
        _ => return Err(SYNTAX),
    };
    let (hours, minutes, seconds) = match digits {
        [h1, h2] => (two_digits(*h1, *h2), Some(0), Some(0)),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => {
            (two_digits(*h1, *h2), two_digits(*m1, *m2), Some(0))
        }
        [h1, h2, b':', m1, m2, b':', s1, s2] => (
            two_digits(*h1, *h2),
            two_digits(*m1, *m2),
            two_digits(*s1, *s2),
        ),
        _ => return Err(SYNTAX),
    };
    let (Some(hours), Some(minutes), Some(seconds)) = (hours, minutes, seconds) else {
        return Err(SYNTAX);
    };
    if hours > MAX_OFFSET_HOURS || minutes > 59 || seconds > 59 {
        return Err(Fault::Calendar(Wanted::Timestamptz));
    }
    let offset = (hours * HOUR + minutes * MINUTE) / SECOND + seconds;
    Ok(if negative { -offset } else { offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(out: &[u8]) -> i64 {
        i64::from_be_bytes(out[4..].try_into().expect("eight bytes follow the length"))
    }

    fn timestamp(text: &str) -> Result<i64, Fault> {
        let mut out = Vec::new();
        put_timestamp(text.as_bytes(), 3, &mut out).map(|()| micros(&out))
    }

    fn timestamptz(text: &str, zone: Option<i32>) -> Result<i64, Fault> {
        let mut out = Vec::new();
        put_timestamptz(text.as_bytes(), 6, zone, &mut out).map(|()| micros(&out))
    }

    #[test]
    fn a_timestamp_is_a_date_and_a_time() {
        assert_eq!(timestamp("2000-01-01"), Ok(0));
        assert_eq!(timestamp("2000-01-02T00:00:00.001"), Ok(DAY + 1000));
        assert_eq!(timestamp("1999-12-31 24:00"), Ok(0));
        assert_eq!(timestamp("20000101 01:00"), Ok(HOUR));
        assert_eq!(timestamp("infinity"), Ok(i64::MAX));
        assert_eq!(timestamp("4714-11-24 00:00:00 BC"), Ok(FIRST));
        assert_eq!(timestamp("294276-12-31 23:59:59.999"), Ok(END - 1000));
        assert_eq!(
            timestamp("294277-01-01"),
            Err(Fault::Range(Wanted::Timestamp))
        );
        assert_eq!(
            timestamp("4714-11-23 BC"),
            Err(Fault::Range(Wanted::Timestamp))
        );
        assert_eq!(
            timestamp("2026-11-21 00:00:00.0001"),
            Err(Fault::Fraction(3))
        );
        for text in [
            "",
            "2026-11-21T",
            "2026-11-21  05:10",
            "2026-11-21 05",
            "now",
            "2026-11-21 05:10 PM",
        ] {
            assert_eq!(
                timestamp(text),
                Err(Fault::Syntax(Wanted::Timestamp)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_offset_is_neither_dropped_nor_guessed() {
        for text in [
            "2026-11-21 05:10Z",
            "2026-11-21T05:10:02+02:00",
            "2026-11-21 05:10 +0200",
        ] {
            assert_eq!(
                timestamp(text),
                Err(Fault::OffsetPresent(Wanted::Timestamp)),
                "{text}"
            );
        }
        assert_eq!(
            timestamptz("2026-11-21 05:10", None),
            Err(Fault::OffsetMissing)
        );
        assert_eq!(timestamptz("2000-01-01 01:00", Some(3600)), Ok(0));
        assert_eq!(timestamptz("2000-01-01 01:00Z", Some(3600)), Ok(HOUR));
        assert_eq!(timestamptz("infinity", None), Ok(i64::MAX));
    }

    #[test]
    fn offsets_have_five_forms() {
        for text in ["+01", "+0100", "+01:00", "+01:00:00", " +01"] {
            let text = format!("2000-01-01 01:00:00{text}");
            assert_eq!(timestamptz(&text, None), Ok(0), "{text}");
        }
        assert_eq!(timestamptz("2000-01-01 00:00-00:00:01", None), Ok(SECOND));
        assert_eq!(
            timestamptz("0044-03-15 00:00:00+00 BC", None),
            timestamptz("0044-03-15T00:00:00Z bc", None)
        );
        for text in [
            "+1", "+010", "+1:00", "+01:0", " UTC", "+01:00:", "CET", "+", "  +01", "+01 ",
        ] {
            let text = format!("2000-01-01 01:00:00{text}x");
            assert_eq!(
                timestamptz(&text, None),
                Err(Fault::Syntax(Wanted::Timestamptz)),
                "{text}"
            );
        }
        assert_eq!(
            timestamptz("2000-01-01 00:00+16", None),
            Err(Fault::Calendar(Wanted::Timestamptz))
        );
    }
}
