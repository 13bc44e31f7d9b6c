//! A session that builds indexes, and what each build may use.
//!
//! In: [`Limits`], from the server's cores and memory. Out: jobs run with parallel workers and memory
//! of their own. A server that refuses such a setting keeps its own value: slower, not wrong.

use std::borrow::Borrow;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::Client;

use super::jobs::{Job, Step};
use super::settings::pin_for_writing;
use crate::capacity::{Capacity, Slots};

const MIB: u64 = 1 << 20;
/// Most parallel workers for one index; the server's own limit is rarely higher.
const MOST_HELPERS: usize = 8;

/// How much may happen at once, and with what.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sessions that build, at most.
    pub sessions: usize,
    pub cores: usize,
    /// `maintenance_work_mem` of each build, in bytes.
    pub build_memory: u64,
    /// What all busy sessions on the server share.
    pub slots: Slots,
}

impl Limits {
    /// As many sessions as the server has cores, at most `sessions`; a quarter of its memory for them,
    /// but 64 MiB to 1 GiB each: more helps little.
    pub fn new(capacity: &Capacity, sessions: Option<usize>, slots: &Slots) -> Limits {
        let sessions = sessions.unwrap_or(capacity.cores);
        let sessions = sessions.min(capacity.sessions_left).max(1);
        let share = capacity.memory_bytes / 4 / sessions as u64;
        Limits {
            sessions,
            cores: capacity.cores,
            build_memory: share.clamp(64 * MIB, 1024 * MIB),
            slots: Slots::clone(slots),
        }
    }

    /// Parallel workers for one of `builds` that are left. While there are many, each has a core;
    /// the last ones get twice the cores between them, since one of them ends before the others.
    pub fn helpers(&self, builds: usize) -> usize {
        match self.cores {
            1 => 0,
            cores => (2 * cores / builds.max(1)).min(cores).min(MOST_HELPERS),
        }
    }
}

pub(super) struct Worker<C> {
    pub(super) client: C,
    pub(super) pid: i32,
    /// What was set last.
    helpers: Option<usize>,
}

/// How a job ended.
pub(super) struct Done<C> {
    pub(super) at: usize,
    pub(super) worker: Worker<C>,
    pub(super) elapsed: Duration,
    pub(super) result: Result<()>,
}

impl<C: Borrow<Client>> Worker<C> {
    pub(super) async fn open<F: Future<Output = Result<C>>>(
        open: &impl Fn() -> F,
        limits: &Limits,
    ) -> Result<Self> {
        let client = open().await.context("open a session to put keys back")?;
        // For the life of the session, so there is nothing to restore.
        pin_for_writing(client.borrow()).await?;
        let row = client
            .borrow()
            .query_one("SELECT pg_backend_pid()", &[])
            .await?;
        let worker = Self {
            pid: row.try_get(0)?,
            client,
            helpers: None,
        };
        let memory = format!("{}MB", limits.build_memory / MIB);
        worker.prefer("maintenance_work_mem", &memory).await;
        // A scan that joins another one of the same table in its middle gives the rows out of their
        // order, and then rows that came in the order of the key are sorted from scratch.
        worker.prefer("synchronize_seqscans", "off").await;
        Ok(worker)
    }

    /// Sets what only makes a build faster.
    async fn prefer(&self, name: &str, value: &str) {
        let sql = "SELECT set_config($1, $2, false)";
        let client = self.client.borrow();
        if client.execute(sql, &[&name, &value]).await.is_err() {
            tracing::debug!("the server keeps its own {name} instead of {value}");
        }
    }

    /// Runs a job; the slot is free for others when it ends.
    pub(super) async fn run(
        mut self,
        at: usize,
        job: Job,
        helpers: usize,
        slot: OwnedSemaphorePermit,
    ) -> Done<C> {
        let began = Instant::now();
        if job.step == Step::Build && self.helpers != Some(helpers) {
            let name = "max_parallel_maintenance_workers";
            self.prefer(name, &helpers.to_string()).await;
            self.helpers = Some(helpers);
        }
        let result = job.run(self.client.borrow()).await;
        drop(slot);
        Done {
            at,
            worker: self,
            elapsed: began.elapsed(),
            result,
        }
    }

    /// Asks the server to stop the sessions `pids`; where that fails they run to their end.
    pub(super) async fn cancel(&self, pids: impl Iterator<Item = &i32>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(cores: usize, memory_bytes: u64, sessions: Option<usize>) -> Limits {
        let capacity = Capacity {
            cores,
            memory_bytes,
            origin: String::new(),
            sessions_left: usize::MAX,
        };
        let slots = capacity.slots(sessions);
        Limits::new(&capacity, sessions, &slots)
    }

    #[test]
    fn memory_is_a_quarter_of_the_server_shared_by_its_builds() {
        let memory = |cores, gib: u64| limits(cores, gib << 30, None).build_memory / MIB;
        assert_eq!(memory(2, 4), 512);
        assert_eq!(memory(2, 24), 1024);
        assert_eq!(memory(16, 1), 64);
        assert_eq!(limits(2, 4 << 30, Some(4)).build_memory / MIB, 256);
    }

    #[test]
    fn the_last_builds_get_the_cores_that_would_be_idle() {
        let of = |cores, builds| limits(cores, 1 << 30, None).helpers(builds);
        assert_eq!((of(2, 9), of(2, 3), of(2, 2), of(2, 1)), (0, 1, 2, 2));
        assert_eq!((of(16, 40), of(16, 16), of(16, 1)), (0, 2, 8));
        assert_eq!(of(1, 1), 0);
    }

    #[test]
    fn slots_are_the_cores_or_what_was_asked_for() {
        assert_eq!(limits(2, 1 << 30, None).slots.available_permits(), 2);
        assert_eq!(limits(2, 1 << 30, Some(6)).slots.available_permits(), 6);
        assert_eq!(limits(8, 1 << 30, Some(2)).slots.available_permits(), 8);
    }
}
