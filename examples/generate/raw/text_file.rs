//! Writes one delimited text file, field by field, straight into bytes.
//!
//! In: the fields of a row in the order of the header, then [`TextFile::end_row`].
//! Out: the file in its published spelling: delimiter, CRLF, encoding, quoting.
//!
//! Fields go into one buffer with no string made on the way; this is what lets one core write
//! millions of rows a second. A field is followed by a delimiter at once, and the end of the
//! row takes the last one back.

use std::io::Write;

use anyhow::{Context, Result};

use super::compress::{Encoder, Members};
use super::sink::Sink;

/// Bytes held before they go to the compressor.
const BUFFER_BYTES: usize = 1 << 17;

/// How a publisher spells its text files; all of them end lines with CRLF.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `|`, nothing quoted, Windows-1252: the CMS public use files.
    Pipe,
    /// Tab, nothing quoted, Windows-1252: the FDA NDC directory.
    Tab,
    /// Comma, double quotes where needed, UTF-8 behind a byte-order mark: the CMS Landscape.
    Csv,
}

/// The file being written.
pub struct TextFile {
    key: String,
    spelling: Spelling,
    delimiter: u8,
    buffer: Vec<u8>,
    encoder: Encoder,
    rows: u64,
}

impl TextFile {
    /// Opens the object and writes the header.
    ///
    /// # Errors
    /// The sink cannot be written to.
    pub fn create(sink: &dyn Sink, key: &str, spelling: Spelling, header: &[&str]) -> Result<Self> {
        Self::with_members(sink, key, spelling, header, Members::One)
    }

    /// The same, with the choice of how a `.gz` object is divided.
    ///
    /// # Errors
    /// The sink cannot be written to.
    pub fn with_members(
        sink: &dyn Sink,
        key: &str,
        spelling: Spelling,
        header: &[&str],
        members: Members,
    ) -> Result<Self> {
        let mut file = TextFile {
            key: key.to_string(),
            spelling,
            delimiter: match spelling {
                Spelling::Pipe => b'|',
                Spelling::Tab => b'\t',
                Spelling::Csv => b',',
            },
            buffer: Vec::with_capacity(BUFFER_BYTES + (1 << 14)),
            encoder: Encoder::new(key, members, sink.open(key)?)?,
            rows: 0,
        };
        if spelling == Spelling::Csv {
            file.buffer.extend_from_slice("\u{feff}".as_bytes());
        }
        for name in header {
            file.text(name);
        }
        file.end_row()?;
        file.rows = 0;
        Ok(file)
    }

    /// A field of any text, encoded and quoted as the file wants it.
    pub fn text(&mut self, text: &str) -> &mut Self {
        match self.spelling {
            Spelling::Csv => self.quoted(text),
            _ if text.is_ascii() => self.buffer.extend_from_slice(text.as_bytes()),
            _ => self.buffer.extend(text.chars().map(windows_1252)),
        }
        self.buffer.push(self.delimiter);
        self
    }

    /// A field of bytes that need no care: a code, a flag, a mark for "missing".
    #[inline]
    pub fn code(&mut self, bytes: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(bytes);
        self.buffer.push(self.delimiter);
        self
    }

    /// Bytes that already hold several fields and the delimiter behind each.
    #[inline]
    pub fn fields(&mut self, bytes: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(bytes);
        self
    }

    /// `Y` or `N`.
    #[inline]
    pub fn yes_no(&mut self, yes: bool) -> &mut Self {
        self.code(if yes { b"Y" } else { b"N" })
    }

    /// `1` or `0`.
    #[inline]
    pub fn one_zero(&mut self, one: bool) -> &mut Self {
        self.code(if one { b"1" } else { b"0" })
    }

    /// A whole number.
    #[inline]
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.digits(number, 1);
        self.buffer.push(self.delimiter);
        self
    }

    /// A whole number with zeros in front, up to a width.
    #[inline]
    pub fn padded(&mut self, number: u64, width: usize) -> &mut Self {
        self.digits(number, width);
        self.buffer.push(self.delimiter);
        self
    }

    /// A decimal number given in its last place: 1234 with two places is `12.34`.
    #[inline]
    pub fn decimal(&mut self, number: u64, places: usize) -> &mut Self {
        let scale = 10u64.pow(places as u32);
        self.digits(number / scale, 1);
        self.buffer.push(b'.');
        self.digits(number % scale, places);
        self.buffer.push(self.delimiter);
        self
    }

    /// Dollars and cents, or one space where there is none.
    pub fn cents(&mut self, cents: Option<u64>) -> &mut Self {
        match cents {
            Some(cents) => self.decimal(cents, 2),
            None => self.code(b" "),
        }
    }

    /// Ends the row.
    ///
    /// # Errors
    /// The sink refuses the bytes.
    #[inline]
    pub fn end_row(&mut self) -> Result<()> {
        self.buffer.pop();
        self.buffer.extend_from_slice(b"\r\n");
        self.rows += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    /// Finishes the object and returns how many rows it has, without the header.
    ///
    /// # Errors
    /// The sink refuses the last bytes.
    pub fn finish(mut self) -> Result<u64> {
        self.write_out()?;
        self.encoder
            .finish()
            .with_context(|| format!("finish `{}`", self.key))?;
        Ok(self.rows)
    }

    fn write_out(&mut self) -> Result<()> {
        self.encoder
            .write_all(&self.buffer)
            .with_context(|| format!("write `{}`", self.key))?;
        self.buffer.clear();
        Ok(())
    }

    fn quoted(&mut self, text: &str) {
        let spaced = text.starts_with(' ') || text.ends_with(' ');
        if !spaced && !text.contains([',', '"', '\r', '\n']) {
            self.buffer.extend_from_slice(text.as_bytes());
            return;
        }
        self.buffer.push(b'"');
        self.buffer
            .extend_from_slice(text.replace('"', "\"\"").as_bytes());
        self.buffer.push(b'"');
    }

    #[inline]
    fn digits(&mut self, mut number: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        while number > 0 || digits.len() - start < width {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.buffer.extend_from_slice(&digits[start..]);
    }
}

/// The byte of a character in Windows-1252 (Unicode's mapping table CP1252.TXT); the names in
/// this program use no character beyond these.
fn windows_1252(character: char) -> u8 {
    match character {
        '\u{2019}' => 0x92,
        '\u{201c}' => 0x93,
        '\u{201d}' => 0x94,
        '\u{2013}' => 0x96,
        '\u{2122}' => 0x99,
        other => u8::try_from(u32::from(other)).unwrap_or(b'?'),
    }
}
