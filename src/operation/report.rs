//! One build on one page: what went in, what came out, what every gate said, who moved it.
//!
//! In: a build, a dataset or nothing. Out: what the ledger knows, and, while the build exists, its rejects
//! by source, column and kind. Works long after the build was dropped.

use super::Workplace;
use crate::build::{Database, find_database_by_oid};
use crate::ledger::report::Record;
use crate::ledger::runs::RunRow;
use crate::ledger::{Build, Ledger};
use crate::problem::Problem;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// A build and what is known of it.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub record: Record,
    /// The runs that worked on it, newest first.
    pub runs: Vec<RunRow>,
    /// The stages of the newest of them, as they began.
    pub run_stages: Vec<Value>,
    /// The parts of these stages, as they ended.
    pub run_parts: Vec<Value>,
    /// `None` when the build cannot be looked into: it is gone, or sealed.
    pub rejects: Option<Vec<Rejects>>,
}

/// Records of one source that could not become rows, by column and kind.
#[derive(Debug, Serialize)]
pub struct Rejects {
    pub source: String,
    pub column: Option<String>,
    pub kind: String,
    pub records: i64,
}

/// The report of a build.
///
/// # Errors
/// Status 2 when the ledger knows no such build or dataset.
pub async fn report(place: &Workplace, name: Option<&str>) -> Result<Report> {
    let control = &place.config.control_database;
    let ledger = Ledger::open_existing(&place.server, control, "report")
        .await?
        .with_context(|| Problem::usage("nothing was ever run on this server"))?;
    let build = ledger.build_called(name).await?.with_context(|| {
        let text = match name {
            Some(name) => format!("the ledger knows neither a build nor a dataset `{name}`"),
            None => "nothing was ever built on this server".to_owned(),
        };
        Problem::usage(text).hint("`overnight builds DATASET` lists the builds")
    })?;
    let rejects = rejects(place, &ledger, &build).await?;
    Ok(Report {
        runs: ledger.runs_of_build(build.id).await?,
        run_stages: ledger.run_stages(build.id).await?,
        run_parts: ledger.run_parts(build.id).await?,
        record: ledger.record(build).await?,
        rejects,
    })
}

async fn rejects(
    place: &Workplace,
    ledger: &Ledger,
    build: &Build,
) -> Result<Option<Vec<Rejects>>> {
    let oid = build.database_oid.unwrap_or_default();
    let database = find_database_by_oid(ledger, oid).await?;
    let Some(database) = database.filter(Database::is_open) else {
        return Ok(None);
    };
    let session = place.server.connect(&database.name, "report").await?;
    let rows = session
        .query(
            "select source, column_name, kind, count(*) from overnight.reject group by 1, 2, 3 order by 1, 4 desc, 2, 3",
            &[],
        )
        .await
        .context("read the rejects from the stamp")?;
    session.close().await;
    let reject = |row: &tokio_postgres::Row| Rejects {
        source: row.get(0),
        column: row.get(1),
        kind: row.get(2),
        records: row.get(3),
    };
    Ok(Some(rows.iter().map(reject).collect()))
}
