//! What happens beside what: indexes while tables load, derived tables, statistics.

use crate::support::{Project, check_invariants};

/// A trigger function that holds the load of its table until a condition is true, and fails the night
/// if that does not come: no clock decides, except for giving up.
fn hold_until(condition: &str) -> String {
    format!(
        "create function hold() returns trigger language plpgsql as $$
         begin
             for i in 1..600 loop
                 if {condition} then return new; end if;
                 perform pg_sleep(0.1);
             end loop;
             raise exception 'held too long';
         end $$;
         create trigger hold before insert on held for each row execute function hold();\n"
    )
}

const TABLES: &str = "
create table item (id integer not null, name text not null, price numeric(8,2), seen date,
                   constraint item_pkey primary key (id));
create index item_name on item (name);
";

/// A project with two loaded tables, `item` and `held`.
fn two_tables(name: &str, held: &str) -> Project {
    let tables = format!("{TABLES}create table held (id integer primary key);\n{held}");
    let mut project = Project::with_schema(name, &tables, "table = \"item\"\nfiles = \"items*\"\n");
    project.source("held", "table = \"held\"\nfiles = \"held*\"\n");
    project.input("held.csv", "id\n1\n");
    for (variable, value) in [
        ("OVERNIGHT_SERVER_CORES", "2"),
        ("OVERNIGHT_CONNECTIONS", "2"),
    ] {
        project.env.push((variable.into(), value.into()));
    }
    project
}

/// A query on the live build as the superuser.
fn live(project: &Project, sql: &str) -> String {
    project.cluster().one(&project.name, sql)
}

/// Tables of the user that are not frozen, marked visible and analyzed to the last row.
fn unfinished(project: &Project) -> String {
    live(
        project,
        "select coalesce(string_agg(relname, ' ' order by relname), '') from pg_class
          where relkind = 'r' and relnamespace = 'public'::regnamespace
            and (relallvisible < pg_relation_size(oid) / 8192 or age(relfrozenxid) > 1000
                 or pg_relation_size(oid) > 0 and not exists (select from pg_statistic where starelid = pg_class.oid))",
    )
}

#[test]
fn an_index_is_there_before_another_table_has_been_loaded() {
    let ready = "(select count(*) = 2 and bool_or(indisprimary) from pg_index where indrelid = 'public.item'::regclass)
                 and (select reltuples = 100 from pg_class where oid = 'public.item'::regclass)";
    let project = two_tables("schedule_overlap", &hold_until(ready));
    project.items(100, "early");
    project.run().code(0);
    assert_eq!(project.service("select count(*) from held"), "1");
    assert_eq!(unfinished(&project), "");
    check_invariants(&project);
}

#[test]
fn a_key_that_does_not_hold_ends_a_load_that_still_goes_on() {
    let mut project = two_tables("schedule_cancel", &hold_until("false"));
    project.input("items.csv", "id,name,price,seen\n7,a,,\n7,b,,\n");
    project.refuses(
        1,
        &["put back primary key item_pkey on public.item: unique constraint violated"],
    );
    assert_eq!(project.databases(), [""; 0]);
    check_invariants(&project);

    // The other way round: a load that fails ends an index that is being built.
    project.sql(
        "schema/010_tables.sql",
        &format!(
            "select overnight.declare_version(1);
             create function slow(i integer) returns integer language plpgsql immutable as
                 $$ begin perform pg_sleep(0.1); return i; end $$;
             {TABLES}
             create index item_slow on item (slow(id));
             create table held (id integer primary key);
             {}",
            hold_until(
                "exists (select from pg_locks where relation = 'public.item'::regclass and mode = 'ShareLock')"
            )
            .replace(
                "return new",
                "raise exception 'no more' using errcode = 'check_violation'"
            )
        ),
    );
    project.items(2000, "slow");
    project
        .env
        .push(("OVERNIGHT_INDEX_SESSIONS".into(), "2".into()));
    // 23514 and not the end of its patience.
    project.refuses(1, &["load source `held`", "23514"]);
    assert_eq!(project.databases(), [""; 0]);
    check_invariants(&project);
}

/// Adds derived tables: `total`, and `seen`, in which files note how many indexes `total` has.
fn with_total(name: &str) -> Project {
    let tables = format!(
        "{TABLES}
         create table seen (file integer, indexes integer);
         create table total (day integer primary key, items integer not null, best integer references item (id));
         create index total_items on total (items);\n"
    );
    let project = Project::with_schema(name, &tables, "table = \"item\"\nfiles = \"items*\"\n");
    project.items(100, "derived");
    project
}

const NOTE: &str =
    "insert into seen select $, count(*) from pg_index where indrelid = 'total'::regclass;\n";
const TOTAL: &str =
    "select extract(day from seen)::integer, count(*), min(id) from item group by 1";

fn note(file: u32) -> String {
    NOTE.replace('$', &file.to_string())
}

#[test]
fn derived_tables_get_their_keys_behind_the_last_file_that_writes_them() {
    let project = with_total("schedule_derived");
    project.sql(
        "derive/110_fill.sql",
        &format!("insert into total {TOTAL};\n{}", note(110)),
    );
    project.sql(
        "derive/120_more.sql",
        &format!("update total set items = items + 1;\n{}", note(120)),
    );
    project.sql(
        "derive/130_read.sql",
        &format!(
            "create table top as select * from total where items > 1;\n{}",
            note(130)
        ),
    );
    project.run().code(0);
    assert_eq!(
        project.service("select string_agg(file || ':' || indexes, ' ' order by file) from seen"),
        "110:0 120:0 130:2"
    );
    assert_eq!(project.service("select count(*) from total"), "28");
    let keys = "select string_agg(conname, ' ' order by conname) from pg_constraint
                where conrelid = 'total'::regclass and convalidated and contype in ('p', 'f')";
    assert_eq!(project.service(keys), "total_best_fkey total_pkey");
    assert_eq!(unfinished(&project), "");
    check_invariants(&project);
}

#[test]
fn a_file_that_needs_the_keys_of_a_derived_table_has_them() {
    for (name, statement) in [
        (
            "target",
            "insert into total select day, items, best from total on conflict (day) do update set items = excluded.items",
        ),
        // Without a key this would succeed, and double the rows.
        (
            "silent",
            "insert into total select * from total on conflict do nothing",
        ),
        (
            "group",
            "create table top as select day, items, count(*) from total group by day; delete from total where items < 0",
        ),
        (
            "like",
            "create table copied (like total including indexes); delete from total where items < 0",
        ),
    ] {
        let project = with_total(&format!("schedule_{name}"));
        project.sql(
            "derive/110_fill.sql",
            &format!("insert into total {TOTAL};\n"),
        );
        project.sql(
            "derive/120_needs.sql",
            &format!("{statement};\n{}", note(120)),
        );
        project.run().code(0);
        assert_eq!(project.service("select indexes from seen"), "2", "{name}");
        assert_eq!(
            project.service("select count(*) from total"),
            "28",
            "{name}"
        );
        let copied = "select count(*) from pg_index where indrelid = to_regclass('copied')";
        let expected = if name == "like" { "2" } else { "0" };
        assert_eq!(project.service(copied), expected, "{name}");
        assert_eq!(unfinished(&project), "", "{name}");
    }
}

#[test]
fn a_derived_row_that_breaks_a_key_ends_the_night() {
    let project = with_total("schedule_broken");
    project.sql(
        "derive/110_fill.sql",
        "insert into total select id / 10, 1, id from item;\n",
    );
    project.refuses(
        1,
        &["put back primary key total_pkey on public.total: unique constraint violated"],
    );
    project.sql(
        "derive/110_fill.sql",
        "insert into total select 1, 1, 4711 from item limit 1;\n",
    );
    project
        .refuses(1, &["foreign key total_best_fkey on public.total"])
        .says(&["23503"]);
    check_invariants(&project);
}

#[test]
fn what_derive_files_write_is_frozen_and_analyzed_again() {
    let tables = format!(
        "{TABLES}
         create table part (id integer, name text) partition by range (id);
         create table part_low partition of part for values from (0) to (50);
         create table part_high partition of part for values from (50) to (1000);
         create index part_id on part (id);
         create function more() returns void language sql as
             $$ update public.item set name = name || '!';
                insert into public.part select id, name from public.item where id < 1000 $$;\n"
    );
    let project = Project::with_schema(
        "schedule_written",
        &tables,
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(100, "hidden");
    project.sql("derive/110_call.sql", "select more();\n");
    project.run().code(0);
    assert_eq!(unfinished(&project), "");
    let rows = "select string_agg(relname || ' ' || reltuples, ', ' order by relname) from pg_class
                where relkind = 'r' and relnamespace = 'public'::regnamespace";
    assert_eq!(live(&project, rows), "item 100, part_high 51, part_low 49");
    let whole =
        "select count(*) from pg_statistic where starelid = 'part'::regclass and stainherit";
    assert_eq!(live(&project, whole), "2");

    // Outside a transaction nobody knows what a file writes.
    project.sql(
        "derive/110_call.sql",
        "-- no-transaction\nselect more();\nvacuum item;\n",
    );
    project.run().code(0);
    assert_eq!(unfinished(&project), "");
    assert_eq!(live(&project, rows), "item 100, part_high 51, part_low 49");
    check_invariants(&project);
}
