//! What the gates found, one row each and asking, never changed afterwards.

use super::{Build, Ledger};
use crate::gate::{Gate, Overrides, Verdict};
use anyhow::{Context, Result};

impl Ledger {
    /// What each gate of a stage found when it was asked last.
    pub async fn last_findings(&self, build: &Build, stage: &str) -> Result<Vec<Gate>> {
        let rows = self
            .session
            .query(
                "select distinct on (gate) gate, verdict, finding from ledger.finding
                 where build = $1 and stage = $2 order by gate, id desc",
                &[&build.id, &stage],
            )
            .await
            .context("read what the gates found")?;
        let gate = |row: &tokio_postgres::Row| Gate::recorded(row.get(0), row.get(1), row.get(2));
        rows.iter().map(gate).collect()
    }

    /// Keeps what gates found, also where they passed. An accepted one is an event of its own, with
    /// the reason: that is the audit trail.
    pub async fn record_findings(
        &self,
        build: &Build,
        stage: &str,
        gates: &[Gate],
        overrides: &Overrides,
    ) -> Result<()> {
        for gate in gates {
            match gate.verdict {
                Verdict::Passed => {
                    tracing::debug!(gate = %gate.gate, finding = %gate.finding, "passed");
                }
                Verdict::Warned | Verdict::Accepted => {
                    tracing::warn!(gate = %gate.gate, finding = %gate.finding, "{}", gate.verdict.word());
                }
                Verdict::Failed => {
                    // The error that ends the command names it.
                    tracing::debug!(gate = %gate.gate, finding = %gate.finding, "not passed");
                }
            }
            let accepted = gate.verdict == Verdict::Accepted;
            let reason = accepted.then(|| overrides.reason());
            self.session
                .execute(
                    "insert into ledger.finding (build, stage, gate, verdict, finding, reason, actor)
                     values ($1, $2, $3, $4, $5, $6, $7)",
                    &[
                        &build.id,
                        &stage,
                        &gate.gate,
                        &gate.verdict.word(),
                        &gate.finding,
                        &reason,
                        &self.actor,
                    ],
                )
                .await
                .context("record what the gates found")?;
            if accepted {
                let detail = format!("{}: {} ({})", gate.gate, gate.finding, overrides.reason());
                self.event(&build.dataset, Some(build.id), "accepted", &detail)
                    .await?;
            }
        }
        Ok(())
    }
}
