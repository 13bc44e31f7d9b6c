//! The receipt of one table: its counts, checked and written beside its rows.
//!
//! In: a finished [`TableLoad`] and the session whose transaction holds the rows. Out: rows of the
//! stamp. Written before the commit and by the same session, so that a table has rows and a
//! receipt, or neither. Rejects are written with their places and reasons, never with a value. A run
//! that resumes a build reads its receipts back.

use super::{InputCount, PlacedReject, TableLoad};
use crate::dataset::Source;
use crate::measure::TableProfile;
use crate::postgres::{Session, quote_ident};
use crate::switch;
use anyhow::{Context, Result, bail};

impl InputCount {
    pub(super) fn begin(key: &str) -> InputCount {
        InputCount {
            key: key.to_owned(),
            version: String::new(),
            bytes: 0,
            sha256: String::new(),
            records_read: 0,
            rows_loaded: 0,
            rejected: 0,
            skipped: 0,
        }
    }
}

/// What the receipt of a source's table says; `None` without one. What only the load itself knew, its
/// times and the places of its rejects, is not in it.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn read(session: &Session, source: &Source) -> Result<Option<TableLoad>> {
    let mut load = TableLoad::begin(source);
    let receipt = session
        .query_opt(
            "select rows_loaded from overnight.loaded where table_name = $1",
            &[&load.table],
        )
        .await
        .context("read the receipts")?;
    let Some(receipt) = receipt else {
        return Ok(None);
    };
    load.rows = receipt.get::<_, i64>(0) as u64;
    let inputs = session
        .query(
            "select key, version, bytes, sha256, records_read, rows_loaded, rejected, skipped
             from overnight.input where source = $1 order by key",
            &[&source.name],
        )
        .await
        .context("read the receipts")?;
    load.inputs = inputs
        .iter()
        .map(|row| {
            let number = |column: usize| row.get::<_, i64>(column) as u64;
            InputCount {
                key: row.get(0),
                version: row.get(1),
                bytes: number(2),
                sha256: row.get(3),
                records_read: number(4),
                rows_loaded: number(5),
                rejected: number(6),
                skipped: number(7),
            }
        })
        .collect();
    Ok(Some(load))
}

/// Says whether nothing was lost between the files and the server's count.
///
/// # Errors
/// The numbers of an object or of the table do not add up.
pub fn check_counts(load: &TableLoad) -> Result<()> {
    let mut rows = 0;
    for input in &load.inputs {
        rows += input.rows_loaded;
        let accounted = input.rows_loaded + input.rejected + input.skipped;
        if input.records_read != accounted && switch::on("load.records") {
            bail!(
                "`{}`: {} records read are not {} loaded + {} rejected + {} skipped",
                input.key,
                input.records_read,
                input.rows_loaded,
                input.rejected,
                input.skipped
            );
        }
    }
    if rows != load.rows && switch::on("load.rows") {
        bail!(
            "`{}`: {rows} rows were encoded and the server counted {}",
            load.table,
            load.rows
        );
    }
    Ok(())
}

/// Whether the table holds rows that no transaction of its load has written. An update leaves the
/// count as it is and a row of another transaction. Reads the whole table once.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn is_touched(session: &Session, source: &Source) -> Result<bool> {
    let table = format!(
        "{}.{}",
        quote_ident(&source.schema),
        quote_ident(&source.table)
    );
    let row = session
        .query_one(
            &format!(
                "select exists (select from {table} t where not (t.xmin = any (
                     (select transactions from overnight.loaded where table_name = $1)::xid[])))"
            ),
            &[&source.full_table()],
        )
        .await
        .context("look for rows that the load has not written")?;
    Ok(row.get(0))
}

/// Takes a receipt back, so that its table is loaded anew.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn take_back(session: &Session, source: &Source) -> Result<()> {
    for (statement, name) in [
        (
            "delete from overnight.loaded where table_name = $1",
            source.full_table(),
        ),
        (
            "delete from overnight.input where source = $1",
            source.name.clone(),
        ),
        (
            "delete from overnight.reject where source = $1",
            source.name.clone(),
        ),
    ] {
        session
            .execute(statement, &[&name])
            .await
            .context("take back a receipt")?;
    }
    Ok(())
}

/// The number of the transaction under way.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn transaction(session: &Session) -> Result<String> {
    let row = session
        .query_one("select pg_current_xact_id()::xid::text", &[])
        .await
        .context("ask for the number of the transaction")?;
    Ok(row.get(0))
}

/// Writes the receipt in the transaction of the rows: what went in, what was refused, and which
/// transactions have written the rows.
///
/// # Errors
/// When the server refuses, or is gone; the rows are not committed then.
pub async fn write(session: &Session, load: &TableLoad, transactions: &[String]) -> Result<()> {
    let profile = load.profile.as_ref();
    let sketches = profile.map(TableProfile::sketches_as_json);
    let profile = profile.map(serde_json::to_value).transpose();
    let profile = profile.context("write what was measured")?;
    session
        .execute(
            "insert into overnight.loaded (table_name, rows_loaded, transactions, profile, sketches)
             values ($1, $2, $3::text[]::xid[], $4, $5)",
            &[&load.table, &(load.rows as i64), &transactions, &profile, &sketches],
        )
        .await
        .context("write the receipt")?;
    // Thousands of objects are not worth a round trip each.
    for some in load.inputs.chunks(10_000) {
        let text = |pick: fn(&InputCount) -> &str| some.iter().map(pick).collect::<Vec<_>>();
        let number = |pick: fn(&InputCount) -> u64| {
            let numbers = some.iter().map(|input| pick(input) as i64);
            numbers.collect::<Vec<_>>()
        };
        session
            .execute(
                "insert into overnight.input
                     (source, key, version, bytes, sha256, records_read, rows_loaded, rejected, skipped)
                 select $1, * from unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])",
                &[
                    &load.source,
                    &text(|input| &input.key),
                    &text(|input| &input.version),
                    &number(|input| input.bytes),
                    &text(|input| &input.sha256),
                    &number(|input| input.records_read),
                    &number(|input| input.rows_loaded),
                    &number(|input| input.rejected),
                    &number(|input| input.skipped),
                ],
            )
            .await
            .context("write the receipt")?;
    }
    for some in load.rejects.chunks(10_000) {
        let text = |pick: fn(&PlacedReject) -> &str| some.iter().map(pick).collect::<Vec<_>>();
        let number = |pick: fn(&PlacedReject) -> u64| {
            some.iter()
                .map(|reject| pick(reject) as i64)
                .collect::<Vec<_>>()
        };
        session
            .execute(
                "insert into overnight.reject (source, key, member, record, line, byte, column_name, kind, reason)
                 select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[])",
                &[
                    &text(|reject| &reject.source),
                    &text(|reject| &reject.key),
                    &some.iter().map(|reject| reject.member.as_deref()).collect::<Vec<_>>(),
                    &number(|reject| reject.record),
                    &number(|reject| reject.line),
                    &number(|reject| reject.byte),
                    &some.iter().map(|reject| reject.column.as_deref()).collect::<Vec<_>>(),
                    &text(|reject| reject.kind),
                    &text(|reject| &reject.reason),
                ],
            )
            .await
            .context("write the rejects")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::timing::TableTiming;

    #[test]
    fn numbers_that_do_not_add_up_are_refused() {
        let load = |read, loaded, rejected, rows| TableLoad {
            source: "s".into(),
            table: "t".into(),
            rows,
            inputs: vec![InputCount {
                records_read: read,
                rows_loaded: loaded,
                rejected,
                ..InputCount::begin("k")
            }],
            timing: TableTiming::default(),
            order: None,
            profile: None,
            faults: Vec::new(),
            rejects: Vec::new(),
        };
        check_counts(&load(10, 8, 2, 8)).unwrap();
        let lost = check_counts(&load(10, 8, 1, 8)).unwrap_err().to_string();
        assert!(lost.contains("10 records read are not"), "{lost}");
        let lost = check_counts(&load(10, 8, 2, 7)).unwrap_err().to_string();
        assert!(lost.contains("the server counted 7"), "{lost}");
    }
}
