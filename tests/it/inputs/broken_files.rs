//! Files that are missing, old, damaged or not what they claim to be.

use super::{gzip, zstd};
use crate::support::Project;
use std::time::{Duration, SystemTime};

fn dataset_toml(project: &Project, more: &str) {
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = 1\nfiles_under = \"{0}/\"\nreaders = [\"{1}\"]\nprobe = {{ user = \"{1}\" }}\n{more}",
            project.name, project.reader
        ),
    );
}

/// Sets the age of an input.
fn age(project: &Project, key: &str, age: Duration) {
    let path = project.path(&format!("in/{}/{key}", project.name));
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(SystemTime::now() - age)
        .unwrap();
}

#[test]
fn inputs_that_are_missing_incomplete_old_or_too_fresh_build_nothing() {
    let project = Project::new("files_late");
    project.input("other.csv", "x\n");
    project.refuses(
        1,
        &[
            "source `item` of `files_late`: no object matches `/",
            "/in/files_late/items*`\n",
            "hint: below `/",
            "/in/files_late/` there is `files_late/other.csv`; nothing was built",
        ],
    );
    project.items(3, "x");

    dataset_toml(&project, "ready_when = \"_SUCCESS\"\n");
    project.refuses(
        1,
        &[
            "the inputs of `files_late` are not complete",
            "/in/files_late/_SUCCESS` is missing",
            "there is `files_late/items.csv`, `files_late/other.csv`",
            "hint: ",
            "nothing was built",
        ],
    );
    project.input("_SUCCESS", "");

    dataset_toml(&project, "ready_when = \"_SUCCESS\"\nmax_age = \"36h\"\n");
    age(&project, "items.csv", Duration::from_secs(40 * 3600));
    project.refuses(
        1,
        &[
            "the newest input of `files_late`, `files_late/items.csv`, was delivered 20",
            "Z (1 d 16 h ago), and max_age allows 1 d 12 h",
            "nothing was built",
        ],
    );

    dataset_toml(&project, "ready_when = { min_age = \"10m\" }\n");
    age(&project, "items.csv", Duration::from_secs(60));
    project.refuses(
        1,
        &[
            "`files_late/items.csv` changed 6",
            "only after 600 s without change",
            "hint: run again later",
        ],
    );
    // Nothing was built for any of them; then the inputs are there.
    assert_eq!(project.ledger("select count(*) from ledger.build"), "0");
    age(&project, "items.csv", Duration::from_secs(700));
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "3");
}

#[test]
fn a_file_that_is_damaged_or_of_another_kind_is_refused_with_advice() {
    let project = Project::new("files_damaged");
    project.items(3, "good");
    project.run().code(0);
    let live = project.live();
    let text = crate::support::project::items(2000, "canary");
    let packed = gzip(text.as_bytes());
    let framed = zstd(text.as_bytes());
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let utf_16: Vec<u8> = "\u{feff}id,name\n1,x\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        (
            "cut gzip",
            packed[..packed.len() / 2].to_vec(),
            &["read gzip data: ends early"],
        ),
        (
            "cut trailer",
            packed[..packed.len() - 4].to_vec(),
            &["read gzip data: ends early"],
        ),
        ("cut magic", packed[..1].to_vec(), &["ends early"]),
        (
            "garbage behind gzip",
            [&packed[..], b"id,name\n"].concat(),
            &["read gzip data: "],
        ),
        ("flipped bit", flipped, &["read gzip data: "]),
        (
            "cut zstd",
            framed[..framed.len() - 10].to_vec(),
            &["read zstd data: ends early"],
        ),
        (
            "garbage behind zstd",
            [&framed[..], b"id,name\n"].concat(),
            &["read zstd data: "],
        ),
        (
            "zip",
            b"PK\x03\x04\x14\x00\x00\x00\x08\x00rest of an archive".to_vec(),
            &["read zip data: ends early"],
        ),
        ("utf-16", utf_16, &["UTF-16"]),
        (
            "empty",
            Vec::new(),
            &["is empty: expected at least a header"],
        ),
        (
            "empty gzip",
            gzip(b""),
            &["is empty: expected at least a header"],
        ),
    ];
    for (what, bytes, texts) in cases {
        project.input("items.csv", bytes);
        let ended = project.refuses(1, &["`files_damaged/items.csv`", "hint: "]);
        for text in texts {
            assert!(ended.stderr.contains(text), "{what}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("canary"), "{what}: {}", ended.stderr);
    }
    assert_eq!(project.live(), live);
    assert_eq!(project.service("select count(*) from item"), "3");
}

#[test]
fn a_large_file_that_breaks_off_is_refused_although_its_start_was_fine() {
    let project = Project::new("files_cut");
    let mut text = crate::support::project::items(60_000, "row");
    let packed = gzip(text.as_bytes());
    assert!(packed.len() > 300 << 10, "{}", packed.len());
    project.input("items.csv", &packed[..packed.len() - 1000]);
    project.refuses(
        1,
        &[
            "load source `item` into `files_cut_",
            "read `files_cut/items.csv`",
            "read gzip data: ends early",
            "hint: ",
        ],
    );
    // A quote that is never closed swallows the rest: its line is told, not the end of the file.
    text += "60001,\"open,1.00,2026-11-21\n60002,next,1.00,2026-11-21\n";
    project.input("items.csv", &text);
    project.refuses(
        1,
        &[
            "read `files_cut/items.csv`",
            "the quote opened at line 60002",
            "is not closed before the end",
        ],
    );
    assert!(project.databases().is_empty());
}

#[test]
fn a_record_longer_than_allowed_is_refused_with_its_line() {
    let project = Project::new("files_long");
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[format]\nmax_record_bytes = \"1KiB\"\n",
    );
    let long = "canary".repeat(300);
    project.input(
        "items.csv",
        format!("id,name,price,seen\n1,x,1.00,2026-11-21\n2,{long},1.00,2026-11-21\n"),
    );
    let ended = project.refuses(
        1,
        &[
            "read `files_long/items.csv`",
            "the record at line 3 (byte 39) is longer than 1024 bytes",
            "hint: look for a quote that is not closed; `max_record_bytes`",
        ],
    );
    assert!(!ended.stderr.contains("canary"));
    project.input(
        "items.csv",
        format!(
            "id,name,price,seen\n1,\"open,1.00,2026-11-21\n{}",
            "2,x,1.00,2026-11-21\n".repeat(200)
        ),
    );
    project.refuses(
        1,
        &[
            "the record at line 2 (byte 19) is longer than 1024 bytes",
            "a quote opened at line 2 is not closed",
        ],
    );
    assert!(project.databases().is_empty());
}

#[test]
fn a_file_with_only_a_header_is_no_night() {
    let project = Project::new("files_header_only");
    project.input("items.csv", "id,name,price,seen\n");
    project.refuses(
        1,
        &[
            "verify `files_header_only_",
            "rows of item: 0 encoded, 0 acknowledged, 0 counted, at least 1 expected",
            "hint: the alias was not touched",
        ],
    );
    // Unless the source says that nothing is enough.
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrows = { min = 0 }\n",
    );
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "0");
}
