//! How a build differs from the last one that was published and not rolled back, and from itself.
//!
//! In: a finished build. Out: gates, and everything that was measured in the ledger, also where they
//! pass. A build that failed is never the measure, or one bad night would excuse the next. The first time a build is
//! asked about, at the end of its run, its tables are measured and its catalog is written down; whenever it
//! is asked about again, both must still be so.

mod compare;
mod figures;
mod finished;
mod groups;
mod keys;
pub mod measure;
pub mod merge;
mod rows;

pub use compare::Alarm;
pub use figures::{Figures, alarms_between, figures_of};
pub use finished::GATE as CATALOG;

use super::Candidate;
use super::live::Live;
use crate::dataset::{Dataset, ExpectColumn, Level, Source};
use crate::gate::Gate;
use crate::ledger::{Build, Ledger, State};
use crate::measure::METHOD;
use anyhow::Result;
use std::collections::BTreeMap;

/// Nights from which it is learned what is usual, the one that is compared with among them.
const NIGHTS: usize = 7;

/// One gate for each thing that may have changed.
pub(super) async fn gates(candidate: &Candidate<'_>, live: &Live<'_>) -> Result<Vec<Gate>> {
    let earlier = published_before(candidate.ledger, candidate.build).await?;
    let measure = earlier.first();
    let mut gates = Vec::new();
    if let Some(measure) = measure {
        gates.extend(rows::gates(candidate, measure).await?);
    }
    gates.extend(figures::gates(candidate, &earlier).await?);
    gates.extend(groups::gates(candidate, measure).await?);
    if let Some(measure) = measure {
        gates.extend(keys::gates(candidate, live, measure).await?);
    }
    if is_new(candidate.build) {
        let build = candidate.build;
        candidate.ledger.forget_old_sketches(build).await?;
    }
    Ok(gates)
}

/// Whether this is the first look, at the end of the run that made it.
fn is_new(build: &Build) -> bool {
    build.state == State::Loading
}

/// The builds that may be a measure for `build`, newest first.
pub async fn published_before(ledger: &Ledger, build: &Build) -> Result<Vec<Build>> {
    let mut builds = ledger.builds(&build.dataset).await?;
    builds.retain(|other| {
        other.id < build.id && other.published_at.is_some() && other.rolled_back_at.is_none()
    });
    builds.truncate(NIGHTS);
    Ok(builds)
}

/// The sample of each table of the build that `build` will be compared with.
pub async fn sample_shifts(ledger: &Ledger, build: &Build) -> Result<BTreeMap<String, u32>> {
    let earlier = published_before(ledger, build).await?;
    let Some(measure) = earlier.first() else {
        return Ok(BTreeMap::new());
    };
    let figures = figures_of(ledger, measure.id).await?.into_iter();
    let comparable = figures.filter(|(_, profile)| profile.method == METHOD);
    Ok(comparable
        .map(|(table, profile)| (table, profile.sample_shift))
        .collect())
}

/// What the source file of a table says of it; nothing for a table that derive files fill.
fn source_of<'d>(dataset: &'d Dataset, table: &str) -> Option<&'d Source> {
    let mut sources = dataset.sources.iter();
    sources.find(|source| source.full_table() == table)
}

/// What happens when the figures of a table have moved too far.
fn level_of(dataset: &Dataset, table: &str) -> Level {
    source_of(dataset, table)
        .and_then(|source| source.expect.profile)
        .unwrap_or(dataset.settings.profile)
}

/// What is declared of the columns of a table.
fn columns_of<'d>(dataset: &'d Dataset, table: &str) -> Option<&'d BTreeMap<String, ExpectColumn>> {
    source_of(dataset, table).map(|source| &source.expect.columns)
}
