//! Many sorted runs into one.
//!
//! In: runs in the file, in the order of their input. Out: their rows in order, in batches; of
//! equal keys that of the earlier run comes first. Memory is one block a run: where the runs are
//! too many for that, neighbours are merged into longer runs first (only neighbours: equal keys
//! would change places otherwise).
//!
//! The runs meet in a loser tree (Knuth, The Art of Computer Programming 3, 5.4.1): whoever wins
//! is replaced by the next row of its run, which meets only those that lost on the same way. Its
//! nodes hold the beginnings of keys, so a match seldom looks up a whole key.

use super::key::{BEYOND_ALL, SortKey};
use super::run::{Entry, Run, entry, number, prefix};
use super::spill::{BlockReader, RunPosition, RunWriter, Spill, SpilledRun};
use crate::encode::row::row_length;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;

/// Rows of several runs, in order.
pub struct Tree {
    key: SortKey,
    blocks: BlockReader,
    runs: Vec<Head>,
    /// The winner, and then at every node who lost there; the children of n are 2n and 2n + 1.
    nodes: Vec<Entry>,
}

/// The first row of a run that was not given out yet.
struct Head {
    at: RunPosition,
    block: Vec<u8>,
    row_start: usize,
    row_end: usize,
    key: Vec<u8>,
}

impl Tree {
    /// Reads the first block of every run.
    ///
    /// # Errors
    /// The disk does not work.
    pub fn new(runs: Vec<SpilledRun>, spill: &Arc<Spill>, key: &SortKey) -> Result<Tree> {
        let mut tree = Tree {
            key: key.clone(),
            blocks: BlockReader::new(Arc::clone(spill))?,
            runs: Vec::with_capacity(runs.len()),
            nodes: Vec::new(),
        };
        for run in runs {
            let mut head = Head {
                at: run.start(),
                block: Vec::new(),
                row_start: 0,
                row_end: 0,
                key: Vec::new(),
            };
            head.advance(&mut tree.blocks, key)?;
            tree.runs.push(head);
        }
        // Every row enters as a leaf; the winner of each match goes on to the node above.
        let count = tree.runs.len();
        let first_entry = |(number, head): (u32, &Head)| entry(&head.key, 0, number);
        let mut winners = vec![0; count];
        winners.extend((0..).zip(&tree.runs).map(first_entry));
        tree.nodes = vec![0; count];
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = match tree.is_before(left, right) {
                true => (left, right),
                false => (right, left),
            };
            (winners[node], tree.nodes[node]) = (winner, loser);
        }
        if let (Some(top), Some(winner)) = (tree.nodes.first_mut(), winners.get(1)) {
            *top = *winner;
        }
        Ok(tree)
    }

    /// The next row; None after the last.
    #[inline]
    pub fn row(&self) -> Option<&[u8]> {
        let head = self.runs.get(number(*self.nodes.first()?) as usize)?;
        let row = head.block.get(head.row_start..head.row_end)?;
        (!row.is_empty()).then_some(row)
    }

    /// Goes on to the row after it.
    ///
    /// # Errors
    /// The disk does not work.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        let Some(winner) = self.nodes.first() else {
            return Ok(());
        };
        let run = number(*winner);
        let head = &mut self.runs[run as usize];
        head.advance(&mut self.blocks, &self.key)?;
        let mut winner = entry(&head.key, 0, run);
        let mut node = (run as usize + self.runs.len()) / 2;
        while node > 0 {
            let loser = self.nodes[node];
            if self.is_before(loser, winner) {
                self.nodes[node] = winner;
                winner = loser;
            }
            node /= 2;
        }
        self.nodes[0] = winner;
        Ok(())
    }

    #[inline]
    fn is_before(&self, left: Entry, right: Entry) -> bool {
        if prefix(left) != prefix(right) {
            return left < right;
        }
        let key = |entry: Entry| &self.runs[number(entry) as usize].key;
        key(left)
            .cmp(key(right))
            .then(number(left).cmp(&number(right)))
            .is_lt()
    }
}

impl Head {
    /// Finds the next row and its key. A run that is over has a key beyond all others, and an
    /// empty row.
    #[inline]
    fn advance(&mut self, blocks: &mut BlockReader, key: &SortKey) -> Result<()> {
        self.key.clear();
        self.row_start = self.row_end;
        if self.row_start == self.block.len() {
            (self.row_start, self.row_end) = (0, 0);
            if !blocks.next(&mut self.at, &mut self.block)? {
                self.block = Vec::new();
                self.key.push(BEYOND_ALL);
                return Ok(());
            }
        }
        let row = &self.block[self.row_start..];
        let length = row_length(row).context("a sorted block does not hold whole rows")?;
        self.row_end = self.row_start + length;
        key.write(row, &mut self.key);
        Ok(())
    }
}

/// Merges neighbours until at most `fan_in` runs are left, and returns how many merges that took.
/// Whichever neighbours are smallest go first, so that no row is moved more often than needed.
///
/// # Errors
/// The disk is full or does not work.
pub(super) fn reduce(
    runs: &mut Vec<SpilledRun>,
    fan_in: usize,
    spill: &Arc<Spill>,
    key: &SortKey,
    block_bytes: usize,
) -> Result<u64> {
    let fan_in = fan_in.max(2);
    let mut merges = 0;
    while runs.len() > fan_in {
        let count = fan_in.min(runs.len() - fan_in + 1);
        let bytes = |runs: &[SpilledRun]| runs.iter().map(|run| run.raw_bytes).sum::<u64>();
        let smallest = (0..=runs.len() - count)
            .min_by_key(|start| bytes(&runs[*start..start + count]))
            .unwrap_or(0);
        let chosen: Vec<_> = runs.drain(smallest..smallest + count).collect();
        let rows: u64 = chosen.iter().map(|run| run.rows).sum();
        let mut tree = Tree::new(chosen, spill, key)?;
        let mut writer = RunWriter::new(Arc::clone(spill), block_bytes)?;
        while let Some(row) = tree.row() {
            writer.push(row)?;
            tree.advance()?;
        }
        let merged = writer.finish()?;
        check_rows(merged.rows, rows)?;
        runs.insert(smallest, merged);
        merges += 1;
    }
    Ok(merges)
}

/// All rows in order.
pub struct Merge {
    input: Input,
    batch_bytes: usize,
    /// To come out in all, and so far.
    rows: u64,
    rows_out: u64,
}

enum Input {
    /// One run that was never written, and the next row of it.
    Memory(Run, usize),
    File(Tree),
}

impl Merge {
    pub(super) fn of_run(run: Run, batch_bytes: usize) -> Merge {
        Merge {
            rows: run.rows() as u64,
            rows_out: 0,
            batch_bytes,
            input: Input::Memory(run, 0),
        }
    }

    pub(super) fn of_tree(tree: Tree, rows: u64, batch_bytes: usize) -> Merge {
        Merge {
            rows,
            rows_out: 0,
            batch_bytes,
            input: Input::File(tree),
        }
    }

    /// Returns the next rows, at most `batch_bytes` or one row, and how many they are; None after
    /// the last. `reuse` is any buffer that is no longer needed. Blocks on the disk.
    ///
    /// # Errors
    /// The disk does not work, or rows are missing at the end.
    pub fn next(&mut self, reuse: Vec<u8>) -> Result<Option<(Vec<u8>, u64)>> {
        let mut out = reuse;
        out.clear();
        out.reserve(self.batch_bytes);
        let mut rows = 0;
        while let Some(row) = self.input.row() {
            if out.len() + row.len() > self.batch_bytes && !out.is_empty() {
                break;
            }
            out.extend_from_slice(row);
            rows += 1;
            self.input.advance()?;
        }
        self.rows_out += rows;
        if rows == 0 {
            check_rows(self.rows_out, self.rows)?;
            return Ok(None);
        }
        Ok(Some((out, rows)))
    }
}

impl Input {
    #[inline]
    fn row(&self) -> Option<&[u8]> {
        match self {
            Input::Memory(run, next) => (*next < run.rows()).then(|| run.row(*next)),
            Input::File(tree) => tree.row(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        match self {
            Input::Memory(_, next) => {
                *next += 1;
                Ok(())
            }
            Input::File(tree) => tree.advance(),
        }
    }
}

fn check_rows(came: u64, expected: u64) -> Result<()> {
    ensure!(
        came == expected,
        "{expected} rows were to be merged, and {came} came"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rows_for_tests::Rows;
    use super::super::run::sort_run;
    use super::*;
    use proptest::prelude::*;

    fn spilled(rows: &Rows, rows_a_run: usize, spill: &Arc<Spill>) -> Vec<SpilledRun> {
        rows.pieces(rows_a_run)
            .map(|piece| {
                let run = sort_run(piece.batches(3), piece.len() as u64, &piece.key()).unwrap();
                run.spill(spill, 64).unwrap()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn merged_runs_are_a_stable_sort(
            rows in Rows::any(0..80), rows_a_run in 1_usize..20, fan_in in 2_usize..9
        ) {
            let folder = tempfile::tempdir().unwrap();
            let spill = Arc::new(Spill::create(folder.path()).unwrap());
            let mut runs = spilled(&rows, rows_a_run, &spill);
            let many = runs.len() > fan_in;
            let merges = reduce(&mut runs, fan_in, &spill, &rows.key(), 64).unwrap();
            prop_assert!(runs.len() <= fan_in);
            prop_assert_eq!(merges > 0, many);
            let tree = Tree::new(runs, &spill, &rows.key()).unwrap();
            let mut merge = Merge::of_tree(tree, rows.len() as u64, 100);
            let (mut all, mut count) = (Vec::new(), 0);
            while let Some((batch, rows)) = merge.next(vec![1; 5]).unwrap() {
                all.extend_from_slice(&batch);
                count += rows;
            }
            prop_assert_eq!(count, rows.len() as u64);
            prop_assert_eq!(all, rows.sorted().concat());
        }
    }

    #[test]
    fn a_missing_run_is_an_error_at_the_end() {
        let rows = Rows::counting(50);
        let folder = tempfile::tempdir().unwrap();
        let spill = Arc::new(Spill::create(folder.path()).unwrap());
        let mut runs = spilled(&rows, 10, &spill);
        runs.pop();
        let tree = Tree::new(runs, &spill, &rows.key()).unwrap();
        let mut merge = Merge::of_tree(tree, 50, 1 << 20);
        assert_eq!(merge.next(Vec::new()).unwrap().unwrap().1, 40);
        assert!(merge.next(Vec::new()).is_err());
    }
}
