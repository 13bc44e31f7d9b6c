//! The numbered SQL of a dataset: which folders there are, and what stands in them.
//!
//! In: `sql/<dataset>`. Out: [`SqlFiles`], read and checked without a server. A folder or file
//! that is not known is an error: a misspelt `check/` would be a gate that is never asked.

use super::header::{self, CheckHeader, GoldenHeader};
use super::numbered::{self, NumberedFile};
use super::run::is_query;
use crate::editor_files::is_left_by_editor;
use crate::postgres::sql::leading_word;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// The numbered SQL of a dataset, read and checked without a server.
#[derive(Debug)]
pub struct SqlFiles {
    pub schema: Vec<NumberedFile>,
    pub derive: Vec<NumberedFile>,
    pub checks: Vec<NumberedFile>,
    /// The application's own queries, asked of the live build and of the new one.
    pub golden: Vec<NumberedFile>,
}

impl SqlFiles {
    /// Reads `schema/`, `derive/`, `checks/` and `golden/` of `sql/<dataset>`.
    ///
    /// # Errors
    /// Status 2: a stray or duplicate name, a psql command, no schema file at all.
    pub fn read(folder: &Path) -> Result<SqlFiles> {
        let read = |part: &str| {
            numbered::read_folder(&folder.join(part))
                .with_context(|| Problem::usage("read the numbered SQL"))
        };
        refuse_strays(folder)?;
        let files = SqlFiles {
            schema: read("schema")?,
            derive: read("derive")?,
            checks: read("checks")?,
            golden: read("golden")?,
        };
        files
            .check_headers()
            .context(Problem::usage("read the numbered SQL"))?;
        if files.schema.is_empty() {
            bail!(
                Problem::usage(format!("`{}/schema` holds no SQL file", folder.display()))
                    .hint("write at least `010_tables.sql` with the CREATE TABLE statements")
            );
        }
        Ok(files)
    }

    fn check_headers(&self) -> Result<()> {
        // Derive files of one number run side by side.
        for files in [&self.schema, &self.checks, &self.golden] {
            numbered::refuse_twice(files)?;
        }
        self.schema
            .iter()
            .chain(&self.derive)
            .try_for_each(header::refuse)?;
        for file in &self.checks {
            CheckHeader::of_file(file)?;
            only_queries(file)?;
        }
        for file in &self.golden {
            GoldenHeader::of_file(file)?;
            only_queries(file)?;
        }
        Ok(())
    }

    /// Every file that shapes a build, in the order in which it runs.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &NumberedFile)> {
        self.schema
            .iter()
            .map(|file| ("schema", file))
            .chain(self.derive.iter().map(|file| ("derive", file)))
            .chain(self.checks.iter().map(|file| ("checks", file)))
    }
}

/// Files that ask may only ask, and must ask something.
fn only_queries(file: &NumberedFile) -> Result<()> {
    let statements = file.statements()?;
    if statements.is_empty() {
        bail!(
            "`{}` has no query: it could never fail",
            file.path.display()
        );
    }
    for statement in statements {
        if !is_query(statement.text) {
            bail!(
                "{}: a check or golden file is made of queries only, not `{}`",
                file.place(statement.line),
                leading_word(statement.text)
            );
        }
    }
    Ok(())
}

/// Nothing else belongs into `sql/<dataset>`: a folder called `check` would never be read, and its
/// gates would never be asked.
fn refuse_strays(folder: &Path) -> Result<()> {
    let listing = || Problem::usage(format!("list `{}`", folder.display()));
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).with_context(listing)? {
        let entry = entry.with_context(listing)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = match name.as_str() {
            "schema" | "derive" | "checks" | "golden" => entry.path().is_dir(),
            "README.md" => true,
            _ => is_left_by_editor(&entry.path()),
        };
        if !known {
            bail!(Problem::usage(format!(
                "`{}` is never read: only the folders schema, derive, checks and golden belong here",
                entry.path().display()
            )));
        }
    }
    Ok(())
}
