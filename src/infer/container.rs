//! What a file is packed in.
//!
//! In: the raw bytes of an object. Out: a [`Sample`]: the unpacked start of the one file in it, at
//! most [`SAMPLE_BYTES`], and what was taken off to get there. Recognised by content, never by name.

use super::{SAMPLE_BYTES, Sample};
use crate::read::container;
use crate::read::decode::{self, Compression};
use anyhow::{Context, Result, bail};
use glob::Pattern;
use serde::Serialize;
use std::fmt;
use std::io::{Cursor, Read};

/// Containers in each other, at most.
const MOST_NESTED: usize = 4;
/// Compressions and zips say at once what they are.
const MAGIC_BYTES: usize = 18;

/// A compression or an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Zip,
    Tar,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Container::Gzip => "gzip",
            Container::Zstd => "zstd",
            Container::Bzip2 => "bzip2",
            Container::Xz => "xz",
            Container::Zip => "zip",
            Container::Tar => "tar",
        })
    }
}

impl Container {
    /// Recognises what begins with these bytes; `None` for a file itself.
    pub fn of(head: &[u8]) -> Option<Container> {
        let start = &head[..head.len().min(MAGIC_BYTES)];
        match decode::Compression::of(start) {
            Ok(Compression::Gzip) => Some(Container::Gzip),
            Ok(Compression::Zstd) => Some(Container::Zstd),
            Ok(Compression::Bzip2) => Some(Container::Bzip2),
            Ok(Compression::Xz) => Some(Container::Xz),
            _ if start.starts_with(b"PK") && matches!(start.get(2), Some(3 | 5 | 7)) => {
                Some(Container::Zip)
            }
            _ if head.get(257..262) == Some(b"ustar") => Some(Container::Tar),
            _ => None,
        }
    }

    /// Its directory stands at its end: all of it is needed.
    pub fn needs_all(head: &[u8]) -> bool {
        Container::of(head) == Some(Container::Zip) || head.starts_with(b"PAR1")
    }
}

/// Says whether a zip is a workbook.
pub fn is_workbook(bytes: &[u8]) -> bool {
    Container::of(bytes) == Some(Container::Zip)
        && zip::ZipArchive::new(Cursor::new(bytes))
            .is_ok_and(|archive| archive.index_for_name("xl/workbook.xml").is_some())
}

/// Unpacks the start of an object; `all`: these are all of its bytes. Of an archive, the first member
/// that `wanted` matches is taken; without it, its only one.
///
/// # Errors
/// A damaged container, an archive that holds no file or several, too many containers in each other.
pub fn unpack(raw: Vec<u8>, all: bool, wanted: Option<&Pattern>) -> Result<Sample> {
    let mut sample = Sample {
        containers: Vec::new(),
        member: None,
        members: 0,
        bytes: raw,
        whole: all,
    };
    while let Some(container) = Container::of(&sample.bytes) {
        if is_workbook(&sample.bytes) {
            break;
        }
        if sample.containers.len() == MOST_NESTED {
            bail!("more than {MOST_NESTED} containers in each other: unpack the file first");
        }
        sample.containers.push(container);
        let bytes = std::mem::take(&mut sample.bytes);
        sample.bytes = match container {
            Container::Zip => zip_member(&bytes, &mut sample, wanted)?,
            Container::Tar => tar_member(&bytes, &mut sample, wanted)?,
            compression => {
                let (_, decoded) = decode::open(bytes.as_slice(), 0)
                    .with_context(|| format!("unpack {compression} data"))?;
                start(decoded, &mut sample, compression)?
            }
        };
    }
    sample.whole &= sample.bytes.len() <= SAMPLE_BYTES;
    if Container::of(&sample.bytes).is_none() && !sample.bytes.starts_with(b"PAR1") {
        sample.bytes.truncate(SAMPLE_BYTES);
    }
    Ok(sample)
}

/// The files of an archive, in the order of their names; none where the object is no archive. Archives in
/// archives are one file here.
///
/// # Errors
/// A damaged container.
pub fn members(raw: &[u8], all: bool) -> Result<Vec<String>> {
    let mut sample = Sample {
        containers: Vec::new(),
        member: None,
        members: 0,
        bytes: Vec::new(),
        whole: all,
    };
    let mut unpacked: Option<Vec<u8>> = None;
    for _ in 0..MOST_NESTED {
        let bytes = unpacked.as_deref().unwrap_or(raw);
        let mut names = match Container::of(bytes) {
            Some(Container::Zip) if !is_workbook(bytes) => zip_names(&zip_archive(bytes)?)?,
            Some(Container::Tar) => {
                let found = tar_files(bytes, &mut sample)?;
                found.into_iter().map(|(name, _)| name).collect()
            }
            Some(Container::Zip) | None => return Ok(Vec::new()),
            Some(compression) => {
                let (_, decoded) =
                    decode::open(bytes, 0).with_context(|| format!("unpack {compression} data"))?;
                unpacked = Some(start(decoded, &mut sample, compression)?);
                continue;
            }
        };
        names.sort();
        return Ok(names);
    }
    Ok(Vec::new())
}

/// The first bytes that come out, one more than a sample to see whether there are more.
fn start(from: impl Read, sample: &mut Sample, container: Container) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let outcome = from.take(SAMPLE_BYTES as u64 + 1).read_to_end(&mut bytes);
    match outcome {
        Ok(_) => sample.whole &= bytes.len() <= SAMPLE_BYTES,
        // The start of an object ends in the middle of something.
        Err(_) if !sample.whole && !bytes.is_empty() => {}
        Err(error) => return Err(error).with_context(|| format!("unpack {container} data")),
    }
    Ok(bytes)
}

/// The name that is meant.
fn one(names: &[String], container: Container, wanted: Option<&Pattern>) -> Result<String> {
    let matches = |name: &&String| wanted.is_none_or(|glob| container::matches(glob, name));
    let matching: Vec<&String> = names.iter().filter(matches).collect();
    match (matching.as_slice(), wanted) {
        ([first, ..], Some(_)) | ([first], None) => Ok((*first).clone()),
        _ if names.is_empty() => bail!("the {container} archive holds no file"),
        _ => bail!(
            "the {container} archive holds {} files: {}; say which behind a `!`, as in `a.zip!{}`",
            names.len(),
            names
                .iter()
                .take(20)
                .map(|name| format!("`{}`", name.escape_debug()))
                .collect::<Vec<_>>()
                .join(", "),
            names[0].escape_debug()
        ),
    }
}

fn zip_archive(bytes: &[u8]) -> Result<zip::ZipArchive<Cursor<&[u8]>>> {
    zip::ZipArchive::new(Cursor::new(bytes)).context("open the zip archive")
}

fn zip_names(archive: &zip::ZipArchive<Cursor<&[u8]>>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in archive.file_names() {
        let name = name.context("read the directory of the zip archive")?;
        if !container::is_no_data(&name) {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

fn zip_member(bytes: &[u8], sample: &mut Sample, wanted: Option<&Pattern>) -> Result<Vec<u8>> {
    let mut archive = zip_archive(bytes)?;
    let names = zip_names(&archive)?;
    let name = one(&names, Container::Zip, wanted)?;
    let member = archive
        .by_name(&name)
        .context("open the member of the zip archive")?;
    let found = start(member, sample, Container::Zip);
    (sample.member, sample.members) = (Some(name), names.len());
    found
}

/// The files of a tar, each with its start.
fn tar_files(bytes: &[u8], sample: &mut Sample) -> Result<Vec<(String, Vec<u8>)>> {
    let mut archive = tar::Archive::new(bytes);
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in archive.entries().context("open the tar archive")? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(_) if !sample.whole && !found.is_empty() => break,
            Err(error) => return Err(error).context("read the tar archive"),
        };
        let name = entry
            .path()
            .context("read the tar archive")?
            .to_string_lossy()
            .into_owned();
        if !entry.header().entry_type().is_file() || container::is_no_data(&name) {
            continue;
        }
        let size = entry.size();
        let bytes = start(entry, sample, Container::Tar)?;
        if (bytes.len() as u64) < size {
            sample.whole = false;
        }
        found.push((name, bytes));
    }
    Ok(found)
}

fn tar_member(bytes: &[u8], sample: &mut Sample, wanted: Option<&Pattern>) -> Result<Vec<u8>> {
    let found = tar_files(bytes, sample)?;
    let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let name = one(&names, Container::Tar, wanted)?;
    let found = found
        .into_iter()
        .find(|(found, _)| *found == name)
        .map(|(_, bytes)| bytes);
    (sample.member, sample.members) = (Some(name), names.len());
    found.context("read the tar archive")
}
