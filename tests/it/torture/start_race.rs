//! Cron fires twice, and a human at the same time.

use super::{Row, percentile, seconds};
use crate::support::invariants::sessions_end;
use crate::support::project::{Ended, ended};
use crate::support::{Project, check_invariants};
use serde_json::json;
use std::time::{Duration, Instant};

/// Within this time whoever does not run has said so and left.
const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn of_several_started_at_once_exactly_one_runs_and_the_others_leave_at_once() {
    let row = Row::begin(
        "start_race",
        "2 to 8 runs started at once: exactly one runs, the others exit 75 within 2 s",
        ["30 of 30", "500 of 500"],
    );
    let rounds = row.pick(30, 500);
    let project = Project::slow("start_race");
    project.items(30, "slow");
    let (mut bad, mut times) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let racing = 2 + round % 7;
        let mut all = race(&project, racing);
        all.sort_by_key(|(ended, _)| ended.code);
        let codes: Vec<i32> = all.iter().map(|(ended, _)| ended.code).collect();
        let one_ran = codes[0] == 0 && codes[1..].iter().all(|code| *code == 75);
        if !one_ran {
            bad.push(format!("round {round}: {codes:?}: {all:?}"));
        }
        times.extend(all[1..].iter().map(|(_, time)| *time));
        let late = all[1..].iter().map(|(_, time)| *time).max();
        if late.is_some_and(|time| time > LIMIT) {
            bad.push(format!("round {round} of {racing}: left after {late:?}"));
        }
        if !sessions_end(&project) {
            bad.push(format!("round {round}: sessions are left"));
        }
    }
    let builds = project.ledger("select count(*) from ledger.build where published_at is not null");
    if builds != rounds.to_string() {
        bad.push(format!("{builds} builds were published"));
    }
    check_invariants(&project);
    let slowest = percentile(&times, 1.0);
    row.end(
        &format!(
            "{} of {rounds}, the others left within {}",
            rounds - bad.len().min(rounds),
            seconds(slowest)
        ),
        &json!({"rounds": rounds, "bad": bad.len(), "left_within_s": slowest.as_secs_f64()}),
        &bad,
    );
}

/// So many runs at once: how each ended, and after how long.
fn race(project: &Project, racing: usize) -> Vec<(Ended, Duration)> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..racing)
            .map(|_| {
                let began = Instant::now();
                let child = project.start(&["run", &project.name, "--force"]);
                scope.spawn(move || {
                    let ended = ended(child.wait_with_output().unwrap());
                    (ended, began.elapsed())
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}
