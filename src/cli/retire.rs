//! `overnight retire`: drop builds beyond retention.

use super::{Desk, output, worse};
use crate::dataset::names;
use crate::operation::Workplace;
use crate::postgres::error::explain_chain;
use crate::problem::{Status, hint_of, status_of};
use crate::retire::{Retired, retire};
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
    let mut worst = None;
    for name in names {
        match retire_one(&place, desk, &name).await {
            Ok(retired) => {
                if !desk.json {
                    describe(&name, &retired)?;
                }
                results.push(json!({"dataset": name, "retired": retired}));
            }
            Err(error) => {
                let text = explain_chain(&error);
                output::error(&format!("retire `{name}`: {text}"), hint_of(&error));
                results.push(json!({"dataset": name, "error": text}));
                worst = Some(worse(worst, status_of(&error)));
            }
        }
    }
    if desk.json {
        output::json(&json!({ "datasets": results }))?;
    }
    Ok(worst.map_or(0, |status: Status| status as u8))
}

async fn retire_one(place: &Workplace, desk: &Desk, name: &str) -> Result<Retired> {
    let dataset = desk.dataset(name)?;
    let ledger = place.for_move(&dataset, &format!("retire {name}")).await?;
    let keep = dataset.settings.keep;
    retire(
        &ledger,
        &place.server,
        name,
        keep,
        place.config.retire_after,
    )
    .await
}

fn describe(name: &str, retired: &Retired) -> Result<()> {
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
    Ok(())
}
