//! Rebuilds the ledger from the stamps inside the builds, after it was lost or restored from an older
//! backup.
//!
//! In: every database of this role that carries a stamp. Out: rows for the builds, and what is live, as
//! the catalog and the poolers show it. No alias moves, no database is renamed or dropped. The rule
//! that is easy to break: a build without `verified_at` in its stamp never becomes a verified one.

use super::Workplace;
use super::stamped::{Found, stamped};
use crate::dataset::{self, names};
use crate::ledger::adoption::Adopted;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::problem::Problem;
use crate::rotate::Way;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::collections::BTreeSet;

/// What an adoption has changed.
#[derive(Debug, Serialize)]
pub struct Adoption {
    pub datasets: Vec<Dataset>,
    /// Databases that were left alone, with the reason.
    pub left: Vec<String>,
}

/// One dataset after an adoption.
#[derive(Debug, Serialize)]
pub struct Dataset {
    pub dataset: String,
    pub live: Option<String>,
    /// Builds that were added or brought up to date, oldest first.
    pub adopted: Vec<AdoptedBuild>,
    /// The alias is held, because it leads to an older build than the newest published one.
    pub held: bool,
    /// Why it is not known which build is live.
    pub unclear: Option<String>,
}

/// One build that was added or brought up to date.
#[derive(Debug, Serialize)]
pub struct AdoptedBuild {
    pub build: String,
    pub state: State,
}

/// Adopts what the server has: of one dataset, or of all of the project.
///
/// # Errors
/// Status 75 when a run or a move is under way; status 1 when the server has no build to adopt.
pub async fn adopt(place: &Workplace, only: Option<&str>, reason: &str) -> Result<Adoption> {
    let wanted = match only {
        Some(name) => vec![name.to_owned()],
        None => names(&place.config.project)?,
    };
    let ledger = place.ledger("adopt").await?;
    let (mut found, mut left) = stamped(place, &ledger, &wanted).await?;
    keep_one_of_each(&mut found, &mut left);
    let datasets: BTreeSet<String> = found.iter().map(|one| one.stamp.dataset.clone()).collect();
    if datasets.is_empty() {
        bail!(
            Problem::refused(format!(
                "no database of this role carries the stamp of a build of `{}`",
                wanted.join("`, `")
            ))
            .hint("connect as the role that owns the builds; `overnight reconcile NAME --adopt` adopts a dataset that the project does not have")
        );
    }
    for name in &datasets {
        ledger.lock(name, Lock::Build).await?;
        ledger.wait_for(name, Lock::Move).await?;
    }
    let mut done = Vec::new();
    for name in &datasets {
        let of: Vec<&Found> = found
            .iter()
            .filter(|one| one.stamp.dataset == *name)
            .collect();
        let one = OneDataset {
            place,
            ledger: &ledger,
            name,
        };
        one.let_readers_follow().await?;
        done.push(one.adopt(&of, reason, &mut left).await?);
    }
    ledger.close().await;
    Ok(Adoption {
        datasets: done,
        left,
    })
}

/// Of two databases with one stamp, the one with the alias's name or the build's own is the build.
fn keep_one_of_each(found: &mut Vec<Found>, left: &mut Vec<String>) {
    found.retain(|one| {
        let own = one.name == one.stamp.build || one.name == one.stamp.dataset;
        if !own {
            left.push(format!(
                "`{}` carries the stamp of `{}` and has another name",
                one.name, one.stamp.build
            ));
        }
        own
    });
    let aliases: BTreeSet<String> = found
        .iter()
        .filter(|one| one.name == one.stamp.dataset)
        .map(|one| one.stamp.nonce.clone())
        .collect();
    found.retain(|one| {
        let copy = one.name == one.stamp.build && aliases.contains(&one.stamp.nonce);
        if copy {
            left.push(format!(
                "`{}` is a copy of the database at the alias",
                one.name
            ));
        }
        !copy
    });
    found.sort_by(|a, b| {
        (&a.stamp.dataset, &a.stamp.created_at).cmp(&(&b.stamp.dataset, &b.stamp.created_at))
    });
}

/// Which build is live, as the server shows it.
enum Live<'f> {
    Is(Option<&'f Found>),
    Unclear(String),
}

struct OneDataset<'o> {
    place: &'o Workplace,
    ledger: &'o Ledger,
    name: &'o str,
}

impl OneDataset<'_> {
    /// A new ledger knows no reader. A dataset that the project does not have has none that are known.
    async fn let_readers_follow(&self) -> Result<()> {
        let (project, control) = (
            &self.place.config.project,
            &self.place.config.control_database,
        );
        if !project.join("sources").join(self.name).is_dir() {
            return Ok(());
        }
        let settings = dataset::Dataset::read(project, self.name, control)?.settings;
        self.ledger.let_follow(&settings.readers).await?;
        if settings.consumers_register {
            self.ledger.let_register(&settings.readers).await?;
        }
        Ok(())
    }

    async fn adopt(
        &self,
        found: &[&Found],
        reason: &str,
        left: &mut Vec<String>,
    ) -> Result<Dataset> {
        let (ledger, name) = (self.ledger, self.name);
        ledger.register(name).await?;
        let row = ledger.dataset(name).await?;
        let known = ledger.builds(name).await?;
        let live_before = known.iter().find(|build| Some(build.id) == row.live_build);
        let live = self.live(found, live_before).await?;
        let (live, unclear) = match live {
            Live::Is(live) => (live, None),
            Live::Unclear(why) => (None, Some(why)),
        };
        let mut planned: Vec<(&Found, State, bool)> = Vec::new();
        for one in found {
            match state_of(one, live, &known, name) {
                Ok(Some((state, rolled_back))) => planned.push((one, state, rolled_back)),
                Ok(None) => {}
                Err(why) => left.push(format!("`{}`: {why}", one.name)),
            }
        }
        // Row numbers are the order of the builds: builds older than every row come newest first.
        let oldest = known.iter().map(|build| build.created_at.as_str()).min();
        let split = match oldest {
            Some(oldest) => {
                planned.partition_point(|(one, ..)| one.stamp.created_at.as_str() < oldest)
            }
            None => 0,
        };
        planned[..split].reverse();
        ledger.begin().await?;
        let written = async {
            let mut adopted = Vec::new();
            let mut live_row = None;
            for (one, state, rolled_back) in &planned {
                let (id, changed) = ledger
                    .adopt_build(&Adopted {
                        stamp: &one.stamp,
                        oid: one.oid,
                        state: *state,
                        rolled_back: *rolled_back,
                    })
                    .await?;
                ledger.adopt_counts(id, &one.counts).await?;
                if live.is_some_and(|live| live.oid == one.oid) {
                    live_row = Some((ledger.build(id).await?, one.oid));
                }
                if changed {
                    adopted.push((
                        one.stamp.created_at.clone(),
                        one.stamp.build.clone(),
                        *state,
                    ));
                }
            }
            for build in &known {
                self.settle_missing(build, found).await?;
            }
            let same = match (&live_row, live_before) {
                (Some((live, oid)), Some(before)) => {
                    live.id == before.id && before.database_oid == Some(*oid)
                }
                (None, None) => true,
                _ => false,
            };
            let newer = planned
                .iter()
                .rev()
                .find(|(_, _, rolled_back)| *rolled_back);
            let mut held = row.held;
            if !same {
                let hold = newer.filter(|_| !row.held).map(|(newer, ..)| {
                    format!(
                        "adopted: `{}` is newer than the live build, so it was rolled back",
                        newer.stamp.build
                    )
                });
                held |= hold.is_some();
                let live = live_row.as_ref().map(|(build, oid)| (build, *oid));
                ledger.adopt_live(name, live, hold.as_deref()).await?;
            }
            adopted.sort_by(|(a, ..), (b, ..)| a.cmp(b));
            if !same || !adopted.is_empty() {
                let what = format!("{} builds ({reason})", adopted.len());
                ledger.event(name, None, "adopted", &what).await?;
            }
            ledger.commit().await?;
            anyhow::Ok(Dataset {
                dataset: name.to_owned(),
                live: live_row.map(|(build, _)| build.name),
                adopted: adopted
                    .into_iter()
                    .map(|(_, build, state)| AdoptedBuild { build, state })
                    .collect(),
                held,
                unclear,
            })
        };
        let written = written.await;
        if written.is_err() {
            ledger.rollback().await;
        }
        written.with_context(|| format!("adopt the builds of `{name}`"))
    }

    /// A build of the ledger that has no database any more.
    async fn settle_missing(&self, build: &Build, found: &[&Found]) -> Result<()> {
        let there = found.iter().any(|one| one.stamp.nonce == build.nonce);
        let kept = matches!(
            build.state,
            State::Refused | State::Verified | State::Published | State::Tombstone
        );
        if there || !kept || self.ledger.database_exists(build).await? {
            return Ok(());
        }
        self.ledger.set_state(build, State::Dropped).await?;
        self.ledger.forget_previous(build).await
    }

    /// The build that services get.
    async fn live<'f>(&self, found: &[&'f Found], before: Option<&Build>) -> Result<Live<'f>> {
        let called = |name: &str| found.iter().find(|one| one.name == name).copied();
        let stays = |why: String| {
            let same = |one: &&&Found| before.is_some_and(|before| before.nonce == one.stamp.nonce);
            match found.iter().find(same) {
                Some(one) => Live::Is(Some(one)),
                None => Live::Unclear(why),
            }
        };
        Ok(match &self.place.router.way {
            Way::Rename => {
                Live::Is(called(self.name).filter(|one| one.stamp.verified_at.is_some()))
            }
            Way::PgBouncer(poolers) => {
                let mut leads = BTreeSet::new();
                for pooler in poolers.all() {
                    // A pooler that cannot be asked does not know better than the others.
                    if let Ok(line) = pooler.line(self.name).await {
                        leads.extend(line.map(|line| line.database));
                    }
                }
                let leads: Vec<&Found> = leads.iter().filter_map(|name| called(name)).collect();
                match leads.as_slice() {
                    [one] if one.stamp.verified_at.is_some() => Live::Is(Some(one)),
                    [] => stays("no pooler leads to a build of it, or none answers".into()),
                    _ => stays("the poolers lead to different builds".into()),
                }
            }
            // The pointer is a part of the ledger.
            Way::Pointer => {
                let open: Vec<&&Found> = found
                    .iter()
                    .filter(|one| one.open && one.stamp.verified_at.is_some())
                    .collect();
                match open.as_slice() {
                    [one] => Live::Is(Some(one)),
                    [] => Live::Is(None),
                    _ => stays("more than one build is open, and the pointer is lost".into()),
                }
            }
        })
    }
}

/// What a database is in the ledger, and whether it was rolled back; `None` if the ledger's row stays as
/// it is.
fn state_of(
    one: &Found,
    live: Option<&Found>,
    known: &[Build],
    alias: &str,
) -> Result<Option<(State, bool)>, &'static str> {
    let row = known
        .iter()
        .find(|build| build.nonce == one.stamp.nonce && build.name == one.stamp.build);
    if row.is_some_and(|build| build.state == State::Failed) {
        return Err("the ledger knows that it failed");
    }
    if one.stamp.verified_at.is_none() {
        return match (row, one.name == alias) {
            (_, true) => Err("it has the name of the alias and was never verified"),
            (Some(_), _) => Ok(None),
            (None, _) if one.open => Ok(Some((State::Loading, false))),
            // Closed without having passed: gates have refused it. It goes when its time is over.
            (None, _) => Ok(Some((State::Refused, false))),
        };
    }
    if live.is_some_and(|live| live.oid == one.oid) {
        return Ok(Some((State::Published, false)));
    }
    let newer = live.is_some_and(|live| one.stamp.created_at > live.stamp.created_at);
    let state = match (one.open, row.map(|build| build.state)) {
        (true, _) => State::Published,
        (false, Some(known @ (State::Tombstone | State::Verified))) => known,
        // Readers may connect only to what was published.
        (false, _) if one.has_readers => State::Tombstone,
        (false, _) if newer || live.is_none() => State::Verified,
        (false, _) => State::Tombstone,
    };
    Ok(Some((state, newer && state == State::Published)))
}
