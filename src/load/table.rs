//! The load of one table: its objects one after the other into one COPY, then the receipt.

use super::copy::{CopyError, TableCopy};
use super::object::{CutChunk, Cutting, ReadObject, Stopped};
use super::places::Places;
use super::timing::{TableTiming, timed};
use super::{InputCount, Loader, PlacedReject, TableJob, TableLoad};
use super::{receipt, rejects};
use crate::crashpoint;
use crate::fetch::RawObject;
use crate::postgres::{error as pg_error, quote_ident};
use crate::problem::Problem;
use crate::progress::TableProgress;
use crate::read::parse::{MAX_LISTED_REJECTS, Parsed, RowPlan, Scratch, parse};
use crate::units::grouped;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::mpsc;

/// Blocks of the fetch that wait for the decoder.
pub const BLOCKS_WAITING: usize = 2;
/// Chunks of one table being parsed; more than workers would only hold memory.
const CHUNKS_AHEAD: usize = 8;

/// Loads one table in one transaction on one connection.
pub async fn load_table(
    loader: &Loader<'_>,
    job: Arc<TableJob>,
    progress: Arc<TableProgress>,
) -> Result<TableLoad> {
    let source = job.plan.source.name.clone();
    let outcome = TableLoader::run(loader, &job, &progress).await;
    let load =
        outcome.with_context(|| format!("load source `{source}` into `{}`", loader.database))?;
    progress.done.store(true, Ordering::Relaxed);
    Ok(load)
}

struct TableLoader<'l> {
    loader: &'l Loader<'l>,
    job: &'l TableJob,
    progress: &'l Arc<TableProgress>,
    copy: TableCopy<'l>,
    places: Places,
    load: TableLoad,
    /// Of the object under way.
    count: InputCount,
    lines: u64,
}

impl<'l> TableLoader<'l> {
    async fn run(
        loader: &'l Loader<'l>,
        job: &'l TableJob,
        progress: &'l Arc<TableProgress>,
    ) -> Result<TableLoad> {
        let began = Instant::now();
        let source = &job.plan.source;
        let table = format!(
            "{}.{}",
            quote_ident(&source.schema),
            quote_ident(&source.table)
        );
        let purpose = format!("load {}", source.full_table());
        let session = loader.server.connect(loader.database, &purpose).await?;
        crashpoint::reached("load.before_copy");
        // TRUNCATE in this transaction is what makes FREEZE possible, and at wal_level minimal
        // it also saves the log of the whole load.
        session
            .batch_execute(&format!(
                "begin; set local search_path = pg_catalog, public; truncate {table}"
            ))
            .await
            .with_context(|| format!("begin the load of {table}"))?;
        let columns: Vec<String> = job.plan.copy_columns().map(quote_ident).collect();
        let freeze = if job.plan.freeze { ", freeze" } else { "" };
        let statement = format!(
            "copy {table} ({}) from stdin (format binary{freeze})",
            columns.join(", ")
        );
        let mut this = TableLoader {
            loader,
            job,
            progress,
            copy: TableCopy::new(&session, statement, loader.settings.stall_limit),
            places: Places::default(),
            load: TableLoad {
                source: source.name.clone(),
                table: source.full_table(),
                rows: 0,
                inputs: Vec::new(),
                timing: TableTiming {
                    streams: 1,
                    readers: 1,
                    ..TableTiming::default()
                },
                rejects: Vec::new(),
            },
            count: InputCount::begin(""),
            lines: 0,
        };
        for (index, object) in job.objects.iter().enumerate() {
            this.object(index, object).await?;
        }
        let waiting = &mut this.load.timing.waiting_for_server_s;
        if let Err(error) = timed(waiting, this.copy.finish()).await {
            return Err(this.explain(error));
        }
        this.load.rows = this.copy.rows;
        let mut load = this.load;
        receipt::check_counts(&load)?;
        rejects::warn_of_unlisted(&load);
        rejects::check_budget(&job.plan.source, &load)?;
        receipt::write(&session, &load).await?;
        crashpoint::reached("load.before_commit");
        session
            .batch_execute("commit")
            .await
            .with_context(|| format!("commit the load of {table}"))?;
        crashpoint::reached("load.after_commit");
        load.timing.rows = load.rows;
        load.timing.bytes_read = load.inputs.iter().map(|input| input.bytes).sum();
        load.timing.seconds = began.elapsed().as_secs_f64();
        Ok(load)
    }

    /// Fetch, cut and parse one object side by side, and send its rows in order.
    async fn object(&mut self, index: usize, object: &RawObject) -> Result<()> {
        self.count = InputCount::begin(&object.key);
        self.count.version = object.version.to_string();
        self.lines = 0;
        let (block_sender, blocks) = mpsc::channel(BLOCKS_WAITING);
        let (chunk_sender, chunks) = mpsc::channel(1);
        let cutting = Cutting {
            plan: self.job.plan.clone(),
            object: object.clone(),
            blocks,
            chunks: chunk_sender,
            budget: self.loader.budget.clone(),
            chunk_bytes: self.loader.settings.chunk_bytes,
            progress: Arc::clone(self.progress),
            runtime: tokio::runtime::Handle::current(),
        };
        let cut = tokio::task::spawn_blocking(move || cutting.run());
        let fetch = self.loader.location.read(object, block_sender);
        let (fetched, cut, consumed) = tokio::join!(fetch, cut, self.consume(index, chunks));
        let cut = cut.context("wait for the reading thread")?;
        let read = first_cause(fetched.map_err(anyhow::Error::from), cut, consumed)?;
        if read.bytes != object.size {
            bail!(
                "`{}`: {} bytes were read of {}",
                object.key,
                read.bytes,
                object.size
            );
        }
        self.count.bytes = read.bytes;
        self.count.sha256 = read.sha256;
        self.load.inputs.push(self.count.clone());
        Ok(())
    }

    async fn consume(&mut self, object: usize, mut chunks: mpsc::Receiver<CutChunk>) -> Result<()> {
        let mut parsing = FuturesOrdered::new();
        let mut more = true;
        loop {
            tokio::select! {
                cut = chunks.recv(), if more && parsing.len() < CHUNKS_AHEAD => match cut {
                    None => more = false,
                    Some(cut) => parsing.push_back(self.loader.workers.run(move || {
                        let CutChunk { chunk, plan, mut share, lines_before } = cut;
                        let parsed = parse(&chunk, &plan, Vec::new(), &mut Scratch::default());
                        share.shrink_to(parsed.rows.len());
                        (parsed, plan, share, chunk.byte, lines_before)
                    })),
                },
                Some(answer) = parsing.next(), if !parsing.is_empty() => {
                    let (mut parsed, plan, share, byte, lines_before) =
                        answer.context("wait for a parsing thread")??;
                    self.lines += lines_before;
                    self.account(object, &mut parsed, &plan, byte)?;
                    let rows = Bytes::from(std::mem::take(&mut parsed.rows));
                    let timing = &mut self.load.timing;
                    timing.bytes_sent += rows.len() as u64;
                    let waiting = &mut timing.waiting_for_server_s;
                    if let Err(error) = timed(waiting, self.copy.send(rows, parsed.row_count)).await {
                        return Err(self.explain(error));
                    }
                    self.places.forget(self.copy.rows);
                    self.progress.add(parsed.row_count, parsed.rejected);
                    crashpoint::reached("load.in_copy");
                    drop(share);
                }
                else => return Ok(()),
            }
        }
    }

    /// Adds up a chunk and turns its places into places of the object.
    fn account(
        &mut self,
        object: usize,
        parsed: &mut Parsed,
        plan: &RowPlan,
        byte: u64,
    ) -> Result<()> {
        let first_record = self.count.records_read + 1;
        let rejected = std::mem::take(&mut parsed.rejected_records);
        self.places
            .add(object, first_record, parsed.row_count, rejected);
        for reject in &parsed.rejects {
            if self.load.rejects.len() == MAX_LISTED_REJECTS {
                break;
            }
            self.load.rejects.push(PlacedReject {
                source: self.load.source.clone(),
                key: self.count.key.clone(),
                record: first_record + reject.record,
                line: self.lines + reject.line + 1,
                byte: byte + reject.byte,
                column: reject.column.map(|index| plan.columns[index].name.clone()),
                reason: reject.reason.to_string(),
            });
        }
        self.count.records_read += parsed.records;
        self.count.rows_loaded += parsed.row_count;
        self.count.rejected += parsed.rejected;
        self.lines += parsed.lines;
        let budget = &self.job.plan.source.expect.rejects;
        if self.count.rejected > 0 && !budget.collects() && !self.loader.list_rejects {
            return Err(rejects::over_budget(
                &self.job.plan.source,
                &self.load,
                self.count.rejected,
            ));
        }
        Ok(())
    }

    /// The server's answer to a COPY, with the record that it points at.
    fn explain(&self, failed: CopyError) -> anyhow::Error {
        let place = failed
            .row
            .and_then(|row| self.places.find(row))
            .map(|(object, record)| {
                format!(
                    "`{}` record {}",
                    self.job.objects[object].key,
                    grouped(record)
                )
            });
        let refused = failed
            .error
            .downcast_ref::<tokio_postgres::Error>()
            .map(|error| {
                (
                    pg_error::explain(error),
                    pg_error::sqlstate(error).map(|code| code[..2].to_owned()),
                )
            });
        match refused {
            Some((text, class)) => {
                let text = match place {
                    Some(place) => format!("{place}: {text}"),
                    None => text,
                };
                match class.as_deref() {
                    Some("22" | "23") => anyhow!(Problem::refused(text)),
                    Some("53") => anyhow!(Problem::dependency(text).hint(
                        "give the server room; the build is dropped, the alias is untouched"
                    )),
                    _ => anyhow!(Problem::dependency(text)),
                }
            }
            None => failed.error,
        }
    }
}

/// The failure that caused the others: a part that only found its neighbour gone is not it.
fn first_cause(
    fetched: Result<()>,
    cut: Result<ReadObject>,
    consumed: Result<()>,
) -> Result<ReadObject> {
    consumed?;
    match cut {
        Err(error) if error.is::<Stopped>() => {
            fetched?;
            Err(error)
        }
        Err(error) => Err(error),
        Ok(read) => fetched.map(|()| read),
    }
}
