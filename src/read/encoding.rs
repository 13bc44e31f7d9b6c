//! What the bytes of a field mean as text.
//!
//! In: the bytes of one field. Out: UTF-8, borrowed where the bytes already are. All three encodings
//! are supersets of ASCII, so records and fields are cut on raw bytes and only text is decoded here.
//!
//! Nothing is replaced or guessed: a byte without a meaning is an error with its offset. Zero bytes
//! are text here; that PostgreSQL cannot store them is found by the parser of the column.

/// The encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// The ISO standard itself: byte = code point, 80 to 9F are the C1 control characters. (Browsers
    /// read the label `latin1` as Windows-1252; a loader must not.)
    Iso8859_1,
    /// As the Unicode Consortium maps it; 81, 8D, 8F, 90 and 9D are undefined and an error.
    /// <https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/WINDOWS/CP1252.TXT>
    Windows1252,
}

/// The code points of Windows-1252 bytes 80 to 9F; zero: undefined.
const WINDOWS_1252: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017D, 0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC,
    0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

impl Encoding {
    /// Returns the encoding that a label means, in any case, or `None`.
    pub fn label(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Iso8859_1 => "iso-8859-1",
            Encoding::Windows1252 => "windows-1252",
        }
    }

    pub fn from_label(label: &str) -> Option<Encoding> {
        let label = label.trim().to_ascii_lowercase();
        match label.as_str() {
            "utf-8" | "utf8" => Some(Encoding::Utf8),
            "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin-1" | "latin1" | "l1" => {
                Some(Encoding::Iso8859_1)
            }
            "windows-1252" | "windows1252" | "cp-1252" | "cp1252" => Some(Encoding::Windows1252),
            _ => None,
        }
    }

    /// Returns the field as UTF-8: the field itself where its bytes are that already, otherwise
    /// `scratch`, which is cleared first.
    ///
    /// # Errors
    /// The offset in the field of the first byte that is invalid or has no meaning.
    pub fn decode<'a>(&self, field: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], usize> {
        match self {
            Encoding::Utf8 => match simdutf8::compat::from_utf8(field) {
                Ok(_) => Ok(field),
                Err(error) => Err(error.valid_up_to()),
            },
            _ if field.is_ascii() => Ok(field),
            Encoding::Iso8859_1 => {
                scratch.clear();
                for &byte in field {
                    push(char::from(byte), scratch);
                }
                Ok(scratch)
            }
            Encoding::Windows1252 => {
                scratch.clear();
                for (offset, &byte) in field.iter().enumerate() {
                    push(windows_1252(byte).ok_or(offset)?, scratch);
                }
                Ok(scratch)
            }
        }
    }
}

fn windows_1252(byte: u8) -> Option<char> {
    match byte.checked_sub(0x80).map(usize::from) {
        Some(high) if high < WINDOWS_1252.len() => match WINDOWS_1252[high] {
            0 => None,
            code => char::from_u32(u32::from(code)),
        },
        _ => Some(char::from(byte)),
    }
}

fn push(character: char, scratch: &mut Vec<u8>) {
    let mut utf8 = [0; 4];
    scratch.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
}

/// Says whether the bytes are valid UTF-8. Checked once for a chunk, it saves the check of each
/// field: records are cut at ASCII bytes, so every field of a valid chunk is valid.
pub fn whole_chunk_is_utf8(chunk: &[u8]) -> bool {
    simdutf8::basic::from_utf8(chunk).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, field: &[u8]) -> Result<String, usize> {
        let mut scratch = b"left over".to_vec();
        let text = encoding.decode(field, &mut scratch)?;
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn ascii_and_valid_utf8_are_borrowed() {
        for (encoding, field) in [
            (Encoding::Utf8, "Zoë".as_bytes()),
            (Encoding::Iso8859_1, b"Zoe"),
            (Encoding::Windows1252, b"Zoe"),
        ] {
            let mut scratch = Vec::new();
            let text = encoding.decode(field, &mut scratch).unwrap();
            assert_eq!(text.as_ptr(), field.as_ptr());
        }
    }

    #[test]
    fn every_byte_of_iso_8859_1_is_its_code_point() {
        for byte in 0..=255u8 {
            let expected = char::from(byte).to_string();
            assert_eq!(decoded(Encoding::Iso8859_1, &[byte]), Ok(expected));
        }
    }

    #[test]
    fn windows_1252_has_curly_quotes_and_five_holes() {
        assert_eq!(
            decoded(Encoding::Windows1252, b"\x93a\x94 \x80 \xB5 \x9F"),
            Ok("“a” € µ Ÿ".to_owned())
        );
        let holes: Vec<u8> = (0..=255)
            .filter(|&byte| decoded(Encoding::Windows1252, &[b'x', byte]) == Err(1))
            .collect();
        assert_eq!(holes, [0x81, 0x8D, 0x8F, 0x90, 0x9D]);
    }

    #[test]
    fn latin_bytes_that_happen_to_be_utf8_are_still_latin() {
        assert_eq!(decoded(Encoding::Iso8859_1, b"\xC3\xA9"), Ok("Ã©".into()));
    }

    #[test]
    fn invalid_utf8_is_located() {
        assert_eq!(decoded(Encoding::Utf8, b"ab\x80c"), Err(2));
        assert_eq!(decoded(Encoding::Utf8, b"ab\xC3"), Err(2));
        assert!(whole_chunk_is_utf8("a|ü\n".as_bytes()));
        assert!(!whole_chunk_is_utf8(b"a|\xFC\n"));
    }

    #[test]
    fn labels_are_read_in_any_case_and_unknown_ones_are_none() {
        assert_eq!(Encoding::from_label("UTF-8"), Some(Encoding::Utf8));
        assert_eq!(Encoding::from_label("Latin1"), Some(Encoding::Iso8859_1));
        assert_eq!(Encoding::from_label("CP1252"), Some(Encoding::Windows1252));
        assert_eq!(Encoding::from_label("utf-16"), None);
    }
}
