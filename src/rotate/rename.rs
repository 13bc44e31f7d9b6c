//! The alias as a database name: two renames for each and the record in one transaction.
//!
//! Observed on PostgreSQL 15 and the reason for each line: a rename waits up to five seconds for
//! sessions to leave, and new connections queue behind it meanwhile, so the attempt is bounded by
//! `statement_timeout` (`lock_timeout` does not cover that wait). Sessions that are ended before
//! the rename holds the database come straight back, so the rename starts first and a second
//! session ends them after. Where one is that this role may not end, no attempt is made and no
//! other session is ended.
//!
//! The renames, what follows them and the commit are one message to the server: from the first
//! rename on, nothing depends on this process or on the network.

use super::blockers::{self, Blocker, Watch};
use super::rename_sql::{closed, opened, renames};
use super::{Step, outcome};
use crate::config::FlipSettings;
use crate::crashpoint;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, find_error, is_cancelled, is_lock_not_available, sqlstate};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Result, bail};
use rand::Rng;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// Pause between two rounds of ending sessions.
const END_EVERY: Duration = Duration::from_millis(20);
/// Pause between two looks at what is in the way, at holds and at rollbacks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// One alias of a move.
pub struct Pair<'m> {
    pub alias: &'m str,
    /// The build that has the alias's name and gives it up.
    pub from: Option<&'m Build>,
    /// The one that gets it.
    pub to: Option<&'m Build>,
    pub readers: &'m [String],
}

/// A move by rename, of all its aliases at once.
pub struct Rename<'m> {
    pub ledger: &'m Ledger,
    pub server: &'m Server,
    /// What to type for them.
    pub name: &'m str,
    pub pairs: Vec<Pair<'m>>,
    pub settings: FlipSettings,
}

impl Rename<'_> {
    /// Tries until the aliases have moved or the window is over.
    pub async fn switch(&self, steps: &[Step<'_>], reason: Option<&str>) -> Result<()> {
        self.until_moved(steps, true, async || {
            let mut last = Vec::new();
            for step in steps {
                let dataset = &step.dataset.name;
                let after = self.ledger.record_switch(dataset, &step.flip, reason);
                last.extend(after.await?);
            }
            let mut statements = renames(&self.pairs);
            for pair in &self.pairs {
                statements.extend(opened(pair));
            }
            statements.extend(last);
            Ok(statements)
        })
        .await
    }

    /// Takes a move back: the same renames the other way round. A build that had not been published
    /// before is sealed again, and waits.
    pub async fn revert(&self, steps: &[Step<'_>]) -> Result<()> {
        self.until_moved(steps, false, async || {
            let mut statements = renames(&self.pairs);
            for step in steps {
                let was_sealed = step.to.state == State::Verified;
                if was_sealed {
                    statements.extend(closed(&step.to.name, &step.dataset.settings.readers));
                }
                let dataset = &step.dataset.name;
                let after = self.ledger.record_revert(dataset, &step.flip, was_sealed);
                statements.extend(after.await?);
            }
            Ok(statements)
        })
        .await
    }

    /// `yields`: a hold or a rollback ends the attempts.
    async fn until_moved(
        &self,
        steps: &[Step<'_>],
        yields: bool,
        act: impl AsyncFn() -> Result<Vec<String>>,
    ) -> Result<()> {
        let helper = self.ledger.second(self.server, "end sessions").await?;
        let end = Instant::now() + self.settings.window;
        let flips: Vec<i64> = steps.iter().map(|step| step.flip.id).collect();
        let databases = oids(self.pairs.iter().flat_map(|pair| [pair.from, pair.to]));
        helper.try_until(&flips, self.settings.window).await?;
        let mut watch = Watch::default();
        let mut pause = LOOK_EVERY;
        let mut last = None;
        loop {
            let in_the_way = blockers::blockers(&helper, &databases).await?;
            let wait = if in_the_way.is_empty() {
                match self.attempt(&act, &helper).await {
                    Ok(()) => return Ok(()),
                    Err(error) if !is_busy(&error) => return Err(error),
                    Err(error) => last = Some(error),
                }
                let jitter = rand::rng().random_range(0.5..1.0);
                let wait = pause.mul_f64(jitter);
                pause = (pause * 2).min(MAX_PAUSE);
                tracing::warn!(
                    alias = self.name,
                    "the alias is in use; trying again in {:.1} s",
                    wait.as_secs_f64()
                );
                wait
            } else {
                watch.say(self.name, &in_the_way, end);
                LOOK_EVERY
            };
            let until = Instant::now() + wait;
            if until >= end {
                let problem = self.stayed_in_use(&helper, &in_the_way).await?;
                return Err(match last {
                    Some(error) => error.context(problem),
                    None => anyhow::Error::new(problem),
                });
            }
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                tokio::time::sleep(left.min(LOOK_EVERY)).await;
                if yields {
                    self.give_way(steps, &helper).await?;
                }
            }
        }
    }

    /// # Errors
    /// Status 1 when an alias was held meanwhile or a rollback waits.
    async fn give_way(&self, steps: &[Step<'_>], helper: &Ledger) -> Result<()> {
        for step in steps {
            let dataset = &step.dataset.name;
            let row = helper.dataset(dataset).await?;
            let forward = step.flip.kind == crate::ledger::flips::Kind::Rotate;
            let stops = if row.held && forward {
                let by = row.held_by.as_deref().unwrap_or("an operator");
                Some(format!("was held by {by} meanwhile"))
            } else if forward {
                let rollback = helper.waiting_rollback(dataset).await?;
                rollback.map(|who| format!("gave way to `{who}`"))
            } else {
                None
            };
            if let Some(why) = stops {
                bail!(
                    Problem::refused(format!(
                        "the move of `{dataset}` {why}; nothing was changed, `{}` waits",
                        step.to.name
                    ))
                    .hint(format!(
                        "`overnight release {0}`, then `overnight rotate {0}`",
                        self.name
                    ))
                );
            }
        }
        Ok(())
    }

    async fn attempt(
        &self,
        act: &impl AsyncFn() -> Result<Vec<String>>,
        helper: &Ledger,
    ) -> Result<()> {
        let _moving = super::MOVING.lock().await;
        let limit = self.settings.limit;
        let until = Instant::now() + limit;
        let ended = Mutex::new(BTreeMap::new());
        let acted = async {
            self.ledger.begin_limited(limit).await?;
            for pair in &self.pairs {
                self.check(pair).await?;
            }
            crashpoint::reached("flip.after_begin");
            let statements = act().await?;
            crashpoint::reached("flip.before_commit");
            // The server counts each statement anew: this one gets what is left.
            let left = until.saturating_duration_since(Instant::now());
            let finish = self.ledger.finish(&statements, left);
            self.while_ending(finish, helper, &ended).await
        };
        let acted = outcome::bounded(self.ledger, limit, acted).await;
        let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<Blocker> = ended.into_values().collect();
        if !ended.is_empty() {
            tracing::info!(
                alias = self.name,
                "disconnected by the move: {}",
                blockers::in_words(&ended)
            );
        }
        acted
    }

    /// Ends those in the way, in a second session, until the renames are done.
    async fn while_ending(
        &self,
        renames: impl Future<Output = Result<()>>,
        helper: &Ledger,
        ended: &Mutex<BTreeMap<i32, Blocker>>,
    ) -> Result<()> {
        tokio::pin!(renames);
        loop {
            tokio::select! {
                biased;
                renamed = &mut renames => return renamed.map_err(|error| self.explain(error)),
                () = tokio::time::sleep(END_EVERY) => {
                    for oid in oids(self.pairs.iter().flat_map(|pair| [pair.from, pair.to])) {
                        // What cannot be ended shows when the rename reaches its limit.
                        match blockers::end(helper, oid, self.ledger.session.backend_pid()).await {
                            Ok(some) => ended
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .extend(some.into_iter().map(|one| (one.pid, one))),
                            Err(error) => tracing::debug!("{}", explain_chain(&error)),
                        }
                    }
                }
            }
        }
    }

    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let text = format!("rename the {}", self.aliases());
        let right = find_error(&error).and_then(sqlstate) == Some("42501");
        match right {
            true => {
                error.context(Problem::usage(text).hint(
                    "the role needs CREATEDB and must own the builds: alter role NAME createdb",
                ))
            }
            false => error.context(text),
        }
    }

    /// Names and OIDs are what the ledger says, inside the transaction.
    async fn check(&self, pair: &Pair<'_>) -> Result<()> {
        self.ledger.check_lock(pair.alias, Lock::Move).await?;
        let names = self
            .ledger
            .session
            .query(
                "select oid, datname::text from pg_database where datname = any($1) or oid = any($2)",
                &[
                    &vec![pair.alias],
                    &oids([pair.from, pair.to]),
                ],
            )
            .await?;
        let name_of = |oid: Option<u32>| {
            names
                .iter()
                .find(|row| Some(row.get::<_, u32>(0)) == oid)
                .map(|row| row.get::<_, String>(1))
        };
        let at_alias = names
            .iter()
            .find(|row| row.get::<_, String>(1) == pair.alias)
            .map(|row| row.get::<_, u32>(0));
        match (pair.from, at_alias) {
            (None, Some(_)) if switch::on("flip.stranger") => {
                bail!(super::stranger_at(self.server, pair.alias).await)
            }
            (Some(from), at) if at != from.database_oid && switch::on("flip.live_oid") => bail!(
                Problem::refused(format!(
                    "the alias `{}` is not the database that the ledger knows as live; somebody renamed it",
                    pair.alias
                ))
                .hint("compare `overnight status` with the server's databases; nothing was changed")
            ),
            _ => {}
        }
        if let Some(to) = pair.to {
            let name = name_of(to.database_oid);
            if name.as_deref() != Some(&to.name) && name.as_deref() != Some(pair.alias) {
                bail!(Problem::refused(format!(
                    "the database `{}` is gone or has another name",
                    to.name
                )));
            }
        }
        Ok(())
    }

    async fn stayed_in_use(&self, helper: &Ledger, in_the_way: &[Blocker]) -> Result<Problem> {
        let who = match in_the_way.is_empty() {
            true => "sessions that come and go".into(),
            false => blockers::in_words(in_the_way),
        };
        let mut hint = format!("end those sessions, then `overnight rotate {}`", self.name);
        if in_the_way.iter().any(|one| !one.superuser) && blockers::may_not_signal(helper).await? {
            hint += "; ending sessions of other roles needs pg_signal_backend";
        }
        Ok(Problem::dependency(format!(
            "the {} stayed in use for {} s by {who}; nothing was changed",
            self.aliases(),
            self.settings.window.as_secs()
        ))
        .hint(hint))
    }

    fn aliases(&self) -> String {
        let names: Vec<String> = self
            .pairs
            .iter()
            .map(|pair| format!("`{}`", pair.alias))
            .collect();
        match names.as_slice() {
            [name] => format!("alias {name}"),
            names => format!("aliases {}", names.join(", ")),
        }
    }
}

fn oids<'b>(builds: impl IntoIterator<Item = Option<&'b Build>>) -> Vec<u32> {
    builds
        .into_iter()
        .flatten()
        .filter_map(|build| build.database_oid)
        .collect()
}

/// Whether trying again later may help: a session is connected, or holds the database's lock.
fn is_busy(error: &anyhow::Error) -> bool {
    find_error(error).is_some_and(|error| {
        let in_use = error.code() == Some(&SqlState::OBJECT_IN_USE);
        in_use || is_cancelled(error) || is_lock_not_available(error)
    })
}
