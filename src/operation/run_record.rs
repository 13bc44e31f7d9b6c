//! Keeps the ledger's row of a run current while the run works.
//!
//! The record has a session of its own, because the sessions of the run wait for hours in COPY and
//! because this session is the sign of life that `overnight status` looks for. A record that cannot be
//! written never fails a run: it is tried again, last at the end.

use super::Workplace;
use crate::ledger::Ledger;
use crate::ledger::host;
use crate::ledger::runs::NewRun;
use crate::postgres::error::explain_chain;
use crate::progress::{Progress, Step};
use anyhow::{Context, Result};
use std::future::Future;
use std::time::{Duration, Instant};

/// Longest wait for the server before the run begins, and at its end.
const START_LIMIT: Duration = Duration::from_secs(5);
const END_LIMIT: Duration = Duration::from_secs(5);
/// Between two attempts to write the record.
const RETRY: Duration = Duration::from_secs(2);

/// The record of one run of a dataset or a group.
pub struct RunRecord<'r> {
    place: &'r Workplace,
    progress: &'r Progress,
    unit: String,
    datasets: Vec<String>,
    started: Instant,
    open: Option<Open>,
    /// The next step to be written, and the position of the next stage.
    next: usize,
    position: i32,
}

/// A row, and the session that keeps it.
struct Open {
    ledger: Ledger,
    run: i64,
}

impl<'r> RunRecord<'r> {
    /// `unit`: what was typed, a dataset or a group.
    pub fn new(
        place: &'r Workplace,
        progress: &'r Progress,
        unit: &str,
        datasets: Vec<String>,
    ) -> RunRecord<'r> {
        RunRecord {
            place,
            progress,
            unit: unit.to_owned(),
            datasets,
            started: Instant::now(),
            open: None,
            next: progress.steps_from(0).len(),
            position: 0,
        }
    }

    /// Runs work and records its stages as they begin.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        match tokio::time::timeout(START_LIMIT, self.write()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{}", explain_chain(&error)),
            Err(_) => tracing::debug!("record the start of the run: the server does not answer"),
        }
        tokio::select! {
            done = work => done,
            never = self.keep() => match never {},
        }
    }

    /// Records the exit status, and the error as it was printed.
    pub async fn end(mut self, status: u8, error: Option<&str>) {
        let ended = async {
            if self
                .open
                .as_ref()
                .is_some_and(|open| open.ledger.session.is_closed())
            {
                self.open = None;
            }
            self.write().await?;
            let open = self.open.as_ref().context("the record is not open")?;
            open.ledger.end_run(open.run, status, error).await
        };
        let ended = tokio::time::timeout(END_LIMIT, ended).await;
        let ended = ended.context("the server does not answer").flatten();
        if let Err(error) = ended {
            tracing::debug!("the run is not recorded: {}", explain_chain(&error));
        }
        if let Some(open) = self.open.take() {
            open.ledger.close().await;
        }
    }

    /// Writes every step as it comes, until dropped.
    async fn keep(&mut self) -> std::convert::Infallible {
        loop {
            match self.write().await {
                Ok(()) => self.progress.stepped().await,
                Err(error) => {
                    tracing::debug!("{}", explain_chain(&error));
                    self.open = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Opens the record if it is not open, and writes the steps that it lacks.
    async fn write(&mut self) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.begin().await?);
        }
        let Some(open) = &self.open else {
            return Ok(());
        };
        for step in self.progress.steps_from(self.next) {
            match &step {
                Step::Stage { unit, stage } => {
                    let at = self.position;
                    open.ledger.run_stage(open.run, at, unit, stage).await?;
                    self.position += 1;
                }
                Step::Build(name) => open.ledger.run_build(open.run, name).await?,
                Step::Part(part) => {
                    let at = i32::try_from(self.next).unwrap_or(i32::MAX);
                    open.ledger.run_part(open.run, at, part).await?;
                }
            }
            self.next += 1;
        }
        Ok(())
    }

    async fn begin(&self) -> Result<Open> {
        let purpose = format!("record of run {}", self.unit);
        let ledger = self.place.ledger(&purpose).await?;
        ledger.close_killed_runs(&self.datasets).await?;
        let new = NewRun {
            datasets: self.datasets.clone(),
            command: format!("run {}", self.unit),
            host: host(),
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            project: self.place.config.project.display().to_string(),
            seconds_ago: self.started.elapsed().as_secs_f64(),
        };
        let run = ledger.begin_run(&new).await?;
        Ok(Open { ledger, run })
    }
}
