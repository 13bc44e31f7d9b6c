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
    /// Over all rows, in whatever order they lie.
    pub digest: String,
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

/// The name of the sketch of keys.
pub const KEYS: &str = "*";

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
    /// From `0` and `1`.
    pub fn from_bits(bits: &str) -> Sketch {
        let mut bytes = vec![0u8; bits.len().div_ceil(8)];
        for (place, _) in bits.bytes().enumerate().filter(|(_, bit)| *bit == b'1') {
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
        let mut bits = vec!['0'; SKETCH_BITS];
        for value in values {
            let mixed = (value + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let hash = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
            bits[hash as usize % SKETCH_BITS] = '1';
        }
        Sketch::from_bits(&bits.iter().collect::<String>())
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
