//! The objects of one table to batches, in order.
//!
//! Several objects are decompressed and cut at once, each on a blocking thread of its own; small objects
//! after them are fetched ahead (`ahead`). Their chunks are taken one object after the other, parsed on
//! the workers, and accounted for and handed on in the order of the files.

use super::ahead::{Fetched, fetch_ahead};
use super::batch::{Batch, Origin};
use super::budget::Budget;
use super::cause::{Stopped, both};
use super::encoded::{Encoded, Treatment, encode};
use super::object::{CutChunk, Cutting, ReadObject};
use super::sorting::Sorting;
use super::{InputCount, Loader, PlacedReject, RowOrder, TableJob, TableLoad, rejects};
use crate::config::CopyFormat;
use crate::fetch::FetchError;
use crate::measure::Collector;
use crate::printable::Printable;
use crate::progress::TableProgress;
use crate::read::parse::MAX_LISTED_REJECTS;
use crate::route::Router;
use crate::sort::OrderWatch;
use anyhow::{Context, Result, anyhow, bail};
use futures_util::stream::{FuturesOrdered, StreamExt, TryStreamExt};
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;

/// Blocks of the fetch that wait for the decoder.
pub const BLOCKS_WAITING: usize = 2;
/// Chunks of one table being parsed for each worker; more would only hold memory.
const CHUNKS_AHEAD: usize = 3;

/// Threads that unpack one object which was compressed in pieces, at most: they feed about four times
/// as many that parse.
const MOST_UNPACKING: usize = 4;

/// Objects of one table that are read at once: one decompressor feeds about four parsing threads.
pub fn objects_at_once(workers: usize) -> usize {
    (1 + workers / 4).min(4)
}

/// Where the batches go.
pub enum Deal {
    /// To whichever stream is free.
    Any(mpsc::Sender<Batch>),
    /// To the stream that has the leaf.
    Leaves {
        streams: Vec<mpsc::Sender<Batch>>,
        stream_of: Vec<usize>,
    },
}

impl Deal {
    pub async fn send(&self, batch: Batch) -> Result<()> {
        let sender = match self {
            Deal::Any(sender) => Some(sender),
            Deal::Leaves { streams, stream_of } => stream_of
                .get(batch.target)
                .and_then(|stream| streams.get(*stream)),
        };
        let sender = sender.context("every leaf has a stream")?;
        sender.send(batch).await.map_err(|_| anyhow!(Stopped))
    }
}

/// The reading of one table.
pub struct Reading<'l> {
    pub loader: &'l Loader<'l>,
    pub job: &'l TableJob,
    pub progress: &'l Arc<TableProgress>,
    pub deal: Deal,
    pub load: TableLoad,
    treatment: Treatment,
    sorting: Option<Sorting<'l>>,
    order: OrderWatch,
    measured: Option<Collector>,
    /// Of the object under way.
    count: InputCount,
    /// Of its member under way, or of itself where it is no archive.
    records: u64,
    lines: u64,
}

impl<'l> Reading<'l> {
    pub fn new(
        loader: &'l Loader<'l>,
        job: &'l TableJob,
        progress: &'l Arc<TableProgress>,
        router: Option<Arc<Router>>,
        deal: Deal,
        load: TableLoad,
    ) -> Reading<'l> {
        let text = loader.request.settings.copy_format == CopyFormat::Text;
        let keep_raw = job.plan.source.keep_raw;
        let shape = job.plan.shape.clone();
        let lines = text.then(|| job.plan.copy_types().cloned().collect());
        // A sort sees the order anyway, and makes lines of what it has sorted.
        let (treatment, sorting) = match &job.plan.sort {
            None => {
                let watched = job.plan.watched.as_ref();
                let watched = watched.map(|watched| Arc::new(watched.key.clone()));
                let treatment = Treatment {
                    router,
                    watched,
                    lines,
                    shape: shape.clone(),
                    keep_raw,
                };
                (treatment, None)
            }
            Some(key) => {
                let treatment = Treatment {
                    router,
                    shape: shape.clone(),
                    keep_raw,
                    ..Treatment::default()
                };
                let sorting = Sorting::new(loader, key.clone(), job, lines);
                (treatment, Some(sorting))
            }
        };
        Reading {
            loader,
            job,
            progress,
            deal,
            load,
            treatment,
            sorting,
            order: OrderWatch::default(),
            measured: shape.as_ref().map(Collector::new),
            count: InputCount::begin(""),
            records: 0,
            lines: 0,
        }
    }

    /// Reads all objects and hands on all rows.
    pub async fn run(mut self) -> Result<TableLoad> {
        let (hand_over, handed) = mpsc::unbounded_channel();
        let at_once = objects_at_once(self.loader.request.settings.workers);
        let (loader, job, progress) = (self.loader, self.job, self.progress);
        let budget = loader.budget_of_object(at_once);
        let reading = fetch_ahead(loader.request.location, &job.objects, at_once)
            .map(move |fetched| {
                let (sender, chunks) = mpsc::channel(1);
                // The receiver stops listening only when the load has failed.
                let _ = hand_over.send(chunks);
                read_object(loader, job, progress, fetched, sender, budget.clone())
            })
            .buffered(at_once)
            .try_collect::<Vec<ReadObject>>();
        let (read, ()) = both(reading, self.consume_all(handed)).await?;
        for (input, read) in self.load.inputs.iter_mut().zip(read) {
            input.bytes = read.bytes;
            input.sha256 = read.sha256;
            self.load.timing.waiting_for_input_s += read.waiting_for_input_s;
            self.load.timing.decompress_cpu_s += read.busy_s;
        }
        self.load.timing.readers = at_once as u32;
        let mut order = self.order.order();
        let mut columns = self
            .job
            .plan
            .watched
            .as_ref()
            .map(|watched| &watched.columns);
        if let Some(sorting) = self.sorting.take() {
            let report = sorting.finish(
                self.treatment.router.as_ref(),
                &self.deal,
                &mut self.load.timing,
            );
            order = report.await?.order;
            columns = Some(&self.job.plan.source.order_by);
        }
        let before = self.loader.request.samples.get(&self.load.table).copied();
        self.load.profile = self.measured.map(|measured| measured.profile(before));
        self.load.order = columns.map(|columns| RowOrder {
            columns: columns.clone(),
            looked_at: order.rows,
            descents: order.descents,
            sorted: self.job.plan.sort.is_some(),
        });
        Ok(self.load)
    }

    async fn consume_all(
        &mut self,
        mut handed: mpsc::UnboundedReceiver<mpsc::Receiver<CutChunk>>,
    ) -> Result<()> {
        for (index, object) in self.job.objects.iter().enumerate() {
            let Some(chunks) = handed.recv().await else {
                bail!(Stopped);
            };
            self.count = InputCount::begin(&object.key);
            self.count.version = object.version.to_string();
            self.consume(index, chunks).await?;
            self.load.inputs.push(self.count.clone());
        }
        Ok(())
    }

    async fn consume(&mut self, object: usize, mut chunks: mpsc::Receiver<CutChunk>) -> Result<()> {
        let mut parsing = FuturesOrdered::new();
        let mut more = true;
        let ahead = CHUNKS_AHEAD * self.loader.request.settings.workers;
        loop {
            tokio::select! {
                cut = chunks.recv(), if more && parsing.len() < ahead => match cut {
                    None => more = false,
                    Some(cut) => {
                        let treatment = self.treatment.clone();
                        let buffers = self.loader.buffers.clone();
                        parsing.push_back(self.loader.workers.run(move |scratch| {
                            encode(cut, &treatment, &buffers, scratch)
                        }));
                    }
                },
                Some(answer) = parsing.next(), if !parsing.is_empty() => {
                    let encoded = answer.context("wait for a parsing thread")???;
                    self.hand_on(object, encoded).await?;
                }
                else => return Ok(()),
            }
        }
    }

    async fn hand_on(&mut self, object: usize, encoded: Encoded) -> Result<()> {
        if let Some(lines) = encoded.begins {
            (self.records, self.lines) = (0, lines);
        }
        let first_record = self.records + 1;
        self.account(&encoded)?;
        self.load.timing.parse_cpu_s += encoded.spent.as_secs_f64();
        self.progress.add(0, encoded.parsed.rejected);
        if let Some(order) = encoded.order {
            self.order.add(order);
        }
        if let Some((all, chunk)) = self.measured.as_mut().zip(encoded.measured) {
            all.merge(chunk);
        }
        for piece in encoded.pieces {
            if piece.row_count == 0 {
                self.loader.buffers.put(piece.rows);
                continue;
            }
            if let Some(sorting) = &mut self.sorting {
                // The sort has its own memory.
                drop(piece.share);
                sorting.push(piece.rows, piece.row_count).await?;
                continue;
            }
            let batch = Batch {
                target: piece.target,
                rows: self.loader.buffers.lend(piece.rows),
                row_count: piece.row_count,
                origin: Origin {
                    object,
                    member: encoded.member.clone(),
                    first_record,
                    records: piece.records,
                },
                share: piece.share,
            };
            self.deal.send(batch).await?;
        }
        Ok(())
    }

    /// Adds up a chunk and turns its places into places of the object or member.
    fn account(&mut self, encoded: &Encoded) -> Result<()> {
        let parsed = &encoded.parsed;
        let first_record = self.records + 1;
        for reject in &parsed.rejects {
            let column = reject
                .column
                .and_then(|index| encoded.plan.columns.get(index));
            let kind = reject.reason.kind();
            self.load
                .count_fault(column.map(|column| &*column.name), kind);
            if self.load.rejects.len() == MAX_LISTED_REJECTS {
                continue;
            }
            let raw = encoded
                .raw
                .binary_search_by_key(&reject.record, |raw| raw.0);
            let raw = raw.ok().and_then(|at| encoded.raw.get(at));
            let placed = PlacedReject {
                source: self.load.source.clone(),
                key: self.count.key.clone(),
                member: encoded.member.as_deref().map(str::to_owned),
                record: first_record + reject.record,
                line: self.lines + reject.line + 1,
                byte: encoded.byte + reject.byte,
                column: column.map(|column| column.name.clone()),
                kind,
                reason: reject.reason.to_string(),
                raw: raw.map(|(_, text)| text.clone()),
            };
            if self.loader.request.list_rejects {
                let rejected = self.loader.rejected.lock();
                rejected
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(placed.clone());
            }
            self.load.rejects.push(placed);
        }
        self.count.records_read += parsed.records;
        self.count.rows_loaded += parsed.row_count;
        self.count.rejected += parsed.rejected;
        self.count.skipped += parsed.skipped;
        self.records += parsed.records;
        self.lines += parsed.lines;
        let source = &self.job.plan.source;
        if self.count.rejected > 0
            && !source.expect.rejects.collects()
            && !self.loader.request.list_rejects
        {
            return Err(rejects::over_budget(
                source,
                &self.load,
                self.count.rejected,
            ));
        }
        Ok(())
    }
}

/// Fetches, decompresses and cuts one object.
async fn read_object(
    loader: &Loader<'_>,
    job: &TableJob,
    progress: &Arc<TableProgress>,
    fetched: Result<Fetched<'_>>,
    chunks: mpsc::Sender<CutChunk>,
    budget: Budget,
) -> Result<ReadObject> {
    let mut fetched = fetched?;
    let object = fetched.object;
    let (block_sender, blocks) = mpsc::channel(BLOCKS_WAITING);
    let cutting = Cutting {
        plan: job.plan.clone(),
        object: object.clone(),
        blocks,
        chunks,
        budget,
        buffers: loader.buffers.clone(),
        chunk_bytes: loader.request.settings.chunk_bytes,
        progress: Arc::clone(progress),
        runtime: tokio::runtime::Handle::current(),
        temporary: loader.request.temporary.to_owned(),
        unpacking_threads: loader.request.settings.workers.clamp(1, MOST_UNPACKING),
    };
    let cut = tokio::task::spawn_blocking(move || cutting.run());
    let cut = async { cut.await.context("wait for the reading thread").flatten() };
    let sending = async {
        let sent = fetched.send(loader.request.location, block_sender).await;
        sent.map_err(|error| match error {
            FetchError::Closed { .. } => anyhow!(Stopped),
            error => error.into(),
        })
    };
    let ((), read) = both(sending, cut).await?;
    if read.bytes != object.size {
        bail!(
            "`{}`: {} bytes were read of {}",
            Printable(&object.key),
            read.bytes,
            object.size
        );
    }
    Ok(read)
}
