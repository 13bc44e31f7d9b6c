//! Texts of a few bytes in one machine word: what most numbers, flags and codes are.
//!
//! In: a text of 1 to 8 bytes, or of up to 32 to be copied. Out: its digits as a number, without a
//! loop over the bytes and so without a branch that the processor has to guess; or its bytes,
//! appended without a call. Anything else is `None`, and the caller takes its general path.

/// The character 0 in every byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The bytes of a text of 1 to 8 bytes, the first one lowest, zeros above.
#[inline(always)]
pub(super) fn load(text: &[u8]) -> Option<u64> {
    let length = text.len();
    if length > 8 {
        return None;
    }
    // Two loads that overlap in the middle.
    let above = 8 * length as u32;
    if let (Some(head), Some(tail)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let head = u64::from(u32::from_le_bytes(*head));
        let tail = u64::from(u32::from_le_bytes(*tail));
        return Some(head | tail << (above - 32));
    }
    match *text {
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from(u16::from_le_bytes([a, b]))),
        [a, b, c] => Some(u64::from(u32::from_le_bytes([a, b, c, 0]))),
        _ => None,
    }
}

/// As [`load`], from a window that goes on behind the text.
#[inline(always)]
pub(super) fn load_window(window: &[u8], length: usize) -> Option<u64> {
    let word = u64::from_le_bytes(*window.first_chunk()?);
    matches!(length, 1..=8).then(|| word & (u64::MAX >> (64 - 8 * length as u32)))
}

/// The value of a word of `length` digits (1 to 8, the first one lowest), if they are digits.
#[inline(always)]
pub(super) fn digits(word: u64, length: u32) -> Option<u32> {
    // Moved up so that the last digit is the highest byte; zeros before it change nothing.
    let aligned = word << (64 - 8 * length) | ZEROS.checked_shr(8 * length).unwrap_or(0);
    let values = aligned ^ ZEROS;
    // A byte above 9 has a high half, or gets one from the six.
    if (values.wrapping_add(6 * ONES) | values) & 0xF0F0_F0F0_F0F0_F0F0 != 0 {
        return None;
    }
    // Pairs, then pairs of pairs, then all: each multiplication adds neighbours.
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) as u32)
}

/// A whole number of 1 to 8 digits without a sign.
#[inline(always)]
pub(super) fn integer(text: &[u8]) -> Option<u32> {
    digits(load(text)?, text.len() as u32)
}

/// A number, in a word of 1 to 8 characters without a sign: its digits as a number, and how many of them
/// stand after the point. A point needs a digit after it.
#[inline(always)]
pub(super) fn decimal(word: u64, length: u32) -> Option<(u32, u32)> {
    // The lowest zero byte of `point` is found exactly.
    let point = word ^ (ONES * b'.' as u64);
    let found = point.wrapping_sub(ONES) & !point & HIGH_BITS;
    if found == 0 {
        return Some((digits(word, length)?, 0));
    }
    let below = found.trailing_zeros() - 7;
    let whole = word & ((1 << below) - 1);
    let fraction = length - below / 8 - 1;
    if fraction == 0 {
        return None;
    }
    let joined = whole | (word >> below >> 8) << below;
    Some((digits(joined, length - 1)?, fraction))
}

/// Appends a text; short ones without a call to copy them.
#[inline(always)]
pub(super) fn append(text: &[u8], out: &mut Vec<u8>) {
    let length = text.len();
    let start = out.len();
    if let (Some(head), Some(tail)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        if length > 32 {
            out.extend_from_slice(text);
            return;
        }
        // The tail is written over the end of the head.
        out.extend_from_slice(head);
        out.truncate(start + length - 16);
        out.extend_from_slice(tail);
    } else if let (Some(head), Some(tail)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        out.extend_from_slice(head);
        out.truncate(start + length - 8);
        out.extend_from_slice(tail);
    } else if let Some(word) = load(text) {
        out.extend_from_slice(&word.to_le_bytes());
        out.truncate(start + length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_number_is_what_the_standard_library_reads(
            text in prop_oneof!["[0-9]{1,8}", "[0-9]{0,5}\\.[0-9]{0,4}", "[0-9.a:/ -]{1,8}", "\\PC{0,4}"],
        ) {
            let bytes = text.as_bytes();
            let all_digits = !bytes.is_empty() && bytes.len() <= 8 && bytes.iter().all(u8::is_ascii_digit);
            let expected = all_digits.then(|| text.parse::<u32>().unwrap());
            prop_assert_eq!(integer(bytes), expected);
            let expected = match text.split_once('.') {
                None => expected.map(|value| (value, 0)),
                Some((whole, fraction)) => {
                    let joined = format!("{whole}{fraction}");
                    let fits = bytes.len() <= 8 && !fraction.is_empty()
                        && joined.bytes().all(|byte| byte.is_ascii_digit());
                    fits.then(|| (joined.parse::<u32>().unwrap(), fraction.len() as u32))
                }
            };
            let found = load(bytes).and_then(|word| decimal(word, bytes.len() as u32));
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn what_is_appended_is_the_text(text in prop::collection::vec(any::<u8>(), 0..70)) {
            let mut out = b"before".to_vec();
            append(&text, &mut out);
            prop_assert_eq!(&out[..6], b"before");
            prop_assert_eq!(&out[6..], &text[..]);
        }
    }
}
