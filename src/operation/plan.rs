//! What a run would do, found out by doing everything but the load.
//!
//! Makes a database, runs the schema files, looks at every header, rehearses, and drops the
//! database again. No alias is touched and nothing is loaded.

use super::Workplace;
use super::hints::{Hint, hints};
use crate::build;
use crate::capacity::Capacity;
use crate::config::Env;
use crate::dataset::Dataset;
use crate::ledger::Build;
use crate::load::connections::Connections;
use crate::load::{connections_of, memory_bound_bytes};
use crate::manifest::Manifest;
use crate::nightly::brake::Brake;
use crate::nightly::inputs::{input_digest, made_from};
use crate::nightly::{Prepared, Run, live_build};
use crate::progress::Progress;
use crate::rotate::refuse_stranger;
use crate::schema::files::SqlFiles;
use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

/// What a run would do.
#[derive(Debug, Serialize)]
pub struct Plan {
    pub dataset: String,
    /// The live build was made from exactly these inputs.
    pub unchanged: bool,
    pub live: Option<String>,
    pub objects: usize,
    pub bytes: u64,
    pub unused: Vec<String>,
    pub tables: Vec<PlannedTable>,
    pub sql: Vec<String>,
    pub not_rehearsed: Vec<String>,
    /// Types and collations that cost, with their prices.
    pub hints: Vec<Hint>,
    /// What is set aside and put back after the load.
    pub put_back: Vec<String>,
    /// From the last build of this dataset, scaled by the bytes of the inputs.
    pub disk_bytes: Option<u64>,
    pub seconds: Option<f64>,
    /// Most memory for records, rows and files being read.
    pub memory_bytes: usize,
    pub connections: usize,
    /// What decides how much happens at once on the server.
    pub server: Capacity,
    /// Sessions that build indexes side by side, and `maintenance_work_mem` of each build.
    pub index_sessions: usize,
    pub index_memory_bytes: u64,
    /// What comes back only behind derive files.
    pub behind: Vec<Behind>,
}

/// Keys of derived tables that come back behind one derive file, in the order of their jobs.
#[derive(Debug, Serialize)]
pub struct Behind {
    pub file: String,
    pub put_back: Vec<String>,
}

/// One table and what fills it.
#[derive(Debug, Serialize)]
pub struct PlannedTable {
    pub table: String,
    pub source: String,
    pub objects: usize,
    pub bytes: u64,
    /// How many connections load it, and why.
    pub connections: Connections,
    pub columns: Vec<(String, String)>,
}

/// Finds out.
pub async fn plan(
    place: &Workplace,
    dataset: &Dataset,
    progress: &Progress,
    env: Env<'_>,
) -> Result<Plan> {
    progress.begin(&dataset.name);
    progress.stage("plan");
    let files = SqlFiles::read(&dataset.sql)?;
    let ledger = place
        .for_build(dataset, &format!("plan {}", dataset.name))
        .await?;
    let location = place.location().await?;
    let manifest = Manifest::pin(dataset, &location, Timestamp::now()).await?;
    let digest = input_digest(dataset, &files, &manifest);
    let live = live_build(&ledger, dataset).await?;
    refuse_stranger(&ledger, &place.server, &place.router, &dataset.name).await?;
    let mut run = Run {
        place,
        ledger: &ledger,
        dataset,
        files: &files,
        location: &location,
        manifest: &manifest,
        progress,
        capacity: place.capacity(&ledger.session).await?,
        env,
        brake: Brake::default(),
    };
    let left = run.sessions_left().await?;
    run.capacity
        .leave_others(left, place.config.load.connections);
    let scratch = build::create(
        &ledger,
        &place.server,
        dataset,
        &digest,
        &place.config.locale,
    )
    .await?;
    let prepared = prepare(&run, &scratch).await;
    run.discard(&scratch).await;
    let (prepared, hints) = prepared?;
    let limits = run.limits();
    let (_, parts) = prepared.late.split(&prepared.set_aside);
    progress.finish();
    let connections = run.capacity.connections(place.config.load.connections);
    let all_bytes = manifest.bytes();
    // An archive that several sources read is one object.
    let inputs = manifest.inputs.iter().flat_map(|input| &input.objects);
    let objects: std::collections::BTreeMap<&str, u64> = inputs
        .map(|object| (object.key.as_str(), object.size))
        .collect();
    let (disk_bytes, seconds) = estimate(&ledger, live.as_ref(), manifest.bytes()).await?;
    Ok(Plan {
        dataset: dataset.name.clone(),
        unchanged: match &live {
            Some(live) => made_from(&ledger, live, &location, &manifest, &digest).await?,
            None => false,
        },
        live: live.map(|live| live.name),
        objects: objects.len(),
        bytes: objects.values().sum(),
        unused: manifest.unused.clone(),
        tables: prepared
            .jobs
            .iter()
            .map(|job| PlannedTable {
                table: job.plan.source.full_table(),
                source: job.plan.source.name.clone(),
                objects: job.objects.len(),
                bytes: job.objects.iter().map(|object| object.size).sum(),
                connections: connections_of(job, all_bytes, connections),
                columns: job
                    .plan
                    .described()
                    .map(|(name, ty)| (name.to_owned(), ty))
                    .collect(),
            })
            .collect(),
        sql: files
            .all()
            .map(|(part, file)| format!("{part}/{}", file.name))
            .collect(),
        not_rehearsed: prepared.not_rehearsed,
        hints,
        put_back: prepared
            .set_aside
            .jobs()
            .into_iter()
            .flat_map(|job| job.statements)
            .collect(),
        disk_bytes,
        seconds,
        memory_bytes: memory_bound_bytes(&place.config.load, connections),
        connections,
        index_sessions: limits.sessions,
        index_memory_bytes: limits.build_memory,
        behind: parts
            .into_iter()
            .filter_map(|(position, part)| {
                Some(Behind {
                    file: files.derive.get(position)?.name.clone(),
                    put_back: part.jobs().into_iter().map(|job| job.name).collect(),
                })
            })
            .collect(),
        server: run.capacity,
    })
}

/// What is done on the scratch database, which is there until this returns.
async fn prepare(run: &Run<'_>, scratch: &Build) -> Result<(Prepared, Vec<Hint>)> {
    let prepared = run.prepare(scratch).await?;
    let session = run.place.server.connect(&scratch.name, "hints").await?;
    let hints = hints(&session, &prepared.jobs).await?;
    Ok((prepared, hints))
}

/// The live build's size and time, scaled to the bytes of these inputs.
async fn estimate(
    ledger: &crate::ledger::Ledger,
    live: Option<&crate::ledger::Build>,
    bytes: u64,
) -> Result<(Option<u64>, Option<f64>)> {
    let Some(live) = live else {
        return Ok((None, None));
    };
    let size: Option<i64> = ledger
        .session
        .query_one(
            "select (select pg_database_size(oid) from pg_database where oid = $1)",
            &[&live.database_oid],
        )
        .await
        .context("ask for the size of the live build")?
        .get(0);
    let scale = match live.bytes_read {
        Some(read) if read > 0 => bytes as f64 / read as f64,
        _ => return Ok((None, None)),
    };
    Ok((
        size.map(|size| (size as f64 * scale) as u64),
        live.seconds.map(|seconds| seconds * scale),
    ))
}
