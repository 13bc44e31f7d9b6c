//! A proposal is run as it was written: what `infer` says of a file must load it without a change.

use crate::inputs::{gzip, zstd};
use crate::support::Project;
use std::io::Write;

/// Puts the file into a folder of its own, proposes, and runs what was proposed.
#[track_caller]
fn proposed(dataset: &str, file: &str, bytes: &[u8]) -> Project {
    let project = empty(dataset);
    project.input(file, bytes);
    let from = project.path(&format!("in/{dataset}"));
    let place = from.join(file).display().to_string();
    project.overnight(&["infer", &place, "--name", dataset, "--out", "."]).code(0);
    let from = from.display().to_string();
    project.overnight(&["run", dataset, "--from", &from]).code(0);
    project
}

/// A project without a dataset.
fn empty(dataset: &str) -> Project {
    let project = Project::new(dataset);
    for folder in ["sources", "sql"] {
        std::fs::remove_dir_all(project.path(&format!("{folder}/{dataset}"))).unwrap();
    }
    project
}

/// The first value of a query on the published build.
#[track_caller]
fn ask(project: &Project, sql: &str) -> String {
    project.cluster().one(&project.name, sql)
}

/// Every row with every column as JSON.
#[track_caller]
fn rows(project: &Project, table: &str) -> String {
    ask(project, &format!("select string_agg(t::text, E'\\n' order by t::text) from {table} t"))
}

/// Name and type of every column.
#[track_caller]
fn types(project: &Project, table: &str) -> String {
    ask(
        project,
        &format!(
            "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
             from pg_attribute where attrelid = '{table}'::regclass and attnum > 0"
        ),
    )
}

#[test]
fn a_table_of_every_type_loads_as_proposed() {
    let mut text = String::from("NDC,Unit Cost,Qty,Sold on,At,Active,Order,Remark\n");
    for row in 1..=60 {
        let cost = if row == 7 { "NA".into() } else { format!("\"${},{:03}.{:02}\"", row, row * 3, row) };
        text += &format!(
            "{:011},{cost},{row},2026-{:02}-28,2026-01-02 03:04:05.{row:03},{},{},\"a, \"\"b\"\" {row}\"\n",
            row * 7919,
            row % 12 + 1,
            if row % 2 == 0 { "true" } else { "false" },
            row * 100_000_000u64,
        );
    }
    let project = proposed("infer_types", "sold_2026-11.csv.gz", &gzip(text.as_bytes()));
    assert_eq!(
        types(&project, "sold"),
        "ndc text, unit_cost numeric(10,2), qty integer, sold_on date, at timestamp without time zone, active boolean, order_ bigint, remark text"
    );
    assert_eq!(ask(&project, "select count(*) from sold"), "60");
    assert_eq!(ask(&project, "select count(*) from sold where unit_cost is null"), "1");
    let costs: i64 = (1..=60).filter(|row| *row != 7).map(|row| (row * 1000 + row * 3) * 100 + row).sum();
    assert_eq!(ask(&project, "select (sum(unit_cost) * 100)::bigint from sold"), costs.to_string());
    assert_eq!(ask(&project, "select remark from sold where ndc = '00000015838'"), "a, \"b\" 2");
    assert_eq!(
        ask(&project, "select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint where contype = 'p' and conrelid = 'sold'::regclass"),
        "sold PRIMARY KEY (ndc)"
    );
}

#[test]
fn dialects_load_as_proposed() {
    for (index, (bytes, expected)) in [
        (b"id|note\r\n1|5\" pipe\r\n2|\"x\r\n".to_vec(), "(1,\"5\"\" pipe\")\n(2,\"\"\"x\")"),
        (b"~1~^~caf\xE9 \x93x\x94~^2.5\r\n~2~^~~^\r\n".to_vec(), "(1,\"café “x”\",2.5)\n(2,,)"),
        (b"\xEF\xBB\xBFa;b\r1;\"x\ry\"\r2;z\r".to_vec(), "(1,\"x\ry\")\n(2,z)"),
        (b"1,x\n2,y\n3,\n".to_vec(), "(1,x)\n(2,y)\n(3,)"),
        (zstd(b"a\tb\n1\t\\N\n2\tx\n"), "(1,)\n(2,x)"),
    ]
    .into_iter()
    .enumerate()
    {
        let project = proposed(&format!("infer_dialect_{index}"), "t.txt", &bytes);
        assert_eq!(rows(&project, "t"), expected);
    }
}

#[test]
fn rows_that_do_not_fit_are_allowed_for_and_told() {
    let project = proposed("infer_rejects", "t.csv", b"a,b,c\n1,2,3\n4,5\n6,7,8\n9,10,11,12\n");
    assert_eq!(rows(&project, "t"), "(1,2,3)\n(6,7,8)");
}

#[test]
fn a_proposal_is_printed_or_written_and_never_replaces_a_file() {
    let project = empty("infer_print");
    project.input("prices 2026-11.csv", "id,price\n1,2.50\n2,3.75\n");
    let place = project.path("in/infer_print/prices 2026-11.csv").display().to_string();
    let printed = project.overnight(&["infer", &place]).code(0);
    for text in [
        "# ==> sources/prices/prices.toml",
        "# 2 of 2 have 2 fields",
        "files = \"prices 2026-11.csv\"",
        "-- ==> sql/prices/schema/010_prices.sql",
        "create table prices (",
    ] {
        assert!(printed.stdout.contains(text), "{text}:\n{}", printed.stdout);
    }
    assert!(!project.path("sources/prices").exists());
    let json = project.overnight(&["infer", &place, "--json"]).code(0).json();
    assert_eq!(json["sources"][0]["columns"][1]["sql_type"], "numeric(6,2)");
    project.overnight(&["infer", &place, "--out", "."]).code(0);
    let again = project.overnight(&["infer", &place, "--out", "."]).code(2);
    again.says(&["is there already", "nothing was written"]);
    project
        .overnight(&["infer", "in/infer_print/nothing.csv"])
        .code(2)
        .says(&["there is no file `in/infer_print/nothing.csv`"]);
    project.input("empty.csv", "\n");
    project
        .overnight(&["infer", "in/infer_print/empty.csv"])
        .code(1)
        .says(&["look at `empty.csv`: the file is empty"]);
}

#[test]
fn files_of_a_folder_that_differ_in_digits_are_one_source() {
    let project = empty("infer_folder");
    project.input("price_2026-10.csv", "id,price\n1,2.50\n");
    project.input("price_2026-11.csv", "id,price\n2,3.75\n");
    project.input("drug.txt", "code|name\nA1|x\nB2|y\nC3|z\n");
    project.input("_SUCCESS", "");
    let place = project.path("in/infer_folder").display().to_string();
    project.overnight(&["infer", &place, "--name", "infer_folder", "--out", "."]).code(0);
    project.overnight(&["run", "infer_folder", "--from", &place]).code(0);
    assert_eq!(rows(&project, "price"), "(1,2.50)\n(2,3.75)");
    assert_eq!(rows(&project, "drug"), "(A1,x)\n(B2,y)\n(C3,z)");
}
