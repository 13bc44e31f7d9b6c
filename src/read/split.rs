//! Cuts a decoded stream into chunks of whole records.
//!
//! In: the decoded bytes of one object, read once from front to back. Out: the names in the header,
//! then [`Chunk`]s of about `chunk_bytes` in order; put together they are the stream without the
//! byte-order mark and what came up to the end of the header.
//!
//! A quoted field may hold a newline, so a cut is never made by looking for a newline alone. A record
//! longer than `max_record_bytes` is an error: with no limit, one unclosed quote would swallow the
//! rest of the object. Neither the records nor the errors depend on `chunk_bytes`.

use std::io::{self, Read};

use memchr::memchr_iter;
use thiserror::Error;

use super::delimited::{CutFault, Cutter, Fields};
use super::dialect::{Dialect, Newline};
use super::record_end::{First, LastEnd, first};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whole records, as they stand in the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    /// Offset of the first byte in the decoded stream.
    pub byte: u64,
    pub newline: Newline,
}

/// How much of an object lies before a point. Starts at [`Splitter::start`]; adding what a
/// [`Cutter`] counted in each chunk, in order, turns places in a chunk into places in the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Data records; a header is none.
    pub records: u64,
    /// Line ends, also of the header, of empty lines and inside quotes.
    pub lines: u64,
    /// Bytes of the decoded stream, a byte-order mark included.
    pub bytes: u64,
}

/// Why an object cannot be cut. Lines count from one as an editor shows them, bytes from zero in
/// the decoded stream.
#[derive(Debug, Error)]
pub enum SplitError {
    /// Reading or decompression failed; the source says how.
    #[error("read the object")]
    Io(#[source] io::Error),
    #[error("the record at line {line} (byte {byte}) is longer than {max_record_bytes} bytes{}",
        quote_line.map(|line| format!("; a quote opened at line {line} is not closed")).unwrap_or_default())]
    RecordTooLong {
        line: u64,
        byte: u64,
        max_record_bytes: usize,
        /// Where a quote is still open at the limit: the likely cause.
        quote_line: Option<u64>,
    },
    #[error("the quote opened at line {line} (byte {byte}) is not closed before the end")]
    UnclosedQuote { line: u64, byte: u64 },
    #[error("the header at line {line} (byte {byte}) cannot be cut into fields")]
    Header {
        line: u64,
        byte: u64,
        #[source]
        fault: CutFault,
    },
    /// A byte of the header has no meaning in the declared encoding.
    #[error("the name of field {field} in the header at line {line} is not text in its encoding")]
    HeaderText {
        /// Counted from one.
        field: usize,
        line: u64,
    },
    #[error("an earlier error ended the object")]
    Failed,
}

/// Reads a stream and hands out chunks of whole records. Holds one buffer of `chunk_bytes`, or where
/// a record is longer, of at most twice that record; what it handed out is the caller's to count.
pub struct Splitter<R> {
    reader: R,
    dialect: Dialect,
    chunk_bytes: usize,
    /// Bytes read but not handed out; they begin at the start of a record.
    pending: Vec<u8>,
    /// What of `pending` has been looked at.
    last_end: LastEnd,
    /// Where `pending` begins.
    at: Position,
    start: Position,
    newline: Option<Newline>,
    ended: bool,
    opened: bool,
    failed: bool,
}

impl<R: Read> Splitter<R> {
    /// Prepares to read; reads nothing yet. The dialect is one that [`Dialect::check`] accepts.
    /// Chunks are of `chunk_bytes`, but no longer than the longest record allowed.
    pub fn new(reader: R, dialect: &Dialect, chunk_bytes: usize) -> Self {
        Splitter {
            reader,
            dialect: dialect.clone(),
            // In a buffer of this size whatever has ended was no longer than allowed, which makes
            // the limit exact without measuring each record.
            chunk_bytes: chunk_bytes.clamp(1, dialect.max_record_bytes.saturating_add(1)),
            pending: Vec::new(),
            last_end: LastEnd::default(),
            at: Position::default(),
            start: Position::default(),
            newline: None,
            ended: false,
            opened: false,
            failed: false,
        }
    }

    /// Reads the header record and returns its names, decoded. `None`: the dialect has no header,
    /// the stream holds no record, or the header was read before.
    ///
    /// # Errors
    /// As [`Splitter::next`], and where the header is no record or no text.
    pub fn header(&mut self) -> Result<Option<Vec<String>>, SplitError> {
        self.guarded(Self::open)
    }

    /// Returns where the first data record is looked for: to start counting from, valid once the
    /// header or a chunk has been asked for.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Returns the next chunk in `reuse` (cleared first, its memory is used again), or `None` at the
    /// end. A header not asked for is skipped. Records before a broken one are handed out first.
    ///
    /// # Errors
    /// [`SplitError::Io`] from the reader; a record that is too long; a quote not closed at the end.
    /// After an error every further call is [`SplitError::Failed`].
    pub fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>, SplitError> {
        self.guarded(|splitter| {
            splitter.open()?;
            splitter.cut(reuse)
        })
    }

    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, SplitError>,
    ) -> Result<T, SplitError> {
        if self.failed {
            return Err(SplitError::Failed);
        }
        let outcome = step(self);
        self.failed = outcome.is_err();
        outcome
    }

    /// Drops a byte-order mark, finds the newline style, takes the header.
    fn open(&mut self) -> Result<Option<Vec<String>>, SplitError> {
        if self.opened {
            return Ok(None);
        }
        self.opened = true;
        self.fill(BYTE_ORDER_MARK.len())?;
        if self.pending.starts_with(BYTE_ORDER_MARK) {
            self.drop_front(BYTE_ORDER_MARK.len());
        }
        let mut names = None;
        loop {
            let (length, next) = self.first_record()?;
            if length == 0 && next == 0 {
                break; // the end, before any record
            }
            if !self.dialect.header {
                break;
            }
            names = self.names(next)?;
            self.drop_front(next);
            if names.is_some() {
                break;
            }
        }
        self.start = self.at;
        Ok(names)
    }

    /// Reads until the first record is whole and returns its length and where the next one begins.
    fn first_record(&mut self) -> Result<(usize, usize), SplitError> {
        let max = self.dialect.max_record_bytes;
        // Two bytes more than the longest record: `\r` or `\r\n` at its end can be told apart.
        let most = max.saturating_add(2);
        let mut want = self.chunk_bytes;
        loop {
            self.fill(want)?;
            match first(&self.pending, &self.dialect, self.newline, self.ended) {
                First::Record { length, .. } if length > max => return self.too_long(0, None),
                First::Record {
                    length,
                    next,
                    newline,
                } => {
                    self.newline = Some(newline);
                    return Ok((length, next));
                }
                First::Unfinished { quote } if self.pending.len() >= most => {
                    return self.too_long(0, quote);
                }
                First::Unfinished { quote } if self.ended => {
                    return self.unclosed(quote.unwrap_or_default());
                }
                First::Unfinished { .. } => {
                    want = self.pending.len().saturating_mul(2).clamp(1, most);
                }
            }
        }
    }

    /// Cuts and decodes the header in the first bytes; `None` for an empty line.
    fn names(&self, length: usize) -> Result<Option<Vec<String>>, SplitError> {
        let chunk = Chunk {
            bytes: self.pending[..length].to_vec(),
            byte: self.at.bytes,
            newline: self.newline(),
        };
        let mut fields = Fields::default();
        let Some((_, outcome)) = Cutter::new(&chunk, &self.dialect).next(&mut fields) else {
            return Ok(None);
        };
        let (line, byte) = (self.at.lines + 1, self.at.bytes);
        outcome.map_err(|fault| SplitError::Header { line, byte, fault })?;
        let mut scratch = Vec::new();
        let mut names = Vec::with_capacity(fields.len());
        for index in 0..fields.len() {
            let undefined = || SplitError::HeaderText {
                field: index + 1,
                line,
            };
            let (raw, _) = fields.get(index);
            let text = self.dialect.encoding.decode(raw, &mut scratch);
            let text = text.map_err(|_| undefined())?.to_vec();
            names.push(String::from_utf8(text).map_err(|_| undefined())?);
        }
        Ok(Some(names))
    }

    fn cut(&mut self, mut reuse: Vec<u8>) -> Result<Option<Chunk>, SplitError> {
        let max = self.dialect.max_record_bytes;
        let newline = self.newline();
        let mut want = self.chunk_bytes;
        let end = loop {
            self.fill(want)?;
            let length = self.pending.len();
            self.last_end
                .advance(&self.pending, &self.dialect, newline, self.ended);
            let end = self.last_end.end;
            let (unfinished, quote) = (length - end, self.last_end.quote);
            if self.ended && unfinished <= max && quote.is_none() {
                break length;
            }
            if end > 0 {
                break end;
            }
            if unfinished > max {
                return self.too_long(end, quote);
            }
            if self.ended {
                return self.unclosed(quote.unwrap_or_default());
            }
            want = length
                .saturating_mul(2)
                .clamp(1, max.saturating_add(1).max(length));
        };
        if end == 0 {
            return Ok(None);
        }
        reuse.clear();
        reuse.extend_from_slice(&self.pending[end..]);
        let mut bytes = std::mem::replace(&mut self.pending, reuse);
        bytes.truncate(end);
        let chunk = Chunk {
            bytes,
            byte: self.at.bytes,
            newline,
        };
        self.last_end.end = end;
        self.last_end.forget(end);
        self.at.lines += lines_in(&chunk.bytes, newline);
        self.at.bytes += end as u64;
        Ok(Some(chunk))
    }

    /// Reads until `pending` holds `want` bytes or the stream has ended.
    fn fill(&mut self, want: usize) -> Result<(), SplitError> {
        let missing = want.saturating_sub(self.pending.len());
        if missing == 0 || self.ended {
            return Ok(());
        }
        self.pending.reserve_exact(missing);
        let count = self
            .reader
            .by_ref()
            .take(missing as u64)
            .read_to_end(&mut self.pending)
            .map_err(SplitError::Io)?;
        self.ended = count < missing;
        Ok(())
    }

    /// Forgets the first bytes of `pending`: used up to the end of the header only.
    fn drop_front(&mut self, count: usize) {
        let gone = self.pending.drain(..count);
        self.at.lines += lines_in(gone.as_slice(), self.newline.unwrap_or(Newline::Lf));
        self.at.bytes += count as u64;
    }

    fn newline(&self) -> Newline {
        self.newline.unwrap_or(Newline::Lf)
    }

    /// The line, counted from one, of an offset in `pending`.
    fn line(&self, offset: usize) -> u64 {
        self.at.lines + lines_in(&self.pending[..offset], self.newline()) + 1
    }

    fn too_long<T>(&self, record: usize, quote: Option<usize>) -> Result<T, SplitError> {
        Err(SplitError::RecordTooLong {
            line: self.line(record),
            byte: self.at.bytes + record as u64,
            max_record_bytes: self.dialect.max_record_bytes,
            quote_line: quote.map(|quote| self.line(quote)),
        })
    }

    fn unclosed<T>(&self, quote: usize) -> Result<T, SplitError> {
        Err(SplitError::UnclosedQuote {
            line: self.line(quote),
            byte: self.at.bytes + quote as u64,
        })
    }
}

fn lines_in(bytes: &[u8], newline: Newline) -> u64 {
    memchr_iter(newline.byte(), bytes).count() as u64
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
