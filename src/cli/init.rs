//! `overnight init`: a project that runs as it stands.

use super::output;
use crate::operation::init::init;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to make; it may exist if it is empty
    dir: PathBuf,
    /// Name of the dataset, and so of the alias; default: the folder's
    #[arg(long, value_name = "DATASET")]
    name: Option<String>,
}

/// Writes the files and lists them; says how to continue.
pub fn exec(args: &Args, as_json: bool) -> Result<u8> {
    let made = init(&args.dir, args.name.as_deref())?;
    match as_json {
        true => output::json(&json!({
            "folder": args.dir, "dataset": made.dataset, "files": made.files,
        }))?,
        false => {
            for path in &made.files {
                output::line(&args.dir.join(path).display().to_string())?;
            }
        }
    }
    output::message(&format!(
        "next: cd {} && overnight check && overnight run {}",
        args.dir.display(),
        made.dataset
    ));
    Ok(0)
}
