//! Leaves out the records behind the data: a fixed number of them, or from a certain line on.
//!
//! In: the chunks of a splitter. Out: the same chunks up to the footer. Which records are the last
//! ones is known at the end only, so that chunks are held back until those behind them hold as many
//! records as the footer has. What is handed out does not depend on where the chunks were cut.

use std::collections::VecDeque;

use super::delimited::{Cutter, Fields};
use super::dialect::Dialect;
use super::split::{Chunk, SplitError};

/// Chunks that may hold a part of the footer.
#[derive(Default)]
pub(super) struct Held {
    /// Each with its records, counted up to the number of the footer's.
    chunks: VecDeque<(Chunk, usize)>,
    /// The splitter has no more: at its end, or after an error that comes after the chunks.
    ended: Option<Option<SplitError>>,
}

impl Held {
    /// Takes a chunk that may be handed out.
    pub(super) fn ready(&mut self, footer: usize) -> Option<Chunk> {
        let behind = self.chunks.iter().skip(1).map(|(_, records)| records);
        if self.ended.is_some() || behind.sum::<usize>() >= footer {
            return self.chunks.pop_front().map(|(chunk, _)| chunk);
        }
        None
    }

    /// Once the splitter has no more and every chunk is taken: how it ended.
    pub(super) fn end(&mut self) -> Option<Result<(), SplitError>> {
        let ended = self.ended.as_mut()?;
        Some(ended.take().map_or(Ok(()), Err))
    }

    pub(super) fn hold(&mut self, chunk: Chunk, footer: usize, dialect: &Dialect) {
        let records = starts(&chunk, dialect).take(footer).count();
        self.chunks.push_back((chunk, records));
    }

    /// The splitter has no more: leaves out the last records.
    pub(super) fn finish(&mut self, footer: usize, dialect: &Dialect, error: Option<SplitError>) {
        let mut missing = footer;
        // From the back, and a chunk without a record goes with what is behind it.
        while missing > 0
            && let Some((mut chunk, _)) = self.chunks.pop_back()
        {
            let starts: Vec<u64> = starts(&chunk, dialect).collect();
            let stay = starts.len().saturating_sub(missing);
            missing -= starts.len() - stay;
            if let Some(first) = starts.get(stay) {
                chunk.bytes.truncate(*first as usize);
                self.chunks.push_back((chunk, 0));
            }
        }
        let error = error.or((missing > 0).then_some(SplitError::NoFooter {
            wanted: footer,
            found: footer - missing,
        }));
        self.ended = Some(error);
    }
}

/// Where the records of a chunk begin.
pub(super) fn starts(chunk: &Chunk, dialect: &Dialect) -> impl Iterator<Item = u64> {
    let mut cutter = Cutter::new(chunk, dialect);
    let mut fields = Fields::default();
    std::iter::from_fn(move || cutter.next(&mut fields).map(|(place, _)| place.byte))
}
