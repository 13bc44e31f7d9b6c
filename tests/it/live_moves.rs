//! The alias moves, or its build goes away, while a new build is compared with it: the run goes on.

use crate::support::cluster::ADMIN;
use crate::support::project::{Ended, TABLE, ended};
use crate::support::{Project, check_invariants};
use std::process::Child;
use std::time::{Duration, Instant};

/// A dataset whose golden query waits on a build with rows for as long as the gate is shut.
struct Compared(Project);

impl Compared {
    /// With two published nights, `0` and `1`.
    fn new(name: &str) -> (Compared, [String; 2]) {
        let project = Project::with_schema(
            name,
            &format!(
                "{TABLE}
                 create function held() returns integer language plpgsql as $$ begin
                     while exists (select from pg_catalog.pg_roles where rolname = '{name}_gate')
                     loop perform pg_catalog.pg_sleep(0.02); end loop;
                     return 1; end $$;"
            ),
            "table = \"item\"\nfiles = \"items*\"\n",
        );
        project.sql(
            "golden/010_held.sql",
            "-- overnight: runs = 1\nselect held() from item limit 1;\n",
        );
        let compared = Compared(project);
        let nights = [10, 11].map(|rows| {
            compared.0.items(rows, "night");
            compared.0.run().code(0);
            compared.0.live()
        });
        (compared, nights)
    }

    fn gate(&self, verb: &str) {
        let sql = format!("{verb} role {}_gate", self.0.name);
        self.0.cluster().sql("postgres", &sql).unwrap();
    }

    /// Starts a run and waits until it asks the build at the alias.
    fn start(&self, more: &[&str]) -> Child {
        self.gate("create");
        let run = self
            .0
            .start(&[&["run", self.0.name.as_str()], more].concat());
        self.asks_live();
        run
    }

    /// Waits until the golden query is being asked of the build at the alias.
    fn asks_live(&self) -> String {
        let sql = format!(
            "select pid from pg_stat_activity where datname = '{}' and state = 'active'
             and application_name = 'overnight golden'",
            self.0.name
        );
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let pid = self.0.cluster().one("postgres", &sql);
            if !pid.is_empty() {
                return pid;
            }
            let sessions = "select pid, datname, application_name, state, left(query, 100) from pg_stat_activity
                            where application_name like 'overnight%'";
            assert!(
                Instant::now() < end,
                "the live build is not asked: {:?}",
                self.0.cluster().sql("postgres", sessions)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&self, run: Child) -> Ended {
        self.gate("drop");
        ended(run.wait_with_output().unwrap())
    }

    fn newest(&self, what: &str) -> String {
        let sql = format!("select {what} from ledger.build order by id desc limit 1");
        self.0.ledger(&sql)
    }
}

impl Drop for Compared {
    fn drop(&mut self) {
        let sql = format!("drop role if exists {}_gate", self.0.name);
        drop(self.0.cluster().sql_as(ADMIN, "postgres", &sql));
    }
}

#[test]
fn a_run_that_compares_with_the_live_build_follows_it_through_rollback_and_rotation() {
    let (compared, nights) = Compared::new("live_rollback");
    let project = &compared.0;
    let name = project.name.as_str();
    project.items(12, "night");
    let run = compared.start(&[]);
    project
        .overnight(&["rollback", name, "--reason", "during the comparison"])
        .code(0);
    compared.asks_live();
    project.overnight(&["release", name]).code(0);
    project.overnight(&["rotate", name, &nights[1]]).code(0);
    compared.asks_live();
    project
        .overnight(&["rollback", name, "--reason", "once more", "--again"])
        .code(0);
    compared.asks_live();
    // What a rollback does not want moved stays; the new build waits.
    let ended = compared.end(run).code(1);
    assert!(
        ended.stderr.contains("is held by")
            && ended.stderr.contains("the live build changed while"),
        "{}",
        ended.stderr
    );
    assert_eq!(project.live(), nights[0]);
    assert_eq!(compared.newest("state"), "verified");
    let found = project.ledger(
        "select finding from ledger.finding where gate = 'compatibility' order by id desc limit 1",
    );
    assert_eq!(
        found,
        format!("nothing that services of `{}` use is gone", nights[0])
    );
    project.overnight(&["release", name]).code(0);
    project.overnight(&["rotate", name]).code(0);
    assert_eq!(project.service("select count(*) from item"), "12");
    check_invariants(project);
}

#[test]
fn a_session_that_is_ended_in_the_live_build_is_opened_again() {
    let (compared, _) = Compared::new("live_terminated");
    let project = &compared.0;
    project.items(12, "night");
    let run = compared.start(&[]);
    for _ in 0..3 {
        let pid = compared.asks_live();
        project
            .cluster()
            .sql(
                "postgres",
                &format!("select pg_terminate_backend({pid}, 5000)"),
            )
            .unwrap();
    }
    compared.asks_live();
    compared.end(run).code(0);
    assert_eq!(project.service("select count(*) from item"), "12");
    check_invariants(project);
}

#[test]
fn a_loaded_build_is_kept_when_the_live_one_is_gone_and_only_its_gates_are_asked_again() {
    let (compared, _) = Compared::new("live_dropped");
    let project = &compared.0;
    let name = project.name.as_str();
    project.items(12, "night");
    let run = compared.start(&[]);
    project
        .cluster()
        .sql("postgres", &format!("drop database {name} with (force)"))
        .unwrap();
    let ended = compared.end(run).code(3);
    ended.says(&[
        "its database is gone",
        "the build is kept with 1 of 1 tables",
    ]);
    assert_eq!(compared.newest("state"), "loading");
    let build = compared.newest("name");
    project
        .overnight(&[
            "reconcile",
            name,
            "--accept-catalog",
            "--reason",
            "dropped by hand",
        ])
        .code(0);
    let report = project
        .overnight(&["run", name, "--resume", "--json"])
        .code(0)
        .json();
    let report = &report["datasets"][0];
    assert_eq!(report["build"], build.as_str());
    assert_eq!(report["taken_over"]["kept"][0], "item");
    let stages: Vec<&str> = report["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect();
    assert!(
        stages.contains(&"verify") && !stages.contains(&"load") && !stages.contains(&"derive"),
        "{stages:?}"
    );
    assert_eq!(project.service("select count(*) from item"), "12");
}
