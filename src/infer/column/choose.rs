//! The type that takes a column's values.
//!
//! In: what was seen in a column, and its name. Out: the type, the rules that read the values, and what
//! speaks for them.
//!
//! Careful with what looks like a number: digits with a zero in front are a code, and so are long
//! digits of one length; as numbers they would lose what tells them apart.

use super::super::moment::{PIVOT, has_short_year};
use super::super::{Note, counted, of};
use super::{BACKSLASH_N, Column, ColumnType};

/// Digits of one length: an identifier, if there are so many.
const LONG_DIGITS: usize = 9;

impl Column {
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
        let spaces: Vec<String> = self
            .blank
            .keys()
            .map(|length| " ".repeat(*length))
            .collect();
        if !is_text {
            for (mark, count) in &self.marks {
                nulls.push(mark);
                note.push(format!("{} `{mark}`", crate::units::grouped(*count)));
            }
            if self.zero_dates > 0 && found.sql == "date" {
                nulls.push("00000000");
                note.push(format!(
                    "{} `00000000`",
                    crate::units::grouped(self.zero_dates)
                ));
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
            found
                .notes
                .push(Note::seen(format!("no value: {}", note.join(", "))));
        }
        found
    }

    fn text(&self) -> ColumnType {
        let mut notes = Vec::new();
        let mut rules = Vec::new();
        if self.values == 0 {
            notes.push(Note::guessed(
                "no record has a value, so nothing speaks for a type",
            ));
        } else {
            let digits = self.digits_only();
            notes.push(match digits {
                Some(_) if self.leading_zeros + self.zero_dates > 0 => Note::seen(format!(
                    "a code: {} are digits with a zero in front",
                    of(
                        self.leading_zeros + self.zero_dates,
                        self.values + self.zero_dates
                    )
                )),
                Some((least, most)) if least == most && most >= LONG_DIGITS => {
                    Note::guessed(format!("a code: every value has {most} digits"))
                }
                Some((_, most)) if most > 18 => {
                    Note::seen(format!("a code: up to {most} digits, longer than a number"))
                }
                Some(_) => Note::guessed(
                    "a code, by its name: the digits may begin with zeros in other files",
                ),
                None => Note::seen(format!(
                    "at most {}",
                    counted(self.longest as u64, "character")
                )),
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
        if alive.word
            && [(2, 3), (4, 5), (6, 7)]
                .into_iter()
                .any(|(yes, no)| self.words == 1 << yes | 1 << no)
        {
            return is(
                "boolean",
                Note::guessed(format!(
                    "{} are one of two words, yes and no",
                    of(self.values, self.values)
                )),
            );
        }
        if alive.iso_date {
            return is("date", all("are days as YYYY-MM-DD"));
        }
        if alive.compact_date && self.leading_zeros == 0 {
            let text = format!("{} are days as YYYYMMDD", of(self.values, self.values));
            let sure = self.values >= 20 || names_a_day(name);
            return is(
                "date",
                if sure {
                    Note::seen(text)
                } else {
                    Note::guessed(text)
                },
            );
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
            return self.numeric("are decimal numbers", &[]);
        }
        if alive.money && self.printed > 0 && self.currency > 0 {
            return self.numeric("are amounts as printed", &[("parse", "money")]);
        }
        if alive.money && self.printed > 0 {
            let rules = [("parse", "decimal"), ("thousands", ",")];
            let mut found = self.numeric("are decimal numbers with grouped thousands", &rules)?;
            if alive.comma {
                found.notes.push(Note::guessed(
                    "every comma has three digits behind it: it is read as that of thousands, not as a decimal comma",
                ));
            }
            return Some(found);
        }
        if alive.comma && self.comma_digits.1 > 0 {
            let mut rules = vec![("parse", "decimal"), ("decimal_point", ",")];
            if self.grouped > 0 {
                rules.push(("thousands", "."));
            }
            return self.numeric_of(
                "are numbers with a decimal comma",
                &rules,
                self.comma_digits,
            );
        }
        if alive.percent && self.printed > 0 {
            return self.numeric(
                "are percentages, read as their fraction of one",
                &[("parse", "percent")],
            );
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
            || self
                .digits_only()
                .is_some_and(|(least, most)| least == most && most >= LONG_DIGITS)
            || (self.digits_only().is_some() && names_a_code(name));
        if code {
            return None;
        }
        let sql = if self.whole_digits >= LONG_DIGITS {
            "bigint"
        } else {
            "integer"
        };
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

    fn numeric(&self, what: &str, rules: &[(&'static str, &str)]) -> Option<ColumnType> {
        self.numeric_of(what, rules, (self.whole_digits, self.scale))
    }

    /// `digits`: the most before and behind the point.
    fn numeric_of(
        &self,
        what: &str,
        rules: &[(&'static str, &str)],
        (whole, scale): (usize, usize),
    ) -> Option<ColumnType> {
        // Room for three digits more: next month's largest value is larger.
        let precision = whole.max(1) + scale + 3;
        let sql = match precision {
            ..=1000 => format!("numeric({precision},{})", scale),
            _ => "numeric".into(),
        };
        Some(ColumnType {
            sql,
            rules: rules
                .iter()
                .map(|(key, value)| (*key, (*value).into()))
                .collect(),
            notes: vec![Note::seen(format!(
                "{} {what}, at most {} before the point and {} behind",
                of(self.values, self.values),
                counted(whole as u64, "digit"),
                scale
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
        let mut rules: Vec<(&'static str, toml::Value)> =
            vec![("parse", parse.into()), ("pattern", pattern.into())];
        let mut notes = vec![Note::seen(format!(
            "{} fit {pattern}",
            of(self.values, self.values)
        ))];
        let day_first = |pattern: &&str| pattern.trim_start_matches("FM").starts_with("DD");
        let two_orders = patterns.iter().any(day_first) && !patterns.iter().all(day_first);
        if two_orders {
            notes.push(Note::guessed(
                "no day is above 12, so the day may come first and the month second",
            ));
        }
        if has_short_year(pattern) {
            rules.push(("pivot", i64::from(PIVOT).into()));
            notes.push(Note::guessed(format!(
                "years of two digits: below {PIVOT} are 20.., the others 19.."
            )));
        }
        Some(ColumnType {
            sql: sql.into(),
            rules,
            notes,
        })
    }
}

fn names_a_code(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let last = words.last().copied().unwrap_or_default();
    let anywhere = [
        "zip",
        "npi",
        "ndc",
        "fips",
        "phone",
        "telephone",
        "fax",
        "postal",
        "ssn",
        "upc",
        "hcpcs",
    ];
    matches!(last, "code" | "cd" | "codes") || words.iter().any(|word| anywhere.contains(word))
}

fn names_a_day(name: &str) -> bool {
    name.contains("date")
        || name
            .split('_')
            .any(|word| matches!(word, "dt" | "dob" | "day" | "birth"))
}
