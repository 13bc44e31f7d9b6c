//! Checks the configuration of datasets without a server and without reading any input.

use crate::config::Config;
use crate::dataset::{Dataset, names};
use crate::problem::Problem;
use crate::schema::files::SqlFiles;
use anyhow::{Result, bail};
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
    check_version(&dataset, &files)?;
    Ok(Checked {
        dataset: dataset.name,
        sources: dataset.sources.len(),
        sql_files: files.all().count() + files.golden.len(),
    })
}

/// The version that the schema files declare, as far as their text says it, is that of dataset.toml.
fn check_version(dataset: &Dataset, files: &SqlFiles) -> Result<()> {
    let wanted = dataset.settings.schema_version;
    let mut declared = None;
    for file in &files.schema {
        for statement in file.statements()? {
            if let Some(version) = declares(statement.text) {
                declared = Some((version, file.place(statement.line)));
            }
        }
    }
    match declared {
        Some((version, place)) if version != i64::from(wanted) => bail!(
            Problem::usage(format!(
                "{place} declares schema version {version}, and dataset.toml of `{}` says schema_version = {wanted}",
                dataset.name
            ))
            .hint("raise both together: services compare their version with the one that is declared")
        ),
        _ => Ok(()),
    }
}

/// `N` of `overnight.declare_version(N)`; `None` for other statements, and for what is no number.
fn declares(statement: &str) -> Option<i64> {
    let code = statement
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    let (_, after) = code.split_once("overnight.declare_version")?;
    let inside = after.trim_start().strip_prefix('(')?;
    inside.split_once(')')?.0.trim().parse().ok()
}
