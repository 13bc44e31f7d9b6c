//! Checks the configuration of datasets without a server and without reading any input.

use crate::config::Config;
use crate::dataset::{Dataset, names};
use crate::schema::files::SqlFiles;
use anyhow::Result;
use serde::Serialize;

/// What a dataset declares.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub dataset: String,
    pub sources: usize,
    pub sql_files: usize,
}

/// Checks one dataset, or all of a project.
pub fn check(config: &Config, dataset: Option<&str>) -> Result<Vec<Result<Checked>>> {
    let names = match dataset {
        Some(name) => vec![name.to_owned()],
        None => names(&config.project)?,
    };
    Ok(names.iter().map(|name| check_one(config, name)).collect())
}

fn check_one(config: &Config, name: &str) -> Result<Checked> {
    let dataset = Dataset::read(&config.project, name, &config.control_database)?;
    let files = SqlFiles::read(&dataset.sql)?;
    Ok(Checked {
        dataset: dataset.name,
        sources: dataset.sources.len(),
        sql_files: files.all().count() + files.golden.len(),
    })
}
