//! One source: from the keys of its file to what the load needs.

use super::file::{ColumnFile, SourceFile, parse_toml};
use super::format::{Format, FormatRead, Unpacking};
use super::{ColumnRule, Expect};
use crate::read::container::Members;
use crate::read::dialect::Dialect;
use anyhow::Result;
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
    pub expect: Expect,
}

impl Source {
    pub(super) fn read(name: &str, path: &Path, text: &str) -> Result<Source> {
        let file: SourceFile = parse_toml(path, text)?;
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
            companions: format.companions,
            columns: file
                .columns
                .into_iter()
                .map(|(column, rule)| {
                    let mut rule = match rule {
                        ColumnFile::From(from) => ColumnRule {
                            from: Some(from),
                            ..ColumnRule::default()
                        },
                        ColumnFile::Rule(rule) => rule,
                    };
                    if let Some(null) = &mut rule.null {
                        null.extend(null_of_rows.clone());
                    }
                    (column, rule)
                })
                .collect(),
            ignore: file.ignore,
            absent: file.absent,
            order_by: file.order_by,
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
