//! Rollbacks and rotations at random moments of a verification.

use super::Row;
use crate::support::invariants::wait_for_session;
use crate::support::project::ended;
use crate::support::{Project, check_invariants};
use rand::Rng;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_move_at_any_moment_of_a_verification_costs_no_build() {
    let row = Row::begin(
        "live_moves",
        "rollback and rotation at random moments while a run compares with the live build",
        ["0 builds lost of 4", "0 builds lost of 200"],
    );
    let rounds: usize = row.pick(4, 200);
    let project = Project::new("live_moves");
    let name = project.name.as_str();
    for query in 1..=6 {
        project.sql(
            &format!("golden/0{query}0_slow.sql"),
            "-- overnight: runs = 1\nselect pg_sleep(0.1) from item limit 1;\n",
        );
    }
    project.write(
        &format!("sources/{name}/dataset.toml"),
        &format!(
            "schema_version = 1\nfiles_under = \"{name}/\"\nreaders = [\"{0}\"]\nprobe = {{ user = \"{0}\" }}\nkeep = {1}\n",
            project.reader,
            rounds + 3
        ),
    );
    let mut nights = Vec::new();
    for rows in [10, 11] {
        project.items(rows, "night");
        project.run().code(0);
        nights.push(project.live());
    }
    let mut rng = row.rng(0);
    let (mut bad, mut moves) = (Vec::new(), 0);
    for round in 0..rounds {
        let mut run = project.start(&["run", name, "--force", "--no-rotate"]);
        wait_for_session(&project, "overnight golden");
        while run.try_wait().unwrap().is_none() && moves < 3 * (round + 1) {
            std::thread::sleep(Duration::from_millis(rng.random_range(0..400)));
            let back = ["rollback", name, "--reason", "torture", "--again"];
            let forward = ["rotate", name, nights[1].as_str()];
            let told = match project.live() == nights[1] {
                true => project.overnight(&back),
                false => {
                    project.overnight(&["release", name]).code(0);
                    project.overnight(&forward)
                }
            };
            moves += 1;
            if told.code != 0 {
                bad.push(format!("round {round}: {told:?}"));
            }
        }
        let told = ended(run.wait_with_output().unwrap());
        if told.code != 0 {
            bad.push(format!("round {round}: {told:?}"));
        }
    }
    let lost = project.ledger("select count(*) from ledger.build where state = 'failed'");
    if lost != "0" {
        bad.push(format!("{lost} builds failed"));
    }
    check_invariants(&project);
    row.end(
        &format!("{lost} builds lost of {rounds}, {moves} moves"),
        &json!({"rounds": rounds, "moves": moves, "lost": lost, "bad": bad.len()}),
        &bad,
    );
}
