//! The gate that somebody outside keeps: a command or a URL that looks at the build and decides.
//!
//! In: `[external]` of dataset.toml. Out: its answer as a gate. It is asked last and before the seal,
//! while the build is still open to its owner. It gets the connection without a secret; what a secret
//! is, the configuration names.

use super::Candidate;
use super::live::Live;
use crate::dataset::External;
use crate::gate::Gate;
use crate::switch;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// Unless `timeout` says something else.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Asks, if anybody is to be asked.
///
/// # Errors
/// Status 2: a secret that is not there.
pub(super) async fn gate(candidate: &Candidate<'_>, live: &Live<'_>) -> Result<Option<Gate>> {
    let Some(external) = &candidate.dataset.settings.external else {
        return Ok(None);
    };
    let call = external
        .typed()
        .call(project(&candidate.dataset.sql), TIMEOUT, candidate.env)?;
    let target = candidate.server.target();
    let (host, port) = target.reach();
    let database = candidate.session.database();
    let user = candidate.session.user();
    let document = json!({
        "format": 1,
        "dataset": candidate.dataset.name,
        "build": candidate.build.name,
        "live": live.build.as_ref().map(|live| &live.name),
        "schema_version": candidate.build.schema_version,
        "rows": rows(candidate).await?,
        "connection": { "host": host, "port": port, "database": database, "user": user },
    });
    let variables = target.variables(database);
    let answer = call.send(&format!("{document}\n"), &variables, None).await;
    let passed = answer.ok || !switch::on("external.answer");
    Ok(Some(Gate::new("external", passed, answer.text)))
}

/// Rows of each loaded table.
async fn rows(candidate: &Candidate<'_>) -> Result<Map<String, Value>> {
    let rows = candidate
        .session
        .query("select table_name, rows_loaded from overnight.loaded", &[])
        .await
        .context("read the receipts")?;
    let each = rows
        .iter()
        .map(|row| (row.get(0), Value::from(row.get::<_, i64>(1))));
    Ok(each.collect())
}

/// The project that `sql/<dataset>` lies in.
fn project(sql: &Path) -> &Path {
    sql.ancestors().nth(2).unwrap_or(Path::new("."))
}

/// Asks before the load for the secrets that the gate will need.
///
/// # Errors
/// Status 2: a variable that is not set, or a file that cannot be read.
pub fn refuse_without_secrets(
    external: Option<&External>,
    env: crate::config::Env<'_>,
) -> Result<()> {
    match external {
        Some(external) => external
            .typed()
            .call(Path::new("."), TIMEOUT, env)
            .map(drop),
        None => Ok(()),
    }
}
