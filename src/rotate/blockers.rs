//! Sessions that keep an alias from moving, or keep services from connecting to it.
//!
//! A rename needs the database without sessions. Those that this role may end are ended by the
//! move; a superuser's session, or one of a role that we may not signal, can only be waited for.

use crate::ledger::Ledger;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// Sessions that a message lists; of more there is only the number.
const LISTED: usize = 20;

/// Pause between two messages about what is in the way.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A session in a database that is to be renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    pub pid: i32,
    pub application: String,
    pub user: String,
    pub superuser: bool,
}

impl fmt::Display for Blocker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let application = match self.application.as_str() {
            "" => "unnamed",
            application => application,
        };
        let why = if self.superuser { ", superuser" } else { "" };
        write!(
            out,
            "{} ({application}, server process {}{why})",
            self.user, self.pid
        )
    }
}

/// The sessions in these databases that this role may not end, oldest first.
pub async fn blockers(ledger: &Ledger, oids: &[u32]) -> Result<Vec<Blocker>> {
    let rows = ledger
        .session
        .query(
            "select a.pid, coalesce(a.application_name, ''), r.rolname::text, r.rolsuper
             from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
             where a.datid = any($1)
               and coalesce(a.backend_type, 'client backend') = 'client backend'
               and (r.rolsuper or not (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage')))
             order by a.backend_start, a.pid",
            &[&oids],
        )
        .await
        .context("ask who is connected to the alias")?;
    Ok(rows.iter().map(blocker).collect())
}

/// Ends the sessions of a database that this role may end, once the session `mover` has asked for the lock of the database:
/// from then on a client that reconnects waits, and before that it would be ended once more. Returns them.
pub(super) async fn end(ledger: &Ledger, oid: u32, mover: i32) -> Result<Vec<Blocker>> {
    let rows = ledger
        .session
        .query(
            "select a.pid, coalesce(a.application_name, ''), r.rolname::text, r.rolsuper, pg_terminate_backend(a.pid)
             from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
             where a.datid = $1 and a.pid <> pg_backend_pid() and not r.rolsuper
               and (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))
               and exists (select from pg_locks l
                           where l.pid = $2 and l.locktype = 'object' and l.mode = 'AccessExclusiveLock'
                             and l.classid = 'pg_database'::regclass and l.objid = $1)",
            &[&oid, &mover],
        )
        .await
        .context("end the sessions of a database")?;
    Ok(rows.iter().map(blocker).collect())
}

/// Whether the role lacks the right to end sessions of other roles.
pub(super) async fn may_not_signal(ledger: &Ledger) -> Result<bool> {
    let sql = "select not pg_has_role('pg_signal_backend', 'usage')";
    let row = ledger.session.query_one(sql, &[]).await;
    Ok(row.context("ask whom this role may end")?.get(0))
}

/// A move under way, as `status` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Moving {
    /// The command, `overnight rotate planinfo`.
    pub command: Option<String>,
    /// Sessions that it waits for because they cannot be ended.
    pub waits_for: Vec<Blocker>,
    /// Until when it tries, in UTC.
    pub until: Option<String>,
    /// New connections to the live database wait for this session.
    pub locked_by: Option<Blocker>,
}

/// What goes on at an alias at this moment; `None` when nothing does.
pub async fn moving(ledger: &Ledger, dataset: &str) -> Result<Option<Moving>> {
    let row = ledger.dataset(dataset).await?;
    let live = match row.live_build {
        Some(id) => ledger.build(id).await?.database_oid,
        None => None,
    };
    let locked_by = match live {
        Some(oid) => locked_by(ledger, oid).await?,
        None => None,
    };
    let trying = ledger
        .session
        .query_opt(
            "select to_char(f.trying_until at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), t.database_oid
             from ledger.flip f join ledger.build t on t.id = f.to_build
             where f.dataset = $1 and f.state = 'intent' and f.trying_until > clock_timestamp()
             order by f.id desc limit 1",
            &[&dataset],
        )
        .await
        .context("read the move under way")?;
    let mut moving = Moving {
        command: ledger.mover(dataset).await?,
        waits_for: Vec::new(),
        until: None,
        locked_by,
    };
    match trying {
        Some(row) if moving.command.is_some() => {
            let oids: Vec<u32> = live
                .into_iter()
                .chain(row.get::<_, Option<u32>>(1))
                .collect();
            moving.waits_for = blockers(ledger, &oids).await?;
            moving.until = row.get(0);
        }
        _ if moving.locked_by.is_none() => return Ok(None),
        _ => {}
    }
    Ok(Some(moving))
}

/// What holds a database so that no new connection gets in.
async fn locked_by(ledger: &Ledger, oid: u32) -> Result<Option<Blocker>> {
    let row = ledger
        .session
        .query_opt(
            "select a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, 'unknown'), false
             from pg_locks l join pg_stat_activity a using (pid)
             where l.locktype = 'object' and l.classid = 'pg_database'::regclass and l.objid = $1
               and l.mode = 'AccessExclusiveLock' order by l.granted desc limit 1",
            &[&oid],
        )
        .await
        .context("ask what holds the alias")?;
    Ok(row.as_ref().map(blocker))
}

fn blocker(row: &tokio_postgres::Row) -> Blocker {
    Blocker {
        pid: row.get(0),
        application: row.get(1),
        user: row.get(2),
        superuser: row.get(3),
    }
}

/// At most twenty of them in words.
pub fn in_words(blockers: &[Blocker]) -> String {
    let mut words: Vec<String> = blockers
        .iter()
        .take(LISTED)
        .map(Blocker::to_string)
        .collect();
    if blockers.len() > LISTED {
        words.push(format!("{} more", blockers.len() - LISTED));
    }
    words.join(", ")
}

/// Says what is in the way when it changes, and now and then.
#[derive(Default)]
pub(super) struct Watch {
    seen: Vec<Blocker>,
    said: Option<Instant>,
}

impl Watch {
    pub(super) fn say(&mut self, alias: &str, in_the_way: &[Blocker], end: Instant) {
        let due = self.said.is_none_or(|at| at.elapsed() >= SAY_EVERY);
        if due || self.seen != in_the_way {
            self.seen = in_the_way.to_vec();
            self.said = Some(Instant::now());
            tracing::warn!(
                alias,
                "the move waits up to {} s for sessions that cannot be ended: {}; no other session is ended meanwhile",
                end.saturating_duration_since(Instant::now()).as_secs(),
                in_words(in_the_way)
            );
        }
    }
}
