//! What builds measured of their tables. Kept for every build, also where nothing was wrong.
//!
//! In and out: figures as JSON, whose meaning belongs to whoever compares them. Never a value of
//! the data, unless a source file allows it.

use super::{Build, Ledger};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// Published builds whose samples of rows are kept; of the ones before, the figures remain.
const SKETCHES_KEPT: i64 = 10;

/// What one build measured.
#[derive(Debug, Clone)]
pub struct Measured {
    pub server_major: i32,
    pub catalog_sha256: String,
    pub at: String,
}

/// One table of it.
#[derive(Debug, Clone)]
pub struct ProfileRow {
    pub table: String,
    pub profile: Value,
    pub sketches: Option<Value>,
}

/// Rows of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRow {
    pub hash: i64,
    pub label: Option<String>,
    pub rows: i64,
}

/// Keys of a table against those of another build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct KeyChange {
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub unchanged: u64,
}

impl Ledger {
    /// Writes down what services can see of a build that was measured.
    pub async fn record_shape(&self, build: &Build, shape: &str) -> Result<()> {
        self.session
            .execute(
                "update ledger.measured set shape = $2 where build = $1",
                &[&build.id, &shape],
            )
            .await
            .context("record what services can see of the build")?;
        Ok(())
    }

    /// What services could see of a build when it was finished; `None` for one of an earlier release.
    pub async fn shape(&self, build: &Build) -> Result<Option<String>> {
        let row = self
            .session
            .query_opt(
                "select shape from ledger.measured where build = $1",
                &[&build.id],
            )
            .await
            .context("read what services could see of the build")?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// Writes down that a build was measured, in place of an earlier time.
    pub async fn record_measured(&self, build: &Build, major: i32, catalog: &str) -> Result<()> {
        self.session
            .execute(
                "insert into ledger.measured (build, server_major, catalog_sha256) values ($1, $2, $3)
                 on conflict (build) do update set server_major = excluded.server_major,
                        catalog_sha256 = excluded.catalog_sha256, at = clock_timestamp()",
                &[&build.id, &major, &catalog],
            )
            .await
            .context("record that the build was measured")?;
        Ok(())
    }

    /// Whether and when a build was measured.
    pub async fn measured(&self, build: i64) -> Result<Option<Measured>> {
        let row = self
            .session
            .query_opt(
                "select server_major, catalog_sha256, to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                 from ledger.measured where build = $1",
                &[&build],
            )
            .await
            .context("ask whether the build was measured")?;
        Ok(row.map(|row| Measured {
            server_major: row.get(0),
            catalog_sha256: row.get(1),
            at: row.get(2),
        }))
    }

    /// Keeps the figures of one table.
    pub async fn record_profile(&self, build: &Build, row: &ProfileRow) -> Result<()> {
        self.session
            .execute(
                "insert into ledger.profile (build, table_name, profile, sketches) values ($1, $2, $3, $4)
                 on conflict (build, table_name) do update
                    set profile = excluded.profile, sketches = excluded.sketches",
                &[&build.id, &row.table, &row.profile, &row.sketches],
            )
            .await
            .context("record the figures of a table")?;
        Ok(())
    }

    /// Lets go of samples that no night will be compared with any more: of builds before this one that
    /// failed, and of published ones of long ago.
    pub async fn forget_old_sketches(&self, build: &Build) -> Result<()> {
        self.session
            .execute(
                "update ledger.profile set sketches = null where sketches is not null and build in
                     (select id from ledger.build where dataset = $1 and id < $2 and state <> 'verified' and id not in
                         (select id from ledger.build where dataset = $1 and published_at is not null
                            and rolled_back_at is null order by id desc limit $3))",
                &[&build.dataset, &build.id, &SKETCHES_KEPT],
            )
            .await
            .context("forget the samples of old builds")?;
        Ok(())
    }

    /// The figures of every table of a build, by table.
    pub async fn profiles(&self, build: i64) -> Result<Vec<ProfileRow>> {
        let rows = self
            .session
            .query(
                "select table_name, profile, sketches from ledger.profile where build = $1 order by 1",
                &[&build],
            )
            .await
            .context("read the figures of a build")?;
        Ok(rows
            .iter()
            .map(|row| ProfileRow {
                table: row.get(0),
                profile: row.get(1),
                sketches: row.get(2),
            })
            .collect())
    }

    /// Keeps the rows of each group of a table.
    pub async fn record_groups(
        &self,
        build: &Build,
        table: &str,
        columns: &str,
        groups: &[GroupRow],
    ) -> Result<()> {
        let hashes: Vec<i64> = groups.iter().map(|group| group.hash).collect();
        let labels: Vec<Option<&str>> = groups.iter().map(|g| g.label.as_deref()).collect();
        let rows: Vec<i64> = groups.iter().map(|group| group.rows).collect();
        self.session
            .execute(
                "insert into ledger.group_rows (build, table_name, columns, group_hash, label, row_count)
                 select $1, $2, $3, * from unnest($4::bigint[], $5::text[], $6::bigint[])
                 on conflict (build, table_name, columns, group_hash) do update set row_count = excluded.row_count",
                &[&build.id, &table, &columns, &hashes, &labels, &rows],
            )
            .await
            .context("record the rows of the groups")?;
        Ok(())
    }

    /// The rows of each group of a table in a build, by hash.
    pub async fn groups(
        &self,
        build: i64,
        table: &str,
        columns: &str,
    ) -> Result<BTreeMap<i64, GroupRow>> {
        let rows = self
            .session
            .query(
                "select group_hash, label, row_count from ledger.group_rows
                 where build = $1 and table_name = $2 and columns = $3",
                &[&build, &table, &columns],
            )
            .await
            .context("read the rows of the groups")?;
        let group = |row: &tokio_postgres::Row| GroupRow {
            hash: row.get(0),
            label: row.get(1),
            rows: row.get(2),
        };
        Ok(rows.iter().map(|row| (row.get(0), group(row))).collect())
    }

    /// Keeps how many keys came, went and changed.
    pub async fn record_keys(
        &self,
        build: &Build,
        table: &str,
        measure: i64,
        keys: KeyChange,
    ) -> Result<()> {
        let [added, removed, changed, unchanged] =
            [keys.added, keys.removed, keys.changed, keys.unchanged].map(|count| count as i64);
        self.session
            .execute(
                "insert into ledger.key_change (build, table_name, measure_build, added, removed, changed, unchanged)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (build, table_name) do update set measure_build = excluded.measure_build,
                        added = excluded.added, removed = excluded.removed,
                        changed = excluded.changed, unchanged = excluded.unchanged",
                &[&build.id, &table, &measure, &added, &removed, &changed, &unchanged],
            )
            .await
            .context("record the changed keys")?;
        Ok(())
    }
}
