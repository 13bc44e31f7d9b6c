//! A file to seek in, of bytes that come once from front to back.
//!
//! In: a reader. Out: a [`Spooled`] that any number of threads may read. The file has no name from
//! its first byte on, so nobody else can open it and no crash leaves it behind.

use super::text::refused;
use crate::nameless::nameless_file;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const BUFFER_BYTES: usize = 256 << 10;

/// The bytes of one file, on disk. A clone reads the same bytes from a place of its own.
#[derive(Clone, Debug)]
pub struct Spooled {
    file: Arc<File>,
    length: u64,
    at: u64,
}

impl Spooled {
    /// Reads `from` to its end into a file of `directory`.
    ///
    /// # Errors
    /// The reader's own, unchanged; the directory is not there, not writable or full.
    pub fn of(mut from: impl Read, directory: &Path) -> io::Result<Spooled> {
        let explained = |error: io::Error| {
            let place = directory.display();
            refused(
                format!("keep the file in a temporary one in `{place}`: {error}"),
                "`temporary` names the folder for temporary files: it needs room for the file",
            )
        };
        let mut file = nameless_file(directory, "file").map_err(explained)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut length = 0;
        loop {
            let count = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(explained)?;
            length += count as u64;
        }
        Ok(Spooled {
            file: Arc::new(file),
            length,
            at: 0,
        })
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// A reader from this offset on.
    pub fn from(&self, at: u64) -> BufReader<Spooled> {
        let reader = Spooled { at, ..self.clone() };
        BufReader::with_capacity(64 << 10, reader)
    }

    /// Reads exactly so many bytes at an offset.
    ///
    /// # Errors
    /// There are not so many, or the disk does not work.
    pub fn exactly(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        if at.saturating_add(length as u64) > self.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

impl Read for Spooled {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Spooled {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spooled_is_read_from_any_place_and_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
        let spooled = Spooled::of(bytes.as_slice(), folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(spooled.length(), bytes.len() as u64);
        assert_eq!(spooled.exactly(8, 4).unwrap(), 2_u32.to_le_bytes());
        assert!(spooled.exactly(spooled.length() - 3, 4).is_err());
        assert!(spooled.exactly(u64::MAX, 4).is_err());
        // Two readers do not move each other.
        let (mut one, mut other) = (spooled.from(4), spooled.from(400));
        let mut word = [0; 4];
        one.read_exact(&mut word).unwrap();
        other.read_exact(&mut word).unwrap();
        assert_eq!(word, 100_u32.to_le_bytes());
        one.read_exact(&mut word).unwrap();
        assert_eq!(word, 2_u32.to_le_bytes());
        let mut reader = spooled.clone();
        reader.seek(SeekFrom::End(-4)).unwrap();
        let mut end = Vec::new();
        reader.read_to_end(&mut end).unwrap();
        assert_eq!(end, 599_999_u32.to_le_bytes());
        assert!(reader.seek(SeekFrom::Current(i64::MIN)).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Spooled::of(&b"x"[..], Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
