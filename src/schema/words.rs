//! Goes through the tokens of one SQL statement.
//!
//! In: what [`tokens`](crate::postgres::sql::tokens) cut. Out: words, names and what stands in
//! parentheses, taken one after the other. Nothing is copied but names.

/// A place in a statement: what follows it.
#[derive(Clone, Copy)]
pub(super) struct At<'t> {
    tokens: &'t [&'t str],
}

impl<'t> At<'t> {
    pub(super) fn new(tokens: &'t [&'t str]) -> At<'t> {
        At { tokens }
    }

    pub(super) fn ended(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn skip(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }

    pub(super) fn sees(&self, word: &str) -> bool {
        let first = self.tokens.first();
        first.is_some_and(|token| token.eq_ignore_ascii_case(word))
    }

    /// Passes a word, if it is the next one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let seen = self.sees(word);
        if seen {
            self.skip();
        }
        seen
    }

    /// Passes all of the words, or none.
    pub(super) fn take_all(&mut self, words: &[&str]) -> bool {
        let mut ahead = *self;
        let all = words.iter().all(|word| ahead.take(word));
        if all {
            *self = ahead;
        }
        all
    }

    /// A name, folded as the server folds it.
    pub(super) fn name(&mut self) -> Option<String> {
        let token = self.tokens.first()?;
        let name = match token.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?.to_owned(),
            None if token.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                token.to_lowercase()
            }
            None => return None,
        };
        self.skip();
        Some(name)
    }

    /// The text of a string.
    pub(super) fn string(mut self) -> Option<String> {
        let token = self.tokens.first()?;
        let text = token.strip_prefix('\'')?.strip_suffix('\'')?;
        self.skip();
        Some(text.replace("''", "'"))
    }

    /// `name` or `schema.name`.
    pub(super) fn qualified_name(&mut self) -> Option<(String, String)> {
        let first = self.name()?;
        match self.take(".") {
            true => Some((first, self.name()?)),
            false => Some(("public".to_owned(), first)),
        }
    }

    /// What stands in the parentheses that open here, cut at its commas.
    pub(super) fn parenthesised(&mut self) -> Option<Vec<At<'t>>> {
        if !self.take("(") {
            return None;
        }
        let inside = self.tokens;
        let mut depth = 1;
        let mut length = 0;
        while depth > 0 {
            match *self.tokens.first()? {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            self.skip();
            length += 1;
        }
        let inside = At {
            tokens: inside.get(..length - 1)?,
        };
        Some(inside.commas())
    }

    /// The parts between commas that stand in no parentheses.
    pub(super) fn commas(self) -> Vec<At<'t>> {
        let mut depth = 0;
        let parts = self.tokens.split(|token| {
            match *token {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            depth == 0 && *token == ","
        });
        parts.map(|tokens| At { tokens }).collect()
    }

    /// The token here, as it is written.
    pub(super) fn token(&self) -> Option<&'t str> {
        self.tokens.first().copied()
    }
}
