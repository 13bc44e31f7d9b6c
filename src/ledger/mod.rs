//! The ledger: the control database that remembers builds, moves of the alias and events.
//!
//! It lies on the same server as the builds, because a move of the alias and its record must be
//! one transaction. Rule: intent before, act, confirm after. The session of a [`Ledger`] also
//! holds the lock of a dataset: advisory locks are per database, so the lock is only ever taken
//! here, on a direct connection, and is gone when the session is.

mod alias;
pub mod approvals;
pub mod audit;
pub mod builds;
pub mod consumers;
pub mod deliveries;
pub mod events;
mod findings;
pub mod flips;
pub mod groups;
pub mod profiles;
pub mod report;
pub mod runs;
mod server_version;
pub mod supports;

use crate::crashpoint;
use crate::postgres::{Server, Session, quote_ident};
use crate::problem::{Problem, Status, status_of};
use crate::switch;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

pub use alias::Pointer;
pub use builds::{Build, DatasetRow, State};

/// How long a move of the alias by somebody else is waited for.
const MOVE_PATIENCE: Duration = Duration::from_secs(20);

/// Longest statement of a session of control, and longest wait for a lock.
const CONTROL_STATEMENT: Duration = Duration::from_secs(15 * 60);
const CONTROL_LOCK: Duration = Duration::from_secs(60);

/// What makes each version of the tables out of the one before, the first out of nothing. A step
/// that was released is never changed: a fresh ledger goes through the same steps as an old one.
const STEPS: [&str; 12] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_alias.sql"),
    include_str!("schema_profile.sql"),
    include_str!("schema_approval.sql"),
    include_str!("schema_delivery.sql"),
    include_str!("schema_consumers.sql"),
    include_str!("schema_server.sql"),
    include_str!("schema_audit.sql"),
    include_str!("schema_group.sql"),
    include_str!("schema_12.sql"),
];

/// Version of the tables after all steps.
const LEDGER_VERSION: i32 = STEPS.len() as i32;

/// An open control database.
#[derive(Debug)]
pub struct Ledger {
    pub session: Session,
    /// Who does what, for the events: `user@host run planinfo`.
    pub actor: String,
}

impl Ledger {
    /// Connects to the control database; creates it on first use.
    ///
    /// # Errors
    /// Status 2 when a database of that name exists that is not a ledger, or is a newer one.
    pub async fn open(server: &Server, database: &str, purpose: &str) -> Result<Ledger> {
        create_database(server, database).await?;
        let session = limited(server, database, purpose).await?;
        refuse_pooler(&session).await?;
        create_tables(&session, database).await?;
        let who: String = session
            .query_one("select session_user::text", &[])
            .await
            .context("ask who we are")?
            .get(0);
        let host = host();
        Ok(Ledger {
            actor: format!("{who}@{host} {purpose}"),
            session,
        })
    }

    /// Connects to an existing control database; `None` when there is none yet.
    pub async fn open_existing(
        server: &Server,
        database: &str,
        purpose: &str,
    ) -> Result<Option<Ledger>> {
        let maintenance = server.connect(maintenance(server), purpose).await?;
        let found = maintenance
            .query_opt("select from pg_database where datname = $1", &[&database])
            .await?;
        drop(maintenance);
        match found {
            None => Ok(None),
            Some(_) => Self::open(server, database, purpose).await.map(Some),
        }
    }

    /// A second session in the same control database; it does not hold the lock.
    pub async fn second(&self, server: &Server, purpose: &str) -> Result<Ledger> {
        let database: String = self
            .session
            .query_one("select current_database()::text", &[])
            .await?
            .get(0);
        Ok(Ledger {
            session: limited(server, &database, purpose).await?,
            actor: self.actor.clone(),
        })
    }

    /// Takes a lock of a dataset for as long as this session lives, or until it is released.
    ///
    /// # Errors
    /// Status 75 with the holder's name when another session holds it.
    pub async fn lock(&self, dataset: &str, lock: Lock) -> Result<()> {
        self.register(dataset).await?;
        let key = lock.key(dataset);
        let got: bool = self
            .session
            .query_one("select pg_try_advisory_lock($1)", &[&key])
            .await
            .context("take the lock")?
            .get(0);
        if got || !switch::on("lock.taken") {
            return Ok(());
        }
        let holder = self
            .session
            .query_opt(
                "select a.pid, coalesce(a.application_name, 'unnamed'), coalesce(a.usename::text, 'unknown'),
                        coalesce(to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'some time')
                 from pg_locks l join pg_stat_activity a using (pid)
                 where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                   and l.database = (select oid from pg_database where datname = current_database())
                   and (l.classid::bigint << 32) | l.objid::bigint = $1",
                &[&key],
            )
            .await
            .context("ask who holds the lock")?;
        let who = match &holder {
            Some(row) => format!(
                "`{}` (server process {}, user {}, connected since {} UTC)",
                row.get::<_, String>(1),
                row.get::<_, i32>(0),
                row.get::<_, String>(2),
                row.get::<_, String>(3)
            ),
            None => "a session that has just ended".to_owned(),
        };
        bail!(
            Problem::busy(format!("`{dataset}` is locked by {who}"))
                .hint("wait for it, or end it and start again; nothing was changed")
        )
    }

    /// Waits for a lock that is held for seconds only.
    ///
    /// # Errors
    /// Status 75 when it is still held after 20 s.
    pub async fn wait_for(&self, dataset: &str, lock: Lock) -> Result<()> {
        let end = Instant::now() + MOVE_PATIENCE;
        loop {
            match self.lock(dataset, lock).await {
                Err(error) if status_of(&error) == Status::Busy && Instant::now() < end => {}
                other => return other,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Gives a lock back.
    pub async fn unlock(&self, dataset: &str, lock: Lock) -> Result<()> {
        self.session
            .execute("select pg_advisory_unlock($1)", &[&lock.key(dataset)])
            .await
            .context("give the lock back")?;
        Ok(())
    }

    /// Fails unless this session still holds the lock: asked before what cannot be undone.
    pub async fn check_lock(&self, dataset: &str, lock: Lock) -> Result<()> {
        let held: bool = self
            .session
            .query_one(
                "select exists (select from pg_locks
                   where locktype = 'advisory' and granted and objsubid = 1 and pid = pg_backend_pid()
                     and (classid::bigint << 32) | objid::bigint = $1)",
                &[&lock.key(dataset)],
            )
            .await
            .context("check the lock")?
            .get(0);
        if !held && switch::on("lock.lost") {
            bail!(Problem::dependency(format!(
                "the lock of `{dataset}` was lost"
            )));
        }
        Ok(())
    }

    /// Gives every lock back and ends the session: whoever comes next need not wait until the
    /// server has noticed that this process is gone.
    pub async fn close(self) {
        let unlock = self
            .session
            .batch_execute("select pg_advisory_unlock_all()");
        if let Err(error) = unlock.await {
            tracing::debug!(%error, "give the locks back");
        }
        self.session.close().await;
    }

    /// Begins a transaction on the control session.
    pub async fn begin(&self) -> Result<()> {
        Ok(self.session.batch_execute("begin").await?)
    }

    /// Commits it.
    pub async fn commit(&self) -> Result<()> {
        Ok(self.session.batch_execute("commit").await?)
    }

    /// Undoes it. Its own failure is only logged: the error that led here matters more, and a
    /// lost session has undone everything already.
    pub async fn rollback(&self) {
        if let Err(error) = self.session.batch_execute("rollback").await {
            tracing::debug!(%error, "roll back on the control session");
        }
    }
}

/// What a command keeps others from doing meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Making and sweeping builds: held by a run from start to end.
    Build,
    /// Moving the alias and retiring builds: held for seconds, so that an operator can roll back
    /// while a run loads for hours.
    Move,
}

impl Lock {
    /// A 63-bit key, so that its two halves show in `pg_locks` without a sign.
    fn key(self, dataset: &str) -> i64 {
        let text = format!("overnight {self:?} {dataset}");
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let mut eight = [0; 8];
        eight.copy_from_slice(&digest.as_ref()[..8]);
        i64::from_be_bytes(eight) & i64::MAX
    }
}

/// A session of control. Nothing that it does takes long, but CREATE and DROP DATABASE may wait
/// for a checkpoint; and a lock that somebody forgot must not keep a night waiting for ever.
async fn limited(server: &Server, database: &str, purpose: &str) -> Result<Session> {
    let session = server.connect(database, purpose).await?;
    if switch::on("control.limits") {
        session.limit(CONTROL_STATEMENT, CONTROL_LOCK).await?;
    }
    Ok(session)
}

/// A database that is there before ours: the target's own, or the one every server has.
fn maintenance(server: &Server) -> &str {
    server.target().database().unwrap_or("postgres")
}

/// Name of this machine, for the record.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

async fn create_database(server: &Server, database: &str) -> Result<()> {
    let maintenance = server
        .connect(maintenance(server), "open the ledger")
        .await?;
    let found = maintenance
        .query_opt("select from pg_database where datname = $1", &[&database])
        .await?;
    if found.is_some() {
        return Ok(());
    }
    crashpoint::reached("control.before_create");
    let created = maintenance
        .batch_execute(&format!(
            "create database {} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'",
            quote_ident(database)
        ))
        .await;
    match created {
        Ok(()) => {}
        // Another first run was quicker.
        Err(error)
            if error.code() == Some(&SqlState::DUPLICATE_DATABASE)
                || error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            return Err(error).context(
                Problem::dependency(format!("create the control database `{database}`"))
                    .hint("the role needs CREATEDB: alter role NAME createdb"),
            );
        }
        Err(error) => {
            return Err(error).with_context(|| format!("create the control database `{database}`"));
        }
    }
    crashpoint::reached("control.after_create");
    Ok(())
}

/// Brings the tables to the version that this program knows, in one transaction.
async fn create_tables(session: &Session, database: &str) -> Result<()> {
    if version(session).await? != Some(LEDGER_VERSION) {
        session
            .batch_execute("begin; select pg_advisory_xact_lock(0)")
            .await?;
        // Asked again under the lock: another first run may have been quicker.
        let found = version(session).await?;
        if found.is_none() {
            claim(session, database).await?;
        }
        let done = found.unwrap_or_default();
        if !(0..=LEDGER_VERSION).contains(&done) && switch::on("ledger.version") {
            bail!(
                Problem::usage(format!(
                    "the ledger in `{database}` has version {done}, this program knows version {LEDGER_VERSION}"
                ))
                .hint("use the overnight release that wrote it, or a newer one")
            );
        }
        for (step, sql) in (1..).zip(STEPS).skip(done as usize) {
            session
                .batch_execute(sql)
                .await
                .with_context(|| format!("bring the ledger's tables to version {step}"))?;
            session
                .execute(
                    "insert into ledger.version (version, tool_version) values ($1, $2)",
                    &[&step, &env!("CARGO_PKG_VERSION")],
                )
                .await?;
        }
        session.batch_execute("commit").await?;
        crashpoint::reached("control.after_schema");
    }
    Ok(())
}

/// Version of the tables; `None` when there are none.
async fn version(session: &Session) -> Result<Option<i32>> {
    // Not to_regclass: it answers from a cache, which an advisory lock does not bring up to date.
    let has_ledger =
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      where n.nspname = 'ledger' and c.relname = 'version')";
    if !session.query_one(has_ledger, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    Ok(session
        .query_one("select max(version) from ledger.version", &[])
        .await?
        .get(0))
}

/// Closes a database to the public, unless it is somebody else's.
async fn claim(session: &Session, database: &str) -> Result<()> {
    let strangers: i64 = session
        .query_one(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')",
            &[],
        )
        .await?
        .get(0);
    if strangers > 0 && switch::on("ledger.stranger") {
        bail!(
            Problem::usage(format!(
                "database `{database}` exists and is not a ledger of overnight"
            ))
            .hint("choose another name with --control-database")
        );
    }
    if !switch::on("ledger.public") {
        return Ok(());
    }
    session
        .batch_execute(&format!(
            "revoke all on database {} from public",
            quote_ident(database)
        ))
        .await
        .context("close the control database to the public")?;
    Ok(())
}

/// A transaction pooler would give each transaction another session, and the lock would hold
/// nothing.
async fn refuse_pooler(session: &Session) -> Result<()> {
    let mut pids = Vec::new();
    for _ in 0..3 {
        pids.push(
            session
                .query_one("select pg_backend_pid()", &[])
                .await?
                .get::<_, i32>(0),
        );
    }
    if pids.iter().any(|pid| *pid != pids[0]) {
        bail!(
            Problem::usage("the target answers through a transaction pooler")
                .hint("let --target lead to the Postgres server itself; services may go on using the pooler")
        );
    }
    Ok(())
}
