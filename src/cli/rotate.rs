//! `overnight rotate` and `overnight rollback`.

use super::accept::Accept;
use super::interrupt::{Ended, guarded, until_signal};
use super::{Desk, env, output};
use crate::config::groups::Group;
use crate::operation::moves::{self, Back, Moved};
use crate::operation::{Workplace, groups, told};
use crate::problem::Problem;
use anyhow::{Result, bail};
use std::future::Future;

#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    /// A dataset, or a group: all of its members with a build that waits
    dataset: String,
    /// Default: the newest verified build
    build: Option<String>,
    #[command(flatten)]
    accept: Accept,
    /// Why a gate is accepted; kept in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// A dataset, or a group: all that its last move has moved
    dataset: String,
    /// Default: the one before the live build
    #[arg(long, value_name = "BUILD")]
    to: Option<String>,
    /// Why; kept with the hold
    #[arg(long, default_value = "rolled back", value_name = "TEXT")]
    reason: String,
    /// Go back one build more although the last move was a rollback less than 10 minutes ago
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    accept: Accept,
}

pub async fn rotate(args: &RotateArgs, desk: &Desk) -> Result<u8> {
    if let Some(group) = desk.config.groups.named(&args.dataset) {
        refuse_build(group, args.build.as_deref())?;
        let datasets = desk.members(group)?;
        let overrides = args.accept.overrides(args.reason.as_deref(), &datasets)?;
        let place = desk.workplace().await?;
        let work = groups::rotate(&place, group, &datasets, &overrides, &env);
        let ended = guarded(&place, &datasets, work).await?;
        return tell(&place, &args.dataset, ended, desk).await;
    }
    let dataset = desk.dataset(&args.dataset)?;
    let overrides = args.accept.overrides(args.reason.as_deref(), [&dataset])?;
    let place = desk.workplace().await?;
    let work = moves::rotate(&place, &dataset, args.build.as_deref(), &overrides, &env);
    let ended = guarded(&place, std::slice::from_ref(&dataset), one(work)).await?;
    tell(&place, &dataset.name, ended, desk).await
}

pub async fn rollback(args: &RollbackArgs, desk: &Desk) -> Result<u8> {
    if let Some(group) = desk.config.groups.named(&args.dataset) {
        refuse_build(group, args.to.as_deref())?;
        let datasets = desk.members(group)?;
        let overrides = args.accept.overrides(Some(&args.reason), &datasets)?;
        let place = desk.workplace().await?;
        let reason = &args.reason;
        let back = Back {
            to: None,
            reason,
            again: args.again,
        };
        let work = groups::rollback(&place, group, &datasets, back, &overrides, &env);
        let ended = guarded(&place, &datasets, work).await?;
        return tell(&place, &args.dataset, ended, desk).await;
    }
    let dataset = desk.dataset(&args.dataset)?;
    let overrides = args.accept.overrides(Some(&args.reason), [&dataset])?;
    let place = desk.workplace().await?;
    let back = Back {
        to: args.to.as_deref(),
        reason: &args.reason,
        again: args.again,
    };
    let work = moves::rollback(&place, &dataset, back, &overrides, &env);
    let ended = guarded(&place, std::slice::from_ref(&dataset), one(work)).await?;
    tell(&place, &dataset.name, ended, desk).await
}

/// A build is one dataset's.
fn refuse_build(group: &Group, build: Option<&str>) -> Result<()> {
    match build {
        None => Ok(()),
        Some(build) => bail!(
            Problem::usage(format!(
                "`{}` is a group, and `{build}` would be a build of one dataset",
                group.name
            ))
            .hint("leave the build out: a group moves as a whole")
        ),
    }
}

async fn one(work: impl Future<Output = Result<Moved>>) -> Result<Vec<Moved>> {
    Ok(vec![work.await?])
}

/// Says first where the aliases are, and then tells the hooks, who may be slow.
async fn tell(place: &Workplace, typed: &str, ended: Ended<Vec<Moved>>, desk: &Desk) -> Result<u8> {
    let moved = match ended {
        Ended::Stopped(code) => return Ok(code),
        Ended::Done(moved) => moved,
    };
    if desk.json {
        desk.each_as_json(typed, &moved)?;
    } else {
        for one in &moved {
            report(one)?;
        }
        held(typed, &moved)?;
    }
    for one in &moved {
        until_signal(told::after_move(place, &one.dataset)).await?;
    }
    Ok(0)
}

fn report(moved: &Moved) -> Result<()> {
    let before = moved
        .before
        .as_ref()
        .map_or_else(String::new, |name| format!(", before it `{name}`"));
    output::line(&format!(
        "{}: `{}` is live{before}",
        moved.dataset, moved.live
    ))
}

fn held(typed: &str, moved: &[Moved]) -> Result<()> {
    if !moved.iter().any(|one| one.held) {
        return Ok(());
    }
    let is = match moved.len() {
        1 => "alias is",
        _ => "aliases are",
    };
    output::line(&format!(
        "the {is} held: runs go on building, `overnight release {typed}` lets them publish again"
    ))
}
