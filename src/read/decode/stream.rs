//! The decoders that need no more than a wrapper: zstd, bzip2, xz, one byte after the other.
//!
//! In: raw bytes that begin as the format does. Out: the decoded bytes of all frames or streams up to
//! the end of the raw bytes. A reader that has failed keeps failing: the decoders underneath would
//! call the second read of a truncated file its end.

use super::broken;
use super::raw::Raw;
use bzip2::bufread::MultiBzDecoder;
use liblzma::bufread::XzDecoder;
use std::io::{self, Read};
use zstd::stream::read::Decoder;

/// The largest zstd window, as a power of two: 128 MiB, what the `zstd` command accepts unless told
/// otherwise. A window is memory held for as long as the object is read.
const WINDOW_LOG_MAX: u32 = 27;

/// What an xz stream may ask for: `xz -9` needs 65 MiB to unpack, a dictionary of 128 MiB as much.
const XZ_MEMORY_BYTES: u64 = 160 << 20;

/// A decoder of the format `name`.
pub(super) struct Stream<D> {
    name: &'static str,
    decoder: D,
    failed: bool,
}

/// A decoder that shows what it reads from.
pub(super) trait Over {
    fn raw_failed(&self) -> bool;
}

impl<R: Read> Over for Decoder<'_, Raw<R>> {
    fn raw_failed(&self) -> bool {
        self.get_ref().failed
    }
}

impl<R: Read> Over for MultiBzDecoder<Raw<R>> {
    fn raw_failed(&self) -> bool {
        self.get_ref().failed
    }
}

impl<R: Read> Over for XzDecoder<Raw<R>> {
    fn raw_failed(&self) -> bool {
        self.get_ref().failed
    }
}

/// All frames of a zstd object.
pub(super) fn zstd<R: Read>(raw: Raw<R>) -> io::Result<Stream<Decoder<'static, Raw<R>>>> {
    let mut decoder = Decoder::with_buffer(raw)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(Stream::new("zstd", decoder))
}

/// All streams of a bzip2 object.
pub(super) fn bzip2<R: Read>(raw: Raw<R>) -> Stream<MultiBzDecoder<Raw<R>>> {
    Stream::new("bzip2", MultiBzDecoder::new(raw))
}

/// All streams of an xz object, and the padding that its format allows behind them.
pub(super) fn xz<R: Read>(raw: Raw<R>) -> io::Result<Stream<XzDecoder<Raw<R>>>> {
    use liblzma::stream::{CONCATENATED, Stream as Lzma};
    let decoder = Lzma::new_stream_decoder(XZ_MEMORY_BYTES, CONCATENATED)?;
    Ok(Stream::new("xz", XzDecoder::new_stream(raw, decoder)))
}

impl<D> Stream<D> {
    fn new(name: &'static str, decoder: D) -> Self {
        Stream {
            name,
            decoder,
            failed: false,
        }
    }
}

impl<D: Read + Over> Read for Stream<D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            let kind = io::ErrorKind::InvalidData;
            return Err(broken(self.name, kind, "failed before"));
        }
        self.decoder.read(out).map_err(|error| {
            self.failed = true;
            if self.decoder.raw_failed() {
                return error;
            }
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return broken(self.name, error.kind(), "ends early");
            }
            broken(self.name, io::ErrorKind::InvalidData, error)
        })
    }
}
