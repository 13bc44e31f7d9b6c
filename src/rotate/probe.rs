//! A look through the alias with a service's eyes.

use super::pgbouncer::Pooler;
use crate::postgres::{LOOK, Server, Session};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::switch;
use anyhow::{Context, Result, bail};
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;

/// How long the look is tried: a connection that was waiting while the alias moved may be told
/// that the database "seems to have just been dropped or renamed".
const ATTEMPTS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(200);
/// Looks through each pooler, and how long one may take: a pooler that cannot reach its server keeps
/// a client waiting for minutes.
const THROUGH: usize = 3;
const PATIENCE: Duration = Duration::from_secs(5);

/// Who looks.
#[derive(Debug, Default)]
pub struct Prober {
    /// A reader's login; without one the tool's own role looks and asks for the readers' rights.
    pub login: Option<(String, Option<Secret>)>,
    pub readers: Vec<String>,
}

impl Prober {
    /// Connects to the alias and reads the stamp.
    ///
    /// # Errors
    /// When the alias cannot be reached, is another build, or a reader may not read it.
    pub async fn look(&self, server: &Server, alias: &str, build: &str) -> Result<()> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.look_once(server, alias, build).await {
                Ok(()) => return Ok(()),
                Err(error) if tried == ATTEMPTS => return Err(error),
                Err(error) => tracing::debug!(%error, tried, "look through the alias"),
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    /// Reads the stamp through a pooler, as often as it takes to meet more than one of its sessions.
    ///
    /// # Errors
    /// When the pooler lets nobody in, or leads to another build.
    pub async fn look_through(&self, pooler: &Pooler, alias: &str, build: &str) -> Result<()> {
        let (user, password) = match (&self.login, self.readers.first()) {
            (Some((user, password)), _) => (user.as_str(), password.as_ref()),
            (None, Some(reader)) => (reader.as_str(), None),
            (None, None) => bail!(
                Problem::usage("nobody can look through the pooler: the dataset has no readers")
                    .hint("name a login in dataset.toml: probe = { user = \"…\" }")
            ),
        };
        for _ in 0..THROUGH {
            let looked = async {
                let session = pooler.session(alias, user, password).await?;
                // In one message: the next one may be answered by another session of the server.
                let answer = session
                    .simple_query("select build from overnight.build")
                    .await
                    .context("read the stamp through the pooler")?;
                session.close().await;
                Ok(answer.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                }))
            };
            let found: Option<String> = tokio::time::timeout(PATIENCE, looked)
                .await
                .map_err(|_| anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs()))
                .and_then(|found| found)
                .with_context(|| {
                    format!("look as `{user}` through the pooler at {}", pooler.place())
                })?;
            if found.as_deref() != Some(build) {
                bail!(
                    "the pooler at {} leads to `{}`, not to `{build}`",
                    pooler.place(),
                    found.as_deref().unwrap_or("nothing")
                );
            }
        }
        Ok(())
    }

    /// Connects to the alias and reads the stamp, whichever build it is.
    ///
    /// # Errors
    /// When the alias cannot be reached or read.
    pub async fn ask(&self, server: &Server, alias: &str) -> Result<()> {
        let session = self
            .connect(server, alias, "probe of the live alias")
            .await?;
        session
            .query_one("select build from overnight.build", &[])
            .await
            .context("read the stamp through the alias")?;
        Ok(())
    }

    async fn connect(&self, server: &Server, alias: &str, purpose: &str) -> Result<Session> {
        let session = match &self.login {
            Some((user, password)) => server
                .connect_as(alias, user, password.as_ref(), purpose)
                .await
                .with_context(|| format!("connect to `{alias}` as `{user}`"))?,
            None => server.connect(alias, purpose).await?,
        };
        session.limit(LOOK, LOOK).await?;
        Ok(session)
    }

    async fn look_once(&self, server: &Server, alias: &str, build: &str) -> Result<()> {
        let session = self
            .connect(server, alias, "look through the alias")
            .await?;
        let found: String = session
            .query_one("select build from overnight.build", &[])
            .await
            .context("read the stamp through the alias")?
            .get(0);
        if found != build && switch::on("look.build") {
            bail!("the alias leads to `{found}`, not to `{build}`");
        }
        let denied = session
            .query(
                "select reader from unnest($1::text[]) reader
                 where not (has_database_privilege(reader, current_database(), 'connect')
                            and has_table_privilege(reader, 'overnight.build', 'select'))",
                &[&self.readers],
            )
            .await
            .context("ask for the readers' rights")?;
        if let Some(row) = denied.first()
            && switch::on("look.readers")
        {
            bail!(Problem::refused(format!(
                "the reader role `{}` could not use the alias",
                row.get::<_, String>(0)
            )));
        }
        Ok(())
    }
}
