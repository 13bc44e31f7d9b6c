//! `overnight builds`: every build that the ledger remembers.

use super::status::{last_run, running as running_words};
use super::{Desk, output};
use crate::ledger::runs::RunState;
use crate::operation::status::builds;
use crate::units::grouped;
use anyhow::Result;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let remembered = builds(&place, &dataset.name).await?;
    let builds = &remembered.builds;
    let running = |name: &String| {
        let mut runs = remembered.runs.iter();
        runs.find(|run| run.state == RunState::Running && run.builds.contains(name))
    };
    if desk.json {
        let list: Vec<Value> = builds
            .iter()
            .map(|(build, role)| json!({"build": build, "role": role}))
            .collect();
        let runs = &remembered.runs;
        output::json(&json!({"dataset": dataset.name, "builds": list, "runs": runs}))?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = builds
        .iter()
        .map(|(build, role)| {
            let state = match (role, build.rolled_back_at.is_some()) {
                (Some(role), false) => (*role).to_owned(),
                (Some(role), true) => format!("{role}, rolled back"),
                (None, true) => format!("{}, rolled back", build.state.word()),
                (None, false) => match running(&build.name).and_then(|run| run.stage.as_ref()) {
                    Some(stage) => format!("running: {stage}"),
                    None => build.state.word().to_owned(),
                },
            };
            vec![
                build.name.clone(),
                state,
                build.verified_at.clone().unwrap_or_default(),
                build
                    .rows_loaded
                    .map_or_else(String::new, |rows| grouped(rows as u64)),
                build
                    .seconds
                    .map_or_else(String::new, |seconds| format!("{seconds:.1}")),
                one_line(build.failure.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    let heads = ["build", "state", "verified", "rows", "seconds", "failure"];
    let table = output::table(&heads, &rows);
    // `report` has the whole reason; a file or another program gets it here too.
    output::line(&output::cut_to_terminal(&table))?;
    // A run with a build is in its row.
    if let Some(run) = remembered.runs.first().filter(|run| run.builds.is_empty()) {
        match run.state {
            RunState::Running => output::line(&format!("\nrunning: {}", running_words(run)))?,
            RunState::Failed | RunState::Killed => {
                output::line(&format!("\nlast run: {}", last_run(run)))?;
            }
            RunState::Done => {}
        }
    }
    Ok(0)
}

/// The lines of a reason, one after the other: a build takes one line of the table.
fn one_line(reason: &str) -> String {
    let lines = reason
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
