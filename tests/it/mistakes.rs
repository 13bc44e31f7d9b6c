//! The most likely mistakes in a source file, and what is said about each: a snapshot, because a text
//! that got worse is a fault too. Every message names the file or the object, and what to do.

use crate::support::Project;
use std::fmt::Write;

const TABLE: &str =
    "create table price (code char(3) not null, made date, cost numeric(6,2), at timestamptz);\n";
const GOOD: &str = "code,made,cost,at\nabc,2026-02-28,1.50,2026-02-28 10:00+00\n";

/// A name, the source file, and the raw file.
const MISTAKES: &[(&str, &str, &[u8])] = &[
    (
        "a key that does not exist",
        "table = \"price\"\nfiles = \"price*\"\n[format]\ndelimitr = \"|\"\n",
        GOOD.as_bytes(),
    ),
    (
        "a value of the wrong type",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nheader = \"yes\"\n",
        GOOD.as_bytes(),
    ),
    (
        "no such table",
        "table = \"prices\"\nfiles = \"price*\"\n",
        GOOD.as_bytes(),
    ),
    (
        "no such column",
        "table = \"price\"\nfiles = \"price*\"\n[columns]\ncosts = \"cost\"\n",
        GOOD.as_bytes(),
    ),
    (
        "files that are not there",
        "table = \"price\"\nfiles = \"pricing/*.txt\"\n",
        GOOD.as_bytes(),
    ),
    (
        "the wrong delimiter",
        "table = \"price\"\nfiles = \"price*\"\n[format]\ndelimiter = \"|\"\n",
        GOOD.as_bytes(),
    ),
    (
        "a delimiter of two characters",
        "table = \"price\"\nfiles = \"price*\"\n[format]\ndelimiter = \"||\"\n",
        GOOD.as_bytes(),
    ),
    (
        "a header that is not there",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"abc,2026-02-28,1.50,2026-02-28 10:00+00\n",
    ),
    (
        "no header and no names",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nheader = false\n",
        GOOD.as_bytes(),
    ),
    (
        "a name of the file that no column takes",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost,at,note\nabc,2026-02-28,1.50,,x\n",
    ),
    (
        "a column that the file lacks",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost\nabc,2026-02-28,1.50\n",
    ),
    (
        "an encoding that does not exist",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nencoding = \"ansi-1252\"\n",
        GOOD.as_bytes(),
    ),
    (
        "an encoding that is not the file's",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost,at\nab\xE9,2026-02-28,1.50,\n",
    ),
    (
        "a quote that is data",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost,at\n\"a,2026-02-28,1.50,\nabc,,,\n",
    ),
    (
        "a key of another kind",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nlayout = \"price.csv\"\n",
        GOOD.as_bytes(),
    ),
    (
        "a kind that does not exist",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nkind = \"csv\"\n",
        GOOD.as_bytes(),
    ),
    (
        "fixed width without a layout",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nkind = \"fixed_width\"\n",
        GOOD.as_bytes(),
    ),
    (
        "xml without a row",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nkind = \"xml\"\n",
        GOOD.as_bytes(),
    ),
    (
        "a date in another order",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost,at\nabc,28-FEB-2026,1.50,\n",
    ),
    (
        "money in a number column",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost,at\nabc,2026-02-28,\"$7,654.00\",\n",
    ),
    (
        "a rule for values that does not exist",
        "table = \"price\"\nfiles = \"price*\"\n[columns]\ncost = { parse = \"monye\" }\n",
        GOOD.as_bytes(),
    ),
    (
        "a date without a pattern",
        "table = \"price\"\nfiles = \"price*\"\n[columns]\nmade = { parse = \"date\" }\n",
        GOOD.as_bytes(),
    ),
    (
        "a constant that also comes from the file",
        "table = \"price\"\nfiles = \"price*\"\n[columns]\ncost = { from = \"cost\", constant = \"1\" }\n",
        GOOD.as_bytes(),
    ),
    (
        "a null where none may be",
        "table = \"price\"\nfiles = \"price*\"\n[format]\nnull = [\".\", \"\"]\n",
        b"code,made,cost,at\n.,2026-02-28,1.50,\n",
    ),
    (
        "a time without a zone",
        "table = \"price\"\nfiles = \"price*\"\n",
        b"code,made,cost,at\nabc,2026-02-28,1.50,2026-02-28 10:00\n",
    ),
    (
        "a share without its sign",
        "table = \"price\"\nfiles = \"price*\"\n[expect]\nrejects = { max = \"5\" }\n",
        GOOD.as_bytes(),
    ),
    (
        "an order by a column that is not there",
        "table = \"price\"\nfiles = \"price*\"\norder_by = [\"price\"]\n",
        GOOD.as_bytes(),
    ),
];

#[test]
fn every_message_says_where_it_is_wrong_and_what_to_do() {
    let project =
        Project::with_schema("mistakes", TABLE, "table = \"price\"\nfiles = \"price*\"\n");
    std::fs::remove_file(project.path("sources/mistakes/item.toml")).unwrap();
    let folder = project.folder.path().to_str().unwrap().to_owned();
    let mut said = String::new();
    for (mistake, source, input) in MISTAKES {
        project.source("price", source);
        project.input("price.csv", input);
        let ended = project.overnight(&["check", "mistakes", "--files"]);
        assert_ne!(ended.code, 0, "{mistake}: {}", ended.stderr);
        for value in ["2026-02-28", "28-FEB-2026", "7,654"] {
            assert!(
                !ended.stderr.contains(value),
                "{mistake} shows a value: {}",
                ended.stderr
            );
        }
        let text = ended.stderr.replace(&folder, "PROJECT");
        writeln!(
            said,
            "## {mistake} (exit {})\n{}",
            ended.code,
            text.trim_end()
        )
        .unwrap();
    }
    insta::assert_snapshot!("mistakes", said);
}
