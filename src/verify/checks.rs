//! Gates that the dataset's own check files ask: a query's rows are what offends.

use crate::gate::Gate;
use crate::postgres::Session;
use crate::schema::numbered::NumberedFile;
use crate::schema::run::offending_rows;
use crate::switch;
use anyhow::{Context, Result};

/// Offending rows of one query are counted up to here; more would only take longer.
const MAX_OFFENDING_COUNTED: u64 = 1_000_000;

/// One gate for each check file.
pub async fn gates(session: &Session, checks: &[NumberedFile]) -> Result<Vec<Gate>> {
    let mut gates = Vec::new();
    for check in checks {
        let rows: u64 = offending_rows(session, check, MAX_OFFENDING_COUNTED)
            .await
            .with_context(|| format!("run the check `{}`", check.name))?
            .iter()
            .map(|query| query.rows)
            .sum();
        let finding = match rows {
            0 => "no offending row".to_owned(),
            1 => "1 offending row".to_owned(),
            rows => format!("{rows} offending rows"),
        };
        gates.push(Gate::new(
            format!("check {}", check.name),
            rows == 0 || !switch::on("verify.checks"),
            finding,
        ));
    }
    Ok(gates)
}
