//! Flags, environment and `overnight.toml`, resolved and checked once.
//!
//! [`Settings`] is what somebody typed, as text; [`Config`] is what the program needs. The
//! conversion is the only place where configuration can fail. Precedence: flag, then
//! `OVERNIGHT_*` variable, then `overnight.toml`, then the default. A secret is never taken from
//! a flag, because every user of the machine can read a process's arguments.

pub mod exposed;
pub mod groups;
mod router;
mod settings;
pub mod watch;

pub use router::{PgBouncerTable, PoolerSettings, RouterKind, RouterSettings};
pub use settings::Settings;

use crate::dataset::parse_toml;
use crate::fetch::{PathStyle, S3Options};
use crate::hooks::{self, Hook};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::units::{Bytes, Span};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the program needs, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds `sources/` and `sql/`.
    pub project: PathBuf,
    /// Connection text of the server; `None` means the embedded one.
    pub target: Option<Secret>,
    /// Where the raw files are.
    pub from: Option<String>,
    pub s3: S3Options,
    pub control_database: String,
    pub load: LoadSettings,
    /// Default: the cores of the server.
    pub index_sessions: Option<usize>,
    /// Folder for what is sorted while it is loaded.
    pub temporary: PathBuf,
    /// What somebody declared of the server.
    pub server_cores: Option<usize>,
    pub server_memory: Option<u64>,
    pub locale: String,
    pub retire_after: Duration,
    pub refused_keep: Duration,
    pub flip: FlipSettings,
    pub replicas: watch::Replicas,
    pub watching: watch::Watching,
    /// Longest statement of numbered SQL and of index builds.
    pub statement_limit: Option<Duration>,
    /// How long a run waits at its start for the server and for its inputs.
    pub wait_for: Duration,
    pub router: RouterSettings,
    /// Longest silence of a run without a terminal.
    pub progress_every: Duration,
    pub home: PathBuf,
    pub postgres_bin: Option<PathBuf>,
    /// Who is told what has happened.
    pub hooks: Vec<Hook>,
    /// Datasets that move together.
    pub groups: groups::Groups,
}

/// How the load uses this machine and the server.
#[derive(Debug, Clone, Copy)]
pub struct LoadSettings {
    /// Tables loaded side by side.
    /// Default: the cores of the server.
    pub connections: Option<usize>,
    /// Threads that parse and encode.
    pub workers: usize,
    /// Bytes of records and encoded rows in flight, over all tables.
    pub memory_bytes: usize,
    pub chunk_bytes: usize,
    pub copy_format: CopyFormat,
    /// Longest time without progress of one COPY.
    pub stall_limit: Duration,
}

/// How rows are sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// The server has the least to do.
    Binary,
    /// Short values take fewer bytes.
    Text,
}

/// How many builds of a dataset are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Published builds.
    pub keep: usize,
    /// How long a closed build stays before it is dropped.
    pub grace: Duration,
    /// How long the newest build that gates have refused stays.
    pub refused: Duration,
}

/// How hard a flip may press on the live alias.
#[derive(Debug, Clone, Copy)]
pub struct FlipSettings {
    /// `statement_timeout` of one attempt: new connections wait at most this long.
    pub limit: Duration,
    /// Total time for all attempts.
    pub window: Duration,
}

/// Reads one environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// The retention of a dataset that keeps so many published builds.
    pub fn retention(&self, keep: usize) -> Retention {
        Retention {
            keep,
            grace: self.retire_after,
            refused: self.refused_keep,
        }
    }

    /// Resolves flags and environment (`typed`) with the project's `overnight.toml`.
    ///
    /// # Errors
    /// A [`Problem`] with status 2 for an unknown key, a value out of range, a missing project
    /// folder, or an `env:`/`file:` reference that leads nowhere.
    pub fn resolve(project: Option<PathBuf>, typed: Settings, env: Env) -> Result<Config> {
        let project = match project {
            Some(project) if project.join("sources").is_dir() => project,
            Some(project) => bail!(
                Problem::usage(format!("`{}` has no `sources/` folder", project.display()))
                    .hint("--project names the folder that holds sources/ and sql/")
            ),
            None => nearest_project()?,
        };
        let file = project.join("overnight.toml");
        let written = match std::fs::read_to_string(&file) {
            Ok(text) => parse_toml(&file, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Settings::default(),
            Err(error) => {
                return Err(error)
                    .with_context(|| Problem::usage(format!("read `{}`", file.display())));
            }
        };
        Self::from_settings(project, typed.or(written), env)
    }

    /// The same for a command that needs no project: without one its folder is empty.
    pub fn resolve_server(project: Option<PathBuf>, typed: Settings, env: Env) -> Result<Config> {
        match (project, nearest_project()) {
            (Some(project), _) => Self::resolve(Some(project), typed, env),
            (None, Ok(project)) => Self::resolve(Some(project), typed, env),
            (None, Err(_)) => Self::from_settings(PathBuf::new(), typed, env),
        }
    }

    fn from_settings(project: PathBuf, settings: Settings, env: Env) -> Result<Config> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let target = match settings.target {
            Some(text) => Some(Secret::new(&dereference("target", &text, env)?)),
            None => None,
        };
        let control_database = settings
            .control_database
            .unwrap_or_else(|| "overnight".into());
        crate::postgres::check_ident(&control_database)
            .with_context(|| Problem::usage("read `control_database`"))?;
        let workers = settings.workers.unwrap_or(cores);
        for (key, value) in [
            ("connections", settings.connections.unwrap_or(1)),
            ("workers", workers),
            ("index_sessions", settings.index_sessions.unwrap_or(1)),
        ] {
            if !(1..=64).contains(&value) {
                bail!(Problem::usage(format!(
                    "{key} = {value} is out of range: write 1 to 64"
                )));
            }
        }
        if let Some(cores) = settings.server_cores
            && !(1..=1024).contains(&cores)
        {
            bail!(Problem::usage(format!(
                "server_cores = {cores} is out of range: write 1 to 1024"
            )));
        }
        let server_memory = match settings.server_memory {
            Some(text) => Some(size("server_memory", Some(text), 0)? as u64),
            None => None,
        };
        if server_memory.is_some_and(|bytes| bytes < 256 << 20) {
            bail!(Problem::usage("server_memory must be at least 256MiB"));
        }
        let memory_bytes = size("memory", settings.memory, 48 << 20)?;
        let chunk_bytes = size("chunk", settings.chunk, 256 << 10)?;
        if chunk_bytes > 64 << 20 || chunk_bytes == 0 {
            bail!(Problem::usage("chunk must lie between 1B and 64MiB"));
        }
        let flip = FlipSettings {
            limit: span("flip_limit", settings.flip_limit, 2)?,
            window: span("flip_window", settings.flip_window, 300)?,
        };
        // Postgres would take 0 for "no limit".
        if flip.limit < Duration::from_millis(10) {
            bail!(Problem::usage("flip_limit must be at least 10ms"));
        }
        let live_latency = match settings.live_latency_limit {
            Some(text) => Some(span("live_latency_limit", Some(text), 0)?),
            None => None,
        };
        let statement_limit = match settings.statement_limit {
            Some(text) => Some(span("statement_limit", Some(text), 0)?).filter(|of| !of.is_zero()),
            None => None,
        };
        let replicas = watch::Replicas::read(
            settings.replica,
            settings.undeclared_replicas.as_deref(),
            span("replica_wait", settings.replica_wait, 30)?,
            env,
        )?;
        let watching =
            watch::Watching::read(settings.brake, live_latency, settings.spare_connections)?;
        Ok(Config {
            groups: groups::Groups::read(settings.groups, &project)?,
            hooks: hooks::resolve(settings.hook.unwrap_or_default(), &project, env)?,
            project,
            target,
            from: settings.from,
            s3: S3Options {
                endpoint: settings.s3_endpoint,
                region: settings.s3_region,
                path_style: match settings.s3_path_style.as_deref() {
                    None | Some("auto") => PathStyle::Auto,
                    Some("true") => PathStyle::True,
                    Some("false") => PathStyle::False,
                    Some(other) => bail!(Problem::usage(format!(
                        "s3_path_style = \"{other}\": write auto, true or false"
                    ))),
                },
                anonymous: settings.s3_anonymous.unwrap_or(false),
                expected_bucket_owner: settings.s3_bucket_owner,
                ..S3Options::default()
            },
            control_database,
            load: LoadSettings {
                connections: settings.connections,
                workers,
                memory_bytes,
                chunk_bytes,
                copy_format: match settings.copy_format.as_deref() {
                    None | Some("binary") => CopyFormat::Binary,
                    Some("text") => CopyFormat::Text,
                    Some(other) => bail!(Problem::usage(format!(
                        "copy_format = \"{other}\": write binary or text"
                    ))),
                },
                stall_limit: span("stall_limit", settings.stall_limit, 600)?,
            },
            index_sessions: settings.index_sessions,
            temporary: settings
                .temporary
                .or_else(|| env("TMPDIR").map(PathBuf::from))
                .unwrap_or_else(|| "/tmp".into()),
            server_cores: settings.server_cores,
            server_memory,
            locale: settings.locale.unwrap_or_else(|| "C".into()),
            retire_after: span("retire_after", settings.retire_after, 24 * 3600)?,
            refused_keep: span("refused_keep", settings.refused_keep, 24 * 3600)?,
            flip,
            replicas,
            watching,
            statement_limit,
            wait_for: span("wait_for", settings.wait_for, 600)?,
            router: RouterSettings::resolve(
                settings.router.as_deref(),
                settings.drain,
                settings.pgbouncer,
                env,
            )?,
            progress_every: span("progress_every", settings.progress_every, 30)?,
            home: settings.home.map_or_else(|| default_home(env), Ok)?,
            postgres_bin: settings.postgres_bin,
        })
    }
}

/// Follows `env:NAME` and `file:PATH`; other text is taken as it is.
///
/// # Errors
/// A [`Problem`] with status 2 when the variable is not set or the file cannot be read.
pub fn dereference(key: &str, text: &str, env: Env) -> Result<String> {
    if let Some(name) = text.strip_prefix("env:") {
        return env(name).with_context(|| {
            Problem::usage(format!(
                "`{key}` refers to the variable {name}, which is not set"
            ))
        });
    }
    if let Some(path) = text.strip_prefix("file:") {
        let text = std::fs::read_to_string(path).with_context(|| {
            Problem::usage(format!("read the file `{path}` that `{key}` refers to"))
        })?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(text.to_owned())
}

fn span(key: &str, text: Option<String>, default_seconds: u64) -> Result<Duration> {
    match text {
        None => Ok(Duration::from_secs(default_seconds)),
        Some(text) => Ok(text
            .parse::<Span>()
            .with_context(|| Problem::usage(format!("read `{key}`")))?
            .0),
    }
}

fn size(key: &str, text: Option<String>, default_bytes: usize) -> Result<usize> {
    match text {
        None => Ok(default_bytes),
        Some(text) => Ok(text
            .parse::<Bytes>()
            .with_context(|| Problem::usage(format!("read `{key}`")))?
            .0 as usize),
    }
}

fn nearest_project() -> Result<PathBuf> {
    let start = std::env::current_dir().context("find the current folder")?;
    let found = start
        .ancestors()
        .find(|folder| folder.join("sources").is_dir());
    match found {
        Some(folder) => Ok(folder.to_owned()),
        None => bail!(
            Problem::usage(format!(
                "no project: neither `{}` nor a folder above it holds `sources/`",
                start.display()
            ))
            .hint("go to the project's folder, or name it with --project DIR")
        ),
    }
}

/// Where the embedded server lives.
///
/// Root's own home is closed to the unprivileged user that runs the server, so root keeps it
/// where system services keep their state.
fn default_home(env: Env) -> Result<PathBuf> {
    if env("HOME").is_none_or(|home| Path::new(&home) == Path::new("/root")) {
        return Ok(PathBuf::from("/var/lib/overnight"));
    }
    let base = match env("XDG_DATA_HOME").filter(|dir| dir.starts_with('/')) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env("HOME").unwrap_or_default()).join(".local/share"),
    };
    Ok(base.join("overnight"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sources")).unwrap();
        std::fs::write(
            folder.path().join("overnight.toml"),
            "connections = 3\nmemory = \"32MiB\"\n",
        )
        .unwrap();
        let typed = Settings {
            connections: Some(5),
            ..Settings::default()
        };
        let config = Config::resolve(Some(folder.path().to_owned()), typed, &none).unwrap();
        assert_eq!(config.load.connections, Some(5));
        assert_eq!(config.load.memory_bytes, 32 << 20);
        assert_eq!(config.control_database, "overnight");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sources")).unwrap();
        std::fs::write(folder.path().join("overnight.toml"), "\nconections = 3\n").unwrap();
        let error = Config::resolve(Some(folder.path().to_owned()), Settings::default(), &none)
            .unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("line 2") && message.contains("conections"),
            "{message}"
        );
    }

    #[test]
    fn a_secret_comes_from_a_variable_and_is_not_shown() {
        let env =
            |name: &str| (name == "TARGET_URL").then(|| "postgres://u:hunter2@db/".to_owned());
        let settings = Settings {
            target: Some("env:TARGET_URL".into()),
            ..Settings::default()
        };
        let config = Config::from_settings("/tmp".into(), settings, &env).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let settings = Settings {
            target: Some("env:MISSING".into()),
            ..Settings::default()
        };
        let error = Config::from_settings("/tmp".into(), settings, &env).unwrap_err();
        assert!(format!("{error:#}").contains("MISSING"));
    }
}
