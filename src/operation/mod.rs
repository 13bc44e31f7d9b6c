//! What the commands do, without the command line: an open server and ledger, and one file for
//! each kind of work.

mod accept;
pub mod adopt;
pub mod check;
pub mod check_files;
pub mod diff;
pub mod doctor;
pub mod groups;
pub mod guard;
pub mod hints;
pub mod infer;
pub mod init;
pub mod inspect;
pub mod moves;
pub mod plan;
pub mod reconcile;
pub mod report;
pub mod reverify;
pub mod routes;
pub mod run_record;
pub mod stamped;
pub mod status;
pub mod stays;
pub mod subset;
pub mod told;

use crate::capacity::Capacity;
use crate::config::watch::Replicas;
use crate::config::{Config, Env, dereference};
use crate::dataset::Dataset;
use crate::embedded::{self, Embedded};
use crate::fetch::{FetchError, Location};
use crate::hooks;
use crate::ledger::{Ledger, Lock, State};
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, Standby, Standbys, Target};
use crate::problem::Problem;
use crate::rotate::Router;
use crate::rotate::probe::Prober;
use crate::rotate::reconcile::{reconcile_alias, reconcile_builds};
use crate::secret::Secret;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;

/// A server to work on.
pub struct Workplace {
    pub config: Config,
    pub server: Server,
    pub router: Router,
    embedded: Option<Embedded>,
}

impl Workplace {
    /// Connects to the target, or starts the embedded server.
    ///
    /// # Errors
    /// Status 2 for a target that cannot be read, status 3 for a server that does not answer.
    pub async fn open(config: Config, env: Env<'_>) -> Result<Workplace> {
        let standbys = standbys(&config.replicas, env)?;
        let (server, embedded) = match &config.target {
            Some(target) => {
                let target = Target::resolve(Some(target.expose()), env)
                    .with_context(|| Problem::usage("read the target"))?;
                (Server::followed(target, "overnight".into(), standbys), None)
            }
            None => {
                let embedded = Embedded::ensure_running(&config.home, &options(&config, env))
                    .await
                    .context("start the embedded server")?;
                (
                    Server::followed(embedded.target(), "overnight".into(), standbys),
                    Some(embedded),
                )
            }
        };
        let router = Router::new(&config.router, server.target(), env)?;
        Ok(Workplace {
            config,
            server,
            router,
            embedded,
        })
    }

    /// What the server has, for deciding how much to do at once; `client` is any session on it.
    pub async fn capacity(&self, client: &tokio_postgres::Client) -> Result<Capacity> {
        Capacity::find(&self.config, self.server.target(), client).await
    }

    /// The data directory of the embedded server.
    pub fn data(&self) -> Option<PathBuf> {
        self.embedded.as_ref().map(Embedded::data)
    }

    /// The psql for this server.
    pub fn psql(&self) -> PathBuf {
        let embedded = self.embedded.as_ref();
        embedded.map_or_else(|| PathBuf::from("psql"), Embedded::psql)
    }

    /// Opens the ledger, creating it on first use.
    pub async fn ledger(&self, purpose: &str) -> Result<Ledger> {
        Ledger::open(&self.server, &self.config.control_database, purpose).await
    }

    /// Opens the ledger to make a build: takes the lock of builds, repairs what a dead run has
    /// left of the alias and of its builds.
    ///
    /// # Errors
    /// Status 75 when a run is under way.
    pub async fn for_build(&self, dataset: &Dataset, purpose: &str) -> Result<Ledger> {
        let ledger = self.ledger(purpose).await?;
        ledger.lock(&dataset.name, Lock::Build).await?;
        self.ensure_readers(dataset).await?;
        ledger.wait_for(&dataset.name, Lock::Move).await?;
        self.repair_alias(&ledger, dataset).await?;
        ledger.unlock(&dataset.name, Lock::Move).await?;
        reconcile_builds(&ledger, &self.server, &dataset.name).await?;
        Ok(ledger)
    }

    /// Opens the ledger to move an alias or retire builds. A run may be loading meanwhile.
    pub async fn for_move(&self, dataset: &Dataset, purpose: &str) -> Result<Ledger> {
        self.for_moves(std::slice::from_ref(dataset), purpose).await
    }

    /// The same for the aliases of several datasets, given by name: always in this order, so that two
    /// processes cannot wait for each other.
    pub async fn for_moves(&self, datasets: &[Dataset], purpose: &str) -> Result<Ledger> {
        let ledger = self.ledger(purpose).await?;
        for dataset in datasets {
            ledger.wait_for(&dataset.name, Lock::Move).await?;
        }
        self.repaired(ledger, datasets).await
    }

    /// The same to go back, which takes precedence over a move that is still trying.
    pub async fn for_rollback(&self, datasets: &[Dataset], name: &str) -> Result<Ledger> {
        let ledger = self.ledger(&format!("rollback {name}")).await?;
        for dataset in datasets {
            ledger.wait_for_rollback(&dataset.name).await?;
        }
        self.repaired(ledger, datasets).await
    }

    async fn repaired(&self, ledger: Ledger, datasets: &[Dataset]) -> Result<Ledger> {
        for dataset in datasets {
            self.ensure_readers(dataset).await?;
            self.repair_alias(&ledger, dataset).await?;
        }
        Ok(ledger)
    }

    /// Puts right what a move that died has left of the alias; hooks are told of it later.
    async fn repair_alias(&self, ledger: &Ledger, dataset: &Dataset) -> Result<()> {
        // A password that only the environment knows is not at hand: then whoever may enter the pooler
        // without one looks through it.
        let prober = self.prober(dataset, &|_| None).unwrap_or_else(|_| Prober {
            login: None,
            readers: dataset.settings.readers.clone(),
        });
        reconcile_alias(ledger, &self.server, &self.router, &prober, &dataset.name).await?;
        hooks::tell_moves(ledger, &self.config.hooks, &dataset.name).await?;
        Ok(())
    }

    async fn ensure_readers(&self, dataset: &Dataset) -> Result<()> {
        match &self.embedded {
            Some(embedded) => embedded.ensure_readers(&dataset.settings.readers).await,
            None => Ok(()),
        }
    }

    /// After an interruption: waits for the locks of the run that was stopped, repairs, and says
    /// what is live and what is kept.
    pub async fn clean_up(&self, dataset: &Dataset) -> Result<CleanedUp> {
        let mut tried = 0;
        let ledger = loop {
            tried += 1;
            match self.for_build(dataset, "clean up").await {
                Ok(ledger) => break ledger,
                Err(error) if tried == 20 => return Err(error),
                Err(error) => tracing::debug!("{}", explain_chain(&error)),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        };
        let live = match ledger.dataset(&dataset.name).await?.live_build {
            Some(id) => Some(ledger.build(id).await?.name),
            None => None,
        };
        let builds = ledger.builds(&dataset.name).await?.into_iter();
        let mut kept = builds.filter(|build| build.state == State::Loading);
        let kept = kept.next().map(|build| build.name);
        // The process ends next: its session should not outlive it.
        ledger.close().await;
        Ok(CleanedUp { live, kept })
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
        location(&self.config).await
    }
}

/// Resolves the targets of the declared replicas.
fn standbys(replicas: &Replicas, env: Env) -> Result<Standbys> {
    let mut declared = Vec::new();
    for replica in &replicas.declared {
        let target = Target::resolve(Some(replica.target.expose()), env).with_context(|| {
            Problem::usage(format!("read the target of replica `{}`", replica.name))
        })?;
        declared.push(Standby {
            name: replica.name.clone(),
            server: Server::new(target, "overnight".into()),
            drain: replica.drain,
        });
    }
    Ok(Standbys {
        declared,
        ignore_undeclared: replicas.ignore_undeclared,
        wait: replicas.wait,
    })
}

/// What an interrupted command leaves.
pub struct CleanedUp {
    /// The build behind the alias.
    pub live: Option<String>,
    /// A build that the next run can resume.
    pub kept: Option<String>,
}

/// Opens the configured place of the raw files.
///
/// # Errors
/// Status 2 when none is configured or it is not there; status 3 when it cannot be reached.
pub async fn location(config: &Config) -> Result<Location> {
    let from = config.from.as_deref().with_context(|| {
        Problem::usage("no input location: where are the raw files?")
            .hint("--from s3://BUCKET/PREFIX or --from FOLDER, or `from = \"…\"` in overnight.toml")
    })?;
    Location::open(from, &config.s3).await.map_err(|error| {
        let status = match &error {
            FetchError::NoFolder { .. } | FetchError::BadLocation { .. } => Problem::usage,
            _ => Problem::dependency,
        };
        anyhow::Error::new(error).context(status(format!("open `{from}`")))
    })
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
