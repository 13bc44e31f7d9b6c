//! One JSON object a line.
//!
//! In: a text whose lines are objects. Out: a column for each key of the objects; what is nested stays
//! JSON. A string is never proposed as a number: whoever wrote it knew both.

use super::cells::{Cell, Form, Table};
use super::{Found, Note, Setting, counted, name, of, records};
use serde_json::Value;
use std::collections::BTreeMap;

/// Lines that must be objects before the text is taken for JSON.
const FIRST_LINES: usize = 20;

type Object = BTreeMap<String, Value>;

/// Says whether the first lines are objects.
pub fn is_json_lines(text: &[u8], whole: bool) -> bool {
    let (head, _) = records::head(text, whole, 4 << 20);
    let lines: Vec<&[u8]> = records::lines(head)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(FIRST_LINES)
        .collect();
    let objects = lines
        .iter()
        .filter(|line| line.starts_with(b"{") && object(line).is_some())
        .count();
    objects > 0 && objects * 10 >= lines.len() * 8
}

fn object(line: &[u8]) -> Option<Object> {
    serde_json::from_slice(line).ok()
}

/// Looks at every object.
pub fn find(text: &[u8], whole: bool) -> Found {
    let text = records::whole_lines(text, whole);
    let lines = || {
        records::lines(text)
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
    };
    let mut keys: Vec<String> = Vec::new();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    let (mut records, mut broken) = (0, 0);
    for line in lines() {
        records += 1;
        let Some(object) = in_order(line) else {
            broken += 1;
            continue;
        };
        for key in object {
            if !place.contains_key(&key) {
                place.insert(key.clone(), keys.len());
                keys.push(key);
            }
        }
    }
    let mut table = Table::new(keys.len());
    for line in lines() {
        let Some(object) = object(line) else { continue };
        let mut texts: Vec<Option<(Vec<u8>, Form)>> = vec![None; keys.len()];
        for (key, value) in &object {
            if let Some(at) = place.get(key) {
                texts[*at] = scalar(value);
            }
        }
        let cells: Vec<Cell> = texts
            .iter()
            .map(|text| Cell {
                text: text.as_ref().map(|(text, _)| text.as_slice()),
                form: text.as_ref().map_or(Form::Plain, |(_, form)| *form),
            })
            .collect();
        table.observe(&cells);
    }
    let note = Note::seen(format!(
        "{} are objects of JSON, with {} in all",
        of(records - broken, records),
        counted(keys.len() as u64, "key")
    ));
    Found {
        kind: "json_lines",
        records,
        rejected: broken,
        notes: vec![Note::seen(
            "what is nested stays JSON; a path such as `from = \"a.b[0].c\"` reaches into it",
        )],
        format: vec![Setting::new("kind", "json_lines", note)],
        names: name::of_paths(&keys.iter().map(|key| path(key)).collect::<Vec<_>>()),
        table,
        empty_is_null: false,
    }
}

/// The keys of an object as they come.
fn in_order(line: &[u8]) -> Option<Vec<String>> {
    struct Keys(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Keys;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Visit)
        }
    }
    serde_json::from_slice::<Keys>(line).ok().map(|keys| keys.0)
}

/// The text of a value; `None` for null.
fn scalar(value: &Value) -> Option<(Vec<u8>, Form)> {
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) => Some((value.to_string().into_bytes(), Form::Plain)),
        Value::String(text) => Some((text.clone().into_bytes(), Form::Text)),
        Value::Array(_) | Value::Object(_) => Some((Vec::from(b"{}"), Form::Nested)),
    }
}

/// A key as a path leads to it: one that holds what a path is cut at stands in brackets.
fn path(key: &str) -> String {
    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '"']);
    if plain {
        key.to_owned()
    } else {
        format!("[{}]", Value::from(key))
    }
}
