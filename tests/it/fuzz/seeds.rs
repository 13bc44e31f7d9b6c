//! The files that a corpus begins with. Each opens with the bytes that choose its options.

use std::io::{Cursor, Write};

type Seed = (&'static str, String, Vec<u8>);

/// All of them: the target, a name, and the bytes.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target: &'static str, files: Vec<Vec<u8>>| {
        for (number, bytes) in files.into_iter().enumerate() {
            seeds.push((target, format!("seed_{number:02}"), bytes));
        }
    };
    add("split", split());
    add("delimited", delimited());
    add("fixed_width", fixed_width());
    add("json_lines", json_lines());
    add("xml", xml());
    #[cfg(feature = "xlsx")]
    add("xlsx", vec![xlsx()]);
    #[cfg(feature = "parquet")]
    add("parquet", parquet());
    add("values", values());
    add("encoders", encoders());
    add("containers", containers());
    add("transcode", transcode());
    add("sql", sql());
    seeds
}

/// Options before a text.
fn with(options: &[u8], text: impl AsRef<[u8]>) -> Vec<u8> {
    [options, text.as_ref()].concat()
}

const TEXTS: [&str; 6] = [
    "id,name,b\r\n1,\"a \"\"quoted\"\" name\",2\r\n2,\"two\nlines\",\r\n\r\n3,short\r\n4,x,y,z\r\nTotal,3,\r\n",
    "note\n# a comment \" with a quote\nid,b,c\n1,a,\"open\n--a,\"\n2,\\N,NA\n1.5,2026-11-22,t\nT,\"\",\n",
    "id|a\\|b|c\\\\\n1|\\N|x\\\n2|,|\r\n3|t|f|\n4|\\",
    "\u{feff}id^~na~~me~^x^\r1^~a\rb~^é^\r2^^^\r",
    "'id'\t'it''s'\n1\t'a\tb'\n''\t\n\"x\"y,1\n",
    "~a~;\"b\"\n~a~x;\nid\"a;\"\"\n;;;\n \n#\n--a\nT",
];

fn split() -> Vec<Vec<u8>> {
    // Skip, footer, comment, encoding, longest, pad; delimiter, quote, escape, header, lines, trailing; chunk, pieces.
    let options: [&[u8]; 6] = [
        &[4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 2],
        &[0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 3],
        &[4, 0, 0, 0, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0],
        &[4, 4, 0, 0, 0, 0, 3, 3, 0, 0, 0, 1, 4, 1],
        &[4, 1, 0, 2, 3, 1, 2, 4, 0, 0, 0, 0, 2, 7],
        &[2, 3, 4, 3, 0, 0, 4, 0, 2, 0, 3, 0, 30, 5],
    ];
    let pairs = options.iter().zip(TEXTS);
    pairs.map(|(options, text)| with(options, text)).collect()
}

fn delimited() -> Vec<Vec<u8>> {
    let columns: [&[u8]; 3] = [
        // Not null, nulls, spelling, type: for each of three columns.
        &[7, 2, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 2],
        &[3, 2, 1, 2, 1, 4, 0, 2, 1, 5, 0, 0, 1, 11],
        &[
            9, 2, 0, 0, 0, 0, 1, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 29,
        ],
    ];
    let mut files = Vec::new();
    for (number, seed) in split().into_iter().enumerate() {
        let (options, text) = seed.split_at(12);
        let columns = columns[number % columns.len()];
        files.push([options, columns, &text[2..]].concat());
    }
    files
}

fn fixed_width() -> Vec<Vec<u8>> {
    let text = "A 1  Zoë  2026-11-22\nB 2  Bob\n10x  Eve  2026-13-40   \nA 12345678901234567890123\n\n#\nA\n";
    let columns: &[u8] = &[5, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 4];
    let layouts: [&[u8]; 3] = [
        &[2, 2, 2, 5, 3, 10, 9, 0, 1, 0, 4, 4, 0, 0, 0, 0],
        &[2, 2, 2, 5, 3, 10, 9, 1, 1, 1, 0, 0, 4, 4, 0, 2, 0, 1],
        &[2, 0, 0, 1, 0, 1, 1, 1, 0, 0, 4, 0, 3, 0, 3, 1],
    ];
    let files = layouts.map(|options| [options, columns, text.as_bytes()].concat());
    files.to_vec()
}

fn json_lines() -> Vec<Vec<u8>> {
    let texts = [
        "{\"id\": 1, \"name\": \"a\\u00e9\\ud83d\\ude00\"}\n{\"id\":12345678901234567890.10,\"name\":null}\n[]\n{\"id\":}\n{\"name\":\"\\ud800\"}\n",
        "{\"a\":{\"b\":[{\"c\":\"x\"},2]},\"a.b\":{\"c\":true}}\n{\"a\":[1,[2,[3]]],\"a\":{}}\r\n\r\n{\"a\":{\"b\":[]}}",
        "{\"id\":7,\"items\":[{\"code\":\"x\",\"tags\":[1]},{\"code\":2},{}]}\n{\"items\":[]}\n{\"items\":null}\n{\"items\":{}}\n{\"id\":\"a long text that stands beside many items\",\"items\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}\n",
        "{\"a\":{\"b\":[1,\"two\",{\"c\":3}]},\"id\":1}\n{\"a\":{\"b\":[{\"c\":\"\\u0000\"}]}}\n",
        "[1,{\"a\":2}]\n[\"\\\"\"]\n[[[[[[[[1]]]]]]]]\n[-0.5e+10,tru]\n",
    ];
    let columns: &[u8] = &[6, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0];
    let files = texts.iter().zip(0_u8..).map(|(text, paths)| {
        let around = [paths, 2, 4, 4, 0, 0, 0, 0];
        [&around[..], columns, text.as_bytes()].concat()
    });
    files.collect()
}

fn xml() -> Vec<Vec<u8>> {
    let utf_16: Vec<u8> = "\u{feff}<a b=\"1\">é</a>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    vec![
        with(
            &[0, 0, 0, 5],
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- c --><table><row id=\"1\"><name>Zo&#xEB; &amp; <![CDATA[<b>]]></name><tags><tag>a</tag><tag>\"b\"</tag></tags></row><row id='2'><note>n<b/></note><name/></row></table>",
        ),
        with(&[1, 0, 0, 1], "<a b=\"&lt;\">text<!-- x -->more</a>"),
        with(&[1, 4, 0, 2], utf_16),
        with(
            &[2, 3, 0, 9],
            "<r><x><name>1</name><name>2</name></x><y><a><b c=\"3\"/></a></y><z xmlns:q='u' q:name=''/></r>",
        ),
        with(
            &[3, 0, 2, 3],
            "<table><list><row><id>1</id><name>a</name><name>b</name></row><row><id>&unknown;</id></row></list><list/></table>",
        ),
        with(
            &[0, 0, 3, 0],
            "<table><row><name>a text that is too long for it</name></row></table>",
        ),
    ]
}

#[cfg(feature = "xlsx")]
fn xlsx() -> Vec<u8> {
    const MAIN: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let parts = [
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook {MAIN} xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"one\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"{OFFICE}/styles\" Target=\"styles.xml\"/><Relationship Id=\"rId3\" Type=\"{OFFICE}/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/sharedStrings.xml",
            format!(
                "<sst {MAIN}><si><t>id</t></si><si><r><t>na</t></r><r><t>me</t></r></si></sst>"
            ),
        ),
        (
            "xl/styles.xml",
            format!(
                "<styleSheet {MAIN}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"22\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!(
                "<worksheet {MAIN}><dimension ref=\"A1:C4\"/><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row><row r=\"2\"><c r=\"A2\"><v>1.5</v></c><c r=\"B2\" s=\"1\"><v>45000.25</v></c></row><row r=\"4\"><c r=\"A4\" t=\"e\"><v>#N/A</v></c><c r=\"C4\" t=\"b\"><v>1</v></c><c t=\"inlineStr\"><is><t>x</t></is></c></row></sheetData></worksheet>"
            ),
        ),
    ];
    // Stored, so that a change of a byte is one of the text.
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, text) in parts {
        archive.start_file(path, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    with(&[0, 0], archive.finish().unwrap().into_inner())
}

#[cfg(feature = "parquet")]
fn parquet() -> Vec<Vec<u8>> {
    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use std::sync::Arc;

    let schema = "message m { required int32 id; optional binary name (UTF8); required int64 at (TIMESTAMP(MICROS,true));
        required binary cost (DECIMAL(20,4)); optional group tags (LIST) { repeated group list { optional int32 element; } } }";
    let file = |compression| {
        let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .build();
        let mut writer =
            SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        for _ in 0..2 {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let ids = column.typed::<Int32Type>();
            ids.write_batch(&[1, 2, 3], None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let names = [ByteArray::from("Zoë"), ByteArray::from("a|b")];
            let texts = column.typed::<ByteArrayType>();
            texts.write_batch(&names, Some(&[1, 0, 1]), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let times = column.typed::<Int64Type>();
            times.write_batch(&[0, i64::MAX, -1], None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let costs = [vec![0x12, 0x34], vec![0xFF], vec![0x80; 18]].map(ByteArray::from);
            let decimals = column.typed::<ByteArrayType>();
            decimals.write_batch(&costs, None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let (levels, repeats) = ([3, 2, 1, 0], [0, 1, 0, 0]);
            let tags = column.typed::<Int32Type>();
            tags.write_batch(&[5], Some(&levels), Some(&repeats))
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        with(&[0], writer.into_inner().unwrap())
    };
    vec![file(Compression::UNCOMPRESSED), file(Compression::SNAPPY)]
}

fn values() -> Vec<Vec<u8>> {
    // Which test, then thousands, point, implied, sign, form and its choices.
    let seeds: &[(&[u8], &str)] = &[
        (&[0, 0, 0, 0, 0, 0], "($1,234.50)"),
        (&[0, 1, 0, 0, 0, 1], "-1,234,567"),
        (&[0, 1, 1, 0, 1, 2], "1,234.50-"),
        (&[0, 0, 0, 2, 2, 2], "0012345{"),
        (&[0, 0, 1, 0, 0, 3], "12.5%"),
        (&[0, 0, 0, 0, 0, 4], "yes"),
        (&[0, 0, 0, 0, 0, 5, 0], "20261122"),
        (&[0, 0, 0, 0, 0, 5, 1], "22-NOV-2026"),
        (&[0, 0, 0, 0, 0, 5, 3], "2026326"),
        (&[0, 0, 0, 0, 0, 6, 3], "1:02:03.000004 p.m."),
        (&[0, 0, 0, 0, 0, 7, 1], "2026-11-22T04:05:06.789-05:30"),
        (&[0, 0, 0, 0, 0, 8, 0, 0, 0], "2026-03-08 02:30:00"),
        (&[0, 0, 0, 0, 0, 8, 1, 1, 1], "01-NOV-2026 01:30 AM"),
        (&[0, 0, 0, 0, 0, 8, 2, 1, 1], "2026-11-01T01:30:00.5"),
        (&[0, 0, 0, 0, 0, 9, 0], "-1700000000.123456"),
        (
            &[1, 1, 2, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3],
            " a; é;NA;;ŉΐß ",
        ),
        (&[1, 1, 0, 1, 0, 0, 0, 0, 0, 5], "b"),
        (
            &[2, 0],
            "FMDD\"of\" MONTH YYYY HH12:MI:SS.US A.M. TZH:TZM\n3of march 2026 12:00:00.5 P.M. +01:30",
        ),
        (&[2, 1], "YY-MM-DD\n29-02-29"),
        (
            &[3],
            "*_{date}.zip!**/p*.txt\nraw/x_20261122.zip!a/b/p1.txt",
        ),
        (
            &[3],
            "*a*a*a*a*a*a*a*a*a*a*a*a*{x}b\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            &[3],
            "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\0\0\0\0\0\0UTC\0\nUTC0\n",
        ),
    ];
    let seeds = seeds.iter();
    seeds.map(|(options, text)| with(options, text)).collect()
}

fn encoders() -> Vec<Vec<u8>> {
    // In the order of the types of the body.
    [
        "any text",
        "-2147483648",
        "1e-20",
        "1234.56",
        "2026-11-22 BC",
        "true",
        "-32768",
        "9223372036854775807",
        "1.17549435e-38",
        "-infinity",
        "a\\b\tc",
        "five5",
        "é  ",
        "a_name",
        "23:59:59.999999",
        "24:00:00",
        "2026-11-22 04:05:06.7",
        "infinity",
        "2026-11-22T04:05:06+05:30",
        "0001-01-01 00:00:00",
        "1 year 2 mons -3 days 04:05:06.7",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"a\": [1, 2.50, \"\\u00e9\", null]}",
        "{\"a\": {\"b\": [true, false]}, \"a\": 1e400}",
        "\\xDEADBEEF",
        "::ffff:192.168.0.1/128",
        "10.0.0.0/8",
        "large",
        "{1,NULL,-3}",
        "{\"a,\\\"b\",null,\"\"}",
        "{0.10,NaN}",
        "{2026-11-22 04:05:06Z}",
        "{\"\\\\x00ff\"}",
        "{\"{\\\"a\\\":1}\",[2]}",
    ]
    .iter()
    .zip(0_u8..)
    .map(|(text, ty)| with(&[ty], text))
    .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One block of bgzip: a gzip member that says how long it is.
fn bgzip(bytes: &[u8]) -> Vec<u8> {
    let plain = gzip(bytes);
    let body = &plain[10..];
    let length = (18 + body.len() - 1) as u16;
    let mut block = b"\x1F\x8B\x08\x04\0\0\0\0\0\xFF\x06\0BC\x02\0".to_vec();
    block.extend(length.to_le_bytes());
    block.extend(body);
    block
}

fn zip_of(method: zip::CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn containers() -> Vec<Vec<u8>> {
    use zip::CompressionMethod::{Deflated, Stored};
    let text: &[u8] = b"id|name\n1|Zoe\n2|Bob\n";
    let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(text).unwrap();
    // A small dictionary: the others cost each run many megabytes.
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(text).unwrap();
    let long = "a_name/that_is_long/".repeat(8) + "a.txt";
    let two: &[(&str, &[u8])] = &[("a.txt", text), ("b/c.txt", b"x\n")];
    let plain = zip_of(Stored, two);
    // Files, content, threads, pieces.
    vec![
        with(&[0, 0, 0, 0], text),
        with(
            &[0, 0, 0, 0],
            [gzip(text), gzip(b""), gzip(text), vec![0; 20]].concat(),
        ),
        with(
            &[0, 0, 2, 0],
            [bgzip(text), bgzip(text), bgzip(b"")].concat(),
        ),
        with(
            &[0, 0, 2, 1],
            [
                zstd(text),
                b"\x50\x2A\x4D\x18\x02\0\0\0xx".to_vec(),
                zstd(text),
            ]
            .concat(),
        ),
        with(&[0, 0, 0, 0], zstd(&[0; 100_000])),
        with(&[0, 0, 0, 0], bzip2.finish().unwrap()),
        with(&[0, 0, 0, 0], xz.finish().unwrap()),
        with(&[1, 0, 0, 0], &plain),
        with(&[2, 0, 0, 1], zip_of(Deflated, two)),
        with(&[3, 0, 0, 0], zip_of(Stored, &[("in.zip", &plain)])),
        with(&[1, 0, 0, 0], tar_of(two)),
        with(
            &[4, 0, 0, 0],
            gzip(&tar_of(&[(
                "x/in.zip",
                &zip_of(Stored, &[("a.txt", &gzip(text))]),
            )])),
        ),
        with(&[1, 0, 0, 3], tar_of(&[(&long, text)])),
        with(&[0, 0, 0, 0], gzip(&gzip(&gzip(&gzip(&gzip(text)))))),
    ]
}

fn transcode() -> Vec<Vec<u8>> {
    let utf_16 = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    vec![
        with(&[0, 2], utf_16("\u{feff}id,name\n1,Zoë 😀\n")),
        with(
            &[1, 0],
            [utf_16("a,b\n"), vec![0x00, 0xD8, 0x41, 0x00]].concat(),
        ),
        with(&[3, 4], b"id,\x83e\x83X\x83g,\x5C\x81\n\xFF"),
        with(&[4, 1], b"\xC4\xE3,\xBA\xC3,\x80,\x81"),
        with(&[5, 0], b"\x81\x30\x81\x30,\x84\x31\xA4\x37"),
        with(&[9, 3], b"\x1B$B%F%9\x1B(B,\x1B(I1\x1B(B"),
        with(&[11, 5], b"\xC1\xAA\xFF,\x80"),
        with(&[15, 1], "\u{feff}é,\n"),
    ]
}

fn sql() -> Vec<Vec<u8>> {
    [
        "create table plan (id integer primary key, name varchar(20) not null default 'a;''b', at timestamp(3) with time zone[]);\n-- a comment\ncreate index on plan (name);\n",
        "create type size as enum ('small', 'lar''ge'); create domain cost as numeric(9,2) not null; create table a.b (\"Odd \"\"Name\" size, c cost[][3], like plan, constraint k primary key (c)) partition by range (c);",
        "create or replace function f() returns int language sql begin atomic select case when 1 then 2 end as end; end; do $x$ begin null; end $x$;",
        "alter table only plan add column x bigint generated always as identity, drop column y; /* /* nested */ */ select E'\\'' 'b'\n'c', U&\"d\\0061\", $1, 1e5, b'01';",
        "-- no-transaction\n-- timeout: 30min\nvacuum plan; begin; commit and chain; copy plan from 'x';",
        "create table big (a varchar(2147483647), b numeric(99999,2), c timestamp(2147483647), d bpchar(2147483644), e interval(9));",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}
