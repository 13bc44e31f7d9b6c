//! Fixed-width text to rows.

use super::input::Input;
use super::parsed::{plan, same_in_any_chunks};
use overnight::read::Shape;
use overnight::read::fixed_width::{Extent, FixedWidth, RecordType};
use std::sync::Arc;

pub fn fixed_width(data: &[u8]) {
    let mut input = Input::new(data);
    let extent = |input: &mut Input| Extent {
        start: usize::from(input.byte() % 24),
        length: usize::from(input.byte() % 8) + 1,
    };
    let fields = usize::from(input.byte() % 4) + 1;
    let layout = FixedWidth {
        extents: (0..fields).map(|_| extent(&mut input)).collect(),
        chars: input.byte() % 2 == 1,
        trim: input.byte() % 2 == 1,
        record_type: (input.byte() % 4 == 1).then(|| RecordType {
            extent: extent(&mut input),
            values: vec![b"A".to_vec(), b"10".to_vec()],
        }),
    };
    let dialect = input.dialect(Shape::FixedWidth(Arc::new(layout)));
    let dialect = overnight::read::Dialect {
        quote: None,
        ..dialect
    };
    let chunk_bytes = usize::from(input.byte()) + 1;
    let plan = plan(&mut input, dialect, fields);
    let text = input.rest();
    // Fields may lie over each other.
    same_in_any_chunks(text, &plan, chunk_bytes, text.len() * fields);
}
