//! The keys of `dataset.toml` and of source files, as they are written.
//!
//! Unknown keys are errors, because a misspelt key that is ignored would change what is loaded
//! without a word; every error names the file and the line.

use super::format_file::FormatFile;
use crate::problem::Problem;
use crate::units::{Percent, Span};
use anyhow::Result;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The keys of `dataset.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetFile {
    /// The schema version that the services were built against: that of
    /// `overnight.declare_version(N)` in the first schema file.
    #[schemars(extend("examples" = [3]))]
    pub schema_version: i32,
    /// Prefix of the raw objects below the input location.
    #[schemars(extend("default" = "", "examples" = ["planinfo/"]))]
    #[serde(default)]
    pub files_under: String,
    /// When the inputs are complete: a marker below the prefix, or `{ min_age = "10m" }`.
    #[schemars(extend("x-default" = "at once", "examples" = ["_SUCCESS", { "min_age": "10m" }]))]
    pub ready_when: Option<Ready>,
    /// The newest input must not be older than this.
    #[schemars(extend("x-default" = "none", "examples" = ["36h"]))]
    pub max_age: Option<Span>,
    /// Roles that get SELECT in the build and CONNECT when the alias moves.
    #[schemars(extend("default" = [], "examples" = [["planinfo_reader"]]))]
    #[serde(default)]
    pub readers: Vec<String>,
    /// How many published builds are kept, the live one included; at least 2.
    #[schemars(extend("default" = 3, "examples" = [5]))]
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Who looks through the alias after a flip.
    #[schemars(extend("x-default" = "the first reader, if this tool may become it", "examples" = [{ "user": "planinfo_reader", "password": "env:PLANINFO_READER_PASSWORD" }]))]
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// No input is younger than this.
    #[schemars(extend("examples" = ["10m"]))]
    pub min_age: Span,
}

/// The login that looks through the alias after a flip.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Role that logs in.
    #[schemars(extend("examples" = ["planinfo_reader"]))]
    pub user: String,
    /// Its password: `env:NAME` or `file:PATH`.
    #[schemars(extend("x-default" = "libpq's own places", "examples" = ["env:PLANINFO_READER_PASSWORD"]))]
    pub password: Option<String>,
}

/// Where a column's text is found and how it is spelled, as it is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnKeys {
    /// Where the text is: the name in the header, that name with its number such as `#7` or
    /// `AMOUNT#2`, a path into JSON or XML.
    #[schemars(extend("x-default" = "the name that folds to the column's own", "examples" = ["Premium ($)"]))]
    pub from: Option<String>,
    /// Texts that mean NULL in this column, compared whole and exactly.
    #[schemars(extend("x-default" = "that of format.null", "examples" = [["", "Not Applicable"]]))]
    pub null: Option<Vec<String>>,
    /// With `false` a text in quotes is never a null.
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub null_quoted: Option<bool>,
    /// White space goes from both ends, from the left or from the right.
    #[serde(default)]
    #[schemars(schema_with = "trim_schema", extend("default" = false, "examples" = [true]))]
    pub trim: Option<TrimKey>,
    /// What stands between the elements of an array column.
    #[schemars(extend("x-default" = "none", "examples" = [";"]))]
    pub split: Option<String>,
    /// Letters become upper or lower case, by the rules of Unicode.
    #[schemars(extend("x-default" = "as it is", "examples" = ["upper"]))]
    pub case: Option<CaseKey>,
    /// Fills a text up in front.
    #[schemars(extend("x-default" = "none", "examples" = [{ "with": "0", "to": 11 }]))]
    pub pad: Option<PadKeys>,
    /// Replaces a text by another; one that is not listed is a reject. A table, or the name of a
    /// CSV file beside the source file whose first line is `from,to`.
    #[schemars(extend("x-default" = "none", "examples" = [{ "A": "active", "U": "" }]))]
    pub lookup: Option<LookupKey>,
    /// How a value is spelled, where the server's own spelling does not fit.
    #[schemars(extend("x-default" = "as the server reads the column's type", "examples" = ["money"]))]
    pub parse: Option<ParseKey>,
    /// The character that may stand between groups of three digits.
    #[schemars(extend("x-default" = "none", "examples" = [","]))]
    pub thousands: Option<String>,
    /// The character before the fraction.
    #[schemars(extend("default" = ".", "examples" = [","]))]
    pub decimal_point: Option<String>,
    /// So many of the digits lie behind a point that is not written, 1 to 38.
    #[schemars(extend("x-default" = "none", "examples" = [2]))]
    pub implied_decimals: Option<usize>,
    /// Where the sign of a number is.
    #[schemars(extend("default" = "leading", "examples" = ["trailing"]))]
    pub sign: Option<SignKey>,
    /// Words for true, with `parse = "boolean"`.
    #[serde(rename = "true")]
    #[schemars(extend("x-default" = "none", "examples" = [["Y"]]))]
    pub yes: Option<Vec<String>>,
    /// Words for false, with `parse = "boolean"`.
    #[serde(rename = "false")]
    #[schemars(extend("x-default" = "none", "examples" = [["N"]]))]
    pub no: Option<Vec<String>>,
    /// How a date or a time is written, in the words of PostgreSQL's `to_char`. Required with
    /// `date`, `time` and `timestamp`.
    #[schemars(extend("x-default" = "none", "examples" = ["DD-MON-YYYY"]))]
    pub pattern: Option<String>,
    /// Years of two digits below it are 20YY, the others 19YY. Required with `YY`.
    #[schemars(extend("x-default" = "none", "examples" = [30]))]
    pub pivot: Option<u32>,
    /// What an epoch counts since 1970-01-01 00:00 UTC.
    #[schemars(extend("default" = "seconds", "examples" = ["milliseconds"]))]
    pub unit: Option<UnitKey>,
    /// The zone of `timestamptz` texts without an offset: `UTC`, an offset such as `-06:00`, or a
    /// name of the time zone database.
    #[schemars(extend("x-default" = "none", "examples" = ["America/New_York"]))]
    pub zone: Option<String>,
    /// Which instant a time is that the clocks of the zone showed twice.
    #[schemars(extend("default" = "reject", "examples" = ["later"]))]
    pub ambiguous: Option<ChoiceKey>,
    /// How a time is read that the clocks of the zone left out.
    #[schemars(extend("default" = "reject", "examples" = ["later"]))]
    pub skipped: Option<ChoiceKey>,
    /// The same value in every row, spelled as PostgreSQL spells it.
    #[schemars(extend("x-default" = "none", "examples" = ["CMS"]))]
    pub constant: Option<Constant>,
    /// The last name of the object's key, without its folders.
    #[schemars(extend("x-default" = "none", "examples" = [true]))]
    pub file_name: Option<bool>,
    /// The number of the record in its file, from 1.
    #[schemars(extend("x-default" = "none", "examples" = [true]))]
    pub record_number: Option<bool>,
    /// The part in braces of the object's key.
    #[schemars(extend("x-default" = "none", "examples" = ["pricing_{date}.txt"]))]
    pub key_pattern: Option<String>,
    /// Names of fields that are put one behind the other.
    #[schemars(extend("x-default" = "none", "examples" = [["FIRST", "LAST"]]))]
    pub concat: Option<Vec<String>>,
    /// What stands between the fields of `concat`.
    #[schemars(extend("default" = "", "examples" = [" "]))]
    pub separator: Option<String>,
}

/// How a value is spelled, where the server's own spelling does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParseKey {
    /// `$1,234.00 ` and `($60.80)`.
    Money,
    /// `1,234`, `12-`.
    Integer,
    /// `1.234,50`, or digits with a point that is not written.
    Decimal,
    /// `12.5%` as 0.125.
    Percent,
    /// Words of two lists.
    Boolean,
    /// A day by a pattern.
    Date,
    /// A time of day by a pattern.
    Time,
    /// A day and a time by a pattern.
    Timestamp,
    /// Seconds since 1970, or parts of them.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseKey {
    /// `ABC`
    Upper,
    /// `abc`
    Lower,
}

/// `{ with = "0", to = 11 }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PadKeys {
    /// The character.
    #[schemars(extend("examples" = ["0"]))]
    pub with: String,
    /// The length that is filled up to, 1 to 1000.
    #[schemars(extend("examples" = [11]))]
    pub to: usize,
}

/// Text -> value, here or in a file beside the source file.
#[derive(Debug, Clone)]
pub enum LookupKey {
    Here(BTreeMap<String, String>),
    File(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignKey {
    /// `-12`
    Leading,
    /// `12-`
    Trailing,
    /// `1K`, the sign in the last digit.
    Overpunch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitKey {
    Seconds,
    Milliseconds,
    Microseconds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceKey {
    /// The earlier instant.
    Earlier,
    /// The later instant.
    Later,
    /// No instant: a reject.
    Reject,
}

/// A value as the server spells it.
#[derive(Debug, Clone)]
pub struct Constant(pub String);

/// What a night's load must look like.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Rows loaded into the table.
    #[schemars(extend("x-default" = "at least one row", "examples" = [{ "min": 100, "change": "20%" }]))]
    #[serde(default)]
    pub rows: ExpectRows,
    /// Records that may be rejected.
    #[schemars(extend("x-default" = "no reject", "examples" = [{ "max": "0.1%" }]))]
    #[serde(default)]
    pub rejects: ExpectRejects,
}

/// Rows loaded into the table.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectRows {
    /// Fewer rows fail the run.
    #[schemars(extend("default" = 1, "examples" = [100]))]
    pub min: Option<u64>,
    /// Largest difference from the last published build, up or down.
    #[schemars(extend("x-default" = "none", "examples" = ["20%"]))]
    pub change: Option<Percent>,
}

/// How many records may be rejected before the run fails.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectRejects {
    /// More rejects fail the run: a number of records, or a share of those read.
    #[serde(default)]
    #[schemars(schema_with = "limit_schema", extend("default" = 0, "examples" = ["0.1%"]))]
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceFile {
    /// The table that the rows go into, with its schema if that is not `public`.
    #[schemars(extend("examples" = ["price"]))]
    pub(super) table: String,
    /// Glob for keys below the prefix of the dataset; behind each `!` one for the members of archives.
    #[schemars(extend("examples" = ["spuf/*.zip!pricing*.txt"]))]
    pub(super) files: String,
    /// What the files are, and how they are spelled.
    #[schemars(extend("x-default" = "delimited text", "examples" = [{ "delimiter": "|", "quote": "none" }]))]
    #[serde(default)]
    pub(super) format: FormatFile,
    /// For each column that is not simply found by its name: where its text is, and how it is spelled.
    #[schemars(extend("x-default" = "by name", "examples" = [{ "premium": "Premium ($)" }]))]
    #[serde(default)]
    pub(super) columns: BTreeMap<String, ColumnFile>,
    /// Names in the file that are not loaded.
    #[schemars(extend("default" = [], "examples" = [["Internal note", "#9"]]))]
    #[serde(default)]
    pub(super) ignore: Vec<String>,
    /// Columns of the table that no file fills: they get their default.
    #[schemars(extend("default" = [], "examples" = [["remark"]]))]
    #[serde(default)]
    pub(super) absent: Vec<String>,
    /// Columns of the table by which the rows are sorted while they are loaded.
    #[schemars(extend("default" = [], "examples" = [["plan", "drug"]]))]
    #[serde(default)]
    pub(super) order_by: Vec<String>,
    /// The list of `--rejects` shows the rejected records themselves.
    #[schemars(extend("default" = false, "examples" = [true]))]
    #[serde(default)]
    pub(super) keep_raw: bool,
    /// What a night's load must look like; otherwise it is not published.
    #[schemars(extend("x-default" = "at least one row, and no reject", "examples" = [{ "rows": { "min": 100 }, "rejects": { "max": "0.1%" } }]))]
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
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "anyOf": [$(generator.subschema_for::<$form>()),*] })
            }
        }

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

/// Which texts `trim` takes.
fn trim_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, "left", "right"] })
}

/// A budget: a count cannot be below zero, and a text is a share.
fn limit_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [generator.subschema_for::<u64>(), generator.subschema_for::<Percent>()] })
}

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
