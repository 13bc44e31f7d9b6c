//! `overnight schema`: what may stand in the TOML files, for editors and for the reference.

use super::{output, reference};
use crate::config::Settings;
use crate::dataset::schema;
use anyhow::{Context, Result};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of which file: a source file, dataset.toml, or the project's overnight.toml
    #[arg(value_enum, default_value_t = File::Source)]
    file: File,
    /// Print the reference of every key instead of the JSON Schema
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum File {
    Source,
    Dataset,
    Project,
}

impl File {
    fn schema(self) -> Value {
        match self {
            File::Source => schema::source(),
            File::Dataset => schema::dataset(),
            File::Project => schema::of::<Settings>("overnight.toml"),
        }
    }
}

pub fn exec(args: &Args) -> Result<u8> {
    let schema = args.file.schema();
    let text = match args.markdown {
        true => reference::markdown(&schema),
        false => serde_json::to_string_pretty(&schema).context("write JSON")?,
    };
    output::raw(text.trim_end());
    Ok(0)
}
