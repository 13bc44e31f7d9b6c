//! The texts that mean NULL in a column.
//!
//! In: the texts of the source file. Out: whether a field is one of them. Asked of every field, so
//! the usual ones (nothing at all, one character) are a look-up, and a longer field than the
//! longest of them is none at a glance.

/// A set of texts.
#[derive(Debug, Clone, Default)]
pub struct Nulls {
    /// The length of the longest; `None` for an empty set.
    longest: Option<usize>,
    empty: bool,
    /// A bit for each byte that is a text by itself.
    letters: [u64; 4],
    texts: Vec<Vec<u8>>,
}

impl Nulls {
    /// The set of these texts.
    #[must_use]
    pub fn new(texts: Vec<Vec<u8>>) -> Nulls {
        let mut nulls = Nulls {
            longest: texts.iter().map(Vec::len).max(),
            ..Nulls::default()
        };
        for text in &texts {
            match **text {
                [] => nulls.empty = true,
                [letter] => nulls.letters[usize::from(letter >> 6)] |= 1 << (letter & 63),
                _ => {}
            }
        }
        nulls.texts = texts;
        nulls
    }

    /// The length of the longest of them; `None` if there is none at all.
    #[must_use]
    pub fn longest(&self) -> Option<usize> {
        self.longest
    }

    /// Says whether `text` is one of them.
    #[inline(always)]
    #[must_use]
    pub fn contains(&self, text: &[u8]) -> bool {
        match *text {
            [] => self.empty,
            [letter] => self.letters[usize::from(letter >> 6)] >> (letter & 63) & 1 == 1,
            _ => {
                self.longest.is_some_and(|longest| text.len() <= longest)
                    && self.texts.iter().any(|null| null == text)
            }
        }
    }
}

impl FromIterator<Vec<u8>> for Nulls {
    fn from_iter<I: IntoIterator<Item = Vec<u8>>>(texts: I) -> Nulls {
        Nulls::new(texts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Nulls;

    #[test]
    fn a_text_is_null_only_as_a_whole() {
        let nulls = Nulls::new(["", ".", "\u{e9}", "N/A"].map(|t| t.into()).to_vec());
        for (text, expected) in [
            ("", true),
            (".", true),
            ("\u{e9}", true),
            ("N/A", true),
            (" ", false),
            ("N", false),
            ("..", false),
            ("N/A ", false),
        ] {
            assert_eq!(nulls.contains(text.as_bytes()), expected, "{text:?}");
        }
        assert!(!Nulls::new(Vec::new()).contains(b""));
    }
}
