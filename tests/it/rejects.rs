//! Rejects: how many are allowed, where they are, and that none is lost.

use crate::support::Project;

const ITEMS: &str = "create table item (id integer not null, name text, price numeric(6,2));\n";

fn source(project: &Project, budget: &str) {
    project.source(
        "item",
        &format!("table = \"item\"\nfiles = \"items*.csv\"\n{budget}"),
    );
}

fn project(name: &str, budget: &str) -> Project {
    let project = Project::with_schema(name, ITEMS, "table = \"item\"\nfiles = \"items*.csv\"\n");
    source(&project, budget);
    project
}

/// So many records, of which the given ones cannot become rows.
fn items(records: usize, wrong: &[usize]) -> String {
    let mut text = String::from("id,name,price\n");
    for record in 1..=records {
        text += &match wrong.contains(&record) {
            true => format!("{record},canary,1.234\n"),
            false => format!("{record},x,1.25\n"),
        };
    }
    text
}

#[test]
fn without_a_budget_the_first_reject_ends_the_run() {
    let project = project("rejects_none", "");
    project.input("items.csv", items(100, &[40, 41, 90]));
    project.refuses(
        1,
        &[
            "the budget is none",
            "the first: `rejects_none/items.csv` record 40, line 41, byte ",
            "column `price`: value has more than 2 digits after the decimal point",
        ],
    );
    // A budget of nothing is none.
    source(&project, "[expect]\nrejects = { max = 0 }\n");
    project.refuses(1, &["the budget is at most 0", "record 40"]);
    assert!(project.databases().is_empty());
}

#[test]
fn a_budget_of_records_lets_so_many_pass_and_not_one_more() {
    let project = project("rejects_number", "[expect]\nrejects = { max = 3 }\n");
    project.input("items.csv", items(100, &[1, 50, 100]));
    let told = project.run().code(0);
    assert!(
        told.stdout.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.starts_with(&["item", "100", "97", "3", "1"])
        }),
        "{}",
        told.stdout
    );
    assert_eq!(project.service("select count(*) from item"), "97");
    let live = project.live();
    project.input("items.csv", items(100, &[1, 2, 3, 50]));
    project.refuses(
        1,
        &[
            "4 records were rejected, the budget is at most 3",
            "the first: `rejects_number/items.csv` record 1, line 2, byte 14, column `price`",
            "hint: ",
            "`item.toml`",
        ],
    );
    assert_eq!(project.live(), live);
}

#[test]
fn a_budget_of_a_share_counts_over_all_files_of_the_source() {
    let project = project("rejects_share", "[expect]\nrejects = { max = \"2%\" }\n");
    // 4 of 10 in one file, none of 190 in the other: 2 % of all.
    project.input("items_1.csv", items(10, &[1, 2, 3, 4]));
    project.input("items_2.csv", items(190, &[]));
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "196");
    project.input("items_2.csv", items(189, &[]));
    project.refuses(1, &["4 records were rejected, the budget is at most 2%"]);
}

#[test]
fn every_reject_is_listed_with_its_place_over_files_and_chunks() {
    for (name, chunk) in [("rejects_one_chunk", "1MiB"), ("rejects_many_chunks", "7B")] {
        let mut project = project(name, "[expect]\nrejects = { max = \"90%\" }\n");
        project.env.push(("OVERNIGHT_CHUNK".into(), chunk.into()));
        // Lines: the header takes two, and quoted fields hold newlines.
        let first = "id,\"name\",price\n\
            1,\"two\nlines\",1.00\n\
            2,\"two\nlines\",1.234\n\
            \n\
            x3,ok,1.00\n\
            4,ok,1.00\n\
            5,short\n\
            6,\"a\"b,1.00\n\
            7,ok,\n\
            ,null,1.00\n";
        let second = "price,id,name\r\n1.00,1,ok\r\n12345.00,2,\"ok\r\n\"\r\n1.00,3,ok\r\n";
        project.input("items_1.csv", first);
        project.input("items_2.csv", second);
        project.run().code(0);
        let rows = project
            .cluster()
            .sql(
                &project.name,
                "select source, key, record, line, byte, column_name, reason from overnight.reject order by ctid",
            )
            .unwrap();
        let found: Vec<String> = rows
            .iter()
            .map(|row| {
                let words: Vec<&str> = row
                    .iter()
                    .map(|word| word.as_deref().unwrap_or("-"))
                    .collect();
                words.join(" | ")
            })
            .collect();
        let at = |text: &str, what: &str| text.find(what).unwrap();
        let expected = [
            format!(
                "item | {name}/items_1.csv | 2 | 4 | {} | price | has more than 2 digits after the decimal point, expected at most 2 digits after the decimal point",
                at(first, "2,\"two")
            ),
            format!(
                "item | {name}/items_1.csv | 3 | 7 | {} | id | is not an integer, expected a whole number from -2147483648 to 2147483647",
                at(first, "x3")
            ),
            format!(
                "item | {name}/items_1.csv | 5 | 9 | {} | - | has 2 fields, expected 3",
                at(first, "5,short")
            ),
            format!(
                "item | {name}/items_1.csv | 6 | 10 | {} | - | text after a closing quote",
                at(first, "6,\"a\"b")
            ),
            format!(
                "item | {name}/items_1.csv | 8 | 12 | {} | id | is null, and the column is declared not null",
                at(first, ",null")
            ),
            format!(
                "item | {name}/items_2.csv | 2 | 3 | {} | price | is out of range for numeric(6,2), expected a number with at most 4 digits before the decimal point",
                at(second, "12345")
            ),
        ];
        assert_eq!(found, expected, "{chunk}");
        // Records read = loaded + rejected, for each file, and nothing else came in.
        assert_eq!(
            project.service("select string_agg(concat_ws(' ', key, records_read, rows_loaded, rejected, skipped), '; ' order by key) from overnight.input"),
            format!("{name}/items_1.csv 8 3 5 0; {name}/items_2.csv 3 2 1 0")
        );
        assert_eq!(
            project.service("select string_agg(id::text, ' ' order by ctid) from item"),
            "1 4 7 1 3"
        );
        assert_eq!(
            project.service("select rows_loaded from overnight.loaded where table_name = 'item'"),
            "5"
        );
    }
}

#[test]
fn the_file_of_rejects_lists_all_of_them_with_and_without_a_budget() {
    let project = project("rejects_file", "");
    project.input("items_1.csv", items(50, &[7, 20]));
    project.input("items_2.csv", items(50, &[50]));
    let list = |name: &str| {
        let text = std::fs::read_to_string(project.path(name)).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let line = |key: &str, record: usize| {
        let byte = items(
            record - 1,
            &(1..record)
                .filter(|r| [7, 20].contains(r) && key.contains("_1"))
                .collect::<Vec<_>>(),
        )
        .len();
        format!(
            "item,rejects_file/{key},,{record},{},{byte},price,value,has more than 2 digits after the decimal point, expected at most 2 digits after the decimal point,",
            record + 1
        )
    };
    let expected: Vec<String> = [
        "source,key,member,record,line,byte,column,kind,reason,raw".to_owned(),
        line("items_1.csv", 7),
        line("items_1.csv", 20),
        line("items_2.csv", 50),
    ]
    .to_vec();
    let unquoted = |lines: Vec<String>| -> Vec<String> {
        lines
            .into_iter()
            .map(|line| line.replace('"', ""))
            .collect()
    };

    // The run fails all the same, but it goes on to the end to list everything.
    project.refuses_to(
        &["run", &project.name, "--rejects", "without.csv"],
        1,
        &["3 records were rejected, the budget is none"],
    );
    assert_eq!(unquoted(list("without.csv")), expected);

    source(&project, "[expect]\nrejects = { max = 3 }\n");
    project
        .overnight(&["run", &project.name, "--rejects", "within.csv"])
        .code(0);
    assert_eq!(unquoted(list("within.csv")), expected);

    source(&project, "[expect]\nrejects = { max = 2 }\n");
    project.refuses_to(
        &["run", &project.name, "--rejects", "over.csv"],
        1,
        &["3 records were rejected, the budget is at most 2"],
    );
    assert_eq!(unquoted(list("over.csv")), expected);

    // A clean night leaves the head of the list, so that a reader finds the columns.
    project.input("items_1.csv", items(50, &[]));
    project.input("items_2.csv", items(50, &[]));
    project
        .overnight(&["run", &project.name, "--rejects", "clean.csv"])
        .code(0);
    assert_eq!(list("clean.csv"), expected[..1]);

    project.refuses_to(
        &[
            "run",
            &project.name,
            "--force",
            "--rejects",
            "no/such/folder.csv",
        ],
        2,
        &["create `no/such/folder.csv`"],
    );
}

#[test]
fn more_rejects_than_the_list_holds_are_counted_and_passed_when_a_record_is_traced() {
    let project = Project::with_schema(
        "rejects_many",
        "create table item (id integer check (id < 1000));\n",
        "table = \"item\"\nfiles = \"items*.csv\"\n[expect]\nrejects = { max = \"100%\" }\n",
    );
    // All of them in one chunk.
    let rejects = "x\n".repeat(150_000);
    project.input("items.csv", format!("id\n1\n{rejects}2\n"));
    project.run().code(0).says(&[
        "`item`: the first 100,000 of 150,000 rejects are listed with their places, the others only counted",
    ]);
    assert_eq!(
        project.service("select concat_ws(' ', records_read, rows_loaded, rejected, (select count(*) from overnight.reject), (select max(record) from overnight.reject)) from overnight.input"),
        "150002 2 150000 100000 100001"
    );
    project.input("items.csv", format!("id\n1\n{rejects}2000\n"));
    project.refuses(
        1,
        &["`rejects_many/items.csv` record 150,002: check constraint violated"],
    );
}

#[test]
fn records_are_shown_only_where_the_source_asks_and_faults_are_counted_by_column_and_kind() {
    let project = project("rejects_raw", "[expect]\nrejects = { max = 9 }\n");
    let text = "id,name,price\n1,\"two\nlines\",1.234\nx,canary,1.2.3\n3,caf\u{e9},1.25\n4,short\n";
    project.input("items.csv", text);
    let run = |file: &str| {
        let told = project
            .overnight(&["run", &project.name, "--force", "--rejects", file])
            .code(0);
        let file = std::fs::File::open(project.path(file)).unwrap();
        let rows = csv::Reader::from_reader(file).into_records();
        let rows: Vec<csv::StringRecord> = rows.map(Result::unwrap).collect();
        (told.stdout, rows)
    };
    let (stdout, rows) = run("without.csv");
    // All faults of a record are listed: the second has two.
    let places: Vec<_> = rows
        .iter()
        .map(|row| [&row[3], &row[4], &row[6], &row[7], &row[9]])
        .collect();
    assert_eq!(
        places,
        [
            ["1", "2", "price", "value", ""],
            ["2", "4", "id", "value", ""],
            ["2", "4", "price", "value", ""],
            ["4", "6", "", "fields", ""],
        ]
    );
    assert!(
        stdout.contains("`item` column `price`: 2 of the kind value"),
        "{stdout}"
    );
    assert!(stdout.contains("`item`: 1 of the kind fields"), "{stdout}");

    source(
        &project,
        "keep_raw = true\n[expect]\nrejects = { max = 9 }\n",
    );
    let (_, rows) = run("with.csv");
    let raw: Vec<&str> = rows.iter().map(|row| &row[9]).collect();
    assert_eq!(
        raw,
        [
            "1,\"two\nlines\",1.234",
            "x,canary,1.2.3",
            "x,canary,1.2.3",
            "4,short"
        ]
    );
    // Nowhere else: neither in the build nor in the ledger.
    let kept =
        project.service("select count(*) from overnight.reject r where r::text like '%canary%'");
    assert_eq!(kept, "0");
}

/// A row that the server refuses ends the load; what was found before is in the file.
#[test]
fn the_rejects_found_so_far_are_listed_when_the_server_refuses_a_row() {
    let project = Project::with_schema(
        "rejects_so_far",
        "create table item (id integer primary key, name text not null, price numeric(8,2) check (price < 900), seen date);",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrejects = { max = 10 }\n",
    );
    let mut text = String::from("id,name,price,seen\n");
    for id in 1..=60 {
        let price = match id {
            53 => "much",
            54 => "999",
            _ => "1",
        };
        text += &format!("{id},name,{price},2026-11-21\n");
    }
    project.input("items.csv", text);
    let file = project.path("so_far.csv");
    project
        .overnight(&["run", &project.name, "--rejects", file.to_str().unwrap()])
        .code(1)
        .says(&["1 record was rejected before", "item_price_check"]);
    let listed = std::fs::read_to_string(&file).unwrap();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("items.csv,,53,"), "{listed}");
}
