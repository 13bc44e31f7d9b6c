//! `overnight check`: the configuration, without a server.

use super::{Desk, output, worse};
use crate::operation::check::check;
use crate::postgres::error::explain_chain;
use crate::problem::{Status, hint_of, status_of};
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: every dataset of the project
    dataset: Option<String>,
}

pub fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let mut worst = None;
    let mut results = Vec::new();
    for checked in check(&desk.config.project, args.dataset.as_deref())? {
        match checked {
            Ok(checked) => {
                if !desk.json {
                    output::line(&format!(
                        "{}: {} sources and {} SQL files are well-formed",
                        checked.dataset, checked.sources, checked.sql_files
                    ))?;
                }
                results.push(json!({"ok": true, "dataset": checked.dataset, "sources": checked.sources, "sql_files": checked.sql_files}));
            }
            Err(error) => {
                output::error(&explain_chain(&error), hint_of(&error));
                results.push(json!({"ok": false, "error": explain_chain(&error)}));
                worst = Some(worse(worst, status_of(&error)));
            }
        }
    }
    if desk.json {
        output::json(&json!({ "datasets": results }))?;
    }
    Ok(worst.map_or(0, |status: Status| status as u8))
}
