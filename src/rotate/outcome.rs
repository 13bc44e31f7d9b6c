//! Whether a move has happened whose answer was lost.
//!
//! A move is one transaction that the server ends by itself within `flip_limit`. When the connection
//! is lost meanwhile, or does not answer in time, only the ledger knows the outcome: it is asked in a
//! new session, once the old one has ended on the server.

use super::Step;
use crate::ledger::Ledger;
use crate::postgres::{Server, explain_chain};
use crate::problem::Problem;
use anyhow::{Context, Result};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What an answer may take beyond the limit of the server.
const GRACE: Duration = Duration::from_secs(1);
/// How long the old session is given to end.
const ENDING: Duration = Duration::from_secs(15);

/// The server has not said how a transaction ended.
#[derive(Debug)]
pub(super) struct AnswerLost;

impl fmt::Display for AnswerLost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the connection was lost while the alias was being moved")
    }
}

impl std::error::Error for AnswerLost {}

/// Whether the session cannot be used any more and the outcome has to be found out.
pub(super) fn is_lost(ledger: &Ledger, error: &anyhow::Error) -> bool {
    ledger.session.is_closed() || error.chain().any(|cause| cause.is::<AnswerLost>())
}

/// Runs a transaction that the server ends within `limit`, and rolls it back when it fails.
///
/// # Errors
/// [`AnswerLost`] when no answer comes in time or the session is gone.
pub(super) async fn bounded(
    ledger: &Ledger,
    limit: Duration,
    transaction: impl Future<Output = Result<()>>,
) -> Result<()> {
    match tokio::time::timeout(limit + GRACE, transaction).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if ledger.session.is_closed() => Err(error.context(AnswerLost)),
        Ok(Err(error)) => {
            ledger.rollback().await;
            Err(error)
        }
        Err(_) => Err(anyhow::Error::new(AnswerLost).context(format!(
            "the server did not answer within {:.1} s",
            (limit + GRACE).as_secs_f64()
        ))),
    }
}

/// Ends what is left of the old session and says in words whether the move has happened.
pub(super) async fn find_out(server: &Server, ledger: &Ledger, steps: &[Step<'_>]) -> Problem {
    let builds: Vec<String> = steps
        .iter()
        .map(|step| format!("`{}`", step.to.name))
        .collect();
    let builds = builds.join(", ");
    match happened(server, ledger, steps).await {
        Ok(true) => Problem::dependency(format!(
            "the connection was lost, and the move has happened: {builds} is live"
        ))
        .hint("the next command confirms it; `overnight status` shows it"),
        Ok(false) => Problem::dependency(format!(
            "the connection was lost, and the move to {builds} has not happened; nothing was changed"
        ))
        .hint("`overnight rotate` tries again"),
        Err(error) => {
            tracing::debug!("{}", explain_chain(&error));
            Problem::dependency("the answer to the move is lost, so its outcome is not known")
                .hint("the next command finds out; `overnight status` shows it")
        }
    }
}

async fn happened(server: &Server, ledger: &Ledger, steps: &[Step<'_>]) -> Result<bool> {
    let asked = async {
        let (database, old) = (ledger.session.database(), ledger.session.backend_pid());
        let session = server.connect(database, "find out").await?;
        // Our own sessions only: another one may have got the number meanwhile.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
                   where pid = $1 and datname = current_database() and usename = current_user
                     and application_name like 'overnight %' and backend_start < $2::text::timestamptz";
        let now: String = session
            .query_one("select clock_timestamp()::text", &[])
            .await?
            .get(0);
        while !session.query(end, &[&old, &now]).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let flips: Vec<i64> = steps.iter().map(|step| step.flip.id).collect();
        let row = session
            .query_one(
                "select bool_and(state not in ('intent', 'abandoned')) from ledger.flip where id = any($1)",
                &[&flips],
            )
            .await?;
        session.close().await;
        anyhow::Ok(row.get::<_, Option<bool>>(0) == Some(true))
    };
    tokio::time::timeout_at(Instant::now() + ENDING, asked)
        .await
        .context("the server does not answer")?
}
