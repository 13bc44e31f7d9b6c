//! Puts indexes, keys and foreign keys back on several sessions.
//!
//! In: a [`SetAside`], a way to open sessions, the sizes of the tables. Out: everything is back, or the
//! first error. Short steps go first, since others wait for them, then the largest tables. After an
//! error nothing new begins, and what still runs is cancelled through a session of our own and awaited,
//! so that the caller can drop the build.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::jobs::{Job, Step};
use super::set_aside::SetAside;
use super::settings::pin_for_writing;

/// How long to wait for cancelled jobs before they are cancelled once more.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

impl SetAside {
    /// Puts everything back on up to `sessions` sessions made by `open`, and returns when all is done.
    ///
    /// `sizes` gives rows or bytes for each table's identifier; a table that is missing counts as empty.
    /// `on_done` hears of each job as it ends. Each session keeps its own memory and worker settings.
    ///
    /// # Errors
    /// No session can be opened, or a statement fails: an orphan, a duplicate key. The message names the
    /// constraint or index and holds no value.
    pub async fn put_back<C, F, O>(
        &self,
        open: O,
        sessions: usize,
        sizes: &HashMap<u32, u64>,
        mut on_done: impl FnMut(&Job, Duration),
    ) -> Result<()>
    where
        C: Borrow<Client>,
        F: Future<Output = Result<C>>,
        O: Fn() -> F,
    {
        let jobs = self.jobs();
        let wanted = sessions.clamp(1, jobs.len().max(1));
        let opened = (0..if jobs.is_empty() { 0 } else { wanted }).map(|_| Worker::open(&open));
        let mut idle = try_join_all(opened).await?;
        let mut queue = Queue::new(&jobs, sizes);
        let mut running = FuturesUnordered::new();
        let mut pids: HashMap<usize, i32> = HashMap::new();
        let mut first_error = None;
        loop {
            while first_error.is_none() && !idle.is_empty() {
                let Some((at, job)) = queue.start() else {
                    break;
                };
                let Some(worker) = idle.pop() else { break };
                pids.insert(at, worker.pid);
                running.push(worker.run(at, job));
            }
            let next = match &first_error {
                None => running.next().await,
                // A job that had not reached its server yet was not there to be cancelled: ask again.
                Some(_) => match timeout(CANCEL_AGAIN, running.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        if let Some(worker) = idle.last() {
                            worker.cancel(pids.values()).await;
                        }
                        continue;
                    }
                },
            };
            let Some(done) = next else { break };
            pids.remove(&done.at);
            queue.finish(done.at);
            match done.result {
                Ok(()) => on_done(done.job, done.elapsed),
                Err(error) if first_error.is_none() => {
                    done.worker.cancel(pids.values()).await;
                    first_error = Some(error);
                }
                // Cancelled after the first.
                Err(_) => {}
            }
            idle.push(done.worker);
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Which jobs are waiting, running and done.
struct Queue<'a> {
    jobs: &'a [Job],
    /// Positions of jobs that have not begun, the most urgent first.
    waiting: Vec<usize>,
    running: Vec<usize>,
    done: Vec<bool>,
}

impl<'a> Queue<'a> {
    fn new(jobs: &'a [Job], sizes: &HashMap<u32, u64>) -> Self {
        let mut waiting: Vec<usize> = (0..jobs.len()).collect();
        waiting.sort_by_key(|at| {
            let job = jobs.get(*at);
            let long = job.is_none_or(|job| job.step > Step::AddForeignKey);
            let size = job.and_then(|job| sizes.get(&job.table_oid)).copied();
            (long, std::cmp::Reverse(size.unwrap_or(0)), *at)
        });
        Self {
            jobs,
            waiting,
            running: Vec::new(),
            done: vec![false; jobs.len()],
        }
    }

    /// Takes the most urgent job that may begin now.
    fn start(&mut self) -> Option<(usize, &'a Job)> {
        let place = self.waiting.iter().position(|at| self.may_begin(*at))?;
        let at = self.waiting.remove(place);
        self.running.push(at);
        Some((at, self.jobs.get(at)?))
    }

    fn may_begin(&self, at: usize) -> bool {
        let Some(job) = self.jobs.get(at) else {
            return false;
        };
        let is_done = |other: &usize| self.done.get(*other) == Some(&true);
        let mut others = self
            .running
            .iter()
            .filter_map(|other| self.jobs.get(*other));
        job.after.iter().all(is_done) && others.all(|other| job.beside(other))
    }

    fn finish(&mut self, at: usize) {
        self.running.retain(|other| *other != at);
        if let Some(done) = self.done.get_mut(at) {
            *done = true;
        }
    }
}

struct Worker<C> {
    client: C,
    pid: i32,
}

struct Done<'a, C> {
    at: usize,
    job: &'a Job,
    worker: Worker<C>,
    elapsed: Duration,
    result: Result<()>,
}

impl<C: Borrow<Client>> Worker<C> {
    async fn open<F: Future<Output = Result<C>>>(open: &impl Fn() -> F) -> Result<Self> {
        let client = open().await.context("open a session to put keys back")?;
        // For the life of the session, so there is nothing to restore.
        pin_for_writing(client.borrow()).await?;
        let row = client
            .borrow()
            .query_one("SELECT pg_backend_pid()", &[])
            .await?;
        let pid = row.try_get(0)?;
        Ok(Self { client, pid })
    }

    async fn run(self, at: usize, job: &Job) -> Done<'_, C> {
        let began = Instant::now();
        let result = job.run(self.client.borrow()).await;
        Done {
            at,
            job,
            worker: self,
            elapsed: began.elapsed(),
            result,
        }
    }

    /// Asks the server to stop the sessions `pids`; where that fails they run to their end.
    async fn cancel(&self, pids: impl Iterator<Item = &i32>) {
        let pids: Vec<i32> = pids.copied().collect();
        let _ = self
            .client
            .borrow()
            .execute(
                "SELECT pg_cancel_backend(p) FROM unnest($1::int4[]) AS p",
                &[&pids],
            )
            .await;
    }
}
