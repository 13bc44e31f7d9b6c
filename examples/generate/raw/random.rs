//! Numbers that depend on the seed and on what they are for, and on nothing else.
//!
//! In: the seed, a stream (one per purpose) and the thing asked about (a plan, a drug, a row).
//! Out: a [`Random`] that always answers the same for the same question.
//!
//! No generator is shared between rows: a row that is written last because of `--shuffle` must
//! come out as it would have come out first. The mixer is SplitMix64 (Steele, Lea, Flood:
//! "Fast splittable pseudorandom number generators", 2014).

/// What a number is drawn for; two purposes never share their numbers.
#[derive(Clone, Copy)]
pub enum Stream {
    Contract = 1,
    Plan,
    County,
    Landscape,
    Product,
    Package,
    Formulary,
    Excluded,
    Cost,
    Pharmacy,
    Network,
    Price,
    Drift,
    Shuffle,
}

/// A small generator for one question.
pub struct Random(u64);

impl Random {
    /// The generator for question `first`, `second` of a stream.
    #[inline]
    pub fn new(seed: u64, stream: Stream, first: u64, second: u64) -> Self {
        let state = mix(seed ^ mix(stream as u64));
        Random(mix(mix(state ^ first) ^ second))
    }

    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..limit`; 0 when the limit is 0.
    #[inline]
    pub fn below(&mut self, limit: u64) -> u64 {
        // The high half of a product is even enough here and has no division.
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// A number in `low..=high`.
    #[inline]
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of a hundred cases.
    #[inline]
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[inline]
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
