//! What a column holds, and the type that takes it.
//!
//! In: the values of one column, one after the other. Out: the column's type, the rules that read
//! its values, and what speaks for them. A type is proposed only if every value fits it.
//!
//! Careful with what looks like a number: digits with a zero in front are a code, and so are long
//! digits of one length; as numbers they would lose what tells them apart.

use super::cells::{Cell, Form};
use super::moment::{Patterns, fits, is_compact_date};
use super::name::Name;
use super::shape::Shape;
use super::{Note, ProposedColumn, counted, of};
use crate::encode::Type;
use crate::read::money;
use std::collections::BTreeMap;

/// Words that often stand for no value. In a column of text they may be text: NA is Namibia.
const MARKS: [&str; 22] = [
    ".", "..", "-", "--", "*", "?", "NA", "N/A", "n/a", "na", "#N/A", "NULL", "null", "Null", "(null)", "None",
    "NONE", "none", "NaN", "nan", "Not Applicable", "Not Available",
];
/// The one that is null in text too: COPY writes it.
const BACKSLASH_N: &str = "\\N";

const WORDS: [&str; 8] = ["true", "false", "t", "f", "yes", "no", "y", "n"];

/// Digits of one length: an identifier, if there are so many.
const LONG_DIGITS: usize = 9;

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
                    let amount = (form == Form::Plain).then(|| money::amount(text, &mut plain)).flatten();
                    let amount = amount.and_then(|plain| Number::read(plain));
                    if let Some(number) = &amount {
                        self.whole_digits = self.whole_digits.max(number.whole);
                        self.scale = self.scale.max(number.scale);
                    }
                    alive.money &= amount.is_some();
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
        if alive.word {
            let word = WORDS.iter().position(|word| word.as_bytes().eq_ignore_ascii_case(text));
            match word.filter(|_| form == Form::Plain) {
                Some(word) => self.words |= 1 << word,
                None => alive.word = false,
            }
        }
        let digit_first = text.first().is_some_and(u8::is_ascii_digit);
        alive.iso_date &= digit_first && text.len() == 10 && fits("YYYY-MM-DD", text);
        alive.compact_date &= digit_first && is_compact_date(text);
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
        self.digits.filter(|(_, most)| self.alive.integer && *most < usize::MAX)
    }

    pub fn has_values(&self) -> bool {
        self.values > 0
    }

    /// The type that takes every value. `empty_is_null`: what the format says of an empty text.
    pub fn column_type(&self, name: &str, empty_is_null: bool) -> ColumnType {
        let mut found = self.typed(name).unwrap_or_else(|| self.text());
        let is_text = found.sql == "text";
        let mut nulls: Vec<&str> = Vec::new();
        let mut note = Vec::new();
        if self.empty > 0 && !empty_is_null && !is_text {
            nulls.push("");
        }
        if self.backslash_n > 0 {
            nulls.push(BACKSLASH_N);
            note.push(format!("{} `\\N`", crate::units::grouped(self.backslash_n)));
        }
        let spaces: Vec<String> = self.blank.keys().map(|length| " ".repeat(*length)).collect();
        if !is_text {
            for (mark, count) in &self.marks {
                nulls.push(mark);
                note.push(format!("{} `{mark}`", crate::units::grouped(*count)));
            }
            if self.zero_dates > 0 && found.sql == "date" {
                nulls.push("00000000");
                note.push(format!("{} `00000000`", crate::units::grouped(self.zero_dates)));
            }
            let blanks: u64 = self.blank.values().sum();
            if blanks > 0 {
                note.push(format!("{} of blanks alone", crate::units::grouped(blanks)));
            }
            match spaces.len() {
                0..=2 => nulls.extend(spaces.iter().map(String::as_str)),
                _ => found.rules.push(("trim", true.into())),
            }
        }
        if !nulls.is_empty() {
            if empty_is_null && !nulls.contains(&"") {
                nulls.insert(0, "");
            }
            let list: Vec<toml::Value> = nulls.iter().map(|null| (*null).into()).collect();
            found.rules.push(("null", list.into()));
        }
        if !note.is_empty() {
            found.notes.push(Note::seen(format!("no value: {}", note.join(", "))));
        }
        found
    }

    fn text(&self) -> ColumnType {
        let mut notes = Vec::new();
        let mut rules = Vec::new();
        if self.values == 0 {
            notes.push(Note::guessed("no record has a value, so nothing speaks for a type"));
        } else {
            let digits = self.digits_only();
            notes.push(match digits {
                Some(_) if self.leading_zeros + self.zero_dates > 0 => Note::seen(format!(
                    "a code: {} are digits with a zero in front",
                    of(self.leading_zeros + self.zero_dates, self.values + self.zero_dates)
                )),
                Some((least, most)) if least == most && most >= LONG_DIGITS => Note::guessed(format!(
                    "a code: every value has {most} digits"
                )),
                Some((_, most)) if most > 18 => Note::seen(format!("a code: up to {most} digits, longer than a number")),
                Some(_) => Note::guessed("a code, by its name: the digits may begin with zeros in other files"),
                None => Note::seen(format!("at most {}", counted(self.longest as u64, "character"))),
            });
            if self.padded * 2 > self.values {
                rules.push(("trim", true.into()));
                notes.push(Note::guessed(format!(
                    "{} have blanks before or behind",
                    of(self.padded, self.values)
                )));
            }
        }
        ColumnType {
            sql: "text".into(),
            rules,
            notes,
        }
    }

    /// A type other than text; `None` if none fits.
    fn typed(&self, name: &str) -> Option<ColumnType> {
        if self.values == 0 {
            return None;
        }
        let alive = &self.alive;
        let is = |sql: &str, note: Note| {
            Some(ColumnType {
                sql: sql.to_owned(),
                rules: Vec::new(),
                notes: vec![note],
            })
        };
        let all = |what: &str| Note::seen(format!("{} {what}", of(self.values, self.values)));
        if self.nested == self.values {
            return is("jsonb", all("are objects or lists"));
        }
        if self.nested > 0 {
            return None;
        }
        let has = |word: usize| self.words >> word & 1 == 1;
        if alive.word && (has(0) || has(1)) {
            return is("boolean", all("are true or false"));
        }
        if alive.word && [(2, 3), (4, 5), (6, 7)].into_iter().any(|(yes, no)| self.words == 1 << yes | 1 << no) {
            return is("boolean", Note::guessed(format!("{} are one of two words, yes and no", of(self.values, self.values))));
        }
        if alive.iso_date {
            return is("date", all("are days as YYYY-MM-DD"));
        }
        if alive.compact_date && self.leading_zeros == 0 {
            let text = format!("{} are days as YYYYMMDD", of(self.values, self.values));
            let sure = self.values >= 20 || names_a_day(name);
            return is("date", if sure { Note::seen(text) } else { Note::guessed(text) });
        }
        if self.with_colon > 0 && alive.timestamptz {
            return is("timestamptz", all("are moments with their offset"));
        }
        if self.with_colon > 0 && alive.timestamp {
            return is("timestamp", all("are moments without an offset"));
        }
        if alive.time && self.with_colon > 0 {
            return is("time", all("are times of day"));
        }
        if let Some(found) = self.by_pattern() {
            return Some(found);
        }
        if alive.integer {
            return self.integer(name);
        }
        if alive.decimal && self.leading_zeros == 0 {
            return self.numeric("are decimal numbers", None);
        }
        if alive.money && self.printed > 0 {
            return self.numeric("are amounts as printed", Some("money"));
        }
        if alive.percent && self.printed > 0 {
            return self.numeric("are percentages, read as their fraction of one", Some("percent"));
        }
        if alive.float && !alive.decimal {
            return is("numeric", all("are numbers, some with an exponent"));
        }
        if alive.uuid {
            return is("uuid", all("are UUIDs"));
        }
        None
    }

    fn integer(&self, name: &str) -> Option<ColumnType> {
        let code = self.leading_zeros > 0
            || self.whole_digits > 18
            || self.zero_dates > 0
            || self.digits_only().is_some_and(|(least, most)| least == most && most >= LONG_DIGITS)
            || (self.digits_only().is_some() && names_a_code(name));
        if code {
            return None;
        }
        let sql = if self.whole_digits >= LONG_DIGITS { "bigint" } else { "integer" };
        Some(ColumnType {
            sql: sql.into(),
            rules: Vec::new(),
            notes: vec![Note::seen(format!(
                "{} are whole numbers of at most {}",
                of(self.values, self.values),
                counted(self.whole_digits as u64, "digit")
            ))],
        })
    }

    fn numeric(&self, what: &str, parse: Option<&str>) -> Option<ColumnType> {
        // Room for three digits more: next month's largest value is larger.
        let precision = self.whole_digits.max(1) + self.scale + 3;
        let sql = match precision {
            ..=1000 => format!("numeric({precision},{})", self.scale),
            _ => "numeric".into(),
        };
        Some(ColumnType {
            sql,
            rules: parse.map(|parse| ("parse", parse.into())).into_iter().collect(),
            notes: vec![Note::seen(format!(
                "{} {what}, at most {} before the point and {} behind",
                of(self.values, self.values),
                counted(self.whole_digits as u64, "digit"),
                self.scale
            ))],
        })
    }

    fn by_pattern(&self) -> Option<ColumnType> {
        let (dates, timestamps) = (self.patterns.dates(), self.patterns.timestamps());
        let (sql, parse, patterns) = match (dates.is_empty(), timestamps.is_empty()) {
            (false, _) => ("date", "date", dates),
            (true, false) => ("timestamp", "timestamp", timestamps),
            (true, true) => return None,
        };
        let pattern = *patterns.first()?;
        let mut rules: Vec<(&'static str, toml::Value)> = vec![("parse", parse.into()), ("pattern", pattern.into())];
        let mut notes = vec![Note::seen(format!("{} fit {pattern}", of(self.values, self.values)))];
        let day_first = |pattern: &&str| pattern.trim_start_matches("FM").starts_with("DD");
        let two_orders = patterns.iter().any(|pattern| day_first(&pattern)) && !patterns.iter().all(|pattern| day_first(&pattern));
        if two_orders {
            notes.push(Note::guessed(
                "no day is above 12, so the day may come first and the month second",
            ));
        }
        let short_year = pattern.contains("YY") && !pattern.contains("YYYY");
        if short_year {
            rules.push(("pivot", 50.into()));
            notes.push(Note::guessed("years of two digits: below 50 are 20.., the others 19.."));
        }
        if self.padded > 0 {
            rules.push(("trim", true.into()));
        }
        Some(ColumnType {
            sql: sql.into(),
            rules,
            notes,
        })
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

fn is_float(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Number::read(text).is_some();
    };
    let exponent = Number::read(&text[at + 1..]);
    Number::read(&text[..at]).is_some() && exponent.is_some_and(|exponent| !exponent.point && exponent.whole <= 2)
}

fn names_a_code(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let last = words.last().copied().unwrap_or_default();
    let anywhere = ["zip", "npi", "ndc", "fips", "phone", "telephone", "fax", "postal", "ssn", "upc", "hcpcs"];
    matches!(last, "code" | "cd" | "codes") || words.iter().any(|word| anywhere.contains(word))
}

fn names_a_day(name: &str) -> bool {
    name.contains("date") || name.split('_').any(|word| matches!(word, "dt" | "dob" | "day" | "birth"))
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Characters, as far as the bytes are UTF-8.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
}
