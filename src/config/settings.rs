//! All settings as text: flags, variables and keys of `overnight.toml`.

use super::router::PgBouncerTable;
use super::watch;
use crate::hooks::HookFile;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings as they were typed: every value may come from a flag, a variable or the file.
#[derive(Debug, Default, Clone, clap::Args, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Settings (also keys of overnight.toml)")]
pub struct Settings {
    /// Postgres server: libpq URL or key=value text, `env:NAME` or `file:PATH`; without it, an embedded server
    #[arg(long, global = true, env = "OVERNIGHT_TARGET", hide_env_values = true)]
    #[schemars(extend("x-default" = "the embedded server", "examples" = ["postgres://overnight@db.internal/postgres"]))]
    pub target: Option<String>,
    /// Where the raw files are: s3://BUCKET/PREFIX or a folder
    #[arg(long, global = true, env = "OVERNIGHT_FROM", value_name = "LOCATION")]
    #[schemars(extend("x-default" = "none", "examples" = ["s3://example-raw/nightly/"]))]
    pub from: Option<String>,
    /// S3 endpoint, for services other than AWS
    #[arg(long, global = true, env = "OVERNIGHT_S3_ENDPOINT", value_name = "URL")]
    #[schemars(extend("x-default" = "AWS", "examples" = ["http://127.0.0.1:9000"]))]
    pub s3_endpoint: Option<String>,
    /// S3 region; default: as the AWS tools find it
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_S3_REGION",
        value_name = "REGION"
    )]
    #[schemars(extend("x-default" = "as the AWS tools find it", "examples" = ["eu-central-1"]))]
    pub s3_region: Option<String>,
    /// Bucket in the path instead of the host name: auto, true or false
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_S3_PATH_STYLE",
        value_name = "WHEN"
    )]
    #[schemars(extend("default" = "auto", "examples" = ["true"], "enum" = ["auto", "true", "false"]))]
    pub s3_path_style: Option<String>,
    /// Read S3 without credentials (public data)
    #[arg(long, global = true, env = "OVERNIGHT_S3_ANONYMOUS", num_args = 0..=1, default_missing_value = "true")]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub s3_anonymous: Option<bool>,
    /// Account that must own the bucket
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_S3_BUCKET_OWNER",
        value_name = "ACCOUNT"
    )]
    #[schemars(extend("x-default" = "any", "examples" = ["123456789012"]))]
    pub s3_bucket_owner: Option<String>,
    /// Name of the control database that holds the ledger
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_CONTROL_DATABASE",
        value_name = "NAME"
    )]
    #[schemars(extend("default" = "overnight", "examples" = ["overnight_test"]))]
    pub control_database: Option<String>,
    /// Connections that load side by side, over all tables; default: the server's cores, at most 8
    #[arg(long, global = true, env = "OVERNIGHT_CONNECTIONS", value_name = "N")]
    #[schemars(extend("x-default" = "the server's cores, at most 8", "examples" = [4]))]
    pub connections: Option<usize>,
    /// Sessions that build indexes and keys side by side; default: the server's cores
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_INDEX_SESSIONS",
        value_name = "N"
    )]
    #[schemars(extend("x-default" = "the server's cores", "examples" = [2]))]
    pub index_sessions: Option<usize>,
    /// Cores of the server; default: this machine's if the server is here, else a low guess
    #[arg(long, global = true, env = "OVERNIGHT_SERVER_CORES", value_name = "N")]
    #[schemars(extend("x-default" = "this machine's if the server is here, else a guess of at most 4", "examples" = [8]))]
    pub server_cores: Option<usize>,
    /// Memory of the server, such as 16GB; default: as for its cores
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_SERVER_MEMORY",
        value_name = "SIZE"
    )]
    #[schemars(extend("x-default" = "this machine's if the server is here, else four times shared_buffers", "examples" = ["16GB"]))]
    pub server_memory: Option<String>,
    /// Folder for rows that `order_by` sorts while they are loaded; default: TMPDIR or /tmp
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_TEMPORARY",
        value_name = "FOLDER"
    )]
    #[schemars(extend("x-default" = "TMPDIR or /tmp", "examples" = ["/srv/overnight/tmp"]))]
    pub temporary: Option<PathBuf>,
    /// Threads that parse and encode; default: one for each core
    #[arg(long, global = true, env = "OVERNIGHT_WORKERS", value_name = "N")]
    #[schemars(extend("x-default" = "one for each core", "examples" = [4]))]
    pub workers: Option<usize>,
    /// Memory for records in flight, such as 64MiB
    #[arg(long, global = true, env = "OVERNIGHT_MEMORY", value_name = "SIZE")]
    #[schemars(extend("default" = "48MiB", "examples" = ["96MiB"]))]
    pub memory: Option<String>,
    /// Size of a chunk of records, such as 256KiB
    #[arg(long, global = true, env = "OVERNIGHT_CHUNK", value_name = "SIZE")]
    #[schemars(extend("default" = "256KiB", "examples" = ["1MiB"]))]
    pub chunk: Option<String>,
    /// How rows are sent: binary, or text where the link to the server is slow
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_COPY_FORMAT",
        value_name = "FORMAT"
    )]
    #[schemars(extend("default" = "binary", "examples" = ["text"], "enum" = ["binary", "text"]))]
    pub copy_format: Option<String>,
    /// Locale of the builds; `C` sorts by bytes and no system update can change it
    #[arg(long, global = true, env = "OVERNIGHT_LOCALE", value_name = "NAME")]
    #[schemars(extend("default" = "C", "examples" = ["en_US.UTF-8"]))]
    pub locale: Option<String>,
    /// How long a retired build stays before it is dropped
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_RETIRE_AFTER",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "24h", "examples" = ["36h"]))]
    pub retire_after: Option<String>,
    /// How long the newest build that gates have refused stays, closed; 0s drops it at once
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_REFUSED_KEEP",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "24h", "examples" = ["3d"]))]
    pub refused_keep: Option<String>,
    /// How long one attempt to move the alias may freeze it
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_FLIP_LIMIT",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "2s", "examples" = ["500ms"]))]
    pub flip_limit: Option<String>,
    /// How long to go on trying to move the alias while sessions hold it
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_FLIP_WINDOW",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "5m", "examples" = ["15m"]))]
    pub flip_window: Option<String>,
    /// How the alias is realised: rename, pgbouncer or pointer
    #[arg(long, global = true, env = "OVERNIGHT_ROUTER", value_name = "ROUTER")]
    #[schemars(extend("default" = "rename", "examples" = ["pgbouncer"], "enum" = ["rename", "pgbouncer", "pointer"]))]
    pub router: Option<String>,
    /// How long sessions may use the previous build after a move; then they are ended
    #[arg(long, global = true, env = "OVERNIGHT_DRAIN", value_name = "DURATION")]
    #[schemars(extend("x-default" = "5m; with rename the move ends them", "examples" = ["30m"]))]
    pub drain: Option<String>,
    /// The poolers that services connect through, with `router = "pgbouncer"`
    #[arg(skip)]
    #[schemars(extend("x-default" = "none", "examples" = [[{
        "admin": "host=/run/postgresql port=6432 user=overnight",
        "include": "/etc/pgbouncer/overnight.ini",
        "main": "/etc/pgbouncer/pgbouncer.ini"
    }]]))]
    pub pgbouncer: Option<Vec<PgBouncerTable>>,
    /// A COPY that makes no progress for this long is given up
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_STALL_LIMIT",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "10m", "examples" = ["30m"]))]
    pub stall_limit: Option<String>,
    /// Standbys that no `[[replica]]` declares: refuse a move while there are any, or ignore them
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_UNDECLARED_REPLICAS",
        value_name = "WORD"
    )]
    #[schemars(extend("default" = "refuse", "examples" = ["ignore"], "enum" = ["refuse", "ignore"]))]
    pub undeclared_replicas: Option<String>,
    /// How long a declared replica may take to catch up, before and after a move
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_REPLICA_WAIT",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "30s", "examples" = ["2m"]))]
    pub replica_wait: Option<String>,
    /// Connections of the server that a run leaves to services
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_SPARE_CONNECTIONS",
        value_name = "N"
    )]
    #[schemars(extend("default" = 10, "examples" = [30]))]
    pub spare_connections: Option<usize>,
    /// The load waits while a query through the live alias takes longer than this; default: it is only measured
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_LIVE_LATENCY_LIMIT",
        value_name = "DURATION"
    )]
    #[schemars(extend("x-default" = "none: it is only measured", "examples" = ["500ms"]))]
    pub live_latency_limit: Option<String>,
    /// Longest statement of schema, derive and check files and of index builds; default: no limit
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_STATEMENT_LIMIT",
        value_name = "DURATION"
    )]
    #[schemars(extend("x-default" = "none", "examples" = ["2h"]))]
    pub statement_limit: Option<String>,
    /// How long `run` waits at its start for a server or a store of raw files that does not answer; 0s does not wait
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_WAIT_FOR",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "10m", "examples" = ["30m"]))]
    pub wait_for: Option<String>,
    /// A standby that services read from
    #[arg(skip)]
    #[schemars(extend("x-default" = "none", "examples" = [[{ "name": "east", "target": "postgres://overnight@east.internal/postgres" }]]))]
    pub replica: Option<Vec<watch::ReplicaKeys>>,
    /// When a load waits for the disk, the log or a replica, and when a run gives up
    #[arg(skip)]
    #[schemars(extend("x-default" = "what fits most servers", "examples" = [{ "max_build": "200GiB" }]))]
    pub brake: Option<watch::BrakeKeys>,
    /// Without a terminal, a line of progress at least this often
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_PROGRESS_EVERY",
        value_name = "DURATION"
    )]
    #[schemars(extend("default" = "30s", "examples" = ["5m"]))]
    pub progress_every: Option<String>,
    /// Folder of the embedded server
    #[arg(long, global = true, env = "OVERNIGHT_HOME", value_name = "DIR")]
    #[schemars(extend("x-default" = "~/.local/share/overnight, for root /var/lib/overnight", "examples" = ["/srv/overnight/server"]))]
    pub home: Option<PathBuf>,
    /// Folder of the PostgreSQL programs for the embedded server
    #[arg(
        long,
        global = true,
        env = "OVERNIGHT_POSTGRES_BIN",
        value_name = "DIR"
    )]
    #[schemars(extend("x-default" = "looked for", "examples" = ["/usr/lib/postgresql/15/bin"]))]
    pub postgres_bin: Option<PathBuf>,
    /// Who is told what has happened
    #[arg(skip)]
    #[schemars(extend("x-default" = "none", "examples" = [[{ "name": "pager", "on": ["failed"], "url": "env:PAGER_URL" }]]))]
    pub hook: Option<Vec<HookFile>>,
    /// Datasets whose aliases move together or not at all: the group's name, and its members
    #[arg(skip)]
    #[schemars(extend("x-default" = "none", "examples" = [{ "plans": ["planinfo", "druginfo"] }]))]
    pub groups: Option<BTreeMap<String, Vec<String>>>,
}

macro_rules! or_else {
    ($first:expr, $second:expr, $($field:ident),* $(,)?) => {
        Settings { $($field: $first.$field.or($second.$field)),* }
    };
}

impl Settings {
    /// These settings, with the gaps filled from `other`.
    pub(super) fn or(self, other: Settings) -> Settings {
        or_else!(
            self,
            other,
            target,
            from,
            s3_endpoint,
            s3_region,
            s3_path_style,
            s3_anonymous,
            s3_bucket_owner,
            control_database,
            connections,
            index_sessions,
            server_cores,
            server_memory,
            temporary,
            workers,
            memory,
            chunk,
            copy_format,
            locale,
            retire_after,
            refused_keep,
            flip_limit,
            flip_window,
            router,
            drain,
            pgbouncer,
            stall_limit,
            undeclared_replicas,
            replica_wait,
            spare_connections,
            live_latency_limit,
            statement_limit,
            wait_for,
            replica,
            brake,
            progress_every,
            home,
            postgres_bin,
            hook,
            groups,
        )
    }
}
