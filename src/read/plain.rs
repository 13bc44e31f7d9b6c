//! Cuts a chunk in which every delimiter and newline is one: without quoting, or without a quote.
//!
//! In: the bytes of a chunk and how many fields a record should have. Out: for each record where its
//! fields begin and end, found for the whole chunk before the first field is looked at. What is a
//! record and what is not must be exactly what [`Cutter`](super::delimited::Cutter) says; a property
//! test compares them.
//!
//! Two passes are faster than one: the first has no branch that depends on the bytes, and in the
//! second the fields of a record are a slice.

use super::dialect::Newline;
use super::marks::{BLOCK, equal};
use wide::u8x16;

/// Where fields begin and end: the start of the chunk, each delimiter and newline, and the end of
/// the chunk where no newline stands there.
#[derive(Debug, Default)]
pub struct Marks(Vec<Mark>);

/// The offset after a mark, times four; plus one for a newline, plus two for a `\r` before it.
#[derive(Debug, Clone, Copy)]
struct Mark(u32);

/// Offsets are multiplied by four.
const LONGEST: usize = (u32::MAX / 4) as usize - 2;

impl Mark {
    #[inline(always)]
    fn new(after: u32, newline: bool, returned: bool) -> Mark {
        Mark(after << 2 | u32::from(returned) << 1 | u32::from(newline))
    }

    /// Where the field after it begins.
    #[inline(always)]
    fn after(self) -> usize {
        (self.0 >> 2) as usize
    }

    /// Where the field before it ends.
    #[inline(always)]
    fn before(self) -> usize {
        ((self.0 >> 2) - 1 - (self.0 >> 1 & 1)) as usize
    }

    #[inline(always)]
    fn is_newline(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Marks {
    /// Finds the marks of a chunk, and forgets those of the chunk before. False if the chunk is too
    /// long for it.
    pub fn find(&mut self, bytes: &[u8], delimiter: u8, newline: Newline) -> bool {
        self.0.clear();
        if bytes.len() > LONGEST {
            return false;
        }
        self.0.push(Mark::new(0, true, false));
        let returns = newline == Newline::Lf && memchr::memchr(b'\r', bytes).is_some();
        match returns {
            true => self.scan::<true>(bytes, delimiter, newline.byte()),
            false => self.scan::<false>(bytes, delimiter, newline.byte()),
        }
        if bytes.last().is_some_and(|last| *last != newline.byte()) {
            self.0.push(Mark::new(bytes.len() as u32 + 1, true, false));
        }
        true
    }

    fn scan<const RETURNS: bool>(&mut self, bytes: &[u8], delimiter: u8, newline: u8) {
        let [delimiter, newline, returned] = [delimiter, newline, b'\r'].map(u8x16::splat);
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        let within = (1_u64 << rest.len()) - 1;
        let mut base = 0;
        // Whether the block before ended with a `\r`.
        let mut carried = 0;
        let all = blocks.iter().map(|block| (block, u64::MAX));
        for (block, within) in all.chain([(&last, within)]) {
            let newlines = equal(block, newline) & within;
            let mut marks = equal(block, delimiter) & within | newlines;
            let after_return = match RETURNS {
                true => {
                    let returns = equal(block, returned);
                    returns << 1 | std::mem::replace(&mut carried, returns >> 63)
                }
                false => 0,
            };
            // How many is known before, so that room is looked for once.
            self.0.extend((0..marks.count_ones()).map(|_| {
                let at = marks.trailing_zeros();
                marks &= marks.wrapping_sub(1);
                let is_newline = newlines >> at & 1 == 1;
                let returned = RETURNS && is_newline && after_return >> at & 1 == 1;
                Mark::new(base + at + 1, is_newline, returned)
            }));
            base += BLOCK as u32;
        }
    }

    /// Goes through the records of the chunk, which should have so many fields each.
    pub fn records<'c>(&'c self, bytes: &'c [u8], fields: usize) -> Records<'c> {
        Records {
            marks: &self.0,
            bytes,
            fields,
            at: 0,
            records: 0,
            lines: 0,
        }
    }
}

/// The records of a chunk, one after the other.
pub struct Records<'c> {
    marks: &'c [Mark],
    bytes: &'c [u8],
    fields: usize,
    at: usize,
    /// Records so far.
    pub records: u64,
    /// Line ends so far.
    pub lines: u64,
}

/// One record, or an empty line, which is none.
pub enum Line<'c> {
    /// As many fields as were asked for.
    Fields(PlainFields<'c>),
    Other {
        found: usize,
    },
    Empty,
}

/// The fields of one record.
#[derive(Clone, Copy)]
pub struct PlainFields<'c> {
    bytes: &'c [u8],
    marks: &'c [Mark],
}

impl<'c> PlainFields<'c> {
    /// Returns the bytes from the start of a field to the end of the chunk, and the length of the
    /// field.
    #[inline(always)]
    pub fn window(&self, index: usize) -> Option<(&'c [u8], usize)> {
        let [start, end] = self.marks.get(index..)?.first_chunk()?;
        let (start, end) = (start.after(), end.before());
        Some((self.bytes.get(start..)?, end.wrapping_sub(start)))
    }

    /// Returns the bytes of a field.
    pub fn get(&self, index: usize) -> &'c [u8] {
        self.window(index)
            .and_then(|(window, length)| window.get(..length))
            .unwrap_or_default()
    }
}

impl<'c> Records<'c> {
    /// Returns the next line, and the offset at which it begins.
    #[inline(always)]
    pub fn next(&mut self) -> Option<(usize, Line<'c>)> {
        let rest = self.marks.get(self.at..)?;
        let start = rest.first()?.after();
        if start >= self.bytes.len() {
            return None;
        }
        if let Some(marks) = rest.get(..=self.fields)
            && self.fields > 1
            && let Some((last, inner)) = marks[1..].split_last()
            && inner.iter().fold(0, |any, mark| any | mark.0) & 1 == 0
            && last.is_newline()
        {
            self.ended(self.fields, *last);
            let bytes = self.bytes;
            return Some((start, Line::Fields(PlainFields { bytes, marks })));
        }
        self.other(start, rest)
    }

    /// Whether the line last returned ended with a newline and not with the chunk.
    pub fn at_line_end(&self) -> bool {
        self.marks
            .get(self.at)
            .is_some_and(|mark| self.is_newline(*mark))
    }

    fn is_newline(&self, last: Mark) -> bool {
        last.after() <= self.bytes.len()
    }

    /// An empty line, another number of fields, or the one field of a table of one column.
    #[inline(never)]
    fn other(&mut self, start: usize, rest: &'c [Mark]) -> Option<(usize, Line<'c>)> {
        let found = rest[1..].iter().position(|mark| mark.is_newline())? + 1;
        let last = rest[found];
        self.ended(found, last);
        let at_newline = self.is_newline(last);
        let line = if found == 1 && last.before() == start && at_newline {
            self.records -= 1;
            Line::Empty
        } else if found == self.fields {
            let (bytes, marks) = (self.bytes, &rest[..=found]);
            Line::Fields(PlainFields { bytes, marks })
        } else {
            Line::Other { found }
        };
        Some((start, line))
    }

    #[inline(always)]
    fn ended(&mut self, marks: usize, last: Mark) {
        self.at += marks;
        self.records += 1;
        // The end of the chunk is a line end only if a newline stands there.
        self.lines += u64::from(self.is_newline(last));
    }
}
