//! The admin console of one pooler: a database called `pgbouncer` that knows a few commands.
//!
//! In: a command. Out: rows as text, by the names of their columns. The console speaks the simple
//! protocol only, and its answer to RELOAD says nothing: before 1.25 it is success even when the
//! file could not be read. What it does is seen in SHOW DATABASES alone.

use crate::postgres::{Server, Session};
use crate::problem::Problem;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;

/// A console answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// One alias as a pooler shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub alias: String,
    pub host: String,
    pub port: String,
    pub database: String,
    pub paused: bool,
    pub disabled: bool,
}

/// An open console.
pub struct Console {
    session: Session,
    place: String,
}

type Row = BTreeMap<String, String>;

impl Console {
    /// Connects to the console.
    ///
    /// # Errors
    /// Status 3 when the pooler does not answer within five seconds, or does not let us in.
    pub async fn open(server: &Server) -> Result<Console> {
        let place = server.target().place();
        let opening = server.connect_bare("pgbouncer", None, None, "console");
        let session = tokio::time::timeout(PATIENCE, opening)
            .await
            .map_err(|_| anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs()))
            .and_then(|opened| opened)
            .with_context(|| {
                Problem::dependency(format!("open the admin console of the pooler at {place}"))
                    .hint("is it running, and is the user one of its admin_users?")
            })?;
        Ok(Console { session, place })
    }

    /// Every alias of the pooler, also those that are not ours.
    pub async fn lines(&self) -> Result<Vec<Line>> {
        let rows = self.ask("SHOW DATABASES").await?;
        Ok(rows
            .into_iter()
            .map(|mut row| {
                let mut take = |name: &str| row.remove(name).unwrap_or_default();
                Line {
                    alias: take("name"),
                    host: take("host"),
                    port: take("port"),
                    database: take("database"),
                    paused: take("paused") == "1",
                    disabled: take("disabled") == "1",
                }
            })
            .collect())
    }

    /// The file that the pooler reads at RELOAD, as its command line named it.
    pub async fn configuration_file(&self) -> Result<Option<String>> {
        let rows = self.ask("SHOW CONFIG").await?;
        Ok(rows
            .into_iter()
            .find(|row| row.get("key").is_some_and(|key| key == "conffile"))
            .and_then(|mut row| row.remove("value")))
    }

    /// Whether all aliases are paused at once; releases without that command say no.
    pub async fn all_paused(&self) -> bool {
        match self.ask("SHOW STATE").await {
            Ok(rows) => rows.iter().any(|row| {
                row.get("key").is_some_and(|key| key == "paused")
                    && row.get("value").is_some_and(|value| value == "yes")
            }),
            Err(error) => {
                tracing::debug!(%error, "ask the pooler for its state");
                false
            }
        }
    }

    /// Makes the pooler read its files. Success says nothing.
    pub async fn reload(&self) -> Result<()> {
        self.ask("RELOAD").await.map(drop)
    }

    /// Lets clients of an alias, or of all, go on.
    pub async fn resume(&self, alias: Option<&str>) -> Result<()> {
        let command = format!("RESUME {}", alias.unwrap_or_default());
        self.ask(command.trim_end()).await.map(drop)
    }

    /// Waits until the pooler's connections to what an alias led to before are closed; false when
    /// that takes longer.
    pub async fn wait_close(&self, alias: &str, limit: Duration) -> Result<bool> {
        let command = format!("WAIT_CLOSE {alias}");
        match tokio::time::timeout(limit, self.session.simple_query(&command)).await {
            Ok(answer) => answer.map(|_| true).with_context(|| self.told(&command)),
            Err(_) => Ok(false),
        }
    }

    fn told(&self, command: &str) -> String {
        format!("{command} at the pooler {}", self.place)
    }

    async fn ask(&self, command: &str) -> Result<Vec<Row>> {
        let answer = tokio::time::timeout(PATIENCE, self.session.simple_query(command))
            .await
            .with_context(|| {
                Problem::dependency(format!("{}: no answer in time", self.told(command)))
            })?
            .with_context(|| self.told(command))?;
        Ok(answer
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|index| {
                            let name = row.columns()[index].name().to_owned();
                            (name, row.get(index).unwrap_or_default().to_owned())
                        })
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    }
}
