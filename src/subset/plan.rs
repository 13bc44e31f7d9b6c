//! What a subset will hold, and why: known before anything is copied.

use super::catalog::Catalog;
use super::rules::{Rules, Take};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// Rows and bytes of each table.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    pub seed: String,
    pub rules_digest: String,
    pub tables: Vec<TablePlan>,
    /// For each reference that no foreign key declares, in their order: rows that lead nowhere in the
    /// build itself.
    pub dangling: Vec<u64>,
}

/// What one table brings.
#[derive(Debug, Clone, Serialize)]
pub struct TablePlan {
    pub table: String,
    pub rows: u64,
    /// In the build, estimated.
    pub of_rows: Option<u64>,
    /// Of one row, estimated from the build.
    pub row_bytes: u64,
    /// The derive files fill it.
    pub derived: bool,
    pub why: Vec<Why>,
    /// In which rounds rows came.
    #[serde(skip)]
    pub rounds: BTreeSet<i32>,
}

/// Why rows came.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    #[serde(serialize_with = "as_text")]
    pub because: Because,
    pub rows: u64,
}

/// What brings rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    Everything,
    Rule,
    Include,
    /// A chosen row refers to it, by this reference.
    Parent(String),
    /// It refers to a chosen row.
    Child(String),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Everything => f.write_str("whole table"),
            Because::Rule => f.write_str("its rule"),
            Because::Include => f.write_str("include"),
            Because::Parent(edge) => write!(f, "parents of {edge}"),
            Because::Child(edge) => write!(f, "children of {edge}"),
        }
    }
}

fn as_text<S: serde::Serializer>(because: &Because, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(because)
}

impl Plan {
    pub(super) fn new(catalog: &Catalog, rules: &Rules) -> Plan {
        let tables = catalog.tables.iter().zip(&rules.tables);
        Plan {
            seed: rules.seed.clone(),
            rules_digest: rules.digest.clone(),
            tables: tables
                .map(|(table, rule)| TablePlan {
                    table: table.display(),
                    rows: 0,
                    of_rows: table.row_estimate,
                    row_bytes: table.row_bytes(),
                    derived: rule.take == Take::Derived,
                    why: Vec::new(),
                    rounds: BTreeSet::new(),
                })
                .collect(),
            dangling: Vec::new(),
        }
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Estimated bytes of all tables.
    pub fn bytes(&self) -> u64 {
        self.tables
            .iter()
            .map(|table| table.rows * table.row_bytes)
            .sum()
    }
}
