//! A text cut into chunks and parsed, as a load does it; in one chunk and in many.

use super::encoders::types;
use super::input::{Input, Steps, Trickle};
use overnight::read::parse::{ColumnPlan, Reject, RowPlan, Scratch, parse};
use overnight::read::value::{Origin, Spelling};
use overnight::read::{Dialect, Splitter};
use std::sync::Arc;

/// Everything that becomes of a text.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    header: Option<Vec<String>>,
    rows: Vec<u8>,
    /// Rows, records, lines, rejected, skipped.
    counts: [u64; 5],
    rejected_records: Vec<u64>,
    rejects: Vec<Reject>,
    error: Option<String>,
}

/// A plan of so many columns, one for each field.
pub fn plan(input: &mut Input, dialect: Dialect, fields: usize) -> RowPlan {
    let columns = (0..fields).map(|field| ColumnPlan {
        name: format!("column_{field}"),
        field,
        not_null: input.byte() % 4 == 1,
        nulls: input
            .choose(&[&[""][..], &[], &["\\N", "NA"], &["", "."]])
            .iter()
            .map(|null| null.as_bytes().to_vec())
            .collect(),
        spelling: match input.byte() % 3 {
            0 => Some(Arc::new(Spelling {
                from: Origin::Field,
                null_quoted: input.byte().is_multiple_of(2),
                steps: super::values::steps(input),
            })),
            _ => None,
        },
        ty: input.choose(&types()),
    });
    let columns = columns.collect();
    RowPlan {
        dialect,
        fields,
        columns,
        faults: None,
    }
}

/// Parses a text in one chunk and in others: rows, rejects and places must be the same. `repeated`:
/// bytes that a format may repeat in other rows.
pub fn same_in_any_chunks(text: &[u8], plan: &RowPlan, chunk_bytes: usize, repeated: usize) {
    if plan.dialect.check().is_err() {
        return;
    }
    let whole = run(text, plan, 1 << 22, usize::MAX);
    for (chunk_bytes, at_once) in [(chunk_bytes, 7), (1, 1)] {
        let other = run(text, plan, chunk_bytes, at_once);
        assert_eq!(other, whole, "chunks of {chunk_bytes} of {plan:?}");
    }
    // Each value becomes at most its expansion of its text and one byte more.
    let expansion: f64 = plan
        .columns
        .iter()
        .map(|column| column.ty.expansion())
        .sum();
    let more: usize = plan.columns.iter().map(more_bytes).sum();
    let [_, records, ..] = whole.counts;
    let most = records as f64 * (2.0 + expansion * (more + 1) as f64)
        + expansion * 2.0 * (text.len() + repeated) as f64;
    // What a source spells its own way may be put into a column where it is longer.
    let most = match plan.columns.iter().all(|column| column.spelling.is_none()) {
        true => most,
        false => 64.0 * most,
    };
    let rows = whole.rows.len();
    assert!(
        rows as f64 <= most,
        "{rows} bytes of rows of {}",
        text.len()
    );
}

fn more_bytes(column: &ColumnPlan) -> usize {
    column.spelling.as_ref().map_or(0, |how| how.more_bytes())
}

fn run(text: &[u8], plan: &RowPlan, chunk_bytes: usize, at_once: usize) -> Parsed {
    let mut steps = Steps::of(text.len(), 4);
    let mut splitter = Splitter::new(Trickle(text, at_once), &plan.dialect, chunk_bytes);
    let mut all = Parsed::default();
    match splitter.header() {
        Ok(header) => all.header = header,
        Err(error) => {
            all.error = Some(error.to_string());
            return all;
        }
    }
    let mut position = splitter.start();
    let mut scratch = Scratch::default();
    loop {
        steps.take();
        let chunk = match splitter.next(Vec::new()) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return all,
            Err(error) => {
                all.error = Some(error.to_string());
                return all;
            }
        };
        // A little memory, so that it has to grow.
        let parsed = parse(&chunk, plan, vec![0; 8], &mut scratch);
        assert_eq!(
            parsed.records,
            parsed.row_count + parsed.rejected + parsed.skipped
        );
        (0..parsed.records).for_each(|_| steps.take());
        let before = all.counts[1];
        let records = parsed.rejected_records.iter().map(|record| before + record);
        all.rejected_records.extend(records);
        all.rejects
            .extend(parsed.rejects.into_iter().map(|reject| Reject {
                record: position.records + reject.record,
                line: position.lines + reject.line,
                byte: position.bytes + reject.byte,
                ..reject
            }));
        all.rows.extend(parsed.rows);
        let counts = [
            parsed.row_count,
            parsed.records,
            parsed.lines,
            parsed.rejected,
            parsed.skipped,
        ];
        for (sum, count) in all.counts.iter_mut().zip(counts) {
            *sum += count;
        }
        position.records += parsed.records;
        position.lines += parsed.lines;
        position.bytes += chunk.bytes.len() as u64;
    }
}
