//! The records of a text, cut by the same splitter and cutter that the load uses: what is counted here
//! is what a run will see.

use crate::read::delimited::{CutFault, Cutter, Fields, Place};
use crate::read::dialect::Dialect;
use crate::read::split::{SplitError, Splitter};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Bytes cut at once.
const CHUNK_BYTES: usize = 256 << 10;

/// One record, or what is wrong with it.
pub struct Record<'r> {
    pub fields: &'r Fields<'r>,
    pub fault: Option<CutFault>,
    /// Line ends and bytes of the text before it.
    pub line: u64,
    pub byte: u64,
}

/// Goes through the records; ends early when told to. A header is a record here.
///
/// # Errors
/// A quote that is not closed.
pub fn each(
    text: &[u8],
    dialect: &Dialect,
    visit: &mut dyn FnMut(Record) -> ControlFlow<()>,
) -> Result<(), SplitError> {
    let dialect = Dialect {
        header: false,
        ..dialect.clone()
    };
    let mut splitter = Splitter::new(text, &dialect, CHUNK_BYTES);
    let (mut lines, mut spare) = (0, Vec::new());
    while let Some(chunk) = splitter.next(std::mem::take(&mut spare))? {
        let mut fields = Fields::default();
        let mut cutter = Cutter::new(&chunk, &dialect);
        while let Some((Place { line, byte, .. }, outcome)) = cutter.next(&mut fields) {
            let flow = visit(Record {
                fields: &fields,
                fault: outcome.err(),
                line: lines + line,
                byte: chunk.byte + byte,
            });
            if flow.is_break() {
                return Ok(());
            }
        }
        lines += cutter.lines();
        spare = chunk.bytes;
    }
    Ok(())
}

/// A start of a text without the line that it cuts off.
pub fn whole_lines(text: &[u8], whole: bool) -> &[u8] {
    if whole {
        return text;
    }
    let end = memchr::memrchr(b'\n', text).or_else(|| memchr::memrchr(b'\r', text));
    end.map_or(text, |end| &text[..=end])
}

/// The first whole lines, of about so many bytes, and whether they are the whole text.
pub fn head(text: &[u8], whole: bool, bytes: usize) -> (&[u8], bool) {
    match text.len() <= bytes {
        true => (text, whole),
        false => (whole_lines(&text[..bytes], false), false),
    }
}

/// The lines of a text, each with its end.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = match memchr::memchr(b'\n', text) {
        None => b'\r',
        Some(_) => b'\n',
    };
    text.split_inclusive(move |byte| *byte == end)
}

/// A line without its end.
pub fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The text without lines that begin with a comment's mark, and how many there were.
pub fn without_comments<'t>(text: &'t [u8], mark: &str) -> (Cow<'t, [u8]>, u64) {
    let mut count = 0;
    let mut kept = Vec::new();
    for line in lines(text) {
        match line.starts_with(mark.as_bytes()) {
            true => count += 1,
            false => kept.extend_from_slice(line),
        }
    }
    match count {
        0 => (Cow::Borrowed(text), 0),
        _ => (Cow::Owned(kept), count),
    }
}
