//! `overnight run`: the nightly job.

use super::accept::Accept;
use super::interrupt::{Ended, guarded, until_signal};
use super::reject_file::RejectFile;
use super::screen::Watch;
use super::waiting::Waiting;
use super::{Desk, env, output, run_group, worse};
use crate::deadline::{Deadline, local_zone};
use crate::load::{PlacedReject, RejectsOverBudget, RejectsSoFar, TableLoad};
use crate::nightly::{self, Options, Outcome, Report, Resume};
use crate::operation::run_record::RunRecord;
use crate::operation::{stays, told};
use crate::postgres::error::explain_chain;
use crate::problem::{Status, hint_of, status_of};
use crate::progress::{PartTime, Progress, StageTime};
use crate::units::{Bytes, grouped};
use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Datasets and groups, one after the other
    #[arg(required = true)]
    datasets: Vec<String>,
    /// Build even when the inputs are those of the live build
    #[arg(long)]
    force: bool,
    /// Build and verify, but leave the alias where it is
    #[arg(long)]
    no_rotate: bool,
    /// Build and verify, and let the build wait for `overnight rotate` by an operator
    #[arg(long, conflicts_with = "no_rotate")]
    approve: bool,
    /// Write every rejected record's place and reason to a CSV file
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Say where the time of the load went, and what to change about it
    #[arg(long)]
    timings: bool,
    /// Go on with the unfinished build of an earlier run, or fail; without this flag a run goes on where it can
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Drop the unfinished build of an earlier run and start anew
    #[arg(long)]
    fresh: bool,
    /// Publish by then or leave the alias alone: 06:30 (this machine's clock), 2h, or 2026-11-23T06:30:00Z
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    #[command(flatten)]
    accept: Accept,
    /// Why a gate is accepted; kept in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs each dataset. One that fails does not keep the next from running; the exit status is the
/// worst one.
pub async fn exec(args: &Args, desk: &Desk, quiet: bool) -> Result<u8> {
    let mut units = Vec::new();
    for unit in desk.config.groups.units(&args.datasets)? {
        units.push(match unit.group() {
            Some(group) => (unit, desk.members(group)?),
            None => (unit, vec![desk.dataset(unit.name())?]),
        });
    }
    let options = Options {
        force: args.force,
        no_rotate: args.no_rotate,
        approve: args.approve,
        list_rejects: args.rejects.is_some(),
        overrides: args.accept.overrides(
            args.reason.as_deref(),
            units.iter().flat_map(|(_, datasets)| datasets),
        )?,
        resume: match (args.resume, args.fresh) {
            (true, _) => Resume::Only,
            (_, true) => Resume::Never,
            _ => Resume::IfPossible,
        },
        deadline: match &args.deadline {
            Some(text) => Some(Deadline::read(text, Timestamp::now(), &local_zone(&env)?)?),
            None => None,
        },
    };
    let mut rejects = RejectFile::create(args.rejects.as_deref())?;
    let place = match desk.workplace().await {
        Ok(place) => place,
        Err(error) => {
            for dataset in units.iter().flat_map(|(_, datasets)| datasets) {
                until_signal(told::before_run(&desk.config, &dataset.name, &error)).await?;
            }
            return Err(error);
        }
    };
    let progress = Arc::new(Progress::default());
    let mut worst = None;
    let mut results = Vec::new();
    // The last error, and whether other lines came after it.
    let mut last_error: Option<(String, Option<String>)> = None;
    let mut buried = false;
    let several = units.len() > 1;
    let mut queue: VecDeque<_> = units.iter().map(|unit| (unit, false)).collect();
    while let Some((item, waits)) = queue.pop_front() {
        let (unit, datasets) = item;
        buried |= last_error.is_some();
        let waiting = waits.then_some(Waiting {
            place: &place,
            datasets,
            options: &options,
        });
        let [dataset] = datasets.as_slice() else {
            let group = run_group::Together {
                place: &place,
                unit: *unit,
                datasets,
                options: &options,
                progress: &progress,
                waiting,
                comes_back: several && !waits,
            };
            let work = group.run(args.timings, quiet, desk, &mut rejects);
            let ended = Box::pin(work).await?;
            if let Some(code) = ended.stopped {
                return Ok(code);
            }
            if ended.comes_back {
                queue.push_back((item, true));
                continue;
            }
            if ended.error.is_some() {
                (last_error, buried) = (ended.error, ended.buried);
            }
            results.extend(ended.results);
            worst = ended
                .worst
                .map_or(worst, |status| Some(worse(worst, status)));
            continue;
        };
        let watch = Watch::start(Arc::clone(&progress), quiet, desk.config.progress_every);
        let work = async {
            let run = || nightly::run(&place, dataset, &options, &progress, &env);
            match &waiting {
                Some(waiting) => waiting.run(&progress, unit.name(), run).await,
                None => run().await,
            }
        };
        let names = vec![dataset.name.clone()];
        let mut record = RunRecord::new(&place, &progress, unit.name(), names);
        let ended = guarded(&place, datasets, record.during(work)).await;
        drop(watch);
        match &ended {
            Ok(Ended::Done(_)) => record.end(0, None).await,
            Ok(Ended::Stopped(code)) => record.end(*code, Some("stopped by a signal")).await,
            Err(error) => {
                let text = explain_chain(error);
                record.end(status_of(error) as u8, Some(&text)).await;
            }
        }
        match ended {
            Ok(Ended::Done(outcome)) => {
                rejects.write(outcome_rejects(&outcome))?;
                results.push(merge(&dataset.name, &outcome)?);
                if !desk.json {
                    output::line(&describe(
                        &dataset.name,
                        unit.name(),
                        &outcome,
                        args.timings,
                    ))?;
                }
                log_outcome(&dataset.name, &outcome);
                until_signal(told::after_run(&place, &dataset.name, Ok(&outcome))).await?;
            }
            Ok(Ended::Stopped(code)) => {
                told::stopped(&place, &dataset.name, code).await;
                return Ok(code);
            }
            Err(error) if several && !waits && status_of(&error) == Status::Busy => {
                comes_back(&error);
                queue.push_back((item, true));
            }
            Err(error) => {
                let status = status_of(&error);
                let stays = stays::sentence(&place, &[&dataset.name], &error).await;
                let stays = stays.as_deref();
                results.push(failed(&dataset.name, &error, stays, &mut rejects)?);
                worst = Some(worse(worst, status));
                last_error = Some(in_words(&dataset.name, &error, stays));
                let told = told::after_run(&place, &dataset.name, Err(&error));
                buried = until_signal(told).await?;
            }
        }
    }
    // The last lines of a log hold the reason.
    if let Some((text, hint)) = last_error.filter(|_| buried) {
        output::error(&text, hint.as_deref());
    }
    rejects.finish()?;
    if desk.json {
        output::json(&json!({ "datasets": results }))?;
    }
    Ok(worst.map_or(0, |status: Status| status as u8))
}

/// Prints why a dataset has failed and what `stays` says, keeps its rejects, and gives its place in the JSON.
pub(super) fn failed(
    dataset: &str,
    error: &anyhow::Error,
    stays: Option<&str>,
    rejects: &mut RejectFile,
) -> Result<Value> {
    if let Some(over) = error.downcast_ref::<RejectsOverBudget>() {
        rejects.write(over.rejects.iter())?;
    } else if let Some(so_far) = error.downcast_ref::<RejectsSoFar>() {
        rejects.write(so_far.rejects.iter())?;
    }
    let (text, hint) = in_words(dataset, error, stays);
    output::error(&text, hint.as_deref());
    Ok(as_json(dataset, error))
}

/// Why a dataset or a group has failed, on which builds services stay, and what to do.
pub(super) fn in_words(
    name: &str,
    error: &anyhow::Error,
    stays: Option<&str>,
) -> (String, Option<String>) {
    let stays = stays.map_or_else(String::new, |stays| format!("; {stays}"));
    let text = format!("run `{name}`: {}{stays}", explain_chain(error));
    (text, hint_of(error).map(str::to_owned))
}

/// Says that the other datasets of the list are run first.
pub(super) fn comes_back(error: &anyhow::Error) {
    tracing::warn!(
        "{}; the other datasets of the list are run meanwhile",
        explain_chain(error)
    );
}

/// A dataset that has come to nothing.
pub(super) fn as_json(dataset: &str, error: &anyhow::Error) -> Value {
    let status = status_of(error) as u8;
    json!({"dataset": dataset, "outcome": "failed", "status": status, "error": explain_chain(error)})
}

pub(super) fn outcome_rejects(outcome: &Outcome) -> impl Iterator<Item = &PlacedReject> {
    let tables = match outcome {
        Outcome::Unchanged { .. } => [].iter(),
        Outcome::Published(report) | Outcome::Verified(report) => report.tables.iter(),
    };
    tables.flat_map(|table| &table.rejects)
}

pub(super) fn merge(dataset: &str, outcome: &Outcome) -> Result<Value> {
    let mut value = serde_json::to_value(outcome).context("write JSON")?;
    if let Some(object) = value.as_object_mut() {
        object.insert("dataset".into(), dataset.into());
    }
    Ok(value)
}

/// The outcome as lines of the log, which has a time and a dataset on each line; the table is data.
pub(super) fn log_outcome(dataset: &str, outcome: &Outcome) {
    let (report, what) = match outcome {
        Outcome::Unchanged { live } => {
            tracing::info!("{dataset}: inputs unchanged, `{live}` stays live");
            return;
        }
        Outcome::Published(report) => (report, "is live"),
        Outcome::Verified(report) => (report, "is verified and waits"),
    };
    tracing::info!(
        "{dataset}: `{}` {what}: {} rows, {} rejects, {:.0} s",
        report.build,
        grouped(report.rows),
        grouped(report.rejected),
        report.seconds
    );
    for name in &report.retired.closed {
        tracing::info!("{dataset}: retired `{name}`: closed, dropped after the grace time");
    }
    for name in &report.retired.dropped {
        tracing::info!("{dataset}: retired `{name}`: dropped");
    }
}

/// An outcome in words; `unit` is what to type to move it.
pub(super) fn describe(dataset: &str, unit: &str, outcome: &Outcome, timings: bool) -> String {
    match outcome {
        Outcome::Unchanged { live } => {
            format!(
                "{dataset}: inputs unchanged, nothing to do; `{live}` stays live (--force builds anyway)"
            )
        }
        Outcome::Published(report) => {
            let before = report
                .previous
                .as_ref()
                .map_or_else(String::new, |name| format!(", before it `{name}`"));
            format!(
                "{dataset}: `{}` is live{before}\n{}",
                report.build,
                tables(report, timings)
            )
        }
        Outcome::Verified(report) => {
            let publishes = match &report.approve_until {
                Some(until) => format!(
                    "verified and sealed, and waits for approval; `overnight rotate {unit}` approves and publishes it, until {until}"
                ),
                None => format!("verified and sealed; `overnight rotate {unit}` publishes it"),
            };
            format!(
                "{dataset}: `{}` is {publishes}\n{}",
                report.build,
                tables(report, timings)
            )
        }
    }
}

/// Parts of stages that took less seconds are too many to be told.
pub(super) const SHORTEST_PART: f64 = 0.01;

fn tables(report: &Report, timings: bool) -> String {
    let mut out = String::new();
    if report.resumed {
        out += "  the build was made by an earlier run that did not publish it\n";
    }
    if let Some(taken) = &report.taken_over {
        out += &format!(
            "  resumed the build of an earlier run: {} kept, {} loaded anew, {} of its indexes and keys kept\n",
            count(taken.kept.len()),
            count(taken.loaded.len()),
            taken.keys_kept
        );
    }
    let loaded: Vec<Vec<String>> = report
        .tables
        .iter()
        .map(|table| {
            let sum =
                |of: fn(&crate::load::InputCount) -> u64| table.inputs.iter().map(of).sum::<u64>();
            vec![
                table.table.clone(),
                grouped(sum(|input| input.records_read)),
                grouped(table.rows),
                grouped(sum(|input| input.rejected)),
                table.inputs.len().to_string(),
                Bytes(sum(|input| input.bytes)).to_string(),
            ]
        })
        .collect();
    if !loaded.is_empty() {
        out += &output::table(
            &["table", "records", "rows", "rejects", "files", "bytes"],
            &loaded,
        );
        out += "\n\n";
    }
    let faults: Vec<String> = report
        .tables
        .iter()
        .flat_map(TableLoad::faults_in_words)
        .collect();
    if !faults.is_empty() {
        out += &format!("rejects of {}\n\n", faults.join("\n           "));
    }
    if !report.unused.is_empty() {
        let unused = report
            .unused
            .iter()
            .map(|key| key.escape_debug().to_string());
        let unused: Vec<String> = unused.collect();
        out += &format!(
            "not used by any source: {}\n\n",
            unused.join("\n                        ")
        );
    }
    let mut heads = vec!["stage", "seconds", "rows", "bytes", "rows/s", "sessions"];
    let mut stages: Vec<_> = report.stages.iter().map(stage).collect();
    if timings {
        heads.push("client CPU s");
        for (cells, stage) in stages.iter_mut().zip(&report.stages) {
            let cpu = stage.client_cpu_seconds;
            cells.push(cpu.map_or_else(String::new, |cpu| format!("{cpu:.2}")));
        }
    }
    out += &output::table(&heads, &stages);
    if timings {
        let long = |part: &&PartTime| part.seconds >= SHORTEST_PART;
        let parts = report.parts.iter().filter(long).map(|part| {
            vec![
                part.stage.to_owned(),
                part.part.clone(),
                format!("{:.2}", part.seconds),
            ]
        });
        out += "\n\n";
        out += &output::table(&["stage", "part", "seconds"], &parts.collect::<Vec<_>>());
    }
    if timings && let Some(bottleneck) = &report.bottleneck {
        let rows: Vec<Vec<String>> = report
            .tables
            .iter()
            .filter(|table| table.timing.streams > 0)
            .map(timing)
            .collect();
        out += "\n\n";
        out += &output::table(&TIMING_HEADS, &rows);
        out += &format!("\nbottleneck: {bottleneck}");
    }
    if let Some(live) = &report.live_latency {
        out += &format!(
            "\nlive alias latency during the run: p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms ({} probe{})",
            live.p50_ms,
            live.p99_ms,
            live.max_ms,
            live.probes,
            if live.probes == 1 { "" } else { "s" }
        );
        if live.failed > 0 {
            out += &format!("; {} failed", live.failed);
        }
    }
    for pause in &report.pauses {
        out += &format!("\nthe load waited {:.1} s: {}", pause.seconds, pause.reason);
    }
    for name in &report.retired.closed {
        out += &format!("\nretired: {name} is closed and will be dropped after the grace time");
    }
    for name in &report.retired.dropped {
        out += &format!("\nretired: {name} was dropped");
    }
    out
}

fn count(tables: usize) -> String {
    match tables {
        1 => "1 table".into(),
        _ => format!("{tables} tables"),
    }
}

/// All in seconds from "seconds" on; sums over the threads or connections of the table.
const TIMING_HEADS: [&str; 12] = [
    "table",
    "rows",
    "read",
    "sent",
    "rows/s",
    "streams",
    "seconds",
    "input wait",
    "decompress",
    "parse wait",
    "parse",
    "server wait",
];

fn timing(load: &TableLoad) -> Vec<String> {
    let timing = &load.timing;
    let seconds = |seconds: f64| format!("{seconds:.2}");
    vec![
        load.table.clone(),
        grouped(timing.rows),
        Bytes(timing.bytes_read).to_string(),
        Bytes(timing.bytes_sent).to_string(),
        grouped((timing.rows as f64 / timing.seconds.max(0.001)) as u64),
        timing.streams.to_string(),
        seconds(timing.seconds),
        seconds(timing.waiting_for_input_s),
        seconds(timing.decompress_cpu_s),
        seconds(timing.waiting_for_parse_s),
        seconds(timing.parse_cpu_s + timing.sort_cpu_s.unwrap_or_default()),
        seconds(timing.waiting_for_server_s),
    ]
}

fn stage(stage: &StageTime) -> Vec<String> {
    let or_empty = |text: Option<String>| text.unwrap_or_default();
    vec![
        stage.stage.to_owned(),
        format!("{:.2}", stage.seconds),
        or_empty(stage.rows.map(grouped)),
        or_empty(stage.bytes.map(|bytes| Bytes(bytes).to_string())),
        or_empty(
            stage
                .rows
                .map(|rows| grouped((rows as f64 / stage.seconds.max(0.001)) as u64)),
        ),
        or_empty(stage.sessions.map(|sessions| sessions.to_string())),
    ]
}
