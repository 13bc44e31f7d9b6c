//! The catalog as it was when everything was loaded and granted, and as it is now.
//!
//! The lines stand in the stamp, their digest in the ledger, so that neither can be changed alone.

use super::is_new;
use crate::gate::Gate;
use crate::postgres::Session;
use crate::schema::catalog::{Catalog, snapshot};
use crate::switch;
use crate::verify::Candidate;
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// What `--accept` calls the gate.
pub const GATE: &str = "catalog since it was finished";

/// Differences that a message tells; the rest are counted.
const SHOWN: usize = 5;

/// Characters of a difference that a message tells.
const SHOWN_CHARS: usize = 160;

/// Writes the catalog down at the end of the run; later compares it.
pub(super) async fn gates(candidate: &Candidate<'_>) -> Result<Vec<Gate>> {
    let session = candidate.session;
    let now = catalog(session).await?;
    if is_new(candidate.build) {
        let lines: Vec<&str> = now.entries.iter().map(String::as_str).collect();
        session
            .execute(
                "insert into overnight.finished (line) select distinct unnest($1::text[]) on conflict do nothing",
                &[&lines],
            )
            .await
            .context("write the catalog into the stamp")?;
        candidate
            .ledger
            .record_measured(
                candidate.build,
                session.server_major() as i32,
                &now.digest(),
            )
            .await?;
        return Ok(Vec::new());
    }
    let Some(measured) = candidate.ledger.measured(candidate.build.id).await? else {
        // A build of a release that did not measure yet.
        return Ok(Vec::new());
    };
    if now.digest() == measured.catalog_sha256 || !switch::on("change.catalog") {
        let finding = format!("as at {}", measured.at);
        return Ok(vec![Gate::new(GATE, true, finding)]);
    }
    let rows = session
        .query("select line from overnight.finished", &[])
        .await
        .context("read the catalog from the stamp")?;
    let entries: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let then = Catalog { entries };
    let finding = match then.digest() == measured.catalog_sha256 {
        true => told(&then.diff(&now)),
        false => "what the stamp says of it was changed as well".to_owned(),
    };
    Ok(vec![Gate::new(GATE, false, finding)])
}

/// Everything declared, and where the sequences are.
async fn catalog(session: &Session) -> Result<Catalog> {
    let mut catalog = snapshot(session).await?;
    let rows = session
        .query(
            "select format('sequence %I.%I is at %s', schemaname, sequencename, coalesce(last_value::text, 'its start'))
             from pg_sequences where schemaname !~ '^pg_' and schemaname not in ('information_schema', 'overnight')",
            &[],
        )
        .await
        .context("read where the sequences are")?;
    let lines = rows.iter().map(|row| row.get::<_, String>(0));
    catalog.entries.extend(lines);
    Ok(catalog)
}

fn told(differences: &[String]) -> String {
    let mut shown: Vec<String> = differences
        .iter()
        .take(SHOWN)
        .map(|line| {
            let mut short: String = line.chars().take(SHOWN_CHARS).collect();
            if short.len() < line.len() {
                short.push('…');
            }
            short
        })
        .collect();
    if differences.len() > SHOWN {
        shown.push(format!("and {} more", differences.len() - SHOWN));
    }
    shown.join("; ")
}
