//! The files of the private server below its home.
//!
//! In: the home, the account, a server version. Out: an initialized data folder and a socket folder.
//! ```text
//! <home>/lock                 held while a server is started, stopped or made
//! <home>/run/                 the socket, unless the path would be too long
//! <home>/postgres-15/data     the cluster
//! <home>/postgres-15/log      what the server says, one older file beside it
//! ```
//! A cluster is made under another name and renamed when complete: a crash in the middle leaves
//! nothing that looks like one.

use super::{
    account::{Account, said},
    binaries::Binaries,
};
use anyhow::{Context, Result, bail, ensure};
use ring::digest::{SHA256, digest};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt, chown},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// The superuser of every private cluster.
pub(super) const ADMIN: &str = "overnight_admin";
/// Included by `postgresql.conf`, written at every start.
const SETTINGS_FILE: &str = "overnight.conf";
/// Addresses of Unix sockets end at 104 bytes on some systems, at 108 on others.
const MAX_SOCKET_BYTES: usize = 100;
const MAX_LOG_BYTES: u64 = 10 << 20;

/// The folder of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    pub major: u32,
    pub folder: PathBuf,
}

impl Cluster {
    pub(super) fn new(home: &Path, major: u32) -> Cluster {
        Cluster {
            major,
            folder: home.join(format!("postgres-{major}")),
        }
    }

    /// The complete clusters below `home`, newest version first.
    pub(super) fn all(home: &Path) -> Result<Vec<Cluster>> {
        let mut clusters = Vec::new();
        let entries = match fs::read_dir(home) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(clusters),
            Err(error) => return Err(error).with_context(|| format!("list `{}`", home.display())),
        };
        for entry in entries {
            let name = entry
                .with_context(|| format!("list `{}`", home.display()))?
                .file_name();
            let major = name
                .to_str()
                .and_then(|name| name.strip_prefix("postgres-")?.parse().ok());
            clusters.extend(major.map(|major| Cluster::new(home, major)));
        }
        // What another user closed cannot be looked into, but it is there.
        clusters.retain(|cluster| {
            fs::symlink_metadata(cluster.data()).map_or_else(
                |error| error.kind() == std::io::ErrorKind::PermissionDenied,
                |_| true,
            )
        });
        clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.major));
        Ok(clusters)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The user the cluster belongs to.
    pub(super) fn owner(&self) -> Result<u32> {
        let about = fs::symlink_metadata(&self.folder)
            .with_context(|| format!("look at `{}`", self.folder.display()))?;
        Ok(about.uid())
    }

    /// Makes the cluster unless it is complete. Takes about a second.
    pub(super) async fn initialize(&self, account: &Account, binaries: &Binaries) -> Result<()> {
        account.private_folder(&self.folder)?;
        account.check_can_enter(&self.folder).await?;
        let data = self.data();
        if data.join("PG_VERSION").exists() {
            return Ok(());
        }
        ensure!(
            !data.exists(),
            "make a cluster: `{}` exists but is none",
            data.display()
        );
        let new = self.folder.join("data.new");
        account
            .shell(r#"rm -rf "$1""#, &[new.as_os_str()], "")
            .await
            .context("remove an unfinished cluster")?;
        let mut initdb = account.command(binaries.folder.join("initdb"));
        initdb
            .arg("-D")
            .arg(&new)
            .args(["-U", ADMIN, "-E", "UTF8", "--locale=C"]);
        // Who may enter the socket folder is trusted; the network is closed, and stays so even if
        // somebody sets listen_addresses.
        initdb.args(["--auth-local=trust", "--auth-host=reject"]);
        let output = timeout(Duration::from_secs(300), initdb.output()).await;
        let output = output
            .context("make a cluster: `initdb` does not end")?
            .context("run `initdb`")?;
        ensure!(
            output.status.success(),
            "make a cluster in `{}`: {}",
            self.folder.display(),
            said(&output)
        );
        let script = r#"printf "\ninclude_if_exists '%s'\n" "$2" >> "$1""#;
        let configuration = new.join("postgresql.conf");
        account
            .shell(
                script,
                &[configuration.as_os_str(), SETTINGS_FILE.as_ref()],
                "",
            )
            .await
            .context("configure a cluster")?;
        fs::rename(&new, &data)
            .with_context(|| format!("put `{}` in its place", data.display()))?;
        // The name must survive a power cut as well as the files, which initdb synced.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .context("sync the folder of the cluster")?;
        Ok(())
    }

    /// Writes the settings, and begins a new log when the old one is long.
    pub(super) async fn configure(&self, account: &Account, settings: &str) -> Result<()> {
        account
            .write(&self.data().join(SETTINGS_FILE), settings)
            .await?;
        let log = self.log();
        if fs::metadata(&log).is_ok_and(|about| about.len() > MAX_LOG_BYTES) {
            fs::rename(&log, self.folder.join("log.1")).context("begin a new server log")?;
        }
        Ok(())
    }
}

/// Makes the home, and gives what was made to the user behind sudo, who would otherwise be locked
/// out of a folder of their own. Returns its real path.
pub(super) fn make_home(home: &Path, sudo_uid: Option<u32>) -> Result<PathBuf> {
    let what = || format!("make the folder `{}`", home.display());
    let home = std::path::absolute(home).with_context(what)?;
    // pg_ctl hands its paths to a shell, in double quotes and as they are.
    let plain = home
        .to_str()
        .is_some_and(|text| !text.contains(['"', '$', '`', '\\', '\n']));
    ensure!(
        plain,
        "{}: its name holds a character that Postgres' tools cannot handle",
        what()
    );
    let missing: Vec<_> = home
        .ancestors()
        .take_while(|folder| !folder.exists())
        .map(Path::to_owned)
        .collect();
    fs::create_dir_all(&home).with_context(what)?;
    for folder in missing {
        give(&folder, sudo_uid).with_context(what)?;
    }
    // Processes show their folder without links, and are recognized by it.
    fs::canonicalize(&home).with_context(what)
}

fn give(path: &Path, sudo_uid: Option<u32>) -> std::io::Result<()> {
    sudo_uid.map_or(Ok(()), |uid| chown(path, Some(uid), None))
}

/// Waits for the lock of a home; it is released when the file is dropped.
pub(super) async fn lock(home: &Path, sudo_uid: Option<u32>, wait: Duration) -> Result<File> {
    let path = home.join("lock");
    let what = || format!("lock `{}`", path.display());
    let is_new = !path.exists();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(what)?;
    if is_new {
        give(&path, sudo_uid).with_context(what)?;
    }
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < wait => {
                sleep(Duration::from_millis(50)).await
            }
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{}: another overnight holds it since {} s",
                    what(),
                    wait.as_secs()
                )
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(what),
        }
    }
}

/// Makes the folder of the socket: `<home>/run`, or a short one in `temporary` named after the home.
pub(super) async fn socket_folder(
    home: &Path,
    temporary: &Path,
    account: &Account,
) -> Result<PathBuf> {
    let fits = |folder: &Path| {
        folder
            .join(format!(".s.PGSQL.{}", super::PORT))
            .as_os_str()
            .len()
            < MAX_SOCKET_BYTES
    };
    let mut folder = home.join("run");
    if !fits(&folder) {
        let hash = digest(&SHA256, home.as_os_str().as_bytes());
        let name: String = hash
            .as_ref()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        folder = temporary.join(format!("overnight-{name}"));
        ensure!(
            fits(&folder),
            "choose a folder for the socket: `{}` is too long",
            folder.display()
        );
    }
    account.private_folder(&folder)?;
    account.check_can_enter(&folder).await?;
    Ok(folder)
}
