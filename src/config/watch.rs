//! What a run keeps an eye on beside its data: replicas, disk, log, connections, the live alias.
//!
//! In: the keys as typed. Out: [`Replicas`] and [`Watching`], checked. Whoever leaves all of them
//! out gets what is safe on most servers; what the server does not show has to be declared.

use super::{Env, dereference};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::units::{Bytes, Span};
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// One `[[replica]]`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaKeys {
    /// What messages call it; its `application_name` on the primary, if that tells standbys apart.
    #[schemars(extend("examples" = ["east"]))]
    pub name: String,
    /// The standby: libpq URL or key=value text, `env:NAME` or `file:PATH`.
    #[schemars(extend("examples" = ["postgres://overnight@east.internal/postgres"]))]
    pub target: String,
    /// How long its sessions on the old build may go on after a move, before they are ended.
    #[schemars(extend("default" = "0s", "examples" = ["1m"]))]
    pub drain: Option<Span>,
}

/// `[brake]`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrakeKeys {
    /// How often the server is looked at during a run; the free disk more often as it shrinks.
    #[schemars(extend("default" = "5s", "examples" = ["2s"]))]
    pub every: Option<Span>,
    /// A load that had to wait for so long is given up.
    #[schemars(extend("default" = "10m", "examples" = ["1h"]))]
    pub patience: Option<Span>,
    /// Log (WAL) on the server above which the load waits, until it is below three quarters of it.
    #[schemars(extend("x-default" = "three times `max_wal_size`", "examples" = ["20GiB"]))]
    pub wal: Option<Bytes>,
    /// Log that a declared replica may be behind before the load waits for it, until it is below
    /// three quarters of it.
    #[schemars(extend("default" = "4GiB", "examples" = ["1GiB"]))]
    pub lag: Option<Bytes>,
    /// Free disk below which the load waits; 0 for never.
    #[schemars(extend("x-default" = "a twentieth of the disk, within 1 GiB (but not above a fifth) and 4 GiB", "examples" = ["20GiB"]))]
    pub free: Option<Bytes>,
    /// Free disk below which the run gives up and drops its build; 0 for never.
    #[schemars(extend("x-default" = "half of `free`", "examples" = ["8GiB"]))]
    pub free_min: Option<Bytes>,
    /// A build that grows larger is given up.
    #[schemars(extend("x-default" = "none", "examples" = ["200GiB"]))]
    pub max_build: Option<Bytes>,
    /// Size of the disk of a server that is not on this machine. What is free is reckoned from the
    /// databases and the log; other files on that disk are not known.
    #[schemars(extend("x-default" = "not known", "examples" = ["500GiB"]))]
    pub server_disk: Option<Bytes>,
    /// Folders of this machine on whose file systems the server writes, where it does not say so itself.
    #[schemars(extend("default" = [], "examples" = [["/var/lib/postgresql"]]))]
    #[serde(default)]
    pub folders: Vec<PathBuf>,
}

/// The declared replicas and how they are treated.
#[derive(Debug, Clone, Default)]
pub struct Replicas {
    pub declared: Vec<Replica>,
    /// Standbys that nobody declared do not stop a move.
    pub ignore_undeclared: bool,
    /// How long a replica may take to catch up before a move is refused.
    pub wait: Duration,
}

/// One declared replica.
#[derive(Debug, Clone)]
pub struct Replica {
    pub name: String,
    pub target: Secret,
    pub drain: Duration,
}

impl Replicas {
    pub(super) fn read(
        keys: Option<Vec<ReplicaKeys>>,
        undeclared: Option<&str>,
        wait: Duration,
        env: Env,
    ) -> Result<Replicas> {
        let ignore_undeclared = match undeclared {
            None | Some("refuse") => false,
            Some("ignore") => true,
            Some(other) => bail!(Problem::usage(format!(
                "undeclared_replicas = \"{other}\": write refuse or ignore"
            ))),
        };
        let mut declared: Vec<Replica> = Vec::new();
        for keys in keys.unwrap_or_default() {
            if keys.name.is_empty() || declared.iter().any(|other| other.name == keys.name) {
                bail!(Problem::usage(format!(
                    "[[replica]] needs a name of its own, and `{}` is none",
                    keys.name
                )));
            }
            let key = format!("replica `{}`: target", keys.name);
            declared.push(Replica {
                target: Secret::new(&dereference(&key, &keys.target, env)?),
                drain: keys.drain.map_or(Duration::ZERO, |span| span.0),
                name: keys.name,
            });
        }
        Ok(Replicas {
            declared,
            ignore_undeclared,
            wait,
        })
    }
}

/// When a load waits, and when a run gives up. Sizes in bytes.
#[derive(Debug, Clone)]
pub struct Watching {
    pub every: Duration,
    pub patience: Duration,
    /// `None`: from the server's own settings.
    pub wal: Option<u64>,
    pub lag: u64,
    /// `None`: from the size of the disk.
    pub free: Option<u64>,
    pub free_min: Option<u64>,
    pub max_build: Option<u64>,
    pub server_disk: Option<u64>,
    pub folders: Vec<PathBuf>,
    /// The load waits while a query through the live alias takes longer.
    pub live_latency: Option<Duration>,
    /// Connections of the server that are left to others.
    pub spare_connections: usize,
}

/// Connections that are left to others unless somebody says how many.
const SPARE_CONNECTIONS: usize = 10;

impl Watching {
    pub(super) fn read(
        keys: Option<BrakeKeys>,
        live_latency: Option<Duration>,
        spare_connections: Option<usize>,
    ) -> Result<Watching> {
        let keys = keys.unwrap_or_default();
        let every = keys.every.map_or(Duration::from_secs(5), |span| span.0);
        if !(Duration::from_millis(100)..=Duration::from_secs(300)).contains(&every) {
            bail!(Problem::usage(
                "[brake] every must lie between 100ms and 5m"
            ));
        }
        let bytes = |size: Option<Bytes>| size.map(|size| size.0);
        Ok(Watching {
            every,
            patience: keys
                .patience
                .map_or(Duration::from_secs(600), |span| span.0),
            wal: bytes(keys.wal),
            lag: keys.lag.map_or(4 << 30, |size| size.0),
            free: bytes(keys.free),
            free_min: bytes(keys.free_min),
            max_build: bytes(keys.max_build),
            server_disk: bytes(keys.server_disk),
            folders: keys.folders,
            live_latency: live_latency.filter(|limit| !limit.is_zero()),
            spare_connections: spare_connections.unwrap_or(SPARE_CONNECTIONS),
        })
    }
}
