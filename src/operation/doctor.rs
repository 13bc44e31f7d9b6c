//! Looks at everything that a night needs.

use super::Workplace;
use crate::config::Env;
use crate::dataset::{Dataset, names};
use crate::doctor::{Finding, Look, Visit, examine};
use crate::ledger::Ledger;
use crate::postgres::LOOK;
use crate::rotate::probe::Prober;
use crate::schema::files::SqlFiles;
use anyhow::Result;

/// Looks; `datasets` are those of the project that are asked about.
///
/// # Errors
/// The server cannot be reached, or its ledger not be read.
pub async fn doctor(place: &Workplace, datasets: &[Dataset], env: Env<'_>) -> Result<Vec<Finding>> {
    let mut unknown = Vec::new();
    let mut looks = Vec::new();
    for dataset in datasets {
        let prober = place.prober(dataset, env).unwrap_or_else(|error| {
            unknown.push(Finding::broken(&error));
            Prober {
                login: None,
                readers: dataset.settings.readers.clone(),
            }
        });
        let golden = SqlFiles::read(&dataset.sql).map(|files| !files.golden.is_empty());
        let golden = golden.unwrap_or_else(|error| {
            unknown.push(Finding::broken(&error));
            false
        });
        looks.push(Look { prober, golden });
    }
    let control = &place.config.control_database;
    let ledger = Ledger::open_existing(&place.server, control, "doctor").await?;
    let database = place.server.target().database().unwrap_or("postgres");
    let session = place.server.connect(database, "doctor").await?;
    session.limit(LOOK, LOOK).await?;
    unknown.extend(
        examine(&Visit {
            config: &place.config,
            server: &place.server,
            session: &session,
            router: &place.router,
            ledger: ledger.as_ref(),
            datasets,
            looks: &looks,
            project: &names(&place.config.project)?,
            data: place.data(),
        })
        .await?,
    );
    Ok(unknown)
}
