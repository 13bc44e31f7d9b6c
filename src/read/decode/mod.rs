//! Undoes one compression.
//!
//! In: raw bytes, read once from front to back. Out: the decoded bytes, as a reader.
//! Compression is recognised by content, never by name: a `.gz` that an HTTP client has already
//! unpacked is plain, and a `.txt` may be zstd. What was compressed is not looked at here: that an
//! archive, or the next compression, lies inside is seen by `container`.
//!
//! The rule that is easy to break: *all* members, frames and streams are read, checksums included,
//! and nothing may follow them. At the end of the data the raw reader has been read to its end, so
//! the caller may compare the bytes it delivered with the size of the object.

mod frames;
mod gzip;
mod raw;
mod side_by_side;
mod stream;

use frames::Format;
use gzip::Gzip;
use side_by_side::SideBySide;
use std::io::{self, Read};

pub(super) use raw::Raw;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    /// RFC 1952, any number of members; bgzip too.
    Gzip,
    /// RFC 8878, any number of frames, skippable ones too.
    Zstd,
    /// Any number of streams.
    Bzip2,
    /// Any number of streams: <https://tukaani.org/xz/xz-file-format.txt>.
    Xz,
}

/// Whether a file that begins with these bytes carries checksums of what it holds, as far as its first
/// frame says. Parquet counts as carrying them: the headers of its pages say so, which stand anywhere.
pub fn carries_checksums(head: &[u8]) -> bool {
    match head {
        // RFC 8878, 3.1.1.1.1: the third bit of the frame header descriptor.
        [0x28, 0xB5, 0x2F, 0xFD, descriptor, ..] => descriptor & 0x04 != 0,
        // The kind of check in the stream flags: 0 is none.
        [0xFD, b'7', b'z', b'X', b'Z', 0, _, check, ..] => *check != 0,
        [b'P', b'A', b'R', b'1', ..] | [b'P', b'K', ..] => true,
        _ => !matches!(Compression::of(head), Ok(Compression::Plain)),
    }
}

/// Enough bytes to recognise every format; bgzip needs the most.
const HEAD_BYTES: usize = 18;

/// Recognises the compression of an object and returns it with a reader of the decoded bytes.
///
/// Reads the first bytes of the object at once. Memory: 128 KiB; for zstd also the window of at most
/// 128 MiB, or 64 MiB for frames side by side; for xz at most 160 MiB. The reader returned fails again
/// when it is read after an error.
///
/// `threads`: how many may unpack an object that was compressed in pieces; with 0 it is unpacked by
/// whoever reads.
///
/// # Errors
/// The raw reader's own errors, unchanged. The reader returned gives
/// [`io::ErrorKind::UnexpectedEof`] for a truncated object, [`io::ErrorKind::InvalidData`] for a
/// damaged one and for anything after its end, but zero bytes after gzip (padding of tapes and
/// block devices) and after xz (its format allows them in fours) are accepted.
pub fn open<'a>(
    raw: impl Read + Send + 'a,
    threads: usize,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut raw = Raw::new(raw);
    let compression = Compression::of(raw.peek(HEAD_BYTES)?)?;
    Ok((compression, decoder(compression, raw, threads)?))
}

impl Compression {
    /// Recognises a compression by the first bytes.
    ///
    /// # Errors
    /// These are all the bytes there are, and they are the beginning of a beginning.
    pub fn of(head: &[u8]) -> io::Result<Compression> {
        match head {
            // RFC 1952, section 2.3.1.
            [0x1F, 0x8B, ..] => Ok(Compression::Gzip),
            // RFC 8878, sections 3.1.1 and 3.1.2 (a skippable frame may come first).
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
                Ok(Compression::Zstd)
            }
            // "BZh" alone could open a line of text: the mark of a block or of the end follows.
            [b'B', b'Z', b'h', b'1'..=b'9', mark @ ..]
                if mark.starts_with(b"\x31\x41\x59\x26\x53\x59")
                    || mark.starts_with(b"\x17\x72\x45\x38\x50\x90") =>
            {
                Ok(Compression::Bzip2)
            }
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Compression::Xz),
            [0x1F]
            | [0x28, 0xB5]
            | [0x28, 0xB5, 0x2F]
            | [0xFD]
            | [0xFD, b'7']
            | [0xFD, b'7', b'z']
            | [0xFD, b'7', b'z', b'X']
            | [0xFD, b'7', b'z', b'X', b'Z'] => Err(broken(
                "compressed",
                io::ErrorKind::UnexpectedEof,
                "ends early",
            )),
            _ => Ok(Compression::Plain),
        }
    }
}

/// A reader of the decoded bytes of what was recognised.
pub(super) fn decoder<'a, R: Read + Send + 'a>(
    compression: Compression,
    mut raw: Raw<R>,
    threads: usize,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let pieces = match compression {
        Compression::Zstd => Some(Format::Zstd),
        Compression::Gzip => Some(Format::Bgzip),
        _ => None,
    };
    if let Some(format) = pieces
        && threads > 0
        && format.is_at(raw.peek(HEAD_BYTES)?)
    {
        return Ok(Box::new(SideBySide::new(format, raw, threads)?));
    }
    Ok(match compression {
        Compression::Plain => Box::new(raw.into_rest()),
        Compression::Gzip => Box::new(Gzip::new(raw)),
        Compression::Zstd => Box::new(stream::zstd(raw)?),
        Compression::Bzip2 => Box::new(stream::bzip2(raw)),
        Compression::Xz => Box::new(stream::xz(raw)?),
    })
}

/// An error of the data (not of the raw reader).
pub(super) fn broken(format: &str, kind: io::ErrorKind, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(kind, format!("read {format} data: {what}"))
}

#[cfg(test)]
mod tests;
