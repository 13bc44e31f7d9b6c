//! One-dimensional arrays, from the literal of the PostgreSQL manual, "Arrays".
//!
//! In: `{1, 2, NULL, "with, comma", "a \"quote\""}`; the delimiter is a comma.
//! Out: dimensions, a flag for nulls, the element's OID, length and lower bound 1, then each
//! element as its own type encodes it: what `array_recv` in
//! PostgreSQL's `src/backend/utils/adt/arrayfuncs.c` reads.
//!
//! An unquoted `NULL` in any case is a null, a quoted one is text. Nested arrays, bounds
//! (`[0:1]={1,2}`) and backslashes outside of quotes are refused.

use super::Type;
use super::bytea::patch_length;
use super::fault::{Fault, Wanted};
use super::integer::{is_space, trim};
use super::put_null;

const SYNTAX: Fault = Fault::Syntax(Wanted::Array);

/// An array beyond this is refused: the server's limit of 1 GiB holds for its own form of the
/// elements, which may take 16 times as much (`name`).
const MAX_ARRAY_BYTES: u32 = 0x3FFF_FFFF / 16;

/// Appends `text` as an array of `element`; what was written before a fault stays, the caller
/// cuts it off.
///
/// # Errors
/// Not an array of one dimension, or an element is refused.
pub(super) fn put_array(
    text: &[u8],
    element: &Type,
    element_oid: u32,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let body = match trim(text) {
        [b'{', body @ .., b'}'] => body,
        [b'[', ..] => return Err(Fault::Dimensions),
        _ => return Err(SYNTAX),
    };
    let start = out.len();
    if trim(body).is_empty() {
        // No dimension, so neither length nor lower bound.
        let [a, b, c, d] = element_oid.to_be_bytes();
        out.extend_from_slice(&[0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]);
        return Ok(());
    }
    // Patched below, when nulls and elements are counted.
    out.extend_from_slice(&[0; 24]);
    let mut unescaped = Vec::new();
    let mut nulls = false;
    let mut count = 0_u32;
    let mut rest = Some(body);
    while let Some(text) = rest {
        let item;
        (item, rest) = take_item(text)?;
        match item {
            Item::Null => {
                nulls = true;
                put_null(out);
            }
            Item::Plain(text) => element.encode(text, out)?,
            Item::Escaped(text) => {
                unescape(text, &mut unescaped)?;
                element.encode(&unescaped, out)?;
            }
        }
        count += 1;
        if out.len() - start > MAX_ARRAY_BYTES as usize {
            return Err(Fault::Bytes(MAX_ARRAY_BYTES));
        }
    }
    if let Some(head) = out.get_mut(start + 4..start + 24) {
        head.copy_from_slice(&header(nulls, element_oid, count));
    }
    patch_length(start, out)
}

/// One dimension, whether there are nulls, the element's type, count and lower bound.
fn header(nulls: bool, element_oid: u32, count: u32) -> [u8; 20] {
    let [o0, o1, o2, o3] = element_oid.to_be_bytes();
    let [c0, c1, c2, c3] = count.to_be_bytes();
    let nulls = u8::from(nulls);
    [
        0, 0, 0, 1, 0, 0, 0, nulls, o0, o1, o2, o3, c0, c1, c2, c3, 0, 0, 0, 1,
    ]
}

enum Item<'a> {
    Null,
    /// The element's text as it stands.
    Plain(&'a [u8]),
    /// The element's text with backslashes before some characters.
    Escaped(&'a [u8]),
}

/// Takes one element off the front; returns it and what follows its comma, if there is one.
fn take_item(text: &[u8]) -> Result<(Item<'_>, Option<&[u8]>), Fault> {
    let leading = text.iter().position(|byte| !is_space(*byte));
    let text = text.get(leading.ok_or(SYNTAX)?..).unwrap_or_default();
    if let [b'"', quoted @ ..] = text {
        let (item, rest) = take_quoted(quoted)?;
        return match trim(rest) {
            [] => Ok((item, None)),
            [b',', ..] => Ok((item, after_comma(rest))),
            _ => Err(SYNTAX),
        };
    }
    let end = memchr::memchr(b',', text).unwrap_or(text.len());
    let (item, rest) = text.split_at(end);
    let item = trim(item);
    if item.contains(&b'{') {
        return Err(Fault::Dimensions);
    }
    if item.is_empty() || item.iter().any(|byte| matches!(byte, b'"' | b'\\' | b'}')) {
        return Err(SYNTAX);
    }
    let item = if item.eq_ignore_ascii_case(b"null") {
        Item::Null
    } else {
        Item::Plain(item)
    };
    Ok((item, rest.get(1..)))
}

fn after_comma(text: &[u8]) -> Option<&[u8]> {
    let comma = memchr::memchr(b',', text)?;
    text.get(comma + 1..)
}

/// Takes the rest of a quoted element, after its opening quote.
fn take_quoted(text: &[u8]) -> Result<(Item<'_>, &[u8]), Fault> {
    let mut escaped = false;
    let mut from = 0;
    loop {
        let unread = text.get(from..).ok_or(SYNTAX)?;
        let at = from + memchr::memchr2(b'"', b'\\', unread).ok_or(SYNTAX)?;
        let (before, rest) = text.split_at(at);
        match rest {
            [b'"', rest @ ..] if escaped => return Ok((Item::Escaped(before), rest)),
            [b'"', rest @ ..] => return Ok((Item::Plain(before), rest)),
            _ => {
                escaped = true;
                from = at + 2;
            }
        }
    }
}

/// Writes `text` without its escaping backslashes into `unescaped`.
fn unescape(mut text: &[u8], unescaped: &mut Vec<u8>) -> Result<(), Fault> {
    unescaped.clear();
    while let Some(at) = memchr::memchr(b'\\', text) {
        let (before, rest) = text.split_at(at);
        unescaped.extend_from_slice(before);
        let [_, escaped, rest @ ..] = rest else {
            return Err(SYNTAX);
        };
        unescaped.push(*escaped);
        text = rest;
    }
    unescaped.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements' encodings, and the header's flag for nulls.
    fn array(text: &str, element: Type) -> Result<(Vec<Option<String>>, bool), Fault> {
        let mut out = vec![9];
        put_array(text.as_bytes(), &element, 25, &mut out)?;
        let word = |at: usize| i32::from_be_bytes(out[at..at + 4].try_into().expect("a word"));
        assert_eq!(word(1), i32::try_from(out.len() - 5).expect("short"));
        assert_eq!(word(13), 25);
        if word(5) == 0 {
            assert_eq!(out.len(), 17);
            return Ok((vec![], false));
        }
        assert_eq!((word(5), word(21)), (1, 1));
        let mut at = 25;
        let mut elements = Vec::new();
        for _ in 0..word(17) {
            let length = word(at);
            at += 4;
            elements.push(usize::try_from(length).ok().map(|length| {
                at += length;
                String::from_utf8_lossy(&out[at - length..at]).into_owned()
            }));
        }
        assert_eq!(at, out.len());
        Ok((elements, word(9) == 1))
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn quotes_backslashes_and_white_space_read_as_the_server_does() {
        assert_eq!(array("{}", Type::Text), Ok((vec![], false)));
        assert_eq!(array(" { } ", Type::Text), Ok((vec![], false)));
        assert_eq!(
            array("{ a b , \"c, d\" ,\"\", \" e \"}", Type::Text),
            Ok((some(&["a b", "c, d", "", " e "]), false))
        );
        assert_eq!(
            array(r#"{"a \"b\" \\", "\c{}"}"#, Type::Text),
            Ok((some(&[r#"a "b" \"#, "c{}"]), false))
        );
        assert_eq!(
            array("{null,\"NULL\",NULLS}", Type::Text),
            Ok((vec![None, Some("NULL".into()), Some("NULLS".into())], true))
        );
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "1,2",
            "{1",
            "{1,}",
            "{,1}",
            "{,}",
            "{a\"b}",
            "{\"a\"b}",
            "{\"a}",
            "{\"a\\\"}",
            "{a\\b}",
            "{a}b}",
            "{\"a\" \"b\"}",
            "{a,\"b\",}",
        ] {
            assert_eq!(array(text, Type::Text), Err(SYNTAX), "{text:?}");
        }
        for text in ["{{1},{2}}", "[0:1]={1,2}", "{{}}"] {
            assert_eq!(array(text, Type::Text), Err(Fault::Dimensions), "{text:?}");
        }
        assert_eq!(
            array("{1,x}", Type::Int4),
            Err(Fault::Syntax(Wanted::Integer))
        );
    }
}
