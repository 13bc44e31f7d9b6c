//! How a text of records is spelled: delimiter, quoting, line ends, encoding, and what of it is no
//! record.
//!
//! In: what a source declares. Out: a [`Dialect`] that [`Dialect::check`] has accepted.
//! The rule that is easy to break: a newline style belongs to a whole object, never to a chunk or a
//! line. It is found once, at the first record, and travels with every chunk.

use anyhow::{Result, bail, ensure};

use super::encoding::Encoding;
use super::fixed_width::FixedWidth;
use super::json_lines::JsonLines;
use super::line_glob::LineGlob;
use std::sync::Arc;

/// PostgreSQL stores at most 1 GB in one field, so a longer record limit could only waste memory.
/// <https://www.postgresql.org/docs/current/limits.html>
const LARGEST_RECORD_BYTES: usize = 1 << 30;

const MOST_HEADER_LINES: usize = 100;
/// So many records are held back until the end is known.
const MOST_FOOTER_RECORDS: usize = 1000;

/// How a text of records is spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What a record is cut into fields by.
    pub shape: Shape,
    /// The one ASCII byte between two fields.
    pub delimiter: u8,
    /// The one ASCII byte around a quoted field; `None`: quotes are data.
    pub quote: Option<u8>,
    /// How a quote (or without quoting: a delimiter or newline) is written as data.
    pub escape: Escape,
    /// What stands before the header, or before the first record.
    pub skip: Skip,
    /// The first record holds the names of the fields.
    pub header: bool,
    /// Records that together are the header, if there is one.
    pub header_lines: usize,
    /// A line that begins so is no record.
    pub comment: Option<Vec<u8>>,
    /// What stands behind the last record.
    pub footer: Footer,
    /// Every record ends with one delimiter more; the header may.
    pub trailing_delimiter: bool,
    /// Fields that a short record lacks are null.
    pub pad_short: bool,
    /// What the bytes of a text mean.
    pub encoding: Encoding,
    /// A longer record (without its line end) is an error; bounds the memory of a splitter.
    pub max_record_bytes: usize,
}

/// What a record is cut into fields by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Delimiters and quotes.
    Delimited,
    /// Places in a line.
    FixedWidth(Arc<FixedWidth>),
    /// Paths into the JSON text of a line.
    JsonLines(Arc<JsonLines>),
}

/// What stands before the header, or before the first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    Nothing,
    /// So many lines.
    Lines(u64),
    /// All lines before the first that matches.
    Until(LineGlob),
}

/// What stands behind the last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Footer {
    None,
    /// So many records.
    Records(usize),
    /// Everything from the record on whose first line matches.
    From(LineGlob),
}

/// How a byte that would be syntax is written as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Inside quotes a quote is written twice (RFC 4180). Without quoting nothing can be escaped.
    Doubled,
    /// A backslash is dropped and the one byte after it is data, whatever it is. With quoting this
    /// holds inside quotes only, without quoting everywhere. `\n` is the letter n, not a newline.
    Backslash,
}

/// The line end of a whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newline {
    /// `\n`; one `\r` just before it is dropped. Any other `\r` is data.
    Lf,
    /// `\r`, as old Macintosh programs and some exports write; `\n` is data.
    Cr,
}

impl Newline {
    /// Returns the byte that ends a line.
    pub fn byte(self) -> u8 {
        match self {
            Newline::Lf => b'\n',
            Newline::Cr => b'\r',
        }
    }
}

impl Default for Dialect {
    /// Comma, double quotes, a header, UTF-8, records of at most 16 MiB.
    fn default() -> Self {
        Dialect {
            shape: Shape::Delimited,
            delimiter: b',',
            quote: Some(b'"'),
            escape: Escape::Doubled,
            skip: Skip::Nothing,
            header: true,
            header_lines: 1,
            comment: None,
            footer: Footer::None,
            trailing_delimiter: false,
            pad_short: false,
            encoding: Encoding::Utf8,
            max_record_bytes: 16 << 20,
        }
    }
}

impl Dialect {
    /// Checks that records can be cut without doubt.
    ///
    /// # Errors
    /// The delimiter or the quote is not ASCII, is part of a line end, is the backslash that
    /// escapes, or both are the same; a comment begins with one of them; the record limit is zero or
    /// above 1 GiB.
    pub fn check(&self) -> Result<()> {
        let syntax = [("delimiter", Some(self.delimiter)), ("quote", self.quote)];
        for (what, byte) in syntax {
            let Some(byte) = byte else { continue };
            ensure!(byte.is_ascii(), "the {what} must be one ASCII character");
            if byte == b'\n' || byte == b'\r' {
                bail!("the {what} must not be part of a line end");
            }
            if byte == b'\\' && self.escape == Escape::Backslash {
                bail!("the {what} must not be the backslash that escapes");
            }
        }
        ensure!(
            self.quote != Some(self.delimiter),
            "the delimiter and the quote must differ"
        );
        if let Some(comment) = &self.comment {
            let first = comment.first();
            ensure!(
                first.is_some_and(u8::is_ascii_graphic)
                    && comment.iter().all(|byte| !b"\r\n".contains(byte)),
                "a comment must begin with a character that can be seen and hold no line end"
            );
            let is_delimited = self.shape == Shape::Delimited;
            ensure!(
                !is_delimited || first != Some(&self.delimiter) && first != self.quote.as_ref(),
                "a comment must not begin with the delimiter or the quote"
            );
        }
        ensure!(
            (1..=MOST_HEADER_LINES).contains(&self.header_lines),
            "a header has 1 to {MOST_HEADER_LINES} lines"
        );
        if let Footer::Records(records) = self.footer {
            ensure!(
                (1..=MOST_FOOTER_RECORDS).contains(&records),
                "a footer has 1 to {MOST_FOOTER_RECORDS} records"
            );
        }
        ensure!(
            (1..=LARGEST_RECORD_BYTES).contains(&self.max_record_bytes),
            "the longest record must be between 1 byte and 1 GiB"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut Dialect)) -> String {
        let mut dialect = Dialect::default();
        change(&mut dialect);
        dialect.check().unwrap_err().to_string()
    }

    #[test]
    fn a_dialect_that_leaves_doubt_is_refused() {
        assert!(Dialect::default().check().is_ok());
        assert!(refused(|d| d.delimiter = b'"').contains("differ"));
        assert!(refused(|d| d.delimiter = b'\n').contains("line end"));
        assert!(refused(|d| d.quote = Some(b'\r')).contains("line end"));
        assert!(refused(|d| d.delimiter = 0xA7).contains("ASCII"));
        assert!(refused(|d| d.quote = Some(0xA7)).contains("ASCII"));
        assert!(refused(|d| d.max_record_bytes = 0).contains("longest"));
        assert!(refused(|d| d.header_lines = 0).contains("header"));
        assert!(refused(|d| d.footer = Footer::Records(0)).contains("footer"));
        for comment in ["", " #", "\u{e9}", "#\n", ",", "\"#"] {
            let message = refused(|d| d.comment = Some(comment.into()));
            assert!(message.contains("a comment must"), "{message}");
        }
        assert!(
            refused(|d| {
                d.escape = Escape::Backslash;
                d.quote = Some(b'\\');
            })
            .contains("backslash")
        );
    }
}
