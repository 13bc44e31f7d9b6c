//! A thousand texts of each type, as they come in real files.

use crate::inputs::{Numbers, numbers, numeric};
use overnight::encode::Type;

type Texts = fn(&mut Numbers) -> String;

/// Name, type and texts. The types of one encoder that differ only in width stand once.
fn all() -> Vec<(&'static str, Type, Texts)> {
    vec![
        ("bool", Type::Bool, |n| n.one_of(&["Y", "N"]).to_owned()),
        ("int2", Type::Int2, |n| n.below(30_000).to_string()),
        ("int4", Type::Int4, |n| n.below(2_000_000_000).to_string()),
        ("int8", Type::Int8, |n| n.below(1 << 50).to_string()),
        ("float4", Type::Float4, |n| n.cents(1_000_000)),
        ("float8", Type::Float8, |n| n.cents(100_000_000)),
        ("numeric_6_2", numeric(6, 2), |n| n.cents(1_500)),
        ("numeric_15_2", numeric(15, 2), |n| n.cents(10_000_000)),
        ("numeric_30_10", numeric(30, 10), |n| {
            format!("{}.{:010}", n.below(1 << 60), n.below(10_000_000_000))
        }),
        ("text", Type::Text, |n| {
            format!("10{:010}", n.below(10_000_000_000))
        }),
        ("varchar_44", Type::Varchar(Some(44)), |n| {
            format!("carefully final requests sleep {}", n.below(10_000))
        }),
        ("char_10", Type::Bpchar(Some(10)), |n| {
            n.one_of(&["AIR", "REG AIR", "TRUCK"]).to_owned()
        }),
        ("name", Type::Name, |n| format!("table_{}", n.below(1_000))),
        ("date", Type::Date, Numbers::date),
        ("time", Type::Time(6), |n| {
            format!("{:02}:{:02}:{:02}", n.below(24), n.below(60), n.below(60))
        }),
        ("timestamp", Type::Timestamp(6), |n| {
            format!(
                "{} {:02}:15:00.{:06}",
                n.date(),
                n.below(24),
                n.below(1_000_000)
            )
        }),
        (
            "timestamptz",
            Type::Timestamptz {
                precision: 6,
                zone: None,
            },
            |n| format!("{} {:02}:15:00+01", n.date(), n.below(24)),
        ),
        ("interval", Type::Interval(6), |n| {
            format!("{} days {:02}:00:00", n.below(100), n.below(24))
        }),
        ("uuid", Type::Uuid, |n| {
            let (high, low) = (n.below(u64::MAX), n.below(1 << 48));
            format!(
                "{:08x}-{:04x}-{:04x}-8000-{low:012x}",
                high >> 32,
                high >> 16 & 0xFFFF,
                high & 0xFFFF
            )
        }),
        ("json", Type::Json, |n| {
            format!(r#"{{"id": {}, "tags": ["a", "b"]}}"#, n.below(10_000))
        }),
        ("jsonb", Type::Jsonb, |n| {
            format!(r#"{{"id": {}, "tags": ["a", "b"]}}"#, n.below(10_000))
        }),
        ("bytea", Type::Bytea, |n| {
            format!(r"\x{:016x}{:016x}", n.below(u64::MAX), n.below(u64::MAX))
        }),
        ("inet", Type::Inet, |n| {
            format!("10.{}.{}.{}", n.below(256), n.below(256), n.below(256))
        }),
        ("cidr", Type::Cidr, |n| {
            format!("10.{}.0.0/16", n.below(256))
        }),
        (
            "enum",
            Type::enumeration(["retail", "mail", "both"].map(str::to_owned).to_vec()),
            |n| n.one_of(&["retail", "mail", "both"]).to_owned(),
        ),
        ("int4_array", Type::array(Type::Int4, 23), |n| {
            format!("{{{},{},{}}}", n.below(100), n.below(100_000), n.below(10))
        }),
    ]
}

/// The name of every type that is measured.
pub fn names() -> Vec<&'static str> {
    all().into_iter().map(|(name, ..)| name).collect()
}

/// The type of that name and a thousand texts of it.
pub fn values(name: &str) -> (Type, Vec<String>) {
    let (_, ty, text) = all()
        .into_iter()
        .find(|(known, ..)| *known == name)
        .expect("a name that `names` gave");
    let mut numbers = numbers();
    (ty, (0..1_000).map(|_| text(&mut numbers)).collect())
}
