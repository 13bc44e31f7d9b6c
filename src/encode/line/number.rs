//! Numbers as text.
//!
//! A `numeric` of a column without precision keeps the digits behind its point, which are part of
//! the value. In a column with a scale the server adds them, so zeros at the end are not sent.
//! Runs of zeros that the file had as an exponent stay one: `1e-1000` must not become 1000 digits.

use std::fmt::Debug;
use std::io::Write;

/// Appends a whole number.
#[inline]
pub(super) fn put_whole(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    put_digits(value.unsigned_abs(), out);
}

#[inline]
fn put_digits(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        first = place;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// Appends a `real` or `double precision` with the fewest digits that give exactly it again.
pub(super) fn put_float(
    value: impl Debug + PartialOrd + From<f32>,
    infinite: bool,
    out: &mut Vec<u8>,
) -> Option<()> {
    if infinite {
        let negative = value < 0.0_f32.into();
        out.extend_from_slice(if negative { b"-Infinity" } else { b"Infinity" });
        return Some(());
    }
    write!(out, "{value:?}").ok()?;
    if out.ends_with(b".0") {
        out.truncate(out.len() - 2);
    }
    Some(())
}

/// So many zeros in a row are written as an exponent.
const MANY_ZEROS: i32 = 20;

/// Appends a `numeric`: count of groups of four digits, weight of the first, sign, digits behind
/// the point, and the groups. `scaled`: the column says how many digits stand behind the point.
#[inline]
pub(super) fn put_numeric(value: &[u8], scaled: bool, out: &mut Vec<u8>) -> Option<()> {
    let (&[c0, c1, w0, w1, s0, s1, d0, d1], groups) = value.split_first_chunk()?;
    let count = i32::from(u16::from_be_bytes([c0, c1]));
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let scale = i32::from(u16::from_be_bytes([d0, d1]));
    let groups = Groups(groups);
    match u16::from_be_bytes([s0, s1]) {
        0 => {}
        0x4000 => out.push(b'-'),
        0xC000 => return put_word(b"NaN", out),
        0xD000 => return put_word(b"Infinity", out),
        0xF000 => return put_word(b"-Infinity", out),
        _ => return None,
    }
    if groups.count() != count {
        return None;
    }
    if count == 0 {
        return match scale {
            _ if scaled => put_word(b"0", out),
            1.. => put_exponent_or_zeros(scale, out),
            _ => put_word(b"0", out),
        };
    }
    // The power of ten of the last group.
    let power = 4 * (weight + 1 - count);
    if power > MANY_ZEROS && (scaled || scale == 0) {
        groups.put(out);
        return write!(out, "e{power}").ok();
    }
    if 4 * weight < -MANY_ZEROS {
        groups.put(out);
        if scaled {
            return write!(out, "e{power}").ok();
        }
        // Exactly as many digits as stand behind the point: zeros more or less than the groups have.
        for _ in 0..power + scale {
            out.push(b'0');
        }
        for _ in 0..-(power + scale) {
            out.pop();
        }
        return write!(out, "e-{scale}").ok();
    }
    match weight {
        0.. => {
            put_digits(groups.get(0).into(), out);
            for place in 1..=weight {
                out.extend_from_slice(&four_digits(groups.get(place)));
            }
        }
        _ if scale == 0 => out.push(b'0'),
        _ => {}
    }
    if scale > 0 {
        put_fraction(&groups, weight, scale, scaled, out);
    }
    Some(())
}

/// The point and what stands behind it.
#[inline]
fn put_fraction(groups: &Groups, weight: i32, scale: i32, scaled: bool, out: &mut Vec<u8>) {
    let point = out.len();
    out.push(b'.');
    let stored = 4 * (groups.count() - 1 - weight);
    // Beyond the groups there are only zeros.
    let written = if scaled { scale.min(stored) } else { scale };
    for place in 0..(written.max(0) + 3) / 4 {
        out.extend_from_slice(&four_digits(groups.get(weight + 1 + place)));
    }
    out.truncate(point + 1 + written.max(0) as usize);
    if scaled {
        while out.ends_with(b"0") && out.len() > point + 1 {
            out.pop();
        }
    }
    if out.ends_with(b".") {
        out.pop();
    }
}

fn put_word(word: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(word);
    Some(())
}

/// Zero with so many digits behind the point.
fn put_exponent_or_zeros(scale: i32, out: &mut Vec<u8>) -> Option<()> {
    if scale > MANY_ZEROS {
        return write!(out, "0e-{scale}").ok();
    }
    out.extend_from_slice(b"0.");
    out.resize(out.len() + scale as usize, b'0');
    Some(())
}

/// Groups of four digits.
struct Groups<'v>(&'v [u8]);

impl Groups<'_> {
    fn count(&self) -> i32 {
        (self.0.len() / 2) as i32
    }

    /// A group; those before the first and behind the last are zero.
    #[inline]
    fn get(&self, place: i32) -> u16 {
        let bytes = usize::try_from(place)
            .ok()
            .and_then(|place| self.0.get(2 * place..)?.first_chunk());
        bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
    }

    /// All of them as one whole number.
    fn put(&self, out: &mut Vec<u8>) {
        put_digits(self.get(0).into(), out);
        for place in 1..self.count() {
            out.extend_from_slice(&four_digits(self.get(place)));
        }
    }
}

#[inline]
fn four_digits(group: u16) -> [u8; 4] {
    let digit = |power: u16| b'0' + (group / power % 10) as u8;
    [digit(1000), digit(100), digit(10), digit(1)]
}
