//! Hashes of fields and rows, and sums of them.

use super::field::FieldKind;
use xxhash_rust::xxh3::xxh3_64;

/// The hash of a null: no XXH3 value is more likely to equal it than any other.
pub const NULL: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the hash of a field's bytes.
#[inline]
pub fn field_hash(kind: FieldKind, value: &[u8]) -> u64 {
    match kind {
        FieldKind::PaddedText => xxh3_64(without_padding(value)),
        FieldKind::ScaledDecimal => decimal_hash(value, false),
        FieldKind::Decimal => decimal_hash(value, true),
        _ => xxh3_64(value),
    }
}

/// A `char(n)` without the spaces that fill it.
#[inline]
pub fn without_padding(value: &[u8]) -> &[u8] {
    let kept = value.iter().rposition(|byte| *byte != b' ');
    value
        .get(..kept.map_or(0, |last| last + 1))
        .unwrap_or(value)
}

/// Signs of a numeric: the last is that of NaN, and has the bits of both infinities.
const NEGATIVE: u16 = 0x4000;
const SPECIAL: u16 = 0xc000;

/// The value of a numeric as the server stores it: without the groups of zeros at its ends, which a sender
/// may have left. `scale`: with the fourth of its 16-bit words, which the column gives where it has a scale.
/// `numeric_send` and `make_result` in `src/backend/utils/adt/numeric.c`.
#[inline]
fn decimal_hash(value: &[u8], scale: bool) -> u64 {
    let Some((head, digits)) = value.split_first_chunk::<8>() else {
        return xxh3_64(value);
    };
    let [
        _,
        _,
        weight_high,
        weight_low,
        sign_high,
        sign_low,
        scale_high,
        scale_low,
    ] = *head;
    let mut weight = i16::from_be_bytes([weight_high, weight_low]);
    let mut sign = u16::from_be_bytes([sign_high, sign_low]);
    let mut digits = digits;
    while let Some(rest) = digits.strip_prefix(&[0, 0]) {
        digits = rest;
        weight = weight.wrapping_sub(1);
    }
    while let Some(rest) = digits.strip_suffix(&[0, 0]) {
        digits = rest;
    }
    if digits.is_empty() {
        // Zero has no sign.
        (weight, sign) = (0, if sign == NEGATIVE { 0 } else { sign });
    }
    let mut head = u64::from(weight as u16) << 32 | u64::from(sign) << 16;
    // The scale of NaN and of an infinity is whatever the server finds in its header.
    if scale && sign & SPECIAL != SPECIAL {
        head |= u64::from(u16::from_be_bytes([scale_high, scale_low]));
    }
    xxh3_64(digits) ^ mix(head.wrapping_add(NULL))
}

/// An odd number for each position of a field.
pub const fn multiplier(position: u64) -> u64 {
    mix(position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

/// Spreads every bit over all of them: the finalizer of MurmurHash3.
#[inline]
pub const fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// A sum of hashes: it does not depend on their order, and removing one shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HashSum(u128);

impl HashSum {
    #[inline]
    pub fn add(&mut self, hash: u64) {
        self.0 = self.0.wrapping_add(u128::from(hash));
    }

    pub fn merge(&mut self, other: HashSum) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// As hexadecimal digits.
    pub fn hex(self) -> String {
        format!("{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_scale_do_not_count_where_the_server_sets_them() {
        let padded = |text: &[u8]| field_hash(FieldKind::PaddedText, text);
        assert_eq!(padded(b"ab"), padded(b"ab   "));
        assert_eq!(padded(b""), padded(b"  "));
        assert_ne!(padded(b" ab"), padded(b"ab"));
        let numeric = |scale: u8| [0, 1, 0, 0, 0, 0, 0, scale, 0, 7];
        let hash = |kind, scale| field_hash(kind, &numeric(scale));
        assert_eq!(
            hash(FieldKind::ScaledDecimal, 0),
            hash(FieldKind::ScaledDecimal, 2)
        );
        assert_ne!(hash(FieldKind::Decimal, 0), hash(FieldKind::Decimal, 2));
        // 7 with a group of zeros behind it, and one before it.
        let padded = [0, 3, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0];
        assert_eq!(
            field_hash(FieldKind::Decimal, &padded),
            hash(FieldKind::Decimal, 2)
        );
    }
}
