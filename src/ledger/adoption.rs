//! Rows that are written again from the stamps of builds, after the ledger was lost or restored from an
//! older backup.

use super::{Build, Ledger, State};
use crate::postgres::Session;
use anyhow::{Context, Result};

/// Who a database says that it is.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub dataset: String,
    pub build: String,
    pub nonce: String,
    pub schema_version: i32,
    pub tool_version: String,
    pub input_digest: String,
    /// UTC, `2026-11-21T05:10:02.123456Z`.
    pub created_at: String,
    pub verified_at: Option<String>,
    /// It holds a part of a build only.
    pub subset: bool,
    /// An unfinished build that a run can resume.
    pub resumable: bool,
}

/// A database that carries the stamp of a build, and what it is to be in the ledger.
#[derive(Debug)]
pub struct Adopted<'a> {
    pub stamp: &'a Stamp,
    pub oid: u32,
    pub state: State,
    /// It was published after the build that is live, and gone back from.
    pub rolled_back: bool,
}

/// The rows of a stamp that the ledger keeps as well, as JSON.
#[derive(Debug)]
pub struct Counts(Vec<serde_json::Value>);

/// A table that stamp and ledger both have.
struct Part {
    table: &'static str,
    columns: &'static str,
    types: &'static str,
}

const PARTS: [Part; 3] = [
    Part {
        table: "input",
        columns: "source, key, version, bytes, sha256, records_read, rows_loaded, rejected",
        types: "source text, key text, version text, bytes bigint, sha256 text,
                records_read bigint, rows_loaded bigint, rejected bigint",
    },
    Part {
        table: "loaded",
        columns: "table_name, rows_loaded",
        types: "table_name text, rows_loaded bigint",
    },
    Part {
        table: "sql_file",
        columns: "path, sha256",
        types: "path text, sha256 text",
    },
];

impl Ledger {
    /// Writes the row of a build from its stamp; a row with its nonce is brought up to date. Returns the
    /// row's number and whether anything has changed.
    ///
    /// Row numbers are the order of the builds. A build that is older than every row gets a number below
    /// them all.
    pub async fn adopt_build(&self, adopted: &Adopted<'_>) -> Result<(i64, bool)> {
        let stamp = adopted.stamp;
        let row = self
            .session
            .query_one(
                include_str!("adopt_build.sql"),
                &[
                    &stamp.dataset,
                    &stamp.build,
                    &stamp.nonce,
                    &adopted.oid,
                    &adopted.state.word(),
                    &stamp.schema_version,
                    &stamp.input_digest,
                    &stamp.tool_version,
                    &stamp.created_at,
                    &stamp.verified_at,
                    &adopted.rolled_back,
                ],
            )
            .await
            .with_context(|| format!("adopt `{}`", stamp.build))?;
        Ok((row.get(0), row.get(1)))
    }

    /// Reads what a build counted from its stamp.
    pub async fn counts_in(inside: &Session) -> Result<Counts> {
        let mut rows = Vec::new();
        for part in &PARTS {
            let question = format!(
                "select coalesce(jsonb_agg(to_jsonb(t)), '[]') from overnight.{} t",
                part.table
            );
            let row = inside.query_one(&question, &[]).await;
            rows.push(
                row.with_context(|| format!("read `overnight.{}`", part.table))?
                    .get(0),
            );
        }
        Ok(Counts(rows))
    }

    /// Writes what a build counted to its row and to the tables of its inputs, tables and files.
    pub async fn adopt_counts(&self, build: i64, counts: &Counts) -> Result<()> {
        for (part, rows) in PARTS.iter().zip(&counts.0) {
            let Part {
                table,
                columns,
                types,
            } = part;
            self.session
                .execute(
                    &format!(
                        "insert into ledger.{table} (build, {columns})
                         select $1, {columns} from jsonb_to_recordset($2) as t({types})
                         on conflict do nothing"
                    ),
                    &[&build, rows],
                )
                .await
                .with_context(|| format!("copy `overnight.{table}` to the ledger"))?;
        }
        self.session
            .execute(
                "update ledger.build b set
                     rows_loaded = coalesce(b.rows_loaded, (select sum(rows_loaded) from ledger.loaded where build = b.id)::bigint),
                     records_read = coalesce(b.records_read, (select sum(records_read) from ledger.input where build = b.id)::bigint),
                     bytes_read = coalesce(b.bytes_read, (select sum(bytes) from ledger.input where build = b.id)::bigint)
                 where id = $1",
                &[&build],
            )
            .await
            .context("record the counts of an adopted build")?;
        Ok(())
    }

    /// Records what is live after an adoption, and the build that a rollback would lead to. With `hold`,
    /// a reason, the alias is held.
    pub async fn adopt_live(
        &self,
        dataset: &str,
        live: Option<(&Build, u32)>,
        hold: Option<&str>,
    ) -> Result<()> {
        self.take_live(dataset, live).await?;
        self.session
            .execute(
                "update ledger.dataset d set previous_build = (
                     select max(b.id) from ledger.build b
                     where b.dataset = d.dataset and b.state = 'published' and b.rolled_back_at is null
                       and b.id < coalesce(d.live_build, b.id + 1) and b.id is distinct from d.live_build)
                 where dataset = $1",
                &[&dataset],
            )
            .await
            .context("record the previous build")?;
        self.point(dataset).await?;
        match hold {
            Some(reason) => self.set_hold(dataset, true, Some(reason)).await,
            None => Ok(()),
        }
    }

    /// Whether the database of a build is on the server.
    pub async fn database_exists(&self, build: &Build) -> Result<bool> {
        let row = self
            .session
            .query_one(
                "select exists (select from pg_database where oid = $1)",
                &[&build.database_oid],
            )
            .await
            .context("look for the database of a build")?;
        Ok(row.get(0))
    }

    /// Closed databases that an adoption opened for a look and has not closed again.
    pub async fn opened_for_adoption(&self) -> Result<Vec<String>> {
        let rows = self
            .session
            .query(
                "select detail from (
                     select distinct on (detail) detail, kind from ledger.event
                     where kind in ('adopting', 'adoption looked') order by detail, id desc) e
                 where kind = 'adopting'",
                &[],
            )
            .await
            .context("look for databases that an adoption left open")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
