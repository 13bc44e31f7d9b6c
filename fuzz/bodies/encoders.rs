//! The encoder of each type, against any text.

use super::input::Input;
use overnight::encode::line::put_lines;
use overnight::encode::{Precision, Type, put_field_count};

/// All types, some with limits.
pub fn types() -> Vec<Type> {
    let precision = Precision {
        precision: 6,
        scale: 2,
    };
    let labels = || ["small", "large", "é"].map(str::to_owned).to_vec();
    let array = |element, oid| Type::array(element, oid);
    let zone = |zone| Type::Timestamptz { precision: 6, zone };
    vec![
        Type::Text,
        Type::Int4,
        Type::Numeric(None),
        Type::Numeric(Some(precision)),
        Type::Date,
        Type::Bool,
        Type::Int2,
        Type::Int8,
        Type::Float4,
        Type::Float8,
        Type::Varchar(None),
        Type::Varchar(Some(5)),
        Type::Bpchar(Some(3)),
        Type::Name,
        Type::Time(6),
        Type::Time(0),
        Type::Timestamp(6),
        Type::Timestamp(3),
        zone(None),
        zone(Some(-18_000)),
        Type::Interval(6),
        Type::Uuid,
        Type::Json,
        Type::Jsonb,
        Type::Bytea,
        Type::Inet,
        Type::Cidr,
        Type::enumeration(labels()),
        array(Type::Int4, 23),
        array(Type::Text, 25),
        array(Type::Numeric(None), 1700),
        array(zone(None), 1184),
        array(Type::Bytea, 17),
        array(Type::Jsonb, 3802),
    ]
}

pub fn encoders(data: &[u8]) {
    let mut input = Input::new(data);
    let ty = input.choose(&types());
    let text = String::from_utf8_lossy(input.rest());
    let mut row = Vec::new();
    put_field_count(1, &mut row);
    if ty.encode(text.as_bytes(), &mut row).is_err() {
        assert_eq!(row.len(), 2, "{ty:?} left something behind");
        return;
    }
    let most = ty.expansion() * (text.len() + 1) as f64;
    let found = row.len() - 2;
    assert!(
        found as f64 <= most,
        "{ty:?}: {found} bytes of {}",
        text.len()
    );
    let length = row[2..].first_chunk().map(|word| i32::from_be_bytes(*word));
    assert_eq!(length, i32::try_from(found - 4).ok(), "{ty:?}");
    let mut line = Vec::new();
    let put = put_lines(&row, std::slice::from_ref(&ty), &mut line);
    assert!(put.is_ok() && line.ends_with(b"\n"), "{ty:?} has no line");
}
