//! JSON lines to rows, also with an array that is exploded.

use super::input::Input;
use super::parsed::{plan, same_in_any_chunks};
use overnight::read::json_lines::JsonLines;
use overnight::read::{Dialect, Encoding, Shape};
use std::sync::Arc;

/// Fields, and the array to explode.
const PATHS: [(Option<&str>, &[&str]); 5] = [
    (None, &["id", "name"]),
    (None, &["a.b[0].c", "a.b[1]", "[\"a.b\"].c", "a"]),
    (Some("items"), &["id", "items[].code", "items[].tags[0]"]),
    (Some("a.b"), &["a.b[]", "a.b[].c", "id"]),
    (None, &["[0]", "[1].a"]),
];

pub fn json_lines(data: &[u8]) {
    let mut input = Input::new(data);
    let (explode, paths) = input.choose(&PATHS);
    let as_json = input.byte();
    let mut taken = JsonLines::new(explode).expect("a path");
    for (index, path) in paths.iter().enumerate() {
        let as_json = as_json >> index & 1 == 1;
        taken.take(path, as_json).expect("a path");
    }
    let dialect = Dialect {
        quote: None,
        encoding: Encoding::Utf8,
        ..input.dialect(Shape::JsonLines(Arc::new(taken.finish())))
    };
    let chunk_bytes = usize::from(input.byte()) + 1;
    let plan = plan(&mut input, dialect, paths.len());
    let text = input.rest();
    // What stands beside an exploded array is in the rows of all its items.
    let lines = text.split(|byte| *byte == b'\n' || *byte == b'\r').count();
    let repeated = match explode {
        Some(_) => 17 * plan.dialect.max_record_bytes * lines,
        None => 0,
    };
    same_in_any_chunks(
        text,
        &plan,
        chunk_bytes,
        repeated + text.len() * paths.len(),
    );
}
