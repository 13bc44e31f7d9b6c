//! `overnight verify`: every gate of a build, again.

use super::{Desk, output};
use crate::gate::Verdict;
use crate::operation::reverify::reverify;
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    dataset: String,
    /// Default: the live build
    build: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let findings = reverify(&place, &dataset, args.build.as_deref()).await?;
    if desk.json {
        output::json(&findings)?;
    } else {
        let rows: Vec<Vec<String>> = findings
            .gates
            .iter()
            .map(|gate| {
                let mark = match gate.verdict {
                    Verdict::Passed => "ok",
                    Verdict::Warned => "warning",
                    Verdict::Failed => "FAILED",
                    Verdict::Accepted => "accepted",
                };
                vec![mark.to_owned(), gate.gate.clone(), gate.finding.clone()]
            })
            .collect();
        output::line(&format!(
            "{}\n{}",
            findings.build,
            output::table(&["", "gate", "finding"], &rows)
        ))?;
    }
    Ok(u8::from(!findings.passed()))
}
