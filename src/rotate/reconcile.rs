//! Puts right what a run that died has left: the first thing every locked command does.
//!
//! In: the ledger, under the dataset's lock. Out: ledger and catalog agree, the alias is open,
//! nothing half-built is left but what a run can resume. Each step may be repeated. What only a
//! human can have done (somebody renamed or dropped a database) is reported, not guessed at.

use super::health::{Kind, database_fault};
use super::pgbouncer::Poolers;
use super::probe::Prober;
use super::replicas;
use super::router::{Router, Way};
use super::{drain, pointer, record};
use crate::build::refused;
use crate::build::unfinished::{Unfinished, look};
use crate::build::{
    Fate, allow_connections, close_after_look, end_sessions, fail_and_sweep, find_database,
    find_database_by_oid, sessions_in, sweep,
};
use crate::ledger::flips::Flip;
use crate::ledger::{Build, Ledger, State};
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, quote_ident};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Repairs what belongs to the alias; under the lock of its moves. `prober` looks through poolers.
pub async fn reconcile_alias(
    ledger: &Ledger,
    server: &Server,
    router: &Router,
    prober: &Prober,
    dataset: &str,
) -> Result<()> {
    let mut done = Vec::new();
    check_alias(ledger, server, router, dataset, &mut done).await?;
    reopen_live(ledger, router, dataset, &mut done).await?;
    done.extend(pointer::put_right(ledger, &ledger.dataset(dataset).await?).await?);
    if let Way::PgBouncer(poolers) = &router.way {
        repair_poolers(ledger, server, poolers, dataset, &mut done).await?;
    }
    let settle = Settle {
        ledger,
        server,
        router,
        prober,
        dataset,
    };
    for flip in ledger.open_flips(dataset).await? {
        settle.settle(&flip, &mut done).await?;
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

/// The database at the alias is the one that the ledger calls live. If it was dropped and nothing has
/// taken its place, nothing is live, and a rollback or the next run publishes another build.
async fn check_alias(
    ledger: &Ledger,
    server: &Server,
    router: &Router,
    dataset: &str,
    done: &mut Vec<String>,
) -> Result<()> {
    let Some(fault) = database_fault(ledger, server, router, dataset).await? else {
        return Ok(());
    };
    match fault.kind {
        Kind::Gone => {
            if let Some(live) = ledger.dataset(dataset).await?.live_build {
                let live = ledger.build(live).await?;
                forget_live(ledger, &live).await?;
                done.push(format!(
                    "the database of `{}`, which was live, is no longer on the server; nothing is live",
                    live.name
                ));
            }
            Ok(())
        }
        Kind::Other if switch::on("reconcile.alias") => bail!(
            Problem::dependency(fault.what).hint(format!("{}; nothing was changed", fault.todo))
        ),
        _ => Ok(()),
    }
}

/// Records a live build whose database was dropped as dropped, and that nothing is live.
async fn forget_live(ledger: &Ledger, live: &Build) -> Result<()> {
    ledger.begin().await?;
    let forgotten = async {
        ledger.take_live(&live.dataset, None).await?;
        ledger.point(&live.dataset).await?;
        ledger.set_state(live, State::Dropped).await?;
        ledger.forget_previous(live).await?;
        ledger.commit().await
    };
    let forgotten = forgotten.await;
    if forgotten.is_err() {
        ledger.rollback().await;
    }
    forgotten
}

/// A live database that refuses connections was closed by a human or by a tool that died.
async fn reopen_live(
    ledger: &Ledger,
    router: &Router,
    dataset: &str,
    done: &mut Vec<String>,
) -> Result<()> {
    let Some(live) = ledger.dataset(dataset).await?.live_build else {
        return Ok(());
    };
    let live = ledger.build(live).await?;
    let Some(database) = router.database_of(ledger, dataset, &live).await? else {
        return Ok(());
    };
    let name = &database.name;
    if !database.allow_connections && switch::on("reconcile.closed") {
        allow_connections(ledger, name, true).await?;
        done.push(format!(
            "the live database `{name}` was closed to connections and was opened"
        ));
    }
    if database.connection_limit == 0 && switch::on("reconcile.limit") {
        ledger
            .session
            .batch_execute(&format!(
                "alter database {} connection limit -1",
                quote_ident(name)
            ))
            .await
            .context("lift the connection limit of the live database")?;
        done.push(format!(
            "the live database `{name}` had a connection limit of 0, which was lifted"
        ));
    }
    Ok(())
}

/// Poolers lead where the ledger says, and let clients through. A pooler that does not answer
/// keeps no run from building: the move will ask it again.
///
/// # Errors
/// Status 3 when a pooler leads to a newer build than the ledger knows: services stay there.
async fn repair_poolers(
    ledger: &Ledger,
    server: &Server,
    poolers: &Poolers,
    dataset: &str,
    done: &mut Vec<String>,
) -> Result<()> {
    let aliases = ledger.live_aliases().await?;
    for pooler in poolers.all() {
        let repaired = async {
            if let Some(line) = pooler.resume(dataset).await? {
                done.push(line);
            }
            let shown = pooler.line(dataset).await?.map(|line| line.database);
            if !aliases.contains_key(dataset) || shown.as_ref() == aliases.get(dataset) {
                return Ok(());
            }
            let led_to = shown.as_deref().unwrap_or_default();
            if super::health::unknown_build(ledger, server, dataset, led_to).await? {
                return Err(Unknown(led_to.to_owned()).into());
            }
            poolers.ready(ledger).await?;
            pooler.catch_up(ledger, &[dataset]).await?;
            done.push(format!(
                "the pooler at {} led `{dataset}` to `{}` and was moved to the live build",
                pooler.place(),
                shown.as_deref().unwrap_or("nothing")
            ));
            anyhow::Ok(())
        };
        if let Err(error) = repaired.await {
            if let Some(Unknown(build)) = error.downcast_ref() {
                bail!(
                    Problem::dependency(format!(
                        "the pooler at {} leads `{dataset}` to `{build}`, a build that the ledger does not know: the ledger is older than the server; nothing was changed",
                        pooler.place()
                    ))
                    .hint(super::health::ADOPT)
                );
            }
            let why = explain_chain(&error);
            tracing::warn!(dataset, "{why}; tried again by the next command");
        }
    }
    Ok(())
}

/// A pooler leads to this build, which the ledger does not know.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not in the ledger")]
struct Unknown(String);

/// What it takes to bring an unfinished move to its end.
struct Settle<'s> {
    ledger: &'s Ledger,
    server: &'s Server,
    router: &'s Router,
    prober: &'s Prober,
    dataset: &'s str,
}

impl Settle<'_> {
    /// A move that was begun and not confirmed. Its record is part of its transaction, so the state
    /// says surely whether the alias has moved.
    async fn settle(&self, flip: &Flip, done: &mut Vec<String>) -> Result<()> {
        let to = self.ledger.build(flip.to_build).await?;
        if flip.state == "intent" {
            // Opened for a look, and services were never led to it.
            record::close(self.ledger, &to).await?;
            self.ledger.flip_state(flip, "abandoned").await?;
            done.push(format!(
                "a move to `{}` had not happened and was abandoned",
                to.name
            ));
            return Ok(());
        }
        if self.ledger.dataset(self.dataset).await?.epoch != flip.epoch + 1 {
            self.ledger.flip_state(flip, "superseded").await?;
            done.push(format!(
                "a move to `{}` had happened and the alias has moved on since",
                to.name
            ));
            return Ok(());
        }
        // Services may have used the new build for hours: a look that fails now takes nothing back.
        let finished = async {
            self.look(&to).await?;
            self.replicas_follow(flip, &to).await?;
            self.left_behind(flip).await
        };
        match finished.await {
            Ok(None) => {
                self.ledger.flip_state(flip, "confirmed").await?;
                done.push(format!(
                    "a move to `{}` had happened and was confirmed",
                    to.name
                ));
            }
            Ok(Some(who)) => tracing::warn!(
                dataset = self.dataset,
                "the move to `{}` is not confirmed yet, sessions are still on the build before: {who}",
                to.name
            ),
            Err(error) => {
                let why = explain_chain(&error);
                tracing::warn!(
                    dataset = self.dataset,
                    "a move to `{}` is not confirmed yet: {why}",
                    to.name
                );
            }
        }
        Ok(())
    }

    /// The owner looks, for the build itself; what the readers may was settled in the move. Through
    /// a pooler only who is known to it can look.
    async fn look(&self, to: &Build) -> Result<()> {
        let owner = Prober::default();
        match &self.router.way {
            Way::Rename => owner.look(self.server, self.dataset, &to.name).await,
            Way::Pointer => {
                pointer::look(&owner, self.ledger, self.server, self.dataset, &to.name).await
            }
            Way::PgBouncer(poolers) => {
                for pooler in poolers.all() {
                    self.prober
                        .look_through(pooler, self.dataset, &to.name)
                        .await?;
                }
                Ok(())
            }
        }
    }

    /// The declared replicas have moved along as well.
    async fn replicas_follow(&self, flip: &Flip, to: &Build) -> Result<()> {
        let from = match flip.from_build {
            Some(id) => Some(self.ledger.build(id).await?),
            None => None,
        };
        let name = self.router.name_of_live(self.dataset, to);
        let wait = Duration::ZERO;
        replicas::follow(self.ledger, self.server, name, from.as_ref(), to, wait).await
    }

    /// Who is still on the build before; after the limit they are ended.
    async fn left_behind(&self, flip: &Flip) -> Result<Option<String>> {
        let Some(from) = flip.from_build.filter(|_| !self.router.ends_sessions()) else {
            return Ok(None);
        };
        let from = self.ledger.build(from).await?;
        let before = match from.database_oid {
            Some(oid) => find_database_by_oid(self.ledger, oid).await?,
            None => None,
        };
        let since = self.ledger.switched_for(flip).await?;
        let left = drain::finish(self.ledger, before, since, self.router.drain).await?;
        Ok((!left.is_empty()).then(|| drain::in_words(&left)))
    }
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
            // The next run decides whether it resumes it: only that knows its inputs.
            let why_not = match look(ledger, server, build).await? {
                Unfinished::Lost(why_not) => why_not,
                Unfinished::Resumable { .. } => {
                    if let Some(database) = database {
                        end_sessions(ledger, database.oid).await?;
                    }
                    return Ok(());
                }
            };
            let reason = "the run ended before the build was verified";
            if fail_and_sweep(ledger, server, build, reason).await? == Fate::Dropped {
                done.push(format!(
                    "{}; it could not be resumed: {why_not}",
                    dropped(build)
                ));
            }
        }
        State::Failed if database.is_some() => {
            if sweep(ledger, server, build).await? == Fate::Dropped {
                done.push(dropped(build));
            }
        }
        State::Refused => match database {
            // Left open by an `inspect` that was killed, unless it has sessions.
            Some(database) if database.allow_connections => {
                if sessions_in(ledger, database.oid).await? == 0 {
                    refused::close(ledger, build).await?;
                    done.push(format!("`{}` was left open and was closed", build.name));
                }
            }
            Some(_) => {}
            None => lost(ledger, build, done).await?,
        },
        State::Verified => match database {
            // Sealed is what was verified; what was open meanwhile may be anything.
            Some(database) if database.allow_connections && switch::on("reconcile.open") => {
                let why = "was found open after it was sealed";
                // Open because somebody rotates to it at this moment? Then a move to it is under way,
                // or it is not verified any more.
                let flips = ledger.open_flips(&build.dataset).await?;
                if flips.iter().any(|flip| flip.to_build == build.id)
                    || ledger.build(build.id).await?.state != State::Verified
                {
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
        State::Tombstone
            if let Some(database) = database.as_ref().filter(|database| database.is_open())
                && close_after_look(ledger, build, database).await? =>
        {
            done.push(format!(
                "`{}` was open since a look inside that ended early, and was closed",
                build.name
            ));
        }
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
