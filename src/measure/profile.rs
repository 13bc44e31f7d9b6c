//! What is known of the columns of one table, without any of their values.
//!
//! The figures go to the ledger as JSON; a figure that a release does not know is left out when it
//! reads them, so that figures can be added. A [`Sketch`] says which of some sampled rows have which
//! value, as bits: one bit is set by a quarter of all values, so that it tells of no value, but two
//! nights of the same rows set the same bits.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableProfile {
    pub rows: u64,
    /// Over the rows that were measured, in whatever order they are stored.
    pub digest: String,
    /// How digests and samples were made: only those of one method are compared. Empty in profiles of
    /// releases that hashed in the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// `None`: every row was measured. Else only rows were whose key's hash in the server ends in so many zero
    /// bits, and `digest` and the figures of the columns are of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_shift: Option<u32>,
    /// Of such a table: the sum of the server's hashes of all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_digest: Option<String>,
    /// Columns of the primary key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Rows are in the sample whose hash ends in so many zero bits.
    pub sample_shift: u32,
    /// Share of the sampled keys, or of rows without a key, that were not there in the build before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed: Option<f64>,
    pub columns: Vec<ColumnProfile>,
    /// By column; `*` for the keys, or for whole rows where there is no key.
    #[serde(skip)]
    pub sketches: BTreeMap<String, Sketch>,
}

/// How this release measures.
pub const METHOD: &str = "xxh3";

/// The name of the sketch of keys.
pub const KEYS: &str = "*";

impl TableProfile {
    /// The sketches by column, as hexadecimal digits.
    pub fn sketches_as_json(&self) -> serde_json::Value {
        let sketches = self.sketches.iter();
        sketches
            .map(|(column, sketch)| (column.clone(), sketch.hex().into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl TableProfile {
    /// Whether both tables hold the same rows, as far as their digests say: `None` if these do not tell.
    pub fn same_rows(&self, other: &TableProfile) -> Option<bool> {
        let whole = |table: &TableProfile| !table.method.is_empty() && table.server_shift.is_none();
        let columns = |table: &TableProfile| -> Vec<(String, String)> {
            let columns = table.columns.iter();
            columns
                .map(|c| (c.name.clone(), c.data_type.clone()))
                .collect()
        };
        let comparable = whole(self)
            && whole(other)
            && self.method == other.method
            && columns(self) == columns(other);
        comparable.then(|| self.rows == other.rows && self.digest == other.digest)
    }
}

/// One column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnProfile {
    pub name: String,
    pub data_type: String,
    pub nulls: u64,
    /// Over all values, in whatever order they lie.
    pub digest: String,
    /// Values that the figures below were counted in: all of them, of a large table a sample.
    pub looked_at: u64,
    /// About how many different values, from the statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_width: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<f64>,
    /// Hashes of the commonest values and their share of the rows, the commonest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub common: Vec<(i64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberFigures>,
    /// Average day, in days since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<f64>,
    /// Only where the source file says that values may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<String>,
    /// How it differs from the build before; nothing where there is none to compare with.
    pub moved: Moved,
}

/// Texts, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextFigures {
    pub bytes: u64,
    /// In characters.
    pub longest: u64,
    /// With a character beyond ASCII.
    pub wide: u64,
    /// With the signs of a text that was read in the wrong encoding.
    pub garbled: u64,
    /// With white space at an end.
    pub padded: u64,
    /// In capitals.
    pub upper: u64,
}

/// Numbers, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberFigures {
    pub negative: u64,
    pub zero: u64,
    /// With a fraction.
    pub broken: u64,
    /// Average of the decimal logarithm of what is not zero.
    pub magnitude: Option<f64>,
}

/// What is usual in one table and not in another: judged by what the nights before did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Moved {
    /// Share of the sampled rows that have another value, or are new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed: Option<f64>,
    /// Share of the rows by which the commonest values differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common: Option<f64>,
    /// Share of the rows of the commonest value that is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanished: Option<f64>,
}

/// A set of bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(Vec<u8>);

/// Bits of a sketch.
pub const SKETCH_BITS: usize = 2048;

/// Fewer bits than these say nothing.
const FEW_BITS: u32 = 40;

impl Sketch {
    /// Sets one bit for each hash, which its low bits choose.
    pub fn of(hashes: impl Iterator<Item = u64>) -> Sketch {
        let mut bytes = vec![0u8; SKETCH_BITS / 8];
        for hash in hashes {
            let place = hash as usize % SKETCH_BITS;
            if let Some(byte) = bytes.get_mut(place / 8) {
                *byte |= 1 << (place % 8);
            }
        }
        Sketch(bytes)
    }

    /// As hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Back from [`Sketch::hex`].
    pub fn from_hex(text: &str) -> Option<Sketch> {
        let bytes = text.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        bytes.collect::<Option<Vec<u8>>>().map(Sketch)
    }

    fn ones(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// About which share of what set the bits of `self` did not set those of `new`; `None` when there
    /// are too few to say.
    pub fn renewed_in(&self, new: &Sketch) -> Option<f64> {
        let (old_ones, bits) = (self.ones(), self.0.len() * 8);
        if old_ones < FEW_BITS || new.0.len() != self.0.len() {
            return None;
        }
        let both = self.0.iter().zip(&new.0).map(|(a, b)| (a & b).count_ones());
        let found = f64::from(both.sum::<u32>()) / f64::from(old_ones);
        // So many would have been found of values that have nothing to do with these.
        let by_chance = f64::from(new.ones()) / bits as f64;
        let kept = (found - by_chance) / (1.0 - by_chance).max(0.01);
        Some((1.0 - kept).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: impl Iterator<Item = u64>) -> Sketch {
        Sketch::of(values.map(super::super::digest::mix))
    }

    #[test]
    fn a_sketch_tells_how_much_is_new() {
        let old = sketch(0..400);
        assert_eq!(Sketch::from_hex(&old.hex()), Some(old.clone()));
        assert!(old.renewed_in(&old).unwrap() < 0.001);
        let some = old.renewed_in(&sketch(20..420)).unwrap();
        assert!((0.02..0.08).contains(&some), "{some}");
        let all = old.renewed_in(&sketch(10_000..10_400)).unwrap();
        assert!(all > 0.9, "{all}");
        assert_eq!(sketch(0..5).renewed_in(&old), None);
    }

    #[test]
    fn figures_of_another_release_are_read() {
        let text = r#"{"rows": 3, "later": 1, "columns": [{"name": "a", "unheard": 2}]}"#;
        let read: TableProfile = serde_json::from_str(text).unwrap();
        assert_eq!((read.rows, read.columns[0].name.as_str()), (3, "a"));
    }
}
