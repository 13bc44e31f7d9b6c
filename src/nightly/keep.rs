//! Keeps or drops the builds that no run will publish: after a failure, and refused ones after their time.

use super::Run;
use crate::build::unfinished::{self, Unfinished};
use crate::build::{end_sessions, refused};
use crate::deadline;
use crate::ledger::{Build, State};
use crate::postgres::error::{self as pg_error, explain_chain};
use crate::problem::{Status, status_of};
use crate::retire::decide::refused_beyond;
use crate::room::is_out_of_room;
use anyhow::{Context, Result};
use std::time::Duration;

/// How long the server may take to say what can be kept of a build.
const KEEPING: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// After a failure: keeps the build for the next run where that can resume it, and drops it
    /// otherwise. Only what the next run may find better is worth it: S3, the network or the server was
    /// gone, or the time was over. Bad data stay bad, and a full disk needs the room.
    pub(super) async fn keep_or_abandon(&self, build: &Build, error: &anyhow::Error) {
        // Gates have refused it, and it is kept for an operator.
        let recorded = self.ledger.build(build.id).await;
        if recorded.is_ok_and(|build| build.state == State::Refused) {
            return;
        }
        let may_pass = status_of(error) == Status::Dependency && !is_out_of_room(error);
        if may_pass || deadline::is_passed(error) {
            // The server that failed the run may not answer this either.
            let kept = tokio::time::timeout(KEEPING, self.keep(build, error)).await;
            match kept.context("the server does not answer").flatten() {
                Ok(true) => return,
                Ok(false) => {}
                Err(also) => {
                    let why = explain_chain(&also);
                    tracing::warn!(build = %build.name, "{why}; the next start finds out what can be kept");
                    return;
                }
            }
        }
        self.abandon(build, error).await;
    }

    /// Drops refused builds after their time, and all but the newest. A build that cannot be dropped is
    /// logged and tried again by the next run.
    pub(super) async fn drop_expired(&self) {
        let (ledger, server) = (self.ledger, &self.place.server);
        let builds = match ledger.builds(&self.dataset.name).await {
            Ok(builds) => builds,
            Err(error) => return tracing::warn!("{}", explain_chain(&error)),
        };
        for build in refused_beyond(&builds, self.place.config.refused_keep) {
            let why = "its time is over, or gates have refused a newer one";
            refused::let_go(ledger, server, &build, why).await;
        }
    }

    async fn keep(&self, build: &Build, error: &anyhow::Error) -> Result<bool> {
        // The session of the run may still be in a statement that it has given up.
        let ledger = &self.place.ledger("keep what is loaded").await?;
        let build = &ledger.build(build.id).await?;
        if build.state == State::Verified {
            tracing::warn!(build = %build.name, "the build is verified and waits: the next run of the same inputs publishes it");
            return Ok(true);
        }
        let looked = unfinished::look(ledger, &self.place.server, build).await?;
        let Unfinished::Resumable { tables, .. } = looked else {
            return Ok(false);
        };
        if let Some(oid) = build.database_oid {
            end_sessions(ledger, oid).await?;
        }
        let of = self.dataset.sources.len();
        let reason = pg_error::explain_chain(error);
        let detail = format!("{tables} of {of} tables are loaded: {reason}");
        ledger
            .event(&build.dataset, Some(build.id), "kept", &detail)
            .await?;
        tracing::warn!(
            build = %build.name,
            "the build is kept with {tables} of {of} tables: the next run resumes it and keeps each table whose inputs are the same (--fresh drops it)"
        );
        Ok(true)
    }
}
