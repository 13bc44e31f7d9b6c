//! The alias as a database name: two renames for each and the record in one transaction.
//!
//! Observed on PostgreSQL 15 and the reason for each line: a rename waits up to five seconds for
//! sessions to leave, and new connections queue behind it meanwhile, so the attempt is bounded by
//! `statement_timeout` (`lock_timeout` does not cover that wait). Sessions that are ended before
//! the rename holds the database come straight back, so the rename starts first and a second
//! session ends them after. Superusers' sessions are never ended: nobody but a superuser may.

use super::Step;
use crate::build::end_sessions;
use crate::config::FlipSettings;
use crate::crashpoint;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, find_error, is_cancelled, is_lock_not_available, quote_ident};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use rand::Rng;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// Pause between two rounds of ending sessions.
const END_EVERY: Duration = Duration::from_millis(20);
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
        self.until_moved(async |attempt: &Attempt| {
            self.rename_all(attempt).await?;
            crashpoint::reached("flip.after_second_rename");
            for pair in &self.pairs {
                self.open_to_readers(pair).await?;
            }
            for step in steps {
                self.ledger
                    .record_switch(&step.dataset.name, &step.flip, reason)
                    .await?;
            }
            crashpoint::reached("flip.before_commit");
            Ok(())
        })
        .await
    }

    /// Takes a move back: the same renames the other way round. A build that had not been published
    /// before is sealed again, and waits.
    pub async fn revert(&self, steps: &[Step<'_>]) -> Result<()> {
        self.until_moved(async |attempt: &Attempt| {
            self.rename_all(attempt).await?;
            for step in steps {
                let was_sealed = step.to.state == State::Verified;
                if was_sealed {
                    let readers = &step.dataset.settings.readers;
                    self.close_to_readers(&step.to.name, readers).await?;
                }
                self.ledger
                    .record_revert(&step.dataset.name, &step.flip, was_sealed)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    async fn until_moved(&self, act: impl AsyncFn(&Attempt) -> Result<()>) -> Result<()> {
        let helper = self.ledger.second(self.server, "end sessions").await?;
        let end = Instant::now() + self.settings.window;
        let mut pause = Duration::from_secs(1);
        loop {
            match self.attempt(&act, &helper).await {
                Ok(()) => return Ok(()),
                Err(error) if !is_busy(&error) => return Err(error),
                Err(error) => {
                    let jitter = rand::rng().random_range(0.5..1.0);
                    let wait = pause.mul_f64(jitter);
                    if Instant::now() + wait >= end {
                        return Err(error).context(self.who_is_in_the_way().await);
                    }
                    tracing::warn!(
                        alias = self.name,
                        "the alias is in use; trying again in {:.1} s",
                        wait.as_secs_f64()
                    );
                    tokio::time::sleep(wait).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    async fn attempt(
        &self,
        act: &impl AsyncFn(&Attempt) -> Result<()>,
        helper: &Ledger,
    ) -> Result<()> {
        let _moving = super::MOVING.lock().await;
        self.ledger.begin().await?;
        let attempt = Attempt {
            ledger: self.ledger,
            helper,
            until: Instant::now() + self.settings.limit,
        };
        let acted = async {
            attempt.limit_statement().await?;
            for pair in &self.pairs {
                self.check(pair).await?;
            }
            crashpoint::reached("flip.after_begin");
            act(&attempt).await
        };
        match acted.await {
            Ok(()) => self.ledger.commit().await.context(
                Problem::dependency(
                    "commit the move: the answer is lost, so its outcome is not known",
                )
                .hint("the next command finds out; `overnight status` shows it"),
            ),
            Err(error) => {
                self.ledger.rollback().await;
                Err(error)
            }
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
                    &oids([pair]),
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
                bail!(super::stranger_at(pair.alias))
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

    /// First the live databases give the names of the aliases up, because that is what may have to
    /// wait; then the new ones get them. Always by OID, so that two movers could not wait for each other.
    async fn rename_all(&self, attempt: &Attempt<'_>) -> Result<()> {
        let mut live: Vec<&Pair> = self.pairs.iter().collect();
        live.sort_by_key(|pair| pair.from.map(|build| build.database_oid));
        for pair in live {
            if let Some(from) = pair.from {
                self.rename_held(attempt, pair.alias, &from.name, from.database_oid)
                    .await?;
            }
            crashpoint::reached("flip.after_first_rename");
        }
        let mut new: Vec<&Pair> = self.pairs.iter().collect();
        new.sort_by_key(|pair| pair.to.map(|build| build.database_oid));
        for pair in new {
            if let Some(to) = pair.to {
                self.rename_held(attempt, &to.name, pair.alias, to.database_oid)
                    .await?;
            }
        }
        Ok(())
    }

    /// Renames while a second session ends those that are in the way.
    async fn rename_held(
        &self,
        attempt: &Attempt<'_>,
        old: &str,
        new: &str,
        oid: Option<u32>,
    ) -> Result<()> {
        let statement = format!(
            "alter database {} rename to {}",
            quote_ident(old),
            quote_ident(new)
        );
        attempt.limit_statement().await?;
        let rename = self.ledger.session.batch_execute(&statement);
        tokio::pin!(rename);
        loop {
            tokio::select! {
                biased;
                renamed = &mut rename => {
                    return renamed.with_context(|| format!("rename `{old}` to `{new}`"));
                }
                () = tokio::time::sleep(END_EVERY) => {
                    // What cannot be ended shows when the rename reaches its limit.
                    if let Some(oid) = oid
                        && let Err(error) = end_sessions(attempt.helper, oid).await
                    {
                        tracing::debug!("{}", explain_chain(&error));
                    }
                }
            }
        }
    }

    async fn open_to_readers(&self, pair: &Pair<'_>) -> Result<()> {
        crate::build::allow_connections(self.ledger, pair.alias, true).await?;
        for reader in pair.readers {
            self.ledger
                .session
                .batch_execute(&format!(
                    "grant connect on database {} to {}",
                    quote_ident(pair.alias),
                    quote_ident(reader)
                ))
                .await
                .with_context(|| format!("let `{reader}` connect"))?;
        }
        Ok(())
    }

    async fn close_to_readers(&self, name: &str, readers: &[String]) -> Result<()> {
        crate::build::allow_connections(self.ledger, name, false).await?;
        for reader in readers {
            self.ledger
                .session
                .batch_execute(&format!(
                    "revoke connect on database {} from {}",
                    quote_ident(name),
                    quote_ident(reader)
                ))
                .await
                .with_context(|| format!("keep `{reader}` out of `{name}`"))?;
        }
        Ok(())
    }

    async fn who_is_in_the_way(&self) -> Problem {
        let oids = oids(&self.pairs);
        let rows = self
            .ledger
            .session
            .query(
                "select format('%s (%s, process %s%s)', a.usename, coalesce(nullif(a.application_name, ''), 'unnamed'),
                        a.pid, case when r.rolsuper then ', superuser' else '' end)
                 from pg_stat_activity a join pg_roles r on r.oid = a.usesysid where a.datid = any($1)",
                &[&oids],
            )
            .await;
        let who: Vec<String> = match &rows {
            Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
            Err(_) => Vec::new(),
        };
        let who = if who.is_empty() {
            "sessions that come and go".into()
        } else {
            who.join(", ")
        };
        Problem::dependency(format!(
            "the {} stayed in use for {} s by {who}; nothing was changed",
            self.aliases(),
            self.settings.window.as_secs()
        ))
        .hint(format!(
            "end those sessions, then `overnight rotate {}`; ending sessions of other roles needs pg_signal_backend",
            self.name
        ))
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

fn oids<'p>(pairs: impl IntoIterator<Item = &'p Pair<'p>>) -> Vec<u32> {
    pairs
        .into_iter()
        .flat_map(|pair| [pair.from, pair.to])
        .flatten()
        .filter_map(|build| build.database_oid)
        .collect()
}

/// One try, bounded as a whole: new connections to the alias wait while it lasts.
struct Attempt<'a> {
    ledger: &'a Ledger,
    /// The session that ends those in the way.
    helper: &'a Ledger,
    until: Instant,
}

impl Attempt<'_> {
    /// Gives the next statement what is left of the time; the server counts each one anew.
    async fn limit_statement(&self) -> Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = left.as_millis().max(1);
        self.ledger
            .session
            .batch_execute(&format!(
                "set local statement_timeout = {left}; set local lock_timeout = {left}"
            ))
            .await
            .context("limit the time of the move")
    }
}

/// Whether trying again later may help: somebody is connected, or holds the database's lock.
fn is_busy(error: &anyhow::Error) -> bool {
    find_error(error).is_some_and(|error| {
        let in_use = error.code() == Some(&SqlState::OBJECT_IN_USE);
        in_use || is_cancelled(error) || is_lock_not_available(error)
    })
}
