//! Dates and times by pattern, in the words of PostgreSQL's `to_char`.
//!
//! In: a pattern such as `DD-MON-YYYY` or `YYYY-MM-DD"T"HH24:MI:SS.US`, and texts. Out: a [`Moment`].
//! Words: PostgreSQL manual, "Data Type Formatting Functions". Where `to_timestamp` is lenient, this
//! is exact: each number has all its digits unless `FM` stands before it, everything between the words
//! must stand there, and a day or an hour that does not exist is refused.

use super::moment::Moment;
use anyhow::{Context, Result, bail, ensure};

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    written: String,
    items: Vec<Item>,
    /// Two-digit years below it are of this century, the others of the last.
    pivot: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Item {
    Literal(u8),
    Number {
        part: Part,
        least: usize,
        most: usize,
    },
    MonthName {
        full: bool,
    },
    HalfDay {
        dots: bool,
    },
    OffsetHours,
}

/// What a word of a pattern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    HourOfHalf,
    HalfDay,
    Minute,
    Second,
    Fraction,
    OffsetHours,
    OffsetMinutes,
}

/// Why a text was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    Form,
    /// No such day or time.
    Calendar,
}

const MONTHS: [&str; 12] = [
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
];

const fn number(part: Part, digits: usize) -> Item {
    Item::Number {
        part,
        least: digits,
        most: digits,
    }
}

/// The words of a pattern; of two that begin alike the longer comes first.
const WORDS: [(&str, Item); 26] = [
    ("YYYY", number(Part::Year, 4)),
    ("YY", number(Part::YearOfCentury, 2)),
    ("MONTH", Item::MonthName { full: true }),
    ("MON", Item::MonthName { full: false }),
    ("MM", number(Part::Month, 2)),
    ("MI", number(Part::Minute, 2)),
    ("MS", number(Part::Fraction, 3)),
    ("DDD", number(Part::DayOfYear, 3)),
    ("DD", number(Part::Day, 2)),
    ("HH24", number(Part::Hour, 2)),
    ("HH12", number(Part::HourOfHalf, 2)),
    ("HH", number(Part::HourOfHalf, 2)),
    ("SS", number(Part::Second, 2)),
    ("US", number(Part::Fraction, 6)),
    ("FF1", number(Part::Fraction, 1)),
    ("FF2", number(Part::Fraction, 2)),
    ("FF3", number(Part::Fraction, 3)),
    ("FF4", number(Part::Fraction, 4)),
    ("FF5", number(Part::Fraction, 5)),
    ("FF6", number(Part::Fraction, 6)),
    ("A.M.", Item::HalfDay { dots: true }),
    ("P.M.", Item::HalfDay { dots: true }),
    ("AM", Item::HalfDay { dots: false }),
    ("PM", Item::HalfDay { dots: false }),
    ("TZH", Item::OffsetHours),
    ("TZM", number(Part::OffsetMinutes, 2)),
];

impl Item {
    fn part(self) -> Option<Part> {
        match self {
            Item::Literal(_) => None,
            Item::Number { part, .. } => Some(part),
            Item::MonthName { .. } => Some(Part::Month),
            Item::HalfDay { .. } => Some(Part::HalfDay),
            Item::OffsetHours => Some(Part::OffsetHours),
        }
    }
}

fn starts_with(text: &[u8], word: &str) -> bool {
    let start = text.get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

impl Pattern {
    /// Compiles a pattern. `pivot`: two-digit years below it are 20YY, the others 19YY.
    ///
    /// # Errors
    /// A word that is none, one that stands there twice or contradicts another, a two-digit year
    /// without a pivot or a pivot without one.
    pub fn new(written: &str, pivot: Option<u32>) -> Result<Pattern> {
        let mut items: Vec<Item> = Vec::new();
        let mut rest = written;
        let mut short = false;
        while let Some(c) = rest.chars().next() {
            if starts_with(rest.as_bytes(), "FM") {
                short = true;
                rest = &rest[2..];
                continue;
            }
            let word = WORDS
                .iter()
                .find(|(word, _)| starts_with(rest.as_bytes(), word));
            ensure!(!short || word.is_some(), "`FM` stands before a word");
            if let Some(quoted) = rest.strip_prefix('"') {
                let (text, after) = quoted
                    .split_once('"')
                    .context("a double quote is not closed")?;
                items.extend(text.bytes().map(Item::Literal));
                rest = after;
                continue;
            }
            let Some((word, item)) = word else {
                ensure!(
                    !c.is_alphanumeric(),
                    "`{c}` begins no word of a pattern: write text that stands there as it is in double quotes, as in 'YYYY-MM-DD\"T\"HH24:MI:SS'"
                );
                let literal = &rest[..c.len_utf8()];
                items.extend(literal.bytes().map(Item::Literal));
                rest = &rest[c.len_utf8()..];
                continue;
            };
            items.push(match (*item, std::mem::take(&mut short)) {
                (Item::Number { part, most, .. }, true) => {
                    let year = matches!(part, Part::Year | Part::YearOfCentury);
                    ensure!(!year, "a year has all its digits: write it without `FM`");
                    let least = 1;
                    Item::Number { part, least, most }
                }
                (item, _) => item,
            });
            rest = &rest[word.len()..];
        }
        ensure!(!short, "`FM` stands before a word");
        let pattern = Pattern {
            written: written.to_owned(),
            items,
            pivot: pivot.unwrap_or_default(),
        };
        pattern.check(pivot)?;
        Ok(pattern)
    }

    fn check(&self, pivot: Option<u32>) -> Result<()> {
        let parts: Vec<Part> = self.items.iter().filter_map(|item| item.part()).collect();
        let twice = (1..parts.len()).find(|at| parts[..*at].contains(&parts[*at]));
        ensure!(twice.is_none(), "one part stands in it twice");
        for (one, other, fix) in [
            (Part::Year, Part::YearOfCentury, "write YYYY or YY"),
            (
                Part::DayOfYear,
                Part::Month,
                "DDD is the day of the year: leave out the month",
            ),
            (
                Part::DayOfYear,
                Part::Day,
                "DDD is the day of the year: leave out DD",
            ),
            (Part::Hour, Part::HourOfHalf, "write HH24 or HH12"),
            (Part::Hour, Part::HalfDay, "HH24 goes without AM"),
        ] {
            ensure!(
                !(self.has(one) && self.has(other)),
                "two parts contradict each other: {fix}"
            );
        }
        for (one, needed, fix) in [
            (
                Part::HourOfHalf,
                Part::HalfDay,
                "HH and HH12 need AM; a clock of 24 hours is HH24",
            ),
            (Part::HalfDay, Part::HourOfHalf, "AM needs HH12"),
            (
                Part::Fraction,
                Part::Second,
                "fractions of a second need SS",
            ),
            (Part::Second, Part::Minute, "SS needs MI"),
            (
                Part::OffsetMinutes,
                Part::OffsetHours,
                "TZM needs TZH before it",
            ),
            (Part::Day, Part::Month, "DD needs a month"),
        ] {
            ensure!(!self.has(one) || self.has(needed), "{fix}");
        }
        let has_hour = self.has(Part::Hour) || self.has(Part::HourOfHalf);
        ensure!(
            !self.has(Part::Minute) || has_hour,
            "MI needs HH24, or HH12 with AM"
        );
        for pair in self.items.windows(2) {
            if let [Item::Number { least, most, .. }, Item::Number { .. }] = pair {
                ensure!(
                    least == most,
                    "`FM` needs something behind its number that is no digit"
                );
            }
        }
        match (self.has(Part::YearOfCentury), pivot) {
            (true, None) => bail!(
                "a year of two digits needs `pivot`: with `pivot = 30`, 29 is 2029 and 30 is 1930"
            ),
            (false, Some(_)) => bail!("`pivot` is for a year of two digits (YY): remove it"),
            (_, Some(pivot)) if pivot > 100 => bail!("`pivot` is a number from 0 to 100"),
            _ => Ok(()),
        }
    }

    /// Says whether a part stands in it.
    #[must_use]
    pub fn has(&self, part: Part) -> bool {
        self.items.iter().any(|item| item.part() == Some(part))
    }

    /// Says whether a year stands in it, of four or of two digits.
    #[must_use]
    pub fn has_year(&self) -> bool {
        self.has(Part::Year) || self.has(Part::YearOfCentury)
    }

    /// Says whether an hour stands in it.
    #[must_use]
    pub fn has_hour(&self) -> bool {
        self.has(Part::Hour) || self.has(Part::HourOfHalf)
    }

    /// The pattern, as the source has it.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// Says whether a text can be read.
    #[must_use]
    pub fn fits(&self, text: &[u8]) -> bool {
        self.read(text).is_ok()
    }

    /// Reads a text; white space around it is skipped. A month or a day that the pattern does not
    /// have is the first.
    pub(super) fn read(&self, text: &[u8]) -> Result<Moment, Unread> {
        let mut rest = text.trim_ascii();
        let mut moment = Moment::default();
        let mut day_of_year = None;
        let mut afternoon = None;
        for item in &self.items {
            match *item {
                Item::Literal(byte) => {
                    let (first, after) = rest.split_first().ok_or(Unread::Form)?;
                    if *first != byte {
                        return Err(Unread::Form);
                    }
                    rest = after;
                }
                Item::Number { part, least, most } => {
                    let (value, digits);
                    (value, digits, rest) = take_number(rest, least, most).ok_or(Unread::Form)?;
                    match part {
                        Part::Year => moment.year = value,
                        Part::YearOfCentury => {
                            moment.year = value + if value < self.pivot { 2000 } else { 1900 };
                        }
                        Part::Month => moment.month = value,
                        Part::Day => moment.day = value,
                        Part::DayOfYear => day_of_year = Some(value),
                        Part::Hour | Part::HourOfHalf => moment.hour = value,
                        Part::Minute => moment.minute = value,
                        Part::Second => moment.second = value,
                        Part::Fraction => {
                            moment.micros = value * 10_u32.pow(6_u32.saturating_sub(digits));
                        }
                        Part::OffsetMinutes => {
                            if value > 59 {
                                return Err(Unread::Calendar);
                            }
                            let minutes = 60 * value as i32;
                            let minutes = if moment.west { -minutes } else { minutes };
                            moment.offset = Some(moment.offset.unwrap_or_default() + minutes);
                        }
                        Part::HalfDay | Part::OffsetHours => {}
                    }
                }
                Item::MonthName { full } => {
                    (moment.month, rest) = take_month(rest, full).ok_or(Unread::Form)?;
                }
                Item::HalfDay { dots } => {
                    let (later, after) = take_half(rest, dots).ok_or(Unread::Form)?;
                    afternoon = Some(later);
                    rest = after;
                }
                Item::OffsetHours => {
                    let (sign, after) = rest.split_first().ok_or(Unread::Form)?;
                    let west = match sign {
                        b'+' => false,
                        b'-' => true,
                        _ => return Err(Unread::Form),
                    };
                    let hours;
                    (hours, _, rest) = take_number(after, 2, 2).ok_or(Unread::Form)?;
                    if hours > 15 {
                        return Err(Unread::Calendar);
                    }
                    let seconds = 3600 * hours as i32;
                    moment.west = west;
                    moment.offset = Some(if west { -seconds } else { seconds });
                }
            }
        }
        if !rest.is_empty() {
            return Err(Unread::Form);
        }
        if let Some(afternoon) = afternoon {
            moment.hour = match moment.hour {
                12 => 0,
                hour @ 1..=11 => hour,
                _ => return Err(Unread::Calendar),
            } + if afternoon { 12 } else { 0 };
        }
        if let Some(day) = day_of_year {
            moment.set_day_of_year(day);
        }
        let exists = moment.is_on_the_clock() && (!self.has_year() || moment.is_in_the_calendar());
        exists.then_some(moment).ok_or(Unread::Calendar)
    }
}

/// Takes the value of some digits off the front, and how many they are.
fn take_number(text: &[u8], least: usize, most: usize) -> Option<(u32, u32, &[u8])> {
    let mut value = 0;
    let mut digits = 0;
    for byte in text.iter().take(most) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value * 10 + u32::from(digit);
        digits += 1;
    }
    let rest = text.get(digits..)?;
    (digits >= least).then_some((value, digits as u32, rest))
}

/// Takes the English name of a month, in any case, off the front.
fn take_month(text: &[u8], full: bool) -> Option<(u32, &[u8])> {
    let months = MONTHS.iter().zip(1..);
    let mut found = months.filter_map(|(name, month)| {
        let name = if full { name } else { name.get(..3)? };
        starts_with(text, name).then(|| Some((month, text.get(name.len()..)?)))?
    });
    found.next()
}

/// Takes AM or PM, in any case, off the front; says whether it is the second half of the day.
fn take_half(text: &[u8], dots: bool) -> Option<(bool, &[u8])> {
    let words = if dots { ["A.M.", "P.M."] } else { ["AM", "PM"] };
    let later = words.iter().position(|word| starts_with(text, word))?;
    let rest = text.get(words[0].len()..)?;
    Some((later == 1, rest))
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
