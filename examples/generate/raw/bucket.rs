//! A bucket as the place of generated objects, written with the S3 client that reads them later.
//!
//! In: bytes from a generator that knows nothing of async. Out: objects that appear whole.
//!
//! Every call waits on a small runtime of this file's own, so none may come from inside another.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use overnight::fetch::{Location, S3Options, Upload};
use tokio::runtime::Runtime;

use super::sink::{Object, Sink};

/// Bytes collected before they are handed on: the writers above make many small writes.
const BLOCK_BYTES: usize = 1 << 20;

/// A bucket with a prefix: `/` in a key is a `/` in the name of the object.
pub struct Bucket {
    runtime: Arc<Runtime>,
    location: Location,
}

impl Bucket {
    /// Opens `s3://bucket/prefix/`, which will hold exactly the given keys.
    ///
    /// # Errors
    /// No credentials, no such bucket, or other objects in the folders of the keys: they would be
    /// read as input next to the new ones.
    pub fn open(text: &str, options: &S3Options, keys: &[String]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start the runtime")?;
        let location = runtime.block_on(Location::open(text, options))?;
        let mut folders: Vec<&str> = keys
            .iter()
            .filter_map(|key| key.rsplit_once('/'))
            .map(|(folder, _)| folder)
            .collect();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            for listed in runtime.block_on(location.list(folder))? {
                if !keys.contains(&listed.key) {
                    bail!(
                        "`{location}{}` is not an object of this run: choose an empty prefix, or remove it",
                        listed.key
                    );
                }
            }
        }
        Ok(Bucket {
            runtime: Arc::new(runtime),
            location,
        })
    }
}

impl Sink for Bucket {
    fn open(&self, key: &str) -> Result<Box<dyn Object>> {
        let upload = self.runtime.block_on(self.location.writer(key))?;
        Ok(Box::new(BucketObject {
            runtime: Arc::clone(&self.runtime),
            upload: Some(upload),
            block: Vec::with_capacity(BLOCK_BYTES),
        }))
    }

    fn remove(&self, key: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.location.remove(key))?)
    }
}

struct BucketObject {
    runtime: Arc<Runtime>,
    /// None once the object is finished.
    upload: Option<Upload>,
    block: Vec<u8>,
}

impl BucketObject {
    fn hand_on(&mut self) -> io::Result<()> {
        let upload = self.upload.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let block = mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        self.runtime
            .block_on(upload.write(Bytes::from(block)))
            .map_err(io::Error::other)
    }
}

impl Write for BucketObject {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, _) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
        self.block.extend_from_slice(taken);
        if self.block.len() == BLOCK_BYTES {
            self.hand_on()?;
        }
        Ok(taken.len())
    }

    /// Nothing becomes visible before the end, so there is nothing to hurry.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Object for BucketObject {
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.hand_on()?;
        let upload = self.upload.take().context("the object is finished")?;
        Ok(self.runtime.block_on(upload.finish())?)
    }
}

impl Drop for BucketObject {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        self.runtime.block_on(async {
            // Begins to abort what was sent, and needs a moment to get through.
            drop(upload);
            tokio::time::sleep(Duration::from_millis(500)).await;
        });
    }
}
