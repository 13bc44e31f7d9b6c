//! What the commands do, without the command line: an open server and ledger, and one file for
//! each kind of work.

pub mod check;
pub mod inspect;
pub mod moves;
pub mod plan;
pub mod reverify;

use crate::config::{Config, Env, dereference};
use crate::dataset::Dataset;
use crate::embedded::{self, Embedded};
use crate::fetch::Location;
use crate::ledger::Ledger;
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, Target};
use crate::problem::Problem;
use crate::rotate::probe::Prober;
use crate::rotate::reconcile::reconcile;
use crate::secret::Secret;
use anyhow::{Context, Result};
use std::time::Duration;

/// A server to work on.
pub struct Workplace {
    pub config: Config,
    pub server: Server,
    embedded: Option<Embedded>,
}

impl Workplace {
    /// Connects to the target, or starts the embedded server.
    ///
    /// # Errors
    /// Status 2 for a target that cannot be read, status 3 for a server that does not answer.
    pub async fn open(config: Config, env: Env<'_>) -> Result<Workplace> {
        let (server, embedded) = match &config.target {
            Some(target) => {
                let target = Target::resolve(Some(target.expose()), env)
                    .with_context(|| Problem::usage("read the target"))?;
                (Server::new(target, "overnight".into()), None)
            }
            None => {
                let embedded = Embedded::ensure_running(&config.home, &options(&config, env))
                    .await
                    .context("start the embedded server")?;
                (
                    Server::new(embedded.target(), "overnight".into()),
                    Some(embedded),
                )
            }
        };
        Ok(Workplace {
            config,
            server,
            embedded,
        })
    }

    /// Opens the ledger, creating it on first use.
    pub async fn ledger(&self, purpose: &str) -> Result<Ledger> {
        Ledger::open(&self.server, &self.config.control_database, purpose).await
    }

    /// Opens the ledger under a dataset's lock and repairs what a dead run has left.
    pub async fn locked(&self, dataset: &Dataset, purpose: &str, env: Env<'_>) -> Result<Ledger> {
        let ledger = self.ledger(purpose).await?;
        ledger.lock(&dataset.name).await?;
        if let Some(embedded) = &self.embedded {
            embedded.ensure_readers(&dataset.settings.readers).await?;
        }
        let prober = self.prober(dataset, env)?;
        reconcile(&ledger, &self.server, dataset, &prober, self.config.flip).await?;
        Ok(ledger)
    }

    /// After an interruption: waits for the lock of the run that was stopped, and repairs.
    pub async fn clean_up(&self, dataset: &Dataset, env: Env<'_>) -> Result<()> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.locked(dataset, "clean up", env).await {
                Ok(_) => return Ok(()),
                Err(error) if tried == 20 => return Err(error),
                Err(error) => tracing::debug!("{}", explain_chain(&error)),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Who looks through the alias of a dataset after a move.
    ///
    /// The embedded server trusts its socket, so there a reader can be itself.
    pub fn prober(&self, dataset: &Dataset, env: Env) -> Result<Prober> {
        let readers = dataset.settings.readers.clone();
        let login = match &dataset.settings.probe {
            Some(probe) => {
                let password = match &probe.password {
                    Some(text) => Some(Secret::new(&dereference("probe.password", text, env)?)),
                    None => None,
                };
                Some((probe.user.clone(), password))
            }
            None if self.embedded.is_some() => readers.first().map(|reader| (reader.clone(), None)),
            None => None,
        };
        Ok(Prober { login, readers })
    }

    /// Opens the place of the raw files.
    ///
    /// # Errors
    /// Status 2 when none is configured.
    pub async fn location(&self) -> Result<Location> {
        let from = self.config.from.as_deref().with_context(|| {
            Problem::usage("no input location: where are the raw files?").hint(
                "--from s3://BUCKET/PREFIX or --from FOLDER, or `from = \"…\"` in overnight.toml",
            )
        })?;
        Location::open(from, &self.config.s3)
            .await
            .with_context(|| format!("open `{from}`"))
    }
}

/// Settings of the embedded server.
pub fn options(config: &Config, env: Env) -> embedded::Options {
    embedded::Options {
        bin_dir: config.postgres_bin.clone(),
        path: env("PATH").map(Into::into),
        sudo_uid: env("SUDO_UID").and_then(|uid| uid.parse().ok()),
        ..embedded::Options::default()
    }
}
