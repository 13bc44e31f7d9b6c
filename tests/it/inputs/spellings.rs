//! The same columns in every spelling: one table for each, all in one night.

use super::{gzip, zstd};
use crate::support::Project;

/// A file in one spelling, and the rows that it holds.
struct Feed {
    name: &'static str,
    /// What its source file says after `table` and `files`.
    source: &'static str,
    bytes: Vec<u8>,
    /// `id=name/note` of each row in file order; `∅` is null.
    rows: &'static str,
}

fn feed(
    name: &'static str,
    source: &'static str,
    bytes: impl Into<Vec<u8>>,
    rows: &'static str,
) -> Feed {
    Feed {
        name,
        source,
        bytes: bytes.into(),
        rows,
    }
}

/// Publishes all feeds in one night and compares each table.
#[track_caller]
fn assert_feeds(dataset: &str, feeds: &[Feed]) {
    let tables: String = feeds
        .iter()
        .map(|feed| {
            format!(
                "create table {} (id integer, name text, note text);\n",
                feed.name
            )
        })
        .collect();
    let source = |feed: &Feed| {
        format!(
            "table = \"{0}\"\nfiles = \"{0}.*\"\n{1}",
            feed.name, feed.source
        )
    };
    let project = Project::with_schema(dataset, &tables, &source(&feeds[0]));
    for feed in feeds {
        project.source(feed.name, &source(feed));
        project.input(&format!("{}.txt", feed.name), &feed.bytes);
    }
    // The first feed's source has a name of its own now.
    std::fs::remove_file(project.path(&format!("sources/{dataset}/item.toml"))).unwrap();
    project.run().code(0);
    let mut wrong = Vec::new();
    for feed in feeds {
        let found = project.service(&format!(
            "select string_agg(id || '=' || coalesce(name, '∅') || '/' || coalesce(note, '∅'), ' ' order by ctid) from {}",
            feed.name
        ));
        if found != feed.rows {
            wrong.push(format!(
                "{}: {found:?}, expected {:?}",
                feed.name, feed.rows
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_delimiter_and_quoting_gives_the_rows_that_were_meant() {
    assert_feeds(
        "inputs_quoting",
        &[
            feed(
                "comma",
                "",
                "id,name,note\n1,ann,x\n2,\"b,ob\",\"he said \"\"hi\"\"\"\n3,\"two\nlines\",\n",
                "1=ann/x 2=b,ob/he said \"hi\" 3=two\nlines/∅",
            ),
            feed(
                "tab",
                "[format]\ndelimiter = \"\\t\"\n",
                "id\tname\tnote\n1\ta,b\t\"tab\there\"\n",
                "1=a,b/tab\there",
            ),
            feed(
                "pipe",
                "[format]\ndelimiter = \"|\"\n",
                "id|name|note\n1|ann|\"a|b\"\n2||x\n",
                "1=ann/a|b 2=∅/x",
            ),
            feed(
                "semicolon",
                "[format]\ndelimiter = \";\"\n",
                "id;name;note\n1;1,5;\"a;b\"\n",
                "1=1,5/a;b",
            ),
            feed(
                "caret",
                "[format]\ndelimiter = \"^\"\n",
                "id^name^note\n1^ann^x|y\n",
                "1=ann/x|y",
            ),
            feed(
                "quotes_are_data",
                "[format]\ndelimiter = \"|\"\nquote = \"none\"\n",
                "id|name|note\n1|\"ann\"|5\" pipe\n2|\"open|x\n",
                "1=\"ann\"/5\" pipe 2=\"open/x",
            ),
            feed(
                "single_quotes",
                "[format]\nquote = \"'\"\n",
                "id,name,note\n1,'a,b','it''s'\n2,\"x\",y\n",
                "1=a,b/it's 2=\"x\"/y",
            ),
            feed(
                "backslash_in_quotes",
                "[format]\nescape = \"backslash\"\n",
                "id,name,note\n1,\"a\\\"b\",\"c:\\\\d\"\n2,x\\y,\"one\ntwo\"\n",
                "1=a\"b/c:\\d 2=x\\y/one\ntwo",
            ),
            feed(
                "backslash_without_quotes",
                "[format]\ndelimiter = \"|\"\nquote = \"none\"\nescape = \"backslash\"\nnull = ['\\N']\n",
                "id|name|note\n1|a\\|b|\\N\n2|back\\\\slash|N\n3|two\\\nlines|\n",
                "1=a|b/∅ 2=back\\slash/N 3=two\nlines/",
            ),
            feed(
                "nulls_by_format_and_column",
                "[format]\nnull = [\"\", \".\", \"NA\"]\n[columns]\nnote = { null = [\"-\"] }\n",
                "id,name,note\n1,.,-\n2,NA,NA\n3,,\n4,N/A,--\n",
                "1=∅/∅ 2=∅/NA 3=∅/ 4=N/A/--",
            ),
        ],
    );
}

#[test]
fn every_line_end_and_encoding_gives_the_rows_that_were_meant() {
    assert_feeds(
        "inputs_lines",
        &[
            feed(
                "lf_unterminated",
                "",
                "id,name,note\n1,ann,x\n2,bob,y",
                "1=ann/x 2=bob/y",
            ),
            feed(
                "crlf",
                "",
                "id,name,note\r\n1,ann,\"a\r\nb\"\r\n2,bob,y\r\n",
                "1=ann/a\r\nb 2=bob/y",
            ),
            feed(
                "crlf_unterminated",
                "",
                "id,name,note\r\n1,ann,x\r\n2,bob,",
                "1=ann/x 2=bob/∅",
            ),
            feed(
                "cr",
                "",
                "id,name,note\r1,ann,\"a\rb\"\r2,bob,y\r",
                "1=ann/a\rb 2=bob/y",
            ),
            feed(
                "lf_and_crlf",
                "",
                "id,name,note\n1,ann,x\r\n2,bob,y\n",
                "1=ann/x 2=bob/y",
            ),
            feed(
                "empty_lines",
                "",
                "\nid,name,note\n\n1,ann,x\n\n\n2,bob,y\n\n",
                "1=ann/x 2=bob/y",
            ),
            feed(
                "byte_order_mark",
                "",
                "\u{feff}id,name,note\n1,Zoë,\u{feff}\n",
                "1=Zoë/\u{feff}",
            ),
            feed(
                "byte_order_mark_before_quote",
                "",
                "\u{feff}\"id\",\"name\",\"note\"\n1,ann,x\n",
                "1=ann/x",
            ),
            feed(
                "no_header",
                "[format]\nheader = false\nnames = [\"name\", \"id\", \"note\"]\n",
                "ann,1,x\nbob,2,y\n",
                "1=ann/x 2=bob/y",
            ),
            feed(
                "latin_1",
                "[format]\nencoding = \"iso-8859-1\"\n",
                b"id,name,note\n1,Zo\xEB,\xC3\xA9\n2,\x93,x\n".to_vec(),
                "1=Zoë/Ã© 2=\u{93}/x",
            ),
            feed(
                "windows_1252",
                "[format]\nencoding = \"windows-1252\"\n",
                b"id,name,note\r\n1,Zo\xEB,\x93a\x94 \x80\r\n".to_vec(),
                "1=Zoë/“a” €",
            ),
        ],
    );
}

#[test]
fn every_compression_gives_all_the_rows() {
    let text = b"id,name,note\n1,ann,x\n2,bob,y\n3,eve,z\n";
    // Cut in the middle of a record.
    let (first, second) = text.split_at(25);
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4].to_vec();
    let all = "1=ann/x 2=bob/y 3=eve/z";
    assert_feeds(
        "inputs_packed",
        &[
            feed("plain", "", *text, all),
            feed("one_member", "", gzip(text), all),
            feed("two_members", "", [gzip(first), gzip(second)].concat(), all),
            feed(
                "members_one_empty_and_padding",
                "",
                [gzip(first), gzip(b""), gzip(second), vec![0; 600]].concat(),
                all,
            ),
            feed("one_frame", "", zstd(text), all),
            feed("two_frames", "", [zstd(first), zstd(second)].concat(), all),
            feed(
                "frames_and_a_skippable_one",
                "",
                [skippable.clone(), zstd(first), skippable, zstd(second)].concat(),
                all,
            ),
        ],
    );
}
