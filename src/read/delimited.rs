//! Cuts one chunk into records and fields.
//!
//! In: a [`Chunk`] of whole records. Out: for each record its [`Place`] in the chunk and, in a
//! reusable [`Fields`], where its fields stand. Nothing is copied but fields that hold an escape, and
//! nothing is allocated for a record or a field once the buffers have grown.
//!
//! Here is decided what a record is; the splitter must agree. A quote is special only at the start of
//! a field; anywhere else in an unquoted field it is data. Empty lines and comments are no records. A record that
//! is not well formed is a [`CutFault`], never repaired, and the cutter goes on after it.
//! Not done here: comparing the number of fields, decoding text.

use memchr::{memchr, memchr2, memchr3};
use thiserror::Error;

use super::dialect::{Dialect, Escape, Newline};
use super::marks::Marks;
use super::split::Chunk;

/// Where a record begins, counted from zero at the start of its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Records before it, faulty ones included.
    pub record: u64,
    /// Line ends before it: of records, of empty lines, and inside quotes.
    pub line: u64,
    pub byte: u64,
}

/// Why a record cannot be cut into fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CutFault {
    /// As in `"a"b`: whether the quote was meant as data cannot be known.
    #[error("text after a closing quote")]
    TextAfterQuote,
    /// Only in a chunk that no splitter made; the record reaches to the end of the chunk.
    #[error("a quote is not closed")]
    UnclosedQuote,
    #[error("a backslash at the very end has nothing to escape")]
    EscapeAtEnd,
    #[error("does not end with the delimiter that ends every record (`trailing_delimiter`)")]
    NoTrailingDelimiter,
    /// In bytes or characters, as the layout counts.
    #[error("is {found} long, and the fields of its layout reach to {wanted}")]
    Short { found: usize, wanted: usize },
    #[error("is {found} long, and has text behind {wanted}, where its layout ends")]
    Long { found: usize, wanted: usize },
    #[error("is not JSON: {what} at byte {at} of the line")]
    Json { what: &'static str, at: usize },
}

/// The fields of one record: ranges of the chunk, or of a buffer for those that held an escape.
#[derive(Debug, Default)]
pub struct Fields<'c> {
    bytes: &'c [u8],
    spans: Vec<Span>,
    /// The escaped fields without their escapes, one after another.
    scratch: Vec<u8>,
    scratch_spans: Vec<(usize, usize)>,
}

/// A field in the chunk, without its quotes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    quoted: bool,
    escapes: bool,
    null: bool,
    /// Which of the scratch spans holds its text, if it has escapes.
    unescaped: u32,
}

impl<'c> Fields<'c> {
    /// Returns the number of fields; zero after a fault.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Says whether there is no field: only before the first record and after a fault.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the bytes of a field, without quotes and escapes, and whether it was quoted.
    ///
    /// # Panics
    /// If `index` is not less than [`Fields::len`].
    #[inline]
    pub fn get(&self, index: usize) -> (&[u8], bool) {
        let span = &self.spans[index];
        if span.escapes {
            let (start, end) = self.scratch_spans[span.unescaped as usize];
            return (&self.scratch[start..end], span.quoted);
        }
        (&self.bytes[span.start..span.end], span.quoted)
    }

    /// Returns the bytes of a field without quotes but with its escapes, as they stand in the chunk.
    /// A spelling of null such as `\N` is compared with these, or it could not be told from an `N`:
    /// <https://www.postgresql.org/docs/current/sql-copy.html> does the same.
    ///
    /// # Panics
    /// If `index` is not less than [`Fields::len`].
    #[inline]
    pub fn raw(&self, index: usize) -> &'c [u8] {
        let span = &self.spans[index];
        &self.bytes[span.start..span.end]
    }

    /// Returns where a field begins in the chunk, behind its quote.
    ///
    /// # Panics
    /// If `index` is not less than [`Fields::len`].
    pub fn start(&self, index: usize) -> usize {
        self.spans[index].start
    }

    /// Forgets the chunk and keeps the memory.
    pub fn recycle<'d>(mut self) -> Fields<'d> {
        self.clear();
        Fields {
            bytes: &[],
            spans: self.spans,
            scratch: self.scratch,
            scratch_spans: self.scratch_spans,
        }
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.scratch.clear();
        self.scratch_spans.clear();
    }

    #[inline]
    fn plain(&mut self, start: usize, end: usize) {
        self.spans.push(Span {
            start,
            end,
            quoted: false,
            escapes: false,
            null: false,
            unescaped: 0,
        });
    }

    /// Starts a record of a chunk.
    pub(super) fn begin(&mut self, bytes: &'c [u8]) {
        self.clear();
        self.bytes = bytes;
    }

    /// Adds a field that is these bytes of the chunk.
    pub(super) fn add(&mut self, start: usize, end: usize) {
        self.plain(start, end);
    }

    /// Adds a field that is null.
    pub(super) fn add_null(&mut self) {
        self.plain(0, 0);
        if let Some(span) = self.spans.last_mut() {
            span.null = true;
        }
    }

    /// Adds a field whose text is not in the chunk as it reads; `write` appends it. `start` and `end`
    /// say how it is written.
    pub(super) fn add_text<E>(
        &mut self,
        start: usize,
        end: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let from = self.scratch.len();
        write(&mut self.scratch)?;
        self.spans.push(Span {
            start,
            end,
            quoted: false,
            escapes: true,
            null: false,
            unescaped: self.scratch_spans.len() as u32,
        });
        self.scratch_spans.push((from, self.scratch.len()));
        Ok(())
    }

    /// Takes the last field away if it is empty and not quoted.
    pub(super) fn drop_trailing(&mut self) -> Result<(), CutFault> {
        match self.spans.last() {
            Some(last) if last.start == last.end && !last.quoted => {
                self.spans.pop();
                Ok(())
            }
            _ => Err(CutFault::NoTrailingDelimiter),
        }
    }

    /// Says whether a field is null by itself, whatever its text.
    ///
    /// # Panics
    /// If `index` is not less than [`Fields::len`].
    #[inline]
    pub fn is_null(&self, index: usize) -> bool {
        self.spans[index].null
    }

    /// Adds a field with escapes: each `escape` byte is dropped, the byte after it stays.
    fn escaped(&mut self, start: usize, end: usize, quoted: bool, escape: u8) {
        let from = self.scratch.len();
        let mut rest = &self.bytes[start..end];
        while let Some(at) = memchr(escape, rest) {
            let (before, after) = rest.split_at(at);
            self.scratch.extend_from_slice(before);
            self.scratch.extend(after.get(1));
            rest = after.get(2..).unwrap_or_default();
        }
        self.scratch.extend_from_slice(rest);
        self.spans.push(Span {
            start,
            end,
            quoted,
            escapes: true,
            null: false,
            unescaped: self.scratch_spans.len() as u32,
        });
        self.scratch_spans.push((from, self.scratch.len()));
    }
}

/// Goes through the records of one chunk.
pub struct Cutter<'c> {
    bytes: &'c [u8],
    delimiter: u8,
    newline: Newline,
    way: Way,
    comment: Option<Vec<u8>>,
    marks: Marks<'c>,
    position: usize,
    records: u64,
    lines: u64,
}

#[derive(Clone, Copy)]
enum Way {
    Plain,
    /// The byte that escapes inside quotes: the quote itself or a backslash.
    Quoted {
        quote: u8,
        escape: u8,
    },
    Backslash,
}

impl<'c> Cutter<'c> {
    /// Starts at the first record of a chunk that a splitter made with the same dialect.
    pub fn new(chunk: &'c Chunk, dialect: &Dialect) -> Self {
        Cutter {
            bytes: &chunk.bytes,
            delimiter: dialect.delimiter,
            newline: chunk.newline,
            way: match (dialect.quote, dialect.escape) {
                (None, Escape::Doubled) => Way::Plain,
                (None, Escape::Backslash) => Way::Backslash,
                (Some(quote), Escape::Doubled) => Way::Quoted {
                    quote,
                    escape: quote,
                },
                (Some(quote), Escape::Backslash) => Way::Quoted {
                    quote,
                    escape: b'\\',
                },
            },
            comment: dialect.comment.clone(),
            marks: Marks::new(&chunk.bytes, dialect.delimiter, chunk.newline.byte()),
            position: 0,
            records: 0,
            lines: 0,
        }
    }

    /// Returns the number of records so far, faulty ones included; at the end, of the chunk.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Returns the number of line ends so far; at the end, of the chunk.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Cuts the next record into `fields` and returns where it begins, or `None` at the end.
    /// After a fault `fields` is empty and the next call goes on with the next record.
    #[inline]
    pub fn next(&mut self, fields: &mut Fields<'c>) -> Option<(Place, Result<(), CutFault>)> {
        self.skip_empty_lines();
        while self.skip_comment() {
            self.skip_empty_lines();
        }
        fields.begin(self.bytes);
        if self.position == self.bytes.len() {
            return None;
        }
        let place = Place {
            record: self.records,
            line: self.lines,
            byte: self.position as u64,
        };
        let outcome = match self.way {
            Way::Plain => self.cut_plain(fields),
            Way::Quoted { quote, escape } => self.cut_quoted(fields, quote, escape),
            Way::Backslash => self.cut_backslash(fields),
        };
        if outcome.is_err() {
            fields.clear();
        }
        self.records += 1;
        Some((place, outcome))
    }

    #[inline]
    fn skip_empty_lines(&mut self) {
        loop {
            let length = match (self.newline, &self.bytes[self.position..]) {
                (Newline::Lf, [b'\n', ..]) | (Newline::Cr, [b'\r', ..]) => 1,
                (Newline::Lf, [b'\r', b'\n', ..]) => 2,
                _ => return,
            };
            self.position += length;
            self.lines += 1;
            self.marks.skip_to(self.position);
        }
    }

    /// A comment ends with its line, whatever stands in it.
    #[inline]
    fn skip_comment(&mut self) -> bool {
        let Some(comment) = &self.comment else {
            return false;
        };
        let rest = &self.bytes[self.position..];
        if !rest.starts_with(comment) {
            return false;
        }
        let end = memchr(self.newline.byte(), rest);
        self.lines += u64::from(end.is_some());
        self.position += end.map_or(rest.len(), |end| end + 1);
        self.marks.skip_to(self.position);
        true
    }

    /// Where a field ends that begins at `start` and is followed by the mark at `mark`.
    #[inline]
    fn without_return(&self, start: usize, mark: usize) -> usize {
        let returned = mark > start
            && self.bytes[mark - 1] == b'\r'
            && self.newline == Newline::Lf
            && self.bytes.get(mark) == Some(&b'\n');
        if returned { mark - 1 } else { mark }
    }

    #[inline]
    fn cut_plain(&mut self, fields: &mut Fields<'c>) -> Result<(), CutFault> {
        let mut start = self.position;
        loop {
            let mark = self.marks.pass();
            if self.bytes.get(mark) != Some(&self.delimiter) {
                fields.plain(start, self.without_return(start, mark));
                let ended = mark < self.bytes.len();
                self.position = mark + usize::from(ended);
                self.lines += u64::from(ended);
                return Ok(());
            }
            fields.plain(start, mark);
            start = mark + 1;
        }
    }

    fn cut_quoted(
        &mut self,
        fields: &mut Fields<'c>,
        quote: u8,
        escape: u8,
    ) -> Result<(), CutFault> {
        let bytes = self.bytes;
        let mut outcome = Ok(());
        let mut start = self.position;
        loop {
            let mark = if bytes.get(start) == Some(&quote) {
                let open = start + 1;
                let Some((close, escapes)) = closing(bytes, open, quote, escape) else {
                    self.finish_record(bytes.len());
                    return Err(CutFault::UnclosedQuote);
                };
                self.marks.skip_to(close + 1);
                let mark = self.marks.pass();
                if self.without_return(close + 1, mark) != close + 1 {
                    outcome = Err(CutFault::TextAfterQuote);
                } else if escapes {
                    fields.escaped(open, close, true, escape);
                } else {
                    fields.spans.push(Span {
                        start: open,
                        end: close,
                        quoted: true,
                        escapes: false,
                        null: false,
                        unescaped: 0,
                    });
                }
                mark
            } else {
                let mark = self.marks.pass();
                if bytes.get(mark) == Some(&self.delimiter) {
                    fields.plain(start, mark);
                    start = mark + 1;
                    continue;
                }
                fields.plain(start, self.without_return(start, mark));
                mark
            };
            if bytes.get(mark) != Some(&self.delimiter) {
                self.finish_record(bytes.len().min(mark + 1));
                return outcome;
            }
            start = mark + 1;
        }
    }

    fn cut_backslash(&mut self, fields: &mut Fields<'c>) -> Result<(), CutFault> {
        let bytes = self.bytes;
        let mut start = self.position;
        let mut from = start;
        let mut escapes = false;
        loop {
            let found = memchr3(b'\\', self.delimiter, self.newline.byte(), &bytes[from..]);
            let mark = found.map_or(bytes.len(), |found| from + found);
            if bytes.get(mark) == Some(&b'\\') {
                if mark + 1 == bytes.len() {
                    self.finish_record(bytes.len());
                    return Err(CutFault::EscapeAtEnd);
                }
                escapes = true;
                from = mark + 2;
                continue;
            }
            // An escaped `\r` lies before `from` and is data.
            let end = self.without_return(from, mark);
            if escapes {
                fields.escaped(start, end, false, b'\\');
            } else {
                fields.plain(start, end);
            }
            if bytes.get(mark) != Some(&self.delimiter) {
                self.finish_record(bytes.len().min(mark + 1));
                return Ok(());
            }
            start = mark + 1;
            from = start;
            escapes = false;
        }
    }

    /// Ends a record whose fields may hold line ends.
    fn finish_record(&mut self, next: usize) {
        let record = &self.bytes[self.position..next];
        self.lines += memchr::memchr_iter(self.newline.byte(), record).count() as u64;
        self.position = next;
    }
}

/// Returns where a quoted field closes and whether it holds escapes.
fn closing(bytes: &[u8], open: usize, quote: u8, escape: u8) -> Option<(usize, bool)> {
    let mut from = open;
    let mut escapes = false;
    loop {
        let rest = bytes.get(from..)?;
        let at = if quote == escape {
            memchr(quote, rest)
        } else {
            memchr2(quote, escape, rest)
        }? + from;
        let is_pair = if quote == escape {
            bytes.get(at + 1) == Some(&quote)
        } else {
            bytes[at] == escape
        };
        if !is_pair {
            return Some((at, escapes));
        }
        escapes = true;
        from = at + 2;
    }
}

#[cfg(test)]
#[path = "delimited_tests.rs"]
mod tests;
