//! A proposal from a sample: how a raw file is spelled, and what its columns hold.
//!
//! In: the bytes of a file, unpacked, as many as were looked at. Out: a [`Proposal`]: what a source
//! file and a `CREATE TABLE` say so that the file loads without a change, each decision with what it
//! rests on. What a file cannot show is marked as guessed.
//!
//! The rule that is easy to break: no value of the data ever leaves this module, only names of
//! columns, counts, lengths, and the characters and words that are syntax (a delimiter, a null mark).
//! Pure: no network, no clock, nothing is printed.

mod cells;
mod column;
pub mod container;
mod delimited;
mod dialect;
mod edges;
mod encoding;
mod fixed_width;
mod header;
mod json_lines;
mod key;
mod moment;
pub mod name;
mod parquet;
mod records;
mod schema_file;
mod shape;
mod source_file;
mod syntax_keys;
#[cfg(test)]
mod tests;
mod xlsx;
mod xml;

pub use column::ColumnType;
pub use container::Container;
pub use schema_file::schema_file;
pub use source_file::{Subject, dataset_file, source_file};

use anyhow::{Result, bail};
use serde::Serialize;

/// Of a longer file only so many bytes are looked at, counted after unpacking.
pub const SAMPLE_BYTES: usize = 64 << 20;

/// What was looked at of one file.
#[derive(Debug)]
pub struct Sample {
    /// What it was packed in, outermost first.
    pub containers: Vec<Container>,
    /// The member of an archive, and how many files the archive holds.
    pub member: Option<String>,
    pub members: usize,
    /// The file, unpacked.
    pub bytes: Vec<u8>,
    /// These are all of its bytes.
    pub whole: bool,
}

/// One decision's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub text: String,
    /// The file cannot show it.
    pub guessed: bool,
}

impl Note {
    fn seen(text: impl Into<String>) -> Note {
        Note {
            text: text.into(),
            guessed: false,
        }
    }

    fn guessed(text: impl Into<String>) -> Note {
        Note {
            text: text.into(),
            guessed: true,
        }
    }
}

/// A key of `[format]` with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    pub key: &'static str,
    pub value: toml::Value,
    pub notes: Vec<Note>,
}

impl Setting {
    fn new(key: &'static str, value: impl Into<toml::Value>, note: Note) -> Setting {
        Setting {
            key,
            value: value.into(),
            notes: vec![note],
        }
    }
}

/// A column of the table, and where its text is found.
#[derive(Debug, Clone, Serialize)]
pub struct ProposedColumn {
    pub name: String,
    /// Where the source file must say it.
    pub from: Option<String>,
    pub sql_type: String,
    /// `parse` and what goes with it.
    pub rules: Vec<(&'static str, toml::Value)>,
    pub notes: Vec<Note>,
}

/// What a file looks like.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    pub containers: Vec<Container>,
    pub member: Option<String>,
    /// Files in the archive.
    pub members: usize,
    /// Bytes looked at, after unpacking.
    pub bytes: u64,
    pub whole: bool,
    pub kind: &'static str,
    /// Records looked at, and how many of them the load would reject.
    pub records: u64,
    pub rejected: u64,
    /// What is true of the whole file and needs no key.
    pub notes: Vec<Note>,
    pub format: Vec<Setting>,
    pub columns: Vec<ProposedColumn>,
    /// Columns that tell the records apart; at most one list, the likeliest.
    pub key: Vec<String>,
    pub key_notes: Vec<Note>,
}

/// What a reader of one kind of file has found.
struct Found {
    kind: &'static str,
    records: u64,
    rejected: u64,
    notes: Vec<Note>,
    format: Vec<Setting>,
    names: Vec<name::Name>,
    table: cells::Table,
    /// An empty text is a null unless a column says otherwise.
    empty_is_null: bool,
}

/// Looks at a sample.
///
/// # Errors
/// An empty file, and one that is no table: the message says what was found.
pub fn propose(sample: &Sample) -> Result<Proposal> {
    let found = find(sample)?;
    if found.names.is_empty() {
        bail!("no column was found");
    }
    if found.names.len() > 1600 {
        bail!(
            "the file has {} columns; a table of PostgreSQL has at most 1,600",
            found.names.len()
        );
    }
    let columns: Vec<ProposedColumn> = found
        .names
        .into_iter()
        .zip(&found.table.columns)
        .map(|(name, seen)| column::propose(name, seen, found.empty_is_null))
        .collect();
    let (key, key_notes) = found
        .table
        .keys
        .propose(&columns, found.table.rows, sample.whole);
    Ok(Proposal {
        containers: sample.containers.clone(),
        member: sample.member.clone(),
        members: sample.members,
        bytes: sample.bytes.len() as u64,
        whole: sample.whole,
        kind: found.kind,
        records: found.records,
        rejected: found.rejected,
        notes: found.notes,
        format: found.format,
        columns,
        key,
        key_notes,
    })
}

fn find(sample: &Sample) -> Result<Found> {
    let bytes = sample.bytes.as_slice();
    if bytes.starts_with(b"PAR1") {
        return parquet::find(bytes, sample.whole);
    }
    if container::is_workbook(bytes) {
        return xlsx::find(bytes, sample.whole);
    }
    let decoded = encoding::decode(bytes, sample.whole);
    let text = decoded.text.as_ref();
    if text.iter().all(u8::is_ascii_whitespace) {
        bail!("the file is empty: there is nothing to propose from");
    }
    let mut found = if xml::is_document(text) {
        xml::find(text, sample.whole)?
    } else if json_lines::is_json_lines(text, sample.whole) {
        json_lines::find(text, sample.whole)
    } else {
        let dialect = dialect::choose(text, sample.whole);
        match fixed_width::find(text, sample.whole, dialect.as_ref()) {
            Some(found) => found,
            None => delimited::find(text, sample.whole, dialect),
        }
    };
    // A document of XML says itself what it is in.
    if found.kind != "xml" {
        let at = found
            .format
            .iter()
            .position(|setting| setting.key != "kind")
            .unwrap_or(found.format.len());
        found
            .format
            .insert(at, Setting::new("encoding", decoded.label, decoded.note));
    }
    Ok(found)
}

/// `3 of 4`, with separated thousands.
fn of(part: u64, whole: u64) -> String {
    use crate::units::grouped;
    format!("{} of {}", grouped(part), grouped(whole))
}

/// `1 record`, `2 records`.
fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", crate::units::grouped(count))
}
