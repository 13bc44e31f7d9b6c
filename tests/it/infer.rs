//! A proposal is run as it was written: what `infer` says of a file must load it without a change.

use crate::inputs::{gzip, zstd};
use crate::s3::S3Server;
use crate::support::Project;
use crate::texts::{parquet, workbook};

/// Puts the file into a folder of its own, proposes, and runs what was proposed.
#[track_caller]
fn proposed(dataset: &str, file: &str, bytes: &[u8]) -> Project {
    let project = empty(dataset);
    project.input(file, bytes);
    let from = project.path(&format!("in/{dataset}"));
    let place = from.join(file).display().to_string();
    project
        .overnight(&["infer", &place, "--name", dataset, "--out", "."])
        .code(0);
    let from = from.display().to_string();
    project
        .overnight(&["run", dataset, "--from", &from])
        .code(0);
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
    ask(
        project,
        &format!("select string_agg(t::text, E'\\n' order by t::text) from {table} t"),
    )
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
        let cost = if row == 7 {
            "NA".into()
        } else {
            format!("\"${},{:03}.{:02}\"", row, row * 3, row)
        };
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
    assert_eq!(
        ask(
            &project,
            "select count(*) from sold where unit_cost is null"
        ),
        "1"
    );
    let costs: i64 = (1..=60)
        .filter(|row| *row != 7)
        .map(|row| (row * 1000 + row * 3) * 100 + row)
        .sum();
    assert_eq!(
        ask(&project, "select (sum(unit_cost) * 100)::bigint from sold"),
        costs.to_string()
    );
    assert_eq!(
        ask(
            &project,
            "select remark from sold where ndc = '00000015838'"
        ),
        "a, \"b\" 2"
    );
    assert_eq!(
        ask(
            &project,
            "select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint where contype = 'p' and conrelid = 'sold'::regclass"
        ),
        "sold PRIMARY KEY (ndc)"
    );
}

#[test]
fn dialects_load_as_proposed() {
    for (index, (bytes, expected)) in [
        (
            b"id|note\r\n1|5\" pipe\r\n2|\"x\r\n".to_vec(),
            "(1,\"5\"\" pipe\")\n(2,\"\"\"x\")",
        ),
        (
            b"~1~^~caf\xE9 \x93x\x94~^2.5\r\n~2~^~~^\r\n".to_vec(),
            "(1,\"café “x”\",2.5)\n(2,,)",
        ),
        (
            b"\xEF\xBB\xBFa;b\r1;\"x\ry\"\r2;z\r".to_vec(),
            "(1,\"x\ry\")\n(2,z)",
        ),
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

/// Lines, fields and values of a feed as agencies send them.
#[test]
fn what_stands_around_the_records_loads_as_proposed() {
    let mut text = String::from("PRICES OF 2026\r\nin dollars\r\nNDC^Name^Since^Cost^Share\r\n");
    for row in 1..=40 {
        let since = if row == 5 {
            String::new()
        } else {
            format!(
                "{:02}-{}-19{row:02}",
                row % 28 + 1,
                ["JAN", "Feb", "DEC"][row % 3]
            )
        };
        text += &format!("~{row:011}~^~na\u{ef}ve {row}~^{since}^${row},000.50^{row}%^\r\n");
    }
    text += "\r\n~Total~^~~^^$820,020.00^^\r\n";
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
    let project = proposed("infer_around", "prices.txt", &bzip2(&bytes));
    assert_eq!(
        types(&project, "prices"),
        "ndc text, name text, since date, cost numeric(10,2), share numeric(7,2)"
    );
    assert_eq!(
        ask(
            &project,
            "select count(*) || ' ' || sum(cost) || ' ' || sum(share) from prices"
        ),
        "40 820020.00 8.20"
    );
    assert_eq!(
        ask(
            &project,
            "select since || ' ' || name from prices where cost = 27000.50"
        ),
        "1927-01-28 na\u{ef}ve 27"
    );
    assert_eq!(
        ask(&project, "select count(*) from prices where since is null"),
        "1"
    );
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn comments_and_optional_last_fields_load_as_proposed() {
    let mut text = String::from("# zones\n#\n# code, place\n");
    for row in 0..60u8 {
        let code = format!("{}{}", (b'A' + row / 26) as char, (b'A' + row % 26) as char);
        let remark = if row % 2 == 0 { "\tlate" } else { "" };
        text += &format!(
            "{code}\t+{:04}\tplace {row}{remark}\n",
            1000 + u32::from(row)
        );
    }
    let project = proposed("infer_comments", "zone.tab", text.as_bytes());
    assert_eq!(
        ask(
            &project,
            "select count(*) || ' ' || count(column_4) from zone"
        ),
        "60 30"
    );
    assert_eq!(
        ask(
            &project,
            "select column_1 from zone where column_3 = 'place 27'"
        ),
        "BB"
    );
}

#[test]
fn utf_16_loads_as_proposed() {
    let text = "\u{feff}id;name\r\n1;\u{17d}ofia\r\n2;\u{1f600}\r\n";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let project = proposed("infer_utf_16", "names.csv", &bytes);
    assert_eq!(rows(&project, "names"), "(1,\u{17d}ofia)\n(2,\u{1f600})");
}

#[test]
fn fixed_width_loads_as_proposed() {
    let mut text = String::new();
    for row in 1..=50 {
        let name = ["Part, small", "Bolt", "Nut, M4, big"][row % 3];
        text += &format!("{row:05} {name:<14}{:>8}\r\n", row * 100);
    }
    text += "00051 Short\r\n";
    let project = proposed("infer_fixed", "parts.dat", text.as_bytes());
    assert_eq!(
        types(&project, "parts"),
        "column_1 text, column_2 text, column_3 integer"
    );
    assert_eq!(
        ask(
            &project,
            "select count(*) || ' ' || sum(column_3) from parts"
        ),
        "51 127500"
    );
    assert_eq!(
        ask(
            &project,
            "select column_2 from parts where column_1 = '00051'"
        ),
        "Short"
    );
}

#[test]
fn json_lines_load_as_proposed() {
    let mut text = String::new();
    for row in 1..=30 {
        text += &format!(
            "{{\"claimId\":\"{row:04}\",\"paid.usd\":{row}.25,\"day\":\"2026-01-{:02}\",\"lines\":[{{\"n\":{row}}}],\"note\":null}}\n",
            row % 28 + 1
        );
    }
    let project = proposed("infer_json", "claims.ndjson", text.as_bytes());
    assert_eq!(
        types(&project, "claims"),
        "claim_id text, paid_usd numeric(7,2), day date, lines jsonb, note text"
    );
    assert_eq!(
        ask(
            &project,
            "select sum(paid_usd) || ' ' || sum((lines->0->>'n')::int) || ' ' || count(note) from claims"
        ),
        "472.50 465 0"
    );
}

#[test]
fn xml_loads_as_proposed() {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list made=\"x\">\n");
    for row in 1..=25 {
        text += &format!(
            "<drug id=\"{row}\"><name>A &amp; {row}</name><cost unit=\"usd\">{row}.5</cost><alias>a</alias><alias>b</alias></drug>\n"
        );
    }
    text += "</list>\n";
    let project = proposed("infer_xml", "drugs.xml", text.as_bytes());
    assert_eq!(
        types(&project, "drugs"),
        "id integer, name text, cost_unit text, cost numeric(6,1), alias text[]"
    );
    assert_eq!(
        ask(
            &project,
            "select count(*) || ' ' || sum(cost) || ' ' || max(name) || ' ' || max(alias)::text from drugs"
        ),
        "25 337.5 A & 9 {a,b}"
    );
}

#[test]
fn parquet_loads_as_proposed() {
    let project = proposed("infer_parquet", "items.parquet", &parquet(&[0..50, 50..80]));
    assert_eq!(
        types(&project, "items"),
        "id integer, name text, price numeric(8,2), seen timestamp with time zone, tags integer[]"
    );
    assert_eq!(
        ask(
            &project,
            "select count(*) || ' ' || sum(price) || ' ' || sum(tags[1]) from items"
        ),
        "80 31.60 3160"
    );
}

#[test]
fn the_fullest_sheet_of_a_workbook_loads_as_proposed() {
    let mut rows = String::from(
        "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c><c r=\"C1\" t=\"s\"><v>2</v></c></row>",
    );
    for row in 2..=9 {
        rows += &format!(
            "<row r=\"{row}\"><c r=\"A{row}\" t=\"s\"><v>3</v></c><c r=\"B{row}\"><v>{row}.30000000000000004</v></c><c r=\"C{row}\" s=\"1\"><v>{}</v></c></row>",
            45_980 + row
        );
    }
    let other = "<row r=\"1\"><c r=\"A1\"><v>9</v></c></row>";
    let book = workbook(
        &[("Read me", other), ("Prices", &rows)],
        &["Unit Code", "cost", "day", "007"],
        false,
    );
    let project = proposed("infer_xlsx", "prices.xlsx", &book);
    assert_eq!(
        types(&project, "prices"),
        "unit_code text, cost numeric(5,1), day date"
    );
    assert_eq!(
        ask(
            &project,
            "select count(*) || ' ' || sum(cost) || ' ' || min(unit_code) || ' ' || max(day) from prices"
        ),
        "8 46.4 007 2025-11-28"
    );
}

#[test]
fn a_member_of_an_archive_in_a_bucket_loads_as_proposed() {
    let files = tempfile::TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let mut project = empty("infer_s3");
    for (variable, value) in [
        ("OVERNIGHT_S3_ENDPOINT", server.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", server.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ] {
        project.env.push((variable.to_owned(), value));
    }
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("read me.txt", "hello"),
        ("2026/price.csv", "id,price\n1,2.5\n2,3.5\n"),
    ] {
        use std::io::Write;
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    server.put("raw/all.zip", archive.finish().unwrap().into_inner());
    let folder = format!("s3://{}/raw", server.bucket);
    let several = project
        .overnight(&["infer", &format!("{folder}/all.zip")])
        .code(0);
    for text in [
        "files = \"all.zip!2026/price.csv\"",
        "Packed as zip, `2026/price.csv` of 2 files in the archive",
        "create table price (",
    ] {
        assert!(several.stdout.contains(text), "{}", several.stdout);
    }
    let place = format!("{folder}/all.zip!*.csv");
    project
        .overnight(&["infer", &place, "--name", "infer_s3", "--out", "."])
        .code(0);
    project
        .overnight(&["run", "infer_s3", "--from", &folder])
        .code(0);
    assert_eq!(rows(&project, "price"), "(1,2.5)\n(2,3.5)");
    project
        .overnight(&["infer", &format!("{folder}/nothing/here.csv")])
        .code(2)
        .says(&["there is nothing in"]);
}

#[test]
fn rows_that_do_not_fit_are_allowed_for_and_told() {
    let project = proposed(
        "infer_rejects",
        "t.csv",
        b"a,b,c\n1,2,3\n4,5\n6,7,8\n9,10,11,12\n",
    );
    assert_eq!(rows(&project, "t"), "(1,2,3)\n(6,7,8)");
}

#[test]
fn a_proposal_is_printed_or_written_and_never_replaces_a_file() {
    let project = empty("infer_print");
    project.input("prices 2026-11.csv", "id,price\n1,2.50\n2,3.75\n");
    let place = project
        .path("in/infer_print/prices 2026-11.csv")
        .display()
        .to_string();
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
    let json = project
        .overnight(&["infer", &place, "--json"])
        .code(0)
        .json();
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
    project
        .overnight(&["infer", &place, "--name", "infer_folder", "--out", "."])
        .code(0);
    project
        .overnight(&["run", "infer_folder", "--from", &place])
        .code(0);
    assert_eq!(rows(&project, "price"), "(1,2.50)\n(2,3.75)");
    assert_eq!(rows(&project, "drug"), "(A1,x)\n(B2,y)\n(C3,z)");
}

/// Proposes for more than one file, adds each to the dataset, and runs all of it.
#[track_caller]
fn proposed_in_turn(dataset: &str, files: &[(&str, &[u8])]) -> Project {
    let project = empty(dataset);
    let from = project.path(&format!("in/{dataset}"));
    for (file, bytes) in files {
        project.input(file, bytes);
        let place = from.join(file).display().to_string();
        project
            .overnight(&["infer", &place, "--name", dataset, "--out", "."])
            .code(0);
    }
    let from = from.display().to_string();
    project
        .overnight(&["run", dataset, "--from", &from])
        .code(0);
    project
}

#[test]
fn a_spreadsheets_export_loads_as_proposed() {
    // What Excel writes in Germany: lines of the preamble filled up, decimal commas, Windows-1252.
    let mut text = String::from("Export of warehouse X;;;;\r\nMade;28.11.2026;;;\r\n;;;;\r\n");
    text += "SKU;Bezeichnung;Preis;Menge;Datum\r\n";
    for row in 1..=40 {
        text += &format!(
            "A{row:03};\"M\u{fc}ll{row}\r\ngro\u{df}\";1.974,{row:02};{row},5;{:02}.11.2026\r\n",
            row % 28 + 1
        );
        if row == 20 {
            text += "SKU;Bezeichnung;Preis;Menge;Datum\r\n";
        }
    }
    text += "Total;;78.968,20;840,0;\r\n";
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let project = proposed("infer_excel", "export.csv", &bytes);
    assert_eq!(
        types(&project, "export"),
        "sku text, bezeichnung text, preis numeric(9,2), menge numeric(6,1), datum date"
    );
    assert_eq!(
        ask(
            &project,
            "select concat_ws(' ', count(*), sum(preis), sum(menge), max(datum)) from export"
        ),
        "40 78968.20 840.0 2026-11-28"
    );
}

#[test]
fn american_amounts_without_a_sign_load_as_proposed() {
    let mut text = String::from("id,amount\n");
    for row in 1..=20 {
        text += &format!("{row},\"{row},234.56\"\n");
    }
    let project = proposed("infer_amounts", "amounts.csv", text.as_bytes());
    assert_eq!(
        types(&project, "amounts"),
        "id integer, amount numeric(10,2)"
    );
    assert_eq!(
        ask(&project, "select sum(amount) from amounts"),
        "214691.20"
    );
}

#[test]
fn fields_of_fixed_width_are_not_cut_at_prefixes_and_words() {
    let mut text = String::new();
    for row in 1..=12 {
        let name = ["TABLE SMALL", "LAMP", "CHAIR", "COUCH"][row % 4];
        text += &format!("SKU{row:04} {name:<14}{row:>5}\n");
    }
    let project = proposed("infer_words", "stock.txt", text.as_bytes());
    let first = ask(&project, "select t::text from stock t order by 1 limit 1");
    assert_eq!(first, "(SKU0001,LAMP,1)");
    let fourth = "select t::text from stock t order by 1 offset 3 limit 1";
    assert_eq!(ask(&project, fourth), "(SKU0004,\"TABLE SMALL\",4)");
}

#[test]
fn an_archive_of_several_files_is_a_source_for_each_and_a_dataset_grows_by_another_file() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("items.csv", "id,price\n1,2.5\n2,3.5\n"),
        ("stock_1.csv", "item,count\n1,7\n"),
        ("stock_2.csv", "item,count\n2,9\n"),
    ] {
        use std::io::Write;
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    let feed = archive.finish().unwrap().into_inner();
    let orders = "id,item,at\n1,2,2026-11-28\n";
    let project = proposed_in_turn(
        "infer_feed",
        &[("feed.zip", &feed), ("orders.csv", orders.as_bytes())],
    );
    assert_eq!(rows(&project, "items"), "(1,2.5)\n(2,3.5)");
    assert_eq!(rows(&project, "stock"), "(1,7)\n(2,9)");
    assert_eq!(rows(&project, "orders"), "(1,2,2026-11-28)");
    let source = std::fs::read_to_string(project.path("sources/infer_feed/items.toml")).unwrap();
    assert!(
        source.contains("Packed as zip, `items.csv` of 3 files in the archive"),
        "{source}"
    );
    let schema = project.path("sql/infer_feed/schema");
    assert!(schema.join("030_orders.sql").is_file());
    // The same file again replaces nothing.
    let place = project.path("in/infer_feed/orders.csv");
    let place = place.display().to_string();
    project
        .overnight(&["infer", &place, "--name", "infer_feed", "--out", "."])
        .code(2)
        .says(&["orders.toml` is there already"]);
    assert_eq!(std::fs::read_dir(schema).unwrap().count(), 3);
}
