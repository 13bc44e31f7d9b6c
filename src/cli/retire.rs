//! `overnight retire`: drop builds beyond retention.

use super::{Desk, output, worse};
use crate::dataset::names;
use crate::ledger::Lock;
use crate::operation::Workplace;
use crate::operation::status::abandoned;
use crate::postgres::error::explain_chain;
use crate::problem::{Problem, Status, hint_of, status_of};
use crate::retire::{Retired, retire, retire_all};
use crate::units::Bytes;
use anyhow::{Result, bail};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: every dataset of the project
    dataset: Option<String>,
    /// Close every build, the live one too, of a dataset that the project does not have any more; the
    /// same command drops them after the grace time
    #[arg(long, requires_all = ["dataset", "reason"])]
    all: bool,
    /// Why the dataset goes; kept in the ledger
    #[arg(long, value_name = "TEXT", requires = "all")]
    reason: Option<String>,
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
        let retired = match args.reason.as_deref().filter(|_| args.all) {
            Some(reason) => retire_abandoned(&place, desk, &name, reason).await,
            None => retire_one(&place, desk, &name).await,
        };
        match retired {
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

/// Retires a dataset that the project does not have.
async fn retire_abandoned(
    place: &Workplace,
    desk: &Desk,
    name: &str,
    reason: &str,
) -> Result<Retired> {
    if names(&desk.config.project)?.iter().any(|one| one == name) {
        bail!(
            Problem::usage(format!("`{name}` is a dataset of this project")).hint(
                "--all is for a dataset that was renamed or removed; remove `sources/` of it first"
            )
        );
    }
    let ledger = place.ledger(&format!("retire {name}")).await?;
    // A name that was never run is a mistyped one.
    ledger.dataset(name).await?;
    ledger.lock(name, Lock::Build).await?;
    ledger.wait_for(name, Lock::Move).await?;
    let grace = place.config.retire_after;
    retire_all(&ledger, &place.server, name, grace, reason).await
}

async fn retire_one(place: &Workplace, desk: &Desk, name: &str) -> Result<Retired> {
    let dataset = match desk.known(name)? {
        Some(dataset) => dataset,
        None => bail!(not_here(place, desk, name).await?),
    };
    let ledger = place.for_move(&dataset, &format!("retire {name}")).await?;
    let retention = place.config.retention(dataset.settings.keep);
    retire(&ledger, &place.server, name, retention).await
}

/// The project has no such dataset; the ledger may.
async fn not_here(place: &Workplace, desk: &Desk, name: &str) -> Result<anyhow::Error> {
    let ledger = place.ledger(&format!("retire {name}")).await?;
    let known = abandoned(&ledger, &desk.config.project).await?;
    let Some(one) = known.into_iter().find(|one| one.dataset == name) else {
        return Ok(match desk.dataset(name) {
            Err(error) => error,
            Ok(_) => Problem::usage(format!("`{name}` has just been added")).into(),
        });
    };
    let live = one
        .live
        .map_or_else(String::new, |live| format!(", `{live}` is live"));
    let from = one.project.map_or_else(String::new, |project| {
        format!("; its last run was of the project {project}")
    });
    Ok(Problem::usage(format!(
        "`{name}` is not a dataset of this project: it has {} databases, {}{live}{from}",
        one.databases,
        Bytes(one.bytes as u64)
    ))
    .hint(format!(
        "if no service and no other project needs it: `overnight retire {name} --all --reason TEXT` closes all of them, and after the grace time drops them"
    ))
    .into())
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
