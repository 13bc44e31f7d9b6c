//! One COPY after the other on one session: finished bytes to Postgres, and its answer back to a row.
//!
//! tokio-postgres reports an error in the data only when a COPY ends, so a long one is cut into
//! several statements within the one transaction: otherwise a wrong first row of a 20 GB file
//! would be known only after all of it was sent. After any failed COPY the connection is thrown
//! away, because a COPY that was refused leaves it out of step with the server.

use crate::config::CopyFormat;
use crate::encode::{COPY_HEADER, COPY_TRAILER};
use crate::postgres::{Session, copy_position_of};
use crate::problem::Problem;
use crate::switch;
use bytes::Bytes;
use futures_util::SinkExt;
use std::pin::Pin;
use std::time::Duration;
use tokio_postgres::CopyInSink;

/// Bytes after which a COPY statement ends and the next begins.
const STATEMENT_BYTES: u64 = 128 << 20;

/// The COPY statement under way, if one is.
pub struct Copy {
    sink: Option<Pin<Box<CopyInSink<Bytes>>>>,
    bytes: u64,
    rows: u64,
    format: CopyFormat,
    /// How long the server may take no bytes.
    stall_limit: Duration,
}

impl Copy {
    pub fn new(format: CopyFormat, stall_limit: Duration) -> Copy {
        Copy {
            sink: None,
            bytes: 0,
            rows: 0,
            format,
            stall_limit,
        }
    }

    pub fn is_open(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether the statement under way has become so long that it should end.
    pub fn is_long(&self) -> bool {
        self.bytes >= STATEMENT_BYTES
    }

    /// Begins a statement.
    pub async fn begin(&mut self, session: &Session, statement: &str) -> Result<(), CopyError> {
        let sink = session.copy_in(statement).await.map_err(server_error)?;
        self.sink = Some(Box::pin(sink));
        match self.format {
            CopyFormat::Binary => self.push(Bytes::from_static(&COPY_HEADER)).await,
            CopyFormat::Text => Ok(()),
        }
    }

    /// Sends encoded rows.
    pub async fn send(&mut self, rows: Bytes, row_count: u64) -> Result<(), CopyError> {
        self.bytes += rows.len() as u64;
        self.rows += row_count;
        self.push(rows).await
    }

    async fn push(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        let limit = self.stall_limit;
        let Some(sink) = self.sink.as_mut() else {
            return Ok(());
        };
        match tokio::time::timeout(limit, sink.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(server_error(error)),
            Err(_) => Err(CopyError::stalled(limit)),
        }
    }

    /// Ends the statement under way and returns its rows; the server must have counted as many.
    pub async fn finish(&mut self) -> Result<u64, CopyError> {
        if self.sink.is_none() {
            return Ok(0);
        }
        if self.format == CopyFormat::Binary {
            self.push(Bytes::from_static(&COPY_TRAILER)).await?;
        }
        let sent = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let Some(mut sink) = self.sink.take() else {
            return Ok(0);
        };
        let counted = match tokio::time::timeout(self.stall_limit, sink.as_mut().finish()).await {
            Ok(counted) => counted.map_err(server_error)?,
            Err(_) => return Err(CopyError::stalled(self.stall_limit)),
        };
        if counted != sent && switch::on("load.counted") {
            return Err(CopyError {
                row: None,
                error: anyhow::anyhow!("{sent} rows were sent and the server counted {counted}"),
            });
        }
        Ok(counted)
    }
}

fn server_error(error: tokio_postgres::Error) -> CopyError {
    // The server's "line" counts the rows of the statement from 1: in text, too, each has one line.
    let position = copy_position_of(&error);
    CopyError {
        row: position.and_then(|position| position.line.checked_sub(1)),
        error: error.into(),
    }
}

/// A COPY that failed, with the row of the statement that the server pointed at, counted from 0.
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
