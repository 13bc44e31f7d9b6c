//! Texts that stay texts: blanks, case, padding.
//!
//! In: UTF-8. Out: UTF-8. Lengths are in characters (code points), never in bytes.

/// Which ends lose their white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    Both,
    Left,
    Right,
}

impl Trim {
    /// The text without white space at these ends: blanks, tabs, line ends and whatever else Unicode
    /// calls white space, as the no-break space that spreadsheets leave behind.
    pub fn apply(self, text: &[u8]) -> &[u8] {
        let [left, right] = [self != Trim::Right, self != Trim::Left];
        let mut rest = text;
        if left {
            rest = rest.trim_ascii_start();
        }
        if right {
            rest = rest.trim_ascii_end();
        }
        let ends = [rest.first(), rest.last()];
        if ends.iter().flatten().all(|byte| byte.is_ascii_graphic()) {
            return rest;
        }
        let Ok(mut text) = std::str::from_utf8(rest) else {
            return rest;
        };
        if left {
            text = text.trim_start();
        }
        if right {
            text = text.trim_end();
        }
        text.as_bytes()
    }
}

pub(super) fn upper(text: &[u8], out: &mut Vec<u8>) {
    cased(text, out, <[u8]>::make_ascii_uppercase, str::to_uppercase);
}

pub(super) fn lower(text: &[u8], out: &mut Vec<u8>) {
    cased(text, out, <[u8]>::make_ascii_lowercase, str::to_lowercase);
}

fn cased(text: &[u8], out: &mut Vec<u8>, ascii: fn(&mut [u8]), other: fn(&str) -> String) {
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_ascii() => out.extend_from_slice(other(text).as_bytes()),
        _ => {
            out.extend_from_slice(text);
            ascii(out);
        }
    }
}

/// Fills a text up in front. Nothing stays nothing: a code must not be made of no code.
pub(super) fn pad(text: &[u8], with: char, to: usize, out: &mut Vec<u8>) {
    // Every byte of UTF-8 that does not continue a character begins one.
    let characters = text.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    let mut encoded = [0; 4];
    let with = with.encode_utf8(&mut encoded).as_bytes();
    if characters > 0 {
        for _ in characters..to {
            out.extend_from_slice(with);
        }
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(trim: Trim, text: &str) -> String {
        String::from_utf8(trim.apply(text.as_bytes()).to_vec()).unwrap()
    }

    #[test]
    fn blanks_go_from_the_ends_that_were_named() {
        for (text, both, left, right) in [
            ("", "", "", ""),
            ("   ", "", "", ""),
            (" a b ", "a b", "a b ", " a b"),
            ("\t\r\na\u{b}", "a", "a\u{b}", "\t\r\na"),
            ("\u{a0} a\u{a0}", "a", "a\u{a0}", "\u{a0} a"),
            ("\u{3000}é\u{2009} ", "é", "é\u{2009} ", "\u{3000}é"),
            ("\u{a0}", "", "", ""),
            // It has no width, but it is no white space either.
            ("\u{200b}a", "\u{200b}a", "\u{200b}a", "\u{200b}a"),
        ] {
            assert_eq!(trimmed(Trim::Both, text), both, "{text:?}");
            assert_eq!(trimmed(Trim::Left, text), left, "{text:?}");
            assert_eq!(trimmed(Trim::Right, text), right, "{text:?}");
        }
    }

    #[test]
    fn case_is_that_of_unicode() {
        let mut out = Vec::new();
        for (text, up, down) in [("aB1", "AB1", "ab1"), ("Straße É", "STRASSE É", "straße é")]
        {
            out.clear();
            upper(text.as_bytes(), &mut out);
            assert_eq!(out, up.as_bytes());
            out.clear();
            lower(text.as_bytes(), &mut out);
            assert_eq!(out, down.as_bytes());
        }
    }

    #[test]
    fn codes_are_filled_up_in_characters_and_never_cut() {
        let mut out = Vec::new();
        for (text, with, padded) in [
            ("7", '0', "0007"),
            ("1234", '0', "1234"),
            ("12345", '0', "12345"),
            ("é", '·', "···é"),
            ("", '0', ""),
        ] {
            out.clear();
            pad(text.as_bytes(), with, 4, &mut out);
            assert_eq!(out, padded.as_bytes(), "{text}");
        }
    }
}
