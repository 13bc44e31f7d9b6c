//! Where the time of a load went, as the operator and the ledger are told.

use crate::support::cluster::{ADMIN, LOADER};
use crate::support::project::repository;
use crate::support::{Project, check_invariants};

#[test]
fn a_run_tells_where_the_time_went_and_the_ledger_keeps_it() {
    let project = Project::with_schema(
        "timings_kept",
        "create table item (id integer primary key, name text, price numeric(8,2), seen date);
         create table other (id integer primary key, name text, price numeric(8,2), seen date);",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.source("other", "table = \"other\"\nfiles = \"others*\"\n");
    project.items(1000, "item");
    project.input(
        "others.csv",
        "id,name,price,seen\n1,a,2.50,\n2,b,,2026-11-01\n",
    );
    let told = project
        .overnight(&["run", "timings_kept", "--timings"])
        .code(0)
        .stdout;
    for text in [
        "client CPU s",
        "server wait",
        "bottleneck: a load of ",
        "too short to tell",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }

    // One row for each table; together they are what the build and the stage `load` counted.
    assert_eq!(
        project.ledger(
            "select string_agg(table_name || ' ' || rows_sent, ', ' order by table_name)
             from ledger.table_timing join ledger.build on id = build where state = 'published'"
        ),
        "item 1000, other 2"
    );
    assert_eq!(
        project.ledger(
            "select count(*) from ledger.build b
             where (select sum(rows_sent) from ledger.table_timing where build = b.id) = b.rows_loaded
               and (select sum(bytes_read) from ledger.table_timing where build = b.id) = b.bytes_read
               and (select rows_done from ledger.stage where build = b.id and stage = 'load') = b.rows_loaded
               and (select max(seconds) from ledger.table_timing where build = b.id)
                   <= (select seconds from ledger.stage where build = b.id and stage = 'load')"
        ),
        "1"
    );
    assert_eq!(
        project.ledger(
            "select count(*) from ledger.table_timing
             where seconds > 0 and streams >= 1 and readers >= 1 and bytes_sent > bytes_read
               and least(waiting_for_input_seconds, decompress_cpu_seconds, parse_cpu_seconds,
                         waiting_for_parse_seconds, waiting_for_server_seconds) >= 0"
        ),
        "2"
    );
    assert_eq!(
        project
            .ledger("select count(*) > 5 and bool_and(client_cpu_seconds >= 0) from ledger.stage"),
        if cfg!(target_os = "linux") { "t" } else { "" }
    );

    // JSON has it without being asked; without --timings the text has none of it.
    project.items(1001, "item");
    let json = project
        .overnight(&["run", "timings_kept", "--json"])
        .code(0)
        .json();
    let run = &json["datasets"][0];
    assert!(run["bottleneck"].as_str().unwrap().contains("load of"));
    assert_eq!(run["tables"][0]["timing"]["streams"], 1);
    assert!(run["stages"][0].get("client_cpu_seconds").is_some());
    project.items(1002, "item");
    let told = project.run().code(0).stdout;
    assert!(!told.contains("bottleneck"), "{told}");
    check_invariants(&project);
}

/// The first version's tables never change, so this is the ledger that the first release left.
#[test]
fn a_ledger_of_the_first_version_is_brought_up_to_date_by_the_next_start() {
    let project = Project::new("timings_upgrade");
    let cluster = project.cluster();
    cluster
        .sql_as(
            ADMIN,
            "postgres",
            &format!("create database {} owner {LOADER}", project.control),
        )
        .unwrap();
    let first = include_str!("../../src/ledger/schema.sql");
    let closed = format!("revoke all on database {} from public", project.control);
    for sql in [
        closed.as_str(),
        first,
        "insert into ledger.version (version, tool_version) values (1, '0.1.0')",
        "insert into ledger.dataset (dataset) values ('timings_upgrade')",
        "insert into ledger.build (dataset, name, nonce, state, schema_version, input_digest, tool_version, failure)
         values ('timings_upgrade', 'timings_upgrade_20260101t000000z', 'x', 'failed', 1, 'x', '0.1.0', 'old')",
        "insert into ledger.stage (build, position, stage, seconds) values (1, 0, 'plan', 1.5)",
    ] {
        cluster.sql_as(LOADER, &project.control, sql).unwrap();
    }
    // As many as there are files of steps.
    let folder = std::fs::read_dir(repository().join("src/ledger")).unwrap();
    let is_sql = |name: String| name.starts_with("schema") && name.ends_with(".sql");
    let steps =
        folder.filter(|entry| is_sql(entry.as_ref().unwrap().file_name().into_string().unwrap()));
    let every: Vec<String> = (1..=steps.count()).map(|step| step.to_string()).collect();
    let every = every.join(" ");
    // Not under a command of the release that wrote it, whose locks are of another kind.
    let earlier = cluster
        .block_on(cluster.client(LOADER, &project.control))
        .unwrap();
    let lock = "set application_name = 'overnight run timings_upgrade'; select pg_advisory_lock(7)";
    cluster.block_on(earlier.batch_execute(lock)).unwrap();
    project
        .overnight(&["builds", "timings_upgrade"])
        .code(75)
        .says(&["`overnight run timings_upgrade` of an earlier release is at work"]);
    cluster
        .block_on(earlier.batch_execute("select pg_advisory_unlock(7)"))
        .unwrap();
    drop(earlier);
    // Somebody only looks: that is a start too, and what was there is still there.
    let builds = project.overnight(&["builds", "timings_upgrade"]).code(0);
    assert!(builds.stdout.contains("old"), "{}", builds.stdout);
    assert_eq!(
        project
            .ledger("select string_agg(version::text, ' ' order by version) from ledger.version"),
        every
    );
    assert_eq!(
        project.ledger(
            "select seconds || ' ' || coalesce(client_cpu_seconds::text, 'none') from ledger.stage"
        ),
        "1.5 none"
    );
    project.items(3, "item");
    project.run().code(0);
    assert_eq!(
        project.ledger("select rows_sent from ledger.table_timing"),
        "3"
    );
    assert_eq!(
        project.ledger("select max(version) from ledger.version"),
        every.split(' ').next_back().unwrap()
    );
    check_invariants(&project);
}
