//! Which rows are in a sample: those whose key's hash ends in enough zero bits.
//!
//! The same key is in the samples of two nights whatever else has changed, and on the way in and on the way
//! out. How many zero bits are enough follows from the number of rows alone: the fewest with which a
//! sample is not larger than its limit. So chunks can be measured in any order, each dropping rows
//! that turn out to be too many, and the result is the same.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Zero bits at the end of a key's hash.
#[inline]
pub fn level(key: u64) -> u32 {
    key.trailing_zeros()
}

/// What the chunks of one table know of its sample already: rows below these levels will be dropped anyway.
#[derive(Debug, Default)]
pub struct Floor {
    keys: AtomicU32,
    looks: AtomicU32,
}

impl Floor {
    pub fn keys(&self) -> u32 {
        self.keys.load(Ordering::Relaxed)
    }

    pub fn looks(&self) -> u32 {
        self.looks.load(Ordering::Relaxed)
    }

    pub fn raise(&self, keys: u32, looks: u32) {
        self.keys.fetch_max(keys, Ordering::Relaxed);
        self.looks.fetch_max(looks, Ordering::Relaxed);
    }
}

/// Something for each level at and above a floor, which rises when there is too much of it.
#[derive(Debug, Clone)]
pub struct Levels<T> {
    floor: u32,
    most: u64,
    /// Rows and what is kept of them, by exact level.
    kept: BTreeMap<u32, (u64, T)>,
}

impl<T: Default> Levels<T> {
    pub fn new(floor: u32, most: u64) -> Levels<T> {
        Levels {
            floor,
            most,
            kept: BTreeMap::new(),
        }
    }

    pub fn floor(&self) -> u32 {
        self.floor
    }

    /// Where a row of this level is kept; `None` when it is not in the sample.
    #[inline]
    pub fn enter(&mut self, level: u32) -> Option<&mut T> {
        if level < self.floor {
            return None;
        }
        let (rows, kept) = self.kept.entry(level).or_default();
        *rows += 1;
        Some(kept)
    }

    /// Raises the floor until no more rows are kept than allowed.
    pub fn trim(&mut self) {
        let mut rows: u64 = self.kept.values().map(|(rows, _)| rows).sum();
        while rows > self.most {
            let Some((level, (gone, _))) = self.kept.pop_first() else {
                return;
            };
            rows -= gone;
            self.floor = level + 1;
        }
    }

    /// Takes in what another has kept.
    pub fn merge(&mut self, other: Levels<T>, mut add: impl FnMut(&mut T, T)) {
        self.floor = self.floor.max(other.floor);
        self.kept.retain(|level, _| *level >= self.floor);
        for (level, (rows, kept)) in other.kept {
            if level >= self.floor {
                let own = self.kept.entry(level).or_default();
                own.0 += rows;
                add(&mut own.1, kept);
            }
        }
        self.trim();
    }

    /// What is kept at and above a level.
    pub fn above(&self, floor: u32) -> impl Iterator<Item = &T> {
        self.kept.range(floor..).map(|(_, (_, kept))| kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::mix;
    use super::*;

    fn of(rows: std::ops::Range<u64>) -> Levels<Vec<u64>> {
        let mut levels: Levels<Vec<u64>> = Levels::new(0, 100);
        for row in rows {
            let key = mix(row);
            if let Some(kept) = levels.enter(level(key)) {
                kept.push(key);
            }
            levels.trim();
        }
        levels
    }

    fn all(levels: &Levels<Vec<u64>>) -> Vec<u64> {
        let mut all: Vec<u64> = levels.above(0).flatten().copied().collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_sample_does_not_depend_on_how_the_rows_were_cut() {
        let whole = of(0..10_000);
        assert!(
            (25..=100).contains(&all(&whole).len()),
            "{:?}",
            all(&whole).len()
        );
        for cut in [1, 77, 5_000, 9_999] {
            let mut parts = of(cut..10_000);
            parts.merge(of(0..cut), |own, more| own.extend(more));
            assert_eq!(parts.floor(), whole.floor());
            assert_eq!(all(&parts), all(&whole), "{cut}");
        }
    }
}
