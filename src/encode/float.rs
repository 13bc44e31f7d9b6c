//! `real` and `double precision`.
//!
//! In: a decimal number with an optional exponent, `inf`, `infinity` or `nan` in any case; white
//! space around it is skipped.
//! Out: 4 or 8 bytes, IEEE 754, big-endian, rounded to nearest: what the server's `strtof` and
//! `strtod` give.
//!
//! A number too large, or one that would become 0 without being 0, is refused, as the server
//! does. Hexadecimal floats and a signed `nan` are refused although it takes them.

use super::fault::{Fault, Wanted};
use super::integer::trim;

/// Appends `text` as a `real`.
///
/// # Errors
/// Not a number, too large, or too small to differ from 0.
pub(super) fn put_float4(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let value = match parse(text, Wanted::Real)? {
        Parsed::Special(special) => special as f32,
        Parsed::Decimal { text, zero } => {
            let value: f32 = text.parse().map_err(|_| Fault::Syntax(Wanted::Real))?;
            if value.is_infinite() || (value == 0.0 && !zero) {
                return Err(Fault::Range(Wanted::Real));
            }
            value
        }
    };
    let [a, b, c, d] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 4, a, b, c, d]);
    Ok(())
}

/// Appends `text` as a `double precision`.
///
/// # Errors
/// Not a number, too large, or too small to differ from 0.
pub(super) fn put_float8(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let value = match parse(text, Wanted::Double)? {
        Parsed::Special(special) => special,
        Parsed::Decimal { text, zero } => {
            let value: f64 = text.parse().map_err(|_| Fault::Syntax(Wanted::Double))?;
            if value.is_infinite() || (value == 0.0 && !zero) {
                return Err(Fault::Range(Wanted::Double));
            }
            value
        }
    };
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
    Ok(())
}

enum Parsed<'a> {
    Special(f64),
    /// Only digits, signs, a point, an exponent letter; `zero`: no digit of the mantissa is set.
    Decimal {
        text: &'a str,
        zero: bool,
    },
}

fn parse(text: &[u8], wanted: Wanted) -> Result<Parsed<'_>, Fault> {
    let text = trim(text);
    let mut zero = true;
    let mut exponent = false;
    for byte in text {
        match byte {
            b'0' | b'+' | b'-' | b'.' => {}
            b'1'..=b'9' => zero &= exponent,
            b'e' | b'E' => exponent = true,
            _ => return special(text, wanted),
        }
    }
    // Only ASCII got here: the check is a formality that `str::parse` asks for.
    let text = std::str::from_utf8(text).map_err(|_| Fault::Syntax(wanted))?;
    Ok(Parsed::Decimal { text, zero })
}

fn special(text: &[u8], wanted: Wanted) -> Result<Parsed<'_>, Fault> {
    if text.eq_ignore_ascii_case(b"nan") {
        return Ok(Parsed::Special(f64::NAN));
    }
    infinity(text)
        .map(|positive| {
            Parsed::Special(if positive {
                f64::INFINITY
            } else {
                f64::NEG_INFINITY
            })
        })
        .ok_or(Fault::Syntax(wanted))
}

/// Whether `text` is an infinity as the number types spell it, and if so, the positive one.
pub(super) fn infinity(text: &[u8]) -> Option<bool> {
    let (positive, word) = match text {
        [b'-', rest @ ..] => (false, rest),
        [b'+', rest @ ..] => (true, rest),
        _ => (true, text),
    };
    (word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity"))
        .then_some(positive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float8(text: &str) -> Result<f64, Fault> {
        let mut out = Vec::new();
        put_float8(text.as_bytes(), &mut out)?;
        let bytes: [u8; 8] = out[4..].try_into().expect("eight bytes follow the length");
        Ok(f64::from_be_bytes(bytes))
    }

    #[test]
    fn floats_are_decimal_or_one_of_three_words() {
        assert_eq!(float8(" 1.5e3 "), Ok(1500.0));
        assert_eq!(float8(".5"), Ok(0.5));
        assert_eq!(float8("5."), Ok(5.0));
        assert_eq!(float8("-Inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(float8("Infinity"), Ok(f64::INFINITY));
        assert!(float8("nAn").is_ok_and(f64::is_nan));
        assert!(float8("-0").is_ok_and(|value| value == 0.0 && value.is_sign_negative()));
        for text in [
            "", ".", "e5", "1e", "1e+", "0x1p3", "-nan", "1,5", "1 2", "1.2.3", "infinit", "nan(1)",
        ] {
            assert_eq!(float8(text), Err(Fault::Syntax(Wanted::Double)), "{text:?}");
        }
    }

    #[test]
    fn a_float_never_becomes_infinite_or_zero_on_the_way() {
        for text in ["1e309", "-1e309", "1e-400", "0.0000001e-400"] {
            assert_eq!(float8(text), Err(Fault::Range(Wanted::Double)), "{text:?}");
        }
        assert_eq!(float8("4.9e-324"), Ok(f64::from_bits(1)));
        assert_eq!(float8("0e-400"), Ok(0.0));
        assert_eq!(float8("0.000e9"), Ok(0.0));
        let mut out = Vec::new();
        assert_eq!(
            put_float4(b"1e39", &mut out),
            Err(Fault::Range(Wanted::Real))
        );
        assert_eq!(
            put_float4(b"1e-60", &mut out),
            Err(Fault::Range(Wanted::Real))
        );
    }
}
