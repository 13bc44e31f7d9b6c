//! A pattern for a whole line, as `skip_until` and `footer_from` give it.
//!
//! In: a glob (`*`, `?`, `[...]`) and the bytes of a line without its line end. Most lines are told
//! apart by the letters that the pattern begins with, without decoding anything.

use super::encoding::Encoding;

/// A glob with the ASCII letters that every match begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineGlob {
    pattern: glob::Pattern,
    begins: Vec<u8>,
}

impl LineGlob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is not a glob.
    pub fn new(pattern: &str) -> Result<LineGlob, glob::PatternError> {
        Ok(LineGlob {
            pattern: glob::Pattern::new(pattern)?,
            begins: pattern
                .bytes()
                .take_while(|byte| byte.is_ascii() && !b"*?[".contains(byte))
                .collect(),
        })
    }

    /// Says whether the whole line matches. A byte without a meaning in the encoding is matched by
    /// `*` and `?` only.
    pub fn matches(&self, line: &[u8], encoding: Encoding) -> bool {
        if !line.starts_with(&self.begins) {
            return false;
        }
        let mut scratch = Vec::new();
        let text = encoding.decode(line, &mut scratch).unwrap_or(line);
        self.pattern.matches(&String::from_utf8_lossy(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_line_in_its_encoding() {
        let glob = LineGlob::new("Total: *").unwrap();
        assert!(glob.matches(b"Total: 12", Encoding::Utf8));
        assert!(glob.matches(b"Total: \xFF", Encoding::Utf8));
        assert!(!glob.matches(b" Total: 12", Encoding::Utf8));
        assert!(!glob.matches(b"Total", Encoding::Utf8));
        let glob = LineGlob::new("\u{e9}?[ab]").unwrap();
        assert!(glob.matches(b"\xE9xb", Encoding::Iso8859_1));
        assert!(!glob.matches(b"\xE9xb", Encoding::Utf8));
    }
}
