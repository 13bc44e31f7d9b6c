//! `overnight rotate` and `overnight rollback`.

use super::interrupt::{Ended, guarded};
use super::{Desk, env, output};
use crate::operation::moves::{self, Moved};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    dataset: String,
    /// Default: the newest verified build
    build: Option<String>,
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
}

pub async fn rotate(args: &RotateArgs, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let work = moves::rotate(&place, &dataset, args.build.as_deref(), &env);
    report(guarded(&place, &dataset, work).await?, desk)
}

pub async fn rollback(args: &RollbackArgs, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let work = moves::rollback(&place, &dataset, args.to.as_deref(), &args.reason, &env);
    report(guarded(&place, &dataset, work).await?, desk)
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
