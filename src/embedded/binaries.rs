//! Finds the programs of an installed Postgres server.
//!
//! In: an explicit folder, the search path, the account that will run them. Out: folders whose
//! `initdb`, `postgres` and `pg_ctl` were run and agree on a version. Presence proves nothing: a
//! wrapper without its server, or a folder the account may not enter, must not win.
//!
//! Debian keeps these programs off the search path, so the usual places are looked at as well.

use super::account::{Account, said};
use crate::postgres::OLDEST_MAJOR;
use anyhow::{Context, Result, bail, ensure};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::timeout;

/// A folder with the programs of one server version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

impl Binaries {
    /// All usable folders, the preferred one first; never empty.
    ///
    /// # Errors
    /// The explicit folder is not usable, or there is none at all: then with the command that
    /// installs a server on this system.
    pub(super) async fn find(
        explicit: Option<&Path>,
        path: Option<&OsStr>,
        account: &Account,
    ) -> Result<Vec<Binaries>> {
        if let Some(folder) = explicit {
            let found = Binaries::probe(folder, account).await;
            return Ok(vec![found.with_context(|| {
                format!("use the server programs in `{}`", folder.display())
            })?]);
        }
        let mut found: Vec<Binaries> = Vec::new();
        let mut unusable = Vec::new();
        for folder in candidates(path, account).await {
            if found.iter().any(|known| known.folder == folder) {
                continue;
            }
            match Binaries::probe(&folder, account).await {
                Ok(binaries) => found.push(binaries),
                Err(error) => {
                    unusable.push(format!("; `{}` is not usable: {error:#}", folder.display()))
                }
            }
        }
        if found.is_empty() {
            let hint = install_hint(
                &fs::read_to_string("/etc/os-release").unwrap_or_default(),
                cfg!(target_os = "macos"),
            );
            unusable.sort();
            unusable.dedup();
            bail!(
                "find the programs of a Postgres server: none is installed{}; {hint}",
                unusable.concat()
            );
        }
        Ok(found)
    }

    async fn probe(folder: &Path, account: &Account) -> Result<Binaries> {
        let mut versions = Vec::new();
        for program in ["initdb", "postgres", "pg_ctl"] {
            let run = account
                .command(folder.join(program))
                .arg("--version")
                .output();
            let output = timeout(Duration::from_secs(20), run).await;
            let output = output
                .with_context(|| format!("`{program}` does not end"))?
                .with_context(|| format!("run `{program}`"))?;
            ensure!(
                output.status.success(),
                "`{program}` does not run: {}",
                said(&output)
            );
            let text = String::from_utf8_lossy(&output.stdout);
            let version = text
                .split_once("(PostgreSQL) ")
                .map(|(_, version)| version.trim().to_owned());
            versions
                .push(version.with_context(|| format!("`{program}` does not tell its version"))?);
        }
        let version = versions.first().cloned().unwrap_or_default();
        ensure!(
            versions.iter().all(|other| *other == version),
            "its programs are of different versions: {}",
            versions.join(", ")
        );
        let digits = version
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(version.len());
        let major: u32 = version
            .get(..digits)
            .unwrap_or_default()
            .parse()
            .context("read the version")?;
        ensure!(
            major >= OLDEST_MAJOR,
            "PostgreSQL {version} is too old, {OLDEST_MAJOR} is the oldest that works"
        );
        Ok(Binaries {
            folder: folder.to_owned(),
            major,
        })
    }
}

/// Folders that hold an `initdb`, in order of preference.
async fn candidates(path: Option<&OsStr>, account: &Account) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let on_path: Vec<PathBuf> = path
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    let on_path = || on_path.iter().filter(|folder| folder.is_absolute());
    for folder in on_path() {
        // A link leads to the folder that has all the programs, psql included.
        let real = fs::canonicalize(folder.join("initdb")).ok();
        folders.extend(real.as_deref().and_then(Path::parent).map(Path::to_owned));
        folders.push(folder.clone());
    }
    for folder in on_path() {
        let output = account
            .command(folder.join("pg_config"))
            .arg("--bindir")
            .output();
        if let Ok(Ok(output)) = timeout(Duration::from_secs(20), output).await {
            folders.push(PathBuf::from(
                String::from_utf8_lossy(&output.stdout).trim(),
            ));
        }
    }
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
        ("/usr", "pgsql-", "bin"),                   // Red Hat with the PGDG packages
        ("/usr/libexec", "postgresql", ""),          // Alpine
        ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew on Apple silicon
        ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew on Intel
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"), // Homebrew on Linux
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
        ("/Library/PostgreSQL", "", "bin"),          // the installer of EDB
    ] {
        folders.extend(
            newest_first(Path::new(parent), prefix)
                .into_iter()
                .map(|folder| folder.join(below)),
        );
    }
    folders.retain(|folder| folder.is_absolute() && folder.join("initdb").exists());
    folders
}

/// The subfolders named `<prefix><number>`, highest number first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut numbered: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            Some((
                entry
                    .file_name()
                    .to_str()?
                    .strip_prefix(prefix)?
                    .parse()
                    .ok()?,
                entry.path(),
            ))
        })
        .collect();
    numbered.sort_by(|one, other| other.cmp(one));
    numbered.into_iter().map(|(_, path)| path).collect()
}

/// How to install a server here, from the text of `/etc/os-release`.
fn install_hint(os_release: &str, is_macos: bool) -> String {
    let field = |name: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let ids = format!("{} {}", field("ID"), field("ID_LIKE"));
    let is = |wanted: &str| ids.split(' ').any(|id| id == wanted);
    let command = match () {
        () if is_macos => "brew install postgresql@17",
        () if is("debian") || is("ubuntu") => "sudo apt-get install postgresql",
        () if is("fedora") || is("rhel") || is("centos") => "sudo dnf install postgresql-server",
        () if is("alpine") => "apk add postgresql",
        () if is("arch") => "sudo pacman -S postgresql",
        () if is("suse") || is("opensuse") => "sudo zypper install postgresql-server",
        () => return "install the PostgreSQL server (https://www.postgresql.org/download/), or name a target".into(),
    };
    format!("install them with `{command}`, or name a target")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_broken_wrapper_on_the_path_does_not_win() {
        let account = Account::choose(None, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for program in ["initdb", "postgres", "pg_ctl"] {
            let path = folder.path().join(program);
            fs::write(&path, "#!/bin/sh\necho 'no cluster' >&2\nexit 1\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let found = Binaries::find(None, Some(folder.path().as_os_str()), &account)
            .await
            .unwrap();
        assert!(
            found
                .iter()
                .all(|binaries| binaries.folder != folder.path()),
            "{found:?}"
        );
        let error = Binaries::find(Some(folder.path()), None, &account)
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("`initdb` does not run: no cluster"),
            "{error:#}"
        );
        let error = Binaries::find(Some(Path::new("/nowhere")), None, &account)
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("run `initdb`: No such file"),
            "{error:#}"
        );
    }

    #[test]
    fn newer_versions_come_first_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9", "16", "15", "x"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let names: Vec<_> = newest_first(folder.path(), "")
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["16", "15", "9"]);
    }

    #[test]
    fn the_hint_is_the_command_of_the_platform() {
        assert!(install_hint("NAME=x\nID=debian\n", false).contains("apt-get install postgresql"));
        assert!(
            install_hint("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", false).contains("apt-get")
        );
        assert!(
            install_hint("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", false).contains("dnf")
        );
        assert!(install_hint("ID=alpine\n", false).contains("apk add"));
        assert!(install_hint("", true).contains("brew install"));
        assert!(install_hint("", false).contains("postgresql.org/download"));
    }
}
