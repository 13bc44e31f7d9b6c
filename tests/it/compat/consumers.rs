//! Services that say what they support, and an alias that does not move away from under them.

use crate::support::cluster::LOADER;
use crate::support::{Ended, Project, check_invariants};
use std::process::Command;

fn schema(project: &Project, version: i32, more: &str) {
    project.sql(
        "schema/010_tables.sql",
        &format!(
            "select overnight.declare_version({version});\ncreate table item (id integer primary key, name text, price numeric, seen date);\n"
        ),
    );
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = {version}\nfiles_under = \"{0}/\"\nreaders = [\"{1}\"]\nprobe = {{ user = \"{1}\" }}\n{more}",
            project.name, project.reader
        ),
    );
}

/// Publishes one build for each schema version.
fn published(name: &str, versions: &[i32], more: &str) -> Project {
    let project = Project::new(name);
    for version in versions {
        schema(&project, *version, more);
        project.items(5 + *version as usize, "x");
        project.run().code(0);
    }
    project
}

/// `overnight guard` as the host of a service runs it: no project, only where the server is.
fn guard(project: &Project, role: &str, arguments: &[&str]) -> Ended {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = project.command(&["guard", &project.name]);
    command
        .args(arguments)
        .current_dir(nowhere.path())
        .env("HOME", nowhere.path())
        .env_remove("OVERNIGHT_PROJECT")
        .env_remove("OVERNIGHT_FROM")
        .env("OVERNIGHT_TARGET", project.cluster().url("postgres", role));
    Project::finish(&mut command)
}

fn api(project: &Project, role: &str, supports: &str) -> Ended {
    guard(
        project,
        role,
        &["--supports", supports, "--consumer", "api"],
    )
}

const REGISTER: &str = "consumers_register = true\n";

#[test]
fn a_service_asks_with_a_readers_login_and_without_a_project() {
    let project = published("guard_ask", &[6], "");
    let (live, reader) = (project.live(), project.reader.clone());
    // It may start; it cannot register, and says so.
    let ended = api(&project, &reader, "5..7").code(0).says(&[
        "`api` was checked and could not be registered",
        "`consumers_register = true` in dataset.toml",
    ]);
    assert_eq!(
        ended.stdout,
        format!("guard_ask: `{live}` has schema version 6, `api` supports 5..7\n")
    );
    api(&project, &reader, "7..").code(1).says(&[
        &format!("error: `api` must not start: `guard_ask` (build `{live}`) has schema version 6, `api` supports 7.."),
        "hint: the database is older than this release of `api`",
    ]);
    api(&project, &reader, "4..5").code(1).says(&[
        "has schema version 6, `api` supports 4..5",
        "hint: the database is newer than this release of `api`",
    ]);
    for nonsense in ["", "a", "7..5", "..7", "5...7"] {
        api(&project, &reader, nonsense)
            .code(2)
            .says(&["hint: write"]);
    }
    guard(&project, &reader, &["--supports", "6", "--consumer", "a b"])
        .code(2)
        .says(&["--consumer is no name for a service"]);

    let json = guard(
        &project,
        LOADER,
        &["--supports", "6", "--consumer", "api", "--json"],
    )
    .code(0)
    .json();
    assert_eq!(json["format"], 1);
    assert_eq!(json["schema_version"], 6);
    assert_eq!(json["build"], live);
    // The tool's own login registers without further rights.
    assert_eq!(json["registered"], true);
    assert_eq!(
        project
            .ledger("select consumer || min_version || max_version || role from ledger.consumer"),
        "api66overnight"
    );
}

#[test]
fn a_guard_without_a_server_or_without_a_build_lets_no_service_start() {
    let project = published("guard_nowhere", &[], "");
    api(&project, &project.reader, "1").code(1).says(&[
        "nothing is live under the name `guard_nowhere`",
        "hint: `overnight run` publishes the first build",
    ]);
    let nowhere = tempfile::tempdir().unwrap();
    let mut command =
        project.command(&["guard", "planinfo", "--supports", "1", "--consumer", "api"]);
    command
        .current_dir(nowhere.path())
        .env("HOME", nowhere.path())
        .env_remove("OVERNIGHT_PROJECT")
        .env_remove("OVERNIGHT_TARGET");
    Project::finish(&mut command)
        .code(2)
        .says(&["no target", "hint: --target"]);
    assert!(!nowhere.path().join(".local").exists());
}

#[test]
fn a_reader_registers_and_can_reach_nothing_else_of_the_ledger() {
    let project = published("guard_rights", &[6], REGISTER);
    let reader = &project.reader;
    let careful = format!("alter role {reader} set default_transaction_read_only = on");
    project.cluster().sql("postgres", &careful).unwrap();
    api(&project, reader, "5..7").code(0);
    let told = project
        .overnight(&["consumers", &project.name])
        .code(0)
        .stdout;
    let line = told.lines().nth(1).unwrap();
    assert!(
        line.starts_with("api ")
            && line.contains(" 5..7 ")
            && line.ends_with(reader.as_str())
            && line.contains("0 s ago"),
        "{told}"
    );
    let json = project
        .overnight(&["consumers", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(json["consumers"][0]["consumer"], "api");
    assert_eq!(json["consumers"][0]["expired"], false);
    assert_eq!(
        project.overnight(&["status", "--json"]).json()["datasets"][0]["consumers"],
        1
    );

    let cluster = project.cluster();
    let careless = format!("alter role {reader} reset default_transaction_read_only");
    cluster.sql("postgres", &careless).unwrap();
    let as_reader = |sql: &str| cluster.sql_as(reader, &project.control, sql);
    for denied in [
        "select * from ledger.event",
        "select * from ledger.build",
        "select name from ledger.build",
        "delete from ledger.consumer",
        "update ledger.consumer set last_seen = 'infinity'",
        "update ledger.consumer set role = 'somebody'",
        "update ledger.dataset set held = true",
        "insert into ledger.event (dataset, kind, actor) values ('x', 'y', 'z')",
        "create table ledger.more (id integer)",
        "create schema more",
    ] {
        let error = as_reader(denied).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{denied}");
    }
    // Not for a dataset it cannot read, nor can it see who reads that.
    cluster
        .sql(
            &project.control,
            "insert into ledger.dataset (dataset) values ('druginfo');
             insert into ledger.consumer (dataset, consumer, min_version, host) values ('druginfo', 'other', 1, 'x')",
        )
        .unwrap();
    let error = as_reader(
        "insert into ledger.consumer (dataset, consumer, min_version, host) values ('druginfo', 'api', 9, 'x')",
    );
    assert_eq!(error.unwrap_err().code().unwrap().code(), "42501");
    let seen = as_reader("select string_agg(consumer, ',') from ledger.consumer").unwrap();
    assert_eq!(seen[0][0].as_deref(), Some("api"));
    as_reader("update ledger.consumer set min_version = 1").unwrap();
    assert_eq!(
        project.ledger(
            "select string_agg(consumer || min_version, ',' order by consumer) from ledger.consumer"
        ),
        "api1,other1"
    );
    // What the terminal of an operator would not like is not taken.
    let escape = "update ledger.consumer set host = e'\\x1b[2J'";
    assert_eq!(
        as_reader(escape).unwrap_err().code().unwrap().code(),
        "23514"
    );
    cluster
        .sql(&project.control, "delete from ledger.consumer where dataset = 'druginfo'; delete from ledger.dataset where dataset = 'druginfo'")
        .unwrap();
    check_invariants(&project);
}

#[test]
fn a_rotation_that_a_service_could_not_read_is_refused_with_its_name() {
    let project = published("guard_rotate", &[5, 6], REGISTER);
    let (name, live) = (project.name.clone(), project.live());
    api(&project, &project.reader, "5..6").code(0);
    guard(
        &project,
        &project.reader,
        &["--supports", "6..", "--consumer", "search"],
    )
    .code(0);
    schema(&project, 7, REGISTER);
    project.items(20, "y");
    project.overnight(&["run", &name]).code(1).says(&[
        "WARN guard_rotate: the move would be refused: 1 of 2 registered services",
        "consumers: 1 of 2 registered services cannot read schema version 7:\n  `api` supports 5..6, last seen 20",
        "hint: the alias was not touched; services stay on the build they have; start releases of them that support it",
        "`overnight consumers guard_rotate --forget NAME`",
        "--accept consumers --reason TEXT",
    ]);
    assert_eq!(project.live(), live);
    // The build is verified and waits for the service: its next release may not start too early.
    api(&project, &project.reader, "7").code(1);
    api(&project, &project.reader, "5..7").code(0);
    project.overnight(&["rotate", &name]).code(0);
    assert_eq!(project.service("select overnight.require(7, 7)"), "7");
    assert_eq!(
        project.ledger(
            "select finding from ledger.finding where gate = 'consumers' order by id desc limit 1"
        ),
        "2 registered services support schema version 7"
    );
    check_invariants(&project);
}

#[test]
fn a_rollback_below_what_a_service_needs_is_refused_unless_somebody_takes_it_upon_himself() {
    let project = published("guard_rollback", &[5, 6], REGISTER);
    let (name, live) = (project.name.clone(), project.live());
    api(&project, &project.reader, "6..7").code(0);
    let back = ["rollback", &name, "--reason", "wrong premiums"];
    project.refuses_to(
        &back,
        1,
        &["1 of 1 registered services cannot read schema version 5:\n  `api` supports 6..7"],
    );
    assert_eq!(project.live(), live);
    assert_eq!(project.ledger("select held from ledger.dataset"), "f");
    let accepted: Vec<&str> = back
        .iter()
        .copied()
        .chain(["--accept", "consumers"])
        .collect();
    project.overnight(&accepted).code(0);
    assert_eq!(project.service("select overnight.require(5, 5)"), "5");
    let audit = project.ledger(
        "select f.stage || '|' || f.verdict || '|' || f.reason || '|' || (e.detail like 'consumers: 1 of 1 %`api` supports 6..7%(wrong premiums)')
                || '|' || (e.actor like 'overnight@%rollback guard_rollback') || '|' || b.schema_version
         from ledger.finding f join ledger.event e on e.build = f.build and e.kind = 'accepted'
         join ledger.build b on b.id = f.build where f.gate = 'consumers' and f.verdict = 'accepted'",
    );
    assert_eq!(audit, "rotate|accepted|wrong premiums|true|true|5");
    // On the older database the newer service does not start again.
    api(&project, &project.reader, "6..7").code(1);
    check_invariants(&project);
}

#[test]
fn a_service_that_was_not_seen_for_long_or_is_forgotten_does_not_count() {
    let more = "consumers_register = true\nconsumers_expire = \"10d\"\n";
    let project = published("guard_expire", &[5, 6], more);
    let name = project.name.clone();
    api(&project, &project.reader, "6").code(0);
    let aged = |days: i32| {
        let sql = format!(
            "set session_replication_role = replica;
             update ledger.consumer set last_seen = clock_timestamp() - interval '{days} days'"
        );
        project.cluster().sql(&project.control, &sql).unwrap();
    };
    let back = ["rollback", name.as_str(), "--reason", "test"];
    aged(9);
    project.refuses_to(&back, 1, &["`api` supports 6, last seen"]);
    aged(11);
    let told = project.overnight(&["consumers", &name]).code(0).stdout;
    assert!(
        told.contains("11 d 0 h ago") && told.contains("expired, does not count"),
        "{told}"
    );
    project.overnight(&back).code(0);
    // Seen again it counts again.
    project.overnight(&["release", &name]).code(0);
    project
        .overnight(&[
            "rotate",
            &name,
            &project.ledger("select name from ledger.build order by id desc limit 1"),
        ])
        .code(0);
    api(&project, &project.reader, "6").code(0);
    project.refuses_to(&back, 1, &["`api` supports 6, last seen"]);
    project
        .overnight(&["consumers", &name, "--forget", "nobody"])
        .code(2)
        .says(&["no registered consumer `nobody`"]);
    project
        .overnight(&["consumers", &name, "--forget", "api"])
        .code(0);
    assert_eq!(
        project.ledger("select detail from ledger.event where kind = 'consumer forgotten'"),
        "api (6)"
    );
    project.overnight(&back).code(0);
}

#[test]
fn a_guard_follows_the_pointer_where_no_database_has_the_name_of_the_alias() {
    let mut project = Project::new("guard_pointer");
    project
        .env
        .push(("OVERNIGHT_ROUTER".into(), "pointer".into()));
    schema(&project, 6, REGISTER);
    project.items(5, "x");
    project.run().code(0);
    let live = project.ledger("select build from overnight.alias");
    let ended = api(&project, &project.reader, "5..7").code(0);
    assert_eq!(
        ended.stdout,
        format!("guard_pointer: `{live}` has schema version 6, `api` supports 5..7\n")
    );
    assert_eq!(
        project.ledger("select consumer from ledger.consumer"),
        "api"
    );
    api(&project, &project.reader, "7").code(1);
}

#[test]
fn every_build_answers_psql_whether_a_client_can_read_it() {
    let project = published("guard_require", &[6], "");
    let cluster = project.cluster();
    let psql = |sql: &str| {
        Command::new(cluster.embedded.programs().unwrap().join("psql"))
            .args(["-qXAt", "-v", "VERBOSITY=verbose", "-c", sql])
            .arg(cluster.url(&project.name, &project.reader))
            .output()
            .unwrap()
    };
    for range in ["6, 6", "5, 7", "6, 2147483647"] {
        let output = psql(&format!("select overnight.require({range})"));
        assert!(output.status.success(), "{range}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "6\n");
    }
    for range in ["7, 8", "1, 5", "7, 5"] {
        let output = psql(&format!("select overnight.require({range})"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{range}");
        let bounds = range.replace(", ", " to ");
        assert!(
            said.contains(&format!(
                "55000: database guard_require has schema version 6, this client supports {bounds}"
            )),
            "{said}"
        );
    }
}

#[test]
fn what_a_reader_may_register_is_bounded_and_cannot_be_kept_from_being_forgotten() {
    let project = published("guard_flood", &[6], REGISTER);
    let (name, reader, cluster) = (&project.name, &project.reader, project.cluster());
    api(&project, reader, "6").code(0);
    let insert = |consumer: &str, host: &str| {
        let sql = format!(
            "insert into ledger.consumer (dataset, consumer, min_version, max_version, host)
             select '{name}', {consumer}, 1, 1, {host}"
        );
        cluster.sql_as(reader, &project.control, &sql)
    };
    let code = |result: Result<_, tokio_postgres::Error>| match result {
        Ok::<Vec<Vec<Option<String>>>, _>(_) => "none".to_owned(),
        Err(error) => error.code().unwrap().code().to_owned(),
    };
    let flood = format!(
        "insert into ledger.consumer (dataset, consumer, min_version, max_version, host)
         select '{name}', 'evil' || n, 1, 1, 'x' from generate_series(1, 10000) n"
    );
    assert_eq!(
        code(cluster.sql_as(reader, &project.control, &flood)),
        "54000"
    );
    assert_eq!(code(insert("'long'", "repeat('x', 65)")), "23514");
    for n in 1..=99 {
        assert_eq!(code(insert(&format!("'evil{n}'"), "'x'")), "none", "{n}");
    }
    assert_eq!(code(insert("'one_more'", "'x'")), "54000");
    // Who is registered stays so.
    api(&project, reader, "5..6").code(0);
    assert_eq!(
        project.ledger("select count(*) from ledger.consumer"),
        "100"
    );

    let holding = cluster
        .block_on(cluster.client(reader, &project.control))
        .unwrap();
    cluster
        .block_on(holding.batch_execute("begin; update ledger.consumer set host = 'mine'"))
        .unwrap();
    let forgotten = project
        .overnight(&["consumers", name, "--forget", "evil*", "--json"])
        .code(0)
        .says(&[&format!("ended a transaction of `{reader}`")])
        .json();
    assert_eq!(forgotten["consumers"].as_array().unwrap().len(), 99);
    assert_eq!(
        project.ledger("select string_agg(consumer, ',') from ledger.consumer"),
        "api"
    );
    check_invariants(&project);
}
