//! Rows that are sent as text are the rows that binary would have brought, and so is all that a run
//! says about them.

use crate::support::Project;
use crate::support::cluster::LOADER;
use crate::support::project::repository;
use serde_json::Value;
use std::fmt::Write;
use std::fs;

const FORMATS: [&str; 2] = ["binary", "text"];

/// Every table of the live build with a digest of its rows.
fn contents(project: &Project) -> Vec<String> {
    let named = "select oid::regclass::text from pg_class
                 where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1";
    let cluster = project.cluster();
    let tables = cluster.sql(&project.name, named).unwrap();
    let digest = |table: &str| {
        let rows = format!(
            "select count(*) || ' ' || coalesce(sum(hashtextextended(r::text, 0)::numeric), 0) from {table} r"
        );
        format!("{table} {}", cluster.one(&project.name, &rows))
    };
    tables
        .iter()
        .flat_map(|row| row[0].as_deref())
        .map(digest)
        .collect()
}

/// What a run reports about its tables, without what it measured.
fn counted(report: &Value) -> Value {
    let mut tables = report["datasets"][0]["tables"].clone();
    for table in tables.as_array_mut().unwrap() {
        let table = table.as_object_mut().unwrap();
        assert!(table.remove("timing").is_some());
        for input in table["inputs"].as_array_mut().unwrap() {
            // A file's time of change.
            input.as_object_mut().unwrap().remove("version");
        }
    }
    let by_name = |table: &Value| table["table"].to_string();
    tables.as_array_mut().unwrap().sort_by_key(by_name);
    tables
}

fn sent(report: &Value) -> u64 {
    let tables = report["datasets"][0]["tables"].as_array().unwrap();
    let sent = tables.iter().map(|table| &table["timing"]["bytes_sent"]);
    sent.map(|bytes| bytes.as_u64().unwrap()).sum()
}

fn run(project: &Project, format: &str) -> Value {
    let arguments = ["run", &project.name, "--json", "--force"];
    let arguments = [&arguments[..], &["--copy-format", format]].concat();
    project.overnight(&arguments).code(0).json()
}

/// Runs in both formats, and returns what both had in common and the bytes that each sent.
fn same_in_both(
    project: &Project,
    seen: impl Fn(&Project) -> Vec<String>,
) -> (Vec<String>, [u64; 2]) {
    let [binary, text] = FORMATS.map(|format| {
        let report = run(project, format);
        ((seen(project), counted(&report)), sent(&report))
    });
    assert_eq!(binary.0, text.0);
    (binary.0.0, [binary.1, text.1])
}

const REJECTS: &str = "select coalesce(string_agg(concat_ws(' ', key, record, line, byte, column_name, reason), E'\n' order by key, record), 'none')
     from overnight.reject";

const COLUMNS: &str = "id integer not null, name text, price numeric(8,2), exact numeric,
     seen date, at timestamptz, flag boolean, half real, parts integer[], note varchar(40)";

/// Records whose texts hold what COPY's text format escapes, and some that are rejected.
fn records(count: usize) -> String {
    let mut text = String::from("id,name,price,exact,seen,at,flag,half,parts,note\n");
    let names = [
        "plain",
        "\"tab\there\"",
        "\"two\nlines\"",
        "back\\slash",
        "\\N",
        "\\.",
        "\"carriage\rreturn\"",
        "\"say \"\"so\"\"\"",
        "ünïcödé",
    ];
    for at in 0..count {
        // 7919 is prime to every count that is used here.
        let id = at * 7919 % count;
        let name = names[id % names.len()];
        let price = match id % 500 {
            250 => "twelve".to_owned(),
            _ => format!("{}.{:02}", id % 1000, id % 100),
        };
        let note = if id.is_multiple_of(3) {
            "\"\""
        } else {
            "a note"
        };
        writeln!(
            text,
            "{id},{name},{price},{}e-{},2026-11-{:02},1999-12-31 23:59:{:02}.5+02,{},{}.125,\"{{{id},NULL,-1}}\",{note}",
            id % 77,
            id % 40,
            id % 28 + 1,
            id % 60,
            id.is_multiple_of(2),
            id % 9,
        )
        .unwrap();
    }
    text
}

#[test]
fn text_loads_the_rows_and_rejects_that_binary_loads() {
    let leaves = "create table item_a partition of item for values from (0) to (2000);
         create table item_b partition of item for values from (2000) to (7900);\n";
    let count = 8_000;
    for (name, table, source) in [
        ("format_plain", ", primary key (id));\n".to_owned(), ""),
        (
            "format_leaves",
            // The last hundred ids have no partition.
            format!(", primary key (id)) partition by range (id);\n{leaves}"),
            "",
        ),
        (
            "format_parent",
            format!(
                ") partition by range ((id + 0));\n{leaves} create table item_c partition of item default;\n"
            ),
            "",
        ),
        (
            "format_sorted",
            ", primary key (id));\n".to_owned(),
            "order_by = [\"id\"]\n",
        ),
        (
            "format_sorted_leaves",
            format!(", primary key (id)) partition by range (id);\n{leaves}"),
            "order_by = [\"id\"]\n",
        ),
    ] {
        let source = format!(
            "table = \"item\"\nfiles = \"items*\"\n{source}[expect]\nrejects = {{ max = \"20%\" }}\n"
        );
        let mut project = Project::with_schema(
            name,
            &format!("create table item ({COLUMNS}{table}"),
            &source,
        );
        for (variable, value) in [("OVERNIGHT_CHUNK", "16KiB"), ("OVERNIGHT_CONNECTIONS", "2")] {
            project.env.push((variable.into(), value.into()));
        }
        project.input("items.csv", records(count));
        let (seen, [binary, text]) = same_in_both(&project, |project| {
            let mut seen = contents(project);
            let ask = |sql: &str| project.cluster().one(&project.name, sql);
            seen.push(ask(REJECTS));
            seen.push(ask("select sum(rows_loaded) from overnight.loaded"));
            seen
        });
        assert!(text < binary, "{name}: {text} of {binary} bytes");
        let rejects = &seen[seen.len() - 2];
        assert_eq!(rejects.matches("price").count(), 16, "{name}: {rejects}");
        let nowhere = rejects.matches("none of").count();
        // The records with ids 7,900 to 7,999, and no other reject among them.
        let expected = if name.ends_with("leaves") { 100 } else { 0 };
        assert_eq!(nowhere, expected, "{name}: {rejects}");
        // The receipt, and the rows themselves.
        assert_eq!(seen.last(), Some(&(count - 16 - nowhere).to_string()));
        let odd = project.service(
            "select count(distinct name) from item
             where name in ('\\N', '\\.', 'back\\slash', E'tab\\there', E'two\\nlines', E'carriage\\rreturn')",
        );
        assert_eq!(odd, "6", "{name}");
    }
}

#[test]
fn what_the_server_refuses_of_a_text_copy_is_placed_and_not_quoted() {
    let tables = format!(
        "create table item ({COLUMNS}, primary key (id), constraint small check (id <> 4242));\n"
    );
    let mut project = Project::with_schema(
        "format_refused",
        &tables,
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrejects = { max = \"20%\" }\n",
    );
    project.env.push(("OVERNIGHT_CHUNK".into(), "16KiB".into()));
    let text = records(8_000);
    // Names of two lines make lines of more than one record: records are counted.
    let record = text
        .replace("two\nlines", "two lines")
        .lines()
        .position(|line| line.starts_with("4242,"))
        .unwrap();
    project.input("items.csv", text);
    let place = format!("items.csv` record {},{:03}", record / 1000, record % 1000);
    for format in FORMATS {
        let arguments = ["run", &project.name, "--copy-format", format];
        let says = [place.as_str(), "constraint `small`"];
        let ended = project.refuses_to(&arguments, 1, &says);
        assert!(!ended.stderr.contains("1999-12"), "{}", ended.stderr);
    }
    let arguments = ["run", &project.name, "--copy-format", "csv"];
    project.refuses_to(
        &arguments,
        2,
        &["copy_format = \"csv\": write binary or text"],
    );
}

#[test]
fn the_example_dataset_is_the_same_in_both_formats() {
    let name = "format_druginfo";
    let mut project = Project::with_schema(name, "", "");
    fs::remove_dir_all(project.path(&format!("sql/{name}"))).unwrap();
    fs::remove_file(project.path(&format!("sources/{name}/item.toml"))).unwrap();
    for kind in ["sources", "sql"] {
        copy(
            &repository().join(kind).join("druginfo"),
            &project.path(&format!("{kind}/{name}")),
        );
    }
    let dataset = format!("sources/{name}/dataset.toml");
    let text = fs::read_to_string(project.path(&dataset)).unwrap();
    project.write(&dataset, &text.replace("druginfo_reader", &project.reader));
    let from = repository().join("fixtures/night_1").display().to_string();
    project.env.push(("OVERNIGHT_FROM".into(), from));
    // Its golden queries run as the reader.
    let grant = format!("grant {} to {LOADER}", project.reader);
    project.cluster().sql("postgres", &grant).unwrap();
    let (seen, [binary, text]) = same_in_both(&project, contents);
    assert!(seen.len() > 8, "{seen:?}");
    assert!(text < binary * 3 / 4, "{text} of {binary} bytes");
}

/// Copies the files of a folder over those of another.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
