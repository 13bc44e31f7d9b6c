//! Reads declared tables and indexes, so that the first service does not wait for the disk.
//!
//! In: names from `warm` in dataset.toml. Out: how much was read. Needs no extension: a table is
//! counted from end to end, a btree is walked in its own order. The move of the alias only renames the
//! database, so what is in the cache then stays there. It is no gate that stops anything: a name that
//! is not there, or an index that no query walks, is a warning.

use crate::gate::Gate;
use crate::postgres::{Session, quote_ident};
use crate::units::Bytes;
use anyhow::{Context, Result};
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

/// Reads what is named; `None` where nothing is.
///
/// # Errors
/// The server refuses a query.
pub async fn warm(session: &Session, names: &[String]) -> Result<Option<Gate>> {
    if names.is_empty() {
        return Ok(None);
    }
    let (mut read, mut bytes, mut left) = (0, 0, Vec::new());
    for name in names {
        session.batch_execute("begin read only").await?;
        let one = warm_one(session, name).await;
        session.batch_execute("rollback").await?;
        match one.with_context(|| format!("read `{name}` into the cache"))? {
            Ok(size) => {
                read += 1;
                bytes += size;
            }
            Err(why) => left.push(format!("`{name}` {why}")),
        }
    }
    let mut finding = format!("{read} read, {}", Bytes(bytes));
    if !left.is_empty() {
        finding += &format!("; not read: {}", left.join(", "));
    }
    let gate = Gate::new("warm-up", left.is_empty(), finding);
    Ok(Some(gate.only_warns()))
}

/// Reads one relation and gives its size; or says why it cannot be read.
async fn warm_one(session: &Session, name: &str) -> Result<Result<u64, &'static str>> {
    let (schema, relation) = name.split_once('.').unwrap_or(("public", name));
    let leaves = session
        .query(include_str!("warm.sql"), &[&schema, &relation])
        .await?;
    if leaves.is_empty() {
        return Ok(Err("is no table, materialized view or index"));
    }
    let mut bytes = 0;
    for leaf in &leaves {
        let size: i64 = leaf.get(2);
        let table = format!("{}.{}", quote_ident(leaf.get(3)), quote_ident(leaf.get(4)));
        let order: Option<String> = leaf.get(5);
        match (leaf.get::<_, &str>(0), order) {
            ("table", _) => {
                session
                    .batch_execute(
                        "set local enable_indexonlyscan = off; set local enable_indexscan = off;
                         set local enable_bitmapscan = off",
                    )
                    .await?;
                session
                    .batch_execute(&format!("select count(*) from {table}"))
                    .await?;
            }
            ("btree", Some(order)) => {
                let first: String = leaf.get(6);
                let only: Option<String> = leaf.get(7);
                let only = only.map_or_else(String::new, |only| format!(" where {only}"));
                let sql = format!(
                    "select count(*) from (select {first} from {table}{only} order by {order} offset 0) walked"
                );
                session
                    .batch_execute(
                        "set local search_path = public; set local enable_seqscan = off;
                         set local enable_bitmapscan = off; set local enable_sort = off;
                         set local max_parallel_workers_per_gather = 0",
                    )
                    .await?;
                if !walks(session, &sql, leaf.get(1)).await? {
                    return Ok(Err("is an index that no query walks from end to end"));
                }
                session.batch_execute(&sql).await?;
            }
            _ => return Ok(Err("is not a btree index: only those can be read in order")),
        }
        bytes += size as u64;
    }
    Ok(Ok(bytes))
}

/// Whether the query goes over this index.
async fn walks(session: &Session, sql: &str, index: &str) -> Result<bool> {
    let plan = explained(session, sql).await?;
    Ok(plan
        .as_ref()
        .is_some_and(|plan| any(plan, &|node| node["Index Name"] == index)))
}

/// The plan of a query, without running it.
pub(super) async fn explained(
    session: &Session,
    sql: &str,
) -> Result<Option<Value>, tokio_postgres::Error> {
    let messages = session
        .simple_query(&format!("explain (verbose, format json) {sql}"))
        .await?;
    let mut text = String::new();
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message {
            text += row.get(0).unwrap_or_default();
        }
    }
    let plan: Option<Value> = serde_json::from_str(&text).ok();
    Ok(plan.map(|plan| plan[0]["Plan"].clone()))
}

/// Whether a node of a plan, or any below it, is such a one.
pub(super) fn any(node: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    let mut below = node["Plans"].as_array().into_iter().flatten();
    is(node) || below.any(|node| any(node, is))
}
