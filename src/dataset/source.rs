//! One source: from the keys of its file to what the load needs.

use super::column_keys::{ColumnFile, ColumnKeys, LookupKey};
use super::file::SourceFile;
use super::form::parse_text;
use super::format::{Format, FormatRead, Unpacking};
use super::{ColumnRule, Expect};
use crate::read::container::Members;
use crate::read::dialect::Dialect;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// One raw feed that fills one table.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name of its file, without `.toml`.
    pub name: String,
    pub schema: String,
    pub table: String,
    /// Matches keys below the dataset's prefix.
    pub files: glob::Pattern,
    /// Which members of archives.
    pub members: Members,
    pub format: Format,
    /// How its text is spelled, or the text that another format is turned into.
    pub dialect: Dialect,
    /// Field names of a file without a header.
    pub names: Option<Vec<String>>,
    /// Texts that mean NULL where the column says nothing else.
    pub null: Vec<String>,
    pub unpacking: Unpacking,
    /// Files beside the source file that it names.
    pub companions: Vec<String>,
    /// Table column -> where its text is found.
    pub columns: BTreeMap<String, ColumnRule>,
    /// File columns that are not loaded.
    pub ignore: Vec<String>,
    /// Table columns that no file fills.
    pub absent: Vec<String>,
    /// Table columns by which the rows are sorted while they are loaded.
    pub order_by: Vec<String>,
    /// The list of rejects shows the records themselves. Off unless somebody asks: they may hold what
    /// nobody should read in a list.
    pub keep_raw: bool,
    pub expect: Expect,
}

impl Source {
    pub(super) fn read(name: &str, path: &Path, text: &str) -> Result<Source> {
        let file: SourceFile = parse_text(text)?;
        let (schema, table) = match file.table.split_once('.') {
            Some((schema, table)) => (schema.to_owned(), table.to_owned()),
            None => ("public".to_owned(), file.table.clone()),
        };
        let format = FormatRead::new(file.format, path)?;
        let null_of_rows = format.format.null_of_rows();
        let (files, members) = Members::split(&file.files)?;
        Ok(Source {
            name: name.to_owned(),
            schema,
            table,
            files,
            members,
            format: format.format,
            dialect: format.dialect,
            names: format.names,
            null: format.null,
            unpacking: format.unpacking,
            companions: [format.companions, lookups(&file.columns)].concat(),
            columns: columns(file.columns, path, null_of_rows.as_ref())?,
            ignore: file.ignore,
            absent: file.absent,
            order_by: file.order_by,
            keep_raw: file.keep_raw,
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

/// Checks what each column says; `path` is the source file. What turns the format into text may have
/// a null of its own.
fn columns(
    columns: BTreeMap<String, ColumnFile>,
    path: &Path,
    null_of_rows: Option<&String>,
) -> Result<BTreeMap<String, ColumnRule>> {
    let mut rules = BTreeMap::new();
    for (column, keys) in columns {
        let keys = match keys {
            ColumnFile::From(from) => ColumnKeys {
                from: Some(from),
                ..ColumnKeys::default()
            },
            ColumnFile::Keys(keys) => *keys,
        };
        let mut rule = ColumnRule::new(keys, path).with_context(|| format!("column `{column}`"))?;
        if let Some(null) = &mut rule.null {
            null.extend(null_of_rows.cloned());
        }
        rules.insert(column, rule);
    }
    Ok(rules)
}

/// The files that columns look their values up in.
fn lookups(columns: &BTreeMap<String, ColumnFile>) -> Vec<String> {
    let files = columns.values().filter_map(|column| match column {
        ColumnFile::Keys(keys) => match &keys.lookup {
            Some(LookupKey::File(name)) => Some(name.clone()),
            _ => None,
        },
        ColumnFile::From(_) => None,
    });
    files.collect()
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
}
