//! What a column holds.
//!
//! In: the values of one column, one after the other. Out: counts, and for each type whether every
//! value fits it, tried by the code that will read them. [`choose`] makes a type of that.

mod choose;

use super::cells::{Cell, Form};
use super::moment::{Patterns, is_compact_date, is_iso_date};
use super::name::Name;
use super::shape::Shape;
use super::{Note, ProposedColumn};
use crate::encode::Type;
use crate::read::money;
use std::collections::BTreeMap;

/// Words that often stand for no value. In a column of text they may be text: NA is Namibia.
const MARKS: [&str; 22] = [
    ".",
    "..",
    "-",
    "--",
    "*",
    "?",
    "NA",
    "N/A",
    "n/a",
    "na",
    "#N/A",
    "NULL",
    "null",
    "Null",
    "(null)",
    "None",
    "NONE",
    "none",
    "NaN",
    "nan",
    "Not Applicable",
    "Not Available",
];
/// The one that is null in text too: COPY writes it.
const BACKSLASH_N: &str = "\\N";

const WORDS: [&str; 8] = ["true", "false", "t", "f", "yes", "no", "y", "n"];

/// A type in SQL, with the rules that it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    pub sql: String,
    pub rules: Vec<(&'static str, toml::Value)>,
    pub notes: Vec<Note>,
}

/// What every value so far can be read as.
#[derive(Debug, Clone, Copy)]
struct Alive {
    integer: bool,
    decimal: bool,
    /// With a decimal comma.
    comma: bool,
    money: bool,
    percent: bool,
    float: bool,
    word: bool,
    iso_date: bool,
    compact_date: bool,
    timestamp: bool,
    timestamptz: bool,
    time: bool,
    uuid: bool,
}

/// Counts of what was seen in one column.
#[derive(Debug, Clone)]
pub struct Column {
    values: u64,
    absent: u64,
    empty: u64,
    /// Values of nothing but spaces, by length.
    blank: BTreeMap<usize, u64>,
    marks: BTreeMap<&'static str, u64>,
    backslash_n: u64,
    zero_dates: u64,
    alive: Alive,
    patterns: Patterns,
    words: u16,
    /// With blanks before or behind.
    padded: u64,
    nested: u64,
    leading_zeros: u64,
    with_colon: u64,
    /// Amounts and percentages that are no plain numbers.
    printed: u64,
    /// Amounts with a currency sign or in parentheses.
    currency: u64,
    /// Numbers with groups of three digits before a decimal comma.
    grouped: u64,
    /// The most digits before and behind a decimal comma.
    comma_digits: (usize, usize),
    shape: Shape,
    /// Of numbers: the most digits before and behind the point, and the length of digits alone.
    whole_digits: usize,
    scale: usize,
    digits: Option<(usize, usize)>,
    /// Of text, in characters.
    longest: usize,
}

impl Default for Column {
    fn default() -> Column {
        Column {
            values: 0,
            absent: 0,
            empty: 0,
            blank: BTreeMap::new(),
            marks: BTreeMap::new(),
            backslash_n: 0,
            zero_dates: 0,
            alive: Alive {
                integer: true,
                decimal: true,
                comma: true,
                money: true,
                percent: true,
                float: true,
                word: true,
                iso_date: true,
                compact_date: true,
                timestamp: true,
                timestamptz: true,
                time: true,
                uuid: true,
            },
            patterns: Patterns::default(),
            words: 0,
            padded: 0,
            nested: 0,
            leading_zeros: 0,
            with_colon: 0,
            printed: 0,
            currency: 0,
            grouped: 0,
            comma_digits: (0, 0),
            shape: Shape::default(),
            whole_digits: 0,
            scale: 0,
            digits: None,
            longest: 0,
        }
    }
}

impl Column {
    /// Takes one value.
    pub fn observe(&mut self, cell: &Cell) {
        let Some(all) = cell.text else {
            self.absent += 1;
            return;
        };
        if all.is_empty() {
            self.empty += 1;
            return;
        }
        let text = trim(all);
        if text.is_empty() {
            *self.blank.entry(all.len()).or_default() += 1;
            return;
        }
        if text == BACKSLASH_N.as_bytes() {
            self.backslash_n += 1;
            return;
        }
        if let Some(mark) = MARKS.iter().find(|mark| mark.as_bytes() == text) {
            *self.marks.entry(*mark).or_default() += 1;
            return;
        }
        if text == b"00000000" && cell.form == Form::Plain {
            self.zero_dates += 1;
            return;
        }
        self.values += 1;
        self.padded += u64::from(text.len() < all.len());
        self.longest = self.longest.max(characters(text));
        self.nested += u64::from(cell.form == Form::Nested);
        self.shape.observe(text);
        self.narrow(text, cell.form);
    }

    /// Drops what this value cannot be.
    fn narrow(&mut self, text: &[u8], form: Form) {
        let alive = &mut self.alive;
        let number = (form == Form::Plain).then(|| Number::read(text)).flatten();
        match &number {
            Some(number) => {
                self.leading_zeros += u64::from(number.leading_zero);
                self.whole_digits = self.whole_digits.max(number.whole);
                self.scale = self.scale.max(number.scale);
                alive.integer &= number.scale == 0 && !number.point;
                if !number.signed && !number.point {
                    let (least, most) = self.digits.unwrap_or((number.whole, number.whole));
                    self.digits = Some((least.min(number.whole), most.max(number.whole)));
                } else {
                    self.digits = Some((0, usize::MAX));
                }
            }
            None => {
                (alive.integer, alive.decimal) = (false, false);
                self.printed += 1;
                if alive.money || alive.percent || alive.float {
                    let mut plain = Vec::new();
                    let amount = (form == Form::Plain)
                        .then(|| money::amount(text, &mut plain))
                        .flatten();
                    let amount = amount.and_then(Number::read);
                    if let Some(number) = &amount {
                        self.whole_digits = self.whole_digits.max(number.whole);
                        self.scale = self.scale.max(number.scale);
                    }
                    // `0,125` has no group of thousands.
                    alive.money &= amount.is_some() && !text.starts_with(b"0,");
                    self.currency += u64::from(memchr::memchr2(b'$', b'(', text).is_some());
                    let share = text.strip_suffix(b"%").map(trim).and_then(Number::read);
                    if let (Some(number), true) = (&share, form == Form::Plain) {
                        self.whole_digits = self.whole_digits.max(number.whole);
                        self.scale = self.scale.max(number.scale + 2);
                    }
                    alive.percent &= share.is_some();
                    alive.float &= form == Form::Plain && is_float(text);
                }
            }
        }
        alive.percent &= number.is_none();
        if alive.comma {
            match (form == Form::Plain).then(|| european(text)).flatten() {
                Some(comma) => {
                    let (whole, scale) = self.comma_digits;
                    self.comma_digits = (whole.max(comma.whole), scale.max(comma.scale));
                    self.grouped += u64::from(comma.grouped);
                }
                None => alive.comma = false,
            }
        }
        if alive.word {
            let word = WORDS
                .iter()
                .position(|word| word.as_bytes().eq_ignore_ascii_case(text));
            match word.filter(|_| form == Form::Plain) {
                Some(word) => self.words |= 1 << word,
                None => alive.word = false,
            }
        }
        let digit_first = text.first().is_some_and(u8::is_ascii_digit);
        alive.iso_date = alive.iso_date && digit_first && is_iso_date(text);
        alive.compact_date = alive.compact_date && digit_first && is_compact_date(text);
        if alive.timestamp || alive.timestamptz || alive.time {
            self.with_colon += u64::from(text.contains(&b':'));
            let reads = |ty: Type| digit_first && ty.encode(text, &mut Vec::new()).is_ok();
            alive.timestamp = alive.timestamp && reads(Type::Timestamp(6));
            alive.timestamptz = alive.timestamptz
                && reads(Type::Timestamptz {
                    precision: 6,
                    zone: None,
                });
            alive.time = alive.time && reads(Type::Time(6));
        }
        if alive.uuid {
            alive.uuid = text.len() == 36 && Type::Uuid.encode(text, &mut Vec::new()).is_ok();
        }
        if !self.patterns.is_empty() {
            self.patterns.observe(text);
        }
    }

    /// Says whether a text would fit among the values: `None` where the column holds any text.
    pub fn would_fit(&self, text: &[u8], name: &str) -> Option<bool> {
        let before = self.column_type(name, true);
        let mut with = self.clone();
        with.observe(&Cell::plain(text));
        if self.values == 0 || with.values == self.values {
            return None;
        }
        if before.sql == "text" && self.digits_only().is_none() {
            return match self.values {
                ..3 => None,
                _ => self.shape.would_fit(trim(text)),
            };
        }
        match self.digits_only() {
            Some(_) => Some(with.digits_only().is_some()),
            None => Some(with.column_type(name, true).sql != "text"),
        }
    }

    /// The length of the digits, where every value is digits alone.
    fn digits_only(&self) -> Option<(usize, usize)> {
        self.digits
            .filter(|(_, most)| self.alive.integer && *most < usize::MAX)
    }

    pub fn has_values(&self) -> bool {
        self.values > 0
    }
}

/// The column that a table should have.
pub fn propose(name: Name, seen: &Column, empty_is_null: bool) -> ProposedColumn {
    let found = match name.sql {
        None => seen.column_type(&name.column, empty_is_null),
        Some(sql) => ColumnType {
            sql,
            rules: Vec::new(),
            notes: Vec::new(),
        },
    };
    ProposedColumn {
        name: name.column,
        from: name.from,
        sql_type: found.sql,
        rules: found.rules,
        notes: name.notes.into_iter().chain(found.notes).collect(),
    }
}

/// Digits with a sign and a point.
struct Number {
    signed: bool,
    point: bool,
    whole: usize,
    scale: usize,
    leading_zero: bool,
}

impl Number {
    fn read(text: &[u8]) -> Option<Number> {
        let (signed, digits) = match text {
            [b'+' | b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let point = memchr::memchr(b'.', digits);
        let (whole, fraction) = match point {
            None => (digits, &[] as &[u8]),
            Some(at) => (&digits[..at], &digits[at + 1..]),
        };
        let is_number = whole.len() + fraction.len() > 0
            && whole.iter().all(u8::is_ascii_digit)
            && fraction.iter().all(u8::is_ascii_digit);
        is_number.then(|| Number {
            signed,
            point: point.is_some(),
            whole: whole.len(),
            scale: fraction.len(),
            leading_zero: whole.len() > 1 && whole[0] == b'0',
        })
    }
}

/// A number with a decimal comma.
struct European {
    whole: usize,
    scale: usize,
    grouped: bool,
}

/// Reads `1.974,12`, `12,34` and `12`, as the load does with a decimal comma.
fn european(text: &[u8]) -> Option<European> {
    let mut plain = Vec::new();
    let number = crate::read::value::Number {
        thousands: Some(b'.'),
        point: Some(b','),
        ..Default::default()
    };
    number.plain(text, &mut plain)?;
    let read = Number::read(&plain)?;
    Some(European {
        whole: read.whole,
        scale: read.scale,
        grouped: memchr::memchr(b'.', text).is_some(),
    })
}

fn is_float(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Number::read(text).is_some();
    };
    let exponent = Number::read(&text[at + 1..]);
    Number::read(&text[..at]).is_some()
        && exponent.is_some_and(|exponent| !exponent.point && exponent.whole <= 2)
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Characters, as far as the bytes are UTF-8.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
}
