//! `overnight check`: the configuration, and with `--files` the raw files, without a server.

use super::reject_file::RejectFile;
use super::{Desk, output, worse};
use crate::config::exposed;
use crate::load::{DryLoad, TableLoad};
use crate::operation::check::{Checked, check};
use crate::operation::check_files::check_files;
use crate::postgres::error::explain_chain;
use crate::problem::{Problem, Status, hint_of, status_of};
use crate::units::grouped;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: every dataset of the project
    dataset: Option<String>,
    /// Read the raw files too, and say what would be loaded and rejected
    #[arg(long)]
    files: bool,
    /// Read the raw files in parallel and serially, and compare rows and rejects
    #[arg(long)]
    self_check: bool,
    /// Write every reject with its place to this CSV file
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let files = args.files || args.self_check;
    if args.rejects.is_some() && !files {
        bail!(Problem::usage(
            "`--rejects` lists what `--files` finds: say both"
        ));
    }
    let mut rejects = RejectFile::create(args.rejects.as_deref())?;
    let mut worst = None;
    let mut results = Vec::new();
    for checked in check(&desk.config, args.dataset.as_deref())? {
        let outcome = match checked {
            Ok(checked) => {
                say(
                    desk,
                    &format!(
                        "{}: {} sources and {} SQL files are well-formed",
                        checked.dataset, checked.sources, checked.sql_files
                    ),
                )?;
                read_files(args, desk, checked, files, &mut rejects).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok((result, status)) => {
                results.push(result);
                worst = status.map(|status| worse(worst, status)).or(worst);
            }
            Err(error) => {
                output::error(&explain_chain(&error), hint_of(&error));
                results.push(json!({"ok": false, "error": explain_chain(&error)}));
                worst = Some(worse(worst, status_of(&error)));
            }
        }
    }
    for file in exposed::files(&desk.config.project)? {
        let path = file.display();
        tracing::warn!(
            "`{path}` holds a secret, and every user of this machine may read it (hint: chmod o-r {path})"
        );
    }
    rejects.finish()?;
    if desk.json {
        output::json(&json!({ "datasets": results }))?;
    }
    Ok(worst.map_or(0, |status: Status| status as u8))
}

fn say(desk: &Desk, line: &str) -> Result<()> {
    match desk.json {
        true => Ok(()),
        false => output::line(line),
    }
}

/// The files of one dataset; also says how bad it is.
async fn read_files(
    args: &Args,
    desk: &Desk,
    checked: Checked,
    files: bool,
    rejects: &mut RejectFile,
) -> Result<(Value, Option<Status>)> {
    let mut result = json!({"ok": true, "dataset": checked.dataset, "sources": checked.sources, "sql_files": checked.sql_files});
    if !files {
        return Ok((result, None));
    }
    let found = check_files(&desk.config, &checked.dataset, args.self_check).await?;
    let mut worst = None;
    let mut rows = Vec::new();
    let mut listed = Vec::new();
    for source in &found.sources {
        match source {
            Ok(dry) => {
                rejects.write(dry.load.rejects.iter())?;
                let status = within_budget(dry);
                worst = status.map(|status| worse(worst, status)).or(worst);
                rows.push(row(&dry.load));
                listed.push(json!({"load": dry.load, "rejects": dry.load.rejects, "digest": dry.digest, "within_budget": dry.within_budget}));
            }
            Err(error) => {
                output::error(&explain_chain(error), hint_of(error));
                listed.push(json!({"error": explain_chain(error)}));
                worst = Some(worse(worst, status_of(error)));
            }
        }
    }
    if !rows.is_empty() {
        let heads = [
            "source",
            "table",
            "files",
            "records",
            "would load",
            "rejects",
            "skipped",
        ];
        say(desk, &output::table(&heads, &rows))?;
    }
    for dry in found.sources.iter().flatten() {
        for line in dry.load.faults_in_words() {
            say(desk, &line)?;
        }
    }
    for note in &found.notes {
        output::message(note);
    }
    result["ok"] = json!(worst.is_none());
    result["files"] = json!(listed);
    result["notes"] = json!(found.notes);
    Ok((result, worst))
}

/// Shows the first reject of a source that has any, and the status if there are too many.
fn within_budget(dry: &DryLoad) -> Option<Status> {
    if let Some(first) = dry.load.rejects.first() {
        let (read, rejected) = dry.records();
        output::message(&format!(
            "source `{}`: {} of {} records rejected, the budget is {}; the first: {first}",
            dry.load.source,
            grouped(rejected),
            grouped(read),
            dry.budget
        ));
        output::message(&format!("hint: {}", first.advice()));
    }
    (!dry.within_budget).then_some(Status::Refused)
}

fn row(load: &TableLoad) -> Vec<String> {
    let sum = |of: fn(&crate::load::InputCount) -> u64| load.inputs.iter().map(of).sum::<u64>();
    vec![
        load.source.clone(),
        load.table.clone(),
        load.inputs.len().to_string(),
        grouped(sum(|input| input.records_read)),
        grouped(load.rows),
        grouped(sum(|input| input.rejected)),
        grouped(sum(|input| input.skipped)),
    ]
}
