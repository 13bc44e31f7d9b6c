//! Delimited text to rows.

use super::input::Input;
use super::parsed::{plan, same_in_any_chunks};
use overnight::read::Shape;

pub fn delimited(data: &[u8]) {
    let mut input = Input::new(data);
    let dialect = input.dialect(Shape::Delimited);
    let chunk_bytes = usize::from(input.byte()) + 1;
    let fields = usize::from(input.byte() % 4) + 1;
    let plan = plan(&mut input, dialect, fields);
    same_in_any_chunks(input.rest(), &plan, chunk_bytes, 0);
}
