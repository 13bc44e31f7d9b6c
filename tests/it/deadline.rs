//! A run that must be done by a time: nothing moves after it, and what was loaded is not lost.

use crate::support::cluster::{ADMIN, LOADER};
use crate::support::invariants::wait_for_session;
use crate::support::project::ended;
use crate::support::{Project, check_invariants};
use std::time::{Duration, Instant};

/// Two tables; rows called `held` are not loaded while the gate is shut.
struct Held(Project);

impl Held {
    fn new(name: &str) -> Held {
        let project = Project::with_schema(
            name,
            &format!(
                "create table item (id integer primary key, name text not null);
                 create table small (id integer primary key, name text not null);
                 create function held_row() returns trigger language plpgsql as $$ begin
                     while new.name = 'held' and exists (select from pg_catalog.pg_roles where rolname = '{name}_gate')
                     loop perform pg_catalog.pg_sleep(0.02); end loop;
                     return new; end $$;
                 create trigger held_row before insert on small for each row execute function held_row();"
            ),
            "table = \"item\"\nfiles = \"items*\"\n",
        );
        project.source("small", "table = \"small\"\nfiles = \"small*\"\n");
        project.input("items.csv", "id,name\n1,one\n2,two\n3,three\n");
        project.input("small.csv", "id,name\n1,held\n");
        let held = Held(project);
        held.gate("create role", "");
        held
    }

    fn gate(&self, verb: &str, more: &str) {
        let sql = format!("{verb} {}_gate {more}", self.0.name);
        self.0.cluster().sql("postgres", &sql).unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let sql = format!("drop role if exists {}_gate", self.0.name);
        drop(self.0.cluster().sql_as(ADMIN, "postgres", &sql));
    }
}

const LAST: &str = "select state from ledger.build order by id desc limit 1";

#[test]
fn a_load_that_is_not_done_by_the_deadline_stops_and_the_next_run_goes_on_with_it() {
    let held = Held::new("deadline_load");
    let project = &held.0;
    let began = Instant::now();
    let ended = project
        .overnight(&["run", &project.name, "--deadline", "8s"])
        .code(1);
    ended.says(&[
        "the deadline, ",
        "passed during the stage `load`",
        "the build is kept with 1 of 2 tables",
    ]);
    assert!(began.elapsed() >= Duration::from_secs(8));
    assert_eq!(project.ledger(LAST), "loading");
    assert!(
        !project.databases().contains(&project.name),
        "nothing is published"
    );
    check_invariants(project);
    held.gate("drop role", "");
    let report = project.overnight(&[
        "run",
        &project.name,
        "--resume",
        "--deadline",
        "1h",
        "--json",
    ]);
    let report = report.code(0).json();
    assert_eq!(report["datasets"][0]["taken_over"]["kept"][0], "item");
    assert_eq!(project.service("select count(*) from small"), "1");
    check_invariants(project);
}

#[test]
fn a_build_that_is_verified_after_the_deadline_waits_and_is_not_published() {
    let held = Held::new("deadline_move");
    let project = &held.0;
    let cluster = project.cluster();
    let deadline = Instant::now() + Duration::from_secs(10);
    let run = project.start(&["run", &project.name, "--deadline", "10s"]);
    wait_for_session(project, "overnight load small");
    // Somebody else moves the alias meanwhile.
    let mover = cluster
        .block_on(cluster.client(LOADER, &project.control))
        .unwrap();
    let lock = format!(
        "begin; lock table ledger_lock.\"{} move\" in share update exclusive mode",
        project.name
    );
    cluster.block_on(mover.batch_execute(&lock)).unwrap();
    held.gate("drop role", "");
    while project.ledger(LAST) != "verified" {
        assert!(Instant::now() < deadline, "not verified by the deadline");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(
        deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(500),
    );
    drop(mover);
    let ended = ended(run.wait_with_output().unwrap()).code(1);
    ended.says(&["passed before the alias was moved", "is verified and waits"]);
    assert!(!project.databases().contains(&project.name));
    assert_eq!(project.ledger(LAST), "verified");
    check_invariants(project);
    let report = project
        .overnight(&["run", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(report["datasets"][0]["resumed"], true);
    check_invariants(project);
}

#[test]
fn a_run_that_begins_too_late_or_with_a_time_that_is_none_begins_nothing() {
    let project = Project::new("deadline_late");
    project.items(10, "one");
    let run = |deadline: &str| project.overnight(&["run", &project.name, "--deadline", deadline]);
    run("2001-01-01T00:00:00Z").code(1).says(&[
        "the deadline, 2001-01-01 00:00:00 +00:00, passed before the run began",
        "nothing was begun",
    ]);
    run("soon")
        .code(2)
        .says(&["--deadline soon is not a time", "06:30"]);
    let databases = project.databases();
    assert!(databases.is_empty(), "{databases:?}");
}

#[test]
fn a_run_that_took_longer_the_night_before_says_at_once_that_it_will_be_late() {
    let project = Project::new("deadline_early");
    project.items(10, "one");
    let run = || {
        project
            .overnight(&["run", &project.name, "--force", "--deadline", "1h"])
            .code(0)
    };
    let quiet = run();
    assert!(!quiet.stderr.contains("missed"), "{}", quiet.stderr);
    project
        .cluster()
        .sql(&project.control, "update ledger.build set seconds = 7500")
        .unwrap();
    run().says(&[
        "tonight's build takes about 2 h 05 min",
        "it will probably be missed",
    ]);
    check_invariants(&project);
}
