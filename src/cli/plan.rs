//! `overnight plan`: what a run would do.

use super::interrupt::{Ended, guarded};
use super::screen::Watch;
use super::{Desk, env, output};
use crate::operation::plan::{Plan, plan};
use crate::printable::Printable;
use crate::progress::Progress;
use crate::units::Bytes;
use anyhow::Result;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
}

pub async fn exec(args: &Args, desk: &Desk, quiet: bool) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let progress = Arc::new(Progress::default());
    let watch = Watch::start(Arc::clone(&progress), quiet, desk.config.progress_every);
    let ended = guarded(
        &place,
        std::slice::from_ref(&dataset),
        plan(&place, &dataset, &progress, &env),
    )
    .await;
    drop(watch);
    match ended? {
        Ended::Stopped(code) => Ok(code),
        Ended::Done(plan) => {
            if desk.json {
                output::json(&plan)?;
            } else {
                output::line(&describe(&plan))?;
            }
            Ok(0)
        }
    }
}

fn describe(plan: &Plan) -> String {
    let mut out = format!(
        "{}: {} objects, {}",
        plan.dataset,
        plan.objects,
        Bytes(plan.bytes)
    );
    if let Some(live) = &plan.live {
        out += &format!("; live is `{live}`");
    }
    if plan.unchanged {
        out += "\nthe live build was made from exactly these inputs: a run would do nothing";
    }
    let rows: Vec<Vec<String>> = plan
        .tables
        .iter()
        .map(|table| {
            vec![
                table.table.clone(),
                table.source.clone(),
                table.objects.to_string(),
                Bytes(table.bytes).to_string(),
                table.columns.len().to_string(),
            ]
        })
        .collect();
    out += "\n\n";
    out += &output::table(&["table", "source", "files", "bytes", "columns"], &rows);
    out += &format!(
        "\n\nrehearsed on empty tables: {} SQL files, {} statements that put indexes and keys back",
        plan.sql.len() - plan.not_rehearsed.len(),
        plan.put_back.len()
    );
    for file in &plan.not_rehearsed {
        out += &format!("\nnot rehearsed, it runs outside a transaction: {file}");
    }
    for key in &plan.unused {
        out += &format!("\nno source uses `{}`", Printable(key));
    }
    for hint in &plan.hints {
        out += &format!("\nhint: {}", hint.hint);
    }
    out += &format!(
        "\nmemory at most {}; tables side by side: {}",
        Bytes(plan.memory_bytes as u64),
        plan.connections
    );
    out += &format!(
        "\nthe server has {}; indexes are built on {} session{}, {} each",
        plan.server,
        plan.index_sessions,
        if plan.index_sessions == 1 { "" } else { "s" },
        Bytes(plan.index_memory_bytes)
    );
    for part in &plan.behind {
        out += &format!(
            "\nput back behind derive/{}: {}",
            part.file,
            part.put_back.join(", ")
        );
    }
    match (plan.disk_bytes, plan.seconds) {
        (Some(disk), Some(seconds)) => {
            out += &format!(
                "\nfrom the live build: about {} on disk, about {seconds:.0} s",
                Bytes(disk)
            );
        }
        _ => out += "\nno earlier build to estimate disk and time from",
    }
    out
}
