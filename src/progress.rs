//! Counters of a run that is under way, and how long its stages took.
//!
//! Stages add to the counters; the command line reads them and draws. Nothing here prints or
//! waits. Counting is by whole chunks, so that it costs nothing per row.

use crate::cpu;
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What a run is doing and what it has done.
#[derive(Debug, Default)]
pub struct Progress {
    inner: Mutex<Inner>,
    steps: Mutex<Vec<Step>>,
    stepped: Notify,
}

/// What the record of a run keeps, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A stage of a dataset or a group began.
    Stage { unit: String, stage: &'static str },
    /// The run works on this build.
    Build(String),
    /// A part of a stage is done.
    Part(PartTime),
}

/// How long a part of a stage took: a file of SQL, a gate. Parts may overlap.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PartTime {
    /// The dataset.
    pub unit: String,
    pub stage: &'static str,
    pub part: String,
    pub seconds: f64,
}

#[derive(Debug, Default)]
struct Inner {
    dataset: String,
    stage: Option<Begun>,
    tables: Vec<Arc<TableProgress>>,
    stages: Vec<StageTime>,
    parts: Vec<PartTime>,
    waits: Option<Waits>,
}

/// What the load waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    pub since: Timestamp,
    /// What is short: how much there is and how much is needed.
    pub reason: String,
}

/// The stage under way.
#[derive(Debug, Clone, Copy)]
struct Begun {
    stage: &'static str,
    at: Instant,
    cpu_seconds: Option<f64>,
}

/// The load of one table.
#[derive(Debug)]
pub struct TableProgress {
    pub table: String,
    /// Sum of the sizes of its raw objects.
    pub bytes_total: u64,
    pub bytes: AtomicU64,
    pub rows: AtomicU64,
    pub rejected: AtomicU64,
    pub done: AtomicBool,
}

/// How long one stage took and what it moved.
#[derive(Debug, Clone, serde::Serialize)]
pub struct StageTime {
    pub stage: &'static str,
    pub seconds: f64,
    /// Processor time of this process; the server's is not in it. Known on Linux only.
    pub client_cpu_seconds: Option<f64>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    pub sessions: Option<usize>,
}

/// One look at the counters.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub dataset: String,
    pub stage: &'static str,
    pub stage_elapsed: Duration,
    pub tables: Vec<Arc<TableProgress>>,
    /// `None` while the load goes on.
    pub waits: Option<Waits>,
}

impl Progress {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the run of a dataset; forgets the one before.
    pub fn begin(&self, dataset: &str) {
        *self.lock() = Inner {
            dataset: dataset.to_owned(),
            ..Inner::default()
        };
    }

    /// Ends the stage before, if any, and begins this one.
    pub fn stage(&self, stage: &'static str) {
        let mut inner = self.lock();
        Self::end_stage(&mut inner);
        tracing::info!("{}: {stage}", inner.dataset);
        let unit = inner.dataset.clone();
        self.step(Step::Stage { unit, stage });
        inner.stage = Some(Begun {
            stage,
            at: Instant::now(),
            cpu_seconds: cpu::process_seconds(),
        });
    }

    /// Does a part of the stage under way and records how long it took.
    pub async fn part<T>(&self, part: impl Into<String>, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.part_took(part, began.elapsed());
        done
    }

    /// Records how long a part of the stage under way took.
    pub fn part_took(&self, part: impl Into<String>, took: Duration) {
        let mut inner = self.lock();
        let part = PartTime {
            unit: inner.dataset.clone(),
            stage: inner.stage.map_or("", |begun| begun.stage),
            part: part.into(),
            seconds: took.as_secs_f64(),
        };
        tracing::debug!("{}: {:.2} s", part.part, part.seconds);
        inner.parts.push(part.clone());
        self.step(Step::Part(part));
    }

    /// The parts of the stages so far, in the order in which they ended.
    pub fn parts(&self) -> Vec<PartTime> {
        self.lock().parts.clone()
    }

    /// Records which build the run works on.
    pub fn build(&self, name: &str) {
        self.step(Step::Build(name.to_owned()));
    }

    fn step(&self, step: Step) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(step);
        self.stepped.notify_one();
    }

    /// The steps from number `from` on; they are counted from the start of the process.
    pub fn steps_from(&self, from: usize) -> Vec<Step> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits for the next step. One listener at a time.
    pub async fn stepped(&self) {
        self.stepped.notified().await;
    }

    /// Says what the stage under way has moved, for the table at the end.
    pub fn moved(&self, rows: Option<u64>, bytes: Option<u64>, sessions: Option<usize>) {
        let mut inner = self.lock();
        Self::end_stage(&mut inner);
        if let Some(last) = inner.stages.last_mut() {
            last.rows = rows;
            last.bytes = bytes;
            last.sessions = sessions;
        }
    }

    fn end_stage(inner: &mut Inner) {
        if let Some(begun) = inner.stage.take() {
            let cpu = cpu::process_seconds().zip(begun.cpu_seconds);
            inner.stages.push(StageTime {
                stage: begun.stage,
                seconds: begun.at.elapsed().as_secs_f64(),
                client_cpu_seconds: cpu.map(|(now, then)| now - then),
                rows: None,
                bytes: None,
                sessions: None,
            });
        }
    }

    /// Ends the last stage and returns all of them in order.
    pub fn finish(&self) -> Vec<StageTime> {
        let mut inner = self.lock();
        Self::end_stage(&mut inner);
        inner.tables.clear();
        inner.stages.clone()
    }

    /// Adds a table to the load.
    pub fn table(&self, table: &str, bytes_total: u64) -> Arc<TableProgress> {
        let progress = Arc::new(TableProgress {
            table: table.to_owned(),
            bytes_total,
            bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            done: AtomicBool::new(false),
        });
        self.lock().tables.push(Arc::clone(&progress));
        progress
    }

    /// Says what the load waits for, or that it does not wait.
    pub fn waits(&self, reason: Option<String>) {
        let mut inner = self.lock();
        let since = inner.waits.as_ref().map(|waits| waits.since);
        inner.waits = reason.map(|reason| Waits {
            since: since.unwrap_or_else(Timestamp::now),
            reason,
        });
    }

    /// What is under way now; `None` between runs.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let inner = self.lock();
        let begun = inner.stage?;
        Some(Snapshot {
            dataset: inner.dataset.clone(),
            stage: begun.stage,
            stage_elapsed: begun.at.elapsed(),
            tables: inner.tables.clone(),
            waits: inner.waits.clone(),
        })
    }
}

impl TableProgress {
    /// Adds what one chunk brought.
    pub fn add(&self, rows: u64, rejected: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }
}
