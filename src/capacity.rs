//! What the server has: cores and memory, for deciding how much to do at once.
//!
//! In: what was declared (`server_cores`, `server_memory`), where the server is, and a session to ask
//! on. Out: a [`Capacity`] that says where its numbers come from. Postgres does not tell a role how
//! many cores it has, so a server elsewhere is guessed low until somebody declares it: too few
//! sessions cost time, too many cost other users of that server theirs.
//!
//! A server on this machine is taken to share its cores and memory; where a loopback port leads
//! elsewhere (a tunnel, a container with limits of its own), declare them.

use crate::config::Config;
use crate::embedded;
use crate::postgres::Target;
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_postgres::Client;

/// Most cores that are believed of a server that only says how many workers it allows: 8 is the
/// default of every server, however small.
const MOST_GUESSED: usize = 4;

/// More connections than this gain little on the largest server: its log becomes the limit.
const MOST_CONNECTIONS: usize = 8;

/// Cores and memory of the server.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Capacity {
    pub cores: usize,
    pub memory_bytes: u64,
    /// Where the numbers come from, for people.
    pub origin: String,
    /// Sessions of one kind that may be open at once without taking those that services need.
    #[serde(skip)]
    pub sessions_left: usize,
}

/// Busy sessions on the server, counted: a COPY or an index that is being built holds one.
pub type Slots = Arc<Semaphore>;

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = Bytes(self.memory_bytes);
        let s = if self.cores == 1 { "" } else { "s" };
        write!(f, "{} core{s}, {memory} ({})", self.cores, self.origin)
    }
}

impl Capacity {
    /// Takes what is declared, and finds the rest: on this machine if the server is here, else from
    /// what `client`, a session on it, can be told.
    ///
    /// # Errors
    /// The server refuses to show its settings.
    pub async fn find(config: &Config, target: &Target, client: &Client) -> Result<Capacity> {
        let declared = (config.server_cores, config.server_memory);
        if let (Some(cores), Some(memory_bytes)) = declared {
            let origin = "declared".to_owned();
            return Ok(Capacity {
                cores,
                memory_bytes,
                origin,
                sessions_left: usize::MAX,
            });
        }
        let found = match target.is_local() {
            true => Self::here().await,
            false => Self::guess(client).await?,
        };
        Ok(found.with(declared))
    }

    /// Connections that load side by side: as many as somebody asked for, or one for each core, up
    /// to eight.
    pub fn connections(&self, declared: Option<usize>) -> usize {
        declared
            .unwrap_or_else(|| self.cores.clamp(1, MOST_CONNECTIONS))
            .min(self.sessions_left)
    }

    /// Sets how many sessions of one kind (that load, that build indexes) leave enough for others.
    pub fn leave_others(&mut self, sessions: usize, declared: Option<usize>) {
        let wanted = self.connections(declared);
        self.sessions_left = sessions.max(1);
        let left = self.connections(declared);
        if left < wanted {
            tracing::info!(
                "to leave connections to services, {left} load side by side and not {wanted}"
            );
        }
    }

    /// One slot for each core, or as many as somebody asked for.
    pub fn slots(&self, at_least: Option<usize>) -> Slots {
        let busy = self.cores.max(at_least.unwrap_or(1));
        Arc::new(Semaphore::new(busy.min(self.sessions_left)))
    }

    /// Of the machine that we run on.
    async fn here() -> Capacity {
        Capacity {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: embedded::memory_bytes(),
            origin: "this machine's".into(),
            sessions_left: usize::MAX,
        }
    }

    /// Of a server elsewhere: parallel workers that it allows, and four times its buffers, which
    /// are a quarter of the memory by the usual rule.
    async fn guess(client: &Client) -> Result<Capacity> {
        let row = client
            .query_one(
                "select current_setting('max_parallel_workers')::int,
                        pg_size_bytes(current_setting('shared_buffers'))",
                &[],
            )
            .await
            .context("ask the server for its settings")?;
        let workers: i32 = row.try_get(0)?;
        let buffers: i64 = row.try_get(1)?;
        Ok(Capacity {
            cores: usize::try_from(workers).unwrap_or(1).clamp(1, MOST_GUESSED),
            memory_bytes: u64::try_from(buffers).unwrap_or(0).saturating_mul(4),
            origin: "guessed: declare --server-cores and --server-memory".into(),
            sessions_left: usize::MAX,
        })
    }

    fn with(self, (cores, memory): (Option<usize>, Option<u64>)) -> Capacity {
        let origin = match (cores, memory) {
            (Some(_), _) => format!("cores declared, memory {}", self.origin),
            (_, Some(_)) => format!("memory declared, cores {}", self.origin),
            _ => self.origin,
        };
        Capacity {
            cores: cores.unwrap_or(self.cores),
            memory_bytes: memory.unwrap_or(self.memory_bytes),
            origin,
            sessions_left: self.sessions_left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_declared_wins_and_the_rest_says_where_it_is_from() {
        let here = Capacity::here().await;
        assert!(here.cores >= 1 && here.memory_bytes > 100 << 20, "{here}");
        let mixed = here.clone().with((Some(64), None));
        assert_eq!((mixed.cores, mixed.memory_bytes), (64, here.memory_bytes));
        assert_eq!(mixed.origin, "cores declared, memory this machine's");
        assert_eq!(here.clone().with((None, None)), here);
        let shown = here.with((Some(1), Some(16 << 30))).to_string();
        assert!(shown.starts_with("1 core, 16.00 GiB ("), "{shown}");
    }
}
