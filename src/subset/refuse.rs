//! Where a subset must not go: over somebody's database, or beside the live alias.
//!
//! In: a server and a name. Out: nothing, or a refusal before anything was changed. What cannot be
//! known is refused: a ledger that may not be read is somebody's.

use super::place::{Role, list};
use crate::ledger::Ledger;
use crate::postgres::{Server, Session};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};

/// Fails when a database has the alias's name that is no subset of ours.
///
/// # Errors
/// Status 1; nothing was changed.
pub async fn stranger(session: &Session, dataset: &str, alias: &str) -> Result<()> {
    let taken: bool = session
        .query_one(
            "select exists (select from pg_database where datname = $1)",
            &[&alias],
        )
        .await?
        .try_get(0)?;
    let ours = list(session, Some(dataset)).await?;
    let ours = ours
        .iter()
        .any(|found| found.name == alias && found.role == Role::Alias);
    if taken && !ours && switch::on("subset.stranger") {
        bail!(
            Problem::refused(format!(
                "a database named `{alias}` exists and is not a subset that overnight made; nothing was changed"
            ))
            .hint("name another one, `--to postgres://…/NAME`, or rename or drop that one yourself")
        );
    }
    Ok(())
}

/// Fails when this server's ledger has a live build of the dataset: a subset is no replacement for it.
pub async fn live_here(server: &Server, control: &str, dataset: &str) -> Result<()> {
    let Some(ledger) = Ledger::open_existing(server, control, "subset").await? else {
        return Ok(());
    };
    let known = ledger.datasets().await?.iter().any(|name| name == dataset);
    let live = known && ledger.dataset(dataset).await?.live_build.is_some();
    ledger.session.close().await;
    if live && switch::on("subset.live_here") {
        bail!(
            Problem::refused(format!(
                "the embedded server has a live build of `{dataset}`; nothing was changed"
            ))
            .hint("write the subset elsewhere: `--to FILE.tar.zst`, or `--to postgres://…`; or use another --home")
        );
    }
    Ok(())
}

/// Fails when the server holds the live alias of any ledger, whatever its control database is called.
///
/// # Errors
/// Status 1, also when a database that looks like a build lies there whose ledger cannot be read.
pub async fn live_server(server: &Server, session: &Session) -> Result<()> {
    if !switch::on("subset.live_server") {
        return Ok(());
    }
    let hint = "a subset goes to another server than the builds; nothing was changed";
    let place = server.target().place();
    let rows = session
        .query(
            "select datname::text, datname ~ '_[0-9]{8}t[0-9]{6}z$',
                    datallowconn and has_database_privilege(oid, 'connect')
             from pg_database where not datistemplate order by 1",
            &[],
        )
        .await
        .context("list the databases of the server")?;
    for row in rows {
        let (name, like_a_build, enter): (String, bool, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if like_a_build {
            bail!(
                Problem::refused(format!(
                    "the server at {place} holds builds, such as `{name}`"
                ))
                .hint(hint)
            );
        }
        if !enter {
            continue;
        }
        // A server may forbid what its catalog allows; then nobody can know, and the names must do.
        let Ok(inside) = server.connect(&name, "look for a ledger").await else {
            continue;
        };
        let is_ledger: bool = inside
            .query_one(
                "select to_regclass('ledger.dataset') is not null and to_regclass('ledger.version') is not null",
                &[],
            )
            .await?
            .try_get(0)?;
        let live = match is_ledger {
            false => false,
            true => match inside
                .query_one(
                    "select exists (select from ledger.dataset where live_build is not null)",
                    &[],
                )
                .await
            {
                Ok(row) => row.try_get(0)?,
                // A ledger that this role may not read is somebody's.
                Err(_) => true,
            },
        };
        inside.close().await;
        if live {
            bail!(
                Problem::refused(format!(
                    "the server at {place} holds a live alias: its ledger is `{name}`"
                ))
                .hint(hint)
            );
        }
    }
    Ok(())
}
