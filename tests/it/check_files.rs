//! `check --files` reads the raw files without a server and says what a load would do.

use crate::support::Project;
use std::process::Command;

const ITEMS: &str = "create type grade as enum ('a', 'b');
create domain cents as integer not null;
create table item (id bigint generated always as identity primary key, code char(3) not null, made date, grade grade, cents cents, spot point);\n";

/// A project whose commands know no server at all.
fn check(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.command(&[&["check", &project.name], arguments].concat());
    command.env("OVERNIGHT_TARGET", "postgres://nobody@127.0.0.1:1/none");
    command
}

fn items(rows: usize, wrong: &[usize]) -> String {
    let mut text = String::from("code,made,grade,cents,spot\n");
    for row in 1..=rows {
        text += match wrong.contains(&row) {
            true => "abcd,2026-02-30,a,1,\n",
            false => "abc,2026-02-28,b,7,\"(1,2)\"\n",
        };
    }
    text
}

#[test]
fn objects_that_carry_no_checksum_are_counted() {
    let source = "table = \"item\"\nfiles = \"items*.csv*\"\n";
    let project = Project::with_schema("check_sums", ITEMS, source);
    project.input(
        "items_1.csv.gz",
        crate::inputs::gzip(items(5, &[]).as_bytes()),
    );
    // The encoder writes no checksum into a frame unless it is asked to.
    let framed = zstd::encode_all(items(5, &[]).as_bytes(), 3).unwrap();
    project.input("items_2.csv.zst", framed);
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, items(5, &[]).as_bytes()).unwrap();
    project.input("items_3.csv.zst", encoder.finish().unwrap());
    project.input("items_4.csv", items(5, &[]));
    Project::finish(&mut check(&project, &["--files"]))
        .code(0)
        .says(&["source `item`: 2 of 4 objects carry no checksum, neither the store's nor their own, such as `check_sums/items_2.csv.zst`"]);
    std::fs::remove_file(project.path("in/check_sums/items_2.csv.zst")).unwrap();
    std::fs::remove_file(project.path("in/check_sums/items_4.csv")).unwrap();
    let told = Project::finish(&mut check(&project, &["--files"])).code(0);
    assert!(!told.stderr.contains("checksum"), "{}", told.stderr);
}

#[test]
fn what_would_be_loaded_and_rejected_is_said_without_a_server() {
    let source = "table = \"item\"\nfiles = \"items*.csv*\"\n[expect]\nrejects = { max = 1 }\n";
    let project = Project::with_schema("check_files", ITEMS, source);
    project.input("items_1.csv", items(2_000, &[]));
    project.input("items_2.csv", items(50, &[7]));
    let told = Project::finish(&mut check(&project, &["--files"])).code(0);
    let row = |words: &[&str], text: &str| {
        let mut lines = text.lines();
        lines.any(|line| line.split_whitespace().collect::<Vec<_>>() == words)
    };
    assert!(
        row(
            &["item", "item", "2", "2,050", "2,049", "1", "0"],
            &told.stdout
        ),
        "{}",
        told.stdout
    );
    told.says(&[
        "`check_files/items_2.csv` record 7, line 8",
        "column `spot` of `item` has the type point",
    ]);

    // Both ways of reading agree, and the list says what a run's list says.
    let file = project.path("rejects.csv");
    let file = file.to_str().unwrap();
    let arguments = ["--self-check", "--rejects", file];
    Project::finish(&mut check(&project, &arguments)).code(0);
    let listed = std::fs::read_to_string(file).unwrap();
    let of_run = project.path("rejects_of_run.csv");
    project.sql("schema/020_no_point.sql", "-- The loader cannot write a point.\nalter table item drop column spot;\nalter table item add column spot text;\n");
    project
        .overnight(&["run", &project.name, "--rejects", of_run.to_str().unwrap()])
        .code(0);
    assert_eq!(listed, std::fs::read_to_string(of_run).unwrap());
    assert!(listed.contains("items_2.csv"), "{listed}");
}

#[test]
fn over_the_budget_it_is_a_refusal_and_a_file_that_does_not_fit_names_the_fix() {
    let source = "table = \"item\"\nfiles = \"items*.csv\"\n";
    let project = Project::with_schema("check_budget", ITEMS, source);
    project.input("items.csv", items(10, &[3]));
    Project::finish(&mut check(&project, &["--files"]))
        .code(1)
        .says(&["record 3, line 4", "the budget is none"]);
    project.input("items.csv", "code,when\nabc,1\n");
    Project::finish(&mut check(&project, &["--files"]))
        .code(1)
        .says(&[
            "columns that the file lacks: made",
            "map a name under [columns]",
        ]);
    Project::finish(&mut check(&project, &["--rejects", "/dev/null"])).code(2);
}
