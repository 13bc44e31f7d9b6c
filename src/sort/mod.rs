//! Sorting encoded rows in bounded memory, for a source that declares `order_by`.
//!
//! In: batches of encoded rows of one table, in the order of its files. Out: the same rows in the
//! order of a key, equal keys as they came. Rows are gathered into runs ([`RunJob`]), each sorted
//! and written to a file without a name, and the runs are merged ([`Merge`]). What fits one run
//! never touches the disk.
//!
//! Nothing here starts a thread or waits for one: the caller runs each [`RunJob`] where it
//! computes, and pulls the [`Merge`] from a thread that may block on the disk.

mod key;
mod merge;
mod order;
#[cfg(test)]
mod rows_for_tests;
mod run;
mod spill;

pub use key::{KeyError, SortKey};
pub use merge::Merge;
pub use order::{ChunkOrder, Order, OrderWatch};
pub use run::{Run, sort_run};
pub use spill::{Spill, SpillError, SpilledRun};

use anyhow::{Result, ensure};
use run::INDEX_BYTES;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a block of rows, between these. Smaller ones compress worse and are read with a seek
/// each; larger ones gain nothing.
const MIN_BLOCK_BYTES: usize = 16 * 1024;
const MAX_BLOCK_BYTES: usize = 256 * 1024;
/// Runs to make room for when the caller does not know how many bytes will come.
const ASSUMED_RUNS: usize = 512;
/// What a run takes in a merge besides its block: its key, its places in the file.
const HEAD_BYTES: usize = 1024;
/// What writing a run takes besides its rows: the compressor and its buffers.
const WRITER_BYTES: usize = 2 * 1024 * 1024;

/// How to sort one table.
#[derive(Debug, Clone)]
pub struct SortSettings {
    /// Most memory for rows and their order, in all jobs together, and then in the merge.
    pub memory_bytes: usize,
    /// Jobs that the caller runs at once, at most; one more run is gathered meanwhile.
    pub jobs: usize,
    /// About how many bytes of encoded rows will come; 0 if that is not known. With more to come,
    /// blocks are smaller, so that all runs can be merged at once.
    pub expected_bytes: u64,
    /// Where the file goes; it must exist.
    pub directory: PathBuf,
}

/// Gathers rows into runs, and finally merges them.
pub struct Sorter {
    key: Arc<SortKey>,
    settings: SortSettings,
    block_bytes: usize,
    /// Made when memory is first full.
    spill: Option<Arc<Spill>>,
    gathered: Vec<Vec<u8>>,
    gathered_rows: u64,
    gathered_bytes: usize,
    /// Jobs handed out so far.
    jobs: u32,
    rows: u64,
    done: Vec<SortedRun>,
}

/// Sorts one run: a pure computation, and a write at its end.
pub struct RunJob {
    key: Arc<SortKey>,
    number: u32,
    batches: Vec<Vec<u8>>,
    rows: u64,
    /// None: the run stays in memory.
    spill: Option<Arc<Spill>>,
    block_bytes: usize,
}

/// What a [`RunJob`] made.
#[derive(Debug)]
pub struct SortedRun {
    number: u32,
    order: ChunkOrder,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Run),
    File(SpilledRun),
}

/// What sorting one table took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortReport {
    pub runs: u64,
    /// How the rows came.
    pub order: Order,
    /// Rows that went through the file, in bytes before and after compression; 0 if none did.
    pub spilled_bytes: u64,
    pub file_bytes: u64,
    /// Merges of some runs into a longer one, because there were too many for one merge.
    pub early_merges: u64,
}

impl Sorter {
    /// A sorter without rows.
    pub fn new(key: SortKey, settings: SortSettings) -> Sorter {
        let mut this = Sorter {
            key: Arc::new(key),
            block_bytes: 0,
            settings,
            spill: None,
            gathered: Vec::new(),
            gathered_rows: 0,
            gathered_bytes: 0,
            jobs: 0,
            rows: 0,
            done: Vec::new(),
        };
        let expected = this.settings.expected_bytes / this.run_bytes() as u64;
        let runs = match usize::try_from(expected) {
            Ok(0) => ASSUMED_RUNS,
            // Half as many more: memory holds the index too, and whole batches do not fill it.
            Ok(runs) => runs + runs / 2 + 1,
            Err(_) => usize::MAX,
        };
        this.block_bytes = (this.settings.memory_bytes / runs)
            .saturating_sub(HEAD_BYTES)
            .clamp(MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
        this
    }

    /// Bytes of rows and index that make one run. One larger batch is a run of its own.
    pub fn run_bytes(&self) -> usize {
        let share = self.settings.memory_bytes / (self.settings.jobs + 1);
        share.saturating_sub(WRITER_BYTES).max(share / 4).max(1)
    }

    /// Bytes that are gathered for the next run, the index that it will need included.
    pub fn gathered_bytes(&self) -> usize {
        self.gathered_bytes
    }

    /// Takes the batch that comes next, of so many rows. When memory is full, returns the run
    /// gathered before it, to be run anywhere and brought back by [`Sorter::add`].
    ///
    /// # Errors
    /// The directory for the file is not there or not writable.
    pub fn push(&mut self, batch: Vec<u8>, rows: u64) -> Result<Option<RunJob>, SpillError> {
        if rows == 0 && batch.is_empty() {
            return Ok(None);
        }
        let index = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .saturating_mul(INDEX_BYTES);
        let bytes = batch.len().saturating_add(index);
        let full = self.gathered_bytes.saturating_add(bytes) > self.run_bytes();
        let job = match full && !self.gathered.is_empty() {
            true => {
                let spill = self.spill()?;
                Some(self.job(Some(spill)))
            }
            false => None,
        };
        self.gathered.push(batch);
        self.gathered_rows += rows;
        self.gathered_bytes += bytes;
        Ok(job)
    }

    /// Returns the last run, if rows are left. The only run there is stays in memory.
    pub fn finish(&mut self) -> Option<RunJob> {
        let spill = self.spill.clone();
        (!self.gathered.is_empty()).then(|| self.job(spill))
    }

    /// Takes back what a job made, in any order.
    pub fn add(&mut self, run: SortedRun) {
        self.done.push(run);
    }

    /// Merges all runs into batches of at most `batch_bytes`, or of one row that is larger. Blocks
    /// on the disk, for long if there are too many runs for the memory.
    ///
    /// # Errors
    /// A run was not brought back; the disk is full or does not work.
    pub fn merge(mut self, batch_bytes: usize) -> Result<(Merge, SortReport)> {
        ensure!(
            self.gathered.is_empty() && self.done.len() == self.jobs as usize,
            "not every run was sorted before the merge"
        );
        self.done.sort_by_key(|run| run.number);
        let mut watch = OrderWatch::default();
        let mut report = SortReport {
            runs: self.done.len() as u64,
            order: Order::default(),
            spilled_bytes: 0,
            file_bytes: 0,
            early_merges: 0,
        };
        let mut in_file = Vec::new();
        let mut in_memory = None;
        for run in self.done {
            watch.add(run.order);
            match run.place {
                Place::File(run) => in_file.push(run),
                Place::Memory(run) => in_memory = Some(run),
            }
        }
        report.order = watch.order();
        ensure!(
            report.order.rows == self.rows,
            "{} rows were to be sorted, and {} were",
            self.rows,
            report.order.rows
        );
        let Some(spill) = self.spill else {
            let run = match in_memory {
                Some(run) => run,
                None => sort_run(Vec::new(), 0, &self.key)?,
            };
            return Ok((Merge::of_run(run, batch_bytes), report));
        };
        report.spilled_bytes = in_file.iter().map(|run| run.raw_bytes).sum();
        let fan_in = self.settings.memory_bytes / (self.block_bytes + HEAD_BYTES);
        report.early_merges =
            merge::reduce(&mut in_file, fan_in, &spill, &self.key, self.block_bytes)?;
        report.file_bytes = spill.bytes();
        let tree = merge::Tree::new(in_file, &spill, &self.key)?;
        Ok((Merge::of_tree(tree, self.rows, batch_bytes), report))
    }

    fn spill(&mut self) -> Result<Arc<Spill>, SpillError> {
        if let Some(spill) = &self.spill {
            return Ok(Arc::clone(spill));
        }
        let spill = Arc::new(Spill::create(&self.settings.directory)?);
        Ok(Arc::clone(self.spill.insert(spill)))
    }

    fn job(&mut self, spill: Option<Arc<Spill>>) -> RunJob {
        let number = self.jobs;
        let rows = std::mem::take(&mut self.gathered_rows);
        self.jobs += 1;
        self.rows += rows;
        self.gathered_bytes = 0;
        RunJob {
            key: Arc::clone(&self.key),
            number,
            batches: std::mem::take(&mut self.gathered),
            rows,
            spill,
            block_bytes: self.block_bytes,
        }
    }
}

impl RunJob {
    /// Bytes of the rows.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }

    /// Sorts the run and writes it, if it cannot stay in memory.
    ///
    /// # Errors
    /// The bytes are not rows; the disk is full or does not work.
    pub fn run(self) -> Result<SortedRun> {
        let mut run = sort_run(self.batches, self.rows, &self.key)?;
        let order = run.take_order();
        let place = match &self.spill {
            Some(spill) => Place::File(run.spill(spill, self.block_bytes)?),
            None => Place::Memory(run),
        };
        Ok(SortedRun {
            number: self.number,
            order,
            place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::rows_for_tests::Rows;
    use super::*;
    use proptest::prelude::*;

    struct Sorted {
        rows: Vec<u8>,
        report: SortReport,
        largest_batch: usize,
    }

    fn sort(rows: &Rows, rows_a_batch: usize, memory_bytes: usize, directory: PathBuf) -> Sorted {
        let settings = SortSettings {
            memory_bytes,
            jobs: 1,
            expected_bytes: 0,
            directory,
        };
        let mut sorter = Sorter::new(rows.key(), settings);
        let mut jobs = Vec::new();
        for piece in rows.pieces(rows_a_batch) {
            let batch = piece.batches(piece.len()).concat();
            jobs.extend(sorter.push(batch, piece.len() as u64).unwrap());
        }
        jobs.extend(sorter.finish());
        // As they would come from several threads.
        for job in jobs.into_iter().rev() {
            sorter.add(job.run().unwrap());
        }
        let (mut merge, report) = sorter.merge(300).unwrap();
        let (mut sorted, mut largest_batch) = (Vec::new(), 0);
        while let Some((batch, _)) = merge.next(Vec::new()).unwrap() {
            largest_batch = largest_batch.max(batch.len());
            sorted.extend(batch);
        }
        Sorted {
            rows: sorted,
            report,
            largest_batch,
        }
    }

    proptest! {
        #[test]
        fn sorting_in_any_memory_is_a_stable_sort(
            rows in Rows::any(0..200), rows_a_batch in 1_usize..30, memory_bytes in 0_usize..120_000
        ) {
            let folder = tempfile::tempdir().unwrap();
            let sorted = sort(&rows, rows_a_batch, memory_bytes, folder.path().to_owned());
            prop_assert_eq!(&sorted.rows, &rows.sorted().concat());
            prop_assert!(sorted.largest_batch <= 300 || rows.largest() > 300);
            let report = sorted.report;
            prop_assert_eq!(report.order.rows, rows.len() as u64);
            prop_assert_eq!(report.order.is_sorted(), rows.sorted() == rows.in_input_order());
            let spilled = if report.runs > 1 { sorted.rows.len() as u64 } else { 0 };
            prop_assert_eq!(report.spilled_bytes, spilled);
        }
    }

    #[test]
    fn what_fits_one_run_needs_no_directory() {
        let nowhere = PathBuf::from("/nowhere/at/all");
        let rows = Rows::counting(1000);
        let sorted = sort(&rows, 10, 64 << 20, nowhere.clone());
        assert_eq!(sorted.rows, rows.sorted().concat());
        assert_eq!((sorted.report.runs, sorted.report.file_bytes), (1, 0));
        assert_eq!(sort(&Rows::counting(0), 10, 0, nowhere).report.runs, 0);
    }

    #[test]
    fn little_memory_takes_more_merges() {
        let folder = tempfile::tempdir().unwrap();
        let rows = Rows::counting(3000);
        let sorted = sort(&rows, 20, 40_000, folder.path().to_owned());
        assert_eq!(sorted.rows, rows.sorted().concat());
        assert!(sorted.report.early_merges > 2, "{:?}", sorted.report);
        assert!(sorted.report.order.descents > 0);
    }

    #[test]
    fn a_run_that_is_not_brought_back_is_noticed() {
        let settings = SortSettings {
            memory_bytes: 1 << 20,
            jobs: 1,
            expected_bytes: 0,
            directory: PathBuf::new(),
        };
        let rows = Rows::counting(3);
        let mut sorter = Sorter::new(rows.key(), settings.clone());
        sorter.push(rows.batches(3).concat(), 3).unwrap();
        assert!(sorter.merge(100).is_err());
        let mut sorter = Sorter::new(rows.key(), settings);
        sorter.push(rows.batches(3).concat(), 3).unwrap();
        assert!(sorter.finish().is_some());
        assert!(sorter.merge(100).is_err());
    }

    #[test]
    fn large_loads_get_small_blocks() {
        let block_bytes = |expected_bytes| {
            let settings = SortSettings {
                memory_bytes: 64 << 20,
                jobs: 2,
                expected_bytes,
                directory: PathBuf::new(),
            };
            Sorter::new(Rows::counting(0).key(), settings).block_bytes
        };
        assert_eq!(block_bytes(1 << 30), MAX_BLOCK_BYTES);
        // 250 million rows of 220 bytes are still merged at once.
        let block = block_bytes(55_000_000_000);
        assert!((MIN_BLOCK_BYTES..20_000).contains(&block), "{block}");
        assert_eq!(block_bytes(1 << 40), MIN_BLOCK_BYTES);
    }
}
