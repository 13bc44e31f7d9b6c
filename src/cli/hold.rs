//! `overnight hold` and `overnight release`.

use super::{Desk, output};
use crate::dataset::Dataset;
use crate::operation::moves;
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    /// A dataset, or a group: all of its members
    dataset: String,
    /// Why; shown to whoever is stopped by it
    #[arg(long, default_value = "held by hand", value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// A dataset, or a group: all of its members
    dataset: String,
}

pub async fn hold(args: &HoldArgs, desk: &Desk) -> Result<u8> {
    let datasets = named(&args.dataset, desk)?;
    let place = desk.workplace().await?;
    let mut told = Vec::new();
    for dataset in &datasets {
        let name = &dataset.name;
        moves::hold(&place, dataset, &args.reason).await?;
        told.push(json!({"dataset": name, "held": true, "reason": args.reason}));
        if !desk.json {
            output::line(&format!(
                "{name}: held; `overnight release {}` lifts it",
                args.dataset
            ))?;
        }
    }
    if desk.json {
        desk.each_as_json(&args.dataset, &told)?;
    }
    Ok(0)
}

pub async fn release(args: &ReleaseArgs, desk: &Desk) -> Result<u8> {
    let datasets = named(&args.dataset, desk)?;
    let place = desk.workplace().await?;
    let mut told = Vec::new();
    for dataset in &datasets {
        let name = &dataset.name;
        let was_held = moves::release(&place, dataset).await?;
        told.push(json!({"dataset": name, "held": false, "was_held": was_held}));
        if desk.json {
            continue;
        }
        match was_held {
            true => output::line(&format!(
                "{name}: released; the next run publishes again, and `overnight rotate {}` publishes a build that waits",
                args.dataset
            ))?,
            false => output::line(&format!("{name}: there was no hold"))?,
        }
    }
    if desk.json {
        desk.each_as_json(&args.dataset, &told)?;
    }
    Ok(0)
}

/// One dataset, or all members of a group.
fn named(typed: &str, desk: &Desk) -> Result<Vec<Dataset>> {
    match desk.config.groups.named(typed) {
        Some(group) => desk.members(group),
        None => Ok(vec![desk.dataset(typed)?]),
    }
}
