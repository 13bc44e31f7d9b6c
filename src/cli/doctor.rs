//! `overnight doctor`: what is wrong with the server, the rights and the inputs, and what to do.

use super::{Desk, output};
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
    let datasets: Vec<Dataset> = wanted
        .iter()
        .map(|name| desk.dataset(name))
        .collect::<Result<_>>()?;
    let place = desk.workplace().await?;
    let findings = doctor(&place, &datasets).await?;
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
