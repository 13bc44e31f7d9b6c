//! `overnight retire`: drop builds beyond retention.

use super::{Desk, env, output};
use crate::dataset::names;
use crate::retire::retire;
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: every dataset of the project
    dataset: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let names = match &args.dataset {
        Some(name) => vec![name.clone()],
        None => names(&desk.config.project)?,
    };
    let place = desk.workplace().await?;
    let mut results = Vec::new();
    for name in names {
        let dataset = desk.dataset(&name)?;
        let ledger = place
            .locked(&dataset, &format!("retire {name}"), &env)
            .await?;
        let keep = dataset.settings.keep;
        let retired = retire(
            &ledger,
            &place.server,
            &name,
            keep,
            place.config.retire_after,
        )
        .await?;
        if !desk.json {
            for build in &retired.closed {
                output::line(&format!(
                    "{name}: {build} is closed and will be dropped after the grace time"
                ))?;
            }
            for build in &retired.dropped {
                output::line(&format!("{name}: {build} was dropped"))?;
            }
            for left in &retired.left {
                output::line(&format!("{name}: left alone: {left}"))?;
            }
            if retired.closed.is_empty() && retired.dropped.is_empty() && retired.left.is_empty() {
                output::line(&format!("{name}: nothing beyond retention"))?;
            }
        }
        results.push(json!({"dataset": name, "retired": retired}));
    }
    if desk.json {
        output::json(&json!({ "datasets": results }))?;
    }
    Ok(0)
}
