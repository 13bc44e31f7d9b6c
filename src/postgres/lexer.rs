//! The tokens of a SQL text, as the scanner of the server and psql see them.

use super::sql::{Problem, SplitError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space or a comment.
    Blank,
    /// A key word or an unquoted name.
    Word,
    Open,
    Close,
    Semicolon,
    /// Strings, quoted names, numbers, operators.
    Other,
}

pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) byte: usize,
    pub(super) line: u32,
}

pub(super) struct Lexer<'a> {
    pub(super) sql: &'a str,
    pub(super) at: usize,
    pub(super) line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self {
            sql,
            at: 0,
            line: 1,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, SplitError> {
        let (byte, line) = (self.at, self.line);
        let Some(first) = self.peek(0) else {
            return Ok(None);
        };
        let kind = match (first, self.peek(1)) {
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => self.white_space(),
            // A byte order mark, which editors on Windows put before the text.
            (0xef, _) if byte == 0 && self.sql.starts_with('\u{feff}') => {
                self.skip(3);
                Kind::Blank
            }
            (b'-', Some(b'-')) => self.line_comment(),
            (b'/', Some(b'*')) => self.block_comment()?,
            (b'\'', _) => self.string(false)?,
            (b'e' | b'E', Some(b'\'')) => {
                self.skip(1);
                self.string(true)?
            }
            (b'"', _) => self.quoted(b'"', "a quoted name")?,
            (b'$', _) => self.dollar()?,
            (b'(', _) => self.symbol(Kind::Open),
            (b')', _) => self.symbol(Kind::Close),
            (b';', _) => self.symbol(Kind::Semicolon),
            (b'\\', _) => return fail(line, Problem::MetaCommand),
            (0, _) => return fail(line, Problem::Nul),
            (c, _) if starts_word(c) => self.word(),
            _ => self.symbol(Kind::Other),
        };
        Ok(Some(Token {
            kind,
            text: self.sql.get(byte..self.at).unwrap_or_default(),
            byte,
            line,
        }))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }

    /// The next byte, or an error that names what was opened at `line`.
    fn bump(&mut self, line: u32, what: &'static str) -> Result<u8, SplitError> {
        match self.peek(0) {
            Some(0) => fail(self.line, Problem::Nul),
            Some(byte) => {
                self.skip(1);
                Ok(byte)
            }
            None => fail(line, Problem::Unclosed(what)),
        }
    }

    fn skip(&mut self, bytes: usize) {
        for _ in 0..bytes {
            if self.peek(0) == Some(b'\n') {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn symbol(&mut self, kind: Kind) -> Kind {
        self.skip(1);
        kind
    }

    fn white_space(&mut self) -> Kind {
        while self
            .peek(0)
            .is_some_and(|c| c.is_ascii_whitespace() || c == 0x0b)
        {
            self.skip(1);
        }
        Kind::Blank
    }

    fn line_comment(&mut self) -> Kind {
        while self.peek(0).is_some_and(|c| c != b'\n' && c != b'\r') {
            self.skip(1);
        }
        Kind::Blank
    }

    fn block_comment(&mut self) -> Result<Kind, SplitError> {
        let line = self.line;
        let what = "a comment";
        let mut depth = 0_u32;
        loop {
            match (self.bump(line, what)?, self.peek(0)) {
                (b'/', Some(b'*')) => depth += 1,
                (b'*', Some(b'/')) => depth -= 1,
                _ => continue,
            }
            self.skip(1);
            if depth == 0 {
                return Ok(Kind::Blank);
            }
        }
    }

    /// A string and, after white space with a newline, the strings that continue it: they follow the
    /// escape rule of the first.
    fn string(&mut self, escapes: bool) -> Result<Kind, SplitError> {
        let line = self.line;
        let what = "a string";
        self.skip(1);
        loop {
            match self.bump(line, what)? {
                b'\\' if escapes => {
                    self.bump(line, what)?;
                }
                b'\'' if self.peek(0) == Some(b'\'') => self.skip(1),
                b'\'' if !(escapes && self.continues()) => return Ok(Kind::Other),
                _ => {}
            }
        }
    }

    /// Moves behind the opening quote of a continuing string, if one follows.
    fn continues(&mut self) -> bool {
        let (at, line) = (self.at, self.line);
        let mut newline = false;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'\n' | b'\r'), _) => {
                    newline = true;
                    self.skip(1);
                }
                (Some(b' ' | b'\t' | 0x0b | 0x0c), _) => self.skip(1),
                (Some(b'-'), Some(b'-')) => {
                    self.line_comment();
                }
                (Some(b'\''), _) if newline => {
                    self.skip(1);
                    return true;
                }
                _ => {
                    (self.at, self.line) = (at, line);
                    return false;
                }
            }
        }
    }

    fn quoted(&mut self, quote: u8, what: &'static str) -> Result<Kind, SplitError> {
        let line = self.line;
        self.skip(1);
        // A doubled quote reads as two quoted parts side by side, which ends at the same place.
        while self.bump(line, what)? != quote {}
        Ok(Kind::Other)
    }

    /// `$tag$ … $tag$`, or the dollar of a parameter.
    fn dollar(&mut self) -> Result<Kind, SplitError> {
        let line = self.line;
        let rest = self.sql.get(self.at..).unwrap_or_default();
        let Some(delimiter) = dollar_delimiter(rest) else {
            return Ok(self.symbol(Kind::Other));
        };
        let body = rest.get(delimiter.len()..).unwrap_or_default();
        let Some(length) = body.find(delimiter) else {
            return fail(line, Problem::Unclosed("a dollar quote"));
        };
        if body.get(..length).is_some_and(|body| body.contains('\0')) {
            return fail(line, Problem::Nul);
        }
        self.skip(length + 2 * delimiter.len());
        Ok(Kind::Other)
    }

    fn word(&mut self) -> Kind {
        while self
            .peek(0)
            .is_some_and(|c| starts_word(c) || c.is_ascii_digit() || c == b'$')
        {
            self.skip(1);
        }
        Kind::Word
    }
}

fn starts_word(c: u8) -> bool {
    c.is_ascii_alphabetic() || c == b'_' || c >= 0x80
}

/// `$$` or `$tag$` at the start of `text`.
fn dollar_delimiter(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('$')?;
    let tag = rest.get(..rest.find('$')?)?;
    let mut bytes = tag.bytes();
    let named =
        bytes.next().is_none_or(starts_word) && bytes.all(|c| starts_word(c) || c.is_ascii_digit());
    if named {
        text.get(..tag.len() + 2)
    } else {
        None
    }
}

pub(super) fn fail<T>(line: u32, problem: Problem) -> Result<T, SplitError> {
    Err(SplitError { line, problem })
}
