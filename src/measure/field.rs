//! What a field of a row is, and how its bytes become a number or a day.

use crate::encode::Type;

/// What is kept in a column, as far as measuring it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// `smallint`, `integer`, `bigint`.
    Integer,
    /// `numeric`, whose values bring their own scale.
    Decimal,
    /// `numeric(p,s)`.
    ScaledDecimal,
    /// `real`, `double precision`.
    Float,
    Text,
    /// `char(n)`.
    PaddedText,
    /// `date`.
    Day,
    /// `timestamp` and `timestamptz`.
    Time,
    /// Counted and hashed only.
    Other,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldShape {
    pub name: String,
    pub kind: FieldKind,
    /// From 1 for those of the primary key.
    pub key: usize,
}

impl FieldKind {
    /// What the load of a column of this type can measure; `None` where the server stores other bytes than
    /// it was sent, as it does with the keys of a `jsonb`.
    pub fn of(ty: &Type) -> Option<FieldKind> {
        Some(match ty {
            Type::Int2 | Type::Int4 | Type::Int8 => FieldKind::Integer,
            Type::Float4 | Type::Float8 => FieldKind::Float,
            Type::Numeric(None) => FieldKind::Decimal,
            Type::Numeric(Some(_)) => FieldKind::ScaledDecimal,
            Type::Text | Type::Varchar(_) | Type::Name => FieldKind::Text,
            Type::Bpchar(_) => FieldKind::PaddedText,
            Type::Date => FieldKind::Day,
            Type::Timestamp(_) | Type::Timestamptz { .. } => FieldKind::Time,
            Type::Bool
            | Type::Time(_)
            | Type::Interval(_)
            | Type::Uuid
            | Type::Json
            | Type::Bytea
            | Type::Inet
            | Type::Cidr
            | Type::Enum(_) => FieldKind::Other,
            Type::Jsonb => return None,
            Type::Array { element, .. } => match **element {
                Type::Numeric(_) | Type::Bpchar(_) | Type::Jsonb | Type::Array { .. } => {
                    return None;
                }
                _ => FieldKind::Other,
            },
        })
    }

    /// Whether a smallest and a largest value say something.
    pub fn has_order(self) -> bool {
        self != FieldKind::Other
    }
}

/// A number as far as its figures need it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// NaN and infinities as such.
    pub value: f64,
    pub has_fraction: bool,
}

/// Returns the number of a field; `None` for bytes that are none.
pub fn number(kind: FieldKind, value: &[u8]) -> Option<Number> {
    let whole = |value: f64| Number {
        value,
        has_fraction: false,
    };
    match kind {
        FieldKind::Integer => Some(whole(integer(value)? as f64)),
        FieldKind::Float => {
            let value = match value.len() {
                4 => f64::from(f32::from_be_bytes(value.try_into().ok()?)),
                _ => f64::from_be_bytes(value.try_into().ok()?),
            };
            Some(Number {
                value,
                has_fraction: value.is_finite() && value.fract() != 0.0,
            })
        }
        FieldKind::Decimal | FieldKind::ScaledDecimal => decimal(value),
        _ => None,
    }
}

fn integer(value: &[u8]) -> Option<i64> {
    Some(match value.len() {
        2 => i64::from(i16::from_be_bytes(value.try_into().ok()?)),
        4 => i64::from(i32::from_be_bytes(value.try_into().ok()?)),
        _ => i64::from_be_bytes(value.try_into().ok()?),
    })
}

/// `numeric_send` in `src/backend/utils/adt/numeric.c`: the count of base-10000 digits, the weight of the
/// first, the sign, the scale, the digits.
fn decimal(value: &[u8]) -> Option<Number> {
    let (head, digits) = value.split_first_chunk::<8>()?;
    let weight = i32::from(i16::from_be_bytes([head[2], head[3]]));
    let sign = u16::from_be_bytes([head[4], head[5]]);
    let special = |value| {
        Some(Number {
            value,
            has_fraction: false,
        })
    };
    match sign {
        0xc000 => return special(f64::NAN),
        0xd000 => return special(f64::INFINITY),
        0xf000 => return special(f64::NEG_INFINITY),
        _ => {}
    }
    let (mut magnitude, mut has_fraction) = (0.0, false);
    for (place, digit) in (0_i32..).zip(digits.chunks_exact(2)) {
        let digit = u16::from_be_bytes([digit[0], digit[1]]);
        let power = weight - place;
        has_fraction |= power < 0 && digit != 0;
        magnitude += f64::from(digit) * 10_000_f64.powi(power);
    }
    Some(Number {
        value: if sign == 0 { magnitude } else { -magnitude },
        has_fraction,
    })
}

/// Days from 1970 to 2000, where the server's count of days begins.
const DAYS_TO_2000: f64 = 10_957.0;
const MICROSECONDS_OF_A_DAY: f64 = 86_400e6;

/// Days since 1970; `None` for infinities and for bytes that are no day.
pub fn day(kind: FieldKind, value: &[u8]) -> Option<f64> {
    match kind {
        FieldKind::Day => {
            let days = i32::from_be_bytes(value.try_into().ok()?);
            let finite = days != i32::MAX && days != i32::MIN;
            finite.then(|| f64::from(days) + DAYS_TO_2000)
        }
        FieldKind::Time => {
            let time = i64::from_be_bytes(value.try_into().ok()?);
            let finite = time != i64::MAX && time != i64::MIN;
            finite.then(|| time as f64 / MICROSECONDS_OF_A_DAY + DAYS_TO_2000)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: &Type, text: &str) -> Number {
        let mut bytes = Vec::new();
        ty.encode(text.as_bytes(), &mut bytes).unwrap();
        number(FieldKind::of(ty).unwrap(), &bytes[4..]).unwrap()
    }

    #[test]
    fn numbers_are_read_from_their_bytes() {
        let cases = [
            (Type::Int2, "-7", -7.0, false),
            (Type::Int8, "9000000000", 9e9, false),
            (Type::Float4, "0.5", 0.5, true),
            (Type::Float8, "-1e300", -1e300, false),
            (Type::Numeric(None), "-123456.75", -123_456.75, true),
            (Type::Numeric(None), "20000", 20_000.0, false),
            (Type::Numeric(None), "7.00", 7.0, false),
            (Type::Numeric(None), "0.00001", 0.00001, true),
            (Type::Numeric(None), "0", 0.0, false),
        ];
        for (ty, text, value, has_fraction) in cases {
            let found = read(&ty, text);
            assert!(
                (found.value - value).abs() <= value.abs() * 1e-9,
                "{text}: {found:?}"
            );
            assert_eq!(found.has_fraction, has_fraction, "{text}");
        }
        assert!(read(&Type::Numeric(None), "NaN").value.is_nan());
        assert!(read(&Type::Float8, "-Infinity").value.is_infinite());
    }

    #[test]
    fn days_count_from_1970() {
        let of = |ty: Type, text: &str| {
            let mut bytes = Vec::new();
            ty.encode(text.as_bytes(), &mut bytes).unwrap();
            day(FieldKind::of(&ty).unwrap(), &bytes[4..])
        };
        assert_eq!(of(Type::Date, "1970-01-02"), Some(1.0));
        assert_eq!(of(Type::Timestamp(6), "1970-01-01 12:00:00"), Some(0.5));
        assert_eq!(of(Type::Date, "infinity"), None);
    }
}
