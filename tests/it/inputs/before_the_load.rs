//! What fails in the first minute instead of after the load.
//!
//! Each input begins with a record that the load would refuse: an error about anything else shows
//! that the load never began.

use crate::support::Project;

const POISON: &str = "id,name,price,seen\nthe load began,x,1.00,2026-11-21\n";

#[track_caller]
fn assert_before_the_load(project: &Project, code: i32, texts: &[&str]) {
    let ended = project.refuses(code, texts);
    for sign in ["rejected", "load source"] {
        assert!(!ended.stderr.contains(sign), "{}", ended.stderr);
    }
    // What the run wrote down agrees: no table was ever begun.
    assert_eq!(
        project.ledger("select count(*) from ledger.build where rows_loaded is not null"),
        "0"
    );
}

#[test]
fn a_column_type_without_an_encoder_is_named() {
    for (dataset, column_type) in [
        ("early_money", "money"),
        ("early_xml", "xml"),
        ("early_range", "int4range"),
        ("early_point", "point"),
        ("early_bits", "bit(3)"),
        ("early_arrays", "money[]"),
    ] {
        let project = Project::with_schema(
            dataset,
            &format!(
                "create table item (id integer, name text, price {column_type}, seen date);\n"
            ),
            "table = \"item\"\nfiles = \"items*\"\n",
        );
        project.input("items.csv", POISON);
        assert_before_the_load(
            &project,
            2,
            &[
                &format!("column `price` of `item` has type {column_type}"),
                "hint: change the column's type, or list it under `absent`",
            ],
        );
        assert!(project.databases().is_empty());
    }
}

#[test]
fn sql_that_would_fail_after_the_load_is_found_by_the_rehearsal() {
    let project = Project::new("early_sql");
    project.input("items.csv", POISON);
    project.sql(
        "derive/110_totals.sql",
        "-- totals\ncreate table total as\nselect sum(prize) from item;\n",
    );
    assert_before_the_load(
        &project,
        2,
        &[
            "rehearse on the empty tables",
            "110_totals.sql` line ",
            "column \"prize\" does not exist",
            "SQLSTATE 42703",
        ],
    );
    // A file that needs what an earlier one makes is rehearsed after it.
    project.sql(
        "derive/110_totals.sql",
        "create table total as select sum(price) from item;\n",
    );
    project.sql(
        "derive/120_more.sql",
        "insert into total select count(*) from item;\ninsert into totl values (1);\n",
    );
    assert_before_the_load(
        &project,
        2,
        &["120_more.sql` line 2", "relation \"totl\" does not exist"],
    );
    std::fs::remove_file(project.path("sql/early_sql/derive/120_more.sql")).unwrap();
    project.sql(
        "checks/010_names.sql",
        "select id from item where nmae = '';\n",
    );
    assert_before_the_load(
        &project,
        2,
        &["010_names.sql` line 1", "column \"nmae\" does not exist"],
    );
    assert!(project.databases().is_empty());
}

#[test]
fn a_schema_file_that_fails_names_its_line() {
    let project = Project::new("early_schema");
    project.input("items.csv", POISON);
    project.sql(
        "schema/020_more.sql",
        "create table fine (id integer);\n\ncreate table wrong (id intger);\n",
    );
    assert_before_the_load(
        &project,
        2,
        &[
            "020_more.sql` line 3",
            "type \"intger\" does not exist",
            "SQLSTATE 42704",
        ],
    );
}
