//! What an operator does to a group by hand: rotate and roll back, all of it or nothing.

use super::Workplace;
use super::moves::{Back, Go, Moved, all_moved, refuse_twice};
use crate::config::Env;
use crate::config::groups::{Group, Unit};
use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::ledger::flips::Kind;
use crate::ledger::{Build, State};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};

/// Moves the aliases of all members that have a build waiting, to the newest of each.
pub async fn rotate(
    place: &Workplace,
    group: &Group,
    datasets: &[Dataset],
    overrides: &Overrides,
    env: Env<'_>,
) -> Result<Vec<Moved>> {
    let name = &group.name;
    let ledger = place.for_moves(datasets, &format!("rotate {name}")).await?;
    let mut chosen: Vec<(&Dataset, Build)> = Vec::new();
    for dataset in datasets {
        let live = ledger.dataset(&dataset.name).await?.live_build;
        let waiting = ledger
            .builds(&dataset.name)
            .await?
            .into_iter()
            .find(|build| {
                build.state == State::Verified && live.is_none_or(|live| build.id > live)
            });
        chosen.extend(waiting.map(|build| (dataset, build)));
    }
    if chosen.is_empty() {
        bail!(
            Problem::refused(format!(
                "no member of `{name}` has a verified build that waits"
            ))
            .hint(format!(
                "`overnight builds DATASET` lists them; `overnight rollback {name}` goes back"
            ))
        );
    }
    // Whoever types this says yes to the builds that wait for it.
    for (_, build) in &chosen {
        ledger.approve(build, overrides.reason()).await?;
    }
    let to: Vec<(&Dataset, &Build)> = chosen.iter().map(|(set, build)| (*set, build)).collect();
    let go = Go {
        kind: Kind::Rotate,
        reason: None,
        overrides,
    };
    all_moved(place, &ledger, Unit::Group(group), &to, go, env).await
}

/// Moves the aliases that the group's last move has moved back to where they were before it, and holds
/// them there.
pub async fn rollback(
    place: &Workplace,
    group: &Group,
    datasets: &[Dataset],
    back: Back<'_>,
    overrides: &Overrides,
    env: Env<'_>,
) -> Result<Vec<Moved>> {
    let name = &group.name;
    let ledger = place.for_rollback(datasets, name).await?;
    for dataset in datasets {
        refuse_twice(&ledger, &dataset.name, back).await?;
    }
    let none = |what: String| {
        Problem::refused(what).hint(
            "to move one member alone: `overnight rollback DATASET --accept group --reason TEXT`; \
             `overnight builds DATASET` lists what is kept",
        )
    };
    let mut chosen: Vec<(&Dataset, Build)> = Vec::new();
    for moved in ledger.last_act(name).await? {
        let alias = &moved.dataset;
        let dataset = datasets
            .iter()
            .find(|dataset| dataset.name == *alias)
            .with_context(|| {
                none(format!(
                    "`{alias}` moved with `{name}` and is no member of it any more"
                ))
            })?;
        if !moved.live {
            bail!(none(format!(
                "`{alias}` is not where the last move of `{name}` led it: somebody has moved it alone"
            )));
        }
        let before = match moved.from_build {
            Some(id) => Some(ledger.build(id).await?),
            None => None,
        };
        let before = before
            .filter(|build| build.state == State::Published)
            .with_context(|| none(format!("`{alias}` has no earlier build to go back to")))?;
        chosen.push((dataset, before));
    }
    if chosen.is_empty() {
        bail!(none(format!("`{name}` has no move to go back from")));
    }
    let to: Vec<(&Dataset, &Build)> = chosen.iter().map(|(set, build)| (*set, build)).collect();
    let go = Go {
        kind: Kind::Rollback,
        reason: Some(back.reason),
        overrides,
    };
    all_moved(place, &ledger, Unit::Group(group), &to, go, env).await
}
