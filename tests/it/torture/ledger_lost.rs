//! The ledger is dropped at a random moment of a dataset's life, and rebuilt from the stamps.

use super::Row;
use crate::support::Project;
use crate::support::invariants::violations;
use rand::Rng;
use serde_json::json;

#[test]
fn a_lost_ledger_is_adopted_and_the_alias_never_moves() {
    let row = Row::begin(
        "ledger_lost",
        "ledger lost after random nights and rollbacks, adopted: alias moved, builds lost or states unlike",
        ["5 losses: 0", "50 losses: 0"],
    );
    let losses = row.pick(5, 50);
    let project = Project::new("torture_ledger_lost");
    let mut random = row.rng(0);
    let mut bad = Vec::new();
    let mut rows = 1;
    project.items(rows, "night");
    project.run().code(0);
    for loss in 0..losses {
        for _ in 0..random.random_range(0..3) {
            match random.random_range(0..4) {
                0 => drop(project.overnight(&["rollback", &project.name])),
                1 => {
                    rows += 1;
                    project.items(rows, "night");
                    project.overnight(&["release", &project.name]);
                    project
                        .overnight(&["run", &project.name, "--no-rotate"])
                        .code(0);
                }
                _ => {
                    rows += 1;
                    project.items(rows, "night");
                    project.overnight(&["release", &project.name]);
                    project.run().code(0);
                }
            }
        }
        let live = project.live();
        let databases = project.databases();
        let lose = format!("drop database {} with (force)", project.control);
        project.cluster().sql("postgres", &lose).unwrap();
        let told = project.overnight(&["reconcile", "--adopt", "--reason", "torture"]);
        if told.code != 0 || project.live() != live || project.databases() != databases {
            bad.push(format!("loss {loss}: `{live}` was live: {told:?}"));
            break;
        }
        bad.extend(
            violations(&project)
                .into_iter()
                .map(|what| format!("loss {loss}: {what}")),
        );
        let status = project.overnight(&["status"]);
        if status.code != 0 {
            bad.push(format!("loss {loss}: {status:?}"));
        }
        if !bad.is_empty() {
            break;
        }
    }
    row.end(
        &format!("{losses} losses: {} bad", bad.len()),
        &json!({"losses": losses, "bad": bad.len()}),
        &bad,
    );
}
