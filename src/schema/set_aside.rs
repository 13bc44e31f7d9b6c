//! Takes indexes, keys and foreign keys out of a build before the load.
//!
//! In: a session on a build whose tables are declared. Out: a [`SetAside`] that holds each of them as
//! the statements that drop it and make it again, with comments, CLUSTER marks, replica identity,
//! statistics targets, deferrability and tablespaces. NOT NULL and CHECK stay: they cost little while
//! rows arrive and a scan afterwards.
//!
//! Only the top of a partitioned index or key is dropped, its parts go with it. What other objects
//! depend on (a view that groups by a primary key) stays in place and is listed in `kept`.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, error::SqlState};

use super::jobs::{Job, graph};
use super::run::command;
use super::settings::{pin_for_reading, pin_for_writing};
use crate::postgres::error::explain;

/// What was found to set aside, as statements.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SetAside {
    /// Indexes and the constraints they carry, in the order of their creation.
    pub keys: Vec<Key>,
    /// Foreign keys, in the order of their creation.
    pub foreign_keys: Vec<ForeignKey>,
    /// What had to stay in place; empty before [`SetAside::take_out`].
    pub kept: Vec<Kept>,
}

/// An index, or a primary key, unique or exclusion constraint with its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// For people: `primary key plan_pkey on public.plan`.
    pub name: String,
    pub oid: u32,
    pub table_oid: u32,
    /// The uppermost partitioned table, or the table itself.
    pub root_oid: u32,
    /// The index of the partitioned table that this one is a part of.
    pub parent: Option<u32>,
    /// The name of the index as SQL.
    pub ident: String,
    /// An index of a partitioned table, which has parts instead of rows.
    pub partitioned: bool,
    /// What building costs for each byte of the table, against other indexes.
    pub weight: u32,
    /// Drops it; parts go with their parent.
    pub take_out: String,
    /// Makes the index, or the whole constraint if `whole`.
    pub build: String,
    /// `build` adds a constraint, which locks the table.
    pub whole: bool,
    /// Makes the index a constraint and gives back what was attached to it.
    pub finish: Vec<String>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// For people: `foreign key price_plan_fkey on public.price`.
    pub name: String,
    pub table_oid: u32,
    /// The uppermost partitioned table above the referencing table, or that table.
    pub root_oid: u32,
    /// The same of the referenced table.
    pub target_root_oid: u32,
    pub take_out: String,
    /// Adds it, unchecked if `validate` follows.
    pub build: Vec<String>,
    pub validate: Option<String>,
}

/// What stayed in place, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: String,
    /// What the server said depends on it: names only.
    pub reason: String,
}

/// Reads indexes, keys and foreign keys of all user tables; changes nothing.
///
/// # Errors
/// The server refuses a query.
pub async fn plan(client: &Client) -> Result<SetAside> {
    let refused = |error| anyhow!("read indexes and keys: {}", explain(&error));
    let pinned = pin_for_reading(client).await?;
    let keys = client
        .query(include_str!("keys.sql"), &[])
        .await
        .map_err(refused)?;
    let foreign_keys = client
        .query(include_str!("foreign_keys.sql"), &[])
        .await
        .map_err(refused)?;
    pinned.restore(client).await?;

    let mut found = SetAside::default();
    for row in &keys {
        found.keys.push(Key {
            name: row.try_get("name")?,
            oid: row.try_get("oid")?,
            table_oid: row.try_get("table_oid")?,
            root_oid: row.try_get("root")?,
            parent: row.try_get("parent")?,
            ident: row.try_get("ident")?,
            partitioned: row.try_get("partitioned")?,
            weight: u32::try_from(row.try_get::<_, i32>("weight")?)?,
            take_out: row.try_get("take_out")?,
            build: row.try_get("build")?,
            whole: row.try_get("whole")?,
            finish: row.try_get("finish")?,
        });
    }
    for row in &foreign_keys {
        let mut build = vec![row.try_get("build")?];
        build.extend(row.try_get::<_, Option<String>>("comment")?);
        found.foreign_keys.push(ForeignKey {
            name: row.try_get("name")?,
            table_oid: row.try_get("table_oid")?,
            root_oid: row.try_get("root")?,
            target_root_oid: row.try_get("target_root")?,
            take_out: row.try_get("take_out")?,
            build,
            validate: row.try_get("validate")?,
        });
    }
    Ok(found)
}

impl SetAside {
    /// The statements of [`SetAside::take_out`], in order.
    pub fn drops(&self) -> Vec<&str> {
        let foreign_keys = self.foreign_keys.iter().map(|key| key.take_out.as_str());
        let keys = self.keys.iter().filter(|key| key.parent.is_none());
        foreign_keys
            .chain(keys.map(|key| key.take_out.as_str()))
            .collect()
    }

    /// The steps that put everything back; each stands after those it waits for.
    pub fn jobs(&self) -> Vec<Job> {
        graph(self)
    }

    /// Drops everything in one transaction; what other objects depend on moves to `kept`.
    ///
    /// # Errors
    /// The server refuses for another reason than a dependency; then nothing is dropped.
    pub async fn take_out(&mut self, client: &Client) -> Result<()> {
        let mut left = self.clone();
        command(client, "BEGIN").await?;
        match left.take_out_here(client).await {
            Ok(()) => {
                command(client, "COMMIT").await?;
                *self = left;
                Ok(())
            }
            Err(error) => {
                // The first error counts; a session that is gone cannot roll back and need not.
                let _ = command(client, "ROLLBACK").await;
                Err(error)
            }
        }
    }

    /// The same in the transaction that the caller holds and rolls back after an error.
    pub async fn take_out_here(&mut self, client: &Client) -> Result<()> {
        let pinned = pin_for_reading(client).await?;
        for key in std::mem::take(&mut self.foreign_keys) {
            match drop_one(client, &key.name, &key.take_out).await? {
                None => self.foreign_keys.push(key),
                Some(kept) => self.kept.push(kept),
            }
        }
        let mut staying = BTreeSet::new();
        for key in self.keys.iter().filter(|key| key.parent.is_none()) {
            if let Some(kept) = drop_one(client, &key.name, &key.take_out).await? {
                self.kept.push(kept);
                staying.insert(key.oid);
            }
        }
        self.forget(staying);
        pinned.restore(client).await
    }

    /// Leaves out keys that stay, with all their parts.
    fn forget(&mut self, mut staying: BTreeSet<u32>) {
        loop {
            let before = staying.len();
            for key in &self.keys {
                if key.parent.is_some_and(|parent| staying.contains(&parent)) {
                    staying.insert(key.oid);
                }
            }
            if staying.len() == before {
                break;
            }
        }
        self.keys.retain(|key| !staying.contains(&key.oid));
    }

    /// Puts everything back one after another, in the transaction that the caller holds.
    ///
    /// # Errors
    /// The server refuses a statement; the message names the constraint or index.
    pub async fn put_back_here(&self, client: &Client) -> Result<()> {
        let pinned = pin_for_writing(client).await?;
        for job in self.jobs() {
            job.run(client).await?;
        }
        pinned.restore(client).await
    }
}

/// Drops one thing; if others depend on it, it stays and is returned.
async fn drop_one(client: &Client, name: &str, sql: &str) -> Result<Option<Kept>> {
    const SAVE: &str = "SAVEPOINT overnight_take_out";
    const RELEASE: &str = "RELEASE SAVEPOINT overnight_take_out";
    const BACK: &str =
        "ROLLBACK TO SAVEPOINT overnight_take_out; RELEASE SAVEPOINT overnight_take_out";
    command(client, SAVE).await?;
    let error = match client.batch_execute(sql).await {
        Ok(()) => {
            command(client, RELEASE).await?;
            return Ok(None);
        }
        Err(error) => error,
    };
    if error.code() != Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
        return Err(anyhow!("{}", explain(&error))).with_context(|| format!("take out {name}"));
    }
    command(client, BACK).await?;
    let detail = error.as_db_error().and_then(|db| db.detail());
    let detail = detail.unwrap_or("another object depends on it");
    Ok(Some(Kept {
        name: name.to_owned(),
        reason: detail.replace('\n', "; "),
    }))
}
