//! `overnight audit`: who did what, when and why, and whether somebody has changed that.

use super::{Desk, output};
use crate::problem::Problem;
use anyhow::{Result, bail};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: all
    dataset: Option<String>,
    /// Prove that no event was changed or taken out
    #[arg(long)]
    verify: bool,
    /// How many of the newest events
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "verify", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let place = desk.workplace().await?;
    let ledger = place.ledger("audit").await?;
    let dataset = args.dataset.as_deref();
    if let Some(name) = dataset {
        ledger.dataset(name).await?;
    }
    if args.verify {
        let chains = ledger.chains(dataset).await?;
        let whole = chains.iter().all(|chain| chain.faults.is_empty());
        if desk.json {
            output::json(&json!({"whole": whole, "chains": chains}))?;
        } else {
            for chain in &chains {
                output::line(&match chain.faults.is_empty() {
                    true => format!(
                        "{}: {} events, none was changed or taken out; the last hash is {}",
                        chain.dataset, chain.events, chain.last_hash
                    ),
                    false => format!(
                        "{}: NOT AS IT WAS WRITTEN\n  {}",
                        chain.dataset,
                        chain.faults.join("\n  ")
                    ),
                })?;
            }
        }
        if !whole {
            bail!(
                Problem::refused("the events of the ledger are not as they were written")
                    .hint("somebody with the rights of the ledger's owner has changed them; keep a copy of the control database as it is")
            );
        }
        return Ok(0);
    }
    let events = ledger.events(dataset, i64::from(args.limit)).await?;
    if desk.json {
        output::json(&json!({ "events": events }))?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = events
        .iter()
        .map(|event| {
            let detail = event.detail.as_deref().unwrap_or_default();
            let mut lines = detail.lines();
            let mut shown = lines.next().unwrap_or_default().to_owned();
            if lines.next().is_some() {
                shown += " …";
            }
            // The build has its own column.
            if event.build.as_deref() == Some(shown.trim_matches('`')) {
                shown.clear();
            }
            vec![
                event.at.chars().take(19).chain(['Z']).collect(),
                event.dataset.clone(),
                event.kind.clone(),
                event.build.clone().unwrap_or_default(),
                event.actor.clone(),
                shown,
            ]
        })
        .collect();
    let heads = ["at", "dataset", "what", "build", "who", "why"];
    output::line(&output::table(&heads, &rows))?;
    Ok(0)
}
