//! A folder on this machine as the place of raw files.
//!
//! In: a path. Out: the files below it, pinned by size, times of modification and change, and inode.
//!
//! Nothing is left out in silence: what is neither a regular file nor a link to one inside the
//! folder is an error, because a missing input file would be found much later. Files are read on a
//! blocking thread, and looked at again at the end: a file that changed meanwhile is an error.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::{BLOCK_BYTES, FetchError, Listed, RawObject, Result, Version, folder_prefix};

/// Files that are still being written begin so; a listing leaves them out.
const PARTIAL: &str = ".overnight-partial-";

/// How long such a file is taken for one that is still being written.
const PARTIAL_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder that exists.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.display())
    }
}

impl Folder {
    /// Opens a folder; links in its own path are resolved.
    pub(super) async fn open(path: &str) -> Result<Folder> {
        let missing = || FetchError::NoFolder {
            path: path.to_owned(),
        };
        let root = tokio::fs::canonicalize(path).await.map_err(|_| missing())?;
        match root.is_dir() {
            true => Ok(Folder { root }),
            false => Err(missing()),
        }
    }

    pub(super) async fn list(&self, under: &str) -> Result<Vec<Listed>> {
        let folder = self.clone();
        let prefix = folder_prefix(under);
        blocking(&self.root, move || {
            let mut found = Vec::new();
            let start = match prefix.as_str() {
                "" => folder.root.clone(),
                prefix => folder.path(prefix.trim_end_matches('/'))?,
            };
            if start.is_dir() {
                folder.walk(&start, &prefix, &mut found)?;
            }
            found.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(found)
        })
        .await
    }

    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let root = self.root.clone();
        blocking(&self.root, move || {
            let failed = |e| FetchError::disk("list", &root, &e);
            let mut names = Vec::new();
            for entry in fs::read_dir(&root).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let folder = entry.path().is_dir();
                names.push(if folder { name + "/" } else { name });
            }
            names.sort();
            Ok(names)
        })
        .await
    }

    pub(super) async fn pin(&self, key: &str) -> Result<RawObject> {
        let path = self.path(key)?;
        let key = key.to_owned();
        blocking(&self.root, move || {
            let meta = fs::metadata(&path).map_err(|e| FetchError::disk("look at", &path, &e))?;
            Ok(RawObject {
                key,
                version: version(&meta),
                size: meta.len(),
                modified: modified(&meta),
                checksum: None,
            })
        })
        .await
    }

    pub(super) async fn exists(&self, key: &str) -> Result<Option<Listed>> {
        let path = self.path(key)?;
        let key = key.to_owned();
        blocking(&self.root, move || match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => Ok(Some(listed(key, &meta))),
            Ok(_) => Ok(None),
            Err(error) => match FetchError::disk("look at", &path, &error) {
                FetchError::Missing { .. } => Ok(None),
                other => Err(other),
            },
        })
        .await
    }

    pub(super) async fn read(&self, object: &RawObject, out: mpsc::Sender<Bytes>) -> Result<()> {
        let mut open = Reading::new(self.path(&object.key)?, object.clone());
        blocking(&self.root, move || {
            open.check_and(|file, path, size| {
                let mut sent = 0;
                while sent < size {
                    let block = read_block(file, path, sent, size, BLOCK_BYTES as u64)?;
                    sent += block.len() as u64;
                    // The receiver is gone: stop the thread too.
                    out.blocking_send(block).map_err(|_| FetchError::Closed {
                        key: path.display().to_string(),
                    })?;
                }
                Ok(())
            })
        })
        .await
    }

    pub(super) async fn read_start(&self, object: &RawObject, bytes: u64) -> Result<Bytes> {
        let mut open = Reading::new(self.path(&object.key)?, object.clone());
        blocking(&self.root, move || {
            open.check_and(|file, path, size| read_block(file, path, 0, size, bytes))
        })
        .await
    }

    pub(super) async fn remove(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        match tokio::fs::remove_file(&path).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(FetchError::disk("remove", &path, &e))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn writer(&self, key: &str) -> Result<Upload> {
        let path = self.path(key)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(FetchError::BadLocation {
                text: key.to_owned(),
                reason: "a key names a file",
            });
        };
        let partial = parent.join(format!(
            "{PARTIAL}{:08x}-{}",
            rand::random::<u32>(),
            name.to_string_lossy()
        ));
        let failed = |e| FetchError::disk("create", &path, &e);
        tokio::fs::create_dir_all(parent).await.map_err(failed)?;
        let folder = parent.to_owned();
        blocking(parent, move || {
            remove_old_partials(&folder);
            Ok(())
        })
        .await?;
        let file = tokio::fs::File::create_new(&partial)
            .await
            .map_err(failed)?;
        Ok(Upload {
            file,
            partial: Some(partial),
            path,
        })
    }

    /// The file of a key. A key never leaves the folder: no empty part, no `.` and no `..`.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let normal = Path::new(key)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || !normal {
            return Err(FetchError::BadLocation {
                text: key.to_owned(),
                reason: "a key is a relative path without `..`",
            });
        }
        Ok(self.root.join(key))
    }

    fn walk(&self, dir: &Path, prefix: &str, found: &mut Vec<Listed>) -> Result<()> {
        let failed = |e: std::io::Error| FetchError::disk("list", dir, &e);
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let refuse = |detail: &str| FetchError::Other {
                action: "list",
                key: path.display().to_string(),
                detail: detail.to_owned(),
            };
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| refuse("the name is not UTF-8"))?;
            if name.starts_with(PARTIAL) {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            let key = format!("{prefix}{name}");
            if kind.is_dir() {
                self.walk(&path, &format!("{key}/"), found)?;
                continue;
            }
            if kind.is_symlink() {
                let target =
                    fs::canonicalize(&path).map_err(|_| refuse("the link points to nothing"))?;
                if !target.starts_with(&self.root) || !target.is_file() {
                    return Err(refuse(
                        "only links to files inside the input folder are followed",
                    ));
                }
            } else if !kind.is_file() {
                return Err(refuse("neither a file nor a folder"));
            }
            let meta = fs::metadata(&path).map_err(|e| FetchError::disk("look at", &path, &e))?;
            found.push(listed(key, &meta));
        }
        Ok(())
    }
}

/// Removes what killed processes have left of files that they were writing, a day after the last byte. A file that
/// cannot be removed is in no listing, so it only takes space: nothing fails for it.
fn remove_old_partials(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let partial = entry.file_name().to_string_lossy().starts_with(PARTIAL);
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if partial && age().is_some_and(|age| age > PARTIAL_KEPT) {
            let removed = fs::remove_file(entry.path());
            tracing::debug!(?removed, "an unfinished file of a process that was killed");
        }
    }
}

/// One file that must stay as it was pinned.
struct Reading {
    path: PathBuf,
    object: RawObject,
}

impl Reading {
    fn new(path: PathBuf, object: RawObject) -> Reading {
        Reading { path, object }
    }

    /// Runs `work` on the open file between two looks at what it is.
    fn check_and<T>(&mut self, work: impl FnOnce(&mut File, &Path, u64) -> Result<T>) -> Result<T> {
        let path = &self.path;
        let mut file = File::open(path).map_err(|e| FetchError::disk("open", path, &e))?;
        let opened = file
            .metadata()
            .map_err(|e| FetchError::disk("look at", path, &e))?;
        self.same(&opened)?;
        let done = work(&mut file, path, self.object.size);
        if matches!(done, Err(FetchError::Closed { .. })) {
            return done;
        }
        // By its name, not by the open file: one that was renamed over counts as replaced. This
        // comes before the result of the reading, since a file that shrank also ends too early.
        let after = fs::metadata(path).map_err(|e| self.replaced(e.to_string()))?;
        self.same(&after)?;
        if version(&after) != version(&opened) {
            return Err(self.replaced("its inode changed while it was read".to_owned()));
        }
        done
    }

    fn same(&self, meta: &Metadata) -> Result<()> {
        if meta.len() != self.object.size {
            return Err(self.replaced(format!(
                "{} bytes instead of {}",
                meta.len(),
                self.object.size
            )));
        }
        // Links, owners and modes may change after the pin: they change the inode and not the file.
        match unlinked(version(meta)) == unlinked(self.object.version.clone()) {
            true => Ok(()),
            false => Err(self.replaced("modified, or another file under this name".to_owned())),
        }
    }

    fn replaced(&self, detail: String) -> FetchError {
        FetchError::Replaced {
            key: self.path.display().to_string(),
            detail,
        }
    }
}

/// Reads the next at most `limit` bytes, never beyond `size`; fewer is an error.
fn read_block(file: &mut File, path: &Path, sent: u64, size: u64, limit: u64) -> Result<Bytes> {
    let want = limit.min(size - sent);
    let mut block = Vec::with_capacity(usize::try_from(want).unwrap_or(0));
    let read = file
        .take(want)
        .read_to_end(&mut block)
        .map_err(|e| FetchError::disk("read", path, &e))?;
    if (read as u64) < want {
        return Err(FetchError::Truncated {
            key: path.display().to_string(),
            expected: size,
            received: sent + read as u64,
            detail: "end of file".to_owned(),
        });
    }
    Ok(Bytes::from(block))
}

fn listed(key: String, meta: &Metadata) -> Listed {
    Listed {
        key,
        size: meta.len(),
        etag: None,
        modified: modified(meta),
    }
}

fn version(meta: &Metadata) -> Version {
    let nanoseconds = |seconds, rest| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Version::File {
        modified_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
        changed_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
        inode: meta.ino(),
    }
}

/// A version without the time of change of the inode.
fn unlinked(version: Version) -> Version {
    match version {
        Version::File {
            modified_ns, inode, ..
        } => Version::File {
            modified_ns,
            changed_ns: 0,
            inode,
        },
        object => object,
    }
}

fn modified(meta: &Metadata) -> Timestamp {
    // A time outside of the years that a timestamp can hold is only ever nonsense on the disk.
    let nanoseconds = i32::try_from(meta.mtime_nsec()).unwrap_or(0);
    Timestamp::new(meta.mtime(), nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    root: &Path,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(FetchError::Other {
                action: "read from",
                key: root.display().to_string(),
                detail: error.to_string(),
            })
        })
}

/// A file that is being written under a temporary name in its folder.
#[derive(Debug)]
pub struct Upload {
    file: tokio::fs::File,
    /// `None` once it has its name.
    partial: Option<PathBuf>,
    path: PathBuf,
}

impl Upload {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.file
            .write_all(&bytes)
            .await
            .map_err(|e| FetchError::disk("write", &self.path, &e))
    }

    pub(super) async fn finish(mut self) -> Result<()> {
        let done = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            if let Some(partial) = &self.partial {
                tokio::fs::rename(partial, &self.path).await?;
            }
            Ok(())
        };
        done.await
            .map_err(|e| FetchError::disk("write", &self.path, &e))?;
        self.partial = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            // Nothing more can be done about it here; listings leave such a file out.
            let _ = fs::remove_file(partial);
        }
    }
}
