//! The server process: which one it is, starting it, stopping it.
//!
//! In: a data folder. Out: the [`Postmaster`] that serves it, or the certainty that none does.
//! The file `postmaster.pid` outlives a crash, and after a reboot its number may belong to anybody:
//! a process is ours only when it runs in the data folder.
//!
//! Source: <https://www.postgresql.org/docs/current/storage-file-layout.html>; the lines of the file
//! are in `src/include/utils/pidfile.h`.

use super::account::{Account, said};
use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::time;

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub pid: u32,
    pub port: u16,
    pub socket_folder: PathBuf,
}

/// What `postmaster.pid` stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no such file: nothing runs.
    Nothing,
    /// Our server.
    Running(Postmaster),
    /// Left behind by a server that is gone.
    Stale { pid_is_of_another: bool },
}

impl Postmaster {
    /// Looks whether a server runs in `data`.
    pub(super) async fn find(data: &Path) -> Result<Found> {
        let file = data.join("postmaster.pid");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error).with_context(|| format!("read `{}`", file.display())),
        };
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let line = |index: usize| lines.get(index).copied().unwrap_or_default();
        let Ok(pid) = line(0).parse::<u32>() else {
            return Ok(Found::Stale {
                pid_is_of_another: false,
            });
        };
        let port = line(3).parse().unwrap_or(super::PORT);
        let socket_folder = PathBuf::from(line(4));
        let socket = socket_folder.join(format!(".s.PGSQL.{port}"));
        Ok(match owner_of(pid, data, &socket) {
            Process::Ours => Found::Running(Postmaster {
                pid,
                port,
                socket_folder,
            }),
            Process::Another => Found::Stale {
                pid_is_of_another: true,
            },
            Process::Gone => Found::Stale {
                pid_is_of_another: false,
            },
        })
    }

    /// Starts the server and waits until it answers. `postmaster.pid` must not be that of a running one.
    pub(super) async fn start(
        account: &Account,
        programs: &Path,
        data: &Path,
        log: &Path,
        wait: Duration,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            let mut command = account.command(programs.join("pg_ctl"));
            command
                .arg("start")
                .arg("-D")
                .arg(data)
                .arg("-l")
                .arg(log)
                .arg("-s")
                .arg("-w");
            command.arg("-t").arg(wait.as_secs().max(1).to_string());
            // A little longer than it promises, in case it hangs itself.
            let output = time::timeout(wait + Duration::from_secs(10), command.output()).await;
            let output = output
                .context("start the private server: `pg_ctl` does not end")?
                .context("run `pg_ctl`")?;
            if output.status.success() {
                return Ok(());
            }
            let tail = tail(log);
            tries += 1;
            // Processes of a server that was killed need a moment to notice.
            if tries < 5 && tail.contains("pre-existing shared memory block") {
                time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            bail!(
                "start the private server: {}; its log `{}` ends with: {tail}",
                said(&output),
                log.display()
            );
        }
    }

    /// Stops the server in an orderly way and waits for it.
    pub(super) async fn stop(
        account: &Account,
        programs: &Path,
        data: &Path,
        wait: Duration,
    ) -> Result<()> {
        let mut command = account.command(programs.join("pg_ctl"));
        command
            .arg("stop")
            .arg("-D")
            .arg(data)
            .args(["-m", "fast", "-s", "-w", "-t"])
            .arg(wait.as_secs().max(1).to_string());
        let output = time::timeout(wait + Duration::from_secs(10), command.output()).await;
        let output = output
            .context("stop the private server: `pg_ctl` does not end")?
            .context("run `pg_ctl`")?;
        if !output.status.success() {
            bail!("stop the private server: {}", said(&output));
        }
        Ok(())
    }
}

/// The folder of the programs that run, or last ran, the server in `data`.
pub(super) fn programs_of(data: &Path) -> Option<PathBuf> {
    let options = fs::read_to_string(data.join("postmaster.opts")).ok()?;
    // The path of the program comes bare, its arguments in double quotes.
    let program = options.lines().next()?.split(" \"").next()?.trim();
    Path::new(program)
        .parent()
        .filter(|folder| folder.is_absolute())
        .map(Path::to_owned)
}

/// Makes a stale `postmaster.pid` harmless. Only needed when its number now belongs to another
/// process: Postgres would believe that one to be a server. Otherwise the file stays, because it
/// leads Postgres to processes of the old server that may still run.
pub(super) async fn forget_stale(account: &Account, data: &Path) -> Result<()> {
    let file = data.join("postmaster.pid");
    let begin = Instant::now();
    loop {
        match processes_in(data) {
            Some(None) => break,
            // They end by themselves when they see that their parent is gone.
            Some(Some(_)) if begin.elapsed() < Duration::from_secs(10) => {
                time::sleep(Duration::from_millis(100)).await
            }
            Some(Some(pid)) => bail!(
                "start the private server: process {pid} of its predecessor still runs; end it first"
            ),
            None => bail!(
                "start the private server: `{}` is left over from a crash; remove it if no Postgres uses that folder",
                file.display()
            ),
        }
    }
    account
        .shell(r#"rm -f "$1""#, &[file.as_os_str()], "")
        .await
        .context("remove a stale `postmaster.pid`")
}

/// Removes the socket of a server that is gone, and the file that guards it: the number in that file
/// may belong to another process too. The folder serves one home only, and nothing runs there.
pub(super) async fn forget_socket(account: &Account, folder: &Path) -> Result<()> {
    let script = r#"rm -f "$1"/.s.PGSQL.*"#;
    account
        .shell(script, &[folder.as_os_str()], "")
        .await
        .context("remove a stale socket")
}

/// A process that runs in `data`: every process of a server does. `None` where `/proc` does not tell.
fn processes_in(data: &Path) -> Option<Option<u32>> {
    let processes = fs::read_dir("/proc").ok()?;
    let mut numbers = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .peekable();
    numbers.peek()?;
    Some(
        numbers.find(|pid| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == data)
        }),
    )
}

enum Process {
    Ours,
    Another,
    Gone,
}

fn owner_of(pid: u32, data: &Path, socket: &Path) -> Process {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if Path::new("/proc/self").exists() {
        return match fs::read_link(process.join("cwd")) {
            Ok(folder) if folder == data => Process::Ours,
            // A zombie has no folder any more, but Postgres takes its number for a living process.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !process.exists() => {
                Process::Gone
            }
            _ => Process::Another,
        };
    }
    // Elsewhere the socket is the best evidence: its folder belongs to this server alone.
    let lives = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH));
    match (lives, socket.exists()) {
        (true, true) => Process::Ours,
        (true, false) => Process::Another,
        (false, _) => Process::Gone,
    }
}

/// The last lines of the log, which by configuration holds no data.
fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(
        bytes
            .get(bytes.len().saturating_sub(4000)..)
            .unwrap_or_default(),
    )
    .into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(4)..)
        .unwrap_or_default()
        .join("; ")
}
