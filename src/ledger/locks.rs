//! Locks of datasets, and the few that all datasets share.
//!
//! A lock is `LOCK TABLE` on an empty table of the schema `ledger_lock`. Readers may connect to the
//! control database and have no right on that schema, so no reader can take or wait for a lock; an
//! advisory lock would be open to every role.
//!
//! Table locks last as long as their transaction, so a session of its own holds one open, with a
//! savepoint for each lock: going back to it releases that lock and keeps those before. The mode
//! needs no transaction id and no statement leaves a snapshot, so the open transaction does not
//! hold back vacuum. The locks are gone when the session is.

use super::Ledger;
use crate::postgres::{Session, is_lock_not_available, quote_ident};
use crate::problem::{Problem, Status, status_of};
use crate::switch;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// How long a lock that is held for seconds only is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a rollback waits for a move to give way before it ends that move.
const GIVE_WAY: Duration = Duration::from_secs(10);
/// Locks without a dataset.
const DATASETS: &str = "datasets";
pub(super) const GRANTS: &str = "grants";
pub(super) const ALIASES: &str = "aliases";

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
    fn table(self, dataset: &str) -> String {
        match self {
            Lock::Build => format!("{dataset} build"),
            Lock::Move => format!("{dataset} move"),
        }
    }
}

/// The session that holds the locks of a command.
#[derive(Debug)]
pub(super) struct Locks {
    session: Session,
    /// Tables, in the order in which they were locked.
    held: Vec<String>,
}

impl Locks {
    async fn take(&mut self, table: &str, wait: Duration) -> Result<bool> {
        let point = format!("s{}", self.held.len());
        let wait = match wait.as_millis() {
            0 => "nowait".to_owned(),
            wait => {
                let limit = format!("set local lock_timeout = {wait}");
                self.session.batch_execute(&limit).await?;
                String::new()
            }
        };
        let taken = self
            .session
            .batch_execute(&format!(
                "savepoint {point}; lock table ledger_lock.{} in share update exclusive mode {wait}",
                quote_ident(table)
            ))
            .await;
        match taken {
            Ok(()) => {
                self.held.push(table.to_owned());
                Ok(true)
            }
            Err(error) => {
                self.back_to(&point).await?;
                match is_lock_not_available(&error) {
                    true => Ok(false),
                    false => Err(error.into()),
                }
            }
        }
    }

    async fn back_to(&self, point: &str) -> Result<()> {
        let back = format!("rollback to savepoint {point}; release savepoint {point}");
        Ok(self.session.batch_execute(&back).await?)
    }

    pub(super) async fn close(self) {
        if let Err(error) = self.session.batch_execute("rollback").await {
            tracing::debug!(%error, "release the locks");
        }
        self.session.close().await;
    }
}

/// A session that holds a lock.
struct Holder {
    pid: i32,
    application: String,
    words: String,
}

impl Ledger {
    /// Takes a lock of a dataset for as long as this process lives, or until it is released.
    ///
    /// # Errors
    /// Status 75 with the holder's name when another session holds it.
    pub async fn lock(&self, dataset: &str, lock: Lock) -> Result<()> {
        self.lock_within(dataset, lock, Duration::ZERO).await
    }

    /// Waits for a lock that is held for seconds only.
    ///
    /// # Errors
    /// Status 75 when it is still held after 20 s.
    pub async fn wait_for(&self, dataset: &str, lock: Lock) -> Result<()> {
        self.lock_within(dataset, lock, PATIENCE).await
    }

    /// Takes the lock of moves for a rollback. A move that is still trying sees the rollback wait
    /// and gives way; one that does not within ten seconds is ended.
    ///
    /// # Errors
    /// Status 75 when something else than a move holds the lock for 20 s.
    pub async fn wait_for_rollback(&self, dataset: &str) -> Result<()> {
        let tried = self.lock_within(dataset, Lock::Move, GIVE_WAY).await;
        match &tried {
            Err(error) if status_of(error) == Status::Busy => {}
            _ => return tried,
        }
        if let Some(holder) = self.holder(&Lock::Move.table(dataset)).await?
            && ["overnight run ", "overnight rotate "]
                .iter()
                .any(|moving| holder.application.starts_with(moving))
        {
            tracing::warn!(dataset, "ends the move of {}", holder.words);
            self.terminate(holder.pid).await;
        }
        self.lock_within(dataset, Lock::Move, GIVE_WAY).await
    }

    async fn lock_within(&self, dataset: &str, lock: Lock, wait: Duration) -> Result<()> {
        self.register(dataset).await?;
        let table = lock.table(dataset);
        if !self.take(&table, wait).await.context("take the lock")? && switch::on("lock.taken") {
            bail!(self.busy(dataset, &table).await?);
        }
        let fenced = self.fence(dataset, &table).await;
        if fenced.is_err() {
            self.give_back(&table).await?;
        }
        fenced
    }

    /// Makes the dataset and its locks known.
    pub async fn register(&self, dataset: &str) -> Result<()> {
        // Looked at first: an INSERT waits for a move that is changing the row.
        let tables = [Lock::Build, Lock::Move].map(|lock| lock.table(dataset));
        let known: bool = self
            .session
            .query_one(
                "select exists (select from ledger.dataset where dataset = $1)
                    and 2 = (select count(*) from pg_tables where schemaname = 'ledger_lock' and tablename = any($2))",
                &[&dataset, &tables.as_slice()],
            )
            .await
            .context("look for the dataset in the ledger")?
            .get(0);
        if known {
            return Ok(());
        }
        let [build, moves] = tables.map(|table| quote_ident(&table));
        let registered = async {
            self.begin().await?;
            self.lock_shared(DATASETS).await?;
            self.session
                .batch_execute(&format!(
                    "create table if not exists ledger_lock.{build} ();
                     create table if not exists ledger_lock.{moves} ()"
                ))
                .await?;
            self.session
                .execute(
                    "insert into ledger.dataset (dataset) values ($1) on conflict do nothing",
                    &[&dataset],
                )
                .await?;
            self.commit().await
        };
        if let Err(error) = registered.await {
            self.rollback().await;
            return Err(error).context("register the dataset in the ledger");
        }
        Ok(())
    }

    /// Takes one of the locks that all datasets share, for the rest of the control session's
    /// transaction.
    pub(super) async fn lock_shared(&self, table: &str) -> Result<()> {
        let lock = format!("lock table ledger_lock.{table} in share update exclusive mode");
        Ok(self.session.batch_execute(&lock).await?)
    }

    pub(super) async fn take(&self, table: &str, wait: Duration) -> Result<bool> {
        let mut locks = self.locks.lock().await;
        let locks = match &mut *locks {
            Some(locks) => locks,
            none => {
                // Its settings limit neither its transaction nor the pauses in it.
                let session = self
                    .server
                    .connect(self.session.database(), &self.purpose)
                    .await?;
                session.batch_execute("begin").await?;
                none.insert(Locks {
                    session,
                    held: Vec::new(),
                })
            }
        };
        locks.take(table, wait).await
    }

    /// Releases the lock that was taken last.
    pub async fn unlock(&self, dataset: &str, lock: Lock) -> Result<()> {
        let table = lock.table(dataset);
        self.session
            .execute(
                "delete from ledger.lock_holder where lock = $1 and pid = pg_backend_pid()",
                &[&table],
            )
            .await
            .context("release the lock")?;
        self.give_back(&table).await
    }

    pub(super) async fn give_back(&self, table: &str) -> Result<()> {
        let mut locks = self.locks.lock().await;
        let locks = locks.as_mut().context("no lock is held")?;
        if locks.held.last().map(String::as_str) != Some(table) {
            bail!("the lock `{table}` was not taken last");
        }
        locks.held.pop();
        let point = format!("s{}", locks.held.len());
        locks.back_to(&point).await.context("release the lock")
    }

    /// Fails unless this process still holds the lock: asked before what cannot be undone.
    pub async fn check_lock(&self, dataset: &str, lock: Lock) -> Result<()> {
        let pid = self.lock_session().await;
        let held: bool = self
            .session
            .query_one(
                &format!("select exists ({HOLDERS} and l.granted and l.pid = $2)"),
                &[&lock.table(dataset), &pid],
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

    /// The session that holds the locks, if one is open.
    pub(super) async fn lock_session(&self) -> Option<i32> {
        let locks = self.locks.lock().await;
        let open = locks.as_ref().filter(|locks| !locks.session.is_closed());
        open.map(|locks| locks.session.backend_pid())
            .or(self.lender)
    }

    /// The rollback that waits for the lock of this dataset's moves, if there is one.
    pub async fn waiting_rollback(&self, dataset: &str) -> Result<Option<String>> {
        let row = self
            .session
            .query_opt(
                &format!(
                    "{HOLDERS} and not l.granted and a.application_name like 'overnight rollback %' limit 1"
                ),
                &[&Lock::Move.table(dataset)],
            )
            .await
            .context("ask who waits for the lock")?;
        Ok(row.map(|row| row.get(1)))
    }

    /// The command that holds the lock of this dataset's moves.
    pub async fn mover(&self, dataset: &str) -> Result<Option<String>> {
        let holder = self.holder(&Lock::Move.table(dataset)).await?;
        Ok(holder.map(|holder| holder.application))
    }

    async fn holder(&self, table: &str) -> Result<Option<Holder>> {
        let row = self
            .session
            .query_opt(&format!("{HOLDERS} and l.granted limit 1"), &[&table])
            .await
            .context("ask who holds the lock")?;
        Ok(row.map(|row| {
            let (pid, application): (i32, String) = (row.get(0), row.get(1));
            let (user, since): (String, String) = (row.get(2), row.get(3));
            Holder {
                words: format!(
                    "`{application}` (server process {pid}, user {user}, connected since {since} UTC)"
                ),
                pid,
                application,
            }
        }))
    }

    async fn busy(&self, dataset: &str, table: &str) -> Result<Problem> {
        let holder = self.holder(table).await?;
        let (who, hint) = match holder {
            Some(Holder { pid, words, .. }) => (
                words,
                format!(
                    "wait for it, or end it and start again; if its process is stopped or gone, \
                     `select pg_terminate_backend({pid})` ends it; nothing was changed"
                ),
            ),
            None => (
                "a session that has just ended".to_owned(),
                "start again; nothing was changed".to_owned(),
            ),
        };
        Ok(Problem::busy(format!("`{dataset}` is locked by {who}")).hint(hint))
    }
}

/// Sessions that hold the lock of a table ($1) or wait for it.
const HOLDERS: &str = "
    select a.pid, coalesce(a.application_name, 'unnamed'), coalesce(a.usename::text, 'unknown'),
           coalesce(to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'some time')
    from pg_locks l
    join pg_stat_activity a using (pid)
    join pg_class c on c.oid = l.relation
    join pg_namespace n on n.oid = c.relnamespace
    where l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock'
      and l.database = (select oid from pg_database where datname = current_database())
      and n.nspname = 'ledger_lock' and c.relname = $1";
