//! The records of a chunk, whatever they are cut into fields by.
//!
//! In: a chunk and the plan of its object. Out: for each record its place and its fields, or why it
//! has none. Chosen once for a chunk, so that what one format needs costs the others nothing.

use super::delimited::{CutFault, Cutter, Fields, Place};
use super::dialect::Shape;
use super::fixed_width::FixedCutter;
use super::json_lines::JsonCutter;
use super::parse::RowPlan;
use super::split::Chunk;

/// What a record became.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Fields,
    /// It belongs to another source, or holds nothing.
    Skipped,
    Fault(CutFault),
}

/// Cuts a chunk record by record.
pub(super) trait CutRecords<'c> {
    /// Cuts the next record into `fields` and returns where it begins, or `None` at the end.
    fn next(&mut self, fields: &mut Fields<'c>) -> Option<(Place, Cut)>;
    /// Records so far.
    fn records(&self) -> u64;
    /// Line ends so far.
    fn lines(&self) -> u64;
}

/// Delimited text with what its dialect adds to a record.
pub(super) struct DelimitedCutter<'c> {
    cutter: Cutter<'c>,
    trailing_delimiter: bool,
    pad_to: usize,
}

impl<'c> DelimitedCutter<'c> {
    pub(super) fn new(chunk: &'c Chunk, plan: &RowPlan) -> Self {
        DelimitedCutter {
            cutter: Cutter::new(chunk, &plan.dialect),
            trailing_delimiter: plan.dialect.trailing_delimiter,
            pad_to: match plan.dialect.pad_short {
                true => plan.fields,
                false => 0,
            },
        }
    }
}

impl<'c> CutRecords<'c> for DelimitedCutter<'c> {
    #[inline]
    fn next(&mut self, fields: &mut Fields<'c>) -> Option<(Place, Cut)> {
        let (place, outcome) = self.cutter.next(fields)?;
        let outcome = match self.trailing_delimiter {
            true => outcome.and_then(|()| fields.drop_trailing()),
            false => outcome,
        };
        if let Err(fault) = outcome {
            return Some((place, Cut::Fault(fault)));
        }
        while fields.len() < self.pad_to {
            fields.add_null();
        }
        Some((place, Cut::Fields))
    }

    fn records(&self) -> u64 {
        self.cutter.records()
    }

    fn lines(&self) -> u64 {
        self.cutter.lines()
    }
}

/// What is done with the records of a chunk.
pub(super) trait WithRecords {
    fn with<'c>(self, cutter: impl CutRecords<'c>);
}

/// Chooses the cutter of a plan.
pub(super) fn with_records(chunk: &Chunk, plan: &RowPlan, work: impl WithRecords) {
    match &plan.dialect.shape {
        Shape::Delimited => work.with(DelimitedCutter::new(chunk, plan)),
        Shape::FixedWidth(layout) => work.with(FixedCutter::new(chunk, &plan.dialect, layout)),
        Shape::JsonLines(paths) => work.with(JsonCutter::new(chunk, &plan.dialect, paths)),
    }
}

/// Tells the place of every record of a chunk.
pub fn each_place(chunk: &Chunk, plan: &RowPlan, each: impl FnMut(Place)) {
    struct Places<F>(F);
    impl<F: FnMut(Place)> WithRecords for Places<F> {
        fn with<'c>(mut self, mut cutter: impl CutRecords<'c>) {
            let mut fields = Fields::default();
            while let Some((place, _)) = cutter.next(&mut fields) {
                (self.0)(place);
            }
        }
    }
    with_records(chunk, plan, Places(each));
}
