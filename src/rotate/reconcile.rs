//! Puts right what a run that died has left: the first thing every locked command does.
//!
//! In: the ledger, under the dataset's lock. Out: ledger and catalog agree, the alias is open,
//! nothing half-built is left. Each step may be repeated. What only a human can have done
//! (somebody renamed or dropped a database) is reported, not guessed at.

use super::probe::Prober;
use super::{Flip, Kind, Move};
use crate::build::{Fate, allow_connections, find_database, find_database_by_oid, sweep};
use crate::config::FlipSettings;
use crate::dataset::Dataset;
use crate::ledger::{Build, Ledger, State};
use crate::postgres::{Server, quote_ident};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};

/// Repairs one dataset; returns what was done, a sentence each.
pub async fn reconcile(
    ledger: &Ledger,
    server: &Server,
    dataset: &Dataset,
    prober: &Prober,
    settings: FlipSettings,
) -> Result<Vec<String>> {
    let mut done = Vec::new();
    check_alias(ledger, dataset).await?;
    reopen_live(ledger, dataset, &mut done).await?;
    for flip in ledger.open_flips(&dataset.name).await? {
        settle(ledger, server, dataset, prober, settings, &flip, &mut done).await?;
    }
    for build in ledger.builds(&dataset.name).await? {
        repair_build(ledger, server, &build, &mut done).await?;
    }
    for line in &done {
        tracing::warn!(dataset = %dataset.name, "repaired: {line}");
        ledger.event(&dataset.name, None, "repaired", line).await?;
    }
    Ok(done)
}

/// The database at the alias is the one that the ledger calls live.
async fn check_alias(ledger: &Ledger, dataset: &Dataset) -> Result<()> {
    let row = ledger.dataset(&dataset.name).await?;
    let Some(live) = row.live_build else {
        return Ok(());
    };
    let live = ledger.build(live).await?;
    let at_alias = find_database(ledger, &dataset.name).await?;
    if at_alias.as_ref().map(|database| database.oid) == live.database_oid {
        return Ok(());
    }
    bail!(
        Problem::dependency(format!(
            "the ledger says that `{}` is live, but the database `{}` is {}",
            live.name,
            dataset.name,
            match at_alias {
                Some(_) => "another one",
                None => "not there",
            }
        ))
        .hint("somebody renamed, dropped or restored a database; put the names right, then run again; nothing was changed")
    )
}

/// A live database that refuses connections was closed by a human or by a tool that died.
async fn reopen_live(ledger: &Ledger, dataset: &Dataset, done: &mut Vec<String>) -> Result<()> {
    if ledger.dataset(&dataset.name).await?.live_build.is_none() {
        return Ok(());
    }
    let Some(database) = find_database(ledger, &dataset.name).await? else {
        return Ok(());
    };
    if !database.allow_connections {
        allow_connections(ledger, &dataset.name, true).await?;
        done.push(format!(
            "the live database `{}` was closed to connections and was opened",
            dataset.name
        ));
    }
    if database.connection_limit == 0 {
        ledger
            .session
            .batch_execute(&format!(
                "alter database {} connection limit -1",
                quote_ident(&dataset.name)
            ))
            .await
            .context("lift the connection limit of the live database")?;
        done.push(format!(
            "the live database `{}` had a connection limit of 0, which was lifted",
            dataset.name
        ));
    }
    Ok(())
}

/// A move that was begun and not confirmed. Its record is part of its transaction, so the state
/// says surely whether the alias has moved.
async fn settle(
    ledger: &Ledger,
    server: &Server,
    dataset: &Dataset,
    prober: &Prober,
    settings: FlipSettings,
    flip: &Flip,
    done: &mut Vec<String>,
) -> Result<()> {
    let to = ledger.build(flip.to_build).await?;
    if flip.state == "intent" {
        ledger.flip_state(flip, "abandoned").await?;
        done.push(format!(
            "a move to `{}` had not happened and was abandoned",
            to.name
        ));
        return Ok(());
    }
    let from = match flip.from_build {
        Some(id) => Some(ledger.build(id).await?),
        None => None,
    };
    let this = Move {
        ledger,
        server,
        dataset,
        prober,
        settings,
        kind: Kind::Rotate,
        reason: None,
    };
    this.confirm(flip, from.as_ref(), &to).await?;
    done.push(format!(
        "a move to `{}` had happened and was confirmed",
        to.name
    ));
    Ok(())
}

async fn repair_build(
    ledger: &Ledger,
    server: &Server,
    build: &Build,
    done: &mut Vec<String>,
) -> Result<()> {
    let database = match build.database_oid {
        Some(oid) => find_database_by_oid(ledger, oid).await?,
        None => find_database(ledger, &build.name).await?,
    };
    match build.state {
        State::Creating | State::Loading => {
            if build.failure.is_none() {
                ledger
                    .fail(build, "the run ended before the build was verified")
                    .await?;
            }
            sweep_build(ledger, server, build, done).await?;
        }
        State::Failed if database.is_some() => sweep_build(ledger, server, build, done).await?,
        State::Verified => match database {
            Some(database) if database.allow_connections => {
                allow_connections(ledger, &build.name, false).await?;
                done.push(format!(
                    "`{}` was left open and was sealed again",
                    build.name
                ));
            }
            Some(_) => {}
            None => lost(ledger, build, done).await?,
        },
        State::Published | State::Tombstone if database.is_none() => {
            lost(ledger, build, done).await?
        }
        State::Tombstone if database.is_some_and(|database| database.connection_limit == -2) => {
            if crate::build::drop_database(ledger, server, build, false).await? == Fate::Dropped {
                ledger.set_state(build, State::Dropped).await?;
                done.push(format!(
                    "the interrupted drop of `{}` was finished",
                    build.name
                ));
            }
        }
        State::Published | State::Tombstone | State::Dropped | State::Failed => {}
    }
    Ok(())
}

async fn sweep_build(
    ledger: &Ledger,
    server: &Server,
    build: &Build,
    done: &mut Vec<String>,
) -> Result<()> {
    if sweep(ledger, server, build).await? == Fate::Dropped {
        done.push(format!("the unfinished build `{}` was dropped", build.name));
    }
    Ok(())
}

async fn lost(ledger: &Ledger, build: &Build, done: &mut Vec<String>) -> Result<()> {
    ledger.set_state(build, State::Dropped).await?;
    done.push(format!(
        "`{}` is no longer on the server and is recorded as dropped",
        build.name
    ));
    Ok(())
}
