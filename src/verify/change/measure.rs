//! Measures the tables of a build that the load could not measure, from rows that the server sends.
//!
//! In: a session on a finished, analyzed build. Out: a [`TableProfile`] for each table. Of a table of more than
//! `WHOLE_ROWS` rows the server sends only those whose key's hash ends in enough zero bits: it computes the hash of the
//! key alone, in parallel, and sends no other row. The digest of all rows is then a sum of the server's own hashes. Such
//! samples and digests are compared only between servers of one major version.

use crate::measure::{Collector, FieldKind, FieldShape, RowShape, TableProfile};
use crate::postgres::{Session, quote_ident};
use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// Tables of up to so many rows are read whole.
const WHOLE_ROWS: f64 = 200_000.0;

/// At least so many rows of larger ones, at most four times as many.
const SAMPLE_ROWS: f64 = 50_000.0;

/// Columns that tell the rows of a table without a primary key apart, when a sample is taken.
const COLUMNS_INSTEAD_OF_KEY: usize = 4;

/// Bytes of rows that are gathered before they are measured.
const GATHERED_BYTES: usize = 256 << 10;

/// The signature, flags and extension that open a binary COPY, and the count that ends it.
const HEADER_BYTES: usize = 19;
const TRAILER: [u8; 2] = [0xff, 0xff];

#[derive(Debug, Clone)]
struct Column {
    name: String,
    data_type: String,
    kind: FieldKind,
    /// Its text is measured, because the bytes of its type differ between servers or directions.
    as_text: bool,
    /// The server can hash it.
    has_hash: bool,
    /// From 1 for those of the primary key.
    key: usize,
}

/// A table that can be measured.
#[derive(Debug, Clone)]
pub struct Table {
    pub schema: String,
    pub name: String,
    columns: Vec<Column>,
    /// About how many, from the statistics.
    rows: f64,
}

impl Table {
    /// `schema.table`, without the schema where it is `public`.
    pub fn full(&self) -> String {
        match self.schema.as_str() {
            "public" => self.name.clone(),
            schema => format!("{schema}.{}", self.name),
        }
    }

    /// As SQL.
    pub fn ident(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }

    /// Columns of the primary key, in its order.
    pub fn key(&self) -> Vec<&str> {
        let mut key: Vec<&Column> = self.columns.iter().filter(|c| c.key > 0).collect();
        key.sort_by_key(|column| column.key);
        key.iter().map(|column| column.name.as_str()).collect()
    }

    /// Every column, in order, with its type.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        let columns = self.columns.iter();
        columns.map(|column| (column.name.as_str(), column.data_type.as_str()))
    }

    /// Which sample fits, `None` for all rows: that of the previous build, as long as it is neither far too
    /// small nor too large.
    fn server_shift(&self, before: Option<&TableProfile>) -> Option<u32> {
        let fits = (self.rows / SAMPLE_ROWS).max(1.0).log2().floor() as u32;
        let fits = if self.rows <= WHOLE_ROWS { 0 } else { fits };
        let before = before.map(|before| before.server_shift.unwrap_or(0));
        let shift = match before {
            Some(before) if before.abs_diff(fits) <= 1 => before,
            _ => fits,
        };
        (shift > 0).then_some(shift)
    }

    fn shape(&self) -> Vec<FieldShape> {
        let field = |column: &Column| FieldShape {
            name: column.name.clone(),
            kind: column.kind,
            key: column.key,
        };
        self.columns.iter().map(field).collect()
    }
}

/// Every table and materialized view of the build.
pub async fn tables(session: &Session) -> Result<Vec<Table>> {
    let rows = session
        .query(include_str!("columns.sql"), &[])
        .await
        .context("list the columns")?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let kept: &str = row.get(4);
        let key: i32 = row.get(5);
        let column = Column {
            name: row.get(2),
            data_type: row.get(3),
            kind: match kept {
                "integer" => FieldKind::Integer,
                "decimal" => FieldKind::Decimal,
                "scaled" => FieldKind::ScaledDecimal,
                "float" => FieldKind::Float,
                "text" => FieldKind::Text,
                "padded" => FieldKind::PaddedText,
                "day" => FieldKind::Day,
                "time" => FieldKind::Time,
                _ => FieldKind::Other,
            },
            as_text: kept == "other",
            has_hash: row.get(7),
            key: usize::try_from(key).unwrap_or_default(),
        };
        match tables.last_mut() {
            Some(last) if last.schema == schema && last.name == name => last.columns.push(column),
            _ => tables.push(Table {
                schema,
                name,
                columns: vec![column],
                rows: row.get(6),
            }),
        }
    }
    Ok(tables)
}

/// Measures one table; `before` is what the build that this one is compared with had.
///
/// # Errors
/// The server refuses, or sends something other than rows.
pub async fn measure(
    session: &Session,
    table: &Table,
    before: Option<&TableProfile>,
) -> Result<TableProfile> {
    let shift = table.server_shift(before);
    read(session, table, shift, before.map(|b| b.sample_shift)).await
}

/// Measures a table as it was measured `then`: all of its rows, or the same sample.
///
/// # Errors
/// As [`measure`].
pub async fn measure_again(
    session: &Session,
    table: &Table,
    then: &TableProfile,
) -> Result<TableProfile> {
    read(session, table, then.server_shift, Some(then.sample_shift)).await
}

async fn read(
    session: &Session,
    table: &Table,
    server_shift: Option<u32>,
    sample_shift: Option<u32>,
) -> Result<TableProfile> {
    let measured = async {
        let sample = copy_out(session, table, server_shift).await?;
        let mut profile = sample.profile(sample_shift);
        if server_shift.is_some() {
            let row = session.query_one(&count_and_hash(table), &[]).await?;
            let rows: i64 = row.try_get(0)?;
            scale(&mut profile, rows as u64);
            profile.server_shift = server_shift;
            profile.server_digest = row.try_get(1)?;
        }
        Ok::<_, anyhow::Error>(profile)
    };
    measured
        .await
        .with_context(|| format!("measure `{}`", table.full()))
}

/// Turns the counts of a sample into those of the table.
fn scale(profile: &mut TableProfile, rows: u64) {
    let share = |part: u64| match profile.rows {
        0 => 0,
        all => (u128::from(part) * u128::from(rows) / u128::from(all)) as u64,
    };
    let nulls: Vec<u64> = profile.columns.iter().map(|c| share(c.nulls)).collect();
    for (column, nulls) in profile.columns.iter_mut().zip(nulls) {
        column.nulls = nulls;
    }
    profile.rows = rows;
}

/// Reads rows through binary COPY.
async fn copy_out(
    session: &Session,
    table: &Table,
    server_shift: Option<u32>,
) -> Result<Collector> {
    let shape = RowShape::new(table.shape());
    let mut collector = Collector::new(&shape);
    let stream = session.copy_out(&question(table, server_shift)).await?;
    let mut stream = std::pin::pin!(stream);
    let mut gathered: Vec<u8> = Vec::with_capacity(GATHERED_BYTES * 2);
    let mut opened = false;
    while let Some(bytes) = stream.try_next().await? {
        gathered.extend_from_slice(&bytes);
        if !opened && gathered.len() >= HEADER_BYTES {
            gathered.drain(..HEADER_BYTES);
            opened = true;
        }
        if opened && gathered.len() >= GATHERED_BYTES {
            // A message has whole rows.
            collector.add_rows(&gathered);
            gathered.clear();
        }
    }
    match gathered.strip_suffix(&TRAILER) {
        Some(rows) if opened => collector.add_rows(rows),
        _ => bail!("the rows ended early"),
    }
    Ok(collector)
}

/// Which rows, as the server sends them.
fn question(table: &Table, server_shift: Option<u32>) -> String {
    let column = |column: &Column| {
        let name = format!("t.{}", quote_ident(&column.name));
        match column.as_text {
            true => format!("{name}::text collate \"C\""),
            false => name,
        }
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let sample = match server_shift {
        None => String::new(),
        Some(shift) => {
            let mask = (1_u64 << shift.min(62)) - 1;
            format!(" where {} & {mask} = 0", key_hash(table))
        }
    };
    format!(
        "copy (select {} from {} t{sample}) to stdout (format binary)",
        columns.join(", "),
        table.ident()
    )
}

/// Rows, and the sum of the server's hashes of them: one scan, which the server runs in parallel.
fn count_and_hash(table: &Table) -> String {
    let columns: Vec<String> = (table.columns.iter())
        .map(|column| {
            let name = format!("t.{}", quote_ident(&column.name));
            match column.has_hash {
                true => name,
                false => format!("{name}::text collate \"C\""),
            }
        })
        .collect();
    format!(
        "select count(*), sum(hash_record_extended(row({}), 0))::text from {} t",
        columns.join(", "),
        table.ident()
    )
}

/// The server's hash of a row's key.
fn key_hash(table: &Table) -> String {
    let mut key: Vec<&Column> = table.columns.iter().filter(|c| c.key > 0).collect();
    key.sort_by_key(|column| column.key);
    if key.is_empty() {
        key = table.columns.iter().take(COLUMNS_INSTEAD_OF_KEY).collect();
    }
    key.into_iter()
        .fold("0::bigint".to_owned(), |chain, column| {
            let name = format!("t.{}", quote_ident(&column.name));
            let hash = match column.kind {
                FieldKind::Integer => format!("hashint8extended({name}::bigint, {chain})"),
                FieldKind::Decimal | FieldKind::ScaledDecimal => {
                    format!("hash_numeric_extended({name}::numeric, {chain})")
                }
                _ => format!("hashtextextended({name}::text collate \"C\", {chain})"),
            };
            format!("coalesce({hash}, {chain})")
        })
}

/// Adds what only the server knows of the columns: types, what ANALYZE found, and of the columns in
/// `shown` the smallest and the largest value.
///
/// # Errors
/// The server refuses.
pub async fn describe(
    session: &Session,
    table: &Table,
    shown: &BTreeSet<&str>,
    profile: &mut TableProfile,
) -> Result<()> {
    for (figures, column) in profile.columns.iter_mut().zip(&table.columns) {
        figures.data_type.clone_from(&column.data_type);
    }
    let asked: Vec<usize> = (table.columns.iter().enumerate())
        .filter(|(_, column)| shown.contains(column.name.as_str()) && column.kind.has_order())
        .map(|(at, _)| at)
        .collect();
    if !asked.is_empty() {
        let ends: Vec<String> = (asked.iter())
            .filter_map(|at| table.columns.get(*at))
            .map(|column| {
                let name = quote_ident(&column.name);
                let value = match column.kind {
                    FieldKind::Text | FieldKind::PaddedText => {
                        format!("{name}::text collate \"C\"")
                    }
                    _ => name,
                };
                format!("min({value})::text, max({value})::text")
            })
            .collect();
        let question = format!("select {} from {}", ends.join(", "), table.ident());
        let row = session
            .query_one(&question, &[])
            .await
            .with_context(|| format!("ask for the ends of `{}`", table.full()))?;
        for (place, at) in asked.iter().enumerate() {
            if let Some(column) = profile.columns.get_mut(*at) {
                column.least = row.try_get(place * 2)?;
                column.most = row.try_get(place * 2 + 1)?;
            }
        }
    }
    add_statistics(session, table, profile).await
}
/// Adds what ANALYZE found out.
async fn add_statistics(
    session: &Session,
    table: &Table,
    profile: &mut TableProfile,
) -> Result<()> {
    let rows = session
        .query(
            include_str!("statistics.sql"),
            &[&table.schema, &table.name],
        )
        .await
        .with_context(|| format!("read the statistics of `{}`", table.full()))?;
    let by_name: BTreeMap<String, &Row> = rows.iter().map(|row| (row.get(0), row)).collect();
    for column in &mut profile.columns {
        let Some(row) = by_name.get(&column.name) else {
            continue;
        };
        // Below zero it is a share of the rows.
        let distinct: f64 = row.get(1);
        column.distinct = Some(match distinct < 0.0 {
            true => -distinct * profile.rows as f64,
            false => distinct,
        });
        column.average_width = row.get(2);
        column.correlation = row.get(3);
        let hashes: Option<Vec<i64>> = row.get(4);
        let shares: Option<Vec<f64>> = row.get(5);
        column.common = hashes
            .unwrap_or_default()
            .into_iter()
            .zip(shares.unwrap_or_default())
            .collect();
    }
    Ok(())
}
