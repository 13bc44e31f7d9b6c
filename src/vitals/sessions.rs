//! The connections of a server: how many there are, and how many are left.
//!
//! Any role sees that a session is there, if not what it does, and that is enough to count.

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// Connections of the server and of the role that asks.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Sessions {
    pub most: usize,
    /// Kept for superusers, and from PostgreSQL 16 on for a role of its own.
    pub reserved: usize,
    pub used: usize,
    /// Limit of the role that asks, and what it uses of it.
    pub role_most: Option<usize>,
    pub role_used: usize,
}

impl Sessions {
    /// Connections that this role may still open.
    pub fn free(&self) -> usize {
        let server = (self.most).saturating_sub(self.reserved + self.used);
        match self.role_most {
            Some(most) => server.min(most.saturating_sub(self.role_used)),
            None => server,
        }
    }
}

/// Counts.
pub async fn sessions(client: &Client) -> Result<Sessions> {
    let row = client
        .query_one(
            "select current_setting('max_connections')::bigint,
                    current_setting('superuser_reserved_connections')::bigint
                        + coalesce(current_setting('reserved_connections', true)::bigint, 0),
                    (select count(*) from pg_stat_activity where datid is not null),
                    (select rolconnlimit from pg_roles where rolname = current_user)::bigint,
                    (select count(*) from pg_stat_activity where usename = current_user and datid is not null)",
            &[],
        )
        .await
        .context("count the server's connections")?;
    let number = |index: usize| usize::try_from(row.get::<_, i64>(index)).ok();
    Ok(Sessions {
        most: number(0).unwrap_or_default(),
        reserved: number(1).unwrap_or_default(),
        used: number(2).unwrap_or_default(),
        role_most: number(3),
        role_used: number(4).unwrap_or_default(),
    })
}
