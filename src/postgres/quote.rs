//! Quotes identifiers and literals for SQL text.
//!
//! In: a name or a text. Out: SQL. A NUL byte cannot be sent to Postgres in any way, so it is refused;
//! a name above 63 bytes would be cut silently by the server, so it is refused before use.
//!
//! Source: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.

use anyhow::{Result, ensure};

/// The longest identifier the server keeps whole (`NAMEDATALEN - 1`).
pub const MAX_IDENTIFIER_BYTES: usize = 63;

/// A name in double quotes, always: a bare name could be a keyword. A NUL byte, which no name can
/// hold, becomes the replacement character, so that the server refuses the name as unknown.
pub fn quote_ident(name: &str) -> String {
    format!(
        "\"{}\"",
        name.replace('\0', "\u{fffd}").replace('"', "\"\"")
    )
}

/// Refuses a name that the server would not keep as it is.
///
/// # Errors
/// An empty name, one above 63 bytes, one with a NUL byte.
pub fn check_ident(name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "check a name: it is empty");
    ensure!(
        !name.contains('\0'),
        "check the name `{}`: it holds a NUL byte",
        name.replace('\0', "\\0")
    );
    ensure!(
        name.len() <= MAX_IDENTIFIER_BYTES,
        "check the name `{name}`: it has {} bytes, Postgres keeps {MAX_IDENTIFIER_BYTES}",
        name.len()
    );
    Ok(())
}

/// A text in single quotes. Correct whether `standard_conforming_strings` is on or off: with a
/// backslash inside it is written as `E'…'`. A NUL byte becomes the replacement character.
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\0', "\u{fffd}").replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_ident("a\0b"), "\"a\u{fffd}b\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"a\'b"), r" E'a\\''b'");
    }

    #[test]
    fn names_the_server_would_change_are_refused() {
        check_ident(&"ä".repeat(31)).unwrap();
        for (name, says) in [
            ("", "empty"),
            ("a\0b", "NUL"),
            (&"ä".repeat(32), "64 bytes"),
        ] {
            assert!(check_ident(name).unwrap_err().to_string().contains(says));
        }
    }
}
