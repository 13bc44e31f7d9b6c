//! One run at a time for each dataset, whoever starts it.

use crate::support::invariants::{sessions_end, wait_for_session};
use crate::support::project::ended;
use crate::support::{Project, check_invariants};
use std::time::{Duration, Instant};

#[test]
fn a_second_run_leaves_at_once_and_names_the_first() {
    let project = Project::slow("locks_second");
    project.items(150, "slow");
    let first = project.start(&["run", "locks_second"]);
    wait_for_session(&project, "overnight load %");
    for command in ["run", "plan"] {
        let began = Instant::now();
        project
            .overnight(&[command, "locks_second"])
            .code(75)
            .says(&[
                "`locks_second` is locked by `overnight run locks_second`",
                "server process",
                "nothing was changed",
            ]);
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
    // Another dataset of the same server and ledger is free.
    let mut other = Project::new("locks_other");
    other.control = project.control.clone();
    other.items(10, "item");
    let began = Instant::now();
    other.run().code(0);
    println!("another dataset ran beside it in {:?}", began.elapsed());
    assert_eq!(other.service("select count(*) from item"), "10");

    ended(first.wait_with_output().unwrap()).code(0);
    assert_eq!(project.service("select count(*) from item"), "150");
    check_invariants(&project);
    // The control database is the first project's to drop.
    other.control = "locks_other_has_none".into();
}

#[test]
fn of_four_started_at_once_exactly_one_runs() {
    for round in 0..3 {
        // Also the control database does not exist yet.
        let project = Project::slow(&format!("locks_race_{round}x"));
        project.items(100, "slow");
        let began = Instant::now();
        let racing: Vec<_> = (0..4)
            .map(|_| project.start(&["run", &project.name]))
            .collect();
        let mut all: Vec<_> = racing
            .into_iter()
            .map(|child| ended(child.wait_with_output().unwrap()))
            .collect();
        all.sort_by_key(|ended| ended.code);
        let codes: Vec<i32> = all.iter().map(|ended| ended.code).collect();
        assert_eq!(
            codes,
            [0, 75, 75, 75],
            "after {:?}: {all:#?}",
            began.elapsed()
        );
        for busy in &all[1..] {
            assert!(busy.stderr.contains("is locked by"), "{}", busy.stderr);
        }
        assert_eq!(project.ledger("select count(*) from ledger.build"), "1");
        assert_eq!(project.service("select count(*) from item"), "100");
        check_invariants(&project);
    }
}

#[test]
fn a_run_that_has_lost_its_lock_does_not_publish() {
    let project = Project::slow("locks_lost");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    project.items(100, "slow");
    let running = project.start(&["run", "locks_lost"]);
    wait_for_session(&project, "overnight load %");
    project
        .cluster()
        .sql(
            "postgres",
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'control_locks_lost'",
        )
        .unwrap();
    ended(running.wait_with_output().unwrap())
        .code(3)
        .says(&["connection"]);
    assert_eq!(project.live(), old);
    assert!(sessions_end(&project));
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "100");
    check_invariants(&project);
}

#[test]
fn the_next_run_takes_over_from_one_that_lost_its_lock_and_still_works() {
    let project = Project::slow("locks_taken");
    project.items(10, "one");
    project.run().code(0);
    project.items(300, "slow");
    let running = project.start(&["run", "locks_taken"]);
    wait_for_session(&project, "overnight load %");
    project
        .cluster()
        .sql(
            "postgres",
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'control_locks_taken'",
        )
        .unwrap();
    // The first one is still loading: its half-built database is taken from it.
    project.items(12, "two");
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "12");
    let lost = ended(running.wait_with_output().unwrap());
    assert_eq!(lost.code, 3, "{}", lost.stderr);
    assert_eq!(project.service("select count(*) from item"), "12");
    check_invariants(&project);
}
