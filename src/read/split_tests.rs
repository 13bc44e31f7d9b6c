use super::super::dialect::Escape;
use super::super::encoding::Encoding;
use super::*;

fn csv() -> Dialect {
    Dialect::default()
}

fn pipe() -> Dialect {
    Dialect {
        delimiter: b'|',
        quote: None,
        ..Dialect::default()
    }
}

fn headless(dialect: Dialect) -> Dialect {
    Dialect {
        header: false,
        ..dialect
    }
}

fn chunks(splitter: &mut Splitter<&[u8]>) -> Result<Vec<Chunk>, SplitError> {
    let mut all = Vec::new();
    while let Some(chunk) = splitter.next(Vec::new())? {
        all.push(chunk);
    }
    Ok(all)
}

/// The header, the start, the newline style, and the bytes of all chunks, at two chunk sizes.
fn split(dialect: &Dialect, text: &[u8]) -> (Option<Vec<String>>, Position, Newline, Vec<u8>) {
    let [one, two] = [1, 1 << 16].map(|chunk_bytes| {
        let mut splitter = Splitter::new(text, dialect, chunk_bytes);
        let header = splitter.header().unwrap();
        let all = chunks(&mut splitter).unwrap();
        let bytes = all.iter().flat_map(|chunk| chunk.bytes.clone()).collect();
        (header, splitter.start(), splitter.newline(), bytes)
    });
    assert_eq!(one, two);
    one
}

/// The first error, the same at several chunk sizes.
fn error(dialect: &Dialect, text: &[u8]) -> String {
    let [one, two, three] = [1, 5, 1 << 16].map(|chunk_bytes| {
        let mut splitter = Splitter::new(text, dialect, chunk_bytes);
        let header = splitter.header().map(|_| ());
        let error = header.and_then(|()| chunks(&mut splitter).map(|_| ()));
        let again = splitter.next(Vec::new());
        assert!(matches!(again, Err(SplitError::Failed)));
        error.unwrap_err().to_string()
    });
    assert_eq!(one, two);
    assert_eq!(one, three);
    one
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|&name| name.to_owned()).collect())
}

fn position(lines: u64, bytes: u64) -> Position {
    Position {
        records: 0,
        lines,
        bytes,
    }
}

#[test]
fn a_byte_order_mark_is_dropped_with_and_without_a_header() {
    let text = b"\xEF\xBB\xBF\"a,b\",c\n1,2\n";
    let (header, start, _, bytes) = split(&csv(), text);
    assert_eq!((header, start), (names(&["a,b", "c"]), position(1, 11)));
    assert_eq!(bytes, b"1,2\n");
    let (header, start, _, bytes) = split(&headless(csv()), text);
    assert_eq!((header, start), (None, position(0, 3)));
    assert_eq!(bytes, &text[3..]);
    // Only at the very start, and only whole.
    assert_eq!(split(&headless(csv()), b"a\n\xEF\xBB\xBFb").3.len(), 6);
    assert_eq!(split(&headless(csv()), b"\xEF\xBB").3, b"\xEF\xBB");
}

#[test]
fn a_stream_without_a_record_has_no_header_and_no_chunk_of_records() {
    for text in [&b""[..], b"\xEF\xBB\xBF", b"\n", b"\r\n\n"] {
        let (header, _, _, bytes) = split(&csv(), text);
        assert_eq!((header, bytes), (None, Vec::new()));
    }
    assert_eq!(split(&csv(), b"a,b").0, names(&["a", "b"]));
    assert_eq!(split(&csv(), b"a,b\n").3, b"");
}

#[test]
fn empty_lines_before_the_header_count_as_lines() {
    let (header, start, _, bytes) = split(&csv(), b"\r\n\na,\"b\nb\"\r\n\n1,2\n");
    assert_eq!((header, start), (names(&["a", "b\nb"]), position(4, 12)));
    assert_eq!(bytes, b"\n1,2\n");
}

#[test]
fn the_header_is_decoded_and_an_undefined_byte_in_it_is_an_error() {
    let windows = Dialect {
        encoding: Encoding::Windows1252,
        ..pipe()
    };
    assert_eq!(
        split(&windows, b"\x80|na\xEFve\n").0,
        names(&["€", "naïve"])
    );
    assert_eq!(
        error(&windows, b"\na|\x81\n"),
        "the name of field 2 in the header at line 2 is not text in its encoding"
    );
    assert_eq!(
        error(&pipe(), b"a|\xFF\n"),
        "the name of field 2 in the header at line 1 is not text in its encoding"
    );
}

#[test]
fn a_header_that_cannot_be_cut_is_an_error() {
    assert_eq!(
        error(&csv(), b"\n\"a\"b,c\n"),
        "the header at line 2 (byte 1) cannot be cut into fields"
    );
}

#[test]
fn a_header_not_asked_for_is_skipped() {
    let mut splitter = Splitter::new(&b"a|b\n1|2\n"[..], &pipe(), 100);
    let chunk = splitter.next(Vec::new()).unwrap().unwrap();
    assert_eq!((chunk.bytes, chunk.byte), (b"1|2\n".to_vec(), 4));
    assert!(splitter.header().unwrap().is_none());
    assert!(splitter.next(Vec::new()).unwrap().is_none());
    assert!(splitter.next(Vec::new()).unwrap().is_none());
}

#[test]
fn the_newline_style_is_that_of_the_first_record_end_outside_quotes() {
    for (text, newline) in [
        (&b"a\nb\rc"[..], Newline::Lf),
        (b"a\r\nb\rc", Newline::Lf),
        (b"\r\na\rb", Newline::Lf),
        (b"a\rb\nc", Newline::Cr),
        (b"\"x\ry\r\nz\",b\nc", Newline::Lf),
        (b"\"x\ny\",b\rc", Newline::Cr),
        (b"a\"b\rc\"", Newline::Cr),
        (b"a\r", Newline::Cr),
        (b"a\r\n", Newline::Lf),
        (b"a", Newline::Lf),
        (b"\"a\"\r\n", Newline::Lf),
        (b"\"a\"\r\"b\"\r", Newline::Cr),
    ] {
        let found = split(&headless(csv()), text).2;
        assert_eq!(found, newline, "{}", text.escape_ascii());
    }
    let escaped = Dialect {
        escape: Escape::Backslash,
        ..headless(pipe())
    };
    assert_eq!(split(&escaped, b"a\\\nb\rc\n").2, Newline::Cr);
    assert_eq!(split(&escaped, b"a\\\r\nb\rc\n").2, Newline::Lf);
}

#[test]
fn chunks_are_cut_at_record_ends_and_know_where_they_begin() {
    let text = b"h\n\"a\nb\",1\nc,2\n\"d\"\"\n\",3\n";
    let mut splitter = Splitter::new(&text[..], &csv(), 12);
    splitter.header().unwrap();
    let mut reuse = Vec::with_capacity(64);
    reuse.extend_from_slice(b"left over");
    let mut all = vec![splitter.next(reuse).unwrap().unwrap()];
    all.extend(chunks(&mut splitter).unwrap());
    let mut byte = 2;
    for chunk in &all {
        assert_eq!(chunk.byte, byte);
        byte += chunk.bytes.len() as u64;
    }
    let texts: Vec<&[u8]> = all.iter().map(|chunk| &chunk.bytes[..]).collect();
    assert_eq!(texts, [&b"\"a\nb\",1\nc,2\n"[..], b"\"d\"\"\n\",3\n"]);
}

#[test]
fn a_quote_open_at_the_end_names_the_line_where_it_opened() {
    assert_eq!(
        error(&csv(), b"a,b\n1,2\n3,\"x\n\n4,5\n6,7\n"),
        "the quote opened at line 3 (byte 10) is not closed before the end"
    );
    assert_eq!(
        error(&headless(csv()), b"\"a"),
        "the quote opened at line 1 (byte 0) is not closed before the end"
    );
    let backslash = Dialect {
        escape: Escape::Backslash,
        ..csv()
    };
    assert_eq!(
        error(&backslash, b"a\r1\r\"b\\\"\r"),
        "the quote opened at line 3 (byte 4) is not closed before the end"
    );
}

#[test]
fn records_before_a_broken_one_are_handed_out() {
    for chunk_bytes in [1, 4, 100] {
        let text = b"a\nb\nc,\"d";
        let mut splitter = Splitter::new(&text[..], &headless(csv()), chunk_bytes);
        let mut bytes = Vec::new();
        let error = loop {
            match splitter.next(Vec::new()) {
                Ok(Some(chunk)) => bytes.extend(chunk.bytes),
                Ok(None) => panic!("the error was lost"),
                Err(error) => break error,
            }
        };
        assert_eq!(bytes, b"a\nb\n");
        assert!(matches!(
            error,
            SplitError::UnclosedQuote { line: 3, byte: 6 }
        ));
    }
}

#[test]
fn the_limit_of_a_record_is_exact_at_every_chunk_size() {
    for dialect in [csv(), pipe()] {
        let dialect = Dialect {
            max_record_bytes: 8,
            ..dialect
        };
        for good in [
            &b"h\n12345678\n1\n"[..],
            b"12345678\n1\n12345678",
            b"1234567\r\n",
            b"12345678\r1\r12345678\r",
        ] {
            split(&dialect, good);
            split(&headless(dialect.clone()), good);
        }
        assert_eq!(
            error(&dialect, b"h\n1\n123456789\n1\n"),
            "the record at line 3 (byte 4) is longer than 8 bytes"
        );
        assert_eq!(
            error(&dialect, b"h\n1\n123456789"),
            "the record at line 3 (byte 4) is longer than 8 bytes"
        );
        for long in [
            &b"123456789\n"[..],
            b"123456789",
            b"12345678\r\n1",
            b"1234567890123",
        ] {
            assert_eq!(
                error(&dialect, long),
                "the record at line 1 (byte 0) is longer than 8 bytes"
            );
        }
    }
}

#[test]
fn a_newline_after_an_even_number_of_backslashes_ends_a_record() {
    let dialect = Dialect {
        escape: Escape::Backslash,
        max_record_bytes: 8,
        ..headless(pipe())
    };
    split(&dialect, b"1234\\\\\n1234\\\\\n12\\\\\\\\\n1234\n");
    assert_eq!(
        error(&dialect, b"1234\n1234\\\n1234\\\n"),
        "the record at line 2 (byte 5) is longer than 8 bytes"
    );
}

#[test]
fn a_record_made_too_long_by_an_open_quote_says_so() {
    let dialect = Dialect {
        max_record_bytes: 8,
        ..csv()
    };
    for text in [
        &b"a\n1,\"2\n3\n4\n5\n6\n"[..],
        b"a\n1,\"2\n3\n4\n5\n6\n7\"\n",
    ] {
        assert_eq!(
            error(&dialect, text),
            "the record at line 2 (byte 2) is longer than 8 bytes; a quote opened at line 2 is not closed"
        );
    }
}

#[test]
fn an_error_of_the_reader_is_passed_through_and_is_not_an_end() {
    struct Lost;
    impl Read for Lost {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "lost"))
        }
    }
    let mut splitter = Splitter::new(b"a\nb\n".chain(Lost), &headless(pipe()), 100);
    let Err(SplitError::Io(error)) = splitter.next(Vec::new()) else {
        panic!("the error was lost");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(splitter.next(Vec::new()), Err(SplitError::Failed)));
}
