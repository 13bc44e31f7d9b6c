//! Moves the alias to a verified build; rolling back is the same path.
//!
//! In: a [`VerifiedBuild`] and an open, locked ledger. Out: services that connect to the alias
//! get that build, and the ledger says so; or nothing has changed. The move and its record are
//! one transaction; the intent is written before and the confirmation after a look through the
//! alias. A move that turns out wrong in that look is taken back.

mod gates;
pub mod probe;
pub mod reconcile;
mod rename;
pub mod replicas;

use crate::build::{find_database, grant_readers};
use crate::config::FlipSettings;
use crate::crashpoint;
use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::ledger::flips::{Flip, Kind};
use crate::ledger::{Build, Ledger, State};
use crate::postgres::{Server, error::explain_chain};
use crate::problem::Problem;
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
        if row.live_build == Some(to.id) {
            bail!(Problem::refused(format!("`{}` is live already", to.name)));
        }
        let from = match row.live_build {
            Some(id) => Some(self.ledger.build(id).await?),
            None => None,
        };
        self.ask_gates(&row, from.as_ref(), to).await?;
        self.let_readers_read(to).await?;
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
        let attempt = rename::Rename {
            ledger: self.ledger,
            server: self.server,
            alias: dataset,
            from: from.as_ref(),
            to,
            readers: &self.dataset.settings.readers,
            settings: self.settings,
        };
        if let Err(error) = attempt.switch(&flip, self.reason).await {
            // A lost connection leaves the answer of the commit unknown: the next start finds
            // out from the catalog, so the intent stays as it is.
            if !self.ledger.session.is_closed() {
                self.ledger.flip_state(&flip, "abandoned").await?;
            }
            return Err(error);
        }
        crashpoint::reached("flip.after_commit");
        self.confirm(&flip, from.as_ref(), to).await
    }

    /// A build that was published before knows the readers of its own day; today's may be others.
    async fn let_readers_read(&self, to: &Build) -> Result<()> {
        if to.state != State::Published {
            return Ok(());
        }
        let session = self.server.connect(&to.name, "grant").await?;
        grant_readers(&session, &self.dataset.settings.readers)
            .await
            .with_context(|| format!("let today's readers read `{}`", to.name))
    }

    /// Looks through the alias; confirms the move, or takes it back.
    async fn confirm(&self, flip: &Flip, from: Option<&Build>, to: &Build) -> Result<()> {
        let looked = self
            .prober
            .look(self.server, &self.dataset.name, &to.name)
            .await;
        crashpoint::reached("flip.after_probe");
        match looked {
            Ok(()) => {
                // Not taken back if that fails: the primary is right, and the next start repeats it.
                let wait = self.server.standbys().wait;
                let alias = &self.dataset.name;
                replicas::follow(self.ledger, self.server, alias, from, to, wait).await?;
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
                Err(error).context(
                    Problem::refused(format!(
                        "look at `{}` through the alias `{}`: it was taken back",
                        to.name, self.dataset.name
                    ))
                    .hint("services are on the build they had before"),
                )
            }
        }
    }

    async fn take_back(&self, flip: &Flip, from: Option<&Build>, to: &Build) -> Result<()> {
        let attempt = rename::Rename {
            ledger: self.ledger,
            server: self.server,
            alias: &self.dataset.name,
            from: Some(to),
            to: from.unwrap_or(to),
            readers: &self.dataset.settings.readers,
            settings: self.settings,
        };
        attempt.revert(flip, from, to).await
    }
}

/// Fails if a first move could only fail, because a database that is not ours has the alias's
/// name: better known before hours of building than after.
///
/// # Errors
/// Status 1; nothing was changed.
pub async fn refuse_stranger(ledger: &Ledger, dataset: &str) -> Result<()> {
    let nothing_live = ledger.dataset(dataset).await?.live_build.is_none();
    if nothing_live && find_database(ledger, dataset).await?.is_some() {
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
