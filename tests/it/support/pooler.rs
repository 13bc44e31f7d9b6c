//! A private PgBouncer in a folder of its own, ended with its value or with the test process.
//!
//! It runs as the account of the test server, listens on a socket only, trusts its users, and reads
//! `pgbouncer.ini`, which includes `aliases.ini`: the file that the tool writes.

use super::cluster::{ADMIN, Cluster, LOADER, cluster};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Sockets are told apart by their folders.
const PORT: u16 = 6432;

/// A pooler; running unless it was killed.
pub struct Pooler {
    folder: TempDir,
    mode: &'static str,
    running: Option<(Child, ChildStdin)>,
}

impl Pooler {
    /// Starts a pooler: `mode` is `transaction` or `session`; `users` are let in beside the tool's
    /// own role and the superuser of the tests.
    pub fn start(mode: &'static str, users: &[&str]) -> Pooler {
        let folder = tempfile::Builder::new()
            .prefix("overnight-pooler-")
            .tempdir_in("/tmp")
            .unwrap();
        let mut pooler = Pooler {
            folder,
            mode,
            running: None,
        };
        let list: String = [LOADER, ADMIN]
            .iter()
            .chain(users)
            .map(|user| format!("\"{user}\" \"\"\n"))
            .collect();
        std::fs::write(pooler.path("users.txt"), list).unwrap();
        std::fs::write(pooler.include(), "").unwrap();
        pooler.write_main("");
        std::fs::create_dir(pooler.sockets()).unwrap();
        let (uid, gid) = account();
        for path in [pooler.folder.path().to_owned(), pooler.sockets()] {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
        pooler.restart();
        pooler
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sockets(&self) -> PathBuf {
        self.path("s")
    }

    /// The file that the tool writes.
    pub fn include(&self) -> PathBuf {
        self.path("aliases.ini")
    }

    /// The pooler's own configuration.
    pub fn main(&self) -> PathBuf {
        self.path("pgbouncer.ini")
    }

    /// Writes the pooler's configuration, with more lines of `[pgbouncer]`.
    pub fn write_main(&self, more: &str) {
        let text = format!(
            "[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {}\nauth_type = trust\n\
             auth_file = {}\nadmin_users = {LOADER}, {ADMIN}\npool_mode = {}\nquery_wait_timeout = 10\n\
             server_login_retry = 1\nmax_client_conn = 400\n{more}\n%include {}\n",
            self.sockets().display(),
            self.path("users.txt").display(),
            self.mode,
            self.include().display(),
        );
        std::fs::write(self.main(), text).unwrap();
    }

    /// The `[[pgbouncer]]` table for `overnight.toml`.
    pub fn table(&self) -> String {
        format!(
            "[[pgbouncer]]\nadmin = \"host={} port={PORT} user={LOADER}\"\ninclude = \"{}\"\nmain = \"{}\"\n",
            self.sockets().display(),
            self.include().display(),
            self.main().display(),
        )
    }

    /// Starts it, or starts it again after [`Pooler::kill`].
    #[allow(
        clippy::zombie_processes,
        reason = "the watchdog ends after this process"
    )]
    pub fn restart(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let (uid, gid) = account();
        let mut command = Command::new("setpriv");
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            command
                .arg(format!("--reuid={uid}"))
                .arg(format!("--regid={gid}"))
                .arg("--clear-groups");
        }
        let child = command
            .arg("pgbouncer")
            .arg(self.main())
            .current_dir("/")
            .env(
                "PATH",
                "/usr/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut watchdog = Command::new("sh")
            .arg("-c")
            .arg("read line || kill -KILL \"$1\"")
            .arg("watchdog")
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some((child, watchdog.stdin.take().unwrap()));
        let end = Instant::now() + Duration::from_secs(10);
        while let Err(error) = self.try_console("show version") {
            assert!(Instant::now() < end, "{error:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, as when its machine dies.
    pub fn kill(&mut self) {
        if let Some((mut child, mut watchdog)) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
            // The watchdog has nothing to do any more.
            drop(std::io::Write::write_all(&mut watchdog, b"done\n"));
        }
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A command at the admin console; its rows as text.
    #[track_caller]
    pub fn console(&self, command: &str) -> Vec<Vec<String>> {
        self.try_console(command)
            .unwrap_or_else(|error| panic!("{command}: {error:?}"))
    }

    pub fn try_console(&self, command: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        cluster().block_on(async {
            let client = self.client(LOADER, "pgbouncer").await?;
            let messages = client.simple_query(command).await?;
            Ok(messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(
                        (0..row.len())
                            .map(|index| row.get(index).unwrap_or_default().to_owned())
                            .collect(),
                    ),
                    _ => None,
                })
                .collect())
        })
    }

    /// The database that an alias leads to, as SHOW DATABASES has it.
    pub fn leads_to(&self, alias: &str) -> Option<String> {
        let rows = self.console("show databases");
        rows.into_iter()
            .find(|row| row[0] == alias)
            .map(|row| row[3].clone())
    }

    /// Whether clients of an alias are kept waiting.
    pub fn is_paused(&self, alias: &str) -> bool {
        let rows = self.console("show databases");
        rows.iter().any(|row| row[0] == alias && row[11] == "1")
    }

    /// A connection of its own through the pooler. Use `simple_query`: PgBouncer below 1.21 loses
    /// prepared statements in transaction mode.
    pub async fn client(&self, role: &str, alias: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(self.sockets())
            .port(PORT)
            .user(role)
            .dbname(alias)
            .connect(NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What a service gets: first column of the first row.
    pub fn service(
        &self,
        role: &str,
        alias: &str,
        sql: &str,
    ) -> Result<Option<String>, tokio_postgres::Error> {
        cluster().block_on(async {
            let client = self.client(role, alias).await?;
            first(&client, sql).await
        })
    }
}

/// First column of the first row.
pub async fn first(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// Who runs the test server: the pooler runs as the same user, who may enter its socket's folder.
fn account() -> (u32, u32) {
    let cluster: &Cluster = cluster();
    let data = std::fs::metadata(Path::new(&cluster.embedded.data())).unwrap();
    (data.uid(), data.gid())
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
    }
}
