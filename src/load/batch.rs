//! Encoded rows on their way to one COPY, and the way back from a row to its record.
//!
//! Positions travel with the data: each batch knows which records its rows came from, so that the
//! server's "line 17" becomes an object and a record number.

use super::budget::Share;
use bytes::Bytes;
use std::sync::Arc;

/// Rows for one target, with the memory they hold.
#[derive(Debug)]
pub struct Batch {
    /// Index of the table or leaf among the targets.
    pub target: usize,
    pub rows: Bytes,
    pub row_count: u64,
    pub origin: Origin,
    /// None once another limit counts the bytes.
    pub share: Option<Share>,
}

/// The records of one chunk that the rows of a batch came from.
#[derive(Debug)]
pub struct Origin {
    /// Index among the objects of the table.
    pub object: usize,
    /// The member of it, where it is an archive.
    pub member: Option<Arc<str>>,
    /// Number of the chunk's first record in the object or member, counted from 1.
    pub first_record: u64,
    pub records: Records,
}

/// Which records of a chunk gave the rows of a batch, counted from the chunk's start, ascending.
#[derive(Debug)]
pub enum Records {
    /// Every record but these.
    AllBut(Vec<u64>),
    These(Vec<u32>),
    /// Sorting has mixed the records of many chunks.
    Unknown,
}

impl Origin {
    /// Object, member and record number (from 1) of a row (from 0) of the batch.
    fn find(&self, row: u64) -> Option<(usize, Option<&str>, u64)> {
        let record = match &self.records {
            Records::AllBut(rejected) => rejected.iter().fold(row, |record, rejected| {
                record + u64::from(*rejected <= record)
            }),
            Records::These(records) => u64::from(*records.get(usize::try_from(row).ok()?)?),
            Records::Unknown => return None,
        };
        let member = self.member.as_deref();
        Some((self.object, member, self.first_record + record))
    }
}

/// The batches of the COPY statement under way; a few words for each, forgotten when it ends.
#[derive(Debug, Default)]
pub struct Places {
    /// First row of the statement that came from it, counted from 0.
    batches: Vec<(u64, Origin)>,
    rows: u64,
}

impl Places {
    pub fn add(&mut self, rows: u64, origin: Origin) {
        self.batches.push((self.rows, origin));
        self.rows += rows;
    }

    /// Another statement begins.
    pub fn clear(&mut self) {
        self.batches.clear();
        self.rows = 0;
    }

    /// Object, member and record number (from 1) of a row of the statement (from 0).
    pub fn find(&self, row: u64) -> Option<(usize, Option<&str>, u64)> {
        let index = self.batches.partition_point(|(first, _)| *first <= row);
        let (first, origin) = self.batches.get(index.checked_sub(1)?)?;
        origin.find(row - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_past_rejected_records_and_chunks() {
        let origin = |object, first_record, records| Origin {
            object,
            member: (object == 1).then(|| "m".into()),
            first_record,
            records,
        };
        let mut places = Places::default();
        places.add(3, origin(0, 1, Records::AllBut(vec![0, 2]))); // records 2, 4, 5
        places.add(2, origin(0, 6, Records::AllBut(vec![])));
        places.add(2, origin(1, 1, Records::These(vec![0, 2]))); // records 1, 3
        places.add(1, origin(1, 9, Records::Unknown));
        let found: Vec<_> = (0..8).map(|row| places.find(row)).collect();
        let first = [2, 4, 5, 6, 7].map(|record| (0, None, record));
        let second = [1, 3].map(|record| (1, Some("m"), record));
        let known: Vec<_> = first.into_iter().chain(second).map(Some).collect();
        assert_eq!(found[..7], known);
        assert_eq!(found[7], None);
        places.clear();
        assert_eq!(places.find(0), None);
    }
}
