//! Values as sources spell them: every form of `parse`, patterns, zones, lists, lookups, keys.

use super::input::Input;
use overnight::encode::Type;
use overnight::read::nulls::Nulls;
use overnight::read::value::{
    Buffers, Choice, KeyPattern, Number, Parse, Pattern, Sign, Step, Steps, Trim, Unit, Zone,
    file_name,
};
use std::collections::HashMap;
use std::sync::Arc;

const DATES: [&str; 5] = [
    "YYYYMMDD",
    "DD-MON-YYYY",
    "FMMM/FMDD/YYYY",
    "YYYYDDD",
    "MONTH DD, YYYY",
];
const TIMES: [&str; 4] = ["HH24:MI:SS", "HH24MI", "HH12:MI AM", "FMHH12:MI:SS.US P.M."];
const TIMESTAMPS: [&str; 3] = [
    "YYYY-MM-DD HH24:MI:SS",
    "YYYY-MM-DD\"T\"HH24:MI:SS.FF3TZH:TZM",
    "DD-MON-YYYY HH12:MI AM",
];

/// The form of a value, and the type that all its values have.
fn form(input: &mut Input) -> (Parse, Type) {
    let number = Number {
        thousands: input.choose(&[None, Some(b','), Some(b'.'), Some(b' ')]),
        point: input.choose(&[None, Some(b'.'), Some(b',')]),
        implied: usize::from(input.byte() % 5),
        sign: input.choose(&[Sign::Leading, Sign::Trailing, Sign::Overpunch]),
    };
    let pattern = |text: &str| Pattern::new(text, None).expect("a pattern");
    let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    let zoned = Type::Timestamptz {
        precision: 6,
        zone: None,
    };
    match input.byte() % 10 {
        0 => (Parse::Money, Type::Numeric(None)),
        1 => (Parse::Integer(number), Type::Numeric(None)),
        2 => (Parse::Decimal(number), Type::Numeric(None)),
        3 => (Parse::Percent(number), Type::Numeric(None)),
        4 => {
            let (yes, no) = (words(["Y", "yes"]), words(["N", "é"]));
            (Parse::Boolean { yes, no }, Type::Bool)
        }
        5 => (Parse::Date(pattern(input.choose(&DATES))), Type::Date),
        6 => (Parse::Time(pattern(input.choose(&TIMES))), Type::Time(6)),
        7 => {
            let text = input.choose(&TIMESTAMPS);
            let ty = if text.contains("TZH") {
                zoned
            } else {
                Type::Timestamp(6)
            };
            (Parse::Timestamp(pattern(text)), ty)
        }
        8 => {
            let pattern = input.choose(&[Some(TIMESTAMPS[0]), Some(TIMESTAMPS[2]), None]);
            let ty = if pattern.is_some() { zoned } else { Type::Text };
            let pattern = pattern.map(|text| Pattern::new(text, None).expect("a pattern"));
            let choices = [None, Some(Choice::Earlier), Some(Choice::Later)];
            let mut zone = Zone::new("New_York", &new_york()).expect("a zone");
            zone.ambiguous = input.choose(&choices);
            zone.skipped = input.choose(&choices);
            (Parse::Zoned { pattern, zone }, ty)
        }
        _ => {
            let units = [Unit::Seconds, Unit::Milliseconds, Unit::Microseconds];
            (Parse::Epoch(input.choose(&units)), Type::Timestamp(6))
        }
    }
}

/// A time zone file of version 2 whose only rule is its last line: RFC 8536, section 3.
fn new_york() -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..2 {
        file.extend_from_slice(b"TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        for count in [0, 0, 0, 0, 1, 4_u32] {
            file.extend_from_slice(&count.to_be_bytes());
        }
        file.extend_from_slice(&(-18_000_i32).to_be_bytes());
        file.extend_from_slice(b"\0\0EST\0");
    }
    file.extend_from_slice(b"\nEST5EDT,M3.2.0,M11.1.0\n");
    file
}

/// What a text goes through.
pub fn steps(input: &mut Input) -> Steps {
    let table = [("a", "1"), ("b", ""), ("é", "two")];
    let table: HashMap<Vec<u8>, Vec<u8>> = table
        .iter()
        .map(|(from, to)| (from.as_bytes().to_vec(), to.as_bytes().to_vec()))
        .collect();
    let lookup = Step::Lookup(Arc::new(table));
    let pad = |with| Step::Pad { with, to: 7 };
    let trims = [None, Some(Trim::Both), Some(Trim::Left), Some(Trim::Right)];
    let splits = [None, None, Some(";".to_owned()), Some(", ".to_owned())];
    let trim = input.choose(&trims);
    let split = input.choose(&splits);
    let mut each = Vec::new();
    for _ in 0..input.byte() % 3 {
        let parse = form(input).0;
        each.push(input.choose(&[
            Step::parse(parse),
            Step::Upper,
            Step::Lower,
            pad('0'),
            pad('é'),
            lookup.clone(),
        ]));
    }
    Steps { trim, split, each }
}

pub fn values(data: &[u8]) {
    let mut input = Input::new(data);
    let nulls = Nulls::new(vec![b"".to_vec(), b"NA".to_vec()]);
    let mut buffers = Buffers::default();
    match input.byte() % 4 {
        // One form: what it reads is a value of its type.
        0 => {
            let (parse, ty) = form(&mut input);
            let text = String::from_utf8_lossy(input.rest());
            let steps = Steps {
                each: vec![Step::parse(parse)],
                ..Steps::default()
            };
            let read = steps.apply(text.as_bytes(), &nulls, true, &mut buffers);
            if let Ok(Some(value)) = read
                && !value.contains(&0)
            {
                assert!(value.len() <= text.len() + 64);
                let encoded = ty.encode(value, &mut Vec::new());
                let value = String::from_utf8_lossy(value);
                assert!(encoded.is_ok(), "{steps:?} gives {value:?}, {encoded:?}");
            }
        }
        // Any steps.
        1 => {
            let steps = steps(&mut input);
            let text = String::from_utf8_lossy(input.rest());
            let read = steps.apply(text.as_bytes(), &nulls, true, &mut buffers);
            if let Ok(Some(value)) = read {
                assert!(std::str::from_utf8(value).is_ok());
                // Of an element a step can make so many bytes, and quotes stand around it.
                assert!(value.len() <= 64 * (text.len() + 1), "{steps:?}");
            }
        }
        // Any pattern: its first line; then a text for it.
        2 => {
            let pivot = input.choose(&[None, Some(30)]);
            let text = String::from_utf8_lossy(input.rest());
            let (pattern, text) = text.split_once('\n').unwrap_or((&text, ""));
            let Ok(pattern) = Pattern::new(pattern, pivot) else {
                return;
            };
            for parse in [
                Parse::Date(pattern.clone()),
                Parse::Time(pattern.clone()),
                Parse::Timestamp(pattern),
            ] {
                let steps = Steps {
                    each: vec![Step::parse(parse)],
                    ..Steps::default()
                };
                let _ = steps.apply(text.as_bytes(), &nulls, true, &mut buffers);
            }
        }
        // Any pattern of a key, and a key; any zone.
        _ => {
            let rest = input.rest();
            let _ = Zone::new("any", rest);
            let text = String::from_utf8_lossy(rest);
            let (pattern, key) = text.split_once('\n').unwrap_or((&text, ""));
            if let Ok(pattern) = KeyPattern::new(pattern)
                && let Some(part) = pattern.find(key)
            {
                assert!(key.contains(part));
            }
            assert!(key.ends_with(file_name(key)));
        }
    }
}
