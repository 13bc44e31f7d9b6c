//! Where raw files are, and how their bytes get into the program.
//!
//! In: the text of a location (`s3://bucket/prefix/`, `file:///dir` or a path).
//! Out: what is there ([`Listed`]), one exact version of it ([`RawObject`]), and its bytes.
//!
//! The rule that is easy to break: bytes are only ever read of the version that was pinned.
//! An object that is replaced between listing and reading, or between two ranges of one
//! reading, is an error ([`FetchError::Replaced`]); bytes of two versions are never mixed.
//!
//! Not done here: decompression, archives, text. The S3 client is used in `s3/` alone.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

mod digest;
mod error;
pub mod folder;
pub mod s3;

pub use digest::Digest;
pub use error::{FetchError, Result};
pub use s3::{Keys, PathStyle, Patience, S3Options};

/// Bytes in one block that [`Location::read`] sends; the last one of an object may be shorter,
/// and so may the last one of each S3 part.
pub const BLOCK_BYTES: usize = 1024 * 1024;

/// Requests for small objects of one table, or for what is known of objects, that overlap: at 40 ms a
/// request, 1,600 objects a second.
pub const REQUESTS_AT_ONCE: usize = 64;

/// A place that holds raw objects: a bucket with a prefix, or a folder.
///
/// Keys are relative to it, use `/`, and never start with one.
#[derive(Clone, Debug)]
pub enum Location {
    /// A bucket of S3 or of a server that speaks its protocol, with a prefix.
    S3(s3::Bucket),
    /// A folder on this machine.
    Folder(folder::Folder),
}

/// One object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name of the object, relative to the location.
    pub key: String,
    /// Bytes in the object.
    pub size: u64,
    /// The entity tag without quotes, where the listing has one (never for a folder).
    pub etag: Option<String>,
    /// When the object was last written.
    pub modified: Timestamp,
}

/// One exact version of one object: what a run has decided to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawObject {
    /// The name of the object, relative to the location.
    pub key: String,
    /// Which version of it.
    pub version: Version,
    /// Bytes in this version.
    pub size: u64,
    /// When this version was written.
    pub modified: Timestamp,
    /// A checksum of the whole content that the store keeps, if it keeps one.
    pub checksum: Option<Checksum>,
}

/// What tells one version of an object from another. `Display` is a short text for the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// An S3 object: the version id (buckets with versioning) and the entity tag without quotes.
    Object {
        /// The version id, if the bucket keeps versions.
        id: Option<String>,
        /// The entity tag without its quotes.
        etag: Option<String>,
    },
    /// A file: when it was modified, when its inode was changed, and its inode.
    File {
        /// Nanoseconds since 1970.
        modified_ns: i128,
        /// Nanoseconds since 1970. No program can set this time: a file that was rewritten in place and
        /// given its old time of modification has a new one.
        changed_ns: i128,
        /// The number of the inode.
        inode: u64,
    },
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Object { id: Some(id), .. } => write!(f, "version:{id}"),
            Version::Object {
                etag: Some(etag), ..
            } => write!(f, "etag:{etag}"),
            Version::Object { .. } => f.write_str("unversioned"),
            Version::File {
                modified_ns,
                changed_ns,
                inode,
            } => write!(f, "file:{modified_ns}.{changed_ns}.{inode}"),
        }
    }
}

/// A checksum of the whole content, as the store keeps it. `Display` is `kind:base64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// How it is computed.
    pub kind: ChecksumKind,
    /// The value in base64, most significant byte first, as S3 writes it.
    pub base64: String,
}

/// The full-object checksums that can be recomputed here.
///
/// See "Checking object integrity in Amazon S3" in the Amazon S3 User Guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumKind {
    /// CRC-64/NVME: what S3 itself adds to every new object.
    Crc64Nvme,
    /// CRC-32 as in gzip and zip.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// SHA-256.
    Sha256,
    /// MD5: the entity tag of an object that was put at once and is not encrypted with a key.
    Md5,
}

impl fmt::Display for ChecksumKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChecksumKind::Crc64Nvme => "crc64nvme",
            ChecksumKind::Crc32 => "crc32",
            ChecksumKind::Crc32c => "crc32c",
            ChecksumKind::Sha256 => "sha256",
            ChecksumKind::Md5 => "md5",
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.base64)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::S3(bucket) => bucket.fmt(f),
            Location::Folder(folder) => folder.fmt(f),
        }
    }
}

impl Location {
    /// Opens `s3://bucket/prefix/`, `file:///dir` (taken as written, no percent-decoding) or a path.
    ///
    /// For S3 it finds the credentials, so that a machine without any is told at once; it does not
    /// talk to the bucket. For a folder it checks that the folder is there.
    ///
    /// # Errors
    /// [`FetchError::BadLocation`], [`FetchError::Credentials`], [`FetchError::NoFolder`].
    pub async fn open(text: &str, options: &S3Options) -> Result<Location> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return Ok(Location::S3(s3::Bucket::open(text, rest, options).await?));
        }
        let path = match text.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => path,
            Some(_) => {
                return Err(FetchError::BadLocation {
                    text: text.to_owned(),
                    reason: "expected `s3://bucket/prefix/`, `file:///folder` or a path",
                });
            }
            None => text,
        };
        Ok(Location::Folder(folder::Folder::open(path).await?))
    }

    /// Lists every object below the folder `under` (`""` for all), sorted by the bytes of its key.
    ///
    /// `under` is a folder, with or without a `/` at its end: `a` never means `ab/x`. A folder that
    /// is not there is empty. The zero-byte objects named `…/` that consoles create are left out.
    ///
    /// # Errors
    /// [`FetchError::NoBucket`], [`FetchError::Denied`], [`FetchError::Unreachable`]; for a folder,
    /// anything below it that is not a regular file or a link to one inside it.
    pub async fn list(&self, under: &str) -> Result<Vec<Listed>> {
        match self {
            Location::S3(bucket) => bucket.list(under).await,
            Location::Folder(folder) => folder.list(under).await,
        }
    }

    /// Names right below the location, folders with a `/` at their end: at most a thousand.
    ///
    /// # Errors
    /// As [`Location::list`].
    pub async fn names(&self) -> Result<Vec<String>> {
        match self {
            Location::S3(bucket) => bucket.names().await,
            Location::Folder(folder) => folder.names().await,
        }
    }

    /// The full address of a key, for messages.
    pub fn address(&self, key: &str) -> String {
        match self {
            Location::S3(bucket) => format!("{bucket}{key}"),
            Location::Folder(folder) => format!("{folder}/{key}"),
        }
    }

    /// Pins what is there now under the key of `listed`: version, size, stored checksum.
    ///
    /// # Errors
    /// [`FetchError::Missing`] if it is gone; otherwise as [`Location::list`].
    pub async fn pin(&self, listed: &Listed) -> Result<RawObject> {
        match self {
            Location::S3(bucket) => bucket.pin(&listed.key).await,
            Location::Folder(folder) => folder.pin(&listed.key).await,
        }
    }

    /// Sends every byte of the pinned object, in order, exactly once, in blocks of at most
    /// [`BLOCK_BYTES`]; returns only when all `size` bytes were sent.
    ///
    /// Waits whenever `out` is full, for as long as it takes. Holds at most
    /// [`s3::PARTS_IN_FLIGHT`] parts of [`s3::PART_BYTES`] for S3, one block for a folder, and
    /// what is in the channel: give it a capacity of at most 8.
    /// When the future is dropped, the reading stops.
    ///
    /// # Errors
    /// [`FetchError::Replaced`], [`FetchError::Missing`], [`FetchError::Denied`]; after all
    /// attempts [`FetchError::Truncated`], [`FetchError::Stalled`], [`FetchError::Server`],
    /// [`FetchError::Unreachable`]; [`FetchError::Closed`] when the receiver is gone.
    pub async fn read(&self, object: &RawObject, out: mpsc::Sender<Bytes>) -> Result<()> {
        match self {
            Location::S3(bucket) => bucket.read(object, out).await,
            Location::Folder(folder) => folder.read(object, out).await,
        }
    }

    /// Returns the first `bytes` bytes of the pinned object (fewer if it is shorter), in memory.
    ///
    /// # Errors
    /// As [`Location::read`].
    pub async fn read_start(&self, object: &RawObject, bytes: u64) -> Result<Bytes> {
        match self {
            Location::S3(bucket) => bucket.read_start(object, bytes).await,
            Location::Folder(folder) => folder.read_start(object, bytes).await,
        }
    }

    /// Looks for one object by its key; `None` if it is not there.
    ///
    /// # Errors
    /// As [`Location::list`]. S3 answers "denied" for a missing object when the caller may not
    /// list the bucket.
    pub async fn exists(&self, key: &str) -> Result<Option<Listed>> {
        match self {
            Location::S3(bucket) => bucket.exists(key).await,
            Location::Folder(folder) => folder.exists(key).await,
        }
    }

    /// Removes an object; one that is not there is fine.
    ///
    /// # Errors
    /// [`FetchError::Denied`], [`FetchError::NoBucket`], [`FetchError::Unreachable`] or the disk's.
    pub async fn remove(&self, key: &str) -> Result<()> {
        match self {
            Location::S3(bucket) => bucket.remove(key).await,
            Location::Folder(folder) => folder.remove(key).await,
        }
    }

    /// Starts writing an object; it appears under `key` only when [`Upload::finish`] returns.
    ///
    /// # Errors
    /// A key that is not one; for a folder, a file that cannot be created.
    pub async fn writer(&self, key: &str) -> Result<Upload> {
        Ok(match self {
            Location::S3(bucket) => Upload::S3(Box::new(bucket.writer(key))),
            Location::Folder(folder) => Upload::Folder(folder.writer(key).await?),
        })
    }
}

/// An object that is being written. Dropped unfinished, it leaves nothing behind: a folder loses
/// its temporary file at once, S3 is told to abort the upload (as far as the runtime still runs).
#[derive(Debug)]
pub enum Upload {
    /// One `PutObject`, or a multipart upload.
    S3(Box<s3::Upload>),
    /// A temporary file.
    Folder(folder::Upload),
}

impl Upload {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`FetchError::Denied`], [`FetchError::NoBucket`], [`FetchError::Unreachable`] or the disk's.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match self {
            Upload::S3(upload) => upload.write(bytes).await,
            Upload::Folder(upload) => upload.write(bytes).await,
        }
    }

    /// Makes the object appear under its key, replacing what was there.
    ///
    /// # Errors
    /// As [`Upload::write`].
    pub async fn finish(self) -> Result<()> {
        match self {
            Upload::S3(upload) => upload.finish().await,
            Upload::Folder(upload) => upload.finish().await,
        }
    }
}

/// `under` as the prefix of the keys below that folder: empty, or ending with one `/`.
fn folder_prefix(under: &str) -> String {
    match under.trim_matches('/') {
        "" => String::new(),
        inner => format!("{inner}/"),
    }
}
