//! The ledger: the control database that remembers builds, moves of the alias and events.
//!
//! It lies on the same server as the builds, because a move of the alias and its record must be
//! one transaction. Rule: intent before, act, confirm after. A [`Ledger`] also holds the locks of
//! datasets, in a second session of its own.

pub mod adoption;
mod alias;
pub mod approvals;
pub mod audit;
pub mod builds;
pub mod consumers;
pub mod deliveries;
pub mod events;
mod fence;
mod findings;
pub mod flips;
pub mod groups;
mod inputs;
mod loads;
mod locks;
pub mod profiles;
pub mod projects;
mod prune;
pub mod report;
pub mod runs;
mod server_version;
pub mod supports;

use crate::crashpoint;
use crate::postgres::{Server, Session, quote_ident, quote_literal};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use locks::Locks;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;

pub use alias::Pointer;
pub use builds::{Build, DatasetRow, State};
pub use locks::Lock;

/// Longest statement of a session of control, and longest wait for a lock.
const CONTROL_STATEMENT: Duration = Duration::from_secs(15 * 60);
const CONTROL_LOCK: Duration = Duration::from_secs(60);
/// Longest pause in a transaction of control: others may wait for what it has locked.
const CONTROL_IDLE: Duration = Duration::from_secs(10);

/// What makes each version of the tables out of the one before, the first out of nothing. A step
/// that was released is never changed: a fresh ledger goes through the same steps as an old one.
const STEPS: [&str; 13] = [
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
    include_str!("schema_13.sql"),
];

/// The version that came with `ledger_lock`.
const TABLE_LOCKS: i32 = 12;

/// Version of the tables after all steps.
const LEDGER_VERSION: i32 = STEPS.len() as i32;

/// An open control database.
#[derive(Debug)]
pub struct Ledger {
    pub session: Session,
    /// Who does what, for the events: `user@host run planinfo`.
    pub actor: String,
    server: Server,
    /// What the command is called in `pg_stat_activity`.
    purpose: String,
    /// Opened with the first lock.
    locks: Mutex<Option<Locks>>,
    /// The session of another ledger whose locks count for this one too.
    lender: Option<i32>,
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
        refuse_standby(server, &session).await?;
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
            server: server.clone(),
            purpose: purpose.to_owned(),
            locks: Mutex::default(),
            lender: None,
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
            server: server.clone(),
            purpose: purpose.to_owned(),
            locks: Mutex::default(),
            lender: None,
        })
    }

    /// A second session that may do what the locks of this one allow.
    pub async fn beside(&self, server: &Server, purpose: &str) -> Result<Ledger> {
        Ok(Ledger {
            lender: self.lock_session().await,
            ..self.second(server, purpose).await?
        })
    }

    /// Releases every lock and ends the sessions: the next command need not wait until the server
    /// has noticed that this process is gone.
    pub async fn close(self) {
        let Ledger { session, locks, .. } = self;
        if let Some(locks) = locks.into_inner() {
            locks.close().await;
        }
        session.close().await;
    }

    /// Begins a transaction on the control session. The server ends it, and the session, when this
    /// process stops talking in it for ten seconds.
    pub async fn begin(&self) -> Result<()> {
        Ok(self.session.batch_execute("begin").await?)
    }

    /// Begins one that services may have to wait for: no statement and no pause in it lasts longer
    /// than `limit`, and the server sees to it whatever happens to this process.
    pub async fn begin_limited(&self, limit: Duration) -> Result<()> {
        let limit = limit.as_millis().max(1);
        let mut script = format!(
            "begin; set local statement_timeout = {limit}; set local lock_timeout = {limit};
             set local idle_in_transaction_session_timeout = {limit}"
        );
        if self.session.server_major() >= 17 {
            // Ends the session too, so statement_timeout should come first.
            let whole = limit + 500;
            script += &format!("; set local transaction_timeout = {whole}");
        }
        Ok(self.session.batch_execute(&script).await?)
    }

    /// Commits it.
    pub async fn commit(&self) -> Result<()> {
        Ok(self.session.batch_execute("commit").await?)
    }

    /// Runs the last statements of a transaction and commits it, as one message: the server does all
    /// of it or nothing within `limit`, also when this process is frozen or gone by then.
    pub async fn finish(&self, statements: &[String], limit: Duration) -> Result<()> {
        let limit = limit.as_millis().max(1);
        // One statement for the server, so that the limit is for all of them together.
        let body: String = statements
            .iter()
            .map(|statement| format!("execute {};\n", quote_literal(statement)))
            .collect();
        let body = quote_literal(&format!("begin\n{body}end"));
        let script = format!("set local statement_timeout = {limit}; do {body}; commit");
        Ok(self.session.batch_execute(&script).await?)
    }

    /// Undoes it. Its own failure is only logged: the error that led here matters more, and a
    /// lost session has undone everything already.
    pub async fn rollback(&self) {
        if let Err(error) = self.session.batch_execute("rollback").await {
            tracing::debug!(%error, "roll back on the control session");
        }
    }
}

/// A session of control. Nothing that it does takes long, but CREATE and DROP DATABASE may wait
/// for a checkpoint; and a lock that somebody forgot must not keep a night waiting for ever.
async fn limited(server: &Server, database: &str, purpose: &str) -> Result<Session> {
    let session = server.connect(database, purpose).await?;
    if switch::on("control.limits") {
        session.limit(CONTROL_STATEMENT, CONTROL_LOCK).await?;
        let idle = CONTROL_IDLE.as_millis();
        session
            .batch_execute(&format!("set idle_in_transaction_session_timeout = {idle}"))
            .await
            .context("limit the pauses in transactions")?;
    }
    Ok(session)
}

/// A database that is there before ours: the target's own, or the one every server has.
fn maintenance(server: &Server) -> &str {
    server.target().database().unwrap_or("postgres")
}

/// Name of this machine, for the record.
pub fn host() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
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
    refuse_standby(server, &maintenance).await?;
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
                Problem::dependency(format!("create the control database `{database}`")).hint(
                    format!(
                        "the role needs CREATEDB; as a superuser: alter role {} createdb",
                        maintenance.user()
                    ),
                ),
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
        // Readers may connect once there are tables, so they must not be able to take this lock.
        let lock = match version(session).await? {
            Some(_) => "lock table ledger.version in share row exclusive mode",
            None => "select pg_advisory_xact_lock(0)",
        };
        session.batch_execute(&format!("begin; {lock}")).await?;
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
        if (1..TABLE_LOCKS).contains(&done) {
            refuse_earlier_release(session).await?;
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

/// Earlier releases hold their locks in another way, which this one does not see.
///
/// # Errors
/// Status 75 while a command of one is at work.
async fn refuse_earlier_release(session: &Session) -> Result<()> {
    let at_work = session
        .query_opt(
            "select a.application_name, a.pid from pg_locks l join pg_stat_activity a using (pid)
             where l.locktype = 'advisory' and l.granted and a.usename = current_user
               and a.datname = current_database() and a.pid <> pg_backend_pid()
               and a.application_name like 'overnight %' limit 1",
            &[],
        )
        .await
        .context("look for commands of an earlier release")?;
    match at_work {
        None => Ok(()),
        Some(row) => bail!(
            Problem::busy(format!(
                "`{}` of an earlier release is at work (server process {}), and this release has to upgrade the ledger",
                row.get::<_, String>(0),
                row.get::<_, i32>(1)
            ))
            .hint("wait until it has ended, then start again; nothing was changed")
        ),
    }
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
/// A standby can be read only: nothing can be recorded, built or moved there.
async fn refuse_standby(server: &Server, session: &Session) -> Result<()> {
    let is_standby: bool = session
        .query_one("select pg_is_in_recovery()", &[])
        .await
        .context("ask whether the server is a standby")?
        .get(0);
    if !is_standby {
        return Ok(());
    }
    let (host, port) = server.target().first_place().unwrap_or_default();
    bail!(
        Problem::dependency(format!("the target, {host}:{port}, is a standby, which is read only")).hint(
            "name the primary; or list every server in the target with target_session_attrs=read-write, so that a failover is followed"
        )
    )
}

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
