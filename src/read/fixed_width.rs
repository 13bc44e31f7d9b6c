//! Records whose fields are places in a line.
//!
//! In: a chunk and a [`FixedWidth`] layout, which counts bytes or characters from zero. Out: the
//! fields of each line. A line may end before its last field only where short rows are padded; text
//! behind the last field is a fault, because a layout that is too short would lose it silently.

use super::delimited::{CutFault, Fields, Place};
use super::dialect::Dialect;
use super::encoding::Encoding;
use super::lines::Lines;
use super::records::{Cut, CutRecords};
use super::split::Chunk;

/// Where the fields of a record are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedWidth {
    pub extents: Vec<Extent>,
    /// Starts and lengths count characters, not bytes.
    pub chars: bool,
    /// Blanks around a value are no part of it.
    pub trim: bool,
    pub record_type: Option<RecordType>,
}

impl FixedWidth {
    /// How often a byte of a line is read on average; 1 where places lie side by side.
    pub(super) fn overlap(&self) -> f64 {
        let lengths: usize = self.extents.iter().map(|extent| extent.length).sum();
        let end = self.extents.iter().map(|extent| extent.end()).max();
        (lengths as f64 / end.unwrap_or_default().max(1) as f64).max(1.0)
    }
}

/// A place in a line, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub start: usize,
    pub length: usize,
}

impl Extent {
    fn end(self) -> usize {
        self.start.saturating_add(self.length)
    }
}

/// Only records with one of these values there are the source's; the others are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordType {
    pub extent: Extent,
    /// ASCII, without blanks around them.
    pub values: Vec<Vec<u8>>,
}

/// Cuts the lines of one chunk.
pub(super) struct FixedCutter<'c, 'p> {
    lines: Lines<'c>,
    layout: &'p FixedWidth,
    end: usize,
    pad: bool,
    /// Characters and bytes are not the same.
    by_char: bool,
    /// Where the characters of the line begin.
    chars: Vec<usize>,
}

impl<'c, 'p> FixedCutter<'c, 'p> {
    pub(super) fn new(chunk: &'c Chunk, dialect: &Dialect, layout: &'p FixedWidth) -> Self {
        let one_byte = matches!(
            dialect.encoding,
            Encoding::Ascii | Encoding::Iso8859_1 | Encoding::Windows1252
        );
        let ends = layout.extents.iter().map(|extent| extent.end());
        FixedCutter {
            lines: Lines::new(chunk, dialect),
            layout,
            end: ends.max().unwrap_or_default(),
            pad: dialect.pad_short,
            by_char: layout.chars && !one_byte && !chunk.bytes.is_ascii(),
            chars: Vec::new(),
        }
    }

    fn cut(&mut self, start: usize, end: usize, fields: &mut Fields<'c>) -> Cut {
        let line = &self.lines.bytes[start..end];
        let mut length = line.len();
        if self.by_char {
            self.chars.clear();
            // Continuation bytes begin no character.
            let begins = |(at, byte): (usize, &u8)| (*byte & 0xC0 != 0x80).then_some(at);
            self.chars
                .extend(line.iter().enumerate().filter_map(begins));
            length = self.chars.len();
        }
        let chars = &self.chars;
        let byte = |at: usize| match self.by_char {
            true => chars.get(at).copied().unwrap_or(line.len()),
            false => at.min(line.len()),
        };
        let place = |extent: Extent| (byte(extent.start), byte(extent.end()));
        if let Some(record_type) = &self.layout.record_type {
            if length <= record_type.extent.start {
                return Cut::Fault(CutFault::Short {
                    found: length,
                    wanted: record_type.extent.end(),
                });
            }
            let (from, to) = place(record_type.extent);
            let value = line[from..to].trim_ascii();
            if !record_type.values.iter().any(|known| known == value) {
                return Cut::Skipped;
            }
        }
        let (found, wanted) = (length, self.end);
        if length < self.end && !self.pad {
            return Cut::Fault(CutFault::Short { found, wanted });
        }
        if length > self.end && line[byte(self.end)..].iter().any(|byte| *byte != b' ') {
            return Cut::Fault(CutFault::Long { found, wanted });
        }
        for extent in &self.layout.extents {
            if extent.start >= length {
                fields.add_null();
                continue;
            }
            let (mut from, mut to) = place(*extent);
            if self.layout.trim {
                while from < to && line[from] == b' ' {
                    from += 1;
                }
                while from < to && line[to - 1] == b' ' {
                    to -= 1;
                }
            }
            fields.add(start + from, start + to);
        }
        Cut::Fields
    }
}

impl<'c> CutRecords<'c> for FixedCutter<'c, '_> {
    fn next(&mut self, fields: &mut Fields<'c>) -> Option<(Place, Cut)> {
        let (place, end) = self.lines.next()?;
        fields.begin(self.lines.bytes);
        let cut = self.cut(place.byte as usize, end, fields);
        Some((place, cut))
    }

    fn records(&self) -> u64 {
        self.lines.records()
    }

    fn lines(&self) -> u64 {
        self.lines.lines()
    }
}

#[cfg(test)]
#[path = "fixed_width_tests.rs"]
mod tests;
