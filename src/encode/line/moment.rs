//! Dates, times and intervals as text, the same under every `DateStyle`.
//!
//! Days count from 2000-01-01 in the proleptic Gregorian calendar, times in microseconds.

use std::io::Write;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Appends a `date`.
pub(super) fn put_date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        _ => {
            let bc = put_day(days.into(), out);
            out.extend_from_slice(if bc { b" BC" } else { b"" });
        }
    }
}

/// Appends a `timestamp`; `offset` follows the time.
pub(super) fn put_timestamp(micros: i64, offset: &str, out: &mut Vec<u8>) {
    match micros {
        i64::MAX => out.extend_from_slice(b"infinity"),
        i64::MIN => out.extend_from_slice(b"-infinity"),
        _ => {
            let bc = put_day(micros.div_euclid(DAY), out);
            out.push(b' ');
            put_clock(micros.rem_euclid(DAY), out);
            out.extend_from_slice(offset.as_bytes());
            out.extend_from_slice(if bc { b" BC" } else { b"" });
        }
    }
}

/// Appends `HH:MM:SS`, with as many digits of a fraction as it has; hours may be more than 24.
pub(super) fn put_clock(micros: i64, out: &mut Vec<u8>) {
    let micros = if micros < 0 {
        out.push(b'-');
        micros.unsigned_abs()
    } else {
        micros.unsigned_abs()
    };
    let second = SECOND.unsigned_abs();
    let (seconds, fraction) = (micros / second, micros % second);
    put_padded(seconds / 3600, 2, out);
    out.push(b':');
    put_padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    put_padded(seconds % 60, 2, out);
    if fraction > 0 {
        out.push(b'.');
        put_padded(fraction, 6, out);
        while out.ends_with(b"0") {
            out.pop();
        }
    }
}

/// Appends an `interval`: microseconds, days, months. Each number has its own sign.
pub(super) fn put_interval(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (micros, rest) = value.split_first_chunk()?;
    let (days, rest) = rest.split_first_chunk()?;
    let micros = i64::from_be_bytes(*micros);
    let days = i32::from_be_bytes(*days);
    let months = i32::from_be_bytes(rest.try_into().ok()?);
    if months != 0 {
        write!(out, "{months} mon ").ok()?;
    }
    if days != 0 {
        write!(out, "{days} day ").ok()?;
    }
    put_clock(micros, out);
    Some(())
}

/// Appends `YYYY-MM-DD`; says whether the year is one before Christ.
///
/// The calendar in groups of 400 years that begin on a first of March: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn put_day(days: i64, out: &mut Vec<u8>) -> bool {
    // 2000-01-01 is so many days after 0000-03-01.
    let days = days + 730_425;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let shown = if year > 0 { year } else { 1 - year };
    put_padded(shown.unsigned_abs(), 4, out);
    out.push(b'-');
    put_padded(month.unsigned_abs(), 2, out);
    out.push(b'-');
    put_padded(day.unsigned_abs(), 2, out);
    year <= 0
}

/// Appends a number with at least so many digits.
fn put_padded(mut value: u64, least: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        length += 1;
        if value == 0 && length >= least {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}
