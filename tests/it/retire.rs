//! Old builds go in two steps, and nothing goes that is not surely ours.

use crate::support::cluster::ADMIN;
use crate::support::{Project, check_invariants};

fn night(project: &Project, rows: usize, prefix: &str) -> String {
    project.items(rows, prefix);
    project.run().code(0);
    project.live()
}

fn state(project: &Project, build: &str) -> String {
    project.ledger(&format!(
        "select state from ledger.build where name = '{build}'"
    ))
}

/// What `overnight retire --json` says, with this grace time.
fn retire(project: &Project, grace: &str) -> serde_json::Value {
    let flags = ["retire", &project.name, "--retire-after", grace, "--json"];
    let json = project.overnight(&flags).code(0).json();
    json["datasets"][0]["retired"].clone()
}

#[test]
fn old_builds_are_closed_first_and_dropped_after_the_grace_time() {
    let project = Project::new("retire_steps");
    let nights: Vec<String> = (1..=4)
        .map(|n| night(&project, 10 + n, &format!("night {n}")))
        .collect();
    // `keep = 2` in the project: the live one and the one before it.
    for old in &nights[..2] {
        assert_eq!(state(&project, old), "tombstone");
        assert!(project.databases().contains(old));
        let refused = project
            .cluster()
            .sql_as(ADMIN, old, "select 1")
            .unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "55000");
    }
    check_invariants(&project);
    let retired = retire(&project, "1h");
    assert_eq!(retired["dropped"], serde_json::json!([]));

    // A closed build is taken back by opening it.
    let reopened = format!("alter database {} allow_connections true", nights[1]);
    project.cluster().sql("postgres", &reopened).unwrap();
    let retired = retire(&project, "0s");
    assert_eq!(retired["dropped"], serde_json::json!([nights[0]]));
    assert!(
        retired["left"][0]
            .as_str()
            .unwrap()
            .contains("opened again")
    );
    assert_eq!(state(&project, &nights[0]), "dropped");
    assert!(!project.databases().contains(&nights[0]));
    assert_eq!(state(&project, &nights[1]), "published");
    check_invariants(&project);
    project
        .overnight(&["rollback", "retire_steps", "--to", &nights[1]])
        .code(0);
    assert_eq!(project.live(), nights[1]);
    // The live one is the oldest now; nothing of it goes.
    retire(&project, "0s");
    assert_eq!(project.live(), nights[1]);
    check_invariants(&project);
    project
        .overnight(&["rollback", "retire_steps", "--to", &nights[0]])
        .code(1)
        .says(&["was dropped"]);
}

#[test]
fn a_look_alike_and_a_build_whose_stamp_was_replaced_are_never_dropped() {
    let mut project = Project::new("retire_strangers");
    project.env = vec![("OVERNIGHT_RETIRE_AFTER".into(), "0s".into())];
    let cluster = project.cluster();
    let alike = "retire_strangers_20200101t000000z";
    cluster
        .sql(
            "postgres",
            &format!("create database {alike} owner overnight"),
        )
        .unwrap();
    cluster
        .sql(alike, "create table theirs as select 7 as x")
        .unwrap();

    let first = night(&project, 11, "one");
    cluster
        .sql(
            &project.name,
            "update overnight.build set nonce = 'of another tool'",
        )
        .unwrap();
    night(&project, 12, "two");
    night(&project, 13, "three");
    night(&project, 14, "four");
    assert_eq!(state(&project, &first), "tombstone");
    assert!(project.databases().contains(&first));
    let retired = retire(&project, "0s");
    assert_eq!(retired["dropped"], serde_json::json!([]));
    let left = retired["left"].to_string();
    assert!(left.contains(&first) && left.contains("stamp"), "{left}");
    assert_eq!(cluster.one(alike, "select x from theirs"), "7");

    // Nor what another role owns, or what was renamed.
    cluster
        .sql("postgres", "create role retire_strangers_other")
        .unwrap();
    let fifth = night(&project, 15, "five");
    let other = project.ledger(
        "select b.name from ledger.dataset d join ledger.build b on b.id = d.previous_build",
    );
    cluster
        .sql(
            "postgres",
            &format!("alter database {other} owner to retire_strangers_other"),
        )
        .unwrap();
    night(&project, 16, "six");
    night(&project, 17, "seven");
    assert!(project.databases().contains(&other));
    assert_eq!(state(&project, &other), "published");
    assert_ne!(fifth, other);
    cluster
        .sql(
            "postgres",
            &format!("alter database {other} owner to overnight; drop role retire_strangers_other"),
        )
        .unwrap();
    cluster
        .sql("postgres", &format!("drop database {alike}"))
        .unwrap();
}

#[test]
fn a_closed_build_that_somebody_still_reads_stays_and_is_reported() {
    let mut project = Project::new("retire_in_use");
    project.env = vec![("OVERNIGHT_RETIRE_AFTER".into(), "0s".into())];
    let first = night(&project, 11, "one");
    night(&project, 12, "two");
    let cluster = project.cluster();
    let reading = cluster
        .block_on(cluster.client(&project.reader, &first))
        .unwrap();
    night(&project, 13, "three");
    assert_eq!(state(&project, &first), "tombstone");
    let retired = retire(&project, "0s");
    let left = retired["left"].to_string();
    assert!(
        left.contains(&first) && left.contains("connected"),
        "{left}"
    );
    // Whoever reads is not disturbed.
    cluster
        .block_on(reading.batch_execute("select count(*) from item"))
        .unwrap();
    drop(reading);
    let retired = retire(&project, "0s");
    assert_eq!(retired["dropped"], serde_json::json!([first]));
    check_invariants(&project);
}

#[test]
fn a_drop_that_was_cut_short_is_finished_and_a_drop_by_hand_is_recorded() {
    let project = Project::new("retire_half");
    let nights: Vec<String> = (1..=3)
        .map(|n| night(&project, 10 + n, &format!("night {n}")))
        .collect();
    let cluster = project.cluster();
    // As PostgreSQL leaves a database whose DROP was interrupted.
    cluster
        .sql(
            "postgres",
            &format!(
                "update pg_database set datconnlimit = -2 where datname = '{}'",
                nights[0]
            ),
        )
        .unwrap();
    // The grace time protects what could still be used, and this cannot.
    let retired = retire(&project, "1d");
    assert_eq!(retired["dropped"], serde_json::json!([nights[0]]));
    assert_eq!(state(&project, &nights[0]), "dropped");
    check_invariants(&project);

    // Somebody drops the build before the live one by hand.
    cluster
        .sql("postgres", &format!("drop database {}", nights[1]))
        .unwrap();
    night(&project, 14, "night 4");
    assert_eq!(state(&project, &nights[1]), "dropped");
    check_invariants(&project);
    cluster
        .sql("postgres", &format!("drop database {}", nights[2]))
        .unwrap();
    project.run().code(0);
    check_invariants(&project);
    project
        .overnight(&["rollback", "retire_half"])
        .code(1)
        .says(&["no earlier build"]);
}

#[test]
fn failed_nights_do_not_push_good_builds_out() {
    let mut project = Project::new("retire_failures");
    project.env = vec![("OVERNIGHT_RETIRE_AFTER".into(), "0s".into())];
    let first = night(&project, 11, "one");
    let second = night(&project, 12, "two");
    for bad in 0..3 {
        project.input(
            "items.csv",
            format!("id,name,price,seen\nx{bad},bad,1,2026-01-01\n"),
        );
        project.run().code(1);
    }
    retire(&project, "0s");
    assert_eq!(project.live(), second);
    assert!(project.databases().contains(&first));
    assert_eq!(project.databases().len(), 2);
    check_invariants(&project);
}
