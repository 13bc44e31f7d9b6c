//! Finds where records end, for the splitter.
//!
//! In: buffered bytes that begin at the start of a record. Out: the end of the first record, byte by
//! byte and with the newline style it shows ([`first`]), or the end of the last whole record, as
//! fast as the dialect allows ([`LastEnd`]).
//!
//! Both must see quotes exactly as [`Cutter`](super::delimited::Cutter) does: a quote opens only at
//! the start of a field, and what follows a closing quote is unquoted up to the next delimiter.

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::dialect::{Dialect, Escape, Newline};

/// What [`first`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    Record {
        /// How long the record is without its newline byte (a `\r` before `\n` counts).
        length: usize,
        /// Where the next record begins.
        next: usize,
        newline: Newline,
    },
    /// The end lies beyond these bytes; the open quote, if one is.
    Unfinished { quote: Option<usize> },
}

#[derive(Clone, Copy)]
enum At {
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote inside quotes: the second of two, or the close before this byte.
    QuoteInQuoted,
    EscapedQuoted,
    EscapedUnquoted,
}

/// Finds the end of the first record. Without a `newline` the terminator found decides which it is:
/// `\n` or `\r\n` is [`Newline::Lf`], a lone `\r` is [`Newline::Cr`].
///
/// `ended`: no byte follows these, so that the end of the bytes ends the record too. A comment line
/// counts as a record here.
pub(super) fn first(
    bytes: &[u8],
    dialect: &Dialect,
    newline: Option<Newline>,
    ended: bool,
) -> First {
    let comment = dialect.comment.as_deref();
    let is_comment = comment.is_some_and(|prefix| bytes.starts_with(prefix));
    if comment.is_some_and(|prefix| prefix.starts_with(bytes)) && !is_comment && !ended {
        return First::Unfinished { quote: None };
    }
    if is_comment {
        return line(bytes, newline, ended);
    }
    let backslash = dialect.escape == Escape::Backslash;
    let mut quote = None;
    let mut state = At::FieldStart;
    for (at, &byte) in bytes.iter().enumerate() {
        state = match state {
            At::EscapedQuoted => At::Quoted,
            At::EscapedUnquoted => At::Unquoted,
            At::Quoted if byte == b'\\' && backslash => At::EscapedQuoted,
            At::Quoted if Some(byte) == dialect.quote && backslash => {
                quote = None;
                At::Unquoted
            }
            At::Quoted if Some(byte) == dialect.quote => At::QuoteInQuoted,
            At::Quoted => At::Quoted,
            At::QuoteInQuoted if Some(byte) == dialect.quote => At::Quoted,
            At::FieldStart if Some(byte) == dialect.quote => {
                quote = Some(at);
                At::Quoted
            }
            At::FieldStart | At::Unquoted | At::QuoteInQuoted => {
                quote = None;
                if byte == dialect.delimiter {
                    At::FieldStart
                } else if backslash && dialect.quote.is_none() && byte == b'\\' {
                    At::EscapedUnquoted
                } else {
                    let found = match (byte, newline) {
                        (b'\n', None | Some(Newline::Lf)) => Some(Newline::Lf),
                        (b'\r', Some(Newline::Cr)) => Some(Newline::Cr),
                        (b'\r', None) => match bytes.get(at + 1) {
                            Some(b'\n') => None, // the next byte ends the record
                            Some(_) => Some(Newline::Cr),
                            None if ended => Some(Newline::Cr),
                            None => return First::Unfinished { quote: None },
                        },
                        _ => None,
                    };
                    if let Some(newline) = found {
                        return First::Record {
                            length: at,
                            next: at + 1,
                            newline,
                        };
                    }
                    At::Unquoted
                }
            }
        };
    }
    let open = match state {
        At::QuoteInQuoted => None,
        _ => quote,
    };
    if ended && open.is_none() {
        return First::Record {
            length: bytes.len(),
            next: bytes.len(),
            newline: newline.unwrap_or(Newline::Lf),
        };
    }
    First::Unfinished { quote: open }
}

/// Finds the end of the first line, whatever stands in it.
pub(super) fn line(bytes: &[u8], newline: Option<Newline>, ended: bool) -> First {
    let found = match newline {
        Some(newline) => memchr(newline.byte(), bytes),
        None => memchr2(b'\n', b'\r', bytes),
    };
    let whole = |length, next, newline| First::Record {
        length,
        next,
        newline,
    };
    let Some(at) = found else {
        return match ended {
            true => whole(bytes.len(), bytes.len(), newline.unwrap_or(Newline::Lf)),
            false => First::Unfinished { quote: None },
        };
    };
    match (newline, &bytes[at..]) {
        (Some(newline), _) => whole(at, at + 1, newline),
        (None, [b'\n', ..]) => whole(at, at + 1, Newline::Lf),
        (None, [_, b'\n', ..]) => whole(at + 1, at + 2, Newline::Lf),
        (None, [_]) if !ended => First::Unfinished { quote: None },
        (None, _) => whole(at, at + 1, Newline::Cr),
    }
}

/// Finds the end of the last whole record of a buffer that grows; looks at each byte once.
#[derive(Debug, Default)]
pub(super) struct LastEnd {
    /// Where the record after the last whole one begins; zero: no record has ended yet.
    pub(super) end: usize,
    /// The quote that is open at `position`.
    pub(super) quote: Option<usize>,
    position: usize,
    /// The last look went from record to record, past comment lines.
    by_record: bool,
}

impl LastEnd {
    /// Looks at the bytes not seen yet. `ended`: no byte follows these.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        dialect: &Dialect,
        newline: Newline,
        ended: bool,
    ) {
        if std::mem::take(&mut self.by_record) {
            self.position = self.end;
            self.quote = None;
        }
        if self.may_be_commented(bytes, dialect, newline) {
            return self.advance_by_record(bytes, dialect, newline, ended);
        }
        match (dialect.quote, dialect.escape) {
            (Some(quote), escape) => {
                let syntax = Syntax {
                    delimiter: dialect.delimiter,
                    quote,
                    backslash: escape == Escape::Backslash,
                    newline: newline.byte(),
                };
                self.advance_quoted(bytes, &syntax, ended);
            }
            // No scan forward: the last newline is the end of a record.
            (None, Escape::Doubled) => {
                self.ends_in(bytes, bytes.len(), newline.byte());
                self.position = bytes.len();
            }
            (None, Escape::Backslash) => self.advance_escaped(bytes, newline.byte()),
        }
    }

    /// The bytes before `count` are gone: offsets count from there.
    pub(super) fn forget(&mut self, count: usize) {
        self.end -= count;
        self.position -= count;
        self.quote = self.quote.map(|quote| quote - count);
    }

    /// Looks for the last newline in the unquoted bytes from `position` up to `to`.
    fn ends_in(&mut self, bytes: &[u8], to: usize, newline: u8) {
        if let Some(last) = memrchr(newline, &bytes[self.position..to]) {
            self.end = self.position + last + 1;
        }
    }

    /// A line with the comment prefix lies in the bytes whose records have not ended. Where a newline
    /// always ends a record, a comment changes nothing.
    fn may_be_commented(&self, bytes: &[u8], dialect: &Dialect, newline: Newline) -> bool {
        let Some(prefix) = &dialect.comment else {
            return false;
        };
        if dialect.quote.is_none() && dialect.escape == Escape::Doubled {
            return false;
        }
        let rest = &bytes[self.end..];
        let after_newline = |at: usize| rest[at + 1..].starts_with(prefix);
        rest.starts_with(prefix) || memchr_iter(newline.byte(), rest).any(after_newline)
    }

    /// In a comment line a quote or a backslash means nothing, so that nothing can be skipped.
    fn advance_by_record(
        &mut self,
        bytes: &[u8],
        dialect: &Dialect,
        newline: Newline,
        ended: bool,
    ) {
        self.by_record = true;
        self.quote = None;
        while self.end < bytes.len() {
            match first(&bytes[self.end..], dialect, Some(newline), ended) {
                // What the end of the bytes ends is for the splitter to measure.
                First::Record { length, next, .. } if length == next => break,
                First::Record { next, .. } => self.end += next,
                First::Unfinished { quote } => {
                    self.quote = quote.map(|quote| self.end + quote);
                    break;
                }
            }
        }
        self.position = bytes.len();
    }

    fn advance_quoted(&mut self, bytes: &[u8], syntax: &Syntax, ended: bool) {
        while self.position < bytes.len() {
            let rest = &bytes[self.position..];
            if self.quote.is_some() {
                let found = if syntax.backslash {
                    memchr2(syntax.quote, b'\\', rest)
                } else {
                    memchr(syntax.quote, rest)
                };
                let Some(found) = found else {
                    self.position = bytes.len();
                    return;
                };
                let next = rest.get(found + 1);
                let is_quote = rest[found] == syntax.quote;
                if next.is_none() && !ended && !(is_quote && syntax.backslash) {
                    self.position += found; // the byte to come decides what this one is
                    return;
                }
                let is_pair = !is_quote || (!syntax.backslash && next == Some(&syntax.quote));
                if is_pair {
                    self.position = bytes.len().min(self.position + found + 2);
                } else {
                    self.position += found + 1;
                    self.quote = None;
                }
                continue;
            }
            let Some(found) = memchr(syntax.quote, rest).map(|found| self.position + found) else {
                self.ends_in(bytes, bytes.len(), syntax.newline);
                self.position = bytes.len();
                return;
            };
            self.ends_in(bytes, found, syntax.newline);
            self.position = found + 1;
            let before = found.checked_sub(1).map(|before| bytes[before]);
            if before.is_none_or(|byte| byte == syntax.delimiter || byte == syntax.newline) {
                self.quote = Some(found);
            }
        }
    }

    /// A newline after an odd number of backslashes is data. A run of backslashes can be counted
    /// backwards: the byte before the run ends whatever came before, and so does a record start.
    fn advance_escaped(&mut self, bytes: &[u8], newline: u8) {
        let mut to = bytes.len();
        while let Some(last) = memrchr(newline, &bytes[self.position..to]) {
            let last = self.position + last;
            let run = bytes[..last].iter().rev().take_while(|&&b| b == b'\\');
            if run.count().is_multiple_of(2) {
                self.end = last + 1;
                break;
            }
            to = last;
        }
        self.position = bytes.len();
    }
}

/// The bytes that mean something in a dialect with quotes.
struct Syntax {
    delimiter: u8,
    quote: u8,
    backslash: bool,
    newline: u8,
}
