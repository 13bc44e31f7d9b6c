//! A build that gates have refused: kept for inspection, and published by an operator who accepts the gates.

use crate::support::cluster::LOADER;
use crate::support::{Project, check_invariants};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

const CHECK: &str = "select id, name from item where name like 'bad%';\n";

/// A published night, and then one that a check refuses. Gives the refused build.
fn refused(project: &Project) -> String {
    project.sql("checks/010_names.sql", CHECK);
    project.items(10, "good");
    project.run().code(0);
    project.items(11, "bad");
    refuse(project, "check 010_names.sql: 11 offending rows")
}

/// Runs a night that is refused with these words, and gives its build.
#[track_caller]
fn refuse(project: &Project, words: &str) -> String {
    project.refuses(1, &[words]);
    let refused = project.refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    check_invariants(project);
    refused.into_iter().next().unwrap()
}

fn oid(project: &Project, database: &str) -> String {
    let sql = format!("select oid from pg_database where datname = '{database}'");
    project.cluster().one("postgres", &sql)
}

fn is_open(project: &Project, build: &str) -> bool {
    let sql = format!("select datallowconn from pg_database where datname = '{build}'");
    project.cluster().one("postgres", &sql) == "t"
}

fn psql(project: &Project) -> String {
    let programs = project.cluster().embedded.programs().unwrap();
    programs.join("psql").display().to_string()
}

fn set_key(project: &Project, line: &str) {
    let path = format!("sources/{}/dataset.toml", project.name);
    let toml = std::fs::read_to_string(project.path(&path)).unwrap();
    project.write(&path, &format!("{line}\n{toml}"));
}

#[test]
fn a_refused_build_is_kept_closed_and_published_with_a_reason_without_loading_again() {
    let project = Project::new("refused_accept");
    let build = refused(&project);
    let name = &project.name;
    let before = oid(&project, &build);
    assert_eq!(project.service("select count(*) from item"), "10");
    let seen = project.overnight(&["status", name]).code(0).stdout;
    assert!(
        seen.contains(&format!("refused    `{build}` is kept, closed, for 23 h")),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("overnight inspect {name} {build}")),
        "{seen}"
    );
    let listed = project.overnight(&["builds", name]).code(0).stdout;
    assert!(listed.contains("refused"), "{listed}");

    // Nothing is published without a word for every gate that did not pass.
    let said = format!("`{build}` was refused: check 010_names.sql: 11 offending rows");
    let command = format!(
        "hint: `overnight rotate {name} {build} --accept 'check 010_names.sql' --reason TEXT`"
    );
    project.refuses_to(&["rotate", name, &build], 1, &[&said, &command]);
    project.refuses_to(
        &["rotate", name],
        1,
        &[&format!("gates have refused `{build}`")],
    );
    project.refuses_to(
        &[
            "rotate",
            name,
            &build,
            "--accept",
            "rows of item",
            "--reason",
            "x",
        ],
        1,
        &[&said],
    );
    project.refuses_to(
        &["rollback", name, "--to", &build],
        1,
        &["was refused by gates: services get verified builds only"],
    );
    check_invariants(&project);

    let accept = [
        "rotate",
        name,
        &build,
        "--accept",
        "check 010_names.sql",
        "--reason",
        "new names",
    ];
    project.overnight(&accept).code(0);
    assert_eq!(project.live(), build);
    assert_eq!(oid(&project, name), before);
    assert_eq!(project.service("select count(*) from item"), "11");
    // The rows are those of the one load.
    assert_eq!(
        project.service("select count(distinct xmin::text) from item"),
        "1"
    );
    let audit = project.ledger(&format!(
        "select string_agg(kind, ' ' order by id) from ledger.event where build = (select id from ledger.build where name = '{build}')"
    ));
    assert_eq!(audit, "refused accepted verified rotate");
    let why = project.ledger("select detail from ledger.event where kind = 'accepted'");
    assert_eq!(why, "check 010_names.sql: 11 offending rows (new names)");
    let verified = "select verified_at is not null from overnight.build";
    assert_eq!(project.service(verified), "t");
    // A service's session is not read only by a setting that was meant for a look.
    assert_eq!(project.service("show default_transaction_read_only"), "off");
    check_invariants(&project);
}

#[test]
fn the_rows_of_a_refused_build_can_be_looked_at_and_not_changed() {
    let mut project = Project::new("refused_look");
    let build = refused(&project);
    let name = project.name.clone();
    project
        .env
        .push(("OVERNIGHT_TEST_VALUE".into(), "of the operator".into()));
    let psql = psql(&project);
    let look = |sql: &str| project.overnight(&["inspect", &name, "--", &psql, "-XAtc", sql]);
    let seen =
        look("select count(*), current_user, current_database() from item where name like 'bad%'");
    assert_eq!(seen.code(0).stdout.trim(), format!("11|{LOADER}|{build}"));
    check_invariants(&project);
    look("delete from item")
        .code(1)
        .says(&["read-only transaction"]);
    check_invariants(&project);
    // The gates can be asked again, with rows that they show, and the build compared.
    project.sql(
        "checks/010_names.sql",
        &format!("-- overnight: show = [\"id\"]\n{CHECK}"),
    );
    let again = project.overnight(&["verify", &name, &build]).code(1);
    assert!(
        again.stdout.contains("11 offending rows"),
        "{}",
        again.stdout
    );
    project
        .overnight(&["diff", &name, &project.live(), &build])
        .code(0);
    check_invariants(&project);

    // What cannot be started leaves the build closed.
    project
        .overnight(&["inspect", &name, "--", "/nowhere/psql"])
        .code(3)
        .says(&["start `/nowhere/psql`"]);
    check_invariants(&project);
    project
        .overnight(&["inspect", &name, &project.live()])
        .code(1)
        .says(&[
            "is published",
            "hint: inspect opens builds that gates have refused",
        ]);

    // A look that is stopped closes it; one that is killed leaves that to the next run.
    for (signal, closed) in [
        (rustix::process::Signal::TERM, true),
        (rustix::process::Signal::KILL, false),
    ] {
        let mut child = project.start(&["inspect", &name, "--", "sleep", "60"]);
        let end = Instant::now() + Duration::from_secs(20);
        while !is_open(&project, &build) {
            assert!(Instant::now() < end, "the build was not opened");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The shell must be there before it can be ended.
        std::thread::sleep(Duration::from_millis(300));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal().is_none(), closed, "{ended}");
        assert_eq!(is_open(&project, &build), !closed);
    }
    project.items(12, "good");
    project
        .run()
        .code(0)
        .says(&[&format!("`{build}` was left open and was closed")]);
    assert!(!is_open(&project, &build));
    check_invariants(&project);
}

#[test]
fn the_next_run_of_the_same_inputs_asks_the_gates_alone() {
    let project = Project::new("refused_again");
    let build = refused(&project);
    let before = oid(&project, &build);
    // Nothing was changed: the same build is refused again.
    let again = refuse(&project, "check 010_names.sql: 11 offending rows");
    assert_eq!(
        (again.as_str(), oid(&project, &again)),
        (build.as_str(), before)
    );
    let name = &project.name;
    project
        .overnight(&[
            "run",
            name,
            "--accept",
            "check 010_names.sql",
            "--reason",
            "known",
        ])
        .code(0);
    assert_eq!(project.live(), build);
    assert_eq!(
        project.service("select count(distinct xmin::text) from item"),
        "1"
    );
    check_invariants(&project);

    // A check that was wrong and is corrected costs no load either.
    project.items(12, "bad");
    let second = refuse(&project, "12 offending rows");
    project.sql("checks/010_names.sql", &CHECK.replace("bad", "worse"));
    project.run().code(0);
    assert_eq!(project.live(), second);
    project.sql("checks/010_names.sql", CHECK);

    // With --fresh, and with other inputs, the night is built anew.
    project.items(13, "bad");
    let third = refuse(&project, "13 offending rows");
    project.overnight(&["run", name, "--fresh"]).code(1);
    let fourth = project.refused();
    assert_eq!(fourth.len(), 1);
    assert_ne!(fourth[0], third);
    project.items(14, "good");
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "14");
    // It was no measure, and it is still there.
    assert_eq!(project.refused(), fourth);
    check_invariants(&project);
}

#[test]
fn gates_are_asked_again_when_another_build_is_live_since() {
    let project = Project::new("refused_beside");
    let source = "table = \"item\"\nfiles = \"items*\"\n[expect]\nrows = { change = \"20%\" }\nprofile = \"warn\"\n";
    project.source("item", source);
    project.items(100, "a");
    project.run().code(0);
    project.items(150, "a");
    let build = refuse(&project, "change of item: 150 rows, 100 in");
    // The next night is right, and the refused one is as unlike it.
    project.items(101, "a");
    project.run().code(0);
    let live = project.live();
    let name = &project.name;
    let ended = project.overnight(&[
        "rotate",
        name,
        &build,
        "--accept",
        "change of item",
        "--reason",
        "new plans",
    ]);
    ended
        .code(0)
        .says(&["another build is live since: every gate is asked again"]);
    let finding = project.ledger(
        "select finding from ledger.finding where gate = 'change of item' and verdict = 'accepted'",
    );
    // The build is compared with the one before it, as it was when it was refused.
    assert!(finding.starts_with("150 rows, 100 in"), "{finding}");
    assert_ne!(project.live(), live);
    assert_eq!(project.live(), build);
    check_invariants(&project);
}

#[test]
fn the_newest_refused_build_stays_for_its_time_and_makes_room() {
    let mut project = Project::new("refused_keep");
    let first = refused(&project);
    project.items(12, "bad");
    let second = refuse(&project, "12 offending rows");
    assert_eq!(oid(&project, &first), "");
    let old =
        "update ledger.build set refused_at = now() - interval '25 hours' where state = 'refused'";
    project.cluster().sql(&project.control, old).unwrap();
    let name = project.name.clone();
    project
        .overnight(&["--refused-keep", "26h", "retire", &name])
        .code(0);
    assert_eq!(project.refused(), std::slice::from_ref(&second));
    let retired = project.overnight(&["retire", &name]).code(0);
    assert!(retired.stdout.contains(&second), "{}", retired.stdout);
    assert!(project.refused().is_empty());
    check_invariants(&project);

    // A disk that is short of room costs it first.
    let third = refused_again(&project, 13);
    project.write(
        "overnight.toml",
        "[brake]\nfree = \"900TB\"\nfree_min = \"0B\"\npatience = \"1s\"\n",
    );
    project.items(14, "good");
    let ended = project.overnight(&["run", &name]);
    assert!(
        ended
            .stderr
            .contains("the refused build is dropped: a disk is short of room"),
        "{}",
        ended.stderr
    );
    assert_eq!(oid(&project, &third), "");
    std::fs::remove_file(project.path("overnight.toml")).unwrap();

    // And it need not be kept at all.
    project
        .env
        .push(("OVERNIGHT_REFUSED_KEEP".into(), "0s".into()));
    project.items(15, "bad");
    project.refuses(1, &["15 offending rows"]);
    assert!(project.refused().is_empty());
    check_invariants(&project);
}

#[test]
fn a_night_without_new_inputs_drops_a_refused_build_after_its_time() {
    let project = Project::new("refused_unchanged");
    let build = refused(&project);
    project.items(10, "good");
    let unchanged = project.run().code(0);
    assert!(
        unchanged.stdout.contains("inputs unchanged"),
        "{}",
        unchanged.stdout
    );
    assert_eq!(project.refused(), std::slice::from_ref(&build));
    let old =
        "update ledger.build set refused_at = now() - interval '25 hours' where state = 'refused'";
    project.cluster().sql(&project.control, old).unwrap();
    project
        .run()
        .code(0)
        .says(&["the refused build is dropped: its time is over"]);
    assert_eq!(oid(&project, &build), "");
    check_invariants(&project);
}

fn refused_again(project: &Project, rows: usize) -> String {
    project.items(rows, "bad");
    refuse(project, &format!("{rows} offending rows"))
}

#[test]
fn a_refusal_that_is_killed_is_all_or_nothing() {
    for point in ["refuse.before_commit", "refuse.after_commit"] {
        let project = Project::new(&format!("refused_{}", point.replace('.', "_")));
        project.sql("checks/010_names.sql", CHECK);
        project.items(10, "bad");
        let mut command = project.command(&["run", &project.name]);
        let output = command.env("OVERNIGHT_CRASHPOINT", point).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{output:?}");
        // The next run of the same inputs resumes the build, either way.
        project
            .run()
            .code(1)
            .says(&["check 010_names.sql: 10 offending rows"]);
        check_invariants(&project);
        let build = project.refused().pop().unwrap();
        let builds = project.ledger("select count(*) from ledger.build");
        assert_eq!(builds, "1", "{build}");
        let accept = [
            "rotate",
            &project.name,
            &build,
            "--accept",
            "check 010_names.sql",
            "--reason",
            "x",
        ];
        project.overnight(&accept).code(0);
        check_invariants(&project);
    }
}

/// A gate, the keys of dataset.toml and of `[expect]` that bring it, and the derive file that makes it fail.
type Breaking = (&'static str, &'static str, &'static str, &'static str);

/// Gates that a run can only stop at for other reasons: they are asked before the load or at the move, or
/// nothing that a project can do makes them fail.
const ELSEWHERE: [&str; 9] = [
    // Of a build that is looked at again.
    "content of item",
    // Before the load.
    "project",
    // Of the move: the build is verified and waits.
    "consumers",
    "group",
    "approval",
    "replicas",
    // Only warns.
    "warm-up",
    // The run itself analyzes every table and grants every right; only a fault of ours fails them.
    "tables never analyzed",
    "missing rights of readers",
];

const BREAKING: [Breaking; 14] = [
    (
        "records of item",
        "",
        "",
        "update overnight.input set records_read = records_read + 1;",
    ),
    ("rows of item", "", "rows = { min = 5000 }", ""),
    ("change of item", "", "rows = { change = \"1%\" }", ""),
    ("profile of item", "", "", "update item set price = null;"),
    (
        "limits of item",
        "",
        "columns = { nothing = { nulls = \"1%\" } }",
        "",
    ),
    ("keys of item", "", "keys = { removed = \"1%\" }", ""),
    (
        "groups of item by name",
        "",
        "groups = [{ by = \"name\", change = \"1%\", min = 1 }]",
        "",
    ),
    (
        "unlogged tables",
        "",
        "",
        "create unlogged table scratch (id integer primary key);",
    ),
    (
        "unvalidated constraints",
        "",
        "",
        "alter table item add constraint positive check (id > 0) not valid;",
    ),
    (
        "disabled triggers",
        "",
        "",
        "create function nothing() returns trigger language plpgsql as 'begin return new; end'; create trigger nothing before update on item for each row execute function nothing(); alter table item disable trigger nothing;",
    ),
    (
        "schema version",
        "",
        "",
        "update overnight.declared set schema_version = 7;",
    ),
    (
        "compatibility",
        "",
        "",
        "alter table item drop column seen cascade;",
    ),
    (
        "golden 010_app.sql",
        "",
        "",
        "update item set id = id + 5000;",
    ),
    ("external", "external = { command = [\"false\"] }", "", ""),
];

#[test]
fn every_gate_can_be_accepted_without_loading_again() {
    let mut tried: Vec<String> = Vec::new();
    for (gate, key, expect, derive) in BREAKING {
        let mut short: String = gate.split(['.', ' ']).collect::<Vec<_>>().join("_");
        short.truncate(20);
        let project = Project::new(&format!("accept_{short}"));
        project.sql(
            "golden/010_app.sql",
            "-- overnight: min = 1\nselect * from item where id < 5000;\n",
        );
        let source = format!("table = \"item\"\nfiles = \"items*\"\n[expect]\n{expect}\n");
        // Of what is counted against the night before, a fourth is gone.
        let compares = ["change of", "keys of", "groups of"].iter();
        let compares = compares.clone().any(|word| gate.starts_with(word));
        if compares {
            project.source("item", &source);
        }
        project.items(400, "x");
        project.run().code(0);
        project.items(if compares { 300 } else { 401 }, "x");
        if !key.is_empty() {
            set_key(&project, key);
        }
        project.source("item", &source);
        if !derive.is_empty() {
            project.sql("derive/110_break.sql", &format!("{derive}\n"));
        }
        project.refuses(1, &["verify `accept_", gate]);
        let build = project.refused().pop().unwrap();
        let (before, rows) = (oid(&project, &build), loaded(&project, &build));
        // A change that one gate finds others find as well: each is accepted by its name.
        let failing = format!(
            "select string_agg(distinct gate, '|') from ledger.finding where verdict = 'failed' and build = (select id from ledger.build where name = '{build}')"
        );
        let failing = project.ledger(&failing);
        assert!(
            failing.split('|').any(|name| name == gate),
            "{gate}: {failing}"
        );
        let mut arguments = vec!["rotate", &project.name, &build, "--reason", "known"];
        for name in failing.split('|') {
            arguments.extend(["--accept", name]);
        }
        project.overnight(&arguments).code(0);
        assert_eq!(oid(&project, &project.name), before, "{gate}");
        assert_eq!(loaded(&project, &project.name), rows, "{gate}");
        check_invariants(&project);
        tried.push(gate.to_owned());
    }
    // Every gate has a story here.
    let project = Project::new("accept_names");
    project.items(1, "x");
    let all = project.overnight(&["run", &project.name, "--accept", "nothing", "--reason", "x"]);
    let (_, listed) = all.stderr.split_once("the gates are ").unwrap();
    for name in listed.split('`').skip(1).step_by(2) {
        let known = tried.iter().any(|gate| gate == name) || ELSEWHERE.contains(&name);
        let word = name.split(' ').next().unwrap();
        let like = tried.iter().any(|gate| gate.starts_with(word));
        let catalog = [
            "invalid indexes",
            "profile of TABLE",
            "content of TABLE",
            "catalog since it was finished",
        ];
        assert!(
            known || like || catalog.contains(&name),
            "no story accepts `{name}`"
        );
    }
}

/// Which transaction wrote the rows of a closed build, as its receipt has it.
fn loaded(project: &Project, database: &str) -> String {
    let turn = |on: bool| {
        let sql = format!("alter database \"{database}\" allow_connections {on}");
        project.cluster().sql("postgres", &sql).unwrap();
    };
    let closed = !is_open(project, database);
    if closed {
        turn(true);
    }
    let receipt = project.cluster().one(
        database,
        "select transactions::text || rows_loaded from overnight.loaded",
    );
    if closed {
        turn(false);
    }
    receipt
}
