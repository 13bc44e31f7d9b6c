//! The schema `overnight` inside a build, and who may read the build.

use crate::ledger::Build;
use crate::ledger::adoption::Stamp;
use crate::postgres::{Server, Session, quote_ident};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

/// Creates the stamp's tables and writes who this database is.
pub async fn write_stamp(session: &Session, build: &Build) -> Result<()> {
    session
        .batch_execute(&format!("begin;{}", include_str!("stamp.sql")))
        .await
        .context("create the stamp")?;
    session
        .execute(
            "insert into overnight.build
                 (dataset, build, nonce, schema_version, tool_version, input_digest, created_at)
             values ($1, $2, $3, $4, $5, $6, clock_timestamp())",
            &[
                &build.dataset,
                &build.name,
                &build.nonce,
                &build.schema_version,
                &env!("CARGO_PKG_VERSION"),
                &build.input_digest,
            ],
        )
        .await
        .context("write the stamp")?;
    session
        .batch_execute("commit")
        .await
        .context("write the stamp")
}

/// Reads the stamp of a database; `None` when it has none that this role has made.
///
/// # Errors
/// The database cannot be entered.
pub async fn read_stamp(server: &Server, database: &str) -> Result<Option<Stamp>> {
    let session = server
        .connect(database, "read the stamp")
        .await
        .with_context(|| format!("look into `{database}`"))?;
    let stamp = stamp_in(&session).await;
    session.close().await;
    stamp.with_context(|| format!("read the stamp of `{database}`"))
}

/// Whether a database can be entered and carries a stamp that this role has made.
pub async fn has_stamp(server: &Server, database: &str) -> bool {
    let stamp = read_stamp(server, database).await;
    stamp.is_ok_and(|stamp| stamp.is_some())
}

/// The same on an open session.
pub async fn stamp_in(session: &Session) -> Result<Option<Stamp>> {
    // A table of this role's own: a view of another role would run that role's code.
    let ours: bool = session
        .query_one(
            "select exists (
                 select from pg_catalog.pg_class c
                 where c.oid = pg_catalog.to_regclass('overnight.build') and c.relkind = 'r'
                   and pg_catalog.pg_get_userbyid(c.relowner) = current_user)",
            &[],
        )
        .await?
        .get(0);
    if !ours {
        return Ok(None);
    }
    let row = session
        .query_opt(
            "select dataset, build, nonce, schema_version, tool_version, input_digest,
                    to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    to_char(verified_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                    pg_catalog.to_regclass('overnight.subset') is not null,
                    pg_catalog.to_regclass('overnight.set_aside') is not null
             from overnight.build",
            &[],
        )
        .await?;
    Ok(row.map(|row| Stamp {
        dataset: row.get(0),
        build: row.get(1),
        nonce: row.get(2),
        schema_version: row.get(3),
        tool_version: row.get(4),
        input_digest: row.get(5),
        created_at: row.get(6),
        verified_at: row.get(7),
        subset: row.get(8),
        resumable: row.get(9),
    }))
}

/// Writes that the build passed every gate.
pub async fn finish_stamp(client: &Client) -> Result<()> {
    client
        .execute(
            "update overnight.build set verified_at = clock_timestamp()",
            &[],
        )
        .await
        .context("write the verification into the stamp")?;
    Ok(())
}

/// Gives the reader roles USAGE and SELECT on everything. CONNECT comes with the move of the
/// alias, in its transaction.
///
/// # Errors
/// Status 2 when a role does not exist.
pub async fn grant_readers(client: &Client, readers: &[String]) -> Result<()> {
    let schemas: Vec<String> = client
        .query(
            "select nspname::text from pg_namespace
             where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1",
            &[],
        )
        .await?
        .iter()
        .map(|row| quote_ident(row.get(0)))
        .collect();
    for reader in readers {
        let exists: bool = client
            .query_one(
                "select exists (select from pg_roles where rolname = $1)",
                &[reader],
            )
            .await?
            .get(0);
        if !exists {
            bail!(
                Problem::usage(format!("the reader role `{reader}` does not exist"))
                    .hint(format!("create role {} login", quote_ident(reader)))
            );
        }
        let role = quote_ident(reader);
        for schema in &schemas {
            client
                .batch_execute(&format!(
                    "grant usage on schema {schema} to {role};
                     grant select on all tables in schema {schema} to {role};
                     grant select on all sequences in schema {schema} to {role};
                     grant execute on all functions in schema {schema} to {role}"
                ))
                .await
                .with_context(|| format!("grant the reader role `{reader}` schema {schema}"))?;
        }
    }
    Ok(())
}
