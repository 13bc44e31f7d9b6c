//! What moves together in one night: one dataset, or all members of a group.
//!
//! In: the datasets, by name. Out: an outcome for each. Every dataset is built and verified before any
//! alias moves; then those with a new build move in one transaction. A member whose build fails keeps the
//! builds of the others waiting; one with unchanged inputs keeps its live build and stands in nobody's
//! way. The locks of all builds are taken before the first of them begins.

use super::{
    Built, Made, Options, Outcome, Report, bounded, lost, make, project, publish_subset, report,
    wait,
};
use crate::config::Env;
use crate::config::groups::Unit;
use crate::dataset::Dataset;
use crate::ledger::flips::Kind;
use crate::ledger::{Ledger, Lock};
use crate::operation::Workplace;
use crate::progress::{Progress, StageTime};
use crate::retire::{Retired, retire};
use crate::rotate::{Goal, Move};
use crate::schema::files::SqlFiles;
use anyhow::{Context, Result};
use std::time::Instant;

/// What to do about a deadline that is over before anything was made.
const KEPT_NOTHING: &str = "nothing was begun; run again with a later deadline, or with none";

/// How a night ended.
pub struct Night {
    /// Of each dataset, in their order.
    pub outcomes: Vec<Result<Outcome>>,
    /// Why the move of the builds that are ready failed or is not confirmed; they are told as verified then.
    pub not_moved: Option<anyhow::Error>,
}

/// A build that may be published.
struct Ready<'r> {
    index: usize,
    dataset: &'r Dataset,
    /// Holds the lock of the dataset's builds.
    ledger: &'r Ledger,
    built: Built,
    began: Instant,
}

/// Runs datasets from their files to their aliases.
///
/// # Errors
/// When no build could be begun; what becomes of each is in the outcomes.
pub async fn run(
    place: &Workplace,
    unit: Unit<'_>,
    datasets: &[Dataset],
    options: &Options,
    progress: &Progress,
    env: Env<'_>,
) -> Result<Night> {
    let began = Instant::now();
    progress.begin(unit.name());
    progress.stage("plan");
    if let Some(deadline) = &options.deadline {
        tracing::info!("{}: {deadline}", unit.name());
        deadline.check("before the run began", KEPT_NOTHING)?;
    }
    let mut files = Vec::new();
    for dataset in datasets {
        files.push(SqlFiles::read(&dataset.sql)?);
    }
    let mut ledgers = Vec::new();
    for dataset in datasets {
        let purpose = format!("run {}", dataset.name);
        let opening = wait::for_server(place.config.wait_for, async || {
            place.for_build(dataset, &purpose).await
        });
        let deadline = options.deadline.as_ref();
        let ledger = bounded::until(deadline, progress, opening).await?;
        let folder = &place.config.project;
        project::gate(&ledger, folder, dataset, &options.overrides).await?;
        ledgers.push(ledger);
    }
    let mut outcomes: Vec<Option<Result<Outcome>>> = Vec::new();
    let mut ready = Vec::new();
    for (index, dataset) in datasets.iter().enumerate() {
        let began = match unit.group() {
            None => began,
            Some(_) => {
                progress.begin(&dataset.name);
                progress.stage("plan");
                Instant::now()
            }
        };
        let with = (dataset, &files[index], &ledgers[index]);
        // On the heap: what a whole build keeps while it waits is too much for the stack.
        let made = Box::pin(make(place, with, options, progress, env));
        outcomes.push(match made.await {
            Err(error) => {
                let ledger = &ledgers[index];
                Some(Err(lost::name_the_server(place, ledger, progress, error)))
            }
            Ok(Made::Unchanged(live)) => Some(Ok(Outcome::Unchanged { live })),
            Ok(Made::Build(mut built)) => {
                built.report.parts = progress.parts();
                if unit.group().is_some() {
                    built.report.stages = progress.finish();
                }
                ready.push(Ready {
                    index,
                    dataset,
                    ledger: &ledgers[index],
                    built: *built,
                    began,
                });
                None
            }
        });
    }
    if unit.group().is_some() {
        progress.begin(unit.name());
    }
    let complete = !outcomes.iter().flatten().any(Result::is_err);
    let this = Together {
        place,
        unit,
        datasets,
        options,
        progress,
        env,
        complete,
    };
    let not_moved = Box::pin(this.finish(ready, &mut outcomes)).await?;
    if complete && not_moved.is_none() {
        for ledger in ledgers {
            ledger.close().await;
        }
    }
    let told = outcomes.into_iter();
    Ok(Night {
        outcomes: told
            .map(|outcome| outcome.context("a dataset has no outcome").flatten())
            .collect(),
        not_moved,
    })
}

/// What the end of a night needs.
struct Together<'t> {
    place: &'t Workplace,
    unit: Unit<'t>,
    datasets: &'t [Dataset],
    options: &'t Options,
    progress: &'t Progress,
    env: Env<'t>,
    /// No dataset has failed.
    complete: bool,
}

impl Together<'_> {
    /// Moves, retires, and fills in what is missing of the outcomes. Returns why nothing was moved.
    async fn finish(
        &self,
        ready: Vec<Ready<'_>>,
        outcomes: &mut [Option<Result<Outcome>>],
    ) -> Result<Option<anyhow::Error>> {
        let Some(first) = ready.first() else {
            self.progress.finish();
            return Ok(None);
        };
        // One session holds every lock of the move and makes its transaction.
        let ledger = first.ledger;
        for dataset in self.datasets {
            ledger.wait_for(&dataset.name, Lock::Move).await?;
        }
        let stays = self.options.no_rotate
            || !self.complete
            || ready
                .iter()
                .any(|one| one.built.report.approve_until.is_some());
        let moved = match stays {
            true => Ok(()),
            false => self.rotate(ledger, &ready).await,
        };
        // Also when the aliases were not moved: nights of a held dataset must not fill the disk.
        self.progress.stage("retire");
        let mut retired = Vec::new();
        for one in &ready {
            retired.push(self.retire(ledger, one.dataset).await);
        }
        if moved.is_err() {
            for one in ready {
                outcomes[one.index] = Some(Ok(Outcome::Verified(one.built.report)));
            }
            return Ok(moved.err());
        }
        // An operator must be able to roll back meanwhile.
        for dataset in self.datasets.iter().rev() {
            ledger.unlock(&dataset.name, Lock::Move).await?;
        }
        let mut for_developers = Vec::new();
        for one in &ready {
            for_developers.push(match stays {
                true => Ok(()),
                false => {
                    let (build, progress) = (&one.built.report.build, self.progress);
                    publish_subset(self.place, one.dataset, build, progress, self.env).await
                }
            });
        }
        let stages = self.progress.finish();
        for ((one, retired), for_developers) in ready.into_iter().zip(retired).zip(for_developers) {
            let index = one.index;
            let told = async {
                let report = self.told(one, retired, &stages).await?;
                for_developers?;
                Ok(match stays {
                    true => Outcome::Verified(report),
                    false => Outcome::Published(report),
                })
            };
            outcomes[index] = Some(told.await);
        }
        Ok(None)
    }

    async fn rotate(&self, ledger: &Ledger, ready: &[Ready<'_>]) -> Result<()> {
        self.progress.stage("rotate");
        let deadline = self.options.deadline.as_ref();
        let mut goals = Vec::new();
        for one in ready {
            // An operator may have published it between its verification and this move.
            let build = one.built.verified.build();
            if ledger.dataset(&build.dataset).await?.live_build == Some(build.id) {
                tracing::info!(
                    "`{}` is live already: another command has published it",
                    build.name
                );
                continue;
            }
            goals.push(Goal {
                dataset: one.dataset,
                prober: self.place.prober(one.dataset, self.env)?,
                to: &one.built.verified,
            });
        }
        if goals.is_empty() {
            return Ok(());
        }
        let aliases = Move {
            ledger,
            server: &self.place.server,
            router: &self.place.router,
            unit: self.unit,
            settings: bounded::flip(self.place.config.flip, deadline),
            kind: Kind::Rotate,
            reason: None,
            overrides: &self.options.overrides,
        };
        let builds: Vec<&str> = ready
            .iter()
            .map(|one| one.built.report.build.as_str())
            .collect();
        bounded::moved(aliases.to(&goals), &builds, self.unit.name(), deadline).await
    }

    async fn retire(&self, ledger: &Ledger, dataset: &Dataset) -> Result<Retired> {
        let (server, config) = (&self.place.server, &self.place.config);
        let retention = config.retention(dataset.settings.keep);
        retire(ledger, server, &dataset.name, retention)
            .await
            .context("retire old builds; the new build is verified")
    }

    /// The whole report of a build, kept in the ledger as well.
    async fn told(
        &self,
        one: Ready<'_>,
        retired: Result<Retired>,
        stages: &[StageTime],
    ) -> Result<Report> {
        let mut report = one.built.report;
        report.retired = retired?;
        report.stages.extend_from_slice(stages);
        report.bottleneck =
            report::held_back(&report, &self.place.config.load, one.built.connections);
        report.seconds = one.began.elapsed().as_secs_f64();
        let build = one.built.verified.build();
        for pause in &report.pauses {
            let detail = format!("{:.1} s: {}", pause.seconds, pause.reason);
            one.ledger
                .event(&build.dataset, Some(build.id), "waited", &detail)
                .await?;
        }
        one.ledger.record_stages(build, &report.stages).await?;
        Ok(report)
    }
}
