//! One connection that takes rows of one table, in one transaction.
//!
//! In: batches, from a [`Feed`]. Out: an open transaction that holds their rows, to be committed when
//! all streams of the table have come this far. A stream has the table, or some of its leaves. One
//! COPY runs at a time, so a stream with several leaves gathers rows for each and changes over
//! only with a good many.

use super::batch::{Batch, Places};
use super::copy::{Copy, CopyError};
use super::throttle::Throttle;
use super::timing::timed;
use crate::config::CopyFormat;
use crate::crashpoint;
use crate::fetch::RawObject;
use crate::postgres::{Server, Session, error as pg_error};
use crate::printable::Printable;
use crate::problem::Problem;
use crate::progress::TableProgress;
use crate::room::OutOfRoom;
use crate::units::grouped;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// A table or leaf that rows are copied into.
#[derive(Debug)]
pub struct Target {
    /// Quoted, with its schema.
    pub table: String,
    /// The COPY statement.
    pub statement: String,
}

/// Rows gathered for one leaf before its COPY begins, in bytes.
const LEAF_BYTES: usize = 1 << 20;
/// Rows gathered for all leaves of a stream, in bytes.
pub const GATHERED_BYTES: usize = 8 << 20;

/// Where a stream takes its batches from.
pub enum Feed {
    /// Rows for this stream only.
    Own(mpsc::Receiver<Batch>),
    /// Whichever stream is free takes the next.
    Shared(Arc<Mutex<mpsc::Receiver<Batch>>>),
}

impl Feed {
    async fn next(&mut self) -> Option<Batch> {
        match self {
            Feed::Own(batches) => batches.recv().await,
            Feed::Shared(batches) => batches.lock().await.recv().await,
        }
    }
}

/// A connection with its transaction.
pub struct Stream<'l> {
    pub session: Session,
    targets: &'l [Target],
    objects: &'l [RawObject],
    progress: &'l TableProgress,
    throttle: &'l Throttle,
    copy: Copy,
    /// Target of the statement under way.
    current: usize,
    places: Places,
    gathered: BTreeMap<usize, Vec<Batch>>,
    gathered_bytes: usize,
    /// Rows that the server has acknowledged.
    pub rows: u64,
    pub bytes: u64,
    pub waiting_for_parse_s: f64,
    pub waiting_for_server_s: f64,
}

/// What all streams of a table share.
pub struct Streaming<'l> {
    pub server: &'l Server,
    pub database: &'l str,
    /// For the name of the session.
    pub table: String,
    pub targets: &'l [Target],
    pub objects: &'l [RawObject],
    pub progress: &'l TableProgress,
    pub format: CopyFormat,
    pub stall_limit: Duration,
    pub throttle: &'l Throttle,
}

impl<'l> Stream<'l> {
    /// Connects and begins. `truncated`: targets that nobody else writes: to truncate them in this
    /// transaction is what makes FREEZE possible, and at wal_level minimal it also saves the log of
    /// the whole load.
    pub async fn open(all: &Streaming<'l>, truncated: &[usize]) -> Result<Stream<'l>> {
        let purpose = format!("load {}", all.table);
        let session = all.server.connect(all.database, &purpose).await?;
        let mut begin = String::from("begin; set local search_path = pg_catalog, public");
        for target in truncated.iter().filter_map(|index| all.targets.get(*index)) {
            begin.push_str("; truncate ");
            begin.push_str(&target.table);
        }
        crashpoint::reached("load.before_copy");
        session
            .batch_execute(&begin)
            .await
            .with_context(|| format!("begin the load of {}", all.table))?;
        Ok(Stream {
            session,
            targets: all.targets,
            objects: all.objects,
            progress: all.progress,
            throttle: all.throttle,
            copy: Copy::new(all.format, all.stall_limit),
            current: 0,
            places: Places::default(),
            gathered: BTreeMap::new(),
            gathered_bytes: 0,
            rows: 0,
            bytes: 0,
            waiting_for_parse_s: 0.0,
            waiting_for_server_s: 0.0,
        })
    }

    /// Sends everything that the feed brings.
    ///
    /// # Errors
    /// The server's, placed at object and record where it says which row it means.
    pub async fn run(mut self, mut feed: Feed) -> Result<Stream<'l>> {
        loop {
            let next = timed(&mut self.waiting_for_parse_s, feed.next()).await;
            let Some(batch) = next else { break };
            self.take(batch).await?;
        }
        drop(feed);
        while let Some(target) = self.fullest() {
            self.flush(target).await?;
        }
        self.finish().await?;
        Ok(self)
    }

    async fn take(&mut self, mut batch: Batch) -> Result<()> {
        if self.current == batch.target || !self.copy.is_open() && self.gathered.is_empty() {
            return self.send(batch).await;
        }
        // What is gathered has its own limit: holding the share could starve the chunks to come.
        batch.share = None;
        self.gathered_bytes += batch.rows.len();
        let target = batch.target;
        let same = self.gathered.entry(target).or_default();
        same.push(batch);
        let bytes: usize = same.iter().map(|batch| batch.rows.len()).sum();
        if bytes >= LEAF_BYTES {
            self.flush(target).await?;
        } else if self.gathered_bytes >= GATHERED_BYTES
            && let Some(target) = self.fullest()
        {
            self.flush(target).await?;
        }
        Ok(())
    }

    /// The leaf with the most bytes gathered.
    fn fullest(&self) -> Option<usize> {
        let bytes = |batches: &Vec<Batch>| batches.iter().map(|b| b.rows.len()).sum::<usize>();
        let fullest = self
            .gathered
            .iter()
            .max_by_key(|(_, batches)| bytes(batches));
        fullest.map(|(target, _)| *target)
    }

    async fn flush(&mut self, target: usize) -> Result<()> {
        for batch in self.gathered.remove(&target).unwrap_or_default() {
            self.gathered_bytes -= batch.rows.len();
            self.send(batch).await?;
        }
        Ok(())
    }

    async fn send(&mut self, batch: Batch) -> Result<()> {
        let throttle = self.throttle;
        timed(&mut self.waiting_for_server_s, throttle.pass()).await;
        if self.copy.is_open() && (self.current != batch.target || self.copy.is_long()) {
            self.finish().await?;
        }
        if !self.copy.is_open() {
            let target = self
                .targets
                .get(batch.target)
                .context("a batch has a target")?;
            self.current = batch.target;
            self.places.clear();
            let begun = self.copy.begin(&self.session, &target.statement);
            let begun = timed(&mut self.waiting_for_server_s, begun).await;
            begun.map_err(|error| self.explain(error))?;
        }
        self.bytes += batch.rows.len() as u64;
        self.places.add(batch.row_count, batch.origin);
        let sent = self.copy.send(batch.rows, batch.row_count);
        let sent = timed(&mut self.waiting_for_server_s, sent).await;
        sent.map_err(|error| self.explain(error))?;
        self.progress.add(batch.row_count, 0);
        crashpoint::reached("load.in_copy");
        drop(batch.share);
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        let finished = timed(&mut self.waiting_for_server_s, self.copy.finish()).await;
        self.rows += finished.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// The server's answer to a COPY, with the record that it points at.
    fn explain(&self, failed: CopyError) -> anyhow::Error {
        let place = failed.row.and_then(|row| self.places.find(row)).and_then(
            |(object, member, record)| {
                let key = Printable(&self.objects.get(object)?.key);
                let record = grouped(record);
                Some(match member {
                    Some(member) => format!("`{key}!{}` record {record}", Printable(member)),
                    None => format!("`{key}` record {record}"),
                })
            },
        );
        let answer = failed.error.downcast_ref::<tokio_postgres::Error>();
        if answer.is_some_and(pg_error::is_connection_lost) {
            let table = self.targets.get(self.current);
            let table = table.map_or("a table", |target| target.table.as_str());
            return failed.error.context(format!("COPY into {table}"));
        }
        let refused = answer.map(|error| {
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
                    Some("53") => {
                        anyhow::Error::new(OutOfRoom(text.clone()))
                            .context(Problem::dependency(text).hint(
                            "give the server room; the build is dropped, the alias is untouched",
                        ))
                    }
                    _ => anyhow!(Problem::dependency(text)),
                }
            }
            None => failed.error,
        }
    }
}
