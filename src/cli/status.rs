//! `overnight status`: what is live.

use super::{Desk, output};
use crate::operation::inspect::{Status, status};
use crate::operation::subset::{Served, served};
use crate::rotate::Seen;
use crate::rotate::blockers::{Moving, in_words};
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
    let all = status(&place, args.dataset.as_deref()).await?;
    let subsets = served(&place.server, args.dataset.as_deref()).await?;
    if desk.json {
        output::json(&json!({ "datasets": all, "subsets": subsets }))?;
    } else if all.is_empty() && subsets.is_empty() {
        output::line("nothing was ever run on this server")?;
    } else {
        let groups = &desk.config.groups;
        let texts: Vec<String> = all
            .iter()
            .map(|one| describe(one, groups.typed_for(&one.dataset)))
            .chain(subsets.iter().map(describe_subset))
            .collect();
        output::line(&texts.join("\n\n"))?;
    }
    Ok(0)
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
    let mut out = match &status.live {
        Some(live) => format!("{}: `{live}` is live", status.dataset),
        None => format!("{}: nothing is live", status.dataset),
    };
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
    if status.router != "rename" && status.live.is_some() {
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
    if let Some(failure) = &status.last_failure {
        out += &format!(
            "\n  FAILED     {} at {}: {}",
            failure.build, failure.at, failure.reason
        );
    }
    out
}
