//! What `sources/<dataset>/*.toml` declare: a [`Dataset`] and its [`Source`]s.
//!
//! In: the files of one dataset. Out: checked values with the configuration errors already
//! reported, each naming the file. Nothing here talks to a server; column types are not declared
//! here, they come from the database. Unknown keys are errors, because a misspelt key that is
//! ignored would change what is loaded without a word.

mod column;
mod column_keys;
mod expect;
mod expect_change;
mod file;
mod form;
mod format;
mod format_file;
mod layout;
mod lookup;
mod release;
pub mod schema;
mod source;
pub mod subset;
mod toml_error;
mod zone;

pub use column::{ColumnRule, Filled, Wants};
pub use column_keys::ColumnKeys;
pub use expect::{Expect, ExpectRejects, ExpectRows, Limit};
pub use expect_change::{Change, ExpectColumn, ExpectGroups, ExpectKeys, Level};
pub use file::{DatasetFile, Probe, Ready, Settled};
pub use form::parse_toml;
pub use format::{Format, Unpacking};
pub use release::{Approval, External};
pub use source::{Source, fold};

use crate::editor_files::is_left_by_editor;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The longest dataset name: a build name adds `_20261121t051002z` and must stay within the 63
/// bytes of a PostgreSQL identifier.
pub const MAX_NAME_BYTES: usize = 63 - 17;

/// Databases that every server has, and that no alias can be.
const SERVER_DATABASES: [&str; 3] = ["postgres", "template0", "template1"];

/// One family of builds with one alias.
#[derive(Debug)]
pub struct Dataset {
    /// Also the alias and the first part of each build's name.
    pub name: String,
    /// What its `dataset.toml` says.
    pub settings: DatasetFile,
    /// One for each table that files fill, by file name.
    pub sources: Vec<Source>,
    /// SHA-256 over the names and keys of all source files, without comments, layout and `[subset]`,
    /// and the tables beside them.
    pub digest: String,
    /// `sql/<dataset>`.
    pub sql: PathBuf,
}

impl Dataset {
    /// Reads `sources/<name>` of a project.
    ///
    /// # Errors
    /// A [`Problem`] with status 2 that names the file, the line and what was expected.
    pub fn read(project: &Path, name: &str, control_database: &str) -> Result<Dataset> {
        check_name(name)?;
        refuse_reserved(name, control_database)?;
        let folder = project.join("sources").join(name);
        if !folder.is_dir() {
            bail!(
                Problem::usage(format!(
                    "there is no dataset `{name}` in `{}`",
                    project.display()
                ))
                .hint(format!("datasets here: {}", names(project)?.join(", ")))
            );
        }
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let mut settings = None;
        let mut sources: Vec<Source> = Vec::new();
        let (tomls, companions) = files(&folder)?;
        let mut add = |name: &str, bytes: &[u8]| {
            digest.update(format!("{name} {}\n", bytes.len()).as_bytes());
            digest.update(bytes);
        };
        for path in &companions {
            let bytes = std::fs::read(path)
                .with_context(|| Problem::usage(format!("read `{}`", path.display())))?;
            add(&file_name(path), &bytes);
        }
        for path in tomls {
            let stem = stem(&path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| Problem::usage(format!("read `{}`", path.display())))?;
            if stem == "dataset" {
                let parsed: DatasetFile = parse_toml(&path, &text)?;
                if let Some(external) = &parsed.external {
                    crate::outside::check(external.typed())
                        .with_context(|| Problem::usage(format!("read `{}`", path.display())))?;
                }
                settings = Some(parsed);
            } else {
                sources.push(
                    Source::read(&stem, &path, &text)
                        .with_context(|| Problem::usage(format!("read `{}`", path.display())))?,
                );
            }
            // Last: the readers above say best what is wrong with a file.
            let mut keys: toml::Table = parse_toml(&path, &text)?;
            if stem == "dataset" {
                // Decides what developers get, not what the build holds.
                keys.remove("subset");
            }
            add(&stem, keys.to_string().as_bytes());
        }
        for path in companions {
            let name = file_name(&path);
            let used = sources
                .iter()
                .any(|source| source.companions.contains(&name));
            if !used {
                bail!(
                    Problem::usage(format!("no source names the file `{}`", path.display()))
                        .hint("name it in a source file, or move it out of this folder")
                );
            }
        }
        let Some(mut settings) = settings else {
            bail!(
                Problem::usage(format!("`{}` has no dataset.toml", folder.display()))
                    .hint("write one with at least `schema_version = 1`")
            );
        };
        // A prefix is a folder, with or without its last slash.
        let under = settings.files_under.trim_matches('/');
        settings.files_under = match under {
            "" => String::new(),
            under => format!("{under}/"),
        };
        if settings.keep < 2 {
            bail!(Problem::usage(format!(
                "`{}/dataset.toml`: keep = {} would leave nothing to roll back to; write 2 or more",
                folder.display(),
                settings.keep
            )));
        }
        if sources.is_empty() {
            bail!(Problem::usage(format!(
                "`{}` declares no source: add a TOML file for each table that files fill",
                folder.display()
            )));
        }
        let mut tables = BTreeMap::new();
        for source in &sources {
            let table = (source.schema.clone(), source.table.clone());
            if let Some(other) = tables.insert(table, &source.name) {
                bail!(Problem::usage(format!(
                    "sources `{other}` and `{}` of `{name}` both fill table `{}`: let one source name all its files",
                    source.name, source.table
                )));
            }
        }
        Ok(Dataset {
            name: name.to_owned(),
            settings,
            sources,
            digest: hex(digest.finish().as_ref()),
            sql: project.join("sql").join(name),
        })
    }
}

/// The datasets of a project, by name.
pub fn names(project: &Path) -> Result<Vec<String>> {
    let folder = project.join("sources");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| Problem::usage(format!("list `{}`", folder.display())))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Checks that a dataset can be called so.
///
/// # Errors
/// Not a name of lower-case letters, digits and `_`, or too long.
pub fn check_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !fits {
        bail!(Problem::usage(format!(
            "`{name}` cannot name a dataset: a database is called after it, so write at most {MAX_NAME_BYTES} lower-case letters, digits and `_`, a letter first"
        )));
    }
    Ok(())
}

/// An alias is a database name, so it cannot be that of a database with another purpose.
fn refuse_reserved(name: &str, control_database: &str) -> Result<()> {
    let purpose = match name {
        name if SERVER_DATABASES.contains(&name) => "is a database of every server",
        name if name == control_database => "is the control database, which holds the ledger",
        _ => return Ok(()),
    };
    bail!(
        Problem::usage(format!("`{name}` cannot name a dataset: it {purpose}"))
            .hint("give the folders in sources/ and sql/ another name, or set `control_database` to another")
    )
}

/// The source files of a folder, and the CSV files beside them.
fn files(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut companions) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)
        .with_context(|| Problem::usage(format!("list `{}`", folder.display())))?
    {
        let path = entry?.path();
        let name = file_name(&path);
        if is_left_by_editor(&path) || name == "README.md" {
            continue;
        }
        if path.extension().is_some_and(|ending| ending == "csv") {
            companions.push(path);
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "toml") {
            bail!(Problem::usage(format!(
                "`{}` is not a source file: only `.toml` files belong in this folder, and `.csv` files that they name",
                path.display()
            )));
        }
        files.push(path);
    }
    files.sort();
    companions.sort();
    Ok((files, companions))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_name_leaves_room_for_the_time() {
        assert!(check_name("planinfo").is_ok());
        for wrong in ["", "Plan", "plan-info", "9plans", "_x", &"x".repeat(47)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
