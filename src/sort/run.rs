//! One run: as many rows as memory takes, put in order.
//!
//! In: batches of encoded rows. Out: the same batches, and the order of their rows; a row moves
//! only when it is written out. Rows that came in order keep no index but where they begin.
//!
//! Rows are sorted as integers: 12 bytes of their keys above the row's number, so that equal keys
//! keep the order in which they came. Only rows that share these bytes are looked at again, with
//! the next 12 bytes of their keys.

use super::key::SortKey;
use super::order::ChunkOrder;
use super::spill::{RunWriter, Spill, SpilledRun};
use crate::encode::row::row_length;
use anyhow::{Result, bail};
use std::sync::Arc;

/// Bytes of a key that an [`Entry`] holds.
pub(super) const PREFIX_BYTES: usize = 12;
const NUMBER_BITS: u32 = 32;
/// Times that the next bytes of keys are looked at; keys that are equal for longer are compared.
const LEVELS: usize = 4;

/// What a run takes for a row besides the row's bytes.
pub(super) const INDEX_BYTES: usize = size_of::<Entry>() + size_of::<Start>();

/// Bytes of a key above the number of a row (or of a run).
pub(super) type Entry = u128;

/// The entry of `key` from the byte `skip` on.
#[inline]
pub(super) fn entry(key: &[u8], skip: usize, number: u32) -> Entry {
    let key = key.get(skip..).unwrap_or_default();
    let mut bytes = [0; 16];
    if let Some(prefix) = key.first_chunk::<PREFIX_BYTES>() {
        bytes[..PREFIX_BYTES].copy_from_slice(prefix);
    } else {
        // Keys end themselves, so a zero after the end of one makes no two alike.
        bytes[..key.len()].copy_from_slice(key);
    }
    u128::from_be_bytes(bytes) | u128::from(number)
}

/// The bytes of the key in an entry.
#[inline]
pub(super) fn prefix(entry: Entry) -> u128 {
    entry >> NUMBER_BITS
}

/// The number in an entry.
#[inline]
pub(super) fn number(entry: Entry) -> u32 {
    entry as u32
}

/// Rows in memory and their order.
#[derive(Debug)]
pub struct Run {
    batches: Vec<Vec<u8>>,
    /// Of every row, in the order in which they came, and of the row that would follow.
    starts: Vec<Start>,
    /// Sorted; empty if the rows came in order.
    entries: Vec<Entry>,
    order: ChunkOrder,
}

/// Where a row begins.
#[derive(Debug, Clone, Copy)]
struct Start {
    batch: u32,
    offset: u32,
}

/// Sorts `rows` rows, which are all that the batches hold.
///
/// # Errors
/// The bytes are not that many whole rows.
pub fn sort_run(batches: Vec<Vec<u8>>, rows: u64, key: &SortKey) -> Result<Run> {
    let (Ok(count), Ok(_)) = (usize::try_from(rows), u32::try_from(rows)) else {
        bail!("one run cannot sort {rows} rows");
    };
    let mut run = Run {
        batches,
        starts: Vec::with_capacity(count + 1),
        entries: Vec::with_capacity(count),
        order: ChunkOrder::default(),
    };
    let mut row_key = Vec::new();
    let mut longest = 0;
    for (batch, bytes) in (0..).zip(&run.batches) {
        let mut offset = 0;
        while offset < bytes.len() {
            let row = &bytes[offset..];
            let (Some(length), Ok(start)) = (row_length(row), u32::try_from(offset)) else {
                bail!("the encoded rows to sort are broken at byte {offset} of a batch");
            };
            row_key.clear();
            key.write(row, &mut row_key);
            run.order.note(&row_key);
            longest = longest.max(row_key.len());
            run.entries
                .push(entry(&row_key, 0, run.starts.len() as u32));
            run.starts.push(Start {
                batch,
                offset: start,
            });
            offset += length;
        }
    }
    if run.starts.len() != count {
        bail!(
            "{rows} rows were to be sorted, and {} came",
            run.starts.len()
        );
    }
    let batch = run.batches.len() as u32;
    run.starts.push(Start { batch, offset: 0 });
    if run.order.order().is_sorted() {
        run.entries = Vec::new();
    } else {
        let mut entries = std::mem::take(&mut run.entries);
        Sorting {
            run: &run,
            key,
            longest,
        }
        .level(&mut entries, 0);
        run.entries = entries;
    }
    Ok(run)
}

/// What sorting looks up.
struct Sorting<'r> {
    run: &'r Run,
    key: &'r SortKey,
    /// Bytes of the longest key.
    longest: usize,
}

impl Sorting<'_> {
    /// Sorts rows whose keys are equal before the prefixes in `entries`, that of `level`.
    fn level(&self, entries: &mut [Entry], level: usize) {
        entries.sort_unstable();
        let compared = (level + 1) * PREFIX_BYTES;
        if self.longest <= compared {
            return;
        }
        for group in entries.chunk_by_mut(|a, b| prefix(*a) == prefix(*b)) {
            if group.len() == 1 {
            } else if level + 1 == LEVELS {
                self.compare(group);
            } else if self.load(group, compared) {
                self.level(group, level + 1);
            }
        }
    }

    /// Puts the bytes of the keys from `skip` on into the entries; says whether there are any.
    fn load(&self, entries: &mut [Entry], skip: usize) -> bool {
        let mut key = Vec::new();
        let mut any = false;
        for slot in entries {
            let row = number(*slot);
            key.clear();
            self.key.write(self.run.input_row(row as usize), &mut key);
            any |= key.len() > skip;
            *slot = entry(&key, skip, row);
        }
        any
    }

    fn compare(&self, entries: &mut [Entry]) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        entries.sort_unstable_by(|a, b| {
            left.clear();
            right.clear();
            self.key
                .write(self.run.input_row(number(*a) as usize), &mut left);
            self.key
                .write(self.run.input_row(number(*b) as usize), &mut right);
            left.cmp(&right).then(number(*a).cmp(&number(*b)))
        });
    }
}

impl Run {
    /// Rows in the run.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Takes out how the rows came.
    pub fn take_order(&mut self) -> ChunkOrder {
        std::mem::take(&mut self.order)
    }

    /// The row that is the `index`th in order.
    #[inline]
    pub fn row(&self, index: usize) -> &[u8] {
        match self.entries.get(index) {
            Some(entry) => self.input_row(number(*entry) as usize),
            None => self.input_row(index),
        }
    }

    /// The row that came as the `index`th.
    #[inline]
    fn input_row(&self, index: usize) -> &[u8] {
        let (start, next) = (self.starts[index], self.starts[index + 1]);
        let batch = &self.batches[start.batch as usize];
        // The next row's start spares looking for the end, which would wait for the row's bytes.
        let end = match next.batch == start.batch {
            true => next.offset as usize,
            false => batch.len(),
        };
        &batch[start.offset as usize..end]
    }

    /// Writes the run out, in blocks of about `block_bytes`.
    ///
    /// # Errors
    /// The disk is full or does not work.
    pub fn spill(self, spill: &Arc<Spill>, block_bytes: usize) -> Result<SpilledRun> {
        let mut writer = RunWriter::new(Arc::clone(spill), block_bytes)?;
        for index in 0..self.rows() {
            writer.push(self.row(index))?;
        }
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows_for_tests::{Rows, numbers, rows_of};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_in_order_keep_no_index() {
        let batches = vec![rows_of(&[1, 2]), Vec::new(), rows_of(&[2, 7])];
        let run = sort_run(batches.clone(), 4, &numbers()).unwrap();
        assert!(run.entries.is_empty());
        let out: Vec<u8> = (0..run.rows()).flat_map(|i| run.row(i).to_vec()).collect();
        assert_eq!(out, batches.concat());
    }

    #[test]
    fn rows_are_counted() {
        assert!(sort_run(vec![rows_of(&[1, 2])], 3, &numbers()).is_err());
        assert!(sort_run(vec![rows_of(&[1, 2])], 1, &numbers()).is_err());
        assert!(sort_run(vec![vec![0, 1, 0]], 1, &numbers()).is_err());
        assert_eq!(sort_run(Vec::new(), 0, &numbers()).unwrap().rows(), 0);
    }

    proptest! {
        // Keys that share far more bytes than an entry holds, and keys that are equal.
        #[test]
        fn a_run_is_a_stable_sort(rows in Rows::any(0..60)) {
            let run = sort_run(rows.batches(7), rows.len() as u64, &rows.key()).unwrap();
            let sorted: Vec<Vec<u8>> = (0..run.rows()).map(|i| run.row(i).to_vec()).collect();
            prop_assert_eq!(sorted, rows.sorted());
        }
    }
}
