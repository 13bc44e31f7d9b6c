//! What is live, what is kept, what happened: reading the ledger without its lock.

use super::Workplace;
use super::routes::{draining, is_open};
use super::stamped::look_alikes;
use crate::build::read_stamp;
use crate::dataset::{self, names};
use crate::ledger::approvals::Answer;
use crate::ledger::deliveries::Undelivered;
use crate::ledger::runs::{RunRow, RunState};
use crate::ledger::{Build, Ledger, State};
use crate::problem;
use crate::rotate::Seen;
use crate::rotate::blockers::{Moving, moving};
use crate::rotate::drain::Staying;
use crate::rotate::health::{self, ADOPT, Fault};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// A server at a glance.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Services get the live build through every alias, and the ledger is there.
    pub ok: bool,
    /// Why the ledger cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Missing>,
    pub datasets: Vec<Status>,
    /// Datasets of the ledger that this project does not have.
    pub not_in_project: Vec<Abandoned>,
}

/// The newest build that gates have refused.
#[derive(Debug, Serialize)]
pub struct Refused {
    pub build: String,
    pub at: Option<String>,
    /// Until a run or `overnight retire` drops it.
    pub seconds_left: Option<i64>,
}

/// A ledger that is gone while builds are there.
#[derive(Debug, Serialize)]
pub struct Missing {
    pub what: String,
    pub todo: &'static str,
}

/// A dataset of the ledger that the project does not have: renamed, removed, or of another project.
#[derive(Debug, Serialize)]
pub struct Abandoned {
    pub dataset: String,
    pub live: Option<String>,
    pub databases: i64,
    pub bytes: i64,
    /// The project folder of its last run.
    pub project: Option<String>,
}

/// One dataset at a glance.
#[derive(Debug, Serialize)]
pub struct Status {
    pub dataset: String,
    /// Services get the live build through the alias; a fresh dataset is well too.
    pub ok: bool,
    /// Why not, worst first.
    pub faults: Vec<Fault>,
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
    pub refused: Option<Refused>,
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
    /// The runs that are under way.
    pub running: Vec<RunRow>,
    /// The last run that is over. One that only found another at work does not count, unless it is the
    /// only one.
    pub last_run: Option<RunRow>,
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

/// Runs of a dataset that `status` looks through for the last one of interest.
const RUNS: i64 = 50;

/// Status of one dataset, of the members of a group, or of all that the ledger knows.
///
/// # Errors
/// Status 2 for a dataset that was never run on this server.
pub async fn overview(place: &Workplace, typed: Option<&str>) -> Result<Overview> {
    let control = &place.config.control_database;
    let Some(ledger) = Ledger::open_existing(&place.server, control, "status").await? else {
        let ledger = missing_ledger(place).await?;
        return Ok(Overview {
            ok: ledger.is_none(),
            ledger,
            datasets: Vec::new(),
            not_in_project: Vec::new(),
        });
    };
    let names = match typed {
        Some(name) => match place.config.groups.named(name) {
            Some(group) => group.members.clone(),
            None => vec![name.to_owned()],
        },
        None => ledger.datasets().await?,
    };
    // Of a dataset that the project does not have, only what it occupies is of interest.
    let ours = match typed {
        Some(_) => None,
        None => dataset::names(&place.config.project).ok(),
    };
    let (names, others): (Vec<String>, Vec<String>) = names
        .into_iter()
        .partition(|name| ours.as_ref().is_none_or(|ours| ours.contains(name)));
    let datasets = statuses(place, &ledger, names).await?;
    let not_in_project = match others.is_empty() {
        true => Vec::new(),
        false => abandoned(&ledger, &place.config.project).await?,
    };
    Ok(Overview {
        ok: datasets.iter().all(|one| one.ok),
        ledger: None,
        datasets,
        not_in_project,
    })
}

/// What is to be said of a ledger that is not there; `None` on a server without builds.
///
/// # Errors
/// The server's.
pub async fn missing_ledger(place: &Workplace) -> Result<Option<Missing>> {
    // Without a project nothing is known of what should be there.
    let datasets = names(&place.config.project).unwrap_or_default();
    let mut found = look_alikes(&place.server, &datasets).await?;
    for name in datasets {
        // A database that cannot be entered is not ours.
        if let Ok(Some(stamp)) = read_stamp(&place.server, &name).await
            && !stamp.subset
        {
            found.push(name);
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let control = &place.config.control_database;
    Ok(Some(Missing {
        what: format!(
            "the ledger `{control}` is not on the server, but databases of its datasets are: `{}`",
            found.join("`, `")
        ),
        todo: ADOPT,
    }))
}

/// Datasets of the ledger with databases on the server that a project does not have.
///
/// # Errors
/// The ledger cannot be read.
pub async fn abandoned(ledger: &Ledger, project: &Path) -> Result<Vec<Abandoned>> {
    // Without a project there is nothing to compare with.
    let Ok(names) = names(project) else {
        return Ok(Vec::new());
    };
    let rows = ledger
        .session
        .query(
            "select d.dataset, max(b.name) filter (where b.id = d.live_build), count(*),
                    coalesce(sum(pg_database_size(p.oid)), 0)::bigint,
                    (select r.project from ledger.run r where d.dataset = any(r.datasets) order by r.id desc limit 1)
             from ledger.dataset d join ledger.build b using (dataset) join pg_database p on p.oid = b.database_oid
             where not d.dataset = any($1) group by d.dataset order by 1",
            &[&names],
        )
        .await
        .context("look for datasets that the project does not have")?;
    let abandoned = |row: &tokio_postgres::Row| Abandoned {
        dataset: row.get(0),
        live: row.get(1),
        databases: row.get(2),
        bytes: row.get(3),
        project: row.get(4),
    };
    Ok(rows.iter().map(abandoned).collect())
}

async fn statuses(place: &Workplace, ledger: &Ledger, names: Vec<String>) -> Result<Vec<Status>> {
    let mut all = Vec::new();
    for name in names {
        let row = ledger.dataset(&name).await?;
        let builds = ledger.builds(&name).await?;
        let by_id = |id: Option<i64>| builds.iter().find(|build| Some(build.id) == id);
        let live = by_id(row.live_build);
        let member = place.config.groups.of(&name).is_some();
        let (faults, alias) =
            health::faults(ledger, &place.server, &place.router, &name, member).await?;
        let (running, over): (Vec<RunRow>, Vec<RunRow>) = ledger
            .runs(&name, RUNS)
            .await?
            .into_iter()
            .partition(|run| run.state == RunState::Running);
        let busy = Some(problem::Status::Busy as i32);
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
            refused: builds
                .iter()
                .find(|build| build.state == State::Refused)
                .map(|build| Refused {
                    build: build.name.clone(),
                    at: build.refused_at.clone(),
                    seconds_left: build
                        .refused_age
                        .map(|age| (place.config.refused_keep.as_secs_f64() - age).max(0.0) as i64),
                }),
            kept: builds
                .iter()
                .filter(|build| matches!(build.state, State::Published | State::Verified))
                .count(),
            consumers: ledger.consumers(&name, Duration::MAX).await?.len(),
            bytes_on_disk: age.as_ref().and_then(|row| row.get(1)),
            router: place.router.word(),
            ok: faults.is_empty(),
            faults,
            alias,
            unconfirmed: is_open(ledger, &name).await?,
            moving: moving(ledger, &name).await?,
            draining: draining(ledger, &name).await?,
            last_run: over
                .iter()
                .find(|run| run.status != busy)
                .or(over.first())
                .cloned(),
            running,
            last_failure: builds
                .iter()
                .find(|build| build.failure.is_some())
                .filter(|build| row.live_build.is_none_or(|id| build.id > id))
                .map(|build| Failure {
                    build: build.name.clone(),
                    at: build.created_at.clone(),
                    reason: build.failure.clone().unwrap_or_default(),
                }),
            approve_until: approve_until(ledger, &builds, row.live_build).await?,
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

/// What the ledger remembers of a dataset.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Newest first, with the part that the build plays now.
    pub builds: Vec<(Build, Option<&'static str>)>,
    /// The newest runs, newest first.
    pub runs: Vec<RunRow>,
}

/// Every build that the ledger remembers, and the newest runs.
pub async fn builds(place: &Workplace, dataset: &str) -> Result<Remembered> {
    let Some(ledger) =
        Ledger::open_existing(&place.server, &place.config.control_database, "builds").await?
    else {
        return Ok(Remembered::default());
    };
    let row = ledger.dataset(dataset).await?;
    let builds = ledger.builds(dataset).await?;
    let builds = builds
        .into_iter()
        .map(|build| {
            let role = match Some(build.id) {
                id if id == row.live_build => Some("live"),
                id if id == row.previous_build => Some("previous"),
                _ => None,
            };
            (build, role)
        })
        .collect();
    Ok(Remembered {
        builds,
        runs: ledger.runs(dataset, RUNS).await?,
    })
}
