//! A move that stalls half-way: the process is frozen, or the network carries nothing any more.

use super::{Row, percentile, seconds};
use crate::support::cluster::{Cluster, LOADER};
use crate::support::invariants::{sessions_end, violations};
use crate::support::proxy::{Cut, Proxy};
use crate::support::{Project, cluster};
use serde_json::json;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FLIP_LIMIT: Duration = Duration::from_secs(1);
/// From the last answer of the alias to the next.
const LIMIT: Duration = Duration::from_secs(2);

/// How a move is stalled.
#[derive(Clone, Copy, Debug)]
enum Stall {
    /// The process stops itself at a named point.
    Frozen(&'static str),
    /// It is stopped while the server waits in the rename.
    FrozenInRename,
    /// The connection stops at the message with this text.
    Cut(&'static str, Cut),
}

const STALLS: [Stall; 10] = [
    Stall::Frozen("flip.after_begin"),
    Stall::Cut("alter database", Cut::After),
    Stall::Frozen("flip.before_commit"),
    Stall::Cut("alter database", Cut::Before),
    Stall::FrozenInRename,
    Stall::Cut("set local idle_in_transaction_session_timeout", Cut::After),
    Stall::Frozen("flip.after_commit"),
    Stall::Cut("set previous_build = coalesce(live_build", Cut::Before),
    Stall::FrozenInRename,
    Stall::Cut("set previous_build = coalesce(live_build", Cut::After),
];

#[test]
fn a_move_that_stalls_ends_on_the_server_and_the_alias_answers_again() {
    let row = Row::begin(
        "stalled_move",
        "stalled move (client frozen, network cut) at each message: the alias answers again within flip_limit + 1 s",
        ["10 stalls: 10 of 10", "50 stalls: 50 of 50"],
    );
    let stalls = row.pick(10, 50);
    let project = Project::new("stalled_move");
    let mut nights = Vec::new();
    for rows in [10, 11] {
        project.items(rows, "night");
        project.run().code(0);
        nights.push(project.live());
    }
    let (mut bad, mut gaps) = (Vec::new(), Vec::new());
    for n in 0..stalls {
        let stall = STALLS[n % STALLS.len()];
        let live = project.live();
        let to = nights.iter().find(|night| **night != live).unwrap();
        match stalled(&project, to, stall) {
            Ok(gap) => {
                gaps.push(gap);
                if gap > LIMIT {
                    bad.push(format!("{n} {stall:?}: no answer for {gap:?}"));
                }
            }
            Err(what) => bad.push(format!("{n} {stall:?}: {what}")),
        }
    }
    let slow = percentile(&gaps, 1.0);
    row.end(
        &format!(
            "{} of {stalls}, longest without an answer {}",
            stalls - bad.len(),
            seconds(slow)
        ),
        &json!({"stalls": stalls, "longest_s": slow.as_secs_f64(), "bad": bad.len()}),
        &bad,
    );
}

/// Stalls one move; the longest time without an answer of the alias.
fn stalled(project: &Project, to: &str, stall: Stall) -> Result<Duration, String> {
    let cluster = cluster();
    let before = project.live();
    let stop = AtomicBool::new(false);
    let (gap, done) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(project, &stop));
        std::thread::sleep(Duration::from_millis(200));
        let done = stall_and_wait(project, cluster, to, stall);
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::SeqCst);
        (asking.join().unwrap(), done)
    });
    done?;
    if !sessions_end(project) {
        return Err("sessions are left".into());
    }
    // The next command settles what is open, and moves.
    let live = project.live();
    if live != before && live != to {
        return Err(format!("`{live}` is live"));
    }
    let next = if live == to { before.as_str() } else { to };
    let told = project.overnight(&["rotate", &project.name, next]);
    if told.code != 0 || project.live() != next {
        return Err(format!("the next command: {told:?}"));
    }
    match violations(project) {
        found if found.is_empty() => Ok(gap),
        found => Err(format!("{found:?}")),
    }
}

/// Starts a move, stalls it, and ends it when the server has had its time.
fn stall_and_wait(
    project: &Project,
    cluster: &'static Cluster,
    to: &str,
    stall: Stall,
) -> Result<(), String> {
    let arguments = ["rotate", &project.name, to, "--flip-limit", "1s"];
    let mut command = project.command(&arguments);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let wait = FLIP_LIMIT * 3;
    match stall {
        Stall::Frozen(point) => {
            command.env("OVERNIGHT_CRASHPOINT", format!("{point}:1:stop"));
            let child = command.spawn().unwrap();
            let stopped = until(|| is_stopped(&child));
            std::thread::sleep(wait);
            kill(child);
            stopped?;
        }
        Stall::FrozenInRename => {
            // A lock on the database keeps the rename waiting.
            let holder = cluster
                .block_on(cluster.client(LOADER, "postgres"))
                .unwrap();
            let lock = format!("begin; comment on database \"{}\" is null", project.name);
            cluster.block_on(holder.batch_execute(&lock)).unwrap();
            let child = command.spawn().unwrap();
            let waiting = "select count(*) from pg_locks where locktype = 'object' and not granted and mode = 'AccessExclusiveLock'";
            let waits = until(|| cluster.one("postgres", waiting) != "0");
            signal(&child, "-STOP");
            std::thread::sleep(wait);
            kill(child);
            drop(holder);
            waits?;
        }
        Stall::Cut(pattern, cut) => {
            let proxy = Proxy::start(cluster, pattern, cut);
            command.env("OVERNIGHT_TARGET", proxy.url("postgres", LOADER));
            // New connections pass: it finds out by itself what has become of the move.
            let told = Project::finish(&mut command);
            if !proxy.has_stalled() {
                return Err(format!("nothing was cut: {told:?}"));
            }
            let live = project.live();
            let says = match live == to {
                true => "the move has happened",
                false => "has not happened; nothing was changed",
            };
            if told.code != 3 || !told.stderr.contains(says) {
                return Err(format!("`{live}` is live: {told:?}"));
            }
        }
    }
    Ok(())
}

fn until(mut done: impl FnMut() -> bool) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        if Instant::now() > end {
            return Err("the move did not come so far".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state == Some('T')
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Asks for the build as a service that comes back after an error; the longest time between two answers.
fn ask(project: &Project, stop: &AtomicBool) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut longest, mut answered) = (Duration::ZERO, Instant::now());
    runtime.block_on(async {
        while !stop.load(Ordering::SeqCst) {
            let asked = async {
                let open = project
                    .cluster()
                    .client(&project.reader, &project.name)
                    .await?;
                open.query_one("select build from overnight.build", &[])
                    .await
            };
            if asked.await.is_ok() {
                longest = longest.max(answered.elapsed());
                answered = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    longest.max(answered.elapsed())
}
