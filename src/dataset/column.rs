//! What a source says of one column: from the keys as they are written to checked steps.
//!
//! Keys that do not go together are errors here, before any file is read, and each says what to do.
//! The column's type is not known yet; what it must be is left in [`ColumnRule::wants`] for whoever
//! has asked the database.

use super::column_keys::{CaseKey, ChoiceKey, ColumnKeys, ParseKey, SignKey, TrimKey, UnitKey};
use super::{lookup, zone};
use crate::read::value::{
    Choice, KeyPattern, Number, Parse, Part, Pattern, Sign, Step, Steps, Trim, Unit,
};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::sync::Arc;

/// Where a column's values come from and how they are spelled.
#[derive(Debug, Clone, Default)]
pub struct ColumnRule {
    /// Name in the header; default: the name that folds to the column's own.
    pub from: Option<String>,
    /// Texts that mean NULL, instead of the format's.
    pub null: Option<Vec<String>>,
    /// A text in quotes is never a null.
    pub null_unquoted_only: bool,
    pub filled: Filled,
    pub steps: Steps,
    pub wants: Wants,
    /// The key that wants it.
    pub wanted_by: String,
    /// Offset of zone-less `timestamptz` texts, in seconds east of Greenwich.
    pub offset: Option<i32>,
}

/// What a column is filled with.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Filled {
    /// One field of the record.
    #[default]
    Field,
    /// Several fields, by their names in the header.
    Concat {
        names: Vec<String>,
        separator: String,
    },
    Constant(String),
    FileName,
    KeyPart(KeyPattern),
    RecordNumber,
}

/// The types that a column with such a rule may have; of an array, its elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wants {
    #[default]
    Anything,
    Number,
    Boolean,
    Date,
    Time,
    /// Without a zone.
    Timestamp,
    Timestamptz,
    /// With or without.
    AnyTimestamp,
}

/// What may stand in only one of these ways.
const ORIGINS: [&str; 6] = [
    "from",
    "constant",
    "file_name",
    "record_number",
    "key_pattern",
    "concat",
];

/// Options of `parse`, and the forms that have them.
const OPTIONS: [(&str, &[ParseKey]); 10] = [
    (
        "thousands",
        &[ParseKey::Integer, ParseKey::Decimal, ParseKey::Percent],
    ),
    ("decimal_point", &[ParseKey::Decimal, ParseKey::Percent]),
    ("implied_decimals", &[ParseKey::Decimal]),
    ("sign", &[ParseKey::Integer, ParseKey::Decimal]),
    ("true", &[ParseKey::Boolean]),
    ("false", &[ParseKey::Boolean]),
    (
        "pattern",
        &[ParseKey::Date, ParseKey::Time, ParseKey::Timestamp],
    ),
    ("pivot", &[ParseKey::Date, ParseKey::Timestamp]),
    ("unit", &[ParseKey::Epoch]),
    ("zone", &[ParseKey::Timestamp]),
];

impl ColumnRule {
    /// Checks the keys of one column; `source` is the path of the source file.
    ///
    /// # Errors
    /// Keys that do not go together, or a value that makes no sense; says what to do.
    pub(super) fn new(keys: ColumnKeys, source: &Path) -> Result<ColumnRule> {
        let given = given(&keys);
        let filled = filled(&keys, &given)?;
        for (option, forms) in OPTIONS {
            let fits = match keys.parse {
                None => option == "zone",
                Some(form) => forms.contains(&form),
            };
            if given.contains(&option) && !fits {
                let forms: Vec<String> = forms
                    .iter()
                    .map(|form| format!("`parse = \"{}\"`", form.word()))
                    .collect();
                bail!(
                    "`{option}` goes with {}: write that, or remove `{option}`",
                    forms.join(" or ")
                );
            }
        }
        let offset = offset_of(&keys)?;
        let (parse, wants) = match (parse(&keys, offset)?, keys.record_number) {
            (Some((parse, wants)), _) => (Some(parse), wants),
            (None, Some(true)) => (None, Wants::Number),
            (None, _) if keys.zone.is_some() => (None, Wants::Timestamptz),
            (None, _) => (None, Wants::Anything),
        };
        let wanted_by = match (keys.parse, keys.record_number) {
            (Some(form), _) => format!("`parse = \"{}\"`", form.word()),
            (None, Some(_)) => "`record_number`".into(),
            (None, None) => "`zone`".into(),
        };
        Ok(ColumnRule {
            steps: steps(&keys, parse, source)?,
            null_unquoted_only: keys.null_quoted == Some(false),
            from: keys.from,
            null: keys.null,
            filled,
            wants,
            wanted_by,
            // Without a zone in the text, seconds since an instant are in UTC.
            offset: offset.or((keys.parse == Some(ParseKey::Epoch)).then_some(0)),
        })
    }

    /// Says whether a value is nothing but the text of its field.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.filled == Filled::Field && self.steps == Steps::default() && !self.null_unquoted_only
    }
}

/// The keys that are there, by name.
fn given(keys: &ColumnKeys) -> Vec<&'static str> {
    let all = [
        ("from", keys.from.is_some()),
        ("null", keys.null.is_some()),
        ("null_quoted", keys.null_quoted.is_some()),
        ("trim", keys.trim.is_some()),
        ("split", keys.split.is_some()),
        ("case", keys.case.is_some()),
        ("pad", keys.pad.is_some()),
        ("lookup", keys.lookup.is_some()),
        ("parse", keys.parse.is_some()),
        ("thousands", keys.thousands.is_some()),
        ("decimal_point", keys.decimal_point.is_some()),
        ("implied_decimals", keys.implied_decimals.is_some()),
        ("sign", keys.sign.is_some()),
        ("true", keys.yes.is_some()),
        ("false", keys.no.is_some()),
        ("pattern", keys.pattern.is_some()),
        ("pivot", keys.pivot.is_some()),
        ("unit", keys.unit.is_some()),
        ("zone", keys.zone.is_some()),
        ("ambiguous", keys.ambiguous.is_some()),
        ("skipped", keys.skipped.is_some()),
        ("constant", keys.constant.is_some()),
        ("file_name", keys.file_name.is_some()),
        ("record_number", keys.record_number.is_some()),
        ("key_pattern", keys.key_pattern.is_some()),
        ("concat", keys.concat.is_some()),
        ("separator", keys.separator.is_some()),
    ];
    let there = all.into_iter().filter(|(_, there)| *there);
    there.map(|(key, _)| key).collect()
}

/// What the column is filled with, which is one thing.
fn filled(keys: &ColumnKeys, given: &[&'static str]) -> Result<Filled> {
    let ways: Vec<&str> = ORIGINS
        .into_iter()
        .filter(|way| given.contains(way))
        .collect();
    if let [one, other, ..] = ways[..] {
        bail!(
            "`{one}` and `{other}` exclude each other: a column is filled in one way; remove one of them"
        );
    }
    let asked = [
        ("file_name", keys.file_name),
        ("record_number", keys.record_number),
    ];
    for (key, said) in asked {
        ensure!(
            said != Some(false),
            "`{key} = false` says nothing: remove it"
        );
    }
    let alone = |way: &str, others: &[&str]| match others {
        [] => Ok(()),
        _ => bail!(
            "`{way}` goes without `{}`: remove it",
            others.join("` and `")
        ),
    };
    let others = |unwanted: &dyn Fn(&str) -> bool| -> Vec<&'static str> {
        let there = given.iter().filter(|key| unwanted(key));
        there.copied().collect()
    };
    if !given.contains(&"concat") {
        ensure!(
            !given.contains(&"separator"),
            "`separator` stands between the fields of `concat = [\"A\", \"B\"]`: add that, or remove it"
        );
    }
    let of_fields = |key: &str| matches!(key, "null" | "null_quoted");
    if let Some(constant) = &keys.constant {
        alone("constant", &others(&|key| key != "constant"))?;
        ensure!(
            !constant.0.contains('\0'),
            "`constant` holds a NUL, which PostgreSQL cannot store"
        );
        return Ok(Filled::Constant(constant.0.clone()));
    }
    if keys.record_number.is_some() {
        alone("record_number", &others(&|key| key != "record_number"))?;
        return Ok(Filled::RecordNumber);
    }
    if keys.file_name.is_some() {
        alone("file_name", &others(&of_fields))?;
        return Ok(Filled::FileName);
    }
    if let Some(pattern) = &keys.key_pattern {
        alone("key_pattern", &others(&of_fields))?;
        let pattern =
            KeyPattern::new(pattern).with_context(|| format!("`key_pattern = \"{pattern}\"`"))?;
        return Ok(Filled::KeyPart(pattern));
    }
    if let Some(names) = &keys.concat {
        ensure!(
            names.len() > 1,
            "`concat` puts several fields together: name at least two, or write `from`"
        );
        return Ok(Filled::Concat {
            names: names.clone(),
            separator: keys.separator.clone().unwrap_or_default(),
        });
    }
    Ok(Filled::Field)
}

/// What `zone` says as an offset; `None` without it, and for a name.
fn offset_of(keys: &ColumnKeys) -> Result<Option<i32>> {
    let named = keys.zone.as_deref().is_some_and(|zone| !is_offset(zone));
    for (key, there) in [
        ("ambiguous", keys.ambiguous.is_some()),
        ("skipped", keys.skipped.is_some()),
    ] {
        ensure!(
            !there || named,
            "`{key}` goes with a `zone` whose clocks change, such as America/New_York: write that, or remove `{key}`"
        );
    }
    match &keys.zone {
        Some(zone) if !named => Ok(Some(offset_seconds(zone)?)),
        _ => Ok(None),
    }
}

fn is_offset(zone: &str) -> bool {
    zone == "UTC" || zone.starts_with(['+', '-'])
}

/// `UTC`, `+05:30`, `-06:00` in seconds east of Greenwich.
fn offset_seconds(zone: &str) -> Result<i32> {
    if zone == "UTC" {
        return Ok(0);
    }
    let wrong = || {
        format!(
            "`zone = \"{zone}\"`: write UTC, an offset such as -06:00, or a name such as America/New_York"
        )
    };
    let (sign, rest) = match zone.split_at_checked(1).with_context(wrong)? {
        ("-", rest) => (-1, rest),
        (_, rest) => (1, rest),
    };
    let (hours, minutes) = rest.split_once(':').with_context(wrong)?;
    let hours: u8 = hours.parse().with_context(wrong)?;
    let minutes: u8 = minutes.parse().with_context(wrong)?;
    if hours > 15 || minutes > 59 {
        bail!(wrong());
    }
    Ok(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60))
}

/// What a value goes through.
fn steps(keys: &ColumnKeys, parse: Option<Parse>, source: &Path) -> Result<Steps> {
    let mut each = Vec::new();
    match keys.case {
        Some(CaseKey::Upper) => each.push(Step::Upper),
        Some(CaseKey::Lower) => each.push(Step::Lower),
        None => {}
    }
    if let Some(pad) = &keys.pad {
        let mut characters = pad.with.chars();
        let (Some(with), None) = (characters.next(), characters.next()) else {
            bail!("`pad` fills up with one character: write `pad = {{ with = \"0\", to = 11 }}`");
        };
        ensure!(
            with != '\0' && (1..=1000).contains(&pad.to),
            "`pad` fills up to a length from 1 to 1000"
        );
        each.push(Step::Pad { with, to: pad.to });
    }
    if let Some(lookup) = &keys.lookup {
        each.push(Step::Lookup(Arc::new(lookup::table(lookup, source)?)));
    }
    each.extend(parse.map(Step::parse));
    ensure!(
        keys.split.as_deref() != Some(""),
        "`split` is what stands between the elements, such as `split = \";\"`"
    );
    Ok(Steps {
        trim: match keys.trim {
            None | Some(TrimKey::None) => None,
            Some(TrimKey::Both) => Some(Trim::Both),
            Some(TrimKey::Left) => Some(Trim::Left),
            Some(TrimKey::Right) => Some(Trim::Right),
        },
        split: keys.split.clone(),
        each,
    })
}

/// What `parse` and its options say, and the types that it is for.
fn parse(keys: &ColumnKeys, offset: Option<i32>) -> Result<Option<(Parse, Wants)>> {
    let Some(form) = keys.parse else {
        let zone = keys.zone.as_deref().filter(|zone| !is_offset(zone));
        let zoned = zone.map(|name| Ok((zoned(name, None, keys)?, Wants::Timestamptz)));
        return zoned.transpose();
    };
    let pattern = || {
        let Some(written) = &keys.pattern else {
            bail!(
                "`parse = \"{}\"` needs `pattern`, such as {}",
                form.word(),
                if form == ParseKey::Time {
                    "HH24:MI:SS"
                } else {
                    "DD-MON-YYYY"
                }
            );
        };
        Pattern::new(written, keys.pivot).with_context(|| format!("`pattern = '{written}'`"))
    };
    Ok(Some(match form {
        ParseKey::Money => (Parse::Money, Wants::Number),
        ParseKey::Integer => (Parse::Integer(number(keys, None)?), Wants::Number),
        ParseKey::Decimal => (Parse::Decimal(number(keys, Some(b'.'))?), Wants::Number),
        ParseKey::Percent => (Parse::Percent(number(keys, Some(b'.'))?), Wants::Number),
        ParseKey::Boolean => (words(keys)?, Wants::Boolean),
        ParseKey::Date => (Parse::Date(date(pattern()?)?), Wants::Date),
        ParseKey::Time => (Parse::Time(time(pattern()?)?), Wants::Time),
        ParseKey::Timestamp => timestamp(pattern()?, keys, offset)?,
        ParseKey::Epoch => {
            let unit = match keys.unit {
                None | Some(UnitKey::Seconds) => Unit::Seconds,
                Some(UnitKey::Milliseconds) => Unit::Milliseconds,
                Some(UnitKey::Microseconds) => Unit::Microseconds,
            };
            (Parse::Epoch(unit), Wants::AnyTimestamp)
        }
    }))
}

fn number(keys: &ColumnKeys, point: Option<u8>) -> Result<Number> {
    let one = |key: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        match text.as_bytes() {
            [byte] if (byte.is_ascii_punctuation() && !b"+-%".contains(byte)) || *byte == b' ' => {
                Ok(Some(*byte))
            }
            _ => bail!("`{key} = \"{text}\"` must be one character such as `,` or `.`"),
        }
    };
    let thousands = one("thousands", &keys.thousands)?;
    let declared = one("decimal_point", &keys.decimal_point)?;
    let implied = keys.implied_decimals;
    ensure!(
        implied.is_none_or(|places| (1..=38).contains(&places)),
        "`implied_decimals` is the number of digits behind the point that is not written, from 1 to 38"
    );
    ensure!(
        implied.is_none() || declared.is_none(),
        "`implied_decimals` is for numbers without a written point: remove `decimal_point` or `implied_decimals`"
    );
    let point = if implied.is_some() {
        None
    } else {
        declared.or(point)
    };
    ensure!(
        thousands.is_none() || thousands != point,
        "`thousands` and the decimal point are the same character: declare the other one with `decimal_point`"
    );
    Ok(Number {
        thousands,
        point,
        implied: implied.unwrap_or_default(),
        sign: match keys.sign {
            None | Some(SignKey::Leading) => Sign::Leading,
            Some(SignKey::Trailing) => Sign::Trailing,
            Some(SignKey::Overpunch) => Sign::Overpunch,
        },
    })
}

fn words(keys: &ColumnKeys) -> Result<Parse> {
    let [yes, no] = [&keys.yes, &keys.no].map(|words| words.clone().unwrap_or_default());
    ensure!(
        !yes.is_empty() && !no.is_empty(),
        "`parse = \"boolean\"` needs both lists of words: `true = [\"Y\"]` and `false = [\"N\"]`"
    );
    if let Some(both) = yes.iter().find(|word| no.contains(word)) {
        bail!("`{both}` is in `true` and in `false`: remove it from one of them");
    }
    Ok(Parse::Boolean { yes, no })
}

fn has_zone(pattern: &Pattern) -> bool {
    pattern.has(Part::OffsetHours)
}

fn date(pattern: Pattern) -> Result<Pattern> {
    let written = pattern.as_written();
    ensure!(
        pattern.has_year() && !pattern.has_hour() && !has_zone(&pattern),
        "`pattern = '{written}'` is not that of a date: it needs a year, and a time needs `parse = \"timestamp\"`"
    );
    Ok(pattern)
}

fn time(pattern: Pattern) -> Result<Pattern> {
    let written = pattern.as_written();
    let dated = [Part::Month, Part::Day, Part::DayOfYear]
        .iter()
        .any(|part| pattern.has(*part));
    ensure!(
        pattern.has_hour() && !pattern.has_year() && !dated && !has_zone(&pattern),
        "`pattern = '{written}'` is not that of a time of day: it needs HH24, or HH12 with AM, and a date needs `parse = \"timestamp\"`"
    );
    Ok(pattern)
}

fn timestamp(pattern: Pattern, keys: &ColumnKeys, offset: Option<i32>) -> Result<(Parse, Wants)> {
    let written = pattern.as_written();
    ensure!(
        pattern.has_year(),
        "`pattern = '{written}'` has no year; a time of day alone needs `parse = \"time\"`"
    );
    ensure!(
        keys.zone.is_none() || !has_zone(&pattern),
        "`pattern = '{written}'` says the offset by itself (TZH): remove `zone`"
    );
    Ok(match &keys.zone {
        Some(name) if !is_offset(name) => (zoned(name, Some(pattern), keys)?, Wants::Timestamptz),
        _ if offset.is_some() || has_zone(&pattern) => {
            (Parse::Timestamp(pattern), Wants::Timestamptz)
        }
        _ => (Parse::Timestamp(pattern), Wants::Timestamp),
    })
}

fn zoned(name: &str, pattern: Option<Pattern>, keys: &ColumnKeys) -> Result<Parse> {
    let choice = |key: Option<ChoiceKey>| match key {
        Some(ChoiceKey::Earlier) => Some(Choice::Earlier),
        Some(ChoiceKey::Later) => Some(Choice::Later),
        Some(ChoiceKey::Reject) | None => None,
    };
    let mut zone = zone::named(name)?;
    zone.ambiguous = choice(keys.ambiguous);
    zone.skipped = choice(keys.skipped);
    Ok(Parse::Zoned { pattern, zone })
}

impl ParseKey {
    fn word(self) -> &'static str {
        match self {
            ParseKey::Money => "money",
            ParseKey::Integer => "integer",
            ParseKey::Decimal => "decimal",
            ParseKey::Percent => "percent",
            ParseKey::Boolean => "boolean",
            ParseKey::Date => "date",
            ParseKey::Time => "time",
            ParseKey::Timestamp => "timestamp",
            ParseKey::Epoch => "epoch",
        }
    }
}

#[cfg(test)]
#[path = "column_tests.rs"]
mod tests;
