//! `uuid`: 32 hexadecimal digits, bare or as 8-4-4-4-12, either in braces.
//!
//! Out: 16 bytes. White space and hyphens at other places are refused.

use super::bytea::byte_of;
use super::fault::{Fault, Wanted};

/// Appends `text` as a `uuid`.
///
/// # Errors
/// Any other form.
pub(super) fn put_uuid(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    const SYNTAX: Fault = Fault::Syntax(Wanted::Uuid);
    let digits = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let mut value = [0; 16];
    let parts: &[(usize, usize)] = match digits.len() {
        32 => &[(0, 16)],
        36 => &[(0, 4), (9, 2), (14, 2), (19, 2), (24, 6)],
        _ => return Err(SYNTAX),
    };
    let mut bytes = value.iter_mut();
    for (start, length) in parts {
        if *start > 0 && digits.get(start - 1) != Some(&b'-') {
            return Err(SYNTAX);
        }
        let part = digits.get(*start..start + 2 * length).ok_or(SYNTAX)?;
        // The pairs lead: a zip that finds its second half empty has already used up the first.
        for (pair, byte) in part.as_chunks::<2>().0.iter().zip(bytes.by_ref()) {
            *byte = byte_of(*pair).ok_or(SYNTAX)?;
        }
    }
    out.extend_from_slice(&16_i32.to_be_bytes());
    out.extend_from_slice(&value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_four_forms() {
        let mut plain = Vec::new();
        assert_eq!(
            put_uuid(b"123e4567e89b12d3a456426614174000", &mut plain),
            Ok(())
        );
        assert_eq!(plain[..7], [0, 0, 0, 16, 0x12, 0x3e, 0x45]);
        for text in [
            "123e4567-e89b-12d3-a456-426614174000",
            "{123E4567-E89B-12D3-A456-426614174000}",
            "{123e4567e89b12d3a456426614174000}",
        ] {
            let mut out = Vec::new();
            assert_eq!(put_uuid(text.as_bytes(), &mut out), Ok(()), "{text}");
            assert_eq!(out, plain);
        }
        for text in [
            "",
            "123e4567-e89b-12d3-a456-42661417400",
            "123e4567-e89b-12d3-a456-42661417400g",
            " 123e4567-e89b-12d3-a456-426614174000",
            "123e4567e-89b-12d3-a456-426614174000",
            "{123e4567e89b12d3a456426614174000",
        ] {
            assert_eq!(
                put_uuid(text.as_bytes(), &mut Vec::new()),
                Err(Fault::Syntax(Wanted::Uuid)),
                "{text:?}"
            );
        }
    }
}
