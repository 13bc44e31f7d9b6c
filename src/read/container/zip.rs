//! Members of a zip archive, with zip64 and deflate64.
//!
//! A zip is read from its end, where its directory stands: it is first written to an unnamed temporary
//! file. Checked before a member is opened: how many there are, that nothing stands before or behind
//! the archive (of two archives one behind the other only the last would be seen), that no two have
//! the same name or share their data, that each has the name in the directory that it has in front of
//! its data. Checked while it is read: length and checksum.

use super::limits::{Count, Expanded};
use super::{At, Content, Refusal, Unreadable, Walk, members};
use crate::nameless::nameless_file;
use crate::read::decode::{self, Compression, Raw, broken};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// How much of the file is read at once: again for every member looked at, so not much.
const BUFFER_BYTES: usize = 16 << 10;
/// The end record without its comment: APPNOTE.TXT, section 4.3.16.
const END_BYTES: usize = 22;
/// The header in front of a member's data without its name: section 4.3.7.
const LOCAL_BYTES: usize = 30;
/// What a workbook has and no other archive.
const WORKBOOK: &str = "xl/workbook.xml";

/// One member, as the directory has it.
struct Listed {
    index: usize,
    name: String,
    encrypted: bool,
    link: bool,
    method: CompressionMethod,
    compressed_bytes: u64,
    bytes: u64,
    checksum: u32,
}

impl Walk<'_, '_> {
    pub(super) fn zip<R: Read>(&mut self, raw: Raw<R>, at: At<'_>) -> Result<(), Unreadable> {
        let file = self.spool(raw, at)?;
        let members = check_end(&file).map_err(|error| at.data(error))?;
        let counted = self.meter.members(members);
        counted.map_err(|refusal| at.refused(refusal.said, refusal.hint))?;
        let reader = BufReader::with_capacity(BUFFER_BYTES, &file);
        let mut archive = ZipArchive::new(reader).map_err(|error| at.data(explain(error)))?;
        if archive.index_for_name(WORKBOOK).is_some() {
            match self.opening.content {
                Content::Xlsx => {
                    let mut whole = &file;
                    whole
                        .seek(SeekFrom::Start(0))
                        .map_err(|error| at.data(error))?;
                    return self.give(&mut whole, at);
                }
                Content::Text | Content::Parquet => {
                    return Err(at.refused(
                        "this is an Excel workbook, not text",
                        "say `kind = \"xlsx\"` under [format]",
                    ));
                }
            }
        }
        let headers = BufReader::with_capacity(BUFFER_BYTES, &file);
        check_members(&mut archive, headers).map_err(|error| at.data(error))?;
        let listed = list(&archive).map_err(|error| at.data(explain(error)))?;
        let meant: Vec<&Listed> = listed
            .iter()
            .filter(|member| at.may_mean(&member.name))
            .collect();
        if meant.is_empty() || (at.globs.is_empty() && meant.len() > 1) {
            let names = listed.iter().map(|member| &member.name);
            let names = names.filter(|name| !members::is_no_data(name));
            return Err(at.unclear(&names.cloned().collect::<Vec<_>>()));
        }
        for member in meant {
            let name = at.name_of(&member.name);
            let inside = at.inside(&name);
            if member.encrypted {
                return Err(inside.refused(
                    "this member is encrypted",
                    "ask whoever delivers the file for one without a password",
                ));
            }
            // Skipped, a member whose type is damaged would be lost in silence.
            if member.link {
                return Err(inside.refused(
                    "this member is a symbolic link, which is not followed",
                    "ask for the file itself, or name other members after the `!` of `files`",
                ));
            }
            let content = open_member(&mut archive, member, self.opening.threads)
                .map_err(|error| inside.data(error))?;
            let compressed: Count = Arc::new(AtomicU64::new(member.compressed_bytes));
            let content = Expanded::new(content, compressed, &self.meter);
            self.open(Box::new(content), inside)?;
        }
        Ok(())
    }

    /// Writes all of it to a file.
    fn spool<R: Read>(&self, mut raw: Raw<R>, at: At<'_>) -> Result<File, Unreadable> {
        let directory = &self.opening.temporary;
        let failed = |source| Unreadable::Spool {
            directory: directory.clone(),
            source,
        };
        let mut file = nameless_file(directory, "zip").map_err(failed)?;
        loop {
            let some = raw.fill_buf().map_err(|error| at.data(error))?;
            if some.is_empty() {
                return Ok(file);
            }
            file.write_all(some).map_err(failed)?;
            let count = some.len();
            raw.consume(count);
        }
    }
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    broken("zip", ErrorKind::InvalidData, what)
}

fn explain(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            broken("zip", error.kind(), "ends early")
        }
        error => damaged(error),
    }
}

/// Finds the end record and returns how many members it promises.
fn check_end(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let tail_bytes = length.min((END_BYTES + usize::from(u16::MAX)) as u64);
    let tail_start = length - tail_bytes;
    let mut tail = vec![0; tail_bytes as usize];
    file.read_exact_at(&mut tail, tail_start)?;
    let found = (0..tail.len().saturating_sub(END_BYTES - 1))
        .rev()
        .find(|start| {
            let record = &tail[*start..];
            record.starts_with(b"PK\x05\x06")
                && END_BYTES + usize::from(number_16(record, 20)) <= record.len()
        });
    let Some(start) = found else {
        return Err(broken(
            "zip",
            ErrorKind::UnexpectedEof,
            "ends early: there is no directory at its end",
        ));
    };
    let record = &tail[start..];
    let behind = &record[END_BYTES + usize::from(number_16(record, 20))..];
    if behind.iter().any(|byte| *byte != 0) {
        return Err(damaged("something else follows the archive"));
    }
    let members = number_16(record, 10);
    // Section 4.3.15: the record of zip64 is found by a locator just before this one.
    let locator = start
        .checked_sub(20)
        .map(|from| &tail[from..start])
        .filter(|locator| locator.starts_with(b"PK\x06\x07"));
    match locator {
        Some(locator) => {
            let mut record = [0; 40];
            file.read_exact_at(&mut record, number_64(locator, 8))
                .map_err(|_| damaged("its zip64 directory is not where it should be"))?;
            if !record.starts_with(b"PK\x06\x06") {
                return Err(damaged("its zip64 directory is not where it should be"));
            }
            Ok(number_64(&record, 32))
        }
        None => Ok(u64::from(members)),
    }
}

fn number_16(record: &[u8], at: usize) -> u16 {
    match record.get(at..at + 2) {
        Some([low, high]) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

fn number_64(record: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    if let Some(found) = record.get(at..at + 8) {
        bytes.copy_from_slice(found);
    }
    u64::from_le_bytes(bytes)
}

fn check_members<R: Read + Seek>(archive: &mut ZipArchive<R>, headers: R) -> io::Result<()> {
    if archive.offset() != 0 {
        return Err(damaged("something else stands before the archive"));
    }
    if archive.has_duplicate_names() {
        return Err(damaged("two members have the same name"));
    }
    match archive.has_overlapping_entries() {
        Ok(false) => {}
        Ok(true) => return Err(damaged("members share their data, as they do in a bomb")),
        Err(error) => return Err(explain(error)),
    }
    check_names(archive, headers)
}

/// Compares each name in the directory with the one in front of the data: the directory has no
/// checksum of its own, and a member whose name is damaged would not be found.
fn check_names<R: Read + Seek>(archive: &ZipArchive<R>, mut headers: R) -> io::Result<()> {
    let mut named = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(explain)?;
        named.push((entry.header_start(), entry.name_raw().to_vec()));
    }
    // In the order of the file, which is read once.
    named.sort_by_key(|(start, _)| *start);
    for (start, name) in named {
        let mut header = [0; LOCAL_BYTES];
        headers.seek(SeekFrom::Start(start))?;
        headers.read_exact(&mut header)?;
        let mut before = vec![0; usize::from(number_16(&header, 26))];
        headers.read_exact(&mut before)?;
        if before != name {
            return Err(damaged(
                "a member has another name in front of its data than in the directory",
            ));
        }
    }
    Ok(())
}

/// Reads every member of an archive to its end and compares length and checksum, for readers that
/// open members themselves and stop early.
///
/// # Errors
/// A damaged archive; an encrypted member; the file's own errors.
#[cfg(feature = "xlsx")]
pub fn check_whole(file: impl Read + Seek + Send + Clone) -> io::Result<()> {
    let reader = |file| BufReader::with_capacity(BUFFER_BYTES, file);
    let mut archive = ZipArchive::new(reader(file.clone())).map_err(explain)?;
    check_members(&mut archive, reader(file))?;
    for member in list(&archive).map_err(explain)? {
        if member.encrypted {
            return Err(damaged("a member is encrypted"));
        }
        let mut content = open_member(&mut archive, &member, 0)?;
        io::copy(&mut content, &mut io::sink())?;
    }
    Ok(())
}

fn list<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<Vec<Listed>, ZipError> {
    let mut listed = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        if entry.is_dir() {
            continue;
        }
        let name = match entry.name() {
            Ok(name) => members::tidy(&name),
            Err(_) => members::tidy(&String::from_utf8_lossy(entry.name_raw())),
        };
        listed.push(Listed {
            index,
            name,
            encrypted: entry.encrypted(),
            link: entry.is_symlink(),
            method: entry.compression(),
            compressed_bytes: entry.compressed_size(),
            bytes: entry.size(),
            checksum: entry.crc32(),
        });
    }
    Ok(listed)
}

fn open_member<'a, R: Read + Seek + Send>(
    archive: &'a mut ZipArchive<R>,
    member: &Listed,
    threads: usize,
) -> io::Result<Checked<Box<dyn Read + Send + 'a>>> {
    let compression = match member.method {
        CompressionMethod::Stored | CompressionMethod::Deflated | CompressionMethod::Deflate64 => {
            let content = archive.by_index(member.index).map_err(explain)?;
            // The archive's own reader checks the sum.
            return Ok(Checked::new(Box::new(content), member.bytes, None));
        }
        CompressionMethod::BZIP2 => Compression::Bzip2,
        CompressionMethod::ZSTD => Compression::Zstd,
        CompressionMethod::XZ => Compression::Xz,
        other => {
            let refusal = Refusal {
                said: format!("this member is compressed with {other}"),
                hint: "ask for deflate, deflate64, bzip2, zstd or xz".into(),
            };
            return Err(io::Error::new(ErrorKind::Unsupported, refusal));
        }
    };
    let raw = archive.by_index_raw(member.index).map_err(explain)?;
    let content = decode::decoder(compression, Raw::new(raw), threads)?;
    let sum = Some((flate2::Crc::new(), member.checksum));
    Ok(Checked::new(content, member.bytes, sum))
}

/// A member's content, held against length and checksum of the directory.
struct Checked<R> {
    inner: R,
    left: u64,
    /// The sum so far and the one of the directory.
    sum: Option<(flate2::Crc, u32)>,
    failed: bool,
}

impl<R> Checked<R> {
    fn new(inner: R, bytes: u64, sum: Option<(flate2::Crc, u32)>) -> Self {
        Checked {
            inner,
            left: bytes,
            sum,
            failed: false,
        }
    }
}

impl<R: Read> Checked<R> {
    fn check(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(damaged("failed before"));
        }
        let count = self.inner.read(out).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => broken("zip", error.kind(), "ends early"),
            ErrorKind::Interrupted => error,
            _ => damaged(error),
        })?;
        if let Some((sum, _)) = &mut self.sum {
            sum.update(&out[..count]);
        }
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(damaged("a member is longer than the directory says"));
        };
        self.left = left;
        let fits = |(sum, expected): &(flate2::Crc, u32)| sum.sum() == *expected;
        if count == 0 && !out.is_empty() && (left > 0 || !self.sum.as_ref().is_none_or(fits)) {
            return Err(damaged("a member does not fit its length and checksum"));
        }
        Ok(count)
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.check(out);
        self.failed = matches!(&read, Err(error) if error.kind() != ErrorKind::Interrupted);
        read
    }
}
