//! Puts right what a run that died has left: the first thing every locked command does.
//!
//! In: the ledger, under the dataset's lock. Out: ledger and catalog agree, the alias is open,
//! nothing half-built is left. Each step may be repeated. What only a human can have done
//! (somebody renamed or dropped a database) is reported, not guessed at.

use super::probe::Prober;
use super::replicas;
use crate::build::{
    Fate, allow_connections, fail_and_sweep, find_database, find_database_by_oid, sweep,
};
use crate::ledger::flips::Flip;
use crate::ledger::{Build, Ledger, State};
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, quote_ident};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Repairs what belongs to the alias; under the lock of its moves. Returns what was done.
pub async fn reconcile_alias(ledger: &Ledger, server: &Server, dataset: &str) -> Result<()> {
    let mut done = Vec::new();
    check_alias(ledger, dataset).await?;
    reopen_live(ledger, dataset, &mut done).await?;
    for flip in ledger.open_flips(dataset).await? {
        settle(ledger, server, dataset, &flip, &mut done).await?;
    }
    report(ledger, dataset, &done).await
}

/// Sweeps builds that came to nothing; under the lock of builds. One that cannot be swept is
/// only reported: it must not keep tonight's run, or a rollback, from its work.
pub async fn reconcile_builds(ledger: &Ledger, server: &Server, dataset: &str) -> Result<()> {
    let mut done = Vec::new();
    for build in ledger.builds(dataset).await? {
        if let Err(error) = repair_build(ledger, server, &build, &mut done).await {
            let why = explain_chain(&error);
            tracing::warn!(build = %build.name, "{why}; tried again at the next start");
        }
    }
    report(ledger, dataset, &done).await
}

async fn report(ledger: &Ledger, dataset: &str, done: &[String]) -> Result<()> {
    for line in done {
        tracing::warn!(dataset, "repaired: {line}");
        ledger.event(dataset, None, "repaired", line).await?;
    }
    Ok(())
}

/// The database at the alias is the one that the ledger calls live.
async fn check_alias(ledger: &Ledger, dataset: &str) -> Result<()> {
    let row = ledger.dataset(dataset).await?;
    let Some(live) = row.live_build else {
        return Ok(());
    };
    let live = ledger.build(live).await?;
    let at_alias = find_database(ledger, dataset).await?;
    if at_alias.as_ref().map(|database| database.oid) == live.database_oid {
        return Ok(());
    }
    bail!(
        Problem::dependency(format!(
            "the ledger says that `{}` is live, but the database `{}` is {}",
            live.name,
            dataset,
            match at_alias {
                Some(_) => "another one",
                None => "not there",
            }
        ))
        .hint("somebody renamed, dropped or restored a database; put the names right, then run again; nothing was changed")
    )
}

/// A live database that refuses connections was closed by a human or by a tool that died.
async fn reopen_live(ledger: &Ledger, dataset: &str, done: &mut Vec<String>) -> Result<()> {
    if ledger.dataset(dataset).await?.live_build.is_none() {
        return Ok(());
    }
    let Some(database) = find_database(ledger, dataset).await? else {
        return Ok(());
    };
    if !database.allow_connections {
        allow_connections(ledger, dataset, true).await?;
        done.push(format!(
            "the live database `{}` was closed to connections and was opened",
            dataset
        ));
    }
    if database.connection_limit == 0 {
        ledger
            .session
            .batch_execute(&format!(
                "alter database {} connection limit -1",
                quote_ident(dataset)
            ))
            .await
            .context("lift the connection limit of the live database")?;
        done.push(format!(
            "the live database `{}` had a connection limit of 0, which was lifted",
            dataset
        ));
    }
    Ok(())
}

/// A move that was begun and not confirmed. Its record is part of its transaction, so the state
/// says surely whether the alias has moved.
async fn settle(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
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
    if ledger.dataset(dataset).await?.live_build != Some(to.id) {
        ledger.flip_state(flip, "confirmed").await?;
        done.push(format!(
            "a move to `{}` had happened and the alias has moved on since",
            to.name
        ));
        return Ok(());
    }
    let from = match flip.from_build {
        Some(id) => Some(ledger.build(id).await?),
        None => None,
    };
    // Services may have used the new build for hours: a look that fails now takes nothing back.
    // The owner looks, for the build itself; what the readers may was settled in the move.
    let looked = async {
        Prober::default().look(server, dataset, &to.name).await?;
        let wait = Duration::ZERO;
        replicas::follow(ledger, server, dataset, from.as_ref(), &to, wait).await
    };
    match looked.await {
        Ok(()) => {
            ledger.flip_state(flip, "confirmed").await?;
            done.push(format!(
                "a move to `{}` had happened and was confirmed",
                to.name
            ));
        }
        Err(error) => {
            let why = explain_chain(&error);
            tracing::warn!(
                dataset,
                "a move to `{}` is not confirmed yet: {why}",
                to.name
            );
        }
    }
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
            let reason = "the run ended before the build was verified";
            if fail_and_sweep(ledger, server, build, reason).await? == Fate::Dropped {
                done.push(dropped(build));
            }
        }
        State::Failed if database.is_some() => {
            if sweep(ledger, server, build).await? == Fate::Dropped {
                done.push(dropped(build));
            }
        }
        State::Verified => match database {
            // Sealed is what was verified; what was open meanwhile may be anything.
            Some(database) if database.allow_connections => {
                let why = "was found open after it was sealed";
                // Open because somebody rotates to it at this moment? Then it is not verified any more.
                if ledger.build(build.id).await?.state != State::Verified {
                    return Ok(());
                }
                done.push(format!("`{}` {why} and is no longer verified", build.name));
                if fail_and_sweep(ledger, server, build, why).await? == Fate::Dropped {
                    done.push(dropped(build));
                }
            }
            Some(_) => {}
            None => lost(ledger, build, done).await?,
        },
        State::Published | State::Tombstone if database.is_none() => {
            lost(ledger, build, done).await?
        }
        State::Published | State::Tombstone | State::Dropped | State::Failed => {}
    }
    Ok(())
}

fn dropped(build: &Build) -> String {
    format!("the unfinished build `{}` was dropped", build.name)
}

async fn lost(ledger: &Ledger, build: &Build, done: &mut Vec<String>) -> Result<()> {
    ledger.set_state(build, State::Dropped).await?;
    ledger.forget_previous(build).await?;
    done.push(format!(
        "`{}` is no longer on the server and is recorded as dropped",
        build.name
    ));
    Ok(())
}
