//! Reads one JSON value (RFC 8259) and notes where the wanted values in it are.
//!
//! In: a text and a [`Node`] of what to take. Out: for each field where its value stands, as it is
//! written: a number never goes through a float. Everything is checked, also what nobody wants. Of
//! two values under one key the last one counts, as in `jsonb`.

use memchr::memchr2;

use super::delimited::CutFault;
use super::json_path::Node;

/// Levels of nesting; the types `json` and `jsonb` are given no more either.
const MAX_DEPTH: usize = 512;

/// Where a value stands in the chunk.
pub(super) type Found = Option<(usize, usize)>;

/// Reads a text from `at` on.
pub(super) struct Scanner<'s> {
    /// The chunk, up to the end of the line.
    pub(super) text: &'s [u8],
    pub(super) at: usize,
    /// Where the line begins, for messages.
    pub(super) line: usize,
    /// One for each field.
    pub(super) found: &'s mut [Found],
    /// The array to explode.
    pub(super) exploded: Found,
}

impl Scanner<'_> {
    pub(super) fn fault(&self, what: &'static str) -> CutFault {
        CutFault::Json {
            what,
            at: self.at - self.line,
        }
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// Skips white space, then `byte` if it is next; says whether it was.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads a value; `node` says what to take of it.
    pub(super) fn value(&mut self, node: Option<&Node>, depth: usize) -> Result<(), CutFault> {
        if depth > MAX_DEPTH {
            return Err(self.fault("more than 512 levels of nesting"));
        }
        for field in node.map_or([].as_slice(), |node| node.below.as_slice()) {
            self.found[*field] = None;
        }
        self.space();
        let start = self.at;
        match self.text.get(self.at) {
            Some(b'{') => self.object(node, depth)?,
            Some(b'[') => self.array(node, depth)?,
            Some(b'"') => self.string()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => return Err(self.fault("no value")),
            None => return Err(self.fault("the end inside a value")),
        }
        if let Some(node) = node {
            for field in &node.takes {
                self.found[*field] = Some((start, self.at));
            }
            if node.explodes {
                self.exploded = Some((start, self.at));
            }
        }
        Ok(())
    }

    fn object(&mut self, node: Option<&Node>, depth: usize) -> Result<(), CutFault> {
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        // Keys mostly come in the order in which they are wanted.
        let mut likely = 0;
        loop {
            self.space();
            if self.text.get(self.at) != Some(&b'"') {
                return Err(self.fault("no key"));
            }
            let start = self.at;
            self.string()?;
            let key = &self.text[start + 1..self.at - 1];
            let child = node.and_then(|node| find(node, key, &mut likely));
            if !self.take(b':') {
                return Err(self.fault("no colon behind a key"));
            }
            self.value(child, depth + 1)?;
            if self.take(b',') {
                continue;
            }
            if self.take(b'}') {
                return Ok(());
            }
            return Err(self.fault("neither a comma nor the end of the object"));
        }
    }

    fn array(&mut self, node: Option<&Node>, depth: usize) -> Result<(), CutFault> {
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        for item in 0.. {
            let mut wanted = node.iter().flat_map(|node| &node.items);
            let child = wanted.find(|(index, _)| *index == item);
            let child = child.map(|(_, child)| child);
            self.value(child, depth + 1)?;
            if self.take(b',') {
                continue;
            }
            if self.take(b']') {
                return Ok(());
            }
            return Err(self.fault("neither a comma nor the end of the array"));
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), CutFault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fault("no value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Result<(), CutFault> {
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                return Err(self.fault("a string that does not end"));
            };
            let controls = rest[..found]
                .iter()
                .fold(false, |any, byte| any | (*byte < 0x20));
            if controls {
                return Err(self.fault("a control character inside a string"));
            }
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(());
            }
            match rest.get(found + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u')
                    if rest
                        .get(found + 2..found + 6)
                        .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) =>
                {
                    self.at += 5;
                }
                _ => return Err(self.fault("a backslash before what it cannot escape")),
            }
        }
    }

    fn number(&mut self) -> Result<(), CutFault> {
        self.at += usize::from(self.text.get(self.at) == Some(&b'-'));
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one.
    fn digits(&mut self) -> Result<(), CutFault> {
        let rest = &self.text[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.fault("no digit where a number goes on"));
        }
        self.at += count;
        Ok(())
    }
}

/// The child of a key, as it is written in the text. `likely` is where to look first.
fn find<'n>(node: &'n Node, key: &[u8], likely: &mut usize) -> Option<&'n Node> {
    let mut plain = Vec::new();
    let key = match key.contains(&b'\\') {
        false => key,
        true => {
            unescape(key, &mut plain).ok()?;
            plain.as_slice()
        }
    };
    let is_it = |(name, _): &(String, Node)| name.as_bytes() == key;
    let index = match node.keys.get(*likely).is_some_and(is_it) {
        true => *likely,
        false => node.keys.iter().position(is_it)?,
    };
    *likely = index + 1;
    node.keys.get(index).map(|(_, child)| child)
}

/// Appends the text of a string that [`Scanner`] has read, without its quotes. The error is the
/// offset of half a surrogate pair, which is no text.
pub(super) fn unescape(string: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &string[at..]) {
        out.extend_from_slice(&string[at..at + found]);
        at += found;
        let (letter, length) = match string.get(at + 1) {
            Some(b'u') => {
                let high = unit(string, at + 2);
                match (high, unit(string, at + 8)) {
                    (0xD800..=0xDBFF, low @ 0xDC00..=0xDFFF)
                        if string.get(at + 6..at + 8) == Some(b"\\u".as_slice()) =>
                    {
                        (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), 12)
                    }
                    _ => (high, 6),
                }
            }
            Some(b'b') => (8, 2),
            Some(b'f') => (12, 2),
            Some(b'n') => (10, 2),
            Some(b'r') => (13, 2),
            Some(b't') => (9, 2),
            other => (other.map_or(0, |byte| u32::from(*byte)), 2),
        };
        let letter = char::from_u32(letter).ok_or(at)?;
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        at += length;
    }
    out.extend_from_slice(&string[at..]);
    Ok(())
}

/// Four hexadecimal digits; what is none is no unit of UTF-16.
fn unit(string: &[u8], at: usize) -> u32 {
    let digits = string.get(at..at + 4).unwrap_or_default();
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(16));
    let unit = digits.collect::<Option<Vec<u32>>>();
    unit.map_or(u32::MAX, |digits| {
        digits.iter().fold(0, |unit, digit| unit << 4 | digit)
    })
}
