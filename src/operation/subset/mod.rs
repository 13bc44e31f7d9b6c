//! `overnight subset`: from a build, or from an artifact, to a small database of one's own.
//!
//! In: what somebody asked for. Out: a database under the alias's name on the embedded server, a
//! database elsewhere, or an artifact. The server of the builds is only read; where it holds the live
//! alias no subset is written.

mod address;
pub mod clones;
mod pull;
mod recipients;
mod served;

use super::Workplace;
use crate::config::{Config, Env, dereference};
use crate::dataset::Dataset;
use crate::ledger::{Ledger, State};
use crate::problem::Problem;
use crate::schema::files::SqlFiles;
use crate::secret::Secret;
use crate::subset::artifact::Writer;
use crate::subset::catalog::Catalog;
use crate::subset::closure::{self, Chosen};
use crate::subset::head::Head;
use crate::subset::recipient::Recipient;
use crate::subset::rules::Rules;
use address::Address;
use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt};
pub use pull::Artifact;
pub use recipients::Recipients;
use serde::Serialize;
pub use served::{Served, served};

/// The key of the masks is at least so long.
const LEAST_KEY_BYTES: usize = 16;
/// Tables that are copied side by side, at most.
const SIDE_BY_SIDE: usize = 4;

/// Where a subset goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// The embedded server, under the name of the alias.
    Embedded,
    /// A database on another server.
    Server(Secret),
    /// A file, a folder or an S3 address.
    Artifact(String),
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    pub dataset: String,
    pub build: String,
    pub rows: u64,
    pub tables: usize,
    /// How to connect, or where the artifact is.
    pub at: String,
    /// Of an artifact.
    pub bytes: Option<u64>,
    pub seconds: f64,
}

impl Destination {
    /// Reads what stands behind `--to`.
    pub fn read(text: Option<&str>, env: Env) -> Result<Destination> {
        let Some(text) = text else {
            return Ok(Destination::Embedded);
        };
        let text = dereference("--to", text, env)?;
        let server = [
            "postgres://",
            "postgresql://",
            "host=",
            "service=",
            "dbname=",
        ]
        .iter()
        .any(|start| text.starts_with(start));
        Ok(match server {
            true => Destination::Server(Secret::new(text)),
            false => Destination::Artifact(text),
        })
    }
}

/// Chooses the rows of a build; the live one unless another is named.
///
/// # Errors
/// Status 1 or 2, before anything is copied.
pub async fn choose(place: &Workplace, dataset: &Dataset, build: Option<&str>) -> Result<Chosen> {
    let control = &place.config.control_database;
    let never = || {
        Problem::usage(format!("`{}` was never run on this server", dataset.name))
            .hint("--target names the server of the builds; `overnight subset pull` needs none")
    };
    let ledger = Ledger::open_existing(&place.server, control, "subset")
        .await?
        .with_context(never)?;
    if !ledger.datasets().await?.contains(&dataset.name) {
        bail!(never());
    }
    let live = ledger.dataset(&dataset.name).await?.live_build;
    let builds = ledger.builds(&dataset.name).await?;
    ledger.session.close().await;
    let wanted = match build {
        Some(name) => builds.iter().find(|one| one.name == name),
        None => builds.iter().find(|one| Some(one.id) == live),
    };
    let Some(wanted) = wanted else {
        bail!(match build {
            Some(name) => Problem::usage(format!("`{}` has no build `{name}`", dataset.name))
                .hint(format!("`overnight builds {}` lists them", dataset.name)),
            None => Problem::refused(format!("nothing of `{}` is live", dataset.name))
                .hint("--build names one that was published"),
        });
    };
    let database = match wanted.state {
        _ if Some(wanted.id) == live => &dataset.name,
        State::Published => &wanted.name,
        state => bail!(
            Problem::refused(format!(
                "`{}` is {}: a subset is taken of a build that was published and is kept",
                wanted.name,
                state.word()
            ))
            .hint(format!("`overnight builds {}` lists them", dataset.name))
        ),
    };
    let opened = closure::open(&place.server, database).await?;
    let mut catalog = Catalog::read(&opened.0).await?;
    let filled = dataset.sources.iter();
    let filled = filled.map(|source| (source.schema.clone(), source.table.clone()));
    let rules = Rules::resolve(&dataset.settings.subset, &mut catalog, &filled.collect())?;
    closure::choose(&place.server, database, opened, catalog, rules)
        .await
        .with_context(|| format!("choose the rows of `{}`", wanted.name))
}

/// Takes a subset of a build.
///
/// # Errors
/// Nothing is left behind, or the next command sweeps it.
pub async fn take(
    place: &Workplace,
    dataset: &Dataset,
    build: Option<&str>,
    to: &Destination,
    env: Env<'_>,
) -> Result<Made> {
    let began = std::time::Instant::now();
    let files = SqlFiles::read(&dataset.sql)?;
    let target = match to {
        Destination::Artifact(_) => None,
        other => {
            let readers = &dataset.settings.readers;
            Some(Recipients::open(&place.config, &dataset.name, readers, other, env).await?)
        }
    };
    let chosen = choose(place, dataset, build).await?;
    let secret = secret(dataset, &chosen.rules, env)?;
    let head = Head::of(&chosen, &files, &dataset.settings.readers).await?;
    tracing::info!("{}: {} rows are chosen", dataset.name, chosen.plan.rows());
    let (at, bytes) = match (target, to) {
        (Some(target), _) => {
            let copied =
                async |recipient: &Recipient<'_>| copy(&chosen, recipient, secret.as_ref()).await;
            (target.fill(&head, copied).await?, None)
        }
        (None, Destination::Artifact(text)) => {
            let address = Address::read(text, Some(&dataset.name), Some(&head.build))?;
            let bytes = write(&place.config, &address, &chosen, &head, secret.as_ref()).await?;
            (address.text(), Some(bytes))
        }
        (None, _) => bail!("take a subset: nowhere to put it"),
    };
    Ok(Made {
        dataset: dataset.name.clone(),
        build: head.build.clone(),
        rows: head.rows(),
        tables: head.tables.len(),
        at,
        bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Writes the artifact that the dataset asks for, if it does, of the live build.
///
/// # Errors
/// The build stays where it is.
pub async fn publish(place: &Workplace, dataset: &Dataset, env: Env<'_>) -> Result<Option<Made>> {
    let Some(text) = &dataset.settings.subset.artifact else {
        return Ok(None);
    };
    let to = Destination::Artifact(text.clone());
    take(place, dataset, None, &to, env).await.map(Some)
}

/// Sweeps what a command that was stopped has begun, as soon as its sessions are gone.
///
/// # Errors
/// As for taking a subset.
pub async fn sweep(config: &Config, dataset: &str, to: &Destination, env: Env<'_>) -> Result<()> {
    if let Destination::Artifact(_) = to {
        // Whoever writes one removes it when dropped.
        return Ok(());
    }
    let mut tried = 0;
    loop {
        tried += 1;
        match Recipients::open(config, dataset, &[], to, env).await {
            Err(error) if tried < 20 => {
                tracing::debug!("{}", crate::postgres::explain_chain(&error))
            }
            other => return other.map(|_| ()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
}

/// Copies all tables into a database, several side by side, the largest first.
async fn copy(chosen: &Chosen, recipient: &Recipient<'_>, secret: Option<&[u8; 32]>) -> Result<()> {
    let mut tables: Vec<(usize, usize)> = chosen.copied_tables().into_iter().enumerate().collect();
    tables.sort_by_key(|(_, at)| {
        let plan = &chosen.plan.tables[*at];
        std::cmp::Reverse(plan.rows * plan.row_bytes)
    });
    let stall_limit = recipient.stall_limit;
    let copies = tables.into_iter().map(|(number, at)| async move {
        let table = &recipient.head.tables[number];
        let mut receiver = recipient.receive(table).await?;
        chosen
            .send(
                at,
                secret.map(|secret| secret.as_slice()),
                stall_limit,
                async |bytes| receiver.write(bytes).await,
            )
            .await?;
        receiver.finish().await
    });
    futures_util::stream::iter(copies)
        .buffer_unordered(SIDE_BY_SIDE.min(recipient.limits.cores.max(1) * 2))
        .try_collect()
        .await
}

/// Writes an artifact, one table after the other, so that the same rows are the same bytes.
async fn write(
    config: &Config,
    address: &Address,
    chosen: &Chosen,
    head: &Head,
    secret: Option<&[u8; 32]>,
) -> Result<u64> {
    let upload = address.writer(config).await?;
    let mut writer = Writer::begin(upload, head).await?;
    let secret = secret.map(|secret| secret.as_slice());
    for at in chosen.copied_tables() {
        writer.table();
        let sent = chosen
            .send(at, secret, config.load.stall_limit, async |bytes| {
                writer.rows(bytes).await
            })
            .await;
        if let Err(error) = sent {
            return Err(writer.abandon(error).await);
        }
    }
    writer.finish().await
}

/// The secret of the masks, of this dataset alone; `None` where no mask needs one.
fn secret(dataset: &Dataset, rules: &Rules, env: Env) -> Result<Option<[u8; 32]>> {
    if !rules.is_keyed() {
        return Ok(None);
    }
    let key = dereference("subset.key", &dataset.settings.subset.key, env)?;
    if key.len() < LEAST_KEY_BYTES {
        bail!(
            Problem::usage(format!(
                "the key of the masks is shorter than {LEAST_KEY_BYTES} bytes"
            ))
            .hint(
                "make one with `openssl rand -hex 32`, and keep it: another key makes other values"
            )
        );
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    let text = format!("overnight subset {}", dataset.name);
    let mut secret = [0; 32];
    secret.copy_from_slice(ring::hmac::sign(&key, text.as_bytes()).as_ref());
    Ok(Some(secret))
}
