//! Which encoding a text is in.
//!
//! In: the bytes of a file. Out: the text as UTF-8, the label of its encoding, and why.
//!
//! UTF-8 is all but certain where bytes above 7F are valid in it. What is not UTF-8 is told apart by
//! bytes that mean something in one encoding only: 80 to 9F are curly quotes and the like in
//! Windows-1252 and control characters, which no text holds, in ISO-8859-1.

use super::{Note, counted};
use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// The text of a file.
pub struct Decoded<'b> {
    pub label: &'static str,
    pub text: Cow<'b, [u8]>,
    pub note: Note,
}

/// Finds the encoding and decodes; what cannot be decoded stays in the text as it is.
pub fn decode(bytes: &[u8], whole: bool) -> Decoded<'_> {
    let is = |label, text, note| Decoded { label, text, note };
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        let note = Note::seen("the file begins with the mark of UTF-8");
        return is("utf-8", Cow::Borrowed(rest), note);
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        let (encoding, order) = match bytes[0] {
            0xFF => (UTF_16LE, "little-endian"),
            _ => (UTF_16BE, "big-endian"),
        };
        let note = Note::seen(format!("the file begins with the mark of UTF-16, {order}"));
        return is("utf-16", utf8(encoding, &bytes[2..]), note);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        let label = if encoding == UTF_16LE {
            "utf-16le"
        } else {
            "utf-16be"
        };
        let place = if encoding == UTF_16LE {
            "second"
        } else {
            "first"
        };
        let note = Note::seen(format!("nearly every {place} byte of two is zero"));
        return is(label, utf8(encoding, bytes), note);
    }
    let count = Utf8Count::of(bytes, whole);
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count() as u64;
    if high == 0 {
        let note = Note::guessed("every byte is ASCII, which most encodings share");
        return is("utf-8", Cow::Borrowed(bytes), note);
    }
    if count.invalid == 0 || count.valid > 10 * count.invalid {
        let note = match count.invalid {
            0 => format!(
                "valid UTF-8, {} beyond ASCII",
                counted(count.valid, "character")
            ),
            bad => format!(
                "UTF-8 with {} beyond ASCII; {} no UTF-8, whose records are rejects",
                counted(count.valid, "character"),
                match bad {
                    1 => "1 byte is".into(),
                    bad => format!("{} bytes are", crate::units::grouped(bad)),
                }
            ),
        };
        return is("utf-8", Cow::Borrowed(bytes), Note::seen(note));
    }
    if let Some((encoding, label)) = east_asian(bytes, whole) {
        let note = Note::guessed(format!(
            "not UTF-8; {} above 7F, most of them side by side and all of them pairs of this encoding",
            counted(high, "byte")
        ));
        return is(label, utf8(encoding, bytes), note);
    }
    single_byte(bytes, high)
}

/// Windows-1252 or ISO-8859-1.
fn single_byte(bytes: &[u8], high: u64) -> Decoded<'_> {
    let undefined = [0x81, 0x8D, 0x8F, 0x90, 0x9D];
    let count =
        |wanted: &dyn Fn(u8) -> bool| bytes.iter().filter(|byte| wanted(**byte)).count() as u64;
    let holes = count(&|byte| undefined.contains(&byte));
    let middle = count(&|byte| (0x80..0xA0).contains(&byte)) - holes;
    let high = counted(high, "byte");
    let (label, note) = if holes > 0 {
        (
            "iso-8859-1",
            Note::guessed(format!(
                "not UTF-8, {high} above 7F; {holes} of them mean nothing in windows-1252"
            )),
        )
    } else if middle > 0 {
        (
            "windows-1252",
            Note::seen(format!(
                "not UTF-8, {high} above 7F; {middle} of them (80 to 9F) are control characters in iso-8859-1 and punctuation in windows-1252"
            )),
        )
    } else {
        (
            "windows-1252",
            Note::guessed(format!(
                "not UTF-8, {high} above 7F, all from A0 up, where windows-1252 and iso-8859-1 are the same"
            )),
        )
    };
    let text: String = match holes {
        0 => encoding_rs::WINDOWS_1252
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    Decoded {
        label,
        text: Cow::Owned(text.into_bytes()),
        note,
    }
}

fn utf8(encoding: &'static Encoding, bytes: &[u8]) -> Cow<'static, [u8]> {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    Cow::Owned(text.into_owned().into_bytes())
}

/// Text of Latin letters has a zero byte in each pair; other bytes of text are never zero.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(64 << 10) & !1];
    let pairs = head.len() / 2;
    let zeros = |place| {
        head.iter()
            .skip(place)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let (first, second) = (zeros(0), zeros(1));
    match pairs {
        0 => None,
        _ if second * 10 > pairs * 7 && first * 10 < pairs => Some(UTF_16LE),
        _ if first * 10 > pairs * 7 && second * 10 < pairs => Some(UTF_16BE),
        _ => None,
    }
}

/// Characters beyond ASCII, and bytes that are part of none.
struct Utf8Count {
    valid: u64,
    invalid: u64,
}

impl Utf8Count {
    fn of(bytes: &[u8], whole: bool) -> Utf8Count {
        let mut count = Utf8Count {
            valid: 0,
            invalid: 0,
        };
        let mut rest = bytes.utf8_chunks().peekable();
        while let Some(chunk) = rest.next() {
            count.valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count() as u64;
            // The last character of a start may be cut off.
            if whole || rest.peek().is_some() {
                count.invalid += chunk.invalid().len() as u64;
            }
        }
        count
    }
}

/// Encodings of two bytes for a character. In Latin text bytes above 7F stand alone; here they come
/// in rows.
fn east_asian(bytes: &[u8], whole: bool) -> Option<(&'static Encoding, &'static str)> {
    let head = &bytes[..bytes.len().min(1 << 20)];
    let (mut high, mut alone, mut before) = (0u64, 0u64, 0u64);
    for byte in head.iter().chain([&0]) {
        if byte.is_ascii() {
            alone += u64::from(before == 1);
            before = 0;
        } else {
            high += 1;
            before += 1;
        }
    }
    if high < 8 || alone * 2 > high {
        return None;
    }
    let encodings = [
        (SHIFT_JIS, "shift_jis"),
        (EUC_JP, "euc-jp"),
        (EUC_KR, "euc-kr"),
        (GBK, "gbk"),
    ];
    encodings.into_iter().find(|(encoding, _)| {
        let (text, _) = encoding.decode_without_bom_handling(head);
        let cut = usize::from(!whole || head.len() < bytes.len());
        let count = |wanted: fn(char) -> bool| text.chars().filter(|c| wanted(*c)).count();
        let broken = count(|c| c == '\u{FFFD}');
        let kana = count(|c| matches!(c, '\u{3041}'..='\u{30FF}'));
        let hangul = count(|c| matches!(c, '\u{AC00}'..='\u{D7A3}'));
        let han = count(|c| matches!(c, '\u{4E00}'..='\u{9FA5}'));
        let all = count(|c| !c.is_ascii()).max(1);
        // Kana are in every text of Japanese, and Korean is all but written in Hangul alone.
        broken <= cut
            && match *encoding {
                encoding if encoding == EUC_KR => hangul * 10 > all * 8,
                encoding if encoding == GBK => han * 10 > all * 8,
                _ => kana * 10 > all && (kana + han) * 10 > all * 7,
            }
    })
}
