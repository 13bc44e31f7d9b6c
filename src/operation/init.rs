//! A project that runs as it stands, to begin with.
//!
//! In: a folder that is empty or not there. Out: the files of a small dataset that is called after the
//! folder, each with comments on what may be changed. Nothing that exists is ever written over.

use crate::dataset::{MAX_NAME_BYTES, check_name};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("init/", $path)))),*]
    };
}

/// The dataset of the texts below.
const EXAMPLE: &str = "shop";
/// Databases that every server has, or that overnight makes for itself.
const TAKEN: [&str; 4] = ["postgres", "template0", "template1", "overnight"];

/// Path and text of every file but `.gitignore`, for a dataset called `shop`.
const FILES: [(&str, &str); 7] = files![
    "overnight.toml",
    "README.md",
    "sources/shop/dataset.toml",
    "sources/shop/item.toml",
    "sql/shop/schema/010_item.sql",
    "sql/shop/checks/010_price.sql",
    "in/shop/items.csv",
];

/// A project that was written.
pub struct Made {
    pub dataset: String,
    /// Below the folder.
    pub files: Vec<PathBuf>,
}

/// Writes the project.
///
/// # Errors
/// Status 2 for a folder that holds something, or a name that no dataset can have; status 3 when it
/// cannot be written.
pub fn init(folder: &Path, name: Option<&str>) -> Result<Made> {
    let dataset = match name {
        Some(name) => name.to_owned(),
        None => name_of(folder),
    };
    check_name(&dataset)?;
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
    let mut files = Vec::new();
    let all = FILES.into_iter().map(|(path, text)| {
        (
            path.replace(EXAMPLE, &dataset),
            text.replace(EXAMPLE, &dataset),
        )
    });
    // A file of this name in this repository would be obeyed by git.
    let ignored = (
        ".gitignore".to_owned(),
        include_str!("init/gitignore").to_owned(),
    );
    for (name, text) in all.chain([ignored]) {
        let path = folder.join(&name);
        write(&path, &text)
            .with_context(|| Problem::dependency(format!("write `{}`", path.display())))?;
        files.push(name.into());
    }
    Ok(Made { dataset, files })
}

/// The name of a folder as that of a dataset: lower case, every run of other characters one `_`.
fn name_of(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let absolute = fs::canonicalize(&absolute).unwrap_or(absolute);
    let words = absolute
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    let words: Vec<&str> = words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut name = words.join("_");
    if name.is_empty() {
        return EXAMPLE.to_owned();
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "data_");
    }
    name.truncate(MAX_NAME_BYTES);
    let mut name = name.trim_end_matches('_').to_owned();
    if TAKEN.contains(&name.as_str()) {
        name += "_data";
    }
    name
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_name_to_the_dataset_as_far_as_a_dataset_can_have_it() {
        for (folder, name) in [
            ("bazaar", "bazaar"),
            ("/srv/My Shop.2", "my_shop_2"),
            ("2027-plans", "data_2027_plans"),
            ("Äpfel", "pfel"),
            ("postgres", "postgres_data"),
            ("/", "shop"),
        ] {
            assert_eq!(name_of(Path::new(folder)), name, "{folder}");
        }
        let long = "x".repeat(80);
        check_name(&name_of(Path::new(&long))).unwrap();
    }
}
