//! The keys of `[columns]` of a source file, as they are written.
//!
//! In: TOML. Out: [`ColumnKeys`], not yet checked: which keys go together,
//! [`ColumnRule`](super::ColumnRule) says.

use super::form::deserialize_either;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::collections::BTreeMap;

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

/// `column = "NAME"`, or its keys.
#[derive(Debug)]
pub(super) enum ColumnFile {
    From(String),
    Keys(Box<ColumnKeys>),
}

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
    // 1.10 would become 1.1, and long fractions others.
    visit_f64(_number: f64) => Err::<Constant, _>(anyhow::anyhow!("write a `constant` with a fraction as a text, as in `\"1.10\"`, so that its digits stay as they are")),
    visit_bool(value: bool) => anyhow::Ok(Constant(value.to_string())),
);

/// Which texts `trim` takes.
fn trim_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, "left", "right"] })
}
