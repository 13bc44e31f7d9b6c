//! Records of one chunk to encoded rows: a pure function, run on many chunks at once.
//!
//! In: a [`Chunk`] and the [`RowPlan`] of its object. Out: [`Parsed`]: finished COPY binary rows
//! and the rejects, both in the order of the records. Places in it count from the chunk's start;
//! whoever consumes the chunks in order adds what came before. No value of the data is kept in a
//! reject.

use super::delimited::{CutFault, Fields};
use super::dialect::{Dialect, Escape, Shape};
use super::encoding::Encoding;
use super::faults::{Faults, Why};
use super::nulls::Nulls;
use super::plain::{self, Line, Marks};
use super::records::{Cut, CutRecords, WithRecords, with_records};
use super::row::{Refused, RowEncoder, RowScratch};
use super::row_buffer::RowBuffer;
use super::split::Chunk;
use super::value::{Misspelt, Spelling};
use crate::encode::{Fault, Type};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Rejects of one source that are kept with their places; further ones are only counted.
pub const MAX_LISTED_REJECTS: usize = 100_000;

/// How the fields of one object become the columns of one table.
#[derive(Debug, Clone)]
pub struct RowPlan {
    pub dialect: Dialect,
    /// Fields that every record must have.
    pub fields: usize,
    /// In the order of the COPY column list.
    pub columns: Vec<ColumnPlan>,
    /// Why bytes FF stand in the text, where it is not the file itself.
    pub faults: Option<Arc<Faults>>,
}

/// One column of the row.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    pub name: String,
    /// Index of its field in the record; 0 for a column that is filled otherwise.
    pub field: usize,
    pub not_null: bool,
    /// Texts that mean NULL.
    pub nulls: Nulls,
    /// How its values come about, where they are not as the server spells them.
    pub spelling: Option<Arc<Spelling>>,
    pub ty: Type,
}

impl RowPlan {
    /// Most encoded bytes that one byte of input can become where every record has all its fields:
    /// the memory that a chunk may need.
    ///
    /// A value of `n` bytes encodes to at most its type's expansion times `n + 1`, the one being
    /// its delimiter; so the widest field bounds the row. The field count adds two bytes a row.
    pub fn expansion(&self) -> f64 {
        let by_field = self.by_field();
        let widest = by_field
            .iter()
            .fold(0.0, |most: f64, field| most.max(*field));
        widest + self.more_bytes() / by_field.len() as f64
    }

    /// Most bytes that the rows of a chunk can take. Where a record may lack fields, or has no
    /// delimiters, a short record costs a length word for each column that no byte of text paid for.
    pub fn most_bytes(&self, text: &[u8]) -> usize {
        let per_byte = match &self.dialect.shape {
            // Places may lie over each other.
            Shape::FixedWidth(layout) => self.expansion() * layout.overlap(),
            _ => self.expansion(),
        };
        let unpaid = match &self.dialect.shape {
            Shape::Delimited if !self.dialect.pad_short => 0.0,
            _ => {
                let each: f64 = self.columns.iter().map(|column| column.expansion()).sum();
                let ends = memchr::memchr2_iter(b'\n', b'\r', text).count();
                (ends + 1) as f64 * (each + self.more_bytes())
            }
        };
        (per_byte * text.len() as f64 + unpaid) as usize
    }

    /// For each field, what one byte of it can become in all columns that read it.
    fn by_field(&self) -> Vec<f64> {
        let mut by_field = vec![0.0; self.fields.max(1)];
        for column in &self.columns {
            let fields = match &column.spelling {
                None => &[column.field][..],
                Some(spelling) => spelling.fields(&column.field),
            };
            for field in fields {
                if let Some(sum) = by_field.get_mut(*field) {
                    *sum += column.expansion();
                }
            }
        }
        by_field
    }

    /// What a record becomes beside its text.
    fn more_bytes(&self) -> f64 {
        let spellings = self
            .columns
            .iter()
            .filter_map(|column| column.spelling.as_ref());
        2.0 + spellings
            .map(|spelling| spelling.more_bytes())
            .sum::<usize>() as f64
    }
}

impl ColumnPlan {
    /// What one byte of its text can become.
    fn expansion(&self) -> f64 {
        let from_text = self.ty.expansion();
        match &self.spelling {
            None => from_text,
            // A digit that is a time since 1970, or an hour, is 12 bytes for 1 + 1.
            Some(spelling) if spelling.parses() => from_text.max(6.0) + spelling.more_each() as f64,
            Some(spelling) => from_text + spelling.more_each() as f64,
        }
    }
}

/// What one chunk became.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// COPY binary rows, without header and trailer.
    pub rows: Vec<u8>,
    /// Where in `rows` the last one begins.
    pub last_row: usize,
    pub row_count: u64,
    pub records: u64,
    pub lines: u64,
    pub rejected: u64,
    /// Records that the source file says to leave out.
    pub skipped: u64,
    /// Every record that gave no row, counted from the start of the chunk: a row is traced past them.
    pub rejected_records: Vec<u64>,
    /// One for each fault, so several for some records; at most [`MAX_LISTED_REJECTS`].
    pub rejects: Vec<Reject>,
}

/// A record that cannot become a row, and one thing that is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reject {
    /// Counted from the start of the chunk, the first is 0.
    pub record: u64,
    /// Lines before the record, from the start of the chunk.
    pub line: u64,
    /// Bytes before the record, from the start of the chunk.
    pub byte: u64,
    /// Index into [`RowPlan::columns`].
    pub column: Option<usize>,
    pub reason: Reason,
}

/// Why a record was rejected.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    Fields {
        found: usize,
        wanted: usize,
    },
    Cut(super::delimited::CutFault),
    /// A byte that the encoding does not define. Of a chunk being parsed it counts from its start,
    /// of a parsed one from the start of the decompressed file; none if there were too many to know.
    Encoding {
        byte: Option<u64>,
        encoding: Encoding,
    },
    /// What the file holds there is no value, in the words of whoever made text of it.
    Said(Cow<'static, str>),
    Null,
    /// Not spelled as its source declares.
    Spelling(Misspelt),
    Value(Fault),
    /// No partition of this table takes the row.
    Nowhere {
        table: String,
    },
}

impl Reason {
    /// One word for all reasons of a kind, to count by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Reason::Fields { .. } => "fields",
            Reason::Cut(_) => "quoting",
            Reason::Encoding { .. } => "encoding",
            Reason::Said(_) => "unreadable",
            Reason::Null => "null",
            Reason::Spelling(_) => "spelling",
            Reason::Value(_) => "value",
            Reason::Nowhere { .. } => "partition",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Fields { found, wanted } => write!(f, "has {found} fields, expected {wanted}"),
            Reason::Cut(fault) => fault.fmt(f),
            Reason::Encoding { byte, encoding } => match byte {
                Some(byte) => {
                    let label = encoding.label();
                    write!(f, "is not valid {label} at byte {byte} of the file")
                }
                None => write!(f, "is not valid {}", encoding.label()),
            },
            Reason::Said(said) => f.write_str(said),
            Reason::Null => f.write_str("is null, and the column is declared not null"),
            Reason::Spelling(misspelt) => misspelt.fmt(f),
            Reason::Nowhere { table } => {
                write!(f, "belongs to no partition: none of `{table}` takes it")
            }
            Reason::Value(fault) => write!(f, "{fault}, expected {}", fault.expected()),
        }
    }
}

/// Memory that one chunk leaves to the next, of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    marks: Marks,
    row: RowScratch,
}

/// Parses and encodes every record of a chunk. `memory` is used for the rows and comes back as
/// [`Parsed::rows`].
pub fn parse(chunk: &Chunk, plan: &RowPlan, memory: Vec<u8>, scratch: &mut Scratch) -> Parsed {
    parse_with(chunk, plan, memory, scratch, true)
}

/// `quick`: go the quick way where the chunk allows it.
pub(super) fn parse_with(
    chunk: &Chunk,
    plan: &RowPlan,
    memory: Vec<u8>,
    scratch: &mut Scratch,
    quick: bool,
) -> Parsed {
    let bytes = &chunk.bytes;
    // One check for the whole chunk is several times cheaper than one for each field.
    let is_text = plan.dialect.encoding.is_text(bytes);
    let as_it_is = is_text && memchr::memchr(0, bytes).is_none() && !writes_nul(chunk, plan);
    let mut parsed = Parsed::default();
    let mut rows = RowBuffer::new(memory, bytes.len() * 5 / 2);
    let mut row = RowEncoder::new(plan, as_it_is, &mut scratch.row);
    let marks = &mut scratch.marks;
    let trailing = plan.dialect.trailing_delimiter;
    if quick
        && as_it_is
        && is_plain(chunk, plan)
        && marks.find(bytes, plan.dialect.delimiter, chunk.newline)
    {
        let records = marks.records(bytes, plan.fields + usize::from(trailing));
        match trailing {
            false => plain::<false>(records, plan, &mut row, &mut rows, &mut parsed),
            true => plain::<true>(records, plan, &mut row, &mut rows, &mut parsed),
        }
    } else {
        let careful = Careful {
            row: &mut row,
            rows: &mut rows,
            parsed: &mut parsed,
        };
        with_records(chunk, plan, careful);
    }
    (parsed.rows, parsed.last_row) = rows.finish();
    for reject in &mut parsed.rejects {
        in_the_file(&mut reject.reason, chunk.byte, plan);
    }
    parsed
}

/// Goes through a chunk in which every delimiter and newline is one. `TRAILING`: a record has one
/// delimiter, and so one empty field, more.
#[inline(always)]
fn plain<const TRAILING: bool>(
    mut records: plain::Records,
    plan: &RowPlan,
    row: &mut RowEncoder,
    rows: &mut RowBuffer,
    parsed: &mut Parsed,
) {
    while let Some((byte, line)) = records.next() {
        row.record = records.records;
        let outcome = match line {
            Line::Fields(fields) if TRAILING && !fields.last_is_empty() => {
                Err(Reason::Cut(CutFault::NoTrailingDelimiter).into())
            }
            Line::Fields(fields) => row.plain(fields, rows),
            Line::Other { last_is_empty, .. } if TRAILING && !last_is_empty => {
                Err(Reason::Cut(CutFault::NoTrailingDelimiter).into())
            }
            Line::Other { found, .. } => {
                let (found, wanted) = (found - usize::from(TRAILING), plan.fields);
                Err(Reason::Fields { found, wanted }.into())
            }
            Line::Empty => continue,
        };
        match outcome {
            Ok(()) => parsed.row_count += 1,
            Err(why) => {
                let record = records.records - 1;
                // Without quoting a record ends with the line.
                let ended = records.line_ends - u64::from(records.at_line_end);
                parsed.reject((record, ended, byte as u64), why);
            }
        }
    }
    parsed.records = records.records;
    parsed.lines = records.line_ends;
}

/// The way for every chunk that is not plain, and for every other format.
struct Careful<'r, 'p> {
    row: &'r mut RowEncoder<'p>,
    rows: &'r mut RowBuffer,
    parsed: &'r mut Parsed,
}

impl WithRecords for Careful<'_, '_> {
    fn with<'c>(self, mut cutter: impl CutRecords<'c>) {
        let mut fields = Fields::default();
        while let Some((place, cut)) = cutter.next(&mut fields) {
            self.row.record = place.record + 1;
            let outcome = match cut {
                Cut::Fields => self.row.cut(&fields, self.rows),
                Cut::Fault(fault) => Err(Reason::Cut(fault).into()),
                Cut::Skipped => {
                    self.parsed.skipped += 1;
                    self.parsed.rejected_records.push(place.record);
                    continue;
                }
            };
            match outcome {
                Ok(()) => self.parsed.row_count += 1,
                Err(why) => self
                    .parsed
                    .reject((place.record, place.line, place.byte), why),
            }
        }
        self.parsed.records = cutter.records();
        self.parsed.lines = cutter.lines();
    }
}

/// An escape of JSON can write the one character that a chunk without NUL must not hold.
fn writes_nul(chunk: &Chunk, plan: &RowPlan) -> bool {
    matches!(plan.dialect.shape, Shape::JsonLines(_))
        && memchr::memmem::find(&chunk.bytes, b"\\u0000").is_some()
}

/// Turns a place in the chunk into one in the file, or the reason that is known for it.
fn in_the_file(reason: &mut Reason, before: u64, plan: &RowPlan) {
    let Reason::Encoding { byte, .. } = reason else {
        return;
    };
    *byte = byte.map(|byte| before + byte);
    let Some(faults) = &plan.faults else { return };
    match byte.and_then(|byte| faults.at(byte)) {
        Some(Why::Said(said)) => *reason = Reason::Said(said),
        Some(Why::Byte(in_the_file)) => *byte = Some(in_the_file),
        None => *byte = None,
    }
}

/// Every delimiter and newline of the chunk is one: no quote or escape says otherwise.
fn is_plain(chunk: &Chunk, plan: &RowPlan) -> bool {
    let dialect = &plan.dialect;
    if dialect.shape != Shape::Delimited || dialect.pad_short || has_comment(chunk, dialect) {
        return false;
    }
    let special = match (plan.dialect.quote, plan.dialect.escape) {
        (None, Escape::Doubled) => return true,
        (None, Escape::Backslash) => b'\\',
        // Outside quotes nothing is escaped.
        (Some(quote), _) => quote,
    };
    memchr::memchr(special, &chunk.bytes).is_none()
}

/// A line of the chunk begins as a comment does.
fn has_comment(chunk: &Chunk, dialect: &Dialect) -> bool {
    let Some(comment) = &dialect.comment else {
        return false;
    };
    let bytes = &chunk.bytes;
    memchr::memmem::find_iter(bytes, comment).any(|at| {
        at.checked_sub(1)
            .is_none_or(|before| bytes[before] == chunk.newline.byte())
    })
}

impl Parsed {
    /// Remembers a record and everything that is wrong with it.
    #[cold]
    fn reject(&mut self, (record, line, byte): (u64, u64, u64), Refused(faults): Refused) {
        self.rejected += 1;
        self.rejected_records.push(record);
        for (column, reason) in faults {
            self.list(Reject {
                record,
                line,
                byte,
                column,
                reason,
            });
        }
    }

    /// Remembers a record that gave no row. Whoever refuses one that was parsed well takes its row
    /// back, and calls [`Parsed::in_order`] when all are refused.
    pub fn refuse(&mut self, reject: Reject) {
        self.rejected += 1;
        self.rejected_records.push(reject.record);
        self.list(reject);
    }

    fn list(&mut self, reject: Reject) {
        if self.rejects.len() < MAX_LISTED_REJECTS {
            self.rejects.push(reject);
        }
    }

    /// Puts what was refused later to its place.
    pub fn in_order(&mut self) {
        self.rejected_records.sort_unstable();
        self.rejects.sort_by_key(|reject| reject.record);
    }
}
