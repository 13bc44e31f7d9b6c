//! Raw objects into tables: which tables, on which connections, in which order.
//!
//! In: a [`TablePlan`] and the pinned objects of each source. Out: a [`TableLoad`] for each, with
//! what was read, loaded and rejected. A table has one connection or several, each with one
//! transaction, and a receipt only when all of its rows are there. Tables load side by side,
//! largest first. The first failure stops all of them.
//!
//! The way of the data: `ahead` (requests before their turn), `object` (fetch, decompress, cut), `encoded` (parse, route), `reading`
//! (account, in order), `stream` (COPY), `table` (commit, receipt).

mod ahead;
mod batch;
pub mod budget;
mod buffers;
mod cause;
mod column;
pub mod connections;
mod copy;
mod dry;
mod encoded;
mod names;
pub mod object;
pub mod plan;
mod reading;
mod receipt;
mod rejects;
mod sorting;
mod stream;
mod table;
pub mod throttle;
pub mod timing;
pub mod workers;

use crate::capacity::Slots;
use crate::config::LoadSettings;
use crate::dataset::Source;
use crate::fetch::{BLOCK_BYTES, Location, RawObject};
use crate::measure::TableProfile;
use crate::postgres::Server;
use crate::progress::Progress;
use anyhow::Result;
use budget::Budget;
use buffers::Buffers;
use futures_util::{StreamExt, TryStreamExt};
use plan::TablePlan;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use throttle::Throttle;
use timing::TableTiming;
use tokio::sync::mpsc::UnboundedSender;
use workers::Workers;

pub use dry::DryLoad;
pub use receipt::{is_touched, read as read_receipt, take_back as take_back_receipt};
pub use rejects::{FaultCount, PlacedReject, RejectsOverBudget, RejectsSoFar};
pub use table::{connections_of, frozen_by_load};

/// Most memory that a load holds for records, rows and files being read, in bytes: the budget,
/// and for each table side by side the objects and parts being fetched, the messages that wait
/// in the driver and what is gathered for leaves. A compressed file may need up to 160 MiB of its own:
/// the window of zstd or xz, or what is unpacked side by side.
pub fn memory_bound_bytes(settings: &LoadSettings, connections: usize) -> usize {
    let parts = ahead::OBJECT_BYTES;
    let blocks = (reading::BLOCKS_WAITING + 1) * BLOCK_BYTES;
    let objects = reading::objects_at_once(settings.workers);
    // A message in the driver's channel and one in its buffer, after the share went back.
    let messages = 2 * settings.chunk_bytes * TYPICAL_EXPANSION;
    settings.memory_bytes
        + connections * (objects * (parts + blocks) + messages + stream::GATHERED_BYTES)
}

/// Encoded bytes of a row per byte of its text: 2.6 for narrow columns of numbers and flags.
const TYPICAL_EXPANSION: usize = 3;

/// What the load of one table needs.
#[derive(Debug)]
pub struct TableJob {
    pub plan: TablePlan,
    /// In the order in which their records go into the table.
    pub objects: Vec<RawObject>,
}

impl TableJob {
    fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }
}

/// What one table's load did.
#[derive(Debug, Clone, Serialize)]
pub struct TableLoad {
    pub source: String,
    pub table: String,
    pub rows: u64,
    pub inputs: Vec<InputCount>,
    pub timing: TableTiming,
    /// How the rows came; none for a table without a primary key that can be compared.
    pub order: Option<RowOrder>,
    /// What was measured of the rows on their way; `None` where only the server knows what it stores.
    #[serde(skip)]
    pub profile: Option<TableProfile>,
    /// What was wrong, by column and kind.
    pub faults: Vec<FaultCount>,
    /// The first ones, with their places.
    #[serde(skip)]
    pub rejects: Vec<PlacedReject>,
}

impl TableLoad {
    /// Nothing was read yet.
    fn begin(source: &Source) -> TableLoad {
        TableLoad {
            source: source.name.clone(),
            table: source.full_table(),
            rows: 0,
            inputs: Vec::new(),
            timing: TableTiming::default(),
            order: None,
            profile: None,
            faults: Vec::new(),
            rejects: Vec::new(),
        }
    }
}

/// How the rows of a table came, by its primary key or, where `order_by` sorts, by that.
#[derive(Debug, Clone, Serialize)]
pub struct RowOrder {
    pub columns: Vec<String>,
    /// Rows that were compared with the one before: without `order_by` a sample.
    pub looked_at: u64,
    /// Rows that belong before the one they followed.
    pub descents: u64,
    /// `order_by` put them in order.
    pub sorted: bool,
}

/// What one object brought: `records_read = rows_loaded + rejected + skipped`.
#[derive(Debug, Clone, Serialize)]
pub struct InputCount {
    pub key: String,
    pub version: String,
    /// As stored, compressed or not.
    pub bytes: u64,
    pub sha256: String,
    pub records_read: u64,
    pub rows_loaded: u64,
    pub rejected: u64,
    /// Records that the source file says to leave out.
    pub skipped: u64,
}

/// What somebody asks a load for.
pub struct LoadRequest<'r> {
    pub location: &'r Location,
    pub settings: LoadSettings,
    /// Most connections over all tables.
    pub connections: usize,
    /// Folder for what is sorted.
    pub temporary: &'r Path,
    /// Go on after the first reject even without a budget, to list all of them.
    pub list_rejects: bool,
    pub progress: &'r Progress,
    /// The sample that each table of the build has which this one will be compared with.
    pub samples: BTreeMap<String, u32>,
    /// Holds the load back.
    pub throttle: Throttle,
}

/// The build that the rows go into.
#[derive(Clone, Copy)]
pub struct Destination<'d> {
    pub server: &'d Server,
    /// Name of the build's database.
    pub database: &'d str,
}

/// What all tables of one build share.
pub struct Loader<'r> {
    request: LoadRequest<'r>,
    /// Sources that sort, which share the memory for it.
    sorts: usize,
    workers: Workers,
    buffers: Buffers,
    /// The listed rejects of all tables, while rejects are listed.
    rejected: Mutex<Vec<PlacedReject>>,
}

impl<'r> Loader<'r> {
    /// Starts the parsing threads.
    pub fn new(request: LoadRequest<'r>) -> Result<Loader<'r>> {
        Ok(Loader {
            workers: Workers::start(request.settings.workers)?,
            request,
            sorts: 0,
            buffers: Buffers::default(),
            rejected: Mutex::default(),
        })
    }

    /// The part of the memory that each object may use of those being read at once. Parts, and not
    /// one budget for all: an object that is read ahead must not take what the one before it needs.
    fn budget_of_object(&self, at_once: usize) -> Budget {
        let parts = if self.sorts > 0 { 2 } else { 1 };
        Budget::new(
            self.request.settings.memory_bytes / parts / self.request.connections.max(1) / at_once,
        )
    }

    /// Loads every table.
    ///
    /// # Errors
    /// Status 1 when a record is rejected over its budget or a file does not fit; status 3 when
    /// S3 or Postgres fails. What was committed is in a database that nobody can see.
    ///
    /// Each holds a slot of the server while it loads, and `loaded` hears of its table when its rows
    /// are committed.
    pub async fn load(
        &mut self,
        destination: Destination<'_>,
        jobs: Vec<TableJob>,
        slots: &Slots,
        loaded: &UnboundedSender<u32>,
    ) -> Result<Vec<TableLoad>> {
        let loads = self.load_tables(destination, jobs, slots, loaded).await;
        loads.map_err(|error| self.with_rejects_so_far(error))
    }

    fn with_rejects_so_far(&self, error: anyhow::Error) -> anyhow::Error {
        let mut rejects = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if rejects.is_empty() || error.is::<RejectsOverBudget>() {
            return error;
        }
        let mut rejects = std::mem::take(&mut *rejects);
        // Tables load side by side; the rejects of each stay in order.
        rejects.sort_by(|a, b| a.source.cmp(&b.source));
        error.context(RejectsSoFar { rejects })
    }

    async fn load_tables(
        &mut self,
        destination: Destination<'_>,
        mut jobs: Vec<TableJob>,
        slots: &Slots,
        loaded: &UnboundedSender<u32>,
    ) -> Result<Vec<TableLoad>> {
        self.sorts = jobs.iter().filter(|job| job.plan.sort.is_some()).count();
        let this = &*self;
        jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
        let jobs: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                let progress = self
                    .request
                    .progress
                    .table(&job.plan.source.full_table(), job.bytes());
                (job, progress)
            })
            .collect();
        let all_bytes = jobs.iter().map(|(job, _)| job.bytes()).sum();
        futures_util::stream::iter(jobs)
            .map(|(job, progress)| async move {
                let most = this.request.connections.min(this.request.throttle.most());
                let connections = connections_of(&job, all_bytes, most);
                let slot = slots.acquire_many(connections.count as u32).await?;
                tracing::info!(
                    "`{}`: {} connection{} ({})",
                    job.plan.source.full_table(),
                    connections.count,
                    if connections.count == 1 { "" } else { "s" },
                    connections.reason
                );
                let load = table::load_table(this, destination, &job, progress, &connections);
                let load = load.await?;
                drop(slot);
                // Nobody listens any more after an error of theirs.
                let _ = loaded.send(job.plan.table_oid);
                Ok(load)
            })
            .buffer_unordered(this.request.connections)
            .try_collect()
            .await
    }
}
