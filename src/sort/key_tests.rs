use super::*;
use crate::encode::{put_field_count, put_null};
use proptest::prelude::*;
use std::cmp::Ordering;

fn row(values: &[(&Type, Option<&str>)]) -> Vec<u8> {
    let mut row = Vec::new();
    put_field_count(values.len() as i16, &mut row);
    for (type_, text) in values {
        match text {
            Some(text) => type_.encode(text.as_bytes(), &mut row).unwrap(),
            None => put_null(&mut row),
        }
    }
    row
}

fn key_of(type_: &Type, text: Option<&str>) -> Vec<u8> {
    let mut key = b"before".to_vec();
    let row = row(&[(&Type::Int2, Some("7")), (type_, text)]);
    SortKey::new(&[(1, type_)]).unwrap().write(&row, &mut key);
    key.split_off(b"before".len())
}

fn compare(type_: &Type, left: &str, right: &str) -> Ordering {
    key_of(type_, Some(left)).cmp(&key_of(type_, Some(right)))
}

/// Every text is below the next, and all are below a null.
fn ascending(type_: &Type, texts: &[&str]) {
    for pair in texts.windows(2) {
        assert!(compare(type_, pair[0], pair[1]).is_lt(), "{pair:?}");
    }
    for text in texts {
        assert!(key_of(type_, Some(text)) < key_of(type_, None), "{text}");
    }
}

#[test]
fn values_order_as_the_server_has_them() {
    ascending(&Type::Bool, &["f", "t"]);
    ascending(&Type::Int2, &["-32768", "-1", "0", "32767"]);
    ascending(
        &Type::Date,
        &[
            "-infinity",
            "1900-01-01",
            "1999-12-31",
            "2000-01-01",
            "infinity",
        ],
    );
    ascending(&Type::Time(6), &["00:00:00", "00:00:00.000001", "23:59:59"]);
    let stamps = [
        "-infinity",
        "1999-12-31 23:59:59",
        "2000-01-01 00:00:00",
        "infinity",
    ];
    ascending(&Type::Timestamp(6), &stamps);
    let zone = Some(0);
    ascending(&Type::Timestamptz { precision: 6, zone }, &stamps);
    let floats = [
        "-infinity",
        "-1e30",
        "-1e-30",
        "0",
        "1e-30",
        "1",
        "1e30",
        "infinity",
        "nan",
    ];
    ascending(&Type::Float4, &floats);
    ascending(&Type::Float8, &floats);
    assert_eq!(compare(&Type::Float4, "-0", "0"), Ordering::Equal);
    assert_eq!(compare(&Type::Float8, "-0", "0"), Ordering::Equal);
    let uuids = [
        "00000000-0000-0000-0000-000000000001",
        "7fffffff-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    ascending(&Type::Uuid, &uuids);
    let texts = ["", " ", "A", "Z", "a", "a ", "aa", "\u{e4}", "\u{10ffff}"];
    for type_ in [Type::Text, Type::Varchar(None), Type::Name] {
        ascending(&type_, &texts);
    }
    ascending(
        &Type::Bytea,
        &[
            "\\x", "\\x00", "\\x0000", "\\x0001", "\\x01", "\\xff", "\\xffff",
        ],
    );
    let numerics = [
        "-infinity",
        "-1e20",
        "-10000",
        "-9999.9999",
        "-12.5",
        "-12",
        "-0.05",
        "-1e-20",
        "0",
        "1e-20",
        "0.05",
        "12",
        "12.5",
        "9999.9999",
        "10000",
        "10000.00001",
        "1e20",
        "infinity",
        "nan",
    ];
    ascending(&Type::Numeric(None), &numerics);
    assert_eq!(
        compare(&Type::Numeric(None), "1.0", "1.000"),
        Ordering::Equal
    );
    assert_eq!(compare(&Type::Numeric(None), "-0.0", "0"), Ordering::Equal);
}

#[test]
fn spaces_at_the_end_count_only_where_they_do_for_the_server() {
    let padded = Type::Bpchar(Some(9));
    assert_eq!(compare(&padded, "ab", "ab   "), Ordering::Equal);
    assert_eq!(compare(&padded, "   ", ""), Ordering::Equal);
    ascending(&padded, &["", "a", "a\n", "a b", "ab"]);
}

/// The encoder never writes such; whoever does gets the server's order all the same.
#[test]
fn zeros_around_a_numeric_do_not_count() {
    let key = |words: &[u16]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut key = Vec::new();
        Form::Numeric.write(&bytes, &mut key).unwrap();
        key
    };
    assert_eq!(key(&[4, 2, 0, 0, 0, 0, 7, 0]), key(&[1, 0, 0, 0, 7]));
    assert_eq!(key(&[2, 3, 0x4000, 0, 0, 0]), key(&[0, 0, 0, 0]));
}

#[test]
fn types_without_a_known_order_are_refused_by_name() {
    let refused = [
        (Type::Json, "json"),
        (Type::Jsonb, "jsonb"),
        (Type::Interval(6), "interval"),
        (Type::Inet, "inet"),
        (Type::Cidr, "cidr"),
        (Type::enumeration(vec!["a".to_owned()]), "enum"),
        (Type::array(Type::Int4, 23), "integer[]"),
    ];
    for (type_, name) in refused {
        let error = SortKey::new(&[(0, &Type::Int4), (3, &type_)]).unwrap_err();
        assert!(matches!(error, KeyError::Type { column: 3, .. }));
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
    assert_eq!(SortKey::new(&[]).unwrap_err(), KeyError::Empty);
}

#[test]
fn broken_rows_have_a_key() {
    let key = SortKey::new(&[(1, &Type::Numeric(None)), (0, &Type::Float8)]).unwrap();
    let whole = row(&[
        (&Type::Float8, Some("1")),
        (&Type::Numeric(None), Some("1.5")),
    ]);
    for end in 0..whole.len() {
        let mut out = Vec::new();
        key.write(&whole[..end], &mut out);
        assert!(!out.is_empty() && out[0] == NULL, "{end}");
    }
}

type Field = (Option<String>, Option<i32>, Option<i64>);

proptest! {
    #[test]
    fn integers(left: i64, right: i64, small: i32, other: i32) {
        let expected = left.cmp(&right);
        prop_assert_eq!(compare(&Type::Int8, &left.to_string(), &right.to_string()), expected);
        let expected = small.cmp(&other);
        prop_assert_eq!(compare(&Type::Int4, &small.to_string(), &other.to_string()), expected);
    }

    #[test]
    fn floats(left: f64, right: f64, small: f32, other: f32) {
        let expected = left.partial_cmp(&right).unwrap();
        prop_assert_eq!(compare(&Type::Float8, &left.to_string(), &right.to_string()), expected);
        let expected = small.partial_cmp(&other).unwrap();
        prop_assert_eq!(compare(&Type::Float4, &small.to_string(), &other.to_string()), expected);
    }

    #[test]
    fn texts(left in "[a-c\u{1}\u{ff} ]{0,5}", right in "[a-c\u{1}\u{ff} ]{0,5}") {
        prop_assert_eq!(compare(&Type::Text, &left, &right), left.as_bytes().cmp(right.as_bytes()));
        let (short, other) = (left.trim_end_matches(' '), right.trim_end_matches(' '));
        prop_assert_eq!(compare(&Type::Bpchar(None), &left, &right), short.as_bytes().cmp(other.as_bytes()));
    }

    #[test]
    fn bytes(left in proptest::collection::vec(0_u8..3, 0..5), right in proptest::collection::vec(0_u8..3, 0..5)) {
        let hex = |bytes: &[u8]| bytes.iter().fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
        prop_assert_eq!(compare(&Type::Bytea, &hex(&left), &hex(&right)), left.cmp(&right));
    }

    /// The point stands anywhere, so that groups of four digits begin anywhere.
    #[test]
    fn decimals(
        left: i64, right: i64, near in -20_i64..20, left_scale in 0_u32..20, right_scale in 0_u32..20
    ) {
        let decimal = |value: i64, scale: u32| {
            let sign = if value < 0 { "-" } else { "" };
            let digits = format!("{:0>21}", value.unsigned_abs());
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            format!("{sign}{whole}.{fraction}")
        };
        // Both in units of 10 to the power of -19.
        let units = |value: i64, scale: u32| i128::from(value) * 10_i128.pow(19 - scale);
        for (left, right) in [(left, right), (left, left.saturating_add(near)), (near, left % 50)] {
            for right_scale in [right_scale, left_scale] {
                let expected = units(left, left_scale).cmp(&units(right, right_scale));
                let (left, right) = (decimal(left, left_scale), decimal(right, right_scale));
                prop_assert_eq!(compare(&Type::Numeric(None), &left, &right), expected);
            }
        }
    }

    /// Fields of any length one after the other compare as the list of values, in any order of
    /// the columns.
    #[test]
    fn fields_do_not_run_into_each_other(
        left: (Option<i8>, Option<i8>), right: (Option<i8>, Option<i8>),
        texts in proptest::collection::vec(proptest::option::of("[ab]{0,2}"), 2)
    ) {
        let numeric = Type::Numeric(None);
        let build = |number: (Option<i8>, Option<i8>), text: &Option<String>| -> (Vec<u8>, Field) {
            let small = number.0.map(|n| i32::from(n / 32));
            let large = number.1.map(|n| i64::from(n / 32));
            let row = row(&[
                (&numeric, small.map(|n| n.to_string()).as_deref()),
                (&Type::Text, text.as_deref()),
                (&Type::Int8, large.map(|n| n.to_string()).as_deref()),
            ]);
            (row, (text.clone(), small, large))
        };
        let (left, left_values) = build(left, &texts[0]);
        let (right, right_values) = build(right, &texts[1]);
        let key = SortKey::new(&[(1, &Type::Text), (0, &numeric), (2, &Type::Int8)]).unwrap();
        let written = |row: &[u8]| { let mut out = Vec::new(); key.write(row, &mut out); out };
        let nulls_last = |(text, small, large): Field| {
            (text.is_none(), text, small.is_none(), small, large.is_none(), large)
        };
        prop_assert_eq!(
            written(&left).cmp(&written(&right)),
            nulls_last(left_values).cmp(&nulls_last(right_values))
        );
    }
}
