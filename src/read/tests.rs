//! Properties that hold the splitter and the cutter together, and both against the `csv` crate.

use std::io::Read;

use proptest::prelude::*;

use super::*;

/// One record with its place in the object.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    record: u64,
    line: u64,
    byte: u64,
    outcome: Result<Vec<(Vec<u8>, bool)>, CutFault>,
}

/// Everything a caller can see of an object.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    header: Result<Option<Vec<String>>, String>,
    records: Vec<Record>,
    end: Result<Position, String>,
    /// All chunks together.
    bytes: Vec<u8>,
}

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(self.1);
        self.0.read(&mut out[..count])
    }
}

fn see(text: &[u8], dialect: &Dialect, chunk_bytes: usize, at_once: usize) -> Seen {
    let mut splitter = Splitter::new(Trickle(text, at_once), dialect, chunk_bytes);
    let header = splitter.header().map_err(|error| error.to_string());
    let mut position = splitter.start();
    let mut seen = Seen {
        header,
        records: Vec::new(),
        end: Ok(position),
        bytes: Vec::new(),
    };
    let mut reuse = Vec::new();
    loop {
        let chunk = match splitter.next(reuse) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                seen.end = Ok(position);
                return seen;
            }
            Err(error) => {
                seen.end = Err(error.to_string());
                return seen;
            }
        };
        assert_eq!(chunk.byte, position.bytes);
        let mut cutter = Cutter::new(&chunk, dialect);
        let mut fields = Fields::default();
        while let Some((place, outcome)) = cutter.next(&mut fields) {
            let copied = (0..fields.len())
                .map(|index| fields.get(index))
                .map(|(text, quoted)| (text.to_vec(), quoted))
                .collect();
            seen.records.push(Record {
                record: position.records + place.record,
                line: position.lines + place.line,
                byte: position.bytes + place.byte,
                outcome: outcome.map(|()| copied),
            });
        }
        position.records += cutter.records();
        position.lines += cutter.lines();
        position.bytes += chunk.bytes.len() as u64;
        seen.bytes.extend_from_slice(&chunk.bytes);
        reuse = chunk.bytes;
    }
}

fn dialects() -> impl Strategy<Value = Dialect> {
    (
        prop_oneof![Just(None), Just(Some(b'"'))],
        prop_oneof![Just(Escape::Doubled), Just(Escape::Backslash)],
        any::<bool>(),
        prop_oneof![4 => Just(1 << 20), 1 => 1usize..40],
    )
        .prop_map(|(quote, escape, header, max_record_bytes)| Dialect {
            delimiter: b',',
            quote,
            escape,
            header,
            encoding: Encoding::Iso8859_1,
            max_record_bytes,
            ..Dialect::default()
        })
}

/// Mostly the bytes that mean something, so that odd neighbours are common.
fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => Just(b'"'),
        4 => Just(b','),
        3 => Just(b'\n'),
        2 => Just(b'\r'),
        3 => Just(b'\\'),
        6 => prop::sample::select(b"abc".to_vec()),
        1 => any::<u8>(),
    ];
    let marked = prop::collection::vec(byte, 0..120);
    (any::<bool>(), marked).prop_map(|(mark, bytes)| {
        let mut text = if mark {
            b"\xEF\xBB\xBF".to_vec()
        } else {
            Vec::new()
        };
        text.extend(bytes);
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_size_of_a_chunk_changes_nothing(
        text in odd_bytes(),
        dialect in dialects(),
        chunk_bytes in 1usize..130,
        at_once in 1usize..9,
    ) {
        let whole = see(&text, &dialect, 1 << 20, usize::MAX);
        prop_assert_eq!(&see(&text, &dialect, 1, 1), &whole);
        prop_assert_eq!(&see(&text, &dialect, chunk_bytes, at_once), &whole);
        prop_assert_eq!(&see(&text, &dialect, chunk_bytes, usize::MAX), &whole);
    }

    #[test]
    fn every_byte_is_in_a_chunk_or_before_the_first_record(
        text in odd_bytes(),
        dialect in dialects(),
        chunk_bytes in 1usize..130,
    ) {
        let seen = see(&text, &dialect, chunk_bytes, usize::MAX);
        if let Ok(end) = &seen.end {
            prop_assert_eq!(end.bytes, text.len() as u64);
            prop_assert!(text.ends_with(&seen.bytes));
            let before = &text[..text.len() - seen.bytes.len()];
            let mark = if before.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
            if !dialect.header {
                prop_assert_eq!(before.len(), mark);
            }
        }
    }

    #[test]
    fn places_point_at_the_records(text in odd_bytes(), dialect in dialects()) {
        let seen = see(&text, &dialect, 7, usize::MAX);
        let mut splitter = Splitter::new(&text[..], &dialect, 1);
        let newline = match splitter.header().and_then(|_| splitter.next(Vec::new())) {
            Ok(Some(chunk)) => chunk.newline.byte(),
            _ => return Ok(()),
        };
        for (index, record) in seen.records.iter().enumerate() {
            let byte = record.byte as usize;
            prop_assert_eq!(record.record, index as u64);
            let lines = text[..byte].iter().filter(|&&byte| byte == newline).count();
            prop_assert_eq!(record.line, lines as u64);
            prop_assert!(text[byte] != newline);
        }
    }
}

/// Fields as RFC 4180 allows them, written by the rules of the dialect.
fn valid_text(dialect: &Dialect, rows: &[Vec<(String, bool)>], end: &str, last: bool) -> Vec<u8> {
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (field, quoted)) in row.iter().enumerate() {
            if column > 0 {
                text.push(char::from(dialect.delimiter));
            }
            match (dialect.quote, dialect.escape) {
                (None, _) => text.extend(field.chars().filter(|c| !"|,\r\n".contains(*c))),
                (Some(_), escape) => {
                    let escaped = match escape {
                        Escape::Doubled => field.replace('"', "\"\""),
                        Escape::Backslash => field.replace('\\', "\\\\").replace('"', "\\\""),
                    };
                    let must = field.contains([',', '|', '"', '\r', '\n', '\\']);
                    if *quoted || must {
                        text.push_str(&format!("\"{escaped}\""));
                    } else {
                        text.push_str(field);
                    }
                }
            }
        }
        if last || index + 1 < rows.len() {
            text.push_str(end);
        }
    }
    text.into_bytes()
}

fn rows() -> impl Strategy<Value = Vec<Vec<(String, bool)>>> {
    let field = prop_oneof![
        2 => "[a-zé ]{0,6}",
        1 => "[a,|\"\\\\\r\n]{0,8}",
        1 => Just(String::new()),
    ];
    prop::collection::vec(prop::collection::vec((field, any::<bool>()), 1..6), 0..12)
}

fn read_by_csv(text: &[u8], dialect: &Dialect, end: &str) -> Vec<Vec<Vec<u8>>> {
    let mut builder = csv::ReaderBuilder::new();
    builder
        .delimiter(dialect.delimiter)
        .flexible(true)
        .has_headers(false);
    if end == "\r" {
        builder.terminator(csv::Terminator::Any(b'\r'));
    }
    match (dialect.quote, dialect.escape) {
        (None, _) => builder.quoting(false),
        (Some(quote), Escape::Doubled) => builder.quote(quote),
        (Some(quote), Escape::Backslash) => {
            builder.quote(quote).double_quote(false).escape(Some(b'\\'))
        }
    };
    let records = builder.from_reader(text).into_byte_records();
    records
        .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn valid_files_are_read_as_the_csv_crate_reads_them(
        rows in rows(),
        quoting in prop_oneof![
            Just((Some(b'"'), Escape::Doubled)),
            Just((Some(b'"'), Escape::Backslash)),
            Just((None, Escape::Doubled)),
        ],
        delimiter in prop::sample::select(b",|".to_vec()),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        last in any::<bool>(),
        chunk_bytes in 1usize..64,
    ) {
        let (quote, escape) = quoting;
        let dialect = Dialect { delimiter, quote, escape, header: false, ..Dialect::default() };
        let text = valid_text(&dialect, &rows, end, last);
        let seen = see(&text, &dialect, chunk_bytes, usize::MAX);
        prop_assert!(seen.end.is_ok());
        let ours: Vec<Vec<Vec<u8>>> = seen
            .records
            .into_iter()
            .map(|record| record.outcome.unwrap().into_iter().map(|(text, _)| text).collect())
            .collect();
        prop_assert_eq!(ours, read_by_csv(&text, &dialect, end));
    }
}

/// Texts of records for a table of three columns, with everything that makes a record odd.
fn odd_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[0-9]{1,9}".prop_map(String::into_bytes),
        3 => "[0-9]{1,4}\\.[0-9]{2}".prop_map(String::into_bytes),
        2 => Just(b"2026-11-22".to_vec()),
        6 => Just(b"|".to_vec()),
        4 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\"".to_vec()),
        1 => Just(b"\\".to_vec()),
        1 => Just(b"\0".to_vec()),
        1 => Just("\u{e9}".as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
        3 => "1\\|2\\.50\\|[a-z]{0,70}\n".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn a_chunk_without_quotes_gives_what_the_careful_way_gives(
        bytes in odd_text(),
        quote in prop_oneof![Just(None), Just(Some(b'"'))],
        backslash in any::<bool>(),
        newline in prop_oneof![4 => Just(Newline::Lf), 1 => Just(Newline::Cr)],
        columns in 1_usize..4,
    ) {
        use crate::encode::Type;
        use crate::read::nulls::Nulls;
        use crate::read::parse::{ColumnPlan, RowPlan, Scratch, parse_with};
        let types = [Type::Int4, Type::scalar(1700, (6 << 16 | 2) + 4).unwrap(), Type::Varchar(Some(50))];
        let plan = RowPlan {
            dialect: Dialect {
                delimiter: b'|',
                quote,
                escape: if backslash { Escape::Backslash } else { Escape::Doubled },
                ..Dialect::default()
            },
            fields: columns,
            columns: (0..columns).map(|field| ColumnPlan {
                name: format!("c{field}"),
                field,
                not_null: field == 0,
                nulls: Nulls::new(vec![b"".to_vec()]),
                spelling: None,
                ty: types[field].clone(),
            }).collect(),
            faults: None,
        };
        let chunk = Chunk { bytes, byte: 0, newline };
        let mut scratch = Scratch::default();
        let quick = parse_with(&chunk, &plan, Vec::new(), &mut scratch, true);
        let careful = parse_with(&chunk, &plan, Vec::new(), &mut scratch, false);
        prop_assert_eq!(quick, careful);
    }
}
