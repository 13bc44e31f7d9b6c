//! A dataset of a list that another run was building: it comes last, and then the other run is waited for.
//!
//! Two crontab lines with the same datasets then both end well: what the other run has built meanwhile is
//! found unchanged. A dataset that is named alone is never waited for.

use crate::dataset::Dataset;
use crate::ledger::Lock;
use crate::nightly::Options;
use crate::operation::Workplace;
use crate::problem::{Status, status_of};
use crate::progress::Progress;
use anyhow::Result;
use std::time::{Duration, Instant};

/// Longest wait for another run: that of a long night.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// Pause between two looks at the lock.
const BETWEEN: Duration = Duration::from_secs(1);

/// Waits for the run that holds the locks of some datasets.
pub struct Waiting<'w> {
    pub place: &'w Workplace,
    pub datasets: &'w [Dataset],
    pub options: &'w Options,
}

impl Waiting<'_> {
    /// Runs when the locks are free; again, when another run was faster.
    ///
    /// # Errors
    /// Status 75 after six hours, status 1 when the deadline passes; else that of the run.
    pub async fn run<T>(
        &self,
        progress: &Progress,
        name: &str,
        run: impl AsyncFn() -> Result<T>,
    ) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            progress.begin(name);
            progress.stage("wait for another run");
            self.until_free(end).await?;
            match run().await {
                Err(error) if status_of(&error) == Status::Busy && Instant::now() < end => {}
                other => return other,
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn until_free(&self, end: Instant) -> Result<()> {
        let ledger = self.place.ledger("wait for another run").await?;
        for dataset in self.datasets {
            loop {
                if let Some(deadline) = &self.options.deadline {
                    let hint = "nothing was begun; run again with a later deadline, or with none";
                    deadline.check("while another run was waited for", hint)?;
                }
                match ledger.lock(&dataset.name, Lock::Build).await {
                    Err(error) if status_of(&error) == Status::Busy && Instant::now() < end => {}
                    locked => break locked?,
                }
                tokio::time::sleep(BETWEEN).await;
            }
        }
        ledger.close().await;
        Ok(())
    }
}
