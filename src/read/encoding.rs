//! What the bytes of a file mean as text.
//!
//! In: a label, and the bytes of one field. Out: UTF-8, borrowed where the bytes already are. The
//! single-byte encodings here are supersets of ASCII, so records and fields are cut on raw bytes and
//! only text is decoded. All others are turned into UTF-8 by `transcode` before anything
//! is cut: a byte of a character may look like a delimiter in them.
//!
//! Nothing is replaced or guessed: a byte without a meaning is an error with its offset. Zero bytes
//! are text here; that PostgreSQL cannot store them is found by the parser of the column.

/// The encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// Bytes below 80 only. (Browsers read the label `ascii` as Windows-1252; a loader must not.)
    Ascii,
    /// The ISO standard itself: byte = code point, 80 to 9F are the C1 control characters. (Browsers
    /// read the label `latin1` as Windows-1252; a loader must not.)
    Iso8859_1,
    /// As the Unicode Consortium maps it; 81, 8D, 8F, 90 and 9D are undefined and an error.
    /// <https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/WINDOWS/CP1252.TXT>
    Windows1252,
    /// UTF-16 in the byte order that its mark or its first character tells.
    Utf16,
    /// Any other one of the WHATWG Encoding Standard: <https://encoding.spec.whatwg.org/>
    Whatwg(&'static encoding_rs::Encoding),
}

/// The code points of Windows-1252 bytes 80 to 9F; zero: undefined.
const WINDOWS_1252: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017D, 0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC,
    0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

/// Labels of [`Encoding::Iso8859_1`]: those that the IANA registry has for it, and short ones.
const ISO_8859_1: [&str; 12] = [
    "iso-8859-1",
    "iso8859-1",
    "iso_8859-1",
    "iso88591",
    "iso_8859-1:1987",
    "iso-ir-100",
    "latin-1",
    "latin1",
    "l1",
    "cp819",
    "ibm819",
    "csisolatin1",
];

impl Encoding {
    /// What messages call it.
    pub fn label(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Ascii => "ascii",
            Encoding::Iso8859_1 => "iso-8859-1",
            Encoding::Windows1252 => "windows-1252",
            Encoding::Utf16 => "utf-16",
            Encoding::Whatwg(encoding) => encoding.name(),
        }
    }

    /// Returns the encoding that a label means, in any case, or `None`.
    ///
    /// Labels mean what the WHATWG Encoding Standard says, but where it decodes an ISO standard as a
    /// Windows code page: ISO-8859-1 and ASCII are themselves here, and of the others
    /// (`iso-8859-9`, `iso-8859-11`) only the true name, `windows-1254` or `windows-874`, is known.
    pub fn from_label(label: &str) -> Option<Encoding> {
        let label = label.trim().to_ascii_lowercase();
        if ISO_8859_1.contains(&label.as_str()) {
            return Some(Encoding::Iso8859_1);
        }
        let standard = match label.as_str() {
            "ascii" | "us-ascii" | "ansi_x3.4-1968" => return Some(Encoding::Ascii),
            "windows1252" | "cp-1252" => return Some(Encoding::Windows1252),
            "utf-16" | "utf16" | "ucs-2" | "unicode" => return Some(Encoding::Utf16),
            "utf16le" | "utf-16-le" => "utf-16le",
            "utf16be" | "utf-16-be" => "utf-16be",
            "cp932" => "shift_jis",
            "cp936" => "gbk",
            "cp949" => "euc-kr",
            "cp950" => "big5",
            other => other,
        };
        // Not those that the standard knows only to refuse them.
        let found = encoding_rs::Encoding::for_label_no_replacement(standard.as_bytes())?;
        let renamed = found.name().starts_with("windows-")
            && (label.contains("iso") || label.starts_with('l') || label.starts_with("tis"));
        match found {
            _ if renamed => None,
            _ if found == encoding_rs::UTF_8 => Some(Encoding::Utf8),
            _ if found == encoding_rs::WINDOWS_1252 => Some(Encoding::Windows1252),
            _ => Some(Encoding::Whatwg(found)),
        }
    }

    /// Says whether a file must become UTF-8 before it is cut.
    pub fn is_transcoded(self) -> bool {
        matches!(self, Encoding::Utf16 | Encoding::Whatwg(_))
    }

    /// Says whether the bytes of a whole chunk are its text. Checked once for a chunk, it saves the
    /// check of each field: records are cut at ASCII bytes, so every field of a valid chunk is valid.
    pub fn is_text(self, chunk: &[u8]) -> bool {
        match self {
            Encoding::Utf8 | Encoding::Utf16 | Encoding::Whatwg(_) => whole_chunk_is_utf8(chunk),
            Encoding::Ascii | Encoding::Iso8859_1 | Encoding::Windows1252 => chunk.is_ascii(),
        }
    }

    /// The code point of a byte of one of the encodings that are decoded field by field.
    pub(super) fn of_byte(self, byte: u8) -> Option<char> {
        match self {
            Encoding::Iso8859_1 => Some(char::from(byte)),
            Encoding::Windows1252 => windows_1252(byte),
            _ => byte.is_ascii().then_some(char::from(byte)),
        }
    }

    /// Returns the field as UTF-8: the field itself where its bytes are that already, otherwise
    /// `scratch`, which is cleared first.
    ///
    /// # Errors
    /// The offset in the field of the first byte that is invalid or has no meaning.
    pub fn decode<'a>(&self, field: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], usize> {
        match self {
            Encoding::Utf8 | Encoding::Utf16 | Encoding::Whatwg(_) => {
                match simdutf8::compat::from_utf8(field) {
                    Ok(_) => Ok(field),
                    Err(error) => Err(error.valid_up_to()),
                }
            }
            _ if field.is_ascii() => Ok(field),
            Encoding::Ascii => Err(field.iter().take_while(|byte| byte.is_ascii()).count()),
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

/// Says whether the bytes are valid UTF-8.
fn whole_chunk_is_utf8(chunk: &[u8]) -> bool {
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
        assert_eq!(Encoding::from_label("US-ASCII"), Some(Encoding::Ascii));
        assert_eq!(Encoding::from_label("UTF-16"), Some(Encoding::Utf16));
        for (label, found) in [
            ("utf-16le", encoding_rs::UTF_16LE),
            ("Shift_JIS", encoding_rs::SHIFT_JIS),
            ("cp932", encoding_rs::SHIFT_JIS),
            ("GBK", encoding_rs::GBK),
            ("gb2312", encoding_rs::GBK),
            ("windows-1254", encoding_rs::WINDOWS_1254),
            ("iso-8859-15", encoding_rs::ISO_8859_15),
            ("koi8-r", encoding_rs::KOI8_R),
        ] {
            let expected = Some(Encoding::Whatwg(found));
            assert_eq!(Encoding::from_label(label), expected, "{label}");
        }
        // What would be decoded as something else, or only refused, is not known.
        for label in [
            "iso-8859-9",
            "latin5",
            "tis-620",
            "iso-2022-kr",
            "replacement",
            "klingon",
        ] {
            assert_eq!(Encoding::from_label(label), None, "{label}");
        }
    }

    /// A label of the standard that means Windows-1252 must not pull an ISO one with it.
    #[test]
    fn no_iso_label_is_read_as_a_windows_code_page() {
        for label in ISO_8859_1 {
            assert_eq!(Encoding::from_label(label), Some(Encoding::Iso8859_1));
        }
        for label in ["iso8859-1", "iso_8859-1", "l1", "csisolatin1"] {
            let standard = encoding_rs::Encoding::for_label(label.as_bytes());
            assert_eq!(standard, Some(encoding_rs::WINDOWS_1252), "{label}");
        }
        assert_eq!(decoded(Encoding::Ascii, b"ab\x80"), Err(2));
    }
}
