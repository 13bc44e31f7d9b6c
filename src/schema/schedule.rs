//! Works off a list of jobs on several sessions, also while tables are still being loaded.
//!
//! In: jobs in the order of their dependencies, a way to open sessions, [`Limits`], and the tables that
//! a load is still filling. Out: everything is done, or the first error. A busy session holds a slot,
//! and so does a COPY, so that together they are no more than the server has cores for. After an error
//! nothing new begins, and what still runs is cancelled through a session of our own and awaited, so
//! that the caller can drop the build.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::Client;

use super::jobs::Job;
use super::queue::Queue;
use super::worker::{Done, Limits, Worker};
use crate::crashpoint;

/// How long to wait for cancelled jobs before they are cancelled once more.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// Tables that a load is filling, and the way to hear that one is ready.
pub struct Loading {
    /// By the table that a source fills: its uppermost partitioned table, or itself.
    pub roots: HashMap<u32, u32>,
    /// Gives a key of `roots` when its load has committed; ends when the load has ended.
    pub loaded: UnboundedReceiver<u32>,
}

/// Runs all of `jobs`. `sizes` has bytes by table, as far as they are known; those of tables in
/// `loading` are asked for when they are ready. `on_done` hears of each job as it ends.
///
/// # Errors
/// No session can be opened, a statement fails, or the load ends with tables missing.
pub async fn work_off<C, F, O>(
    jobs: Vec<Job>,
    open: O,
    limits: &Limits,
    sizes: HashMap<u32, u64>,
    mut loading: Option<Loading>,
    mut on_done: impl FnMut(&Job, Duration),
) -> Result<()>
where
    C: Borrow<Client>,
    F: Future<Output = Result<C>>,
    O: Fn() -> F,
{
    if jobs.is_empty() {
        return Ok(());
    }
    // Asks for sizes, and stops the others.
    let control = Worker::open(&open, limits).await?;
    let absent = loading.iter().flat_map(|l| l.roots.values().copied());
    let mut queue = Queue::new(jobs, absent.collect(), sizes);
    let mut idle = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut pids: HashMap<usize, i32> = HashMap::new();
    let mut failed: Option<anyhow::Error> = None;
    while !running.is_empty() || (failed.is_none() && !queue.is_empty()) {
        let may_start = failed.is_none() && running.len() < limits.sessions && queue.is_ready();
        tokio::select! {
            biased;
            Some(done) = running.next(), if !running.is_empty() => {
                let Done { at, worker, elapsed, result } = done;
                pids.remove(&at);
                queue.finish(at);
                idle.push(worker);
                match result {
                    Ok(()) => {
                        if let Some(job) = queue.job(at) {
                            on_done(job, elapsed);
                        }
                    }
                    Err(error) if failed.is_none() => failed = Some(error),
                    // Cancelled after the first.
                    Err(_) => continue,
                }
            }
            heard = hear(&mut loading), if failed.is_none() && loading.is_some() => {
                let heard = match heard {
                    Some(root) => sizes_of(control.client.borrow(), root).await.map(|s| (root, s)),
                    None => Err(anyhow!("the load has ended before its tables were loaded")),
                };
                match heard {
                    Ok((root, sizes)) => queue.arrived(root, sizes),
                    Err(error) => failed = Some(error),
                }
            }
            slot = Arc::clone(&limits.slots).acquire_owned(), if may_start => {
                let slot = slot.context("wait for a free slot of the server")?;
                let helpers = limits.helpers(queue.builds());
                // Beside a load, only what is free.
                let helpers = match &loading {
                    Some(_) => helpers.min(limits.slots.available_permits()),
                    None => helpers,
                };
                let worker = match idle.pop() {
                    Some(worker) => Ok(worker),
                    None => Worker::open(&open, limits).await,
                };
                match worker {
                    Ok(worker) => if let Some((at, job)) = queue.start() {
                        crashpoint::reached("put_back.before");
                        tracing::debug!("{job} begins, with {helpers} parallel workers at most");
                        pids.insert(at, worker.pid);
                        running.push(worker.run(at, job, helpers, slot));
                    },
                    Err(error) => failed = Some(error),
                }
            }
            // A job that had not reached its server yet was not there to be cancelled: ask again.
            () = tokio::time::sleep(CANCEL_AGAIN), if failed.is_some() => {}
            else => failed = Some(anyhow!("put keys back: the jobs wait for each other")),
        }
        if failed.is_some() && !running.is_empty() {
            control.cancel(pids.values()).await;
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The next uppermost table of which all parts are loaded; `None` if the load ends before.
async fn hear(loading: &mut Option<Loading>) -> Option<u32> {
    let Some(open) = loading else { return None };
    loop {
        let table = open.loaded.recv().await?;
        let Some(root) = open.roots.remove(&table) else {
            continue;
        };
        if !open.roots.values().any(|other| *other == root) {
            if open.roots.is_empty() {
                *loading = None;
            }
            return Some(root);
        }
    }
}

/// Bytes of a table and of its parts.
async fn sizes_of(client: &Client, root: u32) -> Result<HashMap<u32, u64>> {
    table_sizes(client, &BTreeSet::from([root])).await
}

/// Bytes of tables and of their parts.
///
/// # Errors
/// The server refuses the query.
pub async fn table_sizes(client: &Client, roots: &BTreeSet<u32>) -> Result<HashMap<u32, u64>> {
    let roots: Vec<u32> = roots.iter().copied().collect();
    let rows = client
        .query(
            "SELECT oid, pg_relation_size(oid) FROM pg_class \
             WHERE relkind IN ('r', 'm') AND coalesce(pg_partition_root(oid)::oid, oid) = ANY ($1)",
            &[&roots],
        )
        .await
        .context("ask for the sizes of tables")?;
    let size = |row: &tokio_postgres::Row| {
        let bytes: Option<i64> = row.try_get(1)?;
        let bytes = u64::try_from(bytes.unwrap_or(0)).unwrap_or(0);
        Ok((row.try_get(0)?, bytes))
    };
    rows.iter().map(size).collect()
}
