//! `text`, `varchar`, `bpchar`, `name`, enums: payloads that are the text itself.
//!
//! In: UTF-8 that the caller has checked, without a NUL. Out: its length in bytes and the same bytes.
//!
//! Nothing is cut or trimmed. The server cuts spaces off a value that is too long for
//! `varchar(n)`; here it is a fault. It pads a short `char(n)` itself when it reads it. A length
//! counts characters, that is code points, never bytes.

use super::fault::Fault;
use super::short;

/// The longest `name`, in bytes (`NAMEDATALEN - 1`).
const MAX_NAME_BYTES: usize = 63;

/// Appends length and bytes, unchecked.
#[inline]
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let length = i32::try_from(bytes.len()).map_err(|_| Fault::Bytes(i32::MAX as u32))?;
    out.extend_from_slice(&length.to_be_bytes());
    short::append(bytes, out);
    Ok(())
}

/// Appends `text` as a `varchar` or `bpchar` of at most `limit` characters.
///
/// # Errors
/// It is longer, even if by spaces only.
#[inline]
pub(super) fn put_limited(text: &[u8], limit: Option<u32>, out: &mut Vec<u8>) -> Result<(), Fault> {
    if let Some(limit) = limit
        && text.len() > limit as usize
        && characters(text) > limit as usize
    {
        return Err(Fault::Length(limit));
    }
    put_bytes(text, out)
}

/// Counts code points: every byte of UTF-8 that does not continue one.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Appends `text` as a `name`.
///
/// # Errors
/// It is longer than 63 bytes, which the server would cut.
pub(super) fn put_name(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if text.len() > MAX_NAME_BYTES {
        return Err(Fault::Bytes(MAX_NAME_BYTES as u32));
    }
    put_bytes(text, out)
}

/// The labels of an enum, sorted for look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl Labels {
    pub(super) fn new(mut labels: Vec<String>) -> Labels {
        labels.sort_unstable();
        Labels(labels)
    }

    /// Appends `text` as an enum value.
    ///
    /// # Errors
    /// It is none of the labels.
    pub(super) fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.0
            .binary_search_by(|label| label.as_bytes().cmp(text))
            .map_err(|_| Fault::Label)?;
        put_bytes(text, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_characters_and_cuts_nothing() {
        let mut out = Vec::new();
        assert_eq!(put_limited("äöü".as_bytes(), Some(3), &mut out), Ok(()));
        assert_eq!(out, b"\0\0\0\x06\xc3\xa4\xc3\xb6\xc3\xbc");
        for text in ["abcd", "abc ", "äöüß"] {
            assert_eq!(
                put_limited(text.as_bytes(), Some(3), &mut out),
                Err(Fault::Length(3)),
                "{text:?}"
            );
        }
        assert_eq!(put_limited(b"", Some(3), &mut out), Ok(()));
    }

    #[test]
    fn a_name_has_63_bytes_at_most() {
        let mut out = Vec::new();
        assert_eq!(put_name(&[b'a'; 63], &mut out), Ok(()));
        assert_eq!(put_name(&[b'a'; 64], &mut out), Err(Fault::Bytes(63)));
    }

    #[test]
    fn an_enum_takes_its_labels_exactly() {
        let labels = Labels::new(vec!["ok".into(), "".into(), "Not ok".into()]);
        let mut out = Vec::new();
        assert_eq!(labels.put(b"Not ok", &mut out), Ok(()));
        assert_eq!(labels.put(b"", &mut out), Ok(()));
        for text in ["OK", " ok", "not ok", "o"] {
            assert_eq!(labels.put(text.as_bytes(), &mut out), Err(Fault::Label));
        }
    }
}
