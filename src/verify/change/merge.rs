//! Which keys of a table came, went and changed between two builds: exact, and in bounded memory.
//!
//! In: a session on each build. Out: counts, and as many sample keys as somebody asks for. Both servers
//! sort by the bytes of the key and send key and hash of the row; here the two streams are merged, a
//! row of each at a time. What the driver has not handed on yet keeps the server waiting. A table
//! without a primary key is compared by whole rows: then nothing can have changed, only come and gone.

use super::measure::Table;
use crate::ledger::profiles::KeyChange;
use crate::postgres::{Session, quote_ident};
use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use std::cmp::Ordering;
use std::pin::Pin;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

/// What was found. The samples are values of the data: only for somebody who asks.
#[derive(Debug, Default, serde::Serialize)]
pub struct Difference {
    #[serde(flatten)]
    pub counts: KeyChange,
    /// Compared by this key; empty where whole rows were compared.
    pub key: Vec<String>,
    /// No row was read: the digests that were recorded of both tables are equal.
    pub by_digest: bool,
    /// Columns that only one of them has, which were not compared.
    pub only_in_one: Vec<String>,
    #[serde(skip_serializing_if = "Samples::is_empty")]
    pub samples: Samples,
}

/// Some keys of each kind, the first in their order.
#[derive(Debug, Default, serde::Serialize)]
pub struct Samples {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl Samples {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// One build's side of a table.
#[derive(Clone, Copy)]
pub struct Side<'s> {
    pub session: &'s Session,
    pub table: &'s Table,
}

/// Merges the table of the `old` build with that of the `new` one, keeping so many keys of each kind.
///
/// # Errors
/// When a server fails, or sends keys in another order than that of their bytes.
pub async fn difference(old: Side<'_>, new: Side<'_>, samples: usize) -> Result<Difference> {
    let in_both: Vec<&str> = new
        .table
        .columns()
        .map(|(name, _)| name)
        .filter(|name| old.table.columns().any(|(other, _)| other == *name))
        .collect();
    let alone = |one: &Table, other: &Table| -> Vec<String> {
        let columns = one.columns().map(|(name, _)| name.to_owned());
        let there = |name: &String| other.columns().any(|(known, _)| known == name);
        columns.filter(|name| !there(name)).collect()
    };
    let key = match new.table.key() == old.table.key() {
        true => new.table.key(),
        false => Vec::new(),
    };
    let mut found = Difference {
        key: key.iter().map(|column| (*column).to_owned()).collect(),
        only_in_one: [alone(old.table, new.table), alone(new.table, old.table)].concat(),
        ..Difference::default()
    };
    let samples = if key.is_empty() { 0 } else { samples };
    let mut old = Rows::ask(old, &key, &in_both).await?;
    let mut new = Rows::ask(new, &key, &in_both).await?;
    let keep = |list: &mut Vec<String>, key: &str| {
        if list.len() < samples {
            list.push(key.to_owned());
        }
    };
    let (mut before, mut after) = (old.next().await?, new.next().await?);
    loop {
        let order = match (&before, &after) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.key.as_bytes().cmp(after.key.as_bytes()),
        };
        match (order, &before, &after) {
            (Ordering::Less, Some(row), _) => {
                found.counts.removed += 1;
                keep(&mut found.samples.removed, &row.key);
            }
            (Ordering::Greater, _, Some(row)) => {
                found.counts.added += 1;
                keep(&mut found.samples.added, &row.key);
            }
            (Ordering::Equal, Some(was), Some(is)) if was.hash != is.hash => {
                found.counts.changed += 1;
                keep(&mut found.samples.changed, &is.key);
            }
            _ => found.counts.unchanged += 1,
        }
        if order != Ordering::Greater {
            before = old.next().await?;
        }
        if order != Ordering::Less {
            after = new.next().await?;
        }
    }
    Ok(found)
}

struct KeyedRow {
    key: String,
    hash: i64,
}

/// The rows of one side, in the order of their keys.
struct Rows {
    stream: Pin<Box<RowStream>>,
    table: String,
    last: String,
}

impl Rows {
    async fn ask(side: Side<'_>, key: &[&str], columns: &[&str]) -> Result<Rows> {
        let table = side.table.full();
        let none: [&(dyn ToSql + Sync); 0] = [];
        let stream = side
            .session
            .query_raw(&question(side.table, key, columns), none)
            .await
            .with_context(|| format!("read the keys of `{table}`"))?;
        Ok(Rows {
            stream: Box::pin(stream),
            table,
            last: String::new(),
        })
    }

    async fn next(&mut self) -> Result<Option<KeyedRow>> {
        let row: Option<Row> = self
            .stream
            .try_next()
            .await
            .with_context(|| format!("read the keys of `{}`", self.table))?;
        let Some(row) = row else { return Ok(None) };
        let next = KeyedRow {
            key: row.try_get(0)?,
            hash: row.try_get(1)?,
        };
        if next.key.as_bytes() < self.last.as_bytes() {
            bail!("the keys of `{}` did not come in order", self.table);
        }
        self.last.clone_from(&next.key);
        Ok(Some(next))
    }
}

/// Key and hash of every row, by the bytes of the key.
fn question(table: &Table, key: &[&str], columns: &[&str]) -> String {
    let column = |name: &&str| format!("t.{}", quote_ident(name));
    let list: Vec<String> = columns.iter().map(column).collect();
    let whole = format!(
        "hashtextextended(row({})::text collate \"C\", 0)",
        list.join(", ")
    );
    let (key, hash) = match key {
        [] => (format!("{whole}::text"), "0::bigint".to_owned()),
        [one] => (format!("{}::text", column(one)), whole),
        several => {
            let texts: Vec<String> = several
                .iter()
                .map(|name| format!("{}::text", column(name)))
                .collect();
            (format!("array[{}]::text", texts.join(", ")), whole)
        }
    };
    format!(
        "select k.key, k.hash from (select {key} as key, {hash} as hash from {} t) k order by k.key collate \"C\"",
        table.ident()
    )
}
