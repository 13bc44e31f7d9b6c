//! Rows per table, where a source file says how far they may move.

use crate::dataset::Change;
use crate::gate::Gate;
use crate::ledger::Build;
use crate::switch;
use crate::units::grouped;
use crate::verify::Candidate;
use anyhow::{Context, Result};

/// One gate for each source that declares a change.
pub(super) async fn gates(candidate: &Candidate<'_>, measure: &Build) -> Result<Vec<Gate>> {
    let before = candidate.ledger.loaded(measure.id).await?;
    let mut gates = Vec::new();
    for source in &candidate.dataset.sources {
        let Some(allowed) = source.expect.rows.change else {
            continue;
        };
        let table = source.full_table();
        let Some((_, old)) = before.iter().find(|(name, _)| *name == table) else {
            continue;
        };
        let new: i64 = candidate
            .session
            .query_opt(
                "select rows_loaded from overnight.loaded where table_name = $1",
                &[&table],
            )
            .await
            .context("read the receipts")?
            .map_or(0, |row| row.get(0));
        let (old, new) = (*old as u64, new as u64);
        let passed = allowed.allows(old, new) || !switch::on("change.rows");
        gates.push(Gate::new(
            format!("change of {table}"),
            passed,
            format!(
                "{} rows, {} in `{}`: {:+.2}%, allowed {allowed}",
                grouped(new),
                grouped(old),
                measure.name,
                Change::percent(old, new)
            ),
        ));
    }
    Ok(gates)
}
