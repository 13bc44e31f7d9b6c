//! Verifies a build again, any time after it was published.

use super::Workplace;
use crate::build::{allow_connections, find_database_by_oid};
use crate::config::Env;
use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::schema::files::SqlFiles;
use crate::verify::{Candidate, Findings, checks, verify};
use anyhow::{Context, Result, bail};

/// Asks every gate of the live build, or of a named one.
///
/// A sealed build is opened for the time of the look. Nobody but its owner may connect to it
/// then, because readers get CONNECT only with the alias.
pub async fn reverify(
    place: &Workplace,
    dataset: &Dataset,
    name: Option<&str>,
    env: Env<'_>,
) -> Result<Findings> {
    let files = SqlFiles::read(&dataset.sql)?;
    let ledger = place.ledger(&format!("verify {}", dataset.name)).await?;
    ledger.register(&dataset.name).await?;
    let row = ledger.dataset(&dataset.name).await?;
    let builds = ledger.builds(&dataset.name).await?;
    let build = match name {
        Some(name) => builds.iter().find(|build| build.name == name),
        None => builds.iter().find(|build| Some(build.id) == row.live_build),
    };
    let build = build.with_context(|| {
        Problem::usage(match name {
            Some(name) => format!("`{}` has no build `{name}`", dataset.name),
            None => format!("`{}` has no live build", dataset.name),
        })
    })?;
    if !matches!(
        build.state,
        State::Refused | State::Verified | State::Published
    ) {
        bail!(Problem::refused(format!(
            "`{}` is {}, there is nothing to verify",
            build.name,
            build.state.word()
        )));
    }
    let sealed = build.state != State::Published;
    if sealed {
        // No run may find it open: what was open is no longer what was verified.
        ledger.lock(&dataset.name, Lock::Build).await?;
        allow_connections(&ledger, &build.name, true).await?;
    }
    let findings = look(place, &ledger, dataset, build, &files, env).await;
    if sealed {
        allow_connections(&ledger, &build.name, false).await?;
    }
    findings
}

async fn look(
    place: &Workplace,
    ledger: &Ledger,
    dataset: &Dataset,
    build: &Build,
    files: &SqlFiles,
    env: Env<'_>,
) -> Result<Findings> {
    let oid = build.database_oid.unwrap_or_default();
    let database = find_database_by_oid(ledger, oid)
        .await?
        .with_context(|| Problem::refused(format!("the database of `{}` is gone", build.name)))?;
    let session = place.server.connect(&database.name, "verify").await?;
    let candidate = Candidate {
        ledger,
        server: &place.server,
        session: &session,
        dataset,
        files,
        build,
        prober: &place.prober(dataset, env)?,
        env,
        statement_limit: place.config.statement_limit,
        progress: &Progress::default(),
    };
    let mut findings = verify(&candidate, &Overrides::default()).await?;
    findings.samples = checks::samples(&session, &files.checks, &findings.gates).await?;
    Ok(findings)
}
