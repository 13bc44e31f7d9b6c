//! Statistics, the visibility map and frozen rows: what a finished table still needs.
//!
//! In: a session on the build. Out: for each table a [`Job`] that may begin when its indexes are there:
//! VACUUM and CREATE INDEX exclude each other on one table. After COPY FREEZE there is almost nothing to
//! do but the statistics. The parts of a partitioned table are only frozen one by one: ANALYZE of the
//! whole table takes them with it.

use crate::postgres::{Session, quote_ident};
use crate::schema::jobs::{Job, Lock, Step};
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// Freezing after a load and taking a sample cost about half of reading the table.
const WEIGHT: u32 = 5;

/// A table of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableToVacuum {
    pub oid: u32,
    /// The uppermost partitioned table, or the table itself.
    pub root_oid: u32,
    /// As SQL.
    pub ident: String,
    /// One of the stamp's, which is written until the end.
    pub is_stamp: bool,
    /// Has parts instead of rows.
    pub partitioned: bool,
}

/// All tables: the parts before the partitioned ones, the largest first.
pub async fn tables(session: &Session) -> Result<Vec<TableToVacuum>> {
    let rows = session
        .query(
            "select c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid), n.nspname::text, c.relname::text,
                    c.relkind = 'p'
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where (c.relkind in ('r', 'm') or c.relkind = 'p' and not c.relispartition)
               and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
             order by c.relkind = 'p', c.relpages desc, c.oid",
            &[],
        )
        .await
        .context("list the tables")?;
    let table = |row: &tokio_postgres::Row| {
        let (schema, name): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        Ok(TableToVacuum {
            oid: row.try_get(0)?,
            root_oid: row.try_get(1)?,
            ident: format!("{}.{}", quote_ident(&schema), quote_ident(&name)),
            is_stamp: schema == "overnight",
            partitioned: row.try_get(4)?,
        })
    };
    rows.iter().map(table).collect()
}

/// Adds a job for each of `tables`, behind the jobs of their indexes.
///
/// While another load is under way only rows that came `frozen` can be marked visible: a VACUUM freezes
/// no row that is younger than the oldest transaction of its database.
pub fn add_vacuum(
    mut jobs: Vec<Job>,
    tables: &[TableToVacuum],
    frozen: &BTreeSet<u32>,
) -> Vec<Job> {
    let indexes = jobs.len();
    // The list has the parts first, so they are here when their partitioned table comes.
    for table in tables {
        let statement = match (table.partitioned, table.oid == table.root_oid) {
            (true, _) => format!("analyze {}", table.ident),
            (false, true) => format!("vacuum (freeze, analyze) {}", table.ident),
            (false, false) => format!("vacuum (freeze) {}", table.ident),
        };
        let comes_first = |(at, job): &(usize, &Job)| match (at < &indexes, table.partitioned) {
            (true, _) => {
                job.table_oid == table.oid && matches!(job.step, Step::Build | Step::Finish)
            }
            (false, true) => job.locks.iter().any(|l| l.table_oid == table.root_oid),
            (false, false) => false,
        };
        let after = jobs.iter().enumerate().filter(comes_first);
        let after = after.map(|(at, _)| at).collect();
        jobs.push(Job {
            name: statement.clone(),
            step: Step::Vacuum,
            table_oid: table.oid,
            weight: WEIGHT,
            statements: vec![statement],
            after,
            calm: !frozen.contains(&table.oid),
            locks: vec![Lock {
                table_oid: table.root_oid,
                alone: table.partitioned,
            }],
        });
    }
    jobs
}

/// Freezes once more what a VACUUM could not, and returns the tables.
///
/// The snapshot of a session beside it, even one that only analyzes, reaches back to the oldest
/// transaction of the whole server; so now one after the other, with nobody else in the database.
pub async fn freeze_the_rest(session: &Session) -> Result<Vec<String>> {
    let rows = session
        .query(
            "select n.nspname::text, c.relname::text
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'm') and c.relallvisible < c.relpages
               and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
            &[],
        )
        .await
        .context("look for rows that are not frozen")?;
    let mut again = Vec::new();
    for row in rows {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let table = format!("{}.{}", quote_ident(&schema), quote_ident(&name));
        session
            .batch_execute(&format!("vacuum (freeze) {table}"))
            .await
            .with_context(|| format!("freeze {table}"))?;
        again.push(table);
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, root_oid: u32, partitioned: bool) -> TableToVacuum {
        TableToVacuum {
            oid,
            root_oid,
            ident: format!("t{oid}"),
            is_stamp: false,
            partitioned,
        }
    }

    fn index(table_oid: u32, root: u32, step: Step) -> Job {
        Job {
            name: "index".into(),
            step,
            table_oid,
            weight: 30,
            statements: Vec::new(),
            after: Vec::new(),
            calm: false,
            locks: vec![Lock {
                table_oid: root,
                alone: step != Step::Build,
            }],
        }
    }

    #[test]
    fn a_table_is_vacuumed_behind_its_indexes_and_a_whole_behind_its_parts() {
        let indexes = vec![
            index(1, 1, Step::Build),
            index(1, 1, Step::Finish),
            index(11, 10, Step::Build),
            index(12, 10, Step::Build),
            index(10, 10, Step::Finish),
            index(1, 1, Step::Validate),
        ];
        let tables = [
            table(1, 1, false),
            table(11, 10, false),
            table(12, 10, false),
            table(10, 10, true),
        ];
        let jobs = add_vacuum(indexes, &tables, &BTreeSet::from([1]));
        assert!(!jobs[6].calm && jobs[7].calm);
        let added: Vec<(&str, &[usize])> = jobs[6..]
            .iter()
            .map(|job| (job.name.as_str(), job.after.as_slice()))
            .collect();
        assert_eq!(
            added,
            [
                ("vacuum (freeze, analyze) t1", [0, 1].as_slice()),
                ("vacuum (freeze) t11", &[2]),
                ("vacuum (freeze) t12", &[3]),
                ("analyze t10", &[4, 7, 8]),
            ]
        );
        // Parts go side by side, but not beside what locks the whole.
        assert!(jobs[7].beside(&jobs[8]) && jobs[7].beside(&jobs[2]));
        assert!(!jobs[7].beside(&jobs[4]) && !jobs[6].beside(&jobs[5]));
    }
}
