//! `overnight verify`: every gate of a build, again.

use super::{Desk, env, output};
use crate::gate::Verdict;
use crate::operation::reverify::reverify;
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
    /// Default: the live build
    build: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let findings = reverify(&place, &dataset, args.build.as_deref(), &env).await?;
    if desk.json {
        output::json(&findings)?;
    } else {
        let rows: Vec<Vec<String>> = findings
            .gates
            .iter()
            .flat_map(|gate| {
                let mark = match gate.verdict {
                    Verdict::Passed => "ok",
                    Verdict::Warned => "warning",
                    Verdict::Failed => "FAILED",
                    Verdict::Accepted => "accepted",
                };
                gate.finding
                    .lines()
                    .enumerate()
                    .map(move |(number, line)| match number {
                        0 => vec![mark.to_owned(), gate.gate.clone(), line.to_owned()],
                        _ => vec![String::new(), String::new(), line.to_owned()],
                    })
            })
            .collect();
        output::line(&format!(
            "{}\n{}",
            findings.build,
            output::table(&["", "gate", "finding"], &rows)
        ))?;
        for sample in &findings.samples {
            let heads: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = sample.rows.iter().map(|row| shown(row)).collect();
            let table = output::table(&heads, &rows);
            output::line(&format!("\n{}\n{table}", sample.gate))?;
        }
    }
    Ok(u8::from(!findings.passed()))
}

/// One row of a sample; a value with line ends or control characters stays on its line.
fn shown(row: &[Option<String>]) -> Vec<String> {
    let cell = |cell: &Option<String>| match cell {
        Some(text) => text.chars().map(visible).collect(),
        None => "NULL".to_owned(),
    };
    row.iter().map(cell).collect()
}

fn visible(character: char) -> String {
    match character.is_control() {
        true => character.escape_debug().to_string(),
        false => character.to_string(),
    }
}
