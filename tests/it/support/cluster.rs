//! One private server for the whole test run, ended when the test process ends.

use overnight::embedded::{Embedded, Options};
use overnight::postgres::Target;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The server and how to reach it as different roles.
pub struct Cluster {
    pub embedded: Embedded,
    /// Its folder, for `OVERNIGHT_HOME`.
    pub home: PathBuf,
    runtime: tokio::runtime::Runtime,
    /// Keeps the watchdog waiting; closed by the system when this process ends, however it ends.
    _watchdog: std::process::ChildStdin,
}

/// The superuser, for what the tests arrange; the tool never uses it.
pub const ADMIN: &str = "overnight_admin";
/// The role of the tool: CREATEDB and pg_signal_backend, not a superuser.
pub const LOADER: &str = "overnight";

/// The server of this test run; started by whoever asks first.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(fast_and_talkative)
}

fn fast_and_talkative() -> Cluster {
    let cluster = start();
    for setting in ["fsync = off", "log_statement = 'all'"] {
        let sql = format!("alter system set {setting}");
        cluster.sql("postgres", &sql).unwrap();
    }
    cluster.sql("postgres", "select pg_reload_conf()").unwrap();
    cluster
}

/// A server of its own that writes to disk as a real one does, for stories that make it crash. It
/// ends with the test process.
pub fn private() -> &'static Cluster {
    Box::leak(Box::new(start()))
}

fn options() -> Options {
    Options {
        path: std::env::var_os("PATH"),
        ..Options::default()
    }
}

/// A second server, as on the machine of a developer; started by whoever asks first.
pub fn developer() -> &'static Cluster {
    static DEVELOPER: OnceLock<Cluster> = OnceLock::new();
    DEVELOPER.get_or_init(fast_and_talkative)
}

#[allow(
    clippy::zombie_processes,
    reason = "the watchdog ends after this process"
)]
fn start() -> Cluster {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = tempfile::Builder::new()
        .prefix("overnight-it-")
        .tempdir_in("/tmp")
        .unwrap()
        .keep();
    let embedded = runtime
        .block_on(Embedded::ensure_running(&home, &options()))
        .unwrap();
    // The server outlives a test process that is killed; the shell's `read` does not.
    let mut watchdog = Command::new("sh")
        .arg("-c")
        .arg("read line; kill -QUIT \"$(head -n 1 \"$1\")\"; sleep 1; rm -rf \"$2\"")
        .arg("watchdog")
        .arg(embedded.data().join("postmaster.pid"))
        .arg(&home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdin = watchdog.stdin.take().unwrap();
    let cluster = Cluster {
        embedded,
        home,
        runtime,
        _watchdog: stdin,
    };
    // Without it a run warns that nothing watches the disk.
    let grant = format!("grant pg_read_all_settings to {LOADER}");
    cluster.sql("postgres", &grant).unwrap();
    cluster
}

impl Cluster {
    /// Ends the server as a power cut would, sessions and all, and starts it again.
    pub fn crash(&self) {
        let file = self.embedded.data().join("postmaster.pid");
        let pid = std::fs::read_to_string(file).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        let sent = Command::new("kill").args(["-QUIT", &pid]).status();
        assert!(sent.unwrap().success());
        let end = Instant::now() + Duration::from_secs(30);
        while std::path::Path::new("/proc").join(&pid).exists() {
            assert!(Instant::now() < end, "the server {pid} does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.runtime
            .block_on(Embedded::ensure_running(&self.home, &options()))
            .unwrap();
    }

    /// A libpq URL for a database.
    pub fn url(&self, database: &str, role: &str) -> String {
        self.target().url_for(database, Some(role))
    }

    pub fn target(&self) -> Target {
        self.embedded.target()
    }

    /// Runs statements as the superuser and returns the rows of all of them as text.
    pub fn sql(
        &self,
        database: &str,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        self.sql_as(ADMIN, database, sql)
    }

    /// Runs statements as a role.
    pub fn sql_as(
        &self,
        role: &str,
        database: &str,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        self.runtime.block_on(async {
            let client = self.client(role, database).await?;
            let messages = client.simple_query(sql).await?;
            Ok(messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(
                        (0..row.len())
                            .map(|index| row.get(index).map(str::to_owned))
                            .collect(),
                    ),
                    _ => None,
                })
                .collect())
        })
    }

    /// A connection of its own; it ends when the client is dropped.
    pub async fn client(
        &self,
        role: &str,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(self.embedded.socket_folder())
            .user(role)
            .dbname(database)
            .connect(NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs something async to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The first column of the first row.
    pub fn one(&self, database: &str, sql: &str) -> String {
        let rows = self
            .sql(database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.first()
            .and_then(|row| row[0].clone())
            .unwrap_or_default()
    }
}
