//! Moves aliases to verified builds, one or those of a group; rolling back is the same path.
//!
//! In: a [`VerifiedBuild`] for each alias and an open ledger that holds the lock of each. Out: services
//! that connect to an alias get that build, and the ledger says so; or nothing has changed. The move and
//! its record are one transaction, for all aliases together; the intents are written before and the
//! confirmations after a look through each alias. A move that turns out wrong in one look is taken back.
//!
//! [`Router`] says how an alias is realised. With `rename` the act is the transaction itself; with the
//! others the transaction is the truth, and what leads services there follows it and can be repeated.

pub mod accept;
mod approval;
pub mod blockers;
pub mod consumers;
pub mod drain;
mod gates;
pub mod group;
pub mod health;
mod outcome;
pub mod pgbouncer;
mod pointer;
pub mod preconditions;
pub mod probe;
pub mod reconcile;
mod record;
mod rename;
mod rename_sql;
pub mod replicas;
mod router;

pub use router::{Router, Seen, Way};

use crate::build::{find_database, grant_readers, read_stamp};
use crate::config::FlipSettings;
use crate::config::groups::Unit;
use crate::crashpoint;
use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::ledger::flips::{Flip, Kind};
use crate::ledger::{Build, DatasetRow, Ledger, State};
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
    pub router: &'m Router,
    /// What moves: one alias, or a group.
    pub unit: Unit<'m>,
    pub settings: FlipSettings,
    pub kind: Kind,
    pub reason: Option<&'m str>,
    /// Gates that somebody accepts this time.
    pub overrides: &'m Overrides,
}

/// An alias and the build that it is to lead to.
pub struct Goal<'m> {
    pub dataset: &'m Dataset,
    /// Who looks through the alias.
    pub prober: Prober,
    pub to: &'m VerifiedBuild,
}

/// One alias of a move under way.
struct Step<'m> {
    dataset: &'m Dataset,
    prober: &'m Prober,
    from: Option<Build>,
    to: Build,
    /// Its intent; made up before that is written.
    flip: Flip,
}

impl Step<'_> {
    fn record<'a>(&'a self, ledger: &'a Ledger) -> record::Record<'a> {
        record::Record {
            ledger,
            readers: &self.dataset.settings.readers,
        }
    }
}

impl Move<'_> {
    /// Moves the aliases: all of them in one transaction, or none.
    ///
    /// # Errors
    /// Status 1 when a hold, a stranger's database or a changed epoch forbids it; status 3 when
    /// sessions kept an alias busy for the whole window. In each case every alias is where it was.
    pub async fn to(&self, goals: &[Goal<'_>]) -> Result<()> {
        let mut planned = Vec::new();
        for goal in goals {
            planned.push(self.plan(goal).await?);
        }
        if matches!(self.router.way, Way::Rename) {
            preconditions::refuse_without_createdb(&self.ledger.session).await?;
        }
        self.refuse_held_beside(goals).await?;
        for (row, step) in &planned {
            self.ask_gates(row, step.dataset, &step.to).await?;
        }
        for (_, step) in &planned {
            self.let_readers_read(step).await?;
            if step.dataset.settings.consumers_register {
                self.ledger
                    .let_register(&step.dataset.settings.readers)
                    .await?;
            }
        }
        if let Way::PgBouncer(poolers) = &self.router.way {
            poolers.ready(self.ledger).await?;
        }
        crashpoint::reached("flip.before_intent");
        let steps = self.intend(planned).await?;
        crashpoint::reached("flip.after_intent");
        if let Err(error) = self.act(&steps).await {
            // The intents stay as they are: the next command settles them.
            if outcome::is_lost(self.ledger, &error) {
                let outcome = outcome::find_out(self.server, self.ledger, &steps).await;
                return Err(error).context(outcome);
            }
            for step in &steps {
                if !self.router.ends_sessions() {
                    record::close(self.ledger, &step.to).await?;
                }
                self.ledger.flip_state(&step.flip, "abandoned").await?;
            }
            return Err(error);
        }
        crashpoint::reached("flip.after_commit");
        self.confirm(&steps).await
    }

    /// What is live, and what is to be.
    async fn plan<'g>(&self, goal: &'g Goal<'_>) -> Result<(DatasetRow, Step<'g>)> {
        // Asked again under the lock: it may have been retired meanwhile.
        let to = VerifiedBuild::recorded(self.ledger.build(goal.to.build().id).await?)?;
        let to = to.build().clone();
        let row = self.ledger.dataset(&goal.dataset.name).await?;
        if row.live_build == Some(to.id) && switch::on("flip.live_already") {
            bail!(Problem::refused(format!("`{}` is live already", to.name)));
        }
        let from = match row.live_build {
            Some(id) => Some(self.ledger.build(id).await?),
            None => None,
        };
        let flip = Flip {
            id: 0,
            epoch: row.epoch,
            from_build: row.live_build,
            to_build: to.id,
            kind: self.kind,
            state: "intent".into(),
        };
        let step = Step {
            dataset: goal.dataset,
            prober: &goal.prober,
            from,
            to,
            flip,
        };
        Ok((row, step))
    }

    /// Writes every intent in one transaction.
    async fn intend<'g>(&self, planned: Vec<(DatasetRow, Step<'g>)>) -> Result<Vec<Step<'g>>> {
        self.ledger.begin().await?;
        let intended = async {
            let mut steps = Vec::new();
            for (row, mut step) in planned {
                let (from, to) = (step.from.as_ref(), &step.to);
                step.flip = self
                    .ledger
                    .intend(&row.dataset, row.epoch, from, to, self.kind, self.reason)
                    .await?;
                steps.push(step);
            }
            if let Some(group) = self.unit.group() {
                let flips: Vec<&Flip> = steps.iter().map(|step| &step.flip).collect();
                self.ledger.one_act(&group.name, &flips).await?;
            }
            self.ledger.commit().await?;
            anyhow::Ok(steps)
        };
        let intended = intended.await;
        if intended.is_err() {
            self.ledger.rollback().await;
        }
        intended
    }

    /// A build that was published before knows the readers of its own day; today's may be others.
    async fn let_readers_read(&self, step: &Step<'_>) -> Result<()> {
        let (to, readers) = (&step.to, &step.dataset.settings.readers);
        self.ledger.let_follow(readers).await?;
        if to.state != State::Published {
            return Ok(());
        }
        let database = record::database_name(self.ledger, to).await?;
        let session = self.server.connect(&database, "grant").await?;
        grant_readers(&session, readers)
            .await
            .with_context(|| format!("let today's readers read `{}`", to.name))
    }

    /// The transaction that moves the aliases.
    async fn act(&self, steps: &[Step<'_>]) -> Result<()> {
        if let Way::Rename = self.router.way {
            let rename = self.rename(steps, |step| (step.from.as_ref(), Some(&step.to)));
            return rename.switch(steps, self.reason).await;
        }
        for step in steps {
            let database = step.record(self.ledger).open(&step.to).await?;
            if switch::on("flip.direct_look") {
                step.prober
                    .look(self.server, &database, &step.to.name)
                    .await
                    .context(
                        Problem::refused(format!(
                            "look at `{}` before services are led to it",
                            step.to.name
                        ))
                        .hint("the alias was not touched; services stay on the build they have"),
                    )?;
            }
            crashpoint::reached("flip.after_direct_look");
        }
        let _moving = MOVING.lock().await;
        record::switch(self.ledger, steps, self.reason, self.settings.limit).await
    }

    fn rename<'a>(
        &'a self,
        steps: &'a [Step<'a>],
        pair: impl Fn(&'a Step<'a>) -> (Option<&'a Build>, Option<&'a Build>),
    ) -> rename::Rename<'a> {
        let pairs = steps.iter().map(|step| {
            let (from, to) = pair(step);
            rename::Pair {
                alias: &step.dataset.name,
                from,
                to,
                readers: &step.dataset.settings.readers,
            }
        });
        rename::Rename {
            ledger: self.ledger,
            server: self.server,
            name: self.unit.name(),
            pairs: pairs.collect(),
            settings: self.settings,
        }
    }

    /// Leads services to the live builds where the transaction did not do it, and looks at each the
    /// way they come.
    ///
    /// # Errors
    /// With the alias that it was about.
    async fn lead_and_look<'s, 'g>(
        &self,
        steps: &'s [Step<'g>],
    ) -> std::result::Result<(), (&'s Step<'g>, anyhow::Error)> {
        let _moving = match &self.router.way {
            Way::PgBouncer(poolers) => {
                let moving = MOVING.lock().await;
                let aliases = aliases(steps);
                let led = poolers.lead(self.ledger, &aliases, self.settings.limit);
                if let (Err(error), Some(first)) = (led.await, steps.first()) {
                    return Err((first, error));
                }
                Some(moving)
            }
            Way::Rename | Way::Pointer => None,
        };
        for step in steps {
            self.look(step).await.map_err(|error| (step, error))?;
        }
        Ok(())
    }

    async fn look(&self, step: &Step<'_>) -> Result<()> {
        let Step { prober, to, .. } = step;
        let alias = &step.dataset.name;
        match &self.router.way {
            Way::Rename => prober.look(self.server, alias, &to.name).await,
            Way::Pointer => pointer::look(prober, self.ledger, self.server, alias, &to.name).await,
            Way::PgBouncer(poolers) => {
                for pooler in poolers.all() {
                    prober.look_through(pooler, alias, &to.name).await?;
                }
                Ok(())
            }
        }
    }

    /// Looks through the aliases; confirms the move when nobody is on the builds before, or takes all
    /// of it back.
    async fn confirm(&self, steps: &[Step<'_>]) -> Result<()> {
        let looked = self.lead_and_look(steps).await;
        crashpoint::reached("flip.after_probe");
        match looked {
            Err(_) if !switch::on("flip.look") => Ok(()),
            Ok(()) => {
                // Not taken back if that fails: the primary is right, and the next start repeats it.
                let wait = self.server.standbys().wait;
                for step in steps {
                    let name = self.router.name_of_live(&step.dataset.name, &step.to);
                    let from = step.from.as_ref();
                    replicas::follow(self.ledger, self.server, name, from, &step.to, wait).await?;
                }
                let left = match self.router.ends_sessions() {
                    true => Vec::new(),
                    false => self.drain(steps).await?,
                };
                for step in steps {
                    if !left.contains(&step.flip.id) {
                        self.ledger.flip_state(&step.flip, "confirmed").await?;
                        crashpoint::reached("flip.after_confirm");
                    }
                }
                Ok(())
            }
            Err((step, error)) => {
                self.take_back(steps).await.with_context(|| {
                    format!(
                        "take the alias back after a failed look ({})",
                        explain_chain(&error)
                    )
                })?;
                let what = match self.unit.group() {
                    Some(group) => format!("the whole group `{}`", group.name),
                    None => "it".into(),
                };
                let text = format!(
                    "look at `{}` through the alias `{}`: {what} was taken back",
                    step.to.name, step.dataset.name
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

    async fn take_back(&self, steps: &[Step<'_>]) -> Result<()> {
        let poolers = match &self.router.way {
            Way::Rename => {
                let rename = self.rename(steps, |step| (Some(&step.to), step.from.as_ref()));
                return rename.revert(steps).await;
            }
            Way::Pointer => None,
            Way::PgBouncer(poolers) => Some(poolers),
        };
        let _moving = MOVING.lock().await;
        let Some(poolers) = poolers else {
            return record::revert(self.ledger, steps, self.settings.limit).await;
        };
        // First the poolers, so that no service is led to a build that is being closed; and nobody
        // else may write their files from the ledger before it says the same.
        self.ledger.lock_aliases().await?;
        let back = async {
            let mut before = Vec::new();
            for step in steps {
                let database = match &step.from {
                    Some(from) => Some(record::database_name(self.ledger, from).await?),
                    None => None,
                };
                before.push((step.dataset.name.as_str(), database));
            }
            let left = poolers.lead_back(self.ledger, &before).await?;
            crashpoint::reached("pooler.after_back");
            for left in left {
                tracing::warn!(
                    alias = self.unit.name(),
                    "not known to lead back, which the next start repairs: {left}"
                );
            }
            record::revert(self.ledger, steps, self.settings.limit).await
        };
        let back = back.await;
        self.ledger.unlock_aliases().await?;
        back
    }
}

fn aliases<'s>(steps: &'s [Step<'_>]) -> Vec<&'s str> {
    let aliases = steps.iter().map(|step| step.dataset.name.as_str());
    aliases.collect()
}

/// Fails if a first move could only fail, because a database that is not ours has the alias's
/// name: better known before hours of building than after.
///
/// # Errors
/// Status 1; nothing was changed.
pub async fn refuse_stranger(
    ledger: &Ledger,
    server: &Server,
    router: &Router,
    dataset: &str,
) -> Result<()> {
    if !matches!(router.way, Way::Rename) {
        return Ok(());
    }
    let nothing_live = ledger.dataset(dataset).await?.live_build.is_none();
    if nothing_live && find_database(ledger, dataset).await?.is_some() && switch::on("run.stranger")
    {
        if is_subset(ledger, dataset).await? {
            bail!(
                Problem::refused(format!(
                    "the database `{dataset}` is a subset; nothing was changed"
                ))
                .hint(format!(
                    "`overnight subset drop {dataset}` removes it, then run again; another --home keeps both"
                ))
            );
        }
        bail!(stranger_at(server, dataset).await);
    }
    Ok(())
}

/// Whether a database is what `overnight subset` made.
async fn is_subset(ledger: &Ledger, database: &str) -> Result<bool> {
    let row = ledger
        .session
        .query_opt(
            "select coalesce(shobj_description(oid, 'pg_database') like 'overnight subset; %', false)
             from pg_database where datname = $1",
            &[&database],
        )
        .await
        .with_context(|| format!("read the comment of `{database}`"))?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// The database with the alias's name is not one that the ledger calls live.
async fn stranger_at(server: &Server, alias: &str) -> Problem {
    // A database that cannot be entered counts as another owner's.
    match read_stamp(server, alias).await.ok().flatten() {
        Some(stamp) if !stamp.subset => Problem::refused(format!(
            "the database `{alias}` carries the stamp of `{}`, which the ledger does not know as live; nothing was changed",
            stamp.build
        ))
        .hint(health::ADOPT),
        _ => Problem::refused(format!(
            "a database named `{alias}` exists and overnight did not make it; nothing was changed"
        ))
        .hint(
            "give it another name if services no longer need it, then try again; \
             `overnight run --no-rotate` builds beside it",
        ),
    }
}
