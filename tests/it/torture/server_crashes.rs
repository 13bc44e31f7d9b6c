//! The server goes away in the middle of a run, as in a power cut, and comes back.

use super::Row;
use crate::kill::Nights;
use crate::support::cluster::private;
use crate::support::project::ended;
use rand::Rng;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_crash_of_the_server_in_the_middle_of_a_run_is_repaired_by_the_next_start() {
    let row = Row::begin(
        "server_crashes",
        "immediate stop of the server in the middle of a run: wrong alias, ledger unlike the catalog, or a human needed",
        ["2 crashes: 0", "50 crashes: 0"],
    );
    let wanted = row.pick(2, 50);
    let mut rng = row.rng(0);
    // Not the server of the other tests, and one that writes to disk as a real one does.
    let cluster = private();
    let mut nights = Nights::two(cluster, "server_crash");
    let began = Instant::now();
    nights.another();
    nights.project.run().code(0);
    let mut length = began.elapsed();
    let (mut crashes, mut over, mut bad) = (0, 0, Vec::new());
    while crashes < wanted {
        nights.another();
        let mut run = nights.project.start(&["run", &nights.project.name]);
        let delay = length.mul_f64(rng.random_range(0.0..1.0));
        std::thread::sleep(delay);
        let early = run.try_wait().unwrap().is_some();
        cluster.crash();
        let told = ended(run.wait_with_output().unwrap());
        // Status 3 names the server; a run whose last word was spoken is a good one.
        if ![0, 3].contains(&told.code) {
            bad.push(format!(
                "crash {crashes} after {delay:?}: status {}: {}",
                told.code, told.stderr
            ));
        }
        match early {
            true => {
                over += 1;
                length = length.mul_f64(0.95).max(Duration::from_millis(100));
            }
            false => crashes += 1,
        }
        if let Err(what) = nights.repair() {
            bad.push(format!("crash {crashes} after {delay:?}: {what}"));
            break;
        }
    }
    row.end(
        &format!(
            "{crashes} crashes, {over} more after the run was over: {} bad",
            bad.len()
        ),
        &json!({"crashes": crashes, "after_the_run": over, "bad": bad.len()}),
        &bad,
    );
}
