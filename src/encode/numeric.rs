//! `numeric`: decimal text to base-10000 digits, exact at every length.
//!
//! In: digits with an optional sign, point and exponent, `nan` or an infinity.
//! Out: four 16-bit words (count of base-10000 digits, weight of the first, sign, display scale)
//! and the digits, as `numeric_recv` in PostgreSQL's `src/backend/utils/adt/numeric.c` reads them.
//!
//! The server rounds to the column's scale without a word; here a digit other than 0 beyond the
//! scale is a fault. Zeros beyond it are fine. Infinities need a server of version 14 or later.

use super::fault::{Fault, Wanted};
use super::float::infinity;
use super::integer::trim;
use super::short;

/// `numeric(precision, scale)`: at most `precision` significant digits, kept down to
/// 10 to the power of `-scale`. The scale may be negative or exceed the precision (PostgreSQL 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    pub precision: u16,
    pub scale: i16,
}

impl Precision {
    /// Reads the `atttypmod` of a numeric column: the precision in the upper 16 bits, the scale as
    /// 11 bits with sign, plus 4. Older servers, whose scale is 0 to 1000, come out the same.
    pub(super) fn from_typmod(typmod: i32) -> Option<Precision> {
        let packed = u32::try_from(typmod).ok()?.checked_sub(4)?;
        let scale = i16::try_from(packed & 0x7ff).ok()?;
        Some(Precision {
            precision: u16::try_from(packed >> 16).ok()?,
            scale: (scale ^ 1024) - 1024,
        })
    }
}

/// The largest display scale a stored numeric has.
const MAX_DISPLAY_SCALE: i64 = 16_383;
/// The power of ten of the first digit of the largest numeric: 131,072 digits before the point.
const MAX_POWER: i64 = 131_071;
/// Exponents beyond this are out of range whatever the digits are.
const MAX_EXPONENT: i64 = 1_000_000;
/// Digits that fit the fast path: scaled up by three more, they still fit 64 bits.
const SHORT_DIGITS: usize = 16;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

const POWERS: [u64; 20] = {
    let mut powers = [1_u64; 20];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// Appends `text` as a `numeric`, in the column's precision if it has one.
///
/// # Errors
/// Not a number, beyond the precision, or with digits beyond the scale.
#[inline]
pub(super) fn put_numeric(
    text: &[u8],
    precision: Option<Precision>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut value = [0; 23];
    if let Some(word) = short::load(text)
        && let Some(length) = put_word(word, text.len() as u32, precision, &mut value)
    {
        out.extend_from_slice(&value);
        out.truncate(out.len() - value.len() + length);
        return Ok(());
    }
    put_longer(text, precision, out)
}

/// Writes a number of at most eight characters without a sign, of which at most four stand after
/// the point: three groups at most, in one word and without a loop. Returns its length.
#[inline(always)]
pub(super) fn put_word(
    word: u64,
    length: u32,
    precision: Option<Precision>,
    out: &mut [u8; 23],
) -> Option<usize> {
    let (mantissa, fraction) = short::decimal(word, length)?;
    let short = Short {
        negative: false,
        mantissa: u64::from(mantissa),
        fraction: fraction as u16,
    };
    let display_scale = short.display_scale(precision)?;
    let (whole, part) = match fraction {
        0 => (short.mantissa, 0),
        1..=4 => {
            let scaled = short.mantissa * POWERS[(4 - fraction) as usize];
            (scaled / 10_000, scaled % 10_000)
        }
        _ => return None,
    };
    let groups = (whole / 10_000) << 48 | (whole % 10_000) << 32 | part << 16;
    // Groups of zeros are not stored at either end; zero itself has none and the weight 0.
    let leading = groups.leading_zeros() / 16;
    let (count, weight) = match groups {
        0 => (0, 0),
        _ => (
            4 - leading - groups.trailing_zeros() / 16,
            1 - leading as i16,
        ),
    };
    let [l0, l1, l2, l3] = (8 + 2 * count).to_be_bytes();
    let [c0, c1] = (count as u16).to_be_bytes();
    let [w0, w1] = weight.to_be_bytes();
    let [d0, d1] = display_scale.to_be_bytes();
    let [g0, g1, g2, g3, g4, g5, ..] = (groups << (16 * (leading % 4))).to_be_bytes();
    *out = [
        l0, l1, l2, l3, c0, c1, w0, w1, 0, 0, d0, d1, g0, g1, g2, g3, g4, g5, 0, 0, 0, 0, 0,
    ];
    Some(12 + 2 * count as usize)
}

/// A sign, or up to 16 digits; and beyond these every text that is a number.
fn put_longer(text: &[u8], precision: Option<Precision>, out: &mut Vec<u8>) -> Result<(), Fault> {
    if let Some(short) = Short::parse(text)
        && let Some(display_scale) = short.display_scale(precision)
    {
        short.put(display_scale, out);
        return Ok(());
    }
    put_any(text, precision, out)
}

/// A number of at most 16 digits without exponent.
struct Short {
    negative: bool,
    mantissa: u64,
    /// Digits after the point.
    fraction: u16,
}

impl Short {
    #[inline]
    fn parse(text: &[u8]) -> Option<Short> {
        let (negative, body) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        if body.len() > SHORT_DIGITS {
            return None;
        }
        let (mut mantissa, mut digits) = (0_u64, 0_u16);
        let mut before_point = None;
        for byte in body {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                mantissa = mantissa * 10 + u64::from(digit);
                digits += 1;
            } else if *byte == b'.' && before_point.is_none() {
                before_point = Some(digits);
            } else {
                return None;
            }
        }
        // A point needs a digit after it here; "5." is left to the general path.
        let fraction = before_point.map_or(Some(0), |before| {
            (digits > before).then_some(digits - before)
        })?;
        (digits > 0).then_some(Short {
            negative,
            mantissa,
            fraction,
        })
    }

    /// The display scale it is stored with, if it fits without looking at single digits.
    #[inline]
    fn display_scale(&self, precision: Option<Precision>) -> Option<u16> {
        let Some(Precision { precision, scale }) = precision else {
            return Some(self.fraction);
        };
        let scale = u16::try_from(scale).ok()?;
        let spare = scale.checked_sub(self.fraction)?;
        let digits = precision.checked_sub(spare)?;
        POWERS
            .get(usize::from(digits))
            .is_none_or(|limit| self.mantissa < *limit)
            .then_some(scale)
    }

    #[inline]
    fn put(&self, display_scale: u16, out: &mut Vec<u8>) {
        let groups_after_point = self.fraction.div_ceil(4);
        let mut rest = match groups_after_point * 4 - self.fraction {
            0 => self.mantissa,
            1 => self.mantissa * 10,
            2 => self.mantissa * 100,
            _ => self.mantissa * 1000,
        };
        // At most 19 digits, so five groups, filled from the end. Groups of zeros at the low end
        // are not stored: `stored` counts from the first other one, `filled` counts all.
        let mut groups = [0_u8; 10];
        let (mut filled, mut stored) = (0_u16, 0_u16);
        for slot in groups.rchunks_exact_mut(2) {
            if rest == 0 {
                break;
            }
            let group = (rest % 10_000) as u16;
            rest /= 10_000;
            slot.copy_from_slice(&group.to_be_bytes());
            filled += 1;
            stored += u16::from(stored > 0 || group != 0);
        }
        let (sign, weight) = match (stored, self.negative) {
            (0, _) => (POSITIVE, 0),
            (_, negative) => (
                if negative { NEGATIVE } else { POSITIVE },
                filled.cast_signed() - groups_after_point.cast_signed() - 1,
            ),
        };
        put_header(stored, weight, sign, display_scale, out);
        let first = groups.len() - 2 * usize::from(filled);
        if let Some(digits) = groups.get(first..first + 2 * usize::from(stored)) {
            out.extend_from_slice(digits);
        }
    }
}

#[inline]
fn put_header(count: u16, weight: i16, sign: u16, display_scale: u16, out: &mut Vec<u8>) {
    let [l0, l1, l2, l3] = (8 + 2 * u32::from(count)).to_be_bytes();
    let [c0, c1] = count.to_be_bytes();
    let [w0, w1] = weight.to_be_bytes();
    let [s0, s1] = sign.to_be_bytes();
    let [d0, d1] = display_scale.to_be_bytes();
    out.extend_from_slice(&[l0, l1, l2, l3, c0, c1, w0, w1, s0, s1, d0, d1]);
}

/// A number of any length: its digits in two slices, and where the point stands.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a [u8]) -> Result<Decimal<'a>, Fault> {
        const SYNTAX: Fault = Fault::Syntax(Wanted::Numeric);
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            _ => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(SYNTAX);
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => parse_exponent(rest)?,
            _ => return Err(SYNTAX),
        };
        Ok(Decimal {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// Powers of ten of the first and the last digit that is not 0; None for zero.
    fn powers(&self) -> Option<(i64, i64)> {
        let digits = || self.whole.iter().chain(self.fraction);
        let leading = digits().position(|digit| *digit != b'0')?;
        let trailing = digits().rev().position(|digit| *digit != b'0')?;
        let highest = length(self.whole) - 1 + self.exponent;
        let lowest = self.exponent - length(self.fraction);
        Some((
            highest - i64::try_from(leading).ok()?,
            lowest + i64::try_from(trailing).ok()?,
        ))
    }

    /// The digit that counts 10 to the power of `power`, 0 outside the text.
    fn digit(&self, power: i64) -> u16 {
        let index = length(self.whole) - 1 + self.exponent - power;
        let digit = usize::try_from(index).ok().and_then(|index| {
            match index.checked_sub(self.whole.len()) {
                None => self.whole.get(index),
                Some(index) => self.fraction.get(index),
            }
        });
        digit.map_or(0, |digit| u16::from(digit - b'0'))
    }

    /// The scale the server gives a number without a declared one.
    fn natural_scale(&self) -> i64 {
        (length(self.fraction) - self.exponent).max(0)
    }
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn parse_exponent(text: &[u8]) -> Result<i64, Fault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Syntax(Wanted::Numeric));
    }
    let mut exponent = 0_i64;
    for digit in digits {
        exponent = exponent * 10 + i64::from(digit - b'0');
        if exponent > MAX_EXPONENT {
            return Err(Fault::Range(Wanted::Numeric));
        }
    }
    Ok(if negative { -exponent } else { exponent })
}

/// The general path: every text that the short one leaves.
#[cold]
#[inline(never)]
fn put_any(text: &[u8], precision: Option<Precision>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let text = trim(text);
    if text.eq_ignore_ascii_case(b"nan") {
        put_header(0, 0, NAN, 0, out);
        return Ok(());
    }
    if let Some(positive) = infinity(text) {
        if let Some(Precision { precision, scale }) = precision {
            return Err(Fault::Precision { precision, scale });
        }
        let sign = if positive {
            POSITIVE_INFINITY
        } else {
            NEGATIVE_INFINITY
        };
        put_header(0, 0, sign, 0, out);
        return Ok(());
    }
    const RANGE: Fault = Fault::Range(Wanted::Numeric);
    let decimal = Decimal::parse(text)?;
    let powers = decimal.powers();
    // The server may build the value with its own scale before it applies the column's.
    let natural_scale = decimal.natural_scale();
    if natural_scale > MAX_DISPLAY_SCALE {
        return Err(RANGE);
    }
    let display_scale = match precision {
        None => natural_scale,
        Some(Precision { precision, scale }) => {
            if let Some((first, last)) = powers {
                if last < -i64::from(scale) {
                    return Err(Fault::Scale(scale));
                }
                if first >= i64::from(precision) - i64::from(scale) {
                    return Err(Fault::Precision { precision, scale });
                }
            }
            i64::from(scale.max(0))
        }
    };
    let display_scale = u16::try_from(display_scale).map_err(|_| RANGE)?;
    let Some((first, last)) = powers else {
        put_header(0, 0, POSITIVE, display_scale, out);
        return Ok(());
    };
    if first > MAX_POWER {
        return Err(RANGE);
    }
    let (weight, lowest) = (first.div_euclid(4), last.div_euclid(4));
    let count = u16::try_from(weight - lowest + 1).map_err(|_| RANGE)?;
    let sign = if decimal.negative { NEGATIVE } else { POSITIVE };
    let stored_weight = i16::try_from(weight).map_err(|_| RANGE)?;
    put_header(count, stored_weight, sign, display_scale, out);
    for group in (lowest..=weight).rev() {
        let value = (0..4)
            .rev()
            .fold(0, |value, i| value * 10 + decimal.digit(group * 4 + i));
        out.extend_from_slice(&value.to_be_bytes());
    }
    Ok(())
}

/// Whether a number that is already known to be well formed fits a `numeric` without precision:
/// `jsonb` stores its numbers so.
pub(super) fn fits(text: &[u8]) -> bool {
    Decimal::parse(text).is_ok_and(|decimal| {
        decimal.natural_scale() <= MAX_DISPLAY_SCALE
            && decimal.powers().is_none_or(|(first, _)| first <= MAX_POWER)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str, precision: Option<(u16, i16)>) -> Result<Vec<u16>, Fault> {
        let precision = precision.map(|(precision, scale)| Precision { precision, scale });
        let mut out = Vec::new();
        put_numeric(text.as_bytes(), precision, &mut out)?;
        // The short and the general path must agree wherever both apply.
        let mut general = Vec::new();
        put_any(text.as_bytes(), precision, &mut general)?;
        assert_eq!(out, general, "{text:?}");
        assert_eq!(
            out[..4],
            u32::try_from(out.len() - 4).unwrap().to_be_bytes()
        );
        Ok(out[4..]
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect())
    }

    #[test]
    fn digits_are_grouped_around_the_point() {
        let minus_one = (-1_i16).cast_unsigned();
        assert_eq!(put("12.50", None), Ok(vec![2, 0, POSITIVE, 2, 12, 5000]));
        assert_eq!(put("-1", None), Ok(vec![1, 0, NEGATIVE, 0, 1]));
        assert_eq!(put("0.05", None), Ok(vec![1, minus_one, POSITIVE, 2, 500]));
        assert_eq!(put("10000", None), Ok(vec![1, 1, POSITIVE, 0, 1]));
        assert_eq!(put("120000000", None), Ok(vec![2, 2, POSITIVE, 0, 1, 2000]));
        assert_eq!(put("10000.0000", None), Ok(vec![1, 1, POSITIVE, 4, 1]));
        assert_eq!(
            put("100000000.5", None),
            Ok(vec![4, 2, 0, 1, 1, 0, 0, 5000])
        );
        assert_eq!(put("-0.00", None), Ok(vec![0, 0, POSITIVE, 2]));
        assert_eq!(
            put("0.00000001", None),
            Ok(vec![1, (-2_i16).cast_unsigned(), 0, 8, 1])
        );
        assert_eq!(
            put("9999999999999.999", None),
            Ok(vec![5, 3, 0, 3, 9, 9999, 9999, 9999, 9990])
        );
    }

    #[test]
    fn exponents_points_and_words() {
        assert_eq!(put("1.5e3", None), Ok(vec![1, 0, 0, 0, 1500]));
        assert_eq!(put("15e-1", None), Ok(vec![2, 0, 0, 1, 1, 5000]));
        assert_eq!(put(" +.5 ", None), Ok(vec![1, u16::MAX, 0, 1, 5000]));
        assert_eq!(put("5.", None), Ok(vec![1, 0, 0, 0, 5]));
        assert_eq!(put("nan", Some((4, 2))), Ok(vec![0, 0, NAN, 0]));
        assert_eq!(put("-inf", None), Ok(vec![0, 0, NEGATIVE_INFINITY, 0]));
        for text in [
            "", ".", "-", "e5", "1e", "1e+", "1,5", "1 2", "1.2.3", "--1", "0x1F", "1_0", "+-1",
        ] {
            assert_eq!(
                put(text, None),
                Err(Fault::Syntax(Wanted::Numeric)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn nothing_is_rounded_to_the_scale() {
        let price = Some((6, 2));
        assert_eq!(put("12.5", price), Ok(vec![2, 0, 0, 2, 12, 5000]));
        assert_eq!(put("12.5000000", price), Ok(vec![2, 0, 0, 2, 12, 5000]));
        assert_eq!(put("12.505", price), Err(Fault::Scale(2)));
        assert_eq!(put("9999.99", price), Ok(vec![2, 0, 0, 2, 9999, 9900]));
        let range = Fault::Precision {
            precision: 6,
            scale: 2,
        };
        for text in ["10000", "10000.00", "-123456789012", "inf", "1e400"] {
            assert_eq!(put(text, price), Err(range), "{text:?}");
        }
        assert_eq!(put("00012.50", price), Ok(vec![2, 0, 0, 2, 12, 5000]));
    }

    #[test]
    fn a_scale_may_be_negative_or_beyond_the_precision() {
        assert_eq!(put("12300", Some((3, -2))), Ok(vec![2, 1, 0, 0, 1, 2300]));
        assert_eq!(put("12340", Some((3, -2))), Err(Fault::Scale(-2)));
        assert!(matches!(
            put("100000", Some((3, -2))),
            Err(Fault::Precision { .. })
        ));
        assert_eq!(put("0.0012", Some((2, 4))), Ok(vec![1, u16::MAX, 0, 4, 12]));
        assert!(matches!(
            put("0.01", Some((2, 4))),
            Err(Fault::Precision { .. })
        ));
        assert_eq!(put("0", Some((2, 4))), Ok(vec![0, 0, 0, 4]));
    }

    #[test]
    fn the_limits_of_the_server_hold() {
        assert!(put(&"9".repeat(131_072), None).is_ok());
        assert_eq!(put("1e131072", None), Err(Fault::Range(Wanted::Numeric)));
        assert!(put("1e-16383", None).is_ok());
        assert_eq!(put("1e-16384", None), Err(Fault::Range(Wanted::Numeric)));
        assert_eq!(
            put("1e99999999999", None),
            Err(Fault::Range(Wanted::Numeric))
        );
    }

    #[test]
    fn typmods_of_all_versions_are_read() {
        let typmod = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        for (precision, scale) in [(6, 2), (1000, 1000), (1000, -1000), (3, -2), (2, 4), (1, 0)] {
            assert_eq!(
                Precision::from_typmod(typmod(precision, scale)),
                Some(Precision {
                    precision: u16::try_from(precision).unwrap(),
                    scale: i16::try_from(scale).unwrap()
                })
            );
        }
        assert_eq!(Precision::from_typmod(-1), None);
    }
}
