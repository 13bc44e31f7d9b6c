//! `interval`: ISO 8601 durations and the server's own style.
//!
//! In: `P1Y2M3DT4H5M6.7S`, or numbers with unit words and at last a time, as in
//! `1 year 2 mons -3 days 04:05:06.7`, with `@` before and `ago` after it allowed.
//! Out: microseconds, days, months: 8 + 4 + 4 bytes, never carried into each other.
//!
//! Read as under `intervalstyle = postgres`, the default: a sign holds for its own number. What
//! versions or styles read differently is refused: bare numbers, `m`, fractions of anything but
//! seconds, `1-2`, a unit given twice.

use super::date::{number_of, two_digits};
use super::fault::{Fault, Wanted};
use super::integer::{is_space, trim};
use super::time::{HOUR, MAX_BYTES, MINUTE, SECOND, take_fraction, take_seconds};

const SYNTAX: Fault = Fault::Syntax(Wanted::Interval);
const RANGE: Fault = Fault::Range(Wanted::Interval);

/// Digits of a number: below 2^31, and exact with six more digits in the server's `double`.
const MAX_DIGITS: usize = 9;

/// Appends `text` as an `interval` with `precision` digits of fractional seconds.
///
/// # Errors
/// Another form, out of range, or more digits of fractional seconds.
pub(super) fn put_interval(text: &[u8], precision: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    if text.len() > MAX_BYTES {
        return Err(SYNTAX);
    }
    let interval = match text {
        [b'P', rest @ ..] => parse_iso(rest)?,
        _ => parse_words(trim(text))?,
    };
    let unit = 10_i64.pow(6 - u32::from(precision.min(6)));
    if interval.micros % unit != 0 {
        return Err(Fault::Fraction(precision));
    }
    out.extend_from_slice(&16_i32.to_be_bytes());
    out.extend_from_slice(&interval.micros.to_be_bytes());
    out.extend_from_slice(&interval.days.total.to_be_bytes());
    out.extend_from_slice(&interval.months.total.to_be_bytes());
    Ok(())
}

#[derive(Default)]
struct Interval {
    micros: i64,
    days: Sum,
    months: Sum,
    /// Units seen so far, one bit each.
    seen: u16,
}

/// A sum that stays within 32 bits in whichever order its parts are added.
///
/// The server adds from the last number to the first and gives up when a sum on the way leaves
/// 32 bits, even if a part of the other sign would bring it back.
#[derive(Default, Clone, Copy)]
struct Sum {
    total: i32,
    /// The parts without their signs.
    reach: i32,
}

impl Sum {
    fn add(&mut self, value: i64) -> Option<()> {
        let value = i32::try_from(value).ok()?;
        self.reach = self.reach.checked_add(value.checked_abs()?)?;
        self.total = self.total.checked_add(value)?;
        Some(())
    }
}

/// A unit: its bit, and what one of it is worth in a field.
#[derive(Clone, Copy)]
struct Unit {
    bits: u16,
    field: Field,
    worth: i64,
}

#[derive(Clone, Copy)]
enum Field {
    Months,
    Days,
    Micros,
}

const fn unit(bits: u16, field: Field, worth: i64) -> Unit {
    Unit { bits, field, worth }
}

const MILLENNIUM: Unit = unit(1 << 0, Field::Months, 12_000);
const CENTURY: Unit = unit(1 << 1, Field::Months, 1_200);
const DECADE: Unit = unit(1 << 2, Field::Months, 120);
const YEARS: Unit = unit(1 << 3, Field::Months, 12);
const MONTHS: Unit = unit(1 << 4, Field::Months, 1);
const WEEKS: Unit = unit(1 << 5, Field::Days, 7);
const DAYS: Unit = unit(1 << 6, Field::Days, 1);
const HOURS: Unit = unit(1 << 7, Field::Micros, HOUR);
const MINUTES: Unit = unit(1 << 8, Field::Micros, MINUTE);
const SECONDS: Unit = unit(1 << 9, Field::Micros, SECOND);
const MILLIS: Unit = unit(1 << 10, Field::Micros, 1_000);
const MICROS: Unit = unit(1 << 11, Field::Micros, 1);
/// A time and a fraction of a second exclude what they overlap with.
const CLOCK_BITS: u16 = HOURS.bits | MINUTES.bits | FRACTION_BITS;
const FRACTION_BITS: u16 = SECONDS.bits | MILLIS.bits | MICROS.bits;

impl Interval {
    /// Adds `count` units and, for seconds, a fraction in microseconds; `bits` are marked as seen.
    fn add(&mut self, count: i64, unit: Unit, fraction: i64, bits: u16) -> Result<(), Fault> {
        if self.seen & bits != 0 {
            return Err(SYNTAX);
        }
        self.seen |= bits;
        let value = count.checked_mul(unit.worth).ok_or(RANGE)?;
        match unit.field {
            Field::Months => self.months.add(value).ok_or(RANGE),
            Field::Days => self.days.add(value).ok_or(RANGE),
            Field::Micros => {
                let sum = value
                    .checked_add(fraction)
                    .and_then(|value| self.micros.checked_add(value));
                self.micros = sum.ok_or(RANGE)?;
                Ok(())
            }
        }
    }

    fn negate(mut self) -> Option<Interval> {
        self.micros = self.micros.checked_neg()?;
        self.days.total = self.days.total.checked_neg()?;
        self.months.total = self.months.total.checked_neg()?;
        Some(self)
    }
}

/// Takes an optional sign and up to nine digits off the front; says whether it was negative.
fn take_number(text: &[u8]) -> Result<(i64, bool, &[u8]), Fault> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let digits = rest
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(digits);
    match digits.len() {
        0 => Err(SYNTAX),
        1..=MAX_DIGITS => {
            let number = number_of(digits);
            Ok((if negative { -number } else { number }, negative, rest))
        }
        _ => Err(RANGE),
    }
}

/// Takes `.ffffff` off the front, with the sign of its number.
fn take_signed_fraction(text: &[u8], negative: bool) -> Result<(i64, &[u8]), Fault> {
    let (fraction, rest) = take_fraction(text, 6, Wanted::Interval)?;
    Ok((if negative { -fraction } else { fraction }, rest))
}

/// What follows the `P` of an ISO 8601 duration.
fn parse_iso(mut text: &[u8]) -> Result<Interval, Fault> {
    let mut interval = Interval::default();
    let mut in_time = false;
    let mut last_bits = 0;
    while !text.is_empty() {
        if let [b'T', rest @ ..] = text {
            if in_time || rest.is_empty() {
                return Err(SYNTAX);
            }
            in_time = true;
            text = rest;
        }
        // The server takes no plus sign in this style.
        if text.starts_with(b"+") {
            return Err(SYNTAX);
        }
        let (count, negative, rest) = take_number(text)?;
        let fractional = matches!(rest, [b'.', ..]);
        let (fraction, rest) = take_signed_fraction(rest, negative)?;
        let (unit, rest) = match (in_time, rest) {
            (false, [b'Y', rest @ ..]) => (YEARS, rest),
            (false, [b'M', rest @ ..]) => (MONTHS, rest),
            (false, [b'W', rest @ ..]) => (WEEKS, rest),
            (false, [b'D', rest @ ..]) => (DAYS, rest),
            (true, [b'H', rest @ ..]) => (HOURS, rest),
            (true, [b'M', rest @ ..]) => (MINUTES, rest),
            (true, [b'S', rest @ ..]) => (SECONDS, rest),
            _ => return Err(SYNTAX),
        };
        // The units stand from the longest to the shortest, each once.
        if unit.bits <= last_bits || (fractional && unit.bits != SECONDS.bits) {
            return Err(SYNTAX);
        }
        last_bits = unit.bits;
        interval.add(count, unit, fraction, unit.bits)?;
        text = rest;
    }
    if interval.seen == 0 {
        return Err(SYNTAX);
    }
    Ok(interval)
}

/// Numbers with unit words, a time, `ago`.
fn parse_words(text: &[u8]) -> Result<Interval, Fault> {
    let mut interval = Interval::default();
    let mut text = match text {
        [b'@', b' ', rest @ ..] => skip_space(rest),
        _ => text,
    };
    while !text.is_empty() {
        let (first, _) = split_word(text);
        if first.eq_ignore_ascii_case(b"ago") && first.len() == text.len() && interval.seen != 0 {
            return interval.negate().ok_or(RANGE);
        }
        let (count, negative, rest) = take_number(text)?;
        text = match rest {
            [b':', m1, m2, rest @ ..] => {
                let minute = two_digits(*m1, *m2).ok_or(SYNTAX)?;
                let (second, fraction, rest) = take_seconds(rest, 6, Wanted::Interval)?;
                if minute > 59 || second > 59 {
                    return Err(Fault::Calendar(Wanted::Interval));
                }
                let below = minute * MINUTE + second * SECOND + fraction;
                let below = if negative { -below } else { below };
                interval.add(count, HOURS, below, CLOCK_BITS)?;
                // A time comes last: what a number after it means differs between styles.
                match skip_space(rest) {
                    [] => rest,
                    ago if ago.eq_ignore_ascii_case(b"ago") && ago.len() < rest.len() => ago,
                    _ => return Err(SYNTAX),
                }
            }
            _ => {
                let fractional = matches!(rest, [b'.', ..]);
                let (fraction, rest) = take_signed_fraction(rest, negative)?;
                let (word, rest) = split_word(skip_space(rest));
                let unit = unit_named(word).ok_or(SYNTAX)?;
                if fractional && unit.bits != SECONDS.bits {
                    return Err(SYNTAX);
                }
                let bits = if fractional { FRACTION_BITS } else { unit.bits };
                interval.add(count, unit, fraction, bits)?;
                if !rest.is_empty() && !rest.first().copied().is_some_and(is_space) {
                    return Err(SYNTAX);
                }
                skip_space(rest)
            }
        };
    }
    if interval.seen == 0 {
        return Err(SYNTAX);
    }
    Ok(interval)
}

fn skip_space(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    text
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_alphabetic())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The units and abbreviations of the server's `deltatktbl` that mean one thing.
fn unit_named(word: &[u8]) -> Option<Unit> {
    const NAMES: [(Unit, &[&str]); 12] = [
        (MILLENNIUM, &["millennium", "millennia"]),
        (CENTURY, &["century", "centuries"]),
        (DECADE, &["decade", "decades"]),
        (YEARS, &["year", "years", "yr", "yrs", "y"]),
        (MONTHS, &["month", "months", "mon", "mons"]),
        (WEEKS, &["week", "weeks", "w"]),
        (DAYS, &["day", "days", "d"]),
        (HOURS, &["hour", "hours", "hr", "hrs", "h"]),
        (MINUTES, &["minute", "minutes", "min", "mins"]),
        (SECONDS, &["second", "seconds", "sec", "secs", "s"]),
        (
            MILLIS,
            &["millisecond", "milliseconds", "msec", "msecs", "ms"],
        ),
        (
            MICROS,
            &["microsecond", "microseconds", "usec", "usecs", "us"],
        ),
    ];
    NAMES
        .iter()
        .find(|(_, names)| {
            names
                .iter()
                .any(|name| name.as_bytes().eq_ignore_ascii_case(word))
        })
        .map(|(unit, _)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = super::super::time::DAY;

    /// Months, days, microseconds.
    fn interval(text: &str) -> Result<(i32, i32, i64), Fault> {
        let mut out = Vec::new();
        put_interval(text.as_bytes(), 6, &mut out)?;
        assert_eq!(out[..4], [0, 0, 0, 16]);
        Ok((
            i32::from_be_bytes(out[16..].try_into().expect("four bytes")),
            i32::from_be_bytes(out[12..16].try_into().expect("four bytes")),
            i64::from_be_bytes(out[4..12].try_into().expect("eight bytes")),
        ))
    }

    #[test]
    fn both_styles_say_the_same() {
        let wanted = Ok((14, -3, 4 * HOUR + 5 * MINUTE + 6_700_000));
        assert_eq!(interval("1 year 2 mons -3 days 04:05:06.7"), wanted);
        assert_eq!(interval("P1Y2M-3DT4H5M6.7S"), wanted);
        assert_eq!(interval(" @ 1 yr 2 months -3d 4h 5 mins 6.7 secs "), wanted);
        assert_eq!(interval("-1 year -2 mons 3 days -04:05:06.7 ago"), wanted);
    }

    #[test]
    fn nothing_is_carried_and_signs_are_their_own() {
        assert_eq!(interval("-1 year 2 mons"), Ok((-10, 0, 0)));
        assert_eq!(interval("36:00"), Ok((0, 0, DAY + 12 * HOUR)));
        assert_eq!(interval("40 days"), Ok((0, 40, 0)));
        assert_eq!(interval("P2W"), Ok((0, 14, 0)));
        assert_eq!(interval("-00:00:01.5"), Ok((0, 0, -1_500_000)));
        assert_eq!(interval("-0.5 s"), Ok((0, 0, -500_000)));
        assert_eq!(interval("1 century 250 ms 3 us"), Ok((1200, 0, 250_003)));
    }

    #[test]
    fn what_reads_in_two_ways_is_refused() {
        for text in [
            "",
            "1",
            "1 m",
            "1.5 days",
            "1-2",
            "1 day 2 days",
            "04:05:06 1 day",
            "P",
            "PT",
            "P1DT",
            "P1.5D",
            "1 day 1",
            "ago",
            "P1M1Y",
            " P1D",
            "p1d",
            "1 hour 00:30",
            "1.5 s 2 ms",
            "1 fortnight",
            "-  1 day",
            "04:05.5",
            "1 day ago 2 hours",
            "1day2hours",
            "infinity",
            "04:05:06ago",
            "P1Y P1Y",
        ] {
            assert_eq!(interval(text), Err(SYNTAX), "{text:?}");
        }
    }

    #[test]
    fn ranges_and_precisions_hold() {
        assert_eq!(interval("178956970 years 7 mons"), Ok((i32::MAX, 0, 0)));
        assert_eq!(interval("178956970 years 8 mons"), Err(RANGE));
        assert_eq!(interval("1234567890 days"), Err(RANGE));
        assert_eq!(interval("300000000 weeks -999999999 days"), Err(RANGE));
        assert_eq!(interval("00:60"), Err(Fault::Calendar(Wanted::Interval)));
        assert_eq!(
            put_interval(b"1.5 s", 0, &mut Vec::new()),
            Err(Fault::Fraction(0))
        );
    }
}
