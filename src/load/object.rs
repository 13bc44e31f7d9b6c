//! One raw object from its bytes to chunks: the part of the load that may block.
//!
//! Runs on a blocking thread of its own: takes blocks from the fetch, hashes and counts them,
//! decompresses, cuts into chunks. It takes each chunk's share of the memory before it fills the
//! chunk. When the other side goes away it stops with [`Stopped`], which is never the cause.

use super::budget::{Budget, Share};
use super::buffers::Buffers;
use super::plan::TablePlan;
use crate::fetch::{Digest, RawObject};
use crate::problem::Problem;
use crate::progress::TableProgress;
use crate::read::decode;
use crate::read::parse::{RowPlan, Scratch, parse};
use crate::read::split::{Chunk, SplitError, Splitter};
use crate::sort::{ChunkOrder, Order};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The other end of a channel has gone: another part of the run has failed, and says why.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// A chunk with the plan of its object and its share of the memory.
pub struct CutChunk {
    pub chunk: Chunk,
    pub plan: Arc<RowPlan>,
    pub share: Share,
    /// Lines of the object before the chunk's data began (the header), for the first chunk.
    pub lines_before: u64,
}

/// What was read of the object.
#[derive(Debug)]
pub struct ReadObject {
    pub bytes: u64,
    pub sha256: String,
    /// Nothing had come from the fetch yet.
    pub waiting_for_input_s: f64,
    /// Hashing, decompressing and cutting.
    pub busy_s: f64,
}

/// What the cutting of one object needs.
pub struct Cutting {
    pub plan: TablePlan,
    pub object: RawObject,
    pub blocks: mpsc::Receiver<Bytes>,
    pub chunks: mpsc::Sender<CutChunk>,
    pub budget: Budget,
    pub buffers: Buffers,
    pub chunk_bytes: usize,
    pub progress: Arc<TableProgress>,
    pub runtime: Handle,
}

impl Cutting {
    /// Reads the whole object; returns when its last chunk was handed on.
    pub fn run(self) -> Result<ReadObject> {
        let began = Instant::now();
        let mut idle_s = 0.0;
        let key = self.object.key.clone();
        let mut raw = RawReader {
            blocks: self.blocks,
            block: Bytes::new(),
            digest: Digest::new(&self.object),
            received: 0,
            expected: self.object.size,
            progress: self.progress,
            waiting_s: 0.0,
        };
        let dialect = &self.plan.source.dialect;
        {
            let (_, text) = decode::open(&mut raw).map_err(|error| placed(&key, error))?;
            let mut splitter = Splitter::new(text, dialect, self.chunk_bytes);
            let header = splitter
                .header()
                .map_err(|error| split_error(&key, error))?;
            let names = match (&self.plan.source.names, header) {
                (Some(names), _) => names.clone(),
                (None, Some(header)) => header,
                (None, None) => bail!(empty(&key)),
            };
            let plan = Arc::new(self.plan.row_plan(&names, &key)?);
            let share_bytes = (self.chunk_bytes as f64 * (1.0 + plan.expansion())) as usize;
            let mut lines_before = splitter.start().lines;
            loop {
                let waiting = Instant::now();
                let share = self.runtime.block_on(self.budget.take(share_bytes))?;
                idle_s += waiting.elapsed().as_secs_f64();
                let next = splitter
                    .next(self.buffers.take())
                    .map_err(|error| split_error(&key, error))?;
                let Some(chunk) = next else { break };
                // A record longer than a chunk makes the chunk longer. The share goes back before
                // the larger one is taken: two that grow while holding could wait for each other.
                let share = match chunk.bytes.len() > self.chunk_bytes {
                    false => share,
                    true => {
                        drop(share);
                        let bytes = chunk.bytes.len() as f64 * (1.0 + plan.expansion());
                        self.runtime.block_on(self.budget.take(bytes as usize))?
                    }
                };
                let cut = CutChunk {
                    chunk,
                    plan: Arc::clone(&plan),
                    share,
                    lines_before: std::mem::take(&mut lines_before),
                };
                let waiting = Instant::now();
                self.chunks.blocking_send(cut).map_err(|_| Stopped)?;
                idle_s += waiting.elapsed().as_secs_f64();
            }
        }
        // Whatever the container did not need is still part of the object.
        io::copy(&mut raw, &mut io::sink()).map_err(|error| placed(&key, error))?;
        let bytes = raw.received;
        let waiting_for_input_s = raw.waiting_s;
        let sha256 = raw
            .digest
            .finish()
            .with_context(|| format!("check `{key}`"))?;
        Ok(ReadObject {
            bytes,
            sha256,
            waiting_for_input_s,
            busy_s: began.elapsed().as_secs_f64() - idle_s - waiting_for_input_s,
        })
    }
}

fn placed(key: &str, error: io::Error) -> anyhow::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
        return anyhow!(Stopped);
    }
    anyhow::Error::new(error).context(unreadable(key))
}

fn unreadable(key: &str) -> Problem {
    Problem::refused(format!("read `{key}`"))
        .hint("ask whoever delivers the file for a whole one; nothing was published")
}

fn empty(key: &str) -> Problem {
    Problem::refused(format!("`{key}` is empty: expected at least a header"))
        .hint("an empty delivery is not a night's data; nothing was published")
}

fn split_error(key: &str, error: SplitError) -> anyhow::Error {
    match error {
        SplitError::Io(error) => placed(key, error),
        SplitError::RecordTooLong { .. } => anyhow::Error::new(error).context(
            Problem::refused(format!("read `{key}`"))
                .hint("look for a quote that is not closed; `max_record_bytes` under [format] allows longer records"),
        ),
        other => anyhow::Error::new(other).context(unreadable(key)),
    }
}

/// The blocks of the fetch as a stream of bytes, counted and hashed.
struct RawReader {
    blocks: mpsc::Receiver<Bytes>,
    block: Bytes,
    digest: Digest,
    received: u64,
    expected: u64,
    progress: Arc<TableProgress>,
    waiting_s: f64,
}

impl Read for RawReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            let waiting = Instant::now();
            let next = self.blocks.blocking_recv();
            self.waiting_s += waiting.elapsed().as_secs_f64();
            match next {
                Some(block) => {
                    self.digest.update(&block);
                    self.received += block.len() as u64;
                    self.progress
                        .bytes
                        .fetch_add(block.len() as u64, Ordering::Relaxed);
                    self.block = block;
                }
                // The fetch ends only when every byte was sent; an earlier end is its failure.
                None if self.received == self.expected => return Ok(0),
                None => return Err(io::Error::other(Stopped)),
            }
        }
        let count = out.len().min(self.block.len());
        out[..count].copy_from_slice(&self.block.split_to(count));
        Ok(count)
    }
}

/// What is looked at of the text of an object before the load, at most.
const PEEK_BYTES: usize = 16 << 10;

/// Reads the header of an object from its first bytes, to find a file that does not fit before
/// anything is loaded. Returns how its first rows follow each other in the table's key, where that
/// can be told.
pub fn peek(plan: &TablePlan, key: &str, start: &[u8]) -> Result<Option<Order>> {
    let (_, text) = decode::open(start).map_err(|error| placed(key, error))?;
    let mut splitter = Splitter::new(text, &plan.source.dialect, PEEK_BYTES);
    let names = match &plan.source.names {
        Some(names) => names.clone(),
        None => splitter
            .header()
            .map_err(|error| split_error(key, error))?
            .with_context(|| empty(key))?,
    };
    let rows = plan.row_plan(&names, key)?;
    let Some(watched) = &plan.watched else {
        return Ok(None);
    };
    // The start is cut off somewhere; what is wrong with the records is for the load to say.
    let Ok(Some(chunk)) = splitter.next(Vec::new()) else {
        return Ok(None);
    };
    let parsed = parse(&chunk, &rows, Vec::new(), &mut Scratch::default());
    Ok(ChunkOrder::of(&parsed.rows, &watched.key).map(|chunk| chunk.order()))
}
