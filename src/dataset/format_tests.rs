use super::*;
use crate::dataset::Source;
use crate::read::fixed_width::{Extent, FixedWidth, RecordType};

fn source(format: &str) -> Result<Source> {
    let text = format!("table = \"t\"\nfiles = \"*\"\n[format]\n{format}");
    Source::read("t", Path::new("/nowhere/t.toml"), &text)
}

fn refused(format: &str) -> String {
    format!("{:#}", source(format).unwrap_err())
}

#[test]
fn a_key_of_another_kind_is_an_error_that_names_the_kind() {
    for (format, key, kind) in [
        ("layout = \"a.csv\"", "`layout`", "fixed_width"),
        ("explode = \"a\"", "`explode`", "json_lines"),
        ("rows = \"/a\"", "`rows`", "xml"),
        ("sheet = \"a\"", "`sheet`", "xlsx"),
        (
            "kind = \"json_lines\"\ndelimiter = \"|\"",
            "`delimiter`",
            "delimited",
        ),
        (
            "kind = \"fixed_width\"\nheader = true",
            "`header`",
            "delimited",
        ),
        (
            "kind = \"parquet\"\nencoding = \"utf-8\"",
            "`encoding`",
            "delimited",
        ),
        (
            "kind = \"xml\"\nrows = \"/a\"\nfooter = 1",
            "`footer`",
            "delimited",
        ),
    ] {
        let message = refused(format);
        assert!(message.contains(key), "{message}");
        assert!(message.contains(&format!("kind = \"{kind}\"")), "{message}");
    }
}

#[test]
fn keys_that_contradict_each_other_are_errors() {
    for (format, texts) in [
        ("skip_lines = 1\nskip_until = \"a\"", "not both"),
        ("footer = 1\nfooter_from = \"a\"", "not both"),
        ("footer = 0", "1 to 1000 records"),
        ("header_lines = 0", "1 to 100 lines"),
        (
            "header = false\nnames = [\"a\"]\nheader_lines = 2",
            "`header_lines` is for files with",
        ),
        ("comment = \",\"", "must not begin with the delimiter"),
        ("skip_until = \"[\"", "is not a glob"),
        ("kind = \"xml\"", "needs `rows"),
        ("kind = \"fixed_width\"", "needs `layout`"),
        (
            "kind = \"fixed_width\"\nlayout = []\nstart_from = 1",
            "no fields",
        ),
        (
            "kind = \"fixed_width\"\nlayout = [{ name = \"a\", start = 1, length = 2 }]",
            "needs `start_from`",
        ),
        (
            "kind = \"fixed_width\"\nstart_from = 1\nlayout = [{ name = \"a\", start = 0, length = 2 }]",
            "field `a` of the layout: `start = 0` is before",
        ),
        (
            "kind = \"fixed_width\"\nstart_from = 2\nlayout = [{ name = \"a\", start = 2, length = 2 }]",
            "write 0 or 1",
        ),
        (
            "kind = \"fixed_width\"\nstart_from = 0\nlayout = [{ name = \"a\", start = 0, length = 0 }]",
            "at least one place",
        ),
        (
            "kind = \"fixed_width\"\nstart_from = 0\nlayout = \"../a.csv\"",
            "in the folder of this source file",
        ),
        (
            "kind = \"fixed_width\"\nstart_from = 0\nlayout = \"a.csv\"",
            "read the layout `/nowhere/a.csv`",
        ),
        ("kind = \"json_lines\"\nexplode = \"a[]\"", "without []"),
        ("kind = \"json_lines\"\nencoding = \"latin1\"", "RFC 8259"),
    ] {
        let message = refused(format);
        assert!(message.contains(texts), "{format}: {message}");
    }
    assert!(refused("long_rows = \"cut\"").contains("line 4"));
}

#[test]
fn the_keys_of_delimited_text_reach_its_dialect() {
    let read = source(
        "comment = \"--\"\nskip_lines = 2\nheader_lines = 3\nfooter_from = \"T*\"\ntrailing_delimiter = true\nshort_rows = \"pad\"\nlong_rows = \"reject\"\nmax_members = 3\nmax_expansion = 50\nmax_expanded_bytes = \"1GiB\"",
    )
    .unwrap();
    assert_eq!(
        read.dialect,
        Dialect {
            comment: Some(b"--".to_vec()),
            skip: Skip::Lines(2),
            header_lines: 3,
            footer: Footer::From(LineGlob::new("T*").unwrap()),
            trailing_delimiter: true,
            pad_short: true,
            ..Dialect::default()
        }
    );
    assert_eq!(read.format, Format::Delimited);
    assert_eq!(
        read.unpacking,
        Unpacking {
            max_expanded_bytes: Some(1 << 30),
            max_expansion: Some(50),
            max_members: Some(3),
        }
    );
}

#[test]
fn a_layout_counts_from_zero_or_one_and_lies_in_the_file_or_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let expected = FixedWidth {
        extents: vec![
            Extent {
                start: 0,
                length: 2,
            },
            Extent {
                start: 2,
                length: 5,
            },
        ],
        chars: true,
        trim: false,
        record_type: Some(RecordType {
            extent: Extent {
                start: 1,
                length: 1,
            },
            values: vec![b"3".to_vec(), b"4".to_vec()],
        }),
    };
    let one =
        "[{ name = \"a\", start = 1, length = 2 }, { name = \"b c\", start = 3, length = 5 }]";
    let zero =
        "[{ name = \"a\", start = 0, length = 2 }, { name = \"b c\", start = 2, length = 5 }]";
    for (first, layout, csv) in [
        (1, one, ""),
        (0, zero, ""),
        (1, "\"l.csv\"", "Column,Start,Length\na,1,2\nb c,3,5\n"),
        (
            1,
            "\"l.csv\"",
            "\u{feff}start,end,name,more\r1,2,a,\"x\r\"\r3,7,b c,\r",
        ),
        (0, "\"l.csv\"", "field,start,width\na,0,2\nb c,2,5"),
    ] {
        std::fs::write(folder.path().join("l.csv"), csv).unwrap();
        let text = format!(
            "table = \"t\"\nfiles = \"*\"\n[format]\nkind = \"fixed_width\"\nstart_from = {first}\nunit = \"chars\"\ntrim = false\nrecord_type = {{ start = {}, length = 1, value = [\"3\", \"4 \"] }}\nlayout = {layout}\n",
            first + 1
        );
        let read = Source::read("t", &folder.path().join("t.toml"), &text).unwrap();
        assert_eq!(read.names.unwrap(), ["a", "b c"]);
        assert_eq!(
            read.dialect.shape,
            Shape::FixedWidth(Arc::new(expected.clone()))
        );
        assert_eq!(read.companions.len(), usize::from(!csv.is_empty()));
    }
    std::fs::write(folder.path().join("l.csv"), "name,length\na,1\n").unwrap();
    let text = "table = \"t\"\nfiles = \"*\"\n[format]\nkind = \"fixed_width\"\nstart_from = 1\nlayout = \"l.csv\"\n";
    let error = Source::read("t", &folder.path().join("t.toml"), text).unwrap_err();
    assert!(
        format!("{error:#}").contains("names no column `start`"),
        "{error:#}"
    );
}
