//! Check files: how many rows may offend, and who sees which of them.

use crate::support::Project;

fn check(project: &Project, header: &str) {
    project.sql(
        "checks/010_cheap.sql",
        &format!(
            "-- Prices above 5.\n{header}\nselect id, name, price from item where price > 5;\n"
        ),
    );
}

fn finding(project: &Project, gate: &str) -> String {
    project.ledger(&format!(
        "select verdict || ': ' || finding from ledger.finding where gate = '{gate}' order by id desc limit 1"
    ))
}

#[test]
fn a_check_allows_what_its_header_says() {
    let project = Project::new("checks_max");
    project.items(10, "x");
    // Five of ten rows cost more than 5.
    check(&project, "-- overnight: max = 4");
    project.refuses(
        1,
        &["check 010_cheap.sql: 6 offending rows, at most 4 allowed"],
    );
    check(&project, "-- overnight: max = \"50%\", of = \"item\"");
    project.refuses(
        1,
        &["check 010_cheap.sql: 6 offending rows, at most 5 allowed (50% of the 10 in item)"],
    );
    check(&project, "-- overnight: max = 6");
    project.run().code(0);
    assert_eq!(
        finding(&project, "check 010_cheap.sql"),
        "passed: 6 offending rows, at most 6 allowed"
    );
    check(&project, "-- overnight: level = \"warn\"");
    project
        .overnight(&["run", &project.name, "--force"])
        .code(0)
        .says(&["6 offending rows"]);
    assert_eq!(
        finding(&project, "check 010_cheap.sql"),
        "warned: 6 offending rows"
    );
    check(
        &project,
        "-- overnight: max = \"60%\", of = \"public.item\"",
    );
    project
        .overnight(&["run", &project.name, "--force"])
        .code(0);
}

#[test]
fn rows_are_shown_only_to_whoever_asks_and_only_what_is_declared() {
    let project = Project::new("checks_sample");
    project.items(10, "canary");
    check(
        &project,
        "-- overnight: sample = 2, show = [\"id\", \"price\"], max = 10",
    );
    project.run().code(0);
    check(
        &project,
        "-- overnight: sample = 2, show = [\"id\", \"price\"]",
    );
    project.items(11, "canary");
    let refused = project.refuses(1, &["check 010_cheap.sql: 7 offending rows"]);
    let told = project.overnight(&["verify", &project.name]).code(1);
    let table = told.stdout.split("\n\n").last().unwrap();
    assert_eq!(
        table.trim_end(),
        "check 010_cheap.sql\nid  price\n 5   5.05\n 6   6.06"
    );
    let json = project
        .overnight(&["verify", &project.name, "--json"])
        .code(1)
        .json();
    assert_eq!(json["samples"][0]["rows"][1][1], "6.06");
    assert_eq!(json["samples"][0]["columns"][0], "id");
    // Nothing of a row is anywhere else.
    for text in [&refused.stderr, &refused.stdout, &told.stderr, &told.stdout] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(!refused.stderr.contains("5.05"), "{}", refused.stderr);
    let kept = project.ledger(
        // Not of the time, which may well have such digits.
        "select count(*) from ledger.finding, concat_ws(' ', gate, finding, reason) as said
         where said like '%5.05%' or said like '%canary%'",
    );
    assert_eq!(kept, "0");
}

#[test]
fn what_a_header_names_and_is_not_there_is_found_before_the_load() {
    let project = Project::new("checks_names");
    project.items(10, "x");
    check(&project, "-- overnight: show = [\"prize\"]");
    project.refuses(
        2,
        &[
            "rehearse on the empty tables",
            "010_cheap.sql` line 3: `show` in its header",
            "prize",
        ],
    );
    check(&project, "-- overnight: max = \"1%\", of = \"itme\"");
    project.refuses(2, &["010_cheap.sql` line 2: `of` in its header", "itme"]);
}

#[test]
fn check_reads_headers_without_a_server() {
    let mut project = Project::new("checks_headers");
    project.env = vec![(
        "OVERNIGHT_TARGET".into(),
        "postgres://127.0.0.1:1/none".into(),
    )];
    for (path, header, said) in [
        (
            "checks/010_a.sql",
            "-- overnight: level = \"shout\"",
            "line 1: `-- overnight: level = \"shout\"`: unknown variant `shout`",
        ),
        (
            "checks/010_a.sql",
            "-- overnight: maximum = 3",
            "line 1: `-- overnight: maximum = 3`: unknown field `maximum`",
        ),
        (
            "golden/010_a.sql",
            "-- overnight: slow = 3",
            "line 1: `-- overnight: slow = 3`: unknown field `slow`",
        ),
        (
            "derive/110_a.sql",
            "-- overnight: max = 3",
            "only files of checks/ and golden/",
        ),
        (
            "checks/010_a.sql",
            "select 1;\n-- overnight: max = 3",
            "line 2: the header `overnight: max = 3` must stand before",
        ),
    ] {
        project.sql(path, &format!("{header}\nselect 1;\n"));
        project
            .overnight(&["check", &project.name])
            .code(2)
            .says(&[said, path.rsplit('/').next().unwrap()]);
        std::fs::remove_file(project.path(&format!("sql/{}/{path}", project.name))).unwrap();
    }
    project.overnight(&["check", &project.name]).code(0);
}
