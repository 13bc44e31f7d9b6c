//! One raw object from its bytes to chunks: the part of the load that may block.
//!
//! Runs on a blocking thread of its own: takes blocks from the fetch, hashes and counts them, opens
//! containers, cuts each member into chunks. It takes each chunk's share of the memory before it fills the
//! chunk. When the other side goes away it stops with `Stopped`, which is never the cause.

use super::budget::{Budget, Share};
use super::buffers::Buffers;
use super::cause::Stopped;
use super::plan::TablePlan;
use crate::dataset::Format;
use crate::fetch::{Digest, RawObject};
use crate::printable::Printable;
use crate::problem::Problem;
use crate::progress::TableProgress;
use crate::read::container::{self, Content, Limits, Opening, Refusal, Unreadable};
use crate::read::parse::{RowPlan, Scratch, parse};
use crate::read::split::{Chunk, SplitError, Splitter};
use crate::read::text;
use crate::read::value::Numbered;
use crate::sort::{ChunkOrder, Order};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A chunk with the plan of its object and its share of the memory.
pub struct CutChunk {
    pub chunk: Chunk,
    pub plan: Arc<RowPlan>,
    pub share: Share,
    /// The member of the archive that it is part of; none where the object is no archive.
    pub member: Option<Arc<str>>,
    /// For the first chunk of an object or member: the lines before its data (the header).
    pub begins: Option<u64>,
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
    /// Folder for archives that are read from their ends.
    pub temporary: PathBuf,
    /// Threads that may unpack an object compressed in pieces.
    pub unpacking_threads: usize,
}

impl Cutting {
    /// Reads the whole object; returns when its last chunk was handed on.
    pub fn run(self) -> Result<ReadObject> {
        let began = Instant::now();
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
        let mut cut = MemberCutting {
            plan: &self.plan,
            key: &key,
            chunks: &self.chunks,
            budget: &self.budget,
            buffers: &self.buffers,
            chunk_bytes: self.chunk_bytes,
            runtime: &self.runtime,
            temporary: &self.temporary,
            idle_s: 0.0,
        };
        let opening = opening(&self.plan, self.temporary.clone(), self.unpacking_threads);
        let members = &self.plan.source.members;
        container::read(&mut raw, members, &opening, &mut |member, data| {
            cut.member(member, data)
        })
        .map_err(|error| unreadable(&key, error))?;
        let idle_s = cut.idle_s;
        // Whatever the container did not need is still part of the object.
        io::copy(&mut raw, &mut io::sink()).map_err(|error| placed(&key, error))?;
        let bytes = raw.received;
        let waiting_for_input_s = raw.waiting_s;
        let sha256 = raw
            .digest
            .finish()
            .with_context(|| format!("check `{}`", Printable(&key)))?;
        Ok(ReadObject {
            bytes,
            sha256,
            waiting_for_input_s,
            busy_s: began.elapsed().as_secs_f64() - idle_s - waiting_for_input_s,
        })
    }
}

/// How the objects of a source are opened.
fn opening(plan: &TablePlan, temporary: PathBuf, threads: usize) -> Opening {
    let source = &plan.source;
    let default = Limits::default();
    let said = source.unpacking;
    Opening {
        content: match source.format {
            Format::Parquet => Content::Parquet,
            Format::Xlsx { .. } => Content::Xlsx,
            _ => Content::Text,
        },
        limits: Limits {
            expanded_bytes: said.max_expanded_bytes.unwrap_or(default.expanded_bytes),
            expansion: said.max_expansion.unwrap_or(default.expansion),
            members: said.max_members.unwrap_or(default.members),
        },
        temporary,
        threads,
    }
}

/// What the cutting of each member of one object needs.
struct MemberCutting<'c> {
    plan: &'c TablePlan,
    key: &'c str,
    chunks: &'c mpsc::Sender<CutChunk>,
    budget: &'c Budget,
    buffers: &'c Buffers,
    chunk_bytes: usize,
    runtime: &'c Handle,
    /// Folder for files that must be there whole.
    temporary: &'c Path,
    /// Waited for memory, and for whoever takes chunks.
    idle_s: f64,
}

impl MemberCutting<'_> {
    /// Cuts one member, with its own header.
    fn member(&mut self, member: Option<&str>, text: &mut (dyn Read + Send)) -> Result<()> {
        let place = match member {
            Some(member) => format!("{}!{member}", self.key),
            None => self.key.to_owned(),
        };
        let member: Option<Arc<str>> = member.map(Arc::from);
        let source = &self.plan.source;
        let text = text::open(text, &self.plan.text_format(), self.temporary)
            .map_err(|error| placed(&place, error))?;
        let mut splitter = Splitter::new(text.reader, &source.dialect, self.chunk_bytes);
        let header = splitter
            .header()
            .map_err(|error| split_error(&place, error))?;
        let names = match (&source.names, header) {
            (Some(names), _) => names.clone(),
            (None, Some(header)) => header,
            (None, None) => bail!(empty(&place)),
        };
        let mut plan = self.plan.row_plan(&names, &place)?;
        plan.faults = text.faults;
        let plan = Arc::new(plan);
        let mut plans = Numbered::new(Arc::clone(&plan));
        let share_bytes = (self.chunk_bytes as f64 * (1.0 + plan.expansion())) as usize;
        let mut begins = Some(splitter.start().lines);
        loop {
            let share =
                self.waiting(|this| this.runtime.block_on(this.budget.take(share_bytes)))?;
            let next = splitter
                .next(self.buffers.take())
                .map_err(|error| split_error(&place, error))?;
            let Some(chunk) = next else { return Ok(()) };
            // A record longer than a chunk makes the chunk longer, and many short records may grow more
            // than most do. The share goes back before the larger one is taken: two that grow while
            // holding could wait for each other.
            let most = chunk.bytes.len() + plan.most_bytes(&chunk.bytes);
            let share = match most > share_bytes {
                false => share,
                true => {
                    drop(share);
                    self.runtime.block_on(self.budget.take(most))?
                }
            };
            let cut = CutChunk {
                plan: plans.of(&chunk),
                chunk,
                share,
                member: member.clone(),
                begins: begins.take(),
            };
            self.waiting(|this| this.chunks.blocking_send(cut).map_err(|_| Stopped))?;
        }
    }

    fn waiting<T>(&mut self, wait: impl FnOnce(&Self) -> T) -> T {
        let waiting = Instant::now();
        let done = wait(self);
        self.idle_s += waiting.elapsed().as_secs_f64();
        done
    }
}

fn placed(place: &str, error: io::Error) -> anyhow::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
        return anyhow!(Stopped);
    }
    let inner = error.get_ref();
    if let Some(refusal) = inner.and_then(|inner| inner.downcast_ref::<Refusal>()) {
        return refused(place, refusal.clone());
    }
    anyhow::Error::new(error).context(not_whole(place))
}

fn refused(place: &str, refusal: Refusal) -> anyhow::Error {
    let hint = format!("{}; nothing was published", refusal.hint);
    let problem = Problem::refused(format!("read `{}`", Printable(place))).hint(hint);
    anyhow::Error::new(refusal).context(problem)
}

fn unreadable(key: &str, error: Unreadable) -> anyhow::Error {
    let place = |member: Option<String>| match member {
        Some(member) => format!("{key}!{member}"),
        None => key.to_owned(),
    };
    match error {
        Unreadable::Raw(error) => placed(key, error),
        Unreadable::Data { member, source } => placed(&place(member), source),
        Unreadable::Refused { member, refusal } => refused(&place(member), refusal),
        Unreadable::Spool { .. } => {
            let problem = Problem::dependency(format!("read `{}`", Printable(key)))
                .hint("`temporary` names the folder for temporary files: it needs room for the archives being read");
            anyhow::Error::new(error).context(problem)
        }
        Unreadable::Taker(error) => error,
    }
}

fn not_whole(place: &str) -> Problem {
    Problem::refused(format!("read `{}`", Printable(place)))
        .hint("ask whoever delivers the file for a whole one; nothing was published")
}

fn empty(place: &str) -> Problem {
    Problem::refused(format!(
        "`{}` is empty: expected at least a header",
        Printable(place)
    ))
    .hint("an empty delivery is not a night's data; nothing was published")
}

fn split_error(place: &str, error: SplitError) -> anyhow::Error {
    match error {
        SplitError::Io(error) => placed(place, error),
        SplitError::RecordTooLong { .. } => anyhow::Error::new(error).context(
            Problem::refused(format!("read `{}`", Printable(place)))
                .hint("look for a quote that is not closed; `max_record_bytes` under [format] allows longer records"),
        ),
        SplitError::UnclosedQuote { .. } => anyhow::Error::new(error).context(
            Problem::refused(format!("read `{}`", Printable(place))).hint(
                "if quotes are data in this file, say `quote = \"none\"` under [format]; otherwise ask whoever delivers it for a whole one",
            ),
        ),
        other => anyhow::Error::new(other).context(not_whole(place)),
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

/// How much of an object is fetched to look at it before the load.
pub const START_BYTES: u64 = 256 << 10;

/// What is looked at of the text of an object before the load, at most.
const PEEK_BYTES: usize = 16 << 10;

/// Reads the header of an object from its first bytes, to find a file that does not fit before
/// anything is loaded. Returns how its first rows follow each other in the table's key, where that
/// can be told. An archive can tell nothing before it is there as a whole.
pub fn peek(plan: &TablePlan, key: &str, start: &[u8]) -> Result<Option<Order>> {
    let opening = opening(plan, PathBuf::new(), 0);
    let text = container::read_start(start, &plan.source.members, &opening)
        .map_err(|error| unreadable(key, error))?;
    let Some(text) = text else { return Ok(None) };
    let text =
        text::open(text, &plan.text_format(), Path::new("")).map_err(|error| placed(key, error))?;
    let mut splitter = Splitter::new(text.reader, &plan.source.dialect, PEEK_BYTES);
    let names = match &plan.source.names {
        Some(names) => names.clone(),
        None => match splitter.header() {
            // The header is longer than the start.
            Err(SplitError::Io(error))
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && start.len() as u64 >= START_BYTES =>
            {
                return Ok(None);
            }
            header => header
                .map_err(|error| split_error(key, error))?
                .with_context(|| empty(key))?,
        },
    };
    let mut rows = plan.row_plan(&names, key)?;
    rows.faults = text.faults;
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
