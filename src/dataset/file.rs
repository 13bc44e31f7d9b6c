//! The keys of `dataset.toml` and of source files, as they are written.
//!
//! Unknown keys are errors, because a misspelt key that is ignored would change what is loaded
//! without a word; every error names the file and the line.

use super::format_file::FormatFile;
use crate::problem::Problem;
use crate::units::{Percent, Span};
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The keys of `dataset.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFile {
    /// The schema version that the services were built against.
    pub schema_version: i32,
    /// Prefix of the raw objects below the input location.
    #[serde(default)]
    pub files_under: String,
    /// When the inputs are complete.
    pub ready_when: Option<Ready>,
    /// The newest input must not be older than this.
    pub max_age: Option<Span>,
    /// Roles that get SELECT in the build and CONNECT when the alias moves.
    #[serde(default)]
    pub readers: Vec<String>,
    /// How many published builds are kept, the live one included.
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Who looks through the alias after a flip; default: the first reader, if this tool may become it.
    pub probe: Option<Probe>,
}

fn default_keep() -> usize {
    3
}

/// When the inputs of a night are complete.
#[derive(Debug)]
pub enum Ready {
    /// An object of this name lies below the prefix.
    Marker(String),
    /// No input is younger than this.
    Settled(Settled),
}

/// `{ min_age = "10m" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    pub min_age: Span,
}

/// The login that looks through the alias after a flip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub user: String,
    /// `env:NAME` or `file:PATH`; without it, libpq's own places.
    pub password: Option<String>,
}

/// Where a column's text is found and how it is spelled, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnKeys {
    /// Name in the header; default: the name that folds to the column's own.
    pub from: Option<String>,
    /// Texts that mean NULL, instead of the format's.
    pub null: Option<Vec<String>>,
    /// Whether a text in quotes may mean NULL.
    pub null_quoted: Option<bool>,
    pub trim: Option<TrimKey>,
    /// What stands between the elements of an array.
    pub split: Option<String>,
    pub case: Option<CaseKey>,
    pub pad: Option<PadKeys>,
    pub lookup: Option<LookupKey>,
    pub parse: Option<ParseKey>,
    /// The character between groups of three digits.
    pub thousands: Option<String>,
    /// The character before the fraction.
    pub decimal_point: Option<String>,
    pub implied_decimals: Option<usize>,
    pub sign: Option<SignKey>,
    #[serde(rename = "true")]
    pub yes: Option<Vec<String>>,
    #[serde(rename = "false")]
    pub no: Option<Vec<String>>,
    /// In the words of PostgreSQL's `to_char`.
    pub pattern: Option<String>,
    /// Years of two digits below it are 20YY, the others 19YY.
    pub pivot: Option<u32>,
    pub unit: Option<UnitKey>,
    /// Of zone-less `timestamptz` texts: `UTC`, `+HH:MM` or a name such as `America/New_York`.
    pub zone: Option<String>,
    /// Which of two instants a time is that the clocks of the zone showed twice.
    pub ambiguous: Option<ChoiceKey>,
    /// How a time is read that the clocks of the zone left out.
    pub skipped: Option<ChoiceKey>,
    /// The same value for every record.
    pub constant: Option<Constant>,
    /// The name of the file that the record is in.
    pub file_name: Option<bool>,
    /// The number of the record in its file, from 1.
    pub record_number: Option<bool>,
    /// The part in braces of the object's key.
    pub key_pattern: Option<String>,
    /// Names of fields that are put one behind the other.
    pub concat: Option<Vec<String>>,
    pub separator: Option<String>,
}

/// How a value is spelled, where the server's own spelling does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParseKey {
    /// `$1,234.00 ` and `($60.80)`.
    Money,
    Integer,
    Decimal,
    Percent,
    Boolean,
    Date,
    Time,
    Timestamp,
    Epoch,
}

/// `true`, `"left"` or `"right"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrimKey {
    None,
    Both,
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseKey {
    Upper,
    Lower,
}

/// `{ with = "0", to = 11 }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadKeys {
    pub with: String,
    pub to: usize,
}

/// Text -> value, here or in a file beside the source file.
#[derive(Debug, Clone)]
pub enum LookupKey {
    Here(BTreeMap<String, String>),
    File(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignKey {
    Leading,
    Trailing,
    Overpunch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKey {
    Seconds,
    Milliseconds,
    Microseconds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceKey {
    Earlier,
    Later,
    Reject,
}

/// A value as the server spells it.
#[derive(Debug, Clone)]
pub struct Constant(pub String);

/// What a night's load must look like.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    #[serde(default)]
    pub rows: ExpectRows,
    #[serde(default)]
    pub rejects: ExpectRejects,
}

/// Rows loaded into the table.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectRows {
    pub min: Option<u64>,
    /// Largest difference from the last published build, up or down.
    pub change: Option<Percent>,
}

/// How many records may be rejected before the run fails.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectRejects {
    pub max: Option<Limit>,
}

/// A number of records, or a share of the records read.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    Records(u64),
    Share(Percent),
}

impl ExpectRejects {
    /// Whether `rejected` of `read` records are within the budget. Without a budget, none are.
    pub fn allows(&self, rejected: u64, read: u64) -> bool {
        match self.max {
            None => rejected == 0,
            Some(Limit::Records(most)) => rejected <= most,
            Some(Limit::Share(share)) => rejected as f64 <= read as f64 * share.0 / 100.0,
        }
    }

    /// Whether a reject can be collected at all; if not, the first one ends the load.
    pub fn collects(&self) -> bool {
        !matches!(self.max, None | Some(Limit::Records(0)))
    }

    /// The budget in words.
    pub fn describe(&self) -> String {
        match self.max {
            None => "none".into(),
            Some(Limit::Records(most)) => format!("at most {most}"),
            Some(Limit::Share(share)) => format!("at most {share}"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceFile {
    pub(super) table: String,
    pub(super) files: String,
    #[serde(default)]
    pub(super) format: FormatFile,
    #[serde(default)]
    pub(super) columns: BTreeMap<String, ColumnFile>,
    #[serde(default)]
    pub(super) ignore: Vec<String>,
    #[serde(default)]
    pub(super) absent: Vec<String>,
    #[serde(default)]
    pub(super) order_by: Vec<String>,
    #[serde(default)]
    pub(super) keep_raw: bool,
    #[serde(default)]
    pub(super) expect: Expect,
}

/// `"a"` or `["a", "b"]`.
#[derive(Debug)]
pub(super) struct OneOrMore(pub(super) Vec<String>);

#[derive(Debug)]
pub(super) enum ColumnFile {
    From(String),
    Keys(Box<ColumnKeys>),
}

/// Reads one of two forms by what stands there. (`#[serde(untagged)]` would try one form after the
/// other and then say neither which key was wrong nor in which line.)
macro_rules! deserialize_either {
    ($type:ty, $expected:literal, $($visit:ident($argument:ident: $form:ty) => $value:expr,)*) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Either;
                impl<'de> serde::de::Visitor<'de> for Either {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    $(deserialize_either!(@ $visit $argument $form, $value);)*
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
    (@ visit_map $argument:ident $form:ty, $value:expr) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let $argument: $form = serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
            Ok($value)
        }
    };
    (@ visit_seq $argument:ident $form:ty, $value:expr) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            let $argument: $form = serde::Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
            Ok($value)
        }
    };
    (@ $visit:ident $argument:ident $form:ty, $value:expr) => {
        fn $visit<E: serde::de::Error>(self, $argument: $form) -> Result<Self::Value, E> {
            $value.map_err(E::custom)
        }
    };
}
pub(super) use deserialize_either;
deserialize_either!(
    Ready,
    "the name of a marker, or `{ min_age = \"10m\" }`",
    visit_str(name: &str) => anyhow::Ok(Ready::Marker(name.to_owned())),
    visit_map(settled: Settled) => Ready::Settled(settled),
);
deserialize_either!(
    ColumnFile,
    "a name in the header, or a table such as `{ from = \"NAME\" }`",
    visit_str(from: &str) => anyhow::Ok(ColumnFile::From(from.to_owned())),
    visit_map(keys: ColumnKeys) => ColumnFile::Keys(Box::new(keys)),
);
deserialize_either!(
    TrimKey,
    "true, \"left\" or \"right\"",
    visit_bool(both: bool) => anyhow::Ok(if both { TrimKey::Both } else { TrimKey::None }),
    visit_str(side: &str) => match side {
        "left" => Ok(TrimKey::Left),
        "right" => Ok(TrimKey::Right),
        _ => Err(anyhow::anyhow!("`trim` is true, \"left\" or \"right\"")),
    },
);
deserialize_either!(
    LookupKey,
    "a table such as `{ A = \"active\" }`, or the name of a CSV file beside this one",
    visit_str(file: &str) => anyhow::Ok(LookupKey::File(file.to_owned())),
    visit_map(table: BTreeMap<String, String>) => LookupKey::Here(table),
);
deserialize_either!(
    Constant,
    "a text, a number, true or false",
    visit_str(text: &str) => anyhow::Ok(Constant(text.to_owned())),
    visit_i64(number: i64) => anyhow::Ok(Constant(number.to_string())),
    visit_f64(number: f64) => anyhow::Ok(Constant(number.to_string())),
    visit_bool(value: bool) => anyhow::Ok(Constant(value.to_string())),
);
deserialize_either!(
    OneOrMore,
    "a text, or a list of texts",
    visit_str(one: &str) => anyhow::Ok(OneOrMore(vec![one.to_owned()])),
    visit_seq(more: Vec<String>) => OneOrMore(more),
);
deserialize_either!(
    Limit,
    "a number of records, or a share such as `\"0.1%\"`",
    visit_i64(records: i64) => u64::try_from(records).map(Limit::Records),
    visit_u64(records: u64) => anyhow::Ok(Limit::Records(records)),
    visit_str(share: &str) => share.parse().map(Limit::Share),
);

/// Reads TOML; the error names the file and shows the line.
pub fn parse_toml<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let place = match line {
            Some(line) => format!("`{}` line {line}", path.display()),
            None => format!("`{}`", path.display()),
        };
        anyhow::Error::new(Problem::usage(format!("{place}: {}", error.message())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reject_budget_counts_records_or_a_share() {
        let none = ExpectRejects { max: None };
        assert!(none.allows(0, 10) && !none.allows(1, 10) && !none.collects());
        let share = ExpectRejects {
            max: Some(Limit::Share(Percent(10.0))),
        };
        assert!(share.allows(1, 10) && !share.allows(2, 10) && share.collects());
    }
}
