//! What an operator does to an alias by hand: rotate, roll back, hold, release.

use super::Workplace;
use super::accept::Accepting;
use crate::build::{allow_connections, find_database_by_oid, not_ours};
use crate::config::Env;
use crate::config::groups::Unit;
use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::ledger::flips::Kind;
use crate::ledger::{Build, Ledger, State};
use crate::problem::Problem;
use crate::rotate::{Goal, Move};
use crate::verify::VerifiedBuild;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::time::Duration;

/// Where the alias leads now.
#[derive(Debug, Serialize)]
pub struct Moved {
    pub dataset: String,
    pub live: String,
    pub before: Option<String>,
    pub held: bool,
}

/// Moves the alias to a verified build; default: the newest.
pub async fn rotate(
    place: &Workplace,
    dataset: &Dataset,
    to: Option<&str>,
    overrides: &Overrides,
    env: Env<'_>,
) -> Result<Moved> {
    let ledger = place
        .for_move(dataset, &format!("rotate {}", dataset.name))
        .await?;
    let builds = ledger.builds(&dataset.name).await?;
    let chosen = match to {
        Some(name) => named(&builds, name, dataset)?,
        None => builds
            .iter()
            .find(|build| matches!(build.state, State::Verified))
            .with_context(|| none_waits(&builds, dataset))?,
    };
    let chosen = &match chosen.state {
        State::Refused => {
            let accepting = Accepting {
                place,
                ledger: &ledger,
                dataset,
                overrides,
                env,
            };
            accepting.verified(chosen).await?
        }
        _ => chosen.clone(),
    };
    // Whoever types this says yes to a build that waits for it.
    ledger.approve(chosen, overrides.reason()).await?;
    let go = Go {
        kind: Kind::Rotate,
        reason: None,
        overrides,
    };
    moved(place, &ledger, dataset, chosen, go, env).await
}

fn none_waits(builds: &[Build], dataset: &Dataset) -> Problem {
    let name = &dataset.name;
    let problem = Problem::refused(format!("`{name}` has no verified build that waits"));
    match builds.iter().find(|build| build.state == State::Refused) {
        Some(refused) => problem.hint(format!(
            "gates have refused `{0}`: `overnight rotate {name} {0}` says which, and how to publish it all the same",
            refused.name
        )),
        None => problem.hint(format!(
            "`overnight builds {name}` lists them; `overnight rollback {name}` goes back"
        )),
    }
}

/// How to go back.
#[derive(Clone, Copy, Debug)]
pub struct Back<'b> {
    pub to: Option<&'b str>,
    pub reason: &'b str,
    /// Also right after another rollback.
    pub again: bool,
}

/// A rollback within this time after another is more likely the same one typed twice.
const TWICE: Duration = Duration::from_secs(10 * 60);

/// Fails when the last move of an alias was a rollback a moment ago, whose hold is still set.
///
/// # Errors
/// Status 1; nothing was changed.
pub(super) async fn refuse_twice(ledger: &Ledger, dataset: &str, back: Back<'_>) -> Result<()> {
    if back.again || back.to.is_some() {
        return Ok(());
    }
    let row = ledger.dataset(dataset).await?;
    // Where nothing is live, a rollback is the way out.
    if !row.held || row.live_build.is_none() {
        return Ok(());
    }
    let Some((build, ago)) = ledger.last_rollback(dataset).await? else {
        return Ok(());
    };
    if ago < TWICE {
        bail!(
            Problem::refused(format!(
                "`{dataset}` went back to `{build}` {} s ago; nothing was changed",
                ago.as_secs()
            ))
            .hint("--again goes back one build more, --to BUILD names one")
        );
    }
    Ok(())
}

/// Moves the alias to an earlier build and holds it there.
pub async fn rollback(
    place: &Workplace,
    dataset: &Dataset,
    back: Back<'_>,
    overrides: &Overrides,
    env: Env<'_>,
) -> Result<Moved> {
    let ledger = place
        .for_rollback(std::slice::from_ref(dataset), &dataset.name)
        .await?;
    refuse_twice(&ledger, &dataset.name, back).await?;
    let chosen = match back.to {
        Some(name) => {
            let builds = ledger.builds(&dataset.name).await?;
            let build = named(&builds, name, dataset)?;
            reopen(&ledger, build).await?
        }
        None => way_back(&ledger, dataset).await?,
    };
    let go = Go {
        kind: Kind::Rollback,
        reason: Some(back.reason),
        overrides,
    };
    moved(place, &ledger, dataset, &chosen, go, env).await
}

/// The newest published build before the live one; the newest of all where nothing is live.
async fn way_back(ledger: &Ledger, dataset: &Dataset) -> Result<Build> {
    let name = &dataset.name;
    let live = ledger.dataset(name).await?.live_build;
    let there = ledger.existing_builds(name).await?;
    let mut builds = ledger.builds(name).await?;
    builds.retain(|build| there.contains(&build.id) && live.is_none_or(|live| build.id < live));
    let published =
        |build: &&Build| build.state == State::Published && build.rolled_back_at.is_none();
    if let Some(build) = builds.iter().find(published) {
        return Ok(build.clone());
    }
    let problem = Problem::refused(format!("`{name}` has no earlier build to go back to"));
    let other = |build: &&Build| matches!(build.state, State::Published | State::Tombstone);
    bail!(match builds.iter().find(other) {
        Some(build) => problem.hint(format!(
            "`overnight rollback {name} --to {}` goes back to the newest one that was retired or rolled back",
            build.name
        )),
        None => problem.hint(format!("`overnight builds {name}` lists what is kept")),
    })
}

/// A retired build whose database still exists is opened again and published from now on; every other
/// build is taken as it is.
async fn reopen(ledger: &Ledger, build: &Build) -> Result<Build> {
    if build.state != State::Tombstone {
        return Ok(build.clone());
    }
    let database = match build.database_oid {
        Some(oid) => find_database_by_oid(ledger, oid).await?,
        None => None,
    };
    let Some(database) = database.filter(|database| database.connection_limit != -2) else {
        bail!(
            Problem::refused(format!("the database of `{}` is gone", build.name)).hint(format!(
                "`overnight builds {}` lists what is kept",
                build.dataset
            ))
        );
    };
    if let Some(why) = not_ours(build, &database) {
        bail!(Problem::refused(format!(
            "`{}` cannot be opened: {why}",
            build.name
        )));
    }
    ledger.begin().await?;
    let opened = async {
        allow_connections(ledger, &database.name, true).await?;
        ledger.set_state(build, State::Published).await?;
        let (dataset, name) = (&build.dataset, &build.name);
        ledger
            .event(dataset, Some(build.id), "reopened", name)
            .await?;
        ledger.commit().await
    };
    if let Err(error) = opened.await {
        ledger.rollback().await;
        return Err(error).with_context(|| format!("open `{}` again", build.name));
    }
    ledger.build(build.id).await
}

pub(super) fn named<'b>(builds: &'b [Build], name: &str, dataset: &Dataset) -> Result<&'b Build> {
    builds
        .iter()
        .find(|build| build.name == name)
        .with_context(|| {
            Problem::usage(format!("`{}` has no build `{name}`", dataset.name))
                .hint(format!("`overnight builds {}` lists them", dataset.name))
        })
}

/// Where to, why, and in spite of what.
pub(super) struct Go<'g> {
    pub kind: Kind,
    pub reason: Option<&'g str>,
    pub overrides: &'g Overrides,
}

async fn moved(
    place: &Workplace,
    ledger: &Ledger,
    dataset: &Dataset,
    to: &Build,
    go: Go<'_>,
    env: Env<'_>,
) -> Result<Moved> {
    let unit = place.config.groups.unit(&dataset.name);
    let mut moved = all_moved(place, ledger, unit, &[(dataset, to)], go, env).await?;
    moved.pop().context("nothing was moved")
}

/// Moves aliases together.
pub(super) async fn all_moved(
    place: &Workplace,
    ledger: &Ledger,
    unit: Unit<'_>,
    to: &[(&Dataset, &Build)],
    go: Go<'_>,
    env: Env<'_>,
) -> Result<Vec<Moved>> {
    let mut before = Vec::new();
    let mut builds = Vec::new();
    for (dataset, to) in to {
        before.push(match ledger.dataset(&dataset.name).await?.live_build {
            Some(id) => Some(ledger.build(id).await?.name),
            None => None,
        });
        builds.push(VerifiedBuild::recorded((*to).clone())?);
    }
    let mut goals = Vec::new();
    for ((dataset, _), build) in to.iter().zip(&builds) {
        goals.push(Goal {
            dataset,
            prober: place.prober(dataset, env)?,
            to: build,
        });
    }
    let aliases = Move {
        ledger,
        server: &place.server,
        router: &place.router,
        unit,
        settings: place.config.flip,
        kind: go.kind,
        reason: go.reason,
        overrides: go.overrides,
    };
    aliases.to(&goals).await?;
    let mut moved = Vec::new();
    for ((dataset, to), before) in to.iter().zip(before) {
        moved.push(Moved {
            dataset: dataset.name.clone(),
            live: to.name.clone(),
            before,
            held: ledger.dataset(&dataset.name).await?.held,
        });
    }
    Ok(moved)
}

/// Forbids every move until released. Takes no lock: a run that is loading must find it.
pub async fn hold(place: &Workplace, dataset: &Dataset, reason: &str) -> Result<()> {
    let ledger = place.ledger(&format!("hold {}", dataset.name)).await?;
    ledger.register(&dataset.name).await?;
    ledger.set_hold(&dataset.name, true, Some(reason)).await
}

/// Allows moves again; says whether there was a hold.
pub async fn release(place: &Workplace, dataset: &Dataset) -> Result<bool> {
    let ledger = place.ledger(&format!("release {}", dataset.name)).await?;
    ledger.register(&dataset.name).await?;
    let held = ledger.dataset(&dataset.name).await?.held;
    ledger.set_hold(&dataset.name, false, None).await?;
    Ok(held)
}
