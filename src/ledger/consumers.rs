//! The services that read a dataset, and which schema versions they support.
//!
//! In: what `overnight guard` was told at the start of a service. Out: rows that a move of the alias
//! is checked against. A service may write its own row with a reader's rights: row security lets it
//! reach only datasets whose live build it may connect to, and a trigger writes when, as whom and
//! from where. The rest of the ledger stays closed to it.

use super::{Ledger, locks::GRANTS, supports::Supports};
use crate::crashpoint;
use crate::postgres::{
    Session, find_error, is_cancelled, is_lock_not_available, quote_ident, quote_literal,
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Attempts to register, should another service have picked the same slot.
const ATTEMPTS: u32 = 5;
/// Characters of a host name, which goes into messages.
const MAX_HOST: usize = 64;
/// How long a transaction of a reader may keep `forget` waiting, and how often one is ended.
const FORGET: Duration = Duration::from_secs(2);
const FORGET_ATTEMPTS: u32 = 5;

/// One registered service.
#[derive(Debug, Clone, Serialize)]
pub struct Consumer {
    pub consumer: String,
    pub min_version: i32,
    pub max_version: Option<i32>,
    pub first_seen: String,
    pub last_seen: String,
    /// Seconds since then.
    pub age_seconds: i64,
    pub host: String,
    pub address: Option<String>,
    pub role: String,
    /// Not seen for so long that it does not count.
    pub expired: bool,
}

impl Consumer {
    /// What it supports.
    pub fn supports(&self) -> Supports {
        Supports {
            min: self.min_version,
            max: self.max_version,
        }
    }

    /// `db-host (10.0.0.1)`
    pub fn place(&self) -> String {
        match &self.address {
            Some(address) => format!("{} ({address})", self.host),
            None => self.host.clone(),
        }
    }
}

/// Writes down that a service supports these versions, and that it was seen now. Works on any
/// session in the control database that may; in one message, for a pooler may be in between. Readers are often read-only by default.
pub async fn register(
    session: &Session,
    dataset: &str,
    consumer: &str,
    supports: Supports,
    host: &str,
) -> Result<(), tokio_postgres::Error> {
    // A hundred at most for each role; two that start at once may have picked the same slot.
    let mut tried = 0;
    loop {
        let written = register_once(session, dataset, consumer, supports, host).await;
        let met = written
            .as_ref()
            .is_err_and(|error| error.code() == Some(&SqlState::UNIQUE_VIOLATION));
        tried += 1;
        if !met || tried == ATTEMPTS {
            return written;
        }
        session.simple_query("rollback").await?;
    }
}

async fn register_once(
    session: &Session,
    dataset: &str,
    consumer: &str,
    supports: Supports,
    host: &str,
) -> Result<(), tokio_postgres::Error> {
    let host: String = host.chars().take(MAX_HOST).collect();
    session
        .simple_query(&format!(
            "begin read write; set local statement_timeout = '5s';
             insert into ledger.consumer (dataset, consumer, min_version, max_version, host)
             values ({}, {}, {}, {}, {})
             on conflict (dataset, consumer) do update
                 set min_version = excluded.min_version, max_version = excluded.max_version, host = excluded.host;
             commit",
            quote_literal(dataset),
            quote_literal(consumer),
            supports.min,
            supports.max.map_or_else(|| "null".to_owned(), |max| max.to_string()),
            quote_literal(&host),
        ))
        .await
        .map(|_| ())
}

impl Ledger {
    /// Every registered service, by name. `expire` is how long one counts after it was last seen.
    pub async fn consumers(&self, dataset: &str, expire: Duration) -> Result<Vec<Consumer>> {
        let rows = self
            .session
            .query(
                "select consumer, min_version, max_version,
                        to_char(first_seen at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                        to_char(last_seen at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                        extract(epoch from clock_timestamp() - last_seen)::bigint,
                        host, host(address), role,
                        extract(epoch from clock_timestamp() - last_seen)::float8 > $2
                 from ledger.consumer where dataset = $1 order by consumer",
                &[&dataset, &expire.as_secs_f64()],
            )
            .await
            .context("read the consumers from the ledger")?;
        Ok(rows
            .iter()
            .map(|row| Consumer {
                consumer: row.get(0),
                min_version: row.get(1),
                max_version: row.get(2),
                first_seen: row.get(3),
                last_seen: row.get(4),
                age_seconds: row.get(5),
                host: row.get(6),
                address: row.get(7),
                role: row.get(8),
                expired: row.get(9),
            })
            .collect())
    }

    /// Takes services out until they come again, by name or by a pattern with `*`; returns their
    /// names. A transaction that keeps one of the rows locked is ended: registering takes
    /// milliseconds.
    pub async fn forget_consumers(&self, dataset: &str, pattern: &str) -> Result<Vec<String>> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.forget_once(dataset, pattern).await {
                Err(error)
                    if tried < FORGET_ATTEMPTS
                        && find_error(&error).is_some_and(|error| {
                            is_lock_not_available(error) || is_cancelled(error)
                        }) =>
                {
                    self.end_registrations().await?;
                }
                other => return other,
            }
        }
    }

    async fn forget_once(&self, dataset: &str, pattern: &str) -> Result<Vec<String>> {
        let forgotten = async {
            self.begin_limited(FORGET).await?;
            let like = pattern
                .replace('\\', r"\\")
                .replace('_', r"\_")
                .replace('%', r"\%")
                .replace('*', "%");
            let rows = self
                .session
                .query(
                    "delete from ledger.consumer where dataset = $1 and consumer like $2
                     returning consumer, min_version, max_version",
                    &[&dataset, &like],
                )
                .await
                .context("take consumers out of the ledger")?;
            let mut names = Vec::new();
            for row in &rows {
                let consumer: String = row.get(0);
                let supports = Supports {
                    min: row.get(1),
                    max: row.get(2),
                };
                let detail = format!("{consumer} ({supports})");
                self.event(dataset, None, "consumer forgotten", &detail)
                    .await?;
                names.push(consumer);
            }
            self.commit().await?;
            names.sort();
            Ok(names)
        }
        .await;
        if forgotten.is_err() {
            self.rollback().await;
        }
        forgotten
    }

    /// Ends the sessions of readers whose transaction holds rows of the consumers.
    async fn end_registrations(&self) -> Result<()> {
        let rows = self
            .session
            .query(
                "select coalesce(a.usename::text, 'unknown'), a.pid, pg_terminate_backend(a.pid)
                 from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
                 where a.pid in (select pid from pg_locks where relation = 'ledger.consumer'::regclass
                                   and granted and mode <> 'AccessShareLock')
                   and a.pid <> pg_backend_pid() and not r.rolsuper
                   and (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))",
                &[],
            )
            .await
            .context("end transactions that hold consumers")?;
        for row in rows {
            let (role, pid): (String, i32) = (row.get(0), row.get(1));
            tracing::warn!(
                "ended a transaction of `{role}` (server process {pid}) that held registered consumers"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    /// Gives roles what `register` needs with their own login, and nothing else.
    pub async fn let_register(&self, roles: &[String]) -> Result<()> {
        let missing = self
            .session
            .query(
                "select role from unnest($1::text[]) role
                 where not (has_database_privilege(role, current_database(), 'connect')
                   and has_schema_privilege(role, 'ledger', 'usage')
                   and has_table_privilege(role, 'ledger.consumer', 'select')
                   and has_column_privilege(role, 'ledger.consumer', 'host', 'insert')
                   and has_column_privilege(role, 'ledger.consumer', 'host', 'update')
                   and has_column_privilege(role, 'ledger.build', 'database_oid', 'select')
                   and has_column_privilege(role, 'ledger.dataset', 'live_build', 'select'))",
                &[&roles],
            )
            .await
            .context("ask who may register")?;
        if missing.is_empty() {
            return Ok(());
        }
        let roles: Vec<String> = missing.iter().map(|row| quote_ident(row.get(0))).collect();
        let roles = roles.join(", ");
        let database: String = self
            .session
            .query_one("select current_database()::text", &[])
            .await?
            .get(0);
        let database = quote_ident(&database);
        crashpoint::reached("register.before_grant");
        // One transaction; two at once that grant on the same table would disturb each other.
        let granted = self
            .session
            .batch_execute(&format!(
                "begin; lock table ledger_lock.{GRANTS} in share update exclusive mode;
                 grant connect on database {database} to {roles};
                 grant usage on schema ledger to {roles};
                 grant select, insert (dataset, consumer, min_version, max_version, host),
                       update (min_version, max_version, host) on ledger.consumer to {roles};
                 grant select (dataset, live_build) on ledger.dataset to {roles};
                 grant select (id, database_oid) on ledger.build to {roles};
                 commit"
            ))
            .await;
        if let Err(error) = granted {
            self.rollback().await;
            return Err(error).context("let the readers register as consumers");
        }
        crashpoint::reached("register.after_grant");
        Ok(())
    }
}
