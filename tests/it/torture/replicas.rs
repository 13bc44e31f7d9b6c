//! A replica that is behind, or has not got the build at all, keeps the alias where it is.

use super::Row;
use crate::support::Project;
use crate::support::standby::Pair;
use serde_json::json;

const BUILD: &str = "select build from overnight.build";

#[test]
fn no_move_happens_while_a_replica_could_not_follow_it() {
    let row = Row::begin(
        "replicas",
        "replica behind or without the build: flip refused",
        ["5 of 5", "50 of 50"],
    );
    let tries: usize = row.pick(5, 50);
    let pair = Pair::start();
    let mut project = Project::new("torn_replica");
    pair.adopt(&mut project, true);
    let mut bad = Vec::new();
    project.items(10, "first");
    let patient = ["--replica-wait", "30s"];
    let run = |more: &[&str]| project.overnight(&[&["run", &project.name], more].concat());
    run(&patient).code(0);
    let mut live = pair.ask(&project.name, BUILD);
    for number in 0..tries {
        // By turns: it receives and does not replay, or it is not there.
        let paused = number % 2 == 0;
        match paused {
            true => pair.pause(),
            false => pair.stop_standby(),
        }
        project.items(11 + number, "next");
        let refused = run(&["--replica-wait", "200ms"]);
        let now = pair.ask(&project.name, BUILD);
        if refused.code != 1 || !refused.stderr.contains("replicas") || now != live {
            bad.push(format!("try {number}: {} {}", refused.code, refused.stderr));
        }
        match paused {
            true => pair.resume(),
            false => pair.start_standby(),
        }
        // It has caught up: the build that waited is published, here and there.
        run(&patient).code(0);
        live = pair.ask(&project.name, BUILD);
        let there = pair.ask_replica(&project.name, BUILD);
        if there != live {
            bad.push(format!("try {number}: the replica has {there}, not {live}"));
        }
    }
    row.end(
        &format!("{} of {tries} refused", tries - bad.len()),
        &json!({ "tries": tries, "refused": tries - bad.len() }),
        &bad,
    );
}
