//! Compares a folder with another as text: byte for byte after decompression.
//!
//! In: two folders and the keys they should have. Out: an error that names the first key that
//! differs. Compressed bytes are not compared: the same text may compress otherwise with another
//! version of a library, or on another processor.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Fails unless both folders hold the same text under every key.
///
/// # Errors
/// A file is missing, cannot be read, or differs.
pub fn same_text(left: &Path, right: &Path, keys: &[String]) -> Result<()> {
    for key in keys {
        let mut one = open(&left.join(key))?;
        let mut other = open(&right.join(key))?;
        let mut position = 0u64;
        loop {
            let (a, b) = (one.fill_buf()?, other.fill_buf()?);
            let length = a.len().min(b.len());
            ensure!(
                a.get(..length) == b.get(..length) && a.is_empty() == b.is_empty(),
                "`{key}` differs from what is generated, at or after byte {position} of its text"
            );
            if length == 0 {
                break;
            }
            one.consume(length);
            other.consume(length);
            position += length as u64;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("open `{}`", path.display()))?;
    let name = path.to_string_lossy();
    let text: Box<dyn Read> = if name.ends_with(".gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else if name.ends_with(".zst") {
        Box::new(zstd::Decoder::new(file)?)
    } else {
        Box::new(file)
    };
    Ok(Box::new(BufReader::new(text)))
}
