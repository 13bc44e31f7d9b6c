//! What `sources/<dataset>/*.toml` declare: a [`Dataset`] and its [`Source`]s.
//!
//! In: the files of one dataset. Out: checked values with the configuration errors already
//! reported, each naming the file. Nothing here talks to a server; column types are not declared
//! here, they come from the database. Unknown keys are errors, because a misspelt key that is
//! ignored would change what is loaded without a word.

use crate::problem::Problem;
use crate::read::dialect::{Dialect, Escape};
use crate::read::encoding::Encoding;
use crate::units::{Percent, Span};
use anyhow::{Context, Result, bail};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The longest dataset name: a build name adds `_20261121t051002z` and must stay within the 63
/// bytes of a PostgreSQL identifier.
pub const MAX_NAME_BYTES: usize = 63 - 17;

/// One family of builds with one alias.
#[derive(Debug)]
pub struct Dataset {
    /// Also the alias and the first part of each build's name.
    pub name: String,
    /// What its `dataset.toml` says.
    pub settings: DatasetFile,
    /// One for each table that files fill, by file name.
    pub sources: Vec<Source>,
    /// SHA-256 over the names and texts of all source files.
    pub digest: String,
    /// `sql/<dataset>`.
    pub sql: PathBuf,
}

/// The keys of `dataset.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFile {
    /// The schema version that the services were built against.
    pub schema_version: i32,
    /// Prefix of the raw objects below the input location.
    #[serde(default)]
    pub files_under: String,
    /// When the inputs are complete.
    pub ready_when: Option<Ready>,
    /// The newest input must not be older than this.
    pub max_age: Option<Span>,
    /// Roles that get SELECT in the build and CONNECT when the alias moves.
    #[serde(default)]
    pub readers: Vec<String>,
    /// How many published builds are kept, the live one included.
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Who looks through the alias after a flip; default: the first reader, if this tool may become it.
    pub probe: Option<Probe>,
}

fn default_keep() -> usize {
    3
}

/// When the inputs of a night are complete.
#[derive(Debug)]
pub enum Ready {
    /// An object of this name lies below the prefix.
    Marker(String),
    /// No input is younger than this.
    Settled(Settled),
}

/// `{ min_age = "10m" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    pub min_age: Span,
}

/// The login that looks through the alias after a flip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub user: String,
    /// `env:NAME` or `file:PATH`; without it, libpq's own places.
    pub password: Option<String>,
}

/// One raw feed that fills one table.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name of its file, without `.toml`.
    pub name: String,
    pub schema: String,
    pub table: String,
    /// Matches keys below the dataset's prefix.
    pub files: glob::Pattern,
    pub dialect: Dialect,
    /// Field names of a file without a header.
    pub names: Option<Vec<String>>,
    /// Texts that mean NULL where the column says nothing else.
    pub null: Vec<String>,
    /// Table column -> where its text is found.
    pub columns: BTreeMap<String, ColumnRule>,
    /// File columns that are not loaded, folded.
    pub ignore: Vec<String>,
    /// Table columns that no file fills.
    pub absent: Vec<String>,
    pub expect: Expect,
}

/// Where a column's text is found and how it is spelled.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRule {
    /// Name in the header; default: the name that folds to the column's own.
    pub from: Option<String>,
    /// Texts that mean NULL, instead of the format's.
    pub null: Option<Vec<String>>,
    pub parse: Option<Spelling>,
    /// Offset of zone-less `timestamptz` texts: `UTC` or `+HH:MM`.
    pub zone: Option<String>,
}

/// How a value is spelled, where the server's own spelling does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// `$1,234.00 ` and `($60.80)`.
    Money,
}

/// What a night's load must look like.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    #[serde(default)]
    pub rows: ExpectRows,
    #[serde(default)]
    pub rejects: ExpectRejects,
}

/// Rows loaded into the table.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectRows {
    pub min: Option<u64>,
    /// Largest difference from the last published build, up or down.
    pub change: Option<Percent>,
}

/// How many records may be rejected before the run fails.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectRejects {
    pub max: Option<Limit>,
}

/// A number of records, or a share of the records read.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    Records(u64),
    Share(Percent),
}

impl ExpectRejects {
    /// Whether `rejected` of `read` records are within the budget. Without a budget, none are.
    pub fn allows(&self, rejected: u64, read: u64) -> bool {
        match self.max {
            None => rejected == 0,
            Some(Limit::Records(most)) => rejected <= most,
            Some(Limit::Share(share)) => rejected as f64 <= read as f64 * share.0 / 100.0,
        }
    }

    /// Whether a reject can be collected at all; if not, the first one ends the load.
    pub fn collects(&self) -> bool {
        !matches!(self.max, None | Some(Limit::Records(0)))
    }

    /// The budget in words.
    pub fn describe(&self) -> String {
        match self.max {
            None => "none".into(),
            Some(Limit::Records(most)) => format!("at most {most}"),
            Some(Limit::Share(share)) => format!("at most {share}"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFile {
    table: String,
    files: String,
    #[serde(default)]
    format: FormatFile,
    #[serde(default)]
    columns: BTreeMap<String, ColumnFile>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    expect: Expect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatFile {
    kind: Option<Kind>,
    delimiter: Option<String>,
    quote: Option<String>,
    escape: Option<EscapeFile>,
    encoding: Option<String>,
    header: Option<bool>,
    names: Option<Vec<String>>,
    null: Option<Vec<String>>,
    max_record_bytes: Option<crate::units::Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Delimited,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EscapeFile {
    Double,
    Backslash,
}

#[derive(Debug)]
enum ColumnFile {
    From(String),
    Rule(ColumnRule),
}

/// Reads one of two forms by what stands there. (`#[serde(untagged)]` would try one form after the
/// other and then say neither which key was wrong nor in which line.)
macro_rules! deserialize_either {
    ($type:ty, $expected:literal, $($visit:ident($argument:ident: $form:ty) => $value:expr,)*) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Either;
                impl<'de> Visitor<'de> for Either {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    $(deserialize_either!(@ $visit $argument $form, $value);)*
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
    (@ visit_map $argument:ident $form:ty, $value:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let $argument = <$form>::deserialize(MapAccessDeserializer::new(map))?;
            Ok($value)
        }
    };
    (@ $visit:ident $argument:ident $form:ty, $value:expr) => {
        fn $visit<E: serde::de::Error>(self, $argument: $form) -> Result<Self::Value, E> {
            $value.map_err(E::custom)
        }
    };
}
deserialize_either!(
    Ready,
    "the name of a marker, or `{ min_age = \"10m\" }`",
    visit_str(name: &str) => anyhow::Ok(Ready::Marker(name.to_owned())),
    visit_map(settled: Settled) => Ready::Settled(settled),
);
deserialize_either!(
    ColumnFile,
    "a name in the header, or a table such as `{ from = \"NAME\" }`",
    visit_str(from: &str) => anyhow::Ok(ColumnFile::From(from.to_owned())),
    visit_map(rule: ColumnRule) => ColumnFile::Rule(rule),
);
deserialize_either!(
    Limit,
    "a number of records, or a share such as `\"0.1%\"`",
    visit_i64(records: i64) => u64::try_from(records).map(Limit::Records),
    visit_u64(records: u64) => anyhow::Ok(Limit::Records(records)),
    visit_str(share: &str) => share.parse().map(Limit::Share),
);

impl Dataset {
    /// Reads `sources/<name>` of a project.
    ///
    /// # Errors
    /// A [`Problem`] with status 2 that names the file, the line and what was expected.
    pub fn read(project: &Path, name: &str) -> Result<Dataset> {
        check_name(name)?;
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
        let mut sources = Vec::new();
        for path in toml_files(&folder)? {
            let stem = stem(&path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| Problem::usage(format!("read `{}`", path.display())))?;
            digest.update(format!("{stem} {}\n", text.len()).as_bytes());
            digest.update(text.as_bytes());
            if stem == "dataset" {
                let parsed: DatasetFile = parse_toml(&path, &text)?;
                settings = Some(parsed);
            } else {
                sources.push(
                    Source::read(&stem, &path, &text)
                        .with_context(|| Problem::usage(format!("read `{}`", path.display())))?,
                );
            }
        }
        let Some(settings) = settings else {
            bail!(
                Problem::usage(format!("`{}` has no dataset.toml", folder.display()))
                    .hint("write one with at least `schema_version = 1`")
            );
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

fn check_name(name: &str) -> Result<()> {
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

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)
        .with_context(|| Problem::usage(format!("list `{}`", folder.display())))?
    {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "toml") {
            bail!(Problem::usage(format!(
                "`{}` is not a source file: only `.toml` files belong in this folder",
                path.display()
            )));
        }
        files.push(path);
    }
    files.sort();
    Ok(files)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Reads TOML; the error names the file and shows the line.
pub fn parse_toml<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let place = match line {
            Some(line) => format!("`{}` line {line}", path.display()),
            None => format!("`{}`", path.display()),
        };
        anyhow::Error::new(Problem::usage(format!("{place}: {}", error.message())))
    })
}

impl Source {
    fn read(name: &str, path: &Path, text: &str) -> Result<Source> {
        let file: SourceFile = parse_toml(path, text)?;
        let (schema, table) = match file.table.split_once('.') {
            Some((schema, table)) => (schema.to_owned(), table.to_owned()),
            None => ("public".to_owned(), file.table.clone()),
        };
        let format = file.format;
        let header = format.header.unwrap_or(true);
        let Kind::Delimited = format.kind.unwrap_or(Kind::Delimited);
        if header == format.names.is_some() {
            bail!(if header {
                "`names` is for files without a header: remove it, or set `header = false`"
            } else {
                "`header = false` needs `names = [...]`, the names of the file's columns in order"
            });
        }
        let dialect = Dialect {
            delimiter: one_byte("delimiter", format.delimiter.as_deref().unwrap_or(","))?,
            quote: match format.quote.as_deref() {
                Some("none") => None,
                Some(quote) => Some(one_byte("quote", quote)?),
                None => Some(b'"'),
            },
            escape: match format.escape {
                Some(EscapeFile::Backslash) => Escape::Backslash,
                Some(EscapeFile::Double) | None => Escape::Doubled,
            },
            header,
            encoding: match format.encoding.as_deref() {
                None => Encoding::Utf8,
                Some(label) => Encoding::from_label(label).with_context(|| {
                    format!(
                        "encoding `{label}` is not known: write utf-8, windows-1252 or iso-8859-1"
                    )
                })?,
            },
            max_record_bytes: format
                .max_record_bytes
                .map_or(16 << 20, |bytes| bytes.0 as usize),
        };
        dialect.check()?;
        Ok(Source {
            name: name.to_owned(),
            schema,
            table,
            files: glob::Pattern::new(&file.files)
                .with_context(|| format!("`files = \"{}\"` is not a glob", file.files))?,
            dialect,
            names: format.names,
            null: format.null.unwrap_or_else(|| vec![String::new()]),
            columns: file
                .columns
                .into_iter()
                .map(|(column, rule)| {
                    let rule = match rule {
                        ColumnFile::From(from) => ColumnRule {
                            from: Some(from),
                            ..ColumnRule::default()
                        },
                        ColumnFile::Rule(rule) => rule,
                    };
                    (column, rule)
                })
                .collect(),
            ignore: file.ignore.iter().map(|column| fold(column)).collect(),
            absent: file.absent,
            expect: file.expect,
        })
    }

    /// `schema.table`, without the schema where it is `public`.
    pub fn full_table(&self) -> String {
        match self.schema.as_str() {
            "public" => self.table.clone(),
            schema => format!("{schema}.{}", self.table),
        }
    }
}

fn one_byte(key: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => bail!(
            "`{key} = \"{}\"` must be one ASCII character",
            text.escape_default()
        ),
    }
}

/// A header name as a column name: lower case, every run of other characters one `_`.
pub fn fold(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_fold_to_column_names() {
        assert_eq!(fold("UNIT_COST"), "unit_cost");
        assert_eq!(
            fold("Special Needs Plan (SNP) Indicator "),
            "special_needs_plan_snp_indicator"
        );
        assert_eq!(fold("copay_amt_pref_insln"), "copay_amt_pref_insln");
        assert_eq!(fold("  $ "), "");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_line() {
        let text = "table = \"price\"\nfiles = \"p*.txt\"\n[format]\ndelimitr = \"|\"\n";
        let error = Source::read("price", Path::new("price.toml"), text).unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("line 4") && message.contains("delimitr"),
            "{message}"
        );
    }

    #[test]
    fn a_reject_budget_counts_records_or_a_share() {
        let none = ExpectRejects { max: None };
        assert!(none.allows(0, 10) && !none.allows(1, 10) && !none.collects());
        let share = ExpectRejects {
            max: Some(Limit::Share(Percent(10.0))),
        };
        assert!(share.allows(1, 10) && !share.allows(2, 10) && share.collects());
    }

    #[test]
    fn a_dataset_name_leaves_room_for_the_time() {
        assert!(check_name("planinfo").is_ok());
        for wrong in ["", "Plan", "plan-info", "9plans", "_x", &"x".repeat(47)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
