//! `parse = …`: a text of one declared form to the server's spelling.
//!
//! In: a text, and the form that its source declares. Out: the text that the type's encoder reads, or
//! [`What`] is wrong with it. The encoder still checks the value against the column: a number that
//! is too large, digits that a scale would round away.

use super::moment::{self, Unit};
use super::number::{Number, Sign};
use super::pattern::{Pattern, Unread};
use super::zone::Zone;
use crate::read::money;
use std::fmt;
use std::sync::Arc;

/// The form of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Parse {
    /// `$1,234.00 ` and `($60.80)`.
    Money,
    Integer(Number),
    Decimal(Number),
    Percent(Number),
    Boolean {
        yes: Vec<String>,
        no: Vec<String>,
    },
    Date(Pattern),
    Time(Pattern),
    Timestamp(Pattern),
    /// A timestamp on the clock of a place; without a pattern, as the server writes it.
    Zoned {
        pattern: Option<Pattern>,
        zone: Zone,
    },
    Epoch(Unit),
}

impl Parse {
    /// Writes the value as the server spells it.
    pub(super) fn apply(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), What> {
        match self {
            Parse::Money => money::amount(text, out).map(|_| ()).ok_or(What::Amount),
            Parse::Integer(number) => number.plain(text, out).ok_or(What::Integer),
            Parse::Decimal(number) => number.plain(text, out).ok_or(What::Decimal),
            Parse::Percent(number) => number.percent(text, out).ok_or(What::Percent),
            Parse::Boolean { yes, no } => {
                let is_in = |words: &[String]| words.iter().any(|word| word.as_bytes() == text);
                out.push(match (is_in(yes), is_in(no)) {
                    (true, _) => b't',
                    (_, true) => b'f',
                    _ => return Err(What::Boolean),
                });
                Ok(())
            }
            Parse::Date(pattern) => {
                let moment = read(pattern, text, What::Date, What::NoDate)?;
                moment.put_date(out);
                Ok(())
            }
            Parse::Time(pattern) => {
                let moment = read(pattern, text, What::Time, What::NoTime)?;
                moment.put_time(out);
                Ok(())
            }
            Parse::Timestamp(pattern) => {
                let moment = read(pattern, text, What::Timestamp, What::NoTimestamp)?;
                moment.put(out);
                Ok(())
            }
            Parse::Zoned {
                pattern: Some(pattern),
                zone,
            } => {
                let moment = read(pattern, text, What::Timestamp, What::NoTimestamp)?;
                let offset = zone.offset(&moment)?;
                moment.put(out);
                moment::put_offset(offset, out);
                Ok(())
            }
            Parse::Zoned {
                pattern: None,
                zone,
            } => {
                out.extend_from_slice(text.trim_ascii());
                // A text with its own offset, and one that is no timestamp, is for the encoder.
                if let Some(moment) = moment::as_the_server_writes(out) {
                    moment::put_offset(zone.offset(&moment)?, out);
                }
                Ok(())
            }
            Parse::Epoch(unit) => unit.put(text.trim_ascii(), out).ok_or(What::Epoch),
        }
    }

    /// What a text of this form looks like, as a noun phrase.
    pub(super) fn expected(&self) -> String {
        let number = |number: &Number, example: &str, pointed: &str| {
            let mut said = match number.implied {
                0 if number.point.is_none() => format!("a whole number such as {example}"),
                0 => format!("a number such as {pointed}"),
                places => format!("digits alone, the last {places} of them behind the point"),
            };
            if let Some(thousands) = number.thousands {
                said += &format!(
                    ", groups of three digits set apart by `{}`",
                    thousands as char
                );
            }
            said += match number.sign {
                Sign::Leading => "",
                Sign::Trailing => ", the sign behind the digits",
                Sign::Overpunch => ", the sign in the last digit ({ABCDEFGHI or }JKLMNOPQR)",
            };
            said
        };
        let point = |number: &Number| {
            if number.point == Some(b',') {
                "12,50"
            } else {
                "12.50"
            }
        };
        match self {
            Parse::Money => "an amount such as $1,234.00 or ($60.80)".into(),
            Parse::Integer(form) | Parse::Decimal(form) => number(form, "1234", point(form)),
            Parse::Percent(form) => number(form, "12%", &format!("{}%", point(form))),
            Parse::Boolean { yes, no } => {
                format!("one of {}", [&yes[..], &no[..]].concat().join(", "))
            }
            Parse::Date(pattern) => format!("a date as {}", pattern.as_written()),
            Parse::Time(pattern) => format!("a time of day as {}", pattern.as_written()),
            Parse::Timestamp(pattern) => format!("a timestamp as {}", pattern.as_written()),
            Parse::Zoned { pattern, zone } => match pattern {
                Some(pattern) => format!(
                    "a timestamp as {} on the clock of {}",
                    pattern.as_written(),
                    zone.name()
                ),
                None => format!("a timestamp on the clock of {}", zone.name()),
            },
            Parse::Epoch(unit) => format!("{} since 1970-01-01 00:00 UTC", unit.name()),
        }
    }
}

fn read(
    pattern: &Pattern,
    text: &[u8],
    form: What,
    calendar: What,
) -> Result<moment::Moment, What> {
    pattern.read(text).map_err(|unread| match unread {
        Unread::Form => form,
        Unread::Calendar => calendar,
    })
}

/// A text that is not spelled as its source declares; nothing of the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misspelt {
    pub what: What,
    /// What would have been accepted.
    pub expected: Arc<str>,
}

impl Misspelt {
    pub(super) fn unlisted() -> Misspelt {
        Misspelt {
            what: What::Unlisted,
            expected: "a text that its `lookup` lists".into(),
        }
    }
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, expected {}", self.what.words(), self.expected)
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Amount,
    Integer,
    Decimal,
    Percent,
    Boolean,
    Date,
    Time,
    Timestamp,
    Epoch,
    NoDate,
    NoTime,
    NoTimestamp,
    /// An hour that the clocks went through twice.
    Twice,
    /// An hour that the clocks left out.
    Skipped,
    Unlisted,
}

impl What {
    /// The rest of a sentence whose subject is the value.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            What::Amount => "is not an amount",
            What::Integer => "is not an integer of the declared form",
            What::Decimal => "is not a number of the declared form",
            What::Percent => "is not a percentage of the declared form",
            What::Boolean => "is none of the words for true and false",
            What::Date => "is not a date of the declared form",
            What::Time => "is not a time of day of the declared form",
            What::Timestamp => "is not a timestamp of the declared form",
            What::Epoch => "is not a number of such units of time",
            What::NoDate => "is not a date that exists",
            What::NoTime => "is not a time of day that exists",
            What::NoTimestamp => "is not a timestamp that exists",
            What::Twice => "is a time that the clocks showed twice (`ambiguous` may say which)",
            What::Skipped => {
                "is a time that the clocks left out (`skipped` may say how to read it)"
            }
            What::Unlisted => "is not in the lookup table",
        }
    }
}
