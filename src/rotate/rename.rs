//! The alias as a database name: two renames and the record in one transaction.
//!
//! Observed on PostgreSQL 15 and the reason for each line: a rename waits up to five seconds for
//! sessions to leave, and new connections queue behind it meanwhile, so the attempt is bounded by
//! `statement_timeout` (`lock_timeout` does not cover that wait). Sessions that are ended before
//! the rename holds the database come straight back, so the rename starts first and a second
//! session ends them after. Superusers' sessions are never ended: nobody but a superuser may.

use crate::build::end_sessions;
use crate::config::FlipSettings;
use crate::crashpoint;
use crate::ledger::flips::Flip;
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

/// One move by rename.
pub struct Rename<'m> {
    pub ledger: &'m Ledger,
    pub server: &'m Server,
    pub alias: &'m str,
    pub from: Option<&'m Build>,
    pub to: &'m Build,
    pub readers: &'m [String],
    pub settings: FlipSettings,
}

impl Rename<'_> {
    /// Tries until the alias has moved or the window is over.
    pub async fn switch(&self, flip: &Flip, reason: Option<&str>) -> Result<()> {
        self.until_moved(async |attempt: &Attempt| {
            self.rename_both(attempt).await?;
            crashpoint::reached("flip.after_second_rename");
            self.open_to_readers().await?;
            self.ledger.record_switch(self.alias, flip, reason).await?;
            crashpoint::reached("flip.before_commit");
            Ok(())
        })
        .await
    }

    /// Takes a move to `moved` back: the same renames the other way round. `before` is what was
    /// live. A build that had not been published before is sealed again, and waits.
    pub async fn revert(&self, flip: &Flip, before: Option<&Build>, moved: &Build) -> Result<()> {
        let was_sealed = moved.state == State::Verified;
        self.until_moved(async |attempt: &Attempt| {
            match before {
                Some(_) => self.rename_both(attempt).await?,
                None => {
                    self.rename_held(attempt, self.alias, &moved.name, moved.database_oid)
                        .await?;
                }
            }
            if was_sealed {
                self.close_to_readers(&moved.name).await?;
            }
            self.ledger
                .record_revert(self.alias, flip, was_sealed)
                .await
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
                        alias = self.alias,
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
            self.check().await?;
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
    async fn check(&self) -> Result<()> {
        self.ledger.check_lock(self.alias, Lock::Move).await?;
        let names = self
            .ledger
            .session
            .query(
                "select oid, datname::text from pg_database where datname = any($1) or oid = any($2)",
                &[
                    &vec![self.alias, &self.to.name],
                    &[self.from, Some(self.to)].into_iter().flatten().filter_map(|build| build.database_oid).collect::<Vec<u32>>(),
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
            .find(|row| row.get::<_, String>(1) == self.alias)
            .map(|row| row.get::<_, u32>(0));
        match (self.from, at_alias) {
            (None, Some(_)) if switch::on("flip.stranger") => {
                bail!(super::stranger_at(self.alias))
            }
            (Some(from), at) if at != from.database_oid && switch::on("flip.live_oid") => bail!(
                Problem::refused(format!(
                    "the alias `{}` is not the database that the ledger knows as live; somebody renamed it",
                    self.alias
                ))
                .hint("compare `overnight status` with the server's databases; nothing was changed")
            ),
            _ => {}
        }
        // Going back, the target is a build; taking back a first move, it is the alias itself.
        let to_name = name_of(self.to.database_oid);
        if to_name.as_deref() != Some(&self.to.name) && to_name.as_deref() != Some(self.alias) {
            bail!(Problem::refused(format!(
                "the database `{}` is gone or has another name",
                self.to.name
            )));
        }
        Ok(())
    }

    async fn rename_both(&self, attempt: &Attempt<'_>) -> Result<()> {
        if let Some(from) = self.from {
            self.rename_held(attempt, self.alias, &from.name, from.database_oid)
                .await?;
        }
        crashpoint::reached("flip.after_first_rename");
        self.rename_held(attempt, &self.to.name, self.alias, self.to.database_oid)
            .await
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

    async fn open_to_readers(&self) -> Result<()> {
        crate::build::allow_connections(self.ledger, self.alias, true).await?;
        for reader in self.readers {
            self.ledger
                .session
                .batch_execute(&format!(
                    "grant connect on database {} to {}",
                    quote_ident(self.alias),
                    quote_ident(reader)
                ))
                .await
                .with_context(|| format!("let `{reader}` connect"))?;
        }
        Ok(())
    }

    async fn close_to_readers(&self, name: &str) -> Result<()> {
        crate::build::allow_connections(self.ledger, name, false).await?;
        for reader in self.readers {
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
        let oids: Vec<u32> = [self.from, Some(self.to)]
            .into_iter()
            .flatten()
            .filter_map(|build| build.database_oid)
            .collect();
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
            "the alias `{}` stayed in use for {} s by {who}; nothing was changed",
            self.alias,
            self.settings.window.as_secs()
        ))
        .hint(format!(
            "end those sessions, then `overnight rotate {}`; ending sessions of other roles needs pg_signal_backend",
            self.alias
        ))
    }
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
