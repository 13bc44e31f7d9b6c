//! Undoes the compression of one raw object.
//!
//! In: the raw bytes, read once from front to back. Out: the decoded bytes, as a reader.
//! Compression is recognised by content, never by name: a `.gz` that an HTTP client has already
//! unpacked is plain, and a `.txt` may be zstd.
//!
//! The rule that is easy to break: *all* members and frames are read, checksums included, and
//! nothing may follow them. At the end of the data the raw reader has been read to its end, so the
//! caller may compare the bytes it delivered with the size of the object.

use std::io::{self, BufRead, Chain, Cursor, Read};

use super::gzip::Gzip;

/// How an object was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames, skippable ones too.
    Zstd,
}

/// Enough bytes to recognise every format below; bzip2 needs the most.
const MAGIC_BYTES: usize = 10;

/// How much is asked of the raw reader at once.
const RAW_BYTES: usize = 128 << 10;

/// The largest zstd window, as a power of two: 128 MiB, what the `zstd` command accepts unless told
/// otherwise. A window is memory held for as long as the object is read.
const WINDOW_LOG_MAX: u32 = 27;

/// Recognises the compression of an object and returns it with a reader of the decoded bytes.
///
/// Reads the first bytes of the object at once. Memory: 128 KiB, for zstd also the window of at most
/// 128 MiB. The reader returned fails again when it is read after an error.
///
/// # Errors
/// The raw reader's own errors, unchanged. [`io::ErrorKind::Unsupported`] for bytes that are no text
/// (zip, bzip2, xz, UTF-16), also inside compression. The reader returned gives
/// [`io::ErrorKind::UnexpectedEof`] for a truncated object, [`io::ErrorKind::InvalidData`] for a
/// damaged one and for anything after its end, but zero bytes after gzip (padding of tapes and
/// block devices) are accepted.
pub fn open<'a>(
    raw: impl Read + Send + 'a,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut raw = Raw::new(raw);
    raw.fill_head()?;
    let head = raw.buffered();
    refuse(head)?;
    if is_gzip(head) {
        let decoded = text_inside(Gzip::new(raw))?;
        return Ok((Compression::Gzip, Box::new(decoded)));
    }
    if is_zstd(head) {
        let decoded = text_inside(Zstd::new(raw)?)?;
        return Ok((Compression::Zstd, Box::new(decoded)));
    }
    if matches!(head, [0x1F] | [0x28, 0xB5] | [0x28, 0xB5, 0x2F]) {
        return Err(broken(
            "compressed",
            io::ErrorKind::UnexpectedEof,
            "ends early",
        ));
    }
    Ok((Compression::Plain, Box::new(raw)))
}

/// RFC 1952, section 2.3.1.
fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1F, 0x8B])
}

/// RFC 8878, sections 3.1.1 and 3.1.2 (a skippable frame may come first).
fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD])
        || matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

/// Refuses what is recognisably no text, and says what to do about it.
fn refuse(head: &[u8]) -> io::Result<()> {
    let said = match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => {
            "this is a zip archive, not text: unpack it, or compress its file with gzip or zstd"
        }
        // "BZh" alone could open a line of text: the mark of a block or of the end follows.
        [
            b'B',
            b'Z',
            b'h',
            b'1'..=b'9',
            0x31,
            0x41,
            0x59,
            0x26,
            0x53,
            0x59,
            ..,
        ]
        | [
            b'B',
            b'Z',
            b'h',
            b'1'..=b'9',
            0x17,
            0x72,
            0x45,
            0x38,
            0x50,
            0x90,
            ..,
        ] => "this is bzip2 data: compress it with gzip or zstd instead",
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => {
            "this is xz data: compress it with gzip or zstd instead"
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            "this is UTF-16 text: convert it to UTF-8, as `iconv -f UTF-16 -t UTF-8` does"
        }
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::Unsupported, said))
}

/// Looks at the first decoded bytes: what is refused bare is refused inside compression too.
fn text_inside<R: Read>(mut decoded: R) -> io::Result<Chain<Cursor<Vec<u8>>, R>> {
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    decoded
        .by_ref()
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut head)?;
    refuse(&head)?;
    if is_gzip(&head) || is_zstd(&head) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this was compressed twice: unpack it once",
        ));
    }
    Ok(Cursor::new(head).chain(decoded))
}

/// An error of the data (not of the raw reader).
pub(super) fn broken(format: &str, kind: io::ErrorKind, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(kind, format!("read {format} data: {what}"))
}

/// The raw reader with a buffer, which knows whether an error was its own.
pub(super) struct Raw<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The raw reader has failed: the error that comes out of a decoder is not about the data.
    pub(super) failed: bool,
}

impl<R: Read> Raw<R> {
    fn new(reader: R) -> Self {
        Raw {
            reader,
            buffer: vec![0; RAW_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            failed: false,
        }
    }

    fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn fill_head(&mut self) -> io::Result<()> {
        while self.end < MAGIC_BYTES {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<R: Read> BufRead for Raw<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end {
            match self.reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl<R: Read> Read for Raw<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && out.len() >= self.buffer.len() {
            return self.reader.read(out);
        }
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// Decodes all frames.
struct Zstd<R> {
    decoder: zstd::stream::read::Decoder<'static, Raw<R>>,
    failed: bool,
}

impl<R: Read> Zstd<R> {
    fn new(raw: Raw<R>) -> io::Result<Self> {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Zstd {
            decoder,
            failed: false,
        })
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(broken("zstd", io::ErrorKind::InvalidData, "failed before"));
        }
        self.decoder.read(out).map_err(|error| {
            self.failed = true;
            if self.decoder.get_ref().failed {
                return error;
            }
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return broken("zstd", error.kind(), "ends early");
            }
            broken("zstd", io::ErrorKind::InvalidData, error)
        })
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
