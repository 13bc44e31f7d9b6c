//! Reads the inputs of a dataset without a server: what would be loaded, and what rejected.
//!
//! In: the source files, the schema files and the raw files. Out: [`Files`]. Tables are read from the
//! text of the schema files, so nothing needs to run; what only the server knows is noted. Whether the
//! inputs are complete or too old is not asked: this is for whoever writes a source file.

use super::location;
use crate::config::{Config, LoadSettings};
use crate::dataset::{Dataset, Source};
use crate::fetch::{Location, REQUESTS_AT_ONCE};
use crate::load::plan::TablePlan;
use crate::load::throttle::Throttle;
use crate::load::{DryLoad, LoadRequest, Loader, TableJob};
use crate::manifest::Manifest;
use crate::problem::Problem;
use crate::progress::Progress;
use crate::read::decode::carries_checksums;
use crate::schema::declared::{Declared, Note, declared};
use crate::schema::files::SqlFiles;
use anyhow::{Context, Result, bail};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What the files of a dataset hold.
#[derive(Debug)]
pub struct Files {
    /// One for each source, in the order of their names.
    pub sources: Vec<Result<DryLoad>>,
    /// What could not be checked without a server.
    pub notes: Vec<String>,
}

/// What says whether a file carries checksums stands in so many bytes.
const CHECKSUM_HEAD_BYTES: u64 = 18;

/// Chunks of the second reading of a self-check: of a length that no chunk of the first one has.
const OTHER_CHUNK_BYTES: usize = 10_007;

/// Reads every source. `self_check`: reads it twice, side by side on all workers and then one small
/// chunk after the other, and fails where rows or rejects differ.
///
/// # Errors
/// Status 2 for the configuration; status 1 or 3 where the inputs cannot be listed. What is wrong
/// with one source stands in its place of the list.
pub async fn check_files(config: &Config, dataset: &str, self_check: bool) -> Result<Files> {
    let mut dataset = Dataset::read(&config.project, dataset, &config.control_database)?;
    let files = SqlFiles::read(&dataset.sql)?;
    let Declared { tables, notes } =
        declared(&files.schema).context(Problem::usage("read the tables of the schema files"))?;
    dataset.settings.ready_when = None;
    dataset.settings.max_age = None;
    let location = location(config).await?;
    let manifest = Manifest::pin(&dataset, &location, Timestamp::now()).await?;
    let mut sources = Vec::new();
    for (source, inputs) in dataset.sources.iter().zip(&manifest.inputs) {
        let plan = plan(source, &tables)?;
        let job = TableJob {
            plan,
            objects: inputs.objects.clone(),
        };
        sources.push(read(config, &location, &job, self_check).await);
    }
    // What is unclear about a table that no source fills is nobody's concern here.
    let filled = |note: &Note| {
        let mut sources = dataset.sources.iter();
        sources.any(|source| source.schema == note.schema && source.table == note.table)
    };
    let notes = notes.into_iter().filter(filled).map(|note| note.text);
    let mut notes: Vec<String> = notes.collect();
    // Where a file cannot be read or does not fit, that comes first.
    let fits = |source: &Result<DryLoad>| source.as_ref().is_ok_and(|dry| dry.within_budget);
    if sources.iter().all(fits) {
        notes.extend(without_checksum(&location, &manifest).await?);
    }
    Ok(Files { sources, notes })
}

/// Says how many objects of each source have no checksum at all: damage to them is found only where it
/// makes a record wrong.
async fn without_checksum(location: &Location, manifest: &Manifest) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for inputs in &manifest.inputs {
        let starts = stream::iter(&inputs.objects)
            .filter(|object| std::future::ready(object.checksum.is_none()))
            .map(async |object| {
                let head = location.read_start(object, CHECKSUM_HEAD_BYTES).await?;
                anyhow::Ok((object, carries_checksums(&head)))
            })
            .buffered(REQUESTS_AT_ONCE)
            .try_filter(|(_, carries)| std::future::ready(!carries));
        let found: Vec<_> = starts.try_collect().await?;
        let Some((first, _)) = found.first() else {
            continue;
        };
        notes.push(format!(
            "source `{}`: {} of {} objects carry no checksum, neither the store's nor their own, such as `{}`: damage that leaves records well-formed is not found",
            inputs.source,
            found.len(),
            inputs.objects.len(),
            first.key.escape_debug()
        ));
    }
    Ok(notes)
}

fn plan(source: &Source, tables: &[crate::schema::tables::Table]) -> Result<TablePlan> {
    let mut plan = TablePlan::new(source, tables)?;
    // It would change no row, only their order.
    plan.sort = None;
    Ok(plan)
}

async fn read(
    config: &Config,
    location: &Location,
    job: &TableJob,
    self_check: bool,
) -> Result<DryLoad> {
    let first = read_once(config.load, config, location, job).await?;
    if self_check {
        let settings = LoadSettings {
            workers: 1,
            chunk_bytes: OTHER_CHUNK_BYTES,
            ..config.load
        };
        let second = read_once(settings, config, location, job).await?;
        same(&first, &second)?;
    }
    Ok(first)
}

async fn read_once(
    settings: LoadSettings,
    config: &Config,
    location: &Location,
    job: &TableJob,
) -> Result<DryLoad> {
    let progress = Progress::default();
    let loader = Loader::new(LoadRequest {
        location,
        settings,
        connections: 1,
        temporary: &config.temporary,
        list_rejects: true,
        progress: &progress,
        samples: BTreeMap::new(),
        throttle: Throttle::default(),
    })?;
    loader.read_only(job).await
}

/// Both ways of reading gave the same rows, in the same order, and the same rejects.
fn same(first: &DryLoad, second: &DryLoad) -> Result<()> {
    let rejects = |dry: &DryLoad| {
        let listed = dry.load.rejects.iter().map(ToString::to_string);
        listed.collect::<Vec<_>>()
    };
    let records = |dry: &DryLoad| dry.records().0;
    if first.load.rows != second.load.rows
        || records(first) != records(second)
        || first.digest != second.digest
        || rejects(first) != rejects(second)
    {
        bail!(
            Problem::refused(format!(
                "source `{}` reads differently side by side ({} rows of {} records) and serially ({} of {})",
                first.load.source,
                first.load.rows,
                records(first),
                second.load.rows,
                records(second),
            ))
            .hint("this is a fault of overnight: please report it with the source file and, if it may be shown, a part of the input")
        );
    }
    Ok(())
}
