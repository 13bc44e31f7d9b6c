//! The services that read a dataset, and which schema versions they support.
//!
//! In: what `overnight guard` was told at the start of a service. Out: rows that a move of the alias
//! is checked against. A service may write its own row with a reader's rights: row security lets it
//! reach only datasets whose live build it may connect to, and a trigger writes when, as whom and
//! from where. The rest of the ledger stays closed to it.

use super::{Ledger, locks::GRANTS, supports::Supports};
use crate::crashpoint;
use crate::postgres::{Session, quote_ident, quote_literal};
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::Duration;

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
    session
        .simple_query(&format!(
            "begin read write;
             insert into ledger.consumer (dataset, consumer, min_version, max_version, host)
             values ({}, {}, {}, {}, {})
             on conflict (dataset, consumer) do update
                 set min_version = excluded.min_version, max_version = excluded.max_version, host = excluded.host;
             commit",
            quote_literal(dataset),
            quote_literal(consumer),
            supports.min,
            supports.max.map_or_else(|| "null".to_owned(), |max| max.to_string()),
            quote_literal(host),
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

    /// Takes a service out, until it comes again; says whether there was one.
    pub async fn forget_consumer(&self, dataset: &str, consumer: &str) -> Result<bool> {
        self.begin().await?;
        let forgotten = async {
            let row = self
                .session
                .query_opt(
                    "delete from ledger.consumer where dataset = $1 and consumer = $2
                     returning min_version, max_version",
                    &[&dataset, &consumer],
                )
                .await
                .context("take a consumer out of the ledger")?;
            if let Some(row) = &row {
                let supports = Supports {
                    min: row.get(0),
                    max: row.get(1),
                };
                let detail = format!("{consumer} ({supports})");
                self.event(dataset, None, "consumer forgotten", &detail)
                    .await?;
            }
            self.commit().await?;
            Ok(row.is_some())
        }
        .await;
        if forgotten.is_err() {
            self.rollback().await;
        }
        forgotten
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
