//! What the declared types and collations cost a load, said to whoever may choose others.
//!
//! In: a session on empty tables and what is going to fill them. Out: [`Hint`]s; nothing is ever
//! changed. The prices are processor time of the server, as `scripts/type-prices` measured them
//! (PostgreSQL 15, a million rows); take them again there before they are changed here.

use crate::load::TableJob;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// A line on one column is not worth reading unless it has company or the table is large.
const SEVERAL: usize = 3;
const LARGE_BYTES: u64 = 256 << 20;

/// COPY of a `numeric` value against a `bigint`: 97 ns and 45 ns.
const NUMERIC_EXTRA_NS: usize = 50;
/// COPY of a short value into a `char(25)` against a `text`: 168 ns and 100 ns; on disk 134 bytes against 70 for four.
const CHAR_EXTRA_NS: usize = 70;

/// An index on a `text` of 12 digits sorted by ICU (920 ns a value), and by the C library's `C.utf8`
/// (1,560 ns), each against `C` (640 ns): without a locale's rules keys are compared by their first bytes.
const ICU_TIMES: f64 = 1.4;
const LIBC_TIMES: f64 = 2.4;

/// Something that costs, and its price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hint {
    pub table: String,
    pub columns: Vec<String>,
    pub hint: String,
}

/// One kind of cost in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Numeric,
    Char,
    Icu,
    Libc,
}

/// Asks the catalog for what costs in the tables that are loaded.
///
/// # Errors
/// The server refuses the query.
pub async fn hints(client: &Client, jobs: &[TableJob]) -> Result<Vec<Hint>> {
    let oids: Vec<u32> = jobs.iter().map(|job| job.plan.table_oid).collect();
    let rows = client
        .query(include_str!("hints.sql"), &[&oids])
        .await
        .context("ask what the types and collations are")?;
    let mut found: BTreeMap<(usize, Cost, Option<String>), Vec<String>> = BTreeMap::new();
    for row in &rows {
        let oid: u32 = row.get(0);
        let cost = match row.get::<_, &str>(1) {
            "numeric" => Cost::Numeric,
            "char" => Cost::Char,
            "icu" => Cost::Icu,
            _ => Cost::Libc,
        };
        if let Some(job) = oids.iter().position(|known| *known == oid) {
            let key = (job, cost, row.get(3));
            found.entry(key).or_default().push(row.get(2));
        }
    }
    Ok(found
        .into_iter()
        .filter_map(|((job, cost, collation), columns)| {
            let job = &jobs[job];
            let bytes = job.objects.iter().map(|object| object.size).sum();
            let hint = text(cost, collation.as_deref(), &columns, bytes)?;
            let table = job.plan.source.full_table();
            Some(Hint {
                hint: format!("`{table}`: {hint}"),
                table,
                columns,
            })
        })
        .collect())
}

/// What is said; `None` when it is not worth a line.
fn text(cost: Cost, collation: Option<&str>, columns: &[String], bytes: u64) -> Option<String> {
    let worth = columns.len() >= SEVERAL || bytes >= LARGE_BYTES;
    let count = match columns.len() {
        1 => "1 column".to_owned(),
        count => format!("{count} columns"),
    };
    let names = names(columns);
    let collation = collation.unwrap_or_default();
    match cost {
        Cost::Numeric if worth => Some(format!(
            "{count} of type numeric with at most 18 digits ({names}): a value costs the server about {NUMERIC_EXTRA_NS} ns more in COPY than a bigint of its smallest unit, such as cents; here {:.2} s of one core for a million rows",
            seconds(columns, NUMERIC_EXTRA_NS)
        )),
        Cost::Char if worth => Some(format!(
            "{count} of type char(n) ({names}): the server pads shorter values, which costs about {CHAR_EXTRA_NS} ns a value more than text in COPY, and the room of the spaces on disk; here up to {:.2} s of one core for a million rows",
            seconds(columns, CHAR_EXTRA_NS)
        )),
        Cost::Numeric | Cost::Char => None,
        Cost::Icu => Some(format!(
            "keys on text are sorted by the ICU collation {collation} ({names}): their indexes take about {ICU_TIMES} times as long to build as with collate \"C\", which sorts by bytes"
        )),
        Cost::Libc => Some(format!(
            "keys on text are sorted by the C library's collation {collation} ({names}): their indexes take about {LIBC_TIMES} times as long to build as with collate \"C\", which sorts by bytes"
        )),
    }
}

/// Seconds that a million rows take longer.
fn seconds(columns: &[String], extra_ns: usize) -> f64 {
    (columns.len() * extra_ns) as f64 / 1000.0
}

/// The first few names.
fn names(columns: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut names = columns[..columns.len().min(SHOWN)].join(", ");
    if columns.len() > SHOWN {
        names += ", …";
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("c{index}")).collect()
    }

    #[test]
    fn a_single_column_is_named_only_in_a_large_table() {
        for cost in [Cost::Numeric, Cost::Char] {
            assert_eq!(text(cost, None, &columns(2), 1 << 20), None);
            assert!(text(cost, None, &columns(3), 1 << 20).is_some());
            let large = text(cost, None, &columns(1), LARGE_BYTES).unwrap();
            assert!(
                large.contains("1 column of") && large.contains("(c0)"),
                "{large}"
            );
        }
    }

    #[test]
    fn the_price_is_that_of_all_columns_and_not_all_are_named() {
        let ten = text(Cost::Numeric, None, &columns(10), 0).unwrap();
        assert!(ten.contains("0.50 s of one core"), "{ten}");
        assert!(ten.contains("(c0, c1, c2, c3, …)"), "{ten}");
    }

    #[test]
    fn a_key_that_is_not_sorted_by_bytes_is_always_named() {
        let icu = text(Cost::Icu, Some("und-x-icu"), &columns(1), 0).unwrap();
        assert!(icu.contains("und-x-icu (c0)"), "{icu}");
        let libc = text(Cost::Libc, Some("C.UTF-8"), &columns(1), 0).unwrap();
        assert!(libc.contains("C.UTF-8 (c0)"), "{libc}");
    }
}
