//! Golden queries: the application's own, as the reader, on the live build and on the new one.

use crate::support::Project;
use crate::support::cluster::LOADER;

fn golden(project: &Project, text: &str) {
    project.sql("golden/010_app.sql", text);
}

fn finding(project: &Project, gate: &str) -> String {
    project.ledger(&format!(
        "select verdict || ': ' || finding from ledger.finding where gate = '{gate}' order by id desc limit 1"
    ))
}

const GATE: &str = "golden 010_app.sql";

#[test]
fn queries_run_as_the_reader_in_a_build_that_nobody_else_can_enter() {
    let project = Project::new("golden_reader");
    project.items(10, "x");
    let who = format!(
        "-- overnight: min = 1\nselect 1 where current_user = '{}';\n",
        project.reader
    );
    golden(&project, &who);
    // The loader is no member of the reader: the login of `probe` is let in for the moment.
    project.run().code(0);
    let first = finding(&project, GATE);
    assert!(
        first.starts_with("passed: as golden_reader_reader: 1 row in "),
        "{first}"
    );
    project.items(11, "x");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let waiting = project.ledger("select name from ledger.build order by id desc limit 1");
    let access = format!(
        "select has_database_privilege('{}', '{waiting}', 'connect')",
        project.reader
    );
    assert_eq!(project.cluster().one("postgres", &access), "f");
    // And so is it when the queries say no.
    golden(&project, "-- overnight: min = 12\nselect * from item;\n");
    project
        .overnight(&["verify", &project.name, &waiting])
        .code(1);
    assert_eq!(project.cluster().one("postgres", &access), "f");

    // A member becomes the reader.
    golden(&project, &who);
    let grant = format!("grant {} to {LOADER}", project.reader);
    project.cluster().sql("postgres", &grant).unwrap();
    project.items(12, "x");
    project.run().code(0);
    assert!(finding(&project, GATE).contains("1 row in "));
    project
        .cluster()
        .sql(
            "postgres",
            &grant.replace("grant", "revoke").replace(" to ", " from "),
        )
        .unwrap();
}

#[test]
fn without_a_way_to_be_the_reader_the_run_says_what_is_missing_before_the_load() {
    let project = Project::new("golden_nobody");
    project.items(10, "x");
    golden(&project, "select * from item;\n");
    project.write(
        "sources/golden_nobody/dataset.toml",
        "schema_version = 1\nfiles_under = \"golden_nobody/\"\nreaders = [\"golden_nobody_reader\"]\n",
    );
    let ended = project.refuses(
        2,
        &[
            "golden queries run as the reader `golden_nobody_reader`",
            "hint: `grant golden_nobody_reader to overnight`, or name a login with `probe = ",
        ],
    );
    assert!(!ended.stderr.contains("verify"), "{}", ended.stderr);
}

#[test]
fn rows_are_compared_with_the_live_build_and_with_limits() {
    let project = Project::new("golden_rows");
    project.items(100, "x");
    golden(
        &project,
        "-- overnight: rows = \"10%\", min = 50\nselect * from item;\nselect * from item where id > 3;\n",
    );
    project.run().code(0);
    project.items(111, "x");
    project.refuses(
        1,
        &["golden 010_app.sql: as golden_rows_reader: line 2: 111 rows, 100 on live: +11.00%, allowed 10%; line 3: 108 rows, 97 on live: +11.34%"],
    );
    project.items(40, "x");
    project.refuses(1, &["line 2: 40 rows, at least 50 expected"]);
    // Without a word about rows, all of them must not vanish.
    golden(&project, "select * from item where id > 90;\n");
    project.refuses(1, &["as golden_rows_reader: no row, 10 on live"]);
    golden(
        &project,
        "-- overnight: level = \"warn\"\nselect * from item where id > 90;\n",
    );
    project.run().code(0);
    assert_eq!(
        finding(&project, GATE),
        "warned: as golden_rows_reader: no row, 10 on live"
    );
    golden(
        &project,
        "-- overnight: max = 5\nselect * from item where id < 9;\n",
    );
    project.items(50, "x");
    project.refuses(1, &["8 rows, at most 5 expected"]);
}

#[test]
fn a_column_that_changes_and_a_query_that_fails_are_told_and_new_queries_are_not_compared() {
    let project = Project::new("golden_columns");
    project.items(10, "x");
    golden(&project, "select id, price from item;\n");
    project.run().code(0);
    let other = crate::support::project::TABLE.replace("numeric(8,2)", "double precision");
    project.sql(
        "schema/010_tables.sql",
        &format!("select overnight.declare_version(1);\n{other}"),
    );
    project.refuses(
        1,
        &["columns (id int4, price float8), live (id int4, price numeric)"],
    );
    project.sql(
        "schema/010_tables.sql",
        &format!(
            "select overnight.declare_version(1);\n{}create view newer as select * from item;\n",
            crate::support::project::TABLE
        ),
    );
    golden(&project, "select * from newer;\n");
    project.run().code(0);
    let found = finding(&project, GATE);
    assert!(
        found.starts_with("passed: as golden_columns_reader: 10 rows in ")
            && found
                .contains("(not compared, on the live build: relation \"newer\" does not exist"),
        "{found}"
    );
    // What the reader alone does not see is missed, though the owner sees it.
    project.sql(
        "schema/020_rows.sql",
        "alter table item enable row level security;\n",
    );
    golden(&project, "-- overnight: min = 1\nselect * from item;\n");
    project.refuses(
        1,
        &["golden 010_app.sql: as golden_columns_reader: 0 rows, at least 1 expected"],
    );
    // What cannot work is found on the empty tables.
    golden(&project, "select\n  nothing from item;\n");
    project.refuses_to(
        &["run", &project.name, "--fresh"],
        2,
        &[
            "rehearse on the empty tables",
            "010_app.sql` line 2",
            "nothing",
        ],
    );
    golden(&project, "delete from item;\n");
    project.refuses(
        2,
        &["a check or golden file is made of queries only, not `delete`"],
    );
}

#[test]
fn a_query_that_has_become_slow_is_stopped() {
    let project = Project::new("golden_slow");
    project.items(10, "x");
    let schema = |sleep: &str| {
        project.sql(
            "schema/020_slow.sql",
            &format!("create function slow() returns text language sql as 'select pg_sleep({sleep})::text';\n"),
        );
    };
    schema("0");
    golden(
        &project,
        "-- overnight: slower = 2, floor = \"20ms\", runs = 3\nselect slow();\n",
    );
    project.run().code(0);
    schema("0.4");
    project.refuses(
        1,
        &[
            "golden 010_app.sql: as golden_slow_reader: ",
            " on live, at most 2 times as long is allowed",
        ],
    );
    golden(
        &project,
        "-- overnight: slower = 1000000, budget = \"300ms\", runs = 1\nselect slow();\n",
    );
    project.refuses(1, &[" ms, the budget is 300.0 ms"]);
    // Below the floor nothing is slow.
    golden(
        &project,
        "-- overnight: slower = 2, floor = \"30s\", runs = 1\nselect slow();\n",
    );
    project.run().code(0);
    golden(
        &project,
        "-- timeout: 200ms\nselect pg_sleep(100) from item;\n",
    );
    project.items(11, "x");
    project.refuses(1, &["as golden_slow_reader: no answer within 200.0 ms"]);
}

#[test]
fn a_large_table_is_not_read_from_end_to_end() {
    let project = Project::new("golden_scan");
    project.items(3000, "x");
    golden(
        &project,
        "-- overnight: seq_scan = \"64KiB\"\nselect * from item where id = 7;\nselect * from item where name = 'x 7';\n",
    );
    project.run().code(0);
    golden(
        &project,
        "-- overnight: seq_scan = \"64KiB\"\nselect * from item where id = 7;\nselect count(*) from item where price = 7;\n",
    );
    project.items(3001, "x");
    project.refuses(
        1,
        &[
            "golden 010_app.sql: as golden_scan_reader: line 3: reads all of item (",
            "KiB), at most 64.0 KiB may be read from end to end",
        ],
    );
    golden(
        &project,
        "-- overnight: seq_scan = \"10MB\"\nselect count(*) from item where price = 7;\n",
    );
    project.run().code(0);
}

#[test]
fn declared_tables_and_indexes_are_read_before_anybody_waits_for_them() {
    let project = Project::with_schema(
        "golden_warm",
        "create table item (id integer primary key, name text not null, price numeric(8,2), seen date);
         create index item_name on item (name desc);
         create index item_some on item (lower(name)) where id > 5;
         create index item_hash on item using hash (name);\n",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(2000, "x");
    let path = "sources/golden_warm/dataset.toml";
    let toml = std::fs::read_to_string(project.path(path)).unwrap();
    project.write(
        path,
        &format!("{toml}warm = [\"item\", \"public.item_name\", \"item_some\", \"item_hash\", \"itme\"]\n"),
    );
    project.run().code(0);
    let found = finding(&project, "warm-up");
    assert!(
        found.starts_with("warned: 3 read, ")
            && found.ends_with(
                "; not read: `item_hash` is not a btree index: only those can be read in order, `itme` is no table, materialized view or index"
            ),
        "{found}"
    );
    // The server's own counters say that the indexes were walked from end to end.
    let walked = "select string_agg(indexrelname || ' ' || idx_tup_read, ', ' order by 1)
         from pg_stat_user_indexes where indexrelname in ('item_name', 'item_some')";
    assert_eq!(
        project.cluster().one(&project.name, walked),
        "item_name 2000, item_some 1995"
    );
    project.write(path, &format!("{toml}warm = [\"item\", \"item_pkey\"]\n"));
    project.run().code(0);
    assert!(finding(&project, "warm-up").starts_with("passed: 2 read, "));
}

#[test]
fn the_live_build_is_found_where_no_database_has_the_name_of_the_alias() {
    let mut project = Project::new("golden_pointer");
    project.behind_pointer("");
    project.items(100, "x");
    golden(
        &project,
        "-- overnight: rows = \"10%\"\nselect * from item;\n",
    );
    project.run().code(0);
    project.items(120, "x");
    project.refuses(1, &["120 rows, 100 on live: +20.00%, allowed 10%"]);
}
