//! `[expect]` of a source file: what a night's load must look like.
//!
//! In: its keys. Out: whether counts are within them. Nothing is counted here.

use super::expect_change::{Change, ExpectColumn, ExpectGroups, ExpectKeys, Level};
use super::form::deserialize_either;
use crate::units::Percent;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    /// Rows for each value of some columns, against the last published build.
    #[schemars(extend("default" = [], "examples" = [[{ "by": "state", "change": "30%" }]]))]
    #[serde(default)]
    pub groups: Vec<ExpectGroups>,
    /// How many keys may come, go and change against the last published build. Compared only where
    /// this is declared: it reads both tables.
    #[schemars(extend("x-default" = "not compared", "examples" = [{ "added": "5%", "removed": "1%", "changed": "30%" }]))]
    pub keys: Option<ExpectKeys>,
    /// What happens when the columns do not look like those of the last published build.
    #[schemars(extend("x-default" = "what `dataset.toml` says", "examples" = ["warn"]))]
    pub profile: Option<Level>,
    /// For a column by its name: how far its figures may move.
    #[schemars(extend("x-default" = "the usual limits", "examples" = [{ "remark": { "nulls": "60%" } }]))]
    #[serde(default)]
    pub columns: BTreeMap<String, ExpectColumn>,
}

/// Rows loaded into the table.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectRows {
    /// Fewer rows fail the run.
    #[schemars(extend("default" = 1, "examples" = [100]))]
    pub min: Option<u64>,
    /// More rows fail the run.
    #[schemars(extend("x-default" = "none", "examples" = [90_000]))]
    pub max: Option<u64>,
    /// Largest difference from the last published build: one share for both directions, or
    /// `{ up = "50%", down = "10%" }`.
    #[schemars(extend("x-default" = "from 40% fewer to 80% more, of 200 rows and above", "examples" = ["20%"]))]
    pub change: Option<Change>,
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

deserialize_either!(
    Limit,
    "a number of records, or a share such as `\"0.1%\"`",
    visit_i64(records: i64) => u64::try_from(records).map(Limit::Records),
    visit_u64(records: u64) => anyhow::Ok(Limit::Records(records)),
    visit_str(share: &str) => share.parse().map(Limit::Share),
);

/// A budget: a count cannot be below zero, and a text is a share.
fn limit_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [generator.subschema_for::<u64>(), generator.subschema_for::<Percent>()] })
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
