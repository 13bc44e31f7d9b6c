//! Where the generated objects go.
//!
//! In: a key such as `druginfo/pricing.txt.zst`. Out: a writer for the bytes of that object.
//!
//! An object appears under its key only when it is finished: a reader must never meet half a
//! file. A writer that is dropped before leaves nothing under the key.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A place that takes objects by key.
pub trait Sink {
    /// Opens a new object, or one that replaces the object of this key.
    ///
    /// # Errors
    /// The place cannot be written to.
    fn open(&self, key: &str) -> Result<Box<dyn Object>>;

    /// Removes an object, if there is one.
    ///
    /// # Errors
    /// The object is there and cannot be removed.
    fn remove(&self, key: &str) -> Result<()>;
}

/// The object being written.
pub trait Object: Write {
    /// Writes what is still held back and makes the object visible under its key.
    ///
    /// # Errors
    /// The place refuses the last bytes, or the name.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A folder on this machine: `/` in a key is a folder below it.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A folder that will hold exactly the given keys; makes it if it is missing.
    ///
    /// # Errors
    /// A folder of one of the keys already holds another file. It would be read as input next
    /// to the new ones (`part_1.txt.gz` beside `part_1.txt.zst`), so it is not left alone silently.
    pub fn create(root: &Path, keys: &[String]) -> Result<Self> {
        let folder = Folder {
            root: root.to_path_buf(),
        };
        let wanted: Vec<PathBuf> = keys.iter().map(|key| root.join(key)).collect();
        let mut parents: Vec<&Path> = wanted.iter().filter_map(|path| path.parent()).collect();
        parents.sort_unstable();
        parents.dedup();
        for parent in parents {
            fs::create_dir_all(parent)
                .with_context(|| format!("make the folder `{}`", parent.display()))?;
            for entry in fs::read_dir(parent)
                .with_context(|| format!("list the folder `{}`", parent.display()))?
            {
                let path = entry?.path();
                if path.is_file() && !wanted.contains(&path) {
                    bail!(
                        "`{}` is not a file of this run: choose an empty folder, or remove it",
                        path.display()
                    );
                }
            }
        }
        Ok(folder)
    }
}

impl Sink for Folder {
    fn open(&self, key: &str) -> Result<Box<dyn Object>> {
        let path = self.root.join(key);
        let file = tempfile_beside(&path)?;
        let writer =
            File::create(&file).with_context(|| format!("make the file `{}`", file.display()))?;
        Ok(Box::new(FolderObject {
            writer: Some(BufWriter::with_capacity(1 << 18, writer)),
            unfinished: file,
            path,
        }))
    }

    fn remove(&self, key: &str) -> Result<()> {
        let path = self.root.join(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove the file `{}`", path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The hidden name under which a file grows.
fn tempfile_beside(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        bail!("`{}` has no file name", path.display());
    };
    let mut hidden = std::ffi::OsString::from(".unfinished-");
    hidden.push(name);
    Ok(path.with_file_name(hidden))
}

struct FolderObject {
    /// None once the file has its name.
    writer: Option<BufWriter<File>>,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Write for FolderObject {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => writer.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Object for FolderObject {
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()
            .with_context(|| format!("write the file `{}`", self.path.display()))?;
        fs::rename(&self.unfinished, &self.path)
            .with_context(|| format!("name the file `{}`", self.path.display()))?;
        self.writer = None;
        Ok(())
    }
}

impl Drop for FolderObject {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // The error that led here is on its way; a leftover hidden file is the lesser trouble.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}
