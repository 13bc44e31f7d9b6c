//! `overnight status`: what is live.

use super::{Desk, output};
use crate::ledger::runs::{RunRow, RunState};
use crate::operation::status::{Abandoned, Status, overview};
use crate::operation::subset::{Served, served};
use crate::rotate::Seen;
use crate::rotate::blockers::{Moving, in_words};
use crate::rotate::health::Fault;
use crate::units::{Bytes, grouped};
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset; default: all that the server knows
    dataset: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let place = desk.workplace().await?;
    let typed = args.dataset.as_deref();
    let seen = overview(&place, typed).await?;
    let subsets = served(&place.server, typed).await?;
    // A subset has no ledger.
    let ok = seen.ok || seen.ledger.is_some() && !subsets.is_empty();
    let code = u8::from(!ok);
    if desk.json {
        output::json(&json!({
            "ok": ok,
            "ledger": seen.ledger,
            "datasets": seen.datasets,
            "not_in_project": seen.not_in_project,
            "subsets": subsets,
        }))?;
        return Ok(code);
    }
    let groups = &desk.config.groups;
    let mut texts: Vec<String> = seen
        .datasets
        .iter()
        .map(|one| describe(one, groups.typed_for(&one.dataset)))
        .chain(subsets.iter().map(describe_subset))
        .chain(seen.not_in_project.iter().map(describe_abandoned))
        .collect();
    if let Some(missing) = seen.ledger.filter(|_| !ok) {
        texts.push(format!(
            "BROKEN: {}\n  do         {}",
            missing.what, missing.todo
        ));
    }
    if texts.is_empty() {
        texts.push("nothing was ever run on this server".into());
    }
    output::line(&texts.join("\n\n"))?;
    Ok(code)
}

fn describe_abandoned(one: &Abandoned) -> String {
    let name = &one.dataset;
    let mut out = format!(
        "{name}: is not a dataset of this project, and has {} databases, {}",
        one.databases,
        Bytes(one.bytes as u64)
    );
    if let Some(live) = &one.live {
        out += &format!("; `{live}` is live");
    }
    if let Some(project) = &one.project {
        out += &format!("\n  last run   from the project {project}");
    }
    out + &format!(
        "\n  do         `overnight retire {name} --all --reason TEXT` closes all of them, and later drops them"
    )
}

fn describe_subset(subset: &Served) -> String {
    let mut out = format!(
        "{}: `{}` is a subset of `{}`; `overnight subset drop {}` removes it",
        subset.dataset,
        subset.database,
        subset.build.as_deref().unwrap_or("an unknown build"),
        subset.dataset
    );
    if subset.clones > 0 {
        out += &format!("\n  clones     {}", subset.clones);
    }
    out
}

/// Where an alias leads at one place.
pub(super) fn seen(seen: &Seen) -> String {
    let leads = match (&seen.error, &seen.database) {
        (Some(error), _) => format!("cannot be asked: {error}"),
        (None, Some(database)) => format!("leads to `{database}`"),
        (None, None) => "leads nowhere".into(),
    };
    format!("alias      {}: {leads}", seen.place)
}

/// What a move waits for, and what keeps services out.
fn describe_move(moving: &Moving) -> String {
    let mut out = String::new();
    if let Some(blocker) = &moving.locked_by {
        out += &format!("\n  BLOCKED    new connections wait for {blocker}");
    }
    if !moving.waits_for.is_empty() {
        out += &format!(
            "\n  waits      `{}` until {} for sessions that cannot be ended: {}",
            moving.command.as_deref().unwrap_or("a move"),
            moving.until.as_deref().unwrap_or("its end"),
            in_words(&moving.waits_for)
        );
    }
    out
}

/// `typed`: what a command takes to move the alias.
fn describe(status: &Status, typed: &str) -> String {
    let mut out = match (status.faults.as_slice(), &status.live) {
        ([worst, more @ ..], _) => {
            let mut out = broken(&status.dataset, worst);
            for fault in more {
                out += &format!("\n{}", broken(&status.dataset, fault));
            }
            out
        }
        ([], Some(live)) => format!("{}: `{live}` is live", status.dataset),
        ([], None) => format!("{}: nothing is live", status.dataset),
    };
    for run in &status.running {
        out += &format!("\n  running    {}", running(run));
    }
    if let Some(run) = &status.last_run {
        out += &format!("\n  last run   {}", last_run(run));
    }
    if let (Some(at), Some(age)) = (&status.verified_at, status.age_seconds) {
        out += &format!("\n  verified   {at}, {} ago", output::age(age));
    }
    if let Some(version) = status.schema_version {
        out += &format!("\n  schema     version {version}");
    }
    if let Some(rows) = status.rows {
        out += &format!("\n  rows       {}", grouped(rows as u64));
    }
    if let Some(bytes) = status.bytes_on_disk {
        out += &format!("\n  on disk    {}", Bytes(bytes as u64));
    }
    if status.router != "rename" && status.live.is_some() || !status.ok {
        for seen in &status.alias {
            out += &format!("\n  {}", self::seen(seen));
        }
    }
    if status.unconfirmed {
        out += "\n  MOVING     the last move is not confirmed yet";
    }
    if let Some(moving) = &status.moving {
        out += &describe_move(moving);
    }
    for staying in &status.draining {
        out += &format!("\n  draining   {staying}");
    }
    if let Some(previous) = &status.previous {
        out += &format!("\n  before     `{previous}`");
    }
    if status.consumers > 0 {
        out += &format!(
            "\n  consumers  {}; `overnight consumers {}` lists them",
            status.consumers, status.dataset
        );
    }
    if status.held {
        out += &format!(
            "\n  HELD       by {}: {}; `overnight release {typed}` when the cause is gone",
            status.held_by.as_deref().unwrap_or("somebody"),
            status.hold_reason.as_deref().unwrap_or("no reason given")
        );
    }
    for waiting in &status.waiting {
        out += &format!(
            "\n  waiting    `{waiting}` is verified; `overnight rotate {typed}` publishes it"
        );
    }
    if let Some(refused) = &status.refused {
        let (dataset, build) = (&status.dataset, &refused.build);
        let left = refused.seconds_left.map(output::age);
        out += &format!(
            "\n  refused    `{build}` is kept, closed, for {} more: `overnight inspect {dataset} {build}`\
             \n             `overnight rotate {dataset} {build} --accept GATE --reason TEXT` publishes it",
            left.unwrap_or_else(|| "no time".to_owned())
        );
    }
    if let Some(until) = &status.approve_until {
        out += &format!("\n  approval   must be given before {until}");
    }
    for undelivered in &status.undelivered {
        out += &format!(
            "\n  hook       `{}` was not told `{}` of {}: {} attempts, {}{}",
            undelivered.hook,
            undelivered.kind,
            undelivered.since,
            undelivered.attempts,
            undelivered.last_error.as_deref().unwrap_or("not tried yet"),
            if undelivered.given_up {
                "; given up"
            } else {
                ""
            }
        );
    }
    // The last run has said so already.
    let told = |build: &String| {
        let failed = status.last_run.iter().filter(|run| run.error.is_some());
        failed.flat_map(|run| &run.builds).any(|name| name == build)
    };
    if let Some(failure) = status
        .last_failure
        .as_ref()
        .filter(|failure| !told(&failure.build))
    {
        out += &format!(
            "\n  FAILED     {} at {}: {}",
            failure.build, failure.at, failure.reason
        );
    }
    out
}

fn broken(dataset: &str, fault: &Fault) -> String {
    format!(
        "{dataset}: BROKEN: {}\n  do         {}",
        fault.what, fault.todo
    )
}

/// `derive since 2026-11-21T05:38:13Z (17 s in the last run), run 12, …`
pub(super) fn running(run: &RunRow) -> String {
    let mut out = match (&run.stage, &run.stage_since) {
        (Some(stage), Some(since)) => format!("{stage} since {since}"),
        _ => format!("since {}", run.started_at),
    };
    if let Some(seconds) = run.stage_seconds_before {
        out += &format!(" ({} in the last run)", output::age(seconds as i64));
    }
    out + &format!(
        ", started {} ago; run {}, process {} on {}, by {}",
        output::age(run.seconds as i64),
        run.id,
        run.pid,
        run.host,
        run.actor
    )
}

/// `2026-11-21T05:10:02Z FAILED (3) after 12 s in load: …`
pub(super) fn last_run(run: &RunRow) -> String {
    let took = output::age(run.seconds as i64);
    let stage = run
        .stage
        .as_ref()
        .map_or_else(String::new, |stage| format!(" in {stage}"));
    let at = &run.started_at;
    match (run.state, run.status) {
        (RunState::Done, _) => format!("{at} done after {took}"),
        (RunState::Failed, Some(status)) => format!(
            "{at} {} ({status}) after {took}{stage}: {}",
            if status > 128 { "stopped" } else { "FAILED" },
            run.error.as_deref().unwrap_or("no reason is recorded")
        ),
        _ => format!("{at} KILLED{stage}: it ended without a word"),
    }
}
