//! `overnight init`: a project that runs as it stands.

use super::output;
use crate::operation::init::{FILES, init};
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to make; it may exist if it is empty
    dir: PathBuf,
}

/// Writes the files and lists them; says how to go on.
pub fn exec(args: &Args, as_json: bool) -> Result<u8> {
    init(&args.dir)?;
    let paths = FILES.map(|(path, _)| path);
    match as_json {
        true => output::json(&json!({ "folder": args.dir, "files": paths }))?,
        false => {
            for path in paths {
                output::line(&args.dir.join(path).display().to_string())?;
            }
        }
    }
    output::message(&format!(
        "next: cd {} && overnight check && overnight run shop",
        args.dir.display()
    ));
    Ok(0)
}
