//! Keys of rows: bytes that compare with `memcmp` as the server compares the values.
//!
//! In: rows of binary COPY, and which of their fields to sort by. Out: one string of bytes a row.
//! Every field is written so that it ends itself (no field's bytes begin another's), which is why
//! fields can stand one after the other. Nulls come last, as in `order by` and in an index.
//!
//! Text compares by its bytes, as under the collation "C"; under another collation the order is
//! not that of the index. The forms of the values are those of the types' send functions in
//! PostgreSQL's `src/backend/utils/adt/`.

use crate::encode::Type;
use crate::encode::row::{RowFields, fields};

/// Stands before a value whose own first byte may be anything.
const PRESENT: u8 = 0x01;
/// Greater than the first byte of any value: text is UTF-8, which has no byte above 0xF4.
const NULL: u8 = 0xFE;
/// Greater than any key.
pub(super) const BEYOND_ALL: u8 = 0xFF;
/// Ends a text, which holds no NUL.
const END: u8 = 0x00;

/// Which fields rows are sorted by, and how each compares.
#[derive(Debug, Clone)]
pub struct SortKey {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// Index among the columns of the COPY.
    column: usize,
    form: Form,
}

/// How the bytes of a value give its order.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Two's complement of any width; dates and times count from 2000, infinities are its ends.
    Signed,
    /// A fixed number of bytes that compare as they are.
    Plain,
    Float4,
    Float8,
    Text,
    /// Text without the spaces at its end.
    Padded,
    Bytea,
    Numeric,
}

/// Why rows cannot be sorted by a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no column to sort by")]
    Empty,
    #[error("rows cannot be sorted by type `{type_name}`: {reason}")]
    Type {
        /// As given: its index among the columns of the COPY.
        column: usize,
        type_name: String,
        reason: &'static str,
    },
}

impl SortKey {
    /// The key of these columns, the first one counting most; each is the index of a field in the
    /// row, and its type.
    ///
    /// # Errors
    /// No column, or one of a type whose order its bytes do not give.
    pub fn new(columns: &[(usize, &Type)]) -> Result<SortKey, KeyError> {
        if columns.is_empty() {
            return Err(KeyError::Empty);
        }
        let part = |&(column, type_): &(usize, &Type)| match form(type_) {
            Ok(form) => Ok(Part { column, form }),
            Err(reason) => Err(KeyError::Type {
                column,
                type_name: type_.sql_name(),
                reason,
            }),
        };
        let parts = columns.iter().map(part).collect::<Result<_, _>>()?;
        Ok(SortKey { parts })
    }

    /// Appends the key of the row at the start of `row`. A field that is not there, or is no value
    /// of its type, counts as a null.
    #[inline]
    pub fn write(&self, row: &[u8], out: &mut Vec<u8>) {
        let mut left: RowFields<'_> = fields(row);
        let mut next = 0;
        for part in &self.parts {
            if part.column < next {
                (left, next) = (fields(row), 0);
            }
            let value = left.nth(part.column - next).flatten();
            next = part.column + 1;
            if value
                .and_then(|value| part.form.write(value, out))
                .is_none()
            {
                out.push(NULL);
            }
        }
    }
}

fn form(type_: &Type) -> Result<Form, &'static str> {
    Ok(match type_ {
        Type::Int2
        | Type::Int4
        | Type::Int8
        | Type::Date
        | Type::Time(_)
        | Type::Timestamp(_)
        | Type::Timestamptz { .. } => Form::Signed,
        Type::Bool | Type::Uuid => Form::Plain,
        Type::Float4 => Form::Float4,
        Type::Float8 => Form::Float8,
        Type::Text | Type::Varchar(_) | Type::Name => Form::Text,
        Type::Bpchar(_) => Form::Padded,
        Type::Bytea => Form::Bytea,
        Type::Numeric(_) => Form::Numeric,
        Type::Enum(_) => return Err("its labels order as declared, which the rows do not tell"),
        Type::Json => return Err("the server has no order for it"),
        Type::Jsonb => return Err("it orders by structure, not by text"),
        Type::Array { .. } => return Err("arrays order element by element"),
        Type::Interval(_) => return Err("equal intervals are spelled in different ways"),
        Type::Inet | Type::Cidr => return Err("networks order by their masks"),
    })
}

impl Form {
    /// Appends a value; None if it has not the width of its type, and then nothing was appended.
    #[inline]
    fn write(self, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match self {
            Form::Signed => match value.len() {
                4 => put(u32::from_be_bytes(*value.first_chunk()?) ^ (1 << 31), out),
                8 => put_wide(u64::from_be_bytes(*value.first_chunk()?) ^ (1 << 63), out),
                _ => {
                    let (first, rest) = value.split_first()?;
                    out.extend_from_slice(&[PRESENT, first ^ 0x80]);
                    out.extend_from_slice(rest);
                }
            },
            Form::Plain => {
                out.push(PRESENT);
                out.extend_from_slice(value);
            }
            Form::Float4 => {
                let value = f32::from_be_bytes(value.try_into().ok()?);
                let bits = (value + 0.0).to_bits();
                put(
                    match bits >> 31 {
                        _ if value.is_nan() => u32::MAX,
                        0 => bits | (1 << 31),
                        _ => !bits,
                    },
                    out,
                );
            }
            Form::Float8 => {
                let value = f64::from_be_bytes(value.try_into().ok()?);
                // Adding 0 makes a zero of -0, which the server holds equal.
                let bits = (value + 0.0).to_bits();
                put_wide(
                    match bits >> 63 {
                        _ if value.is_nan() => u64::MAX,
                        0 => bits | (1 << 63),
                        _ => !bits,
                    },
                    out,
                );
            }
            Form::Text => {
                out.extend_from_slice(value);
                out.push(END);
            }
            Form::Padded => {
                let spaces = value.iter().rev().take_while(|byte| **byte == b' ').count();
                out.extend_from_slice(value.get(..value.len() - spaces)?);
                out.push(END);
            }
            Form::Bytea => {
                out.push(PRESENT);
                // A zero goes on with 0xFF where the end goes on with a zero.
                for byte in value {
                    out.push(*byte);
                    if *byte == 0 {
                        out.push(0xFF);
                    }
                }
                out.extend_from_slice(&[0, 0]);
            }
            Form::Numeric => put_numeric(value, out)?,
        }
        Some(())
    }
}

fn put(bits: u32, out: &mut Vec<u8>) {
    let [a, b, c, d] = bits.to_be_bytes();
    out.extend_from_slice(&[PRESENT, a, b, c, d]);
}

fn put_wide(bits: u64, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
    out.extend_from_slice(&[PRESENT, a, b, c, d, e, f, g, h]);
}

/// Where kinds of numerics stand to each other: the server puts NaN above infinity.
mod kind {
    pub const NEGATIVE_INFINITY: u8 = 1;
    pub const NEGATIVE: u8 = 2;
    pub const ZERO: u8 = 3;
    pub const POSITIVE: u8 = 4;
    pub const INFINITY: u8 = 5;
    pub const NAN: u8 = 6;
}

/// Appends the kind, the weight and the base-10000 digits, ended by a word below every digit. Of
/// a negative number the magnitude is written inverted. The display scale does not count: 1.0 and
/// 1.00 are equal.
fn put_numeric(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (header, digits) = value.split_first_chunk::<8>()?;
    let [_, _, w0, w1, s0, s1, _, _] = *header;
    let (kind, flip) = match u16::from_be_bytes([s0, s1]) {
        0x0000 => (kind::POSITIVE, 0x0000),
        0x4000 => (kind::NEGATIVE, 0xFFFF),
        0xC000 => return put_kind(kind::NAN, out),
        0xD000 => return put_kind(kind::INFINITY, out),
        0xF000 => return put_kind(kind::NEGATIVE_INFINITY, out),
        _ => return None,
    };
    let mut digits = digits.as_chunks::<2>().0;
    let mut weight = i16::from_be_bytes([w0, w1]);
    // The encoder writes no zeros at either end; the order would hang on them.
    while let [[0, 0], rest @ ..] = digits {
        (digits, weight) = (rest, weight.wrapping_sub(1));
    }
    while let [rest @ .., [0, 0]] = digits {
        digits = rest;
    }
    if digits.is_empty() {
        return put_kind(kind::ZERO, out);
    }
    let weight = weight.cast_unsigned() ^ (1 << 15);
    out.push(kind);
    out.extend_from_slice(&(weight ^ flip).to_be_bytes());
    for digit in digits {
        let above_end = u16::from_be_bytes(*digit).saturating_add(1);
        out.extend_from_slice(&(above_end ^ flip).to_be_bytes());
    }
    out.extend_from_slice(&flip.to_be_bytes());
    Some(())
}

fn put_kind(kind: u8, out: &mut Vec<u8>) -> Option<()> {
    out.push(kind);
    Some(())
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
