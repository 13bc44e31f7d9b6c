//! How values of Parquet are spelled for PostgreSQL.
//!
//! In: a column's types, then its values. Out: text that the server's own input functions read.
//! <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md> says what each type means.
//!
//! Nothing is rounded: nanoseconds keep nine digits, and a column that cannot hold them rejects
//! them. A timestamp that is an instant ends with its offset, `+00`; one that is a reading of a clock
//! has none.

use super::super::calendar::{put_date, put_time, put_timestamp};
use super::columns::Raw;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::schema::types::ColumnDescriptor;
use std::io::Write;

/// Digits behind the point of a numeric, at most; a file can claim billions, and each value would
/// have them. <https://www.postgresql.org/docs/current/datatype-numeric.html>
const MOST_SCALE: usize = 16_383;

/// What the stored values of a column mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spelling {
    /// As stored: booleans, integers, floats.
    Plain,
    Unsigned,
    Text,
    Bytes,
    Decimal {
        scale: usize,
    },
    Date,
    /// Nanoseconds in its unit.
    Time {
        unit: i128,
    },
    Timestamp {
        unit: i128,
        instant: bool,
    },
    Uuid,
    Interval,
    Half,
}

impl Spelling {
    /// How the values of a column are spelled.
    ///
    /// # Errors
    /// What is wrong with its type, as the end of a sentence.
    pub fn of(column: &ColumnDescriptor) -> Result<Spelling, String> {
        let physical = column.physical_type();
        let decimal = |scale: i32| -> Result<Spelling, String> {
            let scale = usize::try_from(scale).map_err(|_| "is a decimal of negative scale")?;
            if scale > MOST_SCALE {
                return Err("is a decimal of more places than a numeric has".into());
            }
            Ok(Spelling::Decimal { scale })
        };
        let spelling = match column.logical_type_ref() {
            Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => Spelling::Text,
            Some(LogicalType::Decimal(decimal_type)) => decimal(decimal_type.scale)?,
            Some(LogicalType::Date) => Spelling::Date,
            Some(LogicalType::Time(time)) => Spelling::Time {
                unit: nanos(&time.unit),
            },
            Some(LogicalType::Timestamp(timestamp)) => Spelling::Timestamp {
                unit: nanos(&timestamp.unit),
                instant: timestamp.is_adjusted_to_u_t_c,
            },
            Some(LogicalType::Integer(integer)) if !integer.is_signed => Spelling::Unsigned,
            Some(LogicalType::Uuid) => Spelling::Uuid,
            Some(LogicalType::Float16) => Spelling::Half,
            Some(LogicalType::Integer(_) | LogicalType::Unknown) => Spelling::Plain,
            Some(LogicalType::Bson | LogicalType::Geometry(_) | LogicalType::Geography(_)) => {
                Spelling::Bytes
            }
            Some(_) => return Err("has a type that is not known".into()),
            None => match column.converted_type() {
                ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Spelling::Text,
                ConvertedType::DECIMAL => decimal(column.type_scale())?,
                ConvertedType::DATE => Spelling::Date,
                ConvertedType::TIME_MILLIS => Spelling::Time { unit: 1_000_000 },
                ConvertedType::TIME_MICROS => Spelling::Time { unit: 1_000 },
                ConvertedType::TIMESTAMP_MILLIS => Spelling::Timestamp {
                    unit: 1_000_000,
                    instant: true,
                },
                ConvertedType::TIMESTAMP_MICROS => Spelling::Timestamp {
                    unit: 1_000,
                    instant: true,
                },
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64 => Spelling::Unsigned,
                ConvertedType::INTERVAL => Spelling::Interval,
                _ => match physical {
                    Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => Spelling::Bytes,
                    Physical::INT96 => Spelling::Timestamp {
                        unit: 1,
                        instant: false,
                    },
                    _ => Spelling::Plain,
                },
            },
        };
        Ok(spelling)
    }

    /// The stored bytes are the text.
    pub fn is_text(self) -> bool {
        self == Spelling::Text
    }

    /// The text holds nothing that would have to be escaped.
    pub fn is_plain(self) -> bool {
        !matches!(self, Spelling::Text | Spelling::Bytes)
    }

    /// Appends a value.
    ///
    /// # Errors
    /// Why it has no spelling, as the end of a sentence about it.
    pub fn put(self, raw: &Raw<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
        const MISMATCH: &str = "is not stored as its type is stored";
        match (self, raw) {
            (Spelling::Plain, Raw::Bool(value)) => {
                out.extend_from_slice(if *value { b"true" } else { b"false" });
            }
            (Spelling::Plain, Raw::Int32(value)) => put_integer(i128::from(*value), out),
            (Spelling::Plain, Raw::Int64(value)) => put_integer(i128::from(*value), out),
            (Spelling::Plain, Raw::Float(value)) => put_float(*value, f64::from(*value), out),
            (Spelling::Plain, Raw::Double(value)) => put_float(*value, *value, out),
            (Spelling::Unsigned, Raw::Int32(value)) => put_integer(i128::from(*value as u32), out),
            (Spelling::Unsigned, Raw::Int64(value)) => put_integer(i128::from(*value as u64), out),
            (Spelling::Bytes, Raw::Bytes(bytes)) => put_hex(bytes, out),
            (Spelling::Text, Raw::Bytes(bytes)) => out.extend_from_slice(bytes),
            (Spelling::Decimal { scale }, raw) => put_decimal(raw, scale, out).ok_or(MISMATCH)?,
            (Spelling::Date, Raw::Int32(days)) => put_date(i64::from(*days), out),
            (Spelling::Time { unit }, raw) => {
                let time = integer(raw).ok_or(MISMATCH)? * unit;
                if !(0..86_400_000_000_000).contains(&time) {
                    return Err("is no time of a day");
                }
                put_time(time, out);
            }
            (Spelling::Timestamp { instant, .. }, Raw::Int96(value)) => {
                let [low, high, day] = *value.data() else {
                    return Err(MISMATCH);
                };
                let of_day = i128::from(u64::from(high) << 32 | u64::from(low));
                // Julian days; the epoch is day 2440588.
                let days = i128::from(day) - 2_440_588;
                put_timestamp(days * 86_400_000_000_000 + of_day, zone(instant), out);
            }
            (Spelling::Timestamp { unit, instant }, raw) => {
                let value = integer(raw).ok_or(MISMATCH)?;
                put_timestamp(value * unit, zone(instant), out);
            }
            (Spelling::Uuid, Raw::Bytes(bytes)) if bytes.len() == 16 => {
                for (index, byte) in bytes.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        out.push(b'-');
                    }
                    put_byte(*byte, out);
                }
            }
            (Spelling::Interval, Raw::Bytes(bytes)) => {
                let (words, []) = bytes.as_chunks::<4>() else {
                    return Err(MISMATCH);
                };
                let [months, days, millis] = *words else {
                    return Err(MISMATCH);
                };
                let [months, days, millis] = [months, days, millis].map(u32::from_le_bytes);
                // Nothing is wrong with writing to memory.
                let _ = write!(out, "{months} mons {days} days ");
                put_time(i128::from(millis) * 1_000_000, out);
            }
            (Spelling::Half, Raw::Bytes([low, high])) => {
                let value = half(u16::from_le_bytes([*low, *high]));
                put_float(value, f64::from(value), out);
            }
            _ => return Err(MISMATCH),
        }
        Ok(())
    }
}

fn nanos(unit: &TimeUnit) -> i128 {
    match unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    }
}

fn zone(instant: bool) -> &'static str {
    if instant { "+00" } else { "" }
}

fn integer(raw: &Raw<'_>) -> Option<i128> {
    match raw {
        Raw::Int32(value) => Some(i128::from(*value)),
        Raw::Int64(value) => Some(i128::from(*value)),
        _ => None,
    }
}

fn put_integer(value: i128, out: &mut Vec<u8>) {
    match i64::try_from(value) {
        // Several times quicker.
        Ok(value) => {
            let mut digits = [0; 20];
            let mut at = digits.len();
            let mut rest = value.unsigned_abs();
            loop {
                at -= 1;
                digits[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
                if rest == 0 {
                    break;
                }
            }
            if value < 0 {
                out.push(b'-');
            }
            out.extend_from_slice(&digits[at..]);
        }
        Err(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// The shortest digits that mean this very number.
fn put_float<T: std::fmt::Display + std::fmt::LowerExp>(value: T, size: f64, out: &mut Vec<u8>) {
    let _ = if size.is_nan() {
        write!(out, "NaN")
    } else if size.is_infinite() {
        write!(out, "{}Infinity", if size < 0.0 { "-" } else { "" })
    } else if size == 0.0 || (1e-5..1e15).contains(&size.abs()) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
}

fn put_decimal(raw: &Raw<'_>, scale: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut digits = Vec::new();
    let negative = match raw {
        Raw::Bytes(bytes) => match bytes.len() {
            0 => return None,
            1..=16 => {
                let fill = if bytes[0] & 0x80 == 0 { 0 } else { 0xFF };
                let mut whole = [fill; 16];
                whole[16 - bytes.len()..].copy_from_slice(bytes);
                let value = i128::from_be_bytes(whole);
                let _ = write!(digits, "{}", value.unsigned_abs());
                value < 0
            }
            _ => large(bytes, &mut digits),
        },
        _ => {
            let value = integer(raw)?;
            put_integer(value.abs(), &mut digits);
            value < 0
        }
    };
    if negative {
        out.push(b'-');
    }
    let whole = digits.len().saturating_sub(scale);
    match whole {
        0 => out.push(b'0'),
        _ => out.extend_from_slice(&digits[..whole]),
    }
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[whole..]);
    }
    Some(())
}

/// The digits of a number of any length, big-endian in two's complement; true if it is negative.
fn large(bytes: &[u8], digits: &mut Vec<u8>) -> bool {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut rest = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in rest.iter_mut().rev() {
            let (value, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (value, over);
        }
    }
    while rest.iter().any(|byte| *byte != 0) {
        let mut remainder = 0_u32;
        for byte in &mut rest {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 10) as u8;
            remainder = value % 10;
        }
        digits.push(b'0' + remainder as u8);
    }
    if digits.is_empty() {
        digits.push(b'0');
    }
    digits.reverse();
    negative
}

fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        put_byte(*byte, out);
    }
}

fn put_byte(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 0xF)]);
}

/// A float of 16 bits: 1 of sign, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f32::from(bits & 0x3FF));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        0x1F if fraction == 0.0 => f32::INFINITY,
        0x1F => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}
