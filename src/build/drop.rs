//! The end of a build. Nothing is dropped but what the ledger owns: its row, the OID, the owner
//! and the stamp inside must all agree; a look-alike name is never enough.

use super::{Database, allow_connections, end_sessions, find_database, find_database_by_oid};
use crate::crashpoint;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::{Server, quote_ident};
use crate::switch;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// What became of a database that was to be dropped.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Dropped,
    /// There was none.
    Absent,
    /// Somebody is connected; it stays until next time.
    InUse,
    /// It is not, or not surely, the ledger's own.
    NotOurs(String),
}

/// Records why a build came to nothing and drops what is left of it.
///
/// A full disk may refuse the record until the drop has given the space back, so it is tried
/// before, where a crash cannot lose the reason, and if need be again after.
pub async fn fail_and_sweep(
    ledger: &Ledger,
    server: &Server,
    build: &Build,
    reason: &str,
) -> Result<Fate> {
    let recorded = ledger.fail(build, reason).await;
    let failed = Build {
        state: State::Failed,
        ..build.clone()
    };
    let swept = sweep(ledger, server, &failed).await;
    if recorded.is_err() {
        ledger.fail(build, reason).await?;
    }
    swept
}

/// Drops what is left of a build that came to nothing, and records it.
pub async fn sweep(ledger: &Ledger, server: &Server, build: &Build) -> Result<Fate> {
    let fate = drop_database(ledger, server, build, true).await?;
    match &fate {
        Fate::Dropped => {
            ledger
                .event(&build.dataset, Some(build.id), "swept", &build.name)
                .await?
        }
        Fate::Absent => {}
        Fate::InUse => {
            tracing::warn!(build = %build.name, "leftover is in use; it will be dropped later")
        }
        Fate::NotOurs(why) => {
            tracing::warn!(build = %build.name, "leftover is not dropped: {why}");
        }
    }
    Ok(fate)
}

/// Drops a build's database if it is surely ours. `end` ends its sessions first; without it a
/// database in use is left alone.
pub async fn drop_database(
    ledger: &Ledger,
    server: &Server,
    build: &Build,
    end: bool,
) -> Result<Fate> {
    let by_oid = match build.database_oid {
        Some(oid) => find_database_by_oid(ledger, oid).await?,
        None => find_database(ledger, &build.name).await?,
    };
    let Some(database) = by_oid else {
        return Ok(Fate::Absent);
    };
    if let Some(why) = not_ours(build, &database) {
        return Ok(Fate::NotOurs(why));
    }
    // A drop that was cut short leaves a database that nobody can look into, only drop.
    if database.connection_limit != -2
        && let Some(why) = stranger(ledger, server, build, &database).await?
    {
        return Ok(Fate::NotOurs(why));
    }
    ledger
        .check_lock(&build.dataset, if end { Lock::Build } else { Lock::Move })
        .await?;
    if end {
        end_sessions(ledger, database.oid).await?;
    }
    match end {
        true => crashpoint::reached("sweep.before_drop"),
        false => crashpoint::reached("retire.before_drop"),
    }
    for attempt in 0..3 {
        let dropped = ledger
            .session
            .batch_execute(&format!("drop database {}", quote_ident(&build.name)))
            .await;
        match dropped {
            Ok(()) => {
                match end {
                    true => crashpoint::reached("sweep.after_drop"),
                    false => crashpoint::reached("retire.after_drop"),
                }
                return Ok(Fate::Dropped);
            }
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_DATABASE) => {
                return Ok(Fate::Absent);
            }
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                if !end || attempt == 2 {
                    return Ok(Fate::InUse);
                }
                end_sessions(ledger, database.oid).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(error).with_context(|| format!("drop `{}`", build.name)),
        }
    }
    Ok(Fate::InUse)
}

/// Looks inside, through a door that is opened for the look where it was closed.
async fn stranger(
    ledger: &Ledger,
    server: &Server,
    build: &Build,
    database: &Database,
) -> Result<Option<String>> {
    if !database.allow_connections {
        turn_for_look(ledger, build, &database.name, true).await?;
        crashpoint::reached("retire.in_look");
    }
    let looked = look_inside(server, build).await;
    if !database.allow_connections {
        turn_for_look(ledger, build, &database.name, false).await?;
    }
    looked
}

/// What the ledger calls the opening of a closed build for a look inside.
const LOOKING: &str = "looking";

/// Opens or closes a build for a look inside, with its record in one transaction: one that is found
/// open later was opened by somebody who wants to keep it, or by a look that died.
async fn turn_for_look(ledger: &Ledger, build: &Build, name: &str, open: bool) -> Result<()> {
    let kind = if open { LOOKING } else { "looked" };
    ledger.begin().await?;
    let turned = async {
        allow_connections(ledger, name, open).await?;
        ledger
            .event(&build.dataset, Some(build.id), kind, &build.name)
            .await?;
        ledger.commit().await
    };
    if let Err(error) = turned.await {
        ledger.rollback().await;
        return Err(error);
    }
    Ok(())
}

/// Closes a build again that a look inside has left open; whether it had.
pub async fn close_after_look(ledger: &Ledger, build: &Build, database: &Database) -> Result<bool> {
    let last = ledger
        .session
        .query_opt(
            "select kind from ledger.event where build = $1 order by id desc limit 1",
            &[&build.id],
        )
        .await
        .context("read the last event of a build")?;
    let left = last.is_some_and(|row| row.get::<_, String>(0) == LOOKING);
    if left {
        turn_for_look(ledger, build, &database.name, false).await?;
    }
    Ok(left)
}

async fn look_inside(server: &Server, build: &Build) -> Result<Option<String>> {
    let session = server.connect(&build.name, "look before dropping").await?;
    let stamped: bool = session
        .query_one("select to_regclass('overnight.build') is not null", &[])
        .await?
        .get(0);
    let nonces = match stamped {
        false => None,
        true => {
            let rows = session
                .query("select nonce from overnight.build", &[])
                .await?;
            Some(rows.iter().map(|row| row.get(0)).collect())
        }
    };
    let relations: i64 = session
        .query_one(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')",
            &[],
        )
        .await?
        .get(0);
    Ok(strange_inside(build, &Inside { nonces, relations }))
}

/// What a look inside a database shows.
#[derive(Debug, Clone)]
pub struct Inside {
    /// Of the stamp; `None` without one.
    pub nonces: Option<Vec<String>>,
    pub relations: i64,
}

/// Why the database with a build's OID or name is not its own, as the catalog tells.
pub fn not_ours(build: &Build, database: &Database) -> Option<String> {
    if database.name != build.name && switch::on("drop.name") {
        return Some(format!("its database is called `{}` now", database.name));
    }
    if !database.owned && switch::on("drop.owner") {
        return Some(format!("`{}` belongs to another role", database.name));
    }
    None
}

/// Why a database is not the build's own, as its inside tells: the stamp must carry the ledger's
/// nonce. A database that was created and not yet stamped is ours if its name was reserved and it
/// holds nothing at all.
pub fn strange_inside(build: &Build, inside: &Inside) -> Option<String> {
    if let Some(nonces) = &inside.nonces {
        let ours = nonces.contains(&build.nonce) || !switch::on("drop.nonce");
        return (!ours).then(|| format!("the stamp inside `{}` is another one", build.name));
    }
    let unfinished = matches!(
        build.state,
        State::Creating | State::Loading | State::Failed
    );
    let empty = inside.relations == 0 || !switch::on("drop.empty");
    if unfinished && empty {
        return None;
    }
    Some(format!(
        "`{}` holds {} relations and no stamp",
        build.name, inside.relations
    ))
}
