//! Orders the steps that put indexes, keys and foreign keys back.
//!
//! In: a [`SetAside`]. Out: [`Job`]s, each with its statements, the jobs it waits for and the tables it
//! locks; every job stands after those it waits for, so running the list from front to back is right
//! too. Indexes of one table build side by side; they become constraints when all of them are there;
//! foreign keys follow the keys of both their tables.
//!
//! Two jobs that lock the same table never run at once: the second would hold a session and wait, and
//! two foreign keys in opposite directions would deadlock.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::set_aside::{ForeignKey, Key, SetAside};
use crate::postgres::error::Answer;

/// One step of putting back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// For people: `primary key plan_pkey on public.plan`.
    pub name: String,
    pub step: Step,
    /// The table whose size tells how long it takes.
    pub table_oid: u32,
    /// What each byte of that table costs, against other jobs.
    pub weight: u32,
    /// Run one after another on one session.
    pub statements: Vec<String>,
    /// Positions, in the list of jobs, of those that must be done before.
    pub after: Vec<usize>,
    /// Waits until no table is being loaded.
    pub calm: bool,
    /// Tables, by their uppermost partitioned table, that are locked while it runs.
    pub locks: Vec<Lock>,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Short: makes an index a constraint, attaches parts, gives back comments and marks.
    Finish,
    /// Short between plain tables, where it does not look at the rows.
    AddForeignKey,
    /// Reads and sorts a table.
    Build,
    /// Reads two tables.
    Validate,
    /// Freezes or analyzes a table that has its indexes.
    Vacuum,
}

/// A table that a job locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    pub table_oid: u32,
    /// False where others that lock it like this may run beside it.
    pub alone: bool,
}

impl Job {
    /// Runs the statements on `client`.
    ///
    /// # Errors
    /// The server refuses one; the message names the constraint or index and holds no value.
    pub async fn run(&self, client: &Client) -> Result<()> {
        for statement in &self.statements {
            client
                .batch_execute(statement)
                .await
                .map_err(Answer::from)
                .with_context(|| self.to_string())?;
        }
        Ok(())
    }

    /// Says whether both may run at the same time as far as locks go.
    pub fn beside(&self, other: &Job) -> bool {
        !self.locks.iter().any(|mine| {
            let theirs = other.locks.iter().find(|l| l.table_oid == mine.table_oid);
            theirs.is_some_and(|theirs| mine.alone || theirs.alone)
        })
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Vacuum => f.write_str(&self.name),
            _ => write!(f, "put back {}", self.name),
        }
    }
}

/// Makes the list of jobs.
pub(super) fn graph(set_aside: &SetAside) -> Vec<Job> {
    let mut jobs = Vec::new();
    let (parted, plain): (Vec<&Key>, Vec<&Key>) =
        set_aside.keys.iter().partition(|key| key.partitioned);
    // The job after which an index is complete.
    let mut complete: HashMap<u32, usize> = HashMap::new();
    let mut builds: HashMap<u32, Vec<usize>> = HashMap::new();
    for key in &plain {
        complete.insert(key.oid, jobs.len());
        builds.entry(key.table_oid).or_default().push(jobs.len());
        jobs.push(build(key));
    }
    for key in &plain {
        if !key.finish.is_empty() {
            complete.insert(key.oid, jobs.len());
            let after = builds.get(&key.table_oid).cloned().unwrap_or_default();
            jobs.push(finish(key, after));
        }
    }
    // From the lowest partitioned tables upwards: an index waits until all its parts have their jobs.
    let mut waiting = parted;
    while !waiting.is_empty() {
        let (later, now): (Vec<&Key>, Vec<&Key>) = waiting
            .iter()
            .partition(|key| waiting.iter().any(|other| other.parent == Some(key.oid)));
        if now.is_empty() {
            break; // Cannot be: an index is not a part of itself.
        }
        for key in now {
            let parts = set_aside.keys.iter().filter(|k| k.parent == Some(key.oid));
            let parts: Vec<&Key> = parts.collect();
            let after = parts.iter().filter_map(|k| complete.get(&k.oid).copied());
            let after = after.collect();
            complete.insert(key.oid, jobs.len());
            jobs.push(join_parts(key, &parts, after));
        }
        waiting = later;
    }
    let keys = jobs.len();
    let mut last_of: HashMap<u32, usize> = HashMap::new();
    for key in &set_aside.foreign_keys {
        let touched = [key.root_oid, key.target_root_oid];
        let waits_for = |job: &Job| job.locks.iter().any(|l| touched.contains(&l.table_oid));
        let mut after: Vec<usize> = (0..keys)
            .filter(|at| jobs.get(*at).is_some_and(waits_for))
            .collect();
        // A key of a partitioned table takes over an equal one that a partition already has, so the
        // order of creation is kept within one tree.
        after.extend(last_of.insert(key.root_oid, jobs.len()));
        jobs.push(add(key, after));
        if let Some(sql) = &key.validate {
            jobs.push(validate(key, sql, jobs.len() - 1));
        }
    }
    jobs
}

fn build(key: &Key) -> Job {
    Job {
        name: key.name.clone(),
        step: Step::Build,
        table_oid: key.table_oid,
        weight: key.weight,
        statements: vec![key.build.clone()],
        after: Vec::new(),
        calm: false,
        locks: locks([key.root_oid], key.whole),
    }
}

fn finish(key: &Key, after: Vec<usize>) -> Job {
    Job {
        name: key.name.clone(),
        step: Step::Finish,
        table_oid: key.table_oid,
        weight: 0,
        statements: key.finish.clone(),
        after,
        calm: false,
        locks: locks([key.root_oid], true),
    }
}

/// Makes the index of a partitioned table and attaches its parts.
fn join_parts(key: &Key, parts: &[&Key], after: Vec<usize>) -> Job {
    let mut statements = vec![key.build.clone()];
    let attach = |part: &&Key| format!("ALTER INDEX {} ATTACH PARTITION {}", key.ident, part.ident);
    statements.extend(parts.iter().map(attach));
    statements.extend(key.finish.iter().cloned());
    Job {
        name: key.name.clone(),
        step: Step::Finish,
        table_oid: key.table_oid,
        weight: 0,
        statements,
        after,
        calm: false,
        locks: locks([key.root_oid], true),
    }
}

fn add(key: &ForeignKey, after: Vec<usize>) -> Job {
    Job {
        name: key.name.clone(),
        step: Step::AddForeignKey,
        table_oid: key.table_oid,
        weight: 0,
        statements: key.build.clone(),
        after,
        calm: false,
        locks: locks([key.root_oid, key.target_root_oid], true),
    }
}

/// Locks the referencing table against other changes; the referenced one is only read.
fn validate(key: &ForeignKey, sql: &str, after: usize) -> Job {
    Job {
        name: key.name.clone(),
        step: Step::Validate,
        table_oid: key.table_oid,
        weight: 20,
        statements: vec![sql.to_owned()],
        after: vec![after],
        calm: false,
        locks: locks([key.root_oid], true),
    }
}

fn locks<const N: usize>(tables: [u32; N], alone: bool) -> Vec<Lock> {
    let lock = |table_oid| Lock { table_oid, alone };
    tables.into_iter().map(lock).collect()
}
