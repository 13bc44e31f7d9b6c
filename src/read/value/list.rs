//! Texts with several values in them, as the server writes an array.
//!
//! Every element is quoted, so that neither commas nor braces nor the word NULL in it mean anything:
//! PostgreSQL manual, "Arrays", "Array Input and Output Syntax".

use memchr::memmem;

pub(super) fn open(out: &mut Vec<u8>) {
    out.clear();
    out.push(b'{');
}

/// Adds an element; `None` is a null.
pub(super) fn push(element: Option<&[u8]>, out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
    let Some(element) = element else {
        out.extend_from_slice(b"NULL");
        return;
    };
    out.push(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

pub(super) fn close(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// The texts between the separators; an empty text has none.
pub(super) fn elements<'t>(text: &'t [u8], separator: &[u8]) -> impl Iterator<Item = &'t [u8]> {
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match memmem::find(text, separator) {
            Some(at) => {
                let (element, after) = text.split_at(at);
                rest = after.get(separator.len()..);
                Some(element)
            }
            None => rest.take(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str, separator: &str) -> String {
        let mut out = b"left over".to_vec();
        open(&mut out);
        for element in elements(text.as_bytes(), separator.as_bytes()) {
            push((!element.is_empty()).then_some(element), &mut out);
        }
        close(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn elements_are_quoted_and_none_is_lost() {
        for (text, separator, array) in [
            ("", ";", "{}"),
            ("a", ";", r#"{"a"}"#),
            ("a;b", ";", r#"{"a","b"}"#),
            (";a;;b;", ";", r#"{NULL,"a",NULL,"b",NULL}"#),
            ("a, b,c", ", ", r#"{"a","b,c"}"#),
            (
                r#"say "hi"|{x}|c:\d|null"#,
                "|",
                r#"{"say \"hi\"","{x}","c:\\d","null"}"#,
            ),
        ] {
            assert_eq!(list(text, separator), array, "{text}");
        }
    }
}
