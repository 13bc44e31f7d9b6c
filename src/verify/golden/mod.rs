//! Gates that the application's own queries ask, of the new build and of the live one.
//!
//! In: the golden files and both builds. Out: one gate for each file. Each query runs as the reader,
//! in turns on both sides, so that a busy machine is busy for both: same columns, as many rows as
//! its header allows, not much slower, and no large table read from end to end. On the live build a
//! query may fail, because it may be about something new; on the new one that is what is looked for.

mod limits;
mod scans;
mod side;

use super::live::Live;
use super::reader::{Place, Reader, is_closed};
use super::{Candidate, warm};
use crate::build::Database;
use crate::gate::Gate;
use crate::postgres::error::explain_statement;
use crate::postgres::sql::Statement;
use crate::postgres::{Session, is_cancelled, is_connection_lost};
use crate::schema::header::{GoldenHeader, Level};
use crate::schema::numbered::NumberedFile;
use anyhow::{Context, Result};
use side::{Side, seconds};
use std::time::{Duration, Instant};

/// A query that names no limit is stopped after this.
const LONGEST: Duration = Duration::from_secs(60);
/// Slow queries are repeated less often: no further run begins after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Warms up, then asks every golden file.
///
/// # Errors
/// No session of a reader can be had, or a connection is lost.
pub(super) async fn gates(candidate: &Candidate<'_>, live: &Live<'_>) -> Result<Vec<Gate>> {
    let mut gates = Vec::new();
    let settings = &candidate.dataset.settings;
    gates.extend(warm::warm(candidate.session, &settings.warm).await?);
    if candidate.files.golden.is_empty() {
        return Ok(gates);
    }
    fn place<'p>(
        candidate: &'p Candidate<'_>,
        database: &'p str,
        closed: Option<&'p Session>,
    ) -> Place<'p> {
        Place {
            server: candidate.server,
            prober: candidate.prober,
            database,
            closed,
        }
    }
    let closed = is_closed(candidate.build).then_some(candidate.session);
    let here = place(candidate, candidate.session.database(), closed);
    let new = here.look().await?;
    let asked = async {
        for file in &candidate.files.golden {
            let asking = async {
                let Some(build) = &live.build else {
                    return ask(file, &new, None).await;
                };
                let open = async |database: &Database| {
                    let there = place(candidate, &database.name, None);
                    there.look().await
                };
                let ask = async |old: &Reader| ask(file, &new, Some(old)).await;
                live.ask(build, open, ask).await
            };
            gates.push(candidate.progress.part(gate_name(file), asking).await?);
        }
        anyhow::Ok(gates)
    };
    let gates = asked.await;
    here.close(new).await?;
    gates
}

/// All queries of one file.
async fn ask(file: &NumberedFile, new: &Reader, live: Option<&Reader>) -> Result<Gate> {
    let header = GoldenHeader::of_file(file)?;
    let statements = file.statements()?;
    let (mut wrong, mut fine) = (Vec::new(), Vec::new());
    for statement in &statements {
        let query = Query {
            statement,
            header: &header,
            longest: file.timeout.unwrap_or(LONGEST),
        };
        let answer = query
            .ask(&new.session, live.map(|live| &live.session))
            .await
            .with_context(|| format!("ask {}", file.place(statement.line)))?;
        let place = match statements.len() {
            1 => String::new(),
            _ => format!("line {}: ", statement.line),
        };
        match answer {
            Ok(words) => fine.push(format!("{place}{words}")),
            Err(words) => wrong.push(format!("{place}{words}")),
        }
    }
    let told = if wrong.is_empty() { &fine } else { &wrong };
    let gate = Gate::new(
        gate_name(file),
        wrong.is_empty(),
        format!("as {}: {}", new.role, told.join("; ")),
    );
    Ok(match header.level {
        Level::Error => gate,
        Level::Warn => gate.only_warns(),
    })
}

/// One query and what is expected of it.
struct Query<'q> {
    statement: &'q Statement<'q>,
    header: &'q GoldenHeader,
    longest: Duration,
}

impl Query<'_> {
    /// What is right about the answers, or what is wrong.
    async fn ask(&self, new: &Session, live: Option<&Session>) -> Result<Result<String, String>> {
        let asked = self.compare(new, live).await;
        for session in [Some(new), live].into_iter().flatten() {
            // A lost session has nothing to roll back; the error that led here says so.
            if !session.is_closed() {
                session.batch_execute("rollback").await?;
            }
        }
        asked
    }

    async fn compare(
        &self,
        new: &Session,
        live: Option<&Session>,
    ) -> Result<Result<String, String>> {
        let mut not_compared = String::new();
        let mut old = None;
        if let Some(live) = live {
            match Side::open(live, self.statement.text, self.longest).await {
                Ok(side) => old = Some(side),
                Err(error) => not_compared = self.not_on_live(live, error)?,
            }
        }
        let mut side = match Side::open(new, self.statement.text, self.longest).await {
            Ok(side) => side,
            Err(error) => return self.refused(new, error).map(Err),
        };
        let began = Instant::now();
        // The first run of each is not timed: it reads what the others find in the cache.
        for run in 0..=2 * self.header.runs() {
            let enough = run > self.header.runs() && !self.header.is_slow(&side, old.as_ref());
            if enough || (run > 1 && began.elapsed() > PATIENCE) {
                break;
            }
            if let Some(live) = &mut old
                && let Err(error) = live.run().await
            {
                not_compared = self.not_on_live(live.session, error)?;
                old = None;
            }
            if let Err(error) = side.run().await {
                return self.refused(new, error).map(Err);
            }
            if run == 0 {
                side.times.clear();
                old.iter_mut().for_each(|old| old.times.clear());
            }
        }
        let mut wrong = Vec::new();
        wrong.extend(self.header.columns(&side, old.as_ref()));
        wrong.extend(self.header.rows(&side, old.as_ref()));
        wrong.extend(self.header.time(&side, old.as_ref()));
        match scans::scans(new, self.statement.text, self.header.seq_scan).await {
            Ok(scans) => wrong.extend(scans),
            Err(error) => return self.refused(new, error).map(Err),
        }
        Ok(match wrong.is_empty() {
            true => {
                let live = old.map_or_else(String::new, |old| format!(" (live {})", old.words()));
                Ok(format!("{}{live}{not_compared}", side.words()))
            }
            false => Err(wrong.join(", ")),
        })
    }

    /// Why the query says nothing of the live build.
    fn not_on_live(&self, live: &Session, error: tokio_postgres::Error) -> Result<String> {
        if live.is_closed() || is_connection_lost(&error) {
            return Err(error).context("ask the live build");
        }
        let why = explain_statement(&error, self.statement.text);
        Ok(format!(" (not compared, on the live build: {why})"))
    }

    /// Why the new build does not answer.
    fn refused(&self, new: &Session, error: tokio_postgres::Error) -> Result<String> {
        if new.is_closed() || is_connection_lost(&error) {
            return Err(error).context("ask the new build");
        }
        if is_cancelled(&error) {
            return Ok(format!("no answer within {}", seconds(self.longest)));
        }
        Ok(explain_statement(&error, self.statement.text))
    }
}

/// What `--accept` calls the gate of a golden file.
pub(super) fn gate_name(file: &NumberedFile) -> String {
    format!("golden {}", file.name)
}
