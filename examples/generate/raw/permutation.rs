//! Another order of the row numbers, in no memory.
//!
//! In: how many rows there are, and the seed. Out: for each position the row that stands there;
//! every row stands in exactly one position.
//!
//! A Feistel network permutes the numbers of an even number of bits whatever its round function
//! is; the smallest such range that holds all rows is at most four times too big, and numbers
//! beyond the last row are sent through again until they fall inside (cycle walking: Black and
//! Rogaway, "Ciphers with arbitrary finite domains", 2002).

use super::random::{Random, Stream};

/// A permutation of `0..rows`.
pub struct Permutation {
    rows: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Permutation {
    pub fn new(rows: u64, seed: u64) -> Self {
        let bits = 64 - rows.saturating_sub(1).leading_zeros();
        let mut random = Random::new(seed, Stream::Shuffle, rows, 0);
        Permutation {
            rows,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| random.bits()),
        }
    }

    /// The row at a position; the position is below the number of rows.
    pub fn row_at(&self, position: u64) -> u64 {
        let mut row = self.scramble(position);
        while row >= self.rows {
            row = self.scramble(row);
        }
        row
    }

    fn scramble(&self, number: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.keys {
            let mut word = (right ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word ^= word >> 32;
            (left, right) = (
                right,
                left ^ (word.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) & mask,
            );
        }
        (left << self.half_bits) | right
    }
}
