//! Key values in a form that compares as the server compares them.
//!
//! In: the binary value of one field and the [`KeyType`] of its column. Out: a [`Value`] that
//! borrows from the row, or its hash. Values of different texts that the server takes for equal
//! (-0 and 0, 1.0 and 1.00, `char` with and without trailing spaces) are equal here as well.
//! Bytes that are no value of the type give `None`.

use super::hash;
use crate::encode::Type;
use std::cmp::Ordering;

/// What is known of the type of a key column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyType {
    Bool,
    Int2,
    /// `integer` and `date`.
    Int4,
    /// `bigint`, `time` and the timestamps, which are microseconds.
    Int8,
    Float4,
    Float8,
    Numeric,
    /// `text`, `varchar`, `name`, `bytea`, `uuid`: the bytes themselves.
    Bytes,
    /// Trailing spaces do not count.
    Bpchar,
    Interval,
    /// Only for hashing.
    Inet,
    Enum(Box<[Label]>),
}

/// A label of an enum, in a list sorted by `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub text: String,
    /// What the server hashes; it differs between databases.
    pub oid: u32,
    /// Its place in the order of the type.
    pub rank: u32,
}

impl KeyType {
    /// The key type of a column's type, with the labels of an enum; None if it has none.
    pub fn new(ty: &Type, mut labels: Vec<Label>) -> Option<KeyType> {
        Some(match ty {
            Type::Bool => KeyType::Bool,
            Type::Int2 => KeyType::Int2,
            Type::Int4 | Type::Date => KeyType::Int4,
            Type::Int8 | Type::Time(_) | Type::Timestamp(_) | Type::Timestamptz { .. } => {
                KeyType::Int8
            }
            Type::Float4 => KeyType::Float4,
            Type::Float8 => KeyType::Float8,
            Type::Numeric(_) => KeyType::Numeric,
            Type::Text | Type::Varchar(_) | Type::Name | Type::Bytea | Type::Uuid => KeyType::Bytes,
            Type::Bpchar(_) => KeyType::Bpchar,
            Type::Interval(_) => KeyType::Interval,
            Type::Inet | Type::Cidr => KeyType::Inet,
            Type::Enum(_) => {
                labels.sort_unstable_by(|a, b| a.text.cmp(&b.text));
                KeyType::Enum(labels.into())
            }
            Type::Json | Type::Jsonb | Type::Array { .. } => return None,
        })
    }

    /// Says whether values are 64-bit integers, in their order.
    pub fn is_integer(&self) -> bool {
        match self {
            KeyType::Bool
            | KeyType::Int2
            | KeyType::Int4
            | KeyType::Int8
            | KeyType::Float4
            | KeyType::Float8
            | KeyType::Enum(_) => true,
            KeyType::Numeric
            | KeyType::Bytes
            | KeyType::Bpchar
            | KeyType::Interval
            | KeyType::Inet => false,
        }
    }

    /// The value of a field that is not null, of a type whose values are 64-bit integers.
    #[inline]
    pub fn integer(&self, field: &[u8]) -> Option<i64> {
        Some(match self {
            KeyType::Bool => u8::from_be_bytes(fixed(field)?).into(),
            KeyType::Int2 => i16::from_be_bytes(fixed(field)?).into(),
            KeyType::Int4 => i32::from_be_bytes(fixed(field)?).into(),
            KeyType::Int8 => i64::from_be_bytes(fixed(field)?),
            KeyType::Float4 => float_order(f32::from_be_bytes(fixed(field)?).into()),
            KeyType::Float8 => float_order(f64::from_be_bytes(fixed(field)?)),
            KeyType::Enum(labels) => label(labels, field)?.rank.into(),
            _ => return None,
        })
    }

    /// The value of a field that is not null.
    #[inline]
    pub fn value<'r>(&self, field: &'r [u8]) -> Option<Value<&'r [u8]>> {
        Some(match self {
            KeyType::Numeric => Value::Number(Number::parse(field)?),
            KeyType::Bytes => Value::Bytes(field),
            KeyType::Bpchar => Value::Bytes(without_spaces(field)),
            KeyType::Interval => Value::Int(interval_span(field)?),
            KeyType::Inet => return None,
            _ => Value::Int(self.integer(field)?.into()),
        })
    }

    /// The server's hash of a field that is not null: what the support function of the type's
    /// default hash operator class returns for the seed of hash partitioning.
    #[inline]
    pub fn hash(&self, field: &[u8]) -> Option<u64> {
        Some(match self {
            KeyType::Bool => hash::word(u8::from_be_bytes(fixed(field)?).into()),
            KeyType::Int2 => hash::word(i32::from(i16::from_be_bytes(fixed(field)?)) as u32),
            KeyType::Int4 => hash::word(u32::from_be_bytes(fixed(field)?)),
            KeyType::Int8 => hash::long(i64::from_be_bytes(fixed(field)?)),
            KeyType::Float4 => float_hash(f32::from_be_bytes(fixed(field)?).into()),
            KeyType::Float8 => float_hash(f64::from_be_bytes(fixed(field)?)),
            KeyType::Numeric => Number::parse(field)?.hash(),
            KeyType::Bytes => hash::bytes(field),
            KeyType::Bpchar => hash::bytes(without_spaces(field)),
            // The low half of the 128 bits.
            KeyType::Interval => hash::long(interval_span(field)? as i64),
            KeyType::Inet => inet_hash(field)?,
            KeyType::Enum(labels) => hash::word(label(labels, field)?.oid),
        })
    }
}

#[inline]
fn fixed<const N: usize>(field: &[u8]) -> Option<[u8; N]> {
    field.try_into().ok()
}

#[inline]
fn label<'l>(labels: &'l [Label], field: &[u8]) -> Option<&'l Label> {
    let found = labels.binary_search_by(|label| label.text.as_bytes().cmp(field));
    labels.get(found.ok()?)
}

#[inline]
fn without_spaces(field: &[u8]) -> &[u8] {
    let end = field.iter().rposition(|byte| *byte != b' ');
    &field[..end.map_or(0, |last| last + 1)]
}

/// An integer that orders as the server orders floats: NaN after infinity, -0 as 0.
#[inline]
fn float_order(value: f64) -> i64 {
    if value.is_nan() {
        return i64::MAX;
    }
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// `hashfloat8extended`; single precision is widened first.
#[inline]
fn float_hash(value: f64) -> u64 {
    if value == 0.0 {
        return hash::SEED;
    }
    let one = if value.is_nan() {
        0x7FF8_0000_0000_0000
    } else {
        value.to_bits()
    };
    hash::bytes(&one.to_le_bytes())
}

/// Microseconds, with 30 days a month and 24 hours a day: `interval_cmp_value`.
#[inline]
fn interval_span(field: &[u8]) -> Option<i128> {
    let (micros, rest) = field.split_first_chunk()?;
    let (days, months) = rest.split_first_chunk()?;
    let days = i128::from(i32::from_be_bytes(*days));
    let months = i128::from(i32::from_be_bytes(fixed(months)?));
    let micros = i128::from(i64::from_be_bytes(*micros));
    Some(micros + (months * 30 + days) * 86_400_000_000)
}

/// `hashinetextended`: family, bits and address. Sent are two bytes more between them.
fn inet_hash(field: &[u8]) -> Option<u64> {
    let ([family, bits, _, _], address) = field.split_first_chunk::<4>()?;
    let mut key = [0; 18];
    let used = key.get_mut(..2 + address.len())?;
    used[0] = *family;
    used[1] = *bits;
    used[2..].copy_from_slice(address);
    Some(hash::bytes(used))
}

/// A comparable value; `B` holds bytes, borrowed from a row or boxed for a bound.
///
/// Both sides of a comparison come from the same column, so they are of the same form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<B> {
    Int(i128),
    Bytes(B),
    Number(Number<B>),
}

impl<B: AsRef<[u8]>> Value<B> {
    pub fn to_boxed(&self) -> Value<Box<[u8]>> {
        match self {
            Value::Int(value) => Value::Int(*value),
            Value::Bytes(bytes) => Value::Bytes(bytes.as_ref().into()),
            Value::Number(number) => Value::Number(Number {
                class: number.class,
                weight: number.weight,
                digits: number.digits.as_ref().into(),
            }),
        }
    }

    #[inline]
    pub fn compare<C: AsRef<[u8]>>(&self, other: &Value<C>) -> Ordering {
        match (self, other) {
            (Value::Int(one), Value::Int(two)) => one.cmp(two),
            (Value::Bytes(one), Value::Bytes(two)) => one.as_ref().cmp(two.as_ref()),
            (Value::Number(one), Value::Number(two)) => one.compare(two),
            _ => Ordering::Less,
        }
    }
}

/// A `numeric` without leading and trailing zero digits of base 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<B> {
    class: Class,
    /// Power of 10000 of the first digit.
    weight: i32,
    /// Two bytes each, in network order, so that they compare as bytes.
    digits: B,
}

/// In the server's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    NegativeInfinity,
    Negative,
    Zero,
    Positive,
    PositiveInfinity,
    NaN,
}

impl<'r> Number<&'r [u8]> {
    /// Reads what `numeric_send` writes: count of digits, weight, sign, display scale, digits.
    #[inline]
    fn parse(field: &'r [u8]) -> Option<Self> {
        let ([_, _, w1, w2, s1, s2, _, _], digits) = field.split_first_chunk::<8>()?;
        let mut weight = i32::from(i16::from_be_bytes([*w1, *w2]));
        let (pairs, []) = digits.as_chunks::<2>() else {
            return None;
        };
        let special = |class| Number {
            class,
            weight: 0,
            digits: &[][..],
        };
        let class = match u16::from_be_bytes([*s1, *s2]) {
            0x0000 => Class::Positive,
            0x4000 => Class::Negative,
            0xC000 => return Some(special(Class::NaN)),
            0xD000 => return Some(special(Class::PositiveInfinity)),
            0xF000 => return Some(special(Class::NegativeInfinity)),
            _ => return None,
        };
        let Some(first) = pairs.iter().position(|pair| *pair != [0, 0]) else {
            return Some(special(Class::Zero));
        };
        let last = pairs.iter().rposition(|pair| *pair != [0, 0])?;
        weight -= i32::try_from(first).ok()?;
        Some(Number {
            class,
            weight,
            digits: digits.get(2 * first..2 * last + 2)?,
        })
    }

    /// `hash_numeric_extended`.
    #[inline]
    fn hash(&self) -> u64 {
        match self.class {
            Class::Zero => hash::SEED.wrapping_sub(1),
            // The sign does not count.
            Class::Positive | Class::Negative => {
                hash::network_shorts(self.digits) ^ i64::from(self.weight) as u64
            }
            Class::NegativeInfinity | Class::PositiveInfinity | Class::NaN => hash::SEED,
        }
    }
}

impl<B: AsRef<[u8]>> Number<B> {
    #[inline]
    fn compare<C: AsRef<[u8]>>(&self, other: &Number<C>) -> Ordering {
        self.class.cmp(&other.class).then_with(|| {
            let size = self
                .weight
                .cmp(&other.weight)
                .then_with(|| self.digits.as_ref().cmp(other.digits.as_ref()));
            match self.class {
                Class::Negative => size.reverse(),
                _ => size,
            }
        })
    }
}
