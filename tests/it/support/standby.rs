//! A server of its own with a physical standby beside it, for stories about replicas.
//!
//! The standby is made with `pg_basebackup` and follows without a slot. Both end with the [`Pair`],
//! also when the test process is killed.

use super::Project;
use super::cluster::{ADMIN, LOADER};
use overnight::embedded::{Embedded, Options, stop};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The standby's port, in the socket folder of the primary.
const STANDBY_PORT: u16 = 5433;

/// A primary and its standby.
pub struct Pair {
    runtime: tokio::runtime::Runtime,
    home: tempfile::TempDir,
    primary: Embedded,
    _watchdog: std::process::ChildStdin,
}

fn options() -> Options {
    Options {
        path: std::env::var_os("PATH"),
        ..Options::default()
    }
}

impl Pair {
    /// Starts both; about five seconds. Returns when the standby follows.
    pub fn start() -> Pair {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = tempfile::Builder::new()
            .prefix("overnight-pair-")
            .tempdir_in("/tmp")
            .unwrap();
        let begin = || {
            runtime
                .block_on(Embedded::ensure_running(home.path(), &options()))
                .unwrap()
        };
        let primary = begin();
        let watchdog = watchdog(&[primary.data(), home.path().join("standby/data")]);
        let mut pair = Pair {
            runtime,
            home,
            primary,
            _watchdog: watchdog,
        };
        for setting in [
            "wal_level = replica",
            "max_wal_senders = 5",
            "hot_standby = on",
            // Conflicts with replay are not what these stories are about.
            "max_standby_streaming_delay = '10min'",
        ] {
            pair.admin(&format!("alter system set {setting}"));
        }
        pair.runtime
            .block_on(stop(pair.home.path(), &options()))
            .unwrap();
        pair.primary = pair
            .runtime
            .block_on(Embedded::ensure_running(pair.home.path(), &options()))
            .unwrap();
        pair.make_standby();
        pair.start_standby();
        pair
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("standby")
    }

    /// A program of the server, as the user that runs it.
    fn program(&self, name: &str) -> Command {
        let owner = std::fs::metadata(self.primary.data()).unwrap();
        let mut command = Command::new(self.primary.programs().unwrap().join(name));
        let ourselves = std::fs::metadata(self.home.path()).unwrap().uid();
        if ourselves == 0 {
            command.gid(owner.gid()).uid(owner.uid());
        }
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn make_standby(&self) {
        let owner = std::fs::metadata(self.primary.data()).unwrap();
        std::fs::create_dir(self.folder()).unwrap();
        std::os::unix::fs::chown(self.folder(), Some(owner.uid()), Some(owner.gid())).unwrap();
        finish(
            self.program("pg_basebackup")
                .arg("-h")
                .arg(self.primary.socket_folder())
                .args(["-U", ADMIN, "-R", "-X", "stream", "-c", "fast", "-D"])
                .arg(self.folder().join("data")),
        );
    }

    /// Starts the standby and waits until it answers.
    pub fn start_standby(&self) {
        let socket = self.primary.socket_folder().display().to_string();
        finish(
            self.program("pg_ctl")
                .args(["-w", "-s", "-D"])
                .arg(self.folder().join("data"))
                .arg("-l")
                .arg(self.folder().join("log"))
                .arg("-o")
                .arg(format!(
                    "-p {STANDBY_PORT} -c unix_socket_directories={socket}"
                ))
                .arg("start")
                .stderr(Stdio::null()),
        );
    }

    /// Stops the standby; the primary notices at once.
    pub fn stop_standby(&self) {
        finish(
            self.program("pg_ctl")
                .args(["-w", "-s", "-m", "fast", "-D"])
                .arg(self.folder().join("data"))
                .arg("stop"),
        );
    }

    /// The standby receives and does not replay, until [`Pair::resume`].
    pub fn pause(&self) {
        self.ask_replica("postgres", "select pg_wal_replay_pause()");
        let end = Instant::now() + Duration::from_secs(10);
        while self.ask_replica("postgres", "select pg_get_wal_replay_pause_state()") != "paused" {
            assert!(Instant::now() < end, "the standby does not pause");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn resume(&self) {
        self.ask_replica("postgres", "select pg_wal_replay_resume()");
    }

    /// Waits until the standby has replayed everything that the primary has written.
    pub fn caught_up(&self) {
        let lsn = self.ask("postgres", "select pg_current_wal_lsn()");
        let sql = format!("select pg_last_wal_replay_lsn() >= '{lsn}'");
        let end = Instant::now() + Duration::from_secs(30);
        while self.ask_replica("postgres", &sql) != "t" {
            assert!(Instant::now() < end, "the standby does not catch up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A URL of the primary for the tool's role.
    pub fn target(&self) -> String {
        self.primary.target().url_for("postgres", None)
    }

    /// A URL of the standby for the tool's role.
    pub fn replica(&self) -> String {
        let socket = self.primary.socket_folder().display();
        format!("postgresql://{LOADER}@/postgres?host={socket}&port={STANDBY_PORT}")
    }

    /// Lets a project work on the primary, and declares the standby if `declared`.
    pub fn adopt(&self, project: &mut Project, declared: bool) {
        self.admin(&format!("create role {} login", project.reader));
        project.env.push(("OVERNIGHT_TARGET".into(), self.target()));
        if declared {
            let text = format!(
                "[[replica]]\nname = \"east\"\ntarget = \"{}\"\n",
                self.replica()
            );
            project.write("overnight.toml", &text);
        }
    }

    /// A session that stays, as a service has one.
    pub fn connect(&self, replica: bool, role: &str, database: &str) -> Client {
        let port = if replica { STANDBY_PORT } else { 5432 };
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::Config::new()
                .host_path(self.primary.socket_folder())
                .port(port)
                .user(role)
                .dbname(database)
                .connect(NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client
        })
    }

    /// Runs a statement in a session that stays; `None` when it was ended.
    pub fn on(&self, client: &Client, sql: &str) -> Option<String> {
        let rows = self.runtime.block_on(client.simple_query(sql)).ok()?;
        rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
    }

    /// One value of the primary.
    pub fn ask(&self, database: &str, sql: &str) -> String {
        let client = self.connect(false, ADMIN, database);
        self.on(&client, sql).unwrap_or_default()
    }

    /// One value of the standby.
    pub fn ask_replica(&self, database: &str, sql: &str) -> String {
        let client = self.connect(true, ADMIN, database);
        self.on(&client, sql).unwrap_or_default()
    }

    /// What only a superuser may arrange, on the primary.
    pub fn admin(&self, sql: &str) {
        let client = self.connect(false, ADMIN, "postgres");
        self.runtime.block_on(client.batch_execute(sql)).unwrap();
    }
}

fn finish(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Ends the servers of these folders when the test process does, however that ends.
#[allow(
    clippy::zombie_processes,
    reason = "the watchdog ends after this process"
)]
fn watchdog(folders: &[PathBuf]) -> std::process::ChildStdin {
    let script =
        r#"read line; for data in "$@"; do kill -QUIT $(head -n 1 "$data/postmaster.pid"); done"#;
    let mut child = Command::new("sh")
        .args(["-c", script, "watchdog"])
        .args(folders)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap()
}

impl Drop for Pair {
    fn drop(&mut self) {
        let data = self.folder().join("data");
        if data.join("postmaster.pid").exists() {
            let mut stop = self.program("pg_ctl");
            stop.args(["-w", "-s", "-m", "immediate", "-D"]).arg(data);
            drop(stop.arg("stop").output());
        }
        drop(self.runtime.block_on(stop(self.home.path(), &options())));
    }
}
