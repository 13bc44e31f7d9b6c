//! Standbys that services read from, as somebody declared them.
//!
//! They travel with the [`Server`] that they follow, so that whoever moves an alias or drops a
//! database can ask them. A login is made anew for each look: a standby may be restarted any time.

use super::{Server, Session};
use anyhow::Context;
use std::time::Duration;

/// Longest statement of a look.
pub const LOOK: Duration = Duration::from_secs(30);

/// What a server is followed by.
#[derive(Debug, Clone, Default)]
pub struct Standbys {
    pub declared: Vec<Standby>,
    /// Others that the server knows do not matter.
    pub ignore_undeclared: bool,
    /// How long one may take to catch up.
    pub wait: Duration,
}

/// One declared standby.
#[derive(Debug, Clone)]
pub struct Standby {
    pub name: String,
    pub server: Server,
    /// How long sessions on the old build may go on after a move.
    pub drain: Duration,
}

impl Standby {
    /// A session in a database that is always there.
    ///
    /// # Errors
    /// As for [`Server::connect`], with the name of the replica.
    pub async fn connect(&self, purpose: &str) -> anyhow::Result<Session> {
        let database = self.server.target().database().unwrap_or("postgres");
        let connected = async {
            let session = self.server.connect(database, purpose).await?;
            session.limit(LOOK, LOOK).await?;
            anyhow::Ok(session)
        };
        connected
            .await
            .with_context(|| format!("ask the replica `{}`", self.name))
    }
}
