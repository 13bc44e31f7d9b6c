//! The ledger is gone, or is that of an earlier day: it is rebuilt from the stamps, and services notice
//! nothing.

use crate::support::cluster::LOADER;
use crate::support::invariants::wait_for_session;
use crate::support::{Project, check_invariants};

fn night(project: &Project, rows: usize) -> String {
    project.items(rows, "night");
    project.run().code(0);
    project.live()
}

fn lose_the_ledger(project: &Project) {
    let drop = format!("drop database {} with (force)", project.control);
    project.cluster().sql("postgres", &drop).unwrap();
}

fn builds(project: &Project) -> String {
    project.ledger(
        "select string_agg(name || ' ' || state || ' ' || coalesce(rows_loaded, -1), E'\n' order by name)
         from ledger.build where state not in ('dropped', 'failed')",
    )
}

const ADOPT: [&str; 4] = ["reconcile", "--adopt", "--reason", "the ledger is gone"];

/// The chapter "The ledger is gone" of the operator's guide, step by step.
#[test]
fn a_ledger_that_is_gone_is_rebuilt_from_the_stamps() {
    let project = Project::new("adopt_lost");
    for rows in 1..=4 {
        night(&project, rows);
    }
    let live = project.live();
    project.items(5, "night");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    // Two are retired, two published, and one waits.
    let before = builds(&project);
    assert_eq!(before.lines().count(), 5, "{before}");
    let databases = project.databases();

    lose_the_ledger(&project);
    let status = project.overnight(&["status"]).code(1).stdout;
    assert!(
        status.starts_with("BROKEN: the ledger `control_adopt_lost` is not on the server"),
        "{status}"
    );
    assert!(
        status.contains("`overnight reconcile --adopt --reason TEXT`"),
        "{status}"
    );
    let json = project.overnight(&["status", "--json"]).code(1).json();
    assert_eq!(json["ok"], false);
    project
        .overnight(&["url", &project.name])
        .code(1)
        .says(&["reconcile --adopt"]);
    // A run before the adoption changes nothing and says the same.
    let refused = project.run().code(1);
    refused.says(&[
        &format!("carries the stamp of `{live}`"),
        "reconcile --adopt",
    ]);
    let doctor = project.overnight(&["doctor"]);
    assert!(!doctor.stdout.contains("drop it"), "{}", doctor.stdout);

    let told = project.overnight(&ADOPT).code(0).stdout;
    assert!(
        told.starts_with(&format!("adopt_lost: `{live}` is live\n")),
        "{told}"
    );
    assert_eq!(project.live(), live);
    assert_eq!(project.databases(), databases);
    assert_eq!(builds(&project), before);
    check_invariants(&project);
    let event = project.ledger("select detail from ledger.event where kind = 'adopted'");
    assert_eq!(event, "5 builds (the ledger is gone)");
    // A second adoption finds nothing to do.
    let again = project.overnight(&ADOPT).code(0).stdout;
    assert!(
        again.contains("the ledger had every build already"),
        "{again}"
    );
    assert_eq!(builds(&project), before);

    // Everything works again.
    project.overnight(&["status"]).code(0);
    project.overnight(&["rotate", &project.name]).code(0);
    assert_eq!(project.service("select count(*) from item"), "5");
    project.overnight(&["rollback", &project.name]).code(0);
    assert_eq!(project.live(), live);
    project.overnight(&["release", &project.name]).code(0);
    night(&project, 6);
    check_invariants(&project);
    project.overnight(&["audit", "--verify"]).code(0);
}

fn back_the_ledger_up(project: &Project) {
    let control = &project.control;
    let copy = format!("create database {control}_backup template {control} owner {LOADER}");
    project.cluster().sql("postgres", &copy).unwrap();
}

fn restore_the_ledger(project: &Project) {
    let control = &project.control;
    for sql in [
        format!("alter database {control}_backup rename to {control}"),
        format!("revoke all on database {control} from public"),
    ] {
        project.cluster().sql("postgres", &sql).unwrap();
    }
}

#[test]
fn a_ledger_from_an_older_backup_is_brought_up_to_what_the_server_has() {
    let project = Project::new("adopt_backup");
    night(&project, 1);
    night(&project, 2);
    back_the_ledger_up(&project);
    let third = night(&project, 3);
    let fourth = night(&project, 4);
    let before = builds(&project);
    lose_the_ledger(&project);
    restore_the_ledger(&project);

    let status = project.overnight(&["status", &project.name]).code(1).stdout;
    assert!(
        status.contains(&format!("carries the stamp of `{fourth}`")),
        "{status}"
    );
    assert!(
        status.contains("`overnight reconcile --adopt --reason TEXT`"),
        "{status}"
    );
    for command in ["run", "rollback"] {
        project
            .overnight(&[command, &project.name])
            .code(3)
            .says(&["reconcile --adopt"]);
    }
    project.overnight(&ADOPT).code(0);
    assert_eq!(project.live(), fourth);
    assert_eq!(builds(&project), before);
    check_invariants(&project);
    project.overnight(&["status"]).code(0);
    project.overnight(&["rollback", &project.name]).code(0);
    assert_eq!(project.live(), third);
    check_invariants(&project);
}

#[test]
fn a_pooler_is_not_led_back_by_a_ledger_that_is_older_than_the_server() {
    let mut project = Project::new("adopt_pooler_backup");
    project.behind_poolers(&["transaction"], "");
    night(&project, 1);
    back_the_ledger_up(&project);
    let second = night(&project, 2);
    lose_the_ledger(&project);
    restore_the_ledger(&project);
    let status = project.overnight(&["status", &project.name]).code(1).stdout;
    assert!(
        status.contains(&format!("leads to `{second}`"))
            && status.contains("`overnight reconcile --adopt --reason TEXT`"),
        "{status}"
    );
    for command in ["run", "reconcile"] {
        project.overnight(&[command, &project.name]).code(3).says(&[
            &format!("to `{second}`, a build that the ledger does not know"),
            "reconcile --adopt",
        ]);
        assert_eq!(project.live(), second);
    }
    project.overnight(&ADOPT).code(0);
    assert_eq!(project.live(), second);
    project.overnight(&["status"]).code(0);
    check_invariants(&project);
}

#[test]
fn a_build_that_was_rolled_back_stays_so_and_the_alias_is_held() {
    let project = Project::new("adopt_held");
    let first = night(&project, 1);
    let second = night(&project, 2);
    project.overnight(&["rollback", &project.name]).code(0);
    lose_the_ledger(&project);
    let told = project.overnight(&ADOPT).code(0).stdout;
    assert!(told.contains("HELD"), "{told}");
    assert_eq!(project.live(), first);
    let rolled_back = "select name from ledger.build where rolled_back_at is not null";
    assert_eq!(project.ledger(rolled_back), second);
    // The next night does not undo the rollback.
    project.items(3, "night");
    project.run().code(1).says(&["is held"]);
    assert_eq!(project.live(), first);
    check_invariants(&project);
}

#[test]
fn an_unverified_build_is_adopted_as_unfinished_and_never_at_the_alias() {
    let project = Project::slow("adopt_unverified");
    let first = night(&project, 1);
    project.items(100_000, "slow");
    let mut loading = project.start(&["run", &project.name]);
    wait_for_session(&project, "overnight load %");
    loading.kill().unwrap();
    loading.wait().unwrap();
    let unfinished = project.ledger("select name from ledger.build where state = 'loading'");
    lose_the_ledger(&project);
    project.overnight(&ADOPT).code(0);
    assert_eq!(
        project.ledger("select name || ' ' || state from ledger.build where verified_at is null"),
        format!("{unfinished} loading")
    );
    night(&project, 2);
    check_invariants(&project);

    // Under the alias's name it is not taken for the live build.
    lose_the_ledger(&project);
    project
        .cluster()
        .sql(
            &project.name,
            "update overnight.build set verified_at = null",
        )
        .unwrap();
    let told = project.overnight(&ADOPT).code(0).stdout;
    assert!(
        told.starts_with("adopt_unverified: nothing is live\n"),
        "{told}"
    );
    assert!(told.contains("was never verified"), "{told}");
    assert_eq!(
        project
            .ledger("select string_agg(name, ' ') from ledger.build where verified_at is not null"),
        first
    );
}

#[test]
fn with_the_pointer_an_adoption_takes_the_only_open_build_or_asks() {
    let mut project = Project::new("adopt_pointer");
    project.behind_pointer("");
    let first = night(&project, 1);
    lose_the_ledger(&project);
    project.overnight(&ADOPT).code(0);
    assert_eq!(project.live(), first);
    check_invariants(&project);

    let second = night(&project, 2);
    lose_the_ledger(&project);
    let told = project.overnight(&ADOPT).code(1).stdout;
    assert!(
        told.contains("it is not known which build is live"),
        "{told}"
    );
    project
        .overnight(&["rotate", &project.name, &second])
        .code(0);
    assert_eq!(project.live(), second);
    check_invariants(&project);
}

#[test]
fn with_a_pooler_an_adoption_takes_the_build_that_the_pooler_leads_to() {
    let mut project = Project::new("adopt_pooler");
    project.behind_poolers(&["transaction"], "");
    let first = night(&project, 1);
    let second = night(&project, 2);
    project.overnight(&["rollback", &project.name]).code(0);
    lose_the_ledger(&project);
    let told = project.overnight(&ADOPT).code(0).stdout;
    assert!(
        told.starts_with(&format!("adopt_pooler: `{first}` is live\n")),
        "{told}"
    );
    assert_eq!(project.live(), first);
    check_invariants(&project);
    project
        .overnight(&["rollback", &project.name, "--to", &second])
        .code(0);
    assert_eq!(project.live(), second);
    check_invariants(&project);
}
