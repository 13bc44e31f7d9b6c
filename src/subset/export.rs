//! Rows of chosen tables as binary COPY, from sessions that all see the same build.
//!
//! In: [`Chosen`]. Out: for each table a stream of bytes, in the order of its key, so that the same
//! rows are the same bytes. Only part and place of the chosen rows travel from the session that chose
//! them to the one that copies; the rows themselves go through in blocks and are held nowhere.

use super::catalog::Table;
use super::closure::Chosen;
use super::mask;
use super::rules::Take;
use super::statement::{self, Which};
use crate::dataset::subset::ColumnFate;
use crate::postgres::{Session, quote_ident};
use crate::problem::Problem;
use crate::schema::tables::Column;
use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio_postgres::Client;

/// Bytes gathered before they are passed on: a message of the server holds one row.
const BLOCK: usize = 256 << 10;

/// Columns that are copied, in their order: by position in the table, and as SQL.
fn copied(table: &Table, fates: &[ColumnFate]) -> Vec<(String, String)> {
    let key = statement::row_key(table);
    let columns = table.columns.iter().zip(fates);
    columns
        .filter(|(column, _)| !column.generated)
        .filter_map(|(column, fate)| {
            Some((column.name.clone(), mask::expression(column, *fate, &key)?))
        })
        .collect()
}

impl Chosen {
    /// Names of the columns that a table's copy has.
    pub fn columns(&self, at: usize) -> Vec<String> {
        let named = copied(&self.catalog.tables[at], &self.rules.tables[at].fates);
        named.into_iter().map(|(name, _)| name).collect()
    }

    /// Positions of the tables that are copied.
    pub fn copied_tables(&self) -> Vec<usize> {
        (0..self.catalog.tables.len())
            .filter(|at| self.rules.tables[*at].take != Take::Derived)
            .collect()
    }

    /// `copy (select …) to stdout`: every chosen row once, masked, in the order of the key.
    fn statement(&self, at: usize) -> String {
        let (table, rule) = (&self.catalog.tables[at], &self.rules.tables[at]);
        let which = match rule.take {
            Take::Everything => Which::Whole,
            _ => Which::Any,
        };
        let all: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        let select: Vec<String> = copied(table, &rule.fates)
            .into_iter()
            .map(|(_, expression)| expression)
            .collect();
        let order: Vec<String> = table
            .key
            .iter()
            .filter_map(|name| table.column(name))
            .map(in_order)
            .chain([format!("u.{}", statement::P), format!("u.{}", statement::C)])
            .collect();
        format!(
            "copy (select {} from ({}) u{} order by {}) to stdout (format binary)",
            select.join(", "),
            statement::rows(table, &statement::all_parts(table), &all),
            statement::join_chosen(at, which),
            order.join(", ")
        )
    }

    /// Opens a session on the same picture of the build, with the chosen rows of one table.
    async fn reader(&self, at: usize, secret: Option<&[u8]>) -> Result<Session> {
        let session = self.server.connect(&self.database, "subset copy").await?;
        session
            .batch_execute(&format!(
                "{}; begin isolation level repeatable read; set transaction snapshot {}",
                super::closure::SETTINGS,
                crate::postgres::quote_literal(&self.snapshot)
            ))
            .await
            .context("see the same picture of the build")?;
        if let Some(secret) = secret {
            give_secret(&session, secret).await?;
        }
        if self.rules.tables[at].take != Take::Everything {
            session
                .batch_execute(&statement::create_chosen(at))
                .await
                .context("make room for the chosen rows")?;
            let keeper = self.keeper.lock().await;
            let chosen = statement::chosen(at);
            let from = keeper
                .copy_out(&format!(
                    "copy (select p, c, r from {chosen}) to stdout (format binary)"
                ))
                .await?;
            let to = session
                .copy_in::<_, Bytes>(&format!("copy {chosen} from stdin (format binary)"))
                .await?;
            let (mut from, mut to) = (Box::pin(from), Box::pin(to));
            let mut block = BytesMut::new();
            while let Some(bytes) = from.next().await {
                block.extend_from_slice(&bytes?);
                if block.len() >= BLOCK {
                    to.send(block.split().freeze()).await?;
                }
            }
            to.send(block.freeze()).await?;
            to.as_mut().finish().await?;
            drop(keeper);
            session.batch_execute(&format!("analyze {chosen}")).await?;
        }
        Ok(session)
    }

    /// Sends the rows of a table, block by block, to `out`; a server that is silent for longer than
    /// `stall_limit` is an error.
    ///
    /// # Errors
    /// The server's, or those of `out`.
    pub async fn send(
        &self,
        at: usize,
        secret: Option<&[u8]>,
        stall_limit: Duration,
        mut out: impl AsyncFnMut(Bytes) -> Result<()>,
    ) -> Result<()> {
        let table = self.catalog.tables[at].display();
        let reading = || format!("copy the rows of `{table}` out of the build");
        let session = self.reader(at, secret).await.with_context(reading)?;
        let stream = session
            .copy_out(&self.statement(at))
            .await
            .with_context(reading)?;
        let mut stream = Box::pin(stream);
        let mut block = BytesMut::with_capacity(BLOCK);
        loop {
            let Ok(next) = tokio::time::timeout(stall_limit, stream.next()).await else {
                bail!(
                    Problem::dependency(format!(
                        "copy the rows of `{table}` out of the build: no bytes for {} s",
                        stall_limit.as_secs()
                    ))
                    .hint("--stall-limit sets the limit")
                );
            };
            let Some(bytes) = next else { break };
            block.extend_from_slice(&bytes.with_context(reading)?);
            if block.len() >= BLOCK {
                out(block.split().freeze()).await?;
            }
        }
        drop(stream);
        if !block.is_empty() {
            out(block.freeze()).await?;
        }
        session.close().await;
        Ok(())
    }
}

/// Texts by their bytes, so that the order is that of every server.
fn in_order(column: &Column) -> String {
    let name = quote_ident(&column.name);
    let base = &column.base;
    let is_text = base.schema == "pg_catalog"
        && matches!(base.name.as_str(), "text" | "varchar" | "bpchar" | "name");
    match is_text {
        true => format!("u.{name} collate \"C\""),
        false => format!("u.{name}"),
    }
}

/// Hands the secret over as data of a COPY: statements, their parameters and settings may be logged.
async fn give_secret(client: &Client, secret: &[u8]) -> Result<()> {
    let name = mask::SECRET_TABLE
        .strip_prefix("pg_temp.")
        .unwrap_or(mask::SECRET_TABLE);
    client
        .batch_execute(&format!(
            "create temporary table {name} (s bytea not null) on commit drop"
        ))
        .await
        .context("hand over the key of the masks")?;
    let sink = client
        .copy_in::<_, Bytes>(&format!("copy {} from stdin", mask::SECRET_TABLE))
        .await
        .context("hand over the key of the masks")?;
    let mut sink = Box::pin(sink);
    let line = format!("\\\\x{}\n", crate::dataset::hex(secret));
    sink.send(Bytes::from(line)).await?;
    sink.as_mut().finish().await?;
    Ok(())
}
