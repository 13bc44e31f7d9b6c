use super::*;

const RFC: (u8, Option<u8>, Escape) = (b',', Some(b'"'), Escape::Doubled);
const RFC_BACKSLASH: (u8, Option<u8>, Escape) = (b',', Some(b'"'), Escape::Backslash);
const PIPE: (u8, Option<u8>, Escape) = (b'|', None, Escape::Doubled);
const PIPE_BACKSLASH: (u8, Option<u8>, Escape) = (b'|', None, Escape::Backslash);

type Spelling = (u8, Option<u8>, Escape);

fn dialect((delimiter, quote, escape): Spelling) -> Dialect {
    Dialect {
        delimiter,
        quote,
        escape,
        header: false,
        ..Dialect::default()
    }
}

fn chunk(bytes: &[u8], newline: Newline) -> Chunk {
    Chunk {
        bytes: bytes.to_vec(),
        byte: 0,
        newline,
    }
}

/// Each record as its fields between brackets, quoted ones between quotes; faults by their message.
fn shown(spelling: Spelling, newline: Newline, bytes: &[u8]) -> Vec<String> {
    let (dialect, chunk) = (dialect(spelling), chunk(bytes, newline));
    let mut cutter = Cutter::new(&chunk, &dialect);
    let mut fields = Fields::default();
    let mut records = Vec::new();
    while let Some((place, outcome)) = cutter.next(&mut fields) {
        let line = match outcome {
            Err(fault) => fault.to_string(),
            Ok(()) => (0..fields.len())
                .map(|i| match fields.get(i) {
                    (text, true) => format!("\"{}\"", text.escape_ascii()),
                    (text, false) => format!("[{}]", text.escape_ascii()),
                })
                .collect(),
        };
        records.push(format!(
            "{},{},{} {line}",
            place.record, place.line, place.byte
        ));
    }
    assert_eq!(cutter.records(), records.len() as u64);
    let lines = bytes.iter().filter(|&&b| b == newline.byte()).count();
    assert_eq!(cutter.lines(), lines as u64);
    records
}

#[test]
fn empty_fields_and_a_missing_last_newline() {
    assert_eq!(
        shown(PIPE, Newline::Lf, b"a||\n|\nb|c"),
        ["0,0,0 [a][][]", "1,1,4 [][]", "2,2,6 [b][c]"]
    );
    assert_eq!(shown(PIPE, Newline::Lf, b"a|"), ["0,0,0 [a][]"]);
    assert_eq!(shown(RFC, Newline::Lf, b"a,"), ["0,0,0 [a][]"]);
    assert_eq!(shown(PIPE_BACKSLASH, Newline::Lf, b"a|"), ["0,0,0 [a][]"]);
}

#[test]
fn empty_lines_are_no_records_but_count_as_lines() {
    for spelling in [PIPE, RFC, PIPE_BACKSLASH] {
        assert_eq!(
            shown(spelling, Newline::Lf, b"\n\r\na\n\n\nb\n\n"),
            ["0,2,3 [a]", "1,5,7 [b]"]
        );
        assert_eq!(shown(spelling, Newline::Cr, b"\r\ra\r\r"), ["0,2,2 [a]"]);
        assert!(shown(spelling, Newline::Lf, b"").is_empty());
    }
}

#[test]
fn one_return_before_the_newline_is_dropped_any_other_is_data() {
    for spelling in [PIPE, RFC, PIPE_BACKSLASH] {
        assert_eq!(
            shown(spelling, Newline::Lf, b"a\rb\r\r\n\r\r\nc\r"),
            ["0,0,0 [a\\rb\\r]", "1,1,6 [\\r]", "2,2,9 [c\\r]"]
        );
        assert_eq!(
            shown(spelling, Newline::Cr, b"a\nb\r\nc\r"),
            ["0,0,0 [a\\nb]", "1,1,4 [\\nc]"]
        );
    }
}

#[test]
fn a_single_quoted_empty_field_is_a_record() {
    assert_eq!(shown(RFC, Newline::Lf, b"\"\"\n"), ["0,0,0 \"\""]);
    assert_eq!(shown(RFC, Newline::Lf, b"\"\""), ["0,0,0 \"\""]);
    assert_eq!(shown(RFC, Newline::Lf, b"\"\"\r\n"), ["0,0,0 \"\""]);
}

#[test]
fn quoted_delimiters_newlines_and_doubled_quotes() {
    assert_eq!(
        shown(RFC, Newline::Lf, b"\"a,\r\n\n\"\"x\"\"\",b\r\nc\n"),
        ["0,0,0 \"a,\\r\\n\\n\\\"x\\\"\"[b]", "1,3,16 [c]"]
    );
    assert_eq!(
        shown(RFC, Newline::Lf, b"\"\"\"\",\"\"\"\"\"\"\n"),
        ["0,0,0 \"\\\"\"\"\\\"\\\"\""]
    );
}

#[test]
fn a_quote_inside_an_unquoted_field_is_data() {
    assert_eq!(
        shown(RFC, Newline::Lf, b"5\" pipe, \"x\",a\"\"b\nc\n"),
        ["0,0,0 [5\\\" pipe][ \\\"x\\\"][a\\\"\\\"b]", "1,1,18 [c]"]
    );
    assert_eq!(
        shown(PIPE, Newline::Lf, b"\"a|b\"\n"),
        ["0,0,0 [\\\"a][b\\\"]"]
    );
}

#[test]
fn text_after_a_closing_quote_is_a_fault_and_the_next_record_is_read() {
    assert_eq!(
        shown(RFC, Newline::Lf, b"\"a\"b,c\n\"a\" ,c\n\"a\"\r,b\nd\n"),
        [
            "0,0,0 text after a closing quote",
            "1,1,7 text after a closing quote",
            "2,2,14 text after a closing quote",
            "3,3,21 [d]"
        ]
    );
    // The next field may be quoted again and hold a newline.
    assert_eq!(
        shown(RFC, Newline::Lf, b"\"a\"b,\"c\nd\"\ne\n"),
        ["0,0,0 text after a closing quote", "1,2,11 [e]"]
    );
    // Doubling is no escape where a backslash is.
    assert_eq!(
        shown(RFC_BACKSLASH, Newline::Lf, b"\"a\"\"b\"\ne\n"),
        ["0,0,0 text after a closing quote", "1,1,7 [e]"]
    );
}

#[test]
fn backslash_escapes_inside_quotes_only_where_there_are_quotes() {
    assert_eq!(
        shown(
            RFC_BACKSLASH,
            Newline::Lf,
            b"\"a\\\"b\\\\\",\\N,a\\,\"\\\n\"\n"
        ),
        ["0,0,0 \"a\\\"b\\\\\"[\\\\N][a\\\\]\"\\n\""]
    );
}

#[test]
fn backslash_escapes_everywhere_without_quotes() {
    assert_eq!(
        shown(PIPE_BACKSLASH, Newline::Lf, b"a\\|b|\\\\|c\\\nd|\\N\ne\n"),
        ["0,0,0 [a|b][\\\\][c\\nd][N]", "1,2,16 [e]"]
    );
    // An escaped return is data, the newline after it is none.
    assert_eq!(
        shown(PIPE_BACKSLASH, Newline::Lf, b"a\\\r\nb\r\n"),
        ["0,0,0 [a\\r]", "1,1,4 [b]"]
    );
    assert_eq!(
        shown(PIPE_BACKSLASH, Newline::Lf, b"a\nb|c\\"),
        [
            "0,0,0 [a]",
            "1,1,2 a backslash at the very end has nothing to escape"
        ]
    );
}

#[test]
fn an_escaped_null_mark_can_still_be_told_from_its_letter() {
    let (dialect, chunk) = (
        dialect(PIPE_BACKSLASH),
        chunk(b"\\N|N|a\\|b\n", Newline::Lf),
    );
    let mut fields = Fields::default();
    Cutter::new(&chunk, &dialect)
        .next(&mut fields)
        .unwrap()
        .1
        .unwrap();
    assert_eq!((fields.get(0).0, fields.get(1).0), (&b"N"[..], &b"N"[..]));
    assert_eq!((fields.raw(0), fields.raw(1)), (&b"\\N"[..], &b"N"[..]));
    assert_eq!(
        (fields.get(2).0, fields.raw(2)),
        (&b"a|b"[..], &b"a\\|b"[..])
    );
    let fields: Fields<'static> = fields.recycle();
    assert!(fields.is_empty());
}

#[test]
fn a_quote_open_at_the_end_of_a_hand_made_chunk_is_a_fault() {
    assert_eq!(
        shown(RFC, Newline::Lf, b"a\nb,\"c\nd"),
        ["0,0,0 [a]", "1,1,2 a quote is not closed"]
    );
    assert_eq!(
        shown(RFC_BACKSLASH, Newline::Lf, b"\"c\\"),
        ["0,0,0 a quote is not closed"]
    );
}

#[test]
fn a_record_of_more_fields_than_a_block_of_marks() {
    let wide = [
        vec![b'|'; 200],
        b"\n".to_vec(),
        vec![b'|'; 63],
        b"\nx".to_vec(),
    ]
    .concat();
    let (dialect, chunk) = (dialect(PIPE), chunk(&wide, Newline::Lf));
    let mut cutter = Cutter::new(&chunk, &dialect);
    let mut fields = Fields::default();
    for expected in [201, 64, 1] {
        cutter.next(&mut fields).unwrap().1.unwrap();
        assert_eq!(fields.len(), expected);
    }
    assert!(cutter.next(&mut fields).is_none());
}
