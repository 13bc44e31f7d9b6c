//! One chunk to the batches of its targets: what a worker does, and nothing that waits.
//!
//! In: a chunk with its plan. Out: [`Encoded`]: counts and rejects of the chunk, and its rows: as one
//! batch, or routed to the leaves that the server would put them into. A row that no leaf takes is
//! a reject of its record, as the server would refuse it. For a text COPY the rows become lines at
//! the end: everything before it sees binary rows.

use super::batch::Records;
use super::budget::Share;
use super::buffers::Buffers;
use super::object::CutChunk;
use crate::encode::Type;
use crate::encode::line::put_lines;
use crate::encode::row::row_length;
use crate::measure::{Collector, RowShape};
use crate::read::parse::{Parsed, Reason, Reject, RowPlan, Scratch, parse};
use crate::read::records::each_place;
use crate::read::split::Chunk;
use crate::route::Router;
use crate::sort::{ChunkOrder, SortKey};
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A chunk that was parsed.
pub struct Encoded {
    pub plan: Arc<RowPlan>,
    /// Counts and rejects; its rows are in `pieces`.
    pub parsed: Parsed,
    /// Rejected records as they stand in the text, where the source asks for them.
    pub raw: Vec<(u64, String)>,
    pub pieces: Vec<Piece>,
    /// What is known of them.
    pub measured: Option<Collector>,
    /// Offset of the chunk in its decoded object or member.
    pub byte: u64,
    /// See [`CutChunk`].
    pub member: Option<Arc<str>>,
    pub begins: Option<u64>,
    /// How its rows follow each other in the table's key.
    pub order: Option<ChunkOrder>,
    /// What the worker spent on it.
    pub spent: Duration,
}

/// The rows of a chunk that go to one target.
pub struct Piece {
    pub target: usize,
    pub rows: Vec<u8>,
    pub row_count: u64,
    pub records: Records,
    pub share: Option<Share>,
}

/// What is done with the rows of every chunk of a table.
#[derive(Clone, Default)]
pub struct Treatment {
    pub router: Option<Arc<Router>>,
    /// The key whose order is watched.
    pub watched: Option<Arc<SortKey>>,
    /// Types of the columns, where rows are sent as text.
    pub lines: Option<Arc<[Type]>>,
    /// What the rows are measured by.
    pub shape: Option<Arc<RowShape>>,
    pub keep_raw: bool,
}

/// Parses a chunk and routes its rows.
///
/// # Errors
/// A row cannot be read again, which is a fault of this program.
pub fn encode(
    cut: CutChunk,
    treatment: &Treatment,
    buffers: &Buffers,
    scratch: &mut Scratch,
) -> Result<Encoded> {
    let began = Instant::now();
    let CutChunk {
        chunk,
        plan,
        mut share,
        member,
        begins,
    } = cut;
    let mut parsed = parse(&chunk, &plan, buffers.take(), scratch);
    let rows = std::mem::take(&mut parsed.rows);
    let watched = treatment.watched.as_ref();
    let order = watched.and_then(|key| order(&rows, parsed.last_row, chunk.byte, key));
    let mut pieces = match &treatment.router {
        None => vec![Piece {
            target: 0,
            row_count: parsed.row_count,
            records: Records::AllBut(std::mem::take(&mut parsed.rejected_records)),
            rows,
            share: None,
        }],
        Some(router) => {
            let pieces = routed(&rows, router, &chunk, &plan, &mut parsed);
            buffers.put(rows);
            pieces
        }
    };
    let measured = treatment.shape.as_ref().map(|shape| {
        let mut collector = Collector::new(shape);
        for piece in &pieces {
            collector.add_rows(&piece.rows);
        }
        collector
    });
    if let Some(types) = &treatment.lines {
        for piece in &mut pieces {
            piece.rows = lines(std::mem::take(&mut piece.rows), types, buffers)?;
        }
    }
    // What the rows need not goes back; with several pieces, all that no piece takes.
    match pieces.as_mut_slice() {
        [piece] => {
            share.shrink_to(piece.rows.len());
            piece.share = Some(share);
        }
        pieces => {
            for piece in pieces {
                piece.share = share.split(piece.rows.len());
            }
        }
    }
    let raw = match treatment.keep_raw && !parsed.rejects.is_empty() {
        true => raw_records(&chunk, &plan, &parsed.rejects),
        false => Vec::new(),
    };
    let byte = chunk.byte;
    buffers.put(chunk.bytes);
    Ok(Encoded {
        plan,
        parsed,
        raw,
        pieces,
        measured,
        byte,
        member,
        begins,
        order,
        spent: began.elapsed(),
    })
}

/// The records of rejects, without their line ends; bytes that are no UTF-8 as `\xE9`.
fn raw_records(chunk: &Chunk, plan: &RowPlan, rejects: &[Reject]) -> Vec<(u64, String)> {
    let mut wanted: Vec<u64> = rejects.iter().map(|reject| reject.record).collect();
    wanted.dedup();
    let mut wanted = wanted.into_iter().peekable();
    let mut found: Vec<(u64, u64, u64)> = Vec::new();
    each_place(chunk, plan, |place| {
        // A record ends where the next one begins; several records of one line begin together.
        for (_, start, end) in found.iter_mut().rev() {
            if *end > *start {
                break;
            }
            *end = place.byte;
        }
        if wanted.next_if_eq(&place.record).is_some() {
            found.push((place.record, place.byte, place.byte));
        }
    });
    let whole = chunk.bytes.len() as u64;
    let text = |(record, start, end): (u64, u64, u64)| {
        let end = if end > start { end } else { whole };
        let bytes = chunk.bytes.get(start as usize..end as usize);
        let bytes = bytes.unwrap_or_default().trim_ascii_end();
        let mut text = String::new();
        for part in bytes.utf8_chunks() {
            text.push_str(part.valid());
            text.extend(part.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
        }
        (record, text)
    };
    found.into_iter().map(text).collect()
}

/// Rows as the lines of a text COPY; their memory is used again.
pub fn lines(rows: Vec<u8>, types: &[Type], buffers: &Buffers) -> Result<Vec<u8>> {
    let mut lines = buffers.take();
    lines.clear();
    put_lines(&rows, types, &mut lines)?;
    buffers.put(rows);
    Ok(lines)
}

/// One chunk in so many is looked at row by row.
const LOOKED_AT: u64 = 8;
const CHUNK_BYTES: u64 = 256 << 10;

/// How the rows of a chunk follow each other: of every chunk the first and the last row, of one in
/// eight all of them. To look at every row would cost a tenth of the parsing.
fn order(rows: &[u8], last_row: usize, byte: u64, key: &SortKey) -> Option<ChunkOrder> {
    if (byte / CHUNK_BYTES).is_multiple_of(LOOKED_AT) {
        return ChunkOrder::of(rows, key);
    }
    let mut ends = rows.get(..row_length(rows)?)?.to_vec();
    ends.extend_from_slice(rows.get(last_row..)?);
    ChunkOrder::of(&ends, key)
}

/// Rows and record numbers that one leaf takes.
#[derive(Default)]
pub struct Taken {
    pub rows: Vec<u8>,
    pub records: Vec<u32>,
}

/// Takes each row to its leaf. Also returns the records that no leaf takes, with the table that
/// refuses them. `rejected`: records that gave no row, ascending.
pub fn split(rows: &[u8], router: &Router, rejected: &[u64]) -> (Vec<Taken>, Vec<(u64, String)>) {
    let leaves = router.leaves().len();
    let mut taken: Vec<Taken> = Vec::new();
    taken.resize_with(leaves, Taken::default);
    let mut nowhere = Vec::new();
    let mut rejected = rejected.iter().peekable();
    let (mut rest, mut record) = (rows, 0_u64);
    while let Some(length) = row_length(rest) {
        while rejected.next_if_eq(&&record).is_some() {
            record += 1;
        }
        let (row, after) = rest.split_at(length);
        match router.leaf(row) {
            Ok(leaf) => {
                if let Some(leaf) = taken.get_mut(leaf as usize) {
                    if leaf.rows.is_empty() {
                        leaf.rows.reserve(rows.len() / leaves.min(4) + length);
                    }
                    leaf.rows.extend_from_slice(row);
                    leaf.records.push(record as u32);
                }
            }
            Err(unrouted) => nowhere.push((record, unrouted.table.to_owned())),
        }
        rest = after;
        record += 1;
    }
    (taken, nowhere)
}

fn routed(
    rows: &[u8],
    router: &Router,
    chunk: &Chunk,
    plan: &RowPlan,
    parsed: &mut Parsed,
) -> Vec<Piece> {
    let (taken, nowhere) = split(rows, router, &parsed.rejected_records);
    if !nowhere.is_empty() {
        refuse(nowhere, chunk, plan, parsed);
    }
    let filled = taken.into_iter().enumerate();
    filled
        .filter(|(_, taken)| !taken.records.is_empty())
        .map(|(target, taken)| Piece {
            target,
            row_count: taken.records.len() as u64,
            share: None,
            rows: taken.rows,
            records: Records::These(taken.records),
        })
        .collect()
}

/// Turns rows that no leaf takes into rejects, with the places of their records.
fn refuse(nowhere: Vec<(u64, String)>, chunk: &Chunk, plan: &RowPlan, parsed: &mut Parsed) {
    let mut nowhere = nowhere.into_iter().peekable();
    each_place(chunk, plan, |place| {
        if let Some((record, table)) = nowhere.next_if(|(record, _)| *record == place.record) {
            parsed.row_count -= 1;
            parsed.refuse(Reject {
                record,
                line: place.line,
                byte: place.byte,
                column: None,
                reason: Reason::Nowhere { table },
            });
        }
    });
    parsed.in_order();
}
