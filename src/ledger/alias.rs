//! The pointer: one row for each alias that services may read, and a notification when it changes.
//!
//! It is the ledger's own view of an alias, kept in the transaction of every move and with every
//! router, so that a client can follow it without being cut. Readers see this table and nothing
//! else of the control database.

use super::locks::{ALIASES, GRANTS};
use super::{Build, Ledger};
use crate::postgres::{quote_ident, quote_literal};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where an alias leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    pub build: String,
    /// The name to connect to.
    pub database: String,
    pub epoch: i64,
}

impl Ledger {
    /// Writes where the alias leads now, and tells whoever listens at the commit. Called inside the
    /// transaction that has changed the live build, after the names have changed.
    pub async fn point(&self, dataset: &str) -> Result<()> {
        self.session
            .query(include_str!("point.sql"), &[&dataset])
            .await
            .context("write where the alias leads")?;
        Ok(())
    }

    /// The statement that does it, for the end of a transaction.
    pub fn point_statement(dataset: &str) -> String {
        include_str!("point.sql").replace("$1", &quote_literal(dataset))
    }

    /// Where the pointer says that the alias leads.
    pub async fn pointer(&self, dataset: &str) -> Result<Option<Pointer>> {
        let row = self
            .session
            .query_opt(
                "select build, database, epoch from overnight.alias where dataset = $1",
                &[&dataset],
            )
            .await
            .context("read where the alias leads")?;
        Ok(row.map(|row| Pointer {
            build: row.get(0),
            database: row.get(1),
            epoch: row.get(2),
        }))
    }

    /// Records that a build, under this OID, is live, or that nothing is: an operator says that the
    /// catalog is right and the ledger was not. The pointer is written after it.
    pub async fn take_live(&self, dataset: &str, live: Option<(&Build, u32)>) -> Result<()> {
        if let Some((build, oid)) = live {
            self.session
                .execute(
                    "update ledger.build set database_oid = $2, state = 'published',
                            published_at = coalesce(published_at, clock_timestamp())
                     where id = $1",
                    &[&build.id, &oid],
                )
                .await
                .context("record the database of the build")?;
        }
        let id = live.map(|(build, _)| build.id);
        self.session
            .execute(
                "update ledger.dataset set epoch = epoch + 1, live_build = $2,
                        previous_build = case when previous_build = $2 then live_build else previous_build end
                 where dataset = $1",
                &[&dataset, &id],
            )
            .await
            .context("record what is live")?;
        self.session
            .execute(
                "update ledger.flip set state = 'superseded'
                 where dataset = $1 and state in ('intent', 'switched')",
                &[&dataset],
            )
            .await
            .context("record the end of earlier moves")?;
        Ok(())
    }

    /// Every alias that leads somewhere, and the database it leads to, by the catalog's names.
    pub async fn live_aliases(&self) -> Result<BTreeMap<String, String>> {
        let rows = self
            .session
            .query(
                "select d.dataset, p.datname::text from ledger.dataset d
                 join ledger.build b on b.id = d.live_build
                 join pg_database p on p.oid = b.database_oid",
                &[],
            )
            .await
            .context("read where the aliases lead")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Keeps other processes from writing files that hold all aliases. Taken twice, it must be
    /// given back twice.
    ///
    /// # Errors
    /// Status 75 when it is still held after 20 s; no command holds it longer than a second.
    pub async fn lock_aliases(&self) -> Result<()> {
        let taken = self.take(ALIASES, Duration::from_secs(20)).await;
        if !taken.context("take the lock of the aliases")? {
            bail!(
                Problem::busy("another process is writing the aliases of the poolers")
                    .hint("wait for it, or end it and start again")
            );
        }
        Ok(())
    }

    /// Gives it back.
    pub async fn unlock_aliases(&self) -> Result<()> {
        self.give_back(ALIASES).await
    }

    /// Lets the readers of a dataset read the pointer, and nothing else here. A role that does not
    /// exist is left to the gate that names it.
    pub async fn let_follow(&self, readers: &[String]) -> Result<()> {
        let missing = self
            .session
            .query(
                "select rolname::text, current_database()::text from pg_roles
                 where rolname = any($1)
                   and not (has_database_privilege(oid, current_database(), 'connect')
                            and has_schema_privilege(oid, 'overnight', 'usage')
                            and has_table_privilege(oid, 'overnight.alias', 'select'))",
                &[&readers],
            )
            .await
            .context("ask who may read where the alias leads")?;
        for row in missing {
            let (reader, database): (String, String) = (row.get(0), row.get(1));
            let (role, database) = (quote_ident(&reader), quote_ident(&database));
            let granted = self
                .session
                .batch_execute(&format!(
                    "begin;
                     lock table ledger_lock.{GRANTS} in share update exclusive mode;
                     grant connect on database {database} to {role};
                     grant usage on schema overnight to {role};
                     grant select on overnight.alias to {role};
                     commit"
                ))
                .await;
            if let Err(error) = granted {
                self.rollback().await;
                return Err(error)
                    .with_context(|| format!("let `{reader}` read where the alias leads"));
            }
        }
        Ok(())
    }
}
