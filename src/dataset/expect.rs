//! `[expect]` of a source file: what a night's load must look like.
//!
//! In: its keys. Out: whether counts are within them. Nothing is counted here.

use super::form::deserialize_either;
use crate::units::Percent;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

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
