//! Text that a terminal and a log can show, whatever names it holds.
//!
//! Object keys, file names, members of archives and names from a server are chosen by others. An
//! escape sequence in one would repaint the terminal, and a newline would forge a line of the log.
//! [`Printable`] wraps each such name where it becomes part of a text. [`lines`] is the second
//! defence, at the output: it keeps the newlines of a text and escapes every other control character.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// A name chosen by others, for a message: control characters are escaped as in Rust (`\n`, `\u{1b}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printable<T>(pub T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match is_unsafe(c) {
                true => self.0.write_str(&escape(c))?,
                false => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The text with every control character escaped but newlines and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    let is_kept = |c: char| matches!(c, '\n' | '\t') || !is_unsafe(c);
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_kept(c) {
            true => out.push(c),
            false => out.push_str(&escape(c)),
        }
    }
    Cow::Owned(out)
}

/// Control characters, and those that change the direction of text or end a line in Unicode.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `\n` or `\u{1b}`.
fn escape(c: char) -> String {
    match c {
        '\n' | '\r' | '\t' => c.escape_default().to_string(),
        c => c.escape_unicode().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_line_or_paint() {
        let name = "a\x1b[31mred\x07\nINFO fine\u{9b}\u{202e}é.csv";
        assert_eq!(
            Printable(name).to_string(),
            r"a\u{1b}[31mred\u{7}\nINFO fine\u{9b}\u{202e}é.csv"
        );
        assert_eq!(Printable(7).to_string(), "7");
    }

    #[test]
    fn a_text_keeps_its_lines_and_nothing_else() {
        assert_eq!(lines("a\tb\n  c\r\x1b[2J"), "a\tb\n  c\\r\\u{1b}[2J");
        assert!(matches!(lines("plain\ntext"), Cow::Borrowed(_)));
    }
}
