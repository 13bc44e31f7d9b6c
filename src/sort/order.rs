//! Whether rows come in the order of a key, noted while they stream by.
//!
//! In: chunks of encoded rows, each looked at by whichever worker has it ([`ChunkOrder`]), and
//! joined in the order of the file by their consumer ([`OrderWatch`]). Out: the rows, and how many
//! of them came before their predecessor. Equal keys are in order. One chunk holds two keys.

use super::key::SortKey;
use crate::encode::row::row_length;
use std::fmt;

/// What one chunk of rows tells about their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkOrder {
    order: Order,
    /// Keys of the first and the last row; empty if there is no row.
    first: Vec<u8>,
    last: Vec<u8>,
}

/// How many rows were seen, and how many of them belong before the row they followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    pub rows: u64,
    pub descents: u64,
}

/// Joins chunks in the order in which their rows stream by.
#[derive(Debug, Clone, Default)]
pub struct OrderWatch {
    whole: ChunkOrder,
}

impl ChunkOrder {
    /// Looks at every row of `rows`; None if these bytes are not whole rows.
    pub fn of(mut rows: &[u8], key: &SortKey) -> Option<ChunkOrder> {
        let mut this = ChunkOrder::default();
        let mut row_key = Vec::new();
        while !rows.is_empty() {
            let (row, rest) = rows.split_at_checked(row_length(rows)?)?;
            row_key.clear();
            key.write(row, &mut row_key);
            this.note(&row_key);
            rows = rest;
        }
        Some(this)
    }

    /// Adds the next row by its key.
    #[inline]
    pub(super) fn note(&mut self, key: &[u8]) {
        if self.order.rows == 0 {
            self.first.extend_from_slice(key);
        } else if key < self.last.as_slice() {
            self.order.descents += 1;
        }
        self.order.rows += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    /// Rows and descents within the chunk.
    pub fn order(&self) -> Order {
        self.order
    }
}

impl OrderWatch {
    /// Adds the chunk that comes next.
    pub fn add(&mut self, chunk: ChunkOrder) {
        let ours = &mut self.whole;
        if chunk.order.rows == 0 {
            return;
        }
        if ours.order.rows > 0 && chunk.first < ours.last {
            ours.order.descents += 1;
        }
        ours.order.rows += chunk.order.rows;
        ours.order.descents += chunk.order.descents;
        ours.last = chunk.last;
    }

    /// What came by so far.
    pub fn order(&self) -> Order {
        self.whole.order
    }
}

impl Order {
    /// No row belongs before the row it followed.
    pub fn is_sorted(&self) -> bool {
        self.descents == 0
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.descents {
            0 => f.write_str("in order"),
            descents => write!(f, "{descents} descents in {} rows", self.rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows_for_tests::{numbers, rows_of};
    use super::*;
    use proptest::prelude::*;

    fn watch(chunks: &[Vec<i64>]) -> Order {
        let mut watch = OrderWatch::default();
        for chunk in chunks {
            watch.add(ChunkOrder::of(&rows_of(chunk), &numbers()).unwrap());
        }
        watch.order()
    }

    #[test]
    fn a_descent_across_a_chunk_border_counts() {
        let order = watch(&[vec![1, 2, 2], vec![], vec![2, 9], vec![8]]);
        assert_eq!(
            order,
            Order {
                rows: 6,
                descents: 1
            }
        );
        assert_eq!(order.to_string(), "1 descents in 6 rows");
        assert_eq!(watch(&[vec![-3, 0], vec![0]]).to_string(), "in order");
        assert!(watch(&[]).is_sorted());
    }

    #[test]
    fn a_cut_row_is_not_counted() {
        let rows = rows_of(&[1, 2]);
        assert_eq!(ChunkOrder::of(&rows[..rows.len() - 1], &numbers()), None);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(chunks in proptest::collection::vec(
            proptest::collection::vec(-3_i64..3, 0..6), 0..6)
        ) {
            let all = chunks.concat();
            let descents = all.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
            let rows = all.len() as u64;
            prop_assert_eq!(watch(&chunks), Order { rows, descents });
        }
    }
}
