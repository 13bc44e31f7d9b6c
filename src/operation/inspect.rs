//! What is live, what is kept, what happened: reading the ledger without its lock.

use super::Workplace;
use super::routes::{draining, is_open};
use crate::ledger::approvals::Answer;
use crate::ledger::deliveries::Undelivered;
use crate::ledger::{Build, Ledger, State};
use crate::rotate::Seen;
use crate::rotate::blockers::{Moving, moving};
use crate::rotate::drain::Staying;
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;

/// One dataset at a glance.
#[derive(Debug, Serialize)]
pub struct Status {
    pub dataset: String,
    pub live: Option<String>,
    pub previous: Option<String>,
    pub schema_version: Option<i32>,
    /// When the live build was verified, and how long ago in seconds.
    pub verified_at: Option<String>,
    pub age_seconds: Option<i64>,
    pub rows: Option<i64>,
    pub held: bool,
    pub hold_reason: Option<String>,
    pub held_by: Option<String>,
    /// Verified builds that wait for `rotate`.
    pub waiting: Vec<String>,
    pub kept: usize,
    /// Services that `guard` has registered, expired ones too.
    pub consumers: usize,
    pub bytes_on_disk: Option<i64>,
    /// How the alias is realised, and where it leads at each place that decides it.
    pub router: &'static str,
    pub alias: Vec<Seen>,
    /// The last move is not confirmed: sessions are still on the build before, or the look is missing.
    pub unconfirmed: bool,
    /// What a move under way waits for, and what keeps services from connecting.
    pub moving: Option<Moving>,
    pub draining: Vec<Staying>,
    pub last_failure: Option<Failure>,
    /// Until when the newest build waits for an operator.
    pub approve_until: Option<String>,
    /// What hooks were not told.
    pub undelivered: Vec<Undelivered>,
}

/// The last build that came to nothing, if it is newer than the live one.
#[derive(Debug, Serialize)]
pub struct Failure {
    pub build: String,
    pub at: String,
    pub reason: String,
}

/// Status of one dataset or of all that the ledger knows.
pub async fn status(place: &Workplace, dataset: Option<&str>) -> Result<Vec<Status>> {
    let Some(ledger) =
        Ledger::open_existing(&place.server, &place.config.control_database, "status").await?
    else {
        return Ok(Vec::new());
    };
    let names = match dataset {
        Some(name) => vec![name.to_owned()],
        None => ledger.datasets().await?,
    };
    let mut all = Vec::new();
    for name in names {
        let row = ledger.dataset(&name).await?;
        let builds = ledger.builds(&name).await?;
        let by_id = |id: Option<i64>| builds.iter().find(|build| Some(build.id) == id);
        let live = by_id(row.live_build);
        let age = ledger
            .session
            .query_opt(
                "select extract(epoch from clock_timestamp() - verified_at)::bigint,
                        case when d.oid is not null then pg_database_size(d.oid) end
                 from ledger.build b left join pg_database d on d.oid = b.database_oid where b.id = $1",
                &[&row.live_build],
            )
            .await?;
        all.push(Status {
            live: live.map(|build| build.name.clone()),
            previous: by_id(row.previous_build).map(|build| build.name.clone()),
            schema_version: live.map(|build| build.schema_version),
            verified_at: live.and_then(|build| build.verified_at.clone()),
            age_seconds: age.as_ref().and_then(|row| row.get(0)),
            rows: live.and_then(|build| build.rows_loaded),
            held: row.held,
            hold_reason: row.hold_reason,
            held_by: row.held_by,
            waiting: builds
                .iter()
                .filter(|build| {
                    build.state == State::Verified && row.live_build.is_none_or(|id| build.id > id)
                })
                .map(|build| build.name.clone())
                .collect(),
            kept: builds
                .iter()
                .filter(|build| matches!(build.state, State::Published | State::Verified))
                .count(),
            consumers: ledger.consumers(&name, Duration::MAX).await?.len(),
            bytes_on_disk: age.as_ref().and_then(|row| row.get(1)),
            router: place.router.word(),
            alias: place.router.observe(&ledger, &name).await?,
            unconfirmed: is_open(&ledger, &name).await?,
            moving: moving(&ledger, &name).await?,
            draining: draining(&ledger, &name).await?,
            last_failure: builds
                .iter()
                .find(|build| build.failure.is_some())
                .filter(|build| row.live_build.is_none_or(|id| build.id > id))
                .map(|build| Failure {
                    build: build.name.clone(),
                    at: build.created_at.clone(),
                    reason: build.failure.clone().unwrap_or_default(),
                }),
            approve_until: approve_until(&ledger, &builds, row.live_build).await?,
            undelivered: ledger.undelivered(&name).await?,
            dataset: name,
        });
    }
    Ok(all)
}

/// Until when the newest build that waits does so for an operator.
async fn approve_until(
    ledger: &Ledger,
    builds: &[Build],
    live: Option<i64>,
) -> Result<Option<String>> {
    let newest = builds
        .iter()
        .find(|build| build.state == State::Verified && live.is_none_or(|id| build.id > id));
    let Some(newest) = newest else {
        return Ok(None);
    };
    let approval = ledger.approval(newest).await?;
    let open = approval.filter(|approval| approval.answer != Answer::Approved);
    Ok(open.map(|approval| approval.expires_at))
}

/// Every build that the ledger remembers, newest first.
pub async fn builds(
    place: &Workplace,
    dataset: &str,
) -> Result<Vec<(Build, Option<&'static str>)>> {
    let Some(ledger) =
        Ledger::open_existing(&place.server, &place.config.control_database, "builds").await?
    else {
        return Ok(Vec::new());
    };
    let row = ledger.dataset(dataset).await?;
    let builds = ledger.builds(dataset).await?;
    Ok(builds
        .into_iter()
        .map(|build| {
            let role = match Some(build.id) {
                id if id == row.live_build => Some("live"),
                id if id == row.previous_build => Some("previous"),
                _ => None,
            };
            (build, role)
        })
        .collect())
}
