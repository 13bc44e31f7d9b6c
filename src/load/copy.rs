//! One table's COPY: finished bytes to Postgres, and the server's answer back to a record.
//!
//! tokio-postgres reports an error in the data only when a COPY ends, so a long one is cut into
//! several statements within the one transaction: otherwise a wrong first row of a 20 GB file
//! would be known only after all of it was sent. After any failed COPY the connection is thrown
//! away, because a COPY that was refused leaves it out of step with the server.

use crate::encode::{COPY_HEADER, COPY_TRAILER};
use crate::postgres::{Session, copy_position_of};
use crate::problem::Problem;
use bytes::Bytes;
use futures_util::SinkExt;
use std::pin::Pin;
use std::time::Duration;
use tokio_postgres::CopyInSink;

/// Bytes after which a COPY statement ends and the next begins.
const STATEMENT_BYTES: u64 = 128 << 20;

/// The COPY of one table.
pub struct TableCopy<'s> {
    session: &'s Session,
    statement: String,
    stall_limit: Duration,
    sink: Option<Pin<Box<CopyInSink<Bytes>>>>,
    /// Sent in the statement under way.
    statement_bytes: u64,
    statement_rows: u64,
    /// Rows that the server has acknowledged in finished statements.
    pub rows: u64,
}

impl<'s> TableCopy<'s> {
    /// Prepares; the first statement begins with the first rows.
    pub fn new(session: &'s Session, statement: String, stall_limit: Duration) -> TableCopy<'s> {
        TableCopy {
            session,
            statement,
            stall_limit,
            sink: None,
            statement_bytes: 0,
            statement_rows: 0,
            rows: 0,
        }
    }

    /// Sends encoded rows.
    pub async fn send(&mut self, rows: Bytes, row_count: u64) -> Result<(), CopyError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.statement_bytes += rows.len() as u64;
        self.statement_rows += row_count;
        self.send_raw(rows).await?;
        if self.statement_bytes >= STATEMENT_BYTES {
            self.finish().await?;
        }
        Ok(())
    }

    async fn send_raw(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        if self.sink.is_none() {
            let sink = self
                .session
                .copy_in(&self.statement)
                .await
                .map_err(|error| self.server_error(error))?;
            self.sink = Some(Box::pin(sink));
            self.push(Bytes::from_static(&COPY_HEADER)).await?;
        }
        self.push(bytes).await
    }

    async fn push(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        let limit = self.stall_limit;
        let Some(sink) = self.sink.as_mut() else {
            return Ok(());
        };
        match tokio::time::timeout(limit, sink.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.server_error(error)),
            Err(_) => Err(CopyError::stalled(limit)),
        }
    }

    /// Ends the statement under way; the server's row count must be what was sent.
    pub async fn finish(&mut self) -> Result<(), CopyError> {
        if self.sink.is_none() {
            return Ok(());
        }
        self.push(Bytes::from_static(&COPY_TRAILER)).await?;
        let Some(mut sink) = self.sink.take() else {
            return Ok(());
        };
        let counted = match tokio::time::timeout(self.stall_limit, sink.as_mut().finish()).await {
            Ok(counted) => counted.map_err(|error| self.server_error(error))?,
            Err(_) => return Err(CopyError::stalled(self.stall_limit)),
        };
        if counted != self.statement_rows {
            return Err(CopyError {
                row: None,
                error: anyhow::anyhow!(
                    "{} rows were sent and the server counted {counted}",
                    self.statement_rows
                ),
            });
        }
        self.rows += counted;
        self.statement_bytes = 0;
        self.statement_rows = 0;
        Ok(())
    }

    fn server_error(&self, error: tokio_postgres::Error) -> CopyError {
        // In binary COPY the server's "line" counts the rows of the statement from 1.
        let position = copy_position_of(&error);
        CopyError {
            row: position.and_then(|position| (self.rows + position.line).checked_sub(1)),
            error: error.into(),
        }
    }
}

/// A COPY that failed, with the row of the table that the server pointed at, counted from 0.
#[derive(Debug)]
pub struct CopyError {
    pub row: Option<u64>,
    pub error: anyhow::Error,
}

impl CopyError {
    fn stalled(limit: Duration) -> CopyError {
        CopyError {
            row: None,
            error: Problem::dependency(format!(
                "the server took no bytes for {} s",
                limit.as_secs()
            ))
            .hint("look for a full disk or a lock; --stall-limit sets the limit")
            .into(),
        }
    }
}
