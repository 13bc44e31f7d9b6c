use super::*;
use crate::read::dialect::{Newline, Shape};
use std::sync::Arc;

fn layout(extents: &[(usize, usize)]) -> FixedWidth {
    let extents = extents.iter();
    FixedWidth {
        extents: extents
            .map(|&(start, length)| Extent { start, length })
            .collect(),
        trim: true,
        ..FixedWidth::default()
    }
}

/// Each record as its fields between brackets, a null as `-`.
fn shown(layout: &FixedWidth, pad: bool, encoding: Encoding, text: &[u8]) -> Vec<String> {
    let dialect = Dialect {
        shape: Shape::FixedWidth(Arc::new(layout.clone())),
        pad_short: pad,
        encoding,
        comment: Some(b"#".to_vec()),
        ..Dialect::default()
    };
    let chunk = Chunk {
        bytes: text.to_vec(),
        byte: 0,
        newline: Newline::Lf,
    };
    let mut cutter = FixedCutter::new(&chunk, &dialect, layout);
    let mut fields = Fields::default();
    let mut records = Vec::new();
    while let Some((place, cut)) = cutter.next(&mut fields) {
        let what = match cut {
            Cut::Skipped => "skipped".to_owned(),
            Cut::Fault(fault) => fault.to_string(),
            Cut::Fields => (0..fields.len())
                .map(|index| match fields.is_null(index) {
                    true => "-".to_owned(),
                    false => format!("[{}]", fields.get(index).0.escape_ascii()),
                })
                .collect(),
        };
        records.push(format!(
            "{},{},{} {what}",
            place.record, place.line, place.byte
        ));
    }
    assert_eq!(cutter.records(), records.len() as u64);
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(cutter.lines(), lines as u64);
    records
}

#[test]
fn fields_are_places_and_blanks_around_them_are_dropped() {
    let two = layout(&[(0, 3), (4, 3), (1, 1)]);
    assert_eq!(
        shown(
            &two,
            false,
            Encoding::Utf8,
            b"abcxdef\n#c\n\n a x  f\r\n   x   "
        ),
        ["0,0,0 [abc][def][b]", "1,3,12 [a][f][a]", "2,4,21 [][][]"]
    );
    let untrimmed = FixedWidth { trim: false, ..two };
    assert_eq!(
        shown(&untrimmed, false, Encoding::Utf8, b" a x  f\n"),
        ["0,0,0 [ a ][  f][a]"]
    );
}

#[test]
fn a_short_record_is_a_fault_or_padded_and_text_behind_the_layout_is_a_fault() {
    let two = layout(&[(0, 2), (2, 3)]);
    let text = b"abcde  \nabcdefg\nab\nabc\na\n";
    assert_eq!(
        shown(&two, false, Encoding::Utf8, text),
        [
            "0,0,0 [ab][cde]",
            "1,1,8 is 7 long, and has text behind 5, where its layout ends",
            "2,2,16 is 2 long, and the fields of its layout reach to 5",
            "3,3,19 is 3 long, and the fields of its layout reach to 5",
            "4,4,23 is 1 long, and the fields of its layout reach to 5",
        ]
    );
    let padded = shown(&two, true, Encoding::Utf8, text);
    assert_eq!(
        padded[2..],
        ["2,2,16 [ab]-", "3,3,19 [ab][c]", "4,4,23 [a]-"]
    );
}

#[test]
fn characters_are_counted_where_the_layout_counts_them() {
    let bytes = layout(&[(0, 2), (2, 2)]);
    let chars = FixedWidth {
        chars: true,
        ..bytes.clone()
    };
    let text = "\u{e9}\u{20ac}ab\n".as_bytes();
    assert_eq!(
        shown(&chars, false, Encoding::Utf8, text),
        ["0,0,0 [\\xc3\\xa9\\xe2\\x82\\xac][ab]"]
    );
    assert_eq!(
        shown(&bytes, false, Encoding::Utf8, text),
        ["0,0,0 is 7 long, and has text behind 4, where its layout ends"]
    );
    // One byte is one character.
    assert_eq!(
        shown(&chars, false, Encoding::Windows1252, b"\xE9\x80ab\n"),
        ["0,0,0 [\\xe9\\x80][ab]"]
    );
    // What is no text is one character, for its column to refuse.
    assert_eq!(
        shown(&chars, false, Encoding::Utf8, b"\xFFbcd\n"),
        ["0,0,0 [\\xffb][cd]"]
    );
}

#[test]
fn records_of_another_type_are_skipped() {
    let typed = FixedWidth {
        record_type: Some(RecordType {
            extent: Extent {
                start: 1,
                length: 2,
            },
            values: vec![b"A".to_vec(), b"BB".to_vec()],
        }),
        ..layout(&[(0, 1), (3, 1)])
    };
    assert_eq!(
        shown(
            &typed,
            false,
            Encoding::Utf8,
            b"1A 2\n1BB3\n1B 4\n5\n1C\n1A\n"
        ),
        [
            "0,0,0 [1][2]",
            "1,1,5 [1][3]",
            "2,2,10 skipped",
            "3,3,15 is 1 long, and the fields of its layout reach to 3",
            "4,4,17 skipped",
            "5,5,20 is 2 long, and the fields of its layout reach to 4",
        ]
    );
}
