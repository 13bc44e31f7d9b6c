//! What a document says of itself, and what is said when it cannot be read.

use super::super::encoding::Encoding;
use super::super::text::refused;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

/// The steps of the path of the rows.
///
/// # Errors
/// It is none.
pub fn steps(rows: &str) -> io::Result<Vec<String>> {
    let said = || {
        refused(
            format!("`rows = \"{rows}\"` is no path of elements"),
            "write one such as `/prices/price`",
        )
    };
    let path = rows.strip_prefix('/').ok_or_else(said)?;
    let steps: Vec<String> = path.split('/').map(|step| local(step).to_owned()).collect();
    let is_name = |step: &String| !step.is_empty() && step != "." && !step.contains(['@', '[']);
    match steps.iter().all(is_name) {
        true => Ok(steps),
        false => Err(said()),
    }
}

/// A name without the prefix of its namespace.
pub fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The encoding that a document says of itself: by its mark, its first characters or its
/// declaration. <https://www.w3.org/TR/xml/#sec-guessing>
pub fn declared(head: &[u8]) -> io::Result<Encoding> {
    if matches!(
        head,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b'<', ..] | [b'<', 0, ..]
    ) {
        return Ok(Encoding::Utf16);
    }
    let Some(rest) = head.strip_prefix(b"<?xml") else {
        return Ok(Encoding::Utf8);
    };
    let end = memchr::memmem::find(rest, b"?>").unwrap_or(rest.len());
    let declaration = String::from_utf8_lossy(&rest[..end]);
    let Some((_, after)) = declaration.split_once("encoding") else {
        return Ok(Encoding::Utf8);
    };
    let label = after.trim_start_matches([' ', '=', '\t', '\r', '\n']);
    let label = label
        .get(1..)
        .and_then(|label| label.split(['"', '\'']).next())
        .unwrap_or_default();
    Encoding::from_label(label).ok_or_else(|| {
        refused(
            "the document declares an encoding that is not known",
            "say which it is with `encoding` under [format]",
        )
    })
}

/// What is broken, and where.
pub fn unreadable(byte: u64, said: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("read the XML document at byte {byte} of its text: {said}"),
    )
}

/// A record, or a part of one, is longer than allowed.
pub fn too_long(most: usize) -> io::Error {
    refused(
        format!("a record of the XML document is longer than {most} bytes"),
        "`max_record_bytes` under [format] allows longer ones",
    )
}

/// An error of the parser, without what the document holds.
pub fn explained(error: quick_xml::Error, began: u64) -> io::Error {
    match error {
        // The reader's own, unchanged.
        quick_xml::Error::Io(error) => match Arc::try_unwrap(error) {
            Ok(error) => error,
            Err(error) => io::Error::new(error.kind(), error.to_string()),
        },
        quick_xml::Error::IllFormed(error) => unreadable(began, &error.to_string()),
        quick_xml::Error::Syntax(error) => unreadable(began, &error.to_string()),
        _ => unreadable(began, "it is not well-formed"),
    }
}

/// A reader of one event at a time, which bounds what an event holds.
pub struct Limited<R> {
    inner: R,
    pub most: usize,
    pub left: usize,
}

impl<R> Limited<R> {
    pub fn new(inner: R, most: usize) -> Limited<R> {
        let left = most;
        Limited { inner, most, left }
    }
}

impl<R: BufRead> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(too_long(self.most));
        }
        // No more than is left, or how much is read at once would decide what is too long.
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..bytes.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.inner.read(out)
    }
}
