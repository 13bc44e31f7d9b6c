//! Looks at everything that a night needs.

use super::Workplace;
use crate::dataset::Dataset;
use crate::doctor::{Finding, Visit, examine};
use crate::ledger::Ledger;
use crate::postgres::LOOK;
use anyhow::Result;

/// Looks; `datasets` are those of the project that are asked about.
///
/// # Errors
/// The server cannot be reached, or its ledger not be read.
pub async fn doctor(place: &Workplace, datasets: &[Dataset]) -> Result<Vec<Finding>> {
    let control = &place.config.control_database;
    let ledger = Ledger::open_existing(&place.server, control, "doctor").await?;
    let database = place.server.target().database().unwrap_or("postgres");
    let session = place.server.connect(database, "doctor").await?;
    session.limit(LOOK, LOOK).await?;
    examine(&Visit {
        config: &place.config,
        server: &place.server,
        session: &session,
        router: &place.router,
        ledger: ledger.as_ref(),
        datasets,
        data: place.data(),
    })
    .await
}
