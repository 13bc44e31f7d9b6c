//! Everything of a subset but its rows: what it was taken from, its SQL, its tables.
//!
//! In: [`Chosen`] and the project's SQL. Out: a [`Head`], from which a database is made, here or
//! where an artifact is restored. It holds no time but those of the build, so that the same subset is
//! the same bytes.

use super::closure::Chosen;
use super::rules::Take;
use crate::postgres::quote_ident;
use crate::problem::Problem;
use crate::schema::files::SqlFiles;
use crate::schema::numbered::NumberedFile;
use crate::switch;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the artifact's form; another one is not read.
pub const FORMAT: u32 = 1;

/// What a subset is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    pub format: u32,
    pub dataset: String,
    pub build: String,
    pub schema_version: i32,
    pub input_digest: String,
    /// When the build was created and verified, as the server spells it in UTC.
    pub created_at: String,
    pub verified_at: Option<String>,
    pub seed: String,
    pub rules_digest: String,
    pub collate: String,
    pub ctype: String,
    /// Roles that read the builds; artifacts of earlier releases do not name them.
    #[serde(default)]
    pub readers: Vec<String>,
    pub tables: Vec<HeadTable>,
    pub sequences: Vec<HeadSequence>,
    pub references: Vec<HeadReference>,
    pub schema: Vec<SqlText>,
    /// Only where derived tables are filled again.
    pub derive: Vec<SqlText>,
}

/// A table whose rows are copied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeadTable {
    pub schema: String,
    pub name: String,
    pub columns: Vec<String>,
    pub rows: u64,
    pub partitioned: bool,
}

/// Where a sequence stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeadSequence {
    pub schema: String,
    pub name: String,
    pub value: i64,
}

/// A reference that no foreign key declares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeadReference {
    pub name: String,
    /// As SQL.
    pub child: String,
    pub parent: String,
    pub child_columns: Vec<String>,
    pub parent_columns: Vec<String>,
    pub operators: Vec<String>,
    /// Rows that lead nowhere in the build itself.
    pub dangling: u64,
}

/// One numbered SQL file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SqlText {
    pub name: String,
    pub text: String,
}

impl HeadTable {
    /// As SQL.
    pub fn ident(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }
}

impl SqlText {
    fn of(file: &NumberedFile) -> SqlText {
        SqlText {
            name: file.name.clone(),
            text: file.text.clone(),
        }
    }

    /// Checks it as a numbered file of `part`.
    pub fn file(&self, part: &str) -> Result<NumberedFile> {
        NumberedFile::new(&Path::new(part).join(&self.name), self.text.clone())
    }
}

impl Head {
    /// Describes the chosen rows.
    ///
    /// # Errors
    /// Status 1 when the build was made by other schema files than the project has now.
    pub async fn of(chosen: &Chosen, files: &SqlFiles, readers: &[String]) -> Result<Head> {
        let keeper = chosen.keeper.lock().await;
        let made_by = keeper
            .query("select path, sha256 from overnight.sql_file", &[])
            .await
            .context("read which SQL made the build")?;
        let made_by: BTreeMap<String, String> = made_by
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_>>()?;
        let derives = chosen
            .rules
            .tables
            .iter()
            .any(|rule| rule.take == Take::Derived);
        let stamp = keeper
            .query_one(
                "select dataset, build, schema_version, input_digest,
                        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'),
                        to_char(verified_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')
                 from overnight.build",
                &[],
            )
            .await
            .context("read the stamp of the build")?;
        let build: String = stamp.try_get(1)?;
        same_sql(&build, &made_by, files, derives)?;
        let locale = keeper
            .query_one(
                "select datcollate::text, datctype::text from pg_database where datname = current_database()",
                &[],
            )
            .await?;
        let sequences = keeper
            .query(
                "select schemaname::text, sequencename::text, last_value from pg_sequences
                 where schemaname not in ('overnight') and last_value is not null
                   and schemaname !~ '^pg_temp'
                 order by schemaname collate \"C\", sequencename collate \"C\"",
                &[],
            )
            .await
            .context("read the sequences of the build")?;
        let sequence = |row: &tokio_postgres::Row| -> Result<HeadSequence> {
            Ok(HeadSequence {
                schema: row.try_get(0)?,
                name: row.try_get(1)?,
                value: row.try_get(2)?,
            })
        };
        let sequences = sequences.iter().map(sequence).collect::<Result<_>>()?;
        let catalog = &chosen.catalog;
        let tables = chosen.copied_tables().into_iter().map(|at| HeadTable {
            schema: catalog.tables[at].schema.clone(),
            name: catalog.tables[at].name.clone(),
            columns: chosen.columns(at),
            rows: chosen.plan.tables[at].rows,
            partitioned: catalog.tables[at].partitioned,
        });
        let undeclared = catalog.edges.iter().filter(|edge| !edge.declared);
        let references = undeclared
            .zip(&chosen.plan.dangling)
            .map(|(edge, dangling)| HeadReference {
                name: edge.name.clone(),
                child: catalog.tables[edge.child].ident.clone(),
                parent: catalog.tables[edge.parent].ident.clone(),
                child_columns: edge.child_columns.clone(),
                parent_columns: edge.parent_columns.clone(),
                operators: edge.operators.clone(),
                dangling: *dangling,
            });
        Ok(Head {
            format: FORMAT,
            dataset: stamp.try_get(0)?,
            build,
            schema_version: stamp.try_get(2)?,
            input_digest: stamp.try_get(3)?,
            created_at: stamp.try_get(4)?,
            verified_at: stamp.try_get(5)?,
            seed: chosen.plan.seed.clone(),
            rules_digest: chosen.plan.rules_digest.clone(),
            collate: locale.try_get(0)?,
            ctype: locale.try_get(1)?,
            readers: readers.to_vec(),
            tables: tables.collect(),
            sequences,
            references: references.collect(),
            schema: files.schema.iter().map(SqlText::of).collect(),
            derive: match derives {
                true => files.derive.iter().map(SqlText::of).collect(),
                false => Vec::new(),
            },
        })
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// The tables of the subset are made by the project's files: they must be those that made the build.
fn same_sql(
    build: &str,
    made_by: &BTreeMap<String, String>,
    files: &SqlFiles,
    derives: bool,
) -> Result<()> {
    let mut here = BTreeMap::new();
    for (part, file) in files.all() {
        if part == "schema" || (derives && part == "derive") {
            here.insert(format!("{part}/{}", file.name), file.digest.clone());
        }
    }
    let counts =
        |path: &&String| path.starts_with("schema/") || (derives && path.starts_with("derive/"));
    let mut other: Vec<&String> = made_by
        .keys()
        .filter(counts)
        .chain(here.keys())
        .filter(|path| made_by.get(*path) != here.get(*path))
        .collect();
    other.sort();
    other.dedup();
    if !other.is_empty() && switch::on("subset.same_sql") {
        let names: Vec<String> = other.iter().map(|path| format!("`{path}`")).collect();
        bail!(
            Problem::refused(format!(
                "`{build}` was made by other SQL than the project has: {}",
                names.join(", ")
            ))
            .hint("check out the commit that made it, or build again; an artifact brings its own SQL: `overnight subset pull`")
        );
    }
    Ok(())
}
