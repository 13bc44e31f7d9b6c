//! The counts and times of a build: stages, tables, objects, SQL files.

use super::{Build, Ledger};
use crate::load::{InputCount, TableLoad};
use crate::progress::StageTime;
use anyhow::{Context, Result};

impl Ledger {
    /// Keeps what a build counted and how long it took.
    pub async fn record_counts(
        &self,
        build: &Build,
        records: u64,
        rows: u64,
        bytes: u64,
        seconds: f64,
    ) -> Result<()> {
        self.session
            .execute(
                "update ledger.build set records_read = $2, rows_loaded = $3, bytes_read = $4, seconds = $5
                 where id = $1",
                &[&build.id, &(records as i64), &(rows as i64), &(bytes as i64), &seconds],
            )
            .await
            .context("record the counts")?;
        Ok(())
    }

    /// Keeps the stages of a build.
    pub async fn record_stages(&self, build: &Build, stages: &[StageTime]) -> Result<()> {
        for (position, stage) in stages.iter().enumerate() {
            self.session
                .execute(
                    "insert into ledger.stage (build, position, stage, seconds, rows_done, bytes_done, sessions, client_cpu_seconds)
                     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
                    &[
                        &build.id,
                        &(position as i32),
                        &stage.stage,
                        &stage.seconds,
                        &stage.rows.map(|rows| rows as i64),
                        &stage.bytes.map(|bytes| bytes as i64),
                        &stage.sessions.map(|sessions| sessions as i32),
                        &stage.client_cpu_seconds,
                    ],
                )
                .await
                .context("record the stages")?;
        }
        Ok(())
    }

    /// Seconds of the stages of a build behind its load.
    pub async fn seconds_behind_load(&self, build: i64) -> Result<f64> {
        let row = self
            .session
            .query_one(
                "select coalesce(sum(s.seconds), 0) from ledger.stage s
                 where s.build = $1 and s.position > (
                     select l.position from ledger.stage l where l.build = $1 and l.stage = 'load')",
                &[&build],
            )
            .await
            .context("read the stages from the ledger")?;
        Ok(row.get(0))
    }

    /// Keeps what each object and table brought.
    pub async fn record_loads(&self, build: &Build, loads: &[TableLoad]) -> Result<()> {
        for load in loads {
            self.session
                .execute(
                    "insert into ledger.loaded (build, table_name, rows_loaded) values ($1, $2, $3)
                     on conflict do nothing",
                    &[&build.id, &load.table, &(load.rows as i64)],
                )
                .await
                .context("record the row counts")?;
            // Of a table that an earlier run has loaded, no times are known.
            if load.timing.streams > 0 {
                self.record_timing(build, load).await?;
            }
            self.record_inputs(build, load).await?;
        }
        Ok(())
    }

    /// In a few statements: thousands of objects are not worth a round trip each.
    async fn record_inputs(&self, build: &Build, load: &TableLoad) -> Result<()> {
        for some in load.inputs.chunks(10_000) {
            let text = |pick: fn(&InputCount) -> &str| some.iter().map(pick).collect::<Vec<_>>();
            let number = |pick: fn(&InputCount) -> u64| {
                let numbers = some.iter().map(|input| pick(input) as i64);
                numbers.collect::<Vec<_>>()
            };
            self.session
                .execute(
                    "insert into ledger.input
                         (build, source, key, version, bytes, sha256, records_read, rows_loaded, rejected)
                     select $1, $2, * from unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[])
                     on conflict do nothing",
                    &[
                        &build.id,
                        &load.source,
                        &text(|input| &input.key),
                        &text(|input| &input.version),
                        &number(|input| input.bytes),
                        &text(|input| &input.sha256),
                        &number(|input| input.records_read),
                        &number(|input| input.rows_loaded),
                        &number(|input| input.rejected),
                    ],
                )
                .await
                .context("record the inputs")?;
        }
        Ok(())
    }

    async fn record_timing(&self, build: &Build, load: &TableLoad) -> Result<()> {
        let timing = &load.timing;
        self.session
            .execute(
                "insert into ledger.table_timing
                     (build, table_name, seconds, streams, readers, bytes_read, bytes_sent, rows_sent,
                      waiting_for_input_seconds, decompress_cpu_seconds, parse_cpu_seconds,
                      waiting_for_parse_seconds, waiting_for_server_seconds, sort_cpu_seconds)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                 on conflict do nothing",
                &[
                    &build.id,
                    &load.table,
                    &timing.seconds,
                    &(timing.streams as i32),
                    &(timing.readers as i32),
                    &(timing.bytes_read as i64),
                    &(timing.bytes_sent as i64),
                    &(timing.rows as i64),
                    &timing.waiting_for_input_s,
                    &timing.decompress_cpu_s,
                    &timing.parse_cpu_s,
                    &timing.waiting_for_parse_s,
                    &timing.waiting_for_server_s,
                    &timing.sort_cpu_s,
                ],
            )
            .await
            .context("record where the time went")?;
        Ok(())
    }

    /// Keeps the digest of a numbered file.
    pub async fn record_sql_file(&self, build: &Build, path: &str, sha256: &str) -> Result<()> {
        self.session
            .execute(
                "insert into ledger.sql_file (build, path, sha256) values ($1, $2, $3)",
                &[&build.id, &path, &sha256],
            )
            .await
            .context("record the SQL digests")?;
        Ok(())
    }

    /// Rows that a build loaded into each table.
    pub async fn loaded(&self, build: i64) -> Result<Vec<(String, i64)>> {
        let rows = self
            .session
            .query(
                "select table_name, rows_loaded from ledger.loaded where build = $1",
                &[&build],
            )
            .await
            .context("read the row counts from the ledger")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
