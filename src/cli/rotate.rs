//! `overnight rotate` and `overnight rollback`.

use super::accept::Accept;
use super::interrupt::{Ended, guarded, until_signal};
use super::{Desk, env, output};
use crate::dataset::Dataset;
use crate::operation::moves::{self, Moved};
use crate::operation::{Workplace, told};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct RotateArgs {
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
    dataset: String,
    /// Default: the one before the live build
    #[arg(long, value_name = "BUILD")]
    to: Option<String>,
    /// Why; kept with the hold
    #[arg(long, default_value = "rolled back", value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    accept: Accept,
}

pub async fn rotate(args: &RotateArgs, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let overrides = args.accept.overrides(args.reason.as_deref())?;
    let work = moves::rotate(&place, &dataset, args.build.as_deref(), &overrides, &env);
    let ended = guarded(&place, &dataset, work).await?;
    tell(&place, &dataset, ended, desk).await
}

pub async fn rollback(args: &RollbackArgs, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let overrides = args.accept.overrides(Some(&args.reason))?;
    let to = args.to.as_deref();
    let work = moves::rollback(&place, &dataset, to, &args.reason, &overrides, &env);
    let ended = guarded(&place, &dataset, work).await?;
    tell(&place, &dataset, ended, desk).await
}

/// Says first where the alias is, and then tells the hooks, who may be slow.
async fn tell(
    place: &Workplace,
    dataset: &Dataset,
    ended: Ended<Moved>,
    desk: &Desk,
) -> Result<u8> {
    let done = matches!(ended, Ended::Done(_));
    let code = report(ended, desk)?;
    if done {
        until_signal(told::after_move(place, &dataset.name)).await?;
    }
    Ok(code)
}

fn report(ended: Ended<Moved>, desk: &Desk) -> Result<u8> {
    let moved = match ended {
        Ended::Stopped(code) => return Ok(code),
        Ended::Done(moved) => moved,
    };
    if desk.json {
        output::json(&moved)?;
        return Ok(0);
    }
    let before = moved
        .before
        .map_or_else(String::new, |name| format!(", before it `{name}`"));
    output::line(&format!(
        "{}: `{}` is live{before}",
        moved.dataset, moved.live
    ))?;
    if moved.held {
        output::line(&format!(
            "the alias is held: runs go on building, `overnight release {}` lets them publish again",
            moved.dataset
        ))?;
    }
    Ok(0)
}
