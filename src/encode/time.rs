//! `time`: a time of day without zone, and the clock that the timestamps share.
//!
//! In: `HH:MM`, `HH:MM:SS` or `HH:MM:SS.ffffff`; the hour may have one digit. `24:00:00` is the
//! end of the day. White space around it is skipped.
//! Out: microseconds since midnight, 8 bytes.
//!
//! Fractions that the column would round away are refused, a second 60 (which the server carries
//! into the next minute), and an offset (which it drops).

use super::date::two_digits;
use super::fault::{Fault, Wanted};
use super::integer::trim;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// The server's input functions give up on longer texts (`MAXDATELEN` is 128).
pub(super) const MAX_BYTES: usize = 100;

/// Appends `text` as a `time` with `precision` digits of fractional seconds.
///
/// # Errors
/// Another form, not on the clock, an offset, or more digits of fractional seconds.
pub(super) fn put_time(text: &[u8], precision: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    let text = trim(text);
    let (micros, rest) = take_time(text, precision, Wanted::Time)?;
    match rest {
        [] => {}
        _ if starts_offset(rest) => return Err(Fault::OffsetPresent(Wanted::Time)),
        _ => return Err(Fault::Syntax(Wanted::Time)),
    }
    put_micros(micros, out);
    Ok(())
}

/// Appends eight bytes with their length.
#[inline]
pub(super) fn put_micros(micros: i64, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = micros.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

/// Whether what follows a time looks like an offset or a zone.
pub(super) fn starts_offset(rest: &[u8]) -> bool {
    matches!(
        rest,
        [b'+' | b'-' | b'Z' | b'z', ..] | [b' ', b'+' | b'-' | b'Z' | b'z', ..]
    )
}

/// Takes a time of day off the front of `text`; returns its microseconds (up to a whole day) and
/// what follows it.
#[inline]
pub(super) fn take_time(text: &[u8], precision: u8, wanted: Wanted) -> Result<(i64, &[u8]), Fault> {
    let syntax = Fault::Syntax(wanted);
    if text.len() > MAX_BYTES {
        return Err(syntax);
    }
    let (hour, m1, m2, rest) = match text {
        [h1, h2, b':', m1, m2, rest @ ..] => (two_digits(*h1, *h2).ok_or(syntax)?, *m1, *m2, rest),
        [h, b':', m1, m2, rest @ ..] => (two_digits(b'0', *h).ok_or(syntax)?, *m1, *m2, rest),
        _ => return Err(syntax),
    };
    let minute = two_digits(m1, m2).ok_or(syntax)?;
    let (second, fraction, rest) = take_seconds(rest, precision, wanted)?;
    let micros = hour * HOUR + minute * MINUTE + second * SECOND + fraction;
    if minute > 59 || second > 59 || micros > DAY {
        return Err(Fault::Calendar(wanted));
    }
    Ok((micros, rest))
}

/// Takes `:SS` and a fraction off the front of `text`, if they are there.
#[inline]
pub(super) fn take_seconds(
    text: &[u8],
    precision: u8,
    wanted: Wanted,
) -> Result<(i64, i64, &[u8]), Fault> {
    let syntax = Fault::Syntax(wanted);
    match text {
        [b':', s1, s2, rest @ ..] => {
            let second = two_digits(*s1, *s2).ok_or(syntax)?;
            let (fraction, rest) = take_fraction(rest, precision, wanted)?;
            Ok((second, fraction, rest))
        }
        // The server reads "12:34.5" as minutes and seconds.
        [b':' | b'.', ..] => Err(syntax),
        _ => Ok((0, 0, text)),
    }
}

/// Takes `.ffffff` off the front of `text`, if it is there; returns microseconds.
///
/// # Errors
/// No digit after the point, or one other than 0 beyond `precision` (at most 6).
#[inline]
pub(super) fn take_fraction(
    text: &[u8],
    precision: u8,
    wanted: Wanted,
) -> Result<(i64, &[u8]), Fault> {
    let [b'.', rest @ ..] = text else {
        return Ok((0, text));
    };
    let mut micros = 0;
    let mut unit = SECOND;
    let mut taken = 0_usize;
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if digit != 0 && taken >= usize::from(precision) {
            return Err(Fault::Fraction(precision));
        }
        unit /= 10;
        micros += i64::from(digit) * unit;
        taken += 1;
    }
    match rest.split_at_checked(taken) {
        Some((digits, rest)) if !digits.is_empty() => Ok((micros, rest)),
        _ => Err(Fault::Syntax(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str, precision: u8) -> Result<i64, Fault> {
        let mut out = Vec::new();
        put_time(text.as_bytes(), precision, &mut out)?;
        let bytes: [u8; 8] = out[4..].try_into().expect("eight bytes follow the length");
        Ok(i64::from_be_bytes(bytes))
    }

    #[test]
    fn the_clock_runs_from_midnight_to_midnight() {
        assert_eq!(time("00:00", 6), Ok(0));
        assert_eq!(time(" 9:05:00.25 ", 6), Ok(9 * HOUR + 5 * MINUTE + 250_000));
        assert_eq!(time("24:00:00", 6), Ok(DAY));
        assert_eq!(time("23:59:59.999999", 6), Ok(DAY - 1));
        for text in ["24:00:01", "25:00", "12:60", "12:00:60", "12:00:61"] {
            assert_eq!(time(text, 6), Err(Fault::Calendar(Wanted::Time)), "{text}");
        }
    }

    #[test]
    fn fractions_are_not_rounded() {
        assert_eq!(
            time("01:02:03.120000000", 2),
            Ok(HOUR + 2 * MINUTE + 3_120_000)
        );
        assert_eq!(time("01:02:03.125", 2), Err(Fault::Fraction(2)));
        assert_eq!(time("01:02:03.5", 0), Err(Fault::Fraction(0)));
        assert_eq!(time("01:02:03.0000001", 6), Err(Fault::Fraction(6)));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "12",
            "1205",
            "12:5",
            "12:34.5",
            "12:00:00.",
            "12:00 PM",
            "12:00:00:00",
            "T12:00",
            "-01:00",
            "012:00",
        ] {
            assert_eq!(time(text, 6), Err(Fault::Syntax(Wanted::Time)), "{text:?}");
        }
        for text in ["12:00:00Z", "12:00+02", "12:00 -05"] {
            assert_eq!(
                time(text, 6),
                Err(Fault::OffsetPresent(Wanted::Time)),
                "{text:?}"
            );
        }
    }
}
