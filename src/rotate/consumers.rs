//! The gate `consumers`: whether every registered service can read the build that would be live.

use crate::dataset::Dataset;
use crate::gate::Gate;
use crate::ledger::consumers::Consumer;
use crate::ledger::{Build, Ledger};
use crate::switch;
use anyhow::Result;

/// What `--accept` calls the gate.
pub const GATE: &str = "consumers";
/// Services that one finding lists; of more there is only the number.
const MAX_LISTED: usize = 20;

/// Compares the build's schema version with what each service supports. Services that were not seen
/// for `consumers_expire` do not count.
pub async fn gate(ledger: &Ledger, dataset: &Dataset, to: &Build) -> Result<Gate> {
    gate_of(ledger, dataset, to.schema_version).await
}

/// The same gate before there is a build: with the schema version that the next build will have.
pub async fn early(ledger: &Ledger, dataset: &Dataset) -> Result<Gate> {
    gate_of(ledger, dataset, dataset.settings.schema_version).await
}

async fn gate_of(ledger: &Ledger, dataset: &Dataset, version: i32) -> Result<Gate> {
    let expire = dataset.settings.consumers_expire.0;
    let mut consumers = ledger.consumers(&dataset.name, expire).await?;
    consumers.retain(|consumer| !consumer.expired);
    let against: Vec<&Consumer> = consumers
        .iter()
        .filter(|consumer| !consumer.supports().contains(version))
        .collect();
    if against.is_empty() || !switch::on("flip.consumers") {
        let finding = match consumers.len() {
            0 => "no service is registered".to_owned(),
            1 => format!("the one registered service supports schema version {version}"),
            count => format!("{count} registered services support schema version {version}"),
        };
        return Ok(Gate::new(GATE, true, finding));
    }
    let mut finding = format!(
        "{} of {} registered services cannot read schema version {version}:",
        against.len(),
        consumers.len()
    );
    for consumer in against.iter().take(MAX_LISTED) {
        finding += &format!(
            "\n  `{}` supports {}, last seen {} on {}",
            consumer.consumer,
            consumer.supports(),
            consumer.last_seen,
            consumer.place()
        );
    }
    if against.len() > MAX_LISTED {
        finding += &format!("\n  and {} more", against.len() - MAX_LISTED);
    }
    Ok(Gate::new(GATE, false, finding))
}

/// What somebody can do who is stopped by it.
pub fn hint(dataset: &str) -> String {
    format!(
        "start releases of them that support it; `overnight consumers {dataset} --forget NAME` takes out one that is gone; \
to move in spite of them: --accept consumers --reason TEXT"
    )
}
