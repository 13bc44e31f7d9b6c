//! Names of a file's columns as names of a table's columns.
//!
//! In: the names in a header, or their number. Out: for each a name that SQL takes without quotes, at
//! most 63 bytes long and different from all others; and, where the name in the header does not lead
//! to it, what `from` has to say.

use super::Note;
use crate::dataset::fold;
use crate::postgres::MAX_IDENTIFIER_BYTES;
use std::collections::{BTreeMap, BTreeSet};

/// A column's name, and where its text is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub column: String,
    pub from: Option<String>,
    /// Its type, where the format declares it.
    pub sql: Option<String>,
    pub notes: Vec<Note>,
}

/// Names of the columns of a file with a header.
pub fn of_header(header: &[String]) -> Vec<Name> {
    let mut repeats: BTreeMap<&str, usize> = BTreeMap::new();
    let mut folds: BTreeMap<String, usize> = BTreeMap::new();
    for name in header {
        *repeats.entry(name).or_default() += 1;
        *folds.entry(fold(name)).or_default() += 1;
    }
    let mut nth: BTreeMap<&str, usize> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut names = Vec::with_capacity(header.len());
    for (index, name) in header.iter().enumerate() {
        let folded = fold(name);
        let place = index + 1;
        let seen = nth.entry(name).or_default();
        *seen += 1;
        let mut notes = Vec::new();
        let column = free(&identifier(&folded, place), &mut taken);
        let from = if folded.is_empty() {
            notes.push(Note::seen(format!(
                "the header has no name for field {place}"
            )));
            Some(format!("#{place}"))
        } else if repeats[name.as_str()] > 1 {
            notes.push(Note::seen(format!(
                "the header has this name {} times",
                repeats[name.as_str()]
            )));
            Some(format!("{name}#{seen}"))
        } else if folds[&folded] > 1 {
            notes.push(Note::seen(
                "other names in the header differ only in case or signs",
            ));
            Some(name.clone())
        } else {
            (column != folded).then(|| name.clone())
        };
        names.push(Name {
            column,
            from,
            sql: None,
            notes,
        });
    }
    names
}

/// Names by path, which must be said wherever it is not the column's name itself.
pub fn of_paths(paths: &[String]) -> Vec<Name> {
    let mut taken = BTreeSet::new();
    let name = |(index, path): (usize, &String)| {
        let column = free(
            &identifier(&fold(&split_words(path)), index + 1),
            &mut taken,
        );
        let from = (column != *path).then(|| path.clone());
        Name {
            column,
            from,
            sql: None,
            notes: Vec::new(),
        }
    };
    paths.iter().enumerate().map(name).collect()
}

/// Names of the columns of a file without any.
pub fn numbered(count: usize) -> Vec<Name> {
    (1..=count)
        .map(|place| Name {
            column: format!("column_{place}"),
            from: None,
            sql: None,
            notes: Vec::new(),
        })
        .collect()
}

/// A folded name as SQL takes it without quotes.
pub fn identifier(folded: &str, place: usize) -> String {
    let mut name = match folded.chars().next() {
        None => format!("column_{place}"),
        Some(first) if first.is_numeric() => format!("_{folded}"),
        Some(_) => folded.to_owned(),
    };
    if RESERVED.contains(&name.as_str()) {
        name.push('_');
    }
    cut(&mut name, MAX_IDENTIFIER_BYTES);
    name
}

/// The name, or with a number behind it the first that is not taken.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut tried = name.to_owned();
    let mut number = 1;
    while !taken.insert(tried.clone()) {
        number += 1;
        let ending = format!("_{number}");
        tried = name.to_owned();
        cut(&mut tried, MAX_IDENTIFIER_BYTES - ending.len());
        tried += &ending;
    }
    tried
}

fn cut(name: &mut String, most: usize) {
    let mut end = name.len().min(most);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
}

/// `claimLineId` as `claim_Line_Id`, for folding.
fn split_words(path: &str) -> String {
    let mut out = String::new();
    let mut before_is_lower = false;
    for c in path.chars() {
        if c.is_uppercase() && before_is_lower {
            out.push('_');
        }
        before_is_lower = c.is_lowercase() || c.is_numeric();
        out.push(c);
    }
    out
}

/// A name for a dataset or a table from the name of a file: without folders, endings and dates.
pub fn of_file(file: &str) -> String {
    let base = file
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(file);
    let stem = base
        .split('.')
        .find(|part| !part.is_empty())
        .unwrap_or(base);
    let ascii: String = fold(stem)
        .chars()
        .map(|c| if c.is_ascii() { c } else { '_' })
        .collect();
    let words: Vec<&str> = ascii.split('_').filter(|word| !word.is_empty()).collect();
    let is_number = |word: &&&str| word.chars().all(|c| c.is_ascii_digit());
    let mut kept: Vec<&str> = words.clone();
    while kept.len() > 1 && kept.last().as_ref().is_some_and(is_number) {
        kept.pop();
    }
    let mut name = kept.join("_");
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name = format!("t_{name}").trim_end_matches('_').to_owned();
    }
    cut(&mut name, crate::dataset::MAX_NAME_BYTES);
    identifier(name.trim_end_matches('_'), 1)
}

/// Words that SQL does not take as the name of a column or table without quotes: PostgreSQL manual,
/// appendix "SQL Key Words", reserved and reserved for functions or types.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "binary",
    "both", "case", "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create",
    "cross", "current_catalog", "current_date", "current_role", "current_schema", "current_time",
    "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "grant", "group", "having", "ilike",
    "in", "initially", "inner", "intersect", "into", "is", "isnull", "join", "lateral", "leading", "left",
    "like", "limit", "localtime", "localtimestamp", "natural", "not", "notnull", "null", "offset", "on", "only",
    "or", "order", "outer", "overlaps", "placing", "primary", "references", "returning", "right", "select",
    "session_user", "similar", "some", "symmetric", "system_user", "table", "tablesample", "then", "to",
    "trailing", "true", "union", "unique", "user", "using", "variadic", "verbose", "when", "where", "window",
    "with",
    // Names of system columns.
    "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",
];
