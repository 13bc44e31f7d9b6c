//! Which server made a build.

use super::{Build, Ledger};
use anyhow::{Context, Result};

impl Ledger {
    /// Keeps the version of the server that makes this build.
    pub async fn record_server_version(&self, build: &Build) -> Result<()> {
        self.session
            .execute(
                "update ledger.build set server_version = $2 where id = $1",
                &[&build.id, &self.session.server_version()],
            )
            .await
            .context("record the version of the server")?;
        Ok(())
    }

    /// The version of the server that made a build; none for builds of old releases.
    pub async fn server_version(&self, build: &Build) -> Result<Option<String>> {
        let row = self
            .session
            .query_one(
                "select server_version from ledger.build where id = $1",
                &[&build.id],
            )
            .await
            .context("read the version of the server that made a build")?;
        Ok(row.get(0))
    }
}
