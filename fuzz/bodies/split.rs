//! Splitter and cutter of delimited text, in every dialect.

use super::input::{Input, Steps, Trickle};
use overnight::read::{Cutter, Dialect, Fields, Position, Shape, Splitter};

type Field = (Vec<u8>, bool);
type Outcome = Result<Vec<Field>, String>;

/// Everything that a caller can see of an object.
#[derive(Debug, PartialEq)]
struct Seen {
    header: Result<Option<Vec<String>>, String>,
    /// Record, line and byte of each, and its fields or what is wrong.
    records: Vec<([u64; 3], Outcome)>,
    end: Result<Position, String>,
    bytes: Vec<u8>,
}

/// However large the chunks are, and however the bytes come, the records and their places are the same.
pub fn split(data: &[u8]) {
    let mut input = Input::new(data);
    let dialect = input.dialect(Shape::Delimited);
    let (chunk_bytes, at_once) = (usize::from(input.byte()) + 1, usize::from(input.byte()) + 1);
    let text = input.rest();
    if dialect.check().is_err() {
        return;
    }
    let whole = see(text, &dialect, 1 << 22, usize::MAX);
    for (chunk_bytes, at_once) in [(chunk_bytes, at_once), (1, 1)] {
        let other = see(text, &dialect, chunk_bytes, at_once);
        assert_eq!(other, whole, "chunks of {chunk_bytes} in {dialect:?}");
    }
    assert!(whole.bytes.len() <= text.len());
}

fn see(text: &[u8], dialect: &Dialect, chunk_bytes: usize, at_once: usize) -> Seen {
    let mut steps = Steps::of(text.len(), 4);
    let mut splitter = Splitter::new(Trickle(text, at_once), dialect, chunk_bytes);
    let header = splitter.header().map_err(|error| error.to_string());
    let mut position = splitter.start();
    let mut seen = Seen {
        header,
        records: Vec::new(),
        end: Ok(position),
        bytes: Vec::new(),
    };
    loop {
        steps.take();
        let chunk = match splitter.next(Vec::new()) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                seen.end = Err(error.to_string());
                return seen;
            }
        };
        assert_eq!(chunk.byte, position.bytes);
        let mut cutter = Cutter::new(&chunk, dialect);
        let mut fields = Fields::default();
        while let Some((place, outcome)) = cutter.next(&mut fields) {
            steps.take();
            let cut = (0..fields.len()).map(|index| fields.get(index));
            let cut = cut.map(|(text, quoted)| (text.to_vec(), quoted)).collect();
            let outcome = outcome.map(|()| cut).map_err(|fault| fault.to_string());
            let place = [
                position.records + place.record,
                position.lines + place.line,
                position.bytes + place.byte,
            ];
            seen.records.push((place, outcome));
        }
        position.records += cutter.records();
        position.lines += cutter.lines();
        position.bytes += chunk.bytes.len() as u64;
        seen.bytes.extend_from_slice(&chunk.bytes);
    }
    seen.end = Ok(position);
    seen
}
