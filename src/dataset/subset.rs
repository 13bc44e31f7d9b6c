//! `[subset]` of `dataset.toml`: which rows a small copy of a build holds, and how they are hidden.
//!
//! In: its keys. Out: the same, checked one by one; what they mean for the tables of a build is found
//! out in `subset/rules.rs`, where there is a catalog to hold them against. Unknown keys are errors:
//! a misspelt mask would let through what it was to hide.

use super::form::deserialize_either;
use crate::units::Bytes;
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The keys of `[subset]`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubsetFile {
    /// Another seed chooses other rows; the same chooses the same every day.
    #[schemars(extend("default" = "overnight", "examples" = ["2027"]))]
    pub seed: String,
    /// Share of each table without a rule of its own.
    #[schemars(extend("x-default" = "1 when no table has a rule, else 0", "examples" = [0.5]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// How many rows that refer to a row come with it, where `references` says nothing else: a
    /// number for each row, `"all"` or `"none"`.
    #[schemars(extend("default" = "none", "examples" = ["all", 5]))]
    pub children: Children,
    /// References between tables that no foreign key declares, and how many children come along
    /// those that one does.
    #[schemars(extend("default" = [], "examples" = [[{ "from": "price(plan_id, year)", "to": "plan(id, year)", "children": 5 }]]))]
    pub references: Vec<ReferenceFile>,
    /// Tables that no source fills.
    #[schemars(extend("default" = "copy", "examples" = ["derive"]))]
    pub derived: Derived,
    /// What becomes of a column that `columns` does not name.
    #[schemars(extend("default" = "keep", "examples" = ["deny"]))]
    pub privacy: Privacy,
    /// The key of the masks: `env:NAME` or `file:PATH`, at least 16 bytes.
    #[schemars(extend("default" = "env:OVERNIGHT_SUBSET_KEY", "examples" = ["file:/run/secrets/subset_key"]))]
    #[serde(skip_serializing)]
    pub key: String,
    /// More rows are an error.
    #[schemars(extend("default" = 5_000_000, "examples" = [100_000]))]
    #[serde(skip_serializing)]
    pub max_rows: u64,
    /// More bytes, as estimated from the build, are an error.
    #[schemars(extend("default" = "2GiB", "examples" = ["500MiB"]))]
    #[serde(skip_serializing)]
    pub max_bytes: Bytes,
    /// Where the nightly run writes an artifact of the live build, and `overnight subset pull` looks for
    /// the newest; `{dataset}` stands for the name.
    #[schemars(extend("x-default" = "none", "examples" = ["s3://builds/subsets/{dataset}/"]))]
    #[serde(skip_serializing)]
    pub artifact: Option<String>,
    /// Rules of single tables, by name, with the schema where that is not `public`.
    #[schemars(extend("x-default" = "none", "x-of" = "TABLE", "examples" = [{ "plan": { "percent": 1 }, "county": { "all": true } }]))]
    pub tables: BTreeMap<String, TableFile>,
}

impl Default for SubsetFile {
    fn default() -> SubsetFile {
        SubsetFile {
            seed: "overnight".into(),
            percent: None,
            children: Children::None,
            references: Vec::new(),
            derived: Derived::Copy,
            privacy: Privacy::Keep,
            key: "env:OVERNIGHT_SUBSET_KEY".into(),
            max_rows: 5_000_000,
            max_bytes: Bytes(2 << 30),
            artifact: None,
            tables: BTreeMap::new(),
        }
    }
}

/// The rule of one table.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TableFile {
    /// Only rows for which this SQL condition holds; columns are those of the table.
    #[serde(rename = "where")]
    #[schemars(extend("x-default" = "every row", "examples" = ["state = 'AL'"]))]
    pub condition: Option<String>,
    /// Share of the rows, by a hash of their key: the same rows every day.
    #[schemars(extend("x-default" = "as `subset.percent`", "examples" = [1]))]
    pub percent: Option<f64>,
    /// At most so many of these rows, those with the smallest hashes.
    #[schemars(extend("x-default" = "none", "examples" = [100]))]
    pub limit: Option<u64>,
    /// The whole table.
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub all: bool,
    /// Nothing but what other rows refer to; no children either.
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub none: bool,
    /// Rows that must come, by their primary key, each as a list of its columns.
    #[schemars(extend("default" = [], "examples" = [[["H1013", "001", "000"]]]))]
    pub include: Vec<Vec<KeyText>>,
    /// What becomes of columns: `keep`, `drop` (the column's default), `null`, `hash`, `shuffle`, or
    /// `fake:` and one of name, first_name, last_name, email, phone, street, city, company; `"*"` stands
    /// for the others.
    #[schemars(extend("default" = {}, "x-of" = "COLUMN", "examples" = [{ "ssn": "drop", "name": "fake:name", "email": "hash" }]))]
    pub columns: BTreeMap<String, ColumnFate>,
}

/// A reference between tables.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceFile {
    /// The referring table and its columns.
    #[schemars(extend("examples" = ["price(plan_id, year)"]))]
    pub from: String,
    /// The table and columns referred to.
    #[schemars(extend("examples" = ["plan(id, year)"]))]
    pub to: String,
    /// How many referring rows come with a row: a number, `"all"` or `"none"`.
    #[schemars(extend("x-default" = "as `subset.children`", "examples" = [5]))]
    pub children: Option<Children>,
}

/// How many referring rows come with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Children {
    None,
    /// So many for each row, those with the smallest hashes.
    Most(u64),
    All,
}

/// What becomes of tables that no source fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Derived {
    /// Their rows are chosen and copied like any others.
    Copy,
    /// The derive files fill them again from the rows of the subset.
    Derive,
}

/// What becomes of a column that nobody declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// It is copied.
    Keep,
    /// It is an error.
    Deny,
}

/// A part of a key, as its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyText(pub String);

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnFate {
    Keep,
    /// Not copied: it gets its default.
    Drop,
    Null,
    Hash,
    Shuffle,
    Fake(Fake),
}

/// What an invented value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fake {
    Name,
    FirstName,
    LastName,
    Email,
    Phone,
    Street,
    City,
    Company,
}

impl Children {
    fn number(number: i128) -> Result<Children> {
        match u64::try_from(number) {
            Ok(0) => Ok(Children::None),
            Ok(most) => Ok(Children::Most(most)),
            Err(_) => bail!("children = {number}: write a number, \"all\" or \"none\""),
        }
    }

    fn word(word: &str) -> Result<Children> {
        match word {
            "all" => Ok(Children::All),
            "none" => Ok(Children::None),
            other => bail!("children = \"{other}\": write a number, \"all\" or \"none\""),
        }
    }
}

impl ColumnFate {
    fn word(word: &str) -> Result<ColumnFate> {
        Ok(match word {
            "keep" => ColumnFate::Keep,
            "drop" => ColumnFate::Drop,
            "null" => ColumnFate::Null,
            "hash" => ColumnFate::Hash,
            "shuffle" => ColumnFate::Shuffle,
            "fake:name" => ColumnFate::Fake(Fake::Name),
            "fake:first_name" => ColumnFate::Fake(Fake::FirstName),
            "fake:last_name" => ColumnFate::Fake(Fake::LastName),
            "fake:email" => ColumnFate::Fake(Fake::Email),
            "fake:phone" => ColumnFate::Fake(Fake::Phone),
            "fake:street" => ColumnFate::Fake(Fake::Street),
            "fake:city" => ColumnFate::Fake(Fake::City),
            "fake:company" => ColumnFate::Fake(Fake::Company),
            other => bail!(
                "`{other}` is nothing that a column can become: write keep, drop, null, hash, shuffle, or fake: with name, first_name, last_name, email, phone, street, city or company"
            ),
        })
    }

    /// Whether the key of the masks is needed.
    pub fn is_keyed(self) -> bool {
        matches!(
            self,
            ColumnFate::Hash | ColumnFate::Shuffle | ColumnFate::Fake(_)
        )
    }
}

deserialize_either!(
    Children,
    "a number, `\"all\"` or `\"none\"`",
    visit_i64(number: i64) => Children::number(number.into()),
    visit_u64(number: u64) => Children::number(number.into()),
    visit_str(word: &str) => Children::word(word),
);

deserialize_either!(
    KeyText,
    "a text or a number",
    visit_i64(number: i64) => anyhow::Ok(KeyText(number.to_string())),
    visit_u64(number: u64) => anyhow::Ok(KeyText(number.to_string())),
    visit_str(text: &str) => anyhow::Ok(KeyText(text.to_owned())),
);

deserialize_either!(
    ColumnFate,
    "what becomes of the column: keep, drop, null, hash, shuffle or fake:KIND",
    visit_str(word: &str) => ColumnFate::word(word),
);
