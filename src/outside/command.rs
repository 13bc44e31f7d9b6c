//! Runs a command in a process group of its own, and ends the whole group.
//!
//! It gets the document on standard input, which it need not read, and may print as much as it
//! likes. When its time is over the group gets SIGTERM, and SIGKILL two seconds later. Whatever it
//! leaves running is ended with it, also when this process stops waiting: nothing that holds a session
//! in a build may outlive the question.

use super::{Answer, Said};
use crate::secret::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// What was printed before the end is there at once; a child that goes on printing is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs `argv` in `folder`, with the variables `env` and no others.
pub async fn run(
    argv: &[String],
    env: &[(String, Secret)],
    folder: &Path,
    document: &str,
    timeout: Duration,
) -> Answer {
    let Some((program, arguments)) = argv.split_first() else {
        return Answer::no("no command is configured");
    };
    // A path is meant from the project's folder, a bare name is looked for in PATH.
    let path = match program.contains('/') {
        true => folder.join(program),
        false => program.into(),
    };
    let spawned = Command::new(path)
        .args(arguments)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value.expose())))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Answer::no(format!("`{program}` cannot be started: {error}")),
    };
    let mut group = Group(
        child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
    );
    let began = Instant::now();
    let feed = child.stdin.take().map(|mut stdin| {
        let document = document.to_owned();
        // A command that does not read it closes the pipe, which is no fault.
        tokio::spawn(async move {
            let _ = stdin.write_all(document.as_bytes()).await;
        })
    });
    let (out, err) = (Heard::default(), Heard::default());
    let listeners = [
        child.stdout.take().map(|pipe| out.listen(pipe)),
        child.stderr.take().map(|pipe| err.listen(pipe)),
    ];
    let ended = wait(&mut child, &mut group, timeout).await;
    for mut listener in listeners.into_iter().flatten() {
        if tokio::time::timeout(LAST_WORDS, &mut listener)
            .await
            .is_err()
        {
            listener.abort();
        }
    }
    if let Some(feed) = feed {
        feed.abort();
    }
    let said = match out.said_something() {
        true => out.text(),
        false => err.text(),
    };
    let seconds = began.elapsed().as_secs_f64();
    match ended {
        Ok(status) if status.success() => Answer {
            ok: true,
            text: format!("exit status 0 after {seconds:.1} s, {said}"),
        },
        Ok(status) => Answer::no(format!("{} after {seconds:.1} s, {said}", how(status))),
        Err(why) => Answer::no(format!("{why}, {said}")),
    }
}

/// Waits for the end, by itself or made; afterwards nothing of the group is left.
async fn wait(
    child: &mut Child,
    group: &mut Group,
    timeout: Duration,
) -> Result<ExitStatus, String> {
    let ended = match tokio::time::timeout(timeout, child.wait()).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(format!("waiting for it failed: {error}")),
        Err(_) => {
            group.signal(Signal::TERM);
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                group.signal(Signal::KILL);
                let _ = child.wait().await;
            }
            let limit = timeout.as_secs_f64();
            Err(format!("not done within {limit:.1} s and ended"))
        }
    };
    group.signal(Signal::KILL);
    group.0 = None;
    ended
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// The process group of a command, while it may have members.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // A group without members is an error of the call, and what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    /// The work was stopped: the answer is not awaited any more.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// What comes out of one pipe, read to its end so that nobody waits for room in it.
#[derive(Default, Clone)]
struct Heard(Arc<Mutex<Said>>);

impl Heard {
    fn listen(&self, mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let heard = self.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                let mut said = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
                said.take(&buffer[..read]);
            }
        })
    }

    fn said_something(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines > 0
    }

    fn text(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.to_string()
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
