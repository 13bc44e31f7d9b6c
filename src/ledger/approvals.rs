//! Builds that wait for an operator, until when, and who let them pass.

use super::{Build, Ledger};
use anyhow::{Context, Result};
use std::time::Duration;

/// What became of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Waiting,
    Approved,
    /// Nobody answered in time.
    Expired,
}

/// The question whether a build may be published.
#[derive(Debug, Clone)]
pub struct Approval {
    pub answer: Answer,
    /// UTC.
    pub expires_at: String,
    pub approved_by: Option<String>,
}

impl Ledger {
    /// Asks. A build that was asked about keeps its time.
    pub async fn ask_approval(&self, build: &Build, expires: Duration) -> Result<()> {
        let asked = self
            .session
            .execute(
                "insert into ledger.approval (build, asked_by, expires_at)
                 values ($1, $2, clock_timestamp() + $3 * interval '1 second') on conflict do nothing",
                &[&build.id, &self.actor, &expires.as_secs_f64()],
            )
            .await
            .context("ask for an approval in the ledger")?;
        if asked == 1 {
            self.event(&build.dataset, Some(build.id), "approval asked", "")
                .await?;
        }
        Ok(())
    }

    /// The question about a build; `None` where nobody asked.
    pub async fn approval(&self, build: &Build) -> Result<Option<Approval>> {
        let row = self
            .session
            .query_opt(
                "select approved_at is not null, expires_at > clock_timestamp(),
                        to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), approved_by
                 from ledger.approval where build = $1",
                &[&build.id],
            )
            .await
            .context("read the approval from the ledger")?;
        Ok(row.map(|row| Approval {
            answer: match (row.get(0), row.get(1)) {
                (true, _) => Answer::Approved,
                (false, true) => Answer::Waiting,
                (false, false) => Answer::Expired,
            },
            expires_at: row.get(2),
            approved_by: row.get(3),
        }))
    }

    /// Says yes to a question that is open; any other stays as it is.
    pub async fn approve(&self, build: &Build, reason: &str) -> Result<()> {
        let reason = Some(reason).filter(|reason| !reason.is_empty());
        let approved = self
            .session
            .execute(
                "update ledger.approval set approved_at = clock_timestamp(), approved_by = $2, reason = $3
                 where build = $1 and approved_at is null and expires_at > clock_timestamp()",
                &[&build.id, &self.actor, &reason],
            )
            .await
            .context("record the approval")?;
        if approved == 1 {
            self.event(
                &build.dataset,
                Some(build.id),
                "approved",
                reason.unwrap_or(""),
            )
            .await?;
        }
        Ok(())
    }
}
