//! Compresses the bytes of one object on their way into the sink.
//!
//! In: text. Out: gzip, Zstandard or the text as it is, as the end of the key says.
//!
//! [`Members::Two`] ends the gzip member in the middle of a record and goes on in a second one:
//! a file that `cat a.gz b.gz` makes is valid (RFC 1952, 2.2), and readers that stop after the
//! first member lose the rest without an error.

use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::sink::Object;

/// How many gzip members a `.gz` object gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Members {
    One,
    Two,
}

/// Bytes of text in the first of two gzip members: an odd number, so that it cuts a record.
const FIRST_MEMBER_BYTES: usize = 20_011;

/// The object with its compression around it.
pub enum Encoder {
    Plain(Box<dyn Object>),
    Gzip {
        gzip: Option<GzEncoder<Box<dyn Object>>>,
        left_in_first: Option<usize>,
    },
    Zstd(zstd::stream::write::Encoder<'static, Box<dyn Object>>),
}

impl Encoder {
    /// Chooses the compression by the end of the key: `.gz`, `.zst`, or none.
    ///
    /// # Errors
    /// The compressor cannot be set up.
    pub fn new(key: &str, members: Members, object: Box<dyn Object>) -> Result<Self> {
        Ok(if key.ends_with(".gz") {
            Encoder::Gzip {
                gzip: Some(gzip(object)),
                left_in_first: (members == Members::Two).then_some(FIRST_MEMBER_BYTES),
            }
        } else if key.ends_with(".zst") {
            let encoder = zstd::stream::write::Encoder::new(object, 3)
                .with_context(|| format!("start to compress `{key}`"))?;
            Encoder::Zstd(encoder)
        } else {
            Encoder::Plain(object)
        })
    }

    /// Ends the compressed stream and finishes the object.
    ///
    /// # Errors
    /// The sink refuses the last bytes.
    pub fn finish(self) -> Result<()> {
        match self {
            Encoder::Plain(object) => object.finish(),
            Encoder::Gzip { gzip, .. } => gzip
                .context("a gzip stream has already ended")?
                .finish()?
                .finish(),
            Encoder::Zstd(encoder) => encoder.finish()?.finish(),
        }
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Plain(object) => object.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::Gzip {
                gzip: slot,
                left_in_first,
            } => {
                let taken = left_in_first.map_or(bytes.len(), |left| left.min(bytes.len()));
                let (first, _) = bytes.split_at(taken);
                let mut encoder = slot.take().ok_or(io::ErrorKind::BrokenPipe)?;
                encoder.write_all(first)?;
                if let Some(left) = left_in_first {
                    *left -= taken;
                    if *left == 0 {
                        encoder = gzip(encoder.finish()?);
                        *left_in_first = None;
                    }
                }
                *slot = Some(encoder);
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gzip(object: Box<dyn Object>) -> GzEncoder<Box<dyn Object>> {
    GzEncoder::new(object, Compression::new(4))
}
