//! `[expect]` of a source file: how far a night may differ from the last published build.
//!
//! In: its keys. Out: limits, each with the default that holds where nothing is said. Nothing is
//! compared here.

use super::form::{OneOrMore, deserialize_either};
use crate::units::Percent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What happens when a figure has moved too far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The build is not published.
    #[default]
    Refuse,
    /// It is said, and nothing is stopped.
    Warn,
    /// Nothing is measured.
    Off,
}

/// How far a number of rows may move, up and down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    pub up: Option<Percent>,
    pub down: Option<Percent>,
}

/// `{ up = "50%", down = "10%" }`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directions {
    /// Most that may come; without it, any number.
    #[schemars(extend("x-default" = "none", "examples" = ["50%"]))]
    up: Option<Percent>,
    /// Most that may go; without it, all.
    #[schemars(extend("x-default" = "none", "examples" = ["10%"]))]
    down: Option<Percent>,
}

impl Change {
    /// Whether going from `old` to `new` rows is within it.
    pub fn allows(&self, old: u64, new: u64) -> bool {
        let percent = Self::percent(old, new);
        self.up.is_none_or(|most| percent <= most.0)
            && self.down.is_none_or(|most| percent >= -most.0)
    }

    /// The difference in per cent of `old`; infinite for rows where there were none.
    pub fn percent(old: u64, new: u64) -> f64 {
        match (old, new) {
            (0, 0) => 0.0,
            (0, _) => f64::INFINITY,
            (old, new) => (new as f64 - old as f64) * 100.0 / old as f64,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.up, self.down) {
            (Some(up), Some(down)) if up == down => write!(f, "{up}"),
            (Some(up), Some(down)) => write!(f, "{up} up and {down} down"),
            (Some(up), None) => write!(f, "{up} up"),
            (None, Some(down)) => write!(f, "{down} down"),
            (None, None) => f.write_str("anything"),
        }
    }
}

deserialize_either!(
    Change,
    "a share such as `\"20%\"`, or `{ up = \"50%\", down = \"10%\" }`",
    visit_str(share: &str) => share.parse().map(|share| Change { up: Some(share), down: Some(share) }),
    visit_map(directions: Directions) => Change { up: directions.up, down: directions.down },
);

/// Rows for each value of some columns.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectGroups {
    /// The column, or the columns together.
    #[schemars(extend("examples" = ["state", ["state", "year"]]))]
    pub by: OneOrMore,
    /// Largest difference of the rows of one group.
    #[schemars(extend("x-default" = "none", "examples" = ["30%"]))]
    pub change: Option<Change>,
    /// Groups that had fewer rows than this may do what they like.
    #[schemars(extend("default" = 10, "examples" = [100]))]
    #[serde(default = "ten")]
    pub min: u64,
    /// What happens when a group has no row any more.
    #[schemars(extend("default" = "refuse", "examples" = ["warn"]))]
    #[serde(default)]
    pub missing: Level,
}

fn ten() -> u64 {
    10
}

/// How many keys may come, go and change, in per cent of the keys of the last published build.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectKeys {
    /// Keys that were not there.
    #[schemars(extend("x-default" = "none", "examples" = ["5%"]))]
    pub added: Option<Percent>,
    /// Keys that are not there any more.
    #[schemars(extend("x-default" = "none", "examples" = ["1%"]))]
    pub removed: Option<Percent>,
    /// Keys whose rows have another value in any column.
    #[schemars(extend("x-default" = "none", "examples" = ["30%"]))]
    pub changed: Option<Percent>,
}

/// How far the figures of one column may move.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectColumn {
    /// What happens when they moved too far.
    #[schemars(extend("x-default" = "as for the table", "examples" = ["off"]))]
    pub profile: Option<Level>,
    /// Points by which the share of nulls may move.
    #[schemars(extend("default" = "20%", "examples" = ["60%"]))]
    pub nulls: Option<Percent>,
    /// Factor by which the number of different values may grow or shrink.
    #[schemars(extend("default" = 5, "examples" = [10]))]
    pub distinct: Option<f64>,
    /// Points by which the share of the commonest value may move.
    #[schemars(extend("default" = "30%", "examples" = ["50%"]))]
    pub common: Option<Percent>,
    /// By how much the average length of the texts may grow or shrink.
    #[schemars(extend("default" = "50%", "examples" = ["200%"]))]
    pub length: Option<Percent>,
    /// Points by which more rows may have another value than in the nights before.
    #[schemars(extend("default" = "30%", "examples" = ["100%"]))]
    pub renewed: Option<Percent>,
    /// Its values may be shown: groups are named, the smallest and the largest value are kept.
    #[schemars(extend("default" = false, "examples" = [true]))]
    #[serde(default)]
    pub show: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_two_directions() {
        let both: Change = toml::from_str::<toml::Table>("c = '20%'").unwrap()["c"]
            .clone()
            .try_into()
            .unwrap();
        assert!(both.allows(100, 120) && both.allows(100, 80) && !both.allows(100, 79));
        assert_eq!(both.to_string(), "20%");
        let down: Change = toml::from_str("down = '10%'").unwrap();
        assert!(down.allows(100, 90) && !down.allows(100, 89) && down.allows(100, 100_000));
        assert!(down.allows(0, 5) && !both.allows(0, 5) && both.allows(0, 0));
        assert!(toml::from_str::<Change>("upward = '10%'").is_err());
    }
}
