//! The log of changes (WAL) that a server keeps, and who makes it keep it.
//!
//! With `pg_monitor` the size of `pg_wal` is read. Without it, what surely lies there is reckoned:
//! the log since the last checkpoint began, and what replication slots hold back.

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// What the server keeps, in bytes.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Log {
    pub bytes: u64,
    /// The size of `pg_wal`, and not what is reckoned to lie there.
    pub measured: bool,
    /// `max_wal_size` and `wal_keep_size`: what is normal.
    pub usual_bytes: u64,
    pub slots: Vec<Slot>,
}

/// A replication slot.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Slot {
    pub name: String,
    pub logical: bool,
    pub active: bool,
    pub held_bytes: u64,
    /// What may still be written before it is lost; `None` without a limit.
    pub safe_bytes: Option<i64>,
    /// `max_slot_wal_keep_size`; negative without a limit.
    pub limit_bytes: i64,
    pub status: Option<String>,
    /// The database of a logical slot.
    pub database: Option<u32>,
}

impl Slot {
    /// Three quarters of what it may hold are used: soon it would be cut off for good.
    pub fn is_in_danger(&self) -> bool {
        self.status.as_deref() == Some("unreserved")
            || self
                .safe_bytes
                .is_some_and(|safe| self.limit_bytes > 0 && safe < self.limit_bytes / 4)
    }
}

/// Asks a primary.
pub async fn log(client: &Client) -> Result<Log> {
    let row = client
        .query_one(
            "select pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::bigint,
                    has_function_privilege('pg_catalog.pg_ls_waldir()', 'execute'),
                    pg_size_bytes(current_setting('max_wal_size')) + pg_size_bytes(current_setting('wal_keep_size'))
             from pg_control_checkpoint()",
            &[],
        )
        .await
        .context("ask for the log since the last checkpoint")?;
    let (since, may_measure, usual): (i64, bool, i64) = (row.get(0), row.get(1), row.get(2));
    let slots = slots(client).await?;
    let held = slots.iter().map(|slot| slot.held_bytes).max().unwrap_or(0);
    let measured = match may_measure {
        false => None,
        true => Some(
            client
                .query_one(
                    "select coalesce(sum(size), 0)::bigint from pg_ls_waldir()",
                    &[],
                )
                .await
                .context("ask for the size of pg_wal")?
                .get::<_, i64>(0)
                .unsigned_abs(),
        ),
    };
    Ok(Log {
        bytes: measured.unwrap_or(since.unsigned_abs().max(held)),
        measured: measured.is_some(),
        usual_bytes: usual.unsigned_abs(),
        slots,
    })
}

async fn slots(client: &Client) -> Result<Vec<Slot>> {
    let rows = client
        .query(
            "select slot_name::text, slot_type = 'logical', active,
                    greatest(coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0), 0)::bigint,
                    safe_wal_size, wal_status, datoid,
                    pg_size_bytes(current_setting('max_slot_wal_keep_size'))
             from pg_replication_slots order by 1",
            &[],
        )
        .await
        .context("ask for the replication slots")?;
    Ok(rows
        .iter()
        .map(|row| Slot {
            name: row.get(0),
            logical: row.get(1),
            active: row.get(2),
            held_bytes: row.get::<_, i64>(3).unsigned_abs(),
            safe_bytes: row.get(4),
            status: row.get(5),
            database: row.get(6),
            limit_bytes: row.get(7),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_in_danger_when_little_of_its_limit_is_left() {
        let slot = |safe_bytes, limit_bytes, status: &str| Slot {
            name: "east".into(),
            logical: false,
            active: true,
            held_bytes: 0,
            safe_bytes,
            limit_bytes,
            status: Some(status.into()),
            database: None,
        };
        assert!(!slot(None, -1, "reserved").is_in_danger());
        assert!(!slot(Some(25), 100, "extended").is_in_danger());
        assert!(slot(Some(24), 100, "extended").is_in_danger());
        assert!(slot(None, -1, "unreserved").is_in_danger());
    }
}
