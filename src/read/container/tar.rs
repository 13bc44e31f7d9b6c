//! Members of a tar archive, in one pass: ustar, GNU and pax headers, and those before them.
//!
//! In: the archive from its first block on. An archive ends with a block of zeros and holds nothing
//! behind it but padding: one that merely stops was truncated, perhaps just between two members, and of
//! two archives one behind the other `tar` itself would read only the first.

use super::{At, MOST_LISTED, Unreadable, Walk, members};
use crate::read::decode::{Raw, broken};
use std::io::{self, ErrorKind, Read};
use tar::Header;

/// POSIX.1-2017, pax, "ustar Interchange Format".
const BLOCK_BYTES: usize = 512;
/// A long name or a pax header is not longer.
const MOST_EXTENDED_BYTES: u64 = 1 << 20;

/// Whether these first bytes are those of a tar: its first block has a checksum.
///
/// # Errors
/// They have the mark, and are cut off or have another checksum.
pub(super) fn begins(head: &[u8]) -> io::Result<bool> {
    let marked = matches!(
        head.get(257..265),
        Some(b"ustar\x0000" | b"ustar  \0" | b"ustar\0\0\0")
    );
    match head.first_chunk::<BLOCK_BYTES>() {
        Some(block) if sum_fits(block) => Ok(true),
        Some(_) if marked => Err(damaged("the checksum of its first block does not fit")),
        None if marked => Err(ends_early()),
        _ => Ok(false),
    }
}

fn sum_fits(block: &[u8; BLOCK_BYTES]) -> bool {
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        })
        .sum();
    Header::from_byte_slice(block)
        .cksum()
        .is_ok_and(|expected| expected == sum)
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    broken("tar", ErrorKind::InvalidData, what)
}

fn ends_early() -> io::Error {
    broken("tar", ErrorKind::UnexpectedEof, "ends early")
}

impl Walk<'_, '_> {
    pub(super) fn tar<R: Read + Send>(
        &mut self,
        raw: Raw<R>,
        at: At<'_>,
    ) -> Result<(), Unreadable> {
        let mut archive = Archive { raw };
        let mut names = Vec::new();
        let mut given = 0;
        while let Some(file) = archive.next_file().map_err(|error| at.data(error))? {
            let counted = self.meter.members(1 + file.skipped);
            counted.map_err(|refusal| at.refused(refusal.said, refusal.hint))?;
            if !members::is_no_data(&file.name) && names.len() <= MOST_LISTED {
                names.push(file.name.clone());
            }
            let meant = at.may_mean(&file.name);
            if meant && given > 0 && at.globs.is_empty() {
                return Err(at.unclear(&names));
            }
            let mut content = Content {
                archive: &mut archive,
                left: file.bytes,
            };
            if meant {
                given += 1;
                let name = at.name_of(&file.name);
                let inside = at.inside(&name);
                if file.sparse {
                    return Err(inside.refused(
                        "this member is stored as a sparse file",
                        "ask for an archive made without `--sparse`",
                    ));
                }
                self.open(Box::new(&mut content), inside)?;
            }
            io::copy(&mut content, &mut io::sink()).map_err(|error| at.data(error))?;
            let padding = file.bytes.next_multiple_of(BLOCK_BYTES as u64) - file.bytes;
            archive.skip(padding).map_err(|error| at.data(error))?;
        }
        match given {
            0 => Err(at.unclear(&names)),
            _ => Ok(()),
        }
    }
}

struct Archive<R> {
    raw: Raw<R>,
}

/// The header of one file.
struct FileHeader {
    name: String,
    bytes: u64,
    sparse: bool,
    /// Folders, links and the like before it.
    skipped: u64,
}

impl<R: Read> Archive<R> {
    /// The header of the next file; `None` at the end mark, with everything behind it read.
    fn next_file(&mut self) -> io::Result<Option<FileHeader>> {
        let (mut name, mut bytes, mut sparse, mut skipped) = (None, None, false, 0);
        loop {
            let block = self.block()?;
            if block == [0; BLOCK_BYTES] {
                return self.end();
            }
            if !sum_fits(&block) {
                return Err(damaged("the checksum of a header does not fit"));
            }
            let header = Header::from_byte_slice(&block);
            let kind = header.entry_type();
            let size = header
                .entry_size()
                .map_err(|_| damaged("a header without a size"))?;
            if kind.is_gnu_longname() {
                let long = self.extended(size)?;
                let end = long.iter().position(|byte| *byte == 0);
                name = Some(long[..end.unwrap_or(long.len())].to_vec());
            } else if kind.is_pax_local_extensions() {
                let records = self.extended(size)?;
                for (key, value) in pax_records(&records)? {
                    match key {
                        b"path" => name = Some(value.to_vec()),
                        b"size" => bytes = Some(pax_size(value)?),
                        _ if key.starts_with(b"GNU.sparse.") => sparse = true,
                        _ => {}
                    }
                }
            } else if kind.is_pax_global_extensions() || kind.is_gnu_longlink() {
                self.extended(size)?;
            } else {
                let name = name
                    .take()
                    .unwrap_or_else(|| header.path_bytes().into_owned());
                let name = members::tidy(&String::from_utf8_lossy(&name));
                let bytes = bytes.take().unwrap_or(size);
                if (kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse())
                    && !name.ends_with('/')
                {
                    return Ok(Some(FileHeader {
                        name,
                        bytes,
                        sparse: sparse || kind.is_gnu_sparse(),
                        skipped,
                    }));
                }
                sparse = false;
                skipped += 1;
                // Links name a size that is not there; only files have data.
                let data = match kind.is_hard_link() || kind.is_symlink() {
                    true => 0,
                    false => bytes,
                };
                let padded = data
                    .checked_next_multiple_of(BLOCK_BYTES as u64)
                    .ok_or_else(|| damaged("a header with an impossible size"))?;
                self.skip(padded)?;
            }
        }
    }

    fn block(&mut self) -> io::Result<[u8; BLOCK_BYTES]> {
        let mut block = [0; BLOCK_BYTES];
        self.raw
            .read_exact(&mut block)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => ends_early(),
                _ => error,
            })?;
        Ok(block)
    }

    /// Reads what stands behind the end mark.
    fn end<T>(&mut self) -> io::Result<Option<T>> {
        let mut rest = [0; BLOCK_BYTES];
        loop {
            match self.raw.read(&mut rest) {
                Ok(0) => return Ok(None),
                Ok(count) if rest[..count].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Err(damaged("something else follows the archive")),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The data of a header that says more about the next one.
    fn extended(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MOST_EXTENDED_BYTES {
            return Err(damaged("a name or pax header of more than 1 MiB"));
        }
        let mut data = vec![0; size.next_multiple_of(BLOCK_BYTES as u64) as usize];
        self.raw
            .read_exact(&mut data)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => ends_early(),
                _ => error,
            })?;
        data.truncate(size as usize);
        Ok(data)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match self.raw.skip(bytes)? {
            true => Ok(()),
            false => Err(ends_early()),
        }
    }
}

/// The data of one file.
struct Content<'a, R> {
    archive: &'a mut Archive<R>,
    left: u64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(out.len())
            .min(out.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.archive.raw.read(&mut out[..most])?;
        if count == 0 {
            return Err(ends_early());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Records of the form `length key=value\n`; a value may hold any byte.
fn pax_records(mut rest: &[u8]) -> io::Result<Vec<(&[u8], &[u8])>> {
    let wrong = || damaged("a pax header that cannot be read");
    let mut records = Vec::new();
    while !rest.is_empty() {
        let blank = rest
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or_else(wrong)?;
        let length: usize = std::str::from_utf8(&rest[..blank])
            .ok()
            .and_then(|length| length.parse().ok())
            .ok_or_else(wrong)?;
        let record = rest.get(blank + 1..length).ok_or_else(wrong)?;
        let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(wrong)?;
        records.push((&record[..equals], &record[equals + 1..]));
        rest = &rest[length..];
    }
    Ok(records)
}

fn pax_size(value: &[u8]) -> io::Result<u64> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|size| size.parse().ok())
        .ok_or_else(|| damaged("a pax header that cannot be read"))
}
