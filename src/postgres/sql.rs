//! Cuts the text of a SQL file into its statements.
//!
//! In: the text of one file. Out: [`Statement`]s in file order, each a slice of the text with its
//! place; between them lie only white space, comments and semicolons, so nothing is lost.
//!
//! A semicolon ends a statement only outside quotes, comments, parentheses and `BEGIN ATOMIC` bodies:
//! the rules of the server's scanner and of psql, with `standard_conforming_strings` on (PostgreSQL
//! manual, chapter 4.1 "Lexical Structure"). A psql meta-command is an error, never skipped: `\!` runs
//! a shell. Nothing is sent to a server here.

use super::lexer::{Kind, Lexer, Token, fail};
use thiserror::Error;

/// One statement of a file, without its semicolon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// From the first to the last token; comments before and after it are left out.
    pub text: &'a str,
    /// Line of the first token in the file, from 1.
    pub line: u32,
    /// Offset of `text` in the file, in bytes.
    pub byte: usize,
}

impl Statement<'_> {
    /// Line in the file of a server's error position: characters from 1, counted in `text`.
    pub fn line_at(&self, position: u32) -> u32 {
        let before = usize::try_from(position).unwrap_or(usize::MAX);
        let before = self.text.chars().take(before.saturating_sub(1));
        let newlines = before.filter(|c| *c == '\n').count();
        self.line
            .saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX))
    }
}

/// Why a text cannot be cut, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct SplitError {
    /// Line in the file, from 1: where the unfinished thing begins.
    pub line: u32,
    pub problem: Problem,
}

/// What is wrong with a text that cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("{0} is opened here and never closed")]
    Unclosed(&'static str),
    #[error("a closing parenthesis without an opening one")]
    Unopened,
    #[error("a backslash outside quotes: psql commands are not run here, only SQL")]
    MetaCommand,
    #[error("COPY from or to the client is not possible in a SQL file")]
    ClientCopy,
    #[error("`standard_conforming_strings` cannot be changed in a SQL file")]
    StringSyntax,
    #[error("a NUL character")]
    Nul,
}

/// Cuts `sql` into statements; a text without any gives an empty list.
///
/// # Errors
/// Quotes, comments, parentheses or bodies that do not close; psql meta-commands; COPY from or to the
/// client; NUL characters; changing `standard_conforming_strings`.
pub fn split(sql: &str) -> Result<Vec<Statement<'_>>, SplitError> {
    let mut lexer = Lexer::new(sql);
    let mut statements = Vec::new();
    let mut open: Option<Open> = None;
    while let Some(token) = lexer.next()? {
        match token.kind {
            Kind::Blank => continue,
            Kind::Semicolon if open.as_ref().is_none_or(Open::may_end) => {
                if let Some(done) = open.take() {
                    statements.push(done.finish(sql)?);
                }
            }
            _ => open.get_or_insert_with(|| Open::at(&token)).take(&token)?,
        }
    }
    if let Some(done) = open.take() {
        statements.push(done.finish(sql)?);
    }
    Ok(statements)
}

/// First word of `text` in lower case, comments skipped; empty if it does not begin with a word.
pub fn leading_word(text: &str) -> String {
    leading_words(text, 1).pop().unwrap_or_default()
}

/// Up to `count` words that `text` begins with, in lower case, comments skipped.
pub fn leading_words(text: &str, count: usize) -> Vec<String> {
    let mut lexer = Lexer::new(text);
    let mut words = Vec::new();
    while words.len() < count {
        match lexer.next() {
            Ok(Some(token)) if token.kind == Kind::Blank => {}
            Ok(Some(token)) if token.kind == Kind::Word => {
                words.push(token.text.to_ascii_lowercase());
            }
            _ => break,
        }
    }
    words
}

/// Every `--` comment of `sql` with its line, in order, without the dashes and surrounding space.
///
/// # Errors
/// As [`split`], for what cannot be scanned.
pub fn line_comments(sql: &str) -> Result<Vec<(u32, &str)>, SplitError> {
    let mut lexer = Lexer::new(sql);
    let mut comments = Vec::new();
    while let Some(token) = lexer.next()? {
        if let Some(comment) = token.text.strip_prefix("--") {
            comments.push((token.line, comment.trim()));
        }
    }
    Ok(comments)
}

/// The words, quoted names, strings and symbols of `text` in order; space and comments are left out.
///
/// # Errors
/// As [`split`], for what cannot be scanned.
pub fn tokens(text: &str) -> Result<Vec<&str>, SplitError> {
    let mut lexer = Lexer::new(text);
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        if token.kind != Kind::Blank {
            tokens.push(token.text);
        }
    }
    Ok(tokens)
}

/// The text without comments, with layout that says nothing: equal for texts that differ only in how
/// they are laid out. Space between operators and in front of strings says something and is kept as one
/// blank.
///
/// # Errors
/// As [`split`], for what cannot be scanned.
pub fn without_layout(text: &str) -> Result<String, SplitError> {
    let mut lexer = Lexer::new(text);
    let mut plain = String::with_capacity(text.len());
    let mut previous = Kind::Blank;
    let mut apart = false;
    while let Some(token) = lexer.next()? {
        if token.kind == Kind::Blank {
            apart = true;
            continue;
        }
        let of_word = |text: char| text.is_alphanumeric() || text == '_';
        let words = plain.ends_with(of_word) && token.text.starts_with(of_word);
        let glued = |kind| matches!(kind, Kind::Word | Kind::Other);
        let tells = token.kind == Kind::Other
            && (previous == Kind::Other || token.text.starts_with(['\'', '&', '$', '"']));
        if words || (apart && tells && glued(previous)) {
            plain.push(' ');
        }
        plain.push_str(token.text);
        previous = token.kind;
        apart = false;
    }
    Ok(plain)
}

/// What a transaction control statement does to the transaction it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// `BEGIN`, `START TRANSACTION`, and `COMMIT AND CHAIN`.
    Opens,
    /// `COMMIT`, `END`, `ROLLBACK`, `ABORT`, `PREPARE TRANSACTION`.
    Ends,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Within,
}

/// Says whether `text` is a transaction control statement, and of which sort.
pub fn transaction_control(text: &str) -> Option<Control> {
    let words = leading_words(text, 4);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let noise = usize::from(matches!(word(1), "work" | "transaction"));
    match word(0) {
        "begin" => Some(Control::Opens),
        "start" if word(1) == "transaction" => Some(Control::Opens),
        "commit" | "end" | "rollback" | "abort" => match (word(1 + noise), word(2 + noise)) {
            ("to", _) => Some(Control::Within),
            ("and", "chain") => Some(Control::Opens),
            _ => Some(Control::Ends),
        },
        "prepare" if word(1) == "transaction" => Some(Control::Ends),
        "savepoint" | "release" => Some(Control::Within),
        _ => None,
    }
}

/// A statement whose end has not been reached.
struct Open {
    byte: usize,
    line: u32,
    end: usize,
    /// Lines of the parentheses that are open.
    parentheses: Vec<u32>,
    /// Lines of `BEGIN ATOMIC`, and of each `CASE` inside it, that are open.
    blocks: Vec<u32>,
    /// The first four words.
    head: Vec<String>,
    /// The word just before, empty after anything else.
    previous: String,
}

impl Open {
    fn at(token: &Token<'_>) -> Self {
        Self {
            byte: token.byte,
            line: token.line,
            end: token.byte,
            parentheses: Vec::new(),
            blocks: Vec::new(),
            head: Vec::new(),
            previous: String::new(),
        }
    }

    fn may_end(&self) -> bool {
        self.parentheses.is_empty() && self.blocks.is_empty()
    }

    fn take(&mut self, token: &Token<'_>) -> Result<(), SplitError> {
        self.end = token.byte + token.text.len();
        let mut word = String::new();
        match token.kind {
            Kind::Open => self.parentheses.push(token.line),
            Kind::Close => {
                if self.parentheses.pop().is_none() {
                    return fail(token.line, Problem::Unopened);
                }
            }
            Kind::Word => {
                word = token.text.to_ascii_lowercase();
                self.take_word(&word, token.line)?;
            }
            Kind::Blank | Kind::Semicolon | Kind::Other => {}
        }
        self.previous = word;
        Ok(())
    }

    fn take_word(&mut self, word: &str, line: u32) -> Result<(), SplitError> {
        if self.head.len() < 4 {
            self.head.push(word.to_owned());
        }
        if !self.parentheses.is_empty() {
            return Ok(());
        }
        let first = self.head.first().map_or("", String::as_str);
        let previous = self.previous.as_str();
        let copies = first == "copy" && matches!(previous, "from" | "to");
        if copies && matches!(word, "stdin" | "stdout") {
            return fail(line, Problem::ClientCopy);
        }
        if first == "set" && word == "standard_conforming_strings" {
            return fail(line, Problem::StringSyntax);
        }
        // `AS end` is a column label, not the end of the body.
        match word {
            "atomic" if previous == "begin" && self.is_routine() => self.blocks.push(line),
            "case" if !self.blocks.is_empty() && previous != "as" => self.blocks.push(line),
            "end" if previous != "as" => {
                self.blocks.pop();
            }
            _ => {}
        }
        Ok(())
    }

    fn is_routine(&self) -> bool {
        let head: Vec<&str> = self.head.iter().map(String::as_str).collect();
        matches!(
            head.as_slice(),
            ["create", "function" | "procedure", ..]
                | ["create", "or", "replace", "function" | "procedure"]
        )
    }

    fn finish(self, sql: &str) -> Result<Statement<'_>, SplitError> {
        if let Some(line) = self.parentheses.last() {
            return fail(*line, Problem::Unclosed("a parenthesis"));
        }
        if let Some(line) = self.blocks.first() {
            return fail(*line, Problem::Unclosed("a BEGIN ATOMIC body"));
        }
        Ok(Statement {
            text: sql.get(self.byte..self.end).unwrap_or_default(),
            line: self.line,
            byte: self.byte,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        without_layout(one).unwrap() == without_layout(other).unwrap()
    }

    #[test]
    fn layout_and_comments_say_nothing_and_everything_else_does() {
        for (one, other) in [
            ("select 1", "  select\n\t1 -- one\n"),
            ("create table t (a int)", "create table t(\n  a int\n)"),
            ("select a/* b */from t;", "select a from t ;"),
            ("select t.a = 1", "select t . a = 1"),
        ] {
            assert!(same(one, other), "{one}, {other}");
        }
        for (one, other) in [
            ("select 'a b'", "select 'a  b'"),
            ("select '-- x'", "select ''"),
            ("select 1 - -1", "select 1 --1"),
            ("select a < = b", "select a <= b"),
            ("select $$ a $$", "select $$ a  $$"),
            ("select \"a b\"", "select \"a  b\""),
            ("select x'ff'", "select x 'ff'"),
            ("select ab", "select a b"),
            ("select a limit 1", "select a limit1"),
            ("select 1 a", "select1a"),
        ] {
            assert!(!same(one, other), "{one}, {other}");
        }
    }
}
