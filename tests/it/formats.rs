//! Raw files of every shape, through the binary into the server, in large chunks and in tiny ones.

use crate::support::Project;
use crate::support::project::repository;
use tpchgen::generators::LineItemGenerator;

/// One source: its table, its columns, what its file says, and the raw files.
struct Case {
    table: &'static str,
    columns: &'static str,
    format: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// Loads all cases in one run, each with a budget for every reject.
fn load(name: &str, chunk: &str, cases: &[Case]) -> Project {
    let name = format!("{name}_{}", chunk.to_lowercase());
    let tables = cases.iter();
    let tables: String = tables
        .map(|case| format!("create table {} ({});\n", case.table, case.columns))
        .collect();
    let mut project = Project::with_schema(&name, &tables, "");
    std::fs::remove_file(project.path(&format!("sources/{name}/item.toml"))).unwrap();
    for case in cases {
        let Case { table, format, .. } = case;
        project.source(
            table,
            &format!(
                "table = \"{table}\"\nfiles = \"{table}/*\"\n{format}\n[expect]\nrejects = {{ max = \"100%\" }}\n"
            ),
        );
        for (file, text) in case.files {
            project.input(&format!("{table}/{file}"), text);
        }
    }
    project
        .env
        .push(("OVERNIGHT_CHUNK".into(), chunk.to_owned()));
    project
}

/// The rows of a table in the order in which they came.
#[track_caller]
fn rows(project: &Project, table: &str) -> String {
    project.service(&format!(
        "select string_agg(btrim(row(t.*)::text, '()'), '; ' order by ctid) from {table} t"
    ))
}

/// Places and reasons of a source's rejects, and the counts of each of its files.
#[track_caller]
fn rejects(project: &Project, source: &str) -> (Vec<String>, String) {
    let sql = format!(
        "select concat_ws(' ', record, line, byte, column_name || ':', reason)
         from overnight.reject where source = '{source}' order by key, record"
    );
    let places = project.cluster().sql(&project.name, &sql).unwrap();
    let places = places.into_iter().filter_map(|row| row[0].clone());
    let counts = project.service(&format!(
        "select string_agg(concat_ws(' ', records_read, rows_loaded, rejected, skipped), '; ' order by key)
         from overnight.input where source = '{source}'"
    ));
    (places.collect(), counts)
}

const CHUNKS: [&str; 2] = ["1MiB", "7B"];

const DELIMITED: &[Case] = &[
    Case {
        table: "commented",
        columns: "id integer, name text",
        format: "[format]\ncomment = \"#\"",
        files: &[(
            "a.csv",
            "# it's a \"list\nid,name\n1,one\n#2,\"two\n3,\"th\n#ree\"\nx,y\n# end",
        )],
    },
    Case {
        table: "preamble",
        columns: "id integer, name text",
        format: "[format]\nskip_lines = 2",
        files: &[("a.csv", "A \"title\n\nid,name\n1,one\n2\n")],
    },
    Case {
        table: "until",
        columns: "id integer, name text",
        format: "[format]\nskip_until = \"id,*\"\nfooter_from = \"Total:*\"",
        files: &[
            (
                "a.csv",
                "A title\nof 2026\nid,name\n1,one\nTotal: 1 \"record\nand more\n",
            ),
            ("b.csv", "id,name\r\n2,\"Total: x\"\r\n\r\nTotal: 2"),
        ],
    },
    Case {
        table: "headed",
        columns: "plan_id integer, cost_in numeric, name text",
        format: "[format]\nheader_lines = 2\n[columns]\ncost_in = \"Cost in $\"",
        files: &[("a.csv", "Plan,Cost,\nID,in $,Name\n1,2.50,x\n")],
    },
    Case {
        table: "footed",
        columns: "id integer, name text",
        format: "[format]\ndelimiter = \"\\t\"\nquote = \"none\"\nfooter = 2",
        files: &[("a.txt", "id\tname\n1\t\"one\n2\ttwo\n\n\tNotes:\nof 2026\n")],
    },
    Case {
        table: "trailed",
        columns: "id integer, name text",
        format: "[format]\ndelimiter = \"|\"\nquote = \"none\"\ntrailing_delimiter = true",
        files: &[
            ("a.tbl", "id|name\n1|one|\n2|two\n3||\n4|\n"),
            ("b.tbl", "name|id|\nfive|5|\n"),
        ],
    },
    Case {
        table: "padded",
        columns: "id integer, name text, more text",
        format: "[format]\nshort_rows = \"pad\"\nnull = []",
        files: &[(
            "a.csv",
            "id,name,more\n1,one\n2\n3,three,x\n4,four,x,y\n5,,\n",
        )],
    },
    Case {
        table: "repeated",
        columns: "id integer, first text, second text, unnamed text, lines text",
        format: "ignore = [\"#6\"]\n[columns]\nfirst = \"Amt#1\"\nsecond = \"Amt#2\"\nunnamed = \"#4\"\nlines = \"two lines\"",
        files: &[("a.csv", "id,Amt,Amt,,\"two\nlines\",\n1,a,b,c,d,e\n")],
    },
    Case {
        table: "tildes",
        columns: "id text, name text",
        format: "[format]\ndelimiter = \"^\"\nquote = \"~\"\nheader = false\nnames = [\"id\", \"name\"]\nencoding = \"windows-1252\"",
        files: &[("a.txt", "~01~^~5\" ^ pipe~\r\n~02~^\r\n~03~^~x~y\r\n")],
    },
    Case {
        table: "long_name",
        columns: "a_name_that_is_longer_than_any_name_the_server_keeps_whole_here integer",
        format: "",
        files: &[(
            "a.csv",
            "A name that is longer than any name the server keeps whole here and there\n1\n",
        )],
    },
];

#[test]
fn delimited_text_is_read_with_all_that_stands_around_its_records() {
    for chunk in CHUNKS {
        let project = load("formats_delimited", chunk, DELIMITED);
        project.run().code(0);
        let is = |table: &str, expected: &str, places: &[&str], counts: &str| {
            assert_eq!(rows(&project, table), expected, "{table}");
            let (found, counted) = rejects(&project, table);
            assert_eq!(found, places, "{table}");
            assert_eq!(counted, counts, "{table}");
        };
        is(
            "commented",
            "1,one; 3,\"th\n#ree\"",
            &[
                "3 7 49 id: is not an integer, expected a whole number from -2147483648 to 2147483647",
            ],
            "3 2 1 0",
        );
        is(
            "preamble",
            "1,one",
            &["2 5 24 has 1 fields, expected 2"],
            "2 1 1 0",
        );
        is("until", "1,one; 2,\"Total: x\"", &[], "1 1 0 0; 1 1 0 0");
        is("headed", "1,2.50,x", &[], "1 1 0 0");
        is("footed", "1,\"\"\"one\"; 2,two", &[], "2 2 0 0");
        is(
            "trailed",
            "1,one; 3,; 5,five",
            &[
                "2 3 15 does not end with the delimiter that ends every record (`trailing_delimiter`)",
                "4 5 25 has 1 fields, expected 2",
            ],
            "4 2 2 0; 1 1 0 0",
        );
        is(
            "padded",
            "1,one,; 2,,; 3,three,x; 5,\"\",\"\"",
            &["4 5 31 has 4 fields, expected 3"],
            "5 4 1 0",
        );
        is("repeated", "1,a,b,c,d", &[], "1 1 0 0");
        is(
            "tildes",
            "01,\"5\"\" ^ pipe\"; 02,",
            &["3 3 25 text after a closing quote"],
            "3 2 1 0",
        );
        is("long_name", "1", &[], "1 1 0 0");
    }
}

const LINES: &[Case] = &[
    Case {
        table: "fixed",
        columns: "code text, n integer, note text",
        format: "[format]\nkind = \"fixed_width\"\nstart_from = 1\nskip_lines = 1\ncomment = \"*\"\nfooter = 1\nlayout = [{ name = \"code\", start = 1, length = 3 }, { name = \"n\", start = 4, length = 4 }, { name = \"note\", start = 8, length = 2 }]",
        files: &[(
            "a.txt",
            "CODNUMBNO\nA1   12ab\n*\nB2     cd\r\nC3   xxef\nD4    1\nE5    1gh  \nF6    1ghi\nEND\n",
        )],
    },
    Case {
        table: "padded_fixed",
        columns: "code text, n integer, note text",
        format: "[format]\nkind = \"fixed_width\"\nstart_from = 0\nshort_rows = \"pad\"\nnull = []\nunit = \"chars\"\nlayout = \"padded_layout.csv\"",
        files: &[("a.txt", "A\u{e9}   12ab\nB2   12\nC\u{20ac}   12 \n")],
    },
    Case {
        table: "header_records",
        columns: "id text, name text",
        format: "[format]\nkind = \"fixed_width\"\nstart_from = 1\nrecord_type = { start = 1, length = 1, value = \"H\" }\nlayout = [{ name = \"id\", start = 2, length = 2 }, { name = \"name\", start = 4, length = 3 }]",
        files: &[("a.txt", "H01abc\nD01  1.50\nD01  2.50\nH02de \nX\n")],
    },
    Case {
        table: "objects",
        columns: "id bigint, price numeric, name text, doc jsonb, part json, second text, flag boolean, \"odd.key\" text",
        format: "[format]\nkind = \"json_lines\"\n[columns]\nprice = \"cost.amount\"\ndoc = \"cost\"\npart = \"name\"\nsecond = \"list[1].x\"",
        files: &[(
            "a.ndjson",
            "{\"id\":9007199254740993,\"cost\":{\"amount\":0.10000000000000000001},\"name\":\"a\\\"\\u00e9\",\"list\":[1,{\"x\":\"y\"}],\"flag\":true,\"odd.key\":\"o\"}\n\n{\"id\":null,\"name\":null}\n{\"id\":\"x\"}\n[1\n{\"id\":1.5}\n{\"name\":\"\\u0000\"}",
        )],
    },
    Case {
        table: "items",
        columns: "order_id integer, sku text, n integer",
        format: "[format]\nkind = \"json_lines\"\nexplode = \"order.items\"\n[columns]\norder_id = \"order.id\"\nsku = \"order.items[].sku\"\nn = \"order.items[].n\"",
        files: &[(
            "a.ndjson",
            "{\"order\":{\"items\":[{\"sku\":\"a\",\"n\":1},{\"sku\":\"b\",\"n\":\"x\"},{\"n\":3}],\"id\":7}}\n{\"order\":{\"id\":8,\"items\":[]}}\n{\"order\":{\"id\":9,\"items\":[{\"sku\":\"c\"}]}}\n",
        )],
    },
];

#[test]
fn fixed_width_records_and_json_lines_are_read_by_places_and_paths() {
    for chunk in CHUNKS {
        let project = load("formats_lines", chunk, LINES);
        project.write(
            &format!("sources/{}/padded_layout.csv", project.name),
            "column,start,length\ncode,0,2\nn,2,5\nnote,7,2\n",
        );
        // The same files, for the records of the other type.
        project.sql(
            "schema/020_details.sql",
            "create table detail_records (id text, amount numeric);\n",
        );
        project.source(
            "detail_records",
            "table = \"detail_records\"\nfiles = \"header_records/*\"\n[format]\nkind = \"fixed_width\"\nstart_from = 1\nrecord_type = { start = 1, length = 1, value = [\"D\", \"E\"] }\nlayout = [{ name = \"id\", start = 2, length = 2 }, { name = \"amount\", start = 4, length = 6 }]\n",
        );
        project.run().code(0);
        let is = |table: &str, expected: &str, places: &[&str], counts: &str| {
            assert_eq!(rows(&project, table), expected, "{table}");
            let (found, counted) = rejects(&project, table);
            assert_eq!(found, places, "{table}");
            assert_eq!(counted, counts, "{table}");
        };
        let number = "is not an integer, expected a whole number from";
        is(
            "fixed",
            "A1,12,ab; B2,,cd; E5,1,gh",
            &[
                &format!("3 5 33 n: {number} -2147483648 to 2147483647"),
                "4 6 43 is 7 long, and the fields of its layout reach to 9",
                "6 8 63 is 10 long, and has text behind 9, where its layout ends",
            ],
            "6 3 3 0",
        );
        is(
            "padded_fixed",
            "A\u{e9},12,ab; B2,12,; C\u{20ac},12,\"\"",
            &[],
            "3 3 0 0",
        );
        is("header_records", "01,abc; 02,de", &[], "5 2 0 3");
        is("detail_records", "01,1.50; 01,2.50", &[], "5 2 0 3");
        is(
            "objects",
            "9007199254740993,0.10000000000000000001,\"a\"\"\u{e9}\",\"{\"\"amount\"\": 0.10000000000000000001}\",\"\"\"a\\\\\"\"\\\\u00e9\"\"\",y,t,o; ,,,,,,,",
            &[
                &format!("3 4 156 id: {number} -9223372036854775808 to 9223372036854775807"),
                "4 5 167 is not JSON: neither a comma nor the end of the array at byte 2 of the line",
                &format!("5 6 170 id: {number} -9223372036854775808 to 9223372036854775807"),
                "6 7 181 name: holds a NUL character, expected text without U+0000",
            ],
            "6 2 4 0",
        );
        is(
            "items",
            "7,a,1; 7,,3; 9,c,",
            &[&format!("2 1 0 n: {number} -2147483648 to 2147483647")],
            "5 3 1 1",
        );
    }
}

#[test]
fn a_file_without_its_footer_or_its_header_line_is_refused() {
    let project = Project::new("formats_missing");
    for (format, text, message) in [
        (
            "footer = 3",
            "id,name,price,seen\n1,x,1,\n",
            "1 records are there, fewer than the 3 of the footer",
        ),
        (
            "footer_from = \"Total*\"",
            "id,name,price,seen\n1,x,1,\n",
            "no line matches `footer_from`",
        ),
        (
            "skip_until = \"id,*\"",
            "ID,name,price,seen\n1,x,1,\n",
            "no line matches `skip_until`",
        ),
    ] {
        project.source(
            "item",
            &format!("table = \"item\"\nfiles = \"items*\"\n[format]\n{format}\n"),
        );
        project.input("items.csv", text);
        project.refuses(1, &["`formats_missing/items.csv`", message]);
    }
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[format]\nkind = \"json_lines\"\n[columns]\nid = \"a[].b\"\n",
    );
    project.refuses(
        2,
        &[
            "column `id` of source `item`",
            "name the array with `explode`",
        ],
    );
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[format]\nlayout = \"a.csv\"\n",
    );
    project.refuses(2, &["`layout` is for kind = \"fixed_width\""]);
    project.source("item", "table = \"item\"\nfiles = \"items*\"\n");
    project.write("sources/formats_missing/stray.csv", "a\n");
    project.refuses(2, &["no source names the file", "stray.csv"]);
}

/// Widely used files with what other readers make of them; see their licence.
#[test]
fn csv_spectrum_is_read_as_it_expects() {
    let folder = repository().join("fixtures/formats/csv-spectrum");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .unwrap()
                    .file_name()
                    .to_str()?
                    .strip_suffix(".csv")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    assert_eq!(names.len(), 12);
    let mut tables = String::new();
    let mut expected = Vec::new();
    for name in &names {
        let json = std::fs::read(folder.join(format!("json/{name}.json"))).unwrap();
        let json = String::from_utf8_lossy(&json).replace('\u{fffd}', "");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let rows = match json {
            serde_json::Value::Array(rows) => rows,
            one => vec![one],
        };
        let columns: Vec<String> = rows[0]
            .as_object()
            .unwrap()
            .keys()
            .map(|key| format!("\"{}\" text", key.to_lowercase().replace(' ', "_")))
            .collect();
        tables += &format!("create table \"{name}\" ({});\n", columns.join(", "));
        let rows: Vec<String> = rows
            .iter()
            .map(|row| {
                let fields = row.as_object().unwrap();
                fields
                    .values()
                    .map(|value| value.as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect();
        expected.push(rows.join("; "));
    }
    let project = Project::with_schema("formats_spectrum", &tables, "");
    std::fs::remove_file(project.path("sources/formats_spectrum/item.toml")).unwrap();
    for name in &names {
        project.source(
            name,
            &format!("table = \"{name}\"\nfiles = \"{name}.csv\"\n[format]\nnull = []\n"),
        );
        project.input(
            &format!("{name}.csv"),
            std::fs::read(folder.join(format!("{name}.csv"))).unwrap(),
        );
    }
    project.run().code(0);
    for (name, expected) in names.iter().zip(expected) {
        let columns = project.service(&format!(
            "select string_agg(quote_ident(attname), ', ' order by attname collate \"C\") from pg_attribute where attrelid = '\"{name}\"'::regclass and attnum > 0"
        ));
        let rows = project.service(&format!(
            "select string_agg(concat_ws('|', {columns}), '; ' order by ctid) from \"{name}\""
        ));
        if name == "location_coordinates" {
            // Its JSON is of another place.
            let text = std::fs::read_to_string(folder.join("location_coordinates.csv")).unwrap();
            let fields: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
            let [phone, place, city, county] = fields[..] else {
                panic!("{fields:?}")
            };
            assert_eq!(rows, [city, phone, county, place].join("|"));
            continue;
        }
        assert_eq!(rows, expected, "{name}");
    }
}

/// The text that the generator of TPC-H writes: no header, a delimiter behind every record.
#[test]
fn the_text_of_tpc_h_is_read() {
    let project = Project::with_schema(
        "formats_tpch",
        "create table lineitem (l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer,
            l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2),
            l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date,
            l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44));\n",
        "table = \"lineitem\"\nfiles = \"lineitem.tbl\"\n[format]\ndelimiter = \"|\"\nquote = \"none\"\ntrailing_delimiter = true\nheader = false\nnames = [\"l_orderkey\", \"l_partkey\", \"l_suppkey\", \"l_linenumber\", \"l_quantity\", \"l_extendedprice\", \"l_discount\", \"l_tax\", \"l_returnflag\", \"l_linestatus\", \"l_shipdate\", \"l_commitdate\", \"l_receiptdate\", \"l_shipinstruct\", \"l_shipmode\", \"l_comment\"]\n",
    );
    let lines: Vec<String> = LineItemGenerator::new(0.001, 1, 1)
        .iter()
        .map(|item| item.to_string())
        .collect();
    assert!(lines.iter().all(|line| line.ends_with('|')));
    project.input("lineitem.tbl", format!("{}\n", lines.join("\n")));
    project.run().code(0);
    let written = project.service(
        "select string_agg(concat_ws('|', l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity::bigint,
            l_extendedprice, l_discount, l_tax, l_returnflag, l_linestatus, l_shipdate, l_commitdate,
            l_receiptdate, rtrim(l_shipinstruct), rtrim(l_shipmode), l_comment) || '|', E'\\n' order by ctid) from lineitem",
    );
    assert_eq!(written, lines.join("\n"));
}
