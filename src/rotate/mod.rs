//! Moves the alias to a verified build; rolling back is the same path.
//!
//! In: a [`VerifiedBuild`] and an open, locked ledger. Out: services that connect to the alias
//! get that build, and the ledger says so; or nothing has changed. The move and its record are
//! one transaction; the intent is written before and the confirmation after a look through the
//! alias. A move that turns out wrong in that look is taken back.
//!
//! [`Router`] says how an alias is realised. With `rename` the act is the transaction itself; with the
//! others the transaction is the truth, and what leads services there follows it and can be repeated.

pub mod accept;
mod approval;
pub mod consumers;
pub mod drain;
mod gates;
pub mod pgbouncer;
mod pointer;
pub mod probe;
pub mod reconcile;
mod record;
mod rename;
pub mod replicas;
mod router;

pub use router::{Router, Seen, Way};

use crate::build::{find_database, grant_readers};
use crate::config::FlipSettings;
use crate::crashpoint;
use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::ledger::flips::{Flip, Kind};
use crate::ledger::{Build, Ledger, State};
use crate::postgres::{Server, error::explain_chain};
use crate::problem::{Problem, Status, status_of};
use crate::switch;
use crate::verify::VerifiedBuild;
use anyhow::{Context, Result, bail};
use probe::Prober;

/// Held while an attempt to move an alias is under way: a signal waits for it, so that a
/// transaction which is about to commit is not dropped half-way.
pub static MOVING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What a move needs to know.
pub struct Move<'m> {
    pub ledger: &'m Ledger,
    pub server: &'m Server,
    pub dataset: &'m Dataset,
    pub prober: &'m Prober,
    pub router: &'m Router,
    pub settings: FlipSettings,
    pub kind: Kind,
    pub reason: Option<&'m str>,
    /// Gates that somebody accepts this time.
    pub overrides: &'m Overrides,
}

impl Move<'_> {
    /// Moves the alias to `to`.
    ///
    /// # Errors
    /// Status 1 when a hold, a stranger's database or a changed epoch forbids it; status 3 when
    /// sessions kept the alias busy for the whole window. In each case the alias is where it was.
    pub async fn to(&self, to: &VerifiedBuild) -> Result<()> {
        // Asked again under the lock: it may have been retired meanwhile.
        let to = VerifiedBuild::recorded(self.ledger.build(to.build().id).await?)?;
        let to = to.build();
        let dataset = &self.dataset.name;
        let row = self.ledger.dataset(dataset).await?;
        if row.live_build == Some(to.id) && switch::on("flip.live_already") {
            bail!(Problem::refused(format!("`{}` is live already", to.name)));
        }
        let from = match row.live_build {
            Some(id) => Some(self.ledger.build(id).await?),
            None => None,
        };
        self.ask_gates(&row, from.as_ref(), to).await?;
        self.let_readers_read(to).await?;
        if self.dataset.settings.consumers_register {
            self.ledger
                .let_register(&self.dataset.settings.readers)
                .await?;
        }
        if let Way::PgBouncer(poolers) = &self.router.way {
            poolers.ready(self.ledger).await?;
        }
        crashpoint::reached("flip.before_intent");
        let flip = self
            .ledger
            .intend(
                dataset,
                row.epoch,
                from.as_ref(),
                to,
                self.kind,
                self.reason,
            )
            .await?;
        crashpoint::reached("flip.after_intent");
        if let Err(error) = self.act(&flip, from.as_ref(), to).await {
            // A lost connection leaves the answer of the commit unknown: the next start finds
            // out from the catalog, so the intent stays as it is.
            if !self.ledger.session.is_closed() {
                if !self.router.ends_sessions() {
                    record::close(self.ledger, to).await?;
                }
                self.ledger.flip_state(&flip, "abandoned").await?;
            }
            return Err(error);
        }
        crashpoint::reached("flip.after_commit");
        self.confirm(&flip, from.as_ref(), to).await
    }

    /// A build that was published before knows the readers of its own day; today's may be others.
    async fn let_readers_read(&self, to: &Build) -> Result<()> {
        self.ledger
            .let_follow(&self.dataset.settings.readers)
            .await?;
        if to.state != State::Published {
            return Ok(());
        }
        let database = record::database_name(self.ledger, to).await?;
        let session = self.server.connect(&database, "grant").await?;
        grant_readers(&session, &self.dataset.settings.readers)
            .await
            .with_context(|| format!("let today's readers read `{}`", to.name))
    }

    fn record(&self) -> record::Record<'_> {
        record::Record {
            ledger: self.ledger,
            alias: &self.dataset.name,
            readers: &self.dataset.settings.readers,
        }
    }

    /// The transaction that moves the alias.
    async fn act(&self, flip: &Flip, from: Option<&Build>, to: &Build) -> Result<()> {
        if let Way::Rename = self.router.way {
            return self.rename(from, to).switch(flip, self.reason).await;
        }
        let record = self.record();
        let database = record.open(to).await?;
        if switch::on("flip.direct_look") {
            self.prober
                .look(self.server, &database, &to.name)
                .await
                .context(
                    Problem::refused(format!(
                        "look at `{}` before services are led to it",
                        to.name
                    ))
                    .hint("the alias was not touched; services stay on the build they have"),
                )?;
        }
        crashpoint::reached("flip.after_direct_look");
        let _moving = MOVING.lock().await;
        record.switch(flip, self.reason).await
    }

    fn rename<'a>(&'a self, from: Option<&'a Build>, to: &'a Build) -> rename::Rename<'a> {
        rename::Rename {
            ledger: self.ledger,
            server: self.server,
            alias: &self.dataset.name,
            from,
            to,
            readers: &self.dataset.settings.readers,
            settings: self.settings,
        }
    }

    /// Leads services to the live build where the transaction did not do it, and looks at it the way
    /// they come.
    async fn lead_and_look(&self, to: &Build) -> Result<()> {
        let alias = &self.dataset.name;
        match &self.router.way {
            Way::Rename => self.prober.look(self.server, alias, &to.name).await,
            Way::Pointer => {
                pointer::look(self.prober, self.ledger, self.server, alias, &to.name).await
            }
            Way::PgBouncer(poolers) => {
                let _moving = MOVING.lock().await;
                poolers
                    .lead(self.ledger, alias, self.settings.limit)
                    .await?;
                for pooler in poolers.all() {
                    self.prober.look_through(pooler, alias, &to.name).await?;
                }
                Ok(())
            }
        }
    }

    /// Looks through the alias; confirms the move when nobody is on the build before, or takes it
    /// back.
    async fn confirm(&self, flip: &Flip, from: Option<&Build>, to: &Build) -> Result<()> {
        let looked = self.lead_and_look(to).await;
        crashpoint::reached("flip.after_probe");
        match looked {
            Err(_) if !switch::on("flip.look") => Ok(()),
            Ok(()) => {
                // Not taken back if that fails: the primary is right, and the next start repeats it.
                let wait = self.server.standbys().wait;
                let name = self.router.name_of_live(&self.dataset.name, to);
                replicas::follow(self.ledger, self.server, name, from, to, wait).await?;
                let left = match from {
                    Some(from) if !self.router.ends_sessions() => !self.drain(flip, from).await?,
                    _ => false,
                };
                if left {
                    return Ok(());
                }
                self.ledger.flip_state(flip, "confirmed").await?;
                crashpoint::reached("flip.after_confirm");
                Ok(())
            }
            Err(error) => {
                self.take_back(flip, from, to).await.with_context(|| {
                    format!(
                        "take the alias back after a failed look ({})",
                        explain_chain(&error)
                    )
                })?;
                let text = format!(
                    "look at `{}` through the alias `{}`: it was taken back",
                    to.name, self.dataset.name
                );
                let problem = match (&self.router.way, status_of(&error)) {
                    // The build may be as good as ever.
                    (Way::PgBouncer(_), Status::Dependency) => Problem::dependency(text),
                    _ => Problem::refused(text),
                };
                Err(error).context(problem.hint("services are on the build they had before"))
            }
        }
    }

    async fn take_back(&self, flip: &Flip, from: Option<&Build>, to: &Build) -> Result<()> {
        let poolers = match &self.router.way {
            Way::Rename => {
                let back = from.unwrap_or(to);
                return self.rename(Some(to), back).revert(flip, from, to).await;
            }
            Way::Pointer => None,
            Way::PgBouncer(poolers) => Some(poolers),
        };
        let _moving = MOVING.lock().await;
        let Some(poolers) = poolers else {
            return self.record().revert(flip, to).await;
        };
        // First the poolers, so that no service is led to a build that is being closed; and nobody
        // else may write their files from the ledger before it says the same.
        self.ledger.lock_aliases().await?;
        let back = async {
            let before = match from {
                Some(from) => Some(record::database_name(self.ledger, from).await?),
                None => None,
            };
            let alias = &self.dataset.name;
            let left = poolers
                .lead_back(self.ledger, alias, before.as_deref())
                .await?;
            crashpoint::reached("pooler.after_back");
            for left in left {
                tracing::warn!(
                    alias,
                    "not known to lead back, which the next start repairs: {left}"
                );
            }
            self.record().revert(flip, to).await
        };
        let back = back.await;
        self.ledger.unlock_aliases().await?;
        back
    }
}

/// Fails if a first move could only fail, because a database that is not ours has the alias's
/// name: better known before hours of building than after.
///
/// # Errors
/// Status 1; nothing was changed.
pub async fn refuse_stranger(ledger: &Ledger, router: &Router, dataset: &str) -> Result<()> {
    if !matches!(router.way, Way::Rename) {
        return Ok(());
    }
    let nothing_live = ledger.dataset(dataset).await?.live_build.is_none();
    if nothing_live && find_database(ledger, dataset).await?.is_some() && switch::on("run.stranger")
    {
        bail!(stranger_at(dataset));
    }
    Ok(())
}

fn stranger_at(alias: &str) -> Problem {
    Problem::refused(format!(
        "a database named `{alias}` exists and overnight did not make it; nothing was changed"
    ))
    .hint(
        "rename or drop it yourself if services no longer need it, then try again; \
         `overnight run --no-rotate` builds beside it",
    )
}
