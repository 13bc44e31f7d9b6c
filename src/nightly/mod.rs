//! The run, every stage in order: start reading here.
//!
//! Pin the inputs, create a database, run the numbered SQL, rehearse, load, put indexes and keys
//! back, derive, analyze, grant, verify, seal, move the alias, retire. Until the alias moves
//! nothing that a service can see has changed. A build that fails is recorded with its reason and
//! dropped at once; if that is not possible any more, the next start does it. One whose tables are
//! loaded and that failed for want of S3, the server or time is kept, and the next run resumes it. One
//! that gates have refused is kept, closed, for an operator.

mod approval;
mod bounded;
pub mod brake;
mod early;
mod fill;
pub mod inputs;
mod keep;
mod lost;
mod making;
mod plan;
mod prepare;
pub mod project;
mod report;
mod resume;
pub mod together;
mod wait;

pub use plan::live_build;
pub use prepare::Prepared;
pub use report::{Outcome, Report};
pub use resume::{Resume, TakenOver};

use crate::capacity::Capacity;
use crate::config::Env;
use crate::dataset::Dataset;
use crate::deadline::Deadline;
use crate::fetch::Location;
use crate::gate::Overrides;
use crate::ledger::Ledger;
use crate::manifest::Manifest;
use crate::operation::{Workplace, subset};
use crate::printable::Printable;
use crate::progress::Progress;
use crate::retire::Retired;
use crate::schema::files::SqlFiles;
use crate::verify::VerifiedBuild;
use anyhow::{Context, Result, bail};
use brake::Brake;
use making::Finished;
use plan::{Planned, pin};
use std::time::Instant;

/// What somebody asked of a run.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Build even when the inputs are those of the live build.
    pub force: bool,
    /// Build and verify, and leave the alias where it is.
    pub no_rotate: bool,
    /// List every reject, also without a budget.
    pub list_rejects: bool,
    /// The build waits for an operator, also where the dataset does not ask for that.
    pub approve: bool,
    /// Gates that somebody accepts this time.
    pub overrides: Overrides,
    /// Whether to resume the unfinished build of an earlier run.
    pub resume: Resume,
    /// When it must be published.
    pub deadline: Option<Deadline>,
}

/// What all stages of one run share.
pub struct Run<'r> {
    pub place: &'r Workplace,
    pub ledger: &'r Ledger,
    pub dataset: &'r Dataset,
    pub files: &'r SqlFiles,
    pub location: &'r Location,
    pub manifest: &'r Manifest,
    pub progress: &'r Progress,
    /// What the server has.
    pub capacity: Capacity,
    /// Where secrets are looked up.
    pub env: Env<'r>,
    /// What holds the load back.
    pub brake: Brake,
}

/// Runs one dataset from its files to the alias.
pub async fn run(
    place: &Workplace,
    dataset: &Dataset,
    options: &Options,
    progress: &Progress,
    env: Env<'_>,
) -> Result<Outcome> {
    let unit = place.config.groups.unit(&dataset.name);
    let alone = std::slice::from_ref(dataset);
    let night = together::run(place, unit, alone, options, progress, env);
    let mut night = Box::pin(night).await?;
    match (night.not_moved, night.outcomes.pop()) {
        (None, Some(outcome)) => outcome,
        (Some(error), _) => Err(error),
        (None, None) => bail!("the run has no outcome"),
    }
}

/// What the stages before the move give.
enum Made {
    /// The live build, of this name, was made from exactly these inputs.
    Unchanged(String),
    Build(Box<Built>),
}

/// A build that may be published, and what is known of it so far.
struct Built {
    verified: VerifiedBuild,
    report: Report,
    /// That could load side by side.
    connections: usize,
}

/// What is known before anything is made.
/// Every stage before the move.
async fn make(
    place: &Workplace,
    (dataset, files, ledger): (&Dataset, &SqlFiles, &Ledger),
    options: &Options,
    progress: &Progress,
    env: Env<'_>,
) -> Result<Made> {
    let began = Instant::now();
    let deadline = options.deadline.as_ref();
    let pinning = pin(place, dataset);
    let (location, manifest) = bounded::until(deadline, progress, pinning).await?;
    for key in &manifest.unused {
        tracing::warn!("`{}` is not used by any source", Printable(key));
    }
    let digest = inputs::input_digest(dataset, files, &manifest);
    let live = bounded::until(deadline, progress, live_build(ledger, dataset)).await?;
    let capacity = place.capacity(&ledger.session);
    let this = Run {
        place,
        ledger,
        dataset,
        files,
        location: &location,
        manifest: &manifest,
        progress,
        capacity: bounded::until(deadline, progress, capacity).await?,
        env,
        brake: Brake::default(),
    };
    let planning = this.plan(&digest, live.as_ref(), options);
    let waits = |verified| Finished {
        verified,
        loads: Vec::new(),
        taken_over: None,
    };
    let (this, resumed, finished) = match bounded::until(deadline, progress, planning).await? {
        Planned::Unchanged(live) => return Ok(Made::Unchanged(live)),
        Planned::Waiting(this, verified) => (this, true, waits(*verified)),
        Planned::Build(this, prober) => {
            let building = this.build(&digest, live.as_ref(), options, prober.as_ref(), began);
            let finished = building.await?;
            (this, false, finished)
        }
    };
    let Finished {
        verified,
        loads: tables,
        taken_over,
    } = finished;
    let report = Report {
        build: verified.build().name.clone(),
        previous: live.map(|live| live.name),
        seconds: 0.0,
        rows: tables.iter().map(|table| table.rows).sum(),
        bytes: manifest.bytes(),
        rejected: tables
            .iter()
            .flat_map(|table| &table.inputs)
            .map(|input| input.rejected)
            .sum(),
        unused: manifest.unused.clone(),
        tables,
        stages: Vec::new(),
        parts: Vec::new(),
        bottleneck: None,
        retired: Retired::default(),
        pauses: this.brake.pauses(),
        live_latency: this.brake.live_latency(),
        resumed,
        approve_until: approval::waiting_until(ledger, verified.build()).await?,
        taken_over,
    };
    let connections = this.capacity.connections(place.config.load.connections);
    Ok(Made::Build(Box::new(Built {
        verified,
        report,
        connections,
    })))
}

/// Writes the artifact for developers. It comes last: whatever becomes of it, the build is live.
async fn publish_subset(
    place: &Workplace,
    dataset: &Dataset,
    build: &str,
    progress: &Progress,
    env: Env<'_>,
) -> Result<()> {
    if dataset.settings.subset.artifact.is_none() {
        return Ok(());
    }
    progress.stage("subset");
    let made = subset::publish(place, dataset, env)
        .await
        .with_context(|| format!("write the subset of `{build}`, which is live and stays so"))?;
    if let Some(made) = made {
        tracing::info!(
            "{}: {} rows for developers in {}",
            made.dataset,
            made.rows,
            made.at
        );
    }
    Ok(())
}
