//! Runs numbered SQL files, statement by statement, so that an error has a place.
//!
//! In: a fresh session and a [`NumberedFile`]. Out: what each statement took, or a [`SqlFailure`] with
//! file and line. One transaction holds the whole file unless it says otherwise; `search_path` is
//! `public` at the start of each. Check files are queries for offending rows: the server counts them,
//! and no value of them is sent here.
//!
//! The error of the driver is never a source of ours: its text may carry values of the data.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::TryStreamExt;
use tokio_postgres::{Client, SimpleQueryMessage, error::ErrorPosition};

use super::numbered::NumberedFile;
use crate::postgres::error::{code_of, explain, explain_statement};
use crate::postgres::sql::{Statement, leading_word, leading_words};

/// What one statement of a file took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTiming {
    /// Name of the file.
    pub file: String,
    /// Line of the statement in the file, from 1.
    pub line: u32,
    /// The first words of the statement in lower case, such as `create table`.
    pub what: String,
    /// Rows of the command tag; 0 where it has none.
    pub rows: u64,
    pub elapsed: Duration,
}

/// A statement of a file that the server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFailure {
    /// Path of the file.
    pub file: String,
    /// Line of the error in the file, or of the statement where the server gave no position.
    pub line: u32,
    /// Line on which the statement begins.
    pub statement_line: u32,
    /// SQLSTATE, if the server gave one.
    pub code: Option<String>,
    /// What the server said, without values of the data.
    pub message: String,
}

impl fmt::Display for SqlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}", self.file, self.line)?;
        if self.statement_line != self.line {
            write!(f, " (statement of line {})", self.statement_line)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.code {
            Some(code) if !self.message.contains(code) => write!(f, " ({code})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for SqlFailure {}

/// Runs `file` on `client`, a session that is used for nothing before or after it.
///
/// # Errors
/// [`SqlFailure`] for the first statement that fails; a file in a transaction then left nothing behind.
pub async fn run(client: &Client, file: &NumberedFile) -> Result<Vec<StepTiming>> {
    if !file.transaction {
        command(client, "SET search_path = public").await?;
        return run_statements(client, file).await;
    }
    command(client, "BEGIN").await?;
    let ran = run_in_transaction(client, file).await;
    end(client, file, ran).await
}

/// The same, and which tables it may have written: `None` if that cannot be known.
pub async fn run_and_tell_writes(client: &Client, file: &NumberedFile) -> Result<Option<Vec<u32>>> {
    if !file.transaction {
        return run(client, file).await.map(|_| None);
    }
    command(client, "BEGIN").await?;
    let ran = async {
        let steps = run_in_transaction(client, file).await?;
        Ok((steps, written(client).await?))
    };
    let (ran, tables) = match ran.await {
        Ok((steps, tables)) => (Ok(steps), tables),
        Err(error) => (Err(error), Vec::new()),
    };
    end(client, file, ran).await?;
    Ok(Some(tables))
}

/// Tables that the transaction has locked to write; also through functions, which no text tells.
async fn written(client: &Client) -> Result<Vec<u32>> {
    let sql = "SELECT relation FROM pg_catalog.pg_locks \
        WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted \
          AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
    let rows = client.query(sql, &[]).await;
    let rows = rows.map_err(|error| anyhow::anyhow!("ask for locks: {}", explain(&error)))?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Commits the file's transaction, or rolls it back.
async fn end(
    client: &Client,
    file: &NumberedFile,
    ran: Result<Vec<StepTiming>>,
) -> Result<Vec<StepTiming>> {
    match ran {
        Ok(steps) => {
            // Deferred constraints speak at the end: there is no statement to blame, so the last is named.
            let last = steps.last().map_or(1, |step| step.line);
            let place = (last, last);
            client
                .batch_execute("COMMIT")
                .await
                .map_err(|e| failure(file, "", place, &e, "at the end of the transaction: "))?;
            Ok(steps)
        }
        Err(error) => {
            // The first error counts; a session that is gone cannot roll back and need not.
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

/// Runs a file in the transaction that the caller holds.
pub(super) async fn run_in_transaction(
    client: &Client,
    file: &NumberedFile,
) -> Result<Vec<StepTiming>> {
    command(client, "SET LOCAL search_path = public").await?;
    run_statements(client, file).await
}

async fn run_statements(client: &Client, file: &NumberedFile) -> Result<Vec<StepTiming>> {
    let began = Instant::now();
    let mut steps = Vec::new();
    for statement in file.statements()? {
        limit_time(client, file, began).await?;
        let started = Instant::now();
        let rows = execute(client, statement.text)
            .await
            .map_err(|error| statement_failure(file, &statement, 0, &error, began))?;
        steps.push(StepTiming {
            file: file.name.clone(),
            line: statement.line,
            what: leading_words(statement.text, 2).join(" "),
            rows,
            elapsed: started.elapsed(),
        });
    }
    Ok(steps)
}

/// Gives the next statement what is left of the file's time.
async fn limit_time(client: &Client, file: &NumberedFile, began: Instant) -> Result<()> {
    let Some(timeout) = file.timeout else {
        return Ok(());
    };
    let left = timeout.saturating_sub(began.elapsed()).as_millis().max(1);
    let local = if file.transaction { "LOCAL " } else { "" };
    command(client, &format!("SET {local}statement_timeout = {left}")).await
}

/// Runs one statement and gives the rows of its command tag; rows it returns are dropped.
async fn execute(client: &Client, sql: &str) -> Result<u64, tokio_postgres::Error> {
    let messages = client.simple_query_raw(sql).await?;
    let mut messages = std::pin::pin!(messages);
    let mut rows = 0;
    while let Some(message) = messages.try_next().await? {
        if let SimpleQueryMessage::CommandComplete(count) = message {
            rows = count;
        }
    }
    Ok(rows)
}

/// What one query of a check file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offending {
    /// Name of the file.
    pub file: String,
    /// Line of the query in the file, from 1.
    pub line: u32,
    /// Offending rows, counted up to the limit.
    pub rows: u64,
    /// True if there are more than `rows`.
    pub more: bool,
    pub elapsed: Duration,
}

/// Runs the queries of a check file in a read-only transaction and counts the rows of each up to `limit`.
///
/// # Errors
/// [`SqlFailure`]; and a file without a query, or with anything that is not a query.
pub async fn offending_rows(
    client: &Client,
    file: &NumberedFile,
    limit: u64,
) -> Result<Vec<Offending>> {
    command(client, "BEGIN READ ONLY").await?;
    let counted = offending_in_transaction(client, file, limit).await;
    let ended = command(client, "ROLLBACK").await;
    let counted = counted?;
    ended?;
    Ok(counted)
}

/// Whether a statement only asks.
pub fn is_query(text: &str) -> bool {
    let word = leading_word(text);
    matches!(word.as_str(), "select" | "with" | "values" | "table" | "")
}

/// Counts offending rows in the transaction that the caller holds.
pub(super) async fn offending_in_transaction(
    client: &Client,
    file: &NumberedFile,
    limit: u64,
) -> Result<Vec<Offending>> {
    // Around the query, so that the server stops early and keeps the values to itself.
    const BEFORE: &str = "SELECT count(*) FROM (SELECT FROM (";
    command(client, "SET LOCAL search_path = public").await?;
    let began = Instant::now();
    let mut found = Vec::new();
    for statement in file.statements()? {
        let place = file.place(statement.line);
        ensure!(
            is_query(statement.text),
            "{place}: a check or golden file is made of queries only, not `{}`",
            leading_word(statement.text)
        );
        limit_time(client, file, began).await?;
        let started = Instant::now();
        let up_to = limit.saturating_add(1).min(i64::MAX as u64);
        let sql = format!(
            "{BEFORE}{}\n) AS offending LIMIT {up_to}) AS counted",
            statement.text
        );
        let shift = u32::try_from(BEFORE.len())?;
        let counted = client
            .simple_query(&sql)
            .await
            .map_err(|error| statement_failure(file, &statement, shift, &error, began))?;
        let count = counted.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u64>().ok(),
            _ => None,
        });
        let count = count.with_context(|| format!("{place}: count offending rows"))?;
        found.push(Offending {
            file: file.name.clone(),
            line: statement.line,
            rows: count.min(limit),
            more: count > limit,
            elapsed: started.elapsed(),
        });
    }
    if found.is_empty() {
        bail!(
            "`{}` has no query: it could never fail",
            file.path.display()
        );
    }
    Ok(found)
}

/// Runs a statement of the tool itself.
pub(super) async fn command(client: &Client, sql: &str) -> Result<()> {
    client
        .batch_execute(sql)
        .await
        .map_err(|error| anyhow::anyhow!("run `{sql}`: {}", explain(&error)))
}

fn statement_failure(
    file: &NumberedFile,
    statement: &Statement<'_>,
    shift: u32,
    error: &tokio_postgres::Error,
    began: Instant,
) -> SqlFailure {
    let position = match error.as_db_error().and_then(|db| db.position()) {
        Some(ErrorPosition::Original(position)) => position.saturating_sub(shift),
        _ => 1,
    };
    let place = (statement.line_at(position), statement.line);
    // The server was given whole milliseconds.
    let elapsed = began.elapsed() + Duration::from_millis(10);
    let over = file.timeout.is_some_and(|timeout| elapsed >= timeout);
    let canceled = error.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED);
    let before = match file.timeout {
        Some(timeout) if over && canceled => format!("the timeout of {timeout:?} is over: "),
        _ => String::new(),
    };
    failure(file, statement.text, place, error, &before)
}

fn failure(
    file: &NumberedFile,
    text: &str,
    (line, statement_line): (u32, u32),
    error: &tokio_postgres::Error,
    before: &str,
) -> SqlFailure {
    SqlFailure {
        file: file.path.display().to_string(),
        line,
        statement_line,
        code: code_of(error).map(str::to_owned),
        message: format!("{before}{}", explain_statement(error, text)),
    }
}
