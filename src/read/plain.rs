//! Cuts a chunk in which every delimiter and newline is one: without quoting, or without a quote.
//!
//! In: the bytes of a chunk and how many fields a record should have. Out: for each record where its
//! fields end, found for the whole chunk before the first field is looked at. What is a record and
//! what is not must be exactly what [`Cutter`](super::delimited::Cutter) says; a property test
//! compares them.
//!
//! Two passes are faster than one: the first has no branch that depends on the bytes, and in the
//! second the fields of a record are a slice.

use super::dialect::Newline;
use super::marks::{BLOCK, equal};
use wide::u8x16;

/// Where the fields and the lines of a chunk end.
#[derive(Debug, Default)]
pub struct Marks {
    /// Offsets at which fields end: of the delimiter or newline behind them, or of the `\r` before
    /// that, or of the end of the chunk.
    ends: Vec<u32>,
    lines: Vec<LineEnd>,
}

#[derive(Debug, Clone, Copy)]
struct LineEnd {
    /// Index of the end of its last field.
    last: u32,
    /// Where the next line begins: one behind the end of the chunk if no newline stands there.
    next: u32,
}

/// Offsets, and one more, are 32 bits.
const LONGEST: usize = u32::MAX as usize - 2 * BLOCK;

impl Marks {
    /// Finds the marks of a chunk, and forgets those of the chunk before. False if the chunk is too
    /// long for it.
    pub fn find(&mut self, bytes: &[u8], delimiter: u8, newline: Newline) -> bool {
        self.ends.clear();
        self.lines.clear();
        if bytes.len() > LONGEST {
            return false;
        }
        self.scan(bytes, delimiter, newline.byte());
        if bytes.last().is_some_and(|last| *last != newline.byte()) {
            self.lines.push(LineEnd {
                last: self.ends.len() as u32,
                next: bytes.len() as u32 + 1,
            });
            self.ends.push(bytes.len() as u32);
        }
        if newline == Newline::Lf && memchr::memchr(b'\r', bytes).is_some() {
            self.leave_returns(bytes);
        }
        true
    }

    fn scan(&mut self, bytes: &[u8], delimiter: u8, newline: u8) {
        let [delimiter, newline] = [delimiter, newline].map(u8x16::splat);
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        let within = (1_u64 << rest.len()) - 1;
        let mut base = 0;
        let all = blocks.iter().map(|block| (block, u64::MAX));
        for (block, within) in all.chain([(&last, within)]) {
            let mut newlines = equal(block, newline) & within;
            let mut marks = equal(block, delimiter) & within | newlines;
            while newlines != 0 {
                let at = newlines.trailing_zeros();
                let before = marks & ((1 << at) - 1);
                self.lines.push(LineEnd {
                    last: self.ends.len() as u32 + before.count_ones(),
                    next: base + at + 1,
                });
                newlines &= newlines - 1;
            }
            // How many is known before, so that room is looked for once.
            self.ends.extend((0..marks.count_ones()).map(|_| {
                let at = marks.trailing_zeros();
                marks &= marks.wrapping_sub(1);
                base + at
            }));
            base += BLOCK as u32;
        }
    }

    /// A `\r` before `\n` belongs to the line end. It is in the last field: it is no delimiter.
    fn leave_returns(&mut self, bytes: &[u8]) {
        for line in &self.lines {
            let is_newline = line.next as usize <= bytes.len();
            if let Some(end) = self.ends.get_mut(line.last as usize)
                && let Some(before) = end.checked_sub(1)
                && is_newline
                && bytes.get(before as usize) == Some(&b'\r')
            {
                *end = before;
            }
        }
    }

    /// Goes through the records of the chunk, which should have so many fields each.
    pub fn records<'c>(&'c self, bytes: &'c [u8], fields: usize) -> Records<'c> {
        Records {
            ends: &self.ends,
            lines: self.lines.iter(),
            bytes,
            fields,
            passed: 0,
            start: 0,
            records: 0,
            line_ends: 0,
            at_line_end: false,
        }
    }
}

/// The records of a chunk, one after the other.
pub struct Records<'c> {
    /// Of the fields not yet passed.
    ends: &'c [u32],
    lines: std::slice::Iter<'c, LineEnd>,
    bytes: &'c [u8],
    fields: usize,
    /// Fields passed so far.
    passed: usize,
    /// Where the next line begins.
    start: usize,
    /// Records so far.
    pub records: u64,
    /// Line ends so far.
    pub line_ends: u64,
    /// The last line ended with a newline and not with the chunk.
    pub at_line_end: bool,
}

/// One record, or an empty line, which is none.
pub enum Line<'c> {
    /// As many fields as were asked for.
    Fields(PlainFields<'c>),
    Other {
        found: usize,
        /// The last of them is empty.
        last_is_empty: bool,
    },
    Empty,
}

/// The fields of one record.
#[derive(Clone, Copy)]
pub struct PlainFields<'c> {
    pub bytes: &'c [u8],
    /// Where the first field begins.
    pub start: usize,
    /// Where each ends; the next begins one behind it.
    pub ends: &'c [u32],
}

impl<'c> PlainFields<'c> {
    /// Where a field begins and ends.
    #[inline(always)]
    pub fn place(&self, index: usize) -> Option<(usize, usize)> {
        let start = match index.checked_sub(1) {
            None => self.start,
            Some(before) => *self.ends.get(before)? as usize + 1,
        };
        Some((start, *self.ends.get(index)? as usize))
    }

    /// Whether the last field is empty.
    #[inline]
    pub fn last_is_empty(&self) -> bool {
        let last = self.ends.len().checked_sub(1);
        last.and_then(|last| self.place(last))
            .is_some_and(|(start, end)| start == end)
    }

    /// Returns the bytes of a field.
    pub fn get(&self, index: usize) -> &'c [u8] {
        self.place(index)
            .and_then(|(start, end)| self.bytes.get(start..end))
            .unwrap_or_default()
    }
}

impl<'c> Iterator for Records<'c> {
    /// A line, and the offset at which it begins.
    type Item = (usize, Line<'c>);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, Line<'c>)> {
        let line = self.lines.next()?;
        let found = line.last as usize + 1 - self.passed;
        let (ends, rest) = self.ends.split_at_checked(found)?;
        let (bytes, start) = (self.bytes, self.start);
        self.passed += found;
        self.ends = rest;
        self.start = line.next as usize;
        self.at_line_end = self.start <= bytes.len();
        self.line_ends += u64::from(self.at_line_end);
        if found == 1 && self.at_line_end && ends.first() == Some(&(start as u32)) {
            return Some((start, Line::Empty));
        }
        self.records += 1;
        let fields = PlainFields { bytes, start, ends };
        let line = match found == self.fields {
            true => Line::Fields(fields),
            false => Line::Other {
                found,
                last_is_empty: fields.last_is_empty(),
            },
        };
        Some((start, line))
    }
}
