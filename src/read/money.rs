//! Amounts as American publications print them: `$1,234.00 `, `($60.80)`, `-$5`.

/// Rewrites an amount as a plain decimal in `out`; `None` if it is not one.
///
/// Parentheses mean a negative amount. Thousands separators must stand where they belong: a
/// comma elsewhere may be a decimal comma, and guessing would change the amount a hundredfold.
pub fn amount<'a>(text: &[u8], out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    out.clear();
    let mut rest = text.trim_ascii();
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix(b"(") {
        rest = inner.strip_suffix(b")")?.trim_ascii();
        negative = true;
    }
    for _ in 0..2 {
        if let Some(after) = rest.strip_prefix(b"-") {
            if negative {
                return None;
            }
            negative = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix(b"$") {
            rest = after;
        }
    }
    if negative {
        out.push(b'-');
    }
    let dot = rest
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(rest.len());
    let (whole, fraction) = rest.split_at(dot);
    let groups = whole.split(|byte| *byte == b',').count();
    for (index, group) in whole.split(|byte| *byte == b',').enumerate() {
        let fits = match (groups, index) {
            (1, _) => !group.is_empty() || fraction.len() > 1,
            (_, 0) => (1..=3).contains(&group.len()),
            _ => group.len() == 3,
        };
        if !fits || !group.iter().all(u8::is_ascii_digit) {
            return None;
        }
        out.extend_from_slice(group);
    }
    if !fraction.is_empty() {
        if !fraction[1..].iter().all(u8::is_ascii_digit) {
            return None;
        }
        out.extend_from_slice(fraction);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_are_read_as_printed() {
        let mut out = Vec::new();
        for (text, plain) in [
            ("$1,234.00 ", "1234.00"),
            ("($60.80)", "-60.80"),
            ("-$5", "-5"),
            ("$-5.5", "-5.5"),
            ("0", "0"),
            ("$0.00", "0.00"),
            ("1,000,000", "1000000"),
            ("$.50", ".50"),
            ("12.", "12."),
        ] {
            assert_eq!(
                amount(text.as_bytes(), &mut out),
                Some(plain.as_bytes()),
                "{text}"
            );
        }
        for text in [
            "", "$", "1,23", "1,2345", ",123", "(5", "(-5)", "5$", "12,3.0", "1.2.3", "x", "--5",
        ] {
            assert_eq!(amount(text.as_bytes(), &mut out), None, "{text}");
        }
    }
}
