//! The names that gates of a dataset can have: what `--accept` may name.
//!
//! In: a dataset and its SQL files, no server. Out: [`GateNames`]. A gate of a table that only SQL
//! creates is known by the name of the table in the SQL text; where SQL builds names at run time, any
//! table is possible.

use super::{change, checks, compat, golden};
use crate::dataset::Dataset;
use crate::problem::Problem;
use crate::rotate::{consumers, group};
use crate::schema::files::SqlFiles;
use std::collections::BTreeSet;

/// Gates that every dataset has.
const ALWAYS: [&str; 11] = [
    "schema version",
    "unlogged tables",
    "invalid indexes",
    "unvalidated constraints",
    "disabled triggers",
    "tables never analyzed",
    "missing rights of readers",
    "warm-up",
    "replicas",
    "approval",
    "project",
];

/// Names that a message lists; of more there is only the number.
const LISTED: usize = 30;

/// The names of all gates that may be asked of some datasets.
#[derive(Debug, Default)]
pub struct GateNames {
    known: BTreeSet<String>,
    /// The text of all SQL that may create tables.
    sql: String,
}

impl GateNames {
    /// Adds the gates of a dataset.
    pub fn add(&mut self, dataset: &Dataset, files: &SqlFiles) {
        let known = &mut self.known;
        known.extend(ALWAYS.map(str::to_owned));
        known.extend(
            [compat::GATE, consumers::GATE, group::GATE, change::CATALOG].map(str::to_owned),
        );
        for source in &dataset.sources {
            let table = source.full_table();
            let expect = &source.expect;
            known.insert(format!("records of {}", source.name));
            known.insert(format!("rows of {table}"));
            known.extend(["profile of", "content of"].map(|what| format!("{what} {table}")));
            if expect.rows.change.is_some() {
                known.insert(format!("change of {table}"));
            }
            if expect.keys.is_some() {
                known.insert(format!("keys of {table}"));
            }
            if !expect.columns.is_empty() {
                known.insert(format!("limits of {table}"));
            }
            for groups in &expect.groups {
                known.insert(format!("groups of {table} by {}", groups.by.0.join(",")));
            }
        }
        known.extend(files.checks.iter().map(checks::gate_name));
        known.extend(files.golden.iter().map(golden::gate_name));
        if dataset.settings.external.is_some() {
            known.insert("external".into());
        }
        for file in files.schema.iter().chain(&files.derive) {
            self.sql.push_str(&file.text.to_lowercase());
            self.sql.push('\n');
        }
    }

    /// Whether a gate can have this name.
    pub fn has(&self, gate: &str) -> bool {
        if self.known.contains(gate) {
            return true;
        }
        ["profile of ", "content of "]
            .iter()
            .find_map(|what| gate.strip_prefix(what))
            .is_some_and(|table| self.may_create(table))
    }

    /// Whether the SQL may create a table of this name, with or without its schema.
    fn may_create(&self, table: &str) -> bool {
        let name = table.rsplit('.').next().unwrap_or(table).to_lowercase();
        let mut words = self
            .sql
            .split(|character: char| !(character.is_alphanumeric() || "_$".contains(character)));
        !name.is_empty() && (words.any(|word| word == name || word == "execute"))
    }

    /// Why a name is refused.
    pub fn unknown(&self, gate: &str) -> Problem {
        // The names that share a word with it first: most wrong names are nearly right.
        let words: Vec<&str> = gate.split([' ', '_', '.']).collect();
        let like = |name: &&String| {
            let shared = words
                .iter()
                .filter(|word| word.len() > 2 && name.contains(**word));
            std::cmp::Reverse(shared.count())
        };
        let mut names: Vec<&String> = self.known.iter().collect();
        names.sort_by_key(like);
        let mut listed: Vec<String> = names
            .iter()
            .take(LISTED)
            .map(|name| format!("`{name}`"))
            .collect();
        if names.len() > LISTED {
            listed.push(format!("and {} more", names.len() - LISTED));
        }
        Problem::usage(format!("--accept: no gate is called `{gate}`")).hint(format!(
            "the gates are {}; tables that SQL fills have `profile of TABLE` and `content of TABLE`",
            listed.join(", ")
        ))
    }
}
