//! The user the private server runs as, and every program and file of its.
//!
//! In: who we are, who owns the data, who called sudo. Out: an [`Account`] that starts programs as
//! that user. Postgres refuses to run as root, so root becomes somebody else for it.
//!
//! As root, nothing below a folder that the account owns is written by us directly: the account
//! could have put a link there. It is written by a shell that runs as the account.

use anyhow::{Context, Result, bail, ensure};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, lchown},
        process::CommandExt,
    },
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// The user that owns the cluster and runs its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    /// The primary group and the name, when we must become this user; `None` when we are it.
    switch: Option<(u32, String)>,
}

impl Account {
    /// Chooses the account: ourselves, unless we are root; then the owner of the data, the user
    /// behind sudo, `postgres`, or `nobody`.
    pub(super) fn choose(owner_of_data: Option<u32>, sudo_uid: Option<u32>) -> Result<Account> {
        let ourselves = effective_uid();
        if ourselves != 0 {
            if let Some(owner) = owner_of_data.filter(|owner| *owner != ourselves) {
                bail!(
                    "use the private server: its data belongs to user {owner}, and this is user {ourselves}"
                );
            }
            return Ok(Account {
                uid: ourselves,
                switch: None,
            });
        }
        ensure!(
            owner_of_data != Some(0),
            "use the private server: its data belongs to root, as whom Postgres refuses to run"
        );
        let users = fs::read_to_string("/etc/passwd").context("read `/etc/passwd`")?;
        let wanted = match owner_of_data.or(sudo_uid.filter(|uid| *uid != 0)) {
            Some(uid) => find_user(&users, |_, user| user == uid)
                .or_else(|| Some((uid, uid, uid.to_string()))),
            None => find_user(&users, |name, _| name == "postgres")
                .or_else(|| find_user(&users, |name, _| name == "nobody")),
        };
        let (uid, gid, name) = wanted.context(
            "choose a user for the private server: there is neither `postgres` nor `nobody`",
        )?;
        Ok(Account {
            uid,
            switch: Some((gid, name)),
        })
    }

    /// A command that runs as the account, in `/`, with an environment that cannot steer Postgres.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C")
            .env("HOME", "/");
        command.current_dir("/").stdin(Stdio::null());
        if let Some((gid, _)) = &self.switch {
            // The standard library also drops root's supplementary groups before it changes the user.
            command.gid(*gid).uid(self.uid);
        }
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }

    /// Runs a shell script as the account, with `input` on its standard input.
    pub(super) async fn shell(
        &self,
        script: &str,
        arguments: &[&OsStr],
        input: &str,
    ) -> Result<()> {
        let mut command = self.command("/bin/sh");
        command.arg("-c").arg(script).arg("sh").args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = timeout(Duration::from_secs(60), child.wait_with_output())
            .await
            .context("a shell did not end")??;
        ensure!(output.status.success(), "{}", said(&output));
        Ok(())
    }

    /// Replaces a file below the account's own folder in one step.
    pub(super) async fn write(&self, path: &Path, text: &str) -> Result<()> {
        let script = r#"umask 077; cat > "$1.new" && mv -f "$1.new" "$1""#;
        self.shell(script, &[path.as_os_str()], text)
            .await
            .with_context(|| format!("write `{}`", path.display()))
    }

    /// Refuses a folder that the account cannot enter, naming the one above it that is closed.
    pub(super) async fn check_can_enter(&self, folder: &Path) -> Result<()> {
        if self
            .shell(r#"cd "$1""#, &[folder.as_os_str()], "")
            .await
            .is_ok()
        {
            return Ok(());
        }
        let mut parents: Vec<_> = folder.ancestors().collect();
        parents.reverse();
        for parent in parents {
            if self
                .shell(r#"cd "$1""#, &[parent.as_os_str()], "")
                .await
                .is_err()
            {
                bail!(
                    "use the private server: its user `{}` may not enter `{}`; choose a home that every user may \
                     reach, such as `/var/lib/overnight`, or open the folder (`chmod a+x`)",
                    self.name(),
                    parent.display()
                );
            }
        }
        Ok(())
    }

    /// Makes a folder that only the account (and root) may enter, or checks that it is one.
    pub(super) fn private_folder(&self, path: &Path) -> Result<()> {
        let what = || format!("use the folder `{}`", path.display());
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(what);
            }
            _ => {}
        }
        // Not the target of a link: anybody may put a link into a temporary folder.
        let mut about = fs::symlink_metadata(path).with_context(what)?;
        ensure!(about.is_dir(), "{}: it is not a folder", what());
        if let (Some((gid, _)), 0) = (&self.switch, about.uid()) {
            lchown(path, Some(self.uid), Some(*gid)).with_context(what)?;
            about = fs::symlink_metadata(path).with_context(what)?;
        }
        ensure!(
            about.uid() == self.uid,
            "{}: it belongs to user {}, not to user {}",
            what(),
            about.uid(),
            self.uid
        );
        ensure!(
            about.mode() & 0o077 == 0,
            "{}: others may enter it (mode {:04o}); run `chmod 0700` on it",
            what(),
            about.mode() & 0o7777
        );
        Ok(())
    }

    fn name(&self) -> String {
        self.switch
            .as_ref()
            .map_or_else(|| self.uid.to_string(), |(_, name)| name.clone())
    }
}

/// What a program said when it failed: the last lines of its error output, or of its output.
pub(super) fn said(output: &Output) -> String {
    let text = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines
        .get(lines.len().saturating_sub(3)..)
        .unwrap_or_default()
        .join("; ");
    if last.is_empty() {
        format!("it ended with {}", output.status)
    } else {
        last
    }
}

/// Whether this process is root.
pub(super) fn is_root() -> bool {
    effective_uid() == 0
}

/// The user this process acts as.
fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The first entry that fits: uid, gid, name.
fn find_user(users: &str, fits: impl Fn(&str, u32) -> bool) -> Option<(u32, u32, String)> {
    users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields.as_slice() else {
            return None;
        };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (uid != 0 && fits(name, uid)).then(|| (uid, gid, (*name).to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn programs_of_the_account_have_no_group_but_its_own() {
        let account = Account::choose(None, None).unwrap();
        let output = account
            .command("/bin/sh")
            .args(["-c", "id -u; id -G; pwd; env"])
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], account.uid.to_string());
        if let Some((gid, _)) = &account.switch {
            assert_ne!(account.uid, 0);
            assert_eq!(lines[1], gid.to_string());
        }
        assert_eq!(lines[2], "/");
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[tokio::test]
    async fn a_private_folder_is_ours_and_closed() {
        let account = Account::choose(None, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        account.private_folder(&path).unwrap();
        account.private_folder(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().uid(), account.uid);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(
            account
                .private_folder(&link)
                .unwrap_err()
                .to_string()
                .contains("not a folder")
        );
        let open = folder.path().join("open");
        fs::DirBuilder::new().mode(0o755).create(&open).unwrap();
        assert!(
            account
                .private_folder(&open)
                .unwrap_err()
                .to_string()
                .contains("mode 0755")
        );
    }
}
