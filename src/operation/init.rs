//! A project that runs as it stands, to begin with.
//!
//! In: a folder that is empty or not there. Out: the files of a small dataset, each with comments on what
//! may be changed. Nothing that exists is ever written over.

use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("init/", $path)))),*]
    };
}

/// Path and text of every file.
pub const FILES: [(&str, &str); 7] = files![
    "overnight.toml",
    "README.md",
    "sources/shop/dataset.toml",
    "sources/shop/item.toml",
    "sql/shop/schema/010_item.sql",
    "sql/shop/checks/010_price.sql",
    "in/shop/items.csv",
];

/// Writes the project.
///
/// # Errors
/// Status 2 for a folder that holds something; status 3 when it cannot be written.
pub fn init(folder: &Path) -> Result<()> {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!(
                    Problem::usage(format!("`{shown}` is not empty, and nothing was written"))
                        .hint("name a folder that is empty or that is not there yet")
                );
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error)
                .with_context(|| Problem::usage(format!("make a project in `{shown}`")));
        }
    }
    for (path, text) in FILES {
        let path = folder.join(path);
        write(&path, text)
            .with_context(|| Problem::dependency(format!("write `{}`", path.display())))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create_new(path)?.write_all(text.as_bytes())
}
