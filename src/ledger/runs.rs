//! The record of runs: a row written at the start, kept current by stage, and closed at the end.
//!
//! A run keeps one session for its record. While that session exists the run is under way; a row that
//! was never closed and whose session is gone belongs to a run that was killed.

use super::Ledger;
use crate::progress::PartTime;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// What is known of a run when it starts.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub datasets: Vec<String>,
    pub command: String,
    pub host: String,
    pub pid: i32,
    pub project: String,
    /// How long ago it started.
    pub seconds_ago: f64,
}

/// Whether a run is over, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    /// With status 0.
    Done,
    Failed,
    /// It was killed, or lost its machine or the server: no outcome was recorded.
    Killed,
}

/// One run's row. Times are UTC.
#[derive(Debug, Clone, Serialize)]
pub struct RunRow {
    pub id: i64,
    pub state: RunState,
    pub datasets: Vec<String>,
    pub command: String,
    pub started_at: String,
    pub ended_at: Option<String>,
    /// How long it took, or has taken so far.
    pub seconds: f64,
    pub stage: Option<String>,
    pub stage_since: Option<String>,
    /// What the stage under way took in the last run that finished.
    pub stage_seconds_before: Option<f64>,
    pub status: Option<i32>,
    pub error: Option<String>,
    pub builds: Vec<String>,
    pub actor: String,
    pub host: String,
    pub pid: i32,
    pub project: String,
}

/// The session that keeps the record still exists.
const UNDER_WAY: &str = "r.ended_at is null and exists (select from pg_stat_activity a
    where a.pid = r.session_pid and (a.backend_start is null or a.backend_start = r.session_start))";

impl Ledger {
    /// Writes that a run has started, with this session as its sign of life. A second call of one
    /// process for the same datasets continues its open row.
    pub async fn begin_run(&self, new: &NewRun) -> Result<i64> {
        let row = self
            .session
            .query_one(
                "with mine as (
                     select backend_start from pg_stat_activity where pid = pg_backend_pid()
                 ), continued as (
                     update ledger.run set session_pid = pg_backend_pid(), session_start = backend_start
                     from mine
                     where datasets = $1 and host = $4 and run.pid = $5 and ended_at is null
                     returning id
                 ), added as (
                     insert into ledger.run (datasets, command, actor, host, pid, project, tool_version,
                            session_pid, session_start, started_at)
                     select $1, $2, $3, $4, $5, $6, $7, pg_backend_pid(), backend_start,
                            clock_timestamp() - $8 * interval '1 second'
                     from mine where not exists (select from continued)
                     returning id
                 )
                 select id from continued union all select id from added",
                &[
                    &new.datasets,
                    &new.command,
                    &self.actor,
                    &new.host,
                    &new.pid,
                    &new.project,
                    &env!("CARGO_PKG_VERSION"),
                    &new.seconds_ago,
                ],
            )
            .await
            .context("record the start of the run")?;
        Ok(row.get(0))
    }

    /// Closes the rows of runs that were killed.
    pub async fn close_killed_runs(&self, datasets: &[String]) -> Result<()> {
        self.session
            .execute(
                &format!(
                    "update ledger.run r set ended_at = clock_timestamp()
                     where r.ended_at is null and r.datasets && $1 and not ({UNDER_WAY})"
                ),
                &[&datasets],
            )
            .await
            .context("close the record of killed runs")?;
        Ok(())
    }

    /// Records that a stage began, and how long the one before it took.
    pub async fn run_stage(&self, run: i64, position: i32, unit: &str, stage: &str) -> Result<()> {
        self.session
            .execute(
                "with ended as (
                     update ledger.run_stage
                     set seconds = extract(epoch from clock_timestamp() - began_at)
                     where run = $1 and seconds is null and position < $2
                 ), began as (
                     insert into ledger.run_stage (run, position, unit, stage) values ($1, $2, $3, $4)
                     on conflict do nothing
                 )
                 update ledger.run set stage = $4, stage_since = clock_timestamp() where id = $1",
                &[&run, &position, &unit, &stage],
            )
            .await
            .context("record the stage of the run")?;
        Ok(())
    }

    /// Records how long a part of a stage took.
    pub async fn run_part(&self, run: i64, position: i32, part: &PartTime) -> Result<()> {
        self.session
            .execute(
                "insert into ledger.run_part (run, position, unit, stage, part, seconds) values ($1, $2, $3, $4, $5, $6)
                 on conflict do nothing",
                &[
                    &run,
                    &position,
                    &part.unit,
                    &part.stage,
                    &part.part,
                    &part.seconds,
                ],
            )
            .await
            .context("record a part of the run")?;
        Ok(())
    }

    /// Records that a run works on a build.
    pub async fn run_build(&self, run: i64, build: &str) -> Result<()> {
        self.session
            .execute(
                "insert into ledger.run_build (run, build) select $1, id from ledger.build where name = $2
                 on conflict do nothing",
                &[&run, &build],
            )
            .await
            .context("record the build of the run")?;
        Ok(())
    }

    /// Records the end of a run: its exit status, and the error if there was one.
    pub async fn end_run(&self, run: i64, status: u8, error: Option<&str>) -> Result<()> {
        self.session
            .execute(
                "with ended as (
                     update ledger.run_stage
                     set seconds = extract(epoch from clock_timestamp() - began_at)
                     where run = $1 and seconds is null
                 )
                 update ledger.run set ended_at = clock_timestamp(), status = $2, error = $3 where id = $1",
                &[&run, &i32::from(status), &error],
            )
            .await
            .context("record the end of the run")?;
        Ok(())
    }

    /// The newest runs of a dataset, newest first.
    pub async fn runs(&self, dataset: &str, limit: i64) -> Result<Vec<RunRow>> {
        self.runs_where("$1 = any(r.datasets)", &dataset, limit)
            .await
    }

    /// The runs that worked on a build, newest first.
    pub async fn runs_of_build(&self, build: i64) -> Result<Vec<RunRow>> {
        let condition = "r.id in (select run from ledger.run_build where build = $1)";
        self.runs_where(condition, &build, i64::MAX).await
    }

    async fn runs_where(
        &self,
        condition: &str,
        value: &(dyn tokio_postgres::types::ToSql + Sync),
        limit: i64,
    ) -> Result<Vec<RunRow>> {
        let rows = self
            .session
            .query(
                &format!(
                    "select r.id, {UNDER_WAY}, r.datasets, r.command,
                            to_char(r.started_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                            to_char(r.ended_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                            extract(epoch from coalesce(r.ended_at, clock_timestamp()) - r.started_at)::float8,
                            r.stage,
                            to_char(r.stage_since at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                            (select s.seconds from ledger.run_stage s join ledger.run e on e.id = s.run
                             where e.datasets = r.datasets and e.id < r.id and e.status = 0 and s.stage = r.stage
                             order by s.run desc, s.position desc limit 1),
                            r.status, r.error,
                            array(select b.name from ledger.run_build rb join ledger.build b on b.id = rb.build
                                  where rb.run = r.id order by b.id),
                            r.actor, r.host, r.pid, r.project
                     from ledger.run r where {condition} order by r.id desc limit $2"
                ),
                &[value, &limit],
            )
            .await
            .context("read the runs from the ledger")?;
        Ok(rows.iter().map(run_of).collect())
    }

    /// The stages of the newest run that worked on a build, as objects.
    pub async fn run_stages(&self, build: i64) -> Result<Vec<Value>> {
        self.of_newest_run("run_stage", build).await
    }

    /// The parts of these stages.
    pub async fn run_parts(&self, build: i64) -> Result<Vec<Value>> {
        self.of_newest_run("run_part", build).await
    }

    async fn of_newest_run(&self, table: &str, build: i64) -> Result<Vec<Value>> {
        let rows = self
            .session
            .query(
                &format!(
                    "select to_jsonb(s) - 'run' from ledger.{table} s
                     where run = (select max(run) from ledger.run_build where build = $1) order by position"
                ),
                &[&build],
            )
            .await
            .context("read the stages of a run")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

fn run_of(row: &tokio_postgres::Row) -> RunRow {
    let status: Option<i32> = row.get(10);
    RunRow {
        id: row.get(0),
        state: match (row.get(1), status) {
            (true, _) => RunState::Running,
            (false, Some(0)) => RunState::Done,
            (false, Some(_)) => RunState::Failed,
            (false, None) => RunState::Killed,
        },
        datasets: row.get(2),
        command: row.get(3),
        started_at: row.get(4),
        ended_at: row.get(5),
        seconds: row.get(6),
        stage: row.get(7),
        stage_since: row.get(8),
        stage_seconds_before: row.get(9),
        status,
        error: row.get(11),
        builds: row.get(12),
        actor: row.get(13),
        host: row.get(14),
        pid: row.get(15),
        project: row.get(16),
    }
}
