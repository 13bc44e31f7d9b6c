//! Files that come packed: every container into the real database, with its members in the rejects.

use super::gzip;
use crate::support::Project;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 6);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// 100 MiB of one byte in a hundred KiB.
fn bomb() -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(&vec![b'0'; 100 << 20]).unwrap();
    out.finish().unwrap()
}

/// Rows of these ids; the bad ones cannot be loaded.
fn items(ids: std::ops::Range<i64>, bad: &[i64]) -> Vec<u8> {
    let mut text = String::from("id,name,price,seen\n");
    for id in ids {
        let price = if bad.contains(&id) { "dear" } else { "1.25" };
        text += &format!("{id},\"name {id}\",{price},2026-11-21\n");
    }
    text.into_bytes()
}

fn source(project: &Project, files: &str, more: &str) {
    project.source(
        "item",
        &format!("table = \"item\"\nfiles = \"{files}\"\n{more}"),
    );
}

/// What the stamp tells of each reject.
fn rejects(project: &Project) -> String {
    project.service(
        "select string_agg(concat_ws(' ', key, member, record, line, byte, column_name), '; ' order by ctid) from overnight.reject",
    )
}

#[test]
fn every_container_is_loaded_and_its_rejects_name_the_member() {
    let project = Project::new("boxes_read");
    let first = items(1..4, &[2]);
    let second = items(4..9, &[4, 8]);
    let other = items(900..950, &[]);
    let byte = |text: &[u8], start: &str| {
        let text = std::str::from_utf8(text).unwrap();
        text.find(start).unwrap()
    };
    let members = [
        ("items_1.csv", first.as_slice()),
        ("notes.csv.bak", &other),
        ("__MACOSX/._items_1.csv", b"\0\x05\x16\x07"),
        ("later/items_2.csv", &second),
    ];
    let one = format!("items_1.csv 2 3 {} price", byte(&first, "2,"));
    let two = [
        format!("later/items_2.csv 1 2 {} price", byte(&second, "4,")),
        format!("later/items_2.csv 5 6 {} price", byte(&second, "8,")),
    ];
    let cases = [
        ("items.zip", zip(&members), "items*!*.csv", ""),
        ("items.tar", tar(&members), "items*!*.csv", ""),
        ("items.tar.gz", gzip(&tar(&members)), "items*!*.csv", ""),
        (
            "items.zip",
            zip(&[("readme.txt", b"x"), ("night.zip", &zip(&members))]),
            "items*!*.zip!*.csv",
            "night.zip!",
        ),
    ];
    let small = "[expect]\nrejects = { max = 3 }\n";
    for (name, bytes, files, outer) in cases {
        source(&project, files, small);
        project.input(name, bytes);
        project.run().code(0);
        assert_eq!(project.service("select count(*) from item"), "5", "{name}");
        let expected: Vec<String> = std::iter::once(&one)
            .chain(&two)
            .map(|place| format!("boxes_read/{name} {outer}{place}"))
            .collect();
        assert_eq!(rejects(&project), expected.join("; "));
        assert_eq!(
            project.service("select concat_ws(' ', records_read, rows_loaded, rejected, skipped) from overnight.input"),
            "8 5 3 0"
        );
        std::fs::remove_file(project.path(&format!("in/boxes_read/{name}"))).unwrap();
    }

    // What is no archive has no member, and a file of several objects may come in several ways.
    source(&project, "items*", small);
    project.input("items_1.csv.bz2", bzip2(&first));
    project.input("items_2.csv.xz", xz(&items(4..7, &[])));
    project.input(
        "items_3.csv.zip",
        zip(&[("items_3.csv", &items(7..9, &[8]))]),
    );
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "6");
    assert_eq!(
        rejects(&project),
        format!(
            "boxes_read/items_1.csv.bz2 2 3 {0} price; boxes_read/items_3.csv.zip items_3.csv 2 3 {1} price",
            byte(&first, "2,"),
            byte(&items(7..9, &[8]), "8,"),
        )
    );
    let ended = project
        .overnight(&["run", &project.name, "--force", "--rejects", "rejects.csv"])
        .code(0);
    drop(ended);
    let list = std::fs::read_to_string(project.path("rejects.csv")).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(
        lines[0],
        "source,key,member,record,line,byte,column,kind,reason,raw"
    );
    assert!(lines[1].starts_with("item,boxes_read/items_1.csv.bz2,,2,3,"));
    assert!(lines[2].starts_with("item,boxes_read/items_3.csv.zip,items_3.csv,2,3,"));
}

#[test]
fn a_record_that_the_server_refuses_is_told_with_its_member() {
    let project = Project::new("boxes_server");
    source(&project, "items*!*.csv", "");
    let members: [(&str, &[u8]); 2] = [
        ("a.csv", &items(1..4, &[])),
        // The key of the third is there already.
        (
            "b.csv",
            b"id,name,price,seen\n7,x,1,2026-11-21\n8,x,1,2026-11-21\n,x,1,2026-11-21\n",
        ),
    ];
    project.input("items.zip", zip(&members));
    project.refuses(
        1,
        &["the first: `boxes_server/items.zip!b.csv` record 3, line 4, byte 53, column `id`"],
    );
    project.sql(
        "schema/020_checks.sql",
        "alter table item add constraint small check (id < 8);\n",
    );
    let members: [(&str, &[u8]); 2] = [("a.csv", &items(1..4, &[])), ("b.csv", &items(6..10, &[]))];
    project.input("items.zip", zip(&members));
    project.refuses(1, &["`boxes_server/items.zip!b.csv` record 3: check"]);
}

#[test]
fn what_cannot_be_opened_says_why_and_what_to_write() {
    let project = Project::new("boxes_refused");
    project.items(3, "good");
    project.run().code(0);
    let text = items(1..2000, &[]);
    let members = [("a.csv", text.as_slice()), ("b.csv", &text)];
    let archive = zip(&members);
    let packed = gzip(&tar(&members));
    let cases: [(&str, &str, Vec<u8>, &[&str]); 11] = [
        (
            "two files",
            "items*",
            archive.clone(),
            &[
                "read `boxes_refused/items.csv`: this archive holds several files: `a.csv`, `b.csv`",
                "hint: say which are meant behind a `!` in `files`, as in `files = \"*.zip!*.txt\"`; nothing was published",
            ],
        ),
        (
            "no such member",
            "items*!*.txt",
            archive.clone(),
            &[
                "no member of this archive matches `*.txt`; it holds `a.csv`, `b.csv`",
                "hint: correct what stands behind the `!` of `files`",
            ],
        ),
        (
            "no archive",
            "items*!*.csv",
            text.clone(),
            &[
                "look at the header of `boxes_refused/items.csv`",
                "this is no archive, and `files` asks for `!*.csv` in it",
            ],
        ),
        (
            "cut zip",
            "items*!*.csv",
            archive[..archive.len() - 30].to_vec(),
            &[
                "read zip data: ends early",
                "hint: ask whoever delivers the file for a whole one",
            ],
        ),
        (
            "cut tar",
            "items*!*.csv",
            tar(&members)[..1024].to_vec(),
            &["items.csv!a.csv`: read tar data: ends early"],
        ),
        (
            "cut tar.gz",
            "items*!*.csv",
            packed[..packed.len() - 5].to_vec(),
            &["read gzip data: ends early"],
        ),
        (
            "bomb",
            "items*",
            bomb(),
            &[
                "it expands to more than 250 times its size",
                "hint: what does is most likely a bomb; `max_expansion` under [format] allows more; nothing was published",
            ],
        ),
        (
            "max_members = 1\n",
            "items*!*.csv",
            archive.clone(),
            &[
                "it holds more than 1 members",
                "hint: `max_members` under [format]",
            ],
        ),
        (
            "max_expanded_bytes = \"1KiB\"\n",
            "items*!*.csv",
            packed.clone(),
            &[
                "it expands to more than 1.0 KiB",
                "hint: `max_expanded_bytes` under [format] allows more; nothing was published",
            ],
        ),
        (
            "header of a member",
            "items*!*.csv",
            zip(&[("a.csv", &text), ("c.csv", b"id,other\n1,x\n")]),
            &["`boxes_refused/items.csv!c.csv` does not fit table `item`"],
        ),
        (
            "workbook",
            "items*",
            zip(&[("xl/workbook.xml", b"<workbook/>"), ("xl/a.xml", b"<a/>")]),
            &["this is an Excel workbook, not text", "`kind = \"xlsx\"`"],
        ),
    ];
    for (what, files, bytes, texts) in cases {
        let format = match what {
            "bomb" => "max_record_bytes = \"1GiB\"\n",
            key if key.contains(" = ") => key,
            _ => "",
        };
        source(&project, files, &format!("[format]\n{format}"));
        project.input("items.csv", bytes);
        let ended = project.refuses(1, &["`boxes_refused/items.csv", "hint: "]);
        for text in texts {
            assert!(
                ended.stderr.contains(text),
                "{what}: expected `{text}` in {}",
                ended.stderr
            );
        }
    }
    assert_eq!(project.service("select count(*) from item"), "3");
}
