//! `overnight run` of a group: an outcome for each member, and one move.

use super::interrupt::{Ended, guarded, until_signal};
use super::reject_file::RejectFile;
use super::run::{
    as_json, comes_back, describe, failed, in_words, log_outcome, merge, outcome_rejects,
};
use super::screen::Watch;
use super::waiting::Waiting;
use super::{Desk, env, output, worse};
use crate::config::groups::Unit;
use crate::dataset::Dataset;
use crate::nightly::together::{self, Night};
use crate::nightly::{Options, Outcome};
use crate::operation::run_record::RunRecord;
use crate::operation::{Workplace, stays, told};
use crate::postgres::error::explain_chain;
use crate::problem::{Status, status_of};
use crate::progress::Progress;
use anyhow::Result;
use serde_json::Value;
use std::sync::Arc;

/// A group to run.
pub struct Together<'t> {
    pub place: &'t Workplace,
    pub unit: Unit<'t>,
    pub datasets: &'t [Dataset],
    pub options: &'t Options,
    pub progress: &'t Arc<Progress>,
    /// Another run was found at work; it is waited for.
    pub waiting: Option<Waiting<'t>>,
    /// If another run is at work, this group is run once more, after the others of the list.
    pub comes_back: bool,
}

/// What became of it.
#[derive(Default)]
pub struct Told {
    /// One for each member.
    pub results: Vec<Value>,
    pub worst: Option<Status>,
    /// A signal came; the exit status for it.
    pub stopped: Option<u8>,
    /// Another run was at work, and nothing was begun.
    pub comes_back: bool,
    /// The last error that was printed, with its hint, and whether lines came after it.
    pub error: Option<(String, Option<String>)>,
    pub buried: bool,
}

impl Told {
    fn status(&mut self, error: &anyhow::Error) {
        self.worst = Some(worse(self.worst, status_of(error)));
    }
}

impl Together<'_> {
    /// Runs it and tells everybody who wants to know.
    pub async fn run(
        &self,
        timings: bool,
        quiet: bool,
        desk: &Desk,
        rejects: &mut RejectFile,
    ) -> Result<Told> {
        let (place, datasets) = (self.place, self.datasets);
        let watch = Watch::start(Arc::clone(self.progress), quiet, desk.config.progress_every);
        let work = async {
            let run = || {
                let (unit, options) = (self.unit, self.options);
                together::run(place, unit, datasets, options, self.progress, &env)
            };
            match &self.waiting {
                Some(waiting) => waiting.run(self.progress, self.unit.name(), run).await,
                None => run().await,
            }
        };
        let names = datasets.iter().map(|dataset| dataset.name.clone());
        let mut record = RunRecord::new(place, self.progress, self.unit.name(), names.collect());
        let ended = guarded(place, datasets, record.during(work)).await;
        drop(watch);
        match &ended {
            Ok(Ended::Done(night)) => {
                let (status, text) = self.outcome(night);
                record.end(status, text.as_deref()).await;
            }
            Ok(Ended::Stopped(code)) => record.end(*code, Some("stopped by a signal")).await,
            Err(error) => {
                let text = explain_chain(error);
                record.end(status_of(error) as u8, Some(&text)).await;
            }
        }
        let mut told = Told::default();
        match ended {
            Ok(Ended::Done(night)) => self.tell(night, timings, desk, rejects, &mut told).await?,
            Ok(Ended::Stopped(code)) => {
                for dataset in datasets {
                    told::stopped(place, &dataset.name, code).await;
                }
                told.stopped = Some(code);
            }
            Err(error) if self.comes_back && status_of(&error) == Status::Busy => {
                comes_back(&error);
                told.comes_back = true;
            }
            Err(error) => {
                told.error = Some(self.say(&error).await);
                told.status(&error);
                for dataset in datasets {
                    told.results.push(as_json(&dataset.name, &error));
                    let after = told::after_run(place, &dataset.name, Err(&error));
                    told.buried |= until_signal(after).await?;
                }
            }
        }
        Ok(told)
    }

    async fn tell(
        &self,
        night: Night,
        timings: bool,
        desk: &Desk,
        rejects: &mut RejectFile,
        told: &mut Told,
    ) -> Result<()> {
        let not_moved = night.not_moved.as_ref();
        if let Some(error) = not_moved {
            told.error = Some(self.say(error).await);
            told.status(error);
        }
        for (dataset, outcome) in self.datasets.iter().zip(&night.outcomes) {
            let name = &dataset.name;
            match (outcome, not_moved) {
                (Err(error), _) => {
                    let stays = stays::sentence(self.place, &[name], error).await;
                    let stays = stays.as_deref();
                    told.results.push(failed(name, error, stays, rejects)?);
                    told.error = Some(in_words(name, error, stays));
                    told.status(error);
                }
                (Ok(outcome @ Outcome::Verified(_)), Some(error)) => {
                    rejects.write(outcome_rejects(outcome))?;
                    told.results.push(as_json(name, error));
                }
                (Ok(outcome), _) => {
                    rejects.write(outcome_rejects(outcome))?;
                    told.results.push(merge(name, outcome)?);
                    log_outcome(name, outcome);
                    told.buried |= told.error.is_some();
                    if !desk.json {
                        output::line(&describe(name, self.unit.name(), outcome, timings))?;
                    }
                }
            }
        }
        for (dataset, outcome) in self.datasets.iter().zip(&night.outcomes) {
            let ended = match (outcome, not_moved) {
                (Err(error), _) => Err(error),
                (Ok(Outcome::Verified(_)), Some(error)) => Err(error),
                (Ok(outcome), _) => Ok(outcome),
            };
            told.buried |= until_signal(told::after_run(self.place, &dataset.name, ended)).await?;
        }
        Ok(())
    }

    /// The exit status of a night, and what its members failed of.
    fn outcome(&self, night: &Night) -> (u8, Option<String>) {
        let members = self.datasets.iter().zip(&night.outcomes);
        let failed = members.filter_map(|(dataset, outcome)| {
            let error = outcome.as_ref().err()?;
            Some((
                error,
                format!("`{}`: {}", dataset.name, explain_chain(error)),
            ))
        });
        let not_moved = night
            .not_moved
            .iter()
            .map(|error| (error, explain_chain(error)));
        let mut worst = None;
        let mut texts = Vec::new();
        for (error, text) in not_moved.chain(failed) {
            worst = Some(worse(worst, status_of(error)));
            texts.push(text);
        }
        let status = worst.map_or(0, |status| status as u8);
        (status, (!texts.is_empty()).then(|| texts.join("; ")))
    }

    async fn say(&self, error: &anyhow::Error) -> (String, Option<String>) {
        let names = self.datasets.iter().map(|dataset| dataset.name.as_str());
        let names: Vec<&str> = names.collect();
        let stays = stays::sentence(self.place, &names, error).await;
        let (text, hint) = in_words(self.unit.name(), error, stays.as_deref());
        output::error(&text, hint.as_deref());
        (text, hint)
    }
}
