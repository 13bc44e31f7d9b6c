//! Measures the tables of a build, in the server, in one pass over each.
//!
//! In: a session on a finished, analyzed build. Out: a [`TableProfile`] for each table: exact counts,
//! digests that do not depend on the order of rows, and what the statistics say. A table of more than
//! `COLUMNS_AT_ONCE` columns is read once for each so many. Digests rely on the server's own
//! hash functions: they are compared only on servers of one major version.

use super::compare::FEW_ROWS;
use super::profile::{
    ColumnProfile, KEYS, NumberFigures, SKETCH_BITS, Sketch, TableProfile, TextFigures,
};
use crate::postgres::{Session, quote_ident};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// Below the server's limit of 1664 expressions in a query, with at most eight of them each.
const COLUMNS_AT_ONCE: usize = 120;

/// At least so many rows are sampled, of tables that have them; at most four times as many.
const SAMPLE_ROWS: f64 = 192.0;

/// What only gives shares is counted in about so many rows: looking for capitals costs more than the
/// digest of a text, and 50,000 rows tell a share within half a point.
const SHARE_ROWS: f64 = 50_000.0;

/// White space as `btrim` takes it.
const SPACES: &str = r"E' \t\r\n\u00a0'";

/// UTF-8 that was read as Windows-1252 or Latin-1, and what stands for a byte that was no text.
const GARBLED: &str = r"E'[ÃÂ][^A-Za-z0-9[:space:].,;:\u002d]|â€|\ufffd'";

/// What is kept in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Decimal,
    Float,
    Text,
    Day,
    Time,
    Boolean,
    Uuid,
    Other,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    data_type: String,
    kind: Kind,
    /// From 1 for those of the primary key.
    key: i32,
}

/// A table that can be measured.
#[derive(Debug, Clone)]
pub struct Table {
    pub schema: String,
    pub name: String,
    columns: Vec<Column>,
    /// About how many, from the statistics.
    pub(super) rows: f64,
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

    /// Which sample fits: that of the build before, as long as it is neither far too small nor too large.
    fn sample_shift(&self, before: Option<u32>) -> u32 {
        let fits = (self.rows / SAMPLE_ROWS).max(1.0).log2().floor() as u32;
        match before {
            Some(before) if before.abs_diff(fits) <= 1 => before,
            _ => fits,
        }
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
        let column = Column {
            name: row.get(2),
            data_type: row.get(3),
            kind: match row.get(4) {
                "integer" => Kind::Integer,
                "decimal" => Kind::Decimal,
                "float" => Kind::Float,
                "text" => Kind::Text,
                "day" => Kind::Day,
                "time" => Kind::Time,
                "boolean" => Kind::Boolean,
                "uuid" => Kind::Uuid,
                _ => Kind::Other,
            },
            key: row.get(5),
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

/// Measures one table. `shown` are the columns whose smallest and largest value may be kept;
/// `before` is the sample of the build that this one is compared with.
pub async fn measure(
    session: &Session,
    table: &Table,
    shown: &BTreeSet<&str>,
    before: Option<u32>,
) -> Result<TableProfile> {
    let shift = table.sample_shift(before);
    let mut profile = TableProfile {
        sample_shift: shift,
        key: table
            .key()
            .iter()
            .map(|column| (*column).to_owned())
            .collect(),
        ..TableProfile::default()
    };
    for (part, columns) in table.columns.chunks(COLUMNS_AT_ONCE).enumerate() {
        let row = session
            .query_one(&question(table, columns, shown, shift), &[])
            .await
            .with_context(|| format!("measure `{}`", table.full()))?;
        let mut cells = Cells { row: &row, at: 0 };
        profile.rows = cells.next::<i64>()? as u64;
        let digest = cells.next::<Option<String>>()?.unwrap_or_default();
        match part {
            0 => profile.digest = digest,
            _ => profile.digest += &format!(" {digest}"),
        }
        let keys = cells.next::<Option<String>>()?;
        if let Some(bits) = keys.filter(|_| part == 0) {
            profile
                .sketches
                .insert(KEYS.into(), Sketch::from_bits(&bits));
        }
        for column in columns {
            let shown = shown.contains(column.name.as_str());
            let rows = profile.rows;
            let (figures, sketch) = read_column(&mut cells, column, shown, rows, table)?;
            profile.columns.push(figures);
            if let Some(sketch) = sketch {
                profile.sketches.insert(column.name.clone(), sketch);
            }
        }
    }
    add_statistics(session, table, &mut profile).await?;
    Ok(profile)
}

/// Takes the answers in the order of the questions.
struct Cells<'r> {
    row: &'r Row,
    at: usize,
}

impl<'r> Cells<'r> {
    fn next<T: FromSql<'r>>(&mut self) -> Result<T> {
        self.at += 1;
        Ok(self.row.try_get(self.at - 1)?)
    }

    fn count(&mut self) -> Result<u64> {
        Ok(self.next::<Option<i64>>()?.unwrap_or_default() as u64)
    }
}

fn read_column(
    cells: &mut Cells<'_>,
    column: &Column,
    shown: bool,
    rows: u64,
    table: &Table,
) -> Result<(ColumnProfile, Option<Sketch>)> {
    let mut figures = ColumnProfile {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        nulls: rows.saturating_sub(cells.count()?),
        digest: cells.next::<Option<String>>()?.unwrap_or_default(),
        ..ColumnProfile::default()
    };
    figures.looked_at = cells.count()?;
    let many = figures.looked_at >= FEW_ROWS;
    let mut sketch = None;
    if has_sketch(table, column) {
        let bits = cells.next::<Option<String>>()?;
        sketch = bits.map(|bits| Sketch::from_bits(&bits));
    }
    match column.kind {
        Kind::Text => {
            figures.text = Some(TextFigures {
                bytes: cells.count()?,
                longest: cells.count()?,
                wide: cells.count()?,
                garbled: cells.count()?,
                padded: cells.count()?,
                upper: cells.count()?,
            });
        }
        Kind::Integer | Kind::Decimal | Kind::Float => {
            figures.number = Some(NumberFigures {
                negative: cells.count()?,
                zero: cells.count()?,
                broken: cells.count()?,
                magnitude: average(cells.next()?, many),
            });
        }
        Kind::Day | Kind::Time => figures.day = average(cells.next()?, many),
        Kind::Boolean | Kind::Uuid | Kind::Other => {}
    }
    if shown && has_order(column.kind) {
        figures.least = cells.next()?;
        figures.most = cells.next()?;
    }
    Ok((figures, sketch))
}

/// JSON has no infinities, and the average of a few values would tell them.
fn average(number: Option<f64>, many: bool) -> Option<f64> {
    number.filter(|number| many && number.is_finite())
}

/// Whether it has a smallest and a largest value that say something.
fn has_order(kind: Kind) -> bool {
    !matches!(kind, Kind::Boolean | Kind::Uuid | Kind::Other)
}

/// Columns beside a primary key: whether a key still has its value.
fn has_sketch(table: &Table, column: &Column) -> bool {
    column.key == 0 && table.columns.iter().any(|column| column.key > 0)
}

/// The hash of a value, NULL for NULL.
fn hash(column: &Column) -> String {
    let name = format!("t.{}", quote_ident(&column.name));
    match column.kind {
        Kind::Integer => format!("hashint8extended({name}::bigint, 0)"),
        Kind::Decimal => format!("hash_numeric_extended({name}::numeric, 0)"),
        Kind::Float => format!("hashfloat8extended({name}::float8, 0)"),
        Kind::Boolean => format!("hashint8extended({name}::int::bigint, 0)"),
        Kind::Uuid => format!("uuid_hash_extended({name}, 0)"),
        // Several times as fast as by its text. Neither infinity can be subtracted from.
        Kind::Day => format!(
            "hashint8extended(case when isfinite({name}) then {name} - date '2000-01-01' when {name} > date '2000-01-01' then 2147483647 when {name} is not null then -2147483648 end::bigint, 0)"
        ),
        Kind::Time => format!("timestamp_hash_extended({name}::timestamp, 0)"),
        _ => format!("hashtextextended({name}::text collate \"C\", 0)"),
    }
}

/// One hash of several hashes.
fn chain(hashes: &[String]) -> String {
    hashes.iter().fold("0::bigint".to_owned(), |chain, hash| {
        format!("hashint8extended(coalesce({hash}, 0), {chain})")
    })
}

/// Sets one bit for each sampled row.
fn sketch(value: &str, mask: u64) -> String {
    format!(
        "(bit_or(set_bit(repeat('0', {SKETCH_BITS})::bit({SKETCH_BITS}), ({value} & {})::int, 1)) filter (where x.key & {mask} = 0))::text",
        SKETCH_BITS - 1
    )
}

/// One query over the table: inside, each value is hashed once; around it, the hashes are put together.
fn question(table: &Table, columns: &[Column], shown: &BTreeSet<&str>, shift: u32) -> String {
    let mask = (1u64 << shift.min(62)) - 1;
    let shares = (1u64 << ((table.rows / SHARE_ROWS).max(1.0).log2().floor() as u32).min(62)) - 1;
    let keys: Vec<&Column> = table.columns.iter().filter(|c| c.key > 0).collect();
    let mut inner = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let name = format!("t.{}", quote_ident(&column.name));
        let value = match column.kind {
            Kind::Text => format!("({name}::text collate \"C\")"),
            Kind::Decimal => format!("{name}::numeric"),
            _ => name,
        };
        inner.push(format!("{value} as c{at}"));
        inner.push(format!("{} as h{at}", hash(column)));
    }
    let own: Vec<String> = (0..columns.len()).map(|at| format!("y.h{at}")).collect();
    let key_hashes: Vec<String> = (0..keys.len()).map(|at| format!("y.k{at}")).collect();
    for (at, column) in keys.iter().enumerate() {
        inner.push(format!("{} as k{at}", hash(column)));
    }
    // Also where the columns are asked in parts, each row is told apart by its key.
    let row = chain(&[key_hashes.as_slice(), own.as_slice()].concat());
    let key = match keys.is_empty() {
        true => row.clone(),
        false => chain(&key_hashes),
    };
    let mut outer = vec![
        "count(*)".to_owned(),
        "sum(x.whole)::text".to_owned(),
        // The low bits have chosen the sample; these are others.
        sketch("(x.key >> 48)", mask),
    ];
    for (at, column) in columns.iter().enumerate() {
        let c = format!("x.c{at}");
        outer.push(format!("count({c})"));
        outer.push(format!("sum(x.h{at})::text"));
        outer.push(format!("count({c}) filter (where x.looked)"));
        if has_sketch(table, column) {
            let pair = format!("hashint8extended(coalesce(x.h{at}, 0), x.key)");
            outer.push(sketch(&pair, mask));
        }
        outer.extend(figures(column.kind, &c));
        if shown.contains(column.name.as_str()) && has_order(column.kind) {
            outer.push(format!("min({c})::text"));
            outer.push(format!("max({c})::text"));
        }
    }
    format!(
        "select {} from (
             select z.*, z.key & {shares} = 0 as looked from (
                 select y.*, {key} as key, {row} as whole from (select {} from {} t offset 0) y offset 0) z) x",
        outer.join(", "),
        inner.join(", "),
        table.ident()
    )
}

/// What is counted of a column of some kind, in the rows that are looked at.
fn figures(kind: Kind, c: &str) -> Vec<String> {
    let count = |condition: String| format!("count(*) filter (where x.looked and {condition})");
    // Neither an infinity nor what a double cannot hold may end the night.
    let magnitude = |number: &str| {
        format!(
            "avg(log(least(greatest(abs({number}), 1e-300), 1e300)::float8)) filter (where x.looked and {c} <> 0 and {c}::text <> 'NaN')"
        )
    };
    match kind {
        Kind::Text => vec![
            format!("sum(octet_length({c})) filter (where x.looked)"),
            format!("(max(char_length({c})) filter (where x.looked))::bigint"),
            count(format!("octet_length({c}) <> char_length({c})")),
            count(format!(
                "case when octet_length({c}) <> char_length({c}) then {c} ~ {GARBLED} end"
            )),
            count(format!("btrim({c}, {SPACES}) <> {c}")),
            count(format!("upper({c}) = {c} and lower({c}) <> {c}")),
        ],
        Kind::Integer => vec![
            count(format!("{c} < 0")),
            count(format!("{c} = 0")),
            "0::bigint".into(),
            format!("avg(log(abs({c}::float8))) filter (where x.looked and {c} <> 0)"),
        ],
        Kind::Decimal => vec![
            count(format!("{c} < 0")),
            count(format!("{c} = 0")),
            count(format!("{c} <> trunc({c})")),
            magnitude(c),
        ],
        Kind::Float => vec![
            count(format!("{c} < 0")),
            count(format!("{c} = 0")),
            count(format!("{c} <> trunc({c})")),
            magnitude(&format!("{c}::float8")),
        ],
        Kind::Day | Kind::Time => vec![format!(
            "(avg(extract(epoch from {c})) filter (where x.looked and isfinite({c})))::float8 / 86400"
        )],
        Kind::Boolean | Kind::Uuid | Kind::Other => Vec::new(),
    }
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
