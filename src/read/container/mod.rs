//! Opens what raw objects come in: compression, archives, and these in each other.
//!
//! In: the raw bytes of one object, read once from front to back. Out: the data, one member after the
//! other, in the order in which they stand in the archive; an object that is no archive is the only
//! member and has no name. Everything is recognised by content, never by name.
//!
//! The rule that is easy to break: nothing is left out in silence. A member is read to its end, so
//! that its checksum is checked; an archive without its end mark is truncated; an archive of several
//! files is an error until `files` says which of them are meant.

mod limits;
mod members;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use super::decode::{self, Compression, Raw};
use glob::Pattern;
use limits::{Cause, Expanded, Meter, Stored, Taken};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

pub use limits::Limits;
pub use members::{Members, is_no_data, matches};
#[cfg(feature = "xlsx")]
pub use zip::check_whole;

/// Containers in each other, at most: a zip in a zip with a `tar.gz` in it makes four.
const MOST_NESTED: usize = 4;
/// Members named in a message, at most.
const MOST_LISTED: usize = 20;
/// A tar is recognised by the checksum of its first block.
const HEAD_BYTES: usize = 512;

/// What the source reads, as far as it decides what is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Text, of any form.
    #[default]
    Text,
    /// Parquet files: they are handed on whole.
    Parquet,
    /// Workbooks, which are zips themselves: they are handed on whole.
    Xlsx,
}

/// How objects are opened.
#[derive(Clone, Debug)]
pub struct Opening {
    pub content: Content,
    pub limits: Limits,
    /// Folder for zips, which are read from their ends.
    pub temporary: PathBuf,
    /// How many threads may unpack an object that was compressed in pieces; 0: whoever reads.
    pub threads: usize,
}

/// What is wrong with a container, and what to do about it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{said}")]
pub struct Refusal {
    pub said: String,
    pub hint: String,
}

/// Why an object could not be read to its end.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// The raw reader's own error, unchanged.
    #[error(transparent)]
    Raw(io::Error),
    /// Truncated or damaged.
    #[error("{source}")]
    Data {
        member: Option<String>,
        source: io::Error,
    },
    /// Not what the source asks for, or too much of it.
    #[error("{refusal}")]
    Refused {
        member: Option<String>,
        refusal: Refusal,
    },
    /// The temporary file for a zip.
    #[error("write a zip to a temporary file in `{}`", directory.display())]
    Spool {
        directory: PathBuf,
        source: io::Error,
    },
    /// Whoever took a member said no.
    #[error(transparent)]
    Taker(anyhow::Error),
}

/// Takes one member: its name (archives in archives: names joined by `!`) and its bytes.
pub type Taker<'t> = dyn FnMut(Option<&str>, &mut (dyn Read + Send)) -> anyhow::Result<()> + 't;

/// Opens an object and calls `each` once for every member that is asked for, in order.
///
/// Without a glob an archive must hold exactly one data file. What `each` leaves unread of a member is
/// read, for its checksum. Memory: 128 KiB and the decoder's own for every level; a zip lies in an
/// unnamed temporary file.
///
/// # Errors
/// See [`Unreadable`]. The members before the error were taken.
pub fn read(
    raw: impl Read + Send,
    wanted: &Members,
    opening: &Opening,
    each: &mut Taker<'_>,
) -> Result<(), Unreadable> {
    let meter = Meter::new(opening.limits);
    let mut walk = Walk {
        opening,
        meter: Arc::clone(&meter),
        each,
        member: None,
    };
    let at = At {
        member: None,
        depth: 0,
        globs: wanted.globs(),
    };
    let outcome = walk.open(Box::new(Stored::new(raw, &meter)), at);
    // Decoders and takers put errors into words of their own: the cause is what to tell.
    match (outcome, meter.take_cause()) {
        (Err(_), Some(Cause::Raw(error))) => Err(Unreadable::Raw(error)),
        (Err(_), Some(Cause::Refused(refusal))) => Err(Unreadable::Refused {
            member: walk.member,
            refusal,
        }),
        (outcome, _) => outcome,
    }
}

/// The decoded text of an object of which only the start is there, or `None` where an archive or
/// another container must be read whole to tell.
///
/// # Errors
/// As [`read`]; the end of the start is reported as truncation, and a limit by the reader, as a
/// [`Refusal`] in its error.
pub fn read_start<'a>(
    start: &'a [u8],
    wanted: &Members,
    opening: &Opening,
) -> Result<Option<Box<dyn Read + Send + 'a>>, Unreadable> {
    let at = At {
        member: None,
        depth: 0,
        globs: wanted.globs(),
    };
    let meter = Meter::new(opening.limits);
    let (start, taken) = Taken::new(Stored::new(start, &meter));
    let mut raw = Raw::new(start);
    let kind = Kind::of(raw.peek(HEAD_BYTES).map_err(|error| at.data(error))?);
    let compression = match kind.map_err(|error| at.data(error))? {
        Kind::Archive(_) => return Ok(None),
        Kind::Compressed(Compression::Bzip2 | Compression::Xz) => return Ok(None),
        Kind::Compressed(compression) => compression,
        Kind::Data => Compression::Plain,
    };
    if opening.content != Content::Text {
        return Ok(None);
    }
    let decoded = decode::decoder(compression, raw, 0).map_err(|error| at.data(error))?;
    let mut decoded = Raw::new(Expanded::new(decoded, taken, &meter));
    let head = decoded.peek(HEAD_BYTES).map_err(|error| at.data(error))?;
    match Kind::of(head).map_err(|error| at.data(error))? {
        Kind::Data => {
            data_asked_for(head, opening, at)?;
            Ok(Some(Box::new(decoded.into_rest())))
        }
        _ => Ok(None),
    }
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct At<'a> {
    member: Option<&'a str>,
    /// Containers around.
    depth: usize,
    /// What is asked for in the next archive.
    globs: &'a [Pattern],
}

impl At<'_> {
    fn data(self, source: io::Error) -> Unreadable {
        Unreadable::Data {
            member: self.member.map(str::to_owned),
            source,
        }
    }

    fn refused(self, said: impl Into<String>, hint: impl Into<String>) -> Unreadable {
        Unreadable::Refused {
            member: self.member.map(str::to_owned),
            refusal: Refusal {
                said: said.into(),
                hint: hint.into(),
            },
        }
    }

    fn nested(self) -> Result<Self, Unreadable> {
        if self.depth == MOST_NESTED {
            return Err(self.refused(
                format!("it is packed more than {MOST_NESTED} times"),
                "unpack it before it is delivered",
            ));
        }
        Ok(At {
            depth: self.depth + 1,
            ..self
        })
    }

    /// The place of a member of the archive here.
    fn inside<'m>(self, name: &'m str) -> At<'m>
    where
        Self: 'm,
    {
        At {
            member: Some(name),
            depth: self.depth,
            globs: self.globs.get(1..).unwrap_or_default(),
        }
    }

    /// The full name of a member of the archive here.
    fn name_of(self, member: &str) -> String {
        match self.member {
            Some(archive) => format!("{archive}!{member}"),
            None => member.to_owned(),
        }
    }

    /// Whether a member of the archive here may be meant.
    fn may_mean(self, member: &str) -> bool {
        !members::is_no_data(member)
            && self
                .globs
                .first()
                .is_none_or(|glob| members::matches(glob, member))
    }

    /// The error of an archive of which it is not clear what is meant. `names`: its data files.
    fn unclear(self, names: &[String]) -> Unreadable {
        let listed: Vec<String> = names
            .iter()
            .take(MOST_LISTED)
            .map(|name| format!("`{}`", name.escape_debug()))
            .collect();
        let more = match names.len() - listed.len() {
            0 => "",
            _ => " and more",
        };
        let listed = format!("{}{more}", listed.join(", "));
        match self.globs.first() {
            _ if names.is_empty() => self.refused(
                "this archive holds no data file",
                "ask whoever delivers the file for a whole one",
            ),
            Some(glob) => self.refused(
                format!("no member of this archive matches `{glob}`; it holds {listed}"),
                "correct what stands behind the `!` of `files`",
            ),
            None => self.refused(
                format!("this archive holds several files: {listed}"),
                "say which are meant behind a `!` in `files`, as in `files = \"*.zip!*.txt\"`",
            ),
        }
    }
}

struct Walk<'w, 't> {
    opening: &'w Opening,
    meter: Arc<Meter>,
    each: &'w mut Taker<'t>,
    /// What was opened last.
    member: Option<String>,
}

impl Walk<'_, '_> {
    fn open(&mut self, input: Box<dyn Read + Send + '_>, at: At<'_>) -> Result<(), Unreadable> {
        self.member = at.member.map(str::to_owned);
        let (input, taken) = Taken::new(input);
        let mut raw = Raw::new(input);
        let head = raw.peek(HEAD_BYTES).map_err(|error| at.data(error))?;
        if self.opening.content == Content::Parquet && is_parquet(head) {
            return self.give(&mut raw.into_rest(), at);
        }
        match Kind::of(head).map_err(|error| at.data(error))? {
            Kind::Compressed(compression) => {
                let at = at.nested()?;
                let decoded = decode::decoder(compression, raw, self.opening.threads)
                    .map_err(|error| at.data(error))?;
                self.open(Box::new(Expanded::new(decoded, taken, &self.meter)), at)
            }
            Kind::Archive(Archive::Zip) => self.zip(raw, at.nested()?),
            Kind::Archive(Archive::Tar) => self.tar(raw, at.nested()?),
            Kind::Data => {
                data_asked_for(head, self.opening, at)?;
                self.give(&mut raw.into_rest(), at)
            }
        }
    }

    fn give(&mut self, data: &mut (dyn Read + Send), at: At<'_>) -> Result<(), Unreadable> {
        (self.each)(at.member, data).map_err(Unreadable::Taker)?;
        io::copy(data, &mut io::sink()).map_err(|error| at.data(error))?;
        Ok(())
    }
}

enum Kind {
    Compressed(Compression),
    Archive(Archive),
    Data,
}

enum Archive {
    Zip,
    Tar,
}

impl Kind {
    fn of(head: &[u8]) -> io::Result<Kind> {
        match Compression::of(head)? {
            Compression::Plain => {}
            compression => return Ok(Kind::Compressed(compression)),
        }
        let refuse = |what: &str| {
            let refusal = Refusal {
                said: format!("this is {what}"),
                hint: "have it packed as zip, tar, gzip, zstd, bzip2 or xz".into(),
            };
            Err(io::Error::new(io::ErrorKind::Unsupported, refusal))
        };
        match head {
            // APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.16 and 8.5.3.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Ok(Kind::Archive(Archive::Zip)),
            [b'P', b'K', 7, 8, ..] => refuse("a part of a split zip"),
            [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => refuse("a 7z archive"),
            [b'R', b'a', b'r', b'!', 0x1A, 7, ..] => refuse("a rar archive"),
            [0x04, 0x22, 0x4D, 0x18, ..] => refuse("lz4 data"),
            [0x1F, 0x9D, ..] => refuse("data of `compress` (.Z)"),
            [b'L', b'Z', b'I', b'P', 1, ..] => refuse("lzip data"),
            _ if tar::begins(head)? => Ok(Kind::Archive(Archive::Tar)),
            _ => Ok(Kind::Data),
        }
    }
}

/// The mark, and the header of the first page that follows it in every file with rows.
fn is_parquet(head: &[u8]) -> bool {
    matches!(head, [b'P', b'A', b'R', b'1', 0x15, ..])
}

/// Refuses what is not the data that the source reads, and says what to do about it.
fn data_asked_for(head: &[u8], opening: &Opening, at: At<'_>) -> Result<(), Unreadable> {
    if let Some(glob) = at.globs.first() {
        return Err(at.refused(
            format!("this is no archive, and `files` asks for `!{glob}` in it"),
            "remove what stands behind the `!` of `files`, or ask for the archive",
        ));
    }
    if opening.content == Content::Text && is_parquet(head) {
        return Err(at.refused(
            "this is a Parquet file, not text",
            "say `kind = \"parquet\"` under [format]",
        ));
    }
    Ok(())
}
