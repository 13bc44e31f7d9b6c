//! `date`, and the calendar that the timestamps share.
//!
//! In: `YYYY-MM-DD` with a year of 4 to 7 digits, or `YYYYMMDD`, either with ` BC`; `infinity`,
//! `-infinity`. White space around it is skipped.
//! Out: days since 2000-01-01 in the proleptic Gregorian calendar, 4 bytes.
//!
//! `11/21/2026` and `21-NOV-26` depend on settings of the session: a source file declares a
//! pattern for those, they never come here. A time after the date, which the server would drop,
//! is refused.

use super::fault::{Fault, Wanted};
use super::integer::trim;
use super::short;

/// Julian day 0, where the server's dates begin: 24 November 4714 BC.
pub(super) const FIRST_DAY: i64 = -2_451_545;
/// The day after 5874897-12-31, the server's last.
const END_DAY: i64 = 2_147_483_494 - 2_451_545;

/// Appends `text` as a `date`.
///
/// # Errors
/// Another form, a day that does not exist, or out of range.
#[inline]
pub(super) fn put_date(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let days = match text.try_into().ok().and_then(near_day) {
        Some(days) => days,
        None => {
            let days = match parse_ymd(text) {
                Some((year, month, day)) if year > 0 => day_number(year, month, day, Wanted::Date)?,
                _ => parse(text)?,
            };
            i32::try_from(days).map_err(|_| Fault::Range(Wanted::Date))?
        }
    };
    let [a, b, c, d] = days.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 4, a, b, c, d]);
    Ok(())
}

/// The years of [`YEAR_STARTS`].
const NEAR_YEARS: std::ops::Range<u32> = 1800..2200;

/// The day before the first of each year, in days since 2000-01-01.
const YEAR_STARTS: [i32; 400] = {
    let mut starts = [0; 400];
    let mut i = 0;
    // 1800-01-01 is 73,048 days before 2000-01-01: 200 years of 365 days and 48 leap days.
    let mut start = -73_048 - 1;
    while i < starts.len() {
        starts[i] = start;
        start += 365 + is_leap(1800 + i as u32) as i32;
        i += 1;
    }
    starts
};

/// Days of the year before each month, and days of each month, in a year that is no leap year.
const MONTHS: [(i32, u32); 13] = [
    (0, 0),
    (0, 31),
    (31, 28),
    (59, 31),
    (90, 30),
    (120, 31),
    (151, 30),
    (181, 31),
    (212, 31),
    (243, 30),
    (273, 31),
    (304, 30),
    (334, 31),
];

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The day of a plain `YYYY-MM-DD` of our times, by tables; `None` for anything else.
#[inline(always)]
pub(super) fn near_day(text: &[u8; 10]) -> Option<i32> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let number = short::digits(u64::from_le_bytes([y1, y2, y3, y4, m1, m2, d1, d2]), 8)?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    if !NEAR_YEARS.contains(&year) {
        return None;
    }
    let start = YEAR_STARTS[(year - NEAR_YEARS.start) as usize];
    let (before, last) = *MONTHS.get(month as usize)?;
    let leap = is_leap(year);
    let last = last + u32::from(leap && month == 2);
    (1..=last)
        .contains(&day)
        .then(|| start + before + i32::from(leap && month > 2) + day as i32)
}

/// Every form but plain `YYYY-MM-DD`.
#[cold]
fn parse(text: &[u8]) -> Result<i64, Fault> {
    let text = trim(text);
    if let Some(positive) = infinity(text) {
        return Ok(if positive {
            i32::MAX.into()
        } else {
            i32::MIN.into()
        });
    }
    let (text, bc) = strip_bc(text);
    let (days, rest) = take_date(text, bc, Wanted::Date)?;
    if !rest.is_empty() {
        return Err(Fault::Syntax(Wanted::Date));
    }
    if !(FIRST_DAY..END_DAY).contains(&days) {
        return Err(Fault::Range(Wanted::Date));
    }
    Ok(days)
}

/// Whether `text` is an infinite date or timestamp, and if so, the later one.
pub(super) fn infinity(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"infinity") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"-infinity") {
        Some(false)
    } else {
        None
    }
}

/// Takes ` BC` off the end; says whether it was there.
pub(super) fn strip_bc(text: &[u8]) -> (&[u8], bool) {
    match text {
        [rest @ .., b' ', b'B' | b'b', b'C' | b'c'] => (rest, true),
        _ => (text, false),
    }
}

/// Takes a date off the front of `text`; returns its days since 2000-01-01 and what follows it.
///
/// The day is checked against the calendar but not against the range of a type.
pub(super) fn take_date(text: &[u8], bc: bool, wanted: Wanted) -> Result<(i64, &[u8]), Fault> {
    let syntax = Fault::Syntax(wanted);
    let digits = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let (year, month, day, rest) = match (digits, rest) {
        (4..=7, [b'-', m1, m2, b'-', d1, d2, rest @ ..]) => {
            let month = two_digits(*m1, *m2).ok_or(syntax)?;
            let day = two_digits(*d1, *d2).ok_or(syntax)?;
            (number_of(number), month, day, rest)
        }
        (8, _) => {
            let number = number_of(number);
            (number / 10_000, number / 100 % 100, number % 100, rest)
        }
        _ => return Err(syntax),
    };
    if year == 0 {
        return Err(Fault::Calendar(wanted));
    }
    // 1 BC is the year 0 of the calculation.
    let year = if bc { 1 - year } else { year };
    Ok((day_number(year, month, day, wanted)?, rest))
}

/// Year, month and day of exactly `YYYY-MM-DD`: what nearly every date is.
#[inline]
pub(super) fn parse_ymd(text: &[u8]) -> Option<(i64, i64, i64)> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    Some((year, two_digits(m1, m2)?, two_digits(d1, d2)?))
}

/// The value of two decimal digits.
#[inline]
pub(super) fn two_digits(tens: u8, units: u8) -> Option<i64> {
    let (tens, units) = (tens.wrapping_sub(b'0'), units.wrapping_sub(b'0'));
    (tens <= 9 && units <= 9).then(|| i64::from(tens * 10 + units))
}

/// The value of a few decimal digits.
pub(super) fn number_of(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

/// Days from 2000-01-01 to a day of the proleptic Gregorian calendar; year 0 is 1 BC.
///
/// # Errors
/// The calendar has no such day.
#[inline]
pub(super) fn day_number(year: i64, month: i64, day: i64, wanted: Wanted) -> Result<i64, Fault> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return Err(Fault::Calendar(wanted)),
    };
    if !(1..=last).contains(&day) {
        return Err(Fault::Calendar(wanted));
    }
    // Years that begin in March put the leap day last; the months before then have
    // (153 * m + 2) / 5 days. https://howardhinnant.github.io/date_algorithms.html
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 730,425 days lie between 0000-03-01 and 2000-01-01.
    Ok(era * 146_097 + day_of_era - 730_425)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Result<i32, Fault> {
        let mut out = Vec::new();
        put_date(text.as_bytes(), &mut out)?;
        let bytes: [u8; 4] = out[4..].try_into().expect("four bytes follow the length");
        Ok(i32::from_be_bytes(bytes))
    }

    #[test]
    fn days_count_from_the_year_2000() {
        assert_eq!(date("2000-01-01"), Ok(0));
        assert_eq!(date("1999-12-31"), Ok(-1));
        assert_eq!(date("1970-01-01"), Ok(-10_957));
        assert_eq!(date(" 20261121\n"), Ok(9_821));
        assert_eq!(date("infinity"), Ok(i32::MAX));
        assert_eq!(date("-Infinity"), Ok(i32::MIN));
        assert_eq!(date("0001-01-01"), date("0001-12-31 BC").map(|day| day + 1));
    }

    #[test]
    fn the_calendar_is_checked() {
        for text in ["2000-02-29", "2024-02-29", "0001-02-29 BC", "0005-02-29 bc"] {
            assert!(date(text).is_ok(), "{text}");
        }
        for text in [
            "1900-02-29",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "2026-04-31",
            "0000-01-01",
            "00000101",
        ] {
            assert_eq!(date(text), Err(Fault::Calendar(Wanted::Date)), "{text}");
        }
    }

    #[test]
    fn days_by_tables_are_days_by_calculation() {
        let mut found = 0;
        for year in 1799..2202 {
            for month in 0..14 {
                for day in 0..33 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    let expected = day_number(year, month, day, Wanted::Date);
                    assert_eq!(date(&text).map(i64::from), expected, "{text}");
                    found += u32::from(near_day(text.as_bytes().try_into().unwrap()).is_some());
                }
            }
        }
        assert_eq!(found, 400 * 365 + 97);
    }

    #[test]
    fn the_range_is_the_servers() {
        assert!(date("4714-11-24 BC").is_ok());
        assert!(date("5874897-12-31").is_ok());
        for text in ["4714-11-23 BC", "5874898-01-01", "9999999-12-31"] {
            assert_eq!(date(text), Err(Fault::Range(Wanted::Date)), "{text}");
        }
    }

    #[test]
    fn ambiguous_forms_are_refused() {
        for text in [
            "",
            "11/21/2026",
            "21.11.2026",
            "26-11-21",
            "261121",
            "2026-1-5",
            "Nov 21 2026",
            "2026-11-21 00:00:00",
            "2026-11-21T",
            "-2026-11-21",
            "2026-11-21BC",
            "2026/11/21",
            "today",
            "epoch",
            "2026-11",
            "2026-Nov-21",
            "2026-11-211",
        ] {
            assert_eq!(date(text), Err(Fault::Syntax(Wanted::Date)), "{text:?}");
        }
    }
}
