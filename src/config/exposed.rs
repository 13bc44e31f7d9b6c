//! Files of the configuration that hold a secret and that every user of the machine may read.
//!
//! In: the TOML files of a project. Out: their paths, and those that `file:PATH` names, where their mode
//! lets others read. What the values mean is not asked: a key called `password` or a text with one is
//! enough.

use crate::problem::Problem;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The files, in order.
///
/// # Errors
/// A folder or file of the project cannot be read.
pub fn files(project: &Path) -> Result<Vec<PathBuf>> {
    let mut found = BTreeSet::new();
    for path in configuration(project)? {
        let text = std::fs::read_to_string(&path)
            .with_context(|| Problem::usage(format!("read `{}`", path.display())))?;
        // What is no TOML is reported where it is needed.
        let Ok(table) = text.parse::<toml::Table>() else {
            continue;
        };
        look(None, &toml::Value::Table(table), &path, &mut found);
    }
    Ok(found.into_iter().filter(|path| is_open(path)).collect())
}

/// `overnight.toml` and each `dataset.toml`.
fn configuration(project: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![project.join("overnight.toml")];
    let sources = project.join("sources");
    let listing = || Problem::usage(format!("list `{}`", sources.display()));
    for entry in std::fs::read_dir(&sources).with_context(listing)? {
        paths.push(entry.with_context(listing)?.path().join("dataset.toml"));
    }
    paths.retain(|path| path.is_file());
    Ok(paths)
}

fn look(key: Option<&str>, value: &toml::Value, path: &Path, found: &mut BTreeSet<PathBuf>) {
    match value {
        toml::Value::String(text) => {
            if let Some(file) = text.strip_prefix("file:") {
                found.insert(PathBuf::from(file));
            } else if !text.starts_with("env:") && (key == Some("password") || has_password(text)) {
                found.insert(path.to_owned());
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|value| look(key, value, path, found)),
        toml::Value::Table(table) => {
            for (key, value) in table {
                look(Some(key), value, path, found);
            }
        }
        _ => {}
    }
}

/// Whether a connection text or a URL holds a password.
pub fn has_password(text: &str) -> bool {
    let in_url = text
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'));
    // libpq allows spaces around the sign.
    let spaceless: String = text.split_whitespace().collect();
    in_url || spaceless.contains("password=")
}

fn is_open(path: &Path) -> bool {
    let mode = std::fs::metadata(path).map(|about| about.permissions().mode());
    mode.is_ok_and(|mode| mode & 0o004 != 0)
}
