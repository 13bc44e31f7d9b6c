//! `overnight doctor`: what is wrong with the server, the rights and the inputs, and what to do.

use super::{Desk, env, output};
use crate::dataset::{Dataset, names};
use crate::doctor::{Finding, Level};
use crate::operation::doctor::doctor;
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: every dataset of the project
    dataset: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let wanted = match &args.dataset {
        Some(name) => vec![name.clone()],
        None => names(&desk.config.project)?,
    };
    // One dataset that cannot be read must not hide what is wrong with the others.
    let (mut datasets, mut findings): (Vec<Dataset>, Vec<Finding>) = Default::default();
    for name in &wanted {
        match desk.dataset(name) {
            Ok(dataset) => datasets.push(dataset),
            Err(error) if wanted.len() == 1 => return Err(error),
            Err(error) => findings.push(Finding::broken(&error)),
        }
    }
    let place = desk.workplace().await?;
    findings.extend(doctor(&place, &datasets, &env).await?);
    let count = |level| findings.iter().filter(|found| found.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    if desk.json {
        output::json(&json!({ "healthy": problems == 0, "findings": findings }))?;
    } else {
        let lines: Vec<String> = findings.iter().map(describe).collect();
        output::line(&format!(
            "{}\n{}, {}",
            lines.join("\n"),
            counted(problems, "problem"),
            counted(warnings, "warning")
        ))?;
    }
    Ok(u8::from(problems > 0))
}

fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

fn describe(found: &Finding) -> String {
    let mark = match found.level {
        Level::Ok => "ok     ",
        Level::Warning => "warning",
        Level::Problem => "PROBLEM",
    };
    let todo = found.todo.as_ref().map_or_else(String::new, |todo| {
        format!("\n                    do: {todo}")
    });
    format!("{mark}  {:9}  {}{todo}", found.subject, found.finding)
}
