//! The raw objects that a build was made from.

use super::{Build, Ledger};
use crate::load::InputCount;
use anyhow::{Context, Result};

impl Ledger {
    /// The objects of a build with the source of each; none before its counts were recorded.
    ///
    /// # Errors
    /// The server refuses, or is gone.
    pub async fn inputs(&self, build: &Build) -> Result<Vec<(String, InputCount)>> {
        let rows = self
            .session
            .query(
                "select source, key, version, bytes, coalesce(sha256, ''), coalesce(records_read, 0),
                        coalesce(rows_loaded, 0), coalesce(rejected, 0)
                 from ledger.input where build = $1 order by source, key",
                &[&build.id],
            )
            .await
            .context("read the inputs of a build")?;
        let number = |row: &tokio_postgres::Row, column: usize| row.get::<_, i64>(column) as u64;
        let input = |row: &tokio_postgres::Row| InputCount {
            key: row.get(1),
            version: row.get(2),
            bytes: number(row, 3),
            sha256: row.get(4),
            records_read: number(row, 5),
            rows_loaded: number(row, 6),
            rejected: number(row, 7),
            skipped: 0,
        };
        Ok(rows.iter().map(|row| (row.get(0), input(row))).collect())
    }

    /// Records that an unfinished build is now made from other objects.
    ///
    /// # Errors
    /// The server refuses, or is gone.
    pub async fn set_input_digest(&self, build: &Build, digest: &str) -> Result<()> {
        self.session
            .execute(
                "update ledger.build set input_digest = $2 where id = $1",
                &[&build.id, &digest],
            )
            .await
            .context("record the inputs of an unfinished build")?;
        Ok(())
    }
}
