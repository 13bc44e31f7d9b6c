//! Whether all texts of a column look alike: two capital letters, or signs and digits in turn.
//!
//! A header says what its column holds, so it seldom looks like the values. Only classes of characters
//! are kept, never the texts.

/// Longer texts are not compared character by character.
const MOST_BYTES: usize = 24;

/// What all texts so far have in common.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    seen: bool,
    /// The classes of the characters, one for one, and with repeats as one.
    exact: Option<Vec<u8>>,
    runs: Option<Vec<u8>>,
}

impl Shape {
    pub fn observe(&mut self, text: &[u8]) {
        let (exact, runs) = classes(text);
        if !self.seen {
            (self.seen, self.exact, self.runs) = (true, exact, Some(runs));
            return;
        }
        if self.exact != exact {
            self.exact = None;
        }
        if self.runs.as_ref() != Some(&runs) {
            self.runs = None;
        }
    }

    /// Whether a text looks like all others; `None` where they do not look alike themselves.
    pub fn would_fit(&self, text: &[u8]) -> Option<bool> {
        let (exact, runs) = classes(text);
        if self.exact.is_some() {
            return Some(self.exact == exact);
        }
        // Words are like words; only with digits in it a pattern says something.
        let telling = self.runs.as_ref().is_some_and(|runs| runs.contains(&b'9'));
        telling.then(|| self.runs.as_ref() == Some(&runs))
    }
}

fn classes(text: &[u8]) -> (Option<Vec<u8>>, Vec<u8>) {
    let class = |byte: &u8| match byte {
        b'0'..=b'9' => b'9',
        b'A'..=b'Z' => b'A',
        b'a'..=b'z' | 0x80.. => b'a',
        b'+' | b'-' => b'-',
        other => *other,
    };
    let exact = (text.len() <= MOST_BYTES).then(|| text.iter().map(class).collect());
    let mut runs: Vec<u8> = text.iter().take(4 * MOST_BYTES).map(class).collect();
    runs.dedup();
    (exact, runs)
}
