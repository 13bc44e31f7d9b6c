//! Properties of every format: the size of a chunk changes neither rows nor rejects nor their places.

use super::parse::{ColumnPlan, Parsed, Reject, RowPlan, Scratch, parse, parse_with};
use super::*;
use crate::encode::Type;
use crate::read::fixed_width::{Extent, FixedWidth, RecordType};
use crate::read::json_lines::JsonLines;
use crate::read::line_glob::LineGlob;
use crate::read::nulls::Nulls;
use proptest::prelude::*;
use std::sync::Arc;

fn plan(dialect: Dialect, fields: usize) -> RowPlan {
    let types = [Type::Int4, Type::Text, Type::Varchar(Some(3))];
    let column = |(field, ty): (usize, &Type)| ColumnPlan {
        name: format!("c{field}"),
        field,
        not_null: false,
        nulls: Nulls::new(vec![b"".to_vec()]),
        spelling: None,
        ty: ty.clone(),
    };
    RowPlan {
        dialect,
        fields,
        columns: types.iter().take(fields).enumerate().map(column).collect(),
        faults: None,
    }
}

/// Everything that a load sees of an object, with places counted from its start.
#[derive(Debug, PartialEq)]
struct Seen {
    header: Option<Vec<String>>,
    rows: Vec<u8>,
    counts: [u64; 4],
    rowless: Vec<u64>,
    rejects: Vec<Reject>,
    /// What of the text was no data behind the last record.
    end: Result<Position, String>,
}

fn see(text: &[u8], plan: &RowPlan, chunk_bytes: usize, quick: bool) -> Seen {
    let mut splitter = Splitter::new(text, &plan.dialect, chunk_bytes);
    let mut seen = Seen {
        header: None,
        rows: Vec::new(),
        counts: [0; 4],
        rowless: Vec::new(),
        rejects: Vec::new(),
        end: Ok(Position::default()),
    };
    seen.header = match splitter.header() {
        Ok(header) => header,
        Err(error) => {
            seen.end = Err(error.to_string());
            return seen;
        }
    };
    let mut at = splitter.start();
    let mut scratch = Scratch::default();
    loop {
        let chunk = match splitter.next(Vec::new()) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                seen.end = Err(error.to_string());
                return seen;
            }
        };
        assert_eq!(chunk.byte, at.bytes);
        let parsed: Parsed = match quick {
            true => parse(&chunk, plan, Vec::new(), &mut scratch),
            false => parse_with(&chunk, plan, Vec::new(), &mut scratch, false),
        };
        assert_eq!(
            parsed.records,
            parsed.row_count + parsed.rejected + parsed.skipped
        );
        // The last record may have no line end to pay for its last field.
        assert!(parsed.rows.len() <= plan.most_bytes(&chunk.bytes) + 8);
        seen.rows.extend(parsed.rows);
        let rowless = parsed.rejected_records.iter();
        seen.rowless
            .extend(rowless.map(|record| at.records + record));
        for reject in parsed.rejects {
            seen.rejects.push(Reject {
                record: at.records + reject.record,
                line: at.lines + reject.line,
                byte: at.bytes + reject.byte,
                ..reject
            });
        }
        at.records += parsed.records;
        at.lines += parsed.lines;
        at.bytes += chunk.bytes.len() as u64;
        for (count, more) in seen.counts.iter_mut().zip([
            parsed.records,
            parsed.row_count,
            parsed.rejected,
            parsed.skipped,
        ]) {
            *count += more;
        }
    }
    seen.end = Ok(at);
    seen
}

fn glob(pattern: &str) -> LineGlob {
    LineGlob::new(pattern).unwrap()
}

/// What any text of lines may have around its records.
fn around() -> impl Strategy<Value = Dialect> {
    let skip = prop_oneof![
        3 => Just(Skip::Nothing),
        1 => (0_u64..4).prop_map(Skip::Lines),
        1 => Just(Skip::Until(glob("*1*"))),
    ];
    let footer = prop_oneof![
        3 => Just(Footer::None),
        2 => (1_usize..4).prop_map(Footer::Records),
        2 => Just(Footer::From(glob("T*"))),
    ];
    let comment = prop_oneof![
        2 => Just(None),
        2 => Just(Some(b"#".to_vec())),
        1 => Just(Some(b"//".to_vec())),
    ];
    let longest = prop_oneof![4 => Just(1 << 20), 1 => 1_usize..40];
    (skip, footer, comment, longest, any::<bool>()).prop_map(
        |(skip, footer, comment, max_record_bytes, pad_short)| Dialect {
            skip,
            footer,
            comment,
            max_record_bytes,
            pad_short,
            header: false,
            ..Dialect::default()
        },
    )
}

fn delimited() -> impl Strategy<Value = Dialect> {
    let quoting = prop_oneof![
        Just((Some(b'"'), Escape::Doubled)),
        Just((Some(b'"'), Escape::Backslash)),
        Just((None, Escape::Doubled)),
        Just((None, Escape::Backslash)),
    ];
    (around(), quoting, 0_usize..3, any::<bool>()).prop_map(
        |(around, (quote, escape), header_lines, trailing_delimiter)| Dialect {
            quote,
            escape,
            header: header_lines > 0,
            header_lines: header_lines.max(1),
            trailing_delimiter,
            ..around
        },
    )
}

fn fixed_width() -> impl Strategy<Value = Dialect> {
    (around(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(around, chars, trim, typed)| {
            let layout = FixedWidth {
                extents: vec![
                    Extent {
                        start: 0,
                        length: 2,
                    },
                    Extent {
                        start: 2,
                        length: 3,
                    },
                    Extent {
                        start: 4,
                        length: 2,
                    },
                ],
                chars,
                trim,
                record_type: typed.then(|| RecordType {
                    extent: Extent {
                        start: 1,
                        length: 1,
                    },
                    values: vec![b"1".to_vec(), b"".to_vec()],
                }),
            };
            Dialect {
                shape: Shape::FixedWidth(Arc::new(layout)),
                quote: None,
                ..around
            }
        },
    )
}

fn json_lines() -> impl Strategy<Value = Dialect> {
    (around(), any::<bool>()).prop_map(|(around, explode)| {
        let mut paths = JsonLines::new(explode.then_some("i")).unwrap();
        let third = if explode { "i[].c" } else { "i[0].c" };
        for path in ["a", "b.c", third] {
            paths.take(path, false).unwrap();
        }
        Dialect {
            shape: Shape::JsonLines(Arc::new(paths.finish())),
            quote: None,
            ..around
        }
    })
}

/// Lines that mean something in one of the formats, whole and in pieces.
fn odd_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        5 => Just("\n".to_owned()),
        2 => Just("\r\n".to_owned()),
        1 => Just("\r".to_owned()),
        4 => Just(",".to_owned()),
        3 => Just("\"".to_owned()),
        2 => Just("\\".to_owned()),
        1 => Just("\\N".to_owned()),
        2 => Just("\n#".to_owned()),
        1 => Just("#".to_owned()),
        1 => Just("\n//".to_owned()),
        1 => Just("/".to_owned()),
        2 => Just("\nT".to_owned()),
        1 => Just("\nT\"".to_owned()),
        3 => "[0-9]{1,3}",
        2 => "[a-c \u{e9}]{1,4}",
        3 => "[12],[a-c]{0,2},[a-c]{0,4},?\n",
        2 => "\n[12],\"[a-c,\n#]{0,3}\",x\n",
        2 => "[12 ]{2}[a-c ]{3,5}\n",
        2 => "\\{\"a\":[0-9]{1,2},\"b\":\\{\"c\":\"[a-c]{0,3}\"\\},\"i\":\\[(\\{\"c\":\"x\"\\}|1,2)?\\]\\}\n",
        1 => Just("{\"a\":\"\\u0000\\u00e9\",\"i\":[{\"c\":null}]}\n".to_owned()),
    ];
    (any::<bool>(), prop::collection::vec(piece, 0..24)).prop_map(|(mark, pieces)| {
        let mark = if mark { "\u{feff}" } else { "" };
        format!("{mark}{}", pieces.concat()).into_bytes()
    })
}

fn check(text: &[u8], dialect: Dialect, chunk_bytes: usize) -> Result<(), TestCaseError> {
    let plan = plan(dialect, 3);
    let whole = see(text, &plan, 1 << 20, true);
    prop_assert_eq!(&see(text, &plan, 1, true), &whole);
    prop_assert_eq!(&see(text, &plan, chunk_bytes, true), &whole);
    prop_assert_eq!(&see(text, &plan, chunk_bytes, false), &whole);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn delimited_text_is_the_same_in_chunks_of_any_size(
        text in odd_text(), dialect in delimited(), chunk_bytes in 1_usize..130,
    ) {
        check(&text, dialect, chunk_bytes)?;
    }

    #[test]
    fn fixed_width_text_is_the_same_in_chunks_of_any_size(
        text in odd_text(), dialect in fixed_width(), chunk_bytes in 1_usize..130,
    ) {
        check(&text, dialect, chunk_bytes)?;
    }

    #[test]
    fn json_lines_are_the_same_in_chunks_of_any_size(
        text in odd_text(), dialect in json_lines(), chunk_bytes in 1_usize..130,
    ) {
        check(&text, dialect, chunk_bytes)?;
    }

    /// Against a reading that is as simple as can be: lines, one after the other.
    #[test]
    fn skipping_comments_and_footers_leave_the_lines_that_are_records(
        lines in prop::collection::vec("(#[a\"]{0,2}|[1-9],[a-c]{0,3}|T[0-9]|)", 0..12),
        skip in 0_usize..4, footer in 0_usize..4, chunk_bytes in 1_usize..40,
    ) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let dialect = Dialect {
            header: false,
            skip: Skip::Lines(skip as u64),
            comment: Some(b"#".to_vec()),
            footer: if footer > 0 { Footer::Records(footer) } else { Footer::None },
            ..Dialect::default()
        };
        let is_record = |line: &&String| !line.is_empty() && !line.starts_with('#');
        let records: Vec<&String> = lines.iter().skip(skip).filter(is_record).collect();
        let seen = see(text.as_bytes(), &plan(dialect, 2), chunk_bytes, true);
        match records.len().checked_sub(footer) {
            None => prop_assert_eq!(
                seen.end.unwrap_err(),
                format!("{} records are there, fewer than the {footer} of the footer", records.len())
            ),
            Some(data) => {
                let rejected = records[..data].iter().filter(|line| line.starts_with('T')).count();
                let expected = [data, data - rejected, rejected, 0].map(|count| count as u64);
                prop_assert_eq!(seen.counts, expected);
            }
        }
    }
}

#[test]
fn rows_of_a_footer_are_not_data_however_it_is_written() {
    let dialect = Dialect {
        footer: Footer::From(glob("Total*")),
        ..Dialect::default()
    };
    let plan = plan(dialect, 2);
    for footer in [
        "Total,2\n",
        "Total \"x\"\n\"open",
        "Total\n\n\nmore, and, more\n",
        "Total",
    ] {
        for chunk_bytes in [1, 3, 100] {
            let text = format!("a,b\n1,x\n2,\"Total\nTotal\"\n\n{footer}");
            let seen = see(text.as_bytes(), &plan, chunk_bytes, true);
            assert_eq!(seen.counts, [2, 2, 0, 0], "{footer}");
            assert!(seen.end.is_ok());
        }
    }
    let seen = see(b"a,b\n1,x\n", &plan, 10, true);
    assert_eq!(seen.end, Err("no line matches `footer_from`".into()));
    // A footer that cannot be cut is still where the data ends.
    let quoted = Dialect {
        footer: Footer::From(glob("\"Total*")),
        ..Dialect::default()
    };
    let plan = RowPlan {
        dialect: quoted,
        ..plan
    };
    for chunk_bytes in [1, 3, 100] {
        let seen = see(
            b"a,b\n1,x\n\"Total, never closed\n",
            &plan,
            chunk_bytes,
            true,
        );
        assert_eq!((seen.counts, seen.end.is_ok()), ([1, 1, 0, 0], true));
    }
}

#[test]
fn a_header_of_several_lines_is_put_together() {
    let dialect = Dialect {
        skip: Skip::Until(glob("Plan*")),
        header_lines: 2,
        comment: Some(b"#".to_vec()),
        trailing_delimiter: true,
        ..Dialect::default()
    };
    let text = b"A title, of \"some kind\nPublished 2026\r\n\nPlan,,Cost\r\n# no \"name\n\"ID\",Name,\"in $\",\r\n1,x,2,\n";
    for chunk_bytes in [1, 7, 1000] {
        let mut splitter = Splitter::new(&text[..], &dialect, chunk_bytes);
        let header = splitter.header().unwrap().unwrap();
        assert_eq!(header, ["Plan ID", "Name", "Cost in $"]);
        let start = splitter.start();
        assert_eq!((start.lines, start.bytes), (6, text.len() as u64 - 7));
        let seen = see(text, &plan(dialect.clone(), 3), chunk_bytes, true);
        assert_eq!(seen.counts, [1, 1, 0, 0]);
    }
    let mut splitter = Splitter::new(&b"a\nb\n"[..], &dialect, 10);
    let error = splitter.header().unwrap_err();
    assert_eq!(error.to_string(), "no line matches `skip_until`");
}

#[test]
fn a_record_without_its_trailing_delimiter_is_a_fault() {
    let dialect = Dialect {
        trailing_delimiter: true,
        header: false,
        ..Dialect::default()
    };
    let text = b"1,a,\n2,b\n3,c,x\n4,\n5,\"d\",\n6,e,\"\"\n,\n";
    let seen = see(text, &plan(dialect, 2), 1000, true);
    let reasons: Vec<String> = seen
        .rejects
        .iter()
        .map(|reject| format!("{} {}", reject.record, reject.reason))
        .collect();
    let unfinished =
        "does not end with the delimiter that ends every record (`trailing_delimiter`)";
    assert_eq!(
        reasons,
        [
            format!("1 {unfinished}"),
            format!("2 {unfinished}"),
            "3 has 1 fields, expected 2".into(),
            format!("5 {unfinished}"),
            "6 has 1 fields, expected 2".into(),
        ]
    );
}
