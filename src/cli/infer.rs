//! `overnight infer`: a source file and a table, proposed from a file.

use super::output;
use crate::config::{Config, Settings};
use crate::operation::infer::{Inferred, infer};
use crate::printable::Printable;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// s3://BUCKET/KEY, a file, or a folder of them
    place: String,
    /// Write the files below this project folder, instead of printing them; sources are added to a dataset that is there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Name of the dataset; default: from the name of the file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn exec(
    args: &Args,
    project: Option<PathBuf>,
    settings: Settings,
    json: bool,
    env: crate::config::Env,
) -> Result<u8> {
    // What is looked at needs no project, and no server.
    let config = Config::resolve_server(project, settings, env)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let existing = args.out.as_deref();
    let work = infer(&args.place, args.name.as_deref(), existing, &config.s3);
    let inferred = runtime.block_on(work)?;
    if let Some(folder) = &args.out {
        write(&inferred, folder)?;
    }
    match (json, &args.out) {
        (true, _) => output::json(&inferred)?,
        (false, None) => {
            for (path, text) in &inferred.files {
                let mark = if path.ends_with(".sql") { "--" } else { "#" };
                output::line(&format!("{mark} ==> {path}\n{text}"))?;
            }
        }
        (false, Some(folder)) => {
            for path in inferred.files.keys() {
                output::line(&folder.join(path).display().to_string())?;
            }
            output::message(&format!(
                "hint: read the lines with `guessed:`, then: overnight run {} --project {} --from {}",
                inferred.dataset,
                folder.display(),
                inferred.from
            ));
        }
    }
    for (key, why) in &inferred.left_out {
        output::message(&format!(
            "warning: nothing is proposed for `{}`: {why}",
            Printable(key)
        ));
    }
    Ok(0)
}

/// Writes what is not there yet; nothing is replaced.
fn write(inferred: &Inferred, folder: &Path) -> Result<()> {
    for path in inferred.files.keys() {
        let path = folder.join(path);
        if path.exists() {
            bail!(
                Problem::usage(format!("`{}` is there already", path.display()))
                    .hint("nothing was written: remove it to propose it anew, or name another dataset with --name")
            );
        }
    }
    for (path, text) in &inferred.files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .with_context(|| Problem::usage(format!("create `{}`", parent.display())))?;
        std::fs::write(&path, text)
            .with_context(|| Problem::usage(format!("write `{}`", path.display())))?;
    }
    Ok(())
}
