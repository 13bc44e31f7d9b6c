//! How a delimited file is spelled: delimiter, quoting, line ends, encoding.
//!
//! In: what a source declares. Out: a [`Dialect`] that [`Dialect::check`] has accepted.
//! The rule that is easy to break: a newline style belongs to a whole object, never to a chunk or a
//! line. It is found once, at the first record, and travels with every chunk.

use anyhow::{Result, bail, ensure};

use super::encoding::Encoding;

/// PostgreSQL stores at most 1 GB in one field, so a longer record limit could only waste memory.
/// <https://www.postgresql.org/docs/current/limits.html>
const LARGEST_RECORD_BYTES: usize = 1 << 30;

/// How delimited text is spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The one ASCII byte between two fields.
    pub delimiter: u8,
    /// The one ASCII byte around a quoted field; `None`: quotes are data.
    pub quote: Option<u8>,
    /// How a quote (or without quoting: a delimiter or newline) is written as data.
    pub escape: Escape,
    /// The first record holds the names of the fields.
    pub header: bool,
    /// What the bytes of a text mean.
    pub encoding: Encoding,
    /// A longer record (without its line end) is an error; bounds the memory of a splitter.
    pub max_record_bytes: usize,
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
            delimiter: b',',
            quote: Some(b'"'),
            escape: Escape::Doubled,
            header: true,
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
    /// escapes, or both are the same; the record limit is zero or above 1 GiB.
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
        assert!(
            refused(|d| {
                d.escape = Escape::Backslash;
                d.quote = Some(b'\\');
            })
            .contains("backslash")
        );
    }
}
