//! The lines of a chunk that are records: where a record is a line, and no quote hides its end.
//!
//! In: a chunk. Out: each line without its end. Which lines are records must be exactly what the
//! splitter and [`Cutter`](super::delimited::Cutter) say: empty lines and comments are none, and
//! count as lines.

use memchr::memchr;

use super::delimited::Place;
use super::dialect::{Dialect, Newline};
use super::split::Chunk;

/// Goes through the lines of one chunk.
pub(super) struct Lines<'c> {
    pub(super) bytes: &'c [u8],
    newline: Newline,
    comment: Option<Vec<u8>>,
    position: usize,
    records: u64,
    lines: u64,
}

impl<'c> Lines<'c> {
    pub(super) fn new(chunk: &'c Chunk, dialect: &Dialect) -> Self {
        Lines {
            bytes: &chunk.bytes,
            newline: chunk.newline,
            comment: dialect.comment.clone(),
            position: 0,
            records: 0,
            lines: 0,
        }
    }

    /// Line ends so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Records so far.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Returns the place of the next record and where its line ends, without the line end.
    pub(super) fn next(&mut self) -> Option<(Place, usize)> {
        loop {
            let rest = self.bytes.get(self.position..)?;
            if rest.is_empty() {
                return None;
            }
            let place = Place {
                record: self.records,
                line: self.lines,
                byte: self.position as u64,
            };
            let found = memchr(self.newline.byte(), rest);
            let line = &rest[..found.unwrap_or(rest.len())];
            self.position += line.len() + usize::from(found.is_some());
            self.lines += u64::from(found.is_some());
            let returned = found.is_some() && self.newline == Newline::Lf && line.ends_with(b"\r");
            let length = line.len() - usize::from(returned);
            let is_comment = |comment: &Vec<u8>| line.starts_with(comment);
            if (length == 0 && found.is_some()) || self.comment.as_ref().is_some_and(is_comment) {
                continue;
            }
            self.records += 1;
            return Some((place, place.byte as usize + length));
        }
    }
}
