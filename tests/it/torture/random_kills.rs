//! SIGKILL at any moment, not only where somebody thought of it.

use super::Row;
use crate::kill::Nights;
use crate::support::cluster::cluster;
use rand::Rng;
use serde_json::json;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WORKERS: usize = 4;

#[derive(Default)]
struct Found {
    killed: usize,
    /// Over before the signal came.
    ended: usize,
    bad: Vec<String>,
}

#[test]
fn a_kill_at_any_moment_leaves_one_complete_build_and_is_repaired_by_the_next_start() {
    let row = Row::begin(
        "random_kills",
        "SIGKILL at random moments of a run: wrong alias, ledger unlike the catalog, or a human needed",
        ["12 kills: 0", "500 kills: 0"],
    );
    let wanted = row.pick(12, 500) / WORKERS;
    let found = Mutex::new(Found::default());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (row, found) = (&row, &found);
            scope.spawn(move || work(row, worker, wanted, found));
        }
    });
    let found = found.into_inner().unwrap();
    let Found { killed, ended, bad } = found;
    row.end(
        &format!(
            "{killed} kills, {ended} runs over before theirs: {} bad",
            bad.len()
        ),
        &json!({"kills": killed, "ended": ended, "bad": bad.len()}),
        &bad,
    );
}

/// Kills so many runs; one that was over too soon does not count.
fn work(row: &Row, worker: usize, wanted: usize, found: &Mutex<Found>) {
    let mut rng = row.rng(worker as u64);
    let name = |n: usize| format!("random_kill_{worker}_{n}");
    let mut nights = Nights::two(cluster(), &name(0));
    let mut length = Duration::from_secs(1);
    let mut killed = 0;
    let mut n = 0;
    while killed < wanted {
        n += 1;
        nights.another();
        let delay = length.mul_f64(rng.random_range(0.0..1.05));
        let began = Instant::now();
        let mut run = nights.project.start(&["run", &nights.project.name]);
        std::thread::sleep(delay);
        run.kill().unwrap();
        let over = run.wait().unwrap().code().is_some();
        if over {
            // The measure follows the machine, which may be busier now than a moment ago.
            length = length.mul_f64(0.95);
        } else {
            killed += 1;
            length = length.max(began.elapsed().mul_f64(1.05));
        }
        let repaired = nights.repair();
        let mut found = found.lock().unwrap();
        match over {
            true => found.ended += 1,
            false => found.killed += 1,
        }
        if let Err(what) = repaired {
            found
                .bad
                .push(format!("worker {worker}, kill {n} after {delay:?}: {what}"));
            drop(found);
            nights = Nights::two(cluster(), &name(n));
        }
    }
}
