//! The `-- overnight: key = value` lines at the head of check and golden files.
//!
//! In: a [`NumberedFile`]. Out: what its header says, checked without a server. A line holds keys and
//! values as TOML writes them, several with commas between; there may be several lines. A key that is
//! not known is an error with file and line: one that is ignored would be a gate that is never asked.

use super::numbered::NumberedFile;
use super::run::{SqlFailure, command};
use crate::dataset::Limit;
use crate::postgres::{explain, quote_ident};
use crate::units::{Bytes, Percent, Span};
use anyhow::{Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio_postgres::Client;

/// Whether a failure stops the build.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Error,
    Warn,
}

/// What the header of a check file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckHeader {
    #[serde(default)]
    pub level: Level,
    /// Offending rows that are still no failure.
    pub max: Option<Limit>,
    /// The table that a share is meant of.
    pub of: Option<String>,
    /// How many offending rows `overnight verify` shows.
    pub sample: Option<u32>,
    /// Their columns that it shows.
    #[serde(default)]
    pub show: Vec<String>,
}

/// Rows that are shown where a header names columns and no number.
const SAMPLE: u32 = 5;
/// More would not be read by anybody.
const MOST_SHOWN: u32 = 100;

impl CheckHeader {
    /// Reads the header of a check file.
    ///
    /// # Errors
    /// Unknown keys and values that do not go together; the message names file and line.
    pub fn of_file(file: &NumberedFile) -> Result<CheckHeader> {
        let header: CheckHeader = read(file)?;
        let place = first_place(file);
        match (&header.max, &header.of) {
            (Some(Limit::Share(_)), None) => {
                bail!("{place}: a share is one of a table: write `max = \"0.1%\", of = \"TABLE\"`")
            }
            (None | Some(Limit::Records(_)), Some(_)) => {
                bail!("{place}: `of` names the table of a share: write `max = \"0.1%\"` beside it")
            }
            _ => {}
        }
        ensure!(
            header.sample.is_none() || !header.show.is_empty(),
            "{place}: `sample` needs `show = [\"COLUMN\"]`: only columns that are named are ever shown"
        );
        ensure!(
            (1..=MOST_SHOWN).contains(&header.sample()),
            "{place}: `sample` is 1 to {MOST_SHOWN}"
        );
        Ok(header)
    }

    /// How many rows are shown.
    pub fn sample(&self) -> u32 {
        self.sample.unwrap_or(SAMPLE)
    }
}

/// What the header of a golden file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenHeader {
    #[serde(default)]
    pub level: Level,
    /// Largest change of the number of rows against the live build, up or down.
    pub rows: Option<Percent>,
    /// Fewest and most rows.
    pub min: Option<u64>,
    pub max: Option<u64>,
    /// How many times as long as on the live build a query may take.
    slower: Option<f64>,
    /// A query that takes no longer than this is never called slow for `slower`.
    floor: Option<Span>,
    /// Longest time, whatever the live build takes.
    pub budget: Option<Span>,
    /// Largest table that may be read from end to end.
    pub seq_scan: Option<Bytes>,
    /// How often each query is timed.
    runs: Option<u32>,
}

const SLOWER: f64 = 3.0;
/// Below it, what is measured is the noise of the machine.
const FLOOR: Duration = Duration::from_millis(20);
const RUNS: u32 = 5;

impl GoldenHeader {
    /// Reads the header of a golden file.
    ///
    /// # Errors
    /// As for [`CheckHeader::of_file`].
    pub fn of_file(file: &NumberedFile) -> Result<GoldenHeader> {
        let header: GoldenHeader = read(file)?;
        let place = first_place(file);
        ensure!(
            header.slower() >= 1.0 && header.slower().is_finite(),
            "{place}: `slower` is a factor of 1 or more"
        );
        ensure!(
            (1..=100).contains(&header.runs()),
            "{place}: `runs` is 1 to 100"
        );
        ensure!(
            header.min.unwrap_or(0) <= header.max.unwrap_or(u64::MAX),
            "{place}: `min` is above `max`"
        );
        Ok(header)
    }

    pub fn slower(&self) -> f64 {
        self.slower.unwrap_or(SLOWER)
    }

    pub fn floor(&self) -> Duration {
        self.floor.map_or(FLOOR, |span| span.0)
    }

    pub fn runs(&self) -> u32 {
        self.runs.unwrap_or(RUNS)
    }
}

/// Fails where a file has a header that nobody reads.
pub fn refuse(file: &NumberedFile) -> Result<()> {
    match file.header.first() {
        None => Ok(()),
        Some((line, text)) => bail!(
            "{}: `-- overnight: {text}`: only files of checks/ and golden/ have such a header",
            file.place(*line)
        ),
    }
}

#[derive(Deserialize)]
struct Line<T> {
    header: T,
}

fn read<T: DeserializeOwned>(file: &NumberedFile) -> Result<T> {
    let mut all = toml::Table::new();
    for (line, text) in &file.header {
        let toml = format!("header = {{ {text} }}");
        let wrong = |error: toml::de::Error| {
            anyhow!(
                "{}: `-- overnight: {text}`: {}",
                file.place(*line),
                error.message()
            )
        };
        // Once as what it must be, for a message with this line; once as it is.
        toml::from_str::<Line<T>>(&toml).map_err(wrong)?;
        let Line { header } = toml::from_str::<Line<toml::Table>>(&toml).map_err(wrong)?;
        for (key, value) in header {
            let twice = all.insert(key.clone(), value).is_some();
            ensure!(!twice, "{}: `{key}` stands there twice", file.place(*line));
        }
    }
    T::deserialize(all).map_err(|error| anyhow!("{}: {}", first_place(file), error.message()))
}

fn first_place(file: &NumberedFile) -> String {
    file.place(file.header.first().map_or(1, |(line, _)| *line))
}

/// `plan` or `part.plan` as SQL; without a schema it is in `public`.
pub fn quoted_table(name: &str) -> String {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    format!("{}.{}", quote_ident(schema), quote_ident(table))
}

/// Asks, on empty tables, whether the names in the header of a check file are there. In the transaction
/// that the caller holds.
pub(super) async fn rehearse(client: &Client, file: &NumberedFile) -> Result<()> {
    // Golden files come here too; their headers name nothing.
    let Ok(header) = CheckHeader::of_file(file) else {
        return Ok(());
    };
    if let Some(table) = &header.of {
        let sql = format!("SELECT FROM {} LIMIT 0", quoted_table(table));
        client
            .batch_execute(&sql)
            .await
            .map_err(|error| failure(file, None, "`of` in its header: ", &error))?;
    }
    if !header.show.is_empty() {
        sample(client, file, &header, 1).await?;
    }
    Ok(())
}

/// The first offending rows of a check, of the columns that its header names, as text. In the
/// transaction that the caller holds.
///
/// # Errors
/// The query fails, or has no such column.
pub async fn sample(
    client: &Client,
    file: &NumberedFile,
    header: &CheckHeader,
    rows: u32,
) -> Result<Vec<Vec<Option<String>>>> {
    let columns: Vec<String> = header
        .show
        .iter()
        .map(|column| format!("offending.{}::text", quote_ident(column)))
        .collect();
    let columns = columns.join(", ");
    command(client, "SET LOCAL search_path = public").await?;
    let mut found = Vec::new();
    for statement in file.statements()? {
        let left = (rows as usize).saturating_sub(found.len());
        let sql = format!(
            "SELECT {columns} FROM ({}\n) AS offending LIMIT {left}",
            statement.text
        );
        let messages = client.simple_query(&sql).await.map_err(|error| {
            failure(file, Some(statement.line), "`show` in its header: ", &error)
        })?;
        for message in messages {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                let cells = (0..row.len()).map(|index| row.get(index).map(str::to_owned));
                found.push(cells.collect());
            }
        }
    }
    Ok(found)
}

fn failure(
    file: &NumberedFile,
    line: Option<u32>,
    before: &str,
    error: &tokio_postgres::Error,
) -> SqlFailure {
    let line = line.unwrap_or_else(|| file.header.first().map_or(1, |(line, _)| *line));
    SqlFailure {
        file: file.path.display().to_string(),
        line,
        statement_line: line,
        code: error.code().map(|code| code.code().to_owned()),
        message: format!("{before}{}", explain(error)),
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
