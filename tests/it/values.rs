//! Every rule about the values of a column, once: what it loads, and what it says where it does not.

use crate::support::Project;

/// A column with its rule, and for each of three records the text and what it becomes; then a text
/// that the rule refuses and what is said of it.
struct Column {
    name: &'static str,
    ty: &'static str,
    rule: &'static str,
    texts: [&'static str; 3],
    values: [&'static str; 3],
    wrong: &'static str,
    said: &'static str,
}

const fn column(
    name: &'static str,
    ty: &'static str,
    rule: &'static str,
    texts: [&'static str; 3],
    values: [&'static str; 3],
    wrong: &'static str,
    said: &'static str,
) -> Column {
    Column {
        name,
        ty,
        rule,
        texts,
        values,
        wrong,
        said,
    }
}

const COLUMNS: &[Column] = &[
    column(
        "trimmed",
        "varchar(3)",
        "trim = true",
        ["  a b ", "   ", "x\u{a0}"],
        ["a b", "∅", "x"],
        " a b c ",
        "is longer than 3 characters, expected at most 3 characters",
    ),
    column(
        "trimmed_left",
        "varchar(3)",
        "trim = \"left\"",
        ["  a ", "a", "  "],
        ["a ", "a", "∅"],
        "canary",
        "is longer than 3 characters, expected at most 3 characters",
    ),
    column(
        "bare",
        "varchar(3)",
        "null = [\"\", \".\", \" \", \"Not Applicable\"]",
        ["Not Applicable", " ", "NA"],
        ["∅", "∅", "NA"],
        "canary",
        "is longer than 3 characters, expected at most 3 characters",
    ),
    column(
        "unquoted_null",
        "varchar(3)",
        "null_quoted = false",
        ["\"NA\"", "NA", "\"\""],
        ["NA", "∅", ""],
        "canary",
        "is longer than 3 characters, expected at most 3 characters",
    ),
    column(
        "flag",
        "boolean",
        "parse = \"boolean\", true = [\"Y\", \"Ja\"], false = [\"N\"]",
        ["Ja", "N", ""],
        ["true", "false", "∅"],
        "y",
        "is none of the words for true and false, expected one of Y, Ja, N",
    ),
    column(
        "whole",
        "bigint",
        "parse = \"integer\", thousands = \",\"",
        ["1,234,567", "-12", " 007 "],
        ["1234567", "-12", "7"],
        "12,34",
        "is not an integer of the declared form, expected a whole number such as 1234, groups of three digits set apart by `,`",
    ),
    column(
        "european",
        "numeric(12,2)",
        "parse = \"decimal\", thousands = \".\", decimal_point = \",\"",
        ["1.234,50", "0,5", "-7"],
        ["1234.50", "0.50", "-7.00"],
        "12.50",
        "is not a number of the declared form, expected a number such as 12,50, groups of three digits set apart by `.`",
    ),
    column(
        "money",
        "numeric(12,2)",
        "parse = \"money\"",
        ["$1,234.00 ", "($60.80)", "0"],
        ["1234.00", "-60.80", "0.00"],
        "60.80 EUR",
        "is not an amount, expected an amount such as $1,234.00 or ($60.80)",
    ),
    column(
        "share",
        "numeric(8,5)",
        "parse = \"percent\"",
        ["12.5%", "100 %", "-0.25%"],
        ["0.12500", "1.00000", "-0.00250"],
        "12.5",
        "is not a percentage of the declared form, expected a number such as 12.50%",
    ),
    column(
        "implied",
        "numeric(10,2)",
        "parse = \"decimal\", implied_decimals = 2",
        ["0001250", "5", "-199"],
        ["12.50", "0.05", "-1.99"],
        "12.50",
        "is not a number of the declared form, expected digits alone, the last 2 of them behind the point",
    ),
    column(
        "sign_behind",
        "numeric(10,2)",
        "parse = \"decimal\", sign = \"trailing\"",
        ["12.50-", "12.50+", "3"],
        ["-12.50", "12.50", "3.00"],
        "-12.50",
        "is not a number of the declared form, expected a number such as 12.50, the sign behind the digits",
    ),
    column(
        "punched",
        "numeric(10,2)",
        "parse = \"decimal\", sign = \"overpunch\", implied_decimals = 2",
        ["0001250}", "12C", "7R"],
        ["-125.00", "1.23", "-0.79"],
        "12S",
        "is not a number of the declared form, expected digits alone, the last 2 of them behind the point, the sign in the last digit ({ABCDEFGHI or }JKLMNOPQR)",
    ),
    column(
        "day",
        "date",
        "parse = \"date\", pattern = \"DD-MON-YYYY\"",
        ["21-NOV-2026", "29-feb-2024", "NA"],
        ["2026-11-21", "2024-02-29", "∅"],
        "29-FEB-2026",
        "is not a date that exists, expected a date as DD-MON-YYYY",
    ),
    column(
        "short_day",
        "date",
        "parse = \"date\", pattern = \"MM/DD/YY\", pivot = 30",
        ["11/21/29", "11/21/30", "01/01/00"],
        ["2029-11-21", "1930-11-21", "2000-01-01"],
        "2026-11-21",
        "is not a date of the declared form, expected a date as MM/DD/YY",
    ),
    column(
        "clock",
        "time",
        "parse = \"time\", pattern = \"FMHH12:MI AM\"",
        ["5:10 PM", "12:00 am", "11:59 AM"],
        ["17:10:00", "00:00:00", "11:59:00"],
        "17:10",
        "is not a time of day of the declared form, expected a time of day as FMHH12:MI AM",
    ),
    column(
        "stamp",
        "timestamp",
        "parse = \"timestamp\", pattern = 'YYYYMMDD\"T\"HH24MISS.FMUS'",
        [
            "20261121T051002.5",
            "20261121T000000.000001",
            "20000229T235959.0",
        ],
        [
            "2026-11-21 05:10:02.5",
            "2026-11-21 00:00:00.000001",
            "2000-02-29 23:59:59",
        ],
        "20261121T250000.0",
        "is not a timestamp that exists, expected a timestamp as YYYYMMDD\"T\"HH24MISS.FMUS",
    ),
    column(
        "instant",
        "timestamptz",
        "parse = \"timestamp\", pattern = \"YYYY-MM-DD HH24:MITZH\"",
        [
            "2026-11-21 05:10+02",
            "2026-11-21 05:10-05",
            "2026-11-21 05:10+00",
        ],
        [
            "2026-11-21 03:10:00",
            "2026-11-21 10:10:00",
            "2026-11-21 05:10:00",
        ],
        "2026-11-21 05:10",
        "is not a timestamp of the declared form, expected a timestamp as YYYY-MM-DD HH24:MITZH",
    ),
    column(
        "here",
        "timestamptz",
        "zone = \"America/New_York\", ambiguous = \"later\"",
        [
            "2026-11-01 01:30:00",
            "2026-07-04 05:10",
            "2026-07-04T05:10:00Z",
        ],
        [
            "2026-11-01 06:30:00",
            "2026-07-04 09:10:00",
            "2026-07-04 05:10:00",
        ],
        "2026-03-08 02:30:00",
        "is a time that the clocks left out (`skipped` may say how to read it), expected a timestamp on the clock of America/New_York",
    ),
    column(
        "there",
        "timestamptz",
        "parse = \"timestamp\", pattern = \"DD.MM.YYYY HH24:MI\", zone = \"Europe/Zurich\"",
        ["04.07.2026 05:10", "21.11.2026 05:10", ""],
        ["2026-07-04 03:10:00", "2026-11-21 04:10:00", "∅"],
        "25.10.2026 02:30",
        "is a time that the clocks showed twice (`ambiguous` may say which), expected a timestamp as DD.MM.YYYY HH24:MI on the clock of Europe/Zurich",
    ),
    column(
        "seconds",
        "timestamptz",
        "parse = \"epoch\"",
        ["1795237802", "-1", "0.25"],
        [
            "2026-11-21 05:10:02",
            "1969-12-31 23:59:59",
            "1970-01-01 00:00:00.25",
        ],
        "1795237802000",
        "is not a number of such units of time, expected seconds since 1970-01-01 00:00 UTC",
    ),
    column(
        "millis",
        "timestamp",
        "parse = \"epoch\", unit = \"milliseconds\"",
        ["1795237802007", "0", ""],
        ["2026-11-21 05:10:02.007", "1970-01-01 00:00:00", "∅"],
        "yesterday",
        "is not a number of such units of time, expected milliseconds since 1970-01-01 00:00 UTC",
    ),
    column(
        "ndc",
        "varchar(11)",
        "trim = true, pad = { with = \"0\", to = 11 }",
        ["12345", " 1 ", "12345678901"],
        ["00000012345", "00000000001", "12345678901"],
        "123456789012",
        "is longer than 11 characters, expected at most 11 characters",
    ),
    column(
        "tags",
        "text[]",
        "trim = true, split = \";\"",
        ["a; b\\\"c,{d};NA", "one", ""],
        ["{a,\"b\\\\\\\"c,{d}\",NULL}", "{one}", "∅"],
        "a\0b",
        "holds a NUL character, expected text without U+0000",
    ),
    column(
        "days",
        "date[]",
        "split = \", \", parse = \"date\", pattern = \"YYYYMMDD\"",
        ["20261121, 20270101", "20261121", ""],
        ["{2026-11-21,2027-01-01}", "{2026-11-21}", "∅"],
        "20261121,20270101",
        "is not a date of the declared form, expected a date as YYYYMMDD",
    ),
    column(
        "shout",
        "varchar(6)",
        "case = \"upper\"",
        ["straß", "a1", "é"],
        ["STRASS", "A1", "É"],
        "straße",
        "is longer than 6 characters, expected at most 6 characters",
    ),
    column(
        "status",
        "text",
        "case = \"lower\", lookup = { a = \"active\", u = \"\" }",
        ["A", "a", "U"],
        ["active", "active", "∅"],
        "x",
        "is not in the lookup table, expected a text that its `lookup` lists",
    ),
    column(
        "state",
        "text",
        "lookup = \"states.csv\"",
        ["OH", "NY", ""],
        ["Ohio", "New York, N.Y.", "∅"],
        "oh",
        "is not in the lookup table, expected a text that its `lookup` lists",
    ),
];

/// Columns that no field fills, or several.
const OTHERS: &str = "batch = { constant = 7 }
file = { file_name = true }
record = { record_number = true }
delivered = { key_pattern = \"values_{date}_*.txt\", parse = \"date\", pattern = \"YYYYMMDD\" }
full_name = { concat = [\"First\", \"LAST\"], separator = \" \", trim = true, case = \"upper\" }
";

fn header() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    format!("{}|First|LAST\n", names.join("|"))
}

fn record(field: impl Fn(&Column) -> &'static str, names: &str) -> String {
    let fields: Vec<&str> = COLUMNS.iter().map(field).collect();
    format!("{}|{names}\n", fields.join("|"))
}

fn project(name: &str) -> Project {
    let columns: String = COLUMNS
        .iter()
        .map(|column| format!("    {} {},\n", column.name, column.ty))
        .collect();
    let rules: String = COLUMNS
        .iter()
        .map(|column| format!("{} = {{ {} }}\n", column.name, column.rule))
        .collect();
    let project = Project::with_schema(
        name,
        &format!(
            "create table item (\n{columns}    batch smallint not null, file text not null, record bigint,\n    delivered date not null, full_name varchar(20), primary key (file, record)\n);\n"
        ),
        &format!(
            "table = \"item\"\nfiles = \"values_*.txt\"\n[format]\ndelimiter = \"|\"\nnull = [\"\", \"NA\"]\n[columns]\n{rules}{OTHERS}[expect]\nrejects = {{ max = \"99%\" }}\n"
        ),
    );
    project.write(
        &format!("sources/{name}/states.csv"),
        "from,to\nOH,Ohio\nNY,\"New York, N.Y.\"\n",
    );
    project
}

#[test]
fn every_rule_loads_the_value_that_was_meant() {
    for (name, chunk) in [("values_whole", "1MiB"), ("values_cut", "700B")] {
        let mut project = project(name);
        project.env.push(("OVERNIGHT_CHUNK".into(), chunk.into()));
        let names = ["Ada|Lovelace", " Grace | ", "|"];
        let records: Vec<String> = (0..3)
            .map(|index| record(|column| column.texts[index], names[index]))
            .collect();
        // The first file once more without a quote in it: the same rows on the way of plain text.
        let plain = records.concat().replace('"', "");
        project.input("values_20261121_a.txt", header() + &records.concat());
        project.input("values_20261122_b.txt", header() + &plain + &records[0]);
        project.run().code(0);

        let of_file = |file: &str, column: &str| {
            let shown = match COLUMNS.iter().find(|c| c.name == column) {
                Some(Column {
                    ty: "timestamptz", ..
                }) => format!("({column} at time zone 'UTC')"),
                _ => column.to_owned(),
            };
            let sql = format!(
                "select string_agg(coalesce({shown}::text, '∅'), ' | ' order by record) from item where file = '{file}'"
            );
            project.service(&sql)
        };
        for column in COLUMNS {
            let found = of_file("values_20261121_a.txt", column.name);
            assert_eq!(found, column.values.join(" | "), "{chunk}: {}", column.name);
            // Where quotes mean nothing, the other file says the same.
            if !column.texts.concat().contains('"') {
                let again = of_file("values_20261122_b.txt", column.name);
                assert_eq!(
                    again,
                    format!("{found} | {}", column.values[0]),
                    "{chunk}: {}",
                    column.name
                );
            }
        }
        for (column, one, other) in [
            ("batch", "7 | 7 | 7", "7 | 7 | 7 | 7"),
            ("record", "1 | 2 | 3", "1 | 2 | 3 | 4"),
            (
                "delivered",
                "2026-11-21 | 2026-11-21 | 2026-11-21",
                "2026-11-22 | 2026-11-22 | 2026-11-22 | 2026-11-22",
            ),
            (
                "full_name",
                "ADA LOVELACE | GRACE | ∅",
                "ADA LOVELACE | GRACE | ∅ | ADA LOVELACE",
            ),
        ] {
            assert_eq!(of_file("values_20261121_a.txt", column), one, "{chunk}");
            assert_eq!(of_file("values_20261122_b.txt", column), other, "{chunk}");
        }
    }
}

#[test]
fn a_value_that_a_rule_refuses_is_listed_with_its_place_and_all_others_of_its_record() {
    for (name, chunk) in [("values_wrong", "1MiB"), ("values_wrong_cut", "700B")] {
        let mut project = project(name);
        project.env.push(("OVERNIGHT_CHUNK".into(), chunk.into()));
        let mut file = header();
        let mut expected = Vec::new();
        let good = |column: &Column| column.texts[1];
        // One record for each column with one fault, and a good one between them.
        for (index, wrong) in COLUMNS.iter().enumerate() {
            expected.push(format!(
                "{} {} {} {} {}",
                2 * index + 1,
                2 * index + 2,
                file.len(),
                wrong.name,
                wrong.said
            ));
            file += &record(
                |column| match column.name == wrong.name {
                    true => wrong.wrong,
                    false => good(column),
                },
                "A|B",
            );
            file += &record(good, "A|B");
        }
        // And one in which everything is wrong that can be.
        let place = format!(
            "{} {} {}",
            2 * COLUMNS.len() + 1,
            2 * COLUMNS.len() + 2,
            file.len()
        );
        for wrong in COLUMNS {
            expected.push(format!("{place} {} {}", wrong.name, wrong.said));
        }
        expected.push(format!(
            "{place} full_name is longer than 20 characters, expected at most 20 characters"
        ));
        file += &record(|column| column.wrong, "canary with a long|family name");
        project.input("values_20261121_a.txt", file);
        project.run().code(0);
        let rows = project
            .cluster()
            .sql(
                &project.name,
                "select concat_ws(' ', record, line, byte, column_name, reason) from overnight.reject order by ctid",
            )
            .unwrap();
        let found: Vec<String> = rows.into_iter().filter_map(|row| row[0].clone()).collect();
        assert_eq!(found, expected, "{chunk}");
        // A record with many faults is one rejected record.
        assert_eq!(
            project.service(
                "select concat_ws(' ', records_read, rows_loaded, rejected) from overnight.input"
            ),
            format!(
                "{} {} {}",
                2 * COLUMNS.len() + 1,
                COLUMNS.len(),
                COLUMNS.len() + 1
            )
        );
        // The good ones have the numbers of their records.
        assert_eq!(
            project.service("select string_agg(record::text, ' ' order by record) from item"),
            (1..=COLUMNS.len())
                .map(|index| (2 * index).to_string())
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
}

#[test]
fn rules_that_fit_neither_each_other_nor_the_table_stop_before_anything_is_loaded() {
    let project = Project::new("values_config");
    project.items(1, "x");
    let source = |rules: &str| {
        project.source(
            "item",
            &format!("table = \"item\"\nfiles = \"items*\"\n[columns]\n{rules}\n"),
        );
    };
    // Without a server.
    for (rules, texts) in [
        (
            "price = { implied_decimals = 2 }",
            [
                "column `price`",
                "`implied_decimals` goes with `parse = \"decimal\"`",
            ],
        ),
        (
            "name = { constant = \"x\", from = \"NAME\" }",
            ["column `name`", "`from` and `constant` exclude each other"],
        ),
        (
            "seen = { parse = \"date\", pattern = \"MM/DD/YY\" }",
            ["column `seen`", "needs `pivot`"],
        ),
        (
            "name = { lookup = \"names.csv\" }",
            ["column `name`", "names.csv"],
        ),
        (
            "price = { parse = \"hex\" }",
            ["line 4", "unknown word `hex`"],
        ),
    ] {
        source(rules);
        project.overnight(&["check"]).code(2).says(&texts);
        project.refuses(2, &texts);
    }
    // With the types of the columns.
    for (rules, texts) in [
        (
            "name = { parse = \"decimal\" }",
            [
                "column `name` of `item` has type text",
                "`parse = \"decimal\"` is for number columns",
            ],
        ),
        (
            "name = { split = \";\" }",
            ["column `name` of `item`", "`split` is for array columns"],
        ),
        (
            "seen = { constant = \"soon\" }",
            [
                "column `seen` of `item`",
                "`constant = \"soon\"` is not a date, expected a date such as",
            ],
        ),
        (
            "seen = { parse = \"timestamp\", pattern = \"YYYYMMDDHH24MI\" }",
            [
                "column `seen` of `item` has type date",
                "for a date write `parse = \"date\"`",
            ],
        ),
        (
            "name = { record_number = true }",
            [
                "column `name` of `item`",
                "`record_number` is for number columns",
            ],
        ),
    ] {
        source(rules);
        project.refuses(2, &texts);
    }
    // With the keys of the objects.
    for (rules, texts) in [
        (
            "name = { key_pattern = \"prices_{date}.csv\" }",
            [
                "`values_config/items.csv` does not fit `key_pattern",
                "column `name`",
            ],
        ),
        (
            "seen = { key_pattern = \"{date}.csv\", parse = \"date\", pattern = \"YYYYMMDD\" }",
            [
                "part of the key `values_config/items.csv` for column `seen`",
                "expected a date as YYYYMMDD",
            ],
        ),
    ] {
        source(&format!("{rules}\n"));
        project.source(
            "item",
            &format!(
                "table = \"item\"\nfiles = \"items*\"\nignore = [\"name\", \"seen\"]\n[columns]\n{rules}\n"
            ),
        );
        project.refuses(1, &texts);
    }
    // A table that nothing names would be forgotten without a word.
    source("");
    project.write("sources/values_config/names.csv", "from,to\na,b\n");
    project
        .overnight(&["check"])
        .code(2)
        .says(&["no source names the file `"]);
}

#[test]
fn a_lookup_table_that_changes_makes_another_build() {
    let project = project("values_lookup");
    project.input(
        "values_20261121_a.txt",
        header() + &record(|column| column.texts[1], "A|B"),
    );
    project.run().code(0);
    assert_eq!(project.service("select state from item"), "New York, N.Y.");
    let live = project.live();
    project.write(
        "sources/values_lookup/states.csv",
        "from,to\nOH,Ohio\nNY,New York\n",
    );
    project.run().code(0);
    assert_ne!(project.live(), live);
    assert_eq!(project.service("select state from item"), "New York");
}
