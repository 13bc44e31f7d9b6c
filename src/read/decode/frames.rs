//! Finds whole frames of an object that was compressed in pieces, without unpacking them.
//!
//! In: raw bytes. Out: one frame after the other with the size of its content, as its own headers
//! tell it. Only frames that are small and say so are taken; where anything else stands nothing is
//! taken, and a decoder that reads one byte after the other goes on there, and finds what is wrong.

use super::broken;
use super::raw::Raw;
use std::io::{self, Read};

/// What the frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 8878; `pzstd`, the seekable format, and `cat` of small files make many frames.
    Zstd,
    /// Gzip members of at most 64 KiB that say how long they are: section 4.1 of the SAM format
    /// <https://samtools.github.io/hts-specs/SAMv1.pdf>.
    Bgzip,
}

/// The largest content of a frame that is unpacked in one piece.
const CONTENT_MAX: usize = 8 << 20;
/// The longest frame taken: more is no compression of such a content.
const FRAME_MAX: usize = 2 * CONTENT_MAX;
/// RFC 8878, section 3.1.1.1: magic, descriptor, window, dictionary, content size.
const ZSTD_HEADER_MAX: usize = 18;
/// Of bgzip, with its one extra field.
const BGZIP_HEADER: usize = 18;
/// Checksum and length behind the deflated data of a gzip member.
const GZIP_TRAILER: usize = 8;
/// A bgzip block never holds more.
const BGZIP_CONTENT_MAX: usize = 64 << 10;

impl Format {
    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Zstd => "zstd",
            Format::Bgzip => "gzip",
        }
    }

    /// Says whether a frame that can be taken begins here.
    pub(super) fn is_at(self, head: &[u8]) -> bool {
        match self {
            // `pzstd` puts a frame without data before each of its frames.
            Format::Zstd => {
                zstd_content(head).is_some() || matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
            }
            Format::Bgzip => bgzip_length(head).is_some(),
        }
    }

    /// Appends the next frame to `out` and returns the size of its content; `None`, and nothing
    /// taken, where none begins.
    ///
    /// # Errors
    /// The reader's own; `UnexpectedEof` where the frame is cut off, `InvalidData` where it cannot
    /// be one. A part of it may then have been appended.
    pub(super) fn take<R: Read>(
        self,
        raw: &mut Raw<R>,
        out: &mut Vec<u8>,
    ) -> io::Result<Option<usize>> {
        match self {
            Format::Zstd => take_zstd(raw, out),
            Format::Bgzip => take_bgzip(raw, out),
        }
    }
}

/// Goes to where the next frame begins, past frames that hold no data.
fn skip_skippable<R: Read>(raw: &mut Raw<R>) -> io::Result<()> {
    while let [0x50..=0x5F, 0x2A, 0x4D, 0x18, a, b, c, d, ..] = raw.peek(8)? {
        let length = u32::from_le_bytes([*a, *b, *c, *d]);
        whole(raw.skip(8 + u64::from(length))?, Format::Zstd)?;
    }
    Ok(())
}

fn whole(there: bool, format: Format) -> io::Result<()> {
    match there {
        true => Ok(()),
        false => Err(broken(
            format.name(),
            io::ErrorKind::UnexpectedEof,
            "ends early",
        )),
    }
}

/// Length of the header and size of the content of a frame that needs no dictionary.
fn zstd_content(head: &[u8]) -> Option<(usize, usize)> {
    let (&[0x28, 0xB5, 0x2F, 0xFD, descriptor], rest) = head.split_first_chunk()? else {
        return None;
    };
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x0B != 0 {
        return None; // a dictionary, or the reserved bit
    }
    let window = usize::from(!single_segment);
    let (bytes, plus) = match (descriptor >> 6, single_segment) {
        (0, false) => return None,
        (0, true) => (1, 0),
        (1, _) => (2, 256),
        (2, _) => (4, 0),
        _ => (8, 0),
    };
    let mut size = [0; 8];
    size[..bytes].copy_from_slice(rest.get(window..window + bytes)?);
    let content = usize::try_from(u64::from_le_bytes(size)).ok()? + plus;
    (content <= CONTENT_MAX).then_some((5 + window + bytes, content))
}

fn take_zstd<R: Read>(raw: &mut Raw<R>, out: &mut Vec<u8>) -> io::Result<Option<usize>> {
    skip_skippable(raw)?;
    let Some((header, content)) = zstd_content(raw.peek(ZSTD_HEADER_MAX)?) else {
        return Ok(None);
    };
    let checksum = raw.peek(5)?.get(4).is_some_and(|flags| flags & 4 != 0);
    let start = out.len();
    whole(raw.append(header, out)?, Format::Zstd)?;
    loop {
        let &[a, b, c, ..] = raw.peek(3)? else {
            whole(false, Format::Zstd)?;
            break;
        };
        let block = u32::from_le_bytes([a, b, c, 0]);
        let (last, kind, size) = (block & 1, block >> 1 & 3, (block >> 3) as usize);
        let stored = match kind {
            1 => 1, // one byte, repeated
            _ => size,
        };
        whole(raw.append(3 + stored, out)?, Format::Zstd)?;
        if kind == 3 || out.len() - start > FRAME_MAX {
            let kind = io::ErrorKind::InvalidData;
            return Err(broken("zstd", kind, "blocks that fit no frame"));
        }
        if last == 1 {
            break;
        }
    }
    whole(raw.append(if checksum { 4 } else { 0 }, out)?, Format::Zstd)?;
    Ok(Some(content))
}

/// The whole length of a block.
pub(super) fn bgzip_length(head: &[u8]) -> Option<usize> {
    let &[
        0x1F,
        0x8B,
        8,
        4,
        _,
        _,
        _,
        _,
        _,
        _,
        6,
        0,
        b'B',
        b'C',
        2,
        0,
        low,
        high,
    ] = head.first_chunk::<BGZIP_HEADER>()?
    else {
        return None;
    };
    let length = usize::from(u16::from_le_bytes([low, high])) + 1;
    (length > BGZIP_HEADER + GZIP_TRAILER).then_some(length)
}

fn take_bgzip<R: Read>(raw: &mut Raw<R>, out: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let Some(length) = bgzip_length(raw.peek(BGZIP_HEADER)?) else {
        return Ok(None);
    };
    whole(raw.append(length, out)?, Format::Bgzip)?;
    let content = match out.last_chunk::<4>() {
        Some(size) => u32::from_le_bytes(*size) as usize,
        None => 0,
    };
    if content > BGZIP_CONTENT_MAX {
        let kind = io::ErrorKind::InvalidData;
        return Err(broken("gzip", kind, "a bgzip block of more than 64 KiB"));
    }
    Ok(Some(content))
}
