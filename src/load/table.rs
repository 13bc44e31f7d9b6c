//! The load of one table: its objects in order into its streams, then the receipt.
//!
//! One stream has one transaction: truncate, COPY with FREEZE, receipt, commit. With several, all
//! wait with their commits until every row of the table is in the server and the counts agree; the
//! first one, which carries the receipt, commits last. So a table has a receipt only when all of it
//! is there.

use super::cause::both;
use super::connections::{Connections, Sizes, connections};
use super::reading::{Deal, Reading};
use super::stream::{Feed, Stream, Streaming, Target};
use super::{Destination, Loader, TableJob, TableLoad, receipt, rejects};
use crate::config::CopyFormat;
use crate::crashpoint;
use crate::postgres::quote_ident;
use crate::progress::TableProgress;
use crate::route::Routing;
use crate::switch;
use anyhow::{Context, Result, bail};
use futures_util::future::{join_all, try_join_all};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::{Mutex, mpsc};

/// Batches that wait for a stream.
const BATCHES_WAITING: usize = 2;

/// Loads one table.
pub async fn load_table(
    loader: &Loader<'_>,
    destination: Destination<'_>,
    job: &TableJob,
    progress: Arc<TableProgress>,
    connections: &Connections,
) -> Result<TableLoad> {
    let source = job.plan.source.name.clone();
    let outcome = load(loader, destination, job, &progress, connections.count).await;
    let load = outcome
        .with_context(|| format!("load source `{source}` into `{}`", destination.database))?;
    progress.done.store(true, Ordering::Relaxed);
    Ok(load)
}

/// Decides how many connections a table gets of `most` over all.
pub fn connections_of(job: &TableJob, all_bytes: u64, most: usize) -> Connections {
    let sizes = Sizes {
        table_bytes: job.bytes(),
        all_bytes,
        leaves: match &job.plan.routing {
            Some(Routing::Leaves(router)) => Some(router.leaves().len()),
            _ => None,
        },
        keep_order: job.plan.keeps_order(),
    };
    match &job.plan.routing {
        // The server routes: it would not take the rows faster, and never frozen.
        Some(Routing::Parent(reason)) => Connections {
            count: 1,
            reason: format!("the server routes the rows, because {reason}"),
        },
        _ => connections(sizes, most),
    }
}

/// Tables and leaves whose rows the load freezes as it writes them.
pub fn frozen_by_load(jobs: &[TableJob], most: usize) -> BTreeSet<u32> {
    let all_bytes = jobs.iter().map(TableJob::bytes).sum();
    let frozen = |job: &&TableJob| is_frozen(job, connections_of(job, all_bytes, most).count);
    jobs.iter()
        .filter(frozen)
        .flat_map(|job| {
            let leaves = match &job.plan.routing {
                Some(Routing::Leaves(router)) => router.leaves(),
                _ => &[],
            };
            let leaves = leaves.iter().map(|leaf| leaf.oid);
            leaves.chain([job.plan.table_oid])
        })
        .collect()
}

/// What one connection alone writes it may truncate, and so freeze.
fn is_frozen(job: &TableJob, connections: usize) -> bool {
    match job.plan.routing {
        Some(Routing::Leaves(_)) => true,
        Some(Routing::Parent(_)) => false,
        None => connections == 1,
    }
}

async fn load(
    loader: &Loader<'_>,
    destination: Destination<'_>,
    job: &TableJob,
    progress: &Arc<TableProgress>,
    count: usize,
) -> Result<TableLoad> {
    let began = Instant::now();
    let source = &job.plan.source;
    let router = match &job.plan.routing {
        Some(Routing::Leaves(router)) => Some(Arc::new(router.clone())),
        _ => None,
    };
    let alone = is_frozen(job, count);
    let format = loader.request.settings.copy_format;
    let targets = targets(job, format, alone);
    let streaming = Streaming {
        server: destination.server,
        database: destination.database,
        table: source.full_table(),
        targets: &targets,
        objects: &job.objects,
        progress,
        format,
        stall_limit: loader.request.settings.stall_limit,
        throttle: &loader.request.throttle,
    };
    if !alone && switch::on("resume.truncate") {
        empty(&streaming).await?;
    }
    let stream_of: Vec<usize> = (0..targets.len()).map(|target| target % count).collect();
    let opening = (0..count).map(|stream| {
        let own =
            (0..targets.len()).filter(|target| alone && stream_of.get(*target) == Some(&stream));
        let own: Vec<usize> = own.collect();
        let streaming = &streaming;
        async move { Stream::open(streaming, &own).await }
    });
    let streams = try_join_all(opening).await?;
    let (deal, feeds) = deal(router.is_some(), count, stream_of);
    let mut load = TableLoad::begin(source);
    load.timing.streams = count as u32;
    let reading = Reading::new(loader, job, progress, router, deal, load);
    let sending = streams.into_iter().zip(feeds);
    let sending = try_join_all(sending.map(|(stream, feed)| stream.run(feed)));
    let (mut load, streams) = both(reading.run(), sending).await?;
    load.rows = streams.iter().map(|stream| stream.rows).sum();
    receipt::check_counts(&load)?;
    rejects::warn_of_unlisted(&load);
    rejects::check_budget(source, &load)?;
    commit(&streams, &load).await?;
    let timing = &mut load.timing;
    timing.rows = load.rows;
    timing.bytes_read = load.inputs.iter().map(|input| input.bytes).sum();
    timing.bytes_sent = streams.iter().map(|stream| stream.bytes).sum();
    timing.waiting_for_parse_s = streams.iter().map(|s| s.waiting_for_parse_s).sum();
    timing.waiting_for_server_s = streams.iter().map(|s| s.waiting_for_server_s).sum();
    timing.seconds = began.elapsed().as_secs_f64();
    join_all(streams.into_iter().map(|stream| stream.session.close())).await;
    Ok(load)
}

/// Empties a table that no stream may truncate for itself: whatever schema files have put into a
/// table that a source fills is not part of its load, and neither is what another run has committed
/// without a receipt.
async fn empty(streaming: &Streaming<'_>) -> Result<()> {
    let purpose = format!("empty {}", streaming.table);
    let session = streaming
        .server
        .connect(streaming.database, &purpose)
        .await?;
    for target in streaming.targets {
        session
            .batch_execute(&format!("truncate {}", target.table))
            .await
            .with_context(|| format!("empty {}", streaming.table))?;
    }
    session.close().await;
    Ok(())
}

/// The receipt goes with the first stream, which commits last.
async fn commit(streams: &[Stream<'_>], load: &TableLoad) -> Result<()> {
    let Some((first, others)) = streams.split_first() else {
        bail!("`{}` has no connection", load.table);
    };
    let transactions = streams
        .iter()
        .map(|stream| receipt::transaction(&stream.session));
    let transactions = try_join_all(transactions).await?;
    receipt::write(&first.session, load, &transactions).await?;
    crashpoint::reached("load.before_commit");
    for stream in others {
        commit_one(stream, load).await?;
    }
    crashpoint::reached("load.before_last_commit");
    commit_one(first, load).await?;
    crashpoint::reached("load.after_commit");
    Ok(())
}

async fn commit_one(stream: &Stream<'_>, load: &TableLoad) -> Result<()> {
    let committed = stream.session.batch_execute("commit").await;
    committed.with_context(|| format!("commit the load of {}", load.table))
}

/// The table, or its leaves in the order of the router.
fn targets(job: &TableJob, format: CopyFormat, freeze: bool) -> Vec<Target> {
    let format = match format {
        CopyFormat::Binary => "binary",
        CopyFormat::Text => "text",
    };
    let columns: Vec<String> = job.plan.copy_columns().map(quote_ident).collect();
    let columns = columns.join(", ");
    let target = |schema: &str, name: &str| {
        let table = format!("{}.{}", quote_ident(schema), quote_ident(name));
        let freeze = if freeze { ", freeze" } else { "" };
        Target {
            statement: format!("copy {table} ({columns}) from stdin (format {format}{freeze})"),
            table,
        }
    };
    match &job.plan.routing {
        Some(Routing::Leaves(router)) => {
            let leaves = router.leaves().iter();
            leaves
                .map(|leaf| target(&leaf.schema, &leaf.name))
                .collect()
        }
        _ => vec![target(&job.plan.source.schema, &job.plan.source.table)],
    }
}

fn deal(routed: bool, count: usize, stream_of: Vec<usize>) -> (Deal, Vec<Feed>) {
    if !routed {
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING * count);
        let shared = Arc::new(Mutex::new(receiver));
        let feeds = (0..count).map(|_| Feed::Shared(Arc::clone(&shared)));
        return (Deal::Any(sender), feeds.collect());
    }
    let channels = (0..count).map(|_| mpsc::channel(BATCHES_WAITING));
    let (streams, feeds): (Vec<_>, Vec<_>) = channels
        .map(|(sender, receiver)| (sender, Feed::Own(receiver)))
        .unzip();
    (Deal::Leaves { streams, stream_of }, feeds)
}
