//! A filled build that gates have refused. It is kept for a while: an operator can inspect its rows, or
//! accept the gates and publish it without another load.
//!
//! In: the lock of the dataset's builds. Out: a closed database with `default_transaction_read_only`. It is
//! never a baseline and never published; it has to become a verified build first.

use super::{Fate, allow_connections, end_sessions, find_database_by_oid, not_ours, sweep};
use crate::crashpoint;
use crate::ledger::{Build, Ledger, State};
use crate::postgres::{Server, explain_chain, quote_ident};
use crate::problem::{Problem, hint_of};
use anyhow::{Context, Error, Result, bail};

/// Closes a build and records why gates have refused it: both or neither.
pub async fn refuse(ledger: &Ledger, build: &Build, reason: &str) -> Result<()> {
    ledger.begin().await?;
    let refused = async {
        allow_connections(ledger, &build.name, false).await?;
        read_only(ledger, build, true).await?;
        ledger.refuse(build, reason).await?;
        crashpoint::reached("refuse.before_commit");
        ledger.commit().await
    };
    if let Err(error) = refused.await {
        ledger.rollback().await;
        return Err(error).with_context(|| format!("keep `{}`", build.name));
    }
    crashpoint::reached("refuse.after_commit");
    Ok(())
}

/// Opens a refused build again, as one whose gates are still to be asked.
///
/// # Errors
/// The server refuses; nothing was changed then.
pub async fn resume(ledger: &Ledger, build: &Build) -> Result<Build> {
    ledger.begin().await?;
    let opened = async {
        allow_connections(ledger, &build.name, true).await?;
        read_only(ledger, build, false).await?;
        ledger.set_state(build, State::Loading).await?;
        ledger.commit().await
    };
    if let Err(error) = opened.await {
        ledger.rollback().await;
        return Err(error).with_context(|| format!("open `{}` again", build.name));
    }
    ledger.build(build.id).await
}

/// Fails when the database of a build is not there any more.
///
/// # Errors
/// Status 1.
pub async fn refuse_gone(ledger: &Ledger, build: &Build) -> Result<()> {
    let oid = build.database_oid.unwrap_or_default();
    let database = find_database_by_oid(ledger, oid).await?;
    if database.is_none_or(|database| not_ours(build, &database).is_some()) {
        let name = &build.name;
        bail!(Problem::refused(format!(
            "the database of `{name}` is gone"
        )));
    }
    Ok(())
}

/// Opens a refused build to its owner; sessions are read only by default.
pub async fn open(ledger: &Ledger, build: &Build) -> Result<()> {
    let (dataset, name) = (&build.dataset, &build.name);
    ledger
        .event(dataset, Some(build.id), "inspected", name)
        .await?;
    allow_connections(ledger, name, true).await
}

/// Closes it again and ends its sessions.
pub async fn close(ledger: &Ledger, build: &Build) -> Result<()> {
    allow_connections(ledger, &build.name, false).await?;
    read_only(ledger, build, true).await?;
    end_sessions(ledger, build.database_oid.unwrap_or_default()).await
}

/// Whether sessions of the build's database are read only from the start.
pub async fn read_only(ledger: &Ledger, build: &Build, on: bool) -> Result<()> {
    let name = quote_ident(&build.name);
    let how = match on {
        true => "set default_transaction_read_only = on",
        false => "reset default_transaction_read_only",
    };
    ledger
        .session
        .batch_execute(&format!("alter database {name} {how}"))
        .await
        .with_context(|| format!("{how} for `{}`", build.name))
}

/// Drops one refused build, and ends its sessions. What cannot be dropped is only logged. Says whether its
/// room is free now.
pub async fn let_go(ledger: &Ledger, server: &Server, build: &Build, why: &str) -> bool {
    let dropped = async {
        let fate = sweep(ledger, server, build).await?;
        let gone = matches!(fate, Fate::Dropped | Fate::Absent);
        if gone {
            ledger.set_state(build, State::Dropped).await?;
        }
        anyhow::Ok(gone)
    };
    match dropped.await {
        Ok(gone) => {
            if gone {
                tracing::info!(build = %build.name, "the refused build is dropped: {why}");
            }
            gone
        }
        Err(error) => {
            tracing::warn!(build = %build.name, "{}; tried again later", explain_chain(&error));
            false
        }
    }
}

/// Adds to a refusal what an operator can do with the build that was kept.
pub fn with_commands(refusal: Error, build: &Build) -> Error {
    let hint = hint_of(&refusal).unwrap_or_default().to_owned();
    let commands = commands(build);
    let text = refusal.to_string();
    refusal.context(Problem::refused(text).hint(format!("{hint}; {commands}")))
}

/// What an operator can do with a refused build.
pub fn commands(build: &Build) -> String {
    let (dataset, name) = (&build.dataset, &build.name);
    format!(
        "the build is kept, closed: `overnight inspect {dataset} {name}` opens it, \
         `overnight rotate {dataset} {name} --accept GATE --reason TEXT` publishes it as it is"
    )
}
