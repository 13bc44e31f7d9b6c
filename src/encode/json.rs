//! `json` and `jsonb`: text that is checked, not changed.
//!
//! In: one JSON value (RFC 8259). Out: its text; for `jsonb` after a version byte 1.
//!
//! The server parses the text again and must never refuse it, because that would end the whole
//! COPY: so nesting is bounded, and for `jsonb` also `\u0000`, halves of surrogate pairs and
//! numbers beyond `numeric` are refused here. Nothing recurses: nesting is a stack of bits.

use super::fault::{Fault, Wanted};
use super::numeric;
use super::text::put_bytes;

/// Levels of nesting; the server's own limit depends on its stack, and is some thousands.
const MAX_DEPTH: u32 = 512;

/// `jsonb` counts the bytes of a container in 28 bits, and needs up to six for one of the text.
const MAX_JSONB_BYTES: u32 = 0x0FFF_FFFF / 6;

/// A number without exponent of fewer bytes always fits `numeric`.
const LONG_NUMBER: usize = 10_000;

/// Appends `text` as a `json`.
///
/// # Errors
/// Not JSON, or nested too deeply.
pub(super) fn put_json(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    Reader {
        text,
        wanted: Wanted::Json,
    }
    .document()?;
    put_bytes(text, out)
}

/// Appends `text` as a `jsonb`.
///
/// # Errors
/// Not JSON, nested too deeply, or something only `json` can hold.
pub(super) fn put_jsonb(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if text.len() > MAX_JSONB_BYTES as usize {
        return Err(Fault::Bytes(MAX_JSONB_BYTES));
    }
    Reader {
        text,
        wanted: Wanted::Jsonb,
    }
    .document()?;
    // The limit above keeps the length and its version byte within 32 bits.
    out.extend_from_slice(&(text.len() as u32 + 1).to_be_bytes());
    out.push(1);
    out.extend_from_slice(text);
    Ok(())
}

/// Which containers are open, innermost last: a set bit is an object.
struct Open {
    depth: u32,
    objects: [u64; MAX_DEPTH as usize / 64],
}

impl Open {
    fn push(&mut self, object: bool) -> Result<(), Fault> {
        let word = self
            .objects
            .get_mut(self.depth as usize / 64)
            .ok_or(Fault::JsonDepth(MAX_DEPTH))?;
        let bit = 1_u64 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    /// Whether the innermost container is an object; None outside of all.
    fn innermost(&self) -> Option<bool> {
        let at = self.depth.checked_sub(1)?;
        let word = self.objects.get(at as usize / 64)?;
        Some(word >> (at % 64) & 1 == 1)
    }
}

struct Reader<'a> {
    /// What is not read yet.
    text: &'a [u8],
    wanted: Wanted,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        let mut open = Open {
            depth: 0,
            objects: [0; _],
        };
        loop {
            // One value, or the start of a container.
            self.skip_space();
            let from_here = self.text;
            match self.take_byte()? {
                b'{' => {
                    open.push(true)?;
                    if !self.take_if(b'}') {
                        self.key()?;
                        continue;
                    }
                    open.depth -= 1;
                }
                b'[' => {
                    open.push(false)?;
                    if !self.take_if(b']') {
                        continue;
                    }
                    open.depth -= 1;
                }
                b'"' => self.string()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                first => self.number(first, from_here)?,
            }
            // Whatever a complete value closes.
            loop {
                self.skip_space();
                let Some(object) = open.innermost() else {
                    return if self.text.is_empty() {
                        Ok(())
                    } else {
                        Err(self.syntax())
                    };
                };
                match self.take_byte()? {
                    b',' if object => {
                        self.skip_space();
                        self.key()?;
                        break;
                    }
                    b',' => break,
                    b'}' if object => open.depth -= 1,
                    b']' if !object => open.depth -= 1,
                    _ => return Err(self.syntax()),
                }
            }
        }
    }

    fn syntax(&self) -> Fault {
        Fault::Syntax(self.wanted)
    }

    fn strict(&self) -> bool {
        self.wanted == Wanted::Jsonb
    }

    fn take_byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.text.split_first().ok_or(self.syntax())?;
        self.text = rest;
        Ok(*first)
    }

    /// Skips white space, then `byte` if it is next; says whether it was.
    fn take_if(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.text {
            [first, rest @ ..] if *first == byte => {
                self.text = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.text {
            self.text = rest;
        }
    }

    fn word(&mut self, rest: &[u8]) -> Result<(), Fault> {
        self.text = self.text.strip_prefix(rest).ok_or(self.syntax())?;
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(), Fault> {
        if !self.take_if(b'"') {
            return Err(self.syntax());
        }
        self.string()?;
        if self.take_if(b':') {
            Ok(())
        } else {
            Err(self.syntax())
        }
    }

    /// The rest of a string after its opening quote.
    fn string(&mut self) -> Result<(), Fault> {
        loop {
            let plain = self
                .text
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))
                .ok_or(self.syntax())?;
            self.text = self.text.get(plain..).unwrap_or_default();
            match self.take_byte()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                _ => return Err(self.syntax()),
            }
        }
    }

    /// The rest of an escape after its backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.take_byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.code_unit()? {
                _ if !self.strict() => Ok(()),
                0xD800..=0xDBFF => {
                    if !self.text.starts_with(b"\\u") {
                        return Err(Fault::JsonEscape);
                    }
                    self.text = self.text.get(2..).unwrap_or_default();
                    match self.code_unit()? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(Fault::JsonEscape),
                    }
                }
                0 | 0xDC00..=0xDFFF => Err(Fault::JsonEscape),
                _ => Ok(()),
            },
            _ => Err(self.syntax()),
        }
    }

    fn code_unit(&mut self) -> Result<u16, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = super::bytea::nibble(self.take_byte()?).ok_or(self.syntax())?;
            unit = unit << 4 | u16::from(digit);
        }
        Ok(unit)
    }

    /// The rest of a number after its first byte; `from_here` is the text with it.
    fn number(&mut self, first: u8, from_here: &[u8]) -> Result<(), Fault> {
        let first_digit = if first == b'-' {
            self.take_byte()?
        } else {
            first
        };
        match first_digit {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.syntax()),
        }
        if let [b'.', rest @ ..] = self.text {
            self.text = rest;
            self.some_digits()?;
        }
        let mut check_range = from_here.len() - self.text.len() > LONG_NUMBER;
        if let [b'e' | b'E', rest @ ..] = self.text {
            self.text = match rest {
                [b'+' | b'-', rest @ ..] => rest,
                _ => rest,
            };
            self.some_digits()?;
            check_range = true;
        }
        let number = from_here.get(..from_here.len() - self.text.len());
        if self.strict() && check_range && !number.is_some_and(numeric::fits) {
            return Err(Fault::JsonNumber);
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.text {
            self.text = rest;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        let before = self.text.len();
        self.digits();
        if self.text.len() == before {
            return Err(self.syntax());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTAX: Fault = Fault::Syntax(Wanted::Json);

    fn json(text: &str) -> Result<(), Fault> {
        put_json(text.as_bytes(), &mut Vec::new())
    }

    fn jsonb(text: &str) -> Result<(), Fault> {
        put_jsonb(text.as_bytes(), &mut Vec::new())
    }

    #[test]
    fn values_of_every_kind_pass_as_they_are() {
        for text in [
            "null",
            " true ",
            "false",
            "0",
            "-0",
            "-12.5e+3",
            "1E400",
            "\"\"",
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "[1, [2], {\"a\": [3, {}]}]",
            r#"{"a":"b","a":null}"#,
            r#""\"\\\/\b\f\n\r\t\u00e4""#,
            r#""\ud83d\ude00""#,
            "\t[\n1\r]",
            "\"ä\"",
            "[[],[]]",
            "{\"\":{}}",
        ] {
            assert_eq!(json(text), Ok(()), "{text}");
            assert_eq!(jsonb(text), Ok(()), "{text}");
        }
        let mut out = Vec::new();
        assert_eq!(put_jsonb(b" 1", &mut out), Ok(()));
        assert_eq!(out, b"\0\0\0\x03\x01 1");
    }

    #[test]
    fn anything_else_is_not_json() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "True",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "-",
            "--1",
            "0x1",
            "[",
            "]",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "{1:2}",
            "[1}",
            "{\"a\":1]",
            "\"",
            "\"a",
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            "'a'",
            "1 2",
            "\"a\nb\"",
            "NaN",
            "Infinity",
            "[1]]",
            "\u{feff}1",
            "nullx",
            "1a",
            "\"a\"b",
            "\0",
        ] {
            assert_eq!(json(text), Err(SYNTAX), "{text:?}");
            assert_eq!(jsonb(text), Err(Fault::Syntax(Wanted::Jsonb)), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_does_not_recurse() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(json(&nested(512)), Ok(()));
        assert_eq!(json(&nested(513)), Err(Fault::JsonDepth(512)));
        assert_eq!(
            json(&"[{\"a\":".repeat(1_000_000)),
            Err(Fault::JsonDepth(512))
        );
    }

    #[test]
    fn jsonb_refuses_what_only_json_can_hold() {
        for text in [
            r#""\u0000""#,
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#""\ud800x""#,
        ] {
            assert_eq!(json(text), Ok(()), "{text}");
            assert_eq!(jsonb(text), Err(Fault::JsonEscape), "{text}");
        }
        for text in ["1e200000", "[1e-16384]", "0e-20000", &"9".repeat(131_073)] {
            assert_eq!(json(text), Ok(()));
            assert_eq!(jsonb(text), Err(Fault::JsonNumber));
        }
    }
}
