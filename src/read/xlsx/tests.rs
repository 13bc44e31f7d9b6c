use super::*;

#[path = "workbook_for_tests.rs"]
mod workbook_for_tests;
use workbook_for_tests::workbook;

/// The lines with `|` and `∅`, and what is said of the values that are none.
fn read(file: &[u8], options: &XlsxOptions) -> Result<(Vec<String>, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let text = |error: io::Error| error.to_string();
    let faults = Arc::new(Faults::default());
    let mut bytes = Vec::new();
    rows(file, options, folder.path(), Arc::clone(&faults))
        .map_err(text)?
        .read_to_end(&mut bytes)
        .map_err(text)?;
    let whys = memchr::memchr_iter(0xFF, &bytes)
        .map(|at| format!("{:?}", faults.at(at as u64)))
        .collect();
    let text = String::from_utf8_lossy(&bytes);
    let text = text.replace('\u{1F}', "|").replace('\u{1E}', "∅");
    Ok((text.lines().map(str::to_owned).collect(), whys))
}

fn lines(file: &[u8]) -> Vec<String> {
    read(file, &XlsxOptions::default()).unwrap().0
}

const HEADER: &str =
    "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row>";

#[test]
fn cells_of_every_type_become_fields() {
    let rows = format!(
        "{HEADER}\
         <row r=\"2\"><c r=\"A2\"><v>1</v></c><c r=\"B2\" t=\"s\"><v>2</v></c></row>\
         <row r=\"3\"><c r=\"A3\" t=\"b\"><v>1</v></c><c r=\"B3\" t=\"inlineStr\"><is><r><t>in</t></r><r><t>line</t></r></is></c></row>\
         <row r=\"4\"><c r=\"A4\"><v>0.30000000000000004</v></c><c r=\"B4\" t=\"str\"><f>A1&amp;B1</f><v>a&amp;b</v></c></row>\
         <row r=\"5\"><c r=\"A5\" s=\"1\"><v>45983</v></c><c r=\"B5\" s=\"2\"><v>45983.4375</v></c></row>\
         <row r=\"6\"><c r=\"A6\" s=\"3\"><v>1.25</v></c><c r=\"B6\" s=\"4\"><v>0.125</v></c></row>\
         <row r=\"7\"><c r=\"B7\" t=\"d\"><v>2026-11-22T10:00:00</v></c></row>"
    );
    let file = workbook(&[("Data", &rows)], &["id", "name", "Zoë  |"], false);
    assert_eq!(
        lines(&file),
        [
            "id|name",
            "1|Zoë  |",
            "true|inline",
            "0.3|a&b",
            "2025-11-22|2025-11-22 10:30:00",
            "30:00:00|0.125",
            "∅|2026-11-22T10:00:00",
        ]
    );
}

#[test]
fn the_workbook_says_from_when_it_counts_days() {
    let rows = format!("{HEADER}<row r=\"2\"><c r=\"A2\" s=\"1\"><v>60</v></c></row>");
    let strings = ["id", "name"];
    assert_eq!(
        lines(&workbook(&[("D", &rows)], &strings, true))[1],
        "1904-03-01|∅"
    );
    let (text, whys) = read(
        &workbook(&[("D", &rows)], &strings, false),
        &XlsxOptions::default(),
    )
    .unwrap();
    assert_eq!(text[1], "\u{FFFD}|∅");
    assert!(
        whys[0].contains("29 February 1900") && whys[0].contains("cell A2"),
        "{whys:?}"
    );
}

#[test]
fn lines_are_the_rows_of_the_sheet_and_short_rows_are_nulls() {
    let rows = "<row r=\"3\"><c r=\"A3\" t=\"s\"><v>0</v></c><c r=\"B3\" t=\"s\"><v>1</v></c></row>\
         <row r=\"4\"><c r=\"A4\"><v>1</v></c><c r=\"B4\" s=\"1\"/></row>\
         <row r=\"5\"><c r=\"A5\" s=\"1\"/></row>\
         <row r=\"7\"><c r=\"A7\"><v>2</v></c><c r=\"C7\"><v>3</v></c></row>";
    let file = workbook(&[("D", rows)], &["id", "name"], false);
    assert_eq!(lines(&file), ["", "", "id|name", "1|∅", "", "", "2|∅|3"]);
    // Titles above the header do not set the width.
    let titled = "<row r=\"1\"><c r=\"A1\"><v>2026</v></c></row>\
         <row r=\"2\"><c r=\"A2\" t=\"s\"><v>0</v></c><c r=\"B2\" t=\"s\"><v>1</v></c></row>\
         <row r=\"3\"><c r=\"A3\"><v>1</v></c></row>";
    let options = XlsxOptions {
        header_row: Some(1),
        ..XlsxOptions::default()
    };
    let file = workbook(&[("D", titled)], &["id", "name"], false);
    assert_eq!(read(&file, &options).unwrap().0, ["2026", "id|name", "1|∅"]);
}

#[test]
fn a_cell_with_an_error_is_a_fault_with_its_name() {
    let rows = format!(
        "{HEADER}<row r=\"2\"><c r=\"A2\" t=\"e\"><v>#N/A</v></c><c r=\"B2\"><v>5</v></c></row>"
    );
    let file = workbook(&[("D", &rows)], &["id", "name"], false);
    let (text, whys) = read(&file, &XlsxOptions::default()).unwrap();
    assert_eq!(text[1], "\u{FFFD}|5");
    assert_eq!(whys.len(), 1);
    assert!(
        whys[0].contains("holds the error #N/A (cell A2)"),
        "{whys:?}"
    );
}

#[test]
fn the_sheet_is_the_one_named_or_the_only_one() {
    let cell = |value: i32| format!("<row r=\"1\"><c r=\"A1\"><v>{value}</v></c></row>");
    let (one, two) = (cell(1), cell(2));
    let named = |name: &str| XlsxOptions {
        sheet: Some(name.to_owned()),
        ..XlsxOptions::default()
    };
    let several = workbook(
        &[("One", &one), ("Two &amp; more", &two), ("Empty", "")],
        &[],
        false,
    );
    assert_eq!(read(&several, &named("Two & more")).unwrap().0, ["2"]);
    let error = read(&several, &XlsxOptions::default()).unwrap_err();
    assert!(error.contains("`One`, `Two & more`"), "{error}");
    let error = read(&several, &named("Three")).unwrap_err();
    assert!(error.contains("no sheet `Three`"), "{error}");
    let with_empty = workbook(&[("Empty", ""), ("One", &one)], &[], false);
    assert_eq!(lines(&with_empty), ["1"]);
    assert_eq!(
        lines(&workbook(&[("Empty", "")], &[], false)),
        Vec::<String>::new()
    );
}

#[test]
fn a_file_that_is_no_workbook_is_refused() {
    let said = |bytes: &[u8]| read(bytes, &XlsxOptions::default()).unwrap_err();
    assert!(said(b"id,name\n1,x\n").contains("no workbook"));
    assert!(said(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest").contains(".xls"));
    let file = workbook(&[("D", HEADER)], &["id", "name"], false);
    assert!(said(&file[..file.len() / 2]).contains("no workbook"));
    // A string that is not there; a cell before the one before it; a cell outside.
    let few = workbook(&[("D", HEADER)], &["id"], false);
    assert!(said(&few).contains("read the workbook"));
    let cells = |names: [&str; 2]| {
        let cells = names.map(|name| format!("<c r=\"{name}\"><v>1</v></c>"));
        let rows = format!("<row>{}</row>", cells.concat());
        said(&workbook(&[("D", &rows)], &[], false))
    };
    assert!(cells(["B2", "A2"]).contains("not in order"));
    assert!(cells(["B2", "A1"]).contains("not in order"));
}

#[test]
fn a_long_sheet_is_read_whole() {
    let mut rows = HEADER.to_owned();
    let mut expected = vec!["id|name".to_owned()];
    for row in 2..40_000 {
        rows += &format!(
            "<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c><c r=\"B{row}\" t=\"s\"><v>2</v></c></row>"
        );
        expected.push(format!("{row}|a longer text"));
    }
    let file = workbook(&[("D", &rows)], &["id", "name", "a longer text"], false);
    assert!(lines(&file) == expected);
}

/// The directory of a zip and the calendar fields of its members say nothing of the content: a bit there
/// may change without harm, but no accepted workbook has other rows.
#[test]
fn a_flipped_bit_never_changes_the_rows() {
    let rows: String = (2..40)
        .map(|row| {
            format!(
                "<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c><c r=\"B{row}\" t=\"s\"><v>{}</v></c><c r=\"C{row}\" s=\"1\"><v>{}</v></c></row>",
                row % 3 + 2,
                45_000 + row * 7
            )
        })
        .collect();
    let header = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c><c r=\"C1\" t=\"inlineStr\"><is><t>day</t></is></c></row>";
    let sheet = format!("{header}{rows}");
    let file = workbook(
        &[("Data", &sheet)],
        &["id", "name", "Zoe", "Bob", "Eve"],
        false,
    );
    let whole = read(&file, &XlsxOptions::default()).unwrap();
    assert_eq!(whole.0.len(), 39);
    let mut refused = 0;
    // A step that is no multiple of eight meets every bit of a byte somewhere.
    for bit in (0..file.len() * 8).step_by(5) {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match read(&damaged, &XlsxOptions::default()) {
            Ok(rows) => assert_eq!(rows, whole, "bit {bit} of {}", file.len() * 8),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > file.len(), "{refused} of {}", file.len() * 8 / 5);
}
