//! Records that could not become rows: their places, and how many a source allows.
//!
//! A reject says where and why, never what the record held. Without a budget the first one ends
//! the load; over the budget the whole table fails, and the error carries the listed rejects to
//! whoever writes them to a file.

use super::TableLoad;
use crate::dataset::Source;
use crate::printable::Printable;
use crate::problem::Problem;
use crate::switch;
use crate::units::grouped;
use anyhow::Result;
use serde::Serialize;

/// A reject with its place: record and line count from 1, the byte from 0, in the text of the object
/// or of its member.
#[derive(Debug, Clone, Serialize)]
pub struct PlacedReject {
    pub source: String,
    pub key: String,
    /// Where the object is an archive; those of archives in it joined by `!`.
    pub member: Option<String>,
    pub record: u64,
    pub line: u64,
    pub byte: u64,
    pub column: Option<String>,
    /// One word, to count by: see [`Reason::kind`](crate::read::parse::Reason::kind).
    pub kind: &'static str,
    /// What is wrong, and what was expected; never the value.
    pub reason: String,
    /// The record itself, only where the source file says `keep_raw = true`.
    pub raw: Option<String>,
}

/// Faults of one kind in one column of a table, over all of its objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    pub column: Option<String>,
    pub kind: &'static str,
    pub count: u64,
}

impl TableLoad {
    /// Counts a fault by its column and kind.
    pub(super) fn count_fault(&mut self, column: Option<&str>, kind: &'static str) {
        let mut known = self.faults.iter_mut();
        let same = known.find(|fault| fault.kind == kind && fault.column.as_deref() == column);
        match same {
            Some(fault) => fault.count += 1,
            None => self.faults.push(FaultCount {
                column: column.map(str::to_owned),
                kind,
                count: 1,
            }),
        }
    }

    /// The faults in words, most of them first.
    #[must_use]
    pub fn faults_in_words(&self) -> Vec<String> {
        let mut faults: Vec<&FaultCount> = self.faults.iter().collect();
        faults.sort_by_key(|fault| std::cmp::Reverse(fault.count));
        let words = |fault: &FaultCount| match &fault.column {
            Some(column) => format!(
                "`{}` column `{column}`: {} of the kind {}",
                self.table,
                grouped(fault.count),
                fault.kind
            ),
            None => format!(
                "`{}`: {} of the kind {}",
                self.table,
                grouped(fault.count),
                fault.kind
            ),
        };
        faults.into_iter().map(words).collect()
    }
}

impl PlacedReject {
    /// What to look at first, for a reject of this kind.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.kind {
            "fields" => {
                "look for another `delimiter` or for quotes that are data; `short_rows = \"pad\"` fills short records"
            }
            "quoting" => "if quotes are data in this file, say `quote = \"none\"` under [format]",
            "encoding" => "declare the file's `encoding` under [format], such as windows-1252",
            "null" => "list what means NULL under `null`, or let the column take NULL",
            "spelling" | "value" => {
                "say under [columns] how the value is spelled (`parse`, `pattern`, `zone`, `null`), or change the column's type"
            }
            "partition" => "add a partition for it, or a default one",
            _ => "look at the place in the file",
        }
    }

    /// Names of its fields, in the order in which they are serialized.
    pub const FIELDS: [&str; 10] = [
        "source", "key", "member", "record", "line", "byte", "column", "kind", "reason", "raw",
    ];
}

impl std::fmt::Display for PlacedReject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.member {
            Some(member) => write!(f, "`{}!{}`", Printable(&self.key), Printable(member))?,
            None => write!(f, "`{}`", Printable(&self.key))?,
        }
        write!(
            f,
            " record {}, line {}, byte {}",
            grouped(self.record),
            grouped(self.line),
            grouped(self.byte)
        )?;
        match &self.column {
            Some(column) => write!(f, ", column `{column}`: value {}", self.reason),
            None => write!(f, ": record {}", self.reason),
        }
    }
}

/// Only the first rejects are kept with their places; when there were more, somebody should know
/// that the list is not all.
pub fn warn_of_unlisted(load: &TableLoad) {
    let rejected: u64 = load.inputs.iter().map(|input| input.rejected).sum();
    // A record has a reject for each of its faults, one behind the other.
    let one = |a: &PlacedReject, b: &PlacedReject| a.record == b.record && a.key == b.key;
    let records = load.rejects.chunk_by(one);
    let listed = records.count() as u64;
    if rejected > listed {
        tracing::warn!(
            "`{}`: the first {} of {} rejects are listed with their places, the others only counted",
            load.table,
            grouped(listed),
            grouped(rejected)
        );
    }
}

/// Says whether the rejects of the whole table are within the budget of its source.
///
/// # Errors
/// Status 1 with the number and the first reject.
pub fn check_budget(source: &Source, load: &TableLoad) -> Result<()> {
    let rejected: u64 = load.inputs.iter().map(|input| input.rejected).sum();
    let read: u64 = load.inputs.iter().map(|input| input.records_read).sum();
    if source.expect.rejects.allows(rejected, read) || !switch::on("load.budget") {
        return Ok(());
    }
    Err(over_budget(source, load, rejected))
}

/// The error of a table with more rejects than its source allows; it carries the listed ones.
pub fn over_budget(source: &Source, load: &TableLoad, rejected: u64) -> anyhow::Error {
    let budget = source.expect.rejects.describe();
    let place = load
        .rejects
        .first()
        .map_or_else(String::new, |reject| format!("; the first: {reject}"));
    let name = &source.name;
    let said = format!(
        "{} {} rejected, the budget is {budget}{place}",
        grouped(rejected),
        if rejected == 1 {
            "record was"
        } else {
            "records were"
        }
    );
    let rejects = load.rejects.clone();
    anyhow::Error::new(RejectsOverBudget { said: said.clone(), rejects }).context(
        Problem::refused(said)
        .hint(format!(
            "{}`overnight run --rejects FILE` lists them; `[expect] rejects = {{ max = … }}` in `{name}.toml` allows some",
            load.rejects.first().map_or_else(String::new, |first| format!("{}; ", first.advice()))
        )),
    )
}

/// Carries the rejects that a load had found when something else ended it.
#[derive(Debug)]
pub struct RejectsSoFar {
    pub rejects: Vec<PlacedReject>,
}

impl std::fmt::Display for RejectsSoFar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.rejects.len();
        let records = if count == 1 {
            "record was"
        } else {
            "records were"
        };
        write!(f, "{} {records} rejected before", grouped(count as u64))
    }
}

impl std::error::Error for RejectsSoFar {}

/// Carries the listed rejects of a failed load to whoever writes them to a file. It says what the
/// problem above it says, and a chain shows what is said twice only once.
#[derive(Debug)]
pub struct RejectsOverBudget {
    said: String,
    pub rejects: Vec<PlacedReject>,
}

impl std::fmt::Display for RejectsOverBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for RejectsOverBudget {}
