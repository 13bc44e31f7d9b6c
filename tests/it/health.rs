//! `status` and `url` say what is broken, and what they tell an operator to type works.

use crate::support::{Project, check_invariants};
use serde_json::Value;

fn night(project: &Project, rows: usize) -> String {
    project.items(rows, "night");
    project.run().code(0);
    project.live()
}

fn sql(project: &Project, sql: &str) {
    project.cluster().sql("postgres", sql).unwrap();
}

fn drop_database(project: &Project, name: &str) {
    sql(project, &format!("drop database \"{name}\" with (force)"));
}

/// What `status` says is broken, with the command to type.
#[track_caller]
fn broken(project: &Project, what: &str) -> String {
    let told = project.overnight(&["status", &project.name]).code(1).stdout;
    let first = told.lines().next().unwrap();
    assert_eq!(first, format!("{}: BROKEN: {what}", project.name), "{told}");
    let todo = told.lines().nth(1).unwrap();
    let todo = todo.strip_prefix("  do         ").unwrap().to_owned();

    let json = project.overnight(&["status", "--json"]).code(1).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["datasets"][0]["ok"], false);
    assert_eq!(json["datasets"][0]["faults"][0]["what"], what);

    project
        .overnight(&["url", &project.name])
        .code(1)
        .says(&[what, &todo]);
    todo
}

/// Types the command that a hint begins with.
#[track_caller]
fn follow(project: &Project, todo: &str) {
    let command = todo.split('`').nth(1).unwrap();
    let words: Vec<&str> = command
        .strip_prefix("overnight ")
        .unwrap_or_else(|| panic!("{todo}"))
        .split(' ')
        .map(|word| if word == "TEXT" { "because" } else { word })
        .collect();
    project.overnight(&words).code(0);
}

#[track_caller]
fn sound(project: &Project, live: &str) {
    let status: Value = project
        .overnight(&["status", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(status["ok"], true, "{status}");
    assert_eq!(status["datasets"][0]["live"], live);
    project.overnight(&["url", &project.name]).code(0);
    assert_eq!(project.live(), live);
    check_invariants(project);
}

#[test]
fn after_the_live_database_was_dropped_rollback_publishes_the_newest_earlier_build() {
    let project = Project::new("health_dropped");
    night(&project, 1);
    let second = night(&project, 2);
    let third = night(&project, 3);
    drop_database(&project, &project.name);
    let todo = broken(
        &project,
        &format!(
            "the ledger says that `{third}` is live, but the server has no database `health_dropped`"
        ),
    );
    assert!(
        todo.contains(&format!(
            "`overnight rollback health_dropped` publishes `{second}`"
        )),
        "{todo}"
    );
    follow(&project, &todo);
    sound(&project, &second);
    // The night that was lost is built again.
    project.overnight(&["release", &project.name]).code(0);
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "3");
    check_invariants(&project);
}

#[test]
fn without_an_earlier_build_the_hint_is_the_waiting_one_and_then_a_run() {
    let project = Project::new("health_alone");
    let first = night(&project, 1);
    project.items(2, "night");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let waiting = project.ledger("select name from ledger.build where state = 'verified'");
    drop_database(&project, &project.name);
    let gone = |live: &str| {
        format!(
            "the ledger says that `{live}` is live, but the server has no database `health_alone`"
        )
    };
    let todo = broken(&project, &gone(&first));
    follow(&project, &todo);
    sound(&project, &waiting);

    drop_database(&project, &project.name);
    let todo = broken(&project, &gone(&waiting));
    assert!(todo.starts_with("`overnight run health_alone`"), "{todo}");
    // A rollback finds nothing, says so, and its hint works too.
    project
        .overnight(&["rollback", &project.name])
        .code(1)
        .says(&[
            "no earlier build to go back to",
            "overnight builds health_alone",
        ]);
    let todo = broken(&project, "nothing is live: the last live build is gone");
    follow(&project, &todo);
    let live = project.live();
    assert!(live != first && live != waiting);
    sound(&project, &live);
}

#[test]
fn a_foreign_database_under_the_alias_and_a_closed_one_are_named() {
    let project = Project::new("health_other");
    let first = night(&project, 1);
    sql(
        &project,
        "alter database health_other with allow_connections false",
    );
    let todo = broken(
        &project,
        &format!("`{first}` is live, but its database `health_other` is closed to connections"),
    );
    follow(&project, &todo);
    sound(&project, &first);

    let second = night(&project, 2);
    sql(
        &project,
        &format!("alter database health_other rename to {second}"),
    );
    let todo = broken(
        &project,
        &format!(
            "the ledger says that `{second}` is live, but the database `health_other` is not there: it is called `{second}`"
        ),
    );
    follow(&project, &todo);
    sound(&project, &second);

    drop_database(&project, "health_other");
    sql(&project, "create database health_other");
    let todo = broken(
        &project,
        &format!(
            "the ledger says that `{second}` is live, but the database `health_other` is another one, which overnight did not make"
        ),
    );
    project.run().code(3).says(&[&todo, "nothing was changed"]);
    let mut steps = todo.split('`');
    sql(&project, steps.nth(1).unwrap());
    follow(&project, todo.split("then ").nth(1).unwrap());
    drop_database(&project, "health_other_other");
    sound(&project, &first);
}

#[test]
fn a_pointer_that_leads_elsewhere_is_written_again() {
    let mut project = Project::new("health_pointer");
    project.behind_pointer("");
    let first = night(&project, 1);
    let second = night(&project, 2);
    let lead = format!("update overnight.alias set database = '{first}'");
    project.cluster().sql(&project.control, &lead).unwrap();
    let todo = broken(
        &project,
        &format!("`{second}` is live, and the pointer leads to `{first}`"),
    );
    follow(&project, &todo);
    sound(&project, &second);

    drop_database(&project, &second);
    let todo = broken(
        &project,
        &format!("the ledger says that `{second}` is live, but its database is not on the server"),
    );
    follow(&project, &todo);
    sound(&project, &first);
}

#[test]
fn a_retired_build_that_still_exists_is_opened_by_a_rollback_to_it() {
    let project = Project::new("health_retired");
    let first = night(&project, 1);
    for rows in 2..=4 {
        night(&project, rows);
    }
    let state = |build: &str| {
        project.ledger(&format!(
            "select state from ledger.build where name = '{build}'"
        ))
    };
    assert_eq!(state(&first), "tombstone");
    project
        .overnight(&["rotate", &project.name, &first])
        .code(1)
        .says(&["is retired and closed"]);
    project
        .overnight(&["rollback", &project.name, "--to", &first])
        .code(0);
    sound(&project, &first);
    assert_eq!(state(&first), "published");
}

#[test]
fn a_rollback_by_mistake_can_be_undone_after_the_next_night() {
    let project = Project::new("health_mistake");
    night(&project, 1);
    let good = night(&project, 2);
    project.overnight(&["rollback", &project.name]).code(0);
    project.overnight(&["release", &project.name]).code(0);
    // The next night publishes and retires: keep = 2.
    night(&project, 3);
    project
        .overnight(&["rollback", &project.name, "--to", &good])
        .code(0);
    sound(&project, &good);
}

#[test]
fn a_dataset_that_the_project_lost_is_named_and_retired_in_two_steps() {
    let project = Project::new("health_old");
    night(&project, 1);
    let live = night(&project, 2);
    let builds = project.databases();
    let renamed = project.path("sources/health_new");
    std::fs::rename(project.path("sources/health_old"), renamed).unwrap();
    std::fs::rename(
        project.path("sql/health_old"),
        project.path("sql/health_new"),
    )
    .unwrap();

    let told = project.overnight(&["status"]).code(0).stdout;
    assert!(
        told.contains("health_old: is not a dataset of this project, and has 2 databases"),
        "{told}"
    );
    assert!(told.contains(&format!("`{live}` is live")), "{told}");
    let json = project.overnight(&["status", "--json"]).code(0).json();
    assert_eq!(json["not_in_project"][0]["dataset"], "health_old");
    assert!(json["not_in_project"][0]["bytes"].as_i64().unwrap() > 1 << 20);

    // Never silently.
    project.overnight(&["retire"]).code(0);
    project
        .overnight(&["retire", "health_old"])
        .code(2)
        .says(&["is not a dataset of this project", "--all --reason TEXT"]);
    project
        .overnight(&["retire", "health_old", "--all"])
        .code(2);
    assert_eq!(project.databases(), builds);
    assert_eq!(project.live(), live);

    let all = ["retire", "health_old", "--all", "--reason", "renamed"];
    let told = project.overnight(&all).code(0).stdout;
    assert!(
        told.contains(&format!("{live} is closed and will be dropped")),
        "{told}"
    );
    let open =
        "select count(*)::text from pg_database where datname like 'health_old%' and datallowconn";
    assert_eq!(project.cluster().one("postgres", open), "0");
    assert_eq!(project.databases().len(), 2);
    project
        .cluster()
        .sql(
            &project.control,
            "update ledger.build set tombstoned_at = clock_timestamp() - interval '2 days'",
        )
        .unwrap();
    project.overnight(&all).code(0);
    assert_eq!(project.databases(), Vec::<String>::new());
    let told = project.overnight(&["status"]).code(0).stdout;
    assert!(!told.contains("health_old"), "{told}");
}
