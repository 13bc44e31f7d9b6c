//! Ends what a dead command left running before its lock is used again.
//!
//! The locks of a command end with its lock session, and its control session may still be at the
//! last statement: the server finishes CREATE DATABASE for a client that is gone. In: a lock that was
//! just taken. Out: the control session that worked under it before has ended.

use super::Ledger;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How long the session of a command that has died is given to end.
const DYING: Duration = Duration::from_secs(60);

impl Ledger {
    /// Ends the control session of the command that held the lock before, if it is still there: the
    /// client has died or lost its lock, and a last statement such as CREATE DATABASE goes on
    /// without it. Then this session is the one to be ended by the next.
    pub(super) async fn fence(&self, dataset: &str, table: &str) -> Result<()> {
        let end = Instant::now() + DYING;
        let mut said = false;
        loop {
            let dying = self
                .session
                .query_opt(
                    "select a.pid, coalesce(substring(upper(a.query) from '(CREATE|DROP) DATABASE'), 'statement')
                     from ledger.lock_holder h
                     join pg_stat_activity a on a.pid = h.pid and coalesce(a.backend_start = h.backend_start, true)
                     where h.lock = $1 and h.pid <> pg_backend_pid()",
                    &[&table],
                )
                .await
                .context("look for the session that held the lock before")?;
            let Some(row) = dying else { break };
            let (pid, what): (i32, String) = (row.get(0), row.get(1));
            let what = match what.as_str() {
                "CREATE" | "DROP" => format!("{what} DATABASE"),
                _ => "its last statement".to_owned(),
            };
            let text = format!(
                "a command on `{dataset}` that has died is still finishing {what} (server process {pid})"
            );
            if Instant::now() >= end {
                bail!(Problem::busy(text).hint(format!(
                    "start again when that process has ended: select from pg_stat_activity where pid = {pid}"
                )));
            }
            if !said {
                said = true;
                tracing::warn!("{text}; waiting until it has ended");
            }
            self.terminate(pid).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.session
            .execute(
                "insert into ledger.lock_holder (lock, pid, backend_start)
                 select $1, pid, backend_start from pg_stat_activity where pid = pg_backend_pid()
                 on conflict (lock) do update set pid = excluded.pid, backend_start = excluded.backend_start",
                &[&table],
            )
            .await
            .context("record who holds the lock")?;
        Ok(())
    }

    /// Asks the server to end a session. Whether it has ended is for the caller to see.
    pub(super) async fn terminate(&self, pid: i32) {
        let end = "select pg_terminate_backend($1)";
        if let Err(error) = self.session.execute(end, &[&pid]).await {
            tracing::debug!(%error, "end a session");
        }
    }
}
