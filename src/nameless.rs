//! A temporary file without a name: nobody else can open it, and no crash leaves it behind.
//!
//! The file is unlinked as soon as it is open, so it never has a name that lasts, and the system frees
//! its space when the process ends, however that happens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names tried for a new file; others are of processes that died while it had one.
const NAMES: u32 = 1000;

/// Makes a file to read and write in an existing directory, and takes its name away. `purpose` is part
/// of the name that it has for a moment.
///
/// # Errors
/// The directory is not there or not writable.
pub fn nameless_file(directory: &Path, purpose: &str) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for _ in 0..NAMES {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let path = directory.join(format!("overnight-{purpose}-{process}-{number}"));
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
