//! Collects what is known of a table from its rows, chunk by chunk.

use super::digest::{HashSum, NULL, field_hash, mix, multiplier};
use super::field::FieldShape;
use super::figures::Figures;
use super::profile::{ColumnProfile, KEYS, METHOD, Sketch, TableProfile};
use super::sample::{Floor, Levels, level};
use crate::encode::row::fields;
use std::sync::Arc;

/// Most rows in the sample of keys that is kept while measuring; half as many may remain in the end, so that
/// a table that has grown or shrunk a little is still compared by the sample of the previous build.
const MOST_KEYS: u64 = 1536;

/// Most rows whose values are looked at: shares are right within half a point.
const MOST_LOOKS: u64 = 65_536;

/// Shares of fewer rows say nothing, and an average of fewer values would tell them.
pub const FEW_ROWS: u64 = 200;

/// What the rows of a table look like, and which of them are already known to be outside the samples.
#[derive(Debug)]
pub struct RowShape {
    pub fields: Vec<FieldShape>,
    multipliers: Vec<u64>,
    /// Positions of the key's fields, in the order of the key.
    key: Vec<usize>,
    floor: Floor,
}

impl RowShape {
    pub fn new(fields: Vec<FieldShape>) -> Arc<RowShape> {
        let mut key: Vec<(usize, usize)> = (fields.iter().enumerate())
            .filter(|(_, field)| field.key > 0)
            .map(|(position, field)| (field.key, position))
            .collect();
        key.sort_unstable();
        Arc::new(RowShape {
            multipliers: (0..fields.len() as u64).map(multiplier).collect(),
            key: key.into_iter().map(|(_, position)| position).collect(),
            fields,
            floor: Floor::default(),
        })
    }
}

/// A sampled row: the hash of its key and of each of its fields.
#[derive(Debug, Clone)]
struct SampledRow {
    key: u64,
    fields: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ColumnSum {
    values: u64,
    digest: HashSum,
}

/// What is known of some rows of a table.
#[derive(Debug)]
pub struct Collector {
    shape: Arc<RowShape>,
    rows: u64,
    digest: HashSum,
    columns: Vec<ColumnSum>,
    keys: Levels<Vec<SampledRow>>,
    looks: Levels<Vec<Figures>>,
}

impl Collector {
    /// Nothing was seen yet.
    pub fn new(shape: &Arc<RowShape>) -> Collector {
        Collector {
            rows: 0,
            digest: HashSum::default(),
            columns: vec![ColumnSum::default(); shape.fields.len()],
            keys: Levels::new(shape.floor.keys(), MOST_KEYS),
            looks: Levels::new(shape.floor.looks(), MOST_LOOKS),
            shape: Arc::clone(shape),
        }
    }

    /// Takes in whole rows of binary COPY, one after the other.
    pub fn add_rows(&mut self, rows: &[u8]) {
        // Once a chunk: the workers share the count of its owners.
        let shape = Arc::clone(&self.shape);
        let mut hashes = vec![NULL; shape.fields.len()];
        let mut rest = rows;
        while !rest.is_empty() {
            rest = self.add_row(&shape, rest, &mut hashes);
        }
        self.keys.trim();
        self.looks.trim();
        shape.floor.raise(self.keys.floor(), self.looks.floor());
    }

    /// Takes in the first of these rows; returns the others.
    #[inline]
    fn add_row<'r>(&mut self, shape: &RowShape, rows: &'r [u8], hashes: &mut [u64]) -> &'r [u8] {
        let mut sum = 0_u64;
        let mut row = fields(rows);
        let columns = shape.fields.iter().zip(&shape.multipliers);
        let columns = columns.zip(self.columns.iter_mut().zip(hashes.iter_mut()));
        for (((field, multiplier), (column, kept)), value) in columns.zip(&mut row) {
            let hash = match value {
                Some(value) => {
                    let hash = field_hash(field.kind, value);
                    column.values += 1;
                    column.digest.add(hash);
                    hash
                }
                None => NULL,
            };
            *kept = hash;
            sum = sum.wrapping_add(hash.wrapping_mul(*multiplier));
        }
        let whole = mix(sum);
        self.rows += 1;
        self.digest.add(whole);
        let key = match shape.key.as_slice() {
            [] => whole,
            key => {
                let parts = key.iter().zip(&shape.multipliers);
                let hash = |at: &usize| hashes.get(*at).copied().unwrap_or_default();
                mix(parts.fold(0_u64, |sum, (at, multiplier)| {
                    sum.wrapping_add(hash(at).wrapping_mul(*multiplier))
                }))
            }
        };
        let level = level(key);
        if let Some(sampled) = self.keys.enter(level) {
            sampled.push(SampledRow {
                key,
                fields: hashes.to_vec(),
            });
        }
        if let Some(figures) = self.looks.enter(level) {
            figures.resize(shape.fields.len(), Figures::default());
            for ((value, field), figures) in fields(rows).zip(&shape.fields).zip(figures) {
                if let Some(value) = value {
                    figures.look(field.kind, value);
                }
            }
        }
        row.after()
    }

    /// Takes in what another has collected of other rows of the table.
    pub fn merge(&mut self, other: Collector) {
        self.rows += other.rows;
        self.digest.merge(other.digest);
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.values += more.values;
            column.digest.merge(more.digest);
        }
        self.keys.merge(other.keys, |own, more| own.extend(more));
        self.looks.merge(other.looks, |own, more| {
            own.resize(more.len().max(own.len()), Figures::default());
            for (own, more) in own.iter_mut().zip(&more) {
                own.merge(more);
            }
        });
        self.shape
            .floor
            .raise(self.keys.floor(), self.looks.floor());
    }

    /// Rows that were taken in.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What is known of the table. `before`: the sample of the build that this one will be compared with,
    /// which is used where it is about the size of its own.
    pub fn profile(&self, before: Option<u32>) -> TableProfile {
        // One level above the floor holds about half the limit.
        let own = match self.keys.floor() {
            0 => 0,
            floor => floor + 1,
        };
        let shift = match before {
            Some(before) if before.abs_diff(own) <= 1 && before >= self.keys.floor() => before,
            _ => own,
        };
        let looks: Vec<&Vec<Figures>> = self.looks.above(0).collect();
        let sampled = || self.keys.above(shift).flatten();
        let fields = self.shape.fields.iter().enumerate();
        let mut profile = TableProfile {
            rows: self.rows,
            digest: self.digest.hex(),
            method: METHOD.to_owned(),
            sample_shift: shift,
            key: (self.shape.key.iter())
                .filter_map(|at| Some(self.shape.fields.get(*at)?.name.clone()))
                .collect(),
            ..TableProfile::default()
        };
        // The low bits have chosen the sample; these are others.
        let keys = sampled().map(|row| row.key >> 48);
        profile.sketches.insert(KEYS.into(), Sketch::of(keys));
        for ((at, field), sum) in fields.zip(&self.columns) {
            let mut figures = Figures::default();
            for more in looks.iter().filter_map(|figures| figures.get(at)) {
                figures.merge(more);
            }
            let mut column = ColumnProfile {
                name: field.name.clone(),
                nulls: self.rows - sum.values,
                digest: sum.digest.hex(),
                ..ColumnProfile::default()
            };
            figures.write(field.kind, FEW_ROWS, &mut column);
            profile.columns.push(column);
            // Beside a key: whether the key still has its value.
            if field.key == 0 && !self.shape.key.is_empty() {
                let pairs = sampled().filter_map(|row| Some((row.key, *row.fields.get(at)?)));
                let pairs = pairs.map(|(key, hash)| mix(hash ^ key.rotate_left(32)));
                profile
                    .sketches
                    .insert(field.name.clone(), Sketch::of(pairs));
            }
        }
        profile
    }
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
