use super::*;
use crate::read::dialect::{Newline, Shape};
use proptest::prelude::*;
use std::sync::Arc;

fn paths(explode: Option<&str>, wanted: &[&str]) -> JsonLines {
    let mut paths = JsonLines::new(explode).unwrap();
    for path in wanted {
        let as_json = path.starts_with('!');
        paths.take(path.trim_start_matches('!'), as_json).unwrap();
    }
    paths.finish()
}

/// Each record as its fields between brackets, a null as `-`.
fn shown(paths: &JsonLines, text: &str) -> Vec<String> {
    let dialect = Dialect {
        shape: Shape::JsonLines(Arc::new(paths.clone())),
        ..Dialect::default()
    };
    let chunk = Chunk {
        bytes: text.as_bytes().to_vec(),
        byte: 0,
        newline: Newline::Lf,
    };
    let mut cutter = JsonCutter::new(&chunk, &dialect, paths);
    let mut fields = Fields::default();
    let mut records = Vec::new();
    while let Some((place, cut)) = cutter.next(&mut fields) {
        let what = match cut {
            Cut::Skipped => "skipped".to_owned(),
            Cut::Fault(fault) => fault.to_string(),
            Cut::Fields => (0..fields.len())
                .map(|index| match fields.is_null(index) {
                    true => "-".to_owned(),
                    false => format!("[{}]", String::from_utf8_lossy(fields.get(index).0)),
                })
                .collect(),
        };
        records.push(format!(
            "{},{},{} {what}",
            place.record, place.line, place.byte
        ));
    }
    assert_eq!(cutter.records(), records.len() as u64);
    records
}

#[test]
fn values_are_taken_by_their_paths_and_numbers_stay_as_they_are_written() {
    let paths = paths(
        None,
        &["a", "b.c", "d[1].e", "b", "d[0]", "[\"x.y\"]", "!a"],
    );
    assert_eq!(
        shown(
            &paths,
            "{\"a\": \"t\", \"b\": {\"c\": 1.10e+400}, \"d\": [ [1, 2] , {\"e\": true}], \"x.y\": -0}\n\n{}\r\n[]\n{\"a\":null,\"b\":null,\"d\":null}\n"
        ),
        [
            "0,0,0 [t][1.10e+400][true][{\"c\": 1.10e+400}][[1, 2]][-0][\"t\"]",
            "1,2,76 -------",
            "2,3,80 -------",
            "3,4,83 -------",
        ]
    );
}

#[test]
fn escapes_in_strings_and_keys_are_read() {
    assert_eq!(
        shown(
            &paths(None, &["k\n", "!k\n"]),
            r#"{"k\n":"a\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00z"}"#
        ),
        [
            "0,0,0 [a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z][\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00z\"]"
        ]
    );
    assert_eq!(
        shown(
            &paths(None, &["a"]),
            "{\"a\":\"x\\ud83dy\"}\n{\"b\":\"x\\ud83dy\"}"
        ),
        [
            "0,0,0 is not JSON: half of a surrogate pair at byte 7 of the line",
            "1,1,17 -"
        ]
    );
}

#[test]
fn of_two_values_of_one_key_the_last_one_counts() {
    assert_eq!(
        shown(
            &paths(None, &["a.x", "a.y"]),
            r#"{"a":{"x":1,"x":2,"y":3},"a":{"x":4}}"#
        ),
        ["0,0,0 [4]-"]
    );
}

#[test]
fn each_item_of_an_exploded_array_is_a_record_with_the_place_of_its_line() {
    let paths = paths(Some("o.items"), &["id", "o.items[].c", "o.items[]"]);
    assert_eq!(
        shown(
            &paths,
            "{\"o\":{\"items\":[{\"c\":1},{\"d\":2} , 3]},\"id\":7}\n{\"id\":8,\"o\":{\"items\":[]}}\n{\"id\":8}\n{\"o\":{\"items\":null}}\n{\"o\":{\"items\":5}}\n{\"o\":{\"items\":[4]},\"id\":9}"
        ),
        [
            "0,0,0 [7][1][{\"c\":1}]",
            "1,0,0 [7]-[{\"d\":2}]",
            "2,0,0 [7]-[3]",
            "3,1,45 skipped",
            "4,2,71 skipped",
            "5,3,80 skipped",
            "6,4,101 is not JSON: no array where `explode` expects one at byte 14 of the line",
            "7,5,119 [9]-[4]",
        ]
    );
}

#[test]
fn what_is_no_json_is_a_fault_with_its_place_in_the_line() {
    let paths = paths(None, &["a"]);
    for (text, what, at) in [
        ("1", "neither an object nor an array", 0),
        (" x", "neither an object nor an array", 1),
        ("{", "no key", 1),
        ("{\"a\"", "no colon", 4),
        ("{\"a\":", "the end inside", 5),
        ("{\"a\":x}", "no value", 5),
        ("{\"a\":nul}", "no value", 5),
        ("{\"a\":01}", "neither a comma", 6),
        ("{\"a\":-}", "no digit", 6),
        ("{\"a\":1.}", "no digit", 7),
        ("{\"a\":1e}", "no digit", 7),
        ("{\"a\":\"x}", "does not end", 6),
        ("{\"a\":\"\\x\"}", "a backslash", 7),
        ("{\"a\":\"\\u12\"}", "a backslash", 7),
        ("{\"a\":\"\t\"}", "a control", 6),
        ("{\"a\":1,}", "no key", 7),
        ("[1 2]", "neither a comma", 3),
        ("{} {}", "something behind", 3),
    ] {
        let shown = shown(&paths, text).remove(0);
        assert!(shown.contains(what), "{text}: {shown}");
        assert!(
            shown.ends_with(&format!("at byte {at} of the line")),
            "{text}: {shown}"
        );
    }
    let deep = "[".repeat(600);
    assert!(shown(&paths, &deep)[0].contains("more than 512 levels"));
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(shown(&paths, &deep), ["0,0,0 -"]);
}

#[test]
fn an_item_of_an_array_that_is_not_exploded_is_refused() {
    let mut plain = JsonLines::new(None).unwrap();
    assert!(
        plain
            .take("a[].b", false)
            .unwrap_err()
            .to_string()
            .contains("`explode`")
    );
    let mut other = JsonLines::new(Some("c")).unwrap();
    assert!(other.take("a[].b", false).is_err());
    assert!(other.take("c[].b[].d", false).is_err());
    assert!(other.take("c[].b", false).is_ok());
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab\"\\\\\u{e9}]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_another_reader_takes_is_taken_here(value in json(), spaces in any::<bool>()) {
        let value = serde_json::json!({ "a": value, "b": [value, 1] });
        let text = if spaces { format!(" {value} ") } else { value.to_string() };
        let wanted = ["a", "a.a", "b[0].b", "b[0][1]", "b[1]"];
        let pointers = ["/a", "/a/a", "/b/0/b", "/b/0/1", "/b/1"];
        let taken = paths(None, &wanted);
        let expected: String = pointers
            .iter()
            // A place is no key.
            .map(|pointer| match *pointer {
                "/b/0/1" if value["b"][0].is_object() => None,
                pointer => value.pointer(pointer),
            })
            .map(|found| match found {
                None | Some(serde_json::Value::Null) => "-".to_owned(),
                Some(serde_json::Value::String(text)) => format!("[{text}]"),
                Some(other) => format!("[{other}]"),
            })
            .collect();
        prop_assert_eq!(shown(&taken, &text), [format!("0,0,0 {expected}")]);
    }

    #[test]
    fn no_bytes_make_the_reader_fail_and_it_accepts_what_another_does(
        text in r#"[{}\[\]",:a\\u0e+.\-1 tnl]{0,24}"#,
    ) {
        let shown = shown(&paths(None, &["a", "[0]"]), &text);
        let other = serde_json::from_str::<Box<serde_json::value::Value>>(&text);
        let container = other.is_ok_and(|value| value.is_object() || value.is_array());
        if container {
            prop_assert!(!shown[0].contains("not JSON") || shown[0].contains("surrogate"));
        }
    }
}

/// Of a text of megabytes beside millions of items the rows would be terabytes.
#[test]
fn what_stands_beside_exploded_items_is_not_repeated_without_end() {
    let paths = paths(Some("i"), &["t", "i[]"]);
    let dialect = Dialect {
        shape: Shape::JsonLines(Arc::new(paths.clone())),
        max_record_bytes: 10,
        ..Dialect::default()
    };
    let line = format!(
        "{{\"t\":\"{}\",\"i\":[1{}]}}\n",
        "x".repeat(38),
        ",1".repeat(9)
    );
    let chunk = Chunk {
        bytes: line.into_bytes(),
        byte: 0,
        newline: Newline::Lf,
    };
    let mut cutter = JsonCutter::new(&chunk, &dialect, &paths);
    let mut fields = Fields::default();
    let mut rows = Vec::new();
    while let Some((_, cut)) = cutter.next(&mut fields) {
        rows.push(cut == Cut::Fields);
    }
    // The text and its quotes are 40 bytes, and 160 may be repeated; no record is lost.
    assert_eq!(rows, [vec![true; 4], vec![false; 6]].concat());
}
