use super::*;
use std::error::Error;

fn options(rows: &str, fields: &[&str]) -> Options {
    let field = |spelled: &&str| match spelled.split_once('=') {
        Some((column, from)) => Field {
            column: column.into(),
            from: Some(from.into()),
        },
        None => Field {
            column: (*spelled).into(),
            from: None,
        },
    };
    Options {
        rows: rows.into(),
        fields: fields.iter().map(field).collect(),
        ignore: Vec::new(),
        encoding: None,
        max_record_bytes: 1 << 20,
    }
}

/// The rows: fields between `|`, `∅` for a null, `!` for what is no value.
fn read(document: &[u8], options: &Options) -> Result<Vec<String>, String> {
    let faults = Arc::new(Faults::default());
    let text = |error: io::Error| error.to_string();
    let mut rows = rows(document, options, Arc::clone(&faults)).map_err(text)?;
    let mut bytes = Vec::new();
    rows.read_to_end(&mut bytes).map_err(|error| {
        assert!(
            rows.read(&mut [0; 8]).is_err(),
            "an error must not turn into an end"
        );
        text(error)
    })?;
    let places = memchr::memchr_iter(0xFF, &bytes).map(|at| match faults.at(at as u64) {
        Some(Why::Said(said)) => said.into_owned(),
        other => panic!("{other:?}"),
    });
    let mut whys: Vec<String> = places.collect();
    whys.reverse();
    let mut text = String::new();
    for byte in bytes.utf8_chunks() {
        text += byte.valid();
        for _ in byte.invalid() {
            text += &format!("!{}", whys.pop().unwrap());
        }
    }
    let text = text.replace('\u{1F}', "|").replace('\u{1E}', "∅");
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}

#[track_caller]
fn assert_rows(document: &str, options: &Options, expected: &[&str]) {
    assert_eq!(read(document.as_bytes(), options).unwrap(), expected);
    let utf_16: Vec<u8> = format!("\u{FEFF}{document}")
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(read(&utf_16, options).unwrap(), expected);
}

#[test]
fn repeated_elements_become_rows() {
    let document = "<?xml version='1.0'?>
<!DOCTYPE drugs>
<drugs date='2026-11-22'>
  <note>not a record</note>
  <drug id='1' x:kind=\"a&amp;b\">
    <name>Aspirin &lt;500&gt; &#x20AC;</name>
    <price currency=\"USD\">1.50</price>
    <!-- nothing -->
  </drug>
  <drug id='2'><name><![CDATA[<b> & c]]> d</name><price/></drug>
  <drug id='3' />
</drugs>
<!-- the end -->";
    assert_rows(
        document,
        &options(
            "/drugs/drug",
            &[
                "id=@id",
                "name",
                "price",
                "currency=price/@currency",
                "kind=@x:kind",
            ],
        ),
        &[
            "1|Aspirin <500> €|1.50|USD|a&b",
            "2|<b> & c d||∅|∅",
            "3|∅|∅|∅|∅",
        ],
    );
}

#[test]
fn names_of_columns_find_elements_attributes_and_paths() {
    let document =
        "<r xmlns:p='x'><p:row Id='7'><Unit-Cost>1</Unit-Cost><a><b>2</b></a>t</p:row></r>";
    assert_rows(
        document,
        &options("/r/row", &["id", "unit_cost", "a_b", "text=.", "same=a/b"]),
        &["7|1|2|t|2"],
    );
    assert_rows(
        "<r><x><v>1</v></x><y><v>2</v></y></r>",
        &options("/r/*", &["v"]),
        &["1", "2"],
    );
}

#[test]
fn a_list_is_an_array_and_a_second_value_a_fault() {
    let document = "<r><i><t>a</t><t>b \"q\" \\</t><t/></i><i/><i><t>x</t></i></r>";
    assert_rows(
        document,
        &options("/r/i", &["n", "t=t[]"]),
        &[
            "∅|{\"a\",\"b \\\\\"q\\\\\" \\\\\\\\\",\"\"}",
            "∅|∅",
            "∅|{\"x\"}",
        ],
    );
    let rows = read(document.as_bytes(), &options("/r/i", &["n", "t"])).unwrap();
    assert!(rows[0].starts_with("∅|!comes more than once"), "{rows:?}");
    assert_eq!(rows[1..], ["∅|∅", "∅|x"]);
}

#[test]
fn nil_is_null_and_space_is_kept_where_it_is_text() {
    assert_rows(
        "<r xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b'>
         <i><a xsi:nil='true'/><b> </b><c>one\r\ntwo</c></i></r>",
        &options("/r/i", &["a", "b", "c"]),
        &["∅| |one\\", "two"],
    );
}

#[test]
fn nil_is_known_by_its_namespace_and_not_by_its_prefix() {
    let instance = "http://www.w3.org/2001/XMLSchema-instance";
    assert_rows(
        &format!("<r xmlns:i='{instance}'><i><a i:nil='true'/><b>x</b></i></r>"),
        &options("/r/i", &["a", "b"]),
        &["∅|x"],
    );
    assert_rows(
        &format!("<r><i><a xmlns:p3='{instance}' p3:nil='1'/><b>x</b></i></r>"),
        &options("/r/i", &["a", "b"]),
        &["∅|x"],
    );
    // The usual prefix of another namespace: an attribute like any other.
    let document = b"<r xmlns:xsi='urn:other'><i><a xsi:nil='true'/><b>x</b></i></r>";
    let error = read(document, &options("/r/i", &["b"])).unwrap_err();
    assert!(error.contains("@nil"), "{error}");
}

#[test]
fn text_that_nobody_wants_is_an_error_unless_it_is_ignored() {
    let document = b"<r><i><a>1</a><x><y>2</y><z k='3'/></x></i></r>";
    let mut wanted = options("/r/i", &["a"]);
    let error = read(document, &wanted).unwrap_err();
    assert!(error.contains("`x/y` below `/r/i`"), "{error}");
    wanted.ignore = vec!["x_y".into()];
    let error = read(document, &wanted).unwrap_err();
    assert!(error.contains("`x/z/@k`"), "{error}");
    wanted.ignore = vec!["x".into()];
    assert_eq!(read(document, &wanted).unwrap(), ["1"]);
}

#[test]
fn bytes_without_a_meaning_reject_only_their_field() {
    let document = b"<?xml version=\"1.0\" encoding='windows-1252'?><r><i><a>\x93</a><b>\x81</b></i><i><a>x</a></i></r>";
    assert_eq!(
        read(document, &options("/r/i", &["a", "b"])).unwrap(),
        ["“|!is not valid windows-1252 at byte 62 of the file", "x|∅"]
    );
    let rows = read(b"<r><i a='\xFF'/><i a='y'/></r>", &options("/r/i", &["a"])).unwrap();
    assert_eq!(rows, ["!is not valid utf-8 at byte 9 of the file", "y"]);
    // The source knows better than the document.
    let mut known = options("/r/i", &["a", "b"]);
    known.encoding = Some(Encoding::Iso8859_1);
    assert_eq!(read(document, &known).unwrap(), ["\u{93}|\u{81}", "x|∅"]);
}

#[test]
fn a_document_that_is_none_is_refused_with_its_place() {
    let wanted = options("/r/i", &["a"]);
    for (document, said) in [
        ("", "no element"),
        ("id,name\n1,x\n", "no element"),
        ("<r><i><a>1</a></i>", "ends early"),
        ("<r><i><a>1</b></i></r>", "at byte 10"),
        ("<r><i><a>&bomb;</a></i></r>", "an entity"),
        ("<r><i><a>&#0;</a></i></r>", "character reference"),
        ("<r><i a=1/></r>", "attribute"),
        ("<q><i><a>1</a></i></q>", "its root is `/q`"),
        (
            "<?xml version='1.0' encoding='klingon'?><r/>",
            "an encoding that is not known",
        ),
    ] {
        let error = read(document.as_bytes(), &wanted).unwrap_err();
        assert!(error.contains(said), "{document}: {error}");
        assert!(!error.contains("bomb"), "{error}");
    }
    let deep = format!("<r>{}", "<i>".repeat(300));
    let error = read(deep.as_bytes(), &wanted).unwrap_err();
    assert!(error.contains("256 deep"), "{error}");
    // No record is fine where there could be some.
    assert_eq!(read(b"<r/>", &wanted).unwrap(), Vec::<String>::new());
    for path in ["r/i", "/", "/r//i", "/r/@i"] {
        let error = read(b"<r/>", &options(path, &["a"])).unwrap_err();
        assert!(error.contains("is no path"), "{path}: {error}");
    }
}

#[test]
fn a_record_is_no_longer_than_allowed() {
    let mut wanted = options("/r/i", &["a", "b"]);
    wanted.max_record_bytes = 1000;
    let text = "x".repeat(700);
    assert_rows(
        &format!("<r><i><a>{text}</a></i></r>"),
        &wanted,
        &[&format!("{text}|∅")],
    );
    for document in [
        format!("<r><i><a>{text}</a><b>{text}</b></i></r>"),
        format!("<r><i><a>{text}{text}</a></i></r>"),
        format!("<r><i a='{text}{text}'/></r>"),
    ] {
        let error = read(document.as_bytes(), &wanted).unwrap_err();
        assert!(error.contains("longer than 1000 bytes"), "{error}");
    }
}

#[test]
fn the_error_of_the_reader_comes_through_as_it_is() {
    #[derive(Debug, thiserror::Error)]
    #[error("gone")]
    struct Gone;
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other(Gone))
        }
    }
    let start = format!("<r>{}", " ".repeat(2000));
    let mut rows = rows(
        start.as_bytes().chain(Broken),
        &options("/r/i", &["a"]),
        Arc::default(),
    )
    .unwrap();
    let error = rows.read_to_end(&mut Vec::new()).unwrap_err();
    let inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    assert!(inner.is_some_and(|inner| inner.is::<Gone>()), "{error:?}");
}

/// Comparing each name with all before it, a file of megabytes would take days.
#[test]
fn documents_whose_names_are_data_are_refused() {
    let options = options("/r/x", &["id"]);
    let elements: String = (0..10_001).map(|name| format!("<n{name}/>")).collect();
    let error = read(format!("<r><x>{elements}</x></r>").as_bytes(), &options).unwrap_err();
    assert!(error.contains("10,000 different"), "{error}");
    let attributes: String = (0..2001).map(|name| format!(" n{name}=\"\"")).collect();
    let error = read(format!("<r><x{attributes}/></r>").as_bytes(), &options).unwrap_err();
    assert!(error.contains("2000 attributes"), "{error}");
}

/// Gives one byte at a time.
struct Trickle<'d>(&'d [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(1);
        self.0.read(&mut out[..count])
    }
}

#[test]
fn what_is_too_long_does_not_depend_on_how_much_is_read_at_once() {
    let document = format!("<r><x/></{}>", "r".repeat(30));
    let options = Options {
        max_record_bytes: 20,
        ..options("/r/x", &["id"])
    };
    let said = |input: &mut dyn Read| {
        let mut rows = rows(input, &options, Arc::default()).unwrap();
        rows.read_to_end(&mut Vec::new()).unwrap_err().to_string()
    };
    let whole = said(&mut document.as_bytes());
    assert!(whole.contains("longer than 20 bytes"), "{whole}");
    assert_eq!(said(&mut Trickle(document.as_bytes())), whole);
}
