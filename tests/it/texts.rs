//! Files that are no UTF-8 and no delimited text: what a service reads after a night with them.

use crate::support::Project;
use parquet::data_type::{ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

#[path = "../../src/read/xlsx/workbook_for_tests.rs"]
mod workbook_for_tests;
pub use workbook_for_tests::workbook;

const ITEMS: &str = "create table item (id integer not null, name text, note text);\n";

fn project(name: &str, format: &str) -> Project {
    Project::with_schema(name, ITEMS, &source(format))
}

fn source(format: &str) -> String {
    format!("table = \"item\"\nfiles = \"items*\"\n{format}")
}

/// `id=name/note` of each row in file order; `∅` is null.
#[track_caller]
fn rows(project: &Project) -> String {
    project.service(
        "select string_agg(id || '=' || coalesce(name, '∅') || '/' || coalesce(note, '∅'), ' ' order by ctid) from item",
    )
}

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    let unit: Vec<u16> = text.encode_utf16().collect();
    match encoding {
        "utf-16le" => unit.into_iter().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => unit.into_iter().flat_map(u16::to_be_bytes).collect(),
        label => {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, unmapped) = encoding.encode(text);
            assert!(!unmapped);
            bytes.into_owned()
        }
    }
}

#[test]
fn utf_16_is_read_with_and_without_a_mark() {
    let project = project("texts_utf16", "[format]\nencoding = \"utf-16\"\n");
    let text = "id,name,note\r\n1,Zoë,\"a\nb\"\r\n2,𝄞,ਊ\r\n";
    let expected = "1=Zoë/a\nb 2=𝄞/ਊ";
    for (encoding, mark) in [
        ("utf-16le", "\u{FEFF}"),
        ("utf-16be", "\u{FEFF}"),
        ("utf-16le", ""),
        ("utf-16be", ""),
    ] {
        project.input("items.csv", encoded(&format!("{mark}{text}"), encoding));
        project.run().code(0);
        assert_eq!(rows(&project), expected, "{encoding} {mark:?}");
    }
    // Whoever does not declare it is told to.
    let live = project.live();
    for (format, mark, said) in [
        ("", "\u{FEFF}", "this is UTF-16 text"),
        ("", "", "this looks like UTF-16 text without a mark"),
        (
            "[format]\nencoding = \"windows-1252\"\n",
            "\u{FEFF}",
            "this is UTF-16 text",
        ),
    ] {
        project.source("item", &source(format));
        project.input("items.csv", encoded(&format!("{mark}{text}"), "utf-16le"));
        project.refuses(
            1,
            &[
                "`texts_utf16/items.csv`",
                said,
                "hint: say `encoding = \"utf-16\"` under [format]",
            ],
        );
    }
    // Half of a character is a reject with its place in the file.
    project.source("item", &source("[format]\nencoding = \"utf-16le\"\n"));
    let mut broken = encoded("id,name,note\n1,x,y\n2,", "utf-16le");
    let place = broken.len();
    broken.extend([0x34, 0xD8]);
    broken.extend(encoded(",z\n", "utf-16le"));
    project.input("items.csv", broken);
    project.refuses(
        1,
        &[
            "record 2, line 3",
            &format!("column `name`: value is not valid UTF-16LE at byte {place} of the file"),
        ],
    );
    assert_eq!(project.live(), live);
}

#[test]
fn a_byte_of_a_character_is_never_a_delimiter() {
    let project = project(
        "texts_asian",
        "[format]\nencoding = \"shift_jis\"\ndelimiter = \"|\"\nquote = \"none\"\n",
    );
    // The second byte of the first is a pipe, of the other a backslash.
    let text = "id|name|note\n1|ポンプ|ソ\n2|表|\n";
    let bytes = encoded(text, "shift_jis");
    assert!(bytes.windows(2).any(|pair| pair == b"\x83|"));
    project.input("items.txt", bytes);
    project.run().code(0);
    assert_eq!(rows(&project), "1=ポンプ/ソ 2=表/∅");

    project.source(
        "item",
        &source("[format]\nencoding = \"gbk\"\ndelimiter = \"|\"\nquote = \"none\"\n"),
    );
    let text = "id|name|note\n1|乵|中文\n2|€|亅\n";
    project.input("items.txt", encoded(text, "gbk"));
    project.run().code(0);
    assert_eq!(rows(&project), "1=乵/中文 2=€/亅");
    // A lead byte before a delimiter that cannot follow it takes only itself along.
    project.input("items.txt", b"id|name|note\n1|\xFF|x\n2|y|z\n");
    project.refuses(
        1,
        &[
            "record 1, line 2",
            "value is not valid GBK at byte 15 of the file",
        ],
    );
}

#[test]
fn a_fault_three_megabytes_into_a_file_is_told_like_one_in_the_first_line() {
    let project = project(
        "texts_far",
        "[format]\nencoding = \"windows-1252\"\n[expect]\nrejects = { max = 2 }\n",
    );
    let mut bytes = b"id,name,note\n0,\x8Dx,y\n".to_vec();
    let mut record = 1;
    while bytes.len() < 3 << 20 {
        bytes.extend(format!("{record},caf").bytes());
        bytes.extend(b"\xE9,a longer note of the record \x93in quotes\x94\n");
        record += 1;
    }
    let line = record + 2;
    bytes.extend(format!("{record},good,").bytes());
    bytes.extend(b"\"ab ");
    let far = bytes.len();
    bytes.extend(b"\x81\"\n");
    project.input("items.csv", &bytes);
    let list = project.path("rejects.csv");
    project
        .overnight(&["run", &project.name, "--rejects", list.to_str().unwrap()])
        .code(0);
    assert_eq!(
        project
            .service("select count(*) || ' ' || count(*) filter (where name = 'café') from item"),
        format!("{0} {0}", record - 1)
    );
    let list = std::fs::read_to_string(list).unwrap();
    for part in [
        "is not valid windows-1252 at byte 15 of the file".to_owned(),
        format!("is not valid windows-1252 at byte {far} of the file"),
        format!(",{},{line},", record + 1),
    ] {
        assert!(list.contains(&part), "{part}: {list}");
    }

    // The same far into text that is turned into UTF-8: windows-1251 does not define 98.
    project.source(
        "item",
        &source("[format]\nencoding = \"windows-1251\"\n[expect]\nrejects = { max = 2 }\n"),
    );
    bytes[15] = 0x98;
    bytes[far] = 0x98;
    project.input("items.csv", &bytes);
    let list = project.path("rejects.csv");
    project
        .overnight(&["run", &project.name, "--rejects", list.to_str().unwrap()])
        .code(0);
    assert_eq!(project.service("select name from item limit 1"), "cafй");
    let list = std::fs::read_to_string(list).unwrap();
    for byte in [15, far] {
        let said = format!("is not valid windows-1251 at byte {byte} of the file");
        assert!(list.contains(&said), "{said}: {list}");
    }
}

#[test]
fn elements_of_a_document_become_rows() {
    let project = Project::with_schema(
        "texts_xml",
        "create table item (id integer not null, name text not null, price numeric(8,2), unit text, tags text[]);\n",
        "table = \"item\"\nfiles = \"items*\"\nignore = [\"history\"]\n[format]\nkind = \"xml\"\nrows = \"/feed/item\"\n[columns]\nid = \"@id\"\nunit = \"price/@unit\"\ntags = \"tags/tag[]\"\n",
    );
    let document = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>
<feed date=\"2026-11-22\">
  <item id=\"1\"><name>Zo\u{EB} &amp; co</name><price unit=\"kg\">1.50</price>
    <tags><tag>a,b</tag><tag>\"q\" \\</tag></tags><history><was>2</was></history></item>
  <item id=\"2\"><name>two\nlines</name><price/></item>
</feed>";
    project.input("items.xml", encoded(document, "windows-1252"));
    project.run().code(0);
    assert_eq!(
        project.service("select string_agg(to_jsonb(item)::text, ' ' order by id) from item"),
        "{\"id\": 1, \"name\": \"Zoë & co\", \"tags\": [\"a,b\", \"\\\"q\\\" \\\\\"], \"unit\": \"kg\", \"price\": 1.50} \
         {\"id\": 2, \"name\": \"two\\nlines\", \"tags\": null, \"unit\": null, \"price\": null}"
    );
    let live = project.live();
    project.input(
        "items.xml",
        "<feed><item id=\"1\"><name>x</name><size>3</size></item></feed>",
    );
    project.refuses(
        1,
        &[
            "`size` below `/feed/item` holds text, and no column takes it",
            "hint: in the source file, map it with `from = \"size\"`",
        ],
    );
    project.input(
        "items.xml",
        "<feed><item id=\"1\"><name>x</name></item><item id=\"2\"><name>canary</name><name>y</name></item></feed>",
    );
    let told = project.refuses(
        1,
        &[
            "record 2",
            "column `name`: value comes more than once in the record",
        ],
    );
    assert!(!told.stderr.contains("canary"));
    project.input("items.xml", "<feed><item id=\"1\"><name>x</name></item>");
    project.refuses(
        1,
        &[
            "ends early",
            "ask whoever delivers the file for a whole one",
        ],
    );
    project.input("items.xml", "<other/>");
    project.refuses(1, &["no element `/feed/item`; its root is `/other`"]);
    assert_eq!(project.live(), live);
}

pub fn parquet(groups: &[std::ops::Range<i32>]) -> Vec<u8> {
    let schema = "message items {
        required int32 id;
        optional binary name (UTF8);
        required int32 price (DECIMAL(8,2));
        required int64 seen (TIMESTAMP(MICROS,true));
        optional group tags (LIST) { repeated group list { optional int32 element; } }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for ids in groups {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<i32> = ids.clone().collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int32Type>()
            .write_batch(&ids, None, None)
            .unwrap();
        column.close().unwrap();
        let levels: Vec<i16> = ids.iter().map(|id| i16::from(id % 10 > 0)).collect();
        let names: Vec<parquet::data_type::ByteArray> = ids
            .iter()
            .filter(|id| **id % 10 > 0)
            .map(|id| {
                if id % 10 == 1 {
                    String::new()
                } else {
                    format!("n\\{id}\n")
                }
            })
            .map(|name| name.into_bytes().into())
            .collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&names, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int32Type>()
            .write_batch(&ids, None, None)
            .unwrap();
        column.close().unwrap();
        let seen: Vec<i64> = ids.iter().map(|id| i64::from(*id) * 1_000_001).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&seen, None, None)
            .unwrap();
        column.close().unwrap();
        let levels = vec![3; ids.len()];
        let repeats = vec![0; ids.len()];
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int32Type>()
            .write_batch(&ids, Some(&levels), Some(&repeats))
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn row_groups_of_parquet_come_whole_and_in_order() {
    let table = "create table item (id integer not null, name text, price numeric(8,2), seen timestamptz, tags integer[]);\n";
    let project = Project::with_schema(
        "texts_parquet",
        table,
        "table = \"item\"\nfiles = \"items*\"\norder_by = [\"id\"]\n[format]\nkind = \"parquet\"\n",
    );
    let file = parquet(&[0..20_000, 20_000..20_001, 20_001..60_000, 60_000..60_100]);
    project.input("items.parquet", &file);
    project.run().code(0);
    assert_eq!(
        project.service(
            "select concat_ws(' ', count(*), min(id), max(id), count(name), count(*) filter (where name = ''),
                count(*) filter (where name = E'n\\\\' || id || E'\\n'), sum(price), sum(tags[1]),
                max(extract(epoch from seen))) from item"
        ),
        "60100 0 60099 54090 6010 48080 18059749.50 1805974950 60099.060099"
    );
    // The same file compressed again, and one that is not whole.
    let live = project.live();
    project.input("items.parquet", super::inputs::gzip(&file));
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "60100");
    project.input("items.parquet", &file[..file.len() / 2]);
    project.refuses(1, &["`texts_parquet/items.parquet`", "read Parquet data: "]);
    project.input("items.parquet", "id,name\n1,x\n");
    project.refuses(
        1,
        &[
            "this is no Parquet file",
            "hint: say what it is with `kind`",
        ],
    );
    assert_ne!(project.live(), live);
}

#[test]
fn the_cells_of_a_sheet_become_rows() {
    let project = Project::with_schema(
        "texts_xlsx",
        "create table item (id integer not null, name text, price numeric(8,2), day date, seen timestamp);\n",
        "table = \"item\"\nfiles = \"items*\"\n[format]\nkind = \"xlsx\"\nsheet = \"Items\"\n",
    );
    let header = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>ID</t></is></c><c r=\"B1\" t=\"s\"><v>0</v></c><c r=\"C1\" t=\"s\"><v>1</v></c><c r=\"D1\" t=\"s\"><v>2</v></c><c r=\"E1\" t=\"s\"><v>3</v></c></row>";
    let rows = format!(
        "{header}\
         <row r=\"2\"><c r=\"A2\"><v>1</v></c><c r=\"B2\" t=\"s\"><v>4</v></c><c r=\"C2\"><v>0.30000000000000004</v></c><c r=\"D2\" s=\"1\"><v>61</v></c><c r=\"E2\" s=\"2\"><v>45983.5</v></c></row>\
         <row r=\"4\"><c r=\"A4\"><v>2</v></c></row>"
    );
    let strings = ["name", "price", "Day", "seen", "Zoë\nB"];
    let other = "<row r=\"1\"><c r=\"A1\"><v>9</v></c></row>";
    let book = |rows: &str| workbook(&[("Read me", other), ("Items", rows)], &strings, false);
    project.input("items.xlsx", book(&rows));
    project.run().code(0);
    assert_eq!(
        project.service("select string_agg(to_jsonb(item)::text, ' ' order by id) from item"),
        "{\"id\": 1, \"day\": \"1900-03-01\", \"name\": \"Zoë\\nB\", \"seen\": \"2025-11-22T12:00:00\", \"price\": 0.30} \
         {\"id\": 2, \"day\": null, \"name\": null, \"seen\": null, \"price\": null}"
    );
    let live = project.live();
    let wrong = format!(
        "{header}<row r=\"2\"><c r=\"A2\"><v>1</v></c></row><row r=\"3\"><c r=\"A3\"><v>2</v></c><c r=\"C3\" t=\"e\"><v>#DIV/0!</v></c></row>"
    );
    project.input("items.xlsx", book(&wrong));
    project.refuses(
        1,
        &[
            "record 2, line 3",
            "column `price`: value holds the error #DIV/0! (cell C3)",
        ],
    );
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[format]\nkind = \"xlsx\"\n",
    );
    project.refuses(
        1,
        &[
            "several sheets of the workbook hold something: `Read me`, `Items`",
            "hint: say which with `sheet` under [format]",
        ],
    );
    assert_eq!(project.live(), live);
}
