//! `smallint`, `integer`, `bigint` and `boolean`.
//!
//! In: decimal digits with an optional sign, or a word for a boolean; white space around either
//! is skipped, as the server does.
//! Out: 2, 4, 8 or 1 bytes, big-endian.
//!
//! Newer servers also read `0x1F` and `1_000`; those, `1.0` and `1,000` are refused here.

use super::fault::{Fault, Wanted};
use super::short;

/// Removes the white space that C's `isspace` knows: the server skips it around numbers, dates
/// and booleans. `\x0b` (vertical tab) is what `u8::is_ascii_whitespace` leaves out.
#[inline]
pub(super) fn trim(text: &[u8]) -> &[u8] {
    match text {
        [first, .., last] if !is_space(*first) && !is_space(*last) => text,
        _ => trim_slowly(text),
    }
}

fn trim_slowly(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

/// C's `isspace` in the ASCII range.
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

/// Appends `text` as a `smallint`.
///
/// # Errors
/// Not an integer, or beyond 16 bits.
#[inline]
pub(super) fn put_int2(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let value = i16::try_from(parse(text, Wanted::Smallint)?)
        .map_err(|_| Fault::Range(Wanted::Smallint))?;
    let [a, b] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 2, a, b]);
    Ok(())
}

/// Appends `text` as an `integer`.
///
/// # Errors
/// Not an integer, or beyond 32 bits.
#[inline]
pub(super) fn put_int4(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let value =
        i32::try_from(parse(text, Wanted::Integer)?).map_err(|_| Fault::Range(Wanted::Integer))?;
    let [a, b, c, d] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 4, a, b, c, d]);
    Ok(())
}

/// Appends `text` as a `bigint`.
///
/// # Errors
/// Not an integer, or beyond 64 bits.
#[inline]
pub(super) fn put_int8(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let [a, b, c, d, e, f, g, h] = parse(text, Wanted::Bigint)?.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
    Ok(())
}

#[inline]
fn parse(text: &[u8], wanted: Wanted) -> Result<i64, Fault> {
    match short::integer(text) {
        Some(value) => Ok(i64::from(value)),
        None => parse_any(text, wanted),
    }
}

/// A sign, white space, or more than eight digits.
fn parse_any(text: &[u8], wanted: Wanted) -> Result<i64, Fault> {
    let text = trim(text);
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return Err(Fault::Syntax(wanted));
    }
    let magnitude = if digits.len() <= 18 {
        let mut value = 0_u64;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(Fault::Syntax(wanted));
            }
            value = value * 10 + u64::from(digit);
        }
        value
    } else {
        parse_long(digits, wanted)?
    };
    // The magnitude of the smallest bigint is one more than that of the largest.
    let value = if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        0_i64.checked_add_unsigned(magnitude)
    };
    value.ok_or(Fault::Range(wanted))
}

/// 19 digits and more: close to the limit, or leading zeros.
fn parse_long(digits: &[u8], wanted: Wanted) -> Result<u64, Fault> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Syntax(wanted));
    }
    digits
        .iter()
        .try_fold(0_u64, |value, byte| {
            value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
        })
        .ok_or(Fault::Range(wanted))
}

/// Appends `text` as a `boolean`: the server's words, any prefix of them that is not also a
/// prefix of the opposite, in any case.
///
/// # Errors
/// None of the words.
#[inline]
pub(super) fn put_bool(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let value = match text {
        [letter] => LETTERS[usize::from(*letter)],
        _ => bool_word(trim(text)),
    };
    let value = value.ok_or(Fault::Syntax(Wanted::Boolean))?;
    out.extend_from_slice(&[0, 0, 0, 1, u8::from(value)]);
    Ok(())
}

/// The words of one letter, by letter: a look-up has no branch to guess between yes and no.
pub(super) const LETTERS: [Option<bool>; 256] = {
    let mut letters = [None; 256];
    let (yes, no) = (b"1tTyY", b"0fFnN");
    let mut i = 0;
    while i < yes.len() {
        letters[yes[i] as usize] = Some(true);
        letters[no[i] as usize] = Some(false);
        i += 1;
    }
    letters
};

fn bool_word(word: &[u8]) -> Option<bool> {
    if let [letter] = word {
        return LETTERS[usize::from(*letter)];
    }
    const WORDS: [(&[u8], usize, bool); 6] = [
        (b"true", 1, true),
        (b"false", 1, false),
        (b"yes", 1, true),
        (b"no", 1, false),
        (b"on", 2, true),
        (b"off", 2, false),
    ];
    WORDS
        .iter()
        .find(|(full, shortest, _)| {
            word.len() >= *shortest
                && full
                    .get(..word.len())
                    .is_some_and(|prefix| prefix.eq_ignore_ascii_case(word))
        })
        .map(|(_, _, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int8(text: &str) -> Result<i64, Fault> {
        parse(text.as_bytes(), Wanted::Bigint)
    }

    #[test]
    fn integers_take_a_sign_white_space_and_digits_only() {
        assert_eq!(int8(" +007\t"), Ok(7));
        assert_eq!(int8("-0"), Ok(0));
        assert_eq!(int8("0000000000000000000000001"), Ok(1));
        for text in [
            "", " ", "-", "+-1", "1.0", "1,000", "0x10", "1_0", "1 2", "١", "--1", "1e3",
        ] {
            assert_eq!(int8(text), Err(Fault::Syntax(Wanted::Bigint)), "{text:?}");
        }
    }

    #[test]
    fn integers_keep_their_limits() {
        assert_eq!(int8("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(int8("-9223372036854775808"), Ok(i64::MIN));
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            assert_eq!(int8(text), Err(Fault::Range(Wanted::Bigint)), "{text:?}");
        }
        let mut out = Vec::new();
        assert_eq!(put_int2(b"-32768", &mut out), Ok(()));
        assert_eq!(out, [0, 0, 0, 2, 0x80, 0]);
        assert_eq!(
            put_int2(b"32768", &mut out),
            Err(Fault::Range(Wanted::Smallint))
        );
        assert_eq!(
            put_int4(b"2147483648", &mut out),
            Err(Fault::Range(Wanted::Integer))
        );
    }

    #[test]
    fn booleans_are_the_servers_words_and_their_unique_prefixes() {
        let value = |text: &str| {
            let mut out = Vec::new();
            put_bool(text.as_bytes(), &mut out).map(|()| out[4] == 1)
        };
        for text in ["1", "t", "tr", "TRUE", " yes\n", "Y", "on", "On"] {
            assert_eq!(value(text), Ok(true), "{text:?}");
        }
        for text in ["0", "f", "fals", "FALSE", "no", "N", "of", "off"] {
            assert_eq!(value(text), Ok(false), "{text:?}");
        }
        for text in ["", "o", "truee", "10", "2", "ja", "tt"] {
            assert_eq!(value(text), Err(Fault::Syntax(Wanted::Boolean)), "{text:?}");
        }
    }
}
