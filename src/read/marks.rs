//! Finds the next delimiter or newline in a chunk.
//!
//! In: the bytes of a chunk and the two bytes to look for. Out: their offsets, in order.
//! 64 bytes at a time become one bit mask, with the vector instructions that every processor of the
//! target has, so that short fields (four bytes are common) do not pay for the start of a search each.

use wide::u8x16;

/// Bytes looked at together: one per bit.
pub(super) const BLOCK: usize = 64;

/// The offsets of two byte values in a chunk.
pub(super) struct Marks<'c> {
    bytes: &'c [u8],
    /// Where the present block begins.
    base: usize,
    /// Which bytes of the block are marks not yet passed; the lowest bit is the first byte.
    mask: u64,
    pattern: [u8x16; 2],
}

impl<'c> Marks<'c> {
    pub(super) fn new(bytes: &'c [u8], first: u8, second: u8) -> Self {
        let mut marks = Marks {
            bytes,
            base: 0,
            mask: 0,
            pattern: [first, second].map(u8x16::splat),
        };
        marks.load(0);
        marks
    }

    /// Returns the offset of the next mark and passes it, or the length of the chunk.
    #[inline(always)]
    pub(super) fn pass(&mut self) -> usize {
        while self.mask == 0 {
            if self.base + BLOCK >= self.bytes.len() {
                return self.bytes.len();
            }
            self.load(self.base + BLOCK);
        }
        let mark = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        mark
    }

    /// Passes all marks before `to`: they stand in a quoted field or end empty lines.
    #[inline]
    pub(super) fn skip_to(&mut self, to: usize) {
        let passed = to.saturating_sub(self.base);
        if passed < BLOCK {
            self.mask &= u64::MAX << passed;
        } else {
            self.load(to);
        }
    }

    fn load(&mut self, base: usize) {
        self.base = base;
        let rest = self.bytes.get(base..).unwrap_or_default();
        self.mask = match rest.first_chunk::<BLOCK>() {
            Some(block) => mask(block, self.pattern),
            None => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                mask(&block, self.pattern) & ((1 << rest.len()) - 1)
            }
        };
    }
}

/// Returns a bit for each byte of the block that equals one of the two patterns.
#[inline]
fn mask(block: &[u8; BLOCK], pattern: [u8x16; 2]) -> u64 {
    equal(block, pattern[0]) | equal(block, pattern[1])
}

/// Returns a bit for each byte of the block that equals the pattern.
#[inline(always)]
pub(super) fn equal(block: &[u8; BLOCK], pattern: u8x16) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let mut mask = 0;
    for (at, part) in parts.iter().enumerate() {
        let found = u8x16::new(*part).simd_eq(pattern);
        mask |= u64::from(found.to_bitmask()) << (16 * at);
    }
    mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn marks_are_what_a_loop_finds(
            bytes in prop::collection::vec(prop_oneof![Just(b'|'), Just(b'\n'), any::<u8>()], 0..300),
            second in prop_oneof![Just(b'\n'), Just(0), Just(0x80), Just(0xFF)],
            skips in prop::collection::vec(prop::option::of(0usize..150), 0..40),
        ) {
            let mut marks = Marks::new(&bytes, b'|', second);
            let mut from = 0;
            for skip in skips {
                if let Some(skip) = skip {
                    from = bytes.len().min(from + skip);
                    marks.skip_to(from);
                }
                let expected = (from..bytes.len())
                    .find(|&at| bytes[at] == b'|' || bytes[at] == second)
                    .unwrap_or(bytes.len());
                prop_assert_eq!(marks.pass(), expected);
                from = bytes.len().min(expected + 1);
            }
        }
    }
}
