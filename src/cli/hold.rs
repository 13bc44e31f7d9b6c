//! `overnight hold` and `overnight release`.

use super::{Desk, output};
use crate::operation::moves;
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    dataset: String,
    /// Why; shown to whoever is stopped by it
    #[arg(long, default_value = "held by hand", value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    dataset: String,
}

pub async fn hold(args: &HoldArgs, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    moves::hold(&place, &dataset, &args.reason).await?;
    if desk.json {
        output::json(&json!({"dataset": dataset.name, "held": true, "reason": args.reason}))?;
    } else {
        output::line(&format!(
            "{0}: held; `overnight release {0}` lifts it",
            dataset.name
        ))?;
    }
    Ok(0)
}

pub async fn release(args: &ReleaseArgs, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let was_held = moves::release(&place, &dataset).await?;
    if desk.json {
        output::json(&json!({"dataset": dataset.name, "held": false, "was_held": was_held}))?;
    } else if was_held {
        output::line(&format!(
            "{0}: released; the next run publishes again, and `overnight rotate {0}` publishes a build that waits",
            dataset.name
        ))?;
    } else {
        output::line(&format!("{}: there was no hold", dataset.name))?;
    }
    Ok(0)
}
