//! Datasets and builds as the ledger knows them.

use super::Ledger;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use serde::Serialize;

/// Where a build is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its name is reserved; the database may or may not exist.
    Creating,
    /// Being filled.
    Loading,
    /// Filled, and closed because gates did not pass; an operator may publish it all the same.
    Refused,
    /// Passed every gate and sealed; never yet behind the alias.
    Verified,
    /// Is, or was, behind the alias.
    Published,
    /// Closed, to be dropped after the grace time.
    Tombstone,
    Dropped,
    /// Did not become a build; its database is dropped at the next start.
    Failed,
}

impl State {
    fn from_word(word: &str) -> Result<State> {
        Ok(match word {
            "creating" => State::Creating,
            "loading" => State::Loading,
            "refused" => State::Refused,
            "verified" => State::Verified,
            "published" => State::Published,
            "tombstone" => State::Tombstone,
            "dropped" => State::Dropped,
            "failed" => State::Failed,
            other => bail!(
                "the ledger holds the build state `{other}`, which this release does not know"
            ),
        })
    }

    /// As written in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            State::Creating => "creating",
            State::Loading => "loading",
            State::Refused => "refused",
            State::Verified => "verified",
            State::Published => "published",
            State::Tombstone => "tombstone",
            State::Dropped => "dropped",
            State::Failed => "failed",
        }
    }

    /// After the name of a build: `is not finished`.
    pub fn phrase(self) -> &'static str {
        match self {
            State::Creating | State::Loading => "is not finished",
            State::Refused => "was refused by gates",
            State::Verified => "is verified",
            State::Published => "is published",
            State::Tombstone => "is retired and closed",
            State::Dropped => "was dropped",
            State::Failed => "failed",
        }
    }
}

/// One build's row.
#[derive(Debug, Clone, Serialize)]
pub struct Build {
    pub id: i64,
    pub dataset: String,
    /// The database's name whenever it is not behind the alias.
    pub name: String,
    #[serde(skip)]
    pub nonce: String,
    pub database_oid: Option<u32>,
    pub state: State,
    pub schema_version: i32,
    pub input_digest: String,
    pub created_at: String,
    pub verified_at: Option<String>,
    pub published_at: Option<String>,
    pub rolled_back_at: Option<String>,
    pub tombstoned_at: Option<String>,
    /// Seconds since the tombstone was set.
    #[serde(skip)]
    pub tombstone_age: Option<f64>,
    pub refused_at: Option<String>,
    /// Seconds since gates refused it.
    #[serde(skip)]
    pub refused_age: Option<f64>,
    /// The live build that it was compared with when it was refused.
    #[serde(skip)]
    pub refused_beside: Option<i64>,
    pub failure: Option<String>,
    pub rows_loaded: Option<i64>,
    pub bytes_read: Option<i64>,
    pub seconds: Option<f64>,
}

/// One dataset's row: what is live and whether it may move.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetRow {
    pub dataset: String,
    pub live_build: Option<i64>,
    pub previous_build: Option<i64>,
    /// Grows by one with each move of the alias.
    pub epoch: i64,
    pub held: bool,
    pub hold_reason: Option<String>,
    pub held_by: Option<String>,
}

const BUILD_COLUMNS: &str =
    "id, dataset, name, nonce, database_oid, state, schema_version, input_digest,
    to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    to_char(verified_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    to_char(published_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    to_char(rolled_back_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    to_char(tombstoned_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    extract(epoch from clock_timestamp() - tombstoned_at)::float8,
    failure, rows_loaded, bytes_read, seconds,
    to_char(refused_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    extract(epoch from clock_timestamp() - refused_at)::float8, refused_beside";

fn build_of(row: &tokio_postgres::Row) -> Result<Build> {
    Ok(Build {
        id: row.get(0),
        dataset: row.get(1),
        name: row.get(2),
        nonce: row.get(3),
        database_oid: row.get(4),
        state: State::from_word(row.get(5))?,
        schema_version: row.get(6),
        input_digest: row.get(7),
        created_at: row.get(8),
        verified_at: row.get(9),
        published_at: row.get(10),
        rolled_back_at: row.get(11),
        tombstoned_at: row.get(12),
        tombstone_age: row.get(13),
        failure: row.get(14),
        rows_loaded: row.get(15),
        bytes_read: row.get(16),
        seconds: row.get(17),
        refused_at: row.get(18),
        refused_age: row.get(19),
        refused_beside: row.get(20),
    })
}

impl Ledger {
    /// The datasets that have ever been run.
    pub async fn datasets(&self) -> Result<Vec<String>> {
        let rows = self
            .session
            .query("select dataset from ledger.dataset order by 1", &[])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// What is live.
    pub async fn dataset(&self, dataset: &str) -> Result<DatasetRow> {
        let row = self
            .session
            .query_opt(
                "select dataset, live_build, previous_build, epoch, held, hold_reason, held_by
                 from ledger.dataset where dataset = $1",
                &[&dataset],
            )
            .await
            .context("read the dataset from the ledger")?
            .with_context(|| {
                Problem::usage(format!("`{dataset}` was never run on this server"))
                    .hint("`overnight status` lists what was")
            })?;
        Ok(DatasetRow {
            dataset: row.get(0),
            live_build: row.get(1),
            previous_build: row.get(2),
            epoch: row.get(3),
            held: row.get(4),
            hold_reason: row.get(5),
            held_by: row.get(6),
        })
    }

    /// Sets or lifts the hold.
    pub async fn set_hold(&self, dataset: &str, held: bool, reason: Option<&str>) -> Result<()> {
        self.session
            .execute(
                "update ledger.dataset set held = $2, hold_reason = $3,
                        held_by = case when $2 then $4 end,
                        held_at = case when $2 then clock_timestamp() end
                 where dataset = $1",
                &[&dataset, &held, &reason, &self.actor],
            )
            .await
            .context("write the hold to the ledger")?;
        let kind = if held { "hold" } else { "release" };
        self.event(dataset, None, kind, reason.unwrap_or("")).await
    }

    /// All builds of a dataset, newest first.
    pub async fn builds(&self, dataset: &str) -> Result<Vec<Build>> {
        let rows = self
            .session
            .query(
                &format!(
                    "select {BUILD_COLUMNS} from ledger.build where dataset = $1 order by id desc"
                ),
                &[&dataset],
            )
            .await
            .context("read the builds from the ledger")?;
        rows.iter().map(build_of).collect()
    }

    /// The builds of a dataset whose database is on the server, by row number.
    pub async fn existing_builds(&self, dataset: &str) -> Result<Vec<i64>> {
        let rows = self
            .session
            .query(
                "select b.id from ledger.build b join pg_database d on d.oid = b.database_oid
                 where b.dataset = $1 and d.datconnlimit <> -2",
                &[&dataset],
            )
            .await
            .context("look for the databases of the builds")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// One build by its row number.
    pub async fn build(&self, id: i64) -> Result<Build> {
        let row = self
            .session
            .query_one(
                &format!("select {BUILD_COLUMNS} from ledger.build where id = $1"),
                &[&id],
            )
            .await
            .context("read the build from the ledger")?;
        build_of(&row)
    }

    /// Reserves a name before the database exists, so that whatever happens next can be swept.
    pub async fn reserve(
        &self,
        dataset: &str,
        name: &str,
        nonce: &str,
        schema_version: i32,
        input_digest: &str,
    ) -> Result<Build> {
        let row = self
            .session
            .query_one(
                &format!(
                    "insert into ledger.build (dataset, name, nonce, state, schema_version, input_digest, tool_version)
                     values ($1, $2, $3, 'creating', $4, $5, $6) returning {BUILD_COLUMNS}"
                ),
                &[&dataset, &name, &nonce, &schema_version, &input_digest, &env!("CARGO_PKG_VERSION")],
            )
            .await
            .context("reserve the build's name in the ledger")?;
        build_of(&row)
    }

    /// The database exists, under this OID.
    pub async fn created(&self, build: &mut Build, oid: u32) -> Result<()> {
        self.session
            .execute(
                "update ledger.build set database_oid = $2, state = 'loading' where id = $1",
                &[&build.id, &oid],
            )
            .await
            .context("record the new database")?;
        build.database_oid = Some(oid);
        build.state = State::Loading;
        Ok(())
    }

    /// Sets the state of a build and the time that belongs to it.
    pub async fn set_state(&self, build: &Build, state: State) -> Result<()> {
        let column = match state {
            State::Verified => "verified_at",
            State::Tombstone => "tombstoned_at",
            State::Dropped => "dropped_at",
            State::Creating
            | State::Loading
            | State::Refused
            | State::Published
            | State::Failed => "created_at",
        };
        let time = if column == "created_at" {
            "created_at"
        } else {
            "clock_timestamp()"
        };
        self.session
            .execute(
                &format!("update ledger.build set state = $2, {column} = {time} where id = $1"),
                &[&build.id, &state.word()],
            )
            .await
            .with_context(|| format!("record `{}` as {}", build.name, state.word()))?;
        Ok(())
    }

    /// A build that is gone is not the previous one: the published build before it is.
    pub async fn forget_previous(&self, build: &Build) -> Result<()> {
        self.session
            .execute(
                "update ledger.dataset d set previous_build = (
                     select max(b.id) from ledger.build b
                     where b.dataset = d.dataset and b.state = 'published' and b.rolled_back_at is null
                       and b.id < d.live_build)
                 where dataset = $1 and previous_build = $2",
                &[&build.dataset, &build.id],
            )
            .await
            .context("record the previous build")?;
        Ok(())
    }

    /// A previous build that is closed protects nothing any more: its dataset is retired.
    pub async fn forget_closed_previous(&self, dataset: &str) -> Result<()> {
        self.session
            .execute(
                "update ledger.dataset set previous_build = null
                 where dataset = $1 and previous_build in (select id from ledger.build where state = 'tombstone')",
                &[&dataset],
            )
            .await
            .context("record that there is no previous build")?;
        Ok(())
    }

    /// Records why a build came to nothing. Its database is swept afterwards.
    pub async fn fail(&self, build: &Build, reason: &str) -> Result<()> {
        self.session
            .execute(
                "update ledger.build set state = 'failed', failure = $2 where id = $1",
                &[&build.id, &reason],
            )
            .await
            .with_context(|| format!("record `{}` as failed", build.name))?;
        self.event(&build.dataset, Some(build.id), "failed", reason)
            .await
    }

    /// Records that gates have refused a build, and beside which live build. Part of the caller's
    /// transaction.
    pub async fn refuse(&self, build: &Build, reason: &str) -> Result<()> {
        self.session
            .execute(
                "update ledger.build b set state = 'refused', refused_at = clock_timestamp(), failure = $2,
                        refused_beside = (select live_build from ledger.dataset d where d.dataset = b.dataset)
                 where id = $1",
                &[&build.id, &reason],
            )
            .await
            .with_context(|| format!("record `{}` as refused", build.name))?;
        self.event(&build.dataset, Some(build.id), "refused", reason)
            .await
    }
}
