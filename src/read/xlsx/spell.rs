//! How cells of a sheet are spelled for PostgreSQL.
//!
//! In: a cell's value. Out: text. Numbers have the fifteen digits that a spreadsheet shows, so
//! that 0.1 + 0.2 is 0.3; a date without a time is a date, one with a time a timestamp, and a number
//! of less than a day in a format of dates a time.
//!
//! Dates are counted from 1899-12-31 as day 0, and day 60 is a 29 February 1900 that never was; or,
//! in workbooks that say so, from 1904-01-01 as day 0:
//! <https://learn.microsoft.com/office/troubleshoot/excel/1900-and-1904-date-system>

use super::super::calendar::{put_date, put_time};
use calamine::{DataRef, ExcelDateTime};
use std::io::Write;

const MILLIS_OF_DAY: i64 = 86_400_000;
const NANOS_OF_MILLI: i128 = 1_000_000;
/// Of 1899-12-30 and 1904-01-01, from 1970-01-01.
const SINCE_1900: i64 = -25_569;
const SINCE_1904: i64 = -24_107;
/// 9999-12-31, from 1970-01-01.
const LAST_DAY: i64 = 2_932_896;

/// Appends a value.
///
/// # Errors
/// Why it is none, as the end of a sentence about it.
pub fn put(value: &DataRef<'_>, since_1904: bool, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        DataRef::Int(value) => put_display(value, out),
        DataRef::Float(value) => return put_number(*value, out).map_err(str::to_owned),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        DataRef::SharedString(text) => out.extend_from_slice(text.as_bytes()),
        DataRef::Bool(value) => put_display(value, out),
        DataRef::DateTime(value) => {
            return put_moment(value, since_1904, out).map_err(str::to_owned);
        }
        // Its name is one of a few, and no value.
        DataRef::Error(error) => return Err(format!("holds the error {error}")),
        DataRef::Empty => {}
    }
    Ok(())
}

/// Fifteen digits are what a spreadsheet holds of a number. Whole numbers that other programs
/// wrote with more are still exact up to 2 to the 53.
fn put_number(value: f64, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !value.is_finite() {
        return Err("is no number");
    }
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        put_display(&(value as i64), out);
        return Ok(());
    }
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    if (1e-5..1e17).contains(&rounded.abs()) {
        put_display(&rounded, out);
    } else {
        let _ = write!(out, "{rounded:e}");
    }
    Ok(())
}

fn put_moment(
    value: &ExcelDateTime,
    since_1904: bool,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let serial = value.as_f64();
    // A spreadsheet knows milliseconds; beyond them is what is left of binary fractions.
    let millis = (serial * MILLIS_OF_DAY as f64).round();
    if millis.is_nan() || millis.abs() >= 1e15 {
        return Err("is no date");
    }
    let millis = millis as i64;
    if value.is_duration() {
        if millis < 0 {
            out.push(b'-');
        }
        put_time(i128::from(millis.abs()) * NANOS_OF_MILLI, out);
        return Ok(());
    }
    let (day, of_day) = (
        millis.div_euclid(MILLIS_OF_DAY),
        millis.rem_euclid(MILLIS_OF_DAY),
    );
    let days = match (since_1904, day) {
        (_, ..0) => return Err("is a date before the first of a spreadsheet"),
        (_, 0) => {
            put_time(i128::from(of_day) * NANOS_OF_MILLI, out);
            return Ok(());
        }
        (true, _) => day + SINCE_1904,
        (false, 60) => return Err("is 29 February 1900, which never was"),
        // The days before it are one off.
        (false, ..60) => day + SINCE_1900 + 1,
        (false, _) => day + SINCE_1900,
    };
    if days > LAST_DAY {
        return Err("is a date after the last of a spreadsheet");
    }
    put_date(days, out);
    if of_day != 0 {
        out.push(b' ');
        put_time(i128::from(of_day) * NANOS_OF_MILLI, out);
    }
    Ok(())
}

fn put_display(value: &impl std::fmt::Display, out: &mut Vec<u8>) {
    // Nothing is wrong with writing to memory.
    let _ = write!(out, "{value}");
}

/// The name of a cell, as `AB12`.
pub fn name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    let letters: String = letters.iter().rev().collect();
    format!("{letters}{}", row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{CellErrorType, ExcelDateTimeType};

    fn text(value: DataRef<'_>, since_1904: bool) -> String {
        let mut out = Vec::new();
        match put(&value, since_1904, &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(why) => format!("! {why}"),
        }
    }

    #[test]
    fn numbers_read_as_a_spreadsheet_shows_them() {
        for (value, expected) in [
            (0.1 + 0.2, "0.3"),
            (1.0, "1"),
            (-0.0, "0"),
            (1234.5, "1234.5"),
            (19.99 * 100.0, "1999"),
            (1e20, "1e20"),
            (123_456_789_012_345.0, "123456789012345"),
            (4_503_599_627_370_497.0, "4503599627370497"),
            (0.000_001_25, "1.25e-6"),
            (1.0 / 3.0, "0.333333333333333"),
            (0.07 * 100.0, "7"),
        ] {
            assert_eq!(text(DataRef::Float(value), false), expected);
        }
        assert_eq!(text(DataRef::Bool(true), false), "true");
        assert_eq!(
            text(DataRef::Error(CellErrorType::NA), false),
            "! holds the error #N/A"
        );
    }

    #[test]
    fn days_are_counted_as_in_both_systems() {
        let moment = |serial, since_1904| {
            let value = ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, since_1904);
            text(DataRef::DateTime(value), since_1904)
        };
        for (serial, since_1900, since_1904) in [
            (0.5, "12:00:00", "12:00:00"),
            (1.0, "1900-01-01", "1904-01-02"),
            (59.0, "1900-02-28", "1904-02-29"),
            (60.0, "! is 29 February 1900, which never was", "1904-03-01"),
            (61.0, "1900-03-01", "1904-03-02"),
            (45_983.0, "2025-11-22", "2029-11-23"),
            (45_983.437_5, "2025-11-22 10:30:00", "2029-11-23 10:30:00"),
            (
                45_983.541_666_666_664,
                "2025-11-22 13:00:00",
                "2029-11-23 13:00:00",
            ),
            (
                2_958_465.0,
                "9999-12-31",
                "! is a date after the last of a spreadsheet",
            ),
            (
                -1.0,
                "! is a date before the first of a spreadsheet",
                "! is a date before the first of a spreadsheet",
            ),
        ] {
            assert_eq!(moment(serial, false), since_1900, "{serial}");
            assert_eq!(moment(serial, true), since_1904, "{serial}");
        }
        let duration = ExcelDateTime::new(1.25, ExcelDateTimeType::TimeDelta, false);
        assert_eq!(text(DataRef::DateTime(duration), false), "30:00:00");
    }

    #[test]
    fn cells_are_named_as_the_sheet_names_them() {
        for (row, column, expected) in [
            (0, 0, "A1"),
            (11, 27, "AB12"),
            (0, 25, "Z1"),
            (0, 702, "AAA1"),
        ] {
            assert_eq!(name(row, column), expected);
        }
    }
}
