//! Reads the objects of a source as a load would, and gives the rows to nobody.
//!
//! In: a [`TableJob`]. Out: [`DryLoad`]: the counts and rejects of a load, and a digest over the
//! encoded rows in their order. Two ways of reading the same objects must give the same digest.

use super::batch::Batch;
use super::reading::{Deal, Reading};
use super::{InputCount, Loader, TableJob, TableLoad};
use crate::dataset::hex;
use crate::progress::TableProgress;
use anyhow::{Context, Result};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a load would have done.
#[derive(Debug)]
pub struct DryLoad {
    pub load: TableLoad,
    /// SHA-256 over all encoded rows, as hexadecimal digits.
    pub digest: String,
    /// The rejects are within what the source allows.
    pub within_budget: bool,
    /// What it allows, in words.
    pub budget: String,
}

impl DryLoad {
    /// Records of all objects: read, and rejected.
    #[must_use]
    pub fn records(&self) -> (u64, u64) {
        let sum = |of: fn(&InputCount) -> u64| self.load.inputs.iter().map(of).sum();
        (sum(|input| input.records_read), sum(|input| input.rejected))
    }
}

/// Batches that wait to be hashed.
const BATCHES_WAITING: usize = 2;

impl Loader<'_> {
    /// Reads everything.
    ///
    /// # Errors
    /// As a load, as far as the server is not asked.
    pub async fn read_only(&self, job: &TableJob) -> Result<DryLoad> {
        let source = &job.plan.source;
        let bytes = job.bytes();
        let progress = self.request.progress.table(&source.full_table(), bytes);
        let (sender, batches) = mpsc::channel(BATCHES_WAITING);
        let load = TableLoad::begin(source);
        let deal = Deal::Any(sender);
        let reading = Reading::new(self, job, &progress, None, deal, load).run();
        let counted = Arc::clone(&progress);
        let hashing = tokio::task::spawn_blocking(move || hash(batches, &counted));
        let load = reading.await;
        let (digest, rows) = hashing.await.context("wait for the digest of the rows")?;
        let mut load = load.with_context(|| format!("read source `{}`", source.name))?;
        load.rows = rows;
        let rejects = &source.expect.rejects;
        let mut dry = DryLoad {
            load,
            digest,
            within_budget: true,
            budget: rejects.describe(),
        };
        let (read, rejected) = dry.records();
        dry.within_budget = rejects.allows(rejected, read);
        Ok(dry)
    }
}

fn hash(mut batches: mpsc::Receiver<Batch>, progress: &TableProgress) -> (String, u64) {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut rows = 0;
    while let Some(batch) = batches.blocking_recv() {
        digest.update(&batch.rows);
        rows += batch.row_count;
        progress.add(batch.row_count, 0);
    }
    (hex(digest.finish().as_ref()), rows)
}
