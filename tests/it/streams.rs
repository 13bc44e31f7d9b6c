//! Tables that several connections load, leaves of partitioned ones, and rows sorted on the way.

use crate::support::Project;
use std::fmt::Write;

/// A project with the table `item` and room for two connections.
fn project(name: &str, tables: &str, more: &str) -> Project {
    let source = format!("table = \"item\"\nfiles = \"items*\"\n{more}");
    let mut project = Project::with_schema(name, tables, &source);
    for (variable, value) in [
        ("OVERNIGHT_SERVER_CORES", "2"),
        ("OVERNIGHT_CONNECTIONS", "2"),
    ] {
        project.env.push((variable.into(), value.into()));
    }
    project
}

/// Records of `id,name,price`, in an order that jumps about.
fn records(from: usize, count: usize, filler: &str) -> String {
    let mut text = String::from("id,name,price\n");
    for at in 0..count {
        // 7919 is prime to every count that is used here.
        let id = from + at * 7919 % count;
        writeln!(
            text,
            "{id},name {id} {filler},{}.{:02}",
            id % 1000,
            id % 100
        )
        .unwrap();
    }
    text
}

const COLUMNS: &str = "id integer not null, name text not null, price numeric(8,2)";

/// The report's entry for the table.
fn table(ended: &serde_json::Value) -> serde_json::Value {
    ended["datasets"][0]["tables"][0].clone()
}

fn run_json(project: &Project) -> serde_json::Value {
    project
        .overnight(&["run", &project.name, "--json"])
        .code(0)
        .json()
}

/// Count, sum and a digest of all rows.
const CONTENTS: &str = "select count(*) || ' ' || sum(id) || ' ' || sum(price) || ' ' || count(distinct name) from item";

fn contents(count: usize) -> String {
    let ids = || 0..count;
    let cents: usize = ids().map(|id| id % 1000 * 100 + id % 100).sum();
    let sum: usize = ids().sum();
    format!("{count} {sum} {}.{:02} {count}", cents / 100, cents % 100)
}

/// Tables that are not frozen and marked visible to the last page. Other stories use up transaction
/// numbers of the same server meanwhile. From PostgreSQL 16 on several sessions extend a table by
/// many pages at once, and those that stay empty are never marked.
const UNFROZEN: &str = "select coalesce(string_agg(relname, ' '), 'none') from pg_class
     where relkind = 'r' and relnamespace = 'public'::regnamespace
       and (relallvisible < pg_relation_size(oid) / 8192
                - case when current_setting('server_version_num')::int < 160000 then 0 else 128 end
            or age(relfrozenxid) > 100000)";

#[test]
fn several_connections_load_one_big_table_and_lose_nothing() {
    let tables = format!("create table item ({COLUMNS}, primary key (id));\n");
    let mut project = project("streams_several", &tables, "");
    // So many workers that both objects are read at once.
    project.env.push(("OVERNIGHT_WORKERS".into(), "8".into()));
    // Two objects of 17 MiB each: together more than one connection is good for.
    let half = 45_000;
    let filler = "x".repeat(380);
    project.input("items_1.csv", records(0, half, &filler));
    project.input("items_2.csv", records(half, half, &filler));
    let report = table(&run_json(&project));
    assert_eq!(report["timing"]["streams"], 2, "{report}");
    assert_eq!(project.service(CONTENTS), contents(2 * half));
    assert_eq!(project.cluster().one(&project.name, UNFROZEN), "none");
    let receipt = "select rows_loaded from overnight.loaded where table_name = 'item'";
    let receipt = project.cluster().one(&project.name, receipt);
    assert_eq!(receipt, (2 * half).to_string());
    // What the server refuses is placed, whichever connection sent it.
    project.sql(
        "schema/020_item.sql",
        "alter table item add constraint small check (id < 60000);\n",
    );
    project.refuses(1, &["items_2.csv` record ", "constraint `small`"]);
    assert_eq!(project.service(CONTENTS), contents(2 * half));
}

#[test]
fn leaves_are_loaded_frozen_and_side_by_side() {
    let leaves: String = (0..5)
        .map(|n| {
            format!("create table item_{n} partition of item for values with (modulus 5, remainder {n});\n")
        })
        .collect();
    let tables = format!(
        "create table item ({COLUMNS}, primary key (id)) partition by hash (id);\n{leaves}
         create index item_name on item (name);\n"
    );
    let project = project("streams_leaves", &tables, "");
    let count = 30_000;
    project.input(
        "items.csv",
        records(0, count, "of some length for a megabyte of it"),
    );
    let report = table(&run_json(&project));
    assert_eq!(report["timing"]["streams"], 2, "{report}");
    assert_eq!(project.service(CONTENTS), contents(count));
    let filled = "select count(distinct tableoid) from item";
    assert_eq!(project.service(filled), "5");
    assert_eq!(project.cluster().one(&project.name, UNFROZEN), "none");
}

#[test]
fn a_row_that_a_leaf_refuses_is_placed_at_its_record() {
    let tables = format!("create table item ({COLUMNS}) partition by list ((id)) ;\n");
    // An expression in the key: the server routes. Then a plain key: we do.
    for (number, key) in ["(price + 0)", "price"].iter().enumerate() {
        let tables = tables.replace("list ((id))", &format!("range ({key})"));
        let tables = format!(
            "{tables}create table item_low partition of item for values from (minvalue) to (500);
             create table item_high partition of item for values from (500) to (maxvalue);
             alter table item add constraint canary check (name <> 'canary');\n"
        );
        let project = project(&format!("streams_refused_{number}"), &tables, "");
        let mut text = records(0, 30_000, "of some length for a megabyte of it");
        // Every record before it is whole, and leaves alternate.
        text += "30000,canary,499.00\n30001,fine,700.00\n";
        project.input("items.csv", text);
        let ended = project.refuses(
            1,
            &[
                "`streams_refused_",
                "items.csv` record 30,001",
                "constraint `canary`",
            ],
        );
        assert!(!ended.stderr.contains("499"), "{}", ended.stderr);
    }
}

/// Rows in the heap that belong before the one in front of them.
const DESCENTS: &str = "select count(*) from (select id, lag(id) over (order by ctid) as before from item) r where id < before";

#[test]
fn order_by_sorts_the_rows_in_little_memory() {
    let tables = format!("create table item ({COLUMNS}, primary key (id));\n");
    let mut project = project("streams_sorted", &tables, "order_by = [\"id\"]\n");
    project.env.push(("OVERNIGHT_MEMORY".into(), "2MiB".into()));
    project.env.push(("OVERNIGHT_CHUNK".into(), "16KiB".into()));
    let count = 60_000;
    let text = records(0, count, "of some length");
    let (first, second) = text.split_at(text[..text.len() / 2].rfind('\n').unwrap() + 1);
    project.input("items_1.csv", first);
    project.input("items_2.csv", format!("id,name,price\n{second}"));
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    project.env.push(("OVERNIGHT_TEMPORARY".into(), place));
    let report = table(&run_json(&project));
    assert_eq!(report["order"]["sorted"], true, "{report}");
    assert_eq!(report["order"]["columns"], serde_json::json!(["id"]));
    assert!(
        report["order"]["descents"].as_u64() > Some(5_000),
        "{report}"
    );
    assert_eq!(project.service(CONTENTS), contents(count));
    assert_eq!(project.service(DESCENTS), "0");
    // Nothing is left in the folder, and nothing was visible there.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn rows_that_do_not_come_in_key_order_are_reported() {
    let tables = format!("create table item ({COLUMNS}, primary key (id));\n");
    // The nights have nothing in common.
    let project = project("streams_order", &tables, "[expect]\nprofile = \"off\"\n");
    project.input("items.csv", records(0, 20_000, "of some length"));
    let report = table(&run_json(&project));
    assert_eq!(report["order"]["columns"], serde_json::json!(["id"]));
    assert_eq!(report["order"]["sorted"], false);
    let descents = report["order"]["descents"].as_u64().unwrap();
    let looked_at = report["order"]["looked_at"].as_u64().unwrap();
    assert!(descents > 100 && looked_at > descents, "{report}");

    let mut text = String::from("id,name,price\n");
    for id in 0..20_000 {
        writeln!(text, "{id},name {id},1.00").unwrap();
    }
    project.input("items.csv", text);
    let report = table(&run_json(&project));
    assert_eq!(report["order"]["descents"], 0, "{report}");
}

#[test]
fn an_order_that_cannot_be_is_refused_before_the_load() {
    let tables = format!("create table item ({COLUMNS}, tags json);\n");
    for (name, order_by, says) in [
        ("streams_no_column", "nothing", "names the column `nothing`"),
        (
            "streams_no_order",
            "tags",
            "rows cannot be sorted by type `json`",
        ),
    ] {
        let more = format!("order_by = [\"{order_by}\"]\n");
        let project = project(name, &tables, &more);
        project.input("items.csv", "id,name,price,tags\n1,a,1.00,{}\n");
        project.refuses(2, &[says]);
    }
}

#[test]
fn rows_and_rejects_are_the_same_whatever_runs_side_by_side() {
    let tables = format!(
        "create table item ({COLUMNS}, primary key (id)) partition by range (id);
         create table item_a partition of item for values from (0) to (9000);
         create table item_b partition of item for values from (9000) to (20000);
         create table item_c partition of item for values from (20000) to (29000);\n"
    );
    let expect = "[expect]\nrejects = { max = \"20%\" }\n";
    let mut project = project("streams_serial", &tables, expect);
    // The last thousand ids have no partition, and every 500th price is no number.
    for (file, from) in [(1, 0), (2, 10_000), (3, 20_000)] {
        let text = records(from, 10_000, "of some length for a megabyte of it");
        let text = text.replace(",500.00", ",five hundred");
        project.input(&format!("items_{file}.csv"), text);
    }
    let mut seen = Vec::new();
    for (workers, connections, chunk) in
        [("1", "1", "1MiB"), ("8", "3", "4KiB"), ("3", "2", "64KiB")]
    {
        project
            .env
            .retain(|(name, _)| name != "OVERNIGHT_CONNECTIONS");
        for (name, value) in [
            ("OVERNIGHT_WORKERS", workers),
            ("OVERNIGHT_CONNECTIONS", connections),
            ("OVERNIGHT_CHUNK", chunk),
        ] {
            project.env.push((name.into(), value.into()));
        }
        let ended = project.overnight(&["run", &project.name, "--json", "--force"]);
        let report = table(&ended.code(0).json());
        assert_eq!(report["timing"]["streams"].to_string(), connections);
        let ask = |sql: &str| project.cluster().one(&project.name, sql);
        let rows = ask("select count(*) || ' ' || sum(hashtextextended(i::text, 0)) from item i");
        let rejects = ask(
            "select string_agg(concat_ws(' ', key, record, line, byte, column_name, reason), E'\n' order by key, record)
             from overnight.reject",
        );
        let nowhere = rejects.matches("none of `public.item` takes it").count();
        let no_number = rejects.matches("price").count();
        assert_eq!((nowhere, no_number), (1000 - 1, 30), "{rejects}");
        seen.push((rows, rejects));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn what_a_schema_file_put_into_a_loaded_table_is_not_in_the_build() {
    // Through the parent, and sorted into leaves: neither connection truncates for itself alone.
    for (number, key) in ["(id + 0)", "id"].iter().enumerate() {
        let tables = format!(
            "create table item ({COLUMNS}) partition by range ({key});
             create table item_low partition of item for values from (minvalue) to (500);
             create table item_high partition of item for values from (500) to (maxvalue);
             insert into item values (-1, 'seed', 1.00), (700, 'seed', 1.00);\n"
        );
        let name = format!("streams_seed_{number}");
        let project = project(&name, &tables, "order_by = [\"id\"]\n");
        project.input("items.csv", records(0, 1_000, "of some length"));
        run_json(&project);
        assert_eq!(project.service(CONTENTS), contents(1_000));
        let by_leaf = "select string_agg(n::text, ' ' order by n) from
                       (select count(*) n from item group by tableoid) l";
        assert_eq!(project.service(by_leaf), "500 500");
    }
}
