//! Records that cannot become rows, without a budget: the first one ends the run and is located.

use crate::support::Project;

const TABLE: &str = "create type grade as enum ('a', 'b');
create table item (
    id integer primary key,
    name varchar(5) not null,
    price numeric(6,2),
    seen date,
    grade grade,
    doc jsonb,
    tags integer[]
);
";
const HEADER: &str = "id,name,price,seen,grade,doc,tags\n";
const GOOD: &str = "1,good,1.00,2026-11-21,a,{},{1}\n";

/// A record in place of the second one, and what must be said of it.
struct Broken {
    record: &'static [u8],
    column: &'static str,
    reason: &'static str,
    expected: &'static str,
}

const fn broken(
    record: &'static [u8],
    column: &'static str,
    reason: &'static str,
    expected: &'static str,
) -> Broken {
    Broken {
        record,
        column,
        reason,
        expected,
    }
}

const RECORDS: &[Broken] = &[
    broken(b"2,canary\n", "", "has 2 fields", "expected 7"),
    broken(
        b"2,canar,1.00,2026-11-21,a,{},{1},more\n",
        "",
        "has 8 fields",
        "expected 7",
    ),
    broken(
        b"2,\"ca\"nary,1.00,2026-11-21,a,{},{1}\n",
        "",
        "text after a closing quote",
        "",
    ),
    broken(
        b"canary,x,1.00,2026-11-21,a,{},{1}\n",
        "id",
        "is not an integer",
        "a whole number from -2147483648 to 2147483647",
    ),
    broken(
        b"2147483648,x,1.00,2026-11-21,a,{},{1}\n",
        "id",
        "is out of range for integer",
        "a whole number from",
    ),
    broken(
        b",x,1.00,2026-11-21,a,{},{1}\n",
        "id",
        "is null",
        "declared not null",
    ),
    broken(
        b"2,,1.00,2026-11-21,a,{},{1}\n",
        "name",
        "is null",
        "declared not null",
    ),
    broken(
        b"2,canary,1.00,2026-11-21,a,{},{1}\n",
        "name",
        "is longer than 5 characters",
        "at most 5 characters",
    ),
    broken(
        b"2,ca\0ry,1.00,2026-11-21,a,{},{1}\n",
        "name",
        "holds a NUL character",
        "text without U+0000",
    ),
    broken(
        b"2,ca\xE9ry,1.00,2026-11-21,a,{},{1}\n",
        "name",
        "is not valid utf-8 at byte ",
        "",
    ),
    broken(
        b"2,x,1.005,2026-11-21,a,{},{1}\n",
        "price",
        "has more than 2 digits after the decimal point",
        "at most 2 digits after the decimal point",
    ),
    broken(
        b"2,x,10000.00,2026-11-21,a,{},{1}\n",
        "price",
        "is out of range for numeric(6,2)",
        "at most 4 digits before the decimal point",
    ),
    broken(
        b"2,x,\"12,3\",2026-11-21,a,{},{1}\n",
        "price",
        "is not a number",
        "a decimal number such as 12.50",
    ),
    broken(
        b"2,x,1.00,2026-02-29,a,{},{1}\n",
        "seen",
        "is not a date that exists",
        "a date such as",
    ),
    broken(
        b"2,x,1.00,11/21/2026,a,{},{1}\n",
        "seen",
        "is not a date",
        "a date such as",
    ),
    broken(
        b"2,x,1.00,2026-11-21,canary,{},{1}\n",
        "grade",
        "is not a label of the enum",
        "a label of the enum, spelled exactly",
    ),
    broken(
        b"2,x,1.00,2026-11-21,a,{canary},{1}\n",
        "doc",
        "is not JSON",
        "one JSON value",
    ),
    broken(
        b"2,x,1.00,2026-11-21,a,{},{canary}\n",
        "tags",
        "is not an integer",
        "a whole number from",
    ),
    broken(
        b"2,x,1.00,2026-11-21,a,{},{{1}}\n",
        "tags",
        "is not a one-dimensional array",
        "a one-dimensional array such as",
    ),
];

#[test]
fn a_record_that_cannot_be_a_row_ends_the_run_with_its_place_and_leaves_no_trace() {
    let project = Project::with_schema(
        "records_broken",
        TABLE,
        "table = \"item\"\nfiles = \"items.csv\"\n",
    );
    project.input("items.csv", format!("{HEADER}{GOOD}"));
    project.run().code(0);
    let live = project.live();
    let byte = HEADER.len() + GOOD.len();
    for case in RECORDS {
        let bytes = [
            HEADER.as_bytes(),
            GOOD.as_bytes(),
            case.record,
            b"3,last,,,,,\n",
        ]
        .concat();
        project.input("items.csv", bytes);
        let place = format!("`records_broken/items.csv` record 2, line 3, byte {byte}");
        let column = match case.column {
            "" => ": record".to_owned(),
            column => format!("column `{column}`: value"),
        };
        let ended = project.refuses(
            1,
            &[
                "load source `item` into `records_broken_",
                "1 record was rejected, the budget is none",
                &place,
                &column,
                case.reason,
                case.expected,
                "`overnight run --rejects FILE` lists them",
            ],
        );
        for value in ["canar", "1.005", "10000", "12,3", "02-29", "11/21"] {
            assert!(!ended.stderr.contains(value), "{value}: {}", ended.stderr);
        }
    }
    assert_eq!(project.live(), live);
    assert_eq!(
        project.service("select name || ' ' || count(*) over () from item"),
        "good 1"
    );
    // Every failure is in the ledger, and none left a database.
    let failed = "select count(*) || ' ' || count(d.oid) from ledger.build b
                  left join pg_database d on d.datname = b.name where failure is not null";
    assert_eq!(project.ledger(failed), format!("{} 0", RECORDS.len()));
}

#[test]
fn an_undefined_byte_of_windows_1252_is_refused_and_not_guessed() {
    let project = Project::with_schema(
        "records_cp1252",
        "create table item (id integer, name text);\n",
        "table = \"item\"\nfiles = \"items.txt\"\n[format]\ndelimiter = \"|\"\nquote = \"none\"\nencoding = \"windows-1252\"\n",
    );
    project.input("items.txt", b"id|name\r\n1|\x93ok\x94\r\n2|ab\x81c\r\n");
    project.refuses(
        1,
        &[
            "`records_cp1252/items.txt` record 2, line 3, byte 17",
            "column `name`: value is not valid windows-1252 at byte 21 of the file",
        ],
    );
}

#[test]
fn a_value_that_the_server_refuses_is_traced_to_its_record_past_rejects_files_and_chunks() {
    let mut project = Project::with_schema(
        "records_checked",
        "create table item (id integer not null, name text, price numeric(8,2),
             constraint dear check (price < 1000));\n",
        "table = \"item\"\nfiles = \"items*.csv\"\n[expect]\nrejects = { max = 50 }\n",
    );
    project.env.push(("OVERNIGHT_CHUNK".into(), "1KiB".into()));
    let file = |dear: Option<usize>| {
        let mut text = String::from("id,name,price\n");
        for record in 1..=400 {
            text += &match record {
                _ if Some(record) == dear => format!("{record},canary name,4321.00\n"),
                _ if record % 37 == 0 => format!("{record},\"a\nb\",canary\n"),
                _ => format!("{record},\"two\nlines\",9.50\n"),
            };
        }
        text
    };
    project.input("items_1.csv", file(None));
    project.input("items_2.csv", file(None));
    project.run().code(0);
    let live = project.live();
    for (key, record) in [
        ("items_1.csv", 1),
        ("items_1.csv", 38),
        ("items_2.csv", 1),
        ("items_2.csv", 223),
        ("items_2.csv", 400),
    ] {
        project.input("items_1.csv", file(None));
        project.input("items_2.csv", file(None));
        project.input(key, file(Some(record)));
        let ended = project.refuses(
            1,
            &[
                "load source `item` into `records_checked_",
                &format!("`records_checked/{key}` record {record}: check constraint violated"),
                "constraint `dear`",
                "SQLSTATE 23514",
            ],
        );
        for value in ["canary", "4321"] {
            assert!(!ended.stderr.contains(value), "{}", ended.stderr);
        }
    }
    assert_eq!(project.live(), live);
}

#[test]
fn keys_that_do_not_hold_are_named_without_their_values() {
    let project = Project::with_schema(
        "records_keys",
        "create table brand (brand text primary key);
         create table item (id integer primary key, brand text not null references brand);\n",
        "table = \"item\"\nfiles = \"items.csv\"\n",
    );
    project.source("brand", "table = \"brand\"\nfiles = \"brands.csv\"\n");
    project.input("brands.csv", "brand\nacme\nbolt\n");
    project.input("items.csv", "id,brand\n1,acme\n2,bolt\n");
    project.run().code(0);
    let live = project.live();

    project.input(
        "items.csv",
        "id,brand\n7654321,acme\n2,bolt\n7654321,bolt\n",
    );
    let ended = project.refuses(
        1,
        &[
            "put indexes and keys back",
            "unique constraint violated",
            "item_pkey",
            "SQLSTATE 23505",
        ],
    );
    assert!(!ended.stderr.contains("7654321"), "{}", ended.stderr);

    project.input("items.csv", "id,brand\n1,acme\n2,canary\n");
    let ended = project.refuses(
        1,
        &[
            "put indexes and keys back",
            "foreign key violated",
            "item_brand_fkey",
            "SQLSTATE 23503",
        ],
    );
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    assert_eq!(project.live(), live);
}
