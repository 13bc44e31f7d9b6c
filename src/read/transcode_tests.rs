use super::*;
use proptest::prelude::*;

fn label(label: &str) -> Encoding {
    Encoding::from_label(label).unwrap()
}

/// Delivers at most so many bytes at a time.
struct Few<'a>(&'a [u8], usize);

impl Read for Few<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.1).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// The text with FF where there is none, and at which bytes of the file.
fn transcoded(bytes: &[u8], encoding: Encoding, at_once: usize) -> (Vec<u8>, Vec<u64>) {
    let faults = Arc::new(Faults::default());
    let mut reader = Transcoder::new(Few(bytes, at_once), encoding, NO_TEXT, Arc::clone(&faults));
    let mut text = Vec::new();
    reader.read_to_end(&mut text).unwrap();
    let places = memchr::memchr_iter(0xFF, &text)
        .map(|at| match faults.at(at as u64) {
            Some(Why::Byte(byte)) => byte,
            other => panic!("{other:?}"),
        })
        .collect();
    (text, places)
}

#[track_caller]
fn assert_text(encoding: &str, bytes: &[u8], text: &str) {
    let (found, faults) = transcoded(bytes, label(encoding), 1);
    assert_eq!(String::from_utf8(found).as_deref(), Ok(text), "{encoding}");
    assert!(faults.is_empty(), "{encoding}: {faults:?}");
}

#[test]
fn text_of_many_encodings_becomes_utf8() {
    let utf_16: Vec<u8> = "a|Zoë 𝄞\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_text("utf-16le", &utf_16, "a|Zoë 𝄞\n");
    let utf_16: Vec<u8> = "a|Zoë 𝄞\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_text("utf-16be", &utf_16, "a|Zoë 𝄞\n");
    // The second byte of the first character is a pipe: U+30DD is 83 7C.
    assert_text("shift_jis", b"\x83\x7C|\x83\x5C\n", "ポ|ソ\n");
    assert_text("gbk", b"\xD6\xD0|\xCE\xC4\n", "中|文\n");
    let (text, faults) = transcoded(b"a\x81|b", label("gbk"), 1);
    assert!(faults.is_empty() && !text.contains(&b'|'), "{text:?}");
    assert_text("gb18030", b"\x81\x30\x81\x30", "\u{80}");
    assert_text("big5", b"\xA4\xA4", "中");
    assert_text("euc-kr", b"\xC7\xD1", "한");
    assert_text("iso-2022-jp", b"\x1B$B$\"\x1B(B|x", "あ|x");
    assert_text("koi8-r", b"\xD0|\xD1", "п|я");
    assert_text("iso-8859-15", b"\xA4\x9F", "€\u{9F}");
    assert_text("windows-1254", b"\xF0 \x80", "ğ €");
    assert_text("iso-8859-1", b"\x93\xEB", "\u{93}ë");
    assert_text("windows-1252", b"\x93\xEB", "“ë");
}

#[test]
fn bytes_without_a_meaning_are_located_in_the_file() {
    let undefined = |encoding: &str, bytes: &[u8]| transcoded(bytes, label(encoding), 2).1;
    // Windows code pages leave bytes undefined that browsers read as control characters.
    assert_eq!(undefined("windows-1254", b"ab\x81\xF0\x8D"), [2, 4]);
    assert_eq!(undefined("windows-1251", b"\x98"), [0]);
    assert_eq!(undefined("windows-1253", b"x\xAA"), [1]);
    assert_eq!(undefined("windows-1252", b"x\x9D"), [1]);
    assert_eq!(undefined("ascii", b"abc\xC3\xA9"), [3, 4]);
    // What follows a lead byte and cannot belong to it is not swallowed.
    assert_eq!(
        transcoded(b"a\x83\x20b\n\x85", label("shift_jis"), 1),
        (b"a\xFF b\n\xFF".to_vec(), vec![1, 5])
    );
    // A surrogate without its half, and half a unit at the end.
    assert_eq!(
        transcoded(b"a\0\x34\xD8b\0c", label("utf-16le"), 1),
        (b"a\xFFb\xFF".to_vec(), vec![2, 6])
    );
}

#[test]
fn a_fault_far_into_a_file_is_found_like_one_in_the_first_line() {
    let mut bytes = b"\x81".to_vec();
    bytes.extend(b"0123456789abcdef".repeat(3 << 16));
    let far = bytes.len() as u64;
    bytes.push(0x81);
    bytes.extend(b"more");
    for encoding in ["windows-1254", "windows-1252"] {
        assert_eq!(transcoded(&bytes, label(encoding), 100_000).1, [0, far]);
    }
    assert_eq!(transcoded(&bytes[1..], label("utf-8"), 777).1, [far - 1]);
}

const LABELS: [&str; 14] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "shift_jis",
    "gbk",
    "gb18030",
    "big5",
    "euc-jp",
    "euc-kr",
    "iso-2022-jp",
    "windows-1254",
    "windows-1252",
    "koi8-u",
    "x-user-defined",
];

proptest! {
    #[test]
    fn what_a_read_brings_changes_nothing(
        bytes in prop::collection::vec(prop_oneof![
            3 => any::<u8>(),
            1 => prop::sample::select(b"\x1B$B(J|\n\x81\xD8\x00".to_vec()),
        ], 0..300),
        which in 0..LABELS.len(),
        at_once in 1_usize..40,
    ) {
        let encoding = label(LABELS[which]);
        prop_assert_eq!(
            transcoded(&bytes, encoding, at_once),
            transcoded(&bytes, encoding, usize::MAX)
        );
    }

    /// Against the decoder of whole buffers, which knows no places.
    #[test]
    fn text_is_what_the_whole_buffer_decodes_to(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        which in 0..10_usize,
        at_once in 1_usize..40,
    ) {
        let encoding = label(LABELS[which]);
        let standard = encoding_rs::Encoding::for_label(LABELS[which].as_bytes()).unwrap();
        let whole = standard.decode_without_bom_handling_and_without_replacement(&bytes);
        let (text, faults) = transcoded(&bytes, encoding, at_once);
        prop_assert_eq!(whole.is_some(), faults.is_empty());
        prop_assert!(faults.is_sorted());
        prop_assert!(faults.iter().all(|byte| *byte < bytes.len() as u64));
        if let Some(whole) = whole {
            prop_assert_eq!(text, whole.as_bytes());
        }
    }
}
