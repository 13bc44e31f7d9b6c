//! The private server: a Postgres of our own when no target is configured.
//!
//! In: a home folder and [`Options`]. Out: an [`Embedded`], a running server that only this user
//! (and root) can reach, through a socket. It keeps running when we exit, and so does its data.
//!
//! Two processes may ask at once: everything that starts, stops or makes a cluster holds the lock of
//! the home. The tool itself uses the role `overnight`, which is no superuser, so that what works
//! here works on a managed server.

mod account;
mod binaries;
mod cluster;
mod postmaster;
mod tuning;

use crate::postgres::{Reason, Refusal, Server, Session, Target, explain, quote_ident, sqlstate};
use account::Account;
use anyhow::{Context, Result, anyhow, bail, ensure};
use binaries::Binaries;
use cluster::{ADMIN, Cluster};
use postmaster::{Found, Postmaster};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tuning::Machine;
pub use tuning::{disk_space, memory_bytes};

/// The number in the socket's name; nothing listens on a network port.
const PORT: u16 = 5432;
/// The role overnight works as.
const ROLE: &str = "overnight";
/// The database that always exists.
const MAINTENANCE: &str = "postgres";

/// How to find and run the private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where `initdb`, `postgres` and `pg_ctl` are; otherwise they are looked for.
    pub bin_dir: Option<PathBuf>,
    /// The search path, the value of `PATH`.
    pub path: Option<OsString>,
    /// The user behind sudo, the value of `SUDO_UID`; used only as root.
    pub sudo_uid: Option<u32>,
    /// Where the socket goes when the home's path is too long for one. The same in every session, so
    /// not `TMPDIR`.
    pub temp_dir: PathBuf,
    /// How long to wait for a start (it may have to recover), a stop, or another process doing either.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            bin_dir: None,
            path: None,
            sudo_uid: None,
            temp_dir: "/tmp".into(),
            patience: Duration::from_secs(300),
        }
    }
}

/// A running private server.
#[derive(Debug, Clone)]
pub struct Embedded {
    cluster: Cluster,
    postmaster: Postmaster,
}

/// What became of the private server.
#[derive(Debug, Clone)]
pub enum Status {
    /// There is no cluster yet.
    Absent,
    /// There is one, of this major version, and no server runs it.
    Stopped { major: u32, data: PathBuf },
    /// A server runs.
    Running(Embedded),
}

impl Embedded {
    /// Returns the running server of `home`; makes and starts one if needed. The first time takes
    /// about two seconds, a start less than one, unless the server must recover from a crash.
    ///
    /// # Errors
    /// No server programs, a home the server's user cannot reach, data of a version that is not
    /// installed, a server that does not start.
    pub async fn ensure_running(home: &Path, options: &Options) -> Result<Embedded> {
        let sudo_uid = sudo_uid(options).await?;
        let home = cluster::make_home(home, sudo_uid)?;
        let _lock = cluster::lock(&home, sudo_uid, options.patience).await?;
        let embedded = ready(&home, options).await?;
        embedded.ensure_roles().await?;
        Ok(embedded)
    }

    /// Where the tool connects: the role `overnight`, which may create databases and end sessions.
    pub fn target(&self) -> Target {
        Target::socket(&self.postmaster.socket_folder, self.postmaster.port, ROLE)
    }

    /// Where a superuser connects, for what `target` may not do.
    pub fn admin_target(&self) -> Target {
        Target::socket(&self.postmaster.socket_folder, self.postmaster.port, ADMIN)
    }

    /// The folder of the socket.
    pub fn socket_folder(&self) -> &Path {
        &self.postmaster.socket_folder
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.cluster.major
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.cluster.data()
    }

    /// The server's log file.
    pub fn log(&self) -> PathBuf {
        self.cluster.log()
    }

    /// The folder of the server's programs, where `psql` usually is as well.
    pub fn programs(&self) -> Option<PathBuf> {
        postmaster::programs_of(&self.data())
    }

    /// The psql beside the server's programs, or the one in the PATH.
    pub fn psql(&self) -> PathBuf {
        let beside = self.programs().map(|folder| folder.join("psql"));
        beside
            .filter(|program| program.exists())
            .unwrap_or_else(|| PathBuf::from("psql"))
    }

    /// Creates the roles among `names` that are missing, allowed to log in and nothing else.
    ///
    /// # Errors
    /// A name Postgres does not accept, a server that cannot be reached.
    pub async fn ensure_readers(&self, names: &[String]) -> Result<()> {
        let session = self.admin("readers").await?;
        for name in names {
            crate::postgres::check_ident(name)?;
            create_role(&session, name, "LOGIN").await?;
        }
        session.close().await;
        Ok(())
    }

    async fn admin(&self, purpose: &str) -> Result<Session> {
        Server::new(self.admin_target(), "overnight".into())
            .connect(MAINTENANCE, purpose)
            .await
    }

    /// Makes sure that it is our server that answers, and that our role is there.
    async fn ensure_roles(&self) -> Result<()> {
        let session = self
            .admin("roles")
            .await
            .context("connect to the private server")?;
        let failed = |error| anyhow!("set up the private server: {}", explain(&error));
        let row = session
            .query_one("SELECT current_setting('data_directory')", &[])
            .await
            .map_err(failed)?;
        let folder: String = row.try_get(0).map_err(failed)?;
        ensure!(
            Path::new(&folder) == self.data(),
            "connect to the private server: the server at `{}` serves `{folder}`",
            self.socket_folder().display()
        );
        create_role(&session, ROLE, "LOGIN CREATEDB").await?;
        let script =
            "ALTER ROLE overnight LOGIN NOSUPERUSER CREATEDB; GRANT pg_signal_backend TO overnight";
        let told = "SELECT 1 FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid \
                    WHERE r.rolname = 'overnight' AND r.rolcanlogin AND r.rolcreatedb AND NOT r.rolsuper \
                    AND m.roleid = 'pg_signal_backend'::regrole";
        if session
            .query_opt(told, &[])
            .await
            .map_err(failed)?
            .is_none()
        {
            session.batch_execute(script).await.map_err(failed)?;
        }
        session.close().await;
        Ok(())
    }
}

/// Creates a role unless it exists; somebody else doing the same at this moment is fine.
async fn create_role(session: &Session, name: &str, attributes: &str) -> Result<()> {
    let failed = |error| anyhow!("create role `{name}`: {}", explain(&error));
    let known = session
        .query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&name])
        .await
        .map_err(failed)?;
    if known.is_some() {
        return Ok(());
    }
    match session
        .batch_execute(&format!("CREATE ROLE {} {attributes}", quote_ident(name)))
        .await
    {
        Err(error) if !matches!(sqlstate(&error), Some("42710" | "23505")) => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Stops the private server of `home`, if one runs; sessions are ended, work in progress rolls back.
/// Returns whether there was one.
///
/// # Errors
/// Programs that are gone, a server that does not stop in time (it goes on stopping).
pub async fn stop(home: &Path, options: &Options) -> Result<bool> {
    if !home.exists() {
        return Ok(false);
    }
    let home = fs::canonicalize(home).with_context(|| format!("look at `{}`", home.display()))?;
    let sudo_uid = sudo_uid(options).await?;
    let _lock = cluster::lock(&home, sudo_uid, options.patience).await?;
    let Some(embedded) = running(&Cluster::all(&home)?).await? else {
        return Ok(false);
    };
    let account = Account::choose(Some(embedded.cluster.owner()?), sudo_uid)?;
    let programs = embedded
        .programs()
        .context("stop the private server: its programs are not known")?;
    Postmaster::stop(&account, &programs, &embedded.data(), options.patience).await?;
    Ok(true)
}

/// Looks at the private server of `home` without changing anything.
///
/// # Errors
/// A home or data folder that this user may not look into.
pub async fn status(home: &Path) -> Result<Status> {
    if !home.exists() {
        return Ok(Status::Absent);
    }
    let home = fs::canonicalize(home).with_context(|| format!("look at `{}`", home.display()))?;
    let clusters = Cluster::all(&home)?;
    Ok(match (running(&clusters).await?, clusters.first()) {
        (Some(embedded), _) => Status::Running(embedded),
        (None, Some(cluster)) => Status::Stopped {
            major: cluster.major,
            data: cluster.data(),
        },
        (None, None) => Status::Absent,
    })
}

/// `SUDO_UID` counts only when we are root: it stays set in shells that are not.
async fn sudo_uid(options: &Options) -> Result<Option<u32>> {
    let Some(uid) = options.sudo_uid.filter(|uid| *uid != 0) else {
        return Ok(None);
    };
    Ok(account::is_root().then_some(uid))
}

async fn running(clusters: &[Cluster]) -> Result<Option<Embedded>> {
    for cluster in clusters {
        if let Found::Running(postmaster) = Postmaster::find(&cluster.data()).await? {
            return Ok(Some(Embedded {
                cluster: cluster.clone(),
                postmaster,
            }));
        }
    }
    Ok(None)
}

/// Starts the server unless it runs, and waits until it answers: somebody else may have begun to start
/// it, it may recover from a crash, or it may be dying at this moment and have to be started again.
async fn ready(home: &Path, options: &Options) -> Result<Embedded> {
    let begin = Instant::now();
    loop {
        let clusters = Cluster::all(home)?;
        let embedded = match running(&clusters).await? {
            Some(embedded) => embedded,
            None => start(home, &clusters, options).await?,
        };
        let error = match embedded.admin("start").await {
            Ok(session) => {
                session.close().await;
                return Ok(embedded);
            }
            Err(error) => error,
        };
        let wait = match error
            .downcast_ref::<Refusal>()
            .map(|refusal| refusal.reason)
        {
            Some(Reason::NotReady | Reason::TooManyConnections) => options.patience,
            // The socket is there before recovery begins: without one after this, it is gone.
            _ => options.patience.min(Duration::from_secs(10)),
        };
        if begin.elapsed() >= wait {
            return Err(error.context(format!(
                "reach the private server, process {}",
                embedded.pid()
            )));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn start(home: &Path, clusters: &[Cluster], options: &Options) -> Result<Embedded> {
    let owner = clusters.first().map(Cluster::owner).transpose()?;
    let account = Account::choose(owner, options.sudo_uid)?;
    account.check_can_enter(home).await?;
    let found = Binaries::find(
        options.bin_dir.as_deref(),
        options.path.as_deref(),
        &account,
    )
    .await?;
    let binaries = choose(&found, clusters, options)?;
    let cluster = Cluster::new(home, binaries.major);
    cluster.initialize(&account, binaries).await?;
    let data = cluster.data();
    if let Found::Stale {
        pid_is_of_another: true,
    } = Postmaster::find(&data).await?
    {
        postmaster::forget_stale(&account, &data).await?;
    }
    let sockets = cluster::socket_folder(home, &options.temp_dir, &account).await?;
    postmaster::forget_socket(&account, &sockets).await?;
    let machine = Machine::look(&cluster.folder).await;
    cluster
        .configure(&account, &tuning::configuration(&machine, &sockets))
        .await?;
    Postmaster::start(
        &account,
        &binaries.folder,
        &data,
        &cluster.log(),
        options.patience,
    )
    .await?;
    match Postmaster::find(&data).await? {
        Found::Running(postmaster) => Ok(Embedded {
            cluster,
            postmaster,
        }),
        _ => bail!(
            "start the private server: it ended at once; its log is `{}`",
            cluster.log().display()
        ),
    }
}

/// The programs for the data that is there; without any, the preferred ones.
fn choose<'a>(
    found: &'a [Binaries],
    clusters: &[Cluster],
    options: &Options,
) -> Result<&'a Binaries> {
    let fitting = clusters.iter().find_map(|cluster| {
        found
            .iter()
            .find(|binaries| binaries.major == cluster.major)
    });
    let preferred = found
        .first()
        .context("find the programs of a Postgres server: none is installed")?;
    match (fitting, clusters.first()) {
        (Some(binaries), _) => Ok(binaries),
        (None, Some(cluster)) if options.bin_dir.is_none() => bail!(
            "start the private server: its data in `{}` needs PostgreSQL {}, and only {} is installed; install that \
             version, or move the folder away to begin anew",
            cluster.folder.display(),
            cluster.major,
            preferred.major
        ),
        (None, _) => Ok(preferred),
    }
}
