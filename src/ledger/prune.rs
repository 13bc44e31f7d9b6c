//! What the ledger lets go of: details of builds that were dropped long ago, notifications that were
//! delivered, runs of earlier years.
//!
//! Builds, moves, approvals and the chain of events stay for ever: they are the audit trail, and small.

use super::Ledger;
use anyhow::{Context, Result};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Details of a build stay for so long after it was dropped, and always of the newest builds: a night is
/// compared with the nights before it.
const DETAILS: Duration = DAY.saturating_mul(90);
const DETAILS_OF_NEWEST: i64 = 30;
/// Notifications that came through, or were given up.
const DELIVERIES: Duration = DAY.saturating_mul(30);
const RUNS: Duration = DAY.saturating_mul(400);

/// The tables with the details of builds.
const DETAIL_TABLES: [&str; 10] = [
    "input",
    "loaded",
    "sql_file",
    "stage",
    "table_timing",
    "finding",
    "profile",
    "group_rows",
    "key_change",
    "measured",
];

impl Ledger {
    /// Deletes the rows of a dataset that no command reads any more. Returns how many.
    pub async fn prune(&self, dataset: &str) -> Result<u64> {
        let mut pruned = 0;
        let rows = self
            .session
            .query(
                "select id from (
                     select id, state, coalesce(dropped_at, created_at) as gone_at,
                            row_number() over (order by id desc) as newest
                     from ledger.build where dataset = $1) b
                 where state in ('dropped', 'failed') and newest > $3
                   and gone_at < clock_timestamp() - $2 * interval '1 second'
                   and exists (select from ledger.loaded l where l.build = b.id
                               union all select from ledger.finding f where f.build = b.id
                               union all select from ledger.stage s where s.build = b.id
                               union all select from ledger.input i where i.build = b.id)",
                &[&dataset, &DETAILS.as_secs_f64(), &DETAILS_OF_NEWEST],
            )
            .await
            .context("look for builds of long ago")?;
        let builds: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if !builds.is_empty() {
            // Figures of newer builds may name one of these as the build they were compared with.
            let compared = "delete from ledger.key_change where measure_build = any($1)";
            pruned += self.pruned(compared, &builds).await?;
            for table in DETAIL_TABLES {
                let statement = format!("delete from ledger.{table} where build = any($1)");
                pruned += self.pruned(&statement, &builds).await?;
            }
        }
        let old = [
            (
                "delete from ledger.delivery where dataset = $1 and state <> 'waiting'
                 and coalesce(ended_at, created_at) < clock_timestamp() - $2 * interval '1 second'",
                DELIVERIES,
            ),
            (
                "delete from ledger.run where $1 = any(datasets)
                 and ended_at < clock_timestamp() - $2 * interval '1 second'",
                RUNS,
            ),
        ];
        for (statement, age) in old {
            pruned += self
                .session
                .execute(statement, &[&dataset, &age.as_secs_f64()])
                .await
                .context("prune the ledger")?;
        }
        Ok(pruned)
    }

    async fn pruned(&self, statement: &str, builds: &[i64]) -> Result<u64> {
        self.session
            .execute(statement, &[&builds])
            .await
            .context("prune the ledger")
    }
}
