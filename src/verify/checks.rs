//! Gates that the dataset's own check files ask: a query's rows are what offends.
//!
//! The header of a file says how many may, and whether more only warn ([`CheckHeader`]). What the
//! rows hold is shown only to whoever asks for it by hand, and only the columns that the file names:
//! [`samples`] is no part of asking the gates, so nothing of it reaches the ledger or a log.

use super::Candidate;
use crate::dataset::Limit;
use crate::gate::{Gate, Verdict};
use crate::postgres::Session;
use crate::schema::header::{CheckHeader, Level, quoted_table, sample};
use crate::schema::numbered::NumberedFile;
use crate::schema::run::offending_rows;
use crate::units::grouped;
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

/// Offending rows of one query are counted up to here; more would only take longer.
const MAX_OFFENDING_COUNTED: u64 = 1_000_000;

/// Check files that are asked side by side, each on a session of its own.
const SIDE_BY_SIDE: usize = 2;

/// One gate for each check file.
pub(super) async fn gates(candidate: &Candidate<'_>) -> Result<Vec<Gate>> {
    let checks = candidate.files.checks.iter().enumerate();
    let asked = checks.map(async |(place, check)| {
        let asking = async {
            let purpose = format!("check {}", check.name);
            let server = candidate.server;
            let session = server
                .connect(candidate.session.database(), &purpose)
                .await?;
            if let Some(limit) = candidate.statement_limit {
                session.limit(limit, limit).await?;
            }
            let gate = ask(&session, check).await;
            session.close().await;
            gate
        };
        let gate = candidate.progress.part(gate_name(check), asking).await;
        let gate = gate.with_context(|| format!("run the check `{}`", check.name))?;
        anyhow::Ok((place, gate))
    });
    let gates = stream::iter(asked).buffer_unordered(SIDE_BY_SIDE);
    let mut gates: Vec<(usize, Gate)> = gates.try_collect().await?;
    gates.sort_by_key(|(place, _)| *place);
    Ok(gates.into_iter().map(|(_, gate)| gate).collect())
}

async fn ask(session: &Session, check: &NumberedFile) -> Result<Gate> {
    let header = CheckHeader::of_file(check)?;
    let allowed = allowed(session, &header).await?;
    let counted = MAX_OFFENDING_COUNTED.max(allowed.rows.saturating_add(1));
    let rows: u64 = offending_rows(session, check, counted)
        .await?
        .iter()
        .map(|query| query.rows)
        .sum();
    let mut finding = match rows {
        0 => "no offending row".to_owned(),
        1 => "1 offending row".to_owned(),
        rows => format!("{} offending rows", grouped(rows)),
    };
    if rows > 0 {
        finding += &allowed.words;
    }
    let passed = rows <= allowed.rows;
    let gate = Gate::new(gate_name(check), passed, finding);
    Ok(match header.level {
        Level::Error => gate,
        Level::Warn => gate.only_warns(),
    })
}

/// What `--accept` calls the gate of a check file.
pub(super) fn gate_name(check: &NumberedFile) -> String {
    format!("check {}", check.name)
}

/// How many rows may offend.
struct Allowed {
    rows: u64,
    words: String,
}

async fn allowed(session: &Session, header: &CheckHeader) -> Result<Allowed> {
    let (share, table) = match (&header.max, &header.of) {
        (Some(Limit::Share(share)), Some(table)) => (share, table),
        (Some(Limit::Records(most)), _) => {
            return Ok(Allowed {
                rows: *most,
                words: format!(", at most {} allowed", grouped(*most)),
            });
        }
        _ => {
            return Ok(Allowed {
                rows: 0,
                words: String::new(),
            });
        }
    };
    let all: i64 = session
        .query_one(
            &format!("select count(*) from {}", quoted_table(table)),
            &[],
        )
        .await
        .with_context(|| format!("count the rows of `{table}`"))?
        .get(0);
    let rows = (all as f64 * share.0 / 100.0) as u64;
    Ok(Allowed {
        rows,
        words: format!(
            ", at most {} allowed ({share} of the {} in {table})",
            grouped(rows),
            grouped(all as u64)
        ),
    })
}

/// Some of the rows that a check found, for the eyes of whoever asked.
#[derive(Debug, Serialize)]
pub struct Sample {
    pub gate: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Rows of the checks that did not pass, of the columns that their files name.
///
/// # Errors
/// The server refuses a query.
pub async fn samples(
    session: &Session,
    checks: &[NumberedFile],
    gates: &[Gate],
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for check in checks {
        let header = CheckHeader::of_file(check)?;
        let name = gate_name(check);
        let passed = gates
            .iter()
            .any(|gate| gate.gate == name && gate.verdict == Verdict::Passed);
        if passed || header.show.is_empty() {
            continue;
        }
        session.batch_execute("begin read only").await?;
        let rows = sample(session, check, &header, header.sample()).await;
        session.batch_execute("rollback").await?;
        samples.push(Sample {
            gate: name,
            columns: header.show,
            rows: rows?,
        });
    }
    Ok(samples)
}
