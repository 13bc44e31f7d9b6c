//! The types that are compared, each with the texts at its limits.

use super::texts;
use super::texts::Random;
use overnight::encode::{Precision, Type};

type Generator = fn(&mut Random) -> String;

/// A type and the texts that are tried on it.
pub struct Case {
    pub sql: &'static str,
    pub encoder: Type,
    pub generator: Generator,
    /// Texts that the generator would not find.
    pub edges: Vec<String>,
    /// What a literal for the server has after the text.
    pub suffix: &'static str,
    /// Of the texts made, at least this share is accepted.
    pub accepted: f64,
}

fn case(sql: &'static str, encoder: Type, generator: Generator, edges: &[&str]) -> Case {
    Case {
        sql,
        encoder,
        generator,
        edges: edges.iter().map(|text| (*text).to_owned()).collect(),
        suffix: "",
        accepted: 0.25,
    }
}

fn numeric(precision: u16, scale: i16) -> Type {
    Type::Numeric(Some(Precision { precision, scale }))
}

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.000",
    "1e-1000",
    "1e1000",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "+inf",
    "1e-16383",
    "1e-16384",
    "1e131071",
    "1e131072",
    "0e-20000",
    "0e5",
    "5.",
    ".5",
    ".",
    "",
    " 1 ",
    "1e",
    "0x1F",
    "1_000",
    "1e+5",
    "99.995",
    "9999.99",
    "10000",
    "9999.990",
    "12345678901234567890.123456789",
    "00000000000000000000001.50",
    "1e 5",
];
const FLOATS: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "+inf",
    "-nan",
    "1e308",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "4.9e-324",
    "2.4e-324",
    "3.4028235e38",
    "3.4028236e38",
    "1.4e-45",
    "0.7e-45",
    "0.6e-45",
    "-0",
    "0e999",
    "0x1p3",
    "1e-46",
    "9007199254740993",
    "16777217",
    "0.1",
    "infinit",
    "7.038531e-26",
    "1.17549429e-38",
];
const DATES: &[&str] = &[
    "infinity",
    "-infinity",
    "Infinity",
    "+infinity",
    "5874897-12-31",
    "5874898-01-01",
    "4714-11-24 BC",
    "4714-11-23 BC",
    "0001-01-01 BC",
    "0001-02-29 BC",
    "0000-01-01",
    "1900-02-29",
    "2000-02-29",
    " 2026-11-21 ",
    "2026-1-5",
    "20261121",
    "0099-12-31",
    "0005-02-29 BC",
    "02026-01-01",
    "2026-11-21 00:00:00",
    "00100101",
];
const TIMESTAMPS: &[&str] = &[
    "infinity",
    "-infinity",
    "294276-12-31 23:59:59.999999",
    "294277-01-01 00:00:00",
    "4714-11-24 00:00:00 BC",
    "4714-11-23 23:59:59.999999 BC",
    "1999-12-31 23:59:59.999999",
    "294276-12-31 24:00:00",
    "294276-12-31 23:59:59",
    "2026-11-21T05:10:02Z",
    "2026-11-21T05:10:02",
    "2026-11-21 5:10",
    "2026-11-21 05:10:02.5000000000",
    "20261121T05:10",
    "4714-11-24 00:00:00.000000 BC",
    "0044-03-15 12:00:00 BC",
    "2026-11-21 05:10:02 BC",
    "1970-01-01",
];
const TIMESTAMPTZS: &[&str] = &[
    "294276-12-31 23:59:59.999999+00",
    "294277-01-01 00:00:00+00",
    "294277-01-01 00:00:00+01",
    "294276-12-31 23:59:59-01",
    "4714-11-24 00:00:00+00 BC",
    "4714-11-24 00:00:00+01 BC",
    "4714-11-23 23:00:00-01 BC",
    "2026-11-21T05:10:02z",
    "2026-11-21 05:10:02+15:59",
    "2026-11-21 05:10:02-15:59:59",
    "2026-11-21 05:10:02+16",
    "2026-11-21T24:00:00Z",
    "2026-11-21 05:10:02 Z",
    "2026-11-21 05:10-08",
    "20261121 05:10Z",
    "infinity",
    "2026-11-21 05:10:02 -0800",
];
const INTERVALS: &[&str] = &[
    "178956970 years 7 mons",
    "178956970 years 8 mons",
    "-178956970 years -8 mons",
    "P1Y2M3DT4H5M6.7S",
    "P1Y",
    "PT0S",
    "P0D",
    "-0.5 sec",
    "PT-0.5S",
    "-1 year 2 mons +3 days -04:05:06.789",
    "1 year ago",
    "1 day 2:03 ago",
    "@ 1 minute ago",
    "999999999 hours",
    "999999999:59:59.999999",
    "PT999999999.999999S",
    "-999999999.999999 secs",
    "999999999 days 99 weeks",
    "300000000 weeks -999999999 days",
    "00:00:00",
    "-00:00:00.000001",
    "1 year -12 mons",
    "1d",
    "1y2d",
    "1 day -1 week",
    "P-1Y-2M-3DT-4H-5M-6.7S",
    "P1Y2M3W4DT5H6M7S",
    "PT36H",
    "1 month 1 us",
    "1.5 seconds 3 ms",
    "999999999 us",
    "P1W",
    "99999999 centuries",
    "178956 millennia",
    "-178956 millennia -970 years",
    "1 s ago",
    "+1 day",
    "1  day   2  hours",
];
const JSON: &[&str] = &[
    "",
    " ",
    "null",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "1e200000",
    "[1e-16384]",
    "1e131071",
    "0e-20000",
    "-",
    "01",
    "[1,]",
    "{\"a\":1,\"a\":2}",
    "\u{feff}1",
    "1a",
    "\"a\nb\"",
    "[1]]",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "-0.0",
    "1.0",
    "1.00e1",
    "\u{7f}",
    "\"\u{7f}\"",
    "tru",
    "nullx",
    "0.e1",
    "\u{c}1",
];
const ARRAYS: &[&str] = &[
    "{}",
    "{ }",
    " { } ",
    "{NULL}",
    "{\"\"}",
    "{,}",
    "{1,}",
    "{{1}}",
    "[0:1]={1,2}",
    "{\"a\\\"b\"}",
    "{a b}",
    "{\"a\" }",
    "{\"a\"b}",
    "{a\"b\"}",
    "{nUlL}",
    "{\"a\\,\"}",
    "{a\\,b}",
    "{1 , 2}",
    "{'a'}",
    "{\"{}\"}",
    "{1}x",
    "{\u{b}1}",
    "{\\x01}",
    "{\"\\\\x01\"}",
];

/// Every supported type, with and without modifiers.
pub fn cases() -> Vec<Case> {
    let limit = |text: &str, n: usize| text.repeat(n);
    let mut unlimited = case("numeric", Type::Numeric(None), texts::decimal, NUMBERS);
    unlimited.edges.extend([
        limit("9", 131_072),
        limit("9", 131_073),
        format!("{}.{}", limit("9", 131_072), limit("9", 16_383)),
        format!("0.{}1", limit("0", 16_382)),
        format!("0.{}1", limit("0", 16_383)),
    ]);
    let mut json = case("json", Type::Json, texts::json, JSON);
    json.edges
        .push(format!("{}{}", limit("[", 512), limit("]", 512)));
    let mut jsonb = case("jsonb", Type::Jsonb, texts::json, JSON);
    jsonb
        .edges
        .push(format!("{}1{}", limit("{\"a\":", 512), limit("}", 512)));
    jsonb.edges.push(limit("9", 131_072));
    let mut zoned = case(
        "timestamptz",
        Type::Timestamptz {
            precision: 6,
            zone: Some(19_800),
        },
        texts::timestamp_without_era,
        &[
            "1970-01-01 05:30",
            "294277-01-01 05:29:59.999999",
            "294277-01-01 05:30:00",
        ],
    );
    zoned.suffix = " +05:30";
    zoned.accepted = 0.2;
    let labels = ["ok", "not ok", "Ok", "", "ä", "it's"]
        .map(str::to_owned)
        .to_vec();
    let name_63 = "n".repeat(63);
    let name_64 = "n".repeat(64);
    let mut cases = vec![
        case(
            "boolean",
            Type::Bool,
            texts::boolean,
            &["o", "of", "truee", " t ", "\u{b}f"],
        ),
        case(
            "smallint",
            Type::Int2,
            texts::integer,
            &["-32768", "-32769", "1.0", "0x1F", "1_0"],
        ),
        case(
            "integer",
            Type::Int4,
            texts::integer,
            &["-2147483648", "-2147483649", "1e3"],
        ),
        case(
            "bigint",
            Type::Int8,
            texts::integer,
            &["-9223372036854775808", "-9223372036854775809"],
        ),
        case("real", Type::Float4, texts::float, FLOATS),
        case("double precision", Type::Float8, texts::float, FLOATS),
        unlimited,
        case("numeric(6,2)", numeric(6, 2), texts::small_decimal, NUMBERS),
        case("numeric(30,10)", numeric(30, 10), texts::decimal, NUMBERS),
        case(
            "numeric(1000,500)",
            numeric(1000, 500),
            texts::decimal,
            NUMBERS,
        ),
        case(
            "numeric(3,-2)",
            numeric(3, -2),
            |r| {
                format!(
                    "{}{}",
                    texts::integer(r),
                    r.pick(&["00", "000", ".0", "e2"])
                )
            },
            NUMBERS,
        ),
        case(
            "numeric(2,4)",
            numeric(2, 4),
            |r| {
                let zeros = "0".repeat(r.below(4));
                format!(
                    "{}0.0{}{zeros}",
                    r.pick(&["", "-"]),
                    r.pick(&["0", "05", "012", "099", "0125", "1"])
                )
            },
            &["0.0099", "0.01", "0", "-0.0012"],
        ),
        case("price", numeric(6, 2), texts::small_decimal, NUMBERS),
        case("text", Type::Text, texts::text, &["", "\0", "a\0b"]),
        case(
            "varchar(3)",
            Type::Varchar(Some(3)),
            texts::text,
            &["abc ", "ä€😀", "   ", "    "],
        ),
        case("varchar", Type::Varchar(None), texts::text, &[""]),
        case(
            "char(5)",
            Type::Bpchar(Some(5)),
            texts::text,
            &["", "a ", "ä€😀ßx", "abcdef", "abcde "],
        ),
        case("bpchar", Type::Bpchar(None), texts::text, &["", "a  "]),
        case("name", Type::Name, texts::text, &["", &name_63, &name_64]),
        case("date", Type::Date, texts::date, DATES),
        case(
            "time",
            Type::Time(6),
            texts::time,
            &[
                "24:00:00.0",
                "12:34.5",
                "12:00:00Z",
                "1205",
                "12",
                "12:00 PM",
            ],
        ),
        case(
            "time(2)",
            Type::Time(2),
            texts::time,
            &["23:59:59.99", "23:59:59.995"],
        ),
        case(
            "timestamp",
            Type::Timestamp(6),
            texts::timestamp,
            TIMESTAMPS,
        ),
        case(
            "timestamp(3)",
            Type::Timestamp(3),
            texts::timestamp,
            TIMESTAMPS,
        ),
        case(
            "timestamptz",
            Type::Timestamptz {
                precision: 6,
                zone: None,
            },
            texts::timestamptz,
            TIMESTAMPTZS,
        ),
        case(
            "timestamptz(0)",
            Type::Timestamptz {
                precision: 0,
                zone: None,
            },
            texts::timestamptz,
            TIMESTAMPTZS,
        ),
        zoned,
        case("interval", Type::Interval(6), texts::interval, INTERVALS),
        case("interval(3)", Type::Interval(3), texts::interval, INTERVALS),
        case(
            "uuid",
            Type::Uuid,
            texts::uuid,
            &["", "{}", "00000000-0000-0000-0000-000000000000"],
        ),
        json,
        jsonb,
        case(
            "bytea",
            Type::Bytea,
            texts::bytea,
            &["", "\\x", "\\X00", "\\x0", "\\x 00", "\\"],
        ),
        case(
            "inet",
            Type::Inet,
            texts::inet,
            &[
                "::",
                "::/0",
                "0.0.0.0/0",
                "10.1",
                "1.2.3.4/",
                "::1%lo",
                "010.0.0.1",
                "1:2:3:4:5:6:7::",
                "::2:3:4:5:6:7:8",
                "::ffff:1.2.3.4",
            ],
        ),
        case(
            "cidr",
            Type::Cidr,
            texts::cidr,
            &[
                "::/0",
                "0.0.0.0/0",
                "10.1/16",
                "224.0.0.0",
                "224.0.0.0/4",
                "10.0.0.0",
                "1.2.3.4/24",
                "::1/127",
            ],
        ),
        case("state", Type::enumeration(labels), texts::label, &[]),
        case(
            "int4[]",
            Type::array(Type::Int4, 23),
            |r| texts::array(r, texts::integer),
            ARRAYS,
        ),
        case(
            "text[]",
            Type::array(Type::Text, 25),
            |r| texts::array(r, texts::text),
            ARRAYS,
        ),
        case(
            "varchar(3)[]",
            Type::array(Type::Varchar(Some(3)), 1043),
            |r| texts::array(r, texts::text),
            ARRAYS,
        ),
        case(
            "numeric(6,2)[]",
            Type::array(numeric(6, 2), 1700),
            |r| texts::array(r, texts::small_decimal),
            ARRAYS,
        ),
        case(
            "timestamp[]",
            Type::array(Type::Timestamp(6), 1114),
            |r| texts::array(r, texts::timestamp),
            ARRAYS,
        ),
        case(
            "bytea[]",
            Type::array(Type::Bytea, 17),
            |r| texts::array(r, texts::bytea),
            ARRAYS,
        ),
        case(
            "inet[]",
            Type::array(Type::Inet, 869),
            |r| texts::array(r, texts::inet),
            ARRAYS,
        ),
    ];
    for case in &mut cases {
        if matches!(
            case.sql,
            "varchar(3)[]"
                | "numeric(6,2)[]"
                | "timestamp[]"
                | "inet[]"
                | "time(2)"
                | "timestamptz(0)"
                | "price"
                | "varchar(3)"
                | "smallint"
                | "interval"
                | "interval(3)"
                | "numeric(2,4)"
                | "numeric(3,-2)"
        ) {
            case.accepted = 0.1;
        }
    }
    cases
}
