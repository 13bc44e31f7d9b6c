//! Cuts a decoded stream into chunks of whole records.
//!
//! In: the decoded bytes of one object, read once from front to back. Out: the names in the header,
//! then [`Chunk`]s of about `chunk_bytes` in order; put together they are the stream without the
//! byte-order mark, what came up to the end of the header, and the footer.
//!
//! A quoted field may hold a newline, so a cut is never made by looking for a newline alone. A record
//! longer than `max_record_bytes` is an error: with no limit, one unclosed quote would swallow the
//! rest of the object. Neither the records nor the errors depend on `chunk_bytes`.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter};
use thiserror::Error;

use super::delimited::{CutFault, Cutter, Fields};
use super::dialect::{Dialect, Footer, Newline, Skip};
use super::footer::{Held, starts};
use super::line_glob::LineGlob;
use super::record_end::{First, LastEnd, first, line};

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
    #[error("no line matches `{key}`")]
    NoLine {
        /// Of the source file.
        key: &'static str,
    },
    #[error("{found} records are there, fewer than the {wanted} of the footer")]
    NoFooter { wanted: usize, found: usize },
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
    held: Held,
    ended: bool,
    opened: bool,
    /// The footer has begun.
    finished: bool,
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
            held: Held::default(),
            ended: false,
            opened: false,
            finished: false,
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
            match splitter.dialect.footer {
                Footer::None => splitter.cut(reuse),
                Footer::Records(footer) => splitter.cut_before_last(footer, reuse),
                Footer::From(_) => splitter.cut_before_line(reuse),
            }
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

    /// Drops a byte-order mark and what is to be skipped, finds the newline style, takes the header.
    fn open(&mut self) -> Result<Option<Vec<String>>, SplitError> {
        if self.opened {
            return Ok(None);
        }
        self.opened = true;
        self.fill(BYTE_ORDER_MARK.len())?;
        if self.pending.starts_with(BYTE_ORDER_MARK) {
            self.drop_front(BYTE_ORDER_MARK.len());
        }
        let mut from = 0;
        match self.dialect.skip.clone() {
            Skip::Nothing => {}
            Skip::Lines(count) => {
                for _ in 0..count {
                    let (_, next) = self.whole(&mut from, true)?;
                    if next == 0 {
                        break;
                    }
                    from += next;
                }
            }
            Skip::Until(pattern) => self.skip_until(&pattern, &mut from)?,
        }
        let names = self.header_names(&mut from)?;
        self.drop_front(from);
        self.start = self.at;
        Ok(names)
    }

    fn skip_until(&mut self, pattern: &LineGlob, from: &mut usize) -> Result<(), SplitError> {
        loop {
            let (length, next) = self.whole(from, true)?;
            if next == 0 {
                return Err(SplitError::NoLine { key: "skip_until" });
            }
            let line = &self.pending[*from..*from + length];
            if pattern.matches(without_return(line), self.dialect.encoding) {
                return Ok(());
            }
            *from += next;
        }
    }

    /// Takes the header at `from`: so many records, whose names are put together.
    fn header_names(&mut self, from: &mut usize) -> Result<Option<Vec<String>>, SplitError> {
        let mut left = match self.dialect.header {
            true => self.dialect.header_lines,
            false => 0,
        };
        let mut names: Option<Vec<String>> = None;
        loop {
            // Without a header too: the first record shows the newline style.
            let (_, next) = self.whole(from, false)?;
            if next == 0 || left == 0 {
                break;
            }
            if let Some(more) = self.names(*from, next)? {
                match &mut names {
                    None => names = Some(more),
                    Some(names) => join(names, more),
                }
                left -= 1;
            }
            *from += next;
            if left == 0 {
                break;
            }
        }
        if let Some(names) = &mut names
            && self.dialect.trailing_delimiter
            && names.last().is_some_and(String::is_empty)
        {
            names.pop();
        }
        Ok(names)
    }

    /// Reads until the record at `from` is whole, or the line, and returns its length and where the
    /// next one begins, counted from there: zero at the end of the stream. To make room it may move
    /// to the front.
    fn whole(&mut self, from: &mut usize, is_line: bool) -> Result<(usize, usize), SplitError> {
        let max = self.dialect.max_record_bytes;
        // Two bytes more than the longest record: `\r` or `\r\n` at its end can be told apart.
        let most = max.saturating_add(2);
        loop {
            let rest = &self.pending[*from..];
            let found = match is_line {
                true => line(rest, self.newline, self.ended),
                false => first(rest, &self.dialect, self.newline, self.ended),
            };
            match found {
                First::Record { length, .. } if length > max => return self.too_long(*from, None),
                First::Record {
                    length,
                    next,
                    newline,
                } => {
                    // At the end of the stream nothing says which it is.
                    if next > 0 {
                        self.newline = Some(newline);
                    }
                    return Ok((length, next));
                }
                First::Unfinished { quote } if rest.len() >= most => {
                    return self.too_long(*from, quote.map(|quote| *from + quote));
                }
                First::Unfinished { quote } if self.ended => {
                    return self.unclosed(*from + quote.unwrap_or_default());
                }
                First::Unfinished { .. } => {
                    self.drop_front(*from);
                    *from = 0;
                    let want = self.pending.len().saturating_mul(2);
                    self.fill(want.max(self.chunk_bytes).clamp(1, most))?;
                }
            }
        }
    }

    /// Cuts and decodes a record of the header; `None` for an empty line or a comment.
    fn names(&self, from: usize, length: usize) -> Result<Option<Vec<String>>, SplitError> {
        let chunk = Chunk {
            bytes: self.pending[from..from + length].to_vec(),
            byte: self.at.bytes,
            newline: self.newline(),
        };
        let mut fields = Fields::default();
        let Some((_, outcome)) = Cutter::new(&chunk, &self.dialect).next(&mut fields) else {
            return Ok(None);
        };
        let (line, byte) = (self.line(from), self.at.bytes + from as u64);
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

    /// Cuts, and holds the last records of the object back.
    fn cut_before_last(
        &mut self,
        footer: usize,
        mut reuse: Vec<u8>,
    ) -> Result<Option<Chunk>, SplitError> {
        loop {
            if let Some(chunk) = self.held.ready(footer) {
                return Ok(Some(chunk));
            }
            if let Some(end) = self.held.end() {
                return end.map(|()| None);
            }
            match self.cut(reuse) {
                Ok(Some(chunk)) => self.held.hold(chunk, footer, &self.dialect),
                Ok(None) => self.held.finish(footer, &self.dialect, None),
                Err(error) => self.held.finish(footer, &self.dialect, Some(error)),
            }
            reuse = Vec::new();
        }
    }

    /// Cuts up to the record whose first line matches; what comes then is read and forgotten.
    fn cut_before_line(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>, SplitError> {
        if self.finished {
            return Ok(None);
        }
        let mut chunk = match self.cut(reuse) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err(SplitError::NoLine { key: "footer_from" }),
            // A footer is no data: it may be as it likes.
            Err(error)
                if !matches!(error, SplitError::Io(_))
                    && self.is_footer(&self.pending, self.dialect.max_record_bytes) =>
            {
                return self.finish();
            }
            Err(error) => return Err(error),
        };
        let footer = starts(&chunk, &self.dialect)
            .map(|start| start as usize)
            .find(|start| self.is_footer(&chunk.bytes[*start..], usize::MAX));
        if let Some(footer) = footer {
            self.finish()?;
            chunk.bytes.truncate(footer);
        }
        Ok(Some(chunk))
    }

    /// Says whether the line that the bytes begin with is where the footer begins.
    fn is_footer(&self, bytes: &[u8], longest: usize) -> bool {
        let Footer::From(pattern) = &self.dialect.footer else {
            return false;
        };
        let end = memchr(self.newline().byte(), bytes).unwrap_or(bytes.len());
        let line = bytes.get(..end.min(longest)).unwrap_or_default();
        pattern.matches(without_return(line), self.dialect.encoding)
    }

    /// Reads the rest of the stream, so that a fault in it is found.
    fn finish(&mut self) -> Result<Option<Chunk>, SplitError> {
        self.finished = true;
        while !self.ended {
            self.pending.clear();
            self.fill(self.chunk_bytes)?;
        }
        Ok(None)
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

/// Puts the names of a further line of the header to those before it, blank between them.
fn join(names: &mut Vec<String>, more: Vec<String>) {
    names.resize(names.len().max(more.len()), String::new());
    for (name, more) in names.iter_mut().zip(more) {
        if !name.is_empty() && !more.is_empty() {
            name.push(' ');
        }
        name.push_str(&more);
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn lines_in(bytes: &[u8], newline: Newline) -> u64 {
    memchr_iter(newline.byte(), bytes).count() as u64
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
