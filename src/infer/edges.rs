//! Where the records of a delimited text begin and end: lines before the header, the header, records
//! behind the data, a delimiter too many at the end of each record.
//!
//! In: the widths of all records, the texts of the first and the last ones. Out: [`Edges`]. Whether the
//! first record is a header is decided later, by what the columns hold.

use super::dialect::Syntax;
use super::records::{self, Record};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

/// Records that may stand before the header, and behind the data.
const MOST_BEFORE: usize = 20;
const MOST_BEHIND: usize = 5;

/// Fewer records do not show what is usual.
const FEW_RECORDS: usize = 10;

/// What one look at all records has found.
#[derive(Debug, Default)]
pub struct Scan {
    records: Vec<Seen>,
    /// Line and texts of the first records.
    first: Vec<(u64, Vec<String>)>,
    last: VecDeque<Last>,
}

/// One record; a width of zero is a fault.
#[derive(Debug, Clone, Copy)]
struct Seen {
    width: u32,
    last_is_empty: bool,
    has_value: bool,
    /// Fields up to the last one with a value.
    filled: u32,
}

#[derive(Debug)]
struct Last {
    after_blank_line: bool,
    first_field: String,
}

/// What belongs to the data.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Records before the first one of the data, or the header.
    pub start: usize,
    /// Physical lines before it, and whether all of them are empty.
    pub lines: u64,
    pub lines_are_empty: bool,
    /// Records before it that have the width of the data and values in few fields only.
    pub padded: usize,
    /// Records behind the data.
    pub behind: usize,
    pub behind_after_blank_line: bool,
    /// All records, and the usual number of fields of those after the first.
    pub records: usize,
    pub width: usize,
    pub usual: u64,
    pub first_width: usize,
    /// Fields of the data without its last, always empty one are those of the first record.
    pub extra_field: bool,
    /// The last field of every record is empty, the first one's too.
    pub always_empty_last: bool,
}

impl Scan {
    pub fn new(text: &[u8], syntax: &Syntax) -> Scan {
        let mut scan = Scan::default();
        // What ends the records early, an unclosed quote, was counted as a fault before.
        let _ended = records::each(text, &syntax.dialect(), &mut |record: Record| {
            scan.take(text, &record);
            ControlFlow::Continue(())
        });
        scan
    }

    fn take(&mut self, text: &[u8], record: &Record) {
        let fields = record.fields;
        let texts = |index| fields.get(index).0;
        let count = fields.len();
        self.records.push(Seen {
            width: count as u32,
            last_is_empty: count > 0 && texts(count - 1).is_empty(),
            has_value: (0..count).any(|index| !texts(index).is_empty()),
            filled: (0..count)
                .rev()
                .find(|index| !texts(*index).is_empty())
                .map_or(0, |last| last as u32 + 1),
        });
        let owned = |index: usize| String::from_utf8_lossy(texts(index)).into_owned();
        if self.first.len() <= MOST_BEFORE {
            self.first
                .push((record.line, (0..count).map(owned).collect()));
        }
        if self.last.len() == MOST_BEHIND {
            self.last.pop_front();
        }
        let before = &text[..(record.byte as usize).min(text.len())];
        self.last.push_back(Last {
            after_blank_line: [b"\n\n".as_slice(), b"\n\r\n", b"\r\r"]
                .iter()
                .any(|end| before.ends_with(end)),
            first_field: if count > 0 { owned(0) } else { String::new() },
        });
    }

    /// The texts of a record among the first ones.
    pub fn texts(&self, index: usize) -> &[String] {
        self.first.get(index).map_or(&[], |(_, texts)| texts)
    }

    /// Finds the edges. `whole`: the last record is the file's last.
    pub fn edges(&self, text: &[u8], whole: bool) -> Edges {
        let (usual, _) = usual(&self.records);
        let narrow = |width: usize| width < usual && (width <= 1 || 2 * width < usual);
        let start = self
            .records
            .iter()
            .take(MOST_BEFORE)
            .position(|record| !narrow(record.width as usize))
            .unwrap_or(0);
        let padded = self.padded_preamble(start, usual);
        let start = start + padded;
        let lines = self.first.get(start).map_or(0, |(line, _)| *line);
        let after_first = self.records.get(start + 1..).unwrap_or_default();
        let (behind, behind_after_blank_line) = match whole {
            true => self.behind(after_first),
            false => (0, false),
        };
        let data = &after_first[..after_first.len().saturating_sub(behind)];
        let first = self.records.get(start).copied();
        let first_width = first.map_or(0, |first| first.width as usize);
        let (width, count) = match data.is_empty() {
            true => (first_width, 0),
            false => usual_or(data, first_width),
        };
        let width = match optional_last(data, width, first_width) {
            true => width + 1,
            false => width,
        };
        let of_width = || data.iter().filter(|record| record.width as usize == width);
        let last_is_empty = of_width().all(|record| record.last_is_empty);
        Edges {
            start,
            lines,
            padded,
            lines_are_empty: start == 0
                && records::lines(text)
                    .take(lines as usize)
                    .all(|line| records::bare(line).is_empty()),
            behind,
            behind_after_blank_line,
            records: self.records.len(),
            width,
            usual: count,
            first_width,
            extra_field: count > 0
                && width == first_width + 1
                && of_width().next().is_some()
                && last_is_empty
                && of_width().any(|record| record.has_value),
            always_empty_last: count > 0
                && width == first_width
                && width > 2
                && last_is_empty
                && first.is_some_and(|first| first.last_is_empty),
        }
    }

    /// Lines of a preamble that a spreadsheet has filled up with delimiters, from `start` on: values in the
    /// first few fields only, then a record with a value in (nearly) all, and none like them later.
    fn padded_preamble(&self, start: usize, width: usize) -> usize {
        let few = |record: &Seen| 2 * (record.filled as usize) <= width && width > 2;
        let from = self.records.get(start..).unwrap_or_default();
        let count = from
            .iter()
            .take(MOST_BEFORE.saturating_sub(start))
            .take_while(|record| few(record))
            .count();
        let full =
            |record: &Seen| record.width as usize == width && record.filled as usize + 1 >= width;
        let rest = from.get(count..).unwrap_or_default();
        if count == 0 || !rest.first().is_some_and(full) {
            return 0;
        }
        let body = &rest[..rest.len().saturating_sub(MOST_BEHIND).max(1)];
        match body.iter().any(few) {
            true => 0,
            false => count,
        }
    }

    /// Records at the end that are not like all others.
    fn behind(&self, data: &[Seen]) -> (usize, bool) {
        if data.len() < FEW_RECORDS {
            return (0, false);
        }
        let (width, count) = usual(data);
        let odd = |record: &Seen| record.width as usize != width;
        let all_odd = data.len() as u64 - count;
        let at_end = data
            .iter()
            .rev()
            .take(MOST_BEHIND)
            .take_while(|record| odd(record))
            .count();
        if at_end > 0 && at_end as u64 == all_odd {
            let after_blank = self
                .last
                .len()
                .checked_sub(at_end)
                .and_then(|at| self.last.get(at));
            return (
                at_end,
                after_blank.is_some_and(|last| last.after_blank_line),
            );
        }
        // Behind an empty line, or called a total.
        for (index, last) in self.last.iter().enumerate().skip(1) {
            let count = self.last.len() - index;
            let unlike = last.first_field.trim().is_empty() || is_closing(&last.first_field);
            if (last.after_blank_line && unlike) || (count == 1 && is_closing(&last.first_field)) {
                return (count, last.after_blank_line);
            }
        }
        (0, false)
    }
}

fn is_closing(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    [
        "total",
        "grand total",
        "trailer",
        "end of",
        "record count",
        "notes",
        "source:",
    ]
    .iter()
    .any(|word| text.starts_with(word))
}

/// All records have the usual width or one field more, and both come often: the last field may be left
/// out.
fn optional_last(data: &[Seen], width: usize, first_width: usize) -> bool {
    let count = |width: usize| {
        data.iter()
            .filter(|record| record.width as usize == width)
            .count()
    };
    let (usual, more) = (count(width), count(width + 1));
    (width..=width + 1).contains(&first_width)
        && more >= 10
        && more * 20 >= data.len()
        && usual + more == data.len()
}

/// The usual width, and how many records have it.
fn usual(records: &[Seen]) -> (usize, u64) {
    usual_or(records, usize::MAX)
}

/// The same, where of equally usual ones `wanted` comes first.
fn usual_or(records: &[Seen], wanted: usize) -> (usize, u64) {
    let mut widths: BTreeMap<usize, u64> = BTreeMap::new();
    for record in records.iter().filter(|record| record.width > 0) {
        *widths.entry(record.width as usize).or_default() += 1;
    }
    let most = widths
        .iter()
        .max_by_key(|(width, count)| (**count, **width == wanted, **width));
    most.map_or((0, 0), |(width, count)| (*width, *count))
}
