//! Text of any encoding to UTF-8.

use super::input::Input;
use super::text::text;
use overnight::read::Encoding;
use overnight::read::text::TextFormat;

const LABELS: [&str; 16] = [
    "utf-16",
    "utf-16le",
    "utf-16be",
    "shift_jis",
    "gbk",
    "gb18030",
    "big5",
    "euc-jp",
    "euc-kr",
    "iso-2022-jp",
    "windows-1251",
    "windows-1253",
    "koi8-r",
    "macintosh",
    "iso-8859-15",
    "utf-8",
];

pub fn transcode(data: &[u8]) {
    let mut input = Input::new(data);
    let encoding = Encoding::from_label(input.choose(&LABELS)).expect("a label");
    let at_once = usize::from(input.byte()) + 1;
    let (raw, format) = (input.rest(), TextFormat::Plain(encoding));
    // A byte of some is three, and what ends early is one more.
    let most = 3 * raw.len() + 16;
    let whole = text(raw, &format, usize::MAX, most + 1);
    assert_eq!(text(raw, &format, at_once, most + 1), whole);
    let Ok((bytes, whys)) = whole else { return };
    assert!(bytes.len() <= most);
    if encoding.is_transcoded() {
        let mut pieces = bytes.split(|byte| *byte == 0xFF);
        assert!(pieces.all(|text| std::str::from_utf8(text).is_ok()));
        assert!(
            whys.iter().all(Option::is_some),
            "a fault without its place"
        );
    } else {
        assert_eq!(bytes, raw);
    }
}
