//! From a row of the table back to its record in a file.
//!
//! Positions travel with the data: each batch of rows remembers which records it came from, so
//! that the server's "line 17" becomes an object and a record number.

/// The rows of one chunk, in the order in which they were sent.
#[derive(Debug)]
struct Batch {
    /// First row of the table that came from it, counted from 0.
    first_row: u64,
    object: usize,
    /// Number of its first record in the object, counted from 1.
    first_record: u64,
    /// Records that gave no row, counted from the chunk's start, ascending.
    rejected: Vec<u64>,
}

/// The way back for the rows under way; a few words for each chunk and reject.
#[derive(Debug, Default)]
pub struct Places {
    batches: Vec<Batch>,
    rows: u64,
}

impl Places {
    /// Adds the rows of a chunk.
    pub fn add(&mut self, object: usize, first_record: u64, rows: u64, rejected: Vec<u64>) {
        self.batches.push(Batch {
            first_row: self.rows,
            object,
            first_record,
            rejected,
        });
        self.rows += rows;
    }

    /// Forgets what lies wholly before a row: the server has taken those rows and will not come
    /// back to them. Without this, rejects would add up over a long table.
    pub fn forget(&mut self, row: u64) {
        let needed = self.batches.partition_point(|batch| batch.first_row <= row);
        self.batches.drain(..needed.saturating_sub(1));
    }

    /// Object and record number (from 1) of a row (from 0).
    pub fn find(&self, row: u64) -> Option<(usize, u64)> {
        let index = self
            .batches
            .partition_point(|batch| batch.first_row <= row)
            .checked_sub(1)?;
        let batch = &self.batches[index];
        let mut record = row - batch.first_row;
        for rejected in &batch.rejected {
            if *rejected <= record {
                record += 1;
            }
        }
        Some((batch.object, batch.first_record + record))
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn a_row_is_found_past_rejected_records_and_chunks() {
        let mut places = Places::default();
        places.add(0, 1, 3, vec![0, 2]); // records 2, 4, 5
        places.add(0, 6, 2, vec![]);
        places.add(1, 1, 2, vec![1]); // records 1, 3
        let found: Vec<_> = (0..7).map(|row| places.find(row).unwrap()).collect();
        assert_eq!(
            found,
            [(0, 2), (0, 4), (0, 5), (0, 6), (0, 7), (1, 1), (1, 3)]
        );
        places.forget(4);
        assert_eq!(places.find(2), None);
        assert_eq!(places.find(4), Some((0, 7)));
        assert_eq!(places.find(6), Some((1, 3)));
    }
}
