//! `bytea`: the hexadecimal and the escape format of the PostgreSQL manual, "Binary Data Types".
//!
//! In: `\x` and pairs of digits, or bytes as they are with `\\` for a backslash and `\ooo` for
//! any byte. Out: the bytes.
//!
//! White space between the pairs, which the server skips, is refused.

use super::fault::{Fault, Wanted};

const SYNTAX: Fault = Fault::Syntax(Wanted::Bytea);

/// Appends `text` as a `bytea`; what was written before a fault stays, the caller cuts it off.
///
/// # Errors
/// A pair or an escape is broken, or there is a NUL, which no text literal holds.
pub(super) fn put_bytea(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match text {
        [b'\\', b'x', digits @ ..] => put_hex(digits, out)?,
        _ => put_escaped(text, out)?,
    }
    patch_length(start, out)
}

/// Writes the count of bytes after the length word at `start` into it.
pub(super) fn patch_length(start: usize, out: &mut [u8]) -> Result<(), Fault> {
    let too_long = Fault::Bytes(i32::MAX as u32);
    let length = out.len().saturating_sub(start + 4);
    let length = i32::try_from(length).map_err(|_| too_long)?;
    out.get_mut(start..start + 4)
        .ok_or(too_long)?
        .copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The value of each byte as a hexadecimal digit, 0xFF for those that are none. A table, because
/// whether a digit is a letter is what a processor guesses wrong.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [0xFF; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[b"0123456789abcdef"[value] as usize] = value as u8;
        nibbles[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    nibbles
};

/// The value of a hexadecimal digit.
#[inline]
pub(super) fn nibble(digit: u8) -> Option<u8> {
    let value = NIBBLES[usize::from(digit)];
    (value < 16).then_some(value)
}

/// The value of two hexadecimal digits.
#[inline]
pub(super) fn byte_of([high, low]: [u8; 2]) -> Option<u8> {
    let (high, low) = (NIBBLES[usize::from(high)], NIBBLES[usize::from(low)]);
    ((high | low) < 16).then_some(high << 4 | low)
}

fn put_hex(digits: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(SYNTAX);
    }
    out.reserve(pairs.len());
    for pair in pairs {
        out.push(byte_of(*pair).ok_or(SYNTAX)?);
    }
    Ok(())
}

fn put_escaped(mut text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if memchr::memchr(0, text).is_some() {
        return Err(Fault::Nul);
    }
    while let Some(plain) = memchr::memchr(b'\\', text) {
        let (before, escape) = text.split_at(plain);
        out.extend_from_slice(before);
        text = match escape {
            [_, b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [
                _,
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                rest @ ..,
            ] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            _ => return Err(SYNTAX),
        };
    }
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytea(text: &str) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        put_bytea(text.as_bytes(), &mut out)?;
        assert_eq!(
            out[..4],
            u32::try_from(out.len() - 4).unwrap().to_be_bytes()
        );
        Ok(out.split_off(4))
    }

    #[test]
    fn both_formats_are_read() {
        assert_eq!(bytea(r"\x00fFa0"), Ok(vec![0, 255, 160]));
        assert_eq!(bytea(r"\x"), Ok(vec![]));
        assert_eq!(bytea(""), Ok(vec![]));
        assert_eq!(
            bytea(r"a\\b\000\377ä"),
            Ok(b"a\\b\x00\xff\xc3\xa4".to_vec())
        );
    }

    #[test]
    fn broken_pairs_and_escapes_are_refused() {
        for text in [r"\x0", r"\x0g", r"\x 00", r"\400", r"\08", r"a\", r"\X00"] {
            assert_eq!(bytea(text), Err(SYNTAX), "{text:?}");
        }
        assert_eq!(bytea("a\0"), Err(Fault::Nul));
    }
}
