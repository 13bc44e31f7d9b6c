//! The rows of a table in the order that its source declares with `order_by`.
//!
//! In: the rows of every chunk, in the order of the files. Out: the same rows, sorted, dealt to the
//! streams when all have been read. Runs are sorted and written on the workers while the files are
//! read; they are merged on one blocking thread while the server takes the rows.

use super::batch::{Batch, Origin, Records};
use super::buffers::Buffers;
use super::cause::Stopped;
use super::encoded::{lines, split};
use super::reading::Deal;
use super::timing::TableTiming;
use super::workers::Answer;
use super::{Loader, TableJob};
use crate::encode::Type;
use crate::route::Router;
use crate::sort::{RunJob, SortKey, SortReport, SortSettings, SortedRun, Sorter};
use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Rows that the merge hands on at once, in bytes.
const BATCH_BYTES: usize = 512 << 10;
/// Batches that wait to be dealt.
const BATCHES_WAITING: usize = 2;
/// Encoded bytes for one stored byte, roughly: text compresses to a quarter and encodes to double.
/// It only sets the size of blocks.
const EXPANSION: u64 = 8;

/// The sorting of one table.
pub struct Sorting<'l> {
    loader: &'l Loader<'l>,
    sorter: Sorter,
    /// Types of the columns, where rows are sent as text.
    lines: Option<Arc<[Type]>>,
    running: FuturesUnordered<Answer<(Result<SortedRun>, Duration)>>,
    /// What the workers spent.
    spent: Duration,
}

impl<'l> Sorting<'l> {
    pub fn new(
        loader: &'l Loader<'l>,
        key: SortKey,
        job: &TableJob,
        lines: Option<Arc<[Type]>>,
    ) -> Sorting<'l> {
        let settings = SortSettings {
            memory_bytes: loader.request.settings.memory_bytes / 2 / loader.sorts.max(1),
            jobs: loader.request.settings.workers,
            expected_bytes: job.bytes().saturating_mul(EXPANSION),
            directory: loader.request.temporary.to_owned(),
        };
        Sorting {
            loader,
            sorter: Sorter::new(key, settings),
            lines,
            running: FuturesUnordered::new(),
            spent: Duration::ZERO,
        }
    }

    /// Takes the rows that come next.
    pub async fn push(&mut self, rows: Vec<u8>, row_count: u64) -> Result<()> {
        // As long as it has to be, so that what is gathered is what is counted.
        let exact = rows.as_slice().to_vec();
        self.loader.buffers.put(rows);
        if let Some(job) = self.sorter.push(exact, row_count)? {
            while self.running.len() >= self.loader.request.settings.workers {
                self.collect().await?;
            }
            self.start(job);
        }
        Ok(())
    }

    fn start(&mut self, job: RunJob) {
        self.running.push(self.loader.workers.run(move |_| {
            let began = Instant::now();
            (job.run(), began.elapsed())
        }));
    }

    async fn collect(&mut self) -> Result<()> {
        if let Some(answer) = self.running.next().await {
            let (run, spent) = answer.context("wait for a sorting thread")??;
            self.sorter.add(run?);
            self.spent += spent;
        }
        Ok(())
    }

    /// Sorts what is left, and deals all rows in their order.
    pub async fn finish(
        mut self,
        router: Option<&Arc<Router>>,
        deal: &Deal,
        timing: &mut TableTiming,
    ) -> Result<SortReport> {
        if let Some(job) = self.sorter.finish() {
            self.start(job);
        }
        while !self.running.is_empty() {
            self.collect().await?;
        }
        timing.sort_cpu_s = Some(self.spent.as_secs_f64());
        let (sender, mut merged) = mpsc::channel(BATCHES_WAITING);
        let (sorter, buffers) = (self.sorter, self.loader.buffers.clone());
        let (router, types) = (router.cloned(), self.lines);
        let merging = tokio::task::spawn_blocking(move || -> Result<SortReport> {
            let (mut merge, report) = sorter.merge(BATCH_BYTES)?;
            while let Some((rows, row_count)) = merge.next(buffers.take())? {
                for mut piece in pieces(rows, row_count, router.as_deref(), &buffers)? {
                    if let Some(types) = &types {
                        piece.1 = lines(piece.1, types, &buffers)?;
                    }
                    sender.blocking_send(piece).map_err(|_| anyhow!(Stopped))?;
                }
            }
            Ok(report)
        });
        let buffers = &self.loader.buffers;
        let dealing = async {
            while let Some((target, rows, row_count)) = merged.recv().await {
                let batch = Batch {
                    target,
                    rows: buffers.lend(rows),
                    row_count,
                    origin: Origin {
                        member: None,
                        object: 0,
                        first_record: 0,
                        records: Records::Unknown,
                    },
                    share: None,
                };
                deal.send(batch).await?;
            }
            Ok(())
        };
        let dealt = dealing.await;
        // Its sender sees that nobody listens any more.
        drop(merged);
        let merged = merging.await.context("wait for the merging thread")?;
        match dealt {
            Err(error) => Err(error),
            Ok(()) => merged,
        }
    }
}

/// Sorted rows by their targets: index, rows, how many.
fn pieces(
    rows: Vec<u8>,
    row_count: u64,
    router: Option<&Router>,
    buffers: &Buffers,
) -> Result<Vec<(usize, Vec<u8>, u64)>> {
    let Some(router) = router else {
        return Ok(vec![(0, rows, row_count)]);
    };
    let (taken, nowhere) = split(&rows, router, &[]);
    if !nowhere.is_empty() {
        bail!("a sorted row belongs to no partition any more");
    }
    buffers.put(rows);
    let taken = taken.into_iter().enumerate();
    Ok(taken
        .map(|(target, taken)| (target, taken.rows, taken.records.len() as u64))
        .filter(|(_, _, row_count)| *row_count > 0)
        .collect())
}
