//! What must be true before services see a build, and what is said when it is not.

use crate::support::Project;

fn source(project: &Project, expect: &str) {
    project.source(
        "item",
        &format!("table = \"item\"\nfiles = \"items*\"\n[expect]\n{expect}"),
    );
}

fn dataset_toml(project: &Project, version: i32, readers: &[&str]) {
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = {version}\nfiles_under = \"{}/\"\nreaders = {readers:?}\nprobe = {{ user = \"{}\" }}\nkeep = 2\n",
            project.name, project.reader
        ),
    );
}

#[test]
fn a_schema_of_another_version_is_refused_before_the_load() {
    let project = Project::new("gates_version");
    project.items(5, "x");
    dataset_toml(&project, 2, &[&project.reader]);
    project.refuses(
        1,
        &[
            "the schema files declare version 1, dataset.toml expects 2",
            "hint: raise `schema_version`",
        ],
    );
    project.sql("schema/010_tables.sql", crate::support::project::TABLE);
    project.refuses(
        1,
        &[
            "no schema file declares a version",
            "hint: begin the first with: select overnight.declare_version(2);",
        ],
    );
    assert!(project.databases().is_empty());
}

#[test]
fn too_few_rows_are_refused() {
    let project = Project::new("gates_min");
    source(&project, "rows = { min = 100 }\n");
    project.items(99, "x");
    project.refuses(
        1,
        &[
            "verify `gates_min_",
            "rows of item: 99 encoded, 99 acknowledged, 99 counted, at least 100 expected",
            "hint: the alias was not touched",
        ],
    );
    project.items(100, "x");
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "100");
}

#[test]
fn change_is_measured_against_the_last_build_that_was_published_and_stayed() {
    let project = Project::new("gates_change");
    source(&project, "rows = { change = \"20%\" }\n");
    // There is nothing to compare the first night with.
    project.items(100, "first");
    project.run().code(0);
    let first = project.live();
    project.items(121, "more");
    project.refuses(
        1,
        &[
            "change of item: 121 rows, 100 in `gates_change_",
            "+21.00%, allowed 20%",
        ],
    );
    // The night that failed is no measure: 140 would be within 20 % of its 121.
    project.items(140, "more");
    project.refuses(1, &[&format!("140 rows, 100 in `{first}`: +40.00%")]);
    project.items(79, "fewer");
    project.refuses(1, &["-21.00%, allowed 20%"]);
    // Exactly at the limit is within it.
    project.items(120, "second");
    project.run().code(0);
    let second = project.live();
    // Rolled back, the second night is no measure any more; 140 is within 20 % of its 120.
    project
        .overnight(&["rollback", &project.name, "--reason", "wrong prices"])
        .code(0);
    assert_eq!(project.live(), first);
    project.overnight(&["release", &project.name]).code(0);
    project.items(140, "third");
    let ended = project.refuses(1, &[&format!("140 rows, 100 in `{first}`: +40.00%")]);
    assert!(!ended.stderr.contains(&second), "{}", ended.stderr);
    assert_eq!(project.live(), first);
}

#[test]
fn a_check_that_returns_rows_stops_the_build_and_names_only_itself() {
    let project = Project::new("gates_check");
    project.items(10, "canary");
    project.sql(
        "checks/010_cheap.sql",
        "-- no price is above 5\nselect id, name, price from item where price > 5;\n",
    );
    project.sql("checks/020_fine.sql", "select 1 where false;\n");
    let ended = project.refuses(
        1,
        &[
            "check 010_cheap.sql: 6 offending rows",
            "hint: the alias was not touched",
        ],
    );
    assert!(!ended.stderr.contains("canary") && !ended.stderr.contains("020_fine.sql:"));
    // A check that fails at run time is no pass.
    project.sql(
        "checks/010_cheap.sql",
        "select 1 from item where id / (id - 3) > 1000;\n",
    );
    project.refuses(1, &["run the check `010_cheap.sql`", "division by zero"]);
    project.sql(
        "checks/010_cheap.sql",
        "select 1 from item where price > 5000;\n",
    );
    project.run().code(0);
}

#[test]
fn a_table_that_a_crash_would_empty_is_refused() {
    let project = Project::with_schema(
        "gates_unlogged",
        "create unlogged table item (id integer primary key, name text, price numeric, seen date);\n",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(5, "x");
    project.refuses(1, &["unlogged tables: public.item, public.item_pkey"]);
}

#[test]
fn a_reader_that_does_not_exist_or_could_not_read_is_found() {
    let project = Project::new("gates_readers");
    project.items(5, "x");
    dataset_toml(&project, 1, &[&project.reader, "gates_nobody"]);
    project.refuses(2, &["gates_nobody", "does not exist", "hint: "]);
    dataset_toml(&project, 1, &[&project.reader]);
    // A derive file that takes a right away again is found too, whatever it takes.
    project.sql(
        "derive/110_closed.sql",
        "create schema inner_part;\ncreate table inner_part.total as select count(*) from item;\n",
    );
    project.run().code(0);
    assert_eq!(project.service("select count from inner_part.total"), "5");
}

#[test]
fn all_gates_that_fail_are_told_at_once() {
    let project = Project::with_schema(
        "gates_all",
        "create table item (id integer primary key, name text, price numeric, seen date);
         create unlogged table total (n bigint);\n",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(5, "x");
    project.sql("checks/010_a.sql", "select 1 from item where id < 3;\n");
    project.sql("checks/020_b.sql", "select 1 from item where id = 3;\n");
    source(&project, "rows = { min = 6 }\n");
    let ended = project.overnight(&["run", &project.name, "--json"]).code(1).says(&[
        "4 gates did not pass:\n  rows of item: 5 encoded, 5 acknowledged, 5 counted, at least 6 expected\n  unlogged tables: public.total\n  check 010_a.sql: 2 offending rows\n  check 020_b.sql: 1 offending row\n",
    ]);
    // Each is said once.
    assert_eq!(
        ended.stderr.matches("020_b.sql").count(),
        1,
        "{}",
        ended.stderr
    );
    let json = ended.json();
    assert_eq!(json["format"], 1);
    assert_eq!(json["datasets"][0]["outcome"], "failed");
    assert_eq!(json["datasets"][0]["status"], 1);
    assert_eq!(project.databases(), project.refused());
    // The ledger keeps the whole reason.
    assert_eq!(
        project.ledger("select count(*) from ledger.build where failure like '%min%' or failure like '%at least 6%020_b.sql%'"),
        "1"
    );
}

#[test]
fn verify_asks_again_and_says_so_with_its_status() {
    let project = Project::new("gates_verify");
    project.items(10, "x");
    project.run().code(0);
    let live = project.live();
    let told = project.overnight(&["verify", &project.name]).code(0);
    assert!(told.stdout.starts_with(&live), "{}", told.stdout);
    assert!(!told.stdout.contains("FAILED"), "{}", told.stdout);
    let json = project
        .overnight(&["verify", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&json["format"], &json["build"]),
        (&1.into(), &live.as_str().into())
    );
    let gates = json["gates"].as_array().unwrap();
    assert!(gates.len() >= 10 && gates.iter().all(|gate| gate["verdict"] == "passed"));

    // A check of today looks at the build of last night.
    project.sql("checks/010_new.sql", "select 1 from item where id = 3;\n");
    let told = project.overnight(&["verify", &project.name]).code(1);
    let failed: Vec<&str> = told
        .stdout
        .lines()
        .filter(|line| line.contains("FAILED"))
        .collect();
    assert!(
        failed.len() == 1
            && failed[0].contains("check 010_new.sql")
            && failed[0].contains("1 offending row"),
        "{}",
        told.stdout
    );
    let json = project
        .overnight(&["verify", &project.name, &live, "--json"])
        .code(1)
        .json();
    let failed: Vec<_> = json["gates"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|gate| gate["verdict"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["gate"], "check 010_new.sql");
    // Looking changes nothing: the build is as live as before.
    assert_eq!(project.live(), live);

    std::fs::remove_file(project.path("sql/gates_verify/checks/010_new.sql")).unwrap();
    // So is a reader who lost a right.
    let revoke = format!("revoke select on item from {}", project.reader);
    project.cluster().sql(&project.name, &revoke).unwrap();
    let told = project.overnight(&["verify", &project.name]).code(1);
    let missing = format!("{} on public.item", project.reader);
    assert!(
        told.stdout.contains("missing rights of readers") && told.stdout.contains(&missing),
        "{}",
        told.stdout
    );
    let grant = format!("grant select on item to {}", project.reader);
    project.cluster().sql(&project.name, &grant).unwrap();
    project.overnight(&["verify", &project.name]).code(0);
    // Rows that vanish from a published build are noticed.
    project
        .cluster()
        .sql(&project.name, "delete from item where id = 4")
        .unwrap();
    let told = project.overnight(&["verify", &project.name]).code(1);
    assert!(
        told.stdout
            .contains("10 encoded, 10 acknowledged, 9 counted"),
        "{}",
        told.stdout
    );
    project
        .overnight(&["verify", &project.name, "gates_verify_nothing"])
        .code(2)
        .says(&["`gates_verify` has no build `gates_verify_nothing`"]);
    // A build that was verified and waits is opened only for the look.
    project.items(11, "y");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let waiting = project.ledger("select name from ledger.build order by id desc limit 1");
    project
        .overnight(&["verify", &project.name, &waiting])
        .code(0);
    let closed = format!("select datallowconn from pg_database where datname = '{waiting}'");
    assert_eq!(project.cluster().one("postgres", &closed), "f");
    assert_eq!(project.live(), live);
}

#[test]
fn a_gate_is_accepted_only_with_a_reason_and_stays_in_the_ledger() {
    let project = Project::new("gates_accept");
    project.items(5, "x");
    project.sql("checks/010_few.sql", "select 1 from item where id = 3;\n");
    project.refuses(1, &["check 010_few.sql: 1 offending row"]);
    let gate = "check 010_few.sql";
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", project.name.as_str()];
        arguments.extend(more);
        project.overnight(&arguments)
    };
    run(&["--accept", gate])
        .code(2)
        .says(&["--accept needs --reason TEXT"]);
    run(&["--accept", "stamp", "--reason", "hurry"])
        .code(2)
        .says(&["the gate `stamp` is not optional"]);
    // Another gate is not this one.
    run(&["--accept", "rows of item", "--reason", "hurry"])
        .code(1)
        .says(&["check 010_few.sql: 1 offending row"]);
    run(&["--accept", gate, "--reason", "known since monday"]).code(0);
    assert_eq!(project.service("select count(*) from item"), "5");
    let kept = "select string_agg(verdict || ' ' || coalesce(reason, '-'), ', ' order by id)
                from ledger.finding where gate = 'check 010_few.sql'";
    assert_eq!(
        project.ledger(kept),
        "failed -, failed -, accepted known since monday"
    );
    let event =
        project.ledger("select detail || ' / ' || actor from ledger.event where kind = 'accepted'");
    assert!(
        event.starts_with("check 010_few.sql: 1 offending row (known since monday) / overnight@"),
        "{event}"
    );
    assert_eq!(
        project.ledger(
            "select count(*) from ledger.finding where gate = 'rows of item' and verdict = 'passed'"
        ),
        "3"
    );
}
